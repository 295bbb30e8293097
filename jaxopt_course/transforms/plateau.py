"""A learning rate that is cut when the loss no longer falls.

    v̄ = mean of the last n values        judged each n updates
    better      v̄ < (1 - r) best - a      then best ← v̄, and the count of bad judgements is 0
    a plateau   bad judgements reach the patience; then scale ← max(scale f, lowest)

What the three frameworks do otherwise:

                 plateau         better by            after a cut, of c judgements
    optax        bad = patience  r = 1e-4             all c count as good
    PyTorch      bad > patience  r = 1e-4             all c count as good
    Keras        bad = patience  a = 1e-4             c - 1 do; from the c-th on it counts

The value is what ``update(..., value=)`` is given: in a sweep and in ``fit`` the loss of the batch,
before the step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.base import (
    Scalar,
    ScalarOrSchedule,
    Transform,
    advance,
    check_gradient,
    number,
)
from jaxopt_course.describe import described
from jaxopt_course.tree import Tree, cast_like, check_floating, leafwise

LIKE = {  # patience, r, a
    "optax": (0, 1e-4, 0.0),
    "torch": (1, 1e-4, 0.0),
    "keras": (0, 0.0, 1e-4),
}


class ReduceOnPlateauState(NamedTuple):
    """Memory of :func:`reduce_on_plateau`, with optax's names."""

    scale: Any  # (), the factor of the updates
    best_value: Any  # (), the lowest mean so far; infinite at first
    plateau_count: Any  # (), int32, bad judgements in a row
    cooldown_count: Any  # (), int32, judgements of the cooldown that are left
    count: Any  # (), int32, values since the last judgement
    avg_value: Any  # (), their mean


class Rules(NamedTuple):
    """The numbers of a plateau, each a number, an array or traced."""

    factor: Scalar
    patience: Scalar  # bad judgements that make a plateau
    rtol: Scalar
    atol: Scalar
    cooldown: Scalar
    accumulation_size: Scalar
    min_scale: Scalar
    min_change: Scalar
    counts_last: Scalar  # 1: the last judgement of a cooldown counts, as Keras has it


@described
def reduce_on_plateau(
    factor: Scalar = 0.1,
    patience: Scalar = 10,
    rtol: Scalar | None = None,
    atol: Scalar | None = None,
    cooldown: Scalar = 0,
    accumulation_size: Scalar = 1,
    min_scale: Scalar = 0.0,
    *,
    min_change: Scalar = 0.0,
    like: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """Updates times a scale, which is multiplied by f whenever the loss has stopped falling.

    Behind a recipe it scales the learning rate, and the decoupled weight decay with it; where the
    memory keeps steps of the old rate (Keras's momentum), it stands before.

    Args:
        factor: f, in (0, 1); 1 never changes anything.
        patience: bad judgements in a row: that many are a plateau, for PyTorch one more.
            At least 1 (PyTorch 0); less counts as that.
        rtol: r, by which of the best a value must be lower; default 1e-4, of Keras 0.
        atol: a, by which it must be lower; default 0, of Keras 1e-4.
        cooldown: c, judgements after a cut that are not bad.
        accumulation_size: n, updates from judgement to judgement; 1 judges every batch by itself,
            the steps of an epoch by the mean loss of the epoch.
        min_scale: the lowest scale: PyTorch's and Keras's ``min_lr`` over the first rate.
        min_change: a cut that changes the scale by no more is not made: PyTorch's ``eps`` (there
            1e-8) over the first rate.
        like: "optax" (0.2.8), "torch" (2.13) or "keras" (3.15).

    Returns:
        A transformation with ``update(g, state, params, *, value)``; its state holds the scale.

    Raises:
        ValueError: a number out of its range, another ``like``; an update without ``value=``, or
            with one that is no scalar.

    Same as ``optax.contrib.reduce_on_plateau``, ``torch.optim.lr_scheduler.ReduceLROnPlateau`` and
    ``keras.callbacks.ReduceLROnPlateau``, of losses, which fall.  A NaN counts as bad.

    >>> tx = reduce_on_plateau(factor=0.5, patience=2)
    >>> state = tx.init(jnp.zeros(1))
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     u, state = tx.update(jnp.ones(1), state, value=loss)
    ...     print(u)
    [1.]
    [1.]
    [1.]
    [0.5]
    """
    numbers = rules(
        factor, patience, rtol, atol, cooldown, accumulation_size, min_scale, min_change, like
    )

    def update(
        g: Tree, state: Any, params: Tree = None, *, value: Any = None, **_: Any
    ) -> tuple[Tree, ReduceOnPlateauState]:
        check_gradient(g, params)
        state = judged(numbers, state, value)
        return cast_like(leafwise(lambda g: state.scale * g, g), g), state

    return optax.GradientTransformationExtraArgs(first_judgement, update)


def rules(
    factor: Scalar,
    patience: Scalar,
    rtol: Scalar | None,
    atol: Scalar | None,
    cooldown: Scalar,
    accumulation_size: Scalar,
    min_scale: Scalar,
    min_change: Scalar = 0.0,
    like: str = "optax",
) -> Rules:
    """The arguments of :func:`reduce_on_plateau` as numbers alone, what was left out filled in.

    Raises:
        ValueError: a number out of its range, or another ``like``.
    """
    if like not in LIKE:
        raise ValueError(f"reduce_on_plateau is like one of {', '.join(LIKE)}, not {like!r}")
    more, relative, absolute = LIKE[like]
    rtol, atol = relative if rtol is None else rtol, absolute if atol is None else atol
    if _written(factor) and not 0 < factor <= 1:
        raise ValueError(f"factor must be above 0 and at most 1, not {factor}")
    if _written(rtol) and not 0 <= rtol <= 1:
        raise ValueError(f"rtol must be between 0 and 1, not {rtol}")
    if _written(accumulation_size) and not accumulation_size >= 1:
        raise ValueError(f"accumulation_size must be at least 1, not {accumulation_size}")
    least = {"patience": (patience, 1 - more), "atol": (atol, 0), "cooldown": (cooldown, 0)}
    least |= {"min_scale": (min_scale, 0), "min_change": (min_change, 0)}
    for name, (x, low) in least.items():
        if _written(x) and not x >= low:
            raise ValueError(f"{name} must be at least {low}, not {x}")
    bad = patience + more
    last = 1.0 if like == "keras" else 0.0
    return Rules(factor, bad, rtol, atol, cooldown, accumulation_size, min_scale, min_change, last)


def first_judgement(params: Tree) -> ReduceOnPlateauState:
    """The memory before the first value; floats in the widest dtype of the parameters."""
    check_floating(params)
    kinds = [jnp.finfo(jnp.result_type(x)).dtype for x in jax.tree.leaves(params)]
    kind = jnp.result_type(jnp.float32, *kinds)
    none = jnp.zeros((), jnp.int32)
    return ReduceOnPlateauState(
        scale=jnp.ones((), kind),
        best_value=jnp.full((), jnp.inf, kind),
        plateau_count=none,
        cooldown_count=none,
        count=none,
        avg_value=jnp.zeros((), kind),
    )


def judged(numbers: Rules, state: ReduceOnPlateauState, value: Any) -> ReduceOnPlateauState:
    """The memory after one more value.

    Raises:
        ValueError: no value, or one that is no scalar.
    """
    if value is None:
        raise ValueError(
            "reduce_on_plateau looks at the loss: tx.update(g, state, params, value=loss)"
        )
    if jnp.shape(value) != ():
        raise ValueError(f"reduce_on_plateau's value= must be a scalar, not {jnp.shape(value)}")
    rule = Rules(*(number(x).astype(state.scale.dtype) for x in numbers))
    seen = advance(state.count)
    kind = state.avg_value.dtype
    mean = (state.count * state.avg_value + jnp.asarray(value, kind)) / seen.astype(kind)
    better = mean < (1 - rule.rtol) * state.best_value - rule.atol
    cooling = state.cooldown_count > 0
    left = jnp.where(cooling, state.cooldown_count - 1, 0)
    good = better | (cooling & ((left > 0) | (rule.counts_last == 0)))
    bad = jnp.where(good, 0, advance(jnp.where(cooling, 0, state.plateau_count)))
    plateau = ~good & (bad >= rule.patience)
    lower = jnp.maximum(state.scale * rule.factor, rule.min_scale)
    cut = plateau & (state.scale - lower > rule.min_change)
    after = ReduceOnPlateauState(
        scale=jnp.where(cut, lower, state.scale),
        best_value=jnp.where(better, mean, state.best_value),
        plateau_count=jnp.where(plateau, 0, bad).astype(jnp.int32),
        cooldown_count=jnp.where(plateau, rule.cooldown, left).astype(jnp.int32),
        count=jnp.zeros_like(state.count),
        avg_value=jnp.zeros_like(state.avg_value),
    )
    waiting = state._replace(count=seen, avg_value=mean)
    full = seen >= rule.accumulation_size
    return jax.tree.map(lambda x, y: jnp.where(full, x, y), after, waiting)


class OnPlateauState(NamedTuple):
    """Memory of :func:`on_plateau`."""

    plateau: ReduceOnPlateauState
    inner_state: Any  # of the recipe


def on_plateau(
    make: Callable[[Any], Transform], learning_rate: ScalarOrSchedule, numbers: Rules
) -> optax.GradientTransformationExtraArgs:
    """A recipe whose learning rate itself is cut, as PyTorch's and Keras's are.

    Args:
        make: from a rate, or a schedule, to the recipe; the rate changes nothing but numbers.
        learning_rate: before the first cut.
        numbers: when to cut.
    """
    recipe = optax.with_extra_args_support(make(learning_rate))

    def init(params: Tree) -> OnPlateauState:
        return OnPlateauState(first_judgement(params), recipe.init(params))

    def update(
        g: Tree, state: OnPlateauState, params: Tree = None, *, value: Any = None, **extra: Any
    ) -> tuple[Tree, OnPlateauState]:
        plateau = judged(numbers, state.plateau, value)
        cut = optax.with_extra_args_support(make(_times(plateau.scale, learning_rate)))
        # of the recipe itself, which is what a description of this update finds
        step = recipe._replace(update=cut.update).update
        u, inner = step(g, state.inner_state, params, value=value, **extra)
        return u, OnPlateauState(plateau, inner)

    return optax.GradientTransformationExtraArgs(init, update)


def _times(scale: Any, rate: ScalarOrSchedule) -> ScalarOrSchedule:
    return (lambda step: scale * rate(step)) if callable(rate) else scale * rate


def _written(x: Any) -> bool:
    return isinstance(x, int | float | np.number)
