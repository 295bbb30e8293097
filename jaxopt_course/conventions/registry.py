"""Every framework's recipes by name."""

from collections.abc import Callable
from typing import Any

from jaxopt_course.conventions import keras, optax, paper, torch
from jaxopt_course.messages import unknown
from jaxopt_course.optimizers import Optimizer

Recipe = Callable[..., Optimizer]

#: Recipes as optax, Keras, PyTorch and the papers have them: ``CONVENTIONS[framework][name]``.
CONVENTIONS: dict[str, dict[str, Recipe]] = {
    "optax": optax.RECIPES,
    "keras": keras.RECIPES,
    "torch": torch.RECIPES,
    "paper": paper.RECIPES,
}
REGISTERED: dict[str, Recipe] = optax.RECIPES | {
    f"{like}.{name}": recipe
    for like, recipes in CONVENTIONS.items()
    if like != "optax"
    for name, recipe in recipes.items()
}


def convention(name: str, like: str = "optax") -> Recipe:
    """The recipe ``name`` with the update rule and the defaults of a framework.

    Args:
        name: of the recipe, a key of ``OPTIMIZERS``.
        like: "optax", "keras" (3.15), "torch" (2.13) or "paper".

    Raises:
        ValueError: no such recipe or framework, or the framework lacks the recipe.

    >>> sgd = convention("sgd", like="keras")()  # η = 0.01
    >>> print(sgd.update(1.0, sgd.init(0.0))[0])
    -0.01
    """
    if not isinstance(like, str) or like not in CONVENTIONS:
        raise ValueError(unknown("convention", like, CONVENTIONS))
    if not isinstance(name, str) or name not in optax.RECIPES:
        raise ValueError(unknown("optimizer", name, optax.RECIPES))
    if name not in CONVENTIONS[like]:
        others = [other for other, recipes in CONVENTIONS.items() if name in recipes]
        raise ValueError(f"{like} has no {name}; it is in: {', '.join(others)}")
    return CONVENTIONS[like][name]


def is_recipe(name: Any) -> bool:
    """Whether tables may say ``optimizer=name``."""
    return name in REGISTERED
