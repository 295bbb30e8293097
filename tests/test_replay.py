"""A trial trained again is the same, bit for bit; a study that grows keeps what it had."""

import dataclasses
import shutil
import signal
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers import reuse
from long_form import only
from sweep_to_kill import make_task

import jaxopt_course as joc
from jaxopt_course.records import checkpoints, lock
from jaxopt_course.studies import compiled, made_with
from jaxopt_course.studies.resume import recall
from jaxopt_course.sweeps import engine

pytestmark = pytest.mark.usefixtures("optimized")

DATA = Path(__file__).parent / "data"
FUNCTIONS = {"mine": lambda h: joc.momentum(h["learning_rate"], momentum=h["momentum"])}
HIGHER = {"mine": lambda h: joc.momentum(h["learning_rate"] * 2, momentum=h["momentum"])}


def table(seeds=range(2)):
    mine = joc.grid(optimizer="mine", learning_rate=[0.01, 0.1, 1e30], momentum=0.9, seed=seeds)
    adam = joc.grid(optimizer="adam", learning_rate=[0.01, 0.1], seed=seeds)
    return pd.concat([mine, adam], ignore_index=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Finished, diverged and stopped trials of an own task and an own optimizer."""
    return joc.sweep(make_task(), table(), FUNCTIONS, steps=90, batch_size=3, evaluate_every=10,
                     lanes=4, scheduler=joc.SuccessiveHalving(), progress=False,
                     directory=tmp_path_factory.mktemp("runs") / "judged",
                     devices=jax.devices()[:1])  # fmt: skip


@pytest.fixture(scope="module")
def plain(study, tmp_path_factory):
    """The same table, and nobody stops."""
    with pytest.MonkeyPatch.context() as patch:
        reuse(patch, study)
        return joc.sweep(make_task(), table(), FUNCTIONS, steps=90, batch_size=3,
                         evaluate_every=10, lanes=4, progress=False,
                         directory=tmp_path_factory.mktemp("runs") / "plain",
                         devices=jax.devices()[:1])  # fmt: skip


@pytest.fixture(scope="module")
def recalled(study):
    """The program made again, from what is on disk and the task and functions given again."""
    record = joc.Study.load(study.directory)
    return recall(record.manifest, record.trials, make_task(), FUNCTIONS, jax.devices()[:1])


# ---------------------------------------------------------------- replay


def test_every_trial_bit_for_bit(study):
    assert set(study.trials["status"]) == {"finished", "diverged", "stopped"}
    for trial, status in study.trials[["trial", "status"]].itertuples(index=False):
        replay = study.replay(trial)
        assert replay.identical and replay.different == []
        recorded = study.curves.isel(trial=[trial])
        for name in recorded.data_vars:
            assert replay.curves[name].values.tobytes() == recorded[name].values.tobytes()
        assert (replay.state is None) == (status == "diverged")


def test_from_disk(study, recalled, monkeypatch):
    monkeypatch.setattr("jaxopt_course.studies.replay.recall", lambda *_, **__: recalled)
    loaded = joc.Study.load(study.directory)
    stopped = int(study.trials.query("status == 'stopped'")["trial"].iloc[0])
    replay = loaded.replay(stopped, task=make_task(), optimizer=FUNCTIONS)
    assert replay.identical
    mine = study.replay(stopped).state
    assert jax.tree.structure(replay.state) == jax.tree.structure(mine)
    for x, y in zip(jax.tree.leaves(replay.state), jax.tree.leaves(mine), strict=True):
        assert x.dtype == y.dtype and x.tobytes() == y.tobytes()


def test_a_curve_of_another_bit_is_found(study):
    curves = study.curves.copy(deep=True)
    curves["valid_loss"].values[0, 0] = np.nextafter(curves["valid_loss"].values[0, 0], np.inf)
    spoilt = dataclasses.replace(study, curves=curves)
    replay = spoilt.replay(0)
    assert not replay.identical and replay.different == ["valid_loss"]
    with pytest.raises(ValueError, match=r"gives other curves now: \['valid_loss'\]"):
        spoilt.state(0)


def test_the_state_is_the_one_that_was_measured(study):
    task = make_task()
    for trial, status, loss in study.trials[["trial", "status", "valid_loss"]].itertuples(False):
        if status == "diverged":
            with pytest.raises(ValueError, match=f"trial {trial} diverged; it has no last state"):
                study.state(trial)
            continue
        state = study.state(trial)
        assert state.params["w"].dtype == jax.numpy.bfloat16
        measured = task.evaluate(state.params, state.model_state, task.valid)["loss"]
        curve = study.curves["valid_loss"][trial].dropna("eval_step")
        assert state.step == curve["eval_step"][-1]
        np.testing.assert_allclose(measured, curve[-1], rtol=1e-5)
        if status == "finished":
            np.testing.assert_allclose(measured, loss, rtol=1e-5)


def test_the_optimizer_state_is_that_of_the_optimizer_alone(plain):
    """Of a study of several; to rounding (of bfloat16) what the plain loop has, and it goes on."""
    row = plain.trials.iloc[9]
    tx = joc.adam(float(row["learning_rate"]))
    alone = joc.fit(make_task(), tx, seed=int(row["seed"]), steps=90, batch_size=3).state
    state = plain.state(9)
    assert jax.tree.structure(state) == jax.tree.structure(alone)
    for x, y in zip(jax.tree.leaves(state), jax.tree.leaves(alone), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(np.asarray(x, float), np.asarray(y, float), rtol=0.02, atol=1e-3)
    _, after = tx.update(state.params, state.opt_state, state.params)
    assert after[0].count == state.opt_state[0].count + 1 == 91
    mine = plain.state(0).opt_state
    assert type(mine[0]).__name__ == "TraceState"


@pytest.mark.parametrize("trial", [-1, 10, 0.5, "0"])
def test_trials_that_are_not_there(study, trial):
    with pytest.raises(ValueError, match="there is no trial"):
        study.replay(trial)


def test_what_changed_is_named(study, tmp_path, monkeypatch):
    loaded = joc.Study.load(study.directory)
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_: None)
    with pytest.raises(ValueError, match="own task"):
        loaded.replay(0)
    with pytest.raises(ValueError, match=r"own functions \(mine\).*give it again"):
        loaded.replay(0, task=make_task())
    with pytest.raises(ValueError, match="the data of the task"):
        loaded.replay(0, task=make_task(scale=1.0), optimizer=FUNCTIONS)
    with pytest.raises(ValueError, match="the code of the task or of the optimizer has changed"):
        loaded.replay(0, task=make_task(), optimizer=HIGHER)
    copy = shutil.copytree(study.directory, tmp_path / "copy")
    text = (copy / "trials.csv").read_text()
    (copy / "trials.csv").write_text(text.replace(",0.01,", ",0.02,", 1))
    with pytest.raises(ValueError, match=r"trials.csv was edited: its hyperparameters or seeds"):
        joc.Study.load(copy)


# ---------------------------------------------------------------- extend


def inputs(study):
    return study.trials[study._session.table.trials.columns]


def lines(study):
    return (study.directory / "trials.csv").read_bytes().splitlines()


@pytest.fixture
def copy(plain, tmp_path):
    return plain.save(tmp_path / "copy")


def test_new_seeds_only(copy, plain):
    """Known trials are skipped, old ones stay byte for byte, new ones are those of one sweep."""
    before, old = lines(copy), copy.curves.copy(deep=True)
    grown = copy.extend(table(range(3)), progress=False)
    assert lines(grown)[: len(before)] == before and grown.directory == copy.directory
    assert len(grown.trials) == 15 and grown.trials["trial"].tolist() == list(range(15))
    assert grown.trials["seed"][10:].tolist() == [2] * 5
    assert grown.events[-1]["event"] == "extended" and len(grown.events) == 2
    assert grown.manifest["seeds"] == [0, 1, 2] and grown.manifest["trials"] == 15
    loaded = joc.Study.load(grown.directory)
    pd.testing.assert_frame_equal(loaded.trials, grown.trials)
    for name in old.data_vars:
        assert loaded.curves[name].values[:10].tobytes() == old[name].values.tobytes()
    whole = plain._session.train(inputs(grown), "sweep", False)
    pd.testing.assert_frame_equal(whole.trials, grown.trials)
    for name in old.data_vars:
        assert whole.curves[name].values.tobytes() == grown.curves[name].values.tobytes()
    assert grown.replay(12).identical
    assert grown.extend(table(range(3)), progress=False) is grown  # nothing is new


def test_rows_that_repeat_each_other_train_once(copy):
    new = table([5])
    grown = copy.extend(pd.concat([new, new], ignore_index=True), progress=False)
    assert len(grown.trials) == 15 and grown.trials["duplicate_of"].isna().all()


def test_extend_from_disk(copy, recalled, monkeypatch):
    """A row of a known configuration may leave its defaults out."""
    monkeypatch.setattr("jaxopt_course.studies.study.recall", lambda *_: recalled)
    loaded = joc.Study.load(copy.directory)
    row = pd.DataFrame({"optimizer": ["adam"], "learning_rate": [0.1], "seed": [9]})
    given = {"task": make_task(), "optimizer": FUNCTIONS, "devices": jax.devices()[:1]}
    grown = loaded.extend(row, progress=False, **given)
    alone = copy._session.train(inputs(grown).iloc[10:], "sweep", False)
    assert grown.trials["valid_loss"][10] == alone.trials["valid_loss"].iloc[0]
    with pytest.raises(FileExistsError, match="holds another study by now"):
        copy.extend(row, progress=False)  # it would undo the first extension


def test_ctrl_c_adds_what_is_over(copy, monkeypatch):
    """And the rest may come later."""
    monkeypatch.setattr(engine, "SEGMENT_SECONDS", 0.0)
    read, reads = engine._Loop.read, []

    def read_and_interrupt(self):
        read(self)
        reads.append(1)
        if len(reads) == 12:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(joc.SweepInterrupted) as stop:
        patch.setattr(engine._Loop, "read", read_and_interrupt)
        copy.extend(table(range(2, 6)), progress=False)
    part = stop.value.study
    assert 10 < len(part.trials) < 30 and "unfinished" not in set(part.trials["status"])
    grown = part.extend(table(range(2, 6)), progress=False)
    assert len(grown.trials) == 30 and grown.trials["id"].is_unique
    xr.testing.assert_identical(joc.Study.load(copy.directory).curves, grown.curves)


def test_what_would_need_another_program_is_refused(plain, study):
    new = table([7])
    with pytest.raises(ValueError, match="the study has no column 'weight_decay'"):
        plain.extend(new.assign(weight_decay=0.1))
    with pytest.raises(ValueError, match="need another program"):
        plain.extend(new.assign(optimizer="sgd", momentum=np.nan))
    with pytest.raises(ValueError, match="a study with a scheduler cannot be extended"):
        study.extend(new)


def test_a_directory_in_use(copy):
    with lock.locked(copy.directory):
        with pytest.raises(BlockingIOError, match="in use by another process"):
            copy.extend(table([8]))
        with pytest.raises(BlockingIOError, match="in use by another process"):
            copy.save(copy.directory, overwrite=True)


# ---------------------------------------------------------------- other versions, other machines


@pytest.fixture
def upgraded(copy, monkeypatch):
    """The study on disk, and another version of jaxlib than it was made with."""
    now = made_with.versions()
    monkeypatch.setattr(made_with, "versions", lambda: now | {"jaxlib": "99.0"})
    return joc.Study.load(copy.directory)


GIVEN = {"task": make_task(), "optimizer": FUNCTIONS}


def test_replay_after_an_upgrade_is_to_rounding(upgraded, plain, monkeypatch):
    reuse(monkeypatch, plain)
    replay = upgraded.replay(0, **GIVEN)
    assert not replay.exact and replay.different == []
    assert max(replay.deviations.values()) == 0  # here the compiler is the same
    curves = upgraded.curves.copy(deep=True)
    curves["valid_loss"].values[0, -1] *= 1.01
    near = dataclasses.replace(upgraded, curves=curves).replay(0, **GIVEN)
    assert near.different == [] and not near.identical
    assert 1e-4 < near.deviations["valid_loss"] < 0.01
    curves["valid_loss"].values[0, 0] *= 2
    far = dataclasses.replace(upgraded, curves=curves).replay(0, **GIVEN)
    assert far.different == ["valid_loss"]


def test_extend_after_an_upgrade_is_asked_for_and_marked(upgraded, plain, monkeypatch):
    reuse(monkeypatch, plain)
    settings = GIVEN | {"devices": jax.devices()[:1], "progress": False}
    with pytest.raises(ValueError, match=r"other versions.*jaxlib .* -> 99\.0") as error:
        upgraded.extend(table([3]), **settings)
    assert "exact=False" in str(error.value)
    grown = upgraded.extend(table([3]), exact=False, **settings)
    assert grown.manifest["versions"] == plain.manifest["versions"]
    [added] = grown.manifest["added_with"]
    assert added["trials"] == [10, 14] and added["versions"]["jaxlib"] == "99.0"
    with pytest.raises(ValueError, match="other versions"):  # in the same process too
        grown.extend(table([4]), progress=False)
    monkeypatch.undo()
    reuse(monkeypatch, plain)
    loaded = joc.Study.load(grown.directory)  # with the old versions again
    assert loaded.replay(0, **GIVEN).exact and not loaded.replay(12, **GIVEN).exact


def test_another_cpu_gives_other_bits_and_older_studies_do_not_say(copy, plain, monkeypatch):
    reuse(monkeypatch, plain)
    monkeypatch.setattr(made_with, "instructions", lambda: "another CPU, features 0")
    moved = joc.Study.load(copy.directory)
    replay = moved.replay(0, **GIVEN)
    assert not replay.exact and replay.different == []
    settings = GIVEN | {"devices": jax.devices()[:1], "progress": False}
    with pytest.raises(ValueError, match="other instructions"):
        moved.extend(table([3]), **settings)
    grown = moved.extend(table([3]), exact=False, **settings)
    [added] = grown.manifest["added_with"]
    assert added["platform"]["instructions"] == "another CPU, features 0"
    assert grown.manifest["platform"] == plain.manifest["platform"]
    platform = {name: x for name, x in plain.manifest["platform"].items() if name != "instructions"}
    older = dataclasses.replace(moved, manifest=moved.manifest | {"platform": platform})
    assert older.replay(0, **GIVEN).exact


def test_confirm_after_an_upgrade_is_marked(upgraded, plain, monkeypatch):
    reuse(monkeypatch, plain)
    fresh = upgraded.confirm(1, devices=jax.devices()[:1], progress=False, **GIVEN)
    assert fresh.manifest["search_versions"] == plain.manifest["versions"]
    assert fresh.manifest["versions"]["jaxlib"] == "99.0"


def test_a_machine_that_does_not_repeat_its_bits_is_found_out(plain, tmp_path, monkeypatch):
    """A made-up executable, whose every second call gives other losses."""
    calls = []

    def compile_bucket(bucket, *_):
        [made] = plain._session.programs.values()
        segment = made.program.segment[0]

        def unsteady(*arguments):
            lanes, readings = segment(*arguments)
            calls.append(1)
            if len(calls) % 2 == 0:
                readings = readings._replace(loss_sums=readings.loss_sums * 1.000001)
            return lanes, readings

        program = made.program._replace(segment=(unsteady,))
        return dataclasses.replace(made, bucket=bucket, program=program)

    monkeypatch.setattr("jaxopt_course.studies.session.compile_bucket", compile_bucket)
    with pytest.warns(joc.studies.study.NotRepeatableWarning, match="agrees to rounding"):
        study = joc.sweep(make_task(), table(range(12)), FUNCTIONS, steps=90, batch_size=3,
                          evaluate_every=10, lanes=4, directory=tmp_path, progress=False,
                          devices=jax.devices()[:1])  # fmt: skip
    assert study.manifest["repeatable"] is False and study.manifest["calls_compared"] == 1
    assert study.manifest["calls_differ_in"] == ["[1].loss_sums"]
    replay = study.replay(0)
    assert not replay.exact and replay.different == []


def test_a_machine_that_repeats_its_bits_says_so(plain, tmp_path, monkeypatch):
    reuse(monkeypatch, plain)
    settings = {"steps": 90, "batch_size": 3, "evaluate_every": 10, "lanes": 4}
    settings |= {"progress": False, "devices": jax.devices()[:1]}
    study = joc.sweep(make_task(), table(range(12)), FUNCTIONS, directory=tmp_path, **settings)
    assert study.manifest["repeatable"] is True and study.manifest["calls_compared"] == 1
    grown = study.extend(table([77]), progress=False)
    assert grown.manifest["repeatable"] is True and grown.manifest["calls_compared"] == 1
    assert "repeatable" not in plain.manifest  # too small: a call more would be felt
    monkeypatch.setattr("jaxopt_course.sweeps.repeat.memory_limit", lambda _: 10)
    study = joc.sweep(make_task(), table(range(12)), FUNCTIONS, directory=tmp_path,
                      overwrite=True, **settings)  # fmt: skip
    assert "repeatable" not in study.manifest
    assert "copies of the lanes" in study.events[-1]["calls_not_compared"]


# ---------------------------------------------------------------- what older versions wrote


@pytest.mark.parametrize(
    "name, rows", only([("format-1", 6)], [("format-1", 6), ("format-1-static", 12)])
)
def test_format_1_of_a_study_loads(tmp_path, name, rows):
    """Made by ``sweep("line", ...)`` of 2026-11; see data/README.md."""
    old = joc.Study.load(shutil.copytree(DATA / name, tmp_path / "study"))
    statuses = old.trials["status"].value_counts().to_dict()
    assert statuses == {"finished": rows * 2 // 3, "diverged": rows // 3}
    assert old.manifest["scheduler"] is None and old.best()["learning_rate"] == 0.01
    assert old.manifest["format_version"] == 2
    assert len(old.manifest["buckets"]) == rows // 6
    for bucket in old.manifest["buckets"]:  # its columns, without ids, seeds and results
        assert {*bucket["bucket_dtypes"]} <= {*old.manifest["hyperparameters"]}
    assert not (old.directory / ".lock").exists()  # reading writes nothing
    assert old.report().is_file()
    again = joc.Study.load(old.save(tmp_path / "again").directory)
    pd.testing.assert_frame_equal(again.trials, old.trials)


@pytest.mark.parametrize(
    "name, trials", only([("format-1-static", 12)], [("format-1", 6), ("format-1-static", 12)])
)
def test_format_1_of_a_checkpoint_resumes(tmp_path, monkeypatch, name, trials):
    """With the program and the compiler of today, which users are refused: bits may be others."""
    directory = shutil.copytree(DATA / f"{name}-cut-short", tmp_path / "study")
    monkeypatch.setattr("jaxopt_course.studies.resume.changed_versions", lambda _: [])
    monkeypatch.setattr(
        compiled.Compiled, "program_sha256", property(lambda made: hashes[made.bucket.label])
    )
    question = checkpoints.asked(directory)
    hashes = {
        ", ".join(f"{k}={v}" for k, v in one["static"].items()): one["program_sha256"]
        for one in question.settings["buckets"]
    }
    assert len(question.trials) == trials
    study = joc.Study.resume(directory, devices=jax.devices()[:1], progress=False)
    # it went on, and did not begin anew
    assert 0 < study.events[-1]["trial_steps"] < 140
    expected = joc.Study.load(shutil.copytree(DATA / name, tmp_path / "whole"))
    known = study.trials[expected.trials.columns]  # a later version has more
    pd.testing.assert_frame_equal(known, expected.trials, rtol=1e-5)  # of another machine
    assert not (directory / "checkpoint").exists()


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/x/bin/jaxopt-course", "compare", "--out", "a b"], "jaxopt-course compare --out 'a b'"),
        (["/x/jaxopt_course/__main__.py", "compare"], "python -m jaxopt_course compare"),
        (["mine.py"], "mine.py"),
    ],
)
def test_the_command_that_is_written_down_runs_again(monkeypatch, argv, command):
    monkeypatch.setattr(sys, "argv", argv)
    assert made_with.command() == command
