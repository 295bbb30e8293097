"""One way to say that a name is not known."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: object, options: Iterable[str]) -> str:
    """A sentence that names the thing, the nearest known name and all of them.

    >>> unknown("optimizer", "adm", ["adam", "sgd"])
    "unknown optimizer 'adm'; did you mean 'adam'? (known: adam, sgd)"
    """
    known = list(options)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(known)})"
