"""Whether a call, made again, gives the same bits: what resume and replay rest on.

An executable that gives other bits from call to call (jax-ml/jax#39741 reports one) breaks no
training, but every promise to the last bit.  So one call of a sweep is made twice, from a copy of
its lanes, since the segment takes over what it is given, and compared.
"""

from typing import Any

import jax
import numpy as np

from jaxopt_course.sweeps.device import Device
from jaxopt_course.sweeps.lanes import Readings
from jaxopt_course.sweeps.memory import in_bytes, memory_limit
from jaxopt_course.sweeps.mesh import put_lanes, slice_of
from jaxopt_course.sweeps.program import Program
from jaxopt_course.sweeps.snapshot import Results

SHARE = 0.02  # of a sweep's calls, at most: one in fifty


def is_worth_it(program: Program, trials: int) -> bool:
    """Whether one call more is little beside those that the sweep takes; a function of its size.

    On slices of a mesh it is not: nobody promises bits there.
    """
    if slice_of(program.devices[0]) is not None:
        return False
    calls = trials * program.rhythm.intervals / (program.lanes * len(program.devices))
    return calls * SHARE >= 1


def advance_twice(
    device: Device, data: Any, span: Any, ends: np.bool_, results: Results
) -> Readings:
    """A call of the sweep, made again and compared; ``results`` hear what came of it."""
    results.not_compared = too_little_memory(device)
    if results.not_compared:
        return device.advance(data, span, ends)
    before = on_host(device.lanes)
    readings = device.advance(data, span, ends)
    once = on_host((device.lanes, readings))
    lanes = put_lanes(before, device.device)
    again = device.segment(lanes, device.seats, data, span, ends)
    results.compared += 1
    results.differ += differences(once, on_host(again))
    return readings


def too_little_memory(device: Device) -> str:
    """Why there is no room for a copy of the lanes; empty where there is."""
    size = sum(x.nbytes for x in jax.tree.leaves(device.lanes))
    limit = memory_limit([device.device])
    if 3 * size <= limit:  # on the host before and after, on the device once
        return ""
    return f"three copies of the lanes take {in_bytes(3 * size)}, there are {in_bytes(limit)}"


def on_host(tree: Any) -> Any:
    """A copy in the host's memory, which no later call takes over."""
    return jax.tree.map(lambda x: np.array(x, copy=True), tree)


def differences(once: Any, again: Any) -> list[str]:
    """Where two results differ in a bit: the paths of the arrays."""
    pairs = zip(jax.tree_util.tree_leaves_with_path(once), jax.tree.leaves(again), strict=True)
    return [jax.tree_util.keystr(path) for (path, x), y in pairs if x.tobytes() != y.tobytes()]
