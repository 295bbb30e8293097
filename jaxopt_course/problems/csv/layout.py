"""How a file is laid out: the mark between its cells, and whether its first line names them."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jaxopt_course.problems.csv.numbers import BOOLEANS, cell_of, is_empty_word, reading
from jaxopt_course.problems.csv.quotes import BLANKS, SAMPLE, records_of, split

MARKS = ",;\t|"
MARK_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", BLANKS: "blanks",
              "\x01": "the mark that stands there"}  # fmt: skip
MORE_CELLS = (
    "there are more cells in its rows than names in its first line: give every column a name, or "
    "take out the mark that ends the rows"
)
TITLES = 6  # lines at most, that stand above the names
_RULE = re.compile(r"(?=.*(?:---|[-=][+|]|[+|][-=]))[-+|:=,;\s]+")
_SAID = re.compile(r'"?sep\s*=\s*(.|\\t)"?[,;\s]*', re.IGNORECASE)
_COMMENT = re.compile(r"\s*(#|%|//|--)")
_TYPES = frozenset(  # of a column, as Orange writes them below its name
    ["c", "d", "t", "s", "i", "continuous", "discrete", "time", "string", "meta", "class", "ignore",
     "numeric", "nominal", "text"]
)  # fmt: skip


class Layout(NamedTuple):
    """What must be known before pandas can read a file."""

    mark: str
    names: list[str] | None  # None where the first line is data
    skip: int  # lines before the first record: "sep=;" as Excel writes it
    extra: bool  # rows have one cell more than there are names, as R's write.table has it


def layout(text: str, mark: str | None = None, header: bool | None = None) -> Layout:
    """The layout of a file's text.

    Args:
        text: the whole file.
        mark: what splits the cells; default what splits the first lines best.
        header: whether the first line names the columns; default yes, unless it looks like data.

    Raises:
        ValueError: the first line looks like data, or two columns are called the same.
    """
    records = records_of(text)
    skip = 0
    while records and not records[0].strip():
        records, skip = records[1:], skip + 1
    said = _SAID.fullmatch(records[0]) if records else None
    if said and is_mark(said[1].replace("\\t", "\t")):
        records, skip = records[1:], skip + 1
        mark = mark or said[1].replace("\\t", "\t")
    records = [record for record in records if record.strip()]
    if not records:
        return Layout(mark or ",", [], skip, False)
    mark = mark or best_mark(records)
    if header is None:
        _refuse_titles(records, mark)
    if len(records) > 1 and _RULE.fullmatch(records[1]):
        raise ValueError(
            f"below the names stands a line that is drawn, {records[1][:40]!r}, as data bases and "
            "Markdown print it: take it out"
        )
    first, *rows = [split(record, mark) for record in records]
    if header is False:
        return Layout(mark, None, skip, False)
    if header is None:
        _refuse_data(first, rows)
        _refuse_again(text, records[0], first)
        _refuse_second_names(first, rows)
    names = [name for name in first if name]
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise ValueError(
            f"two columns are called {repeated[0]!r}; rename one (or the first line is no names: "
            "header=False)"
        )
    widths = {len(row) for row in rows}
    begins = [row[0] for row in rows]
    first_number = 0 if mark == BLANKS and begins[:1] == ["0"] else 1  # as pandas prints a table
    counted = begins == [str(place + first_number) for place in range(len(rows))]
    quoted = all(record.lstrip().startswith('"') for record in records[1:])
    # Names of rows, as R and pandas have them; else a name is missing, and nobody knows which.
    rows_named = len(set(begins)) == len(begins) and (counted or quoted)
    extra = widths == {len(first) + 1} and any(row[-1] for row in rows) and rows_named
    if rows and len(rows[0]) > len(first) and not extra and mark != BLANKS:
        raise ValueError(MORE_CELLS)  # pandas would take the first column for names of the rows
    return Layout(mark, first, skip, extra)


def is_mark(mark: str) -> bool:
    """Whether cells can be split by it; pandas takes one byte, and quotes are no mark."""
    return mark in (BLANKS, "\t", "\x01") or (len(mark) == 1 and "!" <= mark <= "~" and mark != '"')


def best_mark(records: Sequence[str]) -> str:
    """The mark that gives most records as many cells as the first, and cells that read well."""
    return max((*MARKS, BLANKS), key=lambda mark: _score(records, mark))


def usual_mark(text: str) -> bool:
    """Whether one of :data:`MARKS` splits the first lines."""
    records = [record for record in records_of(text) if record.strip()]
    return max(_score(records, mark)[0] for mark in MARKS) >= 0.5


def reads_as(records: Sequence[str], mark: str) -> bool:
    """Whether a mark splits all of these lines into the same cells, where blanks do not."""
    score, width = _score(records, mark)
    return width > 1 and score > 0.9 and _score(records, BLANKS)[0] < 0.9


def _score(records: Sequence[str], mark: str) -> tuple[float, int]:
    """How well a mark splits, and into how many; the earlier mark wins a tie."""
    widths = [_width(record, mark) for record in records]
    if len(widths) > 1 and records[0].rstrip(" ").endswith(mark) and widths[0] == widths[1] + 1:
        widths[0] -= 1  # the names alone end with a mark
    # Rows that end with a mark, or begin with a name of their own, have one cell more.
    alike = [r for r, w in zip(records, widths, strict=True) if w in (widths[0], widths[0] + 1)]
    if widths[0] < 2:
        return 0.0, 1
    cells = [cell for record in alike[:20] for cell in split(record[:4096], mark)[:200]]
    clean = sum(map(reads_well, cells)) / len(cells)
    return round(len(alike) / len(records) * clean, 3), widths[0]


def _width(record: str, mark: str) -> int:
    """How many cells a record has."""
    if '"' in record:
        return len(split(record, mark))
    return len(record.split()) if mark == BLANKS else record.count(mark) + 1


def reads_well(cell: str) -> bool:
    """No mark is left in it, but in a number."""
    if not re.search(r"[,;\t|]", cell) and not re.search(r"\d\s+[-+\d.]", cell):
        return True
    number = cell_of(cell)
    return number is not None and reading(number) != set()


def _refuse_data(first: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Raise where the first line is more like a row than like names.

    Above a column of numbers it has numbers, which are not in the order of years or of positions;
    above columns of words it has one of the words.
    """
    columns = list(zip(*[row for row in rows if len(row) == len(first)], strict=True))
    if not columns:
        return
    words, above, heads = 0, 0, []
    for name, column in zip(first, columns, strict=True):
        known = [cell for cell in column if cell and not is_empty_word(cell)]
        if not known or not name or is_empty_word(name):
            continue
        values = [value for cell in known if (value := _value(cell)) is not None]
        if len(values) == len(known):
            head = _value(name)
            if head is None:
                return  # a word above numbers is a name
            heads.append((head, min(values), max(values)))
        elif name.lower() not in BOOLEANS:
            words += 1
            above += name in known
    numbers = [head for head, _, _ in heads]
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    counted = len(numbers) > 2 and steps == {1.0}
    ordered = len(numbers) > 1 and (min(steps) > 0 or max(steps) < 0)
    within = all(low <= head <= high for head, low, high in heads)
    ordered &= len(numbers) > 2 or words > 0  # 1, 2 over two columns is no order yet
    if not heads and list(first) in map(list, rows):
        raise ValueError(
            "the first line stands again among the rows, as where several files were joined: take "
            "the others out (if it is data, header=False)"
        )
    looks = (not ordered or within or above > 0) if heads else above >= max(2, words / 2)
    if looks and not counted:
        shown = ", ".join(map(repr, first[:4])) + (", …" if len(first) > 4 else "")
        raise ValueError(
            f"the first line looks like data, not like names ({shown}): put a line of names above "
            "it, or say header=False, and the columns are called column 1, column 2, "
            "…; if these are names, header=True"
        )


def _refuse_again(text: str, record: str, names: Sequence[str]) -> None:
    """Raise where the line of names stands again, below the lines that are looked at."""
    end = text.find(record) + len(record)
    again = text.find(f"\n{record}\n", end)
    if again > 0 and len(names) > 1 and all(_value(name) is None for name in names):
        line = text.count("\n", 0, again) + 2
        raise ValueError(
            f"the first line stands again in line {line}, as where several files were joined: take "
            "the others out (if it is data, header=False; if it is a row as well, header=True)"
        )


def _refuse_titles(records: Sequence[str], mark: str) -> None:
    """Raise where a title or a comment stands above the names."""
    first = split(records[0], mark)
    alone = len(first) > 1 and first[0] and not any(first[1:])
    lines = _comments(records, mark)
    if lines or (lines := _below_titles(records, mark)):
        pass
    elif alone:
        full = (i for i, r in enumerate(records[1:TITLES], 1) if all(split(r, mark)))
        lines = next(full, 0)
    elif max(_score(records, one)[0] for one in (mark, best_mark(records))) < 0.5:
        scores = {
            i: _score(records[i:], best_mark(records[i:]))
            for i in range(1, min(TITLES, len(records) - 1))
        }
        lines = next((i for i, (score, wide) in scores.items() if score > 0.9 and wide > 1), 0)
    while lines and len(records) > lines + 1 and records[lines].startswith(("#", "%")):
        lines += 1
    if lines:
        raise ValueError(
            f"the names stand in line {lines + 1}, it seems, below {records[0][:40]!r}: take out "
            "what is above them (if these are names, header=True)"
        )


def _below_titles(records: Sequence[str], mark: str) -> int:
    """In which line the names are, below lines with few cells; 0 where the first one has them."""
    rows = [split(record, mark) for record in records[: TITLES + 20]]
    width = len(rows[0])
    for place, row in enumerate(rows[:TITLES]):
        if len(row) == width and all(row):
            below = [one for one in rows[place + 1 :] if len(one) == width]
            words = place > 0 and all(_value(cell) is None for cell in row)
            columns = [[c for c in one if c] for one in zip(*below, strict=True)]
            measured = any(
                column and all(_value(c) is not None or c.lower() in BOOLEANS for c in column)
                for column in columns
            )
            return place if words and measured else 0
        if sum(not cell for cell in row) < max(2, width / 3):
            return 0
    return 0


def _comments(records: Sequence[str], mark: str) -> int:
    """How many comments stand above the names; names may be in the last of them."""
    lines = 0
    while lines < min(len(records) - 1, SAMPLE) and _COMMENT.match(records[lines]):
        lines += 1
    if lines and _width(records[lines - 1], mark) == _width(records[lines], mark) > 1:
        values = map(_value, split(records[lines], mark))
        lines -= any(value is not None for value in values)  # data, so the names are above it
    return lines


def _refuse_second_names(first: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Raise where units, types or more names stand below the names, and numbers below those."""
    rows = [row for row in rows if len(row) == len(first)]
    lines = 0
    if rows and any(rows[0]) and {cell.lower() for cell in rows[0]} <= _TYPES | {""}:
        more = len(rows) > 1 and {cell.lower() for cell in rows[1]} <= _TYPES | {""}
        lines = int(more or max(map(len, rows[0])) > 1)  # else it is a row of letters
    for place, row in enumerate(rows[:2], 1):  # as Qualtrics exports
        lines = place if all(cell.startswith('{"ImportId"') for cell in row) else lines
    for above in (1, 2, 3):
        if lines or len(rows) < above + 3:
            break
        lines = above * _has_units(rows[:above], rows[above:])
    while 0 < lines < len(rows) and {cell.lower() for cell in rows[lines]} <= _TYPES | {""}:
        lines += 1
    if lines:
        shown = ", ".join(map(repr, filter(None, rows[0][:6])))
        stand, them = ("stands a line", "it") if lines == 1 else (f"stand {lines} lines", "them")
        raise ValueError(
            f"below the names {stand} of units, types or more names ({shown}): take {them} out, or "
            "join them to the names (if these are data, header=True)"
        )


def _has_units(above: Sequence[Sequence[str]], below: Sequence[Sequence[str]]) -> bool:
    """Whether these lines have words, and no number, where all rows below have numbers."""
    numeric, words, others = 0, 0, 0
    for head, column in zip(zip(*above, strict=True), zip(*below, strict=True), strict=True):
        known = [cell for cell in column if cell and not is_empty_word(cell)]
        if not known or any(_value(cell) is None for cell in known):
            others += any(head)
            continue
        if any(_value(cell) is not None for cell in head):
            return False
        numeric += 1
        words += any(cell and not is_empty_word(cell) for cell in head)
    return 2 * words >= numeric and (words > 1 or (words == 1 and not others))


def _value(cell: str) -> float | None:
    number = cell_of(cell)
    if number is None or number.dress not in ("", "%"):
        return None
    try:
        return number.sign * float(f"{number.digits.replace(',', '.')}e{number.exponent or 0}")
    except ValueError:
        return None
