"""The judges of a study: who is promoted from rung to rung, whatever the order of arrivals.

A judge hears of configurations as they arrive and decides in a *virtual order* (rung, place), so
that decisions are a function of the study and not of timing.  Nothing here knows of training.
"""

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np


class Judge(Protocol):
    """Decides for one study; configurations are numbered from 0 in the order of the table."""

    @property
    def first(self) -> Sequence[int]:
        """Up to which interval each configuration trains before it is first judged."""

    @property
    def order(self) -> Sequence[int]:
        """The order in which configurations should start; nothing but waiting depends on it."""

    def hear(self, who: int, rung: int, curve: np.ndarray) -> Mapping[int, int]:
        """Who trains on after this news, and up to which interval; 0 who never will.

        The state of a trial that never will is forgotten, that of any other waits.

        Args:
            who: the configuration that has arrived.
            rung: where, in intervals.
            curve: (rung,), float64, its mean scores so far; lower is better, infinity if diverged.
        """


class Halvings:
    """Brackets of configurations, each with a ladder of its own."""

    def __init__(self, eta: float, brackets: Sequence[tuple[list[int], list[int]]]) -> None:
        self._bracket = {
            who: bracket
            for members, rungs in brackets
            for bracket in [_Bracket(eta, rungs, len(members))]
            for who in members
        }
        self.first = [self._bracket[who].rungs[0] for who in sorted(self._bracket)]
        self.order = sorted(self._bracket, key=lambda who: -self.first[who])  # the longest first

    @property
    def compares(self) -> bool:
        """Whether a bracket with a rung before the last one has two configurations."""
        return any(len(one.rungs) > 1 and one.size > 1 for one in self._bracket.values())

    def hear(self, who: int, rung: int, curve: np.ndarray) -> Mapping[int, int]:
        """See :class:`Judge`."""
        return self._bracket[who].hear(who, rung, float(curve[-1]))


class _Bracket:
    """One halving.  Who is in the best 1/η whatever the missing ones bring is promoted at once.

    So lanes are not idle while a rung waits for its last ones, and the choice is the same.
    """

    def __init__(self, eta: float, rungs: list[int], size: int) -> None:
        self.eta, self.rungs, self.size = eta, rungs, size
        self._sizes = {0: size}  # how many come to a rung, once that is known
        self._ranked: list[list[tuple[float, int]]] = [[] for _ in rungs]
        self._promoted: list[set[int]] = [set() for _ in rungs]

    def hear(self, who: int, rung: int, score: float) -> dict[int, int]:
        """See :class:`Judge`."""
        heard = self.rungs.index(rung)
        mine = (_finite_or_worst(score), who)
        bisect.insort(self._ranked[heard], mine)
        news: dict[int, int] = {}
        for level in range(heard, len(self.rungs) - 1):
            if level not in self._sizes:
                break
            ranked, promoted = self._ranked[level], self._promoted[level]
            best = max(1, _share(self._sizes[level], self.eta))
            out = ranked[best:] if level > heard else _pushed_out(ranked, best, mine)
            news |= {one: 0 for _, one in out}
            missing = self._sizes[level] - len(ranked)
            for value, one in ranked[: max(0, best - missing)]:
                if one not in promoted and value < math.inf:
                    promoted.add(one)
                    news[one] = self.rungs[level + 1]
            if missing == 0:
                self._sizes[level + 1] = len(promoted)
        return news


class Asha:
    """At each rung a line: who arrives is judged when all before it in the line have been.

    The choice is that of one worker that always serves the highest rung first.  Where the lines end
    and nobody was promoted from the highest rung reached, its best goes on, so that one finishes.
    """

    def __init__(self, eta: float, rungs: list[int], order: list[int]) -> None:
        self.eta, self.rungs, self.order = eta, rungs, order
        self.first = [rungs[0]] * len(order)
        self._lines = [order, *([] for _ in rungs[1:])]
        self._arrived: list[dict[int, float]] = [{} for _ in rungs]
        self._ranked: list[list[tuple[float, int]]] = [[] for _ in rungs]  # (score, place), judged
        self._promoted: list[set[int]] = [set() for _ in rungs]

    def hear(self, who: int, rung: int, curve: np.ndarray) -> Mapping[int, int]:
        """See :class:`Judge`."""
        level = self.rungs.index(rung)
        self._arrived[level][who] = _finite_or_worst(float(curve[-1]))
        news: dict[int, int] = {}
        if level + 1 == len(self.rungs):
            return news
        line, arrived, promoted = self._lines[level], self._arrived[level], self._promoted[level]
        ranked = self._ranked[level]
        while len(ranked) < len(line) and line[len(ranked)] in arrived:
            place = len(ranked)
            mine = (arrived[line[place]], place)
            bisect.insort(ranked, mine)
            if level == 0:  # how many come to a higher rung, nobody knows
                out = _pushed_out(ranked, max(1, _share(len(line), self.eta)), mine)
                news |= {line[place]: 0 for _, place in out if line[place] not in promoted}
            best = _share(len(ranked), self.eta)
            if best == 0:
                continue
            last = ranked[best - 1]
            for one in sorted({min(mine, last), last}):  # no other is new among the best
                self._promote(level, one, news)
        self._let_one_finish(news)
        return news

    def _promote(self, level: int, one: tuple[float, int], news: dict[int, int]) -> None:
        score, place = one
        who = self._lines[level][place]
        if who not in self._promoted[level] and score < math.inf:
            self._promoted[level].add(who)
            self._lines[level + 1].append(who)
            news[who] = self.rungs[level + 1]

    def _let_one_finish(self, news: dict[int, int]) -> None:
        """Promote the best of the first rung from which nobody goes on, once its line has ended."""
        for level in range(len(self.rungs) - 1):
            ranked = self._ranked[level]
            if not ranked or len(ranked) < len(self._lines[level]):
                return  # somebody is still to come
            if not self._promoted[level]:
                self._promote(level, ranked[0], news)
                return


class Median:
    """At each rung in the order of places, those that stopped before left out."""

    def __init__(self, rungs: list[int], order: list[int], least: int) -> None:
        self.rungs, self.order, self.least = rungs, order, least
        self.first = [rungs[0]] * len(order)
        self._next = [0 for _ in rungs]
        self._curves: list[dict[int, np.ndarray]] = [{} for _ in rungs]
        self._means: list[list[float]] = [[] for _ in rungs]  # of those judged, sorted
        self._stopped: set[int] = set()

    def hear(self, who: int, rung: int, curve: np.ndarray) -> Mapping[int, int]:
        """See :class:`Judge`."""
        self._curves[self.rungs.index(rung)][who] = curve
        news: dict[int, int] = {}
        for level, at in enumerate(self.rungs[:-1]):
            curves, means = self._curves[level], self._means[level]
            while self._next[level] < len(self.order):
                one = self.order[self._next[level]]
                if one in curves:
                    if self._goes_on(curves[one], means):
                        news[one] = self.rungs[level + 1]
                    else:
                        self._stopped.add(one)
                        news[one] = 0
                    bisect.insort(means, _finite_or_worst(float(np.mean(curves[one][:at]))))
                elif one not in self._stopped:
                    break
                self._next[level] += 1
        return news

    def _goes_on(self, curve: np.ndarray, means: Sequence[float]) -> bool:
        if not math.isfinite(curve[-1]):
            return False
        best, half = min(map(_finite_or_worst, curve.tolist())), len(means) // 2
        if len(means) < self.least:
            return True
        return best <= (means[half] + means[-1 - half]) / 2


def _pushed_out(
    ranked: Sequence[tuple[float, int]], best: int, mine: tuple[float, int]
) -> Sequence[tuple[float, int]]:
    """Who is no longer among the ``best`` since ``mine`` has come; whoever comes, they stay out."""
    return [max(mine, ranked[best])] if len(ranked) > best else []


def _share(count: int, eta: float) -> int:
    """How many are the best 1/η of so many, rounded down."""
    return int(count / eta + 1e-9)


def _finite_or_worst(score: float) -> float:
    """A score; infinity where it is not finite, be it NaN or infinitely good."""
    return score if math.isfinite(score) else math.inf
