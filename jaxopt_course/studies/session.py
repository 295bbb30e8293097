"""A prepared sweep: the compiled program, and what it takes to train tables with it."""

import hashlib
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
import xarray as xr

from jaxopt_course.problems.tasks import Task
from jaxopt_course.studies.results import assemble, scorer
from jaxopt_course.sweeps import engine
from jaxopt_course.sweeps.climb import Climb
from jaxopt_course.sweeps.concrete import needed_concrete
from jaxopt_course.sweeps.lanes import Data, Rhythm, default_lanes, lane_bytes
from jaxopt_course.sweeps.program import Program, Table, compile_program
from jaxopt_course.sweeps.progress import ProgressLine, Tally
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.tables.columns import Columns, check_columns
from jaxopt_course.train import Budget, Trial, make_trial


class Outcome(NamedTuple):
    """What a training of a table left."""

    trials: pd.DataFrame
    curves: xr.Dataset
    manifest: dict[str, Any]
    event: dict[str, Any]
    interrupted: bool
    states: dict[int, Any]  # of the trials that finished, where they were asked for


@dataclass(frozen=True)
class Session:
    """A compiled program and all that it takes to train a table, and then another, with it."""

    task: Task
    columns: Columns
    budget: Budget
    chosen: tuple[str, str]  # metric, direction
    trial: Trial
    data: Data
    program: Program
    plan: Mapping[str, Any] | None = None  # what chose the width, as the manifest has it

    @classmethod
    def prepare(
        cls,
        task: Task,
        columns: Columns,
        budget: Budget,
        chosen: tuple[str, str],
        lanes: int | None,
        devices: Sequence[Any],
    ) -> "Session":
        """Check that everything traces, choose the width, lower and compile."""
        trial = make_trial(task, columns.optimizer, budget.batch_size)
        data = Data(task.train, task.valid, task.test)
        table = Table(**columns.arrays(columns.trials))
        row = jax.tree.map(lambda x: x[0], dict(table.hyperparameters))
        if table.together_name:
            row[table.together_name] = table.together[0]
        try:
            size = lane_bytes(trial, row, data.train)
        except Exception as error:
            own = [name for name in row if name not in ("optimizer", "schedule")]
            if columns_needed := needed_concrete(trial, row, own, data.train):
                raise TypeError(
                    f"column {columns_needed[0]!r} is needed as a plain value, as for a shape or a "
                    "Python if, but columns are traced; name it in static=, which makes a program "
                    f"of each of its values: static={columns_needed}"
                ) from error
            raise
        columns.check_read()
        width = lanes or default_lanes(size, devices[0].platform)
        rhythm = Rhythm(
            budget.steps, budget.record_every, budget.evaluate_every, budget.diverges_above
        )
        program = compile_program(trial, rhythm, data, table, width, devices)
        return cls(task, columns, budget, chosen, trial, data, program)

    @property
    def program_sha256(self) -> str:
        """SHA-256, in hex, of the text of both lowered programs, "seat" and the segment."""
        return hashlib.sha256(self.program.text.encode()).hexdigest()

    def train(
        self,
        trials: pd.DataFrame,
        kind: str,
        progress: bool,
        *,
        scheduler: Scheduler | None = None,
        resume: engine.Snapshot | None = None,
        on_checkpoint: Callable[[engine.Snapshot], None] | None = None,
        keep_states: bool = False,
        until: np.ndarray | None = None,
    ) -> Outcome:
        """Train the rows of ``trials``, which have the columns of the table prepared for.

        Args:
            trials: complete, as ``columns.trials``.
            kind: "sweep", "confirmation" or "replay".
            progress: whether to show a line.
            scheduler: who decides which trials go on.
            resume: where an earlier run of the same table was.
            on_checkpoint: saves a snapshot, now and then.
            keep_states: whether the outcome holds the trials' last states.
            until: (N,), intervals that each row trains; default all.
        """
        arrays = self.columns.arrays(trials)
        table = Table(**arrays)
        rhythm = self.program.rhythm
        start = time.perf_counter()
        before = 0 if resume is None else resume.results.trial_steps
        label = "confirming" if kind == "confirmation" else self.task.name
        with ProgressLine(label, show=progress) as line:
            if resume is not None:
                over = int(resume.results.over.sum())
                line.note(f"going on where it was, {over} of {len(trials)} trials over")
            tell = self._teller(line, trials, before)
            results = engine.run(
                self.program,
                table,
                self.data,
                self.trial,
                tell,
                climb=self._climb(trials, scheduler, until),
                score=scorer(*self.chosen, rhythm),
                resume=resume,
                on_checkpoint=on_checkpoint,
                keep_states=keep_states,
            )
            tell(results, last=True)
        seconds = time.perf_counter() - start
        complete, curves = assemble(trials, results, rhythm)
        event = {
            "event": "interrupted" if results.interrupted else "finished",
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "seconds": seconds,
            "compile_seconds": self.program.seconds,
            "lowerings": self.program.lowerings,
            "trial_steps": results.trial_steps - before,
            "trial_steps_per_second": (results.trial_steps - before) / seconds,
            "calls": results.calls,
            "occupancy": results.occupancy,
            "devices": [str(device) for device in self.program.devices],
            "host": platform.node(),
            "command": command(),
        }
        manifest = self.manifest(complete, kind, scheduler)
        states = {row: self._own_state(arrays, row, last) for row, last in results.states.items()}
        return Outcome(complete, curves, manifest, event, results.interrupted, states)

    def _own_state(self, arrays: Mapping[str, Any], row: int, last: Any) -> Any:
        """A trial's last state, its optimizer's as that optimizer has it where it is alone."""
        own = self.columns.state_of(arrays, row, last.opt_state, last.params)
        return last._replace(opt_state=own)

    def check(self, trials: pd.DataFrame) -> Columns:
        """A longer table, checked and completed as the one prepared for.

        Raises:
            ValueError: the program would be another one: other columns, optimizers or schedules.
        """
        own = self.columns.functions
        names = self.columns.optimizers
        table = trials.drop(columns="optimizer", errors="ignore") if callable(own) else trials
        checked = check_columns(table, own, self.budget.steps)
        same = (checked.hyperparameters, checked.optimizers, checked.schedules)
        mine = (self.columns.hyperparameters, names, self.columns.schedules)
        if same != mine:
            raise ValueError(
                "the new trials need another program: columns, optimizers and schedules are "
                f"{same}, the study has {mine}; sweep them on their own"
            )
        return checked

    def _climb(
        self, trials: pd.DataFrame, scheduler: Scheduler | None, until: np.ndarray | None
    ) -> Climb:
        """How far each row trains; the seeds of a configuration climb together."""
        intervals = self.program.rhythm.intervals
        grouped = trials.groupby(list(self.columns.hyperparameters), sort=False, dropna=False)
        configurations = grouped.ngroup().to_numpy()
        judge = None
        if scheduler is not None:
            number = int(configurations.max()) + 1
            judge = scheduler.judge(number, intervals, self.budget.evaluate_every)
        climb = Climb(intervals, configurations, judge)
        if until is not None:
            climb.until[:] = until
        return climb

    def _teller(
        self, line: ProgressLine, trials: pd.DataFrame, earlier_steps: int
    ) -> Callable[..., None]:
        """Tell the progress line how far the engine is, with the best trial so far."""
        metric, direction = self.chosen
        name = metric.removeprefix("best_").removeprefix("valid_")
        better = np.nanmax if direction == "max" else np.nanmin
        several = len(self.columns.optimizers) > 1

        def best(results: engine.Results) -> str:
            scores = results.valid.get(name, results.valid["loss"])[:, -1]
            scores = np.where(results.finished, scores, np.nan)
            if np.isnan(scores).all():
                return ""
            value = better(scores)
            row = int(np.flatnonzero(scores == value)[0])
            return f"{value:.4g}" + (f" ({trials['optimizer'].iloc[row]})" if several else "")

        def tell(results: engine.Results, last: bool = False) -> None:
            tally = Tally(
                over=int(results.over.sum()),
                total=len(trials),
                diverged=int((results.first_bad >= 0).sum()),
                trial_steps=results.trial_steps,
                total_steps=self._steps_to_do(results),
                best=best(results),
                earlier_steps=earlier_steps,
            )
            line.update(tally, last)

        return tell

    def _steps_to_do(self, results: engine.Results) -> int:
        """Training steps of all trials, as far as they are known to train."""
        alive = results.first_bad < 0
        steps = np.minimum(results.until[alive] * self.budget.evaluate_every, self.budget.steps)
        return int(steps.sum()) + int(results.first_bad[~alive].sum())

    def manifest(
        self, trials: pd.DataFrame, kind: str, scheduler: Scheduler | None = None
    ) -> dict[str, Any]:
        """What is asked and with what; see ``sweeps/store.py``."""
        task, columns, device = self.task, self.columns, self.program.devices[0]
        return {
            "kind": kind,
            "task": {
                "name": task.name,
                "description": task.description,
                "split_seed": task.split_seed,
                "split_sha256": task.split_sha256,
                "examples": task.examples,
                "metrics": dict(task.metrics),
            },
            "budget": self.budget._asdict(),
            "hyperparameters": list(columns.hyperparameters),
            "searched": list(columns.searched),
            "metric": self.chosen[0],
            "direction": self.chosen[1],
            "optimizers": list(columns.optimizers),
            "scheduler": None if scheduler is None else describe_scheduler(scheduler),
            "lanes": self.program.lanes,
            **({} if self.plan is None else {"plan": dict(self.plan)}),
            "seeds": sorted({int(seed) for seed in trials["seed"]}),
            "trials": len(trials),
            "versions": versions(),
            "platform": {"backend": device.platform, "device_kind": device.device_kind},
            "command": command(),
            "program_sha256": self.program_sha256,
            "trials_sha256": table_sha256(trials, columns.hyperparameters),
        }


def command() -> str:
    """The command line of this process."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def table_sha256(trials: pd.DataFrame, hyperparameters: Sequence[str]) -> str:
    """SHA-256, in hex, of what is asked of a table: ids, hyperparameters, seeds."""
    inputs = trials[["id", *hyperparameters, "seed"]]
    return hashlib.sha256(inputs.to_csv(index=False).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Of Python and of the packages that numbers depend on."""
    packages = ("jax", "jaxlib", "optax", "flax", "numpy", "scipy", "pandas", "xarray")
    versions = {name: metadata.version(name) for name in packages}
    own = {"jaxopt_course": metadata.version("jaxopt-course")}
    return {"python": platform.python_version(), **own, **versions}


def describe_scheduler(scheduler: Scheduler) -> dict[str, Any]:
    """Its name and settings, for JSON."""
    settings: dict[str, Any] = vars(scheduler) if is_dataclass(scheduler) else {}
    return {"name": type(scheduler).__name__, **settings}
