"""The host's loop: seat trials in lanes, dispatch segments, read them, until all trials are over.

Each device has lanes of its own and at most two calls in flight: the next segment is dispatched
before the last one is read.  What a trial computes depends on its own seed and hyperparameters
alone, so which lane, device or neighbours it gets, and when, is free: it is decided by whoever is
ready first.

A trial may leave its lane before its end, at a rung (see ``schedulers``) or for a checkpoint; its
state waits beside the lanes, and it goes on in any lane of any device.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxopt_course.sweeps import repeat
from jaxopt_course.sweeps.climb import Climb, Score
from jaxopt_course.sweeps.collect import write_down
from jaxopt_course.sweeps.device import FREE, Call, Device, feeding, make_devices, seated
from jaxopt_course.sweeps.feeding import Source
from jaxopt_course.sweeps.interrupts import interrupts
from jaxopt_course.sweeps.keeping import Best, held, stacked, unstacked
from jaxopt_course.sweeps.lanes import Data, Readings, Trial, emptied
from jaxopt_course.sweeps.population import AnyClimb
from jaxopt_course.sweeps.program import Program, Table, make_seats
from jaxopt_course.sweeps.queues import Key, Queues, groups
from jaxopt_course.sweeps.snapshot import Results, Snapshot, no_results

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
    climb: AnyClimb | None = None,
    score: Callable[[Results], Score] | None = None,
    resume: Snapshot | None = None,
    on_checkpoint: Callable[[Snapshot], None] | None = None,
    keep_states: bool = False,
    keep: Best | None = None,
    start: Callable[[int], Any] | None = None,
    probe: bool = False,
    source: Source | None = None,
    deadline: float | None = None,
    on_stop: Callable[..., None] = lambda *_: None,
    make_loop: Callable[..., "_Loop"] | None = None,
) -> Results:
    """Train every trial of the table to its end, or as far as a scheduler lets it.

    A first Ctrl-C ends the loop: what is in flight is read, a checkpoint is made, and the results
    so far are returned with ``interrupted`` set.  A second one raises KeyboardInterrupt at once.
    The deadline, and a KeyboardInterrupt that ``on_progress`` raises, count as a first one.

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
        keep: takes the last states of the best configurations; needs ``score``.
        start: the first state of a row, on the host or a device; default as the program has it.
        probe: whether to make one call twice and compare, where that costs little; see ``repeat``.
        source: of a stream; then ``data.train`` is one batch, for its shapes.
        deadline: when to end, by ``time.perf_counter``; None for never.
        on_stop: gets row, state, a device and the results when a trial is stopped; see ``best``.
        make_loop: of devices of other processes, see ``remote``; default of the program's own.
    """
    climb = climb or Climb(program.rhythm.intervals, np.arange(len(table.seeds)))
    loop = (make_loop or _Loop)(
        program, table, data, trial, climb, score, resume, keep_states, keep, start, source, on_stop
    )
    loop.to_compare = probe and repeat.is_worth_it(program, len(table.seeds))
    saved, cost = time.perf_counter(), 0.0
    with feeding(loop.devices, source) as tell, interrupts(deadline) as interrupted:
        while not interrupted.is_set() and loop.dispatch():
            loop.read()
            tell(loop.results)
            with interrupted.catching():
                on_progress(loop.results)
            wait = max(SAVE_SECONDS, cost / SAVE_SHARE)
            if on_checkpoint is not None and time.perf_counter() - saved >= wait:
                begun = time.perf_counter()
                on_checkpoint(loop.snapshot())
                saved = time.perf_counter()
                cost = saved - begun
        loop.drain()
        tell(loop.results)
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
        climb: AnyClimb,
        score: Callable[[Results], Score] | None,
        resume: Snapshot | None,
        keep_states: bool,
        keep: Best | None,
        start: Callable[[int], Any] | None,
        source: Source | None,
        on_stop: Callable[..., None],
    ) -> None:
        self.source, self.on_stop = source, on_stop
        self.rhythm, self.table, self.climb = program.rhythm, table, climb
        self.keep_states, self.keep, self.start, self.to_compare = keep_states, keep, start, False
        empty = emptied(program.state, program.lanes)
        self.structure: Any = jax.tree.structure(empty.state)
        self.waiting: dict[int, Any] = {}  # row -> state, of those that left before their end
        self.stopped: set[int] = set()  # rows that will never train on: nobody needs their state
        self.reached = np.zeros(len(table.seeds), np.int32)  # intervals dispatched
        if resume is None:
            self.results = no_results(len(table.seeds), self.rhythm, *program.names)
        else:
            self.results = resume.results
            self.waiting = unstacked(resume.waiting, empty.state)
            self.reached[resume.waiting.rows] = resume.waiting.progress
            if keep is not None and resume.kept is not None:
                keep.states = unstacked(resume.kept, empty.state)
        self.score = score(self.results) if score else lambda row, rung: np.zeros(rung)
        self.queues = Queues(self._key)
        most = groups(map(self._key, range(len(table.seeds))), program.lanes)
        self.devices = make_devices(program, empty, data, source, most)
        self.home: Any = next(iter(self.devices), None)  # where what is stopped is measured
        for row in range(len(table.seeds)):
            self._arrive(row, queue=False)
        over = self.results.over | (self.results.progress >= climb.until)
        for row in climb.order[~over[climb.order]].tolist():
            self.queues.of(row).append(row)

    def _key(self, row: int) -> Key:
        """Who may share a call: of a stream those at one step, and of one reading."""
        together = int(self.table.together[row])
        if self.source is None:
            return (together,)
        seed = int(self.table.seeds[row]) if self.source.stream.by_seed else 0
        return together, int(self.reached[row]), seed

    def dispatch(self) -> bool:
        """Fill the devices' pipelines, fairly; whether anything is under way."""
        for _ in range(IN_FLIGHT):
            for device in self.devices:
                if len(device.calls) < IN_FLIGHT and self._seat(device):
                    self._call(device)
        return any(device.calls for device in self.devices)

    def _seat(self, device: Device) -> bool:
        """Free the lanes of trials that are over, seat the next ones; whether to call."""
        if device.feed is not None and device.feed.into:
            return True  # in the middle of an interval nobody comes or goes
        self._free(device)
        occupied = device.guests != FREE
        if not occupied.all() and not self.queues.waiting(device.together):
            other = self._choose_queue(device)
            if other is not None and self.queues.waiting(other) > occupied.sum():
                if device.calls or not device.tells():
                    return False  # first read how its guests are, then let them wait
                for lane in np.flatnonzero(occupied).tolist():
                    self._leave(device, lane, back=True)
                device.together = other
        moved, fresh = False, np.zeros(len(device.guests), bool)
        for lane in np.flatnonzero(device.guests == FREE).tolist():
            row = self.queues.next(device.together, self.results.first_bad < 0)
            if row is None:
                break
            device.guests[lane], moved = row, True
            state = self.waiting.pop(row, None)
            if state is None and self.start is not None:
                state = self.start(row)
            if state is None:
                fresh[lane] = True
            else:
                device.admit(lane, state, self.results.first_bad[row])
        occupied = device.guests != FREE
        if not occupied.any():
            return False
        if moved:
            stand_in = device.guests[occupied][0]  # an empty lane computes, and nobody looks
            rows = np.where(occupied, device.guests, stand_in)
            device.sit(make_seats(self.table, rows))
        if fresh.any():
            device.begin(fresh)
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
            return self.on_stop(row, device.take(lane), self.home, self.results)
        if self.reached[row] < self.rhythm.intervals:
            self.waiting[row] = device.take(lane)
        elif self.keep_states:
            self.results.states[row] = device.take(lane)
        elif self.keep is not None:
            self.keep.take(row, device.take(lane))
        if back:
            self.queues.of(row).appendleft(row)

    def _choose_queue(self, device: Device) -> Key | None:
        """The longest queue, those that no other device serves first."""
        served = {other.together for other in self.devices if other is not device}
        return self.queues.longest(served)

    def _call(self, device: Device, wait: bool = False) -> None:
        guests, feed = device.guests[device.guests != FREE], device.feed
        left = int((self.climb.until[guests] - self.reached[guests]).min())
        data, span = device.data, None
        if feed is None:
            wanted = device.aim(self.rhythm, SEGMENT_SECONDS, self.results, self.queues.empty)
            intervals = min(wanted, left)
        else:
            place = int(self.table.seeds[guests[0]]), int(self.reached[guests[0]]), left
            chunk, span, intervals = feed.next(*place)
            if not (wait or feed.is_ready(chunk)) and any(one.calls for one in self.devices):
                return  # others may be read meanwhile
            data = data._replace(train=feed.take(chunk, span))
        asked = np.int32(intervals) if span is None else span
        ends = np.bool_((self.reached[guests] + intervals == self.rhythm.intervals).any())
        if self.to_compare and device is self.devices[-1]:  # the others are at work meanwhile
            self.to_compare = False
            readings = repeat.advance_twice(device, data, asked, ends, self.results)
        else:
            readings = device.advance(data, asked, ends)
        begins = self.reached[device.guests]
        device.calls.append(Call(readings, device.guests.copy(), begins, intervals, span))
        self.reached[guests] += intervals
        if feed is not None:
            device.together = self._key(int(guests[0]))
            left, row = left - intervals, int(guests[0])
            if left == 0 and (key := self._choose_queue(device)) is not None:
                row = self.queues.first(key)
                left = int(self.climb.until[row] - self.reached[row])
            if left:  # read for the call that is likely to come next
                feed.look_ahead(int(self.table.seeds[row]), int(self.reached[row]), left)

    def read(self) -> None:
        """Read the oldest call of a device that is ready (or wait for one)."""
        busy = [device for device in self.devices if device.calls]
        device = next((d for d in busy if d.ready()), busy[0])
        call = device.calls.popleft()
        readings = jax.device_get(call.readings)
        self.results.calls += 1
        if device.feed is not None and call.span is not None:
            readings = device.feed.collect(readings, call.span)
            if readings is None:
                return  # a part of an interval
        begun, device.read_at = device.read_at, time.perf_counter()
        device.pace = (device.read_at - begun) / call.intervals
        self.results.sittings.note(str(device.device), call.guests, begun, device.read_at)
        self.results.lane_intervals += call.intervals * len(call.guests)
        lanes = np.flatnonzero(call.guests != FREE)
        rows = call.guests[lanes]
        alive = ~self.results.finished[rows] & (self.results.first_bad[rows] < 0)
        self._collect(rows[alive], lanes[alive], call, readings)

    def drain(self) -> None:
        """Read all that is under way; a stream goes on to the end of its interval."""
        for device in self.devices:
            while device.feed is not None and device.feed.into:
                while len(device.calls) >= IN_FLIGHT:
                    self.read()
                self._call(device, wait=True)
        for device in self.devices:  # who is promoted by it waits already and is queued once
            self._free(device)
        while any(device.calls for device in self.devices):
            self.read()

    def end(self, interrupted: bool) -> None:
        """Say what became of those that did not finish."""
        results = self.results
        climbing = ~results.finished & (results.first_bad < 0)
        settled = not (climbing & (results.progress < self.climb.until)).any()
        results.interrupted = interrupted and not settled
        if self.keep_states:
            results.states |= self.waiting
        if not results.interrupted:
            results.stopped = ~results.finished & (results.first_bad < 0)

    def snapshot(self) -> Snapshot:
        """Where the sweep is, in arrays of the host."""
        self.drain()
        over = self.results.finished | (self.results.first_bad >= 0)
        states = {r: x for r, x in (seated(self.devices) | self.waiting).items() if not over[r]}
        waiting = stacked(states, self.structure, self.reached)
        return Snapshot(self.results, waiting, held(self.keep, self.structure))

    def _collect(self, rows: np.ndarray, lanes: np.ndarray, call: Call, readings: Readings) -> None:
        """Write down what a call brought, of all lanes at once, and hear who has arrived."""
        bad, ends = write_down(self.results, self.rhythm, rows, lanes, call, readings)
        for row in rows[bad].tolist():
            self.waiting.pop(row, None)
        for row in rows[bad | (ends >= self.climb.until[rows])].tolist():
            self._arrive(row)
        self.results.until = self.climb.until
        if self.keep is not None:
            last = lambda row: float(self.score(row, self.rhythm.intervals)[-1])
            self.keep.look(self.results, last)

    def _arrive(self, row: int, queue: bool = True) -> None:
        """Where a trial has come, or diverged, some are promoted; at the start copies are there."""
        bad, arriving = self.results.first_bad >= 0, [row]
        while arriving:
            row = arriving.pop()
            if not bad[row] and self.results.progress[row] < self.climb.until[row]:
                continue
            news = self.climb.arrive(row, self.results.progress, bad, self.score)
            self.table = news.table or self.table
            for one in news.stopped:
                self.stopped.add(one)
                if (state := self.waiting.pop(one, None)) is not None:
                    self.on_stop(one, state, self.home, self.results)
            copies = {one: self.waiting[other] for one, other in news.copies.items() if queue}
            self.waiting |= copies  # who has come waits by then
            arriving += [] if queue else news.promoted
            for one in reversed(news.promoted if queue else []):
                self.queues.of(one).appendleft(one)
        self.results.until = self.climb.until
