"""A study's weights: read, with no second training where they are kept, and written for others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxopt_course.records import checkpoints, claims, weights
from jaxopt_course.studies.exporting import WithExports
from jaxopt_course.studies.first_states import shapes_of
from jaxopt_course.studies.joining import belong
from jaxopt_course.studies.keeping import check_keep
from jaxopt_course.studies.longer import prepared
from jaxopt_course.studies.made_with import GiveAgain
from jaxopt_course.studies.meshes import devices_again
from jaxopt_course.studies.recorded import RecordedStudy
from jaxopt_course.studies.resume import recall
from jaxopt_course.studies.seen import make_seen
from jaxopt_course.studies.session import Session
from jaxopt_course.studies.snapshots import pack
from jaxopt_course.studies.states import (
    evaluated_of,
    exported,
    is_plain,
    of_trial,
    plain,
    restore,
    to_device,
    unpack,
)
from jaxopt_course.studies.weight_files import check_target, write_weights
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask


class WithParameters(WithExports):
    """A study whose trials' weights can be had."""

    @property
    def kept(self) -> list[int]:
        """The trials whose weights are kept, those of the best configuration first."""
        return [entry["trial"] for entry in weights.entries(self.manifest)]

    def params(self, trial: int, *, raw: bool = False, **again: Any) -> Any:
        """The weights of a trial with which it was evaluated at the step of its score.

        Of a trial that ``sweep(keep=)`` kept they are read, at once and without the task's code;
        then a tree that is more than dictionaries and lists comes as such.  Others are trained
        again, as :meth:`state` does.

        Args:
            trial: its number in the table.
            raw: the weights that were trained, where the optimizer has others for evaluation: a
                mean of them (``ema_params``), Schedule-Free's x; see :func:`evaluation_params`.
            **again: as :meth:`replay`, where the trial was not kept.

        Returns:
            a tree of arrays, as ``task.init`` makes the parameters.

        Raises:
            FileNotFoundError, ValueError: its file is missing or damaged; or as :meth:`state`.
        """
        make_seen(raw=raw)  # what is neither True nor False
        content = _kept(self, trial)
        if content is None:
            found = self._replayed(trial, again)
            return found.state.params if raw else found.weights[0]
        tensors = unpack(content, f"what is kept of trial {trial}")
        if is_plain(tensors) or (self._session is None and not again):
            return to_device(plain(tensors, "params")) if raw else evaluated_of(tensors)[0]
        own = self.state(trial, **again)
        return own.params if raw else evaluated_of(tensors, own[:2])[0]

    def state(self, trial: int, **again: Any) -> Any:
        """The last state of a trial: ``params``, ``model_state``, ``opt_state``, ``step``.

        Its ``params`` are those that were trained; :meth:`params` gives those that were evaluated.
        Of a trial that ``sweep(keep=)`` kept it is read; others are trained again.  One that has
        converged (``Patience``) gives the state of its best evaluation.

        Args:
            trial: its number in the table.
            **again: as :meth:`replay`.

        Raises:
            ValueError: the trial diverged, or :meth:`replay` gives other curves than recorded.
            FileNotFoundError: the file of a kept one is missing.
        """
        content = _kept(self, trial)
        if content is not None:
            return _restored(self, trial, content, again)
        return self._replayed(trial, again).state

    def _replayed(self, trial: int, again: dict[str, Any]) -> Any:
        """A replay that gave the curves on record, and has a last state."""
        try:
            replay = self.replay(trial, **again)  # type: ignore[attr-defined]
        except GiveAgain as error:
            if kept := self.kept:
                error.add_note(f"kept are the weights of the trials {kept}, not of {trial}")
            raise
        if replay.different:
            raise ValueError(f"trial {trial} gives other curves now: {replay.different}")
        if replay.state is None:
            raise ValueError(f"trial {trial} diverged; it has no last state")
        return replay

    def save_params(
        self,
        trial: int,
        path: str | Path,
        *,
        format: str | None = None,
        overwrite: bool = False,
        raw: bool = False,
        **again: Any,
    ) -> Path:
        """Write a trial's weights for others to read: with ``safetensors``, ``orbax``, or here.

        A model with a state of its own, such as BatchNorm's averages, is written whole: a
        dictionary of "params" and "model_state".  ``sweep(start=path)`` reads both.

        Args:
            trial: its number in the table.
            path: a file, ``….safetensors``, whose arrays are called as ``layers.0.kernel``; or a
                directory, for orbax.
            format: "safetensors" or "orbax"; default by the path's ending.
            overwrite: whether weights that are there may be replaced; nothing else ever is.
            raw: as :meth:`params`.
            **again: as :meth:`replay`, where the trial was not kept.

        Returns:
            the path, absolute.

        Raises:
            FileExistsError: something is there.
            FileNotFoundError: the folder of it is not.
            ImportError: orbax is not installed.
            ValueError: an unknown format; or as :meth:`params`.
        """
        target, form = check_target(path, format, overwrite)
        content = _kept(self, trial)
        tensors = None if content is None else unpack(content, f"what is kept of trial {trial}")
        if tensors is not None and is_plain(tensors):
            of_score = evaluated_of(tensors)
            trained = plain(tensors, "params"), plain(tensors, "model_state")
        elif tensors is not None:
            trained = self.state(trial, **again)[:2]
            of_score = evaluated_of(tensors, trained)
        else:
            found = self._replayed(trial, again)
            trained, of_score = found.state[:2], found.weights
        parts = trained if raw else of_score
        write_weights(exported(*parts), target, form)
        return target

    def train_on(
        self,
        top: int = 1,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        stretch: bool = True,
        record_every: int | None = None,
        evaluate_every: int | None = None,
        keep: int = 0,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        start: Any = None,
        directory: str | Path | None = None,
        overwrite: bool = False,
        devices: Sequence[Any] | None = None,
        mesh: Mesh | None = None,
        progress: bool = True,
    ) -> Any:
        """Train the best configurations on, from where they ended: a study of a longer budget.

        They are the same trials: their weights, their optimizers' states, their order of the data
        go on, and their curves hold the part that they had.  What ``sweep(keep=)`` kept is read;
        others are trained again first, which a line says.  Where a schedule was stretched, trials
        have ids of their own and can be trained by this call alone: they are not those that had the
        longer schedule from the start.

        Args:
            top: how many configurations, all their seeds.
            epochs: in all, with those that they have behind them; this or ``steps``.
            steps: updates, likewise.
            stretch: whether horizons of schedules that the table did not say (a cosine over all
                steps) become those of the longer budget; what a table says stays as it is.
            record_every: see :func:`sweep`; default as before.
            evaluate_every: see :func:`sweep`; default as before.
            keep: see :func:`sweep`.
            task: an own task, where the study was read from disk.
            optimizer: own functions of the row, where the study was read from disk.
            start: the weights given to :func:`sweep`, where the study was read from disk.
            directory: of the new study; default nowhere.
            overwrite: see :func:`sweep`.
            devices: where the study was read from disk; default all local ones.
            mesh: likewise, of a study with one; default its own, of the devices that are here.
            progress: whether to show lines.

        Returns:
            the new study, with a row a trial that went on.

        Raises:
            SweepInterrupted: Ctrl-C.
            ValueError: no more steps than before; or intervals that do not divide these; or no
                configuration has a score; or the program is another one now.
            FileExistsError, BlockingIOError: see :func:`sweep`.
        """
        lengths = {"epochs": epochs, "steps": steps}
        lengths |= {"record_every": record_every, "evaluate_every": evaluate_every}
        session = self._session
        if session is None:
            where = devices_again(self.manifest, devices, mesh)
            session = recall(self.manifest, self.trials, task, optimizer, where, False, start)
        keep = check_keep(keep)
        ready = lambda: prepared(
            session, self, self._content, top, lengths, stretch, keep, progress
        )
        if directory is None:
            longer = ready()
            longer.session.compile(progress=progress)
            return self._trained(longer.session, None, progress, longer.begin)
        with claims.claimed(directory, overwrite) as path:
            longer = ready()
            longer.session.compile(progress=progress)
            trials = longer.session.table.trials
            settings = longer.session.manifest(trials, "sweep")
            checkpoints.ask(path, checkpoints.Question(settings, trials))
            for number, snapshot in longer.begin.items():  # or a resume would begin anew
                folder = checkpoints.folder_of(path, number)
                checkpoints.save(folder, pack(snapshot), checkpoints.question_of(folder))
            return self._trained(longer.session, path, progress, None)

    def _trained(self, session: Session, path: Path | None, progress: bool, begin: Any) -> Any:
        raise NotImplementedError  # of whoever trains


def _kept(study: Any, trial: Any) -> bytes | None:
    """What is kept of a trial; nothing of what is no trial's number, which a replay refuses."""
    whole = isinstance(trial, int | np.integer) and not isinstance(trial, bool)
    return study._content(trial) if whole else None


def _restored(study: WithParameters, trial: int, content: bytes, again: dict[str, Any]) -> Any:
    """The state of a kept trial, its optimizer's as that has it where it is alone."""
    given = {name: again.get(name) for name in ("task", "optimizer", "start")}
    session = study._session
    if session is None:
        devices = jax.local_devices()[:1]
        session = recall(study.manifest, study.trials, devices=devices, exact=False, **given)
    row = study.trials.iloc[[_position(study, trial)]].reset_index(drop=True)
    (bucket,) = [b for b in session.table.buckets if belong(row, b.static).all()]
    tensors = unpack(content, f"what is kept of trial {trial}")
    state = of_trial(restore(tensors, shapes_of(bucket), f"trial {trial}"))
    names = list(bucket.columns.trials.columns)
    arrays = bucket.columns.arrays(row[names].astype(dict(bucket.columns.trials.dtypes)))
    opt_state = bucket.columns.state_of(arrays, 0, state.opt_state, state.params)
    return state._replace(opt_state=opt_state)


def _position(study: RecordedStudy, trial: int) -> int:
    rows = np.flatnonzero(study.trials["trial"] == trial)
    if len(rows) != 1:
        last = len(study.trials) - 1
        raise ValueError(f"there is no trial {trial!r}; trials are 0 to {last}")
    return int(rows[0])
