"""Up to which interval each trial trains: to its end, or from rung to rung as a judge decides."""

import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxopt_course.sweeps.judges import Judge
from jaxopt_course.sweeps.program import Table

Score = Callable[[int, int], np.ndarray]  # (row, rung) -> (rung,), float64, lower is better


class News(NamedTuple):
    """What a judge has decided."""

    promoted: list[int]  # rows that train on
    stopped: list[int]  # rows that never will
    copies: Mapping[int, int] = {}  # row -> the row whose state it takes over
    table: Table | None = None  # with the numbers with which they train on, where they change


class Climb:
    """The targets of all trials of a table, and who is promoted when a trial has arrived.

    Args:
        intervals: of a whole trial.
        configurations: (N,), the number of each row's configuration, from 0; its seeds climb
            together.
        judge: who decides; without one all train to their end.
    """

    def __init__(
        self, intervals: int, configurations: np.ndarray, judge: Judge | None = None
    ) -> None:
        self.until = np.full(len(configurations), intervals, np.int32)  # (N,), intervals
        self.order = np.arange(len(configurations))  # (N,), who should start first
        self._judge, self._configurations = judge, configurations
        self._heard: set[tuple[int, int]] = set()
        if judge is not None:
            self.until = np.asarray(judge.first, np.int32)[configurations]
            places = np.argsort(np.asarray(judge.order))
            self.order = np.argsort(places[configurations], kind="stable")
            order = np.argsort(configurations, kind="stable")
            starts = np.searchsorted(configurations[order], np.arange(configurations.max() + 2))
            self._rows = [order[a:b] for a, b in itertools.pairwise(starts)]

    @property
    def judged(self) -> bool:
        """Whether anyone decides."""
        return self._judge is not None

    def arrive(self, row: int, progress: np.ndarray, bad: np.ndarray, score: Score) -> News:
        """What is decided now that ``row`` has reached its target, or has diverged.

        Args:
            row: the trial.
            progress: (N,), intervals that each trial has behind it.
            bad: (N,), who has diverged.
            score: the curve of a row.
        """
        news = News([], [])
        if self._judge is None:
            return news
        who = int(self._configurations[row])
        rows, rung = self._rows[who], int(self.until[row])
        lost = bad[rows] & (progress[rows] <= rung)  # a resumed sweep knows of later ones too
        climbing = (progress[rows] < rung) & ~lost
        if climbing.any() or (who, rung) in self._heard:
            return news
        self._heard.add((who, rung))
        if lost.any():
            curve = np.full(rung, np.inf)
        else:
            curve = np.mean([score(int(one), rung) for one in rows], axis=0)
        for other, target in self._judge.hear(who, rung, curve).items():
            rows = self._rows[other]
            (news.promoted if target else news.stopped).extend(map(int, rows))
            if target:
                self.until[rows] = target
        return news
