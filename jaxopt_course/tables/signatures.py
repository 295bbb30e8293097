"""A table's columns against the optimizers' signatures: what they take, and their defaults."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import optax
import pandas as pd

from jaxopt_course.base import DecayLike
from jaxopt_course.describe import NEVER_NEGATIVE
from jaxopt_course.messages import unknown
from jaxopt_course.tables import schedules as schedule_columns
from jaxopt_course.tables.around import AROUND, check_around
from jaxopt_course.tables.factories import Factory
from jaxopt_course.tables.masks import DECAY_BIASES, mask_of
from jaxopt_course.tables.recipes import EMA_DECAY, RECIPES, base_of, is_averaged
from jaxopt_course.train import Hyperparameters

ELSEWHERE = {"lr": "learning_rate", "wd": "weight_decay", "l2": "weight_decay", "epsilon": "eps",
             "beta_1": "b1", "beta1": "b1", "beta_2": "b2", "beta2": "b2"}  # fmt: skip

OptimizerFunction = Callable[[Hyperparameters], optax.GradientTransformation]
Optimizer = None | str | OptimizerFunction | Mapping[str, OptimizerFunction]

NOT_NUMBERS = {"accumulator_dtype", "mu_dtype", "state_dtype", "ns_dtype", "mask"}
NOT_NUMBERS |= {"weight_decay_mask", "muon_weight_dimension_numbers", "exclude_layers"}
NOT_NUMBERS |= {"ns_coeffs", "preconditioning", "clip_value_fn", "trust_ratio_mask"}
NOT_NUMBERS |= {
    "dtype_momentum",
    "factored",
    "min_dim_size_to_factor",
    "max_precondition_dim",
}  # these shape the state
WHOLE = {"ns_steps": 0, "precondition_frequency": 1}  # numbers of steps, and the least
# of an argument whose default is None, where it is not 0
NONE_MEANS: dict[str, Any] = {"learning_rate": 1.0}
NONE_MEANS |= dict.fromkeys(
    ("clipnorm", "clipvalue", "global_clipnorm"), float(np.finfo(np.float32).max)
)
# None means another way, which no number says: a cell is filled in all rows or in none
NO_NUMBER = {"adam_learning_rate", "b3", "consistent_rms"}
NONE_MEANS |= dict.fromkeys(NO_NUMBER, inspect.Parameter.empty)


class UnknownColumn(ValueError):
    """Nobody takes a column of the table.

    Attributes:
        column: its name; "" where the error was raised again with more words.
    """

    def __init__(self, said: str, column: str = "") -> None:
        super().__init__(said)
        self.column = column


def names_of(
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
    known = [*functions, *(name for name in RECIPES if name not in functions)]
    for name in column.unique():
        if name not in functions and name not in RECIPES:
            raise ValueError(unknown("optimizer", name, known))
    # a fixed order, so that the program does not depend on the order of the rows
    place = lambda name: (known.index(name if name in functions else base_of(name)), name)
    return tuple(sorted(column.unique(), key=place))


def parameters_of(name: str) -> dict[str, Any]:
    """The arguments of a registered recipe that a column may hold, with their defaults.

    With them what stands around any recipe; see ``around``.
    """
    signature = inspect.signature(RECIPES[name]).parameters
    numbers = {
        argument: NONE_MEANS.get(argument, 0.0) if p.default is None else p.default
        for argument, p in signature.items()
        if argument not in NOT_NUMBERS
        and p.kind is not p.VAR_KEYWORD
        and not isinstance(p.default, str | tuple)
    }
    around = AROUND | ({"ema_decay": EMA_DECAY} if is_averaged(name) else {})
    return numbers | ({DECAY_BIASES: True} if mask_of(name) else {}) | around


def _is_optional(name: str, argument: str) -> bool:
    """Whether the recipe does without: None is its default, and not a rate of 1.

    So it does with a count, as of iterations, which is a loop of known length where nobody asks.
    """
    if argument in AROUND or argument == DECAY_BIASES:
        return not (argument == "ema_decay" and is_averaged(name))
    default = inspect.signature(RECIPES[name]).parameters[argument].default
    counts = isinstance(default, int) and not isinstance(default, bool)
    return counts or (default is None and argument != "learning_rate")


def taken_by(trials: pd.DataFrame, name: str) -> tuple[str, ...]:
    """The columns that a registered recipe gets; a memory that its rows leave empty stays out."""
    own = trials[trials["optimizer"] == name]
    known = parameters_of(name)
    return tuple(c for c in trials.columns if c in known and own[c].notna().any())


def complete(
    trials: pd.DataFrame,
    names: tuple[str, ...],
    functions: Mapping[str, Any],
    of_task: Collection[str] = (),
    factories: Mapping[str, Factory] | None = None,
) -> pd.DataFrame:
    """Refuse what an optimizer does not take; write in what it has a default for.

    ``of_task``: columns that the task reads; ``factories``: those of the functions that are.
    """
    registered = {name: parameters_of(name) for name in names if name not in functions}
    if registered:
        check_around(trials)
    factories = factories or {}
    offered = sorted({argument for p in registered.values() for argument in p})
    for column in [c for c in trials.columns if c not in ("seed", "optimizer")]:
        whole = trials[column].dtype == "Int64"
        if whole and not trials[column].between(-(2**31), 2**31 - 1).all():
            raise ValueError(f"column {column!r} holds whole numbers beyond 32 bits")
    apart = {"seed", "optimizer", *filter(schedule_columns.is_schedule, trials.columns), *of_task}
    for column in [c for c in trials.columns if c not in apart]:
        for name, factory in factories.items():
            rows = trials[column].notna()
            if "optimizer" in trials:
                rows &= trials["optimizer"] == name
            if column not in factory.defaults and rows.any() and "optimizer" in trials:
                raise ValueError(_not_taken(column, name, factory.defaults, int(rows.argmax())))
        if not functions and column not in offered:
            raise UnknownColumn(
                "no optimizer of this table takes the column "
                f"{column!r}: {_unknown(column, [*offered, *sorted(of_task)])}. A number "
                f"for the task is read by its loss, evaluate or module as h[{column!r}]; one for "
                f"shapes or batches is named in static=[{column!r}]",
                column,
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
                _check_range(argument, trials.loc[rows, argument], name)
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
            if argument in NO_NUMBER and _is_optional(name, argument):
                raise ValueError(
                    f"row {int(missing.argmax())} ({name}) has no {argument!r}, and other rows of "
                    f"it have one: without it {name} is another program; give all of them one"
                )
            if default is inspect.Parameter.empty:
                raise ValueError(
                    f"row {int(missing.argmax())} ({name}) has no {argument!r}, "
                    "and there is no default"
                )
            trials.loc[missing, argument] = default
    for factory in factories.values():
        trials = factory.complete(trials)
    return trials


def _check_kind(column: str, values: pd.Series, default: Any, name: str) -> None:
    switch_wanted = isinstance(default, bool)
    if switch_wanted != (values.dtype == "boolean") or values.dtype == "string":
        wanted = "True or False" if switch_wanted else "numbers"
        value = values.dropna().iloc[0]
        raise TypeError(f"column {column!r} of {name} takes {wanted}, not {value!r}")
    if column in WHOLE:
        odd = values.dropna()[lambda x: (x % 1 != 0) | (x < WHOLE[column])]
        if len(odd):
            raise ValueError(
                f"column {column!r} of {name} takes whole numbers from {WHOLE[column]} on, not "
                f"{odd.iloc[0]}"
            )


def decays_of(name: str) -> set[str]:
    """The arguments of a registered recipe that are decays, from 0 to 1.

    >>> sorted(decays_of("adam")), sorted(decays_of("sgd"))
    (['b1', 'b2'], ['momentum'])
    """
    kinds = (DecayLike, DecayLike | None)
    parameters = inspect.signature(RECIPES[name]).parameters
    return {argument for argument, p in parameters.items() if p.annotation in kinds}


def _check_range(column: str, values: pd.Series, name: str) -> None:
    """Recipes refuse such numbers themselves, but in a program they are traced."""
    kind, most = (
        ("a decay, from 0 to 1", 1) if column in decays_of(name) else ("at least 0", np.inf)
    )
    if most == np.inf and column not in NEVER_NEGATIVE:
        return
    outside = ((values < 0) | (values > most)).fillna(False)
    if outside.any():
        row = int(outside.idxmax())
        raise ValueError(f"column {column!r} of {name} is {kind}, and row {row} has {values[row]}")


def _not_taken(column: str, name: str, parameters: Mapping[str, Any], row: int) -> str:
    return (
        f"row {row}: {name} does not take {column!r} (it takes {', '.join(parameters)}). "
        "Make a table for each and join them: "
        f'pd.concat([grid(optimizer="{name}", learning_rate=…), '
        f'grid(optimizer="…", learning_rate=…, {column}=…)]); '
        "an empty cell (pd.NA) means the default"
    )


def _unknown(column: str, offered: Collection[str]) -> str:
    """That nobody takes a column, and what PyTorch or Keras's name for it is here."""
    here = ELSEWHERE.get(column, "")
    if here in offered:
        return f"unknown column {column!r}; it is called {here!r} here"
    return unknown("column", column, offered)
