"""A table's cells: nullable dtypes in, a trial's number and name, plain arrays out."""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.tables.space import nullable

RESULTS = {"trial", "id", "status", "first_bad_step", "last_finite_loss", "duplicate_of"}
RESULTS |= {"train_loss", "best_step", "stopped", "stopped_step", "scored_step"}
RESULTS |= {"rank", "seeds", "diverged", "unfinished"}  # columns of study.configurations() ...
RESULTS |= {"at_edge", "trials", "trials_diverged"}  # ... of study.winners() ...
RESULTS |= {"step", "eval_step"}  # ... and coordinates of study.curves
RESULTS |= {"_study", "_trial"}  # where studies are joined


def check_table(trials: Any) -> None:
    """Refuse what is no table.

    Raises:
        TypeError: it is another thing.
    """
    if not isinstance(trials, pd.DataFrame):
        raise TypeError(
            "trials must be a pandas.DataFrame, as from grid(...) or pandas.DataFrame(trials), not "
            f"{type(trials).__name__}"
        )


def normalise(trials: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Nullable dtypes, a valid seed, and no value that no optimizer could take."""
    check_table(trials)
    if trials.empty:
        raise ValueError("the table of trials is empty")
    if not trials.columns.is_unique or not all(isinstance(c, str) for c in trials.columns):
        raise ValueError(f"column names must be different strings: {list(trials.columns)}")
    for column in trials.columns:
        if column in RESULTS or column.startswith(("valid_", "test_", "best_valid_")):
            raise ValueError(
                f"a hyperparameter may not be called {column!r}, as results of a study are; rename "
                "the column, or keep only study.trials[[*study.hyperparameters, 'seed']]"
            )
    lost = [n for n in trials.index.names if n is not None and n not in {*RESULTS, *trials}]
    if lost:  # as of set_index("seed"): all rows would train with seed 0
        raise ValueError(
            f"the table's index has a name, {lost[0]!r}, and would be lost: trials.reset_index() "
            "makes it a column, trials.reset_index(drop=True) leaves it out"
        )
    table = pd.DataFrame({c: nullable(c, trials[c]) for c in trials.columns})
    table = table.reset_index(drop=True)
    _refuse_controls(table)
    searched = [c for c in table.columns if c != "seed"]
    for column in searched:
        if table[column].dtype == "Float64":
            infinite = np.isinf(table[column].to_numpy(float, na_value=0.0))
            if infinite.any():
                raise ValueError(f"column {column!r} is infinite in row {infinite.argmax()}")
            large = table[column].abs().fillna(0) > float(np.finfo(np.float32).max)
            if large.any():
                raise ValueError(
                    f"column {column!r} is beyond float32 in row {int(large.argmax())}"
                )
    if "learning_rate" in table:
        rate = table["learning_rate"]
        if rate.dtype not in ("Float64", "Int64"):
            value = rate.dropna().iloc[0]
            raise TypeError(f"column 'learning_rate' must hold numbers, not {value!r}")
        negative = (rate < 0).fillna(False)
        if negative.any():
            row = int(negative.argmax())
            raise ValueError(
                f"column 'learning_rate' is negative ({rate[row]}) in row {row}; "
                "the update descends already"
            )
    table["seed"] = _seeds(table["seed"]) if "seed" in table else 0
    table["seed"] = table["seed"].astype("Int64")
    return table[[c for c in table.columns if c != "seed"] + ["seed"]], searched


def _refuse_controls(table: pd.DataFrame) -> None:
    """Names and text go into files of lines and onto terminals, so they must be printable."""
    for column in table:
        if not column.strip():
            raise ValueError(f"a column has no name: {list(table.columns)}")
        text = [column, *(table[column].dropna() if table[column].dtype == "string" else ())]
        for word in text:
            if not word:  # the file of the study would have it as an empty cell
                raise ValueError(
                    f"column {column!r} holds an empty text, which is no value: give it a name, or "
                    "leave the cell empty (None)"
                )
            if not word.isprintable():
                raise ValueError(
                    f"column {column!r} holds {word!r}, with characters that cannot be printed"
                )


def _seeds(column: pd.Series) -> pd.Series:
    """Whole numbers from 0 to 2³² - 1; an empty cell means 0."""
    if column.dtype in ("Int64", "Float64"):
        seeds = column.fillna(0)
        wrong = (seeds < 0) | (seeds >= 2**32) | (seeds % 1 != 0)
        if not wrong.any():
            return seeds
        column = column[wrong]
    raise ValueError(
        f"column 'seed' must hold whole numbers from 0 to 2³² - 1, not {column.iloc[0]!r}"
    )


def numbers_of(column: pd.Series) -> np.ndarray:
    """A column as a plain array; a cell that its row's optimizer does not read becomes zero."""
    kind = {"Float64": float, "Int64": np.int64, "boolean": bool}[str(column.dtype)]
    return column.to_numpy(kind, na_value=kind(0))


def identify(trials: pd.DataFrame, hyperparameters: Sequence[str]) -> pd.DataFrame:
    """Number the rows, give each a content id, and flag those that repeat an earlier one."""
    ids = pd.Series(
        [
            content_id(dict(zip(hyperparameters, row, strict=True)), int(seed))
            for *row, seed in trials[[*hyperparameters, "seed"]].itertuples(index=False, name=None)
        ],
        dtype="string",
    )
    first: dict[str, int] = {}
    earlier = [first.setdefault(one, row) for row, one in enumerate(ids)]
    duplicate_of = pd.Series(earlier, dtype="Int64").mask(np.arange(len(ids)) == earlier)
    repeats = duplicate_of.notna()
    if repeats.any():
        row = int(repeats.argmax())
        warnings.warn(
            f"{int(repeats.sum())} trials repeat an earlier one (row {row} says the same as row "
            f"{duplicate_of[row]}); see the column 'duplicate_of', or use drop_duplicates()",
            stacklevel=5,
        )
    numbered = trials.copy()
    numbered.insert(0, "trial", np.arange(len(trials)))
    numbered.insert(1, "id", ids)
    numbered["duplicate_of"] = duplicate_of
    return numbered


def content_id(hyperparameters: Mapping[str, Any], seed: int) -> str:
    """A trial's name by what it is: a hash of its hyperparameters and seed, 16 hex digits."""
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in hyperparameters.items()
        if value is not pd.NA
    }
    text = json.dumps({"hyperparameters": plain, "seed": seed}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
