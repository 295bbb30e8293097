"""A table's columns as the arrays that programs take."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_course.base import Decay

# they enter recipes as b and as 1 - b
DECAYS = frozenset({"b1", "b2", "b3", "decay", "ema_decay", "rho", "beta", "adam_b1", "adam_b2"})

EPOCHS = "ema_half_life_epochs"  # which is in steps once it is here
HALF_LIVES = ("ema_half_life", EPOCHS)  # n steps, enter as the decay 2^(-1/n); 0 as the decay 0


def encode(columns: Mapping[str, np.ndarray], pairs: bool) -> dict[str, Any]:
    """A table's columns as the arrays that programs take, each number rounded once.

    Args:
        columns: float64, int64 or bool arrays of one length.
        pairs: whether decays (``DECAYS``) become pairs (b, 1 - b), each rounded from float64, as
            our recipes take them; 1 - b computed from a float32 b = 0.999 is off by 1.3e-5.  A
            user's own function gets plain scalars instead.
    """

    def one(name: str, x: np.ndarray) -> Any:
        if pairs and name in HALF_LIVES:
            rate = np.log(2) / np.where(x > 0, x, np.inf)
            some = x > 0
            value, rest = np.where(some, np.exp(-rate), 0.0), np.where(some, -np.expm1(-rate), 1.0)
            return Decay(value.astype(np.float32), rest.astype(np.float32))
        if pairs and name in DECAYS:
            return Decay(x.astype(np.float32), (1.0 - x).astype(np.float32))
        narrow = {"f": np.float32, "i": np.int32, "u": np.int32}
        return x.astype(narrow.get(x.dtype.kind, x.dtype))

    return {name: one(name, np.asarray(x)) for name, x in columns.items()}
