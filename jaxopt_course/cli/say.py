"""All that the commands print goes through here: a terminal obeys nothing of it."""

import io
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from jaxopt_course.messages import printable


def say(*lines: object, error: bool = False) -> None:
    """Print lines, with ``error`` on standard error; a line break within one is only shown."""
    for line in lines:
        print(printable(line), file=sys.stderr if error else sys.stdout)


def take_any_letter(*streams: TextIO | None) -> None:
    """Let a terminal that lacks a letter, as one of ASCII lacks ±, show ? instead of an error.

    Where ``compare`` tells, all is trained.
    """
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def say_to(stream: TextIO, line: str) -> None:
    """One line elsewhere, at once: whoever reads may wait for it."""
    print(line, file=stream, flush=True)


def say_traceback() -> None:
    """The exception that is being handled, as Python shows one that nobody handles."""
    say(*traceback.format_exc().splitlines(), error=True)


@contextmanager
def warnings_said(spoken: Callable[[str], str] = str) -> Iterator[None]:
    """Warnings as Python shows them, but for what a terminal would obey in their texts.

    Args:
        spoken: a message in the words of the command.
    """
    python = warnings.formatwarning

    def format_warning(message: Any, *given: Any, **named: Any) -> str:
        return printable(python(spoken(str(message)), *given, **named), keep="\n")

    warnings.formatwarning = format_warning
    try:
        yield
    finally:
        warnings.formatwarning = python
