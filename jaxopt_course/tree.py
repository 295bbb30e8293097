"""Arithmetic on parameter trees. Every other module speaks in whole trees.

A formula is written for one leaf, in the letters of the blackboard; :func:`leafwise` lifts it to
trees.  It computes in at least float32 and refuses trees that do not fit; :func:`cast_like` then
gives the result the dtypes that it must keep.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.dtypes import canonicalize_dtype
from jax.sharding import NamedSharding, PartitionSpec
from jax.tree_util import GetAttrKey, keystr, tree_flatten_with_path, tree_leaves_with_path

Tree = Any  # a pytree whose leaves are arrays
Keys = tuple[Any, ...]  # of jax.tree_util, from the top of a tree to a leaf
_BOXES = {"Variable", "VariableState", "AxisMetadata"}  # flax's own boxes of one array


def conjugated(gradient: Tree) -> Tree:
    """The direction of steepest ascent from what ``jax.grad`` gives.

    Of a real f of w = a + bi JAX returns df/da - i df/db, whose conjugate points uphill; transforms
    step along minus that. Leaves that are not complex stay as they are.

    >>> conjugated({"w": jnp.array([1 - 2j]), "b": jnp.array(3.0)})["w"].tolist()
    [(1+2j)]
    """
    return jax.tree.map(lambda g: jnp.conj(g) if jnp.iscomplexobj(g) else g, gradient)


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
    try:
        with standard_promotion():
            result = jax.tree.unflatten(jax.tree.structure(tree), map(formula, *columns))
    except (TypeError, ValueError) as error:
        if "for broadcasting" not in str(error):
            raise
        said = "a hyperparameter is an array with axes that do not fit; give a number"
        raise ValueError(f"{said} ({error})") from error
    _check_scalars(result, tree)
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
        dtype = jnp.finfo(wide_dtype(x)).dtype
        return jnp.full_like(x, jnp.asarray(value, dtype), dtype=dtype)

    return jax.tree.map(full, tree)


def widen(x: Any) -> jax.Array:
    """``x`` as an array of at least 32 bits a number."""
    x = x if isinstance(x, jax.Array) else jnp.asarray(x)
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def wide_dtype(x: Any) -> Any:
    """The dtype of ``widen(x)``; ``x`` may be abstract, a ``jax.ShapeDtypeStruct``."""
    dtype = canonicalize_dtype(_dtype(x))
    return jnp.dtype(jnp.float32) if dtype.itemsize < 4 else dtype


def gathered(x: jax.Array) -> jax.Array:
    """``x``, whole on every device where its type says how it is divided (explicit sharding).

    Products and decompositions of whole matrices ask for that; :func:`divided_like` divides again.
    """
    lies = jax.typeof(x).sharding
    if all(axis is None for axis in lies.spec):
        return x
    return jax.sharding.reshard(x, NamedSharding(lies.mesh, PartitionSpec()))


def divided_like(x: jax.Array, like: jax.Array) -> jax.Array:
    """``x`` over the devices as the type of ``like`` says; as it is where that says nothing."""
    lies = jax.typeof(like).sharding
    return x if all(axis is None for axis in lies.spec) else jax.sharding.reshard(x, lies)


def standard_promotion() -> contextlib.AbstractContextManager[Any]:
    """A context in which float64 times float32 is float64, also under ``strict`` promotion.

    Hyperparameters are at least float32, counts are integers, leaves have dtypes of their own; the
    results are cast back to these, so what a user's strict mode guards against cannot happen.
    """
    if jax.config.jax_numpy_dtype_promotion == "standard":  # type: ignore[attr-defined]
        return contextlib.nullcontext()
    return jax.numpy_dtype_promotion("standard")


def named_leaves(
    tree: Tree, is_leaf: Callable[[Any], bool] | None = None
) -> list[tuple[Keys, Any]]:
    """The leaves with their keys, in the order of ``jax.tree.leaves``.

    The box around an array of flax (an NNX variable, Linen's ``Partitioned``) has no key: its
    ``.value`` is left out, that of a user's own class is not.
    """
    stop = lambda x: _is_box(x) or (is_leaf is not None and is_leaf(x))
    found: list[tuple[Keys, Any]] = []
    for keys, leaf in tree_flatten_with_path(tree, is_leaf=stop)[0]:
        if not _is_box(leaf) or (is_leaf is not None and is_leaf(leaf)):
            found.append((keys, leaf))
            continue
        for own, child in tree_flatten_with_path(leaf, is_leaf=lambda x, box=leaf: x is not box)[0]:
            inside = own[1:] if own[:1] == (GetAttrKey("value"),) else own
            found += [(keys + inside + rest, x) for rest, x in named_leaves(child, is_leaf)]
    return found


def path_name(keys: Keys) -> str:
    """Keys as text, joined by "/": the path of a leaf, as all arguments and tables have it.

    >>> [path_name(keys) for keys, _ in named_leaves({"a": [1, {"b": 2}]})]
    ['a/0', 'a/1/b']
    """
    return "/".join(keystr((key,), simple=True) for key in keys)


def paths(tree: Tree) -> list[str]:
    """The paths of the leaves, see :func:`path_name`.

    >>> paths({"dense": {"bias": 0.0, "kernel": 1.0}})
    ['dense/bias', 'dense/kernel']
    """
    return [path_name(keys) for keys, _ in named_leaves(tree)]


def _is_box(x: Any) -> bool:
    return any(
        kind.__name__ in _BOXES and kind.__module__.startswith("flax.") for kind in type(x).__mro__
    )


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
    if all(map(is_floating, jax.tree.leaves(tree))):
        return
    path, leaf = next((p, x) for p, x in tree_leaves_with_path(tree) if not is_floating(x))
    raise ValueError(
        f"{_name(path)} is {kind_of(leaf)}: gradients and parameters are floating point; "
        "keep other leaves out of the parameters, or behind optax.masked"
    )


def check_fits(updates: Tree, params: Tree) -> None:
    """Raise ValueError, with the leaf's path, unless ``updates`` has the leaves of ``params``."""
    ours: Any = jax.tree.structure(updates)
    theirs: Any = jax.tree.structure(params)
    if ours == theirs:
        pairs = zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True)
        if all(_shape(u) == _shape(p) for u, p in pairs):
            return
    want = {_name(path): _shape(leaf) for path, leaf in tree_leaves_with_path(params)}
    have = {_name(path): _shape(leaf) for path, leaf in tree_leaves_with_path(updates)}
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


def is_floating(leaf: Any) -> bool:
    """Whether a leaf is an array, or a number, of a real or complex floating dtype."""
    dtype = _dtype(leaf)
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.inexact))


def kind_of(leaf: Any) -> str:
    """What a leaf is, in words: its dtype, or its type and itself.

    >>> kind_of(jnp.arange(3)), kind_of("relu")
    ('int32', "no array but a str, 'relu'")
    """
    dtype = _dtype(leaf)
    if dtype is not None:
        return str(dtype)
    text = repr(leaf)
    text = text if len(text) <= 40 else f"{text[:37]}..."
    return f"no array but a {type(leaf).__name__}, {text}"


def _check_scalars(result: Tree, tree: Tree) -> None:
    """What fits goes in; if something else comes out, a hyperparameter has broadcast."""
    pairs = zip(jax.tree.leaves(result), tree_leaves_with_path(tree), strict=True)
    for new, (path, leaf) in pairs:
        if jnp.shape(new) != jnp.shape(leaf):
            raise ValueError(
                f"the update {_name(path)} has shape {jnp.shape(new)}, its parameter has shape "
                f"{jnp.shape(leaf)}: a hyperparameter is an array with axes; give a number"
            )


def _shape(leaf: Any) -> tuple[int, ...]:
    """() too of what is no array: its kind is told, not its shape."""
    return jnp.shape(leaf) if _dtype(leaf) is not None else ()


def _name(path: Any) -> str:
    return keystr(path) or "(the whole tree)"


def _dtype(leaf: Any) -> Any:
    """The dtype of an array, an abstract one or a number; None of anything else."""
    if isinstance(leaf, bool | int | float | complex):
        return jnp.result_type(leaf)
    return None if isinstance(leaf, type) else getattr(leaf, "dtype", None)


def floating_dtype(dtype: Any, what: str) -> Any:
    """A dtype that was given, or None.

    Raises:
        TypeError: it is none, or not of floating point numbers: a mean of gradients in whole
            numbers would stay 0.

    >>> floating_dtype("bfloat16", "mu_dtype")
    dtype(bfloat16)
    """
    if dtype is None:
        return None
    way_out = "give one of floating point numbers, as 'float32' or jnp.bfloat16"
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        raise TypeError(f"{what} is no dtype: {dtype!r}; {way_out}") from None
    if not jnp.issubdtype(found, jnp.inexact):
        raise TypeError(f"{what} is {found}; {way_out}")
    return found
