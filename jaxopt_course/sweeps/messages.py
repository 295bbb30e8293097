"""What the sweep and the devices of other processes tell each other: arrays, no functions.

A program travels as the machine code that the sweep's own process compiled, so nothing of the
user's code leaves it, and bits are those of one process.  A device that this code is not for gets
what the compiler was given instead, compiles it itself, and agrees to rounding.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

Leaves = list[np.ndarray]


class Code(NamedTuple):
    """A program as other processes take it; its trees are flat there."""

    seat: bytes
    segment: bytes
    lanes: list[tuple[tuple[int, ...], np.dtype]]  # shapes of the lanes' leaves, W first
    arguments: tuple[int, int]  # leaves that "seat" and the segment take ...
    returns: int  # ... and that the segment gives back; "seat" gives the lanes
    portable: Mapping[str, tuple[bytes, bytes]] = {}  # by platform, both as StableHLO


class Work(NamedTuple):
    """A segment for one device, and who sits down before it."""

    seats: Leaves | None  # of all lanes, where somebody has moved
    fresh: np.ndarray | None  # (W,), bool, who begins
    admitted: list[tuple[int, Leaves, int]]  # lane, state and run of bad losses of who goes on
    intervals: int  # 0: only tell states
    ends: bool  # whether a trial ends in this call
    wanted: np.ndarray  # (K,), lanes of which the states come back


class Answer(NamedTuple):
    """What a device tells of a segment."""

    readings: Leaves
    states: Leaves  # (K, ...) each


class Lost(Exception):
    """A device will never answer; the message says why."""


class Worker(Protocol):
    """A device of another process, with the program loaded; answers come in the order of work."""

    @property
    def name(self) -> str:
        """Where it is, in words."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What it is, for the manifest, where devices may be unlike; "alike" says if it is."""

    def send(self, work: Work) -> None:
        """Let it do this, after what it was sent before."""

    def answered(self) -> bool:
        """Whether the oldest answer can be had without waiting, or never will come."""

    def answer(self) -> Answer:
        """The oldest answer.

        Raises:
            Lost: it will never come.
        """


class Workers(Protocol):
    """All of them, as they come and go."""

    @property
    def silent_seconds(self) -> float:
        """After how long without an answer a device's rows are given to another."""

    @property
    def platforms(self) -> Sequence[str]:
        """Of the devices that may be unlike this process's, which need ``Code.portable``."""

    def begin(self, code: Code, data: Leaves, most: int) -> None:
        """Have this program and these data loaded, on so many devices at most."""

    def joined(self) -> Sequence[Worker]:
        """Those that have loaded it since this was last asked."""

    def wait(self, busy: Sequence[Worker], seconds: float) -> None:
        """Return once one of them has answered, or so many seconds are over."""

    @property
    def calls(self) -> dict[str, int]:
        """How many calls each has answered, by name."""
