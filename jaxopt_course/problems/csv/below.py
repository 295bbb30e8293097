"""Notes that stand below the rows of a table: sources, footnotes, how many rows there are."""

import re

from jaxopt_course.problems.csv.layout import Layout
from jaxopt_course.problems.csv.numbers import cell_of, is_empty_word
from jaxopt_course.problems.csv.quotes import BLANKS, split

MOST = 20  # lines
LONG = 1 << 12  # letters of one
_BEGINS = re.compile(
    r"\W*(sources?|notes?|footnotes?|fuentes?|notas?|quellen?|anmerkung(en)?|copyright|updated)\b|©|=",
    re.IGNORECASE,
)


def without_notes(text: str, how: Layout) -> tuple[str, int]:
    r"""The text down to its last row, and how many lines of notes stood below.

    A note has a single cell, which is no number, or few that begin as "Source".  Where it
    has marks behind it, as a spreadsheet writes them, it counts only below a first column of
    numbers; else it may be a row of gaps.

    >>> how = Layout(",", ["a", "b"], 0, False)
    >>> without_notes("a,b\n1,2\n3,4\nSource: Office\n", how)
    ('a,b\n1,2\n3,4', 1)
    """
    width = len(how.names or ())
    if width < 2 or how.mark == BLANKS:
        return text, 0
    end, notes, numbered = len(text.rstrip()), 0, None
    while notes < MOST:
        begin = text.rfind("\n", 0, end) + 1
        line = text[begin:end]
        if begin <= 1 or len(line) > LONG or line.count('"') % 2:
            break
        cells = split(line, how.mark)
        said = len(cells) < width and _BEGINS.match(cells[0])
        if (
            (any(cells[1:]) and not said)
            or cell_of(cells[0]) is not None
            or is_empty_word(cells[0])
        ):
            break
        if len(cells) > 1 and not said:
            numbered = _begins_with_numbers(text, how) if numbered is None else numbered
            if not numbered:
                break
        notes += 1
        end = begin + len(text[:begin].rstrip()) - begin
    return (text[:end], notes) if notes else (text, 0)


def _begins_with_numbers(text: str, how: Layout) -> bool:
    """Whether the first column has numbers, as far as the first rows say."""
    lines = [line for line in text[: 1 << 16].split("\n")[how.skip : how.skip + 50] if line.strip()]
    first = [split(line, how.mark)[0] for line in lines[1:-1]]
    known = [cell for cell in first if cell and not is_empty_word(cell)]
    return sum(cell_of(cell) is not None for cell in known) > len(known) / 2
