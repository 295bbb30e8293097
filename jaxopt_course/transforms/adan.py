"""Adan: Adam on a gradient that is carried on by its own last change.

With d_t = g_t - g_{t-1}, and d_1 = 0:

    m_t = β1 m_{t-1} + (1-β1) g        v_t = β2 v_{t-1} + (1-β2) d
    n_t = β3 n_{t-1} + (1-β3) (g + (1-β2) d)²
    u = (m̂ + (1-β2) v̂) / (√(n̂ + ε_root) + ε)            hats divide by 1 - β1^t, 1 - β2^t, 1 - β3^t

The paper counts its β from the other end: its (0.02, 0.08, 0.01) are (0.98, 0.92, 0.99) here.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_course.base import (
    DecayLike,
    Flag,
    Scalar,
    Transform,
    advance,
    as_decay,
    mean,
    mean_square,
    numbers,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.moments import bias, memory
from jaxopt_course.tree import Tree, cast_like, leafwise, root, squares_like


class ScaleByAdanState(NamedTuple):
    """Memory of :func:`scale_by_adan`."""

    m: Tree  # structure and shapes of the parameters, at least float32
    v: Tree  # the same, of the changes
    n: Tree  # shapes of the parameters, real, at least float32
    g: Tree  # the last gradient: as m
    t: Any  # (), int32


@described
def scale_by_adan(
    b1: DecayLike = 0.98,
    b2: DecayLike = 0.92,
    b3: DecayLike = 0.99,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    *,
    bias_correction: Flag = True,
) -> Transform:
    """Adan: u = (m̂ + (1-β2) v̂) / (√(n̂ + ε_root) + ε), v a mean of the gradient's changes.

    Nesterov's look ahead without a gradient elsewhere: g + (1-β2) d is an estimate of it.

    Args:
        b1: β1 in [0, 1), no unit; of m.
        b2: β2 in [0, 1), no unit; of v, and 1-β2 the share of the change that is looked ahead.
        b3: β3 in [0, 1), no unit; of n.
        eps: ε >= 0, in units of g, outside the root.
        eps_root: ε_root >= 0, in units of g², inside the root.
        bias_correction: False leaves out the hats; may be traced.

    A gradient whose square overflows (1.8e19 in float32) makes n infinite and u 0 for good
    (NaN for β3 < 1/2).
    Same as ``optax.scale_by_adan``, which has no last switch.  Xie et al. (2022), algorithm 1.

    >>> adan = scale_by_adan()
    >>> u, _ = adan.update(jnp.array([3.0, -0.1]), adan.init(jnp.zeros(2)))
    >>> print(u.round(3))
    [ 1. -1.]
    """

    def init(params: Tree) -> ScaleByAdanState:
        m, v, last = memory(params), memory(params), memory(params)
        return ScaleByAdanState(m, v, squares_like(params), last, jnp.zeros((), jnp.int32))

    def update(g: Tree, state: ScaleByAdanState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, beta3 = map(as_decay, (b1, b2, b3))
        t, (e, e_root) = advance(state.t), numbers(eps, eps_root)
        c1, c2, c3 = (bias(b, t, bias_correction) for b in (beta1, beta2, beta3))
        ahead, renew, first = beta2.complement, mean_square(beta3), state.t == 0
        change = leafwise(lambda last, g: jnp.where(first, 0, g - last), state.g, g)
        m = leafwise(mean(beta1), state.m, g)
        v = leafwise(mean(beta2), state.v, change)
        n = leafwise(lambda n, g, d: renew(n, g + ahead * d), state.n, g, change)
        scaled = lambda m, v, n: (m / c1 + ahead * (v / c2)) / (root(n / c3 + e_root) + e)
        u = leafwise(scaled, m, v, n)
        last = jax.tree.map(jnp.asarray, g)
        old = (state.m, state.v, state.n, state.g)
        m, v, n, last = (cast_like(x, y) for x, y in zip((m, v, n, last), old, strict=True))
        return cast_like(u, g), ScaleByAdanState(m, v, n, last, t)

    return Transform(init, update)
