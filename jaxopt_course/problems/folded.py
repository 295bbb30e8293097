"""Cross-validation: the fold is a column that is data, so all folds are one program.

The examples stand on the device once; a fold is a column of an array of row numbers, and the row's
number ``h["fold"]`` says which.  What a fold computes is what a task of its rows alone computes.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.problems import asking
from jaxopt_course.problems.datasets import PARTS
from jaxopt_course.problems.splits import Splits, splits_of
from jaxopt_course.problems.streams import Stream
from jaxopt_course.problems.tasks import Folds, Task
from jaxopt_course.tree import Tree

ROUNDING = 1e-4  # within which scaled data may stand once, with a mean and a scale a fold


def folds(
    task: Task | str,
    folds: Any = 5,
    *,
    groups: Any = None,
    stratify: bool | None = None,
    repeats: int = 1,
    seed: int = 0,
    column: str = "fold",
) -> Task:
    """The task in folds: its train and valid parts divided anew, by a column of the table.

        folded = joc.folds("digits", 5)
        trials = joc.grid(optimizer="adam", learning_rate=[1e-3, 1e-2], fold=range(5))
        study = joc.sweep(folded, trials, replicates=["fold"], epochs=20)

    The test part lies outside all folds and is measured by each.  What was fitted on the train
    part (means and deviations of ``standardize=True``, fillings of gaps, a table's categories and
    the scale of its target) is fitted anew on each fold's own rows.  Rows are numbered from 0:
    those of the train part, then those of valid; a fold's are in rising order.

    All folds have one size.  Those of a larger one that are too many, evenly over its rows, are
    left out: see ``task.folds.left_out``, and the manifest.

    Args:
        task: to divide, or its name.
        folds: how many, k; a splitter of scikit-learn's, as ``LeaveOneGroupOut()``; or pairs of
            arrays of rows (train, valid).
        groups: (n,), rows of one group are never in both; k ``GroupKFold`` or
            ``StratifiedGroupKFold``.
        stratify: whether each fold keeps the shares of the classes (``StratifiedKFold``); default
            where targets are one whole number an example and each class has at least k.
        repeats: times that k folds are made, each with another shuffle: the column goes from 0 to
            k * repeats - 1.
        seed: of the shuffles.
        column: the name of the column.

    Raises:
        TypeError, ValueError: what makes no folds is named; a task that is in folds by a column of
            this name; what was fitted has other shapes in some folds.
    """
    from jaxopt_course.problems.catalog import task_of

    task = task_of(task)
    if task.folds is not None:
        raise ValueError(f"the task {task.name!r} is in folds already")
    if isinstance(task.train, Stream):
        raise ValueError("a stream has no rows to divide; give the arrays")
    if not column.isidentifier() or column in ("seed", "optimizer"):
        raise ValueError(f"column must be a name of its own, not {column!r}")
    parts = {part: getattr(task, part) for part in PARTS} | dict(task.validations)
    sizes = {part: len(jax.tree.leaves(data)[0]) for part, data in parts.items()}
    examples = sizes["train"] + sizes["valid"]
    how = {"groups": groups, "stratify": stratify, "repeats": repeats, "seed": seed}
    labels = _labels(task)
    found = splits_of(folds, examples, labels, **how)
    if labels is not None and "accuracy" in task.directions:
        _warn_of_rare(labels, folds, stratify)
    count = found.train.shape[1]
    fitted: Sequence[Any] = ()
    if task.refit is not None:
        task, fitted = task.refit([(found.train[:, i], found.valid[:, i]) for i in range(count)])
        parts = {part: getattr(task, part) for part in PARTS} | dict(task.validations)
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    rows = {"train": found.train, "valid": found.valid}
    for part in list(sizes)[2:]:
        own = np.arange(starts[part], starts[part] + sizes[part], dtype=np.int32)
        rows[part] = np.repeat(own[:, None], count, axis=1)
    pool = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts.values())
    examples_of = Examples.of(pool, rows, fitted)
    return _in_folds(task, column, found, rows, examples_of)


class Examples(NamedTuple):
    """The data of all folds: ``x[row]``, ``(x[row] - mean[fold]) / scale[fold]``, or of its own."""

    pool: dict[str, np.ndarray]  # (rows, ...), by the leaf's number
    own: dict[str, np.ndarray]  # (folds, rows, ...), of leaves that folds have differently
    mean: dict[str, np.ndarray]  # (folds, ...), of leaves of the pool that folds scale
    scale: dict[str, np.ndarray]

    @classmethod
    def of(cls, pool: Tree, rows: dict[str, np.ndarray], fitted: Sequence[dict[str, Tree]]) -> Any:
        """As little as says the same: a leaf once, if folds have it alike or scaled.

        Args:
            pool: the parts of the task, one after the other.
            rows: of each part (n, folds).
            fitted: of each fold its parts, where folds may differ.
        """
        found = cls({}, {}, {}, {})
        for number, leaf in enumerate(jax.tree.leaves(pool)):
            key = str(number)
            folds = [
                {part: jax.tree.leaves(data)[number] for part, data in one.items()}
                for one in fitted
            ]
            place = [{part: rows[part][:, i] for part in one} for i, one in enumerate(folds)]
            if _agree(folds, [_each(p, lambda r, leaf=leaf: leaf[r]) for p in place], 0.0):
                found.pool[key] = leaf
                continue
            scaled = [_scaled(leaf, rows["train"][:, i]) for i in range(len(folds))]
            moved = [
                _each(p, lambda r, leaf=leaf, m=mean, s=scale: (leaf[r] - m) / s)
                for p, (mean, scale) in zip(place, scaled, strict=True)
            ]
            if np.issubdtype(leaf.dtype, np.floating) and _agree(folds, moved, ROUNDING):
                found.pool[key] = leaf
                found.mean[key] = np.stack([mean for mean, _ in scaled])
                found.scale[key] = np.stack([scale for _, scale in scaled])
                continue
            shape = (len(folds), *leaf.shape)
            own = found.own[key] = np.zeros(shape, folds[0]["train"].dtype)
            for i, one in enumerate(folds):
                for part, values in one.items():
                    own[i, rows[part][:, i]] = values
        return found

    def take(self, rows: Any, fold: Any) -> list[Any]:
        """The leaves of these examples, as the fold has them."""
        leaves: list[Any] = []
        for key in sorted({*self.pool, *self.own}, key=int):
            if key in self.own:
                leaves.append(self.own[key][fold, rows])
                continue
            leaf = self.pool[key][rows]
            if key in self.mean:
                leaf = (leaf - self.mean[key][fold][None]) / self.scale[key][fold][None]
            leaves.append(leaf)
        return leaves


def _each(place: dict[str, np.ndarray], function: Callable[..., Any]) -> dict[str, np.ndarray]:
    return {part: function(rows) for part, rows in place.items()}


def _agree(folds: Sequence[Any], others: Sequence[Any], rounding: float) -> bool:
    """Whether all parts of all folds are these, up to rounding."""
    return all(
        np.allclose(one[part], other[part], rounding, rounding)
        if rounding
        else np.array_equal(one[part], other[part])
        for one, other in zip(folds, others, strict=True)
        for part in one
    )


def _scaled(leaf: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation over a fold's training rows, as ``datasets.standardize`` has them."""
    if not np.issubdtype(leaf.dtype, np.floating):
        return np.zeros(()), np.ones(())
    mean, std = leaf[rows].mean(0, np.float64), leaf[rows].std(0, np.float64)
    return mean.astype(np.float32), np.where(std > 0, std, 1.0).astype(np.float32)


def _warn_of_rare(labels: np.ndarray, folds: Any, stratify: bool | None) -> None:
    """Say of classes that not every fold can have, for which no fold keeps the shares of any."""
    known, counts = np.unique(labels, return_counts=True)
    if stratify is not None or not isinstance(folds, int | np.integer) or min(counts) >= folds:
        return
    few = [f"{label} ({n})" for label, n in zip(known, counts, strict=True) if n < folds]
    more = f" and {len(few) - 5} more" if len(few) > 5 else ""
    warnings.warn(
        f"classes with fewer rows than the {folds} folds: {', '.join(few[:5])}{more}; so the folds "
        "do not keep the shares of the classes, and some may lack one: take fewer folds, or "
        "stratify=True to spread the others evenly (stratify=False as now, without a warning)",
        stacklevel=3,
    )


def _labels(task: Task) -> np.ndarray | None:
    """Targets of the rows, where they are one whole number an example."""
    if not (isinstance(task.train, dict) and "targets" in task.train):
        return None
    parts = [task.train["targets"], task.valid["targets"]]
    if not all(isinstance(x, np.ndarray) for x in parts):
        return None
    whole = np.concatenate(parts)
    single = whole.shape[:1] == (whole.size,) and np.issubdtype(whole.dtype, np.integer)
    return whole.reshape(-1) if single else None


def _in_folds(
    task: Task, column: str, found: Splits, rows: dict[str, np.ndarray], examples: Examples
) -> Task:
    """The task whose data are row numbers, and whose functions look the examples up."""
    structure = jax.tree.structure(task.train)
    asks = {"loss": asking.asks_of(task.loss, 4), "evaluate": asking.asks_of(task.evaluate, 3)}

    def look_up(data: Tree, h: Any, shared: Tree) -> Tree:
        fold = 0 if h is None else jnp.asarray(h[column], jnp.int32)
        rows = data["row"][:, fold]
        return jax.tree.unflatten(structure, Examples(*shared["examples"]).take(rows, fold))

    def given(name: str, offered: dict[str, Any]) -> dict[str, Any]:
        own = {"h": offered.get("h"), "shared": offered["shared"]["task"]}
        return {what: own[what] for what in asks[name].names}

    def loss(params: Tree, model_state: Tree, batch: Tree, key: Any, **offered: Any) -> Any:
        own = look_up(batch, offered.get("h"), offered["shared"])
        return task.loss(params, model_state, own, key, **given("loss", offered))

    def evaluate(params: Tree, model_state: Tree, data: Tree, **offered: Any) -> Any:
        own = look_up(data, offered.get("h"), offered["shared"])
        return task.evaluate(params, model_state, own, **given("evaluate", offered))

    both = asking.Asks(frozenset({"h", "shared"}), frozenset({column}))
    data = {part: {"row": numbers} for part, numbers in rows.items()}
    count = found.train.shape[1]
    return Task(
        name=task.name,
        init=task.init,
        loss=asking.declare(loss, asks["loss"] | both),
        evaluate=asking.declare(evaluate, asks["evaluate"] | both),
        train=data["train"],
        valid=data["valid"],
        test=data["test"],
        metrics=task.metrics,
        split_seed=task.split_seed,
        description=task.description,
        uint8=task.uint8,
        about=task.about,
        shared={"examples": tuple(examples), "task": task.shared},
        validations={name: data[name] for name in task.validations},
        folds=Folds(column, count, found.left_out),
    )
