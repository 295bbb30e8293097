"""A study's session made again from what is on disk, and checked to be the same.

All that can be judged without compiling is judged first.
"""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.problems.alike import measured
from jaxopt_course.problems.catalog import has_name, load_task, task_of
from jaxopt_course.problems.tasks import Task
from jaxopt_course.records import checkpoints
from jaxopt_course.records.checkpoints import Question
from jaxopt_course.records.format import WENT_ON, table_sha256
from jaxopt_course.studies.carried import Carried
from jaxopt_course.studies.joining import belong, own_rows
from jaxopt_course.studies.made_with import (
    MADE_WITH,
    GiveAgain,
    changed_versions,
    made_on,
    refuse,
)
from jaxopt_course.studies.meshes import check_divides, devices_again
from jaxopt_course.studies.seen import seen_of
from jaxopt_course.studies.session import Session
from jaxopt_course.studies.starts import Starts
from jaxopt_course.tables.buckets import Bucket, Table
from jaxopt_course.tables.budgets import epoch_of
from jaxopt_course.tables.columns import check_columns
from jaxopt_course.tables.recipes import RECIPES
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask, arguments_of, label_of, make_task, with_static
from jaxopt_course.train import budget_of


def recall(
    manifest: Mapping[str, Any],
    trials: pd.DataFrame,
    task: AnyTask | None = None,
    optimizer: Optimizer = None,
    devices: Sequence[Any] | None = None,
    exact: bool = True,
    start: Any = None,
) -> Session:
    """Prepare the session of a study again: the same programs, widths and columns.

    Args:
        manifest: of the study, or of a sweep that was cut short.
        trials: its table; columns of results are passed over.
        task: what JSON cannot hold, an own task; default the registered one of that name.
        optimizer: own functions of the row, as they were given to ``sweep``.
        devices: or slices of a mesh; default as ``devices_again``.
        exact: whether another compiler or CPU is refused; without, programs may be others.
        start: weights, as they were given to ``sweep``; default the file that the manifest names.

    Raises:
        TypeError: ``exact`` is neither True nor False.
        GiveAgain: an own task or own functions, which must be given.
        OtherVersions: of the compiler or the CPU, where they are refused.
        ValueError: something is not what it was; the message names it.
    """
    _check_table(manifest, trials)
    changed = changed_versions(manifest)
    refuse(changed, exact)
    devices = devices_again(manifest, None, None) if devices is None else list(devices)
    _check_device(manifest, devices)
    entries = manifest["buckets"]
    tasks: dict[str, Task] = {}
    buckets = []
    for entry in entries:
        try:
            buckets.append(_bucket(entry, trials, task, optimizer, tasks, manifest["command"]))
        except GiveAgain:
            raise
        except (TypeError, ValueError) as error:
            if not entry["static"]:
                raise
            label = label_of(entry["static"])
            raise type(error)(f"of the trials with {label}: {error}") from error
    names = tuple(manifest["hyperparameters"])
    table = Table(
        trials[["trial", "id", *names, "seed", "duplicate_of"]],
        names,
        tuple(manifest["searched"]),
        tuple(manifest["static"]),
        tuple(buckets),
        set(),
        set(),
        tuple(manifest.get("replicates", ())),
    )
    check_divides(devices, table)
    table, carried = _carried(manifest, table, start)
    lengths = dict(manifest.get("asked") or {})
    if lengths and not any(_limited(entry["budget"]) for entry in entries):
        lengths["diverges_above"] = float("inf")  # as asked, or of a time before the default
    equal = lengths.pop("equal", None)
    return Session(
        buckets[0].task if task is None else task,
        optimizer,
        table,
        (manifest["metric"], manifest["direction"]),
        tuple(devices),
        tuple(entry["lanes"] for entry in entries),
        tuple(entry.get("plan") for entry in entries),
        lengths or None,
        equal,
        tuple(entries),
        not changed,
        _examples(entries, trials),
        carried=carried,
        seen=seen_of(manifest),
    )


def going_on(path: Path, question: Question, session: Session) -> dict[str, Any]:
    """What a sweep that goes on was asked with; kept there, should the compiler be another one.

    What comes of it is then the earlier readings' to rounding.
    """
    settings = dict(question.settings)
    trained = all(entry["program_sha256"] for entry in settings["buckets"])
    if not session.exact and trained:
        now = made_on(session.devices[0])
        mine = {name: now[name] for name in MADE_WITH}
        settings[WENT_ON] = [*settings.get(WENT_ON, []), mine]
        checkpoints.note(path, settings[WENT_ON])
    return settings


def _limited(budget: Mapping[str, Any]) -> bool:
    """Whether a finite loss can be a divergence."""
    return any(budget.get(name) is not None for name in ("diverges_above", "diverges_times"))


def _carried(manifest: Mapping[str, Any], table: Table, start: Any) -> tuple[Table, Carried]:
    """What the trials were given and what stays of them, checked to be what it was."""
    keep, was = int(manifest.get("keep") or 0), manifest.get("start")
    more = manifest.get("continues"), manifest.get("score", "last"), manifest.get("part")
    if was is None:
        if start is not None:
            raise ValueError("the study's trials start as the task makes them, without start=")
        return table, Carried(keep, None, *more)
    given = was.get("path") if start is None else start
    if given is None:
        raise GiveAgain("start", "weights to start from")
    starts = Starts(given)
    same = starts.identified(table)
    if same.trials["id"].tolist() != table.trials["id"].tolist():
        raise ValueError(
            "the weights of start= are not those from which the study's trials started"
        )
    return same, Carried(keep, starts, *more)


def _examples(entries: Sequence[Mapping[str, Any]], trials: pd.DataFrame) -> pd.DataFrame | None:
    """The examples of all buckets, with their static values."""
    rows = [one | entry["static"] for entry in entries for one in entry.get("examples", [])]
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    return frame.astype({name: trials[name].dtype for name in frame if name in trials})


def _bucket(
    entry: Mapping[str, Any],
    trials: pd.DataFrame,
    task: AnyTask | None,
    optimizer: Optimizer,
    tasks: dict[str, Task],
    command: str,
) -> Bucket:
    """A bucket as it was, of its entry in the manifest and its share of the table."""
    static = entry["static"]
    mine = own_rows(trials, entry)
    one = _task(entry["task"], task, static, trials, tasks, command)
    own = sorted({name for name in entry["optimizers"] if name not in RECIPES})
    if own and optimizer is None:
        raise GiveAgain("optimizer", f"own functions ({', '.join(own)})")
    columns = [*entry["hyperparameters"], "seed"]
    table = mine[columns]
    if examples := entry.get("examples"):  # they shape the program beside the trials
        like = pd.DataFrame(examples, columns=columns).astype({**dict(table.dtypes)})
        table = pd.concat([table, like], ignore_index=True)
    function = with_static(optimizer, static)
    if callable(function):
        table = table.drop(columns="optimizer", errors="ignore")
    budget = budget_of(
        one.train,
        **{k: entry["budget"][k] for k in ("batch_size", "record_every", "evaluate_every")},
        steps=entry["budget"]["steps"],
        diverges_above=entry["budget"].get("diverges_above"),
        diverges_times=entry["budget"].get("diverges_times"),  # of older studies: infinity
        diverges_after=entry["budget"].get("diverges_after"),
    )._replace(epochs=entry["budget"].get("epochs"))
    with warnings.catch_warnings():  # said when the study was made
        warnings.filterwarnings("ignore", message=".* repeat an earlier one")
        given = [] if task is None else arguments_of(task, static)
        own_static = {name: x for name, x in static.items() if name not in given}
        epoch = epoch_of(budget, one)
        checked = check_columns(table, function, budget.steps, one, own_static, epoch)
    if list(checked.optimizers) != list(entry["optimizers"]):
        raise ValueError(
            f"the optimizers were {entry['optimizers']}, now they are {list(checked.optimizers)}"
        )
    if list(checked.hyperparameters) != list(entry["hyperparameters"]):
        raise ValueError(
            f"the columns were {entry['hyperparameters']}, now they are "
            f"{list(checked.hyperparameters)}"
        )
    names = ["trial", "id", *entry["hyperparameters"], "seed", "duplicate_of"]
    checked = dataclasses.replace(checked, searched=tuple(entry["searched"]), trials=mine[names])
    return Bucket(dict(static), np.flatnonzero(belong(trials, static)), one, budget, checked)


def _task(
    was: Mapping[str, Any],
    given: AnyTask | None,
    static: Mapping[str, Any],
    trials: pd.DataFrame,
    tasks: dict[str, Task],
    command: str,
) -> Task:
    """The task of a bucket, checked to be the one that it was."""
    name = was["name"]
    if given is None and not has_name(name):
        raise GiveAgain("task", f"an own task ({name!r})")
    if given is None:
        if name not in tasks:
            tasks[name] = measured(load_task(name), was["metrics"])
        task = tasks[name]
    else:
        task = make_task(given, static, trials) if static else task_of(given)
    if task.name != name:
        raise ValueError(f"the task is {task.name!r}, the study's is {name!r}")
    if task.split_sha256 != was.get("split_sha256"):
        raise ValueError(
            f"the data of the task {name!r} are not those of the study, which was made by: "
            f"{command}"
        )
    if list(task.directions.items()) != list(was["metrics"].items()):
        raise ValueError(f"the task's metrics are {task.directions}, the study's {was['metrics']}")
    return task


def _check_table(manifest: Mapping[str, Any], trials: pd.DataFrame) -> None:
    same = table_sha256(trials, manifest["hyperparameters"]) == manifest["trials_sha256"]
    if len(trials) != manifest["trials"] or not same:
        raise ValueError(
            "the table of trials is not the one of the study: a row, a hyperparameter or a seed "
            "was edited; put it back as it was, or sweep the new table into another directory"
        )


def _check_device(manifest: Mapping[str, Any], devices: Sequence[Any]) -> None:
    was = manifest["platform"].get("backend"), manifest["platform"].get("device_kind")
    for device in devices:
        if (now := (device.platform, device.device_kind)) != was:
            raise ValueError(
                f"the study was made on {was[0]} ({was[1]}), and {device} is {now[0]} ({now[1]}): "
                "its trials would not be the same; sweep the table anew into another directory"
            )
