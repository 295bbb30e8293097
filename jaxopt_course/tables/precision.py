"""Numbers that float32, in which trials train, would change by more than rounding."""

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd

from jaxopt_course.tables.encode import DECAYS

LEAST = float(np.finfo(np.float32).tiny)  # smaller ones are 0 on most devices
WHOLE = 2**24  # beyond, float32 has not every whole number


def check_precision(
    given: pd.DataFrame, names: Iterable[str], taken: pd.DataFrame | None = None
) -> None:
    """Refuse cells that would train as something else than the table says; warn of equal ones.

    0.1 in float32 is off by 1.5e-8 of itself, which is rounding.  1e-50 is 0 there, and 16777217
    steps are 16777216: refused.  0.99999999 is 1, so that a memory of it would never fade (but for
    b1, b2, decay, rho and ema_decay, which enter as 1 - b too), and two rates may become one:
    warned of.

    Args:
        given: a normalised table; its rows are counted in messages.
        names: the columns to look at.
        taken: the same rows as programs take them; whole numbers may have become reals there.

    Raises:
        ValueError: there is such a cell; the message names column, row and both numbers.
    """
    for name in names:
        column = given[name]
        if column.dtype == "Float64":
            values = column.to_numpy(float, na_value=0.0)
            single = values.astype(np.float32).astype(float)
            lost = (abs(values) < LEAST) & (values != 0)
            if name not in (*DECAYS, "learning_rate"):
                _warn_of_one(name, values[(single == 1) & (values < 1 - 1e-12)])
        elif column.dtype == "Int64" and taken is not None and taken[name].dtype == "Float64":
            values = column.to_numpy(np.int64, na_value=0)
            single = values.astype(np.float32).astype(np.int64)
            lost = (abs(values) > WHOLE) & (single != values)
        else:
            continue
        if lost.any():
            row = int(lost.argmax())
            shown = 0 if abs(values[row]) < LEAST else f"{single[row]:.17g}"
            raise ValueError(
                f"column {name!r} has {column.iloc[row]} in row {row}, which is {shown} in "
                "float32, in which trials train: give a number that float32 has, or another scale"
            )
        _warn_of_equals(name, values, single)


def _warn_of_one(name: str, values: np.ndarray) -> None:
    if len(values):
        warnings.warn(
            f"column {name!r}: {values[0]:.17g} is 1 in float32, in which trials train: 1 minus it "
            "is 0 there",
            stacklevel=5,
        )


def _warn_of_equals(name: str, values: np.ndarray, single: np.ndarray) -> None:
    different, first = np.unique(values, return_index=True)
    if len(np.unique(single[first])) == len(different):
        return
    same = np.flatnonzero(np.diff(single[first]) == 0)[0]
    warnings.warn(
        f"column {name!r}: {different[same]:.17g} and {different[same + 1]:.17g} are one number in "
        "float32, in which trials train: what else is equal in their rows is trained twice",
        stacklevel=5,
    )
