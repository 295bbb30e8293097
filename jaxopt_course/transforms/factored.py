"""Adafactor: second moments of rows and columns in the place of one a coordinate.

For t = 1, 2, ..., on a leaf of r rows and c columns, whose g² + ε is G, with β_t = 1 - t^-d:

    R_t = β_t R_{t-1} + (1-β_t) mean of G over the columns          r numbers
    C_t = β_t C_{t-1} + (1-β_t) mean of G over the rows             c numbers
    V_t = R_t C_t / mean of R_t                                     r c numbers, not kept
    u = g / √V_t

A leaf that is not factored keeps V itself, V_t = β_t V_{t-1} + (1-β_t) G.  β_1 = 0: nothing is to
be corrected.  Beside it: clipping to a root mean square, and steps in units of the parameter's.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.base import (
    ClosedDecay,
    Flag,
    Scalar,
    Transform,
    advance,
    check_gradient,
    check_whole,
    either,
    mean,
    number,
    stateless,
    within_int32,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.clipping import global_norm
from jaxopt_course.tree import (
    Tree,
    abs_square,
    cast_like,
    check_fits,
    check_floating,
    leafwise,
    wide_dtype,
    widen,
)


class FactoredState(NamedTuple):
    """Memory of :func:`scale_by_factored_rms`; what a leaf does not use is one 0."""

    count: Any  # t: (), int32
    v_row: Tree  # R: of each factored leaf, without its longer axis; real, at least float32
    v_col: Tree  # C: without its other axis
    v: Tree  # V: of each other leaf


def power_decay(step: Any, exponent: Scalar) -> jax.Array:
    """β_t = 1 - t^-d for t = s + 1, s updates done.

    >>> print(power_decay(3, 0.5))
    0.5
    """
    return 1 - _power(step, exponent)


def _power(step: Any, exponent: Scalar) -> jax.Array:
    d = number(exponent)
    return jnp.exp(-d * jnp.log(jnp.asarray(step, d.dtype) + 1))


@described
def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: Scalar = 0.8,
    step_offset: Any = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: Scalar | None = 1e-30,
    decay_rate_fn: Callable[[Any, Scalar], Any] = power_decay,
    *,
    last_axes: bool = False,
    eps_in_max: Flag = False,
) -> Transform:
    """Adafactor's scaling: u = g / √V, V of two vectors where a leaf is large enough.

    Args:
        factored: False keeps V itself of every leaf.
        decay_rate: d > 0, of β_t = 1 - t^-d, no unit.
        step_offset: updates by which t begins later, as in fine-tuning; may be traced.
        min_dim_size_to_factor: a leaf is factored if its two longest axes are at least as long.
        epsilon: ε >= 0, in units of g², added to it; None: that of the dtype.
        decay_rate_fn: (updates done, d) -> β_t in the place of 1 - t^-d.
        last_axes: factor the last two axes of every leaf that has two (Keras, PyTorch), a stack of
            matrices each by itself.
        eps_in_max: PyTorch's: nothing is added; the mean of R is at least ε and V at least ε²
            (ε in units of g); may be traced.

    A gradient whose square overflows (1.8e19 in float32) makes R, C, and with them its whole row
    and column, infinite.
    Same as ``optax.scale_by_factored_rms``, which computes β_t in float32 and needs the parameters.
    Shazeer and Stern (2018), algorithm 4.

    >>> adafactor = scale_by_factored_rms(min_dim_size_to_factor=2)
    >>> g = jnp.array([[1.0, 2.0], [2.0, 4.0]])  # of rank 1: V is g²
    >>> print(adafactor.update(g, adafactor.init(g))[0].round(3))
    [[1. 1.]
     [1. 1.]]
    """
    check_whole("min_dim_size_to_factor", min_dim_size_to_factor)
    number(step_offset)  # refused here and not at the first update
    offset = within_int32(step_offset)
    if not callable(decay_rate_fn):
        raise TypeError(f"decay_rate_fn is a function of steps and d, not {decay_rate_fn!r}")
    axes_of = lambda x: _axes(np.shape(x), factored, last_axes, min_dim_size_to_factor)

    def init(params: Tree) -> FactoredState:
        check_floating(params)

        def zeros(x: Any, part: int) -> jax.Array:
            dtype, axes = jnp.finfo(wide_dtype(x)).dtype, axes_of(x)
            if (axes is None) != (part == 2):  # a memory that this leaf does not have
                return jnp.zeros((1,), dtype)
            whole = jnp.full_like(x, 0, dtype=dtype)  # on the devices of x
            return whole if axes is None else jnp.sum(whole, axis=axes[part])

        parts = (jax.tree.map(lambda x, i=i: zeros(x, i), params) for i in range(3))
        return FactoredState(jnp.zeros((), jnp.int32), *parts)

    def update(g: Tree, state: FactoredState, params: Tree = None) -> tuple[Tree, Any]:
        check_gradient(g, params)
        check_floating(g)
        step = state.count - offset
        if decay_rate_fn is power_decay:  # the rounding of 1 - (1 - t^-d) need not be
            rate = _power(step, decay_rate)
        else:
            rate = 1 - number(decay_rate_fn(step, decay_rate))
        renew = mean(ClosedDecay(1 - rate, rate, None))
        leaves: Any = jax.tree.leaves(g)
        structure: Any = jax.tree.structure(g)
        olds = (structure.flatten_up_to(part) for part in (state.v_row, state.v_col, state.v))
        done = [
            _scaled(widen(x), axes_of(x), row, col, v, renew, epsilon, eps_in_max)
            for x, row, col, v in zip(leaves, *olds, strict=True)
        ]
        u, *parts = (
            (structure.unflatten(part) for part in zip(*done, strict=True))
            if done
            else (
                g,
                state.v_row,
                state.v_col,
                state.v,
            )
        )
        new = (cast_like(x, y) for x, y in zip(parts, state[1:], strict=True))
        return cast_like(u, g), FactoredState(advance(state.count), *new)

    return Transform(init, update)


def _axes(shape: tuple[int, ...], factored: bool, last: bool, least: int) -> tuple[int, int] | None:
    """The axis that R is the mean over, and that of C; None is not factored."""
    if not factored or len(shape) < 2:
        return None
    if last:
        return len(shape) - 1, len(shape) - 2
    order = np.argsort(shape)
    return None if shape[order[-2]] < least else (int(order[-1]), int(order[-2]))


def _scaled(
    g: jax.Array,
    axes: tuple[int, int] | None,
    row: jax.Array,
    col: jax.Array,
    v: jax.Array,
    renew: Callable[..., jax.Array],
    epsilon: Scalar | None,
    eps_in_max: Flag,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """u, and the three memories."""
    size = abs_square(g)
    e = jnp.finfo(size.dtype).eps if epsilon is None else number(epsilon).astype(size.dtype)
    nothing = jnp.zeros((), size.dtype)
    added, least = either(eps_in_max, lambda: (nothing, e), lambda: (e, nothing))
    size, tiny = size + added, jnp.finfo(size.dtype).tiny
    keep = lambda x, floor: jnp.maximum(x, jnp.maximum(floor, tiny))
    if axes is None:
        v = renew(v, size)
        return g / jnp.sqrt(keep(v, least * least)), row, col, v
    over_row, over_col = axes
    middle = jnp.mean if size.size else jnp.sum  # 0 where there is nothing, not 0 / 0
    row = renew(row, middle(size, axis=over_row))
    col = renew(col, middle(size, axis=over_col))
    among = over_col - (over_col > over_row)  # of the rows, which have lost an axis
    share = row / keep(middle(row, axis=among, keepdims=True), least)
    whole = jnp.expand_dims(share, over_row) * jnp.expand_dims(col, over_col)
    return g / jnp.sqrt(keep(whole, least * least)), row, col, v


@described
def clip_by_block_rms(threshold: Scalar) -> Transform:
    """Each leaf shrunk to the root mean square d, if it has a larger one: u = g / max(1, RMS(g)/d).

    Args:
        threshold: d > 0, in units of g.

    Same as ``optax.clip_by_block_rms``.  Shazeer and Stern (2018), algorithm 4.

    >>> clip = clip_by_block_rms(1.0)
    >>> print(clip.update(jnp.array([3.0, 3.0]), clip.init(jnp.zeros(2)))[0])
    [1. 1.]
    """

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        check_gradient(g, params)
        d = number(threshold)
        return cast_like(leafwise(lambda g: g / jnp.maximum(1, rms(g) / d), g), g), state

    return Transform(stateless, update)


@described
def scale_by_param_block_rms(min_scale: Scalar = 1e-3) -> Transform:
    """Steps in units of the leaf: u = max(RMS(θ), ε2) g.

    Args:
        min_scale: ε2 > 0, in units of θ; a leaf of zeros still moves.

    Raises:
        ValueError: ``update`` was called without the parameters.

    Same as ``optax.scale_by_param_block_rms``.  Shazeer and Stern (2018), algorithm 4.

    >>> scale = scale_by_param_block_rms()
    >>> theta = jnp.array([3.0, 3.0])
    >>> print(scale.update(jnp.array([1.0, -1.0]), scale.init(theta), theta)[0])
    [ 3. -3.]
    """

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        if params is None:
            raise ValueError(
                "scale_by_param_block_rms needs the parameters: update(g, state, params)"
            )
        check_fits(g, params)
        least = number(min_scale)
        return cast_like(leafwise(lambda p, g: g * jnp.maximum(rms(p), least), params, g), g), state

    return Transform(stateless, update)


def rms(x: jax.Array) -> jax.Array:
    """The root mean square, exact where squares overflow."""
    return global_norm(x) / np.sqrt(max(x.size, 1))
