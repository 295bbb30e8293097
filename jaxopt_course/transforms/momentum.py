"""Momentum: remember past gradients and keep moving.

Each transformation reads the gradient g_t, renews one memory m_t shaped like the parameters
(m_0 = 0), and hands on an update u_t.  For t = 1, 2, ... and β in [0, 1):

    heavy ball (sum)     m_t = β m_{t-1} + g_t            u_t = m_t
    Nesterov             m_t = β m_{t-1} + g_t            u_t = g_t + β m_t
    EMA (mean)           m_t = β m_{t-1} + (1-β) g_t      u_t = m_t, or m_t / (1 - β^t)

A constant gradient g makes the sum grow to g / (1-β) and the mean to g: the same path, if the
learning rate of the mean is 1/(1-β) times larger.  None takes the step θ_t = θ_{t-1} - η u_t:
chain with ``scale_by_learning_rate(η)`` for that.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from jaxopt_course.base import DecayLike, Flag, Transform, as_decay, either, mean, unbias
from jaxopt_course.tree import Tree, cast_like, leafwise, zeros_like


class TraceState(NamedTuple):
    """Memory of :func:`trace`."""

    trace: Tree  # m: structure and shapes of the parameters, their dtypes or accumulator_dtype


def trace(decay: DecayLike, nesterov: Flag = False, accumulator_dtype: Any = None) -> Transform:
    """Polyak's heavy ball, m ← β m + g and u = m; or Nesterov's look-ahead, u = g + β m.

    A constant gradient is amplified up to 1/(1-β) times, so a larger β wants a smaller learning
    rate.  Nesterov's update is the one that the heavy ball would make if it met the same g once
    more.  β = 0 is plain gradient descent.

    Args:
        decay: β, the share of the memory kept each step; in [0, 1), no unit.
        nesterov: look ahead; may be traced.
        accumulator_dtype: dtype of m; that of the parameters by default.

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
        return TraceState(trace=zeros_like(params, accumulator_dtype))

    def update(g: Tree, state: TraceState, params: Tree = None) -> tuple[Tree, TraceState]:
        beta = as_decay(decay).value
        m = leafwise(lambda m, g: beta * m + g, state.trace, g)
        u = either(nesterov, lambda: leafwise(lambda m, g: g + beta * m, m, g), lambda: m)
        return cast_like(u, g), TraceState(cast_like(m, state.trace))

    return Transform(init, update)


class EmaState(NamedTuple):
    """Memory of :func:`ema`."""

    count: Any  # t: (), int32
    ema: Tree  # m: structure and shapes of the parameters, their dtypes or accumulator_dtype


def ema(decay: DecayLike, debias: Flag = True, accumulator_dtype: Any = None) -> Transform:
    """The exponential moving average of the gradients: m ← β m + (1-β) g.

    It averages over about 1/(1-β) steps.  m starts at 0, so at first it is too small;
    ``debias`` divides by 1 - β^t, which makes the first update exactly g.

    Args:
        decay: β in [0, 1), no unit.
        debias: u = m / (1 - β^t) instead of u = m; may be traced.
        accumulator_dtype: dtype of m; that of the parameters by default.

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
        return EmaState(jnp.zeros((), jnp.int32), zeros_like(params, accumulator_dtype))

    def update(g: Tree, state: EmaState, params: Tree = None) -> tuple[Tree, EmaState]:
        beta, t = as_decay(decay), optax.safe_increment(state.count)
        m = leafwise(mean(beta), state.ema, g)
        u = either(debias, lambda: unbias(m, beta, t), lambda: m)
        return cast_like(u, g), EmaState(t, cast_like(m, state.ema))

    return Transform(init, update)
