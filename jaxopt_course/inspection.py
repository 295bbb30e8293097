"""Look into a running optimizer: its hyperparameters, its groups, its damage.

hyperparameters(tx, state)    {"learning_rate": η of the next update, "b1": ..., ...}
audit(tx, params)             table: path | group | hyperparameters | state bytes
diagnose(state)               table: leaves whose memory is infinite, NaN or too large to move
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.tree_util import GetAttrKey, tree_flatten_with_path

from jaxopt_course.base import Decay
from jaxopt_course.describe import Description, Part, description
from jaxopt_course.transforms.groups import is_frozen, path_name
from jaxopt_course.tree import Tree

# --- hyperparameters ---


FUNCTIONS = {
    "mask",
    "weight_decay_mask",
    "mu_dtype",
    "accumulator_dtype",
}  # arguments, no schedules
SCHEDULED = {
    "learning_rate",
    "weight_decay",
    "step_size_fn",
}  # the schedules that optax closes over


class _Piece(NamedTuple):
    name: str  # of the factory
    group: str  # of leaves, or ""
    numbers: dict[str, Any]


class _Count(NamedTuple):
    """All that is known of the state of a member of a switch: the updates done."""

    count: Any


def hyperparameters(tx: Any, state: Any) -> dict[str, Any]:
    """Every hyperparameter of ``tx`` with its value at the present step.

    The names are the arguments of the recipe or, in a chain, of its pieces.  A schedule is evaluated
    at the count in the state: its value in the *next* update.  What ``optax.inject_hyperparams``
    made is read from the state.  A ``Decay`` pair is given as its value.  Arguments that are no
    numbers (None, dtypes, masks) are left out.

    A name that two pieces have is prefixed by the piece ("adam.b1"; numbered, if it stands there
    twice), the names of a group by its pattern ("*/bias.learning_rate"), those of a ``switch`` whose
    index is traced by the member; of a ``switch`` with a known index only that member is read.

    Args:
        tx: a recipe, a piece, a chain of such, groups, or optax's.  From optax's own pieces the
            variables of their ``update`` are read, and ``learning_rate`` is what the last piece of a
            chain multiplies by, with the sign changed.
        state: its state, also with lanes (one more axis in front), inside ``jit`` and ``vmap``, or
            the ``opt_state`` of ``nnx.Optimizer``.

    Returns:
        A dictionary from names to numbers: as they were given, or arrays, with the axis of lanes
        where there is one.

    >>> import optax
    >>> tx = optax.sgd(lambda step: 0.5 / (1 + step), momentum=0.9)
    >>> state = tx.init(jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state)
    >>> print(hyperparameters(tx, state)["learning_rate"])
    0.25
    """
    pieces = list(_pieces(tx, state))
    shared = Counter((piece.group, name) for piece in pieces for name in piece.numbers)
    again = Counter(
        (piece.group, piece.name, name)
        for piece in pieces
        for name in piece.numbers
        if shared[piece.group, name] > 1
    )
    seen: Counter[Any] = Counter()
    numbers = {}
    for group, piece_name, name, value in (
        (piece.group, piece.name, name, value)
        for piece in pieces
        for name, value in piece.numbers.items()
    ):
        key, whole = name, (group, piece_name, name)
        if shared[group, name] > 1:
            seen[whole] += 1
            number = f"_{seen[whole]}" if again[whole] > 1 else ""
            key = f"{piece_name}{number}.{name}"
        numbers[f"{group}.{key}" if group else key] = value
    return numbers


def _pieces(tx: Any, state: Any, group: str = "", last: bool = True) -> Iterator[_Piece]:
    what = description(tx)
    if "sched_hps" in what.arguments:  # optax.inject_hyperparams
        yield _Piece(what.name, group, _injected(what, state))
    elif "index" in what.arguments and what.parts:  # switch
        yield from _chosen(what, state, group)
    elif what.parts and (not what.noted or what.name == "partition_by_path"):
        for i, part in enumerate(what.parts):
            grouped = hasattr(state, "inner_states")
            name = ".".join(filter(None, (group, part.label))) if grouped else group
            rest = [description(part.update).name for part in what.parts[i + 1 :]]
            end = last and (grouped or not set(rest) - {"identity"})
            yield from _pieces(part.update, _state_of(part, state), name, end)
    else:
        yield _Piece(what.name, group, _numbers(tx, what, state, last))


def _state_of(part: Part, state: Any) -> Any:
    return state if isinstance(state, _Count) else part.state(state)


def _injected(what: Description, state: Any) -> dict[str, Any]:
    now = {name: _first(value) for name, value in state.hyperparams.items()}
    for name, schedule in what.arguments["sched_hps"].items():
        inner = getattr(schedule, "schedule_fn", None)
        if inner is not None:  # the state keeps the value of the last update
            now[name] = inner(_first(state.hyperparams_states[name]))
    fixed = {k: v for k, v in what.arguments["other_hps"].items() if _is_number(v)}
    return {**now, **fixed}


def _chosen(what: Description, state: Any, group: str) -> Iterator[_Piece]:
    slots = state.slots.get("int32[]", ()) if hasattr(state, "slots") else ()
    inside = _Count(slots[0]) if slots else _Count(None)
    index, members = what.arguments["index"], what.parts
    if not isinstance(index, jax.core.Tracer) and np.ndim(index) == 0:
        chosen = int(np.clip(int(index), 0, len(members) - 1))
        yield from _pieces(members[chosen].update, inside, group)
        return
    names = [description(part.update).name for part in members]
    for i, (part, name) in enumerate(zip(members, names, strict=True)):
        label = name if names.count(name) == 1 else f"{name}_{i}"
        yield from _pieces(part.update, inside, ".".join(filter(None, (group, label))))


def _numbers(tx: Any, what: Description, state: Any, last: bool) -> dict[str, Any]:
    numbers = {}
    for name, value in what.arguments.items():
        if isinstance(value, Decay):
            numbers[name] = value.value
        elif _is_number(value):
            numbers[name] = value
        elif callable(value) and (name in SCHEDULED or (what.noted and name not in FUNCTIONS)):
            count = _count_for(value, tx, state)
            if count is not None:
                numbers[name] = value(count)
    if not what.noted:
        _name_optax_s_rate(what, numbers, state, last)
    return numbers


def _name_optax_s_rate(what: Description, numbers: dict[str, Any], state: Any, last: bool) -> None:
    """Optax's scale_by_learning_rate leaves only a factor -η, or a function of the step."""
    if what.name == "scale" and "step_size" in numbers and (last or _below_0(numbers["step_size"])):
        numbers["learning_rate"] = -numbers.pop("step_size")
    elif what.name == "scale_by_schedule" and "step_size_fn" in numbers:
        made = description(what.arguments["step_size_fn"])
        factor = numbers.pop("step_size_fn")
        rate = made.name == "scale_by_learning_rate" or last
        numbers["learning_rate" if rate else "step_size"] = -factor if rate else factor


def _below_0(value: Any) -> bool:
    return not isinstance(value, jax.core.Tracer) and bool(np.all(np.asarray(value) < 0))


def _count_for(schedule: Callable[..., Any], tx: Any, state: Any) -> Any:
    """The updates done, as the piece counts them that follows this schedule."""
    for part in description(tx).parts:
        if any(value is schedule for value in _all_arguments(part.update)):
            return _count_for(schedule, part.update, _state_of(part, state))
    if isinstance(state, _Count):
        return state.count
    for path, leaf in tree_flatten_with_path(state)[0]:
        if any(isinstance(key, GetAttrKey) and key.name == "count" for key in path):
            return leaf
    return None


def _all_arguments(tx: Any) -> Iterator[Any]:
    what = description(tx)
    yield from what.arguments.values()
    for part in what.parts:
        yield from _all_arguments(part.update)


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.number | np.bool_ | np.ndarray | jax.Array)


def _first(tree: Any) -> Any:
    """The array, bare or in an NNX variable or a state of one leaf."""
    return jax.tree.leaves(tree)[0]


# --- audit ---


class Table(pd.DataFrame):
    """A DataFrame that prints all its rows and columns, or a sentence if it is empty."""

    @property
    def _constructor(self) -> Any:
        return Table

    def __str__(self) -> str:
        if self.empty:
            return str(self.attrs.get("empty", "nothing"))
        lines = [[str(name) for name in self.columns]]
        lines += [[str(cell) for cell in row] for row in self.itertuples(index=False)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        pad = lambda line: (cell.ljust(n) for cell, n in zip(line, widths, strict=True))
        return "\n".join("  ".join(pad(line)).rstrip() for line in lines)

    __repr__ = __str__


def audit(tx: Any, params: Tree) -> Table:
    """Which transformation each leaf gets, with which numbers, and how much memory.

    Nothing is computed but the numbers: the state is made by ``jax.eval_shape``.

    Args:
        tx: any transformation, with groups (:func:`~jaxopt_course.transforms.groups
            .partition_by_path`, ``optax.partition``) or without.
        params: arrays, or ``jax.ShapeDtypeStruct``, in any tree.

    Returns:
        A table with a row a leaf and the columns ``path``, ``group``, ``hyperparameters`` (of the
        first update) and ``state_bytes``; the row "(shared)" has what belongs to no leaf (counts),
        the row "(total)" all.

    >>> import optax
    >>> print(audit(optax.sgd(0.5, momentum=0.9), {"w": jnp.zeros((2, 3))}))
    path     group  hyperparameters                               state_bytes
    w               decay=0.9, nesterov=False, learning_rate=0.5  24
    (total)                                                       24
    """
    shapes = jax.eval_shape(lambda tree: tree, params)
    leaves = {path_name(path): leaf for path, leaf in tree_flatten_with_path(shapes)[0]}
    state = jax.eval_shape(tx.init, shapes)
    values = hyperparameters(tx, _at_the_start(tx, shapes, state))
    groups, frozen = _groups(tx, shapes)
    names = {name for found in groups.values() for name in found}
    sizes = dict.fromkeys(leaves, 0)
    shared = 0
    for place in _places(state):
        size = int(np.prod(place.leaf.shape)) * place.leaf.dtype.itemsize
        if place.path in leaves and (place.path or place.leaf.shape == leaves[""].shape):
            sizes[place.path] += size
        else:
            shared += size
    lines: list[list[Any]] = []
    for path, size in sizes.items():
        mine = groups.get(path, [])
        text = "frozen" if frozen & set(mine) else _written(values, mine, names)
        lines.append([path, ", ".join(mine), text, size])
    lines += [["(shared)", "", "", shared]] if shared else []
    lines.append(["(total)", "", "", sum(sizes.values()) + shared])
    return Table(lines, columns=["path", "group", "hyperparameters", "state_bytes"])


def _at_the_start(tx: Any, shapes: Tree, state: Any) -> Any:
    """The state with its scalars (counts, injected numbers) computed, all else left abstract."""
    zeros = lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    scalars = jax.jit(lambda: [x for x in jax.tree.leaves(tx.init(zeros())) if x.ndim == 0])()
    left = iter(scalars)
    return jax.tree.map(lambda x: next(left) if x.ndim == 0 else x, state)


def _groups(tx: Any, shapes: Tree) -> tuple[dict[str, list[str]], set[str]]:
    """The groups of each path, and those that are frozen."""
    what, groups, frozen = description(tx), {}, set()
    labels = what.closure.get("param_labels")
    if labels is not None and what.parts:
        labels = labels(shapes) if callable(labels) else labels
        full = jax.tree.map(lambda x, sub: jax.tree.map(lambda _: str(x), sub), labels, shapes)
        groups = {path_name(path): [name] for path, name in tree_flatten_with_path(full)[0]}
        frozen = {part.label for part in what.parts if is_frozen(part.update)}
        return groups, frozen
    for part in what.parts:
        more, cold = _groups(part.update, shapes)
        groups = {path: groups.get(path, []) + more.get(path, []) for path in groups | more}
        frozen |= cold
    return groups, frozen


def _written(values: dict[str, Any], mine: list[str], names: set[str]) -> str:
    """The hyperparameters of these groups, and those that stand outside of all groups."""
    owner = lambda key: next((name for name in names if key.startswith(f"{name}.")), None)
    texts = []
    for key, value in values.items():
        group = owner(key)
        if group is None or group in mine:
            texts.append(f"{key.removeprefix(f'{group}.')}={_short(value)}")
    return ", ".join(texts)


def _short(value: Any) -> str:
    if isinstance(value, jax.core.Tracer):
        return "traced"
    if isinstance(value, bool | np.bool_) or np.ndim(value):
        return str(np.asarray(value).tolist())
    return f"{float(value):.4g}"


# --- places in a state ---


class _Place(NamedTuple):
    """A leaf of a state."""

    where: tuple[str, ...]  # the way to its memory
    field: str  # e.g. "nu"
    path: str  # of the parameter that it belongs to
    leaf: Any


def _places(state: Any) -> Iterator[_Place]:
    """Every leaf, its path cut at the field: of chain[1].inner_state.nu['w'], "nu" and "w"."""
    for path, leaf in tree_flatten_with_path(state)[0]:
        fields = [i for i, key in enumerate(path) if _is_field(key)]
        at = fields[0] if fields else -1
        where = tuple(map(str, path[: max(at, 0)]))
        name = path[at].name if fields else ""
        yield _Place(where, name, path_name(path[at + 1 :]), leaf)


def _is_field(key: Any) -> bool:
    if not isinstance(key, GetAttrKey):
        return False
    return not key.name.startswith("inner") and not key.name.endswith(("_state", "_states"))


# --- diagnose ---

SQUARES = {"nu", "nu_max", "sum_of_squares", "e_g", "v", "v_row", "v_col", "exp_inf"}
NORMALIZED = "divides the update: it is 0 for good, the parameter frozen"
CLIP = "clip gradients first (clip_by_global_norm), and set this memory back to 0"
BACK = "go back to an earlier state; clip gradients, or skip such steps (optax.apply_if_finite)"


def diagnose(state: Any, params: Tree = None, *, lanes: bool | None = None) -> Table:
    """Which memories are broken, what that means, and a way out.

    A gradient of 1e30 makes the second moment of Adam infinite; from then on the update is 0, and no
    NaN ever tells.  Found are

        infinite    memories with ±∞
        NaN         memories with NaN
        dead        second moments v so large that later updates vanish: √v > 8e6 (1/ε of float32)
                    where the first moment beside it is smaller than ε √v, or √v > 7e13 (1/ε²): a
                    gradient of size 1 then moves its parameter by less than ε or ε² learning rates

    Args:
        state: the state of any transformation, ours or optax's, or of ``nnx.Optimizer``; concrete.
        params: the parameters; infinite and NaN ones are named too.
        lanes: whether the leaves have an axis of lanes in front; by default, whether a count in the
            state has an axis.

    Returns:
        A table with the columns ``lane`` (where there are lanes), ``path`` of the parameter,
        ``field`` of the state, ``problem``, ``numbers`` (how many of how many), ``meaning`` and
        ``way_out``; empty, all is well, which it prints.  The state of a ``switch`` keeps its
        memories in slots, so there the path is the slot.

    >>> import optax
    >>> tx = optax.adam(1e-3)
    >>> params = {"w": jnp.zeros(2)}
    >>> _, state = tx.update({"w": jnp.array([1e30, 1.0])}, tx.init(params))
    >>> bad = diagnose(state)
    >>> bad.loc[0, "path"], bad.loc[0, "field"], bad.loc[0, "problem"], bad.loc[0, "numbers"]
    ('w', 'nu', 'infinite', '1 of 2')
    >>> print(diagnose(tx.init(params)))
    all is well: no memory is infinite, NaN or too large
    """
    places = list(_places(state))
    if lanes is None:
        lanes = any(place.field == "count" and np.ndim(place.leaf) == 1 for place in places)
    places += [place._replace(field="(parameter)") for place in _places(params)]
    first = {(place.where, place.path): place.leaf for place in places if place.field == "mu"}
    rows = []
    for place in places:
        if not jnp.issubdtype(jnp.result_type(place.leaf), jnp.inexact):
            continue
        mean = first.get((place.where, place.path))
        for problem, wrong in _wrong(place, mean):
            rows += _rows(place, problem, wrong, lanes)
    columns = ["lane", "path", "field", "problem", "numbers", "meaning", "way_out"]
    table = Table(rows, columns=columns)
    table = table if lanes else table.drop(columns="lane")
    table.attrs["empty"] = "all is well: no memory is infinite, NaN or too large"
    return table


def _wrong(place: _Place, mean: Any) -> Iterator[tuple[str, np.ndarray]]:
    x = _wide(place.leaf)
    yield "infinite", np.isinf(x)
    yield "NaN", np.isnan(x)
    if place.field in SQUARES:
        eps = float(jnp.finfo(jnp.result_type(place.leaf)).eps)
        size = np.where(np.isfinite(x), np.sqrt(np.maximum(x, 0)), 0)
        small = True if mean is None else np.abs(_wide(mean)) < eps * size
        yield "dead", (size * eps > 1) & small | (size * eps * eps > 1)


def _wide(leaf: Any) -> np.ndarray:
    """In float64, which holds the squares of float32; |x| of complex numbers."""
    x = np.asarray(leaf)
    if np.iscomplexobj(x):
        x = np.abs(x)
    return x.astype(np.float64)


def _rows(place: _Place, problem: str, wrong: np.ndarray, lanes: bool) -> Iterator[list[Any]]:
    if not wrong.any():
        return
    meaning, way_out = _meaning(place, problem)
    for lane, bad in enumerate(wrong if lanes and wrong.ndim else [wrong]):
        if bad.any():
            numbers = f"{int(bad.sum())} of {bad.size}"
            path = place.path or "(the whole tree)"
            yield [lane, path, place.field, problem, numbers, meaning, way_out]


def _meaning(place: _Place, problem: str) -> tuple[str, str]:
    if place.field == "(parameter)":
        return "the parameter diverged", BACK
    if problem == "NaN":
        return "every later update is NaN", BACK
    if problem == "dead":
        return "so large that later updates vanish: the parameter hardly moves", CLIP
    if place.field in SQUARES:
        return NORMALIZED, CLIP
    if place.field == "slots":
        return "as a second moment it freezes the parameter, else the update is not finite", CLIP
    return "the update is not finite, or 0 where a second moment divides it", BACK
