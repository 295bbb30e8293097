"""The trust ratio: each leaf steps in proportion to its own size.

    u = c ‖θ‖ / (‖g‖ + ε) g         and u = g where ‖θ‖ or ‖g‖ is 0

Then a step changes every layer by the same share of it, whatever the size of its gradient: large
batches take large rates.  LARS puts it on g + λ θ, LAMB on the step of Adam.  ‖·‖ = √Σ|·|² of each
leaf apart.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import Scalar, Transform, numbers, stateless
from jaxopt_course.describe import described
from jaxopt_course.transforms.clipping import global_norm
from jaxopt_course.tree import Tree, cast_like, leafwise


@described
def scale_by_trust_ratio(
    min_norm: Scalar = 0.0, trust_coefficient: Scalar = 1.0, eps: Scalar = 0.0
) -> Transform:
    """Each leaf to the size of its parameter: u = c ‖θ‖ / (‖g‖ + ε) g, or g if one of both is 0.

    Args:
        min_norm: the least that ‖θ‖ and ‖g‖ count.
        trust_coefficient: c > 0; the share of θ that a step of rate 1 is.
        eps: ε >= 0, in units of g.

    Raises:
        ValueError: ``update`` was called without the parameters.

    A leaf with a NaN becomes NaN as a whole; norms are exact where their squares overflow.
    Same as ``optax.scale_by_trust_ratio``.  You, Gitman and Ginsburg (2017), §4.

    >>> ratio = scale_by_trust_ratio()
    >>> theta = jnp.array([3.0, 4.0])
    >>> print(ratio.update(jnp.array([0.0, 2.0]), ratio.init(theta), theta)[0])
    [0. 5.]
    """

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        if params is None:
            raise ValueError("scale_by_trust_ratio needs the parameters: update(g, state, params)")
        least, c, e = numbers(min_norm, trust_coefficient, eps)

        def scaled(p: jax.Array, g: jax.Array) -> jax.Array:
            ours, theirs = (jnp.maximum(_norm(x), least) for x in (p, g))
            none = (ours == 0) | (theirs == 0)
            return g * jnp.where(none, 1, c * ours / jnp.where(none, 1, theirs + e))

        return cast_like(leafwise(scaled, params, g), g), state

    return Transform(stateless, update)


def _norm(x: jax.Array) -> jax.Array:
    """‖x‖, and 0 exactly for zeros, of which ``global_norm`` keeps off for its slope."""
    return jnp.where(jnp.any(x != 0), global_norm(x), 0)
