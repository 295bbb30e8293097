"""The losses a task can name, each with how shapes are matched and what is measured beside it.

The formulas are optax's; what is ours is that outputs and targets are matched first, because a
silent broadcast of (B, 1) against (B,) trains something else (erratum E22 of the notes).
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.problems import asking, recording, shapes
from jaxopt_course.problems import metrics as m
from jaxopt_course.problems.asking import Asks
from jaxopt_course.problems.regularization import column
from jaxopt_course.problems.traced import traced
from jaxopt_course.tree import Tree

Row = Mapping[str, Any] | None  # the row's numbers
Metric = tuple[Callable[[jax.Array, jax.Array], jax.Array], str]  # (function, "min" or "max")


class Loss(NamedTuple):
    """A loss, with what a task needs to know to use it."""

    per_example: Callable[..., Any]  # (outputs, targets) -> (B,); see ``recording.parted``
    match: Callable[[jax.Array, jax.Array], jax.Array]  # outputs in the shape the formulas want
    check: Callable[[np.ndarray, int], None]  # (targets, classes) -> None, or an error
    metrics: Mapping[str, Metric]  # measured beside the loss itself
    classification: bool = False  # chosen by the first metric, not by the loss; split by class
    asks: Asks = Asks()  # what per_example takes beside
    own: bool = False  # a user's: outputs and targets may have any structure


def _mean_of_each(values: jax.Array) -> jax.Array:
    """The mean of each example: (B, ...) -> (B,)."""
    return values if values.ndim == 1 else jnp.mean(values, axis=tuple(range(1, values.ndim)))


# softmax cross-entropy: -log softmax(outputs)[target]


def _softmax_per_example(outputs: jax.Array, targets: jax.Array, h: Row = None) -> jax.Array:
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(outputs, targets)
    smoothing = column(h, "label_smoothing")
    if smoothing is not None:
        even = -jnp.mean(jax.nn.log_softmax(outputs), axis=-1)  # where all classes are as likely
        losses = (1 - smoothing) * losses + smoothing * even
    return _mean_of_each(losses)


def _softmax_match(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    if outputs.shape[:-1] != targets.shape:
        wanted = "outputs (B, ..., classes) for targets (B, ...)"
        raise shapes.mismatch("softmax_cross_entropy", wanted, outputs, targets)
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise ValueError(f"softmax_cross_entropy wants integer class labels, not {targets.dtype}")
    return outputs


def _softmax_check(targets: np.ndarray, classes: int) -> None:
    if targets.min() < 0 or targets.max() >= classes:
        raise ValueError(
            f"softmax_cross_entropy wants labels 0 .. {classes - 1} (the network has {classes} "
            f"outputs), and the targets go from {targets.min()} to {targets.max()}"
        )


# binary cross-entropy from logits: -y log σ(z) - (1 - y) log(1 - σ(z))


def _binary_per_example(outputs: jax.Array, targets: jax.Array, h: Row = None) -> jax.Array:
    targets = targets.astype(outputs.dtype)
    smoothing = column(h, "label_smoothing")
    if smoothing is not None:
        targets = (1 - smoothing) * targets + smoothing / 2
    losses = optax.losses.sigmoid_binary_cross_entropy(outputs, targets)
    return _mean_of_each(losses)


def _binary_check(targets: np.ndarray, classes: int) -> None:
    del classes
    if not np.isin(targets, (0, 1)).all():
        strange = targets[~np.isin(targets, (0, 1))].flat[0]
        raise ValueError(f"sigmoid_binary_cross_entropy wants targets 0 or 1, and found {strange}")


# squared error: (output - target)², without the ½ of optax.l2_loss


def _squared_per_example(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    return _mean_of_each(optax.losses.squared_error(outputs, targets))


def _same_shape(name: str) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Outputs reshaped to the targets' shape where only a last axis of one differs."""
    return functools.partial(shapes.like_targets, name)


def _no_check(targets: np.ndarray, classes: int) -> None:
    del targets, classes


SMOOTHED = Asks(frozenset({"h"}), frozenset({"label_smoothing"}))

LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": Loss(
        _softmax_per_example,
        _softmax_match,
        _softmax_check,
        {"accuracy": (m.accuracy, "max")},
        classification=True,
        asks=SMOOTHED,
    ),
    "sigmoid_binary_cross_entropy": Loss(
        _binary_per_example,
        _same_shape("sigmoid_binary_cross_entropy"),
        _binary_check,
        {"accuracy": (m.binary_accuracy, "max"), "f1": (m.f1, "max"), "auc": (m.auc, "max")},
        classification=True,
        asks=SMOOTHED,
    ),
    "squared_error": Loss(
        _squared_per_example,
        _same_shape("squared_error"),
        _no_check,
        {"r2": (m.r2, "max")},
    ),
}


def own_loss(per_example: Callable[..., Any]) -> Loss:
    """A user's (outputs, targets) -> losses (B,), taken as it is; refused where it broadcasts."""

    def checked(outputs: Tree, targets: Tree, **offered: Any) -> Any:
        function = asking.bind(per_example, 2, **offered)
        with traced("the loss", outputs=outputs, targets=targets):
            broadcasts = shapes.broadcasts(function, outputs, targets)
        if broadcasts:
            which = "outputs" if outputs.ndim > targets.ndim else "targets"
            raise ValueError(
                f"the loss compares every example with every other: outputs {outputs.shape} and "
                f"targets {targets.shape} are broadcast; take {which}[..., 0]"
            )
        with traced("the loss", outputs=outputs, targets=targets):
            losses, measured = recording.parted(function(outputs, targets))
            losses = jnp.asarray(losses)
        if not jnp.issubdtype(losses.dtype, jnp.inexact):
            raise ValueError(
                f"the loss returns {losses.dtype}, which has no gradient: nothing would be "
                "learned; take a formula that is smooth (counts are for metrics)"
            )
        examples = jax.tree.leaves(targets)[0].shape[:1]
        if losses.shape != examples:
            raise ValueError(
                f"the loss must return one value an example, shape {examples}, and returned "
                f"{losses.shape} for outputs {shapes.of(outputs)} and targets {shapes.of(targets)}"
            )
        return (losses, measured) if measured else losses

    asks = asking.asks_of(per_example, 2)
    match = lambda outputs, targets: outputs
    return Loss(asking.declare(checked, asks), match, _no_check, {}, asks=asks, own=True)
