"""What a lane takes, and how many lanes there are when nobody says."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

from jaxopt_course.sweeps.lanes import Data, Trial


class LaneBytes(NamedTuple):
    """Bytes of a lane."""

    state: int  # parameters, optimizer, model
    step: int  # that a step writes, its results and all on the way to them, before any fusion


def lane_bytes(trial: Trial, hyperparameters: Mapping[str, Any], data: Data) -> LaneBytes:
    """What a lane takes.

    Traces a step as well, so that whatever does not trace says so before anything compiles.

    Raises:
        ValueError: a step changes the structure, a shape or a dtype of the state, or the state
            holds PRNG keys.
    """
    seed = jax.ShapeDtypeStruct((), jnp.uint32)
    state = jax.eval_shape(trial.init, hyperparameters, seed)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise ValueError(
                f"the state{jax.tree_util.keystr(path)} is a PRNG key; use the key that the loss "
                "gets at each step, so that a trial is a function of its seed and step"
            )
    step = jax.ShapeDtypeStruct((), jnp.int32)
    rows = None if trial.rows is None else jax.eval_shape(trial.rows, seed, step, data.train)
    traced, (after, *_) = jax.make_jaxpr(trial.step, return_shape=True)(
        hyperparameters, state, seed, data, rows
    )
    if after != state:
        raise ValueError(f"a step changes the state from {state} to {after}")
    return LaneBytes(sum(map(_bytes, jax.tree.leaves(state))), written(traced.jaxpr))


def written(program: Jaxpr) -> int:
    """Bytes of all results in a program: of a scan's each time, of branches the mean.

    Of the optimizers of a table each trains its share of the trials: one that writes much must not
    take the lanes from all others.
    """
    total = 0
    for equation in program.eqns:
        inner = [written(one) for one in map(_program, _given(equation)) if one is not None]
        if not inner:
            total += sum(_bytes(one.aval) for one in equation.outvars)
        elif equation.primitive.name == "cond":
            total += sum(inner) // len(inner)
        else:
            total += equation.params.get("length", 1) * sum(inner)
    return total


def _given(equation: Any) -> list[Any]:
    """The parameters of an equation, those in sequences too."""
    return [
        one
        for value in equation.params.values()
        for one in (value if isinstance(value, tuple | list) else [value])
    ]


def _program(value: Any) -> Jaxpr | None:
    value = value.jaxpr if isinstance(value, ClosedJaxpr) else value
    return value if isinstance(value, Jaxpr) else None


def _bytes(x: Any) -> int:
    return math.prod(getattr(x, "shape", ())) * getattr(x.dtype, "itemsize", 0)


def default_lanes(lane: LaneBytes, platform: str) -> int:
    """W when nobody says: a function of a lane's bytes and of the backend, of nothing else.

        cpu          the largest power of two in [1, 4] whose steps write at most 5 MiB
        gpu, tpu     the largest power of two in [16, 256] whose states fit into 1 GiB

    On a core a step takes some time to walk through the program, 30 µs for a small network, and
    what each lane computes.  Lanes share the walk, which is all they gain: four have nearly all of
    it, more only leave the cache, and those that nobody sits in compute for nobody.
    """
    low, high, budget, each = (
        (1, 4, 5 << 20, lane.step) if platform == "cpu" else (16, 256, 1 << 30, lane.state)
    )
    fit = max(1, budget // max(1, each))
    return min(high, max(low, 1 << (fit.bit_length() - 1)))
