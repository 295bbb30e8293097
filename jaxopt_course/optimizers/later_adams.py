"""What came after Adam of its own kind: AdaBelief, Adan, ADOPT."""

from collections.abc import Callable
from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.adan import scale_by_adan
from jaxopt_course.transforms.adopt import fourth_root, scale_by_adopt
from jaxopt_course.transforms.belief import scale_by_belief
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate


@described
def adabelief(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-16,
    eps_root: Scalar = 1e-16,
    *,
    nesterov: Flag = False,
) -> Optimizer:
    """AdaBelief: θ ← θ - η m̂ / (√ŝ + ε), s ← β2 s + (1-β2) (g - m)² + ε_root.

    Args:
        learning_rate: η; where forecasts are good, steps are many times η.
        b1: β1, the decay of m.
        b2: β2, the decay of s.
        eps: ε, outside the root.
        eps_root: added to s at every step.
        nesterov: Nadam's m̂.

    Same as ``optax.adabelief``; without weight decay.  Zhuang et al. (2020), algorithm 2.

    >>> tx = adabelief(learning_rate=0.5, b1=0.5, b2=0.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))  # 4 / |4 - 2|
    -1.0
    """
    return chain(
        scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


@described
def adan(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.98,
    b2: DecayLike = 0.92,
    b3: DecayLike = 0.99,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: Any = None,
) -> Optimizer:
    """Adan: θ ← θ - η ((m̂ + (1-β2) v̂) / (√(n̂ + ε_root) + ε) + λ θ), v the mean change of g.

    Args:
        learning_rate: η; a coordinate moves by about η a step at most.
        b1: β1, the decay of m.
        b2: β2, the decay of v; 1-β2 is how far is looked ahead.
        b3: β3, the decay of n, the squares.
        eps: ε, outside the root.
        eps_root: inside the root.
        weight_decay: λ, a number or a schedule.
        mask: which leaves decay; a tree of bools or a function that makes one.

    Raises:
        ValueError: ``update`` without the parameters, where they decay.

    Same as ``optax.adan``; the paper has no bias correction and divides by 1 + η λ.  Xie et al.
    (2022), algorithm 1.

    >>> tx = adan(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0), 1.0)[0].round(4))
    -0.5
    """
    return chain(
        scale_by_adan(b1, b2, b3, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@described
def adopt(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.9999,
    eps: Scalar = 1e-6,
    mu_dtype: Any = None,
    *,
    nesterov: Flag = False,
    use_clipping: Flag = True,
    clip_value_fn: Callable[[Any], Any] | Scalar = fourth_root,
) -> Optimizer:
    """ADOPT: m ← β1 m + (1-β1) clip(g / max(√v, ε)), θ ← θ - η m; v of the gradients before g.

    Args:
        learning_rate: η; the first step is 0.
        b1: β1, the decay of m.
        b2: β2, the decay of v.
        eps: ε, the least that is divided by.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.
        nesterov: look ahead with the new m.
        use_clipping: False bounds nothing.
        clip_value_fn: the bound, a number or a function of the updates done; s^¼ by default.

    Same as ``optax.contrib.adopt``; without weight decay.  Taniguchi et al. (2024), algorithm 2.

    >>> tx = adopt(learning_rate=0.5, b1=0.0)
    >>> _, state = tx.update(4.0, tx.init(1.0))
    >>> print(tx.update(-2.0, state)[0].round(4))  # 0.5 · 2 / √16
    0.25
    """
    return chain(
        scale_by_adopt(
            b1,
            b2,
            eps,
            mu_dtype,
            nesterov=nesterov,
            use_clipping=use_clipping,
            clip_value_fn=clip_value_fn,
        ),
        scale_by_learning_rate(learning_rate),
    )
