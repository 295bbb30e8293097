"""Batches that come from elsewhere: a file, a loader, a function; they never have to fit in memory.

    train = joc.stream(lambda step: batch_of(step))
    task = joc.Task("big", init, loss, evaluate, train, valid, test, {"loss": "min"})

Step s of every trial trains on ``source[s]``.  A host's thread reads ahead while the device works;
trials that are advanced together are at one step and share one reading.
"""

import inspect
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from jaxopt_course.problems import data_checks
from jaxopt_course.tree import Tree

BYTES = 64 << 20  # of the batches of a call, at most


@dataclass(frozen=True, eq=False, repr=False)
class Stream:
    """What :func:`stream` makes.

    Attributes:
        open: seed -> what has batches: ``[step]``, or an iterable.
        by_seed: whether each seed has a reading of its own.
        random_access: whether any batch can be read at any time; only then a sweep can be resumed.
        batches: of an epoch; None where the source has no end.
        raw: the first batch, as the source has it.
        first: the same, canonical.
        bytes_a_call: of the batches that a call takes.
        pairs: whether a batch is (inputs, targets), as for ``from_flax``.
        uint8: whether bytes stay bytes.
    """

    open: Callable[[int], Any]
    by_seed: bool
    random_access: bool
    batches: int | None
    raw: Tree
    first: Tree
    bytes_a_call: int
    pairs: bool = False
    uint8: bool = False

    def __repr__(self) -> str:
        """How it reads; the source stays out."""
        length = "" if self.batches is None else f"{self.batches} "
        return f"stream of {length}batches of {self.batch_size}"

    @property
    def batch_size(self) -> int:
        """Examples a batch."""
        return int(jax.tree.leaves(self.first)[0].shape[0])

    @property
    def batch_bytes(self) -> int:
        """Of a batch on the device."""
        return sum(x.nbytes for x in jax.tree.leaves(self.first))

    @property
    def fits(self) -> int:
        """Batches that a call holds at most."""
        return max(1, self.bytes_a_call // self.batch_bytes)

    def as_pairs(self) -> "Stream":
        """The stream whose batches (inputs, targets) become ``{"inputs": ..., "targets": ...}``.

        Raises:
            ValueError: the first batch is no such pair.
        """
        if isinstance(self.first, dict) and set(self.first) == {"inputs", "targets"}:
            return self
        if not (isinstance(self.first, (tuple, list)) and len(self.first) == 2):
            raise ValueError(
                "a batch of the stream must be a pair (inputs, targets) or "
                f'{{"inputs": ..., "targets": ...}}, and is {jax.tree.structure(self.first)}'
            )
        return replace(self, raw=_pair(self.raw), first=_pair(self.first), pairs=True)

    def with_bytes(self, uint8: bool) -> "Stream":
        """The stream whose arrays of bytes stay so, or become int32."""
        first = data_checks.canonical(self.raw, "the stream's first batch", uint8, rounding=False)
        return replace(self, first=first, uint8=uint8)

    def describe(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "batch_size": self.batch_size,
            "batches": self.batches,
            "random_access": self.random_access,
            "reading": "one a seed"
            if self.by_seed
            else "the same for all seeds: they vary the start and the keys",
            "bytes_a_call": self.bytes_a_call,
        }


def stream(source: Any, *, batches: int | None = None, bytes_a_call: int = BYTES) -> Stream:
    """Train on batches that a source makes, one a step.

        joc.stream(dataset)                       # dataset[step], a batch: Grain's MapDataset
        joc.stream(lambda step: ...)              # the same for all seeds
        joc.stream(lambda step, seed: ...)        # a reading a seed
        joc.stream(lambda seed: loader(seed))     # makes a source, or an iterable, for each seed

    A batch is a tree of arrays with one first axis, of the same shapes and dtypes at every step;
    for ``from_flax`` a pair (inputs, targets).  ``sweep``'s ``batch_size`` is the batches' own.

    A call of the program takes as many batches as ``bytes_a_call`` holds, and may be shorter than
    the steps between two evaluations; at most three such chunks are on a device at once.  Trials of
    a call are at one step and share its batches, so what all seeds read is read once.

    Args:
        source: has ``[step]``; or is a function whose arguments are called ``step`` and ``seed``,
            or ``seed`` alone, which makes a source for it; or an iterable of batches.
        batches: of an epoch, after which step s reads batch s modulo ``batches``; default the
            source's length.  Without a length, ``steps=`` and ``evaluate_every=`` are needed.
        bytes_a_call: as the device has them; more are faster where batches are small.

    What only goes forward (an iterable) begins anew where a trial begins, and a sweep of it cannot
    be resumed; a generator object begins once.

    Raises:
        TypeError: a source of no such kind.
        ValueError: the first batch is not one.
    """
    whole = lambda n: isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1
    if not whole(bytes_a_call):
        raise ValueError(f"bytes_a_call must be a whole number of bytes, not {bytes_a_call!r}")
    if batches is not None and not whole(batches):
        raise ValueError(f"batches must be a whole number of at least 1, not {batches!r}")
    opened, by_seed = _opener(source)
    probe = opened(0)
    random_access = hasattr(probe, "__getitem__")
    if not random_access and not hasattr(probe, "__iter__"):
        raise TypeError(f"a source has [step] or is iterable, and this is {type(probe).__name__}")
    length = int(batches) if batches is not None else _length(probe)
    iterator = None if random_access else iter(probe)
    try:
        raw = probe[0] if iterator is None else next(iterator)
    except (IndexError, KeyError, StopIteration) as error:
        raise ValueError(f"the source has no batch 0: {error!r}") from error
    if iterator is not None and iterator is probe and not by_seed:
        opened = _Once(itertools.chain([raw], iterator))
    raw = _batch_of(raw)
    first = data_checks.canonical(raw, "the stream's first batch", rounding=False)
    return Stream(opened, by_seed, random_access, length, raw, first, int(bytes_a_call))


class Reading:
    """The batches of one seed, as one device reads them."""

    def __init__(self, of: Stream) -> None:
        self.stream = of
        self._seed: int | None = None
        self._source: Any = None
        self._iterator: Iterator[Any] | None = None
        self._step = 0
        self._kind: Any = None  # the structure of the batches so far, as they come

    def source(self, seed: int, step: int) -> Any:
        """The batch as the source has it."""
        of, place = self.stream, step if self.stream.batches is None else step % self.stream.batches
        if self._source is None or (of.by_seed and seed != self._seed):
            self._source, self._seed, self._iterator = of.open(seed), seed, None
        if of.random_access:
            return self._source[place]
        if self._iterator is None or place < self._step:
            self._iterator, self._step = iter(self._source), 0
        while self._step < place:
            next(self._iterator)
            self._step += 1
        self._step += 1
        return next(self._iterator)

    def chunk(self, seed: int, start: int, count: int, size: int) -> Tree:
        """Batches ``start`` to ``start + count`` in arrays (size, B, ...); the rest is not set.

        Raises:
            ValueError: a batch that is unlike the first, or there is none; the message says which.
        """
        like = self.stream.first
        out = jax.tree.map(lambda x: np.empty((size, *x.shape), x.dtype), like)
        places = jax.tree.leaves(out)
        for i in range(count):
            self._put(places, i, seed, start + i)
        return out

    def batch(self, seed: int, step: int) -> Tree:
        """One batch, canonical."""
        return jax.tree.map(lambda x: x[0], self.chunk(seed, step, 1, 1))

    def _put(self, places: list[np.ndarray], i: int, seed: int, step: int) -> None:
        try:
            raw = self.source(seed, step)
        except (IndexError, KeyError, StopIteration) as error:
            raise ValueError(
                f"the stream has no batch {step}: give steps= within its length, or a source that "
                "goes on"
            ) from error
        leaves, kind = jax.tree.flatten(raw)
        known = (
            self._kind is not None
            and kind == self._kind
            and all(type(leaf) is np.ndarray for leaf in leaves)
        )
        if not known:  # the look that takes its time, once for arrays of one structure
            leaves = self._looked_at(raw, step)
            self._kind = kind
        for n, (place, leaf) in enumerate(zip(places, leaves, strict=True)):
            if leaf.shape != place.shape[1:] or not _is_kind(leaf, place):
                raise ValueError(
                    f"batch {step} of the stream{self._path(n)} is {leaf.dtype} {leaf.shape}, and "
                    f"the first was {place.dtype} {place.shape[1:]}: every step takes a batch of "
                    "one shape"
                )
            if _is_wide(leaf):
                raise ValueError(f"batch {step} of the stream{self._path(n)} does not fit in int32")
            place[i] = leaf

    def _looked_at(self, raw: Any, step: int) -> list[np.ndarray]:
        """The arrays of a batch of the right structure."""
        batch = _batch_of(raw)
        if self.stream.pairs and isinstance(batch, (tuple, list)) and len(batch) == 2:
            batch = _pair(batch)
        found, like = (jax.tree.structure(x) for x in (batch, self.stream.first))
        if found != like:  # type: ignore[operator]
            raise ValueError(f"batch {step} of the stream is {found}, and the first was {like}")
        return jax.tree.leaves(batch)

    def _path(self, n: int) -> str:
        return jax.tree_util.keystr(jax.tree.leaves_with_path(self.stream.first)[n][0])


class _Once:
    """The opener of an iterator, which can be gone through once."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator, self._begun = iterator, False

    def __call__(self, seed: int) -> "_Once":
        return self

    def __iter__(self) -> Iterator[Any]:
        if self._begun:
            raise ValueError(
                "a generator goes through once, and these trials read it again: give what makes "
                "it, joc.stream(lambda seed: generator())"
            )
        self._begun = True
        return self._iterator


def _opener(source: Any) -> tuple[Callable[[int], Any], bool]:
    """What opens a source for a seed, and whether seeds differ."""
    if hasattr(source, "__getitem__") or hasattr(source, "__iter__"):
        return lambda seed: source, False
    if not callable(source):
        raise TypeError(
            f"a stream's source has [step], is iterable or a function, not {type(source).__name__}"
        )
    names = set(inspect.signature(source).parameters)
    if names == {"step"}:
        return lambda seed: _Function(lambda step: source(step=step)), False
    if names == {"step", "seed"}:
        return lambda seed: _Function(lambda step: source(step=step, seed=seed)), True
    if names == {"seed"}:
        return lambda seed: source(seed=seed), True
    raise TypeError(
        "a stream's function takes step, step and seed, or seed alone, by these names, and this "
        f"takes {sorted(names)}"
    )


class _Function:
    """A function of the step as a source."""

    def __init__(self, function: Callable[[int], Any]) -> None:
        self._function = function

    def __getitem__(self, step: int) -> Any:
        return self._function(step)


def _length(source: Any) -> int | None:
    """The source's; None where it has none, or goes on for ever."""
    try:
        length = len(source)
    except (TypeError, OverflowError):
        return None
    return None if length >= min(sys.maxsize, 2**40) else int(length)


def _batch_of(raw: Any) -> Tree:
    """A batch with NumPy arrays; a list or tuple of plain numbers is an array."""
    numbers = lambda node: (
        isinstance(node, (list, tuple)) and all(np.ndim(x) == 0 for x in jax.tree.leaves(node))
    )
    return jax.tree.map(np.asarray, raw, is_leaf=numbers)


def _pair(batch: Any) -> dict[str, Any]:
    return {"inputs": batch[0], "targets": batch[1]}


def _is_kind(given: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether numbers become the wanted ones as those of the first batch did."""
    if given.dtype == wanted.dtype:
        return True
    if wanted.dtype.kind in "iu":
        return given.dtype.kind in "biu" and wanted.dtype != np.uint8
    return given.dtype.kind in "fV"


def _is_wide(leaf: np.ndarray) -> bool:
    """Whether whole numbers do not fit in int32."""
    if leaf.dtype.kind not in "iu" or leaf.dtype.itemsize < 4 or leaf.dtype == np.int32:
        return False
    return bool(leaf.size) and not (leaf.min() >= -(2**31) and leaf.max() < 2**31)


def examples_of(train: Any) -> int | None:
    """Examples of a train part; None for a stream without a length."""
    if isinstance(train, Stream):
        return None if train.batches is None else train.batches * train.batch_size
    return int(jax.tree.leaves(train)[0].shape[0])


def sample_of(train: Any) -> Tree:
    """A train part as arrays: itself, or the stream's first batch."""
    return train.first if isinstance(train, Stream) else train
