"""SOAP on matrices and tensors, as its authors write it, by NumPy in float64; Prodigy's d."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from long_form import only
from transcriptions import soap_step

import jaxopt_course as joc
from jaxopt_course.optimizers import prodigy, soap
from jaxopt_course.tables.columns import check_columns
from jaxopt_course.transforms import scale_by_soap


@pytest.mark.parametrize(
    "shape, often", only([((4, 2), 3)], [((3, 3), 1), ((4, 2), 3), ((3, 2, 4), 10)])
)
def test_500_steps_of_the_authors(shape, often):
    """Closed loop at a falling rate; of (4, 2) half of the first basis is completed."""
    rng = np.random.default_rng(0)
    a, c, start = rng.uniform(0.1, 3, size=shape), rng.normal(size=shape), rng.normal(size=shape)
    slope = lambda w: a * (w - c) + 0.05 * w**3
    squares = [np.zeros((n, n)) for n in shape], [np.eye(n) for n in shape]
    w, memory, path = start, (np.zeros(shape), np.zeros(shape), *map(tuple, squares)), []
    for k in range(500):
        u, *memory = soap_step(np, np.int64(k), slope(w), *memory, f=often, eps=1e-3)
        w = w - 0.03 / (1 + 0.01 * k) * u
        path.append(w)
    with jax.enable_x64(True):
        tx = scale_by_soap(precondition_frequency=often, eps=1e-3)

        def step(carry, k):
            w, state = carry
            u, state = tx.update(slope(w), state)
            w = w - 0.03 / (1 + 0.01 * k) * u
            return (w, state), w

        first = jnp.asarray(start)
        go = lambda: jax.lax.scan(step, (first, tx.init(first)), jnp.arange(500))[1]
        ours = np.asarray(jax.jit(go)())
    assert np.abs(ours - np.array(path)).max() <= 1e-12 * np.abs(path).max()


def test_long_axes_and_vectors_have_no_basis():
    params = {"w": jnp.ones((2, 5)), "b": jnp.ones(5), "empty": jnp.ones((0, 3))}
    state = soap(0.1, max_precondition_dim=4).init(params)[0]
    assert [q.shape for q in state.bases["w"]] == [(2, 2)]
    assert state.bases["b"] == state.bases["empty"] == ()


@pytest.mark.long
def test_lanes_find_bases_when_they_are_due():
    """Of several frequencies in one program, each as alone."""
    g = jnp.asarray(np.random.default_rng(0).normal(size=(7, 3, 3)), jnp.float32)

    def run(often):
        tx = scale_by_soap(precondition_frequency=often)
        state, us = tx.init(g[0]), []
        for x in g:
            u, state = tx.update(x, state)
            us.append(u)
        return jnp.stack(us)

    lanes = jax.jit(jax.vmap(run))(jnp.array([1, 2, 4]))
    for lane, often in zip(lanes, (1, 2, 4), strict=True):
        np.testing.assert_allclose(lane, run(often), rtol=1e-3, atol=1e-4)


def estimates(factor, gradients, y):
    """d after each step of a closed loop whose gradients are multiplied by ``factor``."""
    tx, ds = prodigy(estim_lr0=1e-3), []
    state = tx.init(y)
    for g in gradients:
        g = jax.tree.map(lambda p, g=g: factor * (p - g), y)
        u, state = tx.update(g, state, y)
        y = jax.tree.map(jnp.add, y, u)
        ds.append(state[0].estim_lr)
    return jnp.stack(ds)


def test_each_lane_has_its_own_d():
    """And a lane of zeros rests, where optax's becomes NaN."""
    y = {"a": jnp.zeros(2), "b": jnp.ones((2, 2))}
    run = lambda factor: estimates(factor, [3.0] * 8, y)
    lanes = jax.jit(jax.vmap(run))(jnp.array([0.0, 1.0, jnp.nan, 50.0]))
    assert (lanes[0] == np.float32(1e-3)).all() and np.isnan(lanes[2]).all()
    for i, factor in ((1, 1.0), (3, 50.0)):
        np.testing.assert_allclose(lanes[i], run(factor), rtol=1e-4)
        assert (np.diff(lanes[i]) >= 0).all() and lanes[i][-1] > 2e-3


def test_lanes_call_lapack_one_after_another():
    """A batch is dealt out to XLA's threads, and two under way waited for each other for ever."""
    tx, params = soap(1e-2), {"w": jnp.ones((8, 5, 4)), "b": jnp.ones((8, 4))}
    state = jax.vmap(tx.init)(params)
    text = jax.jit(jax.vmap(tx.update)).lower(params, state, params).as_text()
    calls = [line[line.rindex(" : ") :] for line in text.splitlines() if "@lapack" in line]
    assert len(calls) >= 4 and not any("<8x" in line for line in calls)


def test_a_frequency_that_is_no_number_of_steps_is_refused():
    for f in (0, -1, 2.5):  # every 2.5 steps would be every 5
        with pytest.raises(ValueError, match="precondition_frequency must be a whole number of at"):
            scale_by_soap(precondition_frequency=f)
        table = joc.grid(optimizer="soap", learning_rate=0.1, precondition_frequency=f)
        with pytest.raises(ValueError, match="takes whole numbers from 1 on, not"):
            check_columns(table)
