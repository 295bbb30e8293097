"""``resume``: on with a sweep that was killed or interrupted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.errors import again
from jaxopt_course.cli.outcome import confirm, seconds, show, stopped
from jaxopt_course.cli.own_table import Table, made_of
from jaxopt_course.cli.say import say
from jaxopt_course.cli.training import check_confirm, cluster_of


@dataclass(frozen=True)
class Resume(Asked, Table):
    """Go on with a sweep that was killed or interrupted; confirm its winners, and report."""

    directory: Annotated[Path, tyro.conf.Positional]
    """What --out was."""
    file: str | None = None
    """FILE.py or FILE.py:NAME, where the study is of a task of your own."""
    time_limit: float | None = None
    """Seconds after which the search ends again, as by Ctrl-C, compiling counted."""
    ray: str | None = None
    """Go on on the nodes of a Ray cluster, by its address; it need not have begun there."""
    to_rounding: bool = False
    """Go on under another JAX or CPU than the sweep's, too: the rest then agrees to rounding."""
    confirm: int = 8
    """Fresh seeds on which each optimizer's winner is trained again; 0 for none."""
    lang: Literal["en", "es"] = "en"
    """The language of the report: English or Spanish."""
    no_cache: bool = False
    """Compile anew, and keep nothing of it for the next command."""


def resume(arguments: Resume) -> Answer:
    """Go on where the last checkpoint is, then report."""
    from jaxopt_course.devices import use_cpu_cores

    use_cpu_cores()
    from jaxopt_course.studies.study import Study, SweepInterrupted

    check_confirm(arguments.confirm)
    try:
        task, optimizer = made_of(arguments)
        study = Study.resume(
            arguments.directory,
            task=task,
            optimizer=optimizer,
            time_limit=arguments.time_limit,
            cluster=cluster_of(arguments.ray),
            exact=not arguments.to_rounding,
        )
        try:
            confirm(study, arguments.confirm, verbose=False, task=task, optimizer=optimizer)
        except ValueError as error:  # an own task, or other versions: the search is there anyway
            say(f"jaxopt-course: not confirmed: {again(error, arguments)}", error=True)
    except SweepInterrupted as stop:
        return stopped(stop, arguments.directory, arguments.lang)
    took = seconds()
    return show(arguments.directory, 0, arguments.lang, interrupted=False, seconds=took)
