"""Horizons of schedules that nobody wrote, when trials train for longer than was meant."""

from collections.abc import Collection

import pandas as pd

from jaxopt_course.tables.schedules import Share, arguments


def stretched(
    trials: pd.DataFrame, written: Collection[str], before: int, after: int
) -> tuple[pd.DataFrame, set[str]]:
    """A table whose horizons by default, shares of the steps, are those of a longer training.

    Args:
        trials: complete.
        written: columns that somebody wrote; they stay.
        before: steps of the training that the table was completed for.
        after: steps of the longer one.

    Returns:
        the table, and the columns that changed.
    """
    if "schedule" not in trials:
        return trials, set()
    made, changed = trials.copy(), set()
    for row, name in trials["schedule"].items():
        for column, default in arguments(name).items() if pd.notna(name) else ():
            if isinstance(default, Share) and column in trials and column not in written:
                if trials.at[row, column] != default.at(before):
                    continue
                made.at[row, column] = default.at(after)
                changed.add(column)
    return made, changed
