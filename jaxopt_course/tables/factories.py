"""Factories as they are, ``optax.contrib.muon``: called with the cells that their signature names.

A function of the row takes one argument, the row: ``lambda h: optax.adam(h["learning_rate"])``.  A
function whose arguments are columns is a factory, and gets their cells; for the others it has its
defaults.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from jaxopt_course.base import Decay
from jaxopt_course.conventions.registry import REGISTERED

ROW = ("h", "row")  # what the argument of a function of the row is called, if not otherwise
RANDOM = (
    "key",
    "seed",
)  # arguments that are drawn from the trial's seed, where no column is named so
KEY_TAG = 0xFAC70123  # beyond all steps, whose keys are folded from the same seed


class Factory(NamedTuple):
    """A function that makes a transformation of named numbers."""

    name: str
    function: Callable[..., Any]
    defaults: Mapping[str, Any]  # argument -> its default, or Parameter.empty

    def taken_by(self, trials: pd.DataFrame) -> tuple[str, ...]:
        """The columns that it gets; those that its rows leave empty stay out."""
        own = trials
        if "optimizer" in trials:
            own = trials[trials["optimizer"] == self.name]
        apart = ("optimizer", "schedule", "seed")
        names = [c for c in trials.columns if c in self.defaults and c not in apart]
        return tuple(c for c in names if own[c].notna().any())

    def complete(self, trials: pd.DataFrame) -> pd.DataFrame:
        """Write its defaults into cells that some of its rows leave empty.

        Raises:
            ValueError: there is no default, or none that is a number.
        """
        rows = pd.Series(True, trials.index)
        if "optimizer" in trials:
            rows = trials["optimizer"] == self.name
        taken = self.taken_by(trials)
        for argument, default in self.defaults.items():
            drawn = argument in RANDOM
            if argument not in taken and default is inspect.Parameter.empty and not drawn:
                raise ValueError(
                    f"row {int(rows.argmax())} ({self.name}) has no {argument!r}, and there is no "
                    "default"
                )
        for column in taken:
            missing = rows & trials[column].isna()
            if not missing.any():
                continue
            default = self.defaults[column]
            if not isinstance(default, int | float | np.number):
                none = "no default" if default is inspect.Parameter.empty else f"{default!r}"
                raise ValueError(
                    f"row {int(missing.argmax())} has no {column!r}, and what {self.name} has for "
                    f"it, {none}, is no number for a cell: fill it in"
                )
            if isinstance(default, float | np.floating) and trials[column].dtype == "Int64":
                trials[column] = trials[column].astype("Float64")
            trials.loc[missing, column] = default
        return trials

    def make(self, h: Mapping[str, Any], columns: Collection[str], rate: Any) -> Any:
        """Call it with the cells of a row.

        Args:
            h: the row's numbers, and ``seed``.
            columns: those that it gets.
            rate: the learning rate, a number or a schedule.
        """
        ours = self.function in REGISTERED.values()  # which take decays as pairs

        def cell(column: str) -> Any:
            x = rate if column == "learning_rate" else h[column]
            if isinstance(x, Decay) and not ours:
                x = x.value
            whole = jnp.issubdtype(getattr(x, "dtype", jnp.bool_), jnp.integer)
            real = column == "learning_rate" or isinstance(
                self.defaults[column], float | np.floating
            )
            return jnp.asarray(x, jnp.float32) if whole and real else x

        numbers = {column: cell(column) for column in columns}
        random = [name for name in RANDOM if name in self.defaults and name not in numbers]
        if random:
            key = jax.random.fold_in(jax.random.key(h["seed"]), KEY_TAG)
            numbers[random[0]] = key if random[0] == "key" else jax.random.bits(key)
        return self.function(**numbers)


def factory_of(name: str, function: Any, columns: Collection[str]) -> Factory | None:
    """The factory that a function is; None where it is a function of the row.

    A function of one argument without a default, which is no column, is one of the row; so is one
    whose first argument is called ``h`` or ``row``.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    for p in parameters:
        if p.kind is p.POSITIONAL_ONLY and p.name in {*columns, "learning_rate"}:
            raise TypeError(
                f"the factory {name!r} takes {p.name!r} by position only; give a function of the "
                f"row, as lambda h: {name}(h[{p.name!r}])"
            )
    if parameters and all(p.kind is p.VAR_KEYWORD for p in parameters):
        raise TypeError(
            f"the factory {name!r} names no argument, so that nobody knows which columns it takes; "
            f"name them in its signature, or give a function of the row, as lambda h: {name}(...)"
        )
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [p for p in parameters if p.kind not in variable]
    bound = getattr(function, "keywords", {}) if _is_partial(function) else {}
    defaults = {p.name: p.default for p in named if p.name not in bound or p.name in columns}
    if named and named[0].name in ROW and named[0].name not in columns:
        return None
    if not named and parameters:
        return None
    required = [p.name for p in named if p.default is p.empty]
    if required == [p.name for p in named[:1]] and required:
        known = {*columns, "learning_rate"}
        if required[0] not in known and not known & {p.name for p in named[1:]}:
            return None
    return Factory(name, function, defaults)


def _is_partial(function: Any) -> bool:
    return hasattr(function, "func") and hasattr(function, "keywords")
