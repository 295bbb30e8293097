"""What a sweep relies on in a task, beyond what its construction checks on shapes."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.problems import asking
from jaxopt_course.problems.tasks import Task
from jaxopt_course.testing.faults import (
    attempting,
    path_of,
    require,
    require_close,
    require_finite,
    require_one_program,
)
from jaxopt_course.train import count_examples
from jaxopt_course.tree import Tree

STEPS, LANES = 3, 3
LARGE = 10_000  # numbers of a constant in a program that are too many


def check_task(
    task: Any,
    numbers: Mapping[str, Any] | None = None,
    *,
    batch_size: int = 8,
    learning_rate: float = 1e-3,
    without_gradient: Collection[str] = (),
    rtol: float = 1e-3,
) -> None:
    """Check a task by training it for three steps of gradient descent, on three seeds.

        functions   run on a first batch, on arrays, one program whenever they are traced
        start       parameters are floating point
        loss        finite, a mean over the batch and no sum; its gradient finite
        gradient    reaches every parameter
        state       the model's keeps structure, shapes and dtypes, and stays finite
        data        reach the functions as arguments, none is a constant of the program
        evaluate    finite on all parts
        lanes       three seeds under ``vmap`` are the three alone

    >>> from jaxopt_course.problems.catalog import load_task
    >>> check_task(load_task("line"), batch_size=5)

    Args:
        task: a :class:`~jaxopt_course.problems.tasks.Task`.
        numbers: the row's numbers by column, where its functions read them as ``h``.
        batch_size: examples a step, at most those of the train part; a stream has its own.
        learning_rate: of the descent.
        without_gradient: paths of parameters that are meant to have none, as ``"base/kernel"``.
        rtol: how far a lane may be from the run alone, in the largest number of the leaf.

    Raises:
        AssertionError: what is broken, at which leaf, and how to mend it.
    """
    require(
        isinstance(task, Task),
        f"the task is {type(task).__name__}, and no joc.Task; make one with joc.Task(...) or "
        "joc.Task.from_flax(...)",
    )
    one = _Bound(task, numbers or {})
    with attempting("the task"):
        task.check(one.row("the task"))
    batches = _batches(task, batch_size)
    keys = [jax.random.key(seed) for seed in range(LANES)]
    init = jax.jit(one.init)
    with attempting("init"):
        starts = [init(key) for key in keys]
    for path, leaf in jax.tree.leaves_with_path(starts[0][0]):
        require(
            jnp.issubdtype(leaf.dtype, jnp.floating),
            f"the parameter {path_of(path)} is {leaf.dtype}, which no gradient can change; put it "
            "into model_state, or into shared",
        )
    step = one.step(learning_rate)
    with attempting("the task"):
        require_one_program("init", one.init, keys[0])
        require_one_program("loss", step, *starts[0], batches[0], keys[0], one.shared)
        valid = jax.tree.map(jnp.asarray, task.valid)
        require_one_program("evaluate", one.evaluate, *starts[0], valid, one.shared)
    _check_constants(one, starts[0], batches[0], keys[0])
    program = jax.jit(step)
    alone = [
        _run(program, start, batches, key, one) for start, key in zip(starts, keys, strict=True)
    ]
    _check_training(alone[0], without_gradient)
    _check_mean(one, starts[0], batches[0], keys[0])
    _check_evaluation(one, starts[0], task)
    _check_lanes(step, one, batches, keys, alone, rtol)


class _Bound:
    """A task's three functions of their plain arguments, the row filled in."""

    def __init__(self, task: Task, numbers: Mapping[str, Any]) -> None:
        self.shared = jax.tree.map(jnp.asarray, task.shared)
        self._task, self._reads = task, asking.Reads()
        self._numbers = {
            name: jnp.asarray(x) if isinstance(x, int | float | np.number) else x
            for name, x in numbers.items()
        }

    def row(self, reader: str) -> asking.Row:
        return asking.Row(self._numbers, reader, self._reads)

    def init(self, key: Any) -> tuple[Tree, Tree]:
        first: tuple[Tree, Tree] = asking.call(self._task.init, key, h=self.row("init"))
        return first

    def loss(self, params: Tree, state: Tree, batch: Tree, key: Any, shared: Tree) -> Any:
        row = self.row("the loss")
        return asking.call(self._task.loss, params, state, batch, key, h=row, shared=shared)

    def evaluate(self, params: Tree, state: Tree, part: Tree, shared: Tree) -> Any:
        row = self.row("evaluate")
        return asking.call(self._task.evaluate, params, state, part, h=row, shared=shared)

    def step(self, learning_rate: float) -> Callable[..., Any]:
        """One of gradient descent: (parameters, model state, loss, gradient)."""

        def step(params: Tree, state: Tree, batch: Tree, key: Any, shared: Tree) -> Any:
            slope = jax.value_and_grad(self.loss, has_aux=True)
            (loss, (after, _)), g = slope(params, state, batch, key, shared)
            return jax.tree.map(lambda p, d: p - learning_rate * d, params, g), after, loss, g

        return step


def _batches(task: Task, batch_size: int) -> list[Tree]:
    """A few, of a stream the first one again and again."""
    sample = task.sample
    if sample is not task.train:
        return [jax.tree.map(jnp.asarray, sample)] * STEPS
    count = count_examples(sample)
    require(
        batch_size <= count,
        f"batch_size={batch_size} is larger than the {count} examples of the train part; give a "
        "smaller one",
    )
    rows = lambda i: (np.arange(batch_size) + i * batch_size) % count
    return [jax.tree.map(lambda x, i=i: jnp.asarray(x[rows(i)]), sample) for i in range(STEPS)]


def _run(
    program: Callable[..., Any], start: Any, batches: list[Tree], key: Any, one: _Bound
) -> list[Any]:
    """What each step left: (parameters, model state, loss, gradient)."""
    params, state = start
    left = []
    for number, batch in enumerate(batches):
        with attempting(f"loss of step {number}"):
            step_key = jax.random.fold_in(key, number)
            left.append(program(params, state, batch, step_key, one.shared))
        params, state = left[-1][:2]
    return left


def _check_training(left: list[Any], without_gradient: Collection[str]) -> None:
    for number, (_, state, loss, g) in enumerate(left):
        when = f"of step {number}"
        mend = "look for log(0), a division by 0 and a root of 0, whose slope is infinite"
        require_finite(f"losses {when}", loss, mend)
        require_finite(f"gradients {when}", g, mend)
        require_finite(f"leaves of model_state {when}", state, mend)
    moved = {
        path_of(path): any(np.asarray(leaf).any() for leaf in leaves)
        for (path, _), *leaves in zip(
            jax.tree.leaves_with_path(left[0][3]),
            *(jax.tree.leaves(g) for *_, g in left),
            strict=True,
        )
    }
    for path, reached in moved.items():
        require(
            reached or path in without_gradient,
            f"no gradient reaches the parameter {path} in {STEPS} steps: the loss does not use it, "
            "or stops its gradient; what is not trained belongs into model_state or shared, or is "
            "named in without_gradient=",
        )


def _check_constants(one: _Bound, start: Any, batch: Tree, key: Any) -> None:
    """Arrays of the closure are written into each program, and are no part of the data's hash."""
    traced = jax.make_jaxpr(one.loss)(*start, batch, key, one.shared)
    for constant in traced.consts:
        require(
            np.size(constant) < LARGE,
            f"loss holds an array {np.shape(constant)} as a constant of its program: give data as "
            "train, valid and test, and what all lanes read as shared=",
        )


def _check_mean(one: _Bound, start: Any, batch: Tree, key: Any) -> None:
    """The batch twice has the loss of the batch; twice the loss is that of a sum."""
    params, state = start
    twice = jax.tree.map(lambda x: jnp.concatenate([x, x]), batch)
    with attempting("loss of a batch of twice the size"):
        single = float(one.loss(params, state, batch, key, one.shared)[0])
        double = float(one.loss(params, state, twice, key, one.shared)[0])
    summed = single != 0 and abs(double / single - 2) < 1e-4
    require(
        not summed,
        f"the loss of a batch given twice is twice as large ({single:.4g}, {double:.4g}): it is a "
        "sum over the examples, and rates would depend on the batch size; take the mean",
    )


def _check_evaluation(one: _Bound, start: Any, task: Task) -> None:
    evaluate = jax.jit(one.evaluate)
    parts = {"valid": task.valid, "test": task.test, **task.validations}
    for name, data in parts.items():
        arrays = jax.tree.map(jnp.asarray, data)
        with attempting(f"evaluate on {name}"):
            found = evaluate(*start, arrays, one.shared)
        mend = "a metric that is not defined for untrained parameters cannot choose a trial"
        require_finite(f"metrics on {name}", found, mend)


def _check_lanes(
    step: Callable[..., Any],
    one: _Bound,
    batches: list[Tree],
    keys: list[Any],
    alone: list[list[Any]],
    rtol: float,
) -> None:
    with attempting("init under vmap"):
        params, state = jax.jit(jax.vmap(one.init))(jnp.stack(keys))
    program = jax.jit(jax.vmap(step, (0, 0, None, 0, None)))
    for number, batch in enumerate(batches):
        with attempting("loss under vmap"):
            step_keys = jnp.stack([jax.random.fold_in(key, number) for key in keys])
            params, state, loss, g = program(params, state, batch, step_keys, one.shared)
        for lane in range(LANES):
            found = jax.tree.map(lambda x, lane=lane: x[lane], (loss, g))
            require_close(
                f"losses and gradients of step {number} in lane {lane} and alone",
                found,
                alone[lane][number][2:],
                rtol,
                "lanes see each other, or an operation has no rule for vmap; look for callbacks, "
                "custom_vmap and axes counted from the front",
            )
