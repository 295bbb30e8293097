"""Keras's SGD, with a memory or without, and Lion."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, ScalarOrSchedule, chain
from jaxopt_course.conventions.keras.rules import Bound, Pull, recipe, scaled
from jaxopt_course.conventions.pieces import clipped, decayed_after_rate, remembered
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_learning_rate, scale_by_lion


@recipe
def sgd(
    learning_rate: ScalarOrSchedule = 0.01,
    momentum: DecayLike | None = None,
    nesterov: Flag = False,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.SGD``: v ← μ v - η g, θ ← θ - η λ θ + v; Nesterov: + μ v - η g.

    The rate is inside the buffer: after a change of η old steps keep their old size.

    >>> tx = sgd(learning_rate=0.5, momentum=0.5)
    >>> _, state = tx.update(4.0, tx.init(1.0))
    >>> print(tx.update(4.0, state)[0])  # 0.5 · (-2) - 2
    -3.0
    """
    return chain(
        clipped(clipnorm, clipvalue, global_clipnorm),
        scale_by_learning_rate(learning_rate),
        remembered(momentum, nesterov),
        decayed_after_rate(learning_rate, weight_decay, mask),
    )


@recipe
def momentum(
    learning_rate: ScalarOrSchedule = 0.01,
    momentum: DecayLike = 0.9,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """:func:`sgd` with momentum; Keras has no default for it but 0.

    >>> tx = momentum(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -2.0
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return sgd(learning_rate, momentum, False, weight_decay, mask, *clips)


@recipe
def nesterov(
    learning_rate: ScalarOrSchedule = 0.01,
    momentum: DecayLike = 0.9,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """:func:`sgd` with ``nesterov=True``.

    >>> tx = nesterov(learning_rate=0.5, momentum=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -3.0
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return sgd(learning_rate, momentum, True, weight_decay, mask, *clips)


@recipe
def lion(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.99,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Lion``: θ ← θ - η (sign(β1 m + (1-β1) g) + λ θ).

    >>> tx = lion(0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return scaled(scale_by_lion(b1, b2), learning_rate, weight_decay, mask, *clips)
