"""What follows a sweep: how it ran, its winners on fresh seeds, its report."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxopt_course.cli.answer import Answer
from jaxopt_course.cli.own_table import table_words
from jaxopt_course.cli.say import say
from jaxopt_course.report.commands import fed

if TYPE_CHECKING:
    from jaxopt_course.report.findings import Findings
    from jaxopt_course.studies.study import Study, SweepInterrupted

START = time.perf_counter()
CLOCK_SHARE = 0.02  # of the training's time, at most, to time the optimizers' steps


def seconds() -> float:
    """Seconds since the command was read."""
    return time.perf_counter() - START


def explain(study: "Study", verbose: bool) -> None:
    """How the program was made and used."""
    if not verbose:
        return
    event = [event for event in study.events if "lowerings" in event][-1]
    manifest = study.manifest
    count = len(manifest["buckets"])
    programs = "one program" if count == 1 else f"{count} programs"
    say(
        f"{manifest['kind']}: {manifest['trials']} trials in {programs}, lowered "
        f"{event['lowerings']} time(s), compiled for {len(event['devices'])} device(s) in "
        f"{event['compile_seconds']:.1f} s; {manifest['lanes']} lanes a device, "
        f"{event['occupancy']:.0%} occupied; {event['trial_steps']:,} trial-steps in "
        f"{event['seconds']:.1f} s ({event['trial_steps_per_second']:,.0f}/s), "
        f"{event['calls']} calls{repeated(manifest, event)}",
        error=True,
    )


def repeated(manifest: dict[str, Any], event: dict[str, Any]) -> str:
    """Whether a call that was made twice gave the same bits; empty where none was."""
    if "mesh" in manifest:
        return "; on a mesh, which promises rounding, not bits"
    if manifest.get("calls_compared"):
        unlike = "mixed" in manifest and not manifest.get("calls_differ_in")
        said = "the same bits" if manifest["repeatable"] or unlike else "other bits"
        return f"; {manifest['calls_compared']} made twice: {said}"
    if reason := event.get("calls_not_compared"):
        return f"; none made twice: {reason}"
    return ""


def confirm(
    study: "Study", seeds: int, verbose: bool, task: Any = None, optimizer: Any = None
) -> None:
    """Train the winners on fresh seeds, if there are any and it was not done yet."""
    import numpy as np

    from jaxopt_course.records import store

    assert study.directory is not None
    done = store.read_confirmation(study.directory, study.manifest) is not None
    if seeds and not done and np.isfinite(study.winners()[study.manifest["metric"]]).any():
        explain(study.confirm(seeds, task=task, optimizer=optimizer), verbose)


def clock(study: "Study") -> None:
    """Time the optimizers' steps, where there are several, on one task, and it costs little."""
    streams = any("stream" in event for event in study.events)
    if len(study.winners()) > 1 and not streams and "task" not in study.hyperparameters:
        study.seconds_per_step(at_most=CLOCK_SHARE)


def show(directory: Path, code: int = 0, language: str = "en", **more: Any) -> Answer:
    """Print the report, write the page, and say where it is.

    Args:
        directory: of the study.
        code: to exit with.
        language: of both, "en" or "es".
        **more: what the command adds to its document.
    """
    from jaxopt_course.report import print_report, standings, write_report
    from jaxopt_course.report.findings import read

    if standings.has_tasks(directory):
        return _of_several(directory, code, language, more)
    findings = read(directory, language)
    print_report(findings)
    page = write_report(findings)
    say("", page)
    return Answer(lambda: document(findings, page, more), code)


def _of_several(directory: Path, code: int, language: str, more: dict[str, Any]) -> Answer:
    """The same of a study of several tasks."""
    from jaxopt_course.report import standings
    from jaxopt_course.report.standings_page import write_standings

    found = standings.read(directory, language)
    standings.print_standings(found)
    page = write_standings(directory, language)
    say("", page)
    return Answer(lambda: standings.document(found, directory, page) | more, code)


def document(findings: "Findings", page: Path, more: dict[str, Any]) -> dict[str, Any]:
    """What ``--json`` tells of a study."""
    from jaxopt_course.cli.document import study_document

    return study_document(findings, page, **more)


def stopped(stop: "SweepInterrupted", directory: Path, language: str = "en") -> Answer:
    """Say what was saved; the code is 130, as of programs that a signal ended."""
    answer = show(directory, 130, language, interrupted=True, seconds=seconds())
    words = table_words(stop.study.manifest["command"])
    on = fed(["jaxopt-course", "resume", str(directory), *words])
    say(f"jaxopt-course: {stop.summary}; saved in {directory}; to go on: {on}", error=True)
    return answer
