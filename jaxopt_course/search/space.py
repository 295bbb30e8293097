"""What an Optuna sampler is asked for: the columns of a table, in its words and in ours.

The sampler is asked for a row's optimizer and schedule first, and then only for what these take; so
a space with ``b1`` and ``dampening`` is one of conditional parameters, as Optuna understands them.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pandas as pd

from jaxopt_course.messages import unknown
from jaxopt_course.report.optuna import import_optuna
from jaxopt_course.tables import schedules as schedule_columns
from jaxopt_course.tables.cells import normalise
from jaxopt_course.tables.recipes import RECIPES
from jaxopt_course.tables.signatures import Optimizer, parameters_of
from jaxopt_course.tables.space import Integers, LogUniform, Uniform, nullable
from jaxopt_course.tables.static import AnyTask, arguments_of, make_task
from jaxopt_course.tables.task_columns import read_by

DECIDE = ("optimizer", "schedule")  # which other columns a row has
Reads = Set[tuple[str, str]]  # (optimizer, column)


class _Column(NamedTuple):
    """What is asked for in a column of the table."""

    name: str
    ask: Any  # a distribution of Optuna's; None where the value is fixed
    examples: list[Any]  # the choices, the fixed value, or one value of a range
    kind: Any  # dtype of the column

    @property
    def is_range(self) -> bool:
        """Whether it has no list of values."""
        return self.ask is not None and not hasattr(self.ask, "choices")

    @property
    def ends(self) -> list[Any]:
        """The choices, the fixed value, or both ends of a range."""
        return [self.ask.low, self.ask.high] if self.is_range else self.examples

    def suggest(self, trial: Any) -> Any:
        """The value that the sampler suggests for ``trial``."""
        ask, name = self.ask, self.name
        if ask is None:
            return self.examples[0]
        if hasattr(ask, "choices"):
            return trial.suggest_categorical(name, ask.choices)
        suggest = trial.suggest_int if isinstance(ask.low, int) else trial.suggest_float
        return suggest(name, ask.low, ask.high, step=ask.step, log=ask.log)


@dataclass(frozen=True)
class Space:
    """The columns, and the seeds that each configuration is trained with."""

    columns: Mapping[str, _Column]  # those that decide first
    seeds: Sequence[int]
    static: Sequence[str] = ()  # columns that shape the program
    of_task: Set[str] = frozenset()  # columns that the task reads, whatever the optimizer
    replicates: Mapping[str, Sequence[int]] = field(default_factory=dict)  # beside the seeds

    @property
    def repeats(self) -> list[dict[str, Any]]:
        """The seeds, with each combination of the other replicates."""
        names = [*self.replicates, "seed"]
        values = itertools.product(*self.replicates.values(), self.seeds)
        return [dict(zip(names, each, strict=True)) for each in values]

    def with_static(self, static: Sequence[str] | None) -> "Space":
        """The space with these columns static: each combination of their values is a program.

        Raises:
            TypeError, ValueError: a column that is not there, or has no list of values.
        """
        if static is None:
            return self
        if isinstance(static, str):
            raise TypeError(f"static= takes a list of columns: static=[{static!r}]")
        for name in static:
            if name not in self.columns:
                raise ValueError(f"static=: {unknown('column', name, self.columns)}")
            if self.columns[name].is_range:
                raise ValueError(
                    f"static column {name!r} is a program for each of its values, so the space "
                    f"must list them: {name}=[…], not a range"
                )
        return replace(self, static=tuple(static))

    def with_task(self, task: AnyTask) -> "Space":
        """The space that knows which columns the task reads.

        Raises:
            KeyError, TypeError, ValueError: as :func:`~jaxopt_course.tables.task_columns.read_by`.
        """
        row = {name: [column.examples[0]] for name, column in self.columns.items()}
        row |= {name: [values[0]] for name, values in self.replicates.items()}
        table, _ = normalise(pd.DataFrame(row))
        static = {name: row[name][0] for name in self.static}
        given = arguments_of(task, static)
        own = {name: value for name, value in static.items() if name not in given}
        found = read_by(make_task(task, static, table), table, own, {}, lambda _: set())
        return replace(self, of_task=found.columns)

    @property
    def fixed(self) -> dict[str, Any]:
        """The columns with one value."""
        return {n: column.examples[0] for n, column in self.columns.items() if column.ask is None}

    def row(
        self,
        optimizer: Optimizer,
        chosen: Mapping[str, Any],
        trial: Any = None,
        reads: Reads | None = None,
    ) -> dict[str, Any]:
        """The columns that the row's optimizer and schedule take.

        Args:
            optimizer: as ``sweep`` takes it.
            chosen: values that are given.
            trial: whose sampler suggests the others; default an example of each.
            reads: what own functions read, once that is known; until then all.
        """
        row: dict[str, Any] = {}
        for name, column in self.columns.items():
            if name in chosen:
                row[name] = chosen[name]
            elif name in DECIDE or name in self.static or self._takes(row, name, optimizer, reads):
                row[name] = column.examples[0] if trial is None else column.suggest(trial)
        return row

    def _takes(
        self, row: Mapping[str, Any], name: str, optimizer: Optimizer, reads: Reads | None
    ) -> bool:
        """Whether the row has a use for the column.  What no row can use, the check refuses."""

        def takes(chosen: Any) -> bool:
            if schedule_columns.is_schedule(name):
                known = chosen in schedule_columns.SCHEDULES
                return not known or name in schedule_columns.arguments(chosen)
            if isinstance(optimizer, Mapping) and chosen in optimizer:
                return reads is None or (chosen, name) in reads
            return chosen not in RECIPES or name in parameters_of(chosen)

        if name in self.of_task:
            return True
        decides = "schedule" if schedule_columns.is_schedule(name) else "optimizer"
        if decides not in self.columns:
            return True
        return takes(row[decides]) or not any(map(takes, self.columns[decides].examples))

    def extremes(self, optimizer: Optimizer) -> list[dict[str, Any]]:
        """Rows that try each choice and both ends of each range, for every choice that decides.

        What the check refuses of them would end a search in its middle.
        """
        decide = [name for name in dict.fromkeys((*self.static, *DECIDE)) if name in self.columns]
        rows = []
        for values in itertools.product(*(self.columns[name].examples for name in decide)):
            chosen = dict(zip(decide, values, strict=True))
            usual = self.row(optimizer, chosen)
            for name in usual:
                if name not in decide:
                    rows += [usual | {name: value} for value in self.columns[name].ends]
        return rows

    def table(self, rows: Sequence[dict[str, Any]], optimizer: Optimizer) -> pd.DataFrame:
        """A row for each choice that shapes the program, then ``rows`` with every replicate."""
        shape = [name for name in dict.fromkeys((*self.static, *DECIDE)) if name in self.columns]
        choices = {name: self.columns[name].examples for name in shape}
        table = []
        for values in itertools.product(*choices.values()):
            example = self.row(optimizer, dict(zip(choices, values, strict=True)))
            table.append(example | self.repeats[0])
        table += [row | repeat for row in rows for repeat in self.repeats]
        names = [*self.columns, *self.replicates, "seed"]
        frame = pd.DataFrame(table, columns=names, dtype=object)
        frame = frame.where(frame.notna(), None)
        kinds = {name: column.kind for name, column in self.columns.items()}
        return frame.astype(kinds | dict.fromkeys(self.replicates, "Int64"))


def make_space(
    space: Mapping[str, Any],
    seeds: Iterable[int],
    replicates: Mapping[str, Iterable[int]] | None = None,
) -> Space:
    """Check a space as the user gave it, see :class:`OptunaSearch`.

    Raises:
        TypeError, ValueError: a column or a seed that makes no sense.
    """
    optuna = import_optuna()
    if not isinstance(space, Mapping) or not space:
        raise TypeError(f"space must be a dictionary of columns, not {space!r}")
    if "seed" in space:
        raise ValueError("a search does not choose seeds: give seeds=range(4), not a column")
    plain = isinstance(seeds, Iterable) and not isinstance(seeds, str | bytes | Mapping)
    listed = list(seeds) if plain else []
    whole = all(map(_is_seed, listed))
    if not listed or not whole or len(set(map(int, listed))) < len(listed):
        raise ValueError(
            f"seeds must be different whole numbers from 0 to 2³² - 1, not {seeds!r:.60}"
        )
    if replicates is not None and not isinstance(replicates, Mapping):
        raise TypeError(
            "replicates must be a dictionary, different whole numbers by column, not "
            f"{replicates!r:.60}"
        )
    first = [name for name in DECIDE if name in space]
    columns = {name: _column(optuna, name, space[name]) for name in [*first, *space]}
    if all(column.ask is None for column in columns.values()):
        raise ValueError("every column of the space is fixed; there is nothing to ask for")
    return Space(columns, listed, replicates=_replicates(replicates or {}, space))


def _is_seed(x: Any) -> bool:
    whole = hasattr(type(x), "__index__") and not isinstance(x, bool) and not getattr(x, "ndim", 0)
    whole = whole and getattr(getattr(x, "dtype", None), "kind", "i") in "iu"
    return whole and 0 <= int(x) < 2**32


def _replicates(given: Mapping[str, Iterable[int]], space: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of different whole numbers, none of which the sampler chooses."""
    found = {}
    for name, values in given.items():
        plain = isinstance(values, Iterable) and not isinstance(values, str)
        listed = list(values) if plain else []
        whole = all(hasattr(x, "__index__") for x in listed)
        if not (listed and whole) or len(set(listed)) < len(listed):
            raise ValueError(f"replicates: {name!r} takes different whole numbers, not {values!r}")
        if name in space or name == "seed":
            raise ValueError(f"replicates: the column {name!r} is given already")
        found[name] = tuple(map(int, listed))
    return found


def _column(optuna: Any, name: str, space: Any) -> _Column:
    """A column of the space in Optuna's words."""
    kinds = optuna.distributions
    match space:
        case Uniform(low, high):
            ask = kinds.FloatDistribution(low, high)
        case LogUniform(low, high):
            ask = kinds.FloatDistribution(low, high, log=True)
        case Integers(low, high):
            ask = kinds.IntDistribution(low, high)
        case kinds.BaseDistribution():
            ask = space
        case _:
            one = isinstance(space, str) or not isinstance(space, Iterable)
            values = [x.item() if hasattr(x, "item") else x for x in ([space] if one else space)]
            if not values:
                raise ValueError(f"column {name!r} has no values")
            ask = kinds.CategoricalDistribution(values) if len(values) > 1 else None
            examples = values
    if ask is not None:
        examples = list(ask.choices) if hasattr(ask, "choices") else [ask.low]
    if pd.isna(examples).any():
        raise ValueError(f"column {name!r} has None among its choices; write the default out")
    return _Column(name, ask, examples, nullable(name, pd.Series(examples)).dtype)
