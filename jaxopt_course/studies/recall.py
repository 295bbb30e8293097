"""The compiled program of a study made again from what is on disk, and checked to be the same."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import pandas as pd

from jaxopt_course.conventions.registry import REGISTERED
from jaxopt_course.problems.catalog import TASKS, load_task, task_of
from jaxopt_course.problems.downloads import split_name
from jaxopt_course.problems.tasks import Task
from jaxopt_course.studies.session import Session, describe_scheduler, table_sha256, versions
from jaxopt_course.sweeps import schedulers
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.tables.columns import check_columns
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.train import count_examples, make_budget

COMPILER = ("jax", "jaxlib")  # the versions that bits depend on, beside the program's text


def recall(
    manifest: Mapping[str, Any],
    trials: pd.DataFrame,
    task: Task | str | None = None,
    optimizer: Optimizer = None,
    devices: Sequence[Any] | None = None,
) -> Session:
    """Prepare the session of a study again: the same program, the same width, the same columns.

    Args:
        manifest: of the study, or of a sweep that was cut short.
        trials: its table; columns of results are passed over.
        task: what JSON cannot hold, an own task; default the registered one of that name.
        optimizer: own functions of the row, as they were given to ``sweep``.
        devices: default all local ones.

    Raises:
        ValueError: something is missing, or is not what it was; the message names it.
    """
    _check_table(manifest, trials)
    _check_versions(manifest)
    task = _task(manifest["task"], task)
    columns = [*manifest["hyperparameters"], "seed"]
    table = trials[columns]
    own = set(manifest["optimizers"]) - set(REGISTERED)
    if own and optimizer is None:
        raise ValueError(
            f"the study was made with own functions ({', '.join(sorted(own))}), which files cannot "
            "hold; give them again: optimizer=…"
        )
    if callable(optimizer):
        table = table.drop(columns="optimizer", errors="ignore")
    budget = make_budget(
        count_examples(task.train),
        **{k: manifest["budget"][k] for k in ("batch_size", "record_every", "evaluate_every")},
        steps=manifest["budget"]["steps"],
        diverges_above=manifest["budget"].get("diverges_above"),
    )._replace(epochs=manifest["budget"]["epochs"])
    checked = check_columns(table, optimizer, budget.steps)
    if list(checked.optimizers) != list(manifest["optimizers"]):
        raise ValueError(
            f"the optimizers were {manifest['optimizers']}, now they are {list(checked.optimizers)}"
        )
    checked = dataclasses.replace(checked, searched=tuple(manifest["searched"]))
    chosen = manifest["metric"], manifest["direction"]
    devices = jax.local_devices() if devices is None else list(devices)
    _check_device(manifest, devices)
    session = Session.prepare(task, checked, budget, chosen, manifest["lanes"], devices)
    if session.program_sha256 != manifest["program_sha256"]:
        raise ValueError(
            "the program is not the one of the study, so its trials would not be the same: the "
            "code of the task or of the optimizer has changed; sweep the table anew into another "
            "directory"
        )
    return dataclasses.replace(session, plan=manifest.get("plan"))


def scheduler_of(
    settings: Mapping[str, Any] | None, given: Scheduler | None = None
) -> Scheduler | None:
    """The scheduler that a manifest describes; ``given`` if it is described so.

    Raises:
        ValueError: it is none of ours and not given, or another one is given.
    """
    if given is not None:
        if (now := describe_scheduler(given)) != settings:
            raise ValueError(f"the scheduler is {now}, that of the study {settings}")
        return given
    if settings is None:
        return None
    values = dict(settings)
    name = values.pop("name")
    if name not in schedulers.SCHEDULERS:
        raise ValueError(
            f"the study was made with an own scheduler, {name}; give it again: scheduler=…"
        )
    return schedulers.SCHEDULERS[name](**values)


def _task(was: Mapping[str, Any], task: Task | str | None) -> Task:
    if task is None and was["name"] not in TASKS and split_name(was["name"]) is None:
        raise ValueError(
            f"the study was made with an own task ({was['name']!r}), which files cannot hold; "
            "give it again: task=…"
        )
    task = load_task(was["name"]) if task is None else task_of(task)
    if task.name != was["name"]:
        raise ValueError(f"the task is {task.name!r}, the study's is {was['name']!r}")
    if task.split_sha256 != was["split_sha256"]:
        raise ValueError(f"the data of the task {was['name']!r} are not those of the study")
    if list(task.metrics.items()) != list(was["metrics"].items()):
        raise ValueError(f"the task's metrics are {task.metrics}, the study's {was['metrics']}")
    return task


def _check_table(manifest: Mapping[str, Any], trials: pd.DataFrame) -> None:
    same = table_sha256(trials, manifest["hyperparameters"]) == manifest["trials_sha256"]
    if len(trials) != manifest["trials"] or not same:
        raise ValueError(
            "the table of trials is not the one of the study: a row, a hyperparameter or a seed "
            "was edited; put it back as it was, or sweep the new table into another directory"
        )


def _check_versions(manifest: Mapping[str, Any]) -> None:
    """The same program, compiled by another compiler, gives other bits."""
    now, was = versions(), manifest["versions"]
    if all(now[name] == was.get(name) for name in COMPILER):
        return
    changed = [
        f"{name} {was.get(name)} -> {now[name]}" for name in now if now[name] != was.get(name)
    ]
    raise ValueError(
        "the study was made with other versions, with which its trials would not be the same: "
        f"{', '.join(changed)}; install those, or sweep the table anew into another directory"
    )


def _check_device(manifest: Mapping[str, Any], devices: Sequence[Any]) -> None:
    was = manifest["platform"]["backend"], manifest["platform"]["device_kind"]
    for device in devices:
        if (now := (device.platform, device.device_kind)) != was:
            raise ValueError(
                f"the study was made on {was[0]} ({was[1]}), and {device} is {now[0]} ({now[1]}): "
                "its trials would not be the same; sweep the table anew into another directory"
            )
