"""One device: its lanes, who sits in them, and its calls under way."""

import contextlib
import functools
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_course.sweeps.feeding import Feed, Source, said
from jaxopt_course.sweeps.lanes import Data, Lanes, Readings, Rhythm, room
from jaxopt_course.sweeps.mesh import hold_lanes, hold_state, put, put_lanes, put_state, slice_of
from jaxopt_course.sweeps.program import Program
from jaxopt_course.sweeps.queues import Key
from jaxopt_course.sweeps.snapshot import Results
from jaxopt_course.sweeps.streaming import Span

FREE = -1  # of a lane: nobody sits there
SHARE = 8  # a call is an eighth of a trial at most, so that the lane of a bad one is soon free ...
SHORT_SECONDS = 0.03  # ... unless that is shorter than this, and few are bad, or nobody waits


@dataclass
class Call:
    """A segment under way."""

    readings: Readings
    guests: np.ndarray  # (W,), rows or FREE
    begins: np.ndarray  # (W,), intervals that the guests had behind them
    intervals: int
    span: Span | None = None  # of a stream


@dataclass
class Device:
    """The lanes of one device and who sits in them."""

    device: Any
    seat: Callable[..., Lanes]
    segment: Callable[..., tuple[Lanes, Readings]]
    lanes: Any
    data: Any
    guests: np.ndarray  # (W,), rows or FREE
    seats: Any = None  # on the device, as long as nobody moves
    together: Key | None = None
    calls: deque[Call] = field(default_factory=deque)
    pace: float | None = None  # seconds an interval
    read_at: float = 0.0
    feed: Feed | None = None  # of a stream

    def advance(self, data: Any, span: Any, ends: np.bool_) -> Readings:
        """A call, under way."""
        if not self.calls:  # it begins now, and not when the last one was read
            self.read_at = time.perf_counter()
        self.lanes, readings = self.segment(self.lanes, self.seats, data, span, ends)
        return readings

    def sit(self, seats: Any) -> None:
        """Say who sits where."""
        self.seats = put(seats, self.device)

    def begin(self, fresh: np.ndarray) -> None:
        """Let the guests of these lanes begin."""
        self.lanes = self.seat(self.lanes, self.seats, fresh)

    def tells(self) -> bool:
        """Whether the state of each guest can be had now."""
        return True

    def take(self, lane: int) -> Any:
        """The state of a lane."""
        return take(self.lanes.state, np.int32(lane), slice_of(self.device))

    def admit(self, lane: int, state: Any, first_bad: Any) -> None:
        """Put a state into a lane, wherever it was, and its run of bad losses."""
        if getattr(jax.tree.leaves(state)[0], "device", None) != self.device:
            state = put_state(state, self.device)  # slow, even where it does nothing
        self.lanes = place(self.lanes, np.int32(lane), state, first_bad, slice_of(self.device))

    def aim(self, rhythm: Rhythm, seconds: float, results: Results, alone: bool) -> int:
        """How many intervals a call should take.

        Args:
            rhythm: of the trials.
            seconds: that it should take.
            results: so far; where more than an eighth of the trials were bad, more will be.
            alone: whether nobody waits for a lane, so that a bad one keeps nobody from it.
        """
        if self.pace is None:
            return 1
        share = rhythm.intervals if alone else math.ceil(rhythm.intervals / SHARE)
        bad = results.first_bad >= 0
        if bad.sum() * SHARE <= (bad | results.finished).sum():
            share = max(share, round(SHORT_SECONDS / self.pace))
        return min(max(1, min(round(seconds / self.pace), share)), room(rhythm))

    def ready(self) -> bool:
        """Whether the oldest call can be read without waiting."""
        return bool(self.calls[0].readings.first_bad.is_ready())  # type: ignore[attr-defined]


def make_devices(
    program: Program, empty: Lanes, data: Data, source: Source | None, most: int
) -> list[Device]:
    """Those of a program, with empty lanes and the data, but not those of a stream.

    Args:
        program: compiled for them.
        empty: lanes.
        data: the three parts.
        source: of a stream.
        most: devices that have a use; the others get nothing.
    """
    kept = data if source is None else data._replace(train=())
    return [
        Device(
            device,
            seat,
            segment,
            put_lanes(empty, device),
            put(kept, device),
            np.full(program.lanes, FREE),
            feed=None if source is None else Feed(source, program.rhythm, device),
        )
        for device, seat, segment in zip(
            program.devices[:most], program.seat[:most], program.segment[:most], strict=True
        )
    ]


@contextlib.contextmanager
def feeding(
    devices: Sequence[Device], source: Source | None
) -> Iterator[Callable[[Results], None]]:
    """Let the threads that read ahead go at the end; gives what tells how the reading goes."""
    feeds = [device.feed for device in devices if device.feed is not None]

    def tell(results: Results) -> None:
        if source is not None:
            results.read = said(feeds, source)

    try:
        yield tell
    finally:
        for feed in feeds:
            feed.close()


def seated(devices: Iterable[Device]) -> dict[int, Any]:
    """The states of all guests, on the host, by row."""
    states = {}
    for device in devices:
        lanes = jax.device_get(device.lanes.state)
        for lane in np.flatnonzero(device.guests != FREE).tolist():
            one = lambda x, lane=lane: x[lane]
            states[int(device.guests[lane])] = jax.tree.map(one, lanes)
    return states


@functools.partial(jax.jit, static_argnames="where")
def take(state: Any, lane: Any, where: Any = None) -> Any:
    """The state of one lane; ``where``: the slice that it lies on, if it is one."""
    pick = jax.lax.dynamic_index_in_dim
    return hold_state(jax.tree.map(lambda x: pick(x, lane, keepdims=False), state), where)


@functools.partial(jax.jit, donate_argnums=0, static_argnames="where")
def place(lanes: Lanes, lane: Any, state: Any, first_bad: Any, where: Any = None) -> Lanes:
    """The lanes with a state put back into one of them, and its run of bad losses."""
    put = jax.lax.dynamic_update_index_in_dim
    states = jax.tree.map(lambda x, one: put(x, one, lane, 0), lanes.state, state)
    return hold_lanes(Lanes(states, put(lanes.first_bad, first_bad, lane, 0)), where)
