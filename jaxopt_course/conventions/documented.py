"""What the recipes of a framework share: each argument is explained once, and checked by each.

recipe = documented({"learning_rate": "η > 0, or a schedule of it.", ...})

@recipe
def sgd(learning_rate=0.01): ...        # help(sgd) now has an Args section
"""

import functools
import inspect
import textwrap
import types
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

import optax

from jaxopt_course.conventions.odd_values import checked_arguments
from jaxopt_course.describe import described

P = ParamSpec("P")
T = TypeVar("T", bound=optax.GradientTransformation)


def documented(
    texts: Mapping[str, str], closing: str
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator for recipes: an Args section from ``texts``, then ``closing``; and ``described``.

    The recipe refuses arguments of the wrong kind, as ``checked_arguments`` says.

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
        return described(_checking(recipe))

    return complete


def _checking(recipe: Callable[P, T]) -> Callable[P, T]:
    signature, check = inspect.signature(recipe), checked_arguments

    def make(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments = check(signature, bound.arguments)
        return recipe(*bound.args, **bound.kwargs)

    # in the globals of the recipe's module, for doctest, as in described
    home = types.FunctionType(
        make.__code__, recipe.__globals__, make.__name__, None, make.__closure__
    )
    return cast(Callable[P, T], functools.wraps(recipe)(home))


def _item(name: str, text: str) -> str:
    return textwrap.fill(f"{name}: {text}", 96, initial_indent="    ", subsequent_indent=" " * 8)
