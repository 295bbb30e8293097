"""Momentum: remember past gradients and keep moving.

Each transformation reads the gradient g_t, renews one memory m_t shaped like the parameters
(m_0 = 0), and hands on an update u_t.  For t = 1, 2, ... and β in [0, 1):

    heavy ball (sum)     m_t = β m_{t-1} + g_t            u_t = m_t
    Nesterov             m_t = β m_{t-1} + g_t            u_t = g_t + β m_t
    dampened (torch)     m_t = β m_{t-1} + (1-τ) g_t      u_t = m_t, but m_1 = g_1
    EMA (mean)           m_t = β m_{t-1} + (1-β) g_t      u_t = m_t, or m_t / (1 - β^t)

A constant gradient g makes the sum grow to g / (1-β) and the mean to g: the same path, if the
learning rate of the mean is 1/(1-β) times larger.  None takes the step θ_t = θ_{t-1} - η u_t:
chain with ``scale_by_learning_rate(η)`` for that.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_course.base import (
    DecayLike,
    Flag,
    Transform,
    advance,
    as_decay,
    decay_value,
    either,
    mean,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.moments import memory, unbias
from jaxopt_course.tree import Tree, cast_like, leafwise


class TraceState(NamedTuple):
    """Memory of :func:`trace`."""

    trace: Tree  # m: structure and shapes of the parameters, at least float32, or accumulator_dtype


@described
def trace(decay: DecayLike, nesterov: Flag = False, accumulator_dtype: Any = None) -> Transform:
    """Polyak's heavy ball, m ← β m + g and u = m; or Nesterov's look-ahead, u = g + β m.

    A constant gradient is amplified up to 1/(1-β) times, so a larger β wants a smaller learning
    rate.  Nesterov's update is the one that the heavy ball would make if it met the same g once
    more.  β = 0 is plain gradient descent.

    Args:
        decay: β, the share of the memory kept each step; in [0, 1), no unit.
        nesterov: look ahead; may be traced.
        accumulator_dtype: dtype of m; that of the parameters by default, but at least float32.

    Same as ``optax.trace``.  Polyak (1964), §1; Nesterov as in Sutskever et al. (2013), §2.

    >>> ball = trace(decay=0.5)
    >>> state = ball.init(jnp.array(0.0))
    >>> for _ in range(3):
    ...     u, state = ball.update(jnp.array(1.0), state)
    ...     print(u)
    1.0
    1.5
    1.75
    """

    def init(params: Tree) -> TraceState:
        return TraceState(trace=memory(params, accumulator_dtype))

    def update(g: Tree, state: TraceState, params: Tree = None) -> tuple[Tree, TraceState]:
        beta = decay_value(decay)
        m = leafwise(lambda m, g: beta * m + g, state.trace, g)
        u = either(nesterov, lambda: leafwise(lambda m, g: g + beta * m, m, g), lambda: m)
        return cast_like(u, g), TraceState(cast_like(m, state.trace))

    return Transform(init, update)


class DampenedTraceState(NamedTuple):
    """Memory of :func:`dampened_trace`."""

    count: Any  # t: (), int32
    trace: Tree  # m: structure and shapes of the parameters, at least float32, or accumulator_dtype


@described
def dampened_trace(
    decay: DecayLike,
    dampening: DecayLike,
    nesterov: Flag = False,
    accumulator_dtype: Any = None,
) -> Transform:
    """PyTorch's dampened momentum: m ← β m + (1-τ) g, but m = g at first; u = m or g + β m.

    The first gradient comes in undampened, so with τ = β it is not quite the mean of :func:`ema`:
    a share β^t g of it stays on top.

    Args:
        decay: β, the share of the memory kept each step; in [0, 1), no unit.
        dampening: τ, the share of each later gradient left out; in [0, 1], no unit.  0 is
            :func:`trace`.
        nesterov: look ahead, u = g + β m; may be traced.  (PyTorch refuses it for τ ≠ 0.)
        accumulator_dtype: dtype of m; that of the parameters by default, but at least float32.

    Same as ``torch.optim.SGD(momentum=β, dampening=τ)``; not in optax.

    >>> ball = dampened_trace(decay=0.5, dampening=0.5)
    >>> state = ball.init(jnp.array(0.0))
    >>> for g in (4.0, 4.0, 0.0):
    ...     u, state = ball.update(jnp.array(g), state)
    ...     print(u)
    4.0
    4.0
    2.0
    """

    def init(params: Tree) -> DampenedTraceState:
        return DampenedTraceState(jnp.zeros((), jnp.int32), memory(params, accumulator_dtype))

    def update(g: Tree, state: DampenedTraceState, params: Tree = None) -> tuple[Tree, Any]:
        beta, rate = decay_value(decay), as_decay(dampening).complement
        taken = jnp.where(state.count == 0, 1, rate)
        m = leafwise(lambda m, g: beta * m + taken * g, state.trace, g)
        u = either(nesterov, lambda: leafwise(lambda m, g: g + beta * m, m, g), lambda: m)
        t = advance(state.count)
        return cast_like(u, g), DampenedTraceState(t, cast_like(m, state.trace))

    return Transform(init, update)


class EmaState(NamedTuple):
    """Memory of :func:`ema`."""

    count: Any  # t: (), int32
    ema: Tree  # m: structure and shapes of the parameters, at least float32, or accumulator_dtype


@described
def ema(decay: DecayLike, debias: Flag = True, accumulator_dtype: Any = None) -> Transform:
    """The exponential moving average of the gradients: m ← β m + (1-β) g.

    It averages over about 1/(1-β) steps.  m starts at 0, so at first it is too small;
    ``debias`` divides by 1 - β^t, which makes the first update exactly g.

    Args:
        decay: β in [0, 1), no unit.
        debias: u = m / (1 - β^t) instead of u = m; may be traced.
        accumulator_dtype: dtype of m; that of the parameters by default, but at least float32.

    Same as ``optax.ema``.  The course notes' momentum is ``ema(β, debias=False)``.

    >>> average = ema(decay=0.5, debias=False)
    >>> state = average.init(jnp.array(0.0))
    >>> for _ in range(3):
    ...     u, state = average.update(jnp.array(1.0), state)
    ...     print(u)
    0.5
    0.75
    0.875
    """

    def init(params: Tree) -> EmaState:
        return EmaState(jnp.zeros((), jnp.int32), memory(params, accumulator_dtype))

    def update(g: Tree, state: EmaState, params: Tree = None) -> tuple[Tree, EmaState]:
        beta, t = as_decay(decay), advance(state.count)
        m = leafwise(mean(beta), state.ema, g)
        u = either(debias, lambda: unbias(m, beta, t), lambda: m)
        return cast_like(u, g), EmaState(t, cast_like(m, state.ema))

    return Transform(init, update)
