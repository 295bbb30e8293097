"""The text of a file, read once, so that a pipe serves as well."""

import os
import select
import stat
from pathlib import Path

KINDS = {  # how files begin that are no text
    b"\x1f\x8b": "compressed: unpack it",
    b"BZ": "compressed: unpack it",
    b"\xfd7zXZ": "compressed: unpack it",
    b"PK": "compressed, or a workbook: unpack it",
    b"\xd0\xcf\x11\xe0": "a workbook: open it in a spreadsheet",
    b"PAR1": "a Parquet file: read it with pandas and give the frame to table_task",
    b"SQLite format 3": "a data base: read the table with pandas and give it to table_task",
    b"\x89HDF": "an HDF5 file: read the table with pandas and give it to table_task",
    b"%PDF": "a PDF: copy the table into a spreadsheet",
}
PATIENCE = 60.0  # seconds until a pipe must have said something
BEGIN = 1 << 20  # bytes that are looked at before the rest is read
LARGEST_PIPE = 2**31  # bytes; a file's size is known, a pipe may never end


def read_text(file: str | Path, encoding: str | None = None) -> str:
    """What the file says, without a byte order mark.

    Args:
        file: a file, or a pipe that somebody writes to.
        encoding: as Python names it; default UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an address, a device, a pipe without a writer or without an end; an unknown
            encoding, or bytes that are not of it.
    """
    if str(file).startswith(("http:/", "https:/", "ftp:/")):
        raise ValueError(f"{file} is an address, not a file: download it, and give the file")
    content = _read_bytes(file)
    for begin, what in KINDS.items():
        if content.startswith(begin):
            raise ValueError(f"{file} is {what}, or save it as CSV")
    head = content[:256].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b'{"', b"[{")):
        raise ValueError(f"{file} is a page, XML or JSON, not a table: save it as CSV")
    try:
        text = content.decode(encoding or "utf-8-sig").removeprefix("\ufeff")
    except LookupError:
        raise ValueError(
            f"unknown encoding {encoding!r} (utf-8, latin-1, cp1252, utf-16, …)"
        ) from None
    except UnicodeDecodeError as error:
        utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        raise ValueError(
            f"{file} is not a text file in {(encoding or 'UTF-8').upper()}: {error}; say what it "
            f"is in, as encoding={'utf-16' if utf16 else 'cp1252'!r} "
            f"(--encoding {'utf-16' if utf16 else 'cp1252'}), or save it again as CSV in UTF-8"
        ) from None
    except ValueError as error:  # a codec that gives up otherwise, a name that is none
        raise ValueError(f"{file} cannot be read as {encoding!r}: {error}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _read_bytes(file: str | Path) -> bytes:
    mode = os.stat(file).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise ValueError(f"{file} is a device, not a file")
    if stat.S_ISSOCK(mode):
        raise ValueError(f"{file} is a socket, not a file")
    if not stat.S_ISFIFO(mode):
        with open(file, "rb") as stream:
            begin = stream.read(BEGIN)
            if begin and not begin.strip(b"\0"):  # a file of holes may be of any size
                raise ValueError(f"{file} holds zeros and no text")
            return begin + stream.read() if len(begin) == BEGIN else begin
    # Opened without waiting: a pipe that nobody writes to would wait for ever.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as stream:
        pieces, length = [], 0
        while True:
            piece = stream.read(1 << 20)
            if piece is None:
                if not select.select([stream], [], [], PATIENCE)[0]:
                    raise ValueError(f"{file} is a pipe, and nothing came for {PATIENCE:.0f} s")
                continue
            if not piece:
                break
            pieces.append(piece)
            length += len(piece)
            if length > LARGEST_PIPE:
                raise ValueError(f"{file} is a pipe that gave more than 2 GiB: save it as a file")
    if not pieces:
        raise ValueError(f"{file} is a pipe that nobody writes to, or is empty")
    return b"".join(pieces)
