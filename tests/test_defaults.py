"""The list of what to train first, and the page that it comes from: made of committed results."""

import importlib
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.report import print_report
from jaxopt_course.tables.defaults import LIST

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module", autouse=True)
def page():
    """The module that writes the page; experiments/ is in the checkout alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield importlib.import_module("experiments.benchmarks.tables_page")


@pytest.fixture(scope="module")
def found(page):
    return page.read(page.benchmark.OUT)


def test_the_list_is_that_of_the_committed_results(page, found, tmp_path):
    from experiments.benchmarks import default_list

    out = page.benchmark.OUT
    made = default_list.default_list(found.trials, found.tables)
    file = tmp_path / "list.csv"
    made.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")
    assert file.read_text() == (out / "default_list.csv").read_text() == LIST.read_text()


def test_the_results_are_of_the_settings_and_whole(page, found):
    benchmark = page.benchmark
    settings = benchmark.read_settings(benchmark.OUT)
    assert len(settings.tables) >= 40 and settings.trials >= 32
    assert {*found.tables["table"]} == {*settings.tables}
    assert {*settings.optimizers} == {*joc.OPTIMIZERS}
    counts = found.trials.groupby(["table", "optimizer"]).size()
    assert (counts == settings.trials).all()
    assert len(counts) == len(settings.tables) * len(settings.optimizers)
    fresh = found.fresh.groupby(["table", "entrant"]).size()
    assert (fresh == settings.seeds).all()


def test_the_greedy_list_by_hand(found):
    """The first is the best mean; each next is what lifts the mean of the best most."""
    from experiments.benchmarks import default_list

    values = default_list.shares(found.trials, found.tables)
    chosen, reached = [], np.zeros(values.shape[1])
    for _ in range(3):
        lifted = [np.maximum(row, reached).mean() for row in values.to_numpy()]
        chosen.append(int(np.argmax(lifted)))
        reached = np.maximum(reached, values.to_numpy()[chosen[-1]])
    first = pd.read_csv(LIST)["optimizer"].head(3)
    assert list(first) == [values.index[i][0] for i in chosen]
    assert pd.read_csv(LIST)["regret"].iloc[2] == pytest.approx(1 - reached.mean(), rel=1e-5)


def test_the_readme_tells_the_list_and_what_it_is_made_of(found):
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    rows = joc.defaults(5)[["optimizer", "learning_rate"]].itertuples(index=False)
    assert ", ".join(f"{name} at {rate:.3g}" for name, rate in rows) in text
    counts = found.trials["optimizer"].nunique(), len(found.tables)
    assert "All {}, tuned alike on {} real tables".format(*counts) in text


def test_shorter_lists_begin_longer_ones():
    for k in (1, 3, 5, 10):
        table = joc.defaults(k)
        assert len(table) == k and (table["seed"] == 0).all() and (table["clip_norm"] == 1).all()
        whole = joc.defaults(10)[list(table)].head(k)
        pd.testing.assert_frame_equal(table, whole)
    assert len(joc.defaults(2, seeds=range(3))) == 6


@pytest.mark.parametrize("k", [0, 11, True, 2.5, "3", None])
def test_another_k_is_refused(k):
    with pytest.raises(ValueError, match="has 1 to 10 configurations, not"):
        joc.defaults(k)


@pytest.mark.long
def test_all_of_them_train_and_fit_a_terminal(tmp_path):
    settings = {"steps": 60, "batch_size": 32, "evaluate_every": 20, "progress": False}
    study = joc.sweep("wine", joc.defaults(10), directory=tmp_path / "study", **settings)
    assert (study.trials["status"] == "finished").all()
    assert study.best()["valid_accuracy"] > 0.8
    console = Console(file=StringIO(), width=80)
    print_report(study.directory, console)
    table, _, below = console.file.getvalue().partition("search: ")
    assert "…" not in table and "No room here for" in below
    assert all(name[:8] in table for name in study.trials["optimizer"])  # long ones are wrapped
    assert "box of its own" not in below  # each has one configuration


@pytest.mark.long
def test_compare_trains_just_these(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    out = tmp_path / "study"
    asked = ["compare", "--task", "wine", "--defaults", "3", "--epochs", "4", "--out", str(out)]
    cli.main([*asked, "--confirm", "0"])
    study, listed = joc.Study.load(out), joc.defaults(3)
    assert list(study.trials["optimizer"]) == list(listed["optimizer"])
    np.testing.assert_array_equal(study.trials["learning_rate"], listed["learning_rate"])


@pytest.mark.parametrize(
    "more, words",
    [
        (["--optimizers", "sgd"], "leave --optimizers out"),
        (["--trials", "4"], "leave --trials out"),
        (["--learning-rates", "4"], "leave --learning-rates out"),
        (["--defaults", "11"], "has 1 to 10 configurations, not 11"),
    ],
)
def test_what_chooses_others_is_refused(more, words, monkeypatch, capsys):
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", "--task", "wine", "--defaults", "3", *more])
    assert stop.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_tables_of_the_page_are_of_the_files(page, found, language):
    text, say = page.GUIDES[language].read_text(encoding="utf-8"), page.LANGUAGES[language]
    blocks = {
        "ranks": page.ranked(found, say),
        "numbers": page.tuned(found, say),
        "list": page.listed(found, say),
    }
    for name, block in blocks.items():
        begin = page.MARKS[0].replace(" -->", f" {name} -->")
        shown = text.partition(begin)[2].partition(page.MARKS[1])[0]
        assert shown == page.markdown(block), name
