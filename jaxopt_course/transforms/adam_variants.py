"""Adam's variants: another second moment, another first moment, another start.

For t = 1, 2, ..., m_t, v_t, m̂, v̂ as in :mod:`jaxopt_course.transforms.adam`:

    AMSGrad    w_t = max(w_{t-1}, v̂_t)                     u = m̂ / (√w_t + ε)
    Nadam      μ_t = β1 (1 - ½ 0.96^{ψ t}), P_t = μ_1 ... μ_t      (ψ: momentum_decay)
               m̂ = μ_{t+1} m_t / (1 - P_{t+1}) + (1-μ_t) g / (1 - P_t)      u = m̂ / (√v̂ + ε)
    RAdam      ρ_∞ = 2/(1-β2) - 1, ρ_t = ρ_∞ - 2 t β2^t / (1-β2^t)
               u = r_t m̂ / (√v̂ + ε) where ρ_t >= 5, else u = m̂
               r_t² = (ρ_t - 4)(ρ_t - 2) ρ_∞ / ((ρ_∞ - 4)(ρ_∞ - 2) ρ_t)

AMSGrad never lets a step grow again after a large gradient; Nadam starts with less momentum; RAdam
takes plain momentum steps until v rests on enough gradients, and then short ones that grow.
"""

import math
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
    number,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.adam import ScaleByAdamState, corrected_mean
from jaxopt_course.transforms.moments import bias, eps_at, memory
from jaxopt_course.tree import Tree, cast_like, leafwise, root, squares_like


class ScaleByAmsgradState(NamedTuple):
    """Memory of :func:`scale_by_amsgrad`."""

    count: Any  # t: (), int32
    mu: Tree  # m: structure and shapes of the parameters, at least float32, or mu_dtype
    nu: Tree  # v: shapes of the parameters, real, at least float32
    nu_max: Tree  # w: the same


@described
def scale_by_amsgrad(
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    bias_correction_mu: Flag = True,
    bias_correction_nu: Flag = True,
    *,
    max_before_correction: Flag = False,
    eps_hat: Flag = False,
) -> Transform:
    """AMSGrad: m and v as Adam's, w ← max(w, v̂), u = m̂ / (√(w + ε_root) + ε).

    Adam's step can grow when large gradients are rare and forgotten; here it cannot.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        eps: ε >= 0, in units of g.
        eps_root: ε_root >= 0, in units of g².
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.
        bias_correction_mu: False puts m in the place of m̂ (the paper); may be traced.
        bias_correction_nu: False puts v in the place of v̂ (the paper); may be traced.
        max_before_correction: PyTorch's order, w ← max(w, v), u = m̂ / (√(w/(1-β2^t) + ε_root) +
            ε); may be traced.
        eps_hat: Keras's, the same order and both ε on the uncorrected w, u = m̂ √(1-β2^t) /
            (√(w + ε_root) + ε); may be traced.

    One gradient whose square overflows (1.8e19 in float32) makes w infinite and u 0 for good
    (NaN for β2 < 1/2).
    Same as ``optax.scale_by_amsgrad``.  Reddi, Kale and Kumar (2018), algorithm 2.

    >>> ams = scale_by_amsgrad(b1=0.0, b2=0.0)
    >>> state = ams.init(jnp.array(0.0))
    >>> for g in (4.0, 1.0):
    ...     u, state = ams.update(jnp.array(g), state)
    ...     print(u)
    1.0
    0.25
    """

    def init(params: Tree) -> ScaleByAmsgradState:
        v, w = squares_like(params), squares_like(params)
        return ScaleByAmsgradState(jnp.zeros((), jnp.int32), memory(params, mu_dtype), v, w)

    def update(g: Tree, state: ScaleByAmsgradState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, t = as_decay(b1), as_decay(b2), advance(state.count)
        c2 = bias(beta2, t, bias_correction_nu)
        e, e_root = eps_at(eps, eps_root, eps_hat, c2)
        one = jnp.ones_like(c2)
        late = lambda: (one, c2)
        before, after = either(
            max_before_correction, late, lambda: either(eps_hat, late, lambda: (c2, one))
        )
        m = leafwise(mean(beta1), state.mu, g)
        v = leafwise(mean_square(beta2), state.nu, g)
        w = leafwise(lambda w, v: jnp.maximum(w, v / before), state.nu_max, v)
        m_hat = corrected_mean(beta1, t, corrected=bias_correction_mu)
        u = leafwise(lambda m, w, g: m_hat(m, g) / (root(w / after + e_root) + e), m, w, g)
        return cast_like(u, g), ScaleByAmsgradState(
            t, cast_like(m, state.mu), cast_like(v, state.nu), cast_like(w, state.nu_max)
        )

    return Transform(init, update)


class ScaleByNadamState(NamedTuple):
    """Memory of :func:`scale_by_nadam`."""

    count: Any  # t: (), int32
    mu_product: Any  # P, the product of all μ so far, 1 at first: (), float
    mu: Tree  # m: structure and shapes of the parameters, at least float32, or mu_dtype
    nu: Tree  # v: shapes of the parameters, real, at least float32


@described
def scale_by_nadam(
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    momentum_decay: Scalar = 0.004,
    *,
    mu_dtype: Any = None,
) -> Transform:
    """Nadam with Dozat's warm-up of the momentum, μ_t = β1 (1 - ½ 0.96^{ψ t}).

    The first steps look half as far ahead: μ grows from β1/2 to β1 in about 25/ψ steps.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        eps: ε >= 0, in units of g, on the corrected v̂.
        momentum_decay: ψ >= 0, per step: the paper's and PyTorch's 1/250; Keras: 1.  With infinity
            it is ``scale_by_adam(nesterov=True)``.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.

    A gradient whose square overflows (1.8e19 in float32) makes v infinite and u 0 for good
    (NaN for β2 < 1/2).
    Same as ``torch.optim.NAdam``; optax has the constant μ only.  Dozat (2016), algorithm 2.

    >>> nadam = scale_by_nadam()
    >>> u, _ = nadam.update(jnp.array([3.0, -0.1]), nadam.init(jnp.zeros(2)))
    >>> print(u.round(2))
    [ 1.06 -1.06]
    """

    def init(params: Tree) -> ScaleByNadamState:
        start = jnp.ones((), jnp.result_type(float))
        count = jnp.zeros((), jnp.int32)
        return ScaleByNadamState(count, start, memory(params, mu_dtype), squares_like(params))

    def update(g: Tree, state: ScaleByNadamState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, t = as_decay(b1), as_decay(b2), advance(state.count)
        psi, e, c2 = number(momentum_decay), number(eps), bias(beta2, t)
        half = lambda t: 0.5 * jnp.exp(math.log(0.96) * (t * psi))
        now, then = (beta1.value * (1 - half(s)) for s in (t, advance(t)))
        rest = beta1.complement + beta1.value * half(t)  # 1 - μ_t
        product = state.mu_product * now
        old, new = then / (1 - product * then), rest / (1 - product)
        m = leafwise(mean(beta1), state.mu, g)
        v = leafwise(mean_square(beta2), state.nu, g)
        u = leafwise(lambda m, v, g: (old * m + new * g) / (root(v / c2) + e), m, v, g)
        product = product.astype(state.mu_product.dtype)
        return cast_like(u, g), ScaleByNadamState(
            t, product, cast_like(m, state.mu), cast_like(v, state.nu)
        )

    return Transform(init, update)


@described
def scale_by_radam(
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    threshold: Scalar = 5.0,
    *,
    nesterov: Flag = False,
    eps_hat: Flag = False,
    mu_dtype: Any = None,
) -> Transform:
    """RAdam: u = r_t m̂ / (√(v̂ + ε_root) + ε) where ρ_t >= threshold, else u = m̂.

    ρ_t is the number of gradients that v_t rests on, about t at first.  While it is small, v says
    little and the update is plain momentum, in units of g; r_t then grows from near 0 to 1.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit; below 0.6 ρ never reaches 5.
        eps: ε >= 0, in units of g, on the corrected v̂.
        eps_root: ε_root >= 0, in units of g².
        threshold: of ρ, no unit; at least 4, where r is 0.
        nesterov: Nadam's m̂; may be traced.
        eps_hat: both ε on the uncorrected v (PyTorch); may be traced.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.

    A gradient of 1e30 is, in the first steps, a step of 1e30; later it makes v infinite and u 0 for
    good.  Same as ``optax.scale_by_radam``.  Liu et al. (2020), algorithm 2.

    >>> radam = scale_by_radam(b1=0.5)
    >>> u, _ = radam.update(jnp.array([3.0, -0.1]), radam.init(jnp.zeros(2)))
    >>> print(u)
    [ 3.  -0.1]
    """

    def init(params: Tree) -> ScaleByAdamState:
        m, v = memory(params, mu_dtype), squares_like(params)
        return ScaleByAdamState(jnp.zeros((), jnp.int32), m, v)

    def update(g: Tree, state: ScaleByAdamState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2, t = as_decay(b1), as_decay(b2), advance(state.count)
        c2 = bias(beta2, t)
        e, e_root = eps_at(eps, eps_root, eps_hat, c2)
        rectify, r = _rectification(beta2, t, number(threshold))
        m = leafwise(mean(beta1), state.mu, g)
        v = leafwise(mean_square(beta2), state.nu, g)
        m_hat = corrected_mean(beta1, t, nesterov)

        def rectified(m: jax.Array, v: jax.Array, g: jax.Array) -> jax.Array:
            m = m_hat(m, g)
            return jnp.where(rectify, r * m / (root(v / c2 + e_root) + e), m)

        u = leafwise(rectified, m, v, g)
        return cast_like(u, g), ScaleByAdamState(t, cast_like(m, state.mu), cast_like(v, state.nu))

    return Transform(init, update)


def _rectification(
    b: ClosedDecay, t: jax.Array, threshold: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Whether ρ_t >= threshold, and r_t (1 where it is not).

    With L = -log β2, ρ_∞ = coth(L/2) and ρ_t = t + coth(L/2) - t coth(tL/2).  As it stands the
    difference loses all digits for β2 near 1; ρ_t = t (1 - k(tL/2)) + k(L/2) with the small
    k(y) = coth(y) - 1/y loses none.
    """
    some = b.complement != 1  # at β2 = 0 ρ is 1
    rate = -jnp.log1p(-jnp.where(some, b.complement, 0.5))
    x = t * rate
    far = 2 / b.complement - 1
    young = t * (1 - _langevin(x / 2)) + _langevin(rate / 2)
    rho = jnp.where(x < 0.5, young, far - 2 * t / jnp.expm1(jnp.minimum(x, 80)))
    rectify = some & (rho >= threshold)
    safe = lambda rho: jnp.where(rectify, rho, 5.0)
    rho, far = safe(rho), safe(far)
    square = (rho - 4) * (rho - 2) * far / ((far - 4) * (far - 2) * rho)
    return rectify, root(square)


def _langevin(y: jax.Array) -> jax.Array:
    """coth(y) - 1/y for 0 <= y <= 1/4, by its series; constant beyond."""
    y = jnp.minimum(y, 0.25)
    series = (4 / 18243225, -1382 / 638512875, 2 / 93555, -1 / 4725, 2 / 945, -1 / 45, 1 / 3)
    return y * jnp.polyval(jnp.asarray(series, y.dtype), y * y)
