"""Which columns of a table the task reads, found by tracing its functions on shapes."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd

from jaxopt_course.base import Decay
from jaxopt_course.problems.asking import Reads, Row
from jaxopt_course.problems.regularization import BOUNDS
from jaxopt_course.problems.tasks import Folds, Task
from jaxopt_course.tables.schedules import is_schedule

NOT_NUMBERS = {"optimizer", "seed"}


class TaskColumns:
    """What the task reads of a row, and the row as its functions get it.

    Args:
        reads: who of the task reads which column.
        visible: the columns of the table that the row has.
        static: plain values that it has too; ``values`` of the object.
    """

    def __init__(
        self, reads: Reads, visible: Collection[str] = (), static: Mapping[str, Any] | None = None
    ) -> None:
        self.reads, self._visible, self.values = reads, tuple(visible), dict(static or {})

    @property
    def asked(self) -> bool:
        """Whether the task takes a row at all."""
        return bool(self._visible or self.values)

    @property
    def columns(self) -> frozenset[str]:
        """Of the table, those read."""
        return frozenset(self.reads.of()) - set(self.values)

    @property
    def static(self) -> frozenset[str]:
        """Of the static ones, those read."""
        return frozenset(self.reads.of()) & set(self.values)

    def row(self, hyperparameters: Mapping[str, Any]) -> Row | None:
        """The row's numbers, for the task; None where there is none for it."""
        if not self.asked:
            return None
        plain = lambda x: x.value if isinstance(x, Decay) else x
        numbers = {name: plain(hyperparameters[name]) for name in self._visible}
        return Row({**numbers, **self.values}, "", self.reads)

    def check_cells(self, trials: pd.DataFrame) -> None:
        """Are all cells filled that the task reads?

        Raises:
            ValueError: one is not.
        """
        for reader, column in sorted(self.reads.pairs):
            if column in trials and (empty := trials[column].isna()).any():
                raise ValueError(
                    f"row {int(empty.argmax())} has no {column!r}, which {reader} of the task "
                    "reads; it has no default"
                )

    def check_own(self, names: Mapping[str, Collection[str]]) -> None:
        """Refuse a column that a registered recipe takes too.

        Args:
            names: of recipes -> the columns that each takes.

        Raises:
            ValueError: one is taken by both.
        """
        for reader, column in sorted(self.reads.pairs):
            for recipe in (name for name, taken in names.items() if column in taken):
                raise ValueError(
                    f"both {reader} of the task and {recipe} take the column {column!r}; give it "
                    f'another name for the task, as h["task_{column}"], and in the table'
                )


def read_by(
    task: Task | None,
    trials: pd.DataFrame,
    static: Mapping[str, Any],
    recipes: Mapping[str, Collection[str]],
    functions: Callable[[Mapping[str, Any]], set[str]],
) -> TaskColumns:
    """Trace the task's functions on the shapes of a row, and note what they read.

    Args:
        task: None where there is none.
        trials: normalised.
        static: plain values that the row has too.
        recipes: registered ones of the table -> the columns that each takes.
        functions: from shapes of a row to the columns that the optimizer's own functions read.

    Raises:
        KeyError: a column that the table does not have.
        TypeError: a column that holds text.
        ValueError: a cell is empty, out of range, or its column is a recipe's too; or the functions
            do not return what they should.
    """
    if task is None or not task.asks.row:
        return TaskColumns(Reads())
    if task.folds is not None:
        _check_fold(task.folds, trials, static)
    known = task.asks.columns
    names = [name for name in trials if name not in NOT_NUMBERS and not is_schedule(name)]
    text = [name for name in names if trials[name].dtype == "string" and name not in static]
    numbers = {name: _shape(trials[name]) for name in names if name not in text}
    if known is not None:
        taken = {column for columns in recipes.values() for column in columns}
        if words := [name for name in text if name in known - taken]:
            raise TypeError(_text(words[0], trials[words[0]]))
        wanted = (known & {*numbers, *static}) - taken
        if not wanted:
            return TaskColumns(Reads())
        wanted -= functions(numbers)  # who names a column outright has it
        numbers = {name: x for name, x in numbers.items() if name in wanted}
        static = {name: x for name, x in static.items() if name in wanted}
        _check_bounds(trials, numbers, static)
    elif text:
        raise TypeError(_text(text[0], trials[text[0]]))
    reads = Reads()
    visible = [name for name in numbers if name not in static]
    found = TaskColumns(reads, visible, static)
    try:
        task.check(Row({**numbers, **static}, "", reads))
    except Exception as error:
        if not _traces_plainly(task, trials, numbers, static):
            raise
        del error  # a column is needed as a plain value; who compiles finds which
    found.check_own(recipes)
    found.check_cells(trials)
    return found


def _traces_plainly(
    task: Task, trials: pd.DataFrame, numbers: Mapping[str, Any], static: Mapping[str, Any]
) -> bool:
    """Whether the functions trace with the first row's plain values."""
    plain = {}
    for name in numbers:
        value = trials[name].dropna().iloc[:1].tolist()
        plain[name] = value[0] if value else 0.0
    try:
        task.check(Row({**plain, **static}, "", Reads()))
    except Exception:
        return False
    return True


def _shape(column: pd.Series) -> jax.ShapeDtypeStruct:
    kinds: dict[str, Any] = {"Int64": np.int32, "boolean": np.bool_}
    return jax.ShapeDtypeStruct((), kinds.get(str(column.dtype), np.float32))


def _text(column: str, values: pd.Series) -> str:
    return (
        f"column {column!r} holds text ({values.dropna().iloc[0]!r}); "
        'only "optimizer" and "schedule" may: encode the choice as a number, or have a program for '
        f"each of its values: static=[{column!r}]"
    )


def _check_bounds(
    trials: pd.DataFrame, numbers: Collection[str], static: Mapping[str, Any]
) -> None:
    """Of the columns that the package itself knows."""
    for column in (name for name in (*numbers, *static) if name in BOUNDS):
        least, most, closed = BOUNDS[column]
        values = trials[column] if column in trials else pd.Series([static[column]])
        if values.dtype in ("boolean", "string") or isinstance(values.iloc[0], bool | str):
            raise TypeError(f"column {column!r} takes numbers, not {values.dropna().iloc[0]!r}")
        fits = (values >= least) & ((values <= most) if closed else (values < most))
        wrong = ~fits.fillna(True).astype(bool)
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"column {column!r} must be in [{least:g}, {most:g}{']' if closed else ')'}, "
                f"not {values.iloc[row]} in row {row}"
            )


def _check_fold(folds: Folds, trials: pd.DataFrame, static: Mapping[str, Any]) -> None:
    """Does every row say one of the task's folds?"""
    name, count = folds.column, folds.number
    how = f"{name}=range({count}) in the table and replicates=[{name!r}]"
    if name not in trials and name not in static:
        raise ValueError(f"the task is in {count} folds, and no column {name!r} says which: {how}")
    values = trials[name] if name in trials else pd.Series([static[name]])
    if values.isna().any():
        row = int(values.isna().to_numpy().argmax())
        raise ValueError(f"column {name!r} is empty in row {row}; it has no default")
    whole = pd.api.types.is_integer_dtype(values)
    wrong = ~values.isin(range(count)).to_numpy(bool) if whole else np.ones(len(values), bool)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"column {name!r} is {values.iloc[row]} in row {row}, and the task has the folds "
            f"0 to {count - 1}: {how}"
        )
