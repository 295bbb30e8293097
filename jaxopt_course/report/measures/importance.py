"""Which hyperparameter mattered: Optuna's PED-ANOVA, where Optuna is installed."""

import importlib.util
import warnings
from typing import Literal

import numpy as np
import pandas as pd


def available() -> bool:
    """Whether Optuna is installed: ``pip install 'jaxopt-course[optuna]'``."""
    return importlib.util.find_spec("optuna") is not None


def importances(
    configurations: pd.DataFrame, columns: list[str], metric: str, direction: str
) -> pd.DataFrame:
    """How much each number separates the best tenth of configurations from the others.

    Watanabe et al. (2023), "PED-ANOVA", arXiv:2304.10255, as Optuna computes it.

    Args:
        configurations: a row a configuration; those that lack a number or a score are left out.
        columns: numeric hyperparameters; on a logarithmic scale where they span a decade.
        metric: the score.
        direction: "min" or "max".

    Returns:
        A row a column: ``column`` and ``importance``, which sum to 1, the largest first; empty
        where fewer than two columns vary or fewer than ten configurations have all.
    """
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    empty = pd.DataFrame(columns=["column", "importance"])
    kept = configurations[np.isfinite(configurations[metric].astype("float64"))]
    kept = kept.dropna(subset=columns)
    ranges: dict[str, optuna.distributions.BaseDistribution] = {}
    for name in columns:
        values = kept[name].astype(float)
        if values.nunique() > 1:
            low, high = float(values.min()), float(values.max())
            log = low > 0 and high >= 10 * low
            ranges[name] = optuna.distributions.FloatDistribution(low, high, log=log)
    if len(ranges) < 2 or len(kept) < 10:
        return empty
    word: Literal["minimize", "maximize"] = "maximize" if direction == "max" else "minimize"
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the evaluator is young
            study = optuna.create_study(direction=word)
            for _, row in kept.iterrows():
                study.add_trial(
                    optuna.trial.create_trial(
                        params={name: float(row[name]) for name in ranges},
                        distributions=ranges,
                        value=float(row[metric]),
                    )
                )
            found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    finally:
        optuna.logging.set_verbosity(before)
    total = sum(found.values())
    if not total > 0:
        return empty
    rows = [{"column": name, "importance": x / total} for name, x in found.items()]
    return pd.DataFrame(rows).sort_values("importance", ascending=False, ignore_index=True)
