"""One trial as pure functions: the only place where a problem meets an optimizer.

    state           = init(hyperparameters, seed)
    state, loss, recorded = step(hyperparameters, state, seed, data)
    metrics         = evaluate(hyperparameters, state, part of the data, shared)

Where an optimizer has other weights for evaluation than those that it trains, metrics are of these,
and ``<metric>_raw`` of the trained ones.

``step`` number s (from 0) of a trial with seed k takes batch s mod m of epoch s div m, where an
epoch is m = n // batch_size steps over a permutation of the n examples that depends on (k, epoch)
alone, and the key ``fold_in(key(k), s)``.  Nothing else enters, so a trial is the same alone, in
:func:`~jaxopt_course.studies.fit.fit`, or among hundreds in a sweep.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.base import LAST_STEP, apply_updates
from jaxopt_course.inspection.watched import watched
from jaxopt_course.problems import asking, recording
from jaxopt_course.problems.order import shuffled
from jaxopt_course.problems.streams import Stream
from jaxopt_course.problems.tasks import Task
from jaxopt_course.transforms.evaluation import claims, evaluation_params
from jaxopt_course.tree import Tree, conjugated
from jaxopt_course.updating import adapted, extras, restored

Hyperparameters = Mapping[str, Any]
Made = Callable[[Hyperparameters], optax.GradientTransformation]
RAW = "_raw"  # behind the name of a metric: of the weights that are trained
OPTIMIZER_KEY = 0x9E3779B9  # folded into a step's key for the optimizer's own

# Of its own first loss, beyond which a trial counts as diverged.  In float32 the steps between
# numbers are there larger than the loss that training began with.  Measured on digits, wine,
# breast_cancer, diabetes and line, 12 optimizers at 37 rates from 1e-3 to 1e15: trials of digits
# and diabetes that passed it ended no better than one answer for all.  It is no proof of failure:
# wine and breast_cancer have trials that come back, with losses beyond 1e7 and a good accuracy.
DIVERGES_TIMES = 1e8


class TrialState(NamedTuple):
    """All that a trial carries from step to step."""

    params: Tree
    model_state: Tree  # BatchNorm statistics and the like; may be empty
    opt_state: Tree
    step: jax.Array  # (), int32, updates done


class Trial(NamedTuple):
    """What the sweep engine needs to know of a training."""

    init: Callable[[Hyperparameters, jax.Array], TrialState]
    step: Callable[
        ...,  # (hyperparameters, state, seed, data, rows=None)
        tuple[TrialState, jax.Array, dict[str, jax.Array]],
    ]
    evaluate: Callable[[Hyperparameters, TrialState, Tree, Tree], dict[str, jax.Array]]
    evaluated: Callable[[Hyperparameters, TrialState], Tree]  # the weights that it evaluates
    measure: Callable[[Hyperparameters, Tree, Tree, Tree, Tree], dict[str, jax.Array]]
    rows: Callable[[jax.Array, jax.Array, Tree], jax.Array] | None = None


class Budget(NamedTuple):
    """How long every trial trains and how often it is looked at; all in steps but ``epochs``."""

    steps: int
    epochs: int | None  # None where the budget was given in steps
    batch_size: int
    steps_per_epoch: int
    record_every: int
    evaluate_every: int
    diverges_above: float | None = None  # a loss; None is infinity, or a multiple is given
    diverges_times: float | None = None  # the trial's own first loss, beyond which it diverges
    diverges_after: int | None = None  # bad losses in a row; None is one

    def describe(self) -> dict[str, Any]:
        """For JSON; ``diverges_after`` only where it was given."""
        facts = self._asdict()
        if self.diverges_after is None:
            del facts["diverges_after"]
        return facts


def make_budget(
    examples: int,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    record_every: int | None = None,
    evaluate_every: int | None = None,
    diverges_above: float | None = None,
    diverges_times: float | None = DIVERGES_TIMES,
    diverges_after: int | None = None,
) -> Budget:
    """Resolve and check how long to train.

    Args:
        examples: n, the number of training examples.
        epochs: trainings of n // batch_size steps; this or ``steps``, not both.
        steps: updates.
        batch_size: examples a step, in [1, n].
        record_every: steps between records of the training loss; default as ``evaluate_every``.
        evaluate_every: steps between evaluations on the validation part; default one epoch.
        diverges_above: a loss beyond which, in absolute value, a trial counts as diverged; a loss
            that is not finite always does.  ``inf``: only such ones.
        diverges_times: where ``diverges_above`` is not given, the multiple of a trial's own first
            loss (or of 1, if that is more) beyond which it counts as diverged; None is infinity.
        diverges_after: so many such losses in a row, instead of the first.

    Raises:
        TypeError: a value is not a whole number.
        ValueError: a value is out of range, or both or none of ``epochs`` and ``steps`` are given.
    """
    given = {
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "record_every": record_every,
        "evaluate_every": evaluate_every,
        "diverges_after": diverges_after,
    }
    for name, value in given.items():
        if value is None and name != "batch_size":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if diverges_after is not None and diverges_after > LAST_STEP:
        raise ValueError(
            f"diverges_after must be at most {LAST_STEP:,}, as steps are, not {diverges_after}"
        )
    if (epochs is None) == (steps is None):
        raise ValueError("give either epochs= or steps=")
    if batch_size > examples:
        raise ValueError(
            f"batch_size={batch_size} is larger than the {examples} training examples; "
            f"take at most {examples} (which is full-batch descent)"
        )
    if diverges_above is not None and (
        isinstance(diverges_above, bool) or not isinstance(diverges_above, (int, float, np.number))
    ):
        raise TypeError(f"diverges_above must be a number, not {diverges_above!r}")
    if diverges_above is not None:
        diverges_times = None
    if diverges_above == float("inf"):
        diverges_above = None
    if diverges_above is not None and not 0 < diverges_above < float("inf"):
        raise ValueError(f"diverges_above must be a positive number, not {diverges_above!r}")
    steps_per_epoch = examples // int(batch_size)
    total = int(steps) if steps is not None else int(epochs or 0) * steps_per_epoch
    if total > LAST_STEP:
        raise ValueError(
            f"{total:,} steps are more than are counted, {LAST_STEP:,}; train in parts"
        )
    evaluate = min(int(evaluate_every or steps_per_epoch), total)
    return Budget(
        steps=total,
        epochs=None if epochs is None else int(epochs),
        batch_size=int(batch_size),
        steps_per_epoch=steps_per_epoch,
        record_every=min(int(record_every or evaluate), total),
        evaluate_every=evaluate,
        diverges_above=None if diverges_above is None else float(diverges_above),
        diverges_times=diverges_times,
        diverges_after=None if diverges_after is None else int(diverges_after),
    )


def budget_of(train: Any, *, batch_size: int = 64, **lengths: Any) -> Budget:
    """:func:`make_budget` for a train part, which may be a stream of batches.

    Args:
        train: the part.
        batch_size: a stream's batches have their own, and the default gives way to it.
        **lengths: as there.

    Raises:
        TypeError, ValueError: as there; or a stream's batches have another size, or no length
            where ``epochs``, ``evaluate_every`` or ``record_every`` depend on it.
    """
    if not isinstance(train, Stream):
        return make_budget(count_examples(train), batch_size=batch_size, **lengths)
    own = train.batch_size
    if batch_size not in (own, 64):
        raise ValueError(
            f"batch_size={batch_size}, and the stream's batches have {own} examples: leave it out, "
            "or make the stream of such batches"
        )
    if train.batches is None:
        needed = ("steps", "evaluate_every")
        if missing := [f"{name}=" for name in needed if lengths.get(name) is None]:
            raise ValueError(f"the stream has no length: give {' and '.join(missing)}")
        budget = make_budget(own * lengths["steps"], batch_size=own, **lengths)
        return budget._replace(steps_per_epoch=budget.steps)
    return make_budget(own * train.batches, batch_size=own, **lengths)


def count_examples(data: Tree) -> int:
    """The length of the leading axis that all arrays of ``data`` share."""
    return int(jax.tree.leaves(data)[0].shape[0])


def make_trial(
    task: Task,
    optimizer: Made,
    batch_size: int,
    row: Callable[[Hyperparameters], asking.Row | None] = lambda _: None,
    watch: Sequence[str] = (),
    raw: bool = True,
) -> Trial:
    """Join a task and an optimizer into the pure functions of one trial.

    Args:
        task: what is minimised.
        optimizer: from the hyperparameters of one trial (scalars, traced or not) to a gradient
            transformation.
        batch_size: examples a step; a Python integer in [1, n].
        row: from the hyperparameters to what the task's functions find in ``h``; None where they
            read nothing.
        watch: what a step records beside what the loss measures; see ``inspection.watched``.
        raw: whether metrics of the trained weights stand beside those of others for evaluation.
    """
    others: list[bool] = []  # whether there are such, once it was asked
    streams = isinstance(task.train, Stream)  # then the engine hands over the batch of the step

    def offered(reader: str, hyperparameters: Hyperparameters, **more: Any) -> dict[str, Any]:
        """What a function of the task may ask for."""
        found = row(hyperparameters)
        return more if found is None else {"h": found.by(reader), **more}

    def init(hyperparameters: Hyperparameters, seed: jax.Array) -> TrialState:
        first = asking.bind(task.init, 1, **offered("init", hyperparameters))
        params, model_state = first(jax.random.key(seed))
        opt_state = adapted(optimizer({**hyperparameters, "seed": seed})).init(params)
        return TrialState(params, model_state, opt_state, jnp.zeros((), jnp.int32))

    def of_step(seed: jax.Array, step: jax.Array, train: Tree) -> jax.Array:
        return rows_of(seed, step, count_examples(train), batch_size)

    def step(
        hyperparameters: Hyperparameters,
        state: TrialState,
        seed: jax.Array,
        data: Any,
        rows: jax.Array | None = None,
    ) -> tuple[TrialState, jax.Array, dict[str, jax.Array]]:
        params, model_state, opt_state, s = state
        batch = data.train
        if not streams:
            chosen = of_step(seed, s, data.train) if rows is None else rows
            batch = jax.tree.map(lambda x: x[chosen], data.train)
        key = jax.random.fold_in(jax.random.key(seed), s)
        beside = offered("the loss", hyperparameters, shared=data.shared)
        objective = asking.bind(task.loss, 4, **beside)
        gradient = jax.value_and_grad(objective, has_aux=True)
        more = extras(objective, params, model_state, batch, key, OPTIMIZER_KEY)
        (loss, (model_state, measured)), slope = gradient(params, model_state, batch, key)
        g = conjugated(slope)
        # transformations that look at the loss (Polyak's step, plateaus) get it; others ignore it
        tx = adapted(optimizer({**hyperparameters, "seed": seed}))
        u, after = tx.update(g, opt_state, params, value=loss, grad=g, **more)
        recorded = recording.joined(measured, watched(watch, tx, opt_state, params, g, u))
        return TrialState(apply_updates(params, u), model_state, after, s + 1), loss, recorded

    def measure(
        hyperparameters: Hyperparameters, params: Tree, model_state: Tree, part: Tree, shared: Tree
    ) -> dict[str, jax.Array]:
        beside = offered("evaluate", hyperparameters, shared=shared)
        return dict(asking.bind(task.evaluate, 3, **beside)(params, model_state, part))

    def has_others(hyperparameters: Hyperparameters, state: TrialState) -> bool:
        if not others:  # asked apart: a program in which nobody averages stays as it is
            others.append(evaluates_others(optimizer, hyperparameters, state))
        return others[0]

    def evaluated(hyperparameters: Hyperparameters, state: TrialState) -> Tree:
        if not has_others(hyperparameters, state):
            return state.params
        return evaluated_params(optimizer, hyperparameters, state)

    def evaluate(
        hyperparameters: Hyperparameters, state: TrialState, part: Tree, shared: Tree
    ) -> dict[str, jax.Array]:
        of = lambda params: measure(hyperparameters, params, state.model_state, part, shared)
        found = of(evaluated(hyperparameters, state))
        if not (raw and has_others(hyperparameters, state)):
            return found
        return with_raw(found, of(state.params))

    return Trial(init, step, evaluate, evaluated, measure, None if streams else of_step)


def evaluated_params(optimizer: Made, hyperparameters: Hyperparameters, state: TrialState) -> Tree:
    """The weights of a state that are to be evaluated."""
    tx = adapted(optimizer({"seed": jnp.uint32(0), **hyperparameters}))
    return evaluation_params(tx, restored(state.opt_state), state.params)


def evaluates_others(optimizer: Made, hyperparameters: Hyperparameters, state: TrialState) -> bool:
    """Whether an optimizer has other weights for evaluation than those that it trains."""
    found: list[bool] = []

    def ask(state: TrialState) -> tuple[()]:  # plain numbers stay plain: some need them so
        tx = adapted(optimizer({"seed": jnp.uint32(0), **hyperparameters}))
        found.append(bool(claims(tx, restored(state.opt_state), state.params)))
        return ()

    jax.eval_shape(ask, state)
    return found[0]


def with_raw(found: dict[str, jax.Array], trained: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """Metrics, and those of the trained weights beside them.

    Raises:
        ValueError: the task measures something of such a name itself.
    """
    for name in trained:
        if f"{name}{RAW}" in found:
            raise ValueError(
                f"the task measures {name + RAW!r}, as {name!r} of the trained weights is called "
                "where others are evaluated; rename it, or give raw=False"
            )
    return found | {f"{name}{RAW}": x for name, x in trained.items()}


def take_batch(data: Tree, seed: jax.Array, step: jax.Array, batch_size: int) -> Tree:
    """The batch of one step: ``batch_size`` examples of the epoch's permutation."""
    rows = rows_of(seed, step, count_examples(data), batch_size)
    return jax.tree.map(lambda x: x[rows], data)


def rows_of(seed: jax.Array, step: jax.Array, examples: int, batch_size: int) -> jax.Array:
    """(B,), int32, the examples of a step's batch.

    The last n mod batch_size positions of each permutation go unused.
    """
    steps_per_epoch = examples // batch_size
    epoch, position = step // steps_per_epoch, step % steps_per_epoch
    positions = position * batch_size + jnp.arange(batch_size, dtype=jnp.int32)
    return shuffled(seed, epoch, positions, examples)
