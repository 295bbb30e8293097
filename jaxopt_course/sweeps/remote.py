"""The host's loop over devices of other processes, which may join, fall silent and die.

Of each trial the last known state is kept here, and how far it had come: from there it goes on
where its device is lost.  Readings and the state of whoever leaves a lane come in one message, so a
trial has either come to a rung or it has not.  What is computed twice gives the same bits: the
first answer counts, and whatever comes later changes nothing.
"""

import json
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jaxopt_course.sweeps.device import FREE
from jaxopt_course.sweeps.engine import _Loop
from jaxopt_course.sweeps.keeping import held, stacked
from jaxopt_course.sweeps.lanes import Data
from jaxopt_course.sweeps.messages import Answer, Code, Lost, Work, Workers
from jaxopt_course.sweeps.program import Program, Table
from jaxopt_course.sweeps.queues import groups
from jaxopt_course.sweeps.remote_device import Home, Remote, Sent
from jaxopt_course.sweeps.snapshot import Snapshot

SEGMENT_SECONDS = 1.0  # a call's length aimed at
TELL_SECONDS = 10.0  # after which all states of a device come along with its readings
WAIT_SECONDS = 0.2  # for an answer, before Ctrl-C is looked for
COMING = object()  # in the place of a state that comes with the next answer
NOBODY = -1


class RemoteLoop(_Loop):
    """The state of ``engine.run`` over workers.

    Args:
        workers: where.
        code: the program, as they take it.
        program: as the other arguments, of ``engine.run``.
        table: likewise.
        data: likewise.
        trial: likewise.
        more: likewise.
    """

    def __init__(
        self,
        workers: Workers,
        code: Code,
        program: Program,
        table: Table,
        data: Data,
        trial: Any,
        *more: Any,
    ) -> None:
        rows = len(table.seeds)
        self.workers, self.limit, self.joined = workers, workers.silent_seconds, 0
        self.states: dict[int, Any] = {}  # the last known one of each row, none at its first step
        self.anchored = np.zeros(rows, np.int32)  # intervals behind it ...
        self.runs = np.full(rows, -1, np.int32)  # ... and its run of bad losses then
        self.owner = np.full(rows, NOBODY)  # the device that a row was last sent to
        self.program, self.warned = program, False
        self.readings = program.segment[0].out_tree.children()[1]
        nowhere = program._replace(devices=(), seat=(), segment=())
        super().__init__(nowhere, table, data, trial, *more)
        self.home = Home(program.devices[0], data)
        for row, state in self.waiting.items():
            self._note(row, state, int(self.reached[row]), int(self.results.first_bad[row]))
        flat = jax.tree.leaves
        most = groups(map(self._key, range(rows)), program.lanes)
        if workers.platforms and program.portable is not None:
            make = program.portable
            code = code._replace(portable={one: make(one) for one in workers.platforms})
        workers.begin(code, [np.asarray(x) for x in flat(data)], most)

    def _note(self, row: int, state: Any, reached: int, first_bad: int) -> None:
        self.states[row], self.anchored[row], self.runs[row] = state, reached, first_bad

    def _remotes(self) -> list[Any]:
        return list(self.devices)

    def _under_way(self) -> bool:
        return any(not call.void for device in self._remotes() for call in device.calls)

    def dispatch(self) -> bool:
        """Let in who has joined, give away what is silent, fill the pipelines."""
        for worker in self.workers.joined():
            lanes = np.full(self.program.lanes, FREE)
            now, self.joined = time.perf_counter(), self.joined + 1
            more = {"worker": worker, "number": self.joined, "heard": now}
            self.devices.append(Remote(worker.name, None, None, None, None, lanes, **more))  # type: ignore[arg-type]
        now = time.perf_counter()
        for device in self._remotes():
            if device.calls and not device.silent and now - device.heard > self.limit:
                self._give_away(device)
                device.silent = True
        super().dispatch()
        under_way = self._under_way()
        left = self.joined and not self.devices and not self.queues.empty
        if left and not self.warned:
            self.warned = True
            warnings.warn(
                "no device of the cluster is left, the sweep waits for one to join; Ctrl-C saves "
                "what is there",
                stacklevel=2,
            )
        return under_way or not self.queues.empty

    def _seat(self, device: Any) -> bool:
        if device.silent:
            return False
        ready = super()._seat(device)
        return ready or (device.ask and not device.calls)

    def _leave(self, device: Any, lane: int, back: bool = False) -> None:
        row = int(device.guests[lane])
        there = row in self.states and self.anchored[row] == self.reached[row]
        device.taken = self.states[row] if there else COMING
        super()._leave(device, lane, back)

    def _call(self, device: Any, wait: bool = False) -> None:
        occupied = np.flatnonzero(device.guests != FREE)
        guests = device.guests[occupied]
        now, intervals, ends = time.perf_counter(), 0, False
        for lane, state, first_bad in device.admitted:
            row = int(device.guests[lane])
            self._note(row, state, int(self.reached[row]), first_bad)
        after = self.reached[guests]
        if not device.ask:
            left = int((self.climb.until[guests] - after).min())
            aim = device.aim(self.rhythm, SEGMENT_SECONDS, self.results, self.queues.empty)
            intervals = min(aim, left)
            after = after + intervals
            ends = bool((after == self.rhythm.intervals).any())
        all_of_them = device.ask or now - device.told >= TELL_SECONDS
        needed = self.keep_states or self.keep is not None
        leaving = (after >= self.climb.until[guests]) & (needed | (after < self.rhythm.intervals))
        wanted = occupied if all_of_them else occupied[leaving]
        flat = lambda tree: [np.asarray(x) for x in jax.tree.leaves(tree)]
        work = Work(
            flat(device.seats) if device.moved else None,
            device.fresh,
            [(lane, flat(state), first_bad) for lane, state, first_bad in device.admitted],
            intervals,
            ends,
            wanted,
        )
        if not device.calls:
            device.heard = device.read_at = now
        begins = self.reached[device.guests]
        sent = Sent(None, device.guests.copy(), begins, intervals, wanted=wanted, at=now)  # type: ignore[arg-type]
        device.calls.append(sent)
        device.fresh, device.admitted, device.moved, device.known = None, [], False, False
        device.told = now if all_of_them else device.told
        self.reached[guests] += intervals
        self.owner[guests] = device.number
        device.worker.send(work)

    def read(self) -> None:
        """Read whatever has been answered, or wait a little."""
        busy = [device for device in self._remotes() if device.calls]
        self.workers.wait([device.worker for device in busy], WAIT_SECONDS)
        for device in busy:
            while device.calls and device.worker.answered():
                try:
                    answer = device.worker.answer()
                except Lost as why:
                    self._give_away(device)
                    self.devices.remove(device)
                    said = f"{device.worker.name} is lost ({why}); its rows go to others"
                    warnings.warn(said, stacklevel=2)
                    break
                self._hear(device, answer)

    def _hear(self, device: Any, answer: Answer) -> None:
        """Write down an answer; of what was read before nothing changes."""
        self._free(device)  # who is promoted by it waits already and is queued once
        call, now = device.calls.popleft(), time.perf_counter()
        if device.silent:  # slow it was, not dead
            device.silent, self.limit = False, max(self.limit, 2 * (now - call.at))
        device.heard = now
        name = device.worker.name
        self.workers.calls[name] = self.workers.calls.get(name, 0) + 1
        lanes = np.flatnonzero(call.guests != FREE)
        rows, results = call.guests[lanes], self.results
        ends = call.begins + call.intervals
        news = ~results.finished[rows] & (results.first_bad[rows] < 0)
        if call.intervals:
            readings = self._unflattened(answer.readings)
            first_bad = readings.first_bad
            news &= (call.begins[lanes] <= results.progress[rows]) & (
                ends[lanes] > results.progress[rows]
            )
        else:
            device.ask, first_bad = False, results.first_bad[call.guests]
            device.known = not call.void
        states = dict(zip(call.wanted.tolist(), self._states_of(answer.states), strict=True))
        for lane, state in states.items():
            row = int(call.guests[lane])
            newer = ends[lane] > self.anchored[row] or row not in self.states
            if first_bad[lane] < 0 and newer and not results.finished[row]:
                self._note(row, state, int(ends[lane]), int(first_bad[lane]))
            if ends[lane] == self.reached[row]:
                self._settle(row, state)
        if not call.intervals:
            return
        results.calls += 1
        results.lane_intervals += call.intervals * len(call.guests)
        if call.void:
            self._claim(rows, lanes, news, ends, states, first_bad)
        else:
            device.pace = (now - device.read_at) / call.intervals
            results.sittings.note(name, call.guests, device.read_at, now)
        device.read_at = now
        call.readings = readings
        if device.worker.facts:
            name = json.dumps(device.worker.facts)
            seen = results.nodes.setdefault(name, np.zeros(len(results.progress), bool))
            seen[rows[news]] = True
        self._collect(rows[news], lanes[news], call, readings)

    def _claim(
        self,
        rows: np.ndarray,
        lanes: np.ndarray,
        news: np.ndarray,
        ends: np.ndarray,
        states: dict[int, Any],
        first_bad: np.ndarray,
    ) -> None:
        """A device that was silent has come to an end before those who do its work again."""
        needed = self.keep_states or self.keep is not None
        for i, (row, lane) in enumerate(zip(rows.tolist(), lanes.tolist(), strict=True)):
            end = int(ends[lane])
            if not news[i] or first_bad[lane] >= 0 or end < self.climb.until[row]:
                continue
            if lane not in states and (needed or end < self.rhythm.intervals):
                news[i] = False  # of no use without its state
                continue
            for device in self._remotes():
                device.guests[device.guests == row] = FREE
            with suppress(ValueError):
                self.queues.of(row).remove(row)
            self.reached[row], self.owner[row] = end, NOBODY
            self.waiting.pop(row, None)
            if end < self.rhythm.intervals:
                self.waiting[row] = states[lane]
            elif self.keep_states:
                self.results.states[row] = states[lane]
            elif self.keep is not None:
                self.keep.take(row, states[lane])

    def _give_away(self, device: Any) -> None:
        """Let the rows of a device go on elsewhere, from where they are known."""
        self._free(device)
        rows = set(device.guests[device.guests != FREE].tolist())
        for call in device.calls:
            rows |= set() if call.void else set(call.guests[call.guests != FREE].tolist())
            call.void = True
        device.guests[:] = FREE
        device.admitted, device.fresh, device.ask, device.known = [], None, False, False
        over = self.results.finished | (self.results.first_bad >= 0)
        for row in sorted(rows, reverse=True):
            if over[row] or row in self.stopped or self.owner[row] not in (NOBODY, device.number):
                continue
            for place in self._places():
                if place.get(row) is COMING:
                    del place[row]
            if self.keep is not None:
                self.keep.fresh.discard(row)
            elsewhere = row in self.waiting
            if elsewhere:
                continue
            self.reached[row], self.owner[row] = self.anchored[row], NOBODY
            self.results.first_bad[row] = self.runs[row]
            if row in self.states:
                self.waiting[row] = self.states[row]
            if self.reached[row] < self.climb.until[row]:
                self.queues.of(row).appendleft(row)

    def _places(self) -> list[dict[int, Any]]:
        found = [self.waiting, self.results.states]
        return found if self.keep is None else [*found, self.keep.states]

    def _settle(self, row: int, state: Any) -> None:
        """Put a state where it is waited for."""
        for place in self._places():
            if place.get(row) is COMING:
                place[row] = state

    def drain(self) -> None:
        """Wait for what is under way, as long as nobody counts as silent."""
        until = time.perf_counter() + self.limit
        for device in self._remotes():
            self._free(device)
        while self._under_way() and time.perf_counter() < until:
            self.read()
        if self.keep is not None:  # whose last reading came before it left its lane
            last = lambda row: float(self.score(row, self.rhythm.intervals)[-1])
            self.keep.look(self.results, last)

    def end(self, interrupted: bool) -> None:
        """See ``engine``; what never came is left out."""
        super().end(interrupted)
        for place in self._places():
            for row in [row for row, state in place.items() if state is COMING]:
                del place[row]

    def snapshot(self) -> Snapshot:
        """Where the trials are, as far as is known here: nobody is waited for."""
        results = self.results
        over = results.finished | (results.first_bad >= 0)
        free = [row for row in self.states if over[row] or row in self.stopped]
        for row in free:
            del self.states[row]
        waiting = {r: x for r, x in self.waiting.items() if x is not COMING and not over[r]}
        reached = self.anchored.copy()
        reached[list(waiting)] = self.reached[list(waiting)]
        states = {row: x for row, x in self.states.items() if not over[row]} | waiting
        there = over | np.isin(np.arange(len(over)), list(self.stopped))
        known = replace(
            results,
            progress=np.where(there, results.progress, reached),
            first_bad=np.where(there, results.first_bad, self.runs),
        )
        return Snapshot(
            known, stacked(states, self.structure, reached), held(self.keep, self.structure)
        )

    def _unflattened(self, leaves: list[np.ndarray]) -> Any:
        return jax.tree.unflatten(self.readings, leaves)

    def _states_of(self, leaves: list[np.ndarray]) -> list[Any]:
        count = len(leaves[0]) if leaves else 0
        one = lambda i: jax.tree.unflatten(self.structure, [np.array(x[i]) for x in leaves])
        return [one(i) for i in range(count)]
