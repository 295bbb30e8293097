"""The slots of a switch, read as the memories of the members that use them."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxopt_course.describe import Description, description
from jaxopt_course.inspection.places import Place, parameters_of, places_of
from jaxopt_course.transforms.switch import SwitchState, member_state
from jaxopt_course.tree import Tree


def places_with_members(tx: Any, state: Any, params: Tree) -> Iterator[Place]:
    """Every leaf of a state, those of a switch as its members know them.

    Args:
        tx: the transformation, or None; a switch in it, outside of groups, is looked into.
        state: its state.
        params: without lanes, or None; without them a slot cannot be told from another.
    """
    known = {} if tx is None or params is None else dict(_switches(tx, state))
    shapes = jax.eval_shape(lambda tree: tree, params)
    for place in places_of(state, lambda x: id(x) in known):
        if id(place.leaf) in known:
            yield from _in_use(known[id(place.leaf)], place, shapes)
        else:
            yield place._replace(path=_guessed(place, shapes))


def _switches(tx: Any, state: Any) -> Iterator[tuple[int, Description]]:
    """The description of each switch whose index is known, by the id of its state."""
    what = description(tx)
    if isinstance(state, SwitchState):
        if not isinstance(what.arguments.get("index", ...), jax.core.Tracer):
            yield id(state), what
    elif not hasattr(state, "inner_states"):  # a member of a group sees some leaves only
        for part in what.parts:
            yield from _switches(part.update, part.state(state))


def _in_use(what: Description, place: Place, shapes: Tree) -> Iterator[Place]:
    members = what.arguments["transformations"]
    index = np.clip(np.asarray(what.arguments["index"]), 0, len(members) - 1)
    for i in np.unique(index).tolist():
        name, lanes = description(members[i]).name, None
        if index.ndim:
            lanes = tuple(np.flatnonzero(index == i).tolist())
        for inner in places_of(member_state(members[i], place.leaf.slots, shapes)):
            where = (*place.where, str(i), *inner.where)
            yield inner._replace(where=where, member=name, lanes=lanes)


def _guessed(place: Place, shapes: Tree) -> str:
    """Of a slot "float32[2,3]/1", also the parameters of its shape."""
    if place.field != "slots":
        return place.path
    text = place.path.rpartition("/")[0].partition("[")[2].rstrip("]")
    fits = [p.path for p in parameters_of(shapes) if ",".join(map(str, p.leaf.shape)) == text]
    if not fits:
        return place.path
    return f"{place.path} (of {'' if len(fits) == 1 else 'one of '}{', '.join(fits)})"
