"""Constant rates, and those that fall by one formula."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import Flag, Scalar, Schedule, either, number, within_int32
from jaxopt_course.schedules.ranges import (
    at_least_0,
    check_range,
    length_of,
    power_of,
    share_of,
    since,
    whole_steps,
)


def constant_schedule(value: Scalar) -> Schedule:
    """η_s = η_0 at every step.

    Args:
        value: η_0.

    Raises:
        TypeError: it is no number.

    Same as ``optax.constant_schedule``.

    >>> constant_schedule(0.5)(7)
    0.5
    """
    number(value)  # refused here and not at its first use
    given = within_int32(value)
    return lambda step: given


def inverse_time_decay(init_value: Scalar, decay_rate: Scalar) -> Schedule:
    """η_s = η_0 / (1 + η_d s), the "progressive decay" of the course notes.

    It falls to half of η_0 after 1/η_d steps.  Σ η_s = ∞ and Σ η_s² < ∞, the conditions under
    which stochastic gradient descent converges although its gradients stay noisy: the steps
    together can reach any distance, and their noise dies out.

    Args:
        init_value: η_0 > 0, the rate of the first update.
        decay_rate: η_d >= 0, per step; 0 keeps the rate constant.

    Raises:
        ValueError: a number ``decay_rate`` < 0.

    Robbins and Monro (1951), conditions (1.26)-(1.27); Keras calls it ``InverseTimeDecay``; optax
    has no such schedule.

    >>> rate = inverse_time_decay(init_value=1.0, decay_rate=0.5)
    >>> [float(rate(step)) for step in (0, 2, 6)]
    [1.0, 0.5, 0.25]
    """
    check_range("decay_rate", decay_rate, 0)

    def schedule(step: Any) -> jax.Array:
        eta_0, eta_d = number(init_value), at_least_0(number(decay_rate))
        return eta_0 / (1 + eta_d * jnp.asarray(step, eta_d.dtype))

    return schedule


def exponential_decay(
    init_value: Scalar,
    transition_steps: Scalar,
    decay_rate: Scalar,
    transition_begin: Scalar = 0,
    staircase: Flag = False,
    end_value: Scalar | None = None,
) -> Schedule:
    """η_s = η_0 r^{(s - B)/T} for s > B, η_0 before.

    Args:
        init_value: η_0.
        transition_steps: T, steps in which the rate is multiplied by r.
        decay_rate: r > 0; above 1 the rate grows.  0 (and T <= 0) hold it at η_0, as in optax.
        transition_begin: B, the step at which it begins; below 0 counts as 0.
        staircase: ⌊(s - B)/T⌋ in the exponent: the rate falls in steps.
        end_value: a bound, from below if r < 1, else from above.  None is none (and another
            program).

    Raises:
        ValueError: a number ``decay_rate`` < 0.

    Same as ``optax.exponential_decay``.

    >>> rate = exponential_decay(init_value=1.0, transition_steps=2, decay_rate=0.25)
    >>> [float(rate(step)) for step in (0, 1, 2)]
    [1.0, 0.5, 0.25]
    """
    check_range("decay_rate", decay_rate, 0)

    def schedule(step: Any) -> jax.Array:
        eta, r, span = number(init_value), number(decay_rate), number(transition_steps)
        elapsed = since(step, transition_begin)
        s = elapsed.astype(eta.dtype)
        moving = (span > 0) & (r > 0)
        safe = jnp.where(moving, length_of(span), 1)
        share = jnp.maximum(s, 0) / safe
        share = either(
            staircase, lambda: whole_steps(elapsed, transition_steps, safe), lambda: share
        )
        ratio = jnp.where(moving, r, 1)
        # where r^share would overflow it stays, for 0 times an infinite slope is NaN
        grows = ratio > 1
        last = jnp.log(1e30) / jnp.where(grows, jnp.log(jnp.where(grows, ratio, 2)), 1)
        share = jnp.where(grows & (share > last), jax.lax.stop_gradient(last), share)
        value = jnp.where(moving & (s > 0), eta * ratio**share, eta)
        if end_value is None:
            return value
        end = number(end_value)
        bounded = jnp.where(r < 1, jnp.maximum(value, end), jnp.minimum(value, end))
        return jnp.where(moving, bounded, eta)

    return schedule


def polynomial_schedule(
    init_value: Scalar,
    end_value: Scalar,
    power: Scalar,
    transition_steps: Scalar,
    transition_begin: Scalar = 0,
) -> Schedule:
    """η_s = (η_0 - η_T) (1 - (s - B)/T)^p + η_T for B <= s <= B + T; η_0 before, η_T after.

    Args:
        init_value: η_0.
        end_value: η_T.
        power: p >= 0; 1 is linear.
        transition_steps: T, steps; <= 0 holds the rate at η_0, as in optax.
        transition_begin: B, the step at which it begins; below 0 counts as 0.

    Raises:
        ValueError: a number ``power`` < 0.

    Same as ``optax.polynomial_schedule``.

    >>> rate = polynomial_schedule(init_value=1.0, end_value=0.0, power=2, transition_steps=2)
    >>> [float(rate(step)) for step in (0, 1, 2, 3)]
    [1.0, 0.25, 0.0, 0.0]
    """
    check_range("power", power, 0)

    def schedule(step: Any) -> jax.Array:
        eta, end, span = number(init_value), number(end_value), number(transition_steps)
        rest = 1 - share_of(since(step, transition_begin).astype(eta.dtype), span)
        return (eta - end) * power_of(rest, number(power)) + end

    return schedule


def linear_schedule(
    init_value: Scalar, end_value: Scalar, transition_steps: Scalar, transition_begin: Scalar = 0
) -> Schedule:
    """η_s = η_0 + (η_T - η_0) (s - B)/T for B <= s <= B + T; η_0 before, η_T after.

    Args:
        init_value: η_0.
        end_value: η_T.
        transition_steps: T, steps; <= 0 holds the rate at η_0, as in optax.
        transition_begin: B, the step at which it begins; below 0 counts as 0.

    Same as ``optax.linear_schedule``.

    >>> rate = linear_schedule(init_value=0.0, end_value=1.0, transition_steps=4)
    >>> [float(rate(step)) for step in (0, 1, 4)]
    [0.0, 0.25, 1.0]
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)
