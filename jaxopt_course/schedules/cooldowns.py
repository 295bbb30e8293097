"""Rates that stay high, or fall slowly, and come down at the end of the training."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import Scalar, Schedule, number
from jaxopt_course.schedules.ranges import (
    at_least_0,
    check_positive,
    check_range,
    is_number,
    length_of,
    power_of,
    share_of,
    warm_up,
)


def wsd_schedule(
    init_value: Scalar,
    peak_value: Scalar,
    transition_steps: Scalar,
    warmup_share: Scalar = 0.1,
    decay_share: Scalar = 0.2,
    end_value: Scalar = 0.0,
    exponent: Scalar = 1.0,
) -> Schedule:
    """Warm-up, stable, decay: up to the peak in w T steps, constant, down in the last d T steps.

        η_s = η_0 + (η - η_0) s/(w T)            s < w T
        η_s = η                                  w T <= s <= (1 - d) T
        η_s = η + (η_T - η) ((s - (1 - d) T)/(d T))^p

    Args:
        init_value: η_0.
        peak_value: η.
        transition_steps: T > 0, steps of the whole training; a traced one <= 0 has no warm-up and
            no decay.
        warmup_share: w, of T; not rounded to whole steps.
        decay_share: d, of T.
        end_value: η_T, the rate from step T on.
        exponent: p >= 0; 1 is linear, 0.5 falls as 1 - √x.

    Raises:
        ValueError: a number ``transition_steps`` <= 0, a share below 0, or two with a sum above 1,
            or an ``exponent`` < 0.  Of traced ones the warm-up gives way.

    Hu et al. (2024), MiniCPM, section 4; 1 - √x is of Hägele et al. (2024), section 4.

    >>> rate = wsd_schedule(0.0, 1.0, transition_steps=10, warmup_share=0.2, decay_share=0.4)
    >>> [round(float(rate(step)), 4) for step in (0, 1, 2, 6, 8, 10)]
    [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    check_positive("transition_steps", transition_steps)
    check_range("exponent", exponent, 0)
    check_range("warmup_share", warmup_share, 0, 1)
    check_range("decay_share", decay_share, 0, 1)
    if is_number(warmup_share) and is_number(decay_share) and warmup_share + decay_share > 1 + 1e-9:
        raise ValueError(
            f"warmup_share={warmup_share} and decay_share={decay_share} are more than the whole"
        )

    def schedule(step: Any) -> jax.Array:
        start, peak, end = number(init_value), number(peak_value), number(end_value)
        span = at_least_0(number(transition_steps))
        down = jnp.clip(number(decay_share), 0, 1)
        up = jnp.clip(number(warmup_share), 0, 1 - down)
        s = jnp.asarray(step, peak.dtype)
        last = (1 - down) * span  # before the decay
        fallen = power_of(share_of(s - last, down * span), number(exponent))
        fall = jnp.where(s > last, peak + (end - peak) * jnp.where(down > 0, fallen, 1), peak)
        # without a horizon there is no end
        fall = jnp.where(span > 0, fall, peak)
        warm = up * span
        return jnp.where(s < warm, start + (peak - start) * share_of(s, warm), fall)

    return schedule


def inverse_sqrt_schedule(
    init_value: Scalar,
    peak_value: Scalar,
    warmup_steps: Scalar,
    timescale: Scalar,
    transition_steps: Scalar,
    cooldown_steps: Scalar = 0,
    end_value: Scalar = 0.0,
) -> Schedule:
    """Warm-up, then η √(τ/(τ + s - W)), and a line to the end value in the last C steps.

    Args:
        init_value: η_0, from which the rate rises linearly.
        peak_value: η, the rate at step W.
        warmup_steps: W, steps.
        timescale: τ > 0, steps; after 3 τ the rate is η/2.  A traced one <= 0 holds it at η.
        transition_steps: T, steps of the whole training, where the cooldown ends.
        cooldown_steps: C, steps; 0 is none.
        end_value: the rate from step T on, if there is a cooldown.

    Raises:
        ValueError: a number ``timescale`` <= 0, ``warmup_steps`` < 0, ``cooldown_steps`` < 0, or
            ``warmup_steps`` and ``cooldown_steps`` longer than ``transition_steps``.

    Without a cooldown as ``get_inverse_sqrt_schedule`` of Transformers.  Vaswani et al. (2017),
    section 5.3; with a cooldown Zhai et al. (2022), section 3.5.

    >>> rate = inverse_sqrt_schedule(0.0, 1.0, 2, 4, transition_steps=20, cooldown_steps=6)
    >>> [round(float(rate(step)), 4) for step in (0, 1, 2, 14, 17, 20)]
    [0.0, 0.5, 1.0, 0.5, 0.25, 0.0]
    """
    check_positive("timescale", timescale)
    check_range("cooldown_steps", cooldown_steps, 0)
    lengths = (warmup_steps, cooldown_steps, transition_steps)
    if all(map(is_number, lengths)) and warmup_steps + cooldown_steps > transition_steps:
        raise ValueError(
            f"warmup_steps={warmup_steps} and cooldown_steps={cooldown_steps} do not fit in "
            f"transition_steps={transition_steps}"
        )
    warm = warm_up(warmup_steps)

    def schedule(step: Any) -> jax.Array:
        start, peak, end = number(init_value), number(peak_value), number(end_value)
        up, tau, cool = number(warm), number(timescale), at_least_0(number(cooldown_steps))
        s = jnp.asarray(step, peak.dtype)
        begins = number(transition_steps) - cool

        def slow(s: jax.Array) -> jax.Array:
            some = tau > 0
            long = length_of(tau)
            ratio = long / (long + at_least_0(s - up))
            return peak * jnp.where(some, jnp.sqrt(ratio), 1)

        # what the cooldown starts from; of the steps before it, their own
        high = slow(jnp.where(cool > 0, jnp.minimum(s, begins), s))
        cooled = high + (end - high) * share_of(s - begins, cool)
        return jnp.where(s < up, start + (peak - start) * share_of(s, up), cooled)

    return schedule
