"""The compiled program of a study made again from what is on disk, and checked to be the same."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import pandas as pd

from jaxopt_course.columns import Optimizer, check_columns
from jaxopt_course.conventions.registry import REGISTERED
from jaxopt_course.problems.tasks import TASKS, Task
from jaxopt_course.session import Session, versions
from jaxopt_course.sweeps import schedulers
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.train import count_examples, make_budget, task_of


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
        table = table.drop(columns="optimizer")
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
    session = Session.prepare(task, checked, budget, chosen, manifest["lanes"], devices)
    if session.program_sha256 != manifest["program_sha256"]:
        raise ValueError(_what_changed(manifest, session))
    return session


def scheduler_of(settings: Mapping[str, Any] | None) -> Scheduler | None:
    """The scheduler that a manifest describes.

    Raises:
        ValueError: it is none of ours.
    """
    if settings is None:
        return None
    values = dict(settings)
    name = values.pop("name")
    if name not in schedulers.SCHEDULERS:
        raise ValueError(f"the study was made with an own scheduler, {name}: give it again")
    return schedulers.SCHEDULERS[name](**values)


def _task(was: Mapping[str, Any], task: Task | str | None) -> Task:
    if task is None and was["name"] not in TASKS:
        raise ValueError(
            f"the study was made with an own task ({was['name']!r}), which files cannot hold; "
            "give it again: task=…"
        )
    task = task_of(was["name"] if task is None else task)
    if task.split_sha256 != was["split_sha256"]:
        raise ValueError(f"the data of the task {was['name']!r} are not those of the study")
    return task


def _what_changed(manifest: Mapping[str, Any], session: Session) -> str:
    """Why the program is another one."""
    now, was = versions(), manifest["versions"]
    changed = [f"{name} {was.get(name)} -> {now[name]}" for name in now if now[name] != was[name]]
    backend = session.program.devices[0].platform
    if backend != manifest["platform"]["backend"]:
        changed.append(f"backend {manifest['platform']['backend']} -> {backend}")
    why = ", ".join(changed) or "the code of the task or of the optimizer"
    return (
        f"the program is not the one of the study, so its trials would not be the same: {why}. "
        "Sweep the table anew into another directory"
    )
