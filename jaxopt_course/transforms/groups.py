"""Groups: one transformation for the biases, another for the rest, none for what is frozen.

    partition_by_path({"*/bias": sgd(0.1), "Dense_0/*": freeze()}, default=adam(1e-3))

The path of a leaf is its keys joined by "/": ``Dense_0/kernel`` in Linen's ``variables["params"]``,
``params/Dense_0/kernel`` in the whole variables, ``layers/0/kernel`` in an NNX state.
"""

import functools
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import jax
import optax

from jaxopt_course.base import Transform, chain
from jaxopt_course.describe import described, description
from jaxopt_course.tree import Tree
from jaxopt_course.tree import paths as paths_of

Pattern = str | re.Pattern[str]
DEFAULT = "(default)"  # the group of the leaves that no pattern matches


@described
def freeze() -> Transform:
    """The transformation of leaves that stay as they are: u = 0, and no memory.

    Same as ``optax.set_to_zero``; takes leaves of any dtype, and gradients that are NaN.

    >>> import jax.numpy as jnp
    >>> u, _ = freeze().update(jnp.array([3.0, jnp.nan]), freeze().init(jnp.zeros(2)))
    >>> print(u)
    [0. 0.]
    """
    return optax.set_to_zero()


@described
def partition_by_path(
    patterns: Mapping[Pattern, Transform],
    default: Transform | None = None,
    *,
    before: Transform | None = None,
) -> optax.GradientTransformationExtraArgs:
    """One transformation for each group of leaves, chosen by the leaf's path.

    A pattern is matched against the whole path, with ``fnmatch``, capitals and small letters apart:

        *        any characters, "/" too: ``*/bias`` is each bias below the top, ``*bias`` all
        ?        one character;  [ab] one of a, b;  [!ab] one of the others

    For more, give a compiled regular expression; it must match the whole path too.

    Args:
        patterns: pattern -> transformation; of numbers that may be traced.
        default: for the leaves that no pattern matches; None refuses them.
        before: applied first, to the leaves that are not frozen, together: with
            ``clip_by_global_norm`` the frozen ones do not count in the norm.

    Returns:
        A transformation whose state has, for each group, memories of its own leaves only;
        :func:`freeze` (or ``optax.set_to_zero``) has none.  Each group counts its own steps.

    Raises:
        TypeError: no mapping of patterns (text or compiled) to transformations.
        ValueError: no patterns; in ``init`` and ``update``, a leaf that no pattern or more than one
            matches, or a pattern that matches no leaf (with the paths); in ``update``, the state of
            other groups.

    Built on ``optax.partition``.

    >>> import jax.numpy as jnp
    >>> params = {"dense": {"kernel": jnp.ones(2), "bias": jnp.ones(1)}}
    >>> tx = partition_by_path({"*/bias": optax.sgd(0.5)}, default=freeze())
    >>> u, _ = tx.update(params, tx.init(params), params)
    >>> print(u["dense"]["kernel"], u["dense"]["bias"])
    [0. 0.] [-0.5]
    """
    _check(patterns, {"default": default, "before": before})
    if not patterns and default is None:
        raise ValueError("partition_by_path needs at least one pattern, or a default")
    groups = {_text(pattern): tx for pattern, tx in patterns.items()}
    if len(groups) < len(patterns):
        raise ValueError(f"two patterns of the same text: {', '.join(map(_text, patterns))}")
    if default is not None:
        groups[DEFAULT] = default

    def labels(tree: Tree) -> Tree:
        return _labels(tree, patterns, DEFAULT if default is not None else None)

    parted = _of_these_groups(optax.partition(groups, labels))
    if before is None:
        return parted
    frozen = {name for name, tx in groups.items() if is_frozen(tx)}
    moving = lambda tree: jax.tree.map(lambda label: label not in frozen, labels(tree))
    return chain(optax.masked(before, moving), parted)


def is_frozen(tx: Transform) -> bool:
    """Whether ``tx`` is :func:`freeze` or ``optax.set_to_zero``."""
    return description(tx).name in ("freeze", "set_to_zero")


def _of_these_groups(parted: Any) -> optax.GradientTransformationExtraArgs:
    inner = parted.update

    @functools.wraps(inner)
    def update(g: Tree, state: Any, params: Tree = None, **extra: Any) -> tuple[Tree, Any]:
        theirs = getattr(state, "inner_states", None)
        ours = description(inner).closure["transforms"]
        if theirs is not None and set(theirs) != set(ours):
            raise ValueError(
                f"the state is of other groups: it has {_listed(theirs)}, the groups here are "
                f"{_listed(ours)}; make a new one with init"
            )
        return inner(g, state, params, **extra)

    return optax.GradientTransformationExtraArgs(parted.init, update)


def check_patterns(patterns: Any, of: str = "transformation") -> None:
    """Raise TypeError unless ``patterns`` maps texts or compiled regular expressions.

    Args:
        patterns: what was given.
        of: what each pattern says, for the message.
    """
    if not isinstance(patterns, Mapping):
        raise TypeError(
            f"patterns must be a dictionary, pattern -> {of}, not a {type(patterns).__name__}"
        )
    for pattern in patterns:
        text = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
        if not isinstance(text, str):
            raise TypeError(f"a pattern is text or a compiled regular expression, not {pattern!r}")


def _check(patterns: Any, others: Mapping[str, Any]) -> None:
    check_patterns(patterns)
    given = {repr(_text(p)): tx for p, tx in patterns.items()}
    for name, tx in (given | {k: v for k, v in others.items() if v is not None}).items():
        if not (hasattr(tx, "init") and hasattr(tx, "update")):
            raise TypeError(
                f"{name}: a transformation is needed, such as sgd(0.1) or freeze(), not {tx!r}"
            )


def _labels(tree: Tree, patterns: Mapping[Pattern, Any], default: str | None) -> Tree:
    """The name of its group for each leaf."""
    found = group_of_each(tree, patterns, default is None)
    chosen = [default if pattern is None else _text(pattern) for pattern in found]
    return jax.tree.unflatten(jax.tree.structure(tree), chosen)


def group_of_each(
    tree: Tree, patterns: Mapping[Pattern, Any], required: bool = False
) -> list[Pattern | None]:
    """The pattern that each leaf's path matches, in the order of ``jax.tree.leaves``, or None.

    Args:
        tree: a tree of leaves.
        patterns: their keys.
        required: whether each leaf must match one.

    Raises:
        ValueError: a leaf that more than one pattern matches (or none, if ``required``), or a
            pattern that matches no leaf (with the paths; not where optax has masked leaves).
    """
    paths = paths_of(tree)
    found = {path: [p for p, test in _tests(patterns) if test(path)] for path in paths}
    unmatched = [path for path in paths if not found[path]]
    if unmatched and required:
        raise ValueError(
            f"no pattern matches {_listed(unmatched)}; the patterns are {_listed(patterns)}; "
            "add one, or a default"
        )
    for path in paths:
        if len(found[path]) > 1:
            raise ValueError(f"{path!r} is matched by {_listed(found[path])}; it must be by one")
    used = [pattern for matched in found.values() for pattern in matched]
    idle = [p for p in patterns if p not in used]
    # a tree without leaves is optax's way to ask for the state's structure
    if idle and paths and not has_masked(tree):
        raise ValueError(f"{_listed(idle)} matches no leaf; the leaves are {_listed(paths)}")
    return [found[path][0] if found[path] else None for path in paths]


def has_masked(tree: Tree) -> bool:
    """Whether optax has taken leaves out of ``tree``, to give them to another transformation."""
    masked = lambda x: isinstance(x, optax.MaskedNode)
    return any(map(masked, jax.tree.leaves(tree, is_leaf=masked)))


def _tests(patterns: Mapping[Pattern, Any]) -> list[tuple[Pattern, Callable[[str], bool]]]:
    def test(pattern: Pattern) -> Callable[[str], bool]:
        if isinstance(pattern, str):
            return lambda path: fnmatchcase(path, pattern)
        return lambda path: pattern.fullmatch(path) is not None

    return [(pattern, test(pattern)) for pattern in patterns]


def _text(pattern: Pattern) -> str:
    return pattern if isinstance(pattern, str) else pattern.pattern


def _listed(names: Any) -> str:
    names = [repr(_text(name)) for name in names]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
