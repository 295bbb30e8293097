"""Columns that the task reads: one program for all values, each trial as in a hand-written loop."""

import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from flax import nnx
from long_form import only

import jaxopt_course as joc
from jaxopt_course.problems import asking
from jaxopt_course.train import take_batch

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = (X[:, 0] > 0).astype(int)
QUICK = {"steps": 5, "evaluate_every": 5, "batch_size": 8, "lanes": 2, "progress": False}
ACCURACY = {"accuracy": (lambda o, t: jnp.mean(o.argmax(-1) == t), "max")}


def net(rngs):
    return joc.MLP(3, 6, 2, rngs=rngs)


def smoothed(outputs, targets, h):
    labels = optax.smooth_labels(jax.nn.one_hot(targets, 2), h["smoothing"])
    return optax.softmax_cross_entropy(outputs, labels)


def own(loss=smoothed, module=net, metrics=ACCURACY, **settings):
    return joc.Task.from_flax(module, X, Y, loss=loss, metrics=metrics, name="mine", **settings)


def plain(**settings):
    return own("softmax_cross_entropy", metrics=None, **settings)


def table(**columns):
    return joc.grid(**{"optimizer": "adam", "learning_rate": 1e-2} | columns)


def dense(params, layer, x):
    return x @ params["layers"][layer]["kernel"] + params["layers"][layer]["bias"][None]


def by_hand(task, loss, seed, tx=None, steps=5):
    """Parameters after a plain optax loop over the trial's own batches and keys."""
    tx = tx or optax.adam(1e-2)
    params, state = task.init(jax.random.key(seed))
    memory = tx.init(params)

    @jax.jit
    def step(params, memory, s):
        batch = take_batch(jax.tree.map(jnp.asarray, task.train), jnp.uint32(seed), s, 8)
        key = jax.random.fold_in(jax.random.key(seed), s)
        value, g = jax.value_and_grad(lambda p: loss(p, state, batch, key))(params)
        u, memory = tx.update(g, memory, params)
        return optax.apply_updates(params, u), memory, value

    losses = []
    for s in range(steps):
        params, memory, value = step(params, memory, jnp.int32(s))
        losses.append(float(value))
    return params, np.mean(losses)


def close(study, trial, params):
    got = study.state(trial).params
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


@pytest.fixture(scope="module")
def study():
    return joc.sweep(own(), table(smoothing=[0.0, 0.1, 0.3], seed=range(2)), **QUICK)


def test_one_program_for_all_values(study):
    assert study.events[-1]["lowerings"] == 1
    assert study.trials["train_loss"].nunique() == 6


@pytest.mark.parametrize("trial", only([5], [0, 5]))
def test_a_loss_with_a_column_is_that_of_a_hand_loop(study, trial):
    task = plain()
    row = study.trials.iloc[trial]

    def loss(params, state, batch, key):
        hidden = jax.nn.relu(dense(params, 0, batch["inputs"]))
        outputs = dense(params, 1, hidden)
        return jnp.mean(smoothed(outputs, batch["targets"], {"smoothing": row["smoothing"]}))

    params, mean = by_hand(task, loss, int(row["seed"]))
    close(study, trial, params)
    assert row["train_loss"] == pytest.approx(mean, rel=1e-4)


@pytest.mark.long
def test_it_may_not_choose_where_the_loss_is_another_one(study):
    assert study.manifest["measured_with"] == {
        "train_loss": ["smoothing"],
        "valid_loss": ["smoothing"],
    }
    study.best()  # by accuracy
    for metric in ("valid_loss", "best_valid_loss", "train_loss"):
        with pytest.raises(ValueError, match=f"differ in 'smoothing', which {metric} itself reads"):
            study.best(metric)
    regression = own(metrics={})
    with pytest.raises(ValueError, match="evaluate_loss="):
        joc.sweep(regression, table(smoothing=[0.0, 0.1]), **QUICK)
    joc.sweep(regression, table(smoothing=0.1), **QUICK)  # all rows have one


@pytest.mark.long
def test_evaluate_loss_is_what_is_measured():
    task = own(evaluate_loss="softmax_cross_entropy", metrics={})
    trials = table(smoothing=[0.0, 0.4])
    study = joc.sweep(task, trials, **QUICK)
    assert study.manifest["metric"] == "valid_loss"
    state = study.state(1)
    wanted = plain().evaluate(
        state.params, state.model_state, jax.tree.map(jnp.asarray, task.valid)
    )
    assert study.trials["valid_loss"][1] == pytest.approx(float(wanted["loss"]), rel=1e-5)


@pytest.mark.long
def test_confirm_extend_and_the_directory_keep_the_column(study, tmp_path):
    task = own()
    saved = joc.sweep(task, table(smoothing=[0.0, 0.1]), directory=tmp_path / "s", **QUICK)
    longer = saved.extend(table(smoothing=[0.2]))
    assert longer.trials["smoothing"].tolist() == [0.0, 0.1, 0.2]
    assert longer.confirm(seeds=1, progress=False).trials["smoothing"].iloc[0] in (0.0, 0.1, 0.2)
    again = joc.Study.load(tmp_path / "s")
    assert again.replay(2, task=task).identical
    with pytest.raises(ValueError, match="itself reads"):
        again.best("valid_loss")
    assert joc.Study.resume(tmp_path / "s", task=task, progress=False).trials.equals(longer.trials)
    plan = joc.plan(task, table(smoothing=[0.0, 0.1]), steps=5, batch_size=8, progress=False)
    assert plan.lanes >= 1


@pytest.mark.long
def test_the_module_reads_and_measures_with_it():
    """A temperature is of the network, so scores of its values compare; Linen and NNX."""

    class Linen(nn.Module):
        @nn.compact
        def __call__(self, x, train: bool, h):
            x = nn.Dense(2)(x) / h["temperature"]
            return joc.dropout(x, h["rate"], self.make_rng("dropout")) if train else x

    class Nnx(nnx.Module):
        def __init__(self, rngs):
            self.out, self.rngs = nnx.Linear(3, 2, rngs=rngs), rngs

        def __call__(self, x, *, train, h):
            x = self.out(x) / h["temperature"]
            return joc.dropout(x, h["rate"], self.rngs.dropout()) if train else x

    for module in (Linen(), Nnx):
        task = plain(module=module)
        assert task.asks.columns is None
        trials = table(temperature=[1.0, 2.0], rate=[0.0, 0.5])
        study = joc.sweep(task, trials, metric="valid_loss", **QUICK)
        assert study.events[-1]["lowerings"] == 1
        assert study.trials["valid_loss"].nunique() == 4
        last = study.state(2)
        h = {"temperature": 2.0, "rate": 0.0}
        valid = jax.tree.map(jnp.asarray, task.valid)
        measured = task.evaluate(last.params, last.model_state, valid, h=h)
        assert float(measured["loss"]) == pytest.approx(study.trials["valid_loss"][2], rel=1e-5)
        with pytest.raises(ValueError, match=r"wants labels 0 \.\. 1"):
            joc.sweep(
                joc.Task.from_flax(module, X, Y + 1, loss="softmax_cross_entropy", name="off"),
                trials,
                **QUICK,
            )


@pytest.mark.long
def test_metrics_may_read_too():
    pinball = lambda o, t, h: jnp.mean(jnp.maximum(h["q"] * (t - o), (h["q"] - 1) * (t - o)))
    task = joc.Task.from_flax(
        lambda rngs: joc.MLP(3, 1, rngs=rngs), X, X[:, :1], loss="squared_error",
        metrics={"pinball": (pinball, "min")}, name="quantiles",
    )  # fmt: skip
    with pytest.raises(ValueError, match="differ in 'q', which valid_pinball itself reads"):
        joc.sweep(task, table(q=[0.1, 0.9]), metric="valid_pinball", **QUICK)
    study = joc.sweep(task, table(q=[0.1, 0.9]), metric="valid_loss", **QUICK)
    assert study.trials["valid_pinball"].nunique() == 2


def hand_written(evaluate_reads=False, first=lambda key: jnp.zeros(3)):
    """A task of three functions, all of the user's own."""

    def init(key, h):
        return {"w": h["start"] * jnp.ones(3)}, {}

    def loss(params, state, batch, key, *, h):
        residual = batch["x"] @ params["w"] - batch["y"]
        return jnp.mean(residual**2) + h["penalty"] * jnp.sum(params["w"] ** 2), (state, {})

    def evaluate(params, state, data):
        return {"loss": jnp.mean((data["x"] @ params["w"] - data["y"]) ** 2)}

    def evaluate_with(params, state, data, h):
        return evaluate(params, state, data) | {"seen": h["penalty"] * 1.0}

    data = {"x": X, "y": X @ np.float32([1, -1, 0.5])}
    metrics = {"loss": "min"} | ({"seen": "min"} if evaluate_reads else {})
    return joc.Task(
        "own", init, loss, evaluate_with if evaluate_reads else evaluate, data, data, data, metrics
    )


@pytest.mark.long
def test_all_three_functions_of_a_task():
    trials = table(optimizer="sgd", start=[0.0, 1.0], penalty=[0.0, 0.5])
    study = joc.sweep(hand_written(True), trials, **QUICK)
    np.testing.assert_allclose(study.trials["valid_seen"], study.trials["penalty"])
    data = {"x": X, "y": X @ np.float32([1, -1, 0.5])}
    for trial, row in study.trials.iterrows():
        w = np.full(3, row["start"], np.float32)
        for s in range(5):
            batch = take_batch(jax.tree.map(jnp.asarray, data), jnp.uint32(0), jnp.int32(s), 8)
            x, y = np.asarray(batch["x"]), np.asarray(batch["y"])
            w = w - 1e-2 * (2 * x.T @ (x @ w - y) / 8 + 2 * row["penalty"] * w)
        np.testing.assert_allclose(study.state(trial).params["w"], w, rtol=1e-5)
    fitted = joc.fit(hand_written(True), optax.sgd(1e-2), steps=5, batch_size=8,
                     h={"start": 1.0, "penalty": 0.5})  # fmt: skip
    np.testing.assert_allclose(fitted.state.params["w"], study.state(3).params["w"], rtol=1e-5)


def test_errors_of_a_task_that_reads_come_before_work(monkeypatch):
    compiled = "jaxopt_course.studies.session.compile_bucket"
    monkeypatch.setattr(compiled, lambda *_: pytest.fail("compiled"))
    rows = table(optimizer="sgd", start=[0.0, 1.0], penalty=0.5)
    cases = [
        (rows.drop(columns="penalty"), {}, KeyError, "the loss of the task reads column 'penalty'"),
        (
            rows.assign(penalty=[0.1, None]),
            {},
            ValueError,
            "row 1 has no 'penalty', which the loss",
        ),
        (rows.assign(penalty="big"), {}, TypeError, "'penalty' holds text .'big'.*static="),
        (rows.assign(other=1.0), {}, ValueError, "unknown column 'other' .*penalty"),
        (table(start=1.0, penalty=1.0, b9=1), {}, ValueError, "unknown column 'b9'"),
    ]
    for trials, more, error, message in cases:
        with pytest.raises(error, match=message):
            joc.sweep(hand_written(), trials, **QUICK, **more)
    eps = own(lambda o, t, h: smoothed(o, t, {"smoothing": h["eps"]}))
    with pytest.raises(ValueError, match=r'both the loss of the task and adam .*h\["task_eps"\]'):
        joc.sweep(eps, table(eps=[0.0, 0.1]), **QUICK)
    with pytest.raises(ValueError, match="both the loss of the task and adam"):  # static, too
        joc.sweep(eps, table(eps=[0.0, 0.1]), static=["eps"], **QUICK)
    wrong = own(lambda o, t, h: h["smoothing"])
    with pytest.raises(ValueError, match="one value an example"):
        joc.sweep(wrong, table(smoothing=0.1), **QUICK)


@pytest.mark.long
def test_a_recipe_beside_that_does_not_take_it_may_share_the_name():
    """sgd has no eps, so a task may; and a function of the row may read what the task reads."""
    eps = own(lambda o, t, h: smoothed(o, t, {"smoothing": h["eps"]}))
    study = joc.sweep(eps, table(optimizer="sgd", eps=[0.0, 0.1]), **QUICK)
    assert study.trials["train_loss"].nunique() == 2
    both = {"mine": lambda h: joc.sgd(h["learning_rate"] * (1 + h["smoothing"]))}
    trials = table(optimizer=["mine", "sgd"], smoothing=[0.0, 0.1])
    assert joc.sweep(own(), trials, both, **QUICK).trials["train_loss"].nunique() == 3
    with pytest.raises(ValueError, match="row 0 has no 'smoothing', which the loss"):
        joc.sweep(own(), trials.assign(smoothing=[None, 0.1, 0.1, 0.1]), both, **QUICK)
    with pytest.raises(ValueError, match="does not read the column 'odd', nor does the task"):
        joc.sweep(own(), table(optimizer="mine", smoothing=0.1, odd=1.0), both, **QUICK)


@pytest.mark.long
def test_static_and_traced_columns_together():
    def loss(outputs, targets, h):
        power = {"cubic": 3, "square": 2}[h["kind"]]
        return smoothed(outputs, targets, h) ** power

    def made(hidden):
        return own(loss, module=lambda rngs: joc.MLP(3, hidden, 2, rngs=rngs))

    trials = table(hidden=[4, 6], kind=["cubic", "square"], smoothing=[0.0, 0.1])
    study = joc.sweep(made, trials, static=["hidden", "kind"], **QUICK)
    assert study.events[-1]["lowerings"] == 4
    assert study.trials["train_loss"].nunique() == 8
    with pytest.raises(ValueError, match="nobody reads the static column 'idle'"):
        joc.sweep(made, trials.assign(idle=1), static=["hidden", "kind", "idle"], **QUICK)


@pytest.mark.long
def test_a_number_that_shapes_need_is_named():
    def loss(outputs, targets, h):
        return smoothed(outputs, targets, h) if h["smoothing"] > 0 else jnp.zeros(len(targets))

    with pytest.raises(TypeError, match="'smoothing' is needed as a plain value"):
        joc.sweep(own(loss), table(smoothing=[0.1, 0.2]), **QUICK)

    class Flaxes(nnx.Module):
        def __init__(self, rngs):
            self.out, self.rngs = nnx.Linear(3, 2, rngs=rngs), rngs

        def __call__(self, x, h):
            return nnx.Dropout(h["rate"], rngs=self.rngs)(self.out(x))

    with pytest.raises(TypeError, match=r"'rate' is needed .*joc\.dropout\(x, rate, key\)"):
        joc.sweep(plain(module=Flaxes), table(rate=[0.1, 0.2]), **QUICK)


@pytest.mark.long
def test_optuna_asks_for_the_tasks_columns():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {
        "optimizer": ["mine", "sgd"],
        "learning_rate": 1e-2,
        "smoothing": joc.uniform(0.0, 0.3),
    }
    asked = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    mine = {"mine": lambda h: joc.sgd(h["learning_rate"])}
    search = joc.OptunaSearch(asked, space, lanes=2)
    study = search.sweep(own(), 4, mine, steps=5, batch_size=8, progress=False)
    assert study.trials["smoothing"].notna().all()
    down = optuna.create_study(direction="minimize")
    with pytest.raises(ValueError, match="itself reads"):
        joc.OptunaSearch(down, space).sweep(
            own(), 2, mine, metric="valid_loss", steps=5, batch_size=8
        )


def test_dropout():
    x, key = jax.random.normal(jax.random.key(1), (2000,)), jax.random.key(0)
    traced = jax.jit(joc.dropout)
    assert (traced(x, 0.0, key) == x).all()
    half = traced(jnp.ones(2000), 0.5, key)
    assert set(np.unique(half)) == {0.0, 2.0} and 0.45 < (half > 0).mean() < 0.55
    np.testing.assert_array_equal(half, traced(jnp.ones(2000), jnp.float32(0.5), key))
    gradient = jax.grad(lambda x, rate: joc.dropout(x, rate, key).sum())
    assert (gradient(x, 1.0) == 0).all() and np.isfinite(gradient(x, 0.3)).all()
    assert np.isnan(traced(x, 1.5, key)).all()
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], not -0.1"):
        joc.dropout(x, -0.1, key)
    eager = nnx.Dropout(0.25, rngs=nnx.Rngs(0))(x)
    assert (np.asarray(eager)[eager != 0] == np.asarray(x / 0.75)[eager != 0]).all()


@pytest.fixture(scope="module")
def regularized():
    columns = {"dropout": [0.0, 0.5], "label_smoothing": [0.0, 0.2], "l2": [0.0, 0.01]}
    return joc.sweep(plain(), table(**columns), metric="valid_loss", **QUICK)


def test_named_losses_and_networks_know_three_columns(regularized):
    assert regularized.events[-1]["lowerings"] == 1
    assert regularized.trials["train_loss"].nunique() == 8
    assert regularized.manifest["measured_with"] == {"train_loss": ["l2", "label_smoothing"]}
    bare = joc.sweep(plain(), table(), **QUICK)
    for a, b in zip(
        *(jax.tree.leaves(s.state(0).params) for s in (bare, regularized)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("trial", [3, 7])
def test_they_do_what_a_hand_loop_does(regularized, trial):
    row = regularized.trials.iloc[trial]

    def loss(params, state, batch, key):
        first, last = params["layers"][0], params["layers"][1]
        hidden = jax.nn.relu(dense(params, 0, batch["inputs"]))
        hidden = joc.dropout(hidden, row["dropout"], jax.random.fold_in(key, 0))
        outputs = dense(params, 1, hidden)
        labels = optax.smooth_labels(jax.nn.one_hot(batch["targets"], 2), row["label_smoothing"])
        l2 = sum(jnp.sum(layer["kernel"] ** 2) for layer in (first, last))
        return jnp.mean(optax.softmax_cross_entropy(outputs, labels)) + row["l2"] * l2

    params, mean = by_hand(plain(), loss, 0)
    close(regularized, trial, params)
    assert row["train_loss"] == pytest.approx(mean, rel=1e-4)


def test_binary_labels_are_smoothed_towards_a_half():
    one = joc.Task.from_flax(
        lambda rngs: joc.MLP(3, 1, rngs=rngs), X, Y, loss="sigmoid_binary_cross_entropy", name="b"
    )
    params, state = one.init(jax.random.key(0))
    batch = {"inputs": X[:9], "targets": Y[:9]}
    value, _ = one.loss(params, state, batch, jax.random.key(1), h={"label_smoothing": 0.2})
    outputs = dense(params, 0, X[:9])[:, 0]
    wanted = optax.sigmoid_binary_cross_entropy(outputs, 0.8 * Y[:9] + 0.1).mean()
    assert float(value) == pytest.approx(float(wanted), rel=1e-6)


@pytest.mark.long
def test_what_a_function_of_the_row_reads_is_its_own():
    """Who decays by a column "l2" himself has no second penalty from the loss."""
    decayed = lambda h: optax.chain(optax.add_decayed_weights(h["l2"]), optax.sgd(1e-2))
    study = joc.sweep(plain(), joc.grid(l2=[0.0, 0.1]), decayed, **QUICK)
    tx = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(1e-2))

    def loss(params, state, batch, key):
        return plain().loss(params, state, batch, key)[0]

    params, _ = by_hand(plain(), loss, 0, tx)
    close(study, 1, params)


def test_their_mistakes_are_named():
    linear = plain(module=lambda rngs: joc.MLP(3, 2, rngs=rngs))
    cases = [
        (plain(), {"dropout": [0.1, 1.0]}, ValueError, r"in \[0, 1\), not 1.0 in row 1"),
        (plain(), {"label_smoothing": -0.1}, ValueError, r"must be in \[0, 1\], not -0.1"),
        (plain(), {"l2": -1.0}, ValueError, "'l2' must be in"),
        (plain(), {"dropout": True}, TypeError, "'dropout' takes numbers"),
        (plain(), {"dropout": [None, 0.1]}, ValueError, "row 0 has no 'dropout', which the module"),
        (linear, {"dropout": [0.1]}, ValueError, "column 'dropout'"),  # no hidden layer
        (plain(), {"smoothing": 0.1}, ValueError, "unknown column 'smoothing'"),
    ]  # fmt: skip
    for task, columns, error, message in cases:
        with pytest.raises(error, match=message):
            joc.sweep(task, table(**columns), **QUICK)
    with pytest.raises(ValueError, match="does not read 'dropuot'"):
        joc.fit(plain(), optax.sgd(0.1), steps=2, batch_size=8, h={"dropuot": 0.1})


def test_a_task_without_such_columns_gets_no_row():
    """So its program is what it was."""
    session = joc.sweep(plain(), table(), **QUICK)._session
    assert session.table.buckets[0].columns.task.row({"learning_rate": 1.0}) is None


@pytest.mark.long
def test_what_is_asked():
    assert asking.asked(lambda o, t, h: 0, 2) == {"h"}
    assert asking.asked(lambda h, t: 0, 2) == frozenset()  # the outputs, whatever they are called
    assert asking.asked(lambda *args, **kwargs: 0) == frozenset()
    assert asking.asked(jax.jit(lambda o, *, h, shared: 0), 1) == {"h", "shared"}
    assert asking.asked(print) == frozenset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = joc.sweep(own(jax.jit(smoothed)), table(smoothing=[0.0, 0.1]), **QUICK)
    assert study.trials["train_loss"].nunique() == 2
    assert isinstance(study.trials, pd.DataFrame)


def test_text_in_a_column_of_the_library_is_said():
    trials = pd.DataFrame({"optimizer": "adam", "learning_rate": 0.1, "dropout": ["a", "b"]})
    task = joc.Task.from_flax(lambda rngs: joc.MLP(3, 4, 2, rngs=rngs), X, Y,
                              loss="softmax_cross_entropy", name="text")  # fmt: skip
    with pytest.raises(TypeError, match=r"'dropout' holds text \('a'\)"):
        joc.sweep(task, trials, steps=2, batch_size=8, progress=False)
