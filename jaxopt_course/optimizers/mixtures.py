"""Adam with a mixture of a short and a long memory of gradients."""

from typing import Any

from jaxopt_course.base import DecayLike, Scalar, ScalarOrSchedule, Schedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.ademamix import scale_by_ademamix
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate


@described
def ademamix(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    b3: DecayLike | Schedule = 0.9999,
    alpha: ScalarOrSchedule = 5.0,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: Any = None,
    *,
    b3_warmup: Scalar = 0.0,
    alpha_warmup: Scalar = 0.0,
) -> Optimizer:
    """AdEMAMix: θ ← θ - η ((m̂ + α n) / (√v̂ + ε) + λ θ), n ← β3 n + (1-β3) g a long memory.

    Args:
        learning_rate: η, also a factor of the decay.
        b1: β1, the decay of m.
        b2: β2, the decay of v.
        b3: β3, the decay of n, or a schedule of it; 0.999 for a few thousand steps.
        alpha: α, the weight of n, or a schedule of it; the paper takes 4 to 10.
        eps: ε, outside the root, on v̂.
        eps_root: inside the root.
        mu_dtype: dtype of m and n; that of the parameters by default, but at least float32.
        weight_decay: λ, a number or a schedule.
        mask: which leaves decay; a tree of bools or a function that makes one.
        b3_warmup: steps in which β3 grows from β1, its half-life on a line; 0 is none.
        alpha_warmup: steps in which α grows from 0 on a line; 0 is none.

    Raises:
        ValueError: ``update`` without the parameters, where they decay.

    Same as ``optax.contrib.ademamix``, which knows the warm-ups as schedules only.  The paper lets
    both last for the whole training.  Pagliardini, Ablin and Grangier (2024), algorithm 1.

    >>> tx = ademamix(learning_rate=0.5, b3=0.5, alpha=2.0)
    >>> print(tx.update(4.0, tx.init(1.0))[0].round(4))  # 0.5 (1 + 2 · ½)
    -1.0
    """
    return chain(
        scale_by_ademamix(
            b1,
            b2,
            b3,
            alpha,
            eps,
            eps_root,
            mu_dtype,
            b3_warmup=b3_warmup,
            alpha_warmup=alpha_warmup,
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
