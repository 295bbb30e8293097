"""The place of a device in a cluster, and the actor that has it."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from jaxopt_course.sweeps.messages import Answer, Lost, Work


class Slot:
    """The place of a device of a node.

    Args:
        name: in words.
        gpu: whether it takes a GPU.
        node: its number in Ray.
    """

    def __init__(self, name: str, gpu: bool, node: str) -> None:
        self.name, self.gpu, self.node = name, gpu, node
        self.actor: Any = None
        self.coming: Any = None  # facts, or that the program is loaded
        self.checked = self.loaded = False
        self.deaths, self.why = 0, ""
        self.facts: dict[str, Any] = {}  # for the manifest, where nodes may be unlike
        self.alike, self.platform = True, ""


class RayWorker:
    """See ``sweeps.messages.Worker``."""

    def __init__(self, ray: Any, slot: Slot, died: Any) -> None:
        self.name, self.calls = slot.name, deque[Any]()
        self.facts: Mapping[str, Any] = slot.facts
        self._ray, self._slot, self._actor, self._died = ray, slot, slot.actor, died

    def send(self, work: Work) -> None:
        """See ``Worker``."""
        self.calls.append(self._actor.work.remote(work))

    def answered(self) -> bool:
        """See ``Worker``."""
        ready, _ = self._ray.wait([self.calls[0]], timeout=0)
        return bool(ready)

    def answer(self) -> Answer:
        """See ``Worker``.

        Raises:
            Lost: the actor or its node is dead.
            RuntimeError: the device could not do it, as for want of memory.
        """
        try:
            found: Answer = self._ray.get(self.calls.popleft())
        except self._ray.exceptions.RayTaskError as error:
            raise RuntimeError(f"the node {self.name}: {error.cause or error}") from error
        except self._ray.exceptions.RayError as error:
            if self._slot.actor is self._actor:
                self._died(self._slot, error)
            raise Lost(type(error).__name__) from error
        return found
