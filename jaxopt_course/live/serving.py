"""Serving a directory: in this process, or beside a sweep in one that cannot touch it."""

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
GRACE = 3.0  # seconds that a page has to see the end


def require() -> None:
    """Refuse at once where the packages are not there.

    Raises:
        ImportError: Starlette or uvicorn is not installed; the message says how to.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            f"watching needs {error.name}: pip install 'jaxopt-course[live]'"
        ) from error


def bound(port: int = 0) -> socket.socket:
    """A socket of this machine alone, before an address is said; who is quick, waits there.

    Args:
        port: 0 for any that is free.

    Raises:
        ValueError: no port, one that is in use, or one that is not allowed.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port= must be between 1 and 65535, or 0 for a free one, not {port}")
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # a port that was just in use is free
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
        made.listen()
    except OSError as error:
        made.close()
        why = "you may not use"
        if error.errno == errno.EADDRINUSE:
            why = "another program uses"
        raise ValueError(
            f"{why} port {port}; give another port=, or leave it out for one that is free"
        ) from None
    return made


def address(made: socket.socket, token: str) -> str:
    """What to open."""
    return f"http://{HOST}:{made.getsockname()[1]}/?token={token}"


def serve(
    directory: Path,
    made: socket.socket,
    token: str,
    language: str = "en",
    over: threading.Event | None = None,
) -> None:
    """Serve until Ctrl-C, or until a while after ``over`` is set."""
    import uvicorn

    from jaxopt_course.live.present import Watcher
    from jaxopt_course.live.server import app

    ends = threading.Event()
    watcher = Watcher(directory, language)
    served = app(watcher, token, ends.is_set)
    server = uvicorn.Server(
        uvicorn.Config(
            served, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
    )

    def end(over: threading.Event) -> None:
        over.wait()
        if watcher.readers:
            time.sleep(GRACE)
            ends.set()
            time.sleep(1.0)  # pages are told
        server.should_exit = True

    if over is not None:
        threading.Thread(target=end, args=[over], daemon=True).start()
    with made, contextlib.suppress(KeyboardInterrupt):  # how it is meant to end
        server.run(sockets=[made])


@contextlib.contextmanager
def beside(directory: Path, wanted: bool = True, language: str = "en") -> Iterator[Any]:
    """Serve a directory in a process of its own, as long as the context lasts, or this process.

    It has another group of signals, so that Ctrl-C is not for it, less priority, and no way to this
    process; when this one is gone, however it went, the pipe between them ends, and so does it.

    Yields:
        the process; None where none is wanted.
    """
    if not wanted:
        yield None
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxopt_course.live", str(directory), language],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        with contextlib.suppress(OSError):  # it may be gone
            process.stdin.close()
        try:
            process.wait(timeout=4 * GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_of(stream: Callable[[], bytes]) -> threading.Event:
    """Is set when a stream ends: whoever wrote to it is gone."""
    over = threading.Event()

    def wait() -> None:
        with contextlib.suppress(OSError, ValueError):
            while stream():
                pass
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    return over
