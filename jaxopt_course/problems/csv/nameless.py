"""Columns without a name: numbers and names of the rows, and what marks at their ends leave."""

import re

import pandas as pd
from pandas.api import types

LEVELS = 5  # of an index, at most
SOME = 1_000  # columns that are looked at together
_NAMELESS = re.compile(r"(Unnamed: \d+(_level_\d+)?(\.\d+)*|\.\.\.\d+|)")


def named(table: pd.DataFrame, notes: dict[str, list[str]]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table without columns that have no name and say nothing; and why they are left out."""
    why: dict[str, str] = {}
    nameless = [name for name in table.columns if _NAMELESS.fullmatch(name)]
    levels = [a for a, b in zip(table.columns, nameless, strict=False) if a == b]
    # As pandas writes an index of several levels; measured numbers are none.
    several = 1 < len(levels) <= LEVELS and len(levels) < len(table.columns)
    several = several and not any(types.is_float_dtype(table[name]) for name in levels)
    several = several and not table.duplicated(levels).any()
    places = [place for place, name in enumerate(table.columns) if _NAMELESS.fullmatch(name)]
    names, kinds = list(table.columns), list(table.dtypes)
    filled = {
        place: int(many)
        for begin in range(0, len(places), SOME)
        for place, many in zip(
            places[begin : begin + SOME],
            table.iloc[:, places[begin : begin + SOME]].notna().sum(),
            strict=True,
        )
    }
    for place, many in filled.items():
        name = names[place]
        whole = types.is_integer_dtype(kinds[place])
        if not many:
            why[name] = "without a name, and empty"
        elif whole and (place == 0 or table[name].is_unique):
            why[name] = "without a name: numbers of the rows"
        elif place == 0 and table[name].is_unique:
            why[name] = "without a name: names of the rows"
        elif several and name in levels:
            why[name] = "without a name: names of the rows, in several columns"
        elif many < len(table) / 2:
            notes.setdefault(name, []).append(
                f"without a name, and filled in {many} of {len(table)} rows: are cells "
                "shifted there?"
            )
    return (table.drop(columns=list(why)) if why else table), why
