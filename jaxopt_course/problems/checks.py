"""What a task refuses, and in which words: each message names the array, metric or leaf."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.problems import asking, shapes
from jaxopt_course.problems.traced import is_array, kind_of, traced
from jaxopt_course.tree import Tree

ROUNDING = 0.01  # of a column's deviation: more, and float32 has other numbers


def directions(metrics: Mapping[str, str]) -> None:
    """Every metric is to be minimised or maximised, and "loss" is one of them."""
    for name, direction in metrics.items():
        if direction not in ("min", "max"):
            raise ValueError(f'metric {name!r} must be "min" or "max", not {direction!r}')
    if "loss" not in metrics:
        raise ValueError(f'metrics must have "loss", and has {list(metrics)}')


def measures(metrics: Mapping[str, object]) -> None:
    """A user's metrics are pairs of a function and a direction, and "loss" is none of them."""
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


def canonical(data: Tree, part: str, uint8: bool = False, rounding: bool = True) -> Tree:
    """``data`` as read-only int32 and float32 NumPy arrays with one first axis, all finite.

    With ``uint8``, arrays of that type stay what they are.  Without ``rounding``, numbers that
    float32 cannot tell apart are let through, as those that will be standardised.
    """
    leaves = jax.tree.leaves_with_path(data)
    if not leaves:
        raise ValueError(f"{part} holds no array")
    named = [(part + jax.tree_util.keystr(path), leaf) for path, leaf in leaves]
    arrays = [(name, dense(name, leaf)) for name, leaf in named]
    first_name, first = arrays[0]
    for name, array in arrays:
        if array.ndim == 0:
            raise ValueError(f"{name} is a scalar; its first axis must count examples")
        if len(array) != len(first):
            raise ValueError(
                f"the first axes of {part} differ: {first_name} has {len(first)} examples "
                f"and {name} has {len(array)}"
            )
    if len(first) == 0:
        raise ValueError(f"{part} has no examples")
    return jax.tree.unflatten(
        jax.tree.structure(data), [_narrow(name, array, uint8, rounding) for name, array in arrays]
    )


def dense(name: str, values: Any) -> np.ndarray:
    """``values`` as a NumPy array; NumPy would make one opaque scalar of a SciPy sparse matrix."""
    if hasattr(values, "toarray"):
        raise TypeError(f"{name} is sparse ({type(values).__name__}): call its .toarray() first")
    return np.asarray(values)


def _narrow(name: str, array: np.ndarray, uint8: bool, rounding: bool) -> np.ndarray:
    """One array as int32 or float32, or an error if a value would be lost."""
    if uint8 and array.dtype == np.uint8:
        dtype: type = np.uint8
    elif array.dtype == bool or np.issubdtype(array.dtype, np.integer):
        bounds = np.iinfo(np.int32)
        if array.size and not (bounds.min <= array.min() and array.max() <= bounds.max):
            raise ValueError(f"{name} ({array.dtype}) has values that do not fit in int32")
        dtype = np.int32
    elif array.dtype.kind in "fV" and np.can_cast(array.dtype, np.float64):  # bfloat16 is a "V"
        _refuse(name, array, ~np.isfinite(array), "not finite")
        if array.dtype.itemsize > 4:
            _refuse(name, array, abs(array) > np.finfo(np.float32).max, "beyond float32")
        dtype = np.float32
    else:
        raise TypeError(f"{name} must hold numbers, and its dtype is {array.dtype}")
    if rounding and dtype is not np.uint8 and array.dtype.itemsize > 2:
        _refuse_rounded(name, array)
    narrow: np.ndarray = array.astype(dtype, copy=False).view()
    narrow.flags.writeable = False
    return narrow


def shared(tree: Tree) -> Tree:
    """What all lanes read, as read-only NumPy arrays of any shape, in their own dtype.

    Only 64 bits become 32, as in JAX.  A memmap stays one.
    """

    def one(path: Any, leaf: Any) -> np.ndarray:
        name = f"shared{jax.tree_util.keystr(path)}"
        if jax.dtypes.issubdtype(getattr(leaf, "dtype", None), jax.dtypes.prng_key):
            raise TypeError(f"{name} is a PRNG key; give jax.random.key_data of it")
        array = dense(name, leaf)
        opaque = array.dtype.kind == "V" and array.dtype.isbuiltin < 2
        if array.dtype.kind not in "biufV" or opaque:
            raise TypeError(f"{name} must hold numbers, and its dtype is {array.dtype}")
        if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
            array = _narrow(name, array, uint8=False, rounding=False)
        elif array.dtype.kind == "f" and array.dtype.itemsize > 4:
            array = array.astype(np.float32)
        if array.dtype.kind in "fV" and np.isnan(np.asarray(array, np.float32)).any():
            raise ValueError(f"{name} has values that are NaN")
        view = array.view()
        view.flags.writeable = False
        return view

    return jax.tree_util.tree_map_with_path(one, tree)


def _refuse_rounded(name: str, array: np.ndarray) -> None:
    """Raise where float32 would change numbers by more than a hundredth of their deviation.

    1e9 and 1e9 + 1 are one number there.  Whole numbers become float32 in the network or the loss.
    """
    exact_already = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    if exact_already or array.dtype.kind not in "iuf" or len(array) < 2:
        return
    if array.dtype.kind in "iu" and abs(array.astype(np.float64)).max(initial=0) <= 2**24:
        return
    error = abs(array.astype(np.float64) - array.astype(np.float32)).max(axis=0)
    lost = np.asarray(error > ROUNDING * array.std(axis=0, dtype=np.float64))
    lost &= np.asarray((array != array[:1]).any(axis=0))
    if lost.any():
        place = tuple(int(i) for i in np.argwhere(lost)[0])
        cells = array.reshape(len(array), -1)[:, int(lost.ravel().argmax())]
        where = f" in column {place[0] if len(place) == 1 else place}" if place else ""
        raise ValueError(
            f"{name} has numbers{where} that float32 cannot tell apart ({cells.min()} to "
            f"{cells.max()}, and steps of {np.spacing(np.float32(abs(cells).max())):g}): subtract "
            "their mean first (for inputs, standardize=True does it)"
        )


def _refuse(name: str, array: np.ndarray, bad: np.ndarray, what: str) -> None:
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} has {bad.sum()} values that are {what}, the first at {first}: {array[first]}"
        )


def alike(train: Tree, data: Tree, part: str, dtypes: bool = True) -> None:
    """``data`` differs from ``train`` in the number of examples only; maybe in dtypes as well."""
    ours, theirs = _structures(train, data)
    if ours != theirs:
        raise ValueError(f"{part} must have the structure of train, {ours}, and has {theirs}")
    pairs = zip(jax.tree.leaves_with_path(train), jax.tree.leaves(data), strict=True)
    for (path, like), leaf in pairs:
        if like.shape[1:] != leaf.shape[1:] or (dtypes and like.dtype != leaf.dtype):
            raise ValueError(
                f"an example of {part}{jax.tree_util.keystr(path)} is {leaf.dtype} "
                f"{leaf.shape[1:]}, and in train it is {like.dtype} {like.shape[1:]}"
            )


def further(validations: Mapping[str, Tree], train: Tree, uint8: bool) -> dict[str, Tree]:
    """Further validation sets, canonical, named by words and alike the train part."""
    made = {}
    for name, data in validations.items():
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"a validation set's name must be a word as Python's, not {name!r}")
        own = f"validations[{name!r}]"
        made[name] = canonical(data, own, uint8)
        alike(train, made[name], own)
    return made


def _structures(*trees: Tree) -> tuple[Any, ...]:
    # JAX's stub of PyTreeDef has no __eq__ that mypy can see.
    return tuple(jax.tree.structure(tree) for tree in trees)


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
    value, (new_state, _) = result
    # NumPy does not count bfloat16 among the floating types, JAX does.
    real = is_array(value) and jnp.issubdtype(value.dtype, jnp.floating)
    if not real or value.shape != ():
        raise ValueError(f"loss must return a real scalar first, and returns {kind_of(value)}")
    before, after = _structures(state, new_state)
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
    for name, measured in values.items():
        if not is_array(measured) or measured.shape != ():
            raise ValueError(f"metric {name!r} must be a scalar, and is {kind_of(measured)}")
