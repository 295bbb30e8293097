"""Lookahead: k steps forward, one step back.

Two sequences, equal at first.  The fast weights θ are the parameters; each k-th step brings them
back to the slow weights φ, which went a part α of the way that they went:

    θ' = θ + u,  u = fast_optimizer(∇f(θ))
    θ ← θ'                                   between,      φ ← φ
    θ ← θ' - (1 - α)(θ' - φ)                 at a sync,    φ ← φ + α (θ' - φ)

After a sync θ is φ, to the rounding of θ' and of the dtype of θ.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_course.base import (
    ClosedDecay,
    DecayLike,
    Flag,
    Transform,
    apply_updates,
    as_decay,
    check_whole,
    either,
    mean,
)
from jaxopt_course.describe import described, evaluated_at
from jaxopt_course.transforms.moments import copied
from jaxopt_course.tree import Tree, cast_like, leafwise


class LookaheadState(NamedTuple):
    """Memory of :func:`lookahead`; the first two names are optax's."""

    fast_state: Any  # of the fast optimizer
    steps_since_sync: Any  # (), int32, in [0, k)
    slow: Tree  # φ: structure and shapes of the parameters, at least float32


@described
def lookahead(
    fast_optimizer: Transform,
    sync_period: Any = 5,
    slow_step_size: DecayLike = 0.5,
    reset_state: Flag = False,
) -> optax.GradientTransformationExtraArgs:
    """``fast_optimizer``, whose weights go back by 1 - α of their way after each k steps.

        lookahead(adam(1e-3), sync_period=5, slow_step_size=0.5)

    The parameters are the fast weights, at which gradients are taken.
    ``evaluation_params(tx, state, params)`` is φ, the slow ones, which ``sweep`` and ``fit``
    evaluate by themselves.  Right after a sync they are the parameters, between two they are those
    of the last sync.  The updates must be taken as they are.

    Args:
        fast_optimizer: its updates are steps; its numbers may be traced.
        sync_period: k >= 1, in steps; a whole number, may be traced.
        slow_step_size: α in [0, 1], no unit; with 1 every step is the fast optimizer's own, bit for
            bit, and with 0 each k-th goes back to the first weights.
        reset_state: whether the fast optimizer begins anew, its state of ``init``, after each sync;
            may be traced.

    Raises:
        TypeError: k or α is no number, ``reset_state`` no switch.
        ValueError: k is no whole number from 1 on, or α outside [0, 1]; ``update`` without the
            parameters; where it is evaluated, a fast optimizer that says itself at which weights.

    ``hyperparameters`` gives the fast optimizer's ``learning_rate``, which acts on the fast weights
    in each step; over k steps the slow ones go α of their way.

    Same as ``optax.lookahead``, whose parameters are a pair of both.  Zhang, Lucas, Hinton and Ba
    (2019), "Lookahead Optimizer: k steps forward, 1 step back", algorithm 1.

    >>> from jaxopt_course.optimizers import sgd
    >>> tx = lookahead(sgd(1.0), sync_period=2, slow_step_size=0.5)
    >>> w, state = jnp.array(0.0), tx.init(jnp.array(0.0))
    >>> for _ in range(3):  # fast -1, -2 and back to -1, -2; slow 0, -1, -1
    ...     u, state = tx.update(jnp.array(1.0), state, w)
    ...     w = apply_updates(w, u)
    >>> print(w, state.slow)
    -2.0 -1.0
    """
    fast_optimizer = optax.with_extra_args_support(fast_optimizer)
    as_decay(slow_step_size)
    check_whole("lookahead: sync_period", sync_period, 1)
    either(reset_state, tuple, tuple)  # refuses what is no switch

    def init(params: Tree) -> LookaheadState:
        inside = fast_optimizer.init(params)
        return LookaheadState(inside, jnp.zeros((), jnp.int32), copied(params))

    def update(
        g: Tree, state: LookaheadState, params: Tree = None, **extra: Any
    ) -> tuple[Tree, LookaheadState]:
        if params is None:
            raise ValueError("lookahead needs the parameters: update(g, state, params)")
        u, inside = fast_optimizer.update(g, state.fast_state, params, **extra)
        alpha, k = as_decay(slow_step_size), jnp.asarray(sync_period, jnp.int32)
        back, t = alpha.complement, state.steps_since_sync + 1
        sync, fast = t >= k, apply_updates(params, u)
        step = leafwise(lambda u, w, s: u - back * (w - s), u, fast, state.slow)
        along = mean(ClosedDecay(back, alpha.value, None))
        slow = _where(sync, leafwise(along, state.slow, fast), state.slow)
        if reset_state is not False:
            first = fast_optimizer.init(cast_like(slow, params))
            inside = _where(jnp.logical_and(sync, reset_state), first, inside)
        return _where(sync, step, u), LookaheadState(inside, jnp.where(sync, 0, t), slow)

    made = optax.GradientTransformationExtraArgs(init, update)
    return evaluated_at(made, lambda state, params: state.slow, instead=False)


def _where(flag: jax.Array, yes: Tree, no: Tree) -> Tree:
    """One of two trees, in the dtypes of the second."""
    return jax.tree.map(lambda a, b: jnp.where(flag, a, b), cast_like(yes, no), no)
