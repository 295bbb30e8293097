"""Outputs and targets in one shape: a silent broadcast of (B, 1) against (B,) is (B, B).

A loss so broadcast trains something else, and a metric chooses the winner by something else
(erratum E22 of the notes).
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

Function = Callable[[jax.Array, jax.Array], jax.Array]
EXAMPLES = 1009  # of a trace that looks for an axis of examples times itself: no other axis has it


def of(tree: Any) -> Any:
    """A tree's shapes, for messages."""
    return jax.tree.map(lambda x: x.shape, tree)


def mismatch(name: str, wanted: str, outputs: Any, targets: Any) -> ValueError:
    """The error that names both shapes."""
    return ValueError(
        f"{name} wants {wanted}: the network's outputs have shape {outputs.shape} "
        f"and the targets {targets.shape}"
    )


def like_targets(name: str, outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Outputs in the shape of the targets, where they differ by a last axis of one only.

    Raises:
        ValueError: they differ otherwise.
    """
    with_one = (*outputs.shape, 1), outputs.shape, outputs.shape[:-1]
    same_size = math.prod(targets.shape) == math.prod(outputs.shape)
    if targets.shape not in with_one or not same_size:
        wanted = "outputs in the shape of the targets, but for a last axis of one"
        raise mismatch(name, wanted, outputs, targets)
    return jnp.reshape(outputs, targets.shape)


def classes(name: str, outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Targets (...) for scores (..., C); they may have a last axis of one.

    Raises:
        ValueError: they differ otherwise.
    """
    if outputs.ndim and targets.shape == (*outputs.shape[:-1], 1):
        targets = jnp.reshape(targets, outputs.shape[:-1])
    if outputs.ndim < 1 or outputs.shape[:-1] != targets.shape or outputs.shape[-1] < 2:
        wanted = "outputs (..., classes), 2 or more, for targets (...)"
        raise mismatch(name, wanted, outputs, targets)
    return targets


def broadcasts(function: Function, outputs: jax.Array, targets: jax.Array) -> bool:
    """Whether a function multiplies the examples by themselves by an accident of shapes.

    Where outputs and targets differ by a last axis of one, ``outputs - targets`` is (B, B).  A
    function that takes them apart itself (``outputs[:, 0]``) does no such thing, and one that
    compares all pairs on purpose does it also where both have one shape.
    """
    if not (hasattr(outputs, "ndim") and hasattr(targets, "ndim")):
        return False  # trees: whoever takes them apart knows their shapes
    if outputs.ndim == targets.ndim or not outputs.ndim or not targets.ndim:
        return False
    dtypes = outputs.dtype, targets.dtype
    given = (EXAMPLES, *outputs.shape[1:]), (EXAMPLES, *targets.shape[1:])
    if not _squares(function, given, dtypes):
        return False
    narrow = tuple(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape for shape in given)
    wide = tuple(shape if len(shape) > 1 else (*shape, 1) for shape in given)
    return not (_squares(function, narrow, dtypes) or _squares(function, wide, dtypes))


def narrow(array: jax.Array) -> jax.Array:
    """Without a last axis of one."""
    return array[..., 0] if array.ndim > 1 and array.shape[-1] == 1 else array


def _squares(function: Function, shapes: Any, dtypes: Any) -> bool:
    given = [jax.ShapeDtypeStruct(*pair) for pair in zip(shapes, dtypes, strict=True)]
    try:
        with jax.numpy_rank_promotion("allow"):
            traced = jax.make_jaxpr(function)(*given)
    except Exception:  # whatever it is, the real shapes will tell
        return False
    return any(
        getattr(out.aval, "shape", ()).count(EXAMPLES) > 1
        for equation in _equations(traced.jaxpr)
        for out in equation.outvars
    )


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda v: hasattr(v, "jaxpr") or hasattr(v, "eqns"),
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _equations(inner)
