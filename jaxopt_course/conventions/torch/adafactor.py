"""PyTorch's Adafactor."""

from typing import Any

from jaxopt_course.base import Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.pieces import decayed_after_rate, directed, relative_step
from jaxopt_course.conventions.torch.rules import recipe
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import (
    clip_by_block_rms,
    scale_by_factored_rms,
    scale_by_learning_rate,
    scale_by_param_block_rms,
)


@recipe
def adafactor(
    learning_rate: ScalarOrSchedule = 0.01,
    decay_rate: Scalar = 0.8,
    eps: Scalar | None = None,
    eps2: Scalar = 1e-3,
    clipping_threshold: Scalar = 1.0,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.Adafactor``: θ ← (1 - η λ) θ - ρ max(RMS(θ), ε2) u / max(1, RMS(u)/d).

    u = g / √V and ρ = min(η, 1/√t).  The last two axes of every leaf that has two are factored,
    however short.  Nothing is added to g²: V is at least ε², and the mean that R is divided by at
    least ε.

    >>> tx = adafactor(0.5)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 0.5 · 8 · 1
    -4.0
    """
    return chain(
        directed(maximize),
        scale_by_factored_rms(decay_rate=decay_rate, epsilon=eps, last_axes=True, eps_in_max=True),
        clip_by_block_rms(clipping_threshold),
        scale_by_param_block_rms(eps2),
        scale_by_learning_rate(relative_step(learning_rate)),
        decayed_after_rate(learning_rate, weight_decay, mask),
    )
