"""What holds for every schedule and all of its numbers: random ones, the same at each run."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from long_form import every
from random_trees import few
from traced_arguments import FUNCTIONS, SCHEDULES, twin

STEPS = np.arange(0, 60)
_value = st.floats(0.01, 2.0)
_steps = st.integers(1, 40)
RANGES = {
    "value": _value,
    "init_value": _value,
    "peak_value": _value,
    "end_value": _value,
    "decay_rate": st.floats(0.1, 2.0),
    "power": st.floats(0.5, 3.0),
    "exponent": st.floats(0.5, 3.0),
    "alpha": st.floats(0.0, 1.0),
    "transition_steps": _steps,
    "transition_begin": st.integers(0, 20),
    "decay_steps": st.integers(21, 60),
    "warmup_steps": st.integers(1, 20),
    "staircase": st.booleans(),
    "pct_start": st.floats(0.1, 0.4),
    "pct_final": st.floats(0.5, 0.9),
    "div_factor": st.floats(1.0, 30.0),
    "final_div_factor": st.floats(1.0, 1e4),
    "warmup_share": st.floats(0.0, 0.5),
    "decay_share": st.floats(0.05, 0.5),
    "timescale": st.floats(1.0, 40.0),
    "cooldown_steps": st.integers(0, 10),
    "first_decay_steps": st.integers(2, 20),
    "t_mul": st.sampled_from([1.0, 1.5, 2.0, 3.0]),
    "m_mul": st.floats(0.1, 1.0),
    "boundaries": st.sampled_from([[3, 7], [1, 50], [10, 11]]),
    "scales": st.lists(st.floats(0.1, 2.0), min_size=2, max_size=2),
}
OWN = {("inverse_sqrt_schedule", "transition_steps"): st.integers(40, 60)}  # all must fit in
NAMES = sorted(SCHEDULES - {"join_schedules"})
LINES = [lambda s: 1.0 + 0.1 * s, lambda s: 20.0 - 0.2 * s, lambda s: 40.0 + 0.0 * s]


def arguments(name):
    """Numbers and switches for the schedule ``name``; a number that may be None at times is."""
    drawn = {}
    for parameter in inspect.signature(FUNCTIONS[name]).parameters.values():
        if parameter.name != "boundaries_and_scales":
            numbers = OWN.get((name, parameter.name), RANGES[parameter.name])
            drawn[parameter.name] = st.none() | numbers if parameter.default is None else numbers
    return st.fixed_dictionaries(drawn)


@pytest.mark.parametrize("name", every(2, [name for name in NAMES if twin(name) is not None]))
def test_equals_optax(name):
    """In float64, steps included: with integer steps optax divides them in float32."""

    @few
    @given(arguments(name))
    def check(kwargs):
        with jax.enable_x64(True):
            steps = jnp.asarray(STEPS, jnp.float64)
            ours, expected = (
                np.broadcast_to(np.asarray(jax.vmap(make(**kwargs))(steps)), STEPS.shape)
                for make in (FUNCTIONS[name], twin(name))
            )
            np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)

    check()


@pytest.mark.parametrize("name", every(3, NAMES))
def test_one_program_for_all_numbers(name):
    """Traced numbers and steps in float32: finite, never negative, and the literals' values."""
    lanes = jax.jit(lambda kwargs: jax.vmap(FUNCTIONS[name](**kwargs))(jnp.asarray(STEPS)))

    @few
    @given(arguments(name))
    def check(kwargs):
        numbers = {k: v for k, v in kwargs.items() if v is not None}
        traced = lanes(jax.tree.map(jnp.asarray, numbers))
        alone = jax.vmap(FUNCTIONS[name](**numbers))(jnp.asarray(STEPS))
        assert traced.dtype == jnp.float32 and traced.shape == STEPS.shape
        assert np.isfinite(traced).all() and (traced >= 0).all()
        np.testing.assert_allclose(
            traced, np.broadcast_to(alone, STEPS.shape), rtol=2e-5, atol=1e-7
        )

    check()


@few
@given(st.lists(st.integers(1, 50), min_size=2, max_size=2, unique=True).map(sorted))
def test_joined_schedules_follow_each_other(boundaries):
    first, second = boundaries
    joined = FUNCTIONS["join_schedules"](LINES, boundaries)
    for step in STEPS:
        part = int(step >= first) + int(step >= second)
        own = step - [0, first, second][part]
        np.testing.assert_allclose(joined(step), LINES[part](own), rtol=1e-6)
