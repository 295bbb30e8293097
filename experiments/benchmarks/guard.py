"""Has the engine become slower than it was? Ratios to code by hand that does the same work.

Question  How many times as fast as by hand is (throughput) a sweep of 32 trials on all cores, on
          the clock, against chunks of vmap on one device; (a core) the same by processors' time;
          (few) a sweep of four trials against one after another, by processors' time?
Method    MLP 20-64-64-1 with Adam, batch 64. By hand is ``jit(vmap(scan))`` or ``jit(scan)`` with
          optax; it shuffles each trial's examples by the same bijection, an epoch at a time, and
          evaluates after each epoch, as the engine does, and is compiled with the engine's options:
          without them it takes up to twice the processors' time where threads have nothing else
          to do, which says nothing of the engine.  All in one process, turn about, compilation
          left out; the best of five of each way.
          A ratio below 0.85 of the last row of guard.csv is measured once more before it fails;
          that on the clock only where there are as many cores.
Run       python -m experiments.benchmarks.guard            (exit 1 where it fails)
          python -m experiments.benchmarks.guard --record   (a row more, and the figure anew)
"""

import argparse
import csv
import datetime
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import jaxopt_course as joc

HERE = Path(__file__).parent
HISTORY = HERE / "guard.csv"
PICTURE = HERE.parent / "pictures" / "guard.png"
RATIOS = ("throughput", "a core", "few")
LEAST, REPEATS = 0.85, 5
MANY, FEW, CHUNK, STEPS = 32, 4, 4, 975


def by_hand(case, valid, width):
    """Trials in chunks of ``width``, one by one where it is 1: own order, Adam, evaluation."""
    import jax
    import optax

    from experiments.benchmarks.side_by_side.by_hand import step_of
    from experiments.benchmarks.side_by_side.jax_networks import loss_of
    from jaxopt_course.problems.order import shuffled
    from jaxopt_course.sweeps.program import options_of

    workload = case.workload
    step, loss = step_of(workload), loss_of(workload)
    rows = workload.epoch * workload.batch
    positions = np.arange(rows, dtype=np.int32)
    epochs = np.arange(case.steps // workload.epoch, dtype=np.int32)

    def one(rate, seed, weights, x, y, valid):
        def body(carry, batch):
            w, state, value = step(*carry, rate, x[batch], y[batch])
            return (w, state), value

        def epoch(carry, number):
            order = shuffled(seed, number, positions, rows).reshape(workload.epoch, -1)
            carry, losses = jax.lax.scan(body, carry, order)
            return carry, (losses.mean(), loss(carry[0], valid["inputs"], valid["targets"]))

        w = jax.tree.map(lambda leaf: leaf[seed], weights)
        return jax.lax.scan(epoch, (w, optax.adam(rate).init(w)), epochs)[1]

    single = width == 1
    chunk = one if single else jax.vmap(one, (0, 0, None, None, None, None))
    program = jax.jit(chunk, compiler_options=options_of(jax.default_backend(), 0)[1])
    held = jax.device_put((case.weights, case.inputs, case.targets, valid))
    rates, seeds = case.rates, case.seeds.astype(np.uint32)
    cut = lambda x, i: x[i] if single else x[i : i + width]

    def run():
        starts = range(0, len(seeds), width)
        found = [program(cut(rates, i), cut(seeds, i), *held)[0] for i in starts]
        return np.concatenate([np.atleast_2d(losses) for losses in found])

    return run


def pairs():
    """For many and for few trials, the engine and by hand, checked against each other."""
    from experiments.benchmarks.side_by_side import ours, workloads

    task = workloads.make_task("mlp")
    most = workloads.made("mlp", range(MANY), STEPS)
    bucket, session = ours.session_of(most, task)
    found = {}
    for count, width in ((MANY, CHUNK), (FEW, 1)):
        case = most._replace(trials=most.trials[:count])
        hand = by_hand(case, task.valid, width)
        engine = ours.trainer(bucket.columns.trials.iloc[:count], session)
        first = engine().curves["train_loss"].values[:, 0]
        np.testing.assert_allclose(hand()[:, 0], first, rtol=0.02)  # the same trainings
        found[count] = engine, hand
    return found


def timed(run):
    """Seconds on the clock, and of processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(ways):
    """The three ratios."""
    best = {}
    for turn in range(REPEATS):
        for count, (engine, hand) in ways.items():
            order = (("engine", engine), ("hand", hand))
            for name, run in order if turn % 2 else reversed(order):
                best.setdefault((count, name), []).append(timed(run))
    least = {key: np.min(times, axis=0) for key, times in best.items()}
    many, few = (least[n, "hand"] / least[n, "engine"] for n in (MANY, FEW))
    return dict(zip(RATIOS, (float(many[0]), float(many[1]), float(few[1])), strict=True))


def reached():
    """The last row of the history, as far as it can be reached with the cores that are here."""
    with HISTORY.open(encoding="utf-8", newline="") as file:
        *_, last = csv.DictReader(file)
    same = int(last["cores"]) == len(os.sched_getaffinity(0))
    return {name: float(last[name]) for name in RATIOS if same or name != "throughput"}


def failing(found, held):
    """The ratios that are too small."""
    return [name for name in held if found[name] < LEAST * held[name]]


def record(found):
    """A row more, and the figure."""
    import jax

    named = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, stdout=subprocess.PIPE, text=True
    )
    row = {
        "date": datetime.date.today().isoformat(),
        "commit": named.stdout.strip(),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        **{name: f"{found[name]:.3f}" for name in RATIOS},
    }
    new = not HISTORY.exists()
    with HISTORY.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    figure()


def figure():
    """The ratios, row by row."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    with HISTORY.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    for name in RATIOS:
        values = [float(row[name]) for row in rows]
        ax.plot(values, marker="o", label=name)
        ax.plot(
            len(rows) - 1, LEAST * values[-1], marker="_", color=ax.lines[-1].get_color(), ms=14
        )
    ax.set_xticks(range(len(rows)), [f"{row['date']}\n{row['commit']}" for row in rows])
    ax.set(ylabel="times as fast as by hand", ylim=(0, None))
    ax.legend(frameon=False)
    fig.savefig(PICTURE, dpi=80)
    plt.close(fig)


def main(recording):
    """Measure, print; whether it holds."""
    joc.use_cpu_cores()
    ways = pairs()
    found = measure(ways)
    if recording:
        record(found)
    held = reached()
    if failing(found, held):
        again = measure(ways)
        found = {name: max(found[name], again[name]) for name in RATIOS}
    for name in held:
        bounds = f"reached: {held[name]:.2f}x, least: {LEAST * held[name]:.2f}x"
        print(f"{name:12s}{found[name]:6.2f}x by hand ({bounds})")
    slow = failing(found, held)
    if slow:
        print(f"slower than it was: {', '.join(slow)}")
    return not slow


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="a row more in the history")
    sys.exit(not main(parser.parse_args().record))
