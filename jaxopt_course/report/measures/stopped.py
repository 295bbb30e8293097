"""Where those were that a scheduler stopped."""

import numpy as np
import pandas as pd


def stopped(trials: pd.DataFrame, courses: pd.DataFrame) -> pd.DataFrame:
    """A row a stopped trial: ``trial``, ``optimizer``, ``learning_rate``, its last reading.

    Args:
        trials: with ``trial``, ``status``, ``optimizer`` and ``learning_rate``.
        courses: trial x step, NaN where nothing was read.

    Returns:
        Beside the three of ``trials`` the ``step`` and the ``value`` there; no row for a trial of
        which nothing was read.
    """
    names = ["trial", "optimizer", "learning_rate"]
    own = trials.loc[trials["status"].eq("stopped"), names]
    if courses.empty or own.empty:
        return own[:0].assign(step=np.zeros(0, np.int64), value=np.zeros(0))
    known = courses.reindex(own["trial"].to_numpy()).to_numpy(float)
    there = np.isfinite(known)
    last = known.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
    steps, rows = courses.columns.to_numpy(), np.arange(len(own))
    found = own.assign(step=steps[last], value=known[rows, last])
    return found[there.any(axis=1)].reset_index(drop=True)
