"""Columns as inputs: numbers are standardised, categories become columns of 0 and 1."""

import re
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from jaxopt_course.problems.csv import numbers as n
from jaxopt_course.problems.csv.dates import like_a_date
from jaxopt_course.problems.csv.pieces import CELLS
from jaxopt_course.problems.csv.remarks import NINES, capitals, stand_in

MAX_CATEGORIES = 50  # of a column of text: more are names or dates, not categories
UNLIKE = 10  # categories with digits at one place: more may be numbers in a dress
MISSING = "(missing)"
TINY, UP = 1e-140, 600  # numbers whose squares float64 may not have, and the power of 2 that helps
CLOSE = 1e-4  # of the largest distance from the median: the usual one where something may be lost
_SEVERAL = (list, dict, set, np.ndarray, pd.Series)
_DIGITS = re.compile(r"\d+")
_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?")


class Column(NamedTuple):
    """What became of a column of the table."""

    name: str
    became: str  # "numbers", "booleans", "categories", "date", "target", "left out"
    inputs: int  # how many
    note: str = ""


def exact(column: pd.Series) -> tuple[np.ndarray, float]:
    """Float64, NaN where empty, and what was taken from all; whole numbers lose nothing.

    Beyond 2**53 neighbours would be one number in float64, so the smallest is taken away first.
    """
    whole = types.is_integer_dtype(column) or column.dtype == object
    if whole:
        seen = column.dropna()
        low, high = int(seen.min()) if len(seen) else 0, int(seen.max()) if len(seen) else 0
        if max(abs(low), abs(high)) > 2**53:
            less = [np.nan if pd.isna(cell) else float(int(cell) - low) for cell in column]
            return np.array(less), float(low)
    values = column.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(values).any():
        first = int(np.isinf(values).argmax())
        raise ValueError(f"column {column.name!r} is infinite in row {first}")
    return values, 0.0


def center_and_scale(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column, without gaps; a column that never changes has scale 1.

    The squares of numbers such as 1e-300 would be 0, so those are taken times 2**600 first.
    """
    low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
    same = low == high  # std may be a rounding error
    tiny = np.maximum(-low, high) < TINY
    if (tiny & ~same).any():
        seen = seen.copy()
        seen[:, tiny] = np.ldexp(seen[:, tiny], UP)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = np.nanmean(seen, axis=0), np.nanstd(seen, axis=0)
    down = np.where(tiny & (tiny & ~same).any(), -UP, 0)
    mean, std = np.ldexp(mean, down), np.ldexp(std, down)
    return mean, np.where(same | (std == 0), 1.0, std)


def crowded(values: np.ndarray, inputs: np.ndarray) -> list[str]:
    """Of each column, that most of its different numbers are no longer apart; "" if they are.

    Standardising and float32 round a number by 1e-7 of the column's deviation, which matters only
    where few numbers make that deviation, being far larger than all others.

    Args:
        values: (n, d), float64, NaN where there is none.
        inputs: (n, d), of them, standardised, float32.
    """
    said = [""] * values.shape[1]
    away = abs(inputs - np.median(inputs, axis=0))
    near = np.flatnonzero(np.median(away, axis=0) <= CLOSE * away.max(axis=0))
    if not len(near):
        return said
    held = np.where(np.isnan(values[:, near]), np.nan, inputs[:, near])
    both = (_different(values[:, near]), _different(held))
    for place, different, apart in zip(near.tolist(), *both, strict=True):
        if 2 * apart < different:
            said[place] = (
                f"of its {different:,} different numbers {apart:,} are apart in float32, as a few "
                "are far larger: take logarithms, or leave those rows out"
            )
    return said


def _different(values: np.ndarray) -> list[int]:
    """How many different numbers each column has."""
    ranked = np.sort(values, axis=0)
    found: list[int] = (1 + (ranked[1:] > ranked[:-1]).sum(axis=0)).tolist()
    return found


class Inputs(NamedTuple):
    """What is made of one column: many have few rows, so its inputs are held in one array."""

    names: tuple[str, ...]  # k of them
    values: np.ndarray  # (k, n), float32, or bools for 0 and 1


class Encoded(NamedTuple):
    """The inputs of each column, what became of it, and why others cannot be used."""

    inputs: dict[str, "Inputs"]  # in the order of the columns
    columns: list[Column]
    refused: dict[str, str]


def encode(table: pd.DataFrame, train: np.ndarray, without: Collection[Hashable] = ()) -> Encoded:
    """Every column of a table as inputs, measured on the rows of the train part.

    Args:
        table: a row an example.
        train: rows of the train part.
        without: columns that are no inputs; a table without them would be a copy of what pandas
            notes of all others, which is more than the cells where these are few.
    """
    made: dict[str, Inputs] = {}
    told: dict[str, Column] = {}
    refused: dict[str, str] = {}
    order = [str(name) for name in table.columns if name not in without]
    typed = list(zip(table.columns, table.dtypes, strict=True))
    plain = [i for i, (name, dtype) in enumerate(typed) if _is_plain(dtype) and name not in without]
    large: set[str] = set()
    for own in _groups(len(plain), len(table)):
        names = [str(table.columns[place]) for place in plain[own]]
        block = table.iloc[:, plain[own]].to_numpy(np.float64)
        large |= {names[i] for i in np.flatnonzero((abs(block) >= 2.0**53).any(axis=0))}
        _numbers(names, block, train, made, told, refused)
    for given, column in table.items():
        name = str(given)
        if given in without or ((name in made or name in refused) and name not in large):
            continue
        if holds_lists(column):
            refused[name] = "holds lists or the like, of which each part may be a column"
            continue
        if types.is_numeric_dtype(column) or all_whole(column):
            refused.pop(name, None)
            try:
                values, _ = exact(column)
            except ValueError as error:
                refused[name] = str(error).removeprefix(f"column {name!r} ")
                continue
            _numbers([name], values[:, None], train, made, told, refused)
        else:
            _one_hot(column, train, made, told, refused)
    seen: set[str] = set()
    kinds = [dtype for name, dtype in typed if name not in without]
    for name, dtype in zip(order, kinds, strict=True):
        if types.is_bool_dtype(dtype) and name in told:
            told[name] = told[name]._replace(became="booleans")
        for input_name in made[name].names if name in made else ():
            if input_name in seen:
                raise ValueError(
                    f"two inputs would be called {input_name!r}: rename column {name!r}"
                )
            seen.add(input_name)
    return Encoded(
        {name: made.pop(name) for name in order if name in made},
        [told[name] for name in order if name in told],
        {name: refused[name] for name in order if name in refused},
    )


def _groups(columns: int, rows: int) -> Iterator[slice]:
    """Columns that are looked at together, for one alone has its numbers added in another order."""
    many = max(2, CELLS // max(rows, 1))
    begin = 0
    while begin < columns:
        end = begin + many if begin + many + 1 < columns else columns
        yield slice(begin, end)
        begin = end


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "iufb"


def holds_lists(column: pd.Series) -> bool:
    """Whether some of its cells hold several values."""
    return column.dtype == object and any(isinstance(c, _SEVERAL) for c in column)


def all_whole(column: pd.Series) -> bool:
    """Python's own whole numbers, too long for int64."""
    return column.dtype == object and all(type(c) is int or pd.isna(c) for c in column)


def _numbers(
    names: Sequence[str],
    block: np.ndarray,
    train: np.ndarray,
    made: dict[str, Inputs],
    told: dict[str, Column],
    refused: dict[str, str],
) -> None:
    """Standardise columns side by side: many at once cost what one costs."""
    missing, infinite = np.isnan(block), np.isinf(block)
    empty = missing[train].all(axis=0)
    seen = np.where(infinite[train], 0.0, block[train])
    seen[:, empty] = 0.0
    mean, std = center_and_scale(seen)
    with np.errstate(over="ignore", invalid="ignore"):
        values = block - mean
        values /= std
    few, gaps = np.isfinite(mean) & np.isfinite(std), missing[train].any(axis=0)
    values[missing] = 0.0
    values[:, ~few | infinite.any(axis=0)] = 0.0
    narrow = values.astype(np.float32)
    del values
    close = crowded(block, narrow)
    constant = np.nanmin(seen, axis=0) == np.nanmax(seen, axis=0)
    ends = np.fmin.reduce(block, axis=0), np.fmax.reduce(block, axis=0)
    nines = np.isin(ends[0], NINES) | np.isin(ends[1], NINES)
    for i, name in enumerate(names):
        if infinite[:, i].any():
            refused[name] = f"is infinite in row {int(infinite[:, i].argmax())}"
        elif empty[i]:
            refused[name] = "is empty in every row of the train part"
        elif not few[i]:
            refused[name] = "has numbers too large to standardise: divide it"
        else:
            made[name] = Inputs((name,), narrow[:, i][None])
            notes = [_note(block[:, i], constant[i]), close[i]]
            notes += [stand_in(block[:, i])] if nines[i] else []
            if gaps[i]:
                both = np.stack([narrow[:, i], missing[:, i].astype(np.float32)])
                made[name] = Inputs((name, f"{name} is missing"), both)
            if missing[:, i].any():
                notes.append(f"empty in {missing[:, i].sum()} rows")
            note = "; ".join(filter(None, notes))
            told[name] = Column(name, "numbers", len(made[name].names), note)


def _note(values: np.ndarray, constant: bool) -> str:
    """What a reader may want to leave out."""
    if constant:
        return "the same in every row of the train part"
    steps = np.diff(values)
    if len(values) > 2 and (steps == 1).all():
        return "numbers the rows: leave it out if it is no measurement"
    if (
        len(values) > 2
        and (values == np.round(values)).all()
        and len(np.unique(values)) == len(values)
    ):
        return "whole and different in every row: leave it out if it is an identifier"
    return ""


def _one_hot(
    column: pd.Series,
    train: np.ndarray,
    made: dict[str, Inputs],
    told: dict[str, Column],
    refused: dict[str, str],
) -> None:
    name = str(column.name)
    codes, words = _coded(column)
    here = np.zeros(len(words), bool)
    here[codes[train]] = True
    categories = sorted(words[place] for place in np.flatnonzero(here))
    hint = _hint(name, words)
    distinct = len(set(words) - {MISSING})
    unlike = distinct > 2 and distinct == sum(words[code] != MISSING for code in codes)
    if not hint and unlike:
        hint = "different in every row: a name or a number of the row"
    if len(categories) > MAX_CATEGORIES:
        refused[name] = (
            f"is text with {len(categories)} different values, more than {MAX_CATEGORIES}"
            f"{'; ' if hint else ''}{hint}"
        )
        return
    place = {word: place for place, word in enumerate(words)}
    each = np.array([place[c] for c in categories], codes.dtype)
    made[name] = Inputs(tuple(f"{name}={c}" for c in categories), codes == each[:, None])
    note = "the same in every row of the train part" if len(categories) == 1 else hint
    notes = "; ".join(filter(None, [note, capitals(categories)]))
    told[name] = Column(name, "categories", len(categories), notes)


def _coded(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The different cells as text, a gap as ``MISSING``, and where they are: (n,) into these."""
    cells = column.to_numpy(object)
    if not isinstance(column.dtype, pd.StringDtype):  # 1 and True are equal, "1" and "True" are not
        cells = np.array([None if pd.isna(cell) else str(cell) for cell in cells], object)
    codes, found = pd.factorize(cells)
    words = found.tolist()
    if (codes < 0).any():
        words, codes = [*words, MISSING], np.where(codes < 0, len(words), codes)
    if len(set(words)) < len(words):  # somebody's category is called as gaps are
        codes = np.where(codes == len(words) - 1, words.index(MISSING), codes)
        words = words[:-1]
    return codes, words


def _hint(name: str, words: Sequence[str]) -> str:
    """Why a column of text is none of numbers, or that it is one of dates; "" if it is words."""
    words = [word for word in words if word != MISSING]
    cells = [cell if cell is None or n.reading(cell) != set() else None
             for cell in map(n.cell_of, words)]  # fmt: skip
    odd = [word for word, cell in zip(words, cells, strict=True)
           if cell is None and not n.is_empty_word(word)]  # fmt: skip
    dated = sum(like_a_date(word) for word in words[:20])
    if words and dated == len(words[:20]):
        return f"dates: as year, month, day by dates=[{name!r}]"
    if words and all(map(_TIME.fullmatch, words)):
        form = "%H:%M:%S" if words[0].count(":") == 2 else "%H:%M"
        return f"times: as hour, minute by dates={{{name!r}: '{form}'}}"
    numbers = sum(cell is not None for cell in cells)
    if len(words) > 2 and odd and numbers >= max(len(odd), 3 * (len(odd) - 3)):
        shown = ", ".join(map(repr, odd[:3]))
        return f"numbers, and {shown}; leave such cells empty, or write numbers"
    dresses = {cell.dress for cell in cells if cell is not None}
    if len(words) > 2 and not odd and dresses <= {""} and numbers > 2:
        return "numbers as text: make them numbers, pandas.to_numeric(table[…]), if they measure"
    if words and not odd and len(dresses) > 1:
        return f"numbers in different units ({', '.join(map(repr, sorted(dresses)))})"
    if len(words) > UNLIKE and len({_DIGITS.sub("0", word) for word in words}) == 1:
        return f"all written as {words[0]!r} is: if they are numbers, write them without the rest"
    return ""


def refusal(refused: Mapping[str, str]) -> str:
    """One message for all columns that cannot be used, with what to paste."""
    names = list(refused)
    # whoever pastes the way would lose the dates, were they among those to leave out
    dated = [name for name, why in refused.items() if f"dates=[{name!r}]" in why]
    gone = [name for name in names if name not in dated]
    ways = [f"leave out drop={gone}"] if gone else []
    ways += [f"take the parts of dates={dated}"] if dated else []
    way = ", and ".join(ways)
    if len(names) == 1:
        return f"column {names[0]!r} cannot be made inputs and {refused[names[0]]}: {way}"
    each = "; ".join(f"{name!r} {why}" for name, why in list(refused.items())[:20])
    more = f"; and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{len(names)} columns cannot be made inputs: {each}{more}. {way[0].upper()}{way[1:]}"
