"""What a newcomer reads from the page in ten seconds, and what it must not be told."""

import dataclasses
import html
import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from report_studies import trial, write
from rich.console import Console

from jaxopt_course.report import (
    figures,
    figures_html,
    figures_measures,
    findings,
    markup,
    page,
    separation,
    standings,
    standings_page,
    terminal,
    verdict,
)
from jaxopt_course.report.words import Words

FRESH = (5, 6, 7, 8, 9)


def study(path, fresh, search=(0.9, 0.9, 0.9), language="en", **manifest):
    """Three optimizers of one configuration; ``fresh`` is name -> its score on each fresh seed."""
    names = list(fresh)
    rows = [trial(n, 0.1, s, x) for n, x in zip(names, search, strict=False) for s in (0, 1)]
    again = [trial(n, 0.1, s, x) for n in names for s, x in zip(FRESH, fresh[n], strict=True)]
    return findings.read(write(path, rows, again, **manifest), language)


STEADY = np.array([0.90, 0.91, 0.92, 0.91, 0.90])
NOISY = STEADY - np.array([0.03, -0.02, 0.01, -0.02, 0.02])
FAR = STEADY - np.array([0.2, 0.21, 0.19, 0.2, 0.2])


@pytest.mark.parametrize(
    ("fresh", "english", "spanish"),
    [
        (
            {"adam": STEADY, "sgd": NOISY, "lion": NOISY[::-1]},
            "Not sure: sgd and lion may be as good.",
            "No es seguro frente a sgd y lion.",
        ),
        (
            {"adam": STEADY, "sgd": NOISY, "lion": FAR},
            "Sure against lion only: sgd may be as good.",
            "Seguro solo frente a lion, no frente a sgd.",
        ),
        (
            {"adam": STEADY, "sgd": FAR, "lion": FAR[::-1]},
            "Sure against all others.",
            "Seguro frente a todos los demás.",
        ),
    ],
)
def test_how_sure_is_answered_in_a_few_words(tmp_path, fresh, english, spanish):
    """Before the statistics; of the same comparisons."""
    found = study(tmp_path, fresh)
    assert separation.answer(found) == english
    assert f"<strong>How sure? {english}</strong> Paired over seeds" in page.page(found)
    assert separation.answer(findings.read(tmp_path, "es")) == spanish


def test_nobody_is_sure_of_one_seed_or_of_the_search(tmp_path):
    rows = [trial(n, 0.1, s, 0.9 - 0.1 * i) for i, n in enumerate("ab") for s in (0, 1)]
    assert separation.answer(findings.read(write(tmp_path / "search", rows))) == ""
    fresh = [trial(n, 0.1, 5, 0.9 - 0.1 * i) for i, n in enumerate("ab")]
    assert separation.answer(findings.read(write(tmp_path / "one", rows, fresh))) == ""


def test_who_tied_in_the_search_was_not_behind_in_it(tmp_path):
    """Equal means of float32 values: the search had put neither first."""
    fresh = {"adam": FAR, "sgd": STEADY}
    known = [np.float32(x) for x in (47 / 60, 48 / 60)]
    tied = [trial(n, 0.1, s, float(x)) for n, way in (("adam", 1), ("sgd", -1))
            for s, x in enumerate(known[::way])]  # fmt: skip
    again = [trial(n, 0.1, s, x) for n in fresh for s, x in zip(FRESH, fresh[n], strict=True)]
    found = findings.read(write(tmp_path / "tied", tied, again))
    assert found.ranking["optimizer"].tolist() == ["sgd", "adam"]
    assert not [said for said in verdict.remarks(found) if "had put" in said]
    found = study(tmp_path / "apart", fresh, (0.9, 0.8))
    assert "The search itself had put adam first." in verdict.remarks(found)


def test_trials_at_the_level_of_one_answer_are_counted(tmp_path):
    """They did not diverge, so that the share of those says nothing of them."""
    rows = [trial("adam", rate, s, x) for rate, x in ((0.1, 0.9), (1.0, 0.4), (9.0, 0.39))
            for s in (0, 1)]  # fmt: skip
    task = {"name": "digits", "metrics": {"accuracy": "max"}, "baselines": {"accuracy": 0.4}}
    said = "4 of 6 trials did not diverge and are no better than one answer for all examples"
    found = findings.read(write(tmp_path, rows, task=task))
    assert f"{said} (validation accuracy 0.4)." in verdict.remarks(found)
    one = findings.read(write(tmp_path / "one", rows[:3], task=task))
    said = "1 of 3 trials did not diverge and is no better than one answer for all examples"
    assert f"{said} (validation accuracy 0.4)." in verdict.remarks(one)
    found = findings.read(write(tmp_path / "b", rows[:2], task=task))
    assert not [one for one in verdict.remarks(found) if "no better than" in one]
    found = findings.read(write(tmp_path / "c", rows))  # nobody knows what one answer reaches
    assert not [one for one in verdict.remarks(found) if "no better than" in one]


def test_a_column_that_some_lack_has_its_parallel_axis(tmp_path):
    """Who has no such number crosses below all who do, at a tick of its own."""
    rows = [trial("sgd", rate, s, 0.8) for rate in (0.01, 0.1) for s in (0, 1)]
    rows += [trial("adam", 0.1, s, 0.9, b1=b1) for b1 in (0.5, 0.9) for s in (0, 1)]
    drawn = figures_measures.parallel(findings.read(write(tmp_path, rows)))
    axes = {axis["label"]: axis for axis in drawn["data"][0]["dimensions"]}
    places = axes["b1"]["values"]
    assert places[:2] == [0.5, 0.9] or places[:2] == [0.9, 0.5]
    assert places[2] == places[3] == axes["b1"]["tickvals"][0] < 0.5
    assert axes["b1"]["ticktext"][0] == "–" and axes["b1"]["ticktext"][1] == "0.5"
    assert "–" not in axes["learning_rate"].get("ticktext", [])


def test_a_map_shows_results_by_size_and_the_basin_filled(tmp_path):
    scores = {(0.1, 0.5): 0.9, (0.1, 0.9): 0.88, (1.0, 0.5): 0.6, (9.0, 0.5): 0.4}
    rows = [trial("adam", rate, s, x, b1=b1)
            for (rate, b1), x in scores.items() for s in (0, 1)]  # fmt: skip
    drawn = figures_measures.basin_map(findings.read(write(tmp_path, rows)))["data"]
    sizes = {
        (x, y): (size, trace["marker"]["symbol"].endswith("open"))
        for trace in drawn
        for x, y, size in zip(trace["x"], trace["y"], trace["marker"]["size"], strict=True)
    }
    assert sorted(sizes, key=sizes.get, reverse=True) == [*scores]
    assert [empty for _, empty in map(sizes.get, scores)] == [False, False, True, True]


def test_the_scale_holds_those_that_were_stopped_far_off(tmp_path):
    """A loss of thousands, where a scheduler stopped it, flattens nothing."""
    rows = [trial("sgd", 0.1, s, 0.5, best_valid_loss=0.5) for s in (0, 1)]
    rows += [
        trial("sgd", 1.0, s, status="stopped", stopped_step=20, best_valid_loss=2.0) for s in (0, 1)
    ]
    path = write(tmp_path, rows, metric="valid_loss", direction="min")
    found = findings.read(path)
    courses = found.courses.copy()
    courses.loc[2] = [5.0, 7000.0, np.nan, np.nan]
    far = figures_html.sensitivity(dataclasses.replace(found, courses=courses))
    assert far["layout"]["yaxis"]["type"] == "log"
    assert max(far["layout"]["yaxis"]["tickvals"]) >= 1000


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_broke_flattens_no_axis_of_losses(tmp_path, language):
    """Losses of 1e8 stand as arrows at three times what the mean has."""
    task = {"name": "sales", "metrics": {"loss": "min"}, "baselines": {"loss": 1.0}}
    rows = [
        trial("sgd", rate, s, loss=loss)
        for rate, loss in {0.01: 0.4, 0.1: 0.2, 1.0: 1e8}.items()
        for s in (0, 1)
    ]
    study = {"metric": "valid_loss", "direction": "min", "task": task}
    found = findings.read(write(tmp_path / "a", rows, **study), language)
    plot = figures_html.sensitivity(found)
    low, high = 10 ** np.array(plot["layout"]["yaxis"]["range"])
    assert 0.1 < low < 0.2 and 3 < high < 4
    (arrow,) = [one for one in plot["data"] if one.get("marker", {}).get("symbol") == "triangle-up"]
    assert (arrow["x"], arrow["y"]) == ([1.0], [3.0]) and arrow["text"] in (["1e8"], ["100000000"])
    assert any("▲" in note["text"] for note in plot["layout"]["annotations"])
    drawn = Figure()
    assert figures.sensitivity(found, drawn) and drawn.axes[0].get_ylim()[1] == pytest.approx(high)
    (mark,) = [line for line in drawn.axes[0].lines if line.get_marker() == "^"]
    np.testing.assert_array_equal(mark.get_xydata(), [[1.0, 3.0]])
    near = [row | {"valid_loss": min(row["valid_loss"], 20.0)} for row in rows]
    plot = figures_html.sensitivity(findings.read(write(tmp_path / "b", near, **study), language))
    assert "range" not in plot["layout"]["yaxis"]


@pytest.mark.parametrize(("best", "text"), [(0.99, "0.99"), (1.0, "1")])
def test_scores_near_1_are_told_apart(tmp_path, best, text):
    """The axis is of errors: 0.98 and 0.99 lie as far apart as 0.8 and 0.9; 1 has a place."""
    scores = {0.001: 0.5, 0.01: 0.98, 0.1: best}
    rows = [trial("sgd", rate, s, x) for rate, x in scores.items() for s in (0, 1)]
    found = findings.read(write(tmp_path, rows))
    plot = figures_html.sensitivity(found)
    axis = plot["layout"]["yaxis"]
    assert (axis["type"], axis["autorange"]) == ("log", "reversed") and text in axis["ticktext"]
    for tick, said in zip(axis["tickvals"], axis["ticktext"], strict=True):
        assert 1 - tick == pytest.approx(float(said)) or said == "1"
    (line,) = [one for one in plot["data"] if one.get("mode") == "lines+markers"]
    assert line["customdata"] == list(scores.values()) and "customdata" in line["hovertemplate"]
    assert line["y"][:2] == pytest.approx([0.5, 0.02]) and 0 < line["y"][2] < 0.02
    drawn = Figure()
    assert figures.sensitivity(found, drawn)
    axes = drawn.axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), list(scores.values()))
    height = lambda y: axes.transData.transform((0.01, y))[1]
    assert height(0.99) - height(0.98) == pytest.approx(height(0.9) - height(0.8), rel=1e-6)
    assert np.isfinite(height(1.0)) and height(1.0) >= height(best)


def test_scores_far_from_1_have_a_plain_axis(tmp_path):
    rows = [trial("sgd", rate, s, x) for rate, x in {0.01: 0.2, 0.1: 0.9}.items() for s in (0, 1)]
    plot = figures_html.sensitivity(findings.read(write(tmp_path, rows)))
    assert "type" not in plot["layout"]["yaxis"]


def test_seeds_that_agree_promise_no_certainty(tmp_path):
    """A spread of 0 is no interval: it says that each seed gave that number."""
    rows = [trial(n, 0.1, s, x) for n, x in {"sgd": 0.8, "adam": 0.9}.items() for s in (0, 1)]
    fresh = [row | {"seed": row["seed"] + 5, "test_accuracy": 0.75} for row in rows]
    found = findings.read(write(tmp_path, rows, fresh))
    assert "validation accuracy 0.9 with each of 2 fresh seeds" in verdict.headline(found)
    cells = [cell for row in verdict.ranking_table(found)[1] for cell in row]
    assert "0.75 (with each seed)" in cells and not any("±" in cell for cell in cells)
    spanish = findings.read(tmp_path, "es")
    assert "0,9 con cada una de 2 semillas nuevas" in verdict.headline(spanish)


def test_a_command_breaks_between_options_only():
    code = "jaxopt-course compare --learning-rates 0.1 --csv 'my --file.csv'"
    shown = markup.copyable(code, Words(), "next")
    assert "<span>--learning-rates</span> 0.1 <span>--csv</span>" in shown
    assert html.unescape(re.sub("<[^>]+>", "", shown)) == code + "Copy"
    assert "<span>" not in markup.copyable("sgd(0.1)\n--x", Words(), "next")


def test_what_a_scheduler_hid_has_no_share_of_the_variance(tmp_path):
    scores, halted = {"sgd": 0.8, "adam": 0.9}, {"status": "stopped", "stopped_step": 20}
    seen = {"best_valid_loss": 0.5}
    rows = [trial(n, 0.1, s, x + 0.01 * s, **seen) for n, x in scores.items() for s in (0, 1)]
    assert figures_measures.shares(findings.read(write(tmp_path / "a", rows))) is not None
    rows += [trial(n, 1.0, s, **seen, **halted) for n in scores for s in (0, 1)]
    assert figures_measures.shares(findings.read(write(tmp_path / "b", rows))) is None


def test_that_steps_were_not_timed_is_said(tmp_path):
    found = study(tmp_path, {"adam": STEADY, "sgd": FAR})
    assert "Steps were not timed: study.seconds_per_step()" in page.page(found)


def test_the_winners_of_tasks_show_numbers_that_are_alike_on_all():
    """A decay that won on every task is one of the numbers to use."""
    winners = pd.DataFrame(
        {
            "task": ["a", "b"], "optimizer": "muon", "learning_rate": [0.1, 0.2],
            "weight_decay": 0.01, "decay_biases": False, "valid_loss": [1.0, 2.0],
            "valid_loss_std": 0.1, "rank": 1, "at_edge": "",
        }
    )  # fmt: skip
    searched = ["task", "optimizer", "learning_rate", "weight_decay", "decay_biases"]
    manifest = {"metric": "valid_loss", "direction": "min", "searched": searched}
    ranks = standings.standings(winners, "valid_loss", "min")
    found = standings.Standings(manifest, ranks, winners, True, winners)
    shown = [row[4].shown for row in standings_page._winners(found)]
    assert shown == [f"learning_rate={rate}, weight_decay=0.01" for rate in (0.1, 0.2)]


def test_where_all_diverged_no_line_is_drawn(tmp_path):
    """On a logarithmic axis of losses a missing value is a gap, and no fall to the bottom."""
    rows = [trial("sgd", 0.01, s, loss=0.01) for s in (0, 1)]
    rows += [trial("sgd", 0.1, s, loss=0.5) for s in (0, 1)]
    rows += [trial("sgd", 1.0, s, status="diverged") for s in (0, 1)]
    found = findings.read(write(tmp_path, rows, metric="valid_loss", direction="min"))
    plot = figures_html.sensitivity(found)
    (line,) = [one for one in plot["data"] if one.get("mode") == "lines+markers"]
    assert plot["layout"]["yaxis"]["type"] == "log"
    assert line["y"] == [pytest.approx(0.01), pytest.approx(0.5), None]


def test_spanish_heads_are_whole_where_the_names_are_short(tmp_path):
    """A column of names is at least as wide as what stands above it."""
    rows = [trial(n, 0.00552, s, x, b1=0.00345) for n, x in {"sgd": 0.9, "lion": 0.8}.items()
            for s in (0, 1)]  # fmt: skip
    rows += [trial("sgd", 0.1, 0, b1=0.5)]
    fresh = [row | {"seed": row["seed"] + 5, "valid_accuracy": row["valid_accuracy"] + 0.01 * i}
             for i, row in enumerate(rows[:4])]  # fmt: skip
    screen = io.StringIO()
    found = findings.read(write(tmp_path, rows, fresh), "es")
    terminal.print_report(found, Console(width=76, file=screen))
    heads = screen.getvalue().partition("──")[0]
    assert "optimizador" in heads and "búsqueda" in heads and "…" not in heads
