"""Tasks that one study compares: measured alike, so that one metric chooses in each of them."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from jaxopt_course.problems.tasks import Task

SCORE = "score"  # a metric that stands for another one in each task; more is better


def common_metrics(tasks: Sequence[Task]) -> dict[str, str]:
    """What all of them measure, and which way is better; the first one chooses.

    Where they would not choose by the same metric it is "score": of each task the first metric of
    which more is better (accuracy of classes, AUC of ``fraud``, R² of a number); or its own metric
    of that name, if more of it is better.

    Raises:
        ValueError: a task that has no such metric.
    """
    first, *others = (task.metrics for task in tasks)
    shared = {n: way for n, way in first.items() if all(o.get(n) == way for o in others)}
    choosing = {next(iter(task.metrics)) for task in tasks}
    if len(choosing) == 1 and choosing <= {*shared}:
        return shared
    for task in tasks:
        standing_in(task)
    return {SCORE: "max"} | shared


def standing_in(task: Task) -> str:
    """The metric that "score" is in this task.

    Raises:
        ValueError: none, of which more is better.
    """
    for name, way in task.metrics.items():
        if way == "max":
            return name
    raise ValueError(
        f"the task {task.name!r} measures {task.metrics}, nothing of which more is better, so that "
        "it cannot be ranked beside tasks with other metrics: give it one, metrics={name: "
        '(function, "max")}'
    )


def measured(task: Task, metrics: Mapping[str, str]) -> Task:
    """The task with these metrics alone, of :func:`common_metrics`."""
    if list(metrics.items()) == list(task.metrics.items()):
        return task
    if SCORE not in metrics or task.metrics.get(SCORE) == metrics[SCORE]:  # its own
        return dataclasses.replace(task, metrics=metrics)
    name, evaluate = standing_in(task), task.evaluate

    @functools.wraps(evaluate)
    def scored(*given: Any, **offered: Any) -> dict[str, Any]:
        found = evaluate(*given, **offered)
        return found | {SCORE: found[name]}

    return dataclasses.replace(task, metrics=metrics, evaluate=scored)
