"""Laws that tie the transformations together, over 500 steps; to the bit where nothing rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_trees_equal, descend, deviation, quartic, rollout, start, stream

from jaxopt_course.base import Decay, chain
from jaxopt_course.optimizers import (
    adam,
    adamw,
    amsgrad,
    ema_momentum,
    lion,
    momentum,
    nadam,
    radam,
    rmsprop,
    sgd,
)
from jaxopt_course.optimizers import nesterov as nesterov_momentum
from jaxopt_course.transforms import (
    add_decayed_weights,
    clip,
    clip_by_global_norm,
    clip_by_norm,
    dampened_trace,
    ema,
    scale,
    scale_by_adam,
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_learning_rate,
    scale_by_lion,
    scale_by_nadam,
    scale_by_rms,
    trace,
)

FALLING = lambda s: 0.05 / (1 + 0.5 * s)
RATES = pytest.mark.parametrize("rate", [0.05, FALLING], ids=["constant", "falling"])


def path(tx, steps=500):
    """Closed loop on the quartic; parameters are an argument of the program."""
    return jax.jit(lambda params: descend(tx, params, steps))(start())


def updates(tx, steps=500):
    g = jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(float)), stream(steps))
    return jax.jit(lambda g: rollout(tx, g, start())[0])(g)


@RATES
def test_momentum_0_is_gradient_descent_bit_for_bit(rate):
    zero = jnp.zeros(())
    plain = path(sgd(rate))
    for tx in (
        sgd(rate, 0.0),
        sgd(rate, zero, nesterov=jnp.array(True)),
        sgd(rate, Decay.of(0.0), nesterov=True),
        momentum(rate, 0.0),
        nesterov_momentum(rate, zero),
        ema_momentum(rate, 0.0),
        chain(ema(zero), scale_by_learning_rate(rate)),
        chain(dampened_trace(0.0, 0.0, nesterov=True), scale_by_learning_rate(rate)),
    ):
        assert_trees_equal(path(tx), plain)


def test_momentum_0_inside_rmsprop_is_none():
    assert_trees_equal(updates(rmsprop(0.05, momentum=0.0)), updates(rmsprop(0.05)))


@pytest.mark.parametrize(
    "a, b, c",
    [
        (clip_by_global_norm(0.5), scale_by_adam(), scale_by_learning_rate(FALLING)),
        (add_decayed_weights(0.1), trace(0.9, nesterov=True), scale(-0.01)),
        (scale_by_rms(), scale_by_learning_rate(FALLING), trace(0.9)),
        (clip(0.3), scale_by_lion(), scale_by_learning_rate(0.01)),
    ],
    ids=["adam", "nesterov", "rmsprop", "lion"],
)
def test_chain_is_associative(a, b, c):
    """Same bits, and the same memories in the same order."""
    flat, left, right = (chain(a, b, c), chain(chain(a, b), c), chain(a, chain(b, c)))
    assert_trees_equal(path(left), path(flat))
    assert_trees_equal(path(right), path(flat))
    states = [jax.tree.leaves(tx.init(start())) for tx in (flat, left, right)]
    assert [x.shape for x in states[0]] == [x.shape for x in states[1]]
    assert [x.shape for x in states[0]] == [x.shape for x in states[2]]


def test_an_empty_chain_and_a_scale_by_one_change_nothing():
    plain = path(adam(0.05))
    for tx in (chain(adam(0.05)), chain(chain(), adam(0.05)), chain(scale(1.0), adam(0.05))):
        assert_trees_equal(path(tx), plain)


@pytest.mark.parametrize("hat", [False, True])
def test_adam_with_a_huge_eps_is_scaled_momentum(hat):
    """ε u → m̂, with an error that falls as √v̂/ε; ε hat: m̂ √(1 - β2^t)."""
    with jax.enable_x64(True):
        limit = updates(ema(0.9))
        if hat:
            share = np.sqrt(1 - 0.999 ** np.arange(1, 501))
            limit = jax.tree.map(lambda m: m * share.reshape((-1,) + (1,) * (m.ndim - 1)), limit)
        errors = [
            deviation(updates(chain(scale_by_adam(eps=e, eps_hat=hat), scale(e))), limit)
            for e in (1e4, 1e6, 1e8)
        ]
    assert errors[0] < 2e-3
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 100, rtol=1e-2)


@RATES
def test_nesterov_s_look_ahead_is_the_reformulated_step(rate):
    """v ← γ v + η ∇f(w - γ v), w ← w - v; under θ = w - γ v it is θ ← θ - γ v - η g, v as before.

    With a rate that changes it must stand inside the memory; and w itself is another path.
    """
    gamma, eta = 0.9, rate if callable(rate) else (lambda s: rate)
    with jax.enable_x64(True):
        inside = chain(scale_by_learning_rate(rate), trace(gamma, nesterov=True))
        slope = jax.jit(jax.grad(quartic))
        w, v, ahead, behind = start(), jax.tree.map(jnp.zeros_like, start()), [], []
        for s in range(500):
            g = slope({k: w[k] - gamma * v[k] for k in w})
            v = {k: gamma * v[k] + eta(s) * g[k] for k in w}
            w = {k: w[k] - v[k] for k in w}
            ahead.append({k: w[k] - gamma * v[k] for k in w})
            behind.append(w)
        ahead, behind = (jax.tree.map(lambda *x: jnp.stack(x), *p) for p in (ahead, behind))
        assert deviation(path(inside), ahead) < 1e-12
        assert deviation(path(inside), behind) > 1e-2
        outside = deviation(path(nesterov_momentum(rate, gamma)), ahead)
        assert outside > 1e-2 if callable(rate) else outside < 1e-12


def test_where_the_rate_stands_matters_only_when_it_changes():
    inside = lambda rate: chain(scale_by_learning_rate(rate), trace(0.9))
    outside = lambda rate: chain(trace(0.9), scale_by_learning_rate(rate))
    with jax.enable_x64(True):
        apart = lambda rate: deviation(path(inside(rate)), path(outside(rate)))
        assert apart(0.01) < 1e-12
        assert apart(FALLING) > 1e-2


@pytest.mark.parametrize("beta", [0.5, 0.75, 0.9])
def test_the_mean_is_the_sum_at_a_smaller_rate(beta):
    with jax.enable_x64(True):
        total = path(momentum(0.01, beta))
        average = path(ema_momentum(0.01 / (1 - beta), beta))
        assert deviation(total, average) < 1e-12


@pytest.mark.parametrize("tau", [0.0, 0.3, 0.9, 1.0])
def test_dampening_is_a_smaller_gradient_and_a_rest_of_the_first(tau):
    """m_t = (1-τ) Σ β^(t-i) g_i + τ β^(t-1) g_1."""
    beta = 0.9
    with jax.enable_x64(True):
        damped, plain, g = updates(dampened_trace(beta, tau)), updates(trace(beta)), stream()
        rest = tau * beta ** np.arange(500)
        for k, m in damped.items():
            fading = rest.reshape((-1,) + (1,) * (m.ndim - 1)) * g[k][0]
            assert deviation(m, (1 - tau) * plain[k] + fading) < 1e-13
    if tau == 0:
        assert_trees_equal(updates(dampened_trace(beta, 0.0)), updates(trace(beta)))


@pytest.mark.parametrize("zero", [0.0, jnp.zeros(()), lambda s: 0.0 * s])
def test_without_decay_adamw_is_adam_and_lion_its_sign(zero):
    assert_trees_equal(path(adamw(0.05, weight_decay=zero)), path(adam(0.05)))
    plain = chain(scale_by_lion(), scale_by_learning_rate(0.01))
    assert_trees_equal(path(lion(0.01, weight_decay=zero)), path(plain))


@pytest.mark.parametrize("make", [scale_by_adam, scale_by_amsgrad], ids=["adam", "amsgrad"])
def test_eps_hat_is_an_eps_that_falls_with_time(make):
    """ε on √v is ε/√(1 - β2^t) on √v̂: 3.2e-6 at first for Keras's 1e-7."""
    b2, eps, eps_root = 0.999, 1e-3, 1e-4
    more = {} if make is scale_by_adam else {"max_before_correction": True}
    with jax.enable_x64(True):
        hat = updates(make(b2=b2, eps=eps, eps_root=eps_root, eps_hat=True), 50)
        g, params = stream(50), start()
        state, path = make().init(params), []
        for t in range(1, 51):
            c = 1 - b2**t
            step = make(b2=b2, eps=eps / c**0.5, eps_root=eps_root / c, **more).update
            u, state = step(jax.tree.map(lambda x, t=t: x[t - 1], g), state, params)
            path.append(u)
        assert deviation(hat, jax.tree.map(lambda *x: jnp.stack(x), *path)) < 1e-12
        assert deviation(hat, updates(make(b2=b2, eps=eps, eps_root=eps_root), 50)) > 1e-2


def test_nadam_is_adam_s_nesterov_under_every_name():
    looking = path(adam(0.05, nesterov=True))
    assert_trees_equal(path(nadam(0.05)), looking)
    assert_trees_equal(path(nadam(0.05, nesterov=False)), path(adam(0.05)))
    with jax.enable_x64(True):
        warm = chain(scale_by_nadam(momentum_decay=np.inf), scale_by_learning_rate(0.05))
        assert deviation(path(warm, 100), path(nadam(0.05), 100)) < 1e-11


def test_amsgrad_is_adam_while_the_second_moment_grows():
    """Gradients that grow: w = v̂ at every step, to the bit."""
    g = jnp.asarray(1.02 ** np.arange(500)[:, None] * np.ones(3), jnp.float32)
    ours = rollout(scale_by_amsgrad(), g, g[0])[0]
    np.testing.assert_allclose(ours, rollout(scale_by_adam(), g, g[0])[0], rtol=1e-6)
    turned = rollout(scale_by_amsgrad(), g[::-1], g[0])[0]
    assert deviation(turned, rollout(scale_by_adam(), g[::-1], g[0])[0]) > 0.1


def test_no_step_of_adam_s_kin_is_longer_than_its_bound():
    """|u| <= (1-β1)/√(1-β2) for means (Kingma and Ba, section 2.1), 1 for Adamax and Lion."""
    rng = np.random.default_rng(0)
    g = rng.standard_cauchy(size=(500, 100)).astype(np.float32)
    g *= rng.random(size=g.shape) < 0.05  # rare spikes: the worst case
    bound = 0.1 / 0.001**0.5
    for tx, most in (
        (scale_by_adam(), bound),
        (scale_by_amsgrad(), bound),
        (scale_by_adamax(), 1),
        (scale_by_lion(), 1),
    ):
        u = np.abs(rollout(tx, g, g[0])[0])
        assert 0.5 * min(most, 2) < u.max() <= most * (1 + 1e-5)


def test_radam_starts_as_debiased_momentum_and_ends_as_adam():
    g = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)
    ours = rollout(radam(1.0, b2=0.99), g, g[0])[0]
    momentum_steps = rollout(chain(ema(0.9), scale(-1.0)), g, g[0])[0]
    np.testing.assert_allclose(ours[:5], momentum_steps[:5], rtol=2e-6)
    np.testing.assert_allclose(ours[-1], rollout(adam(1.0, b2=0.99), g, g[0])[0][-1], rtol=1e-5)


@pytest.mark.parametrize("make", [clip_by_norm, clip_by_global_norm])
def test_one_leaf_is_the_whole(make):
    g = {"w": jnp.asarray(np.random.default_rng(0).normal(size=(20, 30)), jnp.float32)}
    one, two = (tx(0.7).update(g, optax.EmptyState())[0] for tx in (make, clip_by_global_norm))
    assert_trees_equal(one, two)


@pytest.mark.long
def test_a_normalized_optimizer_does_not_see_a_rescaled_loss():
    """Adam's kin with ε = 0: the loss times 8, the same path to the bit; SGD's is another."""
    louder = lambda tx: jax.jit(lambda p: descend(tx, p, 100, lambda p: 8 * quartic(p)))(start())
    for tx in (
        adam(0.05, eps=0.0),
        amsgrad(0.05, eps=0.0),
        chain(scale_by_nadam(eps=0.0), scale_by_learning_rate(0.05)),
        chain(scale_by_adamax(eps=0.0), scale_by_learning_rate(0.05)),
        chain(scale_by_lion(), scale_by_learning_rate(0.05)),
    ):
        assert_trees_equal(louder(tx), path(tx, 100))
    assert deviation(louder(sgd(0.01)), path(sgd(0.01), 100)) > 1e-2
