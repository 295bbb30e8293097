"""Keras's Schedule-Free AdamW, whose mean is the plain one and whose decay comes before all."""

from typing import Any

from jaxopt_course.base import DecayLike, Scalar, ScalarOrSchedule, chain
from jaxopt_course.conventions.keras.rules import Bound, Pull, recipe
from jaxopt_course.conventions.pieces import clipped, decayed_first
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_learning_rate, scale_by_rms
from jaxopt_course.transforms.schedule_free import schedule_free, warmed_up


@recipe
def schedule_free_adamw(
    learning_rate: ScalarOrSchedule = 0.0025,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    warmup_steps: Scalar = 0.0,
    weight_decay: Pull = None,
    mask: Any = None,
    clipnorm: Bound = None,
    clipvalue: Bound = None,
    global_clipnorm: Bound = None,
) -> Optimizer:
    """``keras.optimizers.ScheduleFreeAdamW``: y ← y - η λ y, z ← z - η g / (√v̂ + ε), c = 1/t.

    x ← (1-c) x + c z is the plain mean of all z, those of the warm-up too; y = β1 x + (1-β1) z.
    The rate is η t/T before step T, but η in the decay.

    >>> tx = schedule_free_adamw(learning_rate=0.5)
    >>> print(tx.update(4.0, tx.init(1.0), 1.0)[0].round(4))
    -0.5
    """
    rate = warmed_up(learning_rate, warmup_steps, start=1)
    adam = chain(
        scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True),
        scale_by_learning_rate(rate),
    )
    free = schedule_free(adam, rate, b1, weight_lr_power=0.0)
    return chain(
        clipped(clipnorm, clipvalue, global_clipnorm),
        decayed_first(free, learning_rate, weight_decay, mask),
    )
