"""Early stopping by patience: a trial that no longer improves has converged."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


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
        number = isinstance(self.min_delta, int | float) and not isinstance(self.min_delta, bool)
        if not number or not 0 <= self.min_delta < math.inf:
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
