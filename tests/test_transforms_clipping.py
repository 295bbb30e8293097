"""Clipping: by hand, by its laws, in half precision, and on what is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_course.transforms import clip, clip_by_global_norm, clip_by_norm
from jaxopt_course.transforms.clipping import global_norm

BY_NORM = pytest.mark.parametrize("make", [clip_by_norm, clip_by_global_norm])
EVERY = pytest.mark.parametrize("make", [clip, clip_by_norm, clip_by_global_norm])


def bound(make, limit, g):
    tx = make(limit)
    return tx.update(g, tx.init(g), g)[0]


def test_by_hand():
    """Keras's and optax's numbers for [3, 4] and [12]: 5 and 12, together 13."""
    g = [jnp.array([3.0, 4.0]), jnp.array([12.0])]
    for make, limit, expected in (
        (clip, 3.5, [[3, 3.5], [3.5]]),
        (clip_by_norm, 1.0, [[3 / 5, 4 / 5], [1]]),
        (clip_by_global_norm, 1.0, [[3 / 13, 4 / 13], [12 / 13]]),
        (clip_by_norm, 5.0, [[3, 4], [5]]),
        (clip_by_global_norm, 13.0, [[3, 4], [12]]),
    ):
        for u, by_hand in zip(bound(make, limit, g), expected, strict=True):
            np.testing.assert_allclose(u, by_hand, rtol=2e-7)


@EVERY
def test_inside_the_bound_nothing_changes_a_bit(make):
    g = {"w": np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)}
    for limit in (100.0, np.inf, jnp.float32(np.inf)):
        np.testing.assert_array_equal(bound(make, limit, g)["w"], g["w"])


@EVERY
def test_clipping_twice_is_clipping_once(make):
    g = {"w": jnp.asarray(np.random.default_rng(0).normal(size=(50, 20)), jnp.float32)}
    once = bound(make, 0.1, g)
    np.testing.assert_allclose(bound(make, 0.1, once)["w"], once["w"], rtol=3e-7)


@BY_NORM
def test_the_direction_stays_and_the_norm_is_the_bound(make):
    g = {"w": np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)}
    wide = g["w"].astype(np.float64)
    for scale in (1e-15, 1.0, 1e15, 1e18, 1e30):  # squares of 1e-30 to 1e60
        u = np.asarray(bound(make, scale, {"w": g["w"] * np.float32(scale)})["w"], np.float64)
        np.testing.assert_allclose(u / scale, wide / np.linalg.norm(wide), rtol=2e-6)


@pytest.mark.long
def test_norms_of_half_precision_are_summed_in_float32():
    """optax 0.2.8: inf, so that [300, 300] becomes [0, 0]; and 16 of 44.7."""
    g = jnp.full(2, 300.0, jnp.float16)
    assert float(global_norm(g)) == pytest.approx(424.264, abs=1e-3)
    for make in (clip_by_norm, clip_by_global_norm):
        u = bound(make, 1.0, g)
        assert u.dtype == jnp.float16
        np.testing.assert_allclose(u, 0.5**0.5, rtol=5e-4)
    many = [jnp.ones((), jnp.bfloat16)] * 2000
    assert float(global_norm(many)) == pytest.approx(2000**0.5, rel=1e-6)
    u = bound(clip_by_global_norm, 1.0, many)
    assert {x.dtype for x in u} == {jnp.dtype("bfloat16")}
    np.testing.assert_allclose(np.array([float(x) for x in u]), 2000**-0.5, rtol=4e-3)
    tiny = jnp.full(2, 1e-4, jnp.float16)  # squares to 0 in float16
    assert float(global_norm(tiny)) == pytest.approx(1e-4 * 2**0.5, rel=1e-3)


def test_optax_s_norm_of_half_precision_is_wrong():
    assert optax.tree.norm(jnp.full(2, 300.0, jnp.float16)) == jnp.inf
    assert abs(float(optax.tree.norm([jnp.ones((), jnp.bfloat16)] * 2000)) - 44.7) > 1


@BY_NORM
def test_squares_that_overflow_are_measured(make):
    """optax and PyTorch make [0, 0] of it: a step lost without a word."""
    u = bound(make, 1.0, jnp.array([1e30, 1e25]))
    np.testing.assert_allclose(u, [1, 1e-5], rtol=1e-6)
    assert optax.clip_by_global_norm(1.0).update(jnp.array([1e30, 1.0]), None)[0].sum() == 0
    large = float(jnp.finfo(jnp.float32).max)
    assert float(global_norm(jnp.array([large, 0.0]))) == pytest.approx(large)
    with jax.enable_x64(True):
        assert float(global_norm(jnp.array([3e200, 4e200]))) == pytest.approx(5e200)
        mixed = [jnp.array(3e20, jnp.float32), jnp.array(4e20, jnp.float64)]
        assert float(global_norm(mixed)) == pytest.approx(5e20)


def test_what_is_not_finite_stays_visible():
    """As the module says."""
    nan, inf = jnp.nan, jnp.inf
    g = [jnp.array([inf, 1.0, -2.0]), jnp.array([4.0])]
    np.testing.assert_array_equal(bound(clip, 1.0, g)[0], [1, 1, -1])
    for make, other in ((clip_by_norm, 1.0), (clip_by_global_norm, 0.0)):
        u = bound(make, 1.0, g)
        np.testing.assert_array_equal(u[0], [nan, 0, 0])
        np.testing.assert_array_equal(u[1], [other])
    g = [jnp.array([nan, 1.0, -2.0]), jnp.array([4.0])]
    np.testing.assert_array_equal(bound(clip, 1.0, g)[0], [nan, 1, -1])
    for make, other in ((clip_by_norm, 1.0), (clip_by_global_norm, nan)):
        u = bound(make, 1.0, g)
        np.testing.assert_array_equal(u[0], [nan, nan, nan])
        np.testing.assert_array_equal(u[1], [other])


@EVERY
def test_slopes_at_no_gradient_are_finite(make):
    """All updates 0: the norm has an infinite slope there."""
    g = {"w": jnp.zeros(3), "b": jnp.zeros(())}

    def loss(limit, g):
        return sum(jnp.sum((x - 1) ** 2) for x in jax.tree.leaves(bound(make, limit, g)))

    for limit in (1.0, 0.0, 1e-30):
        by_limit, by_g = jax.grad(loss, argnums=(0, 1))(limit, g)
        assert np.isfinite(by_limit)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(by_g))
    if make is not clip:  # inside the bound it is the identity: -2 each
        slopes = jax.tree.leaves(jax.grad(loss, argnums=1)(1.0, g))
        assert all((x == -2).all() for x in slopes)


@EVERY
def test_a_bound_of_0_stops_all(make):
    g = {"w": jnp.array([3.0, 0.0, -1.0])}
    np.testing.assert_array_equal(bound(make, 0.0, g)["w"], 0)


@EVERY
def test_complex_numbers_keep_their_angle(make):
    g = jnp.array([3 + 4j, 0.1j, 0], jnp.complex64)
    u = np.asarray(bound(make, 1.0, g))
    assert u.dtype == jnp.complex64
    np.testing.assert_allclose(np.angle(u), np.angle(g), rtol=1e-6)
    if make is clip:
        np.testing.assert_allclose(np.abs(u), [1, 0.1, 0], rtol=1e-6)
    else:
        assert np.linalg.norm(u) == pytest.approx(1)
    slope = jax.grad(lambda c: jnp.abs(bound(make, c, g)[0]))(1.0)
    assert np.isfinite(slope) and slope > 0


def test_leaves_that_are_not_there_do_not_count():
    """Frozen leaves (masked, None) have no norm."""
    g = {"w": jnp.array([3.0]), "b": jnp.array([4.0]), "frozen": None}
    assert float(global_norm(g)) == 5
    g["frozen"] = optax.MaskedNode()
    assert float(global_norm(g)) == 5
    masked = optax.masked(clip_by_global_norm(1.0), {"w": True, "b": True, "frozen": False})
    full = {**g, "frozen": jnp.array([1e6])}
    u, _ = masked.update(full, masked.init(full), full)
    np.testing.assert_allclose(u["w"], 0.6, rtol=1e-6)
    assert u["frozen"] == 1e6


def test_a_norm_of_integers_is_refused():
    with pytest.raises(ValueError, match=r"\['n'\] is int32"):
        global_norm({"n": jnp.arange(3)})


def test_lanes_do_not_see_each_other():
    """A lane with inf or NaN leaves the others as they are, to the bit."""
    rng = np.random.default_rng(0)
    g = jnp.asarray(rng.normal(size=(4, 7)), jnp.float32)
    step = jax.jit(jax.vmap(lambda g, c: bound(clip_by_global_norm, c, g)))
    limits = jnp.array([0.1, 0.5, 1.0, 2.0])
    clean, dirty = step(g, limits), step(g.at[1, 2].set(jnp.inf).at[2, 0].set(jnp.nan), limits)
    np.testing.assert_array_equal(clean[jnp.array([0, 3])], dirty[jnp.array([0, 3])])


@EVERY
@pytest.mark.parametrize("limit", [-1, -1e-30, np.float32(-2), np.nan])
def test_a_bound_below_0_is_refused(make, limit):
    """optax 0.2.8: clip_by_global_norm(-1) turns each step round."""
    with pytest.raises(ValueError, match=rf"{make.__name__}'s max_\w+ must be at least 0, not"):
        make(limit)
    make(jnp.float32(limit))  # traced or not, an array cannot always be looked at


@EVERY
def test_numpy_s_float64_is_float32_without_x64(make):
    """And without a warning: gradients of NumPy meet float32 in JAX as elsewhere."""
    assert bound(make, 1.0, {"w": np.full(3, 6.0)})["w"].dtype == jax.dtypes.canonicalize_dtype(
        float
    )
