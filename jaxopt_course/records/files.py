"""Files that are whole or not there; and files of strangers, read with care.

What is written goes beside its place, is flushed to the disk and renamed.  What is read must be a
regular file inside the study's directory: no link, no pipe, no device; and whatever is wrong with
it is said in one sentence that names it.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

PARTIAL = ".partial"  # how a file ends while it is written
MAX_JSON = 1 << 26  # bytes; no manifest of ours comes near
NO_PLACE = {errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL}
NO_PLACE |= {errno.EACCES, errno.EPERM, errno.EROFS}  # others may pass, as a full disk
ELSEWHERE = "choose another place, or a shorter name"
TURNS = 100  # at which a reader meets a writer, which is rare once
Fill = Callable[[Path], Any]  # writes what belongs into a file
Read = TypeVar("Read")


def replace(target: Path, fill: Fill) -> None:
    """Write beside ``target``, flush to the disk and rename: whoever reads it meets a whole file.

    A link in the place of ``target`` is replaced, not followed.

    Raises:
        OSError: the disk is full, or the like; what was there stays.
    """
    partial = partial_of(target)
    with naming(target):
        try:
            save(partial, fill)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    sync(target.parent)


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Say of which file it is that the system refuses: a write that meets a full disk does not."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(file)
        raise


@contextmanager
def placing(file: Path) -> Iterator[None]:
    """Say in a sentence that no file can be where the user wants one; a full disk is none of it.

    Raises:
        PermissionError: the name is too long, the directory takes no files, or the like.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise PermissionError(f"{file} cannot be written: {_why(error)}; {ELSEWHERE}") from None


def replace_bytes(target: Path, content: bytes) -> None:
    """As :func:`replace`, with this content."""
    replace(target, lambda file: file.write_bytes(content))


def save(file: Path, fill: Fill) -> None:
    """Write a new file, and flush it to the disk."""
    file.unlink(missing_ok=True)  # so that nothing is written through a link
    fill(file)
    with file.open("r+b") as stream:  # Windows flushes what can be written only
        os.fsync(stream.fileno())


def partial_of(target: Path) -> Path:
    """Where a file is while it is written."""
    return target.with_name(f".{target.name}{PARTIAL}")


def save_beside(target: Path, content: bytes) -> None:
    """As :func:`save`, with this content, where ``target`` is while it is written."""
    with naming(target):
        save(partial_of(target), lambda new: new.write_bytes(content))


def sync(directory: Path) -> None:
    """Put renames and removals on the disk, where a directory can be synced."""
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, and put their names on the disk."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync(one.parent)


def make_named(path: Path, what: str) -> None:
    """As :func:`make_folder`, of a folder that the user named.

    Args:
        path: as :func:`where` has it.
        what: it is for, as "a study".

    Raises:
        NotADirectoryError: it, or a part of it, is a file.
        PermissionError: it cannot be made.
    """
    try:
        make_folder(path)
    except (FileExistsError, NotADirectoryError):
        parts = [part for part in (path, *path.parents) if part.is_file()]
        raise NotADirectoryError(
            f"{parts[0] if parts else path} is a file, not a directory for {what}"
        ) from None
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise PermissionError(
            f"cannot make the directory {path}: {_why(error)}; {ELSEWHERE}"
        ) from None


def dump(content: Any) -> bytes:
    """JSON as people can read it."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def digest(content: Any) -> str:
    """SHA-256, in hex, of what is JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256(file: Path) -> str:
    """SHA-256, in hex, of a file."""
    require_regular(file)
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def a_path(x: Any, what: str) -> Path:
    """What was given as a place, without ``~``.

    Raises:
        TypeError: it is no path.
        ValueError: no file can be called so.
        PermissionError: it leads nowhere, or no disk can have it.
    """
    if not isinstance(x, str | Path):
        raise TypeError(f"{what} must be a path, not {x!r:.60} ({type(x).__name__})")
    if not str(x).strip() or "\0" in str(x):
        raise ValueError(f"{what} must be a path, not {x!r:.60}")
    where(str(x).replace("://", ":/"))  # some take an address
    return Path(x).expanduser()


def require_folder(directory: Path, name: str) -> Path:
    """A folder of the study's, not a link to one elsewhere.

    Raises:
        ValueError: it is a link, or a file.
    """
    folder = directory / name
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise ValueError(
                f"{folder} is no folder of a study's: a link or a file is in its place"
            )
    return folder


def require_regular(file: Path) -> None:
    """Let nothing pass but a regular file.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a link, a directory, a pipe, a device.
    """
    try:
        mode = file.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{file} is missing") from None
    except (OSError, ValueError) as error:  # a name that no disk can have
        raise FileNotFoundError(f"{file} cannot be looked at: {_why(error)}") from None
    if not stat.S_ISREG(mode):
        kind = next((name for name, of in KINDS.items() if of(mode)), "no regular file")
        raise ValueError(f"{file} is {kind}; files of a study are regular files")


def where(directory: str | Path) -> Path:
    """The directory's own path; what leads to it may be a link.

    Raises:
        TypeError, ValueError: no name of a directory.
        PermissionError: it leads nowhere, or no disk can have it.
    """
    if not isinstance(directory, str | os.PathLike):
        raise TypeError(f"a directory is named by a string or a path, not {directory!r}")
    if not os.fspath(directory) or "\0" in str(directory):
        raise ValueError(f"{directory!r} names no directory ('.' is the one of this process)")
    if "://" in str(directory):  # a path would be a folder called "s3:"
        raise ValueError(
            f"{directory} is an address, and a study is written to a disk: give a directory, and "
            "copy it, or mount what the address names"
        )
    try:
        path = Path(directory).expanduser().resolve()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.lstat()
        return path
    except (OSError, RuntimeError) as error:
        raise PermissionError(f"{directory} leads nowhere: {_why(error)}") from None


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


KINDS: dict[str, Callable[[int], bool]] = {
    "a symbolic link": stat.S_ISLNK,
    "a directory": stat.S_ISDIR,
    "a pipe": stat.S_ISFIFO,
    "a device": stat.S_ISCHR,
    "a socket": stat.S_ISSOCK,
}


def is_file(file: Path) -> bool:
    """Whether something is there; a link counts, wherever it points, and is refused when read.

    Raises:
        PermissionError: this user may not look into the directory.
    """
    try:
        os.lstat(file)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return False
    return True


def read_json(file: Path) -> Any:
    """What a file of JSON holds.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it is no regular file, or not readable JSON.
    """
    require_regular(file)
    if file.stat().st_size > MAX_JSON:
        raise ValueError(f"{file} is damaged: {file.stat().st_size:,} bytes")
    try:
        return json.loads(file.read_bytes())
    except RecursionError:
        raise ValueError(f"{file} is not readable JSON: nested too deeply") from None
    except ValueError as error:  # also of Unicode
        raise ValueError(f"{file} is not readable JSON: {_shown(error)}") from None


def read_part(file: Path, load: Callable[[Path], Any]) -> Any:
    """Load a file; whatever is wrong with it, say which file it is."""
    require_regular(file)
    try:
        return load(file)
    except Exception as error:  # a damaged file fails in as many ways as there are parsers
        raise ValueError(f"{file} is damaged: {_shown(error)}") from error


def read_still(files: Iterable[Path], read: Callable[[], Read]) -> Read:
    """What ``read`` makes of files that belong together: it reads once more where one was replaced.

    A reader has no lock, so a writer may go on between two of the files.

    Raises:
        Exception: what ``read`` raises of files that stayed as they were.
        ValueError: they are replaced each time.
    """
    files = list(files)
    for _ in range(TURNS):
        before = [_mark(file) for file in files]
        try:
            found = read()
        except Exception:
            if before == [_mark(file) for file in files]:
                raise
        else:
            if before == [_mark(file) for file in files]:
                return found
    raise ValueError(f"{files[0].parent} is written again and again; read it later")


def _mark(file: Path) -> tuple[int, ...] | None:
    """What changes where a file is replaced; None where there is none."""
    try:
        now = file.lstat()
    except OSError:
        return None
    return now.st_ino, now.st_size, now.st_mtime_ns


def _shown(error: Exception) -> str:
    """What a parser says, which may quote the file: nothing in it that a terminal obeys."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(error))
