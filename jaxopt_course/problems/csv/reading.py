"""From a file to a table: each column numbers, booleans or words, and what was done to it."""

import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.problems.csv import fixed, marks
from jaxopt_course.problems.csv import numbers as n
from jaxopt_course.problems.csv.below import without_notes
from jaxopt_course.problems.csv.content import Origin
from jaxopt_course.problems.csv.escapes import unescaped
from jaxopt_course.problems.csv.layout import MARK_NAMES, Layout, layout
from jaxopt_course.problems.csv.nameless import named
from jaxopt_course.problems.csv.parser import MANY, QUOTED, WIDE, Parser
from jaxopt_course.problems.csv.pieces import blocks
from jaxopt_course.problems.csv.quotes import BLANKS
from jaxopt_course.problems.csv.remarks import sums
from jaxopt_course.problems.csv.short_rows import short_rows
from jaxopt_course.problems.csv.single_quotes import doubled
from jaxopt_course.problems.csv.source import read_text
from jaxopt_course.problems.csv.texts import Texts

EXACT = 2.0**53  # beyond, float64 has not every whole number
TOLD = 1_000, 1_000_000  # columns, cells that are looked at again to say which words were gaps
_WORDS = sorted({f(w) for w in n.EMPTY_WORDS for f in (str, str.upper, str.title, str.capitalize)})


class Reading(NamedTuple):
    """A table, and what became of the file."""

    table: pd.DataFrame
    left_out: dict[str, str]  # column of the file that is no column of the table -> why
    notes: dict[str, list[str]]  # column -> what was done to its cells
    mark: str  # what splits the cells
    decimal: str | None  # the mark of decimals, where one was given
    empty_rows: int  # left out
    below: int = 0  # lines of notes below the rows, left out


def read(
    file: Origin,
    *,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    decimal: n.Decimal | None = None,
) -> Reading:
    """A CSV file as a table; see :func:`jaxopt_course.problems.tables.read_table`."""
    if decimal not in (None, ".", ","):
        raise ValueError(f"decimal must be '.' or ',', not {decimal!r}")
    text = doubled(unescaped(read_text(file, encoding)))
    if not text.strip():
        raise ValueError(f"{file} is empty")
    text, mark = marks.told(marks.uncommented(text), sep)
    try:
        if (aligned := None if header is False else fixed.cut(text, mark)) is not None:
            text, mark = aligned, "\t"
        how = layout(text, mark, header)
        text, below = without_notes(text, how)
        guess = decimal or _guess(how, text)
        parse = Parser(text, how, _WORDS, guess)
        del text  # the parser has it
        notes = short_rows(parse)
        table, more = _typed(parse, guess, decimal)
        for name, said in more.items():
            notes[name] = notes[name] + said if name in notes else said
        del more
    except pd.errors.EmptyDataError:
        raise ValueError(f"{file} is empty") from None
    except pd.errors.ParserError as error:
        raise ValueError(
            f"{file} is not a table, its cells split by {MARK_NAMES.get(how.mark, how.mark)}: "
            f"{str(error).strip()} (another mark: sep=…)"
        ) from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    table, left_out = named(table, notes)
    if not len(table.columns):
        raise ValueError(f"{file}: no column has a name and cells")
    if how.extra:
        warnings.warn(
            f"{file}: the rows have one cell more than the first line has names; the first cells "
            "are taken for names of the rows, as R writes them (if they are data, give every "
            "column a name)",
            stacklevel=3,
        )
    filled = np.zeros(len(table), bool)
    for _, column in table.items():
        filled |= column.notna().to_numpy()
        if filled.all():  # after the first column, as a rule
            break
    empty = int((~filled).sum())
    if empty:
        table = table[filled].reset_index(drop=True)
    for name, remark in sums(table).items():
        notes.setdefault(name, []).append(remark)
    mark = how.mark if aligned is None else BLANKS
    return Reading(table, left_out, notes, mark, decimal, empty, below)


def _guess(how: Layout, text: str) -> n.Decimal:
    """The decimal mark that pandas tries first, as the first rows have it; checked afterwards."""
    begin = text.find("\n", sum(map(len, how.names or [])))
    head = text[begin : begin + (1 << 16)]
    if how.mark == "," or "." in head:
        return "."
    return "," if re.search(r"\d,(\d{1,2}|\d{4,})(?!\d)|\b0,\d", head) else "."


def _typed(
    parse: Parser, guess: n.Decimal, decimal: n.Decimal | None
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Each column numbers, booleans or words; and what was done to its cells."""
    known = {name: dtype.kind for name, dtype in parse.table.dtypes.items()}
    kinds = np.array([known.get(name, "O") for name in parse.names])
    floats = np.flatnonzero(kinds == "f")
    looks = _looks(parse.table, np.flatnonzero(np.array(list(known.values())) == "f"))
    lost = looks.empty | looks.large  # all words for gaps; digits that float64 lacks
    again = np.union1d(np.flatnonzero(~np.isin(kinds, list("iufb"))), floats[lost])
    texts = parse.texts(again.tolist())
    made: dict[str, Any] = {}
    notes: dict[str, list[str]] = {}
    evidence: dict[str, n.Marks] = {}
    for name, column in texts.items():
        if (pair := n.booleans(column)) is not None:
            made[name], notes[name] = pair[0], _gaps(pair[1])
        elif (marks := n.marks_of(column)) is not None:
            evidence[name] = marks
    decided: dict[str, n.Decimal] = dict.fromkeys(evidence, decimal or ".")
    if decimal is None:
        other = any(marks.certain or marks.either for marks in evidence.values())
        unsure = floats[~lost & ~looks.certain]
        native, raw = _native(unsure, looks.certain[~lost].any(), parse, guess, other)
        usual: n.Decimal | None = "." if parse.how.mark == "," else None
        decided = n.decide(evidence | native, usual)
        wrong = [name for name in raw if decided.get(name, guess) != guess]
        texts |= {name: raw[name] for name in wrong}
    for name in decided.keys() & texts.keys():
        if (number := n.numbers(texts[name], decided[name])) is not None:
            made[name], notes[name] = number.values, told(number)
    words = {name: column for name, column in texts.items() if name not in made}
    texts.clear()  # each goes when its column is made
    made |= _words(words, parse, notes)
    gaps = floats[~lost & looks.gaps]
    few = len(gaps) <= TOLD[0] and len(gaps) * parse.rows <= TOLD[1]
    if few:  # say which words pandas took for gaps
        for name, column in parse.texts(gaps.tolist()).items():
            empty = sorted({word for word in column.seen if n.is_empty_word(word)})
            notes.setdefault(name, []).extend(_gaps(tuple(empty)))
    for name, column in parse.texts(_zeros(kinds, parse)).items():
        codes = [
            word for word in column.words if len(word) > 1 and word.isdigit() and word[0] == "0"
        ]
        if codes:
            notes.setdefault(name, []).append(
                f"{codes[0]!r} is {int(codes[0])}: if these are codes, they measure nothing"
            )
    table, parse.text = parse.table, ""  # of many columns the table alone is larger than the file
    if len(table.columns) == len(parse.names) and len(made) <= MANY:
        for name, values in made.items():
            table[name] = values
    elif len(parse.names) > WIDE:
        table = _side_by_side(table, made, parse)
    else:
        made = {str(name): column for name, column in table.items()} | made
        columns = {name: made[name] for name in parse.names}
        table = pd.DataFrame(columns, pd.RangeIndex(parse.rows), copy=False)
    return table, {name: said for name, said in notes.items() if said}


def _side_by_side(table: pd.DataFrame, made: dict[str, Any], parse: Parser) -> pd.DataFrame:
    """Many columns as one table.

    Those of numbers become one array.  Columns of words stay as they are, and where most are words
    all do: what pandas notes of each column would be there three times meanwhile.
    """
    rows = pd.RangeIndex(parse.rows)
    words = {n: column for n, column in made.items() if not isinstance(column, np.ndarray)}
    if 2 * len(words) > len(parse.names):
        each = {n: made.pop(n) if n in made else table[n] for n in parse.names}
        return pd.DataFrame(each, rows, copy=False)
    plain = {name: column for name, column in made.items() if name not in words}
    parts = [
        table[[name for name in table if name not in made]],
        pd.DataFrame(plain, rows, copy=True),
        pd.DataFrame(words, rows, copy=False),
    ]
    whole = pd.concat([part for part in parts if len(part.columns)], axis=1)
    return whole if list(whole.columns) == parse.names else whole[parse.names]


def _zeros(kinds: np.ndarray, parse: Parser) -> list[int]:
    """Columns of whole numbers that may have cells as 01234, where the file has any at all."""
    mark = r"\s" if parse.how.mark == BLANKS else re.escape(parse.how.mark)
    if not re.search(rf'(?:^|[{mark}\n]) *"?0\d+"? *(?:[{mark}\n]|$)', parse.text):
        return []
    whole = np.flatnonzero(kinds == "i").tolist()
    return whole if len(whole) <= TOLD[0] and len(whole) * parse.rows <= TOLD[1] else []


def told(number: n.Numbers) -> list[str]:
    """What was done to the cells of a column of numbers."""
    said = _gaps(number.empty)
    if number.dress:
        said.append(f"without its {number.dress!r}")
    return said + [f"{cell!r} is {plain}" for cell, plain in number.marked.items()]


class _Looks(NamedTuple):
    """What is seen of columns that pandas read as reals, each (columns,) of bools."""

    large: np.ndarray  # digits that float64 may lack
    empty: np.ndarray
    gaps: np.ndarray  # some, or all
    certain: np.ndarray  # numbers that are read in one way only, whatever the mark of decimals


def _looks(table: pd.DataFrame, floats: np.ndarray) -> _Looks:
    """A piece of the table at a time."""
    large, finite, filled, gaps, certain = np.zeros((5, len(floats)), bool)
    for rows, own in blocks(len(table), len(floats)):
        block = table.iloc[rows, floats[own]].to_numpy(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            size, none = abs(block), np.isnan(block)
            large[own] |= (size >= EXACT).any(axis=0)
            finite[own] |= np.isfinite(block).any(axis=0)
            filled[own] |= ~none.all(axis=0)
            gaps[own] |= none.any(axis=0)
            broken = block != np.round(block)
            small = (size < 1) & (size > 0)
            long = broken & ((size >= 1000) | (abs(size * 1000 - np.round(size * 1000)) > 1e-6))
            certain[own] |= (small | long).any(axis=0)
    return _Looks(large & finite, ~filled, gaps, certain)


def _native(
    unsure: np.ndarray, certain: bool, parse: Parser, guess: n.Decimal, other: bool
) -> tuple[dict[str, n.Marks], dict[str, Texts]]:
    """What columns that pandas read as numbers say about marks, and their texts where needed.

    A point in a column of 7.715 and 903 may be one of thousands, which pandas cannot know.
    """
    evidence: dict[str, n.Marks] = {}
    raw: dict[str, Texts] = {}
    if certain:
        evidence[""] = n.Marks(frozenset({guess}), (), "")
    if parse.how.mark == "," and not other:
        return evidence, raw
    for begin in range(0, len(unsure), 64):
        if evidence and not other:
            break
        for name, column in parse.texts(unsure[begin : begin + 64].tolist()).items():
            marks = n.marks_of(column)
            if marks is not None and (marks.certain or marks.either):
                evidence[name], raw[name] = marks, column
        if any(marks.certain for marks in evidence.values()) and not other:
            break
    return evidence, raw


def _words(columns: dict[str, Texts], parse: Parser, notes: dict[str, list[str]]) -> dict[str, Any]:
    """Columns of text; None, NA and null are words, unless all other words are in quotes."""
    alike: dict[Any, Any] = {}  # what is said of many columns is held once
    suspects = {
        name: alike.setdefault(found, found)
        for name, column in columns.items()
        if (found := frozenset(word for word in column.seen if n.is_empty_word(word)))
    }
    places = [place for place, name in enumerate(parse.names) if name in suspects]
    signed = parse.quoted(places) if places else None
    quoted = dict(zip((parse.names[p] for p in places), signed or (), strict=signed is not None))
    made: dict[str, Any] = {}
    dtypes = parse.table.dtypes.items()
    strings = {name for name, dtype in dtypes if isinstance(dtype, pd.StringDtype)}
    text = pd.StringDtype(na_value=np.nan)  # "str" is NumPy's in pandas 2: gaps would be "nan"
    hollow: pd.Series | None = None  # one for all columns without a word: few have so many gaps
    for name in list(columns):
        column = columns.pop(name)
        same = column.tidy and name not in suspects and name in strings
        if same and (column.codes >= 0).all():
            continue  # as pandas has it, whose gaps may be empty texts
        words: list[Any] = column.words
        if "" in words or "?" in words:
            words = [word if word not in ("", "?") else np.nan for word in words]
        if name in suspects:
            gaps = np.zeros(len(column.codes), bool)
            if name in quoted:
                shown = quoted[name]
                in_quotes = np.array([w.startswith(QUOTED) for w in [*shown.words, ""]])[
                    shown.codes
                ]
                bare = ~in_quotes & (column.codes >= 0)
                if not (column.among(bare) - suspects[name]):  # as R writes its NA
                    gaps = bare
            hollows = column.among(gaps)
            said = _gaps(tuple(sorted(hollows)))
            if left := sorted(suspects[name] - hollows):
                said.append(_are(left, "a category", "categories"))
            notes[name] = [alike.setdefault(one, one) for one in said]
            column = column._replace(
                codes=np.where(gaps, column.codes.dtype.type(-1), column.codes)
            )
        if any(isinstance(word, str) for word in words):
            made[name] = pd.array(column.spread(words), dtype=text, copy=False)
            continue
        if hollow is None:
            hollow = pd.Series(pd.array(column.spread(words), dtype=text, copy=False))
        made[name] = hollow
    return made


def _gaps(words: tuple[str, ...]) -> list[str]:
    return [_are(words, "an empty cell", "empty cells")] if words else []


def _are(words: Sequence[str], one: str, several: str) -> str:
    """``'NA' is a category``, ``'NA', 'null' are categories``."""
    verb, what = ("is", one) if len(words) == 1 else ("are", several)
    return f"{', '.join(map(repr, words))} {verb} {what}"
