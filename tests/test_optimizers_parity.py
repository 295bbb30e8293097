"""Every recipe and transformation equals its optax twin in float64, over its options."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import RECIPES, TWINS, descend, deviation, our, rollout, start, stream, their

import jaxopt_course.transforms as transforms
from jaxopt_course import optimizers, schedules
from jaxopt_course.base import chain
from jaxopt_course.transforms import scale_by_learning_rate

SCHEDULE = lambda s: 0.03 / (1 + 0.5 * s)
MASK = {"w": True, "b": False}
F64 = "float64"

# (name, arguments). The optax twin has the same name and arguments, but for the rows of TWINS.
# Short memories come with a large eps: without one such a loop ends in a chaotic dance around the
# minimum, where two correct programs part by rounding alone.
ROWS = [
    # momentum
    ("trace", {"decay": 0.9}),
    ("trace", {"decay": 0.9, "nesterov": True}),
    ("trace", {"decay": 0.0}),
    ("trace", {"decay": 0.99, "accumulator_dtype": F64}),
    ("ema", {"decay": 0.9}),
    ("ema", {"decay": 0.9, "debias": False}),
    ("ema", {"decay": 0.3, "accumulator_dtype": F64}),
    ("ema", {"decay": 0.0}),
    # second moments
    ("scale_by_rss", {}),
    ("scale_by_rss", {"initial_accumulator_value": 0.0, "eps": 1e-3}),
    ("scale_by_rms", {}),
    ("scale_by_rms", {"decay": 0.3, "eps": 1e-6, "initial_scale": 1.0}),
    ("scale_by_rms", {"eps_in_sqrt": False, "bias_correction": True}),
    ("scale_by_rms", {"decay": 0.99, "bias_correction": True}),
    ("scale_by_stddev", {}),
    ("scale_by_stddev", {"decay": 0.95, "eps": 0.1, "initial_scale": 1.0, "eps_in_sqrt": False}),
    ("scale_by_adadelta", {}),
    ("scale_by_adadelta", {"rho": 0.5, "eps": 1e-3}),
    # Adam
    ("scale_by_adam", {}),
    ("scale_by_adam", {"b1": 0.3, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3}),
    ("scale_by_adam", {"b1": 0.0, "mu_dtype": F64}),
    ("scale_by_adam", {"nesterov": True}),
    ("scale_by_adamax", {}),
    ("scale_by_adamax", {"b1": 0.5, "b2": 0.95, "eps": 0.1}),
    # decay and rates
    ("add_decayed_weights", {"weight_decay": 0.1}),
    ("add_decayed_weights", {"weight_decay": 0.1, "mask": MASK}),
    ("add_decayed_weights", {"weight_decay": SCHEDULE}),
    ("add_decayed_weights", {"weight_decay": 0.0}),
    ("scale", {"step_size": -0.3}),
    ("scale_by_schedule", {"step_size_fn": SCHEDULE}),
    ("scale_by_learning_rate", {"learning_rate": 0.3}),
    ("scale_by_learning_rate", {"learning_rate": SCHEDULE}),
    ("scale_by_learning_rate", {"learning_rate": 0.3, "flip_sign": False}),
    ("scale_by_learning_rate", {}),
    # recipes
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "accumulator_dtype": F64}),
    ("momentum", {}),
    ("momentum", {"momentum": 0.5}),
    ("nesterov", {}),
    ("ema_momentum", {}),
    ("adagrad", {}),
    ("adagrad", {"initial_accumulator_value": 0.0, "eps": 1e-3}),
    ("rmsprop", {}),
    ("rmsprop", {"decay": 0.99, "eps": 1e-6, "initial_scale": 1.0, "eps_in_sqrt": False}),
    ("rmsprop", {"momentum": 0.9}),
    ("rmsprop", {"momentum": 0.9, "nesterov": True, "bias_correction": True}),
    ("rmsprop", {"centered": True}),
    ("rmsprop", {"centered": True, "eps_in_sqrt": False, "eps": 0.1, "momentum": 0.5}),
    ("adadelta", {"learning_rate": 1.0}),
    ("adadelta", {"rho": 0.5, "eps": 1e-3, "weight_decay": 0.1, "weight_decay_mask": MASK}),
    ("adam", {}),
    ("adam", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3}),
    ("adam", {"nesterov": True, "mu_dtype": F64}),
    ("adamw", {}),
    ("adamw", {"weight_decay": 0.1, "mask": MASK, "nesterov": True}),
    ("adamw", {"weight_decay": SCHEDULE, "b1": 0.5}),
    ("adamax", {}),
    ("adamax", {"b1": 0.5, "b2": 0.95, "eps": 0.1}),
]
RATES = {"scale", "scale_by_schedule", "scale_by_learning_rate"}  # open loop only
ELSEWHERE = {"switch": "test_switch.py", "inverse_time_decay": "test_schedules.py"}


def public(module):
    return {
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and value.__module__.startswith(module.__name__)
    }


def test_every_public_name_has_a_row():
    names = public(transforms) | set(RECIPES)
    assert names - ELSEWHERE.keys() == {name for name, _ in ROWS}
    assert public(schedules) == {"constant_schedule", "inverse_time_decay"}


def test_optimizers_is_the_table_of_recipes():
    assert " ".join(RECIPES) == (
        "sgd momentum ema_momentum nesterov adagrad rmsprop adadelta adam adamw adamax"
    )
    assert {f.__name__ for f in RECIPES.values()} == set(RECIPES) == public(optimizers)


@pytest.mark.parametrize("name", sorted({name for name, _ in ROWS} - TWINS.keys()))
def test_arguments_are_optax_s(name):
    """Names, order, kinds and defaults; scale_by_stddev has one more, keyword-only."""
    shape = lambda f: [
        (p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()
    ]
    ours = shape(RECIPES.get(name) or getattr(transforms, name))
    if name == "scale_by_stddev":
        assert ours.pop() == ("centered", inspect.Parameter.KEYWORD_ONLY, True)
    assert ours == shape(getattr(optax, name))


@pytest.mark.parametrize(
    "name, kwargs", ROWS, ids=[f"{n}-{','.join(map(str, k)) or 'defaults'}" for n, k in ROWS]
)
def test_equals_optax(name, kwargs):
    """500 steps: a fixed stream of gradients; a closed loop at a constant and a falling rate."""

    rate = kwargs.get("learning_rate", 0.03)

    def trajectories(twin):
        if name in RECIPES:
            one, two = (twin(name, {**kwargs, "learning_rate": r}) for r in (rate, SCHEDULE))
            loops = [one, two]
        else:
            one = twin(name, kwargs)
            loops = [] if name in RATES else [chain(one, scale_by_learning_rate(0.03))]
        return [rollout(one, stream(), start())[0], *(descend(tx, start(), 500) for tx in loops)]

    with jax.enable_x64(True):
        both = jax.jit(lambda: [trajectories(our), trajectories(their)])()
        for ours, theirs in zip(*both, strict=True):
            assert deviation(ours, theirs) <= 1e-12


@pytest.mark.parametrize(
    "name, kwargs",
    [
        ("sgd", {"learning_rate": 0.03, "momentum": 0.9, "accumulator_dtype": "float32"}),
        ("adam", {"learning_rate": 0.03, "mu_dtype": "float32"}),
    ],
)
def test_narrow_memories_round_as_optax_s(name, kwargs):
    """A float32 memory of float64 gradients: stored rounded, handed on unrounded."""
    with jax.enable_x64(True):
        ours, theirs = (
            jax.jit(lambda twin=twin: rollout(twin(name, kwargs), stream(), start()))()
            for twin in (our, their)
        )
        key = "trace" if name == "sgd" else "mu"
        assert optax.tree.get(ours[1], key)["w"].dtype == jnp.float32
        # optax rounds b m to float32 too, before it adds the gradient
        assert 0 < deviation(ours[0], theirs[0]) < 5e-7


def test_flips_the_sign_without_a_rate():
    """optax 0.2.8 climbs: adadelta() there is adadelta(-1.0)."""
    ours = rollout(optimizers.adadelta(), stream(20), start())[0]
    theirs = rollout(optax.adadelta(), stream(20), start())[0]
    np.testing.assert_allclose(ours["w"], -theirs["w"], rtol=1e-5)
