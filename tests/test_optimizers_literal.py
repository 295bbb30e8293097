"""A literal and the same number as a traced scalar give the same bits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    DEFAULT_EFFORT,
    RECIPES,
    as_arrays,
    assert_trees_close,
    assert_trees_equal,
    defaults,
)
from long_form import put

import jaxopt_course.transforms as transforms
from jaxopt_course.base import apply_updates, chain
from jaxopt_course.transforms import scale_by_learning_rate

STEPS = 500
CASES = [(name, {}) for name in RECIPES] + [
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("rmsprop", {"momentum": 0.9, "centered": True}),
    ("rmsprop", {"eps_in_sqrt": False, "bias_correction": True, "momentum": 0.9, "nesterov": True}),
    ("adadelta", {"weight_decay": 1e-2}),
    ("adam", {"b2": 0.99999, "nesterov": True}),
    ("adamw", {"eps_root": 1e-8}),
    ("amsgrad", {"bias_correction_mu": False, "bias_correction_nu": False}),
    ("radam", {"b2": 0.99999, "nesterov": True}),
    ("lion", {"weight_decay": 0.1}),
    ("schedule_free_adamw", {"warmup_steps": 50.0, "weight_decay": 0.1}),
    ("schedule_free_sgd", {"learning_rate": 1e-2, "weight_decay": 0.1}),
    ("ademamix", {"b3_warmup": 300.0, "alpha_warmup": 200.0, "weight_decay": 0.1}),
    ("dampened_trace", {"decay": 0.9, "dampening": 0.3}),
    ("dampened_trace", {"decay": 0.9, "dampening": 0.3, "nesterov": True}),
    ("scale_by_rss", {"eps_in_sqrt": False}),
    ("scale_by_adam", {"eps_hat": True}),
    ("scale_by_adam", {"bias_correction_mu": False, "bias_correction_nu": False}),
    ("scale_by_adamax", {"eps_in_max": False}),
    ("scale_by_amsgrad", {"max_before_correction": True}),
    ("scale_by_amsgrad", {"eps_hat": True}),
    ("scale_by_nadam", {}),
    ("scale_by_nadam", {"momentum_decay": 1.0, "b2": 0.99999}),
    ("scale_by_radam", {"eps_hat": True}),
    ("clip", {"max_delta": 0.3}),
    ("clip_by_norm", {"max_norm": 0.3}),
    ("clip_by_global_norm", {"max_norm": 0.3}),
]


IDS = [f"{n}-{','.join(e) or 'defaults'}" for n, e in CASES]
# a product, a root, corrections by powers; those with switches and thresholds take longest
SHORT = {"momentum-defaults", "rmsprop-defaults", "adamw-defaults"}
CASE = pytest.mark.parametrize(
    "case", [put(pytest.param(i, id=x), x in SHORT) for i, x in enumerate(IDS)]
)


def build(name, numbers, flags):
    """A recipe, or a transformation with a learning rate after it."""
    if name in RECIPES:
        return RECIPES[name](**numbers, **flags)
    numbers = dict(numbers)
    rate = scale_by_learning_rate(numbers.pop("learning_rate"))
    return chain(getattr(transforms, name)(**numbers, **flags), rate)


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


def arguments(case):
    """Name, numbers and switches of a case."""
    name, extra = CASES[case]
    made = RECIPES.get(name) or getattr(transforms, name)
    flags = defaults(made, bool) | {k: v for k, v in extra.items() if isinstance(v, bool)}
    numbers = {"learning_rate": 3e-3, **defaults(made, float)}
    return name, numbers | {k: v for k, v in extra.items() if k not in flags}, flags


# where jax 0.12 fuses a literal and a traced number otherwise: a few numbers part by the last bit
FUSED_OTHERWISE = {"nadamw", "adan", "schedule_free_adamw"}
by_default = functools.partial(jax.jit, compiler_options=DEFAULT_EFFORT)


@functools.cache
def literal(case):
    """The run whose numbers are literals."""
    return by_default(lambda *data: run(build(*arguments(case)), *data))(*data())


@CASE
def test_500_steps_bit_for_bit(case):
    name, numbers, flags = arguments(case)
    traced = by_default(lambda numbers, *data: run(build(name, numbers, flags), *data))
    both = literal(case), traced(as_arrays(numbers), *data())
    if jax.__version_info__ >= (0, 11) and name in FUSED_OTHERWISE:
        assert_trees_close(*both, rtol=1e-6, atol=1e-7)
    else:
        assert_trees_equal(*both)


@CASE
def test_a_lane_agrees_to_rounding(case):
    """The same number in a lane of eight: 1e-5 over 20 steps."""
    name, numbers, flags = arguments(case)
    params, gradients = data()
    gradients = [g[:20] for g in gradients]
    alone = [path[:20] for path in literal(case)[1]]
    lanes = jax.tree.map(lambda x: jnp.full(8, x), as_arrays(numbers))
    lanes = jax.vmap(lambda numbers: run(build(name, numbers, flags), params, gradients)[1])(lanes)
    for lane in (0, 7):
        assert_trees_close(jax.tree.map(lambda x, i=lane: x[i], lanes), alone, 1e-5, 1e-6)
