"""A study in Trackio: a run a trial, in one group; see ``Study.to_trackio``."""

import contextlib
import io
import sqlite3
from collections.abc import Iterable
from typing import Any

from jaxopt_course.exports.packages import imported
from jaxopt_course.exports.runs import Run, Whole, config, results

PLACE = "its files are in $TRACKIO_DIR, or else in its cache"


def export(project: str, name: str, whole: Whole, runs: list[Run]) -> list[str]:
    """Write the runs; the name of each, in the order of the trials.

    Raises:
        ValueError: the project has runs of a study of that name.
        OSError: Trackio, which says nothing of a full disk, has not all of them; none stays.
    """
    trackio = imported("trackio", "Trackio")
    names = [f"{name}/{run.name}" for run in runs]
    taken = {*names} & {*_storage().get_runs(project)}
    if taken:
        raise ValueError(
            f"Trackio's project {project!r} holds a study {name!r} already (half of it, where an "
            "export was killed: delete its runs in Trackio); give another name=…"
        )
    made: list[str] = []
    try:
        _write(trackio, project, name, whole, zip(names, runs, strict=True), made)
        for called, run in zip(names, runs, strict=True):
            if _kept(project, called) < len(run.curve) + 1:
                raise OSError(f"Trackio did not keep all of {called}: is its disk full? {PLACE}")
    except BaseException:
        for called in made:  # half a study would be taken for one
            with contextlib.suppress(OSError, sqlite3.Error):  # as on a full disk: said already
                _storage().delete_run(project, called)
        raise
    return names


def _write(
    trackio: Any,
    project: str,
    name: str,
    whole: Whole,
    runs: Iterable[tuple[str, Run]],
    begun: list[str],
) -> None:
    with contextlib.redirect_stdout(io.StringIO()):  # it prints six lines a run
        for called, run in runs:
            begun.append(called)
            made = trackio.init(
                project,
                name=called,
                group=name,
                config=config(name, whole, run),
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
            try:
                for step, values in run.curve:
                    made.log(values, step=step)
                made.log(results(run.measures) | {"trial": run.trial}, step=run.last_step)
            finally:
                trackio.finish()


def _kept(project: str, called: str) -> int:
    """How many lines Trackio has of a run; what its writers fail at, they tell nobody."""
    try:
        return len(_storage().get_logs(project, called))
    except sqlite3.Error:
        return 0


def _storage() -> Any:
    return imported("trackio.sqlite_storage", "Trackio").SQLiteStorage
