"""How sure a comparison is: paired over seeds, for all optimizers at once.

Trials of one seed share their start and the order of their data, so that what one seed has more of
than another is common to all optimizers and leaves their difference.  The unit is therefore the
pair, and the question is how its difference scatters:

    d_i = reference_i - other_i,    d̄ ± t_{n-1} s_d / √n

Only pairs that did not choose what they judge are worth it: fresh seeds, not those of the search.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.report.tables import OPTIMIZER, ROUNDING, once, scored

EXACT = 15  # differences whose 2¹⁴ patterns of signs, up to turning all, are gone through
DRAWS = 20_000  # patterns drawn where there are more
MOST_SEEDS = 10_000
PAIRED = (
    "reference", "n", "mean", "reference_mean", "difference", "deviation", "half_width", "low",
    "high", "level", "p", "p_holm", "separated", "tied", "sign_flip_p", "smallest_p",
    "seeds_needed",
)  # fmt: skip


def paired(
    trials: pd.DataFrame,
    metric: str,
    direction: str,
    *,
    by: str = OPTIMIZER,
    pair: Sequence[str] = ("seed",),
    reference: Any = None,
    level: float = 0.95,
    power: float = 0.8,
    examples: int | None = None,
) -> pd.DataFrame:
    """Compare each optimizer with the best one, over the seeds that both have.

    Args:
        trials: a row a trial, one configuration an optimizer; rows that repeat an earlier trial
            (``duplicate_of``) are left out, and so are values that are not finite or of trials that
            diverged or did not finish (``status``, where there is one).
        metric: the column to compare.
        direction: ``"min"`` or ``"max"``.
        by: the column whose values are compared.
        pair: the columns that two trials share to be a pair.
        reference: with which of them the others are compared; default the one with the best mean
            of those that have the most finite values.
        level: of the whole family of comparisons, in (0, 1).
        power: with which ``seeds_needed`` shall separate, in (0, 1).
        examples: behind one value, where it is a share of right answers; see
            :func:`tie_tolerance`.

    Returns:
        A row a value of ``by`` but the reference, the smallest difference first:

        - ``<by>``, ``reference``, ``n`` (pairs), ``mean`` and ``reference_mean`` (over the pairs);
        - ``difference``: the mean over pairs of how much the reference is better, so that it is
          positive where the reference wins, whichever the direction; 0 where rounding alone makes
          it (``tied``); ``deviation``: the sample standard deviation of these;
        - ``half_width``, ``low``, ``high``: the paired t-interval of it at ``level``, which is that
          of its step of Holm's, at least the level asked for: it excludes 0 exactly where
          ``separated``.  NaN with fewer than two pairs, or where all differences are equal, as t
          needs a spread;
        - ``p``: of the paired t-test, two-sided (``scipy.stats.ttest_rel``); without a spread that
          of the sign-flip test; ``p_holm``: adjusted over the rows by Holm's steps;
        - ``separated``: ``p_holm`` is at most 1 - level;
        - ``sign_flip_p`` and ``smallest_p``: see :func:`sign_flip_test` and
          :func:`smallest_sign_flip_p`;
        - ``seeds_needed``: how many pairs would separate the two with ``power`` at the row's
          ``level``, see :func:`seeds_needed`; NA where none would or one pair is all there is.

    The best one was chosen by the same seeds.  By simulation (normal scores, 2 to 10 optimizers, 5
    and 10 seeds) one that is truly as good as the best is called separated in at most 2.7% of
    studies; that this befalls any of several that are equal, in 5% (two) to 13% (ten).

    Raises:
        ValueError: an unknown direction or reference, a level or power outside (0, 1), two trials
            of one pair.
        KeyError: ``trials`` lacks a column.

    Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    if direction not in ("min", "max"):
        raise ValueError(f"direction must be 'min' or 'max', not {direction!r}")
    for name, value in (("level", level), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must be between 0 and 1, not {value}")
    scores = _by_pair(trials, metric, by, pair)
    names = list(scores)
    if reference is None:
        reference = _best(scores, direction)
    elif reference not in names:
        raise ValueError(f"reference: no {by} {reference!r}; there are {names}")
    rows = [
        {by: name, "reference": reference}
        | _compared(scores[reference], scores[name], direction, examples)
        for name in names
        if name != reference
    ]
    table = pd.DataFrame(rows, columns=[by, *PAIRED])
    numbers = table["p"].to_numpy(float)
    table["p_holm"], table["level"] = holm(numbers), holm_levels(numbers, level)
    table["separated"] = table["p_holm"] <= 1 - level
    spread = table["deviation"].astype(float).where(table["deviation"] != 0)
    table["half_width"] = t_half_width(spread, table["n"].astype(float), table["level"])
    table["low"] = table["difference"] - table["half_width"]
    table["high"] = table["difference"] + table["half_width"]
    known = zip(table["difference"], table["deviation"], table["level"], strict=True)
    table["seeds_needed"] = pd.array([seeds_needed(*row, power) for row in known], dtype="Int64")
    table = table.sort_values("difference", kind="stable", ignore_index=True)
    kinds = {"n": "int64", "separated": bool, "tied": bool}
    numeric = [name for name in PAIRED if name not in {"reference", "seeds_needed", *kinds}]
    return table.astype(kinds | dict.fromkeys(numeric, "float64"))


def _by_pair(trials: pd.DataFrame, metric: str, by: str, pair: Sequence[str]) -> pd.DataFrame:
    """Scores, a row a pair and a column a value of ``by`` in order of appearance."""
    trials = once(trials)
    keys = [by, *pair]
    twice = trials.duplicated(keys)
    if twice.any():
        row = trials[twice].iloc[0]
        where = ", ".join(f"{name} {row[name]}" for name in pair)
        raise ValueError(
            f"two trials of {by} {row[by]!r} have {where}: compare one configuration of each "
            f"{by}, such as the winners on fresh seeds"
        )
    table = trials[keys].assign(_score=scored(trials, metric))
    return table.pivot(index=list(pair), columns=by, values="_score")[list(trials[by].unique())]


def _best(scores: pd.DataFrame, direction: str) -> Any:
    full = scores.loc[:, scores.count() == scores.count().max()].mean()
    known = full.dropna()
    if known.empty:
        return next(iter(scores), None)
    return known.idxmax() if direction == "max" else known.idxmin()


def _compared(
    reference: pd.Series, other: pd.Series, direction: str, examples: int | None
) -> dict[str, Any]:
    """What one pair of columns says before anything is adjusted over several."""
    both = reference.notna() & other.notna()
    best, rest = reference[both].to_numpy(float), other[both].to_numpy(float)
    n = len(best)
    found: dict[str, Any] = {"n": n, "tied": False, "smallest_p": smallest_sign_flip_p(n)}
    if not n:
        return found
    tolerance = tie_tolerance(np.append(best, rest), examples, n)
    apart = best - rest if direction == "max" else rest - best
    apart = np.where(np.abs(apart) <= tolerance, 0.0, apart)
    mean = apart.mean()
    mean = 0.0 if abs(mean) <= tolerance else float(mean)
    found |= {"mean": rest.mean(), "reference_mean": best.mean(), "difference": mean}
    found["tied"] = mean == 0
    if n == 1:
        return found
    flip = sign_flip_test(apart, tolerance)
    deviation = 0.0 if np.ptp(apart) <= 2 * tolerance else float(apart.std(ddof=1))
    p = t_test(mean, deviation, n) if deviation else flip
    return found | {"sign_flip_p": flip, "deviation": deviation, "p": p}


def tie_tolerance(values: np.ndarray, examples: int | None = None, n: int = 1) -> float:
    """How far two means of float32 values may lie apart and be equal.

    A metric is rounded to float32, so that equal counts of right answers, split otherwise over
    their seeds, have means that differ in the 8th digit.

    Args:
        values: those compared.
        examples: behind one value, where it is a share of right answers: then never more than half
            an answer, which very many examples could come near.
        n: values in a mean.
    """
    rounding = ROUNDING * float(np.abs(values).max(initial=0.0))
    return rounding if examples is None else min(rounding, 0.5 / (examples * n))


def t_half_width(deviation: Any, n: Any, level: Any = 0.95) -> Any:
    """Half the t-interval of a mean: t_{n-1} s / √n.

    Args:
        deviation: s, the sample standard deviation (of the differences, of pairs).
        n: how many values, at least 2.
        level: in (0, 1).
    """
    from scipy.special import stdtrit  # scipy.stats takes 0.5 s more to import

    return stdtrit(n - 1, (1 + level) / 2) * deviation / np.sqrt(n)


def t_test(mean: Any, deviation: Any, n: Any) -> Any:
    """p of the two-sided t-test of mean 0; of differences it is the paired one."""
    from scipy.special import stdtr

    return 2 * stdtr(n - 1, -np.abs(mean) / (deviation / np.sqrt(n)))


def holm(p: Any) -> np.ndarray:
    """p adjusted for as many tests as there are, by Holm's steps; NaN is no test and stays.

    >>> print([f"{x:.2f}" for x in holm([0.01, 0.04, 0.03])])
    ['0.03', '0.06', '0.06']
    """
    p = np.asarray(p, float)
    adjusted, order = np.full(len(p), np.nan), np.argsort(p, kind="stable")
    order = order[: np.isfinite(p).sum()]  # NaN is sorted last
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def holm_levels(p: Any, level: float = 0.95) -> np.ndarray:
    """The level of each test's own interval with which it says the same as Holm's steps.

    1 - (1 - level) / m for the smallest p of m, / (m - 1) for the next, …; from the first that is
    not rejected on they stay.  Of a test alone it is ``level``; of no test (NaN) too.
    """
    p, alpha = np.asarray(p, float), 1 - level
    levels, order = np.full(len(p), level), np.argsort(p, kind="stable")
    order = order[: np.isfinite(p).sum()]
    left = np.arange(len(order), 0, -1)
    failed = np.flatnonzero(p[order] * left > alpha)
    if len(failed):
        left[failed[0] :] = left[failed[0]]
    levels[order] = 1 - alpha / left
    return levels


def sign_flip_test(differences: Any, tolerance: float = 0.0) -> float:
    """p of the two-sided sign-flip (paired permutation) test, which asks for no distribution.

    If the two were alike, each difference could as well have had the other sign; p is the share of
    all patterns of signs whose mean is at least as far from 0.  All 2ⁿ are gone through up to 15
    differences; of more, 20,000 are drawn, the same ones every time.

    Args:
        differences: (n,).
        tolerance: how much nearer to 0 counts as far.
    """
    values = np.asarray(differences, float)
    n = len(values)
    if n <= EXACT:
        half = np.arange(2 ** max(n - 1, 0))  # the first sign stays: to turn all changes nothing
        signs = 1.0 - 2.0 * (half[:, None] >> np.arange(n) & 1)
    else:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, n))
    slack = tolerance + 1e-12 * float(np.abs(values).mean() if n else 0.0)
    far = np.abs(signs @ values) >= abs(values.sum()) - n * slack
    return float(far.mean()) if n <= EXACT else float((far.sum() + 1) / (DRAWS + 1))


def smallest_sign_flip_p(n: int) -> float:
    """The smallest p that n pairs can give in :func:`sign_flip_test`: 2 / 2ⁿ.

    >>> smallest_sign_flip_p(5)
    0.0625
    """
    return min(1.0, 2.0 ** (1 - n))


def seeds_needed(
    difference: float, deviation: float, level: float = 0.95, power: float = 0.8
) -> Any:
    """How many pairs separate two in so many of 100 studies, if what was seen is the truth.

    The smallest n with P(|T| > t_{n-1}) ≥ power, where T has the noncentral t distribution with
    n - 1 degrees of freedom and noncentrality √n d̄ / s_d.  Without a spread: the smallest n whose
    sign-flip test can reach 1 - level.  What was seen is itself uncertain, so that this is a guide.

    Args:
        difference: d̄, mean of the paired differences.
        deviation: s_d, their sample standard deviation.
        level: of the interval that shall exclude 0.
        power: in (0, 1).

    Returns:
        a whole number from 2 to 10,000; NA where that is not enough, or there is no difference.
    """
    if not difference or not np.isfinite(difference) or not np.isfinite(deviation):
        return pd.NA
    if not deviation:
        return int(np.ceil(1 - np.log2(1 - level) - 1e-9))
    enough = lambda n: t_power(difference, deviation, n, level) >= power
    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if low >= MOST_SEEDS:
            return pd.NA
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= MOST_SEEDS else pd.NA


def t_power(difference: float, deviation: float, n: int, level: float = 0.95) -> float:
    """With which probability n pairs separate two whose differences have this mean and spread."""
    from scipy.special import nctdtr, stdtrit

    bound, shift = stdtrit(n - 1, (1 + level) / 2), np.sqrt(n) * abs(difference) / deviation
    below = nctdtr(n - 1, shift, bound)
    if not np.isfinite(below):  # beyond what the series can sum: far beyond the bound
        return float(shift > bound)
    return float(1 - below + np.nan_to_num(nctdtr(n - 1, shift, -bound)))
