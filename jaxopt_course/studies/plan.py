"""``plan``: what a sweep of this table will take, and with how many lanes, before it starts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd

from jaxopt_course.problems.catalog import task_of
from jaxopt_course.problems.tasks import Task
from jaxopt_course.studies.session import table_sha256
from jaxopt_course.sweeps.lanes import Data, Rhythm, lane_bytes
from jaxopt_course.sweeps.plan import Plan, make_plan
from jaxopt_course.sweeps.probes import Probe, Prober
from jaxopt_course.sweeps.program import Table
from jaxopt_course.sweeps.progress import ProgressLine
from jaxopt_course.tables.columns import Columns, check_columns
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.train import Budget, count_examples, make_budget, make_trial


def plan(
    task: Task | str,
    trials: pd.DataFrame,
    optimizer: Optimizer = None,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    record_every: int | None = None,
    evaluate_every: int | None = None,
    diverges_above: float | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool = True,
) -> Plan:
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
        epochs: this or ``steps``.
        steps: updates.
        batch_size: examples a step.
        record_every: steps between records of the training loss.
        evaluate_every: steps between evaluations.
        diverges_above: a loss beyond which a trial counts as diverged.
        devices: default all local ones.
        progress: whether to show a line on standard error.

    Returns:
        the plan; printed, it says what was chosen and why the other ways lost.

    Raises:
        TypeError, ValueError: as ``sweep``; or not even one lane fits into memory.
    """
    task = task_of(task)
    budget = make_budget(
        count_examples(task.train),
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        record_every=record_every,
        evaluate_every=evaluate_every,
        diverges_above=diverges_above,
    )
    columns = check_columns(trials, optimizer, budget.steps)
    devices = jax.local_devices() if devices is None else list(devices)
    if not devices:
        raise ValueError("devices must name at least one device")
    question = ask(task, columns, budget, devices)
    columns.check_read()
    with ProgressLine(task.name, show=progress) as line:
        return make_plan(
            *_program(task, columns, budget),
            devices,
            question=question,
            alone=_alone(task, columns, budget, devices[0]),
            tell=line.note,
        )


def ask(task: Task, columns: Columns, budget: Budget, devices: Sequence[Any]) -> dict[str, Any]:
    """What a plan depends on, for JSON; it traces a step."""
    trial, _, data, table = _program(task, columns, budget)
    row = jax.tree.map(lambda x: x[0], dict(table.hyperparameters))
    if table.together_name:
        row[table.together_name] = table.together[0]
    return {
        "task": task.name,
        "data": task.split_sha256,
        "budget": budget._asdict(),
        "optimizers": list(columns.optimizers),
        "trials": table_sha256(columns.trials, columns.hyperparameters),
        "bytes of a lane": lane_bytes(trial, row, data.train),
        "kind of device": f"{devices[0].platform} {devices[0].device_kind}",
        "number of devices": len(devices),
    }


def lanes_of(
    plan: Plan, task: Task, columns: Columns, budget: Budget, devices: Sequence[Any]
) -> int:
    """The lanes of a plan, for the sweep that it was made for.

    Raises:
        TypeError: not a plan.
        ValueError: a plan of something else; the message names what differs.
    """
    if not isinstance(plan, Plan):
        raise TypeError(f"plan= takes what joc.plan(...) returns, not {plan!r}")
    now = ask(task, columns, budget, devices)
    different = [name for name in now if plan.question.get(name) != now[name]]
    if different:
        other = _words(different, plan.question, now)
        raise ValueError(
            f"the plan is one of another sweep, with other {other}; make one of this sweep: "
            "plan=joc.plan(...) with the same arguments"
        )
    return plan.lanes


def _words(names: Sequence[str], was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    hashes = ("data", "trials")
    return ", ".join(
        name if name in hashes else f"{name} ({was.get(name)}, now {now[name]})" for name in names
    )


def _program(task: Task, columns: Columns, budget: Budget) -> tuple[Any, Rhythm, Data, Any]:
    """What the engine needs to know."""
    trial = make_trial(task, columns.optimizer, budget.batch_size)
    rhythm = Rhythm(budget.steps, budget.record_every, budget.evaluate_every, budget.diverges_above)
    data = Data(task.train, task.valid, task.test)
    return trial, rhythm, data, Table(**columns.arrays(columns.trials))


def _alone(
    task: Task, columns: Columns, budget: Budget, device: Any
) -> Callable[[int], Probe] | None:
    """Probes the program of the optimizer with most trials alone; None where there is only one."""
    if len(columns.optimizers) < 2:
        return None
    names = columns.trials["optimizer"].to_numpy()
    values, counts = np.unique(names.astype(str), return_counts=True)
    own = columns.trials[names == values[counts.argmax()]]
    table = own[[*columns.hyperparameters, "seed"]].reset_index(drop=True)
    functions = columns.functions
    if isinstance(functions, Mapping):
        functions = {k: f for k, f in functions.items() if k == values[counts.argmax()]} or None
    return lambda lanes: Prober(
        *_program(task, check_columns(table, functions, budget.steps), budget), device
    )(lanes)
