"""What a sweep has found so far, and where its trials are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.sittings import Sittings


@dataclass
class Results:
    """What the trials of a table left; NaN where a trial has nothing to report."""

    loss_sums: np.ndarray  # (N, units), float32: sums of training losses
    recorded: dict[str, np.ndarray]  # (N, units), float32: of what else a step records
    valid: dict[str, np.ndarray]  # (N, intervals), float32
    test: dict[str, np.ndarray]  # (N,), float32
    first_bad: np.ndarray  # (N,), int32, negative where none; see ``Lanes``
    finished: np.ndarray  # (N,), bool: ran to its end without a bad step
    progress: np.ndarray  # (N,), int32: intervals read
    until: np.ndarray  # (N,), int32: intervals to train, as far as is known
    stopped: np.ndarray  # (N,), bool: not promoted by the scheduler
    trial_steps: int = 0  # training steps read, summed over trials
    calls: int = 0
    lane_intervals: int = 0  # intervals that lanes computed, occupied or not
    trial_intervals: int = 0  # those that trials used
    interrupted: bool = False
    states: dict[int, Any] = field(default_factory=dict)  # last ones, where they were asked for
    compared: int = 0  # calls that this run made twice ...
    differ: list[str] = field(default_factory=list)  # ... where the bits were others ...
    not_compared: str = ""  # ... or why none was
    read: dict[str, Any] = field(default_factory=dict)  # how the reading of a stream went
    sittings: Sittings = field(default_factory=Sittings)  # of this run
    nodes: dict[str, np.ndarray] = field(default_factory=dict)  # (N,), bool: who trained there

    @property
    def occupancy(self) -> float:
        """The share of the computed intervals that trials used, in [0, 1]."""
        return self.trial_intervals / max(1, self.lane_intervals)

    @property
    def over(self) -> np.ndarray:
        """(N,), bool: finished, diverged or stopped."""
        return self.finished | self.stopped | (self.first_bad >= 0)


class Waiting(NamedTuple):
    """Trials that are neither over nor in a lane."""

    rows: np.ndarray  # (K,), int64
    progress: np.ndarray  # (K,), int32, intervals behind them
    leaves: list[np.ndarray]  # the leaves of their states, each (K, ...)


class Snapshot(NamedTuple):
    """A sweep between two calls, as the host can save it."""

    results: Results
    waiting: Waiting
    kept: Waiting | None = None  # who has finished and is among the best so far


def no_results(
    rows: int,
    rhythm: Rhythm,
    names: Sequence[str],
    recorded: Sequence[str] = (),
    tested: Sequence[str] | None = None,
) -> Results:
    """Of ``rows`` trials before the first reading.

    Args:
        rows: how many.
        rhythm: of each.
        names: of the metrics.
        recorded: what a step records beside its loss.
        tested: of the metrics of the test part; default ``names``.
    """
    nan = np.float32(np.nan)
    units = rhythm.intervals * rhythm.units
    return Results(
        loss_sums=np.full((rows, units), nan),
        recorded={name: np.full((rows, units), nan) for name in recorded},
        valid={name: np.full((rows, rhythm.intervals), nan) for name in names},
        test={name: np.full(rows, nan) for name in (names if tested is None else tested)},
        first_bad=np.full(rows, -1, np.int32),
        finished=np.zeros(rows, bool),
        progress=np.zeros(rows, np.int32),
        until=np.full(rows, rhythm.intervals, np.int32),
        stopped=np.zeros(rows, bool),
    )
