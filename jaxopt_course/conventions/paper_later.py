"""The papers' algorithms of 2019 and after, beside Adam's kin; see :mod:`.paper`."""

from collections.abc import Callable
from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.documented import documented
from jaxopt_course.optimizers import Optimizer, adamw
from jaxopt_course.transforms import (
    add_decayed_weights,
    orthogonalize,
    scale_by_learning_rate,
    scale_by_shape,
    trace,
)
from jaxopt_course.transforms.matrices import MatrixAxes, partition_matrices
from jaxopt_course.transforms.orthogonal import NEWTON_SCHULZ, Coefficients

ARGUMENTS = {
    "learning_rate": "η, or a schedule s -> η(s), s updates done from 0.",
    "ns_coeffs": "(a, b, c) of every step of Newton and Schulz.",
    "ns_steps": "k, how many.",
    "beta": "β in [0, 1), the share of m kept each step.",
    "eps": "ε beside the norm of m.",
    "weight_decay": "λ >= 0, of the decoupled decay.",
    "nesterov": "look ahead, g + β m; may be traced.",
    "adam_b1": "β1 of Adam.",
    "adam_b2": "β2 of Adam.",
    "adam_eps": "ε of Adam.",
    "adam_learning_rate": "η of Adam, or a schedule of it.",
    "adam_weight_decay": "λ of the leaves that Adam trains.",
    "muon_weight_dimension_numbers": "which leaves are matrices; by default those of two axes.",
}
recipe = documented(
    ARGUMENTS,
    """    Every number may be traced.  Memories are float32 or wider, updates have the gradients'
    dtypes.

    Raises:
        TypeError: no number (or schedule) where one is taken; None for a rate too.
        ValueError: a decay outside [0, 1].""",
)


@recipe
def muon(
    learning_rate: ScalarOrSchedule = 0.02,
    ns_coeffs: Coefficients = NEWTON_SCHULZ,
    ns_steps: Any = 5,
    beta: DecayLike = 0.95,
    eps: Scalar = 1e-7,
    weight_decay: ScalarOrSchedule = 0.0,
    nesterov: Flag = True,
    adam_b1: DecayLike = 0.9,
    adam_b2: DecayLike = 0.95,
    adam_eps: Scalar = 1e-10,
    adam_learning_rate: ScalarOrSchedule = 3e-4,
    adam_weight_decay: ScalarOrSchedule = 0.0,
    muon_weight_dimension_numbers: MatrixAxes = None,
) -> Optimizer:
    """m ← β m + g, θ ← θ - η (√max(1, c/r) X + λ θ), X near g + β m.  Jordan et al. (2024).

    r inputs, c outputs.  Adam, with numbers of its own, trains what is no matrix.

    >>> import jax.numpy as jnp
    >>> tx = muon(0.5, ns_coeffs=(1.5, -0.5, 0.0), ns_steps=30)
    >>> w = jnp.array([[4.0, 0.0]])  # √2
    >>> print(tx.update(w, tx.init(w), w)[0].round(3))
    [[-0.707  0.   ]]
    """
    axes = muon_weight_dimension_numbers
    return partition_matrices(
        chain(
            trace(beta, nesterov),
            orthogonalize(ns_coeffs, ns_steps, eps, weight_dimension_numbers=axes),
            scale_by_shape(axes),
            add_decayed_weights(weight_decay),
            scale_by_learning_rate(learning_rate),
        ),
        adamw(adam_learning_rate, adam_b1, adam_b2, adam_eps, weight_decay=adam_weight_decay),
        axes,
    )


RECIPES: dict[str, Callable[..., Optimizer]] = {
    "muon": muon,
}
