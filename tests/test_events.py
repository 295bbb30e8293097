"""A process is killed after its study is committed and before ``events.jsonl`` is written.

The results are whole.  Who reads them says that times are not known; ``resume`` writes the rest.
"""

import json

import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.live import present
from jaxopt_course.records import checkpoints, store
from jaxopt_course.report import findings

TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-2, 1e-1], seed=range(2))
UNTOLD = "not known: events.jsonl is missing or empty"


class Killed(BaseException):
    pass


def killed(monkeypatch, work):
    """Let it work until the events are about to be written."""

    def dies(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(store, "write_events", dies)
        work()


def sweep(**settings):
    return joc.sweep("line", TRIALS, epochs=3, batch_size=5, progress=False, **settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return sweep(directory=tmp_path_factory.mktemp("runs") / "whole")


def shown(directory):
    return findings.read(directory).environment.set_index("name")["value"]


def same(study, whole):
    pd.testing.assert_frame_equal(study.trials, whole.trials)
    assert study.curves.equals(whole.curves)
    assert store.identity(study.manifest) == store.identity(whole.manifest)


def test_a_sweep_that_is_killed_there_is_loaded_reported_watched_and_gone_on_with(
    whole, monkeypatch, tmp_path, capsys
):
    path = tmp_path / "study"
    killed(monkeypatch, lambda: sweep(directory=path))
    assert not (path / "events.jsonl").exists() and checkpoints.is_unfinished(path)
    loaded = joc.Study.load(path)
    same(loaded, whole)
    assert loaded.events == ()
    assert shown(path)["wall time"].startswith(UNTOLD)
    cli.main(["report", str(path)])
    assert "adam" in capsys.readouterr().out
    assert UNTOLD in (path / "report.html").read_text("utf-8")
    there = present.Watcher(path).look()
    assert (there.state, there.over, there.total, there.trouble) == ("stopped", 8, 8, "")
    with pytest.raises(FileExistsError, match=r"go on with it \(Study.resume"):
        sweep(directory=path)
    study = joc.Study.resume(path, progress=False)
    same(study, whole)
    assert not checkpoints.is_unfinished(path) and shown(path)["wall time"].endswith(" s")
    assert present.Watcher(path).look().state == "finished"


def test_a_study_whose_saving_is_killed_there_is_whole_without_times(whole, monkeypatch, tmp_path):
    path = tmp_path / "study"
    killed(monkeypatch, lambda: whole.save(path))
    for study in (joc.Study.load(path), joc.Study.resume(path, progress=False)):
        same(study, whole)
    watcher = present.Watcher(path)
    assert watcher.look().state == "finished" and UNTOLD in watcher.page()
    with pytest.raises(ValueError, match="at_most= is a share of the time that training took"):
        study.seconds_per_step(at_most=0.5)
    assert len(study.seconds_per_step(calls=2)) == 2
    assert shown(path)["wall time"].startswith(UNTOLD)  # that is another clock


def test_a_confirmation_that_is_killed_there_counts(whole, monkeypatch, tmp_path):
    path = tmp_path / "study"
    study = whole.save(path)
    killed(monkeypatch, lambda: study.confirm(2, progress=False))
    assert not (path / "confirm" / "events.jsonl").exists()
    assert findings.read(path).confirmed
    left = joc.Study.load(path / "confirm")
    right = study.confirm(2, progress=False)
    pd.testing.assert_frame_equal(left.trials, right.trials)


def test_times_are_not_missed_while_a_trial_is_still_trained():
    assert "wall time" not in findings.environment({}, [], over=False)["name"].tolist()
    rows = findings.environment({}, [], "es", over=True).set_index("name")["value"]
    assert rows["wall time"].startswith("no se sabe: falta events.jsonl")


def test_whoever_watches_sees_an_event_that_comes_later(whole, tmp_path):
    """As of ``seconds_per_step``, which changes no other file."""
    path = tmp_path / "study"
    whole.save(path)
    before = present.mark_of(path)
    events = [*store.read_events(path), json.loads('{"event": "clocked"}')]
    store.write_events(path, events)
    assert present.mark_of(path) != before
