"""A recipe as a blackboard shows it, and what comes out where a piece of it is wrong.

The right lines are text, and a mistake is a piece of that text in other words, so a table of
mistakes reads beside its formula, and two of them can be made at once.  Lines become a function of
one leaf in NumPy float64, with the signature that learners write:

    update(g, state, w, t, **numbers) -> (w, state)        t = 1, 2, ...

``state`` holds the memories by name, each shaped like the leaf w.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from textwrap import indent
from typing import Any

import numpy as np

Update = Callable[..., Any]
BLACKBOARD = {"sqrt": np.sqrt, "maximum": np.maximum, "minimum": np.minimum, "sign": np.sign}


@dataclass(frozen=True)
class Mistake:
    """A recipe as many write it by mistake."""

    name: str
    words: str  # Spanish: what is wrong, and what it does
    edits: tuple[tuple[str, str], ...]  # (as it is right, as it is written instead)
    numbers: tuple[tuple[str, float], ...] = ()  # hyperparameters that are taken as constants


@dataclass(frozen=True)
class Recipe:
    """An optimizer of the course, as an exercise."""

    formula: str  # for the statement
    lines: tuple[str, ...]  # the right update; x_old is the memory x as it was before the step
    memories: dict[str, float]  # name -> what fills it before the first step
    numbers: dict[str, float]  # the hyperparameters, none at its usual value
    mistakes: tuple[Mistake, ...]  # its own; common ones are added by ``known_mistakes``
    library: tuple[tuple[str, float], ...] = ()  # arguments of the library beyond the numbers
    also: tuple[tuple[str, str], ...] = ()  # a memory in the letter of a lesson, and its name here


def text(recipe: Recipe) -> str:
    """The lines of the recipe, with their return."""
    state = ", ".join(f"'{name}': {name}" for name in recipe.memories)
    return "\n".join([*recipe.lines, f"return w, {{{state}}}"])


def edited(recipe: Recipe, *mistakes: Mistake) -> str | None:
    """The lines with these mistakes in them; None where they are in each other's way."""
    lines = text(recipe)
    for mistake in mistakes:
        for right, wrong in mistake.edits:
            places = list(whole(right).finditer(lines))
            if len(places) != 1:
                return None
            lines = lines[: places[0].start()] + wrong + lines[places[0].end() :]
    return lines


@cache
def whole(piece: str) -> re.Pattern[str]:
    """The piece, but not as a part of longer words."""
    before, after = (
        r"(?<!\w)" if piece[0].isalnum() else "",
        r"(?![\w.])" if piece[-1].isalnum() else "",
    )
    return re.compile(before + re.escape(piece) + after)


@cache
def compiled(lines: str, memories: tuple[str, ...], numbers: tuple[str, ...]) -> Update:
    """The lines, which are this package's own, as a function."""
    read = [f"{name} = {name}_old = state['{name}']" for name in memories]
    body = indent("\n".join([*read, lines]), "    ")
    space: dict[str, Any] = dict(BLACKBOARD)
    exec(f"def update(g, state, w, t, {', '.join(numbers)}):\n{body}", space)
    return space["update"]


def update_of(recipe: Recipe, *mistakes: Mistake) -> Update | None:
    """The update of the recipe, right or with mistakes; None where these exclude each other.

    >>> halved = Recipe("", ("w = w - rate * g",), {}, {"rate": 0.5}, ())
    >>> print(update_of(halved)(g=4.0, state={}, w=3.0, t=1, rate=0.5)[0])
    1.0
    >>> climbs = Mistake("sign", "", (("w - ", "w + "),))
    >>> print(update_of(halved, climbs)(g=4.0, state={}, w=3.0, t=1, rate=0.5)[0])
    5.0
    """
    lines = edited(recipe, *mistakes)
    if lines is None:
        return None
    made = compiled(lines, tuple(recipe.memories), tuple(recipe.numbers))
    fixed = {name: value for mistake in mistakes for name, value in mistake.numbers}

    def update(g: Any, state: dict[str, Any], w: Any, t: int, **numbers: float) -> Any:
        wide = {name: np.float64(x) for name, x in {**numbers, **fixed}.items()}  # 1/0 is inf
        return made(g, state, w, t, **wide)

    return update


def changed_lines(recipe: Recipe, *mistakes: Mistake) -> list[str]:
    """The lines that the mistakes put in the place of the right ones."""
    known, lines = set(text(recipe).splitlines()), edited(recipe, *mistakes) or ""
    return [line for line in lines.splitlines() if line not in known]
