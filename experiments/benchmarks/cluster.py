"""What a sweep over Ray costs, how it scales from one actor to two, and what travels.

Question  At segments of one second: how much slower is one actor of a Ray node than the same engine
          in one process, what do two actors do with twice the trials, how large are the messages?
Method    Adam on the digits, as many trials as there are lanes, so that every call is full.  Each
          actor is pinned to a core, one process likewise; the sweep's own process has the other
          core beside one actor, and shares both beside two.  Rates are trial-steps a second from
          the second reading of the first trial to the last; ways take turns, a ratio is of one
          turn, and the median of the turns counts.  The readings of one process and of one actor
          must be the same bits.  Sizes are those of the pickled messages.
Needs     pip install 'jaxopt-course[ray]', two cores that do nothing else
Run       python -m experiments.benchmarks.cluster [--rounds 3] [--seconds 40] [--quick]
Result    two tables, printed; what is wanted stands below them.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from experiments.benchmarks import ray_nodes

LANES, EVERY, BATCH, SEGMENT = 16, 200, 64, 1.0
GUESS = 12_000  # trial-steps a second of a core; decides only how long the runs are
SIZES = ("work", "work, all seats", "answer", "answer, all states")


@contextlib.contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """What is started meanwhile stays on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def train(address: str, trials: int, steps: int, sizes: bool) -> dict[str, Any]:
    """In a process of its own: a sweep, and how fast it was.

    Args:
        address: of the cluster; empty for this process's own device.
        trials: how many.
        steps: of each.
        sizes: whether to measure the messages instead, which costs time.
    """
    import numpy as np

    import jaxopt_course as joc
    from jaxopt_course.sweeps import engine, remote

    engine.SEGMENT_SECONDS = remote.SEGMENT_SECONDS = SEGMENT
    measured = measure_messages() if sizes else {}
    rates = np.geomspace(1e-4, 1e-2, trials).tolist()
    told: list[tuple[float, float, int]] = []

    def hear(readings: Any) -> None:
        told.append((time.perf_counter(), time.process_time(), len(readings)))

    where = {"cluster": joc.Ray(address)} if address else {}
    study = joc.sweep(
        "digits", joc.grid(optimizer="adam", learning_rate=rates), steps=steps, batch_size=BATCH,
        evaluate_every=EVERY, lanes=LANES, on_reading=hear, progress=False, **where,
    )  # fmt: skip
    actors = max(1, trials // LANES)
    begin, *_, end = told[actors:]  # the first call of each has one interval
    seen = sum(count for *_, count in told[actors + 1 :])
    calls, wall = len(told) - actors - 1, end[0] - begin[0]
    curves = b"".join(x.to_numpy().tobytes() for x in study.curves.data_vars.values())
    return {
        "rate": seen * EVERY / wall,
        "segment": wall / calls * actors,
        "own": (end[1] - begin[1]) / calls,
        "bits": hashlib.sha256(curves).hexdigest(),
        "sizes": {name: max(found) for name, found in measured.items() if found},
    }


def measure_messages() -> dict[str, list[int]]:
    """Sizes of the messages of this process, by kind, as they are sent from now on."""
    from jaxopt_course.clusters.ray import RayWorker
    from jaxopt_course.sweeps import remote

    remote.TELL_SECONDS = 3.0
    found: dict[str, list[int]] = {name: [] for name in SIZES}
    send, answer = RayWorker.send, RayWorker.answer
    size = lambda message: len(pickle.dumps(message, protocol=5))

    def sent(worker: Any, work: Any) -> None:
        found[SIZES[0] if work.seats is None else SIZES[1]].append(size(work))
        send(worker, work)

    def answered(worker: Any) -> Any:
        told = answer(worker)
        states = len(told.states[0]) if told.states else 0
        if states in (0, LANES):
            found[SIZES[3] if states else SIZES[2]].append(size(told))
        return told

    RayWorker.send, RayWorker.answer = sent, answered  # type: ignore[method-assign]
    return found


def child(cores: Sequence[int], address: str, trials: int, steps: int, sizes: bool = False) -> Any:
    """What :func:`train` gives, of a process on these cores."""
    asked = json.dumps([address, trials, steps, sizes])
    command = [sys.executable, "-W", "ignore", "-m", "experiments.benchmarks.cluster"]
    with pinned(cores):
        environment = os.environ | {"NPROC": "1", "JAX_PLATFORMS": "cpu"}
        ran = subprocess.run(
            [*command, "--child", asked], env=environment, stdout=subprocess.PIPE, text=True
        )
    if ran.returncode:
        raise RuntimeError(f"a run ended with {ran.returncode}; what it said stands above")
    return json.loads(ran.stdout.splitlines()[-1])


@contextlib.contextmanager
def cluster(cores: Sequence[int]) -> Iterator[str]:
    """The address of nodes of this machine, one a core."""
    made = ray_nodes.head()
    try:
        for core in cores:
            with pinned([core]):
                made.add_node(**ray_nodes.NODE)
        yield made.address
    finally:
        made.shutdown()


def main(rounds: int, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """Print the tables; the turns of each way."""
    one, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise RuntimeError("this needs two cores: an actor on each, or one beside this process")
    two = others[0]
    steps = max(4 * EVERY, round(seconds * GUESS / LANES / EVERY) * EVERY)
    turns: dict[str, list[dict[str, Any]]] = {"one process": [], "1 actor": [], "2 actors": []}
    for _ in range(rounds):
        turns["one process"].append(child([one], "", LANES, steps))
        with cluster([one]) as address:
            turns["1 actor"].append(child([two], address, LANES, steps))
        with cluster([one, two]) as address:
            turns["2 actors"].append(child([one, two], address, 2 * LANES, steps))
    with cluster([one]) as address:
        sizes = child([two], address, LANES, steps, sizes=True)["sizes"]
    bits = {turn["bits"] for name in ("one process", "1 actor") for turn in turns[name]}
    assert len(bits) == 1, "one process and one actor gave other bits"

    titles = "way", "trial-steps/s", "of one process", "of 1 actor", "s a segment", "own CPU, ms"
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for name, made in turns.items():
        middle = lambda key, made=made: statistics.median(turn[key] for turn in made)
        base, first = turns["one process"], turns["1 actor"]
        row = [name, f"{middle('rate'):,.0f}", ratio(made, base), ratio(made, first)]
        own = "" if made is base else f"{1e3 * middle('own'):.1f}"
        print("| " + " | ".join([*row, f"{middle('segment'):.2f}", own]) + " |")
    print(f"\n{rounds} turn(s), {steps:,} steps of {LANES} trials an actor; in brackets all turns")
    print("wanted: one actor at least 98% of one process; two actors 200% of one, driver included")
    print("\n| message | bytes, pickled |\n|---|---|")
    for name in SIZES:
        print(f"| {name} | {sizes.get(name, 0):,} |")
    return turns


def ratio(made: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    """The median of what the turns have of another way's, and all of them."""
    each = [turn["rate"] / other["rate"] for turn, other in zip(made, base, strict=True)]
    return f"{statistics.median(each):.1%} ({', '.join(f'{x:.1%}' for x in each)})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    parser.add_argument("--seconds", type=float, default=40.0, help="about, of each run")
    parser.add_argument("--quick", action="store_true", help="one short turn, to see that it runs")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(train(*json.loads(given.child))))
    elif given.quick:
        main(1, 6.0)
    else:
        main(given.rounds, given.seconds)
