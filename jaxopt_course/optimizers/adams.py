"""Adam and its kin: a memory of gradients over one of their squares."""

from typing import Any

from jaxopt_course.base import DecayLike, Flag, Scalar, ScalarOrSchedule, chain
from jaxopt_course.describe import described
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.transforms.adam import scale_by_adam, scale_by_adamax
from jaxopt_course.transforms.adam_variants import scale_by_amsgrad, scale_by_radam
from jaxopt_course.transforms.decay import add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate


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
def nadamw(
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    b2: DecayLike = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    mu_dtype: Any = None,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: Any = None,
    *,
    nesterov: Flag = True,
) -> Optimizer:
    """Nadam with decoupled weight decay: :func:`adamw` with ``nesterov=True``.

    Args:
        learning_rate: η, also a factor of the decay.
        b1: β1, as in :func:`adam`; the same at all times.
        b2: β2, as in :func:`adam`.
        eps: ε, as in :func:`adam`.
        eps_root: as in :func:`adam`.
        mu_dtype: as in :func:`adam`.
        weight_decay: λ, a number or a schedule.
        mask: which leaves decay; a tree of bools or a function that makes one.
        nesterov: False is :func:`adamw`.

    Raises:
        ValueError: ``update`` without the parameters.

    Same as ``optax.nadamw``.  PyTorch's NAdam (with ``decoupled_weight_decay``) and Keras's Nadam
    let β1 grow in the first steps.  Dozat (2016), algorithm 2; Loshchilov and Hutter (2019).

    >>> tx = nadamw(learning_rate=0.5, b1=0.5, weight_decay=0.25)
    >>> print(tx.update(4.0, tx.init(8.0), 8.0)[0].round(4))  # 4/3 + 0.25 · 8
    -1.6667
    """
    options = (b1, b2, eps, eps_root, mu_dtype, weight_decay, mask)
    return adamw(learning_rate, *options, nesterov=nesterov)


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
