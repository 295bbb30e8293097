"""A trial that holds the weights of its best evaluation beside those that it trains.

    after(hyperparameters, state, metrics)             -> state, at the end of an interval
    test(hyperparameters, state, part, shared)         -> metrics of the weights of the best one

What is held are the weights for evaluation and the model's own state, of the earliest of equals.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_course.sweeps.lanes import Trial, test_by
from jaxopt_course.sweeps.mesh import put_state
from jaxopt_course.sweeps.numerics import precision
from jaxopt_course.sweeps.program import Table, row_of

Tree = Any


class Held(NamedTuple):
    """A trial's state, and what its best evaluation was made with."""

    trial: Any
    best_params: Tree
    best_model_state: Tree
    best: jax.Array  # (), float32: the best score so far, lower is better; NaN before there is one

    @property
    def step(self) -> Any:
        """Updates done."""
        return self.trial.step

    @property
    def params(self) -> Any:
        """Those that are trained."""
        return self.trial.params


class HoldingTrial(NamedTuple):
    """The pure functions of a trial whose state is a :class:`Held`."""

    init: Any
    step: Any
    evaluate: Any
    rows: Any
    after: Any
    test: Any


def holding(
    trial: Trial,
    metric: str,
    direction: str,
    evaluated: Callable[[Any, Any], Tree],
    measure: Callable[..., dict[str, jax.Array]],
) -> HoldingTrial:
    """The trial with the weights of its best evaluation in its state; what it computes stays.

    Args:
        trial: its functions.
        metric: of those that it evaluates, by which it is the best.
        direction: "min" or "max".
        evaluated: (hyperparameters, state) -> the weights that are evaluated.
        measure: (hyperparameters, params, model_state, part, shared) -> metrics.
    """
    sign = -1.0 if direction == "max" else 1.0

    def init(hyperparameters: Any, seed: Any) -> Held:
        state = trial.init(hyperparameters, seed)
        params = evaluated(hyperparameters, state)
        return Held(state, params, state.model_state, jnp.full((), jnp.nan, jnp.float32))

    def step(hyperparameters: Any, state: Held, *more: Any) -> tuple[Any, ...]:
        new, *rest = trial.step(hyperparameters, state.trial, *more)
        return state._replace(trial=new), *rest

    def evaluate(hyperparameters: Any, state: Held, *parts: Any) -> Any:
        return trial.evaluate(hyperparameters, state.trial, *parts)

    def after(hyperparameters: Any, state: Held, metrics: Mapping[str, jax.Array]) -> Held:
        score = jnp.nan_to_num(sign * metrics[metric], nan=jnp.inf, posinf=jnp.inf, neginf=-jnp.inf)
        better = (score < state.best) | jnp.isnan(state.best)
        choose = lambda new, old: jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)
        own = state.trial
        now = evaluated(hyperparameters, own), own.model_state, score
        return Held(own, *choose(now, (state.best_params, state.best_model_state, state.best)))

    def test(hyperparameters: Any, state: Held, *parts: Any) -> dict[str, jax.Array]:
        return measure(hyperparameters, state.best_params, state.best_model_state, *parts)

    return HoldingTrial(init, step, evaluate, trial.rows, after, test)


def held_bytes(state: Held) -> int:
    """What is held beside the trial's own state takes; shapes suffice."""
    beside = (state.best_params, state.best_model_state, state.best)
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(beside))


def tester(trial: Any, table: Table) -> Callable[[int, Any, Any, Any], None]:
    """What measures a trial on the test part, alone, once it is stopped before its budget.

    Args:
        trial: its functions.
        table: its row's.
    """
    test = jax.jit(test_by(trial))

    def stopped(row: int, state: Any, device: Any, results: Any) -> None:
        here = put_state(state, device.device)
        with jax.default_matmul_precision(precision(device.device.platform)):
            found = test(row_of(table, row), here, device.data.test, device.data.shared)
        for name, value in found.items():
            results.test[name][row] = value

    return stopped
