"""What the numbers of a search space are drawn from."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_VALUES = 10_000_000  # of a column


@dataclass(frozen=True)
class Uniform:
    """x = low + u (high - low), for u uniform in [0, 1)."""

    low: float
    high: float

    def at(self, u: np.ndarray) -> np.ndarray:
        """The quantiles at ``u``."""
        return self.low + u * (self.high - self.low)


@dataclass(frozen=True)
class LogUniform:
    """x = low (high / low)^u, for u uniform in [0, 1)."""

    low: float
    high: float

    def at(self, u: np.ndarray) -> np.ndarray:
        """The quantiles at ``u``."""
        return self.low * (self.high / self.low) ** u


@dataclass(frozen=True)
class LogComplement:
    """x = 1 - (1 - low) ((1 - high) / (1 - low))^u: decays near 1, of which 1 - x matters."""

    low: float
    high: float

    def at(self, u: np.ndarray) -> np.ndarray:
        """The quantiles at ``u``."""
        return 1 - (1 - self.low) * ((1 - self.high) / (1 - self.low)) ** u


@dataclass(frozen=True)
class Integers:
    """A whole number in low, …, high, both included, each equally likely."""

    low: int
    high: int

    def at(self, u: np.ndarray) -> np.ndarray:
        """The quantiles at ``u``."""
        return self.low + np.floor(u * (self.high - self.low + 1)).astype(np.int64)


DRAWN = Uniform | LogUniform | LogComplement | Integers


def chosen_at(u: np.ndarray, name: str, space: Any) -> list[Any]:
    """The values of a column at the quantiles ``u``: of a distribution, or of a list."""
    if isinstance(space, DRAWN):
        return list(space.at(u).tolist())
    values = values_of(name, space)
    return [values[i] for i in np.floor(u * len(values)).astype(int)]


def values_of(name: str, column: Any) -> list[Any]:
    """A column's values as a list; a string and a scalar stand for themselves."""
    if isinstance(column, DRAWN):
        raise TypeError(f"column {name!r}: a grid needs values; draw distributions with sobol")
    if isinstance(column, str) or not isinstance(column, Iterable):
        return [column]
    if isinstance(column, set | frozenset):  # of text, other rows in each process
        raise TypeError(f"column {name!r} is a set, which has no order: give a list, sorted(…)")
    if isinstance(column, Mapping):  # of which a loop sees the keys alone
        raise TypeError(f"column {name!r} is a dictionary: give a list, of its keys or values")
    if getattr(column, "ndim", None) == 0:
        return [np.asarray(column).item()]
    if hasattr(column, "__array__"):
        values = np.asarray(column).tolist()
    else:  # an iterator may have no end
        values = list(itertools.islice(column, MOST_VALUES + 1))
    if len(values) > MOST_VALUES:
        raise ValueError(f"column {name!r} has more than {MOST_VALUES:,} values; give fewer")
    if not values:
        raise ValueError(f"column {name!r} has no values")
    return values
