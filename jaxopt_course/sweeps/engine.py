"""The host's loop: seat trials in lanes, dispatch segments, read them, until all trials are over.

Each device has lanes of its own and at most two calls in flight: the next segment is dispatched
before the last one is read.  What a trial computes depends on its own seed and hyperparameters
alone, so which lane, device or neighbours it gets, and when, is free: it is decided by whoever is
ready first.
"""

import functools
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_course.sweeps.lanes import (
    Data,
    Lanes,
    Readings,
    Rhythm,
    Seats,
    Trial,
    empty_lanes,
    make_seat,
    make_segment,
    room,
)

IN_FLIGHT = 2  # calls a device: one running, one waiting
SEGMENT_SECONDS = 0.1  # a call's length aimed at: the host then costs a few percent
FREE = -1
# of LLVM, for the segment and for "seat": beyond 1 a segment takes up to twice as long to compile
# and runs no faster; "seat" runs once a trial
CPU_EFFORT = ({"xla_backend_optimization_level": 1}, {"xla_backend_optimization_level": 0})


class Table(NamedTuple):
    """The trials as the engine sees them: numbers only, N rows."""

    hyperparameters: Mapping[str, Any]  # leaves (N,): float32, int32, bool
    seeds: np.ndarray  # (N,), uint32
    together: np.ndarray  # (N,), int32: lanes of one call share this value ...
    together_name: str | None = None  # ... and programs find it under this name


@dataclass
class Results:
    """What the trials of a table left; NaN where a trial has nothing to report."""

    loss_sums: np.ndarray  # (N, units), float32: sums of training losses
    valid: dict[str, np.ndarray]  # (N, intervals), float32
    test: dict[str, np.ndarray]  # (N,), float32
    first_bad: np.ndarray  # (N,), int32, -1 where none
    finished: np.ndarray  # (N,), bool: ran to its end without a bad step
    trial_steps: int = 0  # training steps read, summed over trials
    calls: int = 0
    lane_intervals: int = 0  # intervals that lanes computed, occupied or not
    trial_intervals: int = 0  # those that trials used
    interrupted: bool = False

    @property
    def occupancy(self) -> float:
        """The share of the computed intervals that trials used, in [0, 1]."""
        return self.trial_intervals / max(1, self.lane_intervals)

    def steps_to_do(self, steps: int) -> int:
        """Training steps of all trials: done by those that diverged, ``steps`` by the others."""
        alive = self.first_bad < 0
        return int(alive.sum()) * steps + int(self.first_bad[~alive].sum())

    @property
    def over(self) -> np.ndarray:
        """(N,), bool: finished or diverged."""
        return self.finished | (self.first_bad >= 0)


class Program(NamedTuple):
    """One segment, lowered once, compiled for each device."""

    seat: tuple[Any, ...]  # an executable a device
    segment: tuple[Any, ...]
    devices: tuple[Any, ...]
    rhythm: Rhythm
    lanes: int
    text: str  # the lowered segment, for its hash
    lowerings: int
    seconds: float  # to lower and compile


def compile_program(
    trial: Trial,
    rhythm: Rhythm,
    data: Data,
    table: Table,
    lanes: int,
    devices: Sequence[Any],
) -> Program:
    """Lower the segment once and compile it for every device, side by side in threads."""
    start = time.perf_counter()
    traces = []
    segment = make_segment(trial, rhythm)

    @functools.wraps(segment)
    def counted(*args: Any) -> Any:
        traces.append(1)
        return segment(*args)

    seats = make_seats(table, np.zeros(lanes, np.int64))
    empty = empty_lanes(trial, seats)
    programs = [
        (jax.jit(counted, donate_argnums=0), (empty, seats, data, np.int32(1), np.bool_(False))),
        (jax.jit(make_seat(trial), donate_argnums=0), (empty, seats, np.zeros(lanes, bool))),
    ]
    effort = CPU_EFFORT if devices[0].platform == "cpu" else ({}, {})

    def lower(program: Any, arguments: Any, device: Any) -> Any:
        sharding = jax.sharding.SingleDeviceSharding(device)
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype, sharding=sharding), arguments
        )
        return program.lower(*shapes)

    # tracing is not for threads; the compiler is
    lowered = [[lower(*program, device) for device in devices] for program in programs]
    with ThreadPoolExecutor(2 * len(devices)) as pool:
        compiling = [
            [pool.submit(one.compile, options) for one in each]
            for each, options in zip(lowered, effort, strict=True)
        ]
        segments, seat = (tuple(one.result() for one in each) for each in compiling)
    text = lowered[0][0].as_text()
    seconds = time.perf_counter() - start
    return Program(seat, segments, tuple(devices), rhythm, lanes, text, len(traces), seconds)


def make_seats(table: Table, rows: np.ndarray) -> Seats:
    """Seat the trials ``rows``, one a lane."""
    own = jax.tree.map(lambda x: x[rows], dict(table.hyperparameters))
    name = table.together_name
    shared = {} if name is None else {name: np.int32(table.together[rows[0]])}
    return Seats(shared, own, table.seeds[rows])


@dataclass
class _Call:
    """A segment under way."""

    readings: Readings
    guests: np.ndarray  # (W,), rows or FREE
    begins: np.ndarray  # (W,), intervals that the guests had behind them
    intervals: int


@dataclass
class _Device:
    """The lanes of one device and who sits in them."""

    device: Any
    seat: Callable[..., Lanes]
    segment: Callable[..., tuple[Lanes, Readings]]
    lanes: Any
    data: Any
    guests: np.ndarray  # (W,), rows or FREE
    done: np.ndarray  # (W,), intervals dispatched
    seats: Any = None  # on the device, as long as nobody moves
    together: int | None = None
    calls: deque[_Call] = field(default_factory=deque)
    pace: float | None = None  # seconds an interval
    read_at: float = 0.0

    def ready(self) -> bool:
        """Whether the oldest call can be read without waiting."""
        return bool(self.calls[0].readings.first_bad.is_ready())  # type: ignore[attr-defined]


def run(
    program: Program,
    table: Table,
    data: Data,
    trial: Trial,
    on_progress: Callable[[Results], None] = lambda _: None,
) -> Results:
    """Train every trial of the table to its end.

    A first Ctrl-C ends the loop: what is in flight is read, and the results so far are returned
    with ``interrupted`` set.  A second one raises KeyboardInterrupt at once.
    """
    loop = _Loop(program, table, data, trial)
    with _interrupts() as interrupted:
        while not interrupted.is_set() and loop.dispatch():
            loop.read()
            on_progress(loop.results)
        while any(device.calls for device in loop.devices):
            loop.read()
    loop.results.interrupted = interrupted.is_set() and not loop.results.over.all()
    return loop.results


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets, so that no reading is cut in the middle."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # Python delivers signals to the main thread only
        return

    def stop(*_: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Loop:
    """The state of :func:`run`."""

    def __init__(self, program: Program, table: Table, data: Data, trial: Trial) -> None:
        self.rhythm, self.table = program.rhythm, table
        self.queues: dict[int, deque[int]] = {}
        for row, together in enumerate(table.together.tolist()):
            self.queues.setdefault(together, deque()).append(row)
        width = program.lanes
        empty = empty_lanes(trial, make_seats(table, np.zeros(width, np.int64)))
        self.devices = [
            _Device(
                device,
                seat,
                segment,
                jax.device_put(empty, device),
                jax.device_put(data, device),
                np.full(width, FREE),
                np.zeros(width, np.int64),
            )
            for device, seat, segment in zip(
                program.devices, program.seat, program.segment, strict=True
            )
        ]
        rows, nan = len(table.seeds), np.float32(np.nan)
        names = list(jax.eval_shape(trial.evaluate, _first(empty.state), data.valid))
        units = self.rhythm.intervals * self.rhythm.units
        self.results = Results(
            loss_sums=np.full((rows, units), nan),
            valid={name: np.full((rows, self.rhythm.intervals), nan) for name in names},
            test={name: np.full(rows, nan) for name in names},
            first_bad=np.full(rows, -1, np.int32),
            finished=np.zeros(rows, bool),
        )

    def dispatch(self) -> bool:
        """Fill the devices' pipelines, fairly; whether anything is under way."""
        for _ in range(IN_FLIGHT):
            for device in self.devices:
                if len(device.calls) < IN_FLIGHT and self._seat(device):
                    self._call(device)
        return any(device.calls for device in self.devices)

    def _seat(self, device: _Device) -> bool:
        """Free the lanes of trials that are over, seat the next ones; whether anyone sits."""
        sitting = device.guests != FREE
        leaving = sitting & (device.done >= self.rhythm.intervals)
        leaving |= sitting & (self.results.first_bad[device.guests] >= 0)
        device.guests[leaving] = FREE
        if not (device.guests != FREE).any():
            device.together = self._choose_queue(device)
        queue = self.queues.get(device.together, ()) if device.together is not None else ()
        fresh = np.zeros(len(device.guests), bool)
        for lane in np.flatnonzero(device.guests == FREE):
            if not queue:
                break
            device.guests[lane], device.done[lane], fresh[lane] = queue.popleft(), 0, True
        occupied = device.guests != FREE
        if not occupied.any():
            return False
        if fresh.any():
            stand_in = device.guests[occupied][0]  # an empty lane computes, and nobody looks
            rows = np.where(occupied, device.guests, stand_in)
            device.seats = jax.device_put(make_seats(self.table, rows), device.device)
            device.lanes = device.seat(device.lanes, device.seats, fresh)
        return True

    def _choose_queue(self, device: _Device) -> int | None:
        """The longest queue, those that no other device serves first."""
        served = {other.together for other in self.devices if other is not device}
        waiting = [key for key, queue in self.queues.items() if queue]
        return max(waiting, key=lambda k: (k not in served, len(self.queues[k])), default=None)

    def _call(self, device: _Device) -> None:
        occupied = device.guests != FREE
        left = self.rhythm.intervals - device.done[occupied]
        aim = 1 if device.pace is None else max(1, round(SEGMENT_SECONDS / device.pace))
        intervals = int(min(aim, room(self.rhythm), left.min()))
        ends = np.bool_((left == intervals).any())
        device.lanes, readings = device.segment(
            device.lanes, device.seats, device.data, np.int32(intervals), ends
        )
        device.calls.append(_Call(readings, device.guests.copy(), device.done.copy(), intervals))
        device.done[occupied] += intervals

    def read(self) -> None:
        """Read the oldest call of a device that is ready (or wait for one)."""
        busy = [device for device in self.devices if device.calls]
        device = next((d for d in busy if d.ready()), busy[0])
        call = device.calls.popleft()
        readings = jax.device_get(call.readings)
        now = time.perf_counter()
        if device.read_at:
            device.pace = (now - device.read_at) / call.intervals
        device.read_at = now
        self.results.calls += 1
        self.results.lane_intervals += call.intervals * len(call.guests)
        for lane in map(int, np.flatnonzero(call.guests != FREE)):
            row = int(call.guests[lane])
            if not self.results.finished[row] and self.results.first_bad[row] < 0:
                self._collect(row, lane, call, readings)

    def _collect(self, row: int, lane: int, call: _Call, readings: Readings) -> None:
        results, n, begin = self.results, call.intervals, int(call.begins[lane])
        end, units = begin + n, self.rhythm.units
        sums = readings.loss_sums[:n, :, lane].reshape(-1)
        results.loss_sums[row, begin * units : end * units] = sums
        for name, values in readings.valid.items():
            results.valid[name][row, begin:end] = values[:n, lane]
        results.first_bad[row] = readings.first_bad[lane]
        steps = lambda intervals: min(intervals * self.rhythm.evaluate_every, self.rhythm.steps)
        results.trial_steps += steps(end) - steps(begin)
        results.trial_intervals += n
        if end == self.rhythm.intervals and readings.first_bad[lane] < 0:
            results.finished[row] = True
            for name, values in readings.test.items():
                results.test[name][row] = values[lane]


def _first(state: Any) -> Any:
    """The shapes of one lane."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), state)
