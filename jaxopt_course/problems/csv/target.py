"""What is to be predicted: classes or a number, and the rows that cannot be used for it."""

from collections.abc import Hashable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from jaxopt_course.messages import unknown
from jaxopt_course.problems.csv.columns import MAX_CATEGORIES, all_whole, exact
from jaxopt_course.problems.datasets import split_indices

Kind = Literal["auto", "classification", "regression"]
MAX_CLASSES = 20  # of whole numbers that "auto" takes for class labels
MIN_ROWS = 10  # a class, where there are more classes than that
ENOUGH = 5  # rows of a class, so that each part has one


class Target(NamedTuple):
    """A target as an array."""

    values: np.ndarray  # labels 0, 1, ... as int32, or float64 numbers
    classes: tuple[Any, ...]  # empty for a regression
    offset: float = 0.0  # was taken from the numbers
    turned: bool = False  # whether the first class in sorted order is the positive one


def encode(column: pd.Series, kind: Kind, positive: object | None) -> Target:
    """Labels and their classes, or numbers.

    Raises:
        ValueError: empty cells, one value, text for a regression, too many classes, or a positive
            class that is none of two.
    """
    name = column.name
    if kind not in ("auto", "classification", "regression"):
        raise ValueError(f"kind must be auto, classification or regression, not {kind!r}")
    if column.isna().any():
        first = int(column.isna().argmax())
        raise ValueError(
            f"the target {name!r} is empty in {column.isna().sum()} rows, the first is row {first} "
            "(from 0, below the names): fill them, or leave them out, leave_out=['empty']"
        )
    if column.dtype == object and not all(isinstance(cell, Hashable) for cell in column):
        raise ValueError(f"the target {name!r} holds lists or the like: one value in each row")
    distinct = column.nunique()
    if distinct < 2:
        raise ValueError(f"the target {name!r} is {str(column.iloc[0])!r} in every row")
    numbers = is_number(column)
    whole = numbers and (types.is_integer_dtype(column) or column.dtype == object)
    by_itself = not numbers or distinct == 2 or (whole and distinct <= MAX_CLASSES)
    if kind == "classification" or (kind == "auto" and by_itself):
        many = distinct > max(MAX_CATEGORIES, len(column) / MIN_ROWS)
        if not numbers and not types.is_bool_dtype(column) and many:
            raise ValueError(
                f"the target {name!r} is text with {distinct} different values in {len(column)} "
                f"rows, more than {MAX_CATEGORIES} and less than {MIN_ROWS} rows each: are they "
                "names, dates, or numbers beside words?"
            )
        labels, classes = pd.factorize(column.astype(object), sort=True)
        found = Target(labels.astype(np.int32), tuple(classes))
        return found if positive is None else _turned(found, name, positive)
    if positive is not None:
        raise ValueError(f"a positive class is one of two, and the target {name!r} is a number")
    if not numbers:
        raise ValueError(f"the target {name!r} is no number ({column.iloc[0]!r}): no regression")
    values, offset = exact(column)
    return Target(values, (), offset)


def _turned(found: Target, name: object, positive: object) -> Target:
    """The target with the positive class second."""
    if len(found.classes) != 2:
        raise ValueError(f"a positive class is one of two, and {name!r} has {len(found.classes)}")
    texts, wanted = [str(known) for known in found.classes], str(positive)
    if wanted not in texts and wanted.lower() in map(str.lower, texts):  # TRUE is True
        wanted = texts[[text.lower() for text in texts].index(wanted.lower())]
    if wanted not in texts:
        raise ValueError(unknown("class", wanted, texts))
    if wanted == texts[1]:
        return found
    return Target(1 - found.values, found.classes[::-1], turned=True)


def is_number(column: pd.Series) -> bool:
    """Whether its cells are numbers, also whole ones beyond 64 bits; booleans are none."""
    if column.dtype == object:
        return all_whole(column)
    return types.is_numeric_dtype(column) and not types.is_bool_dtype(column)


def rare_rows(column: pd.Series) -> np.ndarray:
    """Which rows are of a class with fewer rows than every part needs to have one."""
    codes, found = pd.factorize(column)  # a column of categories would map to categories
    counts = np.bincount(codes[codes >= 0], minlength=len(found))
    return (codes >= 0) & (counts[codes] < ENOUGH)


def split(target: Target, name: object, seed: int) -> dict[str, np.ndarray]:
    """Rows of the three parts, the classes' shares kept; an error names the rare classes."""
    if not target.classes:
        return split_indices(len(target.values), seed)
    # The same rows whichever class is called positive.
    labels = 1 - target.values if target.turned else target.values
    try:
        return split_indices(len(target.values), seed, labels)
    except ValueError as error:
        counts = np.bincount(target.values, minlength=len(target.classes))
        order: Sequence[int] = np.argsort(counts, kind="stable").tolist()
        rare = [i for i in order if counts[i] < ENOUGH]
        if not rare:
            raise
        named = ", ".join(
            f"{target.classes[i]!r} ({counts[i]} row{'' if counts[i] == 1 else 's'})"
            for i in rare[:10]
        )
        more = f" and {len(rare) - 10} more" if len(rare) > 10 else ""
        ways = ["merge them with others", "leave them out, leave_out=['rare']"]
        if all(isinstance(known, (int, float, np.number)) for known in target.classes):
            ways.append("predict the number, kind='regression'")
        raise ValueError(
            f"cannot split {len(target.values)} rows in 60/20/20 with every class of the target "
            f"{name!r} in each part; too rare are {named}{more}: {', or '.join(ways)}"
        ) from error
