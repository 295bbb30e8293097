"""Groups by path: each leaf as its own transformation alone would move it, over any tree."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from helpers import assert_trees_close, assert_trees_equal, rollout

import jaxopt_course as joc
from jaxopt_course.optimizers import adam, momentum, sgd
from jaxopt_course.transforms import add_decayed_weights, clip_by_global_norm, switch
from jaxopt_course.transforms.groups import freeze, partition_by_path


def params():
    return {
        "enc": {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(3)},
        "dec": [{"kernel": jnp.full(2, -1.0), "bias": jnp.zeros(1)}],
        "temperature": jnp.array(2.0),
    }


def gradients(steps=5):
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: jnp.asarray(rng.normal(size=(steps, *p.shape)), jnp.float32), params()
    )


def first(g):
    return jax.tree.map(lambda x: x[0], g)


def test_each_group_is_its_transformation_alone():
    tx = partition_by_path({"*/bias": adam(0.1), "temperature": freeze()}, default=momentum(0.5))
    g = gradients()
    u, _ = rollout(tx, g, params())
    biases = {"enc": g["enc"]["bias"], "dec": g["dec"][0]["bias"]}
    alone, _ = rollout(adam(0.1), biases, {"enc": jnp.ones(3), "dec": jnp.zeros(1)})
    assert_trees_close(u["enc"]["bias"], alone["enc"])
    assert_trees_close(u["dec"][0]["bias"], alone["dec"])
    kernels = [g["enc"]["kernel"], g["dec"][0]["kernel"]]
    alone, _ = rollout(momentum(0.5), kernels, [jnp.zeros((2, 3)), jnp.zeros(2)])
    assert_trees_close([u["enc"]["kernel"], u["dec"][0]["kernel"]], alone)
    assert_trees_equal(u["temperature"], jnp.zeros(5))


MATCHES = {
    "*/bias": {"enc/bias", "dec/0/bias"},
    "*bias": {"enc/bias", "dec/0/bias"},
    "enc/*": {"enc/kernel", "enc/bias"},
    "dec/?/kernel": {"dec/0/kernel"},
    "dec/[!1]/*": {"dec/0/kernel", "dec/0/bias"},
    "temperature": {"temperature"},
    "*": {"enc/kernel", "enc/bias", "dec/0/kernel", "dec/0/bias", "temperature"},
    re.compile(r"(enc|dec/\d)/kernel"): {"enc/kernel", "dec/0/kernel"},
    re.compile(r".*[^e]"): {"enc/kernel", "enc/bias", "dec/0/kernel", "dec/0/bias"},
}


@pytest.mark.parametrize("pattern", MATCHES, ids=str)
def test_patterns(pattern):
    default = None if pattern == "*" else freeze()
    tx = partition_by_path({pattern: sgd(1.0)}, default)
    ones = jax.tree.map(jnp.ones_like, params())
    u, _ = tx.update(ones, tx.init(params()))
    moved = {
        "enc/kernel": u["enc"]["kernel"],
        "enc/bias": u["enc"]["bias"],
        "dec/0/kernel": u["dec"][0]["kernel"],
        "dec/0/bias": u["dec"][0]["bias"],
        "temperature": u["temperature"],
    }
    assert {path for path, x in moved.items() if np.all(x == -1)} == MATCHES[pattern]
    assert {path for path, x in moved.items() if np.all(x == 0)} == moved.keys() - MATCHES[pattern]


@pytest.mark.parametrize("pattern", ["Enc/*", "bias", "*/bias/", "enc"])
def test_a_pattern_is_matched_against_the_whole_path_and_by_case(pattern):
    with pytest.raises(ValueError, match=f"'{re.escape(pattern)}' matches no leaf"):
        partition_by_path({pattern: sgd(0.1)}, freeze()).init(params())


def test_what_is_refused_names_paths_and_patterns():
    with pytest.raises(ValueError, match=r"no pattern matches 'dec/0/bias', 'dec/0/kernel', 'temp"):
        partition_by_path({"enc/*": sgd(0.1)}).init(params())
    with pytest.raises(ValueError, match=r"'enc/bias' is matched by '\*/bias', 'enc/\*'"):
        partition_by_path({"*/bias": sgd(0.1), "enc/*": sgd(1.0)}, freeze()).init(params())
    with pytest.raises(ValueError, match=r"'\*/biass' matches no leaf; the leaves are 'dec/0/bias"):
        partition_by_path({"*/biass": sgd(0.1)}, default=sgd(1.0)).init(params())
    with pytest.raises(ValueError, match="at least one pattern"):
        partition_by_path({})
    with pytest.raises(ValueError, match="two patterns of the same text"):
        partition_by_path({"a": sgd(0.1), re.compile("a"): sgd(0.1)})
    with pytest.raises(TypeError, match=r"patterns must be a dictionary, .* not a list"):
        partition_by_path([("a", sgd(0.1))])
    for pattern in (0, None, re.compile(b"a")):
        with pytest.raises(TypeError, match="a pattern is text or a compiled regular expression"):
            partition_by_path({pattern: sgd(0.1)})
    with pytest.raises(TypeError, match=r"'a': a transformation is needed, .* not <function sgd"):
        partition_by_path({"a": sgd})
    for name in ("default", "before"):
        with pytest.raises(TypeError, match=f"{name}: a transformation is needed, .* not 'freeze'"):
            partition_by_path({"a": sgd(0.1)}, **{name: "freeze"})


def test_gradients_that_do_not_fit_are_refused_by_path():
    tx = partition_by_path({"*/bias": adam(0.1)}, default=sgd(1.0))
    g = first(gradients())
    g["enc"]["bias"] = jnp.ones(4)
    with pytest.raises(ValueError, match=r"\['enc'\]\['bias'\]"):
        tx.update(g, tx.init(params()), params())
    with pytest.raises(ValueError, match="no pattern matches 'new'"):
        partition_by_path({"enc/*": sgd(1.0), "dec/*": sgd(1.0), "temperature": freeze()}).update(
            {**first(gradients()), "new": jnp.ones(2)}, None
        )


def test_frozen_leaves_have_no_state_and_may_be_anything():
    tree = {"w": jnp.ones(2), "ids": jnp.arange(1000), "big": jnp.ones((100, 100))}
    tx = partition_by_path(
        {"ids": freeze(), "big": freeze()}, adam(0.1), before=clip_by_global_norm(1.0)
    )
    state = tx.init(tree)
    assert sorted(x.shape for x in jax.tree.leaves(state)) == [(), (2,), (2,)]
    bad = {**tree, "big": jnp.full((100, 100), jnp.nan)}
    u, state = tx.update(bad, state, tree)
    assert u["ids"].dtype == tree["ids"].dtype and not u["ids"].any() and not u["big"].any()
    np.testing.assert_allclose(u["w"], -0.1, rtol=1e-5)


@pytest.mark.parametrize("frozen", [freeze(), optax.set_to_zero()], ids=["freeze", "set_to_zero"])
def test_frozen_leaves_do_not_count_in_the_norm(frozen):
    tree = {"w": jnp.zeros(2), "b": jnp.zeros(1), "cold": jnp.zeros(2)}
    g = {"w": jnp.array([3.0, 0.0]), "b": jnp.array([4.0]), "cold": jnp.array([1e6, 1e6])}
    tx = partition_by_path(
        {"b": sgd(10.0), "cold": frozen}, sgd(1.0), before=clip_by_global_norm(1.0)
    )
    u, _ = tx.update(g, tx.init(tree), tree)
    np.testing.assert_allclose(u["w"], [-0.6, 0.0], rtol=1e-6)  # together: norm 5
    np.testing.assert_allclose(u["b"], [-8.0], rtol=1e-6)
    np.testing.assert_array_equal(u["cold"], 0)
    outside = joc.chain(
        clip_by_global_norm(1.0), partition_by_path({"b": sgd(10.0), "cold": frozen}, sgd(1.0))
    )
    u, _ = outside.update(g, outside.init(tree), tree)
    assert np.abs(u["w"]).max() < 1e-5  # clipped outside, it does count


def test_before_sees_parameters_and_keeps_its_own_state():
    tx = partition_by_path({"enc/*": freeze()}, sgd(1.0), before=add_decayed_weights(0.5))
    zeros = jax.tree.map(jnp.zeros_like, params())
    u, _ = tx.update(zeros, tx.init(params()), params())
    np.testing.assert_allclose(u["dec"][0]["kernel"], 0.5)
    np.testing.assert_array_equal(u["enc"]["kernel"], 0)
    tx = partition_by_path({"enc/*": freeze()}, sgd(1.0), before=optax.trace(0.5))
    kept = jax.tree.leaves(tx.init(params()))
    assert sorted(x.shape for x in kept) == [(), (1,), (2,)]


def test_values_of_groups_are_data():
    """Lanes of two rates and a momentum, in one trace, and each run alone."""
    g, traces = gradients(), []

    def run(row):
        traces.append(1)
        eta_b, eta_w, beta = row
        tx = partition_by_path(
            {"*/bias": adam(eta_b), "temperature": freeze()}, momentum(eta_w, beta)
        )
        return rollout(tx, g, params())[0]

    rows = jnp.array([[0.1, 0.2, 0.9], [0.01, 0.2, 0.9], [0.1, 0.5, 0.0]])
    lanes = jax.jit(jax.vmap(run))(rows)
    assert len(traces) == 1
    alone = jax.jit(run)
    for i, row in enumerate(rows):
        assert_trees_close(jax.tree.map(lambda x, i=i: x[i], lanes), alone(row), 1e-5, 1e-6)
    bias = lanes["enc"]["bias"]
    assert_trees_equal(bias[0], bias[2])  # another rate of the kernels is none of its business
    np.testing.assert_allclose(bias[1], bias[0] / 10, rtol=1e-5)


@pytest.mark.long
def test_in_a_sweep():
    """Two rates as columns of a table: every trial equals the trial alone."""

    def optimizer(row):
        return partition_by_path({"*/bias": sgd(row["bias_rate"])}, adam(row["learning_rate"]))

    trials = joc.grid(learning_rate=[1e-3, 1e-2], bias_rate=[0.0, 0.1], seed=[0])
    settings = {"epochs": 1, "batch_size": 256, "devices": jax.devices()[:1], "progress": False}
    study = joc.sweep("digits", trials, optimizer, **settings)
    losses = study.trials["train_loss"].to_numpy()
    assert np.isfinite(losses).all() and len(set(losses.tolist())) == 4
    alone = joc.sweep("digits", trials.iloc[[3]].reset_index(drop=True), optimizer, **settings)
    np.testing.assert_allclose(alone.trials["train_loss"][0], losses[3], rtol=1e-4)


def test_inside_a_switch_a_chain_and_jit():
    groups = partition_by_path({"*/bias": adam(0.1), "temperature": freeze()}, momentum(0.5))
    g = gradients()
    plain, _ = rollout(groups, g, params())
    chosen = jax.jit(lambda i: rollout(switch(i, [sgd(0.1), groups]), g, params())[0])(1)
    assert_trees_close(chosen, plain, rtol=1e-5, atol=1e-6)
    chained, _ = rollout(optax.chain(optax.identity(), groups), g, params())
    assert_trees_equal(chained, plain)
    nested, _ = rollout(partition_by_path({"*": groups}), g, params())
    assert_trees_equal(nested, plain)


def test_optax_s_state_tools_work():
    tx = partition_by_path({"*/bias": adam(0.1)}, momentum(0.5))
    state = tx.init(params())
    more = optax.tree.map_params(tx, lambda x: x + 1, state)
    assert jax.tree.structure(more) == jax.tree.structure(state)
    ones = [x for x in jax.tree.leaves(more) if x.ndim]
    assert ones and all(np.all(x == 1) for x in ones)


@pytest.mark.parametrize("empty", [{}, {"w": None}], ids=str)
def test_a_tree_without_leaves(empty):
    tx = partition_by_path({"*/bias": adam(0.1)}, momentum(0.5))
    u, _ = tx.update(empty, tx.init(empty), empty)
    assert u == empty


class Layer(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(2, 3, rngs=rngs)
        self.rest = nnx.List([nnx.Linear(3, 1, rngs=rngs)])
        self.norm = nnx.BatchNorm(3, rngs=rngs)

    def __call__(self, x):
        return self.rest[0](self.norm(self.first(x)))


@pytest.mark.long
def test_nnx_state_and_optimizer():
    model = Layer(nnx.Rngs(0))
    x = jnp.ones((4, 2))
    tx = partition_by_path({"*/bias": freeze(), "rest/0/kernel": sgd(0.5)}, default=adam(0.1))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    old = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    g = nnx.grad(lambda m: jnp.sum((m(x) - 1) ** 2))(model)
    optimizer.update(model, g)
    new, g = nnx.to_pure_dict(nnx.state(model, nnx.Param)), nnx.to_pure_dict(g)
    assert_trees_equal(new["first"]["bias"], old["first"]["bias"])
    kernel = old["rest"][0]["kernel"] - 0.5 * g["rest"][0]["kernel"]
    assert_trees_close(new["rest"][0]["kernel"], kernel, rtol=1e-6)
    with pytest.raises(ValueError, match="'first/kernel' is matched by"):
        bad = partition_by_path({"first/*": sgd(0.1), "*/kernel": sgd(0.1)}, freeze())
        nnx.Optimizer(model, bad, wrt=nnx.Param)


def test_linen_params_and_whole_variables():
    model = nn.Sequential([nn.Dense(3), nn.Dense(1)])
    variables = model.init(jax.random.key(0), jnp.ones((1, 2)))
    ones = jax.tree.map(jnp.ones_like, variables)
    for tree, g, prefix in (
        (variables["params"], ones["params"], ""),
        (variables, ones, "params/"),
    ):
        tx = partition_by_path({f"{prefix}layers_0/*": sgd(0.5)}, default=freeze())
        u, _ = tx.update(g, tx.init(tree), tree)
        u = u["params"] if prefix else u
        assert np.all(u["layers_0"]["kernel"] == -0.5) and np.all(u["layers_1"]["kernel"] == 0)


def test_the_state_of_other_groups_is_refused():
    tree = {"a": jnp.ones(2), "b": jnp.ones(2)}
    first = partition_by_path({"a": freeze()}, default=adam(0.1))
    second = partition_by_path({"b": freeze()}, default=adam(0.1))
    with pytest.raises(
        ValueError, match=r"it has 'a', '.default.', the groups here are 'b', '.def"
    ):
        second.update(tree, first.init(tree), tree)
    turned = partition_by_path({"a": adam(0.1)}, default=freeze())  # the same names of groups
    with pytest.raises(ValueError, match="a chain of 2 got a state of 0: call its init"):
        turned.update(tree, first.init(tree), tree)


def test_a_pattern_of_leaves_that_optax_has_taken_out_is_no_mistake():
    """An ``optax.masked`` around gives the inner transformation a placeholder for each of them."""
    params = {"kernel": jnp.ones(2), "bias": jnp.ones(1)}
    inner = partition_by_path({"kernel": optax.sgd(0.5), "bias": optax.sgd(0.25)})
    tx = optax.masked(inner, {"kernel": True, "bias": False})
    u, _ = tx.update(params, tx.init(params), params)
    np.testing.assert_array_equal(u["kernel"], [-0.5, -0.5])
    np.testing.assert_array_equal(u["bias"], [1.0])  # passed on as it is
