"""Training on the devices of other processes: what a session sends there."""

import contextlib
import dataclasses
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from jaxopt_course.problems.streams import Stream
from jaxopt_course.studies.session import Session
from jaxopt_course.sweeps.messages import Workers
from jaxopt_course.tables.buckets import Table


class Cluster(Protocol):
    """What ``sweep(cluster=...)`` takes."""

    def opened(self, device: Any) -> AbstractContextManager[Workers]:
        """Its devices, which must be of this one's kind, for as long as the context lasts.

        Raises:
            ImportError, ConnectionError, ValueError: there are none; the message says why.
        """


def check_cluster(cluster: Any, devices: Any, table: Table, mesh: Any = None) -> None:
    """Refuse what is no cluster, and what cannot be trained there.

    Raises:
        TypeError: it is none.
        ValueError: ``devices`` or a mesh are given too; or a task is a stream, whose batches this
            process reads.
    """
    if cluster is None:
        return
    if isinstance(cluster, type) or not hasattr(cluster, "opened"):
        raise TypeError(f'cluster must be one such as joc.Ray(address="auto"), not {cluster!r}')
    if devices is not None:
        raise ValueError(
            "give either cluster= or devices=, not both: the devices are those of its nodes"
        )
    if mesh is not None:
        raise ValueError("give either cluster= or mesh=, not both: a mesh is of this machine")
    for bucket in table.buckets:
        if isinstance(bucket.task.train, Stream):
            raise ValueError(
                f"the task {bucket.task.name!r} is a stream, whose batches the sweep's own process "
                "reads: cluster= trains tasks whose data are arrays"
            )


@contextlib.contextmanager
def connected(session: Session) -> Iterator[Session]:
    """The session with the devices of its cluster, if it has one."""
    if session.cluster is None:
        yield session
        return
    with session.cluster.opened(session.devices[0]) as workers:
        yield dataclasses.replace(session, workers=workers)
