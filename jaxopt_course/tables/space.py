"""Search spaces are tables: a row a trial, a column a hyperparameter.

``grid``, ``random`` and ``sobol`` return a ``pandas.DataFrame`` with nullable dtypes; so does a
user's own query, join or CSV.  Conditional spaces are a ``.query(...)`` or a ``pd.concat``.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


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
class Integers:
    """A whole number in low, …, high, both included, each equally likely."""

    low: int
    high: int

    def at(self, u: np.ndarray) -> np.ndarray:
        """The quantiles at ``u``."""
        return self.low + np.floor(u * (self.high - self.low + 1)).astype(np.int64)


def uniform(low: float, high: float) -> Uniform:
    """A number between ``low`` and ``high``, every one equally likely."""
    return Uniform(*_bounds("uniform", low, high))


def log_uniform(low: float, high: float) -> LogUniform:
    """A number between ``low`` > 0 and ``high``, every order of magnitude equally likely."""
    low, high = _bounds("log_uniform", low, high)
    if low <= 0:
        raise ValueError(f"log_uniform needs low > 0, not {low}")
    return LogUniform(low, high)


def integers(low: int, high: int) -> Integers:
    """A whole number from ``low`` to ``high``, both included."""
    if int(low) != low or int(high) != high or low > high:
        raise ValueError(f"integers needs whole numbers low <= high, not {low}, {high}")
    return Integers(int(low), int(high))


KINDS = ("Int64", "Float64", "boolean", "string")


def grid(**columns: Any) -> pd.DataFrame:
    """Every combination of the values given; the last column varies fastest.

    Args:
        **columns: a value, or a sequence of values, per column.

    Returns:
        a table of product(lengths) rows.

    Raises:
        ValueError: no column, or a column without values.

    >>> grid(optimizer=["sgd", "adam"], learning_rate=[0.01, 0.1], seed=range(2)).shape
    (8, 3)
    """
    values = {name: _values(name, column) for name, column in columns.items()}
    if not values:
        raise ValueError("grid() needs at least one column, for instance learning_rate=[0.1, 1.0]")
    rows = itertools.product(*values.values())
    return _table(dict(zip(values, zip(*rows, strict=True), strict=True)))


def random(n: int, *, seed: int = 0, seeds: Iterable[int] = (0,), **columns: Any) -> pd.DataFrame:
    """``n`` configurations drawn independently, each with every one of ``seeds``.

    Args:
        n: configurations; the table has n * len(seeds) rows.
        seed: of the draw. A longer table with the same seed starts with the shorter one.
        seeds: of the trainings; crossed with the configurations, not sampled.
        **columns: a distribution (:func:`uniform`, :func:`log_uniform`, :func:`integers`), a
            sequence to choose from, or a fixed value, per column.
    """
    u = np.random.default_rng(seed).random((_count(n), max(1, len(columns))))
    return _sample(u, columns, seeds)


def sobol(n: int, *, seed: int = 0, seeds: Iterable[int] = (0,), **columns: Any) -> pd.DataFrame:
    """``n`` configurations of a scrambled Sobol sequence: random, without gaps and clusters.

    Arguments as in :func:`random`.  Sobol (1967), scrambled after Owen (1998), by
    ``scipy.stats.qmc``; powers of two for ``n`` keep its balance.
    """
    from scipy.stats import qmc  # half a second, which a grid need not wait for

    bits = max(1, (_count(n) - 1).bit_length())
    sequence = qmc.Sobol(max(1, len(columns)), scramble=True, rng=seed)
    return _sample(sequence.random_base2(bits)[:n], columns, seeds)


def _sample(u: np.ndarray, columns: dict[str, Any], seeds: Iterable[int]) -> pd.DataFrame:
    chosen: dict[str, Sequence[Any]] = {}
    for column, (name, space) in zip(u.T, columns.items(), strict=False):
        if isinstance(space, Uniform | LogUniform | Integers):
            chosen[name] = space.at(column).tolist()
        else:
            values = _values(name, space)
            chosen[name] = [values[i] for i in np.floor(column * len(values)).astype(int)]
    own = _values("seeds", seeds)
    repeated = {name: [x for x in xs for _ in own] for name, xs in chosen.items()}
    return _table(repeated | {"seed": own * len(u)})


def _values(name: str, column: Any) -> list[Any]:
    """A column's values as a list; a string and a scalar stand for themselves."""
    if isinstance(column, Uniform | LogUniform | Integers):
        raise TypeError(f"column {name!r}: a grid needs values; draw distributions with sobol")
    if isinstance(column, str) or not isinstance(column, Iterable):
        return [column]
    if isinstance(column, np.ndarray) and column.ndim == 0:
        return [column.item()]
    values = np.asarray(column).tolist() if hasattr(column, "__array__") else list(column)
    if not values:
        raise ValueError(f"column {name!r} has no values")
    return values


def _table(columns: dict[str, Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame({name: nullable(name, pd.Series(x)) for name, x in columns.items()})


def nullable(name: str, column: pd.Series) -> pd.Series:
    """The column in the nullable dtype of its kind; whole numbers and booleans stay what they are.

    Raises:
        TypeError: the values are of no one kind (numbers, booleans, text).
    """
    if hasattr(column.dtype, "categories"):
        column = column.astype(column.cat.categories.dtype)
    scalar = lambda x: x.item() if getattr(x, "shape", None) == () and hasattr(x, "item") else x
    column = column.map(scalar) if column.dtype == object else column
    present = column.dropna()
    kinds = {_kind(value) for value in present}
    if kinds <= {"Int64", "Float64"}:
        kind = "Float64" if "Float64" in kinds or not kinds else "Int64"
    elif len(kinds) == 1:
        (kind,) = kinds
    else:
        examples = ", ".join(repr(x) for x in present.drop_duplicates().head(4))
        raise TypeError(
            f"column {name!r} must hold numbers, or booleans, or text, not a mixture: {examples}"
        )
    if kind not in KINDS:
        raise TypeError(
            f"column {name!r} must hold numbers, booleans or text, not {kind} ({present.iloc[0]!r})"
        )
    try:
        return column.astype(object).where(column.notna(), None).astype(kind)
    except OverflowError:
        raise ValueError(f"column {name!r} holds whole numbers beyond 64 bits") from None


def _kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | np.integer):
        return "Int64"
    if isinstance(value, float | np.floating):
        return "Float64"
    return "string" if isinstance(value, str) else type(value).__name__


def _bounds(name: str, low: float, high: float) -> tuple[float, float]:
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"{name} needs finite bounds low < high, not {low}, {high}")
    return float(low), float(high)


def _count(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n must be a whole number of at least 1, not {n!r}")
    return int(n)
