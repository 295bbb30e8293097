"""Missing values in inputs, NaN, filled by a policy that is fitted on the train part.

    missing="mean"         the feature's mean over the train part; 0 after standardising
    missing="zero"         0 as the module sees it, so after standardising it is the mean as well
    missing="indicator"    the mean, and a 0/1 column for each feature with gaps in the train part

A feature is a place in an example, as for standardising: its mean is over the first axis.  Columns
of an indicator stand behind the features, on the last axis.  A table's file has the same policy,
"indicator": see ``problems.csv``.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np

from jaxopt_course.messages import unknown
from jaxopt_course.problems import trees
from jaxopt_course.tree import Tree

Missing = Literal["mean", "zero", "indicator"]
POLICIES = ("mean", "zero", "indicator")


def check(policy: str | None) -> None:
    """Refuse what is no policy.

    Raises:
        ValueError: see there.
    """
    if policy is not None and policy not in POLICIES:
        raise ValueError(unknown("missing=", policy, POLICIES))


def without_gaps(tree: Tree) -> Tree:
    """The tree with 0 for NaN, for checks that know no gaps."""
    return jax.tree.map(lambda x: np.where(_gaps(x), 0, x) if trees.is_floating(x) else x, tree)


def has_gaps(tree: Tree) -> bool:
    """Whether any real leaf has NaN."""
    return any(_gaps(x).any() for x in jax.tree.leaves(tree) if trees.is_floating(x))


def fill(parts: dict[str, Tree], policy: Missing, scale: bool) -> dict[str, Tree]:
    """The inputs of all parts without gaps, and standardised if ``scale``; real ones are float32.

    The first part is the one that means and deviations are measured on.

    Raises:
        ValueError: a feature that is empty in the whole train part, or an array whose last axis
            cannot be widened by indicators.
    """

    def one(path: Any, *leaves: np.ndarray) -> _Leaves:
        if trees.is_scaled(path, leaves[0]):
            return _Leaves(_fill("inputs" + jax.tree_util.keystr(path), leaves, policy, scale))
        return _Leaves(leaves)

    filled = jax.tree_util.tree_map_with_path(one, *parts.values())
    pick = lambda i: jax.tree.map(lambda leaves: leaves[i], filled, is_leaf=_is_leaves)
    return {name: pick(i) for i, name in enumerate(parts)}


class _Leaves(tuple[np.ndarray, ...]):
    """One leaf of all parts."""


def _is_leaves(node: object) -> bool:
    return isinstance(node, _Leaves)


def _fill(name: str, given: Sequence[np.ndarray], policy: Missing, scale: bool) -> list[np.ndarray]:
    from jaxopt_course.problems.csv.columns import center_and_scale  # pandas takes its time

    leaves = [x.astype(np.float64) for x in given]
    masks = [_gaps(x) for x in leaves]
    empty = masks[0].all(axis=0)
    if empty.any() and (scale or policy != "zero"):
        place = tuple(int(i) for i in np.argwhere(empty)[0])
        where = f", feature {place[0] if len(place) == 1 else place}," if place else ""
        raise ValueError(
            f"{name}{where} is missing in every example of the train part: leave it out"
        )
    seen = np.where(empty, 0.0, leaves[0]) if empty.any() else leaves[0]
    mean, std = center_and_scale(seen)
    if scale:
        leaves = [(x - mean) / std for x in leaves]
    value = 0.0 if scale or policy == "zero" else mean
    filled = [np.where(gaps, value, x) for gaps, x in zip(masks, leaves, strict=True)]
    if policy == "indicator":
        filled = _indicate(name, filled, masks)
    return [x.astype(np.float32) for x in filled]


def _indicate(name: str, filled: list[np.ndarray], masks: list[np.ndarray]) -> list[np.ndarray]:
    if filled[0].ndim < 2:
        raise ValueError(
            f'{name} has no axis of features for missing="indicator": give it as (n, 1)'
        )
    with_gaps = masks[0].any(axis=tuple(range(masks[0].ndim - 1)))
    return [
        np.concatenate([x, gaps[..., with_gaps].astype(x.dtype)], axis=-1)
        for x, gaps in zip(filled, masks, strict=True)
    ]


def _gaps(x: Any) -> np.ndarray:
    """Where a real array has NaN."""
    found: np.ndarray = np.isnan(x.astype(np.float32) if x.dtype.kind == "V" else x)
    return found
