"""Convolution and max-pooling that are quick inside a scan: patches times a matrix.

    patches(x)[b, i, j] = the values of x under the kernel at (i, j), laid end to end
    conv(x, W)          = patches(x) · W                     W as (kernel · inputs, outputs)
    max_pool(x)         = the largest of the shifted copies of x, the first of equals

XLA's own convolution falls back to a naive loop on CPU inside ``lax.scan`` and ``lax.while_loop``,
and under ``vmap`` over weights it becomes a grouped convolution, slow on CPU and GPU alike.  A
matrix product is quick in both.  The price is memory: the patches are as many times larger than
the inputs as the kernel has cells (9 for 3 x 3).
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

Padding = str | Sequence[tuple[int, int]]


class Conv(nnx.Conv):
    """``nnx.Conv``, its parameters and its results, computed as patches times a matrix.

    Args:
        *args: as for ``nnx.Conv``: in_features, out_features, kernel_size, strides.
        **kwargs: as for ``nnx.Conv`` (padding, dilations, groups, mask, dtypes, rngs).

    Raises:
        TypeError: ``conv_general_dilated`` is given; that is what this class is.

    >>> import jax
    >>> from flax import nnx
    >>> layer = Conv(1, 32, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
    >>> layer(jax.numpy.ones((64, 28, 28, 1))).shape
    (64, 26, 26, 32)
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs, conv_general_dilated=convolve)


def convolve(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    **ignored: Any,
) -> jax.Array:
    """What ``lax.conv_general_dilated`` computes for channels last, as a matrix product.

    Args:
        lhs: inputs (B, spatial..., C).
        rhs: kernel (spatial..., C / groups, F).
        window_strides: one a spatial axis.
        padding: "SAME", "VALID" or a pair (low, high) a spatial axis.
        lhs_dilation: zeros between inputs, plus one.
        rhs_dilation: distance between neighbouring cells of the kernel.
        dimension_numbers: taken to be channels last, as Flax gives them.
        feature_group_count: into how many groups the channels are divided.
        precision: of the product.
        preferred_element_type: of the result.
        **ignored: what Flax hands on besides; None, all of it.
    """
    if given := [name for name, value in ignored.items() if value is not None]:
        raise TypeError(f"convolve does not know {', '.join(given)}")
    del dimension_numbers
    if isinstance(padding, str) and max(lhs_dilation or (1,)) > 1:
        raise ValueError(f"with an input dilation, give the padding in numbers, not {padding!r}")
    cells = windows(lhs, rhs.shape[:-2], window_strides, padding, rhs_dilation, lhs_dilation)
    groups, (per_group, features) = feature_group_count, rhs.shape[-2:]
    dot = functools.partial(
        jnp.einsum, precision=precision, preferred_element_type=preferred_element_type
    )
    if groups == 1:
        patches = jnp.concatenate(cells, axis=-1)
        return dot("...k,kf->...f", patches, jnp.reshape(rhs, (-1, features)))
    apart = [jnp.reshape(x, (*x.shape[:-1], groups, per_group)) for x in cells]
    kernel = jnp.reshape(rhs, (-1, groups, features // groups))
    y = dot("...gk,kgf->...gf", jnp.concatenate(apart, axis=-1), kernel)
    return jnp.reshape(y, (*y.shape[:-2], features))


def max_pool(
    inputs: jax.Array,
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
) -> jax.Array:
    """The largest value under each window: ``nnx.max_pool``, its gradients too.

    Among equals the first, in the order of rows, gets the whole gradient.  NaN wins, and the first
    of them gets the gradient; in Flax that may go to a neighbour.

    Args:
        inputs: (..., spatial..., channels).
        window_shape: one a spatial axis.
        strides: default 1, as in Flax; in Keras and PyTorch it is the window's shape.
        padding: "SAME", "VALID" or a pair (low, high) a spatial axis.

    Raises:
        ValueError: the window has other axes than the strides, or more than the inputs have.

    >>> import jax.numpy as jnp
    >>> max_pool(jnp.arange(16.0).reshape(4, 4, 1), (2, 2), (2, 2))[..., 0]
    Array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    strides = (1,) * len(window_shape) if strides is None else strides
    if len(strides) != len(window_shape) or not 1 <= len(window_shape) < inputs.ndim:
        raise ValueError(
            f"a window of {tuple(window_shape)} with strides {tuple(strides)} does not fit inputs "
            f"of shape {inputs.shape}: one number a spatial axis, without batch and channels"
        )
    real = jnp.issubdtype(inputs.dtype, jnp.floating)
    least = -jnp.inf if real else jnp.iinfo(inputs.dtype).min
    cells = windows(inputs, window_shape, strides, padding, fill=least)
    return functools.reduce(lambda a, b: jnp.where((a >= b) | (a != a), a, b), cells)


def windows(
    x: jax.Array,
    shape: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    dilation: Sequence[int] | None = None,
    input_dilation: Sequence[int] | None = None,
    fill: float = 0.0,
) -> list[jax.Array]:
    """For each cell of a window, in the order of rows, what it sees as the window moves.

    Args:
        x: (..., spatial..., channels).
        shape: of the window, one a spatial axis.
        strides: of the window's moves.
        padding: "SAME", "VALID" or a pair (low, high) a spatial axis.
        dilation: distance between neighbouring cells; default 1.
        input_dilation: distance at which neighbouring values of ``x`` are put; default 1.
        fill: what stands in the padding and between the values.
    """
    axes = range(x.ndim - 1 - len(shape), x.ndim - 1)
    ones = (1,) * len(shape)
    dilation, input_dilation = dilation or ones, input_dilation or ones
    reach = [(k - 1) * d + 1 for k, d in zip(shape, dilation, strict=True)]
    if isinstance(padding, str):
        sizes = [x.shape[axis] for axis in axes]
        padding = lax.padtype_to_pads(sizes, reach, strides, padding)
    edges = [(0, 0, 0)] * x.ndim
    for axis, (low, high), d in zip(axes, padding, input_dilation, strict=True):
        edges[axis] = (low, high, d - 1)
    if any(edge != (0, 0, 0) for edge in edges):
        x = lax.pad(x, jnp.asarray(fill, x.dtype), edges)
    # Where the window is larger than the image, it stands nowhere: the result is empty, as in Flax.
    ends = [
        max((x.shape[a] - r) // s * s + 1, 0) for a, r, s in zip(axes, reach, strides, strict=True)
    ]

    def seen_by(cell: tuple[int, ...]) -> jax.Array:
        start, limit, stride = [0] * x.ndim, list(x.shape), [1] * x.ndim
        for axis, i, d, end, s in zip(axes, cell, dilation, ends, strides, strict=True):
            if end:
                start[axis], limit[axis], stride[axis] = i * d, i * d + end, s
            else:
                limit[axis] = 0
        return lax.slice(x, start, limit, stride)

    return [seen_by(cell) for cell in itertools.product(*map(range, shape))]
