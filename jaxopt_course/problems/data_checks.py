"""Data as a task holds them, and what of them it refuses: each message names the array."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_course.tree import Tree

ROUNDING = 0.01  # of a column's deviation: more, and float32 has other numbers


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
            if array.dtype.kind not in "biufcV":  # a generator, a name of a file, a set
                raise TypeError(f"{name} is no array, but {type(array.item()).__name__}")
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
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise TypeError(
            f"{name} has {np.ma.count_masked(values):,} masked values, which would be used as what "
            "stands below the mask: fill them, .filled(…), or leave those examples out"
        )
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
        raise TypeError(_no_numbers(name, array))
    if rounding and dtype is not np.uint8 and array.dtype.itemsize > 2:
        _refuse_rounded(name, array)
    return _kept(array.astype(dtype, copy=False), array)


def _kept(array: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Read-only, and a copy where the caller could still change it; a memmap stays one."""
    base: Any = array
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    if base is None and given.flags.writeable and np.may_share_memory(array, given):
        array = array.copy()
    view = array.view()
    view.flags.writeable = False
    return view


def shared(tree: Tree) -> Tree:
    """What all lanes read, as read-only NumPy arrays of any shape, in their own dtype.

    Only 64 bits become 32, as in JAX.  A memmap stays one.
    """

    def one(path: Any, leaf: Any) -> np.ndarray:
        name = f"shared{jax.tree_util.keystr(path)}"
        if jax.dtypes.issubdtype(getattr(leaf, "dtype", None), jax.dtypes.prng_key):
            raise TypeError(f"{name} is a PRNG key; give jax.random.key_data of it")
        given = array = dense(name, leaf)
        opaque = array.dtype.kind == "V" and array.dtype.isbuiltin < 2
        if array.dtype.kind not in "biufV" or opaque:
            raise TypeError(_no_numbers(name, array))
        if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
            array = _narrow(name, array, uint8=False, rounding=False)
        elif array.dtype.kind == "f" and array.dtype.itemsize > 4:
            array = array.astype(np.float32)
        if array.dtype.kind in "fV" and np.isnan(np.asarray(array, np.float32)).any():
            raise ValueError(f"{name} has values that are NaN")
        return _kept(array, given)

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


def _no_numbers(name: str, array: np.ndarray) -> str:
    """What is said of an array of anything else; of text also what makes numbers of it."""
    said = f"{name} must hold numbers, and its dtype is {array.dtype}"
    text = array.dtype.kind in "SU" or (array.size and isinstance(array.flat[0], str))
    return said + "; numpy.unique(…, return_inverse=True)[1] numbers words" if text else said


def _refuse(name: str, array: np.ndarray, bad: np.ndarray, what: str) -> None:
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} has {bad.sum()} values that are {what}, the first at {first}: {array[first]}"
        )


def alike(train: Tree, data: Tree, part: str, dtypes: bool = True) -> None:
    """``data`` differs from ``train`` in the number of examples only; maybe in dtypes as well."""
    ours, theirs = structures(train, data)
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


def structures(*trees: Tree) -> tuple[Any, ...]:
    """Of each tree."""
    # JAX's stub of PyTreeDef has no __eq__ that mypy can see.
    return tuple(jax.tree.structure(tree) for tree in trees)


def same_rows(pair: Any) -> None:
    """Rows of pandas are paired by their places: refuse two orders of the same labels.

    Args:
        pair: (inputs, targets), or a dictionary of them; checked where both are frames or series.

    Raises:
        ValueError: one of them was shuffled or sorted, and the other was not.
    """
    if isinstance(pair, Mapping):
        pair = (pair.get("inputs"), pair.get("targets"))
    if not (isinstance(pair, tuple | list) and len(pair) == 2):
        return
    indices: list[Any] = [getattr(one, "index", None) for one in pair]
    if not all(hasattr(index, "is_unique") for index in indices):  # a list has an index too
        return
    one, other = indices
    if len(one) == len(other) and one.is_unique and not one.equals(other) and other.isin(one).all():
        place = next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
        raise ValueError(
            f"the rows of inputs and targets have the same labels in another order, first in row "
            f"{place} ({one[place]}, {other[place]}): they are paired by their places, so give "
            "targets.loc[inputs.index]; or, if the places are right, arrays (.to_numpy())"
        )
