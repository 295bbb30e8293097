"""What the compiler is told, so that a program gives the same bits in every process.

On GPUs sums by atomic additions, and kernels that a timing chooses anew in each process, would give
others; and products of float32 matrices are rounded to fewer bits there (TF32, on TPUs bfloat16)
unless they are asked for in full.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

# of LLVM, for the segment and for "seat": beyond 1 a segment takes up to twice as long to compile
# and runs no faster; "seat" runs once a trial, which at 0 takes 0.14 s for a million weights
CPU_EFFORT = ({"xla_backend_optimization_level": 1}, {"xla_backend_optimization_level": 0})
# kernels one after another: to hand each to another thread costs more than small ones take
CPU_ORDER: dict[str, Any] = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
LARGE_STATE = 2**20  # bytes of a lane from which "seat" has the segment's effort: 0.2 s, once
GPU_REPEATS = {"xla_gpu_deterministic_ops": True, "xla_gpu_autotune_level": 0}


@contextmanager
def bad_numbers_are_results() -> Iterator[None]:
    """What ``jax_debug_nans`` and ``jax_debug_infs`` stop at is data here.

    A trial that diverges is a result among others, and a best that is not there yet is NaN.
    """
    with jax.debug_nans(False), jax.debug_infs(False):
        yield


def precision(platform: str) -> str | None:
    """Of matrix products of float32: what JAX was told, else "highest"; None on CPU, as it is."""
    told: str | None = jax.config.values["jax_default_matmul_precision"]
    return told if platform == "cpu" else told or "highest"


def facts(device: Any) -> dict[str, Any]:
    """What a manifest says of a device; on CPU, which has one precision, not of precision."""
    found = {"backend": device.platform, "device_kind": device.device_kind}
    told = {"matmul_precision": precision(device.platform)}
    return found if device.platform == "cpu" else found | told
