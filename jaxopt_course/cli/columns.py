"""``--set NAME=VALUES``: a column of the table of trials, in a few characters.

    learning_rate=0.1               one value
    learning_rate=0.01,0.1          these values
    learning_rate=log:1e-4:1:32     32 values, evenly spaced on a logarithmic scale, ends included
    dropout=lin:0:0.5:6             6 values, evenly spaced
    hidden=int:16:64:4              4 whole numbers, evenly spaced and rounded
    learning_rate=log:1e-4:1        without a number: drawn, --samples says how often

Values are whole numbers, numbers, true and false, or text.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

WAYS = ("log", "lin", "int")
RANGE = re.compile(r"(?P<way>[a-z]+):(?P<rest>.*)")
WHOLE = re.compile(r"[+-]?\d+")


def table(settings: Sequence[str], seeds: int, samples: int | None) -> "pd.DataFrame":
    """The table that the settings make: every combination, or a Sobol sequence.

    Args:
        settings: each ``NAME=VALUES``.
        seeds: 0, 1, ..., with each of which every configuration is trained.
        samples: configurations to draw; None for every combination of the values.

    Raises:
        ValueError: a setting that is none, a column twice, drawing without a range or a range to
            draw from without a number of draws; the message names the setting.
    """
    from jaxopt_course.tables.space import grid, sobol

    columns: dict[str, Any] = {}
    for setting in settings:
        name, mark, text = setting.partition("=")
        if not mark or not name.strip():
            raise ValueError(f"--set takes NAME=VALUES, as learning_rate=0.01,0.1, not {setting!r}")
        if (name := name.strip()) in columns:
            raise ValueError(f"--set {name}=... is given twice; give its values together")
        if name == "seed":
            raise ValueError("the seeds are asked for with --seeds N")
        columns[name] = values(setting, text.strip())
    drawn = [name for name, column in columns.items() if not isinstance(column, list)]
    if drawn and samples is None:
        name = drawn[0]
        raise ValueError(
            f"--set {name}=... has no number of values: write it as a fourth part, or say with "
            "--samples N how many configurations to draw"
        )
    if samples is None:
        return grid(**columns, seed=range(seeds))
    if not drawn:
        raise ValueError("--samples draws from ranges, as --set learning_rate=log:1e-4:1; give one")
    return sobol(samples, seeds=range(seeds), **columns)


def values(setting: str, text: str) -> Any:
    """The values of a column: a list, or a distribution.

    Raises:
        ValueError: they cannot be read; the message has the whole setting.
    """
    match = RANGE.fullmatch(text)
    if match is not None and match["way"] in WAYS:
        return _range(setting, match["way"], match["rest"].split(":"))
    if not text:
        raise ValueError(f"--set {setting!r} has no values")
    return [_value(setting, cell.strip()) for cell in text.split(",")]


def _range(setting: str, way: str, parts: list[str]) -> Any:
    import numpy as np

    from jaxopt_course.tables import space

    try:
        low, high, *count = (float(part) for part in parts)
        number = int(count[0]) if count else None
        fits = len(count) < 2 and np.isfinite([low, high]).all() and low <= high
        fits &= number is None or (number == count[0] and number >= 1)
    except (ValueError, OverflowError):
        fits = False
    if not fits or (way == "log" and low <= 0) or (way == "int" and {low % 1, high % 1} != {0.0}):
        need = {"log": "0 < LOW", "lin": "LOW", "int": "whole numbers LOW"}[way]
        raise ValueError(
            f"--set {setting!r} must be {way}:LOW:HIGH:NUMBER with {need} <= HIGH and NUMBER >= 1"
        )
    if number is None:
        if way == "int":
            return space.integers(int(low), int(high))
        return (space.log_uniform if way == "log" else space.uniform)(low, high)
    spaced = (np.geomspace if way == "log" else np.linspace)(low, high, number)
    if way == "int":
        return list(dict.fromkeys(int(x) for x in np.rint(spaced)))
    return [float(f"{x:.12g}") for x in spaced]


def _value(setting: str, cell: str) -> Any:
    if cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    if WHOLE.fullmatch(cell):
        return int(cell)
    try:
        return float(cell)
    except ValueError:
        pass
    if not cell:
        raise ValueError(f"--set {setting!r} has an empty value")
    if re.fullmatch(r"[a-z]+:[^:]*(:[^:]*)*", cell) and cell.split(":")[0] not in WAYS:
        way = cell.split(":")[0]
        raise ValueError(f"--set {setting!r}: a range is log:, lin: or int:, not {way}:")
    return cell
