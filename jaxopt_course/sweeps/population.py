"""Rows whose numbers change on the way: a population that copies, and a course that is known.

A row's hyperparameters are those of its generation.  A generation ends at a rung that all rows of
a population reach; then, in the order of rows, the worst take over the state of one of the best and
train on with numbers near to its own.  All is decided by scores, rows and ``seed``, never by who
was there first, so a resumed sweep decides again what it had decided.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxopt_course.sweeps.climb import Climb, News, Score
from jaxopt_course.sweeps.program import Table

SHARES = frozenset(  # decays of all recipes, and of a mean of the weights: 1 - b is what is scaled
    {"b1", "b2", "b3", "adam_b1", "adam_b2", "beta", "dampening", "decay", "rho", "momentum"}
    | {"ema_decay"}
)


class Move(NamedTuple):
    """A row that took over another's state."""

    row: int
    rung: int  # in intervals
    parent: int  # a row
    numbers: dict[str, float]  # with which it trains on


class Rules(NamedTuple):
    """What :class:`~jaxopt_course.sweeps.schedulers.PBT` says, as the engine needs it."""

    every: int  # intervals
    columns: tuple[str, ...]
    seed: int
    fraction: float
    factors: tuple[float, ...]


class Generations:
    """How far the rows of a table train, and who copies whom; takes the place of a ``Climb``.

    Args:
        rules: of the scheduler.
        intervals: of a whole trial.
        table: of the engine; rows that share ``together`` are one population.
        names: (N,), the numbers of the rows in the study, from which draws are made.
        numbers: the columns of the rules, (N,), float64 or int64; NaN where a row has none.
        encode: from such columns to the table's hyperparameters.
    """

    def __init__(
        self,
        rules: Rules,
        intervals: int,
        table: Table,
        names: np.ndarray,
        numbers: Mapping[str, np.ndarray],
        encode: Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]],
    ) -> None:
        self.until = np.full(len(names), min(rules.every, intervals), np.int32)
        self.order = np.arange(len(names))
        self.moves: list[Move] = []
        self._rules, self._intervals, self._names, self._encode = rules, intervals, names, encode
        self._table, self._numbers = table, {name: x.copy() for name, x in numbers.items()}
        self._rows = [np.flatnonzero(table.together == one) for one in np.unique(table.together)]
        self._group = np.searchsorted(np.unique(table.together), table.together)
        self._heard: set[tuple[int, int]] = set()

    def arrive(self, row: int, progress: np.ndarray, bad: np.ndarray, score: Score) -> News:
        """What is decided now that ``row`` has reached its rung, or has diverged."""
        group = int(self._group[row])
        rows, rung = self._rows[group], int(self.until[row])
        lost = bad[rows] & (progress[rows] <= rung)  # a resumed sweep knows of later ones too
        under_way = ((progress[rows] < rung) & ~lost).any()
        if under_way or rung >= self._intervals or (group, rung) in self._heard:
            return News([], [])
        self._heard.add((group, rung))
        alive = rows[~lost]
        moves = self._choose(alive.tolist(), rung, score)
        self.until[rows] = min(rung + self._rules.every, self._intervals)
        copies = {move.row: move.parent for move in moves}
        if moves:
            self.moves += moves
            for move in moves:
                for name, value in move.numbers.items():
                    self._numbers[name][move.row] = value
            self._table = self._table._replace(hyperparameters=self._encode(self._numbers))
        return News(alive.tolist(), [], copies, self._table)

    def _choose(self, rows: list[int], rung: int, score: Score) -> list[Move]:
        """The worst of a population and whom they copy, in the order of rows."""
        last = {row: float(score(row, rung)[-1]) for row in rows}
        ranked = sorted((x if math.isfinite(x) else math.inf, row) for row, x in last.items())
        few = max(1, int(self._rules.fraction * len(rows) + 1e-9))
        if len(rows) < 2 or ranked[0][0] == math.inf:
            return []
        best, worst = [row for _, row in ranked[:few]], [row for _, row in ranked[-few:]]
        return [self._move(row, rung, best) for row in sorted(worst)]

    def _move(self, row: int, rung: int, best: Sequence[int]) -> Move:
        rules, name = self._rules, int(self._names[row])
        entropy = np.random.SeedSequence([rules.seed, rung // rules.every, name])
        words = entropy.generate_state(1 + len(rules.columns)).tolist()
        parent = best[words[0] % len(best)]
        numbers = {
            column: perturbed(
                column, self._numbers[column][parent], rules.factors[word % len(rules.factors)]
            )
            for column, word in zip(rules.columns, words[1:], strict=True)
            if np.isfinite(self._numbers[column][parent])
        }
        return Move(row, rung, parent, numbers)


def perturbed(column: str, value: Any, factor: float) -> Any:
    """A number near another: its multiple, of a decay b in [0, 1] that of 1 - b.

    >>> perturbed("learning_rate", 0.5, 1.2), perturbed("b1", 0.75, 2.0), perturbed("k", 3, 0.8)
    (0.6, 0.5, 2)
    """
    if isinstance(value, int | np.integer):
        return max(1, round(int(value) * factor)) if value > 0 else int(value)
    if column in SHARES and 0 <= value <= 1:
        return float(1.0 - min(1.0, (1.0 - value) * factor))
    return float(value * factor)


class Course:
    """Rows that change their numbers and seeds at known rungs; takes the place of a ``Climb``.

    Args:
        tables: by the interval from which each holds, the first from 0; all of the same N rows.
        last: (N,), intervals to train.
    """

    def __init__(self, tables: Mapping[int, Table], last: np.ndarray) -> None:
        self._rungs, self._tables = sorted(tables), tables
        self._last, self.order = np.asarray(last, np.int32), np.arange(len(last))
        self._table = self.begin = tables[0]  # with which the rows begin
        self.until = np.minimum(self._last, self._next(0))

    def _next(self, rung: int) -> int:
        return min((one for one in self._rungs if one > rung), default=int(self._last.max()))

    def arrive(self, row: int, progress: np.ndarray, bad: np.ndarray, score: Score) -> News:
        """The row's next numbers, now that it has come to the rung from which they hold."""
        rung = int(self.until[row])
        if bad[row] or rung >= self._last[row] or progress[row] < rung:
            return News([], [])
        self.until[row] = min(int(self._last[row]), self._next(rung))
        self._table = with_row(self._table, self._tables[rung], row)
        return News([row], [], {}, self._table)


AnyClimb = Climb | Generations | Course


def with_row(table: Table, other: Table, row: int) -> Table:
    """``table`` with one row of another."""

    def one(x: Any, y: Any) -> Any:
        if isinstance(x, tuple):  # a pair
            return type(x)(*map(one, x, y))
        new = np.array(x, copy=True)
        new[row] = y[row]
        return new

    numbers = {n: one(x, other.hyperparameters[n]) for n, x in table.hyperparameters.items()}
    return table._replace(hyperparameters=numbers, seeds=one(table.seeds, other.seeds))
