"""What takes weight from a score is said, in the headline and beside the table."""

import numpy as np
import pytest
from long_form import every
from report_studies import trial, write

from jaxopt_course.report import findings, verdict, write_report


def told(path, rows, fresh=None, **manifest):
    """Headline, remarks, and the row of each optimizer as one text."""
    found = findings.read(write(path, rows, fresh, **manifest))
    cells = {row[1]: " | ".join(row) for row in verdict.ranking_table(found)[1]}
    return verdict.headline(found), " ".join(verdict.remarks(found)), cells


def undefined(name, value, seeds=(0, 1), rate=0.1, **more):
    """Trials that finished without a finite accuracy or AUC, their loss as ever."""
    return [trial(name, rate, s, value, valid_auc=value, loss=more.get("loss", 0.5)) for s in seeds]


def test_an_auc_of_one_class_is_no_divergence(tmp_path):
    """All of it finished: what is missing is the other class."""
    rows = [row for name in ("sgd", "adam") for x in (0.1, 0.2)
            for row in undefined(name, np.nan, rate=x)]  # fmt: skip
    headline, remarks, cells = told(tmp_path, rows, metric="valid_auc")
    assert headline == (
        "No winner: validation AUC is not a number in 8 of the 8 trials that finished: AUC needs "
        "both classes in the data that it is measured on."
    )
    assert "Validation AUC is not a number in 8 of the 8 trials that finished" in remarks
    assert "diverged" not in remarks and "did not finish" not in remarks
    assert "2 of 2 undefined" in cells["sgd"]
    write_report(tmp_path, png=False)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert headline in page and "data-sort>undefined</button>" in page
    assert page.count('<td class="number">2</td></tr>') == 4  # all configurations have it
    assert "no configuration has a score" in page


@pytest.mark.parametrize(
    "value, words",
    [(np.inf, "is infinite in 2 of the 4"), (np.nan, "is not a number in 2 of the 4")],
)
def test_who_has_no_score_is_told_why(tmp_path, value, words):
    rows = [trial("sgd", seed=s, score=0.8) for s in (0, 1)] + undefined("adam", value)
    headline, remarks, cells = told(tmp_path, rows)
    assert headline.startswith(
        "sgd with learning_rate=0.1 alone has a score: validation accuracy 0.8, mean of 2 seeds."
    )
    assert f"Validation accuracy {words} trials that finished" in remarks
    assert "it is the metric that is undefined; a configuration with such a trial" in remarks
    assert "2 of 2 undefined" in cells["adam"] and "undefined" not in cells["sgd"]


def test_one_undefined_seed_takes_the_score(tmp_path):
    rows = [trial("sgd", seed=s, score=0.8) for s in (0, 1)]
    rows += [trial("adam", score=0.99), *undefined("adam", -np.inf, [1])]
    headline, remarks, cells = told(tmp_path, rows)
    assert headline.startswith("sgd with")
    assert "is infinite in 1 of the 4 trials" in remarks
    assert "1 of 2 undefined" in cells["adam"]


def test_a_loss_that_is_not_finite_either_is_the_networks(tmp_path):
    rows = [trial("sgd", seed=s) for s in (0, 1)] + undefined("adam", np.nan, loss=np.inf)
    assert "beyond what numbers hold" in told(tmp_path / "a", rows)[1]
    rows += undefined("lion", np.inf)
    remarks = told(tmp_path / "b", rows)[1]
    assert "is infinite or not a number in 4 of the 6" in remarks
    assert "in some of them the validation loss is not finite either" in remarks


def test_undefined_on_fresh_seeds(tmp_path):
    """Neither unfinished nor diverged, and no winner by the seeds that are left."""
    rows = [trial(name, seed=s, score=0.8) for name in ("sgd", "adam") for s in (0, 1)]
    fresh = [trial("sgd", seed=s, score=0.7) for s in (5, 6)]
    fresh += [trial("adam", seed=5, score=0.9), *undefined("adam", np.nan, [6])]
    headline, remarks, cells = told(tmp_path / "a", rows, fresh)
    assert headline.startswith("sgd with learning_rate=0.1 alone has a score")
    assert "On fresh seeds validation accuracy is not a number in 1 of the 4 trials" in remarks
    assert "1 of 2 undefined" in cells["adam"] and "unfinished" not in cells["adam"]
    fresh = undefined("sgd", np.nan, [5, 6]) + undefined("adam", np.nan, [5, 6])
    headline = told(tmp_path / "b", rows, fresh)[0]
    assert headline.startswith("No winner: validation accuracy is not a number in 4 of the 4")


def test_what_diverged_is_still_said_so(tmp_path):
    rows = [trial("sgd", seed=s, status="diverged") for s in (0, 1)]
    headline, remarks, cells = told(tmp_path, rows)
    assert headline == "No winner: no optimizer has a configuration that finished on all its seeds."
    assert "undefined" not in cells["sgd"] and "finished:" not in remarks


LUCKY = [trial("sgd", score=0.99), *[trial("adam", seed=s, score=0.95) for s in (0, 1)]]


def test_one_seed_does_not_lead_two(tmp_path):
    headline, remarks, cells = told(tmp_path, LUCKY)
    assert headline.startswith(
        "adam with learning_rate=0.1 alone has a score on all 2 seeds: validation accuracy 0.95, "
        "mean of 2 seeds. sgd has 0.99, but on 1 of 2 seeds: it ranks after."
    )
    assert "1 of 2 configurations has fewer than 2 seeds; it ranks after those with all" in remarks
    assert list(cells) == ["adam", "sgd"]
    assert "0.99 (1 of 2 seeds)" in cells["sgd"] and "of 2 seeds" not in cells["adam"]


def test_nor_within_an_optimizer(tmp_path):
    rows = [trial("sgd", 0.3, score=0.99), *[trial("sgd", 0.1, s, 0.9) for s in (0, 1, 2)]]
    headline, remarks, _ = told(tmp_path, rows)
    assert headline.startswith("sgd with learning_rate=0.1 reaches validation accuracy 0.9, mean")
    assert "1 of 2 configurations has fewer than 3 seeds" in remarks


def test_where_none_has_all_its_seeds_the_mean_says_of_how_many(tmp_path):
    rows = [*LUCKY, trial("adam", 0.3, 0), trial("adam", 0.3, 1, status="diverged")]
    rows = [row | {"status": "diverged", "valid_accuracy": np.nan} if row["seed"] else row
            for row in rows]  # fmt: skip
    headline = told(tmp_path, rows)[0]
    assert "validation accuracy 0.99, mean of 1 of 2 seeds" in headline


def test_interrupted_is_not_better_by_being_worse(tmp_path):
    """Who has a better mean of fewer finished seeds is not "0.04 better than" anybody."""
    rows = [*LUCKY, trial("sgd", seed=1, status="unfinished")]
    headline = told(tmp_path, rows)[0]
    assert "better than" not in headline
    assert "sgd has 0.99, but on 1 of 2 seeds: it ranks after." in headline


def test_fewer_fresh_seeds_rank_after(tmp_path):
    rows = [trial(name, seed=s, score=0.8) for name in ("sgd", "adam") for s in (0, 1)]
    fresh = [trial("sgd", seed=5, score=0.9)]
    fresh += [trial("adam", seed=s, score=0.7 + s / 1000) for s in (5, 6)]
    headline, remarks, cells = told(tmp_path, rows, fresh)
    assert headline.startswith("adam with learning_rate=0.1 alone has a score on all 2 fresh")
    assert "sgd has 0.9, but on 1 of 2 fresh seeds: it ranks after." in headline
    assert "sgd has fewer fresh seeds than others, and ranks after them." in remarks
    assert "0.9 (1 of 2 seeds)" in cells["sgd"]


def test_equal_numbers_of_seeds_raise_no_doubt(tmp_path):
    rows = [trial(name, seed=s, score=0.8) for name in ("sgd", "adam") for s in (0, 1)]
    headline, remarks, cells = told(tmp_path, rows)
    assert "tie" in headline and remarks == "" and "seeds" not in cells["sgd"]


def test_equal_scores_tie_whatever_rounding_makes_of_them(tmp_path):
    """94 of 120 right, split otherwise over two seeds: once "sgd wins, 3e-8 better than adam"."""
    right = [np.float32(n) / np.float32(60) for n in (47, 47, 46, 48)]
    assert np.float64(right[0]) + right[1] != np.float64(right[2]) + right[3]
    names = ["sgd", "sgd", "adam", "adam"]
    given = zip(names, [0, 1, 0, 1], right, strict=True)
    rows = [trial(name, seed=s, score=x) for name, s, x in given]
    fresh = [row | {"seed": row["seed"] + 7} for row in rows]
    for directory, again in (("search", None), ("fresh", fresh)):
        headline = told(tmp_path / directory, rows, again)[0]
        assert "sgd and adam tie" in headline
        assert "better" not in headline and "interval" not in headline


def regression(name, r2, **more):
    return [
        {k: v for k, v in trial(name, seed=s).items() if "accuracy" not in k}
        | {"valid_r2": r2 + s / 1e9}
        | more
        for s in (0, 1)
    ]


def test_no_better_than_the_mean_is_not_learned(tmp_path):
    """R² is 0 for the mean of the data, whatever they are."""
    rows = regression("sgd", -0.02) + regression("adam", 0.0) + regression("lion", 0.3)
    known = {"task": {"name": "sales", "metrics": {"r2": "max", "loss": "min"}}}
    headline, remarks, cells = told(tmp_path / "a", rows, metric="valid_r2", **known)
    assert headline.startswith("lion") and "learned nothing" not in headline
    assert (
        "Validation R² of adam and sgd is no better than that of one answer for all examples (0)."
    ) in remarks
    assert [("has learned nothing" in cells[x]) for x in ("sgd", "adam", "lion")] == [1, 1, 0]
    rows = regression("sgd", -0.02) + regression("adam", 0.0)
    headline, _, _ = told(tmp_path / "b", rows, metric="valid_loss", direction="min", **known)
    assert "has learned nothing: one answer for all examples does as well." in headline


def test_no_better_than_the_commonest_answer_is_not_learned(tmp_path):
    """Of an accuracy the manifest must say what the commonest class reaches."""
    rows = [trial(name, seed=s, score=x) for name, x in (("sgd", 0.875), ("adam", 0.9))
            for s in (0, 1)]  # fmt: skip
    task = {"name": "fraud", "metrics": {"accuracy": "max", "loss": "min"}}
    assert "one answer" not in told(tmp_path / "a", rows, task=task)[1]
    task |= {"baselines": {"accuracy": 0.875, "loss": 0.4}}
    _, remarks, cells = told(tmp_path / "b", rows, task=task)
    assert "Validation accuracy of sgd is no better than that of one answer" in remarks
    assert "Validation loss of adam and sgd is no better" in remarks  # 0.5 of both
    assert "has learned nothing" in cells["sgd"]
    assert "has learned nothing" not in cells["adam"]  # it has, by its accuracy


@pytest.mark.parametrize(
    "odd", every(3, [None, [], "x", {"accuracy": "x"}, {"accuracy": None}, {"f": 1}])
)
def test_odd_baselines_say_nothing(tmp_path, odd):
    task = {"name": "digits", "metrics": {"accuracy": "max"}, "baselines": odd}
    assert "one answer" not in told(tmp_path, [trial(), trial("sgd")], task=task)[1]


@pytest.mark.long
def test_a_squared_error_is_said_in_units_of_the_target(tmp_path):
    """0.5 of a variance of 200² is an error of 141.4."""
    task = {"name": "sales", "metrics": {"loss": "min"}, "baselines": {"loss": 1.21}}
    task |= {"target": {"name": "price (€)", "scale": 200.0}}
    rows = [trial(name, seed=s, loss=x) for name, x in (("sgd", 0.5), ("adam", 0.7))
            for s in (0, 1)]  # fmt: skip
    how = {"metric": "valid_loss", "direction": "min"}
    said = told(tmp_path / "a", rows, task=task, **how)[1]
    assert "Validation loss of sgd is an error of 141.4 in price (€)" in said
    assert "; one answer for all examples has 220." in said
    measured = task | {"metrics": {"loss": "min", "r2": "max"}}
    known = [row | {"valid_r2": {"sgd": 0.58, "adam": 0.4}[row["optimizer"]]} for row in rows]
    said = told(tmp_path / "r2", known, task=measured, **how)[1]
    assert "; one answer for all examples has 220; validation R² 0.58." in said
    task["target"]["scale"] = 2e5
    assert "an error of 141,421 in" in told(tmp_path / "b", rows, task=task, **how)[1]
    assert "in price" not in told(tmp_path / "c", rows, task=task)[1]  # chosen by accuracy
    for odd in (None, {"name": "y"}, {"name": "y", "scale": "2"}, {"name": "y", "scale": -1.0}, 7):
        said = told(tmp_path / "d", rows, task=task | {"target": odd}, **how)[1]
        assert "root of the mean" not in said
