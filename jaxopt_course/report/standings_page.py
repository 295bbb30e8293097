"""The page of a study of several tasks: ranks, figures of these, and every task's winners."""

from pathlib import Path

import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.records import claims, files, ownership
from jaxopt_course.records.format import PAGE
from jaxopt_course.report import page as pages
from jaxopt_course.report import verdict, words
from jaxopt_course.report.commands import to_copy
from jaxopt_course.report.figures_tasks import section
from jaxopt_course.report.markup import Cell, Head, copyable, listed, table, text
from jaxopt_course.report.standings import HEADER, NUMBERS, Standings, read, rows_of, sentences
from jaxopt_course.report.tables import OPTIMIZER, TASK, settled
from jaxopt_course.report.task_statistics import score_array

COLUMNS = ("task", "rank", "optimizer", "score", "numbers", "at the edge of its range")


def write_standings(directory: str | Path, language: str = "en") -> Path:
    """Write ``report.html`` into a study's directory.

    Args:
        directory: of a study of several tasks.
        language: "en" or "es".

    Raises:
        FileNotFoundError, ValueError, FileExistsError, BlockingIOError: as ``write_report``.
    """
    path = claims.where(directory)
    found = read(path, language)
    with claims.held(path):
        ownership.require(path, [PAGE])
        whole = page(found)
        files.replace(path / PAGE, lambda file: file.write_text(whole, encoding="utf-8"))
    return path / PAGE


def page(found: Standings) -> str:
    """The page's text."""
    w = found.words
    tasks = int(found.optimizers["tasks"].iloc[0])
    title = w.say("Which optimizer wins on {tasks}?", tasks=w.counted(tasks, "task"))
    metric = w.title(found.manifest["metric"])
    note = words.capital(w.say("{metric} of each optimizer's winner.", metric=metric))
    command = printable(to_copy(str(found.manifest.get("command") or "")))
    ranks = [[Cell(cell) for cell in row] for row in rows_of(found)]
    body = [
        f"<header><h1>{text(title)}</h1>{listed(sentences(found), 'headline')}</header><main>",
        table([Head(w.say(name), name in NUMBERS) for name in HEADER], ranks, title),
        *_figures(found),
        f"<section><h2>{text(w.say('Every task'))}</h2><p>{text(note)}</p>",
        table([Head(w.say(name), name in NUMBERS) for name in COLUMNS], _winners(found), note),
        "</section>",
    ]
    if command:
        made = f"<section><h2>{text(w.say('How it was made'))}</h2>"
        body.append(f"{made}{copyable(command, w, w.say('Command'))}</section>")
    body.append(f"</main><script>{pages.plotly_js()}</script>")
    return pages.document(w, title, "\n".join(body))


def _winners(found: Standings) -> list[list[Cell]]:
    """A row a task and optimizer, task by task in the order of their ranks."""
    w, winners, metric = found.words, found.winners, found.manifest["metric"]
    tuned = [name for name in words.sequence(found.manifest, "searched") if name in winners]
    tuned = [n for n in tuned if n not in (TASK, OPTIMIZER) and not settled(winners[n])]
    rows = []
    for _, row in winners.sort_values([TASK, "rank"], kind="stable").iterrows():
        score, spread = row[metric], row[f"{metric}_std"]
        said = w.number(score)
        if not pd.isna(spread):
            said += w.say(" (deviation {spread})", spread=w.number(spread, 2))
        rows.append(
            [
                Cell(str(row[TASK])),
                Cell(str(row["rank"])),
                Cell(str(row[OPTIMIZER])),
                Cell(said, None if pd.isna(score) else f"{score:.9g}"),
                Cell(words.settings(row, tuned)),
                Cell(verdict.edges_said(row["at_edge"], w)),
            ]
        )
    return rows


def _figures(found: Standings) -> list[str]:
    """The rank diagram and its kin, where at least two optimizers meet on at least two tasks."""
    if len(found.optimizers) < 2 or found.optimizers["tasks"].iloc[0] < 2:
        return []
    pair = ["seed", *words.sequence(found.manifest, "replicates")]
    how = found.manifest["metric"], found.manifest["direction"]
    return [section(score_array(found.trials, *how, pair=pair), found.words)]
