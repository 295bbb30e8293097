"""What a call brought, written into the results."""

import numpy as np

from jaxopt_course.sweeps.device import Call
from jaxopt_course.sweeps.lanes import Readings, Rhythm
from jaxopt_course.sweeps.snapshot import Results


def write_down(
    results: Results,
    rhythm: Rhythm,
    rows: np.ndarray,
    lanes: np.ndarray,
    call: Call,
    readings: Readings,
) -> tuple[np.ndarray, np.ndarray]:
    """Write down a call's readings of some lanes at once.

    Args:
        results: which change.
        rhythm: of the trials.
        rows: (K,), of the table.
        lanes: (K,), where they sat.
        call: with the intervals that they had behind them.
        readings: of it.

    Returns:
        (K,), bool, who has diverged; and (K,), intervals that each has behind it now.
    """
    n, units = call.intervals, rhythm.units
    begins = call.begins[lanes]
    ends = begins + n
    place = rows[:, None], begins[:, None] * units + np.arange(n * units)
    by_lane = lambda sums: sums[:n, :, lanes].reshape(n * units, len(lanes)).T
    results.loss_sums[place] = by_lane(readings.loss_sums)
    for name, sums in readings.recorded.items():
        results.recorded[name][place] = by_lane(sums)
    for name, values in readings.valid.items():
        results.valid[name][rows[:, None], begins[:, None] + np.arange(n)] = values[:n, lanes].T
    results.first_bad[rows] = readings.first_bad[lanes]
    steps = lambda intervals: np.minimum(
        intervals.astype(np.int64) * rhythm.evaluate_every, rhythm.steps
    )
    results.trial_steps += int((steps(ends) - steps(begins)).sum())
    results.trial_intervals += n * len(rows)
    results.progress[rows] = ends
    bad = results.first_bad[rows] >= 0
    done = ~bad & (ends == rhythm.intervals)
    results.finished[rows[done]] = True
    for name, values in readings.test.items():
        results.test[name][rows[done]] = values[lanes[done]]
    return bad, ends
