"""What a study tells a tool that tracks runs: a run a trial.

Numbers that are none (a loss after a trial diverged, a metric that is not defined) are left out:
tools draw them as zeros, clamp them or fail; ``status`` and ``first_bad_step`` say what happened.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from jaxopt_course.records.format import making
from jaxopt_course.report.tables import several_tasks

RESULT = "result/"  # how names of what the whole trial measured begin
NO_MEASURE = {"trial", "seed", "duplicate_of"}


class Run(NamedTuple):
    """A trial."""

    trial: int  # its number in the table
    name: str  # trial-0012
    settings: dict[str, Any]  # its hyperparameters and seed, but for empty cells
    status: str
    measures: dict[str, float]  # of the whole trial: valid_loss, test_accuracy, best_step, ...
    curve: list[tuple[int, dict[str, float]]]  # step -> what was recorded there, by step

    @property
    def last_step(self) -> int:
        """Where its curve ends; 0 where it has none."""
        return self.curve[-1][0] if self.curve else 0


def results(measures: Mapping[str, float]) -> dict[str, float]:
    """Measures of a whole trial, under names apart: a curve may be called as they are."""
    return {f"{RESULT}{name}": value for name, value in measures.items()}


class Whole(NamedTuple):
    """The study."""

    facts: dict[str, str]  # task, budget, versions, hashes, in words
    counts: dict[str, int]  # trials by status
    best: dict[str, Any]  # of the best configuration; none where nothing finished, or tasks differ
    measures: dict[str, float]  # its scores


def config(name: str, whole: Whole, run: Run) -> dict[str, Any]:
    """Of a trial in one mapping: the study's facts, and its own settings, which come first.

    A study of several tasks has the trial's own under ``task``.
    """
    return {"status": run.status, "study": name} | whole.facts | run.settings


def runs(trials: pd.DataFrame, curves: xr.Dataset, manifest: Mapping[str, Any]) -> Iterator[Run]:
    """The trials in the order of the table; rows that repeat an earlier trial are left out.

    Args:
        trials: a row a trial, with the results of training.
        curves: of these rows.
        manifest: of the study.
    """
    settings = [*manifest["hyperparameters"], "seed"]
    measured = [
        name
        for name in trials
        if name not in NO_MEASURE | {*settings} and pd.api.types.is_numeric_dtype(trials[name])
    ]
    arrays = {
        str(name): (curves[str(curve.dims[1])].to_numpy(), curve.to_numpy())
        for name, curve in curves.data_vars.items()
    }
    given = trials[settings].astype(object).to_dict("records")
    numbers = trials[measured].astype(object).to_dict("records")
    digits = max(4, len(str(trials["trial"].max())))
    once = trials["duplicate_of"].isna().to_numpy()
    for row in np.flatnonzero(once).tolist():
        trial = int(trials["trial"].iloc[row])
        yield Run(
            trial=trial,
            name=f"trial-{trial:0{digits}d}",
            settings={name: plain(x) for name, x in given[row].items() if not pd.isna(x)},
            status=str(trials["status"].iloc[row]),
            measures=finite(numbers[row]),
            curve=_curve(arrays, row),
        )


def _curve(
    arrays: Mapping[str, tuple[np.ndarray, np.ndarray]], row: int
) -> list[tuple[int, dict[str, float]]]:
    at: dict[int, dict[str, float]] = {}
    for name, (steps, values) in arrays.items():
        own = values[row]
        for column in np.flatnonzero(np.isfinite(own)).tolist():
            at.setdefault(int(steps[column]), {})[name] = float(own[column])
    return sorted(at.items())


def whole(trials: pd.DataFrame, ranked: pd.DataFrame, manifest: Mapping[str, Any]) -> Whole:
    """The study as a whole, with its best configuration by its own metric.

    Args:
        trials: a row a trial.
        ranked: its configurations, the best first, as ``Study.configurations`` has them.
        manifest: of the study.
    """
    columns, metric = making(manifest), manifest["metric"]
    first = ranked.iloc[0].to_dict()
    chosen = not pd.isna(first[metric]) and not several_tasks(manifest)
    scores = {name: x for name, x in first.items() if str(name).startswith(("valid_", metric))}
    task = manifest["task"]
    facts = {
        "task": task["name"],
        "metric": f"{metric} ({manifest['direction']})",
        "budget": ", ".join(f"{k} {v}" for k, v in manifest["budget"].items() if v is not None),
        "seeds": ", ".join(map(str, manifest["seeds"])),
        "command": manifest.get("command", ""),
        "versions": ", ".join(f"{k} {v}" for k, v in manifest["versions"].items()),
        "data_sha256": task.get("split_sha256", ""),
        "program_sha256": manifest["program_sha256"],
        "trials_sha256": manifest["trials_sha256"],
    }
    return Whole(
        facts={name: str(fact) for name, fact in facts.items() if fact},
        counts={str(k): int(n) for k, n in trials["status"].value_counts().items()},
        best={n: plain(first[n]) for n in columns if not pd.isna(first[n])} if chosen else {},
        measures=finite(scores) if chosen else {},
    )


def plain(value: Any) -> Any:
    """A cell as Python has it: no numpy scalar."""
    return value.item() if isinstance(value, np.generic) else value


def finite(values: Mapping[Any, Any]) -> dict[str, float]:
    """Those that are finite numbers."""
    return {
        str(name): float(value)
        for name, value in values.items()
        if not pd.isna(value) and math.isfinite(value)
    }
