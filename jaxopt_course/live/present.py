"""What a study's directory shows at this moment.  It is read, and never locked nor written."""

import hashlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.records import checkpoints, files, lock, store
from jaxopt_course.records.format import CHECKPOINT, CONFIRMATION, CURVES, EVENTS, MANIFEST, TRIALS
from jaxopt_course.records.ownership import LIST
from jaxopt_course.report import findings, standings, standings_page, tables
from jaxopt_course.report.page import page
from jaxopt_course.studies.so_far import so_far

WATCHED = (MANIFEST, TRIALS, CURVES, EVENTS, f"{CONFIRMATION}/{MANIFEST}")
OF_BUCKET = (*checkpoints.GENERATIONS, checkpoints.RESULTS)
SHARE = 0.05  # of a core's time, at most, goes into reading
OVER = ("finished", "diverged", "stopped", "converged")


class Present(NamedTuple):
    """Where a study is."""

    state: str = "waiting"  # then "running"; "finished"; or "stopped", where nobody goes on with it
    over: int = 0  # trials
    total: int = 0
    version: str = ""  # of the readings; "" while there is none
    trouble: str = ""  # why they cannot be read, if that is so


class Reading(NamedTuple):
    """What was found: all trials, and how their page is made, which takes longer."""

    trials: pd.DataFrame
    page: Callable[[], str]


class Watcher:
    """Looks at a directory, seldom enough that it costs a twentieth of the time at most.

    Args:
        directory: of a study, or where one will be.
        language: of the report, "en" or "es".
        seconds: between two looks, at least.
    """

    def __init__(self, directory: Path, language: str = "en", seconds: float = 1.0) -> None:
        self.directory, self.language, self._seconds = directory, language, seconds
        self.readers = 0  # pages that are open
        self._lock = Lock()
        self._mark, self._next = "", 0.0
        self._present = Present()
        self._reading: Reading | None = None
        self._text = self._text_of = ""

    def look(self) -> Present:
        """Where the study is now."""
        with self._lock:
            begun = time.monotonic()
            if begun >= self._next:
                before = time.thread_time()  # not the clock: others may keep this thread waiting
                self._look()
                took = time.thread_time() - before
                self._next = begun + max(self._seconds, took / SHARE)
            return self._present

    def page(self) -> str:
        """The report's page as things are; "" while there is no reading."""
        self.look()
        with self._lock:
            if self._reading is not None and self._text_of != self._present.version:
                self._text, self._text_of = self._reading.page(), self._present.version
            return self._text

    def _look(self) -> None:
        state, mark = state_of(self.directory), mark_of(self.directory)
        if mark != self._mark:
            try:
                reading = read(self.directory, self.language)
            except (OSError, ValueError) as error:  # perhaps just being written: look again
                self._present = self._present._replace(state=state, trouble=printable(error))
                return
            self._mark = mark
            if reading is not None:
                over = reading.trials["status"].isin(OVER)
                self._reading = reading
                self._present = Present(state, int(over.sum()), len(over), mark)
        self._present = self._present._replace(state=state, trouble="")


def read(directory: Path, language: str = "en") -> Reading | None:
    """What a study, or its sweep so far, has found; None while there is nothing.

    Raises:
        OSError, ValueError: the files do not fit together, as where one is just being replaced.
    """
    confirmation = None
    if checkpoints.is_unfinished(directory):
        record = (None if lock.held_by(directory) else _written(directory)) or so_far(directory)
        if record is None:
            return None
    else:
        if not files.is_file(directory / MANIFEST):
            return None
        record = store.read(directory)
        confirmation = store.read_confirmation(directory, record.manifest)
    if tables.several_tasks(record.manifest):
        ranked = standings.found(record, confirmation, language)
        return Reading(record.trials, partial(standings_page.page, ranked))
    one = findings.found(directory, record, confirmation, language)
    return Reading(one.trials, partial(page, one))


def _written(directory: Path) -> store.Record | None:
    """The whole study, where its process was killed right before it would have said that it is."""
    try:
        record = store.read(directory)
    except (FileNotFoundError, ValueError):
        return None
    asked = checkpoints.asked(directory).settings  # who replaces a study asks for another
    same = store.identity(record.manifest) == store.identity(asked)
    return record if same and "unfinished" not in {*record.trials["status"]} else None


def state_of(directory: Path) -> str:
    """Whether somebody works there; and if nobody does, whether there is something left to do."""
    if lock.held_by(directory):
        return "running"
    if checkpoints.is_unfinished(directory):
        return "stopped"
    return "finished" if files.is_file(directory / MANIFEST) else "waiting"


def mark_of(directory: Path) -> str:
    """What changes whenever the readings of a directory do; found without opening a file."""
    names = [*WATCHED, f"{CHECKPOINT}/{checkpoints.QUESTION}"]
    folder = directory / CHECKPOINT
    if folder.is_dir():
        buckets = sorted(one.name for one in folder.iterdir() if one.name.isdecimal())
        names += [f"{CHECKPOINT}/{bucket}/{name}" for bucket in buckets for name in OF_BUCKET]
    seen = []
    for name in names:
        try:
            stat = (directory / name).lstat()
        except OSError:
            continue
        seen.append((name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def is_study(directory: Path) -> bool:
    """Whether there is a study, a sweep, or a directory that was claimed for one."""
    names = (MANIFEST, LIST, f"{CHECKPOINT}/{checkpoints.QUESTION}")
    return any(files.is_file(directory / name) for name in names)
