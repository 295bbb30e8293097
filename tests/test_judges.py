"""Schedulers on recorded curves, without training: the published algorithms as the judges of ours.

Arrivals come in any order that causality allows, and decide nothing.
"""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_schedulers import asha, halve, median, top_down

import jaxopt_course as joc
from jaxopt_course.sweeps import schedulers
from jaxopt_course.sweeps.climb import Climb

RUNGS = [joc.SuccessiveHalving, joc.Hyperband, joc.ASHA, joc.MedianStopping]
SCORES = st.one_of(st.integers(0, 3).map(float), st.sampled_from([np.nan, np.inf, -np.inf]))
ETAS = st.sampled_from([2, 3.0, 2.5, 4])


def test_the_schedulers_with_rungs_are_all_but_those_that_have_tests_of_their_own():
    apart = {"Patience", "PBT"}  # test_patience.py, test_population.py
    assert {kind.__name__ for kind in RUNGS} == set(schedulers.SCHEDULERS) - apart


def climb(judge, curves, seed):
    """Let configurations arrive in an order of chance; who has not been promoted cannot arrive.

    Nor can who was said to be out, and nobody says so of one that is still training.
    """
    rng = np.random.default_rng(seed)
    until = dict(enumerate(judge.first))
    running, out = list(until), set()
    while running:
        one = running.pop(int(rng.integers(len(running))) if seed else 0)
        for other, target in judge.hear(one, until[one], curves[one][: until[one]]).items():
            assert other not in running
            if target == 0:
                out.add(other)
                continue
            assert target > until[other] and other not in out
            until[other] = target
            running.append(other)
    return until


@st.composite
def recorded(draw):
    """Curves of up to 30 configurations over up to 28 evaluations, full of ties and bad values."""
    configurations, intervals = draw(st.integers(1, 30)), draw(st.integers(1, 28))
    values = draw(st.lists(SCORES, min_size=configurations, max_size=configurations))
    noise = np.random.default_rng(draw(st.integers(0, 99))).integers(
        0, 3, (configurations, intervals)
    )
    start = draw(
        st.lists(st.integers(0, intervals), min_size=configurations, max_size=configurations)
    )
    curves = noise.astype(float)
    for c, (value, begin) in enumerate(zip(values, start, strict=True)):
        curves[c, begin:] = value + (noise[c, begin:] if np.isfinite(value) else 0)
    return curves


class TestAgainstThePapers:
    @given(recorded(), ETAS, st.integers(0, 9))
    @settings(max_examples=150, deadline=None)
    def test_successive_halving(self, curves, eta, arrivals):
        n, intervals = curves.shape
        rungs = top_down(intervals, eta, most=n)
        judge = joc.SuccessiveHalving(eta).judge(n, intervals, 5)
        assert climb(judge, curves, arrivals) == halve(curves, range(n), rungs, eta)

    @given(recorded(), ETAS, st.integers(0, 9))
    @settings(max_examples=100, deadline=None)
    def test_hyperband(self, curves, eta, arrivals):
        """Whatever the brackets are, each is a halving that starts at a rung of its own."""
        n, intervals = curves.shape
        rungs = top_down(intervals, eta)
        judge = joc.Hyperband(eta).judge(n, intervals, 5)
        expected = {}
        for i, first in enumerate(rungs):
            members = [c for c in range(n) if judge.first[c] == first]
            expected |= halve(curves, members, rungs[i:], eta)
        assert climb(judge, curves, arrivals) == expected

    @given(recorded(), ETAS, st.integers(0, 9))
    @settings(max_examples=150, deadline=None)
    def test_asha(self, curves, eta, arrivals):
        n, intervals = curves.shape
        judge = joc.ASHA(eta).judge(n, intervals, 5)
        expected = asha(curves, judge.order, top_down(intervals, eta, most=n), eta)
        assert climb(judge, curves, arrivals) == expected

    @given(recorded(), st.integers(1, 4), st.integers(1, 6), st.integers(0, 9))
    @settings(max_examples=100, deadline=None)
    def test_median_stopping(self, curves, every, least, arrivals):
        n, intervals = curves.shape
        judge = (
            joc.MedianStopping(every, every, least).judge(n, intervals, 1)
            if every <= intervals
            else None
        )
        if judge is None:
            return
        rungs = [*range(every, intervals, every), intervals]
        assert climb(judge, curves, arrivals) == median(curves, judge.order, rungs, least)

    def test_brackets_are_those_of_hyperband(self):
        """Li et al. (2018), table 1: R = 81, eta = 3; our table has a given size, shared alike."""
        published = {1: 81, 3: 34, 9: 15, 27: 8, 81: 5}
        for times in (1, 10):
            n = times * sum(published.values())
            first = joc.Hyperband(3).judge(n, 81, 1).first
            for rung, size in published.items():
                assert abs(first.count(rung) - times * size) <= times

    def test_hyperband_starts_the_longest_first(self):
        """And of equals those that come first in the table."""
        judge = joc.Hyperband(3).judge(100, 81, 1)
        assert len({*judge.first}) == 5
        assert judge.order == sorted(range(100), key=lambda who: (-judge.first[who], who))

    def test_the_table_of_successive_halving(self):
        """243 configurations, each better than the one before: 81, 27, 9, 3 of them go on."""
        curves = -np.arange(243.0)[:, None] + np.zeros(81)
        reached = climb(joc.SuccessiveHalving(3).judge(243, 81, 1), curves, 1)
        for rung, trials in {1: 243, 3: 81, 9: 27, 27: 9, 81: 3}.items():
            assert [c for c in reached if reached[c] >= rung] == list(range(243 - trials, 243))


class TestRungs:
    @pytest.mark.parametrize(
        "min_steps, eta, intervals, every, rungs",
        [
            (1, 3, 27, 1, [1, 3, 9, 27]),
            (2, 3, 27, 1, [2, 6, 18, 27]),
            (5, 2.5, 10, 4, [2, 4, 8, 10]),  # 5, 12.5, 31.25 of 40 steps, rounded up
            (40, 2, 10, 4, [10]),
            (27, 3, 27, 1, [27]),
        ],
    )
    @pytest.mark.parametrize("kind", [joc.SuccessiveHalving, joc.ASHA])
    def test_min_steps_need_not_divide(self, kind, min_steps, eta, intervals, every, rungs):
        curves = -np.arange(300.0)[:, None] + np.zeros(intervals)
        reached = climb(kind(eta, min_steps).judge(300, intervals, every), curves, 0)
        assert sorted(set(reached.values())) == rungs

    def test_hyperband_has_no_rung_below_min_steps(self):
        first = joc.Hyperband(3, min_steps=5).judge(100, 81, 1).first
        assert sorted(set(first)) == [9, 27, 81]

    def test_steps_are_rounded_up_to_evaluations(self):
        assert set(joc.MedianStopping(7).judge(3, 10, 4).first) == {2}

    @pytest.mark.parametrize("kind", RUNGS)
    @pytest.mark.parametrize("configurations, intervals", [(1, 1), (1, 9), (7, 1)])
    def test_one_configuration_or_one_rung_trains_to_the_end(self, kind, configurations, intervals):
        curves = np.ones((configurations, intervals))
        reached = climb(kind().judge(configurations, intervals, 3), curves, 1)
        assert reached == dict.fromkeys(range(configurations), intervals)

    @pytest.mark.parametrize("kind", RUNGS)
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_nobody_goes_on_where_all_are_bad(self, kind, value):
        judge = kind().judge(40, 27, 1)
        assert climb(judge, np.full((40, 27), value), 1) == dict(enumerate(judge.first))

    def test_of_equals_the_first_go_on(self):
        reached = climb(joc.SuccessiveHalving(3).judge(9, 9, 1), np.zeros((9, 9)), 3)
        assert [c for c in reached if reached[c] > 1] == [0, 1, 2]

    def test_a_sorted_table_does_not_promote_everyone(self):
        """From worst to best each is the best so far; the order of places is a shuffle."""
        curves = -np.arange(243.0)[:, None] + np.zeros(81)
        full = 243 * 81
        assert sum(climb(joc.ASHA(3).judge(243, 81, 1), curves, 0).values()) < 0.2 * full
        assert sum(climb(joc.MedianStopping(8).judge(243, 81, 1), curves, 0).values()) < 0.7 * full

    @pytest.mark.parametrize("kind", [joc.SuccessiveHalving, joc.ASHA])
    def test_one_finishes_though_few_came(self, kind):
        """Two of three rungs have fewer than eta; only one whose score is finite may go on."""
        curves = np.array([[2.0], [1.0], [np.nan]]) + np.zeros((3, 9))
        assert climb(kind(4, min_steps=1).judge(3, 9, 1), curves, 0) == {0: 1, 1: 9, 2: 1}
        curves[1, 4:] = np.nan
        assert climb(kind(4, min_steps=1).judge(3, 9, 1), curves, 0) == {0: 1, 1: 9, 2: 1}
        curves[1, 3:] = np.nan
        assert climb(kind(4, min_steps=1).judge(3, 9, 1), curves, 0) == {0: 1, 1: 4, 2: 1}

    def test_a_certain_promotion_waits_for_nobody(self):
        """With 8 of 9 heard, the two best of them are among the best three, whatever comes."""
        judge = joc.SuccessiveHalving(3).judge(9, 9, 1)
        news = [judge.hear(c, 1, np.array([float(c)])) for c in range(8)]
        promoted = [[c for c, target in new.items() if target] for new in news]
        assert promoted == [[]] * 6 + [[0], [1]]
        assert judge.hear(8, 1, np.array([1.5])) == {8: 3, 2: 0}

    @pytest.mark.parametrize(
        "scheduler", [joc.SuccessiveHalving(3), joc.ASHA(3), joc.MedianStopping(1)], ids=repr
    )
    def test_few_wait_for_a_verdict(self, scheduler):
        """Of a first rung of 243 no more than the 81 that may go on, whatever comes, keep states.

        Who is out is told at once; in ASHA's line some are not judged before their turn.
        """
        rng = np.random.default_rng(0)
        judge, scores = scheduler.judge(243, 27, 1), rng.normal(size=243)
        line = [judge.order[i] for i in range(243)]
        waiting, most = set(), 0
        for who in line:
            waiting.add(who)
            curve = np.full(judge.first[who], scores[who])
            waiting -= set(judge.hear(who, judge.first[who], curve))
            most = max(most, len(waiting))
        assert most <= 81
        if isinstance(scheduler, joc.SuccessiveHalving):
            assert most == 81 and not waiting


class TestBadArguments:
    @pytest.mark.parametrize("kind", [joc.SuccessiveHalving, joc.Hyperband, joc.ASHA])
    @pytest.mark.parametrize("eta", [1, 1.99, 0, -3, np.nan, np.inf, True, "3", None])
    def test_eta(self, kind, eta):
        with pytest.raises(ValueError, match="eta must be a number of at least 2"):
            kind(eta)

    @pytest.mark.parametrize("kind", RUNGS)
    @pytest.mark.parametrize("steps", [0, -1, 2.0, True, "2"])
    def test_min_steps(self, kind, steps):
        with pytest.raises(ValueError, match="min_steps must be a whole number of at least 1"):
            kind(min_steps=steps)

    @pytest.mark.parametrize("name", ["every", "min_configurations"])
    @pytest.mark.parametrize("value", [0, 1.5, False])
    def test_median(self, name, value):
        with pytest.raises(ValueError, match=f"{name} must be"):
            joc.MedianStopping(**{name: value})

    def test_min_configurations_may_not_be_left_open(self):
        with pytest.raises(ValueError, match="min_configurations must be"):
            joc.MedianStopping(min_configurations=None)

    @pytest.mark.parametrize("kind", RUNGS)
    def test_a_rung_beyond_the_budget(self, kind):
        with pytest.raises(ValueError, match=r"first rung, 11 steps, lies beyond.*min_steps"):
            joc.sweep("line", joc.grid(learning_rate=[0.1, 0.2]), "sgd", steps=10, batch_size=5,
                      evaluate_every=2, scheduler=kind(min_steps=11))  # fmt: skip

    def test_a_metric_that_is_never_recorded(self):
        with pytest.raises(ValueError, match="valid_accuracy"):
            joc.sweep("line", joc.grid(learning_rate=[0.1, 0.2]), "sgd", steps=10, batch_size=5,
                      metric="valid_accuracy", scheduler=joc.ASHA())  # fmt: skip

    def test_numpy_numbers_become_pythons(self):
        scheduler = joc.ASHA(np.float64(3), min_steps=np.int64(2))
        assert json.dumps(vars(scheduler)) == '{"eta": 3.0, "min_steps": 2}'


class TestSeeds:
    """A configuration is its seeds: they are heard of together, by their mean."""

    @given(st.integers(0, 99))
    @settings(max_examples=50, deadline=None)
    def test_climb_together_and_a_diverged_one_stops_all(self, chance):
        rng = np.random.default_rng(chance)
        configurations = np.repeat(np.arange(9), 3)[rng.permutation(27)]
        curves = rng.integers(0, 4, (27, 9)).astype(float)
        first_bad = np.where(rng.random(27) < 0.2, rng.integers(1, 10, 27), 99)  # intervals
        means = np.stack([curves[configurations == c].mean(axis=0) for c in range(9)])
        for c in range(9):
            means[c, first_bad[configurations == c].min() - 1 :] = np.inf
        expected = halve(means, range(9), [1, 3, 9], 3)
        made = Climb(9, configurations, joc.SuccessiveHalving(3).judge(9, 9, 1))
        progress, diverged = np.zeros(27, np.int32), np.zeros(27, bool)
        while len(rows := np.flatnonzero((progress < made.until) & ~diverged)):
            row = int(rng.choice(rows))
            progress[row] += 1
            diverged[row] = progress[row] >= first_bad[row]
            if diverged[row] or progress[row] >= made.until[row]:
                made.arrive(row, progress, diverged, lambda row, rung: curves[row, :rung])
        assert made.until.tolist() == [expected[c] for c in configurations]


def test_a_share_that_is_whole_is_not_rounded_down():
    """33 / 2.2 is 15, and in float64 a little less."""
    judge = joc.SuccessiveHalving(eta=2.2, min_steps=1).judge(33, 3, 1)
    until = climb(judge, np.tile(np.arange(33.0)[:, None], 3), seed=0)
    assert sorted(one for one, end in until.items() if end > min(until.values())) == [*range(15)]


def test_hyperband_s_brackets_are_as_large_as_their_shares():
    """20 configurations in shares of 9, 4.5 and 3: 10.9, 5.5 and 3.6, rounded as they add up."""
    first = joc.Hyperband(eta=3).judge(20, 9, 1).first
    assert [list(first).count(rung) for rung in (1, 3, 9)] == [11, 5, 4]
