"""What a task refuses, and in which words: each message names the metric or leaf.

Of data: see ``data_checks``.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.problems import asking, recording, shapes
from jaxopt_course.problems.data_checks import structures
from jaxopt_course.problems.traced import is_array, kind_of, reached, traced
from jaxopt_course.tree import Tree


def directions(metrics: Any) -> None:
    """Every metric is to be minimised or maximised, and "loss" is one of them."""
    if not isinstance(metrics, Mapping):
        raise TypeError(f'metrics must be a dictionary, name -> "min" or "max", not {metrics!r}')
    for name, direction in metrics.items():
        recording.check_name(name, "a metric is called")
        if direction not in ("min", "max"):
            raise ValueError(f'metric {name!r} must be "min" or "max", not {direction!r}')
    if "loss" not in metrics:
        raise ValueError(f'metrics must have "loss", and has {list(metrics)}')


def measures(metrics: Any) -> None:
    """A user's metrics are pairs of a function and a direction, and "loss" is none of them."""
    if not isinstance(metrics, Mapping):
        raise TypeError(
            'metrics must be a dictionary, name -> (function of (outputs, targets), "min" or '
            f'"max"), not {metrics!r}; left out, they are the loss\'s own: accuracy; accuracy, F1 '
            "and AUC; R²"
        )
    if "loss" in metrics:
        raise ValueError('"loss" is always measured: leave it out of metrics')
    for name, pair in metrics.items():
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[0])):
            raise TypeError(
                f'metric {name!r} must be a pair (function, "min" or "max"), not {pair!r}'
            )


def measured(
    name: str, function: Callable[..., Any], outputs: jax.Array, targets: jax.Array
) -> jax.Array:
    """One metric, of one shape where a broadcast would compare all with all.

    Raises:
        TypeError: it cannot be traced.
        ValueError: it fails, or is no scalar.
    """
    with traced(f"metric {name!r}", outputs=outputs, targets=targets):
        if shapes.broadcasts(function, outputs, targets):
            outputs, targets = shapes.narrow(outputs), shapes.narrow(targets)
        value = function(outputs, targets)
    number = isinstance(value, int | float | np.ndarray | np.generic | jax.Array)
    if not number or jnp.shape(value) != () or jnp.iscomplexobj(value):
        raise ValueError(
            f"metric {name!r} must be a scalar, and is {kind_of(value)} for outputs "
            f"{shapes.of(outputs)} and targets {shapes.of(targets)}"
        )
    return jnp.asarray(value)


def any_key() -> jax.ShapeDtypeStruct:
    """The shape of a PRNG key, made without waking a device (``use_cpu_cores`` comes later)."""
    return jax.eval_shape(jax.random.key, 0)


def one_array(outputs: Any) -> None:
    """A network's outputs are one array."""
    if not is_array(outputs):
        raise TypeError(f"the network must return one array, and returns {kind_of(outputs)}")


def _is_pair(value: object) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2


def strong(tree: Tree) -> Tree:
    """Leaves without JAX's weak types, which would change at the first update inside a scan."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x)), tree)


def is_weak(function: Callable[..., Any], *args: Any) -> bool:
    """Whether the function, traced on shapes, returns any leaf of a weak type."""
    leaves = jax.tree.leaves(jax.eval_shape(function, *args))
    return any(getattr(leaf, "weak_type", False) for leaf in leaves)


def functions(
    init: Callable[..., Any],
    loss: Callable[..., Any],
    evaluate: Callable[..., Any],
    train: Tree,
    valid: Tree,
    metrics: Mapping[str, str],
    row: asking.Row | None = None,
    shared: Tree = (),
    taken: Collection[str] = (),
) -> None:
    """The three functions return what the engine relies on; traced on shapes, never run.

    Args:
        init: as the two below, of a task.
        loss: see :class:`~jaxopt_course.problems.tasks.Task`.
        evaluate: likewise.
        train: a batch.
        valid: what is evaluated.
        metrics: those that ``evaluate`` must return.
        row: shapes of a row's numbers, for those that ask for them.
        shared: what all lanes read, for those that ask for it.
        taken: names that no metric may have.
    """

    def of(reader: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def given(*args: Any) -> Any:
            *plain, h, arrays = args
            offered = {} if h is None else {"h": h.by(reader)}
            return asking.call(function, *plain, **offered, shared=arrays)

        return given

    key = any_key()
    with traced("init"):
        start = jax.eval_shape(of("init", init), key, row, ())
    if not _is_pair(start):
        raise ValueError(f"init must return (params, model_state), and returns {kind_of(start)}")
    params, state = start
    with traced("loss"):
        jaxpr, result = jax.make_jaxpr(of("the loss", loss), return_shape=True)(
            params, state, train, key, row, shared
        )
    if any(isinstance(const, jax.core.Tracer) for const in jaxpr.consts):
        raise ValueError(
            "loss holds an array that was traced elsewhere: a module that keeps one inside an "
            "object that is no pytree must wrap it in nnx.Variable as an attribute of its own"
        )
    if not (_is_pair(result) and _is_pair(result[1])):
        raise ValueError(
            f"loss must return (mean loss, (model_state, metrics)), and returns {kind_of(result)}"
        )
    value, (new_state, measured) = result
    recording.check(measured)
    # NumPy does not count bfloat16 among the floating types, JAX does.
    real = is_array(value) and jnp.issubdtype(value.dtype, jnp.floating)
    if not real or value.shape != ():
        raise ValueError(f"loss must return a real scalar first, and returns {kind_of(value)}")
    moved = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in jax.tree.leaves(params)]
    moved += [False] * (len(jaxpr.jaxpr.invars) - len(moved))
    if any(moved) and not reached(jaxpr.jaxpr, moved)[0]:
        raise ValueError(
            "loss has no gradient in any parameter, so that nothing would be learned: it does not "
            "read them, or argmax, a comparison, rounding or stop_gradient stands between; take a "
            "formula that is smooth (counts are for metrics)"
        )
    before, after = structures(state, new_state)
    if before != after:
        raise ValueError(f"loss changes the structure of model_state from {before} to {after}")
    pairs = zip(jax.tree.leaves_with_path(state), jax.tree.leaves(new_state), strict=True)
    for (path, old), new in pairs:
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(
                f"loss changes model_state{jax.tree_util.keystr(path)} from {old.dtype} "
                f"{old.shape} to {new.dtype} {new.shape}"
            )
    with traced("evaluate"):
        values = jax.eval_shape(of("evaluate", evaluate), params, state, valid, row, shared)
    if not isinstance(values, Mapping):
        raise ValueError(f"evaluate must return a dict of scalars, and returns {kind_of(values)}")
    missing = [name for name in metrics if name not in values]
    if missing:
        raise ValueError(f"evaluate does not return {missing}, and metrics names them")
    if both := sorted(set(values) & set(taken)):
        raise ValueError(f"evaluate returns {both}, and so are metrics of validations= called")
    for name, one in values.items():
        if not is_array(one) or one.shape != ():
            raise ValueError(f"metric {name!r} must be a scalar, and is {kind_of(one)}")
