"""What a number out of range does: written, it is refused; traced, it counts as the nearest one."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.base import Scalar, number


def is_number(x: Any) -> bool:
    """Whether it is written out, so that it can be checked."""
    return isinstance(x, int | float | np.number)


def check_positive(name: str, value: Scalar) -> None:
    """Refuse a number that is not above 0."""
    if is_number(value) and not value > 0:
        raise ValueError(f"{name} must be positive, not {value}")


def check_range(name: str, value: Scalar, low: float, high: float = np.inf) -> None:
    """Refuse a number outside [low, high], or one that float64 does not reach."""
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        raise ValueError(f"{name} is a whole number beyond float64")
    if is_number(value) and not low <= value <= high:
        above = f" and at most {high:g}" if high < np.inf else ""
        raise ValueError(f"{name} must be at least {low:g}{above}, not {value}")


def check_longer(decay_steps: Scalar, warmup_steps: Scalar) -> None:
    """Refuse a horizon that the warm-up, which counts in it, fills."""
    if is_number(warmup_steps) and is_number(decay_steps) and decay_steps <= warmup_steps:
        raise ValueError(
            f"decay_steps={decay_steps} counts the warm-up too: it must be larger than "
            f"warmup_steps={warmup_steps}"
        )


def check_cycle(steps: Scalar, start: Scalar, div_factor: Scalar, final: Scalar) -> None:
    """Refuse what no cycle can have."""
    check_positive("transition_steps", steps)
    check_positive("div_factor", div_factor)
    check_positive("final_div_factor", final)
    check_range("pct_start", start, 0, 1)


def length_of(span: jax.Array) -> jax.Array:
    """T as a divisor: 1 for T <= 0, and at least 1e-12, whose square is no 0 in float32.

    >>> print(length_of(jnp.array([-1.0, 1e-30, 4.0])))
    [1.e+00 1.e-12 4.e+00]
    """
    safe = jnp.where(span > 1e-12, span, 1e-12)
    return jnp.where(span > 0, safe, 1)


def share_of(s: jax.Array, span: jax.Array) -> jax.Array:
    """s/T between 0 and 1; 0 for T <= 0."""
    return jnp.where(span > 0, jnp.clip(s / length_of(span), 0, 1), 0)


def power_of(x: jax.Array, p: jax.Array) -> jax.Array:
    """x^p for x >= 0, with derivatives that stay finite at x = 0; a p below 0 counts as 0."""
    some, p = x > 0, at_least_0(p)
    return jnp.where(some, jnp.where(some, x, 1) ** p, jnp.where(p == 0, 1, 0))


def reached(step: Any, boundary: Scalar) -> jax.Array:
    """Whether s >= b, for a whole number of steps exactly: float32 knows no 16,777,217.

    >>> print(reached(jnp.int32(16_777_216), 16_777_217), reached(2, 1.5))
    False True
    """
    s = jnp.asarray(step)
    if not jnp.issubdtype(s.dtype, jnp.signedinteger):
        return s >= number(boundary)
    least, most = int(jnp.iinfo(s.dtype).min), int(jnp.iinfo(s.dtype).max)
    if isinstance(boundary, int | np.integer):
        b = int(boundary)
        return s >= max(b, least) if b <= most else jnp.zeros_like(s, bool)
    if jnp.issubdtype(jnp.result_type(boundary), jnp.integer):
        return s >= jnp.clip(jnp.asarray(boundary), least, most).astype(s.dtype)
    up = jnp.ceil(number(boundary))
    below = up < 2.0 ** (jnp.iinfo(s.dtype).bits - 1)
    return below & (s >= jnp.where(below, up, 0).astype(s.dtype))


def since(step: Any, begin: Scalar) -> jax.Array:
    """s - B, B below 0 counting as 0: exact where both are whole, whatever float32 knows.

    >>> since(jnp.int32(16_777_217), 16_777_216), since(2, 0.5)
    (Array(1, dtype=int32), Array(1.5, dtype=float32))
    """
    s = jnp.asarray(step)
    if isinstance(begin, int | np.integer) and jnp.issubdtype(s.dtype, jnp.signedinteger):
        return s - min(max(int(begin), 0), int(jnp.iinfo(s.dtype).max))
    b = jnp.maximum(number(begin), 0)
    return s.astype(b.dtype) - b


def whole_steps(elapsed: Any, span: Scalar, safe: jax.Array) -> jax.Array:
    """⌊s/T⌋ for s >= 0, exact where both are whole.

    Args:
        elapsed: s, steps.
        span: T, as it was given.
        safe: the same as a float above 0.
    """
    s = jnp.asarray(elapsed)
    share = jnp.floor(jnp.maximum(s.astype(safe.dtype), 0) / safe)
    if not jnp.issubdtype(s.dtype, jnp.signedinteger):
        return share
    s, most = jnp.maximum(s, 0), int(jnp.iinfo(s.dtype).max)
    if isinstance(span, int | np.integer) and span > 0:
        return (s // min(int(span), most)).astype(safe.dtype)
    whole_span = (jnp.floor(safe) == safe) & (safe < 2.0**31)
    exact = s // jnp.where(whole_span, safe, 1).astype(s.dtype)
    return jnp.where(whole_span, exact.astype(safe.dtype), share)


def at_least_0(x: jax.Array) -> jax.Array:
    """The number; 0 below 0."""
    return jnp.where(x >= 0, x, 0)  # jnp.maximum would halve the derivative at 0


def divisor(x: Scalar) -> jax.Array:
    """The number; 1 unless above 0."""
    d = number(x)
    return jnp.where(d > 0, d, 1)


def whole(share: Scalar, span: jax.Array) -> jax.Array:
    """The whole step at a share of the span."""
    return jnp.floor(jnp.clip(number(share), 0, 1) * span)


def warm_up(steps: Scalar) -> Scalar:
    """A number as it is, so that step counts stay whole; a traced one at least 0."""
    check_range("warmup_steps", steps, 0)
    return steps if is_number(steps) else at_least_0(number(steps))
