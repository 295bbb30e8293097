"""``report``: the report of a study on disk, again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.outcome import show


@dataclass(frozen=True)
class Report(Asked):
    """Print the report of a study again, and write its page and figures anew."""

    directory: Annotated[Path, tyro.conf.Positional]
    """What --out of compare was."""
    lang: Literal["en", "es"] = "en"
    """The language of the report: English or Spanish."""


def report(arguments: Report) -> Answer:
    """Print and write the report of a study on disk."""
    return show(arguments.directory, language=arguments.lang)
