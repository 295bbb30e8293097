"""``cautious``: another's update where the newest gradient agrees."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_trees_equal, deviation, quartic, start

from jaxopt_course import cautious, hyperparameters, switch
from jaxopt_course.base import apply_updates, chain
from jaxopt_course.optimizers import adam, lion, momentum, sgd
from jaxopt_course.transforms import add_decayed_weights, scale_by_adam, scale_by_learning_rate

RATE = lambda s: 0.02 / (1 + 0.01 * s)


def transcribed(xi, weight_decay, rate, slope, steps=500):
    """C-AdamW in NumPy: the mask of (u, g) leaf by leaf, the decay outside."""
    w = jax.tree.map(lambda x: np.asarray(x, np.float64), start())
    m, v, path = (jax.tree.map(np.zeros_like, w) for _ in range(3))
    path = []
    for t in range(1, steps + 1):
        g = jax.tree.map(np.asarray, slope(w))
        for k in w:
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
            u = m[k] / (1 - 0.9**t) / (np.sqrt(v[k] / (1 - 0.999**t)) + 1e-3)
            agree = (u * g[k] > 0).astype(float)
            u = u * agree * agree.size / (agree.sum() + xi)
            w[k] = w[k] - rate(t - 1) * (u + weight_decay * w[k])
        path.append(dict(w))
    return {k: np.stack([now[k] for now in path]) for k in w}


@pytest.mark.parametrize("xi, weight_decay, rate", [(1.0, 0.1, RATE), (0.5, 0.0, lambda s: 0.02)])
def test_500_steps_of_the_paper(xi, weight_decay, rate):
    with jax.enable_x64(True):
        links = scale_by_adam(eps=1e-3), add_decayed_weights(weight_decay)
        tx = chain(cautious(links[0], xi, downhill=False), links[1], scale_by_learning_rate(rate))
        slope = jax.jit(jax.grad(quartic))

        def step(carry, _):
            params, state = carry
            u, state = tx.update(slope(params), state, params)
            params = apply_updates(params, u)
            return (params, state), params

        go = lambda: jax.lax.scan(step, (start(), tx.init(start())), length=500)[1]
        theirs = transcribed(xi, weight_decay, rate, slope)
        assert deviation(jax.jit(go)(), theirs) <= 1e-12


def second_step(tx, first, second):
    first, second = jnp.asarray(first), jnp.asarray(second)
    _, state = tx.update(first, tx.init(first), first)
    return tx.update(second, state, first)[0]


def test_by_hand():
    """Steps -1, -1.5, 0.5, -2 for gradients -1, 1, -1, 1: of four, three go down."""
    tx = cautious(momentum(1.0, 0.5), xi=0.0)
    u = second_step(tx, [4.0, 1.0, 1.0, 2.0], [-1.0, 1.0, -1.0, 1.0])
    np.testing.assert_allclose(u, [0, -1.5 * 4 / 3, 0.5 * 4 / 3, -2 * 4 / 3], rtol=1e-6)
    u = second_step(cautious(momentum(1.0, 0.5)), [4.0, 1.0, 1.0, 2.0], [-1.0, 1.0, -1.0, 1.0])
    np.testing.assert_allclose(u, [0, -1.5, 0.5, -2], rtol=1e-6)  # 4 / (3 + 1)


def test_where_none_agrees_nothing_moves():
    for xi in (0.0, 1.0):
        u = second_step(cautious(momentum(1.0, 0.5), xi), [4.0, 4.0], [-1.0, -1.0])
        np.testing.assert_array_equal(u, [0, 0])


def test_plain_descent_agrees_with_itself():
    """Also with complex numbers, and where a gradient is 0."""
    for g in ([3.0, -0.1, 0.0], [3.0 + 1j, -2j, 0.0]):
        u = second_step(cautious(sgd(1.0), 0.0), g, g)
        np.testing.assert_allclose(u, -1.5 * np.asarray(g), rtol=1e-6)


def test_a_leaf_does_not_know_of_another_nor_a_lane():
    tx = lambda xi: cautious(adam(0.1), xi)
    g = np.random.default_rng(0).normal(size=(2, 7)).astype(np.float32)
    both = tx(1.0)
    state = both.init({"a": jnp.zeros(3), "b": jnp.zeros(4)})
    for row in g:
        u, state = both.update({"a": jnp.array(row[:3]), "b": jnp.array(row[3:])}, state)
    assert_trees_equal(
        u, {"a": second_step(tx(1.0), *g[:, :3]), "b": second_step(tx(1.0), *g[:, 3:])}
    )
    lanes = jax.vmap(lambda xi: second_step(tx(xi), *g))(jnp.array([0.0, 1.0]))
    for lane, xi in zip(lanes, (0.0, 1.0), strict=True):
        np.testing.assert_allclose(lane, second_step(tx(xi), *g), rtol=1e-6)


def test_it_is_one_of_us():
    """Its numbers are read back, it goes through switch and optax's wrappers, and dtypes stay."""
    tx = cautious(lion(0.1), 0.5)
    params = jnp.ones(3, jnp.bfloat16)
    for one in (tx, switch(1, [adam(0.1), tx]), optax.MultiSteps(tx, 1).gradient_transformation()):
        u, _ = one.update(params, one.init(params), params)
        assert u.dtype == jnp.bfloat16
    read = hyperparameters(tx, tx.init(params))
    assert read["xi"] == 0.5 and read["learning_rate"] == 0.1


def test_misfits_are_named():
    tx = cautious(sgd(0.1))
    with pytest.raises(ValueError, match=r"\['w'\] has shape \(2,\).* shape \(3,\)"):
        tx.update({"w": jnp.ones(2)}, tx.init({"w": jnp.ones(3)}), {"w": jnp.ones(3)})
