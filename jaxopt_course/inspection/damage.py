"""Memories that are infinite, NaN, negative, or so large that nothing moves any more."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.inspection.members import places_with_members
from jaxopt_course.inspection.places import Place, Table, parameters_of, places_of
from jaxopt_course.tree import Tree, is_floating

SQUARES = {"nu", "nu_max", "sum_of_squares", "e_g", "v", "v_row", "v_col", "exp_inf"}
NORMALIZED = "divides the update: it is 0 for good, the parameter frozen"
CLIP = "clip gradients first (clip_by_global_norm), and set this memory back to 0"
BACK = "go back to an earlier state; clip gradients, or skip such steps (optax.apply_if_finite)"


def diagnose(
    state: Any, params: Tree = None, *, tx: Any = None, lanes: bool | None = None
) -> Table:
    """Which memories are broken, what that means, and a way out.

    A gradient of 1e30 makes the second moment of Adam infinite; from then on the update is 0, and
    no NaN ever tells.  Found are

        infinite    memories with ±∞
        NaN         memories with NaN
        dead        second moments v so large that later updates vanish: √v > 8e6 (1/ε of float32)
                    where the first moment beside it is smaller than ε √v, or √v > 7e13 (1/ε²): a
                    gradient of size 1 then moves its parameter by less than ε or ε² learning rates
        negative    second moments below 0, whose root is none: no step of ours leaves one, a state
                    from elsewhere may have them

    Args:
        state: the state of any transformation, ours or optax's, or of ``nnx.Optimizer``; concrete.
        params: the parameters; infinite and NaN ones are named too.
        tx: the transformation; of use for a ``switch``, whose state keeps its memories in slots.
            With ``tx`` and ``params`` they are named as of the member in use ("adam.nu" of "w"),
            with ``params`` by the slot and the parameters of its shape, else by the slot.
        lanes: whether the leaves have an axis of lanes in front; by default, whether a count in the
            state has an axis.

    Returns:
        A table with the columns ``lane`` (where there are lanes), ``path`` of the parameter,
        ``field`` of the state, ``problem``, ``numbers`` (how many of how many), ``meaning`` and
        ``way_out``; empty, all is well, which it prints.

    Raises:
        TypeError: a transformation in the state's place.
        ValueError: the state of a switch that is not ``tx``, or is of other parameters.

    >>> import optax
    >>> tx = optax.adam(1e-3)
    >>> params = {"w": jnp.zeros(2)}
    >>> _, state = tx.update({"w": jnp.array([1e30, 1.0])}, tx.init(params))
    >>> bad = diagnose(state)
    >>> bad.loc[0, "path"], bad.loc[0, "field"], bad.loc[0, "problem"], bad.loc[0, "numbers"]
    ('w', 'nu', 'infinite', '1 of 2')
    >>> print(diagnose(tx.init(params)))
    all is well: no memory is infinite, NaN, negative or too large
    """
    if hasattr(state, "init") and hasattr(state, "update"):
        raise TypeError(
            "diagnose takes a state first, not a transformation: diagnose(state, params, tx=tx)"
        )
    places = list(places_of(state))
    if lanes is None:
        lanes = any(_is_count(place) and np.ndim(place.leaf) == 1 for place in places)
    one = jax.tree.map(lambda x: x[0], params) if lanes else params
    places = list(places_with_members(tx, state, one))
    places += parameters_of(params)
    first = {(place.where, place.path): place.leaf for place in places if place.field == "mu"}
    rows: list[list[Any]] = []
    for place in places:
        if not is_floating(place.leaf):
            continue
        mean = first.get((place.where, place.path))
        for problem, wrong in _wrong(place, mean):
            rows += _rows(place, problem, wrong, lanes)
    rows.sort(key=lambda row: row[0])  # lane by lane
    columns = ["lane", "path", "field", "problem", "numbers", "meaning", "way_out"]
    table = Table(rows, columns=columns)
    table = table if lanes else table.drop(columns="lane")
    table.attrs["empty"] = "all is well: no memory is infinite, NaN, negative or too large"
    return table


def _is_count(place: Place) -> bool:
    return place.field == "count" or (place.field == "slots" and place.path == "int32[]/0")


def _wrong(place: Place, mean: Any) -> Iterator[tuple[str, np.ndarray]]:
    x = _wide(place.leaf)
    yield "infinite", np.isinf(x)
    yield "NaN", np.isnan(x)
    if place.field in SQUARES:
        eps = float(jnp.finfo(jnp.result_type(place.leaf)).eps)
        size = np.where(np.isfinite(x), np.sqrt(np.maximum(x, 0)), 0)
        small = True if mean is None else np.abs(_wide(mean)) < eps * size
        yield "dead", (size * eps > 1) & small | (size * eps * eps > 1)
        yield "negative", x < 0


def _wide(leaf: Any) -> np.ndarray:
    """In float64, which holds the squares of float32; |x| of complex numbers."""
    x = np.asarray(leaf)
    if np.iscomplexobj(x):
        x = np.abs(x)
    return x.astype(np.float64)


def _rows(place: Place, problem: str, wrong: np.ndarray, lanes: bool) -> Iterator[list[Any]]:
    if not wrong.any():
        return
    meaning, way_out = _meaning(place, problem)
    for lane, bad in enumerate(wrong if lanes and wrong.ndim else [wrong]):
        if bad.any() and (place.lanes is None or lane in place.lanes):
            numbers = f"{int(bad.sum())} of {bad.size}"
            path = place.path or "(the whole tree)"
            field = f"{place.member}.{place.field}" if place.member else place.field
            yield [lane, path, field, problem, numbers, meaning, way_out]


def _meaning(place: Place, problem: str) -> tuple[str, str]:
    if place.field == "(parameter)":
        return "the parameter diverged", BACK
    if problem == "NaN":
        return "every later update is NaN", BACK
    if problem == "negative":
        return "no mean of squares: its root is NaN, or it was cut to 0 and the step is huge", BACK
    if problem == "dead":
        return "so large that later updates vanish: the parameter hardly moves", CLIP
    if place.field in SQUARES:
        return NORMALIZED, CLIP
    if place.field == "slots":
        return "as a second moment it freezes the parameter, else the update is not finite", CLIP
    return "the update is not finite, or 0 where a second moment divides it", BACK
