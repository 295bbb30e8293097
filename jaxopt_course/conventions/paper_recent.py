"""The papers' algorithms since 2023, or their authors' programs; see :mod:`.paper`."""

from collections.abc import Callable
from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.documented import documented
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import (
    add_decayed_weights,
    scale,
    scale_by_ademamix,
    scale_by_learning_rate,
    scale_by_prodigy,
    scale_by_rms,
    scale_by_soap,
    schedule_free,
)
from jaxopt_course.transforms.schedule_free import warmed_up

ARGUMENTS = {
    "learning_rate": "η, or a schedule s -> η(s), s updates done from 0.",
    "momentum": "μ in (0, 1), how near to the mean gradients are taken.",
    "b1": "β1 in [0, 1), of the mean m of the gradients; Schedule-Free: how near to the mean x.",
    "b2": "β2 in [0, 1), of the second moment v.",
    "b3": "β3 in [0, 1), of n; of Prodigy's sums (None: √β2); of SOAP's Gram matrices.",
    "alpha": "α >= 0, the weight of the long memory; the paper takes 4 to 10.",
    "b3_warmup": "T >= 0, steps in which β3 grows from β1; the paper: those of the training.",
    "mask": "which leaves decay; a tree of bools or a function that makes one.",
    "alpha_warmup": "T >= 0, steps in which α grows from 0; the paper: those of the training.",
    "warmup_steps": "T >= 0, steps in which the rate grows from η/T to η; 0 is none.",
    "weight_lr_power": "p >= 0: a step counts in the mean by the p-th power of the largest rate.",
    "r": "r >= 0: step t counts t^r times in the mean.",
    "estim_lr0": "d_0 > 0, the first estimate, in units of θ.",
    "estim_lr_coef": "c > 0, a factor of the estimate.",
    "safeguard_warmup": "d in the place of η_t in s, for a rate that is warmed up; may be traced.",
    "precondition_frequency": "f >= 1, steps between new bases.",
    "eps": "ε where the formula has it.",
    "weight_decay": "λ >= 0, of the decoupled decay.",
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
def ademamix(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    b3: DecayLike = 0.9999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    *,
    alpha: Scalar,
    b3_warmup: Scalar,
    alpha_warmup: Scalar,
) -> Optimizer:
    """n ← β3(t) n + (1-β3(t)) g, θ ← θ - η ((m̂ + α(t) n) / (√v̂ + ε) + λ θ).

    Pagliardini, Ablin and Grangier (2024), algorithm 1; β3(t) and α(t) of section 3.

    >>> tx = ademamix(0.5, alpha=2.0, b3_warmup=0, alpha_warmup=0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))
    -0.5001
    """
    return chain(
        scale_by_ademamix(b1, b2, b3, alpha, eps, b3_warmup=b3_warmup, alpha_warmup=alpha_warmup),
        add_decayed_weights(weight_decay),
        scale_by_learning_rate(learning_rate),
    )


@recipe
def schedule_free_adamw(
    learning_rate: ScalarOrSchedule = 0.0025,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    warmup_steps: Scalar = 0.0,
    r: Scalar = 0.0,
    weight_lr_power: Scalar = 2.0,
    mask: Any = None,
) -> Optimizer:
    """z ← z - η_t (g / (√v̂ + ε) + λ y), x ← (1-c) x + c z, c = η_t^p / Σ η^p.

    The authors' own program (schedulefree 1.4): η_t = η min(1, t/T).  Algorithm 1 of Defazio et al.
    (2024) divides by √v and puts √(1-β2^t) into η_t, and so into c.

    >>> tx = schedule_free_adamw(0.5)
    >>> print(tx.update(4.0, tx.init(1.0), 1.0)[0].round(4))
    -0.5
    """
    rate = warmed_up(learning_rate, warmup_steps, start=1)
    adamw = chain(
        scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(rate),
    )
    return schedule_free(adamw, rate, b1, weight_lr_power, r=r)


@recipe
def schedule_free_sgd(
    learning_rate: ScalarOrSchedule = 1.0,
    momentum: DecayLike = 0.9,
    weight_decay: ScalarOrSchedule = 0.0,
    warmup_steps: Scalar = 0.0,
    r: Scalar = 0.0,
    weight_lr_power: Scalar = 2.0,
    mask: Any = None,
) -> Optimizer:
    """z ← z - η_t (g + λ y), x ← (1-c) x + c z, y = μ x + (1-μ) z; η_t, c as for AdamW.

    The authors' own program (schedulefree 1.4); Defazio et al. (2024), eqs. 1 to 3.

    >>> tx = schedule_free_sgd(0.5)
    >>> print(tx.update(4.0, tx.init(1.0), 1.0)[0])
    -2.0
    """
    rate = warmed_up(learning_rate, warmup_steps, start=1)
    descent = chain(add_decayed_weights(weight_decay, mask), scale_by_learning_rate(rate))
    return schedule_free(descent, rate, momentum, weight_lr_power, r=r)


@recipe
def prodigy(
    learning_rate: ScalarOrSchedule = 1.0,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    b3: DecayLike | None = None,
    eps: Scalar = 1e-8,
    estim_lr0: Scalar = 1e-6,
    estim_lr_coef: Scalar = 1.0,
    weight_decay: Scalar = 0.0,
    safeguard_warmup: Flag = False,
    mask: Any = None,
) -> Optimizer:
    """d ← max(d, c r / Σ|s|), θ ← θ - d η (m / (√v + d ε) + λ θ), m and v of d g, uncorrected.

    The authors' own program (prodigyopt 1.1).  Mishchenko and Defazio (2024), algorithm 4.

    >>> tx = prodigy(estim_lr0=0.5)
    >>> print(f"{tx.update(4.0, tx.init(1.0), 1.0)[0]:.3f}")  # 0.5 · 0.1 / √0.001
    -1.581
    """
    numbers = (eps, estim_lr0, estim_lr_coef, weight_decay, safeguard_warmup)
    more = {"bias_correction": False, "mask": mask}
    scaling = scale_by_prodigy(learning_rate, b1, b2, b3, *numbers, **more)
    return chain(scaling, scale(-1.0))


@recipe
def soap(
    learning_rate: ScalarOrSchedule = 0.003,
    b1: DecayLike = 0.95,
    b2: DecayLike = 0.95,
    b3: DecayLike = 0.95,
    eps: Scalar = 1e-8,
    precondition_frequency: Scalar = 10,
) -> Optimizer:
    """θ ← θ - η Q_L (M' / (√V + ε)) Q_Rᵀ, M' and V in the eigenbases of L and R.

    Vyas et al. (2025), algorithm 3, which has no decay, with the corrections of Adam's start.

    >>> import jax.numpy as jnp
    >>> tx, g = soap(0.5), jnp.array([[0.0, 2.0], [-3.0, 0.0]])
    >>> _, state = tx.update(g, tx.init(g))
    >>> print(tx.update(g, state)[0].round(3))
    [[-0.  -0.5]
     [ 0.5 -0. ]]
    """
    scaling = scale_by_soap(b1, b2, b3, eps, precondition_frequency)
    return chain(scaling, scale_by_learning_rate(learning_rate))


RECIPES: dict[str, Callable[..., Optimizer]] = {
    "ademamix": ademamix,
    "prodigy": prodigy,
    "schedule_free_adamw": schedule_free_adamw,
    "schedule_free_sgd": schedule_free_sgd,
    "soap": soap,
}
