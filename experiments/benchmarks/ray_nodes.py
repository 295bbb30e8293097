"""Nodes of a Ray cluster on this machine, for the scripts beside this one."""

from typing import Any

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def head() -> Any:
    """A cluster of a head that has no device; its nodes start without the dashboard's agents.

    A raylet waits 15 seconds for these to start, which a busy machine exceeds, and then dies.
    """
    import ray
    from ray.cluster_utils import Cluster

    ray._private.utils.get_dashboard_dependency_error = lambda: ImportError("not wanted here")
    asked = NODE | {"num_cpus": 0, "include_dashboard": False}
    return Cluster(initialize_head=True, head_node_args=asked)
