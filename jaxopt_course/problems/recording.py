"""What a loss measures beside its mean: recorded while it trains, as ``train_<name>``."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp


def check(metrics: Any) -> None:
    """Refuse metrics of a loss that cannot be recorded; shapes are enough.

    Raises:
        ValueError: no dictionary, a name that is no column's, or a value that is no real scalar.
    """
    if not jax.tree.leaves(metrics):
        return
    if not isinstance(metrics, Mapping):
        raise ValueError(
            "loss must return (mean loss, (model_state, metrics)), metrics a dict of scalars, and "
            f"its metrics are {type(metrics).__name__}"
        )
    for name, value in metrics.items():
        check_name(name, "the loss measures")
        if name == "loss":
            raise ValueError(
                'the loss measures "loss", but train_loss is what it returns first: give the '
                "metric another name, or leave it out"
            )
        dtype = getattr(value, "dtype", None)
        number = isinstance(value, bool | int | float) or (
            dtype is not None
            and (jnp.issubdtype(dtype, jnp.bool_) or jnp.issubdtype(dtype, jnp.number))
            and not jnp.issubdtype(dtype, jnp.complexfloating)
        )
        if not number or jnp.shape(value) != ():
            kind = type(value).__name__ if dtype is None else f"{dtype} {value.shape}"
            raise ValueError(
                f"the loss measures {name!r}, which is recorded as train_{name} and so must be a "
                f"real scalar, and is {kind}: return its mean, or leave it out"
            )


def check_name(name: Any, said: str) -> None:
    """Refuse a name that no file can hold, before anything trains.

    Raises:
        ValueError: it is no text, cannot be seen, or has a "/", as netCDF's groups have.
    """
    text = isinstance(name, str) and name.isprintable() and name == name.strip() != ""
    if not text or "/" in name:
        raise ValueError(
            f"{said} {name!r}: a name must be text without '/', as it becomes that of a column and "
            "of an array in a file"
        )


def named(metrics: Any) -> dict[str, jax.Array]:
    """The metrics by the names of their curves."""
    if not jax.tree.leaves(metrics):
        return {}
    return {f"train_{name}": jnp.asarray(value) for name, value in metrics.items()}


def parted(result: Any) -> tuple[Any, Mapping[str, Any]]:
    """What a loss of (outputs, targets) returned: its losses, and what it measures beside them."""
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping):
        return result
    return result, {}


def means(measured: Mapping[str, Any], losses: jax.Array) -> dict[str, jax.Array]:
    """Metrics of a batch: scalars as they are, one value an example as their mean."""
    one_each = losses.shape
    return {
        name: jnp.mean(value) if jnp.shape(value) == one_each else value
        for name, value in measured.items()
    }


def joined(metrics: Any, watched: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """What the loss measures and what a step is watched for, by the names of their curves.

    Raises:
        ValueError: both have a name: one would stand where the other is looked for.
    """
    own = named(metrics)
    if both := sorted(own.keys() & watched.keys()):
        raise ValueError(
            f"the loss measures {both}, and so are curves of watch= called: rename what the loss "
            "measures, or leave that out of watch="
        )
    return own | dict(watched)
