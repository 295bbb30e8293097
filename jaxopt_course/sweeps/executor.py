"""The other end of the messages: lanes of one device, of which nobody here knows the task."""

from typing import Any

import jax
import numpy as np
from jax import export

from jaxopt_course.sweeps.device import place, take
from jaxopt_course.sweeps.lanes import Lanes
from jaxopt_course.sweeps.loading import moved
from jaxopt_course.sweeps.messages import Answer, Code, Leaves, Work
from jaxopt_course.sweeps.program import bytes_of_lane, options_of


class Executor:
    """Does what it is sent, one after the other.

    Args:
        device: of this process.
    """

    def __init__(self, device: Any) -> None:
        self.device = device
        self._lanes: list[Any] = []
        self._seats: list[Any] = []

    def load(self, code: Code, data: Leaves, alike: bool = True) -> None:
        """Take over a program and its data; lanes are empty.

        Args:
            code: the program.
            data: all three parts.
            alike: whether the sweep's process has such a device; if not, it is compiled here.

        Raises:
            RuntimeError: this process cannot run what the sweep's has compiled or exported.
        """
        if not alike:
            self._seat, self._segment = self._compiled(code)
        else:
            self._seat, self._segment = self._moved(code)
        self._data = jax.device_put(data, self.device)
        self.empty(code)

    def _moved(self, code: Code) -> list[Any]:
        takes, gives = code.arguments, (len(code.lanes), code.returns)
        programs = [
            moved((content, _flat_arguments(n), jax.tree.structure([0] * m)), self.device)
            for content, n, m in zip((code.seat, code.segment), takes, gives, strict=True)
        ]
        if None in programs:
            raise RuntimeError("the program that the sweep's process compiled cannot be run here")
        return programs

    def _compiled(self, code: Code) -> list[Any]:
        platform, found = self.device.platform, []
        if platform not in code.portable:
            raise RuntimeError(f"the sweep's process has no program for a {platform} device")
        donated = range(len(code.lanes))
        lane = bytes_of_lane([np.empty(shape, dtype) for shape, dtype in code.lanes[:-1]])
        effort = options_of(platform, lane)
        for content, how in zip(code.portable[platform], effort, strict=True):
            given = export.deserialize(bytearray(content))
            put = jax.sharding.SingleDeviceSharding(self.device)
            shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=put) for x in given.in_avals]
            found.append(jax.jit(given.call, donate_argnums=donated).lower(*shapes).compile(how))
        return found

    def empty(self, code: Code) -> None:
        """Let everybody go."""
        empty = [np.zeros(shape, dtype) for shape, dtype in code.lanes]
        empty[-1] = np.full_like(empty[-1], -1)  # nobody is bad
        self._lanes, self._seats = jax.device_put(empty, self.device), []

    def work(self, work: Work) -> Answer:
        """Seat, advance, and tell."""
        if work.seats is not None:
            self._seats = jax.device_put(work.seats, self.device)
        for lane, leaves, first_bad in work.admitted:
            lanes = Lanes(self._lanes[:-1], self._lanes[-1])
            state = jax.device_put(leaves, self.device)
            *rest, last = jax.tree.leaves(place(lanes, np.int32(lane), state, np.int32(first_bad)))
            self._lanes = [*rest, last]
        if work.fresh is not None:
            self._lanes = self._seat(*self._lanes, *self._seats, work.fresh)
        readings: list[Any] = []
        if work.intervals:
            told = np.int32(work.intervals), np.bool_(work.ends)
            out = self._segment(*self._lanes, *self._seats, *self._data, *told)
            self._lanes, readings = out[: len(self._lanes)], out[len(self._lanes) :]
        return Answer([np.array(x) for x in readings], self._states(work.wanted))

    def _states(self, wanted: np.ndarray) -> Leaves:
        if not len(wanted):
            return []
        lanes = [take(self._lanes[:-1], np.int32(lane)) for lane in wanted]
        return [np.stack(leaf) for leaf in zip(*jax.device_get(lanes), strict=True)]


def _flat_arguments(count: int) -> Any:
    return jax.tree.structure(((0,) * count, {}))
