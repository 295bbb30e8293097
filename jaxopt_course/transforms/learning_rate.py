"""The learning rate: the last piece of a chain, which makes an update a step.

    scale                     u = c g
    scale_by_schedule         u = c(s) g        s = 0, 1, 2, ... updates done
    scale_by_learning_rate    u = -η g, or -η(s) g

Where it stands matters as soon as the rate changes: after the momentum, the new rate holds for the
whole memory (PyTorch, optax); before it, the memory keeps steps of the old rate (Keras).  For a
constant η both are the same.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_course.base import (
    Flag,
    Scalar,
    ScalarOrSchedule,
    Schedule,
    Transform,
    advance,
    check_gradient,
    either,
    number,
    stateless,
)
from jaxopt_course.describe import described
from jaxopt_course.tree import Tree, cast_like, check_floating, leafwise


@described
def scale(step_size: Scalar) -> Transform:
    """A constant factor: u = c g.

    Args:
        step_size: c, of either sign.

    Same as ``optax.scale``.

    >>> u, _ = scale(0.5).update(jnp.array(3.0), scale(0.5).init(jnp.array(0.0)))
    >>> print(u)
    1.5
    """
    return Transform(stateless, lambda g, state, params=None: (_times(step_size, g, params), state))


def _times(c: Scalar, g: Tree, params: Tree, name: str = "step_size") -> Tree:
    check_gradient(g, params)
    c = number(c)
    try:
        return cast_like(leafwise(lambda g: c * g, g), g)
    except (TypeError, ValueError) as error:
        if not jnp.ndim(c):
            raise
        raise ValueError(f"{name} has shape {jnp.shape(c)}, not (): {error}") from error


class ScaleByScheduleState(NamedTuple):
    """Memory of :func:`scale_by_schedule`."""

    count: Any  # s, updates done: (), int32


@described
def scale_by_schedule(step_size_fn: Schedule) -> Transform:
    """A factor that changes with time: u = c(s) g; the first update uses c(0).

    Args:
        step_size_fn: a function of the step (), int32.

    Same as ``optax.scale_by_schedule``.

    >>> halving = scale_by_schedule(lambda s: 0.5**s)
    >>> state = halving.init(jnp.array(0.0))
    >>> for _ in range(3):
    ...     u, state = halving.update(jnp.array(4.0), state)
    ...     print(u)
    4.0
    2.0
    1.0
    """

    def init(params: Tree) -> ScaleByScheduleState:
        check_floating(params)
        return ScaleByScheduleState(jnp.zeros((), jnp.int32))

    def update(g: Tree, state: ScaleByScheduleState, params: Tree = None) -> tuple[Tree, Any]:
        u = _times(step_size_fn(state.count), g, params)
        return u, ScaleByScheduleState(advance(state.count))

    return Transform(init, update)


@described
def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule | None = None, *, flip_sign: Flag = True
) -> Transform:
    """A step downhill: u = -η g.

    Args:
        learning_rate: η > 0, or a schedule s -> η(s).  None is η = 1.
        flip_sign: False keeps the sign (u = η g); may be traced.

    Same as ``optax.scale_by_learning_rate``, but for None: there optax 0.2.8 does not flip the
    sign, so that a chain without a rate climbs.

    >>> rate = scale_by_learning_rate(0.5)
    >>> u, _ = rate.update(jnp.array(3.0), rate.init(jnp.array(0.0)))
    >>> print(u)
    -1.5
    """
    rate = 1.0 if learning_rate is None else learning_rate

    def signed(eta: Any) -> Any:
        eta = number(eta)  # first: -η is then a result, also of a literal; see number
        return either(flip_sign, lambda: -eta, lambda: eta)

    if callable(rate):
        return scale_by_schedule(lambda step: signed(rate(step)))
    times = lambda g, params: _times(signed(rate), g, params, "learning_rate")
    return Transform(stateless, lambda g, s, params=None: (times(g, params), s))
