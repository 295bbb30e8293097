"""What a sweep, ``jax.jit`` and optax rely on in a gradient transformation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.base import apply_updates
from jaxopt_course.testing.faults import (
    ARRAYS,
    attempting,
    path_of,
    require,
    require_alike,
    require_close,
    require_finite,
    require_one_program,
)
from jaxopt_course.tree import Tree
from jaxopt_course.updating import extras, transformation

STEPS, LANES, EXAMPLES = 3, 3, 4
TAG = 1  # of the optimizer's own key
SHAPES = {"dense": {"kernel": (3, 2), "bias": (2,)}, "scale": ()}

Made = Callable[[Mapping[str, Any]], Any]


def check_transformation(
    tx: Any,
    numbers: Mapping[str, float] | None = None,
    *,
    params: Tree | None = None,
    dtypes: Sequence[str] = ("float32", "bfloat16"),
    rtol: float = 1e-3,
) -> None:
    """Check a gradient transformation, or a function that makes one of numbers.

    It minimises ½ mean_i Σ (θ - x_i)² over a batch of x_i for three steps, as a trial of a sweep
    does, and gets what it asks for: ``value``, ``grad``, ``value_fn``, ``grad_fn``, ``key``.

        kind        a pair of functions; a state of arrays alone
        dtypes      updates have the structure, shapes and dtypes of the gradient, also in bfloat16
        state       keeps structure, shapes and dtypes from step to step
        program     traced again it is the same program, and run again it gives the same bits
        zero        where the gradient is zero, updates are finite
        lanes       three trainings under ``vmap`` are the three alone
        numbers     each may be traced, and a traced one is the literal

    >>> import optax
    >>> check_transformation(optax.adam(1e-3))
    >>> check_transformation(optax.adam, {"learning_rate": 1e-3, "b1": 0.9})

    Args:
        tx: an ``optax.GradientTransformation``; or with ``numbers`` a function that takes them by
            name and returns one.
        numbers: those that are to be columns of a table; what shapes the state or is no number is
            bound beforehand, with ``functools.partial``.
        params: a tree of real arrays to train; default a kernel (3, 2), a bias (2,) and a scalar.
        dtypes: of the parameters for which dtypes are checked.
        rtol: how far lanes, and literals, may be from the run alone, in the largest number of the
            leaf.

    Raises:
        AssertionError: what is broken, at which leaf, and how to mend it.
    """
    start = jax.tree.map(jnp.asarray, _parameters() if params is None else params)
    made = _maker(tx, numbers)
    plain = dict(numbers or {})
    with attempting("the function of the numbers" if numbers is not None else "tx"):
        one = made(plain)
    with attempting("init"):
        state = one.init(start)
    for path, leaf in jax.tree.leaves_with_path(state):
        require(
            isinstance(leaf, ARRAYS),
            f"the state at {path_of(path)} is {type(leaf).__name__}: a state is arrays alone, "
            "what never changes belongs into the closure of init and update",
        )
    for dtype in dtypes:
        _check_kinds(made, plain, start, dtype)
    batches = [_batch(start, lane) for lane in range(LANES)]
    keys = [jax.random.key(lane) for lane in range(LANES)]
    first = lambda given: (given, start, state, batches[0], keys[0])
    for name, value in plain.items():
        with attempting(f"the number {name!r}, where it is traced,"):
            apart = lambda x, name=name: _trained(made, {**plain, name: x}, start, batches[0])
            jax.eval_shape(apart, jnp.asarray(value))
    step = lambda *given: _step(made, *given)
    with attempting("update"):
        require_one_program("update", step, *first(_scaled(plain, 0)))
    program = jax.jit(step)
    alone = [
        _run(program, made, _scaled(plain, lane), start, batches[lane], keys[lane])
        for lane in range(LANES)
    ]
    with attempting("update"):
        again = _run(program, made, _scaled(plain, 0), start, batches[0], keys[0])
    for number in range(STEPS):
        require_close(
            f"updates of step {number} of two runs",
            again[number],
            alone[0][number],
            0.0,
            "a callback or an operation whose order is not fixed is in update; sweeps that resume "
            "and replay need the same bits",
        )
    _check_zero(program, made, _scaled(plain, 0), start, keys[0])
    _check_lanes(step, made, plain, start, batches, keys, alone, rtol)
    if plain:
        literal = jax.jit(lambda *given: step(plain, *given))
        taken = lambda _, *given: literal(*given)
        written = _run(taken, made, plain, start, batches[0], keys[0])
        for number in range(STEPS):
            require_close(
                f"updates of step {number} with literal numbers and with traced ones",
                written[number],
                alone[0][number],
                rtol,
                "Python computes with the numbers, or chooses by their type; use jax.numpy",
            )


def _maker(tx: Any, numbers: Mapping[str, float] | None) -> Made:
    """From numbers to the transformation as a trial takes it.

    Raises:
        AssertionError: it is neither; or a function stands there, and no numbers are given.
    """
    if numbers is not None:
        require(callable(tx), f"with numbers= give the function that takes them, not {tx!r}")
        return lambda given: transformation(tx(**given), getattr(tx, "__name__", "tx"))
    known = isinstance(tx, optax.GradientTransformation | optax.MultiSteps)
    hint = (
        '; it is a function: call it, or give its numbers, as {"learning_rate": 0.1}'
        if callable(tx) and not known
        else ""
    )
    require(known, f"tx is {type(tx).__name__}, and no optax.GradientTransformation{hint}")
    return lambda _: transformation(tx, "tx")


def _parameters() -> Tree:
    rng = np.random.default_rng(0)
    is_shape = lambda x: isinstance(x, tuple)
    draw = lambda shape: np.asarray(rng.normal(size=shape), np.float32)
    return jax.tree.map(draw, SHAPES, is_leaf=is_shape)


def _batch(params: Tree, lane: int) -> Tree:
    """Examples of the parameters' shapes, (EXAMPLES, ...)."""
    rng = np.random.default_rng(1 + lane)
    draw = lambda p: jnp.asarray(rng.normal(size=(EXAMPLES, *np.shape(p))), jnp.result_type(p))
    return jax.tree.map(draw, params)


def _scaled(numbers: Mapping[str, float], lane: int) -> dict[str, Any]:
    """Numbers as arrays, reals a little smaller in each lane."""
    share = lambda x: x * 0.9**lane if isinstance(x, float | np.floating) else x
    return {name: jnp.asarray(share(x)) for name, x in numbers.items()}


def _objective(params: Tree, model_state: Tree, batch: Tree, key: Any) -> Any:
    distance = jax.tree.map(lambda p, x: jnp.sum(jnp.square(p[None] - x)) / len(x), params, batch)
    loss = 0.5 * sum((x.astype(jnp.float32) for x in jax.tree.leaves(distance)), jnp.float32(0))
    return loss, (model_state, {})


def _step(
    made: Made, numbers: Mapping[str, Any], params: Tree, state: Tree, batch: Tree, key: Any
) -> tuple[Tree, Tree, Tree, Tree]:
    """As a trial's: (parameters, state, updates, gradient)."""
    (loss, _), g = jax.value_and_grad(_objective, has_aux=True)(params, {}, batch, key)
    more = extras(_objective, params, {}, batch, key, TAG)
    u, state = made(numbers).update(g, state, params, value=loss, grad=g, **more)
    require_alike(
        "updates",
        u,
        g,
        "the gradient",
        "an update has the structure, shapes and dtypes of the gradient; cast it back to the leaf's"
        " dtype where the numbers are of a wider one",
    )
    return apply_updates(params, u), state, u, g


def _trained(made: Made, numbers: Mapping[str, Any], params: Tree, batch: Tree) -> Tree:
    state = made(numbers).init(params)
    return _step(made, numbers, params, state, batch, jax.random.key(0))[:2]


def _check_kinds(made: Made, numbers: Mapping[str, Any], params: Tree, dtype: str) -> None:
    """Updates and state keep their kinds; traced on shapes, never run."""
    narrow = jax.tree.map(lambda p: jnp.asarray(p, dtype), params)
    of = f", for parameters of {dtype},"
    with attempting(f"init{of}"):
        before = jax.eval_shape(lambda: made(numbers).init(narrow))
    with attempting(f"update{of}"):
        batch, key = _batch(narrow, 0), jax.random.key(0)
        _, after, _, _ = jax.eval_shape(
            lambda state: _step(made, numbers, narrow, state, batch, key), before
        )
    require_alike(
        f"the state's leaves after a step{of}",
        after,
        before,
        "the state of init",
        "a state keeps its kinds from step to step (jax.lax.scan asks for it); cast in update, or "
        "make it in init as update leaves it",
    )


def _run(
    program: Callable[..., Any],
    made: Made,
    numbers: Mapping[str, Any],
    params: Tree,
    batch: Tree,
    key: Any,
) -> list[Tree]:
    """The updates of a few steps."""
    state, updates = made(numbers).init(params), []
    for number in range(STEPS):
        with attempting(f"update of step {number}"):
            step_key = jax.random.fold_in(key, number)
            params, state, u, _ = program(numbers, params, state, batch, step_key)
        updates.append(u)
    return updates


def _check_zero(
    program: Callable[..., Any], made: Made, numbers: Mapping[str, Any], params: Tree, key: Any
) -> None:
    there = jax.tree.map(lambda p: jnp.stack([p] * EXAMPLES), params)
    u = program(numbers, params, made(numbers).init(params), there, key)[2]
    require_finite(
        "updates for a gradient of zeros",
        u,
        "something is divided by a size that may be 0; add an epsilon, or choose with jnp.where "
        "before dividing",
    )


def _check_lanes(
    step: Callable[..., Any],
    made: Made,
    numbers: Mapping[str, float],
    params: Tree,
    batches: Sequence[Tree],
    keys: Sequence[Any],
    alone: Sequence[Sequence[Tree]],
    rtol: float,
) -> None:
    """The trainings in lanes of one program, numbers and data of their own, against each alone."""
    stack = lambda *x: jnp.stack(x)
    rows = jax.tree.map(stack, *(_scaled(numbers, lane) for lane in range(LANES)))
    data = jax.tree.map(stack, *batches)
    wide = jax.tree.map(lambda p: jnp.stack([p] * LANES), params)
    lanes = lambda rows: None if not rows else 0
    with attempting("init under vmap"):
        state = jax.vmap(lambda h, p: made(h).init(p), (lanes(rows), 0))(rows, wide)
    program = jax.jit(jax.vmap(step, (lanes(rows), 0, 0, 0, 0)))
    for number in range(STEPS):
        with attempting("update under vmap"):
            step_keys = jnp.stack([jax.random.fold_in(key, number) for key in keys])
            wide, state, u, _ = program(rows, wide, state, data, step_keys)
        for lane in range(LANES):
            require_close(
                f"updates of step {number} in lane {lane} and alone",
                jax.tree.map(lambda x, lane=lane: x[lane], u),
                alone[lane][number],
                rtol,
                "lanes see each other, or an operation has no rule for vmap; look for callbacks, "
                "custom_vmap and axes counted from the front",
            )
