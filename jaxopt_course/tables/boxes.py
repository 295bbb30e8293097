"""Search spaces by optimizer: the boxes as a table, and tables drawn from them."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.messages import unknown
from jaxopt_course.optimizers.boxes import BOXES, boxes_of
from jaxopt_course.tables.around import AROUND
from jaxopt_course.tables.distributions import (
    LogComplement,
    LogUniform,
    Uniform,
    chosen_at,
    values_of,
)
from jaxopt_course.tables.recipes import RECIPES, base_of
from jaxopt_course.tables.signatures import parameters_of

DISTRIBUTIONS = {"uniform": Uniform, "log_uniform": LogUniform, "log_complement": LogComplement}
NONE = (AROUND["clip_norm"],)  # defaults that mean that there is nothing
COLUMNS = ["optimizer", "name", "distribution", "low", "high", "default", "source"]


def search_space(*optimizers: str) -> pd.DataFrame:
    """Where to search the numbers of optimizers, and from where that is known.

    Args:
        *optimizers: names, as in the column "optimizer" of a table; default all of ``OPTIMIZERS``.

    Returns:
        A row a hyperparameter: ``optimizer``, ``name`` (of the column), ``distribution``
        ("uniform", "log_uniform", or "log_complement", where 1 - x is log-uniform), ``low``,
        ``high``, ``default`` (of the recipe, empty where there is none) and ``source``.  Changed,
        it is ``space=`` of :func:`~jaxopt_course.sobol`.

    Raises:
        ValueError: an unknown name, or an optimizer without boxes.

    >>> search_space("sgd")[["name", "low", "high"]].head(1).values.tolist()
    [['learning_rate', 0.001, 10.0]]
    """
    rows = []
    for optimizer in optimizers or [name for name in BOXES if name in RECIPES]:
        if optimizer not in RECIPES:
            raise ValueError(unknown("optimizer", optimizer, RECIPES))
        takes = parameters_of(optimizer)
        if base_of(optimizer).rpartition(".")[2] not in BOXES:
            raise ValueError(f"{optimizer} has no boxes; give space=, a row a hyperparameter")
        for box in boxes_of(base_of(optimizer)):
            if box.name in takes:
                default = takes[box.name]
                known = default not in (inspect.Parameter.empty, *NONE) and not callable(default)
                rows.append((optimizer, *box[:4], default if known else pd.NA, box.source))
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"low": "Float64", "high": "Float64", "default": "Float64"})


def drawn(
    quantiles: Callable[[int], np.ndarray],
    tune: Sequence[str],
    space: pd.DataFrame | None,
    columns: Mapping[str, Any],
    seeds: Iterable[int],
) -> dict[str, list[Any]]:
    """The columns of a table in which each optimizer has a row a quantile.

    Args:
        quantiles: from a number of columns to u, (n, columns) in [0, 1).
        tune: numbers of the optimizers.
        space: their boxes; None for :func:`search_space`.
        columns: the rest, drawn for all optimizers alike.
        seeds: of the trainings.

    Raises:
        TypeError: tune= is no list of names.
        ValueError: as :func:`~jaxopt_course.sobol`.
    """
    if isinstance(tune, str) or not all(isinstance(name, str) for name in tune):
        raise TypeError(f'tune= is a list of names, as tune=["learning_rate"], not {tune!r}')
    tune = list(dict.fromkeys(tune))
    if not tune:
        raise ValueError('tune= names nothing; as tune=["learning_rate", "weight_decay"]')
    if "optimizer" not in columns:
        raise ValueError('tune= is for optimizers: name them, as optimizer=["adam", "sgd"]')
    rest = {name: column for name, column in columns.items() if name != "optimizer"}
    if twice := [name for name in tune if name in rest]:
        raise ValueError(f"{twice[0]!r} is to be tuned, and a column too; give one of both")
    names = list(dict.fromkeys(values_of("optimizer", columns["optimizer"])))
    boxes = _boxes(search_space(*names) if space is None else space, names)
    _check_tuned(tune, names, boxes)
    u = quantiles(len(tune) + len(rest))
    own, alike = values_of("seeds", seeds), {}
    for x, (name, column) in zip(u.T[len(tune) :], rest.items(), strict=True):
        alike[name] = chosen_at(x, name, column)
    made: dict[str, list[Any]] = {"optimizer": [], **{name: [] for name in (*tune, *rest, "seed")}}
    tuned = {
        (optimizer, name): chosen_at(x, name, boxes[optimizer, name])
        for optimizer in names
        for x, name in zip(u.T, tune, strict=False)
        if (optimizer, name) in boxes
    }
    for i in range(len(u)):
        for optimizer in names:
            for seed in own:
                made["optimizer"].append(optimizer)
                for name in tune:
                    values = tuned.get((optimizer, name))
                    made[name].append(None if values is None else values[i])
                for name in rest:
                    made[name].append(alike[name][i])
                made["seed"].append(seed)
    return made


def _boxes(space: pd.DataFrame, names: Sequence[str]) -> dict[tuple[str, str], Any]:
    """(optimizer, number) -> the distribution.

    Raises:
        TypeError: it is no such table.
        ValueError: an unknown distribution, or bounds that bound nothing.
    """
    needed = COLUMNS[:5]
    if not isinstance(space, pd.DataFrame) or not set(needed) <= set(space.columns):
        raise TypeError(f"space= is a table as search_space() returns it, with {', '.join(needed)}")
    found = {}
    for optimizer, name, kind, low, high in space[needed].itertuples(index=False, name=None):
        if optimizer not in names:
            continue
        called = f"the box of {optimizer}'s {name!r}"
        if kind not in DISTRIBUTIONS:
            raise ValueError(f"{called}: {unknown('distribution', kind, DISTRIBUTIONS)}")
        if pd.isna(low) or pd.isna(high) or not -np.inf < low < high < np.inf:
            raise ValueError(f"{called} needs finite bounds low < high, not {low} and {high}")
        if kind == "log_uniform" and low <= 0:
            raise ValueError(f"{called} is log_uniform, which needs low > 0, not {low}")
        if kind == "log_complement" and not 0 <= low < high < 1:
            raise ValueError(f"{called} is log_complement, within 0 and 1, not {low} and {high}")
        found[optimizer, name] = DISTRIBUTIONS[kind](float(low), float(high))
    return found


def _check_tuned(
    tune: Sequence[str], names: Sequence[str], boxes: Mapping[tuple[str, str], Any]
) -> None:
    """Refuse a number that nobody takes, and an optimizer of which nothing is tuned."""
    known = sorted({name for _, name in boxes})
    for name in tune:
        if any((optimizer, name) in boxes for optimizer in names):
            continue
        for optimizer in names:
            if optimizer in RECIPES and name in parameters_of(optimizer):
                raise ValueError(
                    f"{name!r} has no box for any of {', '.join(names)}; give space=, the table of "
                    "search_space() with a row for it"
                )
        raise ValueError(f"no optimizer takes {name!r}: {unknown('number to tune', name, known)}")
    for optimizer in names:
        if not any((optimizer, name) in boxes for name in tune):
            raise ValueError(f"{optimizer} has no box for any of {', '.join(tune)}")
