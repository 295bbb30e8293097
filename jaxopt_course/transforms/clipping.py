"""Clipping: bound an update before it does harm.

    clip                   u = min(max(g, -d), d)            by coordinate
    clip_by_norm           u = g min(1, c / ‖g‖)             ‖g‖ of each leaf
    clip_by_global_norm    u = g min(1, c / ‖g‖)             ‖g‖ of all leaves together

First in a chain it bounds gradients, last it bounds steps.  ‖g‖ = √Σ|g|² is summed in at least
float32, and gradients of 1e30, whose squares overflow, are still measured.

    a gradient is NaN      clip passes it on; by norm all of the leaf (or tree) becomes NaN
    a gradient is ±∞       clip gives ±d; by norm that coordinate becomes NaN, the others 0

A literal bound below 0, which would turn steps round, is refused; a traced one cannot be looked at.
A diverged step so stays visible; to skip it, wrap the chain in ``optax.apply_if_finite``.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.base import Scalar, Transform, check_gradient, number, stateless
from jaxopt_course.describe import described
from jaxopt_course.transforms.moments import modulus
from jaxopt_course.tree import Tree, abs_square, cast_like, leafwise, root


@described
def clip(max_delta: Scalar) -> Transform:
    """Each coordinate between -d and d; complex ones in the disk of radius d.

    Args:
        max_delta: d >= 0, in units of g.

    Raises:
        ValueError: d is a number below 0, or NaN.

    Same as ``optax.clip`` (which takes real numbers only) and Keras's ``clipvalue``.

    >>> u, _ = clip(1.0).update(jnp.array([3.0, -0.5, -2.0]), clip(1.0).init(jnp.zeros(3)))
    >>> print(u)
    [ 1.  -0.5 -1. ]
    """
    _check_bound(max_delta, "clip's max_delta")

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        check_gradient(g, params)
        d = number(max_delta)

        def bound(g: jax.Array) -> jax.Array:
            return g * _shrink(modulus(g), d) if jnp.iscomplexobj(g) else jnp.clip(g, -d, d)

        return cast_like(leafwise(bound, g), g), state

    return Transform(stateless, update)


@described
def clip_by_norm(max_norm: Scalar) -> Transform:
    """Each leaf shrunk to the norm c, if it is longer: u = g min(1, c / ‖g‖).

    Args:
        max_norm: c >= 0, in units of g.

    Raises:
        ValueError: c is a number below 0, or NaN.

    Keras's ``clipnorm``; not in optax, whose ``clip_by_global_norm`` measures all leaves together.

    >>> g = [jnp.array([3.0, 4.0]), jnp.array([12.0])]
    >>> print(clip_by_norm(1.0).update(g, clip_by_norm(1.0).init(g))[0])
    [Array([0.6, 0.8], dtype=float32), Array([1.], dtype=float32)]
    """
    _check_bound(max_norm, "clip_by_norm's max_norm")

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        check_gradient(g, params)
        c = number(max_norm)
        return cast_like(leafwise(lambda g: g * _shrink(_norm([g]), c), g), g), state

    return Transform(stateless, update)


@described
def clip_by_global_norm(max_norm: Scalar) -> Transform:
    """All leaves shrunk by one factor to the norm c, if they are longer: u = g min(1, c / ‖g‖).

    The direction of the step stays.  Leaves that are not there (None, masked) do not count.

    Args:
        max_norm: c >= 0, in units of g.

    Raises:
        ValueError: c is a number below 0, or NaN.

    Same as ``optax.clip_by_global_norm``, but ‖g‖ is exact for half precision and for 1e30.
    Pascanu, Mikolov and Bengio (2013), algorithm 1.

    >>> g = [jnp.array([3.0]), jnp.array([4.0])]
    >>> print(clip_by_global_norm(1.0).update(g, clip_by_global_norm(1.0).init(g))[0])
    [Array([0.6], dtype=float32), Array([0.8], dtype=float32)]
    """
    _check_bound(max_norm, "clip_by_global_norm's max_norm")

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        check_gradient(g, params)
        wide = leafwise(lambda g: g, g)
        factor = _shrink(_norm(jax.tree.leaves(wide)), number(max_norm))
        return cast_like(leafwise(lambda g: g * factor, wide), g), state

    return Transform(stateless, update)


def global_norm(tree: Tree) -> jax.Array:
    """√Σ|x|² over all leaves: (), at least float32; exact where |x|² overflows.

    Raises:
        ValueError: a leaf is not floating point (path in the message).

    >>> print(f"{global_norm([jnp.full(2, 300.0, jnp.float16)]):.2f}")
    424.26
    """
    return _norm(jax.tree.leaves(leafwise(lambda x: x, tree)))


def _check_bound(bound: Any, name: str) -> None:
    if isinstance(bound, int | float | np.number) and not bound >= 0:
        raise ValueError(f"{name} must be at least 0, not {bound}")


def _norm(leaves: Sequence[jax.Array]) -> jax.Array:
    dtype = jnp.result_type(jnp.float32, *(jnp.real(x).dtype for x in leaves))
    tiny = 2.0 ** -(jnp.finfo(dtype).maxexp // 2 + 2)  # x² tiny² overflows for no x

    def total(scale: float) -> jax.Array:
        squares = (abs_square(x * jnp.asarray(scale, dtype)) for x in leaves)
        return sum((jnp.sum(x) for x in squares), jnp.zeros((), dtype))

    plain, scaled = total(1.0), total(tiny)  # both in one pass over the leaves
    return jnp.where(jnp.isfinite(plain), root(plain), root(scaled) / tiny)


def _shrink(norm: jax.Array, bound: jax.Array) -> jax.Array:
    """min(1, c / ‖g‖), exactly 1 inside the bound; NaN for NaN."""
    inside = norm <= bound
    return jnp.where(inside, 1, bound / jnp.where(inside, 1, norm))
