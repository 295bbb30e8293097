"""Inputs with something wrong, and what must hold of every answer to them.

An answer is a result, or an error of ours: raised by this package, of a kind that callers expect,
in words that a terminal can show and that name the thing.  Meanwhile nothing is written or started.
"""

import contextlib
import copy
import linecache
import os
import signal
import sys
import time
import traceback
import tracemalloc
import warnings
from pathlib import Path

import numpy as np

import jaxopt_course
from jaxopt_course.messages import printable

CACHE = os.environ.get("JAX_COMPILATION_CACHE_DIR", "\0")  # the suite's own, see conftest.py
PACKAGE = str(Path(jaxopt_course.__file__).parent)
PATIENCE = 20.0  # seconds of the processors for one input until it counts as a hang
IDLE = 60  # looks in a row, a second apart, at which it has done nothing
LOOK_SECONDS = 1.0
LEAST = 1e-3  # seconds of the processors between two looks, less than which is nothing
FLOOR = 32 << 20  # bytes that any reader may take, for its tables, caches and modules
ODD = [
    None, True, False, 0, -1, 1, 3, 2**63, 10**400, 1e308, float("nan"), float("inf"), -0.5,
    "", "x", "../x", "/etc/x", "\x1b[2J", "a" * 10_000, "é\u202e", "\ud800", "\x00",
    [], {}, [None], [[]], {"": None}, [1, 2], ["sgd"] * 3, {"name": 3}, {"loss": "min"}, 1j,
]  # fmt: skip
_seen: list[str] | None = None  # what happens while an input is answered; None: nobody looks
_CHANGES = {
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"),
    *("os.chmod", "os.chown", "os.system", "os.exec", "os.fork", "os.posix_spawn"),
    *("subprocess.Popen", "socket.connect", "socket.getaddrinfo", "pickle.find_class"),
}


def _watch(event, arguments):
    if _seen is None or (arguments and str(arguments[0]).startswith(CACHE)):
        return
    if event == "open":
        file, _, flags = arguments
        if "__pycache__" in str(file):  # Python's own, of a module that is imported first here
            return
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) and file != "/dev/null":
            _seen.append(f"{file} is opened to be written")
    elif event in _CHANGES and "__pycache__" not in str(arguments[:1]):
        _seen.append(f"{event} {arguments}")


sys.addaudithook(_watch)


@contextlib.contextmanager
def watched(patience=PATIENCE, idle=IDLE, look=LOOK_SECONDS):
    """Nothing is written, removed, started or asked of a network, and it comes to an end.

    The processors' time counts, and looks at which nothing was done since the last: a machine that
    is busy, or a process that is stopped for a while, makes no hang of what is only slow.
    """
    global _seen
    begun = last = time.process_time()
    waited = 0

    def alarm(*_):
        nonlocal last, waited
        now = time.process_time()
        waited = waited + 1 if now - last < LEAST else 0
        last = now
        assert now - begun < patience, f"no answer after {now - begun:.1f} s of the processors"
        assert waited < idle, "it waits for something that does not come"

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, look, look)
    _seen = found = []
    try:
        yield
    finally:
        _seen = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not found, found


def refused(read, *, names=(), kinds=(ValueError, TypeError, OSError), may=()):
    """Let it read: the error, if it is one of ours, or None where there is an answer.

    Args:
        read: called without arguments.
        names: of which the message has one, if there are any.
        kinds: of errors.
        may: what it may do that :func:`watched` would refuse, a list of beginnings.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except kinds as error:
        said = str(error)
        *_, (frame, number) = traceback.walk_tb(error.__traceback__)
        file = frame.f_code.co_filename
        line = linecache.getline(file, number).strip()
        ours = file.startswith(PACKAGE) and line.startswith("raise ")
        assert ours, f"not of ours, but of {file}, {line}: {said}"
        assert said == printable(said, keep="\n"), f"a terminal would obey: {said!r}"
        assert len(said) > 10 and "Errno" not in said, said
        assert not names or any(name in said for name in names), f"names nothing: {said}"
        return error
    return None


@contextlib.contextmanager
def little_memory(size, floor=FLOOR, times=10):
    """No more than ``times`` the size of the input is taken at once; slow, so not for every input.

    NumPy's arrays count, also where their pages are never touched.
    """
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= floor + times * size, f"{peak:,} bytes for an input of {size:,}"


def paths(content, path=(), most=3, depth=10):
    """The places in nested dictionaries and lists."""
    yield path
    if len(path) == depth:
        return
    if isinstance(content, dict):
        for key, value in content.items():
            yield from paths(value, (*path, key))
    if isinstance(content, list | tuple):
        for key, value in enumerate(content[:most]):
            yield from paths(value, (*path, key))


def put(content, path, value):
    """A copy with another value at a place, or without what stood there (``...``)."""
    if not path:
        return value
    copied = copy.copy(content) if not isinstance(content, tuple) else list(content)
    if len(path) == 1 and value is ...:
        del copied[path[0]]
    elif len(path) == 1:
        copied[path[0]] = value
    else:
        copied[path[0]] = put(content[path[0]], path[1:], value)
    return type(content)(copied) if isinstance(content, tuple) else copied


def at(content, path):
    """What stands at a place."""
    for key in path:
        content = content[key]
    return content


def odd_bytes(moments, content):
    """Flipped, cut, doubled, or something else."""
    spoilt = bytearray(content)
    for _ in range(moments.randint(1, 5)):
        if spoilt:
            place = moments.randrange(len(spoilt))
            match moments.randrange(5):
                case 0:
                    spoilt[place] ^= 1 << moments.randrange(8)
                case 1:
                    del spoilt[place:]
                case 2:
                    spoilt[place:place] = moments.choice([b"\n", b",", b'"', b"\x00", b"9" * 50])
                case 3:
                    spoilt[place : place + 8] = np.float64(moments.choice([1e300, 0.1])).tobytes()
                case 4:
                    spoilt[place:place] = spoilt[place : place + 100]
    return bytes(spoilt)
