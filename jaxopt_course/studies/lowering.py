"""A bucket as the engine takes it: its rhythm, its trials' functions, its data."""

from collections.abc import Sequence
from typing import Any

from jaxopt_course.problems.streams import Reading, Stream
from jaxopt_course.problems.tasks import Task
from jaxopt_course.sweeps.best import holding
from jaxopt_course.sweeps.feeding import Source
from jaxopt_course.sweeps.first_loss import judged
from jaxopt_course.sweeps.lanes import Data, Rhythm
from jaxopt_course.tables.buckets import Bucket
from jaxopt_course.train import make_trial


def rhythm_of(bucket: Bucket) -> Rhythm:
    """A bucket's budget as the engine knows it, of its task's data and optimizers."""
    budget, train, columns = bucket.budget, bucket.task.train, bucket.columns
    fits = train.fits if isinstance(train, Stream) else 0
    skips = budget.diverges_after is None and columns.skips(bucket.task)
    by_first_loss = budget.diverges_times is not None
    every = budget.record_every, budget.evaluate_every
    bad = budget.diverges_above, by_first_loss
    after = budget.diverges_after
    return Rhythm(budget.steps, *every, *bad, diverges_after=after, skips=skips, fits=fits)


def trial_of(
    bucket: Bucket,
    watch: Sequence[str] = (),
    raw: bool = True,
    best: tuple[str, str] | None = None,
) -> Any:
    """The functions of the bucket's trials, as the engine gets them.

    Args:
        bucket: of the trials.
        watch: what steps record beside the loss.
        raw: whether the trained weights are measured too, where others are evaluated.
        best: the metric of which trials hold the weights of their best evaluation, and its
            direction; None where they hold none.
    """
    columns = bucket.columns
    size = bucket.budget.batch_size
    trial: Any = make_trial(bucket.task, columns.optimizer, size, columns.task.row, watch, raw)
    if best is not None:
        trial = holding(trial, *best, trial.evaluated, trial.measure)
    times = bucket.budget.diverges_times
    return trial if times is None else judged(trial, times)


def source_of(task: Task) -> Source | None:
    """A task's stream as the engine reads it; None where the data are arrays."""
    train = task.train
    return Source(train, lambda: Reading(train)) if isinstance(train, Stream) else None


def data_of(task: Task) -> Data:
    """A task's arrays as the engine takes them; of a stream one batch, for its shapes."""
    return Data(task.sample, task.valid, task.test, task.shared, task.validations)
