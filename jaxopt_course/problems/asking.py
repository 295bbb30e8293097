"""What a user's function asks for beside its plain arguments, by the names in its signature.

    loss(outputs, targets)                 asks for nothing
    loss(outputs, targets, h)              gets the row's numbers: h["smoothing"]
    loss(params, state, batch, key, shared)

The numbers are traced, so one program serves all their values.  Who reads which column is known
once the functions were traced, so that a column that nobody reads can be refused.  What is built
into the package (a named loss, ``MLP``) says beforehand which columns it knows, in an attribute
``columns``, and does without those that the table does not have.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax

ASKABLE = frozenset({"h", "shared"})


def asked(function: Callable[..., Any], plain: int = 0) -> frozenset[str]:
    """Which of ``h`` (the row) and ``shared`` (arrays that all lanes read) a function takes.

    An argument that ``functools.partial`` has bound is not asked for; ``**kwargs`` ask for nothing.

    Args:
        function: any callable; one without a signature asks for nothing.
        plain: how many arguments it is given by position; they are nobody's request.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have none
        return frozenset()
    bound = function.keywords if isinstance(function, functools.partial) else {}
    named = [
        p.name
        for i, p in enumerate(parameters)
        if p.kind is p.KEYWORD_ONLY or (p.kind is p.POSITIONAL_OR_KEYWORD and i >= plain)
    ]
    return frozenset(name for name in named if name in ASKABLE and name not in bound)


class Asks(NamedTuple):
    """What functions ask for, and which columns they may read."""

    names: frozenset[str] = frozenset()  # of ASKABLE
    columns: frozenset[str] | None = frozenset()  # None: any, which only tracing tells

    def __or__(self, other: "Asks") -> "Asks":
        """What both ask for together."""
        known = None
        if self.columns is not None and other.columns is not None:
            known = self.columns | other.columns
        return Asks(self.names | other.names, known)

    @property
    def row(self) -> bool:
        """Whether they take the row's numbers."""
        return "h" in self.names


def asks_of(function: Callable[..., Any], plain: int = 0) -> Asks:
    """What a function asks for; without an attribute ``columns`` it may read any."""
    names = asked(function, plain)
    known = getattr(function, "columns", None)
    if "h" not in names:
        return Asks(names)
    return Asks(names, known if isinstance(known, frozenset) else None)


def wanted(function: Callable[..., Any], plain: int, **offered: Any) -> dict[str, Any]:
    """Those of the offered arguments that the function asks for."""
    names = asked(function, plain)
    return {name: value for name, value in offered.items() if name in names}


def call(function: Callable[..., Any], *args: Any, **offered: Any) -> Any:
    """Call a function with its plain arguments and those of the offered ones that it asks for."""
    return function(*args, **wanted(function, len(args), **offered))


def bind(function: Callable[..., Any], plain: int, **offered: Any) -> Callable[..., Any]:
    """The function of its plain arguments alone, what it asks for filled in; itself if nothing."""
    filled = wanted(function, plain, **offered)
    return functools.partial(function, **filled) if filled else function


def declare(function: Callable[..., Any], asks: Asks) -> Callable[..., Any]:
    """Let a function with ``**offered`` ask for these and for nothing else.

    It does without a row where all columns that it may read are known.
    """
    signature = inspect.signature(function)
    plain = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    default = inspect.Parameter.empty if asks.columns is None else None
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name in sorted(asks.names)
    ]
    function.__signature__ = signature.replace(parameters=plain + named)  # type: ignore[attr-defined]
    if asks.columns is not None:
        function.columns = asks.columns  # type: ignore[attr-defined]
    return function


def read_by(reader: str, offered: Mapping[str, Any]) -> dict[str, Any]:
    """The offered arguments, the row's readings noted as those of ``reader``."""
    row = offered.get("h")
    return {**offered, "h": row.by(reader)} if isinstance(row, Row) else dict(offered)


class Reads:
    """Who read which column."""

    def __init__(self) -> None:
        self.pairs: set[tuple[str, str]] = set()  # (reader, column)

    def of(self, *readers: str) -> set[str]:
        """The columns that these have read; without readers, that anybody has."""
        return {column for reader, column in self.pairs if not readers or reader in readers}


class Row(Mapping[str, Any]):
    """A row's numbers as a function gets them: scalars by name; remembers who read which.

    A pytree, so that the function may be wrapped in ``jax.jit`` or ``jax.checkpoint``.

    Args:
        numbers: name -> a traced scalar, or a plain value where the column is static.
        reader: who is about to read.
        reads: where it is remembered.
    """

    def __init__(self, numbers: Mapping[str, Any], reader: str, reads: Reads) -> None:
        self._numbers, self._reader, self._reads = numbers, reader, reads

    def by(self, reader: str) -> "Row":
        """The same row, read by another."""
        return Row(self._numbers, reader, self._reads)

    def __getitem__(self, column: str) -> Any:
        if column not in self._numbers:
            there = ", ".join(self) or "none"
            raise KeyError(
                f"{self._reader} of the task reads column {column!r}, which the table does not "
                f"have (it has {there})"
            )
        self._reads.pairs.add((self._reader, column))
        return self._numbers[column]

    def __contains__(self, column: object) -> bool:
        """Whether the table has the column; to ask is not to read."""
        return column in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def _flatten(row: Row) -> tuple[list[Any], Any]:
    traced = {name: x for name, x in row._numbers.items() if hasattr(x, "dtype")}
    plain = {name: x for name, x in row._numbers.items() if name not in traced}
    return list(traced.values()), (tuple(traced), tuple(plain.items()), row._reader, row._reads)


def _unflatten(beside: Any, traced: Any) -> Row:
    names, plain, reader, reads = beside
    return Row({**dict(plain), **dict(zip(names, traced, strict=True))}, reader, reads)


jax.tree_util.register_pytree_node(Row, _flatten, _unflatten)
