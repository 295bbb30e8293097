"""One cycle: up to the peak and down again, lower than the start."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import Scalar, Schedule, number
from jaxopt_course.schedules.ranges import check_cycle, check_range, divisor, is_number, whole


def linear_onecycle_schedule(
    transition_steps: Scalar,
    peak_value: Scalar,
    pct_start: Scalar = 0.3,
    pct_final: Scalar = 0.85,
    div_factor: Scalar = 25.0,
    final_div_factor: Scalar = 1e4,
) -> Schedule:
    """Linear from peak/d up to the peak, down to peak/d, and on to peak/(d f).

    Args:
        transition_steps: T > 0, steps of the whole cycle.
        peak_value: the highest rate.
        pct_start: share of T at which the peak is reached (at a whole step, rounded down).
        pct_final: share of T at which the rate is back at its start.
        div_factor: d > 0.
        final_div_factor: f > 0.

    Raises:
        ValueError: a number ``transition_steps``, ``div_factor`` or ``final_div_factor`` <= 0, a
            share below 0 or above 1, or numbers with ``pct_final`` < ``pct_start``.

    Same as ``optax.linear_onecycle_schedule``.  Smith and Topin (2018), section 3.

    >>> rate = linear_onecycle_schedule(10, 1.0, div_factor=4.0)
    >>> [round(float(rate(step)), 4) for step in (0, 3, 8, 10)]
    [0.25, 1.0, 0.25, 0.0]
    """
    check_cycle(transition_steps, pct_start, div_factor, final_div_factor)
    check_range("pct_final", pct_final, 0, 1)
    if is_number(pct_start) and is_number(pct_final) and pct_final < pct_start:
        raise ValueError(f"pct_final={pct_final} is before pct_start={pct_start}")

    def knots() -> tuple[list[Any], list[Any]]:
        span, d, f = number(transition_steps), divisor(div_factor), divisor(final_div_factor)
        first = number(peak_value) / d
        up, back = whole(pct_start, span), whole(pct_final, span)
        peak = first * d
        low = peak * (1 / d)
        return [0 * up, up, back, span], [first, peak, low, low * (1 / f)]

    return _interpolated(knots, linear)


def cosine_onecycle_schedule(
    transition_steps: Scalar,
    peak_value: Scalar,
    pct_start: Scalar = 0.3,
    div_factor: Scalar = 25.0,
    final_div_factor: Scalar = 1e4,
) -> Schedule:
    """Half a cosine wave from peak/d up to the peak, another down to peak/(d f).

    Args:
        transition_steps: T > 0, steps of the whole cycle.
        peak_value: the highest rate.
        pct_start: share of T at which the peak is reached (at a whole step, rounded down).
        div_factor: d > 0.
        final_div_factor: f > 0.

    Raises:
        ValueError: a number ``transition_steps``, ``div_factor`` or ``final_div_factor`` <= 0, or
            a share below 0 or above 1.

    Same as ``optax.cosine_onecycle_schedule``.  Smith and Topin (2018), section 3; the cosine is
    that of fastai and PyTorch's ``OneCycleLR``, whose peak stands elsewhere:
    :func:`~jaxopt_course.torch_onecycle_schedule`.

    >>> rate = cosine_onecycle_schedule(10, 1.0, div_factor=4.0)
    >>> [round(float(rate(step)), 4) for step in (0, 3, 10)]
    [0.25, 1.0, 0.0]
    """
    check_cycle(transition_steps, pct_start, div_factor, final_div_factor)

    def knots() -> tuple[list[Any], list[Any]]:
        span, d, f = number(transition_steps), divisor(div_factor), divisor(final_div_factor)
        first = number(peak_value) / d
        up, peak = whole(pct_start, span), first * d
        return [0 * up, up, jnp.floor(span)], [first, peak, peak / (d * f)]

    return _interpolated(knots, half_wave)


def linear(a: Any, b: Any, x: Any) -> Any:
    """From a to b."""
    return (b - a) * x + a


def half_wave(a: Any, b: Any, x: Any) -> Any:
    """From a to b by half a wave of the cosine."""
    return b + 0.5 * (a - b) * (1 + jnp.cos(jnp.pi * x))


def _interpolated(
    knots: Callable[[], tuple[list[Any], list[Any]]], between: Callable[..., jax.Array]
) -> Schedule:
    """From knot to knot; the last value after them."""

    def schedule(step: Any) -> jax.Array:
        steps, values = knots()
        s = jnp.asarray(step, values[0].dtype)
        value = values[-1]
        for i in reversed(range(len(steps) - 1)):
            x = (s - steps[i]) / jnp.maximum(steps[i + 1] - steps[i], 1)
            piece = between(values[i], values[i + 1], jnp.clip(x, 0, 1))
            value = jnp.where(s < steps[i + 1], piece, value)
        return value

    return schedule
