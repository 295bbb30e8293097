"""What bringing an optimizer over has in common: arrays, and where they go in a state."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.conventions.arrays import array, shape_of
from jaxopt_course.conventions.pairing import Axes
from jaxopt_course.messages import unknown
from jaxopt_course.tree import Tree, paths

# memories of squares: torch's names, and our fields of Keras's
_SQUARES = {"exp_avg_sq", "max_exp_avg_sq", "exp_inf", "square_avg", "acc_delta", "sum", "variance"}
_SQUARES |= {"nu", "nu_max", "sum_of_squares", "e_g", "e_x", "velocity"}


def matched(patterns: Sequence[str], leaves: Sequence[str], whose: str) -> set[str]:
    """The leaves that a path or pattern names.

    Raises:
        ValueError: one matches no leaf.

    >>> sorted(matched(["a/*"], ["a/x", "a/y", "b"], "frozen"))
    ['a/x', 'a/y']
    """
    for pattern in patterns:
        if not any(fnmatchcase(leaf, pattern) for leaf in leaves):
            raise ValueError(unknown(f"leaf in {whose}=", pattern, leaves))
    return {leaf for leaf in leaves if any(fnmatchcase(leaf, pattern) for pattern in patterns)}


def gathered(
    arrays: Mapping[str, Any], params: Tree, transpose: Axes, what: str, whose: str
) -> Tree:
    """A tree like ``params`` of the arrays by leaf; zeros where there is none.

    Raises:
        TypeError: what is no array of numbers.
        ValueError: an array has another shape than its leaf (path in the message), or holds
            switches, complex numbers for a real leaf, what is not finite in the leaf's dtype, or a
            mean of squares below 0.
    """

    def placed(path: str, leaf: Any) -> Any:
        if path not in arrays:
            return jnp.zeros_like(leaf)
        called = f"{whose}'s {what} for {path}"
        shape = shape_of(arrays[path], called)
        axes = axes_of(transpose, path, len(shape))
        if len(axes) != len(shape):
            raise ValueError(
                f"transpose= of {path} has {len(axes)} axes, {whose}'s {what} for "
                f"it has the shape {shape}"
            )
        turned, found = axes != range(len(shape)), tuple(shape[axis] for axis in axes)
        if found != jnp.shape(leaf):  # before it is copied: it may claim to be of any size
            raise ValueError(
                f"{called} has shape {found}"
                f"{' after transposing' if turned else ''}, the leaf {jnp.shape(leaf)}; "
                "names= says which leaf is which, transpose= turns kernels"
            )
        x = array(arrays[path], called)
        if x.dtype == bool or (np.iscomplexobj(x) and not jnp.iscomplexobj(leaf)):
            raise ValueError(f"{called} is {x.dtype}, the leaf {jnp.result_type(leaf)}")
        _refuse_not_finite(x, leaf, called)
        if what in _SQUARES:
            _refuse_negative(x, called)
        return x.transpose(axes) if turned else x

    leaves, structure = jax.tree.flatten(params)
    new = [placed(p, x) for p, x in zip(paths(params), leaves, strict=True)]
    return jax.tree.unflatten(structure, new)


def _refuse_not_finite(x: np.ndarray, leaf: Any, called: str) -> None:
    """A memory of NaN makes the first step NaN, and every one after it."""
    dtype = jnp.result_type(leaf)
    finite = np.isfinite(x)
    if x.dtype.kind in "fc" and jnp.issubdtype(dtype, jnp.inexact):
        largest = min(float(jnp.finfo(dtype).max), float(np.finfo(x.dtype).max))
        finite &= np.abs(x) <= largest
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        at = f"the first, {x[place]}, at {place}" if place else f"{x[()]}"
        raise ValueError(
            f"{called} has {int((~finite).sum())} values that are not finite in {dtype}, {at}: "
            "bring over a state from before the training diverged, or begin anew with a fresh "
            "optimizer"
        )


def _refuse_negative(x: np.ndarray, called: str) -> None:
    """Its root would be NaN in the framework, and here next to 0: a step of any size."""
    below = (np.real(x) < 0) | (np.imag(x) < 0)
    if below.any():
        place = tuple(int(i) for i in np.argwhere(below)[0])
        raise ValueError(
            f"{called} has {int(below.sum())} values below 0, the first, {x[place]}, at {place}: "
            "a mean of squares has none, so this is another memory, or damaged"
        )


def axes_of(transpose: Axes, path: str, rank: int) -> Sequence[int]:
    """The framework's axes in the order in which a leaf of so many has them.

    >>> axes_of(True, "w", 2), axes_of(True, "w", 3), axes_of({"w": (2, 0, 1)}, "w", 3)
    ((1, 0), range(0, 3), (2, 0, 1))
    """
    if transpose is True and rank == 2:
        return (1, 0)
    if isinstance(transpose, Mapping) and path in transpose:
        return transpose[path]
    return range(rank)


def filled(state: Any, memories: Mapping[str, Any]) -> Any:
    """``state`` with its fields replaced, wherever they stand in it, each in its own dtype.

    Args:
        state: made by ``init``; of chains, groups and masks.
        memories: field name, or class and field name ("EmaState.count", which goes first), -> a
            scalar, or a tree like the parameters.
    """
    if isinstance(state, dict):
        return {key: filled(value, memories) for key, value in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        kind, new = type(state), []
        for name, value in zip(state._fields, state, strict=True):
            key = next((k for k in (f"{kind.__name__}.{name}", name) if k in memories), None)
            new.append(filled(value, memories) if key is None else _replaced(value, memories[key]))
        return kind(*new)
    if isinstance(state, tuple):
        return tuple(filled(piece, memories) for piece in state)
    return state


def _replaced(old: Any, new: Any) -> Any:
    masked = lambda x: isinstance(x, optax.MaskedNode)

    def placed(o: Any, n: Any) -> Any:
        if masked(o):
            return o
        if jnp.iscomplexobj(n) and not jnp.iscomplexobj(o):  # two coordinates, see by_coordinates
            n = np.stack([np.real(n), np.imag(n)], axis=-1)
        return _laid_out(n, o)

    return jax.tree.map(placed, old, new, is_leaf=masked)


def _laid_out(new: Any, like: Any) -> Any:
    """An array in the dtype of another, and in its sharding, if it was put somewhere."""
    if np.shape(new) != np.shape(like):
        raise ValueError(
            f"a memory of shape {np.shape(new)} where the optimizer keeps one of shape "
            f"{np.shape(like)}: give the state as it was saved, with params of the same shapes"
        )
    dtype = jnp.asarray(like).dtype
    placed = isinstance(like, jax.Array) and not isinstance(like, jax.core.Tracer)
    if placed and (like.committed or len(like.sharding.device_set) > 1):
        return jax.device_put(np.asarray(new, dtype), like.sharding)
    return jnp.asarray(new, dtype)


def grouped(transforms: Mapping[str, Any], labels: Mapping[str, str], params: Tree) -> Any:
    """One transformation a label; a single one needs no partition."""
    if len(transforms) == 1:
        return next(iter(transforms.values()))
    of_leaves = [labels[p] for p in paths(params)]
    tree = jax.tree.unflatten(jax.tree.structure(params), of_leaves)
    # a function, for optax calls labels that can be called, as a tree of the user's kind may be
    return optax.partition(transforms, lambda _: tree)
