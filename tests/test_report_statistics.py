"""Paired comparisons against scipy, by simulation, and on made-up ties."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jaxopt_course.report import statistics, tables

RANDOM = np.random.default_rng(15)
SAMPLES = {n: RANDOM.normal(size=(2, n)).round(3) for n in (2, 3, 5, 8, 13)}


def trials(scores, metric="valid_accuracy", **more):
    """A row a trial of ``{optimizer: scores by seed}``; None where there is none."""
    rows = [
        {"optimizer": name, "seed": seed, metric: value, "duplicate_of": pd.NA}
        for name, values in scores.items()
        for seed, value in enumerate(values)
        if value is not None
    ]
    return pd.DataFrame(rows).assign(**more)


def paired(scores, direction="max", **how):
    return statistics.paired(trials(scores), "valid_accuracy", direction, **how)


@pytest.mark.parametrize("n", SAMPLES)
@pytest.mark.parametrize("direction", ["max", "min"])
def test_a_pair_is_the_paired_t_test(n, direction):
    x, y = SAMPLES[n]
    (row,) = paired({"x": x, "y": y}, direction, reference="x").to_dict("records")
    sign = 1 if direction == "max" else -1
    right = stats.ttest_rel(sign * x, sign * y)
    low, high = right.confidence_interval(0.95)
    assert row["n"] == n
    assert [row["difference"], row["low"], row["high"], row["p"]] == pytest.approx(
        [sign * (x - y).mean(), low, high, right.pvalue]
    )
    assert row["half_width"] == pytest.approx((high - low) / 2)
    assert row["p_holm"] == row["p"] and row["level"] == 0.95
    assert [row["mean"], row["reference_mean"]] == pytest.approx([y.mean(), x.mean()])
    assert row["separated"] == (low > 0 or high < 0)


@pytest.mark.parametrize("n", SAMPLES)
def test_the_sign_flip_test_is_scipys_permutation_test(n):
    x, y = SAMPLES[n]
    right = stats.permutation_test(
        (x - y,), np.mean, permutation_type="samples", n_resamples=2**14, vectorized=True
    )
    assert statistics.sign_flip_test(x - y) == pytest.approx(right.pvalue)


def test_the_smallest_p_of_the_sign_flip_test_is_reached_and_never_beaten():
    for n in range(1, 9):
        assert statistics.sign_flip_test(np.arange(1.0, n + 1)) == 2.0 ** (1 - n)
    assert statistics.smallest_sign_flip_p(5) == 0.0625
    assert statistics.sign_flip_test(np.zeros(5)) == 1


def test_many_differences_are_tested_by_drawing():
    d = np.random.default_rng(0).normal(0.4, 1, size=30)
    right = stats.ttest_1samp(d, 0).pvalue  # near it, of normal ones
    assert 0.005 < right < 0.5
    assert statistics.sign_flip_test(d) == pytest.approx(right, abs=0.02)
    assert statistics.sign_flip_test(d) == statistics.sign_flip_test(d)
    assert statistics.sign_flip_test(d + 9) == 1 / (statistics.DRAWS + 1)


def holm_by_hand(p):
    """Transcribed: p_(i) (m - i + 1), never less than the one before, at most 1."""
    order, m, worst, adjusted = sorted(range(len(p)), key=lambda i: p[i]), len(p), 0.0, {}
    for step, i in enumerate(order):
        worst = max(worst, p[i] * (m - step))
        adjusted[i] = min(1.0, worst)
    return [adjusted[i] for i in range(m)]


def test_holm():
    for m in (1, 2, 5, 9):
        p = RANDOM.random((50, m)) ** 3
        for row in p:
            assert statistics.holm(row) == pytest.approx(holm_by_hand(row))
    found = statistics.holm([0.01, np.nan, 0.02])
    assert found[[0, 2]] == pytest.approx([0.02, 0.02]) and np.isnan(found[1])


def test_the_intervals_say_what_holm_says():
    """At its step's level an interval excludes 0 exactly where Holm's adjusted p is small."""
    random, seen = np.random.default_rng(1), set()
    for _ in range(25):
        scores = {f"o{i}": random.normal(-0.6 * i, 1, 5) for i in range(6)}
        table = paired(scores)
        excludes = (table["low"] > 0) | (table["high"] < 0)
        assert (excludes == table["separated"]).all()
        assert (table["separated"] == (table["p_holm"] <= 0.05)).all()
        assert table["level"].between(0.95, 1).all()
        seen.add(int(table["separated"].sum()))
    assert len(seen) > 3  # none, some, more


@pytest.mark.parametrize("n", [2, 5, 10])
def test_paired_intervals_cover_what_they_promise(n):
    """Of normal differences, 20,000 studies: 95% ± 1.5; seeds matter more than optimizers here."""
    random = np.random.default_rng(n)
    seed = 5 * random.normal(size=(20_000, n))
    x, y = 0.3 + seed + random.normal(size=seed.shape), seed + random.normal(size=seed.shape)
    d = x - y
    half = statistics.t_half_width(d.std(axis=1, ddof=1), n)
    covered = (np.abs(d.mean(axis=1) - 0.3) <= half).mean()
    assert abs(covered - 0.95) <= 0.015
    apart = np.hypot(
        statistics.t_half_width(x.std(axis=1, ddof=1), n),
        statistics.t_half_width(y.std(axis=1, ddof=1), n),
    )
    assert half.mean() < apart.mean() / 3  # what pairing is for


def test_who_is_as_good_as_the_best_is_rarely_separated_from_it():
    """Though the best one is chosen by the same seeds: the docstring's figures, by simulation."""
    scores = np.random.default_rng(2).normal(size=(1000, 10, 5))
    one, several = 0, 0
    for study, best in zip(scores, scores.mean(2).argmax(1), strict=True):
        d = study[best] - np.delete(study, best, axis=0)
        p = statistics.holm(statistics.t_test(d.mean(1), d.std(1, ddof=1), 5))
        separated = np.insert(p <= 0.05, best, False)
        one, several = one + separated[3] / 1000, several + separated.any() / 1000
    assert one <= 0.027 + 2 * np.sqrt(0.027 / 1000)
    assert several <= 0.13 + 2 * np.sqrt(0.13 / 1000)


def test_seeds_needed_is_the_power_of_the_noncentral_t():
    for shift, level, power in itertools.product([0.3, 1.0, 4.0], [0.95, 0.99], [0.8, 0.9]):
        n = statistics.seeds_needed(shift, 1.0, level, power)
        assert n == statistics.seeds_needed(-2 * shift, 2.0, level, power)

        def right(n, shift=shift, level=level):
            bound = stats.t.ppf((1 + level) / 2, n - 1)
            beyond = stats.nct(n - 1, shift * np.sqrt(n))
            return beyond.sf(bound) + beyond.cdf(-bound)

        assert right(n) >= power and (n == 2 or right(n - 1) < power)


def test_seeds_needed_by_simulation():
    n = statistics.seeds_needed(1.0, 1.0)
    d = np.random.default_rng(3).normal(1.0, 1.0, size=(20_000, n))
    won = np.abs(d.mean(axis=1)) > statistics.t_half_width(d.std(axis=1, ddof=1), n)
    assert n == 10 and 0.79 < won.mean() < 0.84


@pytest.mark.parametrize("difference, deviation", [(0.0, 1.0), (np.nan, 1.0), (1.0, np.nan)])
def test_where_nothing_differs_no_number_of_seeds_separates(difference, deviation):
    assert statistics.seeds_needed(difference, deviation) is pd.NA


def test_tiny_differences_need_more_seeds_than_are_counted():
    assert statistics.seeds_needed(1e-3, 1.0) is pd.NA
    assert 8700 < statistics.seeds_needed(0.03, 1.0) < 8750  # (1.96 + 0.84)² / 0.03²
    assert statistics.seeds_needed(1e9, 1.0) == 2


def shares(counts, n=360):
    return [np.float64(np.float32(count) / np.float32(n)) for count in counts]


def test_equal_counts_are_a_tie_however_they_are_split_over_seeds():
    """The digits of float32 would tell them apart: every pair of such sums is level."""
    random, apart = np.random.default_rng(4), 0
    for _ in range(40):
        first = random.integers(330, 360, 5)
        moves = random.permutation([2, -1, -1, 3, -3])
        second = (first + moves).clip(0, 360)
        if second.sum() != first.sum():
            continue
        x, y = shares(first), shares(second)
        apart += np.mean(x) != np.mean(y)
        (row,) = paired({"x": x, "y": y}, reference="x").to_dict("records")
        assert row["tied"] and row["difference"] == 0 and not row["separated"]
        assert row["p"] == 1 and pd.isna(row["seeds_needed"])
    assert apart > 3  # rounding does tell some apart


def test_one_answer_more_is_no_tie():
    counts = [350, 351, 349, 350, 352]
    (row,) = paired({"x": shares([351, *counts[1:]]), "y": shares(counts)}).to_dict("records")
    assert row["reference"] == "x" and not row["tied"]
    assert row["difference"] == pytest.approx(1 / 360 / 5, rel=1e-4)


def test_half_an_answer_of_very_many_examples_is_never_a_tie():
    """Among 4 million examples, and five seeds, one answer is less than float32's rounding."""
    values = np.array([0.9, 0.9 + 1 / 5 / 4e6])
    assert np.ptp(values) < statistics.tie_tolerance(values)
    assert np.ptp(values) > statistics.tie_tolerance(values, examples=4_000_000, n=5)


def test_the_same_scores_are_a_tie_on_every_seed():
    (row,) = paired({"x": [0.9, 0.8, 0.7], "y": [0.9, 0.8, 0.7]}).to_dict("records")
    assert row["tied"] and row["p"] == 1 and row["sign_flip_p"] == 1 and not row["separated"]
    assert np.isnan(row["half_width"])


@pytest.mark.parametrize("n, separated", [(2, False), (5, False), (6, True)])
def test_a_difference_without_a_spread_is_judged_by_its_signs(n, separated):
    """t would call it certain after two seeds, as no spread was seen."""
    (row,) = paired({"x": [0.9] * n, "y": [0.8] * n}).to_dict("records")
    assert row["p"] == row["sign_flip_p"] == 2.0 ** (1 - n)
    assert row["separated"] == separated and np.isnan(row["half_width"])
    assert row["difference"] == pytest.approx(0.1) and row["seeds_needed"] == 6


def test_pairs_are_the_seeds_that_both_have():
    table = paired(
        {"x": [0.9, 0.8, 0.7, 0.6], "y": [0.8, None, 0.5, np.nan], "z": [np.inf, np.nan, 0.1, None]}
    ).set_index("optimizer")
    assert table.loc["y", "n"] == 2 and table.loc["y", "difference"] == pytest.approx(0.15)
    assert table.loc["y", "reference_mean"] == pytest.approx(0.8)
    assert table.loc["z", "n"] == 1 and np.isnan(table.loc["z", "p"])
    assert table.loc["y", "level"] == 0.95  # one pair is no test, and is not counted as one


def test_the_reference_has_all_seeds_and_the_best_mean():
    scores = {"few": [0.99, None, None], "x": [0.5, 0.5, 0.6], "y": [0.9, 0.9, 0.8]}
    assert set(paired(scores)["reference"]) == {"y"}
    assert set(paired(scores, "min")["reference"]) == {"x"}
    table = paired(scores, reference="x")
    assert (
        table["optimizer"].tolist() == ["few", "y"][::-1]
        or table["difference"].is_monotonic_increasing
    )
    assert table.set_index("optimizer").loc["y", "difference"] < 0  # the reference is behind


def test_other_columns_make_groups_and_pairs():
    table = trials({"x": [0.9, 0.8], "y": [0.7, 0.6]})
    both = pd.concat([table.assign(fold=0), table.assign(fold=1, valid_accuracy=[1, 2, 3, 5])])
    found = statistics.paired(both, "valid_accuracy", "max", pair=["seed", "fold"])
    assert found["n"].tolist() == [4]
    rates = table.rename(columns={"optimizer": "learning_rate"})
    found = statistics.paired(rates, "valid_accuracy", "max", by="learning_rate")
    assert found[["learning_rate", "reference"]].values.tolist() == [["y", "x"]]


def test_bad_input_is_refused_by_name():
    table = trials({"x": [0.9, 0.8], "y": [0.7, 0.6]})
    ask = lambda **how: statistics.paired(table, "valid_accuracy", **{"direction": "max"} | how)
    for how, said in {
        ("direction", "up"): "direction must be 'min' or 'max', not 'up'",
        ("level", 95): "level must be between 0 and 1, not 95",
        ("power", 0.0): "power must be between 0 and 1",
        ("reference", "z"): "reference: no optimizer 'z'; there are ['x', 'y']",
    }.items():
        with pytest.raises(ValueError) as error:
            ask(**dict([how]))
        assert said in str(error.value)
    with pytest.raises(KeyError, match="valid_loss"):
        statistics.paired(table, "valid_loss", "min")
    twice = pd.concat([table, table.iloc[[0]]])
    with pytest.raises(ValueError, match=r"two trials of optimizer 'x' have seed 0: compare one"):
        statistics.paired(twice, "valid_accuracy", "max")
    again = twice.assign(duplicate_of=[pd.NA] * 4 + [0])  # such a row repeats, and is left out
    assert len(statistics.paired(again, "valid_accuracy", "max")) == 1


@pytest.mark.parametrize(
    "scores, n", [({}, []), ({"x": [0.9]}, []), ({"x": [np.nan] * 2, "y": [np.nan] * 2}, [0])]
)
def test_where_there_is_nothing_to_compare_nothing_is_said(scores, n):
    table = trials(scores) if scores else trials({"x": [0.1]}).head(0)
    found = statistics.paired(table, "valid_accuracy", "max")
    assert found["n"].tolist() == n and list(found) == ["optimizer", *statistics.PAIRED]
    assert not found["separated"].any() and found["p_holm"].isna().all()


def test_the_tolerance_is_that_of_the_ranking():
    """What the ranking calls level the comparison calls a tie."""
    values = np.array([0.9, 0.9 + 0.9e-7])
    assert tables.levels(pd.Series(values)).tolist() == [0, 0]
    assert np.ptp(values) <= statistics.tie_tolerance(values)
