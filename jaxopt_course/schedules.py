"""Learning rates that change with time: a schedule maps the step s = 0, 1, 2, ... to a number.

    constant        η_s = η_0
    inverse time    η_s = η_0 / (1 + η_d s)

The step is the number of updates done, so the first update uses schedule(0).  Every parameter may
be traced.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import Scalar, Schedule, number


def constant_schedule(value: Scalar) -> Schedule:
    """η_s = η_0 at every step.

    Args:
        value: η_0.

    Same as ``optax.constant_schedule``.

    >>> constant_schedule(0.5)(7)
    0.5
    """
    return lambda step: value


def inverse_time_decay(init_value: Scalar, decay_rate: Scalar) -> Schedule:
    """η_s = η_0 / (1 + η_d s), the "progressive decay" of the course notes.

    It falls to half of η_0 after 1/η_d steps.  Σ η_s = ∞ and Σ η_s² < ∞, the conditions under
    which stochastic gradient descent converges although its gradients stay noisy: the steps
    together can reach any distance, and their noise dies out.

    Args:
        init_value: η_0 > 0, the rate of the first update.
        decay_rate: η_d >= 0, per step; 0 keeps the rate constant.

    Returns:
        A schedule: step (), int32 -> rate (), float32.

    Robbins and Monro (1951), conditions (1.26)-(1.27); Keras calls it ``InverseTimeDecay``; optax
    has no such schedule.

    >>> rate = inverse_time_decay(init_value=1.0, decay_rate=0.5)
    >>> [float(rate(step)) for step in (0, 2, 6)]
    [1.0, 0.5, 0.25]
    """

    def schedule(step: Any) -> jax.Array:
        eta_0, eta_d = number(init_value), number(decay_rate)
        return eta_0 / (1 + eta_d * jnp.asarray(step, eta_d.dtype))

    return schedule
