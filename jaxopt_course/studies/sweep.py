"""``sweep``: a table in, a study out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jax.sharding import Mesh

from jaxopt_course.records import checkpoints, claims
from jaxopt_course.studies.carried import Carried
from jaxopt_course.studies.checking import (
    check_folds,
    check_lanes,
    check_metrics,
    check_scheduler,
    with_patience,
)
from jaxopt_course.studies.choosing import check_measured, check_score, varied_in
from jaxopt_course.studies.compiling import compiled
from jaxopt_course.studies.elsewhere import Cluster, check_cluster
from jaxopt_course.studies.keeping import check_keep
from jaxopt_course.studies.meshes import Sharding, devices_of
from jaxopt_course.studies.part import Part, check_part, part_of
from jaxopt_course.studies.plan import Plans, widths_of
from jaxopt_course.studies.readings import OnReading
from jaxopt_course.studies.seen import make_seen
from jaxopt_course.studies.session import Session
from jaxopt_course.studies.starts import Starts
from jaxopt_course.studies.study import Study, finish, train
from jaxopt_course.sweeps.plan import Plan
from jaxopt_course.sweeps.schedulers import PBT, Scheduler, ends_early
from jaxopt_course.tables.buckets import split
from jaxopt_course.tables.budgets import Equal
from jaxopt_course.tables.replicates import making
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask


def sweep(
    task: AnyTask,
    trials: pd.DataFrame,
    optimizer: Optimizer = None,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    static: Sequence[str] | None = None,
    replicates: Sequence[str] | None = None,
    equal: Equal | None = None,
    lanes: int | None = None,
    plan: Plan | Plans | Callable[[], Plan | Plans] | None = None,
    record_every: int | None = None,
    evaluate_every: int | None = None,
    diverges_above: float | None = None,
    diverges_after: int | None = None,
    metric: str | None = None,
    score: str | None = None,
    scheduler: Scheduler | None = None,
    patience: int | None = None,
    watch: Sequence[str] | None = None,
    raw: bool = True,
    start: Any = None,
    keep: int = 0,
    on_reading: OnReading | None = None,
    time_limit: float | None = None,
    directory: str | Path | None = None,
    overwrite: bool = False,
    devices: Sequence[Any] | None = None,
    mesh: Mesh | None = None,
    sharding: Sharding = None,
    part: Part | None = None,
    cluster: Cluster | None = None,
    progress: bool = True,
) -> Study:
    """Train every row of a table, all in one compiled program, or one a bucket of ``static``.

    Args:
        task: what is minimised, or a name of ``load_task``; or a function that makes it of static
            columns, as ``lambda hidden: make_task(hidden)``.
        trials: a row a trial, from ``grid``, ``random``, ``sobol`` or anywhere. Columns:
            "optimizer" (a registered name), its hyperparameters, what the task reads (see
            :class:`Task`), and "seed" (default 0). An empty cell means the recipe's default.
        optimizer: a name for all rows; or a function of the row's numbers, as
            ``lambda h: joc.adam(h["learning_rate"], b1=h["b1"])``; or a factory, as
            ``optax.contrib.muon``, which gets the cells of the columns that it names as arguments;
            or a dictionary of such functions for names in the column "optimizer".
        epochs: of n // batch_size steps each; this or ``steps``.
        steps: updates.
        batch_size: examples a step.
        static: columns that change shapes or code: "batch_size", what the task's function takes,
            or what the function of the row needs as a plain value.  Trials that agree in them
            share a program; :func:`buckets` shows which.
        replicates: columns that repeat a configuration, as "fold" of :func:`folds`: like the seed
            they make a trial another one and a configuration not; it is scored by the mean over
            all of them, and they climb together under a scheduler.
        equal: what all buckets have in common: "epochs", "steps" (updates) or "examples" (seen);
            default what the budget is given in.  Where it is another, the budget is meant at
            ``batch_size``.
        lanes: W, trials trained side by side on a device; default by ``default_lanes``. Results
            agree between widths to rounding; within a width they are the same bit for bit.
        plan: of :func:`plan`, for the same arguments; says how many lanes, instead of ``lanes``,
            for each bucket; or a function without arguments that makes it, which is called when
            all else is checked.
        record_every: steps between records of the training loss (their mean since the last one);
            default as ``evaluate_every``.
        evaluate_every: steps between evaluations on the validation part; default an epoch.
        diverges_above: a loss beyond which a trial counts as diverged: never best, its lane given
            to the next; default 1e8 times the trial's own first loss (or 1e8, if that began below
            1), where float32 has no room for what it began with.  ``inf``: only what is not finite.
        diverges_after: so many bad losses in a row end a trial, not the first; it counts from the
            first of them.  Where the optimizer leaves out steps that are not finite
            (``optax.apply_if_finite``, ``MultiSteps`` that skip) and this is not given, a bad loss
            counts if none that is good follows before the next evaluation.
        metric: chooses the winners; default the task's first, as "valid_accuracy".
            "best_valid_accuracy" is it with ``score="best"``.
        score: which evaluation of a trial counts, "last" or "best" (the earliest of equals);
            default the last, and with ``Patience`` the best.  With "best" each lane holds a copy
            of the weights for evaluation, and of the model's own state, of its best evaluation by
            ``metric``: ``valid_*`` are of that step ("scored_step"), the test part is evaluated
            with them, and they are :meth:`Study.params`.
        scheduler: stops what does not look promising: ``SuccessiveHalving()``, ``Hyperband()``,
            ``ASHA()`` or ``MedianStopping()``; or ``Patience()``, what no longer improves; default
            all train to their end.  It compares the configurations of each bucket among themselves.
            ``PBT(...)`` stops none: the worst copy the best.
        patience: evaluations without improvement after which a trial has "converged": the same as
            ``scheduler=Patience(patience)``, and beside another scheduler each trial stops by
            itself too, and competes at rungs with its best evaluation so far.
        watch: what each step records beside the loss, as curves ``train_<name>`` of means between
            records: "gradient_norm", "update_norm", "parameter_norm" (before the step) and
            "learning_rate" (that acts; NaN for an optimizer without one).  Part of the program.
        raw: where optimizers have other weights for evaluation than those that they train (a mean
            of them, :func:`ema_params`; Schedule-Free's x), ``valid_<metric>`` and
            ``test_<metric>`` are of these, and whether ``…_raw`` of the trained ones stand beside
            them, in curves and tables.  A model's own state (BatchNorm's averages) is that of the
            trained weights in both.
        start: weights from which trials start, in place of the task's own: a tree of parameters,
            or of both ``(params, model_state)``, Linen's variables, an NNX state, a state of a
            trial, or the path of a file of safetensors or a checkpoint of orbax; fitted by names.
            One for all; or of each row: a list, a dictionary by row, a function of the row (a
            mapping of its columns, "seed" and "trial").  The optimizer's state begins anew.  Which
            weights they were belongs to the trials' ids.
        keep: of how many configurations, the best ones in the end, the last states stay: see
            :meth:`Study.params`.  They lie as plain arrays in ``weights/`` of the directory, a
            state of each seed, the optimizer's with it; without one, in memory.
        on_reading: called on the host with a tuple of :class:`Reading`, ``(trial, step, metrics)``,
            all that came to the curves since its last call, by trial and step.  An error in it is
            said once and the sweep goes on; a KeyboardInterrupt in it ends the sweep as Ctrl-C
            does.  After a resume, what was read since the last checkpoint is told again.
        time_limit: seconds, compiling counted, after which the sweep ends as by Ctrl-C; what a
            trial computes does not depend on it.
        directory: where to save; default nowhere.  What is there survives a crash: see
            :meth:`Study.resume`.
        overwrite: whether a study that the directory holds may be replaced; nothing else ever is.
        devices: default all local ones; see ``use_cpu_cores``.
        mesh: instead of devices, where a trial is too large for one: ``jax.make_mesh((2, 4),
            ("lanes", "batch"))`` spreads trials over two slices of four devices each.  A slice has
            the lanes of a device.  The examples of a batch, and of an evaluation, are divided over
            an axis "batch"; others divide what ``sharding`` says.  Equal to the sweep without to
            1e-6 of a value after a short training, and rounding grows as it does between widths;
            bits are not promised.
        sharding: how a slice divides parameters, and with them their memories in the optimizer's
            state: a tree of ``PartitionSpec`` (or ``NamedSharding``) for the parameters, or its
            head; or a function of a parameter's path, as "Dense_0/kernel", and its shape (with
            ``.shape`` and ``.dtype``), that returns a spec.  None: whole, as all else is.
        part: ``(rank, of)``, to train every ``of``-th configuration only, in the programs of the
            whole table; :func:`join` makes the study of the whole, bit for bit, of all parts.
        cluster: whose devices train instead, as :class:`Ray`: this process decides and saves; the
            bits are those of its own devices, which must be of the same kind.
        progress: whether to show a line on standard error.

    Returns:
        the study.

    Raises:
        SweepInterrupted: Ctrl-C, or the time is over; what is over is saved first.
        TypeError, ValueError: see ``check_columns``, ``make_budget``, ``check_score``; of a mesh,
            see ``devices_of``.
        FileExistsError: the directory holds a study, and ``overwrite`` is false; or files that are
            no study's.
        BlockingIOError: another process works in the directory.
    """
    seen = make_seen(watch, on_reading, time_limit, raw)
    lengths: dict[str, Any] = {
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "record_every": record_every,
        "evaluate_every": evaluate_every,
        "diverges_above": diverges_above,
    }
    if diverges_after is not None:
        lengths["diverges_after"] = diverges_after
    table = split(task, trials, static, optimizer, equal=equal, replicates=replicates, **lengths)
    metrics = table.buckets[0].task.directions
    scheduler = with_patience(scheduler, patience)
    chosen, score = check_score(score, metric, metrics, ends_early(scheduler))
    if score == "best" and isinstance(scheduler, PBT):
        raise ValueError(
            'score="best" holds the weights of each trial\'s own best evaluation, and under PBT '
            "trials take over those of others: leave it out, or take another scheduler"
        )
    check_metrics(table)
    check_folds(table)
    varied = varied_in(table.trials, making(table.hyperparameters, table.replicates))
    check_measured(chosen[0], table.measured_with, varied)
    lanes = check_lanes(lanes)
    keep = check_keep(keep)
    check_cluster(cluster, devices, table, mesh)
    devices = devices_of(devices, mesh, sharding, table)
    devices = devices if cluster is None else devices[:1]
    part = check_part(part, scheduler)
    check_scheduler(scheduler, table)
    if callable(plan):  # compiles and trains: not before all else is known to be right
        if directory is not None:
            claims.look(directory, overwrite)
        plan = plan()
    widths: list[int | None]
    plans: list[Any]
    if plan is None:
        widths, plans = [lanes] * len(table.buckets), [None] * len(table.buckets)
    elif lanes is not None:
        raise ValueError("give either lanes= or plan=, not both; a plan says how many lanes")
    else:
        widths, plans = widths_of(plan, table, devices)
    starts = None if start is None else Starts(start)
    table = table if starts is None else starts.identified(table)
    session = Session(
        task,
        optimizer,
        table,
        chosen,
        devices,
        tuple(widths),
        tuple(plans),
        lengths,
        equal,
        carried=Carried(keep, starts, score=score),
        seen=seen,
        cluster=cluster,
    )
    if part is not None:
        session = part_of(session, part)
        table = session.table
    if directory is None:
        if (left := compiled(session, progress, scheduler)) is not None:
            return finish(session, left, None)
        return train(session, None, progress, scheduler)
    with claims.claimed(directory, overwrite) as path:
        if (left := compiled(session, progress, scheduler)) is not None:
            checkpoints.ask(path, checkpoints.Question(left.manifest, table.trials))
            return finish(session, left, path)
        session.carried.check_room(path, session.programs, table.replicates)
        settings = session.manifest(table.trials, "sweep", scheduler)
        checkpoints.ask(path, checkpoints.Question(settings, table.trials))
        return train(session, path, progress, scheduler)
