"""The column ``decay_biases``: whether weight decay pulls at biases and norms too.

It is a choice of the program, as the mask of leaves is: one value for all rows of an optimizer.
"""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import pandas as pd

from jaxopt_course.tables.recipes import RECIPES

DECAY_BIASES = "decay_biases"
MASKS = ("mask", "weight_decay_mask")  # what recipes call the leaves that decay
DECAYS = ("weight_decay", "weight_decay_rate")  # and by how much


def mask_of(name: str) -> str | None:
    """The argument of a registered recipe that says which leaves decay; None if there is none."""
    signature = inspect.signature(RECIPES[name]).parameters
    return next((argument for argument in MASKS if argument in signature), None)


def matrices(params: Any) -> Any:
    """Which leaves have at least two axes, as kernels have, and biases and scales have not.

    >>> matrices({"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)})
    {'bias': False, 'kernel': True}
    """
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) >= 2, params)


def masks(trials: pd.DataFrame, name: str) -> dict[str, Any]:
    """The argument by which the rows of a recipe leave biases and norms alone; none if they do not.

    Raises:
        ValueError: some of its rows do, and others do not.
    """
    argument = mask_of(name)
    if DECAY_BIASES not in trials or argument is None:
        return {}
    chosen = trials.loc[trials["optimizer"] == name, DECAY_BIASES].dropna().unique().tolist()
    if len(chosen) > 1:
        raise ValueError(
            f"{DECAY_BIASES!r} is both True and False in the rows of {name}, and it chooses what "
            "the program of an optimizer is made of: sweep each by itself"
        )
    return {argument: matrices} if chosen == [False] else {}


def spare_biases(trials: pd.DataFrame) -> pd.DataFrame:
    """The table with ``decay_biases`` False wherever a registered recipe decays weights.

    That is: where the recipe has a mask, and its decay is not 0.  A table in which nobody decays
    stays as it is.
    """

    def spared(row: Any) -> Any:
        name = row["optimizer"]
        if name not in RECIPES or mask_of(name) is None:
            return pd.NA
        given = any(pd.notna(row.get(decay, pd.NA)) for decay in DECAYS)
        signature = inspect.signature(RECIPES[name]).parameters
        default = any(signature[decay].default for decay in DECAYS if decay in signature)
        return False if given or default else pd.NA

    of = trials[[n for n in ("optimizer", *DECAYS) if n in trials]]
    cells = pd.array([spared(row) for _, row in of.iterrows()], dtype="boolean")
    if pd.isna(cells).all():
        return trials
    made = trials.copy()
    made.insert(made.columns.get_loc("seed"), DECAY_BIASES, cells)
    return made
