"""Optimizers of others as they are: factories, what updates ask for, keys, steps left out."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from long_form import only
from optax import contrib

import jaxopt_course as joc
from jaxopt_course.tables.factories import KEY_TAG, Factory, factory_of
from jaxopt_course.train import OPTIMIZER_KEY, take_batch
from jaxopt_course.updating import StoredKey, adapted, restored, stored

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = X @ np.float32([[1.0], [-1.0], [0.5]])
DATA = {"x": X, "y": Y}
STEPS = 6
QUICK = {"steps": STEPS, "batch_size": 8, "lanes": 2, "progress": False}


def start(key):
    return {"w": 0.1 * jnp.ones((3, 1)), "b": jnp.zeros(1)}, {}


def squared(params, data):
    return jnp.mean((data["x"] @ params["w"] + params["b"][None] - data["y"]) ** 2)


TASK = joc.Task(
    "regression",
    start,
    lambda params, state, batch, key: (squared(params, batch), (state, {})),
    lambda params, state, data: {"loss": squared(params, data)},
    DATA, DATA, DATA, {"loss": "min"},
)  # fmt: skip


def by_hand(tx, seed=0, steps=STEPS, extra=lambda value_fn, key: {}, gradient=None):
    """The parameters after a plain optax loop."""
    params, _ = start(None)
    state = tx.init(params)
    data = jax.tree.map(jnp.asarray, DATA)
    for s in range(steps):
        batch = take_batch(data, jnp.uint32(seed), jnp.int32(s), 8)
        value_fn = lambda p, batch=batch: squared(p, batch)
        g = (gradient or (lambda f, p, batch: jax.grad(f)(p)))(value_fn, params, batch)
        key = jax.random.fold_in(jax.random.key(seed), s)
        u, state = tx.update(g, state, params, **extra(value_fn, key))
        params = optax.apply_updates(params, u)
    return params


def swept(rule, trials, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optax would have a key for dpsgd's own "seed"
        return joc.sweep(TASK, trials, rule, **QUICK | more)


def agree(study, trial, params, rtol=1e-5):
    got = study.state(trial).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol, 1e-7), got, params)


@pytest.fixture(scope="module")
def factories():
    """Four in one table, each with the cells that it names."""
    rows = [
        joc.grid(optimizer="muon", learning_rate=0.02, beta=[0.9, pd.NA]),
        joc.grid(optimizer="adam", learning_rate=[0.1], b1=0.8),
        joc.grid(optimizer="mine", lr=0.1),
        joc.grid(optimizer="sgd", learning_rate=0.1),  # registered
    ]
    rules = {
        "muon": contrib.muon,
        "adam": optax.adam,
        "mine": lambda lr, scale=2: optax.sgd(lr * scale),
    }
    return swept(rules, pd.concat(rows))


@pytest.mark.parametrize(
    "trial, tx",
    [
        (0, contrib.muon(0.02, beta=0.9)),
        (1, contrib.muon(0.02)),
        (2, optax.adam(0.1, b1=0.8)),
        (3, optax.sgd(0.2)),
        (4, optax.sgd(0.1)),
    ],
)
def test_factories_are_what_they_are_by_hand(factories, trial, tx):
    assert factories.events[-1]["lowerings"] == 1
    agree(factories, trial, by_hand(tx), rtol=2e-4)


def test_one_factory_for_all_rows():
    study = swept(optax.adam, joc.grid(learning_rate=[1, 2], b1=[0.9, 0.5]))
    agree(study, 3, by_hand(optax.adam(2.0, b1=0.5)), 1e-4)
    assert study.extend(joc.grid(learning_rate=[3], b1=[0.1])).trials["b1"].tolist()[-1] == 0.1


def test_which_function_is_a_factory():
    columns = {"lr", "b1"}
    is_factory = lambda function: factory_of("f", function, columns) is not None
    assert all(map(is_factory, (optax.adam, lambda lr: 0, lambda lr, b1=1: 0, lambda: 0)))
    assert is_factory(functools.partial(optax.adam, b2=0.5))
    assert is_factory(optax.inject_hyperparams(optax.adam))
    rows = (lambda h: 0, lambda row, b1=0.5: 0, lambda x: 0, lambda x, scale=1: 0, lambda *a: 0)
    assert not any(map(is_factory, rows))


def test_factories_mistakes_are_named():
    muon = {"muon": contrib.muon}
    cases = [
        (muon, joc.grid(optimizer="muon", beta=0.9), "muon. has no 'learning_rate'"),
        (muon, joc.grid(optimizer="muon", learning_rate=1, betta=0.9), "does not take 'betta'"),
        (optax.adam, joc.grid(learning_rate=1.0, betta=0.9), "'betta'"),
        (optax.adam, joc.grid(learning_rate=[1.0, pd.NA]), "row 1 has no 'learning_rate'"),
        (
            optax.sgd,
            joc.grid(learning_rate=1.0, momentum=[0.9, pd.NA]),
            "adam|sgd has for it, None",
        ),
    ]
    for rule, trials, message in cases:
        with pytest.raises(ValueError, match=message):
            swept(rule, trials)
    with pytest.raises(TypeError, match=r"static=\['nesterov'\]"):
        swept(optax.adam, joc.grid(learning_rate=0.1, nesterov=[True, False]))


@pytest.mark.long
def test_a_factory_gets_static_columns_plain():
    trials = joc.grid(learning_rate=[0.1], nesterov=[True, False])
    study = swept(optax.adam, trials, static=["nesterov"])
    agree(study, 0, by_hand(optax.adam(0.1, nesterov=True)), 1e-4)
    agree(study, 1, by_hand(optax.adam(0.1)), 1e-4)


@pytest.mark.long
def test_a_factory_takes_schedules():
    trials = joc.grid(optimizer="adopt", learning_rate=[0.1], schedule=["constant", "cosine"])
    study = swept({"adopt": contrib.adopt}, trials)
    schedule = optax.cosine_decay_schedule(0.1, STEPS)
    rows = study.trials.set_index("schedule")["trial"]
    agree(study, int(rows["cosine"]), by_hand(contrib.adopt(schedule)), 1e-4)


@pytest.mark.long
def test_multi_steps_with_a_traced_number():
    trials = joc.grid(lr=[0.1], k=[1, 2, 3])
    for rule in (
        lambda h: optax.MultiSteps(optax.sgd(h["lr"]), h["k"]),
        lambda h: optax.MultiSteps(optax.sgd(h["lr"]), h["k"]).gradient_transformation(),
    ):
        study = swept(rule, trials)
        assert study.events[-1]["lowerings"] == 1
        for trial, k in enumerate((1, 2, 3)):
            tx = optax.MultiSteps(optax.sgd(0.1), k).gradient_transformation()
            agree(study, trial, by_hand(tx))


EXTRAS = {
    "lbfgs": (
        lambda lr: optax.lbfgs(memory_size=3),
        lambda f, key: {"value_fn": f},
        lambda h: optax.lbfgs(memory_size=3),
    ),
    "sam": (
        lambda lr: contrib.sam(optax.sgd(lr), optax.sgd(0.05), opaque_mode=True),
        lambda f, key: {"grad_fn": lambda p, i: jax.grad(f)(p)},
        None,
    ),
    "polyak": (lambda lr: optax.polyak_sgd(lr), None, None),
    "sophia": (lambda lr: contrib.sophia(lr), lambda f, key: {"obj_fn": f}, None),
    "chained": (
        lambda lr: optax.chain(optax.clip(1.0), contrib.sophia(lr)),
        lambda f, key: {"obj_fn": f},
        None,
    ),
}


@pytest.mark.parametrize("name", only(["sam", "polyak"], EXTRAS))
def test_updates_get_what_they_ask_for(name):
    made, extra, _ = EXTRAS[name]

    def more(f, key):
        return (extra or (lambda f, key: {}))(f, key)

    def by_value(f, key):
        return more(f, key)

    study = swept({"mine": lambda h: made(h["lr"])}, joc.grid(optimizer="mine", lr=[0.02, 0.05]))
    tx = made(0.05)
    params, state, data = *(start(None)[:1]), None, jax.tree.map(jnp.asarray, DATA)
    state = tx.init(params)
    for s in range(STEPS):
        batch = take_batch(data, jnp.uint32(0), jnp.int32(s), 8)
        f = lambda p, batch=batch: squared(p, batch)
        value, g = jax.value_and_grad(f)(params)
        given = by_value(f, None)
        if name in ("lbfgs", "polyak"):
            given |= {"value": value}
        if name == "lbfgs":
            given |= {"grad": g}
        u, state = tx.update(g, state, params, **given)
        params = optax.apply_updates(params, u)
    agree(study, 1, params, 1e-3)


@pytest.mark.long
def test_beside_others_too():
    """In one program with a recipe, a strict update still gets no more than it names."""
    rules = {"sam": lambda h: contrib.sam(optax.sgd(h["lr"]), optax.sgd(0.05), opaque_mode=True)}
    rows = [joc.grid(optimizer="sam", lr=0.1), joc.grid(optimizer="sgd", learning_rate=0.1)]
    study = swept(rules, pd.concat(rows))
    tx = contrib.sam(optax.sgd(0.1), optax.sgd(0.05), opaque_mode=True)
    extra = lambda f, key: {"grad_fn": lambda p, i: jax.grad(f)(p)}
    agree(study, 0, by_hand(tx, extra=extra))
    agree(study, 1, by_hand(optax.sgd(0.1)))


@pytest.mark.long
def test_an_update_that_names_a_key_gets_one_of_its_own():
    def shake(scale):
        def update(g, state, params=None, *, key):
            noise = jax.random.normal(key, ())
            return jax.tree.map(lambda x: -scale * (x + noise), g), state

        return optax.GradientTransformationExtraArgs(lambda p: optax.EmptyState(), update)

    extra = lambda f, key: {"key": jax.random.fold_in(key, OPTIMIZER_KEY)}
    for rule in (shake, lambda scale: optax.chain(optax.identity(), shake(scale))):
        study = swept(rule, joc.grid(scale=[0.01, 0.1], seed=[0, 3]))
        agree(study, 3, by_hand(shake(0.1), seed=3, extra=extra))


@pytest.mark.long
def test_keys_in_states_are_stored_as_numbers(tmp_path):
    study = swept(optax.noisy_sgd, joc.grid(learning_rate=[0.1], eta=[0.1], seed=[0, 1]),
                  directory=tmp_path / "s")  # fmt: skip
    for seed in (0, 1):
        key = jax.random.fold_in(jax.random.key(seed), KEY_TAG)
        agree(study, seed, by_hand(optax.noisy_sgd(0.1, 0.1, key=key), seed))
    keys = [
        x
        for x in jax.tree.leaves(study.state(0).opt_state)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    ]
    assert len(keys) == 1  # handed out as optax made it
    again = joc.Study.load(tmp_path / "s").replay(1, task=TASK, optimizer=optax.noisy_sgd)
    assert again.identical
    rule = lambda h: optax.noisy_sgd(h["lr"], key=0)  # the user's own, the same for all seeds
    agree(swept(rule, joc.grid(lr=[0.1])), 0, by_hand(optax.noisy_sgd(0.1, key=0)))


@pytest.mark.long
def test_a_seed_is_drawn_too():
    def mine(learning_rate, seed):
        return optax.noisy_sgd(learning_rate, key=jax.random.key(seed))

    study = swept(mine, joc.grid(learning_rate=[0.1], seed=[0, 1]))
    bits = jax.random.bits(jax.random.fold_in(jax.random.key(1), KEY_TAG))
    agree(study, 1, by_hand(optax.noisy_sgd(0.1, key=jax.random.key(bits)), 1))


def test_stored_keys():
    state = {"key": jax.random.key(3), "n": jnp.int32(1), "old": jax.random.PRNGKey(0)}
    kept = stored(state)
    assert isinstance(kept["key"], StoredKey) and kept["key"].data.dtype == jnp.uint32
    assert (jax.random.key_data(restored(kept)["key"]) == kept["key"].data).all()
    assert jax.tree.structure(stored(restored(kept))) == jax.tree.structure(kept)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of dpsgd's own "seed"
def test_private_gradients_are_of_each_example():
    rows = joc.grid(learning_rate=[0.1], l2_norm_clip=[0.5, 5.0], noise_multiplier=0.3)
    study = swept(contrib.dpsgd, rows)
    seed = jax.random.bits(jax.random.fold_in(jax.random.key(0), KEY_TAG))

    def gradient(f, params, batch):
        one = lambda example: jax.grad(squared)(params, jax.tree.map(lambda x: x[None], example))
        return jax.vmap(one)(batch)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tx = contrib.dpsgd(0.1, 0.5, 0.3, seed)
    agree(study, 0, by_hand(tx, gradient=gradient))


def test_optax_s_lookahead_whose_parameters_are_a_pair_is_refused():
    rule = lambda h: optax.chain(optax.clip(1.0), optax.lookahead(optax.sgd(h["lr"]), 2, 0.5))
    message = r"take joc.lookahead\(tx"
    for rules, rows in ((rule, joc.grid(lr=0.1)), ({"a": rule}, joc.grid(optimizer="a", lr=0.1))):
        with pytest.raises(ValueError, match=message):
            swept(rules, rows)
    with pytest.raises(ValueError, match=message):
        joc.fit(TASK, rule({"lr": 0.1}), steps=2, batch_size=8)


def test_optax_schedules_of_row_numbers_point_to_ours():
    rule = lambda h: optax.sgd(optax.warmup_constant_schedule(0.0, h["lr"], h["k"]))
    with pytest.raises(TypeError, match=r"'k' is needed .*joc\.warmup_constant_schedule"):
        swept(rule, joc.grid(lr=0.1, k=[1, 2]))


def overflowing(bad):
    """The same regression, its loss NaN in these steps, as in half precision."""
    steps = jnp.asarray(bad, jnp.int32)

    def loss(params, n, batch, key):
        value = squared(params, batch)
        factor = jnp.where(jnp.any(steps == n["n"]), jnp.nan, 1.0)
        return value * factor, ({"n": n["n"] + 1}, {})

    evaluate = lambda params, state, data: {"loss": squared(params, data)}
    init = lambda key: (start(key)[0], {"n": jnp.int32(0)})
    return joc.Task("nan", init, loss, evaluate, DATA, DATA, DATA, {"loss": "min"})


def skipped(rule, bad, **more):
    trials = more.pop("trials", joc.grid(lr=[0.05]))
    study = joc.sweep(overflowing(bad), trials, rule, **QUICK | {"evaluate_every": 3} | more)
    return study.trials[["status", "first_bad_step"]].iloc[0].tolist(), study


@pytest.mark.long
def test_a_step_that_the_optimizer_leaves_out_does_not_end_the_trial():
    guarded = lambda h: optax.apply_if_finite(optax.sgd(h["lr"]), 2)
    (status, first), study = skipped(guarded, [1])
    assert status == "finished" and first is pd.NA
    assert np.isfinite(study.trials["valid_loss"][0])
    skip = {"should_skip_update_fn": optax.skip_not_finite}
    assert (
        skipped(lambda h: optax.MultiSteps(optax.sgd(h["lr"]), 1, **skip), [4])[0][0] == "finished"
    )
    # a run that lasts to an evaluation counts, from its first step
    assert skipped(guarded, [0, 2])[0] == ["diverged", 2]
    assert skipped(guarded, [1, 2])[0] == ["diverged", 1]
    assert skipped(guarded, [1, 2], diverges_after=3)[0][0] == "finished"
    # beyond what the guard leaves out it is a real divergence
    assert skipped(guarded, range(1, 6), diverges_after=3)[0] == ["diverged", 1]
    # beside a recipe, in one program
    rows = pd.concat(
        [joc.grid(optimizer="g", lr=0.05), joc.grid(optimizer="sgd", learning_rate=0.05)]
    )
    (status, _), study = skipped({"g": guarded}, [1], trials=rows)
    assert study.trials["status"].tolist() == ["finished", "diverged"]
    assert study.trials["first_bad_step"].tolist()[1] == 1


@pytest.mark.long
def test_who_asks_for_nothing_has_the_first_bad_step():
    plain = lambda h: optax.sgd(h["lr"])
    assert skipped(plain, [1])[0] == ["diverged", 1]
    (status, _), study = skipped(lambda h: joc.sgd(h["lr"]), [1], diverges_after=2)
    assert [status, study.trials["first_bad_step"][0]] == ["diverged", 1]  # its weights are NaN
    assert study.manifest["budget"]["diverges_after"] == 2
    assert "diverges_after" not in skipped(plain, [1])[1].manifest["budget"]
    with pytest.raises(ValueError, match="diverges_after must be at least 1"):
        skipped(plain, [1], diverges_after=0)


@pytest.mark.long
def test_runs_outlive_a_wait_and_a_directory(tmp_path):
    """A scheduler parks trials in the middle of a run of bad losses."""
    guarded = lambda h: optax.apply_if_finite(optax.sgd(h["lr"]), 9)
    trials = joc.grid(lr=np.geomspace(0.01, 0.05, 4).tolist())
    halving = joc.SuccessiveHalving(eta=2)
    more = {"trials": trials, "diverges_after": 4, "evaluate_every": 2}
    _, study = skipped(guarded, [1, 2, 3], scheduler=halving, directory=tmp_path / "s", **more)
    assert "diverged" not in study.trials["status"].tolist()
    _, study = skipped(guarded, [1, 2, 3, 4], scheduler=halving, **more)
    long = study.trials[study.trials["status"] == "diverged"]
    assert len(long) and set(long["first_bad_step"]) == {1}


def test_adapting_twice_is_adapting_once():
    tx = adapted(optax.sgd(0.1))
    assert adapted(tx) is tx


def test_factories_whose_arguments_cannot_be_named_say_the_way_out():
    def positional(learning_rate, /):
        return optax.sgd(learning_rate)

    def anything(**settings):
        return optax.sgd(**settings)

    trials = joc.grid(learning_rate=[0.1])
    said = r"'positional' takes 'learning_rate' by position .* lambda h: positional\(h\['"
    with pytest.raises(TypeError, match=said):
        joc.sweep(TASK, trials, positional, steps=2, batch_size=8, progress=False)
    with pytest.raises(TypeError, match=r"'anything' names no argument.*lambda h: anything"):
        joc.sweep(TASK, trials, anything, steps=2, batch_size=8, progress=False)


def test_a_factory_gets_what_its_own_rows_give():
    """Another's column, which its rows leave empty, stays out, and its default with it."""
    table = pd.DataFrame({"optimizer": ["a", "b"], "rate": [0.1, 0.2], "momentum": [None, 0.9]})
    taken = {
        name: Factory(name, optax.sgd, {"rate": 0.1, "momentum": 0.0}).taken_by(table)
        for name in ("a", "b")
    }
    assert taken == {"a": ("rate",), "b": ("rate", "momentum")}
    alone = Factory("own", optax.sgd, {"rate": 0.1, "momentum": 0.0})
    assert alone.taken_by(table.drop(columns="optimizer")) == ("rate", "momentum")
