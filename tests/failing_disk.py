"""A disk that refuses: the n-th thing done to the files of a directory fails, or all from there on.

ENOSPC    full: nothing can be made or flushed, what is there can be renamed and removed
EACCES    closed: nothing can be made, renamed or removed
EIO       broken: nothing of it
"""

import builtins
import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MAKES = {"open", "write", "mkdir"}
MOVES = {"replace", "rename", "unlink", "remove", "rmdir"}
REFUSES = {
    errno.ENOSPC: MAKES | {"fsync"},
    errno.EACCES: MAKES | MOVES,
    errno.EIO: MAKES | MOVES | {"fsync"},
}


class Refusals:
    """Counts what is done below a directory, and refuses.

    Args:
        directory: whose files count.
        code: of the error.
        number: the first that is refused, from 0; None never.
        once: whether those after it are let through.
    """

    def __init__(self, directory: Path, code: int, number: int | None, once: bool) -> None:
        self.directory, self.code, self.number, self.once = directory, code, number, once
        self.done = 0  # of those that the error may meet

    def meet(self, kind: str, path: Any) -> None:
        """Count it, and raise where it is its turn."""
        if kind not in REFUSES[self.code]:
            return
        if not isinstance(path, int) and not Path(path).is_relative_to(self.directory):
            return
        here, self.done = self.done, self.done + 1
        if self.number is not None and (here == self.number if self.once else here >= self.number):
            raise OSError(self.code, os.strerror(self.code), str(path))

    def _watched(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def act(path: Any, *args: Any, **named: Any) -> Any:
            if named.get("dir_fd") is None:
                self.meet(kind, path)
            elif kind in MOVES:  # of rmtree, which names what is in a folder that it holds open
                self.meet(kind, named["dir_fd"])
            return real(path, *args, **named)

        return act

    def _opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def act(path: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
            if not {*mode} & {*"wax+"} or isinstance(path, int):
                return real(path, mode, *args, **named)
            self.meet("open", path)
            stream = real(path, mode, *args, **named)
            try:
                self.meet("write", path)  # it is there, and empty
            except BaseException:
                stream.close()
                raise
            return stream

        return act

    @contextlib.contextmanager
    def at_work(self) -> Iterator["Refusals"]:
        """Watch."""
        real = {kind: getattr(os, kind) for kind in sorted(MOVES | {"mkdir", "fsync"})}
        opens = builtins.open, io.open
        try:
            for kind, function in real.items():
                setattr(os, kind, self._watched(kind, function))
            builtins.open = io.open = self._opened(opens[0])  # type: ignore[assignment]
            yield self
        finally:
            for kind, function in real.items():
                setattr(os, kind, function)
            builtins.open, io.open = opens  # type: ignore[misc]
