"""What the recipes of a framework share: each argument is explained once, and shown by every help.

recipe = documented({"learning_rate": "η > 0, or a schedule of it.", ...})

@recipe
def sgd(learning_rate=0.01): ...        # help(sgd) now has an Args section
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

import optax

from jaxopt_course.describe import described

P = ParamSpec("P")
T = TypeVar("T", bound=optax.GradientTransformation)


def documented(
    texts: Mapping[str, str], closing: str
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator for recipes: an Args section from ``texts``, then ``closing``; and ``described``.

    A docstring that has an Args section keeps it.

    Args:
        texts: what each argument is, by name.
        closing: a paragraph on what all the recipes have in common: dtypes, errors.

    Raises:
        KeyError: an argument of a recipe without a text.
    """

    def complete(recipe: Callable[P, T]) -> Callable[P, T]:
        head, mark, tail = inspect.getdoc(recipe).partition(">>> ")  # type: ignore[union-attr]
        if "\nArgs:\n" not in head:
            names = inspect.signature(recipe).parameters
            lines = [_item(name, texts[name]) for name in names]
            head = "\n".join([head.rstrip(), "", "Args:", *lines, "", ""])
        whole = f"{head.rstrip()}\n\n{textwrap.dedent(closing)}\n\n{mark}{tail}"
        recipe.__doc__ = textwrap.indent(whole, "    ").lstrip() + "\n    "
        return described(recipe)

    return complete


def _item(name: str, text: str) -> str:
    return textwrap.fill(f"{name}: {text}", 96, initial_indent="    ", subsequent_indent=" " * 8)
