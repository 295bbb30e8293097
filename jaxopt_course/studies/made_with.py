"""With what a study is made: versions, command, task, scheduler, as JSON can hold it."""

import functools
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_course.problems.csv.telling import lines
from jaxopt_course.problems.streams import Stream
from jaxopt_course.problems.tasks import Task
from jaxopt_course.records.format import WENT_ON
from jaxopt_course.records.programs import instructions
from jaxopt_course.studies.climbing import Scripted
from jaxopt_course.sweeps import schedulers
from jaxopt_course.sweeps.numerics import facts
from jaxopt_course.sweeps.patience import Patience, WithPatience
from jaxopt_course.sweeps.schedulers import Scheduler

COMPILER = ("jax", "jaxlib")  # the versions that bits depend on, beside the program's text
MADE_WITH = ("versions", "platform")  # of a manifest
TO_ROUNDING = "exact=False"
INSTRUCTIONS = "instructions"  # of a CPU, for which was compiled: bits depend on them too


class GiveAgain(ValueError):
    """Code of the user's own that files cannot hold must be given again.

    Attributes:
        what: "task", "optimizer" or "scheduler".
    """

    def __init__(self, what: str, made: str) -> None:
        super().__init__(
            f"the study was made with {made}, which files cannot hold; give it again: {what}=…"
        )
        self.what, self.made = what, made


class OtherVersions(ValueError):
    """The study was made with another compiler, or for another CPU: bits would be others."""

    def __init__(self, changed: Sequence[str]) -> None:
        if changed[0].startswith(INSTRUCTIONS):
            what, way = "on a CPU with other instructions, on", "go on on such a CPU"
        else:
            what, way = "with other versions, with", "install those"
        super().__init__(
            f"the study was made {what} which its trials would not be the same: "
            f"{', '.join(changed)}; {way}, or go on to rounding ({TO_ROUNDING}), or sweep the "
            "table anew into another directory"
        )


def command() -> str:
    """The command line of this process, as a shell takes it."""
    program = Path(sys.argv[0])
    module = program.name == "__main__.py"  # as ``python -m`` has it: that file's name runs nowhere
    begin = ["python", "-m", program.parent.name] if module else [program.name]
    return shlex.join([*begin, *sys.argv[1:]])


def versions() -> dict[str, str]:
    """Of Python and of the packages that numbers depend on."""
    packages = ("jax", "jaxlib", "optax", "flax", "numpy", "scipy", "pandas", "xarray")
    versions = {name: _version(name) for name in packages}
    return {
        "python": platform.python_version(),
        "jaxopt_course": _version("jaxopt-course"),
    } | versions


@functools.cache  # to read a package's metadata takes longer than to train a few steps
def _version(package: str) -> str:
    return metadata.version(package)


def made_on(device: Any) -> dict[str, Any]:
    """Versions, device and command, for a manifest."""
    compiled = {INSTRUCTIONS: instructions()} if device.platform == "cpu" else {}
    return {
        "versions": versions(),
        "platform": facts(device) | compiled,
        "command": command(),
    }


def check_versions(manifest: Mapping[str, Any], exact: bool = True) -> None:
    """Refuse a study whose bits would be others now; without ``exact`` none.

    Raises:
        TypeError: ``exact`` is neither True nor False.
        OtherVersions: of the compiler or the CPU.
    """
    refuse(changed_versions(manifest), exact)


def refuse(changed: list[str], exact: bool) -> None:
    """As :func:`check_versions`, of what is known to have changed."""
    if not isinstance(exact, bool):
        raise TypeError(f"exact must be True or False, not {exact!r:.60}")
    if exact and changed:
        raise OtherVersions(changed)


def made_by(manifest: Mapping[str, Any]) -> tuple[str | None, ...]:
    """The compiler and the instructions of a manifest; None for what it does not say."""
    found = [manifest["versions"].get(name) for name in COMPILER]
    return *found, manifest["platform"].get(INSTRUCTIONS)


def changed_versions(manifest: Mapping[str, Any]) -> list[str]:
    """What is another version now, as "jax 0.10.2 -> 0.12.0"; none where bits are the same.

    The same program, compiled by another compiler or for another CPU, gives other bits.
    """
    now, was = versions(), manifest["versions"]
    changed = []
    if any(now[name] != was.get(name) for name in COMPILER):
        differ = [name for name in now if now[name] != was.get(name)]
        changed = [f"{name} {was.get(name)} -> {now[name]}" for name in differ]
    there = manifest["platform"].get(INSTRUCTIONS)  # older studies do not say
    if there is not None and there != (here := instructions()):
        changed.append(f"{INSTRUCTIONS} {there} -> {here}")
    return changed


def began_with(asked: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of a sweep that was asked for with all this, and went on elsewhere.

    Its command is the one that it began with, the others stand in the events.  Where another
    compiler or CPU went on, with what it began, with what it went on, and that its bits are not one
    machine's.
    """
    command = {"command": asked["command"]}
    if WENT_ON not in asked:
        return command
    buckets = [
        new | {"program_sha256": old["program_sha256"]}
        for old, new in zip(asked["buckets"], manifest["buckets"], strict=True)
    ]
    own = {name: asked[name] for name in (*MADE_WITH, "program_sha256", WENT_ON)}
    return command | own | {"buckets": buckets, "repeatable": False}


def describe_task(task: Task) -> dict[str, Any]:
    """What a manifest says of a task, for JSON; of a table also what became of its columns."""
    facts: dict[str, Any] = {
        "name": task.name,
        "description": task.description,
        "split_seed": task.split_seed,
        "split_sha256": task.split_sha256,
        "examples": task.examples,
        "metrics": task.directions,
    }
    if isinstance(task.train, Stream):
        facts["stream"] = task.train.describe()
    if task.folds is not None:
        facts["folds"] = {
            "column": task.folds.column,
            "number": task.folds.number,
            "left_out": [list(rows) for rows in task.folds.left_out],
        }
    if not task.about:
        known = commonest(task)
        return facts | ({"baselines": {"accuracy": known}} if known is not None else {})
    valid = {k: x for k, x in task.about["baseline"].items() if k.startswith("valid_")}
    baselines = {name.removeprefix("valid_"): score for name, score in valid.items()}
    units = {"target": task.about["target"]} if "target" in task.about else {}
    return facts | units | {"baselines": baselines, "data": lines(task.about)}


def commonest(task: Task) -> float | None:
    """The validation accuracy of the train part's commonest class; None where none is known.

    It is where each target is one whole number and accuracy is measured, on parts that stay.
    """
    parts = task.train, task.valid
    if "accuracy" not in task.directions or task.folds is not None:
        return None
    if not all(isinstance(part, Mapping) and "targets" in part for part in parts):
        return None
    learned, judged = (np.asarray(part["targets"]) for part in parts)
    if learned.ndim != 1 or judged.ndim != 1 or not len(learned) or learned.dtype.kind not in "iu":
        return None
    classes, counts = np.unique(learned, return_counts=True)
    return float((judged == classes[counts.argmax()]).mean())


def describe_lengths(lengths: Mapping[str, Any] | None, equal: Any) -> dict[str, Any] | None:
    """What budgets were asked as, for JSON; that no loss is too large, the budgets say."""
    if lengths is None:
        return None
    plain = lambda x: x.item() if isinstance(x, np.generic) else x
    asked = {name: plain(x) for name, x in lengths.items()}
    return {name: None if x == float("inf") else x for name, x in asked.items()} | {"equal": equal}


def describe_scheduler(scheduler: Scheduler | None) -> dict[str, Any] | None:
    """Its name and settings, for JSON."""
    if scheduler is None or isinstance(scheduler, Scripted):
        return None
    if isinstance(scheduler, WithPatience):
        beside = vars(scheduler.patience)
        return (describe_scheduler(scheduler.scheduler) or {}) | {"patience": dict(beside)}
    settings: dict[str, Any] = vars(scheduler) if is_dataclass(scheduler) else {}
    return {"name": type(scheduler).__name__, **settings}


def scheduler_of(
    settings: Mapping[str, Any] | None, given: Scheduler | None = None
) -> Scheduler | None:
    """The scheduler that a manifest describes; ``given`` if it is described so.

    Raises:
        GiveAgain: it is none of ours and not given.
        ValueError: another one is given, or its settings are not those of one.
    """
    if settings is not None and isinstance(settings.get("patience"), Mapping):
        rest = {name: value for name, value in settings.items() if name != "patience"}
        return WithPatience(scheduler_of(rest, given), Patience(**settings["patience"]))
    if given is not None:
        if (now := describe_scheduler(given)) != settings:
            raise ValueError(f"the scheduler is {now}, that of the study {settings}")
        return given
    if settings is None:
        return None
    values = dict(settings)
    name = values.pop("name")
    if name not in schedulers.SCHEDULERS:
        raise GiveAgain("scheduler", f"an own scheduler, {name}")
    try:
        return schedulers.SCHEDULERS[name](**values)
    except TypeError as error:
        raise ValueError(f"the study's scheduler {settings} is none of ours: {error}") from None


def each_alone(settings: Mapping[str, Any] | None) -> Scheduler | None:
    """The scheduler that a manifest describes, if it judges each trial alone; else None.

    Others than those of the study can be trained with it: it decides on them as it would there.
    """
    known = settings is not None and settings.get("name") in schedulers.SCHEDULERS
    found = scheduler_of(settings) if known else None
    return found if schedulers.judges_each(found) else None


def alone(settings: Mapping[str, Any] | None) -> Scheduler | None:
    """Of the scheduler that a manifest describes what judges each trial alone; None without."""
    if settings is not None and isinstance(settings.get("patience"), Mapping):
        return Patience(**settings["patience"])
    return each_alone(settings)


def host_event(devices: Sequence[Any], seconds: float) -> dict[str, Any]:
    """The event of a sweep that was ended before it trained anything."""
    return {
        "event": "interrupted",
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seconds": seconds,
        "compile_seconds": seconds,
        "lowerings": 0,
        "trial_steps": 0,
        "trial_steps_per_second": 0.0,
        "calls": 0,
        "occupancy": 0.0,
        "devices": [str(device) for device in devices],
        "host": platform.node(),
        "command": command(),
    }


def agreed(dictionaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The entries that are the same in all."""
    first, *others = dictionaries
    return {k: v for k, v in first.items() if all(one.get(k) == v for one in others)}


def common_name(names: Sequence[str]) -> str:
    """A name for tasks of several names: ``mlp_16, mlp_32, …``."""
    return ", ".join(names[:2]) + (", …" if len(names) > 2 else "")
