"""Dates as numbers: year, month, day and the like, where a table's user asks for them."""

import re
import shlex
from collections.abc import Iterable, Mapping

import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.problems.csv.names import listed
from jaxopt_course.problems.csv.numbers import is_empty_word

FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y",
           "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%Y%m%d", "%d-%b-%Y", "%d %b %Y", "%d %B %Y",
           "%b %d, %Y", "%B %d, %Y", "%Y-%m")  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S.%f",
         " %I:%M %p", " %I:%M:%S %p")  # fmt: skip
FIELDS = {"weekday" if f == "day_of_week" else f: f for f in
          ("year", "month", "day", "day_of_week", "hour", "minute", "second")}  # fmt: skip


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

    Args:
        column: of text, or of pandas's own dates; gaps stay gaps.
        form: as ``%d/%m/%Y``; default the one format that reads every cell.

    Raises:
        ValueError: no format reads every cell, or two do and differ; the message names the column.
    """
    times = _times(column, form)
    fields = {name: getattr(times.dt, field) for name, field in FIELDS.items()}
    changing = {
        f"{column.name} {name}": values.astype(float)
        for name, values in fields.items()
        if values.nunique() > 1
    }
    return changing or {f"{column.name} year": fields["year"].astype(float)}


def _times(column: pd.Series, form: str) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    texts = column.map(lambda cell: str(cell).strip(), na_action="ignore").astype(object)
    texts = texts.mask(texts.map(lambda cell: isinstance(cell, str) and is_empty_word(cell)))
    seen = texts.dropna()
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
    found: dict[str, pd.Series] = {}
    sample = seen.iloc[:1].tolist()
    for date in FORMATS:
        for time in TIMES:
            if not sample or pd.isna(
                pd.to_datetime(sample[0], format=date + time, errors="coerce")
            ):
                continue
            times = pd.to_datetime(texts, format=date + time, errors="coerce")
            if not _first_bad(times, texts) and not any(times.equals(t) for t in found.values()):
                found[date + time] = times
    if not found:  # the first cell may be the 1st of a month, read otherwise
        zoned = re.compile(r"\d{4}-\d\d-\d\d[T ].*(Z|[+-]\d\d:?\d\d)")
        if len(seen) and seen.map(lambda cell: zoned.fullmatch(cell) is not None).all():
            times = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
            if bad := _first_bad(times, texts):
                raise ValueError(f"column {column.name!r} has {bad!r}, which is no date")
            return times
        raise ValueError(
            f"column {column.name!r} is no date that is known ({sample[0] if sample else ''!r}): "
            f"give its format, dates={{{column.name!r}: '%d/%m/%Y'}} "
            f"(--dates {shlex.quote(f'{column.name}=%d/%m/%Y')})"
        )
    if len(found) > 1:
        raise ValueError(
            f"column {column.name!r} can be read as {' and as '.join(found)}: give the format, "
            f"dates={{{column.name!r}: {next(iter(found))!r}}} "
            f"(--dates {shlex.quote(f'{column.name}={next(iter(found))}')})"
        )
    return next(iter(found.values()))


def _first_bad(times: pd.Series, texts: pd.Series) -> str | None:
    bad = times.isna() & texts.notna()
    return str(texts[bad].iloc[0]) if bad.any() else None
