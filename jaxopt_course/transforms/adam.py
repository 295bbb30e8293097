"""Adam: the mean of the gradients over the root of the mean of their squares.

For t = 1, 2, ..., all operations by coordinate, m_0 = v_0 = 0:

    both      m_t = β1 m_{t-1} + (1-β1) g          m̂ = m_t / (1 - β1^t)
    Adam      v_t = β2 v_{t-1} + (1-β2) g²         v̂ = v_t / (1 - β2^t)      u = m̂ / (√v̂ + ε)
    ε "hat"   v_t as Adam                          u = m̂ √(1 - β2^t) / (√v_t + ε)
    Nadam     v_t as Adam;  m̂ = β1 m_t / (1 - β1^{t+1}) + (1-β1) g / (1 - β1^t)
    Adamax    v_t = max(β2 v_{t-1}, |g| + ε)                                 u = m̂ / v_t

Hats undo the start at 0.  Multiplying all gradients by a constant does not change u (for ε = 0):
each coordinate moves by at most about one learning rate a step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

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
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.moments import bias, eps_at, eps_split, memory, modulus
from jaxopt_course.tree import (
    Tree,
    cast_like,
    leafwise,
    root,
    squares_like,
)


class ScaleByAdamState(NamedTuple):
    """Memory of :func:`scale_by_adam`, ``scale_by_adamax`` and ``scale_by_radam``."""

    count: Any  # t: (), int32
    mu: Tree  # m: structure and shapes of the parameters, at least float32, or mu_dtype
    nu: Tree  # v: shapes of the parameters, real, at least float32


@described
def scale_by_adam(
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: Flag = False,
    eps_hat: Flag = False,
    bias_correction_mu: Flag = True,
    bias_correction_nu: Flag = True,
) -> Transform:
    """Adam: m ← β1 m + (1-β1) g, v ← β2 v + (1-β2) g², u = m̂ / (√(v̂ + ε_root) + ε).

    The first update is ±1, whatever the gradient.  Where gradients vanish late in training ε
    takes over and Adam turns into momentum with the learning rate η/ε.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        eps: ε >= 0, in units of g; outside the root, on the corrected v̂ as in the paper.
        eps_root: ε_root >= 0, in units of g², inside the root.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.
        nesterov: Nadam's m̂, which looks one step ahead; may be traced.
        eps_hat: both ε on the uncorrected v (Keras; the paper's "ε hat"), u = m̂ √(1 - β2^t) /
            (√(v + ε_root) + ε): at t = 1 an ε 1/√(1-β2) = 32 times larger; may be traced.
        bias_correction_mu: False puts m in the place of m̂; may be traced.
        bias_correction_nu: False puts v in the place of v̂; may be traced.

    A gradient whose square overflows (1.8e19 in float32) makes v infinite and u 0 for good
    (NaN for β2 < 1/2).
    Same as ``optax.scale_by_adam``, with a finite derivative where v̂ = 0; optax has none of the
    last three switches.  Kingma and Ba (2015), algorithm 1 and section 2; Dozat (2016),
    algorithm 2.

    >>> adam = scale_by_adam()
    >>> u, _ = adam.update(jnp.array([3.0, -0.1]), adam.init(jnp.zeros(2)))
    >>> print(u.round(3))
    [ 1. -1.]
    """

    def init(params: Tree) -> ScaleByAdamState:
        m, v = memory(params, mu_dtype), squares_like(params)
        return ScaleByAdamState(jnp.zeros((), jnp.int32), m, v)

    def update(g: Tree, state: ScaleByAdamState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, t = as_decay(b1), as_decay(b2), advance(state.count)
        c2 = bias(beta2, t, bias_correction_nu)
        e, e_root = eps_at(eps, eps_root, eps_hat, c2)
        m = leafwise(mean(beta1), state.mu, g)
        v = leafwise(mean_square(beta2), state.nu, g)
        m_hat = corrected_mean(beta1, t, nesterov, bias_correction_mu)
        u = leafwise(lambda m, v, g: m_hat(m, g) / (root(v / c2 + e_root) + e), m, v, g)
        return cast_like(u, g), ScaleByAdamState(t, cast_like(m, state.mu), cast_like(v, state.nu))

    return Transform(init, update)


def corrected_mean(
    beta1: ClosedDecay, t: jax.Array, nesterov: Flag = False, corrected: Flag = True
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(m, g) -> m̂ = m / (1 - β1^t), or Nadam's, which looks ahead; without hats on demand."""
    step, now = mean(beta1), bias(beta1, t, corrected)
    then = either(nesterov, lambda: bias(beta1, advance(t), corrected), lambda: now)
    ahead = lambda m, g: step(m / then, g / now)
    return lambda m, g: either(nesterov, lambda: ahead(m, g), lambda: m / now)


@described
def scale_by_adamax(
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    *,
    eps_in_max: Flag = True,
    mu_dtype: Any = None,
) -> Transform:
    """Adamax: m ← β1 m + (1-β1) g, v ← max(β2 v, |g| + ε), u = m̂ / v; and u = 0 where v = 0.

    Adam with the largest recent gradient in the place of their root mean square: |u| stays near or
    below 1, and one spike is remembered for about 1/(1-β2) steps.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        eps: ε >= 0, in units of g.
        eps_in_max: False is Keras's v ← max(β2 v, |g|), u = m̂ / (v + ε); may be traced.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.

    Nothing is squared: after a gradient of 1e30, v falls by β2 a step, so steps stay tiny for some
    log(1e30)/(1-β2) steps.  Same as ``optax.scale_by_adamax`` and PyTorch's.  Kingma and Ba
    (2015), algorithm 2 (without ε).

    >>> adamax = scale_by_adamax()
    >>> u, _ = adamax.update(jnp.array([3.0, -0.1]), adamax.init(jnp.zeros(2)))
    >>> print(u.round(3))
    [ 1. -1.]
    """

    def init(params: Tree) -> ScaleByAdamState:
        m, v = memory(params, mu_dtype), squares_like(params)
        return ScaleByAdamState(jnp.zeros((), jnp.int32), m, v)

    def update(g: Tree, state: ScaleByAdamState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, fall = as_decay(b1), as_decay(b2).complement
        inside, outside = eps_split(eps, eps_in_max)
        t = advance(state.count)
        m = leafwise(mean(beta1), state.mu, g)
        # v - (1-β2) v, for 0.99999 itself is rounded: 1e-8 a step
        v = leafwise(lambda v, g: jnp.maximum(v - fall * v, modulus(g) + inside), state.nu, g)
        m_hat = corrected_mean(beta1, t)

        def scaled(m: jax.Array, v: jax.Array, g: jax.Array) -> jax.Array:
            none = v + outside == 0
            return jnp.where(none, 0, m_hat(m, g) / jnp.where(none, 1, v + outside))

        u = leafwise(scaled, m, v, g)
        return cast_like(u, g), ScaleByAdamState(t, cast_like(m, state.mu), cast_like(v, state.nu))

    return Transform(init, update)
