"""The text of a file, read once, so that a pipe serves as well."""

import bz2
import gzip
import io
import lzma
import os
import re
import select
import stat
import zlib
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {  # how files begin that are no text
    b"PK": "compressed, or a workbook: unpack it",
    b"\xd0\xcf\x11\xe0": "a workbook: open it in a spreadsheet",
    b"\x28\xb5\x2f\xfd": "compressed: unpack it",
    b"ARROW1": "an Arrow file: read it with pandas and give the frame to table_task",
    b"\x93NUMPY": "an array: read it with NumPy and give a frame of it to table_task",
    b"\x80\x04\x95": "a pickle: give the frame that it holds to table_task",
    b"$FL2": "an SPSS file: read it with pandas and give the frame to table_task",
    b"<stata_dta>": "a Stata file: read it with pandas and give the frame to table_task",
    b"PAR1": "a Parquet file: read it with pandas and give the frame to table_task",
    b"SQLite format 3": "a data base: read the table with pandas and give it to table_task",
    b"\x89HDF": "an HDF5 file: read the table with pandas and give it to table_task",
    b"%PDF": "a PDF: copy the table into a spreadsheet",
}
PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
TIMES = 10  # a table is three to eight times its packed file; beyond, somebody packed zeros
_ARFF = re.compile(rb"(?:[ \t]*(?:%[^\r\n]*)?\r?\n)*[ \t]*@relation\b", re.IGNORECASE)
PATIENCE = 60.0  # seconds until a pipe must have said something
MARKED = {b"\xff\xfe\0\0": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
BEGIN = 1 << 20  # bytes that are looked at before the rest is read
LARGEST_PIPE = 2**31  # bytes; a file's size is known, a pipe may never end


def read_text(file: str | Path, encoding: str | None = None) -> str:
    """What the file says, without a byte order mark; one of gzip, bzip2 or xz is unpacked.

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
    content = _unpacked(file, _read_bytes(file))
    for begin, what in KINDS.items():
        if content.startswith(begin):
            raise ValueError(f"{file} is {what}, or save it as CSV")
    head = content[:256].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b'{"', b"[{")):
        raise ValueError(f"{file} is a page, XML or JSON, not a table: save it as CSV")
    if _ARFF.match(content[:4096].removeprefix(b"\xef\xbb\xbf")):
        raise ValueError(
            f"{file} is an ARFF file: read it with scipy.io.arff.loadarff and give the frame to "
            "table_task, or put a line of its @attribute names above the lines of @data"
        )
    try:
        text = content.decode(encoding or "utf-8-sig").removeprefix("\ufeff")
    except LookupError:
        raise ValueError(
            f"unknown encoding {encoding!r} (utf-8, latin-1, cp1252, utf-16, …)"
        ) from None
    except UnicodeDecodeError as error:
        wide = _wide(content) or _letters(content)
        raise ValueError(
            f"{file} is not a text file in {(encoding or 'UTF-8').upper()}: {error}; say what it "
            f"is in, as encoding={wide!r} (--encoding {wide}), or save it again as CSV in UTF-8"
        ) from None
    except ValueError as error:  # a codec that gives up otherwise, a name that is none
        raise ValueError(f"{file} cannot be read as {encoding!r}: {error}") from None
    if "\0" in text:  # names and words that look alike would not be
        wide = _wide(content)
        way = f"say encoding={wide!r} (--encoding {wide})" if wide else "take them out"
        raise ValueError(f"{file} has zero bytes among its letters: {way}")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _letters(content: bytes) -> str:
    """The encoding that such bytes beyond ASCII are most often of.

    In Western words they stand alone; else they come in rows, and the alphabets lie elsewhere.
    """
    begin = np.frombuffer(content[: 1 << 16], np.uint8)
    high = begin >= 0x80
    beside = high & (np.roll(high, 1) | np.roll(high, -1))
    if 2 * beside.sum() <= high.sum():
        return "cp1252"
    letters = begin[high]
    if (letters < 0xA0).mean() > 0.2:
        return "shift_jis"
    if (letters >= 0xE0).mean() > 0.6:
        return "cp1251"
    return "koi8-r" if ((letters >= 0xC0) & (letters < 0xE0)).mean() > 0.6 else "gb18030"


def _unpacked(file: str | Path, content: bytes) -> bytes:
    """What gzip, bzip2 or xz packed."""
    for begin, opened in PACKED.items():
        if not content.startswith(begin):
            continue
        most = min(LARGEST_PIPE, TIMES * max(len(content), BEGIN // 16))
        try:
            with opened(io.BytesIO(content)) as stream:
                text = stream.read(most + 1)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise ValueError(f"{file} is compressed, and cannot be unpacked: {error}") from None
        if len(text) > most:
            raise ValueError(
                f"{file} is compressed, and more than {TIMES} times its size: unpack it"
            )
        return text
    return content


def _wide(content: bytes) -> str:
    """The encoding of text in letters of two or four bytes; "" where it is of no such kind."""
    for mark, encoding in MARKED.items():
        if content.startswith(mark):
            return encoding
    begin = content[:4096]
    zeros = [begin[place::2].count(0) / max(1, len(begin) // 2) for place in (0, 1)]
    return ("utf-16-be", "utf-16-le")[zeros[1] > 0.5] if max(zeros) > 0.5 > min(zeros) else ""


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
