"""Is a planned sweep as fast as the best of the usual ways, and is its memory as predicted?

Question  On four workloads: training all trials with the lanes of ``joc.plan`` against all at once
          (vmap over all), one after another, and chunks of 8 and 16; wanted: at least 0.95x the
          best.  And: how far is the predicted memory from the rise of resident memory?
Method    All ways are the engine at another width, on the same devices, compiled beforehand; they
          are timed in turn, and each way's best time counts.  Where the plan's width is one of the
          others, it is the same program, timed once.  Where the machine does other things as well,
          the time of the processors tells more than the clock.
          Memory: peak of resident memory while a width trains, over its height before; the program
          is compiled by then, and other widths have run.  Linux only; networks of some MiB a lane,
          since smaller ones drown in what the process does anyway.
Workloads MLP 20-64-64-1 (batch 64), a CNN of two convolutions on 8 x 8 digits (batch 32), logistic
          regression on 30 numbers (batch 64), a transformer of two layers, width 32 (batch 32).
Run       python experiments/benchmarks/plan.py [--trials 64] [--seconds 2] [--only mlp cnn]
"""

import argparse
import ctypes
import gc
import os
import time

import numpy as np

import jaxopt_course as joc

os.environ.setdefault(
    "MALLOC_MMAP_THRESHOLD_", "65536"
)  # what is freed goes back; best set outside
joc.use_cpu_cores()

import jax  # noqa: E402  (the cores are chosen before anything else)
import jax.numpy as jnp  # noqa: E402
from flax import nnx  # noqa: E402

from jaxopt_course.studies.compiled import compile_bucket  # noqa: E402
from jaxopt_course.sweeps import engine  # noqa: E402
from jaxopt_course.sweeps.probes import program_bytes  # noqa: E402
from jaxopt_course.sweeps.program import Table  # noqa: E402
from jaxopt_course.tables.buckets import split  # noqa: E402

WANTED_SPEED, WANTED_MEMORY = 0.95, 0.15
EVERY = 40  # steps between evaluations


class CNN(nnx.Module):
    """Two convolutions and a linear layer, on images of 8 x 8."""

    def __init__(self, rngs):
        self.first = nnx.Conv(1, 8, (3, 3), strides=2, rngs=rngs)
        self.second = nnx.Conv(8, 16, (3, 3), strides=2, rngs=rngs)
        self.last = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.first(x))
        x = nnx.relu(self.second(x))
        return self.last(x.reshape(len(x), -1))


class Block(nnx.Module):
    """Attention and two linear layers, each with a residual."""

    def __init__(self, width, rngs):
        self.attention = nnx.MultiHeadAttention(2, width, decode=False, rngs=rngs)
        self.norms = nnx.List([nnx.LayerNorm(width, rngs=rngs) for _ in range(2)])
        self.up = nnx.Linear(width, 2 * width, rngs=rngs)
        self.down = nnx.Linear(2 * width, width, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norms[0](x))
        return x + self.down(nnx.gelu(self.up(self.norms[1](x))))


class Transformer(nnx.Module):
    """Two blocks over the eight rows of a digit; the mean of them is classified."""

    def __init__(self, rngs, width=32):
        self.inner = nnx.Linear(8, width, rngs=rngs)
        self.place = nnx.Param(jax.random.normal(rngs.params(), (8, width)) * 0.02)
        self.blocks = nnx.List([Block(width, rngs) for _ in range(2)])
        self.last = nnx.Linear(width, 10, rngs=rngs)

    def __call__(self, x):
        x = self.inner(x) + self.place[...][None]
        for block in self.blocks:
            x = block(x)
        return self.last(jnp.mean(x, axis=1))


def numbers(width: int, outputs, hidden=()):
    """Binary classification of made-up numbers by an MLP."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1344, width)).astype(np.float32)
    y = (x @ rng.normal(size=width) > 0).astype(np.int32)
    return joc.Task.from_flax(
        lambda rngs: joc.MLP(width, *hidden, outputs, rngs=rngs),
        x[:1280], y[:1280], valid=(x[1280:], y[1280:]), test=(x[1280:], y[1280:]),
        loss="sigmoid_binary_cross_entropy", metrics={}, name="numbers",
    )  # fmt: skip


def digits(module, shape):
    """Digits, read as ``shape``, by a Flax module."""
    task = joc.load_task("digits")
    part = lambda p: (np.asarray(p["inputs"]).reshape(-1, *shape), p["targets"])
    return joc.Task.from_flax(
        module, *part(task.train), valid=part(task.valid), test=part(task.test),
        loss="softmax_cross_entropy", metrics={}, name="digits",
    )  # fmt: skip


WORKLOADS = {  # task, batch, trial-steps a second on two cores, roughly
    "mlp": (lambda: numbers(20, 1, (64, 64)), 64, 40_000),
    "logistic": (lambda: numbers(30, 1), 64, 200_000),
    "cnn": (lambda: digits(CNN, (8, 8, 1)), 32, 6_000),
    "transformer": (lambda: digits(Transformer, (8, 8)), 32, 2_000),
}


class Way:
    """The engine at a width, compiled."""

    def __init__(self, bucket, lanes):
        chosen = ("valid_loss", "min")
        self.session = compile_bucket(bucket, chosen, lanes, jax.local_devices())
        self.table = Table(**bucket.columns.arrays(bucket.columns.trials))
        self.seconds = []

    def run(self):
        """Train all trials; seconds on the clock, and those of the processors."""
        start, busy = time.perf_counter(), time.process_time()
        engine.run(self.session.program, self.table, self.session.data, self.session.trial)
        return time.perf_counter() - start, time.process_time() - busy


def compare(name: str, trials: int, seconds: float, rounds: int) -> list[float]:
    """Print a block; the planned way's speed over the best other's, on both clocks."""
    make, batch, roughly = WORKLOADS[name]
    task = make()
    table = joc.grid(optimizer="adam", learning_rate=np.geomspace(1e-4, 1e-2, trials))
    steps = EVERY * max(2, round(seconds * roughly / trials / EVERY))
    start = time.perf_counter()
    budget = {"steps": steps, "batch_size": batch, "evaluate_every": EVERY}
    plan = joc.plan(task, table, **budget, progress=False)
    planning = time.perf_counter() - start
    print(f"\n{name}: {plan}\n  planning took {planning:.1f} s; trained for real:", flush=True)
    [bucket] = split(task, table, **budget).buckets
    usual = {1, 8, 16, -(-trials // jax.local_device_count())}
    widths = sorted(usual | {plan.lanes})
    ways = {width: Way(bucket, width) for width in widths}
    for way in ways.values():
        way.run()
    for turn in range(rounds):
        for width in widths if turn % 2 else reversed(widths):
            ways[width].seconds.append(ways[width].run())
    rates = {w: trials * steps / np.min(ways[w].seconds, axis=0) for w in widths}
    for width, (rate, busy) in rates.items():
        mark = " <- plan" if width == plan.lanes else ""
        told = {one.lanes: one.rate * plan.load.devices for one in plan.probes}.get(width)
        words = "not probed" if told is None else f"probed {told:,.0f}"
        print(
            f"    {width:4d} lane(s) {rate:12,.0f} trial-steps/s, {busy:10,.0f} a second of "
            f"processors ({words}){mark}"
        )
    ratios = [rates[plan.lanes][i] / max(rates[w][i] for w in usual) for i in range(2)]
    print(
        f"  plan / best other = {ratios[0]:.2f} on the clock, {ratios[1]:.2f} by processors' time "
        f"(wanted: at least {WANTED_SPEED})",
        flush=True,
    )
    return ratios


def memory(widths=(2, 8, 16)) -> list[float]:
    """Print predicted and measured bytes on one device; their ratios."""
    task = numbers(20, 1, (1024, 1024))
    table = joc.grid(optimizer="adam", learning_rate=np.geomspace(1e-4, 1e-2, 32))
    [bucket] = split(task, table, steps=8, batch_size=64, evaluate_every=4).buckets
    columns = bucket.columns
    ratios = []
    print("\nmemory: MLP 20-1024-1024-1, adam, one device")
    for width in (1, *widths):
        chosen = ("valid_loss", "min")
        session = compile_bucket(bucket, chosen, width, jax.local_devices()[:1])
        rows = Table(**columns.arrays(columns.trials.iloc[: 2 * width]))
        gc.collect()
        time.sleep(0.2)  # XLA's threads let go of the last run's buffers a moment after it ended
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = status("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak starts anew
        engine.run(session.program, rows, session.data, session.trial)
        predicted = program_bytes(session.program, session.data)
        rise = status("VmHWM") - before
        if width > 1:  # the first one warms up
            ratios.append(rise / predicted)
            print(
                f"  {width:4d} lane(s)  predicted {predicted / 2**20:7.1f} MiB   rise "
                f"{rise / 2**20:7.1f} MiB   {rise / predicted - 1:+.1%}"
            )
    return ratios


def status(key: str) -> int:
    """Bytes that the kernel counts for this process."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024


def main(trials: int, seconds: float, rounds: int, only: list[str]) -> None:
    """Print everything."""
    print(f"jax {jax.__version__}, {jax.local_device_count()} x {jax.devices()[0].device_kind}")
    errors = [abs(ratio - 1) for ratio in memory()]
    ratios = {name: compare(name, trials, seconds, rounds) for name in only}
    print("\nplan / best of {all at once, one after another, chunks of 8 and 16}")
    for name, (clock, busy) in ratios.items():
        print(f"  {name:14s}{clock:6.2f} on the clock{busy:8.2f} by processors' time")
    worst = min(clock for clock, _ in ratios.values())
    print(f"worst {worst:.2f} (wanted: at least {WANTED_SPEED}); ", end="")
    print(f"memory off by at most {max(errors):.1%} (wanted: {WANTED_MEMORY:.0%})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a way, about")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    main(**vars(parser.parse_args()))
