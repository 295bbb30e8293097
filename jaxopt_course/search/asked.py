"""What an Optuna study brings along: told before work where it would be ignored, or fail later."""

import warnings
from collections.abc import Mapping
from typing import Any

from jaxopt_course.messages import unknown
from jaxopt_course.report.optuna import import_optuna
from jaxopt_course.search.space import Space
from jaxopt_course.sweeps.patience import is_number

OTHERS = {  # arguments of a sweep
    "scheduler": "it compares trials of one table, and here the next batch is not known yet; stop "
    "those that no longer improve with patience=",
    "plan": "it is made for a table, and here none is known yet; give OptunaSearch lanes=",
    "keep": "the best are known at the end, when states are gone; joc.sweep their rows with keep=",
    "start": "it begins trials from given weights row by row, and here rows are not known yet",
    "lanes": "it is an argument of OptunaSearch(...)",
    "replicates": "it is an argument of OptunaSearch(...)",
    "trials": "the sampler makes them, out of OptunaSearch's space",
}


def check_others(given: Mapping[str, Any]) -> None:
    """Refuse arguments that a search does not take.

    Raises:
        ValueError: one that ``sweep`` takes, with the way out.
        TypeError: one that nobody takes.
    """
    for name in given:
        if name in OTHERS:
            raise ValueError(f"OptunaSearch.sweep does not take {name}=: {OTHERS[name]}")
        raise TypeError(f"OptunaSearch.sweep() got an unexpected keyword argument {name!r}")


def check_study(optuna_study: Any, space: Space) -> None:
    """Check the study's pruner, its trials so far and those that wait against the space.

    Warns where the study has a pruner of its own: nothing asks it.  The one that Optuna gives to
    every study, ``MedianPruner()`` as it stands, is passed over: nobody asked for it.

    Raises:
        ValueError: choices that the study knows otherwise, which Optuna refuses in the middle of a
            search; or an enqueued trial, or a PartialFixedSampler, with a column or a value that
            the space has not, which Optuna passes over.
    """
    optuna = import_optuna()
    _warn_of_pruner(optuna, optuna_study.pruner)
    for trial in optuna_study.get_trials(deepcopy=False):
        _check_known(optuna, trial.distributions, space)
        if trial.state == optuna.trial.TrialState.WAITING:
            given = trial.system_attrs.get("fixed_params", {})
            _check_given(f"the enqueued trial {trial.number}", given, space)
    if isinstance(optuna_study.sampler, optuna.samplers.PartialFixedSampler):
        _check_given("the PartialFixedSampler", optuna_study.sampler._fixed_params, space)


def _warn_of_pruner(optuna: Any, pruner: Any) -> None:
    usual = optuna.pruners.MedianPruner()
    same = type(pruner) is type(usual) and vars(pruner) == vars(usual)
    if same or isinstance(pruner, optuna.pruners.NopPruner):
        return
    warnings.warn(
        f"the Optuna study's {type(pruner).__name__} stops nothing here: a batch of configurations "
        "is trained side by side, each to its end, and then told (pruner=NopPruner() says so; to "
        "stop trials early, sweep a table with scheduler=joc.ASHA())",
        stacklevel=4,
    )


def _check_known(optuna: Any, known: Mapping[str, Any], space: Space) -> None:
    for name, was in known.items():
        ask = space.columns[name].ask if name in space.columns else None
        if ask is None:
            continue
        try:
            optuna.distributions.check_distribution_compatibility(was, ask)
        except ValueError:
            raise ValueError(
                f"column {name!r}: the Optuna study knows it as {_shown(was)}, the space as "
                f"{_shown(ask)}, and Optuna has no kinds or choices that change; take the known "
                "ones, or another Optuna study"
            ) from None


def _shown(distribution: Any) -> str:
    """``one of sgd, adam`` or ``FloatDistribution(…)``."""
    if hasattr(distribution, "choices"):
        return f"one of {', '.join(map(str, distribution.choices))}"
    return str(distribution)


def _check_given(who: str, given: Mapping[str, Any], space: Space) -> None:
    """Refuse a column or a value that the space has not."""
    for name, value in given.items():
        if name not in space.columns:
            raise ValueError(f"{who} has an {unknown('column', name, space.columns)}")
        column = space.columns[name]
        if column.is_range:
            inside = is_number(value) and column.ask.low <= value <= column.ask.high
            have = f"{column.ask.low} to {column.ask.high}"
        else:
            inside = value in column.examples
            have = f"only {', '.join(map(str, column.examples))}"
        if not inside:
            raise ValueError(f"{who} has {name}={value!r}, and the space has {have}")


def check_direction(optuna_study: Any, metric: str, direction: str) -> None:
    """Refuse a study that looks the other way.

    Args:
        optuna_study: with one objective.
        metric: that it is told.
        direction: "min" or "max", of the metric.

    Raises:
        ValueError: it is not the study's.
    """
    wanted = {"min": "minimize", "max": "maximize"}[direction]
    if optuna_study.direction.name.lower() != wanted:
        raise ValueError(
            f"the Optuna study is to {optuna_study.direction.name.lower()}, but {metric} is to be "
            f'{wanted}d: optuna.create_study(direction="{wanted}"), or another metric=…'
        )
