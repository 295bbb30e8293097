"""Newton and Schulz: the orthogonal matrix near another one, by products alone.

    start      X = G / (‖G‖ + ε)                        ‖·‖ of Frobenius, or another preconditioning
    k times    X ← a X + (b A + c A²) X,  A = X Xᵀ      on the shorter side of X

Each step maps every singular value s of X to a s + b s³ + c s⁵ and leaves the directions alone.
With (a, b, c) = (1.5, -0.5, 0) s goes to 1.  The usual (3.4445, -4.7750, 2.0315) do not converge:
five steps bring every s from 0.002 on to between 0.68 and 1.21.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.base import (
    Flag,
    Scalar,
    Transform,
    check_gradient,
    check_whole,
    either,
    number,
    numbers,
    stateless,
)
from jaxopt_course.describe import described
from jaxopt_course.messages import unknown
from jaxopt_course.transforms.clipping import global_norm
from jaxopt_course.transforms.matrices import Matrix, MatrixAxes, matrix_of_each
from jaxopt_course.tree import (
    Tree,
    abs_square,
    cast_like,
    divided_like,
    floating_dtype,
    gathered,
    leafwise,
    root,
)

Coefficients: TypeAlias = "Sequence[Scalar] | Sequence[Sequence[Scalar]] | jax.Array | str"
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan et al. (2024)
PRESETS: dict[str, Any] = {
    "standard": NEWTON_SCHULZ,
    "dion": (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ),
}
PRECONDITIONINGS = ("frobenius", "spectral", "aol", "schatten")
TOO_MANY = 100  # steps of a Python number, each compiled by itself; PyTorch's Muon refuses as many
_SMALLEST = 1e-8  # of the sums that "aol" and "schatten" divide by, as in optax


@described
def orthogonalize(
    ns_coeffs: Coefficients = NEWTON_SCHULZ,
    ns_steps: Any = 5,
    eps: Scalar = 1e-8,
    *,
    preconditioning: str = "frobenius",
    weight_dimension_numbers: MatrixAxes = None,
    eps_in_max: Flag = False,
    ns_dtype: Any = None,
) -> Transform:
    """Newton and Schulz alone: u = the matrix nearest to g whose directions are all of length 1.

    Args:
        ns_coeffs: (a, b, c) of every step, or one triple a step, or "standard" or "dion".
        ns_steps: k, their number, or at least as many as triples; a traced one has no derivative
            by the other numbers.
        eps: ε >= 0, in units of g (of the aol and schatten preconditionings: unused).
        preconditioning: "frobenius", "spectral" (the largest singular value, a decomposition),
            "aol" (each row by the sum of its |A|) or "schatten" (√‖A‖).
        weight_dimension_numbers: which axes are the matrix, see :func:`.matrix_axes`; None: the two
            of each leaf.
        eps_in_max: PyTorch's max(‖g‖, ε); may be traced.
        ns_dtype: round everything inside to this dtype, as PyTorch does to bfloat16; by default it
            is computed in float32 or wider.

    Raises:
        ValueError: a leaf that is no matrix (path in the message), a preconditioning or preset that
            is none, coefficients of another shape, more triples than steps.

    After ``trace`` it is Keras's Muon.

    >>> tx = orthogonalize(ns_steps=30, ns_coeffs=(1.5, -0.5, 0.0))
    >>> print(tx.update(jnp.array([[2.0, 0.0]]), tx.init(jnp.zeros((1, 2))))[0].round(3))
    [[1. 0.]]
    """
    orthogonal = newton_schulz(ns_coeffs, ns_steps, eps, preconditioning, eps_in_max, ns_dtype)

    def init(params: Tree) -> Any:
        matrix_of_each(params, weight_dimension_numbers)
        return stateless(params)

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        check_gradient(g, params)
        each = iter(matrix_of_each(g, weight_dimension_numbers))
        return cast_like(leafwise(lambda g: orthogonal(g, next(each)), g), g), state

    return Transform(init, update)


def newton_schulz(
    ns_coeffs: Coefficients,
    ns_steps: Any,
    eps: Scalar,
    preconditioning: str,
    eps_in_max: Flag,
    ns_dtype: Any,
) -> Callable[[jax.Array, Matrix], jax.Array]:
    """The map of a leaf, and how it is read, to the orthogonal one; see :func:`orthogonalize`."""
    if not isinstance(preconditioning, str) or preconditioning not in PRECONDITIONINGS:
        raise ValueError(unknown("preconditioning", preconditioning, PRECONDITIONINGS))
    triples, steps = _schedule(ns_coeffs, ns_steps)

    def orthogonal(x: jax.Array, matrix: Matrix) -> jax.Array:
        # the shorter side; of a square the outputs where it is rounded, for torch has them first
        longer = matrix.fan_in - matrix.fan_out
        flip = longer > 0 or (longer == 0 and ns_dtype is not None)
        e, rounded, dtype = number(eps), _rounding(ns_dtype), x.dtype

        def one(x: jax.Array) -> jax.Array:
            x = rounded(x.T if flip else x)
            x = _prepared(x, preconditioning, e, eps_in_max, rounded)
            x = _iterated(x, triples, steps, rounded)
            return x.T if flip else x

        # one batched product for a whole stack, and for the lanes of a sweep
        u = matrix.write(jax.vmap(one)(matrix.read(gathered(x)))).astype(dtype)
        return divided_like(u, x)

    return orthogonal


def _schedule(ns_coeffs: Any, ns_steps: Any) -> tuple[Any, Any]:
    """(a, b, c), or one triple a step; and the number of steps."""
    if isinstance(ns_coeffs, str):
        if ns_coeffs not in PRESETS:
            raise ValueError(unknown("preset of ns_coeffs", ns_coeffs, PRESETS))
        ns_coeffs = PRESETS[ns_coeffs]
    known = isinstance(ns_steps, int | np.integer)
    check_whole("ns_steps", ns_steps)
    if not isinstance(ns_steps, jax.Array | np.ndarray) and ns_steps >= TOO_MANY:
        raise ValueError(f"ns_steps must be below {TOO_MANY}, not {ns_steps}")
    shape = (
        np.shape(ns_coeffs) if isinstance(ns_coeffs, jax.Array | np.ndarray) else _nested(ns_coeffs)
    )
    if shape == (3,):
        return tuple(ns_coeffs), ns_steps
    if len(shape) != 2 or shape[1] != 3:
        raise ValueError(f"ns_coeffs must have shape (3,) or (n, 3), not {shape}")
    if not known:
        raise ValueError("a traced ns_steps takes one triple (a, b, c), not one a step")
    if shape[0] > ns_steps:
        raise ValueError(f"ns_coeffs has {shape[0]} triples for ns_steps={ns_steps}")
    return [tuple(triple) for triple in ns_coeffs], shape[0]


def _nested(x: Any) -> tuple[int, ...]:
    if not isinstance(x, list | tuple):
        return ()
    inner = {_nested(y) for y in x}
    return (len(x), *(inner.pop() if len(inner) == 1 else (-1,)))


def _rounding(dtype: Any) -> Callable[[jax.Array], jax.Array]:
    """To the numbers that ``dtype`` has, kept in float32: XLA may skip a mere conversion."""
    if dtype is None:
        return lambda x: x
    kind = jnp.finfo(floating_dtype(dtype, "ns_dtype"))
    narrow = lambda x: jax.lax.reduce_precision(
        x, exponent_bits=kind.nexp, mantissa_bits=kind.nmant
    )
    return lambda x: narrow(x.astype(jnp.float32))


def _prepared(
    x: jax.Array,
    how: str,
    eps: jax.Array,
    eps_in_max: Flag,
    rounded: Callable[..., jax.Array],
) -> jax.Array:
    """X with singular values of at most about 1."""
    if how in ("frobenius", "spectral"):
        norm = rounded(global_norm(x) if how == "frobenius" else jnp.linalg.norm(x, ord=2))
        e = eps.astype(norm.dtype)
        size = either(eps_in_max, lambda: jnp.maximum(norm, e), lambda: norm + e)
        return rounded(x / size)
    gram = x @ jnp.conj(x.T)
    if how == "aol":
        size = jnp.sum(root(abs_square(gram)), axis=-1, keepdims=True)
    else:
        size = root(jnp.sum(abs_square(gram)))
    return rounded(x / jnp.sqrt(jnp.maximum(size, _SMALLEST)))


def _iterated(
    x: jax.Array, triples: Any, steps: Any, rounded: Callable[..., jax.Array]
) -> jax.Array:
    def step(x: jax.Array, triple: tuple[jax.Array, ...]) -> jax.Array:
        a, b, c = triple
        gram = rounded(x @ jnp.conj(x.T))
        return rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)

    if isinstance(triples, list):
        for triple in triples:
            x = step(x, _closed(triple, x))
        return x
    closed = _closed(triples, x)
    if not isinstance(steps, int | np.integer):
        whole = jnp.asarray(steps).astype(jnp.int32)  # a table's numbers may be floats
        return jax.lax.fori_loop(0, whole, lambda _, x: step(x, closed), x)
    for _ in range(steps):
        x = step(x, closed)
    return x


def _closed(triple: tuple[Any, ...], x: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(k.astype(jnp.real(x).dtype) for k in numbers(*triple))
