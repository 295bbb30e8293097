"""PyTorch's SGD, with a memory or without."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, ScalarOrSchedule, chain
from jaxopt_course.conventions.pieces import (
    decayed,
    directed,
    is_on,
    is_other_than_zero,
    is_zero,
    remembered,
)
from jaxopt_course.conventions.torch.rules import recipe
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_learning_rate


@recipe
def sgd(
    learning_rate: ScalarOrSchedule = 0.001,
    momentum: DecayLike | None = None,
    nesterov: Flag = False,
    dampening: DecayLike = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.SGD``: g ← g + λ θ, m ← μ m + (1-τ) g (at first m = g), θ ← θ - η m.

    Nesterov: g + μ m in the place of m; without momentum or with dampening it is refused, as in
    torch.

    >>> tx = sgd(learning_rate=0.5, momentum=0.5, dampening=0.5)
    >>> _, state = tx.update(4.0, tx.init(1.0))
    >>> print(tx.update(4.0, state)[0])  # m = 0.5 · 4 + 0.5 · 4
    -2.0
    """
    if is_on(nesterov) and (is_zero(momentum) or is_other_than_zero(dampening)):
        raise ValueError("torch's nesterov needs a momentum and no dampening")
    return chain(
        directed(maximize),
        decayed(weight_decay, mask),
        remembered(momentum, nesterov, dampening),
        scale_by_learning_rate(learning_rate),
    )


@recipe
def momentum(
    learning_rate: ScalarOrSchedule = 0.001,
    momentum: DecayLike = 0.9,
    dampening: DecayLike = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """:func:`sgd` with momentum; torch has no default for it but 0.

    >>> tx = momentum(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -2.0
    """
    return sgd(learning_rate, momentum, False, dampening, weight_decay, maximize, mask)


@recipe
def nesterov(
    learning_rate: ScalarOrSchedule = 0.001,
    momentum: DecayLike = 0.9,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """:func:`sgd` with ``nesterov=True``.

    >>> tx = nesterov(learning_rate=0.5, momentum=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -3.0
    """
    return sgd(learning_rate, momentum, True, 0.0, weight_decay, maximize, mask)
