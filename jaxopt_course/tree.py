"""Arithmetic on parameter trees. Every other module speaks in whole trees.

A formula is written for one leaf, in the letters of the blackboard; :func:`leafwise` lifts it to
trees.  It computes in at least float32 and refuses trees that do not fit; :func:`cast_like` then
gives the result the dtypes that it must keep.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.dtypes import canonicalize_dtype
from jax.tree_util import keystr, tree_leaves_with_path

Tree = Any  # a pytree whose leaves are arrays


def leafwise(formula: Callable[..., Any], tree: Tree, *rest: Tree) -> Tree:
    """Apply ``formula`` leaf by leaf, in at least float32.

    A bfloat16 leaf is widened first: in bfloat16, 0.999 would be 1.  ``None`` and optax's
    ``MaskedNode`` hold no leaf and are passed over.

    Args:
        formula: maps one leaf of each tree to an array of the same shape.
        tree: the first tree (a memory, or the parameters), which says what the others must fit.
        rest: trees with the structure and shapes of ``tree`` (gradients, more memories).

    Returns:
        A tree like ``tree``, in float32 or wider.

    Raises:
        ValueError: a leaf is missing, superfluous, of another shape, or not floating point; the
            message names its path.

    >>> leafwise(lambda m, g: m + 2 * g, {"w": jnp.zeros(2)}, {"w": jnp.ones(2)})["w"].tolist()
    [2.0, 2.0]
    """
    check_floating(tree)
    for other in rest:
        check_fits(other, tree)
        check_floating(other)
    columns = [map(widen, jax.tree.leaves(each)) for each in (tree, *rest)]
    result = jax.tree.unflatten(jax.tree.structure(tree), map(formula, *columns))
    check_fits(result, tree)  # a hyperparameter that is not a scalar may have broadcast
    return result


def cast_like(tree: Tree, like: Tree) -> Tree:
    """Give each leaf of ``tree`` the dtype of the same leaf of ``like``.

    Keeping the dtype is what lets a state go round ``jax.lax.scan``: a float32 hyperparameter
    must not promote a bfloat16 memory.
    """

    def cast(x: Any, y: Any) -> jax.Array:
        # NumPy's float64 is what JAX makes of it: float32, unless x64 is on
        dtype = y.dtype if isinstance(y, jax.Array) else canonicalize_dtype(_dtype(y))
        if isinstance(x, jax.Array) and x.dtype == dtype and not x.weak_type:
            return x
        to_real = jnp.iscomplexobj(x) and not jnp.issubdtype(dtype, jnp.complexfloating)
        return jnp.asarray(jnp.real(x) if to_real else x, dtype)

    return jax.tree.map(cast, tree, like)


def zeros_like(tree: Tree, dtype: Any = None) -> Tree:
    """A tree of zeros with the structure, shapes and dtypes (or one ``dtype``) of ``tree``."""
    check_floating(tree)
    return jax.tree.map(lambda x: jnp.zeros_like(x, dtype=dtype), tree)


def squares_like(tree: Tree, value: Any = 0.0) -> Tree:
    """A tree of ``value`` to gather |x|² in: the shapes of ``tree``, real, at least float32.

    In bfloat16 a running mean with b = 0.999 stops at half of its limit, and in float16 the
    square of 300 is infinite.
    """
    check_floating(tree)

    def full(x: Any) -> jax.Array:
        dtype = jnp.real(widen(x)).dtype
        return jnp.full_like(x, jnp.asarray(value, dtype), dtype=dtype)

    return jax.tree.map(full, tree)


def widen(x: Any) -> jax.Array:
    """``x`` as an array of at least 32 bits a number."""
    x = x if isinstance(x, jax.Array) else jnp.asarray(x)
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def abs_square(x: jax.Array) -> jax.Array:
    """|x|², real also for a complex ``x``."""
    return jnp.real(x * jnp.conj(x)) if jnp.iscomplexobj(x) else x * x


def root(x: jax.Array) -> jax.Array:
    """√x, kept off 0 by the smallest number: √max(x, 1.2e-38).

    At 0 the slope of √x is infinite.  A parameter whose gradient is always 0 has a second moment
    of 0, and 0 times infinity would make every derivative by a hyperparameter NaN.
    """
    return jax.lax.sqrt(jnp.maximum(x, jnp.finfo(x.dtype).tiny))


def check_floating(tree: Tree) -> None:
    """Raise ValueError, with the leaf's path, if a leaf is not real or complex floating point."""
    if all(map(_is_floating, jax.tree.leaves(tree))):
        return
    path, leaf = next((p, x) for p, x in tree_leaves_with_path(tree) if not _is_floating(x))
    raise ValueError(
        f"{_name(path)} is {jnp.dtype(_dtype(leaf))}: gradients and parameters are floating point; "
        "keep other leaves out of the parameters, or behind optax.masked"
    )


def check_fits(updates: Tree, params: Tree) -> None:
    """Raise ValueError, with the leaf's path, unless ``updates`` has the leaves of ``params``."""
    ours: Any = jax.tree.structure(updates)
    theirs: Any = jax.tree.structure(params)
    if ours == theirs:
        pairs = zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True)
        if all(jnp.shape(u) == jnp.shape(p) for u, p in pairs):
            return
    want = {_name(path): jnp.shape(leaf) for path, leaf in tree_leaves_with_path(params)}
    have = {_name(path): jnp.shape(leaf) for path, leaf in tree_leaves_with_path(updates)}
    for name in want | have:
        if name not in have:
            raise ValueError(f"no gradient for the parameter {name} of shape {want[name]}")
        if name not in want:
            raise ValueError(f"no parameter for the gradient {name} of shape {have[name]}")
        if want[name] != have[name]:
            raise ValueError(
                f"the gradient (or update) {name} has shape {have[name]}, "
                f"its parameter has shape {want[name]}"
            )
    raise ValueError(f"gradients and parameters are different trees: {ours} and {theirs}")


def _name(path: Any) -> str:
    return keystr(path) or "(the whole tree)"


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)


def _is_floating(leaf: Any) -> bool:
    return bool(jnp.issubdtype(_dtype(leaf), jnp.inexact))
