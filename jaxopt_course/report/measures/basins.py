"""How much room there is around the best: what lies within a share of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def basin(
    configurations: pd.DataFrame,
    columns: Sequence[str],
    metric: str,
    direction: str,
    within: float = 0.05,
) -> pd.DataFrame:
    """The configurations of each optimizer that have all ``columns``, and which are nearly best.

    Args:
        configurations: a row a configuration, with ``optimizer``, ``columns`` and ``metric``.
        columns: the numbers of the map.
        metric: the score; NaN is none, and never inside.
        direction: "min" or "max".
        within: of the best score's size.

    Returns:
        ``optimizer``, ``columns``, ``score`` and ``inside``: whether the score is within
        ``within`` of the best of its optimizer.
    """
    sign = 1 if direction == "max" else -1
    kept = configurations.dropna(subset=list(columns))
    table = kept[["optimizer", *columns]].assign(score=kept[metric].astype("float64"))
    best = (sign * table["score"]).groupby(table["optimizer"]).transform("max")
    inside = sign * table["score"] >= best - within * best.abs()
    return table.assign(inside=inside).reset_index(drop=True)


def widths(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """How wide the basin of each optimizer is along a column, from its best outwards.

    The values next to the best that are inside without a gap, others at their best for each.

    Args:
        table: what :func:`basin` returned.
        column: one of its columns.

    Returns:
        A row an optimizer: ``low``, ``high`` and, where both are above 0, ``decades`` between.
    """
    rows = []
    for name, part in table.groupby("optimizer", sort=False):
        best = part.groupby(column)["inside"].any().sort_index()
        inside = best.to_numpy(bool)
        if not inside.any():
            continue
        # of several runs the longest: the best itself stands in one of them
        edges = np.flatnonzero(np.diff(np.concatenate([[0], inside, [0]])))
        runs = edges.reshape(-1, 2)
        start, stop = max(runs, key=lambda run: run[1] - run[0])
        low, high = float(best.index[start]), float(best.index[stop - 1])
        decades = np.log10(high / low) if low > 0 else np.nan
        rows.append({"optimizer": name, "low": low, "high": high, "decades": decades})
    return pd.DataFrame(rows, columns=["optimizer", "low", "high", "decades"])
