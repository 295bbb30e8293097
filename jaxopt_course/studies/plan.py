"""``plan``: what a sweep of this table will take, and with how many lanes, before it starts."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd
from jax.sharding import Mesh

from jaxopt_course.messages import printable
from jaxopt_course.records.format import table_sha256
from jaxopt_course.studies.lowering import data_of, rhythm_of, trial_of
from jaxopt_course.studies.meshes import Sharding, devices_of, kind_of
from jaxopt_course.sweeps.lane_bytes import lane_bytes
from jaxopt_course.sweeps.lanes import Data, Rhythm
from jaxopt_course.sweeps.plan import Plan, make_plan
from jaxopt_course.sweeps.probes import Probe, Prober
from jaxopt_course.sweeps.program import Table as Numbers
from jaxopt_course.sweeps.progress import ProgressLine
from jaxopt_course.tables.buckets import Bucket, Table, split
from jaxopt_course.tables.budgets import Equal
from jaxopt_course.tables.columns import check_columns
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask


@dataclass(frozen=True)
class Plans:
    """A plan a bucket, of a table with static columns.

    Attributes:
        labels: of the buckets, as "batch_size=32".
        plans: of each.
    """

    labels: tuple[str, ...]
    plans: tuple[Plan, ...]

    def __str__(self) -> str:
        pairs = zip(self.labels, self.plans, strict=True)
        return "\n".join(f"{label}: {plan}" for label, plan in pairs)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    @property
    def seconds(self) -> float:
        """To compile and to train all trials to their end."""
        return sum(plan.seconds for plan in self.plans)


def plan(
    task: AnyTask,
    trials: pd.DataFrame,
    optimizer: Optimizer = None,
    *,
    static: Sequence[str] | None = None,
    equal: Equal | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    record_every: int | None = None,
    evaluate_every: int | None = None,
    diverges_above: float | None = None,
    diverges_after: int | None = None,
    devices: Sequence[Any] | None = None,
    mesh: Mesh | None = None,
    sharding: Sharding = None,
    progress: bool = True,
) -> Plan | Plans:
    """Choose how a table is to be trained, from memory and from short timed probes.

        plan = joc.plan("digits", trials, epochs=20)
        print(plan)
        study = joc.sweep("digits", trials, epochs=20, plan=plan)

    It compiles the program at several widths, so it takes some times what the sweep takes to
    compile; it pays where training takes minutes.

    Args:
        task: as for ``sweep``, and so are all others.
        trials: a row a trial.
        optimizer: a name, a function of the row or a dictionary of such functions.
        static: columns that change shapes or code; each bucket gets a plan of its own.
        equal: what all buckets have in common.
        epochs: this or ``steps``.
        steps: updates.
        batch_size: examples a step.
        record_every: steps between records of the training loss.
        evaluate_every: steps between evaluations.
        diverges_above: a loss beyond which a trial counts as diverged; default as in ``sweep``.
        diverges_after: so many bad losses in a row that make it so.
        devices: default all local ones.
        mesh: instead of devices.
        sharding: of its parameters.
        progress: whether to show a line on standard error.

    Returns:
        the plan, with ``static`` a plan a bucket; printed, it says what was chosen and why the
        other ways lost.

    Raises:
        TypeError, ValueError: as ``sweep``; or not even one lane fits into memory.
    """
    table = split(
        task,
        trials,
        static,
        optimizer,
        equal=equal,
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        record_every=record_every,
        evaluate_every=evaluate_every,
        diverges_above=diverges_above,
        diverges_after=diverges_after,
    )
    devices = devices_of(devices, mesh, sharding, table)
    questions = [_ask(bucket, devices) for bucket in table.buckets]
    table.check_read()
    plans = []
    with ProgressLine(printable(table.buckets[0].task.name), show=progress) as line:
        for bucket, question in zip(table.buckets, questions, strict=True):
            tell = lambda text, of=bucket: line.note(", ".join(filter(None, (text, of.label))))
            made = make_plan(
                *_program(bucket),
                devices,
                question=question,
                alone=_alone(bucket, devices[0]),
                tell=tell,
            )
            plans.append(made)
    if static is None:
        return plans[0]
    return Plans(tuple(bucket.label for bucket in table.buckets), tuple(plans))


def _ask(bucket: Bucket, devices: Sequence[Any]) -> dict[str, Any]:
    """What a plan depends on, for JSON; it traces a step."""
    columns = bucket.columns
    trial, _, data, table = _program(bucket)
    row = jax.tree.map(lambda x: x[0], dict(table.hyperparameters))
    if table.together_name:
        row[table.together_name] = table.together[0]
    size = lane_bytes(trial, row, data).state
    columns.check_read()
    return {
        "task": bucket.task.name,
        "data": bucket.task.split_sha256,
        "budget": bucket.budget.describe(),
        "optimizers": list(columns.optimizers),
        "trials": table_sha256(columns.trials, columns.hyperparameters),
        "bytes of a lane": size,
        "kind of device": kind_of(devices[0]),
        "number of devices": len(devices),
    }


def widths_of(
    plan: Plan | Plans, table: Table, devices: Sequence[Any]
) -> tuple[list[int | None], list[Mapping[str, Any] | None]]:
    """The lanes of each bucket, and what chose them, for the sweep that the plan was made for.

    Raises:
        TypeError: not a plan.
        ValueError: a plan of something else; the message names what differs.
    """
    if not isinstance(plan, Plan | Plans):
        raise TypeError(f"plan= takes what joc.plan(...) returns, not {plan!r}")
    plans = [plan] if isinstance(plan, Plan) else list(plan.plans)
    labels = [""] if isinstance(plan, Plan) else list(plan.labels)
    ours = [bucket.label for bucket in table.buckets]
    if sorted(labels) != sorted(ours):
        own = "one program" if labels == [""] else f"programs for {'; '.join(labels)}"
        has = "one program" if ours == [""] else f"programs for {'; '.join(ours)}"
        raise ValueError(
            f"the plan is of {own}, the sweep has {has}: plan=joc.plan(...) with the same static="
        )
    plans = [plans[labels.index(label)] for label in ours]  # rows in another order, the same plan
    for one, bucket in zip(plans, table.buckets, strict=True):
        now = _ask(bucket, devices)
        different = [name for name in now if one.question.get(name) != now[name]]
        if different:
            other = _words(different, one.question, now)
            raise ValueError(
                f"the plan is one of another sweep, with other {other}; make one of this sweep: "
                "plan=joc.plan(...) with the same arguments"
            )
    return [one.lanes for one in plans], [one.describe() for one in plans]


def _words(names: Sequence[str], was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    hashes = {"data": "data", "trials": "trials (or the same in another order)"}
    return ", ".join(
        hashes[name] if name in hashes else f"{name} ({was.get(name)}, now {now[name]})"
        for name in names
    )


def _program(bucket: Bucket) -> tuple[Any, Rhythm, Data, Numbers]:
    """What the engine needs to know."""
    task, columns = bucket.task, bucket.columns
    trial, rhythm = trial_of(bucket), rhythm_of(bucket)
    return trial, rhythm, data_of(task), Numbers(**columns.arrays(columns.trials))


def _alone(bucket: Bucket, device: Any) -> Callable[[int], Probe] | None:
    """Probes the program of the optimizer with most trials alone; None where there is only one."""
    columns = bucket.columns
    if len(columns.optimizers) < 2:
        return None
    names = columns.trials["optimizer"].to_numpy()
    values, counts = np.unique(names.astype(str), return_counts=True)
    most = values[counts.argmax()]
    own = columns.trials[names == most]
    table = own[[*columns.hyperparameters, "seed"]].reset_index(drop=True)
    functions = columns.functions
    if isinstance(functions, Mapping):
        functions = {name: f for name, f in functions.items() if name == most} or None
    of_task = bucket.task, columns.task.values
    only = check_columns(table, functions, bucket.budget.steps, *of_task, epoch=columns.epoch)
    one = Bucket(bucket.static, bucket.rows[names == most], bucket.task, bucket.budget, only)
    return lambda lanes: Prober(*_program(one), device)(lanes)
