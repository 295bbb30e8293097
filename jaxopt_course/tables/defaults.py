"""If you can only train k times: the configurations that together did best on many tables."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from jaxopt_course.tables.distributions import values_of
from jaxopt_course.tables.space import nullable

LIST = Path(__file__).with_name("default_list.csv")


def defaults(k: int = 5, *, seeds: Iterable[int] = (0,)) -> pd.DataFrame:
    """The first ``k`` configurations of the default list, as a table of trials.

    Each adds most to what those before it reach, over the tables of the benchmark
    ``experiments/benchmarks/optimizers_on_tables.py`` (greedy; how far the list stays behind the
    best on a table that it was made without stands in its guide).  Small networks on tables of some
    hundred to ten thousand rows, 1,000 steps, gradients clipped at a norm of 1: on other things it
    is a guess.

    Args:
        k: 1 to 10; the list of 3 begins the list of 5.
        seeds: of the trainings; each configuration is trained from each.

    Returns:
        A row a trial: ``optimizer`` (of "adamw+ema" a mean of the weights is evaluated), its
        numbers (empty: the optimizer's default), ``clip_norm`` and ``seed``.

    Raises:
        ValueError: ``k`` is no whole number from 1 to the length of the list.

    >>> defaults(3, seeds=range(2)).groupby("seed").size().tolist()
    [3, 3]
    """
    whole = pd.read_csv(LIST)
    if isinstance(k, bool) or k not in range(1, 1 + len(whole)):
        raise ValueError(f"the default list has 1 to {len(whole)} configurations, not {k!r}")
    told = [name for name in whole if "left_out" in name or name == "regret"]
    first = whole.head(int(k)).drop(columns=told).dropna(axis="columns", how="all")
    table = first.merge(pd.DataFrame({"seed": values_of("seeds", seeds)}), how="cross")
    return pd.DataFrame({name: nullable(name, table[name]) for name in table})
