"""AdaBelief: Adam with the error of its own forecast in the place of the gradient's size.

    m_t = β1 m_{t-1} + (1-β1) g        s_t = β2 s_{t-1} + (1-β2) (g - m_t)² + ε_root
    m̂ = m_t / (1 - β1^t)               ŝ = s_t / (1 - β2^t)               u = m̂ / (√ŝ + ε)

Where gradients come as m foretold them the step is long, where they swing it is short.
"""

from typing import Any, NamedTuple

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
from jaxopt_course.transforms.adam import corrected_mean
from jaxopt_course.transforms.moments import bias, memory
from jaxopt_course.tree import Tree, cast_like, leafwise, root, squares_like


class ScaleByBeliefState(NamedTuple):
    """Memory of :func:`scale_by_belief`."""

    count: Any  # t: (), int32
    mu: Tree  # m: structure and shapes of the parameters, at least float32
    nu: Tree  # s: shapes of the parameters, real, at least float32


@described
def scale_by_belief(
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-16,
    eps_root: Scalar = 1e-16,
    *,
    nesterov: Flag = False,
) -> Transform:
    """AdaBelief: s ← β2 s + (1-β2) (g - m)² + ε_root, u = m̂ / (√ŝ + ε).

    Args:
        b1: β1 in [0, 1), no unit; at 0 the forecast is g itself and s only ε_root.
        b2: β2 in [0, 1), no unit.
        eps: ε >= 0, in units of g, outside the root.
        eps_root: ε_root >= 0, in units of g²; added at every step, so that s tends to
            ε_root / (1-β2) where all forecasts come true.
        nesterov: Nadam's m̂, which looks one step ahead; may be traced.

    A gradient whose square overflows (1.8e19 in float32) makes s infinite and u 0 for good
    (NaN for β2 < 1/2).
    Same as ``optax.scale_by_belief``.  Zhuang et al. (2020), algorithm 2.

    >>> belief = scale_by_belief(b1=0.5, b2=0.0)
    >>> u, _ = belief.update(jnp.array([3.0, -0.1]), belief.init(jnp.zeros(2)))
    >>> print(u.round(3))  # g / |g - ½ g|
    [ 2. -2.]
    """

    def init(params: Tree) -> ScaleByBeliefState:
        m, s = memory(params), squares_like(params)
        return ScaleByBeliefState(jnp.zeros((), jnp.int32), m, s)

    def update(g: Tree, state: ScaleByBeliefState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, t = as_decay(b1), as_decay(b2), advance(state.count)
        e, e_root = numbers(eps, eps_root)
        c2, renew = bias(beta2, t), mean_square(beta2)
        m = leafwise(mean(beta1), state.mu, g)
        s = leafwise(lambda s, g, m: renew(s, g - m) + e_root, state.nu, g, m)
        m_hat = corrected_mean(beta1, t, nesterov)
        u = leafwise(lambda m, s, g: m_hat(m, g) / (root(s / c2) + e), m, s, g)
        return cast_like(u, g), ScaleByBeliefState(
            t, cast_like(m, state.mu), cast_like(s, state.nu)
        )

    return Transform(init, update)
