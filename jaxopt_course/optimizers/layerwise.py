"""Steps in proportion to the layer: LARS of the gradient, LAMB of Adam's step."""

from typing import Any

import optax

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.adam import scale_by_adam
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate
from jaxopt_course.transforms.masks import as_function
from jaxopt_course.transforms.momentum import trace
from jaxopt_course.transforms.trust_ratio import scale_by_trust_ratio


@described
def lamb(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-6,
    eps_root: Scalar = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: Any = None,
) -> Optimizer:
    """LAMB: θ ← θ - η ‖θ‖/‖u‖ u of each leaf, u = m̂ / (√v̂ + ε) + λ θ.

    Args:
        learning_rate: η; the share of each leaf that a step is.
        b1: β1, as in :func:`adam`.
        b2: β2, as in :func:`adam`.
        eps: ε, as in :func:`adam`.
        eps_root: as in :func:`adam`.
        weight_decay: λ, a number or a schedule; inside the ratio.
        mask: which leaves decay; a tree of bools or a function that makes one.

    Raises:
        ValueError: ``update`` without the parameters.

    A leaf of zeros takes Adam's step.  Same as ``optax.lamb`` (Keras's decay stays outside the
    ratio).  You et al. (2020), algorithm 2.

    >>> tx = lamb(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))
    -4.0
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )


@described
def lars(
    learning_rate: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: Any = True,
    trust_coefficient: Scalar = 0.001,
    eps: Scalar = 0.0,
    trust_ratio_mask: Any = True,
    momentum: DecayLike = 0.9,
    nesterov: Flag = False,
) -> Optimizer:
    """LARS: m ← β m + η c ‖θ‖/(‖u‖ + ε) u of each leaf, u = g + λ θ, θ ← θ - m.

    Args:
        learning_rate: η, inside m; η c is the share of each leaf that a gradient is.
        weight_decay: λ, a number or a schedule; inside the ratio.
        weight_decay_mask: which leaves decay; True: all.
        trust_coefficient: c.
        eps: ε, beside the norm of u.
        trust_ratio_mask: which leaves step in proportion, the others by η u; True: all.
        momentum: β.
        nesterov: look ahead, η … u + β m in the place of m.

    Raises:
        ValueError: ``update`` without the parameters.

    Same as ``optax.lars``; the paper divides by ‖g‖ + λ ‖θ‖.  You, Gitman and Ginsburg (2017),
    algorithm 1.

    >>> tx = lars(learning_rate=0.5, trust_coefficient=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 0.5 · 0.25 · 8
    -1.0
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        optax.masked(
            scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps),
            as_function(trust_ratio_mask),
        ),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )
