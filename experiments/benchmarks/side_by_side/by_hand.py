"""optax by hand: one trial after another, and vmap over all of them or over chunks.

Each is ``jit`` of a function that trains one trial with a traced rate; data are on the device, the
rows of each batch come from outside.
"""

import jax
import numpy as np
import optax

from experiments.benchmarks.side_by_side.jax_networks import loss_of


def step_of(workload):
    """One step of one trial."""
    loss = loss_of(workload)

    def step(w, state, rate, x, y):
        value, g = jax.value_and_grad(loss)(w, x, y)
        u, state = optax.adam(rate).update(g, state, w)
        return optax.apply_updates(w, u), state, value

    return step


def train_of(workload):
    """One trial as a scan over its steps."""
    step = step_of(workload)

    def train(w, rate, order, x, y):
        def body(carry, rows):
            w, state, value = step(*carry, rate, x[rows], y[rows])
            return (w, state), value

        return jax.lax.scan(body, (w, optax.adam(rate).init(w)), order)[1]

    return train


def scan(case):
    """``jit(scan)``, one trial after another."""
    train = jax.jit(train_of(case.workload))
    x, y = jax.device_put((case.inputs, case.targets))
    held = jax.device_put({seed: (case.start(seed), case.order[seed]) for seed in case.seeds})

    def run():
        pairs = zip(case.rates, case.seeds, strict=True)
        losses = [train(held[seed][0], rate, held[seed][1], x, y) for rate, seed in pairs]
        return np.asarray(losses)

    return run


def loop(case):
    """A Python loop over jitted steps, one trial after another."""
    take = lambda w, state, rate, x, y, rows: step(w, state, rate, x[rows], y[rows])
    step = step_of(case.workload)
    take = jax.jit(take, donate_argnums=(0, 1))
    init = jax.jit(optax.adam(1.0).init)
    x, y = jax.device_put((case.inputs, case.targets))

    def run():
        curves = []
        for rate, seed in zip(case.rates, case.seeds, strict=True):
            w = jax.device_put(case.start(seed))
            state, losses = init(w), []
            for rows in case.order[seed]:
                w, state, value = take(w, state, rate, x, y, rows)
                losses.append(value)
            curves.append(np.asarray(jax.device_get(losses)))
        return np.asarray(curves)

    return run


def vmap(case, width=None):
    """``jit(vmap(scan))`` over all trials, or over ``width`` at a time."""
    width = min(width or len(case.trials), len(case.trials))
    refuse_too_large(case, width)
    train = train_of(case.workload)
    x, y = jax.device_put((case.inputs, case.targets))
    weights, order = jax.device_put((case.weights, case.order))

    def one(rate, seed, weights, order, x, y):
        w = jax.tree.map(lambda leaf: leaf[seed], weights)
        return train(w, rate, order[seed], x, y)

    program = jax.jit(jax.vmap(one, (0, 0, None, None, None, None)))

    def run():
        parts = [slice(i, i + width) for i in range(0, len(case.trials), width)]
        losses = [
            program(case.rates[part], case.seeds[part], weights, order, x, y) for part in parts
        ]
        return np.concatenate(losses)

    return run


def chunks(case):
    """vmap over chunks of the workload's best width."""
    return vmap(case, case.workload.chunk)


def refuse_too_large(case, width):
    """All trials at once may need more memory than there is."""
    one = sum(leaf[0].size for leaf in case.weights.values())
    needed = 6 * 4 * one * width / 2**30  # weights, gradients, two moments, and copies of some
    with open("/proc/meminfo", encoding="ascii") as lines:
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    if needed > free / 2**20 / 2:
        raise MemoryError(f"needs about {needed:.0f} GiB")
