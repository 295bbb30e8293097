"""Two studies side by side: paired where they share their data, and said where they do not."""

import json
import os
import re
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from report_studies import trial, write
from rich.console import Console
from scipy import stats

from jaxopt_course.cli import main
from jaxopt_course.report import two
from jaxopt_course.report.findings import read

TASK = {"name": "digits", "metrics": {"accuracy": "max"}, "split_sha256": "0" * 64}
NOISE = (0.0, 0.02, 0.005, 0.013)


def study(path, gains, **manifest):
    """Optimizers whose fresh scores have a common noise and their own gain."""
    rows = [trial(name, seed=s, score=0.8) for name in gains for s in range(2)]
    fresh = [
        trial(name, seed=10 + i, score=0.8 + noise + gain * (1 + i / 10))
        for name, gain in gains.items()
        for i, noise in enumerate(NOISE)
    ]
    return write(path, rows, fresh, **({"task": TASK} | manifest))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    home = tmp_path_factory.mktemp("two")
    a = study(home / "a", {"adam": 0.0, "sgd": 0.0, "old": 0.0})
    return a, study(home / "b", {"adam": 0.05, "sgd": 0.0, "<b>new</b>": 0.1})


def test_differences_are_paired(pair):
    a, b = map(read, pair)
    table = two.compared(a, b).set_index("optimizer")
    assert list(table.index) == ["<b>new</b>", "adam", "sgd", "old"]
    old, new = (
        one.finals[one.finals["optimizer"] == "adam"].set_index("seed")["valid_accuracy"]
        for one in (a, b)
    )
    apart = (new - old).to_numpy(float)
    low, high = stats.t.interval(0.95, 3, apart.mean(), stats.sem(apart))
    row = table.loc["adam"]
    assert row["n"] == 4 and row["difference"] == pytest.approx(apart.mean())
    assert row["half_width"] == pytest.approx((high - low) / 2)
    assert row["p"] == pytest.approx(stats.ttest_rel(new, old).pvalue)
    assert table.loc["sgd", "difference"] == 0 and np.isnan(table.loc["sgd", "p"])
    assert np.isnan(table.loc["<b>new</b>", "difference"]) and table.loc["old", "n"] == 0


def test_what_differs_is_said(pair):
    a, b = map(read, pair)
    said = two.sentences(a, b, two.compared(a, b))
    assert said == ["Better in the second: adam (paired, 95%, all at once)."]
    turned = two.sentences(b, a, two.compared(b, a))
    assert turned == ["Worse in the second: adam (paired, 95%, all at once)."]
    same = two.sentences(a, a, two.compared(a, a))
    assert same == ["No optimizer differs between the studies by more than chance."]


def test_other_data_are_not_paired(tmp_path, pair):
    other = study(tmp_path / "c", {"adam": 0.1}, task=TASK | {"split_sha256": "1" * 64})
    a, c = read(pair[0]), read(other)
    table = two.compared(a, c).set_index("optimizer")
    assert table.loc["adam", "n"] == 0 and np.isnan(table.loc["adam", "p"])
    assert table.loc["adam", "difference"] > 0
    assert "do not share their data" in two.sentences(a, c, table.reset_index())[0]
    assert ["data split (SHA-256)", "0" * 12, "1" * 12] in two.differences(a, c)


def test_a_seed_that_diverged_takes_the_score_with_it(tmp_path, pair):
    """The mean of the survivors would reward divergence, here as in the study's own page."""
    rows = [trial("adam", seed=s, score=0.8) for s in range(2)]
    fresh = [trial("adam", seed=10 + i, score=0.99) for i in range(3)]
    lost = write(tmp_path / "lost", rows, [*fresh, trial("adam", seed=13, status="diverged")],
                 task=TASK)  # fmt: skip
    a, b = read(pair[0]), read(lost)
    row = two.compared(a, b).set_index("optimizer").loc["adam"]
    assert np.isnan(row["second"]) and np.isnan(row["p"]) and row["n"] == 0
    assert "Better" not in " ".join(two.sentences(a, b, two.compared(a, b)))


def test_the_seeds_of_a_search_are_not_paired(tmp_path):
    """Ten optimizers' luck beside one's: the more was tried, the better the best of it."""
    rows = [trial("adam", lr, seed=s, score=0.8 + lr + s / 100) for lr in (0.1, 0.11)
            for s in range(5)]  # fmt: skip
    small = write(tmp_path / "a", [row for row in rows if row["learning_rate"] == 0.1], task=TASK)
    a, b = read(small), read(write(tmp_path / "b", rows, task=TASK))
    table = two.compared(a, b)
    assert table["n"].eq(0).all() and table["difference"].iloc[0] == pytest.approx(0.01)
    assert "not both have fresh seeds" in two.sentences(a, b, table)[0]


def test_replicates_are_paired_each_with_its_own(tmp_path):
    def folded(path, gain):
        noise = dict(enumerate(NOISE))
        rows = [trial("adam", seed=s, score=0.8 + noise[f] + gain * f, fold=f) for s in range(2)
                for f in range(3)]  # fmt: skip
        return read(
            write(path, rows, [row | {"seed": row["seed"] + 10} for row in rows], task=TASK,
                  hyperparameters=["optimizer", "learning_rate", "fold"], replicates=["fold"])
        )  # fmt: skip

    a, b = folded(tmp_path / "a", 0.0), folded(tmp_path / "b", 0.01)
    [row] = two.compared(a, b).to_dict("records")
    assert row["n"] == 6 and row["difference"] == pytest.approx(0.01)
    apart = np.repeat([0.0, 0.01, 0.02], 2)
    low, high = stats.t.interval(0.95, 5, apart.mean(), stats.sem(apart))
    assert row["half_width"] == pytest.approx((high - low) / 2)


def test_what_nobody_has_in_common_is_not_called_chance(tmp_path, pair):
    other = read(study(tmp_path / "c", {"lion": 0.0}))
    a = read(pair[0])
    said = two.sentences(a, other, two.compared(a, other))
    assert said == ["The studies have no optimizer with two fresh seeds in common."]


def test_its_table_sorts_by_the_numbers(pair):
    a, b = map(read, pair)
    given = two.page_of_two(a, b).split("<tbody>")[1].split("</tbody>")[0]
    for row, line in zip(two.compared(a, b).itertuples(), given.split("</tr>"), strict=False):
        known = [x for x in (row.first, row.second, row.difference) if not np.isnan(x)]
        values = [float(x) for x in re.findall(r'data-value="([^"]+)"', line)]
        assert values == pytest.approx(known)


def test_other_metrics_are_refused(tmp_path, pair):
    other = study(tmp_path / "c", {"adam": 0.1}, metric="valid_loss", direction="min")
    with pytest.raises(ValueError, match="other metrics: 'valid_accuracy' in "):
        two.compared(read(pair[0]), read(other))


def test_a_study_without_a_score_is_compared_too(tmp_path, pair):
    rows = [trial("adam", seed=s, status="diverged") for s in range(2)]
    lost = read(write(tmp_path / "lost", rows, task=TASK))
    table = two.compared(read(pair[0]), lost)
    assert table["difference"].isna().all()
    assert "<table" in two.page_of_two(read(pair[0]), lost)


@pytest.mark.parametrize("language, word", [("en", "Two studies"), ("es", "Dos estudios")])
def test_the_page_and_the_terminal_say_the_same(pair, language, word):
    a, b = (read(path, language) for path in pair)
    whole = two.page_of_two(a, b)
    assert word in whole and "<b>new" not in whole and "&lt;b&gt;new" in whole
    console = Console(file=StringIO(), width=200)
    two.print_two(a, b, console)
    for said in two.sentences(a, b, two.compared(a, b)):
        assert said in console.file.getvalue() and said in whole


def test_a_page_goes_where_it_is_asked_to_and_over_no_device(pair, tmp_path):
    a, b = map(read, pair)
    (tmp_path / "link.html").symlink_to(tmp_path / "none.html")
    with pytest.raises(FileExistsError, match="is there already"):
        two.write_two(a, b, tmp_path / "link.html")
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        two.write_two(a, b, tmp_path / "none" / "page.html")
    os.mkfifo(tmp_path / "pipe.html")
    with pytest.raises(ValueError, match="is a pipe"):
        two.write_two(a, b, tmp_path / "pipe.html", overwrite=True)


@pytest.mark.long
def test_the_command_compares_two(pair, tmp_path, capsys):
    a, b = map(str, pair)
    page = tmp_path / "both.html"
    main(["report", a, b, "--lang", "es", "--page", str(page)])
    assert "Mejor en el segundo: adam" in capsys.readouterr().out
    assert "Mejor en el segundo: adam" in page.read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["report", a, b, "--page", str(page)])
    assert "is there already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["report", a, "--page", str(page)])
    assert "--page is for two studies" in capsys.readouterr().err
    main(["report", a, b, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["paired"] and told["metric"] == "valid_accuracy" and told["directories"] == [a, b]
    assert told["remarks"] == ["Better in the second: adam (paired, 95%, all at once)."]
    table = pd.DataFrame(told["optimizers"])
    assert set(table["optimizer"]) == {"adam", "sgd", "old", "<b>new</b>"}
