"""A checked table: its trials, complete, and the optimizer as a function of a row."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

from jaxopt_course.base import Decay
from jaxopt_course.problems import asking
from jaxopt_course.problems.tasks import Task
from jaxopt_course.problems.traced import traced
from jaxopt_course.tables import schedules as schedule_columns
from jaxopt_course.tables.around import AROUND, wrapped
from jaxopt_course.tables.cells import identify, normalise, numbers_of
from jaxopt_course.tables.encode import EPOCHS, encode
from jaxopt_course.tables.factories import Factory, factory_of
from jaxopt_course.tables.masks import DECAY_BIASES, masks
from jaxopt_course.tables.recipes import RECIPES
from jaxopt_course.tables.signatures import (
    Optimizer,
    OptimizerFunction,
    complete,
    names_of,
    parameters_of,
    taken_by,
)
from jaxopt_course.tables.task_columns import TaskColumns, read_by
from jaxopt_course.train import Hyperparameters
from jaxopt_course.transforms.plateau import on_plateau
from jaxopt_course.transforms.switch import member_state, switch
from jaxopt_course.updating import adapted, passing, restored, skips, transformation


@dataclass(frozen=True)
class Columns:
    """What a table says: its trials, complete, and the optimizer as a function of a row."""

    trials: pd.DataFrame  # trial, id, hyperparameters, seed, duplicate_of
    hyperparameters: tuple[str, ...]  # the columns that make a configuration
    searched: tuple[str, ...]  # those of them that the user wrote
    optimizers: tuple[str, ...]  # names; the position is the index that the program switches on
    schedules: tuple[str, ...]  # names; the position is the number that the program selects by
    optimizer: OptimizerFunction
    member: Callable[[Hyperparameters, str], optax.GradientTransformation]  # of a row, by name
    reads: set[tuple[str, str]]  # (optimizer, column) that it takes, or has read so far
    task: TaskColumns
    functions: Optimizer = None  # as they were given, where they are the user's own
    epoch: int | None = None  # its steps; None where that is not known

    def state_of(self, arrays: Mapping[str, Any], row: int, state: Any, params: Any) -> Any:
        """The state of the row's own optimizer, as it has it where it is alone.

        Args:
            arrays: of :meth:`arrays`.
            row: of the table.
            state: what the program left, which holds the memories of all optimizers in turn.
            params: the row's.
        """
        if len(self.optimizers) == 1:
            return restored(state)
        h = jax.tree.map(lambda x: jnp.asarray(x[row]), arrays["hyperparameters"])
        h["seed"] = jnp.asarray(arrays["seeds"][row])
        member = self.member(h, self.optimizers[int(arrays["together"][row])])
        return restored(member_state(member, state.slots, params))

    def skips(self, task: Task) -> bool:
        """Whether one of the user's own optimizers leaves out steps that are not finite."""
        own = [name for name in self.optimizers if self.is_own(name)]
        found = [False]

        def look(h: Mapping[str, Any], seed: Any) -> int:
            row = self.task.row(h)
            offered = {} if row is None else {"h": row.by("init")}
            params, _ = asking.call(task.init, jax.random.key(seed), **offered)
            found[0] = any(skips(self.member({**h, "seed": seed}, n).init(params)) for n in own)
            return 0

        if own:
            h = jax.tree.map(lambda x: x[0], self.arrays(self.trials)["hyperparameters"])
            jax.eval_shape(look, h, np.uint32(0))
        return found[0]

    def is_own(self, name: str) -> bool:
        """Whether an optimizer is the user's, not a registered recipe."""
        given = self.functions
        return name in given if isinstance(given, Mapping) else given is not None

    def arrays(self, trials: pd.DataFrame) -> dict[str, Any]:
        """Rows of ``trials``, or of another table with these columns, as arrays.

        Returns:
            hyperparameters: name -> leaves (N,), float32, int32 or bool.
            seeds: (N,), uint32.
            together: (N,), int32, the row's optimizer, which all lanes of a call share.
            together_name: under which programs find it; None where there is one optimizer.
        """
        index = {name: i for i, name in enumerate(self.optimizers)}
        several = len(self.optimizers) > 1
        together = trials["optimizer"].map(index) if several else pd.Series(0, trials.index)
        numbers = {
            name: numbers_of(trials[name])
            for name in self.hyperparameters
            if name not in ("optimizer", "schedule")
        }
        if EPOCHS in numbers:
            numbers[EPOCHS] = numbers[EPOCHS] * float(self.epoch or 0)
        if len(self.schedules) > 1:
            position = {name: i for i, name in enumerate(self.schedules)}
            chosen = trials["schedule"].map(position)
            numbers["schedule"] = chosen.fillna(0).to_numpy(np.int64)  # empty: a function's row
        return {
            "hyperparameters": encode(numbers, pairs=True),
            "seeds": trials["seed"].to_numpy(np.uint32),
            "together": together.to_numpy(np.int32),
            "together_name": "optimizer" if several else None,
        }

    def check_read(self) -> None:
        """Once every function of the row was traced: are all columns read, and all cells filled?

        Raises:
            ValueError: a column that nobody reads, or an empty cell that a function reads.
        """
        read = {column for _, column in self.reads} | {"optimizer"} | self.task.columns
        if self.schedules:
            read |= schedule_columns.columns_of(self.schedules)
        for column in self.hyperparameters:
            if column not in read:
                nor_task = ", nor does the task" if self.task.asked else ""
                raise ValueError(
                    f"the optimizer function does not read the column {column!r}{nor_task}; "
                    "drop the column, or use it"
                )
        for name, column in sorted(self.reads):
            empty = self.trials[column].isna()
            if "optimizer" in self.trials:
                empty &= self.trials["optimizer"] == name
            if empty.any():
                raise ValueError(
                    f"row {int(empty.argmax())} has no {column!r}, which {name} reads; "
                    "a function has no default"
                )


def check_columns(
    trials: pd.DataFrame,
    optimizer: Optimizer = None,
    steps: int | None = None,
    task: Task | None = None,
    static: Mapping[str, Any] | None = None,
    epoch: int | None = None,
) -> Columns:
    """Check a table and complete it.

    Args:
        trials: a row a trial; a column a hyperparameter, and ``seed`` (default 0).
        optimizer: a registered name for all rows; a function of the row's numbers; a factory, whose
            arguments are columns; a dictionary from names in the column "optimizer" to such
            functions, beside the registered ones;
            or nothing, where the column "optimizer" has registered names.
        steps: of the study, from which the horizons of schedules have their defaults.
        task: whose functions may read columns too.
        static: plain values that they find beside the columns.
        epoch: its steps, for columns that count in epochs.

    Raises:
        TypeError: not a table, or a column of mixed or wrong kind.
        ValueError: an empty table, an unknown optimizer, a column or value that no optimizer
            takes, a missing value without a default, an infinity, a negative learning rate.
    """
    trials, searched = normalise(trials)
    functions: dict[str, Any] = {}
    if isinstance(optimizer, str):
        if "optimizer" in trials:
            raise ValueError('give either optimizer="…" or a column "optimizer", not both')
        trials.insert(0, "optimizer", pd.Series([optimizer] * len(trials), dtype="string"))
    elif isinstance(optimizer, Mapping):
        functions = dict(optimizer)
        for name, function in functions.items():
            if not callable(function):
                raise TypeError(
                    f"optimizer={{{name!r}: …}} takes a function of the row, as lambda h: "
                    f'joc.adam(h["learning_rate"]), not {type(function).__name__}'
                )
    elif callable(optimizer):
        name = getattr(optimizer, "__name__", "optimizer")
        if getattr(optimizer, "__wrapped__", optimizer) in RECIPES.values():
            raise TypeError(f"give the recipe by its name, optimizer={name!r}, not as a function")
        if "optimizer" in trials:
            raise ValueError(
                'the table has a column "optimizer" and optimizer= is one function; drop the '
                f'column, or give optimizer={{"{name}": …}} for the rows of that name'
            )
        functions = {name: optimizer}
    elif optimizer is not None:
        raise TypeError(f"optimizer= takes a name, a function or a dictionary, not {optimizer!r}")
    names = names_of(trials, functions, optimizer)
    factories = _factories({n: f for n, f in functions.items() if n in names}, trials)
    with_rate = {n for n in names if n not in functions and "learning_rate" in parameters_of(n)}
    several = {n: one for n, one in factories.items() if isinstance(optimizer, Mapping)}
    with_rate |= {name for name, one in several.items() if "learning_rate" in one.defaults}
    of_row = set(functions) - (set(several) & with_rate)
    trials, schedules = schedule_columns.complete(trials, with_rate, of_row, steps)
    recipes = {name: parameters_of(name) for name in names if name not in functions}
    of_task = read_by(task, trials, static or {}, recipes, functools.partial(_reads_of, functions))
    trials = complete(trials, names, functions, of_task.columns, factories)
    hyperparameters = tuple(c for c in trials.columns if c != "seed")
    if EPOCHS in trials and epoch is None:
        raise ValueError(
            f"column {EPOCHS!r} is in epochs, and a stream without a length has none: give "
            "'ema_half_life', in steps, or joc.stream(…, batches=…)"
        )
    for column in hyperparameters:
        if column not in ("optimizer", "schedule") and trials[column].dtype == "string":
            raise TypeError(
                f"column {column!r} holds text ({trials[column].dropna().iloc[0]!r}); "
                'only "optimizer" and "schedule" may: encode the choice as a number, or name the '
                'variants as optimizers: optimizer={"a": …, "b": …}; or '
                f"have a program for each of its values: static=[{column!r}]"
            )
    taken = {name: taken_by(trials, name) for name in names if name not in functions}
    taken |= {name: one.taken_by(trials) for name, one in factories.items()}
    masked = {name: masks(trials, name) for name in recipes}
    reads = {(name, column) for name, columns in taken.items() for column in columns}

    def member(h: Hyperparameters, name: str) -> optax.GradientTransformation:
        if name in functions and name not in factories:
            with traced(f"the optimizer function {name!r}"):
                made = functions[name](_Row(h, name, reads))
            return transformation(made, name)
        rate: Any = None
        plateau = None
        if "learning_rate" in taken[name]:
            rate = schedule_columns.rate_of(h, schedules, hyperparameters)
            plateau = schedule_columns.plateau_of(h, schedules, hyperparameters)

        def recipe(rate: Any) -> optax.GradientTransformation:
            if name in factories:
                with traced(f"the optimizer's factory {name!r}"):
                    found = factories[name].make(h, taken[name], rate)
                return transformation(found, name)
            apart = {*AROUND, DECAY_BIASES}
            numbers = {column: h[column] for column in taken[name] if column not in apart}
            if "learning_rate" in numbers:
                numbers["learning_rate"] = rate
            return RECIPES[name](**numbers, **masked[name])

        made = recipe(rate) if plateau is None else on_plateau(recipe, rate, plateau)
        return adapted(made if name in factories else wrapped(made, h, taken[name]))

    def choose(h: Hyperparameters) -> optax.GradientTransformation:
        members = [member(h, name) for name in names]
        return members[0] if len(members) == 1 else passing(switch(h["optimizer"], members))

    return Columns(
        identify(trials, hyperparameters),
        hyperparameters,
        tuple(c for c in hyperparameters if c in searched),
        names,
        schedules,
        choose,
        member,
        reads,
        of_task,
        None if isinstance(optimizer, str) else optimizer,
        epoch,
    )


def _factories(functions: Mapping[str, Any], trials: pd.DataFrame) -> dict[str, Factory]:
    """Those of the user's functions that take cells and not the row."""
    columns = {c for c in trials if c not in ("optimizer", "seed", "schedule")}
    found = {name: factory_of(name, function, columns) for name, function in functions.items()}
    return {name: one for name, one in found.items() if one is not None}


def _reads_of(functions: Mapping[str, Any], row: Mapping[str, Any]) -> set[str]:
    """The columns that functions of the row read, as far as that is known without its numbers."""
    reads: set[tuple[str, str]] = set()

    def trace(numbers: Mapping[str, Any], name: str) -> int:
        functions[name](_Row(numbers, name, reads))
        return 0

    for name, function in functions.items():
        if (factory := factory_of(name, function, row)) is not None:
            reads |= {(name, column) for column in factory.defaults}
            continue
        with contextlib.suppress(Exception):  # it is traced again, with all there is
            jax.eval_shape(functools.partial(trace, name=name), dict(row))
    return {column for _, column in reads}


class _Row(Mapping[str, Any]):
    """A row's numbers as plain scalars; remembers what was read."""

    def __init__(self, numbers: Hyperparameters, name: str, reads: set[tuple[str, str]]) -> None:
        self._numbers, self._name, self._reads = numbers, name, reads

    def __getitem__(self, column: str) -> Any:
        if column == "schedule":
            raise KeyError(
                'the column "schedule" is for registered recipes; a function of the row makes its '
                'own schedule, of numbers such as h["schedule_decay_steps"]'
            )
        if column not in self._numbers or column == "seed":
            raise KeyError(
                f"the optimizer function reads column {column!r}, which the table does not have "
                f"(it has {', '.join(self)})"
            )
        self._reads.add((self._name, column))
        value = self._numbers[column]
        return value.value if isinstance(value, Decay) else value

    def __iter__(self) -> Iterator[str]:
        apart = ("optimizer", "schedule", "seed")
        return (column for column in self._numbers if column not in apart)

    def __len__(self) -> int:
        return sum(1 for _ in self)
