"""``compare``: each optimizer with numbers from its own box, on several seeds; who wins."""

import shutil
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jaxopt_course.cli.answer import Answer
from jaxopt_course.cli.own_table import DIGITS, Table, table_of, tell
from jaxopt_course.cli.say import say
from jaxopt_course.cli.training import Training, check, seeds_of, train

if TYPE_CHECKING:
    import pandas as pd

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
ENTRANTS = ("course", "muon", "schedule_free_adamw", "adamw+ema")  # who is compared by default
TRIALS, SEEDS = 12, 2  # of sobol: more configurations find better ones than more seeds do
GRID = 16, 1e-5, 10.0  # learning rates by default: how many, from, to


@dataclass(frozen=True)
class Compare(Training, Table):
    """Train every optimizer, each tuned in its own box, on several seeds, and report which wins.

    jaxopt-course compare

    jaxopt-course compare --task wine --optimizers sgd adam lion --epochs 50

    jaxopt-course compare --optimizers course --search grid

    jaxopt-course compare --csv sales.csv --target price --drop id date
    """

    task: tuple[str, ...] = (DIGITS,)
    """What to train; `jaxopt-course tasks` lists them. Several, or a pattern as 'r:*': as one
    study, whose optimizers are ranked within each."""
    optimizers: tuple[str, ...] = ()
    """Which to compare, by name (adam, lion, adamw+ema, keras.adam, ...); course: the ten of the
    notes. Default course muon schedule_free_adamw adamw+ema."""
    defaults: int | None = None
    """Instead: only so many configurations (1 to 10), which together did best on many tables."""
    search: Literal["sobol", "grid"] | None = None
    """sobol: numbers drawn from each optimizer's own box; grid: the same learning rates for all,
    nothing else tuned. Default sobol, or grid where learning rates are given."""
    trials: int | None = None
    """Of sobol: configurations of each optimizer; default 12."""
    tune: tuple[str, ...] = ()
    """Of sobol: which numbers; default learning_rate weight_decay, where an optimizer has one."""
    decay: Literal["matrices", "all"] | None = None
    """What weight decay pulls at: matrices leaves biases and norms out. Default matrices, of
    --defaults all, as they were found."""
    learning_rates: int | None = None
    """Of grid: how many learning rates, evenly spaced on a logarithmic scale; default 16."""
    learning_rate_min: float | None = None
    """Of grid: the smallest learning rate; default 1e-5."""
    learning_rate_max: float | None = None
    """Of grid: the largest learning rate; default 10."""
    epochs: int = 20
    """Passes over the training data."""
    batch_size: tuple[int, ...] = ()
    """Examples a step; default 64, or all where a task has fewer. Several: all are compared."""
    dropout: tuple[float, ...] = ()
    """Rates at which hidden units are dropped in training; several: all are compared."""
    label_smoothing: tuple[float, ...] = ()
    """Shares of each label that are spread over all classes, of cross-entropies."""
    l2: tuple[float, ...] = ()
    """Factors of the sum of squared weights that is added to the loss."""


def compare(arguments: Compare) -> Answer:
    """Sweep, confirm, report."""
    from jaxopt_course.devices import use_cpu_cores

    use_cpu_cores()
    from jaxopt_course.tables.signatures import UnknownColumn

    check(arguments)
    if not arguments.task:
        raise ValueError("--task names none; `jaxopt-course tasks` lists what there is")
    check_regularized(arguments)
    names = optimizers(arguments)
    draw = configurations(arguments, names)
    try:
        return compared(arguments, draw)
    except UnknownColumn as error:
        first: BaseException = error
        while isinstance(first.__context__, UnknownColumn):  # of one of several programs
            first = first.__context__
        column = getattr(first, "column", "")
        if column not in regularized(arguments):
            raise
        option = f"--{column.replace('_', '-')}"
        raise ValueError(
            f"the task does not read {option}, so that it would change nothing: leave it out"
        ) from error


def compared(arguments: Compare, draw: "Callable[[dict[str, Any]], pd.DataFrame]") -> Answer:
    """As :func:`compare`, of one task or of several."""
    from jaxopt_course.problems.catalog import load_task, matching
    from jaxopt_course.train import count_examples

    if arguments.csv is None and len(names_of_tasks := matching(arguments.task)) > 1:
        return of_several(arguments, names_of_tasks, draw)
    task = table_of(arguments) or load_task(*matching(arguments.task))
    if arguments.csv is not None:
        tell(task, arguments)
    sizes = list(dict.fromkeys(arguments.batch_size)) or [min(64, count_examples(task.train))]
    several = len(sizes) > 1
    trials = draw({"batch_size": sizes} if several else {})
    budget = {"epochs": arguments.epochs, "batch_size": sizes[0]}
    return train(
        arguments, task, task.name, trials, None, ["batch_size"] if several else None, budget
    )


def of_several(
    arguments: Compare, names: Sequence[str], draw: "Callable[[dict[str, Any]], pd.DataFrame]"
) -> Answer:
    """The same on several tasks, as one study."""
    from jaxopt_course.studies.comparing import by_name, of_each, tasks_of
    from jaxopt_course.train import count_examples

    tasks = tasks_of(names)
    fewest = min(count_examples(task.train) for task in tasks.values())
    sizes = list(dict.fromkeys(arguments.batch_size)) or [min(64, fewest)]
    several = len(sizes) > 1
    trials = of_each(tasks, draw({"batch_size": sizes} if several else {}))
    budget = {"epochs": arguments.epochs, "batch_size": sizes[0]}
    static = ["task", "batch_size"] if several else ["task"]
    return train(arguments, by_name(tasks), f"{len(tasks)}_tasks", trials, None, static, budget)


def optimizers(arguments: Compare) -> list[str]:
    """Their names, each once; "course" stands for those of the notes."""
    asked = arguments.optimizers or ENTRANTS
    return list(
        dict.fromkeys(n for name in asked for n in (COURSE if name == "course" else [name]))
    )


def regularized(arguments: Compare) -> dict[str, list[float]]:
    """The columns of the task that were asked for."""
    asked = {
        "dropout": arguments.dropout,
        "label_smoothing": arguments.label_smoothing,
        "l2": arguments.l2,
    }
    return {name: list(dict.fromkeys(values)) for name, values in asked.items() if values}


def check_regularized(arguments: Compare) -> None:
    """Refuse values of these options that no row may have, by the option's name.

    Raises:
        ValueError: a value outside of its range, or one that float32 has not.
    """
    from jaxopt_course.problems.regularization import BOUNDS

    for name, values in regularized(arguments).items():
        least, most, closed = BOUNDS[name]
        for value in values:
            if not (least <= value < most or (closed and value == most)):
                raise ValueError(
                    f"--{name.replace('_', '-')} must be in "
                    f"[{least:g}, {most:g}{']' if closed else ')'}, not {value}"
                )


def configurations(
    arguments: Compare, names: Sequence[str]
) -> "Callable[[dict[str, Any]], pd.DataFrame]":
    """How the table is made, of columns that come first; what makes no sense is refused at once.

    Raises:
        ValueError: learning rates or boxes that are none, options of the other search.
    """
    from jaxopt_course.tables.masks import spare_biases
    from jaxopt_course.tables.space import grid, sobol

    rest = regularized(arguments)
    decay = arguments.decay or "matrices"
    if arguments.defaults is not None:
        decay = arguments.decay or "all"
        listed = of_list(arguments)

        def make(first: dict[str, Any]) -> "pd.DataFrame":
            return crossed(first | rest, listed)
    elif searched_by(arguments) == "grid":
        rates, seeds = learning_rates(arguments), seeds_of(arguments)

        def make(first: dict[str, Any]) -> "pd.DataFrame":
            return grid(**first, optimizer=names, learning_rate=rates, **rest, seed=seeds)
    else:
        seeds = seeds_of(arguments, SEEDS)
        space, tune = box_table(names, arguments.tune)
        sobol(1, optimizer=names, tune=tune, space=space)  # before anything is loaded

        def make(first: dict[str, Any]) -> "pd.DataFrame":
            tell_boxes(space, names, tune)
            n = TRIALS if arguments.trials is None else arguments.trials
            drawn = sobol(n, seeds=seeds, tune=tune, space=space, optimizer=names)
            return crossed(first | rest, drawn)

    return lambda first: make(first) if decay == "all" else spare_biases(make(first))


def of_list(arguments: Compare) -> "pd.DataFrame":
    """The first configurations of the default list, each with one seed where none is asked for.

    Raises:
        ValueError: more than the list has, or options that choose others.
    """
    from jaxopt_course.tables.defaults import defaults

    given = [f"--{name}" for name in ("optimizers", "search", "tune") if getattr(arguments, name)]
    numbers = ("trials", "learning_rates", "learning_rate_min", "learning_rate_max")
    given += [
        f"--{name.replace('_', '-')}" for name in numbers if getattr(arguments, name) is not None
    ]
    if given:
        raise ValueError(f"--defaults trains a fixed list: leave {', '.join(given)} out")
    return defaults(arguments.defaults or 0, seeds=seeds_of(arguments, 1))


def searched_by(arguments: Compare) -> str:
    """Sobol or grid ("sobol", "grid"): what was asked for, or what the other options are of.

    Raises:
        ValueError: options of the other search.
    """
    rates = arguments.learning_rates, arguments.learning_rate_min, arguments.learning_rate_max
    of_grid = rates != (None, None, None)
    of_sobol = arguments.trials is not None or bool(arguments.tune)
    search = arguments.search or ("grid" if of_grid else "sobol")
    if search == "grid" and of_sobol:
        raise ValueError("--trials and --tune are for --search sobol")
    if search == "sobol" and of_grid:
        raise ValueError(
            "--learning-rates, --learning-rate-min and --learning-rate-max are for --search "
            "grid; of sobol each optimizer has its own box"
        )
    return search


def box_table(names: Sequence[str], tune: Sequence[str]) -> "tuple[pd.DataFrame, list[str]]":
    """The boxes of all, and the numbers to tune: those asked for, or the rate and the decay."""
    from jaxopt_course.tables.boxes import search_space

    space = search_space(*names)
    known = [n for n in ("learning_rate", "weight_decay") if (space["name"] == n).any()]
    return space, list(tune) or known


def tell_boxes(space: "pd.DataFrame", names: Sequence[str], tune: Sequence[str]) -> None:
    """Say where each number is searched: low … high, and for whom."""
    from jaxopt_course.report.words import number

    for name in tune:
        own = space[space["name"] == name].set_index("optimizer")
        boxes: dict[str, list[str]] = {}
        for optimizer in [n for n in names if n in own.index]:
            row = own.loc[optimizer]
            boxes.setdefault(f"{number(row['low'])} … {number(row['high'])}", []).append(optimizer)
        none = [n for n in names if n not in own.index]
        said = [f"{', '.join(who)} {box}" for box, who in boxes.items()]
        whole = f"{name}: {'; '.join(said)}" + (f"; not of {', '.join(none)}" if none else "")
        say(*textwrap.wrap(whole, shutil.get_terminal_size().columns, subsequent_indent="  "))


def crossed(columns: dict[str, Any], drawn: "pd.DataFrame") -> "pd.DataFrame":
    """Every combination of columns, as a grid has them, with every row that was drawn."""
    from jaxopt_course.tables.space import grid

    return grid(**columns).merge(drawn, how="cross") if columns else drawn


def learning_rates(arguments: Compare) -> list[float]:
    """The learning rates asked for, each at most 12 digits long."""
    import numpy as np

    given = arguments.learning_rates, arguments.learning_rate_min, arguments.learning_rate_max
    n, low, high = (
        default if one is None else one for one, default in zip(given, GRID, strict=True)
    )
    if n < 1:
        raise ValueError(f"--learning-rates must be at least 1, not {n}")
    if not 0 < low <= high or not np.isfinite(high):
        raise ValueError(
            "learning rates need 0 < --learning-rate-min <= --learning-rate-max, finite, "
            f"not {low} and {high}"
        )
    info = np.finfo(np.float32)
    if low < float(info.tiny) or high > float(info.max):
        raise ValueError(
            f"trials train in float32, where --learning-rate-min must be at least {info.tiny:.2g} "
            f"and --learning-rate-max at most {info.max:.2g}, not {low} and {high}"
        )
    return [float(f"{rate:.12g}") for rate in np.geomspace(low, high, int(n))]
