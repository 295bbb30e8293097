"""``sweep``: a task of one's own, in a Python file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from jaxopt_course.cli import own_file
from jaxopt_course.cli.answer import Answer
from jaxopt_course.cli.columns import table
from jaxopt_course.cli.training import Training, check, seeds_of, train


@dataclass(frozen=True)
class Sweep(Training):
    """Train a task of your own, made in a Python file, with every number of a table.

    jaxopt-course init mine.py && jaxopt-course sweep mine.py

    jaxopt-course sweep mine.py --optimizers sgd adam --set learning_rate=log:1e-4:1:16

    jaxopt-course sweep mine.py:deep --set learning_rate=0.01,0.1 --set hidden=16,64 --seeds 2

    jaxopt-course sweep mine.py --set learning_rate=log:1e-4:1 --set b1=lin:0:0.99 --samples 64
    """

    file: Annotated[str, tyro.conf.Positional]
    """FILE.py, or FILE.py:NAME where the task is not called `task`."""
    settings: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(name="set")] = ()
    """A column, NAME=VALUES: 0.01,0.1 or log:LOW:HIGH:NUMBER or lin: or int:; may be repeated."""
    samples: int | None = None
    """Draw so many configurations from ranges without a NUMBER; default every combination."""
    optimizers: tuple[str, ...] = ()
    """Which, by name; default the file's `optimizer`, else adam."""
    static: tuple[str, ...] = ()
    """Columns that have a program a value; batch_size and what the task's function takes are."""
    epochs: int | None = None
    """Passes over the training data; default 20 where --steps is not given."""
    steps: int | None = None
    """Updates, in place of --epochs."""
    batch_size: int | None = None
    """Examples a step; default 64, or all where a task has fewer."""


def sweep(arguments: Sweep) -> Answer:
    """Run the file, make the table, train, confirm, report."""
    from jaxopt_course.devices import use_cpu_cores

    use_cpu_cores()
    check(arguments)
    if arguments.epochs is not None and arguments.steps is not None:
        raise ValueError("give either --epochs or --steps, not both")
    own = own_file.read(arguments.file)
    trials, optimizer = _trials(arguments, own)
    task, taken = own_file.task_with(own, [c for c in trials if c != "seed"])
    static = list(dict.fromkeys([*arguments.static, *taken]))
    if "batch_size" in trials and "batch_size" not in static:
        static.append("batch_size")
    budget: dict[str, Any] = {"epochs": arguments.epochs, "steps": arguments.steps}
    if arguments.epochs is None and arguments.steps is None:
        budget["epochs"] = 20
    if arguments.batch_size is not None and "batch_size" in trials:
        raise ValueError("the table has a column batch_size: leave --batch-size out")
    budget["batch_size"] = arguments.batch_size
    if arguments.batch_size is None:
        budget["batch_size"] = _batch_size(task, trials, taken)
    name = getattr(task, "name", own.name)
    return train(arguments, task, name, trials, optimizer, static or None, budget)


def _trials(arguments: Sweep, own: own_file.OwnFile) -> tuple[Any, Any]:
    """The table, and what ``sweep`` is given as the optimizer."""
    import pandas as pd

    if arguments.settings or own.trials is None:
        if not arguments.settings:
            raise ValueError(
                "what is to be tried? --set learning_rate=log:1e-4:1:16, or a table `trials` in "
                "the file"
            )
        trials = table(arguments.settings, len(seeds_of(arguments)), arguments.samples)
    else:
        if arguments.samples is not None:
            raise ValueError("--samples draws from ranges given with --set; the file has a table")
        trials = own.trials() if callable(own.trials) else own.trials
        if not isinstance(trials, pd.DataFrame):
            raise ValueError(f"`trials` in the file must be a table, not {type(trials).__name__}")
        if "seed" in trials and arguments.seeds is not None:
            raise ValueError("the table in the file has a column seed: leave --seeds out")
        if "seed" not in trials:
            trials = trials.merge(pd.DataFrame({"seed": seeds_of(arguments)}), how="cross")
    asked = list(dict.fromkeys(arguments.optimizers))
    functions = own.optimizer
    if isinstance(functions, Mapping):
        names = asked or list(functions)
    elif functions is not None and asked:
        raise ValueError(
            "the file has an `optimizer` and --optimizers names others; to compare them, let the "
            'file have a dictionary, optimizer = {"mine": ...}'
        )
    elif callable(functions):
        return trials, functions
    else:
        names = asked or [functions or "adam"]
    if "optimizer" in trials:
        if asked:
            raise ValueError("the table has a column optimizer: leave --optimizers out")
        return trials, functions if isinstance(functions, Mapping) else None
    column = pd.DataFrame({"optimizer": pd.Series(names, dtype="string")})
    return column.merge(trials, how="cross"), functions if isinstance(functions, Mapping) else None


def _batch_size(task: Any, trials: Any, taken: Sequence[str]) -> int:
    """64, or all examples where there are fewer; of a function, where its first task has fewer."""
    from jaxopt_course.tables.static import make_task
    from jaxopt_course.train import count_examples

    first = {name: trials[name].tolist()[0] for name in taken}
    return min(64, count_examples(make_task(task, first, trials).train))
