"""Keras's Adagrad, RMSprop and Adadelta: steps divided by the root of squares gone by."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.keras.rules import Bound, Pull, recipe, scaled
from jaxopt_course.conventions.pieces import (
    clipped,
    decayed_after_rate,
    remembered,
    root_mean_square,
)
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_adadelta, scale_by_learning_rate, scale_by_rss


@recipe
def adagrad(
    learning_rate: ScalarOrSchedule = 0.001,
    initial_accumulator_value: Scalar = 0.1,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Adagrad``: S ← S + g², u = g / √(S + ε), θ ← θ - η (u + λ θ).

    >>> tx = adagrad(learning_rate=0.5, initial_accumulator_value=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    scaling = scale_by_rss(initial_accumulator_value, eps)
    clips = (clipnorm, clipvalue, global_clipnorm)
    return scaled(scaling, learning_rate, weight_decay, mask, *clips)


@recipe
def rmsprop(
    learning_rate: ScalarOrSchedule = 0.001,
    decay: DecayLike = 0.9,
    eps: Scalar = 1e-7,
    centered: Flag = False,
    momentum: DecayLike | None = None,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.RMSprop``: m ← μ m + η g / √(v + ε), θ ← θ - η λ θ - m.

    v ← ρ v + (1-ρ) g²; centered: v minus the squared mean of g (clamped at 0 here, not in Keras).

    >>> tx = rmsprop(learning_rate=0.5, decay=0.75)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 / √(0.25 · 16) = 2
    -1.0
    """
    return chain(
        clipped(clipnorm, clipvalue, global_clipnorm),
        root_mean_square(decay, eps, centered, eps_in_sqrt=True),
        scale_by_learning_rate(learning_rate),
        remembered(momentum),
        decayed_after_rate(learning_rate, weight_decay, mask),
    )


@recipe
def adadelta(
    learning_rate: ScalarOrSchedule = 0.001,
    rho: DecayLike = 0.95,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Adadelta``: u = g √(x + ε) / √(v + ε), θ ← θ - η (u + λ θ).

    The default η = 0.001 (the paper: 1) makes it a thousand times slower than anywhere else.

    >>> tx = adadelta(1.0, rho=0.5, eps=1.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 √1 / √(8 + 1)
    -1.3333334
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return scaled(scale_by_adadelta(rho, eps), learning_rate, weight_decay, mask, *clips)
