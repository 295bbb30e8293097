"""Masks: which leaves a transformation is for, as a tree of bools or a function that makes one.

A mask says it leaf by leaf, or once for a whole branch: ``{"dense": True, "norm": False}`` is for
all that stands below "dense".
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.tree import Tree, named_leaves, path_name

WAY = (
    "give a bool for each leaf or branch, as jax.tree.map(lambda p: p.ndim > 1, params) does, or "
    "that function itself"
)


def as_function(mask: Any) -> Callable[[Tree], Tree]:
    """The mask as a function of a tree, which must fit what it is asked for.

    Args:
        mask: a tree of bools, or a function of the parameters that makes one.

    Raises:
        TypeError: it is neither; the function raises it where it makes something else.
        ValueError: by the function, for a tree that has other leaves (path in the message).

    >>> as_function({"w": True})({"w": 1.0, "b": 2.0})
    Traceback (most recent call last):
    ValueError: the mask says nothing of the leaf 'b': give a bool for each leaf or branch, as \
jax.tree.map(lambda p: p.ndim > 1, params) does, or that function itself
    """
    make = _maker(mask)

    def fitting(tree: Tree) -> Tree:
        made = make(tree)
        if not _are_bools(made):
            raise TypeError(_no_mask(made))
        try:
            jax.tree.map(lambda _, __: None, made, tree)
        except (TypeError, ValueError) as error:
            raise ValueError(difference(made, tree, "the mask", WAY)) from error
        return made

    return fitting


def decaying(mask: Any, params: Tree) -> Tree:
    """The parameters, with 0 in the place of those that a mask spares; all of them without one.

    >>> print(decaying({"w": True, "b": False}, {"w": jnp.ones(1), "b": jnp.ones(1)}))
    {'b': Array([0.], dtype=float32), 'w': Array([1.], dtype=float32)}
    """
    if mask is None:
        return params
    none = lambda tree: jax.tree.map(jnp.zeros_like, tree)
    own = as_function(mask)(params)
    return jax.tree.map(lambda yes, tree: tree if yes else none(tree), own, params)


def _maker(mask: Any) -> Callable[[Tree], Any]:
    """A tree of bools that can be called, as a module can, is a tree all the same."""
    if callable(mask):
        is_tree = jax.tree.leaves(mask) and _are_bools(mask)
        if not is_tree or isinstance(mask, jax.tree_util.Partial):
            made: Callable[[Tree], Any] = mask
            return made
    elif mask is None or not _are_bools(mask):
        raise TypeError(_no_mask(mask))
    return lambda _: mask


def _are_bools(tree: Any) -> bool:
    leaves = jax.tree.leaves(tree)
    return all(isinstance(x, bool | np.bool_ | jax.Array) and not np.ndim(x) for x in leaves)


def _no_mask(x: Any) -> str:
    return (
        "a mask is a tree of bools like the parameters, or a function of them that makes one, "
        f"not {x!r:.60}"
    )


def difference(
    given: Tree,
    tree: Tree,
    what: str,
    way: str,
    is_leaf: Callable[[Any], bool] | None = None,
) -> str:
    """The first path at which a tree and ``given``, which speaks of each leaf or branch, part.

    Args:
        given: a tree, or a prefix of it.
        tree: the parameters.
        what: ``given`` is.
        way: out.
        is_leaf: of ``given``.
    """
    masked = lambda x: isinstance(x, optax.MaskedNode)
    names = lambda keys: [path_name((key,)) for key in keys]  # of dicts and modules alike
    said = [names(keys) for keys, _ in named_leaves(given, is_leaf=is_leaf)]
    asked = [names(keys) for keys, _ in named_leaves(tree, is_leaf=masked)]
    above = lambda short, long: long[: len(short)] == short
    for keys in said:
        if not any(above(keys, leaf) for leaf in asked):
            return f"{what} has {'/'.join(keys)!r}, which is no leaf and no branch here: {way}"
    for leaf in asked:
        if not any(above(keys, leaf) for keys in said):
            return f"{what} says nothing of the leaf {'/'.join(leaf)!r}: {way}"
    return f"{what} is of other containers (dicts, lists, modules) than the parameters: {way}"
