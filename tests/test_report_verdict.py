"""What the fresh seeds tell apart, said in the sentence that names the winner."""

import numpy as np
import pytest
from report_studies import trial, write
from scipy import stats

from jaxopt_course.report import findings, statistics, verdict

FRESH = range(10, 15)
# Of five fresh seeds: what all optimizers share, and what each has of its own.
SEED = np.array([0.03, -0.02, 0.0, 0.01, -0.02])
OWN = {
    "adam": 0.90 + np.array([0.001, -0.001, 0.0, 0.001, -0.001]),
    "nesterov": 0.898 + np.array([-0.003, 0.002, 0.003, -0.002, 0.0]),
    "rmsprop": 0.88 + np.array([0.0, 0.001, 0.001, -0.001, -0.001]),
    "sgd": 0.86 + np.array([0.001, 0.0, -0.002, 0.0, 0.001]),
}


def fresh(own=OWN, lost=(), without=(), shared=SEED):
    """Trials on fresh seeds; those in ``lost`` diverge, those in ``without`` are not there."""
    rows = []
    for name, values in own.items():
        for seed, value in zip(FRESH, values + shared[: len(values)], strict=False):
            status = "diverged" if (name, seed) in lost else "finished"
            if (name, seed) not in without:
                rows.append(trial(name, 0.1, seed, value, status, loss=1 - value))
    return rows


def read(tmp_path, rows, own=OWN, **manifest):
    search = [trial(name, 0.1, seed, 0.8) for name in own for seed in (0, 1)]
    return findings.read(write(tmp_path, search, rows, **manifest))


def said(*arguments, **manifest):
    return verdict.headline(read(*arguments, **manifest))


def test_pairs_separate_what_intervals_of_their_own_do_not(tmp_path):
    """All intervals overlap, as the seeds differ by more than the optimizers."""
    found = read(tmp_path, fresh())
    lows = found.ranking.set_index("optimizer")
    assert lows.loc["sgd", "fresh_high"] > lows.loc["adam", "fresh_low"]
    d = (OWN["adam"] - OWN["nesterov"]).round(9)
    right = stats.ttest_1samp(d, 0).confidence_interval()  # the largest p: at 95%
    row = found.comparisons.set_index("optimizer").loc["nesterov"]
    assert [row["low"], row["high"]] == pytest.approx([*right], abs=1e-9)
    half, needed = (right.high - right.low) / 2, row["seeds_needed"]
    assert needed > 5
    assert verdict.headline(found).endswith(
        "0.002 better than nesterov. Paired over seeds (Holm, 95%): separated from rmsprop and "
        f"sgd, not from nesterov (difference 0.0020 ± {half:.4f}; {needed} seeds would separate). "
        f"Sign-flip test against nesterov: p = {row['sign_flip_p']:.3g}; 5 seeds cannot give less "
        "than 0.0625."
    )


def test_only_fresh_seeds_carry_intervals(tmp_path):
    """The seeds of the search have a mean alone, however many they are."""
    search = [trial(name, 0.1, seed, 0.8 + seed / 100) for name in OWN for seed in range(6)]
    parts = ["half_width", "low", "high"]
    found = findings.read(write(tmp_path / "without", search))
    assert not found.confirmed and (found.intervals["seeds"] == 6).all()
    assert found.intervals["mean"].notna().any() and found.intervals[parts].isna().all(axis=None)
    found = findings.read(write(tmp_path / "with", search, fresh()))
    rows = found.intervals[found.intervals["metric"] == "valid_accuracy"]
    assert found.confirmed and (rows["seeds"] == 5).all() and rows[parts].notna().all(axis=None)


def test_of_a_loss_the_lowest_wins(tmp_path):
    own = {name: 1 - values for name, values in OWN.items()}
    rows = fresh(own, shared=-SEED)
    sentence = said(tmp_path, rows, metric="valid_loss", direction="min")
    assert sentence.startswith("sgd with learning_rate=0.1 wins: validation loss 0.86")
    assert "Paired over seeds (Holm, 95%): separated from rmsprop, nesterov and adam." in sentence
    found = findings.read(tmp_path).comparisons
    assert (found["difference"] > 0).all() and found["optimizer"].tolist()[0] == "rmsprop"


def test_from_everybody(tmp_path):
    own = {f"o{i}": OWN["adam"] - 0.1 * i + 0.001 * i * np.eye(5)[i - 1] for i in range(6)}
    assert "Paired over seeds (Holm, 95%): separated from all others." in said(
        tmp_path, fresh(own), own
    )


def test_of_two_nothing_is_adjusted(tmp_path):
    own = {name: OWN[name] for name in ("adam", "rmsprop")}
    assert "better than rmsprop. Paired over seeds (95%): separated from rmsprop. Sign" in said(
        tmp_path, fresh(own), own
    )


def test_who_is_not_separated_is_listed_the_nearest_first(tmp_path):
    random = np.random.default_rng(0)
    own = {f"o{i}": 0.9 - 0.001 * i + 0.03 * random.normal(size=5) for i in range(7)}
    found = read(tmp_path, fresh(own), own)
    assert not found.comparisons["separated"].any()
    sentence, second = verdict.headline(found), found.ranking["optimizer"].iloc[1]
    assert (
        f"better than {second}. Paired over seeds (Holm, 95%): not separated from {second} (d"
        in sentence
    )
    assert "and 3 others. Sign-flip" in sentence


def test_exact_ties_are_no_separation(tmp_path):
    """As many right answers, split otherwise: two tie, and the third is judged."""
    n = np.float32(360)
    counts = {
        "adam": [350, 350, 352, 351],
        "sgd": [352, 351, 350, 350],
        "lion": [330, 340, 333, 331],
    }
    own = {name: (np.float32(c) / n).astype(float) for name, c in counts.items()}
    sentence = said(tmp_path, fresh(own, shared=np.zeros(4)), own)
    assert sentence.startswith("adam and sgd tie: validation accuracy 0.97")
    assert ": separated from lion. " in sentence
    assert "from sgd" not in sentence and "against lion" in sentence


def test_two_that_tie_leave_nothing_to_say(tmp_path):
    own = {"adam": OWN["adam"], "sgd": OWN["adam"]}
    assert said(tmp_path, fresh(own), own).endswith("mean of 5 fresh seeds.")


def test_pairs_are_the_seeds_that_both_have(tmp_path):
    """Nesterov lacks one: it ranks last, and is judged on the four that are left."""
    found = read(tmp_path, fresh(without=[("nesterov", 12)]))
    row = found.comparisons.set_index("optimizer").loc["nesterov"]
    kept = [0, 1, 3, 4]
    d = (OWN["adam"] - OWN["nesterov"])[kept]
    assert row["n"] == 4 and row["difference"] == pytest.approx(d.mean())
    assert found.ranking["optimizer"].tolist()[-1] == "nesterov"
    assert f"{row['half_width']:.4f} on 4 seeds; " in verdict.headline(found)


def test_better_on_fewer_seeds_still_ranks_after(tmp_path):
    own = OWN | {"lion": OWN["adam"][::-1] + 0.05}
    sentence = said(tmp_path, fresh(own, without=[("lion", 10)]), own)
    assert sentence.startswith("adam with")
    assert "On the 4 seeds that both have lion is better." in sentence
    assert "from lion" not in sentence


def test_who_has_diverged_has_no_score_and_is_not_judged(tmp_path):
    """Nor counted among the tests: Holm has two, not three."""
    found = read(tmp_path, fresh(lost=[("nesterov", 12)]))
    assert found.comparisons["optimizer"].tolist() == ["rmsprop", "sgd"]
    raw = [stats.ttest_1samp(OWN["adam"] - OWN[name], 0).pvalue for name in ("rmsprop", "sgd")]
    adjusted = [max(min(raw) * 2, max(raw)), min(raw) * 2]
    adjusted = adjusted if raw[0] > raw[1] else adjusted[::-1]
    assert found.comparisons["p_holm"].tolist() == pytest.approx(adjusted)
    assert found.ranking["optimizer"].tolist()[-1] == "nesterov"
    assert "(Holm, 95%): separated from rmsprop and sgd. Sign" in verdict.headline(found)
    assert any("nesterov diverged at least once" in one for one in verdict.remarks(found))


def test_all_others_are_all(tmp_path):
    """Not all of those that have a score."""
    own = OWN | {"lion": OWN["sgd"] - 0.1, "adamax": OWN["sgd"] - 0.2, "adagrad": OWN["sgd"] - 0.3}
    own["nesterov"] = OWN["rmsprop"] - 0.01
    assert "separated from all others. Sign" in said(tmp_path / "a", fresh(own), own)
    lost = [("nesterov", 12)]
    sentence = said(tmp_path / "b", fresh(own, lost=lost), own)
    assert (
        "all others" not in sentence and "separated from rmsprop, sgd, lion and 2 oth" in sentence
    )


def test_a_lone_test_has_its_own_level(tmp_path):
    """Of three one diverged: one pair is left, at 95% and said to be."""
    own = {name: OWN[name] for name in ("adam", "nesterov", "sgd")}
    found = read(tmp_path, fresh(own, lost=[("sgd", 12)]), own)
    assert found.comparisons["level"].tolist() == [pytest.approx(0.95)]
    assert "Paired over seeds (95%): not separated from nesterov" in verdict.headline(found)


def test_a_single_common_seed_is_no_pairing(tmp_path):
    without = [("sgd", seed) for seed in FRESH[1:]]
    sentence = said(tmp_path, fresh(without=without))
    assert "nesterov (difference" in sentence and "and sgd. Sign" in sentence
    own = {name: OWN[name] for name in ("adam", "sgd")}
    assert "Paired over seeds (95%): not separated from sgd (1 seed in common)." in said(
        tmp_path / "two", fresh(own, without=without), own
    )


@pytest.mark.parametrize("shift, word", [(0.01, "difference 0.01 on every seed, no spread")])
def test_no_spread_is_no_certainty(tmp_path, shift, word):
    own = {"adam": OWN["adam"], "sgd": OWN["adam"] - shift}
    sentence = said(tmp_path, fresh(own), own)
    assert f"not separated from sgd ({word} to judge by; 6 seeds would separate)" in sentence


def test_one_fresh_seed_says_nothing(tmp_path):
    own = {name: values[:1] for name, values in OWN.items()}
    sentence = said(tmp_path, fresh(own))
    assert sentence.endswith("One fresh seed gives no interval: it separates nothing.")


def test_without_fresh_seeds_nothing_is_compared(tmp_path):
    """The search's seeds have chosen the winners: they cannot judge them too."""
    found = read(tmp_path, None)
    assert found.comparisons.empty and "separated" in found.comparisons
    assert "eparated from" not in verdict.headline(found)
    assert "Not confirmed on fresh seeds" in verdict.headline(found)


def test_one_optimizer_is_compared_with_nobody(tmp_path):
    own = {"adam": OWN["adam"]}
    assert said(tmp_path, fresh(own), own).endswith("mean of 5 fresh seeds.")


def test_only_diverged_fresh_trials_compare_nothing(tmp_path):
    lost = [(name, seed) for name in OWN for seed in FRESH]
    found = read(tmp_path, fresh(lost=lost))
    assert not found.comparisons["separated"].any()
    assert verdict.headline(found).startswith("No winner")


def test_a_scores_of_diverged_trials_do_not_count(tmp_path):
    """The best of its curve is a number also where a trial diverged later."""
    rows = [row | {"best_valid_loss": 1 - row["valid_accuracy"]} for row in fresh()]
    for row in rows:
        if row["optimizer"] == "sgd" and row["seed"] == 10:
            row |= {"status": "diverged", "best_valid_loss": 0.0}
    search = [trial(name, 0.1, 0, 0.8, best_valid_loss=0.2) for name in OWN]
    how = {"metric": "best_valid_loss", "direction": "min"}
    found = findings.read(write(tmp_path, search, rows, **how))
    assert "sgd" not in set(found.comparisons["optimizer"])
    table = statistics.paired(found.finals, "best_valid_loss", "min", reference="adam")
    assert table.set_index("optimizer").loc["sgd", "n"] == 4
