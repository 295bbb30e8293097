"""Any table as a task: which columns are numbers, which are classes, and what is to be predicted.

Whatever is measured on data (means, medians, deviations, the categories that there are) is measured
on the train part alone.
"""

import csv
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from jaxopt_course.messages import unknown
from jaxopt_course.problems.datasets import PARTS, split_indices
from jaxopt_course.problems.tasks import Task

Kind = Literal["auto", "classification", "regression"]
MAX_CLASSES = 20  # of whole numbers that "auto" takes for class labels
MAX_CATEGORIES = 50  # of a column of text: more are names or dates, not categories
MIN_ROWS = 10  # a class, where there are more classes than that
MISSING = "(missing)"
DELIMITERS = ",;\t|"


class Prepared(NamedTuple):
    """A table as arrays, split."""

    parts: dict[str, tuple[np.ndarray, np.ndarray]]  # part -> inputs (n, d) float32, targets (n,)
    rows: dict[str, np.ndarray]  # part -> rows of the table
    features: tuple[str, ...]  # d names, as "age", "job=student", "age is missing"
    classes: tuple[Any, ...]  # class 0, 1, ..., sorted; empty for a regression
    center: float  # a regression's targets are (target - center) / scale
    scale: float


def read_table(file: str | Path) -> pd.DataFrame:
    """A CSV file whose first line names the columns, delimited by commas, semicolons, tabs or bars.

    Spaces around names and cells do not count, and a "?" is an empty cell.  Between other marks
    than commas, columns like 1,5 are numbers.  Columns without a name are left out where they are
    empty (lines that end with a mark) or number the rows (0, 1, ... as pandas writes them).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, not text in UTF-8, or not a table; two columns have one name.
    """
    if str(file).startswith(("http:/", "https:/")):
        raise ValueError(f"{file} is an address, not a file: download it, and give the file")
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            head = lines.readline()
        mark = _delimiter(head)
        _refuse_repeated(file, next(csv.reader([head], delimiter=mark), []))
        table = pd.read_csv(
            file, sep=mark, encoding="utf-8-sig", skipinitialspace=True, na_values=["?"]
        )
    except pd.errors.EmptyDataError:
        raise ValueError(f"{file} is empty") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is not a text file in UTF-8: {error}; save it again as CSV in UTF-8"
        ) from None
    except pd.errors.ParserError as error:
        raise ValueError(f"{file} is not a table: {error}") from None
    if not table.index.equals(pd.RangeIndex(len(table))):
        raise ValueError(
            f"{file} has more cells in its rows than names in its first line: give every column a "
            "name, or take out the mark that ends the rows"
        )
    table.columns = table.columns.str.strip()
    for name in table.columns:
        if types.is_numeric_dtype(table[name]):  # booleans are numeric here
            continue
        table[name] = _tidied(table[name], decimal_commas=mark != ",")
    nameless = [name for name in table.columns if re.fullmatch(r"Unnamed: \d+", name)]
    return table.drop(columns=[name for name in nameless if _says_nothing(table[name])])


def _refuse_repeated(file: str | Path, names: list[str]) -> None:
    """Raise where two columns are called the same: pandas would call the second "name.1"."""
    names = [name.strip() for name in names if name.strip()]
    repeated = [name for place, name in enumerate(names) if name in names[:place]]
    if repeated:
        raise ValueError(f"{file}: two columns are called {repeated[0]!r}; rename one")


def _tidied(column: pd.Series, decimal_commas: bool) -> pd.Series:
    """Text without spaces around it; numbers, where each is written as 1,5."""
    texts = column.map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    texts = texts.where(texts != "", np.nan)
    seen = texts.dropna().astype(str)
    comma = r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+|[-+]?\d+"
    if decimal_commas and len(seen) and seen.str.fullmatch(comma).all():
        plain = seen.str.replace(".", "").str.replace(",", ".")
        return pd.to_numeric(plain).reindex(column.index)
    return texts


def _says_nothing(column: pd.Series) -> bool:
    """Whether a column is empty, or the number of the row."""
    return bool(column.isna().all()) or bool((column == np.arange(len(column))).all())


def _delimiter(head: str) -> str:
    """The mark that splits the names most often; quoted ones do not count."""
    counts = {mark: len(next(csv.reader([head], delimiter=mark), [])) for mark in DELIMITERS}
    return max(DELIMITERS, key=lambda mark: counts[mark])


def prepare(
    table: pd.DataFrame,
    target: str,
    *,
    kind: Kind = "auto",
    drop: Sequence[str] = (),
    split_seed: int = 0,
) -> Prepared:
    """Split a table 60/20/20 and turn it into arrays.

    Columns of numbers and booleans are standardised with the train part's mean and deviation;
    empty cells become that mean, and where the train part has some, a column "... is missing" of 0
    and 1 is added.  Other columns become a column of 0 and 1 for each category of the train part;
    an empty cell is a category of its own, and a category that the train part does not have is 0
    in all of them.

    Args:
        table: a row an example.
        target: the column to predict.
        kind: "auto" takes text, booleans, columns of two values and whole numbers of at most 20
            values for classes, and all else for a regression.  Classes are numbered in sorted
            order and keep their shares in every part; a regression's targets are standardised.
        drop: columns to leave out.
        split_seed: of the split.

    Raises:
        ValueError: no such column; no column left; no rows; empty cells or a single value in the
            target; infinite numbers; a column of text with more than 50 categories; a regression
            on text; classes too rare to be in every part.  The message names the column.
    """
    for name in (target, *drop):
        if name not in table:
            raise ValueError(unknown("column", name, map(str, table.columns)))
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise ValueError(f"two columns are called {repeated[0]!r}")
    if table.empty:
        raise ValueError("the table has no rows")
    table = table.drop(columns=[name for name in drop if name != target]).convert_dtypes()
    values, classes = _target(table[target], kind)
    labels = values if classes else None
    rows = split_indices(len(table), split_seed, labels)
    center, scale = 0.0, 1.0
    if not classes:
        seen = values[rows["train"]]
        center, scale = float(seen.mean()), float(seen.std()) or 1.0
        values = ((values - center) / scale).astype(np.float32)
    columns: dict[str, np.ndarray] = {}
    for name in table.columns.drop(target):
        made = _encode(table[name], rows["train"])
        for same in columns.keys() & made.keys():
            raise ValueError(f"two inputs would be called {same!r}: rename column {name!r}")
        columns |= made
    if not columns:
        raise ValueError(f"the table has no column beside the target {target!r}")
    inputs = np.stack(list(columns.values()), axis=1).astype(np.float32)
    parts = {part: (inputs[rows[part]], values[rows[part]]) for part in PARTS}
    return Prepared(parts, rows, tuple(columns), classes, center, scale)


def _target(column: pd.Series, kind: Kind) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Labels 0, 1, ... and their classes, or float64 numbers and no classes."""
    name = column.name
    if column.isna().any():
        first = int(column.isna().argmax())
        raise ValueError(
            f"the target {name!r} is empty in {column.isna().sum()} rows, the first is row "
            f"{first}: fill them or leave them out"
        )
    distinct = column.nunique()
    if distinct < 2:
        raise ValueError(f"the target {name!r} is {column.iloc[0]!r} in every row")
    numbers = _is_number(column)
    whole = numbers and types.is_integer_dtype(column)
    by_itself = not numbers or distinct == 2 or (whole and distinct <= MAX_CLASSES)
    if kind not in ("auto", "classification", "regression"):
        raise ValueError(f"kind must be auto, classification or regression, not {kind!r}")
    if kind == "classification" or (kind == "auto" and by_itself):
        many = distinct > max(MAX_CATEGORIES, len(column) / MIN_ROWS)
        if not types.is_numeric_dtype(column) and many:
            raise ValueError(
                f"the target {name!r} is text with {distinct} different values in {len(column)} "
                f"rows, more than {MAX_CATEGORIES} and less than {MIN_ROWS} rows each: are they "
                "names, dates, or numbers with a comma (write 1.5)?"
            )
        labels, classes = pd.factorize(column.astype(object), sort=True)
        return labels.astype(np.int32), tuple(classes)
    if not numbers:
        raise ValueError(f"the target {name!r} is no number ({column.iloc[0]!r}): no regression")
    return _numbers(column), ()


def _is_number(column: pd.Series) -> bool:
    return types.is_numeric_dtype(column) and not types.is_bool_dtype(column)


def _numbers(column: pd.Series) -> np.ndarray:
    """Float64, NaN where empty."""
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(numbers).any():
        first = int(np.isinf(numbers).argmax())
        raise ValueError(f"column {column.name!r} is infinite in row {first}")
    return numbers


def _encode(column: pd.Series, train: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs that a column becomes, by name."""
    name = str(column.name)
    if not types.is_numeric_dtype(column):  # booleans are numeric here
        return _one_hot(column, train)
    numbers = _numbers(column)
    missing = np.isnan(numbers)
    if missing[train].all():
        raise ValueError(f"column {name!r} is empty in every row of the train part: drop it")
    with np.errstate(over="ignore"):
        mean, std = np.nanmean(numbers[train]), np.nanstd(numbers[train])
    if not np.isfinite(std):
        raise ValueError(f"column {name!r} has numbers too large to standardise: divide it")
    encoded = {name: np.where(missing, 0.0, (numbers - mean) / (std if std > 0 else 1.0))}
    if missing[train].any():
        encoded[f"{name} is missing"] = missing.astype(np.float64)
    return encoded


def _one_hot(column: pd.Series, train: np.ndarray) -> dict[str, np.ndarray]:
    name = str(column.name)
    texts = column.astype(object).where(column.notna(), MISSING).astype(str).to_numpy(object)
    categories = sorted(set(texts[train]))
    if len(categories) > MAX_CATEGORIES:
        raise ValueError(_too_many(name, len(categories), texts))
    return {f"{name}={category}": (texts == category) * 1.0 for category in categories}


def _too_many(name: str, count: int, texts: np.ndarray) -> str:
    begin = (
        f"column {name!r} cannot be made inputs and is text with {count} different values, more "
        f"than {MAX_CATEGORIES}"
    )
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce").notna()
    others = texts[~numbers & (texts != MISSING)]
    if numbers.mean() > 0.5 and len(others):
        return f"{begin}: numbers, and {others[0]!r}; leave such cells empty"
    return (
        f"{begin}: leave it out (--drop), or make categories or numbers of it (1,5 is text; write "
        "1.5)"
    )


def table_task(
    table: pd.DataFrame | str | Path,
    target: str,
    *,
    name: str | None = None,
    kind: Kind = "auto",
    drop: Sequence[str] = (),
    hidden: Sequence[int] = (64, 64),
    split_seed: int = 0,
    description: str = "",
    **settings: Any,
) -> Task:
    """A task from a table: an MLP, and the loss of the target's kind.

    Two classes: binary cross-entropy from the logit of the second, in sorted order (accuracy, F1,
    AUC).  More: softmax cross-entropy (accuracy).  A number: squared error of the standardised
    target, so a loss of 1 is that of always answering the mean (R²).

    Args:
        table: or the CSV file that holds it.
        target: the column to predict.
        name: of the task; default the file's, or "table".
        kind: as :func:`prepare` has it, and its other arguments.
        drop: columns to leave out.
        hidden: widths of the hidden layers.
        split_seed: of the 60/20/20 split.
        description: one line; default what the table is.
        **settings: of :meth:`Task.from_flax`, as ``loss=`` or ``metrics=``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: see :func:`read_table` and :func:`prepare`.

    >>> grades = pd.DataFrame({"hours": range(50), "passes": ["no", "yes"] * 25})
    >>> table_task(grades, "passes", name="grades")
    Task('grades', examples={'train': 30, 'valid': 10, 'test': 10}, \
metrics={'accuracy': 'max', 'f1': 'max', 'auc': 'max', 'loss': 'min'})
    """
    from jaxopt_course.problems.networks import MLP

    if isinstance(table, str | Path):
        name = name or re.sub(r"[^\w.-]+", "_", Path(table).stem)
        table = read_table(table)
    ready = prepare(table, target, kind=kind, drop=drop, split_seed=split_seed)
    outputs = len(ready.classes) if len(ready.classes) > 2 else 1
    sizes = (len(ready.features), *hidden, outputs)
    loss = {0: "squared_error", 2: "sigmoid_binary_cross_entropy"}
    settings = {"loss": loss.get(len(ready.classes), "softmax_cross_entropy")} | settings
    what = f"{len(ready.classes)} classes" if ready.classes else "a number"
    task = Task.from_flax(
        lambda rngs: MLP(*sizes, rngs=rngs),
        *ready.parts["train"],
        valid=ready.parts["valid"],
        test=ready.parts["test"],
        name=name or "table",
        description=description
        or f"{len(table):,} rows; {target!r}, {what}; MLP {'-'.join(map(str, sizes))}",
        **settings,
    )
    return dataclasses.replace(task, split_seed=split_seed)
