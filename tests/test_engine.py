"""The sweep engine against a plain loop of ``fit``, and its bookkeeping at the edges."""

import dataclasses
import os
import signal
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from long_form import every

import jaxopt_course as joc
from jaxopt_course.problems.order import shuffled
from jaxopt_course.sweeps import engine
from jaxopt_course.sweeps.device import Device
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.snapshot import no_results


def linear_task(n=21, name="linear", poison=None):
    """Least squares with three weights; seeds set the start.  ``poison``: a loss that turns NaN."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    y = x @ np.array([1.0, -2.0, 0.5], np.float32)
    data = {"x": x, "y": y}

    def init(key):
        return {"w": jax.random.normal(key, (3,))}, {"seen": jnp.zeros((), jnp.int32)}

    def loss(params, model_state, batch, key):
        error = batch["x"] @ params["w"] - batch["y"]
        value = jnp.mean(error**2)
        if poison is not None:
            value = jnp.where(model_state["seen"] >= poison, jnp.nan, value)
        return value, ({"seen": model_state["seen"] + 1}, {})

    def evaluate(params, model_state, data):
        return {"loss": jnp.mean((data["x"] @ params["w"] - data["y"]) ** 2)}

    return joc.Task(
        name=name, init=init, loss=loss, evaluate=evaluate,
        train=data, valid=data, test=data, metrics={"loss": "min"}, split_seed=None,
    )  # fmt: skip


def sweep(trials, optimizer=None, task=None, **settings):
    one = jax.devices()[:1]
    settings = {"batch_size": 7, "lanes": 4, "progress": False, "devices": one} | settings
    return joc.sweep(task or linear_task(), trials, optimizer, **settings)


VECTORS = [name for name in joc.OPTIMIZERS if name != "muon"]  # a line has no matrix


@pytest.mark.parametrize(
    "name, batch_size, recipes",
    [
        pytest.param("digits", 64, ["sgd", "adam", "radam"], marks=pytest.mark.long),
        ("line", 5, ["rmsprop", "lion", "adafactor", "schedule_free_adamw"]),
        pytest.param("line", 5, VECTORS, marks=pytest.mark.long),
    ],
)
def test_equals_a_loop_of_fit(name, batch_size, recipes):
    """20 steps: a lane agrees with the plain loop to rounding."""
    task = joc.load_task(name)
    trials = joc.grid(optimizer=recipes, learning_rate=0.01)
    trials["seed"] = range(len(trials))
    budget = {"steps": 20, "batch_size": batch_size, "record_every": 5, "evaluate_every": 10}
    study = sweep(trials, task=task, **budget)
    for row in trials.itertuples():
        recipe = joc.OPTIMIZERS[row.optimizer]
        alone = joc.fit(task, recipe(row.learning_rate), seed=row.seed, **budget)
        for name in alone.curves:  # the others of the study may have raw ones
            mine = study.curves[name].sel(trial=row.Index)
            np.testing.assert_allclose(mine, alone.curves[name], rtol=1e-5, atol=1e-6)
        for name, value in alone.metrics.items():
            assert study.trials[name][row.Index] == pytest.approx(value, rel=1e-5, abs=1e-6)


@pytest.mark.long
def test_an_sgd_lane_is_sgd_written_by_hand():
    """The gradient is a mean within a lane and never over lanes; float64 NumPy as the judge."""
    task = linear_task()
    study = sweep(joc.grid(learning_rate=[0.05, 0.1], seed=[0, 1]), "sgd", steps=6)
    for row in study.trials.itertuples():
        w = np.asarray(task.init(jax.random.key(row.seed))[0]["w"], np.float64)
        losses = []
        for step in range(6):
            positions = jnp.arange(7) + 7 * (step % 3)
            order = shuffled(jnp.uint32(row.seed), jnp.int32(step // 3), positions, 21)
            x, y = (np.asarray(task.train[k], np.float64)[np.asarray(order)] for k in "xy")
            error = x @ w - y
            losses.append(np.mean(error**2))
            w -= row.learning_rate * 2 * x.T @ error / 7
        means = [np.mean(losses[:3]), np.mean(losses[3:])]
        np.testing.assert_allclose(study.curves["train_loss"][row.Index], means, rtol=1e-5)


def test_seeds_really_differ():
    study = sweep(joc.grid(learning_rate=0.01, seed=range(8)), "sgd", steps=3, record_every=1)
    for step in range(3):
        assert study.curves["train_loss"][:, step].to_series().nunique() == 8


def test_no_trial_is_dropped_where_lanes_do_not_divide():
    study = sweep(joc.grid(learning_rate=np.geomspace(1e-3, 0.1, 7)), "sgd", epochs=4)
    assert list(study.trials["trial"]) == list(range(7))
    assert (study.trials["status"] == "finished").all()
    assert np.isfinite(study.curves["valid_loss"]).all()
    assert study.trials["valid_loss"].is_monotonic_decreasing


@pytest.mark.parametrize(
    "steps, record, evaluate", every(2, [(10, 3, 4), (7, 5, 2), (5, 9, 9), (11, 1, 3)])
)
def test_records_and_evaluations_need_not_divide_the_budget(steps, record, evaluate):
    task = linear_task()
    settings = {"steps": steps, "record_every": record, "evaluate_every": evaluate}
    study = sweep(joc.grid(learning_rate=[0.02, 0.1]), "momentum", task, **settings)
    for row, rate in enumerate([0.02, 0.1]):
        alone = joc.fit(task, joc.momentum(rate), batch_size=7, **settings)
        for name in ("train_loss", "valid_loss"):
            mine = study.curves[name].isel(trial=row, drop=True)
            axis = mine.dims[0]
            assert list(mine[axis]) == list(alone.curves[axis])
            np.testing.assert_allclose(mine, alone.curves[name], rtol=1e-5)
        assert study.trials["test_loss"][row] == pytest.approx(alone.metrics["test_loss"], rel=1e-5)


def test_a_thousand_learning_rates_are_one_lowering():
    """By JAX's own count: lowered once, compiled once for both devices."""
    events = []

    def listen(event, seconds, fun_name="", **_):
        events.append((event.rsplit("/", 1)[-1], fun_name))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        trials = joc.grid(learning_rate=np.geomspace(1e-4, 1, 1000))
        study = sweep(trials, "adam", epochs=1, lanes=32, devices=jax.devices()[:2])
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert events.count(("jaxpr_to_mlir_module_duration", "jit(segment)")) == 1
    assert events.count(("backend_compile_duration", "jit(segment)")) == 1
    assert study.events[-1]["lowerings"] == 1
    assert study.trials["valid_loss"].nunique() > 900


class TestDivergence:
    def test_the_first_bad_step_is_found(self):
        """The loss of step 5 is NaN: five updates were done before it."""
        study = sweep(joc.grid(learning_rate=0.01, seed=range(6)), "sgd", linear_task(poison=5),
                      steps=12, record_every=2, evaluate_every=4)  # fmt: skip
        assert (study.trials["status"] == "diverged").all()
        assert (study.trials["first_bad_step"] == 5).all()
        finite = np.isfinite(study.curves["train_loss"].values)
        assert (finite == (study.curves["step"].values <= 5)).all()
        assert (np.isfinite(study.curves["valid_loss"].values).sum(axis=1) == 1).all()

    def test_parameters_that_only_the_last_update_ruins(self):
        study = sweep(joc.grid(learning_rate=[1e38, 0.01]), "sgd", steps=1)
        assert list(study.trials["status"]) == ["diverged", "finished"]
        assert study.trials["first_bad_step"][0] == 1
        assert np.isnan(study.trials["test_loss"][0])

    @pytest.mark.parametrize("share", [0.1, 1.0])
    def test_a_sweep_completes_whatever_diverges(self, share):
        rates = np.where(np.arange(20) < 20 * share, 1e30, 0.01)
        study = sweep(joc.grid(learning_rate=rates, seed=0).assign(seed=range(20)), "sgd", epochs=8)
        diverged = study.trials["status"] == "diverged"
        assert diverged.sum() == 20 * share
        scores = study.trials.loc[diverged, ["train_loss", "valid_loss", "test_loss"]]
        assert scores.isna().all(axis=None)
        if share < 1:
            assert study.best()["learning_rate"] == 0.01
        else:
            with pytest.raises(ValueError, match="no configuration finished"):
                study.best()

    def test_a_loss_above_the_threshold_is_divergence(self):
        """The same trials without the threshold say when the loss first exceeds it."""
        trials = joc.grid(learning_rate=[0.01, 1.5], seed=[0, 1])
        settings = {"steps": 12, "record_every": 1, "evaluate_every": 3}
        losses = sweep(trials, "sgd", **settings).curves["train_loss"].values
        limit = float(losses[:, 0].max() * 10)
        study = sweep(trials, "sgd", **settings, diverges_above=limit)
        assert list(study.trials["status"]) == ["finished"] * 2 + ["diverged"] * 2
        for row in (2, 3):
            first = int(np.argmax(losses[row] > limit))  # updates done before that loss
            assert 0 < first == study.trials["first_bad_step"][row]
            assert study.trials["last_finite_loss"][row] == losses[row, first - 1]
            kept = study.curves["train_loss"].values[row]
            assert (kept[:first] == losses[row, :first]).all() and np.isnan(kept[first:]).all()
        assert study.best()["learning_rate"] == 0.01

    @pytest.mark.parametrize("limit", [0, -1.0, np.nan])
    def test_a_threshold_that_is_none(self, limit):
        with pytest.raises(ValueError, match="diverges_above must be a positive number"):
            sweep(joc.grid(learning_rate=0.01), "sgd", steps=3, diverges_above=limit)

    def test_freed_lanes_are_seated_again(self):
        """Of 40 trials 36 diverge at once: their lanes must not wait for the other four."""
        rates = [0.01] * 4 + [1e30] * 36
        trials = joc.grid(learning_rate=rates).assign(seed=range(40))
        study = sweep(pd.DataFrame(trials), "sgd", epochs=200)
        assert (study.trials["status"] == "diverged").sum() == 36
        lane_steps = study.events[-1]["trial_steps"] / study.events[-1]["occupancy"]
        assert lane_steps < 40 * 600 / 2


@pytest.mark.long
@pytest.mark.usefixtures("optimized_here")  # bits
def test_optimizers_share_a_program_and_keep_to_themselves():
    """A trial is the same beside other optimizers' trials, whatever the order of the rows."""
    both = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.01, 0.1], seed=range(3))
    study = sweep(both, epochs=3)
    mixed = both.sample(frac=1, random_state=1, ignore_index=True)
    again = sweep(mixed, epochs=3, devices=jax.devices()[:3])
    one, other = (s.trials.set_index("id")["valid_loss"].sort_index() for s in (study, again))
    pd.testing.assert_series_equal(one, other, check_exact=True)
    assert study.events[-1]["lowerings"] == 1
    for name in ("sgd", "adam"):
        alone = sweep(both[both["optimizer"] == name], epochs=3)
        rows = study.trials["optimizer"] == name
        np.testing.assert_allclose(
            study.trials.loc[rows, "valid_loss"], alone.trials["valid_loss"], rtol=1e-5
        )


@pytest.mark.long
def test_own_functions_of_the_row():
    trials = joc.grid(learning_rate=[0.01, 0.1], b1=[0.8, 0.9])
    mine = sweep(trials, lambda h: joc.adam(h["learning_rate"], b1=h["b1"]), epochs=3)
    theirs = sweep(trials, lambda h: optax.adam(h["learning_rate"], b1=h["b1"]), epochs=3)
    np.testing.assert_allclose(mine.curves["valid_loss"], theirs.curves["valid_loss"], rtol=2e-4)
    named = sweep(
        pd.concat([trials.assign(optimizer="mine"), joc.grid(optimizer="sgd", learning_rate=0.1)]),
        {"mine": lambda h: joc.adam(h["learning_rate"], b1=h["b1"])},
        epochs=3,
    )
    np.testing.assert_allclose(named.curves["valid_loss"][:4], mine.curves["valid_loss"], rtol=1e-5)
    assert named.trials["optimizer"].tolist() == ["mine"] * 4 + ["sgd"]


def test_an_optimizer_may_look_at_the_loss():
    """Polyak: learning rate min(loss / |g|², maximum); full batch, float64 NumPy as judge."""
    task = linear_task()
    trials = joc.grid(maximum=[0.05, 1.0])
    polyak = lambda h: optax.polyak_sgd(max_learning_rate=h["maximum"])
    study = sweep(trials, polyak, task, steps=5, batch_size=21, record_every=1)
    x, y = (np.asarray(task.train[k], np.float64) for k in "xy")
    for row, maximum in enumerate([0.05, 1.0]):
        w, losses = np.asarray(task.init(jax.random.key(0))[0]["w"], np.float64), []
        for _ in range(5):
            error = x @ w - y
            g, value = 2 * x.T @ error / 21, np.mean(error**2)
            losses.append(value)
            w -= min(value / (g @ g), maximum) * g
        np.testing.assert_allclose(study.curves["train_loss"][row], losses, rtol=1e-4)


def test_integers_and_booleans_reach_the_function_as_they_are():
    seen = {}

    def optimizer(h):
        seen.update({name: h[name].dtype for name in h})
        return joc.sgd(jnp.where(h["slow"], 0.01, 0.1) / h["k"])

    sweep(joc.grid(k=[1, 2], slow=[True, False]), optimizer, epochs=1)
    assert seen == {"k": jnp.int32, "slow": jnp.bool_}


def test_the_next_segment_is_dispatched_before_the_last_one_is_read(monkeypatch):
    waiting, read = [], engine._Loop.read

    def count(self):
        waiting.append(max(len(device.calls) for device in self.devices))
        read(self)

    monkeypatch.setattr(engine._Loop, "read", count)
    sweep(joc.grid(learning_rate=[0.01] * 4).assign(seed=range(4)), "sgd", epochs=64)
    assert waiting[0] == 2
    assert waiting.count(2) >= len(waiting) - 1  # only the last call has nobody behind it


def test_keys_do_not_belong_in_the_state():
    task = linear_task()
    keyed = joc.Task(
        name="keyed", init=lambda key: ({"w": jnp.zeros(3)}, {"key": key}),
        loss=lambda p, m, b, k: (jnp.mean((b["x"] @ p["w"] - b["y"]) ** 2), (m, {})),
        evaluate=task.evaluate, train=task.train, valid=task.valid, test=task.test,
        metrics={"loss": "min"},
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"model_state.*is a PRNG key"):
        sweep(joc.grid(learning_rate=0.1), "sgd", keyed, epochs=1)


@pytest.fixture
def sigint():
    """Sets what SIGINT does, whatever the parent of this process has left; puts that back."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, before)


def interrupt_once_a_trial_is_over(monkeypatch):
    """Send SIGINT to this process after the first reading that ends a trial; the list of those."""
    read, sent = engine._Loop.read, []

    def read_and_interrupt(self):
        read(self)
        if not sent and self.results.over.any():
            sent.append(int(self.results.over.sum()))
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(engine._Loop, "read", read_and_interrupt)
    return sent


def test_ctrl_c_keeps_what_is_over(tmp_path, monkeypatch, sigint):
    def handler(*_):
        raise AssertionError("not during a sweep")

    sigint(handler)
    trials = joc.grid(learning_rate=np.geomspace(1e-4, 0.1, 4000))
    sent = interrupt_once_a_trial_is_over(monkeypatch)
    with pytest.raises(joc.SweepInterrupted, match="of 4000 trials over") as stop:
        sweep(trials, "sgd", epochs=40, directory=tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler
    study = joc.Study.load(tmp_path)
    unfinished = study.trials["status"] == "unfinished"
    in_flight = 4 * engine.IN_FLIGHT  # lanes; a trial that goes over frees its lane for one more
    assert sent[0] <= (~unfinished).sum() <= sent[0] + in_flight
    assert study.trials.loc[unfinished, "valid_loss"].isna().all()
    assert study.trials.loc[~unfinished, "valid_loss"].notna().all()
    pd.testing.assert_frame_equal(study.trials, stop.value.study.trials)


def test_ctrl_c_is_not_ours_where_it_was_ignored(monkeypatch, sigint):
    """A shell script starts its background jobs so: its Ctrl-C is not meant for them."""
    sigint(signal.SIG_IGN)
    sent = interrupt_once_a_trial_is_over(monkeypatch)
    study = sweep(joc.grid(learning_rate=[0.01] * 9).assign(seed=range(9)), "sgd", epochs=40)
    assert sent and (study.trials["status"] == "finished").all()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_what_diverges_is_beyond_the_bound_on_either_side_and_the_first_of_equals_is_best():
    """The loss is w, which goes from 0 down by the learning rate: 0, -η, -2η."""
    task = dataclasses.replace(
        linear_task(),
        init=lambda key: ({"w": jnp.zeros(())}, {}),
        loss=lambda params, model_state, batch, key: (params["w"], (model_state, {})),
        evaluate=lambda params, model_state, data: {"loss": params["w"]},
    )
    rates = joc.grid(learning_rate=[0.0, 0.5, 1.0], seed=[0])
    budget = {"steps": 2, "record_every": 1, "evaluate_every": 1}
    rows = sweep(rates, "sgd", task, diverges_above=1.0, **budget).trials
    assert rows["status"].tolist() == ["finished", "finished", "diverged"]  # -1 is on the bound
    assert rows["first_bad_step"].tolist() == [pd.NA, pd.NA, 2]
    assert rows["best_step"][0] == 1  # of two losses of 0


@pytest.mark.parametrize(
    "pace, bad, intervals",
    [
        (1.0, 0, 10),  # an eighth of a trial, so that the lane of a bad one is soon free ...
        (0.001, 0, 30),  # ... but no less than 0.03 s ...
        (0.001, 3, 10),  # ... unless more than an eighth of the trials were bad
    ],
)
def test_how_long_a_call_takes(pace, bad, intervals):
    results = no_results(16, Rhythm(80, 1, 1), ["loss"])
    results.finished[:] = True
    results.first_bad[:bad] = 5
    device = types.SimpleNamespace(pace=pace)
    assert Device.aim(device, Rhythm(80, 1, 1), 100.0, results, alone=False) == intervals
