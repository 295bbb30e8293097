"""A Flax module, a loss and data as the functions and arrays of a task."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.messages import unknown
from jaxopt_course.problems import asking, checks, recording
from jaxopt_course.problems.gathered import gather
from jaxopt_course.problems.losses import LOSSES, Loss, Metric, own_loss
from jaxopt_course.problems.networks import functional
from jaxopt_course.problems.outputs import any_nan, at_least_float32, in_chunks
from jaxopt_course.problems.regularization import column, squared_weights
from jaxopt_course.tree import Tree


class Ingredients(NamedTuple):
    """What a task is made of."""

    fields: dict[str, Any]  # of the task, by name
    check_labels: Callable[[], None]  # to be called once the task's own checks have passed
    stratify: bool = False  # whether the parts have equal shares of the classes


def ingredients(
    module: Any,
    inputs: Any,
    targets: Any,
    *,
    loss: str | Callable[..., jax.Array],
    evaluate_loss: str | Callable[..., jax.Array] | None,
    metrics: Mapping[str, Metric] | None,
    evaluate_chunk: int,
    **data: Any,
) -> Ingredients:
    """See ``Task.from_flax``; ``data`` are the arguments of ``gather``."""
    rule = _rule_of(loss)
    measuring = rule if evaluate_loss is None else _rule_of(evaluate_loss)
    checks.measures(rule.metrics if metrics is None else metrics)
    measured = dict(rule.metrics if metrics is None else metrics)
    number = isinstance(evaluate_chunk, int | float | np.number)
    if not number or evaluate_chunk < 1 or evaluate_chunk != int(evaluate_chunk):
        raise ValueError(f"evaluate_chunk must be whole and at least 1, not {evaluate_chunk!r}")

    given = gather(inputs, targets, rule, evaluate_chunk=evaluate_chunk, **data)
    directions = {name: direction for name, (_, direction) in measured.items()}
    by_loss = metrics is None and (given.by_windows or not rule.classification)
    directions = {"loss": "min"} | directions if by_loss else directions | {"loss": "min"}
    net = functional(module, given.example, given.offered)
    single = not (rule.own and measuring.own)  # a named loss wants one array of outputs

    def check_labels(outputs: Tree) -> None:
        for one in (rule, measuring):
            for known in given.targets if not one.own else ():
                one.check(known, outputs.shape[-1])

    def mean_loss(
        params: Tree, model_state: Tree, batch: Tree, key: jax.Array, **offered: Any
    ) -> tuple[jax.Array, tuple[Tree, dict[str, Any]]]:
        outputs, model_state = net.train(params, model_state, batch["inputs"], key, **offered)
        outputs = rule.match(at_least_float32(outputs, single), batch["targets"])
        if net.asks.columns is None:  # the labels could not be checked before
            check_labels(outputs)
        own = asking.read_by("the loss", offered)
        result = asking.bind(rule.per_example, 2, **own)(outputs, batch["targets"])
        losses, told = recording.parted(result)
        mean, means = jnp.mean(losses), recording.means(told, losses)
        decay = None if callable(loss) else column(own.get("h"), "l2")
        if decay is not None:
            mean = mean + decay * squared_weights(params)
        return mean, (model_state, means)

    def evaluate(
        params: Tree, model_state: Tree, data: Tree, **offered: Any
    ) -> dict[str, jax.Array]:
        def network(x: Tree) -> Tree:
            return at_least_float32(net.apply(params, model_state, x, **offered), single)

        def asked(name: str, function: Any) -> Any:
            return asking.bind(function, 2, **asking.read_by(f"valid_{name}", offered))

        def without_row(_: str, function: Any) -> Any:
            return asking.bind(function, 2, **{n: x for n, x in offered.items() if n != "h"})

        outputs = in_chunks(network, data["inputs"], evaluate_chunk)
        outputs, targets = rule.match(outputs, data["targets"]), data["targets"]
        values = {
            name: checks.measured(name, asked(name, function), outputs, targets)
            for name, (function, _) in measured.items()
        }
        # a named one is measured without its columns
        own = asked if measuring.asks.columns is None else without_row
        each = own("loss", measuring.per_example)
        values["loss"] = jnp.mean(recording.parted(each(outputs, targets))[0])
        broken = any_nan(outputs)
        return {name: jnp.where(broken, jnp.nan, value) for name, value in values.items()}

    asks = net.asks | rule.asks
    if not callable(loss):
        asks |= asking.Asks(frozenset({"h"}), frozenset({"l2"}))
    others = [asking.asks_of(function, 2) for function, _ in measured.values()]
    known = measuring.asks.columns is not None
    others.append(asking.Asks(measuring.asks.names - {"h"}) if known else measuring.asks)
    evaluated = asking.declare(evaluate, functools.reduce(operator.or_, others, net.asks))
    of_parts = given.around(asking.declare(mean_loss, asks), evaluated)
    fields = {
        "init": net.init,
        "loss": of_parts[0],
        "evaluate": of_parts[1],
        **given.parts,
        "metrics": {**directions, **given.more_metrics},
        "split_seed": given.split_seed,
        "shared": given.shared,
        "validations": given.validations,
    }

    def check_all_labels() -> None:
        if net.asks.columns is None or not single:
            return
        start = jax.eval_shape(net.init, checks.any_key())
        outputs = lambda shared, *args: net.apply(*args, shared=shared)
        check_labels(jax.eval_shape(outputs, given.offered, *start, given.example))

    return Ingredients(fields, check_all_labels, given.stratify)


def _rule_of(loss: str | Callable[..., jax.Array]) -> Loss:
    if not callable(loss) and loss not in LOSSES:
        raise ValueError(unknown("loss", loss, LOSSES))
    return own_loss(loss) if callable(loss) else LOSSES[loss]
