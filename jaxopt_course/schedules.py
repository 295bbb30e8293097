"""Learning rates that change with time: a schedule maps the step s = 0, 1, 2, ... to a number.

    constant        η_s = η_0
    inverse time    η_s = η_0 / (1 + η_d s)
    exponential     η_s = η_0 r^{s/T}
    polynomial      η_s = (η_0 - η_T) (1 - s/T)^p + η_T            s <= T; linear for p = 1
    cosine          η_s = η_0 ((1 - α) (½ + ½ cos(π s/T))^p + α)    s <= T
    warm-up         linear from η_0 to the peak in W steps, then constant or cosine
    one cycle       up to the peak and down again, lower than the start
    piecewise       η_0 times the scales of all boundaries passed
    join            one schedule after the other, each from its own step 0

The step is the number of updates done, so the first update uses schedule(0).  Every argument may
be a Python number or traced, horizons, boundaries, powers and switches included: a sweep over
warm-ups is one program.  A schedule takes a step (), int32 or float, and returns a rate (), float32
(float64 where enabled).  Names, positions and defaults of the arguments are optax's.

A number out of range raises ValueError when the schedule is made.  A traced one cannot, and counts
as the nearest that makes sense, so that every value and every derivative stays finite: a horizon
<= 0 holds the rate at its first value, as a ratio r <= 0 does; a decay rate, a power or a warm-up
below 0 counts as 0, a factor that divides as 1 unless above 0, a share as within 0 and 1; and what
would grow without end stops at 1e30 times its start.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.base import Flag, Scalar, Schedule, either, number


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

    Raises:
        ValueError: a number ``decay_rate`` < 0.

    Robbins and Monro (1951), conditions (1.26)-(1.27); Keras calls it ``InverseTimeDecay``; optax
    has no such schedule.

    >>> rate = inverse_time_decay(init_value=1.0, decay_rate=0.5)
    >>> [float(rate(step)) for step in (0, 2, 6)]
    [1.0, 0.5, 0.25]
    """
    _check_range("decay_rate", decay_rate, 0)

    def schedule(step: Any) -> jax.Array:
        eta_0, eta_d = number(init_value), _at_least_0(number(decay_rate))
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
    _check_range("decay_rate", decay_rate, 0)

    def schedule(step: Any) -> jax.Array:
        eta, r, span = number(init_value), number(decay_rate), number(transition_steps)
        s = jnp.asarray(step, eta.dtype) - jnp.maximum(number(transition_begin), 0)
        moving = (span > 0) & (r > 0)
        share = jnp.maximum(s, 0) / jnp.where(moving, span, 1)
        share = either(staircase, lambda: jnp.floor(share), lambda: share)
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
    _check_range("power", power, 0)

    def schedule(step: Any) -> jax.Array:
        eta, end, span = number(init_value), number(end_value), number(transition_steps)
        s = jnp.asarray(step, eta.dtype) - jnp.maximum(number(transition_begin), 0)
        rest = 1 - _share(s, span)
        return (eta - end) * _power(rest, number(power)) + end

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
    _check_positive("decay_steps", decay_steps)
    _check_range("exponent", exponent, 0)

    def schedule(step: Any) -> jax.Array:
        eta, a, span = number(init_value), number(alpha), number(decay_steps)
        wave = 0.5 * (1 + jnp.cos(jnp.pi * _share(jnp.asarray(step, eta.dtype), span)))
        return eta * ((1 - a) * _power(wave, number(exponent)) + a)

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
    warm = _warm_up(warmup_steps)
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
    if _is_number(warmup_steps) and _is_number(decay_steps) and decay_steps <= warmup_steps:
        raise ValueError(
            f"decay_steps={decay_steps} counts the warm-up too: it must be larger than "
            f"warmup_steps={warmup_steps}"
        )
    _check_range("exponent", exponent, 0)
    warm = _warm_up(warmup_steps)

    def fall(step: Any) -> jax.Array:
        peak, end = number(peak_value), number(end_value)
        span = number(decay_steps) - number(warm)
        some = peak != 0
        alpha = jnp.where(some, end / jnp.where(some, peak, 1), 0)
        wave = 0.5 * (1 + jnp.cos(jnp.pi * _share(jnp.asarray(step, peak.dtype), span)))
        return peak * ((1 - alpha) * _power(wave, number(exponent)) + alpha)

    return join_schedules([linear_schedule(init_value, peak_value, warm), fall], [warm])


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
    _check_cycle(transition_steps, pct_start, div_factor, final_div_factor)
    _check_range("pct_final", pct_final, 0, 1)
    if _is_number(pct_start) and _is_number(pct_final) and pct_final < pct_start:
        raise ValueError(f"pct_final={pct_final} is before pct_start={pct_start}")

    def knots() -> tuple[list[Any], list[Any]]:
        span, d, f = number(transition_steps), _divisor(div_factor), _divisor(final_div_factor)
        first = number(peak_value) / d
        up, back = _whole(pct_start, span), _whole(pct_final, span)
        peak = first * d
        low = peak * (1 / d)
        return [0 * up, up, back, span], [first, peak, low, low * (1 / f)]

    return _interpolated(knots, lambda a, b, x: (b - a) * x + a)


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
    that of fastai and PyTorch's ``OneCycleLR``.

    >>> rate = cosine_onecycle_schedule(10, 1.0, div_factor=4.0)
    >>> [round(float(rate(step)), 4) for step in (0, 3, 10)]
    [0.25, 1.0, 0.0]
    """
    _check_cycle(transition_steps, pct_start, div_factor, final_div_factor)

    def knots() -> tuple[list[Any], list[Any]]:
        span, d, f = number(transition_steps), _divisor(div_factor), _divisor(final_div_factor)
        first = number(peak_value) / d
        up, peak = _whole(pct_start, span), first * d
        return [0 * up, up, jnp.floor(span)], [first, peak, peak / (d * f)]

    return _interpolated(knots, lambda a, b, x: b + 0.5 * (a - b) * (1 + jnp.cos(jnp.pi * x)))


def piecewise_constant_schedule(
    init_value: Scalar,
    boundaries_and_scales: Mapping[int, Scalar] | None = None,
    *,
    boundaries: Any = (),
    scales: Any = (),
) -> Schedule:
    """η_s = η_0 times the scales of all boundaries with b <= s.

    Args:
        init_value: η_0.
        boundaries_and_scales: optax's dictionary, step -> scale.
        boundaries: in its place, steps: a sequence or an array (n,), also traced (a dictionary's
            keys cannot be).
        scales: as many factors >= 0.

    Raises:
        ValueError: a negative scale; boundaries and scales of different lengths, or beside a
            dictionary.

    Same as ``optax.piecewise_constant_schedule``.

    >>> rate = piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.5})
    >>> [float(rate(step)) for step in (0, 2, 3, 4)]
    [1.0, 0.5, 0.5, 0.25]
    """
    if boundaries_and_scales:
        if len(boundaries) or len(scales):
            raise ValueError("give either boundaries_and_scales, or boundaries= and scales=")
        boundaries, scales = list(boundaries_and_scales), list(boundaries_and_scales.values())
    if len(boundaries) != len(scales):
        raise ValueError(f"{len(boundaries)} boundaries have {len(scales)} scales")
    for scale in scales:
        if _is_number(scale) and scale < 0:
            raise ValueError(f"piecewise_constant_schedule: the scale {scale} is negative")

    def schedule(step: Any) -> jax.Array:
        value = number(init_value)
        for boundary, scale in zip(boundaries, scales, strict=True):
            passed = jnp.asarray(step, value.dtype) >= number(boundary)
            value = jnp.where(passed, value * number(scale), value)
        return value

    return schedule


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[Scalar]) -> Schedule:
    """The first schedule up to the first boundary, then the second from its step 0, and so on.

    Args:
        schedules: n schedules.
        boundaries: n - 1 steps, rising; traced ones too.

    Raises:
        ValueError: not one schedule more than boundaries, or numbers that fall.

    Same as ``optax.join_schedules``, which does not check.

    >>> rate = join_schedules([constant_schedule(1.0), lambda s: 0.5**s], boundaries=[2])
    >>> [float(rate(step)) for step in (0, 1, 2, 3)]
    [1.0, 1.0, 1.0, 0.5]
    """
    if len(schedules) != len(boundaries) + 1:
        raise ValueError(
            f"{len(schedules)} schedules need {len(schedules) - 1} boundaries, not "
            f"{len(boundaries)}"
        )
    known = [b for b in boundaries if _is_number(b)]
    if known != sorted(known):
        raise ValueError(f"boundaries must rise: {known}")

    def schedule(step: Any) -> jax.Array:
        value = jnp.asarray(schedules[0](step))
        for boundary, following in zip(boundaries, schedules[1:], strict=True):
            own = jnp.maximum(jnp.asarray(step) - boundary, 0)  # before its time it is not used
            value = jnp.where(jnp.asarray(step) < boundary, value, following(own))
        return value

    return schedule


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


def _share(s: jax.Array, span: jax.Array) -> jax.Array:
    """s/T between 0 and 1; 0 for T <= 0."""
    some = span > 0
    return jnp.where(some, jnp.clip(s / jnp.where(some, span, 1), 0, 1), 0)


def _power(x: jax.Array, p: jax.Array) -> jax.Array:
    """x^p for x >= 0, with derivatives that stay finite at x = 0; a p below 0 counts as 0."""
    some, p = x > 0, _at_least_0(p)
    return jnp.where(some, jnp.where(some, x, 1) ** p, jnp.where(p == 0, 1, 0))


def _at_least_0(x: jax.Array) -> jax.Array:
    return jnp.where(x >= 0, x, 0)  # jnp.maximum would halve the derivative at 0


def _divisor(x: Scalar) -> jax.Array:
    """The number; 1 unless above 0."""
    d = number(x)
    return jnp.where(d > 0, d, 1)


def _whole(share: Scalar, span: jax.Array) -> jax.Array:
    """The whole step at a share of the span."""
    return jnp.floor(jnp.clip(number(share), 0, 1) * span)


def _warm_up(steps: Scalar) -> Scalar:
    """A number as it is, so that step counts stay whole; a traced one at least 0."""
    _check_range("warmup_steps", steps, 0)
    return steps if _is_number(steps) else _at_least_0(number(steps))


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.number)


def _check_positive(name: str, value: Scalar) -> None:
    if _is_number(value) and not value > 0:
        raise ValueError(f"{name} must be positive, not {value}")


def _check_range(name: str, value: Scalar, low: float, high: float = np.inf) -> None:
    if _is_number(value) and not low <= value <= high:
        above = f" and at most {high:g}" if high < np.inf else ""
        raise ValueError(f"{name} must be at least {low:g}{above}, not {value}")


def _check_cycle(steps: Scalar, start: Scalar, div_factor: Scalar, final: Scalar) -> None:
    _check_positive("transition_steps", steps)
    _check_positive("div_factor", div_factor)
    _check_positive("final_div_factor", final)
    _check_range("pct_start", start, 0, 1)
