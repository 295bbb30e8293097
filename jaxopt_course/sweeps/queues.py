"""Trials that wait for a lane, by who may share a call with whom."""

import math
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable

import numpy as np

Key = tuple[int, ...]  # of trials that may share a call


def groups(keys: Iterable[Key], width: int) -> int:
    """How many groups of ``width`` lanes seat trials of these keys, all at once."""
    return sum(math.ceil(count / width) for count in Counter(keys).values())


class Queues:
    """A queue for each key.

    Args:
        key: of a row, as it is now.
    """

    def __init__(self, key: Callable[[int], Key]) -> None:
        self._key, self._queues = key, dict[Key, deque[int]]()

    @property
    def empty(self) -> bool:
        """Whether nobody waits."""
        return not any(self._queues.values())

    def of(self, row: int) -> deque[int]:
        """The one that a row belongs in."""
        return self._queues.setdefault(self._key(row), deque())

    def waiting(self, key: Key | None) -> int:
        """How many wait for this key."""
        return 0 if key is None else len(self._queues.get(key, ()))

    def first(self, key: Key) -> int:
        """The row that waits longest."""
        return self._queues[key][0]

    def next(self, key: Key | None, is_good: np.ndarray) -> int | None:
        """Take the first good row out, and those before it."""
        queue = self._queues.get(key, deque[int]()) if key is not None else deque[int]()
        while queue:
            row = queue.popleft()
            if is_good[row]:
                return row
        return None

    def longest(self, served: Collection[Key | None]) -> Key | None:
        """The longest queue, those that are not served first."""
        waiting = [key for key, queue in self._queues.items() if queue]
        return max(waiting, key=lambda k: (k not in served, self.waiting(k)), default=None)
