"""Compiling what a sweep needs; where Ctrl-C or the time limit ends that, a study is left."""

import time
from pathlib import Path
from typing import Any

from jaxopt_course.records import checkpoints
from jaxopt_course.studies.compiled import Trained
from jaxopt_course.studies.joining import join_curves, join_trials, own_rows
from jaxopt_course.studies.made_with import host_event
from jaxopt_course.studies.results import assemble
from jaxopt_course.studies.session import Outcome, Session
from jaxopt_course.sweeps.interrupts import terminable
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.sweeps.snapshot import no_results


def compiled(session: Session, progress: bool, scheduler: Scheduler | None) -> Outcome | None:
    """Compile all buckets; None, or what a sweep leaves that was ended before it had them.

    Raises:
        TypeError, ValueError: see ``Session.compile``.
    """
    start = time.perf_counter()
    try:
        with terminable():
            session.compile(progress=progress)
    except KeyboardInterrupt:
        return _untrained(session, scheduler, time.perf_counter() - start)
    return None


def compiled_again(
    session: Session, path: Path, progress: bool, scheduler: Scheduler | None
) -> Outcome | None:
    """The same for a sweep that goes on; buckets that are over need no program.

    Where programs were not known yet when it was cut short, the question is asked again with them.
    """
    question = checkpoints.asked(path)
    unknown = not all(entry["program_sha256"] for entry in session.expected)
    numbers = [
        number
        for number in range(len(session.table.buckets))
        if unknown or checkpoints.kept(checkpoints.folder_of(path, number)) is None
    ]
    start = time.perf_counter()
    try:
        with terminable():
            session.compile(numbers, progress)
    except KeyboardInterrupt:
        return _untrained(session, scheduler, time.perf_counter() - start)
    if unknown:
        command = {"command": question.settings["command"]}
        settings = session.manifest(session.table.trials, "sweep", scheduler) | command
        checkpoints.ask(path, checkpoints.Question(settings, session.table.trials))
    return None


def _untrained(session: Session, scheduler: Scheduler | None, seconds: float) -> Outcome:
    """The table of a study of which nothing was trained."""
    table, parts = session.table, []
    for number, bucket in enumerate(table.buckets):
        budget, names = bucket.budget, bucket.columns.trials.columns
        trials = own_rows(table.trials, session.static(number))[names]
        rhythm = Rhythm(budget.steps, budget.record_every, budget.evaluate_every)
        recorded = [f"train_{name}" for name in session.seen.watch]
        results = no_results(len(trials), rhythm, list(bucket.task.metrics), recorded)
        parts.append(Trained(*assemble(trials, results, rhythm, bucket.task.metrics), {}))
    trials = join_trials(table.trials, parts)
    curves = join_curves(table.trials, parts, [b.budget.describe() for b in table.buckets])
    event: dict[str, Any] = host_event(session.devices, seconds)
    event |= {"compiling": True}
    if session.seen.is_late:
        event |= {"time_limit": session.seen.time_limit}
    manifest = session.manifest(trials, "sweep", scheduler)
    return Outcome(trials, curves, manifest, event, True, {})
