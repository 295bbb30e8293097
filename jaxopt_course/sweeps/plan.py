"""How many lanes a device gets: chosen from what the program needs, and from how fast it ran.

    plan = make_plan(trial, rhythm, data, table, devices)
    print(plan)                       # what was chosen, and why the others lost

Memory grows linearly with the width W, so widths 1 and 2 tell how many lanes fit.  Speed does not:
a step of few lanes is mostly overhead, one of many lanes leaves the cache, so widths are tried,
each twice the one before, up to the knee.  With groups of N trials on D devices, all trials take

    waves(W) = ⌈Σ_groups ⌈N / W⌉ / D⌉,    seconds(W) = waves(W) (steps · step(W) + seat(W))

where step(W) and seat(W) are the seconds to train W lanes for a step and to seat them.  The width
of the least seconds is chosen; of those within 5% of it, the one next to 8 lanes.  W = 1 is one
trial after another, W = ⌈N / D⌉ is one ``vmap`` over all trials of a device, and what lies between
are chunks, refilled as trials end.
"""

import html
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jaxopt_course.sweeps.lanes import Data, Rhythm, Trial
from jaxopt_course.sweeps.memory import Memory, fit_memory, in_bytes, memory_limit
from jaxopt_course.sweeps.probes import Probe, Prober
from jaxopt_course.sweeps.program import Table

GAIN = 1.05  # a wider program must be faster by this ...
PATIENCE = 2  # ... or after so many that are not, from CHUNK on, no wider one is tried
CHUNK = 8  # lanes below which a width is no better a guess than the next
NEAR = 1.2  # those within this of the best are timed again ...
ROUNDS = 3  # ... so often, in turn, since other work on the machine comes and goes
SEQUENTIAL, CHUNKS, VMAP = "one after another", "chunks", "vmap over all"
APART = "one program an optimizer"


class Load(NamedTuple):
    """What there is to train."""

    groups: tuple[int, ...]  # trials of each group; a call takes trials of one
    steps: int  # of a trial
    devices: int

    @property
    def widest(self) -> int:
        """Lanes that seat all trials of a group at once."""
        shared_by = max(1, self.devices // len(self.groups))
        return math.ceil(max(self.groups) / shared_by)

    @property
    def trial_steps(self) -> int:
        """Training steps of all trials."""
        return sum(self.groups) * self.steps

    def seconds(self, probe: Probe) -> float:
        """To train all trials, at the speed of a probe."""
        waves = math.ceil(sum(math.ceil(n / probe.lanes) for n in self.groups) / self.devices)
        return waves * (self.steps * probe.step_seconds + probe.seat_seconds)

    def compile_seconds(self, probe: Probe) -> float:
        """To compile for all devices, which the cores of this machine share."""
        return probe.compile_seconds * max(1.0, self.devices / (os.cpu_count() or 1))

    def strategy(self, lanes: int) -> str:
        """The name of a width."""
        if lanes >= self.widest:
            return VMAP
        return SEQUENTIAL if lanes == 1 else CHUNKS


class Loser(NamedTuple):
    """A way that was not chosen, and why."""

    strategy: str
    lanes: int
    reason: str


@dataclass(frozen=True, repr=False)
class Plan:
    """How a table is to be trained; ``print(plan)`` says it, ``sweep(..., plan=plan)`` does it.

    Attributes:
        strategy: "vmap over all", "chunks" or "one after another".
        lanes: W, trials trained side by side on a device.
        bytes: that a device will hold at once, data included.
        rate: trial-steps a second on all devices together, while all lanes are busy.
        seconds: to compile and to train all trials to their end.
        compile_seconds: of them, to compile.
        limit: bytes that a device may hold.
        load: what there is to train.
        probes: what was measured, by width.
        losers: the other ways, and why they lost.
        question: what the plan is for; a sweep of anything else refuses it.
    """

    strategy: str
    lanes: int
    bytes: int
    rate: float
    seconds: float
    compile_seconds: float
    limit: int
    load: Load
    probes: tuple[Probe, ...]
    losers: tuple[Loser, ...]
    question: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        load = self.load
        lines = [
            f"plan for {sum(load.groups)} trials of {load.steps:,} steps on "
            f"{load.devices} device(s)",
            f"  strategy  {self.strategy}: {self.lanes} lane(s) a device",
            f"  memory    {in_bytes(self.bytes)} a device of {in_bytes(self.limit)} to use",
            f"  speed     {self.rate:,.0f} trial-steps/s",
            f"  time      {in_seconds(self.seconds)}: {in_seconds(self.compile_seconds)} to "
            f"compile, {in_seconds(self.seconds - self.compile_seconds)} to train",
            "  not chosen" if self.losers else "  nothing else was possible",
        ]
        lines += [
            f"    {one.strategy:25s}{one.lanes:5d} lane(s)  {one.reason}" for one in self.losers
        ]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def describe(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "strategy": self.strategy,
            "lanes": self.lanes,
            "bytes": self.bytes,
            "trial_steps_per_second": self.rate,
            "seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
            "memory_limit": self.limit,
            "probes": [one._asdict() for one in self.probes],
            "not_chosen": [one._asdict() for one in self.losers],
        }


def make_plan(
    trial: Trial,
    rhythm: Rhythm,
    data: Data,
    table: Table,
    devices: Sequence[Any],
    *,
    question: Mapping[str, Any] | None = None,
    alone: Callable[[int], Probe] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Probe widths on the first device and choose one.

    Args:
        trial: the pure functions of a trial.
        rhythm: how long a trial is, and when it is evaluated.
        data: the three parts.
        table: the trials.
        devices: all of a kind; the others are taken to be as fast as the first.
        question: what the plan is for, in words that JSON can hold.
        alone: probes the program of one group alone, where there are several.
        tell: is told what goes on.

    Raises:
        ValueError: not even one lane fits into the memory of a device.
    """
    sizes = np.unique(table.together, return_counts=True)[1]
    load = Load(tuple(sizes.tolist()), rhythm.steps, len(devices))
    prober = Prober(trial, rhythm, data, table, devices[0])
    limit = memory_limit(devices)

    def measure(lanes: int) -> Probe:
        tell(f"planning, {lanes} lane(s)")
        return prober(lanes)

    first = [measure(1), measure(2)]
    memory = fit_memory(first[0], first[1], limit)

    def measure_wide(lanes: int) -> Probe:
        if 2 * memory.bytes(lanes) > limit:
            prober.release()
        return measure(lanes)

    probes = climb(first, measure_wide, min(load.widest, memory.lanes))
    plan = choose(settle(probes, prober.again, load), memory, load, question or {})
    prober.release()
    if alone is None:
        return plan
    tell("planning, one optimizer alone")
    return weigh_apart(plan, alone(plan.lanes))


def climb(first: Sequence[Probe], measure: Callable[[int], Probe], widest: int) -> list[Probe]:
    """Probe wider and wider, until it no longer pays.

    Args:
        first: the probes of widths 1 and 2.
        measure: probes a width.
        widest: that makes sense and fits.
    """
    probes = [one for one in first if one.lanes <= max(1, widest)]
    best, idle = max(probes, key=lambda one: one.rate), 0
    for width in _widths(widest):
        latest = measure(width)
        probes.append(latest)
        if latest.rate >= GAIN * best.rate:
            best, idle = latest, 0
        elif width >= CHUNK:
            idle += 1
        if idle == PATIENCE:
            break
    return probes


def _widths(widest: int) -> Iterator[int]:
    """Beyond 2: 8, 16, ... and the widest."""
    width = CHUNK
    while width < widest:
        yield width
        width *= 2
    if widest > 2:
        yield widest


def settle(probes: Sequence[Probe], again: Callable[[Probe], Probe], load: Load) -> list[Probe]:
    """The probes, those near the best timed again in turn."""
    probes = list(probes)
    for _ in range(ROUNDS):
        best = min(load.seconds(one) for one in probes)
        near = [load.seconds(one) <= NEAR * best for one in probes]
        probes = [again(one) if close else one for one, close in zip(probes, near, strict=True)]
    return probes


def choose(
    probes: Sequence[Probe], memory: Memory, load: Load, question: Mapping[str, Any]
) -> Plan:
    """The width that is through first, and why the others are not; a function of its arguments."""
    least = min(load.seconds(one) for one in probes)
    equals = [one for one in probes if load.seconds(one) <= GAIN * least]
    # what probes leave out: many short calls cost the host, wide lanes the cache that devices share
    best = min(equals, key=lambda one: (one.lanes < CHUNK, abs(one.lanes - CHUNK)))
    seconds = load.seconds(best)
    losers = [
        Loser(load.strategy(one.lanes), one.lanes, _slower(load.seconds(one), seconds, one, load))
        for one in probes
        if one is not best
    ]
    tried = max(one.lanes for one in probes)
    if tried < load.widest:
        if memory.lanes < load.widest:
            reason = (
                f"does not fit: {in_bytes(memory.bytes(load.widest))} of {in_bytes(memory.limit)}"
            )
        else:
            reason = f"not tried: {tried} lanes are no faster than fewer"
        losers.append(Loser(VMAP, load.widest, reason))
    compiling = load.compile_seconds(best)
    return Plan(
        strategy=load.strategy(best.lanes),
        lanes=best.lanes,
        bytes=best.bytes,
        rate=best.rate * load.devices,
        seconds=seconds + compiling,
        compile_seconds=compiling,
        limit=memory.limit,
        load=load,
        probes=tuple(probes),
        losers=tuple(losers),
        question=dict(question),
    )


def _slower(seconds: float, best: float, probe: Probe, load: Load) -> str:
    rate = probe.rate * load.devices
    speed = f"{rate:,.0f} trial-steps/s, {in_seconds(seconds)} to train"
    times = f"{speed}: {seconds / best:.2f}x the time"
    return times if seconds > best else times + ", too little to tell"


def weigh_apart(plan: Plan, alone: Probe) -> Plan:
    """The plan, with a verdict on one program a group instead of one for all.

    A table trains in one program, so the verdict is advice where the others would be faster.
    """
    groups = len(plan.load.groups)
    each, training = plan.load.compile_seconds(alone), plan.load.seconds(alone)
    reason = f"{groups} x {in_seconds(each)} to compile, {in_seconds(training)} to train: "
    saved = plan.seconds - groups * each - training
    if saved > 0:
        reason += (
            f"{in_seconds(saved)} less; not run by sweep: sweep each optimizer on its own for it"
        )
    else:
        reason += f"{in_seconds(-saved)} more"
    loser = Loser(APART, alone.lanes, reason)
    return Plan(**{**vars(plan), "losers": (*plan.losers, loser)})


def in_seconds(number: float) -> str:
    """0.25 s, 9.3 s, 1,200 s."""
    digits = 0 if number >= 100 else 1 if number >= 1 else 3
    return f"{number:,.{digits}f} s"
