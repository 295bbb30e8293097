"""Regularisation as columns of a table: what the named losses, ``MLP`` and ``CNN`` know by name.

    column            read by          what it does
    dropout           MLP, CNN         hidden units are dropped with this probability
    label_smoothing   cross-entropies  targets become (1 - a) y + a / K
    l2                named losses     adds l2 times the sum of squares of all weight matrices

They are there where the table has them, and where the optimizer's own function does not read a
column of that name.  Validation and test are measured without them.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.tree import Tree

# column -> (least, most, whether the most is one of them)
BOUNDS = {"dropout": (0.0, 1.0, False), "label_smoothing": (0.0, 1.0, True)}
BOUNDS |= {"l2": (0.0, math.inf, False)}


def dropout(x: jax.Array, rate: Any, key: jax.Array) -> jax.Array:
    """Each element 0 with probability ``rate``, else divided by 1 - rate (Srivastava et al. 2014).

        y = x m / (1 - p),   m ~ Bernoulli(1 - p)

    The rate may be traced, so a column of a table serves: Flax's ``Dropout`` asks in Python whether
    its rate is 0, and cannot.  At rate 0 the result is ``x``, bit for bit.  In training only: the
    caller leaves it out of an evaluation.

    Args:
        x: any shape, floating point.
        rate: p in [0, 1], a scalar; beyond, a traced one gives NaN.
        key: a PRNG key, another one for each layer and step.

    Raises:
        ValueError: a Python rate outside [0, 1].

    >>> import jax, jax.numpy as jnp
    >>> key = jax.random.key(0)
    >>> sorted(set(dropout(jnp.ones(99), 0.5, key).tolist()))
    [0.0, 2.0]
    """
    if isinstance(rate, int | float | np.number) and not 0 <= rate <= 1:
        raise ValueError(f"a dropout rate must be in [0, 1], not {rate}")
    rate = jnp.asarray(rate, x.dtype)
    rate = jnp.where((rate >= 0) & (rate <= 1), rate, jnp.nan)
    keep = jax.random.bernoulli(key, 1 - rate, x.shape)
    left = jnp.where(rate < 1, 1 - rate, 1)  # at rate 1 all is dropped, and so is the gradient
    return jnp.where(keep, x / left, 0 * rate)


def squared_weights(params: Tree) -> jax.Array:
    """The sum of squares of all weights with two axes or more: kernels, not biases or scales."""
    kernels = [x for x in jax.tree.leaves(params) if x.ndim > 1]
    return sum((jnp.sum(jnp.square(x)) for x in kernels), jnp.zeros(()))


def column(row: Mapping[str, Any] | None, name: str) -> Any:
    """The number of a column, None where the table does not have it."""
    return None if row is None or name not in row else row[name]


def drop(
    x: jax.Array, row: Mapping[str, Any] | None, key: jax.Array | None, layer: int
) -> jax.Array:
    """A hidden layer's units, some dropped where the row has a "dropout" and a key is given."""
    if key is None or (rate := column(row, "dropout")) is None:
        return x
    return dropout(x, rate, jax.random.fold_in(key, layer))
