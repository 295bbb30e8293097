"""Dates as numbers: year, month, day and the like, where a table's user asks for them."""

import re
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.problems.csv.names import listed
from jaxopt_course.problems.csv.numbers import SHAPES, is_empty_word

FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%y/%m/%d", "%y-%m-%d", "%y.%m.%d",
    "%Y%m%d", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %b, %Y", "%d/%b/%Y", "%d%b%Y", "%d%b%y",
    "%b %d, %Y", "%b %d %Y", "%Y-%b-%d", "%Y %b %d",
)  # fmt: skip
MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%m.%Y", "%b-%y", "%b %y", "%b-%Y", "%b %Y", "%Y %b",
          "%Y-%b", "%YM%m")  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S.%f",
         " %I:%M %p", " %I:%M:%S %p", ":%H:%M:%S", ", %H:%M", ", %I:%M %p",
         ", %H:%M:%S", ", %I:%M:%S %p", " %H:%M:%S,%f", "T%H%M%S")  # fmt: skip
OTHERS = ("%b %d %H:%M:%S %Y", *(time.lstrip(" ") for time in TIMES if time.startswith(" ")))
DIGITS = {4: ("%Y",), 6: ("%Y%m", "%y%m%d"), 8: ("%Y%m%d",), 10: ("%Y%m%d%H",),
          12: ("%Y%m%d%H%M",), 14: ("%Y%m%d%H%M%S",)}  # fmt: skip
EPOCHS = {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}  # of 1970
FIELDS = {"weekday" if f == "day_of_week" else f: f for f in
          ("year", "month", "day", "day_of_week", "hour", "minute", "second")}  # fmt: skip

SPANISH = {"ene": "Jan", "abr": "Apr", "ago": "Aug", "dic": "Dec"}  # others begin as ours
_MONTH = rf"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|{'|'.join(SPANISH)})"
_OF = re.compile(r" del? (?=[a-z\d])", re.IGNORECASE)
_MONTH_NAME = re.compile(rf"(?<![a-z]){_MONTH}[a-z]*\.?(?![a-z])", re.IGNORECASE)
_WEEKDAY = re.compile(r"^(mon|tue|wed|thu|fri|sat|sun)[a-z]*[,.]? +", re.IGNORECASE)
_ZONE = re.compile(r"(\d:\d\d(?::\d\d(?:\.\d+)?)?) *(?:Z|UTC|GMT|[-+]\d\d(?::?\d\d)?)(?= \d{4}$|$)")
_HALF = re.compile(r"(?<=\d) *([ap])\.? ?m\.?$", re.IGNORECASE)
_QUARTER = re.compile(r"(?:(\d{4})[- ]?Q([1-4])|Q([1-4])[- /]?(\d{4}))", re.IGNORECASE)
_WEEK = re.compile(r"(\d{4})-?W(\d\d)")
_ZEROS = str.maketrans("123456789", "0" * 9)
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?")
_NAMED = re.compile(
    rf"(?:\d{{1,4}}[-/ .]*)?(?:de )?{_MONTH}[a-z]*[-/ .,]*(?:del? )?\d{{1,4}}(?:[-/ ,]+\d{{2,4}})?",
    re.IGNORECASE,
)


def formats_of(dates: Iterable[str] | Mapping[str, str], columns: Iterable[str]) -> dict[str, str]:
    """Column -> its format, "" where none is given; ``"day=%d/%m/%Y"`` names one with it."""
    if isinstance(dates, Mapping):
        return dict(dates)
    known, made = set(columns), {}
    for said in listed("dates", dates):
        whole = said in known or not isinstance(said, str)
        name, _, form = (said, "", "") if whole else said.partition("=")
        made[name] = form
    return made


def parts(column: pd.Series, form: str = "") -> dict[str, pd.Series]:
    """Year, month, day, weekday (0 is Monday), hour and minute; those that change.

    Of months there is no weekday.  Times are what the clock said: 13:45+02:00 is 13:45.
    Whole numbers of nine or more digits are counted from 1970, in seconds or parts of one; a
    quarter or a week is its first day.

    Args:
        column: of text, of numbers, or of pandas's own dates and periods; gaps stay gaps.
        form: as ``%d/%m/%Y``, or ``%s`` for seconds; default the one format that reads every cell.

    Raises:
        ValueError: no format reads every cell, or two do and differ; the message names the column.
    """
    times = _times(column, form)
    fields = {name: getattr(times.dt, field) for name, field in FIELDS.items()}
    changing = {
        f"{column.name} {name}": values.astype(float)
        for name, values in fields.items()
        if values.nunique() > 1 and (name != "weekday" or fields["day"].nunique() > 1)
    }
    return changing or {f"{column.name} year": fields["year"].astype(float)}


def like_a_date(word: str) -> bool:
    """Whether it is written as dates are; quick, for it is asked of every word."""
    if _NAMED.fullmatch(word) or _QUARTER.fullmatch(word) or _WEEK.fullmatch(word):
        return True
    day = word.replace("T", " ").split(" ")[0]
    digits = re.split("[-/]", day) if re.search("[-/]", day) else day.split(".")
    if len(digits) != 3 or not all(part.isdigit() for part in digits):
        return False
    longest = max(map(len, digits))  # 1.0.12 is a version
    return longest == 4 or (longest == 2 and len(digits[0]) == len(digits[2]) == 2)


def _times(column: pd.Series, form: str) -> pd.Series:
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    texts = column.map(_text, na_action="ignore").astype(object)
    texts = texts.mask(texts.map(lambda cell: isinstance(cell, str) and is_empty_word(cell)))
    if form == "%s":
        numbers = pd.to_numeric(texts, errors="coerce")
        if bad := _first_bad(numbers, texts):
            raise ValueError(f"column {column.name!r} has {bad!r}, which is no number of seconds")
        return pd.to_datetime(numbers, unit="s")
    if form:
        try:
            times = pd.to_datetime(texts, format=form, errors="coerce")
        except (ValueError, TypeError, re.error) as error:
            raise ValueError(
                f"the format {form!r} of column {column.name!r} is none: {printable(error)}"
            ) from None
        if bad := _first_bad(times, texts):
            raise ValueError(
                f"column {column.name!r} has {bad!r}, which is no date as {printable(form)}"
            )
        return times
    plain = _all_plain(texts)
    found: dict[str, pd.Series] = {}
    odd, fewest = "", len(plain)  # a cell that most others are not written like
    for known, times in _readings(plain):
        unlike = int((times.isna() & plain.notna()).sum())
        if 0 < unlike < fewest:
            odd, fewest = _first_bad(times, texts) or "", unlike
        if not _first_bad(times, plain) and not any(times.equals(t) for t in found.values()):
            found[known] = times
    if len(found) > 1:
        found = _years_last(found, plain)
    if not found:
        seen = texts.dropna()
        but = f", and {odd!r} is not written so" if odd and 2 * fewest < len(seen) else ""
        raise ValueError(
            f"column {column.name!r} is no date that is known "
            f"({seen.iloc[0] if len(seen) else ''!r}{but}): "
            f"give its format, dates={{{column.name!r}: '%d/%m/%Y'}}"
        )
    if len(found) > 1:
        raise ValueError(
            f"column {column.name!r} can be read as {' and as '.join(found)}: give the format, "
            f"dates={{{column.name!r}: {next(iter(found))!r}}}"
        )
    return next(iter(found.values()))


def _text(cell: object) -> str:
    """A cell as text; a column of whole numbers with gaps has floats."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return " ".join(str(cell).split())


def _plain(text: str) -> str:
    """Without the weekday and the zone, months in three letters, AM and PM."""
    text = _ZONE.sub(r"\1", _WEEKDAY.sub("", text))
    text = _HALF.sub(lambda half: f" {half[1].upper()}M", text)
    text = _OF.sub(" ", text)  # 3 de enero de 2020
    return _MONTH_NAME.sub(lambda m: SPANISH.get(m[1].lower(), m[1].title()), text)


def _all_plain(texts: pd.Series) -> pd.Series:
    """Each cell as :func:`_plain` has it; of those that differ in digits alone one is tried."""
    same: dict[str, bool] = {}

    def plain(text: str) -> str:
        shape = text.translate(_ZEROS)
        if shape not in same:
            if len(same) == SHAPES:
                same.clear()
            same[shape] = _plain(shape) == shape
        return text if same[shape] else _plain(text)

    return texts.map(plain, na_action="ignore")


def _readings(texts: pd.Series) -> Iterator[tuple[str, pd.Series]]:
    """Formats that read the first cell, and what they make of all."""
    seen = texts.dropna().tolist()
    if not seen:
        return
    lengths = {len(cell) if cell.isdigit() else 0 for cell in seen}
    digits = DIGITS.get(next(iter(lengths)), ()) if len(lengths) == 1 else ()
    if lengths != {0}:
        for form in digits:
            yield form, pd.to_datetime(texts, format=form, errors="coerce")
    first = seen[0]
    if not first.isdigit():
        for form in (*(d + t for d in FORMATS for t in TIMES), *MONTHS, *OTHERS):
            if pd.notna(pd.to_datetime(first, format=form, errors="coerce")):
                yield form, pd.to_datetime(texts, format=form, errors="coerce")
    if all(map(_ISO.fullmatch, {cell.translate(_ZEROS) for cell in seen})):  # of several lengths
        yield "ISO 8601", pd.to_datetime(texts, format="ISO8601", errors="coerce")
    for shape, first_day in ((_QUARTER, _quarter), (_WEEK, _week)):
        if shape.fullmatch(first):
            days = texts.map(lambda cell, s=shape, f=first_day: f(s.fullmatch(cell)),
                             na_action="ignore")  # fmt: skip
            form = "%Y-%m-%d" if shape is _QUARTER else "%G-%V-%u"
            yield form, pd.to_datetime(days, format=form, errors="coerce")
    numbers = pd.to_numeric(pd.Series(seen), errors="coerce")
    wholes = {len(str(abs(int(n)))) for n in numbers} if numbers.notna().all() else {0}
    units = {EPOCHS.get(length) for length in wholes}
    dated = any(pd.notna(pd.to_datetime(first, format=form, errors="coerce")) for form in digits)
    if len(units) == 1 and (unit := units.pop()) and not dated:
        yield "%s", pd.to_datetime(pd.to_numeric(texts), unit=unit)


def _quarter(match: re.Match[str] | None) -> str:
    if match is None:
        return ""
    year, quarter = match[1] or match[4], int(match[2] or match[3])
    return f"{year}-{3 * quarter - 2:02d}-01"


def _week(match: re.Match[str] | None) -> str:
    return f"{match[1]}-{match[2]}-1" if match else ""


def _years_last(found: dict[str, pd.Series], texts: pd.Series) -> dict[str, pd.Series]:
    """Without years that come first, where the first of two digits changes more than the last."""
    ends = texts.dropna().str.extract(r"^(\d\d)\D\d\d\D(\d\d)(?!\d)")
    if ends.isna().any(axis=None) or ends[0].nunique() <= ends[1].nunique():
        return found
    return {form: times for form, times in found.items() if not form.startswith("%y")}


def _first_bad(times: pd.Series, texts: pd.Series) -> str | None:
    bad = times.isna() & texts.notna()
    return str(texts[bad].iloc[0]) if bad.any() else None
