"""Which command, and what becomes of its errors."""

import sys
from collections.abc import Callable
from typing import Any

import tyro

from jaxopt_course.cli.compare import Compare, compare
from jaxopt_course.cli.course import Course, course
from jaxopt_course.cli.replay import Replay, replay
from jaxopt_course.cli.report import Report, report
from jaxopt_course.cli.resume import Resume, resume
from jaxopt_course.cli.tasks import Tasks, tasks

USAGE_ERRORS = (ValueError, TypeError, OSError)  # raised with a sentence for the user
RUN: dict[type, Callable[[Any], None]] = {
    Compare: compare,
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

        print(f"jaxopt-course {version('jaxopt-course')}")
        return
    command = tyro.cli(
        Compare | Report | Resume | Replay | Course | Tasks,
        args=args,
        prog="jaxopt-course",
        description="Train hundreds of networks at once, and see which optimizer wins.",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    try:
        RUN[type(command)](command)
    except USAGE_ERRORS as error:
        if getattr(command, "verbose", False):
            raise
        said = [again(error), *getattr(error, "__notes__", ())]
        print(f"jaxopt-course: {'; '.join(said)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("jaxopt-course: stopped", file=sys.stderr)
        sys.exit(130)


def again(error: BaseException) -> str:
    """An error as people at a command line can use it: they have no arguments of Python's."""
    what, made = getattr(error, "what", None), getattr(error, "made", None)
    if what is None or made is None:
        return str(error)
    way = f"go on in Python, where {what}= can be given: joc.Study"
    if what == "task":
        way = f"give the table that it was made of, --csv FILE --target COLUMN; or {way}"
    return f"the study was made with {made}, which files cannot hold; {way}"
