"""Who sat in which lane, when: noted by the engine, kept in the events, drawn on the page."""

import json

import jax
import numpy as np
import pandas as pd
import pytest
import report_studies

import jaxopt_course as joc
from jaxopt_course.report import cards, figures_lanes, findings
from jaxopt_course.report.measures.sittings import busy, sittings
from jaxopt_course.sweeps import sittings as noted

COLUMNS = ["device", "lane", "trial", "begin", "end", "optimizer"]


def test_who_stays_has_one_sitting_and_who_comes_back_another():
    seen = noted.Sittings(begun=100.0)
    for begin, guests in enumerate([[7, 8], [7, -1], [9, 8], [7, 8]]):
        seen.note("a", np.array(guests), 100.0 + begin, 101.0 + begin)
    seen.note("b", np.array([7]), 100.0, 102.5)
    assert seen.told(np.arange(100, 200)) == [
        ["a", 0, 107, 0.0, 2.0],
        ["a", 1, 108, 0.0, 4.0],  # a lane that is left and taken again by the same: one
        ["a", 0, 109, 2.0, 3.0],
        ["a", 0, 107, 3.0, 4.0],
        ["b", 0, 107, 0.0, 2.5],
    ]


def test_no_more_are_kept_than_can_be_seen(monkeypatch):
    monkeypatch.setattr(noted, "MOST", 2)
    seen = noted.Sittings(begun=0.0)
    for row in (0, 1, 2, 1):
        seen.note("a", np.array([row]), float(row), row + 1.0)
    assert [one.row for one in seen.kept] == [0, 1]
    assert seen.kept[1].end == 2.0  # nobody is said to have sat there while another did


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Nine trials in two lanes, of which some leave early."""
    table = joc.grid(optimizer="sgd", learning_rate=[1e-3, 1e-2, 1e30], seed=range(3))
    folder = tmp_path_factory.mktemp("sittings") / "s"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "local_devices", lambda: jax.devices()[:2])
        return joc.sweep("line", table, epochs=4, batch_size=5, lanes=2, directory=folder)


def test_every_trial_of_a_sweep_sits_somewhere_and_nowhere_twice(study):
    table = sittings(study.events, study.trials.assign(optimizer="sgd"))
    assert set(table["trial"]) == set(study.trials["trial"])
    assert table["lane"].isin([0, 1]).all() and table["device"].nunique() <= 2
    for _, lane in table.sort_values(["begin", "end"]).groupby(["device", "lane"]):
        assert (lane["begin"].to_numpy()[1:] >= lane["end"].to_numpy()[:-1]).all()
    for _, own in table.sort_values(["begin", "end"]).groupby("trial"):
        assert (own["begin"].to_numpy()[1:] >= own["end"].to_numpy()[:-1]).all()
    assert 0 < busy(table) <= 1 and table["end"].max() <= study.events[-1]["seconds"]
    assert joc.Study.load(study.directory).events == study.events


def test_programs_follow_each_other(tmp_path):
    table = joc.grid(optimizer="sgd", learning_rate=[1e-3, 1e-2], batch_size=[2, 5], seed=[0])
    study = joc.sweep("line", table, static=["batch_size"], epochs=2, directory=tmp_path / "s")
    found = sittings(study.events, study.trials.assign(optimizer="sgd"))
    assert sorted(found["trial"]) == [0, 1, 2, 3]
    sizes = study.trials.set_index("trial")["batch_size"].loc[found["trial"]].to_numpy()
    first, second = (found[sizes == size] for size in dict.fromkeys(sizes))
    assert second["begin"].min() >= first["end"].max()
    assert all("sittings" not in bucket for bucket in study.events[-1]["buckets"])


@pytest.mark.parametrize(
    "written",
    [
        5, "x", {"a": 1}, [], [5], [["a", 0, 0, 0.0]], [["a", "0", 0, 0.0, 1.0]],
        [["a", 0, 0, 2.0, 1.0]], [["a", 0, 0, 0.0, float("nan")]], [["a", 10**30, 0, 0.0, 1.0]],
        [["a", 0, 2**64, 0.0, 1.0]], [["a", True, 0, 0.0, 1.0]],
        [["a", 0, 99, 0.0, 1.0]], [[None, 0, 0, 0.0, 1.0]], [["a", -1, 0, 0.0, 1.0]],
    ],
    ids=repr,
)  # fmt: skip
def test_what_others_write_there_is_left_out(written):
    trials = pd.DataFrame({"trial": [0], "optimizer": ["sgd"]})
    found = sittings([7, {"event": "finished", "sittings": written}], trials)
    assert found.columns.tolist() == COLUMNS and found.empty


def test_the_page_draws_them_and_no_name_is_obeyed(tmp_path):
    rows = [report_studies.trial(name, 0.1, seed) for name in ("sgd", "adam") for seed in range(2)]
    directory = report_studies.write(tmp_path / "s", rows)
    known = findings.read(directory)
    assert known.sittings.empty and figures_lanes.lanes_in_time(known) is None
    trials = known.trials.drop_duplicates("optimizer")["trial"].astype(int).tolist()
    told = [["<b>", lane, trial, lane, lane + 1.5] for lane, trial in enumerate(trials)]
    told += [["<b>", 0, trials[0], 3, 4]]
    event = {"event": "finished", "sittings": told}
    with open(directory / "events.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")
    known = findings.read(directory, "es")
    drawn = figures_lanes.lanes_in_time(known)
    assert len(drawn["data"]) == len(trials)
    bars = {bar["meta"]: bar for bar in drawn["data"]}
    first = bars[known.optimizers.index(known.trials.set_index("trial")["optimizer"][trials[0]])]
    assert (
        first["base"] == [0, 3] and first["x"] == [1.5, 1] and first["text"] == [f"{trials[0]}"] * 2
    )
    assert first["y"] == ["&lt;b&gt; · 0"] * 2
    page = cards.section(known, ())
    assert "¿Qué carril trabajaba y cuándo?" in page and "<b>" not in page
