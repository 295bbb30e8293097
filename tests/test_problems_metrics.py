"""Metrics are scikit-learn's, to float32, with ties, with few positives and inside vmap."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as oracle

from jaxopt_course.problems import metrics

# Each is a ratio of exact counts, or a mean of such ratios: a few units of float32's 6e-8.
CLOSE = {"rtol": 0, "atol": 1e-6}


def scores_and_labels(seed, examples, share, decimals):
    """Scores that know a little, rounded so that they tie; at least one label of each class."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(examples) < share).astype(np.int32)
    labels[:2] = 0, 1
    scores = np.round(rng.normal(size=examples) + 0.7 * labels, decimals).astype(np.float32)
    return scores, labels


CASES = [
    pytest.param(0, 200, 0.5, 6, id="no ties"),
    pytest.param(1, 300, 0.5, 0, id="five values"),
    pytest.param(2, 3000, 0.01, 1, id="one in a hundred"),
    pytest.param(3, 2, 0.5, 6, id="one of each"),
    pytest.param(4, 100_000, 0.5, 2, id="more than int32 can square"),
]


BINARY = pytest.mark.parametrize(("seed", "examples", "share", "decimals"), CASES)


@BINARY
def test_auc(seed, examples, share, decimals):
    scores, labels = scores_and_labels(seed, examples, share, decimals)
    want = oracle.roc_auc_score(labels, scores)
    np.testing.assert_allclose(metrics.auc(scores, labels), want, **CLOSE)


@BINARY
def test_f1_and_binary_accuracy(seed, examples, share, decimals):
    scores, labels = scores_and_labels(seed, examples, share, decimals)
    called = scores > 0
    want = oracle.f1_score(labels, called, zero_division=0)
    np.testing.assert_allclose(metrics.f1(scores, labels), want, **CLOSE)
    want = oracle.accuracy_score(labels, called)
    np.testing.assert_allclose(metrics.binary_accuracy(scores, labels), want, **CLOSE)


@pytest.mark.parametrize(
    ("scores", "labels", "want"),
    [
        ([1.0, 2.0, 3.0], [0, 1, 1], 1.0),
        ([3.0, 2.0, 1.0], [0, 1, 1], 0.0),
        ([1.0, 1.0, 1.0], [0, 1, 1], 0.5),
        ([1.0, 2.0, 2.0, 3.0], [0, 0, 1, 1], 0.875),  # of four pairs one ties
        ([np.inf, 1.0, np.inf], [1, 0, 0], 0.75),  # logits may overflow and still have an order
    ],
)
def test_auc_by_hand(scores, labels, want):
    assert metrics.auc(jnp.array(scores), jnp.array(labels)) == want


@pytest.mark.parametrize("label", [0, 1])
def test_auc_of_one_class_is_not_a_number(label):
    assert np.isnan(metrics.auc(jnp.arange(3.0), jnp.full(3, label)))


def test_f1_is_zero_where_nothing_is_positive_and_nothing_called_so():
    assert metrics.f1(-jnp.ones(3), jnp.zeros(3, jnp.int32)) == 0


def test_accuracy():
    rng = np.random.default_rng(0)
    outputs = np.round(rng.normal(size=(500, 7)), 0).astype(
        np.float32
    )  # ties: the first class wins
    labels = rng.integers(0, 7, 500)
    want = oracle.accuracy_score(labels, outputs.argmax(axis=1))
    np.testing.assert_allclose(metrics.accuracy(outputs, labels), want, **CLOSE)


@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3)])
def test_r2(shape):
    rng = np.random.default_rng(1)
    targets = rng.normal(size=shape).astype(np.float32)
    outputs = (targets + 0.5 * rng.normal(size=shape)).astype(np.float32)
    want = oracle.r2_score(targets, outputs)
    np.testing.assert_allclose(metrics.r2(outputs, targets), want, rtol=1e-6)


@pytest.mark.parametrize("outputs", [[2.0, 2.0, 2.0], [2.0, 2.0, 3.0]])
def test_r2_of_constant_targets(outputs):
    want = oracle.r2_score([2.0, 2.0, 2.0], outputs)
    assert metrics.r2(jnp.array(outputs), jnp.full(3, 2.0)) == want


@pytest.mark.parametrize("metric", [metrics.auc, metrics.f1, metrics.binary_accuracy])
def test_vmap_over_networks_with_shared_targets(metric):
    scores, labels = scores_and_labels(5, 3 * 40, 0.4, 1)
    scores, labels = scores.reshape(3, 40), labels[:40]
    lanes = jax.jit(jax.vmap(metric, in_axes=(0, None)))(scores, labels)
    one_by_one = [metric(lane, labels) for lane in scores]
    np.testing.assert_allclose(lanes, one_by_one, **CLOSE)
    assert len(set(map(float, one_by_one))) > 1


# Shapes


def wide_and_flat(kind):
    """Outputs (n, 1) and targets (n,), the other way round, or both (n, 1)."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=60).astype(np.float32), rng.integers(0, 2, 60)
    shapes = {"outputs": ((60, 1), 60), "targets": (60, (60, 1)), "both": ((60, 1), (60, 1))}[kind]
    return jnp.asarray(z.reshape(shapes[0])), jnp.asarray(y.reshape(shapes[1])), z, y


@pytest.mark.parametrize("kind", ["outputs", "targets", "both"])
@pytest.mark.parametrize("name", ["binary_accuracy", "f1", "auc", "r2"])
def test_a_last_axis_of_one_changes_nothing(kind, name):
    """It was broadcast to (n, n): an F1 of 35."""
    outputs, targets, z, y = wide_and_flat(kind)
    function = getattr(metrics, name)
    np.testing.assert_allclose(function(outputs, targets), function(z, y), rtol=1e-6)


def test_accuracy_of_targets_with_a_last_axis_of_one():
    scores, labels = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 3
    want = metrics.accuracy(scores, labels)
    assert metrics.accuracy(scores, labels[:, None]) == want == (scores.argmax(1) == labels).mean()


@pytest.mark.parametrize(
    ("name", "outputs", "targets"),
    [
        ("binary_accuracy", (5, 5), (5,)),
        ("f1", (5, 2), (5,)),
        ("auc", (5, 2), (5,)),
        ("r2", (5, 1), (5, 5)),
        ("r2", (5,), (1, 5)),
        ("accuracy", (5, 1), (5,)),
        ("accuracy", (5, 3), (5, 3)),
        ("accuracy", (3, 5, 3), (5, 3)),
    ],
)
def test_other_shapes_are_refused(name, outputs, targets):
    with pytest.raises(ValueError, match=f"{name} wants outputs .*{re.escape(str(outputs))}"):
        getattr(metrics, name)(jnp.zeros(outputs), jnp.zeros(targets, int))
