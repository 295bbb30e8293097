"""Who takes a static column: the batches, the task's function, a recipe or the function of the row.

All get it as a plain Python value.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from jaxopt_course.messages import unknown
from jaxopt_course.problems.catalog import task_of
from jaxopt_course.problems.tasks import Task
from jaxopt_course.tables.factories import factory_of
from jaxopt_course.tables.recipes import RECIPES
from jaxopt_course.tables.schedules import is_schedule
from jaxopt_course.tables.signatures import Optimizer, parameters_of

TaskFunction = Callable[..., Task | str]
AnyTask = Task | str | TaskFunction
BATCH_SIZE = "batch_size"


def label_of(static: Mapping[str, Any]) -> str:
    """``batch_size=32, hidden=16``."""
    return ", ".join(f"{name}={value}" for name, value in static.items())


def make_tasks(
    task: AnyTask, groups: Sequence[Mapping[str, Any]], table: pd.DataFrame
) -> list[Task]:
    """The tasks of the buckets, those of equal arguments made once."""
    made: dict[tuple[Any, ...], Task] = {}
    keys = [tuple(static[name] for name in arguments_of(task, static)) for static in groups]
    for key, static in zip(keys, groups, strict=True):
        if key not in made:
            made[key] = make_task(task, static, table)
    return [made[key] for key in keys]


def make_task(task: AnyTask, static: Mapping[str, Any], table: pd.DataFrame) -> Task:
    """The task of a bucket.

    Raises:
        ValueError: the function has an argument without a default that no static column gives.
    """
    if isinstance(task, Task | str) or not callable(task):
        return task_of(task)
    taken = arguments_of(task, static)
    for name, parameter in inspect.signature(task).parameters.items():
        named = parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if named and parameter.default is parameter.empty and name not in taken:
            where = "is a column: add it to static=" if name in table else "is no column"
            raise ValueError(
                f"the task is a function of {name!r}, which {where} (static: {', '.join(static)})"
            )
    given = {name: static[name] for name in taken}
    try:
        return task_of(task(**given))
    except Exception as error:
        fractions = [name for name, x in given.items() if isinstance(x, float) and x % 1]
        hint = (
            f"; if {fractions[0]} is a width or a number of things, give whole ones, as "
            f"joc.integers(…) or [8, 16]"
            if fractions
            else ""
        )
        first = (str(error).splitlines() or [type(error).__name__])[0]
        kind = TypeError if isinstance(error, TypeError) else ValueError
        text = f"the task's function fails for {label_of(given)}: {first.rstrip('.')}{hint}"
        raise kind(text) from error


def with_static(
    optimizer: Optimizer, static: Mapping[str, Any], reads: set[str] | None = None
) -> Optimizer:
    """The optimizer whose functions of the row find the static values in it, as plain ones.

    ``reads`` collects the static columns that they have read.
    """
    if not static:
        return optimizer
    reads = set() if reads is None else reads
    if isinstance(optimizer, Mapping):
        return {name: _of_static(function, static, reads) for name, function in optimizer.items()}
    return _of_static(optimizer, static, reads) if callable(optimizer) else optimizer


def _of_static(function: Any, static: Mapping[str, Any], reads: set[str]) -> Any:
    if not callable(function):
        return function
    factory = factory_of("", function, static)
    if factory is not None and (taken := set(factory.defaults) & set(static)):
        reads |= taken
        bound = functools.partial(function, **{name: static[name] for name in taken})
        bound.__name__ = getattr(function, "__name__", "optimizer")  # type: ignore[attr-defined]
        return bound

    def of_row(*row: Mapping[str, Any], **cells: Any) -> Any:
        return function(*(_Row(one, static, reads) for one in row), **cells)

    of_row.__name__ = getattr(function, "__name__", "optimizer")
    of_row.__wrapped__ = getattr(function, "__wrapped__", function)  # type: ignore[attr-defined]
    return of_row


class _Row(Mapping[str, Any]):
    """A row's numbers, the static ones plain."""

    def __init__(self, row: Mapping[str, Any], static: Mapping[str, Any], reads: set[str]) -> None:
        self._row, self._static, self._reads = row, static, reads

    def __getitem__(self, column: str) -> Any:
        if column in self._static:
            self._reads.add(column)
            if column in self._row:
                self._row[column]  # so that it counts as read
            return self._static[column]
        return self._row[column]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._static, *self._row]))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def check_names(static: Sequence[str], table: pd.DataFrame) -> tuple[str, ...]:
    """The names, checked against the table."""
    listed = isinstance(static, Iterable) and not isinstance(static, str | bytes)
    if not listed or getattr(static, "ndim", 1) != 1:
        raise TypeError(f"static= takes a list of columns: static=[{static!r}]")
    names = tuple(static)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"static= takes one column or more, each once, not {list(static)}")
    for name in names:
        if name == "seed":
            raise ValueError("the seed changes no shape; it cannot be static")
        if name not in table:
            raise ValueError(f"static=: {unknown('column', name, table.columns)}")
        if table[name].isna().any():
            row = int(table[name].isna().argmax())
            raise ValueError(f"static column {name!r} is empty in row {row}; it has no default")
    if BATCH_SIZE in names and table[BATCH_SIZE].dtype != "Int64":
        value = table[BATCH_SIZE].dropna().iloc[:1].tolist()
        raise TypeError(f"column {BATCH_SIZE!r} must hold whole numbers, not {value}")
    return names


def arguments_of(task: AnyTask, names: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Those of the columns that the task's function takes."""
    if isinstance(task, Task | str) or not callable(task):
        return []
    parameters = inspect.signature(task).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    own = {BATCH_SIZE, "optimizer", "schedule"} - set(parameters)
    return [name for name in names if name in parameters or (anything and name not in own)]


def _recipes(table: pd.DataFrame, optimizer: Optimizer) -> list[str]:
    """The registered recipes that the rows name."""
    if optimizer is not None and callable(optimizer):
        return []
    names = {optimizer} if isinstance(optimizer, str) else set(table.get("optimizer", ()))
    own = set(optimizer) if isinstance(optimizer, Mapping) else set()
    return sorted({name for name in names if name in RECIPES} - own)


def kept_in_tables(
    names: Sequence[str], task: AnyTask, table: pd.DataFrame, optimizer: Optimizer
) -> set[str]:
    """Static columns that stay in the tables of the buckets, because recipes take them."""
    if optimizer is not None and callable(optimizer):
        return set()
    recipes = _recipes(table, optimizer)
    taken = {"optimizer"} | {argument for name in recipes for argument in parameters_of(name)}
    given = {*arguments_of(task, names), BATCH_SIZE}
    return {name for name in names if name not in given and (name in taken or is_schedule(name))}


def check_own(
    names: Sequence[str], task: AnyTask, table: pd.DataFrame, optimizer: Optimizer
) -> None:
    """Refuse a static column that the task's function and a recipe take."""
    for name in arguments_of(task, names):
        takers = [r for r in _recipes(table, optimizer) if name in parameters_of(r)]
        if takers:
            raise ValueError(
                f"both the task and {takers[0]} take the static column {name!r}; give the argument "
                "of the task's function another name, and the column too"
            )


def check_taken(
    names: Sequence[str],
    task: AnyTask,
    tasks: Sequence[Task],
    table: pd.DataFrame,
    optimizer: Optimizer,
) -> None:
    """Refuse a static column that nobody could take; ``tasks``: those of the buckets."""
    kept = kept_in_tables(names, task, table, optimizer)
    arguments = arguments_of(task, names)
    functions = callable(optimizer) or isinstance(optimizer, Mapping)
    for name in names:
        if any(one.asks.columns is None or name in one.asks.columns for one in tasks):
            continue
        if not (functions or name in kept or name in arguments or name == BATCH_SIZE):
            raise ValueError(
                f"nobody takes the static column {name!r}: give a function of it as the task "
                f"(lambda {name}: …), or a function of the row as the optimizer"
            )
