"""The states with which trials begin: their shapes, and those made of given weights."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pandas as pd

from jaxopt_course.studies.compiled import Compiled, trial_of
from jaxopt_course.studies.given_weights import task_from
from jaxopt_course.studies.states import of_trial
from jaxopt_course.sweeps.program import Table, row_of
from jaxopt_course.tables.buckets import Bucket


def shapes_of(bucket: Bucket, best: tuple[str, str] | None = None) -> Any:
    """Shapes of a state of a bucket's program; nothing is compiled.

    ``best``: as ``trial_of``.
    """
    trial = trial_of(bucket, best=best)
    table = Table(**bucket.columns.arrays(bucket.columns.trials))
    seed = jax.ShapeDtypeStruct((), jnp.uint32)
    return jax.eval_shape(trial.init, row_of(table, 0), seed)


def state_from(compiled: Compiled, trials: pd.DataFrame) -> Callable[[int, Any, Any], Any]:
    """What makes a row's first state of weights; the optimizer's is that of these weights.

    Returns:
        (row, params, model_state) -> state; a model_state of None is the task's own.
    """
    bucket = compiled.bucket
    table = Table(**bucket.columns.arrays(trials))

    @jax.jit
    def first(h: Any, seed: Any, params: Any, model_state: Any) -> Any:
        if model_state is None:
            model_state = of_trial(compiled.trial.init(h, seed)).model_state
        task = task_from(bucket.task, params, model_state)
        return trial_of(dataclasses.replace(bucket, task=task), best=compiled.best).init(h, seed)

    return lambda row, params, model_state: first(
        row_of(table, row), table.seeds[row], params, model_state
    )
