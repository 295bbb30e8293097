"""Search spaces are tables: a row a trial, a column a hyperparameter.

``grid``, ``random`` and ``sobol`` return a ``pandas.DataFrame`` with nullable dtypes; so does a
user's own query, join or CSV.  Conditional spaces are a ``.query(...)`` or a ``pd.concat``.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.tables.distributions import (
    DRAWN,
    Integers,
    LogUniform,
    Uniform,
    chosen_at,
    values_of,
)


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
    whole = all(_is_number(x) and abs(x) <= MOST and int(x) == x for x in (low, high))
    if not whole or low > high:
        raise ValueError(f"integers needs whole numbers low <= high, not {low!r}, {high!r}")
    return Integers(int(low), int(high))


MOST = 2**53  # beyond, float64 has not every whole number
MOST_ROWS = 100_000_000  # of a table
KINDS = ("Int64", "Float64", "boolean", "string")


def grid(**columns: Any) -> pd.DataFrame:
    """Every combination of the values given; the last column varies fastest.

    Args:
        **columns: a value, or a sequence of values, per column.

    Returns:
        a table of product(lengths) rows.

    Raises:
        ValueError: no column, a column without values, or more rows than a table may have.

    >>> grid(optimizer=["sgd", "adam"], learning_rate=[0.01, 0.1], seed=range(2)).shape
    (8, 3)
    """
    values = {name: values_of(name, column) for name, column in columns.items()}
    if not values:
        raise ValueError("grid() needs at least one column, for instance learning_rate=[0.1, 1.0]")
    _refuse_many(*values.values())
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
    _refuse_many(range(_count(n)), seeds)
    u = np.random.default_rng(_drawn_by(seed)).random((_count(n), max(1, len(columns))))
    return _sample(u, columns, seeds)


def sobol(
    n: int,
    *,
    seed: int = 0,
    seeds: Iterable[int] = (0,),
    tune: Sequence[str] | None = None,
    space: pd.DataFrame | None = None,
    **columns: Any,
) -> pd.DataFrame:
    """``n`` configurations of a scrambled Sobol sequence: random, without gaps and clusters.

    With ``tune=["learning_rate", "weight_decay"]`` each of the optimizers gets n configurations of
    its own, drawn from its :func:`~jaxopt_course.search_space`; a cell of a number that it does not
    take, or has no box for, is empty.  The i-th are drawn at the same place of all boxes.

    Args:
        n: configurations, of each optimizer where ``tune`` is given.
        seed: of the draw. A longer table with the same seed starts with the shorter one.
        seeds: of the trainings; crossed with the configurations, not sampled.
        tune: numbers of the optimizers, by name.
        space: the boxes, as ``search_space`` has them, perhaps changed; default what it returns.
        **columns: as in :func:`random`; with ``tune`` the column ``optimizer`` is a list, all of
            which get n configurations.

    Raises:
        ValueError: a number to be tuned that no optimizer takes, or a box whose low is not below
            its high; ``space`` without ``tune``.

    Sobol (1967), scrambled after Owen (1998), by ``scipy.stats.qmc``; powers of two for ``n`` keep
    its balance.

    >>> sobol(2, optimizer=["sgd", "adamw"], tune=["learning_rate", "weight_decay"]).shape
    (4, 4)
    """
    optimizers = columns.get("optimizer", ()) if tune is not None else ()
    _refuse_many(range(_count(n)), seeds, optimizers)
    if tune is None:
        if space is not None:
            raise ValueError("space= holds the boxes of what tune= names: give tune= too")
        return _sample(_quantiles(n, len(columns), seed), columns, seeds)
    # the recipes, which a plain table need not wait for
    from jaxopt_course.tables.boxes import drawn

    return _table(drawn(lambda wide: _quantiles(n, wide, seed), tune, space, columns, seeds))


def _quantiles(n: int, columns: int, seed: int) -> np.ndarray:
    from scipy.stats import qmc  # half a second, which a grid need not wait for

    bits = max(1, (_count(n) - 1).bit_length())
    return qmc.Sobol(max(1, columns), scramble=True, rng=_drawn_by(seed)).random_base2(bits)[:n]


def _sample(u: np.ndarray, columns: dict[str, Any], seeds: Iterable[int]) -> pd.DataFrame:
    chosen = {
        name: chosen_at(x, name, space)
        for x, (name, space) in zip(u.T, columns.items(), strict=False)
    }
    own = values_of("seeds", seeds)
    _refuse_many(u, own)  # seeds may have been an iterator, whose length nobody knew
    repeated = {name: [x for x in xs for _ in own] for name, xs in chosen.items()}
    return _table(repeated | {"seed": own * len(u)})


def _table(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame({name: nullable(name, pd.Series(x)) for name, x in columns.items()})


def nullable(name: str, column: pd.Series) -> pd.Series:
    """The column in the nullable dtype of its kind; whole numbers and booleans stay what they are.

    Raises:
        TypeError: the values are of no one kind (numbers, booleans, text).
    """
    if _is_nullable(column):  # as most tables are, and those that were here before
        return column
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


def _is_nullable(column: pd.Series) -> bool:
    """Whether a column has its nullable dtype, and some value, already."""
    if column.dtype == pd.Float64Dtype():
        return not np.isnan(column.to_numpy(float, na_value=0.0)).any()
    same = [pd.Int64Dtype(), pd.BooleanDtype(), pd.StringDtype()]  # not "str", which has the name
    return column.dtype in same and bool(column.notna().any())


def _kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | np.integer):
        return "Int64"
    if isinstance(value, float | np.floating):
        return "Float64"
    return "string" if isinstance(value, str) else type(value).__name__


def _bounds(name: str, low: float, high: float) -> tuple[float, float]:
    if text := [bound for bound in (low, high) if isinstance(bound, str)]:
        raise TypeError(
            f"{name} needs numbers, not {text[0]!r} (YAML takes 1e-3 for text, and 1.0e-3 for a "
            "number)"
        )
    if wrong := [bound for bound in (low, high) if not _is_number(bound)]:
        raise TypeError(f"{name} needs numbers, not {wrong[0]!r}")
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"{name} needs finite bounds low < high, not {low}, {high}")
    return float(low), float(high)


def _refuse_many(*crossed: Any) -> None:
    """Refuse a product of more rows than a table may have, before any is made."""
    several = [x for x in crossed if isinstance(x, Sized) and not isinstance(x, str | DRAWN)]
    rows = math.prod(len(x) or 1 for x in several if getattr(x, "ndim", None) != 0)
    if rows > MOST_ROWS:
        raise ValueError(
            f"a table has {MOST_ROWS:,} rows at most, not {rows:,}: take fewer values or seeds"
        )


def _count(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= MOST_ROWS:
        raise ValueError(
            f"n must be a whole number of at least 1 ({MOST_ROWS:,} at most), not {n!r}"
        )
    return int(n)


def _drawn_by(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, not {seed!r}")
    return int(seed)


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.number) and not isinstance(x, bool | np.complexfloating)
