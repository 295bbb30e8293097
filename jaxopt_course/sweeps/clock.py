"""How long a call takes when all lanes train the same trial: an optimizer's own seconds."""

import statistics
import time

import jax
import numpy as np

from jaxopt_course.sweeps.lanes import Data, emptied
from jaxopt_course.sweeps.mesh import put, put_lanes
from jaxopt_course.sweeps.numerics import bad_numbers_are_results
from jaxopt_course.sweeps.program import Program, Table, make_seats


@bad_numbers_are_results()
def interval_seconds(program: Program, data: Data, table: Table, row: int, repeats: int) -> float:
    """Seconds of an interval of all lanes of the first device, the median of some calls.

    Every call is of fresh lanes, and the first one is not counted.  Nothing else should run.

    Args:
        program: compiled.
        data: the three parts.
        table: of which a row trains in all lanes.
        row: which.
        repeats: calls that are timed.
    """
    device, seat, segment = program.devices[0], program.seat[0], program.segment[0]
    seats = put(make_seats(table, np.full(program.lanes, row)), device)
    lanes = put_lanes(emptied(program.state, program.lanes), device)
    data = put(data, device)
    seconds = []
    for _ in range(repeats + 1):
        lanes = jax.block_until_ready(seat(lanes, seats, np.ones(program.lanes, bool)))
        begun = time.perf_counter()
        lanes, readings = segment(lanes, seats, data, np.int32(1), np.bool_(False))
        jax.block_until_ready(readings)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[1:])
