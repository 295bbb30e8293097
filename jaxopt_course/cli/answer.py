"""``--json``: what a command found, as one JSON document on standard output.

Strict JSON: what is no finite number is null.  ``format`` counts changes that would break a reader;
keys may be added without one.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every command can be asked."""

    json: bool = False
    """Print one JSON document on standard output, and all else on standard error."""


class Answer(NamedTuple):
    """What a command found."""

    document: Callable[[], Mapping[str, Any]]  # made only where it is asked for
    code: int = 0  # to exit with
    then: Callable[[], None] | None = None  # what goes on after it was told


def written(command: str, document: Mapping[str, Any]) -> str:
    """The document, with which command made it, on one line.

    >>> written("tasks", {"tasks": [], "best": float("nan")})
    '{"command": "tasks", "format": 1, "tasks": [], "best": null}'
    """
    whole = {"command": command, "format": FORMAT, **document}
    return json.dumps(strict(whole), allow_nan=False)


def strict(value: Any) -> Any:
    """A value as JSON has it: None, switches, numbers, text, lists, objects; else its text."""
    if isinstance(value, Mapping):
        return {str(key): strict(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [strict(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
