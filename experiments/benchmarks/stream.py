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

LANES, BATCH, EXAMPLES, ROUNDS = 8, 64, 4096, 5
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


def sweep(task: joc.Task, steps: int) -> joc.Study:
    """A study whose program is compiled."""
    return joc.sweep(
        task, TRIALS, steps=steps, evaluate_every=steps // 4, batch_size=BATCH, lanes=LANES,
        progress=False,
    )  # fmt: skip


def measure(study: joc.Study, seed: int, steps: int) -> tuple[float, float, dict]:
    """Seconds and CPU seconds of the same table with another seed; and the event."""
    cpu = time.process_time()
    again = study.extend(TRIALS.assign(seed=seed), progress=False)
    event = again.events[-1]
    assert event["trial_steps"] == LANES * steps
    return event["seconds"], time.process_time() - cpu, event


def table() -> None:
    """Print the table."""
    random = np.random.default_rng(0)
    print(f"{LANES} lanes, batches of {BATCH}; trial-steps a second, and a CPU second: the best of")
    print(f"{ROUNDS} in turn")
    print(f"{'network':18s} {'device':>9s} {'stream':>9s} {'ratio':>6s}"
          f" {'device/cpu':>11s} {'stream/cpu':>11s} {'ratio':>6s} {'waited':>7s}")  # fmt: skip
    for name, (module, shape, steps) in networks().items():
        x = random.normal(size=(EXAMPLES, *shape)).astype(np.float32)
        y = random.integers(0, 10, EXAMPLES).astype(np.int32)
        part = x[:256], y[:256]
        make = lambda inputs, targets=None, module=module, part=part: joc.Task.from_flax(
            module, inputs, targets, loss="softmax_cross_entropy", valid=part, test=part, name="it"
        )
        studies = [sweep(one, steps) for one in (make(x, y), make(joc.stream(Batches(x, y))))]
        rounds = [[measure(s, seed, steps) for s in studies] for seed in range(1, ROUNDS + 1)]
        # (kind, what) -> trial-steps a second, and a CPU second
        rates = LANES * steps / np.min([[one[:2] for one in both] for both in rounds], axis=0)
        (on, on_cpu), (of, of_cpu) = rates.tolist()
        waited = rounds[-1][1][2]["stream"]["share_waited"]
        print(
            f"{name:18s} {on:9,.0f} {of:9,.0f} {of / on:6.2f}"
            f" {on_cpu:11,.0f} {of_cpu:11,.0f} {of_cpu / on_cpu:6.2f} {waited:7.1%}",
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
