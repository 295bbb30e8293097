"""Adafactor: Adam's steps for the memory of two vectors a matrix."""

from typing import Any

import jax.numpy as jnp
import optax

from jaxopt_course.base import DecayLike, Scalar, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.factored import (
    clip_by_block_rms,
    scale_by_factored_rms,
    scale_by_param_block_rms,
)
from jaxopt_course.transforms.learning_rate import scale, scale_by_learning_rate
from jaxopt_course.transforms.momentum import ema


@described
def adafactor(
    learning_rate: ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: Scalar = 0.8,
    decay_offset: Any = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Scalar | None = 1.0,
    momentum: DecayLike | None = None,
    dtype_momentum: Any = jnp.float32,
    weight_decay_rate: ScalarOrSchedule | None = None,
    eps: Scalar = 1e-30,
    factored: bool = True,
    weight_decay_mask: Any = None,
) -> Optimizer:
    """Adafactor: θ ← θ - η max(RMS(θ), 1e-3) u / max(1, RMS(u)/d) - λ θ, u = g / √V.

    Args:
        learning_rate: η, in units of θ's root mean square; None is η = 1.
        min_dim_size_to_factor: leaves whose two longest axes are as long keep V as two vectors.
        decay_rate: c of V's decay, 1 - t^-c.
        decay_offset: updates by which t begins later; may be traced.
        multiply_by_parameter_scale: False leaves out the root mean square of θ.
        clipping_threshold: d; None: no clipping.
        momentum: β of a mean of steps, rate included; None keeps none.
        dtype_momentum: its dtype.
        weight_decay_rate: λ, a number or a schedule, which η does not multiply; None: none.
        eps: ε, added to g².
        factored: False keeps V itself.
        weight_decay_mask: which leaves decay; a tree of bools or a function that makes one.

    Raises:
        ValueError: ``update`` without the parameters.

    Same as ``optax.adafactor``, which computes V's decay in float32.  Shazeer and Stern (2018),
    algorithm 4.

    >>> tx = adafactor(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 0.5 · 8 · 1
    -4.0
    """
    pieces = [
        scale_by_factored_rms(factored, decay_rate, decay_offset, min_dim_size_to_factor, eps),
        optax.identity() if clipping_threshold is None else clip_by_block_rms(clipping_threshold),
    ]
    if learning_rate is not None:
        pieces.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        pieces.append(scale_by_param_block_rms())
    if momentum is not None:
        pieces.append(ema(momentum, debias=False, accumulator_dtype=dtype_momentum))
    if weight_decay_rate is not None:
        pieces.append(add_decayed_weights(weight_decay_rate, weight_decay_mask))
    return chain(*pieces, scale(-1.0))
