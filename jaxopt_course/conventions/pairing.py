"""Which leaf belongs to which parameter of a framework.

In this order, and nothing else:

    names=       what the caller says
    names        the framework's own, where they find all their leaves: equal as they stand, equal
                 by their parts ("layers.0.weight" is ``layers_0/kernel``), or, if there are as many
                 leaves as names, equal in what tells them apart ("0.weight" ... "11.weight" are
                 ``Dense_0/kernel`` ... ``Dense_11/kernel``)
    the order    where another order would not fit, or makes no difference
    a question   else: two memories of one shape have two homes, and only the caller knows
"""

import re
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.tree_util import SequenceKey, keystr, tree_leaves_with_path

from jaxopt_course.messages import printable, unknown
from jaxopt_course.tree import Tree, named_leaves, paths

Axes = bool | Mapping[str, Sequence[int]]
Parts = tuple[str, ...]
_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}  # of torch
_SAME = dict.fromkeys(("kernel", "scale", "gamma", "embedding", "embeddings"), "weight")
_SAME["beta"] = "bias"


class Theirs(NamedTuple):
    """A parameter as the framework knows it."""

    name: str | None
    shape: tuple[int, ...] | None  # of its memory, None where it has none
    group: int = 0


def leaf_of_each(
    names: Sequence[str] | None,
    theirs: Sequence[Theirs],
    params: Tree,
    transpose: Axes,
    whose: str,
) -> list[str]:
    """The path of the leaf of each parameter of the framework.

    Args:
        names: the argument ``names=``.
        theirs: the parameters, in the framework's order.
        params: the tree of leaves.
        transpose: as in ``from_torch``.
        whose: the framework's name, for messages.

    Raises:
        ValueError: names that are not leaves or come twice, another number of parameters than
            leaves, or two parameters that could change places unnoticed.

    >>> w = Theirs("b.w", (2,)), Theirs("a.w", (2,))
    >>> leaf_of_each(None, w, {"a": {"w": np.zeros(2)}, "b": {"w": np.zeros(2)}}, False, "torch")
    ['b/w', 'a/w']
    """
    leaves = paths(params)
    twice = [path for path, times in Counter(leaves).items() if times > 1]
    if twice:
        raise ValueError(
            f"two leaves have the path {twice[0]!r}: rename a key that has a '/' in it"
        )
    if names is not None:
        return _given(spelled(names, params), leaves, len(theirs), whose)
    given = [each.name for each in theirs]
    own = None if None in given else [str(name) for name in given]
    found = None if own is None else by_names(own, leaves)
    if found is not None:
        return found
    if len(theirs) != len(leaves):
        raise ValueError(
            f"{whose} has {len(theirs)} parameters, params has {len(leaves)} leaves "
            f"({', '.join(leaves)}); say with names= which leaf each of them is"
        )
    if own is not None:
        _refuse_contradiction(own, leaves, whose)
    pair = _interchangeable(theirs, params, leaves, transpose)
    if pair is not None:
        raise ValueError(_question(pair, theirs, leaves, whose))
    if whose == "torch" and transpose is False and _fit_turned_elsewhere(theirs, params):
        raise ValueError(
            "torch's matrices fit the leaves in their order as they lie, and in another order "
            "turned, as Flax's kernels are: say with names= which leaf each of torch's parameters "
            f"is, and with transpose= how they lie; the leaves are {_listed(leaves)}"
        )
    return leaves


def warn_of_left_out(known: Collection[str], params: Tree, whose: str) -> None:
    """Say which leaves no parameter of the framework is: they do not train, as they did not there.

    Args:
        known: leaves that a parameter is, or that somebody knows to be frozen.
        params: the tree of leaves.
        whose: the framework's name.
    """
    left = [path for path in paths(params) if path not in known]
    if left:
        way = "names= says" if whose == "Keras" else "names= or frozen= says"
        warnings.warn(
            f"{whose}'s optimizer has no parameter for {_listed(left)}: they do not train, as they "
            f"did not there ({way} that it is meant)",
            stacklevel=3,
        )


def warn_of_square_kernels(theirs: Sequence[Theirs], order: Sequence[str], transpose: Axes) -> None:
    """Say which kernels fit as torch's weights lie and turned, where only these could tell.

    Args:
        theirs: torch's parameters.
        order: the leaf of each.
        transpose: as in ``from_torch``; a mapping says it of every leaf.
    """
    if isinstance(transpose, Mapping):
        return
    square = []
    for each, path in zip(theirs, order, strict=True):
        rank = len(each.shape or ())
        if rank < 2 or path.split("/")[-1] != "kernel" or (transpose and rank == 2):
            continue
        outputs, inputs, *window = each.shape or ()
        if (*window, inputs, outputs) != each.shape:
            return  # by its shape, this one lies as it does in torch: so do the others
        square.append(path)
    if square:
        warnings.warn(
            f"torch's weights are (outputs, inputs, ...), Flax's kernels (..., inputs, outputs): "
            f"{_listed(square)} fit both ways, and are taken as they lie in torch; say which way "
            "with transpose= (True turns all matrices, {path: axes} others, {} none)",
            stacklevel=3,
        )


def spelled(names: Sequence[str], params: Tree) -> list[str]:
    """Paths with flax's boxes in them ("dense/kernel/value") as all other paths are written."""
    raw = [keystr(keys, simple=True, separator="/") for keys, _ in tree_leaves_with_path(params)]
    known = dict(zip(raw, paths(params), strict=True))
    return [known.get(name, name) for name in names]


def by_names(names: Sequence[str], leaves: Sequence[str]) -> list[str] | None:
    """The leaves that these names name, one each; None if a single one is in doubt.

    >>> by_names(["0.weight", "1.weight"], ["Dense_1/kernel", "Dense_0/kernel"])
    ['Dense_0/kernel', 'Dense_1/kernel']
    """
    split = [re.split(r"[./]", name) for name in names]
    plain = [[part for part in parts if part not in _WRAPPERS] for parts in split]
    bare = [parts[1:] if parts[0] == "module" else parts for parts in plain]
    ours = [leaf.split("/") for leaf in leaves]
    inner = [parts[1:] if parts[0] == "params" else parts for parts in ours]
    for mine in split, plain, bare:
        found = _matched(list(map(tuple, mine)), list(map(tuple, ours)), leaves)
        if found is not None:
            return found
    for left, right in (plain, ours), (bare, ours), (bare, inner):
        found = _matched(list(map(_tokens, left)), list(map(_tokens, right)), leaves)
        if found is not None:
            return found
    if len(names) != len(leaves):
        return None
    return _matched(_apart(list(map(_tokens, bare))), _apart(list(map(_tokens, ours))), leaves)


def _matched(
    names: Sequence[Parts], keys: Sequence[Parts], leaves: Sequence[str]
) -> list[str] | None:
    times = Counter(keys)
    leaf = dict(zip(keys, leaves, strict=True))
    known = all(times[name] == 1 for name in names) and len(set(names)) == len(names)
    return [leaf[name] for name in names] if known else None


def _tokens(parts: Sequence[str]) -> Parts:
    """Words and numbers, the same word for the same thing in all frameworks."""
    words = [word for part in parts for word in part.split("_") if word]
    return tuple(str(int(w)) if w.isdecimal() else _SAME.get(w, w) for w in words)


def _apart(names: list[Parts]) -> list[Parts]:
    """What is left of them without what all have in common at their beginning."""
    while names and all(names) and len({name[0] for name in names}) == 1:
        names = [name[1:] for name in names]
    return names


def _given(names: Sequence[str], leaves: Sequence[str], count: int, whose: str) -> list[str]:
    for name in names:
        if name not in leaves:
            raise ValueError(unknown("leaf", name, leaves))
    if len(set(names)) != len(names):
        raise ValueError(f"names= has a leaf twice: {list(names)}")
    if len(names) != count:
        raise ValueError(f"{whose} has {count} parameters, names= has {len(names)}")
    return list(names)


def _refuse_contradiction(names: Sequence[str], leaves: Sequence[str], whose: str) -> None:
    """By its name, a parameter is another leaf than by the order."""
    parted = [set(re.split(r"[./]", name)) for name in names]
    ours = [set(leaf.split("/")) for leaf in leaves]
    words = [{part for part in parts if not part.isdigit()} for parts in parted]
    for name, mine, here, leaf in zip(names, words, ours, leaves, strict=True):
        alike = [len(mine & other) for other in ours]
        if max(alike) > len(mine & here):
            best = leaves[alike.index(max(alike))]
            raise ValueError(
                f"by its name {whose}'s {name!r} is {best}, by the order of params it is {leaf}; "
                f"say with names= which leaf each of {whose}'s parameters is: {_listed(names)}"
            )


def _interchangeable(
    theirs: Sequence[Theirs], params: Tree, leaves: Sequence[str], transpose: Axes
) -> tuple[int, int] | None:
    """Two parameters that would fit each other's leaf, and would not be the same there."""
    keyed = named_leaves(params)
    if all(isinstance(key, SequenceKey) for keys, _ in keyed for key in keys):
        return None  # lists and tuples keep the order that their maker gave them
    sizes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
    first: dict[Any, int] = {}
    silent = [i for i, each in enumerate(theirs) if each.shape is None]
    for i, each in enumerate(theirs):
        # one without a memory is like all such of its group, and could be of any shape
        if each.shape is None:
            j = next((j for j in silent if theirs[j].group != each.group), None)
        else:
            turned = lambda j, shape=each.shape: _turned(shape, leaves[j], transpose)
            j = first.setdefault(each.shape, i)
            j = j if j != i else next((j for j in silent if turned(j) == sizes[j]), None)
        if j is not None:
            return min(i, j), max(i, j)
    return None


def _fit_turned_elsewhere(theirs: Sequence[Theirs], params: Tree) -> bool:
    """Whether the matrices fit leaves as they lie, and others turned: an autoencoder's do.

    Where all are square they fit the same leaves, see :func:`warn_of_square_kernels`.
    """
    if all(isinstance(key, SequenceKey) for keys, _ in named_leaves(params) for key in keys):
        return False
    sizes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
    if any(each.shape not in (None, size) for each, size in zip(theirs, sizes, strict=True)):
        return False
    shapes = [each.shape for each in theirs if each.shape is not None and len(each.shape) == 2]
    turned = Counter(shape[::-1] for shape in shapes)
    return turned == Counter(shapes) and any(shape != shape[::-1] for shape in shapes)


def _turned(shape: tuple[int, ...], path: str, transpose: Axes) -> tuple[int, ...]:
    if isinstance(transpose, Mapping):
        axes = transpose.get(path, range(len(shape)))
        return tuple(shape[a] for a in axes) if len(axes) == len(shape) else ()
    return shape[::-1] if transpose and len(shape) == 2 else shape


def _question(
    pair: tuple[int, int], theirs: Sequence[Theirs], leaves: Sequence[str], whose: str
) -> str:
    called = [printable(each.name or f"number {i}") for i, each in enumerate(theirs)]
    alike = "have memories of the same shape" if theirs[pair[0]].shape else "cannot be told apart"
    natural = sorted(
        leaves, key=lambda leaf: [int(x) if x.isdecimal() else x for x in _pieces(leaf)]
    )
    return (
        f"{whose}'s parameters {called[pair[0]]} and {called[pair[1]]} {alike}, and nothing says "
        f"which leaf each is; say it with names=, a leaf for each in {whose}'s order "
        f"({_listed(called)}); the leaves are {_listed(natural)}"
    )


def _pieces(leaf: str) -> list[str]:
    return re.split(r"(\d+)", leaf)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 24} more" if len(names) > 24 else ""
    return printable(", ".join(names[:24])) + more
