"""From what the lanes read to a table and its curves.

Whatever stands after a trial's first bad step is masked, because how long its lane went on depends
on the clock; so the table and the curves are a function of the study alone.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.sweeps.climb import Score
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.patience import Patience, last_improvement
from jaxopt_course.sweeps.snapshot import Results

if TYPE_CHECKING:
    import xarray as xr


class Means(NamedTuple):
    """The curves of N trials, float32."""

    record_steps: np.ndarray  # (R,)
    eval_steps: np.ndarray  # (E,)
    losses: np.ndarray  # (N, R)
    recorded: dict[str, np.ndarray]  # (N, R), by name
    valid: dict[str, np.ndarray]  # (N, E), by name


class Scored(NamedTuple):
    """Which evaluation of a trial is its result, where it is not the last one of its budget."""

    metric: str
    direction: str
    best: bool  # the best one, and not the last one that it has
    patience: Patience | None  # who is stopped by it counts all the same
    each: bool = False  # a scheduler judges each trial alone: whoever is stopped counts


def assemble(
    trials: pd.DataFrame,
    results: Results,
    rhythm: Rhythm,
    metrics: Mapping[str, str] = MappingProxyType({}),
    scored: Scored | None = None,
) -> tuple[pd.DataFrame, "xr.Dataset"]:
    """The table with status and metrics, and the curves with numeric coordinates only.

    Args:
        trials: a row a trial, as asked.
        results: of these.
        rhythm: of each.
        metrics: the task's, with their directions.
        scored: where some are scored by another evaluation than the last one of the budget.
    """
    record_steps, eval_steps, losses, recorded, valid = means_of(results, rhythm)
    import xarray as xr  # late: not needed before a study is there

    curves = xr.Dataset(
        {"train_loss": (("trial", "step"), losses)}
        | {name: (("trial", "step"), x) for name, x in recorded.items()}
        | {f"valid_{name}": (("trial", "eval_step"), x) for name, x in valid.items()},
        coords={
            "trial": trials["trial"].to_numpy(np.int64),
            "step": record_steps,
            "eval_step": eval_steps,
        },
    )
    ends = ends_of(results, scored, rhythm, record_steps, eval_steps)
    return _table(trials, results, losses, recorded, valid, metrics, ends), curves


def means_of(results: Results, rhythm: Rhythm) -> Means:
    """The curves: means between records, evaluations, NaN after a trial's first bad step."""
    bad = np.where(results.first_bad < 0, np.inf, results.first_bad)[:, None]
    record_steps = ticks(rhythm.record_every, rhythm.steps)
    eval_steps = ticks(rhythm.evaluate_every, rhythm.steps)
    losses = _record_means(results.loss_sums, record_steps, rhythm)
    losses = np.where(record_steps > bad, np.float32(np.nan), losses)
    recorded = {
        name: np.where(record_steps > bad, np.float32(np.nan), means)
        for name, sums in results.recorded.items()
        for means in [_record_means(sums, record_steps, rhythm)]
    }
    gone = (eval_steps > bad) | ~np.isfinite(results.valid["loss"])
    valid = {name: np.where(gone, np.float32(np.nan), x) for name, x in results.valid.items()}
    return Means(record_steps, eval_steps, losses, recorded, valid)


def ticks(every: int, steps: int) -> np.ndarray:
    """every, 2 every, …, and the last step."""
    ticks = np.arange(every, steps + 1, every)
    return ticks if steps % every == 0 else np.append(ticks, steps)


def _record_means(sums: np.ndarray, steps: np.ndarray, rhythm: Rhythm) -> np.ndarray:
    """Mean loss since the last record, from the sums over units; float32 (trials, records)."""
    ends = -(-steps // rhythm.unit)  # in units, rounded up: the last unit may be a part
    starts = np.append(0, ends[:-1])
    with np.errstate(invalid="ignore", over="ignore"):
        totals = np.add.reduceat(sums[:, : ends[-1]].astype(np.float64), starts, axis=1)
        return (totals / np.diff(np.append(0, steps))).astype(np.float32)


def _table(
    trials: pd.DataFrame,
    results: Results,
    losses: np.ndarray,
    recorded: Mapping[str, np.ndarray],
    valid: Mapping[str, np.ndarray],
    metrics: Mapping[str, str],
    ends: "Ends",
) -> pd.DataFrame:
    diverged, eval_steps = results.first_bad >= 0, ends.eval_steps
    status = np.select(
        [diverged, results.finished, ends.converged, results.stopped],
        ["diverged", "finished", "converged", "stopped"],
        "unfinished",
    )
    whole = lambda numbers, known: pd.arrays.IntegerArray(np.array(numbers, np.int64), ~known)
    filled = np.where(np.isnan(valid["loss"]), np.inf, valid["loss"])
    best = filled.argmin(axis=1)  # the earliest of equals
    some = np.isfinite(filled).any(axis=1)
    last = np.append(0, eval_steps)[results.progress]  # whatever its evaluations were
    columns = {
        "status": pd.array(status, dtype="string"),
        "first_bad_step": whole(results.first_bad, diverged),
        "stopped_step": whole(last, np.isin(status, ["stopped", "converged"])),
        **ends.scored_step,
        "last_finite_loss": _last_finite(losses),
        "train_loss": ends.record(losses),
        **{name: ends.record(x) for name, x in recorded.items()},
        **{f"valid_{name}": ends.evaluation(x) for name, x in valid.items()},
        "best_valid_loss": np.where(some, filled.min(axis=1), np.nan),
        "best_step": whole(eval_steps[best], some),
        **bests({name: x for name, x in valid.items() if name != "loss"}, metrics),
        **{
            f"test_{name}": np.where(results.finished | ends.converged, x, np.nan)
            for name, x in results.test.items()
        },
    }
    return pd.DataFrame({name: trials[name].array for name in trials} | columns)


class Ends(NamedTuple):
    """Which reading of each trial's curves is its result: the last, or that of an earlier one."""

    results: Results
    converged: np.ndarray  # (N,), bool: stopped by patience, and scored all the same
    places: Mapping[int, int] | None  # row -> position of its evaluation; None where all are last
    record_steps: np.ndarray
    eval_steps: np.ndarray

    @property
    def scored_step(self) -> dict[str, pd.Series]:
        """The column of that name, where any may be scored earlier: after how many updates."""
        if self.places is None:
            return {}
        last = np.full(len(self.results.finished), self.eval_steps[-1], np.int64)
        for row, place in self.places.items():
            last[row] = self.eval_steps[place]
        known = self.results.finished | self.converged
        return {"scored_step": pd.Series(last, dtype="Int64").where(known)}

    def evaluation(self, curves: np.ndarray) -> np.ndarray:
        """(N,): of curves over evaluations; NaN where there is no result."""
        return self._at(curves, self.places or {})

    def record(self, curves: np.ndarray) -> np.ndarray:
        """(N,): of curves over records, the last one that is not after the evaluation."""
        steps = {row: self.eval_steps[place] for row, place in (self.places or {}).items()}
        count = lambda step: int(np.searchsorted(self.record_steps, step, "right"))
        return self._at(curves, {row: count(step) - 1 for row, step in steps.items()})

    def _at(self, curves: np.ndarray, places: Mapping[int, int]) -> np.ndarray:
        values = np.where(self.results.finished, curves[:, -1], np.nan)
        for row, place in places.items():
            values[row] = curves[row, place] if place >= 0 else np.nan
        return values


def ends_of(
    results: Results,
    scored: Scored | None,
    rhythm: Rhythm,
    record_steps: np.ndarray,
    eval_steps: np.ndarray,
) -> Ends:
    """See :class:`Ends`."""
    converged = np.zeros(len(results.finished), bool)
    if scored is None:
        return Ends(results, converged, None, record_steps, eval_steps)
    if scored.each:
        converged = results.stopped.copy()
    elif scored.patience is not None:
        score = scorer(scored.metric, scored.direction, rhythm)(results)
        for row in np.flatnonzero(results.stopped & (results.progress > 0)).tolist():
            curve = score(row, int(results.progress[row]))
            due = last_improvement(curve, scored.patience.min_delta) + scored.patience.evaluations
            converged[row] = due <= len(curve)
    best = best_evaluations(results, scored.metric, scored.direction, rhythm)
    if scored.best:
        mine = np.flatnonzero(converged | results.finished).tolist()
        places = {row: best[row] for row in mine}
    else:
        places = {row: int(results.progress[row]) - 1 for row in np.flatnonzero(converged).tolist()}
    return Ends(results, converged, places, record_steps, eval_steps)


def best_evaluations(
    results: Results, metric: str, direction: str, rhythm: Rhythm
) -> dict[int, int]:
    """Of each trial that was evaluated the position of its best evaluation, the earliest of equals.

    Args:
        results: of the trials.
        metric: a column that may choose.
        direction: "min" or "max".
        rhythm: of the trials.
    """
    score = scorer(metric, direction, rhythm)(results)
    found = {}
    for row in np.flatnonzero(results.progress > 0).tolist():
        curve = score(row, int(results.progress[row]))
        found[row] = int(np.where(np.isnan(curve), np.inf, curve).argmin())
    return found


def bests(valid: Mapping[str, np.ndarray], metrics: Mapping[str, str]) -> dict[str, np.ndarray]:
    """``best_valid_<metric>`` of curves (N, evaluations), by each metric's direction."""
    found = {}
    for name in [name for name in metrics if name in valid]:
        sign = 1.0 if metrics[name] == "min" else -1.0
        curve = sign * valid[name]
        best = np.where(np.isnan(curve), np.inf, curve).min(axis=1)
        found[f"best_valid_{name}"] = np.where(np.isnan(curve).all(axis=1), np.nan, sign * best)
    return found


def with_bests(
    trials: pd.DataFrame, curves: "xr.Dataset", metrics: Mapping[str, str]
) -> pd.DataFrame:
    """The table with ``best_valid_<metric>`` of every metric; older ones have that of the loss."""
    valid = {
        name: curves[f"valid_{name}"].to_numpy()
        for name in metrics
        if f"valid_{name}" in curves and f"best_valid_{name}" not in trials
    }
    return trials.assign(**bests(valid, metrics)) if valid else trials


def _last_finite(losses: np.ndarray) -> np.ndarray:
    """The last record of the training loss that is a number; NaN where there is none."""
    finite = np.isfinite(losses)
    last = losses.shape[1] - 1 - finite[:, ::-1].argmax(axis=1)
    return np.where(finite.any(axis=1), losses[np.arange(len(losses)), last], np.float32(np.nan))


def scorer(metric: str, direction: str, rhythm: Rhythm) -> Callable[[Results], Score]:
    """The curves by which a scheduler compares trials: ``metric``, turned so that less is better.

    Args:
        metric: "train_loss" (its mean over each interval), "valid_..." or "best_valid_...".
        direction: "min" or "max".
        rhythm: of the trials.
    """
    sign = -1.0 if direction == "max" else 1.0
    name = metric.removeprefix("best_").removeprefix("valid_")

    def of(results: Results) -> Score:
        def score(row: int, rung: int) -> np.ndarray:
            if metric == "train_loss":
                sums = results.loss_sums[row, : rung * rhythm.units].astype(np.float64)
                steps = np.diff(
                    np.minimum(np.arange(rung + 1) * rhythm.evaluate_every, rhythm.steps)
                )
                return sign * sums.reshape(rung, rhythm.units).sum(axis=1) / steps
            curve = sign * results.valid[name][row, :rung].astype(np.float64)
            return np.fmin.accumulate(curve) if metric.startswith("best_") else curve

        return score

    return of


def join(
    curves: "xr.Dataset", trials: pd.DataFrame, hyperparameters: Sequence[str]
) -> "xr.Dataset":
    """The curves with hyperparameters, seed and status as coordinates of ``trial``."""
    coordinates = {}
    for name in [*hyperparameters, "seed", "status"]:
        column = trials[name]
        if column.dtype == "Float64":
            values = column.to_numpy(float, na_value=np.nan)
        elif column.isna().any() or column.dtype == "string":
            values = column.to_numpy(object, na_value=None)
        else:
            values = column.to_numpy()
        coordinates[name] = ("trial", values)
    return curves.assign_coords(coordinates)


def bare(curves: "xr.Dataset") -> "xr.Dataset":
    """The curves with the numeric coordinates that go to disk."""
    return curves.drop_vars([c for c in curves.coords if c not in curves.dims])
