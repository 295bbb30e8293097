"""The way of the parameters under an update, right or wrong, and where two ways part."""

from functools import cache
from typing import Any

import numpy as np

from jaxopt_course.course.answers import Unfit
from jaxopt_course.course.mistakes import RECIPES
from jaxopt_course.course.recipe import Recipe, Update

STEPS = 20
Leaves = dict[str, np.ndarray]  # by leaf; the steps first


@cache
def problem() -> tuple[Leaves, Leaves]:
    """Where the parameters start, and gradients (step first), the same for every exercise.

    Leaf W has ordinary gradients, b small ones, where ε counts, and e gradients that are mostly 0,
    as an embedding's.
    """
    rng = np.random.default_rng(0)
    shapes = {"W": (2, 3), "b": (3,), "e": (4,)}
    start = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    g = {name: rng.normal(size=(STEPS, *shape)) for name, shape in shapes.items()}
    g["b"] *= 0.03
    g["e"] *= (np.arange(STEPS)[:, None] + np.arange(4)) % 3 == 1
    return start, g


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
    states, wide = [], True
    with jax.enable_x64(True), np.errstate(all="ignore"):
        for t in range(1, steps + 1):
            for leaf in w:
                g = gradients[leaf][t - 1].copy()
                try:
                    w[leaf], state[leaf] = update(g, state[leaf], w[leaf], t, **recipe.numbers)
                except Unfit as unfit:
                    unfit.step, unfit.leaf = t, leaf
                    raise
                wide &= w[leaf].dtype == np.float64
                path[leaf].append(np.array(w[leaf], np.float64))
            states.append({leaf: dict(memory) for leaf, memory in state.items()})
    return {leaf: np.stack(steps) for leaf, steps in path.items()}, states, wide


@cache
def library_path(name: str) -> Leaves:
    """The path of the library's optimizer, in float64."""
    import jax

    from jaxopt_course.optimizers import OPTIMIZERS

    recipe = RECIPES[name]
    tx = OPTIMIZERS[name](**recipe.numbers, **dict(recipe.library))
    start, gradients = problem()

    def step(carry: Any, g: Leaves) -> Any:
        w, state = carry
        u, state = tx.update(g, state, w)
        w = jax.tree.map(lambda w, u: w + u, w, u)
        return (w, state), w

    with jax.enable_x64(True):
        path = jax.jit(lambda w, g: jax.lax.scan(step, (w, tx.init(w)), g)[1])(start, gradients)
        return {leaf: np.asarray(steps) for leaf, steps in path.items()}


def differences(path: Leaves, ours: Leaves) -> Leaves:
    """By coordinate, relative to how far ours ever goes from its start; NaN equals NaN."""
    start, _ = problem()
    found = {}
    with np.errstate(all="ignore"):
        for leaf, right in ours.items():
            if path[leaf].shape != right.shape:
                found[leaf] = np.full(right.shape, np.inf)
                continue
            moved = np.abs(right - start[leaf])
            size = np.max(np.where(np.isfinite(moved), moved, 0), axis=0)
            d = np.abs(path[leaf] - right) / np.where(size == 0, 1, size)
            same = (path[leaf] == right) | (np.isnan(path[leaf]) & np.isnan(right))
            found[leaf] = np.where(same, 0, np.where(np.isfinite(d), d, np.inf))
    return found


def deviation(path: Leaves, ours: Leaves) -> float:
    """The largest difference."""
    return float(max(d.max() for d in differences(path, ours).values()))


def first_wrong(path: Leaves, ours: Leaves, tol: float) -> tuple[int, str, tuple[Any, ...]] | None:
    """Step, leaf and coordinate where the paths part; the worst coordinate of that leaf."""
    apart = differences(path, ours)
    for step in range(STEPS):
        for leaf, d in apart.items():
            if d[step].max() > tol:
                return step + 1, leaf, np.unravel_index(d[step].argmax(), d[step].shape)
    return None
