"""Signs: every coordinate steps alike, ±1.

    u = sign(g)        0 where g is exactly 0; g/|g| of a complex number

After a memory of gradients it is Signum, u = sign(m); after two of them Lion.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.base import Transform, check_gradient, stateless
from jaxopt_course.describe import described
from jaxopt_course.transforms.moments import modulus
from jaxopt_course.tree import Tree, cast_like, leafwise


@described
def scale_by_sign() -> Transform:
    """The sign of each coordinate, u = sign(g); its derivative is 0.

    Same as ``optax.scale_by_sign``.  Bernstein et al. (2018), algorithm 1.

    >>> u, _ = scale_by_sign().update(jnp.array([3.0, -0.1, 0.0]), scale_by_sign().init(1.0))
    >>> print(u)
    [ 1. -1.  0.]
    """

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        check_gradient(g, params)
        return cast_like(leafwise(sign, g), g), state

    return Transform(stateless, update)


def sign(x: jax.Array) -> jax.Array:
    """±1 or 0; x/|x| of a complex number."""
    if not jnp.iscomplexobj(x):
        return jax.lax.sign(x)
    return x / jnp.where(x != 0, modulus(x), 1)
