"""Weights go in and come out: kept, read without a second training, given, trained on, joined."""

import dataclasses
import json
import shutil
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from flax import linen, nnx
from helpers import reuse
from sweep_to_kill import make_task

import jaxopt_course as joc
from jaxopt_course.records import checkpoints, safetensors, store, weights
from jaxopt_course.studies import keeping, states
from jaxopt_course.studies.given_weights import fit_weights
from jaxopt_course.studies.weight_files import read_weights
from jaxopt_course.sweeps import engine
from jaxopt_course.sweeps.keeping import Best, unstacked
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.snapshot import Waiting, no_results

TRIALS = joc.grid(optimizer=["momentum", "adam"], learning_rate=[0.01, 0.1, 1e30], seed=range(2))
SETTINGS = {"batch_size": 3, "evaluate_every": 10, "lanes": 4, "progress": False}


def bits(tree):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


def sweep(trials=TRIALS, steps=30, **settings):
    settings = {"devices": jax.devices()[:1]} | SETTINGS | settings
    return joc.sweep(make_task(), trials, steps=steps, **settings)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """An own task with a bfloat16 weight and a counter as its state; two configurations kept."""
    return sweep(keep=2, directory=tmp_path_factory.mktemp("runs") / "kept")


@pytest.fixture
def again(study, monkeypatch):
    """Sweeps of the same buckets take the study's programs."""
    reuse(monkeypatch, study)


# ---------------------------------------------------------------- keep


def test_the_best_configurations_stay_with_all_their_seeds(study):
    ranked = study.configurations().head(2)
    best = study.trials.merge(ranked[["optimizer", "learning_rate"]])["trial"]
    assert sorted(study.kept) == sorted(best) and len(study.kept) == 4
    assert (
        study.trials.set_index("trial")["learning_rate"][study.kept[0]]
        == ranked["learning_rate"].iloc[0]
    )
    there = {file.name for file in (study.directory / "weights").iterdir()}
    assert there == {entry["file"] for entry in study.manifest["weights"]["trials"]}


def test_what_is_kept_are_the_bits_of_the_training(study):
    for trial in study.kept[:2]:
        state = study.replay(trial).state
        assert jax.tree.structure(study.state(trial)) == jax.tree.structure(state)
        assert bits(study.state(trial)) == bits(state)
        assert (
            bits(study.params(trial)) == bits(study.params(trial, raw=True)) == bits(state.params)
        )


def test_they_are_read_without_the_code_and_at_once(study):
    loaded = joc.Study.load(study.directory)
    trial = loaded.kept[0]
    loaded.params(trial)
    start = time.process_time()
    params = loaded.params(trial)
    assert time.process_time() - start < 0.2
    assert params.keys() == {"w", "b"} and params["w"].dtype == jnp.bfloat16
    assert bits(params) == bits(study.params(trial))
    other = next(i for i in study.trials["trial"] if i not in study.kept)
    with pytest.raises(ValueError, match="give it again: task=") as caught:
        loaded.params(other)
    assert f"not of {other}" in caught.value.__notes__[0]
    state = loaded.state(trial, task=make_task())
    assert bits(state) == bits(study.state(trial))


def test_who_is_not_kept_is_trained_again(study):
    other = next(i for i in study.trials.query("status == 'finished'")["trial"]
                 if i not in study.kept)  # fmt: skip
    assert bits(study.params(other)) == bits(study.replay(other).state.params)
    with pytest.raises(ValueError, match="there is no trial 99"):
        study.params(99)


def test_nothing_is_kept_unless_asked(again, tmp_path):
    plain = sweep(directory=tmp_path / "plain")
    assert not (plain.directory / "weights").exists() and plain.kept == []
    assert not {"keep", "weights", "start"} & plain.manifest.keys()


def test_in_memory_and_then_saved(again, study, tmp_path):
    plain = sweep(keep=2)
    assert bits(plain.params(study.kept[0])) == bits(study.params(study.kept[0]))
    saved = plain.save(tmp_path / "saved")
    assert listing(saved.directory) == listing(study.directory)
    moved = joc.Study.load(study.directory).save(tmp_path / "moved")
    assert listing(moved.directory) == listing(study.directory)


def listing(directory):
    return {file.name: file.read_bytes() for file in (directory / "weights").iterdir()}


def test_several_devices_keep_the_same_bits(study, tmp_path):
    two = sweep(keep=2, directory=tmp_path / "two", devices=jax.devices()[:2])
    assert listing(two.directory) == listing(study.directory)


def test_a_sweep_that_was_cut_short_keeps_the_same(study, tmp_path, monkeypatch):
    reuse(monkeypatch, study)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "SAVE_SECONDS", 0.0)
        patch.setattr(engine, "SAVE_SHARE", 1e9)
        patch.setattr(engine, "SEGMENT_SECONDS", 1e-9)
        patch.setattr(checkpoints, "forget", lambda _: None)
        patch.setattr(store, "write", lambda *_: (_ for _ in ()).throw(OSError("cut")))
        with pytest.raises(OSError, match="cut"):
            sweep(keep=2, directory=tmp_path / "cut")
    again = joc.Study.resume(tmp_path / "cut", task=make_task(), progress=False)
    assert listing(again.directory) == listing(study.directory)
    assert again.manifest["weights"] == study.manifest["weights"]


def test_a_scheduler_and_an_extension(again, study, tmp_path):
    judged = sweep(steps=30, keep=1, scheduler=joc.SuccessiveHalving(), directory=tmp_path / "a")
    assert set(judged.trials.set_index("trial")["status"][judged.kept]) == {"finished"}
    shutil.copytree(study.directory, tmp_path / "b")
    known = joc.Study.load(tmp_path / "b")
    more = joc.grid(optimizer="adam", learning_rate=[0.2, 0.3], seed=range(2))
    longer = known.extend(more, task=make_task(), progress=False, exact=False)
    best = keeping.best_trials(longer.trials, longer.hyperparameters, longer._metric(None), 2)
    assert longer.kept == best
    there = set(listing(longer.directory))
    assert there == {entry["file"] for entry in longer.manifest["weights"]["trials"]}


@pytest.mark.long
def test_buckets_are_compared_with_each_other():
    trials = joc.grid(batch_size=[2, 4], optimizer="adam", learning_rate=[0.01, 0.1], seed=range(2))
    study = joc.sweep(make_task(), trials, steps=20, evaluate_every=10, lanes=2, keep=2,
                      static=["batch_size"], progress=False, devices=jax.devices()[:1])  # fmt: skip
    metric = study._metric(None)
    assert study.kept == keeping.best_trials(study.trials, study.hyperparameters, metric, 2)
    assert bits(study.params(study.kept[-1])) == bits(study.replay(study.kept[-1]).state.params)


@pytest.mark.parametrize("keep", [-1, 1.5, True, "best", None])
def test_keep_is_a_number(keep):
    with pytest.raises(ValueError, match="keep must be a number of configurations"):
        sweep(keep=keep)


def test_a_full_disk_is_said_beforehand(again, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(OSError, match=r"keep= needs .* and 9 B are free"):
        sweep(keep=2, directory=tmp_path / "full")


def test_memory_is_bounded_and_the_best_are_found():
    """Random tables and orders of ending, against a search among all states."""
    for case in range(200):
        random = np.random.default_rng(case)
        count, seeds, keep = (
            random.integers(1, 12),
            random.integers(1, 5),
            int(random.integers(1, 4)),
        )
        configurations = random.permutation(np.repeat(np.arange(count), seeds))
        best = Best(keep, configurations, room=4)
        results = no_results(len(configurations), Rhythm(2, 1, 1), ["loss"])
        score = random.integers(0, 4, len(configurations)).astype(float)
        most = 0
        for row in random.permutation(len(configurations)).tolist():
            best.take(row, np.float32(row))
            bad = random.random() < 0.1
            results.first_bad[row] = 1 if bad else -1
            results.finished[row] = not bad
            best.look(results, score.__getitem__)
            most = max(most, len(best.states))
        assert most <= best.room + keep * seeds + 1
        means = {
            who: score[configurations == who].mean()
            for who in range(count)
            if results.finished[configurations == who].all()
        }
        first = {who: int(np.argmax(configurations == who)) for who in means}
        right = sorted(means, key=lambda who: (means[who], first[who]))[:keep]
        held = {int(configurations[row]) for row in best.states}
        assert all(row == state for row, state in best.states.items())
        if best.room >= len(configurations):  # nobody had to be let go before its time
            assert held == set(right)


@pytest.mark.parametrize("leaves", [1, 3])
def test_states_of_another_number_of_leaves_are_nobodys(leaves):
    lanes = (np.zeros((4, 2)), np.zeros(4))
    waiting = Waiting(np.arange(2), np.zeros(2, np.int32), [np.zeros(2)] * leaves)
    with pytest.raises(ValueError):
        unstacked(waiting, lanes)
    assert unstacked(waiting._replace(rows=np.arange(0), leaves=[]), lanes) == {}


# ---------------------------------------------------------------- files


@pytest.fixture
def copied(study, tmp_path):
    shutil.copytree(study.directory, tmp_path / "copy")
    trial = study.kept[0]
    (entry,) = [e for e in study.manifest["weights"]["trials"] if e["trial"] == trial]
    return tmp_path / "copy", trial, tmp_path / "copy" / "weights" / entry["file"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.unlink(), "is missing: the weights of trial"),
        (lambda f: f.write_bytes(f.read_bytes()[:-1]), "is damaged: .* bytes, not"),
        (lambda f: f.write_bytes(f.read_bytes()[:-1] + b"x"), "damaged or was edited"),
        (lambda f: (f.rename(f.parent / "x"), f.symlink_to(f.parent / "x")), "a symbolic link"),
        (lambda f: (shutil.rmtree(f.parent), f.parent.symlink_to("/tmp")), "no folder of a study"),
    ],
)  # fmt: skip
def test_damage_is_said_in_a_sentence(copied, spoil, message):
    directory, trial, file = copied
    spoil(file)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        joc.Study.load(directory).params(trial)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a.safetensors", 3, None])
def test_a_manifest_names_no_file_elsewhere(copied, name):
    directory, _, _ = copied
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["weights"]["trials"][0]["file"] = name
    (directory / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="is damaged: weights"):
        joc.Study.load(directory)


@pytest.mark.parametrize("value", [-1, 1.5, True, "3", None])
@pytest.mark.parametrize("name", ["trial", "bytes", "step"])
def test_one_odd_number_of_kept_weights_is_damage(name, value):
    entry = {"trial": 0, "bytes": 8, "step": 3, "file": f"000000-{'0' * 16}.safetensors"}
    entry["sha256"] = "0" * 64
    weights.check({"trials": [entry]}, 1, "manifest.json")
    with pytest.raises(ValueError, match=r"manifest\.json is damaged: weights"):
        weights.check({"trials": [entry | {name: value}]}, 1, "manifest.json")


@pytest.mark.long
def test_what_no_manifest_names_goes_and_other_files_stay(copied, again):
    directory, _, file = copied
    mine, left = file.parent / "notes.txt", file.parent / f"000099-{'0' * 16}.safetensors"
    mine.write_text("mine")
    left.write_bytes(b"of a sweep that was killed")
    loaded = joc.Study.load(directory)
    loaded.report()
    assert mine.exists() and not left.exists() and file.exists()
    plain = joc.Study.load(directory)
    plain = dataclasses.replace(
        plain, manifest={k: v for k, v in plain.manifest.items() if k not in ("weights", "keep")}
    )
    plain.save(directory, overwrite=True)
    assert [one.name for one in file.parent.iterdir()] == ["notes.txt"]


def test_what_somebody_else_has_removed_meanwhile_is_gone_as_well(copied, monkeypatch):
    """Whoever lists a folder may list what another process is about to remove."""
    directory, _, file = copied
    gone = file.parent / f"000099-{'0' * 16}.safetensors"
    listed, manifest = Path.iterdir, joc.Study.load(directory).manifest
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([*listed(folder), gone]))
    weights.sweep(directory, manifest)
    assert file.exists()


def test_a_folder_of_somebody_else_is_not_touched(again, tmp_path):
    first = sweep(directory=tmp_path / "study")
    listed = json.loads((first.directory / ".study.json").read_text())
    listed["names"].remove("weights")
    (first.directory / ".study.json").write_text(json.dumps(listed))
    (first.directory / "weights").mkdir()
    (first.directory / "weights" / "mine").write_text("x")
    with pytest.raises(FileExistsError, match="weights was there before the study"):
        sweep(keep=1, directory=tmp_path / "study", overwrite=True)
    assert (first.directory / "weights" / "mine").read_text() == "x"


def test_trees_come_back_as_what_they_were():
    layers = [{"w": np.ones(2)}, {"w": np.zeros(2)}]
    tree = {"a": layers, "n": {3: {"x": np.ones(1)}, 0: np.ones(1)}, "b.c": np.ones(1)}
    tree["b"] = {"c": np.zeros(1)}
    state = states.TrialState(tree, {}, (), np.int32(1))
    tensors = states.unpack(states.pack(state), "x")
    assert states.is_plain(tensors)
    back = states.plain(tensors, "params")
    assert jax.tree.structure(back) == jax.tree.structure(tree) and bits(back) == bits(tree)
    other = state._replace(params=(np.ones(1),))  # a tuple comes back as a list
    assert not states.is_plain(states.unpack(states.pack(other), "x"))


def test_paths_that_are_no_tree_are_refused():
    for paths in ("[", "3", '{"x": []}', '{"x": ["params", {}]}', '{"x": ["params"], "y": '
                  '["params", "a"]}', '{"z": ["params"]}',
                  json.dumps({"x": ["params", *["a"] * 200]})):  # fmt: skip
        content = safetensors.pack({"x": np.ones(1), "y": np.ones(1)}, {"paths": paths})
        with pytest.raises(ValueError, match=r"is damaged|no tree"):
            weights.nested(states.unpack(content, "x"), "params")


# ---------------------------------------------------------------- written for others


def test_written_and_read_by_name(study, tmp_path):
    trial = study.kept[0]
    file = study.save_params(trial, tmp_path / "w.safetensors")
    found = safetensors.unpack(file.read_bytes()).arrays
    assert set(found) == {"params.w", "params.b", "model_state"}  # the task has a state of its own
    folder = study.save_params(trial, tmp_path / "w")
    assert set(read_weights(folder)) == set(found)
    state = study.state(trial)
    for path in (file, folder):
        fitted = fit_weights(path, state.params, state.model_state)
        assert bits(fitted.params) == bits(state.params)
        assert bits(fitted.model_state) == bits(state.model_state)


def test_nothing_is_replaced_unasked(study, tmp_path):
    trial = study.kept[0]
    file, folder = tmp_path / "w.safetensors", tmp_path / "w"
    for path in (file, folder):
        study.save_params(trial, path)
        with pytest.raises(FileExistsError, match="overwrite=True"):
            study.save_params(trial, path)
        study.save_params(study.kept[1], path, overwrite=True)
        assert "w" in "".join(read_weights(path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x")
    with pytest.raises(FileExistsError, match="holds no weights of orbax"):
        study.save_params(trial, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "x").exists()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        study.save_params(trial, tmp_path / "none" / "w.safetensors")
    with pytest.raises(ValueError, match="format must be one of"):
        study.save_params(trial, tmp_path / "x", format="pickle")


def test_without_orbax_there_is_a_way_out(study, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "orbax.checkpoint", None)
    with pytest.raises(ImportError, match="pip install orbax-checkpoint; or use a file of"):
        study.save_params(study.kept[0], tmp_path / "w")


# ---------------------------------------------------------------- start


class Net(nnx.Module):
    def __init__(self, rngs):
        self.a, self.bn = nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
        self.drop, self.b = nnx.Dropout(0.1, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.b(self.drop(self.bn(self.a(x))))


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(4)(x))
        return linen.Dense(2)(x)


X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def shapes(module):
    task = joc.Task.from_flax(module, X, (X[:, 0] > 0).astype(int), loss="softmax_cross_entropy")
    return task.init(jax.random.key(3))


@pytest.fixture(scope="module")
def nets():
    return {"nnx": shapes(Net), "linen": shapes(Linen())}


def test_whatever_weights_came_in_they_are_the_same(nets, tmp_path):
    params, averages = nets["nnx"]
    model = Net(nnx.Rngs(jax.random.key(3)))
    whole = [model, nnx.state(model), (params, averages),
             {"params": params, "model_state": averages},
             states.TrialState(params, averages, (jnp.ones(3),), jnp.int32(7))]  # fmt: skip
    hashes = {fit_weights(given, params, averages).sha256 for given in whole}
    assert len(hashes) == 1
    alone = [params, nnx.state(model, nnx.Param), {"params": params},
             jax.tree.map(lambda x: np.asarray(x, np.float64), params)]  # fmt: skip
    found = [fit_weights(given, params, averages) for given in alone]
    assert {one.sha256 for one in found} != hashes and len({one.sha256 for one in found}) == 1
    assert all(one.model_state is None and bits(one.params) == bits(params) for one in found)
    names, _ = states.named(params)
    slashed = {name.replace(".", "/"): np.asarray(x) for name, x in names.items()}
    (tmp_path / "w.safetensors").write_bytes(safetensors.pack(slashed))
    assert fit_weights(tmp_path / "w.safetensors", params, averages).sha256 == found[0].sha256
    import orbax.checkpoint as ocp

    ocp.PyTreeCheckpointer().save(
        tmp_path / "w",
        nnx.state(model, nnx.Not(nnx.RngState)),  # as Flax's guides save it
    )
    assert fit_weights(tmp_path / "w", params, averages).sha256 in hashes
    params, averages = nets["linen"]
    variables = {"params": params, **averages}
    both = fit_weights((params, averages), params, averages)
    assert fit_weights(variables, params, averages).sha256 == both.sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {k: x for k, x in p.items() if k != "a"}, r"lacks a.bias \(4,\) .* 1 more"),
        (lambda p: p | {"head": jnp.ones(3)}, "has head, which the task's"),
        (lambda p: p | {"a": {"kernel": jnp.ones((4, 4)), "bias": jnp.ones(4)}}, r"\(4, 4\), the"),
        (lambda p: p | {"a": {"kernel": jnp.ones((3, 4), int), "bias": jnp.ones(4)}}, "is int32"),
        (lambda p: jax.tree.map(lambda x: np.full(x.shape, 1e300), p), "not finite"),
        (lambda p: p | {"a": "weights"}, "holds str at a, which is no array"),
        (lambda _: {}, "it has nothing"),
        (lambda _: 3, "lacks a.bias"),
        (lambda _: "nowhere.safetensors", "is not there"),
    ],
)
def test_what_does_not_fit_is_named(nets, change, message):
    params, averages = nets["nnx"]
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        fit_weights(change(params), params, averages)


def test_files_that_are_none(nets, tmp_path):
    params, averages = nets["nnx"]
    (tmp_path / "w.safetensors").write_bytes(b"123")
    with pytest.raises(ValueError, match=r"w.safetensors is damaged: no safetensors"):
        fit_weights(tmp_path / "w.safetensors", params, averages)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="folder is no checkpoint of orbax"):
        fit_weights(tmp_path / "folder", params, averages)


@pytest.mark.long
def test_trials_start_from_them_by_the_same_program(again, study, tmp_path):
    trial = study.kept[0]
    state = study.state(trial)
    started = sweep(start=state, directory=tmp_path / "started")
    assert started.manifest["program_sha256"] == study.manifest["program_sha256"]
    assert not set(started.trials["id"]) & set(study.trials["id"])
    assert started.manifest["trials_sha256"] != study.manifest["trials_sha256"]
    assert started.replay(trial).identical
    first = started.curves["train_loss"].sel(trial=trial).to_numpy()[0]
    assert first != study.curves["train_loss"].sel(trial=trial).to_numpy()[0]
    # those of task.init change nothing but the name
    params = {int(s): make_task().init(jax.random.key(s)) for s in range(2)}
    same = sweep(start=lambda row: params[row["seed"]])
    for name in study.curves.data_vars:
        np.testing.assert_array_equal(same.curves[name], study.curves[name])
    assert same.manifest["start"]["different"] == 2
    listed = sweep(start=[params[s] for s in TRIALS["seed"]])
    assert listed.trials["id"].tolist() == same.trials["id"].tolist()
    numbered = sweep(start={i: params[s] for i, s in enumerate(TRIALS["seed"])})
    assert numbered.trials["id"].tolist() == same.trials["id"].tolist()
    with pytest.raises(ValueError, match="seeds of a configuration started from different"):
        same.confirm(1, progress=False)
    with pytest.raises(ValueError, match="says nothing of row 11"):
        sweep(start=dict.fromkeys(range(11), params[0]))
    # on disk
    loaded = joc.Study.load(started.directory)
    with pytest.raises(ValueError, match=r"weights to start from.*start="):
        loaded.replay(trial, task=make_task())
    with pytest.raises(ValueError, match="are not those from which the study's trials started"):
        loaded.replay(trial, task=make_task(), start=params[0])
    assert loaded.replay(trial, task=make_task(), start=state).identical
    confirmed = loaded.confirm(1, task=make_task(), start=state, progress=False)
    assert set(confirmed.trials["seed"]) == {2} and confirmed.manifest["start"]


def test_a_path_is_known_when_it_goes_on(again, study, tmp_path, monkeypatch):
    file = study.save_params(study.kept[0], tmp_path / "w.safetensors")
    whole = sweep(start=file)
    monkeypatch.setattr(engine, "SEGMENT_SECONDS", 1e-9)
    with monkeypatch.context() as patch:
        patch.setattr(store, "write", lambda *_: (_ for _ in ()).throw(OSError("cut")))
        patch.setattr(checkpoints, "forget", lambda _: None)
        with pytest.raises(OSError, match="cut"):
            sweep(start=file, directory=tmp_path / "cut")
    found = joc.Study.resume(tmp_path / "cut", task=make_task(), progress=False)
    pd.testing.assert_frame_equal(found.trials, whole.trials)
    file.write_bytes(safetensors.pack({"w": np.ones(()), "b": np.ones(())}))
    with pytest.raises(ValueError, match="are not those from which"):
        joc.Study.load(tmp_path / "cut").replay(0, task=make_task())


def test_rows_that_differ_in_their_start_alone_are_refused(again):
    task = make_task()
    starts = [task.init(jax.random.key(0)), task.init(jax.random.key(1))]
    trials = pd.concat([TRIALS.iloc[:1]] * 2, ignore_index=True)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="rows 0 and 1 say the same"):
        warnings.simplefilter("ignore")
        sweep(trials, start=starts)


# ---------------------------------------------------------------- longer


@pytest.mark.long
def test_training_on_is_the_longer_training(study, tmp_path):
    whole = sweep(steps=60)
    longer = study.train_on(2, steps=60, keep=1, progress=False, directory=tmp_path / "longer")
    rows = [whole.trials["id"].tolist().index(one) for one in longer.trials["id"]]
    assert len(rows) == 4
    for name in whole.curves.data_vars:
        np.testing.assert_array_equal(longer.curves[name], whole.curves[name][rows])
    results = ["status", "valid_loss", "best_valid_loss", "best_step", "test_loss"]
    pd.testing.assert_frame_equal(
        longer.trials[results], whole.trials[results].iloc[rows].reset_index(drop=True)
    )
    trial = longer.kept[0]
    assert bits(longer.params(trial)) == bits(whole.params(rows[trial]))
    loaded = joc.Study.load(tmp_path / "longer")
    assert loaded.manifest["continues"]["steps"] == [30] * 4
    replay = loaded.replay(trial, task=make_task())
    assert replay.different == [] and not replay.exact  # two programs have trained it


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"steps": 30}, "have trained 30 steps already"),
        ({"steps": 65, "evaluate_every": 7}, "divides 30"),
        ({"steps": 60, "record_every": 20}, "divides 30"),
        ({}, "give either epochs= or steps="),
        ({"top": 0, "steps": 60}, "top must be a number"),
        ({"steps": 60, "keep": -1}, "keep must be a number"),
    ],
)
def test_what_cannot_train_on(study, asked, message):
    with pytest.raises(ValueError, match=message):
        study.train_on(**asked)


@pytest.mark.long
def test_schedules_that_nobody_wrote_are_stretched(tmp_path):
    trials = joc.grid(optimizer="adam", learning_rate=[0.01, 0.1], schedule="cosine")
    short = sweep(trials, steps=20, directory=tmp_path / "short")
    loaded = joc.Study.load(short.directory)  # whose states nobody kept
    longer = loaded.train_on(1, steps=40, task=make_task(), progress=False)
    assert longer.trials["schedule_decay_steps"].tolist() == [40.0]
    assert longer.manifest["continues"]["stretched"] == ["schedule_decay_steps"]
    assert not set(longer.trials["id"]) & set(short.trials["id"])
    for make in (lambda: longer.replay(0), lambda: longer.confirm(1, progress=False)):
        with pytest.raises(ValueError, match="cannot be trained from their first step"):
            make()


# ---------------------------------------------------------------- joined


@pytest.mark.long
def test_parts_of_a_table_are_the_table(again, study, tmp_path):
    parts = [TRIALS.iloc[rank::3].reset_index(drop=True) for rank in range(3)]
    made = [sweep(part, keep=2, directory=tmp_path / str(i)) for i, part in enumerate(parts)]
    joined = joc.join([joc.Study.load(one.directory) for one in made])
    by_id = lambda study: study.trials.set_index("id").sort_index().drop(columns="trial")
    pd.testing.assert_frame_equal(by_id(joined), by_id(study))
    pd.testing.assert_series_equal(joined.best(), study.best(), check_names=False)
    saved = joined.save(tmp_path / "joined")
    loaded = joc.Study.load(saved.directory)
    assert loaded.kept and loaded.report().exists()
    of = study.trials.set_index("id")["trial"][loaded.trials["id"][loaded.kept[0]]]
    assert bits(loaded.params(loaded.kept[0])) == bits(study.params(int(of)))
    confirmed = loaded.confirm(1, task=make_task(), progress=False)
    assert set(confirmed.trials["status"]) == {"finished"}
    assert len(joc.join([loaded, study]).trials) == len(study.trials)  # the same to the bit
    other = study.trials.copy()
    other.loc[0, "valid_loss"] += 1
    with pytest.raises(ValueError, match=r"trial 0 of study 1 is trial .* with other results"):
        joc.join([loaded, dataclasses.replace(study, trials=other)])


def test_what_cannot_be_joined(again, study):
    manifest = study.manifest | {"metric": "train_loss"}
    with pytest.raises(ValueError, match="study 1 differs from the first in metric"):
        joc.join([study, dataclasses.replace(study, manifest=manifest)])
    (bucket,) = study.manifest["buckets"]
    manifest = study.manifest | {"buckets": [bucket | {"program_sha256": "0", "lanes": 8}]}
    with pytest.raises(ValueError, match=r"another program than the first .lanes 8 for 4"):
        joc.join([study, dataclasses.replace(study, manifest=manifest)])
    longer = bucket | {"program_sha256": "0", "budget": bucket["budget"] | {"steps": 999}}
    manifest = study.manifest | {"buckets": [longer]}
    with pytest.raises(
        ValueError, match=r"than the first \(budget steps 999 for steps \d+\); only"
    ):
        joc.join([study, dataclasses.replace(study, manifest=manifest)])
    for odd in (study, [study], [study, 3], None):
        with pytest.raises(TypeError, match="two studies or more"):
            joc.join(odd)


# ---------------------------------------------------------------- with what others ask for


@pytest.mark.long
def test_who_has_converged_keeps_the_weights_of_its_score():
    trials = joc.grid(optimizer=["momentum", "adam"], learning_rate=[0.1, 0.3], seed=range(2))
    study = sweep(trials, steps=200, keep=1, scheduler=joc.Patience(evaluations=2))
    assert "converged" in set(study.trials.set_index("trial")["status"][study.kept])
    for trial, entry in zip(study.kept, study.manifest["weights"]["trials"], strict=True):
        state = study.replay(trial).state
        assert entry["step"] == int(state.step) == int(study.state(trial).step)
        assert bits(study.params(trial)) == bits(state.params)
    with pytest.raises(ValueError, match=r"no longer improved .Patience.; only trials"):
        study.train_on(1, steps=400)


@pytest.mark.long
def test_folds_of_the_best_configuration_are_kept_together():
    tasks = {fold: make_task(scale=1.0 + fold) for fold in range(2)}
    trials = joc.grid(optimizer="adam", learning_rate=[0.01, 0.1], fold=range(2), seed=range(2))
    study = joc.sweep(lambda fold: tasks[fold], trials, steps=20, static=["fold"], keep=1,
                      replicates=["fold"], devices=jax.devices()[:1], **SETTINGS)  # fmt: skip
    kept = study.trials.set_index("trial").loc[study.kept]
    assert set(kept["learning_rate"]) == {study.best()["learning_rate"]}
    assert sorted(zip(kept["fold"], kept["seed"], strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for trial in study.kept[::3]:
        assert bits(study.params(trial)) == bits(study.replay(trial).state.params)


@pytest.mark.long
def test_training_on_that_was_cut_short_goes_on(tmp_path, monkeypatch):
    """Schedules are stretched, so nothing could be trained from its first step."""
    trials = joc.grid(batch_size=[2, 4], optimizer="adam", learning_rate=[0.01, 0.1],
                      schedule="cosine")  # fmt: skip
    settings = SETTINGS | {"devices": jax.devices()[:1]}
    del settings["batch_size"]
    study = joc.sweep(make_task(), trials, steps=20, static=["batch_size"], keep=4, **settings)
    whole = study.train_on(4, steps=40, keep=2, progress=False)
    assert set(whole.trials["batch_size"]) == {2, 4} and len(whole.kept) == 2
    reuse(monkeypatch, whole)
    for name, cut in (("begun", "run"), ("over", "write")):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, "forget", lambda _: None)
            target = engine if cut == "run" else store
            patch.setattr(target, cut, lambda *_, **__: (_ for _ in ()).throw(OSError("cut")))
            with pytest.raises(OSError, match="cut"):
                study.train_on(4, steps=40, keep=2, progress=False, directory=tmp_path / name)
        found = joc.Study.resume(tmp_path / name, task=make_task(), progress=False)
        pd.testing.assert_frame_equal(found.trials, whole.trials)
        assert found.manifest["weights"] == whole.manifest["weights"]
