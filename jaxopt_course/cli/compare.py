"""``compare``: every optimizer at every learning rate on several seeds."""

from dataclasses import dataclass

from jaxopt_course.cli.own_table import DIGITS, Table, table_of, tell
from jaxopt_course.cli.training import Training, check, train

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
class Compare(Training, Table):
    """Train every optimizer at every learning rate on several seeds, and report which one wins.

    jaxopt-course compare

    jaxopt-course compare --task wine --optimizers sgd adam lion --epochs 50

    jaxopt-course compare --csv sales.csv --target price --drop id date
    """

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


def compare(arguments: Compare) -> None:
    """Sweep, confirm, report."""
    from jaxopt_course.devices import use_cpu_cores

    use_cpu_cores()
    from jaxopt_course.problems.catalog import load_task
    from jaxopt_course.tables.space import grid
    from jaxopt_course.train import count_examples

    rates = learning_rates(arguments)
    check(arguments)
    task = table_of(arguments) or load_task(arguments.task)
    if arguments.csv is not None:
        tell(task)
    sizes = list(dict.fromkeys(arguments.batch_size)) or [min(64, count_examples(task.train))]
    several = len(sizes) > 1
    trials = grid(
        **({"batch_size": sizes} if several else {}),
        optimizer=list(dict.fromkeys(arguments.optimizers or COURSE)),
        learning_rate=rates,
        **regularized(arguments),
        seed=range(arguments.seeds),
    )
    budget = {"epochs": arguments.epochs, "batch_size": sizes[0]}
    train(arguments, task, task.name, trials, None, ["batch_size"] if several else None, budget)


def regularized(arguments: Compare) -> dict[str, list[float]]:
    """The columns of the task that were asked for."""
    asked = {
        "dropout": arguments.dropout,
        "label_smoothing": arguments.label_smoothing,
        "l2": arguments.l2,
    }
    return {name: list(dict.fromkeys(values)) for name, values in asked.items() if values}


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
    info = np.finfo(np.float32)
    if low < float(info.tiny) or high > float(info.max):
        raise ValueError(
            f"trials train in float32, where --learning-rate-min must be at least {info.tiny:.2g} "
            f"and --learning-rate-max at most {info.max:.2g}, not {low} and {high}"
        )
    return [float(f"{rate:.12g}") for rate in np.geomspace(low, high, n)]
