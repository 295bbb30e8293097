"""The way of the parameters under an update, right or wrong, and where two ways part."""

from functools import cache
from typing import Any

import numpy as np

from jaxopt_course.course.answers import Unfit
from jaxopt_course.course.mistakes import RECIPES
from jaxopt_course.course.recipe import Recipe, Update

STEPS = 20
Leaves = dict[str, np.ndarray]  # by leaf; the steps first
DECAYS = ("momentum", "decay", "rho", "b1", "b2")
ELSEWHERE = {"learning_rate": 1.3, "eps": 2.2, "weight_decay": 0.7}  # times the recipe's


@cache
def problem() -> tuple[Leaves, Leaves]:
    """Where the parameters start, and gradients (step first), the same for every exercise.

    Leaf W has ordinary gradients and one that is far too large, b small ones, where ε counts, and e
    gradients that are mostly 0, as an embedding's.
    """
    rng = np.random.default_rng(0)
    shapes = {"W": (2, 3), "b": (3,), "e": (4,)}
    start = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    g = {name: rng.normal(size=(STEPS, *shape)) for name, shape in shapes.items()}
    g["W"][8, 1, 2] *= 50  # who clips gradients is seen
    g["b"] *= 0.03
    g["e"] *= (np.arange(STEPS)[:, None] + np.arange(4)) % 3 == 1
    return start, g


def numbers(recipe: Recipe, leaf: str) -> dict[str, float]:
    """The hyperparameters of a leaf: in b others, so that no constant stands for one of them.

    >>> numbers(RECIPES["momentum"], "W")
    {'learning_rate': 0.1, 'momentum': 0.8}
    >>> numbers(RECIPES["momentum"], "b")
    {'learning_rate': 0.13, 'momentum': 0.71}
    """
    if leaf != "b":
        return dict(recipe.numbers)
    return {
        name: round(1 - 1.45 * (1 - value) if name in DECAYS else ELSEWHERE[name] * value, 6)
        for name, value in recipe.numbers.items()
    }


def run(
    recipe: Recipe, update: Update, steps: int = STEPS
) -> tuple[Leaves, list[dict[str, dict[str, np.ndarray]]], bool]:
    """The path of ``update``: parameters and memories after each step; whether all is float64."""
    import jax

    start, gradients = problem()
    w = {name: leaf.copy() for name, leaf in start.items()}
    state = {
        leaf: {name: np.full_like(w[leaf], fill) for name, fill in recipe.memories.items()}
        for leaf in w
    }
    path: dict[str, list[np.ndarray]] = {leaf: [] for leaf in w}
    own = {leaf: numbers(recipe, leaf) for leaf in w}
    states, wide = [], True
    with jax.enable_x64(True), np.errstate(all="ignore"):
        for t in range(1, steps + 1):
            for leaf in w:
                g = gradients[leaf][t - 1].copy()
                try:
                    w[leaf], state[leaf] = update(g, state[leaf], w[leaf], t, **own[leaf])
                except Unfit as unfit:
                    unfit.step, unfit.leaf = t, leaf
                    raise
                wide &= all(x.dtype == np.float64 for x in (w[leaf], *state[leaf].values()))
                path[leaf].append(np.array(w[leaf], np.float64))
            states.append({leaf: dict(memory) for leaf, memory in state.items()})
    return {leaf: np.stack(steps) for leaf, steps in path.items()}, states, wide


@cache
def library_path(name: str) -> Leaves:
    """The path of the library's optimizer, in float64."""
    import jax

    from jaxopt_course.optimizers import OPTIMIZERS

    recipe = RECIPES[name]
    start, gradients = problem()
    tx = {leaf: OPTIMIZERS[name](**numbers(recipe, leaf), **dict(recipe.library)) for leaf in start}

    def step(carry: Any, g: Leaves) -> Any:
        w, state = carry
        made = {leaf: tx[leaf].update(g[leaf], state[leaf], w[leaf]) for leaf in w}
        w = {leaf: w[leaf] + u for leaf, (u, _) in made.items()}
        return (w, {leaf: state for leaf, (_, state) in made.items()}), w

    def path(w: Leaves, g: Leaves) -> Leaves:
        state = {leaf: tx[leaf].init(w[leaf]) for leaf in w}
        return jax.lax.scan(step, (w, state), g)[1]

    with jax.enable_x64(True):
        steps = jax.jit(path)(start, gradients)
        return {leaf: np.asarray(steps[leaf]) for leaf in start}


def differences(path: Leaves, ours: Leaves, least: float = 0.0) -> Leaves:
    """By coordinate, relative to how far ours ever goes from its start; NaN equals NaN.

    Args:
        path: steps of one.
        ours: steps of the other.
        least: a way that is taken for shorter ones, as those that rounding hides.
    """
    start, _ = problem()
    found = {}
    with np.errstate(all="ignore"):
        for leaf, right in ours.items():
            if path[leaf].shape != right.shape:
                found[leaf] = np.full(right.shape, np.inf)
                continue
            moved = np.abs(right - start[leaf])
            size = np.maximum(np.max(np.where(np.isfinite(moved), moved, 0), axis=0), least)
            d = np.abs(path[leaf] - right) / np.where(size == 0, 1, size)
            same = (path[leaf] == right) | (np.isnan(path[leaf]) & np.isnan(right))
            found[leaf] = np.where(same, 0, np.where(np.isfinite(d), d, np.inf))
    return found


def deviation(path: Leaves, ours: Leaves, least: float = 0.0) -> float:
    """The largest difference."""
    return float(max(d.max() for d in differences(path, ours, least).values()))


def first_wrong(path: Leaves, ours: Leaves, tol: float) -> tuple[int, str, tuple[Any, ...]] | None:
    """Step, leaf and coordinate where the paths part; the worst coordinate of that leaf."""
    apart = differences(path, ours)
    for step in range(STEPS):
        for leaf, d in apart.items():
            if d[step].max() > tol:
                return step + 1, leaf, np.unravel_index(d[step].argmax(), d[step].shape)
    return None
