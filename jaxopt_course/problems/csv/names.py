"""Names of columns as people give them."""

from collections.abc import Hashable, Iterable
from typing import Any


def listed(argument: str, given: Any) -> list[Any]:
    """Names as a list; a string is one of them.

    Raises:
        TypeError: no list of names.

    >>> listed("drop", "id"), listed("drop", ("id", 3))
    (['id'], ['id', 3])
    """
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable) or getattr(given, "ndim", 1) != 1:
        raise TypeError(f"{argument} takes a list of names, not {given!r}")
    names = list(given)
    if strange := [name for name in names if not isinstance(name, Hashable)]:
        raise TypeError(f"{argument} takes a list of names, and one is {strange[0]!r}")
    return names
