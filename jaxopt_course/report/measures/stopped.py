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
    own = trials.loc[trials["status"].eq("stopped"), names] if len(courses) else trials[names][:0]
    known = courses.reindex(own["trial"].to_numpy()).to_numpy(float).reshape(len(own), -1)
    there = np.isfinite(known)
    last = known.shape[1] - 1 - there[:, ::-1].argmax(axis=1) if known.size else np.zeros(0, int)
    found = own.assign(
        step=courses.columns.to_numpy()[last] if known.size else np.zeros(0, int),
        value=known[np.arange(len(own)), last] if known.size else np.zeros(0),
    )
    return found[found["value"].notna()].reset_index(drop=True)
