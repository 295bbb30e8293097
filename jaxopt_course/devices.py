"""Each CPU core as a device of its own."""

import os

import jax
import numpy as np


def use_cpu_cores(n: int | None = None) -> int:
    """Make ``n`` CPU cores devices, so that a sweep gives each of them lanes of its own.

    Two devices of one core are twice as fast as one device over two cores on networks of the size
    that sweeps train.  Call it before anything touches an array.

    Args:
        n: devices; default the cores that this process may use.

    Returns:
        the number of CPU devices.

    Raises:
        ValueError: n < 1.
        RuntimeError: JAX has started with another number of devices already.
    """
    if n is None:
        mine = hasattr(os, "sched_getaffinity")  # Linux; elsewhere all cores
        n = len(os.sched_getaffinity(0)) if mine else os.cpu_count() or 1
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n must be a whole number of at least 1, not {n!r}")
    n = int(n)
    try:
        jax.config.update("jax_num_cpu_devices", n)
    except RuntimeError:
        have = len(jax.devices("cpu"))
        if have == n:
            return n
        raise RuntimeError(
            f"JAX has started already, with {have} CPU device(s); call use_cpu_cores({n}) before "
            "the first array is made or device is asked for"
        ) from None
    return n
