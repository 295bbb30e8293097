"""Columns of a frame in dtypes that all of pandas's functions take."""

from typing import Any

import numpy as np
import pandas as pd


def is_odd(dtype: Any) -> bool:
    """Whether a column of it is to be looked at by :func:`usual`."""
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.kind in "bmO"  # booleans, durations; dictionaries, decimals, lists
    return isinstance(dtype, np.dtype) and not dtype.isnative


def usual(column: pd.Series) -> pd.Series:
    """The same cells: Arrow's booleans, durations and categories, and bytes of other machines.

    pandas has no dtype of its own for what Arrow's dictionaries, decimals and lists are, so its
    ``convert_dtypes`` fails on them, and a boolean of Arrow's is none of its numbers.
    """
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        return column.astype(dtype.newbyteorder("="))
    if dtype.kind == "b":
        return column.astype("boolean")
    if dtype.kind == "m":
        return pd.Series(column.to_numpy("timedelta64[ns]"), column.index, name=column.name)
    return column.astype(object)


def inferred(column: pd.Series) -> pd.Series:
    """By its cells, as pandas infers it; whole numbers beyond 64 bits stay Python's."""
    try:
        with np.errstate(invalid="ignore"):  # pandas 2 looks whether 1e30 is whole
            return column.convert_dtypes()
    except OverflowError:  # of pandas 2
        return column


def decoded(column: pd.Series) -> pd.Series:
    """Bytes as the words that they spell, if all are; ``?`` is a gap: so SciPy reads ARFF files."""
    cells = column[column.notna()]
    if cells.empty or not all(isinstance(cell, bytes) for cell in cells):
        return column
    try:
        words = {cell: cell.decode() for cell in set(cells)} | {b"?": None}
    except UnicodeDecodeError:
        return column
    return column.map(words)
