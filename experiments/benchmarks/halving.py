"""How much time do schedulers save, and what does the configuration that they choose lose?

Question  243 configurations of Adam on the digits, each evaluated 81 times: successive halving,
          Hyperband, ASHA and median stopping against the full grid.
Method    MLP 64-32-10, batch 64, 81 x 10 steps; eta = 3, one tuning seed. All run in one process,
          with one compiled program, after a warm-up; the grid and the schedulers take turns and
          the best time of each counts. The winner of each is trained again on 30 fresh seeds:
          regret is the mean validation loss of its winner less that of the grid's, both on those
          seeds, and the standard error is that of their difference (paired by seed).
Occupancy The share of the intervals computed by lanes that trials used: overall, and in the calls
          at whose reading more trials were unfinished than there are lanes; unfinished is who will
          train on, even if nobody knows yet.
Run       python experiments/benchmarks/halving.py [--quick]
"""

import argparse
import time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import jaxopt_course as joc

joc.use_cpu_cores()

import jax  # noqa: E402  (the cores are chosen before anything else)

from jaxopt_course.studies.compiled import Compiled, compile_bucket  # noqa: E402
from jaxopt_course.studies.results import scorer  # noqa: E402
from jaxopt_course.sweeps import engine  # noqa: E402
from jaxopt_course.sweeps.climb import Climb  # noqa: E402
from jaxopt_course.sweeps.program import Table  # noqa: E402
from jaxopt_course.tables.buckets import split  # noqa: E402
from jaxopt_course.tables.columns import check_columns  # noqa: E402

ETA, EVALUATIONS, FRESH = 3, 81, range(100, 130)
METRIC = ("valid_loss", "min")
SCHEDULERS = {
    "full grid": None,
    "successive halving": joc.SuccessiveHalving(ETA),
    "Hyperband": joc.Hyperband(ETA),
    "ASHA": joc.ASHA(ETA),
    "median stopping": joc.MedianStopping(),
}


class Run(NamedTuple):
    """One sweep."""

    seconds: float
    results: engine.Results
    occupancy: float
    crowded: float  # occupancy while unfinished trials outnumber lanes

    @property
    def winner(self) -> int:
        """The row of the best trial that finished."""
        final = self.results.valid["loss"][:, -1]
        return int(np.argmin(np.where(self.results.finished, final, np.inf)))


def make_trials() -> pd.DataFrame:
    """27 learning rates x 3 x 3 decay rates."""
    rates = np.geomspace(1e-4, 1.0, 27)
    return joc.grid(
        optimizer="adam", learning_rate=rates, b1=[0.5, 0.9, 0.98], b2=[0.9, 0.99, 0.999]
    )


def prepare(every: int) -> Compiled:
    """The compiled program of all sweeps."""
    task = joc.load_task("digits")
    lengths = {"steps": EVALUATIONS * every, "batch_size": 64, "evaluate_every": every}
    [bucket] = split(task, make_trials(), **lengths).buckets
    return compile_bucket(bucket, METRIC, None, jax.local_devices())


def sweep(session: Compiled, scheduler: Any) -> Run:
    """Train the table once, and watch the lanes."""
    rhythm, trials = session.program.rhythm, session.bucket.columns.trials
    judge = None
    if scheduler is not None:
        judge = scheduler.judge(len(trials), rhythm.intervals, rhythm.evaluate_every)
    climb = Climb(rhythm.intervals, np.arange(len(trials)), judge)
    seen = [(0, 0, np.zeros(len(trials), np.int32))]

    def watch(results: engine.Results) -> None:
        seen.append((results.lane_intervals, results.trial_intervals, results.progress.copy()))

    start = time.perf_counter()
    results = engine.run(
        session.program,
        Table(**session.bucket.columns.arrays(trials)),
        session.data,
        session.trial,
        watch,
        climb=climb,
        score=scorer(*METRIC, rhythm),
    )
    seconds = time.perf_counter() - start
    lanes = session.program.lanes * len(session.program.devices)
    computed = np.diff([one[0] for one in seen])
    used = np.diff([one[1] for one in seen])
    unfinished = np.array([(results.progress > one[2]).sum() for one in seen[:-1]])
    crowded = unfinished > lanes
    share = used[crowded].sum() / computed[crowded].sum() if crowded.any() else np.nan
    return Run(seconds, results, results.occupancy, float(share))


def fresh_losses(session: Compiled, rows: list[int], seeds: range) -> dict[int, np.ndarray]:
    """Validation losses of some configurations on seeds apart from the tuning seed."""
    chosen = make_trials().iloc[rows]
    table = chosen.merge(pd.DataFrame({"seed": list(seeds)}), how="cross")
    checked = check_columns(table, None, session.bucket.budget.steps)
    results = engine.run(
        session.program, Table(**checked.arrays(checked.trials)), session.data, session.trial
    )
    losses = results.valid["loss"][:, -1].reshape(len(rows), len(seeds))
    return dict(zip(rows, losses.astype(float), strict=True))


def main(quick: bool = False) -> dict[str, Run]:
    """Print the table; the best run of each way."""
    every, repeats, seeds = (1, 1, FRESH[:3]) if quick else (10, 3, FRESH)
    session = prepare(every)
    sweep(session, SCHEDULERS["successive halving"])  # warms up
    runs: dict[str, list[Run]] = {name: [] for name in SCHEDULERS}
    for _ in range(repeats):
        for name, scheduler in SCHEDULERS.items():
            runs[name].append(sweep(session, scheduler))
    best = {name: min(tries, key=lambda run: run.seconds) for name, tries in runs.items()}
    grid = best["full grid"]
    for name, tries in runs.items():
        assert len({run.winner for run in tries}) == 1, f"{name} decided by the clock"
    losses = fresh_losses(session, sorted({run.winner for run in best.values()}), seeds)

    program = session.program
    print(
        f"243 trials of {EVALUATIONS} x {every} steps, {program.lanes} lanes on each of "
        f"{len(program.devices)} {program.devices[0].platform} device(s), lowered "
        f"{program.lowerings} time(s)\n"
    )
    head = ("seconds", "time", "steps", "occupied", "crowded", "finished", "regret ± s.e.")
    print(f"{'way':20s}" + "".join(f"{name:>10s}" for name in head[:-1]) + f"{head[-1]:>22s}")
    for name, run in best.items():
        excess = losses[run.winner] - losses[grid.winner]
        error = excess.std(ddof=1) / np.sqrt(len(excess))
        print(
            f"{name:20s}{run.seconds:10.2f}{run.seconds / grid.seconds:10.1%}"
            f"{run.results.trial_steps / grid.results.trial_steps:10.1%}{run.occupancy:10.1%}"
            f"{run.crowded:10.1%}{run.results.finished.sum():10d}"
            f"{excess.mean():+12.5f} ± {error:.5f}"
        )
    own = losses[grid.winner]
    error = own.std(ddof=1) / np.sqrt(len(own))
    print(f"\nthe grid's winner on {len(own)} fresh seeds: loss {own.mean():.4f} ± {error:.4f}")
    print("wanted of successive halving: time at most 30%, regret within one standard error,")
    print("at least 90% occupied while crowded (more unfinished trials than lanes)")
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    main(**vars(parser.parse_args()))
