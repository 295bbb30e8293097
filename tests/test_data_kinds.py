"""Data as they are: trees, shared arrays, windows of tokens, several validation sets, gaps."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

import jaxopt_course as joc
from jaxopt_course.train import take_batch

RANDOM = np.random.default_rng(0)
CATEGORY = RANDOM.integers(0, 5, 100)
NUMBERS = RANDOM.normal(3.0, 2.0, (100, 3)).astype(np.float32)
LABELS = (NUMBERS[:, 0] + CATEGORY > 5).astype(np.int32)
STEPS, BATCH = 12, 16
QUICK = {"steps": STEPS, "batch_size": BATCH, "lanes": 2, "progress": False, "evaluate_every": 6}


class Two(nnx.Module):
    """Categories and numbers, by name or by place."""

    def __init__(self, rngs):
        self.embed, self.out = nnx.Embed(5, 4, rngs=rngs), nnx.Linear(7, 2, rngs=rngs)

    def __call__(self, x):
        category, numbers = x if isinstance(x, (tuple, list)) else (x["category"], x["numbers"])
        return self.out(jnp.concatenate([self.embed(category), numbers], -1))


def by_hand(task, loss, tx, seed):
    """A plain loop: the same batches and keys, gradients of ``loss(params, batch, key)``."""
    params, _ = task.init(jax.random.key(seed))
    state = tx.init(params)

    data = jax.device_put(task.train)

    @jax.jit
    def step(params, state, s):
        batch = take_batch(data, jnp.uint32(seed), s, BATCH)
        key = jax.random.fold_in(jax.random.key(seed), s)
        g = jax.grad(loss)(params, batch, key)
        u, state = tx.update(g, state, params)
        return optax.apply_updates(params, u), state

    for s in range(STEPS):
        params, state = step(params, state, jnp.int32(s))
    return params


def dense(x, layer):
    return np.asarray(x) @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])


def assert_trained_alike(task, study, trial, params):
    for one, other in zip(
        jax.tree.leaves(study.state(trial).params), jax.tree.leaves(params), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


# Trees of inputs, and a loss of all that the module returns


@pytest.mark.parametrize("kind", ["dict", "tuple", "list"])
def test_a_tree_reaches_the_module_as_it_is_and_trains_as_by_hand(kind):
    inputs = {
        "dict": {"category": CATEGORY, "numbers": NUMBERS},
        "tuple": (CATEGORY, NUMBERS),
        "list": [CATEGORY, NUMBERS],
    }[kind]
    task = joc.Task.from_flax(Two, inputs, LABELS, loss="softmax_cross_entropy", name="two")
    assert task.examples == {"train": 60, "valid": 20, "test": 20}
    assert type(task.train["inputs"]) is type(inputs)
    if kind != "dict":
        return  # the program is another tree of the same leaves
    study = joc.sweep(task, joc.grid(optimizer="sgd", learning_rate=[0.1], seed=range(2)), **QUICK)
    graph, _, rest = nnx.split(Two(nnx.Rngs(0)), nnx.Param, ...)

    def loss(params, batch, key):
        outputs = nnx.merge(graph, params, rest)(batch["inputs"])
        return optax.softmax_cross_entropy_with_integer_labels(outputs, batch["targets"]).mean()

    assert_trained_alike(task, study, 1, by_hand(task, loss, optax.sgd(0.1), seed=1))


def test_in_a_tree_real_leaves_are_standardised_and_categories_are_not():
    inputs = {"category": CATEGORY, "numbers": NUMBERS}
    task = joc.Task.from_flax(
        Two, inputs, LABELS, loss="softmax_cross_entropy", standardize=True, split_seed=3
    )
    alone = joc.Task.from_flax(
        lambda rngs: nnx.Linear(3, 2, rngs=rngs), NUMBERS, LABELS, loss="softmax_cross_entropy",
        standardize=True, split_seed=3,
    )  # fmt: skip
    for part in ("train", "valid", "test"):
        found = getattr(task, part)["inputs"]
        np.testing.assert_array_equal(found["numbers"], getattr(alone, part)["inputs"])
        assert set(found["category"]) <= set(range(5))


@pytest.mark.long
def test_a_loss_and_metrics_of_ones_own_get_the_whole_output_and_all_targets():
    class Heads(nnx.Module):
        def __init__(self, rngs):
            self.mean, self.kind = nnx.Linear(3, 1, rngs=rngs), nnx.Linear(3, 2, rngs=rngs)

        def __call__(self, x):
            return {"mean": self.mean(x)[:, 0], "kind": self.kind(x)}

    def per_example(outputs, targets):
        squared = (outputs["mean"] - targets["value"]) ** 2
        kinds = optax.softmax_cross_entropy_with_integer_labels(outputs["kind"], targets["kind"])
        return squared + kinds

    hits = lambda outputs, targets: jnp.mean(outputs["kind"].argmax(-1) == targets["kind"])
    targets = {"value": NUMBERS[:, 1] * 0.1, "kind": LABELS}
    task = joc.Task.from_flax(
        Heads, NUMBERS, targets, loss=per_example, metrics={"hits": (hits, "max")}, name="heads",
        evaluate_chunk=6,
    )  # fmt: skip
    params, state = task.init(jax.random.key(0))
    values = task.evaluate(params, state, task.valid)
    x, y = task.valid["inputs"], task.valid["targets"]
    outputs = {name: dense(x, params[name]) for name in params}
    outputs["mean"] = outputs["mean"][:, 0]
    np.testing.assert_allclose(values["loss"], per_example(outputs, y).mean(), rtol=1e-5)
    assert float(values["hits"]) == float(hits(outputs, y))
    broken = jax.tree.map(lambda p: p * jnp.nan, params)
    assert jnp.isnan(task.evaluate(broken, state, task.valid)["hits"])
    table = joc.fit(task, joc.sgd(0.01), steps=4, batch_size=8, evaluate_every=2)
    assert np.isfinite(table.metrics["valid_hits"])


@pytest.mark.long
def test_padded_sequences_with_their_lengths_in_linen():
    class Last(linen.Module):
        @linen.compact
        def __call__(self, x):
            rnn = linen.RNN(linen.SimpleCell(4), return_carry=True)
            state, _ = rnn(x["sequence"], seq_lengths=x["length"])
            return linen.Dense(2)(state)

    sequences = RANDOM.normal(size=(40, 6, 3))
    inputs = {"sequence": sequences, "length": RANDOM.integers(1, 7, 40)}
    task = joc.Task.from_flax(Last(), inputs, LABELS[:40], loss="softmax_cross_entropy")
    params, state = task.init(jax.random.key(0))
    want = Last().apply({"params": params}, task.valid["inputs"])
    want = optax.softmax_cross_entropy_with_integer_labels(want, task.valid["targets"]).mean()
    np.testing.assert_allclose(task.evaluate(params, state, task.valid)["loss"], want, rtol=1e-6)


def test_lists_of_numbers_and_of_one_array_an_example_are_arrays():
    linear = lambda rngs: nnx.Linear(3, 2, rngs=rngs)
    want = joc.Task.from_flax(linear, NUMBERS, LABELS, loss="softmax_cross_entropy")
    for inputs in (NUMBERS.tolist(), list(NUMBERS), tuple(map(tuple, NUMBERS.tolist()))):
        task = joc.Task.from_flax(linear, inputs, LABELS.tolist(), loss="softmax_cross_entropy")
        assert task.split_sha256 == want.split_sha256
    ragged = [NUMBERS[:, : 1 + i % 3] for i in range(100)]
    with pytest.raises(ValueError, match="arrays of different shapes: pad them"):
        joc.Task.from_flax(linear, ragged, LABELS, loss="softmax_cross_entropy")


def test_the_first_axes_of_a_tree_must_agree_and_the_leaf_is_named():
    inputs = {"category": CATEGORY[:99], "numbers": NUMBERS}
    with pytest.raises(ValueError, match=r"data\['inputs'\]\['category'\] has 99 examples"):
        joc.Task.from_flax(Two, inputs, LABELS, loss="softmax_cross_entropy")
    with pytest.raises(TypeError, match="targets are missing"):
        joc.Task.from_flax(Two, inputs, loss="softmax_cross_entropy")


def test_an_equinox_module_is_told_the_way():
    kind = type("MLP", (), {"__module__": "equinox.nn._mlp", "__call__": lambda self, x: x})
    for module in (kind, kind()):
        with pytest.raises(TypeError, match=r"equinox module.*joc\.Task.*eqx\.partition"):
            joc.Task.from_flax(module, NUMBERS, LABELS, loss="softmax_cross_entropy")
    with pytest.raises(TypeError, match=r"an equinox one: use joc\.Task"):
        joc.Task.from_flax(lambda rngs: kind(), NUMBERS, LABELS, loss="softmax_cross_entropy")


# Arrays that all lanes read

BASE = {"kernel": RANDOM.normal(size=(3, 50_000)).astype(jnp.bfloat16)}


class Lora(nnx.Module):
    """A frozen base and a small correction of it."""

    def __init__(self, rngs):
        self.a, self.b = nnx.Param(rngs.params.normal((3, 2))), nnx.Param(jnp.zeros((2, 2)))

    def __call__(self, x, shared):
        base = shared["kernel"][:, :2].astype(jnp.float32)
        return x @ (base + self.a[...] @ self.b[...])


@pytest.fixture(scope="module")
def lora():
    return joc.Task.from_flax(
        Lora, NUMBERS, LABELS, loss="softmax_cross_entropy", shared=BASE, name="lora"
    )


@pytest.mark.long
def test_shared_arrays_are_arguments_of_the_program_and_train_as_by_hand(lora):
    trials = joc.grid(optimizer="sgd", learning_rate=[0.1, 0.01], seed=range(2))
    study = joc.sweep(lora, trials, **QUICK, devices=jax.devices()[:2])
    program = study._session.programs[0].program
    assert "3x50000xbf16" in program.text  # once, as a parameter, in its own dtype
    assert "2x3x50000" not in program.text  # and in no lane
    assert len(program.text) < 300_000

    def loss(params, batch, key):
        base = BASE["kernel"][:, :2].astype(np.float32)
        outputs = batch["inputs"] @ (base + params["a"] @ params["b"])
        return optax.softmax_cross_entropy_with_integer_labels(outputs, batch["targets"]).mean()

    assert_trained_alike(lora, study, 1, by_hand(lora, loss, optax.sgd(0.1), seed=1))
    again = study.replay(3)
    assert again.identical
    assert study.confirm(seeds=1).manifest["kind"] == "confirmation"


def test_what_all_read_belongs_to_the_data(lora):
    other = {"kernel": BASE["kernel"] + 1}
    assert dataclasses.replace(lora, shared=other).split_sha256 != lora.split_sha256
    with pytest.raises(ValueError, match=r"shared\['w'\] has values that are NaN"):
        dataclasses.replace(lora, shared={"w": np.full(3, np.nan)})
    with pytest.raises(TypeError, match=r"shared\['w'\] must hold numbers"):
        dataclasses.replace(lora, shared={"w": np.array(["a"])})
    with pytest.raises(TypeError, match="PRNG key"):
        dataclasses.replace(lora, shared={"w": jax.random.key(0)})
    kept = dataclasses.replace(lora, shared=BASE | {"more": np.arange(3), "mask": -np.inf})
    assert [x.dtype.name for x in kept.shared.values()] == ["bfloat16", "float32", "int32"]


@pytest.mark.long
def test_a_graph_whose_nodes_are_examples():
    edges = RANDOM.integers(0, 30, (90, 2))
    features = RANDOM.normal(size=(30, 4)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(int)
    graph = {"features": features, "edges": edges}

    class Net(linen.Module):
        @linen.compact
        def __call__(self, node, shared):
            h = linen.Dense(2)(shared["features"])
            a, b = shared["edges"].T
            return (h + jnp.zeros_like(h).at[b].add(h[a]))[node]

    task = joc.Task.from_flax(
        Net(), np.arange(30), labels, loss="softmax_cross_entropy", shared=graph, name="graph"
    )
    study = joc.sweep(
        task, joc.grid(optimizer="adam", learning_rate=[0.1]), steps=4, batch_size=18, lanes=1,
        evaluate_every=4, progress=False,
    )  # fmt: skip
    assert study.trials["status"].tolist() == ["finished"]
    params = study.state(0).params
    h = dense(features, params["Dense_0"])
    summed = np.array(h)
    np.add.at(summed, edges[:, 1], h[edges[:, 0]])
    outputs, targets = summed[task.valid["inputs"]], task.valid["targets"]
    want = optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()
    np.testing.assert_allclose(study.trials["valid_loss"][0], want, rtol=1e-4)


# Windows of tokens

VOCABULARY, LENGTH = 11, 8


class Next(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(VOCABULARY, 4, rngs=rngs)
        self.out = nnx.Linear(4, VOCABULARY, rngs=rngs)

    def __call__(self, x):
        return self.out(self.embed(x))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "train.bin"
    (np.arange(2000) % VOCABULARY).astype(np.uint16).tofile(path)
    return np.memmap(path, np.uint16, "r")


@pytest.mark.long
def test_windows_over_a_memmap_keep_its_dtype_and_train_as_by_hand(tokens):
    cut = joc.windows(tokens, LENGTH)
    task = joc.Task.from_flax(Next, cut, loss="softmax_cross_entropy", evaluate_chunk=10)
    own = task.shared["tokens"]
    assert own.dtype == np.uint16
    assert np.shares_memory(own, tokens)
    assert task.examples == {"train": 199, "valid": 24, "test": 24}
    assert next(iter(task.metrics)) == "loss"
    study = joc.sweep(task, joc.grid(optimizer="sgd", learning_rate=[0.5]), **QUICK)
    graph, _, rest = nnx.split(Next(nnx.Rngs(0)), nnx.Param, ...)

    def loss(params, batch, key):
        both = cut.read(batch, {"tokens": jnp.asarray(tokens)}, key)
        assert both["inputs"].shape == both["targets"].shape == (BATCH, LENGTH)
        outputs = nnx.merge(graph, params, rest)(both["inputs"])
        return optax.softmax_cross_entropy_with_integer_labels(outputs, both["targets"]).mean()

    params = by_hand(task, loss, optax.sgd(0.5), seed=0)
    assert_trained_alike(task, study, 0, params)
    starts = np.arange(1600, 1600 + 24 * LENGTH, LENGTH)
    np.testing.assert_array_equal(task.valid["start"], starts)
    both = np.stack([tokens[s : s + LENGTH + 1] for s in starts]).astype(int)
    outputs = nnx.merge(graph, params, rest)(both[:, :-1])
    want = optax.softmax_cross_entropy_with_integer_labels(outputs, both[:, 1:]).mean()
    row = study.trials.iloc[0]
    np.testing.assert_allclose(row["valid_loss"], want, rtol=1e-5)
    np.testing.assert_allclose(row["valid_perplexity"], np.exp(row["valid_loss"]), rtol=1e-5)


def test_training_windows_begin_anywhere_and_never_leave_their_part(tokens):
    cut = joc.windows(np.arange(200), LENGTH)
    seen = set()
    for s in range(40):
        both = cut.read(cut.train, cut.shared, jax.random.key(s))
        np.testing.assert_array_equal(both["targets"], both["inputs"] + 1)
        assert int(both["targets"].max()) < 160
        seen |= set(np.asarray(both["inputs"])[:, 0].tolist())
    assert seen == set(range(160 - 2 * LENGTH + LENGTH))


def test_windows_take_tokens_of_other_files_and_say_what_is_too_short(tokens):
    cut = joc.windows(tokens, LENGTH, valid=tokens[:100], test=tokens[100:150])
    assert [len(getattr(cut, p)["start"]) for p in ("train", "valid", "test")] == [249, 12, 6]
    first = cut.read({"start": cut.test["start"][:1]}, cut.shared)
    np.testing.assert_array_equal(first["inputs"][0], tokens[100:108])
    with pytest.raises(ValueError, match="the valid part has 2 tokens, and windows of 8 need 9"):
        joc.windows(tokens, LENGTH, valid=tokens[:2])
    with pytest.raises(ValueError, match="length must be a whole number"):
        joc.windows(tokens, 0)
    with pytest.raises(ValueError, match=r"leave \['targets'\] out"):
        joc.Task.from_flax(Next, joc.windows(tokens, 8), tokens, loss="softmax_cross_entropy")
    with pytest.raises(ValueError, match=r"labels 0 .. 10 .* go from 0 to 200"):
        joc.Task.from_flax(Next, joc.windows(np.arange(201), 8), loss="softmax_cross_entropy")


@pytest.mark.long
def test_windows_of_real_numbers_are_a_forecast():
    series = np.sin(np.arange(300) / 7)[:, None]
    task = joc.Task.from_flax(
        lambda rngs: nnx.Linear(1, 1, rngs=rngs), joc.windows(series, 5), loss="squared_error"
    )
    assert task.metrics == {"loss": "min", "r2": "max"}
    weighted = joc.Task.from_flax(
        LINEAR, NUMBERS, LABELS, shared={"w": np.float32(3)},
        loss=lambda z, y, shared: shared["w"] * z[:, 0],
        metrics={"w": (lambda z, y, shared: shared["w"] + 0 * z.sum(), "max")},
    )  # fmt: skip
    params, state = weighted.init(jax.random.key(0))
    values = weighted.evaluate(params, state, weighted.valid, shared=weighted.shared)
    want = 3 * dense(weighted.valid["inputs"], params)[:, 0].mean()
    np.testing.assert_allclose(values["loss"], want, rtol=1e-5)
    assert float(values["w"]) == 3.0
    assert joc.fit(task, joc.sgd(0.1), steps=20, batch_size=8).metrics["valid_loss"] < 0.5


# Several validation sets

LINEAR = lambda rngs: nnx.Linear(3, 2, rngs=rngs)


@pytest.fixture(scope="module")
def noisy():
    noise = RANDOM.normal(size=(30, 3))
    return joc.Task.from_flax(
        LINEAR, NUMBERS, LABELS, loss="softmax_cross_entropy", standardize=True, name="noisy",
        validations={"noisy": (NUMBERS[:30] + noise, LABELS[:30]), "all": (NUMBERS, LABELS)},
    )  # fmt: skip


@pytest.mark.long
def test_further_validation_sets_have_columns_and_curves_and_may_choose(noisy):
    trials = joc.grid(optimizer="sgd", learning_rate=[0.1, 1.0])
    study = joc.sweep(noisy, trials, metric="valid_noisy_accuracy", **QUICK)
    names = [f"valid_{part}{name}" for part in ("", "noisy_", "all_") for name in noisy.metrics]
    assert set(names) <= set(study.trials) & set(study.curves.data_vars)
    assert not [name for name in study.trials if name.startswith("test_noisy")]
    row = study.trials.loc[study.trials["valid_noisy_accuracy"].idxmax()]
    assert study.best()["learning_rate"] == row["learning_rate"]
    params = study.state(0).params
    for part in ("noisy", "all"):
        data = noisy.validations[part]
        outputs = dense(data["inputs"], params)
        want = optax.softmax_cross_entropy_with_integer_labels(outputs, data["targets"]).mean()
        np.testing.assert_allclose(study.trials[f"valid_{part}_loss"][0], want, rtol=1e-5)
    assert study.replay(0).identical
    once = joc.fit(noisy, joc.sgd(0.1), steps=2, batch_size=8)
    assert {"valid_noisy_loss", "valid_all_accuracy", "test_loss"} <= set(once.metrics)


def test_further_sets_are_checked_and_belong_to_the_data(noisy):
    assert dataclasses.replace(noisy, validations={}).split_sha256 != noisy.split_sha256
    assert dataclasses.replace(noisy, name="same").metrics == noisy.metrics
    with pytest.raises(ValueError, match=r"an example of validations\['odd'\]\['inputs'\]"):
        dataclasses.replace(noisy, validations={"odd": {
            "inputs": np.ones((4, 2), np.float32), "targets": np.zeros(4, int)}})  # fmt: skip
    with pytest.raises(ValueError, match="validation set's name must be a word"):
        dataclasses.replace(noisy, validations={"a b": noisy.valid})
    with pytest.raises(ValueError, match=r"validations\['few'\]\['inputs'\] .* \(1,\)"):
        joc.Task.from_flax(
            LINEAR, NUMBERS, LABELS, loss="softmax_cross_entropy", standardize=True,
            validations={"few": (NUMBERS[:, :1], LABELS)},
        )  # fmt: skip
    taken = lambda p, s, data: noisy.evaluate(p, s, data) | {"clean_loss": jnp.float32(0)}
    with pytest.raises(ValueError, match=r"evaluate returns \['clean_loss'\]"):
        dataclasses.replace(noisy, evaluate=taken, validations={"clean": noisy.valid})
    named = noisy.metrics | {"clean_loss": "min"}  # it would be recorded in the other's place
    with pytest.raises(ValueError, match=r"evaluate returns \['clean_loss'\]"):
        dataclasses.replace(
            noisy, evaluate=taken, metrics=named, validations={"clean": noisy.valid}
        )


# Gaps


def gappy():
    x = NUMBERS.copy()
    x[RANDOM.random(100) < 0.3, 1] = np.nan
    return x


@pytest.mark.parametrize("policy", ["mean", "zero", "indicator"])
@pytest.mark.parametrize("standardize", [False, True])
def test_gaps_are_filled_as_measured_on_the_train_part(policy, standardize):
    x = gappy()
    sizes = 3 + (policy == "indicator")
    task = joc.Task.from_flax(
        lambda rngs: nnx.Linear(sizes, 2, rngs=rngs), {"x": x, "row": np.arange(100)}["x"], LABELS,
        loss="softmax_cross_entropy", missing=policy, standardize=standardize, split_seed=1,
    )  # fmt: skip
    rows = joc.Task.from_flax(
        lambda rngs: nnx.Linear(1, 2, rngs=rngs), np.arange(100)[:, None], LABELS,
        loss="softmax_cross_entropy", split_seed=1,
    )  # fmt: skip
    train = rows.train["inputs"][:, 0]
    scaled = StandardScaler().fit(x[train]).transform(x) if standardize else x
    imputer = SimpleImputer(
        strategy="constant" if policy == "zero" else "mean",
        fill_value=0.0 if policy == "zero" else None,
        add_indicator=policy == "indicator",
    )
    want = imputer.fit(scaled[train]).transform(scaled)
    for part in ("train", "valid", "test"):
        found, place = getattr(task, part)["inputs"], getattr(rows, part)["inputs"][:, 0]
        np.testing.assert_allclose(found, want[place], rtol=1e-5, atol=1e-6)


def test_gaps_are_refused_by_default_and_so_is_what_no_policy_can_fill():
    x, loss = gappy(), {"loss": "softmax_cross_entropy"}
    with pytest.raises(ValueError, match=r'not finite, the first.*missing="mean"'):
        joc.Task.from_flax(LINEAR, x, LABELS, **loss)
    with pytest.raises(ValueError, match="unknown missing= 'median'"):
        joc.Task.from_flax(LINEAR, x, LABELS, **loss, missing="median")
    with pytest.raises(ValueError, match="feature 1, is missing in every example of the train"):
        joc.Task.from_flax(LINEAR, x * [1, np.nan, 1], LABELS, **loss, missing="mean")
    with pytest.raises(ValueError, match=r'no axis of features for missing="indicator"'):
        joc.Task.from_flax(LINEAR, x[:, 1], LABELS, **loss, missing="indicator")
    with pytest.raises(ValueError, match=r"are not finite.*inf"):
        joc.Task.from_flax(LINEAR, np.where(x > 3, np.inf, x), LABELS, **loss, missing="mean")
    with pytest.raises(ValueError, match=r"data\['targets'\] has .* not finite"):
        joc.Task.from_flax(
            LINEAR, NUMBERS, np.where(LABELS, np.nan, 0.0), loss="squared_error", missing="mean"
        )


def test_gaps_in_a_tree_and_in_sequences():
    x = np.where(RANDOM.random((40, 5, 2)) < 0.2, np.nan, 1.0)
    x[..., 0] = 2.0
    inputs = {"series": x, "kind": CATEGORY[:40]}

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.out = nnx.Linear(15, 2, rngs=rngs)

        def __call__(self, x):
            return self.out(x["series"].reshape(-1, 15))

    task = joc.Task.from_flax(
        Net, inputs, LABELS[:40], loss="softmax_cross_entropy", missing="indicator"
    )
    series = task.train["inputs"]["series"]
    assert series.shape == (24, 5, 3)
    np.testing.assert_array_equal(series[..., 1], np.ones((24, 5)))
    assert 0 < series[..., 2].mean() < 0.5
    assert task.train["inputs"]["kind"].dtype == np.int32


def test_a_change_in_place_does_not_reach_a_task():
    x, y = np.ones((20, 2), np.float32), np.zeros(20, np.int32)
    k = np.ones((2, 2), np.float32)
    settings = {"valid": (x, y), "test": (x, y), "loss": "softmax_cross_entropy"}
    net = lambda rngs: joc.MLP(2, 2, 2, rngs=rngs)
    task = joc.Task.from_flax(net, x, y, **settings, shared={"k": k})
    before = task.split_sha256
    for array in (x, y, k):
        array += 1
    assert task.train["inputs"].max() == 1 and task.train["targets"].max() == 0
    assert task.shared["k"].max() == 1
    del task.__dict__["split_sha256"]
    assert task.split_sha256 == before
    fixed = np.ones((20, 2), np.float32)
    fixed.flags.writeable = False  # nobody can change it, so nothing is copied
    parts = {"inputs": fixed, "targets": y}
    own = joc.Task("own", task.init, task.loss, task.evaluate, parts, parts, parts, task.metrics)
    assert np.shares_memory(own.train["inputs"], fixed)


def test_groups_without_a_value_are_named():
    x, y = np.ones((20, 2), np.float32), np.arange(20) % 2
    task = joc.Task.from_flax(lambda rngs: joc.MLP(2, 2, 2, rngs=rngs), x, y,
                              loss="softmax_cross_entropy")  # fmt: skip
    with pytest.raises(ValueError, match="no value in row 1;"):
        joc.folds(task, 2, groups=["a", None, *"abababababababab"][:16])
