"""A stream beside the same data on the device: trial-steps a second, and memory over a long one.

    python experiments/benchmarks/stream.py                 # the table
    python experiments/benchmarks/stream.py --gigabytes 10  # how much memory a long stream takes

The source keeps up: it hands out batches that are in the host's memory.  CPU seconds are those of
the process, the reading thread's included, so they hold on a machine that does other work too.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np

import jaxopt_course as joc

LANES, BATCH, EXAMPLES = 8, 64, 4096
TRIALS = joc.grid(optimizer="adam", learning_rate=np.geomspace(1e-4, 1e-2, LANES).tolist())


class Batches:
    """The batches of arrays, as a source."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y, self.count = x, y, len(x) // BATCH

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        start = step % self.count * BATCH
        return self.x[start : start + BATCH], self.y[start : start + BATCH]


def networks() -> dict:
    """name -> (module, example shape, steps)."""
    return {
        "MLP 64-64-64-10": (lambda rngs: joc.MLP(64, 64, 64, 10, rngs=rngs), (64,), 4000),
        "MLP 784-256-10": (lambda rngs: joc.MLP(784, 256, 10, rngs=rngs), (784,), 400),
        "CNN 12x12, 8-16": (
            lambda rngs: joc.CNN((12, 12, 1), (8, 16), (32, 10), rngs=rngs),
            (12, 12, 1),
            200,
        ),
    }


def measure(task: joc.Task, steps: int, evaluate_every: int) -> tuple[float, float, dict]:
    """Trial-steps a second, and a CPU second, after compiling; and the event."""
    study = joc.sweep(
        task, TRIALS, steps=steps, evaluate_every=evaluate_every, batch_size=BATCH, lanes=LANES,
        progress=False,
    )  # fmt: skip
    cpu, start = time.process_time(), time.perf_counter()
    again = study.extend(TRIALS.assign(seed=1), progress=False)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    trained = LANES * steps
    return trained / wall, trained / cpu, again.events[-1]


def table() -> None:
    """Print the table."""
    random = np.random.default_rng(0)
    print(f"{LANES} lanes, batches of {BATCH}; trial-steps a second, and a CPU second")
    print(f"{'network':18s} {'device':>9s} {'stream':>9s} {'ratio':>6s}"
          f" {'device/cpu':>11s} {'stream/cpu':>11s} {'ratio':>6s} {'waited':>7s}")  # fmt: skip
    for name, (module, shape, steps) in networks().items():
        x = random.normal(size=(EXAMPLES, *shape)).astype(np.float32)
        y = random.integers(0, 10, EXAMPLES).astype(np.int32)
        part = x[:256], y[:256]
        make = lambda inputs, targets=None, module=module, part=part: joc.Task.from_flax(
            module, inputs, targets, loss="softmax_cross_entropy", valid=part, test=part, name="it"
        )
        best = {}
        for _ in range(3):
            for kind, task in (
                ("device", make(x, y)),
                ("stream", make(joc.stream(Batches(x, y)))),
            ):
                found = measure(task, steps, steps // 4)
                old = best.get(kind, (0.0, 0.0, {}))
                best[kind] = (max(old[0], found[0]), max(old[1], found[1]), found[2])
        on, of = best["device"], best["stream"]
        print(
            f"{name:18s} {on[0]:9,.0f} {of[0]:9,.0f} {of[0] / on[0]:6.2f}"
            f" {on[1]:11,.0f} {of[1]:11,.0f} {of[1] / on[1]:6.2f}"
            f" {of[2]['stream']['share_waited']:7.1%}",
            flush=True,
        )


def memory(gigabytes: float) -> None:
    """Print the memory of the process while a long stream goes by."""
    features, batch = 1024, 1024
    a_batch = batch * (features + 1) * 4
    steps = max(8, int(gigabytes * 1e9 / a_batch))
    x = np.ones((batch, features), np.float32)
    y = np.zeros(batch, np.int32)
    seen: list[tuple[int, float]] = []

    def source(step: int) -> tuple[np.ndarray, np.ndarray]:
        if step % max(1, steps // 8) == 0:
            seen.append((step, resident()))
        return x + np.float32(step), y

    task = joc.Task.from_flax(
        lambda rngs: joc.MLP(features, 2, rngs=rngs), joc.stream(source),
        loss="softmax_cross_entropy", valid=(x, y), test=(x, y), name="long",
    )  # fmt: skip
    study = joc.sweep(task, joc.grid(optimizer="sgd", learning_rate=[1e-6]), steps=steps,
                      evaluate_every=max(1, steps // 20), lanes=1, progress=False)  # fmt: skip
    read = study.events[-1]["stream"]
    print(f"{read['bytes'] / 1e9:.1f} GB read, {read['seconds_waited']:.1f} s waited")
    for step, size in seen:
        print(f"  step {step:6d}   {step * a_batch / 1e9:5.1f} GB gone by   {size:7.0f} MiB")
    print(f"  most ever {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def resident() -> float:
    """MiB of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, help="of a long stream, to watch the memory")
    asked = parser.parse_args()
    if asked.gigabytes:
        memory(asked.gigabytes)
    else:
        table()
