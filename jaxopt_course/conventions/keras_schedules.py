"""Schedules of Keras, from what ``keras.optimizers.schedules.serialize`` says of them.

Surprises: a boundary b of PiecewiseConstantDecay still belongs to the rate before it; CosineDecay
takes the cosine in float32 whatever the floatx (6e-8 of the rate), copied here.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import LAST_STEP, Schedule, number
from jaxopt_course.conventions import arrays
from jaxopt_course.conventions.odd_values import odd
from jaxopt_course.messages import unknown
from jaxopt_course.schedules import (
    exponential_decay,
    inverse_time_decay,
    polynomial_cycles_schedule,
    polynomial_schedule,
)
from jaxopt_course.schedules.ranges import reached


def schedule_from_keras(config: Mapping[str, Any]) -> Schedule:
    """A schedule of ours from ``keras.optimizers.schedules.serialize(schedule)``.

    Args:
        config: its class and options.

    Returns:
        A schedule: step (), int32 -> rate ().

    Raises:
        TypeError: an option that is no number.
        ValueError: CosineDecayRestarts, or an unknown class; an option that is missing, unknown or
            infinite.

    >>> options = {"initial_learning_rate": 1.0, "decay_steps": 2, "decay_rate": 1.0}
    >>> print(schedule_from_keras({"class_name": "InverseTimeDecay", "config": options})(2))
    0.5
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("config"), Mapping):
        raise TypeError(odd("schedule", config, "keras.optimizers.schedules.serialize(schedule)"))
    kind, options = config.get("class_name"), config["config"]
    if not isinstance(kind, str) or kind not in _SCHEDULES:
        raise ValueError(
            f"{unknown('Keras schedule', kind, _SCHEDULES)}; say the schedule with learning_rate="
        )
    make, needed, optional = _SCHEDULES[kind]
    if missing := sorted(set(needed) - set(options)):
        raise ValueError(f"Keras's {kind} without its {missing[0]}")
    if strange := sorted(map(str, set(options) - {*needed, *optional, "name"})):
        raise ValueError(f"Keras's {kind} with the option {strange[0]!r} cannot be brought over")
    c = {n: _option(kind, n, x) for n, x in options.items() if n != "name"}
    if not c.get("decay_steps", 1) > 0:
        raise ValueError(f"Keras's {kind} has decay_steps={c['decay_steps']}: at least 1 is needed")
    return make({name: x for name, x in c.items() if x is not None})


def _option(kind: str, name: str, x: Any) -> Any:
    """A number, a list of them, or None where it is as good as left out."""
    called = f"{kind}'s {name}"
    if name in _LISTS:
        if not isinstance(x, list | tuple):
            raise TypeError(odd(called, x, "a list of numbers"))
        return [_number(name, f"each of {called}", each) for each in x]
    return None if x is None and name == "warmup_target" else _number(name, called, x)


def _number(name: str, called: str, x: Any) -> Any:
    found = arrays.number(x, called)
    if name in _STEPS and not 0 <= found <= LAST_STEP:
        raise ValueError(f"{called} is a step from 0 to {LAST_STEP:,}, not {found}")
    return found


def _inverse_time(c: Mapping[str, Any]) -> Schedule:
    steps = c["decay_steps"]
    if c.get("staircase"):
        falling = inverse_time_decay(c["initial_learning_rate"], c["decay_rate"])
        return lambda step: falling(step // steps)
    return inverse_time_decay(c["initial_learning_rate"], c["decay_rate"] / steps)


def _exponential(c: Mapping[str, Any]) -> Schedule:
    start, steps, staircase = (
        c["initial_learning_rate"],
        c["decay_steps"],
        c.get("staircase", False),
    )
    if c["decay_rate"] == 0:  # Keras's 0^0 is 1, and then there is no rate; ours would hold it
        first = steps if staircase else 1
        return lambda step: jnp.where(step < first, number(start), 0)
    return exponential_decay(start, steps, c["decay_rate"], staircase=staircase)


def _cosine(c: Mapping[str, Any]) -> Schedule:
    start, steps, share = c["initial_learning_rate"], c["decay_steps"], c.get("alpha", 0.0)
    warms = c.get("warmup_target") is not None  # then from the target, also after a warm-up of 0
    warm, peak = (c.get("warmup_steps", 0), c["warmup_target"]) if warms else (0, start)

    def schedule(step: Any) -> jax.Array:
        top, low = number(peak), number(start)
        s = jnp.asarray(step, top.dtype)
        # Keras's cosine is float32, whatever its floatx; so is all after it: after a warm-up in one
        # compiled branch, where × and + round once, else operation by operation
        rounded = lambda x: x.astype(jnp.float32).astype(top.dtype)
        angle = math.pi * (jnp.clip(s - warm, 0, steps) / steps)
        cosine = jnp.cos(angle.astype(jnp.float32))
        if warms:
            fall = top * ((1 - share) * (0.5 * (1 + cosine)) + share)
        else:
            wave = 0.5 * rounded(1 + cosine.astype(top.dtype))
            level = rounded(rounded(rounded(number(1 - share)) * wave) + rounded(number(share)))
            fall = rounded(rounded(top) * level)
        return jnp.where(s < warm, low + (top - low) * s / max(warm, 1), fall)

    return schedule


def _polynomial(c: Mapping[str, Any]) -> Schedule:
    start, end = c["initial_learning_rate"], c["end_learning_rate"]
    if c.get("cycle"):
        return polynomial_cycles_schedule(start, end, c["power"], c["decay_steps"])
    return polynomial_schedule(start, end, c["power"], c["decay_steps"])


def _piecewise(c: Mapping[str, Any]) -> Schedule:
    if len(c["values"]) != len(c["boundaries"]) + 1:
        raise ValueError(
            f"Keras's PiecewiseConstantDecay has {len(c['boundaries'])} boundaries and "
            f"{len(c['values'])} values: one value more is needed"
        )

    def schedule(step: Any) -> jax.Array:
        values = jnp.stack([number(value) for value in c["values"]])
        passed = [reached(step, math.floor(b) + 1) for b in c["boundaries"]]
        return values[sum(map(jnp.int32, passed))]

    return schedule


_LISTS = {"boundaries", "values"}
_STEPS = {"boundaries", "decay_steps", "warmup_steps"}
_FALL = ("initial_learning_rate", "decay_steps")
# class -> maker, its options, those that may be missing
_SCHEDULES: dict[str, tuple[Any, tuple[str, ...], tuple[str, ...]]] = {
    "InverseTimeDecay": (_inverse_time, (*_FALL, "decay_rate"), ("staircase",)),
    "ExponentialDecay": (_exponential, (*_FALL, "decay_rate"), ("staircase",)),
    "CosineDecay": (_cosine, _FALL, ("alpha", "warmup_target", "warmup_steps")),
    "PolynomialDecay": (_polynomial, (*_FALL, "end_learning_rate", "power"), ("cycle",)),
    "PiecewiseConstantDecay": (_piecewise, ("boundaries", "values"), ()),
}
