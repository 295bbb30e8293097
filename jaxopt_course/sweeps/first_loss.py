"""A trial that remembers its own first loss, by which its divergence is judged.

    bad     |loss| > times * max(|first loss|, 1), or not finite

``first loss`` is that of step 0, on the first batch, with the weights that the seed draws.  The 1
keeps losses that begin near 0 (a generator's, a policy's, a penalty that is satisfied at first)
from being judged by nothing.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

LEAST = 1.0  # a smaller first loss counts as this


class Judged(NamedTuple):
    """A trial's state and the limit of its losses."""

    trial: Any
    limit: jax.Array  # (), float32; 0 before the first step

    @property
    def step(self) -> Any:
        """Updates done."""
        return self.trial.step

    @property
    def params(self) -> Any:
        """Those that are trained."""
        return self.trial.params


class JudgedTrial(NamedTuple):
    """The pure functions of a trial whose state is a :class:`Judged`."""

    init: Any
    step: Any
    evaluate: Any
    rows: Any
    after: Any = None  # as the trial has them, see ``best``
    test: Any = None


def judged(trial: Any, times: float) -> JudgedTrial:
    """The trial, with the limit of its losses in its state; what it computes stays as it is.

    Args:
        trial: its functions.
        times: of the first loss, beyond which a loss is bad.
    """

    def init(hyperparameters: Any, seed: Any) -> Judged:
        return Judged(trial.init(hyperparameters, seed), jnp.zeros((), jnp.float32))

    def step(
        hyperparameters: Any, state: Judged, seed: Any, data: Any, rows: Any = None
    ) -> tuple[Any, ...]:
        new, loss, *rest = trial.step(hyperparameters, state.trial, seed, data, rows)
        first = jnp.maximum(jnp.abs(loss).astype(jnp.float32), LEAST)
        limit = jnp.where(state.step == 0, times * first, state.limit)
        return Judged(new, limit), loss, *rest

    def evaluate(hyperparameters: Any, state: Judged, *parts: Any) -> Any:
        return trial.evaluate(hyperparameters, state.trial, *parts)

    def after(hyperparameters: Any, state: Judged, metrics: Any) -> Judged:
        return state._replace(trial=trial.after(hyperparameters, state.trial, metrics))

    def test(hyperparameters: Any, state: Judged, *parts: Any) -> Any:
        return trial.test(hyperparameters, state.trial, *parts)

    more = (after, test) if hasattr(trial, "after") else (None, None)
    return JudgedTrial(init, step, evaluate, trial.rows, *more)
