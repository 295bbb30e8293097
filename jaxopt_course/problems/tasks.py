"""What a trial minimises: a network, a loss, data in three parts, and what is measured."""

import dataclasses
import functools
import hashlib
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxopt_course.problems import asking, checks, data_checks, trees
from jaxopt_course.problems.datasets import PARTS, Arrays
from jaxopt_course.problems.losses import Metric
from jaxopt_course.problems.missing import Missing
from jaxopt_course.problems.streams import Stream, examples_of, sample_of
from jaxopt_course.tree import Tree


class Folds(NamedTuple):
    """How a task is divided for cross-validation; see :func:`folds`."""

    column: str  # of the table, that says which fold
    number: int  # of folds; they are 0, 1, ...
    left_out: tuple[tuple[int, ...], ...]  # of each fold the rows that it does without


Refit = Callable[[Sequence[tuple[Any, Any]]], tuple["Task", Sequence[Mapping[str, Tree]]]]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Task:
    """A problem as pure functions and arrays; it knows no optimizer and no sweep.

    Build one from a Flax module with :meth:`from_flax`, take a ready one with :func:`load_task`, or
    give the three functions yourself.  They are traced, so they must be pure JAX; data reach them
    as arguments only.  Each may ask for the row's numbers by an argument ``h``:
    ``def loss(params, model_state, batch, key, h): ... h["smoothing"]``.  They are traced, so one
    program serves all values of a column; what the loss reads for training alone, ``evaluate``
    should not, as scores are compared between rows.

    Args:
        name: a word for tables and directories.
        init: ``key -> (params, model_state)``, trees of arrays; weak types (``jnp.asarray(0.0)``)
            are made strong.  ``model_state`` is what training changes without a gradient
            (BatchNorm's averages); ``{}`` where there is none.
        loss: ``(params, model_state, batch, key) -> (mean loss, (model_state, metrics))``; the mean
            is a scalar, the state keeps its structure, shapes and dtypes (weak types are made
            strong here too).  ``metrics`` is a dict of scalars, recorded as ``train_<name>``, or
            ``{}``.
        evaluate: ``(params, model_state, data) -> metrics``, a dict of scalars that has "loss" and
            every name in ``metrics``; without dropout and with BatchNorm's averages.
        train: what is learned from: a tree of arrays whose first axis counts examples; or a
            :func:`~jaxopt_course.problems.streams.stream` of such batches.
        valid: what trials are chosen by; the structure and example shapes of ``train``.
        test: what is looked at once, when all is chosen.
        metrics: name -> "min" or "max", which way is better; the first one chooses by default.
        split_seed: the seed that split the data; None where the parts were given.
        description: one line for ``jaxopt-course tasks``.
        about: what a report says of the data, as JSON has it: see
            :func:`~jaxopt_course.problems.tables.table_task`.
        uint8: whether arrays of bytes stay so, a quarter of the memory in every copy of the data.
            The functions must take them: ``x - 128`` of a uint8 is a uint8, and wraps around.
        shared: a tree of arrays of any shapes and of their own dtypes that all lanes read and none
            copies, as base weights, a graph, tokens or features: ``loss`` and ``evaluate`` get it
            if their signature has an argument ``shared``.  It is an argument of the program, not
            text in it.  64 bits become 32; a memmap is read when a sweep begins.
        validations: name -> further data like ``valid``, measured as it is: metrics
            ``valid_<name>_<metric>``.  ``valid`` stays what divergence and ``best_valid_loss`` are
            told by; ``metric="valid_<name>_<metric>"`` chooses by another.

        folds: how the data are divided, where a column says which fold is meant.
        refit: from rows (train, valid) of several folds, numbered as in the train part and then in
            valid, to the task and each fold's parts, with all that was fitted on the train part
            fitted on the fold's; None where nothing was.

    Arrays are kept as read-only NumPy arrays, integers and booleans as int32, reals as float32;
    where the caller could change them in place, as copies (a memmap stays one).

    Raises:
        ValueError: an empty part, first axes that differ, values that are not finite or do not
            fit, a metric's direction other than min or max, no "loss" among the metrics, or
            functions whose results do not have the shapes above; the message names which.
        TypeError: an array that is not of numbers, or is sparse.
    """

    name: str
    init: Callable[[jax.Array], tuple[Tree, Tree]]
    loss: Callable[[Tree, Tree, Tree, jax.Array], tuple[jax.Array, tuple[Tree, dict[str, Any]]]]
    evaluate: Callable[[Tree, Tree, Tree], dict[str, jax.Array]]
    train: Tree
    valid: Tree
    test: Tree
    metrics: Mapping[str, str]
    split_seed: int | None = 0
    description: str = ""
    uint8: bool = False
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    shared: Tree = ()
    validations: Mapping[str, Tree] = dataclasses.field(default_factory=dict)
    folds: Folds | None = None
    refit: Refit | None = None

    def __post_init__(self) -> None:
        """Make the arrays canonical and check everything that can be checked without running."""
        checks.directions(self.metrics)
        object.__setattr__(self, "metrics", dict(self.metrics))
        object.__setattr__(self, "shared", data_checks.shared(self.shared))
        for part in PARTS:
            data = getattr(self, part)
            if isinstance(data, Stream) and part == "train":
                made: Any = data.with_bytes(self.uint8)
            else:
                made = data_checks.canonical(data, part, self.uint8)
            object.__setattr__(self, part, made)
        for part in PARTS[1:]:
            data_checks.alike(self.sample, getattr(self, part), part)
        more = data_checks.further(self.validations, self.sample, self.uint8)
        object.__setattr__(self, "validations", more)
        if self.asks.columns is not None:  # else they are checked with the rows of a table
            self.check()
        self._strengthen()

    def check(self, row: asking.Row | None = None) -> None:
        """Trace the three functions on shapes: do they return what they should?

        Args:
            row: shapes of a row's numbers, or plain ones, where the functions ask for them.

        Raises:
            ValueError: they do not; see the class.
        """
        given = self.init, self.loss, self.evaluate, self.sample, self.valid, self.metrics
        taken = {f"{part}_{name}" for part in self.validations for name in self.metrics}
        checks.functions(*given, row, self.shared, taken)

    @functools.cached_property
    def asks(self) -> asking.Asks:
        """What the three functions ask for."""
        own = ((self.init, 1), (self.loss, 4), (self.evaluate, 3))
        return functools.reduce(operator.or_, (asking.asks_of(*one) for one in own))

    def _strengthen(self) -> None:
        """Wrap ``init`` and ``loss`` where they return weak types, or where it is not known."""
        init, loss, key = self.init, self.loss, checks.any_key()
        unknown = self.asks.columns is None
        if unknown or checks.is_weak(init, key):
            object.__setattr__(self, "init", _strong(init))
        start = () if unknown else jax.eval_shape(init, key)
        offered = lambda shared, *given: asking.call(loss, *given, shared=shared)
        if unknown or checks.is_weak(offered, self.shared, *start, self.sample, key):
            object.__setattr__(self, "loss", _strong(loss))

    @property
    def directions(self) -> dict[str, str]:
        """All that is measured for validation, and which way is better: also ``<set>_<metric>``."""
        more = {
            f"{part}_{name}": way for part in self.validations for name, way in self.metrics.items()
        }
        return dict(self.metrics) | more

    @property
    def sample(self) -> Tree:
        """The train part as arrays: itself, or the first batch of a stream."""
        return sample_of(self.train)

    @property
    def examples(self) -> dict[str, int | None]:
        """How many examples each part has: ``{"train": ..., "valid": ..., "test": ...}``.

        None for a stream without a length.
        """
        return {part: examples_of(getattr(self, part)) for part in PARTS}

    @functools.cached_property
    def split_sha256(self) -> str:
        """SHA-256, in hex, of the data: names, shapes, dtypes and values.

        Of the three parts, then of ``validations`` and ``shared`` where there are any; of a stream
        its first batch alone.
        """
        digest = hashlib.sha256()
        for part in (*PARTS, "validations", "shared"):
            for path, leaf in jax.tree.leaves_with_path(sample_of(getattr(self, part))):
                what = f"{part}{jax.tree_util.keystr(path)} {leaf.dtype.name} {leaf.shape}\n"
                digest.update(what.encode())
                for rows in trees.pieces(leaf):
                    digest.update(rows.astype(rows.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        """Name, sizes and metrics; the arrays stay out."""
        return f"Task({self.name!r}, examples={self.examples}, metrics={self.metrics})"

    @classmethod
    def from_flax(
        cls,
        module: Any,
        inputs: Any,
        targets: Any = None,
        *,
        loss: str | Callable[..., jax.Array],
        evaluate_loss: str | Callable[..., jax.Array] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        valid: Arrays | None = None,
        test: Arrays | None = None,
        name: str = "task",
        split_seed: int = 0,
        stratify: bool | None = None,
        standardize: bool = False,
        evaluate_chunk: int = 2048,
        description: str = "",
        uint8: bool = False,
        shared: Tree = (),
        validations: Mapping[str, Arrays] | None = None,
        missing: Missing | None = None,
    ) -> "Task":
        """Build a task from a Flax module and arrays.

        >>> import numpy as np
        >>> from flax import nnx
        >>> from jaxopt_course.problems.tasks import Task
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> Task.from_flax(lambda rngs: nnx.Linear(3, 2, rngs=rngs), x, (x[:, 0] > 0).astype(int),
        ...                loss="softmax_cross_entropy", name="sign")
        Task('sign', examples={'train': 30, 'valid': 10, 'test': 10}, \
metrics={'accuracy': 'max', 'loss': 'min'})

        Parameters and model state are nested dicts of arrays.  In ``loss`` the module trains: its
        BatchNorm uses the batch and moves its averages, its dropout draws from the step's key
        alone.  In ``evaluate`` it does neither.  An NNX module's plain arrays are model state.
        Outputs of less than float32 become float32 before the loss and the metrics.

        A ``__call__`` with a keyword ``train``, ``training``, ``is_training``, ``deterministic`` or
        ``use_running_average`` is told which; an NNX module is also put in ``train()`` or
        ``eval()`` mode, which overrides flags set on its layers.

        Args:
            module: a ``flax.linen`` module, or a function ``rngs -> flax.nnx module``.
            inputs: (n, ...), what the module is called with, a batch at a time; or any tree of
                such arrays, as {"category": (n,), "numbers": (n, 3)} or a tuple, which reaches the
                module as it is.  Or :func:`stream`, whose batches are pairs (inputs, targets),
                without targets and with ``valid`` and ``test``.  Or :func:`windows` of tokens,
                without targets, valid and test; its metrics are means over ``evaluate_chunk``
                windows at a time, and the loss chooses.
            targets: (n, ...); or a tree, for a loss of one's own.
            loss: "softmax_cross_entropy" (logits (B, ..., C), integer targets (B, ...)),
                "sigmoid_binary_cross_entropy" (logits (B,) or (B, 1), targets 0 or 1),
                "squared_error" (mean over all elements), or a function of (outputs, targets) that
                returns one loss an example, (B,), or a pair of those and a dict of what it measures
                beside them (scalars, or one value an example), recorded as ``train_<name>``.  A
                function gets whatever the module returns, a tree as well, and so do ``metrics``.
                The named ones accept outputs and targets that differ by a last axis of one, and no
                other difference: nothing is broadcast.  A function may take the row's numbers too,
                as may the module's call: ``lambda outputs, targets, h: ... h["smoothing"]``.
            evaluate_loss: what is measured as "loss", in place of ``loss``: where that reads
                columns, the same without what is for training only.  Trials that differ in columns
                that a metric reads are not chosen by it.
            metrics: name -> (function of all (outputs, targets) to a scalar, "min" or "max"), in
                place of the loss's own: accuracy; accuracy, F1 and AUC; R².  Outputs come in the
                shape of the targets where the named losses match them, and where a function would
                otherwise broadcast (B, 1) against (B,).  "loss" is always measured.
            valid: (inputs, targets) to choose by; with ``test``, in place of the split.
            test: (inputs, targets).
            name: a word for tables and directories.
            split_seed: seeds the 60/20/20 split.
            stratify: keep the classes' shares in each part; needs one target an example.  Default:
                where there is one, for the two cross-entropies and for integer targets of a loss
                of one's own.
            standardize: inputs to mean 0 and deviation 1 by feature, as measured on the train
                part; in a tree the leaves of real numbers, and not the whole ones, categories.
            evaluate_chunk: examples that ``evaluate`` passes through the network at a time, which
                bounds the memory that many lanes need at once.
            description: one line.
            uint8: whether inputs that are bytes reach the module as bytes; see :class:`Task`.
            shared: arrays that all lanes read; the module's ``__call__``, the loss and the metrics
                get them if their signature has an argument ``shared``; see :class:`Task`.
            validations: name -> (inputs, targets), further sets to measure on; see :class:`Task`.
            missing: what fills NaN in inputs, as measured on the train part: "mean", "zero" or
                "indicator" (the mean, and a 0/1 column behind the features for each that has gaps
                in the train part); default none, which refuses NaN.

        Metrics are NaN where any output is, so that a network that broke down is not given the
        accuracy of always answering the first class.

        Raises:
            ValueError: as for :class:`Task`; an unknown loss; outputs and targets that cannot be
                matched (both shapes are named); labels out of range; too few examples of a class; a
                module that hides an array in an object that is no pytree.
            TypeError: a module that is neither kind, one that returns anything but one array, or
                sparse inputs or targets.
        """
        from jaxopt_course.problems.flax_tasks import ingredients
        from jaxopt_course.problems.refit import fitted_anew

        made = ingredients(
            module,
            inputs,
            targets,
            loss=loss,
            evaluate_loss=evaluate_loss,
            metrics=metrics,
            evaluate_chunk=evaluate_chunk,
            valid=valid,
            test=test,
            split_seed=split_seed,
            stratify=stratify,
            standardize=standardize,
            uint8=uint8,
            shared=shared,
            validations=validations,
            missing=missing,
        )
        task = cls(name=name, description=description, uint8=uint8, **made.fields)
        made.check_labels()
        if not (standardize or missing):
            return task
        raw = inputs, targets, valid, test, validations
        return fitted_anew(task, *raw, split_seed, made.stratify, standardize, missing)


def _strong(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its results without weak types; it asks for what it asked for."""

    @functools.wraps(function)
    def made(*given: Any, **offered: Any) -> Any:
        return checks.strong(function(*given, **offered))

    return made
