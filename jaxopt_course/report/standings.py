"""Several tasks in one study: who stands where, told by ranks, as scores of tasks are not compared.

The page of such a study: a row an optimizer with its ranks, figures of these, a row a task with its
winner.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.records import claims, files, ownership, store
from jaxopt_course.records.format import PAGE, making
from jaxopt_course.report import tables, words
from jaxopt_course.report.tables import OPTIMIZER, TASK
from jaxopt_course.report.task_statistics import critical_distance

if TYPE_CHECKING:
    from rich.console import Console


class Standings(NamedTuple):
    """A study of several tasks, read."""

    manifest: Mapping[str, Any]
    optimizers: pd.DataFrame  # of :func:`standings`
    winners: pd.DataFrame  # of each optimizer and task, ranked within the task
    confirmed: bool  # whether scores are of fresh seeds
    trials: pd.DataFrame  # the trainings behind the winners' scores


def standings(winners: pd.DataFrame, metric: str, direction: str) -> pd.DataFrame:
    """Where optimizers stand over tasks.

    Args:
        winners: a row an optimizer and task, with the score of its best configuration.
        metric: the column of scores; NaN (none, or a seed that diverged) ranks last.
        direction: "min" or "max".

    Returns:
        A row an optimizer, the best first: ``rank`` (from 1), ``optimizer``, ``mean_rank`` over the
        tasks (1 is first; equals, told apart by float32 rounding alone, share the mean place),
        ``firsts`` (tasks where nobody is better), ``unscored`` (tasks without a score), ``tasks``.

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
    table.insert(0, "rank", range(1, len(table) + 1))
    return table


def has_tasks(directory: str | Path) -> bool:
    """Whether the study in a directory is of several tasks."""
    return TASK in store.read(claims.where(directory)).manifest.get("static", ())


def read(directory: str | Path) -> Standings:
    """Read the study in ``directory``, and its fresh seeds where they were run.

    Raises:
        FileNotFoundError: the directory holds no study.
        ValueError: the study is of another format.
    """
    path = claims.where(directory)
    record = store.read(path)
    manifest = record.manifest
    own, metric, direction = making(manifest), manifest["metric"], manifest["direction"]
    how = metric, direction, words.sequence(manifest, "replicates")
    of_each = [name for name in (TASK, OPTIMIZER) if name in own]
    found = tables.winners(tables.by_task(record.trials, own, *how), manifest["searched"], of_each)
    fresh = store.read_confirmation(path, manifest)
    if fresh is not None and len(fresh.trials):
        again = tables.winners(tables.by_task(fresh.trials, own, *how), (), of_each)
        scores = again.set_index(of_each)[[metric, f"{metric}_std", "seeds"]]
        found = found.drop(columns=[*scores]).join(scores, on=of_each)
    trials = tables.once(record.trials if fresh is None else fresh.trials)
    mine = [tables.same(trials, row, own) for _, row in found.iterrows()]
    trials = trials[np.logical_or.reduce(mine)]
    if OPTIMIZER not in found:
        found[OPTIMIZER] = ", ".join(words.sequence(manifest, "optimizers")) or "the optimizer"
        trials = trials.assign(**{OPTIMIZER: found[OPTIMIZER].iloc[0]})
    ranks = standings(found, metric, direction)
    return Standings(manifest, ranks, found, fresh is not None, trials)


def sentences(found: Standings) -> list[str]:
    """What the ranks say, and what they do not."""
    table, metric = found.optimizers, words.title(found.manifest["metric"])
    first, tasks = table.iloc[0], int(table["tasks"].iloc[0])
    of = "mean over fresh seeds" if found.confirmed else "mean over the seeds of the search"
    said = [
        f"{words.short(first[OPTIMIZER], 48)} has the best mean rank, {first['mean_rank']:.2f} of "
        f"{len(table)}, over {words.counted(tasks, 'task')}; nobody is better on "
        f"{first['firsts']} of them.",
        f"Ranks are by {metric}, {of}; scores of different tasks are not compared.",
    ]
    if not found.confirmed:
        said.append("Not confirmed on fresh seeds: a best score includes the luck of being picked.")
    if len(table) > 1:
        distance = critical_distance(len(table), tasks)
        said.append(
            f"Mean ranks up to {distance:.2f} apart do not differ (Nemenyi, 95%, over all pairs)."
        )
    if tasks < 5:
        said.append(f"{words.counted(tasks, 'task')} tell little: other tasks may turn the order.")
    return said


def rows_of(found: Standings) -> list[list[str]]:
    """The table of optimizers as text."""
    return [
        [
            str(row["rank"]),
            str(row[OPTIMIZER]),
            f"{row['mean_rank']:.2f}",
            f"{row['firsts']} of {row['tasks']}",
            str(row["unscored"] or ""),
        ]
        for _, row in found.optimizers.iterrows()
    ]


HEADER = ("#", "optimizer", "mean rank", "first on", "no score on")
NUMBERS = {"#", "mean rank", "first on", "no score on", "score"}


def print_standings(found: Standings, console: "Console | None" = None) -> None:
    """Print a row an optimizer, best mean rank first, and what it means."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in HEADER:
        table.add_column(Text(name), justify="right" if name in NUMBERS else "left")
    for place, cells in enumerate(rows_of(found)):
        texts = [Text(printable(cell), overflow="fold") for cell in cells]
        table.add_row(*texts, style="bold" if place == 0 else "")
    console.print(table)
    console.print()
    for sentence in sentences(found):
        console.print(Text(printable(sentence)))


def write_standings(directory: str | Path) -> Path:
    """Write ``report.html`` into a study's directory.

    Raises:
        FileNotFoundError, ValueError, FileExistsError, BlockingIOError: as ``write_report``.
    """
    path = claims.where(directory)
    found = read(path)
    with claims.held(path):
        ownership.require(path, [PAGE])
        whole = page(found)
        files.replace(path / PAGE, lambda file: file.write_text(whole, encoding="utf-8"))
    return path / PAGE


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


def page(found: Standings) -> str:
    """The page's text."""
    from jaxopt_course.report import page as pages
    from jaxopt_course.report.markup import copyable, listed, text

    manifest, winners = found.manifest, found.winners
    metric = manifest["metric"]
    tuned = [name for name in words.sequence(manifest, "searched") if name in winners]
    tuned = [n for n in tuned if n not in (TASK, OPTIMIZER) and winners[n].nunique() > 1]
    spread = f"{metric}_std"
    best = [
        [
            str(row[TASK]),
            str(row["rank"]),
            str(row[OPTIMIZER]),
            words.number(row[metric])
            + ("" if pd.isna(row[spread]) else f" (deviation {words.number(row[spread], 2)})"),
            words.settings(row, tuned),
            str(row["at_edge"]),
        ]
        for _, row in winners.sort_values([TASK, "rank"], kind="stable").iterrows()
    ]
    title = f"Which optimizer wins on {found.optimizers['tasks'].iloc[0]} tasks?"
    columns = ("task", "rank", "optimizer", "score", "numbers", "at the edge of its range")
    note = f"{words.title(metric)} of each optimizer's winner."
    command = printable(manifest.get("command") or "")
    body = [
        f"<header><h1>{text(title)}</h1>{listed(sentences(found), 'headline')}</header><main>",
        _table(HEADER, rows_of(found), title),
        *_figures(found),
        f"<section><h2>Every task</h2><p>{text(note)}</p>{_table(columns, best, note)}</section>",
        copyable(command, words.Words(), "Command") if command else "",
        f"</main><script>{pages.plotly_js()}</script>",
    ]
    return pages.document(words.Words(), title, "\n".join(body))


def _figures(found: Standings) -> list[str]:
    """The rank diagram and its kin, where at least two optimizers meet on at least two tasks."""
    from jaxopt_course.report.figures_tasks import section
    from jaxopt_course.report.task_statistics import score_array

    if len(found.optimizers) < 2 or found.optimizers["tasks"].iloc[0] < 2:
        return []
    pair = ["seed", *words.sequence(found.manifest, "replicates")]
    how = found.manifest["metric"], found.manifest["direction"]
    return [section(score_array(found.trials, *how, pair=pair), words.Words())]


def _table(header: tuple[str, ...], rows: list[list[str]], caption: str) -> str:
    from jaxopt_course.report.markup import Cell, Head, table

    heads = [Head(name, name in NUMBERS) for name in header]
    return table(heads, [[Cell(cell) for cell in row] for row in rows], caption)
