"""Schedule-Free: an average of the iterates in the place of a falling rate and of momentum.

Three sequences, all equal at first; s = 0, 1, ... updates done, η_s the rate, t = s + 1:

    z   steps of a base optimizer, with gradients at y         z ← z + u,  u = base(∇f(y))
    x   a mean of the z, which is to be evaluated              x ← (1-c) x + c z
    y   between them; the parameters that are trained          y = β1 x + (1-β1) z

    w = t^r (max_{i<=s} η_i)^p,  W ← W + w,  c = w / W, and 0 for W = 0

Only y and z are kept.  With x eliminated the step is

    y ← y + c (z_old - y) + (1 - β1 (1 - c)) u

which does not divide by β1; the evaluation does, x = z + (y - z) / β1.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_course.base import (
    DecayLike,
    Scalar,
    ScalarOrSchedule,
    Transform,
    advance,
    as_decay,
    number,
    numbers,
)
from jaxopt_course.describe import described, evaluated_at
from jaxopt_course.schedules.ranges import length_of
from jaxopt_course.transforms.moments import copied
from jaxopt_course.tree import Tree, cast_like, leafwise


class ScheduleFreeState(NamedTuple):
    """Memory of :func:`schedule_free`, with the names that optax's has."""

    b1: Any  # β1, for optax's schedule_free_eval_params: (), float
    weight_sum: Any  # W: (), float
    step_count: Any  # s, updates done: (), int32
    max_lr: Any  # the largest rate so far: (), float
    base_optimizer_state: Any
    z: Tree  # structure and shapes of the parameters, at least float32, or state_dtype


@described
def schedule_free(
    base_optimizer: Transform,
    learning_rate: ScalarOrSchedule,
    b1: DecayLike = 0.9,
    weight_lr_power: Scalar = 2.0,
    state_dtype: Any = None,
    *,
    r: Scalar = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """``base_optimizer`` without momentum, made schedule-free; the parameters are y.

    ``evaluation_params(tx, state, params)`` is x; ``sweep`` and ``fit`` evaluate it by themselves.
    The updates must be taken as they are: y is where z and x say.

    Args:
        base_optimizer: its updates are steps; its momentum off (``adam(rate, b1=0)``).
        learning_rate: η, the rate of ``base_optimizer`` again: it weighs the mean, no more.  A
            schedule is asked for η(0) at the first step.
        b1: β1 in (0, 1), how near to the mean gradients are taken.
        weight_lr_power: p >= 0: steps of a warm-up count less; 0 is the plain mean of all z.
        state_dtype: dtype of z; that of the parameters by default, but at least float32.
        r: r >= 0: the later the step, the more it counts.

    Raises:
        ValueError: β1 is 0 (x is not kept then); ``update`` without the parameters; an evaluation
            with parameters that do not fit.

    Same as ``optax.contrib.schedule_free``, but that optax 0.2.8 weighs step s by η(s+1): it never
    asks for η(0) (optax#1744).  Defazio et al. (2024), "The road less scheduled".

    >>> from jaxopt_course.optimizers import sgd
    >>> from jaxopt_course.transforms.evaluation import evaluation_params
    >>> tx = schedule_free(sgd(0.5), 0.5, b1=0.5)
    >>> y, state = jnp.array(1.0), tx.init(jnp.array(1.0))
    >>> for _ in range(2):  # z = 0.5, 0; x = 0.5, 0.25
    ...     u, state = tx.update(jnp.array(1.0), state, y)
    ...     y = y + u
    >>> print(y, state.z, evaluation_params(tx, state, y))
    0.125 0.0 0.25
    """
    base_optimizer = optax.with_extra_args_support(base_optimizer)
    if as_decay(b1).zero is True:
        raise ValueError(
            "schedule_free with b1=0 trains z itself, and its mean x could not be told from the "
            "parameters; give a b1 in (0, 1), as 0.9"
        )

    def init(params: Tree) -> ScheduleFreeState:
        zero = jnp.zeros((), jnp.result_type(float))
        inside = base_optimizer.init(params)
        start = jnp.asarray(as_decay(b1).value, zero.dtype)
        count, z = jnp.zeros((), jnp.int32), copied(params, state_dtype)
        return ScheduleFreeState(start, zero, count, zero + 0, inside, z)

    def update(
        g: Tree, state: ScheduleFreeState, params: Tree = None, **extra: Any
    ) -> tuple[Tree, ScheduleFreeState]:
        if params is None:
            raise ValueError("schedule_free needs the parameters: update(g, state, params)")
        beta1, t = as_decay(b1), advance(state.step_count)
        p, power = numbers(weight_lr_power, r)
        at = learning_rate(state.step_count) if callable(learning_rate) else learning_rate
        most = jnp.maximum(state.max_lr, number(at))
        weight = _power(most, p) * _power(t.astype(most.dtype), power)
        total = state.weight_sum + weight
        some = total > 0
        c = jnp.where(some, weight / jnp.where(some, total, 1), 0)
        u, inside = base_optimizer.update(g, state.base_optimizer_state, params, **extra)
        # results both, also of literals; see base.number
        c, ahead = jax.lax.optimization_barrier((c, beta1.complement + beta1.value * c))
        step = leafwise(lambda y, z, u: c * (z - y) + ahead * u, params, state.z, u)
        z = leafwise(lambda z, u: z + u, state.z, u)
        kept = cast_like((total, most), (state.weight_sum, state.max_lr))
        new = ScheduleFreeState(state.b1, kept[0], t, kept[1], inside, cast_like(z, state.z))
        return cast_like(step, g), new

    def mean_of(state: ScheduleFreeState, params: Tree) -> Tree:
        beta1 = as_decay(b1).value
        return leafwise(lambda y, z: z + (y - z) / beta1, params, state.z)

    made = optax.GradientTransformationExtraArgs(init, update)
    return evaluated_at(made, mean_of, instead=False)


def _power(x: jax.Array, p: jax.Array) -> jax.Array:
    """x^p for x >= 0, with a derivative at x = 0 too; 0^0 is 1."""
    some = x > 0
    return jnp.where(some, jnp.where(some, x, 1) ** p, jnp.where(p == 0, 1, 0))


def warmed_up(
    learning_rate: ScalarOrSchedule, warmup_steps: Scalar | None, start: int = 0
) -> ScalarOrSchedule:
    """η(s) min(1, (s + start) / T), and η where T is None or 0.

    >>> print([float(warmed_up(2.0, 4, 1)(s)) for s in range(5)])
    [0.5, 1.0, 1.5, 2.0, 2.0]
    """
    if warmup_steps is None:
        return learning_rate

    def rate(s: Any) -> Any:
        steps = number(warmup_steps)
        t = jnp.asarray(s, steps.dtype) + start  # of floats, for the last count + 1 is below 0
        eta = number(learning_rate(s) if callable(learning_rate) else learning_rate)
        growing = t < steps
        return eta * jnp.where(growing, t / length_of(steps), 1)

    return rate
