"""What may choose a winner, and on which seeds it is confirmed."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.messages import unknown
from jaxopt_course.records.format import making
from jaxopt_course.report.tables import same
from jaxopt_course.tables.cells import identify

MOST_SEEDS = 100_000  # that a number stands for; of each a row is trained


def fresh_seeds(seeds: int | Iterable[int], used: set[int]) -> list[int]:
    """So many seeds, or these, none of them used.

    Raises:
        ValueError: none, or one that is used, repeated or not in [0, 2³²).
    """
    fresh: list[int] = []
    if isinstance(seeds, Iterable):
        listed = not isinstance(seeds, str | bytes) and getattr(seeds, "ndim", 1) == 1
        given = list(seeds) if listed else []
        fresh = [int(seed) for seed in given] if all(map(_is_whole, given)) else []
    elif _is_whole(seeds) and 0 < seeds <= MOST_SEEDS:
        start = max(used) + 1 if max(used) + seeds < 2**32 else 0
        unused = (seed for seed in itertools.count(start) if seed not in used)
        fresh = list(itertools.islice(unused, int(seeds)))
    if not fresh or len(set(fresh)) < len(fresh) or not all(0 <= s < 2**32 for s in fresh):
        raise ValueError(
            f"seeds must be a number from 1 to {MOST_SEEDS:,}, or different whole numbers from 0 "
            f"to 2³² - 1, not {seeds!r}"
        )
    if taken := used & set(fresh):
        raise ValueError(f"seeds must be fresh: the search has used {sorted(taken)}")
    return fresh


def _is_whole(number: Any) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def check_metric(metric: str | None, metrics: Mapping[str, str]) -> tuple[str, str]:
    """A column by which configurations may be chosen, and "min" or "max".

    Args:
        metric: as "valid_loss" or "best_valid_accuracy"; default the task's first.
        metrics: the task's, with their directions.

    Raises:
        TypeError: it is no name.
        ValueError: no such metric, or one of the test part.
    """
    if not isinstance(metric, str | None):
        raise TypeError(f"metric must be a name, as 'valid_loss', not {metric!r}")
    metric = f"valid_{next(iter(metrics))}" if metric is None else metric
    directions = {f"valid_{name}": direction for name, direction in metrics.items()}
    directions |= {"train_loss": "min"}
    directions |= {f"best_valid_{name}": direction for name, direction in metrics.items()}
    if metric.removeprefix("test_") in metrics and metric.startswith("test_"):
        raise ValueError(f"{metric!r}: the test part is never used to choose")
    if metric not in directions:
        raise ValueError(unknown("metric", metric, directions))
    return metric, directions[metric]


def check_score(
    score: str | None, metric: str | None, metrics: Mapping[str, str], by_best: bool
) -> tuple[tuple[str, str], str]:
    """What chooses, with its direction, and which evaluation counts.

    Args:
        score: "last" or "best"; default "best" where the metric is ``best_valid_…``.
        metric: as ``check_metric``.
        metrics: the task's.
        by_best: whether trials stop that no longer improve, so that the best evaluation is the
            default.

    Raises:
        ValueError: another score; one that contradicts the metric; as ``check_metric``.
    """
    if score is not None and not (isinstance(score, str) and score in ("last", "best")):
        raise ValueError(f'score must be "last" or "best", not {score!r}')
    name, direction = check_metric(metric, metrics)
    if score is None and by_best and name.startswith("valid_"):
        score = "best"
    if name.startswith("best_"):
        if score == "last":
            raise ValueError(f'score="last" contradicts metric={name!r}: leave one of them out')
        return (name, direction), "best"
    if score != "best":
        return (name, direction), "last"
    if not name.startswith("valid_"):
        raise ValueError(f'score="best" is of an evaluation, as of "valid_loss", not of {name!r}')
    return (f"best_{name}", direction), "best"


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


def check_groups(by: str | Sequence[str] | None, columns: Sequence[str]) -> list[str]:
    """The columns of which each combination of values has a winner; default the optimizer.

    Raises:
        TypeError: no name and no list.
        ValueError: none, or one that makes no configuration.
    """
    if by is None:
        return [name for name in ("optimizer",) if name in columns]
    if not isinstance(by, Iterable) or isinstance(by, type | bytes):
        raise TypeError(f"by= takes a column or a list of columns, not {by!r:.60}")
    groups = [by] if isinstance(by, str) else list(by)
    if not groups:
        raise ValueError("by= takes one column or more")
    for name in groups:
        if name not in columns:
            raise ValueError(f"by=: {unknown('column', str(name), columns)}")
    return list(dict.fromkeys(groups))


def unscored(trials: pd.DataFrame, metric: str) -> str:
    """Why nobody has a score, as a clause: a metric that is undefined is none that diverged."""
    return (
        f"no configuration finished on all of its seeds with a finite {metric}: "
        f"{trials['status'].value_counts().to_dict()}"
    )


def confirming(
    winners: pd.DataFrame,
    trials: pd.DataFrame,
    manifest: Mapping[str, Any],
    seeds: int | Iterable[int],
) -> pd.DataFrame:
    """The winners with each of these fresh seeds, in the dtypes of the table that they won.

    Where columns repeat a configuration, as folds do, with each of their values that it had.

    Args:
        winners: of the study.
        trials: of the study.
        manifest: of the study.
        seeds: how many, or which.

    Raises:
        ValueError: as ``fresh_seeds``; or no configuration has a score.
    """
    fresh = fresh_seeds(seeds, set(manifest["seeds"]))
    winners = winners[winners[manifest["metric"]].notna()]
    if winners.empty:
        raise ValueError(f"{unscored(trials, manifest['metric'])}; nothing to confirm")
    columns, own = list(manifest["hyperparameters"]), making(manifest)
    chosen = winners[own].astype(dict(trials[own].dtypes))
    if len(own) < len(columns):
        rows = [trials[same(trials, row, own)] for _, row in chosen.iterrows()]
        chosen = pd.concat([one[columns].drop_duplicates() for one in rows], ignore_index=True)
    table = chosen.merge(pd.DataFrame({"seed": pd.Series(fresh, dtype="Int64")}), how="cross")
    return identify(table, columns)
