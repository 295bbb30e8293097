"""``report``: the report of a study on disk, again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.outcome import show
from jaxopt_course.cli.say import say


@dataclass(frozen=True)
class Report(Asked):
    """Print the report of a study again, and write its page and figures anew; or compare two.

    jaxopt-course report runs/digits-1

    jaxopt-course report runs/digits-1 runs/digits-2 --page both.html
    """

    directory: Annotated[Path, tyro.conf.Positional]
    """What --out of compare was."""
    other: Annotated[Path | None, tyro.conf.Positional] = None
    """A second study, to compare with the first: then no page is written but --page."""
    page: Path | None = None
    """Of two studies: where to write their page."""
    overwrite: bool = False
    """Whether a file that --page names may be replaced."""
    lang: Literal["en", "es"] = "en"
    """The language of the report: English or Spanish."""


def report(arguments: Report) -> Answer:
    """Print and write the report of a study on disk, or of two side by side."""
    if arguments.other is None:
        if arguments.page is not None:
            raise ValueError("--page is for two studies: that of one stands in its directory")
        return show(arguments.directory, language=arguments.lang)
    from jaxopt_course.report import two
    from jaxopt_course.report.findings import read

    a, b = (read(path, arguments.lang) for path in (arguments.directory, arguments.other))
    two.print_two(a, b)
    if arguments.page is not None:
        say("", two.write_two(a, b, arguments.page, arguments.overwrite))
    return Answer(lambda: two.document(a, b))
