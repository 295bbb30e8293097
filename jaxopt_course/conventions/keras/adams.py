"""Keras's Adam and its kin: AdamW, Adamax, AMSGrad, Nadam."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule
from jaxopt_course.conventions.keras.rules import Bound, Pull, recipe, scaled
from jaxopt_course.conventions.pieces import adam_scaling
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_adamax, scale_by_nadam


@recipe
def adam(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
    amsgrad: Flag = False,
) -> Optimizer:
    """``keras.optimizers.Adam``: u = m̂ √(1-β2^t) / (√v + ε), θ ← θ - η (u + λ θ).

    >>> tx = adam(0.5, b2=0.75, eps=2.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 · √0.25 / (√(0.25 · 16) + 2)
    -0.25
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    scaling = adam_scaling(b1, b2, eps, amsgrad, eps_hat=True)
    return scaled(scaling, learning_rate, weight_decay, mask, *clips)


@recipe
def adamw(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-7,
    weight_decay: Pull = 0.004,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
    amsgrad: Flag = False,
) -> Optimizer:
    """``keras.optimizers.AdamW``: :func:`adam` with another default of λ.

    >>> tx = adamw(0.5, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 1 + 0.25 · 8
    -1.5
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return adam(learning_rate, b1, b2, eps, weight_decay, mask, *clips, amsgrad=amsgrad)


@recipe
def adamax(
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
    """``keras.optimizers.Adamax``: v ← max(β2 v, |g|), u = m̂ / (v + ε), θ ← θ - η (u + λ θ).

    >>> tx = adamax(0.5, eps=4.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.25
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    scaling = scale_by_adamax(b1, b2, eps, eps_in_max=False)
    return scaled(scaling, learning_rate, weight_decay, mask, *clips)


@recipe
def amsgrad(
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
    """``Adam(amsgrad=True)``: w ← max(w, v), u = m̂ √(1-β2^t) / (√w + ε), θ ← θ - η (u + λ θ).

    >>> tx = amsgrad(0.5, b2=0.75, eps=2.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.25
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return adam(learning_rate, b1, b2, eps, weight_decay, mask, *clips, amsgrad=True)


@recipe
def nadam(
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
    """``keras.optimizers.Nadam``: Dozat's, with μ_t = β1 (1 - ½ 0.96^t); θ ← θ - η (u + λ θ).

    Its ε stands on the corrected v̂, unlike that of Keras's Adam.

    >>> tx = nadam(0.5, b1=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    scaling = scale_by_nadam(b1, b2, eps, momentum_decay=1.0)
    return scaled(scaling, learning_rate, weight_decay, mask, *clips)


@recipe
def nadamw(
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
    """:func:`nadam`, whose decay is decoupled as all of Keras's; it has no class of this name.

    >>> tx = nadamw(0.5, b1=0.0, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))
    -1.5
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return nadam(learning_rate, b1, b2, eps, weight_decay, mask, *clips)
