"""A table as arrays in three parts, and what became of each of its columns."""

import decimal as decimals
from collections.abc import Collection, Hashable, Mapping, Sequence
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from jaxopt_course.messages import unknown
from jaxopt_course.problems.csv import columns, dates, dtypes, numbers, target
from jaxopt_course.problems.csv.columns import Column
from jaxopt_course.problems.csv.names import listed
from jaxopt_course.problems.csv.reading import told
from jaxopt_course.problems.csv.remarks import capitals, stand_in
from jaxopt_course.problems.csv.target import Kind
from jaxopt_course.problems.csv.texts import Texts
from jaxopt_course.problems.datasets import PARTS

Rows = Literal["empty", "rare"]
EMPTY, RARE = "without a target", "of rare classes"
SOME = 1_000  # columns that are looked at together


class Prepared(NamedTuple):
    """A table as arrays, split."""

    parts: dict[str, tuple[np.ndarray, np.ndarray]]  # part -> inputs (n, d) float32, targets (n,)
    rows: dict[str, np.ndarray]  # part -> rows of the table
    features: tuple[str, ...]  # d names, as "age", "job=student", "age is missing"
    classes: tuple[Any, ...]  # class 0, 1, ..., sorted; empty for a regression
    center: float  # a regression's targets are (target - center) / scale
    scale: float
    columns: tuple[Column, ...] = ()  # what became of each
    left_out: dict[str, int] = {}  # noqa: RUF012 -- why -> rows of the table

    @property
    def counts(self) -> dict[str, int]:
        """Class -> rows, in all parts."""
        if not self.classes:
            return {}
        labels = np.concatenate([self.parts[part][1] for part in PARTS])
        counted = np.bincount(labels, minlength=len(self.classes))
        return {str(known): int(n) for known, n in zip(self.classes, counted, strict=True)}

    @property
    def baseline(self) -> dict[str, Any]:
        """What the same answer for every row scores: the train part's commonest class, or mean."""
        train, valid, test = (self.parts[part][1] for part in PARTS)
        if self.classes:
            commonest = int(np.bincount(train).argmax())
            shares = {f"{part}_accuracy": float((y == commonest).mean())
                      for part, y in (("valid", valid), ("test", test))}  # fmt: skip
            return {"answer": str(self.classes[commonest]), **shares}
        losses = {f"{part}_loss": float(np.square(y, dtype=np.float64).mean())
                  for part, y in (("valid", valid), ("test", test))}  # fmt: skip
        return {"answer": self.center, **losses}

    def about(self) -> dict[str, Any]:
        """All of it that a report says, as JSON has it."""
        return {
            "rows": sum(map(len, self.rows.values())),
            "rows_left_out": {why: n for why, n in self.left_out.items() if n},
            "columns": [column._asdict() for column in self.columns],
            "classes": self.counts,
            "positive": str(self.classes[1]) if len(self.classes) == 2 else None,
            "baseline": self.baseline,
        }


def prepare(
    table: pd.DataFrame,
    target_name: str,
    *,
    kind: Kind = "auto",
    drop: Sequence[str] = (),
    split_seed: int = 0,
    positive: object | None = None,
    dates_of: Sequence[str] | Mapping[str, str] = (),
    leave_out: Sequence[Rows] = (),
    decimal: numbers.Decimal | None = None,
    typed: bool = False,
    rows: Mapping[str, np.ndarray] | None = None,
) -> Prepared:
    """See :func:`jaxopt_course.problems.tables.prepare`; ``typed`` tables have no text to read.

    ``rows``: the parts, as rows of the table, in place of the split; none that is left out.
    """
    if not isinstance(table, pd.DataFrame):
        raise ValueError(_no_frame(table))
    drop, leave_out = listed("drop", drop), listed("leave_out", leave_out)
    if not isinstance(target_name, Hashable):
        raise TypeError(f"the target is the name of a column, not {target_name!r}")
    formats = dates.formats_of(dates_of, table.columns)
    known_names = set(table.columns)  # of several levels, pandas takes the begin of a name for it
    for name in (target_name, *drop, *formats):
        if name != name:
            raise ValueError(f"a column called {name} cannot be asked for: rename it")
        if name not in known_names:
            if same := [known for known in table.columns if str(known) == str(name)]:
                raise ValueError(f"the column {name!r} is called {same[0]!r}: give it as that")
            raise ValueError(unknown("column", name, map(str, table.columns)))
    for asked in leave_out:
        if asked not in ("empty", "rare"):
            raise ValueError(unknown("reason to leave out rows", asked, ["empty", "rare"]))
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise ValueError(f"two columns are called {repeated[0]!r}")
    if table.empty:
        raise ValueError("the table has no rows")
    if target_name in drop:
        raise ValueError(
            f"{target_name!r} is the target, so it cannot be dropped: take it out of drop="
        )
    if target_name in formats:
        raise ValueError(f"{target_name!r} is the target, so it is no input: take it out of dates=")
    if both := [name for name in formats if name in drop]:
        raise ValueError(
            f"column {both[0]!r} is in drop= and in dates=: take it out of one of them"
        )
    dropped = [*dict.fromkeys(drop)]
    # of many columns each copy is larger than the file, also one that shares all cells
    table = table.drop(columns=dropped) if dropped else table
    table, notes = _readable(table, decimal, typed)
    answers = dtypes.inferred(table[target_name])
    kept = np.arange(len(table))
    left_out = {EMPTY: 0, RARE: 0}
    if "empty" in leave_out:
        kept = np.flatnonzero(answers.notna())
        left_out[EMPTY] = len(table) - len(kept)
        if not len(kept):
            raise ValueError(f"the target {target_name!r} is empty in every row")
    goal = target.encode(answers.iloc[kept], kind, positive)
    if "rare" in leave_out and goal.classes:
        rare = target.rare_rows(answers.iloc[kept])
        kept, left_out[RARE] = kept[~rare], int(rare.sum())
        if not len(kept):
            raise ValueError(f"every class of the target {target_name!r} is rare")
        goal = target.encode(answers.iloc[kept], kind, positive)
    if len(kept) < len(table):
        table = table.iloc[kept]
    if rows is None:
        rows = target.split(goal, target_name, split_seed)
    else:
        rows = {part: np.searchsorted(kept, own) for part, own in rows.items()}
    values, center, scale, said = goal.values, 0.0, 1.0, ""
    if not goal.classes:
        mean, std = columns.center_and_scale(values[rows["train"]][:, None])
        if not (np.isfinite(mean[0]) and np.isfinite(std[0])):
            raise ValueError(
                f"the target {target_name!r} has numbers too large to standardise: divide it"
            )
        center, scale = float(mean[0]) + goal.offset, float(std[0])
        values = ((goal.values - mean[0]) / std[0]).astype(np.float32)
        [said] = columns.crowded(goal.values[:, None], values[:, None])
    if len(table.columns) == 1:
        raise ValueError(f"the table has no column beside the target {target_name!r}")
    hollow = [
        name
        for begin in range(0, len(table.columns), SOME)
        for name, none in table.iloc[:, begin : begin + SOME].isna().all().items()
        if none and name != target_name
    ]
    if dated := [name for name in hollow if name in formats]:
        raise ValueError(
            f"column {dated[0]!r} is to be dates and is empty in every row: take it out of dates="
        )
    if len(hollow) == len(table.columns) - 1:
        raise ValueError(f"every column beside the target {target_name!r} is empty")
    without = {target_name, *hollow}
    encoded = columns.encode(_with_dates(table, formats, without), rows["train"], without)
    if encoded.refused:
        raise ValueError(columns.refusal(encoded.refused))
    features = tuple(name for made in encoded.inputs.values() for name in made.names)
    inputs = {part: np.empty((len(rows[part]), len(features)), np.float32) for part in PARTS}
    place = 0
    for name in list(encoded.inputs):
        made = encoded.inputs.pop(name).values  # so that none is held twice
        for part in PARTS:
            inputs[part][:, place : place + len(made)] = made[:, rows[part]].T
        place += len(made)
    what = [f"classes: {', '.join(map(str, goal.classes[:20]))}" if goal.classes else "a number"]
    gap = stand_in(goal.values) if not goal.classes else ""
    what += filter(None, [said, gap, capitals(goal.classes)])
    told_of = [
        *(Column(name, "left out", 0, "as asked") for name in dropped),
        *(Column(str(name), "left out", 0, "empty in every row") for name in hollow),
        Column(target_name, "target", 0, "; ".join([*what, *notes.get(target_name, [])])),
        *(c._replace(note="; ".join([*([c.note] if c.note else []), *notes.get(c.name, [])]))
          for c in encoded.columns),
    ]  # fmt: skip
    return Prepared(
        {part: (inputs[part], values[rows[part]]) for part in PARTS},
        {part: kept[rows[part]] for part in PARTS},
        features,
        goal.classes,
        center,
        scale,
        tuple(told_of),
        left_out,
    )


def _no_frame(table: Any) -> str:
    """Why it is no table, and how to make one of it."""
    kind = type(table)
    said = f"a table is a pandas.DataFrame, not {kind.__name__}"
    if hasattr(table, "collect") or hasattr(table, "to_pandas"):  # polars, Arrow, xarray
        lazy = "" if hasattr(table, "to_pandas") else ".collect()"
        return f"{said} of {kind.__module__.partition('.')[0]}: give table{lazy}.to_pandas()"
    return (
        f"{said}: make one, pandas.DataFrame(…), with a name for each column (arrays as they are: "
        "Task.from_flax)"
    )


def _readable(
    table: pd.DataFrame, decimal: numbers.Decimal | None, typed: bool
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Text that is numbers in a dress, or TRUE and false, as what it is; text "12" stays text.

    So do numbers that NumPy has no dtype for: Decimal, as data bases give it, and durations.
    """
    made: dict[Any, Any] = {}
    notes: dict[str, list[str]] = {}
    evidence: dict[str, numbers.Marks] = {}
    texts: dict[str, Texts] = {}
    odd = (types.is_object_dtype, types.is_timedelta64_dtype, types.is_complex_dtype)
    if not typed:
        table = _replaced(
            table,
            {
                name: dtypes.usual(table[name])
                for name, dtype in zip(table.columns, table.dtypes, strict=True)
                if dtypes.is_odd(dtype)
            },
        )
    for name, dtype in zip(table.columns, table.dtypes, strict=True):
        if (typed or types.is_numeric_dtype(dtype)) and not any(kind(dtype) for kind in odd):
            continue  # pandas notes each column that it hands out, for as long as there is a table
        column = table[name]
        if columns.holds_lists(column):
            continue
        if types.is_object_dtype(dtype):
            column = made[name] = _unboxed(dtypes.inferred(dtypes.decoded(column)))
        if types.is_timedelta64_dtype(column):
            made[name], notes[str(name)] = column.dt.total_seconds(), ["in seconds"]
            continue
        if types.is_complex_dtype(column):
            raise ValueError(f"column {name!r} is complex: give its parts as columns of their own")
        if typed or not (types.is_string_dtype(column) and not types.is_numeric_dtype(column)):
            continue
        if isinstance(column.dtype, pd.CategoricalDtype):
            continue
        column = Texts.of(column.to_numpy(object))
        if (pair := numbers.booleans(column)) is not None:
            made[name], notes[str(name)] = pair[0], told(numbers.Numbers(None, "", pair[1], {}))
        elif all(_bare(word) for word in column.words):
            continue
        elif (marks := numbers.marks_of(column)) is not None:
            evidence[str(name)], texts[str(name)] = marks, column
    floats = any(types.is_float_dtype(dtype) for dtype in table.dtypes)
    usual: numbers.Decimal | None = decimal or ("." if floats else None)
    decided = dict.fromkeys(evidence, decimal) if decimal else numbers.decide(evidence, usual)
    for name, mark in decided.items():
        if mark and (number := numbers.numbers(texts[name], mark)) is not None:
            made[name], notes[name] = number.values, told(number)
    return _replaced(table, made), notes


def _unboxed(column: pd.Series) -> pd.Series:
    """Numbers of several of Python's kinds as float64; a column of whole ones stays whole."""
    if column.dtype != object or columns.all_whole(column):
        return column
    for cell in column[column.notna()]:
        if not isinstance(cell, Real | decimals.Decimal) or isinstance(cell, bool | np.bool_):
            return column
    try:
        cells = [np.nan if pd.isna(cell) else float(cell) for cell in column]
    except OverflowError:  # whole numbers that float64 does not reach
        return column
    return pd.Series(cells, column.index, name=column.name)


def _replaced(table: pd.DataFrame, made: Mapping[Any, Any]) -> pd.DataFrame:
    """A copy with these columns in the place of their own; one may be called "self"."""
    if not made:
        return table
    table = table.copy(deep=False)
    for name, values in made.items():
        table[name] = values
    return table


def _bare(word: str) -> bool:
    """A number as Python writes it, or how it writes a gap: what ``astype(str)`` makes."""
    if word in ("nan", "None", "<NA>", "NaT"):
        return True
    try:
        float(word)
    except ValueError:
        return False
    return True


def _with_dates(
    table: pd.DataFrame, formats: Mapping[str, str], without: Collection[Hashable]
) -> pd.DataFrame:
    """The columns of dates replaced by their parts; of others all but those that are no inputs."""
    if not formats:
        return table
    made: dict[str, pd.Series] = {}
    for name, column in table.items():
        if name in formats:
            made |= dates.parts(column, formats[str(name)])
        elif name not in without:
            made[str(name)] = column
    return pd.DataFrame(made)
