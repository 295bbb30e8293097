"""``sweep``: a table in, a study out."""

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from jaxopt_course.problems.catalog import task_of
from jaxopt_course.records import checkpoints, parts, store
from jaxopt_course.studies import joint
from jaxopt_course.studies.choosing import check_metric
from jaxopt_course.studies.joint import Joint
from jaxopt_course.studies.plan import lanes_of
from jaxopt_course.studies.session import Session
from jaxopt_course.studies.study import Study, train
from jaxopt_course.sweeps.plan import Plan
from jaxopt_course.sweeps.progress import ProgressLine
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.tables import buckets as bucketing
from jaxopt_course.tables.buckets import Equal
from jaxopt_course.tables.columns import check_columns
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask
from jaxopt_course.train import count_examples, make_budget


def sweep(
    task: AnyTask,
    trials: pd.DataFrame,
    optimizer: Optimizer = None,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    static: Sequence[str] | None = None,
    equal: Equal | None = None,
    lanes: int | None = None,
    plan: Plan | None = None,
    record_every: int | None = None,
    evaluate_every: int | None = None,
    diverges_above: float | None = None,
    metric: str | None = None,
    scheduler: Scheduler | None = None,
    directory: str | Path | None = None,
    overwrite: bool = False,
    devices: Sequence[Any] | None = None,
    progress: bool = True,
) -> Study:
    """Train every row of a table, all in one compiled program, or one a bucket of ``static``.

    Args:
        task: what is minimised, or a name of ``load_task``; or a function that makes it of static
            columns, as ``lambda hidden: make_task(hidden)``.
        trials: a row a trial, from ``grid``, ``random``, ``sobol`` or anywhere. Columns:
            "optimizer" (a registered name), its hyperparameters, and "seed" (default 0). An empty
            cell means the recipe's default.
        optimizer: a name for all rows; or a function of the row's numbers, as
            ``lambda h: joc.adam(h["learning_rate"], b1=h["b1"])``; or a dictionary of such
            functions for names in the column "optimizer".
        epochs: of n // batch_size steps each; this or ``steps``.
        steps: updates.
        batch_size: examples a step.
        static: columns that change shapes or code: "batch_size", what the task's function takes,
            or what the function of the row needs as a plain value.  Trials that agree in them
            share a program; :func:`buckets` shows which.
        equal: what all buckets have in common: "epochs", "steps" (updates) or "examples" (seen);
            default what the budget is given in.  Where it is another, the budget is meant at
            ``batch_size``.
        lanes: W, trials trained side by side on a device; default by ``default_lanes``. Results
            agree between widths to rounding; within a width they are the same bit for bit.
        plan: of :func:`plan`, for the same arguments; says how many lanes, instead of ``lanes``.
        record_every: steps between records of the training loss (their mean since the last one);
            default as ``evaluate_every``.
        evaluate_every: steps between evaluations on the validation part; default an epoch.
        diverges_above: a loss beyond which a trial counts as diverged: never best, its lane given
            to the next; default infinity.
        metric: chooses the winners; default the task's first, as "valid_accuracy".
        scheduler: stops what does not look promising: ``SuccessiveHalving()``, ``Hyperband()``,
            ``ASHA()`` or ``MedianStopping()``; default all train to their end.  It compares the
            configurations of each bucket among themselves.
        directory: where to save; default nowhere.  What is there survives a crash: see
            :meth:`Study.resume`.
        overwrite: whether a study that the directory holds may be replaced.
        devices: default all local ones; see ``use_cpu_cores``.
        progress: whether to show a line on standard error.

    Returns:
        the study.

    Raises:
        SweepInterrupted: Ctrl-C; what is over is saved first.
        TypeError, ValueError: see ``check_columns``, ``make_budget``, ``check_metric``.
        FileExistsError: the directory holds a study, and ``overwrite`` is false.
        BlockingIOError: another process works in the directory.
    """
    lengths: dict[str, Any] = {
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "record_every": record_every,
        "evaluate_every": evaluate_every,
        "diverges_above": diverges_above,
    }
    table = None
    if static is not None:
        table = bucketing.split(task, trials, static, optimizer, equal=equal, **lengths)
        task, budgets = table.buckets[0].task, [bucket.budget for bucket in table.buckets]
    elif equal is not None:
        raise ValueError("equal= is for static columns: give static= too")
    else:
        task = task_of(task)
        budgets = [make_budget(count_examples(task.train), **lengths)]
        columns = check_columns(trials, optimizer, budgets[0].steps)
    chosen = check_metric(metric or f"valid_{next(iter(task.metrics))}", task.metrics)
    whole = isinstance(lanes, int | np.integer) and not isinstance(lanes, bool)
    if lanes is not None and (not whole or lanes < 1):
        raise ValueError(f"lanes must be a whole number of at least 1, not {lanes!r}")
    devices = jax.local_devices() if devices is None else list(devices)
    if not devices:
        raise ValueError("devices must name at least one device")
    if plan is not None:
        if lanes is not None:
            raise ValueError("give either lanes= or plan=, not both; a plan says how many lanes")
        if table is not None:
            raise ValueError("a plan is of one program; sweep each bucket with its own plan")
        lanes = lanes_of(plan, task, columns, budgets[0], devices)
    if isinstance(scheduler, type) or not (scheduler is None or hasattr(scheduler, "judge")):
        raise TypeError(f"scheduler must be one such as joc.ASHA(), not {scheduler!r}")
    for budget in budgets:
        if scheduler is not None:  # rungs that do not fit are an error before work starts
            intervals = math.ceil(budget.steps / budget.evaluate_every)
            scheduler.judge(1, intervals, budget.evaluate_every)
    path = None if directory is None else store.claim(directory, overwrite)
    with contextlib.nullcontext() if path is None else checkpoints.locked(path):
        session: Session | Joint
        if table is not None:
            session = joint.prepare(table, chosen, lanes, devices, progress)
        else:
            with ProgressLine(task.name, show=progress) as line:
                line.note(f"{len(trials)} trials, compiling for {len(devices)} device(s)")
                session = Session.prepare(task, columns, budgets[0], chosen, lanes, devices)
                if plan is not None:
                    session = dataclasses.replace(session, plan=plan.describe())
        if path is not None:
            whole = session.columns.trials
            settings = session.manifest(whole, "sweep", scheduler)
            parts.forget(path)
            checkpoints.ask(path, checkpoints.Question(settings, whole))
        return train(session, path, progress, scheduler)
