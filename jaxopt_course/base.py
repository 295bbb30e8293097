"""The contract of every transformation, and what a hyperparameter is.

A transformation is optax's own pair of pure functions, so each piece drops into ``optax.chain``,
``flax.training.train_state.TrainState``, ``nnx.Optimizer`` and back:

    init(params)              -> state        the memory before the first step (all zeros, mostly)
    update(g, state, params)  -> (u, state)   reads the gradient g, hands on an update u

``u`` has the structure, shapes and dtypes of ``g``; the state keeps its dtypes from step to step.
The last piece of a chain makes ``u`` a step, and :func:`apply_updates` takes it: θ ← θ + u.
Every ``init`` and ``update`` raises ValueError, with the path of the leaf, if a leaf is missing, of
another shape than its parameter, or not floating point.

Every number is data: a Python number, an array, or a traced value under ``jit``, ``vmap`` and
``grad``.  A switch (``nesterov=...``) is a Python bool, or a traced one, which computes both ways
and selects.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.tree import (
    Tree,
    abs_square,
    cast_like,
    check_fits,
    check_floating,
    is_floating,
    leafwise,
    standard_promotion,
)

Transform: TypeAlias = optax.GradientTransformation
Scalar = float | np.ndarray | jax.Array  # a number, or a traced one
Flag = bool | jax.Array  # a choice, or a traced one
Schedule = Callable[[Any], Any]  # step (), int32, from 0 -> number ()
ScalarOrSchedule = Scalar | Schedule
LAST_STEP = 2**31 - 1  # steps are counted in int32
LOOKAHEAD = (
    "optax.lookahead keeps the weights that are to be evaluated in the parameters, which it makes "
    "a pair (LookaheadParams): take joc.lookahead(tx, ...), which has them in its state"
)


class Decay(NamedTuple):
    """A decay b together with 1 - b, each rounded once from float64.

    In float32, 1 - 0.999 is off by 1.3e-5 and 1 - 0.99999 by 1.4e-3; a sweep that wants the digits
    of the literal ``b2=0.999`` passes this pair of scalars instead of b.

    >>> Decay.of(0.75)
    Decay(value=0.75, complement=0.25)
    """

    value: Any  # (), b
    complement: Any  # (), 1 - b

    @classmethod
    def of(cls, b: float) -> "Decay":
        """The pair of the number ``b``, in float64."""
        return cls(float(b), 1.0 - float(b))


DecayLike = Scalar | Decay


class ClosedDecay(NamedTuple):
    """A decay ready for arithmetic; see :func:`as_decay`."""

    value: jax.Array  # (), b, closed to constant folding
    complement: jax.Array  # (), 1 - b, the same
    known: tuple[Any, Any] | None  # both as NumPy numbers, unless they are traced

    @property
    def zero(self) -> Flag:
        """Whether b = 0, to the precision of 1 - b."""
        return self.complement == 1 if self.known is None else bool(self.known[1] == 1)


def number(x: Any) -> jax.Array:
    """A hyperparameter as a strong scalar of at least float32, closed to constant folding.

    Behind the barrier a literal meets the same operations as a traced scalar: without it XLA turns,
    for example, a division by a constant into a multiplication.  Below XLA, LLVM still knows which
    numbers are constants, and chooses by it which product of β m - η x becomes an FMA.  Every
    recipe agrees to the last bit all the same (jax 0.10 to 0.12, on CPU), because the one factor
    that such sums have beside a decay, -η, is computed behind the barrier: a result in both cases.
    """
    return jax.lax.optimization_barrier(_rounded(x))


def numbers(*xs: Any) -> tuple[jax.Array, ...]:
    """Several hyperparameters as :func:`number`, behind one barrier: it costs time to trace."""
    return tuple(jax.lax.optimization_barrier(tuple(map(_rounded, xs))))


def _rounded(x: Any) -> Any:
    if isinstance(x, int | float):
        if isinstance(x, int) and not abs(x) <= sys.float_info.max:
            raise ValueError("a hyperparameter is a whole number beyond float64")
        return np.asarray(x, jnp.result_type(float))  # jnp.asarray costs three times as much
    if x is None or isinstance(x, str | bytes | complex | list | tuple | dict) or callable(x):
        raise TypeError(f"a hyperparameter must be a number, not {x!r}")
    try:
        return jnp.asarray(x, jnp.promote_types(jnp.result_type(float, x), jnp.float32))
    except TypeError:
        if isinstance(x, jax.Array):  # a leaked tracer, say: JAX explains it
            raise
        raise TypeError(f"a hyperparameter must be a number, not {x!r:.60}") from None


def as_decay(b: DecayLike) -> ClosedDecay:
    """A decay as the pair (b, 1 - b) of scalars.

    From a :class:`Decay` or a Python or NumPy number both are rounded from float64; from an array
    the complement is ``1 - b`` in the array's own precision.

    Raises:
        TypeError: no number.
        ValueError: a number outside [0, 1]; a traced one cannot be looked at.
    """
    _check_decay(b)
    if isinstance(b, int | float | np.number | np.ndarray):
        exact = np.asarray(b, np.float64)
        b = Decay(float(exact), float(1 - exact)) if exact.ndim == 0 else Decay(exact, 1 - exact)
    if not isinstance(b, Decay):
        value = number(b)
        return ClosedDecay(value, 1 - value, None)
    pair = _rounded(b.value), _rounded(b.complement)
    known = all(isinstance(x, np.ndarray) and x.ndim == 0 for x in pair)
    value, complement = jax.lax.optimization_barrier(pair)
    return ClosedDecay(value, complement, pair if known else None)


def decay_value(b: DecayLike) -> jax.Array:
    """The value b alone, where 1 - b is not asked for.

    Raises:
        TypeError: no number.
        ValueError: a number outside [0, 1].
    """
    _check_decay(b)
    return number(b.value if isinstance(b, Decay) else b)


def _check_decay(b: Any) -> None:
    if isinstance(b, np.ndarray) and b.dtype.kind not in "biuf":
        raise TypeError(f"a decay must be a number, not {b!r:.60}")
    if isinstance(b, int | float | np.number) and not 0 <= b <= 1:
        raise ValueError(f"a decay (b1, b2, momentum, ...) must be in [0, 1], not {b}")


def check_whole(name: str, x: Any, least: int = 0) -> None:
    """Refuse a number of steps that is none; a traced one cannot be looked at.

    Raises:
        TypeError: no number, or a bool.
        ValueError: a fraction, a number below ``least``, or one beyond int32, in which steps count.

    >>> check_whole("every", 2.5, 1)
    Traceback (most recent call last):
    ValueError: every must be a whole number of at least 1, not 2.5
    """
    if isinstance(x, jax.Array | np.ndarray):
        if x.ndim or not jnp.issubdtype(x.dtype, np.number):
            raise TypeError(f"{name} must be a whole number, not {x.dtype} of shape {x.shape}")
        return
    if isinstance(x, bool | np.bool_) or not isinstance(x, int | float | np.number):
        raise TypeError(f"{name} must be a whole number of at least {least}, not {x!r}")
    if x > LAST_STEP and x != np.inf:
        raise ValueError(f"{name} is more than {LAST_STEP:,}, as far as steps are counted")
    if not (x >= least and float(x).is_integer()):
        raise ValueError(f"{name} must be a whole number of at least {least}, not {x}")


def within_int32(x: Any) -> Any:
    """``x``, but as a float where it is a whole number that JAX cannot take for its int32.

    >>> within_int32(2**31), within_int32(2**31 - 1)
    (2147483648.0, 2147483647)
    """
    return float(x) if isinstance(x, int) and abs(x) > LAST_STEP else x


def mean(b: ClosedDecay) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """One step of an exponential moving average: (m, x) -> b m + (1 - b) x."""
    short, rate = _pull(b)
    return lambda m, x: select(short, x, m) + rate * (x - m)


def mean_square(b: ClosedDecay) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """One step of the moving average of squares: (v, x) -> b v + (1 - b) |x|².

    Where |x|² overflows (|x| > 1.8e19 in float32) v is infinite, and stays so; NaN for b < 1/2.
    """
    short, rate = _pull(b)

    def step(v: jax.Array, x: jax.Array) -> jax.Array:
        xx = abs_square(x)
        finite = jnp.minimum(v, jnp.finfo(v.dtype).max)  # ∞ - ∞ would be NaN
        return select(short, xx, v) + rate * (xx - finite)

    return step


def _pull(b: ClosedDecay) -> tuple[jax.Array, jax.Array]:
    # b m + (1 - b) x is computed as m + (1 - b)(x - m), which rests where x = m: the sum as it
    # stands drifts by the rounding of b, 1e-4 in 20,000 steps.  For b < 1/2 it is x - b (x - m),
    # so that at b = 0 nothing of a large m is left.  A literal b is not asked beforehand: without
    # the select on the leaves the last bits would differ from those of a traced b.
    short = jax.lax.lt(b.value, np.asarray(0.5, b.value.dtype))
    return short, jax.lax.select(short, jax.lax.neg(b.value), b.complement)


def select(flag: Flag, yes: jax.Array, no: jax.Array) -> jax.Array:
    """``yes`` or ``no``: a Python bool chooses in Python, a traced scalar by ``jnp.where``."""
    if isinstance(flag, bool):
        return yes if flag else no
    # jnp.where is a jit within the jit: with hundreds of leaves it is a tenth of the tracing
    same = yes.dtype == no.dtype and yes.shape == no.shape and not jnp.ndim(flag)
    return jax.lax.select(flag, yes, no) if same else jnp.where(flag, yes, no)


def advance(count: Any) -> jax.Array:
    """count + 1, where the largest number of its kind stays; as ``optax.safe_increment``."""
    count = jnp.asarray(count)
    most = np.asarray(jnp.iinfo(count.dtype).max - 1, count.dtype)
    return jax.lax.add(jax.lax.min(count, most), np.ones((), count.dtype))


def either(flag: Flag, yes: Callable[[], Tree], no: Callable[[], Tree]) -> Tree:
    """``yes()`` or ``no()``: a Python bool chooses in Python, a traced one by ``jnp.where``.

    Raises:
        TypeError: a flag that is something else, which Python may take for True: "no", [False].
    """
    if not isinstance(flag, jax.Array):
        if not isinstance(flag, bool) and (
            not isinstance(flag, int | float | np.generic | np.ndarray)
            or np.ndim(flag)
            or flag not in (0, 1)
        ):
            raise TypeError(f"a switch must be True or False, not {flag!r:.60}")
        return yes() if flag else no()
    if flag.ndim:
        raise TypeError(f"a switch must be True or False, not an array of shape {flag.shape}")
    return jax.tree.map(lambda y, n: jnp.where(flag, y, n), yes(), no())


def stateless(params: Tree) -> optax.EmptyState:
    """The ``init`` of a transformation without memory."""
    check_floating(params)
    return optax.EmptyState()


def chain(*transforms: Transform) -> optax.GradientTransformationExtraArgs:
    """Apply transformations one after the other; the state is the tuple of their states.

    Extra keyword arguments of ``update`` go to those pieces that take them.

    Raises:
        ValueError: the state was made by another chain.

    >>> halve_twice = chain(optax.scale(0.5), optax.scale(0.5))
    >>> u, _ = halve_twice.update(jnp.array(8.0), halve_twice.init(jnp.array(0.0)))
    >>> print(u)
    2.0
    """
    pieces = [optax.with_extra_args_support(transform) for transform in transforms]

    def init(params: Tree) -> tuple:
        return tuple(piece.init(params) for piece in pieces)

    def update(g: Tree, state: tuple, params: Tree = None, **extra: Any) -> tuple[Tree, tuple]:
        if len(state) != len(pieces):
            raise ValueError(f"a chain of {len(pieces)} got a state of {len(state)}: call its init")
        new = []
        for piece, old in zip(pieces, state, strict=True):
            g, s = piece.update(g, old, params, **extra)
            new.append(s)
        return g, tuple(new)

    return optax.GradientTransformationExtraArgs(init, update)


def apply_updates(params: Tree, updates: Tree) -> Tree:
    """θ ← θ + u, in the dtypes of the parameters.

    A leaf of another kind than floating point (a table, a counter, a PRNG key; see ``freeze``)
    stays as it is where its update is 0; where it is not, an integer moves as optax's does.

    Raises:
        ValueError: an update is missing, has another shape than its parameter or another kind
            (path in the message); ``optax.apply_updates`` would broadcast.

    >>> print(apply_updates(jnp.array(3.0), jnp.array(-1.0)))
    2.0
    """
    leaves: list[Any] = jax.tree.leaves(params)
    structure: Any = jax.tree.structure(params)
    moving = [is_floating(p) for p in leaves]
    if all(moving):
        return cast_like(leafwise(lambda p, u: p + u, params, updates), params)
    check_fits(updates, params)
    # None holds no leaf, so the others are left out
    part = lambda xs: structure.unflatten(
        [x if m else None for x, m in zip(xs, moving, strict=True)]
    )
    steps = jax.tree.leaves(updates)
    moved = iter(jax.tree.leaves(apply_updates(part(leaves), part(steps))))
    rest = zip(leaves, steps, moving, strict=True)
    return structure.unflatten([next(moved) if m else _counted(p, u) for p, u, m in rest])


def _counted(p: Any, u: Any) -> Any:
    kind = getattr(u, "dtype", None)
    if kind is None or not (jnp.issubdtype(kind, jnp.number) or jnp.issubdtype(kind, jnp.bool_)):
        return p  # float0, what jax.grad gives for an integer, or of a key
    with standard_promotion():
        return jnp.where(u == 0, p, (p + u).astype(jnp.asarray(p).dtype))


def check_gradient(g: Tree, params: Tree) -> None:
    """For transformations without memory: compare shapes with the parameters, where given."""
    if params is not None:
        check_fits(g, params)
