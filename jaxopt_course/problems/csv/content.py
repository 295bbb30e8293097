"""The bytes of a file, a pipe or standard input, read once."""

import os
import select
import stat
import sys
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 60.0  # seconds until a pipe must have said something
BEGIN = 1 << 20  # bytes that are looked at before the rest is read
LARGEST_PIPE = 2**31  # bytes; a file's size is known, a pipe may never end


class StandardInput(NamedTuple):
    """What is piped into the command, as its file ``-``; it can be read once only."""

    name: str = "standard input"

    def __str__(self) -> str:
        return self.name


Origin = str | Path | StandardInput


def stem(file: Origin) -> str:
    """What a task of it is called.

    >>> stem("data/wine.csv"), stem(StandardInput())
    ('wine', 'stdin')
    """
    return "stdin" if isinstance(file, StandardInput) else Path(file).stem


def read_bytes(file: Origin) -> bytes:
    """All that there is.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a device, a socket, a terminal, a pipe without a writer or without an end.
    """
    if isinstance(file, StandardInput):
        return _standard_input(file)
    mode = os.stat(file).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise ValueError(f"{file} is a device, not a file")
    if stat.S_ISSOCK(mode):
        raise ValueError(f"{file} is a socket, not a file")
    if not stat.S_ISFIFO(mode):
        with open(file, "rb") as stream:
            return _of_file(file, stream)
    # Opened without waiting: a pipe that nobody writes to would wait for ever.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as stream:
        content = _of_pipe(file, stream)
    if not content:
        raise ValueError(f"{file} is a pipe that nobody writes to, or is empty")
    return content


def _standard_input(file: StandardInput) -> bytes:
    """As it is: what others share, such as a terminal, must go on waiting as it did."""
    try:
        place = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        raise ValueError(
            f"{file} is closed: pipe a table into the command, or name a file"
        ) from None
    mode = os.fstat(place).st_mode
    if os.isatty(place):
        raise ValueError(f"{file} is a terminal: pipe a table into the command, or name a file")
    with os.fdopen(place, "rb", buffering=0, closefd=False) as stream:
        if stat.S_ISREG(mode):
            return _of_file(file, stream)
        if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not _is_nothing(place)):
            raise ValueError(f"{file} is a device, not a file")
        return _of_pipe(file, stream)


def _is_nothing(place: int) -> bool:
    """Whether it is the device that holds nothing."""
    return os.path.samestat(os.fstat(place), os.stat(os.devnull))


def _of_file(file: Origin, stream: Any) -> bytes:
    begin: bytes = stream.read(BEGIN)
    if begin and not begin.strip(b"\0"):  # a file of holes may be of any size
        raise ValueError(f"{file} holds zeros and no text")
    return begin + stream.read() if len(begin) == BEGIN else begin


def _of_pipe(file: Origin, stream: Any) -> bytes:
    """Piece by piece, as it comes."""
    pieces: list[bytes] = []
    length = 0
    waits = os.name != "nt" and os.get_blocking(stream.fileno())  # on Windows nobody can ask
    silent = waits  # one that is not waited for says by its first piece that nobody writes
    while True:
        if silent and not select.select([stream], [], [], PATIENCE)[0]:
            raise ValueError(f"{file} is a pipe, and nothing came for {PATIENCE:.0f} s")
        piece = stream.read(BEGIN)
        silent = waits or piece is None
        if piece is None:
            continue
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        length += len(piece)
        if length > LARGEST_PIPE:
            raise ValueError(f"{file} is a pipe that gave more than 2 GiB: save it as a file")
