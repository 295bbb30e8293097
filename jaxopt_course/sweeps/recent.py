"""The executables of the last programs: a table swept again, or a longer one, compiles nothing."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MOST = 16  # programs; of a small network some 8 MB, and a sweep has two, "seat" and the segment


class Recent:
    """What was made last, by name; the least recently used go first.

    Args:
        most: how many stay.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock = most, threading.Lock()
        self._made: OrderedDict[Hashable, tuple[Any, ...]] = OrderedDict()

    def get(self, name: Hashable) -> tuple[Any, ...] | None:
        """What was put under this name, where it is still there."""
        with self._lock:
            if name in self._made:
                self._made.move_to_end(name)
            return self._made.get(name)

    def put(self, name: Hashable, made: tuple[Any, ...]) -> None:
        """Let it stay for a while."""
        with self._lock:
            self._made[name] = made
            while len(self._made) > self._most:
                self._made.popitem(last=False)


@functools.cache
def of_process() -> Recent:
    """Those of this process, as JAX has for functions that it has seen."""
    return Recent()
