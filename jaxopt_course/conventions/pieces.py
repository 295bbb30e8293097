"""What the frameworks' recipes have in common: decay, clipping, direction and rates."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.base import (
    Decay,
    DecayLike,
    Flag,
    Scalar,
    ScalarOrSchedule,
    Transform,
    apply_updates,
    either,
    number,
)
from jaxopt_course.describe import NOTE
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
    """Whether ``x`` is None or written as 0; an array of JAX is data, of which no state depends.

    ``optax.inject_hyperparams`` makes the state with arrays and updates it with traced ones.

    >>> is_zero(0), is_zero(np.float64(0)), is_zero(jnp.array(0.0)), is_zero(0.1)
    (True, True, False, False)
    """
    return x is None or (_is_known(x) and not isinstance(x, jax.Array) and bool(np.asarray(x) == 0))


def is_other_than_zero(x: Any) -> bool:
    """Whether ``x`` is a number other than 0, for certain; a traced one is not."""
    return _is_known(x) and bool(np.asarray(x) != 0)


def is_on(flag: Flag) -> bool:
    """Whether a switch is on, for certain; a traced one is not."""
    return _is_known(flag) and bool(np.asarray(flag))


def _is_known(x: Any) -> bool:
    """Whether ``x`` is one number that Python can look at."""
    if isinstance(x, int | float):
        return True
    arrays = isinstance(x, np.generic | np.ndarray | jax.Array)
    return arrays and np.ndim(x) == 0 and not isinstance(x, jax.core.Tracer)


def clipped(
    clipnorm: Scalar | None, clipvalue: Scalar | None, global_clipnorm: Scalar | None
) -> Transform:
    """Keras's three bounds on the gradient, of which one at most is given.

    A bound that is not above 0 bounds nothing, as in Keras, whether it is a literal or traced.

    Args:
        clipnorm: on the norm of each leaf apart.
        clipvalue: on each coordinate.
        global_clipnorm: on the norm of all leaves together.

    Raises:
        ValueError: more than one is given.

    >>> print(clipped(None, jnp.array(-1.0), None).update(4.0, optax.EmptyState())[0])
    4.0
    """
    bounds: dict[str, tuple[Any, Any]] = {
        "clipnorm": (clip_by_norm, clipnorm),
        "clipvalue": (clip, clipvalue),
        "global_clipnorm": (clip_by_global_norm, global_clipnorm),
    }
    given = {
        name: (make, c)
        for name, (make, c) in bounds.items()
        if c is not None and not (_is_known(c) and not np.asarray(c) > 0)
    }
    if len(given) > 1:
        raise ValueError(f"at most one of clipnorm, clipvalue, global_clipnorm; got {list(given)}")
    for make, bound in given.values():
        return make(bound) if _is_known(bound) else _where_positive(make, bound)
    return optax.identity()


def _where_positive(make: Callable[[Any], Transform], bound: jax.Array) -> Transform:
    on = bound > 0
    inner = make(jnp.where(on, bound, 1))  # 1, for a slope at a bound of 0 may be infinite

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        u, state = inner.update(g, state, params)
        return jax.tree.map(lambda u, g: jnp.where(on, u, g), u, g), state

    return Transform(inner.init, update)


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


class DecayedFirstState(NamedTuple):
    """Memory of a transformation behind a decay."""

    inner_state: Any
    decay_state: Any


def decayed_first(
    inner: Transform,
    learning_rate: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule | None,
    mask: Any = None,
) -> Transform:
    """θ ← (1 - η λ) θ, and then the step of ``inner`` from there: for steps that depend on θ."""
    if is_zero(weight_decay):
        return inner
    pull = decayed_after_rate(learning_rate, weight_decay, mask)

    def init(params: Tree) -> DecayedFirstState:
        return DecayedFirstState(inner.init(params), pull.init(params))

    def update(
        g: Tree, state: DecayedFirstState, params: Tree = None, **extra: Any
    ) -> tuple[Tree, DecayedFirstState]:
        if params is None:
            raise ValueError("a weight decay needs the parameters: update(g, state, params)")
        down, decayed = pull.update(jax.tree.map(jnp.zeros_like, g), state.decay_state, params)
        u, after = inner.update(g, state.inner_state, apply_updates(params, down), **extra)
        return jax.tree.map(jnp.add, u, down), DecayedFirstState(after, decayed)

    return optax.GradientTransformationExtraArgs(init, update)


def relative_step(learning_rate: ScalarOrSchedule) -> Callable[[Any], Any]:
    """Adafactor's ρ = min(η, 1/√t), t = s + 1 for s updates done."""

    def rate(step: Any) -> jax.Array:
        eta = number(at(learning_rate, step))
        return jnp.minimum(eta, 1 / jnp.sqrt(jnp.asarray(step, eta.dtype) + 1))

    return rate


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
    if isinstance(dampening, int | float | np.number):
        dampening = Decay.of(dampening)  # torch takes a negative one, which as a number is refused
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


def by_coordinates(scaling: Transform) -> Transform:
    """PyTorch's reading of a complex leaf: two coordinates, each scaled by itself.

    The memories of a complex leaf have an axis more, (real, imaginary), and are real.

    >>> signs = by_coordinates(scale_by_rms(0.0, 0.0))
    >>> g = jnp.array([3 - 4j])
    >>> print(signs.update(g, signs.init(g))[0])
    [1.-1.j]
    """
    start, step = scaling

    def init(params: Tree) -> Any:
        return start(jax.tree.map(_pair, params))

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        if not any(map(np.iscomplexobj, jax.tree.leaves(g))):
            return step(g, state, params)
        u, state = step(jax.tree.map(_pair, g), state, jax.tree.map(_pair, params))
        return jax.tree.map(_unpair, u, g), state

    if hasattr(step, NOTE):  # it is read as what it lifts
        setattr(update, NOTE, getattr(step, NOTE))
    return Transform(init, update)


def _pair(x: Any) -> Any:
    if isinstance(x, jax.ShapeDtypeStruct) and np.iscomplexobj(x):
        return jax.ShapeDtypeStruct((*x.shape, 2), jnp.finfo(x.dtype).dtype)
    return jnp.stack([jnp.real(x), jnp.imag(x)], axis=-1) if np.iscomplexobj(x) else x


def _unpair(u: Any, like: Any) -> Any:
    return jax.lax.complex(u[..., 0], u[..., 1]) if np.iscomplexobj(like) else u


def slowed(learning_rate: ScalarOrSchedule, decay_rate: Scalar) -> ScalarOrSchedule:
    """η_s / (1 + d s), s updates done."""
    if is_zero(decay_rate):
        return learning_rate
    factor = inverse_time_decay(1.0, decay_rate)
    return lambda step: number(at(learning_rate, step)) * factor(step)


def at(value: Any, step: Any) -> Any:
    """A number, or a schedule's value at a step."""
    return value(step) if callable(value) else value
