"""Who sat in which lane, when, as the last event of a study has it."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

MOST = 2**53  # of a number that is believed: beyond, it fits no column
COLUMNS = ("device", "lane", "trial", "begin", "end")


def sittings(events: Iterable[Any], trials: pd.DataFrame) -> pd.DataFrame:
    """A row a sitting: :data:`COLUMNS`, in seconds, and whose it was; empty where none is known.

    Args:
        events: of the study; anybody may write there, so what is no sitting is left out.
        trials: with the columns ``trial`` and ``optimizer``.
    """
    told = [event for event in events if isinstance(event, dict) and event.get("sittings")]
    entries = told[-1]["sittings"] if told else []
    rows = [entry for entry in entries if _is_sitting(entry)] if isinstance(entries, list) else []
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    names = dict(zip(trials["trial"].tolist(), trials["optimizer"].astype(str), strict=True))
    table = table.assign(optimizer=table["trial"].map(names))
    return table[table["optimizer"].notna()].reset_index(drop=True)


def busy(table: pd.DataFrame) -> float:
    """The share of the time of all lanes, from the first beginning to the last end, in [0, 1].

    >>> table = pd.DataFrame({"device": "a", "lane": [0, 1], "begin": [0, 0], "end": [4, 2]})
    >>> busy(table)
    0.75
    """
    whole = table["end"].max() - table["begin"].min()
    lanes = len(table.drop_duplicates(["device", "lane"]))
    return float((table["end"] - table["begin"]).sum() / (lanes * whole)) if whole > 0 else 1.0


def _is_sitting(entry: Any) -> bool:
    if not isinstance(entry, list) or len(entry) != len(COLUMNS):
        return False
    device, *numbers = entry
    known = all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    if not known or not isinstance(device, str) or not all(abs(n) < MOST for n in numbers):
        return False
    lane, trial, begin, end = numbers
    return isinstance(lane, int) and isinstance(trial, int) and lane >= 0 and 0 <= begin <= end
