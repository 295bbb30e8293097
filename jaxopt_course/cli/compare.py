"""``compare``: every optimizer at every learning rate on several seeds."""

import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxopt_course.cli.outcome import confirm, explain, seconds, show, stopped
from jaxopt_course.cli.own_table import DIGITS, Table, table_of, tell
from jaxopt_course.cli.say import say

COURSE = (  # the optimizers of the course notes
    "sgd",
    "momentum",
    "ema_momentum",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adadelta",
    "adam",
    "adamw",
    "adamax",
)


@dataclass(frozen=True)
class Compare(Table):
    """Train every optimizer at every learning rate on several seeds, and report which one wins."""

    task: str = DIGITS
    """What to train; `jaxopt-course tasks` lists them."""
    optimizers: tuple[str, ...] = ()
    """Which to compare, by name (adam, lion, keras.adam, ...); default those of the course."""
    learning_rates: int = 16
    """How many learning rates, evenly spaced on a logarithmic scale."""
    learning_rate_min: float = 1e-5
    """The smallest learning rate."""
    learning_rate_max: float = 10.0
    """The largest learning rate."""
    seeds: int = 4
    """Trainings of each configuration, from seeds 0, 1, ..."""
    epochs: int = 20
    """Passes over the training data."""
    batch_size: tuple[int, ...] = ()
    """Examples a step; default 64, or all where a task has fewer. Several: all are compared."""
    confirm: int = 5
    """Fresh seeds on which each optimizer's winner is trained again; 0 for none."""
    metric: str | None = None
    """What chooses the winners, as valid_loss; default the task's."""
    lanes: int | None = None
    """Trials trained side by side on a device; default by the size of the network."""
    plan: Literal["none", "auto"] = "none"
    """auto chooses the lanes from memory and short timed probes, and says why."""
    scheduler: Literal["none", "halving", "hyperband", "asha", "median"] = "none"
    """What stops trials that do not look promising; none trains all to their end."""
    eta: float = 3.0
    """Of halving, hyperband and asha: 1/eta of the configurations of a rung train on."""
    evaluate_every: int | None = None
    """Steps between evaluations, where schedulers may stop a trial; default an epoch."""
    out: Path | None = None
    """Where to write; default runs/<task>-<next free number>."""
    overwrite: bool = False
    """Whether a study that --out holds may be replaced."""
    yes: bool = False
    """Whether to go on, without asking, where many programs must be compiled."""
    verbose: bool = False
    """Also print how the program was compiled and how busy the lanes were."""


def compare(arguments: Compare) -> None:
    """Sweep, confirm, report."""
    from jaxopt_course.devices import use_cpu_cores

    use_cpu_cores()
    from jaxopt_course.problems.catalog import load_task
    from jaxopt_course.studies.many import ManyProgramsWarning
    from jaxopt_course.studies.plan import plan
    from jaxopt_course.studies.study import SweepInterrupted
    from jaxopt_course.studies.sweep import sweep
    from jaxopt_course.tables.space import grid
    from jaxopt_course.train import count_examples

    rates = learning_rates(arguments)
    if arguments.seeds < 1 or arguments.confirm < 0:
        raise ValueError("--seeds must be at least 1, and --confirm at least 0")
    task = table_of(arguments) or load_task(arguments.task)
    if arguments.csv is not None:
        tell(task)
    sizes = list(dict.fromkeys(arguments.batch_size)) or [min(64, count_examples(task.train))]
    several = len(sizes) > 1
    trials = grid(
        **({"batch_size": sizes} if several else {}),
        optimizer=list(dict.fromkeys(arguments.optimizers or COURSE)),
        learning_rate=rates,
        seed=range(arguments.seeds),
    )
    budget: dict[str, Any] = {
        "epochs": arguments.epochs,
        "batch_size": sizes[0],
        "evaluate_every": arguments.evaluate_every,
    }
    static = ["batch_size"] if several else None
    planned = None
    if arguments.plan == "auto":
        if arguments.lanes is not None:
            raise ValueError("give either --lanes or --plan auto, not both")
        planned = plan(task, trials, static=static, **budget)
        say(*str(planned).splitlines())
    out = arguments.out or next_free(Path("runs"), task.name)
    try:
        with warnings.catch_warnings():
            if sys.stdin.isatty() and not arguments.yes:  # before the second is compiled
                warnings.simplefilter("error", ManyProgramsWarning)
            study = sweep(
                task,
                trials,
                **budget,
                static=static,
                lanes=arguments.lanes,
                plan=planned,
                metric=arguments.metric,
                scheduler=scheduler_of(arguments),
                directory=out,
                overwrite=arguments.overwrite,
            )
        explain(study, arguments.verbose)
        confirm(study, arguments.confirm, arguments.verbose)
    except ManyProgramsWarning as warning:
        raise ValueError(f"{warning}; to go on nevertheless, add --yes") from None
    except SweepInterrupted as stop:
        show(out)
        stopped(stop, out)
    show(out)
    say(f"{seconds():.1f} s from command to report")


def scheduler_of(arguments: Compare) -> Any:
    """The scheduler asked for, or None."""
    from jaxopt_course.sweeps import schedulers

    made = {
        "halving": lambda: schedulers.SuccessiveHalving(arguments.eta),
        "hyperband": lambda: schedulers.Hyperband(arguments.eta),
        "asha": lambda: schedulers.ASHA(arguments.eta),
        "median": schedulers.MedianStopping,
    }
    return None if arguments.scheduler == "none" else made[arguments.scheduler]()


def learning_rates(arguments: Compare) -> list[float]:
    """The learning rates asked for, each at most 12 digits long."""
    import numpy as np

    low, high, n = (
        arguments.learning_rate_min,
        arguments.learning_rate_max,
        arguments.learning_rates,
    )
    if n < 1 or not 0 < low <= high or not np.isfinite(high):
        raise ValueError(
            "learning rates need a number of at least 1 and 0 < minimum <= maximum, "
            f"not {n} from {low} to {high}"
        )
    return [float(f"{rate:.12g}") for rate in np.geomspace(low, high, n)]


def next_free(parent: Path, name: str) -> Path:
    """``parent/name-N`` for the first N above all that are taken."""
    numbers = [
        int(match[1])
        for path in parent.glob(f"{name}-*")
        if (match := re.fullmatch(re.escape(name) + r"-(\d+)", path.name))
    ]
    return parent / f"{name}-{max(numbers, default=0) + 1}"
