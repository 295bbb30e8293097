"""Any table as a task: which columns are numbers, which are classes, and what is to be predicted.

Whatever is measured on data (means, medians, deviations, the categories that there are) is measured
on the train part alone.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.problems.csv import aligned, prepared, reading
from jaxopt_course.problems.csv.columns import Column
from jaxopt_course.problems.csv.content import Origin, StandardInput, stem
from jaxopt_course.problems.csv.layout import MARK_NAMES
from jaxopt_course.problems.csv.names import listed
from jaxopt_course.problems.csv.numbers import Decimal
from jaxopt_course.problems.csv.prepared import Prepared, Rows
from jaxopt_course.problems.csv.target import Kind
from jaxopt_course.problems.tasks import Task

__all__ = ["Prepared", "prepare", "read_table", "table_task"]


def read_table(
    file: Origin,
    *,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    decimal: Decimal | None = None,
) -> pd.DataFrame:
    """A CSV file, delimited by commas, semicolons, tabs, bars or blanks.

    Spaces around names and cells do not count.  A column is numbers or booleans where all its cells
    are, beside gaps: empty cells, "?", and in such columns "-", NA, null and the like.  In columns
    of words None, NA and null are words, unless all others are in quotes and they are not.  12%,
    $7.50 and 3 kg are numbers where every cell is written so.

    Whether 7,715 is 7715 is decided for the file as a whole, by cells that can be read in one way
    only (2,5; 1,234.5), or by a column in which numbers from 1000 on have marks and those below
    have none; else it is asked.  Beside commas between cells the point is taken for decimals.

    Columns without a name are left out where they are empty, or number or name the rows; so are
    rows without any cell.

    Args:
        file: or a pipe, which is read once; also ``StandardInput()``.
        sep: what splits the cells, as ";", "tab" or "blank"; default what splits the first lines
            best.
        encoding: default what a byte order mark says, else UTF-8.
        header: whether the first line names the columns, else they are called column 1, ...;
            default yes, and an error where it looks like data.
        decimal: the mark before decimals, "." or ","; the other one is that of thousands.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, not text, or not a table; two columns have one name; names that
            look like data; numbers that can be read in two ways.
    """
    return reading.read(file, sep=sep, encoding=encoding, header=header, decimal=decimal).table


def prepare(
    table: pd.DataFrame,
    target: str,
    *,
    kind: Kind = "auto",
    drop: Sequence[str] = (),
    split_seed: int = 0,
    positive: object | None = None,
    dates: Sequence[str] | Mapping[str, str] = (),
    leave_out: Sequence[Rows] = (),
    decimal: Decimal | None = None,
) -> Prepared:
    """Split a table 60/20/20 and turn it into arrays.

    Columns of numbers and booleans are standardised with the train part's mean and deviation;
    empty cells become that mean, and where the train part has some, a column "... is missing" of 0
    and 1 is added.  Other columns become a column of 0 and 1 for each category of the train part;
    an empty cell is a category of its own, and a category that the train part does not have is 0
    in all of them.  A column that is empty in every row is left out.  Text such as "12%", "$7.50"
    or "1,200" is numbers; text such as "12" stays text.

    Args:
        table: a row an example.
        target: the column to predict.
        kind: "auto" takes text, booleans, columns of two values and whole numbers of at most 20
            values for classes, and all else for a regression.  Classes are numbered in sorted
            order and keep their shares in every part; a regression's targets are standardised.
        drop: columns to leave out.
        split_seed: of the split.
        positive: of two classes the one that is 1; default the second in sorted order.
        dates: columns that become year, month, day, weekday and the like; with their formats, as
            ``{"day": "%d/%m/%Y"}`` or ``["day=%d/%m/%Y"]``, where several could be meant.
        leave_out: "empty", rows without a target; "rare", rows of classes with fewer than 5.
        decimal: as :func:`read_table` has it.

    Raises:
        ValueError: no such column; no column left; no rows; empty cells or a single value in the
            target; a regression on text; classes too rare to be in every part; columns that cannot
            be made inputs: infinite, numbers that the train part has none of, or text with more
            than 50 categories; dates in an empty column.  The message names the columns.
    """
    return prepared.prepare(
        table,
        target,
        kind=kind,
        drop=drop,
        split_seed=split_seed,
        positive=positive,
        dates_of=dates,
        leave_out=leave_out,
        decimal=decimal,
    )


def table_task(
    table: pd.DataFrame | Origin,
    target: str,
    *,
    name: str | None = None,
    kind: Kind = "auto",
    drop: Sequence[str] = (),
    hidden: int | Sequence[int] = (64, 64),
    split_seed: int = 0,
    description: str = "",
    positive: object | None = None,
    dates: Sequence[str] | Mapping[str, str] = (),
    leave_out: Sequence[Rows] = (),
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    decimal: Decimal | None = None,
    **settings: Any,
) -> Task:
    """A task from a table: an MLP, and the loss of the target's kind.

    Two classes: binary cross-entropy from the logit of the positive one (accuracy, F1, AUC).  More:
    softmax cross-entropy (accuracy).  A number: squared error of the standardised target, so a loss
    of 1 is that of always answering the mean (R²).  What became of the columns, the shares of the
    classes and the score of always answering the commonest one are the task's ``about``.

    Args:
        table: or the CSV file that holds it.
        target: the column to predict.
        name: of the task; default the file's, or "table".
        kind: as :func:`prepare` has it, and its other arguments.
        drop: columns to leave out.
        hidden: widths of the hidden layers; a number is one layer.
        split_seed: of the 60/20/20 split.
        description: one line; default what the table is.
        positive: of two classes the one that is 1.
        dates: columns that become year, month, day and the like.
        leave_out: "empty", rows without a target; "rare", rows of rare classes.
        sep: of a file, as :func:`read_table` has it.
        encoding: of a file.
        header: whether a file's first line names the columns.
        decimal: the mark before decimals.
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

    _check_layers(hidden)
    found: reading.Reading | None = None
    file: Origin = ""
    if isinstance(table, Origin):
        name = name or re.sub(r"[^\w.-]+", "_", stem(table))
        file, found = (
            table,
            reading.read(table, sep=sep, encoding=encoding, header=header, decimal=decimal),
        )
        table = found.table
        drop = [one for one in listed("drop", drop) if one not in found.left_out]
    elif given := [n for n, v in (("sep", sep), ("encoding", encoding), ("header", header)) if v]:
        raise ValueError(f"{given[0]} is of a file, and the table is one already")
    how: dict[str, Any] = {
        "kind": kind,
        "drop": drop,
        "split_seed": split_seed,
        "positive": positive,
        "dates_of": dates,
        "leave_out": leave_out,
        "decimal": decimal,
        "typed": found is not None,
    }
    try:
        ready = prepared.prepare(table, target, **how)
    except ValueError as error:
        if found and str(error).startswith("unknown column"):
            error.add_note(
                f"the cells of {file} are split by {MARK_NAMES.get(found.mark, found.mark)}"
            )
            for column, why in found.left_out.items():
                error.add_note(f"{column!r} is left out, {why}")
        raise
    outputs = len(ready.classes) if len(ready.classes) > 2 else 1
    loss = {0: "squared_error", 2: "sigmoid_binary_cross_entropy"}
    settings = {"loss": loss.get(len(ready.classes), "softmax_cross_entropy")} | settings
    what = f"{len(ready.classes)} classes" if ready.classes else "a number"

    def make(ready: Prepared) -> Task:
        widths = (hidden,) if isinstance(hidden, int | np.integer) else hidden
        sizes = (len(ready.features), *widths, outputs)
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
        about = _about(ready, found)
        if file == StandardInput():
            about["origin"] = "from standard input: whoever makes the task again pipes it in again"
        if settings["loss"] == "squared_error":
            about["target"] = {"name": str(target), "scale": ready.scale}
        return dataclasses.replace(task, split_seed=split_seed, about=about, refit=refit)

    def refit(folds: Sequence[tuple[Any, Any]]) -> tuple[Task, list[dict[str, Any]]]:
        pool = np.concatenate([ready.rows["train"], ready.rows["valid"]])
        parts = [{"train": pool[a], "valid": pool[b], "test": ready.rows["test"]} for a, b in folds]
        made = aligned.prepare_all(table, target, parts, how, ready)
        task = make(made.whole)
        about = {**task.about, "baseline": made.baseline}
        return dataclasses.replace(task, about=about), made.folds

    return make(ready)


def _check_layers(hidden: Any) -> None:
    one = isinstance(hidden, int | np.integer)
    widths = [hidden] if one else list(hidden) if isinstance(hidden, Iterable) else [hidden]
    whole = [isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in widths]
    if not all(whole):
        raise TypeError(f"hidden takes widths of layers, whole numbers from 1 on, not {hidden!r}")


def _about(ready: Prepared, found: reading.Reading | None) -> dict[str, Any]:
    """What a report says of the table, and of the file that held it."""
    about = ready.about()
    if found is None:
        return about
    told = {column["name"]: column for column in about["columns"]}
    for column, said in found.notes.items():
        if column in told:
            told[column]["note"] = "; ".join(filter(None, [told[column]["note"], *said]))
    gone = [Column(name, "left out", 0, why)._asdict() for name, why in found.left_out.items()]
    if found.empty_rows:
        about["rows_left_out"] = {"without any cell": found.empty_rows} | about["rows_left_out"]
    if found.below:
        about["rows_left_out"] = {"of notes below the table": found.below} | about["rows_left_out"]
    return about | {"columns": [*gone, *about["columns"]], "mark": found.mark}
