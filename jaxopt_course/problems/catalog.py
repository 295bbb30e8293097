"""The tasks by name: the only file that knows which there are, above all that they are made of."""

import fnmatch
from collections.abc import Callable, Iterable
from typing import Any

from jaxopt_course.messages import unknown
from jaxopt_course.problems import datasets, packaged
from jaxopt_course.problems.downloads import DOWNLOADS, openml_task, split_name
from jaxopt_course.problems.losses import LOSSES
from jaxopt_course.problems.tasks import Task

TASK_DESCRIPTIONS: dict[str, str] = {
    "digits": "1,797 images of digits, 8x8; MLP 64-64-64-10, softmax cross-entropy",
    "breast_cancer": "569 tumours, 30 measurements; the notes' bank network 30-64-64-1, "
    "binary cross-entropy from the logit",
    "wine": "178 wines of 3 growers, 13 measurements; MLP 13-64-64-3, softmax cross-entropy",
    "diabetes": "442 patients, 10 measurements, a disease's progress; MLP 10-64-64-1, "
    "squared error of the standardised target",
    "line": "the notes' regression x = y = 1 .. 5; one linear unit, squared error",
    "sales": "10,000 generated online sales, 13 inputs; MLP 13-64-64-1, squared error of the "
    "standardised target",
    "bank": "10,000 generated clients of a bank, 20 inputs; MLP 20-64-64-1, binary cross-entropy",
    "fraud": "10,000 generated card payments, 5% fraud; MLP 8-64-64-1, binary cross-entropy",
}


def _embedded(name: str, *sizes: int, loss: str, **settings: Any) -> Task:
    """A set that comes with scikit-learn and an MLP."""
    from jaxopt_course.problems.networks import MLP

    return Task.from_flax(
        lambda rngs: MLP(*sizes, rngs=rngs),
        *getattr(datasets, name)(),
        loss=loss,
        name=name,
        description=TASK_DESCRIPTIONS[name],
        **settings,
    )


def _line() -> Task:
    points = datasets.line()
    return _embedded("line", 1, 1, loss="squared_error", valid=points, test=points)


def _table(name: str, table: Any, target: str, **settings: Any) -> Task:
    from jaxopt_course.problems.tables import table_task

    return table_task(table, target, name=name, description=TASK_DESCRIPTIONS[name], **settings)


def _diabetes() -> Task:
    import pandas as pd

    measures, progress = datasets.diabetes()
    return _table("diabetes", pd.DataFrame(measures).assign(progress=progress), "progress")


def _generated(name: str, **settings: Any) -> Task:
    from jaxopt_course.problems import generated

    made: generated.Generated = getattr(generated, name)()
    return _table(name, made.table, made.target, **settings)


def _fraud() -> Task:
    metrics = LOSSES["sigmoid_binary_cross_entropy"].metrics  # accuracy last: "no" has 95% of it
    return _generated("fraud", metrics={name: metrics[name] for name in ("auc", "f1", "accuracy")})


#: The built-in tasks by name, each a function without arguments; see :func:`load_task`.
TASKS: dict[str, Callable[[], Task]] = {
    "digits": lambda: _embedded("digits", 64, 64, 64, 10, loss="softmax_cross_entropy"),
    "breast_cancer": lambda: _embedded(
        "breast_cancer", 30, 64, 64, 1, loss="sigmoid_binary_cross_entropy", standardize=True
    ),
    "wine": lambda: _embedded(
        "wine", 13, 64, 64, 3, loss="softmax_cross_entropy", standardize=True
    ),
    "diabetes": _diabetes,
    "line": _line,
    "sales": lambda: _generated("sales"),
    "bank": lambda: _generated("bank"),
    "fraud": _fraud,
}


def load_task(name: str) -> Task:
    """One of the tasks in ``TASKS``, or one that is downloaded, with its data.

    - ``digits``: MLP 64-64-64-10, accuracy. 1,797 images, split 60/20/20, pixels in [0, 1].
    - ``breast_cancer``: MLP 30-64-64-1, accuracy, F1 and AUC; class 1 is benign.  Features are
      standardised with the train part's mean and deviation.
    - ``wine``: MLP 13-64-64-3, accuracy; standardised as well.
    - ``diabetes``: MLP 10-64-64-1, squared error and R²; inputs and target standardised.
    - ``line``: one linear unit on x = y = 1 .. 5; all three parts are the same five points, as
      there is nothing to generalise to.  Its optimum is w = 1, b = 0.
    - ``sales``, ``bank``, ``fraud``: tables of :mod:`~jaxopt_course.problems.generated`, whose best
      reachable scores are known; ``fraud`` is ranked by AUC.

    For these nothing is downloaded: the data come with scikit-learn, or are drawn from a seed.
    Those of :mod:`~jaxopt_course.problems.downloads` (``mnist_dense``, ``mnist_cnn``,
    ``cifar10_cnn``, ...) come from openml.org, once; those of
    :mod:`~jaxopt_course.problems.packaged` (``mnist5000``, ``r:modeldata/attrition``, ...) with
    packages of their own, ``pip install 'jaxopt-course[tables]'``.

    Raises:
        ValueError: an unknown name; the message shows the nearest one and all of them.
        ConnectionError: the data are not in the cache, and cannot be downloaded.
        ImportError: the package that brings the data is not installed.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a task is text, not {name!r}")
    if name in TASKS:
        return TASKS[name]()
    if str(name).startswith(packaged.R) or name in packaged.entries():
        return packaged.packaged_task(name)
    if not split_name(name):
        others = [own for own in packaged.entries() if not own.startswith(packaged.R)]
        raise ValueError(unknown("task", name, [*TASKS, *DOWNLOADS, *others]))
    return openml_task(name)


def has_name(name: str) -> bool:
    """Whether :func:`load_task` knows a task of this name."""
    return name in TASKS or name in packaged.entries() or split_name(name) is not None


def matching(patterns: Iterable[str]) -> list[str]:
    """Names, and patterns of names as the shell has them, as names, each once.

    Patterns are of tasks that need no network.

    Raises:
        ValueError: an unknown name, or a pattern that fits none.

    >>> matching(["wine", "b*"])
    ['wine', 'breast_cancer', 'bank']
    """
    local = [*TASKS, *packaged.entries()]
    found: list[str] = []
    for pattern in patterns:
        own = [pattern] if has_name(pattern) else fnmatch.filter(local, pattern)
        if not own:
            raise ValueError(unknown("task", pattern, [*TASKS, *DOWNLOADS, *packaged.entries()]))
        found += own
    return list(dict.fromkeys(found))


def task_of(task: Any) -> Task:
    """A task, or the one of that name.

    Raises:
        TypeError: neither.
        ValueError: an unknown name.
    """
    if isinstance(task, str):
        return load_task(task)
    if not isinstance(task, Task) and callable(task):
        raise TypeError(
            "a function that makes tasks needs columns whose values it is given: static=[…]"
        )
    if not isinstance(task, Task):
        raise TypeError(f"task must be a Task or the name of one, not {task!r}")
    return task
