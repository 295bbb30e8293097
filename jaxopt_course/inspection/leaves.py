"""Which transformation each leaf gets, and what it costs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.describe import description
from jaxopt_course.inspection.places import Table, places_of
from jaxopt_course.inspection.values import hyperparameters, refuse_others
from jaxopt_course.transforms.groups import is_frozen
from jaxopt_course.tree import Tree, kind_of, named_leaves, path_name


def audit(tx: Any, params: Tree) -> Table:
    """Which transformation each leaf gets, with which numbers, and how much memory.

    Nothing is computed but the numbers: the state is made by ``jax.eval_shape``.

    Args:
        tx: any transformation, with groups (:func:`~jaxopt_course.transforms.groups
            .partition_by_path`, ``optax.partition``) or without.
        params: arrays, or ``jax.ShapeDtypeStruct``, in any tree.

    Raises:
        TypeError: ``tx`` is no transformation.
        ValueError: a leaf is no array (path in the message).

    Returns:
        A table with a row a leaf and the columns ``path``, ``group``, ``hyperparameters`` (of the
        first update) and ``state_bytes``; the row "(shared)" has what belongs to no leaf (counts),
        the row "(total)" all.

    >>> import optax
    >>> print(audit(optax.sgd(0.5, momentum=0.9), {"w": jnp.zeros((2, 3))}))
    path     group  hyperparameters                               state_bytes
    w               decay=0.9, nesterov=False, learning_rate=0.5  24
    (total)                                                       24
    """
    refuse_others("audit", tx)
    _refuse_objects(params)
    shapes = jax.eval_shape(lambda tree: tree, params)
    leaves = {path_name(path): leaf for path, leaf in named_leaves(shapes)}
    state = jax.eval_shape(tx.init, shapes)
    values = hyperparameters(tx, _at_the_start(tx, shapes, state))
    groups, frozen = _groups(tx, shapes)
    names = {name for found in groups.values() for name in found}
    sizes = dict.fromkeys(leaves, 0)
    shared = 0
    for place in places_of(state):
        size = int(np.prod(place.leaf.shape)) * place.leaf.dtype.itemsize
        if place.path in leaves and (place.path or place.leaf.shape == leaves[""].shape):
            sizes[place.path] += size
        else:
            shared += size
    lines: list[list[Any]] = []
    for path, size in sizes.items():
        mine = groups.get(path, [])
        text = "frozen" if frozen & set(mine) else _written(values, mine, names)
        lines.append([path, ", ".join(mine), text, size])
    lines += [["(shared)", "", "", shared]] if shared else []
    lines.append(["(total)", "", "", sum(sizes.values()) + shared])
    return Table(lines, columns=["path", "group", "hyperparameters", "state_bytes"])


def _refuse_objects(params: Tree) -> None:
    for keys, leaf in named_leaves(params):
        if not (hasattr(leaf, "dtype") or isinstance(leaf, bool | int | float | complex)):
            raise ValueError(
                f"{path_name(keys)} is {kind_of(leaf)}: parameters are arrays; keep other leaves "
                "out of the tree"
            )


def _at_the_start(tx: Any, shapes: Tree, state: Any) -> Any:
    """The state with its scalars (counts, injected numbers) computed, all else left abstract."""
    zeros = lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    scalars = jax.jit(lambda: [x for x in jax.tree.leaves(tx.init(zeros())) if x.ndim == 0])()
    left = iter(scalars)
    return jax.tree.map(lambda x: next(left) if x.ndim == 0 else x, state)


def _groups(tx: Any, shapes: Tree) -> tuple[dict[str, list[str]], set[str]]:
    """The groups of each path, and those that are frozen."""
    what, groups, frozen = description(tx), {}, set()
    labels = what.closure.get("param_labels")
    if labels is not None and what.parts:
        labels = labels(shapes) if callable(labels) else labels
        full = jax.tree.map(lambda x, sub: jax.tree.map(lambda _: str(x), sub), labels, shapes)
        groups = {path_name(path): [name] for path, name in named_leaves(full)}
        frozen = {part.label for part in what.parts if is_frozen(part.update)}
        return groups, frozen
    for part in what.parts:
        more, cold = _groups(part.update, shapes)
        groups = {path: groups.get(path, []) + more.get(path, []) for path in groups | more}
        frozen |= cold
    return groups, frozen


def _written(values: dict[str, Any], mine: list[str], names: set[str]) -> str:
    """The hyperparameters of these groups, and those that stand outside of all groups."""
    owner = lambda key: next((name for name in names if key.startswith(f"{name}.")), None)
    texts = []
    for key, value in values.items():
        group = owner(key)
        if group is None or group in mine:
            texts.append(f"{key.removeprefix(f'{group}.')}={_short(value)}")
    return ", ".join(texts)


def _short(value: Any) -> str:
    if isinstance(value, jax.core.Tracer):
        return "traced"
    if isinstance(value, bool | np.bool_) or np.ndim(value):
        return str(np.asarray(value).tolist())
    return f"{float(value):.4g}"
