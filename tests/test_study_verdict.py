"""Pairs and seconds of a real study: what `Study` gives of them, and what it refuses."""

import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course.cli import outcome
from jaxopt_course.records import store
from jaxopt_course.report import clocks, findings, statistics


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    table = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-2, 1e-1], seed=range(2))
    path = tmp_path_factory.mktemp("runs") / "line"
    return joc.sweep("line", table, epochs=4, batch_size=5, directory=path, progress=False)


@pytest.fixture(scope="module")
def confirmed(study):
    return study.confirm(4, progress=False)


def test_the_winners_are_compared_on_fresh_seeds(confirmed):
    found = confirmed.paired_differences()
    right = statistics.paired(confirmed.trials, "valid_loss", "min")
    pd.testing.assert_frame_equal(found, right)
    assert found["n"].tolist() == [4] and found["difference"][0] >= 0


def test_a_metric_and_a_reference_may_be_named(confirmed):
    worst = confirmed.paired_differences()["optimizer"].iloc[-1]
    found = confirmed.paired_differences(reference=worst, metric="best_valid_loss", level=0.9)
    assert set(found["reference"]) == {worst} and found["difference"].iloc[0] <= 0
    assert found["level"].tolist() == [0.9]


def test_a_search_does_not_judge_its_own_winners(study):
    with pytest.raises(ValueError, match=r"'adam' has 2 configurations.*study.confirm\(\)"):
        study.paired_differences()
    with pytest.raises(ValueError, match="unknown column 'rate'"):
        study.paired_differences("rate")


def test_steps_are_timed_in_the_studys_own_program(study):
    before = store.read(study.directory)
    found = study.seconds_per_step(calls=2)
    assert sorted(found["optimizer"]) == ["adam", "sgd"]
    assert found["seconds_per_step"].is_monotonic_increasing and found["relative"][0] == 1
    assert (found["seconds_per_step"] > 0).all() and set(found["calls"]) == {2}
    assert set(found["lanes"]) == {study.manifest["lanes"]}
    assert set(found["steps"]) == {study.manifest["budget"]["evaluate_every"]}
    after, event = store.read(study.directory), store.read_events(study.directory)[-1]
    assert after.manifest == before.manifest
    pd.testing.assert_frame_equal(after.trials, before.trials)
    assert event["event"] == "clocked" and event["optimizers"] == found.to_dict("records")
    assert joc.Study.load(study.directory).replay(0).identical


def test_calls_are_as_many_as_the_time_allows(study):
    assert study.seconds_per_step(calls=2, at_most=1e-9).empty
    assert set(study.seconds_per_step(at_most=100.0)["calls"]) == {5}
    with pytest.raises(ValueError, match="calls must be a whole number of at least 2, not 1"):
        study.seconds_per_step(calls=1)


def test_a_study_from_disk_is_timed_too(study):
    loaded = joc.Study.load(study.directory)
    assert len(loaded.seconds_per_step(calls=2)) == 2


def test_compare_times_its_steps_and_the_report_has_both_clocks(study, confirmed, monkeypatch):
    path, before = study.directory, len(store.read_events(study.directory))
    monkeypatch.setattr(outcome, "CLOCK_SHARE", 1e-9)
    outcome.clock(study)
    assert len(store.read_events(path)) == before  # too dear: nothing is written
    monkeypatch.setattr(outcome, "CLOCK_SHARE", 100.0)
    outcome.clock(study)
    assert len(store.read_events(path)) == before + 1
    table = clocks.two_clocks(findings.read(path))
    assert sorted(table["optimizer"]) == ["adam", "sgd"]
    assert table["rank_by_steps"].tolist() == [1, 2] and table["relative"].min() == 1
    assert sorted(table["rank_by_seconds"]) in ([1, 1], [1, 2])
