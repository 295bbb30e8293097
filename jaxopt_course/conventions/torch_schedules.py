"""PyTorch's one cycle, whose knots are no whole steps."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import Flag, Scalar, Schedule, either, number
from jaxopt_course.messages import unknown
from jaxopt_course.schedules.onecycle import half_wave, linear
from jaxopt_course.schedules.ranges import check_cycle, divisor

_BETWEEN = {"cos": half_wave, "linear": linear}


def torch_onecycle_schedule(
    transition_steps: Scalar,
    peak_value: Scalar,
    pct_start: Scalar = 0.3,
    div_factor: Scalar = 25.0,
    final_div_factor: Scalar = 1e4,
    *,
    anneal_strategy: str = "cos",
    three_phase: Flag = False,
) -> Schedule:
    """From peak/d up to the peak at step p T - 1, and down to peak/(d f) at the last step, T - 1.

    Args:
        transition_steps: T > 0, steps of the whole cycle, those from 0 to T - 1 (``total_steps``).
        peak_value: the highest rate (``max_lr``), reached only if p T is a whole number.
        pct_start: p, share of T at which the peak is.
        div_factor: d > 0.
        final_div_factor: f > 0.
        anneal_strategy: "cos", by half a wave of the cosine, or "linear".
        three_phase: down to peak/d first, at step 2 p T - 2; may be traced.

    Raises:
        ValueError: another strategy, a number ``transition_steps``, ``div_factor`` or
            ``final_div_factor`` <= 0, or a share below 0 or above 1.

    Same as ``torch.optim.lr_scheduler.OneCycleLR``, which raises after T - 1, where this stays;
    optax's cycle rounds its knots down to whole steps and ends at T.  Smith and Topin (2018),
    section 3.

    >>> rate = torch_onecycle_schedule(5, 1.0, pct_start=0.5, div_factor=4.0)
    >>> [round(float(rate(step)), 4) for step in (0, 1, 2, 4)]  # the peak is at 1.5
    [0.25, 0.8125, 0.9045, 0.0]
    """
    check_cycle(transition_steps, pct_start, div_factor, final_div_factor)
    if anneal_strategy not in _BETWEEN:
        raise ValueError(unknown("anneal_strategy", anneal_strategy, _BETWEEN))

    between = _BETWEEN[anneal_strategy]

    def schedule(step: Any) -> jax.Array:
        span, peak = number(transition_steps), number(peak_value)
        up = jnp.clip(number(pct_start), 0, 1) * span - 1
        start = peak / divisor(div_factor)
        end = start / divisor(final_div_factor)
        two = [(0 * up, start), (up, peak), (span - 1, end)]
        three = [*two[:2], (2 * up, start), two[2]]
        s = jnp.asarray(step, span.dtype)
        return either(
            three_phase, lambda: _along(three, s, between), lambda: _along(two, s, between)
        )

    return schedule


def _along(
    knots: list[tuple[Any, Any]], s: jax.Array, between: Callable[..., jax.Array]
) -> jax.Array:
    """From knot to knot; a knot belongs to the piece before it."""
    value = knots[-1][1]
    for (first, a), (last, b) in reversed(list(itertools.pairwise(knots))):
        some = last > first
        share = jnp.clip((s - first) / jnp.where(some, last - first, 1), 0, 1)
        piece = jnp.where(some, between(a, b, share), b)
        value = jnp.where(s <= last, piece, value)
    return value
