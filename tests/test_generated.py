"""The generated tables follow their stated models, and nobody beats the scores called best."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import jaxopt_course as joc
from jaxopt_course.problems.generated import bank, best_scores, fraud, sales
from jaxopt_course.problems.tables import prepare

MAKERS = pytest.mark.parametrize("make", [sales, bank, fraud])
CLASSES = pytest.mark.parametrize("make", [bank, fraud])


@MAKERS
def test_a_table_hangs_on_its_seed_alone(make):
    one, same, other = make(500), make(500), make(500, seed=1)
    assert one.table.equals(same.table) and not one.table.equals(other.table)
    np.testing.assert_array_equal(one.ideal, same.ideal)
    assert len(make().table) == 10_000
    assert one.table.columns[-1] == one.target and one.table.notna().all(axis=None)


@MAKERS
def test_the_ideal_is_the_mean_of_the_target(make):
    """In each twentieth of the rows, ordered by the ideal, and over the seeds."""
    for seed in range(3):
        made = make(20_000, seed=seed)
        y = made.table[made.target].to_numpy()
        for rows in np.array_split(np.argsort(made.ideal), 20):
            p = made.ideal[rows]
            error = made.noise if made.noise else np.sqrt(np.mean(p * (1 - p)))
            assert abs(np.mean(y[rows] - p)) < 4.5 * error / np.sqrt(len(rows)) + 1e-3


def test_sales_miss_their_ideal_by_normal_noise():
    made = sales(50_000, seed=1)
    left = made.table["log_units"] - made.ideal
    np.testing.assert_allclose(np.mean(left**2), made.best()["squared_error"], rtol=0.03)
    assert np.mean(abs(left) < 2 * made.noise) == pytest.approx(0.9545, abs=0.005)
    for column in ("price", "discount", "visits", "rating", "day", "weekend"):
        assert abs(np.corrcoef(left, made.table[column].astype(float))[0, 1]) < 0.02
    score = metrics.r2_score(made.table["log_units"], made.ideal)
    np.testing.assert_allclose(score, made.best()["r2"], atol=0.005)


def test_the_shares_of_positives():
    assert bank(50_000).table["taken"].mean() == pytest.approx(0.27, abs=0.01)
    assert fraud(50_000).table["fraud"].mean() == pytest.approx(0.05, abs=0.004)
    assert fraud(20_000, positive=0.3).table["fraud"].mean() == pytest.approx(0.3, abs=0.015)


@CLASSES
def test_best_scores_are_scikit_learns_with_expected_counts(make):
    """Each row twice, once a class, with the class's probability as weight."""
    p = make(3_000).ideal.round(2)  # so that some are equal
    y = np.repeat([1, 0], len(p))
    scores, weights = np.tile(p, 2), np.concatenate([p, 1 - p])
    best = best_scores(p)
    precision, recall, _ = metrics.precision_recall_curve(y, scores, sample_weight=weights)
    false, true, _ = metrics.roc_curve(y, scores, sample_weight=weights, drop_intermediate=False)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    want = {
        "loss": metrics.log_loss(y, np.clip(scores, 1e-15, 1 - 1e-15), sample_weight=weights),
        "accuracy": metrics.accuracy_score(y, scores > 0.5, sample_weight=weights),
        "auc": metrics.roc_auc_score(y, scores, sample_weight=weights),
        "f1": f1.max(),
        "balanced_accuracy": (1 + true - false).max() / 2,
        "average_precision": metrics.average_precision_score(y, scores, sample_weight=weights),
    }
    assert set(best) == set(want)
    for name in want:
        np.testing.assert_allclose(best[name], want[name], rtol=1e-9, err_msg=name)


def test_best_scores_of_two_normal_classes():
    """x | y ~ N(±1, 1): AUC = Φ(√2), accuracy = Φ(1)."""
    rng = np.random.default_rng(0)
    y = rng.random(400_000) < 0.5
    p = 1 / (1 + np.exp(-2 * rng.normal(np.where(y, 1, -1))))
    best = best_scores(p)
    np.testing.assert_allclose(best["auc"], norm.cdf(np.sqrt(2)), atol=1e-3)
    np.testing.assert_allclose(best["accuracy"], norm.cdf(1), atol=1e-3)
    np.testing.assert_allclose(best["balanced_accuracy"], norm.cdf(1), atol=1e-3)


@CLASSES
def test_the_ideal_reaches_the_best_and_a_learner_comes_near(make):
    made = make()
    ready = prepare(made.table, made.target)
    (x, y), (x_test, y_test) = ready.parts["train"], ready.parts["test"]
    p, best = made.ideal[ready.rows["test"]], made.best(ready.rows["test"])
    np.testing.assert_allclose(metrics.roc_auc_score(y_test, p), best["auc"], atol=0.03)
    np.testing.assert_allclose(metrics.log_loss(y_test, p), best["loss"], atol=0.03)
    learner = make_pipeline(PolynomialFeatures(2), LogisticRegression(C=0.1, max_iter=200))
    scores = learner.fit(x, y).predict_proba(x_test)[:, 1]
    assert best["auc"] - 0.06 < metrics.roc_auc_score(y_test, scores) < best["auc"] + 0.03
    assert metrics.log_loss(y_test, scores) > metrics.log_loss(y_test, p)


def test_a_learner_of_sales_stays_above_the_noise_floor():
    made = sales()
    ready = prepare(made.table, made.target)
    (x, y), (x_test, y_test) = ready.parts["train"], ready.parts["test"]
    learner = make_pipeline(PolynomialFeatures(2), Ridge()).fit(x, y)
    error = metrics.mean_squared_error(y_test, learner.predict(x_test)) * ready.scale**2
    left = made.table[made.target].to_numpy()[ready.rows["test"]] - made.ideal[ready.rows["test"]]
    assert np.mean(left**2) < error < 2 * made.best()["squared_error"]


def test_the_tasks_are_these_tables():
    task, made = joc.load_task("fraud"), fraud()
    rows = prepare(made.table, made.target).rows["valid"]
    np.testing.assert_array_equal(task.valid["targets"], made.table["fraud"].to_numpy()[rows])
    assert next(iter(task.metrics)) == "auc"
    assert joc.load_task("bank").train["inputs"].shape == (6000, 20)  # as the notes' network has it
