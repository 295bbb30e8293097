"""Which known mistakes make the path that a learner's update makes."""

import itertools
from functools import cache

import numpy as np

from jaxopt_course.course.mistakes import RECIPES, known_mistakes
from jaxopt_course.course.paths import STEPS, Leaves, deviation, run
from jaxopt_course.course.recipe import Mistake, update_of

TOLERANCE = {True: 1e-9, False: 1e-4}  # of float64 and narrower results; of what a coordinate moves


def diagnose(
    name: str, path: Leaves, states: list[dict[str, Leaves]], tol: float, most: int = 2
) -> tuple[Mistake, ...]:
    """The known mistake that makes this path; else the two (of ``most``), with these memories."""
    known = known_mistakes(RECIPES[name])
    for count in range(1, most + 1):
        sets = itertools.combinations(known, count)
        near = [(apart(name, path, mistakes, tol), mistakes) for mistakes in sets]
        for far, mistakes in sorted(near, key=lambda pair: pair[0]):
            if far > tol:
                break
            if count == 1 or same_memories(name, mistakes, states, tol):
                return mistakes
    return ()


def same_memories(
    name: str, mistakes: tuple[Mistake, ...], states: list[dict[str, Leaves]], tol: float
) -> bool:
    """Whether these mistakes leave the memories that are in ``states``."""
    update = update_of(RECIPES[name], *mistakes)
    assert update is not None
    made = run(RECIPES[name], update)[1]
    pairs = [
        (theirs[leaf][memory], right)
        for theirs, ours in zip(states, made, strict=True)
        for leaf in ours
        for memory, right in ours[leaf].items()
    ]
    return all(np.allclose(a, b, rtol=tol, atol=tol, equal_nan=True) for a, b in pairs)


def apart(name: str, path: Leaves, mistakes: tuple[Mistake, ...], tol: float) -> float:
    """How far the path is from that of these mistakes, or at least above ``tol``."""
    far = np.inf
    for steps in (2, STEPS):  # most are already wrong at once
        made = wrong_path(name, mistakes, steps)
        if made is None:
            return np.inf
        seen = {leaf: w[:steps] for leaf, w in path.items()}
        far = deviation(seen, made, least=0.05 if tol == TOLERANCE[False] else 0)
        if far > tol:
            break
    return far


@cache
def wrong_path(name: str, mistakes: tuple[Mistake, ...], steps: int) -> Leaves | None:
    """The path that these mistakes make; None where they are in each other's way."""
    update = update_of(RECIPES[name], *mistakes)
    return None if update is None else run(RECIPES[name], update, steps)[0]
