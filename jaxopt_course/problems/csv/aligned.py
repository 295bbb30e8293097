"""A table prepared for several divisions of its rows, with the same inputs in each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.problems.csv import prepared
from jaxopt_course.problems.csv.prepared import Prepared
from jaxopt_course.problems.datasets import PARTS


class Aligned(NamedTuple):
    """One shape for all: the table as it was split, and the parts of each fold."""

    whole: Prepared
    folds: list[dict[str, dict[str, np.ndarray]]]  # part -> inputs, targets
    baseline: dict[str, Any]  # of the whole, its scores the means over the folds


def prepare_all(
    table: pd.DataFrame,
    target: str,
    folds: Sequence[Mapping[str, np.ndarray]],
    how: Mapping[str, Any],
    whole: Prepared,
) -> Aligned:
    """Fit the preparation on the training rows of each fold; an input that one lacks is 0 there.

    A category that is in no training row of a fold is 0 in all of its rows, as one that the train
    part of a plain task does not have.

    Args:
        table: as it was given.
        target: the column to predict.
        folds: of each the rows of its three parts.
        how: the other arguments of ``prepare``.
        whole: as it was split.

    Raises:
        ValueError: as ``prepare``; the error says of which fold.
    """
    found = []
    for number, rows in enumerate(folds):
        try:
            found.append(prepared.prepare(table, target, **how, rows=rows))
        except ValueError as error:
            error.add_note(f"in fold {number}")
            raise
    names = list(dict.fromkeys(name for one in (whole, *found) for name in one.features))
    parts = [
        {
            part: {"inputs": _columns(one, part, names), "targets": one.parts[part][1]}
            for part in PARTS
        }
        for one in found
    ]
    wide = {part: (_columns(whole, part, names), whole.parts[part][1]) for part in PARTS}
    known = whole.baseline
    scores = {
        name: float(np.mean([one.baseline[name] for one in found]))
        for name in known
        if name != "answer"
    }
    return Aligned(whole._replace(parts=wide, features=tuple(names)), parts, known | scores)


def _columns(one: Prepared, part: str, names: Sequence[str]) -> np.ndarray:
    """(n, d), float32: the inputs of these names, 0 where there is none."""
    inputs = one.parts[part][0]
    place = {name: i for i, name in enumerate(one.features)}
    wide = np.zeros((len(inputs), len(names)), np.float32)
    there = [i for i, name in enumerate(names) if name in place]
    wide[:, there] = inputs[:, [place[names[i]] for i in there]]
    return wide
