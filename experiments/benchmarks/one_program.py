"""Is one program for nine optimizers faster than nine programs, from a cold start?

Question  Nine optimizers x 64 trials, end to end with compilation: one sweep in which the optimizer
          is data, against a sweep for each optimizer.
Method    Task of throughput.py (MLP 20-64-64-1, batch 64), 780 steps.  Each way in a process of its
          own, so that nothing is warm; imports and data are left out.  Turn about, the best of
          --repeats counts.
Run       python experiments/benchmarks/one_program.py [--repeats 2]
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

OPTIMIZERS = [
    "sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adadelta",
    "adam",
    "adamw",
    "adamax",
]
WANTED = 0.70


def train(together: bool) -> float:
    """Seconds of the sweep, or of the sweeps."""
    import throughput  # the cores are chosen there

    import jaxopt_course as joc

    task = throughput.make_task()
    start = time.perf_counter()
    for names in [OPTIMIZERS] if together else [[name] for name in OPTIMIZERS]:
        trials = joc.grid(
            optimizer=names, learning_rate=np.geomspace(1e-4, 1e-1, 16), seed=range(4)
        )
        study = joc.sweep(task, trials, steps=780, batch_size=64, progress=False)
        assert (study.trials["status"] != "unfinished").all()
    return time.perf_counter() - start


def main(repeats: int) -> float:
    """Print the table; the ratio."""
    seconds: dict[str, list[float]] = {"one": [], "each": []}
    for _ in range(repeats):
        for way, times in seconds.items():
            here = Path(__file__)
            done = subprocess.run(
                [sys.executable, here.name, "--way", way],
                cwd=here.parent,
                check=True,
                capture_output=True,
                text=True,
            )
            times.append(float(done.stdout.split()[-1]))
    one, each = (min(times) for times in seconds.values())
    print(f"one program for all     {one:6.1f} s")
    print(f"a program an optimizer  {each:6.1f} s")
    print(f"{one / each:.2f}x (wanted: at most {WANTED})")
    return one / each


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--way", choices=["one", "each"], help="for the processes of main")
    arguments = parser.parse_args()
    if arguments.way:
        print(train(arguments.way == "one"))
    else:
        main(arguments.repeats)
