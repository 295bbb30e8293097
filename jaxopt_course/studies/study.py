"""A ``Study`` holds what came of a table of trials, and trains more for it."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from jaxopt_course.records import checkpoints, store
from jaxopt_course.report import optuna as optuna_export
from jaxopt_course.report import tables
from jaxopt_course.studies.choosing import check_metric, fresh_seeds
from jaxopt_course.studies.joint import Joint
from jaxopt_course.studies.recall import scheduler_of
from jaxopt_course.studies.replay import Replay, new_trials, recall_study, replay
from jaxopt_course.studies.results import bare, join
from jaxopt_course.studies.session import Outcome, Session
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.tables.cells import identify
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask

IDENTITY = ("trials_sha256", "program_sha256")  # of a study, in its manifest


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a sweep; ``study`` holds the trials that were over, and is saved if asked."""

    def __init__(self, study: "Study") -> None:
        over = int((study.trials["status"] != "unfinished").sum())
        super().__init__(f"stopped with {over} of {len(study.trials)} trials over")
        self.study = study


@dataclass(frozen=True, eq=False)
class Study:
    """What came of a table of trials.

    Attributes:
        trials: a row a trial: hyperparameters, seed, ``status`` ("finished", "diverged",
            "stopped" by a scheduler, "unfinished"), ``first_bad_step`` (updates done before the
            first loss that is not finite), ``stopped_step`` (updates done when a scheduler stopped
            it), ``last_finite_loss`` (of training, as recorded),
            ``train_loss`` (last record), ``valid_*`` (final), ``best_valid_loss`` and
            ``best_step``, ``test_*``.
        curves: ``train_loss`` (trial, step) and ``valid_*`` (trial, eval_step), float32, NaN after
            a trial's end, with the hyperparameters as coordinates of ``trial``.
        manifest: what was asked and with what; see ``manifest.json``.
        directory: where it is saved, if it is.
        events: wall times; see ``events.jsonl``.
    """

    trials: pd.DataFrame
    curves: xr.Dataset
    manifest: dict[str, Any]
    directory: Path | None = None
    events: tuple[dict[str, Any], ...] = ()
    _session: Session | Joint | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        counts = self.trials["status"].value_counts().to_dict()
        states = ", ".join(f"{n} {status}" for status, n in counts.items())
        where = f", saved in {self.directory}" if self.directory else ""
        return f"Study of {self.manifest['task']['name']!r}: {states}{where}"

    @property
    def hyperparameters(self) -> list[str]:
        """The columns that make a configuration; ``seed`` stands apart."""
        return list(self.manifest["hyperparameters"])

    def configurations(self, metric: str | None = None) -> pd.DataFrame:
        """All configurations, best first: the mean of ``metric`` over the seeds, and its spread.

        A configuration with a diverged seed ranks after all others and has no mean.

        Args:
            metric: a validation metric, ``train_loss`` or ``best_valid_loss``; default the task's.
        """
        metric, direction = self._metric(metric)
        return tables.configurations(self.trials, self.hyperparameters, metric, direction)

    def best(self, metric: str | None = None) -> pd.Series:
        """The best configuration: a row of :meth:`configurations`.

        Raises:
            ValueError: no configuration finished on all its seeds; or a metric that may not choose.
        """
        name, _ = self._metric(metric)
        first = self.configurations(name).iloc[0]
        if pd.isna(first[name]):
            raise ValueError(
                f"no configuration finished on all of its seeds with a finite {name}: "
                f"{self.trials['status'].value_counts().to_dict()}; see study.trials"
            )
        return first

    def winners(self, metric: str | None = None) -> pd.DataFrame:
        """The best configuration of each optimizer, best first."""
        return tables.winners(self.configurations(metric), self.manifest["searched"])

    def confirm(
        self,
        seeds: int | Iterable[int] = 5,
        *,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        devices: Sequence[Any] | None = None,
        progress: bool = True,
    ) -> "Study":
        """Train each optimizer's winner again on fresh seeds, in the same compiled program.

        The winners of a search are chosen for their luck too; only these trainings carry
        intervals.  Saved under ``confirm/`` of the study's directory, if it has one.

        Args:
            seeds: how many, from one above the largest seed of the study; or which.
            task: an own task, where the study was read from disk.
            optimizer: own functions of the row, where the study was read from disk.
            devices: where the study was read from disk; default all local ones.
            progress: whether to show a line.

        Raises:
            ValueError: a seed was used to choose the winners; or nothing finished; or the program
                of a study read from disk is another one now.
        """
        fresh = fresh_seeds(seeds, set(self.manifest["seeds"]))
        metric, _ = self._metric(None)
        winners = self.winners()
        winners = winners[winners[metric].notna()]
        if winners.empty:
            raise ValueError("no configuration finished on all of its seeds; nothing to confirm")
        columns = self.hyperparameters
        chosen = winners[columns].astype(dict(self.trials[columns].dtypes))
        table = chosen.merge(pd.DataFrame({"seed": pd.Series(fresh, dtype="Int64")}), how="cross")
        path = None
        if self.directory is not None:
            path = self.directory / store.CONFIRMATION
        trials = identify(table, columns)
        with self._held():
            session = self._session
            session = session or recall_study(self.manifest, self.trials, task, optimizer, devices)
            return _finish(session, session.train(trials, "confirmation", progress), path)

    def save(self, directory: str | Path, *, overwrite: bool = False) -> "Study":
        """Write the study into ``directory`` (see ``sweeps/store.py`` for the format).

        Raises:
            FileExistsError: a study is there already, and ``overwrite`` is false.
            BlockingIOError: another process works there.
        """
        path = store.claim(directory, overwrite)
        with checkpoints.locked(path):
            study = self._write(path)
            checkpoints.forget(path)  # of a sweep that was cut short and may be replaced
        return study

    def _write(self, path: Path) -> "Study":
        """Write into a directory that this process holds.

        Raises:
            OSError: the disk is full, or the like; the error has the study.
        """
        try:
            store.write(path, store.Record(self.manifest, self.trials, bare(self.curves)))
            store.write_events(path, self.events)
        except OSError as error:
            error.add_note(
                f"the study could not be written into {path}; nothing is lost: it is this "
                "exception's attribute .study, and once there is room, Study.resume(directory) or "
                "jaxopt-course resume writes it from the last checkpoint"
            )
            error.study = self  # type: ignore[attr-defined]
            raise
        return Study(self.trials, self.curves, self.manifest, path, self.events, self._session)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the study's directory, if it has one and it is still the study's."""
        if self.directory is None:
            yield
            return
        with checkpoints.locked(self.directory):
            if (self.directory / store.UNFINISHED).exists():
                raise FileExistsError(
                    f"{self.directory} holds a sweep that was cut short; go on with it first: "
                    "Study.resume(directory)"
                )
            there = store.read(self.directory).manifest
            if any(there[name] != self.manifest[name] for name in IDENTITY):
                raise FileExistsError(f"{self.directory} holds another study by now")
            yield

    @classmethod
    def load(cls, directory: str | Path) -> "Study":
        """Read a study that was saved.

        Raises:
            FileNotFoundError: there is no study.
            ValueError: it is of an unknown format.
        """
        record = store.read(directory)
        curves = join(record.curves, record.trials, record.manifest["hyperparameters"])
        path = Path(directory).expanduser().resolve()
        return cls(record.trials, curves, record.manifest, path, tuple(store.read_events(path)))

    @classmethod
    def resume(
        cls,
        directory: str | Path,
        *,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        scheduler: Scheduler | None = None,
        devices: Sequence[Any] | None = None,
        progress: bool = True,
    ) -> "Study":
        """Go on with a sweep that was killed or interrupted; a complete study is just loaded.

        The results are those of the sweep that nobody cut short, bit for bit, on the same or
        another number of devices.

        Args:
            directory: of the sweep.
            task: an own task, which files cannot hold.
            optimizer: own functions of the row, as they were given to :func:`sweep`.
            scheduler: one of a class of your own; those of this library are known.
            devices: default all local ones.
            progress: whether to show a line.

        Raises:
            SweepInterrupted: Ctrl-C again.
            FileNotFoundError: the directory holds nothing to go on with.
            BlockingIOError: another process works there.
            ValueError: the task, the optimizer, the scheduler or the program are not what they
                were.
        """
        path = Path(directory).expanduser().resolve()
        unfinished = (path / store.UNFINISHED).is_file
        if (path / store.MANIFEST).is_file() and not unfinished():
            return cls.load(path)
        checkpoints.asked(path)  # says so if there is nothing, before a lock is left there
        with checkpoints.locked(path):
            if not unfinished():  # whoever held the lock has completed it
                return cls.load(path)
            question = checkpoints.asked(path)
            session = recall_study(question.settings, question.trials, task, optimizer, devices)
            scheduler = scheduler_of(question.settings["scheduler"], scheduler)
            resume = checkpoints.newest(path)
            return train(session, path, progress, scheduler, resume, question.settings)

    def replay(
        self,
        trial: int,
        *,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        progress: bool = False,
    ) -> "Replay":
        """Train one trial again, in the same program, and compare its curves bit for bit.

        Args:
            trial: its number in the table.
            task: an own task, where the study was read from disk.
            optimizer: own functions of the row, where the study was read from disk.
            progress: whether to show a line.

        Raises:
            ValueError: no such trial, or it never trained; or the program is another one.
        """
        return replay(
            self.trials, self.curves, self.manifest, self._session, trial, task, optimizer, progress
        )

    def state(self, trial: int, **again: Any) -> Any:
        """The last state of a trial, trained again: ``params``, ``model_state``, ``opt_state``.

        Args:
            trial: its number in the table.
            **again: as :meth:`replay`.

        Raises:
            ValueError: the trial diverged, or :meth:`replay` gives other curves than recorded.
        """
        replay = self.replay(trial, **again)
        if not replay.identical:
            raise ValueError(f"trial {trial} gives other curves now: {replay.different}")
        if replay.state is None:
            raise ValueError(f"trial {trial} diverged; it has no last state")
        return replay.state

    def extend(
        self,
        trials: pd.DataFrame,
        *,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        devices: Sequence[Any] | None = None,
        progress: bool = True,
    ) -> "Study":
        """Add trials, without running or changing those that are there; known ones are skipped.

        The new ones are numbered on, and saved with the old ones if the study has a directory.

        Args:
            trials: with the columns of the study's table; empty cells as in :func:`sweep`.
            task: an own task, where the study was read from disk.
            optimizer: own functions of the row, where the study was read from disk.
            devices: where the study was read from disk; default all local ones.
            progress: whether to show a line.

        Raises:
            SweepInterrupted: Ctrl-C; the new trials that are over are added first.
            BlockingIOError: another process works in the directory.
            FileExistsError: the directory holds a sweep that was cut short, or another study.
            ValueError: other columns or optimizers than the study's, a study with static columns,
                or one with a scheduler, whose decisions would change.
        """
        if self.manifest.get("scheduler") is not None:
            raise ValueError(
                "a study with a scheduler cannot be extended: its choices would change"
            )
        if "buckets" in self.manifest:
            raise ValueError(
                "a study with static columns cannot be extended; sweep the new trials on their own"
            )
        columns = [*self.hyperparameters, "seed"]
        if unknown_columns := [name for name in trials if name not in columns]:
            raise ValueError(f"the study has no column {unknown_columns[0]!r}; it has {columns}")
        with self._held():
            session = self._session
            session = session or recall_study(self.manifest, self.trials, task, optimizer, devices)
            assert isinstance(session, Session)
            new = new_trials(session, self.trials[columns], trials)
            if new.empty:
                return self
            outcome = session.train(new, "sweep", progress)
            over = outcome.trials["status"].to_numpy() != "unfinished"  # the others may come again
            added = outcome.trials[over].assign(trial=len(self.trials) + np.arange(over.sum()))
            whole = pd.concat([self.trials, added], ignore_index=True).astype(added.dtypes)
            fresh = outcome.curves.isel(trial=over).assign_coords(trial=added["trial"].to_numpy())
            curves = xr.concat([bare(self.curves), fresh], "trial")
            manifest = session.manifest(whole, "sweep") | {"command": self.manifest["command"]}
            joined = join(curves, whole, self.hyperparameters)
            events = (*self.events, outcome.event | {"event": "extended"})
            study = Study(whole, joined, manifest, None, events, session)
            if self.directory is not None:
                study = study._write(self.directory)
        if outcome.interrupted:
            raise SweepInterrupted(study)
        return study

    def report(self) -> Path:
        """Write ``report.html`` and the figures into the study's directory; the page's path.

        Raises:
            ValueError: the study is in no directory yet.
        """
        if self.directory is None:
            raise ValueError("save the study first: study.save(directory).report()")
        from jaxopt_course.report.page import write_report

        return write_report(self.directory)

    def to_optuna(
        self, journal_file: str | Path, name: str | None = None, *, each_seed: bool = False
    ) -> Any:
        """Add the study to a journal file of Optuna's, for ``optuna.load_study`` and its dashboard.

        A configuration becomes a trial, with the mean over its seeds as value and validation curve
        as intermediate values, so that Optuna's best is :meth:`best`; a diverged one has the worst
        value there is, a stopped one is PRUNED, an unfinished one FAIL.  Columns that vary become
        parameters, constant ones stand in the study's user attributes.

        Args:
            journal_file: made if it is not there; it may hold other studies.
            name: of the study in it; default the name of its directory, or of the task.
            each_seed: whether each seed is a trial of its own, with "seed" as a parameter.

        Returns:
            the ``optuna.study.Study`` as read from the file.

        Raises:
            ImportError: Optuna is not installed (``pip install 'jaxopt-course[optuna]'``).
            ValueError: the file holds a study of that name already, or is no journal.
            FileNotFoundError, IsADirectoryError: the file cannot be there.
        """
        name = name or (self.directory.name if self.directory else self.manifest["task"]["name"])
        return optuna_export.export(
            self.trials, self.curves, self.manifest, journal_file, name, each_seed
        )

    def _metric(self, metric: str | None) -> tuple[str, str]:
        """A metric that may choose, and its direction."""
        if metric is None:
            return self.manifest["metric"], self.manifest["direction"]
        return check_metric(metric, self.manifest["task"]["metrics"])


def _earlier_events(path: Path, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of the same study, cut short by Ctrl-C; none where the directory has another one."""
    try:
        there = store.read(path).manifest
    except (FileNotFoundError, ValueError):
        return []
    same = all(there.get(name) == manifest[name] for name in IDENTITY)
    return store.read_events(path) if same else []


def train(
    session: Session | Joint,
    path: Path | None,
    progress: bool,
    scheduler: Scheduler | None,
    resume: checkpoints.Snapshot | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Study:
    """Train the session's table, with checkpoints if it has a directory; then save.

    ``asked``: what a sweep that goes on was asked with, where another process asked.
    """

    def save(snapshot: checkpoints.Snapshot) -> None:
        assert path is not None
        try:
            checkpoints.save(path, snapshot)
        except OSError as error:
            warnings.warn(f"no checkpoint ({error}); training goes on", stacklevel=2)

    memory: dict[str, Any] = {
        "resume": resume,
        "on_checkpoint": None if path is None else save,
    }
    if isinstance(session, Joint):  # its buckets have checkpoints of their own
        memory = {"directory": path}
    trials = session.columns.trials
    outcome = session.train(trials, "sweep", progress, scheduler=scheduler, **memory)
    study = _finish(session, outcome, path, asked)
    if path is not None:
        checkpoints.forget(path)
    return study


def _finish(
    session: Session | Joint,
    outcome: Outcome,
    path: Path | None,
    asked: Mapping[str, Any] | None = None,
) -> Study:
    """Make a study of what came out, and save it; also where Ctrl-C cut it short."""
    curves = join(outcome.curves, outcome.trials, session.columns.hyperparameters)
    manifest, events = outcome.manifest, [outcome.event]
    if asked is not None and path is not None:  # the command that resumes stands in the events
        manifest = manifest | {"command": asked["command"]}
        events = [*_earlier_events(path, manifest), *events]
    study = Study(outcome.trials, curves, manifest, None, tuple(events), session)
    if path is not None:
        path.mkdir(exist_ok=True)
        study = study._write(path)
    if outcome.interrupted:
        raise SweepInterrupted(study)
    return study
