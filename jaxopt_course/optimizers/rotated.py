"""SOAP, which is Adam in the eigenbases of Shampoo's preconditioner."""

from typing import Any

from jaxopt_course.base import DecayLike, Scalar, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate
from jaxopt_course.transforms.soap import scale_by_soap


@described
def soap(
    learning_rate: ScalarOrSchedule = 0.003,
    b1: DecayLike = 0.95,
    b2: DecayLike = 0.95,
    b3: DecayLike | None = None,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.01,
    mask: Any = None,
    *,
    precondition_frequency: Scalar = 10,
    max_precondition_dim: int = 10000,
) -> Optimizer:
    """SOAP: θ ← θ - η (Q_L (M' / (√V + ε)) Q_Rᵀ + λ θ), M' and V in the eigenbases Q_L, Q_R.

    Args:
        learning_rate: η; about Adam's.
        b1: β1, the decay of M.
        b2: β2, the decay of V.
        b3: β3, the decay of the Gram matrices of which Q_L, Q_R are eigenvectors; None is β2.
        eps: ε, on the uncorrected V.
        weight_decay: λ, decoupled, a number or a schedule.
        mask: which leaves decay; a tree of bools or a function that makes one.
        precondition_frequency: f, steps between new bases; may be traced.
        max_precondition_dim: axes longer than that have no basis; a Python int.

    Raises:
        ValueError: ``update`` without the parameters, where they decay.

    Same as the authors' program but for the decay, which is of the θ before the step, and from the
    first step on, where theirs rests.  Vyas et al. (2025), algorithm 3.

    >>> import jax.numpy as jnp
    >>> tx, g = soap(learning_rate=0.5, weight_decay=0.0), jnp.array([[0.0, 2.0], [-3.0, 0.0]])
    >>> _, state = tx.update(g, tx.init(g), g)
    >>> print(tx.update(g, state, g)[0].round(3))
    [[-0.  -0.5]
     [ 0.5 -0. ]]
    """
    return chain(
        scale_by_soap(b1, b2, b3, eps, precondition_frequency, max_precondition_dim),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
