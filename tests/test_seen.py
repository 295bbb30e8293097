"""What a sweep records, tells and leaves while it runs, and where it is ended."""

import dataclasses
import os
import signal
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from long_form import only, put

import jaxopt_course as joc
from jaxopt_course import cli, devices
from jaxopt_course.studies import compiled
from jaxopt_course.studies.readings import OnReadingWarning
from jaxopt_course.sweeps import loading
from jaxopt_course.sweeps.recent import Recent
from jaxopt_course.train import take_batch

WATCH = ["gradient_norm", "update_norm", "learning_rate", "parameter_norm"]
TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-3, 0.05, 1e30], seed=range(2))
LENGTH = {"steps": 30, "batch_size": 5, "evaluate_every": 10, "record_every": 5, "lanes": 4}
SHOWN = {"watch": WATCH, "progress": False, **LENGTH}


def two_terms():
    """The catalog's line, with a loss that says what it is made of."""
    task = joc.load_task("line")

    def loss(params, state, batch, key):
        value, (state, _) = task.loss(params, state, batch, key)
        norm = optax.tree.norm(params)
        return value + 1e-3 * norm, (state, {"data": value, "large": norm > 1.0})

    parts = (task.train, task.valid, task.test)
    return joc.Task("two terms", task.init, loss, task.evaluate, *parts, task.metrics)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A watched study in a directory, and what was told of it."""
    told, where = [], tmp_path_factory.mktemp("seen") / "study"
    study = joc.sweep(two_terms(), TRIALS, on_reading=told.append, directory=where, **SHOWN)
    return study, told


def by_hand(trial):
    """The scalars of each step, from a loop written out with optax."""
    task, row = two_terms(), TRIALS.iloc[trial]
    tx = {"sgd": optax.sgd, "adam": optax.adam}[row["optimizer"]](row["learning_rate"])
    params, model = task.init(jax.random.key(row["seed"]))
    state, rows = tx.init(params), []
    gradient = jax.jit(jax.value_and_grad(task.loss, has_aux=True))
    for step in range(LENGTH["steps"]):
        batch = take_batch(task.train, jnp.uint32(row["seed"]), jnp.int32(step), 5)
        key = jax.random.fold_in(jax.random.key(row["seed"]), step)
        (_, (model, measured)), g = gradient(params, model, batch, key)
        u, state = tx.update(g, state, params)
        norms = [optax.tree.norm(tree) for tree in (g, u, params)]
        rows.append([measured["data"], measured["large"], *norms, row["learning_rate"]])
        params = optax.apply_updates(params, u)
    return np.asarray(rows, float).reshape(-1, LENGTH["record_every"], 6).mean(axis=1)


@pytest.mark.long
@pytest.mark.parametrize("trial", only([0], [0, 3, 8]))
def test_what_is_recorded_is_that_of_a_loop_written_out(seen, trial):
    study, _ = seen
    names = ["data", "large", "gradient_norm", "update_norm", "parameter_norm", "learning_rate"]
    curves = study.curves.sel(trial=trial)
    ours = np.stack([curves[f"train_{name}"] for name in names], axis=1)
    np.testing.assert_allclose(ours, by_hand(trial), rtol=2e-4)
    last = study.trials.loc[trial, [f"train_{name}" for name in names]].to_numpy(float)
    np.testing.assert_array_equal(last, ours[-1].astype(float))


def test_what_is_recorded_ends_where_a_trial_diverges(seen):
    study, _ = seen
    bad = study.trials["status"] == "diverged"
    assert bad.sum() >= 2
    for _, row in study.trials[bad].iterrows():
        late = study.curves.sel(trial=row["trial"])
        late = late.where(late["step"] > row["first_bad_step"], drop=True)
        assert late["train_data"].isnull().all() and late["train_gradient_norm"].isnull().all()
    assert study.trials.loc[bad, "train_data"].isna().all()


@pytest.mark.long
def test_a_study_says_what_it_watches_and_comes_back(seen):
    study, _ = seen
    again = joc.Study.load(study.directory)
    assert again.manifest["watch"] == WATCH
    assert again.curves.identical(study.curves)
    plain = joc.sweep(two_terms(), TRIALS, progress=False, **LENGTH)
    assert "watch" not in plain.manifest
    assert plain.manifest["program_sha256"] != study.manifest["program_sha256"]
    assert not [n for n in plain.curves if n in {f"train_{name}" for name in WATCH}]
    replay = again.replay(3, task=two_terms())
    assert replay.identical, replay.different
    longer = again.extend(TRIALS.assign(seed=7), task=two_terms(), progress=False)
    assert longer.curves["train_gradient_norm"].sel(trial=12).notnull().all()
    confirmed = longer.confirm(2, task=two_terms(), progress=False)
    assert "train_update_norm" in confirmed.curves


def test_readings_are_the_curves_each_value_once(seen):
    study, told = seen
    values = {}
    for new in told:
        assert new and [(r.trial, r.step) for r in new] == sorted((r.trial, r.step) for r in new)
        for reading in new:
            for name, value in reading.metrics.items():
                key = (name, reading.trial, reading.step)
                assert key not in values
                values[key] = value
    known = {}
    for name, curve in study.curves.data_vars.items():
        axis = curve.dims[1]
        for trial, row in zip(study.trials["trial"], curve.to_numpy(), strict=True):
            steps = study.curves[axis].to_numpy()
            known |= {
                (name, trial, step): value
                for step, value in zip(steps, row, strict=True)
                if np.isfinite(value)
            }
    assert {key: value for key, value in values.items() if np.isfinite(value)} == known


@pytest.mark.long
def test_buckets_tell_the_numbers_of_the_whole_table():
    told = []
    trials = joc.grid(batch_size=[5, 3], optimizer="sgd", learning_rate=[1e-3, 1e-2])
    study = joc.sweep("line", trials, static=["batch_size"], steps=4, on_reading=told.extend,
                      watch=["gradient_norm"], progress=False, lanes=2)  # fmt: skip
    last = {r.trial: r.metrics["train_gradient_norm"] for r in told if r.step == 4}
    assert last == study.trials["train_gradient_norm"].to_dict()


@pytest.mark.long
def test_halving_with_watch_and_schedules():
    trials = joc.grid(optimizer=["sgd", "adadelta", "keras.adam"], learning_rate=[1e-3, 1e-2],
                      schedule="cosine")  # fmt: skip
    study = joc.sweep("line", trials, scheduler=joc.SuccessiveHalving(2, min_steps=10), **SHOWN)
    assert set(study.trials["status"]) == {"finished", "stopped"}
    rates = study.curves["train_learning_rate"].sel(step=5).to_numpy()
    assert np.isfinite(rates).all() and (rates > 0).all()
    top = study.trials["learning_rate"].to_numpy(float)
    steps = np.arange(5)
    expected = top * (0.5 * (1 + np.cos(np.pi * steps / LENGTH["steps"]))).mean()
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


@pytest.mark.long
def test_an_optimizer_without_a_rate_is_nan_beside_others_and_refused_alone():
    sign = lambda h: optax.chain(optax.trace(0.9), optax.clip(h["bound"]))
    mixed = joc.grid(optimizer=["sgd", "mine"], learning_rate=[1e-3], bound=0.1)
    mixed.loc[mixed["optimizer"] == "mine", "learning_rate"] = np.nan
    mixed.loc[mixed["optimizer"] == "sgd", "bound"] = np.nan
    study = joc.sweep("line", mixed, {"mine": sign}, **SHOWN)
    rate = study.trials["train_learning_rate"]
    assert rate[0] == np.float32(1e-3) and np.isnan(rate[1])
    with pytest.raises(ValueError, match="no optimizer has one that can be read"):
        joc.sweep("line", joc.grid(bound=[0.1]), sign, **SHOWN)


@pytest.mark.parametrize(
    "given, error, message",
    [
        ({"watch": "gradient_norm"}, TypeError, "watch must be a list of names"),
        ({"watch": ["gradients"]}, ValueError, "gradients.*none of gradient_norm, update_norm"),
        ({"watch": ["update_norm"] * 2}, ValueError, "twice"),
        ({"on_reading": 3}, TypeError, "on_reading must be a function"),
        ({"time_limit": 0}, ValueError, "time_limit must be a positive number"),
        ({"time_limit": "1h"}, ValueError, "time_limit must be a positive number"),
    ],
)
def test_what_makes_no_sense_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        joc.sweep("line", TRIALS, progress=False, **LENGTH | given)


def test_a_curve_is_of_the_loss_or_is_watched():
    task = joc.load_task("line")

    def loss(params, state, batch, key):
        value, (state, _) = task.loss(params, state, batch, key)
        return value, (state, {"gradient_norm": value})  # which is none

    own = dataclasses.replace(task, loss=loss)
    with pytest.raises(ValueError, match=r"measures \['train_gradient_norm'\].*curves of watch="):
        joc.sweep(own, TRIALS, progress=False, watch=["gradient_norm"], **LENGTH)


def test_metrics_of_a_loss_that_cannot_be_recorded_are_refused():
    task = joc.load_task("line")

    def of(measured):
        def loss(params, state, batch, key):
            value, (state, _) = task.loss(params, state, batch, key)
            return value, (state, measured)

        parts = (task.train, task.valid, task.test)
        return joc.Task("mine", task.init, loss, task.evaluate, *parts, task.metrics)

    for measured, message in [
        ({"logits": jnp.ones(3)}, r"'logits'.*train_logits.*float32 \(3,\)"),
        ({"loss": jnp.ones(())}, "train_loss is what it returns first"),
        ({"a/b": 1.0}, "without '/'"),
        ({"z": jnp.complex64(1)}, "real scalar"),
        ({"words": {"a": 1.0}}, "real scalar, and is dict"),
        ([1.0], "a dict of scalars"),
    ]:
        with pytest.raises(ValueError, match=message):
            of(measured)
    for nothing in ({}, None, ()):
        of(nothing)
    clash = joc.grid(learning_rate=[0.1], train_data=[1.0])
    rule = lambda h: optax.sgd(h["learning_rate"] * h["train_data"])
    with pytest.raises(ValueError, match="column 'train_data' has the name of what the loss"):
        joc.sweep(two_terms(), clash, rule, progress=False, **LENGTH)


@pytest.mark.long
def test_a_loss_of_a_flax_module_may_measure():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)
    make = lambda rngs: nnx.Linear(3, 2, rngs=rngs)
    per_example = optax.losses.softmax_cross_entropy_with_integer_labels

    def loss(outputs, targets):
        losses = per_example(outputs, targets)
        return losses, {"hard": losses > 1.0, "largest": losses.max()}

    kind = {"metrics": {"width": (lambda outputs, targets: jnp.ptp(outputs), "min")}}
    plain = joc.Task.from_flax(make, x, y, loss=per_example, **kind)
    task = joc.Task.from_flax(make, x, y, loss=loss, **kind)
    trials = joc.grid(optimizer="adam", learning_rate=[1e-2])
    study, same = (
        joc.sweep(t, trials, steps=6, batch_size=8, progress=False) for t in (task, plain)
    )
    assert {"train_hard", "train_largest"} <= {*study.trials}
    assert 0 <= study.trials["train_hard"][0] <= 1 < study.trials["train_largest"][0] * 10
    np.testing.assert_array_equal(study.curves["train_loss"], same.curves["train_loss"])
    fit = joc.fit(task, joc.adam(1e-2), steps=6, batch_size=8)
    np.testing.assert_allclose(fit.curves["train_hard"], study.curves["train_hard"][0], rtol=1e-6)


def test_an_error_in_on_reading_is_said_once_and_loses_nothing(seen):
    study, _ = seen
    calls = []

    def broken(new):
        calls.append(new)
        raise OSError("no network")

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        other = joc.sweep(two_terms(), TRIALS, on_reading=broken, **SHOWN)
    said = [one.message for one in said if isinstance(one.message, OnReadingWarning)]
    assert len(said) == 1 and isinstance(said[0].error, OSError) and len(calls) > 1
    assert other.events[-1]["on_reading_failed"] == len(calls)
    assert other.events[-1]["on_reading_error"] == "OSError: no network"
    assert other.curves.identical(study.curves)


@pytest.mark.long
def test_on_reading_may_end_a_sweep_which_goes_on_and_tells_the_rest(tmp_path):
    trials = joc.grid(optimizer="sgd", learning_rate=np.geomspace(1e-4, 1e-2, 40).tolist())
    settings = {"steps": 200, "batch_size": 5, "evaluate_every": 10, "lanes": 4}
    told, later = [], []

    def enough(new):
        told.extend(new)
        raise KeyboardInterrupt

    with pytest.raises(joc.SweepInterrupted, match=r"goes on with Study\.resume") as stop:
        joc.sweep("line", trials, on_reading=enough, directory=tmp_path, progress=False, **settings)
    assert stop.value.study.trials["status"].eq("unfinished").any()
    study = joc.Study.resume(tmp_path, on_reading=later.extend, progress=False)
    whole = joc.sweep("line", trials, progress=False, **settings)
    assert study.curves.identical(whole.curves)
    at = lambda readings: {(r.trial, r.step) for r in readings}
    assert at(told) | at(later) == {(t, s) for t in range(40) for s in range(10, 201, 10)}


@pytest.mark.long
def test_a_time_limit_ends_a_sweep_as_ctrl_c_does(tmp_path):
    trials = joc.grid(optimizer="sgd", learning_rate=np.geomspace(1e-4, 1e-2, 8).tolist())
    settings = {"steps": 100, "batch_size": 5, "lanes": 4, "progress": False}
    with pytest.raises(
        joc.SweepInterrupted, match=r"time limit of 0.001 s is over.*resume"
    ) as stop:
        joc.sweep("line", trials, directory=tmp_path, time_limit=0.001, **settings)
    assert stop.value.study.events[-1]["time_limit"] == 0.001
    assert joc.Study.load(tmp_path).trials["status"].eq("unfinished").all()
    with pytest.raises(joc.SweepInterrupted, match=r"time limit of 0\.002 s"):
        joc.Study.resume(tmp_path, time_limit=0.002, progress=False)
    study = joc.Study.resume(tmp_path, time_limit=3600, progress=False)
    assert study.curves.identical(joc.sweep("line", trials, **settings).curves)
    assert "time_limit" not in study.manifest
    assert np.isfinite(study.confirm(2, progress=False).trials["valid_loss"]).all()


@pytest.mark.long
def test_a_time_limit_between_two_programs_leaves_a_study(tmp_path):
    trials = joc.grid(batch_size=[5, 3], optimizer="sgd", learning_rate=[1e-3, 1e-2])
    settings = {"static": ["batch_size"], "steps": 4, "lanes": 2, "progress": False}
    with pytest.raises(joc.SweepInterrupted, match="stopped while compiling, with 0 of 4"):
        joc.sweep("line", trials, directory=tmp_path, time_limit=0.001, **settings)
    study = joc.Study.resume(tmp_path, progress=False)
    whole = joc.sweep("line", trials, **settings)
    assert study.manifest["buckets"] == whole.manifest["buckets"]
    assert study.curves.identical(whole.curves)


SIGNALS = [("it traces", signal.SIGINT), ("it compiles", signal.SIGTERM)]
SIGNALS += [("it traces", signal.SIGTERM), ("it compiles", signal.SIGINT)]


@pytest.mark.parametrize(
    "saved, when, number", [put((saved, *one), not saved)
                            for saved in (True, False) for i, one in enumerate(SIGNALS)],
)  # fmt: skip
def test_a_signal_while_compiling_leaves_a_study(tmp_path, monkeypatch, number, when, saved):
    armed = [True]

    def press(now):
        if armed[0] and now == when:
            os.kill(os.getpid(), number)
            time.sleep(0.01)  # where Python hears of it

    class Pool(ThreadPoolExecutor):
        def submit(self, *args):
            press("it compiles")
            return super().submit(*args)

    def rule(h):
        press("it traces")
        return optax.sgd(h["learning_rate"])

    monkeypatch.setattr(loading, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(compiled, "kept_programs", lambda: None)  # or nothing is compiled
    monkeypatch.setattr(compiled, "of_process", Recent)
    trials = joc.grid(learning_rate=[1e-3, 1e-2])
    settings = {"steps": 6, "batch_size": 5, "lanes": 2, "progress": False, "watch": WATCH[:1]}
    before = signal.getsignal(number)
    where = tmp_path if saved else None
    with pytest.raises(joc.SweepInterrupted, match="stopped while compiling, with 0 of 2") as stop:
        joc.sweep("line", trials, rule, directory=where, **settings)
    assert stop.value.study.trials["status"].eq("unfinished").all()
    assert signal.getsignal(number) is before
    if not saved:
        return
    assert joc.Study.load(tmp_path).events[-1]["compiling"]
    assert "goes on with Study.resume" in str(stop.value)
    with pytest.raises(joc.SweepInterrupted):
        joc.Study.resume(tmp_path, optimizer=rule, progress=False)
    armed[0] = False
    study = joc.Study.resume(tmp_path, optimizer=rule, progress=False)
    whole = joc.sweep("line", trials, rule, **settings)
    assert study.manifest == whole.manifest and study.curves.identical(whole.curves)


@pytest.mark.long
def test_the_command_line_has_the_limit(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(devices, "use_cpu_cores", lambda n=None: 1)
    out = tmp_path / "runs"
    args = [
        "--optimizers",
        "sgd",
        "--learning-rate-max",
        "0.01",
        "--learning-rates",
        "2",
        "--seeds",
        "1",
        "--epochs",
        "2",
        "--confirm",
        "0",
    ]
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", "--task", "line", *args, "--time-limit", "0.001",
                  "--out", str(out)])  # fmt: skip
    said = capsys.readouterr().err.splitlines()[-1]
    assert (
        stop.value.code == 130 and "the time limit of 0.001 s is over: stopped with 0 of 2" in said
    )
    assert f"jaxopt-course resume {out}" in said
    cli.main(["resume", str(out), "--time-limit", "3600", "--confirm", "0"])
    assert joc.Study.load(out).trials["status"].eq("finished").all()
