"""Which columns a trial needs as plain numbers, found by trying: a traced one, the others plain."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.sweeps.lanes import Trial


def needed_concrete(
    trial: Trial, hyperparameters: Mapping[str, Any], columns: Sequence[str], train: Any
) -> list[str]:
    """The columns that may not be traced, as a shape or a Python ``if`` depends on them.

    Args:
        trial: its functions, which failed with all columns traced.
        hyperparameters: of one trial, as NumPy scalars.
        columns: those that may be at fault; the others stay traced.
        train: the training data.

    Returns:
        Those at fault; none where plain numbers do not help, so that the failure is another one.
    """
    plain = dict(hyperparameters)
    others = {name for name in plain if name not in columns}
    if not _traces(trial, plain, others, train):
        return []
    return [name for name in columns if not _traces(trial, plain, {*others, name}, train)]


def _traces(trial: Trial, plain: Mapping[str, Any], traced: set[str], train: Any) -> bool:
    """Whether the first state and a step trace, with only these columns traced."""
    seed = jax.ShapeDtypeStruct((), jnp.uint32)

    def one(traced: Mapping[str, Any], seed: Any, train: Any) -> Any:
        row = {**plain, **traced}
        return trial.step(row, trial.init(row, seed), seed, train)

    try:
        jax.eval_shape(one, {name: plain[name] for name in traced}, seed, train)
    except Exception:  # a tracer in the wrong place fails in as many ways as Python has operations
        return False
    return True
