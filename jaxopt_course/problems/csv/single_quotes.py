"""Files whose cells stand in single quotes, as Weka and MySQL write them."""

import re

SAMPLE = 50  # lines that are looked at
_CELL = re.compile(r"(^|[,;\t|])[ ]*'((?:[^'\n]|''|\\')*)'[ ]*(?=[,;\t|]|$)", re.MULTILINE)
_UNQUOTED = re.compile(r"[,;\t|]")


def doubled(text: str) -> str:
    r"""The text with double quotes in place of single ones, where whole columns stand in these.

    An apostrophe inside a word is none: a column counts where each of its cells, but for empty
    ones, begins and ends with a quote.  A file that has double quotes says that single ones are
    letters.

    >>> doubled("'a, b',c\n'x','it''s'\n")
    '"a, b",c\n"x","it\'s"\n'
    >>> doubled("a,b\n'tis,1\n")
    "a,b\n'tis,1\n"
    """
    if "'" not in text or '"' in text:
        return text
    lines = [line for line in text.split("\n", SAMPLE + 1)[: SAMPLE + 1] if line.strip()]
    if len(lines) < 2 or not any(map(_whole_columns, _tables(lines))):
        return text
    return _CELL.sub(_redress, text)


def _tables(lines: list[str]) -> list[list[list[str]]]:
    """The cells of the first line alone, and those of the lines below it."""
    cells = [_UNQUOTED.split(_CELL.sub(_hidden, line)) for line in lines]
    return [cells[:1], cells[1:]]


def _hidden(match: re.Match[str]) -> str:
    return f"{match[1]}''"  # what is in quotes splits nothing


def _whole_columns(rows: list[list[str]]) -> bool:
    """Whether a column has nothing but cells in quotes; of one line, whether all its cells are."""
    width = len(rows[0])
    if any(len(row) != width for row in rows) or width < 2:
        return False
    quoted = [
        [cell.strip() == "''" for cell in column if cell.strip()]
        for column in zip(*rows, strict=True)
    ]
    whole = [bool(column) and all(column) for column in quoted]
    return all(whole) if len(rows) == 1 else any(whole)


def _redress(match: re.Match[str]) -> str:
    inside = match[2].replace("''", "'").replace("\\'", "'")
    return f'{match[1]}"{inside}"'
