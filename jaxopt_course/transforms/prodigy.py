"""Prodigy: Adam whose rate is an estimate of how far the goal is, D; no rate to tune.

For t = 1, 2, ..., θ_0 the start, d the estimate so far (d_0 at first), η a factor, at best 1 or a
schedule from 1 to 0:

    η_t = d η √(1-β2^t) / (1-β1^t)
    m ← β1 m + (1-β1) d g          v ← β2 v + (1-β2) (d g)²
    r ← β3 r + (d/d_0) η_t <g, θ_0 - θ>        a number of the whole tree
    s ← β3 s + (d/d_0) η_t g                   by coordinate
    d ← max(d, c r / Σ|s|)                     Σ over the whole tree
    u = η_t (m / (√v + d ε) + λ θ)

<g, θ_0 - θ> is how far, along the gradient, the parameters have come: as long as they go on in one
direction d grows, at first by a factor a step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_course.base import (
    DecayLike,
    Flag,
    Scalar,
    ScalarOrSchedule,
    Transform,
    advance,
    as_decay,
    decay_value,
    either,
    mean,
    mean_square,
    number,
    numbers,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.masks import decaying
from jaxopt_course.transforms.moments import bias, copied, memory, modulus
from jaxopt_course.tree import Tree, cast_like, leafwise, root, squares_like


class ScaleByProdigyState(NamedTuple):
    """Memory of :func:`scale_by_prodigy`, with the names that optax's has."""

    exp_avg: Tree  # m: structure and shapes of the parameters, at least float32
    exp_avg_sq: Tree  # v: the same shapes, real
    grad_sum: Tree  # s: as m
    params0: Tree  # θ_0: as m
    estim_lr: Any  # d: (), float
    numerator_weighted: Any  # r: (), float
    count: Any  # t: (), int32


@described
def scale_by_prodigy(
    learning_rate: ScalarOrSchedule = 1.0,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    b3: DecayLike | None = None,
    eps: Scalar = 1e-8,
    estim_lr0: Scalar = 1e-6,
    estim_lr_coef: Scalar = 1.0,
    weight_decay: Scalar = 0.0,
    safeguard_warmup: Flag = False,
    *,
    bias_correction: Flag = True,
    mask: Any = None,
) -> Transform:
    """Prodigy's step with the sign of the gradient: u = η_t (m / (√v + d ε) + λ θ).

    Rate and decay stand inside, for d is found from the steps taken.

    Args:
        learning_rate: η, no unit, or a schedule of it; d has the unit of θ.
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        b3: β3 in [0, 1), of r and s; None is √β2.
        eps: ε >= 0, in units of g.
        estim_lr0: d_0 > 0, in units of θ; far below any good rate.
        estim_lr_coef: c > 0, no unit; doubles or halves the rate that is found.
        weight_decay: λ >= 0, decoupled.
        safeguard_warmup: d in the place of η_t in s, so that a warm-up of η does not make d too
            large; may be traced.
        bias_correction: False leaves √(1-β2^t) / (1-β1^t) out of η_t, as the authors do; may be
            traced.
        mask: which leaves decay, as in :func:`.add_decayed_weights`; the others have λ = 0.

    Raises:
        ValueError: ``update`` without the parameters.

    d is a number of the whole tree, one in each lane.  While all gradients are 0 it rests (optax's
    becomes NaN); a gradient that is not finite makes all of it NaN.  Same as
    ``optax.contrib.prodigy`` but for the sign, and b1, b2, b3 in the place of betas, beta3.
    Mishchenko and Defazio (2024), algorithm 4; prodigyopt 1.1.

    >>> tx = scale_by_prodigy(estim_lr0=0.5)
    >>> u, state = tx.update(jnp.array(4.0), tx.init(jnp.array(0.0)), jnp.array(0.0))
    >>> u, state = tx.update(jnp.array(4.0), state, jnp.array(-2.0))  # 2 nearer
    >>> print(f"{state.estim_lr:.2f}")
    0.85
    """

    def init(params: Tree) -> ScaleByProdigyState:
        start, zero = copied(params), jnp.zeros((), jnp.result_type(float))
        d = number(estim_lr0).astype(zero.dtype)
        m, v, s = memory(params), squares_like(params), memory(params)
        return ScaleByProdigyState(m, v, s, start, d, zero, jnp.zeros((), jnp.int32))

    def update(g: Tree, state: ScaleByProdigyState, params: Tree = None) -> tuple[Tree, Any]:
        if params is None:
            raise ValueError("scale_by_prodigy needs the parameters: update(g, state, params)")
        beta1, beta2, t = as_decay(b1), as_decay(b2), advance(state.count)
        beta3 = jnp.sqrt(beta2.value) if b3 is None else decay_value(b3)
        e, d0, coef, lam = numbers(eps, estim_lr0, estim_lr_coef, weight_decay)
        eta = number(learning_rate(state.count) if callable(learning_rate) else learning_rate)
        d = state.estim_lr
        c1, c2 = (bias(b, t, bias_correction) for b in (beta1, beta2))
        step = d * eta * jnp.sqrt(c2) / c1
        grown = leafwise(lambda x: d * x, g)
        m = leafwise(mean(beta1), state.exp_avg, grown)
        v = leafwise(mean_square(beta2), state.exp_avg_sq, grown)
        pace = either(safeguard_warmup, lambda: d, lambda: step)
        s = leafwise(lambda s, x: beta3 * s + pace * x / d0, state.grad_sum, grown)
        ahead = leafwise(lambda p, p0, x: _along(x, p0 - p), params, state.params0, g)
        r = beta3 * state.numerator_weighted + (d / d0) * step * _sum(ahead, d)
        size = _sum(leafwise(modulus, s), d)
        some = size > 0
        further = jnp.where(some, coef * r / jnp.where(some, size, 1), 0)
        d = jnp.maximum(d, jnp.where(jnp.isnan(size), size, further))
        pulled = decaying(mask, params)
        u = leafwise(lambda m, v, p: step * (m / (root(v) + d * e) + lam * p), m, v, pulled)
        new = ScaleByProdigyState(m, v, s, state.params0, d, r, t)
        return cast_like(u, g), cast_like(new, state)

    return Transform(init, update)


def _along(x: jax.Array, y: jax.Array) -> jax.Array:
    """x y, of complex numbers the real part of x* y."""
    return jnp.real(jnp.conj(x) * y) if jnp.iscomplexobj(x) else x * y


def _sum(tree: Tree, like: jax.Array) -> jax.Array:
    """Of all numbers, in the dtype of ``like``."""
    return sum((jnp.sum(x, dtype=like.dtype) for x in jax.tree.leaves(tree)), jnp.zeros_like(like))
