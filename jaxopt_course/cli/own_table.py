"""A table of one's own: the arguments that name it, and the task it makes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxopt_course.problems.tasks import Task

DIGITS = "digits"  # the task unless another is named


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of one's own, in place of a task."""

    csv: Path | None = None
    """A table to learn from instead: a CSV file whose first line names the columns."""
    target: str | None = None
    """The column of --csv to predict; text and few whole numbers are classes, others numbers."""
    drop: tuple[str, ...] = ()
    """Columns of --csv to leave out, as names and dates."""


def table_of(arguments: Table) -> "Task | None":
    """The task that --csv makes, if it is given."""
    if arguments.csv is None:
        if arguments.target is not None or arguments.drop:
            raise ValueError("--target and --drop are of a table: give --csv FILE too")
        return None
    from jaxopt_course.problems.tables import read_table, table_task

    if getattr(arguments, "task", DIGITS) != DIGITS:
        raise ValueError("give either --task or --csv, not both")
    if arguments.target is None:
        columns = ", ".join(map(str, read_table(arguments.csv).columns))
        raise ValueError(f"which column is to be predicted? --target: one of {columns}")
    return table_task(arguments.csv, arguments.target, drop=arguments.drop)
