"""A study as ``--json`` tells it: the verdict, and a winner an optimizer."""

from pathlib import Path
from typing import Any

import pandas as pd

from jaxopt_course.report import verdict
from jaxopt_course.report.findings import Findings

SEARCH = ("seeds", "diverged", "stopped", "unfinished")
INTERVAL = ("mean", "half_width", "low", "high", "seeds", "n")


def study_document(findings: Findings, page: Path, **more: Any) -> dict[str, Any]:
    """What ``compare``, ``sweep``, ``resume`` and ``report`` answer.

    ``ranking`` is a row an optimizer, best first: ``rank``, ``optimizer``, ``settings`` (all
    hyperparameters of its winner), ``search`` (``mean`` and ``std`` of the metric over the
    search's seeds, and how these ended), ``fresh`` and ``test`` (mean and 95% interval of the
    metric, and of the test metric, over fresh seeds; null where there are none), ``trials`` and
    ``trials_diverged`` (of the optimizer).  ``comparisons`` are the rows of
    :func:`~jaxopt_course.report.statistics.paired`.

    Args:
        findings: of the study.
        page: that was written of it.
        **more: entries of the command's own.
    """
    counts = findings.trials["status"].value_counts()
    return {
        "directory": findings.directory,
        "page": page,
        "task": findings.manifest["task"]["name"],
        "metric": findings.metric,
        "test_metric": findings.test_metric,
        "direction": findings.manifest["direction"],
        "confirmed": findings.confirmed,
        "verdict": verdict.headline(findings),
        "remarks": verdict.remarks(findings),
        "trials": {str(status): int(n) for status, n in counts.items()},
        "comparisons": findings.comparisons.to_dict("records"),
        "ranking": [_row(findings, row) for _, row in findings.ranking.iterrows()],
        **more,
    }


def _row(findings: Findings, row: pd.Series) -> dict[str, Any]:
    metric, name = findings.metric, row["optimizer"]
    settings = [n for n in findings.hyperparameters if n != "optimizer" and not pd.isna(row[n])]
    search = {"mean": row[metric], "std": row[f"{metric}_std"]} | {n: row[n] for n in SEARCH}
    fresh = _interval(findings, name, metric) if findings.confirmed else None
    return {
        "rank": row["rank"],
        "optimizer": name,
        "settings": {setting: row[setting] for setting in settings},
        "search": search,
        "fresh": fresh,
        "test": _interval(findings, name, findings.test_metric),
        "trials": row["trials"],
        "trials_diverged": row["trials_diverged"],
    }


def _interval(findings: Findings, optimizer: str, metric: str | None) -> dict[str, Any] | None:
    table = findings.intervals
    own = table[(table["optimizer"] == optimizer) & (table["metric"] == metric)]
    if own.empty:
        return None
    first = own.iloc[0]
    told = {name: first[name] for name in INTERVAL}
    return told | {"diverged": round(first["diverged"] * first["seeds"])}
