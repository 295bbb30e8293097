"""Keras's Lamb and Adafactor, whose steps depend on the size of the leaf."""

from typing import Any

from jaxopt_course.base import DecayLike, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.keras.rules import Bound, Pull, recipe
from jaxopt_course.conventions.pieces import clipped, decayed_first, relative_step
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import (
    clip_by_block_rms,
    scale_by_adam,
    scale_by_factored_rms,
    scale_by_learning_rate,
    scale_by_param_block_rms,
    scale_by_trust_ratio,
)


@recipe
def lamb(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Lamb``: θ ← (1 - η λ) θ, then θ ← θ - η ‖θ‖/‖u‖ u, u = m̂ / (√v̂ + ε).

    The decay comes first, out of the ratio; its ε stands on the corrected v̂, unlike that of Keras's
    Adam.

    >>> tx = lamb(0.5)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))
    -4.0
    """
    step = chain(
        scale_by_adam(b1, b2, eps), scale_by_trust_ratio(), scale_by_learning_rate(learning_rate)
    )
    return chain(
        clipped(clipnorm, clipvalue, global_clipnorm),
        decayed_first(step, learning_rate, weight_decay, mask),
    )


@recipe
def adafactor(
    learning_rate: ScalarOrSchedule = 0.001,
    decay_rate: Scalar = 0.8,
    eps: Scalar = 1e-30,
    eps2: Scalar = 1e-3,
    clipping_threshold: Scalar = 1.0,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Adafactor``: θ ← θ - ρ max(RMS(θ), ε2) u / max(1, RMS(u)/d), u = g / √V.

    ρ = min(η, 1/√t), whatever ``relative_step`` says; the last two axes of every leaf that has two
    are factored, however short; the decay, θ ← (1 - η λ) θ, comes first.

    >>> tx = adafactor(0.5)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 0.5 · 8 · 1
    -4.0
    """
    step = chain(
        scale_by_factored_rms(decay_rate=decay_rate, epsilon=eps, last_axes=True),
        clip_by_block_rms(clipping_threshold),
        scale_by_param_block_rms(eps2),
        scale_by_learning_rate(relative_step(learning_rate)),
    )
    return chain(
        clipped(clipnorm, clipvalue, global_clipnorm),
        decayed_first(step, learning_rate, weight_decay, mask),
    )
