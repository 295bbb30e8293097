"""What the state of a lane takes, and how many lanes there are when nobody says."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.sweeps.lanes import Data, Trial


def lane_bytes(trial: Trial, hyperparameters: Mapping[str, Any], data: Data) -> int:
    """Bytes of the state of one lane: parameters, optimizer, model.

    Traces a step as well, so that whatever does not trace says so before anything compiles.

    Raises:
        ValueError: a step changes the structure, a shape or a dtype of the state, or the state
            holds PRNG keys.
    """
    seed = jax.ShapeDtypeStruct((), jnp.uint32)
    state = jax.eval_shape(trial.init, hyperparameters, seed)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise ValueError(
                f"the state{jax.tree_util.keystr(path)} is a PRNG key; use the key that the loss "
                "gets at each step, so that a trial is a function of its seed and step"
            )
    after, *_ = jax.eval_shape(trial.step, hyperparameters, state, seed, data)
    if after != state:
        raise ValueError(f"a step changes the state from {state} to {after}")
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(state))


def default_lanes(bytes_per_lane: int, platform: str) -> int:
    """W when nobody says: a function of a lane's bytes and of the backend, of nothing else.

        cpu          the largest power of two in [4, 32] whose states fit into 2 MiB, a core's cache
        gpu, tpu     the largest power of two in [16, 256] whose states fit into 1 GiB

    On two cores and the design's networks 8 to 16 lanes are fastest; with states beyond the cache
    the same program is 1.4 times slower.
    """
    low, high, budget = (4, 32, 2 << 20) if platform == "cpu" else (16, 256, 1 << 30)
    fit = max(1, budget // max(1, bytes_per_lane))
    return min(high, max(low, 1 << (fit.bit_length() - 1)))
