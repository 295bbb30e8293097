"""What a study says, as tidy tables: trials in, one row a fact out.

The unit is the configuration: all hyperparameters but the seed. Its score is the mean over seeds of
the final validation metric, and a configuration with a diverged seed has no score: the mean of the
survivors would reward divergence.  A mean of fewer seeds than others have is luck more easily: it
ranks after those of all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

OPTIMIZER = "optimizer"
TASK = "task"  # a column of studies of several tasks, whose scores are not compared
ROUNDING = 2 * float(np.finfo(np.float32).eps)  # of a mean of values that were rounded twice
DONE = ("finished", "converged")  # who has a score
# A hyperparameter of such a name must be renamed before it comes here.
OWN_COLUMNS = {
    "rank", "search_rank", "seeds", "diverged", "stopped", "unfinished", "at_edge", "trials", "n",
    "mean", "trials_diverged", "metric", "low", "high", "half_width", "quantity", "step",
    "stopped_step", "undefined", "missing", "own_seeds", "replicates",
    "noun",
}  # fmt: skip


def configurations(
    trials: pd.DataFrame,
    hyperparameters: Sequence[str],
    metric: str,
    direction: str,
    replicates: Sequence[str] = (),
) -> pd.DataFrame:
    """Score and rank every configuration, the best first.

    Args:
        trials: a row a trial, with ``status``, ``metric`` and all ``hyperparameters``. Rows whose
            ``duplicate_of`` is set repeat an earlier trial and are left out.
        hyperparameters: the columns that make a configuration; empty cells equal each other.
        metric: the column to rank by, such as ``valid_accuracy``.
        direction: ``"min"`` or ``"max"``.
        replicates: columns that repeat a configuration, as its seeds do; below, a seed is a
            combination of it with their values.  A configuration that lacks values of theirs that
            others have ranks like one that lacks seeds; ``own_seeds`` counts the seeds alone.

    Returns:
        A row a configuration: ``rank`` (from 1), the hyperparameters, ``seeds``, ``diverged``,
        ``stopped`` (by a scheduler) and ``unfinished`` (numbers of trials), and of the metric over
        the finished seeds ``<metric>`` (the mean), ``<metric>_std`` (sample standard deviation),
        ``<metric>_min`` and ``<metric>_max``; these are NaN where a seed diverged, none finished or
        one that did has no finite value: ``<metric>_undefined`` is the number of these.  The means
        of the other validation metrics follow.
        ``stopped_step`` is where the scheduler stopped the last of its seeds.  First come those
        with all seeds finished, as many as any configuration has, then those with some, with none,
        and last those with a diverged seed; among equals the better mean, the lower mean
        ``valid_loss``, the smaller share of diverged seeds, whom the scheduler let train longer,
        the lower mean ``best_valid_loss`` of such, and the earlier row.  Means that differ by no
        more than float32 rounds are equal, see :func:`levels`.

    Raises:
        ValueError: ``direction`` is neither ``"min"`` nor ``"max"``, or a hyperparameter has the
            name of a column that this table adds.
        KeyError: ``trials`` lacks a column.
    """
    if direction not in ("min", "max"):
        raise ValueError(f"direction must be 'min' or 'max', not {direction!r}")
    own = {"rank", "seeds", "diverged", "stopped", "stopped_step", "unfinished", metric}
    own |= {"own_seeds", "replicates"} if replicates else set()
    if taken := own & {*hyperparameters}:
        raise ValueError(f"rename the hyperparameters {sorted(taken)}: results have these names")
    trials = once(trials)
    number = configuration_numbers(trials, hyperparameters)
    status = trials["status"]
    counts = pd.DataFrame(
        {
            "seeds": 1,
            "diverged": status.eq("diverged"),
            "stopped": status.eq("stopped"),
            "unfinished": ~status.isin([*DONE, "diverged", "stopped"]),
        },
        index=trials.index,
    )
    table = trials[list(hyperparameters)].groupby(number).nth(0).reset_index(drop=True)
    table = table.join(counts.groupby(number).sum().astype("int64"))
    stopped_at, reached = _stopped(trials, number)
    table.insert(len(table.columns) - 1, "stopped_step", stopped_at)
    short = table["stopped"] + table["unfinished"]
    scored = (table["diverged"] == 0) & (short < table["seeds"])
    done = status.isin(DONE)
    for name in dict.fromkeys([metric, *(name for name in trials if name.startswith("valid_"))]):
        parts = finite(trials[name])[done].groupby(number)
        parts = parts.agg(["mean", "std", "min", "max", "size", "count"]).reindex(table.index)
        parts = parts.where(scored & (parts["size"] == parts["count"]))  # each has its value
        table[name] = parts["mean"]
        if name == metric:
            spread = ["std", "min", "max"]
            table[[f"{name}_{part}" for part in spread]] = parts[spread]
            undefined = done & finite(trials[metric]).isna()
            table[f"{metric}_undefined"] = undefined.groupby(number).sum().astype("int64")
    fewer = (short > 0) | (table["seeds"] < table["seeds"].max())
    if replicates:
        combined = pd.DataFrame({"of": number, "which": configuration_numbers(trials, replicates)})
        kinds = combined.drop_duplicates().groupby("of").size().reindex(table.index)
        fewer |= kinds < combined["which"].nunique()
        table["own_seeds"] = trials["seed"].groupby(number).nunique().astype("int64")
    partial = np.select([table["diverged"] > 0, table[metric].isna(), fewer], [3, 2, 1], 0)
    sizes = table[[f"{metric}_min", f"{metric}_max"]].abs().max(axis=1)
    score = levels(table[metric] if direction == "min" else -table[metric], sizes)
    ties = levels(table["valid_loss"]) if "valid_loss" in table else score
    share = table["diverged"] / table["seeds"]
    longer = -stopped_at.fillna(0).to_numpy(float)
    order = np.lexsort([reached, longer, share, ties, score, partial])
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def by_task(
    trials: pd.DataFrame,
    hyperparameters: Sequence[str],
    metric: str,
    direction: str,
    replicates: Sequence[str] = (),
) -> pd.DataFrame:
    """:func:`configurations`, ranked within each value of the column ``task``, task by task."""
    how = hyperparameters, metric, direction, replicates
    parts = [configurations(own, *how) for _, own in trials.groupby(TASK, sort=False)]
    return pd.concat(parts, ignore_index=True)


def several_tasks(manifest: Mapping[str, Any]) -> bool:
    """Whether a study is of several tasks, whose scores are not compared."""
    return TASK in (manifest.get("static") or ())


def named(ranked: pd.DataFrame) -> pd.DataFrame:
    """The table for readers: where columns repeat configurations, ``seeds`` are seeds alone."""
    if "own_seeds" not in ranked:
        return ranked
    table = ranked.rename(columns={"seeds": "replicates", "own_seeds": "seeds"})
    order = [name for name in table if name != "seeds"]
    order.insert(order.index("replicates"), "seeds")
    return table[order]


def winners(
    ranked: pd.DataFrame, searched: Iterable[str] = (), by: Sequence[str] | None = None
) -> pd.DataFrame:
    """The best configuration of each optimizer, in order of score.

    Args:
        ranked: what :func:`configurations` returned. Without a column ``optimizer`` there is one
            winner.
        searched: the hyperparameters whose range was chosen by the user.
        by: columns, with a winner for each combination of their values in place of the optimizer.

    Returns:
        The rows of ``ranked`` that are their optimizer's best, ranked anew, and ``at_edge`` (such
        as ``"learning_rate (highest)"``: the numeric searched hyperparameters whose best value is
        the lowest or highest of three or more tried; empty if none, or if the row has no score),
        ``trials`` and ``trials_diverged`` (numbers over all configurations of the optimizer).
    """
    by = [OPTIMIZER] if by is None else [*by]
    by = [name for name in by if name in ranked]
    rows = []
    for _, group in ranked.groupby(by, sort=False, dropna=False) if by else [(None, ranked)]:
        best = group.iloc[0]
        scored = not best["diverged"] and best["stopped"] + best["unfinished"] < best["seeds"]
        edges = [edge(group, best, name) for name in searched] if scored else []
        rows.append(
            {
                "at_edge": ", ".join(filter(None, edges)),
                "trials": group["seeds"].sum(),
                "trials_diverged": group["diverged"].sum(),
            }
        )
    first = ranked.drop_duplicates(by) if by else ranked.head(1)
    table = first.reset_index(drop=True).join(
        pd.DataFrame(rows, columns=["at_edge", "trials", "trials_diverged"])
    )
    if TASK in by:  # scores of different tasks are not compared
        return table.assign(rank=table.groupby(TASK).cumcount() + 1)
    return table.assign(rank=np.arange(1, len(table) + 1))


def levels(scores: pd.Series, sizes: pd.Series | None = None) -> np.ndarray:
    """Place of each score, the least first; those that rounding alone tells apart share one.

    A metric is rounded to float32 a seed, so that two configurations with as many right answers,
    split otherwise over their seeds, have means that differ in the 8th digit.  A score is level
    with the least of its group where it is at most :data:`ROUNDING` times as large a value beyond.

    Args:
        scores: means of float32 values; no score (NaN) comes last.
        sizes: the largest absolute value behind each mean; default the mean's own.
    """
    values = scores.to_numpy(float)
    scale = np.abs(values) if sizes is None else sizes.to_numpy(float)
    places, place, least = np.full(len(values), len(values)), -1, np.nan
    for row in np.argsort(values, kind="stable").tolist():
        if np.isnan(values[row]):
            break
        if place < 0 or not values[row] - least <= ROUNDING * max(scale[row], abs(least)):
            place, least = place + 1, values[row]
        places[row] = place
    return places


def edge(tried: pd.DataFrame, best: pd.Series, name: str) -> str:
    """``"<name> (lowest)"`` or ``(highest)`` if ``best`` is that end of three or more tried."""
    column = tried[name]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return ""
    values = column.dropna().unique()
    if len(values) < 3 or pd.isna(best[name]):
        return ""
    ends = {values.min(): "lowest", values.max(): "highest"}
    return f"{name} ({ends[best[name]]})" if best[name] in ends else ""


def sensitivity(
    ranked: pd.DataFrame,
    metric: str,
    column: str = "learning_rate",
    others: Sequence[str] = (),
) -> pd.DataFrame:
    """How the result depends on one hyperparameter, the others at their best for each value.

    Where an optimizer's values were drawn together with others, each once, nobody knows their best:
    left are the values that none farther from the best one beats, the upper edge of the draws, and
    those with a diverged seed.

    Args:
        ranked: what :func:`configurations` returned.
        metric: the metric it was ranked by.
        column: the hyperparameter; rows without it are left out.
        others: hyperparameters that may have been drawn with it.

    Returns:
        A row an optimizer and value: ``optimizer`` (if ``ranked`` has it), ``column``, and of its
        best configuration ``mean``, ``low``, ``high`` (minimum and maximum over seeds; NaN where a
        seed diverged), ``seeds`` and ``diverged`` (share of the seeds, 0 to 1).
    """
    keys = [name for name in (OPTIMIZER, column) if name in ranked]
    best = ranked[ranked[column].notna()].drop_duplicates(keys)
    best = best.sort_values(column, kind="stable")
    if others and OPTIMIZER in ranked:
        sizes = ranked[OPTIMIZER].value_counts()
        drawn = [
            _upper_edge(rows, others) if sizes[name] == len(rows) else rows
            for name, rows in best.groupby(OPTIMIZER, sort=False)
        ]
        best = pd.concat(drawn).sort_values(column, kind="stable") if drawn else best
    table = best[[*keys, "seeds"]].assign(
        mean=best[metric],
        low=best[f"{metric}_min"],
        high=best[f"{metric}_max"],
        diverged=best["diverged"] / best["seeds"],
    )
    return table.astype({column: "float64"}).reset_index(drop=True)


def _upper_edge(rows: pd.DataFrame, others: Sequence[str]) -> pd.DataFrame:
    """The rows, one a value, that none farther from the best one beats; all if no other differs."""
    if len(rows) < 2 or all(rows[name].nunique(dropna=False) < 2 for name in others):
        return rows
    place = rows["rank"].to_numpy()
    top = int(place.argmin())
    kept = np.array(rows["diverged"] > 0)
    kept[: top + 1] |= np.minimum.accumulate(place[: top + 1]) == place[: top + 1]
    kept[top:] |= np.minimum.accumulate(place[top:][::-1])[::-1] == place[top:]
    return rows[kept]


def same(trials: pd.DataFrame, row: pd.Series, hyperparameters: Iterable[str]) -> np.ndarray:
    """Which trials have the configuration of ``row``; an empty cell equals an empty cell."""
    mask = np.ones(len(trials), bool)
    for name in hyperparameters:
        column = trials[name]
        equal = column.isna() if pd.isna(row[name]) else column.eq(row[name]).fillna(False)
        mask &= equal.to_numpy(bool)
    return mask


def once(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that do not repeat an earlier one, numbered from 0."""
    if "duplicate_of" in trials:
        trials = trials[trials["duplicate_of"].isna()]
    return trials.reset_index(drop=True)


def configuration_numbers(trials: pd.DataFrame, hyperparameters: Iterable[str]) -> pd.Series:
    """Number the configurations in order of appearance, from 0: one number a trial."""
    codes = {name: pd.factorize(trials[name], use_na_sentinel=False)[0] for name in hyperparameters}
    frame = pd.DataFrame(codes, index=trials.index)
    if frame.empty:
        return pd.Series(0, index=trials.index)
    return frame.groupby(list(codes), sort=False).ngroup()


def _stopped(trials: pd.DataFrame, number: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """Where a scheduler stopped each configuration, and the mean loss that it had reached."""
    if "stopped_step" not in trials:  # a study of earlier days
        count = number.nunique()
        return pd.Series(pd.NA, range(count), dtype="Int64"), np.full(count, np.inf)
    steps = trials["stopped_step"].groupby(number).max()
    loss = finite(trials["best_valid_loss"]).where(trials["stopped_step"].notna())
    return steps, loss.groupby(number).mean().fillna(np.inf).to_numpy()


def settled(column: pd.Series) -> bool:
    """Whether it is a switch that stands the same in all rows that have it."""
    return bool(pd.api.types.is_bool_dtype(column)) and column.dropna().nunique() == 1


def finite(column: pd.Series) -> pd.Series:
    """The column as floats, NaN where it has no finite number."""
    values = column.astype("float64")
    return values.where(np.isfinite(values))


def scored(trials: pd.DataFrame, metric: str) -> pd.Series:
    """The metric of the trials that have one: finite, of one that finished; NaN of the others."""
    values = finite(trials[metric])
    return values.where(trials["status"].isin(DONE)) if "status" in trials else values
