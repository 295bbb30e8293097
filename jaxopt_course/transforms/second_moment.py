"""Second moments: divide each coordinate by the size its gradients have had.

Coordinates with large gradients take smaller steps, those with small ones larger; u_t has no unit
of g left.  For t = 1, 2, ..., all operations by coordinate:

    Adagrad     S_t = S_{t-1} + g²                  u = g / √(S_t + ε)      (ε "in")
                                                    u = g / (√S_t + ε)      (ε "out")
    RMSProp     v_t = ρ v_{t-1} + (1-ρ) g²          u = g / √(v_t + ε)      (ε "in")
                                                    u = g / (√v_t + ε)      (ε "out")
    centered    the same, and m_t = ρ m_{t-1} + (1-ρ) g; v_t - m_t² in the place of v_t
    Adadelta    v_t as RMSProp                      u = g √(x_{t-1} + ε) / √(v_t + ε)
                x_t = ρ x_{t-1} + (1-ρ) u²

Adagrad's sum never forgets, so its steps only shrink; RMSProp forgets after about 1/(1-ρ) steps;
Adadelta puts the size of its own past updates where the learning rate would stand.
Every accumulator is real and at least float32; |g|² stands for g² where g is complex.
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
    either,
    mean,
    mean_square,
    number,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.moments import eps_split, memory, unbias
from jaxopt_course.tree import (
    Tree,
    abs_square,
    cast_like,
    leafwise,
    root,
    squares_like,
)


class ScaleByRssState(NamedTuple):
    """Memory of :func:`scale_by_rss`."""

    sum_of_squares: Tree  # S: shapes of the parameters, real, at least float32


@described
def scale_by_rss(
    initial_accumulator_value: Scalar = 0.1, eps: Scalar = 1e-7, *, eps_in_sqrt: Flag = True
) -> Transform:
    """Adagrad: S ← S + g², u = g / √(S + ε) or g / (√S + ε); and u = 0 where S = 0.

    Good for sparse gradients: a coordinate that is seldom hit keeps a large step.  In long runs
    the sum grows without end and learning stops.

    Args:
        initial_accumulator_value: S_0 >= 0, in units of g².
        eps: ε >= 0; in units of g² inside the root, of g outside.
        eps_in_sqrt: ε inside the root (optax, Keras), or outside (the paper, PyTorch: there with
            S_0 = 0 and 1e-10); may be traced.

    A gradient whose square overflows (1.8e19 in float32) makes S infinite and u 0 for good.
    Same as ``optax.scale_by_rss``.  Duchi, Hazan and Singer (2011), §1.1.

    >>> adagrad = scale_by_rss(initial_accumulator_value=0.0, eps=0.0)
    >>> state = adagrad.init(jnp.array(0.0))
    >>> u, state = adagrad.update(jnp.array(3.0), state)
    >>> print(u)
    1.0
    >>> u, state = adagrad.update(jnp.array(4.0), state)  # 4 / √(9 + 16)
    >>> print(u)
    0.8
    """

    def init(params: Tree) -> ScaleByRssState:
        return ScaleByRssState(squares_like(params, number(initial_accumulator_value)))

    def update(g: Tree, state: ScaleByRssState, params: Tree = None) -> tuple[Tree, Any]:
        inside, outside = eps_split(eps, eps_in_sqrt)
        S = leafwise(lambda S, g: S + abs_square(g), state.sum_of_squares, g)

        def scaled(g: jax.Array, S: jax.Array) -> jax.Array:
            none = S == 0
            return jnp.where(none, 0, g / jnp.where(none, 1, root(S + inside) + outside))

        u = leafwise(scaled, g, S)
        return cast_like(u, g), ScaleByRssState(cast_like(S, state.sum_of_squares))

    return Transform(init, update)


class ScaleByRmsState(NamedTuple):
    """Memory of :func:`scale_by_rms`."""

    nu: Tree  # v: shapes of the parameters, real, at least float32


class ScaleByRmsWithCountState(NamedTuple):
    """The same with bias correction, or with room for it."""

    count: Any  # t: (), int32
    nu: Tree  # v: shapes of the parameters, real, at least float32


@described
def scale_by_rms(
    decay: DecayLike = 0.9,
    eps: Scalar = 1e-8,
    initial_scale: Scalar = 0.0,
    eps_in_sqrt: Flag = True,
    bias_correction: Flag = False,
) -> Transform:
    """RMSProp: v ← ρ v + (1-ρ) g², u = g / √(v + ε) or g / (√v + ε).

    Each coordinate moves by about one learning rate a step, whatever the size of its gradient.

    Args:
        decay: ρ in [0, 1), no unit.
        eps: ε > 0; in units of g² inside the root, of g outside.
        initial_scale: v_0, in units of g².
        eps_in_sqrt: ε inside the root (Keras, the notes) or outside (PyTorch); may be traced.
        bias_correction: v / (1 - ρ^t) in the place of v; may be traced.  Unless it is False, the
            state has a count, as optax's.

    A gradient whose square overflows (1.8e19 in float32) makes v infinite and u 0 for good
    (NaN for ρ < 1/2).  Same as ``optax.scale_by_rms``.  Tieleman and Hinton (2012), lecture 6.5.

    >>> rms = scale_by_rms(decay=0.75, eps=0.0)
    >>> u, _ = rms.update(jnp.array([3.0, -0.1]), rms.init(jnp.zeros(2)))
    >>> print(u)  # ±1 / √(1 - 0.75)
    [ 2. -2.]
    """
    counted = _may_be_on(bias_correction)

    def init(params: Tree) -> Any:
        v = squares_like(params, number(initial_scale))
        count = jnp.zeros((), jnp.int32)
        return ScaleByRmsWithCountState(count, v) if counted else ScaleByRmsState(v)

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        rho = as_decay(decay)
        t = advance(state.count) if counted else jnp.zeros((), jnp.int32)
        v = leafwise(mean_square(rho), state.nu, g)
        v_hat = either(bias_correction, lambda: unbias(v, rho, t), lambda: v)
        u = _divide_by_root(g, v_hat, eps, eps_in_sqrt)
        new = cast_like(v, state.nu)
        return cast_like(u, g), (
            ScaleByRmsWithCountState(t, new) if counted else ScaleByRmsState(new)
        )

    return Transform(init, update)


class ScaleByRStdDevState(NamedTuple):
    """Memory of :func:`scale_by_stddev`."""

    mu: Tree  # m: structure and shapes of the parameters, at least float32, or mu_dtype
    nu: Tree  # v: shapes of the parameters, real, at least float32


class ScaleByRStdDevWithCountState(NamedTuple):
    """The same with bias correction, or with room for it."""

    count: Any  # t: (), int32
    mu: Tree  # m: structure and shapes of the parameters, at least float32, or mu_dtype
    nu: Tree  # v: shapes of the parameters, real, at least float32


@described
def scale_by_stddev(
    decay: DecayLike = 0.9,
    eps: Scalar = 1e-8,
    initial_scale: Scalar = 0.0,
    eps_in_sqrt: Flag = True,
    bias_correction: Flag = False,
    *,
    centered: Flag = True,
    mu_dtype: Any = None,
) -> Transform:
    """Centered RMSProp: m ← ρ m + (1-ρ) g, v ← ρ v + (1-ρ) g², u = g / √(max(v - m², 0) + ε).

    v - m² is the variance of the recent gradients: where they agree, steps grow (up to g/√ε).
    Rounding can make the difference negative, so it is clamped at 0; unclamped, a constant
    gradient ends in NaN.

    Args:
        decay: ρ in [0, 1), no unit.
        eps: ε > 0; in units of g² inside the root, of g outside.
        initial_scale: v_0, in units of g².
        eps_in_sqrt: ε inside the root or outside; may be traced.
        bias_correction: both means divided by 1 - ρ^t; may be traced.  The variance of one
            gradient is 0, so the first update is then g/√ε (or g/ε).  Unless it is False, the state
            has a count, as optax's.
        centered: subtract m²; may be traced: the state has room for m in both cases.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.

    A gradient whose square overflows (1.8e19 in float32) makes v infinite and u 0 for good
    (NaN for ρ < 1/2).
    Same as ``optax.scale_by_stddev`` but for the clamp.  Graves (2013), eqs. 38-45.

    >>> still = scale_by_stddev(decay=0.5, eps=1.0)
    >>> u, _ = still.update(jnp.array(2.0), still.init(jnp.array(0.0)))
    >>> print(u)  # 2 / √(2 - 1 + 1)
    1.4142135
    """
    counted = _may_be_on(bias_correction)

    def init(params: Tree) -> Any:
        m, v = memory(params, mu_dtype), squares_like(params, number(initial_scale))
        count = jnp.zeros((), jnp.int32)
        return ScaleByRStdDevWithCountState(count, m, v) if counted else ScaleByRStdDevState(m, v)

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        rho = as_decay(decay)
        t = advance(state.count) if counted else jnp.zeros((), jnp.int32)
        m = leafwise(mean(rho), state.mu, g)
        v = leafwise(mean_square(rho), state.nu, g)
        m_hat = either(bias_correction, lambda: unbias(m, rho, t), lambda: m)
        v_hat = either(bias_correction, lambda: unbias(v, rho, t), lambda: v)
        var = either(centered, lambda: leafwise(_variance, v_hat, m_hat), lambda: v_hat)
        u = _divide_by_root(g, var, eps, eps_in_sqrt)
        new = cast_like(m, state.mu), cast_like(v, state.nu)
        return cast_like(u, g), (
            ScaleByRStdDevWithCountState(t, *new) if counted else ScaleByRStdDevState(*new)
        )

    return Transform(init, update)


def _may_be_on(flag: Flag) -> bool:
    return isinstance(flag, jax.Array) or bool(flag)


def _variance(v: jax.Array, m: jax.Array) -> jax.Array:
    mm = jnp.minimum(abs_square(m), jnp.finfo(v.dtype).max)  # ∞ - ∞ would be NaN
    return jnp.maximum(v - mm, 0)


def _divide_by_root(g: Tree, v: Tree, eps: Scalar, eps_in_sqrt: Flag) -> Tree:
    """Return g / √(v + ε), or g / (√v + ε)."""
    inside, outside = eps_split(eps, eps_in_sqrt)
    return leafwise(lambda g, v: g / (root(v + inside) + outside), g, v)


class ScaleByAdaDeltaState(NamedTuple):
    """Memory of :func:`scale_by_adadelta`."""

    e_g: Tree  # v, mean of |g|²: shapes of the parameters, real, at least float32
    e_x: Tree  # x, mean of |u|²: the same


@described
def scale_by_adadelta(rho: DecayLike = 0.9, eps: Scalar = 1e-6) -> Transform:
    """Adadelta: v ← ρ v + (1-ρ) g², u = g √(x + ε) / √(v + ε), x ← ρ x + (1-ρ) u².

    u has the unit of the parameters, so a learning rate of 1 is natural.  The first steps are
    about √ε, whatever the gradient; ε decides how fast it starts.

    Args:
        rho: ρ in [0, 1), no unit.
        eps: ε > 0.

    A gradient whose square overflows (1.8e19 in float32) makes v infinite and u 0 for good
    (NaN for ρ < 1/2).  Same as ``optax.scale_by_adadelta``.  Zeiler (2012), algorithm 1.

    >>> delta = scale_by_adadelta(rho=0.5, eps=1.0)
    >>> u, _ = delta.update(jnp.array(4.0), delta.init(jnp.array(0.0)))
    >>> print(u)  # 4 √1 / √(8 + 1)
    1.3333334
    """

    def init(params: Tree) -> ScaleByAdaDeltaState:
        return ScaleByAdaDeltaState(squares_like(params), squares_like(params))

    def update(g: Tree, state: ScaleByAdaDeltaState, params: Tree = None) -> tuple[Tree, Any]:
        b, e = as_decay(rho), number(eps)
        v = leafwise(mean_square(b), state.e_g, g)
        u = leafwise(lambda g, v, x: g * root(x + e) / root(v + e), g, v, state.e_x)
        x = leafwise(mean_square(b), state.e_x, u)
        return cast_like(u, g), ScaleByAdaDeltaState(
            cast_like(v, state.e_g), cast_like(x, state.e_x)
        )

    return Transform(init, update)
