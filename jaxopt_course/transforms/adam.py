"""Adam: the mean of the gradients over the root of the mean of their squares.

For t = 1, 2, ..., all operations by coordinate, m_0 = v_0 = 0:

    both      m_t = β1 m_{t-1} + (1-β1) g          m̂ = m_t / (1 - β1^t)
    Adam      v_t = β2 v_{t-1} + (1-β2) g²         v̂ = v_t / (1 - β2^t)      u = m̂ / (√v̂ + ε)
    Nadam     v_t as Adam;  m̂ = β1 m_t / (1 - β1^{t+1}) + (1-β1) g / (1 - β1^t)
    Adamax    v_t = max(β2 v_{t-1}, |g| + ε)                                 u = m̂ / v_t

Hats undo the start at 0.  Multiplying all gradients by a constant does not change u (for ε = 0):
each coordinate moves by at most about one learning rate a step.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from jaxopt_course.base import (
    DecayLike,
    Flag,
    Scalar,
    Transform,
    as_decay,
    either,
    mean,
    mean_square,
    number,
    unbias,
)
from jaxopt_course.tree import (
    Tree,
    cast_like,
    leafwise,
    root,
    squares_like,
    zeros_like,
)


class ScaleByAdamState(NamedTuple):
    """Memory of :func:`scale_by_adam` and :func:`scale_by_adamax`."""

    count: Any  # t: (), int32
    mu: Tree  # m: structure and shapes of the parameters, their dtypes or mu_dtype
    nu: Tree  # v: shapes of the parameters, real, at least float32


def scale_by_adam(
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: Flag = False,
) -> Transform:
    """Adam: m ← β1 m + (1-β1) g, v ← β2 v + (1-β2) g², u = m̂ / (√(v̂ + ε_root) + ε).

    The first update is ±1, whatever the gradient.  Where gradients vanish late in training ε
    takes over and Adam turns into momentum with the learning rate η/ε.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        eps: ε >= 0, in units of g; outside the root, on the corrected v̂ as in the paper (Keras
            puts it on the uncorrected v).
        eps_root: ε_root >= 0, in units of g², inside the root.
        mu_dtype: dtype of m; that of the parameters by default.
        nesterov: Nadam's m̂, which looks one step ahead; may be traced.

    Same as ``optax.scale_by_adam``, with a finite derivative where v̂ = 0.
    Kingma and Ba (2015), algorithm 1; Dozat (2016), algorithm 2.

    >>> adam = scale_by_adam()
    >>> u, _ = adam.update(jnp.array([3.0, -0.1]), adam.init(jnp.zeros(2)))
    >>> print(u.round(3))
    [ 1. -1.]
    """

    def init(params: Tree) -> ScaleByAdamState:
        m, v = zeros_like(params, mu_dtype), squares_like(params)
        return ScaleByAdamState(jnp.zeros((), jnp.int32), m, v)

    def update(g: Tree, state: ScaleByAdamState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, e, e_root = as_decay(b1), as_decay(b2), number(eps), number(eps_root)
        t = optax.safe_increment(state.count)
        m = leafwise(mean(beta1), state.mu, g)
        v = leafwise(mean_square(beta2), state.nu, g)

        def look_ahead() -> Tree:
            m_next, g_hat = unbias(m, beta1, t + 1), unbias(g, beta1, t)
            return leafwise(mean(beta1), m_next, g_hat)

        m_hat = either(nesterov, look_ahead, lambda: unbias(m, beta1, t))
        v_hat = unbias(v, beta2, t)
        u = leafwise(lambda m, v: m / (root(v + e_root) + e), m_hat, v_hat)
        return cast_like(u, g), ScaleByAdamState(t, cast_like(m, state.mu), cast_like(v, state.nu))

    return Transform(init, update)


def scale_by_adamax(b1: DecayLike = 0.9, b2: DecayLike = 0.999, eps: Scalar = 1e-8) -> Transform:
    """Adamax: m ← β1 m + (1-β1) g, v ← max(β2 v, |g| + ε), u = m̂ / v.

    Adam with the largest recent gradient in the place of their root mean square: |u| stays near or
    below 1, and one spike is remembered for about 1/(1-β2) steps.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        eps: ε > 0, in units of g.

    Same as ``optax.scale_by_adamax``.  Kingma and Ba (2015), algorithm 2.

    >>> adamax = scale_by_adamax()
    >>> u, _ = adamax.update(jnp.array([3.0, -0.1]), adamax.init(jnp.zeros(2)))
    >>> print(u.round(3))
    [ 1. -1.]
    """

    def init(params: Tree) -> ScaleByAdamState:
        return ScaleByAdamState(jnp.zeros((), jnp.int32), zeros_like(params), squares_like(params))

    def update(g: Tree, state: ScaleByAdamState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, e = as_decay(b1), as_decay(b2).value, number(eps)
        t = optax.safe_increment(state.count)
        m = leafwise(mean(beta1), state.mu, g)
        v = leafwise(lambda v, g: jnp.maximum(beta2 * v, jnp.abs(g) + e), state.nu, g)
        u = leafwise(lambda m, v: m / v, unbias(m, beta1, t), v)
        return cast_like(u, g), ScaleByAdamState(t, cast_like(m, state.mu), cast_like(v, state.nu))

    return Transform(init, update)
