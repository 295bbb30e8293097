"""The papers' algorithms of 2019 and after, beside Adam's kin; see :mod:`.paper`."""

from collections.abc import Callable
from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.documented import documented
from jaxopt_course.conventions.pieces import relative_step
from jaxopt_course.optimizers import Optimizer, adamw
from jaxopt_course.transforms import (
    add_decayed_weights,
    clip_by_block_rms,
    ema,
    orthogonalize,
    scale_by_adam,
    scale_by_adopt,
    scale_by_belief,
    scale_by_factored_rms,
    scale_by_learning_rate,
    scale_by_param_block_rms,
    scale_by_shape,
    scale_by_sign,
    scale_by_trust_ratio,
    trace,
)
from jaxopt_course.transforms.matrices import MatrixAxes, partition_matrices
from jaxopt_course.transforms.orthogonal import NEWTON_SCHULZ, Coefficients

ARGUMENTS = {
    "b1": "β1 in [0, 1), of the mean m of the gradients.",
    "b2": "β2 in [0, 1), of the second moment.",
    "decay_rate": "d > 0, of V's decay 1 - t^-d.",
    "eps2": "ε2 > 0, in units of θ: the least root mean square of a leaf.",
    "clipping_threshold": "d, the largest root mean square of u, no unit.",
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
    [[-0.707 -0.   ]]
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


@recipe
def adabelief(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
) -> Optimizer:
    """s ← β2 s + (1-β2) (g - m)² + ε, θ ← θ - α m̂ / (√ŝ + ε).  Zhuang et al. (2020), algorithm 2.

    >>> tx = adabelief(0.5, b1=0.5, b2=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))  # 4 / |4 - 2|
    -1.0
    """
    return chain(scale_by_belief(b1, b2, eps, eps), scale_by_learning_rate(learning_rate))


@recipe
def adopt(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.9999,
    eps: Scalar = 1e-6,
) -> Optimizer:
    """m ← β1 m + (1-β1) clip(g / max(√v, ε), (t-1)^¼), θ ← θ - α m.  Taniguchi et al. (2024), 2.

    >>> tx = adopt(0.5, b1=0.0)
    >>> _, state = tx.update(4.0, tx.init(1.0))
    >>> print(tx.update(-2.0, state)[0].round(4))
    0.25
    """
    return chain(scale_by_adopt(b1, b2, eps), scale_by_learning_rate(learning_rate))


@recipe
def signum(learning_rate: ScalarOrSchedule, beta: DecayLike = 0.9) -> Optimizer:
    """m ← β m + (1-β) g, θ ← θ - δ sign(m).  Bernstein et al. (2018), algorithm 2.

    >>> tx = signum(0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    return chain(ema(beta, debias=False), scale_by_sign(), scale_by_learning_rate(learning_rate))


@recipe
def lamb(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-6,
    weight_decay: ScalarOrSchedule = 0.01,
) -> Optimizer:
    """r = m̂ / (√v̂ + ε) + λ θ, θ ← θ - η ‖θ‖/‖r‖ r.  You et al. (2020), algorithm 2, φ(z) = z.

    >>> tx = lamb(0.5, weight_decay=0.0)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))
    -4.0
    """
    return chain(
        scale_by_adam(b1, b2, eps),
        add_decayed_weights(weight_decay),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )


@recipe
def adafactor(
    learning_rate: ScalarOrSchedule = 0.01,
    decay_rate: Scalar = 0.8,
    eps: Scalar = 1e-30,
    eps2: Scalar = 1e-3,
    clipping_threshold: Scalar = 1.0,
) -> Optimizer:
    """θ ← θ - ρ max(RMS(θ), ε2) u / max(1, RMS(u)/d), u = g / √V, ρ = min(η, 1/√t).

    Every matrix is factored.  Shazeer and Stern (2018), algorithms 4, 5 and section 9.

    >>> tx = adafactor(0.5)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))
    -4.0
    """
    return chain(
        scale_by_factored_rms(decay_rate=decay_rate, epsilon=eps, last_axes=True),
        clip_by_block_rms(clipping_threshold),
        scale_by_param_block_rms(eps2),
        scale_by_learning_rate(relative_step(learning_rate)),
    )


RECIPES: dict[str, Callable[..., Optimizer]] = {
    "muon": muon,
    "signum": signum,
    "adabelief": adabelief,
    "adopt": adopt,
    "lamb": lamb,
    "adafactor": adafactor,
}
