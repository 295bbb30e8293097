"""``mesh=`` and ``sharding=``: what users say of them, checked, and what a manifest says.

A manifest names the axes, their sizes, and which parameters are divided, so that a study read from
disk finds its mesh again among the devices that are there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxopt_course.studies.checking import check_devices
from jaxopt_course.studies.first_states import shapes_of
from jaxopt_course.studies.states import of_trial
from jaxopt_course.sweeps.mesh import BATCH, LANES, WHOLE, Slice, axes_of, slices
from jaxopt_course.tables.buckets import Table
from jaxopt_course.tree import named_leaves, path_name

Sharding = Any  # None, a function (path, shape) -> PartitionSpec, or a tree of them, or its head
Rule = Callable[[str, Any], Any]


def devices_of(
    devices: Sequence[Any] | None, mesh: Mesh | None, sharding: Sharding, table: Table
) -> tuple[Any, ...]:
    """What a sweep is compiled for: devices, or the slices of a mesh.

    Args:
        devices: default all local ones.
        mesh: with an axis "lanes"; instead of devices.
        sharding: how its slices divide the parameters.
        table: with the buckets.

    Raises:
        TypeError: no mesh; no specs.
        ValueError: ``devices`` too, or ``sharding`` without a mesh; no axis "lanes"; an axis that
            divides nothing; a batch or a dimension that does not divide; see :func:`specs_of`; see
            :func:`refuse_in_force`.
    """
    refuse_in_force()
    if mesh is None:
        if sharding is not None:
            raise ValueError("sharding= says how a mesh divides the parameters: give mesh= too")
        return check_devices(devices)
    found = slices(check_mesh(mesh, devices), specs_of(sharding, mesh))
    check_divides(found, table)
    return found


def devices_again(
    manifest: Mapping[str, Any],
    devices: Sequence[Any] | None,
    mesh: Mesh | None,
    one: bool = False,
) -> tuple[Any, ...]:
    """The same for a study on disk: of one with a mesh its own, made of the devices that are here.

    Args:
        manifest: of the study.
        devices: default all local ones.
        mesh: one of the same axes, of any sizes; default as it was.
        one: whether a device, or a slice, is enough.

    Raises:
        TypeError, ValueError: as above; a mesh for a study without, or devices for one with it; or
            there are too few devices.
    """
    refuse_in_force()
    was = manifest.get("mesh")
    if was is None:
        if mesh is not None:
            raise ValueError(
                "the study was made without a mesh and promises its bits, which a mesh does not "
                "keep: go on without mesh=, or sweep the table anew into another directory"
            )
        found = check_devices(devices)
        return found[:1] if one else found
    axes = dict(was["axes"])
    said = _in_words(axes)
    if mesh is None:
        if devices is not None:
            raise ValueError(
                f"the study was made with a mesh ({said}): give mesh=, with axes of these names "
                "and of any sizes, not devices="
            )
        axes |= {LANES: 1} if one else {}
        here, count = jax.local_devices(), math.prod(axes.values())
        if len(here) < count:
            raise ValueError(
                f"the study was made with a mesh ({said}) and {count} devices are needed, here are "
                f"{len(here)}: give mesh=, with axes of these names and of any sizes"
            )
        mesh = Mesh(np.array(here[:count]).reshape(tuple(axes.values())), tuple(axes))
    check_mesh(mesh, devices)
    if set(mesh.axis_names) != set(axes):
        raise ValueError(
            f"the mesh has the axes {_listed(mesh.axis_names)}, that of the study {said}: the "
            "names must be the same, an axis may be of size 1"
        )
    found = slices(mesh, specs_of(_recorded(was["sharding"]), mesh))
    return found[:1] if one else found


def refuse_in_force() -> None:
    """Refuse to train where arrays are those of a mesh, or nothing is compiled.

    Raises:
        ValueError: a mesh of several devices, or with explicit axes, is in force, where a trial is
            of one device, or of ``mesh=``; or ``jax_disable_jit`` is.
    """
    in_force: Any = jax.config
    if in_force.jax_disable_jit:
        raise ValueError(
            "jax_disable_jit is in force, and a sweep is one compiled program: "
            'jax.config.update("jax_disable_jit", False) ends it; to look at a task step by step, '
            "joc.fit trains one network with it"
        )
    axes = jax.sharding.get_abstract_mesh()
    if not axes.empty and (axes.size > 1 or AxisType.Explicit in axes.axis_types):
        raise ValueError(
            f"a mesh with the axes {_listed(axes.axis_names)} is in force here (jax.set_mesh; "
            "jax.set_mesh(None) ends it), under which arrays have shardings of their own: sweep "
            "outside of it, with mesh= to spread the trials"
        )


def check_mesh(mesh: Any, devices: Any = None) -> Mesh:
    """The mesh.

    Raises:
        TypeError: it is none with devices.
        ValueError: ``devices`` are given too; it has no axis "lanes"; it, or another, is in force
            already; devices of other processes.
    """
    if not isinstance(mesh, Mesh):
        raise TypeError(
            'mesh= takes a mesh of JAX\'s, as jax.make_mesh((2, 2), ("lanes", "batch")), not '
            f"{mesh!r}"
        )
    if devices is not None:
        raise ValueError("give either devices= or mesh=, not both: a mesh has its devices")
    if LANES not in mesh.axis_names:
        raise ValueError(
            f"the mesh has the axes {_listed(mesh.axis_names)}, and trials are spread over an axis "
            f'"{LANES}", which may be of size 1: '
            f'jax.make_mesh((1, {mesh.size}), ("{LANES}", "{BATCH}"))'
        )
    if not jax.sharding.get_abstract_mesh().empty:
        raise ValueError(
            "a mesh is in force here (jax.set_mesh), under which arrays have shardings of their "
            "own: sweep outside of it, with mesh="
        )
    own = jax.process_index()
    if strange := [one for one in mesh.devices.flat if one.process_index != own]:
        raise ValueError(f"a mesh is of devices of this process, and {strange[0]} is not")
    return mesh


def specs_of(sharding: Sharding, mesh: Mesh) -> Callable[[Any], Any]:
    """From parameters (or shapes) to their tree of ``PartitionSpec``, checked.

    Raises:
        TypeError: when called, what is said of a leaf is no spec.
        ValueError: when called, a tree of other parameters; an axis that the mesh does not have, or
            "lanes"; more axes than dimensions; a dimension that does not divide.
    """

    def specs(params: Any) -> Any:
        names = [path_name(keys) for keys, _ in named_leaves(params)]
        leaves, structure = jax.tree.flatten(params)
        said = _said(sharding, params, names, leaves)
        checked = [_checked(*one, mesh) for one in zip(said, names, leaves, strict=True)]
        return jax.tree.unflatten(structure, checked)

    return specs


def _said(sharding: Sharding, params: Any, names: list[str], leaves: list[Any]) -> list[Any]:
    """What the user says of each leaf."""
    if sharding is None:
        return [None] * len(leaves)
    if callable(sharding) and not isinstance(sharding, PartitionSpec | NamedSharding):
        return [sharding(name, leaf) for name, leaf in zip(names, leaves, strict=True)]
    is_leaf = lambda x: x is None or isinstance(x, PartitionSpec | NamedSharding)
    try:
        whole = jax.tree.broadcast(sharding, params, is_leaf=is_leaf)
    except ValueError as error:
        raise ValueError(
            "sharding= is no tree of PartitionSpecs for the parameters, nor the head of one; the "
            f"parameters are {', '.join(names)}: {str(error).splitlines()[0]}"
        ) from None
    return jax.tree.leaves(whole, is_leaf=is_leaf)


def _checked(said: Any, name: str, leaf: Any, mesh: Mesh) -> PartitionSpec:
    """The spec of a leaf, without what stands for nothing at its end."""
    if isinstance(said, NamedSharding):
        if dict(said.mesh.shape) != dict(mesh.shape):
            raise ValueError(
                f"sharding= has a NamedSharding for {name!r} of another mesh, "
                f"({_in_words(said.mesh.shape)}); that of mesh= is ({_in_words(mesh.shape)})"
            )
        said = said.spec
    if said is None:
        return WHOLE
    kinds = str | tuple | None  # of what a spec says of a dimension
    if not isinstance(said, PartitionSpec) or not all(isinstance(x, kinds) for x in said):
        raise TypeError(
            f"sharding= must say a PartitionSpec of axes for {name!r}, as jax.P(None, 'model'), "
            f"not {said!r}"
        )
    others = [axis for axis in mesh.axis_names if axis != LANES]
    for axes in axes_of(said):
        for axis in axes:
            if axis == LANES:
                raise ValueError(
                    f'sharding= divides {name!r} over "{LANES}", over which trials are spread; '
                    f"the other axes of the mesh are {_listed(others)}"
                )
            if axis not in others:
                raise ValueError(
                    f"sharding= divides {name!r} over {axis!r}, which the mesh does not have; "
                    f"beside {LANES!r} it has {_listed(others)}"
                )
    if len(said) > len(leaf.shape):
        raise ValueError(f"sharding= says {said} for {name!r}, whose shape is {leaf.shape}")
    for axes, size in zip(axes_of(said), leaf.shape, strict=False):
        parts = math.prod(mesh.shape[axis] for axis in axes)
        if size % parts:
            raise ValueError(
                f"sharding= says {said} for {name!r}, whose shape is {leaf.shape}: {size} does not "
                f"divide into {parts} equal parts"
            )
    return said


def check_divides(found: Sequence[Any], table: Table) -> None:
    """Refuse batches and parameters that do not divide, and axes that divide nothing.

    Raises:
        ValueError: see above; never of devices.
    """
    first = found[0]
    if not isinstance(first, Slice):
        return
    sizes = dict(first.mesh.shape)
    idle = {axis for axis, size in sizes.items() if size > 1 and axis != BATCH}
    for bucket in table.buckets:
        of = f" of {bucket.label}" if bucket.static else ""
        if (size := bucket.budget.batch_size) % sizes.get(BATCH, 1):
            raise ValueError(
                f"batch_size={size}{of} does not divide into {sizes[BATCH]} equal parts, the size "
                f"of the mesh's axis {BATCH!r}"
            )
        try:
            params = of_trial(shapes_of(bucket)).params
        except Exception:  # what does not trace is said by column when it is compiled
            return
        for spec in jax.tree.leaves(first.specs(params)):
            idle -= {axis for axes in axes_of(spec) for axis in axes}
    if idle:
        raise ValueError(
            f"nothing is divided over the mesh's axis {min(idle)!r}: name it in sharding=, for "
            f"parameters, or call it {BATCH!r}, for the examples of a batch"
        )


def facts_of(devices: Sequence[Any], table: Table) -> dict[str, Any]:
    """What a manifest says of a mesh; nothing where there is none.

    Bits are not promised with one: sums are taken in an order that sizes decide.
    """
    first = devices[0]
    if not isinstance(first, Slice):
        return {}
    sharding: dict[str, Any] = {}
    for bucket in table.buckets:
        params = of_trial(shapes_of(bucket)).params
        specs = jax.tree.leaves(first.specs(params))
        for (keys, leaf), spec in zip(named_leaves(params), specs, strict=True):
            if any(axes_of(spec)):
                sharding[_entry(path_name(keys), leaf)] = [list(axes) for axes in axes_of(spec)]
    axes = {LANES: len(devices), **first.mesh.shape}
    return {"mesh": {"axes": axes, "sharding": sharding}, "repeatable": False}


def kind_of(device: Any) -> str:
    """What a plan depends on: the kind of a device, of a slice also how many there are."""
    kind = f"{device.platform} {device.device_kind}"
    return f"{kind} ({_in_words(device.mesh.shape)})" if isinstance(device, Slice) else kind


def _recorded(sharding: Mapping[str, Sequence[Sequence[str]]]) -> Rule:
    """The rule that a manifest has written down."""
    return lambda name, leaf: PartitionSpec(*map(tuple, sharding.get(_entry(name, leaf), ())))


def _entry(name: str, leaf: Any) -> str:
    """A parameter in a manifest; in other buckets it may have other shapes."""
    return f"{name}[{','.join(map(str, leaf.shape))}]"


def _in_words(axes: Mapping[Any, int]) -> str:
    return ", ".join(f"{name}: {size}" for name, size in axes.items())


def _listed(names: Sequence[Any]) -> str:
    return ", ".join(map(repr, names)) or "none"
