"""Prodigy, which finds its rate."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.learning_rate import scale
from jaxopt_course.transforms.prodigy import scale_by_prodigy


@described
def prodigy(
    learning_rate: ScalarOrSchedule = 1.0,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    b3: DecayLike | None = None,
    eps: Scalar = 1e-8,
    estim_lr0: Scalar = 1e-6,
    estim_lr_coef: Scalar = 1.0,
    weight_decay: Scalar = 0.0,
    safeguard_warmup: Flag = False,
    *,
    mask: Any = None,
) -> Optimizer:
    """Prodigy: θ ← θ - d η (m̂ / (√v̂ + ε) + λ θ), d an estimate of the way to go, found on it.

    Args:
        learning_rate: η, a factor; leave it at 1, or let a schedule take it from 1 to 0.
        b1: β1, the decay of m.
        b2: β2, the decay of v.
        b3: β3, the decay of the sums of which d is made; None is √β2.
        eps: ε.
        estim_lr0: d at first.
        estim_lr_coef: c, a factor of d.
        weight_decay: λ, decoupled.
        safeguard_warmup: for an η that is warmed up, see
            :func:`~jaxopt_course.transforms.scale_by_prodigy`; may be traced.
        mask: which leaves decay; a tree of bools or a function that makes one.

    Raises:
        ValueError: ``update`` without the parameters.

    Same as ``optax.contrib.prodigy``, which has no mask, with b1, b2 in the place of ``betas`` and
    b3 in that of ``beta3``, so that each may be a column.  Mishchenko and Defazio (2024),
    algorithm 4.

    >>> tx = prodigy(estim_lr0=0.5)
    >>> print(tx.update(4.0, tx.init(1.0), 1.0)[0].round(3))
    -0.5
    """
    return chain(
        scale_by_prodigy(
            learning_rate,
            b1,
            b2,
            b3,
            eps,
            estim_lr0,
            estim_lr_coef,
            weight_decay,
            safeguard_warmup,
            mask=mask,
        ),
        scale(-1.0),
    )
