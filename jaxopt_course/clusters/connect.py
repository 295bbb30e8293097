"""The package Ray, of a version that this is written for, and a cluster that answers."""

import socket
from typing import Any

LEAST, BELOW = (2, 50), (3, 0)  # versions of Ray that this is written for
CALL_SECONDS = 10.0  # until a cluster's head must have taken a call


def imported() -> Any:
    """The package.

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
    return ray


def connect(ray: Any, address: str) -> None:
    """Connect to the cluster at an address.

    Raises:
        ConnectionError: nobody answers there.
    """
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit() and "/" not in host:  # Ray itself tries for minutes
            with socket.create_connection((host.strip("[]"), int(port)), timeout=CALL_SECONDS):
                pass
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, OverflowError, RuntimeError, ValueError, AssertionError) as error:
        why = str(error).strip().splitlines()
        raise ConnectionError(
            f"no Ray cluster answers at {address!r} ({why[0] if why else type(error).__name__}); "
            'start one on each machine ("ray start --head", "ray start --address=HOST:6379"), or '
            'take address="local"'
        ) from error
