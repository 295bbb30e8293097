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


def a_directory(x: Any) -> Path:
    """What was given as a directory, which need not be there.

    Raises:
        TypeError: it is no path.
        ValueError: no directory can be called so, or it is an address.
        NotADirectoryError: it is a file.
        PermissionError: it leads nowhere, or no disk can have it.
    """
    files.a_path(x, "directory")
    path = files.where(x)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; name a directory")
    return path


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
    """Write a file whole or not at all; where a link is, to what it leads.

    Raises:
        PermissionError: no file can be there.
    """
    with files.placing(path):
        files.replace_bytes(path.resolve(), said.encode())


def free_file(file: str | Path, overwrite: bool = False) -> Path:
    """A file that may be written.

    Raises:
        FileExistsError: it is there, and ``overwrite`` is false.
        IsADirectoryError, FileNotFoundError: it is a directory, or its directory is not there.
        TypeError, ValueError: it is no path; a pipe or a device.
        PermissionError: no disk can have it, or it is in a directory that you may not look into.
    """
    path = files.a_path(file, "file")
    with files.placing(path):
        is_directory, has_parent = path.is_dir(), path.parent.is_dir()
    if is_directory:
        raise IsADirectoryError(f"{path} is a directory; name a file in it, as {path}/study.csv")
    if not has_parent:
        raise FileNotFoundError(f"there is no directory {path.parent} for {path.name}")
    if (path.exists() or path.is_symlink()) and not overwrite:
        raise FileExistsError(f"{path} is there already; give another name, or overwrite=True")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a pipe or a device, not a file")
    return path
