"""Weight decay, coupled and decoupled, and the learning rate."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.core import FrozenDict
from helpers import DEFAULT_EFFORT, assert_trees_close, descend, deviation, quartic, start

import jaxopt_course as joc
from jaxopt_course.base import chain
from jaxopt_course.optimizers import adadelta, adam, adamw, lars, sgd
from jaxopt_course.transforms import (
    add_decayed_weights,
    scale,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_schedule,
)
from jaxopt_course.transforms.masks import decaying


def test_by_hand():
    params, g = {"a": jnp.array([4.0]), "b": jnp.array([8.0])}, {"a": jnp.ones(1), "b": jnp.ones(1)}
    pull = add_decayed_weights(0.5)
    assert pull.update(g, pull.init(params), params)[0] == {"a": 3, "b": 5}
    pull = add_decayed_weights(0.5, mask={"a": True, "b": False})
    assert pull.update(g, pull.init(params), params)[0] == {"a": 3, "b": 1}


def test_a_function_with_a_number_in_it_is_a_mask_and_no_tree_of_bools():
    """A ``Partial`` is a pytree too, whose only leaf is here a bool."""
    every = jax.tree_util.Partial(lambda yes, tree: jax.tree.map(lambda _: yes, tree), True)
    params = {"a": jnp.array([4.0]), "b": jnp.array([8.0])}
    assert decaying(every, params) == params


def test_the_gradient_of_lambda_w2_is_2_lambda_w():
    """The notes' penalty λ Σ w², as a term of the loss and as add_decayed_weights(2 λ)."""
    lam = 0.05
    norm = lambda p: sum(jnp.sum(x**2) for x in jax.tree.leaves(p))
    with jax.enable_x64(True):
        penalty = descend(adam(0.03), start(), 300, lambda p: quartic(p) + lam * norm(p))
        coupled = descend(chain(add_decayed_weights(2 * lam), adam(0.03)), start(), 300)
        decoupled = descend(adamw(0.03, weight_decay=2 * lam), start(), 300)
        assert deviation(coupled, penalty) < 1e-12
        assert deviation(decoupled, penalty) > 1e-2


def test_decoupled_decay_alone_shrinks_geometrically():
    """No gradient: θ_t = (1 - η λ)^t θ_0 under AdamW; Adam with coupled decay does not."""
    flat = lambda p: 0.0 * jnp.sum(p)
    path = descend(adamw(0.1, weight_decay=0.5), jnp.float32(8), 20, flat)
    np.testing.assert_allclose(path, 8 * 0.95 ** np.arange(1, 21), rtol=1e-5)
    coupled = descend(chain(add_decayed_weights(0.5), adam(0.1)), jnp.float32(8), 20, flat)
    np.testing.assert_allclose(coupled, 8 - 0.1 * np.arange(1, 21), rtol=1e-2)


def test_for_plain_descent_coupled_and_decoupled_are_one():
    with jax.enable_x64(True):
        first = chain(add_decayed_weights(0.1), sgd(0.05))
        last = chain(scale(1.0), add_decayed_weights(0.1), scale_by_learning_rate(0.05))
        assert_trees_close(descend(first, start(), 50), descend(last, start(), 50), rtol=1e-14)


def test_adadelta_s_decay_is_coupled():
    with jax.enable_x64(True):
        ours = descend(adadelta(0.5, weight_decay=0.1), start(), 50)
        chained = descend(chain(add_decayed_weights(0.1), adadelta(0.5)), start(), 50)
        assert_trees_close(ours, chained, rtol=0)


def test_a_schedule_of_the_decay_starts_at_0():
    pull, theta = add_decayed_weights(lambda s: 0.5 * (s + 1)), jnp.float32(4)
    state = pull.init(theta)
    for expected in (2, 4, 6):
        u, state = pull.update(jnp.float32(0), state, theta)
        assert u == expected


def test_parameters_are_needed_unless_the_decay_is_a_literal_0():
    for tx in (add_decayed_weights(0.1), adamw(0.1)):
        with pytest.raises(ValueError, match="needs the parameters"):
            tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
    tx = adadelta(1.0)
    assert jnp.isfinite(tx.update(jnp.ones(2), tx.init(jnp.ones(2)))[0]).all()


# --- the learning rate ---


def test_the_rate_flips_the_sign():
    eta = jnp.float32(0.5)
    for rate, expected in ((0.5, -1.5), (eta, -1.5), (lambda s: eta, -1.5), (None, -3)):
        tx = scale_by_learning_rate(rate)
        assert tx.update(jnp.float32(3), tx.init(jnp.float32(0)))[0] == expected
    tx = scale_by_learning_rate(lambda s: 0.5, flip_sign=False)
    assert tx.update(jnp.float32(3), tx.init(jnp.float32(0)))[0] == 1.5


@pytest.mark.parametrize("make", [scale_by_schedule, scale_by_learning_rate])
def test_schedule_0_is_used_at_step_0(make):
    """Also by a schedule that counts in Python, in jit, and after a pause."""
    tx = make(lambda s: 1.0 + s)
    state = tx.init(jnp.float32(0))
    for expected in (1, 2):
        u, state = tx.update(jnp.float32(1), state)
        assert abs(u) == expected
    saved = jax.tree.map(np.asarray, state)
    assert abs(jax.jit(tx.update)(jnp.float32(1), saved)[0]) == 3


def test_optax_s_schedules_drop_in():
    """Both read the same rate of float32, which rounds the same in programs of default effort."""
    warm = optax.warmup_cosine_decay_schedule(0.0, 0.1, 10, 50)
    with jax.enable_x64(True):
        ours, theirs = (
            jax.jit(lambda tx=tx: descend(tx, start(), 60), compiler_options=DEFAULT_EFFORT)()
            for tx in (adam(warm), optax.adam(warm))
        )
        assert_trees_close(ours, theirs, rtol=1e-12)


def test_decay_does_not_depend_on_the_preconditioner():
    """Decoupled: the difference that λ makes to one step is -η λ θ, whatever g."""
    params = {"a": jnp.array([4.0, -2.0])}
    g = {"a": jnp.array([1e3, 1e-3])}
    step = lambda lam: (lambda tx: tx.update(g, tx.init(params), params)[0]["a"])(
        chain(scale_by_adam(), add_decayed_weights(lam), scale_by_learning_rate(0.5))
    )
    np.testing.assert_allclose(step(0.25) - step(0.0), -0.5 * 0.25 * params["a"], rtol=1e-5)


LAYERS = {
    "dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)},
    "norm": {"scale": jnp.ones(3)},
}
OTHER_TREES = [
    ({"dense": {"kernel": True, "bais": False}, "norm": True}, "the mask has 'dense/bais', which"),
    ({"dense": {"kernel": True}, "norm": True}, "the mask says nothing of the leaf 'dense/bias'"),
    ({"dense": True}, "the mask says nothing of the leaf 'norm/scale'"),
    ({"dense": [True, False], "norm": True}, "the mask has 'dense/0', which"),
    ({"dense": True, "norm": {"scale": {"x": True}}}, "the mask has 'norm/scale/x', which"),
    ([True, False], "the mask has '0', which"),
]


@pytest.mark.parametrize("mask, words", OTHER_TREES)
@pytest.mark.parametrize("how", ["tree", "function"])
@pytest.mark.parametrize(
    "make",
    [
        lambda mask: add_decayed_weights(0.5, mask),
        lambda mask: joc.adamw(0.1, weight_decay=0.5, mask=mask),
        lambda mask: joc.adamw(0.1, weight_decay=0.5, mask=mask, like="keras"),
        lambda mask: joc.prodigy(weight_decay=0.5, mask=mask),
        lambda mask: lars(0.1, trust_ratio_mask=mask),
    ],
    ids=["piece", "adamw", "keras.adamw", "prodigy", "lars"],
)
def test_a_mask_of_another_tree_names_the_first_path(make, how, mask, words):
    tx = make(mask if how == "tree" else lambda _: mask)
    with pytest.raises(ValueError, match=f"^{re.escape(words)}.*give a bool for each leaf"):
        tx.update(LAYERS, tx.init(LAYERS), LAYERS)


def test_a_mask_of_whole_branches_fits():
    tx = add_decayed_weights(0.5, {"dense": True, "norm": False})
    u, _ = tx.update(LAYERS, tx.init(LAYERS), LAYERS)
    assert jax.tree.map(lambda x: float(x.ravel()[0]), u) == {
        "dense": {"bias": 1.5, "kernel": 1.5},
        "norm": {"scale": 1.0},
    }


def test_a_mask_that_makes_no_bools_is_refused():
    tx = add_decayed_weights(0.5, lambda params: jax.tree.map(jnp.ndim, params))
    with pytest.raises(TypeError, match="a mask is a tree of bools"):
        tx.init(LAYERS)


def test_the_same_names_in_other_containers_are_told():
    tx = add_decayed_weights(0.5, FrozenDict({"w": True}))
    with pytest.raises(ValueError, match="the mask is of other containers"):
        tx.init({"w": jnp.ones(2)})
