"""The choice of a transformation as data: one transformation over a union of states.

    init(params)             = init_k(params)             k = index
    update(g, state, params) = update_k(g, state, params)

Ten optimizers side by side would need ten states.  Only one is in use, so they share *slots*: the
state has as many arrays of each kind (shape and dtype) as the neediest member, and each member
keeps its leaves in the first ones that fit.  The index may be traced, so trials with different
optimizers run in one compiled program.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_course.base import Transform
from jaxopt_course.describe import described
from jaxopt_course.tree import Tree, cast_like

Slots = dict[str, tuple[jax.Array, ...]]  # kind -> arrays of that kind
Place = tuple[str, int]  # kind, and which of its slots


class SwitchState(NamedTuple):
    """Memory of :func:`switch`."""

    slots: Slots  # e.g. {"float32[64,10]": (mu, nu), "int32[]": (count,)}, unused slots are 0


@described
def switch(
    index: int | jax.Array, transformations: Sequence[Transform]
) -> optax.GradientTransformationExtraArgs:
    """The transformation number ``index``, in a state that could hold any of them.

    With a scalar index, also under a ``vmap`` that does not batch it, only the chosen member is
    computed; where ``vmap`` batches the index all members are, and the results are selected.
    The index belongs to a run: after a change of the index the slots mean something else.

    Args:
        index: which one, from 0; a Python int, or traced.  A traced index out of range is
            clamped to the first or last.
        transformations: the members; their numbers may be traced too.

    Raises:
        IndexError: a Python index out of range.
        ValueError: no members; or a state that other members made.

    >>> either = switch(jnp.array(1), [optax.scale(10.0), optax.trace(0.5)])
    >>> state = either.init(jnp.array(0.0))
    >>> for _ in range(2):
    ...     u, state = either.update(jnp.array(1.0), state)
    >>> print(u, state.slots)
    1.5 {'float32[]': (Array(1.5, dtype=float32),)}
    """
    members = [optax.with_extra_args_support(transform) for transform in transformations]
    if not members:
        raise ValueError("switch needs at least one transformation")
    if not isinstance(index, jax.Array) and not 0 <= index < len(members):
        raise IndexError(f"switch: index {index} of {len(members)} transformations")

    def init(params: Tree) -> SwitchState:
        layouts = [_Layout.of(member, params) for member in members]
        needs = [Counter(kind for kind, _ in layout.places) for layout in layouts]
        kinds = {kind: like for layout in layouts for kind, like in layout.kinds.items()}
        most = {kind: max(need[kind] for need in needs) for kind in sorted(kinds)}

        def branch(member: Transform, layout: _Layout) -> Callable[[Tree], Slots]:
            def start(params: Tree) -> Slots:
                zeros = lambda kind: jnp.zeros(kinds[kind].shape, kinds[kind].dtype)
                empty = {kind: tuple(zeros(kind) for _ in range(n)) for kind, n in most.items()}
                return layout.write(member.init(params), empty)

            return start

        return SwitchState(choose(index, list(map(branch, members, layouts)), params))

    def update(
        g: Tree, state: SwitchState, params: Tree = None, **extra: Any
    ) -> tuple[Tree, SwitchState]:
        def branch(member: Transform) -> Callable[..., tuple[Tree, Slots]]:
            layout = _Layout.of(member, g if params is None else params)

            def step(g: Tree, slots: Slots, params: Tree) -> tuple[Tree, Slots]:
                u, inner = member.update(g, layout.read(slots), params, **extra)
                return cast_like(u, g), layout.write(inner, slots)

            return step

        u, slots = choose(index, list(map(branch, members)), g, state.slots, params)
        return u, SwitchState(slots)

    return optax.GradientTransformationExtraArgs(init, update)


def member_state(member: Transform, slots: Slots, params: Tree) -> Tree:
    """The state of the member in use, out of the slots; arrays may have lanes in front.

    Args:
        member: the transformation that wrote to the slots.
        slots: of a :class:`SwitchState`.
        params: arrays or shapes, without lanes.

    Raises:
        ValueError: the slots are of other members or other parameters.

    >>> tx = switch(1, [optax.scale(10.0), optax.trace(0.5)])
    >>> print(member_state(optax.trace(0.5), tx.init(jnp.array(0.0)).slots, jnp.array(0.0)))
    TraceState(trace=Array(0., dtype=float32))
    """
    return _Layout.of(member, params).read(slots)


def choose(index: Any, branches: list[Callable[..., Any]], *operands: Any) -> Any:
    """The result of one branch: a Python index chooses in Python, a traced one by a switch."""
    if isinstance(index, jax.Array):
        return jax.lax.switch(index, branches, *operands)
    return branches[index](*operands)


class _Layout(NamedTuple):
    """Where a member keeps the leaves of its state."""

    structure: Any  # of its state
    places: list[Place]  # of each leaf
    kinds: dict[str, jax.ShapeDtypeStruct]

    @classmethod
    def of(cls, member: Transform, params: Tree) -> "_Layout":
        leaves, structure = jax.tree.flatten(jax.eval_shape(member.init, params))
        taken: Counter[str] = Counter()
        places, kinds = [], {}
        for leaf in leaves:
            kind = f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
            places.append((kind, taken[kind]))
            taken[kind] += 1
            kinds[kind] = leaf
        return cls(structure, places, kinds)

    def read(self, slots: Slots) -> Tree:
        """The member's state, out of its slots."""
        if any(i >= len(slots.get(kind, ())) for kind, i in self.places):
            raise ValueError(
                f"switch: a state of {list(slots)} has no room for {sorted(self.kinds)}; it is "
                "from other members, or gradients of another dtype came without the parameters"
            )
        return self.structure.unflatten(slots[kind][i] for kind, i in self.places)

    def write(self, state: Tree, slots: Slots) -> Slots:
        """The slots with the member's state in its places; the others untouched."""
        new = {kind: list(arrays) for kind, arrays in slots.items()}
        for (kind, i), leaf in zip(self.places, jax.tree.leaves(state), strict=True):
            new[kind][i] = jnp.asarray(leaf, self.kinds[kind].dtype)
        return {kind: tuple(arrays) for kind, arrays in new.items()}
