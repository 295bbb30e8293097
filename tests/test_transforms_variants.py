"""AMSGrad, Nadam, RAdam and Lion: by hand and by their laws."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import deviation, rollout, start, stream
from long_form import every, only

from jaxopt_course.base import Decay
from jaxopt_course.transforms import (
    scale_by_adam,
    scale_by_adopt,
    scale_by_amsgrad,
    scale_by_lion,
    scale_by_nadam,
    scale_by_radam,
    scale_by_trust_ratio,
)


def test_adopt_s_first_gradient_moves_nothing_without_clipping_either():
    """It only makes v; the mean of what it is divided by begins with the second one."""
    adopt = scale_by_adopt(b1=0.9, use_clipping=False)
    u, state = adopt.update(jnp.array(4.0), adopt.init(jnp.array(0.0)))
    assert (float(u), float(state.mu), float(state.nu)) == (0.0, 0.0, 16.0)
    u, state = adopt.update(jnp.array(2.0), state)
    assert float(u) == pytest.approx(0.1 * 2 / 4)


@pytest.mark.parametrize("corrected, first", [(True, 1.0), (False, 0.1)])
def test_amsgrad_s_first_moment_is_corrected_or_not(corrected, first):
    tx = scale_by_amsgrad(b1=0.9, eps=0.0, bias_correction_mu=corrected)
    u, _ = tx.update(jnp.array(4.0), tx.init(jnp.array(0.0)))  # v̂ = 16
    assert float(u) == pytest.approx(first)


def test_the_trust_ratio_of_leaves_with_zeros():
    """Of norms 5 and 2: a coordinate that is 0 leaves the others their part."""
    params, g = jnp.array([3.0, 0.0, 4.0]), jnp.array([0.0, 2.0, 0.0])
    tx = scale_by_trust_ratio()
    u, _ = tx.update(g, tx.init(params), params)
    np.testing.assert_allclose(u, [0.0, 5.0, 0.0], rtol=1e-6)


def run(tx, gradients):
    gradients = jnp.asarray(gradients)
    return rollout(tx, gradients, jnp.zeros_like(gradients[0]))[0]


@pytest.mark.parametrize(
    "tx, gradients, by_hand",
    [
        # v̂ = 16, then 48/7; m̂ = 4, then 4/3
        (scale_by_amsgrad(0.5, 0.75, 0.0), [4.0, 0.0], [1, (4 / 3) / 4]),
        # v = 4, then 3; w = 4 both times, corrected by 1/4, then 7/16
        (
            scale_by_amsgrad(0.5, 0.75, 0.0, max_before_correction=True),
            [4.0, 0.0],
            [1, (4 / 3) / np.sqrt(4 / (7 / 16))],
        ),
        # the same, and ε beside √w: 4 · ½ / (2 + 2), (4/3) √(7/16) / (2 + 2)
        (
            scale_by_amsgrad(0.5, 0.75, 2.0, eps_hat=True),
            [4.0, 0.0],
            [1 / 2, (4 / 3) * np.sqrt(7 / 16) / 4],
        ),
        # the paper: m = 2, then 1; w = 4
        (
            scale_by_amsgrad(0.5, 0.75, 0.0, bias_correction_mu=False, bias_correction_nu=False),
            [4.0, 0.0],
            [2 / 2, 1 / 2],
        ),
        # μ = ¼ for good: m̂ = ¼ · 2/(1 - 1/16) + ¾ · 4/(1 - ¼)
        (scale_by_nadam(0.5, 0.75, 0.0, momentum_decay=0.0), [4.0], [(8 / 15 + 4) / 4]),
        # ρ = 1, 2 - 1/7: momentum, in units of g
        (scale_by_radam(0.5, 0.75, 0.0), [4.0, 0.0], [4, 4 / 3]),
        # x = ½, ¼ - 0.05, 0.1 - 0.15, 0
        (scale_by_lion(0.5, 0.5), [1.0, -0.1, -0.3], [1, 1, -1]),
        (scale_by_lion(0.5, 0.0), [1.0, -1.0, 0.0], [1, 0, -1]),
    ],
)
def test_by_hand(tx, gradients, by_hand):
    np.testing.assert_allclose(run(tx, gradients), by_hand, rtol=3e-7)


def test_amsgrad_never_forgets():
    """w is the running maximum of Adam's v̂; after a spike all steps stay small."""
    g = np.random.default_rng(0).standard_cauchy(size=(300, 20)).astype(np.float32)

    def seconds(tx, field):
        def step(state, g):
            state = tx.update(g, state)[1]
            return state, optax.tree.get(state, field)

        return jax.lax.scan(step, tx.init(g[0]), g)[1]

    t = np.arange(1, 301)[:, None]
    v_hat = np.asarray(seconds(scale_by_adam(), "nu"), np.float64) / (1 - 0.999**t)
    w = seconds(scale_by_amsgrad(), "nu_max")
    np.testing.assert_allclose(w, np.maximum.accumulate(v_hat), rtol=1e-6)
    assert (np.diff(w, axis=0) >= 0).all()
    spike = np.ones((400, 1), np.float32)
    spike[100] = 100.0
    ours, adam = (run(tx(b2=0.9), spike) for tx in (scale_by_amsgrad, scale_by_adam))
    v_hat = (1 - 0.9**100 + 0.1 * (100**2 - (1 - 0.9**100))) / (1 - 0.9**101)  # at the spike
    np.testing.assert_allclose(ours[300:], v_hat**-0.5, rtol=1e-4)
    assert adam[-1] > 0.99


def test_nadam_without_a_warm_up_is_adam_s_nesterov():
    with jax.enable_x64(True):
        g = stream(100)
        ours = rollout(scale_by_nadam(momentum_decay=np.inf), g, start())[0]
        assert deviation(ours, rollout(scale_by_adam(nesterov=True), g, start())[0]) < 1e-13


def test_nadam_keeps_the_product_of_its_momenta():
    """torch.optim.NAdam's mu_product, from which training goes on."""
    state = rollout(scale_by_nadam(0.9, momentum_decay=1.0), jnp.ones(7), jnp.zeros(()))[1]
    mu = 0.9 * (1 - 0.5 * 0.96 ** np.arange(1, 8))
    assert float(state.mu_product) == pytest.approx(np.prod(mu), rel=1e-6)


def rectification(b2, t):
    """r_t in exact fractions: ρ_t = 1 + 2 × the mean age of the squares in v̂_t."""
    weights = [b2**age for age in range(t)]
    rho = 1 + 2 * sum(age * w for age, w in enumerate(weights)) / sum(weights)
    far = 2 / (1 - b2) - 1
    square = (rho - 4) * (rho - 2) * far / ((far - 4) * (far - 2) * rho)
    return float(square) ** 0.5 if rho >= 5 else None


@pytest.mark.parametrize("b2", every(2, ["0.8", "0.9", "0.99", "0.999", "0.99999", "0.9999999"]))
def test_radam_rectifies_to_the_last_digits(b2):
    """A constant gradient of 3: u = r_t after the first steps, which are 3; float32 to 2e-6."""
    exact = [rectification(Fraction(b2), t) for t in (*range(1, 12), 60)]
    b = float(b2)
    g = np.full(60, 3.0, np.float32)
    u = np.asarray(run(scale_by_radam(0.9, b, eps=0.0), g))[[*range(11), 59]]
    np.testing.assert_allclose(u, [3 if r is None else r for r in exact], rtol=2e-6)
    pair = Decay(np.float32(b), np.float32(1 - b))
    traced = jax.jit(lambda pair: run(scale_by_radam(0.9, pair, eps=0.0), g))(pair)
    np.testing.assert_allclose(np.asarray(traced)[[*range(11), 59]], u, rtol=1e-6)


def test_optax_s_rectification_loses_them():
    g = np.full(60, 3.0, np.float32)
    u = np.asarray(run(optax.scale_by_radam(0.9, 0.99999, eps=0.0), g))
    exact = rectification(Fraction("0.99999"), 10)
    assert abs(u[9] / exact - 1) > 1e-4


@pytest.mark.parametrize("b2", only([0.6], [0.0, 0.5, 0.6]))
def test_radam_with_a_short_memory_is_momentum_for_ever(b2):
    """ρ_∞ = 2/(1-β2) - 1 < 5; slopes stay finite, also after long."""
    g = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    m_hat = run(optax.ema(0.9), g)
    np.testing.assert_allclose(run(scale_by_radam(0.9, b2), g), m_hat, rtol=1e-5, atol=1e-6)
    slope = jax.grad(lambda b2: run(scale_by_radam(0.9, b2), g).sum())(b2)
    assert slope == 0


@pytest.mark.long
def test_radam_s_slope_by_b2_is_finite_near_1_and_far_on():
    g = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    for b2 in (0.7, 0.9, 0.99999):
        slope = jax.grad(lambda b2: run(scale_by_radam(0.9, b2), g).sum())(b2)
        assert np.isfinite(slope) and slope != 0


def test_lion_is_bounded_by_one():
    """Whatever the sizes: every step is -1, 0 or 1, and only no gradient gives 0."""
    g = np.random.default_rng(0).standard_cauchy(size=(200, 50)).astype(np.float32)
    g *= np.float32(10) ** np.linspace(-25, 25, 50, dtype=np.float32)
    g[:, 7] = 0
    u = np.asarray(run(scale_by_lion(), g))
    assert set(np.unique(np.delete(u, 7, axis=1))) == {-1, 1}
    assert (u[:, 7] == 0).all()
    np.testing.assert_array_equal(run(scale_by_lion(), 4 * g), u)


@pytest.mark.parametrize(
    "tx",
    every(3, [scale_by_amsgrad(), scale_by_nadam(), scale_by_radam(), scale_by_lion()]),
    ids=["amsgrad", "nadam", "radam", "lion"],
)
def test_complex_gradients_turn_with_the_plane(tx):
    """|g|² in the second moments, x/|x| for the sign: rotated gradients, rotated steps."""
    rng = np.random.default_rng(0)
    g = (rng.normal(size=(20, 3)) + 1j * rng.normal(size=(20, 3))).astype(np.complex64)
    turn = np.complex64(np.exp(0.7j))
    u = run(tx, g)
    assert u.dtype == jnp.complex64
    np.testing.assert_allclose(run(tx, turn * g), turn * u, rtol=1e-4, atol=1e-5)
    real = run(tx, g.real)  # and on the real axis the real ones
    np.testing.assert_allclose(run(tx, g.real.astype(np.complex64)), real, rtol=1e-5, atol=1e-6)


def test_lion_of_complex_numbers_has_a_slope():
    """The direction x/|x| changes with β1, unlike a sign; and 0 has none."""
    g = jnp.array([[1 + 0j, 0], [1j, 0]], jnp.complex64)
    slope = jax.grad(lambda b1: jnp.abs(run(scale_by_lion(b1, 0.5), g).imag).sum())(0.5)
    # x = β1 m + (1-β1) i with m = ½: sin of its angle, (1-β1)/√(β1²/4 + (1-β1)²)
    sine = lambda b1: (1 - b1) / np.sqrt(b1**2 / 4 + (1 - b1) ** 2)
    assert float(slope) == pytest.approx((sine(0.5 + 1e-6) - sine(0.5 - 1e-6)) / 2e-6, rel=1e-4)
