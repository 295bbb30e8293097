"""Errors in the words of a command line: its options, what to paste, the file and a way out."""

import errno
import os
import shlex
from pathlib import Path
from typing import Any

from jaxopt_course.cli.own_file import FileFails
from jaxopt_course.cli.own_table import table_words
from jaxopt_course.cli.spoken import spoken
from jaxopt_course.report.commands import fed

WAYS = {
    errno.ENOENT: "; look at the name, and at the directory that the command runs in",
    errno.EACCES: "; you may not read or write there: choose another place",
    errno.EPERM: "; you may not write there: choose another place",
    errno.EROFS: "; choose another place",
    errno.ENOSPC: "; make room, or choose another place",
    errno.EDQUOT: "; make room, or choose another place",
    errno.EISDIR: "; a file is wanted, not a directory",
    errno.ENOTDIR: "; a part of the path is a file, not a directory",
    errno.ENAMETOOLONG: "; choose a shorter name",
    errno.ELOOP: "; the link leads back to itself: give the file itself",
}


def again(error: BaseException, asked: Any = None) -> str:
    """An error as people at a command line can use it: they have no arguments of Python's.

    Args:
        error: what was raised.
        asked: the command, whose directory knows of which table its study was made.
    """
    if isinstance(error, OSError) and not isinstance(error, FileExistsError):
        return of_system(error)
    if isinstance(error, MemoryError):
        why = f" ({error})" if str(error) else ""
        return f"there is not so much memory{why}: ask for fewer trials, seeds or lanes"
    what, made = getattr(error, "what", None), getattr(error, "made", None)
    if what is None or made is None:
        return str(error) if isinstance(error, FileFails) else spoken(str(error), asked)
    way = f"go on in Python, where {what}= can be given: joc.Study"
    if what in ("task", "optimizer"):
        name, directory = type(asked).__name__.lower(), getattr(asked, "directory", None)
        words = table_words(made_by(directory)) if directory is not None else []
        options = "--csv FILE --target COLUMN or --file FILE.py"
        if what == "optimizer":
            options = "--file FILE.py"
        way = f"give what it was made of, {options}; or {way}"
        if words and (what == "task" or "--file" in words):
            trial = [str(asked.trial)] if hasattr(asked, "trial") else []
            paste = fed(["jaxopt-course", name, str(directory), *trial, *words])
            way = f"give what it was made of: {paste}"
    return f"the study was made with {made}, which files cannot hold; {way}"


def notes(error: BaseException, asked: Any = None) -> list[str]:
    """What else an error says; where a study could not be written, how to write it later."""
    directory = getattr(error, "directory", None)
    if directory is None:
        said = getattr(error, "__notes__", ())
        ours = [note for note in said if not note.startswith("-----")]  # JAX's, on tracebacks
        return [spoken(note, asked) for note in ours]
    later = shlex.join(["jaxopt-course", "resume", str(directory)])
    return [f"what is trained is not lost: once that is mended, {later} goes on from there"]


def of_system(error: OSError) -> str:
    """What the system refuses, with the file and a way out; a sentence of ours stays as it is."""
    if error.errno is None or error.strerror is None:
        return str(error)
    file = error.filename2 or error.filename
    if isinstance(file, int):
        file = None
    why = os.strerror(error.errno)  # the same in every library
    why = f"{why[:1].lower()}{why[1:]}{WAYS.get(error.errno, '')}"
    return f"{os.fsdecode(file)}: {why}" if file else why


def made_by(directory: Path) -> str:
    """The command that made the study there, or the sweep that was cut short; "" if unknown."""
    from jaxopt_course.records import checkpoints, store

    try:
        if checkpoints.is_unfinished(directory):
            return str(checkpoints.asked(directory).settings["command"])
        return str(store.read(directory).manifest["command"])
    except (OSError, ValueError):
        return ""
