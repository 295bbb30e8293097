"""``fit``: one network, trained plainly."""

import functools
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.problems.asking import Reads, Row
from jaxopt_course.problems.catalog import task_of
from jaxopt_course.problems.streams import Reading, Stream
from jaxopt_course.problems.tasks import Task
from jaxopt_course.studies.lowering import data_of
from jaxopt_course.studies.reestimated import of_trained_weights
from jaxopt_course.studies.seen import make_seen
from jaxopt_course.sweeps.lanes import on_further_sets
from jaxopt_course.train import TrialState, budget_of, evaluates_others, make_trial
from jaxopt_course.updating import restored

if TYPE_CHECKING:
    import xarray as xr


class Fit(NamedTuple):
    """What :func:`fit` returns."""

    state: TrialState
    curves: "xr.Dataset"  # train_loss(step), valid_*(eval_step), float32
    metrics: dict[str, float]  # final valid_* and test_* metrics


def fit(
    task: Task | str,
    optimizer: optax.GradientTransformation,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    seed: int = 0,
    record_every: int | None = None,
    evaluate_every: int | None = None,
    h: Mapping[str, Any] | None = None,
    raw: bool = True,
) -> Fit:
    """Train one network, plainly: for people who want no sweep.

    Args:
        task: what is minimised, or a name of ``load_task``.
        optimizer: a gradient transformation, ours or optax's.
        epochs: see :func:`make_budget`, as the arguments below.
        steps: this or ``epochs``.
        batch_size: examples a step.
        seed: of the weights, the order of the data and the dropout.
        record_every: steps between records of the training loss (their mean since the last).
        evaluate_every: steps between evaluations on the validation part.
        h: the numbers of a row, for a task whose functions read them.
        raw: whether ``…_raw`` metrics of the trained weights stand beside those of the weights that
            the optimizer has for evaluation, where it has such; see :func:`evaluation_params`.  A
            model's own state (BatchNorm's averages) is that of the trained weights in both, of
            which a warning tells; see :func:`reestimated`.

    Returns:
        the last state, the curves and the final metrics; the numbers of the same trial in a sweep,
        up to float32 rounding.

    Raises:
        TypeError: an argument of another kind than said above.
        KeyError, ValueError: the task reads a number that ``h`` does not have; or nobody reads one;
            or the optimizer is refused by :func:`evaluation_params`.
    """
    _check(optimizer, seed, h, raw)
    task = task_of(task)
    if task.folds is not None and (h or {}).get(task.folds.column) not in range(task.folds.number):
        column, number = task.folds.column, task.folds.number
        raise ValueError(f"the task is in {number} folds; say which: h={{{column!r}: 0}}")
    numbers = {name: _scalar(x) for name, x in (h or {}).items()}
    reads = Reads()
    row = Row(numbers, "", reads)
    if task.asks.columns is None or numbers:
        task.check(row)
    if unread := sorted(set(numbers) - reads.of()):
        raise ValueError(f"the task does not read {unread[0]!r}; leave it out of h=")
    budget = budget_of(
        task.train,
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        record_every=record_every,
        evaluate_every=evaluate_every,
    )
    rows = (lambda _: row) if task.asks.columns is None or numbers else (lambda _: None)
    trial = make_trial(task, lambda _: optimizer, budget.batch_size, rows, raw=raw)
    key = jnp.uint32(seed)
    first = jax.eval_shape(lambda: trial.init({}, key))
    others = evaluates_others(lambda _: optimizer, {}, first)  # two that contradict end it here
    if others and jax.tree.leaves(first.model_state):
        warnings.warn(of_trained_weights(task.name), stacklevel=2)
    advance = jax.jit(lambda state, data: trial.step({}, state, key, data), donate_argnums=0)
    evaluate = jax.jit(lambda state, part, shared: trial.evaluate({}, state, part, shared))
    data = jax.device_put(data_of(task))
    state = jax.jit(lambda: trial.init({}, key))()
    losses: list[dict[str, jax.Array]] = []
    records: dict[int, dict[str, np.float32]] = {}
    evaluations: dict[int, dict[str, jax.Array]] = {}
    reading = Reading(task.train) if isinstance(task.train, Stream) else None
    for s in range(1, budget.steps + 1):
        if reading is not None:
            data = data._replace(train=reading.batch(seed, s - 1))
        state, loss, more = advance(state, data)
        losses.append({"train_loss": loss} | more)
        if s % budget.record_every == 0 or s == budget.steps:
            records[s] = {
                name: np.float32(np.mean([np.float64(one[name]) for one in losses]))
                for name in losses[0]
            }
            losses.clear()
        if s % budget.evaluate_every == 0 or s == budget.steps:
            measure = functools.partial(evaluate, state, shared=data.shared)
            evaluations[s] = measure(data.valid) | on_further_sets(measure, data)
    test = evaluate(state, data.test, data.shared)
    last = evaluations[budget.steps]
    import xarray as xr  # late: not needed before a study is there

    curves = xr.Dataset(
        {
            name: ("step", np.array([r[name] for r in records.values()], np.float32))
            for name in records[budget.steps]
        }
        | {
            f"valid_{name}": ("eval_step", np.array([e[name] for e in evaluations.values()]))
            for name in last
        },
        coords={"step": list(records), "eval_step": list(evaluations)},
    )
    metrics = {f"valid_{name}": float(x) for name, x in last.items()}
    metrics |= {f"test_{name}": float(x) for name, x in test.items()}
    return Fit(state._replace(opt_state=restored(state.opt_state)), curves, metrics)


def _check(optimizer: Any, seed: Any, h: Any, raw: Any) -> None:
    if not (callable(getattr(optimizer, "init", None)) and hasattr(optimizer, "update")):
        raise TypeError(
            f"optimizer must be a gradient transformation, such as joc.adam(1e-3), not "
            f"{optimizer!r:.60}; names and functions of a row are for sweep"
        )
    known = isinstance(seed, int | np.integer | np.ndarray | jax.Array)
    whole = known and not np.ndim(seed) and np.asarray(seed).dtype.kind in "iuO"
    if not whole or not 0 <= int(seed) < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2³² - 1, not {seed!r:.60}")
    if h is not None and not isinstance(h, Mapping):
        raise TypeError(f"h must be a dictionary, the numbers of a row by name, not {h!r:.60}")
    for name, value in (h or {}).items():
        one = isinstance(value, str) or (
            not np.ndim(value) and np.asarray(value).dtype.kind in "biuf"
        )
        if not isinstance(name, str) or not one:
            raise TypeError(f"h takes numbers and text by name, not {name!r:.60}: {value!r:.60}")
    make_seen(raw=raw)


def _scalar(value: Any) -> Any:
    """A number as a row has it; text stays text, as static columns do."""
    if isinstance(value, str):
        return value
    kind = {"b": np.bool_, "i": np.int32, "u": np.int32}.get(np.asarray(value).dtype.kind)
    return jnp.asarray(value, kind or jnp.float32)
