"""Several tasks in frames: ranks with the bars of what is alike, scores, performance profiles."""

import numpy as np
import pandas as pd

from jaxopt_course.report import task_statistics
from jaxopt_course.report.task_statistics import Scores

THRESHOLDS = 51


def ranks(scores: Scores) -> pd.DataFrame:
    """A row an optimizer, the best mean rank first: ``optimizer``, ``mean_rank``."""
    means = task_statistics.task_ranks(scores.values).mean(1)
    table = pd.DataFrame({"optimizer": scores.optimizers, "mean_rank": means})
    return table.sort_values("mean_rank", kind="stable", ignore_index=True)


def bars(scores: Scores, level: float = 0.95) -> pd.DataFrame:
    """The bars of the rank diagram: ``first`` and ``last`` places of :func:`ranks`, both from 0.

    Optimizers under one bar differ by less than the critical distance (Nemenyi).
    """
    table = ranks(scores)
    distance = task_statistics.critical_distance(len(table), len(scores.tasks), level)
    found = task_statistics.alike(table["mean_rank"], distance) if np.isfinite(distance) else []
    return pd.DataFrame(found, columns=["first", "last"])


def heat(scores: Scores) -> pd.DataFrame:
    """Mean score over seeds on the common scale: a row an optimizer, a column a task.

    1 is the best optimizer of the task, 0 the worst; rows by mean rank, tasks as given.
    """
    values = task_statistics.normalized(scores.values)
    there = ~np.isnan(values)
    means = np.where(there, values, 0).sum(2) / np.maximum(there.sum(2), 1)
    table = pd.DataFrame(means, index=scores.optimizers, columns=scores.tasks)
    return table.loc[ranks(scores)["optimizer"]]


def profile(scores: Scores, thresholds: int = THRESHOLDS) -> pd.DataFrame:
    """Share of an optimizer's trainings, over all tasks, that score beyond a threshold.

    Returns:
        a row an optimizer (the best mean rank first) and ``threshold`` in [0, 1]: ``share``.
    """
    at = np.linspace(0, 1, thresholds)
    found = task_statistics.performance_profile(task_statistics.normalized(scores.values), at)
    shares = dict(zip(scores.optimizers, found, strict=True))
    parts = [
        pd.DataFrame({"optimizer": name, "threshold": at, "share": shares[name]})
        for name in ranks(scores)["optimizer"]
    ]
    return pd.concat(parts, ignore_index=True)
