"""Statistics over several tasks, against scipy and the numbers of rliable."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jaxopt_course.report import task_statistics as over

RLIABLE = json.loads((Path(__file__).parent / "data" / "rliable.json").read_text(encoding="utf-8"))
ALGORITHMS = {name: np.array(x["scores"]).T for name, x in RLIABLE["algorithms"].items()}
VALUES = np.stack(list(ALGORITHMS.values()))  # (3, 5 tasks, 6 seeds)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_rliable(name):
    """tests/data/rliable_numbers.py made them with rliable 1.2.0."""
    right, mine = RLIABLE["algorithms"][name], ALGORITHMS[name]
    assert over.interquartile_mean(mine) == pytest.approx(right["iqm"])
    assert over.optimality_gap(mine) == pytest.approx(right["optimality_gap"])
    assert over.optimality_gap(mine, 0.8) == pytest.approx(right["optimality_gap_0.8"])
    for other, probability in right["improvement"].items():
        found = over.probability_of_improvement(mine, ALGORITHMS[other])
        assert found == pytest.approx(probability)


@pytest.mark.parametrize("n", [1, 3, 4, 7, 30])
def test_the_interquartile_mean_is_a_trimmed_one(n):
    x = np.random.default_rng(n).normal(size=n)
    assert over.interquartile_mean(x) == pytest.approx(stats.trim_mean(x, 0.25))


def test_ranks_are_scipys_and_rounding_makes_ties():
    right = [stats.rankdata(-column) for column in VALUES.mean(2).T]
    np.testing.assert_array_equal(over.task_ranks(VALUES), np.transpose(right))
    n = np.float32(60)
    split = np.float32([[[47, 47]], [[46, 48]], [[50, 50]]]) / n
    assert over.task_ranks(split.astype(float))[:, 0].tolist() == [2.5, 2.5, 1]


def test_who_lacks_a_score_is_last():
    values = np.array([[[9.0, np.nan]], [[1.0, 1.0]], [[np.nan, np.nan]]])
    assert over.task_ranks(values)[:, 0].tolist() == [2.5, 1, 2.5]
    assert over.probability_of_improvement(values[1], values[2]) == 1
    assert over.probability_of_improvement(values[0], values[1]) == 0.5


def test_a_seed_that_nobody_has_is_none():
    """Tasks may differ in how many seeds they have."""
    padded = np.concatenate([VALUES, np.full((3, 5, 2), np.nan)], axis=2)
    np.testing.assert_array_equal(over.task_ranks(padded), over.task_ranks(VALUES))
    np.testing.assert_allclose(over.normalized(padded)[..., :6], over.normalized(VALUES))
    np.testing.assert_array_equal(
        over.performance_profile(padded, [0.5]), over.performance_profile(VALUES, [0.5])
    )
    x, y = padded[0], padded[1]
    right = RLIABLE["algorithms"]["a"]["improvement"]["b"]
    assert over.probability_of_improvement(x, y) == pytest.approx(right)


def test_a_common_scale():
    scaled = over.normalized(VALUES)
    np.testing.assert_allclose(scaled.mean(2).max(0), 1)
    np.testing.assert_allclose(scaled.mean(2).min(0), 0, atol=1e-12)
    flat = over.normalized(np.full((2, 1, 3), 0.7))
    assert (flat == 1).all()
    lost = over.normalized(np.array([[[1.0, 1.2]], [[0.5, 0.3]], [[np.nan, 0.9]]]))
    assert lost[2, 0, 0] == lost[1, 0].min() < 0
    nobody = np.array([[[np.nan, 1.0]], [[1.0, np.nan]]])
    assert (over.normalized(nobody) == 0).all()


def test_profiles_count_those_beyond():
    profile = over.performance_profile(VALUES, [0.0, 0.5, 9.0])
    assert profile[:, [0, 2]].tolist() == [[1, 0]] * 3
    assert profile[1, 1] == (VALUES[1] > 0.5).mean()


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_is_scipys(ties):
    ranks = over.task_ranks(VALUES.round(1) if ties else VALUES)
    right = stats.friedmanchisquare(*ranks)
    assert over.friedman(ranks) == pytest.approx((right.statistic, right.pvalue))


@pytest.mark.parametrize("shape", [(2, 5), (3, 1)])
def test_too_few_for_friedman(shape):
    assert np.isnan(over.friedman(np.ones(shape)).p)
    assert np.isnan(over.friedman(np.full((3, 4), 2.0)).statistic)


@pytest.mark.parametrize(
    "k, q", [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (7, 2.949), (10, 3.164)]
)
def test_critical_distances_are_those_of_the_table(k, q):
    """q at 0.05 of Demšar (2006), table 5(a)."""
    assert over.critical_distance(k, 14) == pytest.approx(q * np.sqrt(k * (k + 1) / 84), abs=1e-3)
    assert np.isnan(over.critical_distance(1, 14))


def test_bars_of_a_rank_diagram():
    assert over.alike([1, 1.2, 1.4, 3], 1) == [(0, 2)]
    assert over.alike([1, 2, 3], 0.5) == []
    assert over.alike([], 1.0) == []


def test_a_bootstrap_of_seeds_is_near_the_t_interval():
    """With many seeds and one task; it keeps pairs together."""
    random = np.random.default_rng(5)
    seed = 10 * random.normal(size=(1, 40))
    values = np.stack([seed + random.normal(size=(1, 40)), seed + random.normal(size=(1, 40))])
    low, high = over.bootstrap(values, lambda v: (v[0] - v[1]).mean(), resamples=1000)
    d = values[0, 0] - values[1, 0]
    right = stats.ttest_1samp(d, 0).confidence_interval()
    assert [low, high] == pytest.approx([*right], abs=0.12)


def test_tasks_are_drawn_too():
    """Seeds say nothing here: all that scatters is the tasks."""
    values = np.repeat(np.arange(8.0)[None, :, None], 3, axis=2)
    mean = lambda v: v.mean()
    assert over.bootstrap(values, mean, over_tasks=False, resamples=50) == (3.5, 3.5)
    low, high = over.bootstrap(values, mean, resamples=500)
    assert 1.5 < low < 2.5 and 4.5 < high < 5.5
    one = values[:, 3:4]
    assert over.bootstrap(one, mean, resamples=50) == (3, 3)


def test_how_often_bootstrap_intervals_cover(capsys):
    """It is measured and printed: with few tasks and seeds less than 95%."""
    random, covered = np.random.default_rng(6), []
    for tasks, seeds in [(5, 3), (15, 5)]:
        hits = 0
        for _ in range(100):
            task = random.normal(size=(1, tasks, 1))
            values = task + 0.5 * random.normal(size=(1, tasks, seeds))
            low, high = over.bootstrap(values, lambda v: v.mean(), resamples=100)
            hits += low <= 0 <= high
        covered.append(hits / 100)
        with capsys.disabled():
            print(f"\nbootstrap interval, {tasks} tasks, {seeds} seeds: covers {hits / 100:.0%}")
    assert all(0.7 < share < 1 for share in covered)


def table():
    """Long, as a study of several tasks is: accuracy on one, a loss on the other."""
    rows = []
    for i, name in enumerate(["adam", "sgd", "lion"]):
        for task, n in (("digits", 3), ("diabetes", 2)):
            for seed in range(n):
                score = 0.9 - 0.1 * i + 0.01 * seed
                one = {"valid_accuracy": score} if task == "digits" else {"valid_loss": 1 - score}
                rows.append({"optimizer": name, "task": task, "seed": seed} | one)
    return pd.DataFrame(rows)


HOW = (
    {"digits": "valid_accuracy", "diabetes": "valid_loss"},
    {"digits": "max", "diabetes": "min"},
)


def test_a_table_of_tasks_with_other_metrics():
    scores = over.score_array(table().sample(frac=1, random_state=0), *HOW)
    order = [scores.optimizers.index(n) for n in ("adam", "sgd", "lion")]
    tasks = [scores.tasks.index(n) for n in ("digits", "diabetes")]
    values = scores.values[np.ix_(order, tasks)]
    assert values.shape == (3, 2, 3) and np.isnan(values[:, 1, 2]).all()
    np.testing.assert_allclose(values[0, 0], [0.9, 0.91, 0.92])
    np.testing.assert_allclose(values[1, 1, :2], [-0.2, -0.19])
    found = over.across_tasks(scores, resamples=100)
    assert found["optimizer"].tolist() == ["adam", "sgd", "lion"]
    assert found["mean_rank"].tolist() == [1, 2, 3] and found["wins"].tolist() == [2, 0, 0]
    assert found["improvement"].tolist() == [0.5, 0, 0] and set(found["tasks"]) == {2}
    assert (found["mean_rank_low"] <= found["mean_rank"]).all()
    assert (found["interquartile_mean_high"] >= found["interquartile_mean"]).all()


def test_bad_tables_are_refused_by_name():
    whole = table()
    with pytest.raises(ValueError, match="task 'diabetes' has no metric; given are those of"):
        over.score_array(whole, {"digits": "valid_accuracy"}, HOW[1])
    with pytest.raises(ValueError, match="direction of diabetes must be"):
        over.score_array(whole, HOW[0], {"digits": "max", "diabetes": "low"})
    with pytest.raises(ValueError, match="two trials have optimizer adam, task digits, seed 0"):
        over.score_array(pd.concat([whole, whole.head(1)]), *HOW)
    with pytest.raises(ValueError, match="no trials"):
        over.score_array(whole.head(0), *HOW)


def test_only_diverged_trials_make_nobody_win():
    lost = table().assign(valid_accuracy=np.nan, valid_loss=np.inf)
    found = over.across_tasks(over.score_array(lost, *HOW), resamples=20)
    assert found["mean_rank"].tolist() == [2, 2, 2]
    assert found[["interquartile_mean", "improvement"]].isna().all(axis=None)
