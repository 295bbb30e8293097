"""A ``Study`` holds what came of a table of trials, and trains more for it."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from jax.sharding import Mesh

from jaxopt_course.records import checkpoints, claims, files, lock, store
from jaxopt_course.records.format import LOCK, MANIFEST
from jaxopt_course.studies import made_with
from jaxopt_course.studies.choosing import confirming
from jaxopt_course.studies.clock import WithClock
from jaxopt_course.studies.compiling import compiled_again
from jaxopt_course.studies.elsewhere import Cluster, check_cluster, connected
from jaxopt_course.studies.extend import extended
from jaxopt_course.studies.holding import held
from jaxopt_course.studies.interrupted import NotRepeatableWarning as NotRepeatableWarning
from jaxopt_course.studies.interrupted import SweepInterrupted as SweepInterrupted
from jaxopt_course.studies.interrupted import warn_of_bits
from jaxopt_course.studies.keeping import settle
from jaxopt_course.studies.lineage import course_of
from jaxopt_course.studies.meshes import devices_again
from jaxopt_course.studies.readings import OnReading
from jaxopt_course.studies.replay import Replay, replay
from jaxopt_course.studies.results import join
from jaxopt_course.studies.resume import going_on, recall
from jaxopt_course.studies.seen import seen_of
from jaxopt_course.studies.session import Outcome, Session
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.sweeps.snapshot import Snapshot
from jaxopt_course.tables.cells import check_table
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask


@dataclass(frozen=True, eq=False, repr=False)
class Study(WithClock):
    """What came of a table of trials.

    Attributes:
        trials: a row a trial: hyperparameters, seed, ``status`` ("finished", "diverged", "stopped"
            by a scheduler, "converged" by patience, "unfinished"), ``first_bad_step`` (updates done
            before the first bad loss), ``stopped_step``, ``last_finite_loss`` (recorded),
            ``train_*`` (last record), ``valid_*`` (final, or at ``scored_step``; ``…_raw`` of the
            trained weights), ``best_valid_*`` (of its curves), ``best_step`` (of the loss),
            ``test_*``.
        curves: ``train_*`` (trial, step) and ``valid_*`` (trial, eval_step), float32, NaN after
            a trial's end, with the hyperparameters as coordinates of ``trial``.
        manifest: what was asked and with what; see ``manifest.json``.
        directory: where it is saved, if it is.
        events: wall times; see ``events.jsonl``, which a process that was killed right before it
            was written leaves out.
    """

    def confirm(
        self,
        seeds: int | Iterable[int] = 8,
        *,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        start: Any = None,
        devices: Sequence[Any] | None = None,
        mesh: Mesh | None = None,
        progress: bool = True,
    ) -> "Study":
        """Train each optimizer's winner again on fresh seeds, in the same compiled program.

        The winners of a search are chosen for their luck too; only these trainings carry
        intervals.  Saved under ``confirm/`` of the study's directory, if it has one.  Under other
        versions of JAX than the search's it goes on, and its manifest says so.

        Args:
            seeds: how many, from one above the largest seed of the study; or which.  Where lanes
                go by fours, as those of small networks do on CPU, 8 take no longer than 5.
            task: an own task, where the study was read from disk.
            optimizer: own functions of the row, where the study was read from disk.
            start: the weights given to :func:`sweep`, where the study was read from disk.
            devices: where the study was read from disk; default all local ones.
            mesh: likewise, of a study with one; default its own, of the devices that are here.
            progress: whether to show a line.

        Raises:
            ValueError: a seed was used to choose the winners; or nothing finished; or the program
                of a study read from disk is another one now.
        """
        trials = confirming(self.winners(), self.trials, self.manifest, seeds)
        with held(self.directory, self.manifest):
            session = self._recalled(False, (devices, mesh), task, optimizer, start)
            scheduler, said = course_of(self.manifest, self.trials, trials)
            trials = session.carried.fresh(trials, session.table.hyperparameters)
            outcome = session.train(trials, "confirmation", progress, scheduler=scheduler)
            marks: dict[str, Any] = {"confirms": store.identity(self.manifest)} | said
            if not session.exact:
                marks["search_versions"] = self.manifest["versions"]
            outcome = outcome._replace(manifest=outcome.manifest | marks)
            return finish(session, outcome, self.directory, confirmation=True)

    def _trained(self, session: Session, path: Path | None, progress: bool, begin: Any) -> Any:
        return train(session, path, progress, None, None, begin)

    def _recalled(self, exact: bool, where: Any, task: Any, optimizer: Any, start: Any) -> Session:
        """The session that made the study, or one made again from what is on disk."""
        if self._session is not None:
            made_with.check_versions(self.manifest, exact)
            return self._session
        devices = devices_again(self.manifest, *where)
        return recall(self.manifest, self.trials, task, optimizer, devices, exact, start)

    @classmethod
    def resume(
        cls,
        directory: str | Path,
        *,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        scheduler: Scheduler | None = None,
        start: Any = None,
        on_reading: OnReading | None = None,
        time_limit: float | None = None,
        devices: Sequence[Any] | None = None,
        mesh: Mesh | None = None,
        cluster: Cluster | None = None,
        exact: bool = True,
        progress: bool = True,
    ) -> "Study":
        """Go on with a sweep that was killed or interrupted; a complete study is just loaded.

        The results are those of the sweep that nobody cut short, bit for bit, on the same or
        another number of devices; where a machine does not repeat its bits (the manifest's
        ``repeatable``), to rounding.

        Args:
            directory: of the sweep.
            task: an own task, which files cannot hold.
            optimizer: own functions of the row, as they were given to :func:`sweep`.
            scheduler: one of a class of your own; those of this library are known.
            start: the weights as they were given to :func:`sweep`; a path is known.
            on_reading: as for :func:`sweep`; what came after the last checkpoint is told again.
            time_limit: seconds for this process, as for :func:`sweep`.
            devices: default all local ones.
            mesh: of a sweep with one: of the same axes, of any sizes; default as it was.
            cluster: as for :func:`sweep`; with or without one, whatever was there before.
            exact: whether to refuse another JAX or CPU than the sweep's, with which the rest agrees
                to rounding only; without, the manifest has it under ``went_on_with``.
            progress: whether to show a line.

        Raises:
            SweepInterrupted: Ctrl-C again, or the time is over.
            FileNotFoundError: the directory holds nothing to go on with.
            BlockingIOError: another process works there.
            ValueError: the task, the optimizer, the scheduler or the program are not what they
                were.
        """
        path = claims.where(directory)
        if files.is_file(path / MANIFEST) and not checkpoints.is_unfinished(path):
            return cls.load(path)
        checkpoints.asked(path)  # says so if there is nothing, before a lock is left there
        with claims.held(path):
            if not checkpoints.is_unfinished(path):  # whoever held the lock has completed it
                return cls.load(path)
            question = checkpoints.asked(path)
            where = devices_again(question.settings, devices, mesh, one=cluster is not None)
            session = recall(*question, task, optimizer, where, exact, start)
            check_cluster(cluster, devices, session.table, question.settings.get("mesh"))
            seen = seen_of(question.settings, on_reading, time_limit)
            session = replace(session, seen=seen, cluster=cluster)
            scheduler = made_with.scheduler_of(question.settings["scheduler"], scheduler)
            asked = going_on(path, question, session)
            if (left := compiled_again(session, path, progress, scheduler)) is not None:
                if files.is_file(path / MANIFEST):  # what is there stays
                    raise SweepInterrupted(cls.load(path))
                return finish(session, left, path, asked)
            return train(session, path, progress, scheduler, asked)

    def replay(
        self,
        trial: int,
        *,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        start: Any = None,
        mesh: Mesh | None = None,
        progress: bool = False,
    ) -> Replay:
        """Train one trial again, in the same program, and compare its curves bit for bit.

        Under other versions of JAX than the study's, or where a machine does not repeat its bits,
        curves are compared to rounding; ``Replay.exact`` says which.

        Args:
            trial: its number in the table.
            task: an own task, where the study was read from disk.
            optimizer: own functions of the row, where the study was read from disk.
            start: the weights given to :func:`sweep`, where the study was read from disk.
            mesh: as for :meth:`confirm`; one of its slices is enough.
            progress: whether to show a line.

        Raises:
            ValueError: no such trial, or it never trained; or the program is another one.
        """
        given = task, optimizer, progress, start, mesh
        return replay(self.trials, self.curves, self.manifest, self._session, trial, *given)

    def extend(
        self,
        trials: pd.DataFrame,
        *,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        start: Any = None,
        devices: Sequence[Any] | None = None,
        mesh: Mesh | None = None,
        exact: bool = True,
        progress: bool = True,
    ) -> "Study":
        """Add trials, without running or changing those that are there; known ones are skipped.

        The new ones are numbered on, and saved with the old ones if the study has a directory.
        New values of static columns get programs of their own.  A confirmation and a page that are
        there are removed, as the winners may be others now: :meth:`confirm` and :meth:`report`
        make them again.

        Args:
            trials: with the columns of the study's table; empty cells as in :func:`sweep`.
            task: an own task, where the study was read from disk.
            optimizer: own functions of the row, where the study was read from disk.
            start: the weights given to :func:`sweep`, where the study was read from disk.
            devices: where the study was read from disk; default all local ones.
            mesh: likewise, of a study with one; default its own, of the devices that are here.
            exact: whether to refuse other versions of JAX than the study's, with which the new
                trials agree with the old ones to rounding only; without, the manifest says which
                trials were made with which.
            progress: whether to show a line.

        Raises:
            SweepInterrupted: Ctrl-C; the new trials that are over are added first.
            BlockingIOError: another process works in the directory.
            FileExistsError: the directory holds a sweep that was cut short, or another study.
            ValueError: other columns or optimizers than the study's, or a study with a scheduler,
                whose decisions would change.
        """
        scheduler = made_with.each_alone(self.manifest.get("scheduler"))
        if self.manifest.get("scheduler") is not None and scheduler is None:
            raise ValueError(
                "a study with a scheduler cannot be extended: its choices would change"
            )
        check_table(trials)
        columns = [*self.manifest["hyperparameters"], "seed"]
        if unknown_columns := [name for name in trials if name not in columns]:
            raise ValueError(f"the study has no column {unknown_columns[0]!r}; it has {columns}")
        with held(self.directory, self.manifest):
            session = self._recalled(exact, (devices, mesh), task, optimizer, start)
            session, outcome = extended(
                session, self.trials, self.curves, self.manifest, trials, progress, scheduler
            )
            if outcome is None:
                return self
            outcome = settle(session, outcome, self._content)
            joined = join(outcome.curves, outcome.trials, columns[:-1])
            events = (*self.events, outcome.event | {"event": "extended"})
            study = Study(
                outcome.trials, joined, outcome.manifest, None, events, session, outcome.kept
            )
            if self.directory is not None:
                study = study._write(self.directory)
        if outcome.interrupted:
            raise SweepInterrupted(study)
        return study


def train(
    session: Session,
    path: Path | None,
    progress: bool,
    scheduler: Scheduler | None,
    asked: Mapping[str, Any] | None = None,
    begin: Mapping[int, Snapshot] | None = None,
) -> Study:
    """Train the session's table, with checkpoints if it has a directory; then save.

    Args:
        session: prepared.
        path: of the directory, held by this process and asked the question.
        progress: whether to show lines.
        scheduler: who decides which trials train on.
        asked: what a sweep that goes on was asked with, where another process asked.
        begin: where each bucket begins, by number, if not at its first step.

    Raises:
        SweepInterrupted: Ctrl-C.
        OSError: the study could not be written; the error has it.
    """
    before = None if path is None else os.stat(path / LOCK)
    with connected(session) as there:
        outcome = there.train(
            session.table.trials,
            "sweep",
            progress,
            scheduler=scheduler,
            best=session.carried.keep,
            begin=begin,
            directory=path,
            probe=path is not None and session.cluster is None,
        )
    outcome = settle(session, outcome)
    warn_of_bits(outcome.manifest)
    study = finish(session, outcome, path, asked, before)
    if path is not None:
        checkpoints.forget(path)
    return study


def finish(
    session: Session,
    outcome: Outcome,
    path: Path | None,
    asked: Mapping[str, Any] | None = None,
    before: os.stat_result | None = None,
    confirmation: bool = False,
) -> Study:
    """Make a study of what came out, and save it; also where Ctrl-C cut it short.

    ``before``: the lock's file as it was when the sweep began.
    """
    session = replace(session, seen=session.seen.silent(), cluster=None)
    curves = join(outcome.curves, outcome.trials, session.table.hyperparameters)
    manifest, events = outcome.manifest, [outcome.event]
    if asked is not None and path is not None:
        manifest = manifest | made_with.began_with(asked, manifest)
        events = [*store.earlier_events(path, manifest), *events]
    study = Study(outcome.trials, curves, manifest, None, tuple(events), session, outcome.kept)
    if path is not None:
        if before is not None and not lock.still_held(path, before):
            try:
                claims.take_again(path)
            except FileExistsError as error:
                error.study = study  # type: ignore[attr-defined]
                raise
        kept = confirmation and outcome.interrupted and store.has_confirmation(path)
        if not kept:  # a whole confirmation is worth more than one cut short
            study = study._write(path, confirmation, resumable=before is not None)
    if outcome.interrupted:
        raise SweepInterrupted(study)
    return study
