"""Muon for the matrices, Adam for all other leaves."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.adams import adamw
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate
from jaxopt_course.transforms.matrices import MatrixAxes, partition_matrices
from jaxopt_course.transforms.muon import scale_by_muon, scale_by_shape
from jaxopt_course.transforms.orthogonal import NEWTON_SCHULZ, Coefficients


@described
def muon(
    learning_rate: ScalarOrSchedule,
    ns_coeffs: Coefficients = NEWTON_SCHULZ,
    ns_steps: Any = 5,
    beta: DecayLike = 0.95,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: Any = None,
    mu_dtype: Any = None,
    *,
    nesterov: Flag = True,
    adaptive: Flag = False,
    preconditioning: str = "frobenius",
    adam_b1: DecayLike = 0.9,
    adam_b2: DecayLike = 0.999,
    adam_eps_root: Scalar = 0.0,
    adam_weight_decay: ScalarOrSchedule = 0.0,
    adam_learning_rate: ScalarOrSchedule | None = None,
    muon_weight_dimension_numbers: MatrixAxes = None,
    consistent_rms: Scalar | None = None,
) -> Optimizer:
    """Muon: θ ← θ - η (s X + λ θ), X the orthogonal matrix near m̂, s of its shape; Adam elsewhere.

    Args:
        learning_rate: η; of a matrix, every direction moves by about it a step (``consistent_rms``:
            every coordinate by about ρ η, as under Adam).
        ns_coeffs: of Newton and Schulz, as in :func:`~jaxopt_course.transforms.scale_by_muon`.
        ns_steps: k, of them.
        beta: β, the decay of m.
        eps: ε, beside the norm of m̂, and Adam's.
        weight_decay: λ of the matrices, a number or a schedule.
        weight_decay_mask: which of them decay; a tree of bools or a function that makes one.
        mu_dtype: dtype of both m; that of the parameters by default, but at least float32.
        nesterov: m̂ looks one step ahead, Adam's too.
        adaptive: times the dual norm of m̂.
        preconditioning: "frobenius", "spectral", "aol" or "schatten".
        adam_b1: β1 of Adam.
        adam_b2: β2 of Adam.
        adam_eps_root: inside Adam's root.
        adam_weight_decay: λ of the leaves that Adam trains.
        adam_learning_rate: η of Adam, by default that of the matrices.
        muon_weight_dimension_numbers: which leaves are matrices, see
            :func:`~jaxopt_course.transforms.matrix_axes`; by default those of two axes.
        consistent_rms: ρ: s = ρ √max(r, c), 0.2 in Moonlight; None: s = √max(1, c/r), for r inputs
            and c outputs.

    Raises:
        ValueError: no parameter is a matrix; ``update`` without the parameters where they decay.

    Same as ``optax.contrib.muon``.  Jordan et al. (2024), kellerjordan.github.io/posts/muon.

    >>> import jax.numpy as jnp
    >>> tx = muon(0.5, ns_coeffs=(1.5, -0.5, 0.0), ns_steps=30, nesterov=False)
    >>> params = {"kernel": jnp.array([[3.0, 0.0], [0.0, 1.0]]), "bias": jnp.array([2.0])}
    >>> u, _ = tx.update(params, tx.init(params), params)
    >>> print(u["kernel"].round(3), u["bias"].round(3))
    [[-0.5 -0. ]
     [-0.  -0.5]] [-0.5]
    """
    axes = muon_weight_dimension_numbers
    return partition_matrices(
        chain(
            scale_by_muon(
                ns_coeffs,
                ns_steps,
                beta,
                eps,
                mu_dtype,
                nesterov=nesterov,
                adaptive=adaptive,
                preconditioning=preconditioning,
                weight_dimension_numbers=axes,
            ),
            scale_by_shape(axes, consistent_rms),
            add_decayed_weights(weight_decay, weight_decay_mask),
            scale_by_learning_rate(learning_rate),
        ),
        adamw(
            learning_rate if adam_learning_rate is None else adam_learning_rate,
            adam_b1,
            adam_b2,
            eps,
            adam_eps_root,
            mu_dtype,
            adam_weight_decay,
            nesterov=nesterov,
        ),
        axes,
    )
