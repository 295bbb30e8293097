"""Weight decay: pull the parameters towards 0, before or after the preconditioner.

    u = g + λ θ

First in a chain it is coupled, the gradient of an L2 penalty: ½ λ Σθ² has the gradient λ θ, so a
penalty written λ Σθ² (the notes, Keras) is ``add_decayed_weights(2 λ)``.  An adaptive method then
divides the decay by its second moment too.  After the preconditioner it is decoupled (AdamW):

    coupled      chain(add_decayed_weights(λ), scale_by_adam(), scale_by_learning_rate(η))
    decoupled    chain(scale_by_adam(), add_decayed_weights(λ), scale_by_learning_rate(η))

For plain gradient descent both are one: θ ← (1 - η λ) θ - η g.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.base import ScalarOrSchedule, Transform, advance, number, stateless
from jaxopt_course.describe import described
from jaxopt_course.transforms.masks import as_function
from jaxopt_course.tree import Tree, cast_like, check_floating, leafwise


class WeightDecaySchedule(NamedTuple):
    """Memory of :func:`add_decayed_weights` with a schedule."""

    count: Any  # s, updates done: (), int32


@described
def add_decayed_weights(weight_decay: ScalarOrSchedule = 0.0, mask: Any = None) -> Transform:
    """Weight decay, u = g + λ θ.

    Args:
        weight_decay: λ >= 0, or a schedule of it; in units of g over θ.
        mask: a tree of bools (or a function of the parameters that returns one): which leaves
            decay, as in ``optax.masked``.  Biases and norm scales are commonly spared.

    Raises:
        TypeError: a mask that is no tree of bools.
        ValueError: ``update`` was called without the parameters, or the mask is another tree than
            they are (path in the message).

    Same as ``optax.add_decayed_weights``.  Loshchilov and Hutter (2019), algorithms 1 and 2.

    >>> pull = add_decayed_weights(0.5)
    >>> theta = jnp.array(4.0)
    >>> u, _ = pull.update(jnp.array(1.0), pull.init(theta), theta)
    >>> print(u)
    3.0
    """

    def init(params: Tree) -> Any:
        if callable(weight_decay):
            check_floating(params)
            return WeightDecaySchedule(jnp.zeros((), jnp.int32))
        return stateless(params)

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        if isinstance(weight_decay, int | float | np.number) and weight_decay == 0:
            return g, state  # a literal 0 needs no parameters
        if params is None:
            raise ValueError("add_decayed_weights needs the parameters: update(g, state, params)")
        if callable(weight_decay):
            lam = number(weight_decay(state.count))
            state = WeightDecaySchedule(advance(state.count))
        else:
            lam = number(weight_decay)
        return cast_like(leafwise(lambda p, g: g + lam * p, params, g), g), state

    transform = Transform(init, update)
    return transform if mask is None else optax.masked(transform, as_function(mask))
