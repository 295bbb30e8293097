"""Transformations of others as a trial takes them: what they ask for, and what they keep.

    update(g, state, params)                      an update as optax has it
    update(g, state, params, value=..., key=...)  gets what its signature names, and no more

    value, grad       the batch's loss and its gradient
    value_fn, obj_fn  params -> the loss of the same batch with the same key
    grad_fn           params -> its gradient
    key               a PRNG key of the step, which the loss does not see

PRNG keys in a state are kept as the numbers that they are made of, so that states are plain arrays.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_course.base import LOOKAHEAD, Transform
from jaxopt_course.tree import Tree, conjugated

OFFERED = ("value", "grad", "value_fn", "grad_fn", "obj_fn", "key")
ALWAYS = ("value", "grad", "value_fn")  # to ``**extra_args``; the rest where an error asks for it
EACH = "gradient of each example"


@jax.tree_util.register_pytree_node_class
class StoredKey:
    """A PRNG key as an array of uint32, and the name of its kind."""

    def __init__(self, data: Any, kind: str) -> None:
        self.data, self.kind = data, kind

    def __eq__(self, other: object) -> bool:
        """Whether it is the same key, or of the same shape where shapes are compared."""
        if not isinstance(other, StoredKey):
            return False
        return self.kind == other.kind and bool(self.data == other.data)

    __hash__ = None  # type: ignore[assignment]

    def tree_flatten(self) -> tuple[tuple[Any], str]:
        """The array is data, the kind is not."""
        return (self.data,), self.kind

    @classmethod
    def tree_unflatten(cls, kind: str, children: tuple[Any]) -> "StoredKey":
        """See ``tree_flatten``."""
        return cls(*children, kind)


def stored(state: Tree) -> Tree:
    """A state without PRNG keys, each a :class:`StoredKey`, and without weak types."""

    def store(x: Any) -> Any:
        if getattr(x, "weak_type", False):  # would change at the first step
            return jnp.asarray(x, x.dtype)
        if not jax.dtypes.issubdtype(getattr(x, "dtype", None), jax.dtypes.prng_key):
            return x
        return StoredKey(jax.random.key_data(x), str(jax.random.key_impl(x)))

    return jax.tree.map(store, state)


def restored(state: Tree) -> Tree:
    """The state with its PRNG keys, as its transformation knows it."""
    is_key = lambda x: isinstance(x, StoredKey)
    wrap = lambda x: jax.random.wrap_key_data(x.data, impl=x.kind) if is_key(x) else x
    return jax.tree.map(wrap, state, is_leaf=is_key)


class _Adapted(optax.GradientTransformationExtraArgs):
    """A transformation that takes all that a trial offers."""


def transformation(made: Any, name: str) -> Transform:
    """What a user's function of a row, or factory, made, as a trial takes it.

    ``optax.MultiSteps`` objects count too, also with a traced number of steps, which optax keeps as
    if it were a function.

    Raises:
        TypeError: it is no gradient transformation.
    """
    steps = (
        made
        if isinstance(made, optax.MultiSteps)
        else getattr(getattr(made, "update", None), "__self__", None)
    )
    if isinstance(steps, optax.MultiSteps):
        every = steps._every_k_schedule
        if not callable(every):
            steps._every_k_schedule = lambda _: every
        made = steps.gradient_transformation()
    if not isinstance(made, optax.GradientTransformation):
        raise TypeError(
            f"optimizer function {name!r} must return a gradient transformation, not {made!r}"
        )
    return adapted(made)


def adapted(tx: Transform) -> Transform:
    """The transformation with keys stored in its state, its update given what it asks for.

    Raises:
        ValueError: at ``init``, for optax's lookahead, whose parameters are a pair.
    """
    if isinstance(tx, _Adapted):
        return tx

    def init(params: Tree) -> Tree:
        state = tx.init(params)
        check_evaluated(state)
        return stored(state)

    def update(g: Tree, state: Tree, params: Tree = None, **offered: Any) -> tuple[Tree, Tree]:
        state = restored(state)
        if EACH in offered and _find(state, "DifferentiallyPrivateAggregateState"):
            g = offered[EACH]()
        u, state = _call(tx, g, state, params, offered)
        return u, stored(state)

    return _Adapted(init, update)


def passing(tx: Transform) -> Transform:
    """A transformation of adapted ones: it hands on all that is offered."""
    return _Adapted(tx.init, tx.update)


def _call(
    tx: Transform, g: Tree, state: Tree, params: Tree, offered: Mapping[str, Any]
) -> tuple[Tree, Tree]:
    """Update with what the signature names; where it takes anything, with what it wants inside.

    ``optax.chain`` hands all to each of its members: a member may know fewer, or miss one.
    """
    named, takes_any = _signature(tx)
    takes_any = takes_any and isinstance(tx, optax.GradientTransformationExtraArgs)
    names = {name for name in OFFERED if name in named and name in offered}
    names |= {name for name in ALWAYS if takes_any and name in offered}
    changed: set[str] = set()
    while True:
        given = {n: offered[n]() if n == "key" else offered[n] for n in OFFERED if n in names}
        try:
            return tx.update(g, state, params, **given)
        except (TypeError, ValueError) as error:
            if not takes_any:
                raise
            said = _named_in(str(error))
            wrong = (said & names) if "nexpected keyword" in str(error) else (said - names)
            wrong = {name for name in wrong if name in offered} - changed
            if not wrong:
                raise
            names, changed = names ^ wrong, changed | wrong


def _named_in(message: str) -> set[str]:
    """What an error says is missing, or too much; of a list in brackets, what stands in it."""
    inside = re.search(r"\[(.*?)\]", message)
    return {n for n in OFFERED if re.search(rf"\b{n}\b", inside[1] if inside else message)}


def _signature(tx: Transform) -> tuple[set[str], bool]:
    """The names of an update's arguments beside its three, and whether it takes any."""
    try:
        parameters = list(inspect.signature(tx.update).parameters.values())
    except (TypeError, ValueError):
        return set(), True
    named = {
        p.name
        for i, p in enumerate(parameters)
        if p.kind is p.KEYWORD_ONLY or (i > 2 and p.kind is p.POSITIONAL_OR_KEYWORD)
    }
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters)


def check_evaluated(state: Tree) -> None:
    """Refuse optax's lookahead, whose parameters are a pair; see ``transforms.evaluation``.

    Raises:
        ValueError: the state is its own.
    """
    if _find(state, "LookaheadState"):
        raise ValueError(LOOKAHEAD)


def skips(state: Tree) -> bool:
    """Whether the state is of a transformation that leaves out steps that are not finite."""
    multi = [one for one in _find(state, "MultiStepsState") if jax.tree.leaves(one.skip_state)]
    return bool(multi or _find(state, "ApplyIfFiniteState"))


def _find(state: Tree, name: str) -> list[Any]:
    """optax's nodes of this type, wherever they stand; by name, as some are in ``contrib``."""
    found: list[Any] = []

    def look(node: Any) -> bool:
        if type(node).__name__ == name and type(node).__module__.startswith("optax"):
            found.append(node)
        return False

    jax.tree.flatten(state, is_leaf=look)
    return found


def extras(
    objective: Callable[..., Any], params: Tree, state: Tree, batch: Tree, key: Any, tag: int
) -> dict[str, Any]:
    """What a trial offers beside the loss and its gradient.

    Args:
        objective: ``(params, model_state, batch, key) -> (loss, (model_state, metrics))``.
        params: of the step, as what follows.
        state: the model's.
        batch: of this step.
        key: that the loss gets.
        tag: folded into the key for the optimizer's own.
    """
    value_fn = lambda p, *_, **__: objective(p, state, batch, key)[0]

    def each() -> Tree:
        if jax.tree.leaves(state):
            raise ValueError(
                "differential privacy takes the gradient of each example alone, and the model has "
                "a state (BatchNorm's averages) that all examples of a batch share"
            )

        def of_one(one: Tree) -> Tree:
            alone = jax.tree.map(lambda x: x[None], one)
            return conjugated(jax.grad(lambda p: objective(p, state, alone, key)[0])(params))

        return jax.vmap(of_one)(batch)

    return {
        "value_fn": value_fn,
        "obj_fn": value_fn,
        "grad_fn": lambda *given, **more: conjugated(jax.grad(value_fn)(*given, **more)),
        "key": lambda: jax.random.fold_in(key, tag),
        EACH: each,
    }
