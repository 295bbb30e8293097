"""Adam and its kin: by hand, by their laws, and to the last digits near b = 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import deviation, rollout, start, stream

from jaxopt_course.base import Decay
from jaxopt_course.optimizers import adam
from jaxopt_course.transforms import ema, scale_by_adam, scale_by_adamax


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


def test_a_huge_eps_makes_it_momentum():
    """u → m̂/ε."""
    g = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    np.testing.assert_allclose(1e8 * run(scale_by_adam(eps=1e8), g), run(ema(0.9), g), rtol=1e-5)


def test_adamax_never_exceeds_one():
    g = np.random.default_rng(0).standard_cauchy(size=(500, 50)).astype(np.float32)
    assert np.abs(run(scale_by_adamax(), g)).max() <= 1 + 1e-6


def test_no_gradient_no_step():
    for tx in (scale_by_adam(), scale_by_adam(eps=0.0), scale_by_adam(nesterov=True)):
        np.testing.assert_array_equal(run(tx, np.zeros(3, np.float32)), 0)


@pytest.mark.parametrize("b2", [0.9, 0.999, 0.99999])
@pytest.mark.parametrize("kind", ["constant", "random"])
@pytest.mark.parametrize("how", ["literal", "pair"])
def test_float32_keeps_the_digits_of_float64(b2, kind, how):
    """At most 5e-6 over 500 steps (optax: 7e-4 at 0.99999)."""
    rng = np.random.default_rng(0)
    g = rng.normal(size=(500, 64)).astype(np.float32)
    g = g if kind == "random" else np.tile(rng.uniform(0.1, 10, 64).astype(np.float32), (500, 1))

    def updates(b1, b2):
        return jax.jit(lambda b1, b2, g: run(scale_by_adam(b1, b2), g))(b1, b2, g)

    if how == "pair":
        f32 = np.float32
        u = updates(*(Decay(f32(b), f32(1 - b)) for b in (0.9, b2)))
    else:
        u = jax.jit(lambda g: run(scale_by_adam(0.9, b2), g))(g)
    with jax.enable_x64(True):
        exact = jax.jit(lambda g: run(scale_by_adam(0.9, b2), g))(g.astype(np.float64))
        u, exact = np.asarray(u, np.float64), np.asarray(exact)
    error = np.linalg.norm(u - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert error.max() < 5e-6
    assert np.abs(u - exact).max() < 5e-6


def test_the_second_moment_of_bfloat16_reaches_its_limit():
    """g = 1, b2 = 0.999, 5000 steps: v = 0.9933; optax's stops at 0.5."""
    zero = jnp.zeros((), jnp.bfloat16)
    u, state = rollout(scale_by_adam(), jnp.ones(5000, jnp.bfloat16), zero)
    assert float(state.nu) == pytest.approx(1 - 0.999**5000, rel=1e-4)
    assert u.dtype == jnp.bfloat16
    assert float(u[-1]) == pytest.approx(1, abs=0.02)  # m is bfloat16, as in optax ...
    u, _ = rollout(scale_by_adam(mu_dtype="float32"), jnp.ones(5000, jnp.bfloat16), zero)
    assert u.dtype == jnp.bfloat16 and u[-1] == 1  # ... unless it is asked to be wider


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
