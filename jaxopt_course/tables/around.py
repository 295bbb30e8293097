"""Columns that every registered recipe takes, for what stands around it.

    clip_norm    gradients are shrunk to this norm first, all leaves together
    ema_decay    evaluated is a mean of the weights with this decay, as torch and Keras keep it

An empty cell means none: no bound, and a decay of 0, whose mean is the weights bit for bit.  They
enter only the programs of tables that have them.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import optax
import pandas as pd

from jaxopt_course.base import chain
from jaxopt_course.transforms.averaging import ema_params
from jaxopt_course.transforms.clipping import clip_by_global_norm

AROUND = {"clip_norm": float(np.finfo(np.float32).max), "ema_decay": 0.0}  # what empty means


def wrapped(
    tx: optax.GradientTransformation, h: Mapping[str, Any], columns: Collection[str]
) -> optax.GradientTransformation:
    """A recipe with what its row has around it; itself where that is nothing.

    Args:
        tx: the recipe.
        h: the row's numbers.
        columns: those that its rows have.
    """
    before = [clip_by_global_norm(h["clip_norm"])] if "clip_norm" in columns else []
    after = [ema_params(h["ema_decay"])] if "ema_decay" in columns else []
    return chain(*before, tx, *after) if before or after else tx


def check_around(trials: pd.DataFrame) -> None:
    """Refuse numbers out of range, which nobody can see once they are traced.

    Raises:
        ValueError: a decay outside [0, 1], or a norm that is not above 0.
    """
    for name, wanted in (("ema_decay", "from 0 to 1"), ("clip_norm", "above 0")):
        if name not in trials or trials[name].dtype not in ("Float64", "Int64"):
            continue
        values = trials[name]
        wrong = (values < 0) | (values > 1) if name == "ema_decay" else values <= 0
        if wrong.fillna(False).any():
            row = int(wrong.fillna(False).argmax())
            raise ValueError(
                f"column {name!r} has {values[row]} in row {row}; it must be {wanted}, or empty "
                "for none"
            )
