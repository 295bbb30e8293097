"""Where each leaf of a state belongs, and a table that prints well."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pandas as pd
from jax.tree_util import GetAttrKey

from jaxopt_course.messages import html_table
from jaxopt_course.tree import Tree, named_leaves, path_name


class Table(pd.DataFrame):
    """A DataFrame that prints all its rows and columns, or a sentence if it is empty."""

    @property
    def _constructor(self) -> Any:
        return Table

    def __str__(self) -> str:
        if self.empty:
            return str(self.attrs.get("empty", "nothing"))
        lines = [[str(name) for name in self.columns]]
        lines += [[str(cell) for cell in row] for row in self.itertuples(index=False)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        pad = lambda line: (cell.ljust(n) for cell, n in zip(line, widths, strict=True))
        return "\n".join("  ".join(pad(line)).rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if self.empty:
            return html_table([], [], str(self))
        return html_table(list(self.columns), self.itertuples(index=False))


class Place(NamedTuple):
    """A leaf of a state."""

    where: tuple[str, ...]  # the way to its memory
    field: str  # e.g. "nu"
    path: str  # of the parameter that it belongs to
    leaf: Any
    member: str = ""  # of a switch
    lanes: tuple[int, ...] | None = None  # that use this member; None is all


def places_of(state: Any, is_leaf: Callable[[Any], bool] | None = None) -> Iterator[Place]:
    """Every leaf, its path cut at the field: of chain[1].inner_state.nu['w'], "nu" and "w"."""
    for path, leaf in named_leaves(state, is_leaf):
        fields = [i for i, key in enumerate(path) if _is_field(key)]
        at = fields[0] if fields else -1
        where = tuple(map(str, path[: max(at, 0)]))
        name = path[at].name if fields else ""
        yield Place(where, name, path_name(path[at + 1 :]), leaf)


def parameters_of(params: Tree) -> Iterator[Place]:
    """Every leaf of the parameters, which have no fields: params.policy has the path "policy"."""
    for path, leaf in named_leaves(params):
        yield Place((), "(parameter)", path_name(path), leaf)


def _is_field(key: Any) -> bool:
    if not isinstance(key, GetAttrKey):
        return False
    return not key.name.startswith("inner") and not key.name.endswith(("_state", "_states"))
