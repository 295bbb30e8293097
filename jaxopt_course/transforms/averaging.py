"""Averages of the weights, which are evaluated in the place of those that are trained.

After step t the weights are θ_t.  A mean a_t of them is kept beside, and every rule is one formula
with a decay d_t of its own:

    a_t = d_t a_{t-1} + (1 - d_t) θ_t

    torch, keras   EMA       d_1 = 0, then d_t = β
    timm           EMA       as these; warmed up d_t = min(β, 1 - (1 + (t-1)/γ)^-p)
    optax          EMA       debiased: d_t = (β - β^t) / (1 - β^t), a mean with weights β^(t-i)
    swa            SWA       1 - d_t = 1/n for the n-th that counts, d_t = 1 between

A piece that averages hands the update on as it is, and needs to see the step that is taken: it is
the last one of its chain.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_course.base import (
    ClosedDecay,
    DecayLike,
    Flag,
    Scalar,
    Transform,
    advance,
    apply_updates,
    as_decay,
    check_whole,
    either,
    mean,
    number,
    select,
)
from jaxopt_course.describe import described, evaluated_at
from jaxopt_course.transforms.moments import bias
from jaxopt_course.tree import Tree, cast_like, check_floating, leafwise, wide_dtype

DECAYS = {"torch": 0.999, "keras": 0.99, "timm": 0.9999, "optax": 0.999}  # each one's default β


class AverageState(NamedTuple):
    """Memory of :func:`ema_params` and :func:`swa_params`."""

    count: Any  # t: (), int32
    average: Tree  # a: structure and shapes of the parameters, at least float32


@described
def ema_params(
    decay: DecayLike | None = None,
    *,
    like: str = "torch",
    warmup: Flag = False,
    warmup_gamma: Scalar = 1.0,
    warmup_power: Scalar = 2 / 3,
    after: Any = 0,
) -> Transform:
    """The exponential moving average of the weights: a ← β a + (1-β) θ, evaluated in their place.

    Put it last: ``chain(adam(1e-3), ema_params(0.999))``.  It averages over about 1/(1-β) steps;
    β = 0 gives the weights themselves, bit for bit.

    Args:
        decay: β in [0, 1], no unit; default that of the framework: 0.999 (torch, optax), 0.99
            (Keras), 0.9999 (timm).
        like: "torch" (``swa_utils.get_ema_multi_avg_fn``), "keras" (``use_ema``), "timm"
            (``ModelEmaV3.update(model, step)``): the first average is the first weights.  "optax":
            debiased, so that the start counts no more than its share, as ``optax.ema`` does it.
        warmup: timm's, from short averages to long ones: d_t = min(β, 1 - (1 + (t-1)/γ)^-p); may
            be traced; not for "optax".
        warmup_gamma: γ > 0, in steps.
        warmup_power: p > 0; with 1 and γ = 1 it is the mean of all weights, as long as it lasts.
        after: steps before averaging begins; until then a = θ.  A whole number, may be traced.

    Raises:
        ValueError: an unknown ``like``; a decay outside [0, 1]; steps that are no whole number from
            0 on; in ``init``, a leaf that is not floating point; in ``update``, no parameters.

    The averages are at least float32: in bfloat16 they would stop on the way.  A model's own state
    (BatchNorm's averages) is not averaged here; see ``sweep``.

    >>> tx = ema_params(0.5)
    >>> w, state = jnp.array(0.0), tx.init(jnp.array(0.0))
    >>> for _ in range(3):
    ...     u, state = tx.update(jnp.array(1.0), state, w)
    ...     w = apply_updates(w, u)
    >>> print(w, state.average)
    3.0 2.25
    """
    if like not in DECAYS:
        raise ValueError(f"ema_params: like= is one of {', '.join(DECAYS)}, not {like!r}")
    if like == "optax" and warmup is not False:
        raise ValueError("ema_params: warmup= is timm's; the debiased mean (like='optax') has none")
    own = DECAYS[like] if decay is None else decay
    as_decay(own)
    check_whole("ema_params: after", after)

    def decay_at(t: jax.Array) -> ClosedDecay:
        b = as_decay(own)
        past = t - jnp.asarray(after, t.dtype)
        if like == "optax":
            held = b.complement / bias(b, jnp.maximum(past, 1))
            return _from(held, 1 - held, past >= 1)

        def warm() -> tuple[jax.Array, jax.Array]:
            s = jnp.maximum(past - 1, 0).astype(b.value.dtype)
            c = (1 + s / number(warmup_gamma)) ** -number(warmup_power)
            return jnp.maximum(c, b.complement), jnp.minimum(1 - c, b.value)

        c, d = either(warmup, warm, lambda: (b.complement, b.value))
        return _from(c, d, past >= 2)

    return _averaging(decay_at, lambda: as_decay(own).zero)


@described
def swa_params(after: Any = 0, every: Any = 1) -> Transform:
    """Stochastic weight averaging: the plain mean of the weights from some step on.

        a ← a + (θ - a) / n      for the n-th of the steps after + 1, after + 1 + every, …

    Put it last: ``chain(sgd(0.1), swa_params(after=1000, every=100))``.

    Args:
        after: steps before averaging begins; until then a = θ.  A whole number, may be traced.
        every: steps between weights that count, at least 1; may be traced.

    Raises:
        ValueError: ``after`` or ``every`` is no whole number, from 0 and 1 on; in ``init``, a leaf
            that is not floating point; in ``update``, no parameters.

    Same as ``torch.optim.swa_utils.AveragedModel``, updated at these steps.  Izmailov et al.
    (2018), "Averaging Weights Leads to Wider Optima and Better Generalization".

    >>> tx = swa_params(after=1)
    >>> w, state = jnp.array(0.0), tx.init(jnp.array(0.0))
    >>> for _ in range(4):
    ...     u, state = tx.update(jnp.array(1.0), state, w)
    ...     w = apply_updates(w, u)
    >>> print(w, state.average)
    4.0 3.0
    """
    check_whole("swa_params: after", after)
    check_whole("swa_params: every", every, 1)

    def decay_at(t: jax.Array) -> ClosedDecay:
        past = t - 1 - jnp.asarray(after, t.dtype)  # 0 at the first one
        period = jnp.asarray(every, t.dtype)
        counts, n = past % period == 0, past // period + 1
        c = jnp.where(counts, 1 / jnp.maximum(n, 1).astype(jnp.result_type(float)), 0.0)
        return _from(c, 1 - c, past >= 1)

    return _averaging(decay_at)


def _from(c: jax.Array, d: jax.Array, begun: jax.Array) -> ClosedDecay:
    """The decay d with its complement c; before averaging has begun 0, so that a = θ."""
    return ClosedDecay(jnp.where(begun, d, 0), jnp.where(begun, c, 1), None)


def _averaging(
    decay_at: Callable[[jax.Array], ClosedDecay], none: Callable[[], Flag] = lambda: False
) -> Transform:
    """A transformation that keeps a mean of the weights and changes no update.

    Where the decay is 0 (``none``) the weights are evaluated, and not a mean that was made of the
    same sum: XLA may make one of θ + u with an FMA and the other without.
    """

    def init(params: Tree) -> AverageState:
        check_floating(params)
        copy = lambda p: jnp.array(p, dtype=wide_dtype(p))
        return AverageState(jnp.zeros((), jnp.int32), jax.tree.map(copy, params))

    def update(g: Tree, state: AverageState, params: Tree = None) -> tuple[Tree, AverageState]:
        if params is None:
            raise ValueError(
                "an average of the weights needs them: update(g, state, params); it stands last "
                "in its chain, where the update is the step that is taken"
            )
        t = advance(state.count)
        after = apply_updates(params, g)
        a = leafwise(mean(decay_at(t)), state.average, after)
        return g, AverageState(t, cast_like(a, state.average))

    def average(state: AverageState, params: Tree) -> Tree:
        weights = lambda a, p: select(none(), jnp.asarray(p, a.dtype), a)
        return leafwise(weights, state.average, params)

    return evaluated_at(Transform(init, update), average, instead=False)
