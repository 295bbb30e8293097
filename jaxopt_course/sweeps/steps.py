"""The steps of an interval, their data order computed ahead, many steps at a time.

    lanes, sums = steps(lanes, seats, data)

The order of one step's examples takes as long to compute as that of a hundred: it is a loop of its
own over few numbers.  So it is computed for as many steps as fit, in whole units of a record where
these are short, in parts of one where it is long; the sums of a unit are those of its steps in turn
either way.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

AHEAD = 1 << 14  # examples of a lane whose order is computed at once


def each(one: Callable[..., Any], axes: Any, width: int) -> Callable[..., Any]:
    """``vmap`` over the lanes; a single lane is what it is without, and its products no batches.

    Args:
        one: of one lane.
        axes: as ``in_axes`` of ``vmap``.
        width: W.
    """
    if width > 1:
        return jax.vmap(one, in_axes=axes)

    def alone(*arguments: Any) -> Any:
        only = lambda axis, x: x if axis is None else jax.tree.map(lambda leaf: leaf[0], x)
        given = jax.tree.map(only, axes, arguments, is_leaf=lambda axis: axis is None)
        return jax.tree.map(lambda x: x[None], one(*given))

    return alone


def make_steps(
    advance: Callable[..., tuple[Any, Any]],
    rows_of: Callable[..., Any] | None,
    unit: int,
    units: int,
    measured: Any,
) -> Callable[..., tuple[Any, Any]]:
    """The function ``steps`` of the module's docstring.

    Args:
        advance: (lanes, seats, data, rows) -> (lanes, measured), one step; measured: leaves (W,).
        rows_of: (seed, step, train part) -> (B,), the examples of a step; None where there are no
            rows to be chosen.
        unit: steps whose measurements are summed.
        units: of an interval.
        measured: the structure of what a step measures; to trace it for that takes as long again.

    Returns:
        a function whose ``sums`` are as ``measured``, leaves (units, W), float32.
    """

    def steps(lanes: Any, seats: Any, data: Any) -> tuple[Any, Any]:
        zero = jnp.zeros(lanes.first_bad.shape, jnp.float32)
        bare, whole = carried(len(zero))
        at_once, part = (1, unit) if rows_of is None else ahead(unit, units, batch(data))

        def order(lanes: Any, count: int) -> jax.Array | None:
            """(count, W, B), the examples of the next steps."""
            if rows_of is None:
                return None
            coming = whole(lanes).state.step[None] + jnp.arange(count, dtype=jnp.int32)[:, None]
            of_all = jax.vmap(lambda seed, step: rows_of(seed, step, data.train))
            return jax.vmap(of_all, in_axes=(None, 0))(seats.seeds, coming)

        def one(carry: tuple[Any, Any], rows: jax.Array | None) -> tuple[Any, None]:
            lanes, totals = carry
            lanes, now = advance(whole(lanes), seats, data, rows)
            add = lambda total, x: total + x.astype(jnp.float32)
            return (bare(lanes), jax.tree.map(add, totals, now)), None

        def some(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
            return jax.lax.scan(one, carry, order(carry[0], part), length=part)

        def of_unit(lanes: Any, rows: jax.Array | None) -> tuple[Any, Any]:
            start = (lanes, jax.tree.map(lambda _: zero, measured))
            if part < unit:
                return jax.lax.scan(some, start, length=unit // part)[0]
            return jax.lax.scan(one, start, rows, length=unit)[0]

        def of_units(lanes: Any, _: None) -> tuple[Any, Any]:
            rows = order(lanes, at_once * unit) if part == unit else None
            split = lambda x: x.reshape(at_once, unit, *x.shape[1:])
            return jax.lax.scan(of_unit, lanes, jax.tree.map(split, rows), length=at_once)

        lanes, sums = jax.lax.scan(of_units, bare(lanes), length=units // at_once)
        return whole(lanes), jax.tree.map(lambda x: x.reshape(units, *x.shape[2:]), sums)

    def batch(data: Any) -> int:
        seed, step = jax.ShapeDtypeStruct((), jnp.uint32), jax.ShapeDtypeStruct((), jnp.int32)
        return int(jax.eval_shape(rows_of, seed, step, data.train).shape[0])  # type: ignore[arg-type]

    return steps


def carried(width: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """How lanes go from step to step, and back: a single one without its axis.

    With it XLA copies every leaf of the state at each step, half of the time of a small network.
    """
    if width > 1:
        return (lambda lanes: lanes), (lambda lanes: lanes)
    bare = functools.partial(jax.tree.map, lambda x: x[0])
    return bare, functools.partial(jax.tree.map, lambda x: x[None])


def ahead(unit: int, units: int, batch_size: int) -> tuple[int, int]:
    """Units, and steps of one, whose order is computed at once; the first is 1 or the second all.

    >>> ahead(unit=39, units=1, batch_size=64), ahead(unit=1, units=100, batch_size=500)
    ((1, 39), (25, 1))
    >>> ahead(unit=1000, units=1, batch_size=64)
    (1, 250)
    """
    fit = max(1, AHEAD // batch_size)
    if fit < unit:
        return 1, _divisor(unit, fit)
    return _divisor(units, fit // unit), unit


def _divisor(number: int, most: int) -> int:
    """The largest one up to ``most``."""
    return max(n for n in range(1, min(number, most) + 1) if number % n == 0)
