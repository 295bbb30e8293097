"""The hyperparameters of an optimizer at its present step."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import GetAttrKey, tree_flatten_with_path

from jaxopt_course.base import Decay
from jaxopt_course.describe import Description, Part, description
from jaxopt_course.tree import standard_promotion

FUNCTIONS = {
    "mask",
    "weight_decay_mask",
    "mu_dtype",
    "accumulator_dtype",
    "weight_dimension_numbers",
    "muon_weight_dimension_numbers",
}  # arguments, no schedules
PLATEAU = "reduce_on_plateau"
LINEAR = {  # in the update: a factor before them is one after them
    "identity",
    "scale",
    "scale_by_schedule",
    "scale_by_learning_rate",
    "trace",
    "ema",
    "sgd",
    "momentum",
    "ema_momentum",
    "nesterov",
}
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

    The names are the arguments of the recipe or, in a chain, of its pieces.  A schedule is
    evaluated at the count in the state: its value in the *next* update.  What
    ``optax.inject_hyperparams`` made is read from the state, also inside of another one.  A
    ``Decay`` pair is given as its value.  Arguments that are no numbers (None, dtypes, masks) are
    left out.

    A ``learning_rate`` is the one that acts: behind (or, for gradient descent, before)
    ``reduce_on_plateau`` it is multiplied by the ``scale`` of the last update, which is told too;
    the value given to the next one may lower it once more.  Of ``lookahead`` (ours
    and optax's) it is the fast optimizer's, of ``sam`` that of the optimizer; the numbers of the
    adversary of optax's are "adv_optimizer.…".

    A name that two pieces have is prefixed by the piece ("adam.b1"; numbered, if it stands there
    twice), the names of a group by its pattern ("*/bias.learning_rate"), those of a ``switch``
    whose index is traced by the member; of a ``switch`` with a known index only that is read.

    Args:
        tx: a recipe, a piece, a chain of such, groups, or optax's.  From optax's own pieces the
            variables of their ``update`` are read, and ``learning_rate`` is what the last piece of
            a chain multiplies by, with the sign changed; behind a piece that has a rate it is a
            ``step_size``, which the rate is not multiplied by.
        state: its state, also with lanes (one more axis in front), inside ``jit`` and ``vmap``, or
            the ``opt_state`` of ``nnx.Optimizer``.

    Returns:
        A dictionary from names to numbers: as they were given, or arrays, with the axis of lanes
        where there is one.

    Raises:
        TypeError: ``tx`` is no transformation.

    >>> import jax.numpy as jnp
    >>> import optax
    >>> tx = optax.sgd(lambda step: 0.5 / (1 + step), momentum=0.9)
    >>> state = tx.init(jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state)
    >>> print(hyperparameters(tx, state)["learning_rate"])
    0.25
    """
    if not callable(tx):  # the update alone is enough
        refuse_others("hyperparameters", tx)
    with standard_promotion():  # as in the update, where the schedules are called too
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


def _pieces(
    tx: Any, state: Any, group: str = "", last: bool | None = True, factor: Any = None
) -> Iterator[_Piece]:
    """The pieces of ``tx``, whose rates are multiplied by ``factor``.

    ``last`` says whether it is the end of its chain; None, that its chain has a rate already.
    """
    what = description(tx)
    if "sched_hps" in what.arguments:  # optax.inject_hyperparams
        yield _Piece(what.name, group, _scaled(_injected(what, state), factor))
        yield from _injected_inside(what, state, group, factor)
    elif "index" in what.arguments and what.parts:  # switch
        yield from _chosen(what, state, group, factor)
    elif what.name == "on_plateau" and hasattr(state, "plateau"):
        (part,) = what.parts
        scale = _first(state.plateau.scale)
        yield _Piece(what.name, group, {"scale": scale})
        yield from _pieces(part.update, part.state(state), group, last, _product([factor, scale]))
    elif what.parts and (not what.noted or what.name == "partition_by_path"):
        names = [description(part.update).name for part in what.parts]
        states = [_state_of(part, state) for part in what.parts]
        rated = last is None
        for i, (part, own) in enumerate(zip(what.parts, states, strict=True)):
            grouped = hasattr(state, "inner_states")
            label = part.label if grouped or part.beside else ""
            name = ".".join(filter(None, (group, label)))
            apart = grouped or part.beside
            end = last and (apart or not set(names[i + 1 :]) - {"identity"})
            scales = [] if apart else _scales(i, names, states)
            found = _pieces(
                part.update, own, name, None if rated else end, _product([factor, *scales])
            )
            for piece in found:
                rated = rated or (not apart and "learning_rate" in piece.numbers)
                yield piece
    elif what.parts and any(map(_is_transformation, what.arguments.values())):
        yield _Piece(what.name, group, _numbers(tx, what, state, last))  # cautious, ...
        for part in what.parts:
            yield from _pieces(part.update, _state_of(part, state), group, last, factor)
    else:
        numbers = _numbers(tx, what, state, last)
        if what.name == PLATEAU and hasattr(state, "scale"):
            numbers["scale"] = _first(state.scale)
        yield _Piece(what.name, group, _scaled(numbers, factor))


def _is_transformation(x: Any) -> bool:
    return hasattr(x, "init") and hasattr(x, "update")


def refuse_others(function: str, tx: Any) -> None:
    """Raise TypeError for what is no transformation, where one comes first."""
    if not _is_transformation(tx):
        raise TypeError(
            f"{function} takes a transformation first (what has init and update), not "
            f"{type(tx).__name__}"
        )


def _scales(i: int, names: Sequence[str], states: Sequence[Any]) -> list[Any]:
    """The scales of plateaus in a chain that multiply the rate of its piece number i."""
    found = []
    for j, (name, state) in enumerate(zip(names, states, strict=True)):
        if name == PLATEAU and j != i and hasattr(state, "scale"):
            between = names[j + 1 : i + 1]  # none if the plateau comes later
            if set(between) <= LINEAR | {PLATEAU}:
                found.append(_first(state.scale))
    return found


def _product(factors: Sequence[Any]) -> Any:
    product = None
    for factor in factors:
        if factor is not None:
            product = factor if product is None else product * factor
    return product


def _scaled(numbers: dict[str, Any], factor: Any) -> dict[str, Any]:
    if factor is None or "learning_rate" not in numbers:
        return numbers
    with standard_promotion():
        return {**numbers, "learning_rate": jnp.asarray(numbers["learning_rate"]) * factor}


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


def _injected_inside(what: Description, state: Any, group: str, factor: Any) -> Iterator[_Piece]:
    """What injections in an injection hold: its factory makes them of its numbers, as in update."""
    given = what.arguments
    now = {k: v for k, v in _injected(what, state).items() if k in state.hyperparams}
    try:
        inner = given["inner_factory"](**given["other_hps"], **now)
    except (TypeError, ValueError):  # of lanes, its numbers are arrays, which it may refuse
        return
    yield from _injections(inner.update, state.inner_state, group, factor)


def _injections(update: Any, state: Any, group: str, factor: Any) -> Iterator[_Piece]:
    what = description(update)
    if "sched_hps" in what.arguments:
        yield from _pieces(update, state, group, factor=factor)
        return
    for part in what.parts:
        name = ".".join(filter(None, (group, part.label)))
        yield from _injections(part.update, _state_of(part, state), name, factor)


def _chosen(what: Description, state: Any, group: str, factor: Any) -> Iterator[_Piece]:
    slots = state.slots.get("int32[]", ()) if hasattr(state, "slots") else ()
    inside = _Count(slots[0]) if slots else _Count(None)
    index, members = what.arguments["index"], what.parts
    if not isinstance(index, jax.core.Tracer) and np.ndim(index) == 0:
        chosen = int(np.clip(int(index), 0, len(members) - 1))
        yield from _pieces(members[chosen].update, inside, group, factor=factor)
        return
    names = [description(part.update).name for part in members]
    for i, (part, own) in enumerate(zip(members, names, strict=True)):
        label = own if names.count(own) == 1 else f"{own}_{i}"
        name = ".".join(filter(None, (group, label)))
        yield from _pieces(part.update, inside, name, factor=factor)


def _numbers(tx: Any, what: Description, state: Any, last: bool | None) -> dict[str, Any]:
    numbers = {}
    for name, value in what.arguments.items():
        if isinstance(value, Decay):
            numbers[name] = value.value
        elif _is_number(value):
            numbers[name] = value
        elif isinstance(value, type):  # a dtype
            continue
        elif callable(value) and (name in SCHEDULED or (what.noted and name not in FUNCTIONS)):
            count = _count_for(value, tx, state)
            if count is not None:
                numbers[name] = value(count)
    if not what.noted:
        _name_optax_s_rate(what, numbers, state, last)
    return numbers


def _name_optax_s_rate(
    what: Description, numbers: dict[str, Any], state: Any, last: bool | None
) -> None:
    """Optax's scale_by_learning_rate leaves only a factor -η, or a function of the step."""
    if what.name == "scale" and last is None:
        return  # a factor on what has a rate, as it is
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
