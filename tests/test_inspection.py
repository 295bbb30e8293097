"""Hyperparameters, audit and damage, read from optimizers that really ran."""

import inspect
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from helpers import RECIPES, defaults, rollout, start
from long_form import every, only

from jaxopt_course.base import Decay, chain
from jaxopt_course.inspection import audit, diagnose, hyperparameters
from jaxopt_course.optimizers import adam, adamw, momentum, rmsprop, sgd
from jaxopt_course.transforms import clip_by_global_norm, scale, switch
from jaxopt_course.transforms.groups import freeze, partition_by_path

ALL = pytest.mark.parametrize("name", RECIPES)
SOME = pytest.mark.parametrize("name", every(3, RECIPES))


def falling(step):
    return 0.5 / (1 + step)


def after(tx, steps=3, params=None):
    params = start() if params is None else params
    g = jax.tree.map(lambda p: jnp.ones((steps, *p.shape)), params)
    return rollout(tx, g, params)[1]


# --- hyperparameters ---


@ALL
def test_every_number_of_a_recipe_by_its_argument(name):
    numbers = {"learning_rate": 0.125, **defaults(RECIPES[name], float)}
    tx = RECIPES[name](**numbers)
    read = hyperparameters(tx, tx.init(start()))
    bound = {"clip_value_fn": 0.0} if name == "adopt" else {}  # a function of the updates done
    whole = {**defaults(RECIPES[name], bool), **defaults(RECIPES[name], int)}
    assert read == {**numbers, **whole, **bound}


@SOME
def test_a_schedule_is_the_rate_of_the_next_update(name):
    """As the twin with that constant rate steps from the same state."""
    tx = RECIPES[name](falling)
    state = after(tx)
    rate = hyperparameters(tx, state)["learning_rate"]
    assert rate == np.float32(0.125)
    u, _ = tx.update(start(), state, start())
    flat = RECIPES[name](lambda step: rate)
    expected, _ = flat.update(start(), state, start())
    np.testing.assert_array_equal(u["w"], expected["w"])


@SOME
def test_in_jit_and_in_lanes(name):
    rates = jnp.array([0.5, 0.25])

    def lane(rate):
        tx = RECIPES[name](lambda step: rate / (1 + step))
        state = after(tx)
        return hyperparameters(tx, state)["learning_rate"], state

    inside, states = jax.jit(jax.vmap(lane))(rates)
    np.testing.assert_allclose(inside, rates / 4)
    outside = hyperparameters(RECIPES[name](lambda step: rates / (1 + step)), states)
    np.testing.assert_array_equal(outside["learning_rate"], inside)


def test_the_rate_of_each_update_in_a_scan():
    tx = adam(falling)

    def step(state, _):
        rate = hyperparameters(tx, state)["learning_rate"]
        return tx.update(start(), state, start())[1], rate

    _, rates = jax.lax.scan(step, tx.init(start()), length=4)
    np.testing.assert_allclose(rates, [0.5, 0.25, 0.5 / 3, 0.125])


def test_a_scheduled_decay_masked_or_not():
    for mask in (None, {"w": True, "b": False}, lambda p: {"w": True, "b": False}):
        tx = adamw(0.1, weight_decay=falling, mask=mask)
        read = hyperparameters(tx, after(tx))
        assert read["weight_decay"] == 0.125 and read["learning_rate"] == 0.1
        assert "mask" not in read


def test_pairs_arrays_and_none():
    tx = rmsprop(jnp.float32(0.1), decay=Decay.of(0.75))
    read = hyperparameters(tx, tx.init(start()))
    assert read["decay"] == 0.75 and read["learning_rate"] == np.float32(0.1)
    assert "momentum" not in read


@pytest.mark.parametrize("combine", [chain, optax.chain])
def test_chains_and_collisions(combine):
    tx = combine(clip_by_global_norm(1.0), adam(falling), scale(2.0))
    read = hyperparameters(tx, after(tx))
    assert read["max_norm"] == 1.0 and read["learning_rate"] == 0.125 and read["step_size"] == 2.0
    tx = combine(sgd(0.1), adam(0.2), scale(2.0), scale(3.0))
    read = hyperparameters(tx, tx.init(start()))
    assert read["sgd.learning_rate"] == 0.1 and read["adam.learning_rate"] == 0.2
    assert read["scale_1.step_size"] == 2.0 and read["scale_2.step_size"] == 3.0
    assert read["b1"] == 0.9 and "learning_rate" not in read


def test_groups():
    tree = {"a": {"kernel": jnp.ones(2), "bias": jnp.ones(1)}, "cold": jnp.ones(3)}
    tx = partition_by_path(
        {"*/bias": adam(falling), "cold": freeze()}, sgd(0.3), before=clip_by_global_norm(2.0)
    )
    read = hyperparameters(tx, after(tx, params=tree))
    assert read["*/bias.learning_rate"] == 0.125 and read["*/bias.b1"] == 0.9
    assert read["(default).learning_rate"] == 0.3 and read["max_norm"] == 2.0
    assert not [name for name in read if name.startswith("cold")]


def test_switch():
    members = [sgd(0.1), adam(falling), momentum(0.3, 0.25)]
    tx = switch(1, members)
    state = after(tx)
    assert hyperparameters(tx, state)["learning_rate"] == 0.125
    assert hyperparameters(switch(jnp.int32(1), members), state)["b1"] == 0.9
    assert hyperparameters(switch(jnp.int32(9), members), state)["momentum"] == 0.25  # clamped
    read = jax.jit(lambda i: hyperparameters(switch(i, members), state))(1)
    assert read["sgd.learning_rate"] == np.float32(0.1)
    assert read["adam.learning_rate"] == 0.125 and read["momentum.momentum"] == 0.25
    lanes = jax.vmap(lambda i: after(switch(i, members)))(jnp.arange(3))
    read = hyperparameters(switch(jnp.arange(3), members), lanes)
    assert read["adam.learning_rate"][1] == 0.125


THEIRS = ["sgd", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "adamax", "amsgrad", "nadam"]
THEIRS += ["radam", "lion"]


@pytest.mark.parametrize("name", THEIRS)
def test_optax_s_recipes(name):
    """The rate, and those of its numbers that its update keeps."""
    for rate, now in ((0.125, 0.125), (falling, 0.125)):
        tx = getattr(optax, name)(rate)
        read = hyperparameters(tx, after(tx))
        assert read["learning_rate"] == now
        known = {k: v for k, v in defaults(getattr(optax, name), float).items() if k in read}
        assert {k: read[k] for k in known} == known
        assert known or name in ("sgd", "adagrad")


def test_inject_hyperparams():
    tx = optax.inject_hyperparams(adam)(learning_rate=falling, b1=0.5)
    state = after(tx)
    read = hyperparameters(tx, state)
    assert read["learning_rate"] == 0.125 and read["b1"] == 0.5 and read["nesterov"] is False
    state.hyperparams["b1"] = jnp.float32(0.75)
    assert hyperparameters(tx, state)["b1"] == 0.75


def test_an_injection_inside_of_another_is_told():
    """Its schedule sees the number of the outer one, as it is when its factory is called."""

    def inner(learning_rate, bound):
        rate = lambda step: learning_rate / (1 + step)
        return optax.chain(optax.clip(bound), optax.inject_hyperparams(optax.sgd)(rate, 0.5))

    tx = optax.inject_hyperparams(inner)(learning_rate=0.5, bound=lambda step: 1.0 + step)
    params = jnp.zeros(2)
    state = tx.init(params)
    for _ in range(3):
        _, state = tx.update(jnp.full(2, 0.25), state, params)
    found = hyperparameters(tx, state)
    assert float(found["bound"]) == 4.0 and float(found["momentum"]) == 0.5
    assert float(found["inject_hyperparams_1.learning_rate"]) == 0.5
    assert float(found["inject_hyperparams_2.learning_rate"]) == 0.125
    u, _ = tx.update(jnp.full(2, 0.0), state, params)
    trace = 0.5 * 0.25 * (1 + 0.5 + 0.25)
    np.testing.assert_array_equal(u, -0.125 * trace)  # it acts


def test_an_injection_inside_of_another_with_lanes():
    inner = lambda rate: optax.inject_hyperparams(optax.sgd)(lambda step: rate * (1 + step))
    make = optax.inject_hyperparams(inner)
    rates, w = jnp.array([0.25, 0.5]), jnp.zeros(3)
    states = jax.vmap(lambda rate: make(rate=rate).init(w))(rates)
    found = hyperparameters(make(rate=0.25), states)
    np.testing.assert_array_equal(found["rate"], rates)
    np.testing.assert_array_equal(found["learning_rate"], rates)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tx: optax.apply_if_finite(tx, 3),
        lambda tx: optax.masked(tx, {"w": True, "b": False}),
        lambda tx: optax.MultiSteps(tx, 1),
        lambda tx: optax.named_chain(("only", tx)),
        lambda tx: optax.partition({"x": tx}, "x"),
        optax.flatten,
        optax.with_extra_args_support,
    ],
)
@pytest.mark.parametrize("tx", [adam(falling), optax.adam(falling)], ids=["ours", "optax"])
def test_inside_wrappers(tx, wrap):
    tx = wrap(tx)
    state = tx.init(start())
    for _ in range(3):
        _, state = tx.update(start(), state, start())
    read = {name.removeprefix("x."): value for name, value in hyperparameters(tx, state).items()}
    assert read["learning_rate"] == 0.125 and read["b1"] == 0.9


@pytest.mark.parametrize("factor", [0.5, -1.0, lambda step: 0.5], ids=["half", "turned", "at"])
@pytest.mark.parametrize("recipe", [sgd, optax.sgd, adam, optax.adam])
def test_a_factor_behind_a_rate_is_no_rate(recipe, factor):
    """The rate of ``optax.chain(sgd(0.25), optax.scale(0.5))`` was told twice, once as -0.5."""
    behind = optax.scale_by_schedule(factor) if callable(factor) else optax.scale(factor)
    tx, alone = optax.chain(recipe(falling), behind), recipe(falling)
    told = hyperparameters(tx, tx.init(start()))
    size = factor(0) if callable(factor) else factor
    assert told == {**hyperparameters(alone, alone.init(start())), "step_size": size}
    nested = optax.chain(optax.chain(recipe(falling)), optax.chain(behind))
    assert hyperparameters(nested, nested.init(start())) == told


def test_schedules_are_called_under_strict_promotion_as_in_the_update():
    tx = sgd(lambda step: 0.5 / (1 + step))
    with jax.numpy_dtype_promotion("strict"):
        _, state = tx.update(start(), tx.init(start()), start())
        assert hyperparameters(tx, state)["learning_rate"] == 0.25


def test_nnx_optimizer():
    model = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    for tx in (adam(falling), optax.inject_hyperparams(optax.adam)(falling)):
        optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
        for _ in range(3):
            optimizer.update(model, nnx.grad(lambda m: jnp.sum(m(jnp.ones(2))))(model))
        assert hyperparameters(tx, optimizer.opt_state)["learning_rate"] == 0.125


# --- audit ---


def test_audit_of_groups():
    tree = {"a": {"kernel": jnp.ones((4, 5)), "bias": jnp.ones(5)}, "cold": jnp.ones(1000)}
    tx = partition_by_path({"*/bias": momentum(0.25), "cold": freeze()}, adam(falling))
    table = audit(tx, tree).set_index("path")
    assert table["group"].to_dict() == {
        "a/bias": "*/bias",
        "a/kernel": "(default)",
        "cold": "cold",
        "(shared)": "",
        "(total)": "",
    }
    assert table["hyperparameters"]["a/bias"] == "learning_rate=0.25, momentum=0.9"
    assert table["hyperparameters"]["a/kernel"].startswith("learning_rate=0.5, b1=0.9, b2=0.999")
    assert table["hyperparameters"]["cold"] == "frozen"
    assert table["state_bytes"].to_dict() == {
        "a/bias": 20,
        "a/kernel": 160,
        "cold": 0,
        "(shared)": 8,  # two counts
        "(total)": 188,
    }


@SOME
@pytest.mark.parametrize("tree", [start(), [jnp.ones(3, jnp.bfloat16)], jnp.ones(4)], ids=type)
def test_the_total_is_the_size_of_the_state(name, tree):
    if name == "muon" and max(x.ndim for x in jax.tree.leaves(tree)) < 2:
        tree = {"kernel": jnp.ones((3, 2), jnp.bfloat16), "rest": tree}  # it wants a matrix
    for tx in (RECIPES[name](falling), switch(0, [RECIPES[name](0.1), adam(0.1)])):
        table = audit(tx, tree)
        total = sum(x.nbytes for x in jax.tree.leaves(tx.init(tree)))
        assert table["state_bytes"].iloc[-1] == total
        assert table["state_bytes"].iloc[:-1].sum() == total


def test_audit_takes_shapes_and_makes_no_state():
    """A terabyte of parameters that do not exist."""
    tree = {"w": jax.ShapeDtypeStruct((500_000, 500_000), jnp.float32)}
    table = audit(optax.inject_hyperparams(optax.adam)(falling), tree)
    assert table["state_bytes"][0] == 2 * 10**12
    assert "learning_rate=0.5" in table["hyperparameters"][0]


def test_audit_of_optax_s_partition_and_of_nothing():
    tx = optax.chain(
        optax.clip(1.0),
        optax.partition({"x": optax.adam(0.1), "y": freeze()}, {"w": "x", "b": "y"}),
    )
    table = audit(tx, start()).set_index("path")
    assert table["group"]["w"] == "x" and table["hyperparameters"]["b"] == "frozen"
    assert table["hyperparameters"]["w"].startswith("max_delta=1, b1=0.9")
    assert audit(sgd(0.1), {})["path"].tolist() == ["(total)"]


def test_the_table_prints_all_of_it():
    text = str(audit(adamw(0.1), {f"layer_{i}": jnp.ones(2) for i in range(100)}))
    assert text.count("\n") == 102 and "layer_57" in text and "..." not in text


# --- diagnose ---

SQUARING = [
    "adagrad",
    "rmsprop",
    "adadelta",
    "adam",
    "adamw",
    "adamax",
    "amsgrad",
    "nadam",
    "radam",
]
FIELD = {"adagrad": "sum_of_squares", "adadelta": "e_g"}


def spoiled(tx, size, clean=300):
    """One gradient of ``size`` in w[0, 0] at step 7, then ones."""
    g = jax.tree.map(lambda p: jnp.ones((7 + clean, *p.shape)), start())
    g["w"] = g["w"].at[6, 0, 0].set(size)
    return rollout(tx, g, start())


@pytest.mark.parametrize("name", SQUARING)
@pytest.mark.parametrize("whose", only(["ours"], ["ours", "optax"]))
def test_a_gradient_of_1e30_is_named(name, whose):
    """By the recipe's field, while the coordinate no longer moves, and its neighbours do."""
    recipe = RECIPES[name] if whose == "ours" else getattr(optax, name)
    tx = recipe(0.1)
    assert diagnose(after(tx)).empty
    u, state = spoiled(tx, 1e30)
    decay = 1e-5 if name == "adamw" else 0.0  # goes on: 0.1 · 1e-4 · |θ|
    assert abs(u["w"][-1, 0, 0]) <= decay + 1e-7 and abs(u["w"][-1, 1, 1]) > 1e-4
    found = diagnose(state)
    field = FIELD.get(name, "nu")
    assert (found["path"] == "w").all() and field in set(found["field"])
    row = found[found["field"] == field].iloc[0]
    assert row["problem"] == ("dead" if name == "adamax" else "infinite")
    assert row["numbers"] == "1 of 4"
    assert "frozen" in row["meaning"] or "hardly moves" in row["meaning"]
    assert "clip" in row["way_out"]


@pytest.mark.parametrize("name", ["adam", "rmsprop", "adagrad"])
def test_a_finite_accumulator_can_be_dead_too(name):
    """1e18: its square, 1e36, is finite."""
    tx = RECIPES[name](0.1)
    _, state = spoiled(tx, 1e18, clean=0 if name == "rmsprop" else 300)
    found = diagnose(state)
    assert found["problem"].tolist() == ["dead"] and found["path"].tolist() == ["w"]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e6, 1e9])
@pytest.mark.parametrize("name", ["adam", "amsgrad", "nadam", "adamax"])
def test_gradients_of_any_one_size_are_no_damage(name, scale):
    """Nor are coordinates whose gradient has become 0."""
    tx = RECIPES[name](0.1)
    rng = np.random.default_rng(0)
    g = {
        k: jnp.asarray(scale * rng.normal(size=(50, *p.shape)), jnp.float32)
        for k, p in start().items()
    }
    g["b"] = g["b"].at[10:].set(0) if scale <= 1e6 else g["b"]
    assert diagnose(rollout(tx, g, start())[1], start()).empty


def test_nan_and_infinite_memories_and_parameters():
    tx = momentum(0.1)
    g = {**start(), "w": start()["w"].at[0, 1].set(jnp.nan), "b": jnp.array([jnp.inf, 1.0])}
    _, state = tx.update(g, tx.init(start()), start())
    found = diagnose(state, g)
    got = {tuple(row) for row in found[["path", "field", "problem", "numbers"]].to_numpy()}
    assert got == {
        ("b", "trace", "infinite", "1 of 2"),
        ("w", "trace", "NaN", "1 of 4"),
        ("b", "(parameter)", "infinite", "1 of 2"),
        ("w", "(parameter)", "NaN", "1 of 4"),
    }


def test_lanes_are_named():
    def lane(size):
        return spoiled(adam(0.1), size, clean=0)[1]

    found = diagnose(jax.vmap(lane)(jnp.array([1.0, 1e30, 2.0, jnp.nan])))
    got = [tuple(row) for row in found[["lane", "field", "problem"]].to_numpy()]
    assert got == [(1, "nu", "infinite"), (3, "mu", "NaN"), (3, "nu", "NaN")]
    without_count = jax.vmap(lambda size: spoiled(momentum(0.1), size, clean=0)[1])(
        jnp.array([1.0, jnp.inf])
    )
    assert diagnose(without_count, lanes=True)["lane"].tolist() == [1]


def test_in_chains_groups_switches_and_nnx():
    big = {**start(), "w": jnp.full((2, 2), 1e30)}
    for tx in (
        optax.chain(optax.identity(), adam(0.1)),
        partition_by_path({"w": adam(0.1)}, sgd(0.1)),
        optax.apply_if_finite(optax.adam(0.1), 3),
        optax.inject_hyperparams(optax.adam)(0.1),
    ):
        found = diagnose(tx.update(big, tx.init(start()), start())[1])
        assert found[["path", "field", "problem"]].to_numpy().tolist() == [["w", "nu", "infinite"]]
    tx = switch(1, [sgd(0.1), adam(0.1)])
    found = diagnose(tx.update(big, tx.init(start()), start())[1])
    assert found["path"].tolist() == ["float32[2,2]/1"] and found["field"].tolist() == ["slots"]


def test_a_switch_s_slots_by_the_member_in_use():
    """sgd with momentum and adam put "b" and "w" into other slots; so do the lanes of a study."""
    params = {"a": jnp.zeros((2, 2)), **start()}
    big = {**params, "w": jnp.full((2, 2), 1e30)}
    members = [sgd(0.1, momentum=0.9), adam(0.1)]

    def broken(tx, g=big):
        return tx.update(g, tx.init(params), params)[1]

    def named(found, *columns):
        return found[[*columns, "path", "field", "problem"]].to_numpy().tolist()

    for tx in (switch(1, members), optax.chain(scale(1.0), switch(jnp.int32(1), members))):
        found = diagnose(broken(tx), params, tx=tx)
        assert named(found) == [["w", "adam.nu", "infinite"]]
        assert "frozen" in found["meaning"][0]
    slot = diagnose(broken(switch(1, members)), params)["path"].tolist()
    assert slot == ["float32[2,2]/3 (of one of a, w)"]
    infinite = {**params, "w": jnp.full((2, 2), jnp.inf)}
    tx = switch(0, members)
    assert named(diagnose(broken(tx, infinite), params, tx=tx)) == [["w", "sgd.trace", "infinite"]]
    lanes = jax.vmap(lambda i: broken(switch(i, members), infinite))(jnp.array([0, 1, 0]))
    many = jax.tree.map(lambda x: jnp.stack([x] * 3), params)
    found = diagnose(lanes, many, tx=switch(jnp.array([0, 1, 0]), members))
    assert named(found, "lane") == [
        [0, "w", "sgd.trace", "infinite"],
        [1, "w", "adam.mu", "infinite"],
        [1, "w", "adam.nu", "infinite"],
        [2, "w", "sgd.trace", "infinite"],
    ]
    with pytest.raises(ValueError, match="switch: a state of"):
        diagnose(broken(switch(1, members)), {"c": jnp.zeros(7)}, tx=switch(1, members))


def test_an_empty_diagnosis_says_so():
    assert str(diagnose(adam(0.1).init(start()))).startswith("all is well")
    assert "lane" not in diagnose(adam(0.1).init(start())).columns
    text = str(diagnose({"w": jnp.array([jnp.nan, 1.0])}))
    assert text.splitlines()[0].split() == [
        "path",
        "field",
        "problem",
        "numbers",
        "meaning",
        "way_out",
    ]


def test_negative_squares_are_named():
    """Of a state that came from elsewhere; a first moment may be negative."""
    state = adam(0.1).init(start())
    moments = optax.tree.map_params(adam(0.1), lambda m: m - 1, state)
    found = diagnose(moments)
    assert set(found["field"]) == {"nu"} and set(found["problem"]) == {"negative"}
    assert sorted(found["path"]) == sorted(path for path in diagnose(
        optax.tree.map_params(adam(0.1), lambda m: m * jnp.nan, state)
    ).query("field == 'nu'")["path"])  # fmt: skip


def test_what_stands_in_the_wrong_place_is_said():
    with pytest.raises(TypeError, match=r"audit takes a transformation first .* not int"):
        audit(3, start())
    with pytest.raises(TypeError, match="hyperparameters takes a transformation first"):
        hyperparameters(adam(0.1).init(start()), adam(0.1))
    with pytest.raises(TypeError, match=r"diagnose\(state, params, tx=tx\)"):
        diagnose(adam(0.1), start())


def test_half_precision_memories():
    _, state = rollout(
        optax.adam(0.1), {"w": jnp.full((1, 2), 300, jnp.float16)}, {"w": jnp.ones(2, jnp.float16)}
    )
    assert diagnose(state)["problem"].tolist() == ["infinite"]  # 300² in float16
    _, state = rollout(
        adam(0.1), {"w": jnp.full((1, 2), 300, jnp.float16)}, {"w": jnp.ones(2, jnp.float16)}
    )
    assert diagnose(state).empty


def test_signatures():
    assert list(inspect.signature(hyperparameters).parameters) == ["tx", "state"]
    assert list(inspect.signature(audit).parameters) == ["tx", "params"]
    assert list(inspect.signature(diagnose).parameters) == ["state", "params", "tx", "lanes"]


# --- fields called value, and optax's wrappers of more than one number ---


class Heads(NamedTuple):
    policy: jax.Array
    value: jax.Array


class Only(NamedTuple):
    value: jax.Array


def test_a_field_called_value_is_a_key_like_others():
    params = {"heads": Heads(jnp.ones(2), jnp.array([jnp.nan, 1.0])), "only": Only(jnp.ones(3))}
    tx = partition_by_path({"*/policy": sgd(0.1), "*/value": momentum(0.2)})
    u, state = tx.update(params, tx.init(params), params)
    np.testing.assert_allclose(u["heads"].policy, [-0.1, -0.1])
    np.testing.assert_allclose(u["only"].value, [-0.2] * 3)
    table = audit(tx, params)
    assert table["path"].tolist()[:3] == ["heads/policy", "heads/value", "only/value"]
    assert table["state_bytes"].tolist()[:3] == [0, 8, 12]
    assert diagnose(state, params)["path"].tolist() == ["heads/value", "heads/value"]


@pytest.mark.parametrize("box", [nnx.Param, lambda x: nn.Partitioned(x, names=("rows",))])
def test_the_box_around_an_array_has_no_key(box):
    params = {"value": box(jnp.ones(2)), "other": {"value": box(jnp.ones(2))}}
    assert audit(sgd(0.1), params)["path"].tolist() == ["other/value", "value", "(total)"]


def test_leaves_that_are_no_arrays_are_named():
    with pytest.raises(ValueError, match="layer/act is no array but a function"):
        audit(adam(0.1), {"layer": {"act": falling}, "w": jnp.ones(2)})
    key = jax.random.key(0)
    assert diagnose((key, {"w": jnp.ones(2)})).empty


def test_the_rate_under_sam_is_the_optimizer_s():
    params = {"w": jnp.ones(2)}
    adversary = optax.chain(optax.contrib.normalize(), sgd(0.05))
    read = lambda tx: hyperparameters(tx, tx.init(params))
    for inner in (adam(falling), optax.adam(falling)):
        told = read(optax.contrib.sam(inner, adversary))
        assert float(told["learning_rate"]) == 0.5
        assert told["adv_optimizer.learning_rate"] == 0.05


def test_wrappers_of_optax_are_seen_through():
    params = {"w": jnp.ones(2)}
    pair = optax.LookaheadParams.init_synced(params)
    tx = optax.lookahead(adam(falling), 3, 0.5)
    state = tx.init(pair)
    assert float(hyperparameters(tx, state)["learning_rate"]) == 0.5
    _, state = tx.update(params, state, pair)
    assert float(hyperparameters(tx, state)["learning_rate"]) == 0.25
    for wrap in (optax.contrib.mechanize, lambda tx: optax.contrib.schedule_free(tx, 0.1)):
        tx = wrap(adam(falling))
        assert float(hyperparameters(tx, tx.init(params))["learning_rate"]) == 0.5


def plateau():
    return optax.contrib.reduce_on_plateau(factor=0.5, patience=1)


PLATEAUS = {  # how the rate is called there, and what is left of it after three equal values
    "behind": (optax.chain(sgd(0.1), plateau()), "learning_rate", 0.25),
    "behind adam": (optax.chain(optax.adam(lambda s: 0.1), plateau()), "learning_rate", 0.25),
    "before": (optax.chain(plateau(), sgd(0.1)), "learning_rate", 0.25),
    "before adam": (optax.chain(plateau(), adam(0.1)), "learning_rate", 1),
    "injected": (optax.chain(optax.inject_hyperparams(sgd)(0.1), plateau()), "learning_rate", 0.25),
    "groups": (chain(partition_by_path({"w": sgd(0.1)}), plateau()), "w.learning_rate", 0.25),
    "in a group": (partition_by_path({"w": chain(sgd(0.1), plateau())}), "w.learning_rate", 0.25),
}


@pytest.mark.parametrize("place", PLATEAUS)
def test_the_rate_behind_a_plateau_is_the_one_that_acts(place):
    tx, name, left = PLATEAUS[place]
    params = {"w": jnp.ones(2)}
    state = tx.init(params)
    assert float(hyperparameters(tx, state)[name]) == np.float32(0.1)
    for _ in range(3):
        _, state = tx.update(params, state, params, value=jnp.float32(1.0))
    told = hyperparameters(tx, state)
    np.testing.assert_allclose(told[name], 0.1 * left, rtol=1e-6)
    assert float(told[name.replace("learning_rate", "scale") if place == "in a group" else "scale"])
    if left < 1:  # of a value that is better the scale stays
        u, _ = tx.update(params, state, params, value=jnp.float32(0.0))
        if "adam" not in place:
            np.testing.assert_allclose(u["w"], -told[name] * params["w"], rtol=1e-6)
