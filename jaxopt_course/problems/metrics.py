"""What is measured on a whole part of the data: pure JAX, so that it runs inside a sweep.

Each takes the network's outputs and the targets and returns a float32 scalar.  A score above
zero (a logit) or above its rivals is a prediction; class 1 is the positive one.  Outputs and
targets may differ by a last axis of one; other shapes are refused, as nothing is broadcast.
"""

import jax
import jax.numpy as jnp

from jaxopt_course.problems import shapes


def accuracy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Share of right answers, argmax_c outputs = targets.

    Args:
        outputs: scores, (..., C); the first of equal scores wins.
        targets: class labels 0 .. C-1, (...).
    """
    targets = shapes.classes("accuracy", outputs, targets)
    return jnp.mean(jnp.argmax(outputs, axis=-1) == targets)


def binary_accuracy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Share of right answers, [logit > 0] = target.

    Args:
        outputs: logits, any shape; a logit of 0 is a probability of 1/2 and counts as class 0.
        targets: 0 or 1, the shape of ``outputs`` but for a last axis of one.
    """
    outputs = shapes.like_targets("binary_accuracy", outputs, targets)
    return jnp.mean((outputs > 0) == (targets > 0))


def f1(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """F1 of the positive class, 2 TP / (2 TP + FP + FN); 0 where nothing is or is called positive.

    Args:
        outputs: logits, any shape; positive where above 0.
        targets: 0 or 1, the shape of ``outputs`` but for a last axis of one.
    """
    outputs = shapes.like_targets("f1", outputs, targets)
    called, is_one = outputs > 0, targets > 0
    hits = 2 * jnp.sum(called & is_one)
    total = jnp.sum(called) + jnp.sum(is_one)  # 2 TP + FP + FN
    return hits / jnp.maximum(total, 1)


def auc(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties count ½.

    AUC = (1/P) Σ_{i positive} (N_below(i) + ½ N_equal(i)) / N

    with P positives and N negatives; the Mann-Whitney statistic over P N (Hanley and McNeil 1982).
    It is NaN where one class is missing, since it is then not defined.  Costs one sort and two
    binary searches, n log n.

    Args:
        outputs: scores, any shape.
        targets: 0 or 1, the shape of ``outputs`` but for a last axis of one.
    """
    outputs = shapes.like_targets("auc", outputs, targets)
    scores, is_one = jnp.ravel(outputs), jnp.ravel(targets > 0)
    negatives = jnp.sum(~is_one)
    ranked = jnp.sort(jnp.where(is_one, jnp.inf, scores))  # the negatives, then filling
    below = jnp.searchsorted(ranked, scores, side="left")
    up_to = jnp.minimum(jnp.searchsorted(ranked, scores, side="right"), negatives)
    # Each share is divided before it is summed: counts squared would overflow int32 beyond 46,340.
    beaten = (below + up_to) / (2 * negatives)
    return jnp.sum(jnp.where(is_one, beaten, 0.0)) / jnp.sum(is_one)


def r2(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Coefficient of determination, 1 - Σ(y - ŷ)² / Σ(y - ȳ)², averaged over target columns.

    A column that is constant gives 1 where it is predicted exactly and 0 otherwise, as in
    scikit-learn.

    Args:
        outputs: predictions, (B, ...).
        targets: the shape of ``outputs`` but for a last axis of one.
    """
    outputs = shapes.like_targets("r2", outputs, targets)
    left = jnp.sum((targets - outputs) ** 2, axis=0)
    whole = jnp.sum((targets - jnp.mean(targets, axis=0, keepdims=True)) ** 2, axis=0)
    share = 1 - left / jnp.where(whole > 0, whole, 1)
    return jnp.mean(jnp.where(whole > 0, share, jnp.where(left > 0, 0.0, 1.0)))
