"""Who wins for how many trials and how many steps: the best of n configurations drawn anew.

Of N configurations n are drawn with replacement; the best of them is at most the k-th worst with
probability (k/N)^n, so that nothing is drawn at all: these are the bootstrap's limits.  Dodge et
al. (2019), "Show Your Work", section 3.1.  A configuration without a score is worse than any.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

QUANTILES = (0.1, 0.5, 0.9)  # low, median, high


def counts(most: int) -> list[int]:
    """Numbers of trials to ask for: 1, 2, 3, 4, 6, 8, 12, ... up to ``most``.

    >>> counts(20)
    [1, 2, 3, 4, 6, 8, 12, 16, 20]
    """
    found = [n for k in range(30) for n in (2**k, 3 * 2**k // 2) if n <= most and (k or n == 1)]
    return sorted({*found, most})


def best_of_n(
    scores: Mapping[str, Any], direction: str, numbers: Iterable[int] | None = None
) -> pd.DataFrame:
    """How good the best of n trials is, for each optimizer.

    Args:
        scores: optimizer -> the scores of its configurations; NaN is none.
        direction: "min" or "max".
        numbers: of trials; default those of :func:`counts`, for each optimizer up to as many as
            it has.

    Returns:
        A row an optimizer and ``n``: ``median``, and ``low`` and ``high``, the quantiles 0.1 and
        0.9 of the best (``low`` is the worse one); NaN where it has no score as often as that.
    """
    sign = _sign(direction)
    rows = []
    for name, given in scores.items():
        values = _ordered(given, sign)
        reached = (np.arange(1, len(values) + 1) / len(values))[None]
        for n in counts(len(values)) if numbers is None else numbers:
            places = [int(np.searchsorted(reached[0] ** n, q - 1e-12)) for q in QUANTILES]
            low, middle, high = (sign * values[min(place, len(values) - 1)] for place in places)
            rows.append({"optimizer": name, "n": n, "low": low, "median": middle, "high": high})
    frame = pd.DataFrame(rows, columns=["optimizer", "n", "low", "median", "high"])
    return frame.replace([np.inf, -np.inf], np.nan)


def win_probabilities(scores: Mapping[str, Any], direction: str, n: int) -> pd.Series:
    """With which probability the best of ``n`` trials of each optimizer beats that of all others.

    Equal scores are decided by lot, exactly: u in [0, 1] is integrated out of
    prod_j (P(B_j < x) + u P(B_j = x)).  Where nobody has a score nobody wins.
    """
    sign = _sign(direction)
    ordered = {name: _ordered(given, sign) for name, given in scores.items()}
    values = np.unique(np.concatenate([*ordered.values(), [-np.inf]]))
    values = values[np.isfinite(values)]
    below, equal = {}, {}
    for name, mine in ordered.items():
        upto = (np.searchsorted(mine, values, "right") / len(mine)) ** n
        under = (np.searchsorted(mine, values, "left") / len(mine)) ** n
        below[name], equal[name] = under, upto - under
    nodes, weights = np.polynomial.legendre.leggauss(len(ordered) // 2 + 1)
    nodes, weights = (nodes + 1) / 2, weights / 2
    chances = {}
    for name in ordered:
        others = [below[o][:, None] + nodes * equal[o][:, None] for o in ordered if o != name]
        product = np.prod(others, axis=0) if others else np.ones((len(values), len(nodes)))
        chances[name] = float((equal[name] * (product @ weights)).sum())
    return pd.Series(chances, dtype=float)


def winner_map(
    courses: pd.DataFrame,
    optimizers: pd.Series,
    direction: str,
    steps: Sequence[int] | None = None,
    numbers: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Who wins if training ends at a step and n configurations were tried of each optimizer.

    Args:
        courses: a row a configuration, a column a step: its score there; NaN is none.
        optimizers: of each row.
        direction: "min" or "max".
        steps: default at most 24 of the columns.
        numbers: of trials; default those of :func:`counts` for the optimizer that has fewest.

    Returns:
        A row a step and ``n``: ``optimizer``, the one that wins most often, and ``probability``
        with which it does; no row where nobody has a score.
    """
    columns = list(courses.columns)
    chosen = columns[:: -max(1, -(-len(columns) // 24))][::-1] if steps is None else steps
    fewest = int(optimizers.value_counts().min()) if len(optimizers) else 0
    asked = counts(fewest) if numbers is None and fewest else (numbers or [])
    rows = []
    for step in chosen:
        scores = {
            str(name): part.to_numpy(float)
            for name, part in courses[step].groupby(optimizers.to_numpy(), sort=False)
        }
        for n in asked:
            chances = win_probabilities(scores, direction, n)
            if chances.sum() > 0:
                best = str(chances.idxmax())
                row = {"step": step, "n": n, "optimizer": best, "probability": chances[best]}
                rows.append(row)
    return pd.DataFrame(rows, columns=["step", "n", "optimizer", "probability"])


def _sign(direction: str) -> int:
    if direction not in ("min", "max"):
        raise ValueError(f"direction must be 'min' or 'max', not {direction!r}")
    return 1 if direction == "max" else -1


def _ordered(scores: Any, sign: int) -> np.ndarray:
    """Scores of which the highest is the best, worst first; none is -inf."""
    values = sign * np.asarray(scores, float)
    return np.sort(np.where(np.isfinite(values), values, -np.inf))
