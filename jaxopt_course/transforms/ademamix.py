"""AdEMAMix: Adam with a second, far longer memory of the gradients beside its own.

For t = 1, 2, ..., by coordinate, m_0 = n_0 = v_0 = 0; m̂, v̂ as in
:mod:`jaxopt_course.transforms.adam`:

    m_t = β1 m_{t-1} + (1-β1) g              the recent gradients
    n_t = β3(t) n_{t-1} + (1-β3(t)) g        the old ones, for β3 = 0.9999 about the last 10,000
    u   = (m̂ + α(t) n_t) / (√v̂ + ε)          n is not corrected: it fills slowly, on purpose

A large β3 from the first step on makes training diverge; both numbers therefore may grow, in T
steps each:

    α(t)   = α min(1, t/T)
    β3(t)  : 1 / log β3(t) goes from 1/log β1 to 1/log β3 on a line, and so does the half-life
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_course.base import (
    ClosedDecay,
    DecayLike,
    Scalar,
    ScalarOrSchedule,
    Schedule,
    Transform,
    advance,
    as_decay,
    mean,
    mean_square,
    number,
    numbers,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.adam import corrected_mean
from jaxopt_course.transforms.moments import bias, memory
from jaxopt_course.tree import Tree, cast_like, leafwise, root, squares_like


class ScaleByAdemamixState(NamedTuple):
    """Memory of :func:`scale_by_ademamix`."""

    count: Any  # t: (), int32
    m1: Tree  # m: structure and shapes of the parameters, at least float32, or mu_dtype
    m2: Tree  # n: the same
    nu: Tree  # v: shapes of the parameters, real, at least float32


@described
def scale_by_ademamix(
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    b3: DecayLike | Schedule = 0.9999,
    alpha: ScalarOrSchedule = 6.0,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    *,
    b3_warmup: Scalar = 0.0,
    alpha_warmup: Scalar = 0.0,
) -> Transform:
    """AdEMAMix: m, v as Adam's, n ← β3 n + (1-β3) g, u = (m̂ + α n) / (√(v̂ + ε_root) + ε).

    Along a constant gradient u grows from 1 to 1 + α, over about 1/(1-β3) steps: rates are smaller
    than Adam's.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        b3: β3 in [0, 1), no unit; or a schedule of it, s -> β3(s), s updates done from 0.
        alpha: α >= 0, the weight of n, no unit; or a schedule of it.
        eps: ε >= 0, in units of g, on the corrected v̂.
        eps_root: ε_root >= 0, in units of g², inside the root.
        mu_dtype: dtype of m and n; that of the parameters by default, but at least float32.
        b3_warmup: T >= 0, the steps in which β3 grows from β1; 0 is none.
        alpha_warmup: T >= 0, the steps in which α grows from 0; 0 is none.

    A gradient whose square overflows (1.8e19 in float32) makes v infinite and u 0 for good
    (NaN for β2 < 1/2).
    Same as ``optax.contrib.scale_by_ademamix``, which has schedules but not the paper's warm-ups as
    numbers.  Pagliardini, Ablin and Grangier (2024), algorithm 1 and section 3.

    >>> mixed = scale_by_ademamix(b3=0.5, alpha=2.0)
    >>> u, _ = mixed.update(jnp.array([3.0, -0.1]), mixed.init(jnp.zeros(2)))
    >>> print(u.round(3))  # 1 + 2 · ½
    [ 2. -2.]
    """

    def init(params: Tree) -> ScaleByAdemamixState:
        m, n = memory(params, mu_dtype), memory(params, mu_dtype)
        return ScaleByAdemamixState(jnp.zeros((), jnp.int32), m, n, squares_like(params))

    def update(g: Tree, state: ScaleByAdemamixState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, t = as_decay(b1), as_decay(b2), advance(state.count)
        e, e_root, t3, t_alpha = numbers(eps, eps_root, b3_warmup, alpha_warmup)
        beta3 = as_decay(b3(state.count) if callable(b3) else b3)
        weight = number(alpha(state.count) if callable(alpha) else alpha) * _share(t, t_alpha)
        c2 = bias(beta2, t)
        m = leafwise(mean(beta1), state.m1, g)
        n = leafwise(mean(_lengthened(beta1, beta3, t, t3)), state.m2, g)
        v = leafwise(mean_square(beta2), state.nu, g)
        m_hat = corrected_mean(beta1, t)

        def scaled(m: jax.Array, n: jax.Array, v: jax.Array, g: jax.Array) -> jax.Array:
            return (m_hat(m, g) + weight * n) / (root(v / c2 + e_root) + e)

        u = leafwise(scaled, m, n, v, g)
        m, n, v = cast_like(m, state.m1), cast_like(n, state.m2), cast_like(v, state.nu)
        return cast_like(u, g), ScaleByAdemamixState(t, m, n, v)

    return Transform(init, update)


def _share(t: jax.Array, steps: jax.Array) -> jax.Array:
    """t / steps, at most 1, and 1 for no steps."""
    return t / jnp.where(t < steps, steps, t)


def _lengthened(
    first: ClosedDecay, last: ClosedDecay, t: jax.Array, steps: jax.Array
) -> ClosedDecay:
    """β3(t), from 1 - b alone, which has the digits; β3 itself from ``steps`` on."""
    growing, share = t < steps, _share(t, steps)
    lives = [_life(b) for b in (first, last)]
    life = (1 - share) * lives[0] + share * lives[1]
    some = growing & (life > 0)
    short = jnp.where(some, -jnp.expm1(-1 / jnp.where(some, life, 1)), 1)
    pull = jnp.where(growing, short, last.complement)
    return ClosedDecay(jnp.where(growing, 1 - short, last.value), pull, None)


def _life(b: ClosedDecay) -> jax.Array:
    """-1 / log b, a number of steps; 0 for b = 0."""
    some = b.complement < 1
    return jnp.where(some, -1 / jnp.log1p(-jnp.where(some, b.complement, 0.5)), 0)
