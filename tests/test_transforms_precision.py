"""Half precision, numbers at the edge of float32, and what is not finite: no silent damage."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    CHAINS,
    OF_LEAVES,
    PIECES,
    RECIPES,
    assert_trees_equal,
    defaults,
    our,
    rollout,
    stepwise,
)
from long_form import every, of_families, only

import jaxopt_course.transforms as transforms
from jaxopt_course.base import apply_updates
from jaxopt_course.transforms import (
    dampened_trace,
    ema,
    scale_by_adadelta,
    scale_by_adam,
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_lion,
    scale_by_nadam,
    scale_by_radam,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    trace,
)
from jaxopt_course.transforms.prodigy import _sum

# Muon moves no vector; of its matrices: tests/test_muon.py
VECTORS = {name: row for name, row in PIECES.items() if name != "muon"}
ALL = pytest.mark.parametrize("name", VECTORS)
SOME = pytest.mark.parametrize("name", of_families(VECTORS))
HALF = pytest.mark.parametrize("dtype", only(["bfloat16"], ["float16", "bfloat16"]))


def at_defaults(name):
    """The arguments of ``name`` at their defaults; what has none, as in the contract."""
    made = RECIPES.get(name) or getattr(transforms, name)
    return (
        PIECES[name][0]
        | defaults(made, float)
        | ({"learning_rate": 0.01} if name in RECIPES else {})
    )


def as_in_the_contract(name):
    """Its arguments there."""
    return PIECES[name][0]


def run(tx, gradients):
    gradients = jnp.asarray(gradients)
    return rollout(tx, gradients, jnp.zeros_like(gradients[0]))[0]


@functools.cache
def compiled(name, made):
    """The program of ``name`` with the arguments ``made(name)``: gradients to updates."""
    go = stepwise(lambda _: our(name, made(name)))
    return lambda g: go(g, jnp.zeros_like(g[0]))[0]


@functools.cache
def of_numbers(name):
    """The program of ``name``: numbers and gradients to updates and the last state."""
    return jax.jit(lambda numbers, g: rollout(our(name, numbers), g, g[0]))


def half(dtype, steps=20):
    """Gradients around 0, 1e-4 and 300, whose squares in float16 are 0, 0 and infinity."""
    g = np.random.default_rng(0).normal(size=(steps, 3)) * [0.0, 1e-4, 300.0]
    g[0] = [0.0, 1e-4, 300.0]
    return jnp.asarray(g, dtype)


@pytest.mark.parametrize("dtype", only(["float16"], ["float16", "bfloat16"]))
@SOME
def test_half_precision_moves_as_float64_does(name, dtype):
    """eps is 1e-8, which is 0 in float16; optax's Adam gives NaN at 0 and -inf at 1e-4."""
    g, go = half(dtype), compiled(name, at_defaults)
    u = go(g)
    assert u.dtype == dtype
    with jax.enable_x64(True):
        exact = go(g.astype("float64"))
        exact, u = np.asarray(exact), np.asarray(u, np.float64)
    assert np.isfinite(u).all() and (u[:, 0] == 0).all()
    unit = float(jnp.finfo(dtype).eps)
    links = 5 if name in CHAINS else 1 + (name in RECIPES)
    if name in ("rmsprop", "lars"):  # whose steps are rounded before they are added up
        links = 8
    size = np.abs(exact).max(axis=0)
    smallest = float(jnp.finfo(dtype).smallest_subnormal)
    assert (np.abs(u - exact) <= links * unit * size + smallest).all()


def test_optax_s_float16_does_not():
    u = run(optax.scale_by_adam(), half("float16", steps=1))[0]
    assert np.isnan(u[0]) and np.isinf(u[1]) and u[2] == 0


@HALF
@pytest.mark.parametrize("name", of_families(VECTORS))
def test_hyperparameters_of_half_precision_are_only_rounded(name, dtype):
    """The same as their float32 values, to the bit; no dtype changes, also in lax.scan."""
    narrow = {k: jnp.asarray(v, dtype) for k, v in PIECES[name][0].items()}
    wide = {k: v.astype("float32") for k, v in narrow.items()}
    g = jnp.asarray(np.random.default_rng(0).normal(size=(10, 4)), "float32")
    both = [of_numbers(name)(h, g) for h in (narrow, wide)]
    assert_trees_equal(*both)
    g, params = g.astype(dtype), g[0].astype(dtype)
    u, state = jax.eval_shape(lambda: rollout(our(name, narrow), g, params))
    moved = jax.eval_shape(lambda u: apply_updates(params, u[-1]), u)
    assert moved.dtype == u.dtype == dtype
    real = [x.dtype for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert set(real) <= {jnp.dtype("float32")}


@pytest.mark.parametrize("name", every(2, [n for n, (k, _) in VECTORS.items() if "eps" in k]))
def test_an_eps_that_rounds_to_0_does_no_harm(name):
    """eps=float16(1e-8) is 0: still finite, also where the gradient is 0."""
    numbers = at_defaults(name) | {"eps": np.float16(1e-8)}
    u = run(our(name, numbers), half("float16").astype("float32"))
    assert np.isfinite(u).all() and (u[:, 0] == 0).all()
    assert (np.abs(np.asarray(u[:, 1:])).max(axis=0) > 0).all() or name in ("adadelta",)


MEMORIES = {  # transformation -> the argument that names the dtype of its first memory
    "trace": "accumulator_dtype",
    "dampened_trace": "accumulator_dtype",
    "ema": "accumulator_dtype",
    "scale_by_stddev": "mu_dtype",
    "scale_by_adam": "mu_dtype",
    "scale_by_adamax": "mu_dtype",
    "scale_by_amsgrad": "mu_dtype",
    "scale_by_nadam": "mu_dtype",
    "scale_by_radam": "mu_dtype",
    "scale_by_lion": "mu_dtype",
    "scale_by_ademamix": "mu_dtype",
    "sgd": "accumulator_dtype",
    "adam": "mu_dtype",
    "adamw": "mu_dtype",
    "amsgrad": "mu_dtype",
    "nadam": "mu_dtype",
    "lion": "mu_dtype",
    "ademamix": "mu_dtype",
}


@pytest.mark.parametrize("asked", [None, "bfloat16", "float32"])
@HALF
@pytest.mark.parametrize("name", MEMORIES)
def test_first_memories_are_float32_unless_told_otherwise(name, dtype, asked):
    tx = our(name, PIECES[name][0] | {MEMORIES[name]: asked})
    params = jnp.ones(3, dtype)
    _, state = jax.eval_shape(lambda g: rollout(tx, g, params), half(dtype))
    found = [optax.tree.get(state, field) for field in ("trace", "ema", "mu", "m1")]
    assert [x.dtype for x in found if x is not None] == [asked or "float32"]


@pytest.mark.parametrize("asked", ["float31", 2**31, "int32", bool])
@pytest.mark.parametrize("name", MEMORIES)
def test_a_memory_of_no_floating_point_numbers_is_refused(name, asked):
    """A mean of gradients in whole numbers would stay 0, and the parameters where they are."""
    tx = our(name, PIECES[name][0] | {MEMORIES[name]: asked})
    with pytest.raises(TypeError, match=r"the dtype of a memory is .*give one of floating point"):
        tx.init(jnp.ones(3))


def test_an_odd_dtype_to_round_to_is_refused():
    with pytest.raises(TypeError, match="ns_dtype is int8; give one of floating point"):
        tx = transforms.scale_by_muon(ns_dtype="int8")
        tx.update(jnp.ones((3, 3)), tx.init(jnp.ones((3, 3))))


# --- one gradient of 1e30 among ones ---

SPIKE = np.array([1.0, 1.0, 1e30] + [1.0] * 200, np.float32)
FROZEN = {
    "rss": (scale_by_rss(), "sum_of_squares"),
    "rss, eps outside": (scale_by_rss(eps_in_sqrt=False), "sum_of_squares"),
    "rms": (scale_by_rms(), "nu"),
    "rms, corrected": (scale_by_rms(bias_correction=True, eps_in_sqrt=False), "nu"),
    "stddev": (scale_by_stddev(), "nu"),
    "stddev, corrected": (scale_by_stddev(bias_correction=True), "nu"),
    "adadelta": (scale_by_adadelta(), "e_g"),
    "adam": (scale_by_adam(), "nu"),
    "adam, eps hat": (scale_by_adam(eps_hat=True, nesterov=True), "nu"),
    "amsgrad": (scale_by_amsgrad(), "nu_max"),
    "amsgrad, max first": (scale_by_amsgrad(max_before_correction=True), "nu_max"),
    "nadam": (scale_by_nadam(), "nu"),
}


@pytest.mark.parametrize("name", FROZEN)
def test_an_overflowing_square_freezes_and_shows_in_the_state(name):
    """As the docstrings say: u is 0 for good, never NaN, and the accumulator is infinite."""
    tx, field = FROZEN[name]
    u, state = rollout(tx, SPIKE, jnp.zeros(()))
    assert (np.asarray(u[:2]) > 0).all()
    np.testing.assert_array_equal(u[2:], 0)
    assert optax.tree.get(state, field) == jnp.inf


@pytest.mark.parametrize("make", [scale_by_rms, lambda b2: scale_by_adam(0.9, b2)])
def test_short_means_of_squares_make_nan_of_it(make):
    """For b < 1/2, as base.mean_square says: the other way of not being silent."""
    u = rollout(make(0.3), SPIKE, jnp.zeros(()))[0]
    assert np.isfinite(u[:2]).all() and np.isnan(u[2:]).all()


def test_radam_s_first_steps_are_as_large_as_the_gradient():
    u, state = rollout(scale_by_radam(), SPIKE, jnp.zeros(()))
    assert 1e29 < u[2] < 1e30
    np.testing.assert_array_equal(u[5:], 0)  # rectified from here on
    assert state.nu == jnp.inf


def test_adamax_comes_back():
    """v falls by β2 a step: from 1e30 to 1 in log(1e30)/(1 - β2) steps."""
    u, state = rollout(scale_by_adamax(b2=0.5), SPIKE, jnp.zeros(()))
    assert float(state.nu) == 1
    assert float(u[2]) == pytest.approx(0.1 / (1 - 0.9**3), rel=1e-5)
    assert np.isfinite(u).all()
    _, state = rollout(scale_by_adamax(), SPIKE, jnp.zeros(()))
    assert float(state.nu) == pytest.approx(1e30 * 0.999**200, rel=1e-4)


def test_lion_follows_the_spike_until_it_is_forgotten():
    """m = 1e28 · 0.99^t against -1: the sign turns after log(1e28)/0.01 = 6,400 steps."""
    g = jnp.concatenate([jnp.array([1e30]), -jnp.ones(8000)])
    u = np.asarray(rollout(scale_by_lion(), g, jnp.zeros(()))[0])
    turn = int(np.argmax(u < 0))
    # 0.9 m + 0.1 (-1) changes sign where 0.9 (1e28 + 1) 0.99^t = 1
    assert turn == pytest.approx(np.log(0.9e28) / -np.log(0.99), abs=3)
    assert (u[:turn] == 1).all() and (u[turn:] == -1).all()


@pytest.mark.parametrize(
    "tx, rest", [(trace(0.5), 2.0), (dampened_trace(0.5, 0.5), 1.0), (ema(0.5), 1.0)]
)
def test_momenta_remember_the_spike_for_their_length(tx, rest):
    u = rollout(tx, SPIKE, jnp.zeros(()))[0]
    assert np.isfinite(u).all() and u[2] > 1e29
    assert float(u[-1]) == pytest.approx(rest)  # 1e30 · ½^200 later


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@SOME
def test_what_is_not_finite_is_seen_or_bounded(name, bad):
    """A bad gradient shows in its own coordinate at once; or the step is within its bound."""
    go = compiled(name, as_in_the_contract)
    g = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    clean = np.asarray(go(g))
    g[2, 1] = bad
    u = np.asarray(go(g))
    bounded = (
        "clip",
        "scale_by_lion",
        "lion",
        "signum",
        "scale_by_sign",
        "scale_by_adopt",
        "adopt",
    )
    if name in bounded and bad == np.inf:
        assert (np.abs(u[2]) <= 1).all()
    else:
        assert not np.isfinite(u[2, 1])
    if name not in OF_LEAVES | {"prodigy", "scale_by_prodigy"}:
        np.testing.assert_array_equal(np.delete(u, 1, axis=1), np.delete(clean, 1, axis=1))
    np.testing.assert_array_equal(u[:2], clean[:2])


def test_prodigy_adds_leaves_of_half_precision_as_its_own_numbers_are():
    """257 has no bfloat16."""
    ones = {"w": jnp.ones(200, jnp.bfloat16), "b": jnp.ones(57, jnp.bfloat16)}
    whole = {"w": jnp.ones(257, jnp.bfloat16)}
    assert _sum(whole, jnp.float32(0)) == _sum(ones, jnp.float32(0)) == 257
