"""Which weights are to be evaluated, where they are not those that are trained.

    evaluation_params(tx, state, params) = params, or what the transformation says: a mean of them
                                           (ema_params), x beside y (Schedule-Free), ...

A transformation says so by the note of :func:`~jaxopt_course.describe.evaluated_at`; optax's
``contrib.schedule_free`` and ``contrib.sam`` are known by the types of their states.  Whatever
stands around it (chains, groups, masks, ``MultiSteps``, ``inject_hyperparams``, a ``switch`` with a
traced index) is looked through, and each leaf of the weights is asked for by itself.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import optax

from jaxopt_course.base import LOOKAHEAD
from jaxopt_course.describe import Description, Part, description, evaluated
from jaxopt_course.transforms.switch import choose, member_state
from jaxopt_course.tree import Tree, cast_like, check_fits, paths, standard_promotion


class Claim(NamedTuple):
    """What one transformation says of one leaf."""

    value: jax.Array
    who: str  # the name of its factory


MEANS = ("ema_params", "swa_params")
Claims = dict[int, Claim]  # by the number of the leaf in the whole tree


class _Place(NamedTuple):
    """Where the walk through a transformation stands."""

    state: Tree
    params: Tree  # its own leaves, MaskedNode in the place of others
    numbers: Tree  # of these leaves, in the whole tree


def evaluation_params(tx: Any, state: Tree, params: Tree) -> Tree:
    """The weights that are to be evaluated, after any number of steps.

    Args:
        tx: a transformation of ours, of optax, or a user's own that :func:`evaluated_at` marks.
        state: its state.
        params: those that are trained; floating point.

    Returns:
        A tree like ``params``, of its dtypes; ``params`` itself where nothing else is said.

    Raises:
        ValueError: two transformations say it of one leaf; the state is of other parameters; or
            ``optax.lookahead``, whose parameters are a pair.

    >>> import jax.numpy as jnp
    >>> tx = optax.contrib.schedule_free_sgd(0.5, b1=0.5)
    >>> y = jnp.array(1.0)
    >>> u, state = tx.update(jnp.array(1.0), tx.init(y), y)
    >>> print(evaluation_params(tx, state, optax.apply_updates(y, u)))
    0.5
    """
    found = claims(tx, state, params)
    if not found:
        return params
    leaves, structure = jax.tree.flatten(params)
    said = [found[i].value if i in found else leaf for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, said)


def evaluates_others(tx: Any, params: Tree) -> bool:
    """Whether any leaf is to be evaluated at other weights than those trained.

    Args:
        tx: the transformation.
        params: arrays or shapes.
    """
    found: list[bool] = []

    def ask(params: Tree) -> tuple[()]:
        found.append(bool(claims(tx, tx.init(params), params)))
        return ()

    jax.eval_shape(ask, params)
    return found[0]


def claims(tx: Any, state: Tree, params: Tree) -> Claims:
    """What is said of which leaf; see :func:`evaluation_params`, also for the errors."""
    if isinstance(params, optax.LookaheadParams):
        raise ValueError(LOOKAHEAD)
    leaves, structure = jax.tree.flatten(params)
    numbers = jax.tree.unflatten(structure, range(len(leaves)))
    seen: set[int] = set()
    place = _Place(state, params, numbers)
    try:
        found = _asked(getattr(tx, "update", tx), place, seen)
        for node in _known(state):  # inside of what cannot be looked through
            if id(node) not in seen:
                found = _joined(found, _of_known(node, place))
    except _Contradiction as error:
        names, number = error.args
        raise ValueError(
            f"{' and '.join(names)} both say at which weights to evaluate "
            f"{paths(params)[number] or 'the parameter'}: "
            "keep one of them, or say it yourself with joc.evaluated_at(tx, (state, params) -> "
            "params)"
        ) from None
    return found


class _Contradiction(Exception):
    """Two transformations say it of one leaf."""


def _asked(update: Any, place: _Place, seen: set[int]) -> Claims:
    """What ``update``, or what it is made of, says."""
    what, note = description(update), evaluated(update)
    if note is not None:
        mine = _claimed(what.name, note.params_of, place)
        if note.instead:
            seen.update(id(node) for node in _known(place.state))
            return mine
        return _joined(mine, _of_parts(what, place, seen))
    if next(_known(place.state), None) is place.state:
        seen.add(id(place.state))
        mine = _of_known(place.state, place)
        if type(place.state).__name__ == "SAMState":
            return mine | _of_sam(what, place, mine, seen)
        return _joined(mine, _of_parts(what, place, seen))
    return _of_parts(what, place, seen)


def _of_parts(what: Description, place: _Place, seen: set[int]) -> Claims:
    """What the transformations inside say."""
    closed, state = what.closure, place.state
    if what.name == "switch":
        return _of_switch(what, place)
    if "sched_hps" in closed:  # optax.inject_hyperparams, whose inner one is made at each step
        inner = closed["inner_factory"](**closed["other_hps"], **state.hyperparams)
        return _asked(inner.update, place._replace(state=state.inner_state), seen)
    masks: Mapping[str, Any] = {}
    if hasattr(state, "inner_states") and "param_labels" in closed:  # optax.partition
        labels = _of_tree(closed["param_labels"], place.params)
        masks = {str(k): _equal(labels, k) for k in closed["transforms"]}
    elif hasattr(state, "inner_state") and "mask" in closed:  # optax.masked
        masks = {"": _of_tree(closed["mask"], place.params)}
    if not masks:
        _check_last([description(part.update).name for part in what.parts if not part.beside])
    found: Claims = {}
    for part in what.parts:
        inside = place._replace(state=_state_of(part, what.name, state))
        if part.label in masks:
            inside = _masked(masks[part.label], inside)
        found = _joined(found, _asked(part.update, inside, seen))
    return found


def _state_of(part: Part, who: str, state: Any) -> Any:
    """The state of a part, out of that of the whole, which may be another transformation's."""
    try:
        return part.state(state)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"{who}: at which weights to evaluate cannot be told, the state is not its own "
            f"({type(error).__name__}: {error}); give the one that tx.init made and tx.update left"
        ) from error


def _check_last(names: Sequence[str]) -> None:
    """Refuse a mean of the weights that cannot know the step that is taken."""
    for name, after in itertools.pairwise(names):
        if name in MEANS and after not in (*MEANS, "identity"):
            raise ValueError(
                f"{name} must be the last piece of its chain, where updates are the steps that are "
                f"taken; here {after} comes after it"
            )


def _of_tree(mask: Any, params: Tree) -> Tree:
    """A mask, or labels, as optax takes them: a tree, its beginning, or a function making it."""
    made = jax.tree.leaves(mask)
    return mask(params) if made and all(map(callable, made)) else mask


def _equal(labels: Tree, group: Any) -> Tree:
    return jax.tree.map(lambda label: label == group, labels)


def _masked(mask: Tree, place: _Place) -> _Place:
    keep = lambda tree: jax.tree.map(lambda m, x: x if m else optax.MaskedNode(), mask, tree)
    return _Place(place.state, keep(place.params), keep(place.numbers))


def _of_switch(what: Description, place: _Place) -> Claims:
    """Of the member in use: with a traced index one of them is computed."""
    index, members = what.arguments["index"], what.arguments["transformations"]
    numbers = jax.tree.leaves(place.numbers)
    names: dict[int, str] = {}

    def branch(member: Any) -> Callable[[Any, Tree], Claims]:
        def ask(slots: Any, params: Tree) -> Claims:
            own = member_state(member, slots, params)
            return _asked(member.update, _Place(own, params, place.numbers), set())

        return ask

    def names_of(member: Any) -> Callable[[Any, Tree], tuple[()]]:
        def ask(slots: Any, params: Tree) -> tuple[()]:
            names.update({i: claim.who for i, claim in branch(member)(slots, params).items()})
            return ()

        return ask

    if not isinstance(index, jax.Array):
        return branch(members[index])(place.state.slots, place.params)
    for member in members:
        jax.eval_shape(names_of(member), place.state.slots, place.params)
    if not names:
        return {}
    said = sorted(names)

    def values(member: Any) -> Callable[[Any, Tree], list[jax.Array]]:
        def ask(slots: Any, params: Tree) -> list[jax.Array]:
            mine = branch(member)(slots, params)
            own = dict(zip(numbers, jax.tree.leaves(params), strict=True))
            return [mine[i].value if i in mine else own[i] for i in said]

        return ask

    chosen = choose(index, [values(m) for m in members], place.state.slots, place.params)
    return {i: Claim(value, names[i]) for i, value in zip(said, chosen, strict=True)}


def _of_sam(what: Description, place: _Place, mine: Claims, seen: set[int]) -> Claims:
    """Of the optimizer inside, which knows the weights between the excursions only."""
    numbers, structure = jax.tree.flatten(place.numbers)
    at = _Place(
        place.state.opt_state,
        jax.tree.unflatten(structure, [mine[i].value for i in numbers]) if mine else place.params,
        place.numbers,
    )
    main = [part for part in what.parts if part.label == ""]
    return _asked(main[0].update, at, seen) if main else {}


def _claimed(who: str, params_of: Callable[[Any, Any], Any], place: _Place) -> Claims:
    params = place.params
    try:
        with standard_promotion():
            said = params_of(place.state, params)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{who}: at which weights to evaluate cannot be told, the state or the parameters are "
            f"not its own ({type(error).__name__}: {error}); where it stands inside of a "
            "transformation of yours, say it with joc.evaluated_at(tx, (state, params) -> params)"
        ) from error
    try:
        check_fits(said, params)
    except ValueError as error:
        raise ValueError(f"{who}: the weights to be evaluated do not fit: {error}") from error
    said = cast_like(said, params)
    leaves = zip(jax.tree.leaves(place.numbers), jax.tree.leaves(said), strict=True)
    return {i: Claim(x, who) for i, x in leaves}


def _joined(ours: Claims, theirs: Claims) -> Claims:
    for number in ours:
        if number in theirs:
            raise _Contradiction((ours[number].who, theirs[number].who), number)
    return ours | theirs


def _schedule_free(state: Any, params: Tree) -> Tree:
    """x of Schedule-Free, out of y = (1 - b1) z + b1 x."""
    check_fits(state.z, params)
    return optax.contrib.schedule_free_eval_params(state, params)


def _sam(state: Any, params: Tree) -> Tree:
    """The weights from which a transparent SAM set out; the opaque one comes back in a step."""
    check_fits(state.cache, params)
    home = state.steps_since_sync == 0
    return jax.tree.map(lambda p, c: jax.numpy.where(home, p, c), params, state.cache)


KNOWN: dict[str, Callable[[Any, Tree], Tree]] = {  # optax's states
    "ScheduleFreeState": _schedule_free,
    "SAMState": _sam,
}


def _of_known(state: Any, place: _Place) -> Claims:
    name = type(state).__name__
    if name == "SAMState" and state.cache is None:
        return {}
    who = {"ScheduleFreeState": "schedule_free", "SAMState": "sam"}[name]
    return _claimed(who, KNOWN[name], place._replace(state=state))


def _known(state: Tree) -> Iterator[Any]:
    """The states of optax that are known, wherever they stand."""
    found: list[Any] = []

    def look(node: Any) -> bool:
        if type(node).__module__.startswith("optax"):
            if type(node).__name__ == "LookaheadState":
                raise ValueError(LOOKAHEAD)
            if type(node).__name__ in KNOWN:
                found.append(node)
        return False

    jax.tree.flatten(state, is_leaf=look)
    return iter(found)
