"""Caution: of another's update, only the coordinates that go downhill on the newest gradient.

    φ = 1 where u and g agree, else 0        u ← φ u n / (Σ φ + ξ)        for each leaf of n numbers

A memory can point uphill, after the gradient has turned.  Those coordinates rest, the others step
further, so that the mean step stays.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_course.base import Flag, Scalar, Transform, either, number
from jaxopt_course.describe import described
from jaxopt_course.tree import Tree, cast_like, leafwise


class CautiousState(NamedTuple):
    """Memory of :func:`cautious`."""

    inner_state: Any  # of the transformation inside


@described
def cautious(
    inner: Transform, xi: Scalar = 1.0, *, downhill: Flag = True
) -> optax.GradientTransformationExtraArgs:
    """The update of ``inner`` where it and the gradient agree, 0 elsewhere, and longer for it.

        cautious(adam(1e-3))                                      a whole recipe
        chain(cautious(scale_by_adam(), downhill=False),          C-AdamW: the decay is not masked
              add_decayed_weights(0.1), scale_by_learning_rate(1e-3))

    Args:
        inner: a transformation, its numbers may be traced.
        xi: ξ >= 0, no unit; keeps the factor n / (Σφ + ξ) off n where few agree.
        downhill: whether the updates of ``inner`` are steps, against the gradient, as a recipe's
            are; False for those of a ``scale_by_...``, along the gradient; may be traced.

    A complex number agrees where Re(u ḡ) is positive.  The
    derivative of φ is 0.  Liang, Chen, Liu and Liu (2024), algorithm 1.

    >>> from jaxopt_course.optimizers import momentum
    >>> tx = cautious(momentum(learning_rate=1.0, momentum=0.5), xi=0.0)
    >>> _, state = tx.update(jnp.array([4.0, 1.0]), tx.init(jnp.zeros(2)))
    >>> print(tx.update(jnp.array([-1.0, 1.0]), state)[0])  # of -1, -1.5, twice what goes down
    [ 0. -3.]
    """
    inner = optax.with_extra_args_support(inner)

    def update(
        g: Tree, state: CautiousState, params: Tree = None, **extra: Any
    ) -> tuple[Tree, Any]:
        offset = number(xi)
        u, after = inner.update(g, state.inner_state, params, **extra)

        def masked(u: jax.Array, g: jax.Array) -> jax.Array:
            along = jnp.real(u * jnp.conj(g)) if jnp.iscomplexobj(u) else u * g
            agree = either(downhill, lambda: along < 0, lambda: along > 0)
            count = jnp.sum(agree, dtype=offset.dtype)
            factor = u.size / jnp.maximum(count + offset, jnp.finfo(offset.dtype).tiny)
            return jnp.where(agree, factor * u, jnp.zeros_like(u))

        return cast_like(leafwise(masked, u, g), u), CautiousState(after)

    init = lambda params: CautiousState(inner.init(params))
    return optax.GradientTransformationExtraArgs(init, update)
