"""ADOPT: Adam that divides each gradient before it enters the mean, and by older squares.

    x_t = clip(g_t / max(√v_{t-1}, ε), ±c_t)       c_t = (t-1)^¼
    m_t = β1 m_{t-1} + (1-β1) x_t       u = m_t
    v_t = β2 v_{t-1} + (1-β2) g²        v_1 = g², and the first update is 0

The gradient and its own divisor are independent, so that ADOPT converges for every β2, where Adam
need not.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import (
    ClosedDecay,
    DecayLike,
    Flag,
    Scalar,
    Transform,
    advance,
    as_decay,
    either,
    mean,
    mean_square,
    number,
    select,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.adam import ScaleByAdamState
from jaxopt_course.transforms.moments import memory, modulus
from jaxopt_course.tree import Tree, cast_like, leafwise, root, squares_like


def fourth_root(step: Any) -> jax.Array:
    """ADOPT's bound, s^¼ for s updates done, 0 at first."""
    return root(root(number(step))) * (step > 0)


@described
def scale_by_adopt(
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.9999,
    eps: Scalar = 1e-6,
    mu_dtype: Any = None,
    *,
    nesterov: Flag = False,
    use_clipping: Flag = True,
    clip_value_fn: Callable[[Any], Any] | Scalar = fourth_root,
) -> Transform:
    """ADOPT: m ← β1 m + (1-β1) clip(g / max(√v, ε)), u = m, then v ← β2 v + (1-β2) g².

    The first gradient only starts v, and moves nothing.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        eps: ε > 0, in units of g; the least that is divided by.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.
        nesterov: look ahead, u = β1 m + (1-β1) clip(…) with the new m; may be traced.
        use_clipping: False bounds nothing (the paper's algorithm 1); may be traced.
        clip_value_fn: the bound, a function of the updates done (), int32; or a number, as
            ``optax.inject_hyperparams`` makes of any function.

    A gradient whose square overflows (1.8e19 in float32) makes v infinite and later x 0 for good
    (NaN for β2 < 1/2).
    Same as ``optax.contrib.scale_by_adopt``.  Taniguchi et al. (2024), algorithm 2.

    >>> adopt = scale_by_adopt(b1=0.0)
    >>> state = adopt.init(jnp.array(0.0))
    >>> for g in (4.0, -2.0, 1.0):
    ...     u, state = adopt.update(jnp.array(g), state)
    ...     print(u.round(2))
    0.0
    -0.5
    0.25
    """

    def init(params: Tree) -> ScaleByAdamState:
        m, v = memory(params, mu_dtype), squares_like(params)
        return ScaleByAdamState(jnp.zeros((), jnp.int32), m, v)

    def update(g: Tree, state: ScaleByAdamState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, e = as_decay(b1), as_decay(b2), number(eps)
        first = state.count == 0
        bound = number(clip_value_fn(state.count) if callable(clip_value_fn) else clip_value_fn)
        bounded = lambda x: either(use_clipping, lambda: _within(x, bound), lambda: x)
        scaled = lambda v, g: bounded(g / jnp.maximum(root(v), e))
        x = leafwise(scaled, state.nu, g)
        add = mean(_at_first(beta1, first, 1.0))
        m = leafwise(add, state.mu, x)
        u = either(nesterov, lambda: leafwise(add, m, x), lambda: m)
        v = leafwise(mean_square(_at_first(beta2, first, 0.0)), state.nu, g)
        return cast_like(u, g), ScaleByAdamState(
            advance(state.count), cast_like(m, state.mu), cast_like(v, state.nu)
        )

    return Transform(init, update)


def _at_first(b: ClosedDecay, first: jax.Array, value: float) -> ClosedDecay:
    """The decay, but another one in the first step."""
    choose = lambda x, y: select(first, jnp.full_like(y, x), y)
    return ClosedDecay(choose(value, b.value), choose(1 - value, b.complement), None)


def _within(x: jax.Array, bound: jax.Array) -> jax.Array:
    if not jnp.iscomplexobj(x):
        return jnp.clip(x, -bound, bound)
    size = modulus(x)
    return x * jnp.where(size <= bound, 1, bound / jnp.where(size <= bound, 1, size))
