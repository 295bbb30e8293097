"""``replay``: one trial again, compared bit for bit."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.own_table import Table, made_of
from jaxopt_course.cli.say import say

if TYPE_CHECKING:
    from jaxopt_course.studies.replay import Replay as Again


@dataclass(frozen=True)
class Replay(Asked, Table):
    """Train one trial of a study again and compare its curves bit for bit."""

    directory: Annotated[Path, tyro.conf.Positional]
    """What --out was."""
    trial: Annotated[int, tyro.conf.Positional]
    """Its number in trials.csv."""
    file: str | None = None
    """FILE.py or FILE.py:NAME, where the study is of a task of your own."""
    no_cache: bool = False
    """Compile anew, and keep nothing of it for the next command."""


def replay(arguments: Replay) -> Answer:
    """Train a trial again; the code is 1 if its curves are others."""
    from jaxopt_course.devices import use_cpu_cores

    use_cpu_cores()
    import pandas as pd

    from jaxopt_course.studies.study import Study

    study = Study.load(arguments.directory)
    task, optimizer = made_of(arguments)
    again = study.replay(arguments.trial, task=task, optimizer=optimizer, progress=True)
    row = study.trials.set_index("trial").loc[arguments.trial]
    settings = ", ".join(
        f"{name} {row[name]}"
        for name in [*study.manifest["searched"], "seed"]
        if not pd.isna(row[name])
    )
    say(f"trial {arguments.trial} ({settings}): {row['status']}")
    for name, curve in again.curves.data_vars.items():
        same = "other" if name in again.different else "the same bits"
        if not again.exact:
            same += f", {again.deviations[str(name)]:.2g} apart at most, of the largest"
            same = same.replace("the same bits", "the same to rounding")
        say(f"  {name}: {int(curve.notnull().sum())} readings, {same}")
    if not again.exact:
        say(
            "to rounding, as the versions or the CPU are others, unlike nodes trained it, or the "
            "machine does not repeat its bits"
        )
    return Answer(
        lambda: document(arguments, again, row["status"]), code=int(bool(again.different))
    )


def document(arguments: Replay, again: "Again", status: str) -> dict[str, Any]:
    """``curves``: of each its readings, whether it is the same, and how far apart at most."""
    curves = {
        str(name): {
            "readings": int(curve.notnull().sum()),
            "same": name not in again.different,
            "deviation": again.deviations.get(str(name), 0.0),
        }
        for name, curve in again.curves.data_vars.items()
    }
    return {
        "directory": arguments.directory,
        "trial": arguments.trial,
        "status": status,
        "identical": again.identical,
        "exact": again.exact,
        "curves": curves,
    }
