"""Patches times a matrix give what Flax's convolution gives: values, gradients and parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from long_form import every, only, put

from jaxopt_course.problems.convolution import Conv, convolve, max_pool

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 9, 8, 4))
CASES = {
    "same, no bias": {"use_bias": False},
    "strides, same": {"strides": 2},
    "strides, valid": {"strides": (2, 3), "padding": "VALID"},
    "numbers": {"padding": ((2, 0), (1, 3)), "strides": (1, 2)},
    "circular, dilated kernel": {"padding": "CIRCULAR", "kernel_dilation": (2, 1)},
    "dilated input, groups": {
        "input_dilation": 2,
        "padding": ((1, 1), (0, 2)),
        "feature_group_count": 2,
    },
}


def both(function, ours, theirs, *arguments):
    """Value and gradients of Σ sin(f): a different weight for each output."""
    total = lambda f: lambda *a: jnp.sum(jnp.sin(function(f, *a)))
    wanted = tuple(range(len(arguments)))
    return [jax.jit(jax.value_and_grad(total(f), wanted))(*arguments) for f in (ours, theirs)]


def close(ours, theirs, tolerance):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        scale = max(1.0, float(jnp.abs(b).max()))
        np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("options", every(2, CASES.values()), ids=CASES)
def test_conv_is_that_of_flax(options):
    with jax.enable_x64(True):
        layers = [
            kind(4, 6, (3, 2), **options, rngs=nnx.Rngs(0), param_dtype=jnp.float64)
            for kind in (Conv, nnx.Conv)
        ]
        states = [nnx.to_pure_dict(nnx.state(layer)) for layer in layers]
        jax.tree.map(np.testing.assert_array_equal, *states)  # the same draws, the same names
        graphs = [nnx.graphdef(layer) for layer in layers]
        apply = lambda graph, params, x: nnx.merge(graph, params)(x)
        ours, theirs = both(apply, *graphs, states[0], jnp.asarray(IMAGES))
        close(ours, theirs, 1e-12)


@pytest.mark.parametrize("shape", [(8, 4), (5, 6, 7, 4)], ids=["one axis", "three axes"])
def test_other_numbers_of_axes(shape):
    x = jnp.asarray(RNG.normal(size=(2, *shape)), jnp.float32)
    size = (2,) * (len(shape) - 1)
    layers = [kind(4, 3, size, rngs=nnx.Rngs(1)) for kind in (Conv, nnx.Conv)]
    close(*(jax.jit(layer)(x) for layer in layers), 1e-6)


def test_the_notes_sizes_in_float32():
    x = jnp.asarray(RNG.random(size=(4, 32, 32, 3)), jnp.float32)
    layers = [kind(3, 32, (3, 3), padding="VALID", rngs=nnx.Rngs(0)) for kind in (Conv, nnx.Conv)]
    states = [nnx.to_pure_dict(nnx.state(layer)) for layer in layers]
    apply = lambda graph, params, x: nnx.merge(graph, params)(x)
    close(*both(apply, *map(nnx.graphdef, layers), states[0], x), 1e-6)


POOLS = [
    ((2, 2), (2, 2), "VALID"),
    ((3, 2), (2, 1), "SAME"),
    ((3, 3), None, "VALID"),
    ((2, 3), (1, 2), ((1, 0), (0, 2))),
]


@pytest.mark.parametrize("window, strides, padding", POOLS)
def test_max_pool_is_that_of_flax(window, strides, padding):
    """Where values are equal, too: an image's background is one value everywhere."""
    pool = lambda f, x: f(x, window, strides, padding)
    close(*both(pool, max_pool, nnx.max_pool, jnp.asarray(np.round(IMAGES), jnp.float32)), 1e-6)


@pytest.mark.long
def test_max_pool_of_infinities_and_of_nothing_but_them():
    """Padding is -inf too, and must not take a gradient from what stands beside it."""
    x = jnp.asarray(np.where(IMAGES < -0.5, -jnp.inf, np.round(IMAGES)), jnp.float32)
    x = x.at[0, :4].set(-jnp.inf).at[1, 3, 2].set(jnp.inf)
    for padding in ("VALID", "SAME"):
        ours, theirs = (
            jax.vjp(lambda x, f=f, padding=padding: f(x, (3, 3), (2, 2), padding), x)
            for f in (max_pool, nnx.max_pool)
        )
        np.testing.assert_array_equal(ours[0], theirs[0], err_msg=padding)
        weights = jnp.asarray(RNG.normal(size=ours[0].shape), jnp.float32)
        np.testing.assert_allclose(ours[1](weights)[0], theirs[1](weights)[0], atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int32, jnp.bfloat16])
def test_max_pool_of_other_types(dtype):
    x = jnp.asarray(IMAGES * 10 + 100, dtype)
    ours, theirs = (f(x, (3, 3), (2, 2), "SAME") for f in (max_pool, nnx.max_pool))
    assert ours.dtype == theirs.dtype == dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "size", [(3, 9), put(((10, 3),), False)], ids=["along one axis", "along the other"]
)
def test_a_window_larger_than_the_image_stands_nowhere(size):
    x = jnp.asarray(IMAGES, jnp.float32)
    layers = [kind(4, 3, size, padding="VALID", rngs=nnx.Rngs(0)) for kind in (Conv, nnx.Conv)]
    shapes = [jax.eval_shape(layer, x).shape for layer in layers]
    assert shapes[0] == shapes[1] == layers[0](x).shape and 0 in shapes[0]
    pools = [jax.eval_shape(lambda x, f=f: f(x, size), x).shape for f in (max_pool, nnx.max_pool)]
    assert pools[0] == pools[1] == max_pool(x, size).shape


@pytest.mark.long
def test_no_images():
    x = jnp.zeros((0, 9, 8, 4))
    layers = [kind(4, 3, (3, 3), rngs=nnx.Rngs(0)) for kind in (Conv, nnx.Conv)]
    assert layers[0](x).shape == layers[1](x).shape == (0, 9, 8, 3)
    assert max_pool(x, (2, 2), (2, 2)).shape == (0, 4, 4, 4)


@pytest.mark.parametrize("dtype", only([jnp.bfloat16], [jnp.bfloat16, jnp.float16]))
def test_half_precision_is_that_of_flax(dtype):
    x = jnp.asarray(IMAGES, jnp.float32)
    layers = [kind(4, 3, (3, 3), dtype=dtype, rngs=nnx.Rngs(0)) for kind in (Conv, nnx.Conv)]
    ours, theirs = (layer(x) for layer in layers)
    assert ours.dtype == theirs.dtype == dtype
    step = float(jnp.finfo(dtype).eps) * float(jnp.abs(theirs).max())  # the last bit, rounded once
    np.testing.assert_allclose(*(y.astype(jnp.float32) for y in (ours, theirs)), atol=step)


def test_nan_wins():
    x = jnp.reshape(jnp.where(jnp.eye(4, dtype=bool), jnp.nan, 0.0), (4, 2, 2, 1))
    assert jnp.isnan(jax.jit(lambda x: max_pool(x, (2, 2)))(x)).all()


def test_a_step_under_vmap_of_weights():
    kernels = jnp.asarray(RNG.normal(size=(3, 3, 3, 4, 2)), jnp.float32)
    x = jnp.asarray(IMAGES, jnp.float32)
    run = jax.jit(lambda kernel: convolve(x, kernel, (1, 1), "SAME"))
    close(jax.vmap(run)(kernels), jnp.stack([run(kernel) for kernel in kernels]), 1e-6)


def test_what_it_refuses():
    x, kernel = jnp.ones((1, 4, 4, 1)), jnp.ones((2, 2, 1, 1))
    with pytest.raises(ValueError, match="give the padding in numbers"):
        convolve(x, kernel, (1, 1), "SAME", lhs_dilation=(2, 2))
    with pytest.raises(TypeError, match="does not know out_sharding"):
        convolve(x, kernel, (1, 1), "SAME", out_sharding="x")
    for window, strides in (((2, 2, 2, 2), None), ((2, 2), (2,)), ((), None)):
        with pytest.raises(ValueError, match=r"does not fit inputs of shape \(1, 4, 4, 1\)"):
            max_pool(x, window, strides)
    with pytest.raises(TypeError, match="conv_general_dilated"):
        Conv(1, 1, (2, 2), conv_general_dilated=None, rngs=nnx.Rngs(0))
