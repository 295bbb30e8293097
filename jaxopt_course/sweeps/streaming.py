"""The segment program of a stream, and where its calls begin and end.

    lanes, readings = segment(lanes, seats, data, span, ends)    where data.train: (C, B, ...)

All lanes of a call are at one step, and step s of each trains on batch s of the stream, so one
chunk of batches serves them all.  A call takes as many batches as fit in the stream's bytes, so it
is a part of an evaluation interval, or one or more whole ones; never more than an end and a part.

Losses are summed over ticks: the longest runs of steps that divide the units of a trial's records,
its length and what a chunk holds.  The host adds them up to units, whose sums the rest of the
engine knows.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.sweeps.lanes import (
    Data,
    Lanes,
    Readings,
    Rhythm,
    Seats,
    Trial,
    make_segment,
    room,
)

Tree = Any
CHUNKS = 3  # on a device at once: of a call, of the next one, and what is read ahead


class Span(NamedTuple):
    """What a call does; numbers of ticks."""

    ticks: Any  # all that it does
    first: Any  # of them, those of the first interval
    evaluations: Any  # intervals that end in it


class Pieces(NamedTuple):
    """How a trial of a stream is cut."""

    tick: int  # steps
    an_interval: int  # ticks
    total: int  # ticks of a trial
    chunk: int  # ticks that a call holds
    evaluations: int  # of a call, at most

    @property
    def batches(self) -> int:
        """C, of a chunk."""
        return self.chunk * self.tick


def pieces_of(rhythm: Rhythm) -> Pieces:
    """The pieces of a rhythm that has ``fits``, the batches that a call may hold."""
    together = math.gcd(rhythm.unit, rhythm.steps)
    tick = max(n for n in range(1, min(together, rhythm.fits) + 1) if together % n == 0)
    an_interval, total = rhythm.evaluate_every // tick, rhythm.steps // tick
    held = rhythm.fits // tick
    if held >= an_interval:
        evaluations = min(room(rhythm), held // an_interval)
        return Pieces(tick, an_interval, total, min(evaluations * an_interval, total), evaluations)
    parts = math.ceil(an_interval / held)
    return Pieces(tick, an_interval, total, math.ceil(an_interval / parts), 1)


def span_of(rhythm: Rhythm, intervals: int, into: int, left: int) -> tuple[Span, int]:
    """What the next call does, and how many intervals it ends.

    Args:
        rhythm: of the trials.
        intervals: that all guests have behind them.
        into: ticks that they have behind them of the next one.
        left: intervals that they train on, at most.
    """
    pieces = pieces_of(rhythm)
    end = lambda interval: min(interval * pieces.an_interval, pieces.total)
    first = end(intervals + 1) - end(intervals) - into
    if first > pieces.chunk:
        return Span(np.int32(pieces.chunk), np.int32(pieces.chunk), np.int32(0)), 0
    ticks, done = first, 1
    while done < min(left, pieces.evaluations):
        more = end(intervals + done + 1) - end(intervals + done)
        if ticks + more > pieces.chunk:
            break
        ticks, done = ticks + more, done + 1
    return Span(np.int32(ticks), np.int32(first), np.int32(done)), done


def argument(rhythm: Rhythm, intervals: int) -> Any:
    """How a call of whole intervals from a trial's start is asked for."""
    if not rhythm.fits:
        return np.int32(intervals)
    if intervals == 0:
        return Span(np.int32(0), np.int32(0), np.int32(0))
    return span_of(rhythm, 0, 0, intervals)[0]


def room_of(rhythm: Rhythm) -> int:
    """Intervals that one call can report."""
    return pieces_of(rhythm).evaluations if rhythm.fits else room(rhythm)


def segment_of(
    trial: Trial, rhythm: Rhythm, names: Sequence[Sequence[str]]
) -> Callable[..., tuple[Lanes, Readings]]:
    """The segment program for this rhythm; ``names``, as ``names_of`` has them."""
    measured, recorded, tested = names
    known = sorted(measured), sorted(tested)
    return make_segment(
        trial, rhythm, recorded, make_stream_segment if rhythm.fits else None, known
    )


def chunked(data: Data, rhythm: Rhythm) -> Data:
    """Data as the program takes them, of which the stream's chunk is a shape alone."""
    if not rhythm.fits:
        return data
    size = pieces_of(rhythm).batches
    shape = lambda x: jax.ShapeDtypeStruct((size, *x.shape), x.dtype)
    return data._replace(train=jax.tree.map(shape, data.train))


def chunk_bytes(data: Data, rhythm: Rhythm) -> int:
    """Of a stream's chunk; 0 where the data are on the device."""
    if not rhythm.fits:
        return 0
    return pieces_of(rhythm).batches * sum(x.nbytes for x in jax.tree.leaves(data.train))


def filled(data: Data, rhythm: Rhythm) -> Data:
    """Data with a chunk of the same batch again and again."""
    if not rhythm.fits:
        return data
    size = pieces_of(rhythm).batches
    again = lambda x: jnp.broadcast_to(x[None], (size, *x.shape))
    return data._replace(train=jax.tree.map(again, data.train))


def make_stream_segment(
    rhythm: Rhythm,
    advance: Callable[[Lanes, Seats, Data], tuple[Lanes, Any]],
    evaluate_all: Callable[[Lanes, Seats, Data], dict[str, jax.Array]],
    evaluate_test: Callable[[Lanes, Seats, Data], dict[str, jax.Array]],
    judged: Callable[[Lanes, dict[str, jax.Array]], jax.Array],
    looked_at: Callable[[Lanes, Seats, dict[str, jax.Array]], Lanes],
) -> Callable[..., tuple[Lanes, Readings]]:
    """The program of the module's docstring, of the steps and evaluations of ``lanes``.

    Args:
        rhythm: of the trials.
        advance: one step of every lane; ``data.train`` is the batch of the step, once a lane.
        evaluate_all: all that is measured for validation.
        evaluate_test: on the test part.
        judged: ``first_bad`` of lanes that were measured so.
        looked_at: the lanes once they were.
    """
    pieces = pieces_of(rhythm)
    put = jax.lax.dynamic_update_index_in_dim

    def segment(
        lanes: Lanes, seats: Seats, data: Data, span: Span, ends: jax.Array
    ) -> tuple[Lanes, Readings]:
        zero = jnp.zeros(lanes.first_bad.shape, jnp.float32)

        def of_step(step: Any) -> Data:
            pick = lambda x: jax.lax.dynamic_index_in_dim(x, step, keepdims=True)
            wide = lambda x: jnp.broadcast_to(x, (*zero.shape, *x.shape[1:]))
            return data._replace(train=jax.tree.map(lambda x: wide(pick(x)), data.train))

        _, measured = jax.eval_shape(advance, lanes, seats, of_step(0))
        names = jax.eval_shape(evaluate_all, lanes, seats, data)
        tested = jax.eval_shape(evaluate_test, lanes, seats, data)

        def tick(i: jax.Array, carry: tuple[Lanes, Any]) -> tuple[Lanes, Any]:
            lanes, sums = carry

            def one(carry: tuple[Lanes, Any], j: jax.Array) -> tuple[Any, None]:
                lanes, totals = carry
                lanes, new = advance(lanes, seats, of_step(i * pieces.tick + j))
                add = lambda total, x: total + x.astype(jnp.float32)
                return (lanes, jax.tree.map(add, totals, new)), None

            start = (lanes, jax.tree.map(lambda _: zero, measured))
            (lanes, totals), _ = jax.lax.scan(one, start, jnp.arange(pieces.tick))
            return lanes, jax.tree.map(lambda x, total: put(x, total, i, 0), sums, totals)

        def interval(j: jax.Array, carry: Any) -> Any:
            lanes, sums, valid, done = carry
            rest = jnp.minimum(pieces.an_interval, span.ticks - done)
            until = done + jnp.where(j == 0, span.first, rest)
            lanes, sums = jax.lax.fori_loop(done, until, tick, (lanes, sums))
            metrics = jax.lax.cond(
                span.evaluations > 0,
                lambda lanes: evaluate_all(lanes, seats, data),
                lambda lanes: dict.fromkeys(names, zero),
                lanes,
            )
            seen = looked_at(lanes, seats, metrics)
            if seen is not lanes:
                choose = functools.partial(jnp.where, span.evaluations > 0)
                lanes = jax.tree.map(choose, seen, lanes)
            first_bad = judged(lanes, metrics)
            first_bad = jnp.where(span.evaluations > 0, first_bad, lanes.first_bad)
            lanes = lanes._replace(first_bad=first_bad)
            valid = {name: put(valid[name], metrics[name], j, 0) for name in names}
            return lanes, sums, valid, until

        rows = lambda n: jnp.zeros((n, *zero.shape), jnp.float32)
        sums = jax.tree.map(lambda _: rows(pieces.chunk), measured)
        valid = {name: rows(pieces.evaluations) for name in names}
        start = (lanes, sums, valid, jnp.int32(0))
        loops = jnp.maximum(span.evaluations, 1)
        lanes, sums, valid, _ = jax.lax.fori_loop(0, loops, interval, start)
        test = jax.lax.cond(
            ends,
            lambda lanes: evaluate_test(lanes, seats, data),
            lambda lanes: dict.fromkeys(tested, zero),
            lanes,
        )
        loss_sums, recorded = sums
        return lanes, Readings(loss_sums, recorded, valid, test, lanes.first_bad)

    return segment


def join(parts: list[tuple[Readings, Span]], rhythm: Rhythm) -> Readings:
    """The readings of calls, of which the last one ends an interval, by whole intervals."""
    pieces, (last, span) = pieces_of(rhythm), parts[-1]
    intervals = int(span.evaluations)

    def units(sums_of: Callable[[Readings], Any]) -> Any:
        sums = np.concatenate([sums_of(one)[: int(of.ticks)] for one, of in parts])
        short = intervals * pieces.an_interval - len(sums)  # of a trial's last interval
        sums = np.concatenate([sums.astype(np.float64), np.zeros((short, sums.shape[1]))])
        shape = (intervals, rhythm.units, rhythm.unit // pieces.tick, sums.shape[1])
        return sums.reshape(shape).sum(axis=2).astype(np.float32)

    recorded = {name: units(functools.partial(_recorded, name)) for name in last.recorded}
    return last._replace(loss_sums=units(lambda one: one.loss_sums), recorded=recorded)


def _recorded(name: str, readings: Readings) -> Any:
    return readings.recorded[name]
