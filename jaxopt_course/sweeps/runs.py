"""Runs of bad losses: where good ones may follow a bad one, a run counts and not its first loss.

``first_bad`` of a lane is -1 while no loss was bad, s >= 0 once the trial has diverged in step s,
and -(s + 2) while a run of bad losses from step s on may still end.
"""

from typing import Any

import jax
import jax.numpy as jnp


def after_step(first_bad: jax.Array, step: jax.Array, bad: jax.Array, least: int | None) -> Any:
    """What a step makes of the run: it begins, goes on, ends, or is long enough.

    Args:
        first_bad: (W,), before the step.
        step: (W,), updates done before it.
        bad: (W,), whether its loss is.
        least: bad losses in a row that make a trial diverge; None where intervals decide.
    """
    start = jnp.where(first_bad < -1, -first_bad - 2, step)
    run = -(start + 2)
    if least is not None:
        run = jnp.where(step - start + 1 >= least, start, run)
    return jnp.where(first_bad >= 0, first_bad, jnp.where(bad, run, -1))


def after_interval(first_bad: jax.Array, state: Any, bad: jax.Array, least: int | None) -> Any:
    """At an evaluation: a bad one, parameters not finite, or a run that nothing good has ended.

    Args:
        first_bad: (W,).
        state: of the lanes; its parameters are looked at here and not at each step.
        bad: (W,), whether the evaluated loss is.
        least: as above.
    """
    trial = getattr(state, "trial", state)
    for leaf in jax.tree.leaves(getattr(trial, "params", ())):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            bad |= ~jnp.isfinite(leaf).reshape(len(leaf), -1).all(axis=1)
    pending = first_bad < -1
    if least is None:
        bad |= pending
    start = jnp.where(pending, -first_bad - 2, state.step)
    return jnp.where(bad & (first_bad < 0), start, first_bad)
