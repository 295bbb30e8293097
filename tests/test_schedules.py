"""Schedules are data: by hand, by a float64 transcription, and traced."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import descend, start

from jaxopt_course.optimizers import sgd
from jaxopt_course.schedules import constant_schedule, inverse_time_decay


def test_inverse_time_by_hand():
    rates = [inverse_time_decay(8.0, 1.0)(s) for s in (0, 1, 3, 7)]
    np.testing.assert_array_equal(rates, [8, 4, 2, 1])


def test_inverse_time_is_the_notes_formula_in_float64():
    steps = np.arange(500)
    with jax.enable_x64(True):
        ours = jax.vmap(inverse_time_decay(0.1, 0.3))(steps)
        assert ours.dtype == jnp.float64
        np.testing.assert_allclose(ours, 0.1 / (1 + steps * 0.3), rtol=1e-15)


def test_robbins_monro():
    """Σ η_s = ∞ (it grows by log 10 / η_d a decade) and Σ η_s² < ∞, for η_0 = 1, η_d = 0.01."""
    rates = np.asarray(jax.vmap(inverse_time_decay(1.0, 0.01))(jnp.arange(10**6)), np.float64)
    assert rates.sum() == pytest.approx(921.5, abs=0.1)
    assert rates[10**5 :].sum() == pytest.approx(np.log(10) / 0.01, rel=1e-3)
    assert np.square(rates).sum() == pytest.approx(100.49, abs=0.02)


def test_constant_is_optax_s():
    assert constant_schedule(0.3)(5) == optax.constant_schedule(0.3)(5) == 0.3


def test_every_parameter_is_traceable():
    """A lane per (η_0, η_d); each equals the schedule of Python numbers."""
    eta_0, eta_d = jnp.array([1.0, 0.5, 0.1]), jnp.array([0.0, 2.0, 0.25])
    steps = jnp.arange(4)
    lanes = jax.jit(jax.vmap(lambda a, b: jax.vmap(inverse_time_decay(a, b))(steps)))(eta_0, eta_d)
    for lane, a, b in zip(lanes, (1.0, 0.5, 0.1), (0.0, 2.0, 0.25), strict=True):
        np.testing.assert_allclose(lane, a / (1 + b * np.arange(4)), rtol=1e-6)


def test_the_first_update_uses_step_0_and_the_second_step_1():
    """Plain descent with a schedule, against the recursion written out in float64."""
    with jax.enable_x64(True):
        slope = lambda p: jnp.sum(p["b"])  # the gradient is 1, the step the rate itself
        path = descend(sgd(inverse_time_decay(0.5, 1.0)), {"b": jnp.zeros(1)}, 4, slope)["b"][:, 0]
    np.testing.assert_allclose(path, -np.cumsum([1 / 2, 1 / 4, 1 / 6, 1 / 8]), rtol=1e-15)


def test_the_rate_has_a_derivative_in_its_parameters():
    end = lambda rates: descend(sgd(inverse_time_decay(*rates)), start(), 10)["b"][-1, 0]
    slopes = jax.grad(end)((0.1, 0.2))
    assert all(np.isfinite(slopes)) and all(np.abs(slopes) > 1e-3)
