"""Which weights are to be evaluated: through whatever stands around the one who says it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import schedule_free_eval_params, schedule_free_sgd

import jaxopt_course as joc
from jaxopt_course.transforms.evaluation import evaluates_others

PARAMS = {
    "dense": {"kernel": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "bias": jnp.array([0.25, -1.0])}
}
BIAS = {"dense": {"kernel": False, "bias": True}}


def halved():
    """Gradient descent whose weights are to be evaluated at their half."""
    return joc.evaluated_at(optax.sgd(0.1), lambda state, p: jax.tree.map(lambda x: x / 2, p))


def trained(tx, steps=3):
    params, state = PARAMS, tx.init(PARAMS)
    for i in range(steps):
        g = jax.tree.map(lambda p, i=i: p * 0.3 + i, params)
        u, state = tx.update(g, state, params)
        params = optax.apply_updates(params, u)
    return state, params


def told(tx, steps=3):
    state, params = trained(tx, steps)
    return joc.evaluation_params(tx, state, params), params


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), a, b)


AROUND = {
    "itself": lambda tx: tx,
    "chain": lambda tx: joc.chain(joc.clip(1.0), tx),
    "optax.chain": lambda tx: optax.chain(optax.clip(1.0), optax.chain(tx)),
    "named_chain": lambda tx: optax.named_chain(("a", optax.clip(1.0)), ("b", tx)),
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 1).gradient_transformation(),
    "a MultiSteps object": lambda tx: optax.MultiSteps(tx, 1),
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 3),
    "extra arguments": optax.with_extra_args_support,
    "inject_hyperparams": lambda tx: optax.inject_hyperparams(
        lambda factor: optax.chain(optax.scale(factor), tx)
    )(factor=0.7),
    "switch": lambda tx: joc.switch(1, [optax.adam(0.1), tx]),
    "switch, traced": lambda tx: joc.switch(jnp.array(1), [optax.adam(0.1), tx]),
    "a state of one's own": lambda tx: optax.GradientTransformation(
        tx.init, lambda g, s, p: tx.update(g, s, p)
    ),
}


@pytest.mark.parametrize("around", AROUND)
def test_it_is_found_inside_of(around):
    said, params = told(AROUND[around](halved()))
    assert_same(said, jax.tree.map(lambda x: x / 2, params))
    plain = AROUND[around](optax.sgd(0.1))
    state, params = trained(plain)
    assert joc.evaluation_params(plain, state, params) is params
    assert not evaluates_others(plain, PARAMS)
    assert evaluates_others(AROUND[around](halved()), PARAMS)


@pytest.mark.parametrize("around", [name for name in AROUND if "inject" not in name])
def test_optax_s_schedule_free_is_known(around):
    tx = AROUND[around](schedule_free_sgd(0.1, b1=0.8))
    alone = schedule_free_sgd(0.1, b1=0.8)
    if "chain" in around:  # its gradients are clipped
        alone = optax.chain(optax.clip(1.0), alone)
    state, params = trained(alone)
    own = state[1] if "chain" in around else state
    said, y = told(tx)
    assert_close(said, schedule_free_eval_params(own, params))
    assert np.all(np.abs(said["dense"]["bias"] - y["dense"]["bias"]) > 1e-3)


@pytest.mark.parametrize(
    "tx",
    [
        lambda tx, rest: joc.partition_by_path({"*/bias": tx}, default=rest),
        lambda tx, rest: joc.partition_by_path({"*/bias": tx}, rest, before=optax.clip(9.0)),
        lambda tx, rest: optax.partition({1: tx, 2: rest}, {"dense": {"kernel": 2, "bias": 1}}),
        lambda tx, rest: optax.masked(tx, BIAS),
        lambda tx, rest: optax.masked(tx, lambda p: BIAS),
    ],
)
@pytest.mark.parametrize("one", [halved(), schedule_free_sgd(0.1)])
def test_leaves_that_are_not_its_own_stay_as_they_are(tx, one):
    said, params = told(tx(one, optax.sgd(0.2)))
    assert said["dense"]["kernel"] is params["dense"]["kernel"]
    state, alone = trained(optax.masked(one, BIAS))
    assert not np.array_equal(said["dense"]["bias"], params["dense"]["bias"])
    expected = joc.evaluation_params(optax.masked(one, BIAS), state, alone)
    assert_same(said["dense"]["bias"], expected["dense"]["bias"])


def test_two_groups_may_each_have_their_own():
    tx = joc.partition_by_path({"*/bias": halved()}, default=schedule_free_sgd(0.1))
    said, params = told(tx)
    assert_same(said["dense"]["bias"], params["dense"]["bias"] / 2)
    state, alone = trained(schedule_free_sgd(0.1))
    whole = schedule_free_eval_params(state, alone)
    assert_same(said["dense"]["kernel"], whole["dense"]["kernel"])


def test_a_traced_switch_asks_the_member_in_use():
    members = [optax.adam(0.1), halved(), schedule_free_sgd(0.1, b1=0.8)]

    def of(index):
        tx = joc.switch(index, members)
        return told(tx)

    said, params = jax.jit(jax.vmap(of))(jnp.arange(3))
    at = lambda tree, i: jax.tree.map(lambda x: x[i], tree)
    assert_same(at(said, 0), at(params, 0))
    assert_same(at(said, 1), jax.tree.map(lambda x: x / 2, at(params, 1)))
    own, _ = told(members[2])
    assert_close(at(said, 2), own)


def test_under_one_index_for_all_lanes_only_one_member_is_asked():
    state, params = trained(joc.switch(1, [optax.adam(0.1), halved()]))
    ask = lambda i, p: joc.evaluation_params(joc.switch(i, [optax.adam(0.1), halved()]), state, p)
    lanes = jax.tree.map(lambda x: jnp.stack([x, x]), params)
    text = str(jax.make_jaxpr(jax.vmap(ask, in_axes=(None, 0)))(jnp.array(1), lanes))
    assert "cond[" in text


def test_sam_is_evaluated_between_its_excursions():
    sam = lambda outer: optax.contrib.sam(outer, optax.sgd(0.5), sync_period=2)
    home, _ = trained(sam(optax.sgd(0.1)), 2)[1], None
    state, params = trained(sam(optax.sgd(0.1)), 3)
    assert not np.array_equal(params["dense"]["bias"], home["dense"]["bias"])
    assert_same(joc.evaluation_params(sam(optax.sgd(0.1)), state, params), home)
    said, _ = told(sam(halved()))
    assert_same(said, jax.tree.map(lambda x: x / 2, home))


@pytest.mark.parametrize(
    "tx",
    [
        lambda: joc.chain(halved(), schedule_free_sgd(0.1)),
        lambda: joc.chain(halved(), halved()),
        lambda: optax.contrib.schedule_free(halved(), 0.1),
        lambda: joc.chain(halved(), joc.switch(jnp.array(0), [optax.sgd(0.1), halved()])),
        lambda: joc.evaluated_at(joc.chain(halved()), lambda s, p: p, instead=False),
    ],
)
def test_two_that_contradict_are_an_error(tx):
    state, params = trained(tx(), 1)
    with pytest.raises(ValueError, match="both say at which weights to evaluate dense/bias"):
        joc.evaluation_params(tx(), state, params)


def test_the_last_word_is_the_user_s():
    tx = joc.evaluated_at(schedule_free_sgd(0.1), lambda state, p: jax.tree.map(jnp.negative, p))
    said, params = told(tx)
    assert_same(said, jax.tree.map(jnp.negative, params))


def test_a_note_leaves_the_transformation_as_it_was():
    inner = optax.adam(0.1)
    tx = joc.evaluated_at(inner, lambda s, p: p)
    assert_same(trained(tx), trained(inner))
    assert joc.hyperparameters(tx, tx.init(PARAMS)) == joc.hyperparameters(
        inner, inner.init(PARAMS)
    )
    assert isinstance(tx, type(inner))
    state, params = trained(inner)
    assert joc.evaluation_params(inner, state, params) is params  # it has no note itself


@pytest.mark.parametrize("chain", [joc.chain, optax.chain])
def test_a_mean_of_the_weights_is_the_last_of_its_chain(chain):
    tx = chain(joc.ema_params(0.9), joc.scale_by_learning_rate(0.1))
    with pytest.raises(ValueError, match=r"ema_params must be the last .* here scale_by_learning"):
        told(tx)
    told(chain(joc.scale_by_learning_rate(0.1), joc.ema_params(0.9), optax.identity()))


def test_bad_input_is_named():
    tx = schedule_free_sgd(0.1)
    state, _ = trained(tx)
    with pytest.raises(ValueError, match=r"schedule_free: at which weights .*'other'"):
        joc.evaluation_params(tx, state, {"other": jnp.zeros(3)})
    look = optax.lookahead(optax.sgd(0.1), 2, 0.5)
    pair = optax.LookaheadParams.init_synced(PARAMS)
    for weights in (pair, PARAMS):
        with pytest.raises(ValueError, match=r"take joc.lookahead\(tx"):
            joc.evaluation_params(look, look.init(pair), weights)
    for tx in (
        optax.contrib.schedule_free_adamw(0.1),
        joc.chain(joc.sgd(0.1), joc.ema_params(0.9)),
    ):
        with pytest.raises(ValueError, match=r"(state is|are) not its own"):
            joc.evaluation_params(tx, optax.sgd(0.1, momentum=0.9).init(PARAMS)[:1], PARAMS)
    wrong = joc.evaluated_at(optax.sgd(0.1), lambda s, p: p["dense"])
    with pytest.raises(ValueError, match="chain: the weights to be evaluated do not fit"):
        told(wrong)
    lost = joc.evaluated_at(optax.sgd(0.1), lambda s, p: s.average)
    with pytest.raises(ValueError, match=r"chain: .* joc.evaluated_at"):
        told(lost)
