"""One process at a time in a directory."""

import contextlib
import errno
import os
import re
import socket
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

from jaxopt_course.records.files import require_regular
from jaxopt_course.records.format import LOCK

try:
    import fcntl
except ImportError:  # Windows: no lock, all else works
    fcntl = None  # type: ignore[assignment]

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
WHO = re.compile(r"process (?P<pid>[1-9]\d*) on (?P<host>.{0,300})")
HOLDER = re.compile(r"(process \d+ on .{0,300}\n)?\Z")


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock.  It falls with the process, so that a dead one holds nothing.

    Raises:
        BlockingIOError: another process works there; it is named.
        FileExistsError: ``.lock`` is something else than a study's lock.
    """
    file = directory / LOCK
    with _opened(file) as handle:
        holder = os.read(handle, 400).decode(errors="replace")
        if not HOLDER.match(holder):
            raise FileExistsError(f"{file} is not the lock of a study; move it away")
        _lock(handle, directory, holder)
        there = os.stat(file, follow_symlinks=False)
        if not os.path.samestat(there, os.fstat(handle)):
            raise BlockingIOError(f"{directory} has just changed hands; try again")
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)  # Windows has no pread and no pwrite
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        try:
            yield
        finally:
            os.ftruncate(handle, 0)  # the file stays: another process may just have opened it


def held_by(directory: Path) -> str:
    """Who says in the lock that it works here; "" where nobody does.  The lock is not touched.

    A process of this machine that is gone holds nothing; of another machine that is not known.
    """
    try:
        require_regular(directory / LOCK)
        said = (directory / LOCK).read_bytes()[:400].decode(errors="replace").strip()
    except (OSError, ValueError):
        return ""
    match = WHO.fullmatch(said)
    if match is None or (match["host"] == socket.gethostname() and not _lives(int(match["pid"]))):
        return ""
    return said


def _lives(pid: int) -> bool:
    if os.name == "nt":  # there a signal 0 is Ctrl-C, and is sent
        return True
    try:
        os.kill(pid, 0)  # asks, and sends nothing
    except (ProcessLookupError, OverflowError):  # none has so large a number
        return False
    except OSError:
        return True  # somebody else's
    return True


def still_held(directory: Path, before: os.stat_result) -> bool:
    """Whether a directory is the one that was locked: not renamed, deleted or replaced since."""
    try:
        return os.path.samestat(before, os.stat(directory / LOCK, follow_symlinks=False))
    except OSError:
        return False


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[int]:
    """The lock's handle; never through a link."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(file, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise FileExistsError(f"{file} is not the lock of a study; move it away") from None
        raise PermissionError(f"cannot write into {file.parent}: {error.strerror}") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise FileExistsError(f"{file} is not the lock of a study; move it away")
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int, directory: Path, holder: str) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(
            f"{directory} is in use by another process ({holder.strip() or 'unknown'}); wait for "
            "it, or choose another directory"
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warnings.warn(
            f"{directory} cannot be locked ({error}); keep other processes away from it",
            stacklevel=5,
        )
