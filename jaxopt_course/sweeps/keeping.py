"""The last states of the best configurations so far, on the host; all others are let go.

Which are the best is known at the end only, so memory is bounded by what could still be: the best
k configurations whose seeds are all over, and those some of whose seeds are not.  Where these are
too many, as in a table with the seed outermost, those that look worst are let go too; whoever
needs one of them in the end trains it again.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_course.sweeps.snapshot import Results, Waiting

Last = Callable[[int], float]  # row -> its score at its end, lower is better


class Best:
    """What :func:`~jaxopt_course.sweeps.engine.run` keeps.

    Args:
        count: k, how many configurations.
        configurations: (N,), the number of each row's configuration.
        room: how many states of configurations that are not over may wait.
    """

    def __init__(self, count: int, configurations: np.ndarray, room: int) -> None:
        self.states: dict[int, Any] = {}  # by row
        self.fresh: set[int] = set()  # rows that came since the last look, still on a device
        self._count, self._configurations = count, configurations
        order = np.argsort(configurations, kind="stable")
        starts = np.searchsorted(configurations[order], np.arange(configurations.max() + 2))
        self._rows = [order[a:b] for a, b in itertools.pairwise(starts)]
        self._most = max(len(rows) for rows in self._rows)
        self.room = max(room, 2 * count * self._most)

    def take(self, row: int, state: Any) -> None:
        """A trial has reached its end; whether it is among the best is not known yet."""
        self.states[row] = state
        self.fresh.add(row)

    def look(self, results: Results, last: Last) -> None:
        """Let go who cannot be among the best, and bring the others to the host."""
        read = {row for row in self.fresh if results.finished[row] or results.first_bad[row] >= 0}
        if not read:
            return
        self.fresh -= read
        over, climbing = [], []
        for who in {int(self._configurations[row]) for row in self.states}:
            rows = self._rows[who]
            ended = results.finished[rows]
            held = [row for row in rows.tolist() if row in self.states]
            known = [last(row) for row in rows[ended].tolist()]
            lost = int(ended.sum()) > sum(row not in self.fresh for row in held)
            if (results.first_bad[rows] >= 0).any() or lost or not np.isfinite(known).all():
                self._drop(held)
            elif ended.all():
                over.append((len(rows) < self._most, float(np.mean(known)), int(rows[0]), held))
            else:
                climbing.append((float(np.mean(known)) if known else np.inf, int(rows[0]), held))
        for *_, held in sorted(over)[self._count :]:
            self._drop(held)
        waiting = 0
        for *_, held in sorted(climbing):
            waiting += len(held)
            if waiting > self.room:
                self._drop([row for row in held if row not in self.fresh])
        for row in read & set(self.states):
            self.states[row] = jax.device_get(self.states[row])

    def _drop(self, rows: list[int]) -> None:
        for row in rows:
            del self.states[row]
            self.fresh.discard(row)


def stacked(
    states: Mapping[int, Any], structure: Any, reached: np.ndarray | None = None
) -> Waiting:
    """States by row as arrays of the host, in the order of rows.

    Args:
        states: on the host or a device.
        structure: of each.
        reached: (N,), intervals behind each; not told of states that are over.
    """
    rows = np.array(sorted(states), np.int64)
    parts = [structure.flatten_up_to(jax.device_get(states[row])) for row in rows.tolist()]
    leaves = [np.stack(column) for column in zip(*parts, strict=True)]
    progress = np.zeros(len(rows), np.int32) if reached is None else reached[rows]
    return Waiting(rows, progress, leaves)


def held(best: Best | None, structure: Any) -> Waiting | None:
    """What is held, for a snapshot; None where nothing is kept."""
    if best is None:
        return None
    return stacked({r: x for r, x in best.states.items() if r not in best.fresh}, structure)


def unstacked(waiting: Waiting, lanes: Any) -> dict[int, Any]:
    """The states that :func:`stacked` made arrays of, by row.

    Args:
        waiting: as it was stacked; files know bfloat16 by its bytes only.
        lanes: states of all lanes, for structure and dtypes.
    """
    rows, _, leaves = waiting
    like, structure = jax.tree.flatten(lanes)
    typed = [x.view(y.dtype) for x, y in zip(leaves, like, strict=bool(leaves))]
    return {
        row: jax.tree.unflatten(structure, [leaf[i] for leaf in typed])
        for i, row in enumerate(rows.tolist())
    }
