"""What does a training step cost more where a mean of the weights is kept beside them?

Question  Is a step of Adam with ``ema_decay`` at most 1.05x one without (MLP, CPU)?
Method    Both programs as a sweep compiles them, the MLP of ``throughput.py`` on one device in the
          default lanes, float32.  They evaluate once, at the end, so that the second evaluation,
          which the mean has of its own, does not count.  Processors' time, so that other programs
          on the machine count little.  The programs take turns, first one first, then the other,
          and the median of the ratios turn by turn counts: a machine that is slow for a minute is
          so for both.  (The least time of each, as it stood here, gave 0.95 to 1.22 for one cell.)
Run       python -m experiments.benchmarks.averaged_steps [--quick]
Result    printed: microseconds a trial-step of both (medians), and their ratio with its quartiles,
          a row an optimizer and batch size.
"""

import argparse
import time

import numpy as np

import jaxopt_course as joc
from experiments.benchmarks.profile import EXAMPLES

OPTIMIZERS, BATCHES, EPOCHS, TURNS = ("sgd", "adam", "muon"), (64, 256), 20, 60


def training(optimizer, batch_size, epochs, **columns):
    """A function that trains the lanes of one device, and the trial-steps that these are."""
    import jax

    from experiments.benchmarks.throughput import make_task
    from jaxopt_course.studies.compiled import compile_bucket
    from jaxopt_course.sweeps.lanes import emptied
    from jaxopt_course.sweeps.program import Table, make_seats
    from jaxopt_course.tables.buckets import split

    device = jax.local_devices()[0]
    trials = joc.grid(learning_rate=[1e-4, 3e-4, 1e-3, 3e-3], seed=0, **columns)
    steps = epochs * (EXAMPLES // batch_size)
    lengths = {"epochs": epochs, "batch_size": batch_size, "evaluate_every": steps}
    [bucket] = split(make_task(EXAMPLES), trials, None, optimizer, **lengths).buckets
    made = compile_bucket(bucket, ("valid_loss", "min"), None, [device])
    lanes, columns = made.program.lanes, made.bucket.columns
    seats = make_seats(Table(**columns.arrays(columns.trials)), np.arange(lanes))
    seats, data = jax.device_put((seats, made.data), device)
    empty = jax.device_put(emptied(made.program.state, lanes), device)
    held = [made.program.seat[0](empty, seats, np.ones(lanes, bool))]
    asked = np.int32(1), np.bool_(False)

    def run():
        held[0], readings = made.program.segment[0](held[0], seats, data, *asked)
        jax.block_until_ready(readings)

    return run, lanes * steps


def paired(runs, turns):
    """(turns, 2), seconds of processors of both, which take turns after a first call of each."""
    for run in runs:
        run()
    seconds = np.empty((turns, 2))
    for turn in range(turns):
        for place in ((0, 1), (1, 0))[turn % 2]:
            start = time.process_time()
            runs[place]()
            seconds[turn, place] = time.process_time() - start
    return seconds


def main(quick=False):
    """Print the table; the ratios, by optimizer and batch size."""
    joc.use_cpu_cores()
    cells = [(name, size) for name in OPTIMIZERS for size in BATCHES][: 1 if quick else None]
    epochs, turns = (1, 2) if quick else (EPOCHS, TURNS)
    print("optimizer   batch   without, µs   with, µs   ratio   (quartiles)")
    ratios = {}
    for name, size in cells:
        plain, steps = training(name, size, epochs)
        averaged, _ = training(name, size, epochs, ema_decay=0.99)
        seconds = paired((plain, averaged), turns)
        without, beside = np.median(seconds, axis=0) / steps * 1e6
        low, ratio, high = np.quantile(seconds[:, 1] / seconds[:, 0], [0.25, 0.5, 0.75])
        ratios[name, size] = float(ratio)
        print(
            f"{name:11s}{size:6d}{without:14.2f}{beside:11.2f}{ratio:8.3f}   "
            f"({low:.3f} to {high:.3f})",
            flush=True,
        )
    return ratios


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one row, to see that it runs")
    main(**vars(parser.parse_args()))
