"""A study chooses as the contract says, comes back from disk as it was, and is not overwritten."""

import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from long_form import every

import jaxopt_course as joc
from jaxopt_course.records import claims
from jaxopt_course.studies.choosing import confirming, fresh_seeds
from jaxopt_course.studies.session import Session

TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-3, 0.1, 1e30], seed=range(2))


def make(directory=None, **settings):
    settings = {"epochs": 3, "batch_size": 5, "lanes": 4, "progress": False} | settings
    return joc.sweep("line", TRIALS, directory=directory, devices=jax.devices()[:2], **settings)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make(tmp_path_factory.mktemp("runs") / "first")


def test_comes_back_as_it_was(study):
    again = joc.Study.load(study.directory)
    pd.testing.assert_frame_equal(again.trials, study.trials, check_exact=True)
    xr.testing.assert_identical(again.curves, study.curves)
    manifest = {k: v for k, v in again.manifest.items() if k not in ("format_version", "dtypes")}
    assert manifest == study.manifest
    assert list(again.events) == list(study.events)
    pd.testing.assert_frame_equal(again.winners(), study.winners())


def test_the_files_are_a_function_of_the_study_alone(study, tmp_path):
    """All but the wall times, from another run on other devices."""
    other = joc.sweep("line", TRIALS, epochs=3, batch_size=5, lanes=4, progress=False,
                      directory=tmp_path, devices=jax.devices()[:1])  # fmt: skip
    for name in ("manifest.json", "trials.csv"):
        assert (tmp_path / name).read_bytes() == (study.directory / name).read_bytes()
    mine, theirs = (xr.load_dataset(s.directory / "curves.nc") for s in (study, other))
    xr.testing.assert_identical(mine, theirs)


def test_curves_are_numeric_on_disk_and_joined_in_memory(study):
    on_disk = xr.load_dataset(study.directory / "curves.nc")
    assert set(on_disk.coords) == {"trial", "step", "eval_step"}
    assert all(np.issubdtype(v.dtype, np.number) for v in on_disk.variables.values())
    adam = study.curves.where(study.curves["optimizer"] == "adam", drop=True)
    assert adam.sizes["trial"] == 6


def test_the_best_is_the_mean_over_seeds(study):
    finished = study.trials[study.trials["status"] == "finished"]
    means = finished.groupby(["optimizer", "learning_rate"])["valid_loss"].mean()
    best = study.best("valid_loss")
    assert (best["optimizer"], best["learning_rate"]) == means.idxmin()
    assert best["valid_loss"] == pytest.approx(means.min(), rel=1e-6)
    r2 = finished.groupby(["optimizer", "learning_rate"])["valid_r2"].mean()
    assert study.best("valid_r2")["learning_rate"] == r2.idxmax()[1]


def test_best_step_belongs_to_best_loss(study):
    for row, best, step in study.trials[["best_valid_loss", "best_step"]].itertuples():
        curve = study.curves["valid_loss"][row]
        if np.isnan(best):
            assert np.isnan(curve).all() and pd.isna(step)
        else:
            assert best == np.nanmin(curve) == curve.sel(eval_step=step)


def test_diverged_configurations_rank_last_and_have_no_score(study):
    ranked = study.configurations()
    diverged = ranked["diverged"] > 0
    assert diverged.sum() >= 1
    assert ranked.loc[diverged, "valid_loss"].isna().all()
    assert diverged.is_monotonic_increasing


@pytest.mark.parametrize(
    "metric, message",
    [("valid_los", "did you mean 'valid_loss'"), ("test_loss", "never used to choose")],
)
def test_metrics_that_may_not_choose(study, metric, message):
    with pytest.raises(ValueError, match=message):
        study.best(metric)


def test_the_test_part_counts_at_the_end_only(study):
    assert not any(name.startswith("test_") for name in study.curves)
    finished = study.trials["status"] == "finished"
    assert study.trials.loc[finished, "test_loss"].notna().all()
    # the three parts of "line" are the same five points
    np.testing.assert_allclose(
        study.trials.loc[finished, "test_loss"], study.trials.loc[finished, "valid_loss"], rtol=1e-6
    )


def test_the_test_part_never_chooses():
    """With another one all else is the same: who is stopped, who wins, and who is confirmed."""
    x = np.linspace(-1, 1, 10, dtype=np.float32)
    loss = lambda w, part: ((w * part["x"] - part["y"]) ** 2).mean()
    functions = (
        lambda key: (jax.random.normal(key), 0),
        lambda w, state, batch, key: (loss(w, batch), (state, {})),
        lambda w, state, part: {"loss": loss(w, part)},
    )
    trials = joc.grid(learning_rate=np.geomspace(1e-3, 0.3, 6), seed=range(2))

    def swept(slope):
        """Of the line 2 x, tested on another one."""
        parts = [{"x": x, "y": np.float32(y) * x} for y in (2, 2, slope)]
        study = joc.sweep(
            joc.Task("own", *functions, *parts, {"loss": "min"}),
            trials,
            lambda h: joc.sgd(h["learning_rate"]),
            steps=8,
            evaluate_every=2,
            batch_size=5,
            scheduler=joc.SuccessiveHalving(2),
            progress=False,
        )
        return study, study.confirm(2, progress=False)

    mine, others = swept(2), swept(-20)
    for one, other in zip(mine, others, strict=True):
        rest = [name for name in one.trials if not name.startswith("test_")]
        pd.testing.assert_frame_equal(one.trials[rest], other.trials[rest], check_exact=True)
        xr.testing.assert_identical(one.curves, other.curves)
    assert (mine[0].trials["status"] == "stopped").any()
    best = [study.trials["test_loss"].idxmin() for study, _ in (mine, others)]
    assert best[0] != best[1]  # it would choose otherwise
    assert mine[0].best()["learning_rate"] == others[0].best()["learning_rate"]


class TestConfirm:
    def test_winners_train_again_on_fresh_seeds_in_the_same_program(self, study):
        confirmed = study.confirm(3, progress=False)
        assert sorted(confirmed.manifest["seeds"]) == [2, 3, 4]
        assert confirmed.manifest["kind"] == "confirmation"
        assert confirmed.manifest["program_sha256"] == study.manifest["program_sha256"]
        winners = study.winners()[["optimizer", "learning_rate"]]
        pairs = confirmed.trials[["optimizer", "learning_rate"]].drop_duplicates(ignore_index=True)
        assert pairs.values.tolist() == winners.values.tolist()
        assert len(confirmed.trials) == 6
        loaded = joc.Study.load(study.directory / "confirm")
        pd.testing.assert_frame_equal(loaded.trials, confirmed.trials)

    def test_equals_a_sweep_of_those_trials(self, study):
        confirmed = study.confirm([7], progress=False)
        rows = confirmed.trials[["optimizer", "learning_rate", "seed"]]
        swept = joc.sweep(
            "line", rows, epochs=3, batch_size=5, lanes=4, progress=False, devices=jax.devices()[:2]
        )
        np.testing.assert_array_equal(swept.trials["valid_loss"], confirmed.trials["valid_loss"])

    def test_seeds_that_chose_may_not_confirm(self, study):
        with pytest.raises(ValueError, match="must be fresh"):
            study.confirm([1, 2], progress=False)

    @pytest.mark.parametrize("seeds", [0, -1, True, [], [7, 7], [2**32], [-5]])
    def test_seeds_that_make_no_sense(self, study, seeds):
        with pytest.raises(ValueError, match="seeds must be a number from 1 to"):
            study.confirm(seeds, progress=False)

    def test_fresh_seeds_stay_below_the_limit_and_off_the_used(self):
        assert fresh_seeds(3, {0, 1}) == [2, 3, 4]
        assert fresh_seeds(np.int64(2), {0, 2**32 - 1}) == [1, 2]
        assert fresh_seeds(4, {2**32 - 5}) == [2**32 - k for k in (4, 3, 2, 1)]
        assert fresh_seeds(5, {2**32 - 5}) == [0, 1, 2, 3, 4]

    def test_a_loaded_study_compiles_the_program_again(self, study, tmp_path):
        there = study.confirm([5], progress=False)
        copy = joc.Study.load(shutil.copytree(study.directory, tmp_path / "copy"))
        confirmed = copy.confirm([5], devices=jax.devices()[:1], progress=False)
        pd.testing.assert_frame_equal(confirmed.trials, there.trials)
        assert (copy.directory / "confirm" / "manifest.json").is_file()


@pytest.mark.long
def test_numpys_numbers_are_numbers(tmp_path):
    """In what is asked too, which the manifest holds as JSON."""
    asked = {"epochs": np.int64(2), "batch_size": np.int32(5), "evaluate_every": np.int64(1)}
    study = make(tmp_path, diverges_above=np.float32(1e6), **asked)
    loaded = joc.Study.load(tmp_path)
    assert loaded.manifest["asked"] == study.manifest["asked"]
    assert loaded.manifest["asked"]["epochs"] == 2


class TestDirectories:
    def test_a_study_is_not_overwritten_unasked(self, study, monkeypatch):
        before = (study.directory / "trials.csv").read_bytes()
        compiled = "jaxopt_course.studies.session.compile_bucket"
        monkeypatch.setattr(compiled, lambda *_: pytest.fail("compiled"))
        with pytest.raises(FileExistsError, match="already holds a study"):
            make(study.directory)
        assert (study.directory / "trials.csv").read_bytes() == before

    def test_asked_to_it_replaces_the_study_and_nothing_else(self, tmp_path):
        first = make(tmp_path)
        first.confirm(1, progress=False)
        (tmp_path / "notes.txt").write_text("mine")
        make(tmp_path, overwrite=True, epochs=2)
        assert joc.Study.load(tmp_path).manifest["budget"]["epochs"] == 2
        assert (tmp_path / "notes.txt").read_text() == "mine"
        with pytest.raises(FileNotFoundError):
            joc.Study.load(tmp_path / "confirm")  # of the study that is gone

    def test_a_file_is_not_a_directory(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(NotADirectoryError, match="is a file"):
            make(tmp_path / "file")
        with pytest.raises(NotADirectoryError, match="is a file"):
            make(tmp_path / "file" / "below")

    @pytest.mark.parametrize("address", ["s3://bucket/run", "https://host/run"])
    def test_an_address_is_not_a_directory(self, address, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ValueError, match="is an address, and a study is written to a disk"):
            make(address)
        assert not list(tmp_path.iterdir())  # a path would be a folder called "s3:"

    def test_an_unwritable_directory_is_named(self, tmp_path, monkeypatch):
        def refuse(path, *rest, **named):
            if str(path).endswith(".lock"):  # root may write anywhere
                raise PermissionError(13, "Permission denied")
            return open_(path, *rest, **named)

        open_ = os.open
        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(PermissionError, match="cannot write into"):
            make(tmp_path)

    def test_what_is_no_study_is_said(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"holds no study \(no manifest.json"):
            joc.Study.load(tmp_path)
        (tmp_path / "checkpoint").mkdir()
        (tmp_path / "checkpoint" / "question.json").write_text("{}")
        with pytest.raises(FileNotFoundError, match=r"cut short: Study\.resume.*course watch"):
            joc.Study.load(tmp_path)
        (tmp_path / "manifest.json").write_text("{")
        with pytest.raises(ValueError, match="not readable JSON"):
            joc.Study.load(tmp_path)
        (tmp_path / "manifest.json").write_text(json.dumps({"format_version": 99}))
        with pytest.raises(ValueError, match="format 99; this version reads format 2"):
            joc.Study.load(tmp_path)
        (tmp_path / "manifest.json").write_text(json.dumps({"format_version": 1}))
        with pytest.raises(ValueError, match=r"manifest.json is damaged: it lacks budget, dtypes"):
            joc.Study.load(tmp_path)

    @pytest.mark.parametrize(
        "name, spoil, message",
        [
            ("trials.csv", lambda b: b"".join(b.splitlines(True)[:2]), "says 12 trials"),
            ("trials.csv", lambda b: b"", "trials.csv is damaged"),
            ("trials.csv", lambda b: b"\xff\xfe" + b, "trials.csv is damaged"),
            ("curves.nc", lambda b: b[: len(b) // 2], "curves.nc is damaged"),
        ],
    )
    def test_a_damaged_file_is_named(self, study, tmp_path, name, spoil, message):
        copy = study.save(tmp_path / "copy").directory
        (copy / name).write_bytes(spoil((copy / name).read_bytes()))
        with pytest.raises(ValueError, match=message):
            joc.Study.load(copy)

    def test_a_torn_line_of_events_does_no_harm(self, study, tmp_path):
        copy = study.save(tmp_path / "copy").directory
        with open(copy / "events.jsonl", "a") as file:
            file.write('{"event": "fin')
        assert joc.Study.load(copy).events == study.events

    def test_two_sweeps_into_one_directory(self, tmp_path, monkeypatch):
        """The second is refused before it trains; the first one notices nothing."""
        train, refused = Session.train, []

        def slow(self, *args, **kwargs):
            with pytest.raises(BlockingIOError, match=rf"process {os.getpid()} on ") as error:
                make(tmp_path, overwrite=True)
            refused.append(error)
            return train(self, *args, **kwargs)

        monkeypatch.setattr(Session, "train", slow)
        study = make(tmp_path, epochs=2)
        assert len(refused) == 1
        pd.testing.assert_frame_equal(joc.Study.load(tmp_path).trials, study.trials)

    def test_the_directory_is_known_from_anywhere(self, study, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        saved = study.save("~/here")
        assert saved.directory == tmp_path / "here"
        assert repr(saved).startswith("Study of 'line': ")

    @pytest.mark.long
    def test_saving_later_and_reporting(self, tmp_path):
        study = make()
        with pytest.raises(ValueError, match="save the study first"):
            study.report()
        page = study.save(tmp_path / "later").report()
        assert page.read_text(encoding="utf-8").startswith("<!")

    def test_a_full_disk_does_not_lose_the_study(self, tmp_path, monkeypatch):
        def full(*args, **kwargs):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("jaxopt_course.records.store.write", full)
        with pytest.raises(OSError, match="No space left") as error:
            make(tmp_path)
        assert (error.value.study.trials["status"] == "finished").any()


KILLED = """
import os, sys
from pathlib import Path
from jaxopt_course.records import store

directory, n = Path(sys.argv[1]), int(sys.argv[2])
record = store.read(directory)
trials = record.trials.assign(train_loss=7.0)
real, calls = os.replace, []


def replace(*names):
    if len(calls) == n:
        os.kill(os.getpid(), 9)
    calls.append(names)
    real(*names)


os.replace = replace
store.write(directory, store.Record(record.manifest, trials, record.curves))
"""


@pytest.mark.parametrize("n", every(2, range(4)))  # the list of files, then each of the three
def test_kill_9_while_a_study_is_replaced(n, tmp_path, study):
    copy = shutil.copytree(study.directory, tmp_path / "copy")
    done = subprocess.run([sys.executable, "-c", KILLED, str(copy), str(n)], timeout=100)
    assert done.returncode == -9
    expected = study.trials.assign(train_loss=7.0) if n else study.trials
    before = sorted(file.name for file in copy.iterdir())
    pd.testing.assert_frame_equal(joc.Study.load(copy).trials, expected)
    assert sorted(file.name for file in copy.iterdir()) == before  # reading writes nothing
    with claims.held(copy):  # the next writer puts the files in place
        pass
    pd.testing.assert_frame_equal(joc.Study.load(copy).trials, expected)
    assert not (copy / ".commit").exists() and not list(copy.glob(".*partial"))


def test_names_and_tasks_that_are_unknown():
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        joc.sweep("digit", TRIALS, epochs=1)
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        joc.swep  # noqa: B018


def test_who_has_no_score_is_not_confirmed_for_its_metric_not_for_divergence(study):
    """All finished: to say that none did would send a reader to look for what did not happen."""
    table, metric = study.trials, study.manifest["metric"]
    finished = table[table["status"] == "finished"]
    undefined = finished.assign(**{metric: np.nan})
    with pytest.raises(ValueError, match=f"with a finite {metric}: .'finished': {len(finished)}"):
        confirming(undefined.head(1), undefined, study.manifest, 2)
