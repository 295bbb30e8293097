"""Keras's Muon, with its own AdamW for what is no matrix."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
from optax.contrib import MuonDimensionNumbers

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.keras.rules import Bound, Pull, recipe
from jaxopt_course.conventions.pieces import clipped, decayed
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import (
    orthogonalize,
    scale,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_shape,
    trace,
)
from jaxopt_course.transforms.matrices import MatrixAxes, partition_matrices
from jaxopt_course.transforms.orthogonal import NEWTON_SCHULZ, Coefficients
from jaxopt_course.tree import Tree, paths

_BESIDE_NORM = 1e-7  # written into Keras's iteration; its epsilon is Adam's


@recipe
def muon(
    learning_rate: ScalarOrSchedule = 0.001,
    ns_coeffs: Coefficients = NEWTON_SCHULZ,
    ns_steps: Any = 5,
    beta: DecayLike = 0.95,
    eps: Scalar = 1e-7,
    weight_decay: Pull = 0.004,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
    nesterov: Flag = True,
    adam_b1: DecayLike = 0.9,
    adam_b2: DecayLike = 0.999,
    adam_weight_decay: Pull = 0.004,
    adam_lr_ratio: Scalar = 1.0,
    consistent_rms: Scalar | None = 0.2,
    exclude_layers: Sequence[str] | None = None,
    exclude_embeddings: bool = True,
    muon_weight_dimension_numbers: MatrixAxes = None,
) -> Optimizer:
    """``keras.optimizers.Muon``: m ← β m + g, θ ← θ - η (ρ √max(r, c) X + λ θ), X near g + β m.

    A leaf is trained by AdamW, u = m̂ √(1-β2^t) / (√v + ε), unless it has two axes, its path holds
    no "embedding" and matches none of ``exclude_layers``.  Keras asks its user to exclude the layer
    of the outputs.  In float64 it still measures the norm of m in float32, 1e-7 of a step away.

    >>> import jax.numpy as jnp
    >>> tx = muon(0.5, ns_coeffs=(1.5, -0.5, 0.0), ns_steps=30, weight_decay=0.0)
    >>> w = jnp.array([[4.0, 0.0]])  # 0.2 √2
    >>> print(tx.update(w, tx.init(w), w)[0].round(3))
    [[-0.141 -0.   ]]
    """
    axes = muon_weight_dimension_numbers
    if axes is None:
        axes = not_excluded(exclude_layers, exclude_embeddings)
    return chain(
        clipped(clipnorm, clipvalue, global_clipnorm),
        partition_matrices(
            chain(
                trace(beta, nesterov),
                orthogonalize(ns_coeffs, ns_steps, _BESIDE_NORM, weight_dimension_numbers=axes),
                scale(1.0) if consistent_rms is None else scale_by_shape(axes, consistent_rms),
                decayed(weight_decay, mask),
            ),
            chain(
                scale_by_adam(adam_b1, adam_b2, eps, eps_hat=True),
                scale(adam_lr_ratio),
                decayed(adam_weight_decay, mask),
            ),
            axes,
        ),
        scale_by_learning_rate(learning_rate),
    )


def not_excluded(layers: Sequence[str] | None, embeddings: bool) -> Callable[[Tree], Tree]:
    """The axes of leaves of two axes whose path is not excluded.

    Args:
        layers: regular expressions, searched in the path.
        embeddings: whether "embedding" in a path excludes it, too.
    """

    def axes(params: Tree) -> Tree:
        def of(path: str, leaf: Any) -> MuonDimensionNumbers | None:
            named = embeddings and "embedding" in path.lower()
            if named or any(re.search(word, path) for word in layers or ()):
                return None
            return MuonDimensionNumbers() if len(getattr(leaf, "shape", ())) == 2 else None

        found = map(of, paths(params), jax.tree.leaves(params))
        return jax.tree.unflatten(jax.tree.structure(params), list(found))

    return axes
