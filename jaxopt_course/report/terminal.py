"""The report in the terminal: a table of the winners and what it means in sentences."""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxopt_course.messages import printable
from jaxopt_course.report import verdict
from jaxopt_course.report.findings import Findings, read

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod

SHORTEST = 12  # names are not broken into lines shorter than this
HYPHENATED = {"diverged": ["di-", "verged"], "divergió": ["diver-", "gió"]}


def print_report(study: str | Path | Findings, console: "Console | None" = None) -> None:
    """Print a row an optimizer, best first, then who wins and what to mind.

    Args:
        study: its directory, or what was read from it.
        console: where to print; standard output if none is given.

    Raises:
        FileNotFoundError: the directory holds no study.
        ValueError: the study is of another format, or its manifest contradicts its table.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def text(said: str) -> Text:
        """Text, not str: a name may hold what rich reads as markup, or a terminal as orders."""
        return Text(printable(said))

    findings = study if isinstance(study, Findings) else read(study)
    console = console or Console()
    clock = True
    header, rows = _broken(findings, clock)
    heads = [printable(column.short).split(" ") for column in header]
    longest = max(len(text) for text in [*heads[1], *(row[1] for row in rows)])
    if _room(heads, rows, console.width, 1) < longest:
        clock = False  # it stands in a sentence too; names are not broken for it
        header, rows = _broken(findings, clock)
        heads = heads[: len(header)]
    hidden: list[str] = []  # numbers of the winners, the last first; the page has them all
    while len(findings.tuned) - len(hidden) > 1 and _room(heads, rows, console.width, 1) < SHORTEST:
        place = 1 + len(findings.tuned) - len(hidden)
        hidden.insert(0, findings.tuned[len(findings.tuned) - len(hidden) - 1])
        header, heads = [[*of[:place], *of[place + 1 :]] for of in (header, heads)]
        rows = [[*row[:place], *row[place + 1 :]] for row in rows]
    gap = 2 if _room(heads, rows, console.width, 2) >= longest else 1
    if gap == 1:
        heads = [HYPHENATED.get(head[0], head) if len(head) == 1 else head for head in heads]
    room = max(_room(heads, rows, console.width, gap), SHORTEST)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
    for i, column in enumerate(header):
        whole = any("±" in row[i] for row in rows)  # an estimate is not broken over two lines
        justify: JustifyMethod = "right" if column.numeric else "left"
        table.add_column(Text("\n".join(heads[i])), justify=justify, no_wrap=whole)
    for place, (rank, name, *rest) in enumerate(rows):
        cells = [Text(rank), Text(in_lines(printable(name), room), overflow="fold")]
        cells += [Text(cell, overflow="fold") for cell in rest]
        table.add_row(*cells, style="bold" if place == 0 else "")
    console.print(table)
    console.print()
    console.print(text(verdict.legend(findings, clock)), style="dim")
    console.print(text(verdict.headline(findings)), style="bold")
    if hidden:
        w = findings.words
        said = "No room here for {names}: the page has them."
        console.print(text(w.say(said, names=w.listed(hidden))))
    for sentence in verdict.remarks(findings):
        console.print(text(sentence))


def _broken(findings: Findings, clock: bool) -> tuple[list[verdict.Column], list[list[str]]]:
    """The table of winners; what stands in brackets behind a number is below it."""
    header, rows = verdict.ranking_table(findings, edge="*", clock=clock)
    return header, [
        [rank, name, *(below(printable(cell)) for cell in rest)] for rank, name, *rest in rows
    ]


def below(cell: str) -> str:
    r"""A number, and under it what befell it, so that the column is not wider for that.

    >>> below("0.815 ± 0.021 (1 of 5 diverged)").split("\n")
    ['0.815 ± 0.021', '(1 of 5', 'diverged)']
    """
    number, mark, more = cell.partition(" (")
    lines = textwrap.wrap(mark.strip() + more, max(len(number), SHORTEST)) if mark else []
    return "\n".join([number, *lines])


def in_lines(name: str, most: int) -> str:
    r"""The name in lines of at most ``most`` characters, where it has marks to break it behind.

    >>> in_lines("schedule_free_adamw", 14).split("\n")
    ['schedule_free_', 'adamw']
    """
    lines = [""]
    for piece in re.findall(r"[^_+]+[_+]?|[_+]", name):
        if lines[-1] and len(lines[-1]) + len(piece) > most:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _room(
    heads: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], width: int, gap: int
) -> int:
    """What the numbers leave for the optimizers' names, the second column."""
    columns = zip(heads, zip(*rows, strict=True), strict=True)
    widths = [
        max(len(line) for text in [*head, *cells] for line in text.split("\n"))
        for head, cells in columns
    ]
    return width - sum(widths) + widths[1] - gap * (len(widths) - 1)
