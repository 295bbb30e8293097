"""The benchmark of optimizers on tables, in small: pieces, resumption, statistics, the list."""

import itertools
import json
import shutil
import types
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

ROOT = Path(__file__).parent.parent
JOINED = ("tables.csv", "trials.csv.gz", "fresh.csv.gz")
TOLD = ("ranks.csv", "against_adamw.csv", "numbers.csv", "default_list.csv")


@pytest.fixture(autouse=True)
def _from_the_checkout(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def small(benchmark):
    """Two tables, two optimizers, two trials of each."""
    return benchmark.quick()._replace(
        patience=1,
        tables=("wine", "diabetes"), optimizers=("adamw", "schedule_free_sgd"), trials=2,
        steps=20, evaluate_every=5, seeds=2, lanes=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two tables, two optimizers: where the results are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        patch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
        from experiments.benchmarks import optimizers_on_tables as benchmark

        settings = small(benchmark)
        patch.setattr(benchmark, "quick", lambda: settings)
        patch.setattr(benchmark, "ALONE", {"schedule_free_sgd": 1})
        out = tmp_path_factory.mktemp("tables")
        benchmark.main(["--quick", "--out", str(out), "--only", "wine"])
        read = lambda name: pd.read_csv(out / name, dtype={"seconds": float})  # may be whole ones
        first = {name: read(name) for name in JOINED}
        benchmark.main(["--quick", "--out", str(out)])
        for name, before in first.items():
            both = read(name)
            own = both[both["table"] == "wine"].reset_index(drop=True)
            pd.testing.assert_frame_equal(
                own.dropna(axis=1, how="all"), before.dropna(axis=1, how="all")
            )
        assert sorted(file.name for file in out.iterdir()) == sorted(
            [*JOINED, *TOLD, "settings.json", "work"]
        )
        return out


@pytest.mark.long
def test_every_entrant_is_tuned_and_trained_again(run):
    trials, fresh = pd.read_csv(run / "trials.csv.gz"), pd.read_csv(run / "fresh.csv.gz")
    assert len(trials) == 2 * 2 * 2 and set(trials["table"]) == {"wine", "diabetes"}
    counts = fresh.groupby(["table", "entrant"])["seed"].apply(list)
    assert counts.index.get_level_values(1).unique().tolist() == [
        *("adamw", "adamw+ema", "schedule_free_sgd")
    ]
    assert all(seeds == [1, 2] for seeds in counts)
    for (table, entrant), own in fresh.groupby(["table", "entrant"]):
        column = "mean" if entrant.endswith("+ema") else "score"
        optimizer = entrant.removesuffix("+ema")
        of = trials[(trials["table"] == table) & (trials["optimizer"] == optimizer)]
        of = of.sort_values([column, f"{column}_loss"], ascending=[False, True], kind="stable")
        assert of["place"].iloc[0] == own["place"].iloc[0]
    tables = pd.read_csv(run / "tables.csv")
    assert tables["metric"].tolist() == ["r2", "accuracy"] and not (run / "work" / "wine").exists()


@pytest.mark.long
def test_what_is_done_is_not_trained_again_and_settings_are_not_mixed(run, monkeypatch, capsys):
    from experiments.benchmarks import optimizers_on_tables as benchmark

    settings = benchmark.quick()._replace(tables=("wine", "diabetes"))
    with pytest.raises(SystemExit, match=r"other settings \(.*trials.*\), which are not mixed"):
        benchmark.main(["--quick", "--out", str(run)])
    monkeypatch.setattr(benchmark, "check_settings", lambda *_: None)
    monkeypatch.setattr(benchmark, "quick", lambda: settings)
    monkeypatch.setattr(benchmark, "run_table", lambda *_: pytest.fail("trained twice"))
    benchmark.main(["--quick", "--out", str(run)])
    assert "2 tables; mean ranks within" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no table of this benchmark: digits"):
        benchmark.main(["--quick", "--out", str(run), "--only", "digits"])


@pytest.mark.long
def test_only_what_has_another_box_is_trained_again(run, tmp_path, monkeypatch, capsys):
    from experiments.benchmarks import optimizers_on_tables as benchmark
    from jaxopt_course.optimizers.boxes import BOXES

    out, settings = tmp_path / "again", small(benchmark)
    shutil.copytree(run, out)
    again = ["--quick", "--out", str(out), "--again"]
    monkeypatch.setattr(benchmark, "quick", lambda: settings)
    with pytest.raises(SystemExit, match="no optimizer has other boxes"):
        benchmark.main(again)
    rate, *others = BOXES["adamw"]
    monkeypatch.setitem(BOXES, "adamw", (rate._replace(low=0.01, high=0.1), *others))
    with pytest.raises(SystemExit, match=r"other boxes \(adamw\).*--again"):
        benchmark.main(again[:-1])
    benchmark.main([*again, "--only", "wine"])
    assert "1 tables to go" in capsys.readouterr().out
    for name in JOINED:  # nothing is exchanged before all is there
        assert (out / name).read_bytes() == (run / name).read_bytes()
    benchmark.main(again)
    assert not (out / "again").exists()
    told = json.loads((out / "settings.json").read_text())["boxes"]
    assert told["adamw"]["learning_rate"] == ["log_uniform", 0.01, 0.1]
    for name, column in (("trials.csv.gz", "optimizer"), ("fresh.csv.gz", "entrant")):
        before, after = pd.read_csv(run / name), pd.read_csv(out / name)
        assert before[["table", column, "place"]].equals(after[["table", column, "place"]]) or (
            name == "fresh.csv.gz"  # another trial may have won
        )
        stays = [~table[column].str.startswith("adamw") for table in (before, after)]
        pd.testing.assert_frame_equal(before[stays[0]], after[stays[1]])
    after = pd.read_csv(out / "trials.csv.gz")
    assert after["table"].is_monotonic_increasing
    assert (after.loc[after["optimizer"] == "adamw", "learning_rate"] >= 0.01).all()
    before, after = (pd.read_csv(folder / "tables.csv") for folder in (run, out))
    assert (after["trial_steps"] > before["trial_steps"]).all()
    with pytest.raises(SystemExit, match="no optimizer has other boxes"):
        benchmark.main(again)


def test_scores_of_shorter_trainings_are_the_best_until_then(monkeypatch):
    """Three trials by hand: one that gets worse, one that diverges, one with a mean of its own."""
    from experiments.benchmarks import optimizers_on_tables as benchmark

    monkeypatch.setattr(benchmark, "BUDGETS", (5, 10, 20, 30))
    names = ["sgd", "sgd", "schedule_free_sgd"]
    trials = pd.DataFrame({"optimizer": names, "learning_rate": [0.1, 9.0, 1.0]})
    trials["status"] = ["finished", "diverged", "converged"]
    nan = np.nan
    raw = np.array([[0.5, 0.9, 0.7], [0.6, nan, nan], [0.1, 0.1, nan]])
    mean = np.array([[0.2, 0.4, 0.8], [0.3, nan, nan], [0.4, 0.3, nan]])
    both = {"valid_accuracy_raw": raw, "valid_accuracy": mean}
    both |= {"valid_loss_raw": 1 - raw, "valid_loss": 1 - mean}
    curves = xr.Dataset(
        {name: (("trial", "eval_step"), values) for name, values in both.items()},
        {"eval_step": [10, 20, 30]},
    )
    found = benchmark.searched(types.SimpleNamespace(trials=trials, curves=curves), "accuracy")
    expected = {
        "score": [0.9, nan, 0.4], "score_at_5": [nan, nan, nan],
        "score_at_10": [0.5, 0.6, 0.4], "score_at_20": [0.9, 0.6, 0.4],
        "score_loss": [1 - 0.9, nan, 1 - 0.4], "mean": [0.8, nan, nan],
        "mean_at_10": [0.2, 0.3, nan], "mean_at_20": [0.4, 0.3, nan],
        "mean_loss": [1 - 0.8, nan, nan],
    }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)
    assert "score_at_30" not in found  # the whole training is the score


@pytest.mark.long
def test_a_join_that_was_killed_is_done_again(run, tmp_path):
    """Joined files are written, pieces are still there: nothing counts twice, nothing is lost."""
    from experiments.benchmarks.tables_results import joined, results

    whole = {name: pd.read_csv(run / name) for name in JOINED}
    for name, table in whole.items():
        for task, own in table.groupby("table"):
            kind = {"tables.csv": "table", "trials.csv.gz": "trials", "fresh.csv.gz": "fresh"}[name]
            own.to_csv(tmp_path / f"{task}.{kind}.csv", index=False)
    (tmp_path / "half.trials.csv").write_text("table\nhalf\n")  # a table that is not done
    whole["tables.csv"].iloc[:1].to_csv(tmp_path / "tables.csv", index=False)
    assert joined(tmp_path, "table")["table"].tolist() == ["diabetes", "wine"]
    results(tmp_path, ("adamw", "schedule_free_sgd"))
    for name, table in whole.items():
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / name), table)
        assert (tmp_path / name).read_bytes() == (run / name).read_bytes()
    assert [file.name for file in tmp_path.glob("*.*.csv")] == ["half.trials.csv"]


def test_tables_are_chosen_by_a_rule_and_are_many():
    from experiments.benchmarks import optimizers_on_tables as benchmark

    chosen = benchmark.full().tables
    assert len(chosen) == len(set(chosen)) == 40 and benchmark.tables_of(99)[:40] == chosen
    known = {entry.removeprefix("r:") for entry in benchmark.tables_of(10_000)}
    left_out = {*benchmark.INVENTED, *benchmark.REPEATED, *benchmark.FEW_INPUTS, *benchmark.TWICE}
    assert not known & left_out
    from jaxopt_course.problems.packaged import entries

    assert left_out <= {entry.table for entry in entries().values()}
    table = benchmark.search_table(benchmark.full())
    assert table.groupby("optimizer").size().unique().tolist() == [32]


def test_wins_and_gains_are_those_of_scipy():
    from experiments.benchmarks.tables_results import against

    random = np.random.default_rng(0)
    tables = pd.DataFrame({"table": list("abcd"), "metric": "r2", "test": 100})
    rows = [
        {"table": t, "entrant": e, "seed": s, "test": random.normal(better * (t != "d"), 0.3)}
        for t, (e, better), s in itertools.product(
            "abcd", (("adamw", 0.0), ("lion", 1.0), ("sgd", -0.1)), range(6)
        )
    ]
    fresh = pd.DataFrame(rows)
    found = against(fresh, tables).set_index("entrant")
    for entrant in ("lion", "sgd"):
        wide = fresh.pivot(index="seed", columns=["table", "entrant"], values="test")
        pairs = [(wide[t, entrant], wide[t, "adamw"]) for t in "abcd"]
        p = np.array([scipy.stats.ttest_rel(*pair).pvalue for pair in pairs])
        order = np.argsort(p)
        adjusted = np.empty(4)
        adjusted[order] = np.maximum.accumulate(p[order] * [4, 3, 2, 1])
        gains = np.array([(a - b).mean() for a, b in pairs])
        own = found.loc[entrant]
        assert own["won"] == ((adjusted <= 0.05) & (gains > 0)).sum()
        assert own["lost"] == ((adjusted <= 0.05) & (gains < 0)).sum()
        assert own["tied"] == (adjusted > 0.05).sum() and own["uncompared"] == 0
        assert own["gain"] == pytest.approx(gains.mean())
        low, high = scipy.stats.t.interval(0.95, 3, gains.mean(), scipy.stats.sem(gains))
        assert (own["gain_low"], own["gain_high"]) == pytest.approx((low, high))
    assert found.loc["lion", "won"] == 3


def test_the_default_list_is_greedy_and_does_not_see_the_table_it_is_judged_on():
    from experiments.benchmarks.default_list import default_list, greedy, left_out, regrets

    values = np.random.default_rng(1).random((12, 7))
    chosen = greedy(values, 3)
    assert chosen[0] == values.mean(1).argmax()
    worth = lambda rows: values[list(rows)].max(0).mean()
    best = max(worth(rows) for rows in itertools.combinations(range(12), 3))
    assert (1 - 1 / np.e) * best <= worth(chosen) <= best
    second = max(range(12), key=lambda row: worth([chosen[0], row]))
    assert worth(chosen[:2]) == worth([chosen[0], second])
    np.testing.assert_allclose(regrets(values, chosen)[-1], 1 - values[chosen].max(0))
    unseen = left_out(values, 3)
    for column in range(7):
        own = greedy(np.delete(values, column, 1), 3)
        assert unseen[-1, column] == 1 - values[own, column].max()
    assert (np.diff(unseen, axis=0) <= 0).all() and len(greedy(values, 99)) == 12
    # two tables, each won by a configuration that is nothing on the other
    trials = pd.DataFrame(
        [
            {"table": t, "optimizer": "sgd", "learning_rate": r, "place": i, "score": score,
             "mean": np.nan, "status": "finished"}
            for i, (r, scores) in enumerate({0.1: (1.0, 0.5), 0.2: (0.5, 0.9)}.items())
            for t, score in zip("ab", scores, strict=True)
        ]
    )  # fmt: skip
    tables = pd.DataFrame({"table": ["a", "b"], "baseline": [0.5, np.nan]})
    found = default_list(trials, tables, 2)
    assert found["learning_rate"].tolist() == [0.1, 0.2]  # (1 + 5/9) / 2 against (0 + 1) / 2
    assert found["regret"].tolist() == pytest.approx([(1 - 5 / 9) / 2, 0.0])
    assert found["regret_left_out"].tolist() == pytest.approx([(1 + 4 / 9) / 2, 0.0])


def test_numbers_at_an_edge_are_counted():
    from experiments.benchmarks.tables_results import numbers, position

    rates = [0.0011, 0.05, 9.9]
    trials = pd.DataFrame(
        {"table": list("abc"), "optimizer": "sgd", "place": 0, "learning_rate": rates}
    )
    fresh = pd.DataFrame({"table": list("abc"), "entrant": "sgd", "place": 0})
    [row] = numbers(trials, fresh, ("sgd",)).to_dict("records")
    assert row["median"] == 0.05 and row["at_low"] == row["at_high"] == pytest.approx(1 / 3)
    half = position(np.array([1 - np.sqrt(0.1 * 0.001)]), "log_complement", 0.9, 0.999)
    assert half == pytest.approx(0.5)
