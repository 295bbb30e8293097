"""Steps divided by a memory of squared gradients: AdaGrad, RMSProp, AdaDelta."""

from typing import Any

import jax
import optax

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate
from jaxopt_course.transforms.momentum import trace
from jaxopt_course.transforms.second_moment import (
    scale_by_adadelta,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
)


@described
def adagrad(
    learning_rate: ScalarOrSchedule, initial_accumulator_value: Scalar = 0.1, eps: Scalar = 1e-7
) -> Optimizer:
    """Adagrad: S ← S + g², θ ← θ - η g / √(S + ε).

    Args:
        learning_rate: η; the t-th step under a constant gradient is η/√t.
        initial_accumulator_value: S_0 (the paper and PyTorch: 0).
        eps: ε.

    Same as ``optax.adagrad`` and Keras's.  Duchi, Hazan and Singer (2011).

    >>> tx = adagrad(learning_rate=0.5, initial_accumulator_value=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    return chain(
        scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate)
    )


@described
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
    """RMSProp: v ← ρ v + (1-ρ) g², θ ← θ - η g / √(v + ε).

    With momentum μ the rate is inside: m ← μ m + η g / √(v + ε), θ ← θ - m.

    Args:
        learning_rate: η.
        decay: ρ (PyTorch: 0.99).
        eps: ε (Keras: 1e-7).
        initial_scale: v_0.
        eps_in_sqrt: √(v + ε) (Keras, the notes), or √v + ε (PyTorch).
        centered: subtract the squared mean of the gradients from v.  Traced, the state has room
            for that mean in both cases.
        momentum: μ; None keeps no memory of steps.
        nesterov: look ahead with μ.
        bias_correction: v / (1 - ρ^t) in the place of v.

    Same as ``optax.rmsprop``, but the centered v - m² is never negative.  Tieleman and Hinton
    (2012); Graves (2013) for the centered form with momentum.

    >>> tx = rmsprop(learning_rate=0.5, decay=0.75)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 / √(0.25 · 16) = 2
    -1.0
    """
    options = (decay, eps, initial_scale, eps_in_sqrt, bias_correction)
    plain = not isinstance(centered, jax.Array) and not centered
    return chain(
        scale_by_rms(*options) if plain else scale_by_stddev(*options, centered=centered),
        scale_by_learning_rate(learning_rate),
        optax.identity() if momentum is None else trace(momentum, nesterov),
    )


@described
def adadelta(
    learning_rate: ScalarOrSchedule | None = None,
    rho: DecayLike = 0.9,
    eps: Scalar = 1e-6,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: Any = None,
) -> Optimizer:
    """Adadelta: θ ← θ - η u, u = g √(x + ε) / √(v + ε), x and v the means of u² and g².

    Args:
        learning_rate: η; None is the paper's 1, downhill (``optax.adadelta()`` 0.2.8 climbs).
        rho: ρ, the decay of both means (the paper and Keras: 0.95).
        eps: ε (Keras: 1e-7).
        weight_decay: λ, coupled: g + λ θ in the place of g.
        weight_decay_mask: which leaves decay; a tree of bools or a function that makes one.

    Same as ``optax.adadelta`` with a rate.  Zeiler (2012).

    >>> tx = adadelta(rho=0.5, eps=1.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 √1 / √(8 + 1)
    -1.3333334
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )
