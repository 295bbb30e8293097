"""Second moments: by hand, by their laws, and where optax fails by float64 transcriptions."""

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import descend, deviation, quartic, rollout, start, stream

from jaxopt_course.optimizers import adadelta, adagrad, rmsprop
from jaxopt_course.transforms import (
    scale_by_adadelta,
    scale_by_adam,
    scale_by_adamax,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
)


def run(tx, gradients):
    gradients = jnp.asarray(gradients)
    return rollout(tx, gradients, jnp.zeros_like(gradients[0]))[0]


@pytest.mark.parametrize(
    "tx, gradients, by_hand",
    [
        (scale_by_rss(0.0, 0.0), [3.0, 4.0, 12.0], [1, 4 / 5, 12 / 13]),
        (scale_by_rss(7.0, 0.0), [3.0], [3 / 4]),
        (scale_by_rss(0.0, 7.0), [3.0], [3 / 4]),
        (scale_by_rss(0.0, 7.0, eps_in_sqrt=False), [3.0, 4.0], [3 / 10, 4 / 12]),
        (scale_by_rms(0.75, 0.0), [2.0, -2.0], [2, -2 / np.sqrt(0.75 + 1)]),
        (scale_by_rms(0.75, 3.0), [2.0], [1]),
        (scale_by_rms(0.75, 3.0, eps_in_sqrt=False), [2.0], [1 / 2]),
        (scale_by_rms(0.75, 3.0, initial_scale=16.0), [2.0], [1 / 2]),
        (scale_by_rms(0.75, 0.0, bias_correction=True), [2.0], [1]),
        (scale_by_stddev(0.5, 3.0), [2.0], [2 / np.sqrt(2 - 1 + 3)]),
        (scale_by_stddev(0.5, 1.0, eps_in_sqrt=False), [2.0], [2 / (np.sqrt(2 - 1) + 1)]),
        (scale_by_stddev(0.5, 4.0, bias_correction=True), [2.0], [1]),
        (scale_by_stddev(0.5, 4.0, bias_correction=True, centered=False), [2.0], [2 / np.sqrt(8)]),
        (scale_by_adadelta(0.5, 1.0), [4.0], [4 / 3]),
    ],
)
def test_by_hand(tx, gradients, by_hand):
    np.testing.assert_allclose(run(tx, gradients), by_hand, rtol=2e-7)


def test_adagrad_divides_by_the_root_of_the_sum():
    """A constant gradient: the t-th step is 1/√t of the first."""
    steps = run(scale_by_rss(0.0, 0.0), np.full(100, 0.3, np.float32))
    np.testing.assert_allclose(steps, np.arange(1, 101) ** -0.5, rtol=2e-6)


def test_adagrad_stands_still_where_no_gradient_ever_was():
    for eps in (0.0, 1e-7):
        g = np.array([0.0, 1e-30, -1e-30], np.float32)  # squares that are 0
        for tx in (scale_by_rss(0.0, eps), scale_by_rss(0.0, eps, eps_in_sqrt=False)):
            np.testing.assert_array_equal(run(tx, g), 0)


def test_nan_is_not_swallowed():
    """Adagrad's guard against S = 0 must not hide S = NaN."""
    g = np.array([1.0, np.nan, 1.0], np.float32)
    for tx in (scale_by_rss(), scale_by_rms(), scale_by_stddev(), scale_by_adadelta()):
        assert np.isnan(run(tx, g)[1:]).all()


@pytest.mark.parametrize(
    "tx",
    [scale_by_rss(0.0, 0.0), scale_by_rms(eps=0.0), scale_by_stddev(0.5, eps=0.0)],
    ids=["rss", "rms", "stddev"],
)
@pytest.mark.parametrize("c", [1e-6, 1e6])
def test_the_size_of_the_gradients_does_not_matter(tx, c):
    g = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    np.testing.assert_allclose(run(tx, c * g), run(tx, g), rtol=1e-4)


def test_rms_with_bias_correction_is_adam_without_momentum():
    rms = scale_by_rms(decay=0.99, eps_in_sqrt=False, bias_correction=True)
    with jax.enable_x64(True):
        one, two = (
            rollout(tx, stream(100), start())[0] for tx in (rms, scale_by_adam(b1=0.0, b2=0.99))
        )
        assert deviation(one, two) < 1e-14


@pytest.mark.parametrize("decay", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("eps_in_sqrt", [True, False])
@pytest.mark.parametrize("bias_correction", [True, False])
def test_a_constant_gradient_stays_finite_when_centered(decay, eps_in_sqrt, bias_correction):
    """1000 steps; optax's and PyTorch's variance turns negative after about 130."""
    g = np.tile(np.random.default_rng(0).uniform(0.1, 1000, 200).astype(np.float32), (1000, 1))
    options = {"decay": decay, "eps_in_sqrt": eps_in_sqrt, "bias_correction": bias_correction}
    u = run(scale_by_stddev(**options), g)
    assert np.isfinite(u).all() and (u > 0).all()
    assert (u <= g * (1.01e4 if eps_in_sqrt else 1.01e8)).all()  # g/√ε or g/ε


def test_optax_needs_the_clamp():
    g = np.tile(np.random.default_rng(0).uniform(0.1, 1000, 200).astype(np.float32), (400, 1))
    assert np.isnan(run(optax.scale_by_stddev(decay=0.9), g)).any()


@pytest.mark.parametrize("eps_in_sqrt", [True, False])
def test_centered_with_bias_correction_in_float64(eps_in_sqrt):
    """Where optax gives NaN or g/ε: the formula written out, on the fixed stream."""
    rho, eps = 0.9, 1e-3
    with jax.enable_x64(True):
        tx = scale_by_stddev(rho, eps, eps_in_sqrt=eps_in_sqrt, bias_correction=True)
        ours = rollout(tx, stream(), start())[0]["w"]
    m = v = 0.0
    path = []
    for t, g in enumerate(stream()["w"], start=1):
        m, v = rho * m + (1 - rho) * g, rho * v + (1 - rho) * g * g
        m_hat, v_hat = m / (1 - rho**t), v / (1 - rho**t)
        var = np.maximum(v_hat - m_hat**2, 0)
        path.append(g / (np.sqrt(var + eps) if eps_in_sqrt else np.sqrt(var) + eps))
    # outside the root the first step divides by ε plus the root of pure rounding, 1e-8
    first = 0 if eps_in_sqrt else 1
    assert deviation(ours[first:], np.stack(path)[first:]) < 1e-12
    np.testing.assert_allclose(ours[0], path[0], rtol=1e-4)


@pytest.mark.long
def test_adadelta_without_a_rate_is_the_paper_s_descent_in_float64():
    rho, eps = 0.9, 1e-6
    with jax.enable_x64(True):
        ours = descend(adadelta(), start(), 500)
        assert quartic(jax.tree.map(lambda x: x[-1], ours)) < quartic(start())
        slope = jax.jit(jax.grad(quartic))
        w, path = start(), []
        v = x = jax.tree.map(jnp.zeros_like, w)
        for _ in range(500):
            g = slope(w)
            v = jax.tree.map(lambda v, g: rho * v + (1 - rho) * g * g, v, g)
            u = jax.tree.map(lambda g, v, x: g * jnp.sqrt(x + eps) / jnp.sqrt(v + eps), g, v, x)
            x = jax.tree.map(lambda x, u: rho * x + (1 - rho) * u * u, x, u)
            w = jax.tree.map(lambda w, u: w - u, w, u)
            path.append(w)
        assert deviation(ours, jax.tree.map(lambda *x: jnp.stack(x), *path)) < 1e-12


def test_adadelta_has_the_unit_of_the_parameters():
    """Gradients 1000 times larger (and far above ε): the same steps."""
    g = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    one, two = (run(scale_by_adadelta(0.9, 1e-8), c * g) for c in (1, 1000))
    np.testing.assert_allclose(two, one, rtol=1e-4)


def test_recipes_put_the_rate_inside_the_momentum():
    """Keras's RMSProp with momentum: m ← μ m + η g/√(v + ε), w ← w - m, η falling."""
    rate, rho, mu, eps = (lambda s: 0.05 / (1 + 0.5 * s)), 0.9, 0.9, 1e-7
    with jax.enable_x64(True):
        ours = rollout(rmsprop(rate, rho, eps, momentum=mu), stream(100), start())[0]["w"]
    m = v = 0.0
    path = []
    for s, g in enumerate(stream(100)["w"]):
        v = rho * v + (1 - rho) * g * g
        m = mu * m + rate(s) * g / np.sqrt(v + eps)
        path.append(-m)
    assert deviation(ours, np.stack(path)) < 1e-12


def test_the_notes_adagrad_starts_from_nothing():
    """002: S_0 = 0, ε in the root; the first step is η, whatever the gradient."""
    u = rollout(adagrad(0.01, 0.0, 0.0), jnp.array([[5.0, -1e-4]]), jnp.zeros(2))[0]
    np.testing.assert_allclose(u[0], [-0.01, 0.01], rtol=1e-6)


def test_the_variance_of_gradients_whose_squares_overflow_is_no_nan():
    """v is ∞ and m² too; the update is 0, not ∞ - ∞."""
    tx = scale_by_stddev()
    state = tx.init(jnp.zeros(1))
    for _ in range(4):
        u, state = tx.update(jnp.array([1e30]), state)
        assert u[0] == 0


@pytest.mark.parametrize("like", [optax.rmsprop, rmsprop])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("corrected", [False, True])
def test_optax_s_checkpoints_of_rmsprop_go_on_here(like, centered, corrected):
    params = {"w": jnp.ones(2)}
    make = lambda recipe: recipe(0.1, centered=centered, bias_correction=corrected, momentum=0.9)
    _, state = make(like).update(params, make(like).init(params), params)
    there = flax.serialization.to_state_dict(state)
    here = flax.serialization.from_state_dict(make(rmsprop).init(params), there)
    g = {"w": jnp.array([-3.0, 2.0])}  # a constant one has no variance but that of rounding
    u, _ = make(rmsprop).update(g, here, params)
    right, _ = make(like).update(g, state, params)
    np.testing.assert_allclose(u["w"], right["w"], rtol=1e-5)
    assert set(flax.serialization.to_state_dict(make(rmsprop).init(params))["0"]) == set(there["0"])


def test_a_traced_bias_correction_has_room_for_its_count():
    step = lambda on: rmsprop(0.1, bias_correction=on).init(jnp.ones(2))[0].count
    assert jax.jit(step)(True) == 0


@pytest.mark.parametrize(
    "tx", [scale_by_rss(0.0, 0.0, eps_in_sqrt=False), scale_by_adamax(eps=0.0)]
)
def test_no_update_divides_by_infinity(tx):
    """A healthy step under jax_debug_infs, not jitted: the gradient 0 gives 0."""
    with jax.debug_infs(True), jax.debug_nans(True):
        u, _ = tx.update(jnp.zeros(2), tx.init(jnp.zeros(2)))
    assert not np.asarray(u).any()
