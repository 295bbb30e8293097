"""PyTorch 2.13's optimizers: its update rules and its defaults, under our argument names.

How its rules differ from optax's (measured):

    momentum         dampened: m ← μ m + (1-τ) g, but the first m is g; the rate stays outside
    ε of RMSprop     outside the root, and its momentum has the rate outside too
    ε of Adagrad     outside the root, S_0 = 0; with ``lr_decay`` the rate falls as η / (1 + d s)
    ε of RAdam       on the uncorrected v ("hat"), unlike that of its Adam
    AMSGrad          maximum of the uncorrected v, corrected after
    NAdam            β1 grows: μ_t = β1 (1 - ½ 0.96^{ψ t}), ψ = ``momentum_decay``
    weight_decay     coupled, g + λ θ, in every optimizer but AdamW; decoupled on demand
    complex θ        real and imaginary parts are two coordinates, elsewhere |g|² is one

Surprises: the default rate of SGD is 0.001, that of RMSprop, Adagrad 0.01; NAdam keeps the product
of its μ in torch's default dtype, so a float64 model is only good to 1e-10 unless
``torch.set_default_dtype(torch.float64)``; ``maximize`` turns g round before the coupled decay is
added, so the decay still pulls to 0.
"""

from collections.abc import Callable
from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, Transform, chain
from jaxopt_course.conventions.documented import documented
from jaxopt_course.conventions.pieces import (
    adam_scaling,
    by_coordinates,
    coupled_or_decoupled,
    decayed,
    directed,
    is_on,
    is_zero,
    remembered,
    root_mean_square,
    slowed,
)
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import (
    scale_by_adadelta,
    scale_by_adamax,
    scale_by_learning_rate,
    scale_by_nadam,
    scale_by_radam,
    scale_by_rss,
)

ARGUMENTS = {
    "learning_rate": "η, or a schedule s -> η(s), s updates done from 0.",
    "momentum": "μ in [0, 1), the share of the buffer kept each step; None is no buffer.",
    "nesterov": "look ahead, see the formula; may be traced.",
    "rho": "ρ in [0, 1), the share that both means keep each step.",
    "b1": "β1 in [0, 1), of the mean m of the gradients.",
    "b2": "β2 in [0, 1), of the second moment v (Lion: of the memory).",
    "dampening": "τ in [0, 1], the share of each gradient but the first that is left out.",
    "initial_accumulator_value": "S_0 >= 0, in units of g².",
    "learning_rate_decay": "d >= 0, per step (``lr_decay``): η / (1 + d s).",
    "decay": "ρ in [0, 1), of the second moment v (``alpha``).",
    "eps": "ε, where the formula has it; in units of g.",
    "centered": "v minus the squared mean of g; traced, the state has room for the mean anyhow.",
    "momentum_decay": "ψ >= 0, per step: how fast μ grows from β1/2 to β1.",
    "weight_decay": "λ >= 0 or a schedule of it; coupled, g + λ θ, unless the formula says else.",
    "maximize": "climb: -g in the place of g, before the decay; may be traced.",
    "decoupled_weight_decay": "η λ θ comes off θ instead, outside all means; may be traced.",
    "mask": "which leaves decay (param_groups): a tree of bools, or a function that makes one.",
    "amsgrad": "divide by the largest v so far; traced, the state has room for it anyhow.",
    "others": "the arguments of :func:`sgd` after ``nesterov``, by name.",
}
recipe = documented(
    ARGUMENTS,
    """    Every number and switch may be traced.  Memories are float32 or wider, updates have the
    gradients' dtypes.

    Raises:
        TypeError: no number, schedule or switch where one is taken; None for a rate too.
        ValueError: ``nesterov=True`` as :func:`sgd` says; a decay outside [0, 1]; ``update``
            without the parameters where they decay.

    Source: torch 2.13, ``torch/optim``; golden trajectories in ``tests/golden``.""",
)


def _scaled(
    scaling: Transform,
    learning_rate: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule,
    maximize: Flag,
    mask: Any,
    decoupled: Flag = False,
) -> Optimizer:
    """Turn round, decay, scale, decay, step; one of the decays is 0."""
    before, after = coupled_or_decoupled(weight_decay, decoupled, mask)
    pieces = (directed(maximize), before, by_coordinates(scaling), after)
    return chain(*pieces, scale_by_learning_rate(learning_rate))


@recipe
def sgd(
    learning_rate: ScalarOrSchedule = 0.001,
    momentum: DecayLike | None = None,
    nesterov: Flag = False,
    dampening: DecayLike = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.SGD``: g ← g + λ θ, m ← μ m + (1-τ) g (at first m = g), θ ← θ - η m.

    Nesterov: g + μ m in the place of m; without momentum or with dampening it is refused, as in
    torch.

    >>> tx = sgd(learning_rate=0.5, momentum=0.5, dampening=0.5)
    >>> _, state = tx.update(4.0, tx.init(1.0))
    >>> print(tx.update(4.0, state)[0])  # m = 0.5 · 4 + 0.5 · 4
    -2.0
    """
    if is_on(nesterov) and (is_zero(momentum) or not is_zero(dampening)):
        raise ValueError("torch's nesterov needs a momentum and no dampening")
    return chain(
        directed(maximize),
        decayed(weight_decay, mask),
        remembered(momentum, nesterov, dampening),
        scale_by_learning_rate(learning_rate),
    )


@recipe
def momentum(
    learning_rate: ScalarOrSchedule = 0.001, momentum: DecayLike = 0.9, **others: Any
) -> Optimizer:
    """:func:`sgd` with momentum; torch has no default for it but 0.

    >>> tx = momentum(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -2.0
    """
    return sgd(learning_rate, momentum, **others)


@recipe
def nesterov(
    learning_rate: ScalarOrSchedule = 0.001, momentum: DecayLike = 0.9, **others: Any
) -> Optimizer:
    """:func:`sgd` with ``nesterov=True``.

    >>> tx = nesterov(learning_rate=0.5, momentum=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -3.0
    """
    return sgd(learning_rate, momentum, nesterov=True, **others)


@recipe
def adagrad(
    learning_rate: ScalarOrSchedule = 0.01,
    initial_accumulator_value: Scalar = 0.0,
    eps: Scalar = 1e-10,
    learning_rate_decay: Scalar = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.Adagrad``: S ← S + g², θ ← θ - η/(1 + d s) g / (√S + ε), s updates done.

    >>> tx = adagrad(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    scaling = scale_by_rss(initial_accumulator_value, eps, eps_in_sqrt=False)
    return _scaled(
        scaling, slowed(learning_rate, learning_rate_decay), weight_decay, maximize, mask
    )


@recipe
def rmsprop(
    learning_rate: ScalarOrSchedule = 0.01,
    decay: DecayLike = 0.99,
    eps: Scalar = 1e-8,
    centered: Flag = False,
    momentum: DecayLike | None = None,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.RMSprop``: m ← μ m + g / (√v + ε), θ ← θ - η m.

    v ← ρ v + (1-ρ) g²; centered: v minus the squared mean of g (clamped at 0 here, not in torch).

    >>> tx = rmsprop(learning_rate=0.5, decay=0.75)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 / √(0.25 · 16) = 2
    -1.0
    """
    return chain(
        directed(maximize),
        decayed(weight_decay, mask),
        by_coordinates(root_mean_square(decay, eps, centered, eps_in_sqrt=False)),
        remembered(momentum),
        scale_by_learning_rate(learning_rate),
    )


@recipe
def adadelta(
    learning_rate: ScalarOrSchedule = 1.0,
    rho: DecayLike = 0.9,
    eps: Scalar = 1e-6,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.Adadelta``: θ ← θ - η u, u = g √(x + ε) / √(v + ε), x and v means of u² and g².

    >>> tx = adadelta(rho=0.5, eps=1.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 √1 / √(8 + 1)
    -1.3333334
    """
    return _scaled(scale_by_adadelta(rho, eps), learning_rate, weight_decay, maximize, mask)


@recipe
def adam(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    decoupled_weight_decay: Flag = False,
    mask: Any = None,
    amsgrad: Flag = False,
) -> Optimizer:
    """``torch.optim.Adam``: θ ← θ - η m̂ / (√v̂ + ε), with g + λ θ in the place of g.

    >>> tx = adam(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    options = (learning_rate, weight_decay, maximize, mask, decoupled_weight_decay)
    return _scaled(adam_scaling(b1, b2, eps, amsgrad, eps_hat=False), *options)


@recipe
def adamw(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.01,
    maximize: Flag = False,
    mask: Any = None,
    amsgrad: Flag = False,
) -> Optimizer:
    """``torch.optim.AdamW``: θ ← (1 - η λ) θ - η m̂ / (√v̂ + ε).

    >>> tx = adamw(learning_rate=0.5, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 1 + 0.25 · 8
    -1.5
    """
    return adam(learning_rate, b1, b2, eps, weight_decay, maximize, True, mask, amsgrad)


@recipe
def adamax(
    learning_rate: ScalarOrSchedule = 0.002,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.Adamax``: θ ← θ - η m̂ / v, v ← max(β2 v, |g| + ε).

    >>> tx = adamax(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    return _scaled(scale_by_adamax(b1, b2, eps), learning_rate, weight_decay, maximize, mask)


@recipe
def amsgrad(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    decoupled_weight_decay: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``Adam(amsgrad=True)``: w ← max(w, v), θ ← θ - η m̂ / (√(w / (1-β2^t)) + ε).

    >>> tx = amsgrad(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    options = (weight_decay, maximize, decoupled_weight_decay, mask)
    return adam(learning_rate, b1, b2, eps, *options, amsgrad=True)


@recipe
def nadam(
    learning_rate: ScalarOrSchedule = 0.002,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    momentum_decay: Scalar = 0.004,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    decoupled_weight_decay: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.NAdam``: Adam that looks ahead with μ_t = β1 (1 - ½ 0.96^{ψ t}).

    >>> tx = nadam(learning_rate=0.5, b1=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    options = (learning_rate, weight_decay, maximize, mask, decoupled_weight_decay)
    return _scaled(scale_by_nadam(b1, b2, eps, momentum_decay), *options)


@recipe
def radam(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    maximize: Flag = False,
    decoupled_weight_decay: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """``torch.optim.RAdam``: θ ← θ - η r_t m̂ √(1-β2^t) / (√v + ε), or - η m̂ while ρ_t <= 5.

    >>> tx = radam(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -2.0
    """
    options = (learning_rate, weight_decay, maximize, mask, decoupled_weight_decay)
    return _scaled(scale_by_radam(b1, b2, eps, eps_hat=True), *options)


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
    "radam": radam,
}
