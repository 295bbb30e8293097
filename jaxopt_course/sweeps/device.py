"""One device: its lanes, who sits in them, and its calls under way."""

import contextlib
import functools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_course.sweeps.feeding import Feed, Source, said
from jaxopt_course.sweeps.lanes import Lanes, Readings
from jaxopt_course.sweeps.queues import Key
from jaxopt_course.sweeps.snapshot import Results
from jaxopt_course.sweeps.streaming import Span

FREE = -1  # of a lane: nobody sits there


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
        self.lanes, readings = self.segment(self.lanes, self.seats, data, span, ends)
        return readings

    def ready(self) -> bool:
        """Whether the oldest call can be read without waiting."""
        return bool(self.calls[0].readings.first_bad.is_ready())  # type: ignore[attr-defined]


@contextlib.contextmanager
def feeding(devices: Sequence[Device], source: Source | None, results: Results) -> Iterator[None]:
    """Let the threads that read ahead go at the end, and say how the reading went."""
    feeds, start = [d.feed for d in devices if d.feed is not None], time.perf_counter()
    try:
        yield
    finally:
        for feed in feeds:
            feed.close()
        if source is not None:
            results.read = said(feeds, source, time.perf_counter() - start)


@jax.jit
def take(state: Any, lane: Any) -> Any:
    """The state of one lane."""
    pick = jax.lax.dynamic_index_in_dim
    return jax.tree.map(lambda x: pick(x, lane, keepdims=False), state)


@functools.partial(jax.jit, donate_argnums=0)
def place(lanes: Lanes, lane: Any, state: Any) -> Lanes:
    """The lanes with a state put back into one of them."""
    put = jax.lax.dynamic_update_index_in_dim
    states = jax.tree.map(lambda x, one: put(x, one, lane, 0), lanes.state, state)
    return Lanes(states, put(lanes.first_bad, np.int32(FREE), lane, 0))


def shapes_of_one(state: Any) -> Any:
    """The shapes of one lane."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), state)
