"""Which command, and what becomes of its errors."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stdout, suppress
from typing import Any, NoReturn, TextIO

import tyro

from jaxopt_course.cli.answer import Answer, written
from jaxopt_course.cli.compare import Compare, compare
from jaxopt_course.cli.course import Course, course
from jaxopt_course.cli.errors import again, notes
from jaxopt_course.cli.init import Init, init
from jaxopt_course.cli.programs import programs_kept
from jaxopt_course.cli.replay import Replay, replay
from jaxopt_course.cli.report import Report, report
from jaxopt_course.cli.resume import Resume, resume
from jaxopt_course.cli.say import say, say_to, say_traceback, take_any_letter, warnings_said
from jaxopt_course.cli.site import Site, site
from jaxopt_course.cli.spoken import spoken
from jaxopt_course.cli.sweep import Sweep, sweep
from jaxopt_course.cli.tasks import Tasks, tasks
from jaxopt_course.cli.watch import Watch, watch

USAGE_ERRORS = (ValueError, TypeError, OSError, MemoryError)  # raised with a sentence for the user
RUN: dict[type, Callable[[Any], Answer]] = {
    Compare: compare,
    Sweep: sweep,
    Init: init,
    Report: report,
    Resume: resume,
    Replay: replay,
    Course: course,
    Site: site,
    Tasks: tasks,
    Watch: watch,
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
    command = _asked(args)
    answers: TextIO | None = sys.stdout
    take_any_letter(sys.stdout, sys.stderr)
    try:
        with (
            said_elsewhere(command),
            warnings_said(lambda text: spoken(text, command)),
            programs_kept(command),
        ):
            answer = RUN[type(command)](command)
            document = answer.document() if command.json else {}
        if command.json:
            tell(answers, command, document)
            answers = None  # it is one document, whatever comes
        if answer.then is not None:
            with said_elsewhere(command):
                answer.then()
        if answer.code:
            sys.exit(answer.code)
    except USAGE_ERRORS as error:
        if getattr(command, "verbose", False):
            say_traceback()
            failed(answers, command, again(error, command), 1)
        said = "; ".join([again(error, command), *notes(error, command)])
        say(f"jaxopt-course: {said}", error=True)
        failed(answers, command, said, 2)
    except Exception as error:  # a fault of ours: all of it, and still nothing a terminal obeys
        say_traceback()
        failed(answers, command, f"{type(error).__name__}: {error}", 1)
    except KeyboardInterrupt:
        say("jaxopt-course: stopped", error=True)
        failed(answers, command, "stopped", 130)


def _asked(args: list[str]) -> Any:
    """The command, as its options say."""
    try:
        try:
            return tyro.cli(
                Compare | Sweep | Init | Report | Resume | Replay | Course | Site | Tasks | Watch,
                args=args,
                prog="jaxopt-course",
                description="Train hundreds of networks at once, and see which optimizer wins.",
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
            )
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # of help: when the process ends is too late
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # --help | head: who reads has enough
            say(f"jaxopt-course: {again(error)}", error=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush
        sys.exit(1)


def said_elsewhere(command: Any) -> AbstractContextManager[Any]:
    """With ``--json`` standard output is the document's: all else is said on standard error."""
    return redirect_stdout(sys.stderr) if command.json else nullcontext()


def tell(answers: TextIO | None, command: Any, document: Mapping[str, Any]) -> None:
    """Write the document, at once: whoever reads may wait for it."""
    if answers is not None:
        say_to(answers, written(type(command).__name__.lower(), document))


def failed(answers: TextIO | None, command: Any, said: str, code: int) -> NoReturn:
    """Exit; with ``--json`` the document has the error."""
    if command.json:
        with suppress(OSError):  # as of a full disk, which is what was said
            tell(answers, command, {"error": said, "code": code})
    sys.exit(code)
