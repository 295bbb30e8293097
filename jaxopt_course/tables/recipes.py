"""What the column "optimizer" may say: a registered recipe, or one with averaged weights.

"adamw+ema" is adamw whose ``ema_decay`` is 0.99 where its cells are empty, so that a table can hold
it beside plain adamw as an optimizer of its own.
"""

from collections.abc import Callable
from typing import Any

from jaxopt_course.conventions.registry import REGISTERED
from jaxopt_course.optimizers import Optimizer

EMA = "+ema"
EMA_DECAY = 0.99


class Recipes(dict[str, Callable[..., Optimizer]]):
    """Names -> recipes; "adamw+ema" is in it, and is adamw's, though only plain names are listed.

    >>> "adamw+ema" in RECIPES, "adamw+ema" in list(RECIPES), RECIPES["adamw+ema"].__name__
    (True, False, 'adamw')
    """

    def __contains__(self, name: object) -> bool:
        return super().__contains__(base_of(name))

    def __missing__(self, name: str) -> Callable[..., Optimizer]:
        if base_of(name) == name:
            raise KeyError(name)
        return self[base_of(name)]


def base_of(name: Any) -> Any:
    """The recipe that a name stands for: "adamw" of "adamw+ema"."""
    return name.removesuffix(EMA) if isinstance(name, str) else name


def is_averaged(name: str) -> bool:
    """Whether the weights that are evaluated are averaged by default."""
    return name.endswith(EMA)


RECIPES = Recipes(REGISTERED)
