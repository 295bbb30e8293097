"""A table's numbers and the programs that train them, lowered and compiled once."""

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export

from jaxopt_course.sweeps import streaming
from jaxopt_course.sweeps.lanes import (
    Data,
    Rhythm,
    Seats,
    Trial,
    empty_lanes,
    make_seat,
)
from jaxopt_course.sweeps.loading import Kept, compile_all
from jaxopt_course.sweeps.mesh import lower_on, slice_of, spread
from jaxopt_course.sweeps.names import names_of
from jaxopt_course.sweeps.numerics import CPU_EFFORT, CPU_ORDER, GPU_REPEATS, LARGE_STATE, precision
from jaxopt_course.sweeps.recent import Recent


class Table(NamedTuple):
    """The trials as the engine sees them: numbers only, N rows."""

    hyperparameters: Mapping[str, Any]  # leaves (N,): float32, int32, bool
    seeds: np.ndarray  # (N,), uint32
    together: np.ndarray  # (N,), int32: lanes of one call share this value ...
    together_name: str | None = None  # ... and programs find it under this name


class Program(NamedTuple):
    """One segment, lowered once, an executable a device."""

    seat: tuple[Any, ...]  # an executable a device
    segment: tuple[Any, ...]
    devices: tuple[Any, ...]
    rhythm: Rhythm
    lanes: int
    text: str  # the lowered segment, for its hash
    lowerings: int
    seconds: float  # to lower and compile
    state: Any  # of all lanes, shapes
    names: tuple[list[str], list[str], list[str]]  # of what is measured, recorded and tested
    portable: Callable[[str], tuple[bytes, bytes]] | None = None  # by platform, see ``Code``


def compile_program(
    trial: Trial,
    rhythm: Rhythm,
    data: Data,
    table: Table,
    lanes: int,
    devices: Sequence[Any],
    kept: Kept | None = None,
    recent: Recent | None = None,
) -> Program:
    """Lower both programs once and compile them side by side, once for all devices of a kind.

    What was compiled before is in ``kept``, as bytes, or in ``recent``, of this process.  On slices
    of a mesh the text is still that of a device: it says what is computed, not where.
    """
    start = time.perf_counter()
    traces = []
    given, span = streaming.chunked(data, rhythm), streaming.argument(rhythm, 1)

    seats = make_seats(table, np.zeros(lanes, np.int64))
    empty = empty_lanes(trial, seats)
    names = names_of(trial, table, empty.state, data)
    where = slice_of(devices[0])
    platform, lane = devices[0].platform, bytes_of_lane(jax.tree.leaves(empty.state))
    effort = options_of(platform, lane)

    def programs(trial: Trial) -> list[tuple[Any, Any]]:
        """Each with its arguments, the segment last: the other is compiled while it is traced."""
        segment = streaming.segment_of(trial, rhythm, names)
        fresh, asked = np.zeros(lanes, bool), (span, np.bool_(False))
        return [(make_seat(trial), (empty, seats, fresh)), (segment, (empty, seats, given, *asked))]

    (seating, of_seat), (segment, of_segment) = programs(
        trial if where is None else spread(trial, where)
    )

    @functools.wraps(segment)
    def counted(*args: Any) -> Any:
        traces.append(1)
        return segment(*args)

    jitted = [
        (jax.jit(seating, donate_argnums=0), of_seat),
        (jax.jit(counted, donate_argnums=0), of_segment),
    ]
    lowering = [functools.partial(lower, *one) for one in jitted]
    if where is not None:
        kept = None  # of programs of one device
        several = functools.partial(lower_on, streams=rhythm.fits > 0)
        lowering = [
            functools.partial(several, seating, of_seat, alone=True),
            functools.partial(several, counted, of_segment, alone=False),
        ]
    (seat, segments), texts = compile_all(lowering, effort, devices, kept, recent)
    if where is not None:
        plain = [(jax.jit(one, donate_argnums=0), given) for one, given in programs(trial)]
        texts = [lower(*one, where.devices[0]).as_text() for one in plain]
    text = "\n".join(texts[::-1])  # of both: init is in "seat" alone
    if platform == "cpu" and lane > LARGE_STATE:  # other bits than at the lesser effort
        text += "\n// seat: compiled as the segment is"
    state = jax.tree.map(_shape, empty.state)
    facts = text, len(traces), time.perf_counter() - start
    shapes = [(program, jax.tree.map(_shape, arguments)) for program, arguments in jitted]
    portable = functools.partial(exported, shapes) if where is None else None
    return Program(seat, segments, tuple(devices), rhythm, lanes, *facts, state, names, portable)


def lower(program: Any, arguments: Any, device: Any) -> Any:
    """Trace and lower a jitted function for the shapes of its arguments on a device."""
    sharding = jax.sharding.SingleDeviceSharding(device)
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype, sharding=sharding), arguments
    )
    with jax.default_matmul_precision(precision(device.platform)):
        return program.lower(*shapes)


def options_of(platform: str, lane: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The compiler's, for "seat" and for the segment, where a lane's state has so many bytes."""
    seat = CPU_EFFORT[0 if lane > LARGE_STATE else 1]
    told = {"cpu": (seat, CPU_EFFORT[0] | CPU_ORDER), "gpu": (GPU_REPEATS, GPU_REPEATS)}
    return told.get(platform, ({}, {}))


def bytes_of_lane(leaves: Sequence[Any]) -> int:
    """Of a lane of such arrays, which all lead with the lane axis."""
    return sum(math.prod(leaf.shape[1:]) * leaf.dtype.itemsize for leaf in leaves)


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(x), x.dtype)


def exported(programs: Sequence[tuple[Any, Any]], platform: str) -> tuple[bytes, bytes]:
    """Two jitted functions, of flat arguments and with flat results, as bytes for another process.

    It may be on another CPU, have another device or another version of JAX.

    Args:
        programs: each with the shapes of its arguments.
        platform: as ``jax.Device.platform`` has it.

    Raises:
        ValueError: a function has parts of which JAX promises no other process anything.
    """
    found = []
    for program, shapes in programs:
        leaves, tree = jax.tree.flatten(shapes)

        def flat(*given: Any, program: Any = program, tree: Any = tree) -> list[Any]:
            return jax.tree.leaves(program(*jax.tree.unflatten(tree, given)))

        name = {"gpu": "cuda"}.get(platform, platform)
        with jax.default_matmul_precision(precision(platform)):
            found.append(bytes(export.export(jax.jit(flat), platforms=[name])(*leaves).serialize()))
    seat, segment = found
    return seat, segment


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
