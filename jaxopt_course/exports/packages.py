"""Packages of other tools, which are extras; and the places that exports write to."""

from importlib import import_module
from pathlib import Path
from typing import Any

from jaxopt_course.records import files

EXTRA = "exports"


def imported(module: str, says: str) -> Any:
    """The package of a tool.

    Args:
        module: as it is imported.
        says: its name, for the message.

    Raises:
        ImportError: it is not installed; the message says how to.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # it is there, and lacks something of its own
        raise ImportError(f"this needs {says}: pip install 'jaxopt-course[{EXTRA}]'") from error


def a_path(x: Any, what: str) -> Path:
    """What was given as a place, without ``~``.

    Raises:
        TypeError: it is no path.
        ValueError: no file can be called so.
    """
    if not isinstance(x, str | Path):
        raise TypeError(f"{what} must be a path, not {x!r:.60} ({type(x).__name__})")
    if not str(x).strip() or "\0" in str(x):
        raise ValueError(f"{what} must be a path, not {x!r:.60}")
    return Path(x).expanduser()


def named(x: str | None, default: str, what: str) -> str:
    """A name that was given, or the default for None.

    Raises:
        TypeError: it is no text.
        ValueError: it is empty, or has characters that cannot be printed.

    >>> named(None, "line", "name"), named("mine", "line", "name")
    ('line', 'mine')
    """
    if x is None:
        return default
    if not isinstance(x, str):
        raise TypeError(f"{what} must be text, not {x!r:.60} ({type(x).__name__})")
    if not x.strip() or not x.isprintable():
        raise ValueError(f"{what} must be text that can be printed, not {x!r:.60}")
    return x


def write_text(path: Path, said: str) -> None:
    """Write a file whole or not at all; where a link is, to what it leads."""
    files.replace_bytes(path.resolve(), said.encode())


def free_file(file: str | Path, overwrite: bool = False) -> Path:
    """A file that may be written.

    Raises:
        FileExistsError: it is there, and ``overwrite`` is false.
        IsADirectoryError, FileNotFoundError: it is a directory, or its directory is not there.
        TypeError, ValueError: it is no path; a pipe or a device.
    """
    path = a_path(file, "file")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory; name a file in it, as {path}/study.csv")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {path.parent} for {path.name}")
    if (path.exists() or path.is_symlink()) and not overwrite:
        raise FileExistsError(f"{path} is there already; give another name, or overwrite=True")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a pipe or a device, not a file")
    return path
