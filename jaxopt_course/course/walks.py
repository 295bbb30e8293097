"""What lessons compare to twelve digits: functions in JAX, and the way of rules and optimizers.

A rule of the blackboard is a function in NumPy,

    rule(w, memory, slope, t) -> (w, memory)        t = 1, 2, ..., and memory is 0.0 at first

and ``slope(w, t)`` is the gradient, in NumPy or in JAX alike: a rule may look for it where it
wants, as Nesterov's does.  An optimizer of the library is looked at in the same words.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Slope = Callable[[Any, Any], Any]


def exact(f: Callable[..., Any], *numbers: Any) -> np.ndarray:
    """What a function in JAX gives, compiled and in float64.

    >>> float(exact(lambda x: x / 3, 1.0)) == 1 / 3
    True
    """
    with jax.enable_x64(True):
        return np.asarray(jax.jit(f)(*map(np.float64, numbers)))


def walk(method: Any, slope: Slope, start: Any, steps: int) -> np.ndarray:
    """The parameters after each step, in float64; the steps come first.

    Args:
        method: a rule in NumPy, or an optimizer with ``init`` and ``update``.
        slope: the gradient at ``w`` in step ``t``, from 1.
        start: the parameters before the first step.
        steps: how many.

    >>> halves = lambda w, memory, slope, t: (w - 0.5 * slope(w, t), memory)
    >>> print(walk(halves, lambda w, t: w, 8.0, 3))
    [4. 2. 1.]
    """
    if hasattr(method, "update"):
        return exact(lambda w: compiled_walk(method, slope, w, steps), start)
    w, memory, path = np.asarray(start, np.float64), 0.0, []
    for t in range(1, steps + 1):
        w, memory = method(w, memory, slope, t)
        path.append(w)
    return np.array(path)


def follow(method: Any, slope: Slope, start: Any, steps: int) -> np.ndarray:
    """As :func:`walk`, with the start before it: (steps + 1, ...), in float64.

    >>> from jaxopt_course.optimizers import sgd
    >>> print(follow(sgd(0.5), lambda w, t: w, 8.0, 3))
    [8. 4. 2. 1.]
    """
    begin = np.asarray(start, np.float64)
    return np.concatenate([begin[None], walk(method, slope, begin, steps)])


def compiled_walk(tx: Any, slope: Slope, start: jax.Array, steps: int) -> jax.Array:
    """As :func:`walk`, of an optimizer inside a program."""

    def step(carry: Any, t: jax.Array) -> Any:
        w, state = carry
        u, state = tx.update(slope(w, t), state, w)
        return (w + u, state), w + u

    return jax.lax.scan(step, (start, tx.init(start)), jnp.arange(1, steps + 1))[1]
