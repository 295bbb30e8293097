"""Short trials of the segment program: how fast and how large it is at a width.

A probe compiles the program as a sweep does, seats trials of the table in its lanes and times a few
calls.  Where an interval between evaluations takes long, probes train a shorter one, and reckon the
evaluations apart: a call of no intervals and one evaluation tells what those cost.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_course.sweeps.lanes import Data, Rhythm, Trial, empty_lanes, room
from jaxopt_course.sweeps.mesh import put, put_lanes
from jaxopt_course.sweeps.numerics import bad_numbers_are_results
from jaxopt_course.sweeps.program import Program, Table, compile_program, make_seats
from jaxopt_course.sweeps.streaming import CHUNKS, argument, chunk_bytes, filled, room_of

SAMPLE_SECONDS = 0.1  # calls are timed together for so long ...
SAMPLES = 3  # ... so often
CALL_SECONDS = 0.1  # a call's length aimed at, as the engine's
PROBE_STEPS = 64  # of an interval of a probe, at most


class Probe(NamedTuple):
    """A width that was tried, on one device."""

    lanes: int
    step_seconds: float  # of a step of all lanes together, with its share of the evaluations
    seat_seconds: float  # to seat trials in all lanes
    bytes: int  # that a device holds at once, by the compiler's account
    compile_seconds: float

    @property
    def rate(self) -> float:
        """Trial-steps a second, on one device."""
        return self.lanes / self.step_seconds


def shorten(rhythm: Rhythm, steps: int) -> Rhythm:
    """As many intervals, none longer than ``steps``; itself where that holds already."""
    if rhythm.evaluate_every <= steps:
        return rhythm
    whole = rhythm.intervals * steps - (not rhythm.whole and not rhythm.fits)
    return rhythm._replace(steps=whole, record_every=steps, evaluate_every=steps)


class Prober:
    """Tries widths on one device; what was tried stays compiled, to be timed again.

    Args:
        trial: the pure functions of a trial.
        rhythm: of the sweep.
        data: the three parts.
        table: the trials; those of the largest group that may share a call are seated.
        device: where.
    """

    def __init__(self, trial: Trial, rhythm: Rhythm, data: Data, table: Table, device: Any) -> None:
        groups, sizes = np.unique(table.together, return_counts=True)
        self._rows = np.flatnonzero(table.together == groups[sizes.argmax()])
        self._trial, self._rhythm, self._data, self._table = trial, rhythm, data, table
        self._device, self._on_device = device, put(data, device)
        self._timers: dict[int, Callable[[], tuple[float, float]]] = {}
        self._latest: Probe | None = None

    def __call__(self, lanes: int) -> Probe:
        """Compile a width and time it."""
        steps = PROBE_STEPS
        if self._latest is not None:
            last = self._latest  # the next may take longer by as much as it is wider
            longest = CALL_SECONDS / (last.step_seconds * lanes / last.lanes)
            steps = max(1, min(steps, int(longest)))
        if self._rhythm.fits:  # a call is to hold an interval
            steps = min(steps, self._rhythm.fits)
        short = shorten(self._rhythm, steps)
        program = compile_program(
            self._trial, short, self._data, self._table, lanes, [self._device]
        )
        size = program_bytes(program, self._data)
        size += 4 * room(self._rhythm) * (self._rhythm.units - short.units) * lanes
        self._timers[lanes] = self._timer(program)
        step, seat = self._timers[lanes]()
        self._latest = Probe(lanes, step, seat, size, program.seconds)
        return self._latest

    def again(self, probe: Probe) -> Probe:
        """The same width timed again, where it is kept; the lesser times count."""
        if probe.lanes not in self._timers:
            return probe
        step, seat = self._timers[probe.lanes]()
        return probe._replace(
            step_seconds=min(step, probe.step_seconds),
            seat_seconds=min(seat, probe.seat_seconds),
        )

    def release(self) -> None:
        """Free the memory of all widths tried."""
        self._timers.clear()

    def _timer(self, program: Program) -> Callable[[], tuple[float, float]]:
        """The function that measures seconds of a step, and to seat, at a program's width."""
        rows = np.resize(self._rows, program.lanes)
        everyone = np.ones(program.lanes, bool)
        seats = put(make_seats(self._table, rows), self._device)
        lanes = put_lanes(empty_lanes(self._trial, jax.device_get(seats)), self._device)
        short, rhythm = program.rhythm, self._rhythm
        given = filled(self._on_device, short)
        valid_per_test = _examples(self._data.valid) / _examples(self._data.test)

        def seat() -> float:
            nonlocal lanes
            elapsed = _watch(self._device.platform)
            lanes = program.seat[0](lanes, seats, everyone)
            jax.block_until_ready(lanes)
            return elapsed()

        def call(intervals: int, ends: bool = False) -> float:
            nonlocal lanes
            elapsed = _watch(self._device.platform)
            lanes, readings = program.segment[0](
                lanes, seats, given, argument(short, intervals), np.bool_(ends)
            )
            jax.device_get(readings)
            return elapsed()

        @bad_numbers_are_results()
        def measure() -> tuple[float, float]:
            seating, once = min(seat(), seat()), min(call(1), call(1))
            intervals = min(max(1, int(CALL_SECONDS / once)), room_of(short))
            interval = _seconds(lambda: call(intervals)) / intervals
            if short == rhythm:
                return interval / rhythm.evaluate_every, seating
            evaluation = min(_seconds(lambda: call(0, True)) * valid_per_test, 0.9 * interval)
            step = (interval - evaluation) / short.evaluate_every
            return step + evaluation / rhythm.evaluate_every, seating

        return measure


def program_bytes(program: Program, data: Data) -> int:
    """What a device holds at once: data, lanes, what a call needs beside them and returns."""
    data_bytes = sum(x.nbytes for x in jax.tree.leaves(data))
    size = max(_bytes(program.segment[0]), _bytes(program.seat[0]) + data_bytes)
    return size + chunk_bytes(data, program.rhythm) * (CHUNKS - 1)


def _bytes(executable: Any) -> int:
    memory = executable.memory_analysis()
    return int(
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes  # lanes are donated: they return where they were
        + memory.temp_size_in_bytes
    )


def _examples(part: Any) -> int:
    return int(jax.tree.leaves(part)[0].shape[0])


def _watch(platform: str) -> Callable[[], float]:
    """Seconds from now; where the processors compute, without what other processes take of them."""
    clocks = [time.perf_counter, time.process_time][: 2 if platform == "cpu" else 1]
    starts = [clock() for clock in clocks]
    return lambda: min(clock() - start for clock, start in zip(clocks, starts, strict=True))


def _seconds(call: Callable[[], float]) -> float:
    """Of a call: the least of a few means over the same time, long calls or short.

    What else the machine does only ever adds, and to samples of one length alike.
    """
    means = []
    for _ in range(SAMPLES):
        calls, spent = 0, 0.0
        while spent < SAMPLE_SECONDS:
            spent += call()
            calls += 1
        means.append(spent / calls)
    return min(means)
