"""Early stopping by patience, and the scores of the best evaluation of any metric."""

import numpy as np
import pandas as pd
import pytest
from flax import nnx

import jaxopt_course as joc
from jaxopt_course.studies.results import assemble
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.patience import PatientClimb, last_improvement
from jaxopt_course.sweeps.snapshot import no_results

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


@pytest.fixture(scope="module")
def best(task):
    return joc.sweep(task, TRIALS, score="best", keep=3, **QUICK)


def measured(task, params, part):
    return float(task.evaluate(params, {}, getattr(task, part))["accuracy"])


def loop(curve, evaluations, min_delta=0.0):
    """Where a plain loop of epochs stops, and which evaluation was its last improvement; from 1."""
    best, at = np.inf, 0
    for number, value in enumerate(curve, 1):
        if value < best - min_delta:
            best, at = value, number
        if number - at >= evaluations:
            return number, at
    return len(curve), at


def test_trials_stop_where_a_plain_loop_does(task, whole, stopped):
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
    own = stopped.trials["test_accuracy"]  # measured once the trial had stopped
    assert measured(task, stopped.params(3), "test") == pytest.approx(own[3])
    assert own.notna().all()


def test_the_best_evaluation_is_the_score_where_that_is_declared(task, whole, best):
    """The earliest of equals; the test part is measured with its weights, and they are kept."""
    assert best.manifest["metric"] == "best_valid_accuracy" and best.manifest["score"] == "best"
    assert best.manifest["weights"]["score"] == "best" and len(best.kept) == 6
    for name in whole.curves.data_vars:
        np.testing.assert_allclose(best.curves[name], whole.curves[name], rtol=1e-5, atol=1e-6)
    for row, curve in enumerate(best.curves["valid_accuracy"].to_numpy()):
        at, table = int(curve.argmax()), best.trials.iloc[row]
        assert table["scored_step"] == 4 * (at + 1) and table["status"] == "finished"
        assert table["valid_accuracy"] == table["best_valid_accuracy"] == curve[at]
        assert table["valid_loss"] == best.curves["valid_loss"].to_numpy()[row, at]
        for part in ("valid", "test"):
            value = measured(task, best.params(row), part)
            assert value == pytest.approx(table[f"{part}_accuracy"])
        assert int(best.state(row).step) == 200
        np.testing.assert_array_equal(best.params(row, raw=True)["kernel"],
                                      best.state(row).params["kernel"])  # fmt: skip
    differs = best.trials["test_accuracy"] != whole.trials["test_accuracy"]
    assert differs.any()
    replay = best.replay(2)
    assert replay.identical
    np.testing.assert_array_equal(replay.weights[0]["kernel"], best.params(2)["kernel"])


def test_what_the_best_holds_goes_on(task, best, tmp_path):
    """Into files, and on from there: the best of the whole is the best of both parts."""
    read = joc.Study.load(best.save(tmp_path / "s").directory)
    for trial in best.kept[:2]:
        np.testing.assert_array_equal(read.params(trial)["bias"], best.params(trial)["bias"])
    longer = best.train_on(top=1, steps=240, progress=False)
    curve = longer.curves["valid_accuracy"].to_numpy()
    assert curve.shape == (2, 60)
    assert longer.trials["scored_step"].tolist() == (4 * (curve.argmax(axis=1) + 1)).tolist()
    assert longer.trials["valid_accuracy"].tolist() == curve.max(axis=1).tolist()
    assert measured(task, longer.params(0), "valid") == pytest.approx(curve[0].max())


def ends_of(curves, seeds, evaluations, rungs):
    """How many evaluations each trial has under halving with patience, by the definition."""
    stops = [loop(curve, evaluations)[0] for curve in curves]

    def at(row, rung):
        curve, stop = curves[row], stops[row]
        return curve[:stop].min() if stop < rung else curve[rung - 1]

    alive, ends = list(range(len(curves) // seeds)), np.zeros(len(curves), int)
    for rung in rungs:
        for who in alive:
            for row in range(who * seeds, (who + 1) * seeds):
                ends[row] = min(stops[row], rung)
        score = lambda who, rung=rung: np.mean([at(who * seeds + k, rung) for k in range(seeds)])
        alive = sorted(alive, key=score)[: len(alive) // 2]
    return ends


def test_patience_beside_halving_whoever_comes_first():
    random = np.random.default_rng(2)
    for trial in range(30):
        seeds, evaluations = 1 + trial % 3, 1 + trial % 4
        curves = random.normal(size=(8 * seeds, 16)).cumsum(axis=1) / 3
        rule = joc.SuccessiveHalving(eta=2, min_steps=2)
        judge = rule.judge(8, 16, 1)
        climb = PatientClimb(16, np.repeat(np.arange(8), seeds), judge, joc.Patience(evaluations))
        progress, bad = np.zeros(len(curves), np.int32), np.zeros(len(curves), bool)
        stopped: set[int] = set()
        score = lambda row, rung, curves=curves, progress=progress: np.where(
            np.arange(rung) < progress[row], curves[row, :rung], np.nan
        )
        while True:
            waits = [r for r in range(len(curves)) if progress[r] < climb.until[r]]
            waits = [r for r in waits if r not in stopped]
            if not waits:
                break
            row = int(random.choice(waits))
            progress[row] = climb.until[row]
            stopped |= set(climb.arrive(row, progress, bad, score).stopped)
        assert progress.tolist() == ends_of(curves, seeds, evaluations, (2, 4, 8, 16)).tolist()


@pytest.mark.parametrize("rule", [joc.MedianStopping(), joc.SuccessiveHalving(eta=2, min_steps=2)])
def test_seeds_that_come_in_one_call_are_promoted_only_where_there_is_a_way_to_go(rule):
    """A call brings several trials to a rung before the first of them is heard of."""
    random = np.random.default_rng(0)
    for evaluations in (1, 2, 3):
        curves = random.normal(size=(16, 16)).cumsum(axis=1) / 3
        judge = rule.judge(8, 16, 1)
        climb = PatientClimb(16, np.repeat(np.arange(8), 2), judge, joc.Patience(evaluations))
        progress, bad = np.zeros(16, np.int32), np.zeros(16, bool)
        score, stopped = lambda row, rung, curves=curves: curves[row, :rung], []
        while came := [r for r in range(16) if progress[r] < climb.until[r] and r not in stopped]:
            progress[came] = climb.until[came]
            for row in came:
                if progress[row] < climb.until[row]:
                    continue  # promoted by who came with it, as the engine sees
                news = climb.arrive(row, progress, bad, score)
                assert (climb.until[news.promoted] > progress[news.promoted]).all()
                assert not {*news.promoted} & {*stopped}
                stopped += news.stopped
        over = [r for r in stopped if last_improvement(curves[r, : progress[r]]) + evaluations
                <= progress[r]]  # fmt: skip
        assert {*over} >= {*np.flatnonzero(climb._over)}
        assert all(progress[r] == 16 for r in range(16) if r not in stopped)


def test_patience_is_an_argument_beside_any_scheduler(task, whole):
    rows = joc.grid(optimizer="adam", learning_rate=[1e-5, 1e-3, 0.03, 3.0], seed=0)
    rule = joc.SuccessiveHalving(eta=2, min_steps=40)
    study = joc.sweep(task, rows, scheduler=rule, patience=6, metric="valid_loss", **QUICK)
    assert study.manifest["scheduler"]["patience"] == {"evaluations": 6, "min_delta": 0.0}
    loss = study.curves["valid_loss"].to_numpy()
    for row, curve in enumerate(loss):
        count = int(np.isfinite(curve).sum())
        due = last_improvement(curve[:count]) + 6 <= count
        expected = "finished" if count == 50 else "converged" if due else "stopped"
        assert study.trials["status"][row] == expected
        assert np.isfinite(study.trials["test_loss"][row]) == (expected != "stopped")
    assert "converged" in set(study.trials["status"])
    with pytest.raises(ValueError, match="with a scheduler cannot be extended"):
        study.extend(rows, progress=False)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"patience": 0}, "patience must be a number of evaluations"),
        ({"patience": 2, "scheduler": joc.Patience(2)}, "either patience= or scheduler=Patience"),
        ({"patience": 2, "scheduler": joc.PBT(20, ["learning_rate"])}, "PBT stops nobody"),
        ({"score": "best", "scheduler": joc.PBT(20, ["learning_rate"])}, 'score="best" holds'),
        ({"score": "worst"}, 'must be "last" or "best"'),
        ({"score": "last", "metric": "best_valid_loss"}, "contradicts metric='best_valid_loss'"),
        ({"score": "best", "metric": "train_loss"}, "is of an evaluation"),
    ],
)
def test_what_makes_no_sense_is_refused_before_work(task, more, message):
    rows = joc.grid(optimizer="adam", learning_rate=[1e-3, 1e-2])
    with pytest.raises(ValueError, match=message):
        joc.sweep(task, rows, **QUICK | more)


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


def test_patience_that_never_ends_changes_nothing(task, whole, best):
    """It is the program that holds the best weights, whose bits are its own."""
    with pytest.warns(UserWarning, match="Patience can stop nobody: the last of 50 evaluations"):
        study = joc.sweep(task, TRIALS, patience=50, **QUICK)
    pd.testing.assert_frame_equal(study.trials, best.trials)
    for name in whole.curves.data_vars:
        assert np.array_equal(study.curves[name], best.curves[name])
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


def test_where_it_stopped_is_what_it_trained_whatever_its_evaluations_were():
    """An undefined one in the middle was not counted; who never trained stopped at step 0."""
    rhythm = Rhythm(20, 4, 4)
    left = no_results(3, rhythm, ["loss"])
    left.valid["loss"][0, :4] = [0.5, np.nan, 0.4, np.nan]
    left.valid["loss"][1, :2] = 0.5
    left.progress[:], left.stopped[:] = [4, 2, 0], True
    table, _ = assemble(
        joc.grid(learning_rate=[1.0, 2.0, 3.0]).assign(trial=range(3)), left, rhythm
    )
    assert table["stopped_step"].tolist() == [16, 8, 0]


@pytest.mark.long
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
