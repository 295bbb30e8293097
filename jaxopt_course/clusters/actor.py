"""What runs in a process of a node: one device's lanes, and what it says of itself.

JAX starts when the first message comes, as the sweep's process has it.
"""

import functools
import hashlib
import os
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent
KINDS = ("jax", "jaxlib", "devices", "instructions")  # what ``mixed=True`` lets differ


class Actor:
    """A device of a node.

    Args:
        environment: variables that must be there before JAX is.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        os.environ.update(environment)
        self._executor: Any = None

    def facts(self) -> dict[str, Any]:
        """See :func:`facts_of`; of the first device, with its platform."""
        import jax

        from jaxopt_course.sweeps.executor import Executor

        device = jax.local_devices()[0]
        self._executor = Executor(device)
        return facts_of(device) | {"platform": device.platform}

    def load(self, code: Any, data: Any, alike: bool) -> None:
        """See ``Executor``."""
        self._executor.load(code, data, alike)

    def work(self, work: Any) -> Any:
        """See ``Executor``."""
        return self._executor.work(work)


def facts_of(device: Any) -> dict[str, Any]:
    """All that must be the same for the same bits: code, compiler, device, instructions."""
    from jaxopt_course.records.programs import instructions

    return {
        "ray": metadata.version("ray"),
        "jaxopt_course": f"{metadata.version('jaxopt-course')} ({source_sha256()[:12]})",
        "jax": metadata.version("jax"),
        "jaxlib": metadata.version("jaxlib"),
        "devices": f"{device.platform} ({device.device_kind})",
        "instructions": instructions() if device.platform == "cpu" else "",
    }


def environment_of(platform: str) -> dict[str, str]:
    """Variables with which another process compiles for and computes on such a device likewise."""
    found = {"JAX_PLATFORMS": {"gpu": "cuda"}.get(platform, platform)}
    if platform == "cpu":  # the threads of a product decide how its sums are cut
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        found["NPROC"] = os.environ.get("NPROC", str(cores))
    if "XLA_FLAGS" in os.environ:
        found["XLA_FLAGS"] = os.environ["XLA_FLAGS"]
    return found


@functools.cache
def source_sha256() -> str:
    """Of the package's code."""
    whole = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        whole.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()
