"""How many training steps a second does the sweep engine do, against vmap written by hand?

Question  256 trainings of one MLP with Adam, learning rates swept: the engine (lanes, own data
          order, curves out, segments) against one ``jax.jit(jax.vmap(scan))`` over all trials with
          optax, and against the same in chunks of its best width.
Method    MLP 20-64-64-1, batch 64, 1,560 steps, float32. All ways run in one process on the same
          machine; compilation is left out for all; each way is timed several times, interleaved,
          and its best time counts. The hand-written ways share one data order between trials,
          which favours them: a gather less, and no index to compute.
Run       python experiments/benchmarks/throughput.py [--quick]
"""

import argparse
import time

import numpy as np

import jaxopt_course as joc

joc.use_cpu_cores()

import jax  # noqa: E402  (the cores are chosen before anything else)
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402

from jaxopt_course.studies.compiled import compile_bucket  # noqa: E402
from jaxopt_course.sweeps import engine  # noqa: E402
from jaxopt_course.sweeps.program import Table  # noqa: E402
from jaxopt_course.tables.buckets import split  # noqa: E402

TRIALS, BATCH, EXAMPLES, EPOCHS = 256, 64, 2496, 40  # 39 steps an epoch, 1,560 in all
RATES = np.geomspace(1e-4, 1e-2, TRIALS)  # none so high that a trial diverges, and leaves
WIDTHS = (2, 4, 8, 16, 32, 64)


def make_task(examples: int = EXAMPLES) -> joc.Task:
    """Binary classification of 20 numbers; a small validation part, so that training is timed."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(examples + 128, 20)).astype(np.float32)
    y = (x @ rng.normal(size=20) + 0.5 * rng.normal(size=len(x)) > 0).astype(np.int32)
    part = lambda a, b: (x[a:b], y[a:b])
    return joc.Task.from_flax(
        lambda rngs: joc.MLP(20, 64, 64, 1, rngs=rngs),
        *part(0, examples),
        valid=part(examples, examples + 64),
        test=part(examples + 64, None),
        loss="sigmoid_binary_cross_entropy",
        metrics={},
        name="throughput",
    )


def by_hand(task: joc.Task, steps: int, width: int):
    """``jit(vmap(scan))`` as people write it: weights, Adam and a shuffled epoch."""

    def init(key):
        keys = jax.random.split(key, 3)
        sizes = [(20, 64), (64, 64), (64, 1)]
        return [
            (jax.random.normal(k, s) / np.sqrt(s[0]), jnp.zeros(s[1]))
            for k, s in zip(keys, sizes, strict=True)
        ]

    def loss(params, x, y):
        *hidden, (w, b) = params
        for v, c in hidden:
            x = jax.nn.relu(x @ v + c)
        logits = (x @ w + b)[:, 0]
        return optax.sigmoid_binary_cross_entropy(logits, y).mean()

    def train(rate, seed, x, y, order):
        tx = optax.adam(rate)
        params = init(jax.random.key(seed))

        def step(carry, rows):
            params, state = carry
            value, g = jax.value_and_grad(loss)(params, x[rows], y[rows])
            u, state = tx.update(g, state, params)
            return (optax.apply_updates(params, u), state), value

        _, losses = jax.lax.scan(step, (params, tx.init(params)), order)
        return losses

    rng = np.random.default_rng(1)
    x, y = task.train["inputs"], task.train["targets"].reshape(-1).astype(np.float32)
    batches = len(x) // BATCH
    orders = [rng.permutation(len(x))[: batches * BATCH] for _ in range(-(-steps // batches))]
    order = np.concatenate(orders).reshape(-1, BATCH)[:steps].astype(np.int32)
    program = jax.jit(jax.vmap(train, in_axes=(0, 0, None, None, None)))
    rates = RATES.astype(np.float32)
    arguments = jax.device_put((x, y, order))
    parts = [
        (rates[i : i + width], np.arange(i, i + width, dtype=np.uint32))
        for i in range(0, TRIALS, width)
    ]
    compiled = program.lower(*parts[0], *arguments).compile()

    def run() -> float:
        start = time.perf_counter()
        losses = [compiled(*part, *arguments) for part in parts]
        assert np.isfinite(np.asarray(losses[0])).all()
        jax.block_until_ready(losses)
        return time.perf_counter() - start

    return run


def by_engine(task: joc.Task, steps: int):
    """The engine as ``sweep`` uses it, after compilation."""
    trials = joc.grid(learning_rate=RATES)
    trials["seed"] = range(TRIALS)
    [bucket] = split(task, trials, None, "adam", steps=steps, batch_size=BATCH).buckets
    session = compile_bucket(bucket, ("valid_loss", "min"), None, jax.local_devices())
    table = Table(**bucket.columns.arrays(bucket.columns.trials))

    def run() -> float:
        start = time.perf_counter()
        results = engine.run(session.program, table, session.data, session.trial)
        assert results.finished.all()  # the work of a trial that leaves is not done
        return time.perf_counter() - start

    return run, session.program.lanes


def main(quick: bool = False) -> dict[str, float]:
    """Print the table; trial-steps a second of each way."""
    steps, repeats = (78, 1) if quick else (39 * EPOCHS, 3)
    task = make_task()
    engine_run, lanes = by_engine(task, steps)
    ways = {f"engine, {lanes} lanes on each of {jax.local_device_count()} devices": engine_run}
    ways |= {"jit(vmap(scan)) over all 256": by_hand(task, steps, TRIALS)}
    ways |= {f"jit(vmap(scan)), chunks of {w}": by_hand(task, steps, w) for w in WIDTHS}
    seconds = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            seconds[name].append(run())
    rates = {name: TRIALS * steps / min(times) for name, times in seconds.items()}
    ours = next(iter(rates.values()))
    print(f"{'way':48s} {'trial-steps/s':>14s} {'engine is':>10s}")
    for name, rate in rates.items():
        print(f"{name:48s} {rate:14,.0f} {ours / rate:9.2f}x")
    chunks = max(rate for name, rate in rates.items() if "chunks" in name)
    print(f"\n{ours / list(rates.values())[1]:.2f}x one vmap over all trials (wanted: 1.8x)")
    print(f"{ours / chunks:.2f}x chunks of the best width (wanted: 2.0x)")
    return rates


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    main(**vars(parser.parse_args()))
