"""The names of a study's files, and what its manifest must hold.

    manifest.json       what was asked and with what: task, budget, columns and dtypes, seeds,
                        lanes, versions, command, hashes; an entry a bucket; "replicates", columns
                        that repeat a configuration as its seed does, where there are any
    trials.csv          a row a trial: hyperparameters, seed, status, metrics
    curves.nc           arrays of numbers over (trial, step), (trial, eval_step); NaN after its end
    events.jsonl        when and where it ran: wall times, devices, hosts
    confirm/            the winners on fresh seeds: the same four files
    report.html, figures/       what is drawn of them
    weights/            of the trials that are kept, a file each; see ``weights``
    checkpoint/         of a sweep under way; see ``checkpoints``
    .study.json         which of these names are the study's own; see ``ownership``
    .lock               held by the process that works here
    .commit             while the files are put in place: the SHA-256 of each that is whole

A study is a list of buckets; one without static columns has one bucket.  The manifest's own entries
are what all buckets agree in.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

FORMAT_VERSION = 2
MANIFEST, TRIALS, CURVES, EVENTS = "manifest.json", "trials.csv", "curves.nc", "events.jsonl"
STUDY = (MANIFEST, TRIALS, CURVES, EVENTS)
CLOCKED = "clocked"  # an event: seconds a step of each optimizer
CONFIRMATION, PAGE, PICTURES = "confirm", "report.html", "figures"
FIGURES = ("curves.png", "sensitivity.png", "final.png")
CHECKPOINT, LOCK, COMMIT = "checkpoint", ".lock", ".commit"
WENT_ON = "went_on_with"  # in a manifest: with what else a sweep that was cut short went on
QUESTION = "question.json"  # in the folder of checkpoints, as long as a sweep is under way
WEIGHTS = "weights"
OWN = {  # all that a study may write into its directory
    *STUDY,
    PAGE,
    COMMIT,
    CHECKPOINT,
    WEIGHTS,
    *(f"{CONFIRMATION}/{name}" for name in (*STUDY, COMMIT)),
    *(f"{PICTURES}/{name}" for name in FIGURES),
}

TEXT = {"kind": str, "metric": str, "direction": str, "command": str}
OF_BUCKET: dict[str, type] = {
    "static": dict,
    "task": dict,
    "budget": dict,
    "hyperparameters": list,
    "searched": list,
    "optimizers": list,
    "lanes": int,
    "program_sha256": str,
    "bucket_dtypes": dict,
}
OF_STUDY: dict[str, type] = TEXT | {
    "task": dict,
    "budget": dict,
    "hyperparameters": list,
    "searched": list,
    "static": list,
    "optimizers": list,
    "buckets": list,
    "seeds": list,
    "trials": int,
    "versions": dict,
    "platform": dict,
    "program_sha256": str,
    "trials_sha256": str,
    "dtypes": dict,
}
ASKED = {"epochs", "steps", "batch_size", "record_every", "evaluate_every", "diverges_above"}
ASKED |= {"equal"}
ASKED_IF_GIVEN = {"diverges_after"}
BUDGET = ("steps", "batch_size", "record_every", "evaluate_every")


def check(content: Any, of: str) -> dict[str, Any]:
    """A manifest or question whose entries have the types that its readers rely on.

    Args:
        content: as JSON gave it, in today's format.
        of: the file, for the message.

    Raises:
        ValueError: an entry is missing or of another type; it is named.
    """
    _check(content, OF_STUDY, of)
    for i, bucket in enumerate(content["buckets"]):
        _check(bucket, OF_BUCKET, f"{of}, bucket {i}")
        task, budget = bucket["task"], bucket["budget"]
        _check_task(task, f"{of}, bucket {i}, task")
        _check(budget, dict.fromkeys(BUDGET, int), f"{of}, bucket {i}, budget")
        bounds = [budget.get(name) for name in ("diverges_above", "diverges_times")]
        numbers = all(x is None or _is(x, int) or isinstance(x, float) for x in bounds)
        if min(budget[name] for name in BUDGET) < 1 or not numbers:
            raise ValueError(f"{of} is damaged: a budget of {budget}")
    if not content["buckets"]:
        raise ValueError(f"{of} is damaged: it has no bucket")
    if content["direction"] not in ("min", "max"):
        raise ValueError(f"{of} is damaged: direction {content['direction']!r}")
    names = [*content["hyperparameters"], *content["searched"], *content["optimizers"]]
    names += [*content["dtypes"], *content["dtypes"].values(), *content["static"]]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{of} is damaged: a name that is no text")
    if not all(_is(seed, int) for seed in content["seeds"]):
        raise ValueError(f"{of} is damaged: a seed that is no number")
    replicates = content.get("replicates", [])
    if not isinstance(replicates, list) or not {*replicates} <= {*content["hyperparameters"]}:
        raise ValueError(f"{of} is damaged: replicates {str(replicates)[:60]!r}")
    asked = content.get("asked")
    if asked is not None and not (isinstance(asked, dict) and set(asked) - ASKED_IF_GIVEN == ASKED):
        raise ValueError(f"{of} is damaged: asked {str(asked)[:60]!r}")
    scheduler = content.get("scheduler")
    if scheduler is not None and not (
        isinstance(scheduler, dict) and isinstance(scheduler.get("name"), str)
    ):
        raise ValueError(f"{of} is damaged: scheduler {scheduler!r}")
    check_carried(content, of)
    _check_noted(content, of)
    return dict(content)


def _check_noted(content: Mapping[str, Any], of: str) -> None:
    """Refuse entries that only some studies have, where they are not as their readers rely on."""
    words = lambda x: isinstance(x, list) and all(isinstance(name, str) for name in x)
    wrong = {
        "buckets": len({str(bucket["static"]) for bucket in content["buckets"]})
        < len(content["buckets"]),
        "continues": not words((content.get("continues") or {"stretched": []})["stretched"]),
        "measured_with": not _each(content.get("measured_with", {}), dict, words),
        "added_with": not _each(content.get("added_with", []), list, _adds),
        "mesh": not _each(
            (content.get("mesh") or {"axes": {}}).get("axes"), dict, lambda n: _is(n, int) and n > 0
        ),
        "repeatable": not isinstance(content.get("repeatable", True), bool),
        "static": not {*content["static"]} <= {*content["hyperparameters"]},
        "part": content.get("part") is not None and not _is_part(content["part"]),
    }
    if found := [name for name, is_wrong in wrong.items() if is_wrong]:
        raise ValueError(f"{of} is damaged: {found[0]} is {str(content[found[0]])[:60]!r}")


def _each(value: Any, kind: type, fits: Callable[[Any], bool]) -> bool:
    if not isinstance(value, kind):
        return False
    entries: Any = value.values() if isinstance(value, dict) else value
    return all(map(fits, entries))


def _adds(entry: Any) -> bool:
    """Whether it says which trials were added."""
    trials = entry.get("trials") if isinstance(entry, dict) else None
    return isinstance(trials, list) and len(trials) == 2 and all(_is(n, int) for n in trials)


def _is_part(entry: Any) -> bool:
    """Whether it says which rows of a larger table these are."""
    if not isinstance(entry, dict) or not _each(entry.get("rows"), list, lambda n: _is(n, int)):
        return False
    both: Any = [entry.get("rank"), entry.get("of")]
    return all(_is(n, int) for n in both) and 0 <= both[0] < both[1]


def check_carried(content: Mapping[str, Any], of: str) -> None:
    """Refuse entries on weights that go in and out which have no such type."""
    for name, kind in (("keep", int), ("start", dict), ("continues", dict), ("weights", dict)):
        value = content.get(name)
        if value is not None and not _is(value, kind):
            raise ValueError(f"{of} is damaged: {name} is {str(value)[:60]!r}")
    path = (content.get("start") or {}).get("path", "")
    stretched = (content.get("continues") or {"stretched": []}).get("stretched")
    if not isinstance(path, str) or not isinstance(stretched, list):
        raise ValueError(f"{of} is damaged: start {str(path)[:60]!r}, stretched {stretched!r}")


def making(manifest: Mapping[str, Any]) -> list[str]:
    """The columns that make a configuration: all hyperparameters but those that repeat it."""
    repeat = manifest.get("replicates", ())
    return [name for name in manifest["hyperparameters"] if name not in repeat]


def check_task(content: Mapping[str, Any], of: str) -> None:
    """What a study says of its task and the metric that chooses; a report does without.

    Args:
        content: a manifest or question, checked.
        of: the file, for the message.

    Raises:
        ValueError: the task lacks its name or metrics, or the metric that chooses, or that has
            another direction.
    """
    _check_task(content["task"], f"{of}, task")
    tasks = [content["task"], *(bucket["task"] for bucket in content["buckets"])]
    chosen = {("train_loss", "min")} | {
        (f"{best}valid_{name}", direction)
        for best in ("", "best_")
        for t in tasks
        for name, direction in t["metrics"].items()
    }
    metric, direction = content["metric"], content["direction"]
    if metric not in dict(chosen):
        raise ValueError(f"{of} is damaged: metric {metric[:60]!r} is none of its task")
    if (metric, direction) not in chosen:
        raise ValueError(f"{of} is damaged: {metric} has not the direction {direction!r}")


def _check_task(task: Any, of: str) -> None:
    _check(task, {"name": str, "metrics": dict}, of)
    if not {*map(repr, task["metrics"].values())} <= {"'min'", "'max'"}:
        raise ValueError(f"{of} is damaged: metrics {str(task['metrics'])[:60]}")


def _check(content: Any, types: Mapping[str, type], of: str) -> None:
    if not isinstance(content, dict):
        raise ValueError(f"{of} is damaged: it holds no dictionary")
    if missing := sorted(set(types) - set(content)):
        raise ValueError(f"{of} is damaged: it lacks {', '.join(missing)}")
    for name, kind in types.items():
        value = content[name]
        several = name == "lanes" and isinstance(value, list) and all(_is(x, int) for x in value)
        if not _is(value, kind) and not several:
            raise ValueError(f"{of} is damaged: {name} is {str(value)[:60]!r}")


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def table_sha256(trials: pd.DataFrame, hyperparameters: Sequence[str]) -> str:
    """SHA-256, in hex, of what is asked of a table: ids, hyperparameters, seeds."""
    inputs = trials[["id", *hyperparameters, "seed"]]
    return hashlib.sha256(inputs.to_csv(index=False).encode()).hexdigest()


def join_sha256(hashes: Sequence[str]) -> str:
    """One SHA-256, in hex, of several."""
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
