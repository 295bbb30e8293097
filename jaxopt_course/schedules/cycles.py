"""Rates that fall again and again: warm restarts, and a polynomial whose horizon grows."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import Scalar, Schedule, number
from jaxopt_course.schedules.ranges import (
    at_least_0,
    check_positive,
    check_range,
    length_of,
    power_of,
)


def cosine_restarts_schedule(
    init_value: Scalar,
    first_decay_steps: Scalar,
    t_mul: Scalar = 2.0,
    m_mul: Scalar = 1.0,
    alpha: Scalar = 0.0,
) -> Schedule:
    """Half a wave of the cosine again and again; cycle i lasts T_i = T_0 t^i steps.

        η_s = η_0 ((1 - α) m^i (½ + ½ cos(π c/T_i)) + α)       c steps after the last restart

    Args:
        init_value: η_0, the rate after a restart where m = 1.
        first_decay_steps: T_0 > 0; a traced one <= 0 holds the rate at η_0.
        t_mul: t >= 1, by which each cycle is longer than the last.
        m_mul: m >= 0, by which each starts lower.
        alpha: α, what is left at the end of a cycle, as a share of η_0.

    Raises:
        ValueError: a number ``first_decay_steps`` <= 0, ``t_mul`` < 1 or ``m_mul`` < 0.

    Same as Keras's ``CosineDecayRestarts``, whose logarithm may be a step late at a restart.
    PyTorch's ``CosineAnnealingWarmRestarts(T_0, T_mult, eta_min)`` is ``t_mul=T_mult`` (there 1 by
    default) and ``alpha=eta_min/η_0``.  Loshchilov and Hutter (2017), equation (5).

    >>> rate = cosine_restarts_schedule(1.0, first_decay_steps=2)
    >>> [round(float(rate(step)), 4) for step in (0, 1, 2, 4, 6)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """
    check_positive("first_decay_steps", first_decay_steps)
    check_range("t_mul", t_mul, 1)
    check_range("m_mul", m_mul, 0)

    def schedule(step: Any) -> jax.Array:
        eta, a, first = number(init_value), number(alpha), number(first_decay_steps)
        longer, lower = at_least_0(number(t_mul) - 1), at_least_0(number(m_mul))
        some = first > 0
        first = length_of(first)
        s = jnp.asarray(step, eta.dtype)
        cycle = _cycle(s / first, longer)
        # where the logarithm rounded, or the sum: a restart that falls on a step is on that step
        near = s * (1 + 4 * jnp.finfo(s.dtype).eps * (longer != jnp.floor(longer)))
        cycle = cycle + (near >= first * _cycles(cycle + 1, longer))
        cycle = cycle - (near < first * _cycles(cycle, longer))
        before = _cycles(cycle, longer)  # as multiples of the first cycle
        length = first * (1 + before * longer)
        wave = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip((s - first * before) / length, 0, 1)))
        # m^i stops at 1e30, before it overflows
        grows = lower > 1
        last = jnp.log(1e30) / jnp.where(grows, jnp.log(jnp.where(grows, lower, 2)), 1)
        height = power_of(lower, jnp.where(grows, jnp.minimum(cycle, last), cycle))
        return jnp.where(some, eta * ((1 - a) * height * wave + a), eta)

    return schedule


def _cycle(share: jax.Array, longer: jax.Array) -> jax.Array:
    """How many cycles are over after ``share`` times the first, but for rounding; no slope."""
    grow = jnp.where(longer > 0, longer, 1)
    many = jnp.where(longer > 0, jnp.log1p(share * grow) / jnp.log1p(grow), share)
    return jax.lax.stop_gradient(jnp.floor(many))


def _cycles(n: jax.Array, longer: jax.Array) -> jax.Array:
    """1 + t + ... + t^(n-1) = (t^n - 1)/(t - 1), for t = 1 + longer; whole where t is."""
    grow = jnp.where(longer > 0, longer, 1)
    together = jnp.where(longer > 0, jnp.expm1(n * jnp.log1p(grow)) / grow, n)
    exact = jnp.where(longer == jnp.floor(longer), jnp.round(together), together)
    return together + jax.lax.stop_gradient(exact - together)


def polynomial_cycles_schedule(
    init_value: Scalar, end_value: Scalar, power: Scalar, decay_steps: Scalar
) -> Schedule:
    """η_s = (η_0 - η_T)(1 - s/(k T))^p + η_T, with the smallest whole k >= 1 for which s <= k T.

    The rate is back at η_T after each T steps; in between it jumps to about η_0/k and falls again.

    Args:
        init_value: η_0.
        end_value: η_T.
        power: p >= 0; 1 is linear.
        decay_steps: T > 0, steps; a traced one <= 0 holds the rate at η_0.

    Raises:
        ValueError: a number ``decay_steps`` <= 0 or ``power`` < 0.

    Same as Keras's ``PolynomialDecay(cycle=True)``.

    >>> rate = polynomial_cycles_schedule(1.0, 0.0, power=1, decay_steps=4)
    >>> [float(rate(step)) for step in (0, 2, 4, 6, 8)]
    [1.0, 0.5, 0.0, 0.25, 0.0]
    """
    check_positive("decay_steps", decay_steps)
    check_range("power", power, 0)

    def schedule(step: Any) -> jax.Array:
        eta, end, span = number(init_value), number(end_value), number(decay_steps)
        some = span > 0
        share = jnp.asarray(step, eta.dtype) / length_of(span)
        k = jax.lax.stop_gradient(jnp.maximum(jnp.ceil(share), 1))
        rest = jnp.where(some, 1 - share / k, 1)
        return (eta - end) * power_of(rest, number(power)) + end

    return schedule
