"""Three momenta: by hand, by their laws, by a float64 transcription of the notes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_trees_close, descend, deviation, quartic, rollout, start, stream

from jaxopt_course.optimizers import ema_momentum, momentum, nesterov, sgd
from jaxopt_course.transforms import dampened_trace, ema, scale, trace

MOMENTA = pytest.mark.parametrize(
    "tx",
    [
        trace(0.9),
        trace(0.9, nesterov=True),
        dampened_trace(0.9, 0.5),
        ema(0.9),
        ema(0.9, debias=False),
    ],
    ids=["sum", "nesterov", "dampened", "debiased mean", "mean"],
)


@pytest.mark.parametrize(
    "tx, by_hand",  # β = 1/2, g = 1, 1, 1: exact in binary, so compare exactly
    [
        (trace(0.5), [1, 3 / 2, 7 / 4]),
        (trace(0.5, nesterov=True), [3 / 2, 7 / 4, 15 / 8]),
        (ema(0.5, debias=False), [1 / 2, 3 / 4, 7 / 8]),
    ],
    ids=["sum", "nesterov", "mean"],
)
def test_three_steps_by_hand(tx, by_hand):
    np.testing.assert_array_equal(rollout(tx, jnp.ones(3), jnp.zeros(()))[0], by_hand)


def test_a_debiased_mean_of_a_constant_is_the_constant():
    np.testing.assert_allclose(rollout(ema(0.9), jnp.full(50, 3.0), jnp.zeros(()))[0], 3, rtol=1e-6)


@MOMENTA
def test_is_linear_in_the_gradients(tx):
    """A momentum is a linear filter: T(2g + h) = 2 T(g) + T(h)."""
    with jax.enable_x64(True):
        g, h = stream(50, seed=1), stream(50, seed=2)
        run = lambda x: rollout(tx, x, start())[0]
        mix = lambda x, y: jax.tree.map(lambda x, y: 2 * x + y, x, y)
        assert deviation(run(mix(g, h)), mix(run(g), run(h))) < 1e-13


def test_a_constant_gradient_is_amplified_by_one_over_one_minus_beta():
    ones = jnp.ones(400)
    assert rollout(trace(0.9), ones, jnp.zeros(()))[0][-1] == pytest.approx(10.0)
    assert rollout(ema(0.9, debias=False), ones, jnp.zeros(()))[0][-1] == pytest.approx(1.0)


def test_recipes_are_sgd_with_momentum():
    with jax.enable_x64(True):
        pairs = [
            (momentum(0.1, 0.8), sgd(0.1, 0.8)),
            (nesterov(0.1, 0.8), sgd(0.1, momentum=0.8, nesterov=True)),
        ]
        for ours, theirs in pairs:
            assert_trees_close(descend(ours, start(), 50), descend(theirs, start(), 50), rtol=0)


def test_ema_momentum_is_the_notes_formula_in_float64():
    """m ← β m + (1-β) g; w ← w - η m, written out; 500 steps on the quartic."""
    eta, beta = 0.05, 0.9
    with jax.enable_x64(True):
        ours = descend(ema_momentum(eta, beta), start(), 500)["w"]
        slope = jax.jit(jax.grad(quartic))
        w, m, path = start(), jax.tree.map(jnp.zeros_like, start()), []
        for _ in range(500):
            g = slope(w)
            m = {k: beta * np.asarray(m[k]) + (1 - beta) * np.asarray(g[k]) for k in w}
            w = {k: np.asarray(w[k]) - eta * m[k] for k in w}
            path.append(w["w"])
        assert deviation(ours, np.stack(path)) < 1e-12


def test_memories_of_half_precision_are_float32_unless_told_otherwise():
    """β = 0.99, g = 1: in bfloat16 the memory stops where a step is below half a unit."""
    g, zero = jnp.ones(1000, jnp.bfloat16), jnp.zeros((), jnp.bfloat16)
    last = lambda dtype: rollout(trace(0.99, accumulator_dtype=dtype), g, zero)[0][-1]
    assert last(None).dtype == last("bfloat16").dtype == jnp.bfloat16
    assert float(last(None)) == pytest.approx(100, rel=4e-3)
    assert float(last("bfloat16")) < 90


@pytest.mark.parametrize(
    "tx, by_hand",  # g = 4, 4, 0
    [
        (dampened_trace(0.5, 0.5), [4, 4, 2]),
        (dampened_trace(0.5, 0.25), [4, 5, 5 / 2]),
        (dampened_trace(0.5, 0.25, nesterov=True), [6, 13 / 2, 5 / 4]),
        (dampened_trace(0.5, 0.0), [4, 6, 3]),
        (dampened_trace(0.5, 1.0), [4, 2, 1]),
    ],
)
def test_dampening_by_hand(tx, by_hand):
    g = jnp.array([4.0, 4.0, 0.0])
    np.testing.assert_array_equal(rollout(tx, g, jnp.zeros(()))[0], by_hand)


def test_scale_is_linear():
    assert scale(-0.5).update(jnp.float32(3), None)[0] == -1.5
