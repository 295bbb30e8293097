"""The host's loop: seat trials in lanes, dispatch segments, read them, until all trials are over.

Each device has lanes of its own and at most two calls in flight: the next segment is dispatched
before the last one is read.  What a trial computes depends on its own seed and hyperparameters
alone, so which lane, device or neighbours it gets, and when, is free: it is decided by whoever is
ready first.

A trial may leave its lane before its end, at a rung (see ``schedulers``) or for a checkpoint; its
state waits beside the lanes, and it goes on in any lane of any device.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxopt_course.sweeps import repeat
from jaxopt_course.sweeps.climb import Climb, Score
from jaxopt_course.sweeps.device import FREE, Call, Device, place, shapes_of_one, take
from jaxopt_course.sweeps.interrupts import interrupts
from jaxopt_course.sweeps.lanes import Data, Readings, Trial, empty_lanes, names_of, room
from jaxopt_course.sweeps.program import Program, Table, make_seats
from jaxopt_course.sweeps.snapshot import Results, Snapshot, Waiting, no_results

IN_FLIGHT = 2  # calls a device: one running, one waiting
SEGMENT_SECONDS = 0.1  # a call's length aimed at: the host then costs a few percent
SAVE_SECONDS = 10.0  # between two checkpoints ...
SAVE_SHARE = 0.02  # ... which take at most this share of the time


def run(
    program: Program,
    table: Table,
    data: Data,
    trial: Trial,
    on_progress: Callable[[Results], None] = lambda _: None,
    *,
    climb: Climb | None = None,
    score: Callable[[Results], Score] | None = None,
    resume: Snapshot | None = None,
    on_checkpoint: Callable[[Snapshot], None] | None = None,
    keep_states: bool = False,
    probe: bool = False,
) -> Results:
    """Train every trial of the table to its end, or as far as a scheduler lets it.

    A first Ctrl-C ends the loop: what is in flight is read, a checkpoint is made, and the results
    so far are returned with ``interrupted`` set.  A second one raises KeyboardInterrupt at once.

    Args:
        program: compiled for these trials.
        table: the trials.
        data: the three parts.
        trial: its functions.
        on_progress: called after each reading.
        climb: how far each trial trains; default to its end.
        score: makes the curves by which ``climb`` compares trials; needed if it has a judge.
        resume: where an earlier run of the same table was.
        on_checkpoint: saves a snapshot; called every ten seconds or so, and after Ctrl-C.
        keep_states: whether the results hold the last state of each trial that finishes.
        probe: whether to make one call twice and compare, where that costs little; see ``repeat``.
    """
    climb = climb or Climb(program.rhythm.intervals, np.arange(len(table.seeds)))
    loop = _Loop(program, table, data, trial, climb, score, resume, keep_states)
    loop.to_compare = probe and repeat.is_worth_it(program, len(table.seeds))
    saved, cost = time.perf_counter(), 0.0
    with interrupts() as interrupted:
        while not interrupted.is_set() and loop.dispatch():
            loop.read()
            on_progress(loop.results)
            wait = max(SAVE_SECONDS, cost / SAVE_SHARE)
            if on_checkpoint is not None and time.perf_counter() - saved >= wait:
                start = time.perf_counter()
                loop.drain()
                on_checkpoint(loop.snapshot())
                saved = time.perf_counter()
                cost = saved - start
        loop.drain()
        loop.end(interrupted.is_set())
        if loop.results.interrupted and on_checkpoint is not None:
            on_checkpoint(loop.snapshot())
    return loop.results


class _Loop:
    """The state of :func:`run`."""

    def __init__(
        self,
        program: Program,
        table: Table,
        data: Data,
        trial: Trial,
        climb: Climb,
        score: Callable[[Results], Score] | None,
        resume: Snapshot | None,
        keep_states: bool,
    ) -> None:
        self.rhythm, self.table, self.climb = program.rhythm, table, climb
        self.keep_states, self.to_compare = keep_states, False
        width = program.lanes
        empty = empty_lanes(trial, make_seats(table, np.zeros(width, np.int64)))
        self.devices = [
            Device(
                device,
                seat,
                segment,
                jax.device_put(empty, device),
                jax.device_put(data, device),
                np.full(width, FREE),
            )
            for device, seat, segment in zip(
                program.devices, program.seat, program.segment, strict=True
            )
        ]
        self.structure: Any = jax.tree.structure(empty.state)
        self.waiting: dict[int, Any] = {}  # row -> state, of those that left before their end
        self.stopped: set[int] = set()  # rows that will never train on: nobody needs their state
        if resume is None:
            names = names_of(trial, table, shapes_of_one(empty.state), data)
            self.results = no_results(len(table.seeds), self.rhythm, *names)
        else:
            self.results = resume.results
            rows, _, leaves = resume.waiting
            like = jax.tree.leaves(empty.state)  # files know bfloat16 by its bytes only
            typed = [x.view(y.dtype) for x, y in zip(leaves, like, strict=bool(leaves))]
            for i, row in enumerate(rows.tolist()):
                self.waiting[row] = jax.tree.unflatten(self.structure, [leaf[i] for leaf in typed])
        self.score = score(self.results) if score else lambda row, rung: np.zeros(rung)
        self.reached = np.zeros(len(table.seeds), np.int32)  # intervals dispatched
        if resume is not None:
            self.reached[resume.waiting.rows] = resume.waiting.progress
        self.queues: dict[int, deque[int]] = {}
        for row in range(len(table.seeds)):
            self._arrive(row, queue=False)
        over = self.results.over | (self.results.progress >= climb.until)
        for row in climb.order[~over[climb.order]].tolist():
            self._queue(row).append(row)

    def _queue(self, row: int) -> deque[int]:
        return self.queues.setdefault(int(self.table.together[row]), deque())

    def dispatch(self) -> bool:
        """Fill the devices' pipelines, fairly; whether anything is under way."""
        for _ in range(IN_FLIGHT):
            for device in self.devices:
                if len(device.calls) < IN_FLIGHT and self._seat(device):
                    self._call(device)
        return any(device.calls for device in self.devices)

    def _seat(self, device: Device) -> bool:
        """Free the lanes of trials that are over, seat the next ones; whether to call."""
        self._free(device)
        occupied = device.guests != FREE
        if not occupied.all() and not self._waiting_for(device):
            other = self._choose_queue(device)
            if other is not None and len(self.queues[other]) > occupied.sum():
                if device.calls:
                    return False  # first read how its guests are, then let them wait
                for lane in np.flatnonzero(occupied).tolist():
                    self._leave(device, lane, back=True)
                device.together = other
        moved, fresh = False, np.zeros(len(device.guests), bool)
        for lane in np.flatnonzero(device.guests == FREE).tolist():
            row = self._next(device)
            if row is None:
                break
            device.guests[lane], moved = row, True
            state = self.waiting.pop(row, None)
            if state is None:
                fresh[lane] = True
            else:
                if getattr(jax.tree.leaves(state)[0], "device", None) != device.device:
                    state = jax.device_put(state, device.device)  # slow, even where it does nothing
                device.lanes = place(device.lanes, np.int32(lane), state)
        occupied = device.guests != FREE
        if not occupied.any():
            return False
        if moved:
            stand_in = device.guests[occupied][0]  # an empty lane computes, and nobody looks
            rows = np.where(occupied, device.guests, stand_in)
            device.seats = jax.device_put(make_seats(self.table, rows), device.device)
        if fresh.any():
            device.lanes = device.seat(device.lanes, device.seats, fresh)
        return True

    def _free(self, device: Device) -> None:
        """Let those go who have reached their target or have diverged."""
        lanes = np.flatnonzero(device.guests != FREE)
        rows = device.guests[lanes]
        bad = self.results.first_bad[rows] >= 0
        device.guests[lanes[bad]] = FREE
        for lane in lanes[~bad & (self.reached[rows] >= self.climb.until[rows])].tolist():
            self._leave(device, lane)

    def _leave(self, device: Device, lane: int, back: bool = False) -> None:
        """Empty a lane; the state of a guest that may go on waits."""
        row = int(device.guests[lane])
        device.guests[lane] = FREE
        if row in self.stopped:
            return
        if self.reached[row] < self.rhythm.intervals:
            self.waiting[row] = take(device.lanes.state, np.int32(lane))
        elif self.keep_states:
            self.results.states[row] = take(device.lanes.state, np.int32(lane))
        if back:
            self._queue(row).appendleft(row)

    def _waiting_for(self, device: Device) -> bool:
        return device.together is not None and bool(self.queues.get(device.together))

    def _next(self, device: Device) -> int | None:
        """The next trial that may sit here."""
        queue = self.queues.get(device.together, ()) if device.together is not None else ()
        while queue:
            row = queue.popleft()
            if self.results.first_bad[row] < 0:
                return row
        return None

    def _choose_queue(self, device: Device) -> int | None:
        """The longest queue, those that no other device serves first."""
        served = {other.together for other in self.devices if other is not device}
        waiting = [key for key, queue in self.queues.items() if queue]
        return max(waiting, key=lambda k: (k not in served, len(self.queues[k])), default=None)

    def _call(self, device: Device) -> None:
        guests = device.guests[device.guests != FREE]
        left = self.climb.until[guests] - self.reached[guests]
        aim = 1 if device.pace is None else max(1, round(SEGMENT_SECONDS / device.pace))
        intervals = int(min(aim, room(self.rhythm), left.min()))
        ends = np.bool_((self.reached[guests] + intervals == self.rhythm.intervals).any())
        if self.to_compare and device is self.devices[-1]:  # the others are at work meanwhile
            self.to_compare = False
            readings = repeat.advance_twice(device, np.int32(intervals), ends, self.results)
        else:
            readings = device.advance(np.int32(intervals), ends)
        begins = self.reached[device.guests]
        device.calls.append(Call(readings, device.guests.copy(), begins, intervals))
        self.reached[guests] += intervals

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
        lanes = np.flatnonzero(call.guests != FREE)
        rows = call.guests[lanes]
        alive = ~self.results.finished[rows] & (self.results.first_bad[rows] < 0)
        self._collect(rows[alive], lanes[alive], call, readings)

    def drain(self) -> None:
        """Read all that is under way."""
        for device in self.devices:  # who is promoted by it waits already and is queued once
            self._free(device)
        while any(device.calls for device in self.devices):
            self.read()

    def end(self, interrupted: bool) -> None:
        """Say what became of those that did not finish."""
        results = self.results
        results.interrupted = interrupted and not self._settled()
        if self.keep_states:
            results.states |= self.waiting
        if not results.interrupted:
            results.stopped = ~results.finished & (results.first_bad < 0)

    def _settled(self) -> bool:
        results = self.results
        climbing = ~results.finished & (results.first_bad < 0)
        return not (climbing & (results.progress < self.climb.until)).any()

    def snapshot(self) -> Snapshot:
        """Where the sweep is, in arrays of the host; nothing may be under way."""
        states = {row: jax.device_get(state) for row, state in self.waiting.items()}
        for device in self.devices:
            lanes = jax.device_get(device.lanes.state)
            for lane in np.flatnonzero(device.guests != FREE).tolist():
                one = lambda x, lane=lane: x[lane]
                states[int(device.guests[lane])] = jax.tree.map(one, lanes)
        over = self.results.finished | (self.results.first_bad >= 0)
        rows = np.array([row for row in sorted(states) if not over[row]], np.int64)
        parts = [self.structure.flatten_up_to(states[row]) for row in rows.tolist()]
        leaves = [np.stack(column) for column in zip(*parts, strict=True)]
        return Snapshot(self.results, Waiting(rows, self.reached[rows], leaves))

    def _collect(self, rows: np.ndarray, lanes: np.ndarray, call: Call, readings: Readings) -> None:
        """Write down what a call brought, of all lanes at once, and hear who has arrived."""
        results, n, units = self.results, call.intervals, self.rhythm.units
        begins = call.begins[lanes]
        ends = begins + n
        place = rows[:, None], begins[:, None] * units + np.arange(n * units)
        by_lane = lambda sums: sums[:n, :, lanes].reshape(n * units, len(lanes)).T
        results.loss_sums[place] = by_lane(readings.loss_sums)
        for name, sums in readings.recorded.items():
            results.recorded[name][place] = by_lane(sums)
        for name, values in readings.valid.items():
            results.valid[name][rows[:, None], begins[:, None] + np.arange(n)] = values[:n, lanes].T
        results.first_bad[rows] = readings.first_bad[lanes]
        steps = lambda intervals: np.minimum(
            intervals.astype(np.int64) * self.rhythm.evaluate_every, self.rhythm.steps
        )
        results.trial_steps += int((steps(ends) - steps(begins)).sum())
        results.trial_intervals += n * len(rows)
        results.progress[rows] = ends
        bad = results.first_bad[rows] >= 0
        for row in rows[bad].tolist():
            self.waiting.pop(row, None)
        done = ~bad & (ends == self.rhythm.intervals)
        results.finished[rows[done]] = True
        for name, values in readings.test.items():
            results.test[name][rows[done]] = values[lanes[done]]
        for row in rows[bad | (ends >= self.climb.until[rows])].tolist():
            self._arrive(row)
        results.until = self.climb.until

    def _arrive(self, row: int, queue: bool = True) -> None:
        """Where a trial has reached its target, or diverged, some may be promoted."""
        bad = self.results.first_bad >= 0
        if bad[row] or self.results.progress[row] >= self.climb.until[row]:
            news = self.climb.arrive(row, self.results.progress, bad, self.score)
            for one in news.stopped:
                self.stopped.add(one)
                self.waiting.pop(one, None)
            for one in reversed(news.promoted):
                if queue:
                    self._queue(one).appendleft(one)
                else:  # at the start: they may have arrived there before
                    self._arrive(one, queue)
        self.results.until = self.climb.until
