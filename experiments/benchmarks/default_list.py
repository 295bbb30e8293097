"""If you can only train k times: the k configurations that together do best over all tables.

Every table of ``optimizers_on_tables.py`` has seen the same configurations. A score counts as the
share of what can be learned there: 0 is the same answer for every row, 1 the best of all
configurations. A list is worth the mean over tables of the best in it; it grows by whatever adds
most (greedy: at least 1 - 1/e of what the best list of that length is worth, Nemhauser et al.
1978). How far it is from 1 on a table that it has not seen is measured by leaving out one table at
a time.

Scores are those of the validation part on one seed, so the best of many is partly luck; regret is
measured on the same scores.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

MEAN, CLIP_NORM = "+ema", 1.0
KEYS = ["entrant", "place"]
LEARNABLE = 0.01  # of accuracy or R²: where less can be won, who is ahead are a few rows


def shares(trials: pd.DataFrame, tables: pd.DataFrame) -> pd.DataFrame:
    """(configurations, tables): the share of what can be learned; 0 where a training diverged.

    Args:
        trials: with ``table``, ``optimizer``, ``place``, ``score`` and ``mean``, more is better.
        tables: with ``table`` and ``baseline``, the score of one answer for all (empty: 0).

    Tables on which no configuration beats that by :data:`LEARNABLE` are left out.
    """
    both = [
        trials.assign(entrant=trials["optimizer"], value=trials["score"]),
        trials.assign(entrant=trials["optimizer"] + MEAN, value=trials["mean"]),
    ]
    both[1] = both[1][both[1].groupby("entrant")["value"].transform("count") > 0]
    wide = pd.concat(both).pivot(index=KEYS, columns="table", values="value")
    base = tables.set_index("table")["baseline"].fillna(0.0).reindex(wide.columns)
    best = wide.max()
    known = best.index[best >= base + LEARNABLE]
    scaled = (wide[known] - base[known]) / (best[known] - base[known])
    return scaled.clip(lower=0.0).fillna(0.0)


def greedy(values: np.ndarray, k: int) -> list[int]:
    """Rows that together do best: each adds most to the mean over columns of the best so far.

    >>> greedy(np.array([[0.9, 0.0], [0.6, 0.6], [0.0, 0.9]]), 2)
    [1, 0]
    """
    chosen: list[int] = []
    reached = np.zeros(values.shape[1])
    for _ in range(min(k, len(values))):
        worth = np.maximum(values, reached).mean(1)
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
        reached = np.maximum(reached, values[chosen[-1]])
    return chosen


def regrets(values: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    """(k, columns): how far the first 1, 2, ..., k of a list are from the best."""
    return 1 - np.maximum.accumulate(values[list(chosen)], axis=0)


def left_out(values: np.ndarray, k: int) -> np.ndarray:
    """(k, columns): the same on each column, of a list that was made without it."""
    columns = range(values.shape[1])
    made = [greedy(np.delete(values, column, axis=1), k) for column in columns]
    return np.stack([regrets(values[:, [i]], made[i])[:, 0] for i in columns], axis=1)


def default_list(trials: pd.DataFrame, tables: pd.DataFrame, k: int = 10) -> pd.DataFrame:
    """A row a configuration, in the order in which to train them.

    Returns:
        The columns of ``trials`` that are numbers of optimizers, ``optimizer`` (with "+ema" where
        the mean of the weights counts), ``clip_norm``, and of the list up to the row ``regret``
        (mean over tables), ``regret_left_out`` (on tables that it was made without) and
        ``worst_left_out``.
    """
    scaled = shares(trials, tables)
    values = scaled.to_numpy()
    chosen, unseen = greedy(values, k), left_out(values, k)
    named = scaled.index[chosen].to_frame(index=False)
    aside = trials.columns.str.match("(table|status|score.*|mean.*)$")
    first = trials.loc[:, ~aside].drop_duplicates(["optimizer", "place"])
    named["base"] = named["entrant"].str.removesuffix(MEAN)
    found = named.merge(
        first.rename(columns={"optimizer": "base"}), on=["base", "place"], how="left"
    )
    found = found.rename(columns={"entrant": "optimizer"}).drop(columns=["base", "place"])
    return found.assign(
        clip_norm=CLIP_NORM,
        regret=regrets(values, chosen).mean(1),
        regret_left_out=unseen.mean(1),
        worst_left_out=unseen.max(1),
    )
