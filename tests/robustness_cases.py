"""Hard cases for an optimizer, measured on this package and on optax by the same functions.

The same cases for PyTorch and Keras stand in robustness_frameworks.py; a measurement is a number, a
list or a short text, and test_robustness.py says which are good.
"""

import inspect
import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
from traced_arguments import VALUES

import jaxopt_course.transforms as transforms
from jaxopt_course.base import apply_updates
from jaxopt_course.optimizers import OPTIMIZERS

OURS = SimpleNamespace(**{**vars(transforms), **OPTIMIZERS, "apply_updates": apply_updates})
SHARED = sorted(name for name in OPTIMIZERS if hasattr(optax, name))
RATE = 0.1


def follow(library, tx, params, gradients):
    """The parameters after each of a stream of gradients."""

    def step(carry, g):
        params, state = carry
        u, state = tx.update(g, state, params)
        params = library.apply_updates(params, u)
        return (params, state), params

    params = jax.tree.map(jnp.asarray, params)
    return jax.jit(lambda: jax.lax.scan(step, (params, tx.init(params)), gradients)[1])()


def moves(library, tx, gradients, dtype="float32"):
    """The change of parameters that start at 0, step by step, as plain numbers."""
    gradients = jnp.asarray(np.asarray(gradients), dtype)
    path = follow(library, tx, jnp.zeros(gradients.shape[1:], dtype), gradients)
    path = np.asarray(path, np.float64)
    return np.diff(path, axis=0, prepend=np.zeros_like(path[:1])).tolist()


def scan_breaks(library):
    """[pairs whose state or parameters change dtype in lax.scan, all pairs]."""
    broken = total = 0
    for name in SHARED:
        recipe, twin = getattr(library, name), getattr(optax, name)
        numbers = {k: VALUES[k][0] for k in inspect.signature(twin).parameters if k in VALUES}
        numbers = {k: v for k, v in numbers.items() if not isinstance(v, bool)}
        for argument, value in numbers.items():
            total += 1
            broken += not all(
                scans(library, recipe(**{**numbers, argument: np.float32(value)}), dtype)
                for dtype in ("bfloat16", "float16")
            )
    return [broken, total]


def scans(library, tx, dtype, of_gradients=None):
    """Whether lax.scan takes the step: no dtype changes."""
    try:
        params, gradients = jnp.ones(2, dtype), jnp.ones((3, 2), of_gradients or dtype)
        jax.eval_shape(lambda: follow(library, tx, params, gradients))
    except TypeError:
        return False
    return True


def mixed_breaks(library):
    """The recipes that cannot go through lax.scan with float32 gradients of bfloat16 parameters."""
    breaks = lambda name: not scans(library, getattr(library, name)(RATE), "bfloat16", "float32")
    return [name for name in SHARED if breaks(name)]


def not_finite_in_half(library):
    """The recipes whose first move in float16 is not finite for gradients of 1e-4 and 0."""
    move = lambda name: moves(library, getattr(library, name)(RATE), [[1e-4, 0.0]], "float16")
    return [name for name in SHARED if not np.isfinite(move(name)).all()]


def stagnation(library):
    """Adam in bfloat16 after 5000 gradients of 1: its second moment."""
    tx = library.scale_by_adam()
    ones = jnp.ones((5000, 1), jnp.bfloat16)

    def last():
        step = lambda state, g: (tx.update(g, state)[1], None)
        return jax.lax.scan(step, tx.init(ones[0]), ones)[0].nu

    return float(jax.jit(last)()[0])


def error_of_adam(library):
    """Largest relative error against float64 in 500 equal gradients, b2 = 0.99999."""

    def updates():
        tx = library.scale_by_adam(b2=0.99999)
        step = lambda state, g: tx.update(g, state)[::-1]
        return jax.lax.scan(step, tx.init(jnp.zeros(())), jnp.full(500, 0.3))[1]

    u = np.asarray(jax.jit(updates)(), np.float64)
    return float(np.max(np.abs(u * (1 + 1e-8 / 0.3) - 1)))


def centered_constant(library):
    """Share of 600 coordinates with a constant gradient that are NaN after 1000 steps."""
    g = np.random.default_rng(0).uniform(0.1, 1000.0, size=600)
    tx = library.rmsprop(1e-3, decay=0.9, centered=True)
    path = follow(library, tx, jnp.zeros(600), jnp.broadcast_to(jnp.asarray(g), (1000, 600)))
    return float(np.mean(~np.isfinite(np.asarray(path[-1]))))


def centered_corrected(library):
    """The same after one step, with bias correction."""
    g = np.random.default_rng(0).uniform(0.1, 1000.0, size=(1, 600))
    tx = library.rmsprop(1e-3, decay=0.9, centered=True, bias_correction=True)
    return float(np.mean(~np.isfinite(moves(library, tx, g))))


def hypergradients(library):
    """The recipes whose derivative by the learning rate is NaN if a gradient is always 0."""

    def end(name, rate):
        tx, params = getattr(library, name)(rate), jnp.ones(2)
        state = tx.init(params)
        for _ in range(3):
            u, state = tx.update(params * jnp.array([1.0, 0.0]), state, params)
            params = library.apply_updates(params, u)
        return jnp.sum(params**2)

    slope = lambda name: jax.grad(lambda rate: end(name, rate))(0.1)
    return [name for name in SHARED if not jnp.isfinite(slope(name))]


def complaint(call):
    """The error of ``call`` and whether it names the leaf, or what came of it."""
    try:
        result = call()
    except Exception as error:
        return f"{type(error).__name__}{', names the leaf' if 'kernel' in str(error) else ''}"
    return result


def wrong_shape(library):
    tx, params = library.adam(RATE), {"kernel": jnp.zeros((3, 2))}

    def step():
        u, _ = tx.update({"kernel": jnp.ones(2)}, tx.init(params), params)
        return f"broadcasts to {library.apply_updates(params, u)['kernel'].shape}"

    with jax.numpy_rank_promotion("allow"):  # as everywhere but in these tests
        return complaint(step)


def missing(library):
    tx, params = library.adam(RATE), {"bias": jnp.zeros(2), "kernel": jnp.zeros((3, 2))}
    g = {"bias": jnp.ones(2), "kernel": None}
    step = lambda: tx.update(g, tx.init(params), params)[0]
    return complaint(lambda: f"{library.apply_updates(params, step())}")


def integers(library):
    tx, params = library.sgd(RATE), {"kernel": jnp.array([3, 4])}

    def two_steps():
        state, new = tx.init(params), params
        for _ in range(2):
            u, state = tx.update({"kernel": jnp.array([1, 1])}, state, new)
            new = library.apply_updates(new, u)
        return f"[3, 4] becomes {new['kernel'].tolist()}"

    return complaint(two_steps)


def clipped(library, g, dtype):
    g = jnp.asarray(g, dtype)
    tx = library.clip_by_global_norm(1.0)
    u = tx.update(g, tx.init(g))[0]
    return np.asarray(u, np.float64).tolist()


def many_leaves(library):
    """The norm of 500 bfloat16 leaves of 1 each after clipping to the norm 1."""
    g = [jnp.ones((), jnp.bfloat16)] * 500
    tx = library.clip_by_global_norm(1.0)
    u = tx.update(g, tx.init(g))[0]
    return float(np.linalg.norm(np.asarray(jnp.stack(u), np.float64)))


def frozen(library):
    """Adam after one gradient of 1e30 and fifty of 1: its last move, and who was told."""
    last = moves(library, library.adam(RATE), [[1e30]] + [[1.0]] * 50)[-1][0]
    if library is not OURS:
        return [last, ""]
    from jaxopt_course.inspection import diagnose

    tx, params = library.adam(RATE), {"kernel": jnp.zeros(1), "bias": jnp.zeros(1)}
    _, state = tx.update({"kernel": jnp.full(1, 1e30), "bias": jnp.ones(1)}, tx.init(params))
    said = str(diagnose(state))
    return [last, "diagnose names the leaf" if "kernel" in said and "bias" not in said else said]


def adadelta(library):
    return moves(library, library.adadelta(), [[1.0]])[0][0]


MEASURES = {
    "scan": scan_breaks,
    "bf16 memory": stagnation,
    "bf16 adam": lambda lib: moves(lib, lib.adam(RATE), [[1.0]], "bfloat16")[0][0],
    "mixed": mixed_breaks,
    "f16 recipes": not_finite_in_half,
    "f16 small": lambda lib: moves(lib, lib.adam(RATE), [[1e-4, 0.0]], "float16")[0],
    "f16 large": lambda lib: moves(lib, lib.adam(RATE), [[300.0]], "float16")[0][0],
    "1e30": frozen,
    "precision": error_of_adam,
    "centered": centered_constant,
    "centered corrected": centered_corrected,
    "eps 0": lambda lib: moves(lib, lib.adam(RATE, eps=0.0), [[0.0]])[0][0],
    "nan": lambda lib: moves(lib, lib.adam(RATE), [[math.nan, 1.0], [1.0, 1.0]])[1],
    "inf": lambda lib: moves(lib, lib.adam(RATE), [[math.inf, 1.0], [1.0, 1.0]])[1],
    "hypergradients": hypergradients,
    "shape": wrong_shape,
    "missing": missing,
    "integers": integers,
    "norm f16": lambda lib: clipped(lib, [300.0, 300.0], "float16"),
    "norm bf16": many_leaves,
    "norm 1e30": lambda lib: clipped(lib, [1e30, 1e30], "float32"),
    "adadelta": adadelta,
}
