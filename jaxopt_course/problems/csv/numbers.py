"""Numbers as people write them: marks for decimals and thousands, per cents, currencies, gaps.

Whether ``7,715`` is seven thousand or a little more than seven is decided for a file as a whole:
by cells that can only be read in one way, else by the shape of the column, else it is asked.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.problems.csv.texts import REMEMBERED, Texts

Decimal = Literal[".", ","]
LONGEST = 300  # digits of a number: beyond, float64 has none, and Python reads no more than 4,300
SHAPES = 4_096  # ways of writing that are remembered
GROUPED = 20  # cells as 7,715 beside 903: decimals would have lost a last 0 among so many

# Beside numbers these are empty cells; in a column of words they are words.
EMPTY_WORDS = frozenset(
    word
    for line in (
        "na n/a #n/a #na <na> n.a. nan -nan nan% null none nil nd n.d.",
        "#n/a! #null! #div/0! #value! #ref! #name? #num! 1.#ind -1.#ind 1.#qnan -1.#qnan",
        "nat nil. <null> (null) <none> (none) \\n missing (missing) <missing> unknown (unknown)",
        "unavailable nodata no_data #nv #n/v k.a. s/d n/d : * ** ***",
        "#¡null! #¡nulo! #¡div/0! #¡valor! #¡ref! #¿nombre? #¡num! #valor! #núm! #nome?",
        "#wert! #bezug! #zahl! #valeur! #nom? #nombre! #valore! #rif!",  # Excel elsewhere
        "[null] {null} undefined ns/nc nan(ind) -nan(ind) ??",
        "- -- --- – — . .. ... … ?",
        "._ .a .b .c .d .e .f .g .h .i .j .k .l .m .n .o .p .q .r .s .t .u .v .w .x .y .z",  # SAS
    )
    for word in line.split()
) | {"no data", "not available", "not applicable", "not known", "data not available"} | {
    "not reported", "sin dato", "sin datos", "no aplica", "no disponible"}  # fmt: skip
INFINITE = {
    f"{sign}{w}": float(f"{sign}inf") for sign in ("", "+", "-") for w in ("inf", "infinity")
}
BOOLEANS = {"true": True, "false": False}

_SIGN = r"[-+\u2212]?"
_GAP = "[ '`\u00b4\u2019\u00a0\u202f\u2007\u2009]"
_GAPS = dict.fromkeys(map(ord, _GAP[1:-1]))
_CURRENCY = (
    r"(?:(?:US|CA|AU|NZ|HK|NT|R|A|C|S)?\$|[$€£¥₹₽₩₺₪₴₦₱₫฿₨]|Rs\.?|Rp\.?|[Kk]r\.?|Fr\.?|zł|Kč|Ft|"
    "USD|EUR|GBP|CHF|JPY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RUB|BRL|MXN|ZAR|CNY|KRW|SGD|HKD|"
    "TRY|TWD|THB|IDR|ILS|AED|ARS|CLP|COP|UAH|PHP|VND|EGP|SAR)"
)
# As other keyboards write them: wide ones, Arabic marks, dashes for a minus.
_KEYS = str.maketrans(
    {chr(0xFEE0 + ord(key)): key for key in "0123456789.,%+-$()"}
    | {"٫": ".", "٬": ",", "٪": "%", "\u2013": "-", "\ufe63": "-", "￥": "¥"}
)
_SQUARE = re.compile(r"(?<=m)\^?([23])$")  # m2, km^2, kg/m3
_POWER = re.compile(r"\s*[x×*·]\s*10\s*(?:\^|\*\*)\s*\(?([-+\u2212]?\d+)\)?$")
_NOTHING = re.compile(rf"{_CURRENCY}\s*[-\u2013\u2014]+|[-\u2013\u2014]+\s*(?:{_CURRENCY}|%)")
_OUTSIDE = re.compile(rf"({_CURRENCY})\s*\((.+)\)|\((.+)\)\s*({_CURRENCY}|%)")
_DRESSED = re.compile(
    rf"({_SIGN})({_CURRENCY}?)\s*({_SIGN})([\d.,](?:[\d.,]|{_GAP}(?=\d))*(?:[eE][-+]?\d+|[dD][-+]\d+)?)((?<=[.,])(?:--|\u2014)|-?)"
    rf"\s*(%|‰|{_CURRENCY}|(?:[^\W\d_]|[°µ/²³])+\.?)?"
)
_WHOLE = re.compile(r"\d+")
# One reading each, whichever mark; "." stands for the decimal mark, "," for that of thousands.
_DECIMAL = re.compile(
    rf"(?:\d+|\d{{1,3}}(?:{_GAP}\d{{3}})+|\d{{1,3}}(?:,\d{{2,3}})*,\d{{3}})?\.\d*"
)
_THOUSANDS = re.compile(rf"\d{{1,3}}(?:{_GAP}\d{{3}})+|[1-9]\d{{0,2}}(?:,\d{{2,3}})*,\d{{3}}")
_EITHER = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_SWAP = str.maketrans(".,", ",.")
_ONES = str.maketrans("23456789", "1" * 8)


class Cell(NamedTuple):
    """A cell that may be a number."""

    sign: int
    digits: str  # with its marks, without a sign
    exponent: str
    dress: str  # "%", "$", "kg"; "" for none


class Numbers(NamedTuple):
    """A column of text that is one of numbers."""

    values: Any  # an array as pandas has them
    dress: str  # what every cell wears
    empty: tuple[str, ...]  # words that were taken for empty cells
    marked: dict[
        str, str
    ]  # a cell with marks for thousands, one with a comma for decimals, as read


def cell_of(text: str) -> Cell | None:
    """The parts of a number, or None where it is none; marks are not looked at yet."""
    text = _keyed(text)
    if "10" in text and (power := _POWER.search(text)):
        text = f"{text[: power.start()]}e{power[1]}"
    if "(" in text and (outside := _OUTSIDE.fullmatch(text)):  # $(5), (5)%
        before, a, b, after = (part or "" for part in outside.groups())
        text = f"({before}{a}{b}{after})"
    negative = len(text) > 2 and text[0] == "(" and text[-1] == ")"  # as accountants write -5
    match = _DRESSED.fullmatch(text[1:-1].strip() if negative else text)
    if match is None:
        return None
    before, currency, sign, digits, after, unit = match.groups()
    if after and digits[-1] in ".,":  # as shops write a price without cents: 19.-, 19,--
        after = ""
    signs = sum(map(bool, (before, sign, after, negative)))  # SAP and COBOL write 5-
    if signs > 1 or (unit and (currency or after)):  # 3-door is not -3
        return None
    mantissa, *exponent = re.split("[eEdD]", digits)
    minus = negative or (before or sign or after) in ("-", "\u2212")
    return Cell(-1 if minus else 1, mantissa, "".join(exponent), currency or unit or "")


def _keyed(text: str) -> str:
    """As our keyboards write it; m2 as m²."""
    text = text if text.isascii() else text.translate(_KEYS)
    square = text[-1:] in ("2", "3") and "m" in text[-3:]
    return _SQUARE.sub(lambda m: "²" if m[1] == "2" else "³", text) if square else text


def reading(cell: Cell) -> set[Decimal] | None:
    """The decimal marks under which a cell is a number; None where it has no mark at all."""
    if _WHOLE.fullmatch(cell.digits):
        return None
    marks: tuple[Decimal, ...] = (".", ",")
    return {mark for mark in marks if _plain(cell, mark) is not None}


def _plain(cell: Cell, decimal: Decimal) -> str | None:
    """Digits with "." for decimals and nothing else, or None where it is no number."""
    digits = _with_point(cell, decimal)
    if digits in (".", ","):
        return None
    if _WHOLE.fullmatch(digits) or _DECIMAL.fullmatch(digits):
        return re.sub(rf"{_GAP}|,", "", digits)
    if not cell.exponent and _THOUSANDS.fullmatch(digits):
        return re.sub(rf"{_GAP}|,", "", digits)
    return None


def _is_grouped(cell: Cell, decimal: Decimal) -> bool:
    return _THOUSANDS.fullmatch(_with_point(cell, decimal)) is not None


def _with_point(cell: Cell, decimal: Decimal) -> str:
    return cell.digits if decimal == "." else cell.digits.translate(_SWAP)


class _Shapes:
    """Reads each way of writing once: among a million prices there are few.

    Cells are of one shape if they differ in digits above 0 alone: patterns take all those alike.

    Args:
        judge: of a cell, by its shape.
    """

    def __init__(self, judge: Callable[[Cell], Any]) -> None:
        self._judge = judge
        self._known: dict[str, tuple[Cell | None, int, Any]] = {}

    def cell_of(self, text: str) -> tuple[Cell | None, Any]:
        """The parts of a cell, as :func:`cell_of` has them, and what is judged of it."""
        text = _keyed(text)
        shape = text.translate(_ONES)
        if shape not in self._known:
            if len(self._known) == SHAPES:  # of long numbers each may have its own
                self._known.clear()
            like = cell_of(shape)
            self._known[shape] = (
                (None, 0, None)
                if like is None
                else (like, shape.find(like.digits), self._judge(like))
            )
        like, start, judged = self._known[shape]
        if like is None or like.exponent:  # whose digits are others
            return like and cell_of(text), judged
        return like._replace(digits=text[start : start + len(like.digits)]), judged


class Marks(NamedTuple):
    """What a column of numbers says about decimal marks."""

    certain: frozenset[Decimal]  # decimal marks of cells with one reading
    either: tuple[str, ...]  # cells with two
    grouping: str  # the mark that can only be one of thousands by the column's shape, or ""


def marks_of(texts: Texts) -> Marks | None:
    """The evidence of a column, or None where it is not one of numbers."""
    certain: set[Decimal] = set()
    either: list[str] = []
    small, large, found, times = 0, 0, 0, 0
    shapes = _Shapes(reading)
    for text, count in zip(texts.words, texts.counts(), strict=True):
        if not text or is_empty_word(text) or text.lower() in INFINITE:
            continue
        cell, ways = shapes.cell_of(text)
        if cell is None:
            return None
        found += 1
        if ways is None:
            small, large = small + (len(cell.digits) < 4), large + (len(cell.digits) > 3)
        elif not ways:
            return None
        elif len(ways) == 2 and _EITHER.fullmatch(cell.digits):
            either.append(cell.digits)
            times += count
        elif len(ways) == 1:
            certain |= ways
    if not found:
        return None
    used = {digits.strip("0123456789") for digits in either}
    shaped = not certain and len(used) == 1 and small and not large and times >= GROUPED
    return Marks(frozenset(certain), tuple(either), used.pop() if shaped else "")


def is_empty_word(text: str) -> bool:
    """Whether it stands for an empty cell, where it stands among numbers."""
    dashes = "-\u2013\u2014"
    maybe = text[-1:] in f"{dashes}%" or text[:1] in dashes
    return text.lower() in EMPTY_WORDS or (maybe and _NOTHING.fullmatch(text) is not None)


def decide(columns: Mapping[str, Marks], usual: Decimal | None = None) -> dict[str, Decimal]:
    """The decimal mark of each column of numbers.

    Args:
        columns: name -> its evidence, of the whole file.
        usual: what cells without evidence are read by, where nothing else in the file tells.

    Raises:
        ValueError: a cell can be read in two ways, and nothing tells which.
    """
    certain: set[Decimal] = {mark for marks in columns.values() for mark in marks.certain}
    if not certain:  # a mark of thousands says what the decimal mark is not
        certain = {"," if m.grouping == "." else "." for m in columns.values() if m.grouping}
    if not certain and usual:
        certain = {usual}
    decided: dict[str, Decimal] = {}
    for name, marks in columns.items():
        own = marks.certain or certain
        if len(own) == 1:
            decided[name] = next(iter(own))
        elif marks.either:
            cell = marks.either[0]
            why = "both are decimal marks here" if certain else "nothing else here tells"
            raise ValueError(
                f"column {name!r}: is {cell!r} {re.sub('[.,]', '', cell)} or "
                f"{cell.replace(',', '.')}? {why}: say which mark is that of decimals, decimal='.' "
                "or decimal=','"
            )
        elif not marks.certain:
            decided[name] = "."  # no mark at all: whole numbers
    return decided


def numbers(texts: Texts, decimal: Decimal) -> Numbers | None:
    """A column of text as numbers, or None where a cell is none.

    Args:
        texts: its cells.
        decimal: the mark before decimals; the other one is for thousands, in groups of three.

    Cells are bare, or all wear the same: a per cent (which stays 12), a currency, a unit.
    Whole numbers are exact (int64, Int64 with gaps, Python's where those are too short).
    """
    values: list[Any] = []
    empty, dresses, bare, whole = [], set(), False, True
    grouped: dict[str, str] = {}
    comma: dict[str, str] = {}
    shapes = _Shapes(lambda like: (_plain(like, decimal) is not None, _is_grouped(like, decimal)))
    marks = _GAPS | {ord("."): None, ord(","): "."} if decimal == "," else _GAPS | {ord(","): None}
    for word in texts.words:
        if not word or is_empty_word(word):
            empty += [word] if word not in ("", "?") else []
            values.append(None)
            continue
        if word.lower() in INFINITE:
            values.append(INFINITE[word.lower()])
            whole = False
            continue
        cell, judged = shapes.cell_of(word)
        if cell is None:
            return None
        plain, (fine, in_groups) = cell.digits.translate(marks), judged
        if not fine or len(plain) > LONGEST:
            return None
        if cell.dress:
            dresses.add(cell.dress)
        elif plain.strip("0."):
            bare = True
        if in_groups:
            grouped = grouped or {cell.digits: plain}
        elif decimal == "," and "." in plain:
            comma = comma or {cell.digits: plain}
        if "." in plain or cell.exponent:
            whole = False
            values.append(cell.sign * float(f"{plain}e{cell.exponent or 0}"))
        else:
            values.append(cell.sign * int(plain))
    if len(dresses) > 1 or all(value is None for value in values):
        return None
    dress = next(iter(dresses), "")
    if bare and dress and not re.fullmatch(_CURRENCY, dress):
        return None  # 12 beside 12% is not the same kind of number
    empty = list(dict.fromkeys(empty))
    return Numbers(_filled(values, texts.codes, whole), dress, tuple(empty), grouped | comma)


def _filled(values: list[Any], codes: np.ndarray, whole: bool) -> Any:
    """The cells of a column from its different values; -1 is a gap."""
    gaps = bool((codes < 0).any()) or None in values
    if not whole:
        known = np.array([np.nan if value is None else value for value in values] + [np.nan], float)
        return known[codes]
    seen = [value for value in values if value is not None]
    if max(map(abs, seen)) >= 2**63:
        return pd.array([None if c < 0 else values[c] for c in codes], dtype=object)
    if not gaps:
        return np.array(values, np.int64)[codes]
    known = np.array([0 if value is None else value for value in [*values, None]], np.int64)
    missing = np.array([value is None for value in [*values, None]])
    if max(map(abs, seen)) <= 2**53:
        return np.where(missing, np.nan, known)[codes]
    return pd.arrays.IntegerArray(known[codes], missing[codes])


def booleans(texts: Texts) -> tuple[Any, tuple[str, ...]] | None:
    """TRUE, True, true and their contraries, and the words that stand for gaps; or None."""
    if len(texts.words) > REMEMBERED:
        return None
    kinds = [BOOLEANS.get(word.lower()) for word in texts.words]
    others = [word for word, kind in zip(texts.words, kinds, strict=True) if kind is None]
    if len(others) == len(kinds) or not all(not w or is_empty_word(w) for w in others):
        return None
    empty = tuple(word for word in others if word not in ("", "?"))
    if not others and (texts.codes >= 0).all():
        return np.array(kinds, bool)[texts.codes], empty
    cells = [None if code < 0 else kinds[code] for code in texts.codes]
    return pd.array(cells, dtype="boolean"), empty
