"""Remarks on values that are taken as they are, and may not be what they seem."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

NINES = [sign * (10.0**digits - 1) for digits in range(2, 10) for sign in (-1, 1)]  # -999 for a gap
TOTALS = frozenset(
    ["total", "totals", "grand total", "sum", "sums", "all", "overall", "average", "mean", "suma",
     "total general", "insgesamt", "gesamt", "summe", "totale", "ensemble", "media", "promedio"]
)  # fmt: skip
_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
WIDE = 1_000  # columns: more are no report of somebody's


def stand_in(values: np.ndarray) -> str:
    """A number such as -999 that may stand for gaps; the others are nearer to each other."""
    known = values[np.isfinite(values)]
    for nines in {known.min(), known.max()} & set(NINES) if len(known) else ():
        rest = known[known != nines]
        if len(rest) and 0 < np.ptp(rest) < abs(rest - nines).min():
            many = len(known) - len(rest)
            rows = "one row" if many == 1 else f"{many} rows"
            return f"{nines:.0f} in {rows}, far from all others: if it is a gap, leave it empty"
    return ""


def sums(table: pd.DataFrame) -> dict[str, str]:
    """Column -> a remark, where the last row is called a total, or is the sum of all others."""
    said: dict[str, str] = {}
    if len(table) < 3 or len(table.columns) > WIDE:
        return said
    for name, cell in zip(table.columns, table.iloc[-1].tolist(), strict=True):
        called = isinstance(cell, str) and cell.casefold().strip(" :.*") in TOTALS
        if called and (table[name] == cell).sum() == 1:
            said[str(name)] = f"the last row is called {cell!r}: take it out if it is a sum"
    summed = [] if said else [name for name in table if _ends_in_its_sum(table[name])]
    if len(summed) > 1:  # of one column alone it may be by chance
        said[str(summed[0])] = "the last row is the sum of all others: take it out"
    return said


def _ends_in_its_sum(column: pd.Series) -> bool:
    """Whether the last number of a column that has others is the sum of those above."""
    if not types.is_numeric_dtype(column) or types.is_bool_dtype(column):
        return False
    values = column.to_numpy(np.float64, na_value=0.0)
    above = values[:-1]
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest
        total = above.sum()
    return bool(
        np.isfinite(total)
        and np.isclose(values[-1], total, rtol=1e-9, atol=0.0)
        and np.count_nonzero(above) > 2
    )


def capitals(words: Sequence[Any]) -> str:
    """Categories that differ in capitals or in what is not seen, as a remark; "" for none."""
    known: dict[str, list[str]] = {}
    for word in words:
        if isinstance(word, str):
            known.setdefault(word.casefold(), []).append(word)
    alike = next((own for own in known.values() if len(own) > 1), [])
    named = " and ".join(map(repr, sorted(alike)))
    if alike:
        return f"{named} differ in capitals alone: are they one?"
    shown: dict[str, list[str]] = {}
    for word in words:
        if isinstance(word, str):
            shown.setdefault(_shown(word), []).append(word)
    same = next((own for own in shown.values() if len(own) > 1), [])
    named = " and ".join(map(ascii, sorted(same)))
    return f"{named} look alike: are they one?" if same else ""


def _shown(word: str) -> str:
    """A word as it is seen: accents in one sign or two, blanks of any kind and number."""
    return " ".join(unicodedata.normalize("NFC", word).translate(_UNSEEN).split()).casefold()
