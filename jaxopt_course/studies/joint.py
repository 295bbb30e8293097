"""The sessions of a sweep's buckets as one, which trains a table and joins what comes out.

It has the face of a :class:`~jaxopt_course.studies.session.Session`.  A bucket is compiled when
somebody first needs it, so that a study read from disk makes only the program that it replays.
"""

import dataclasses
import hashlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.records import checkpoints, parts
from jaxopt_course.records.parts import Part
from jaxopt_course.studies.recall import recall
from jaxopt_course.studies.session import Outcome, Session, describe_scheduler, table_sha256
from jaxopt_course.sweeps.progress import ProgressLine, clock
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.tables.buckets import MANY, Table
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask, label_of, make_task, with_static

OWN = ("task", "budget", "hyperparameters", "searched", "optimizers", "lanes", "program_sha256")
SEALS = {"format_version", "dtypes", "sha256", "table_sha256"}  # of files, no part of a manifest


class Columns(NamedTuple):
    """What a study asks of a session's columns."""

    trials: pd.DataFrame
    hyperparameters: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Joint:
    """The buckets of a study; ``settings`` is its manifest, with an entry a bucket."""

    columns: Columns
    settings: dict[str, Any]
    sessions: dict[int, Session]  # by number of the bucket, as far as they are compiled
    make: Callable[[int], Session]  # compiles one

    def session(self, number: int) -> Session:
        """A bucket's session."""
        if number not in self.sessions:
            self.sessions[number] = self.make(number)
        return self.sessions[number]

    def train(
        self,
        trials: pd.DataFrame,
        kind: str,
        progress: bool,
        *,
        scheduler: Scheduler | None = None,
        keep_states: bool = False,
        until: np.ndarray | None = None,
        directory: Path | None = None,
    ) -> Outcome:
        """Train the rows of ``trials``, bucket by bucket; arguments as ``Session.train``.

        Args:
            trials: complete, as ``columns.trials``.
            kind: "sweep", "confirmation" or "replay".
            progress: whether to show lines.
            scheduler: compares configurations within each bucket.
            keep_states: whether the outcome holds the trials' last states.
            until: (N,), intervals that each row trains; more than a bucket has are all it has.
            directory: where each bucket keeps a checkpoint, and then its results.
        """
        entries = self.settings["buckets"]
        states: dict[int, Any] = {}
        done: list[Part] = []
        for number, entry in enumerate(entries):
            rows = np.flatnonzero(belong(trials, entry["static"]))
            if not len(rows):
                continue
            folder = None if directory is None else parts.folder_of(directory, number)
            part = None if folder is None else parts.kept(folder)
            if part is None:
                session = self.session(number)
                names = session.columns.trials.columns
                with ProgressLine(session.task.name, show=progress and kind == "sweep") as line:
                    line.note(f"bucket {number + 1} of {len(entries)}, {label_of(entry['static'])}")
                most = session.program.rhythm.intervals
                outcome = session.train(
                    _own(trials, entry)[names],
                    kind,
                    progress,
                    scheduler=scheduler,
                    resume=None if folder is None else checkpoints.newest(folder),
                    on_checkpoint=None if folder is None else parts.saver(folder),
                    keep_states=keep_states,
                    until=None if until is None else np.minimum(until[rows], most),
                )
                states |= {int(rows[row]): state for row, state in outcome.states.items()}
                part = Part(outcome.trials, outcome.curves, outcome.event, outcome.interrupted)
                if folder is not None and not part.interrupted:
                    parts.keep(folder, part, outcome.manifest)
            done.append(part)
            if part.interrupted:
                break
        whole = parts.join_trials(trials, done)
        curves = parts.join_curves(trials, done, [entry["budget"] for entry in entries])
        manifest = self.manifest(whole, kind, scheduler)
        interrupted = any(part.interrupted for part in done)
        event = _event([part for part in done if not part.earlier] or done)
        return Outcome(whole, curves, manifest, event, interrupted, states)

    def manifest(
        self, trials: pd.DataFrame, kind: str, scheduler: Scheduler | None = None
    ) -> dict[str, Any]:
        """What is asked and with what: the study's settings, for these trials."""
        return self.settings | {
            "kind": kind,
            "scheduler": None if scheduler is None else describe_scheduler(scheduler),
            "buckets": [_entry(entry, trials) for entry in self.settings["buckets"]],
            "seeds": sorted({int(seed) for seed in trials["seed"]}),
            "trials": len(trials),
            "trials_sha256": table_sha256(trials, self.columns.hyperparameters),
        }


class ManyProgramsWarning(UserWarning):
    """A sweep's static columns have so many values that compiling takes long."""


def prepare(
    table: Table,
    chosen: tuple[str, str],
    lanes: int | None,
    devices: Sequence[Any],
    progress: bool,
) -> Joint:
    """Compile a program a bucket.

    Raises:
        ValueError: tasks that measure different things; and as ``Session.prepare``.
    """
    sessions: dict[int, Session] = {}
    count = len(table.buckets)
    first = table.buckets[0].task
    for bucket in table.buckets:
        if dict(bucket.task.metrics) != dict(first.metrics):
            raise ValueError(
                f"the task of {bucket.label} measures {dict(bucket.task.metrics)}, that of "
                f"{table.buckets[0].label} {dict(first.metrics)}; they cannot be compared"
            )
    with ProgressLine(first.name, show=progress) as line:
        for number, bucket in enumerate(table.buckets):
            line.note(f"compiling {number + 1} of {count}, {bucket.label}")
            start = time.perf_counter()
            try:
                sessions[number] = Session.prepare(
                    bucket.task, bucket.columns, bucket.budget, chosen, lanes, devices
                )
            except Exception as error:
                error.add_note(f"in the program of {bucket.label}")
                raise
            if number == 0:
                _warn(table, time.perf_counter() - start)
            if number == count - 1 or callable(bucket.columns.functions):
                table.check_read()
    manifests = [
        sessions[number].manifest(bucket.columns.trials, "sweep")
        for number, bucket in enumerate(table.buckets)
    ]
    columns = Columns(table.trials, table.hyperparameters)
    return Joint(columns, _settings(table, manifests), sessions, sessions.__getitem__)


def recall_joint(
    manifest: Mapping[str, Any],
    trials: pd.DataFrame,
    task: AnyTask | None = None,
    optimizer: Optimizer = None,
    devices: Sequence[Any] | None = None,
) -> Joint:
    """The buckets of a study on disk, each to be compiled when it is needed; see ``recall``."""
    entries = manifest["buckets"]

    def make(number: int) -> Session:
        static = entries[number]["static"]
        own = manifest | entries[number]
        mine = _own(trials, entries[number])
        one = task if task is None else make_task(task, static, trials)
        with warnings.catch_warnings():  # said when the study was made
            warnings.filterwarnings("ignore", message=".* repeat an earlier one")
            session = recall(own, mine, one, with_static(optimizer, static), devices)
        names = ["trial", "id", *own["hyperparameters"], "seed", "duplicate_of"]
        columns = dataclasses.replace(session.columns, trials=mine[names])
        return dataclasses.replace(session, columns=columns)

    names = [*manifest["hyperparameters"]]
    asked = trials[["trial", "id", *names, "seed", "duplicate_of"]]
    settings = {k: v for k, v in manifest.items() if k not in SEALS}
    return Joint(Columns(asked, tuple(names)), settings, {}, make)


def belong(trials: pd.DataFrame, static: Mapping[str, Any]) -> np.ndarray:
    """(N,), bool: which trials have these static values."""
    mask = np.ones(len(trials), bool)
    for name, value in static.items():
        mask &= trials[name].eq(value).fillna(False).to_numpy(bool)
    return mask


def _settings(table: Table, manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The manifest of the whole: what all buckets agree in, and an entry a bucket."""
    first = manifests[0]
    hashes = "".join(manifest["program_sha256"] for manifest in manifests)
    agreed = lambda part: {
        key: value
        for key, value in first[part].items()
        if all(one[part].get(key) == value for one in manifests)
    }
    names = list(dict.fromkeys(one["task"]["name"] for one in manifests))
    same = len({one["lanes"] for one in manifests}) == 1
    return first | {
        "task": agreed("task") | {"name": names[0] if len(names) == 1 else _common(names)},
        "budget": agreed("budget"),
        "hyperparameters": list(table.hyperparameters),
        "searched": list(table.searched),
        "static": list(table.static),
        "optimizers": list(dict.fromkeys(n for one in manifests for n in one["optimizers"])),
        "lanes": first["lanes"] if same else [one["lanes"] for one in manifests],
        "program_sha256": hashlib.sha256(hashes.encode()).hexdigest(),
        "buckets": [
            {"static": bucket.static}
            | {name: one[name] for name in OWN}
            | {"bucket_dtypes": _dtypes(bucket.columns.trials[one["hyperparameters"]])}
            for bucket, one in zip(table.buckets, manifests, strict=True)
        ],
    }


def _entry(entry: Mapping[str, Any], trials: pd.DataFrame) -> dict[str, Any]:
    """A bucket's entry for its share of these trials."""
    own = _own(trials, entry)
    sha256 = table_sha256(own, entry["hyperparameters"])
    return {**entry, "trials": len(own), "trials_sha256": sha256}


def _own(trials: pd.DataFrame, entry: Mapping[str, Any]) -> pd.DataFrame:
    """A bucket's share of these trials, in the dtypes of its own table."""
    mask = belong(trials, entry["static"])
    return trials[mask].reset_index(drop=True).astype(entry["bucket_dtypes"])


def _dtypes(trials: pd.DataFrame) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in trials.dtypes.items()}


def _common(names: Sequence[str]) -> str:
    """A name for tasks of several names: ``mlp_16, mlp_32, …``."""
    return ", ".join(names[:2]) + (", …" if len(names) > 2 else "")


def _warn(table: Table, seconds: float) -> None:
    """Say how long it will take, where there are many programs to compile."""
    count = len(table.buckets)
    if count <= MANY:
        return
    values = {name: table.trials[name].nunique() for name in table.static}
    most = max(values, key=lambda name: values[name])
    what = f"static column {most!r} has {values[most]} different values"
    if values[most] <= MANY:
        what = f"static columns {', '.join(table.static)} have {count} combinations"
    warnings.warn(
        f"{what}: {count} programs are compiled, which takes about {clock(seconds * count)} (the "
        f"first took {seconds:.1f} s); a column that changes no shape need not be static",
        ManyProgramsWarning,
        stacklevel=4,
    )


def _event(done: Sequence[Part]) -> dict[str, Any]:
    """The event of the whole: sums over the buckets."""
    events = [part.event for part in done]
    total = lambda name: sum(event[name] for event in events)
    occupied = sum(event["occupancy"] * event["trial_steps"] for event in events)
    return events[-1] | {
        "seconds": total("seconds"),
        "compile_seconds": total("compile_seconds"),
        "lowerings": total("lowerings"),
        "trial_steps": total("trial_steps"),
        "trial_steps_per_second": total("trial_steps") / total("seconds"),
        "calls": total("calls"),
        "occupancy": occupied / max(1, total("trial_steps")),  # of the steps' mean
        "buckets": events,
    }
