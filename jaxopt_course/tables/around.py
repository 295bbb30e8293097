"""Columns that every registered recipe takes, for what stands around it.

    clip_norm    gradients are shrunk to this norm first, all leaves together
    ema_decay    evaluated is a mean of the weights with this decay, as torch and Keras keep it
    ema_half_life    the same by steps: β = 2^(-1/n), so that weights of n steps ago count half
    ema_half_life_epochs    the same by epochs, each n // batch_size steps of the row's own program

An empty cell means none: no bound, and a decay of 0, whose mean is the weights bit for bit.  They
enter only the programs of tables that have them.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

from jaxopt_course.base import Decay, chain
from jaxopt_course.transforms.averaging import ema_params
from jaxopt_course.transforms.clipping import clip_by_global_norm

AROUND = {  # what empty means
    "clip_norm": float(np.finfo(np.float32).max),
    "ema_decay": 0.0,
    "ema_half_life": 0.0,
    "ema_half_life_epochs": 0.0,
}
RANGES = {
    "clip_norm": "above 0",
    "ema_decay": "from 0 to below 1 (at 1 the mean is of the first weights alone)",
    "ema_half_life": "at least 0, in steps",
    "ema_half_life_epochs": "at least 0, in epochs",
}
MEANS = ("ema_decay", "ema_half_life", "ema_half_life_epochs")


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
    decays = [h[name] for name in MEANS if name in columns]
    while len(decays) > 1:  # all but one are 0
        a, b, *rest = decays
        longer = jnp.maximum(a.value, b.value), jnp.minimum(a.complement, b.complement)
        decays = [Decay(*longer), *rest]
    after = [ema_params(decays[0])] if decays else []
    return chain(*before, tx, *after) if before or after else tx


def check_around(trials: pd.DataFrame) -> None:
    """Refuse numbers out of range, which nobody can see once they are traced.

    Raises:
        ValueError: a decay outside [0, 1), a half-life below 0, a norm that is not above 0; or two
            of a decay and half-lives in one row.
    """
    there = [name for name in RANGES if name in trials and trials[name].dtype != "string"]
    for name in there:
        values = trials[name].astype("Float64")
        low = values <= 0 if name == "clip_norm" else values < 0
        wrong = (low | (values >= 1) if name == "ema_decay" else low).fillna(False)
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"column {name!r} has {values[row]} in row {row}; it must be {RANGES[name]}, or "
                "empty for none"
            )
    means = [name for name in MEANS if name in there]
    given = (trials[means].astype("Float64").fillna(0) > 0).to_numpy(bool)
    if len(means) > 1 and (both := given.sum(axis=1) > 1).any():
        row = int(both.argmax())
        names = " and an ".join(repr(name) for name, x in zip(means, given[row], strict=True) if x)
        raise ValueError(f"row {row} has an {names}; give one")
