"""A study in MLflow: a run, and a nested run a trial; see ``Study.to_mlflow``."""

import hashlib
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from jaxopt_course.exports.packages import imported
from jaxopt_course.exports.runs import Run, Whole, results
from jaxopt_course.records.files import a_path

BATCH = 1000  # metrics of one call, MLflow's limit; of parameters it is 100
FEW = 100
LONGEST = 500  # characters of a parameter that every store takes
ENDS = {"finished": "FINISHED", "converged": "FINISHED", "diverged": "FAILED"}  # others: KILLED
MARK = "jaxopt_course.name_sha256"  # a tag of the parent, by which it is known again


def store_of(store: str | Path) -> str:
    """The address of a store: of a SQLite file that need not be there yet, or as it is given.

    Raises:
        FileNotFoundError, IsADirectoryError: the file cannot be there.
        ValueError: it is something else than a data base of MLflow's.
    """
    if isinstance(store, str) and "://" in store:
        return store
    file = a_path(store, "store").resolve()
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a directory; name a file in it, as {file}/mlflow.db")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {file.parent} for {file.name}")
    if file.exists() and not file.is_file():
        raise ValueError(f"{file} is a pipe or a device, not a data base of MLflow's")
    if file.exists() and file.stat().st_size:
        _check_base(file)
    return f"sqlite:///{file}"


def _check_base(file: Path) -> None:
    """MLflow would put its tables into whatever data base it is given."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as base:
            names = {name for (name,) in base.execute("select name from sqlite_master")}
    except sqlite3.Error as error:
        raise ValueError(f"{file} is no data base of MLflow's: {error}") from None
    if names and not {"experiments", "runs"} <= names:
        raise ValueError(f"{file} is a data base, but none of MLflow's; give another file")


def _refuse_closed(file: Path) -> None:
    """MLflow would try for minutes to write where nothing can be written."""
    try:
        with closing(sqlite3.connect(file)) as base:
            base.execute("begin immediate")
    except sqlite3.Error as error:
        raise PermissionError(f"{file} cannot be written ({error}); give another file") from None


def export(store: str | Path, experiment: str, name: str, whole: Whole, runs: list[Run]) -> str:
    """Write the study; the parent run's id.

    Raises:
        ValueError: the experiment has a study of that name.
        PermissionError: the file cannot be written.
    """
    address, package = store_of(store), imported("mlflow", "MLflow")
    if address.startswith("sqlite:///"):
        _refuse_closed(Path(address.removeprefix("sqlite:///")))
    client = package.MlflowClient(address)
    identity = _experiment(client, experiment, address)
    mark = hashlib.sha256(
        name.encode()
    ).hexdigest()  # a name may hold what a query takes for its own
    if found := client.search_runs([identity], f"tags.`{MARK}` = '{mark}'", max_results=1):
        half = ", whose export was cut short or is under way: delete its runs in MLflow, or"
        raise ValueError(
            f"{store} holds a study {name!r} in the experiment {experiment!r} already"
            f"{half if found[0].info.status == 'RUNNING' else ';'} give another name=…"
        )
    made: list[str] = []

    def begin(called: str, tags: dict[str, str]) -> str:
        run = client.create_run(identity, tags={"mlflow.runName": called} | tags)
        made.append(run.info.run_id)
        return made[-1]

    try:
        parent = begin(name, {MARK: mark, **_tags(whole.facts)})
        counts = {f"trials_{status}": float(n) for status, n in whole.counts.items()}
        _log(client, parent, whole.best, [(0, counts | results(whole.measures))])
        for run in runs:
            tags = {"mlflow.parentRunId": parent, "jaxopt_course.trial": str(run.trial)}
            nested = begin(run.name, tags | {"jaxopt_course.status": run.status})
            ended = (run.last_step, results(run.measures))
            _log(client, nested, run.settings, [*run.curve, ended])
            client.set_terminated(nested, ENDS.get(run.status, "KILLED"))
        client.set_terminated(parent, "FINISHED")
    except BaseException as error:
        error.add_note(f"while the study was written to {store}; its runs are deleted again")
        for run_id in made:  # half a study would be taken for one
            client.delete_run(run_id)
        raise
    return parent


def _experiment(client: Any, name: str, address: str) -> str:
    """The id of the experiment, made if it is not there."""
    found = client.get_experiment_by_name(name)
    if found is None:
        beside = None
        if address.startswith("sqlite:///"):  # else artifacts would go to where the process is
            beside = (Path(address.removeprefix("sqlite:///")).parent / "mlartifacts").as_uri()
        return str(client.create_experiment(name, artifact_location=beside))
    if found.lifecycle_stage != "active":
        raise ValueError(
            f"the experiment {name!r} was deleted in MLflow; give another experiment=…"
        )
    return str(found.experiment_id)


def _tags(facts: dict[str, str]) -> dict[str, str]:
    return {f"jaxopt_course.{name}": fact[:5000] for name, fact in facts.items()}


def said(name: str) -> str:
    """A name as MLflow takes it, with underscores for other characters; the code tells it apart.

    >>> said("valid_loss"), said("l2 (all)")
    ('valid_loss', 'l2 _all_ 64ebdb')
    """
    kept = re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)
    if kept == name and ".." not in name and "//" not in name and name.strip("/. ") == name:
        return name
    code = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{re.sub(r'[./]', '_', kept)[:200].strip()} {code}"


def _log(
    client: Any, run: str, settings: dict[str, Any], curve: list[tuple[int, dict[str, float]]]
) -> None:
    entities = imported("mlflow.entities", "MLflow")
    now = int(time.time() * 1000)
    params = [entities.Param(said(name), str(x)[:LONGEST]) for name, x in settings.items()]
    for start in range(0, len(params), FEW):
        client.log_batch(run, params=params[start : start + FEW])
    metrics = [
        entities.Metric(said(name), value, now, step)
        for step, values in curve
        for name, value in values.items()
    ]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run, metrics=metrics[start : start + BATCH])
