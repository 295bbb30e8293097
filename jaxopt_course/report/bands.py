"""What repetition says: means over seeds, with the interval or the range that they leave open."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from jaxopt_course.report.tables import DONE, configuration_numbers, finite, once, same


def intervals(
    trials: pd.DataFrame,
    hyperparameters: Sequence[str],
    metrics: Iterable[str],
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean and t-interval of each metric over the seeds of each configuration.

    Returns:
        A row a configuration (in order of appearance) and metric: the hyperparameters, ``metric``,
        ``seeds`` (trials), ``n`` (those with a finite value), ``mean``, ``half_width``, ``low``,
        ``high`` of those ``n``, ``diverged`` (share of the seeds, 0 to 1) and ``undefined``
        (number of those that finished without a finite value). One value has no interval: NaN.
        Where ``diverged`` or ``undefined`` is not 0 the mean is that of the other seeds only.
    """
    from scipy.special import stdtrit  # the quantile of Student's t; scipy.stats takes 0.5 s more

    trials = once(trials)
    rows: list[dict[str, Any]] = []
    for _, group in trials.groupby(configuration_numbers(trials, hyperparameters)):
        configuration = group[list(hyperparameters)].iloc[0].to_dict()
        for metric in metrics:
            found = finite(group[metric])
            values = found.dropna().to_numpy()
            n = len(values)
            mean = values.mean() if n else np.nan
            half = np.nan
            if n > 1:
                half = stdtrit(n - 1, (1 + level) / 2) * values.std(ddof=1) / np.sqrt(n)
            rows.append(
                configuration
                | {"metric": metric, "seeds": len(group), "n": n, "mean": mean}
                | {"half_width": half, "low": mean - half, "high": mean + half}
                | {"diverged": group["status"].eq("diverged").mean()}
                | {"undefined": int((group["status"].isin(DONE) & found.isna()).sum())}
            )
    own = ["metric", "seeds", "n", "mean", "half_width", "low", "high", "diverged", "undefined"]
    return pd.DataFrame(rows, columns=[*hyperparameters, *own])


def curves(
    dataset: xr.Dataset,
    trials: pd.DataFrame,
    chosen: pd.DataFrame,
    hyperparameters: Sequence[str],
    names: Iterable[str],
    most: int = 1000,
) -> pd.DataFrame:
    """The course of training of some configurations, as a band over their seeds.

    Args:
        dataset: arrays over (trial, step) or (trial, eval_step), NaN after a trial's end.
        trials: the table of the same trials.
        chosen: a row a configuration wanted, such as the winners.
        hyperparameters: the columns that make a configuration.
        names: the arrays wanted, such as ``train_loss``.
        most: a longer curve is thinned evenly to about this many points, its last one kept.

    Returns:
        A row a configuration, array and step: the hyperparameters, ``quantity``, ``step`` (updates
        done), ``mean``, ``low``, ``high`` (minimum and maximum over seeds) and ``seeds``. A band
        ends where the first of its seeds diverges; unfinished seeds count only if there are no
        others.
    """
    trials = once(trials)
    parts = []
    for place, (_, row) in enumerate(chosen.iterrows()):
        mine = trials[same(trials, row, hyperparameters)]
        ended = mine[mine["status"].isin([*DONE, "diverged"])]
        wanted = (ended if len(ended) else mine)["trial"].to_numpy()
        for name in names if len(wanted) else ():
            array = dataset[name].sel(trial=wanted)
            array = array.dropna(array.dims[1], how="all")  # steps of trials of another batch size
            step = array[array.dims[1]].to_numpy()
            kept = np.arange(len(step))[:: -max(1, len(step) // most)][::-1]
            values = array.to_numpy().astype("float64")[:, kept]
            values = np.where(np.isfinite(values), values, np.nan)
            band = {"step": step[kept], "mean": values.mean(0), "low": values.min(0)}
            part = pd.DataFrame(band | {"high": values.max(0)}, index=np.full(len(kept), place))
            part.insert(0, "quantity", name)
            part["seeds"] = len(wanted)
            parts.append(part[part["mean"].notna()])
    parts = [part for part in parts if len(part)]
    own = ["quantity", "step", "mean", "low", "high", "seeds"]
    if not parts:
        kinds = dict.fromkeys(own[2:5], "float64") | dict.fromkeys(["step", "seeds"], "int64")
        return pd.DataFrame(columns=[*hyperparameters, *own]).astype(kinds)
    bands = pd.concat(parts)
    # taken from chosen, a column keeps its dtype: pieces without a value would have a say in it
    configurations = chosen[list(hyperparameters)].iloc[bands.index].reset_index(drop=True)
    return pd.concat([configurations, bands.reset_index(drop=True)], axis=1)
