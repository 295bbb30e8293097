"""What does a step of our optimizers cost beside optax's?

Question  Is one optimizer step (update + apply_updates, jitted, donated) as fast as optax's, and is
          it traced about as fast?
Method    Both in one process, turn about, the order swapped from pair to pair; the ratio of each
          pair, and the median of 20 pairs.  Leaves x elements: 1 x 16M, 100 x 160k, 400 x 1k,
          200 x 64, float32; learning rate a literal.  Steps are timed in runs long enough for the
          clock; tracing is ``jit(step).trace`` of fresh functions.  The later recipes on matrices,
          and on those of 64 lanes under vmap: beside optax's, where it has them, and in the same
          way beside our own Adam, which says what a whole-tree scalar or a matrix iteration costs.
Run       python experiments/benchmarks/step_time.py [--pairs 20] [--quick] [--only muon soap]
Result    printed: a row a shape and optimizer, the geometric mean and the worst cell.
"""

import argparse
import os
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_course as joc

SHAPES = {"1 x 16M": (1, 16_000_000), "100 x 160k": (100, 160_000), "400 x 1k": (400, 1_000)}
SHAPES["200 x 64"] = (200, 64)
OPTIMIZERS = {
    "sgd + momentum": (lambda: joc.sgd(1e-3, 0.9), lambda: optax.sgd(1e-3, 0.9)),
    "adam": (lambda: joc.adam(1e-3), lambda: optax.adam(1e-3)),
    "adamw": (lambda: joc.adamw(1e-3), lambda: optax.adamw(1e-3)),
}
# of whole leaves and of matrices; small ones as lanes of one program too
LATER = {
    "muon": (lambda: joc.muon(1e-3), lambda: optax.contrib.muon(1e-3)),
    "lamb": (lambda: joc.lamb(1e-3), lambda: optax.lamb(1e-3)),
    "adafactor": (lambda: joc.adafactor(1e-3), lambda: optax.adafactor(1e-3)),
    "adan": (lambda: joc.adan(1e-3), lambda: optax.adan(1e-3)),
    "adopt": (lambda: joc.adopt(1e-3), lambda: optax.contrib.adopt(1e-3)),
    "prodigy": (joc.prodigy, optax.contrib.prodigy),
    "soap": (lambda: joc.soap(1e-3), None),  # which optax has not
    "schedule_free_sgd": (
        lambda: joc.schedule_free_sgd(1e-3),
        lambda: optax.contrib.schedule_free_sgd(1e-3),
    ),
    "schedule_free_adamw": (
        lambda: joc.schedule_free_adamw(1e-3),
        lambda: optax.contrib.schedule_free_adamw(1e-3),
    ),
}
ADAM = OPTIMIZERS["adam"][0]
MATRICES = {"20 x 400 x 400": (20, 400, 400), "100 x 25 x 40": (100, 25, 40)}
LANES = {"4 x 64 x 32, 64 lanes": (4, 64, 32)}
WANTED = {"step": 1.03, "cell": 1.10, "trace": 1.25, "muon": 1.0}


def make_step(tx, apply_updates, lanes=False):
    """One step as a training loop takes it; a new function, so that it is traced anew."""

    def step(params, state, gradients):
        updates, state = tx.update(gradients, state, params)
        return apply_updates(params, updates), state

    return jax.jit(jax.vmap(step) if lanes else step, donate_argnums=(0, 1))


class Runner:
    """A compiled step with its own parameters and state."""

    def __init__(self, tx, apply_updates, params, gradients, lanes=False):
        self.step = make_step(tx, apply_updates, lanes)
        self.params, self.gradients = jax.tree.map(jnp.copy, params), gradients
        state = jax.vmap(tx.init)(self.params) if lanes else tx.init(self.params)
        self.state = jax.tree.map(jnp.copy, state)  # some of optax's hold the parameters themselves

    def seconds(self, steps):
        """Time of ``steps`` steps."""
        start = time.perf_counter()
        for _ in range(steps):
            self.params, self.state = self.step(self.params, self.state, self.gradients)
        jax.block_until_ready(self.params)
        return time.perf_counter() - start


def paired(ours, theirs, pairs):
    """The median of the ratios ours() / theirs(), the order swapped from pair to pair."""
    ratios = []
    for i in range(pairs):
        first, second = (ours, theirs) if i % 2 else (theirs, ours)
        a, b = first(), second()
        ratios.append(a / b if i % 2 else b / a)
    return statistics.median(ratios)


def step_ratio(makers, params, gradients, pairs, lanes=False, apply_updates=optax.apply_updates):
    """Ratio of the time of a step; ``apply_updates`` is that of the second maker."""
    ours = Runner(makers[0](), joc.apply_updates, params, gradients, lanes)
    theirs = Runner(makers[1](), apply_updates, params, gradients, lanes)
    ours.seconds(2), theirs.seconds(2)
    steps = max(1, round(0.05 / (theirs.seconds(3) / 3)))
    return paired(lambda: ours.seconds(steps), lambda: theirs.seconds(steps), pairs)


def trace_ratio(makers, params, gradients, pairs):
    """Ratio of the time of tracing a step, fresh functions each time."""

    def seconds(make, apply_updates):
        def once():
            tx = make()
            state = jax.eval_shape(tx.init, params)
            step = make_step(tx, apply_updates)
            start = time.perf_counter()
            step.trace(params, state, gradients)
            return time.perf_counter() - start

        return once

    ours, theirs = (
        seconds(makers[0], joc.apply_updates),
        seconds(makers[1], optax.apply_updates),
    )
    ours(), theirs()
    return paired(ours, theirs, pairs)


def later(pairs, only=None):
    """Print the rows of the later recipes; return (ours / optax, ours / our Adam) of each."""
    cells = {}
    head = f"{'matrices':22} {'optimizer':19} {'step':>6} {'in steps of our Adam':>21}"
    print(f"\n{head}   ours / optax", flush=True)
    for label, (leaves, *shape) in (MATRICES | LANES).items():
        lanes = (64,) if label in LANES else ()
        keys = jax.random.split(jax.random.key(0), 2)
        draw = lambda key, s=(leaves, *lanes, *shape): list(jax.random.normal(key, s))
        params, gradients = map(draw, keys)
        for name, (ours, theirs) in LATER.items():
            if only and name not in only:
                continue
            given = params, gradients, pairs, bool(lanes)
            beside = step_ratio((ours, theirs), *given) if theirs else float("nan")
            cost = step_ratio((ours, ADAM), *given, joc.apply_updates)
            cells[label, name] = beside, cost
            shown = f"{beside:6.3f}" if theirs else f"{'—':>6}"
            print(f"{label:22} {name:19} {shown} {cost:21.2f}", flush=True)
    if muon := [beside for (_, name), (beside, _) in cells.items() if name == "muon"]:
        print(f"muon: worst cell {max(muon):.3f} (wanted: at most {WANTED['muon']})")
    return cells


def main(pairs, quick, only=None):
    """Print the tables; return the ratios by (shape, optimizer), of the later ones if ``only``."""
    if only and (strange := set(only) - LATER.keys()):
        raise SystemExit(f"--only takes some of {', '.join(LATER)}, not {', '.join(strange)}")
    shapes = {k: v for k, v in SHAPES.items() if not quick or v[0] * v[1] < 10**6}
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}, {os.cpu_count()} cores")
    if only:
        return later(pairs, only)
    print(f"{'leaves x elements':18} {'optimizer':15} {'step':>6} {'trace':>6}   ours / optax")
    cells = {}
    for label, (leaves, size) in shapes.items():
        keys = jax.random.split(jax.random.key(0), 2)
        draw = lambda key, n=leaves, m=size: list(jax.random.normal(key, (n, m)))
        params, gradients = map(draw, keys)
        for name, makers in OPTIMIZERS.items():
            step = step_ratio(makers, params, gradients, pairs)
            trace = trace_ratio(makers, params, gradients, pairs)
            cells[label, name] = step, trace
            print(f"{label:18} {name:15} {step:6.3f} {trace:6.2f}", flush=True)
    later(pairs)
    steps, traces = np.array(list(cells.values())).T
    mean = float(np.exp(np.log(steps).mean()))
    print(f"\nsteps: geometric mean {mean:.3f} (wanted: at most {WANTED['step']})")
    print(f"steps: worst cell {steps.max():.3f} (wanted: at most {WANTED['cell']})")
    print(f"tracing: worst cell {traces.max():.2f} (wanted: at most {WANTED['trace']})")
    return cells


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="the two small shapes only")
    parser.add_argument("--only", nargs="+", help="of the later recipes these, and nothing else")
    main(**vars(parser.parse_args()))
