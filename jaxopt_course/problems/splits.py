"""Which examples each fold learns from and is validated on, by scikit-learn's splitters."""

import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

MANY = 0.05  # a share of a fold's rows: who leaves out more is told so at once


class Splits(NamedTuple):
    """The folds, all of one size; rows are numbered from 0, the train part's before valid's."""

    train: np.ndarray  # (n, folds), int32, rows in rising order
    valid: np.ndarray  # (m, folds), int32
    left_out: tuple[tuple[int, ...], ...]  # of each fold, the rows that were too many


def splits_of(
    folds: Any,
    examples: int,
    labels: np.ndarray | None,
    *,
    groups: Any = None,
    stratify: bool | None = None,
    repeats: int = 1,
    seed: int = 0,
) -> Splits:
    """The rows of each fold; see :func:`~jaxopt_course.problems.folded.folds` for the arguments.

    Args:
        folds: how many; a splitter of scikit-learn's; or pairs of rows (train, valid).
        examples: rows that there are.
        labels: (examples,), one whole number each, by which folds may be stratified.
        groups: (examples,), rows of one group are never on both sides.
        stratify: whether by ``labels``; default where each has a row for every fold.
        repeats: of the whole division, each with another shuffle.
        seed: of the shuffles.

    Raises:
        TypeError, ValueError: what makes no folds is named.
    """
    if groups is not None:
        groups = np.asarray(groups)
        if (gaps := pd.isna(groups)).any():
            raise ValueError(f"groups has no value in row {int(gaps.argmax())}; give each row one")
        if groups.shape != (examples,):
            raise ValueError(
                f"groups must hold one for each of the {examples} rows, those of the train part "
                f"before those of valid, not {groups.shape}"
            )
    if isinstance(folds, int | np.integer) and not isinstance(folds, bool):
        folds = _splitter(int(folds), examples, labels, groups, stratify, repeats, seed)
    elif stratify is not None or repeats != 1:
        raise ValueError("stratify= and repeats= are for a number of folds; a splitter has its own")
    if hasattr(folds, "split"):
        y = np.zeros(examples, np.int32) if labels is None else labels
        try:
            pairs = list(folds.split(np.zeros((examples, 1)), y, groups))
        except ValueError as error:
            raise ValueError(f"{folds!r} cannot split {examples} rows: {error}") from error
    elif isinstance(folds, Iterable) and not isinstance(folds, str):
        pairs = list(folds)
    else:
        raise TypeError(
            f"folds must be a number, a splitter of scikit-learn's or pairs of rows, not {folds!r}"
        )
    return _equal([_checked(i, pair, examples) for i, pair in enumerate(pairs)])


def _splitter(
    folds: int,
    examples: int,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    stratify: bool | None,
    repeats: int,
    seed: int,
) -> Any:
    from sklearn import model_selection as s

    if not 2 <= folds <= examples:
        raise ValueError(f"folds must be from 2 to the number of rows, {examples}, not {folds}")
    if isinstance(repeats, bool) or repeats != int(repeats) or repeats < 1:
        raise ValueError(f"repeats must be a whole number of at least 1, not {repeats!r}")
    if stratify and labels is None:
        raise ValueError("stratify=True needs targets that are one whole number an example")
    if stratify is None:
        counts = np.unique(labels, return_counts=True)[1] if labels is not None else [0]
        stratify = min(counts) >= folds
    if groups is not None:
        if repeats > 1:
            raise ValueError("repeats= does not go with groups=; give the pairs of rows")
        kind = s.StratifiedGroupKFold if stratify else s.GroupKFold
        return kind(folds, shuffle=True, random_state=seed)
    if repeats > 1:
        kind = s.RepeatedStratifiedKFold if stratify else s.RepeatedKFold
        return kind(n_splits=folds, n_repeats=int(repeats), random_state=seed)
    return (s.StratifiedKFold if stratify else s.KFold)(folds, shuffle=True, random_state=seed)


def _checked(number: int, pair: Any, examples: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of one fold, each side in rising order."""
    if not (isinstance(pair, tuple | list) and len(pair) == 2):
        raise TypeError(f"fold {number} must be a pair of rows (train, valid), not {pair!r}")
    sides = []
    for side, rows in zip(("train", "valid"), pair, strict=True):
        array = np.asarray(rows)
        if array.dtype == bool and array.shape == (examples,):
            array = np.flatnonzero(array)
        if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu":
            raise ValueError(f"fold {number} has no rows to {side}: {rows!r}")
        if array.min() < 0 or array.max() >= examples:
            raise ValueError(f"fold {number}: {side} has rows beyond 0 to {examples - 1}")
        sides.append(np.unique(array))
        if len(sides[-1]) < len(array):
            raise ValueError(f"fold {number}: {side} has a row twice")
    if len(both := np.intersect1d(sides[0], sides[1])):
        raise ValueError(f"fold {number} trains on rows that it is validated on, as {both[0]}")
    return sides[0], sides[1]


def _equal(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Splits:
    """All folds cut to the size of the smallest, evenly over their rows."""
    if not pairs:
        raise ValueError("there is no fold")
    sizes = [min(len(pair[side]) for pair in pairs) for side in (0, 1)]
    kept: list[list[np.ndarray]] = [[], []]
    left = []
    for pair in pairs:
        gone: list[int] = []
        for side, size in enumerate(sizes):
            rows = pair[side]
            extra = np.linspace(0, len(rows) - 1, len(rows) - size + 2)[1:-1].round().astype(int)
            kept[side].append(np.delete(rows, extra).astype(np.int32))
            gone += rows[extra].tolist()
        left.append(tuple(sorted(gone)))
    most = max(len(gone) / (len(gone) + sum(sizes)) for gone in left)
    if most > MANY:
        counts = [[len(pair[side]) for pair in pairs] for side in (0, 1)]
        were = [f"{min(n)} to {max(n)}" for n in counts]
        warnings.warn(
            f"the folds have {were[0]} rows to train on and {were[1]} to validate on; all are cut "
            f"to {sizes[0]} and {sizes[1]}, and up to {most:.0%} of a fold's rows are left out: "
            "see task.folds.left_out",
            stacklevel=4,
        )
    return Splits(np.stack(kept[0], axis=1), np.stack(kept[1], axis=1), tuple(left))
