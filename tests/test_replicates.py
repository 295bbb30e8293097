"""Columns that repeat a configuration: it is scored by the mean over all of them."""

import json

import numpy as np
import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course.records.format import making

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)
FOLD = np.arange(60) % 3
QUICK = {"steps": 6, "batch_size": 16, "lanes": 2, "progress": False}


def made(fold):
    """The task of a fold; with static=["fold"] each is a program of its own."""
    a, b = fold != FOLD, fold == FOLD
    return joc.Task.from_flax(
        lambda rngs: joc.MLP(3, 4, 2, rngs=rngs), X[a], Y[a],
        valid=(X[b], Y[b]), test=(X[b], Y[b]), loss="softmax_cross_entropy", name="cv",
    )  # fmt: skip


TRIALS = joc.grid(optimizer="adam", learning_rate=[1e-3, 0.1], fold=range(3), seed=range(2))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return joc.sweep(
        made, TRIALS, static=["fold"], replicates=["fold"],
        directory=tmp_path_factory.mktemp("replicates") / "s", **QUICK,
    )  # fmt: skip


def test_configurations_are_means_over_folds_and_seeds(study):
    ranked = study.configurations().set_index("learning_rate")
    by_hand = study.trials.groupby("learning_rate")["valid_accuracy"].agg(
        ["mean", "std", "min", "max"]
    )
    assert len(ranked) == 2 and "fold" not in ranked
    assert (ranked["seeds"] == 2).all() and (ranked["replicates"] == 6).all()
    assert ranked["valid_accuracy"].to_dict() == pytest.approx(by_hand["mean"].to_dict())
    for part in ("std", "min", "max"):
        assert ranked[f"valid_accuracy_{part}"].to_dict() == pytest.approx(by_hand[part].to_dict())
    assert study.best()["learning_rate"] == by_hand["mean"].idxmax()
    assert len(study.winners()) == 1 and study.winners()["trials"][0] == 12
    assert study.winners()["at_edge"][0] == ""
    assert study.replicates == ["fold"] and "fold" not in study.hyperparameters
    assert "fold" in study.curves.coords


@pytest.mark.long
def test_a_replicate_is_part_of_what_a_trial_is(study):
    plain = joc.sweep(made, TRIALS, static=["fold"], **QUICK)
    columns = ["id", "fold", "seed", "valid_accuracy"]
    pd.testing.assert_frame_equal(plain.trials[columns], study.trials[columns])
    assert len(plain.configurations()) == 6  # nobody said that folds are replicates
    assert plain.manifest.keys() == study.manifest.keys() - {"replicates"}
    assert plain.manifest["program_sha256"] == study.manifest["program_sha256"]


@pytest.mark.long
def test_disk_report_confirmation_and_extension(study):
    loaded = joc.Study.load(study.directory)
    pd.testing.assert_frame_equal(loaded.configurations(), study.configurations())
    fresh = loaded.confirm([7, 8], task=made, progress=False)
    best = study.best()["learning_rate"]
    assert sorted(fresh.trials[["fold", "seed"]].itertuples(index=False, name=None)) == [
        (fold, seed) for fold in range(3) for seed in (7, 8)
    ]
    assert set(fresh.trials["learning_rate"]) == {best} and len(fresh.configurations()) == 1
    page = loaded.report().read_text(encoding="utf-8")
    assert "mean of 6 fresh replicates" in page and "fold (highest)" not in page
    assert "intervals over them are too narrow" in page
    more = joc.grid(optimizer="adam", learning_rate=[0.3], fold=[0, 1], seed=range(3))
    longer = joc.Study.load(study.directory).extend(more, task=made, progress=False)
    ranked = longer.configurations()
    assert ranked["replicates"].tolist() == [6, 6, 6]
    assert ranked["learning_rate"].iloc[-1] == 0.3  # as many trainings, but of fewer folds
    assert json.loads((study.directory / "manifest.json").read_text())["replicates"] == ["fold"]


def test_a_replicate_is_replayed_as_it_was(study):
    assert study.replay(5).identical


def test_a_configuration_with_a_diverged_fold_ranks_last(study):
    trials = study.trials.copy()
    best = (trials["learning_rate"] == study.best()["learning_rate"]) & (trials["fold"] == 1)
    trials.loc[best & (trials["seed"] == 0), "status"] = "diverged"
    ranked = joc.Study(trials, study.curves, study.manifest).configurations()
    assert ranked["learning_rate"].iloc[-1] == study.best()["learning_rate"]
    assert ranked["valid_accuracy"].isna().tolist() == [False, True]


@pytest.mark.long
def test_two_replicate_columns():
    def noisy(fold, copy):
        return made((fold + copy) % 3)

    trials = joc.grid(optimizer="adam", learning_rate=[0.01, 0.1], fold=range(2), copy=range(2))
    study = joc.sweep(noisy, trials, static=["fold", "copy"], replicates=["fold", "copy"], **QUICK)
    assert study.configurations()["replicates"].tolist() == [4, 4]
    assert study.hyperparameters == making(study.manifest)


def test_a_scheduler_cannot_compare_folds_of_several_programs():
    with pytest.raises(ValueError, match="other values of 'fold' are in other programs"):
        joc.sweep(made, TRIALS, static=["fold"], replicates=["fold"], scheduler=joc.ASHA(), **QUICK)


@pytest.mark.parametrize(
    "replicates, error, said",
    [
        ("fold", TypeError, r"replicates=\['fold'\]"),
        (["flod"], ValueError, "unknown column 'flod'"),
        (["fold", "fold"], ValueError, "each column once"),
        (["optimizer"], ValueError, "the optimizer is what is compared"),
    ],
)
def test_wrong_replicates_are_named_before_work_starts(replicates, error, said):
    with pytest.raises(error, match=said):
        joc.sweep(made, TRIALS, static=["fold"], replicates=replicates, **QUICK)


@pytest.mark.long
def test_the_seed_may_be_named_as_a_replicate(study):
    again = joc.sweep(made, TRIALS.head(6), static=["fold"], replicates=["seed"], **QUICK)
    assert again.replicates == [] and "replicates" not in again.manifest
