"""What lessons need to train beside PyTorch and Keras, where these are installed."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax


def frameworks() -> tuple[Any, Any]:
    """The modules torch and keras, this on JAX; None what is not installed.  Says which are."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    found: list[Any] = []
    for name, module in (("PyTorch", "torch"), ("Keras", "keras")):
        try:
            found.append(importlib.import_module(module))
            print(f"{name} {found[-1].__version__}, en vivo")
        except ImportError:
            found.append(None)
            print(f"{name} no está instalado")
    return found[0], found[1]


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
