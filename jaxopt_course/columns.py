"""A table's columns, checked against what the optimizers take, with their defaults written in.

What comes out is the same table, whichever columns the user wrote: the defaults of registered
recipes stand in it as numbers, so that the program, and with it the bits, do not depend on which
of them were spelled out.
"""

import hashlib
import inspect
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optax
import pandas as pd

from jaxopt_course import schedule_columns
from jaxopt_course.base import Decay
from jaxopt_course.conventions.registry import REGISTERED
from jaxopt_course.messages import unknown
from jaxopt_course.sweeps.engine import Table
from jaxopt_course.sweeps.space import nullable
from jaxopt_course.train import Hyperparameters, encode
from jaxopt_course.transforms.switch import switch

OptimizerFunction = Callable[[Hyperparameters], optax.GradientTransformation]
Optimizer = None | str | OptimizerFunction | Mapping[str, OptimizerFunction]

NOT_NUMBERS = {"accumulator_dtype", "mu_dtype", "mask", "weight_decay_mask"}
NONE_MEANS = {"learning_rate": 1.0}  # of an argument whose default is None, where it is not 0
NONE_MEANS |= dict.fromkeys(
    ("clipnorm", "clipvalue", "global_clipnorm"), float(np.finfo(np.float32).max)
)
RESULTS = {"trial", "id", "status", "first_bad_step", "duplicate_of", "train_loss", "best_step"}
RESULTS |= {"rank", "seeds", "diverged", "unfinished"}  # columns of study.configurations() ...
RESULTS |= {"at_edge", "trials", "trials_diverged"}  # ... of study.winners() ...
RESULTS |= {"step", "eval_step"}  # ... and coordinates of study.curves


@dataclass(frozen=True)
class Columns:
    """What a table says: its trials, complete, and the optimizer as a function of a row."""

    trials: pd.DataFrame  # trial, id, hyperparameters, seed, duplicate_of
    hyperparameters: tuple[str, ...]  # the columns that make a configuration
    searched: tuple[str, ...]  # those of them that the user wrote
    optimizers: tuple[str, ...]  # names; the position is the index that the program switches on
    schedules: tuple[str, ...]  # names; the position is the number that the program selects by
    optimizer: OptimizerFunction
    reads: set[tuple[str, str]]  # (optimizer, column) that it takes, or has read so far

    def table(self, trials: pd.DataFrame) -> Table:
        """Rows of ``trials``, or of another table with these columns, as the engine takes them."""
        index = {name: i for i, name in enumerate(self.optimizers)}
        several = len(self.optimizers) > 1
        together = trials["optimizer"].map(index) if several else pd.Series(0, trials.index)
        numbers = {
            name: _numbers(trials[name])
            for name in self.hyperparameters
            if name not in ("optimizer", "schedule")
        }
        if len(self.schedules) > 1:
            position = {name: i for i, name in enumerate(self.schedules)}
            chosen = trials["schedule"].map(position)
            numbers["schedule"] = chosen.fillna(0).to_numpy(np.int64)  # empty: a function's row
        return Table(
            encode(numbers, pairs=True),
            trials["seed"].to_numpy(np.uint32),
            together.to_numpy(np.int32),
            "optimizer" if several else None,
        )

    def check_read(self) -> None:
        """Once every function of the row was traced: are all columns read, and all cells filled?

        Raises:
            ValueError: a column that nobody reads, or an empty cell that a function reads.
        """
        read = {column for _, column in self.reads} | {"optimizer"}
        if self.schedules:
            read |= schedule_columns.columns_of(self.schedules)
        for column in self.hyperparameters:
            if column not in read:
                raise ValueError(
                    f"the optimizer function does not read the column {column!r}; "
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
    trials: pd.DataFrame, optimizer: Optimizer = None, steps: int | None = None
) -> Columns:
    """Check a table and complete it.

    Args:
        trials: a row a trial; a column a hyperparameter, and ``seed`` (default 0).
        optimizer: a registered name for all rows; a function of the row's numbers; a dictionary
            from names in the column "optimizer" to such functions, beside the registered ones;
            or nothing, where the column "optimizer" has registered names.
        steps: of the study, from which the horizons of schedules have their defaults.

    Raises:
        TypeError: not a table, or a column of mixed or wrong kind.
        ValueError: an empty table, an unknown optimizer, a column or value that no optimizer
            takes, a missing value without a default, an infinity, a negative learning rate.
    """
    trials, searched = _normalise(trials)
    functions: dict[str, Any] = {}
    if isinstance(optimizer, str):
        if "optimizer" in trials:
            raise ValueError('give either optimizer="…" or a column "optimizer", not both')
        trials.insert(0, "optimizer", pd.Series([optimizer] * len(trials), dtype="string"))
    elif isinstance(optimizer, Mapping):
        functions = dict(optimizer)
    elif callable(optimizer):
        name = getattr(optimizer, "__name__", "optimizer")
        if getattr(optimizer, "__wrapped__", optimizer) in REGISTERED.values():
            raise TypeError(f"give the recipe by its name, optimizer={name!r}, not as a function")
        if "optimizer" in trials:
            raise ValueError(
                'the table has a column "optimizer" and optimizer= is one function; drop the '
                f'column, or give optimizer={{"{name}": …}} for the rows of that name'
            )
        functions = {name: optimizer}
    elif optimizer is not None:
        raise TypeError(f"optimizer= takes a name, a function or a dictionary, not {optimizer!r}")
    names = _names(trials, functions, optimizer)
    with_rate = {n for n in names if n not in functions and "learning_rate" in _parameters(n)}
    trials, schedules = schedule_columns.complete(trials, with_rate, functions, steps)
    trials = _complete(trials, names, functions)
    hyperparameters = tuple(c for c in trials.columns if c != "seed")
    for column in hyperparameters:
        if column not in ("optimizer", "schedule") and trials[column].dtype == "string":
            raise TypeError(
                f"column {column!r} holds text ({trials[column].dropna().iloc[0]!r}); "
                'only "optimizer" and "schedule" may: encode the choice as a number, or name the '
                'variants as optimizers: optimizer={"a": …, "b": …}'
            )
    taken = {name: _taken(trials, name) for name in names if name not in functions}
    reads = {(name, column) for name, columns in taken.items() for column in columns}

    def choose(h: Hyperparameters) -> optax.GradientTransformation:
        def build(name: str) -> optax.GradientTransformation:
            if name in functions:
                made = functions[name](_Row(h, name, reads))
                if not isinstance(made, optax.GradientTransformation):
                    raise TypeError(
                        f"optimizer function {name!r} must return a gradient transformation, "
                        f"not {made!r}"
                    )
                return made
            numbers = {column: h[column] for column in taken[name]}
            if "learning_rate" in numbers:
                numbers["learning_rate"] = schedule_columns.rate_of(h, schedules, hyperparameters)
            return REGISTERED[name](**numbers)

        members = [build(name) for name in names]
        return members[0] if len(members) == 1 else switch(h["optimizer"], members)

    return Columns(
        identify(trials, hyperparameters),
        hyperparameters,
        tuple(c for c in hyperparameters if c in searched),
        names,
        schedules,
        choose,
        reads,
    )


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
        if column not in self._numbers:
            raise KeyError(
                f"the optimizer function reads column {column!r}, which the table does not have "
                f"(it has {', '.join(self)})"
            )
        self._reads.add((self._name, column))
        value = self._numbers[column]
        return value.value if isinstance(value, Decay) else value

    def __iter__(self) -> Iterator[str]:
        return (column for column in self._numbers if column not in ("optimizer", "schedule"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _normalise(trials: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Nullable dtypes, a valid seed, and no value that no optimizer could take."""
    if not isinstance(trials, pd.DataFrame):
        raise TypeError(
            f"trials must be a pandas.DataFrame, as from grid(...), not {type(trials).__name__}"
        )
    if trials.empty:
        raise ValueError("the table of trials is empty")
    if not trials.columns.is_unique or not all(isinstance(c, str) for c in trials.columns):
        raise ValueError(f"column names must be different strings: {list(trials.columns)}")
    for column in trials.columns:
        if column in RESULTS or column.startswith(("valid_", "test_", "best_valid_")):
            raise ValueError(
                f"a hyperparameter may not be called {column!r}, as results of a study are; rename "
                "the column, or keep only study.trials[[*study.hyperparameters, 'seed']]"
            )
    table = pd.DataFrame({c: nullable(c, trials[c]) for c in trials.columns})
    table = table.reset_index(drop=True)
    searched = [c for c in table.columns if c != "seed"]
    for column in searched:
        if table[column].dtype == "Float64":
            infinite = np.isinf(table[column].to_numpy(float, na_value=0.0))
            if infinite.any():
                raise ValueError(f"column {column!r} is infinite in row {infinite.argmax()}")
            large = table[column].abs().fillna(0) > float(np.finfo(np.float32).max)
            if large.any():
                raise ValueError(
                    f"column {column!r} is beyond float32 in row {int(large.argmax())}"
                )
    if "learning_rate" in table:
        rate = table["learning_rate"]
        if rate.dtype not in ("Float64", "Int64"):
            value = rate.dropna().iloc[0]
            raise TypeError(f"column 'learning_rate' must hold numbers, not {value!r}")
        negative = (rate < 0).fillna(False)
        if negative.any():
            row = int(negative.argmax())
            raise ValueError(
                f"column 'learning_rate' is negative ({rate[row]}) in row {row}; "
                "the update descends already"
            )
    table["seed"] = _seeds(table["seed"]) if "seed" in table else 0
    table["seed"] = table["seed"].astype("Int64")
    return table[[c for c in table.columns if c != "seed"] + ["seed"]], searched


def _seeds(column: pd.Series) -> pd.Series:
    """Whole numbers from 0 to 2³² - 1; an empty cell means 0."""
    if column.dtype in ("Int64", "Float64"):
        seeds = column.fillna(0)
        wrong = (seeds < 0) | (seeds >= 2**32) | (seeds % 1 != 0)
        if not wrong.any():
            return seeds
        column = column[wrong]
    raise ValueError(
        f"column 'seed' must hold whole numbers from 0 to 2³² - 1, not {column.iloc[0]!r}"
    )


def _names(
    trials: pd.DataFrame, functions: Mapping[str, Any], optimizer: Optimizer
) -> tuple[str, ...]:
    """The optimizers of the table, in the order of their first appearance."""
    if "optimizer" not in trials:
        if callable(optimizer):
            return tuple(functions)
        raise ValueError(
            'the table has no column "optimizer"; add one, or give optimizer="adam" '
            '(or a function: optimizer=lambda h: joc.adam(h["learning_rate"]))'
        )
    column = trials["optimizer"]
    if column.dtype != "string" or column.isna().any():
        raise ValueError('column "optimizer" must have a name in every row')
    known = {**functions, **REGISTERED}
    for name in column.unique():
        if name not in known:
            raise ValueError(unknown("optimizer", name, known))
    # a fixed order, so that the program does not depend on the order of the rows
    return tuple(sorted(column.unique(), key=list(known).index))


def _parameters(name: str) -> dict[str, Any]:
    """The arguments of a registered recipe that a column may hold, with their defaults."""
    signature = inspect.signature(REGISTERED[name]).parameters
    return {
        argument: NONE_MEANS.get(argument, 0.0) if p.default is None else p.default
        for argument, p in signature.items()
        if argument not in NOT_NUMBERS and p.kind is not p.VAR_KEYWORD
    }


def _is_optional(name: str, argument: str) -> bool:
    """Whether the recipe does without: None is its default, and not a rate of 1."""
    default = inspect.signature(REGISTERED[name]).parameters[argument].default
    return default is None and argument != "learning_rate"


def _taken(trials: pd.DataFrame, name: str) -> tuple[str, ...]:
    """The columns that a registered recipe gets; a memory that its rows leave empty stays out."""
    own = trials[trials["optimizer"] == name]
    return tuple(c for c in trials.columns if c in _parameters(name) and own[c].notna().any())


def _complete(
    trials: pd.DataFrame, names: tuple[str, ...], functions: Mapping[str, Any]
) -> pd.DataFrame:
    """Refuse what an optimizer does not take; write in what it has a default for."""
    registered = {name: _parameters(name) for name in names if name not in functions}
    offered = sorted({argument for p in registered.values() for argument in p})
    for column in [c for c in trials.columns if c not in ("seed", "optimizer")]:
        whole = trials[column].dtype == "Int64"
        if whole and not trials[column].between(-(2**31), 2**31 - 1).all():
            raise ValueError(f"column {column!r} holds whole numbers beyond 32 bits")
    apart = {"seed", "optimizer", *filter(schedule_columns.is_schedule, trials.columns)}
    for column in [c for c in trials.columns if c not in apart]:
        if not functions and column not in offered:
            raise ValueError(
                "no optimizer of this table takes the column "
                f"{column!r}: {unknown('column', column, offered)}"
            )
        for name, parameters in registered.items():
            rows = (trials["optimizer"] == name) & trials[column].notna()
            if column not in parameters and rows.any():
                raise ValueError(_not_taken(column, name, parameters, int(rows.argmax())))
    for name, parameters in registered.items():
        rows = trials["optimizer"] == name
        for argument, default in parameters.items():
            given = argument in trials and trials.loc[rows, argument].notna().any()
            if given:
                _check_kind(argument, trials.loc[rows, argument], default, name)
            if not given and (isinstance(default, bool) or _is_optional(name, argument)):
                continue  # a switch or memory that nobody asks for stays out of the program
            if argument not in trials:
                kind = "boolean" if isinstance(default, bool) else "Float64"
                trials.insert(
                    trials.columns.get_loc("seed"),
                    argument,
                    pd.Series(pd.NA, trials.index, dtype=kind),
                )
            elif trials[argument].dtype == "Int64":
                trials[argument] = trials[argument].astype("Float64")
            missing = rows & trials[argument].isna()
            if not missing.any():
                continue
            if default is inspect.Parameter.empty:
                raise ValueError(
                    f"row {int(missing.argmax())} ({name}) has no {argument!r}, "
                    "and there is no default"
                )
            trials.loc[missing, argument] = default
    return trials


def _check_kind(column: str, values: pd.Series, default: Any, name: str) -> None:
    switch_wanted = isinstance(default, bool)
    if switch_wanted != (values.dtype == "boolean") or values.dtype == "string":
        wanted = "True or False" if switch_wanted else "numbers"
        value = values.dropna().iloc[0]
        raise TypeError(f"column {column!r} of {name} takes {wanted}, not {value!r}")


def _not_taken(column: str, name: str, parameters: Mapping[str, Any], row: int) -> str:
    return (
        f"row {row}: {name} does not take {column!r} (it takes {', '.join(parameters)}). "
        "Make a table for each and join them: "
        f'pd.concat([grid(optimizer="{name}", learning_rate=…), '
        f'grid(optimizer="…", learning_rate=…, {column}=…)]); '
        "an empty cell (pd.NA) means the default"
    )


def identify(trials: pd.DataFrame, hyperparameters: Sequence[str]) -> pd.DataFrame:
    """Number the rows, give each a content id, and flag those that repeat an earlier one."""
    ids = pd.Series(
        [
            content_id(dict(zip(hyperparameters, row, strict=True)), int(seed))
            for *row, seed in trials[[*hyperparameters, "seed"]].itertuples(index=False, name=None)
        ],
        dtype="string",
    )
    first = pd.Series(ids.index, index=ids).groupby(level=0).first()
    duplicate_of = ids.map(first).astype("Int64")
    duplicate_of = duplicate_of.where(duplicate_of != ids.index, pd.NA)
    repeats = duplicate_of.notna()
    if repeats.any():
        row = int(repeats.argmax())
        warnings.warn(
            f"{int(repeats.sum())} trials repeat an earlier one (row {row} says the same as row "
            f"{duplicate_of[row]}); see the column 'duplicate_of', or use drop_duplicates()",
            stacklevel=4,
        )
    numbered = trials.copy()
    numbered.insert(0, "trial", np.arange(len(trials)))
    numbered.insert(1, "id", ids)
    numbered["duplicate_of"] = duplicate_of
    return numbered


def content_id(hyperparameters: Mapping[str, Any], seed: int) -> str:
    """A trial's name by what it is: a hash of its hyperparameters and seed, 16 hex digits."""
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in hyperparameters.items()
        if value is not pd.NA
    }
    text = json.dumps({"hyperparameters": plain, "seed": seed}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _numbers(column: pd.Series) -> np.ndarray:
    """A column as a plain array; a cell that its row's optimizer does not read becomes zero."""
    kind = {"Float64": float, "Int64": np.int64, "boolean": bool}[str(column.dtype)]
    return column.to_numpy(kind, na_value=kind(0))
