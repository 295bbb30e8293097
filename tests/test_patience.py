"""Early stopping by patience, and the scores of the best evaluation of any metric."""

import numpy as np
import pandas as pd
import pytest
from flax import nnx

import jaxopt_course as joc
from jaxopt_course.sweeps.patience import last_improvement

X = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)
QUICK = {"batch_size": 20, "steps": 200, "evaluate_every": 4, "lanes": 2, "progress": False}
TRIALS = joc.grid(optimizer="adam", learning_rate=[1e-5, 0.03, 3.0], seed=range(2))


@pytest.fixture(scope="module")
def task():
    return joc.Task.from_flax(
        lambda rngs: nnx.Linear(3, 2, rngs=rngs), X, Y, loss="softmax_cross_entropy", name="toy"
    )


@pytest.fixture(scope="module")
def whole(task):
    return joc.sweep(task, TRIALS, **QUICK)


@pytest.fixture(scope="module")
def stopped(task):
    return joc.sweep(task, TRIALS, scheduler=joc.Patience(evaluations=4), **QUICK)


def loop(curve, evaluations, min_delta=0.0):
    """Where a plain loop of epochs stops, and which evaluation was its last improvement; from 1."""
    best, at = np.inf, 0
    for number, value in enumerate(curve, 1):
        if value < best - min_delta:
            best, at = value, number
        if number - at >= evaluations:
            return number, at
    return len(curve), at


def test_trials_stop_where_a_plain_loop_does(whole, stopped):
    assert set(stopped.trials["status"]) == {"converged"}
    for row, full in enumerate(whole.curves["valid_accuracy"].to_numpy()):
        end, best = loop(-full, 4)
        own = stopped.curves["valid_accuracy"].to_numpy()[row]
        assert np.array_equal(own[:end], full[:end]) and np.isnan(own[end:]).all()
        assert stopped.trials["stopped_step"][row] == 4 * end
        assert stopped.trials["scored_step"][row] == 4 * best
        for name in ("accuracy", "loss"):
            curve = stopped.curves[f"valid_{name}"].to_numpy()[row]
            assert stopped.trials[f"valid_{name}"][row] == curve[best - 1]
    assert stopped.trials["test_accuracy"].isna().all()


@pytest.mark.parametrize("min_delta", [0.0, 0.2])
def test_a_judge_that_hears_seldom_decides_as_one_that_hears_always(min_delta):
    random = np.random.default_rng(1)
    for curve in random.normal(size=(50, 30)).cumsum(axis=1) / 3:
        for evaluations in (1, 2, 7):
            judge = joc.Patience(evaluations, min_delta).judge(1, 30, 1)
            rung = judge.first[0]
            while (news := judge.hear(0, rung, curve[:rung])) and news[0]:
                assert news[0] > rung
                rung = news[0]
            end, best = loop(curve, evaluations, min_delta)
            assert rung == end and last_improvement(curve[:end], min_delta) == best


def test_patience_that_never_ends_changes_nothing(task, whole):
    study = joc.sweep(task, TRIALS, scheduler=joc.Patience(evaluations=50), **QUICK)
    pd.testing.assert_frame_equal(study.trials[whole.trials.columns], whole.trials)
    assert study.manifest["metric"] == "best_valid_accuracy"


def test_the_state_is_that_of_the_best_evaluation(task, stopped):
    replay = stopped.replay(3)
    assert replay.identical and int(replay.state.step) == stopped.trials["scored_step"][3]
    measured = task.evaluate(replay.state.params, replay.state.model_state, task.valid)
    assert float(measured["accuracy"]) == pytest.approx(stopped.trials["valid_accuracy"][3])


def test_confirm_extend_and_disk_go_on_with_the_same_patience(stopped, tmp_path):
    fresh = stopped.confirm(2, progress=False)
    assert set(fresh.trials["status"]) == {"converged"}
    assert fresh.manifest["scheduler"] == {
        "name": "Patience", "evaluations": 4, "min_delta": 0.0
    }  # fmt: skip
    longer = stopped.extend(joc.grid(optimizer="adam", learning_rate=[0.1]), progress=False)
    assert longer.trials["status"].tolist() == ["converged"] * 7
    pd.testing.assert_frame_equal(longer.trials.iloc[:6], stopped.trials)
    loaded = joc.Study.load(stopped.save(tmp_path / "s").directory)
    pd.testing.assert_series_equal(loaded.best(), stopped.best())
    assert "converged before their budget" in loaded.report().read_text(encoding="utf-8")


def test_best_of_every_metric_by_its_direction(whole):
    accuracy = whole.curves["valid_accuracy"].to_numpy()
    loss = whole.curves["valid_loss"].to_numpy()
    assert np.array_equal(whole.trials["best_valid_accuracy"], accuracy.max(axis=1))
    assert np.array_equal(whole.trials["best_valid_loss"], loss.min(axis=1))
    ranked = whole.configurations("best_valid_accuracy")
    means = whole.trials.groupby("learning_rate")["best_valid_accuracy"].mean()
    assert ranked["best_valid_accuracy"].tolist() == sorted(means, reverse=True)


def test_configurations_show_all_validation_metrics(whole):
    for metric in ("valid_accuracy", "valid_loss", "train_loss"):
        ranked = whole.configurations(metric).set_index("learning_rate")
        for name in ("valid_accuracy", "valid_loss"):
            means = whole.trials.groupby("learning_rate")[name].mean()
            assert ranked[name].to_dict() == pytest.approx(means.to_dict())


def test_an_older_table_gets_its_bests_from_its_curves(whole):
    older = joc.Study(
        whole.trials.drop(columns="best_valid_accuracy"), whole.curves, whole.manifest
    )
    pd.testing.assert_frame_equal(
        older.configurations("best_valid_accuracy"), whole.configurations("best_valid_accuracy")
    )


def test_winners_by_any_columns(whole):
    by_rate = whole.winners(by="learning_rate")
    pd.testing.assert_frame_equal(
        by_rate[["rank", "learning_rate", "valid_accuracy"]],
        whole.configurations()[["rank", "learning_rate", "valid_accuracy"]],
    )
    assert len(whole.winners(by=["optimizer"])) == len(whole.winners()) == 1
    with pytest.raises(ValueError, match="unknown column 'learning_rat'"):
        whole.winners(by=["learning_rat"])
    with pytest.raises(ValueError, match="one column or more"):
        whole.winners(by=[])


@pytest.mark.parametrize("wrong", [{"evaluations": 0}, {"evaluations": 2.5}, {"min_delta": -1.0}])
def test_patience_says_what_is_wrong(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        joc.Patience(**wrong)


def test_a_diverged_trial_has_no_score_for_its_patience(task):
    study = joc.sweep(
        task,
        joc.grid(optimizer="sgd", learning_rate=[0.1, 1e4]),
        scheduler=joc.Patience(evaluations=4),
        diverges_above=100.0,
        **QUICK,
    )
    assert study.trials["status"].tolist() == ["converged", "diverged"]
    assert study.best()["learning_rate"] == 0.1
