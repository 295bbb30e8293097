"""``compare``: one table of trials, trained on many tasks, as one study."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from jaxopt_course.messages import unknown
from jaxopt_course.problems.alike import common_metrics, measured
from jaxopt_course.problems.catalog import load_task, matching
from jaxopt_course.problems.tasks import Task
from jaxopt_course.report.tables import TASK
from jaxopt_course.studies.study import Study
from jaxopt_course.studies.sweep import sweep
from jaxopt_course.tables.signatures import Optimizer


def compare(
    tasks: str | Task | Iterable[str | Task],
    trials: pd.DataFrame,
    optimizer: Optimizer = None,
    *,
    static: Sequence[str] = (),
    **settings: Any,
) -> Study:
    """Train a table of trials on many tasks, as one study with a static column ``task``.

    Each task has a program of its own (those of equal shapes share it), and its trials are the same
    bit for bit as in a study of it alone.  Schedulers compare within a task.  So do
    :meth:`Study.configurations`, :meth:`Study.winners` and :meth:`Study.confirm`: there is a winner
    of each optimizer and task; between tasks only ranks are compared, :meth:`Study.standings`.

    Args:
        tasks: names of :func:`load_task`, patterns of them as ``"r:modeldata/*"`` (of those that
            need no network), and tasks of one's own.
        trials: as for :func:`sweep`, a row a trial of every task; or with a column ``task``, a row
            a trial of that one.
        optimizer: as for :func:`sweep`.
        static: columns beside ``task`` that have a program a value.
        **settings: of :func:`sweep`: ``epochs`` or ``steps``, ``batch_size``, ``metric``, ...

    Returns:
        the study.  Its tasks measure what they have in common; where they would choose by different
        metrics they choose by "score": of each the first metric of which more is better, so
        accuracy of classes and R² of a number.

    Raises:
        ValueError: no task, two of one name, a pattern that fits none; a metric that not all have;
            and as :func:`sweep`.
        ImportError: the package that brings a task's data is not installed.

    >>> import jaxopt_course as joc
    >>> trials = joc.grid(optimizer="sgd", learning_rate=[0.01, 0.1])
    >>> study = joc.compare(["wine", "diabetes"], trials, epochs=1, progress=False)
    >>> study.manifest["metric"], len(study.trials)
    ('valid_score', 4)
    """
    made = tasks_of(tasks)
    table = of_each(made, trials)
    return sweep(by_name(made), table, optimizer, static=[TASK, *static], **settings)


def of_each(names: Iterable[str], trials: pd.DataFrame) -> pd.DataFrame:
    """The table with a column ``task``: each row of each task, unless it says of which it is.

    Raises:
        TypeError: no table.
        ValueError: a task in the column that is none of these.
    """
    if not isinstance(trials, pd.DataFrame):
        raise TypeError(f"trials is a table, as joc.grid returns it, not {type(trials).__name__}")
    if TASK not in trials:
        return pd.DataFrame({TASK: pd.array(list(names), "string")}).merge(trials, "cross")
    if others := {str(name) for name in trials[TASK].dropna()} - {*names}:
        raise ValueError(unknown("task in the column 'task'", min(others), names))
    return trials


def by_name(tasks: Mapping[str, Task]) -> Callable[[str], Task]:
    """What ``sweep`` takes as the task: a function of the static column ``task``."""
    metrics = common_metrics(list(tasks.values()))
    alike = {name: measured(task, metrics) for name, task in tasks.items()}

    def of_name(task: str) -> Task:
        return alike[task]

    return of_name


def tasks_of(tasks: str | Task | Iterable[str | Task]) -> Mapping[str, Task]:
    """Tasks by name, in the order given.

    Raises:
        TypeError: neither names nor tasks.
        ValueError: none; two of one name; a name or pattern that fits none.
    """
    given = [tasks] if isinstance(tasks, str | Task) else list(tasks)
    made: dict[str, Task] = {}
    own: set[str] = set()
    for one in given:
        if isinstance(one, Task):
            twice, own = {one.name} & {*made}, own | {one.name}
            made[one.name] = one
        elif isinstance(one, str):
            names = matching([one])
            twice = own & {*names}
            made |= {name: load_task(name) for name in names if name not in made}
        else:
            raise TypeError(f"tasks are names or tasks, not {one!r}")
        if twice:
            raise ValueError(f"two tasks are called {min(twice)!r}; a task's name tells it")
    if not made:
        raise ValueError("no task: give names, as ['digits', 'wine'], or tasks")
    return made
