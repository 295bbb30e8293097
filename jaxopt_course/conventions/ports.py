"""What bringing an optimizer over has in common: whose array is whose, and where it goes."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import keystr, tree_leaves_with_path

from jaxopt_course.messages import unknown
from jaxopt_course.tree import Tree

Axes = bool | Mapping[str, Sequence[int]]


def paths(params: Tree) -> list[str]:
    """The paths of the leaves, parts joined by "/".

    >>> paths({"dense": {"bias": 0.0, "kernel": 1.0}})
    ['dense/bias', 'dense/kernel']
    """
    return [keystr(path, simple=True, separator="/") for path, _ in tree_leaves_with_path(params)]


def array(x: Any) -> np.ndarray:
    """A copy of a tensor of any framework as a NumPy array; bfloat16 widened to float32.

    A copy, because the framework goes on writing to its own memory, which JAX may share.

    >>> array([1.0, 2.0])
    array([1., 2.])
    """
    if hasattr(x, "detach"):  # torch
        x = x.detach().cpu()
        x = x.float() if "bfloat16" in str(x.dtype) else x
        return np.array(x.numpy())
    return np.array(x.value if hasattr(x, "value") and hasattr(x, "path") else x)


def ordered(names: Sequence[str] | None, params: Tree, count: int, whose: str) -> list[str]:
    """The leaf of each of the framework's ``count`` parameters.

    Raises:
        ValueError: another number of them, or names that are not leaves or come twice.
    """
    leaves = paths(params)
    if names is None:
        if count != len(leaves):
            raise ValueError(
                f"{whose} has {count} parameters, params has {len(leaves)} leaves "
                f"({', '.join(leaves)}); say with names= which leaf each of them is"
            )
        return leaves
    for name in names:
        if name not in leaves:
            raise ValueError(unknown("leaf", name, leaves))
    if len(set(names)) != len(names):
        raise ValueError(f"names= has a leaf twice: {list(names)}")
    if len(names) != count:
        raise ValueError(f"{whose} has {count} parameters, names= has {len(names)}")
    return list(names)


def gathered(
    arrays: Mapping[str, Any], params: Tree, transpose: Axes, what: str, whose: str
) -> Tree:
    """A tree like ``params`` of the arrays by leaf; zeros where there is none.

    Raises:
        ValueError: an array has another shape than its leaf (path in the message).
    """

    def placed(path: str, leaf: Any) -> Any:
        if path not in arrays:
            return jnp.zeros_like(leaf)
        x, turned = array(arrays[path]), False
        if transpose is True and x.ndim == 2:
            x, turned = x.T, True
        elif isinstance(transpose, Mapping) and path in transpose:
            if len(transpose[path]) != x.ndim:
                raise ValueError(
                    f"transpose= of {path} has {len(transpose[path])} axes, {whose}'s {what} for "
                    f"it has the shape {x.shape}"
                )
            x, turned = x.transpose(transpose[path]), True
        if x.shape != jnp.shape(leaf):
            raise ValueError(
                f"{whose}'s {what} for {path} has shape {x.shape}"
                f"{' after transposing' if turned else ''}, the leaf {jnp.shape(leaf)}; "
                "names= says which leaf is which, transpose= turns kernels"
            )
        return x

    leaves, structure = jax.tree.flatten(params)
    new = [placed(p, x) for p, x in zip(paths(params), leaves, strict=True)]
    return jax.tree.unflatten(structure, new)


def filled(state: Any, memories: Mapping[str, Any]) -> Any:
    """``state`` with its fields replaced, wherever they stand in it, each in its own dtype.

    Args:
        state: made by ``init``; of chains, groups and masks.
        memories: field name -> a scalar, or a tree like the parameters.
    """
    if isinstance(state, dict):
        return {key: filled(value, memories) for key, value in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(
            *(
                _replaced(value, memories[name]) if name in memories else filled(value, memories)
                for name, value in zip(state._fields, state, strict=True)
            )
        )
    if isinstance(state, tuple):
        return tuple(filled(piece, memories) for piece in state)
    return state


def _replaced(old: Any, new: Any) -> Any:
    masked = lambda x: isinstance(x, optax.MaskedNode)
    return jax.tree.map(
        lambda o, n: o if masked(o) else jnp.asarray(n, jnp.asarray(o).dtype),
        old,
        new,
        is_leaf=masked,
    )


def grouped(transforms: Mapping[str, Any], labels: Mapping[str, str], params: Tree) -> Any:
    """One transformation a label; a single one needs no partition."""
    if len(transforms) == 1:
        return next(iter(transforms.values()))
    of_leaves = [labels[p] for p in paths(params)]
    return optax.partition(transforms, jax.tree.unflatten(jax.tree.structure(params), of_leaves))
