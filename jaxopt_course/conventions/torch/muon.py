"""PyTorch's Muon, and beside it the AdamW that torch leaves to its user."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.pieces import decayed
from jaxopt_course.conventions.torch.adams import adamw
from jaxopt_course.conventions.torch.rules import recipe
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_learning_rate, scale_by_muon, scale_by_shape
from jaxopt_course.transforms.matrices import MatrixAxes, partition_matrices
from jaxopt_course.transforms.orthogonal import NEWTON_SCHULZ, Coefficients


@recipe
def muon(
    learning_rate: ScalarOrSchedule = 0.001,
    ns_coeffs: Coefficients = NEWTON_SCHULZ,
    ns_steps: Any = 5,
    beta: DecayLike = 0.95,
    eps: Scalar = 1e-7,
    weight_decay: ScalarOrSchedule = 0.1,
    mask: Any = None,
    nesterov: Flag = True,
    consistent_rms: Scalar | None = None,
    adam_b1: DecayLike = 0.9,
    adam_b2: DecayLike = 0.999,
    adam_eps: Scalar = 1e-8,
    adam_weight_decay: ScalarOrSchedule = 0.01,
    adam_learning_rate: ScalarOrSchedule | None = None,
    muon_weight_dimension_numbers: MatrixAxes = None,
    ns_dtype: Any = "bfloat16",
) -> Optimizer:
    """``torch.optim.Muon``: m ← β m + (1-β) g, θ ← (1 - η λ) θ - η s X, X near (1-β) g + β m.

    Newton and Schulz are rounded to bfloat16 as torch rounds them: two of its own builds differ in
    the last of these 8 bits, ``ns_dtype=None`` computes in float32 or wider.  s = √max(1, c/r) for
    r inputs and c outputs; torch holds a kernel as its transpose (outputs, inputs): of a matrix in
    that order ``muon_weight_dimension_numbers=MuonDimensionNumbers(1, 0)``.  torch refuses what has
    not two axes; here ``torch.optim.AdamW`` trains it.  ``adjust_lr_fn="match_rms_adamw"`` is
    ``consistent_rms=0.2``.

    >>> import jax.numpy as jnp
    >>> tx = muon(0.5, ns_coeffs=(1.5, -0.5, 0.0), ns_steps=30, weight_decay=0.0)
    >>> w = jnp.array([[4.0, 0.0]])  # √2
    >>> print(tx.update(w, tx.init(w), w)[0].round(2))
    [[-0.71 -0.  ]]
    """
    axes = muon_weight_dimension_numbers
    return partition_matrices(
        chain(
            scale_by_muon(
                ns_coeffs,
                ns_steps,
                beta,
                eps,
                nesterov=nesterov,
                weight_dimension_numbers=axes,
                bias_correction=False,
                eps_in_max=True,
                ns_dtype=ns_dtype,
            ),
            scale_by_shape(axes, consistent_rms),
            decayed(weight_decay, mask),
            scale_by_learning_rate(learning_rate),
        ),
        adamw(
            learning_rate if adam_learning_rate is None else adam_learning_rate,
            adam_b1,
            adam_b2,
            adam_eps,
            adam_weight_decay,
            mask=mask,
        ),
        axes,
    )
