"""Studies whose optimizers have other weights for evaluation: metrics of both, and the weights."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course.records import safetensors
from jaxopt_course.tables.encode import encode

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 3)).astype(np.float32)
DATA = {"x": X, "y": (X @ np.array([1.0, -2.0, 0.5]) + RNG.normal(size=48)).astype(np.float32)}


def squared(params, batch):
    return jnp.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2)


def start(key):
    return {"w": jax.random.normal(key, (3,)), "b": jnp.zeros(())}, {}


TASK = joc.Task(
    "line of three",
    start,
    lambda p, state, batch, key: (squared(p, batch), (state, {})),
    lambda p, state, data: {"loss": squared(p, data), "size": jnp.sum(jnp.abs(p["w"]))},
    DATA,
    DATA,
    DATA,
    {"loss": "min", "size": "min"},
)
QUICK = {"steps": 12, "batch_size": 8, "evaluate_every": 4, "lanes": 4, "progress": False}
OWN = {
    "free": lambda h: optax.contrib.schedule_free_sgd(h["lr"], b1=0.8),
    "sam": lambda h: optax.contrib.sam(optax.sgd(h["lr"]), optax.sgd(0.5), sync_period=5),
    "plain": lambda h: optax.sgd(h["lr"]),
}


def sweep(trials, optimizer=None, **more):
    return joc.sweep(TASK, trials, optimizer, **QUICK | more)


def measured(params):
    return float(squared(params, jax.tree.map(jnp.asarray, DATA)))


@pytest.fixture(scope="module")
def recipes():
    """Two recipes, each with and without a mean and a bound."""
    rows = [
        joc.grid(optimizer=["adam", "sgd"], learning_rate=0.05),
        joc.grid(optimizer=["adam", "sgd"], learning_rate=0.05, ema_decay=0.9),
        joc.grid(optimizer="sgd", learning_rate=0.05, ema_decay=0.9, clip_norm=0.01),
    ]
    return sweep(pd.concat(rows, ignore_index=True), keep=5)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return sweep(
        joc.grid(optimizer=list(OWN), lr=[0.05, 0.1]),
        OWN,
        keep=6,
        directory=tmp_path_factory.mktemp("own") / "s",
    )


def test_metrics_of_the_mean_stand_beside_those_of_the_weights(recipes):
    table = recipes.trials
    assert recipes.events[-1]["lowerings"] == 1
    for one in ("valid_loss", "valid_size", "test_loss", "test_size"):
        averaged = table[one].to_numpy() != table[f"{one}_raw"].to_numpy()
        np.testing.assert_array_equal(averaged, [False, False, True, True, True])
    for i in range(len(table)):
        params, raw = recipes.params(i), recipes.params(i, raw=True)
        assert measured(params) == pytest.approx(table["valid_loss"][i], rel=1e-5)
        assert measured(raw) == pytest.approx(table["valid_loss_raw"][i], rel=1e-5)
    assert {"valid_loss_raw", "valid_size_raw"} <= {*recipes.curves}
    # clipped gradients move less
    first = start(jax.random.key(0))[0]["w"]
    moved = [np.abs(recipes.params(i, raw=True)["w"] - first).max() for i in (3, 4)]
    assert moved[1] < 0.12 * 0.05 < moved[0]


def test_an_empty_decay_is_0_whose_mean_is_the_weights_bit_for_bit(recipes):
    table = recipes.trials
    assert table["ema_decay"].tolist() == [0.0, 0.0, 0.9, 0.9, 0.9]
    assert table["clip_norm"].isna().tolist() == [True, False, True, False, False]
    for i, j in ((0, 2), (1, 3)):  # the same training, looked at in another way
        a, b = recipes.curves.isel(trial=i), recipes.curves.isel(trial=j)
        np.testing.assert_array_equal(a["train_loss"], b["train_loss"])
        np.testing.assert_array_equal(a["valid_loss"], a["valid_loss_raw"])
        np.testing.assert_array_equal(a["valid_loss_raw"], b["valid_loss_raw"])


def test_the_mean_is_that_of_a_loop_by_hand(recipes):
    tx = joc.chain(joc.adam(0.05), joc.ema_params(0.9))
    one = joc.fit(TASK, tx, **{k: v for k, v in QUICK.items() if k not in ("lanes", "progress")})
    for name in ("valid_loss", "valid_loss_raw"):
        ours = recipes.curves[name].isel(trial=2).to_numpy()
        np.testing.assert_allclose(ours, one.curves[name].to_numpy(), rtol=1e-5)
    said = joc.evaluation_params(tx, one.state.opt_state, one.state.params)
    np.testing.assert_allclose(recipes.params(2)["w"], said["w"], rtol=1e-5)


@pytest.mark.long
def test_a_table_without_averages_has_no_raw_metrics():
    study = sweep(joc.grid(optimizer=["adam", "sgd"], learning_rate=0.05))
    assert not [name for name in [*study.trials, *study.curves] if name.endswith("_raw")]
    free = joc.chain(optax.contrib.schedule_free_sgd(0.1))
    short = {"steps": 2, "batch_size": 8}
    assert not [n for n in joc.fit(TASK, free, raw=False, **short).metrics if n.endswith("_raw")]
    assert "test_loss_raw" in joc.fit(TASK, free, **short).metrics


@pytest.mark.long
def test_a_half_life_is_a_decay_rounded_once():
    found = encode({"ema_half_life": np.array([0.0, 1.0, 1e6])}, pairs=True)["ema_half_life"]
    np.testing.assert_array_equal(found.value, np.float32([0.0, 0.5, 2 ** (-1e-6)]))
    np.testing.assert_allclose(found.complement, [1.0, 0.5, -np.expm1(np.log(0.5) * 1e-6)], 1e-7)
    rows = [
        joc.grid(optimizer="sgd", learning_rate=0.05, ema_half_life=[0.0, 1.0]),
        joc.grid(optimizer="sgd", learning_rate=0.05, ema_decay=[0.5, 0.9]),
    ]
    study = sweep(pd.concat(rows, ignore_index=True))
    loss = study.curves["valid_loss"].to_numpy()
    np.testing.assert_array_equal(loss[1], loss[2])
    np.testing.assert_array_equal(loss[0], study.curves["valid_loss_raw"].to_numpy()[0])
    assert (loss[3] != loss[2]).all()


@pytest.mark.long
def test_a_half_life_in_epochs_is_one_in_steps_of_the_row_s_own_batches(tmp_path):
    """48 examples: 6 steps an epoch of batches of 8, 3 of 16; the column stays as written."""
    steps = pd.array([3.0, 9.0, 1.5, 4.5], dtype="Float64")
    sizes = {"batch_size": [8, 8, 16, 16], "optimizer": "sgd", "learning_rate": 0.05}
    of = lambda **column: joc.sweep(
        TASK, pd.DataFrame(sizes | column), static=["batch_size"], **{**QUICK, "batch_size": 64}
    )
    plain, own = of(ema_half_life=steps), of(ema_half_life_epochs=[0.5, 1.5, 0.5, 1.5])
    for name in ("valid_loss", "valid_loss_raw"):
        np.testing.assert_array_equal(plain.curves[name], own.curves[name])
    assert own.trials["ema_half_life_epochs"].tolist() == [0.5, 1.5, 0.5, 1.5]
    assert own.curves["valid_loss"].isel(eval_step=-1).to_series().nunique() == 4


@pytest.mark.long
def test_a_half_life_in_epochs_is_kept_by_those_who_read_the_table_again(tmp_path):
    trials = joc.grid(optimizer="sgd", learning_rate=0.05, ema_half_life_epochs=[0.0, 0.5])
    study = sweep(trials, directory=tmp_path / "s")
    loss = study.curves["valid_loss"].to_numpy()
    assert (loss[0] != loss[1]).any()
    assert joc.Study.load(tmp_path / "s").replay(1, task=TASK).identical
    more = trials.iloc[1:].assign(ema_half_life_epochs=1.5)
    longer = study.extend(more, progress=False)
    np.testing.assert_array_equal(longer.curves["valid_loss"].to_numpy()[:2], loss)
    source = lambda seed: iter([jax.tree.map(lambda x: x[:8], DATA)] * 12)
    endless = dataclasses.replace(TASK, train=joc.stream(source))
    with pytest.raises(ValueError, match=r"'ema_half_life_epochs' is in epochs, and a stream"):
        joc.sweep(endless, trials, steps=4, evaluate_every=4, progress=False)


@pytest.mark.long
def test_what_optax_trains_beside_is_evaluated(own):
    """Schedule-Free at x, SAM between its excursions: 12 steps are two of the third."""
    table = own.trials
    for i, row in table.iterrows():
        state, tx = own.state(i), OWN[row["optimizer"]]({"lr": row["lr"]})
        said = joc.evaluation_params(tx, state.opt_state, state.params)
        np.testing.assert_allclose(own.params(i)["w"], said["w"], rtol=1e-5)
        assert measured(said) == pytest.approx(row["valid_loss"], rel=1e-5)
        assert measured(state.params) == pytest.approx(row["valid_loss_raw"], rel=1e-5)
        differ = row["valid_loss"] != row["valid_loss_raw"]
        assert differ == (row["optimizer"] != "plain")


def test_kept_weights_are_those_that_were_evaluated(own, tmp_path):
    read = joc.Study.load(own.directory)
    assert len(own.kept) == 6
    for i in own.kept[:2]:
        for raw in (False, True):
            np.testing.assert_array_equal(read.params(i, raw=raw)["w"], own.params(i, raw=raw)["w"])
        column = own.trials["valid_loss"][i]
        assert measured(read.params(i)) == pytest.approx(column, rel=1e-5)
        state = read.state(i, task=TASK, optimizer=OWN)
        np.testing.assert_array_equal(state.params["w"], read.params(i, raw=True)["w"])
    i = own.kept[0]
    for raw in (False, True):
        path = read.save_params(i, tmp_path / f"{raw}.safetensors", raw=raw)
        written = safetensors.unpack(path.read_bytes()).arrays
        np.testing.assert_array_equal(written["w"], read.params(i, raw=raw)["w"])


@pytest.mark.long
def test_resumed_and_replayed_they_are_the_same_bits(own, tmp_path):
    assert joc.Study.load(own.directory).replay(0, task=TASK, optimizer=OWN).identical

    def stop(readings):
        raise KeyboardInterrupt

    trials = own.trials[["optimizer", "lr"]]
    with pytest.raises(joc.SweepInterrupted):
        sweep(trials, OWN, directory=tmp_path / "s", on_reading=stop, raw=False)
    again = joc.Study.resume(tmp_path / "s", task=TASK, optimizer=OWN, progress=False)
    assert again.manifest["raw"] is False
    assert not [name for name in again.trials if name.endswith("_raw")]
    for name in again.curves.data_vars:
        np.testing.assert_array_equal(again.curves[name], own.curves[name])


def test_halving_is_by_the_evaluated_ones():
    trials = joc.grid(optimizer="sgd", learning_rate=[0.01, 0.02, 0.05, 0.1], ema_decay=0.9)
    study = sweep(trials, scheduler=joc.SuccessiveHalving(eta=2, min_steps=4), metric="valid_loss")
    first = study.curves["valid_loss"].isel(eval_step=0).to_numpy()
    on = study.curves["valid_loss"].isel(eval_step=1).notnull().to_numpy()
    assert set(np.flatnonzero(on)) == set(np.argsort(first)[:2])


@pytest.mark.long
def test_buckets_of_which_one_averages():
    trials = joc.grid(optimizer="sgd", learning_rate=0.05, batch_size=[8, 16])
    trials["ema_decay"] = pd.array([0.9, None], dtype="Float64")
    study = joc.sweep(TASK, trials, static=["batch_size"], **{**QUICK, "batch_size": 64})
    raw = study.curves["valid_loss_raw"].to_numpy()
    assert np.isfinite(raw[0]).any() and np.isnan(raw[1]).all()


@pytest.mark.parametrize(
    ("trials", "optimizer", "message"),
    [
        ({"ema_decay": 1.5}, None, "'ema_decay' has 1.5 in row 0; it must be from 0 to below 1"),
        ({"clip_norm": 0.0}, None, "'clip_norm' has 0.0 in row 0; it must be above 0"),
        ({"clip_nrm": 1.0}, None, "clip_norm"),
        ({"ema_half_life": -1.0}, None, "'ema_half_life' has -1.0 in row 0; it must be at least 0"),
        ({"ema_half_life": 5.0, "ema_decay": 0.9}, None, "row 0 has an 'ema_decay' and an"),
        (
            {"ema_half_life": 5.0, "ema_half_life_epochs": 1.0},
            None,
            "row 0 has an 'ema_half_life' and an 'ema_half_life_epochs'; give one",
        ),
        ({"ema_half_life_epochs": -1.0}, None, "it must be at least 0, in epochs"),
        (
            {},
            lambda h: joc.chain(
                optax.contrib.schedule_free_sgd(h["learning_rate"]), joc.ema_params(0.9)
            ),
            "schedule_free and ema_params both say",
        ),
        (
            {},
            lambda h: optax.lookahead(optax.sgd(h["learning_rate"]), 2, 0.5),
            r"take joc.lookahead\(tx",
        ),
    ],
)
def test_bad_input_is_named(trials, optimizer, message):
    rows = joc.grid(**({} if optimizer else {"optimizer": "sgd"}), learning_rate=0.1, **trials)
    with pytest.raises(ValueError, match=message):
        sweep(rows, optimizer)


@pytest.mark.long
def test_where_optimizers_share_a_program_a_mean_of_decay_0_is_the_weights(optimized_here):
    """XLA computes θ + u twice there, once for the mean, and may take an FMA in one of them."""
    trials = joc.grid(optimizer=["adamw", "sgd"], learning_rate=1e-3, ema_decay=[0.0, 0.9])
    study = joc.sweep("wine", trials, epochs=4, batch_size=32, lanes=4, keep=4, progress=False)
    for i, decay in enumerate(trials["ema_decay"]):
        equal = jax.tree.map(np.array_equal, study.params(i), study.params(i, raw=True))
        assert all(jax.tree.leaves(equal)) == (decay == 0)
