"""Ask and tell: an Optuna sampler proposes, the lanes train, the sampler learns what came of it.

A batch of configurations is asked for, trained side by side in the program that is compiled once,
and told; then the next.  The sampler sees a configuration's mean over the seeds, as every choice
of a study does, and the worst value there is where a seed diverged (see ``report/optuna.py``).

A sampler decides within a batch without the batch's results; ``TPESampler(constant_liar=True)``
spreads such proposals.  What is asked for twice is trained once and told twice.
"""

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jax.sharding import Mesh

from jaxopt_course.records import checkpoints, claims
from jaxopt_course.report.optuna import Told, import_optuna, set_attributes, tell_all
from jaxopt_course.search.asked import check_direction, check_others, check_study
from jaxopt_course.search.space import Reads, Space, make_space
from jaxopt_course.search.tells import report, tell
from jaxopt_course.studies.carried import Carried
from jaxopt_course.studies.checking import (
    check_folds,
    check_metrics,
    with_patience,
)
from jaxopt_course.studies.choosing import check_measured, check_score
from jaxopt_course.studies.meshes import Sharding, devices_of
from jaxopt_course.studies.readings import OnReading
from jaxopt_course.studies.results import join
from jaxopt_course.studies.seen import make_seen
from jaxopt_course.studies.session import Outcome, Session
from jaxopt_course.studies.study import Study, SweepInterrupted
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.tables.buckets import split
from jaxopt_course.tables.budgets import Equal
from jaxopt_course.tables.replicates import making
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask


class OptunaSearch:
    """Any Optuna sampler at the head of a sweep.

        search = joc.OptunaSearch(
            optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)),
            {"optimizer": ["sgd", "adam"], "learning_rate": joc.log_uniform(1e-4, 1)},
            lanes=16,
        )
        study = search.sweep("digits", n_trials=64, epochs=20)

    Args:
        optuna_study: whose sampler is asked, and who is told; what it knows already counts.  Its
            pruner is not asked, which is said where it has one of its own.
        space: a distribution (``uniform``, ``log_uniform``, ``integers``, or one of Optuna's), a
            sequence to choose from, or a fixed value, per column.  A column is asked for only
            where the row's optimizer and schedule take it.
        lanes: as in ``sweep``.
        seeds: of the trainings, the same for each configuration.
        replicates: columns that repeat a configuration beside its seeds, with their values, as
            ``{"fold": range(5)}`` for a task of :func:`folds`; the sampler is told the mean.
        batch: configurations asked for at a time; default as many as fill the lanes.

    Raises:
        ImportError: Optuna is not installed.
        TypeError, ValueError: an argument that makes no sense; it is named.
    """

    def __init__(
        self,
        optuna_study: Any,
        space: Mapping[str, Any],
        *,
        lanes: int | None = None,
        seeds: Iterable[int] = (0,),
        replicates: Mapping[str, Iterable[int]] | None = None,
        batch: int | None = None,
    ) -> None:
        optuna = import_optuna()
        if not isinstance(optuna_study, optuna.study.Study):
            raise TypeError(
                f"optuna_study must be a study of Optuna's, not {optuna_study!r}; make one with "
                "optuna.create_study()"
            )
        if len(optuna_study.directions) != 1:
            raise ValueError(
                f"the Optuna study has {len(optuna_study.directions)} objectives; a sweep chooses "
                "by one metric"
            )
        self.optuna_study = optuna_study
        self.lanes = None if lanes is None else _whole("lanes", lanes)
        self.batch = None if batch is None else _whole("batch", batch)
        self.space = make_space(space, seeds, replicates)

    def sweep(
        self,
        task: AnyTask,
        n_trials: int,
        optimizer: Optimizer = None,
        *,
        static: Sequence[str] | None = None,
        equal: Equal | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int = 64,
        record_every: int | None = None,
        evaluate_every: int | None = None,
        diverges_above: float | None = None,
        diverges_after: int | None = None,
        metric: str | None = None,
        score: str | None = None,
        patience: int | None = None,
        watch: Sequence[str] | None = None,
        raw: bool = True,
        on_reading: OnReading | None = None,
        time_limit: float | None = None,
        directory: str | Path | None = None,
        overwrite: bool = False,
        devices: Sequence[Any] | None = None,
        mesh: Mesh | None = None,
        sharding: Sharding = None,
        progress: bool = True,
        **others: Any,
    ) -> Study:
        """Ask for ``n_trials`` configurations, batch after batch, train them and tell the results.

        Each trial of the Optuna study gets its curve as intermediate values, and user attributes:
        ``status``, ``trials`` (its rows in the table), ``seeds`` and the metric's ``values``.
        Optuna writes them one by one, which in a file or data base takes longer than many a
        training: search in memory, and write all at once with :meth:`Study.to_optuna`.

        Args:
            task: as in ``sweep``, like all that is not explained here.
            n_trials: configurations to ask for, unless the sampler ends before, as one of a grid
                does; each is trained with every seed.
            optimizer: for all rows, or own functions.
            static: columns of the space, with listed values, that change shapes or code: the
                sampler chooses among them, and each combination is a program.
            equal: what all of these programs have in common, as in ``sweep``.
            epochs: of n // batch_size steps each; this or ``steps``.
            steps: updates.
            batch_size: examples a step.
            record_every: steps between records of the training loss.
            evaluate_every: steps between evaluations.
            diverges_above: a loss beyond which a trial counts as diverged; default as in ``sweep``.
            diverges_after: so many bad losses in a row end a trial, not the first.
            metric: what the sampler is told; its direction must be that of the Optuna study.
            score: which evaluation is told, "last" or "best"; default the last, and with
                ``patience`` the best.
            patience: evaluations without improvement after which a trial has "converged"; it is
                told as one that trained to its end.
            watch: what each step records beside the loss.
            raw: whether the trained weights are measured too, where others are evaluated.
            on_reading: hears what is new; ``trial`` is the row of the study that is returned.
            time_limit: seconds, compiling counted, after which the search ends as by Ctrl-C: with
                the batch that is trained then.
            directory: where to save, once all is over or something stops it; default nowhere.
            overwrite: whether a study that the directory holds may be replaced.
            devices: default all local ones.
            mesh: instead of devices.
            sharding: of its parameters.
            progress: whether to show a line a batch.
            **others: arguments of ``sweep`` that have no place here: each is refused by name.

        Returns:
            a study of all that was trained; what was asked for twice stands in it once.

        Raises:
            SweepInterrupted: Ctrl-C, or the time is over; Optuna is told that the trials that were
                not over failed.
            TypeError, ValueError: as ``sweep``; an argument in ``others``; or the Optuna study
                looks the other way, knows a column with other choices, or has an enqueued trial
                outside the space.
        """
        check_others(others)
        _whole("n_trials", n_trials)
        seen, scheduler = (
            make_seen(watch, on_reading, time_limit, raw),
            with_patience(None, patience),
        )
        lengths: dict[str, Any] = {
            "epochs": epochs,
            "steps": steps,
            "batch_size": batch_size,
            "record_every": record_every,
            "evaluate_every": evaluate_every,
            "diverges_above": diverges_above,
            **({} if diverges_after is None else {"diverges_after": diverges_after}),
        }
        space = self.space.with_static(static).with_task(task)
        check_study(self.optuna_study, space)
        examples = space.table([], optimizer)
        repeat = list(space.replicates)
        table = split(task, examples, static, optimizer, equal=equal, replicates=repeat, **lengths)
        check_folds(table, space.columns)
        check_metrics(table)
        measured = table.buckets[0].task.directions
        chosen, score = check_score(score, metric, measured, scheduler is not None)
        check_measured(chosen[0], table.measured_with, set(space.columns) - set(space.fixed))
        check_direction(self.optuna_study, *chosen)
        found = devices_of(devices, mesh, sharding, table)
        count = len(table.buckets)
        session = Session(
            task,
            optimizer,
            table,
            chosen,
            found,
            (self.lanes,) * count,
            (None,) * count,
            lengths,
            equal,
            carried=Carried(score=score),
            seen=seen,
        )
        if tried := space.extremes(optimizer):
            _complete(tried, space, session)  # what cannot be would end the search in its middle
        if directory is None:
            return self._searched(session, space, n_trials, None, progress, scheduler)
        with claims.claimed(directory, overwrite) as path:
            return self._searched(session, space, n_trials, path, progress, scheduler)

    def _searched(
        self,
        session: Session,
        space: Space,
        n_trials: int,
        path: Path | None,
        progress: bool,
        scheduler: Scheduler | None,
    ) -> Study:
        """The study of all that was asked for and trained."""
        patient = dataclasses.replace(session, seen=session.seen.silent())  # before there are rows
        patient.compile(progress=progress, trials=f"{n_trials} trials to ask for")
        manifest = session.manifest(session.table.trials, "sweep", scheduler)
        set_attributes(self.optuna_study, manifest, space.fixed)
        outcomes: list[Outcome] = []
        try:
            interrupted = self._search(session, space, n_trials, outcomes, progress, scheduler)
        except KeyboardInterrupt:  # while the sampler was thinking
            if not outcomes:
                raise
            interrupted = True
        finally:  # also where a batch went wrong, those before it are kept
            if outcomes:
                study = _joined(session, outcomes, scheduler)
                if path is not None:
                    study = study._write(path)
                    checkpoints.forget(path)  # of a sweep that was there and may be replaced
        if interrupted:
            raise SweepInterrupted(study)
        return study

    def _search(
        self,
        session: Session,
        space: Space,
        n_trials: int,
        outcomes: list[Outcome],
        progress: bool,
        scheduler: Scheduler | None,
    ) -> bool:
        """Ask, train and tell ``n_trials``, add to ``outcomes``; whether it was cut short."""
        states = import_optuna().trial.TrialState
        lanes = min(made.program.lanes for made in session.programs.values())
        batch = self.batch or max(1, lanes * len(session.devices) // len(space.repeats))
        names = making(session.table.hyperparameters, session.table.replicates)
        reads = {pair for bucket in session.table.buckets for pair in bucket.columns.reads}
        known: dict[str, Told] = {}  # by the id of a configuration's row with the first seed
        trained: set[str] = set()  # ids of rows
        for start in range(0, n_trials, batch):
            asked: list[Any] = []
            try:
                number = min(batch, n_trials - start)
                rows = [self._ask(asked, space, session.optimizer, reads) for _ in range(number)]
                table = _complete(rows, space, session)
                new = table[~table["id"].isin(trained) & ~table["id"].duplicated()]
                if len(new):
                    numbers = np.arange(len(trained), len(trained) + len(new))
                    new = new.assign(trial=numbers, duplicate_of=pd.NA)
                    new = new.astype({"duplicate_of": "Int64"}).reset_index(drop=True)
                    outcome = session.train(new, "sweep", progress, scheduler=scheduler)
                    outcomes.append(outcome)
                    trained |= set(new["id"])
                    for told in tell_all(outcome.trials, outcome.curves, names, *session.chosen):
                        known[new["id"][told.row]] = told
                exhausted = False
                for name in table["id"].iloc[:: len(space.repeats)]:
                    report(asked[0], known[name])
                    state = states[known[name].state]
                    exhausted |= tell(self.optuna_study, asked[0], known[name].value, state)
                    asked.pop(0)
            finally:  # whatever went wrong, no trial stays running for ever
                for trial in asked:
                    tell(self.optuna_study, trial, None, states.FAIL)
            cut = outcomes[-1].interrupted or (session.seen.is_late and start + batch < n_trials)
            if cut or exhausted:
                return cut
        return False

    def _ask(
        self, asked: list[Any], space: Space, optimizer: Optimizer, reads: Reads
    ) -> dict[str, Any]:
        """One more trial, added to ``asked``, and its row."""
        trial = self.optuna_study.ask()
        asked.append(trial)
        return space.row(optimizer, {}, trial, reads)


def _complete(rows: Sequence[dict[str, Any]], space: Space, session: Session) -> pd.DataFrame:
    """The rows with every seed, checked, numbered and named."""
    examples = space.table([], session.optimizer)
    asked = space.table(rows, session.optimizer).iloc[len(examples) :]
    with warnings.catch_warnings():  # repeats are expected here
        warnings.filterwarnings("ignore", ".* repeat an earlier one")
        longer = session.lengthened(examples, asked)
    return longer.table.trials.iloc[-len(rows) * len(space.repeats) :]


def _joined(session: Session, outcomes: Sequence[Outcome], scheduler: Scheduler | None) -> Study:
    """One study of all batches."""
    trials = pd.concat([outcome.trials for outcome in outcomes], ignore_index=True)
    trials = trials.astype(dict(outcomes[0].trials.dtypes))
    import xarray as xr  # late: not needed before a study is there

    curves = xr.concat([outcome.curves for outcome in outcomes], "trial")
    asked = session.table.trials[[*session.table.hyperparameters, "seed"]]
    session = dataclasses.replace(session, examples=asked)
    manifest = session.manifest(trials, "sweep", scheduler)
    events = tuple(outcome.event for outcome in outcomes)
    joined = join(curves, trials, session.table.hyperparameters)
    return Study(trials, joined, manifest, None, events, session)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    return int(value)
