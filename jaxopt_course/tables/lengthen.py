"""More trials for a table whose programs stand: its buckets stay, new ones come beside them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.tables.buckets import Table, assemble, groups_of
from jaxopt_course.tables.budgets import Equal, batch_sizes, budgets_of, epoch_of
from jaxopt_course.tables.cells import normalise
from jaxopt_course.tables.columns import Columns, check_columns
from jaxopt_course.tables.precision import check_precision
from jaxopt_course.tables.replicates import check_replicates
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask, label_of, make_tasks


def lengthen(
    old: Table,
    known: pd.DataFrame,
    trials: pd.DataFrame,
    task: AnyTask,
    optimizer: Optimizer,
    equal: Equal | None = None,
    lengths: Mapping[str, Any] | None = None,
) -> Table:
    """The table with more trials, its buckets as they are; those of new static values are added.

    Args:
        old: the table.
        known: its rows, with the columns that make a configuration and the seed.
        trials: more of them.
        task: as for :func:`split`.
        optimizer: as for :func:`split`.
        equal: as for :func:`split`; it and what follows are for new buckets.
        lengths: as for :func:`split`; None where they are not known.

    Raises:
        TypeError, ValueError: as :func:`split`; or a bucket would need another program.
    """
    names = {name for bucket in old.buckets for name in bucket.columns.optimizers}
    if "optimizer" in known and "optimizer" not in trials and len(names) == 1:
        trials = trials.assign(optimizer=names.pop())  # one for all rows, as the study was made
    check_new(trials, old)
    whole = pd.concat([known, trials], ignore_index=True)
    check_replicates(old.replicates, whole)
    if callable(optimizer):
        whole = whole.drop(columns="optimizer", errors="ignore")
    if not old.static:
        (bucket,) = old.buckets
        budget, own = bucket.budget, bucket.task
        columns = check_columns(whole, optimizer, budget.steps, own, epoch=epoch_of(budget, own))
        _same_program(bucket.columns, columns, "")
        _same_kinds(old, columns.trials)
        bucket = replace(bucket, rows=np.arange(len(whole)), columns=columns)
        return replace(old, trials=columns.trials, buckets=(bucket,))
    table, _ = normalise(whole)
    groups = groups_of(table, old.static)
    there = {_key(bucket.static): bucket for bucket in old.buckets}
    found = [there.get(_key(values)) for values, _ in groups]
    tasks = [one.task for one in found if one is not None]
    budgets = [one.budget for one in found if one is not None]
    if new := [values for (values, _), one in zip(groups, found, strict=True) if one is None]:
        if lengths is None:
            raise ValueError(
                f"the study has no trials with {label_of(new[0])}, and was made by a version that "
                "did not keep what its budget was asked as; sweep these trials on their own"
            )
        more = make_tasks(task, new, table)
        sizes = batch_sizes(new, lengths.get("batch_size", 64))
        tasks += more
        budgets += budgets_of(more, sizes, equal=equal, **lengths)
    longer = assemble(
        table,
        list(old.searched),
        old.static,
        groups,
        tasks,
        budgets,
        task,
        optimizer,
        old.hyperparameters,
    )
    for before, after in zip(old.buckets, longer.buckets, strict=False):
        _same_program(before.columns, after.columns, f"of the trials with {before.label}: ")
    if longer.hyperparameters != old.hyperparameters:
        raise ValueError(
            f"the new trials have other columns, {list(longer.hyperparameters)}, than the study, "
            f"{list(old.hyperparameters)}; sweep them on their own"
        )
    _same_kinds(old, longer.trials)
    return replace(longer, replicates=old.replicates)


def check_new(trials: pd.DataFrame, old: Table) -> None:
    """Refuse new numbers that float32 would change; those of the study stay what they are."""
    if not len(trials):
        return
    table, names = normalise(trials)
    known = old.trials.reindex(columns=names)  # for its dtypes
    check_precision(table, names, known)


def _key(static: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(static.items())


def _same_kinds(old: Table, trials: pd.DataFrame) -> None:
    for name in old.hyperparameters:
        if trials[name].dtype != old.trials[name].dtype:
            raise ValueError(
                f"column {name!r} holds {old.trials[name].dtype} in the study, with the new trials "
                f"{trials[name].dtype}: another program; sweep them on their own"
            )


def _same_program(before: Columns, after: Columns, label: str) -> None:
    same = (after.hyperparameters, after.optimizers, after.schedules)
    mine = (before.hyperparameters, before.optimizers, before.schedules)
    if same != mine:
        raise ValueError(
            f"{label}the new trials need another program: columns, optimizers and schedules are "
            f"{same}, the study has {mine}; sweep them on their own"
        )
