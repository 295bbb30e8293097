"""The cosine, and warm-ups before it, before a line down or before a constant rate."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import Scalar, Schedule, number
from jaxopt_course.schedules.decays import constant_schedule, linear_schedule
from jaxopt_course.schedules.joins import join_schedules
from jaxopt_course.schedules.ranges import (
    check_longer,
    check_positive,
    check_range,
    power_of,
    share_of,
    warm_up,
)


def cosine_decay_schedule(
    init_value: Scalar, decay_steps: Scalar, alpha: Scalar = 0.0, exponent: Scalar = 1.0
) -> Schedule:
    """η_s = η_0 ((1 - α) (½ + ½ cos(π s/T))^p + α) for s <= T; α η_0 after.

    Args:
        init_value: η_0.
        decay_steps: T > 0, steps; a traced one <= 0 holds the rate at η_0.
        alpha: α, what is left at the end, as a share of η_0.
        exponent: p >= 0.

    Raises:
        ValueError: a number ``decay_steps`` <= 0 or ``exponent`` < 0.

    Same as ``optax.cosine_decay_schedule``.  Loshchilov and Hutter (2017), equation (5).

    >>> rate = cosine_decay_schedule(init_value=1.0, decay_steps=4)
    >>> [round(float(rate(step)), 4) for step in (0, 1, 2, 4)]
    [1.0, 0.8536, 0.5, 0.0]
    """
    check_positive("decay_steps", decay_steps)
    check_range("exponent", exponent, 0)

    def schedule(step: Any) -> jax.Array:
        eta, a, span = number(init_value), number(alpha), number(decay_steps)
        wave = 0.5 * (1 + jnp.cos(jnp.pi * share_of(jnp.asarray(step, eta.dtype), span)))
        return eta * ((1 - a) * power_of(wave, number(exponent)) + a)

    return schedule


def warmup_constant_schedule(
    init_value: Scalar, peak_value: Scalar, warmup_steps: Scalar
) -> Schedule:
    """Linear from η_0 to the peak in W steps, then constant.

    Args:
        init_value: η_0.
        peak_value: the rate from step W on.
        warmup_steps: W, steps; 0 starts at the peak (optax 0.2.8 would stay at η_0).

    Raises:
        ValueError: a number ``warmup_steps`` < 0.

    Else the same as ``optax.warmup_constant_schedule``.

    >>> rate = warmup_constant_schedule(init_value=0.0, peak_value=1.0, warmup_steps=2)
    >>> [float(rate(step)) for step in (0, 1, 2, 3)]
    [0.0, 0.5, 1.0, 1.0]
    """
    warm = warm_up(warmup_steps)
    rise = linear_schedule(init_value, peak_value, warm)
    return join_schedules([rise, constant_schedule(peak_value)], [warm])


def warmup_cosine_decay_schedule(
    init_value: Scalar,
    peak_value: Scalar,
    warmup_steps: Scalar,
    decay_steps: Scalar,
    end_value: Scalar = 0.0,
    exponent: Scalar = 1.0,
) -> Schedule:
    """Linear from η_0 to the peak in W steps, then by a cosine to the end value at step T.

    Args:
        init_value: η_0.
        peak_value: the rate at step W; may be traced (in optax 0.2.8 it may not).
        warmup_steps: W, steps.
        decay_steps: T > W, steps, the warm-up among them.
        end_value: the rate from step T on; as in optax, 0 where the peak is 0.
        exponent: p >= 0, of the cosine.

    Raises:
        ValueError: numbers with ``decay_steps`` <= ``warmup_steps``; a number ``warmup_steps`` < 0
            or ``exponent`` < 0.

    Same as ``optax.warmup_cosine_decay_schedule``.

    >>> rate = warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps=2, decay_steps=6)
    >>> [round(float(rate(step)), 4) for step in (0, 1, 2, 4, 6)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    check_longer(decay_steps, warmup_steps)
    check_range("exponent", exponent, 0)
    warm = warm_up(warmup_steps)

    def fall(step: Any) -> jax.Array:
        peak, end = number(peak_value), number(end_value)
        span = number(decay_steps) - number(warm)
        some = peak != 0
        alpha = jnp.where(some, end / jnp.where(some, peak, 1), 0)
        wave = 0.5 * (1 + jnp.cos(jnp.pi * share_of(jnp.asarray(step, peak.dtype), span)))
        return peak * ((1 - alpha) * power_of(wave, number(exponent)) + alpha)

    return join_schedules([linear_schedule(init_value, peak_value, warm), fall], [warm])


def warmup_linear_decay_schedule(
    init_value: Scalar,
    peak_value: Scalar,
    warmup_steps: Scalar,
    decay_steps: Scalar,
    end_value: Scalar = 0.0,
) -> Schedule:
    """Linear from η_0 to the peak in W steps, then linear to the end value at step T.

    Args:
        init_value: η_0.
        peak_value: the rate at step W.
        warmup_steps: W, steps.
        decay_steps: T > W, steps, the warm-up among them.
        end_value: the rate from step T on.

    Raises:
        ValueError: numbers with ``decay_steps`` <= ``warmup_steps``; a number ``warmup_steps`` < 0.

    optax joins two ``linear_schedule``; Transformers calls it ``get_linear_schedule_with_warmup``.
    Defazio et al. (2023), "When, why and how much?", section 3.

    >>> rate = warmup_linear_decay_schedule(0.0, 1.0, warmup_steps=2, decay_steps=6)
    >>> [float(rate(step)) for step in (0, 1, 2, 4, 6)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    check_longer(decay_steps, warmup_steps)
    warm = warm_up(warmup_steps)

    def fall(step: Any) -> jax.Array:
        span = number(decay_steps) - number(warm)
        return linear_schedule(peak_value, end_value, span)(step)

    return join_schedules([linear_schedule(init_value, peak_value, warm), fall], [warm])
