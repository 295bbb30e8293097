"""The tables against loops over the trials, and each ranking rule by a case of its own."""

import itertools

import numpy as np
import pandas as pd
import pytest
from long_form import only
from report_studies import courses, table, trial
from scipy import stats

from jaxopt_course.report import bands, tables

HYPER = ["optimizer", "learning_rate"]
RANDOM = np.random.default_rng(3)


def ranked(rows, metric="valid_accuracy", direction="max", hyper=HYPER):
    return tables.configurations(table(rows), hyper, metric, direction)


def order(rows, **how):
    return ranked(rows, **how)["learning_rate"].tolist()


def many(*statuses):
    """A configuration for each way in which three seeds can end, in a random order of rows."""
    rows = [
        trial(name, rate, seed, RANDOM.random(), status, RANDOM.random())
        for name in ("sgd", "adam")
        for rate, ends in enumerate(itertools.product(statuses, repeat=3), 1)
        for seed, status in enumerate(ends)
    ]
    return [rows[i] for i in RANDOM.permutation(len(rows))]


@pytest.mark.parametrize("direction", ["min", "max"])
def test_configurations_equal_a_loop_over_the_trials(direction):
    rows = many("finished", "diverged", "unfinished")
    expected = []
    for name, rate in dict.fromkeys((row["optimizer"], row["learning_rate"]) for row in rows):
        mine = [r for r in rows if (r["optimizer"], r["learning_rate"]) == (name, rate)]
        done = [r["valid_accuracy"] for r in mine if r["status"] == "finished"]
        diverged = sum(r["status"] == "diverged" for r in mine)
        score = np.mean(done) if done and not diverged else np.nan
        unfinished = len(mine) - len(done) - diverged
        kind = 3 if diverged else 2 if not done else 1 if unfinished else 0
        sign = {"min": 1, "max": -1}[direction]
        by = (kind, sign * np.nan_to_num(score), diverged)
        # Without a score nothing but the share of diverged seeds and the row decides.
        expected.append((by, [name, rate, len(mine), diverged, unfinished, score, done]))
    expected = [row for _, row in sorted(expected, key=lambda pair: pair[0])]
    found = ranked(rows, direction=direction)
    assert found["rank"].tolist() == list(range(1, 2 * 27 + 1))
    for (_, row), (name, rate, n, diverged, unfinished, score, done) in zip(
        found.iterrows(), expected, strict=True
    ):
        assert [row["optimizer"], row["learning_rate"]] == [name, rate]
        assert [row["seeds"], row["diverged"], row["unfinished"]] == [n, diverged, unfinished]
        assert row["valid_accuracy"] == pytest.approx(score, nan_ok=True)
        spread = np.std(done, ddof=1) if len(done) > 1 and not np.isnan(score) else np.nan
        assert row["valid_accuracy_std"] == pytest.approx(spread, nan_ok=True)
        if not np.isnan(score):
            assert row["valid_accuracy_min"] == min(done)
            assert row["valid_accuracy_max"] == max(done)


@pytest.mark.parametrize("direction, best", [("max", [0.3, 0.2, 0.1]), ("min", [0.1, 0.2, 0.3])])
def test_direction_decides(direction, best):
    assert (
        order([trial(learning_rate=x, score=x) for x in (0.2, 0.1, 0.3)], direction=direction)
        == best
    )


@pytest.mark.parametrize("direction", ["min", "max"])
def test_a_diverged_seed_takes_the_score_and_the_place(direction):
    rows = [
        trial(learning_rate=1.0, seed=0, score=0.99 if direction == "max" else 0.01),
        trial(learning_rate=1.0, seed=1, status="diverged"),
        trial(learning_rate=0.1, seed=0, score=0.5),
        trial(learning_rate=0.1, seed=1, score=0.5),
    ]
    found = ranked(rows, direction=direction)
    assert found["learning_rate"].tolist() == [0.1, 1.0]
    assert found["diverged"].tolist() == [0, 1]
    assert found["valid_accuracy"].isna().tolist() == [False, True]


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_a_finished_trial_without_a_number_is_never_best(direction, nothing):
    rows = [
        trial(learning_rate=1.0, seed=0, score=0.9 if direction == "max" else 0.1),
        trial(learning_rate=1.0, seed=1, score=nothing),
        trial(learning_rate=0.1, score=0.5),
    ]
    assert order(rows, direction=direction) == [0.1, 1.0]


def test_all_diverged_keeps_the_order_of_appearance():
    rows = [trial(learning_rate=x, status="diverged") for x in (0.3, 0.1, 0.2)]
    assert order(rows) == [0.3, 0.1, 0.2]
    assert ranked(rows)["valid_accuracy"].isna().all()


def test_among_diverged_the_smaller_share_comes_first():
    rows = [trial(learning_rate=1.0, seed=s, status="diverged") for s in range(2)]
    rows += [trial(learning_rate=0.1, seed=0), trial(learning_rate=0.1, seed=1, status="diverged")]
    assert order(rows) == [0.1, 1.0]


@pytest.mark.long
@pytest.mark.parametrize("times", only([40], [40, 300]))
@pytest.mark.parametrize("direction", only(["max"], ["min", "max"]))
def test_equal_sums_of_right_answers_are_equal(direction, times):
    """In float32, split otherwise over the seeds, they differ in the 8th digit of the mean."""
    right = np.float32(1) / np.float32(60) if direction == "max" else np.float32(-1) / 60
    for _ in range(times):
        n = int(RANDOM.integers(2, 6))
        counts = RANDOM.integers(20, 61, n)
        other = counts[::-1].copy()
        if counts[0] > 20 and counts[1] < 60:
            other = counts + np.array([-1, 1] + [0] * (n - 2))
        rows = [
            trial(name, 0.1, seed, np.float32(np.float32(count) * right), loss=loss)
            for name, scores, loss in (("high", counts, 0.9), ("low", other, 0.1))
            for seed, count in enumerate(scores)
        ]
        found = ranked(rows, direction=direction)
        assert found["optimizer"].tolist() == ["low", "high"]
        one_more = [r | {"valid_accuracy": np.float32(r["valid_accuracy"] + right)}
                    if (r["optimizer"], r["seed"]) == ("high", 0) else r for r in rows]  # fmt: skip
        assert ranked(one_more, direction=direction)["optimizer"].tolist() == ["high", "low"]


def test_levels_do_not_chain():
    """Each is within rounding of the next, the last is not within it of the first."""
    apart = 0.8 * tables.ROUNDING
    found = tables.levels(pd.Series([1.0, 1 + apart, 1 + 2 * apart, 1 + 3 * apart, np.nan]))
    assert found.tolist() == [0, 0, 1, 1, 5]
    assert tables.levels(pd.Series([0.0, 0.0, 1e-30, -1e-30])).tolist() == [1, 1, 2, 0]


def test_ties_go_to_the_lower_loss_and_then_to_the_earlier_row():
    rows = [
        trial(learning_rate=0.1, score=0.9, loss=0.3),
        trial(learning_rate=0.2, score=0.9, loss=0.2),
        trial(learning_rate=0.3, score=0.9, loss=0.2),
    ]
    assert order(rows) == [0.2, 0.3, 0.1]
    without = [{k: v for k, v in row.items() if k != "valid_loss"} for row in rows]
    assert order(without) == [0.1, 0.2, 0.3]


def test_a_lucky_part_does_not_beat_a_whole():
    rows = [
        trial(learning_rate=1.0, seed=0, score=0.99),
        trial(learning_rate=1.0, seed=1, status="unfinished"),
        trial(learning_rate=0.1, seed=0, score=0.5),
        trial(learning_rate=0.1, seed=1, score=0.5),
    ]
    found = ranked(rows)
    assert found["learning_rate"].tolist() == [0.1, 1.0]
    assert found["unfinished"].tolist() == [0, 1]
    assert found["valid_accuracy"].tolist() == [0.5, 0.99]


def test_one_seed_does_not_beat_two():
    """Even where a hyperparameter's other values have one seed only, as a table cut by hand."""
    rows = [trial("sgd", 1.0, 0, 0.99), trial("sgd", 0.3, 0, 0.98)]
    rows += [trial("adam", 0.1, seed, 0.95) for seed in (0, 1)]
    found = ranked(rows)
    assert found["optimizer"].tolist() == ["adam", "sgd", "sgd"]
    assert found["learning_rate"].tolist() == [0.1, 1.0, 0.3]  # among equals the score decides
    assert found["valid_accuracy"].tolist() == [0.95, 0.99, 0.98]
    assert tables.winners(found)["optimizer"].tolist() == ["adam", "sgd"]
    worse = [trial("lion", 2.0, 0), trial("lion", 2.0, 1, status="diverged")]
    assert ranked(rows + worse)["optimizer"].tolist() == ["adam", "sgd", "sgd", "lion"]


def test_a_repeated_trial_is_no_further_seed():
    rows = [trial(score=0.8), trial(score=0.8, duplicate_of=0), trial(learning_rate=0.2)]
    assert order(rows) == [0.2, 0.1]


def test_undefined_values_are_counted():
    rows = [trial(seed=s, score=x) for s, x in enumerate((0.5, np.nan, np.inf))]
    rows += [trial(learning_rate=0.2, seed=s, status=x) for s, x in
             enumerate(("finished", "diverged", "unfinished"))]  # fmt: skip
    found = ranked(rows).set_index("learning_rate")
    assert found["valid_accuracy_undefined"].to_dict() == {0.1: 2, 0.2: 0}
    (row, _) = bands.intervals(table(rows), HYPER, ["valid_accuracy"]).to_dict("records")
    assert [row["n"], row["seeds"], row["diverged"], row["undefined"]] == [1, 3, 0, 2]
    assert row["mean"] == 0.5


def test_a_repeated_trial_counts_once():
    rows = [trial(score=0.8), trial(seed=1, score=0.6), trial(score=0.8, duplicate_of=0)]
    found = ranked(rows)
    assert found["seeds"].tolist() == [2]
    assert found["valid_accuracy"].tolist() == pytest.approx([0.7])


def test_empty_cells_make_one_configuration():
    rows = [trial("sgd", seed=s, b1=pd.NA) for s in range(2)]
    rows += [trial("adam", seed=s, b1=0.9) for s in range(2)]
    trials = table(rows).astype({"b1": "Float64"})
    found = tables.configurations(trials, [*HYPER, "b1"], "valid_accuracy", "max")
    assert found["seeds"].tolist() == [2, 2]
    assert found["b1"].isna().tolist() == [True, False]


def test_a_row_with_an_empty_cell_finds_its_own_trials():
    """Sgd has no b1: nobody else's row is its, and its own are not lost."""
    trials = table(
        [trial("sgd"), trial("adam", b1=0.9), trial("sgd", seed=1), trial("adam", b1=0.5)]
    )
    rows = trials.loc[[0, 1]]
    found = [tables.same(trials, row, ["optimizer", "b1"]) for _, row in rows.iterrows()]
    np.testing.assert_array_equal(found, [[True, False, True, False], [False, True, False, False]])


def test_an_unknown_direction_is_named():
    with pytest.raises(ValueError, match="'up'"):
        ranked([trial()], direction="up")


def test_a_hyperparameter_with_the_name_of_a_result_is_named():
    with pytest.raises(ValueError, match="rank"):
        ranked([trial(rank=3)], hyper=[*HYPER, "rank"])


def test_the_table_of_trials_is_left_alone():
    trials = table(many("finished", "diverged"))
    before = trials.copy()
    found = tables.configurations(trials, HYPER, "valid_accuracy", "max")
    bands.intervals(trials, HYPER, ["valid_accuracy"])
    tables.winners(found, HYPER)
    pd.testing.assert_frame_equal(trials, before)


def test_winners_are_the_first_of_each_optimizer():
    rows = [trial("sgd", 0.1, score=0.5), trial("sgd", 0.2, score=0.7)]
    rows += [trial("adam", 0.1, score=0.9), trial("adam", 0.2, score=0.8)]
    rows += [trial("bad", x, status="diverged") for x in (0.1, 0.2, 0.3)]
    found = tables.winners(ranked(rows), HYPER)
    assert found["optimizer"].tolist() == ["adam", "sgd", "bad"]
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["learning_rate"].tolist() == [0.1, 0.2, 0.1]
    assert found["diverged"].tolist() == [0, 0, 1]  # present and marked
    assert found["trials"].tolist() == [2, 2, 3]
    assert found["trials_diverged"].tolist() == [0, 0, 3]
    assert found["at_edge"].tolist() == ["", "", ""]  # two values have no inside; no score, no edge


def test_without_optimizers_there_is_one_winner():
    rows = [trial(learning_rate=x, score=x) for x in (0.1, 0.3, 0.2)]
    found = tables.winners(ranked(rows, hyper=["learning_rate"]), ["learning_rate"])
    assert found["learning_rate"].tolist() == [0.3]
    assert found["at_edge"].tolist() == ["learning_rate (highest)"]


@pytest.mark.parametrize(
    "best, edge",
    [(0.1, "learning_rate (lowest)"), (0.2, ""), (0.3, "learning_rate (highest)")],
)
def test_the_edge_of_the_range_is_flagged(best, edge):
    rows = [trial(learning_rate=x, score=0.9 if x == best else 0.5) for x in (0.2, 0.1, 0.3)]
    assert tables.winners(ranked(rows), HYPER)["at_edge"].tolist() == [edge]


def test_the_edge_is_that_of_the_optimizers_own_range():
    rows = [trial("sgd", x, score=x) for x in (0.1, 0.2, 0.3)]
    rows += [trial("adam", x, score=1 - abs(x - 1)) for x in (0.5, 1.0, 2.0)]
    found = tables.winners(ranked(rows), HYPER).set_index("optimizer")["at_edge"]
    assert found.to_dict() == {"adam": "", "sgd": "learning_rate (highest)"}


def test_a_diverged_neighbour_closes_the_range():
    rows = [trial(learning_rate=x, score=x) for x in (0.1, 0.2)]
    rows += [trial(learning_rate=0.3, status="diverged")]
    assert tables.winners(ranked(rows), HYPER)["at_edge"].tolist() == [""]


@pytest.mark.parametrize("values", [[False, True], ["a", "b", "c"], [0.5, 0.7]])
def test_only_three_numbers_have_edges(values):
    rows = [trial(given=value, score=0.1 * i) for i, value in enumerate(values)]
    found = tables.winners(ranked(rows, hyper=[*HYPER, "given"]), ["given"])
    assert found["given"].tolist() == [values[-1]]
    assert found["at_edge"].tolist() == [""]


def test_what_was_not_searched_has_no_edge():
    rows = [trial(learning_rate=x, score=x) for x in (0.1, 0.2, 0.3)]
    assert tables.winners(ranked(rows), ["optimizer"])["at_edge"].tolist() == [""]


def test_intervals_are_those_of_scipy():
    rows = [trial(o, x, s, RANDOM.random()) for o in "ab" for x in (1, 2, 3) for s in range(3)]
    found = bands.intervals(table(rows), HYPER, ["valid_accuracy", "test_accuracy"])
    assert len(found) == 2 * 6
    for _, row in found.iterrows():
        values = [
            r[row["metric"]]
            for r in rows
            if (r["optimizer"], r["learning_rate"]) == (row["optimizer"], row["learning_rate"])
        ]
        interval = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
        assert [row["low"], row["high"]] == pytest.approx(interval, rel=1e-12)
        assert row["high"] - row["mean"] == pytest.approx(row["half_width"])
        assert [row["n"], row["seeds"], row["diverged"]] == [3, 3, 0]


def test_an_interval_says_how_many_seeds_diverged():
    rows = [trial(seed=s, score=s / 10) for s in range(3)] + [trial(seed=3, status="diverged")]
    (row,) = bands.intervals(table(rows), HYPER, ["valid_accuracy"]).to_dict("records")
    assert [row["n"], row["seeds"], row["diverged"]] == [3, 4, 0.25]
    assert row["mean"] == pytest.approx(0.1)
    assert row["half_width"] == pytest.approx(stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3))


def test_two_seeds_have_an_interval():
    """Half width t(1, 0.975) s / √2, a wide one: s = 0.1 √2 / 2 makes it t / 20."""
    found = bands.intervals(table([trial(score=0.7), trial(seed=1, score=0.8)]), HYPER,
                            ["valid_accuracy"])  # fmt: skip
    assert found["n"].tolist() == [2]
    t = np.tan(np.pi * (0.975 - 0.5))  # Student's t of one degree of freedom is Cauchy's
    assert found["half_width"].tolist() == pytest.approx([t * 0.05], rel=1e-9)
    assert found["low"].tolist() == pytest.approx([0.75 - t * 0.05], rel=1e-9)
    assert found["high"].tolist() == pytest.approx([0.75 + t * 0.05], rel=1e-9)


def test_one_seed_has_no_interval_and_none_has_no_mean():
    found = bands.intervals(table([trial(score=0.7)]), HYPER, ["valid_accuracy"])
    assert found["mean"].tolist() == [0.7]
    assert found[["half_width", "low", "high"]].isna().all(axis=None)
    found = bands.intervals(table([trial(status="diverged")]), HYPER, ["valid_accuracy"])
    assert found["n"].tolist() == [0]
    assert found["mean"].isna().all()


def test_sensitivity_shows_the_best_of_each_rate():
    rows = [
        trial("adam", rate, seed, score=rate + b1 / 10 + seed / 100, b1=b1)
        for rate in (0.3, 0.1)
        for b1 in (0.5, 0.9)
        for seed in range(2)
    ]
    rows += [trial("adam", 1.0, 0, b1=0.9), trial("adam", 1.0, 1, status="diverged", b1=0.9)]
    rows += [trial("sgd", None, score=0.2)]
    found = tables.sensitivity(ranked(rows, hyper=[*HYPER, "b1"]), "valid_accuracy")
    assert found["optimizer"].tolist() == ["adam"] * 3
    assert found["learning_rate"].tolist() == [0.1, 0.3, 1.0]
    assert found["mean"].tolist() == pytest.approx([0.195, 0.395, np.nan], nan_ok=True)
    assert found["low"].tolist() == pytest.approx([0.19, 0.39, np.nan], nan_ok=True)
    assert found["high"].tolist() == pytest.approx([0.2, 0.4, np.nan], nan_ok=True)
    assert found["diverged"].tolist() == [0, 0, 0.5]


def test_sensitivity_of_what_was_drawn_with_others_is_its_upper_edge():
    """A rate is left out where one farther from the best is better: another number spoiled it."""
    drawn = {0.1: (0.2, 1.0), 0.2: (0.5, 2.0), 0.3: (0.4, 3.0), 0.4: (0.9, 4.0), 0.5: (0.3, 5.0),
             0.6: (0.6, 6.0), 0.7: (0.1, 7.0)}  # fmt: skip
    rows = [trial("adamw", rate, score=x, b1=b1) for rate, (x, b1) in drawn.items()]
    rows += [trial("sgd", rate, score=x) for rate, (x, _) in drawn.items()]
    rows += [trial("adamw", 0.45, status="diverged", b1=9.0)]
    found = tables.sensitivity(
        ranked(rows, hyper=[*HYPER, "b1"]), "valid_accuracy", others=["b1"]
    ).set_index("optimizer")
    assert found.loc["adamw", "learning_rate"].tolist() == [0.1, 0.2, 0.4, 0.45, 0.6, 0.7]
    assert found.loc["sgd", "learning_rate"].tolist() == list(drawn)


def test_curves_are_bands_over_the_seeds():
    trials = table(
        [trial("sgd", seed=s) for s in range(3)] + [trial("adam", seed=s) for s in (0, 1)]
    )
    dataset = courses(trials)
    found = bands.curves(dataset, trials, ranked_one(trials), HYPER, ["train_loss", "valid_loss"])
    for name, rows in {"sgd": [0, 1, 2], "adam": [3, 4]}.items():
        for quantity in ("train_loss", "valid_loss"):
            mine = found[(found["optimizer"] == name) & (found["quantity"] == quantity)]
            values = dataset[quantity].to_numpy()[rows].astype(float)
            assert mine["step"].tolist() == [10, 20, 30, 40]
            np.testing.assert_allclose(mine["mean"], values.mean(0), rtol=1e-12)
            np.testing.assert_array_equal(mine["low"], values.min(0))
            np.testing.assert_array_equal(mine["high"], values.max(0))


def ranked_one(trials):
    return tables.winners(tables.configurations(trials, HYPER, "valid_accuracy", "max"))


def test_a_band_ends_where_its_first_seed_diverges():
    trials = table([trial(seed=0), trial(seed=1, status="diverged")])
    found = bands.curves(courses(trials), trials, ranked_one(trials), HYPER, ["train_loss"])
    assert found["step"].tolist() == [10]


def test_unfinished_seeds_do_not_shorten_a_band():
    trials = table([trial(seed=0), trial(seed=1, status="unfinished")])
    found = bands.curves(courses(trials), trials, ranked_one(trials), HYPER, ["train_loss"])
    assert found["step"].tolist() == [10, 20, 30, 40]
    only = trials[1:]
    found = bands.curves(courses(only), only, ranked_one(only), HYPER, ["train_loss"])
    assert found["step"].tolist() == [10, 20]


def test_a_long_curve_is_thinned_and_keeps_its_end():
    trials = table([trial()])
    dataset = courses(trials, points=2503, every=1)
    found = bands.curves(dataset, trials, ranked_one(trials), HYPER, ["train_loss"], most=100)
    assert len(found) == 101
    assert found["step"].iloc[-1] == 2503
    assert set(found["step"].diff().dropna()) == {25}
