"""Who trains on: successive halving, Hyperband, ASHA, median stopping.

A *rung* is a number of steps after which configurations are compared; who is not promoted stops
there.  The unit is the configuration: its seeds climb together and are judged by their mean, and a
diverged seed is never promoted.  Each scheduler makes a judge, which hears of the configurations in
whatever order they arrive and decides in a *virtual order* (rung, place), so that decisions are a
function of the study and not of timing.

    successive halving   the best 1/η of a rung, once all are there   Jamieson, Talwalkar (2016)
    Hyperband            halvings that start at different rungs       Li et al. (2018)
    ASHA                 the best 1/η of those that came before       Li et al. (2020)
    median stopping      not worse than the median of those before    Golovin et al. (2017), 3.2.1
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


class Judge(Protocol):
    """Decides for one study; configurations are numbered from 0 in the order of the table."""

    @property
    def first(self) -> Sequence[int]:
        """Up to which interval each configuration trains before it is first judged."""

    def hear(self, who: int, rung: int, curve: np.ndarray) -> Mapping[int, int]:
        """Who trains on after this news, and up to which interval.

        Args:
            who: the configuration that has arrived.
            rung: where, in intervals.
            curve: (rung,), float64, its mean scores so far; lower is better, infinity if diverged.
        """


class Scheduler(Protocol):
    """What ``sweep(scheduler=...)`` takes."""

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """A judge for trials of ``intervals`` evaluations, ``evaluate_every`` steps apart.

        Raises:
            ValueError: the rungs do not fit the budget.
        """


@dataclass(frozen=True)
class SuccessiveHalving:
    """All train to the first rung, the best 1/η to the next one, η times higher, and so on.

    Attributes:
        eta: η >= 2, the share that is left behind is 1 - 1/η; the budget of a rung is η times that
            of the one before.
        min_steps: steps of the first rung; default as many rungs as the budget and the number of
            configurations allow.  Rungs are rounded up to evaluations.
    """

    eta: float = 3.0
    min_steps: int | None = None

    def __post_init__(self) -> None:
        _check(self.eta, self.min_steps)

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See :class:`Scheduler`."""
        rungs = _ladder(self.eta, self.min_steps, intervals, evaluate_every)
        if self.min_steps is None:  # where one would be left, there is nothing to compare
            rungs = rungs[-1 - math.floor(math.log(max(1, configurations), self.eta) + 1e-9) :]
        return _Halving(self.eta, [(list(range(configurations)), rungs)])


@dataclass(frozen=True)
class Hyperband:
    """Halvings side by side, from many configurations on a short first rung to few on a long one.

    For when nobody knows whether a short training tells anything of a long one.

    Attributes:
        eta: η >= 2, as of :class:`SuccessiveHalving`.
        min_steps: the shortest first rung; default one evaluation.
    """

    eta: float = 3.0
    min_steps: int | None = None

    def __post_init__(self) -> None:
        _check(self.eta, self.min_steps)

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See :class:`Scheduler`; brackets are dealt by a fixed shuffle, for grids are sorted."""
        rungs = _ladder(self.eta, self.min_steps, intervals, evaluate_every)
        top = len(rungs) - 1
        shares = np.array([(top + 1) / (s + 1) * self.eta**s for s in range(top, -1, -1)])
        ends = np.round(configurations * np.cumsum(shares) / shares.sum()).astype(int)
        dealt = np.random.default_rng(0).permutation(configurations)
        brackets = [
            (sorted(map(int, dealt[begin:end])), rungs[i:])
            for i, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True))
        ]
        return _Halving(self.eta, brackets)


@dataclass(frozen=True)
class ASHA:
    """Halving without waiting: promoted is who is in the best 1/η of those that came before.

    More are promoted than by :class:`SuccessiveHalving`, and nobody waits for the last one.

    Attributes:
        eta: η >= 2, as of :class:`SuccessiveHalving`.
        min_steps: steps of the first rung; default one evaluation.
    """

    eta: float = 3.0
    min_steps: int | None = None

    def __post_init__(self) -> None:
        _check(self.eta, self.min_steps)

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See :class:`Scheduler`."""
        rungs = _ladder(self.eta, self.min_steps, intervals, evaluate_every)
        return _Asha(self.eta, rungs, configurations)


@dataclass(frozen=True)
class MedianStopping:
    """Stop where the best score so far is worse than the median of the others' running means.

    Attributes:
        min_steps: nobody is judged before; default a tenth of the budget.
        every: steps between judgements; default as ``min_steps``.
        min_configurations: so many must have come before.
    """

    min_steps: int | None = None
    every: int | None = None
    min_configurations: int = 5

    def __post_init__(self) -> None:
        _check(2.0, self.min_steps)
        _check(2.0, self.every)

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See :class:`Scheduler`."""
        first = _in_intervals(self.min_steps, evaluate_every, max(1, intervals // 10))
        every = _in_intervals(self.every, evaluate_every, first)
        _check_fits(self.min_steps, first, intervals, evaluate_every)
        rungs = [*range(first, intervals, every), intervals]
        return _Median(rungs, configurations, self.min_configurations)


SCHEDULERS: dict[str, type[SuccessiveHalving | Hyperband | ASHA | MedianStopping]] = {
    one.__name__: one for one in (SuccessiveHalving, Hyperband, ASHA, MedianStopping)
}


def _check(eta: Any, steps: Any) -> None:
    if not isinstance(eta, int | float) or not 2 <= eta < math.inf:
        raise ValueError(f"eta must be a number of at least 2, not {eta!r}: 1/eta of a rung go on")
    whole = isinstance(steps, int | np.integer) and not isinstance(steps, bool)
    if steps is not None and (not whole or steps < 1):
        raise ValueError(f"steps of a rung must be a whole number of at least 1, not {steps!r}")


def _in_intervals(steps: int | None, evaluate_every: int, default: int) -> int:
    return default if steps is None else math.ceil(steps / evaluate_every)


def _check_fits(steps: int | None, first: int, intervals: int, evaluate_every: int) -> None:
    if first > intervals:
        raise ValueError(
            f"the first rung, {steps} steps, lies beyond the budget of at most "
            f"{intervals * evaluate_every}; choose a smaller min_steps or a longer budget"
        )


def _ladder(eta: float, steps: int | None, intervals: int, evaluate_every: int) -> list[int]:
    """The rungs, in intervals: the budget, divided by η again and again down to the first."""
    first = _in_intervals(steps, evaluate_every, 1)
    _check_fits(steps, first, intervals, evaluate_every)
    count = math.floor(math.log(intervals / first, eta) + 1e-9)
    rungs = {math.ceil(intervals / eta**k - 1e-9) for k in range(count + 1)}
    return sorted(rungs | ({first} if steps is not None else set()))


@dataclass
class _Halving:
    """Brackets of configurations, each with a ladder of its own."""

    eta: float
    brackets: list[tuple[list[int], list[int]]]
    first: list[int] = field(init=False)
    scores: dict[int, dict[int, float]] = field(init=False, default_factory=dict)  # bracket -> ...

    def __post_init__(self) -> None:
        self._bracket = {who: i for i, (members, _) in enumerate(self.brackets) for who in members}
        self._alive = [list(members) for members, _ in self.brackets]
        self.first = [self.brackets[self._bracket[who]][1][0] for who in sorted(self._bracket)]

    def hear(self, who: int, rung: int, curve: np.ndarray) -> Mapping[int, int]:
        bracket = self._bracket[who]
        rungs, scores = self.brackets[bracket][1], self.scores.setdefault(bracket, {})
        scores[who] = float(curve[-1])
        if len(scores) < len(self._alive[bracket]):
            return {}
        ranked = sorted(scores, key=lambda one: (_worst(scores[one]), one))
        best = ranked[: max(1, int(len(ranked) / self.eta + 1e-9))]
        self._alive[bracket] = [one for one in best if math.isfinite(_worst(scores[one]))]
        scores.clear()
        later = [r for r in rungs if r > rung]
        return dict.fromkeys(sorted(self._alive[bracket]), later[0]) if later else {}


@dataclass
class _Asha:
    """At each rung a line: who arrives is judged when all before it in the line have been."""

    eta: float
    rungs: list[int]
    configurations: int

    def __post_init__(self) -> None:
        self.first = [self.rungs[0]] * self.configurations
        self._lines = [list(range(self.configurations)), *([] for _ in self.rungs[1:])]
        self._judged = [0 for _ in self.rungs]
        self._arrived: list[dict[int, float]] = [{} for _ in self.rungs]
        self._promoted: list[set[int]] = [set() for _ in self.rungs]

    def hear(self, who: int, rung: int, curve: np.ndarray) -> Mapping[int, int]:
        level = self.rungs.index(rung)
        self._arrived[level][who] = _worst(float(curve[-1]))
        news: dict[int, int] = {}
        if level + 1 == len(self.rungs):
            return news
        line, arrived, promoted = self._lines[level], self._arrived[level], self._promoted[level]
        while self._judged[level] < len(line) and line[self._judged[level]] in arrived:
            self._judged[level] += 1
            seen = line[: self._judged[level]]
            ranked = sorted(seen, key=lambda one: (arrived[one], seen.index(one)))
            for one in ranked[: int(len(seen) / self.eta + 1e-9)]:
                if one not in promoted and math.isfinite(arrived[one]):
                    promoted.add(one)
                    self._lines[level + 1].append(one)
                    news[one] = self.rungs[level + 1]
        return news


@dataclass
class _Median:
    """At each rung in the order of the table, those that stopped before left out."""

    rungs: list[int]
    configurations: int
    least: int

    def __post_init__(self) -> None:
        self.first = [self.rungs[0]] * self.configurations
        self._next = [0 for _ in self.rungs]
        self._curves: list[dict[int, np.ndarray]] = [{} for _ in self.rungs]
        self._means: list[list[float]] = [[] for _ in self.rungs]
        self._stopped: set[int] = set()

    def hear(self, who: int, rung: int, curve: np.ndarray) -> Mapping[int, int]:
        self._curves[self.rungs.index(rung)][who] = curve
        news: dict[int, int] = {}
        for level, at in enumerate(self.rungs[:-1]):
            curves, means = self._curves[level], self._means[level]
            while self._next[level] < self.configurations:
                one = self._next[level]
                if one in curves:
                    if self._goes_on(curves[one], means):
                        news[one] = self.rungs[level + 1]
                    else:
                        self._stopped.add(one)
                    means.append(float(np.mean(curves[one][:at])))
                elif one not in self._stopped:
                    break
                self._next[level] += 1
        return news

    def _goes_on(self, curve: np.ndarray, means: Sequence[float]) -> bool:
        if not math.isfinite(_worst(float(curve[-1]))):
            return False
        best = float(np.nanmin(curve))
        return len(means) < self.least or best <= float(np.median(means))


def _worst(score: float) -> float:
    """A score, infinity for NaN."""
    return math.inf if math.isnan(score) else score
