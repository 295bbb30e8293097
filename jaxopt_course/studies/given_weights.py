"""Weights that somebody gives, fitted to a task: by their names, whatever they came in."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.problems.tasks import Task
from jaxopt_course.studies.states import named
from jaxopt_course.studies.weight_files import read_weights

PREFIXES = (("", ""), ("params.", "model_state."), ("params.", ""), ("0.", "1."))
ROOT = "value"  # of a tree that is one array
IDLE = ("opt_state.", "step")  # of a whole state: the optimizer begins anew
HINT = "; a part that is new can be made for each trial: start=lambda row: {**weights, …}"


class Fitted(NamedTuple):
    """Weights in the structure, shapes and dtypes of a task."""

    params: Any
    model_state: Any  # None where none was given: the task's own
    sha256: str


def fit_weights(given: Any, params: Any, model_state: Any) -> Fitted:
    """Fit what was given to a task.

    Args:
        given: a tree of parameters; or ``(params, model_state)``, a dictionary of both, Linen's
            variables, an NNX state or module, a state of a trial; or the path of such in a file of
            safetensors or a checkpoint of orbax.
        params: shapes of the task's.
        model_state: shapes of the task's.

    Raises:
        TypeError: it holds what is no array.
        ValueError: an array is missing, not of the task's shape, not finite, or of no use.
        FileNotFoundError: no such file.
    """
    found = _found(given)
    wanted = {_plain(name): shape for name, shape in named(params)[0].items()}
    more = {_plain(name): shape for name, shape in named(model_state)[0].items()}
    hits = {pair: _hits(pair[0], wanted, found) for pair in PREFIXES}
    own, other = max(PREFIXES, key=lambda pair: (hits[pair], _hits(pair[1], more, found)))
    arrays = {name: found[_in(own, name)] for name in wanted if _in(own, name) in found}
    if missing := [name for name in wanted if name not in arrays]:
        there = ", ".join(sorted(found)[:4]) or "nothing"
        raise ValueError(
            f"start= lacks {missing[0]} {wanted[missing[0]].shape} of the task's parameters"
            f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; it has {there}{HINT}"
        )
    averages = {name: found[_in(other, name)] for name in more if _in(other, name) in found}
    absent = [name for name in more if name not in averages]
    if absent and len(absent) < len(more):
        raise ValueError(f"start= lacks {absent[0]} of the model's own state; give all of it")
    used = {_in(own, name) for name in wanted} | {_in(other, name) for name in more}
    whole = own == "params."
    idle = [n for n in found if n not in used and not (whole and n.startswith(IDLE))]
    if idle := [n for n in idle if "rngs" not in n.split(".")]:
        raise ValueError(f"start= has {idle[0]}, which the task's parameters do not have")
    digest = hashlib.sha256()
    leaves = [_cast(name, arrays[name], wanted[name], digest) for name in wanted]
    state = None
    if more and not absent:
        made = [_cast(f"model_state.{n}", averages[n], more[n], digest) for n in more]
        state = jax.tree.unflatten(jax.tree.structure(model_state), made)
    return Fitted(jax.tree.unflatten(jax.tree.structure(params), leaves), state, digest.hexdigest())


def _hits(prefix: str, names: Mapping[str, Any], found: Mapping[str, Any]) -> int:
    return sum(_in(prefix, name) in found for name in names)


def _in(prefix: str, name: str) -> str:
    """What a name is called behind a prefix; a tree that is one array has no name there."""
    return prefix.removesuffix(".") if name == ROOT and prefix else prefix + name


def _found(given: Any) -> dict[str, np.ndarray]:
    """The arrays of what was given, by names with dots."""
    if isinstance(given, str | Path):
        return {_plain(name): x for name, x in read_weights(given).items()}
    leaves, _ = named(_tree(given))
    arrays = {}
    for name, leaf in leaves.items():
        if not hasattr(leaf, "dtype") and not isinstance(leaf, int | float):
            raise TypeError(f"start= holds {type(leaf).__name__} at {name}, which is no array")
        if not jnp.issubdtype(getattr(leaf, "dtype", float), jax.dtypes.prng_key):
            arrays[_plain(name)] = np.asarray(leaf)
    return arrays


def _plain(name: str) -> str:
    """A name as a task's parameters have it: no slashes, nothing of Flax's variables."""
    name = name.replace("/", ".")
    for ending in (".value", ".raw_value"):
        name = name.removesuffix(ending)
    return name


def _tree(given: Any) -> Any:
    """A tree of arrays, of what Flax and others keep theirs in."""
    if type(given).__module__.startswith("flax.") or _is_nnx(given):
        from flax import nnx

        if isinstance(given, nnx.Module):
            given = nnx.state(given)
        if isinstance(given, nnx.State):
            kept = nnx.filter_state(given, nnx.Not(nnx.RngState))
            return nnx.to_pure_dict(kept)
    if not isinstance(given, Mapping) and hasattr(given, "params"):
        parts = {"params": given.params}
        for name in ("model_state", "batch_stats"):
            if hasattr(given, name):
                parts[name] = getattr(given, name)
        return parts
    return given


def _is_nnx(given: Any) -> bool:
    return any(base.__module__.startswith("flax.nnx") for base in type(given).__mro__)


def _cast(name: str, array: np.ndarray, like: Any, digest: Any) -> np.ndarray:
    """An array in the task's dtype, counted into the hash."""
    if array.shape != like.shape:
        raise ValueError(f"start=: {name} is {array.shape}, the task's is {like.shape}{HINT}")
    kinds = [jnp.floating, jnp.integer, jnp.bool_, jnp.complexfloating]
    if not any(jnp.issubdtype(array.dtype, k) and jnp.issubdtype(like.dtype, k) for k in kinds):
        raise ValueError(f"start=: {name} is {array.dtype}, the task's is {like.dtype}")
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(array.astype(like.dtype))
    if jnp.issubdtype(cast.dtype, jnp.floating) and not np.isfinite(cast.astype(np.float32)).all():
        raise ValueError(f"start=: {name} has values that are not finite")
    digest.update(f"{name} {cast.dtype.name} {cast.shape}\n".encode())
    digest.update(cast.tobytes())
    return cast.reshape(array.shape)


def task_from(task: Task, params: Any, model_state: Any) -> Task:
    """The task, its trials starting from these weights."""
    import copy

    other = copy.copy(task)
    object.__setattr__(other, "init", lambda key: (params, model_state))
    return other
