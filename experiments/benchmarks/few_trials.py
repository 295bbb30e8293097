"""What does a first sweep of a few trials cost, against one trial after another?

Question  Sweeps of 1 to 16 trials, as a first look at a model has them: processors' time and time
          on the clock, the default lanes against ``jit(scan)`` of one trial, called for each.
Method    The scan does the same work with the same model: an order of its own for each trial, the
          same optimizer (optax's), an evaluation as often.  The order is made beforehand, and its
          time does not count.  Compilation is left out for both; all cores are devices, as a user
          has them; the ways take turns and the least time of all turns counts.
Run       python -m experiments.benchmarks.few_trials [--quick]
Result    printed: microseconds of processors a trial-step, and how many times as fast as by hand.
"""

import argparse
import time
from typing import NamedTuple

import numpy as np

import jaxopt_course as joc

EPOCHS, TURNS, BATCH, EXAMPLES = 12, 3, 32, 1024


class Row(NamedTuple):
    """A first sweep."""

    name: str
    task: object
    trials: int
    optimizers: tuple[str, ...] = ("adam",)


def rows():
    """The sweeps: numbers in a table, sequences, images, an equation, and one trial alone."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    rng = np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES + 128, 20)).astype(np.float32)
    y = (x @ rng.normal(size=20) > 0).astype(np.int32)

    def made(name, module, inputs, loss="sigmoid_binary_cross_entropy", targets=y):
        parts = [(inputs[cut], targets[cut]) for cut in (slice(0, EXAMPLES), slice(EXAMPLES, None))]
        (a, b), held = parts
        return joc.Task.from_flax(
            module, a, b, valid=held, test=held, loss=loss, metrics={}, name=name
        )

    class Normed(nnx.Module):
        def __init__(self, rngs):
            self.first, self.norm = nnx.Linear(20, 128, rngs=rngs), nnx.BatchNorm(128, rngs=rngs)
            self.second, self.last = nnx.Linear(128, 128, rngs=rngs), nnx.Linear(128, 1, rngs=rngs)

        def __call__(self, x):
            return self.last(nnx.relu(self.second(nnx.relu(self.norm(self.first(x))))))

    class Sequences(nnx.Module):
        def __init__(self, rngs):
            self.cells = nnx.RNN(nnx.LSTMCell(4, 32, rngs=rngs))
            self.last = nnx.Linear(32, 1, rngs=rngs)

        def __call__(self, x):
            return self.last(self.cells(x)[:, -1])

    class Images(nnx.Module):
        def __init__(self, rngs):
            self.conv = joc.Conv(1, 8, (3, 3), rngs=rngs)
            self.last = nnx.Linear(8 * 25, 1, rngs=rngs)

        def __call__(self, x):
            return self.last(nnx.relu(self.conv(x))[:, ::2, ::2].reshape(len(x), -1))

    class Potential(nnx.Module):
        """-u'' = f on points, by two derivatives of a network."""

        def __init__(self, rngs):
            self.net = joc.MLP(1, 32, 32, 1, rngs=rngs)

        def __call__(self, x):
            u = lambda t: jnp.tanh(self.net(t.reshape(1, 1)))[0, 0]
            return -jax.vmap(jax.grad(jax.grad(u)))(x[:, 0])[:, None]

    points = rng.uniform(size=(EXAMPLES + 128, 1)).astype(np.float32)
    mlp = made("mlp", lambda rngs: joc.MLP(20, 64, 64, 1, rngs=rngs), x)
    logistic = made("logistic", lambda rngs: joc.MLP(20, 1, rngs=rngs), x)
    forces = np.sin(3 * points[:, 0])
    equation = made("equation", Potential, points, "squared_error", forces)
    return [
        Row("logistic regression", logistic, 4),
        Row("MLP 20-64-64-1", mlp, 1),
        Row("MLP 20-64-64-1", mlp, 4),
        Row("MLP 20-64-64-1", mlp, 16, ("adam", "sgd")),
        Row("BatchNorm, 2 x 128", made("normed", Normed, x), 4),
        Row("LSTM, 5 steps", made("lstm", Sequences, x.reshape(-1, 5, 4)), 8, ("adam", "sgd")),
        Row("CNN 10 x 10", made("cnn", Images, np.tile(x, 5).reshape(-1, 10, 10, 1)), 4),
        Row("equation, second order", equation, 16, ("adam", "sgd")),
    ]


def by_hand(row, epochs):
    """``jit(scan)`` of one trial, for each; a program an optimizer."""
    import jax
    import optax

    task, train = row.task, jax.device_put(row.task.train)
    steps, total = EXAMPLES // BATCH, epochs * (EXAMPLES // BATCH)

    def program(make):
        def one(rate, seed, train, valid, orders):
            tx, key = make(rate), jax.random.key(seed)
            params, state = task.init(key)

            def step(carry, inputs):
                params, state, memory = carry
                rows, s = inputs
                batch = jax.tree.map(lambda x: x[rows], train)
                gradient = jax.value_and_grad(task.loss, has_aux=True)
                (loss, (state, _)), g = gradient(params, state, batch, jax.random.fold_in(key, s))
                u, memory = tx.update(g, memory, params)
                return (optax.apply_updates(params, u), state, memory), loss

            def epoch(carry, inputs):
                carry, losses = jax.lax.scan(step, carry, inputs)
                return carry, (losses.mean(), task.evaluate(carry[0], carry[1], valid))

            numbers = np.arange(total).reshape(epochs, steps)
            return jax.lax.scan(epoch, (params, state, tx.init(params)), (orders, numbers))[1]

        return jax.jit(one)

    programs = [program(getattr(optax, name)) for name in row.optimizers]
    valid, rng = jax.device_put(task.valid), np.random.default_rng(1)
    orders = np.stack([rng.permutation(EXAMPLES) for _ in range(epochs)]).astype(np.int32)
    orders = jax.device_put(orders.reshape(epochs, steps, BATCH))
    each = row.trials // len(row.optimizers)
    rates = np.geomspace(1e-4, 1e-2, each).astype(np.float32)

    def run():
        for one in programs:
            for rate in rates:
                losses, _ = one(rate, np.uint32(0), train, valid, orders)
                assert np.isfinite(np.asarray(losses)).all()

    return run


def by_us(row, epochs):
    """The engine after compilation, its lanes, and the share that trials used."""
    import jax

    from jaxopt_course.studies.compiled import compile_bucket, train_bucket
    from jaxopt_course.tables.buckets import split

    each = row.trials // len(row.optimizers)
    rates = np.geomspace(1e-4, 1e-2, each)
    trials = joc.grid(optimizer=list(row.optimizers), learning_rate=rates.tolist(), seed=0)
    [bucket] = split(row.task, trials, None, None, epochs=epochs, batch_size=BATCH).buckets
    made = compile_bucket(bucket, ("valid_loss", "min"), None, jax.local_devices())
    last = {}

    def run():
        last.update(train_bucket(made, bucket.columns.trials, "sweep", False).event)

    return run, made.program.lanes, last


def timed(run):
    """Seconds of processors, and on the clock."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.process_time() - cpu, time.perf_counter() - wall


def main(quick=False):
    """Print the table; times as fast as by hand, by processors' time, row by row."""
    joc.use_cpu_cores()
    epochs, turns = (2, 1) if quick else (EPOCHS, TURNS)
    print(f"{'sweep':24s}trials  lanes  occupied   ours, µs   hand, µs   ours is  on the clock")
    found = []
    for row in rows():
        run, lanes, event = by_us(row, epochs)
        ways = {"ours": run, "hand": by_hand(row, epochs)}
        for way in ways.values():
            way()
        times = {name: [timed(way) for _ in range(turns)] for name, way in ways.items()}
        (ours, clock), (hand, by_clock) = (np.min(times[name], axis=0) for name in ways)
        per = 1e6 / (row.trials * epochs * (EXAMPLES // BATCH))
        print(
            f"{row.name:24s}{row.trials:6d}{lanes:7d}{event['occupancy']:10.0%}"
            f"{ours * per:11.1f}{hand * per:11.1f}{hand / ours:9.2f}x{by_clock / clock:13.2f}x",
            flush=True,
        )
        found.append(float(hand / ours))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    main(**vars(parser.parse_args()))
