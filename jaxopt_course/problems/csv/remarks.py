"""Remarks on values that are taken as they are, and may not be what they seem."""

from collections.abc import Sequence
from typing import Any

import numpy as np

NINES = [sign * (10.0**digits - 1) for digits in range(2, 10) for sign in (-1, 1)]  # -999 for a gap


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


def capitals(words: Sequence[Any]) -> str:
    """Categories that differ in capitals alone, as a remark; "" where there are none."""
    known: dict[str, list[str]] = {}
    for word in words:
        if isinstance(word, str):
            known.setdefault(word.casefold(), []).append(word)
    alike = next((own for own in known.values() if len(own) > 1), [])
    named = " and ".join(map(repr, sorted(alike)))
    return f"{named} differ in capitals alone: are they one?" if alike else ""
