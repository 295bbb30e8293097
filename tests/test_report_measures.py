"""What figures show, against brute force on small inputs that are known."""

import itertools
from statistics import mean

import numpy as np
import pandas as pd
import pytest

from jaxopt_course.report import figures_tasks, task_statistics
from jaxopt_course.report.measures import across, basins, budgets, importance, targets, variance

NAN = float("nan")


def draws(scores, n):
    """All draws of n with replacement, each as likely: the best, -inf where it has no score."""
    values = [-np.inf if np.isnan(x) else x for x in scores]
    return [max(drawn) for drawn in itertools.product(values, repeat=n)]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_win_probabilities_are_those_of_all_draws(n):
    scores = {"a": [0.1, 0.5, 0.9], "b": [0.5, 0.6, NAN], "c": [0.5, 0.5]}
    got = budgets.win_probabilities(scores, "max", n)
    wins, count = dict.fromkeys(scores, 0.0), 0
    for bests in itertools.product(*(draws(x, n) for x in scores.values())):
        top, count = max(bests), count + 1
        ahead = [name for name, best in zip(scores, bests, strict=True) if best == top]
        for name in ahead:
            wins[name] += np.isfinite(top) / len(ahead)
    for name in scores:
        assert got[name] == pytest.approx(wins[name] / count)
    assert got.sum() == pytest.approx(1)


def test_of_losses_the_lowest_wins_and_nobody_where_nobody_has_a_score():
    chances = budgets.win_probabilities({"a": [0.1, 0.2], "b": [0.3, NAN]}, "min", 1)
    assert chances.to_dict() == {"a": 1.0, "b": 0.0}
    assert budgets.win_probabilities({"a": [NAN], "b": [NAN]}, "min", 2).sum() == 0


@pytest.mark.parametrize("direction", ["max", "min"])
def test_the_best_of_n_has_the_quantiles_of_all_draws(direction):
    sign = 1 if direction == "max" else -1
    given = [0.3, 0.1, NAN, 0.7, 0.2]
    table = budgets.best_of_n({"a": [sign * x for x in given]}, direction, [1, 2, 3])
    for row in table.itertuples():
        bests = np.sort(draws(given, row.n))
        for q, got in ((0.1, row.low), (0.5, row.median), (0.9, row.high)):
            want = bests[int(np.ceil(q * len(bests) - 1e-9)) - 1]
            assert (np.isnan(got) and want == -np.inf) or got == pytest.approx(sign * want)


def test_one_trial_is_the_median_and_many_are_the_best():
    table = budgets.best_of_n({"a": [1.0, 2.0, 3.0]}, "min", [1, 50]).set_index("n")
    assert table.loc[1, "median"] == 2 and table.loc[50, "median"] == 1


def test_the_map_tells_who_wins_where():
    """a is quick, b is good in the end but only one of its three settings is."""
    courses = pd.DataFrame({10: [5, 5, 5, 1, 1, 9.0], 20: [5, 5, 5, 9, 1, 1.0]})
    optimizers = pd.Series(["a"] * 3 + ["b"] * 3)
    table = budgets.winner_map(courses, optimizers, "max", numbers=[1, 3]).set_index(["step", "n"])
    assert table.loc[(20, 1), "optimizer"] == "a"
    assert table.loc[(20, 1), "probability"] == pytest.approx(2 / 3)
    assert table.loc[(20, 3), "optimizer"] == "b"
    assert table.loc[(20, 3), "probability"] == pytest.approx(1 - (2 / 3) ** 3)


def test_steps_to_a_target_and_who_misses_it():
    curves = pd.DataFrame(
        {
            "optimizer": ["a"] * 3 + ["b"] * 3,
            "step": [1, 2, 3] * 2,
            "mean": [0.5, 0.6, 0.6, 0.1, 0.4, 0.9],
        }
    )
    table = targets.steps_to_target(curves, "max", most=9).set_index(["target", "optimizer"])
    easy, hard = table.index.get_level_values(0).min(), table.index.get_level_values(0).max()
    assert (easy, hard) == (0.1, 0.9)
    assert table.loc[(easy, "a"), "steps"] == 1 and table.loc[(easy, "a"), "rank"] == 1
    assert table.loc[(easy, "b"), "rank"] == 1  # both at once
    assert table.loc[(hard, "a"), "steps"] == np.inf and np.isnan(table.loc[(hard, "a"), "rank"])
    assert table.loc[(hard, "b"), "steps"] == 3 and table.loc[(hard, "b"), "rank"] == 1
    for (target, name), row in table.iterrows():
        mine = curves[(curves["optimizer"] == name) & (curves["mean"] >= target)]
        assert row["steps"] == (mine["step"].min() if len(mine) else np.inf)
    assert targets.steps_to_target(curves.iloc[:0], "max").empty


def test_losses_have_targets_by_the_decade():
    curves = pd.DataFrame({"optimizer": "a", "step": [1, 2, 3], "mean": [1.0, 0.1, 0.01]})
    table = targets.steps_to_target(curves, "min", most=3)
    assert table["target"].tolist() == pytest.approx([1, 0.1, 0.01])
    assert table["steps"].tolist() == [1, 2, 3]


def nested(random, sizes, spread):
    """Trials of a design with known components: optimizer, configuration, seed."""
    optimizers, configurations, seeds = sizes
    rows = []
    for i in range(optimizers):
        a = spread[0] * random.normal()
        for j in range(configurations):
            b = spread[1] * random.normal()
            rows += [(i, (i, j), a + b + spread[2] * random.normal()) for _ in range(seeds)]
    return pd.DataFrame(rows, columns=["optimizer", "configuration", "score"])


def test_variance_is_shared_as_the_moments_say():
    trials = nested(np.random.default_rng(0), (3, 4, 2), (1.0, 2.0, 0.5))
    got = variance.variance_shares(trials, "score", draws=20).set_index("source")["share"]
    cells = trials.groupby(["optimizer", "configuration"])["score"].apply(list)
    noise = mean(np.var(cell, ddof=1) for cell in cells)
    means = {i: [np.mean(c) for c in part] for i, part in cells.groupby(level=0)}
    within = mean(np.var(m, ddof=1) for m in means.values()) - noise / 2
    between = np.var([np.mean(m) for m in means.values()], ddof=1) - (within + noise / 2) / 4
    parts = np.array([max(between, 0), within, noise])
    assert got.to_numpy() == pytest.approx(parts / parts.sum())


@pytest.mark.parametrize("place", range(3))
def test_what_alone_varies_has_all_of_the_variance(place):
    spread = np.eye(3)[place] + 1e-9
    trials = nested(np.random.default_rng(1), (4, 40, 3), spread)
    table = variance.variance_shares(trials, "score", draws=50)
    assert table.loc[place, "share"] > 0.9
    assert (table["low"] <= table["share"]).all() and (table["share"] <= table["high"]).all()
    assert table["share"].sum() == pytest.approx(1)


def test_variance_needs_two_seeds_and_a_difference():
    one = nested(np.random.default_rng(2), (2, 3, 1), (1, 1, 1))
    assert variance.variance_shares(one, "score").empty
    assert variance.variance_shares(one.assign(score=1.0), "score").empty
    assert variance.variance_shares(one.assign(score=NAN), "score").empty


def test_the_basin_is_what_is_nearly_best():
    table = pd.DataFrame(
        {
            "optimizer": ["a"] * 5 + ["b"] * 2,
            "rate": [0.001, 0.01, 0.1, 1.0, 10.0, 0.1, np.nan],
            "loss": [2.0, 1.04, 1.0, 1.06, NAN, 3.0, 1.0],
        }
    )
    found = basins.basin(table, ["rate"], "loss", "min")
    assert found["inside"].tolist() == [False, True, True, False, False, True]


def test_what_decides_alone_is_all_that_matters():
    random = np.random.default_rng(0)
    table = pd.DataFrame({"x": 10 ** random.uniform(-4, 0, 60), "y": random.uniform(size=60)})
    table["score"] = (np.log10(table["x"]) + 2) ** 2
    got = importance.importances(table, ["x", "y"], "score", "min").set_index("column")
    assert got.index[0] == "x" and got["importance"].sum() == pytest.approx(1)
    assert got.loc["x", "importance"] > 0.8
    assert importance.importances(table, ["x"], "score", "min").empty
    assert importance.importances(table.head(5), ["x", "y"], "score", "min").empty


def many(tasks=4):
    """a is best on all tasks but one, c on none; two seeds each."""
    rows = []
    for t in range(tasks):
        scores = {"a": 0.9, "b": 0.8, "c": 0.5} if t else {"a": 0.6, "b": 0.8, "c": 0.5}
        rows += [
            {"task": f"t{t}<i>", "optimizer": name, "seed": s, "score": x + s / 100}
            for name, x in scores.items()
            for s in range(2)
        ]
    return task_statistics.score_array(pd.DataFrame(rows), "score", "max")


def test_ranks_over_tasks_are_those_counted_by_hand():
    scores = many()
    table = across.ranks(scores)
    assert table["optimizer"].tolist() == ["a", "b", "c"]
    assert table["mean_rank"].tolist() == pytest.approx([(2 + 3) / 4, (1 + 6) / 4, 3])
    distance = task_statistics.critical_distance(3, 4)  # 1.66: a and b, b and c, not a and c
    assert 1.25 < distance < 1.75
    assert across.bars(scores).to_numpy().tolist() == [[0, 1], [1, 2]]


def test_the_heat_map_has_one_for_the_best_and_none_for_the_worst():
    table = across.heat(many())
    assert table.loc["a"].tolist() == pytest.approx([1 / 3, 1, 1, 1])
    assert table.loc["c"].tolist() == pytest.approx([0, 0, 0, 0])


def test_a_profile_is_the_share_beyond():
    scores = many()
    values = task_statistics.normalized(scores.values)
    for row in across.profile(scores, 5).itertuples():
        mine = values[scores.optimizers.index(row.optimizer)]
        assert row.share == pytest.approx((mine > row.threshold).mean())


def test_the_section_of_tasks_holds_their_plots_and_no_markup_of_theirs():
    from jaxopt_course.report.words import Words

    whole = figures_tasks.section(many(), Words("es"))
    assert whole.count('class="canvas"') == 3 and "Sobre todas las tareas" in whole
    assert "t0<i>" not in whole


def test_who_was_stopped_stands_where_he_was_read_last():
    from jaxopt_course.report.measures.stopped import stopped

    trials = pd.DataFrame({"trial": [3, 4, 5, 6], "optimizer": list("abab")})
    trials["learning_rate"] = [0.1, 0.2, 0.3, 0.4]
    trials["status"] = ["stopped", "finished", "stopped", "stopped"]
    nan = np.nan
    courses = pd.DataFrame(
        [[0.5, 0.6, nan], [0.1, 0.2, 0.3], [nan, nan, nan]], index=[3, 4, 6], columns=[10, 20, 30]
    )
    found = stopped(trials, courses)  # of 5 there is no curve, of 6 nothing was read
    assert found.to_dict("records") == [
        {"trial": 3, "optimizer": "a", "learning_rate": 0.1, "step": 20, "value": 0.6}
    ]
    for none in (stopped(trials, pd.DataFrame()), stopped(trials[1:2], courses)):
        assert none.empty and [*none] == [*found]
