"""A table's numbers and the programs that train them, lowered once, compiled for each device."""

import functools
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_course.sweeps import streaming
from jaxopt_course.sweeps.lanes import (
    Data,
    Rhythm,
    Seats,
    Trial,
    empty_lanes,
    make_seat,
)

# of LLVM, for the segment and for "seat": beyond 1 a segment takes up to twice as long to compile
# and runs no faster; "seat" runs once a trial
CPU_EFFORT = ({"xla_backend_optimization_level": 1}, {"xla_backend_optimization_level": 0})


class Table(NamedTuple):
    """The trials as the engine sees them: numbers only, N rows."""

    hyperparameters: Mapping[str, Any]  # leaves (N,): float32, int32, bool
    seeds: np.ndarray  # (N,), uint32
    together: np.ndarray  # (N,), int32: lanes of one call share this value ...
    together_name: str | None = None  # ... and programs find it under this name


class Program(NamedTuple):
    """One segment, lowered once, compiled for each device."""

    seat: tuple[Any, ...]  # an executable a device
    segment: tuple[Any, ...]
    devices: tuple[Any, ...]
    rhythm: Rhythm
    lanes: int
    text: str  # the lowered segment, for its hash
    lowerings: int
    seconds: float  # to lower and compile


def compile_program(
    trial: Trial,
    rhythm: Rhythm,
    data: Data,
    table: Table,
    lanes: int,
    devices: Sequence[Any],
) -> Program:
    """Lower the segment once and compile it for every device, side by side in threads."""
    start = time.perf_counter()
    traces = []
    segment = streaming.segment_of(trial, rhythm)
    given, span = streaming.chunked(data, rhythm), streaming.argument(rhythm, 1)

    @functools.wraps(segment)
    def counted(*args: Any) -> Any:
        traces.append(1)
        return segment(*args)

    seats = make_seats(table, np.zeros(lanes, np.int64))
    empty = empty_lanes(trial, seats)
    programs = [
        (jax.jit(counted, donate_argnums=0), (empty, seats, given, span, np.bool_(False))),
        (jax.jit(make_seat(trial), donate_argnums=0), (empty, seats, np.zeros(lanes, bool))),
    ]
    effort = CPU_EFFORT if devices[0].platform == "cpu" else ({}, {})

    def lower(program: Any, arguments: Any, device: Any) -> Any:
        sharding = jax.sharding.SingleDeviceSharding(device)
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype, sharding=sharding), arguments
        )
        return program.lower(*shapes)

    # tracing is not for threads; the compiler is
    lowered = [[lower(*program, device) for device in devices] for program in programs]
    pool = ThreadPoolExecutor(2 * len(devices))
    try:
        compiling = [
            [pool.submit(one.compile, options) for one in each]
            for each, options in zip(lowered, effort, strict=True)
        ]
        segments, seat = (tuple(one.result() for one in each) for each in compiling)
    finally:  # after Ctrl-C nobody waits for a compiler, which cannot be stopped
        pool.shutdown(wait=False, cancel_futures=True)
    text = "\n".join(each[0].as_text() for each in lowered)  # of both: init is in "seat" alone
    seconds = time.perf_counter() - start
    return Program(seat, segments, tuple(devices), rhythm, lanes, text, len(traces), seconds)


def make_seats(table: Table, rows: np.ndarray) -> Seats:
    """Seat the trials ``rows``, one a lane."""
    own = jax.tree.map(lambda x: x[rows], dict(table.hyperparameters))
    name = table.together_name
    shared = {} if name is None else {name: np.int32(table.together[rows[0]])}
    return Seats(shared, own, table.seeds[rows])


def row_of(table: Table, row: int) -> dict[str, Any]:
    """A row's numbers as its program sees them."""
    own = jax.tree.map(lambda x: x[row], dict(table.hyperparameters))
    if table.together_name is not None:
        own[table.together_name] = np.int32(table.together[row])
    return own
