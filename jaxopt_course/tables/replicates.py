"""Columns that repeat a configuration, as its seed does: it is scored by their mean.

A replicate column is read by programs like any other, and makes a trial another one; it does not
make another configuration.  ``seed`` is one without being named.
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from jaxopt_course.messages import unknown


def check_replicates(replicates: Sequence[str] | None, trials: pd.DataFrame) -> tuple[str, ...]:
    """The names of the replicate columns, checked against the table.

    Args:
        replicates: as given; the seed may be named or not.
        trials: the table.

    Raises:
        TypeError: no list of names.
        ValueError: no such column; the optimizer; a name twice; an empty cell.
    """
    if replicates is None:
        return ()
    listed = isinstance(replicates, Iterable) and not isinstance(replicates, str | bytes)
    if not listed or getattr(replicates, "ndim", 1) != 1:
        raise TypeError(f"replicates= takes a list of columns: replicates=[{replicates!r}]")
    names = [name for name in replicates if name != "seed"]
    if len(set(names)) < len(names):
        raise ValueError(f"replicates= takes each column once, not {names}")
    for name in names:
        if name not in trials:
            raise ValueError(f"replicates=: {unknown('column', str(name), map(str, trials))}")
        if name == "optimizer":
            raise ValueError("replicates=: the optimizer is what is compared, and repeats nothing")
        if trials[name].isna().any():
            row = int(trials[name].isna().to_numpy().argmax())
            raise ValueError(f"replicate column {name!r} is empty in row {row}; it has no default")
    return tuple(names)


def making(hyperparameters: Iterable[str], replicates: Iterable[str]) -> list[str]:
    """The columns that make a configuration: those that do not repeat it."""
    repeat = set(replicates)
    return [name for name in hyperparameters if name not in repeat]
