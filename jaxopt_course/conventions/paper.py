"""The papers' algorithms, with the numbers that the papers print.

An argument without a default is one that the paper leaves to its reader.  Papers without ε are
given one of 1e-30, which changes no digit of √v > 1e-22 and makes 0/0 a 0.

Surprises: AdamW's λ is multiplied by the schedule but not by the rate α; AMSGrad has neither
bias correction nor ε; RAdam rectifies from ρ_t > 4 on, not 5; Hinton's RMSProp has no ε.

Raises ValueError if ``update`` needs the parameters (for a decay) and does not get them.
"""

from collections.abc import Callable

from jaxopt_course.base import DecayLike, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions import paper_later, paper_recent
from jaxopt_course.conventions.documented import documented
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import (
    add_decayed_weights,
    scale_by_adadelta,
    scale_by_adam,
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_learning_rate,
    scale_by_lion,
    scale_by_nadam,
    scale_by_radam,
    scale_by_rms,
    scale_by_rss,
    trace,
)

NO_EPS = 1e-30  # 0/0 becomes 0, and nothing else changes

ARGUMENTS = {
    "learning_rate": "η, or a schedule s -> η(s), s updates done from 0.",
    "momentum": "μ in [0, 1), the share of the buffer kept each step; None is no buffer.",
    "rho": "ρ in [0, 1), the share that both means keep each step.",
    "b1": "β1 in [0, 1), of the mean m of the gradients.",
    "b2": "β2 in [0, 1), of the second moment v (Lion: of the memory).",
    "decay": "ρ in [0, 1), of the second moment v.",
    "eps": "ε where the formula has it; 1e-30 where the paper has none.",
    "weight_decay": "λ >= 0, of the decoupled decay.",
    "multiplier": "κ (η_t in the paper), a number or a schedule, at best 1 at first.",
    "momentum_decay": "ψ >= 0, per step: how fast μ grows from β1/2 to β1; the paper's 1/250.",
    "threshold": "of ρ_t, the number of gradients that v rests on; at least 4.",
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
def sgd(learning_rate: ScalarOrSchedule) -> Optimizer:
    """θ ← θ - η_s g.  Robbins and Monro (1951), with Σ η_s = ∞ and Σ η_s² < ∞.

    >>> print(sgd(0.5).update(4.0, sgd(0.5).init(1.0))[0])
    -2.0
    """
    return chain(scale_by_learning_rate(learning_rate))


@recipe
def momentum(learning_rate: ScalarOrSchedule, momentum: DecayLike = 0.9) -> Optimizer:
    """Heavy ball, θ_{t+1} = θ_t - η g + β (θ_t - θ_{t-1}): the rate is inside the memory.

    Polyak (1964), eq. 9; the default β is the one that everybody uses, the paper has none.

    >>> tx = momentum(0.5, momentum=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -2.0
    """
    return chain(scale_by_learning_rate(learning_rate), trace(momentum))


@recipe
def nesterov(learning_rate: ScalarOrSchedule, momentum: DecayLike = 0.9) -> Optimizer:
    """v ← μ v - η ∇f(φ + μ v), φ ← φ + v, told of the points θ = φ + μ v: θ ← θ + μ v - η g.

    Sutskever et al. (2013), eqs. 3 and 4, for a constant μ; the gradient is taken at θ, which is
    the point that the parameters hold.

    >>> tx = nesterov(0.5, momentum=0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # v = -2
    -3.0
    """
    return chain(scale_by_learning_rate(learning_rate), trace(momentum, nesterov=True))


@recipe
def adagrad(learning_rate: ScalarOrSchedule, eps: Scalar = 0.0) -> Optimizer:
    """S ← S + g² from 0, θ ← θ - η g / (√S + δ); no step where S = 0.

    Duchi, Hazan and Singer (2011), figure 1 with the diagonal matrix; δ >= 0 is ``eps``.

    >>> tx = adagrad(0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    scaling = scale_by_rss(0.0, eps, eps_in_sqrt=False)
    return chain(scaling, scale_by_learning_rate(learning_rate))


@recipe
def rmsprop(
    learning_rate: ScalarOrSchedule = 0.001, decay: DecayLike = 0.9, eps: Scalar = NO_EPS
) -> Optimizer:
    """v ← 0.9 v + 0.1 g² from 0, θ ← θ - η g / √v.  Tieleman and Hinton (2012), lecture 6.5.

    Graves (2013, eqs. 38-45) is ``like="keras"`` with centered=True, decay 0.95, momentum 0.9 and
    1e-4 for both η and ε.

    >>> tx = rmsprop(0.5, decay=0.75)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 / √(0.25 · 16) = 2
    -1.0
    """
    scaling = scale_by_rms(decay, eps, eps_in_sqrt=False)
    return chain(scaling, scale_by_learning_rate(learning_rate))


@recipe
def adadelta(
    learning_rate: ScalarOrSchedule = 1.0, rho: DecayLike = 0.95, eps: Scalar = 1e-6
) -> Optimizer:
    """θ ← θ - g √(x + ε) / √(v + ε), x and v the means of squared steps and gradients.

    Zeiler (2012), algorithm 1; no rate there, which is 1.

    >>> tx = adadelta(rho=0.5, eps=1.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 4 √1 / √(8 + 1)
    -1.3333334
    """
    return chain(scale_by_adadelta(rho, eps), scale_by_learning_rate(learning_rate))


@recipe
def adam(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
) -> Optimizer:
    """θ ← θ - α m̂ / (√v̂ + ε).  Kingma and Ba (2015), algorithm 1.

    >>> tx = adam(0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    return chain(scale_by_adam(b1, b2, eps), scale_by_learning_rate(learning_rate))


@recipe
def adamw(
    learning_rate: ScalarOrSchedule = 0.001,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    *,
    weight_decay: Scalar,
    multiplier: ScalarOrSchedule = 1.0,
) -> Optimizer:
    """θ ← θ - κ_s (α m̂ / (√v̂ + ε) + λ θ).  Loshchilov and Hutter (2019), algorithm 2.

    >>> tx = adamw(0.5, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 0.5 · 1 + 0.25 · 8
    -2.5
    """
    return chain(
        scale_by_adam(b1, b2, eps),
        scale_by_learning_rate(learning_rate, flip_sign=False),
        add_decayed_weights(weight_decay),
        scale_by_learning_rate(multiplier),
    )


@recipe
def adamax(
    learning_rate: ScalarOrSchedule = 0.002,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 0.0,
) -> Optimizer:
    """v ← max(β2 v, |g|), θ ← θ - α m̂ / v; no step where v = 0.

    Kingma and Ba (2015), algorithm 2; no ε there, which is 0.

    >>> tx = adamax(0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


@recipe
def amsgrad(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = NO_EPS,
) -> Optimizer:
    """w ← max(w, v), θ ← θ - α m / √w, m and v uncorrected.  Reddi et al. (2018), algorithm 2.

    >>> tx = amsgrad(0.5, b1=0.5, b2=0.75)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 0.5 · 2 / √(0.25 · 16)
    -0.5
    """
    scaling = scale_by_amsgrad(b1, b2, eps, bias_correction_mu=False, bias_correction_nu=False)
    return chain(scaling, scale_by_learning_rate(learning_rate))


@recipe
def nadam(
    learning_rate: ScalarOrSchedule = 0.002,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    momentum_decay: Scalar = 0.004,
) -> Optimizer:
    """θ ← θ - α m̂ / (√v̂ + ε), m̂ looks ahead with μ_t = β1 (1 - ½ 0.96^{t/250}).

    Dozat (2016), algorithm 2, but in two places as Keras and PyTorch have it, on purpose, for
    what is known as Nadam is this.  Of 0.187 that 100 steps of ``explain``'s quadratic move,

        the mean     m ← β1 m + (1-β1) g    there μ_t in the place of β1     changes 7e-3
        v̂            v / (1-β2^t)           there β2 v / (1-β2^t)            changes 9e-5

    With β1 the mean is smaller than its correction assumes, at first (1-β1)/(1-μ_1) of it.

    >>> tx = nadam(0.5, b1=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5
    """
    scaling = scale_by_nadam(b1, b2, eps, momentum_decay)
    return chain(scaling, scale_by_learning_rate(learning_rate))


@recipe
def radam(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = NO_EPS,
    threshold: Scalar = 4.0,
) -> Optimizer:
    """θ ← θ - α r_t m̂ / √v̂ where ρ_t > 4, else θ - α m̂.  Liu et al. (2020), algorithm 2.

    >>> tx = radam(0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -2.0
    """
    scaling = scale_by_radam(b1, b2, eps, threshold=threshold)
    return chain(scaling, scale_by_learning_rate(learning_rate))


@recipe
def lion(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.99,
    weight_decay: ScalarOrSchedule = 0.0,
) -> Optimizer:
    """θ ← θ - η (sign(β1 m + (1-β1) g) + λ θ).  Chen et al. (2023), algorithm 2.

    >>> tx = lion(0.5)
    >>> print(tx.update(4.0, tx.init(1.0))[0])
    -0.5
    """
    return chain(
        scale_by_lion(b1, b2),
        add_decayed_weights(weight_decay),
        scale_by_learning_rate(learning_rate),
    )


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
    "lion": lion,
    **paper_later.RECIPES,
    **paper_recent.RECIPES,
}
