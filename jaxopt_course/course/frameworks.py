"""What lessons need to train networks of Keras beside ours, where Keras is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def in_float64(keras: Any) -> Iterator[None]:
    """Keras, on JAX, and JAX itself in float64; afterwards as they were.

    Args:
        keras: the module, which is no dependency of this package.
    """
    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    with jax.enable_x64(True):
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        try:
            yield
        finally:
            keras.config.set_floatx(before)
            keras.config.set_dtype_policy(policy)
