"""What may choose a winner, and on which seeds it is confirmed."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from jaxopt_course.messages import unknown


def fresh_seeds(seeds: int | Iterable[int], used: set[int]) -> list[int]:
    """So many seeds, or these, none of them used.

    Raises:
        ValueError: none, or one that is used, repeated or not in [0, 2³²).
    """
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        start = max(used) + 1 if max(used) + seeds < 2**32 else 0
        unused = (seed for seed in itertools.count(start) if seed not in used)
        fresh = list(itertools.islice(unused, max(0, int(seeds))))
    else:
        fresh = [int(seed) for seed in seeds] if isinstance(seeds, Iterable) else []
    if not fresh or len(set(fresh)) < len(fresh) or not all(0 <= s < 2**32 for s in fresh):
        raise ValueError(
            "seeds must be a number of at least 1, or different whole numbers from 0 to 2³² - 1, "
            f"not {seeds!r}"
        )
    if taken := used & set(fresh):
        raise ValueError(f"seeds must be fresh: the search has used {sorted(taken)}")
    return fresh


def check_metric(metric: str | None, metrics: Mapping[str, str]) -> tuple[str, str]:
    """A column by which configurations may be chosen, and "min" or "max".

    Args:
        metric: as "valid_loss"; default the task's first.
        metrics: the task's, with their directions.

    Raises:
        ValueError: no such metric, or one of the test part.
    """
    metric = metric or f"valid_{next(iter(metrics))}"
    directions = {f"valid_{name}": direction for name, direction in metrics.items()}
    directions |= {"train_loss": "min", "best_valid_loss": "min"}
    if metric.removeprefix("test_") in metrics and metric.startswith("test_"):
        raise ValueError(f"{metric!r}: the test part is never used to choose")
    if metric not in directions:
        raise ValueError(unknown("metric", metric, directions))
    return metric, directions[metric]


def check_measured(
    metric: str, measured_with: Mapping[str, Sequence[str]], varied: Iterable[str]
) -> None:
    """Refuse to choose by a metric that is another one for each row.

    Args:
        metric: as "valid_loss".
        measured_with: metric -> the columns that it reads itself.
        varied: the columns in which the rows differ.

    Raises:
        ValueError: it reads one of them.
    """
    read = set(measured_with.get(metric.removeprefix("best_"), ()))
    for column in sorted(read & set(varied)):
        other = [name for name in measured_with if name != "train_loss"]
        raise ValueError(
            f"the trials differ in {column!r}, which {metric} itself reads, so that it means "
            "another thing for each of its values and cannot choose between them: choose by a "
            'metric that does not, as metric="valid_accuracy"'
            + (
                ""
                if metric not in other
                else ", or give Task.from_flax an evaluate_loss= without what is for training only"
            )
        )


def varied_in(trials: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """The columns in which rows differ."""
    return [name for name in columns if trials[name].nunique(dropna=False) > 1]


def fresh_trials(
    winners: pd.DataFrame,
    trials: pd.DataFrame,
    columns: Sequence[str],
    metric: str,
    seeds: Sequence[int],
) -> pd.DataFrame:
    """The winners with each of these seeds, in the dtypes of the table that they won.

    Raises:
        ValueError: no configuration has a score.
    """
    winners = winners[winners[metric].notna()]
    if winners.empty:
        raise ValueError("no configuration finished on all of its seeds; nothing to confirm")
    chosen = winners[[*columns]].astype(dict(trials[[*columns]].dtypes))
    return chosen.merge(pd.DataFrame({"seed": pd.Series([*seeds], dtype="Int64")}), how="cross")
