"""How far each row of a bucket trains, and with which numbers, as a scheduler says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.messages import unknown
from jaxopt_course.sweeps.climb import Climb
from jaxopt_course.sweeps.judges import Halvings, Judge
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.patience import PatientClimb, WithPatience
from jaxopt_course.sweeps.population import AnyClimb, Course, Generations
from jaxopt_course.sweeps.program import Table
from jaxopt_course.sweeps.schedulers import PBT, Scheduler, judges_each
from jaxopt_course.tables.buckets import Bucket
from jaxopt_course.tables.columns import Columns
from jaxopt_course.tables.replicates import making

Path = Sequence[tuple[int, Mapping[str, Any]]]  # (from step, the cells that hold from there)


@dataclass(frozen=True)
class Scripted:
    """A scheduler of rows whose numbers and seeds are known for all steps: nobody decides.

    Attributes:
        paths: by the row's number in its table.
    """

    paths: Mapping[int, Path]

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See ``Scheduler``; nobody is stopped."""
        return Halvings(2.0, [(list(range(configurations)), [intervals])])


def climb_of(
    bucket: Bucket,
    rhythm: Rhythm,
    trials: pd.DataFrame,
    scheduler: Scheduler | None,
    until: np.ndarray | None,
    replicates: Sequence[str] = (),
) -> tuple[AnyClimb, Table]:
    """How far each row trains, and the table with which they begin.

    Args:
        bucket: whose columns the rows have.
        rhythm: of its trials.
        trials: the rows.
        scheduler: who decides; default nobody.
        until: (N,), intervals that each row trains; default all.
        replicates: columns that repeat a configuration, as its seeds do; they climb together.
    """
    columns, intervals = bucket.columns, rhythm.intervals
    table = Table(**columns.arrays(trials))
    if isinstance(scheduler, PBT):
        return _generations(scheduler, columns, rhythm, trials, table), table
    if isinstance(scheduler, Scripted):
        last = np.full(len(trials), intervals) if until is None else until
        course = _course(scheduler, columns, rhythm, trials, last)
        return course, course.begin
    configurations = np.zeros(len(trials), np.int64)
    if judges_each(scheduler):
        configurations = np.arange(len(trials))
    elif scheduler is not None:  # else nobody asks
        configurations = configurations_of(columns, trials, replicates)
    judge = None
    if scheduler is not None:
        number = int(configurations.max()) + 1
        judge = scheduler.judge(number, intervals, rhythm.evaluate_every)
    climb = Climb(intervals, configurations, judge)
    if isinstance(scheduler, WithPatience) and judge is not None:
        climb = PatientClimb(intervals, configurations, judge, scheduler.patience)
    if until is not None:
        climb.until[:] = until
    return climb, table


def configurations_of(
    columns: Columns, trials: pd.DataFrame, replicates: Sequence[str]
) -> np.ndarray:
    """(N,), the number of each row's configuration, from 0; without names all are of one."""
    names = making(columns.hyperparameters, replicates)
    if not names:
        return np.zeros(len(trials), np.int64)
    return trials.groupby(names, sort=False, dropna=False).ngroup().to_numpy()


def _generations(
    pbt: PBT, columns: Columns, rhythm: Rhythm, trials: pd.DataFrame, table: Table
) -> Generations:
    rules = pbt.rules(rhythm.intervals, rhythm.evaluate_every)
    rules = rules._replace(columns=tuple(n for n in rules.columns if n in trials))
    numbers = {name: _numbers(trials[name]) for name in rules.columns}

    def encode(numbers: Mapping[str, np.ndarray]) -> Mapping[str, Any]:
        now = {name: _cells(x, trials[name]) for name, x in numbers.items()}
        hyperparameters: Mapping[str, Any] = columns.arrays(trials.assign(**now))["hyperparameters"]
        return hyperparameters

    names = trials["trial"].to_numpy(np.int64)
    return Generations(rules, rhythm.intervals, table, names, numbers, encode)


def _numbers(column: pd.Series) -> np.ndarray:
    """A column as whole numbers, where all are there, or as reals with NaN."""
    if column.dtype == "Int64" and column.notna().all():
        return column.to_numpy(np.int64)
    return column.to_numpy(float, na_value=np.nan)


def _cells(values: np.ndarray, like: pd.Series) -> pd.Series:
    """Numbers in the dtype of their column."""
    if like.dtype == "Int64":
        whole = pd.Series(values, like.index).round()
        return whole.astype("Int64")
    return pd.Series(values, like.index).astype(like.dtype)


def _course(
    scripted: Scripted, columns: Columns, rhythm: Rhythm, trials: pd.DataFrame, last: np.ndarray
) -> Course:
    steps = sorted({step for n in trials["trial"] for step, _ in scripted.paths[int(n)]})
    now, tables = trials.copy(), {}
    for step in steps:
        for row, number in enumerate(trials["trial"]):
            for since, cells in scripted.paths[int(number)]:
                if since == step:
                    for name in [name for name in cells if name in now]:  # static ones are not
                        now.iloc[row, now.columns.get_loc(name)] = cells[name]
        tables[step // rhythm.evaluate_every] = Table(**columns.arrays(now))
    return Course(tables, last)


def check_population(pbt: PBT, bucket: Bucket, static: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a population that cannot be, before work starts.

    Args:
        pbt: the scheduler.
        bucket: of the table.
        static: columns of the table that are plain values.
        names: its hyperparameters.

    Raises:
        ValueError: a column that is not there, that is static, or that is no number; a generation
            that does not fit the budget or the records; nobody to copy.
    """
    for name in pbt.columns:
        if name not in names:
            raise ValueError(unknown("column of PBT", name, names))
        if name in static:
            raise ValueError(f"PBT cannot change the static column {name!r}: it shapes the program")
        column = bucket.columns.trials.get(name)
        if column is not None and column.dtype not in ("Float64", "Int64"):
            raise ValueError(f"PBT changes numbers, and the column {name!r} is {column.dtype}")
    budget = bucket.budget
    intervals = -(-budget.steps // budget.evaluate_every)
    rules = pbt.rules(intervals, budget.evaluate_every)
    steps = rules.every * budget.evaluate_every
    if steps % budget.record_every:
        raise ValueError(
            f"a generation takes {steps} steps, and record_every={budget.record_every} does not "
            "divide it: a record would mix two generations"
        )
    trials = bucket.columns.trials
    members = trials["optimizer"].value_counts().max() if "optimizer" in trials else len(trials)
    if members < 2:
        raise ValueError("PBT needs two rows or more of an optimizer: there is nobody to copy")
