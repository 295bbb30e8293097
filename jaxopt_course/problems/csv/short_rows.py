"""Rows that end before the last column: pandas fills them, and somebody should know."""

import csv
import io

import pandas as pd

from jaxopt_course.problems.csv.layout import BLANKS, Layout


def short_rows(table: pd.DataFrame, text: str, how: Layout) -> dict[str, list[str]]:
    """A note at the last column, where records end before it.

    Args:
        table: as pandas has read it.
        text: the table's, from its first record on.
        how: the layout of the file.
    """
    width = len(table.columns)
    if not len(table) or width < 2 or table.iloc[:, -1].notna().all():
        return {}
    try:
        lines = _lines(text, how.mark, width)
    except csv.Error:  # a cell longer than 131,072 letters: there is the table, and no note
        return {}
    if not lines:
        return {}
    rows = "one row has" if len(lines) == 1 else f"{len(lines):,} rows have"
    first = how.skip + lines[0]
    return {table.columns[-1]: [f"{rows} fewer cells than there are names, as line {first} has"]}


def _lines(text: str, mark: str, width: int) -> list[int]:
    """Where the records begin that have fewer cells than there are columns."""
    lines = enumerate(text.split("\n"), 1)
    if mark == BLANKS:
        return [i for i, line in lines if 0 < len(line.split()) < width]
    if '"' not in text:
        return [i for i, line in lines if line.count(mark) < width - 1 and line.strip()]
    reader, begins, short = csv.reader(io.StringIO(text), delimiter=mark), 1, []
    for cells in reader:
        if len(cells) < width and any(cell.strip() for cell in cells):
            short.append(begins)
        begins = reader.line_num + 1
    return short
