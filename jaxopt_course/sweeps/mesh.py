"""A slice of a mesh in the place of a device: several devices train the same lanes together.

    mesh (lanes: L, batch: B, ...)   ->   L slices of B · ... devices, each with W lanes of its own

To the engine a slice is one device: slices share nothing and wait for nobody, and a trial may go
on in any of them.  Within one the compiler divides every step: the examples of a batch, and those
of an evaluation, over the axis "batch"; each parameter as its ``PartitionSpec`` says, and like it
every leaf of the state that belongs to it and has its shape (momenta, averages, best weights).  All
other leaves, and the data, lie whole on each device.

The program is the one without a mesh, with constraints on where arrays lie.  They change no value
but by the order in which sums are taken.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxopt_course.sweeps.lane_bytes import LaneBytes
from jaxopt_course.sweeps.lanes import Data, Lanes
from jaxopt_course.sweeps.numerics import precision

Tree = Any
LANES, BATCH = "lanes", "batch"  # axes that have a meaning here; all others are the user's
WHOLE = PartitionSpec()


@dataclass(frozen=True, eq=False)
class Slice:
    """Devices that share their lanes; it has what the engine asks of a device.

    Attributes:
        mesh: of the axes beside "lanes".
        specs: from the parameters' shapes to a tree of ``PartitionSpec``.
    """

    mesh: Mesh
    specs: Callable[[Tree], Tree]

    @property
    def devices(self) -> tuple[Any, ...]:
        """All of them."""
        return tuple(self.mesh.devices.flat)

    @property
    def platform(self) -> str:
        """Of each."""
        return str(self.devices[0].platform)

    @property
    def device_kind(self) -> str:
        """Of each."""
        return str(self.devices[0].device_kind)

    @property
    def client(self) -> Any:
        """Of all."""
        return self.devices[0].client

    def memory_stats(self) -> Any:
        """Of the first."""
        return self.devices[0].memory_stats()

    def __str__(self) -> str:
        return "+".join(map(str, self.devices))


def slices(mesh: Mesh, specs: Callable[[Tree], Tree]) -> tuple[Slice, ...]:
    """The slices of a mesh along its axis "lanes"."""
    names = list(mesh.axis_names)
    blocks = np.moveaxis(mesh.devices, names.index(LANES), 0)
    names.remove(LANES)
    if not names:  # a device each
        names, blocks = [BATCH], blocks[:, None]
    types = (AxisType.Auto,) * len(names)
    return tuple(Slice(Mesh(one, names, axis_types=types), specs) for one in blocks)


def members(devices: Sequence[Any]) -> list[Any]:
    """The devices, of slices all that are in them."""
    return [one for device in devices for one in getattr(device, "devices", (device,))]


def axes_of(spec: PartitionSpec) -> list[tuple[str, ...]]:
    """Of each dimension that a spec speaks of, the axes over which it is divided."""
    return [() if x is None else (x,) if isinstance(x, str) else tuple(x) for x in spec]


def state_specs(where: Slice, state: Tree) -> Tree:
    """How each leaf of a trial's state is divided; ``state`` may be of shapes.

    A leaf is divided as the parameter of its path and shape: ``mu/dense/kernel`` as
    ``dense/kernel``.  Where no path is a parameter's, as in the slots of ``switch``, the shape
    decides.
    """
    params = state.params
    specs = jax.tree.leaves(where.specs(params))
    known: dict[Any, tuple[Any, PartitionSpec]] = {}
    alike: dict[Any, PartitionSpec] = {}
    for (path, leaf), spec in zip(jax.tree.leaves_with_path(params), specs, strict=True):
        known[path] = leaf.shape, spec
        if any(axes_of(spec)):
            alike.setdefault(leaf.shape, spec)

    def of(path: Any, leaf: Any) -> PartitionSpec:
        for start in range(len(path) + 1):
            shape, spec = known.get(path[start:], (None, WHOLE))
            if shape == leaf.shape:
                return spec
        return alike.get(leaf.shape, WHOLE)

    return jax.tree.map_with_path(of, state)


def share_of(device: Any, lane: LaneBytes, state: Tree) -> LaneBytes:
    """What a device has of a lane: of a slice the divided leaves in part, the step in equal parts.

    Args:
        device: or slice.
        lane: of a trial on one device, with which a device's own answer is the same.
        state: of one trial, shapes.
    """
    if not isinstance(device, Slice):
        return lane
    sizes = device.mesh.shape

    def each(leaf: Any, spec: PartitionSpec) -> int:
        parts = math.prod(sizes[name] for names in axes_of(spec) for name in names)
        return int(leaf.size * leaf.dtype.itemsize) // parts

    held = jax.tree.map(each, state, state_specs(device, state))
    return LaneBytes(sum(jax.tree.leaves(held)), lane.step // len(device.devices))


def spread(trial: Any, where: Slice) -> Any:
    """The trial with its arrays held where they belong; what it computes stays.

    The axes are named without their devices, so that all slices share what is traced.
    """
    mesh = where.mesh.abstract_mesh

    def hold(x: Any, spec: PartitionSpec) -> Any:
        return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec))

    def held(state: Tree) -> Tree:
        return jax.tree.map(hold, state, state_specs(where, state))

    def divided(examples: Tree) -> Tree:
        """Along the leading axis of each leaf; the parts of an uneven one differ by padding."""
        if BATCH not in mesh.axis_names:
            return examples
        return jax.tree.map(lambda x: hold(x, PartitionSpec(BATCH)), examples)

    def init(hyperparameters: Any, seed: Any) -> Any:
        return held(trial.init(hyperparameters, seed))

    def step(
        hyperparameters: Any, state: Tree, seed: Any, data: Data, rows: Any = None
    ) -> tuple[Any, ...]:
        if trial.rows is None:  # a stream, whose batch is here already
            data = data._replace(train=divided(data.train))
        else:
            rows = divided(rows)
        new, *rest = trial.step(hyperparameters, state, seed, data, rows)
        return held(new), *rest

    def measuring(how: Any) -> Any:
        return lambda h, state, part, shared: how(h, state, divided(part), shared)

    more: dict[str, Any] = {"init": init, "step": step, "evaluate": measuring(trial.evaluate)}
    if getattr(trial, "test", None) is not None:
        more["test"] = measuring(trial.test)
    return trial._replace(**more)


def lower_on(
    function: Callable[..., Any],
    arguments: Any,
    where: Slice,
    *,
    alone: bool,
    streams: bool,
) -> Any:
    """Trace and lower a program whose first argument are the lanes, which it takes over.

    Args:
        function: "seat", or a segment.
        arguments: its own, shapes suffice.
        where: on which slice.
        alone: whether it gives lanes alone, else readings with them.
        streams: whether ``data.train`` is a chunk of batches.
    """
    lanes = _of_lanes(where, arguments[0])
    given = [lanes, *(jax.tree.map(lambda _: _whole(where), one) for one in arguments[1:])]
    if streams:
        chunk = _of_batches(where)
        given = [
            one._replace(train=jax.tree.map(lambda _: chunk, one.train))
            if isinstance(one, Data)
            else one
            for one in given
        ]
    shaped = lambda x, s: jax.ShapeDtypeStruct(np.shape(x), x.dtype, sharding=s)
    shapes = jax.tree.map(shaped, arguments, tuple(given))
    results = lanes if alone else (lanes, _whole(where))
    program = jax.jit(function, donate_argnums=0, out_shardings=results)
    with jax.default_matmul_precision(precision(where.platform)):
        return program.lower(*shapes)


def put(tree: Tree, device: Any) -> Tree:
    """The tree whole on a device, or on each of a slice."""
    return jax.device_put(tree, _whole(device) if isinstance(device, Slice) else device)


def put_lanes(lanes: Lanes, device: Any) -> Lanes:
    """Lanes where they are trained."""
    where = _of_lanes(device, lanes) if isinstance(device, Slice) else device
    return jax.device_put(lanes, where)


def put_state(state: Tree, device: Any) -> Tree:
    """A trial's state where it is trained, without the axis of lanes."""
    if not isinstance(device, Slice):
        return jax.device_put(state, device)
    own = lambda spec: NamedSharding(device.mesh, spec)
    return jax.device_put(state, jax.tree.map(own, state_specs(device, state)))


def put_batches(chunk: Tree, device: Any) -> Tree:
    """A stream's chunk, (C, B, ...), each of its batches divided."""
    return jax.device_put(chunk, _of_batches(device) if isinstance(device, Slice) else device)


def slice_of(device: Any) -> Slice | None:
    """The slice in the place of a device; None where it is one."""
    return device if isinstance(device, Slice) else None


def hold_state(state: Tree, where: Slice | None) -> Tree:
    """Inside a program: a trial's state as it lies in a slice; as it comes where there is none."""
    if where is None:
        return state
    own = lambda x, spec: jax.lax.with_sharding_constraint(x, NamedSharding(where.mesh, spec))
    return jax.tree.map(own, state, state_specs(where, state))


def hold_lanes(lanes: Lanes, where: Slice | None) -> Lanes:
    """The same of lanes."""
    if where is None:
        return lanes
    return jax.lax.with_sharding_constraint(lanes, _of_lanes(where, lanes))


def _whole(where: Slice) -> NamedSharding:
    return NamedSharding(where.mesh, WHOLE)


def _of_batches(where: Slice) -> NamedSharding:
    along = BATCH if BATCH in where.mesh.axis_names else None
    return NamedSharding(where.mesh, PartitionSpec(None, along))


def _of_lanes(where: Slice, lanes: Lanes) -> Lanes:
    """The sharding of each leaf; no lane is divided from the others."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), lanes.state)
    along = lambda spec: NamedSharding(where.mesh, PartitionSpec(None, *spec))
    return Lanes(jax.tree.map(along, state_specs(where, one)), _whole(where))
