"""Refused before a sweep starts: metrics, folds, widths, devices, schedulers that do not fit."""

import math
import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_course.studies.climbing import check_population, configurations_of
from jaxopt_course.sweeps.idle import idle
from jaxopt_course.sweeps.patience import Patience, WithPatience
from jaxopt_course.sweeps.schedulers import PBT, Scheduler, judges_each
from jaxopt_course.tables.buckets import Table


def check_metrics(table: Table) -> None:
    """Refuse tasks that measure different things.

    Raises:
        ValueError: they cannot be compared.
    """
    first = table.buckets[0]
    for bucket in table.buckets:
        if bucket.task.directions != first.task.directions:
            raise ValueError(
                f"the task of {bucket.label} measures {bucket.task.directions}, that of "
                f"{first.label} {first.task.directions}; they cannot be compared"
            )


def check_folds(table: Table, chosen: Collection[str] = ()) -> None:
    """Refuse folds that would be taken for a hyperparameter, of which the luckiest wins.

    ``chosen``: columns of which a sampler chooses the values.

    Raises:
        ValueError: several folds, and their column is not among the replicates.
    """
    for folds in (bucket.task.folds for bucket in table.buckets):
        if folds is None or folds.column in table.replicates:
            continue
        if table.trials[folds.column].nunique() > 1 or folds.column in chosen:
            raise ValueError(
                f"column {folds.column!r} says the fold and is averaged over, else the luckiest "
                f"fold would be best: replicates=[{folds.column!r}]"
            )


def check_lanes(lanes: int | None) -> int | None:
    """The width, a number of Python as manifests are JSON; None where a default is to be found.

    Raises:
        ValueError: it is no whole number of at least 1.
    """
    whole = isinstance(lanes, int | np.integer) and not isinstance(lanes, bool)
    if lanes is not None and (not whole or lanes < 1):
        raise ValueError(f"lanes must be a whole number of at least 1, not {lanes!r}")
    return None if lanes is None else int(lanes)


def check_devices(devices: Sequence[Any] | None) -> tuple[Any, ...]:
    """The devices; default all local ones.

    Raises:
        TypeError: what is given is none.
        ValueError: there is none.
    """
    if devices is not None and (isinstance(devices, str) or not isinstance(devices, Iterable)):
        raise TypeError(f"devices= takes a list of JAX's, as jax.devices()[:1], not {devices!r}")
    found = jax.local_devices() if devices is None else list(devices)
    if strange := [one for one in found if not hasattr(one, "platform")]:
        raise TypeError(f"devices= takes devices of JAX's, not {strange[0]!r}")
    if not found:
        raise ValueError("devices must name at least one device")
    return tuple(found)


def with_patience(scheduler: Scheduler | None, patience: int | None) -> Scheduler | None:
    """The scheduler, with patience beside it.

    Raises:
        ValueError: ``patience`` is no whole number of at least 1, is given twice, or under PBT.
    """
    if patience is None:
        return scheduler
    try:
        own = Patience(patience)
    except ValueError:
        raise ValueError(
            f"patience must be a number of evaluations, at least 1, not {patience!r}"
        ) from None
    if scheduler is None:
        return own
    if isinstance(scheduler, Patience):
        raise ValueError("give either patience= or scheduler=Patience(...), not both")
    if isinstance(scheduler, PBT):
        raise ValueError("PBT stops nobody, so patience= has no place beside it")
    return WithPatience(scheduler, own)


def check_scheduler(scheduler: Scheduler | None, table: Table) -> None:
    """Refuse what is no scheduler, and rungs that do not fit; warn of one that can stop nobody.

    Raises:
        TypeError, ValueError: see there.
    """
    if isinstance(scheduler, type) or not (scheduler is None or hasattr(scheduler, "judge")):
        raise TypeError(f"scheduler must be one such as joc.ASHA(), not {scheduler!r}")
    if scheduler is None:
        return
    apart = [name for name in table.replicates if name in table.static]
    if apart and not judges_each(scheduler):
        raise ValueError(
            f"{type(scheduler).__name__} compares the trials of one program, and those of a "
            f"configuration with other values of {apart[0]!r} are in other programs; make it a "
            "column that is data (joc.folds), or leave the scheduler out"
        )
    repeated = [name for name in table.replicates if table.trials[name].nunique() > 1]
    if isinstance(scheduler, PBT) and repeated:
        raise ValueError(
            "PBT copies weights from row to row, and rows differ in the replicate "
            f"{repeated[0]!r}: weights that one fold has learned know what another is validated "
            "on; give PBT one of its values"
        )
    found: list[dict[str, str]] = []
    for bucket in table.buckets:
        if isinstance(scheduler, PBT):
            check_population(scheduler, bucket, table.static, table.hyperparameters)
            continue
        budget, columns = bucket.budget, bucket.columns
        intervals = math.ceil(budget.steps / budget.evaluate_every)
        scheduler.judge(1, intervals, budget.evaluate_every)
        rows = configurations_of(columns, columns.trials, table.replicates)
        found.append(idle(scheduler, int(rows.max()) + 1, intervals, budget.evaluate_every))
    for name, why in found[0].items() if found else ():
        if all(name in other for other in found):  # else it is at work in another program
            warnings.warn(f"{name} can stop nobody: {why}", stacklevel=3)
