"""SOAP: Adam in the eigenbases of Shampoo's preconditioner.

Of a matrix G of gradients, all memories 0 at first, Q_L and Q_R from the first gradient on:

    L ← β3 L + (1-β3) G Gᵀ          R ← β3 R + (1-β3) Gᵀ G
    G' = Q_Lᵀ G Q_R                 the gradient in the eigenbases of L and R
    M ← β1 M + (1-β1) G             M' = Q_Lᵀ M Q_R
    V ← β2 V + (1-β2) G'²           by coordinate
    U = √(1-β2^t) / (1-β1^t)  Q_L (M' / (√V + ε)) Q_Rᵀ

At the first gradient the bases are the eigenvectors of L and R, and nothing moves; every f steps
one step of power iteration follows L and R, Q ← qr(L Q), its columns in the order of their
eigenvalues.  A tensor has a basis an axis.  Vectors, numbers, and axes longer than a bound have
none: there it is Adam.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_course.base import (
    DecayLike,
    Scalar,
    Transform,
    advance,
    as_decay,
    check_whole,
    mean,
    mean_square,
    number,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.moments import bias, memory
from jaxopt_course.tree import (
    Tree,
    cast_like,
    divided_like,
    gathered,
    leafwise,
    root,
    squares_like,
    wide_dtype,
    widen,
)

Matrices = tuple[jax.Array, ...]  # one for each axis that has a basis
EXACT = jax.lax.Precision.HIGHEST


class ScaleBySoapState(NamedTuple):
    """Memory of :func:`scale_by_soap`."""

    count: Any  # gradients seen, the first included: (), int32
    mu: Tree  # M: structure and shapes of the parameters, at least float32
    nu: Tree  # V: the same shapes, real, in the eigenbases
    grams: Tree  # L, R: (n, n) for each axis of n numbers, in the place of the leaf
    bases: Tree  # Q_L, Q_R: the same


@described
def scale_by_soap(
    b1: DecayLike = 0.95,
    b2: DecayLike = 0.95,
    b3: DecayLike | None = None,
    eps: Scalar = 1e-8,
    precondition_frequency: Scalar = 10,
    max_precondition_dim: int = 10000,
) -> Transform:
    """SOAP: Adam in eigenbases that are found anew, by one QR decomposition, every f steps.

    Args:
        b1: β1 in [0, 1), no unit.
        b2: β2 in [0, 1), no unit.
        b3: β3 in [0, 1), of L and R (the authors' shampoo_beta); None is β2.
        eps: ε >= 0, in units of g, on the uncorrected V.
        precondition_frequency: f >= 1, steps; may be traced.  Lanes of several f do the work of all
            of theirs.
        max_precondition_dim: axes longer than that have no basis; a Python int.

    Raises:
        ValueError: f is no whole number from 1 on.

    The first update is 0.  Derivatives take the bases as they are.  The bases cost n² numbers twice
    for each axis of n, and every f steps O(n³); a step O(n) multiplications a parameter and axis.
    A gradient that is not finite makes its whole leaf NaN.
    Same as the authors' program.  Vyas et al. (2025), algorithm 3.

    >>> tx = scale_by_soap(b1=0.0, b2=0.5)
    >>> g = jnp.array([[0.0, 2.0], [-3.0, 0.0]])
    >>> _, state = tx.update(g, tx.init(g))
    >>> print(tx.update(g, state)[0].round(3))
    [[ 0.  1.]
     [-1.  0.]]
    """
    check_whole("precondition_frequency", precondition_frequency, 1)
    check_whole("max_precondition_dim", max_precondition_dim)

    def axes(leaf: Any) -> list[int]:
        shape = leaf.shape if leaf.size and leaf.ndim > 1 else ()
        return [i for i, n in enumerate(shape) if n <= max_precondition_dim]

    def of_each_axis(params: Tree, make: Callable[[int, Any], jax.Array]) -> Tree:
        squares = lambda p: tuple(make(p.shape[i], wide_dtype(p)) for i in axes(p))
        return jax.tree.map(lambda p: squares(p) if hasattr(p, "ndim") else (), params)

    def init(params: Tree) -> ScaleBySoapState:
        grams = of_each_axis(params, lambda n, kind: jnp.zeros((n, n), kind))
        bases = of_each_axis(params, lambda n, kind: jnp.eye(n, dtype=kind))
        m, v = memory(params), squares_like(params)
        return ScaleBySoapState(jnp.zeros((), jnp.int32), m, v, grams, bases)

    def update(g: Tree, state: ScaleBySoapState, params: Tree = None) -> tuple[Tree, Any]:
        beta1, beta2 = as_decay(b1), as_decay(b2)
        beta3, e = beta2 if b3 is None else as_decay(b3), number(eps)
        first, t = state.count == 0, jnp.maximum(state.count, 1)  # of the gradients that moved
        moved = leafwise(mean(beta1), state.mu, g)
        structure: Any = jax.tree.structure(state.mu)
        bases, grams = (structure.flatten_up_to(x) for x in (state.bases, state.grams))
        flat = [gathered(widen(x)) for x in jax.tree.leaves(g)]
        turned = [
            divided_like(_turn(x, q, axes(x)), m)
            for x, q, m in zip(flat, bases, jax.tree.leaves(state.nu), strict=True)
        ]
        v = leafwise(mean_square(beta2), state.nu, structure.unflatten(turned))
        m, v = (
            jax.tree.map(lambda old, new: jnp.where(first, old, new), *pair)
            for pair in ((state.mu, moved), (state.nu, v))
        )
        c1, c2 = bias(beta1, t), bias(beta2, t)
        scaled = lambda m, v: jnp.sqrt(c2) / c1 * m / (root(v) + e)

        def step(m: jax.Array, v: jax.Array, q: Matrices) -> jax.Array:
            ready = scaled(_turn(gathered(m), q, axes(m)), gathered(v))
            return divided_like(jnp.where(first, 0, _turn(ready, q, axes(m), back=True)), m)

        leaves = zip(jax.tree.leaves(m), jax.tree.leaves(v), bases, strict=True)
        u = structure.unflatten([step(widen(m), v, q) for m, v, q in leaves])
        grown = [  # in the memory's dtype, whatever the gradient's is
            tuple(
                mean(beta3)(a, _gram(x, i)).astype(a.dtype)
                for a, i in zip(own, axes(x), strict=True)
            )
            for x, own in zip(flat, grams, strict=True)
        ]
        due = ~first & (state.count % jnp.asarray(precondition_frequency) == 0)
        found = _where(first, _eigenbases, grown, bases)
        found = _where(due, _followed, grown, found)
        new = structure.unflatten(grown), structure.unflatten(found)
        kept = ScaleBySoapState(advance(state.count), m, v, *new)
        return cast_like(u, g), cast_like(kept, state)

    return Transform(init, update)


def _turn(x: jax.Array, bases: Matrices, axes: list[int], back: bool = False) -> jax.Array:
    """``x`` in the eigenbases of its axes, or back from there."""
    for i, q in zip(axes, bases, strict=True):
        q = q if back else jnp.conj(q)
        x = jnp.moveaxis(jnp.tensordot(x, q, ((i,), (1 if back else 0,)), precision=EXACT), -1, i)
    return x


def _gram(x: jax.Array, axis: int) -> jax.Array:
    """Of the slices along an axis: G Gᵀ, or Gᵀ G."""
    x = jax.lax.stop_gradient(x)
    others = tuple(i for i in range(x.ndim) if i != axis)
    return jnp.tensordot(x, jnp.conj(x), (others, others), precision=EXACT)


@functools.partial(jax.jit, static_argnames="function")  # or each eager step compiles its loop
def _where(
    flag: jax.Array,
    function: Callable[[jax.Array, jax.Array], jax.Array],
    grams: list[Matrices],
    bases: list[Matrices],
) -> list[Matrices]:
    """``function`` of each Gram matrix and basis where ``flag`` is set, else the basis.

    A loop of at most one turn: ``vmap`` makes of a condition a selection, which computes both
    always, but of a loop one that runs while any lane wants to.
    """
    if not any(bases):
        return bases
    grams, bases = jax.lax.stop_gradient((grams, bases))

    def turn(carry: tuple[jax.Array, list[Matrices]]) -> tuple[jax.Array, list[Matrices]]:
        return jnp.zeros_like(flag), jax.tree.map(function, grams, carry[1])

    return jax.lax.while_loop(lambda carry: carry[0], turn, (flag, bases))[1]


def _eigenbases(gram: jax.Array, basis: jax.Array) -> jax.Array:
    """Eigenvectors, largest first; those of a null space, which nothing tells, are completed.

    Reflections turn the columns that are kept into the first axes and the other axes into the rest:
    unlike what ``eigh`` gives, that depends on the others smoothly, and not on rounding alone.
    """
    sizes, vectors = _one_by_one(jnp.linalg.eigh, gram)
    noise = 16 * len(gram) * jnp.finfo(sizes.dtype).eps * sizes[-1]
    kept = jnp.where(sizes > noise, vectors, jnp.zeros_like(vectors))
    return _one_by_one(jnp.linalg.qr, kept[:, ::-1])[0]


def _followed(gram: jax.Array, basis: jax.Array) -> jax.Array:
    """One step of power iteration; each column stays in its place, that V need not move."""
    ahead = jnp.matmul(gram, basis, precision=EXACT)
    sizes = jnp.real(jnp.sum(jnp.conj(basis) * ahead, axis=0))
    order = jnp.argsort(-sizes)
    q = _one_by_one(jnp.linalg.qr, ahead[:, order])[0]
    return q[:, jnp.argsort(order)]


def _one_by_one(decompose: Callable[[jax.Array], Any], matrix: jax.Array) -> tuple[jax.Array, ...]:
    """What ``decompose`` gives, in lanes on a CPU of one lane after the other.

    XLA deals batches of LAPACK's calls out to its threads, and two such batches under way wait for
    each other for ever where the threads are few (jax 0.10, two cores).
    """
    plain = lambda matrix: tuple(decompose(matrix))
    return jax.lax.platform_dependent(
        matrix, cpu=jax.custom_batching.sequential_vmap(plain), default=plain
    )
