"""Where differences come from: the optimizer, its hyperparameters, or the seed."""

import numpy as np
import pandas as pd

SOURCES = ("optimizer", "hyperparameters", "seed")


def variance_shares(
    trials: pd.DataFrame, metric: str, draws: int = 400, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Shares of the variance of one training's result, by moments of a nested design.

    With r seeds a configuration and c configurations an optimizer (harmonic means):
    σ²_seed is the mean variance within configurations, σ²_hyperparameters that of their means
    within an optimizer less σ²_seed / r, σ²_optimizer that of the optimizers' means less
    (σ²_hyperparameters + σ²_seed / r) / c; below 0 is 0.  Searle, Casella & McCulloch (1992),
    "Variance Components", section 3.6.

    Args:
        trials: columns ``optimizer``, ``configuration`` and ``metric``; rows without a finite
            value are left out.
        metric: the column.
        draws: bootstrap samples, of the configurations of each optimizer.
        seed: of the bootstrap.
        level: of the intervals.

    Returns:
        A row a source of :data:`SOURCES`: ``share`` (they sum to 1), ``low`` and ``high``.  Empty
        where no configuration has two seeds or all values are equal.
    """
    columns = ["source", "share", "low", "high"]
    values = trials[metric].astype("float64")
    kept = trials.assign(value=values)[np.isfinite(values)]
    groups = kept.groupby(["optimizer", "configuration"], sort=False)["value"]
    table = groups.agg(["mean", "var", "size"]).reset_index()
    found = _shares(*_arrays(table))
    if found is None:
        return pd.DataFrame(columns=columns)
    random = np.random.default_rng(seed)
    places = [np.asarray(p) for p in table.groupby("optimizer", sort=False).indices.values()]
    drawn = []
    arrays = _arrays(table)
    for _ in range(draws):
        rows = np.concatenate([random.choice(p, len(p)) for p in places])
        again = _shares(*(array[rows] for array in arrays))
        if again is not None:
            drawn.append(again)
    edges = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    low, high = np.minimum(edges[0], found), np.maximum(edges[1], found)
    return pd.DataFrame({"source": SOURCES, "share": found, "low": low, "high": high})


def _arrays(table: pd.DataFrame) -> tuple[np.ndarray, ...]:
    codes = pd.factorize(table["optimizer"])[0]
    return codes, *(table[name].to_numpy(float) for name in ("mean", "var", "size"))


def _shares(
    codes: np.ndarray, means: np.ndarray, variances: np.ndarray, sizes: np.ndarray
) -> np.ndarray | None:
    several = sizes > 1
    if not several.any():
        return None
    noise = float(np.average(variances[several], weights=sizes[several] - 1))
    seeds = len(sizes) / (1 / sizes).sum()
    count = np.bincount(codes)
    count = count[count > 0]
    of = [means[codes == code] for code in np.unique(codes)]
    within, free = sum(((m - m.mean()) ** 2).sum() for m in of), len(means) - len(of)
    spread = max(0.0, float(within / free) - noise / seeds) if free else 0.0
    centre = np.array([m.mean() for m in of])
    between = 0.0
    if len(of) > 1:
        configurations = len(count) / (1 / count).sum()
        between = float(centre.var(ddof=1)) - (spread + noise / seeds) / configurations
    parts = np.array([max(0.0, between), spread, noise])
    total = parts.sum()
    return parts / total if total > 0 else None
