"""A table of one's own: the arguments that name it, and the task it makes."""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from jaxopt_course.problems.tasks import Task

DIGITS = "digits"  # the task unless another is named


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of one's own, in place of a task."""

    csv: Path | None = None
    """A table to learn from instead: a CSV file whose first line names the columns; - is standard
    input."""
    target: str | None = None
    """The column of --csv to predict; text and few whole numbers are classes, others numbers."""
    drop: tuple[str, ...] = ()
    """Columns of --csv to leave out, as names and dates."""
    kind: Literal["auto", "classification", "regression"] = "auto"
    """What --target is, where it is not to be told by its values."""
    positive: str | None = None
    """Of a --target of two classes the one that F1 and AUC look for; default the second."""
    dates: tuple[str, ...] = ()
    """Columns of --csv that become year, month, day, weekday; NAME=%d/%m/%Y gives a format."""
    leave_out: tuple[Literal["empty", "rare"], ...] = ()
    """Rows of --csv to leave out: those without a target, those of classes with fewer than 5."""
    sep: str | None = None
    """What splits the cells of --csv: a character, tab or blank; default what splits them best."""
    encoding: str | None = None
    """Of --csv, as cp1252; default UTF-8."""
    decimal: Literal[".", ","] | None = None
    """The mark before decimals in --csv; default what its numbers say."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether the first line of --csv names its columns; else they are column 1, column 2, ..."""


def table_of(arguments: Table, name: str | None = None) -> "Task | None":
    """The task that --csv makes, if it is given; called ``name``, default as the file is."""
    given = [
        f"--{field.name.replace('_', '-')}"
        for field in fields(Table)
        if field.name != "csv" and getattr(arguments, field.name) != field.default
    ]
    if arguments.csv is None:
        if given:
            some = " and ".join(given)
            be = "is" if len(given) == 1 else "are"
            raise ValueError(f"{some} {be} of a table: give --csv FILE too")
        return None
    from jaxopt_course.problems.catalog import has_name
    from jaxopt_course.problems.csv.content import Origin, StandardInput, stem
    from jaxopt_course.problems.tables import read_table, table_task

    if getattr(arguments, "task", (DIGITS,)) != (DIGITS,):
        raise ValueError("give either --task or --csv, not both")
    source: Origin = StandardInput() if str(arguments.csv) == "-" else arguments.csv
    header = {"auto": None, "yes": True, "no": False}[arguments.header]
    file: dict[str, Any] = {
        "sep": arguments.sep,
        "encoding": arguments.encoding,
        "decimal": arguments.decimal,
        "header": header,
    }
    if arguments.target is None:
        columns = ", ".join(map(str, read_table(source, **file).columns))
        raise ValueError(f"which column is to be predicted? --target: one of {columns}")
    own = stem(source)  # no study of one's own wine.csv may be taken for one of the wine
    return table_task(
        source,
        arguments.target,
        name=name or (f"{own}_csv" if has_name(own) else None),
        drop=arguments.drop,
        kind=arguments.kind,
        positive=arguments.positive,
        dates=arguments.dates,
        leave_out=arguments.leave_out,
        **file,
    )


def made_of(arguments: Any) -> tuple[Any, Any]:
    """The task and the optimizer that a study was made of, where files could not hold them.

    Args:
        arguments: a command's, with the table's, ``file`` and ``directory``.

    Raises:
        ValueError: a table and a file.
    """
    from jaxopt_course.cli.own_file import asked_of, given_again, name_of

    # Its data say whether it is the table; its file may have been renamed, or was never known.
    name = None if arguments.csv is None else name_of(asked_of(arguments.directory))
    task = table_of(arguments, name)
    if task is not None and arguments.file is not None:
        raise ValueError("give either --csv or --file, not both")
    if task is not None:
        return task, None
    return given_again(arguments.file, arguments.directory)


def table_words(command: str) -> list[str]:
    """The words of a command that name its table, as ``["--csv", "my table.csv", ...]``.

    Of a sweep of a task in a file, ``["--file", "mine.py"]``.

    Args:
        command: as a manifest has it; anybody may have written there, so nothing else is taken.
    """
    known = {f"--{field.name.replace('_', '-')}" for field in fields(Table)}
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that nothing closes
        return []
    if words[1:2] == ["sweep"] and len(words) > 2 and not words[2].startswith("-"):
        return ["--file", words[2]]
    taken, ours = [], False
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            name = name.replace("_", "-")
            ours = name in known
            taken += [name, *([value] if equals else [])] if ours else []
        elif ours:
            taken.append(word)
    return taken if "--csv" in taken else []


def tell(task: "Task", asked: Table) -> None:
    """Print what became of the table: its rows, classes and columns."""
    from jaxopt_course.cli.say import say
    from jaxopt_course.cli.spoken import spoken
    from jaxopt_course.problems.csv.telling import lines

    say(*(spoken(line, asked) for line in lines(task.about)))
