"""The host's side of a stream: a thread a device that reads ahead while the device works."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxopt_course.sweeps.lanes import Readings, Rhythm
from jaxopt_course.sweeps.mesh import put_batches
from jaxopt_course.sweeps.streaming import Span, join, pieces_of, span_of


class Stream(Protocol):
    """Batches by step."""

    @property
    def by_seed(self) -> bool:
        """Whether each seed has a reading of its own."""

    @property
    def random_access(self) -> bool:
        """Whether any batch can be read at any time."""

    @property
    def batch_bytes(self) -> int:
        """Of a batch."""


class Reader(Protocol):
    """One device's reading of a stream."""

    @property
    def chunk(self) -> Callable[[int, int, int, int], Any]:
        """(seed, first step, steps, room) -> a tree of arrays (room, B, ...)."""


class Source(NamedTuple):
    """A stream, and what reads it."""

    stream: Stream
    reader: Callable[[], Reader]  # makes one, a device


class Wanted(NamedTuple):
    """A chunk."""

    seed: int
    step: int
    steps: int


class Feed:
    """Hands a device the chunks of its calls, read ahead.

    Attributes:
        into: ticks of the next interval that the lanes have behind them.
        waited: seconds that the loop waited for batches.
        batches: handed over.
        began: when, by the clock of ``time.perf_counter``.
    """

    def __init__(self, source: Source, rhythm: Rhythm, device: Any) -> None:
        self.into, self.waited, self.batches = 0, 0.0, 0
        self.began = time.perf_counter()
        self._source, self._rhythm, self._device = source, rhythm, device
        self._pieces, self._reader = pieces_of(rhythm), source.reader()
        self._thread = ThreadPoolExecutor(1, "stream")
        self._ahead: tuple[Wanted, Future[Any]] | None = None
        self._parts: list[tuple[Readings, Span]] = []

    def next(self, seed: int, intervals: int, left: int) -> tuple[Wanted, Span, int]:
        """The chunk of the next call, what it does, and how many intervals it ends."""
        span, ended = span_of(self._rhythm, intervals, self.into, left)
        return self._wanted(seed, intervals, self.into, span), span, ended

    def _wanted(self, seed: int, intervals: int, into: int, span: Span) -> Wanted:
        at = min(intervals * self._pieces.an_interval, self._pieces.total) + into
        tick = self._pieces.tick
        return Wanted(seed if self._source.stream.by_seed else 0, at * tick, int(span.ticks) * tick)

    def is_ready(self, wanted: Wanted) -> bool:
        """Whether a chunk is there without waiting; asks for it."""
        return self._ask(wanted).done()

    def take(self, wanted: Wanted, span: Span) -> Any:
        """The chunk, on the device; the lanes go on by it."""
        start = time.perf_counter()
        chunk = self._ask(wanted).result()
        self.waited += time.perf_counter() - start
        self.batches += wanted.steps
        self._ahead = None
        self.into = 0 if int(span.evaluations) else self.into + int(span.ticks)
        return chunk

    def look_ahead(self, seed: int, intervals: int, left: int) -> None:
        """Read what the next call will take, if nobody comes or goes."""
        self._ask(self.next(seed, intervals, left)[0])

    def _ask(self, wanted: Wanted) -> Future[Any]:
        if self._ahead is None or self._ahead[0] != wanted:
            self._ahead = wanted, self._thread.submit(self._read, wanted)
        return self._ahead[1]

    def _read(self, wanted: Wanted) -> Any:
        chunk = self._reader.chunk(*wanted, self._pieces.batches)
        return put_batches(chunk, self._device)

    def collect(self, readings: Readings, span: Span) -> Readings | None:
        """The readings of whole intervals, once a call has ended one."""
        self._parts.append((readings, span))
        if not int(span.evaluations):
            return None
        whole, self._parts = join(self._parts, self._rhythm), []
        return whole

    def close(self) -> None:
        """Let the thread go; what it reads comes to its end."""
        self._thread.shutdown(cancel_futures=True)


def said(feeds: Sequence[Feed], source: Source) -> dict[str, Any]:
    """How the reading went, for an event; seconds are of a device."""
    batches = sum(feed.batches for feed in feeds)
    seconds = max(time.perf_counter() - feed.began for feed in feeds)
    return {
        "batches": batches,
        "bytes": batches * source.stream.batch_bytes,
        "batches_per_second": batches / max(seconds, 1e-9),
        "seconds_waited": float(np.mean([feed.waited for feed in feeds])),
        "share_waited": float(np.mean([feed.waited for feed in feeds])) / max(seconds, 1e-9),
    }
