"""Several tasks in one study: who stands where, by ranks, as scores of tasks are not compared."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.records import claims, store
from jaxopt_course.records.format import making
from jaxopt_course.report import tables, words
from jaxopt_course.report.tables import OPTIMIZER, TASK
from jaxopt_course.report.task_statistics import critical_distance

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod


class Standings(NamedTuple):
    """A study of several tasks, read."""

    manifest: Mapping[str, Any]
    optimizers: pd.DataFrame  # of :func:`standings`
    winners: pd.DataFrame  # of each optimizer and task, ranked within the task by these scores
    confirmed: bool  # whether scores are of fresh seeds
    trials: pd.DataFrame  # the trainings behind the winners' scores
    language: str = "en"

    @property
    def words(self) -> words.Words:
        """How this report says numbers and sentences."""
        return words.Words(self.language)


def standings(winners: pd.DataFrame, metric: str, direction: str) -> pd.DataFrame:
    """Where optimizers stand over tasks.

    Args:
        winners: a row an optimizer and task, with the score of its best configuration.
        metric: the column of scores; NaN (none, or a seed that diverged) ranks last.
        direction: "min" or "max".

    Returns:
        A row an optimizer, the best first: ``rank`` (from 1; equal mean ranks share the better
        one), ``optimizer``, ``mean_rank`` over the tasks (1 is first; equals, told apart by float32
        rounding alone, share the mean place), ``firsts`` (tasks where nobody is better),
        ``unscored`` (tasks without a score), ``tasks``.

    Raises:
        ValueError: an optimizer that was not tried on each task.
    """
    scores = winners.pivot(index=TASK, columns=OPTIMIZER, values=metric)
    scores = scores[list(winners[OPTIMIZER].unique())]
    if len(winners) < scores.size:
        counts = winners.groupby(OPTIMIZER)[TASK].nunique()
        raise ValueError(
            f"{counts.idxmin()} was tried on {counts.min()} of {len(scores)} tasks: ranks are of "
            "optimizers that were all tried on all"
        )
    better = scores if direction == "min" else -scores
    places = pd.DataFrame(
        [tables.levels(row) for _, row in better.iterrows()], scores.index, scores.columns
    )
    ranks = places.rank(axis="columns")
    table = pd.DataFrame(
        {
            OPTIMIZER: ranks.columns,
            "mean_rank": ranks.mean().to_numpy(),
            "firsts": (places.eq(0) & scores.notna()).sum().to_numpy(),
            "unscored": scores.isna().sum().to_numpy(),
            "tasks": len(scores),
        }
    )
    table = table.iloc[np.argsort(table["mean_rank"], kind="stable")].reset_index(drop=True)
    table.insert(0, "rank", table["mean_rank"].rank(method="min").astype("int64"))
    return table


def has_tasks(directory: str | Path) -> bool:
    """Whether the study in a directory is of several tasks."""
    return tables.several_tasks(store.read(claims.where(directory)).manifest)


def read(directory: str | Path, language: str = "en") -> Standings:
    """Read the study in ``directory``, and its fresh seeds where they were run.

    Args:
        directory: of the study.
        language: of what is said of it, "en" or "es".

    Raises:
        FileNotFoundError: the directory holds no study.
        ValueError: the study is of another format, or the report does not speak the language.
    """
    path = claims.where(directory)
    record = store.read(path)
    return found(record, store.read_confirmation(path, record.manifest), language)


def found(
    record: store.Record, confirmation: store.Record | None = None, language: str = "en"
) -> Standings:
    """As :func:`read`, of what was read from there, or of what a sweep has saved so far."""
    words.Words(language)
    manifest = record.manifest
    own, metric, direction = making(manifest), manifest["metric"], manifest["direction"]
    how = metric, direction, words.sequence(manifest, "replicates")
    of_each = [name for name in (TASK, OPTIMIZER) if name in own]
    best = tables.winners(tables.by_task(record.trials, own, *how), manifest["searched"], of_each)
    fresh = confirmation if confirmation is not None and len(confirmation.trials) else None
    if fresh is not None:
        again = tables.winners(tables.by_task(fresh.trials, own, *how), (), of_each)
        scores = again.set_index(of_each)[[metric, f"{metric}_std", "seeds"]]
        best = best.drop(columns=[*scores]).join(scores, on=of_each)
        best["rank"] = best.groupby(TASK)[metric].transform(_places, direction).astype("int64")
    trials = tables.once(record.trials if fresh is None else fresh.trials)
    mine = [tables.same(trials, row, own) for _, row in best.iterrows()]
    trials = trials[np.logical_or.reduce(mine)]
    if OPTIMIZER not in best:
        best[OPTIMIZER] = ", ".join(words.sequence(manifest, "optimizers")) or "the optimizer"
        trials = trials.assign(**{OPTIMIZER: best[OPTIMIZER].iloc[0]})
    ranks = standings(best, metric, direction)
    return Standings(manifest, ranks, best, fresh is not None, trials, language)


def _places(scores: pd.Series, direction: str) -> np.ndarray:
    """From 1, as :func:`standings` ranks them, but that equals share the better place."""
    places = tables.levels(scores if direction == "min" else -scores)
    return 1 + (places[None] < places[:, None]).sum(1)


def sentences(found: Standings) -> list[str]:
    """What the ranks say, and what they do not."""
    w, table, metric = found.words, found.optimizers, found.manifest["metric"]
    first, tasks = table.iloc[0], int(table["tasks"].iloc[0])
    ahead = table.loc[table["rank"] == 1, OPTIMIZER]
    over = w.counted(tasks, "task")
    rank = w.mark(f"{first['mean_rank']:.2f}")
    if len(ahead) > 1:
        template = "{names} share the best mean rank, {rank} of {all}, over {tasks}."
        names = w.listed([words.short(str(name), 48) for name in ahead])
        said = [w.say(template, names=names, rank=rank, all=len(table), tasks=over)]
    else:
        template = (
            "{name} has the best mean rank, {rank} of {all}, over {tasks}; nobody is better on {n} "
            "of them."
        )
        who = {"name": words.short(first[OPTIMIZER], 48), "n": first["firsts"]}
        said = [w.say(template, rank=rank, all=len(table), tasks=over, **who)]
    template = (
        "Ranks are by {metric}, mean over fresh seeds; scores of different tasks are not compared."
        if found.confirmed
        else "Ranks are by {metric}, mean over the seeds of the search; scores of different tasks "
        "are not compared."
    )
    said.append(w.say(template, metric=w.title(metric)))
    if not found.confirmed:
        said.append(
            w.say(
                "Not confirmed on fresh seeds: a best score includes the luck of having been "
                "picked."
            )
        )
    if len(table) > 1:
        template = "Mean ranks up to {distance} apart do not differ (Nemenyi, 95%, over all pairs)."
        distance = critical_distance(len(table), tasks)
        said.append(w.say(template, distance=w.mark(f"{distance:.2f}")))
    if tasks < 5:
        few = "{tasks} tell little: other tasks may turn the order."
        one = "One task tells little: other tasks may turn the order."
        said.append(w.say(few if tasks > 1 else one, tasks=over))
    return said


def rows_of(found: Standings) -> list[list[str]]:
    """The table of optimizers as text, under :data:`HEADER`."""
    w = found.words
    return [
        [
            str(row["rank"]),
            str(row[OPTIMIZER]),
            w.mark(f"{row['mean_rank']:.2f}"),
            w.say("{n} of {all}", n=row["firsts"], all=row["tasks"]),
            str(row["unscored"] or ""),
        ]
        for _, row in found.optimizers.iterrows()
    ]


HEADER = ("#", "optimizer", "mean rank", "first on", "no score on")
NUMBERS = {"#", "rank", "mean rank", "first on", "no score on", "score"}


def print_standings(found: Standings, console: "Console | None" = None) -> None:
    """Print a row an optimizer, best mean rank first, and what it means."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in HEADER:
        justify: JustifyMethod = "right" if name in NUMBERS else "left"
        table.add_column(Text(found.words.say(name)), justify=justify)
    for place, cells in enumerate(rows_of(found)):
        texts = [Text(printable(cell), overflow="fold") for cell in cells]
        table.add_row(*texts, style="bold" if place == 0 else "")
    console.print(table)
    console.print()
    for sentence in sentences(found):
        console.print(Text(printable(sentence)))


def document(found: Standings, directory: Path, page: Path) -> dict[str, Any]:
    """What ``--json`` tells: the ranks, and the winner of each optimizer and task."""
    metric, own = found.manifest["metric"], making(found.manifest)
    numbers = [name for name in own if name not in (TASK, OPTIMIZER)]
    given = lambda row: {name: row[name] for name in numbers if not pd.isna(row[name])}
    return {
        "directory": directory,
        "page": page,
        "tasks": list(found.winners[TASK].unique()),
        "metric": metric,
        "direction": found.manifest["direction"],
        "confirmed": found.confirmed,
        "remarks": sentences(found),
        "standings": found.optimizers.to_dict("records"),
        "winners": [
            {"task": row[TASK], "rank": row["rank"], "optimizer": row[OPTIMIZER]}
            | {"settings": given(row), "mean": row[metric], "std": row[f"{metric}_std"]}
            for _, row in found.winners.iterrows()
        ],
    }
