"""Which columns a trial needs as plain numbers, found by trying: a traced one, the others plain."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.sweeps.lanes import Data, Trial


def needed_concrete(
    trial: Trial, hyperparameters: Mapping[str, Any], columns: Sequence[str], data: Data
) -> list[str]:
    """The columns that may not be traced, as a shape or a Python ``if`` depends on them.

    Args:
        trial: its functions, which failed with all columns traced.
        hyperparameters: of one trial, as NumPy scalars.
        columns: those that may be at fault; the others stay traced.
        data: of the program.

    Returns:
        Those at fault; none where plain numbers do not help, so that the failure is another one.
    """
    plain = dict(hyperparameters)
    others = {name for name in plain if name not in columns}
    if not _traces(trial, plain, others, data):
        return []
    return [name for name in columns if not _traces(trial, plain, {*others, name}, data)]


def _traces(trial: Trial, plain: Mapping[str, Any], traced: set[str], data: Data) -> bool:
    """Whether a first state, a step and an evaluation trace, with only these columns traced."""
    seed = jax.ShapeDtypeStruct((), jnp.uint32)

    def one(traced: Mapping[str, Any], seed: Any, data: Any) -> Any:
        row = {**plain, **traced}
        state, *_ = trial.step(row, trial.init(row, seed), seed, data)
        return trial.evaluate(row, state, data.valid, data.shared)

    try:
        jax.eval_shape(one, {name: plain[name] for name in traced}, seed, data)
    except Exception:  # a tracer in the wrong place fails in as many ways as Python has operations
        return False
    return True
