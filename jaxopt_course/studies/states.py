"""The last state of a trial as bytes of named arrays, and back, with its code or without."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.records import safetensors, weights
from jaxopt_course.records.safetensors import Tensors
from jaxopt_course.sweeps.best import Held
from jaxopt_course.sweeps.first_loss import Judged
from jaxopt_course.train import TrialState

FORMAT = "jaxopt_course state"
LIMIT = "limit"  # of a trial's losses, from which it counts as diverged
PARTS = ("params", "model_state")  # which are read without the code, where they are plain
EVALUATED = "evaluated"  # params and model_state of the score, where they are others
BEST = "best"  # that score, where trials hold the weights of their best evaluation

Weights = tuple[Any, Any]  # params and model_state


def named(tree: Any) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The leaves by name, as ``layers.0.kernel``, and the path of each, as JSON has it."""
    leaves, paths = {}, {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        keys = [_key(key) for key in path]
        plain = name = ".".join(str(key[0] if isinstance(key, list) else key) for key in keys)
        while name in leaves:  # {"a.b": …, "a": {"b": …}}
            name += "_"
        leaves[name or "value"], paths[name or "value"] = leaf, keys or [plain]
    return leaves, paths


def _key(key: Any) -> Any:
    """A step of a path: text, a place as a number, another key of a dictionary as [key]."""
    match key:
        case jax.tree_util.SequenceKey():
            return key.idx
        case jax.tree_util.GetAttrKey():
            return key.name
        case jax.tree_util.DictKey():
            own = key.key
            if isinstance(own, str):
                return own
            return [own] if isinstance(own, int) and not isinstance(own, bool) else str(own)
        case jax.tree_util.FlattenedIndexKey():
            return key.key
    return str(key)


def on_host(leaf: Any) -> np.ndarray:
    """A leaf as an array of the host; a PRNG key as its data."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def of_trial(state: Any) -> TrialState:
    """A trial's own state, without what the engine keeps beside it."""
    state = state.trial if isinstance(state, Judged) else state
    own: TrialState = state.trial if isinstance(state, Held) else state
    return own


def held_of(state: Any) -> Held | None:
    """What is held of a trial's best evaluation; None where nothing is."""
    state = state.trial if isinstance(state, Judged) else state
    return state if isinstance(state, Held) else None


def best_weights(state: Any) -> Weights | None:
    """Params and model_state of a trial's best evaluation; None where nothing is held."""
    held = held_of(state)
    return None if held is None else (held.best_params, held.best_model_state)


def pack(state: Any, evaluated: Weights | None = None) -> bytes:
    """A state, as a program has it, as a file of safetensors holds it.

    Args:
        state: with its params.
        evaluated: other weights, those of its score; None where these are, or the state has them.

    Raises:
        ValueError: a dtype that the format does not have.
    """
    leaves, paths = _beside(state, evaluated)
    own = of_trial(state)
    mine, of_mine = named(own)
    leaves, paths = mine | leaves, of_mine | paths
    metadata = {"format": FORMAT, "paths": json.dumps(paths)}
    arrays = {name: on_host(leaf) for name, leaf in leaves.items()}
    tensors = Tensors(arrays, metadata)
    alike = [_same(part, tensors, getattr(own, part)) for part in PARTS]
    return safetensors.pack(arrays, metadata | {"plain": json.dumps(all(alike))})


def _beside(state: Any, evaluated: Weights | None) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """What a file has beside a trial's own state, by name, and the paths."""
    leaves: dict[str, Any] = {}
    paths: dict[str, list[Any]] = {}
    if isinstance(state, Judged):
        leaves[LIMIT], paths[LIMIT] = state.limit, [LIMIT]
    if (held := held_of(state)) is not None:
        leaves[BEST], paths[BEST] = held.best, [BEST]
        evaluated = best_weights(state)
    if evaluated is not None:
        more, of_more = named({EVALUATED: dict(zip(PARTS, evaluated, strict=True))})
        leaves, paths = leaves | more, paths | of_more
    return leaves, paths


def _same(part: str, tensors: Tensors, tree: Any) -> bool:
    """Whether plain dictionaries and lists are all that the tree is."""
    mine: Any = jax.tree.structure(plain(tensors, part))
    return bool(mine == jax.tree.structure(tree))


def plain(tensors: Tensors, part: str) -> Any:
    """A part of a state as plain dictionaries and lists of arrays."""
    return weights.nested(tensors, part) if part in _parts(tensors) else {}


def _parts(tensors: Tensors) -> set[str]:
    paths = json.loads(tensors.metadata["paths"])
    return {path[0] for path in paths.values() if path and isinstance(path[0], str)}


def evaluated_of(tensors: Tensors, like: Weights | None = None) -> Weights:
    """Params and model_state of a kept trial's score, as plain dictionaries, or as ``like``."""
    apart = EVALUATED in _parts(tensors)
    if like is None:
        parts = plain(tensors, EVALUATED) if apart else {p: plain(tensors, p) for p in PARTS}
        return to_device(parts.get("params", {})), to_device(parts.get("model_state", {}))
    whole = dict(zip(PARTS, like, strict=True))
    names = named({EVALUATED: whole} if apart else whole)[0]
    leaves = [jnp.asarray(tensors.arrays[name]) for name in names]
    found = jax.tree.unflatten(jax.tree.structure(whole), leaves)
    return found["params"], found["model_state"]


def is_plain(tensors: Tensors) -> bool:
    """Whether params and model_state come back without the code that made them."""
    return tensors.metadata.get("plain") == "true"


def unpack(content: bytes, of: str) -> Tensors:
    """The arrays of a state.

    Args:
        content: as :func:`pack` made it.
        of: the file or trial, for the message.

    Raises:
        ValueError: it is damaged.
    """
    try:
        tensors = safetensors.unpack(content)
        _parts(tensors)
        return tensors
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{of} is damaged: {error}") from None


def restore(tensors: Tensors, like: Any, of: str) -> Any:
    """The state in the structure of the code that made it.

    Args:
        tensors: of a file.
        like: shapes of the state.
        of: the trial, for the message.

    Raises:
        ValueError: it is the state of another task or optimizer.
    """
    shapes, _ = named(of_trial(like))
    beside, _ = _beside(like, None)
    wanted = shapes | beside
    arrays = {name: tensors.arrays.get(name) for name in wanted}
    wrong = [n for n, x in arrays.items() if x is None or x.shape != _data(wanted[n]).shape]
    apart = {LIMIT, BEST, *(n for n in tensors.arrays if n.startswith(f"{EVALUATED}."))}
    if wrong or {*tensors.arrays} - {*shapes, *apart}:
        what = wrong[0] if wrong else sorted({*tensors.arrays} - {*shapes, *apart})[0]
        raise ValueError(
            f"the state kept of {of} is of another task or optimizer than this one: {what} differs"
        )
    leaves = {name: _typed(arrays[name], shape) for name, shape in wanted.items()}
    own = of_trial(like)
    state: Any = jax.tree.unflatten(jax.tree.structure(own), [leaves[name] for name in shapes])
    if held_of(like) is not None:
        best = evaluated_of(tensors, best_weights(like))
        state = Held(state, *best, leaves[BEST])
    return Judged(state, leaves[LIMIT]) if isinstance(like, Judged) else state


def _data(shape: Any) -> Any:
    """What a file holds of a leaf of this shape."""
    if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
        return jax.eval_shape(jax.random.key_data, shape)
    return shape


def _typed(array: Any, shape: Any) -> jax.Array:
    if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(shape))
    return jnp.asarray(array)


def to_device(tree: Any) -> Any:
    """Arrays as JAX has them."""
    return jax.tree.map(jnp.asarray, tree)


def exported(params: Any, model_state: Any) -> Any:
    """What a file of weights holds: the parameters, and the model's own state where it has one."""
    if not jax.tree.leaves(model_state):
        return params
    return {"params": params, "model_state": model_state}
