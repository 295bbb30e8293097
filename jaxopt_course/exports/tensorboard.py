"""A study for TensorBoard: a directory of events a trial, with HParams; see its method of Study."""

import shutil
from pathlib import Path
from typing import Any

from jaxopt_course.exports.packages import a_path, imported
from jaxopt_course.exports.runs import Run, Whole, results


def export(directory: str | Path, metric: str, whole: Whole, runs: list[Run]) -> Path:
    """Write the events; the directory, for ``tensorboard --logdir``.

    HParams lists the settings of each trial with ``result/<measure>``; the study's metric is first.

    Raises:
        FileExistsError: the directory holds something.
        NotADirectoryError: it is a file.
    """
    imported("tensorboardX", "tensorboardX")
    path = a_path(directory, "directory").resolve()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; name a directory")
    if path.is_dir() and any(path.iterdir()):
        raise FileExistsError(f"{path} is not empty, and nothing in it is replaced; name another")
    there = path.is_dir()
    try:
        _write(path, metric, whole, runs)
    except BaseException:  # half a study would be taken for one
        for made in [*path.iterdir()] if path.is_dir() else []:
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        if not there and path.is_dir():
            path.rmdir()
        raise
    return path


def _write(path: Path, metric: str, whole: Whole, runs: list[Run]) -> None:
    board = imported("tensorboardX", "tensorboardX")
    summary = imported("tensorboardX.summary", "tensorboardX")
    text = "\n".join(f"    {name}: {fact}" for name, fact in whole.facts.items())
    with board.SummaryWriter(str(path)) as writer:
        writer.add_text("study", text)
    for run in runs:
        measures = results(_ordered(run.measures, metric))
        with board.SummaryWriter(str(path / run.name)) as writer:
            for one in summary.hparams(_kinds(run), dict.fromkeys(measures, 0.0)):
                writer.file_writer.add_summary(one)
            for step, values in run.curve:
                for name, value in values.items():
                    writer.add_scalar(name, value, step)
            for name, value in measures.items():
                writer.add_scalar(name, value, run.last_step)


def _ordered(measures: dict[str, float], metric: str) -> dict[str, float]:
    return {name: measures[name] for name in sorted(measures, key=lambda name: name != metric)}


def _kinds(run: Run) -> dict[str, Any]:
    """Settings as HParams knows them: switches, numbers and text."""
    known = (bool, int, float, str)
    settings = {**run.settings, "trial": run.trial, "status": run.status}
    return {name: x if isinstance(x, known) else str(x) for name, x in settings.items()}
