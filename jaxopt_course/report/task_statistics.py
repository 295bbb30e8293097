"""What several tasks say together: ranks, probability of improvement, profiles, their intervals.

Everything here takes an array (optimizers, tasks, seeds) in which more is better, as
:func:`score_array` makes it.  NaN is a training without a score, which is worse than any; a seed
that no optimizer of the task has counts as not there, so that tasks may differ in their seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.report.tables import OPTIMIZER, ROUNDING, once, scored


class Scores(NamedTuple):
    """Scores of which more is better, and what their axes mean."""

    values: np.ndarray  # (optimizers, tasks, seeds), float64
    optimizers: list[str]
    tasks: list[str]


class Friedman(NamedTuple):
    """Whether the ranks of any optimizers differ: the statistic and its p."""

    statistic: float
    p: float


def score_array(
    trials: pd.DataFrame,
    metric: str | Mapping[str, str],
    direction: str | Mapping[str, str],
    *,
    by: str = OPTIMIZER,
    task: str = "task",
    pair: Sequence[str] = ("seed",),
) -> Scores:
    """The scores of a table with a column ``task``; metrics to minimise are negated.

    Args:
        trials: a row a training, one configuration an optimizer and task; repetitions of an earlier
            trial (``duplicate_of``) are left out; one that diverged or did not finish (``status``)
            has no score.
        metric: the column to compare; or task -> its column, where tasks have other metrics.
        direction: ``"min"`` or ``"max"``; or task -> its own.
        by: the column whose values are compared.
        task: the column that tells the tasks.
        pair: the columns that two trainings of a task share where they have a seed in common.

    Raises:
        ValueError: no trials; an unknown direction; a task without a metric; two trials of one
            optimizer, task and seed.
        KeyError: ``trials`` lacks a column.
    """
    trials = once(trials)
    if trials.empty:
        raise ValueError("no trials: there is nothing to compare")
    keys = [by, task, *pair]
    if (twice := trials.duplicated(keys)).any():
        row = trials[twice].iloc[0]
        raise ValueError(
            f"two trials have {', '.join(f'{key} {row[key]}' for key in keys)}: compare one "
            f"configuration of each {by} and {task}"
        )
    names, tasks = list(trials[by].unique()), list(trials[task].unique())
    parts = []
    for one in tasks:
        mine = trials[trials[task] == one]
        column, better = _of(metric, one, "metric"), _of(direction, one, "direction")
        if better not in ("min", "max"):
            raise ValueError(f"direction of {one} must be 'min' or 'max', not {better!r}")
        score = scored(mine, column) * (1 if better == "max" else -1)
        wide = mine[[by, *pair]].assign(_score=score)
        parts.append(wide.pivot(index=by, columns=list(pair), values="_score").reindex(names))
    values = np.full((len(names), len(tasks), max(part.shape[1] for part in parts)), np.nan)
    for i, part in enumerate(parts):
        values[:, i, : part.shape[1]] = part.to_numpy(float)
    return Scores(values, names, tasks)


def _of(given: Any, task: str, what: str) -> Any:
    if not isinstance(given, Mapping):
        return given
    if task not in given:
        raise ValueError(f"the task {task!r} has no {what}; given are those of {sorted(given)}")
    return given[task]


def task_ranks(values: np.ndarray) -> np.ndarray:
    """(optimizers, tasks): place of each mean over seeds, 1 the best; equals share the mean place.

    Who lacks a score that others have comes last; means that float32 rounding alone tells apart
    are equal.
    """
    means, size = _means(values)
    with np.errstate(invalid="ignore"):
        ahead = means[None] - means[:, None]  # (k, k, tasks): of the second axis over the first
        slack = ROUNDING * np.maximum(size[None], size[:, None])
        better = ahead > slack
    equal = ~better & ~better.swapaxes(0, 1)  # itself among them
    return 1 + better.sum(1) + (equal.sum(1) - 1) / 2


def _means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(optimizers, tasks): means over seeds, -inf where one is lacking; the largest sizes."""
    there = _there(values)
    filled = np.where(np.isnan(values), -np.inf, values)
    means = np.where(there, filled, 0.0).sum(2) / np.maximum(there.sum(2), 1)
    size = np.abs(np.where(np.isnan(values), 0.0, values)).max(2, initial=0.0)
    return means, size


def _there(values: np.ndarray) -> np.ndarray:
    """(1, tasks, seeds): which seeds any optimizer of the task has."""
    return ~np.isnan(values).all(0, keepdims=True)


def normalized(values: np.ndarray) -> np.ndarray:
    """Scores on a common scale, task by task: 1 is the best mean over seeds, 0 the worst.

    Single trainings may lie beyond; without a score they have the least of their task, at most 0;
    where all means are equal everything is 1.  Whoever is compared sets the scale: leave one out,
    and the numbers of the others change.
    """
    means, _ = _means(values)
    known = np.where(np.isfinite(means), means, np.nan)
    there = _there(values)
    scaled = np.full(values.shape, np.nan)
    for i in range(values.shape[1]):
        if np.isnan(known[:, i]).all():
            scaled[:, i] = 0.0
        else:
            low, high = np.nanmin(known[:, i]), np.nanmax(known[:, i])
            flat = high - low <= ROUNDING * max(abs(low), abs(high))
            scaled[:, i] = 1.0 if flat else (values[:, i] - low) / (high - low)
        lost = np.isnan(values[:, i])
        least = np.min(scaled[:, i], where=~lost & ~np.isnan(scaled[:, i]), initial=0.0)
        scaled[:, i][lost] = least
    return np.where(there, scaled, np.nan)


def interquartile_mean(values: np.ndarray) -> float:
    """Mean of the middle half of all scores: as ``scipy.stats.trim_mean(…, 0.25)``.

    Less of it hangs on one task or seed than of the mean, and on more than of the median.
    Agarwal et al. (2021), Deep reinforcement learning at the edge of the statistical precipice.

    >>> interquartile_mean(np.array([0.0, 0.5, 0.75, 9.0]))
    0.625
    """
    ordered = np.sort(values[~np.isnan(values)], axis=None)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean()) if len(ordered) else float("nan")


def optimality_gap(values: np.ndarray, target: float = 1.0) -> float:
    """By how much scores miss a target, in the mean; those beyond it miss it by 0.

    >>> optimality_gap(np.array([0.5, 1.5]))
    0.25
    """
    found = values[~np.isnan(values)]
    return float(target - np.minimum(found, target).mean()) if len(found) else float("nan")


def probability_of_improvement(x: np.ndarray, y: np.ndarray) -> float:
    """With which probability a training of x beats one of y on a task, in the mean over tasks.

    Mean over tasks of P(x > y) + P(x = y) / 2 over all pairs of trainings, the Mann-Whitney U over
    the number of pairs.  Trainings of x and y are taken as independent of each other.

    Args:
        x: (tasks, seeds).
        y: likewise, of the same tasks; NaN in both is no training.
    """
    return float(_improvements(x[None], y, _there(np.stack([x, y]))[0])[0])


def _improvements(values: np.ndarray, y: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(optimizers,): of each over y, all of them (tasks, seeds), with the seeds that are there."""
    filled = lambda v: np.where(np.isnan(v), -np.inf, v)
    a, b = filled(values)[..., None], filled(y)[None, :, None]
    pairs = there[:, :, None] & there[:, None]
    won = np.where(pairs, (a > b) + 0.5 * (a == b), 0.0).sum((2, 3))
    count = pairs.sum((1, 2))
    if not count.any():
        return np.full(len(values), np.nan)
    return (won[:, count > 0] / count[count > 0]).mean(1)


def performance_profile(values: np.ndarray, thresholds: Any) -> np.ndarray:
    """(optimizers, thresholds): the share of an optimizer's trainings whose score is beyond each.

    Args:
        values: of one scale over all tasks, such as :func:`normalized` makes.
        thresholds: (n,).
    """
    thresholds = np.asarray(thresholds, float)
    rows = [row[~np.isnan(row)] for row in values]
    return np.array([(row[None] > thresholds[:, None]).mean(1) for row in rows])


def friedman(ranks: np.ndarray) -> Friedman:
    """Whether optimizers differ at all, by their ranks; ties are corrected for.

    As ``scipy.stats.friedmanchisquare``: χ² with k - 1 degrees of freedom, which needs some five
    tasks to be near.  NaN with fewer than three optimizers or two tasks, or where all are equal.

    Args:
        ranks: (optimizers, tasks), of :func:`task_ranks`.
    """
    from scipy.special import chdtrc

    k, n = ranks.shape
    if k < 3 or n < 2:
        return Friedman(float("nan"), float("nan"))
    ties = sum((c**3 - c).sum() for c in (np.unique(r, return_counts=True)[1] for r in ranks.T))
    correction = 1 - ties / (k * (k * k - 1) * n)
    if correction <= 0:
        return Friedman(float("nan"), float("nan"))
    sums = (ranks.sum(1) ** 2).sum()
    statistic = (12 / (k * n * (k + 1)) * sums - 3 * n * (k + 1)) / correction
    return Friedman(float(statistic), float(chdtrc(k - 1, statistic)))


def critical_distance(optimizers: int, tasks: int, level: float = 0.95) -> float:
    """How far two mean ranks must lie apart to differ, for all pairs at once (Nemenyi).

    q √(k (k + 1) / 6 n), q the studentized range of k at infinite degrees of freedom over √2.
    Demšar (2006), Statistical comparisons of classifiers over multiple data sets.
    """
    if optimizers < 2 or tasks < 1:
        return float("nan")
    from scipy.stats import studentized_range

    q = studentized_range.ppf(level, optimizers, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(optimizers * (optimizers + 1) / (6 * tasks)))


def alike(mean_ranks: Any, distance: float) -> list[tuple[int, int]]:
    """The bars of a rank diagram: first and last of each largest group within the distance.

    Args:
        mean_ranks: in ascending order.
        distance: of :func:`critical_distance`.

    >>> alike([1.0, 1.5, 2.5, 4.0], 1.2)
    [(0, 1), (1, 2)]
    """
    ranks, bars, reached = np.asarray(mean_ranks, float), [], -1
    for first in range(len(ranks)):
        last = int(np.flatnonzero(ranks - ranks[first] <= distance)[-1])
        if last > max(first, reached):
            bars.append((first, last))
            reached = last
    return bars


def bootstrap(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], Any],
    *,
    over_tasks: bool = True,
    level: float = 0.95,
    resamples: int = 2000,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of a statistic: its lower and upper ends.

    Seeds are drawn anew within each task, the same ones for all optimizers, as trials of one seed
    belong together; first the tasks themselves, if ``over_tasks``, which asks how it would be on
    other tasks like these.  With few tasks or seeds such an interval covers less than its level.

    Args:
        values: (optimizers, tasks, seeds).
        statistic: of such an array; a number or an array.
        over_tasks: whether tasks are drawn too; one task alone never is.
        level: in (0, 1).
        resamples: how many; the same ones every time.
    """
    random = np.random.default_rng(0)
    there = _there(values)[0]
    order = np.argsort(~there, axis=1, kind="stable")  # (tasks, seeds): those that are there first
    count, (tasks, seeds) = there.sum(1), there.shape
    found = []
    for _ in range(resamples):
        of = random.integers(tasks, size=tasks) if over_tasks and tasks > 1 else np.arange(tasks)
        drawn = (random.random((tasks, seeds)) * count[of, None]).astype(int)
        drawn = np.where(np.arange(seeds) < count[of, None], drawn, np.arange(seeds))
        found.append(statistic(values[:, of[:, None], order[of[:, None], drawn]]))
    ends = np.quantile(np.array(found), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return ends[0], ends[1]


def across_tasks(
    scores: Scores, *, over_tasks: bool = True, level: float = 0.95, resamples: int = 2000
) -> pd.DataFrame:
    """A row an optimizer, the best mean rank first: what all tasks say of it, with intervals.

    Args:
        scores: of :func:`score_array`.
        over_tasks: see :func:`bootstrap`.
        level: of the intervals, each for itself.
        resamples: see :func:`bootstrap`.

    Returns:
        ``optimizer``, ``tasks``, ``wins`` (tasks on which no other is better), ``mean_rank``,
        ``interquartile_mean`` and ``optimality_gap`` (of :func:`normalized` scores, the scale that
        of the tasks as they are), ``improvement`` (probability that a training of it beats one of
        the first row's; 0.5 of that itself), and of the last four ``<name>_low`` and
        ``<name>_high``.
    """
    values, (k, tasks, _) = scores.values, scores.values.shape
    ranks = task_ranks(values)
    order = np.argsort(ranks.mean(1), kind="stable")
    values, ranks = values[order], ranks[order]

    def statistic(both: np.ndarray) -> np.ndarray:
        """(4, optimizers)."""
        raw, scaled = both[:k], both[k:]
        return np.array(
            [
                task_ranks(raw).mean(1),
                [interquartile_mean(row) for row in scaled],
                [optimality_gap(row) for row in scaled],
                _improvements(raw, raw[0], _there(raw)[0]),
            ]
        )

    both = np.concatenate([values, normalized(values)])
    how: dict[str, Any] = {"over_tasks": over_tasks, "level": level, "resamples": resamples}
    low, high = bootstrap(both, statistic, **how)
    table = pd.DataFrame(
        {
            "optimizer": [scores.optimizers[i] for i in order],
            "tasks": tasks,
            "wins": (ranks == ranks.min(0)).sum(1),
        }
    )
    names = ("mean_rank", "interquartile_mean", "optimality_gap", "improvement")
    for name, *columns in zip(names, statistic(both), low, high, strict=True):
        table[[name, f"{name}_low", f"{name}_high"]] = np.transpose(columns)
    return table
