"""What is new since the last reading, told to a function of the user's while the sweep runs."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxopt_course.studies.results import Means, means_of
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.snapshot import Results


@dataclass(frozen=True)
class Reading:
    """What a trial measured at a step.

    Attributes:
        trial: its number in the table.
        step: updates done.
        metrics: name of a curve -> its value there; ``train_*`` at every record, ``valid_*`` at
            every evaluation.
    """

    trial: int
    step: int
    metrics: dict[str, float]


OnReading = Callable[[tuple[Reading, ...]], Any]


class OnReadingWarning(UserWarning):
    """``on_reading`` raised an error; the sweep goes on.

    Attributes:
        error: what it raised first.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"on_reading raised {type(error).__name__}: {error}; the sweep goes on and calls it "
            "again with what comes next (the number of such calls is in study.events)"
        )
        self.error = error


class Telling:
    """Calls ``on_reading`` with what is new of a bucket's results.

    Args:
        on_reading: the function.
        numbers: (N,), the trials' numbers in the whole table.
        rhythm: of the trials.
        told: (N,), intervals that were told by an earlier process.
    """

    def __init__(
        self, on_reading: OnReading, numbers: np.ndarray, rhythm: Rhythm, told: np.ndarray
    ) -> None:
        self._on_reading, self._numbers, self._rhythm = on_reading, numbers, rhythm
        self._told = told.copy()
        self._failed, self._first = 0, ""

    def __call__(self, results: Results) -> None:
        """Tell what is new, if anything is.

        Raises:
            KeyboardInterrupt: raised by ``on_reading`` to end the sweep.
        """
        rows = np.flatnonzero(results.progress > self._told)
        new = news(results, rows, self._told[rows], self._rhythm, self._numbers)
        self._told[rows] = results.progress[rows]
        if not new:
            return
        try:
            self._on_reading(new)
        except Exception as error:
            self._failed += 1
            if self._failed == 1:
                self._first = f"{type(error).__name__}: {error}"
                warnings.warn(OnReadingWarning(error), stacklevel=2)

    @property
    def event(self) -> dict[str, Any]:
        """What the study's event says of calls that failed; nothing where none did."""
        if not self._failed:
            return {}
        return {"on_reading_failed": self._failed, "on_reading_error": self._first}


def news(
    results: Results, rows: np.ndarray, told: np.ndarray, rhythm: Rhythm, numbers: np.ndarray
) -> tuple[Reading, ...]:
    """The values that came to the curves of ``rows`` since ``told``, by trial and step.

    Args:
        results: so far.
        rows: positions.
        told: intervals of each row that are known already.
        rhythm: of the trials.
        numbers: (N,), of the trials in the table.
    """
    pick = lambda arrays: {name: x[rows] for name, x in arrays.items()}
    own = replace(
        results,
        loss_sums=results.loss_sums[rows],
        recorded=pick(results.recorded),
        valid=pick(results.valid),
        first_bad=results.first_bad[rows],
    )
    means = means_of(own, rhythm)
    steps = lambda intervals: np.minimum(intervals * rhythm.evaluate_every, rhythm.steps)
    found = []
    for i, row in enumerate(rows.tolist()):
        first, last = steps(int(told[i])), steps(int(results.progress[row]))
        if results.first_bad[row] >= 0:  # what a lane computed after its first bad step is noise
            last = min(last, int(results.first_bad[row]))
        at: dict[int, dict[str, float]] = {}
        for ticks, values in _curves(means):
            begin, end = np.searchsorted(ticks, [first, last], side="right")
            for column in range(begin, end):
                known = at.setdefault(int(ticks[column]), {})
                known |= {name: float(x[i, column]) for name, x in values.items()}
        found += [Reading(int(numbers[row]), step, at[step]) for step in sorted(at)]
    return tuple(found)


def _curves(means: Means) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    train = {"train_loss": means.losses} | means.recorded
    valid = {f"valid_{name}": x for name, x in means.valid.items()}
    return [(means.record_steps, train), (means.eval_steps, valid)]
