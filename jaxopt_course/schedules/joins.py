"""Schedules of pieces: scales at boundaries, and one schedule after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import LAST_STEP, Scalar, Schedule, number
from jaxopt_course.schedules.ranges import is_number, reached


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
        TypeError: ``boundaries_and_scales`` is no dictionary.
        ValueError: a negative scale; boundaries and scales of different lengths, or beside a
            dictionary.

    Same as ``optax.piecewise_constant_schedule``.

    >>> rate = piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.5})
    >>> [float(rate(step)) for step in (0, 2, 3, 4)]
    [1.0, 0.5, 0.5, 0.25]
    """
    if boundaries_and_scales is not None and not isinstance(boundaries_and_scales, Mapping):
        raise TypeError(
            "boundaries_and_scales is a dictionary, {step: scale}, not "
            f"{boundaries_and_scales!r:.60}"
        )
    if boundaries_and_scales:
        if len(boundaries) or len(scales):
            raise ValueError("give either boundaries_and_scales, or boundaries= and scales=")
        boundaries, scales = list(boundaries_and_scales), list(boundaries_and_scales.values())
    for name, given in (("boundaries", boundaries), ("scales", scales)):
        one = isinstance(given, str | bytes) or not hasattr(given, "__len__")
        if one or getattr(given, "ndim", 1) != 1:
            raise TypeError(f"{name} is a sequence of numbers, not {given!r:.60}")
    if len(boundaries) != len(scales):
        raise ValueError(f"{len(boundaries)} boundaries have {len(scales)} scales")
    for scale in scales:
        if is_number(scale) and scale < 0:
            raise ValueError(f"piecewise_constant_schedule: the scale {scale} is negative")

    def schedule(step: Any) -> jax.Array:
        value = number(init_value)
        for boundary, scale in zip(boundaries, scales, strict=True):
            value = jnp.where(reached(step, boundary), value * number(scale), value)
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

    >>> from jaxopt_course.schedules import constant_schedule
    >>> rate = join_schedules([constant_schedule(1.0), lambda s: 0.5**s], boundaries=[2])
    >>> [float(rate(step)) for step in (0, 1, 2, 3)]
    [1.0, 1.0, 1.0, 0.5]
    """
    if len(schedules) != len(boundaries) + 1:
        raise ValueError(
            f"{len(schedules)} schedules need {len(schedules) - 1} boundaries, not "
            f"{len(boundaries)}"
        )
    known = [b for b in boundaries if is_number(b)]
    if known != sorted(known):
        raise ValueError(f"boundaries must rise: {known}")

    # 100.0 is 100: a float would round the steps after 2**24
    boundaries = [int(b) if is_number(b) and float(b).is_integer() else b for b in boundaries]

    def schedule(step: Any) -> jax.Array:
        value = jnp.asarray(schedules[0](step))
        for boundary, following in zip(boundaries, schedules[1:], strict=True):
            if isinstance(boundary, int) and boundary > LAST_STEP:
                break  # of no step
            own = jnp.maximum(jnp.asarray(step) - boundary, 0)  # before its time it is not used
            value = jnp.where(reached(step, boundary), following(own), value)
        return value

    return schedule
