"""The package Ray, of a version that this is written for, and a cluster that answers."""

import importlib.util
import socket
from typing import Any

LEAST, BELOW = (2, 50), (3, 0)  # versions of Ray that this is written for
CALL_SECONDS = 10.0  # until a cluster's head must have taken a call


def imported(mixed: bool = False) -> Any:
    """The package.

    Args:
        mixed: whether programs must travel as JAX exports them, which needs flatbuffers too.

    Raises:
        ImportError: it is not there, or of another version.
    """
    wanted = "pip install 'jaxopt-course[ray]'"
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise  # it is there, and lacks something of its own
        raise ImportError(f"cluster=Ray(...) needs Ray: {wanted}") from error
    version = tuple(int(x) for x in ray.__version__.split(".")[:2])
    if not LEAST <= version < BELOW:
        raise ImportError(
            f"cluster=Ray(...) needs Ray 2.50 to 2.x, not {ray.__version__}: {wanted}"
        )
    if mixed and importlib.util.find_spec("flatbuffers") is None:
        raise ImportError(f"cluster=Ray(mixed=True) needs flatbuffers: {wanted}")
    return ray


def connect(ray: Any, address: str) -> None:
    """Connect to the cluster at an address.

    Raises:
        ConnectionError: nobody answers there.
        ValueError: a cluster of another version of Ray or Python does.
    """
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit() and "/" not in host:  # Ray itself tries for minutes
            with socket.create_connection((host.strip("[]"), int(port)), timeout=CALL_SECONDS):
                pass
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, OverflowError, RuntimeError, ValueError, AssertionError) as error:
        why = str(error).strip().splitlines()
        if why and why[0].startswith("Version mismatch"):  # of Ray or Python; Ray compares both
            said = " ".join(x.strip() for x in why)
            raise ValueError(f"the Ray cluster at {address!r} is another: {said}") from error
        raise ConnectionError(
            f"no Ray cluster answers at {address!r} ({why[0] if why else type(error).__name__}); "
            'start one on each machine ("ray start --head", "ray start --address=HOST:6379"), or '
            'take address="local"'
        ) from error
