"""A study in Weights & Biases, offline: a run a trial, in one group; see ``Study.to_wandb``."""

from pathlib import Path
from typing import Any

from jaxopt_course.exports.packages import imported
from jaxopt_course.exports.runs import Run, Whole, config, results

# The study says what it was made with: no code, no packages, no load of this machine.
QUIET: dict[str, Any] = {"silent": True, "console": "off", "disable_git": True}
QUIET |= {"disable_code": True, "x_disable_stats": True, "x_disable_meta": True}
QUIET |= {"x_disable_machine_info": True, "x_save_requirements": False}


def export(
    directory: str | Path, project: str, name: str, whole: Whole, runs: list[Run]
) -> list[Path]:
    """Write the runs; the directory of each, in the order of the trials.

    Raises:
        NotADirectoryError: the directory is a file.
    """
    wandb = imported("wandb", "Weights & Biases")
    path = Path(directory).expanduser().resolve()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; name a directory")
    path.mkdir(parents=True, exist_ok=True)
    known = wandb.Settings.model_fields
    quiet = wandb.Settings(**{name: x for name, x in QUIET.items() if name in known})
    found = []
    for run in runs:
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
        try:
            for step, values in run.curve:
                made.log(values, step=step)
            told = {**results(run.measures), "trial": run.trial, "status": run.status}
            made.summary.update(told)
        finally:
            made.finish()
        found.append(Path(made.settings.sync_dir))
    return found
