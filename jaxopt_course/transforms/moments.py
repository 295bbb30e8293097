"""What memories of gradients have in common: their dtypes, and the correction of their start.

    memory      zeros in the shapes of the parameters, at least float32 unless it is asked otherwise
    bias        1 - b^t, the share of a mean of t terms that is not its start at 0
    eps_split   ε inside a root, √(v + ε), or outside, √v + ε
    eps_at      ε on the corrected second moment, or (ε "hat") on the uncorrected one

With c = 1 - β2^t, both places of ε are one formula, m̂ / (√(v/c + ε_root) + ε), in other numbers:

    on v̂ = v/c      ε,       ε_root
    on v             ε / √c,  ε_root / c         which is  √c m̂ / (√(v + ε_root) + ε)
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_course.base import ClosedDecay, Flag, Scalar, either, number, numbers, select
from jaxopt_course.tree import Tree, check_floating, floating_dtype, leafwise, wide_dtype


def memory(params: Tree, dtype: Any = None) -> Tree:
    """Zeros to gather gradients in: structure and shapes of ``params``.

    Args:
        params: a tree of arrays.
        dtype: of every leaf; by default that of the parameter, but at least 32 bits a number.  In
            bfloat16 a mean with b = 0.999 stops on the way, where its steps round to nothing.

    Raises:
        TypeError: ``dtype`` is none, or of whole numbers.
        ValueError: a leaf is not floating point (path in the message).

    >>> memory([jnp.ones(2, jnp.bfloat16)])
    [Array([0., 0.], dtype=float32)]
    """
    check_floating(params)
    dtype = floating_dtype(dtype, "the dtype of a memory")
    return jax.tree.map(lambda p: jnp.zeros_like(p, dtype=dtype or wide_dtype(p)), params)


def copied(params: Tree, dtype: Any = None) -> Tree:
    """A copy of the parameters to keep, which shares no buffer with them; dtypes as :func:`memory`.

    Of abstract parameters zeros.

    Raises:
        TypeError: ``dtype`` is none, or of whole numbers.
        ValueError: a leaf is not floating point (path in the message).
    """
    check_floating(params)
    dtype = floating_dtype(dtype, "the dtype of a memory")

    def copy(p: Any) -> jax.Array:
        kind = dtype or wide_dtype(p)
        abstract = isinstance(p, jax.ShapeDtypeStruct)
        return jnp.zeros(p.shape, kind) if abstract else jnp.array(p, kind)

    return jax.tree.map(copy, params)


def bias(b: ClosedDecay, t: jax.Array, corrected: Flag = True) -> Any:
    """1 - b^t, by which a mean that started at 0 is divided; or 1, where it stays as it is.

    It is computed as -expm1(t log1p(-(1 - b))), exact to rounding also for b = 0.99999.

    Raises:
        ValueError: b is 1, or rounds to it, as bfloat16's 0.999 does.
    """
    if b.known is not None and b.known[1] == 0:
        raise ValueError(
            "a mean with the decay 1 never leaves its start at 0; choose a decay below 1, and give "
            "it as a Python number: in bfloat16, 0.999 is 1"
        )
    one = lambda: jnp.ones((), b.complement.dtype)

    def power(c: jax.Array) -> jax.Array:  # in lax: jnp's functions take twice as long to trace
        exponent = lax.mul(lax.convert_element_type(t, c.dtype), lax.log1p(lax.neg(c)))
        return lax.neg(lax.expm1(exponent))

    def one_minus_power() -> jax.Array:
        zero = b.zero
        if isinstance(zero, bool):
            return one() if zero else power(b.complement)
        # apart, because 0 times the slope of log at 0 is NaN
        return select(zero, one(), power(select(zero, jnp.zeros_like(one()), b.complement)))

    return either(corrected, one_minus_power, one)


def unbias(tree: Tree, b: ClosedDecay, t: jax.Array) -> Tree:
    """Bias correction, m / (1 - b^t): a mean that started at 0, freed of that start."""
    c = bias(b, t)
    return leafwise(lambda m: m / c, tree)


def eps_at(eps: Scalar, eps_root: Scalar, hat: Flag, c: Any) -> tuple[Any, Any]:
    """ε and ε_root for the corrected second moment v/c; ``hat`` means them for v."""
    e, e_root = numbers(eps, eps_root)
    return either(hat, lambda: (e / jnp.sqrt(c), e_root / c), lambda: (e, e_root))


def eps_split(eps: Scalar, in_sqrt: Flag) -> tuple[Any, Any]:
    """(ε, 0) for ε inside a root or maximum, (0, ε) for ε outside."""
    e = number(eps)
    return either(in_sqrt, lambda: (e, 0.0), lambda: (0.0, e))


def modulus(x: jax.Array) -> jax.Array:
    """|x|, whose slope at 0 is 0 for complex numbers too."""
    if not jnp.iscomplexobj(x):
        return jax.lax.abs(x)
    some = x != 0
    return jnp.where(some, jnp.abs(jnp.where(some, x, 1)), 0)
