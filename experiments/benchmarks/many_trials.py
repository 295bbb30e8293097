"""Do time and memory stay in proportion to the number of trials?

Question  100, 1,000, 10,000 trials x 100 recorded points: seconds a trial, resident memory of the
          process, lowerings, and the host's share of the time.
Method    Linear regression on 64 numbers (8 weights), Adam, 100 steps, each recorded, ten
          evaluations; one process a size; peak resident memory from the operating system.
Run       python experiments/benchmarks/many_trials.py
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

SIZES = (100, 1_000, 10_000)


def train(count: int) -> str:
    """Trials, seconds, MiB of the whole process, lowerings."""
    import jaxopt_course as joc

    joc.use_cpu_cores()
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8)).astype(np.float32)
    data = {"x": x, "y": x @ rng.normal(size=8).astype(np.float32)}

    def loss(w, model_state, batch, key):
        return jnp.mean((batch["x"] @ w["w"] - batch["y"]) ** 2), (model_state, {})

    task = joc.Task(
        name="many",
        init=lambda key: ({"w": jnp.zeros(8)}, {}),
        loss=loss,
        evaluate=lambda w, model_state, data: {"loss": loss(w, model_state, data, None)[0]},
        train=data,
        valid=data,
        test=data,
        metrics={"loss": "min"},
        split_seed=None,
    )
    trials = joc.grid(learning_rate=np.geomspace(1e-4, 1, count // 10), seed=range(10))
    start = time.perf_counter()
    study = joc.sweep(
        task,
        trials,
        "adam",
        steps=100,
        batch_size=16,
        record_every=1,
        evaluate_every=10,
        progress=False,
    )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    event = study.events[0]
    assert study.curves["train_loss"].shape == (count, 100)
    return f"{count} {seconds} {event['seconds']} {peak} {event['lowerings']}"


def main() -> None:
    """Print the table."""
    print(f"{'trials':>7} {'seconds':>8} {'training':>9} {'ms/trial':>9} {'peak MiB':>9} lowerings")
    for size in SIZES:
        done = subprocess.run(
            [sys.executable, __file__, "--trials", str(size)],
            check=True,
            capture_output=True,
            text=True,
        )
        count, seconds, training, peak, lowerings = done.stdout.split()
        each = float(training) / int(count) * 1e3
        print(
            f"{int(count):7,} {float(seconds):8.1f} {float(training):9.1f} {each:9.2f} "
            f"{float(peak):9,.0f} {lowerings:>9}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, help="for the processes of main")
    arguments = parser.parse_args()
    if arguments.trials:
        print(train(arguments.trials))
    else:
        main()
