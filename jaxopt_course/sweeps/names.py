"""The names of what a program's trials measure and record, from their functions' shapes."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_course.sweeps.lanes import Data, Trial, on_further_sets, test_by


def names_of(
    trial: Trial, table: Any, state: Any, data: Data
) -> tuple[list[str], list[str], list[str]]:
    """What an evaluation measures, what a step records beside its loss, what the test measures.

    Args:
        trial: its functions.
        table: of the program, for the names and dtypes of its numbers.
        state: of all lanes, for its shapes.
        data: of the program.
    """
    one = lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    row, state = jax.tree.map(one, dict(table.hyperparameters)), jax.tree.map(one, state)
    if table.together_name is not None:
        row[table.together_name] = one(table.together)
    measured = jax.eval_shape(trial.evaluate, row, state, data.valid, data.shared)
    tested = jax.eval_shape(test_by(trial), row, state, data.valid, data.shared)
    more = on_further_sets(lambda _: measured, data)
    seed, step = one(table.seeds), jax.ShapeDtypeStruct((), jnp.int32)
    rows = None if trial.rows is None else jax.eval_shape(trial.rows, seed, step, data.train)
    _, _, recorded = jax.eval_shape(trial.step, row, state, seed, data, rows)
    return [*measured, *more], list(recorded), list(tested)
