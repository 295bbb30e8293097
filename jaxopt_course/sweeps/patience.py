"""Early stopping by patience: a trial that no longer improves has converged.

Alone, patience is a scheduler; beside another one it stops trials between the rungs.  At a rung a
trial that it has stopped competes with its best evaluation so far.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from jaxopt_course.sweeps.climb import Climb, News, Score
from jaxopt_course.sweeps.judges import Judge


@dataclass(frozen=True)
class Patience:
    """Stop a trial after so many evaluations without improvement; it has converged.

    An evaluation improves where its score is better than that of the last one that did, by more
    than ``min_delta``:  score < best - min_delta  for a loss.  Each trial is judged alone, so its
    end does not depend on the others.  A trial that stops has the status "converged" and the
    scores of its best evaluation.  Prechelt (1998), "Early Stopping – But When?"; ``EarlyStopping``
    of Keras with ``patience=evaluations, restore_best_weights=True``.

    Attributes:
        evaluations: without improvement before a trial stops, at least 1.
        min_delta: by how much an evaluation must be better, at least 0.
    """

    evaluations: int = 5
    min_delta: float = 0.0
    each_trial: ClassVar[bool] = True  # trials are judged one by one, not configurations

    def __post_init__(self) -> None:
        whole = isinstance(self.evaluations, int | np.integer)
        if not whole or isinstance(self.evaluations, bool) or self.evaluations < 1:
            raise ValueError(
                f"evaluations must be a whole number of at least 1, not {self.evaluations!r}"
            )
        if not is_number(self.min_delta) or not 0 <= self.min_delta < math.inf:
            raise ValueError(f"min_delta must be a number of at least 0, not {self.min_delta!r}")
        object.__setattr__(self, "evaluations", int(self.evaluations))  # manifests are JSON
        object.__setattr__(self, "min_delta", float(self.min_delta))

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> "Patient":
        """See ``Scheduler``; here each trial is a configuration of its own."""
        return Patient(self, configurations, intervals)


class Patient:
    """Hears of a trial no sooner than it may stop, so that it stays in its lane meanwhile."""

    def __init__(self, patience: Patience, trials: int, intervals: int) -> None:
        self._patience, self._intervals = patience, intervals
        self.first = [min(1 + patience.evaluations, intervals)] * trials
        self.order = list(range(trials))

    def hear(self, who: int, rung: int, curve: np.ndarray) -> Mapping[int, int]:
        """See ``Judge``."""
        if rung == self._intervals:
            return {}
        due = last_improvement(curve, self._patience.min_delta) + self._patience.evaluations
        return {who: 0 if due <= rung else min(due, self._intervals)}


def last_improvement(curve: np.ndarray, min_delta: float = 0.0) -> int:
    """The last evaluation, from 1, that was better than all before; 1 where none is a number."""
    best, last = math.inf, 1
    for number, score in enumerate(curve.tolist(), 1):
        if score < best - min_delta or (best == math.inf and score < best):
            best, last = score, number
    return last


def is_number(value: Any) -> bool:
    """Whether it is a real number, of Python or a scalar of NumPy; a switch is none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


@dataclass(frozen=True)
class WithPatience:
    """A scheduler, and patience beside it; see :class:`PatientClimb`."""

    scheduler: Any
    patience: Patience

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See ``Scheduler``: that of the other one."""
        judge: Judge = self.scheduler.judge(configurations, intervals, evaluate_every)
        return judge


def patience_of(scheduler: Any) -> Patience | None:
    """The patience that stops trials under a scheduler; None where none does."""
    if isinstance(scheduler, WithPatience):
        return scheduler.patience
    return scheduler if isinstance(scheduler, Patience) else None


class PatientClimb(Climb):
    """Trials climb as a judge says, and each stops by itself where it no longer improves.

    Args:
        intervals: of a whole trial.
        configurations: (N,), the number of each row's configuration.
        judge: who decides at rungs.
        patience: who stops trials between them.
    """

    def __init__(
        self, intervals: int, configurations: np.ndarray, judge: Judge, patience: Patience
    ) -> None:
        super().__init__(intervals, configurations, judge)
        self._intervals, self._patience = intervals, patience
        self._rung = self.until.copy()  # (N,), where its configuration is compared next
        self._over = np.zeros(len(configurations), bool)  # who has converged
        self.until = np.minimum(self.until, 1 + patience.evaluations)

    def arrive(self, row: int, progress: np.ndarray, bad: np.ndarray, score: Score) -> News:
        """See :class:`Climb`."""
        news = News([], [])
        if not bad[row] and not self._over[row] and self.until[row] < self._intervals:
            due = self._due(row, int(self.until[row]), score)
            if due <= self.until[row]:
                self._over[row] = True
                news.stopped.append(row)
            elif self.until[row] < self._rung[row]:
                self.until[row] = min(due, self._rung[row])
                news.promoted.append(row)
                return news
        self._compare(int(self._configurations[row]), progress, bad, score, news)
        return news

    def _due(self, row: int, interval: int, score: Score) -> int:
        """Where a trial would stop, as far as its curve is known."""
        curve = score(row, interval)
        return last_improvement(curve, self._patience.min_delta) + self._patience.evaluations

    def _compare(
        self, who: int, progress: np.ndarray, bad: np.ndarray, score: Score, news: News
    ) -> None:
        """Tell the judge of a configuration whose trials have all come, or never will."""
        rows = self._rows[who]
        rung = int(self._rung[rows[0]])
        lost = bad[rows] & (progress[rows] <= rung)
        climbing = (progress[rows] < rung) & ~lost & ~self._over[rows]
        if climbing.any() or (who, rung) in self._heard:
            return
        self._heard.add((who, rung))
        curve = np.full(rung, np.inf)
        if not lost.any():
            curve = np.mean([self._held(int(one), rung, score) for one in rows], axis=0)
        assert self._judge is not None
        for other, target in self._judge.hear(who, rung, curve).items():
            mine = self._rows[other]
            live = mine[~self._over[mine]].tolist()
            if not target:
                news.stopped.extend(live)
                continue
            there = int(self._rung[mine[0]])  # others may be at another rung than who has come
            self._rung[mine] = target
            for one in live:
                due = self._due(one, there, score)
                if due <= there:  # it came with the one that was heard of, and nobody has asked it
                    self._over[one] = True
                    news.stopped.append(one)
                else:
                    self.until[one] = min(due, target)
                    news.promoted.append(one)
            if self._over[mine].all():  # it has come to the next rung already
                self._compare(other, progress, bad, score, news)

    def _held(self, row: int, rung: int, score: Score) -> np.ndarray:
        """A trial's curve up to a rung; from where it stopped on its best evaluation."""
        curve = score(row, rung)
        if not self._over[row]:
            return curve
        until = int(self.until[row])
        return np.append(curve[:until], np.full(rung - until, np.nanmin(curve[:until])))
