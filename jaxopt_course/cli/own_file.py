"""A Python file of one's own: the task in it, and what else it says."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TASK = "task"


class FileFails(ValueError):
    """What the file itself does wrong: who wrote it has Python's arguments."""


class OwnFile(NamedTuple):
    """What a file names.

    Attributes:
        task: a task, a name of one, or a function of static columns that makes it.
        optimizer: its ``optimizer``, as ``sweep`` takes it; None where it has none.
        trials: its ``trials``, a table; None where it has none.
        name: of the file, for directories.
    """

    task: Any
    optimizer: Any
    trials: Any
    name: str


def read(where: str) -> OwnFile:
    """Run ``FILE.py`` or ``FILE.py:NAME`` and take what it names.

    The file is run as an import would run it, so what stands under ``if __name__ == "__main__":``
    does not; files beside it can be imported.

    Raises:
        ValueError: no such file or name, or the file fails; the message has its line.
    """
    path, name = split(where)
    if not path.is_file():
        raise ValueError(f"there is no file {path}; `jaxopt-course init {path}` writes an example")
    if path.suffix != ".py":
        raise ValueError(f"{path} is no Python file; its name must end in .py")
    space = vars(_run(path))
    if name not in space:
        known = [key for key, value in space.items() if _may_be_task(key, value)]
        has = f"it has {', '.join(known)}: add :NAME" if known else "it makes no jaxopt_course.Task"
        raise ValueError(f"{path} has nothing called {name!r}; {has}")
    trials = space.get("trials")
    return OwnFile(space[name], space.get("optimizer"), trials, path.stem)


def split(where: str) -> tuple[Path, str]:
    """The file and the name of the task in it, ``task`` where none is given."""
    file, mark, name = where.rpartition(":")
    if not mark or not name.isidentifier():
        return Path(where), TASK
    return Path(file), name


def task_with(own: OwnFile, columns: Sequence[str]) -> tuple[Any, list[str]]:
    """The task, and the columns that its function takes.

    A function that none of the columns names is called without arguments, where it can be.

    Raises:
        ValueError: it needs an argument that no column gives.
    """
    from jaxopt_course.problems.tasks import Task

    if isinstance(own.task, Task | str):
        return own.task, []
    if not callable(own.task):
        raise ValueError(
            f"the task must be a jaxopt_course.Task, the name of one or a function that makes "
            f"one, not {type(own.task).__name__}"
        )
    parameters = inspect.signature(own.task).parameters
    taken = [name for name in columns if name in parameters]
    needed = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    missing = [name for name in needed if name not in taken]
    if missing:
        raise ValueError(
            f"the task is a function of {', '.join(needed)}: give --set {missing[0]}=VALUES too"
        )
    return (own.task, taken) if taken else (own.task(), [])


def given_again(where: str | None, directory: Path) -> tuple[Any, Any]:
    """The task and the optimizer of a study that was made of a file, from that file.

    Args:
        where: the file, as ``sweep`` was given it; None where none is named.
        directory: of the study, whole or cut short.

    Raises:
        ValueError: see :func:`read` and :func:`task_with`.
    """
    if where is None:
        return None, None
    asked = asked_of(directory)
    own = read(where)
    task, _ = task_with(own, asked["static"])
    made = own.optimizer if callable(own.optimizer) or isinstance(own.optimizer, Mapping) else None
    return task, made


def asked_of(directory: Path) -> Mapping[str, Any]:
    """What a study was asked with, whole or cut short."""
    from jaxopt_course.records import checkpoints, store

    if checkpoints.is_unfinished(directory):
        return checkpoints.asked(directory).settings
    return store.read(directory).manifest


def name_of(asked: Mapping[str, Any]) -> str:
    """What the task of a study is called; of several, the first."""
    return str(asked["buckets"][0]["task"]["name"])


def _run(path: Path) -> Any:
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # a file that ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # so that dataclasses and pickles in it find their module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{error.filename}, line {error.lineno}: {error.msg}") from error
    except SystemExit as error:
        raise ValueError(
            f"{path} ends the program (sys.exit({error.code!r})) before there is a task; put that "
            'under if __name__ == "__main__":'
        ) from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).resolve() == path.resolve()]
        line = f", line {own[-1].lineno}" if own else ""
        raise FileFails(f"{path}{line}: {type(error).__name__}: {error}") from error
    return module


def _may_be_task(key: str, value: Any) -> bool:
    from jaxopt_course.problems.tasks import Task

    own = inspect.isfunction(value) and "task" in key.lower()
    return not key.startswith("_") and (isinstance(value, Task) or own)
