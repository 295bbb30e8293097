"""A device of another process, as far as it is known here; and what stays here."""

import functools
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_course.sweeps.device import Call, Device
from jaxopt_course.sweeps.lanes import Data, emptied
from jaxopt_course.sweeps.messages import Code
from jaxopt_course.sweeps.program import Program


@dataclass
class Sent(Call):
    """A segment under way."""

    wanted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    void: bool = False  # its rows were given to others
    at: float = 0.0


@dataclass
class Remote(Device):
    """The lanes of a device of another process, as far as they are known here."""

    worker: Any = None
    number: int = 0
    fresh: np.ndarray | None = None  # of the next message, as is what follows
    admitted: list[tuple[int, Any, int]] = field(default_factory=list)
    moved: bool = False
    ask: bool = False  # for the states of all guests
    known: bool = False  # whether these are there, of now
    silent: bool = False
    told: float = 0.0  # when all its states came last
    heard: float = 0.0
    taken: Any = None  # of the lane that is left now

    def sit(self, seats: Any) -> None:
        """See :class:`Device`."""
        self.seats, self.moved = seats, True

    def begin(self, fresh: np.ndarray) -> None:
        """See :class:`Device`."""
        self.fresh = fresh

    def admit(self, lane: int, state: Any, first_bad: Any) -> None:
        """See :class:`Device`."""
        self.admitted.append((lane, state, int(first_bad)))

    def tells(self) -> bool:
        """See :class:`Device`; if not, it is asked."""
        self.ask = not self.known
        return self.known

    def take(self, lane: int) -> Any:
        """See :class:`Device`."""
        return self.taken


class Home:
    """Where this process measures what is stopped.

    Args:
        device: of it.
        data: of all trials.
    """

    def __init__(self, device: Any, data: Data) -> None:
        self.device, self._data = device, data

    @functools.cached_property
    def data(self) -> Data:
        """On the device."""
        return jax.device_put(self._data, self.device)


def code_of(program: Program, seat: bytes, segment: bytes) -> Code:
    """A program as other processes take it, of what the compiler made for this one."""
    lanes = jax.tree.leaves(emptied(program.state, program.lanes))
    shapes = [(x.shape, x.dtype) for x in lanes]
    takes = program.seat[0].in_tree.num_leaves, program.segment[0].in_tree.num_leaves
    return Code(seat, segment, shapes, takes, program.segment[0].out_tree.num_leaves)
