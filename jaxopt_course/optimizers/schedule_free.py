"""Schedule-Free recipes: an average of the iterates is evaluated, and no rate need fall."""

from typing import Any

import numpy as np
import optax

from jaxopt_course.base import DecayLike, Scalar, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate
from jaxopt_course.transforms.schedule_free import schedule_free, warmed_up
from jaxopt_course.transforms.second_moment import scale_by_rms


@described
def schedule_free_sgd(
    learning_rate: ScalarOrSchedule = 1.0,
    warmup_steps: Scalar | None = None,
    b1: DecayLike = 0.9,
    weight_decay: ScalarOrSchedule | None = None,
    weight_lr_power: Scalar = 2.0,
    state_dtype: Any = None,
    *,
    mask: Any = None,
) -> Optimizer:
    """Schedule-Free gradient descent: z ← z - η (∇f(y) + λ y), x a mean of the z, y between them.

    The parameters are y, and those to be evaluated x (``evaluation_params``).

    Args:
        learning_rate: η.
        warmup_steps: T: the rate is η s/T before step T; None or 0 is none.
        b1: β1 in (0, 1), y = β1 x + (1-β1) z.
        weight_decay: λ, of y; None or 0 is none.
        weight_lr_power: p, a step counts in the mean by the p-th power of the largest η so far.
        state_dtype: dtype of z; that of the parameters by default, but at least float32.
        mask: which leaves decay; a tree of bools or a function that makes one.

    Raises:
        ValueError: β1 is 0; ``update`` without the parameters.

    Same as ``optax.contrib.schedule_free_sgd``, which has no mask, but that a step is weighed by
    its own rate (see :func:`~jaxopt_course.transforms.schedule_free`).  Defazio et al. (2024).

    >>> tx = schedule_free_sgd(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0), 1.0)[0])  # x = z after the first step
    -2.0
    """
    rate = warmed_up(learning_rate, warmup_steps)
    lam = weight_decay
    decay = optax.identity() if lam is None else add_decayed_weights(lam, mask)
    descent = chain(decay, scale_by_learning_rate(rate))
    return schedule_free(descent, rate, b1, weight_lr_power, state_dtype)


@described
def schedule_free_adamw(
    learning_rate: ScalarOrSchedule = 0.0025,
    warmup_steps: Scalar | None = None,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_lr_power: Scalar = 2.0,
    state_dtype: Any = None,
    *,
    mask: Any = None,
) -> Optimizer:
    """Schedule-Free AdamW: z ← z - η (g / (√v̂ + ε) + λ y), x a mean of the z, y between them.

    The parameters are y, and those to be evaluated x (``evaluation_params``).  g and v̂ are taken at
    y; β1 stands for Adam's momentum.  Rates are some 1 to 10 times Adam's.

    Args:
        learning_rate: η.
        warmup_steps: T: the rate is η s/T before step T; None or 0 is none.
        b1: β1 in (0, 1), y = β1 x + (1-β1) z.
        b2: β2, the decay of v.
        eps: ε, outside the root, on v̂.
        weight_decay: λ, of y, decoupled; a number or a schedule.
        weight_lr_power: p, a step counts in the mean by the p-th power of the largest η so far.
        state_dtype: dtype of z; that of the parameters by default, but at least float32.
        mask: which leaves decay; a tree of bools or a function that makes one.

    Raises:
        ValueError: β1 is 0; ``update`` without the parameters.

    Same as ``optax.contrib.schedule_free_adamw``, which has no mask, but that a step is weighed by
    its own rate (see :func:`~jaxopt_course.transforms.schedule_free`).  Defazio et al. (2024),
    algorithm 1.

    >>> tx = schedule_free_adamw(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0), 1.0)[0].round(4))
    -0.5
    """
    rate = warmed_up(learning_rate, warmup_steps)
    # a literal 0 would be left out, and LLVM then round another of the step's products
    known = isinstance(weight_decay, int | float | np.number)
    lam = np.asarray(weight_decay) if known else weight_decay
    adamw = chain(
        scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True),
        add_decayed_weights(lam, mask),
        scale_by_learning_rate(rate),
    )
    return schedule_free(adamw, rate, b1, weight_lr_power, state_dtype)
