"""Files whose cells stand below each other, as where a program pads them with blanks.

Blanks split such cells badly: an empty cell is no cell then, and the ones behind it move to its
place; and names of several words are several names.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jaxopt_course.problems.csv.layout import reads_well, usual_mark
from jaxopt_course.problems.csv.pieces import Source
from jaxopt_course.problems.csv.quotes import BLANKS

FEW = 4  # lines at least: in fewer, blanks stand below each other by chance


class _Field(NamedTuple):
    begin: int
    end: int


def cut(text: str, mark: str | None = None) -> str | None:
    r"""The text with tabs between cells that stand below each other; None where blanks may do.

    Args:
        text: the whole file.
        mark: what splits the cells, if it was said.

    Raises:
        ValueError: a line has fewer cells than the others, and no place tells which one it lacks.

    >>> cut("name   sea level\nada        1.5\nbo\ncy d       3.5\nabc       12.5\n").split("\n")
    ['name\tsea level', 'ada\t1.5', 'bo\t', 'cy d\t3.5', 'abc\t12.5']
    """
    if mark not in (None, BLANKS) or '"' in text or "\t" in text:
        return None
    begin = text[: 1 << 16].lstrip("\n").partition("\n")[0]
    if not begin.strip() or len(begin.split()) < 2 or begin.lstrip()[0] in "#%":
        return None
    if mark is None and usual_mark(text):
        return None
    each = (len(line.split()) for line in Source(text))  # no list of a large text's lines
    names = next(width for width in each if width)
    widths = Counter(width for width in each if width)
    if widths.total() < FEW or (len(widths) == 1 and names in (max(widths), max(widths) - 1)):
        return None
    head, *rows = (line.rstrip() for line in text.split("\n") if line.strip())
    made = _split(head, rows)
    usual, many = widths.most_common(1)[0]
    if (
        made is None
        and usual in (names, names + 1)
        and min(widths) < usual
        and 2 * many > len(rows)
    ):
        short = next(i for i, row in enumerate(rows) if len(row.split()) < usual)
        raise ValueError(
            f"row {short + 1} below the names has fewer cells than the others "
            f"({rows[short][:60]!r}), and where blanks split the cells nothing tells which one it "
            "lacks: write NA there, or save the table with commas"
        )
    return made


def _split(head: str, rows: Sequence[str]) -> str | None:
    """All lines, cut where each of them has a blank; None where the pieces are no cells."""
    fields = _fields([head, *rows])
    filled = [any(row[f.begin : f.end].strip() for row in rows) for f in fields]
    named = [bool(head[f.begin : f.end].strip()) for f in fields]
    whole: list[_Field] = []
    begin: int | None = None  # of words of a name that have no cells below them
    for place, field in enumerate(fields):
        near = place > 0 and field.begin - fields[place - 1].end == 1
        if whole and near and begin is None and not (named[place] and filled[place]):
            whole[-1] = whole[-1]._replace(end=field.end)
        elif not filled[place] or (not named[place] and place > 0 and begin is None):
            begin = field.begin if begin is None else begin
        elif not named[place] and place > 0:
            return None  # two columns and one name
        else:
            if begin is not None and not near:
                return None
            whole.append(field if begin is None else field._replace(begin=begin))
            begin = None
    if begin is not None or len(whole) < 2:
        return None
    cells = [[line[f.begin : f.end].strip() for f in whole] for line in (head, *rows)]
    if not all(reads_well(cell) for row in cells[1:101] for cell in row):
        return None  # two numbers in one cell
    return "\n".join("\t".join(row) for row in cells)


def _fields(lines: Sequence[str]) -> list[_Field]:
    """Where some line has a letter, between places where none has."""
    seen = 0
    for line in lines:
        seen |= int("".join("0" if letter == " " else "1" for letter in line)[::-1] or "0", 2)
    there = bin(seen)[:1:-1]
    return [_Field(*found.span()) for found in re.finditer("1+", there)]
