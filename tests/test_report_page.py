"""What the report shows is what the study holds; it needs no network, no jax, and no luck."""

import functools
import json
import subprocess
import sys
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from long_form import every, put
from report_studies import trial, write
from rich.console import Console
from scipy import stats

from jaxopt_course.records import store
from jaxopt_course.report import (
    cards,
    figures,
    figures_html,
    findings,
    page,
    print_report,
    terminal,
    verdict,
    write_report,
)

NAMES = ["sgd", "adam", "<b>x</b>"]
RATES = [0.01, 0.1, 1.0]
SEEDS, FRESH = [0, 1, 2], [10, 11, 12, 13]


def search(**changes):
    """Three optimizers, best at 0.1; ``sgd`` diverges with one seed at 1.0, the third with all."""
    rows = []
    for i, name in enumerate(NAMES):
        for rate in RATES:
            for seed in SEEDS:
                lost = rate == 1.0 and ((name == "sgd" and seed == 1) or name == "<b>x</b>")
                score = 0.8 + 0.02 * i + 0.01 * seed - 0.1 * abs(np.log10(rate) + 1)
                status = "diverged" if lost else "finished"
                rows.append(trial(name, rate, seed, score, status, 1 - score) | changes)
    return rows


def again(scores, rate=0.1, lost=()):
    """Fresh trials of each optimizer around its entry of ``scores``; those in ``lost`` diverge."""
    return [
        trial(name, rate, seed, score + spread, "diverged" if (name, seed) in lost else "finished")
        for name, score in zip(NAMES, scores, strict=True)
        for seed, spread in zip(FRESH, (-0.01, 0.0, 0.01, 0.02), strict=True)
    ]


class Page(HTMLParser):
    """The tags of a page, its text, and the plots in it."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.plots, self.inside = [], [], {}, (None, {})
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.inside = tag, dict(attributes)
        self.tags.append(self.inside)

    def handle_endtag(self, tag):
        self.inside = None, {}

    def handle_data(self, data):
        tag, attributes = self.inside
        if "data-for" in attributes:
            assert "<" not in data  # nothing in it can end the script
            self.plots[attributes["data-for"].removeprefix("plot-")] = json.loads(data)
        elif tag not in ("script", "style"):
            self.texts.append(data)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = write(tmp_path_factory.mktemp("runs") / "first", search(), again([0.7, 0.9, 0.8]))
    write_report(path)
    return path


@pytest.fixture(scope="module")
def shown(directory):
    return Page(directory / "report.html")


@pytest.fixture(scope="module")
def found(directory):
    return findings.read(directory)


def traces(plot, name, **has):
    """The traces of an optimizer that have these attributes."""
    shown_name = name.replace("<", "&lt;").replace(">", "&gt;")
    return [
        trace
        for trace in plot["data"]
        if trace["name"] == shown_name and all(trace.get(key) == has[key] for key in has)
    ]


@pytest.fixture(scope="module")
def drawn(found):
    """The axes that matplotlib makes of a figure, which is drawn once."""
    from matplotlib.figure import Figure

    @functools.cache
    def axes(draw):
        figure = Figure()
        assert draw(found, figure)
        return figure.axes

    return axes


@pytest.fixture
def read_once(monkeypatch):
    """The page, the terminal and the test read a study that does not change: one reading."""
    known = functools.cache(findings.read)
    once = lambda path, language="en": known(path, language)
    for module in (findings, page, terminal):
        monkeypatch.setattr(module, "read", once)


def points(axes):
    return [tuple(line.get_xydata().T.round(9).tolist()) for line in axes.lines]


def expected_band(directory, quantity, name):
    """Steps, mean, lowest and highest over the fresh seeds, by a loop over the files."""
    confirmed = store.read(directory / "confirm")
    rows = confirmed.trials["trial"][confirmed.trials["optimizer"] == name]
    curves = [confirmed.curves[quantity].sel(trial=t).to_numpy().astype(float) for t in rows]
    assert len(curves) == len(FRESH)
    return [1, 2, 3, 4], *[[f(c) for c in zip(*curves, strict=True)] for f in (np.mean, min, max)]


@pytest.mark.parametrize("quantity", ["train_loss", "valid_loss", "valid_accuracy"])
@pytest.mark.parametrize("name", NAMES)
def test_curves_are_the_studys(directory, shown, found, drawn, quantity, name):
    epochs, mean, low, high = expected_band(directory, quantity, name)
    (line,) = traces(shown.plots[quantity], name, mode="lines+markers")
    assert line["x"] == epochs
    errors = shown.plots[quantity]["layout"]["yaxis"].get("autorange") == "reversed"
    drawn_at = lambda scores: [1 - y for y in scores] if errors else list(scores)
    assert errors == (quantity == "valid_accuracy")  # from a half to nearly 1
    assert line["y"] == pytest.approx(drawn_at(mean), rel=1e-5)
    (band,) = traces(shown.plots[quantity], name, fill="toself")
    assert band["x"] == epochs + epochs[::-1]
    assert band["y"] == pytest.approx(drawn_at(high + low[::-1]), rel=1e-5)

    panels = {axes.get_ylabel(): axes for axes in drawn(figures.curves)}
    axes = panels[
        quantity.replace("valid", "validation").replace("train", "training").replace("_", " ")
    ]
    line = axes.lines[list(found.ranking["optimizer"]).index(name)]
    np.testing.assert_allclose(line.get_xdata(), epochs)
    np.testing.assert_allclose(line.get_ydata(), mean, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_sensitivity_is_the_studys(shown, drawn, name):
    plot = shown.plots["sensitivity"]
    rows = [row for row in search() if row["optimizer"] == name]
    scores = {r: [w["valid_accuracy"] for w in rows if w["learning_rate"] == r] for r in RATES}
    diverged = [rate for rate in RATES if np.isnan(scores[rate]).any()]
    clean = [rate for rate in RATES if rate not in diverged]
    (line,) = traces(plot, name, mode="lines+markers")
    assert line["x"] == RATES
    assert line["y"][: len(clean)] == pytest.approx([np.mean(scores[r]) for r in clean], rel=1e-5)
    assert line["y"][len(clean) :] == [None] * len(diverged)
    (band,) = traces(plot, name, fill="toself")
    edge = [max(scores[r]) for r in clean] + [min(scores[r]) for r in clean[::-1]]
    assert band["y"] == pytest.approx(edge, rel=1e-5)
    crosses = traces(plot, name, yaxis="y2")
    assert [trace["x"] for trace in crosses] == ([diverged] if diverged else [])
    (ring,) = [trace for trace in traces(plot, name, mode="markers") if trace not in crosses]
    assert (ring["x"], ring["y"]) == ([0.1], pytest.approx([np.mean(scores[0.1])], rel=1e-5))

    main, strip = drawn(figures.sensitivity)
    best = ([0.1], [round(np.mean(scores[0.1]), 9)])
    assert best in points(main)
    rates = [x for x, y in points(strip)]
    assert rates == [[1.0], [1.0]]  # a row for sgd and one for <b>x</b>
    assert [text.get_text() for text in strip.get_yticklabels()] == ["<b>x</b>", "sgd"]


@pytest.mark.parametrize("name", NAMES)
def test_the_final_test_metric_has_scipys_interval(shown, found, drawn, name):
    values = [r["test_accuracy"] for r in again([0.7, 0.9, 0.8]) if r["optimizer"] == name]
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    seeds, point = traces(shown.plots["final"], name)
    assert seeds["x"] == pytest.approx(values, rel=1e-5)
    assert point["x"] == pytest.approx([np.mean(values)], rel=1e-5)
    assert point["error_x"]["array"] == pytest.approx([(high - low) / 2], rel=1e-5)

    y = list(found.ranking["optimizer"]).index(name)
    lines = [line for line in drawn(figures.final)[0].lines if line.get_ydata()[0] == y]
    np.testing.assert_allclose(lines[0].get_xdata(), values)
    np.testing.assert_allclose(lines[1].get_xdata(), [low, high])
    np.testing.assert_allclose(lines[2].get_xdata(), [np.mean(values)])


def test_every_optimizer_looks_the_same_everywhere(shown, found, drawn):
    colours = {}
    for plot in shown.plots.values():
        for trace in plot["data"]:
            if "name" not in trace:
                continue  # bars of what is no optimizer
            marker = trace.get("marker", {})
            colours.setdefault(trace["name"], set()).update(
                [
                    trace.get("line", {}).get("color", ""),
                    marker.get("color", ""),
                    marker.get("line", {}).get("color", ""),
                ]
            )
    used = [colour - {""} for colour in colours.values()]
    assert [len(colour) for colour in used] == [1] * len(NAMES)
    assert len(set.union(*used)) == len(NAMES)
    lines = drawn(figures.curves)[0].lines
    assert [{line.get_color()} for line in lines] == [
        colours[name.replace("<", "&lt;").replace(">", "&gt;")] - {""}
        for name in found.ranking["optimizer"]
    ]


def test_the_page_loads_nothing(directory, shown):
    for tag, attributes in shown.tags:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base"), tag
        for name in ("src", "srcset", "action", "data", "poster", "background"):
            assert name not in attributes
        if "href" in attributes:
            assert (directory / attributes["href"]).is_file()
    css = page.asset("page.css")
    assert "url(" not in css and "@import" not in css
    assert sum(tag == "a" for tag, _ in shown.tags) == 3 + 6  # PNG files and data files


def test_the_page_says_what_it_is(shown):
    tags = [tag for tag, _ in shown.tags]
    assert tags.count("h1") == 1
    assert [attributes["lang"] for tag, attributes in shown.tags if tag == "html"] == ["en"]
    assert any(attributes.get("name") == "viewport" for _, attributes in shown.tags)
    text = " ".join(shown.texts)
    for part in ("Which optimizer wins on digits?", "jaxopt-course compare", ["jax", "0.10"][0]):
        assert part in text


def test_text_of_the_study_is_no_markup(tmp_path):
    evil = '"><script>alert(1)</script><i>'
    rows = [trial(evil, x, s, b1=evil) for x in (0.1, 0.2) for s in SEEDS]
    path = write(tmp_path, rows, command=evil, task={"name": evil}, versions={evil: evil})
    shown = Page(write_report(path, png=False))
    assert not [tag for tag, _ in shown.tags if tag == "i"]
    assert [a for tag, a in shown.tags if tag == "script" and "data-for" not in a] == [{}, {}]
    assert "".join(shown.texts).count(evil) >= 5  # title, heading, table, command, versions
    assert all(
        trace["name"].startswith("&quot;&gt;&lt;script") for trace in shown.plots["final"]["data"]
    )


def test_pictures_are_written_and_stale_ones_go(tmp_path, directory):
    from matplotlib.image import imread

    names = ["curves.png", "final.png", "sensitivity.png"]
    assert sorted(path.name for path in (directory / "figures").iterdir()) == names
    for name in names:
        assert imread(directory / "figures" / name).std() > 0.05  # something is drawn
    write(tmp_path, [trial(seed=s) for s in SEEDS])
    (tmp_path / "figures").mkdir()
    for name in ("sensitivity.png", "own.png"):
        (tmp_path / "figures" / name).touch()
    write_report(write(tmp_path, [trial(seed=s) for s in SEEDS]))
    left = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert left == ["curves.png", "final.png", "own.png"]


def test_without_pictures_none_is_written_or_linked(tmp_path):
    shown = Page(write_report(write(tmp_path, search()), png=False))
    assert not (tmp_path / "figures").exists()
    assert not [a for tag, a in shown.tags if tag == "a" and "png" in a["href"]]


def headline(path, *arguments, **manifest):
    return verdict.headline(findings.read(write(path, *arguments, **manifest)))


def test_fresh_seeds_decide_and_the_order_says_so(tmp_path):
    """The search puts <b>x</b> first; on fresh seeds adam is 0.1 better than anything else."""
    said = headline(tmp_path, search(), again([0.7, 0.9, 0.8]))
    half = stats.t.ppf(0.975, 3) * np.std([-1, 0, 1, 2], ddof=1) / 100 / 2
    assert said == (
        f"adam with learning_rate=0.1 wins: validation accuracy 0.905 ± {half:.3f}, mean of "
        "4 fresh seeds, 0.1 better than <b>x</b>. Paired over seeds (Holm, 95%): not separated "
        "from <b>x</b> (difference 0.1 on every seed, no spread to judge by; 7 seeds would "
        "separate) and sgd. Sign-flip test against <b>x</b>: p = 0.125; 4 seeds cannot give less "
        "than 0.125."
    )
    found = findings.read(tmp_path)
    assert found.ranking["optimizer"].tolist() == ["adam", "<b>x</b>", "sgd"]
    assert found.ranking["search_rank"].tolist() == [2, 1, 3]
    assert "The search itself had put <b>x</b> first." in verdict.remarks(found)


def test_a_fresh_divergence_loses(tmp_path):
    fresh = again([0.7, 0.9, 0.8], lost=[("adam", 10)])
    assert headline(tmp_path, search(), fresh).startswith("<b>x</b> with learning_rate=0.1 wins")
    found = findings.read(tmp_path)
    assert found.ranking["optimizer"].tolist() == ["<b>x</b>", "sgd", "adam"]
    cells = verdict.ranking_table(found)[1][2]
    half = stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)
    assert f"0.910 ± {half:.3f} (1 of 4 diverged)" in cells
    assert any("adam diverged at least once" in said for said in verdict.remarks(found))


def test_without_fresh_seeds_nothing_is_confirmed(tmp_path):
    said = headline(tmp_path, search())
    assert "leads the search: validation accuracy 0.85, mean of 3 seeds, 0.02 better" in said
    assert "Not confirmed on fresh seeds" in said
    assert "±" not in str(verdict.ranking_table(findings.read(tmp_path)))


def test_one_fresh_seed_separates_nothing(tmp_path):
    fresh = [row for row in again([0.7, 0.9, 0.8]) if row["seed"] == 10]
    assert "One fresh seed gives no interval" in headline(tmp_path, search(), fresh)


def test_a_confirmation_of_other_configurations_is_not_shown(tmp_path):
    assert "Not confirmed" in headline(tmp_path, search(), again([0.7, 0.9, 0.8], rate=0.5))


def test_lower_may_be_better(tmp_path):
    said = headline(tmp_path, search(), metric="valid_loss", direction="min")
    assert said.startswith("<b>x</b> with learning_rate=0.1 leads the search: validation loss 0.15")


def printed(path, width=100):
    console = Console(file=StringIO(), width=width)
    print_report(path, console)
    return console.file.getvalue()


def test_the_terminal_shows_the_same(directory):
    text = printed(directory)
    rows = [
        line.split("  ") for line in text.splitlines() if line.lstrip()[:2] in ("1 ", "2 ", "3 ")
    ]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert [row[1] for row in cells] == ["adam", "<b>x</b>", "sgd"]
    assert [row[2] for row in cells] == ["0.1"] * 3
    assert [row[3] for row in cells] == ["0.83", "0.85", "0.81"]
    assert [row[-1] for row in cells] == ["0%", "33%", "11%"]
    assert "0.905 ± 0.021" in cells[0] and "0.895 ± 0.021" in cells[0]
    assert " ".join(verdict.headline(findings.read(directory)).split()) in " ".join(text.split())


def test_the_terminal_marks_an_edge_and_reads_no_markup(tmp_path):
    write(tmp_path, [trial("[bold]z", x, score=x) for x in (0.1, 0.2, 0.3)])
    text = printed(tmp_path)
    (row,) = [line for line in text.splitlines() if line.startswith("1 ")]
    assert row.split()[:3] == ["1", "[bold]z", "0.3*"]
    assert "*: at the edge of the range tried" in text


EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


def test_nothing_in_a_study_is_obeyed_by_a_terminal(tmp_path):
    """Wherever a stranger may write, and in what cannot be read too."""
    rows = [
        trial(f"{name}{EVIL}", x, s, x, "finished" if s else "stopped")
        | {"stopped_step": pd.NA if s else 10, "best_valid_loss": 0.5}
        for name in ("sgd", "adam")
        for x in (0.1, 0.2, 0.3)
        for s in SEEDS
    ]
    named = {f"valid_{EVIL}accuracy": row["valid_accuracy"] for row in rows}
    rows = [
        row | {f"b1{EVIL}": row["learning_rate"]} | dict.fromkeys(named, row["valid_accuracy"])
        for row in rows
    ]
    write(
        tmp_path,
        rows,
        task={"name": EVIL},
        scheduler={"name": f"ASHA{EVIL}"},
        metric=f"valid_{EVIL}accuracy",
        hyperparameters=["optimizer", "learning_rate", f"b1{EVIL}"],
        searched=["optimizer", "learning_rate", f"b1{EVIL}"],
    )
    text = printed(tmp_path, width=1000)
    assert [c for c in text if not (c.isprintable() or c == "\n")] == []
    for part in ("sgd", "ASHA", "b1", "valid", "owned"):  # it is said, and said harmlessly
        assert part in text


def test_a_command_to_copy_is_one_line_without_orders(tmp_path):
    """Pasted, a line break would run what stands before it."""
    command = f"jaxopt-course compare --csv 'my table.csv'\nrm -rf ~{EVIL}"
    shown = Page(write_report(write(tmp_path, search(), command=command), png=False))
    said = "".join(shown.texts)  # an option stands in an element of its own
    assert r"jaxopt-course compare --csv 'my table.csv'\nrm -rf ~\x1b" in said
    assert said.replace("\n", "").isprintable()


def without(rows, *names):
    return [{key: row[key] for key in row if key not in names} for row in rows]


def lost(rows, status="diverged"):
    return [trial(r["optimizer"], r["learning_rate"], r["seed"], status=status) for r in rows]


LONG = ["优化器 ☃ λ", "$x_{", "_hidden", "n" * 300 + "a", "n" * 300 + "b", "&amp;"]
ODD = {
    "one optimizer": ([row for row in search() if row["optimizer"] == "adam"], None, {}),
    "the user's own function": (without(search()[:9], "optimizer"), None, {"optimizers": ["<f>"]}),
    "no learning rate": (without(search()[::3], "learning_rate"), None, {}),
    "one seed": (search()[::3], again([0.7, 0.9, 0.8])[::4], {}),
    "all diverged": (lost(search()), None, {}),
    "all diverged when confirmed": (search(), lost(again([1, 1, 1])), {}),
    "interrupted": (search()[:10] + lost(search()[10:], "unfinished"), None, {}),
    "interrupted at once": (lost(search(), "unfinished"), None, {}),
    "lower is better": (search(), None, {"metric": "valid_loss", "direction": "min"}),
    "one evaluation": (search(), again([0.7, 0.9, 0.8]), {"points": 1}),
    "names": ([trial(o, x, s) for o in LONG for x in (0.1, 0.2) for s in SEEDS], None, {}),
    "twenty": ([trial(f"o{i}", x, score=i / x) for i in range(20) for x in (0.1, 1)], None, {}),
    "a rate of zero": ([trial("sgd", x, score=x) for x in (0.0, 1e-3, 0.1)], None, {}),
    "zero diverged": ([trial("sgd", x, status="diverged") for x in (0.0, 0.1)], None, {}),
    "divergence between": (
        [trial("sgd", 10.0**i, score=0.1 * i) for i in (0, 1, 3)]
        + [trial("sgd", 100.0, status="diverged")],
        None,
        {},
    ),
    "one not re-trained": (search(), again([0.7, 0.9, 0.8])[4:], {}),
    "interrupted when confirmed": (
        search(),
        again([0.7, 0.9, 0.8])[:-1] + lost(again([1, 1, 1])[-1:], "unfinished"),
        {},
    ),
    "one rate": ([trial(seed=s) for s in SEEDS], None, {}),
    "steps, not epochs": (search(), None, {"budget": {"steps": 40, "epochs": None}}),
    "no test metric": (without(search(), "test_accuracy"), None, {}),
    "no valid loss": (without(search(), "valid_loss"), None, {}),
    "a column named rank": (
        [row | {"rank": 1 + row["seed"]} for row in search()],
        None,
        {"hyperparameters": ["optimizer", "rank", "learning_rate"], "searched": ["rank"]},
    ),
    "a bare manifest": (
        search(),
        None,
        {"task": {}, "versions": {}, "platform": {}, "command": ""},
    ),
}


# by default, with pictures and without; the others are built like these
DRAWN = {"one seed"}
WRITTEN = {"one optimizer", "the user's own function", "no learning rate", "all diverged"}
WRITTEN |= {"names"}
WRITTEN |= {"all diverged when confirmed", "interrupted at once", "lower is better", "one rate"}
WRITTEN |= {"a rate of zero", "one not re-trained", "no valid loss", "a bare manifest"}


@pytest.mark.parametrize(
    "case, png",
    [put((o, png), o in (DRAWN if png else WRITTEN)) for png in (False, True) for o in ODD],
)
def test_odd_studies_are_reported(tmp_path, read_once, case, png):
    """Warnings are errors here, also those of matplotlib about what it cannot draw."""
    rows, fresh, manifest = ODD[case]
    path = write(tmp_path, rows, fresh, **manifest)
    shown = Page(write_report(path, png=png))
    found = findings.read(path)
    assert verdict.winner(found) in shown.texts
    assert verdict.sureness(found) in {text.strip() for text in shown.texts} | {""}
    buttons = [a for tag, a in shown.tags if tag == "button" and "data-optimizer" in a]
    assert [button["title"] for button in buttons] == found.ranking["optimizer"].tolist()
    assert printed(path)
    numbers = [
        value for plot in shown.plots.values() for t in plot["data"] for value in t.get("x", [])
    ]
    assert all(
        value is None or np.isfinite(value) for value in numbers if not isinstance(value, str)
    )


def test_a_rate_of_zero_stands_apart(tmp_path):
    plot = Page(write_report(write(tmp_path, ODD["a rate of zero"][0]), png=False)).plots[
        "sensitivity"
    ]
    (line,) = traces(plot, "sgd", mode="lines+markers")
    axis = plot["layout"]["xaxis"]
    assert line["x"][1:] == [1e-3, 0.1]
    assert 0 < line["x"][0] < plot["layout"]["shapes"][0]["x0"] < 1e-3
    assert axis["ticktext"][axis["tickvals"].index(line["x"][0])] == "0"


def test_a_band_is_broken_where_a_rate_diverges(tmp_path):
    path = write(tmp_path, ODD["divergence between"][0])
    (band,) = traces(Page(write_report(path, png=False)).plots["sensitivity"], "sgd", fill="toself")
    assert band["x"] == [1, 10, 10, 1, None, 1000, 1000]


def test_what_was_not_re_trained_comes_last_and_says_so(tmp_path):
    """Of the first optimizer there are no fresh trials, of the last one fewer."""
    rows, fresh, _ = ODD["one not re-trained"]
    path = write(tmp_path / "a", rows, fresh)
    cells = {row[1]: row for row in verdict.ranking_table(findings.read(path))[1]}
    assert list(cells) == ["adam", "<b>x</b>", "sgd"]
    assert cells["sgd"].count("not re-trained") == 2
    rows, fresh, _ = ODD["interrupted when confirmed"]
    found = findings.read(write(tmp_path / "b", rows, fresh))
    last = verdict.ranking_table(found)[1][-1]  # a part of its seeds ranks after all of others'
    assert last[1] == "<b>x</b>"
    assert [cell.partition(" (")[2] for cell in last[4:6]] == ["1 of 4 unfinished)"] * 2
    assert "1 trial on fresh seeds did not finish." in verdict.remarks(found)


def test_an_empty_hyperparameter_keeps_its_optimizer_in_the_report(tmp_path):
    """sgd takes no b1: its cells are empty, and equal each other."""
    rows = [
        trial(name, seed=s, score=score + s / 100, b1=b1)
        for name, score, b1 in (("sgd", 0.7, np.nan), ("adam", 0.8, 0.9))
        for s in SEEDS
    ]
    fresh = [row | {"seed": row["seed"] + 10} for row in rows]
    for path, confirmation in ((tmp_path / "a", None), (tmp_path / "b", fresh)):
        found = findings.read(write(path, rows, confirmation))
        assert set(found.curves["optimizer"]) == {"sgd", "adam"}
        assert found.finals["optimizer"].value_counts().to_dict() == {"sgd": 3, "adam": 3}
        assert found.ranking["optimizer"].tolist() == ["adam", "sgd"]
        assert found.ranking["b1"].isna().tolist() == [False, True]
    assert found.ranking["fresh_mean"].tolist() == pytest.approx([0.81, 0.71])
    assert found.ranking["fresh_n"].tolist() == [3, 3]


LINE = {"event": "finished", "seconds": 12.34, "compile_seconds": 1.2, "occupancy": 0.5}


@pytest.mark.parametrize(
    "odd",
    every(5, [
        "null", "[1]", "3", "true", '"finished"', "{}", "{", "", "\x00",
        '{"event": "finished", "seconds": "x"}', '{"event": "finished", "seconds": null}',
        '{"event": "finished", "seconds": {}, "occupancy": [1], "devices": {"a": 1}}',
        '{"event": "finished", "compile_seconds": NaN, "trial_steps_per_second": Infinity}',
        '{"event": "finished", "trial_steps_per_second": 1' + "0" * 400 + "}",
        '{"event": ["finished"]}',
    ]),
)  # fmt: skip
def test_events_break_no_report(tmp_path, request, odd):
    """Nothing needs them, and anybody may write there; what is sound is shown."""
    path = write(tmp_path, search())
    (path / store.EVENTS).write_text(f"{odd}\n{json.dumps(LINE)}\n", encoding="utf-8")
    rows = findings.read(path).environment.set_index("name")["value"]
    assert rows["wall time"] == "12.3 s" and rows["lanes that trained"] == "50%"
    (path / store.EVENTS).write_text(f"{json.dumps(LINE)}\n{odd}\n", encoding="utf-8")
    request.getfixturevalue("read_once")
    rows = findings.read(path).environment.set_index("name")["value"]
    assert rows.get("wall time", "12.3 s") == "12.3 s"
    assert not rows.isin(["nan s", "inf"]).any()
    write_report(path, png=False)
    assert printed(path)


@pytest.mark.parametrize("odd", [None, [], [3, None], 3, "x", {"a": {}}])
def test_an_odd_manifest_loses_the_rows_that_are_odd(odd):
    """Of what the report only shows; what it computes with its reader has checked."""
    named = ("task", "budget", "platform", "versions", "scheduler", "seeds", "buckets", "static")
    rows = findings.environment(dict.fromkeys(named, odd) | {"lanes": 4}, [])
    shown = rows.set_index("name")["value"]
    assert shown["lanes a device"] == "4"
    assert set(shown.index) <= {"lanes a device", "seeds", "scheduler", "device", "a", "programs"}


def test_no_study_no_report(tmp_path):
    for report in (write_report, print_report):
        with pytest.raises(FileNotFoundError, match="holds no study"):
            report(tmp_path)


def test_a_manifest_that_contradicts_its_table_is_refused(tmp_path):
    write(tmp_path, search(), metric="valid_f1")
    with pytest.raises(ValueError, match="valid_f1"):
        write_report(tmp_path)


def test_a_whole_report_needs_no_jax(directory):
    """And importing the report is quick: nothing that draws is loaded before it is needed."""
    code = f"""
import sys
from jaxopt_course.report import print_report, write_report
slow = {{"matplotlib", "plotly", "rich", "scipy.stats"}} & set(sys.modules)
assert not slow, slow
write_report({str(directory)!r})
print_report({str(directory)!r})
assert not {{"jax", "jaxlib", "flax", "optax"}} & set(sys.modules)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


def test_who_was_stopped_is_drawn_where_he_stood(tmp_path):
    rows = [trial("sgd", rate, seed) for rate in (0.1, 1.0) for seed in range(2)]
    rows += [trial("sgd", 10.0, 0, status="stopped"), trial("sgd", 10.0, 1, status="diverged")]
    found = findings.read(write(tmp_path, rows))
    (dots,) = [one for one in figures_html.sensitivity(found)["data"] if one.get("text") == ["20"]]
    assert dots["y"] == [pytest.approx(float(found.courses.loc[4].dropna().iloc[-1]), rel=1e-5)]
    assert "stood when the scheduler stopped them" in cards.section(found, ())
    none = findings.read(write(tmp_path / "b", rows[:4]))
    assert "scheduler stopped" not in cards.section(none, ())


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", ["1,060 train, 36 valid", "1,234 steps", "cpu:0, cpu:1", "6.6 s", "53.3 s", "86%"]),
        (
            "es",
            ["1060 entrenamiento, 36 validación", "1234 pasos", "cpu:0, cpu:1", "6,6 s", "53,3 s",
             "86\u202f%"],
        ),
    ],
)  # fmt: skip
def test_the_environment_is_in_the_pages_language_and_no_python(language, shown):
    """And compiling, which takes no part of the training's wall time, is said to be besides."""
    manifest = {"task": {"examples": {"train": 1060, "valid": 36}}, "budget": {"steps": 1234}}
    event = {"event": "finished", "devices": ["cpu:0", "cpu:1"], "seconds": 6.6}
    event |= {"compile_seconds": 53.3, "occupancy": 0.86, "trial_steps_before": 4321}
    manifest["platform"] = {"instructions": "Abacus 3 @ 2 GHz, features 0a1b"}
    rows = findings.environment(manifest, [event], language).set_index("name")["value"]
    names = ["examples", "budget of a trial", "devices", "wall time", "compiling, besides"]
    assert rows[[*names, "lanes that trained"]].tolist() == shown
    assert rows["cut short, besides"].replace(",", "").startswith("4321 ")
    whole = findings.environment(manifest, [event | {"trial_steps_before": 0}])["name"]
    assert "cut short, besides" not in [*whole]  # of a sweep that went through
    assert rows["processor"] == "Abacus 3 @ 2 GHz"
