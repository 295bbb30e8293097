"""Who is told how far a bucket is: the progress line, and a function of the user's."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.studies.readings import Telling
from jaxopt_course.studies.seen import Seen
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.progress import ProgressLine, Tally
from jaxopt_course.sweeps.snapshot import Results, Snapshot
from jaxopt_course.tables.buckets import Bucket
from jaxopt_course.train import Budget


def hearer(
    seen: Seen, rhythm: Rhythm, trials: pd.DataFrame, resume: Snapshot | None
) -> Telling | None:
    """What calls the user's function with what is new; None without one."""
    if seen.on_reading is None:
        return None
    told = np.zeros(len(trials), np.int32) if resume is None else resume.results.progress
    numbers = trials["trial"].to_numpy(np.int64)
    return Telling(seen.on_reading, numbers, rhythm, told)


def teller(
    bucket: Bucket,
    chosen: tuple[str, str],
    line: ProgressLine,
    trials: pd.DataFrame,
    earlier_steps: int,
) -> Callable[..., None]:
    """Tell the progress line how far the engine is, with the best trial so far."""
    metric, direction = chosen
    name = metric.removeprefix("best_").removeprefix("valid_")
    better = np.nanmax if direction == "max" else np.nanmin
    several = len(bucket.columns.optimizers) > 1

    def best(results: Results) -> str:
        shown = name if name in results.valid else "loss"
        scores = results.valid[shown][:, -1]
        scores = np.where(results.finished, scores, np.nan)
        if np.isnan(scores).all():
            return ""
        value = better(scores)
        row = int(np.flatnonzero(scores == value)[0])
        return f"{printable(shown)} {value:.4g}" + (
            f" ({printable(trials['optimizer'].iloc[row])})" if several else ""
        )

    def tell(results: Results, last: bool = False) -> None:
        if not line.is_due(last):
            return
        tally = Tally(
            over=int(results.over.sum()),
            total=len(trials),
            diverged=int((results.first_bad >= 0).sum()),
            trial_steps=results.trial_steps,
            total_steps=_steps_to_do(bucket.budget, results),
            best=best(results),
            earlier_steps=earlier_steps,
            waited=results.read.get("share_waited", 0.0),
        )
        line.update(tally, last)

    return tell


def _steps_to_do(budget: Budget, results: Results) -> int:
    """Training steps of all trials, as far as they are known to train."""
    alive = results.first_bad < 0
    steps = np.minimum(results.until[alive] * budget.evaluate_every, budget.steps)
    return int(steps.sum()) + int(results.first_bad[~alive].sum())
