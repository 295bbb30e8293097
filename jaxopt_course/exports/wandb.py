"""A study in Weights & Biases, offline: a run a trial, in one group; see ``Study.to_wandb``."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from jaxopt_course.exports.packages import a_directory, imported
from jaxopt_course.exports.runs import Run, Whole, config, results
from jaxopt_course.records.files import make_named

# The study says what it was made with: no code, no packages, no load of this machine.
MARK = "jaxopt_course.json"  # beside what W&B wrote of a run, by which its study is known again
QUIET: dict[str, Any] = {"silent": True, "console": "off", "disable_git": True}
QUIET |= {"disable_code": True, "x_disable_stats": True, "x_disable_meta": True}
QUIET |= {"x_disable_machine_info": True, "x_save_requirements": False}


def export(
    directory: str | Path, project: str, name: str, whole: Whole, runs: list[Run]
) -> list[Path]:
    """Write the runs; the directory of each, in the order of the trials.

    Raises:
        NotADirectoryError: the directory is a file.
        FileExistsError: it has a study of that name in that project.
    """
    wandb = imported("wandb", "Weights & Biases")
    path = a_directory(directory)
    _refuse_known(path, {"project": project, "study": name})
    make_named(path, "runs")
    known = wandb.Settings.model_fields
    quiet = wandb.Settings(**{name: x for name, x in QUIET.items() if name in known})
    found: list[Path] = []
    try:
        for run in runs:
            _write(wandb, quiet, path, project, name, whole, run, found)
    except BaseException:
        for one in found:  # half a study would be taken for one
            shutil.rmtree(one, ignore_errors=True)
        raise
    for one in found:  # the study is whole
        (one / MARK).write_text(json.dumps({"project": project, "study": name}), encoding="utf-8")
    return found


def _refuse_known(path: Path, study: dict[str, str]) -> None:
    """Nothing of an offline run can be read back but by wandb's own server, so each has a mark."""
    for mark in path.glob(f"wandb/*/{MARK}"):
        there = None
        with contextlib.suppress(OSError, ValueError):  # another's file
            there = json.loads(mark.read_text(encoding="utf-8"))
        if there == study:
            raise FileExistsError(
                f"{path} holds a study {study['study']!r} of the project {study['project']!r} "
                "already, and both would be sent; give another name=…"
            )


def _write(
    wandb: Any,
    quiet: Any,
    path: Path,
    project: str,
    name: str,
    whole: Whole,
    run: Run,
    found: list[Path],
) -> None:
    made = wandb.init(
        project=project,
        group=name,
        job_type="trial",
        name=run.name,
        tags=[run.status],
        config=config(name, whole, run),
        dir=str(path),
        mode="offline",
        reinit="create_new",  # whatever run the caller has open stays open
        settings=quiet,
    )
    found.append(Path(made.settings.sync_dir))
    try:
        for step, values in run.curve:
            made.log(values, step=step)
        told = {**results(run.measures), "trial": run.trial, "status": run.status}
        made.summary.update(told)
    finally:
        made.finish()
