"""The second clock of a study: how long a step of each optimizer takes, in the study's program."""

import time
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.records import claims, store
from jaxopt_course.records.format import CLOCKED
from jaxopt_course.report import tables
from jaxopt_course.studies.compiled import Compiled
from jaxopt_course.studies.joining import belong, own_rows
from jaxopt_course.studies.lowering import source_of
from jaxopt_course.studies.meshes import devices_again
from jaxopt_course.studies.parameters import WithParameters
from jaxopt_course.studies.resume import recall
from jaxopt_course.sweeps.clock import interval_seconds
from jaxopt_course.sweeps.program import Table
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask

FEWEST = 2  # timed calls that have a median worth the name
MOST = 5
COLUMNS = ("seconds_per_step", "relative", "lanes", "steps", "calls")


class WithClock(WithParameters):
    """A study whose optimizers' steps can be timed."""

    def seconds_per_step(
        self,
        *,
        calls: int = MOST,
        at_most: float | None = None,
        task: AnyTask | None = None,
        optimizer: Optimizer = None,
        start: Any = None,
    ) -> pd.DataFrame:
        """Time the optimizers' steps, each alone, in the program that trained the study.

        Of each optimizer all lanes of one device train its winner for one interval between
        evaluations, some times over; the median counts.  It is the wall time of a step of one
        trial among so many lanes, with its share of the evaluation; run nothing else meanwhile.
        Results and their hashes know nothing of it: it is an event of ``events.jsonl``, where the
        study has a directory, and then stands in the report, which ranks by both clocks.

        Args:
            calls: of each optimizer, that are timed after one that is not.
            at_most: share of the time that training the study took; then there are fewer calls,
                and none where not even two of each fit.
            task: an own task, where the study was read from disk.
            optimizer: own functions of the row, where the study was read from disk.
            start: the weights given to :func:`sweep`, where the study was read from disk.

        Returns:
            A row an optimizer, the quickest first: ``optimizer``, ``seconds_per_step``,
            ``relative`` (to the quickest), ``lanes``, ``steps`` (of a call) and ``calls``; no row
            where time did not allow it.  Of a study of several tasks a row an optimizer and task,
            with the column ``task`` before the others, task by task.

        Raises:
            ValueError: calls is no whole number from 2 on; a task of a stream, whose steps wait for
                its reading; ``at_most`` of a time that is not known; or the program of a study
                read from disk is another one now.
        """
        whole = isinstance(calls, int | np.integer) and not isinstance(calls, bool)
        if not whole or calls < FEWEST:
            raise ValueError(f"calls must be a whole number of at least {FEWEST}, not {calls!r}")
        if at_most is not None and all(event.get("event") == CLOCKED for event in self.events):
            raise ValueError(
                "at_most= is a share of the time that training took, and events.jsonl, which has "
                "it, is missing or empty: leave at_most= out"
            )
        session = self._session
        if session is None:
            one = devices_again(self.manifest, None, None, one=True)
            session = recall(self.manifest, self.trials, task, optimizer, one, False, start)
        if any(source_of(bucket.task) is not None for bucket in session.table.buckets):
            raise ValueError("steps of a stream wait for its reading, so that they cannot be timed")
        chosen = _rows_of_winners(self)
        numbers = {
            number: own
            for number in range(len(session.table.buckets))
            if len(own := chosen[belong(chosen, session.static(number)["static"])])
        }
        session.compile(list(numbers))
        if at_most is not None:
            once = sum(_lane_steps(session.programs[n]) * len(own) for n, own in numbers.items())
            calls = min(calls, int(at_most * _one_device_steps(self) / once) - 1)
        rows = []
        for number, own in numbers.items() if calls >= FEWEST else ():
            compiled = session.programs[number]
            share = own_rows(own, session.static(number))[compiled.bucket.columns.trials.columns]
            table = Table(**compiled.bucket.columns.arrays(share))
            for row, name in enumerate(own["_name"]):
                seconds = interval_seconds(compiled.program, compiled.data, table, row, calls)
                steps = compiled.program.rhythm.evaluate_every
                each = seconds / (compiled.program.lanes * steps)
                facts = (each, np.nan, compiled.program.lanes, steps, calls)
                of = {tables.TASK: own[tables.TASK].iloc[row]} if self.tasks else {}
                rows.append(of | {"optimizer": name} | dict(zip(COLUMNS, facts, strict=True)))
        names = [tables.TASK] * bool(self.tasks) + ["optimizer", *COLUMNS]
        found = pd.DataFrame(rows, columns=names)
        alike = found[tables.TASK] if self.tasks else np.zeros(len(found))
        quickest = found.groupby(alike, sort=False)["seconds_per_step"].transform("min")
        found["relative"] = found["seconds_per_step"] / quickest
        found = found.sort_values("seconds_per_step", kind="stable", ignore_index=True)
        if self.tasks:
            found = pd.concat([found[found[tables.TASK] == task] for task in self.tasks])
            found = found.reset_index(drop=True)
        if self.directory is not None and self.manifest["kind"] != "confirmation" and len(found):
            event = {"event": CLOCKED, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
            event |= {"optimizers": found.to_dict("records")}
            with claims.held(self.directory):
                known = store.read_events(self.directory)
                store.write_events(self.directory, [*known, event])
        return found


def _rows_of_winners(study: WithParameters) -> pd.DataFrame:
    """The first trial of each optimizer's best configuration, and ``_name``, the optimizer's."""
    trials, names = study.trials, study.hyperparameters
    places = [
        int(np.flatnonzero(tables.same(trials, winner, names))[0])
        for _, winner in study.winners().iterrows()
    ]
    rows = trials.iloc[places].reset_index(drop=True)
    alone = ", ".join(map(str, study.manifest["optimizers"]))
    return rows.assign(_name=rows["optimizer"].astype(str) if "optimizer" in rows else alone)


def _lane_steps(compiled: Compiled) -> int:
    """Steps of a trial in a call of one interval, over all lanes."""
    return compiled.program.lanes * compiled.program.rhythm.evaluate_every


def _one_device_steps(study: WithParameters) -> float:
    """Steps that one device trained while the study did."""
    known = [event for event in study.events if event.get("trial_steps") and event.get("devices")]
    return sum(event["trial_steps"] / len(event["devices"]) for event in known)
