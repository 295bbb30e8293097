"""How much room there is around the best: what lies within a share of it."""

from collections.abc import Sequence

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
