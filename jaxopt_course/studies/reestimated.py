"""A model's own averages (BatchNorm's) for other weights than those that it was trained with.

    s ← m s + (1 - m) b_i    what a layer does with the statistics b_i of batch i
    s = Σ b_i / k            what :func:`reestimated` makes of the k batches of an epoch

m is not asked for: a state of 2⁶⁰, beside which b_i is nothing, becomes m 2⁶⁰, and b_i is what is
made of a state of 0, over 1 - m.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.messages import printable
from jaxopt_course.problems import asking
from jaxopt_course.problems.catalog import task_of
from jaxopt_course.problems.streams import Reading, Stream
from jaxopt_course.problems.tasks import Task
from jaxopt_course.train import budget_of, take_batch
from jaxopt_course.tree import Tree, cast_like, is_floating, paths

FAR = 1e-3  # relative; a state that moves otherwise is no moving average


def reestimated(
    task: Task | str,
    params: Tree,
    model_state: Tree,
    *,
    batch_size: int = 64,
    batches: int | None = None,
    seed: int = 0,
    h: Mapping[str, Any] | None = None,
) -> Tree:
    """The model's state for these weights: means over the training data, without their history.

        mean, state = study.params(3), study.state(3)  # its averages are of the trained weights
        again = joc.reestimated(task, mean, state.model_state, batch_size=64)
        metrics = task.evaluate(mean, again, task.test)

    Weights that are averaged (``ema_params``, ``swa_params``, Schedule-Free's x, Lookahead's slow
    ones) have other activations than those that were trained, and BatchNorm's statistics are of the
    latter.  The weights stay as they are; the loss is computed in training mode, nothing is
    differentiated: an epoch costs about a third of a training epoch.

    Args:
        task: what was minimised, or a name of ``load_task``.
        params: the weights, as ``task.init`` makes them.
        model_state: the model's, likewise; says which leaves there are, its values do not count.
        batch_size: examples a batch, of which the statistics are; a stream's own.
        batches: how many, of an epoch in the order of ``seed``; default all of it, but for the
            n mod batch_size examples that an epoch leaves out.
        seed: of the order of the data and the dropout, as in a training.
        h: the numbers of a row, for a task whose functions read them.

    Returns:
        a tree like ``model_state``, of its dtypes.  Leaves that the loss leaves as they are stay,
        and those that are no floating point are as a batch leaves them.

    Raises:
        ValueError: the task's model has no state; a leaf that is no moving average of the batches
            (its path in the message); more batches than an epoch has; a stream without a length; a
            seed that is none.
        KeyError: the task reads a number that ``h`` does not have.

    Same as ``torch.optim.swa_utils.update_bn``, which takes the last, smaller batch too and whose
    layers count n - 1 in a batch's variance, as each framework's own layer does.

    >>> import numpy as np
    >>> from flax import linen as nn
    >>> class Net(nn.Module):
    ...     @nn.compact
    ...     def __call__(self, x, train):
    ...         return nn.Dense(1)(nn.BatchNorm(use_running_average=not train)(x))
    >>> x = np.arange(10.0, dtype=np.float32)[:, None]
    >>> task = Task.from_flax(Net(), x, x, loss="squared_error")
    >>> params, state = task.init(jax.random.key(0))
    >>> again = reestimated(task, params, state, batch_size=3)  # of 6, two batches
    >>> print(again["batch_stats"]["BatchNorm_0"]["mean"], task.train["inputs"].mean())
    [3.6666667] 3.6666667
    """
    task = task_of(task)
    if not jax.tree.leaves(model_state):
        raise ValueError(f"the model of {task.name!r} has no state of its own: nothing to estimate")
    if not _whole(seed) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2³² - 1, not {seed!r}")
    step, epoch = _batches(task, batch_size, int(seed))
    count = epoch if batches is None else batches
    if count is None:
        raise ValueError("the stream has no length: say batches=, how many are looked at")
    if not _whole(count) or count < 1 or (epoch is not None and count > epoch):
        most = "" if epoch is None else f" to {epoch}, an epoch of batches"
        raise ValueError(f"batches must be a whole number from 1{most}, not {count!r}")
    numbers = {name: x if isinstance(x, str) else jnp.asarray(x) for name, x in (h or {}).items()}
    row = asking.Row(numbers, "the loss", asking.Reads())
    loss = asking.bind(task.loss, 4, h=row, shared=task.shared)
    leaves, structure = jax.tree.flatten(jax.tree.map(jnp.asarray, model_state))
    moving = [is_floating(x) for x in leaves]
    zero = [jnp.zeros_like(x) for x in leaves]
    after = jax.jit(functools.partial(_after, loss, structure, moving))
    key, rates, total = jax.random.key(np.uint32(seed)), [], zero
    for s in range(count):
        at = params, step(s), jax.random.fold_in(key, s)
        if s == 0:
            rates = _rates(functools.partial(after, at), leaves, moving)
            _check(functools.partial(after, at), leaves, moving, rates, paths(model_state))
        new = after(at, zero, leaves)
        # b of a batch; of leaves that are not floating, as counters, what it leaves
        total = [
            x if m is None else a + jnp.where(m == 1, old, x / jnp.where(m == 1, 1, 1 - m))
            for a, x, old, m in zip(total, new, leaves, rates, strict=True)
        ]
    means = [x / count if m else x for x, m in zip(total, moving, strict=True)]
    return jax.tree.unflatten(structure, cast_like(means, leaves))


def of_trained_weights(name: str) -> str:
    """What ``sweep`` and ``fit`` warn of: metrics of a mean with averages that are not its own."""
    return (
        f"{printable(name)}: weights for evaluation (means, Schedule-Free's x) are "
        "evaluated with the model's own state, BatchNorm's averages, of the trained weights; "
        "joc.reestimated(task, params, model_state) estimates it again in a pass over the data"
    )


def _whole(x: Any) -> bool:
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


def _batches(task: Task, batch_size: int, seed: int) -> tuple[Callable[[int], Tree], int | None]:
    """The batch of a step, and how many an epoch has; None where that is not known."""
    if isinstance(task.train, Stream):
        reading = Reading(task.train)
        return lambda s: reading.batch(seed, s), task.train.batches
    budget = budget_of(task.train, batch_size=batch_size, epochs=1)
    take = jax.jit(functools.partial(take_batch, batch_size=budget.batch_size))
    data = jax.device_put(task.train)
    return lambda s: take(data, jnp.uint32(seed), jnp.int32(s)), budget.steps


def _after(
    loss: Any, structure: Any, moving: list[bool], at: Any, own: Any, leaves: Any
) -> list[jax.Array]:
    """The leaves of the state after a batch; the floating ones were ``own``."""
    params, batch, key = at
    state = [x if m else y for x, y, m in zip(own, leaves, moving, strict=True)]
    _, (new, _) = loss(params, jax.tree.unflatten(structure, state), batch, key)
    return [jnp.asarray(x) for x in jax.tree.leaves(new)]


def _rates(after: Any, leaves: list[jax.Array], moving: list[bool]) -> list[np.ndarray | None]:
    """m of every coordinate; None for a leaf that is not floating.

    Of the float32 the shortest decimal, of which the layer has 1 - m: that of 0.99 is off by 1e-6.
    """
    far = [
        2.0 ** (60 if jnp.finfo(x.dtype).maxexp > 64 else 12) if m else 0
        for x, m in zip(leaves, moving, strict=True)
    ]
    large = [jnp.full_like(x, a) for x, a in zip(leaves, far, strict=True)]
    found = []
    for x, a, m in zip(after(large, leaves), far, moving, strict=True):
        rate = np.asarray(x, np.float32) / np.float32(a or 1)
        values, places = np.unique(rate, return_inverse=True)
        decimals = np.array([float(str(value)) for value in values])
        found.append(decimals[places].reshape(rate.shape) if m else None)
    return found


def _check(
    after: Any,
    leaves: list[jax.Array],
    moving: list[bool],
    rates: list[np.ndarray | None],
    names: list[str],
) -> None:
    """Refuse a state that is not m s + (1 - m) b, coordinate by coordinate."""
    rng = np.random.default_rng(0)
    odd = [jnp.asarray(rng.uniform(0.5, 1.5, x.shape), x.dtype) for x in leaves]
    zero = [jnp.zeros_like(x) for x in leaves]
    columns = names, odd, after(odd, leaves), after(zero, leaves), rates
    for name, x, new, rest, m in zip(*columns, strict=True):
        if m is None or not x.size:
            continue
        size = jnp.max(jnp.abs(rest)) + jnp.max(jnp.abs(x))
        near = jnp.abs(new - (rest + m * x)) <= FAR * size
        if not jnp.all(near & jnp.isfinite(rest) & ((m != 1) | (rest == 0))):
            raise ValueError(
                f"{name} of the model's state is no moving average of what batches have, as "
                "BatchNorm's mean and variance are, so it cannot be estimated anew"
            )
