"""Lion: the sign of a momentum, so that every coordinate moves by exactly one learning rate.

    x_t = β1 m_{t-1} + (1-β1) g_t        u_t = sign(x_t)
    m_t = β2 m_{t-1} + (1-β2) g_t

One memory where Adam has two.  The step looks at the newest gradient with the weight 1-β1, the
memory takes it in with the smaller 1-β2.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_course.base import DecayLike, Transform, advance, as_decay, mean
from jaxopt_course.describe import described
from jaxopt_course.transforms.moments import memory
from jaxopt_course.transforms.signs import sign
from jaxopt_course.tree import Tree, cast_like, leafwise


class ScaleByLionState(NamedTuple):
    """Memory of :func:`scale_by_lion`."""

    count: Any  # t: (), int32
    mu: Tree  # m: structure and shapes of the parameters, at least float32, or mu_dtype


@described
def scale_by_lion(b1: DecayLike = 0.9, b2: DecayLike = 0.99, mu_dtype: Any = None) -> Transform:
    """Lion: u = sign(β1 m + (1-β1) g), m ← β2 m + (1-β2) g.

    All coordinates step alike, ±1, or 0 where x is exactly 0; gradients of 1e-20 as far as those
    of 1e20.  Wants a learning rate 3 to 10 times smaller than Adam's, and a weight decay as much
    larger.

    Args:
        b1: β1 in [0, 1), no unit; of the step.
        b2: β2 in [0, 1), no unit; of the memory.
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.

    The sign of a complex number is x/|x|.  The derivative by β1 and β2 is 0, as the sign's.
    Nothing is squared: a gradient of 1e30 outvotes all others for 1/(1-β2) steps times its
    logarithm.  Same as ``optax.scale_by_lion``.  Chen et al. (2023), algorithm 2.

    >>> lion = scale_by_lion()
    >>> u, _ = lion.update(jnp.array([3.0, -0.1, 0.0]), lion.init(jnp.zeros(3)))
    >>> print(u)
    [ 1. -1.  0.]
    """

    def init(params: Tree) -> ScaleByLionState:
        return ScaleByLionState(jnp.zeros((), jnp.int32), memory(params, mu_dtype))

    def update(g: Tree, state: ScaleByLionState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2 = mean(as_decay(b1)), mean(as_decay(b2))
        u = leafwise(lambda m, g: sign(beta1(m, g)), state.mu, g)
        m = leafwise(beta2, state.mu, g)
        return cast_like(u, g), ScaleByLionState(advance(state.count), cast_like(m, state.mu))

    return Transform(init, update)
