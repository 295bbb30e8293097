"""Trees of arrays as users give them: a dict, a tuple or a list of inputs, or plain lists."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxopt_course.problems import data_checks
from jaxopt_course.tree import Tree


def arrays(name: str, given: Any, examples: int | None = None) -> Tree:
    """``given`` with NumPy arrays for leaves; a single array, as a DataFrame, is a tree of one.

    A list or tuple of plain numbers, nested or not, is an array.  So is a list of as many arrays as
    there are examples; any other list of arrays is a tree, as tuples of arrays and dicts are.

    Args:
        name: what it is, for errors.
        given: the tree.
        examples: how many there are, where that is known; None takes every list for one array.

    Raises:
        TypeError: a sparse array.
        ValueError: a list of one array an example whose shapes differ.
    """

    def is_array(node: Any) -> bool:
        if not isinstance(node, (list, tuple)):
            return False
        leaves = jax.tree.leaves(node)
        if all(np.ndim(leaf) == 0 and not hasattr(leaf, "toarray") for leaf in leaves):
            return True
        return isinstance(node, list) and (examples is None or len(node) == examples)

    def one(path: Any, leaf: Any) -> np.ndarray:
        own = name + jax.tree_util.keystr(path)
        try:
            return data_checks.dense(own, leaf)
        except ValueError as error:
            raise ValueError(
                f"{own} is a list of arrays of different shapes: pad them to one shape and give "
                "their lengths as an input of its own, {'sequence': ..., 'length': ...}"
            ) from error

    return jax.tree_util.tree_map_with_path(one, given, is_leaf=is_array)


def count(tree: Tree) -> int | None:
    """The first axis of the first leaf; None where there is none."""
    leaves = jax.tree.leaves(tree)
    return int(leaves[0].shape[0]) if leaves and np.ndim(leaves[0]) else None


def pieces(leaf: np.ndarray, size: int = 1 << 24) -> Iterator[np.ndarray]:
    """A leaf in pieces of so many bytes, so that a memmap is never in memory as a whole."""
    if leaf.ndim == 0 or leaf.nbytes <= size:
        yield np.ascontiguousarray(leaf)
        return
    rows = max(1, size * len(leaf) // leaf.nbytes)
    for start in range(0, len(leaf), rows):
        yield np.ascontiguousarray(leaf[start : start + rows])


def take(tree: Tree, rows: Any) -> Tree:
    """These rows of every leaf."""
    return jax.tree.map(lambda x: x[rows], tree)


def is_scaled(path: Any, leaf: Any) -> bool:
    """Whether a leaf is standardised: reals are, and whatever stands alone; categories are not."""
    return not path or is_floating(leaf)


def is_floating(leaf: Any) -> bool:
    """Whether a leaf holds real numbers; bfloat16 is a "V" to NumPy."""
    return leaf.dtype.kind in "fV"
