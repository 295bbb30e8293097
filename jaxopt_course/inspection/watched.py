"""What ``watch=`` records at each step of a training, beside the loss."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.describe import Description, description
from jaxopt_course.inspection.values import hyperparameters
from jaxopt_course.transforms.clipping import global_norm
from jaxopt_course.transforms.switch import member_state
from jaxopt_course.tree import Tree

WATCHED = ("gradient_norm", "update_norm", "learning_rate", "parameter_norm")


def check_watch(watch: Any) -> tuple[str, ...]:
    """The names to watch; none for None.

    Raises:
        TypeError: not a list of names.
        ValueError: a name that is not known, or is there twice.
    """
    if watch is None:
        return ()
    listed = (
        isinstance(watch, Iterable)
        and not isinstance(watch, str)
        and getattr(watch, "ndim", 1) == 1
    )
    if not listed or not all(isinstance(name, str) for name in watch):
        raise TypeError(
            f"watch must be a list of names, as watch={list(WATCHED[:2])}, not {watch!r}"
        )
    names = tuple(watch)
    for name in names:
        if name not in WATCHED:
            raise ValueError(f"watch names {name!r}, which is none of {', '.join(WATCHED)}")
    if len(set(names)) < len(names):
        raise ValueError(f"watch names something twice: {list(names)}")
    return names


def watched(
    names: Sequence[str], tx: Any, state: Tree, params: Tree, g: Tree, u: Tree
) -> dict[str, jax.Array]:
    """The scalars of one step, as ``train_<name>``.

        gradient_norm   √Σ g² over all leaves, of the batch
        update_norm     √Σ u² of what is added to the parameters
        parameter_norm  √Σ w² before it is added
        learning_rate   of this step, as :func:`hyperparameters` reads it

    Args:
        names: of :data:`WATCHED`.
        tx: the transformation.
        state: its state before the step.
        params: before the step.
        g: the gradients.
        u: the updates.

    Raises:
        ValueError: a learning rate is asked for, and no optimizer has one.
    """
    found = {}
    for name in names:
        if name == "learning_rate":
            found[f"train_{name}"] = rate_of(tx, state, params)
        else:
            tree = {"gradient_norm": g, "update_norm": u, "parameter_norm": params}[name]
            found[f"train_{name}"] = global_norm(tree)
    return found


def rate_of(tx: Any, state: Tree, params: Tree) -> jax.Array:
    """The learning rate of the step that comes, (), float32.

    Of a ``switch`` it is the rate of the member in use, NaN where that has none of its own.

    Raises:
        ValueError: no member has one, or each of several groups has its own.
    """
    what = _inside(tx)
    rates = [_rate(tx, state)]
    if "index" in what.arguments and what.parts:
        members = [part.update for part in what.parts]
        own = what.arguments["transformations"]
        rates = [
            _rate(member, member_state(one, state.slots, params))
            for member, one in zip(members, own, strict=True)
        ]
    if all(rate is None for rate in rates):
        raise ValueError(
            "watch names 'learning_rate', and no optimizer has one that can be read: it has none, "
            "or each of its groups has its own; leave it out of watch"
        )
    nan = jnp.float32(jnp.nan)
    each = jnp.stack([nan if rate is None else rate for rate in rates])
    if len(rates) == 1:
        return each[0]
    return each[jnp.clip(what.arguments["index"], 0, len(rates) - 1)]


def _inside(tx: Any) -> Description:
    """What is in the wrap that hands an update what it asks for."""
    what = description(tx)
    return description(what.closure["tx"]) if what.name == "adapted" else what


def _rate(tx: Any, state: Tree) -> jax.Array | None:
    what = description(tx)
    tx = what.closure["tx"] if what.name == "adapted" else tx
    value = hyperparameters(tx, state).get("learning_rate")
    return None if value is None or jnp.shape(value) else jnp.asarray(value, jnp.float32)
