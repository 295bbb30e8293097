"""Streams: batches read ahead, trained on as by hand, alone or in company, once for all lanes."""

import collections
import signal
import sys
import threading
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxopt_course as joc
from jaxopt_course.problems.streams import Reading
from jaxopt_course.records import checkpoints
from jaxopt_course.sweeps import device, engine, feeding
from jaxopt_course.sweeps.feeding import Feed, Source
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.streaming import pieces_of, span_of

RANDOM = np.random.default_rng(0)
BATCH, STEPS, EVERY = 8, 22, 4
X = RANDOM.normal(size=(STEPS + 8, BATCH, 3))
Y = (X[..., 0] > 0).astype(np.int64)
PART = (X[-1], Y[-1])
BATCH_BYTES = BATCH * (3 + 1) * 4
LENGTHS = {"steps": STEPS, "evaluate_every": EVERY, "progress": False}


class Counted:
    """A source that counts what is read of it."""

    def __init__(self, x=X, y=Y):
        self.x, self.y, self.read = x, y, collections.Counter()

    def __getitem__(self, step):
        self.read[step] += 1
        return self.x[step], self.y[step]


def make(source, **settings):
    train = joc.stream(source, bytes_a_call=settings.pop("bytes_a_call", 3 * BATCH_BYTES))
    return joc.Task.from_flax(
        lambda rngs: joc.MLP(3, 4, 2, rngs=rngs), train, loss="softmax_cross_entropy",
        valid=PART, test=PART, name="streamed", **settings,
    )  # fmt: skip


def by_hand(task, tx, seed, batch=lambda s: (X[s], Y[s]), steps=STEPS):
    params, _ = task.init(jax.random.key(seed))
    state = tx.init(params)
    graph, _, rest = nnx.split(joc.MLP(3, 4, 2, rngs=nnx.Rngs(0)), nnx.Param, ...)

    def loss(params, x, y):
        outputs = nnx.merge(graph, params, rest)(x)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()

    @jax.jit
    def step(params, state, x, y):
        u, state = tx.update(jax.grad(loss)(params, x, y), state, params)
        return optax.apply_updates(params, u), state

    for s in range(steps):
        x, y = batch(s)
        params, state = step(params, state, jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.int32))
    return params


def assert_close(tree, other, rtol=1e-4):
    for x, y in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-5)


def values(study):
    return study.trials.drop(columns=["id"]).to_csv()


# How a trial is cut


@settings(max_examples=300, deadline=None)
@given(
    steps=st.integers(1, 120), evaluate=st.integers(1, 60), record=st.integers(1, 60),
    fits=st.integers(1, 40), left=st.integers(1, 9),
)  # fmt: skip
def test_calls_cover_a_trial_hold_what_fits_and_end_where_intervals_do(
    steps, evaluate, record, fits, left
):
    rhythm = Rhythm(steps, min(record, steps), min(evaluate, steps), fits=fits)
    pieces = pieces_of(rhythm)
    assert pieces.batches <= fits
    assert rhythm.unit % pieces.tick == 0
    at = intervals = into = 0
    while at < steps:
        rest = min(left, rhythm.intervals - intervals)
        span, ended = span_of(rhythm, intervals, into, rest)
        assert 0 < span.ticks <= pieces.chunk
        assert ended == span.evaluations <= min(left, pieces.evaluations)
        at += int(span.ticks) * pieces.tick
        intervals, into = intervals + ended, 0 if ended else into + int(span.ticks)
        if ended:
            assert at == min(intervals * rhythm.evaluate_every, steps)
        else:
            assert at < (intervals + 1) * rhythm.evaluate_every
    assert (at, intervals, into) == (steps, rhythm.intervals, 0)


# As by hand


@pytest.fixture(scope="module")
def counted():
    return Counted()


@pytest.fixture(scope="module")
def task(counted):
    return make(counted)


TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.1, 1e-2], seed=range(2))


@pytest.fixture(scope="module")
def study(task, counted):
    counted.read.clear()
    return joc.sweep(task, TRIALS, lanes=4, devices=jax.local_devices()[:1], **LENGTHS)


def test_a_stream_trains_as_a_loop_by_hand_and_as_fit(task, study):
    assert study.trials["status"].tolist() == ["finished"] * 8
    for trial, tx in ((1, optax.sgd(0.1)), (5, optax.adam(0.1))):
        assert_close(study.state(trial).params, by_hand(task, tx, seed=1))
    once = joc.fit(task, joc.adam(0.1), seed=1, steps=STEPS, evaluate_every=EVERY)
    curves = study.curves.isel(trial=5)
    for name in once.curves.data_vars:
        np.testing.assert_allclose(curves[name], once.curves[name], rtol=1e-4, atol=1e-6)


def test_lanes_are_at_one_step_and_share_one_reading(study, counted):
    # two groups of four lanes; each batch is read once for each, and never one too many
    assert set(counted.read) == set(range(STEPS))
    read = study.events[-1]["stream"]
    assert read["batches"] == 2 * STEPS
    assert read["bytes"] == 2 * STEPS * BATCH_BYTES
    assert read["seconds_waited"] >= 0
    said = study.manifest["buckets"][0]["task"]["stream"]
    assert said["batch_size"] == BATCH
    assert "same for all seeds" in said["reading"]
    assert study.manifest["task"]["examples"]["train"] is None


def test_how_the_reading_went_is_by_the_longest_of_the_devices(monkeypatch):
    feed = lambda batches, began, waited: types.SimpleNamespace(
        batches=batches, began=began, waited=waited
    )
    source = types.SimpleNamespace(stream=types.SimpleNamespace(batch_bytes=8))
    monkeypatch.setattr(feeding.time, "perf_counter", lambda: 15.0)
    assert feeding.said([feed(30, 5.0, 2.0), feed(10, 10.0, 4.0)], source) == {
        "batches": 40, "bytes": 320, "batches_per_second": 4.0, "seconds_waited": 3.0,
        "share_waited": 0.3,
    }  # fmt: skip


def test_who_reads_ahead_is_let_go_however_a_sweep_ends():
    closed = []
    feed = types.SimpleNamespace(close=lambda: closed.append("feed"))
    devices = [types.SimpleNamespace(feed=feed), types.SimpleNamespace(feed=None)]
    with pytest.raises(KeyboardInterrupt), device.feeding(devices, None):
        assert closed == []
        raise KeyboardInterrupt
    assert closed == ["feed"]


@pytest.mark.long
def test_a_trial_is_the_same_alone_in_company_and_in_calls_of_other_lengths(task, study):
    alone = joc.sweep(task, TRIALS.iloc[[5]], lanes=4, devices=jax.local_devices()[:1], **LENGTHS)
    assert_close(alone.state(0).params, study.state(5).params, rtol=1e-6)
    assert study.replay(5).identical
    larger = joc.sweep(make(Counted(), bytes_a_call=1 << 20), TRIALS, lanes=3, **LENGTHS)
    for name in ("train_loss", "valid_loss", "test_loss"):
        np.testing.assert_allclose(larger.trials[name], study.trials[name], rtol=1e-4)


@pytest.mark.long
def test_confirm_extend_and_plan(task, study):
    again = study.confirm(seeds=2)
    assert set(again.trials["seed"]) == {2, 3}
    best = again.trials.iloc[0]
    recipe = {"sgd": optax.sgd, "adam": optax.adam}[best["optimizer"]]
    assert_close(
        again.state(0).params, by_hand(task, recipe(best["learning_rate"]), int(best["seed"]))
    )
    more = study.extend(joc.grid(optimizer="sgd", learning_rate=[0.3], seed=[0]))
    assert len(more.trials) == 9
    assert_close(more.state(8).params, by_hand(task, optax.sgd(0.3), seed=0))
    plan = joc.plan(task, TRIALS.iloc[:2], devices=jax.local_devices()[:1], **LENGTHS)
    planned = joc.sweep(
        task, TRIALS.iloc[:2], plan=plan, devices=jax.local_devices()[:1], **LENGTHS
    )
    np.testing.assert_allclose(
        planned.trials["valid_loss"], study.trials["valid_loss"][:2], rtol=1e-4
    )


@pytest.mark.long
def test_a_scheduler_lets_trials_wait_at_their_step(task, study):
    stopped = joc.sweep(
        task, TRIALS, lanes=3, devices=jax.devices()[:2],
        scheduler=joc.ASHA(eta=2, min_steps=EVERY), **LENGTHS,
    )  # fmt: skip
    over = stopped.trials["status"] == "finished"
    assert 0 < over.sum() < 8
    for name in ("train_loss", "valid_loss"):
        np.testing.assert_allclose(stopped.trials[name][over], study.trials[name][over], rtol=1e-4)


@pytest.mark.long
def test_the_best_weights_are_those_that_are_tested(task):
    """Both parts are the same examples, so both losses are."""
    trials = joc.grid(optimizer="sgd", learning_rate=[0.1, 2.0], seed=[0])
    study = joc.sweep(
        task, trials, score="best", metric="valid_loss", devices=jax.local_devices()[:1], **LENGTHS
    )
    best = study.trials["best_valid_loss"]
    np.testing.assert_allclose(study.trials["test_loss"], best, rtol=1e-5)


def test_a_bad_trial_gives_its_lane_to_one_of_its_own_step():
    trials = joc.grid(optimizer="sgd", learning_rate=[0.1, 1e30, 0.01], seed=range(2))
    study = joc.sweep(make(Counted()), trials, lanes=2, **LENGTHS)
    assert study.trials["status"].tolist() == [
        "finished", "finished", "diverged", "diverged", "finished", "finished",
    ]  # fmt: skip


# Readings of a seed


@pytest.mark.long
def test_a_reading_a_seed_by_step_and_by_a_loader():
    batch = lambda s, seed: (X[(s + 3 * seed) % len(X)], Y[(s + 3 * seed) % len(X)])
    one = make(lambda step, seed: batch(step, seed))
    two = make(lambda seed: (batch(s, seed) for s in range(STEPS)))
    trials = joc.grid(optimizer="sgd", learning_rate=[0.1, 0.2], seed=range(2))
    for task in (one, two):
        study = joc.sweep(task, trials, lanes=2, devices=jax.local_devices()[:1], **LENGTHS)
        said = study.manifest["buckets"][0]["task"]["stream"]
        assert said["reading"] == "one a seed"
        assert said["random_access"] is (task is one)
        for trial, rate in ((1, 0.1), (2, 0.2)):
            seed = trial % 2
            want = by_hand(task, optax.sgd(rate), seed, lambda s, seed=seed: batch(s, seed))
            assert_close(study.state(trial).params, want)


@pytest.mark.long
def test_an_epoch_has_the_sources_length():
    class Sized(Counted):
        def __len__(self):
            return 5

    task = make(Sized(X[:5], Y[:5]))
    assert task.examples["train"] == 5 * BATCH
    study = joc.sweep(task, joc.grid(optimizer="sgd", learning_rate=[0.1]), epochs=2,
                      progress=False)  # fmt: skip
    assert study.manifest["budget"]["steps"] == 10
    assert study.curves["eval_step"].values.tolist() == [5, 10]
    want = by_hand(task, optax.sgd(0.1), 0, lambda s: (X[s % 5], Y[s % 5]), steps=10)
    assert_close(study.state(0).params, want)

    class Endless(Counted):
        def __len__(self):
            return sys.maxsize

    assert make(Endless()).examples["train"] is None


@pytest.mark.long
def test_batch_sizes_as_a_static_column():
    tall = lambda size: make(lambda step: (X[step, :size], Y[step, :size]))
    trials = joc.grid(optimizer="sgd", learning_rate=[0.1], size=[4, 8])
    study = joc.sweep(tall, trials, static=["size"], **LENGTHS)
    for trial, size in enumerate((4, 8)):
        task = tall(size)
        want = by_hand(task, optax.sgd(0.1), 0, lambda s, size=size: (X[s, :size], Y[s, :size]))
        assert_close(study.state(trial).params, want)


@pytest.mark.long
def test_bytes_stay_bytes_and_a_task_of_ones_own_takes_any_tree():
    images = RANDOM.integers(0, 256, (STEPS, BATCH, 3)).astype(np.uint8)
    source = lambda step: {"image": images[step], "label": Y[step]}

    def loss(params, state, batch, key):
        z = batch["image"].astype(jnp.float32) / 255 @ params["w"]
        losses = optax.softmax_cross_entropy_with_integer_labels(z, batch["label"])
        return losses.mean(), (state, {})

    evaluate = lambda params, state, data: {"loss": loss(params, state, data, None)[0]}
    task = joc.Task(
        "bytes", lambda key: ({"w": jax.random.normal(key, (3, 2))}, {}), loss, evaluate,
        joc.stream(source), source(0), source(1), {"loss": "min"}, uint8=True,
    )  # fmt: skip
    assert task.train.first["image"].dtype == np.uint8
    assert task.train.batch_bytes == BATCH * (3 + 4)
    study = joc.sweep(task, joc.grid(optimizer="sgd", learning_rate=[0.1]), **LENGTHS)
    params, _ = task.init(jax.random.key(0))
    for s in range(STEPS):
        g = jax.grad(lambda p, s=s: loss(p, {}, source(s), None)[0])(params)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, g)
    assert_close(study.state(0).params, params)


# Going on


def interrupted(task, directory, monkeypatch, after):
    saved, calls = checkpoints.save, []

    def save_and_interrupt(*arguments):
        saved(*arguments)
        calls.append(1)
        if len(calls) == after:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "SAVE_SECONDS", 0.0)
        patch.setattr(engine, "SAVE_SHARE", 1e9)
        patch.setattr(checkpoints, "save", save_and_interrupt)
        with pytest.raises(joc.SweepInterrupted):
            joc.sweep(
                task, TRIALS, lanes=4, directory=directory, devices=jax.local_devices()[:1],
                **LENGTHS,
            )  # fmt: skip


@pytest.mark.long
def test_a_sweep_cut_short_goes_on_to_the_same_bits(task, study, tmp_path, monkeypatch):
    interrupted(task, tmp_path, monkeypatch, after=4)
    again = joc.Study.resume(tmp_path, task=task, devices=jax.local_devices()[:1], progress=False)
    assert values(again) == values(study)


@pytest.mark.long
def test_what_only_goes_forward_cannot_go_on(tmp_path, monkeypatch):
    loader = lambda seed: ((X[s], Y[s]) for s in range(STEPS))
    interrupted(make(loader), tmp_path, monkeypatch, after=2)
    with pytest.raises(ValueError, match="only goes forward, so a sweep of it cannot be resumed"):
        joc.Study.resume(tmp_path, task=make(loader), devices=jax.local_devices()[:1],
                         progress=False)  # fmt: skip


# What is refused


def test_sources_that_are_none():
    for source, message in (
        (3, r"has \[step\], is iterable or a function, not int"),
        (lambda batch: batch, r"takes step, step and seed, or seed alone.*\['batch'\]"),
        (lambda seed: 3, r"a source has \[step\] or is iterable, and this is int"),
    ):
        with pytest.raises(TypeError, match=message):
            joc.stream(source)
    with pytest.raises(ValueError, match="the source has no batch 0"):
        joc.stream([])
    with pytest.raises(ValueError, match="the first axes of the stream's first batch differ"):
        joc.stream(lambda step: {"x": np.ones((3, 2)), "y": np.ones(2)})
    with pytest.raises(ValueError, match="bytes_a_call must be a whole number"):
        joc.stream([(X[0], Y[0])], bytes_a_call=0)


def test_tasks_and_budgets_that_do_not_fit_a_stream(task):
    train = joc.stream(Counted())
    linear = lambda rngs: nnx.Linear(3, 2, rngs=rngs)
    named = {"loss": "softmax_cross_entropy"}
    with pytest.raises(ValueError, match=r"cannot be split: give valid="):
        joc.Task.from_flax(linear, train, **named)
    with pytest.raises(ValueError, match=r"taken as they are: leave \['standardize'\] out"):
        joc.Task.from_flax(linear, train, **named, valid=PART, test=PART, standardize=True)
    with pytest.raises(ValueError, match="must be a pair"):
        joc.Task.from_flax(linear, joc.stream(lambda step: X[step]), **named, valid=PART, test=PART)
    with pytest.raises(ValueError, match=r"an example of valid\['inputs'\]"):
        joc.Task.from_flax(linear, train, **named, valid=(X[0][:, :2], Y[0]), test=PART)
    table = joc.grid(optimizer="sgd", learning_rate=[0.1])
    with pytest.raises(ValueError, match="no length: give evaluate_every="):
        joc.sweep(task, table, steps=4, progress=False)
    with pytest.raises(ValueError, match="no length: give steps= and evaluate_every="):
        joc.sweep(task, table, epochs=1, progress=False)
    with pytest.raises(ValueError, match="batch_size=32, and the stream's batches have 8"):
        joc.sweep(task, table, batch_size=32, **LENGTHS)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (
            (X[0][:5], Y[0][:5]),
            r"batch 6 of the stream\['inputs'\] is float64 \(5, 3\), and",
        ),
        ((Y[0][:, None].repeat(3, 1), Y[0]), r"batch 6 of the stream\['inputs'\] is int64"),
        ((X[0], Y[0] + 2**40), r"batch 6 of the stream\['targets'\] .*not fit in int32"),
        ((X[0],), "batch 6 of the stream is"),
        (IndexError("over"), "the stream has no batch 6: give steps="),
    ],
)
def test_a_batch_unlike_the_first_is_named(batch, message):
    class Odd(Counted):
        def __getitem__(self, step):
            if step == 6 and isinstance(batch, Exception):
                raise batch
            return batch if step == 6 else super().__getitem__(step)

    reading = Reading(make(Odd()).train)
    reading.chunk(0, 0, 6, 8)
    with pytest.raises(ValueError, match=message):
        reading.chunk(0, 4, 4, 4)


def test_an_error_of_the_source_ends_the_sweep_with_its_own_words():
    class Broken(Counted):
        def __getitem__(self, step):
            if step == 13:
                raise RuntimeError("the disk is gone")
            return super().__getitem__(step)

    with pytest.raises(RuntimeError, match="the disk is gone"):
        joc.sweep(make(Broken()), TRIALS.iloc[:2], **LENGTHS)


@pytest.mark.long
def test_a_generator_goes_through_once():
    generator = ((X[s], Y[s]) for s in range(STEPS))
    task = make(generator)
    one = joc.grid(optimizer="sgd", learning_rate=[0.1])
    devices = jax.local_devices()[:1]
    study = joc.sweep(task, one, devices=devices, **LENGTHS)
    assert study.trials["status"].tolist() == ["finished"]
    with pytest.raises(ValueError, match="a generator goes through once"):
        joc.sweep(task, one, devices=devices, **LENGTHS)


def test_parts_may_be_said_as_batches_are():
    """A dictionary of inputs and targets, as Grain and Hugging Face hand it out."""
    linear = lambda rngs: nnx.Linear(3, 2, rngs=rngs)
    named = {"inputs": PART[0], "targets": PART[1]}
    tasks = [
        joc.Task.from_flax(
            linear, joc.stream(Counted()), loss="softmax_cross_entropy", valid=part, test=part
        )
        for part in (PART, named)
    ]
    jax.tree.map(np.testing.assert_array_equal, tasks[0].valid, tasks[1].valid)
    with pytest.raises(ValueError, match="valid must be a pair"):
        joc.Task.from_flax(
            linear, joc.stream(Counted()), loss="softmax_cross_entropy",
            valid=named | {"more": 1}, test=PART,
        )  # fmt: skip


def test_what_is_not_read_yet_when_a_sweep_ends_is_never_read():
    going, wait, read = threading.Event(), threading.Event(), []

    def chunk(seed, first, steps, room):
        read.append(first)
        going.set()
        wait.wait(20)
        return np.zeros((room, 1))

    rhythm = Rhythm(8, 2, 2, fits=2)
    stream = types.SimpleNamespace(by_seed=False, random_access=True, batch_bytes=8)
    source = Source(stream, lambda: types.SimpleNamespace(chunk=chunk))
    feed = Feed(source, rhythm, jax.devices()[0])
    feed.look_ahead(0, 0, 4)
    assert going.wait(60)
    feed.look_ahead(0, 1, 4)  # behind the one that is read
    feed._ahead[1].add_done_callback(lambda _: wait.set())  # also where it is called off
    feed.close()
    assert read == [0]
