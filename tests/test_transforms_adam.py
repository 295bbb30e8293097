"""Adam and its kin: by hand, by their laws, and to the last digits near b = 1."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import deviation, rollout, start, stream
from long_form import every, only

from jaxopt_course.base import Decay, chain
from jaxopt_course.optimizers import adam
from jaxopt_course.transforms import (
    add_decayed_weights,
    scale_by_adam,
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_learning_rate,
    scale_by_nadam,
    scale_by_radam,
    scale_by_rms,
)


def run(tx, gradients):
    gradients = jnp.asarray(gradients)
    return rollout(tx, gradients, jnp.zeros_like(gradients[0]))[0]


@pytest.mark.parametrize(
    "tx, gradients, by_hand",
    [
        # m̂ = (4/2)/(1/2) = 4, v̂ = (16/4)/(1/4) = 16
        (scale_by_adam(0.5, 0.75, eps=0.0), [4.0], [1]),
        (scale_by_adam(0.5, 0.75, eps=4.0), [4.0], [1 / 2]),
        (scale_by_adam(0.5, 0.75, eps=0.0, eps_root=48.0), [4.0], [1 / 2]),
        # m = 2, then 1 + 0 = 1: m̂ = 1/(3/4); v = 4, then 3: v̂ = 3/(7/16)
        (scale_by_adam(0.5, 0.75, eps=0.0), [4.0, 0.0], [1, (4 / 3) / np.sqrt(48 / 7)]),
        # look ahead: ½ · 2/(3/4) + ½ · 4/(1/2) = 16/3
        (scale_by_adam(0.5, 0.75, eps=0.0, nesterov=True), [4.0], [4 / 3]),
        # v = 4, then max(3, 1)
        (scale_by_adamax(0.5, 0.75, eps=0.0), [4.0, 1.0], [1, (3 / 2) / (3 / 4) / 3]),
        (scale_by_adamax(0.5, 0.75, eps=4.0), [4.0], [1 / 2]),
        # v = 4, then 3; ε beside it
        (scale_by_adamax(0.5, 0.75, eps=4.0, eps_in_max=False), [4.0, 0.0], [1 / 2, 4 / 3 / 7]),
        # √(1 - β2) = ½ before, v = 4 as it is
        (scale_by_adam(0.5, 0.75, eps=2.0, eps_hat=True), [4.0], [4 * (1 / 2) / (2 + 2)]),
        (scale_by_adam(0.5, 0.75, 0.0, eps_root=12.0, eps_hat=True), [4.0], [4 * (1 / 2) / 4]),
        # m = 2, v̂ = 16; m̂ = 4, v = 4
        (scale_by_adam(0.5, 0.75, eps=0.0, bias_correction_mu=False), [4.0], [2 / 4]),
        (scale_by_adam(0.5, 0.75, eps=0.0, bias_correction_nu=False), [4.0], [4 / 2]),
    ],
)
def test_by_hand(tx, gradients, by_hand):
    np.testing.assert_allclose(run(tx, gradients), by_hand, rtol=2e-7)


def test_the_first_step_is_the_sign():
    g = np.array([[1e6, -3.0, 1e-4]], np.float32)
    for tx in (scale_by_adam(), scale_by_adamax()):
        np.testing.assert_allclose(run(tx, g)[0], [1, -1, 1], rtol=2e-4)


@pytest.mark.parametrize(
    "tx",
    [scale_by_adam(eps=0.0), scale_by_adam(eps=0.0, nesterov=True), scale_by_adamax(eps=0.0)],
    ids=["adam", "nadam", "adamax"],
)
@pytest.mark.parametrize("c", [1e-8, 1e8])
def test_the_size_of_the_gradients_does_not_matter(tx, c):
    g = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    np.testing.assert_allclose(run(tx, c * g), run(tx, g), rtol=1e-5, atol=1e-5)


def test_adamax_never_exceeds_one():
    g = np.random.default_rng(0).standard_cauchy(size=(500, 50)).astype(np.float32)
    assert np.abs(run(scale_by_adamax(), g)).max() <= 1 + 1e-6


def test_no_gradient_no_step():
    for tx in (scale_by_adam(), scale_by_adam(eps=0.0), scale_by_adam(nesterov=True)):
        np.testing.assert_array_equal(run(tx, np.zeros(3, np.float32)), 0)


KIN = {
    "adam": scale_by_adam,
    "adam, eps hat": partial(scale_by_adam, eps_hat=True),
    "adam without hats": partial(scale_by_adam, bias_correction_mu=False, bias_correction_nu=False),
    "adamw": lambda b1, b2: chain(
        scale_by_adam(b1, b2), add_decayed_weights(0.01), scale_by_learning_rate(1.0)
    ),
    "adamax": scale_by_adamax,
    "adamax, eps outside": partial(scale_by_adamax, eps_in_max=False),
    "amsgrad": scale_by_amsgrad,
    "amsgrad, max first": partial(scale_by_amsgrad, max_before_correction=True),
    "amsgrad, eps hat": partial(scale_by_amsgrad, eps_hat=True),
    "nadam": partial(scale_by_adam, nesterov=True),
    "nadam, scheduled": scale_by_nadam,
    "nadam, scheduled fast": partial(scale_by_nadam, momentum_decay=1.0),
    "radam": scale_by_radam,
    "radam, eps hat, nesterov": partial(scale_by_radam, eps_hat=True, nesterov=True),
    "rmsprop, corrected": lambda b1, b2: scale_by_rms(b2, bias_correction=True),
}


@pytest.mark.parametrize("b2", only([0.99999], [0.9, 0.999, 0.99999]))  # the last loses most
@pytest.mark.parametrize("name", every(3, KIN))
def test_float32_keeps_the_digits_of_float64(name, b2):
    """At most 5e-6 over 500 steps (optax: 7e-4 at 0.99999), as literals and as pairs."""
    rng = np.random.default_rng(0)
    constant = np.tile(rng.uniform(0.1, 10, 64).astype(np.float32), (500, 1))
    streams = np.stack([constant, rng.normal(size=(500, 64)).astype(np.float32)], axis=1)
    updates = jax.jit(lambda b1, b2, g: run(KIN[name](b1, b2), g))
    literal = jax.jit(lambda g: run(KIN[name](0.9, b2), g))
    f32 = np.float32
    pairs = [Decay(f32(b), f32(1 - b)) for b in (0.9, b2)]
    narrow = [np.asarray(u, np.float64) for u in (literal(streams), updates(*pairs, streams))]
    with jax.enable_x64(True):
        exact = np.asarray(updates(Decay.of(0.9), Decay.of(b2), streams.astype(np.float64)))
    for u in narrow:
        error = np.linalg.norm(u - exact, axis=2) / np.linalg.norm(exact, axis=2)
        assert error.max() < 5e-6
        assert (np.abs(u - exact) / np.abs(exact).max(axis=0)).max() < 5e-6


def test_optax_loses_them():
    """The same measure finds optax's error, so that it could find ours."""
    g = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    u = np.asarray(run(optax.scale_by_adam(0.9, 0.99999), g), np.float64)
    with jax.enable_x64(True):
        exact = np.asarray(run(optax.scale_by_adam(0.9, 0.99999), g.astype(np.float64)))
    error = np.linalg.norm(u - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert 1e-4 < error.max() < 2e-3


def test_the_second_moment_of_bfloat16_reaches_its_limit():
    """g = 1, b2 = 0.999, 5000 steps: v = 0.9933; optax's stops at 0.5."""
    zero = jnp.zeros((), jnp.bfloat16)
    u, state = rollout(scale_by_adam(), jnp.ones(5000, jnp.bfloat16), zero)
    assert float(state.nu) == pytest.approx(1 - 0.999**5000, rel=1e-4)
    assert u.dtype == jnp.bfloat16
    assert float(u[-1]) == 1
    u, _ = rollout(scale_by_adam(mu_dtype="bfloat16"), jnp.ones(5000, jnp.bfloat16), zero)
    assert 0.98 < float(u[-1]) < 1  # as in optax: m stops short of 1


def test_float16_survives_what_its_range_does_not():
    """g = 300 squares to infinity in float16, eps = 1e-8 rounds to 0, 1e-4 squares to 0."""
    g = np.array([[300.0, 1e-4, 0.0]] * 3, np.float16)
    np.testing.assert_allclose(run(scale_by_adam(), g), np.sign(g), rtol=1e-3)


def test_an_overflowing_gradient_freezes_the_parameter_and_shows_in_the_state():
    """As everywhere: 1e30 squares to infinity, for good; the state says so."""
    g = jnp.array([1.0, 1e30, 1.0, 1.0])
    u, state = rollout(scale_by_adam(), g, jnp.zeros(()))
    np.testing.assert_array_equal(u[1:], 0)
    assert state.nu == jnp.inf


def test_complex_gradients_turn_with_the_plane():
    """|g|² in the second moment: rotating the gradients rotates the steps."""
    rng = np.random.default_rng(0)
    g = (rng.normal(size=(20, 3)) + 1j * rng.normal(size=(20, 3))).astype(np.complex64)
    turn = np.complex64(np.exp(0.7j))
    u = run(scale_by_adam(), g)
    assert u.dtype == jnp.complex64
    np.testing.assert_allclose(run(scale_by_adam(), turn * g), turn * u, rtol=1e-4, atol=1e-6)


def test_adam_by_an_independent_transcription():
    """Kingma and Ba, algorithm 1, in NumPy float64; β2 < 1/2 too."""
    for b1, b2 in ((0.9, 0.999), (0.3, 0.4), (0.0, 0.0)):
        with jax.enable_x64(True):
            ours = rollout(adam(0.1, b1, b2), stream(), start())[0]["w"]
        m = v = 0.0
        path = []
        for t, g in enumerate(stream()["w"], start=1):
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            path.append(-0.1 * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8))
        assert deviation(ours, np.stack(path)) < 1e-12
