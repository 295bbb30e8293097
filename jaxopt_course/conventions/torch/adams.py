"""PyTorch's Adam and its kin: AdamW, Adamax, AMSGrad, NAdam, RAdam."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule
from jaxopt_course.conventions.pieces import adam_scaling
from jaxopt_course.conventions.torch.rules import recipe, scaled
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_adamax, scale_by_nadam, scale_by_radam


@recipe
def adam(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    decoupled_weight_decay: Flag = False,
    mask: Any = None,
    amsgrad: Flag = False,
) -> Optimizer:
    """``torch.optim.Adam``: θ ← θ - η m̂ / (√v̂ + ε), with g + λ θ in the place of g.

    >>> tx = adam(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    options = (learning_rate, weight_decay, maximize, mask, decoupled_weight_decay)
    return scaled(adam_scaling(b1, b2, eps, amsgrad, eps_hat=False), *options)


@recipe
def adamw(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.01,
    maximize: Flag = False,
    mask: Any = None,
    amsgrad: Flag = False,
) -> Optimizer:
    """``torch.optim.AdamW``: θ ← (1 - η λ) θ - η m̂ / (√v̂ + ε).

    >>> tx = adamw(learning_rate=0.5, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 1 + 0.25 · 8
    -1.5
    """
    return adam(learning_rate, b1, b2, eps, weight_decay, maximize, True, mask, amsgrad)


@recipe
def adamax(
    learning_rate: ScalarOrSchedule = 0.002,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.Adamax``: θ ← θ - η m̂ / v, v ← max(β2 v, |g| + ε).

    >>> tx = adamax(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    return scaled(scale_by_adamax(b1, b2, eps), learning_rate, weight_decay, maximize, mask)


@recipe
def amsgrad(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    decoupled_weight_decay: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``Adam(amsgrad=True)``: w ← max(w, v), θ ← θ - η m̂ / (√(w / (1-β2^t)) + ε).

    >>> tx = amsgrad(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    options = (weight_decay, maximize, decoupled_weight_decay, mask)
    return adam(learning_rate, b1, b2, eps, *options, amsgrad=True)


@recipe
def nadam(
    learning_rate: ScalarOrSchedule = 0.002,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    momentum_decay: Scalar = 0.004,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    decoupled_weight_decay: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.NAdam``: Adam that looks ahead with μ_t = β1 (1 - ½ 0.96^{ψ t}).

    >>> tx = nadam(learning_rate=0.5, b1=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    options = (learning_rate, weight_decay, maximize, mask, decoupled_weight_decay)
    return scaled(scale_by_nadam(b1, b2, eps, momentum_decay), *options)


@recipe
def radam(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    decoupled_weight_decay: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.RAdam``: θ ← θ - η r_t m̂ √(1-β2^t) / (√v + ε), or - η m̂ while ρ_t <= 5.

    >>> tx = radam(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -2.0
    """
    options = (learning_rate, weight_decay, maximize, mask, decoupled_weight_decay)
    return scaled(scale_by_radam(b1, b2, eps, eps_hat=True), *options)


@recipe
def nadamw(
    learning_rate: ScalarOrSchedule = 0.002,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    momentum_decay: Scalar = 0.004,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``NAdam(decoupled_weight_decay=True)``: :func:`nadam`, and η λ θ comes off θ.

    >>> tx = nadamw(learning_rate=0.5, b1=0.0, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))
    -1.5
    """
    options = (weight_decay, maximize, True, mask)
    return nadam(learning_rate, b1, b2, eps, momentum_decay, *options)
