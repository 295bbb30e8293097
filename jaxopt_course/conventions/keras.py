"""Keras 3.15's optimizers: its update rules and its defaults, under our argument names.

How its rules differ from optax's (measured):

    learning rate    inside the momentum buffer of SGD and RMSprop: the buffer holds steps
    ε of Adam        "hat": η √(1-β2^t)/(1-β1^t) m / (√v + ε), so 32 ε in the paper's place at t = 1
    ε of RMSprop     in the root; of Adamax added to the maximum where it is used
    AMSGrad          maximum of the uncorrected v
    Nadam            μ_t = β1 (1 - ½ 0.96^t), without the paper's 1/250 in the exponent
    weight_decay     decoupled, of the old θ, times the rate, for every optimizer: Adam with it is
                     AdamW, and it never enters a momentum buffer
    clipping         of the gradient, before all else; ``clipnorm`` is for each variable apart

Surprises: ``SGD(1)`` raises in Keras (rates must be floats); ``Adam(weight_decay=λ)`` is AdamW;
below float32 Adam does not move at all there (its powers of β2 round to 1), here it does.
"""

from collections.abc import Callable
from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, Transform, chain
from jaxopt_course.conventions.documented import documented
from jaxopt_course.conventions.pieces import (
    adam_scaling,
    clipped,
    decayed,
    decayed_after_rate,
    remembered,
    root_mean_square,
)
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import (
    scale_by_adadelta,
    scale_by_adamax,
    scale_by_learning_rate,
    scale_by_lion,
    scale_by_nadam,
    scale_by_rss,
)

Bound = Scalar | None
Pull = ScalarOrSchedule | None

ARGUMENTS = {
    "learning_rate": "η, or a schedule s -> η(s), s updates done from 0.",
    "momentum": "μ in [0, 1), the share of the buffer kept each step; None is no buffer.",
    "nesterov": "look ahead, see the formula; may be traced.",
    "rho": "ρ in [0, 1), the share that both means keep each step.",
    "b1": "β1 in [0, 1), of the mean m of the gradients.",
    "b2": "β2 in [0, 1), of the second moment v (Lion: of the memory).",
    "initial_accumulator_value": "S_0 >= 0, in units of g².",
    "decay": "ρ in [0, 1), of the second moment v.",
    "eps": "ε, where the formula has it; in units of g² inside a root, of g outside.",
    "centered": "v minus the squared mean of g; traced, the state has room for the mean anyhow.",
    "weight_decay": "λ >= 0 or a schedule of it: η λ θ comes off θ, outside all buffers.",
    "mask": "which leaves decay: a tree of bools, or a function of the parameters that makes one.",
    "clipnorm": "bound on the norm of each leaf's g, apart; at most one is given; <= 0: none.",
    "clipvalue": "bound on |g|, coordinate by coordinate; <= 0: none.",
    "global_clipnorm": "bound on the norm of all leaves together; <= 0: none.",
    "amsgrad": "divide by the largest v so far; traced, the state has room for it anyhow.",
    "others": "the arguments of :func:`sgd` after ``nesterov``, by name.",
}
recipe = documented(
    ARGUMENTS,
    """    Every number and switch may be traced.  Memories are float32 or wider, updates have the
    gradients' dtypes.

    Raises:
        TypeError: no number, schedule or switch where one is taken; None for a rate too.
        ValueError: more than one bound; a decay outside [0, 1]; ``update`` without the parameters
            where they decay.

    Source: keras 3.15, ``keras/src/optimizers``; golden trajectories in ``tests/golden``.""",
)


def _scaled(
    scaling: Transform,
    learning_rate: ScalarOrSchedule,
    weight_decay: Pull,
    mask: Any,
    *clips: Bound,
) -> Optimizer:
    """Clip, scale, decay, step: θ ← θ - η (u + λ θ)."""
    return chain(
        clipped(*clips),
        scaling,
        decayed(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@recipe
def sgd(
    learning_rate: ScalarOrSchedule = 0.01,
    momentum: DecayLike | None = None,
    nesterov: Flag = False,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.SGD``: v ← μ v - η g, θ ← θ - η λ θ + v; Nesterov: + μ v - η g.

    The rate is inside the buffer: after a change of η old steps keep their old size.

    >>> tx = sgd(learning_rate=0.5, momentum=0.5)
    >>> _, state = tx.update(4.0, tx.init(1.0))
    >>> print(tx.update(4.0, state)[0])  # 0.5 · (-2) - 2
    -3.0
    """
    return chain(
        clipped(clipnorm, clipvalue, global_clipnorm),
        scale_by_learning_rate(learning_rate),
        remembered(momentum, nesterov),
        decayed_after_rate(learning_rate, weight_decay, mask),
    )


@recipe
def momentum(
    learning_rate: ScalarOrSchedule = 0.01, momentum: DecayLike = 0.9, **others: Any
) -> Optimizer:
    """:func:`sgd` with momentum; Keras has no default for it but 0.

    >>> tx = momentum(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -2.0
    """
    return sgd(learning_rate, momentum, **others)


@recipe
def nesterov(
    learning_rate: ScalarOrSchedule = 0.01, momentum: DecayLike = 0.9, **others: Any
) -> Optimizer:
    """:func:`sgd` with ``nesterov=True``.

    >>> tx = nesterov(learning_rate=0.5, momentum=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -3.0
    """
    return sgd(learning_rate, momentum, nesterov=True, **others)


@recipe
def adagrad(
    learning_rate: ScalarOrSchedule = 0.001,
    initial_accumulator_value: Scalar = 0.1,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Adagrad``: S ← S + g², u = g / √(S + ε), θ ← θ - η (u + λ θ).

    >>> tx = adagrad(learning_rate=0.5, initial_accumulator_value=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    scaling = scale_by_rss(initial_accumulator_value, eps)
    clips = (clipnorm, clipvalue, global_clipnorm)
    return _scaled(scaling, learning_rate, weight_decay, mask, *clips)


@recipe
def rmsprop(
    learning_rate: ScalarOrSchedule = 0.001,
    decay: DecayLike = 0.9,
    eps: Scalar = 1e-7,
    centered: Flag = False,
    momentum: DecayLike | None = None,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.RMSprop``: m ← μ m + η g / √(v + ε), θ ← θ - η λ θ - m.

    v ← ρ v + (1-ρ) g²; centered: v minus the squared mean of g (clamped at 0 here, not in Keras).

    >>> tx = rmsprop(learning_rate=0.5, decay=0.75)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 / √(0.25 · 16) = 2
    -1.0
    """
    return chain(
        clipped(clipnorm, clipvalue, global_clipnorm),
        root_mean_square(decay, eps, centered, eps_in_sqrt=True),
        scale_by_learning_rate(learning_rate),
        remembered(momentum),
        decayed_after_rate(learning_rate, weight_decay, mask),
    )


@recipe
def adadelta(
    learning_rate: ScalarOrSchedule = 0.001,
    rho: DecayLike = 0.95,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Adadelta``: u = g √(x + ε) / √(v + ε), θ ← θ - η (u + λ θ).

    The default η = 0.001 (the paper: 1) makes it a thousand times slower than anywhere else.

    >>> tx = adadelta(1.0, rho=0.5, eps=1.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 √1 / √(8 + 1)
    -1.3333334
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return _scaled(scale_by_adadelta(rho, eps), learning_rate, weight_decay, mask, *clips)


@recipe
def adam(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
    amsgrad: Flag = False,
) -> Optimizer:
    """``keras.optimizers.Adam``: u = m̂ √(1-β2^t) / (√v + ε), θ ← θ - η (u + λ θ).

    >>> tx = adam(0.5, b2=0.75, eps=2.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 · √0.25 / (√(0.25 · 16) + 2)
    -0.25
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    scaling = adam_scaling(b1, b2, eps, amsgrad, eps_hat=True)
    return _scaled(scaling, learning_rate, weight_decay, mask, *clips)


@recipe
def adamw(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-7,
    weight_decay: Pull = 0.004,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
    amsgrad: Flag = False,
) -> Optimizer:
    """``keras.optimizers.AdamW``: :func:`adam` with another default of λ.

    >>> tx = adamw(0.5, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 1 + 0.25 · 8
    -1.5
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return adam(learning_rate, b1, b2, eps, weight_decay, mask, *clips, amsgrad=amsgrad)


@recipe
def adamax(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Adamax``: v ← max(β2 v, |g|), u = m̂ / (v + ε), θ ← θ - η (u + λ θ).

    >>> tx = adamax(0.5, eps=4.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.25
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    scaling = scale_by_adamax(b1, b2, eps, eps_in_max=False)
    return _scaled(scaling, learning_rate, weight_decay, mask, *clips)


@recipe
def amsgrad(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``Adam(amsgrad=True)``: w ← max(w, v), u = m̂ √(1-β2^t) / (√w + ε), θ ← θ - η (u + λ θ).

    >>> tx = amsgrad(0.5, b2=0.75, eps=2.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.25
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return adam(learning_rate, b1, b2, eps, weight_decay, mask, *clips, amsgrad=True)


@recipe
def nadam(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-7,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Nadam``: Dozat's, with μ_t = β1 (1 - ½ 0.96^t); θ ← θ - η (u + λ θ).

    Its ε stands on the corrected v̂, unlike that of Keras's Adam.

    >>> tx = nadam(0.5, b1=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    scaling = scale_by_nadam(b1, b2, eps, momentum_decay=1.0)
    return _scaled(scaling, learning_rate, weight_decay, mask, *clips)


@recipe
def lion(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.99,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.Lion``: θ ← θ - η (sign(β1 m + (1-β1) g) + λ θ).

    >>> tx = lion(0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    clips = (clipnorm, clipvalue, global_clipnorm)
    return _scaled(scale_by_lion(b1, b2), learning_rate, weight_decay, mask, *clips)


RECIPES: dict[str, Callable[..., Optimizer]] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adadelta": adadelta,
    "adam": adam,
    "adamw": adamw,
    "adamax": adamax,
    "amsgrad": amsgrad,
    "nadam": nadam,
    "lion": lion,
}
