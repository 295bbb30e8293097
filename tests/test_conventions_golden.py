"""Each framework's trajectories, step by step, from the files that the frameworks made."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.cells import CELLS, LOOPS, SLOWING, START, STEPS, STREAM, gradient, split

from jaxopt_course.base import apply_updates
from jaxopt_course.conventions import convention
from jaxopt_course.schedules import inverse_time_decay

GOLDEN = Path(__file__).parent / "golden"
PATHS = np.load(GOLDEN / "trajectories.npz", allow_pickle=False)
ABOUT = json.loads((GOLDEN / "trajectories.json").read_text())


def follow(tx, dtype):
    """Parameters after each step, (open and closed loop, 30, 6)."""

    def train(start, closed):
        def step(carry, g):
            params, state = carry
            w = jnp.concatenate([params["w"].ravel(), params["b"]])
            u, state = tx.update(split(jnp.where(closed, gradient(w), g)), state, params)
            params = apply_updates(params, u)
            return (params, state), jnp.concatenate([params["w"].ravel(), params["b"]])

        return jax.lax.scan(step, (split(start), tx.init(split(start))), gradients)[1]

    gradients = jnp.asarray(STREAM, dtype)
    starts = jnp.stack([jnp.asarray(START[loop], dtype) for loop in LOOPS])
    return jax.vmap(train)(starts, jnp.array([loop == "closed" for loop in LOOPS]))


def ours(cell, dtype):
    """As the golden files: (rates, loops, steps, coordinates)."""
    recipe = convention(cell.recipe, cell.like)
    with jax.enable_x64(dtype == "float64"):
        slow = inverse_time_decay(ABOUT["rates"][cell.name], SLOWING)
        constant, scheduled = cell.ours, {**cell.ours, "learning_rate": slow}
        paths = jax.jit(lambda: [follow(recipe(**a), dtype) for a in (constant, scheduled)])()
    assert all(path.dtype == dtype for path in paths)
    return np.stack(paths)


def theirs(cell, dtype):
    return PATHS[dtype][CELLS.index(cell)]


def error(a, b):
    """The largest difference in each step, relative to the largest size of the coordinate."""
    assert np.isfinite(a).all() and np.isfinite(b).all()
    size = np.abs(b).max(axis=-2, keepdims=True)
    return (np.abs(a.astype(np.float64) - b) / np.where(size == 0, 1, size)).max(axis=-1)


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_the_trajectory_is_the_frameworks_to_1e_12(cell):
    assert error(ours(cell, "float64"), theirs(cell, "float64")).max() <= 1e-12
    # the frameworks' rounding piles up from step to step, as ours does
    t = np.arange(1, STEPS + 1)
    wide, narrow = theirs(cell, "float64"), theirs(cell, "float32")
    precise = (error(narrow, wide) <= 1e-6 * t).all()
    print(cell.name, precise, (error(ours(cell, "float32"), narrow)/t).max(), (error(ours(cell, "float32"), wide)/t).max(), (error(narrow, wide)/t).max())
    reference = narrow if precise else wide
    assert (error(ours(cell, "float32"), reference) <= 1e-6 * t).all(), precise
