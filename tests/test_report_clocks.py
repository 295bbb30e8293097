"""Two clocks: the ranking by steps and by seconds, of made-up curves and times."""

import json
from io import StringIO

import numpy as np
import pytest
from long_form import every
from report_studies import trial, write
from rich.console import Console

from jaxopt_course.report import clocks, findings, print_report, verdict

# The made-up curves end at 40 steps, with an evaluation every 10; all trials of a study share them
# but for 0.1 of their number, so that the first trials have the higher accuracy everywhere.
NAMES = ("adam", "sgd", "lion")


def rows(seeds=(10, 11), lost=()):
    return [
        trial(name, 0.1, seed, 0.9 - 0.01 * i, "diverged" if name in lost else "finished")
        for i, name in enumerate(NAMES)
        for seed in seeds
    ]


def study(tmp_path, seconds, lost=(), **manifest):
    write(tmp_path, rows((0, 1)), rows(lost=lost), **manifest)
    event = {"event": "clocked", "optimizers": seconds}
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
    return findings.read(tmp_path)


def times(**seconds):
    return [{"optimizer": name, "seconds_per_step": s} for name, s in seconds.items()]


def test_the_quick_one_wins_where_all_have_its_time(tmp_path):
    """sgd trains 40 steps while adam does 10; its curve is behind at the end, not before."""
    found = study(tmp_path, times(adam=4e-3, sgd=1e-3, lion=1.5e-3))
    table = clocks.two_clocks(found)
    assert list(table) == list(clocks.COLUMNS)
    assert table["optimizer"].tolist() == ["adam", "sgd", "lion"]
    assert table["rank_by_steps"].tolist() == [1, 2, 3]
    assert table["score_by_steps"].tolist() == pytest.approx([0.9, 0.89, 0.88])
    assert table["relative"].tolist() == pytest.approx([4, 1, 1.5])
    assert set(table["seconds"]) == {0.04} and table["steps"].tolist() == [10, 40, 26]
    curves = found.curves[found.curves["quantity"] == "valid_accuracy"]
    at = lambda name, step: curves[(curves["optimizer"] == name) & (curves["step"] == step)]["mean"]
    right = [at("adam", 10).item(), at("sgd", 40).item(), at("lion", 20).item()]
    assert table["score_by_seconds"].tolist() == pytest.approx(right)
    assert table["rank_by_seconds"].tolist() == [3, 1, 2]
    assert verdict.remarks(found)[-2:] == [
        "A step of adam takes 4 times as long as one of sgd, the quickest.",
        "Given the seconds that sgd takes, sgd is first; 3 of 3 change place.",
    ]


def test_equal_times_leave_the_order(tmp_path):
    found = study(tmp_path, times(adam=2e-3, sgd=2e-3, lion=2e-3))
    assert clocks.two_clocks(found)["rank_by_seconds"].tolist() == [1, 2, 3]
    assert "adam is first, too; none of 3 change place." in verdict.remarks(found)[-1]


def test_who_is_too_slow_for_one_evaluation_has_no_score(tmp_path):
    found = study(tmp_path, times(adam=1.0, sgd=1e-3, lion=1e-3))
    table = clocks.two_clocks(found)
    assert table["score_by_seconds"].isna().tolist() == [True, False, False]
    assert table["rank_by_seconds"].isna().tolist() == [True, False, False]


def test_the_best_so_far_counts_where_the_best_ranks(tmp_path):
    best = [row | {"best_valid_accuracy": row["valid_accuracy"]} for row in rows((0, 1))]
    write(tmp_path, best, metric="best_valid_accuracy")
    event = {"event": "clocked", "optimizers": times(adam=1e-3, sgd=1e-3)}
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
    table = clocks.two_clocks(findings.read(tmp_path))
    assert table["optimizer"].tolist() == ["adam", "sgd"]  # lion was never timed
    assert table["rank_by_seconds"].tolist() == [1, 2]


def test_a_diverged_optimizer_sets_no_time(tmp_path):
    """Its curve ends early; it has no score by either clock."""
    found = study(tmp_path, times(adam=1e-3, sgd=1e-3, lion=1e-6), lost=["lion"])
    table = clocks.two_clocks(found).set_index("optimizer")
    assert table.loc["adam", "seconds"] == pytest.approx(0.04)
    assert np.isnan(table.loc["lion", "score_by_seconds"])


@pytest.mark.parametrize(
    "odd",
    every(
        3, [None, "adam", [3], [{"optimizer": 3}], times(adam=-1.0), times(adam="1"), times(x=1.0)]
    ),
)
def test_whatever_stands_in_the_events_breaks_no_report(tmp_path, odd):
    found = study(tmp_path, odd)
    assert clocks.two_clocks(found).empty and clocks.sentences(found, {}) == []
    assert "by time" not in [column.short for column in verdict.ranking_table(found)[0]]


def test_the_terminal_has_both_where_there_is_room(tmp_path):
    study(tmp_path, times(adam=4e-3, sgd=1e-3, lion=1.5e-3))
    texts = []
    for width in (40, 110):
        console = Console(file=StringIO(), width=width)
        print_report(tmp_path, console)
        texts.append(console.file.getvalue())
    narrow, text = texts
    assert (
        "4.00x" not in narrow
        and "by time" not in narrow
        and "A step of adam" in " ".join(narrow.split())
    )
    assert "4.00x" in text and "1.50x" in text and "by time: rank if" in " ".join(text.split())
