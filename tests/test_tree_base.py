"""The contract: trees that fit, numbers rounded once, chains, and errors that name the leaf."""

from fractions import Fraction

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_trees_close, assert_trees_equal, rollout, start, stream

from jaxopt_course.base import (
    Decay,
    apply_updates,
    as_decay,
    chain,
    either,
    mean,
    mean_square,
    number,
)
from jaxopt_course.transforms import ema, scale, trace
from jaxopt_course.transforms.moments import unbias
from jaxopt_course.tree import cast_like, leafwise, root, squares_like, zeros_like

# --- tree ---


def test_leafwise_computes_wide_and_cast_like_brings_back():
    x = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2, jnp.float16), "c": jnp.ones(2)}
    wide = leafwise(lambda x: x * jnp.float32(1 + 2**-20), x)
    assert all(leaf.dtype == jnp.float32 and (leaf > 1).all() for leaf in jax.tree.leaves(wide))
    chex.assert_trees_all_equal_dtypes(cast_like(wide, x), x)


def test_leafwise_passes_over_what_holds_no_leaf():
    tree = {"a": jnp.ones(2), "b": None, "c": optax.MaskedNode(), "d": {}}
    assert_trees_equal(leafwise(lambda x, y: x + y, tree, tree), {**tree, "a": 2 * tree["a"]})


@pytest.mark.parametrize(
    "updates, message",
    [
        ({"a": {"w": jnp.ones(2)}}, r"\['a'\]\['w'\] has shape \(2,\).* shape \(3, 2\)"),
        ({"a": {"w": jnp.ones((1, 2))}}, r"\['a'\]\['w'\] has shape \(1, 2\)"),
        ({"a": {"w": None}}, r"no gradient for the parameter \['a'\]\['w'\]"),
        (
            {"a": {"w": jnp.ones((3, 2)), "v": jnp.ones(4)}},
            r"no parameter .*\['a'\]\['v'\].*\(4,\)",
        ),
        ({"a": {"w": jnp.ones((3, 2), int)}}, r"\['a'\]\['w'\] is int32"),
        (jnp.ones((3, 2)), r"no gradient for the parameter \['a'\]\['w'\]"),
        ({"a": {"w": (jnp.ones((3, 2)),)}}, r"\['a'\]\['w'\]"),
    ],
)
def test_misfits_are_named(updates, message):
    params = {"a": {"w": jnp.zeros((3, 2))}}
    with pytest.raises(ValueError, match=message):
        apply_updates(params, updates)
    with pytest.raises(ValueError, match=message):
        trace(0.9).update(updates, trace(0.9).init(params))
    with pytest.raises(ValueError, match=message):
        scale(0.9).update(updates, scale(0.9).init(params), params)


def test_two_kinds_of_tree_with_the_same_paths_do_not_fit():
    with pytest.raises(ValueError, match="different trees"):
        apply_updates([jnp.ones(2)], (jnp.ones(2),))


def test_a_gradient_of_float0_is_named():
    """What jax.grad(..., allow_int=True) returns for an integer parameter."""
    g = jax.grad(lambda p: p["x"] * 2.0, allow_int=True)({"x": 1.0, "n": 3})
    with pytest.raises(ValueError, match=r"\['n'\] is"):
        apply_updates({"x": jnp.ones(()), "n": jnp.ones(())}, g)


def test_a_hyperparameter_that_broadcasts_is_refused():
    with pytest.raises(ValueError, match=r"\['w'\] has shape \(3,\)"):
        scale(jnp.arange(3.0)).update({"w": jnp.ones(())}, optax.EmptyState())


def test_squares_are_real_and_at_least_float32():
    tree = [jnp.ones(2, d) for d in (jnp.bfloat16, jnp.float16, jnp.float32, jnp.complex64)]
    assert [x.dtype for x in squares_like(tree, 0.1)] == [jnp.float32] * 4
    assert [x.dtype for x in zeros_like(tree)] == [x.dtype for x in tree]


def test_root_is_the_square_root_with_a_finite_slope():
    x = jnp.array([0.0, 1e-30, 0.25, 9.0, jnp.inf, jnp.nan])
    np.testing.assert_allclose(root(x), jnp.sqrt(x), atol=2e-19, rtol=0)
    np.testing.assert_array_equal(jax.vmap(jax.grad(root))(x[:4:2]), [0, 1])


# --- numbers ---


@pytest.mark.parametrize("b", [0.9, 0.999, 0.99999, np.float64(0.999), np.array(0.999)])
def test_a_literal_decay_is_rounded_once(b):
    """Both halves are the float32 next to the exact number; 1 - float32(b) is not."""
    pair, exact = as_decay(b), 1 - Fraction(float(b))
    assert pair.value == np.float32(b)
    assert abs(Fraction(float(pair.complement)) - exact) / exact < 2**-24 + 2**-26
    assert_trees_equal(as_decay(Decay.of(float(b))), pair)


def test_a_traced_decay_keeps_its_own_complement():
    pair = jax.jit(as_decay)(np.float32(0.999))
    assert pair.complement == 1 - np.float32(0.999)


@pytest.mark.parametrize("x", [1, 0.1, np.float64(0.1), np.float32(0.1), np.array(0.1), True])
def test_numbers_are_strong_scalars(x):
    for value in (number(x), jax.jit(number)(x)):
        assert value.dtype == jnp.float32 and not value.weak_type and value == np.float32(x)
    with jax.enable_x64(True):
        kept = np.float32 if isinstance(x, np.float32) else np.float64
        assert number(x).dtype == kept


def test_numbers_of_low_precision_are_widened():
    assert number(jnp.bfloat16(0.5)).dtype == jnp.float32


def test_number_has_derivatives_and_batches():
    assert jax.grad(lambda x: number(x) ** 2)(3.0) == 6
    np.testing.assert_array_equal(jax.vmap(number)(jnp.arange(3.0)), [0, 1, 2])


# --- means ---


@pytest.mark.parametrize("b", [0.0, 0.25, 0.75, 1.0])
def test_mean_by_hand(b):
    """Quarters are exact in binary, on both sides of 1/2."""
    m, x = jnp.array([4.0, -8.0]), jnp.array([2.0, 16.0])
    np.testing.assert_array_equal(mean(as_decay(b))(m, x), b * m + (1 - b) * x)
    np.testing.assert_array_equal(mean_square(as_decay(b))(m, x), b * m + (1 - b) * x * x)


def test_a_mean_forgets_all_at_b_0():
    assert mean(as_decay(0.0))(jnp.float32(1e6), jnp.float32(1e-6)) == np.float32(1e-6)


@pytest.mark.parametrize("b", [0.9, 0.999, 0.99999])
def test_a_mean_rests_where_it_is(b):
    """A constant is a fixed point, bit for bit; b m + (1 - b) x would drift."""
    x = jnp.float32(0.1)
    assert mean(as_decay(b))(x, x) == x


def test_an_overflow_stays_infinite():
    v = jnp.float32(0)
    for x in (1e30, 1e30, 1.0):
        v = mean_square(as_decay(0.9))(v, jnp.float32(x))
        assert v == jnp.inf


@pytest.mark.parametrize("b", [0.0, 0.5, 0.99999, 0.9999999])
@pytest.mark.parametrize("t", [1, 2, 1000])
def test_the_bias_is_exact_to_rounding(b, t):
    bias = 1 / unbias(jnp.ones(()), as_decay(b), jnp.int32(t))
    exact = float(1 - Fraction(b) ** t)
    assert float(bias) == pytest.approx(exact, rel=4e-7)


def test_the_bias_has_a_finite_slope_at_b_0():
    slope = jax.grad(lambda b: unbias(jnp.float32(2), as_decay(b), jnp.int32(3)))
    assert slope(0.0) == 0
    assert slope(0.5) == pytest.approx(2 * 3 * 0.25 / (1 - 0.125) ** 2, rel=1e-5)


def test_b_1_is_loud():
    """A mean that never learns has no unbiased value."""
    for b in (1.0, np.array(1), float(jnp.bfloat16(0.999))):
        with pytest.raises(ValueError, match="decay 1 never leaves its start"):
            unbias(jnp.zeros(()), as_decay(b), jnp.int32(1))
    assert jnp.isnan(unbias(jnp.zeros(()), as_decay(jnp.ones(())), jnp.int32(1)))


# --- either, chain, apply_updates ---


@pytest.mark.parametrize("flag", [True, False, np.True_, np.False_])
def test_either_chooses_in_python(flag):
    boom = lambda: pytest.fail("computed what was not chosen")
    assert either(flag, *((lambda: 1, boom) if flag else (boom, lambda: 1))) == 1


@pytest.mark.parametrize("flag", [True, False])
def test_either_selects_when_traced(flag):
    pick = jax.jit(lambda f: either(f, lambda: {"a": jnp.ones(2)}, lambda: {"a": jnp.zeros(2)}))
    np.testing.assert_array_equal(pick(flag)["a"], [flag, flag])


def test_chain_equals_optax_chain_and_mixes_with_it():
    ours = chain(trace(0.9), optax.clip(0.5), ema(0.5))
    theirs = optax.chain(optax.trace(0.9), optax.clip(0.5), optax.ema(0.5))
    mixed = optax.chain(optax.chain(trace(0.9), optax.clip(0.5)), ema(0.5))
    g = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), stream(20))
    expected = rollout(theirs, g, start())[0]
    for tx in (ours, mixed):
        assert_trees_close(rollout(tx, g, start())[0], expected, rtol=2e-5, atol=1e-12)


def test_chain_of_nothing_is_the_identity():
    tx = chain()
    assert tx.update({"a": 1.0}, tx.init({"a": 1.0})) == ({"a": 1.0}, ())


def test_chain_hands_extra_arguments_to_those_that_take_them():
    def update(g, state, params=None, *, factor, **extra):
        return jax.tree.map(lambda g: factor * g, g), state

    taker = optax.GradientTransformationExtraArgs(lambda params: (), update)
    tx = chain(scale(2.0), taker, scale(0.5))
    assert tx.update(jnp.ones(()), tx.init(jnp.ones(())), factor=3.0, other=1)[0] == 3


def test_chain_refuses_the_state_of_another_chain():
    with pytest.raises(ValueError, match="chain of 2 got a state of 1"):
        chain(scale(1.0), scale(1.0)).update(jnp.ones(()), (optax.EmptyState(),))


def test_apply_updates_keeps_the_dtype_of_the_parameters():
    p = apply_updates({"a": jnp.ones(2, jnp.bfloat16), "n": None}, {"a": jnp.ones(2), "n": None})
    assert p["a"].dtype == jnp.bfloat16 and p["n"] is None and (p["a"] == 2).all()


def test_importing_touches_no_device():
    """No array is made at import: a device that does not exist is not missed."""
    import subprocess
    import sys

    code = (
        "import jax; jax.config.update('jax_platforms', 'nowhere')\n"
        "import jaxopt_course.optimizers, jaxopt_course.schedules, jaxopt_course.transforms\n"
        "jaxopt_course.optimizers.adam(1e-3)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- leaves that stay ---


@pytest.mark.parametrize("zero", [jnp.zeros(3, jnp.int32), jnp.zeros(3), np.zeros(3, jax.float0)])
def test_frozen_leaves_of_any_kind_stay_as_they_are(zero):
    table = jnp.array([0, 1, 2**24 + 1])
    key = jax.random.key(0)
    params = {"w": jnp.ones(2), "table": table, "on": jnp.array(True), "key": key}
    none = jnp.zeros(())
    updates = {"w": jnp.full(2, -0.5), "table": zero, "on": none, "key": np.zeros((), jax.float0)}
    new = apply_updates(params, updates)
    np.testing.assert_array_equal(new["w"], [0.5, 0.5])
    np.testing.assert_array_equal(new["table"], table)
    assert new["table"].dtype == table.dtype and new["on"].dtype == bool and bool(new["on"])
    assert (jax.random.key_data(new["key"]) == jax.random.key_data(key)).all()


def test_an_integer_moves_as_optax_moves_it():
    params, updates = {"n": jnp.array([5, -5])}, {"n": jnp.array([2.7, 2.7])}
    right = optax.apply_updates(params, updates)
    assert_trees_equal(apply_updates(params, updates), right)
    with pytest.raises(ValueError, match=r"\['n'\] has shape"):
        apply_updates(params, {"n": jnp.zeros(3)})
