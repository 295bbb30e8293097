"""PyTorch's Adagrad, RMSprop, Adadelta: steps divided by the root of squares gone by."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.pieces import (
    by_coordinates,
    decayed,
    directed,
    remembered,
    root_mean_square,
    slowed,
)
from jaxopt_course.conventions.torch.rules import recipe, scaled
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_adadelta, scale_by_learning_rate, scale_by_rss


@recipe
def adagrad(
    learning_rate: ScalarOrSchedule = 0.01,
    initial_accumulator_value: Scalar = 0.0,
    eps: Scalar = 1e-10,
    learning_rate_decay: Scalar = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.Adagrad``: S ← S + g², θ ← θ - η/(1 + d s) g / (√S + ε), s updates done.

    >>> tx = adagrad(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    scaling = scale_by_rss(initial_accumulator_value, eps, eps_in_sqrt=False)
    return scaled(scaling, slowed(learning_rate, learning_rate_decay), weight_decay, maximize, mask)


@recipe
def rmsprop(
    learning_rate: ScalarOrSchedule = 0.01,
    decay: DecayLike = 0.99,
    eps: Scalar = 1e-8,
    centered: Flag = False,
    momentum: DecayLike | None = None,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.RMSprop``: m ← μ m + g / (√v + ε), θ ← θ - η m.

    v ← ρ v + (1-ρ) g²; centered: v minus the squared mean of g (clamped at 0 here, not in torch).

    >>> tx = rmsprop(learning_rate=0.5, decay=0.75)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 / √(0.25 · 16) = 2
    -1.0
    """
    return chain(
        directed(maximize),
        decayed(weight_decay, mask),
        by_coordinates(root_mean_square(decay, eps, centered, eps_in_sqrt=False)),
        remembered(momentum),
        scale_by_learning_rate(learning_rate),
    )


@recipe
def adadelta(
    learning_rate: ScalarOrSchedule = 1.0,
    rho: DecayLike = 0.9,
    eps: Scalar = 1e-6,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.Adadelta``: θ ← θ - η u, u = g √(x + ε) / √(v + ε), x and v means of u² and g².

    >>> tx = adadelta(rho=0.5, eps=1.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 √1 / √(8 + 1)
    -1.3333334
    """
    return scaled(scale_by_adadelta(rho, eps), learning_rate, weight_decay, maximize, mask)
