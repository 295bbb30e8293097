"""A trial spread over devices is the trial on one device, to rounding; where its arrays lie."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from long_form import put

import jaxopt_course as joc
from jaxopt_course.records import checkpoints
from jaxopt_course.studies.meshes import devices_of
from jaxopt_course.sweeps.memory import check_width

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(53, 6)).astype(np.float32)  # parts that two devices cannot halve
Y = RANDOM.integers(0, 3, 53).astype(np.int32)
LENGTHS = {"steps": 12, "batch_size": 8, "evaluate_every": 4, "record_every": 4, "progress": False}
SPECS = {"first": {"kernel": P(None, "model"), "bias": P("model")}, "last": P("model")}


def init(key, dtype=jnp.float32):
    keys = jax.random.split(key)
    normal = lambda key, *shape: 0.5 * jax.random.normal(key, shape, dtype)
    first = {"kernel": normal(keys[0], 6, 8), "bias": jnp.zeros(8, dtype)}
    return {"first": first, "last": normal(keys[1], 8, 3)}, {"seen": jnp.zeros((), dtype)}


def outputs(params, x, rate=0.0, key=None):
    hidden = jnp.tanh(x @ params["first"]["kernel"] + params["first"]["bias"][None])
    hidden = hidden if key is None else joc.dropout(hidden, rate, key)
    return hidden @ params["last"]


def mean_loss(logits, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()


def loss(params, model_state, batch, key, h):
    logits = outputs(params, batch["x"], h["rate"], key)
    state = {"seen": model_state["seen"] + batch["x"].mean()}
    return mean_loss(logits, batch["y"]), (state, {"size": jnp.square(logits).mean()})


def evaluate(params, model_state, part):
    logits = outputs(params, part["x"])
    right = (logits.argmax(1) == part["y"]).mean()
    return {"loss": mean_loss(logits, part["y"]), "accuracy": right}


def make(init=init, examples=slice(None, 35)):
    part = lambda rows: {"x": X[rows], "y": Y[rows]}
    parts = part(examples), part(slice(35, 44)), part(slice(44, 53))
    metrics = {"accuracy": "max", "loss": "min"}
    return joc.Task("spread", init, loss, evaluate, *parts, metrics=metrics)


TASK = make()


def mesh(**axes):
    """Of the first of the four CPU devices that tests have."""
    count = int(np.prod([*axes.values()]))
    return Mesh(np.array(jax.devices()[:count]).reshape(*axes.values()), tuple(axes))


def table(optimizer, seeds=2, rate=0.25):
    rates = {name: [value] for name, value in (("learning_rate", 0.01), ("rate", rate))}
    return joc.grid(optimizer=optimizer, **rates, seed=range(seeds))


def assert_alike(mine, theirs, rtol=1e-6):
    """The curves and what the tables say, to rounding; counts of examples to the last."""
    for name in theirs.curves.data_vars:
        x, y = mine.curves[name].values, theirs.curves[name].values
        np.testing.assert_allclose(x, y, rtol=rtol, atol=0, err_msg=name)
    same = ["trial", "id", "seed", "status", "first_bad_step", "test_accuracy"]
    assert mine.trials[same].equals(theirs.trials[same])


def assert_same_weights(mine, theirs, share):
    """Of each array, no element is off by more than this share of the largest."""
    for trial in theirs.trials["trial"]:
        pair = mine.params(trial), theirs.params(trial)
        for x, y in zip(*map(jax.tree.leaves, pair), strict=True):
            assert x.dtype == y.dtype and x.shape == y.shape
            np.testing.assert_allclose(x, y, rtol=0, atol=share * np.abs(y).max())


# ---------------------------------------------------------------- equal to one device

PAIRS = [put((("momentum", "adam"),), True), put((("muon", "adafactor"),), False)]


@pytest.fixture(scope="module", params=PAIRS, ids="+".join)
def pair(request):
    """Two optimizers in one program, whose states share slots."""
    return list(request.param)


@pytest.fixture(scope="module")
def alone(pair):
    """On one device."""
    return joc.sweep(TASK, table(pair), **LENGTHS, keep=4)


@pytest.fixture(scope="module")
def both(pair):
    """The same with batch and parameters divided, on all four devices."""
    axes = mesh(lanes=1, batch=2, model=2)
    return joc.sweep(TASK, table(pair), **LENGTHS, keep=4, mesh=axes, sharding=SPECS)


def test_batch_and_parameters_divided_are_the_trial_of_one_device(alone, both):
    assert_alike(both, alone)
    assert_same_weights(both, alone, 1e-6)


def test_the_manifest_says_what_was_spread_and_that_bits_are_not_promised(alone, both):
    manifest = json.loads(json.dumps(both.manifest))
    assert manifest["mesh"]["axes"] == {"lanes": 1, "batch": 2, "model": 2}
    assert manifest["mesh"]["sharding"] == {
        "first/bias[8]": [["model"]],
        "first/kernel[6,8]": [[], ["model"]],
        "last[8,3]": [["model"]],
    }
    assert manifest["repeatable"] is False
    assert "mesh" not in alone.manifest and "repeatable" not in alone.manifest
    assert both.events[0]["devices"] == ["+".join(map(str, jax.devices()[:4]))]
    # the program is the one of a device, on several
    assert manifest["program_sha256"] == alone.manifest["program_sha256"]
    assert both.events[0]["lowerings"] == 1


def test_the_state_is_distributed(both):
    """A trial's last state comes as it lies: each device has its part of what is divided."""
    again = both.replay(0)  # of the first, which has a momentum of that shape
    assert again.different == [] and not again.exact
    state = again.state
    kernel = state.params["first"]["kernel"]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(6, 4)}
    assert {shard.data.shape for shard in state.params["last"].addressable_shards} == {(4, 3)}
    memories = [x for x in jax.tree.leaves(state.opt_state) if x.shape == (6, 8)]
    assert memories
    assert all({one.data.shape for one in x.addressable_shards} == {(6, 4)} for x in memories)
    assert state.model_state["seen"].sharding.is_fully_replicated


@pytest.mark.long
def test_lanes_are_spread_and_the_batch_divided():
    """Two slices of two devices; an own optimizer, whose state has paths."""
    trials = joc.grid(learning_rate=[0.01, 0.03], rate=[0.0, 0.25], seed=range(3))
    optimizer = lambda h: joc.adam(h["learning_rate"])
    given = TASK, trials, optimizer
    plain = joc.sweep(*given, **LENGTHS, lanes=2)
    axes = jax.make_mesh((2, 2), ("lanes", "batch"), devices=jax.devices()[:4])
    spread = joc.sweep(*given, **LENGTHS, lanes=2, mesh=axes)
    assert_alike(spread, plain)
    assert len(spread.events[0]["devices"]) == 2 and spread.events[0]["lowerings"] == 1
    program = spread._session.programs[0].program
    text = program.segment[0].as_text()
    assert "all-reduce" in text  # of the gradients
    train = program.segment[0].input_shardings[0][2].train.values()
    assert all(x.is_fully_replicated for x in train)
    confirmed, theirs = spread.confirm(2, progress=False), plain.confirm(2, progress=False)
    assert_alike(confirmed, theirs)
    assert confirmed.manifest["mesh"] == spread.manifest["mesh"]


@pytest.mark.long
def test_to_the_last_digits_in_float64():
    """In float32 two orders of a sum differ by what an error would hide in; not here.

    (Soap is left out: the bases of nearly singular matrices make 1e-10 of it.)
    """
    with jax.enable_x64(True):
        task = make(lambda key: init(key, jnp.float64))
        trials = table(["muon", "adafactor", "adam"], seeds=1)
        plain = joc.sweep(task, trials, **LENGTHS, keep=3)
        axes = mesh(lanes=1, batch=2, model=2)
        spread = joc.sweep(task, trials, **LENGTHS, keep=3, mesh=axes, sharding=SPECS)
        assert all(x.dtype == np.float64 for x in jax.tree.leaves(spread.params(0)))
        assert_same_weights(spread, plain, 1e-12)


def rule(path, shape):
    return P(None, "model") if path == "first/kernel" else None


@pytest.mark.long
def test_static_columns_patience_and_the_best_evaluation():
    """A program a value, each spread; who stops early stops at the same step."""
    trials = joc.grid(optimizer="adam", learning_rate=[0.01, 0.5], rate=[0.25], batch_size=[4, 8])
    given = LENGTHS | {"steps": 24}
    del given["batch_size"]
    more = {"static": ["batch_size"], "patience": 2, "keep": 1}
    plain = joc.sweep(TASK, trials, **given, **more)
    axes = mesh(lanes=1, model=2)
    spread = joc.sweep(TASK, trials, **given, **more, mesh=axes, sharding=rule)
    assert (plain.trials["status"] == "converged").any()
    assert_alike(spread, plain, rtol=1e-5)  # a rate of 0.5 multiplies rounding
    assert spread.trials["scored_step"].equals(plain.trials["scored_step"])
    np.testing.assert_allclose(spread.trials["test_loss"], plain.trials["test_loss"], rtol=1e-5)


@pytest.mark.long
def test_halving_moves_trials_between_slices():
    """Who is promoted waits, and goes on in any slice; the same are."""
    trials = joc.grid(learning_rate=[0.001, 0.01, 0.03, 0.1], rate=[0.25], seed=range(2))
    given = TASK, trials, lambda h: joc.momentum(h["learning_rate"])
    more = {"lanes": 2, "scheduler": joc.SuccessiveHalving(2, 4)}
    plain = joc.sweep(*given, **LENGTHS, **more)
    axes = mesh(lanes=2, batch=1, model=2)
    spread = joc.sweep(*given, **LENGTHS, **more, mesh=axes, sharding=SPECS)
    assert (plain.trials["status"] == "stopped").any()
    assert_alike(spread, plain)
    assert spread.trials["stopped_step"].equals(plain.trials["stopped_step"])


@pytest.mark.long
def test_of_a_stream_each_device_has_its_examples():
    batches = [{"x": X[i : i + 8], "y": Y[i : i + 8]} for i in range(20)]
    part = lambda rows: {"x": X[rows], "y": Y[rows]}
    train = joc.stream(batches, bytes_a_call=3 * 8 * 7 * 4)
    parts = train, part(slice(35, 44)), part(slice(44, 53))
    task = joc.Task("stream", init, loss, evaluate, *parts, metrics={"loss": "min"})
    trials = joc.grid(learning_rate=[0.01, 0.1], rate=[0.25])
    given = task, trials, lambda h: joc.momentum(h["learning_rate"])
    plain = joc.sweep(*given, **LENGTHS)
    spread = joc.sweep(*given, **LENGTHS, mesh=mesh(lanes=1, batch=2))
    np.testing.assert_allclose(
        spread.curves["train_loss"], plain.curves["train_loss"], rtol=1e-6, atol=0
    )
    chunk = spread._session.programs[0].program.segment[0].input_shardings[0][2].train["x"]
    assert chunk.shard_shape((3, 8, 6)) == (3, 4, 6)


# ---------------------------------------------------------------- cut short


def interrupt(readings):
    if max(one.step for one in readings) >= 8:
        raise KeyboardInterrupt


@pytest.mark.long
@pytest.mark.parametrize("axes", [{"lanes": 1, "batch": 2}, {"batch": 4, "lanes": 1}])
def test_a_sweep_that_was_cut_short_goes_on_under_the_same_mesh_or_another(axes, tmp_path):
    """Of one lane, so that three trials wait in a checkpoint or have not begun."""
    given = TASK, table(["adam"], seeds=4)
    plain = joc.sweep(*given, **LENGTHS, lanes=2)
    first = mesh(lanes=1, batch=2)
    with pytest.raises(joc.SweepInterrupted):
        joc.sweep(*given, **LENGTHS, lanes=2, mesh=first, on_reading=interrupt, directory=tmp_path)
    assert checkpoints.is_unfinished(tmp_path)
    with pytest.raises(ValueError, match="2 devices are needed, here are 1: give mesh="):
        joc.Study.resume(tmp_path, task=TASK, progress=False)  # tests see one device by default
    with pytest.raises(ValueError, match=r"give mesh=.* not devices="):
        joc.Study.resume(tmp_path, task=TASK, devices=jax.devices()[:2], progress=False)
    with pytest.raises(ValueError, match="has the axes 'lanes', 'model', that of the study lanes"):
        joc.Study.resume(tmp_path, task=TASK, mesh=mesh(lanes=1, model=2), progress=False)
    with pytest.raises(ValueError, match="batch_size=8 does not divide into 3 equal parts"):
        joc.Study.resume(tmp_path, task=TASK, mesh=mesh(lanes=1, batch=3), progress=False)
    study = joc.Study.resume(tmp_path, task=TASK, mesh=mesh(**axes), progress=False)
    assert_alike(study, plain)
    assert study.manifest["mesh"]["axes"] == axes and study.manifest["repeatable"] is False
    assert {len(event["devices"][0].split("+")) for event in study.events} == {2, axes["batch"]}
    again = joc.Study.load(tmp_path).replay(3, task=TASK, mesh=mesh(**axes))
    assert not again.exact and again.different == [] and max(again.deviations.values()) < 1e-6


@pytest.mark.long
def test_a_study_on_disk_finds_its_mesh_again(tmp_path, monkeypatch):
    axes = mesh(lanes=2, model=2)
    trials = table(["momentum"], seeds=3)
    more = {"lanes": 1, "sharding": rule, "directory": tmp_path}
    study = joc.sweep(TASK, trials, **LENGTHS, **more, mesh=axes)
    loaded = joc.Study.load(tmp_path)
    with pytest.raises(ValueError, match="2 devices are needed, here are 1"):
        loaded.replay(1, task=TASK)
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:2])
    again = loaded.replay(1, task=TASK)  # of two slices one is enough
    kernel = again.state.params["first"]["kernel"]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(6, 4)}
    assert again.different == [] and max(again.deviations.values()) < 1e-6
    longer = loaded.extend(table(["momentum"], seeds=4), task=TASK, mesh=axes, progress=False)
    assert len(longer.trials) == 4 and longer.manifest["repeatable"] is False
    assert longer.manifest["mesh"] == study.manifest["mesh"]


@pytest.mark.long
def test_a_study_that_promises_bits_keeps_to_devices(tmp_path):
    joc.sweep(TASK, table(["sgd"], seeds=1), **LENGTHS, directory=tmp_path)
    with pytest.raises(ValueError, match="was made without a mesh and promises its bits"):
        joc.Study.load(tmp_path).confirm(1, task=TASK, mesh=mesh(lanes=1, batch=2))


# ---------------------------------------------------------------- refused before work starts


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"mesh": "lanes"}, TypeError, r"mesh= takes a mesh of JAX's.*not 'lanes'"),
        ({"mesh": {"batch": 2}}, ValueError, r"axes 'batch', and .* over an axis \"lanes\""),
        ({"mesh": {"lanes": 2}, "devices": True}, ValueError, "either devices= or mesh="),
        ({"mesh": {"lanes": 2}, "cluster": True}, ValueError, "either cluster= or mesh="),
        ({"sharding": SPECS}, ValueError, "sharding= .* give mesh= too"),
        ({"mesh": {"lanes": 1, "batch": 3}}, ValueError, "batch_size=8 does not divide into 3"),
        ({"mesh": {"lanes": 1, "model": 2}}, ValueError, "nothing is divided over .* 'model'"),
        (
            {"mesh": {"lanes": 1, "batch": 2}, "sharding": SPECS},
            ValueError,
            "divides 'first/bias' over 'model', which the mesh does not have.* 'batch'",
        ),
        (
            {"mesh": {"lanes": 2, "batch": 2}, "sharding": lambda path, x: P("lanes")},
            ValueError,
            r"divides 'first/bias' over \"lanes\", over which trials are spread",
        ),
        (
            {"mesh": {"lanes": 1, "model": 2}, "sharding": {**SPECS, "last": P(None, "model")}},
            ValueError,
            r"'last', whose shape is \(8, 3\): 3 does not divide into 2 equal parts",
        ),
        (
            {"mesh": {"lanes": 1, "model": 2}, "sharding": {**SPECS, "last": P(None, None, None)}},
            ValueError,
            r"for 'last', whose shape is \(8, 3\)",
        ),
        (
            {"mesh": {"lanes": 1, "model": 2}, "sharding": {"last": P("model")}},
            ValueError,
            "no tree of PartitionSpecs .* parameters are first/bias, first/kernel, last",
        ),
        (
            {"mesh": {"lanes": 1, "model": 2}, "sharding": P(P.UNCONSTRAINED)},
            TypeError,
            "must say a PartitionSpec of axes for 'first/bias'",
        ),
        (
            {"mesh": {"lanes": 1, "model": 2}, "sharding": lambda path, x: "model"},
            TypeError,
            "must say a PartitionSpec of axes for 'first/bias'.* not 'model'",
        ),
    ],
)
def test_bad_input(given, error, message, monkeypatch):
    given = dict(given)
    if isinstance(given.get("mesh"), dict):
        given["mesh"] = mesh(**given["mesh"])
    if "devices" in given:
        given["devices"] = jax.devices()[:1]
    if "cluster" in given:
        given["cluster"] = joc.Ray()
    monkeypatch.setattr("jaxopt_course.studies.sweep.compiled", None)  # nothing is compiled
    with pytest.raises(error, match=message):
        joc.sweep(TASK, table(["sgd"]), **LENGTHS, **given)


def test_under_a_mesh_that_is_in_force_no_sweep_begins():
    axes = jax.make_mesh((1, 2), ("lanes", "batch"), devices=jax.devices()[:2])
    with jax.set_mesh(axes), pytest.raises(ValueError, match="sweep outside of it, with mesh="):
        joc.sweep(TASK, table(["sgd"]), **LENGTHS, mesh=axes)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_under_a_mesh_of_somebody_else_nothing_is_trained_and_the_error_says_why(kind, tmp_path):
    """As whoever uses Flax may have set one: arrays are of all its devices there."""
    there = joc.sweep(TASK, table(["sgd"]), **LENGTHS, directory=tmp_path / "there")
    again, more = {"task": TASK, "progress": False}, table(["sgd"], rate=0.5)
    loaded = joc.Study.load(there.directory)
    axes = jax.make_mesh((2,), ("model",), axis_types=(kind,), devices=jax.devices()[:2])
    with jax.set_mesh(axes):
        for train in (
            lambda: joc.sweep(TASK, table(["sgd"]), **LENGTHS, directory=tmp_path / "new"),
            lambda: joc.plan(TASK, table(["sgd"]), **LENGTHS),
            lambda: there.confirm(1, progress=False),
            lambda: there.extend(more, progress=False),
            lambda: there.replay(0),
            lambda: loaded.confirm(1, **again),
            lambda: loaded.extend(more, **again),
            lambda: loaded.train_on(steps=24, **again),
            lambda: loaded.replay(0, **again),
            lambda: loaded.seconds_per_step(task=TASK),
        ):
            with pytest.raises(ValueError, match=r"a mesh with the axes .model. is in force"):
                train()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["there"]
    assert not (tmp_path / "there" / "confirm").exists()


def test_a_sharding_of_another_mesh_is_refused_and_one_of_this_is_its_spec():
    axes, other = mesh(lanes=1, model=2), mesh(lanes=1, model=4)
    session_of = lambda sharding: devices_of(None, axes, sharding, buckets())
    with pytest.raises(ValueError, match=r"another mesh, \(lanes: 1, model: 4\)"):
        session_of({"first": NamedSharding(other, P("model")), "last": None})
    (one,) = session_of({"first": None, "last": NamedSharding(axes, P("model"))})
    specs = one.specs(jax.eval_shape(init, jax.random.key(0))[0])
    assert specs == {"first": {"kernel": P(), "bias": P()}, "last": P("model")}


def buckets():
    from jaxopt_course.tables.buckets import split

    return split(TASK, table(["sgd"]), None, None, steps=12, batch_size=8)


def test_what_a_device_holds_of_a_lane_decides_how_many_fit(monkeypatch):
    """Divided leaves count in part: 8 lanes of halves fit where 8 of wholes do not."""
    monkeypatch.setattr("jaxopt_course.studies.compiled.memory_limit", lambda devices: 8 * 500)
    trials = table(["adam"], seeds=1)
    with pytest.raises(ValueError, match=r"8 lanes take .* which is 4 lanes"):
        joc.sweep(TASK, trials, **LENGTHS, lanes=8)  # 3 x 80 numbers and some
    seen = []
    spy = lambda lanes, size, limit: (seen.append(size), check_width(lanes, size, limit))
    monkeypatch.setattr("jaxopt_course.studies.compiled.check_width", spy)
    axes = mesh(lanes=1, model=2)
    with pytest.raises(ValueError, match=r"16 lanes take .* which is 8 lanes"):
        joc.sweep(TASK, trials, **LENGTHS, lanes=16, mesh=axes, sharding=SPECS)
    assert seen == [3 * 4 * 40 + 4 * 4]  # parameters and two memories; four numbers
