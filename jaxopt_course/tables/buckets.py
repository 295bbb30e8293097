"""A table of trials is a list of buckets, a program each; without static columns there is one.

A column named in ``static=`` is a plain Python value in its programs: the batch size, an argument
of the function that makes the task, or whatever the function of the row asks for.  Trials that
agree in all static columns make a bucket.  Within a bucket everything is as in a sweep of it alone:
its budget, the horizons of its schedules, its default width; so its trials are the same bit for
bit.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.problems.catalog import task_of
from jaxopt_course.problems.tasks import Task
from jaxopt_course.tables.budgets import (
    Equal,
    batch_sizes,
    budgets_of,
    epoch_of,
    refuse_batch_size,
    refuse_budgets,
)
from jaxopt_course.tables.cells import identify, normalise
from jaxopt_course.tables.columns import Columns, check_columns
from jaxopt_course.tables.precision import check_precision
from jaxopt_course.tables.replicates import check_replicates
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import (
    BATCH_SIZE,
    AnyTask,
    arguments_of,
    check_names,
    check_own,
    check_taken,
    kept_in_tables,
    label_of,
    make_tasks,
    with_static,
)
from jaxopt_course.train import Budget, budget_of

MANY = 20  # values of a static column, beyond which a sweep warns


@dataclass(frozen=True)
class Bucket:
    """The trials that agree in all static columns, checked as the table of a sweep of their own."""

    static: dict[str, Any]  # the values, as Python has them
    rows: np.ndarray  # positions in the whole table
    task: Task
    budget: Budget
    columns: Columns

    @property
    def label(self) -> str:
        """``batch_size=32, hidden=16``."""
        return label_of(self.static)


@dataclass(frozen=True)
class Table:
    """A whole table and its buckets."""

    trials: pd.DataFrame  # trial, id, hyperparameters, seed, duplicate_of
    hyperparameters: tuple[str, ...]
    searched: tuple[str, ...]
    static: tuple[str, ...]
    buckets: tuple[Bucket, ...]
    asked: set[str]  # static columns that only functions of the row can read ...
    reads: set[str]  # ... and those that they have read so far
    replicates: tuple[str, ...] = ()  # hyperparameters that repeat a configuration, as seeds do

    @property
    def measured_with(self) -> dict[str, list[str]]:
        """Metrics that read columns themselves, as a loss with label smoothing does."""
        read = [bucket.columns.task.reads for bucket in self.buckets]
        names = {"train_loss": "the loss"}
        names |= {f"valid_{name}": f"valid_{name}" for name in self.buckets[0].task.metrics}
        found = {name: set().union(*(r.of(by) for r in read)) for name, by in names.items()}
        return {name: sorted(columns) for name, columns in found.items() if columns}

    def check_read(self) -> None:
        """Once the functions of the row were traced: did they read what is there for them?

        Raises:
            ValueError: a static column that nobody reads.
        """
        for name in sorted(self.asked - self.reads):
            raise ValueError(
                f"nobody reads the static column {name!r}: neither the task nor the function of "
                "the row; drop the column, or use it"
            )


def buckets(
    trials: pd.DataFrame,
    static: Sequence[str],
    *,
    task: AnyTask | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    equal: Equal | None = None,
) -> pd.DataFrame:
    """Show the programs that a sweep with these static columns would compile, before it does.

    >>> import jaxopt_course as joc
    >>> trials = joc.grid(batch_size=[1, 2], optimizer="sgd", learning_rate=[0.01, 0.02])
    >>> joc.buckets(trials, ["batch_size"], task="line", epochs=3)
       batch_size  trials  steps  epochs  examples
    0           1       2     15       3        15
    1           2       2      6       3        12

    Args:
        trials: as for :func:`sweep`, as are the arguments below.
        static: the columns.
        task: with it, and one of ``epochs`` and ``steps``, the budgets are shown too.
        epochs: see :func:`sweep`.
        steps: see :func:`sweep`.
        batch_size: see :func:`sweep`.
        equal: see :func:`sweep`.

    Returns:
        A row a bucket, in the order of the table: the static columns, ``trials``, and of each
        trial ``steps`` (updates), ``epochs`` (passes; a part of one counts as such) and
        ``examples`` (drawn by its batches).

    Raises:
        TypeError, ValueError: see :func:`sweep`.
    """
    table, _ = normalise(trials)
    refuse_budgets(table)
    groups = groups_of(table, check_names(static, table))
    frame = table.loc[[rows[0] for _, rows in groups], list(static)].reset_index(drop=True)
    frame["trials"] = [len(rows) for _, rows in groups]
    if task is None:
        return frame
    tasks = make_tasks(task, [values for values, _ in groups], table)
    sizes = batch_sizes([values for values, _ in groups], batch_size)
    found = budgets_of(tasks, sizes, batch_size, epochs, steps, equal)
    frame["steps"] = [budget.steps for budget in found]
    passes = [budget.steps / budget.steps_per_epoch for budget in found]
    whole = all(float(x).is_integer() for x in passes)
    frame["epochs"] = [int(x) for x in passes] if whole else passes
    frame["examples"] = [budget.steps * budget.batch_size for budget in found]
    return frame


def split(
    task: AnyTask,
    trials: pd.DataFrame,
    static: Sequence[str] | None = None,
    optimizer: Optimizer = None,
    *,
    equal: Equal | None = None,
    replicates: Sequence[str] | None = None,
    **lengths: Any,
) -> Table:
    """Put the trials into buckets and check each as the table of a sweep of its own.

    Args:
        task: one task, or a function that makes it of the static columns that it names.
        trials: a row a trial.
        static: the columns; without them there is one bucket.
        optimizer: as for ``check_columns``; functions of the row find static values as plain ones.
        equal: what all batch sizes have in common; default what the budget is given in.
        replicates: columns that repeat a configuration, beside the seed.
        **lengths: as for ``make_budget``: epochs or steps, and batch_size where it is no static
            column (and the one for which the budget was meant); record_every and evaluate_every in
            steps of each bucket; diverges_above.

    Raises:
        TypeError, ValueError: a static column that is missing, empty somewhere, or that nobody
            takes; budgets that cannot be made equal; and whatever a sweep of a bucket raises.
    """
    names_given = list(map(str, trials.columns)) if isinstance(trials, pd.DataFrame) else []
    refuse_budgets(names_given)
    if static is None:
        if equal is not None:
            raise ValueError("equal= is for static columns: give static= too")
        refuse_batch_size(names_given)
        one = task_of(task)
        budget = budget_of(one.train, **lengths)
        given, searched = normalise(trials)
        columns = check_columns(given, optimizer, budget.steps, one, epoch=epoch_of(budget, one))
        check_precision(given, searched, columns.trials)
        bucket = Bucket({}, np.arange(len(trials)), one, budget, columns)
        repeat = check_replicates(replicates, columns.trials)
        named = columns.hyperparameters, columns.searched
        return Table(columns.trials, *named, (), (bucket,), set(), set(), repeat)
    table, searched = normalise(trials)
    repeat = check_replicates(replicates, table)
    names = check_names(static, table)
    refuse_batch_size(table, names)
    check_own(names, task, table, optimizer)
    check_precision(table, searched)
    groups = groups_of(table, names)
    tasks = make_tasks(task, [values for values, _ in groups], table)
    check_taken(names, task, tasks, table, optimizer)
    sizes = batch_sizes([values for values, _ in groups], lengths.get("batch_size", 64))
    budgets = budgets_of(tasks, sizes, equal=equal, **lengths)
    made = assemble(table, searched, names, groups, tasks, budgets, task, optimizer)
    return replace(made, replicates=repeat)


def assemble(
    table: pd.DataFrame,
    searched: Sequence[str],
    names: tuple[str, ...],
    groups: Sequence[tuple[dict[str, Any], np.ndarray]],
    tasks: Sequence[Task],
    budgets: Sequence[Budget],
    task: AnyTask,
    optimizer: Optimizer,
    before: tuple[str, ...] = (),
) -> Table:
    """The buckets, each checked, and the whole table of what they completed.

    ``before``: the columns in the order of a shorter table.
    """
    kept = kept_in_tables(names, task, table, optimizer)
    given = arguments_of(task, names)
    made, reads = [], set[str]()
    for (values, rows), one, budget in zip(groups, tasks, budgets, strict=True):
        own = table.iloc[rows].drop(columns=[name for name in names if name not in kept])
        # a column that is empty here belongs to other buckets
        own = own.drop(
            columns=[c for c in own if own[c].isna().all() and c not in ("seed", "optimizer")]
        )
        function = with_static(optimizer, values, reads)
        of_task = {name: x for name, x in values.items() if name not in given}
        columns = _check(own, function, budget, label_of(values), one, of_task)
        reads |= columns.task.static
        made.append(Bucket(values, rows, one, budget, columns))
    complete = _join(table, made, names)
    first = [] if "optimizer" in table else ["optimizer"]
    order = [c for c in [*first, *searched, *complete] if c in complete and c != "seed"]
    hyperparameters = tuple(dict.fromkeys(order))
    if {*before} == {*order}:
        hyperparameters = before
    whole = identify(complete[[*hyperparameters, "seed"]], hyperparameters)
    for i, bucket in enumerate(made):
        facts = whole.iloc[bucket.rows][["trial", "id", "duplicate_of"]].reset_index(drop=True)
        own = bucket.columns.trials.assign(**{name: facts[name] for name in facts})
        made[i] = replace(bucket, columns=replace(bucket.columns, trials=own))
    return Table(
        whole,
        hyperparameters,
        tuple(c for c in hyperparameters if c in searched),
        names,
        tuple(made),
        set(names) - kept - {*given, BATCH_SIZE},
        reads,
    )


def _check(
    table: pd.DataFrame,
    optimizer: Optimizer,
    budget: Budget,
    label: str,
    task: Task,
    static: Mapping[str, Any],
) -> Columns:
    """Check a bucket's table; errors name the bucket, as they count its rows."""
    try:
        with warnings.catch_warnings():  # said once, of the whole table
            warnings.filterwarnings("ignore", message=".* repeat an earlier one")
            epoch = epoch_of(budget, task)
            return check_columns(table, optimizer, budget.steps, task, static, epoch)
    except (TypeError, ValueError) as error:
        raise type(error)(f"of the trials with {label}: {error}") from None


def groups_of(
    table: pd.DataFrame, static: Sequence[str]
) -> list[tuple[dict[str, Any], np.ndarray]]:
    """The static values of each bucket and its rows, in the order of the table."""
    found = []
    for _, rows in table.groupby(list(static), sort=False, dropna=False).indices.items():
        rows = np.sort(rows)
        cells = {name: table[name].iloc[rows[0]] for name in static}
        plain = {n: x.item() if isinstance(x, np.generic) else x for n, x in cells.items()}
        found.append((plain, rows))
    return sorted(found, key=lambda one: int(one[1][0]))


def _join(table: pd.DataFrame, made: Sequence[Bucket], static: Sequence[str]) -> pd.DataFrame:
    """The completed tables of the buckets as one, in the order of the whole one."""
    parts = []
    for bucket in made:
        part = bucket.columns.trials.drop(columns=["trial", "id", "duplicate_of"])
        part.index = pd.Index(bucket.rows)
        parts.append(part)
    names = dict.fromkeys(name for part in parts for name in part)
    joined = {}
    for name in names:
        columns = [part[name] for part in parts if name in part]
        joined[name] = pd.concat(columns).reindex(table.index)
    for name in static:
        joined.setdefault(name, table[name])
    return pd.DataFrame(joined)
