"""Optimizers: each is one chain of named pieces.

Where optax has the recipe, names, positions and defaults of the arguments are optax's, so each is a
drop-in.  The formulas of the pieces, with their sources, stand in ``transforms/``.  Common to all:

    learning_rate: η > 0, a number, an array or a schedule; in units of θ over those of the update
        it multiplies (θ²/f for plain gradients of f, θ for the normalized updates of Adam's kin).
    decays (momentum, decay, rho, b1, b2): in [0, 1), no unit; also a
        :class:`~jaxopt_course.base.Decay`.
    eps: ε > 0, in units of the gradient outside a root, of its square inside.

Every number may be traced, and so may the switches (Python bools choose when the program is made).
``update`` returns a step with the structure, shapes and dtypes of the gradients; memories are kept
as the pieces say.  Errors are those of :mod:`jaxopt_course.base`.
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
from jaxopt_course.describe import described
from jaxopt_course.transforms.adam import scale_by_adam, scale_by_adamax
from jaxopt_course.transforms.adam_variants import scale_by_amsgrad, scale_by_radam
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate
from jaxopt_course.transforms.lion import scale_by_lion
from jaxopt_course.transforms.momentum import ema, trace
from jaxopt_course.transforms.second_moment import (
    scale_by_adadelta,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
)

Optimizer: TypeAlias = optax.GradientTransformationExtraArgs


@described
def sgd(
    learning_rate: ScalarOrSchedule,
    momentum: DecayLike | None = None,
    nesterov: Flag = False,
    accumulator_dtype: Any = None,
) -> Optimizer:
    """Gradient descent: θ ← θ - η g; or with momentum β, m ← β m + g, θ ← θ - η m.

    Args:
        learning_rate: η.
        momentum: β; None keeps no memory.
        nesterov: g + β m in the place of m.
        accumulator_dtype: dtype of m; that of the parameters by default, but at least float32.

    Same as ``optax.sgd``; with a constant η also Keras's and PyTorch's SGD.  Robbins and Monro
    (1951); Polyak (1964); Sutskever et al. (2013).

    >>> tx = sgd(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -2.0
    """
    return chain(
        optax.identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype),
        scale_by_learning_rate(learning_rate),
    )


@described
def momentum(learning_rate: ScalarOrSchedule, momentum: DecayLike = 0.9) -> Optimizer:
    """Heavy ball, momentum as a sum: m ← β m + g, θ ← θ - η m.

    Args:
        learning_rate: η; a constant gradient is amplified to 1/(1-β) of it.
        momentum: β.

    Same as ``optax.sgd(learning_rate, momentum)``.  Polyak (1964).

    >>> tx = momentum(learning_rate=0.5, momentum=0.5)
    >>> _, state = tx.update(4.0, tx.init(1.0))
    >>> print(tx.update(4.0, state)[0])  # m = 0.5 · 4 + 4
    -3.0
    """
    return chain(trace(momentum), scale_by_learning_rate(learning_rate))


@described
def ema_momentum(learning_rate: ScalarOrSchedule, decay: DecayLike = 0.9) -> Optimizer:
    """Momentum as a mean: m ← β m + (1-β) g, θ ← θ - η m; no bias correction.

    Args:
        learning_rate: η; the path of :func:`momentum` with (1-β) η.
        decay: β.

    The course notes' momentum (001); ``optax.sgd(learning_rate * (1 - decay), decay)``.

    >>> tx = ema_momentum(learning_rate=0.5, decay=0.5)
    >>> _, state = tx.update(4.0, tx.init(1.0))
    >>> print(tx.update(4.0, state)[0])  # m = 0.5 · 2 + 0.5 · 4
    -1.5
    """
    return chain(ema(decay, debias=False), scale_by_learning_rate(learning_rate))


@described
def nesterov(learning_rate: ScalarOrSchedule, momentum: DecayLike = 0.9) -> Optimizer:
    """Nesterov's momentum: m ← β m + g, θ ← θ - η (g + β m).

    Args:
        learning_rate: η.
        momentum: β.

    Same as ``optax.sgd(learning_rate, momentum, nesterov=True)``.  Nesterov (1983), in the form of
    Sutskever et al. (2013).

    >>> tx = nesterov(learning_rate=0.5, momentum=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 + 0.5 · 4
    -3.0
    """
    return chain(trace(momentum, nesterov=True), scale_by_learning_rate(learning_rate))


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


@described
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
    """Adam: θ ← θ - η m̂ / (√v̂ + ε), m̂ and v̂ the corrected means of g and g².

    Args:
        learning_rate: η; a coordinate moves by about η a step at most.
        b1: β1, the decay of m.
        b2: β2, the decay of v.
        eps: ε, outside the root, on v̂ (as in the paper and PyTorch; Keras: on v, 1e-7).
        eps_root: inside the root.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.
        nesterov: Nadam's m̂.

    Same as ``optax.adam`` and PyTorch's.  Kingma and Ba (2015), algorithm 1.

    >>> tx = adam(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


@described
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
    """Adam with decoupled weight decay: θ ← θ - η (m̂ / (√v̂ + ε) + λ θ).

    Args:
        learning_rate: η, also a factor of the decay.
        b1: β1, as in :func:`adam`.
        b2: β2, as in :func:`adam`.
        eps: ε, as in :func:`adam`.
        eps_root: as in :func:`adam`.
        mu_dtype: as in :func:`adam`.
        weight_decay: λ, a number or a schedule (PyTorch: 1e-2, Keras: 4e-3).
        mask: which leaves decay; a tree of bools or a function that makes one.
        nesterov: as in :func:`adam`.

    Raises:
        ValueError: ``update`` without the parameters.

    Same as ``optax.adamw`` and PyTorch's.  Loshchilov and Hutter (2019), algorithm 2.

    >>> tx = adamw(learning_rate=0.5, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 1 + 0.25 · 8
    -1.5
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@described
def adamax(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
) -> Optimizer:
    """Adamax: θ ← θ - η m̂ / v, v ← max(β2 v, |g| + ε).

    Args:
        learning_rate: η; no coordinate moves further in a step.
        b1: β1, the decay of m.
        b2: β2, the decay of the maximum.
        eps: ε.

    Same as ``optax.adamax`` and PyTorch's.  Kingma and Ba (2015), algorithm 2.

    >>> tx = adamax(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


@described
def amsgrad(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    bias_correction_mu: Flag = True,
    bias_correction_nu: Flag = True,
) -> Optimizer:
    """AMSGrad: θ ← θ - η m̂ / (√w + ε), w ← max(w, v̂), m̂ and v̂ as Adam's.

    Args:
        learning_rate: η; a coordinate moves by about η a step at most.
        b1: β1, as in :func:`adam`.
        b2: β2, as in :func:`adam`.
        eps: ε, as in :func:`adam`.
        eps_root: as in :func:`adam`.
        mu_dtype: as in :func:`adam`.
        bias_correction_mu: False puts m in the place of m̂ (the paper).
        bias_correction_nu: False puts v in the place of v̂ (the paper).

    Same as ``optax.amsgrad`` (PyTorch and Keras take the maximum of v, and correct it after).
    Reddi, Kale and Kumar (2018), algorithm 2.

    >>> tx = amsgrad(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    return chain(
        scale_by_amsgrad(b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu),
        scale_by_learning_rate(learning_rate),
    )


@described
def nadam(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: Flag = True,
) -> Optimizer:
    """Adam that looks one step ahead: :func:`adam` with ``nesterov=True``.

    Args:
        learning_rate: η.
        b1: β1, as in :func:`adam`; the same at all times.
        b2: β2, as in :func:`adam`.
        eps: ε, as in :func:`adam`.
        eps_root: as in :func:`adam`.
        mu_dtype: as in :func:`adam`.
        nesterov: False is :func:`adam`.

    Same as ``optax.nadam``.  PyTorch and Keras let β1 grow in the first steps:
    :func:`~jaxopt_course.transforms.scale_by_nadam`.  Dozat (2016), algorithm 2.

    >>> tx = nadam(learning_rate=0.5, b1=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))  # m̂ = ½ · 2/(3/4) + ½ · 4/(1/2) = 16/3
    -0.6667
    """
    return adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov)


@described
def radam(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    threshold: Scalar = 5.0,
    *,
    nesterov: Flag = False,
) -> Optimizer:
    """Rectified Adam: θ ← θ - η r_t m̂ / (√v̂ + ε); θ ← θ - η m̂ while v̂ rests on few gradients.

    Args:
        learning_rate: η; of both kinds of step, the first in units of θ over those of g.
        b1: β1, as in :func:`adam`.
        b2: β2, as in :func:`adam`.
        eps: ε, as in :func:`adam`.
        eps_root: as in :func:`adam`.
        threshold: how many gradients are enough; at least 4.
        nesterov: as in :func:`adam`.

    Same as ``optax.radam`` (PyTorch has ε on the uncorrected v).  Liu et al. (2020), algorithm 2.

    >>> tx = radam(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -2.0
    """
    return chain(
        scale_by_radam(b1, b2, eps, eps_root, threshold, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


@described
def lion(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.99,
    mu_dtype: Any = None,
    weight_decay: ScalarOrSchedule = 1e-3,
    mask: Any = None,
) -> Optimizer:
    """Lion: θ ← θ - η (sign(β1 m + (1-β1) g) + λ θ), m ← β2 m + (1-β2) g.

    Args:
        learning_rate: η; every coordinate moves by it each step.
        b1: β1, of the step.
        b2: β2, of the memory.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.
        weight_decay: λ, a number or a schedule (Keras: none).
        mask: which leaves decay; a tree of bools or a function that makes one.

    Raises:
        ValueError: ``update`` without the parameters.

    Same as ``optax.lion``.  Chen et al. (2023), algorithm 2.

    >>> tx = lion(learning_rate=0.5, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0])  # 1 + 0.25 · 8
    -1.5
    """
    return chain(
        scale_by_lion(b1, b2, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


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
    "amsgrad": amsgrad,
    "nadam": nadam,
    "radam": radam,
    "lion": lion,
}
