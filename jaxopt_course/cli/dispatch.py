"""Which command, and what becomes of its errors."""

import sys
from collections.abc import Callable
from typing import Any

import tyro

from jaxopt_course.cli.compare import Compare, compare
from jaxopt_course.cli.course import Course, course
from jaxopt_course.cli.errors import again, notes
from jaxopt_course.cli.init import Init, init
from jaxopt_course.cli.programs import programs_kept
from jaxopt_course.cli.replay import Replay, replay
from jaxopt_course.cli.report import Report, report
from jaxopt_course.cli.resume import Resume, resume
from jaxopt_course.cli.say import say, say_traceback, warnings_said
from jaxopt_course.cli.sweep import Sweep, sweep
from jaxopt_course.cli.tasks import Tasks, tasks

USAGE_ERRORS = (ValueError, TypeError, OSError, MemoryError)  # raised with a sentence for the user
RUN: dict[type, Callable[[Any], None]] = {
    Compare: compare,
    Sweep: sweep,
    Init: init,
    Report: report,
    Resume: resume,
    Replay: replay,
    Course: course,
    Tasks: tasks,
}


def main(args: list[str] | None = None) -> None:
    """Run one command; exits with 2 on bad input and 130 on Ctrl-C."""
    args = sys.argv[1:] if args is None else args
    if args == ["--version"]:
        from importlib.metadata import version

        say(f"jaxopt-course {version('jaxopt-course')}")
        return
    if args[:1] == ["--completion"]:
        args = ["--tyro-print-completion", *args[1:]]
    command = tyro.cli(
        Compare | Sweep | Init | Report | Resume | Replay | Course | Tasks,
        args=args,
        prog="jaxopt-course",
        description="Train hundreds of networks at once, and see which optimizer wins.",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    try:
        with warnings_said(), programs_kept(command):
            RUN[type(command)](command)
    except USAGE_ERRORS as error:
        if getattr(command, "verbose", False):
            say_traceback()
            sys.exit(1)
        said = [again(error, command), *notes(error)]
        say(f"jaxopt-course: {'; '.join(said)}", error=True)
        sys.exit(2)
    except Exception:  # a fault of ours: all of it, and still nothing that a terminal obeys
        say_traceback()
        sys.exit(1)
    except KeyboardInterrupt:
        say("jaxopt-course: stopped", error=True)
        sys.exit(130)
