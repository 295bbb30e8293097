"""Windows of one long sequence of tokens, for language models and forecasts.

    task = joc.Task.from_flax(model, joc.windows(tokens, 256), loss="softmax_cross_entropy")

An example is a position, and the tokens, in their own dtype, are what all lanes read: one copy a
device, none a lane.  A window of length L at position p is

    inputs = tokens[p : p + L],    targets = tokens[p + 1 : p + L + 1]

For training the positions are 0, L, 2L, …, and each time that one is drawn, its window begins up to
L - 1 tokens later, by the step's key; so an epoch reads about every token once, and every epoch
cuts other windows.  For validation and test the windows lie side by side and never change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.problems import trees
from jaxopt_course.problems.asking import Asks, asks_of, call, declare
from jaxopt_course.problems.data_checks import dense
from jaxopt_course.tree import Tree

OWN_KEY = 2**32 - 1  # folded into the step's key: a network's streams fold in small numbers


@dataclass(frozen=True, eq=False, repr=False)
class Windows:
    """What :func:`windows` makes; also for a :class:`Task` of one's own.

    Attributes:
        length: L, tokens of a window.
        train: ``{"start": (m,) int32}``, positions; ``valid`` and ``test`` likewise.
        valid: positions of the windows to choose by.
        test: positions of the windows to report.
        shared: ``{"tokens": (n, ...)}``, for ``Task(shared=)``.
    """

    length: int
    train: dict[str, np.ndarray]
    valid: dict[str, np.ndarray]
    test: dict[str, np.ndarray]
    shared: dict[str, np.ndarray]

    def __repr__(self) -> str:
        """The sizes; the tokens stay out."""
        sizes = {part: len(getattr(self, part)["start"]) for part in ("train", "valid", "test")}
        return f"windows(length={self.length}, {sizes}, tokens={self.shared['tokens'].dtype})"

    def read(self, batch: Tree, shared: Tree, key: jax.Array | None = None) -> dict[str, Any]:
        """A batch of positions as ``{"inputs": (B, L, ...), "targets": (B, L, ...)}``.

        Whole tokens become int32, real ones float32.

        Args:
            batch: ``{"start": (B,)}``.
            shared: ``{"tokens": ...}``.
            key: of a training step, for windows that begin later; None for those of evaluation.
        """
        starts, tokens = jnp.asarray(batch["start"]), jnp.asarray(shared["tokens"])
        if key is not None:
            own = jax.random.fold_in(key, OWN_KEY)
            starts = starts + jax.random.randint(own, starts.shape, 0, self.length)
        both = tokens[starts[:, None] + jnp.arange(self.length + 1)[None]]
        both = both.astype(jnp.float32 if jnp.issubdtype(tokens.dtype, jnp.floating) else jnp.int32)
        return {"inputs": both[:, :-1], "targets": both[:, 1:]}

    def example(self) -> np.ndarray:
        """Inputs of one window, as shapes and dtypes go."""
        tokens = self.shared["tokens"]
        dtype = np.float32 if trees.is_floating(tokens) else np.int32
        return np.zeros((1, self.length, *tokens.shape[1:]), dtype)

    def around(
        self,
        loss: Callable[..., Any],
        evaluate: Callable[..., Any],
        chunk: int,
        perplexity: bool = False,
    ) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Functions of positions, from functions of windows.

        ``evaluate`` is called on ``chunk`` windows at a time, since the outputs of all may not fit
        in memory, and what it measures is averaged over the windows; ``perplexity`` is exp of that
        loss.
        """

        def on_positions(
            params: Tree, state: Tree, batch: Tree, key: jax.Array, **more: Any
        ) -> Any:
            batch = self.read(batch, more["shared"], key)
            own = more | {"shared": more["shared"]["own"]}
            return call(loss, params, state, batch, key, **own)

        def in_chunks(params: Tree, state: Tree, data: Tree, **more: Any) -> dict[str, jax.Array]:
            shared, own = more["shared"], more | {"shared": more["shared"]["own"]}
            measure = lambda starts: call(
                evaluate, params, state, self.read({"start": starts}, shared), **own
            )
            starts = data["start"]
            chunks, rest = divmod(len(starts), chunk)
            sums = []
            if chunks:
                whole = jnp.reshape(starts[: chunks * chunk], (chunks, chunk))
                each = jax.lax.map(measure, whole)
                sums.append(jax.tree.map(lambda x: chunk * jnp.sum(x), each))
            if rest:
                last = measure(starts[chunks * chunk :])
                sums.append(jax.tree.map(lambda x: rest * x, last))
            values = jax.tree.map(lambda *parts: sum(parts) / len(starts), *sums)
            return values | ({"perplexity": jnp.exp(values["loss"])} if perplexity else {})

        reads = Asks(frozenset({"shared"}))
        return (
            declare(on_positions, asks_of(loss, 4) | reads),
            declare(in_chunks, asks_of(evaluate, 3) | reads),
        )


def windows(
    tokens: Any, length: int, *, valid: float | Any = 0.1, test: float | Any = 0.1
) -> Windows:
    """Windows of ``length`` tokens, random ones to train on, fixed ones to validate and test.

    Args:
        tokens: (n, ...), of any dtype, an array or an ``np.memmap``, which is read when a sweep
            begins; uint16 stays uint16. 64 bits become 32.
        length: L; a window needs L + 1 tokens, since the targets are the tokens that follow.
        valid: the share of the tokens, from their end and before those of the test part, for
            validation; or tokens of their own, as of another file.
        test: the share at the very end for the test part; or tokens of their own.

    Tokens of their own are joined with the others in memory.  Where ``valid`` and ``test`` are
    shares, nothing is copied.

    Raises:
        TypeError: tokens that are no numbers.
        ValueError: too few tokens for a part, or more than 2³¹.
    """
    if isinstance(length, bool) or not isinstance(length, (int, np.integer)) or length < 1:
        raise ValueError(f"length must be a whole number of at least 1, not {length!r}")
    length = int(length)
    whole = dense("tokens", tokens)
    if whole.ndim == 0 or whole.dtype.kind not in "biufV":
        raise TypeError(f"tokens must be an array of numbers, not {whole.dtype} {whole.shape}")
    left, cut = len(whole), dict[str, tuple[int, int]]()
    further: list[np.ndarray] = []
    for part, asked in (("test", test), ("valid", valid)):
        if isinstance(asked, (int, float, np.number)):
            if not 0 < asked < 1:
                raise ValueError(f"{part} must be a share between 0 and 1, not {asked!r}")
            size = int(asked * len(whole))
            left -= size
            cut[part] = (left, left + size)
    ends = {"train": (0, left), **cut}
    for part, asked in (("valid", valid), ("test", test)):
        if part not in ends:
            own = dense(part, asked)
            if own.shape[1:] != whole.shape[1:] or own.dtype != whole.dtype:
                raise ValueError(
                    f"{part} has tokens {own.dtype} {own.shape[1:]}, the others are {whole.dtype} "
                    f"{whole.shape[1:]}"
                )
            begin = len(whole) + sum(len(x) for x in further)
            ends[part] = (begin, begin + len(own))
            further.append(own)
    everything = np.concatenate([whole, *further]) if further else whole
    if len(everything) > 2**31 - 1:
        raise ValueError(
            f"tokens are {len(everything):,}, more than 2**31: take fewer, or a stream"
        )
    counts = {"train": (ends["train"][1] - ends["train"][0]) // length - 1}
    counts |= {p: (ends[p][1] - ends[p][0] - 1) // length for p in ("valid", "test")}
    if few := [part for part, count in counts.items() if count < 1]:
        part, least = few[0], 2 * length if few[0] == "train" else length + 1
        there = ends[part][1] - ends[part][0]
        raise ValueError(
            f"the {part} part has {there:,} tokens, and windows of {length} need {least:,}"
        )
    starts = {
        part: {"start": (ends[part][0] + length * np.arange(count)).astype(np.int32)}
        for part, count in counts.items()
    }
    return Windows(length, **starts, shared={"tokens": everything})
