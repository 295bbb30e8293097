"""The first records of a file, and their cells: which quotes hold one, which stand for inches."""

import re

BLANKS = r"\s+"  # a mark of its own: any number of blanks
SAMPLE = 100  # records that are looked at; fewer, where they are long
SAMPLE_LENGTH = 1 << 19  # characters of them
LINES = 50  # of a record, at most
_CELL = r'"(?:[^"]|"")*"'  # a quote inside of it stands twice
_ANY_CELL = re.compile(rf"(?:^|(?<=[,;\t|\s])){_CELL}")
_OPENED = re.compile(r'(?:^|(?<=[,;\t|\s]))"')
_ELSEWHERE = "\ue000"  # stands for a mark inside quotes


def records_of(text: str) -> list[str]:
    r"""The first records; a line break inside a cell's quotes ends none.

    >>> records_of('a,b\n"x\ny",1\n5" pipe,2\ny "z,3\n')
    ['a,b', '"x\ny",1', '5" pipe,2', 'y "z,3']
    """
    found: list[str] = []
    begin = 0
    while begin < len(text) and len(found) < SAMPLE:
        if len(found) > 5 and begin > SAMPLE_LENGTH:
            break
        first = end = _line_end(text, begin)
        lines = 1
        while _is_open(text[begin:end]):
            if lines == LINES or end == len(text):  # nobody closes it
                end = first
                break
            end, lines = _line_end(text, end + 1), lines + 1
        found.append(text[begin:end].replace("\r\n", "\n").rstrip("\r"))
        begin = end + 1
    return found


def _line_end(text: str, begin: int) -> int:
    end = text.find("\n", begin)
    return len(text) if end < 0 else end


def _is_open(record: str) -> bool:
    """Whether a quote begins a cell, and none ends it."""
    return '"' in record and _OPENED.search(_ANY_CELL.sub("", record)) is not None


def split(record: str, mark: str) -> list[str]:
    r"""The cells of a record, without their quotes and the blanks around them.

    >>> split('5" pipe,2,"p, q"', ",")
    ['5" pipe', '2', 'p, q']
    """
    hidden, between = record, f'"{mark}"'
    if record.startswith('"') and record.endswith('"') and '""' not in record:
        cells = record[1:-1].split(between)  # all in quotes, as most are that have many
        if record.count('"') == 2 * len(cells) and record.count(mark) == len(cells) - 1:
            return [cell.strip() for cell in cells]
    if record.count('"') > 1:
        inside = re.compile(mark if mark == BLANKS else re.escape(mark))
        begin = r"\s" if mark == BLANKS else rf"{re.escape(mark)}[ ]*"
        hidden = re.sub(
            rf"(^\s*|{begin})({_CELL})",
            lambda cell: cell[1] + inside.sub(_ELSEWHERE, cell[2]),
            record,
        )
    cells = hidden.split() if mark == BLANKS else hidden.split(mark)
    shown = " " if mark == BLANKS else mark
    return [_unquoted(cell.strip()).replace(_ELSEWHERE, shown) for cell in cells]


def _unquoted(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"').strip()
    return cell
