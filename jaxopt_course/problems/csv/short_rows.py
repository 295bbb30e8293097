"""Rows that end before the last column: pandas fills them, and somebody should know."""

import csv

from jaxopt_course.problems.csv.parser import Parser
from jaxopt_course.problems.csv.pieces import Source, lines
from jaxopt_course.problems.csv.quotes import BLANKS


def short_rows(parse: Parser) -> dict[str, list[str]]:
    """A note at the last column, where records end before it."""
    width = len(parse.names)
    if not parse.rows or width < 2 or parse.is_full:
        return {}
    try:
        found = _lines(parse.text, parse.how.mark, width)
    except csv.Error:  # a cell longer than 131,072 letters: there is the table, and no note
        return {}
    if not found:
        return {}
    rows = "one row has" if len(found) == 1 else f"{len(found):,} rows have"
    first = parse.how.skip + found[0]
    return {parse.names[-1]: [f"{rows} fewer cells than there are names, as line {first} has"]}


def _lines(text: str, mark: str, width: int) -> list[int]:
    """Where the records begin that have fewer cells than there are columns."""
    if '"' in text and mark != BLANKS:
        return _quoted(text, mark, width)
    begins, short = 1, []
    for piece in lines(text):
        each = enumerate(piece.split("\n"), begins)
        if mark == BLANKS:
            short += [i for i, line in each if 0 < len(line.split()) < width]
        else:
            short += [i for i, line in each if line.count(mark) < width - 1 and line.strip()]
        begins += piece.count("\n")
    return short


def _quoted(text: str, mark: str, width: int) -> list[int]:
    reader, begins, short = csv.reader(Source(text), delimiter=mark), 1, []
    for cells in reader:
        if len(cells) < width and any(cell.strip() for cell in cells):
            short.append(begins)
        begins = reader.line_num + 1
    return short
