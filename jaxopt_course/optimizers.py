"""Optimizers: each is one chain of named pieces.

Where optax has the recipe, names, positions and defaults of the arguments are optax's, so each is a
drop-in.  ``learning_rate`` is a number, an array or a schedule; every number may be traced, and a
decay may be given as a :class:`~jaxopt_course.base.Decay`.  Formulas, units and sources stand with
the pieces, in ``transforms/``.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import optax

from jaxopt_course.base import (
    DecayLike,
    Flag,
    Scalar,
    ScalarOrSchedule,
    chain,
)
from jaxopt_course.transforms.adam import scale_by_adam, scale_by_adamax
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate
from jaxopt_course.transforms.momentum import ema, trace
from jaxopt_course.transforms.second_moment import (
    scale_by_adadelta,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
)

Optimizer: TypeAlias = optax.GradientTransformationExtraArgs


def sgd(
    learning_rate: ScalarOrSchedule,
    momentum: DecayLike | None = None,
    nesterov: Flag = False,
    accumulator_dtype: Any = None,
) -> Optimizer:
    """θ ← θ - η g; with ``momentum`` β, θ ← θ - η m, m ← β m + g (see :func:`.trace`)."""
    return chain(
        optax.identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype),
        scale_by_learning_rate(learning_rate),
    )


def momentum(learning_rate: ScalarOrSchedule, momentum: DecayLike = 0.9) -> Optimizer:
    """Heavy ball, the sum: m ← β m + g, θ ← θ - η m."""
    return chain(trace(momentum), scale_by_learning_rate(learning_rate))


def ema_momentum(learning_rate: ScalarOrSchedule, decay: DecayLike = 0.9) -> Optimizer:
    """Momentum as a mean: m ← β m + (1-β) g, θ ← θ - η m; no bias correction."""
    return chain(ema(decay, debias=False), scale_by_learning_rate(learning_rate))


def nesterov(learning_rate: ScalarOrSchedule, momentum: DecayLike = 0.9) -> Optimizer:
    """Nesterov's momentum: m ← β m + g, θ ← θ - η (g + β m)."""
    return chain(trace(momentum, nesterov=True), scale_by_learning_rate(learning_rate))


def adagrad(
    learning_rate: ScalarOrSchedule, initial_accumulator_value: Scalar = 0.1, eps: Scalar = 1e-7
) -> Optimizer:
    """Adagrad: S ← S + g², θ ← θ - η g / √(S + ε)."""
    return chain(
        scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate)
    )


def rmsprop(
    learning_rate: ScalarOrSchedule,
    decay: DecayLike = 0.9,
    eps: Scalar = 1e-8,
    initial_scale: Scalar = 0.0,
    eps_in_sqrt: Flag = True,
    centered: Flag = False,
    momentum: DecayLike | None = None,
    nesterov: Flag = False,
    bias_correction: Flag = False,
) -> Optimizer:
    """RMSProp: v ← ρ v + (1-ρ) g², θ ← θ - η g / √(v + ε); the rate inside the momentum, if any.

    A traced ``centered`` takes the state of the centered form in both cases.
    """
    options = (decay, eps, initial_scale, eps_in_sqrt, bias_correction)
    plain = not isinstance(centered, jax.Array) and not centered
    return chain(
        scale_by_rms(*options) if plain else scale_by_stddev(*options, centered=centered),
        scale_by_learning_rate(learning_rate),
        optax.identity() if momentum is None else trace(momentum, nesterov),
    )


def adadelta(
    learning_rate: ScalarOrSchedule | None = None,
    rho: DecayLike = 0.9,
    eps: Scalar = 1e-6,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: Any = None,
) -> Optimizer:
    """Adadelta: steps sized by its own past steps; the decay is coupled.

    Without a learning rate it takes the paper's steps, η = 1, downhill; ``optax.adadelta()`` 0.2.8
    climbs.
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )


def adam(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: Flag = False,
) -> Optimizer:
    """Adam: θ ← θ - η m̂ / (√v̂ + ε); Nadam with ``nesterov``."""
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


def adamw(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: Any = None,
    *,
    nesterov: Flag = False,
) -> Optimizer:
    """Adam with decoupled decay: θ ← θ - η (m̂ / (√v̂ + ε) + λ θ)."""
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def adamax(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
) -> Optimizer:
    """Adamax: θ ← θ - η m̂ / max(β2 v, |g| + ε)."""
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": sgd,
    "momentum": momentum,
    "ema_momentum": ema_momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adadelta": adadelta,
    "adam": adam,
    "adamw": adamw,
    "adamax": adamax,
}
