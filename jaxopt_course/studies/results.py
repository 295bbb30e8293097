"""From what the lanes read to a table and its curves.

Whatever stands after a trial's first bad step is masked, because how long its lane went on depends
on the clock; so the table and the curves are a function of the study alone.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jaxopt_course.sweeps.climb import Score
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.snapshot import Results


def assemble(
    trials: pd.DataFrame, results: Results, rhythm: Rhythm
) -> tuple[pd.DataFrame, xr.Dataset]:
    """The table with status and metrics, and the curves with numeric coordinates only."""
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
    return _table(trials, results, losses, recorded, valid, eval_steps), curves


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
    eval_steps: np.ndarray,
) -> pd.DataFrame:
    diverged = results.first_bad >= 0
    status = np.select(
        [diverged, results.finished, results.stopped],
        ["diverged", "finished", "stopped"],
        "unfinished",
    )
    final = lambda x: np.where(results.finished, x, np.nan)
    first_bad = pd.Series(results.first_bad, dtype="Int64").mask(~diverged)
    filled = np.where(np.isnan(valid["loss"]), np.inf, valid["loss"])
    best = filled.argmin(axis=1)  # the earliest of equals
    some = np.isfinite(filled).any(axis=1)
    evaluated = (~np.isnan(valid["loss"])).sum(axis=1)
    last = pd.Series(eval_steps[np.maximum(evaluated, 1) - 1], dtype="Int64")
    columns = {
        "status": pd.Series(status, dtype="string"),
        "first_bad_step": first_bad,
        "stopped_step": last.mask(status != "stopped"),
        "last_finite_loss": _last_finite(losses),
        "train_loss": final(losses[:, -1]),
        **{name: final(x[:, -1]) for name, x in recorded.items()},
        **{f"valid_{name}": final(x[:, -1]) for name, x in valid.items()},
        "best_valid_loss": np.where(some, filled.min(axis=1), np.nan),
        "best_step": pd.Series(eval_steps[best], dtype="Int64").mask(~some),
        **{f"test_{name}": final(x) for name, x in results.test.items()},
    }
    return pd.concat([trials.reset_index(drop=True), pd.DataFrame(columns)], axis=1)


def _last_finite(losses: np.ndarray) -> np.ndarray:
    """The last record of the training loss that is a number; NaN where there is none."""
    finite = np.isfinite(losses)
    last = losses.shape[1] - 1 - finite[:, ::-1].argmax(axis=1)
    return np.where(finite.any(axis=1), losses[np.arange(len(losses)), last], np.float32(np.nan))


def scorer(metric: str, direction: str, rhythm: Rhythm) -> Callable[[Results], Score]:
    """The curves by which a scheduler compares trials: ``metric``, turned so that less is better.

    Args:
        metric: "train_loss" (its mean over each interval), "valid_..." or "best_valid_loss".
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
            return np.minimum.accumulate(curve) if metric.startswith("best_") else curve

        return score

    return of


def join(curves: xr.Dataset, trials: pd.DataFrame, hyperparameters: Sequence[str]) -> xr.Dataset:
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


def bare(curves: xr.Dataset) -> xr.Dataset:
    """The curves with the numeric coordinates that go to disk."""
    return curves.drop_vars([c for c in curves.coords if c not in curves.dims])
