"""Gradient descent, plain or along a memory of gradients; Signum and Lion take its sign."""

from typing import Any

import optax

from jaxopt_course.base import DecayLike, Flag, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate
from jaxopt_course.transforms.lion import scale_by_lion
from jaxopt_course.transforms.momentum import ema, trace
from jaxopt_course.transforms.signs import scale_by_sign


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


@described
def signum(
    learning_rate: ScalarOrSchedule, beta: DecayLike = 0.9, accumulator_dtype: Any = None
) -> Optimizer:
    """Signum: m ← β m + (1-β) g, θ ← θ - η sign(m).

    Args:
        learning_rate: η; every coordinate moves by it each step.
        beta: β, the decay of m.
        accumulator_dtype: dtype of m; that of the parameters by default, but at least float32.

    Same as ``optax.signum``; without a decay (a chain with ``add_decayed_weights`` has one).
    Bernstein et al. (2018), algorithm 2.

    >>> tx = signum(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    return chain(
        ema(beta, debias=False, accumulator_dtype=accumulator_dtype),
        scale_by_sign(),
        scale_by_learning_rate(learning_rate),
    )
