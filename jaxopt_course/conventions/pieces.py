"""What the frameworks' recipes have in common: decay, clipping, direction and rates."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_course.base import (
    DecayLike,
    Flag,
    Scalar,
    ScalarOrSchedule,
    Transform,
    either,
    number,
)
from jaxopt_course.schedules import inverse_time_decay
from jaxopt_course.transforms import (
    add_decayed_weights,
    clip,
    clip_by_global_norm,
    clip_by_norm,
    dampened_trace,
    scale,
    scale_by_adam,
    scale_by_amsgrad,
    scale_by_rms,
    scale_by_stddev,
    trace,
)
from jaxopt_course.transforms.adam import ScaleByAdamState
from jaxopt_course.tree import Tree


def is_zero(x: Any) -> bool:
    """Whether ``x`` is None or the literal 0; a traced number is neither."""
    return x is None or (isinstance(x, int | float) and x == 0)


def clipped(
    clipnorm: Scalar | None, clipvalue: Scalar | None, global_clipnorm: Scalar | None
) -> Transform:
    """Keras's three bounds on the gradient, of which one at most is given.

    Args:
        clipnorm: on the norm of each leaf apart.
        clipvalue: on each coordinate.
        global_clipnorm: on the norm of all leaves together.

    Raises:
        ValueError: more than one is given.
    """
    bounds: dict[str, tuple[Any, Any]] = {
        "clipnorm": (clip_by_norm, clipnorm),
        "clipvalue": (clip, clipvalue),
        "global_clipnorm": (clip_by_global_norm, global_clipnorm),
    }
    given = {
        name: (make, c) for name, (make, c) in bounds.items() if c is not None and not is_zero(c)
    }
    if len(given) > 1:
        raise ValueError(f"at most one of clipnorm, clipvalue, global_clipnorm; got {list(given)}")
    for make, bound in given.values():
        return make(bound)
    return optax.identity()


def decayed(weight_decay: ScalarOrSchedule | None, mask: Any = None) -> Transform:
    """``add_decayed_weights``, or nothing for None and 0."""
    if weight_decay is None or is_zero(weight_decay):
        return optax.identity()
    return add_decayed_weights(weight_decay, mask)


def decayed_after_rate(
    learning_rate: ScalarOrSchedule, weight_decay: ScalarOrSchedule | None, mask: Any = None
) -> Transform:
    """Decoupled decay where the rate is already in the update: u - η λ θ.

    For momentum buffers that hold steps (the rate inside): the decay stays out of the buffer.
    """
    if is_zero(weight_decay):
        return optax.identity()

    def rate(step: Any) -> Any:
        return -number(at(learning_rate, step)) * number(at(weight_decay, step))

    return add_decayed_weights(rate, mask)


def coupled_or_decoupled(
    weight_decay: ScalarOrSchedule, decoupled: Flag, mask: Any = None
) -> tuple[Transform, Transform]:
    """The decay before the preconditioner and that after it; one of both is 0."""
    if not isinstance(decoupled, jax.Array):
        pair = (optax.identity(), decayed(weight_decay, mask))
        return pair if decoupled else pair[::-1]
    if callable(weight_decay):
        raise ValueError("a scheduled weight_decay needs decoupled_weight_decay as a Python bool")
    lam = number(weight_decay)
    before, after = jnp.where(decoupled, 0, lam), jnp.where(decoupled, lam, 0)
    return add_decayed_weights(before, mask), add_decayed_weights(after, mask)


def directed(maximize: Flag) -> Transform:
    """The gradient, or its opposite to climb."""
    if isinstance(maximize, jax.Array):
        return scale(jnp.where(maximize, -1.0, 1.0))
    return scale(-1.0) if maximize else optax.identity()


def remembered(
    momentum: DecayLike | None, nesterov: Flag = False, dampening: DecayLike = 0.0
) -> Transform:
    """The momentum buffer: none for None, a sum, or PyTorch's dampened sum."""
    if momentum is None:
        return optax.identity()
    if is_zero(dampening):
        return trace(momentum, nesterov)
    return dampened_trace(momentum, dampening, nesterov)


def root_mean_square(
    decay: DecayLike, eps: Scalar, centered: Flag, *, eps_in_sqrt: bool
) -> Transform:
    """RMSProp's scaling; a traced ``centered`` keeps room for the mean in both cases."""
    if not isinstance(centered, jax.Array) and not centered:
        return scale_by_rms(decay, eps, eps_in_sqrt=eps_in_sqrt)
    return scale_by_stddev(decay, eps, eps_in_sqrt=eps_in_sqrt, centered=centered)


def adam_scaling(
    b1: DecayLike, b2: DecayLike, eps: Scalar, amsgrad: Flag, *, eps_hat: bool
) -> Transform:
    """Adam's scaling or, with a maximum of the uncorrected v, AMSGrad's.

    A traced ``amsgrad`` keeps room for the maximum in both cases.
    """
    adam = scale_by_adam(b1, b2, eps, eps_hat=eps_hat)
    ams = scale_by_amsgrad(b1, b2, eps, eps_hat=eps_hat, max_before_correction=not eps_hat)
    if not isinstance(amsgrad, jax.Array):
        return ams if amsgrad else adam

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        u, new = ams.update(g, state, params)
        plain, _ = adam.update(g, ScaleByAdamState(state.count, state.mu, state.nu), params)
        return either(amsgrad, lambda: u, lambda: plain), new

    return Transform(ams.init, update)


def slowed(learning_rate: ScalarOrSchedule, decay_rate: Scalar) -> ScalarOrSchedule:
    """η_s / (1 + d s), s updates done."""
    if is_zero(decay_rate):
        return learning_rate
    factor = inverse_time_decay(1.0, decay_rate)
    return lambda step: number(at(learning_rate, step)) * factor(step)


def at(value: Any, step: Any) -> Any:
    """A number, or a schedule's value at a step."""
    return value(step) if callable(value) else value
