"""The text of a file, read once, so that a pipe serves as well."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from typing import Any

import numpy as np

from jaxopt_course.problems.csv.content import BEGIN, LARGEST_PIPE, Origin, read_bytes

KINDS = {  # how files begin that are no text
    b"PK": "compressed, or a workbook: unpack it",
    b"\xd0\xcf\x11\xe0": "a workbook: open it in a spreadsheet",
    b"\x28\xb5\x2f\xfd": "compressed: unpack it",
    b"ARROW1": "an Arrow file: read it with pandas and give the frame to table_task",
    b"\x93NUMPY": "an array: read it with NumPy and give a frame of it to table_task",
    b"\x80\x04\x95": "a pickle: give the frame that it holds to table_task",
    b"\x80\x05\x95": "a pickle: give the frame that it holds to table_task",
    b"ORC": "an ORC file: read it with pandas and give the frame to table_task",
    b"RDX": "a workspace of R: write its table there, write.csv",
    b"X\n\0\0\0": "an object of R: write it there, write.csv",
    b"\0\x05\x16\x07": "what macOS notes about a file: the table is the one without ._ in its name",
    b"$FL2": "an SPSS file: read it with pandas and give the frame to table_task",
    b"r\x02\x01\0": "a Stata file: read it with pandas and give the frame to table_task",
    b"s\x02\x01\0": "a Stata file: read it with pandas and give the frame to table_task",
    b"r\x01\x01\0": "a Stata file: read it with pandas and give the frame to table_task",
    b"<stata_dta>": "a Stata file: read it with pandas and give the frame to table_task",
    b"PAR1": "a Parquet file: read it with pandas and give the frame to table_task",
    b"SQLite format 3": "a data base: read the table with pandas and give it to table_task",
    b"\x89HDF": "an HDF5 file: read the table with pandas and give it to table_task",
    b"%PDF": "a PDF: copy the table into a spreadsheet",
}
PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
TIMES, FEW_WORDS = 10, 100  # a table is so much more than its packed file; beyond, it is zeros
SMALL = 1 << 26  # bytes of what is unpacked, up to which few words may repeat
PAGES = (b"<!doctype", b"<table", b"<html", b"<?xml", b'{"', b"[{")
_ARFF = re.compile(rb"(?:[ \t]*(?:%[^\r\n]*)?\r?\n)*[ \t]*@relation\b", re.IGNORECASE)
MARKED = {  # how files begin that say what they are in
    b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16",
}  # fmt: skip
LOOKED = 4096  # bytes at the begin that tell what a file is


def read_text(file: Origin, encoding: str | None = None) -> str:
    """What the file says, without a byte order mark; one of gzip, bzip2 or xz is unpacked.

    Args:
        file: a file, a pipe that somebody writes to, or standard input.
        encoding: as Python names it; default what a byte order mark says, else UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an address, a device, a pipe without a writer or without an end; an unknown
            encoding, or bytes that are not of it.
    """
    if str(file).startswith(("http:/", "https:/", "ftp:/")):
        raise ValueError(f"{file} is an address, not a file: download it, and give the file")
    content = _unpacked(file, read_bytes(file))
    for begin, what in KINDS.items():
        if content.startswith(begin):
            raise ValueError(f"{file} is {what}, or save it as CSV")
    marked = _marked(content)
    head = content[:LOOKED]
    if encoding is None and marked:  # so that what is looked for is found in letters of any width
        head = head.decode(marked, "ignore").encode("utf-8", "ignore")
    if b"".join(head[:256].split()).lower().startswith(PAGES):
        raise ValueError(f"{file} is a page, XML or JSON, not a table: save it as CSV")
    if _ARFF.match(head):
        raise ValueError(
            f"{file} is an ARFF file: read it with scipy.io.arff.loadarff and give the frame to "
            "table_task, or put a line of its @attribute names above the lines of @data"
        )
    content = _unmarked(file, content, marked, encoding)
    try:
        text = content.decode(encoding or marked or "utf-8").replace("\ufeff", "")
    except LookupError:
        raise ValueError(
            f"unknown encoding {encoding!r} (utf-8, latin-1, cp1252, utf-16, …)"
        ) from None
    except UnicodeDecodeError as error:
        name = (encoding or marked or "utf-8").removesuffix("-sig")
        wide = _wide(content) or _letters(content.removeprefix(codecs.BOM_UTF8))
        said = f"say what it is in, as encoding={wide!r}, or save it again"
        if wide == name:
            said = "a part of it is damaged or missing: save it again"
        raise ValueError(
            f"{file} is not a text file in {name.upper()}: {error}; {said} as CSV in UTF-8"
        ) from None
    except ValueError as error:  # a codec that gives up otherwise, a name that is none
        raise ValueError(f"{file} cannot be read as {encoding!r}: {error}") from None
    if "\0" in text:  # names and words that look alike would not be
        wide = _wide(content)
        way = f"say encoding={wide!r}" if wide else "take them out"
        raise ValueError(f"{file} has zero bytes among its letters: {way}")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _marked(content: bytes) -> str:
    """What a byte order mark says that it is in; "" without one."""
    return next((name for mark, name in MARKED.items() if content.startswith(mark)), "")


def _unmarked(file: Origin, content: bytes, marked: str, encoding: str | None) -> bytes:
    """Without a mark of UTF-8, which other encodings would take for letters of the first name.

    Raises:
        ValueError: what the mark says is right, and another encoding is asked for.
    """
    name = marked.removesuffix("-sig")
    try:
        if encoding is None or not marked or codecs.lookup(encoding).name.startswith(name):
            return content
        content.decode(marked)
    except LookupError:  # is said elsewhere
        return content
    except UnicodeDecodeError:
        return content.removeprefix(codecs.BOM_UTF8)
    raise ValueError(
        f"{file} is in {name.upper()}, as its byte order mark says: take encoding= out"
    )


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


def _unpacked(file: Origin, content: bytes) -> bytes:
    """What gzip, bzip2 or xz packed."""
    for begin, opened in PACKED.items():
        if not content.startswith(begin):
            continue
        few = min(SMALL, FEW_WORDS * max(len(content), BEGIN // 16))
        most = min(LARGEST_PIPE, max(few, TIMES * len(content)))
        try:
            with opened(io.BytesIO(content)) as stream:
                text = stream.read(most + 1)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise ValueError(f"{file} is compressed, and cannot be unpacked: {error}") from None
        if len(text) > most:
            raise ValueError(
                f"{file} is compressed, and more than {most:,} bytes unpacked, as if it were no "
                "table; if it is one, unpack it"
            )
        return text
    return content


def _wide(content: bytes) -> str:
    """The encoding of text in letters of two or four bytes; "" where it is of no such kind."""
    if (marked := _marked(content)) and marked != "utf-8-sig":
        return marked
    begin = content[:LOOKED]
    zeros = [begin[place::2].count(0) / max(1, len(begin) // 2) for place in (0, 1)]
    return ("utf-16-be", "utf-16-le")[zeros[1] > 0.5] if max(zeros) > 0.5 > min(zeros) else ""
