"""The report in the terminal: a table of the winners and what it means in sentences."""

from pathlib import Path
from typing import TYPE_CHECKING

from jaxopt_course.messages import printable
from jaxopt_course.report import verdict
from jaxopt_course.report.findings import Findings, read

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, OverflowMethod


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

    def text(said: str, overflow: "OverflowMethod | None" = None) -> Text:
        """Text, not str: a name may hold what rich reads as markup, or a terminal as orders."""
        return Text(printable(said), overflow=overflow)

    findings = study if isinstance(study, Findings) else read(study)
    console = console or Console()
    header, rows = verdict.ranking_table(findings, edge="*")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for i, column in enumerate(header):
        whole = any("±" in row[i] for row in rows)  # an estimate is not broken over two lines
        justify: JustifyMethod = "right" if column.numeric else "left"
        name = "\n".join(printable(column.short).split(" "))
        table.add_column(Text(name), justify=justify, no_wrap=whole)
    for place, row in enumerate(rows):
        cells = [text(cell, overflow="fold") for cell in row]
        table.add_row(*cells, style="bold" if place == 0 else "")
    console.print(table)
    console.print()
    console.print(text(verdict.legend(findings)), style="dim")
    console.print(text(verdict.headline(findings)), style="bold")
    for sentence in verdict.remarks(findings):
        console.print(text(sentence))
