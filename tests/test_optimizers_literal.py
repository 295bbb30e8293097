"""A literal and the same number as a traced scalar give the same bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import RECIPES, as_arrays, assert_trees_close, assert_trees_equal, defaults

from jaxopt_course.base import apply_updates
from jaxopt_course.optimizers import OPTIMIZERS

STEPS = 500
CASES = [(name, {}) for name in RECIPES] + [
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("rmsprop", {"momentum": 0.9, "centered": True}),
    ("rmsprop", {"eps_in_sqrt": False, "bias_correction": True, "momentum": 0.9, "nesterov": True}),
    ("adadelta", {"weight_decay": 1e-2}),
    ("adam", {"b2": 0.99999, "nesterov": True}),
    ("adamw", {"eps_root": 1e-8}),
]


def run(tx, params, gradients):
    """Every parameter after every step; the data are arguments, as in any training program."""

    def step(carry, g):
        params, state = carry
        u, state = tx.update(g, state, params)
        params = apply_updates(params, u)
        return (params, state), params

    return jax.lax.scan(step, (params, tx.init(params)), gradients)


def data(shapes=((7, 5), (5,), (16, 16))):
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
    return [draw(*shape) for shape in shapes], [draw(STEPS, *shape) for shape in shapes]


@pytest.mark.parametrize("name, extra", CASES, ids=[f"{n}-{','.join(e)}" for n, e in CASES])
def test_500_steps_bit_for_bit(name, extra):
    recipe = OPTIMIZERS[name]
    flags = defaults(recipe, bool) | {k: v for k, v in extra.items() if isinstance(v, bool)}
    numbers = {"learning_rate": 3e-3, **defaults(recipe, float)}
    numbers |= {k: v for k, v in extra.items() if k not in flags}

    literal = jax.jit(lambda *data: run(recipe(**numbers, **flags), *data))
    traced = jax.jit(lambda numbers, *data: run(recipe(**numbers, **flags), *data))
    assert_trees_equal(literal(*data()), traced(as_arrays(numbers), *data()))


@pytest.mark.parametrize("name", RECIPES)
def test_a_lane_agrees_to_rounding(name):
    """The same number in a lane of eight: 1e-5 over 20 steps."""
    recipe = OPTIMIZERS[name]
    numbers = {"learning_rate": 3e-3, **defaults(recipe, float)}
    params, gradients = data()
    gradients = [g[:20] for g in gradients]
    alone = jax.jit(lambda *data: run(recipe(**numbers), *data)[1])(params, gradients)
    lanes = jax.tree.map(lambda x: jnp.full(8, x), as_arrays(numbers))
    lanes = jax.vmap(lambda numbers: run(recipe(**numbers), params, gradients)[1])(lanes)
    for lane in (0, 7):
        assert_trees_close(jax.tree.map(lambda x, i=lane: x[i], lanes), alone, 1e-5, 1e-6)
