"""What the transformations have to do with each other; to the bit where nothing rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import RECIPES, assert_trees_equal, our
from hypothesis import given
from hypothesis import strategies as st
from random_trees import NAMES, arguments, few, fill

from jaxopt_course import transforms
from jaxopt_course.base import apply_updates, chain
from jaxopt_course.schedules import inverse_time_decay

SEEDS = st.integers(0, 2**16)
DECAYS = st.floats(0.0, 0.99)
PIECES = [name for name in NAMES if name not in RECIPES]


def updates(tx, seed, dtype="float32", more=lambda g, params: g):
    """Its updates on four random gradients, and the gradients."""
    shapes = {k: jax.ShapeDtypeStruct(s, jnp.dtype(dtype)) for k, s in {"w": (3,), "b": ()}.items()}
    params, *gradients = (fill(shapes, seed + t) for t in range(5))
    state, result = tx.init(params), []
    for g in gradients:
        g = more(g, params)
        u, state = tx.update(g, state, params)
        result.append(u)
    return result, gradients


@few
@given(SEEDS, st.booleans())
def test_momentum_0_is_gradient_descent(seed, nesterov):
    plain = updates(our("sgd", {"learning_rate": 0.1}), seed)[0]
    kwargs = {"learning_rate": 0.1, "momentum": 0.0, "nesterov": nesterov}
    assert_trees_equal(updates(our("sgd", kwargs), seed)[0], plain)
    for name, argument in (
        ("momentum", "momentum"),
        ("nesterov", "momentum"),
        ("ema_momentum", "decay"),
    ):
        assert_trees_equal(
            updates(our(name, {"learning_rate": 0.1, argument: 0.0}), seed)[0], plain
        )
    for piece in (transforms.trace(0.0), transforms.ema(0.0), transforms.dampened_trace(0.0, 0.0)):
        result, gradients = updates(piece, seed)
        assert_trees_equal(result, gradients)


@pytest.mark.long
@few
@given(st.lists(st.sampled_from(PIECES), min_size=3, max_size=3), SEEDS, st.data())
def test_chain_is_associative(names, seed, data):
    a, b, c = (our(name, data.draw(arguments(name))) for name in names)
    left = updates(chain(chain(a, b), c), seed)[0]
    assert_trees_equal(left, updates(chain(a, chain(b, c)), seed)[0])
    assert_trees_equal(left, updates(chain(a, b, c), seed)[0])
    assert_trees_equal(left, updates(chain(chain(), a, b, c), seed)[0])


def close(ours, theirs, rtol=1e-12):
    for u, v in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(u, v, rtol=rtol, atol=1e-14)


@few
@given(DECAYS, DECAYS, SEEDS)
def test_adam_with_a_huge_epsilon_is_scaled_momentum(b1, b2, seed):
    with jax.enable_x64(True):
        adam = chain(transforms.scale_by_adam(b1, b2, eps=1e14), transforms.scale(1e14))
        close(updates(adam, seed, "float64"), updates(transforms.ema(b1), seed, "float64"))


@few
@given(DECAYS, st.floats(0.0, 0.5), st.booleans(), SEEDS)
def test_nesterov_looks_ahead(gamma, falling, scheduled, seed):
    """w, v with the gradient at w - γ v; θ = w - γ v makes the steps of the reformulated one."""
    rng = np.random.default_rng(seed)
    a, c = rng.uniform(0.1, 3.0, 4), rng.normal(size=4)
    slope = lambda x: a * (x - c) + 0.05 * x**3
    rate = inverse_time_decay(0.02, falling)
    eta = (lambda s: 0.02 / (1 + falling * s)) if scheduled else (lambda s: 0.02)

    with jax.enable_x64(True):
        inside = transforms.scale_by_learning_rate(rate if scheduled else 0.02)
        tx = chain(inside, transforms.trace(gamma, nesterov=True))
        w, v, theta = np.ones(4), np.zeros(4), jnp.ones(4)
        state = tx.init(theta)
        for s in range(20):
            v = gamma * v + eta(s) * slope(w - gamma * v)
            w = w - v
            u, state = tx.update(jnp.asarray(slope(theta)), state, theta)
            theta = apply_updates(theta, u)
            np.testing.assert_allclose(theta, w - gamma * v, rtol=1e-12, atol=1e-13)


@few
@given(DECAYS, SEEDS)
def test_the_mean_is_the_sum_times_what_it_forgets(decay, seed):
    with jax.enable_x64(True):
        total = chain(transforms.trace(decay), transforms.scale(1 - decay))
        mean = transforms.ema(decay, debias=False)
        close(updates(mean, seed, "float64"), updates(total, seed, "float64"))


@few
@given(arguments("adamw", only={"learning_rate", "b1", "b2", "eps", "nesterov"}), SEEDS)
def test_adamw_without_decay_is_adam(kwargs, seed):
    adam = updates(our("adam", kwargs), seed)[0]
    assert_trees_equal(updates(our("adamw", {**kwargs, "weight_decay": 0.0}), seed)[0], adam)


@pytest.mark.long
@few
@given(st.sampled_from(sorted(RECIPES)), st.floats(0.0, 0.5), SEEDS)
def test_coupled_decay_is_the_gradient_of_a_penalty(name, decay, seed):
    """½ λ Σθ²; so a penalty λ Σθ² is a decay of 2 λ."""
    penalty = lambda params: decay / 2 * sum(jnp.sum(p**2) for p in jax.tree.leaves(params))
    with_penalty = lambda g, params: jax.tree.map(jnp.add, g, jax.grad(penalty)(params))
    with jax.enable_x64(True):
        tx = our(name, {"learning_rate": 0.1})
        coupled = updates(chain(transforms.add_decayed_weights(decay), tx), seed, "float64")[0]
        close(coupled, updates(tx, seed, "float64", with_penalty)[0], rtol=1e-11)


@pytest.mark.parametrize("name", ["clip", "clip_by_norm", "clip_by_global_norm"])
def test_clips(name):
    """Beyond reach they do nothing; twice is once."""

    @few
    @given(arguments(name), SEEDS)
    def check(kwargs, seed):
        far = our(name, dict.fromkeys(kwargs, 1e6))
        result, gradients = updates(far, seed)
        assert_trees_equal(result, gradients)
        once, twice = (updates(chain(*[our(name, kwargs)] * n), seed)[0] for n in (1, 2))
        for u, v in zip(once, twice, strict=True):
            np.testing.assert_allclose(u["w"], v["w"], rtol=1e-6)

    check()


@few
@given(st.lists(st.sampled_from(PIECES), min_size=2, max_size=3), SEEDS, st.data())
def test_a_switch_is_its_member(names, seed, data):
    members = [our(name, data.draw(arguments(name))) for name in names]
    for index, member in enumerate(members):
        alone = updates(member, seed)[0]
        assert_trees_equal(updates(transforms.switch(index, members), seed)[0], alone)
