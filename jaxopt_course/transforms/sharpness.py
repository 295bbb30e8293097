"""Sharpness-aware minimisation: the gradient of a worse place nearby.

    ε = ρ g / ‖g‖             g = ∇L(θ), ‖g‖ over all leaves
    ε = ρ w² g / ‖w g‖        adaptive, w = |θ| by coordinate
    u = optimizer(∇L(θ + ε))

The batch, and the key of its dropout, are the same for both gradients.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_course.base import Flag, Scalar, Transform, apply_updates, either, number
from jaxopt_course.describe import described
from jaxopt_course.transforms.clipping import global_norm
from jaxopt_course.tree import Tree, abs_square, cast_like, leafwise


class SAMState(NamedTuple):
    """Memory of :func:`sam`: none but that of the optimizer."""

    inner_state: Any


@described
def sam(
    optimizer: Transform, rho: Scalar = 0.05, *, adaptive: Flag = False
) -> optax.GradientTransformationExtraArgs:
    """``optimizer`` with the gradient at θ + ε, the worst place within ρ to first order.

        joc.sweep(task, trials, {"sam": lambda h: joc.sam(joc.sgd(h["learning_rate"]), h["rho"])})

    ``sweep`` and ``fit`` hand ``update`` the function that it needs.  In a loop of one's own:

        u, state = tx.update(g, state, params, grad_fn=jax.grad(lambda p: loss(p, batch)))

    A step takes two gradients, the second after the first: up to twice the time.  θ + ε is
    visited within the step only: parameters between steps, and evaluated ones, are θ, and a model's
    own state (BatchNorm's averages) is that of the first gradient.

    Args:
        optimizer: its updates are steps; its numbers may be traced.  It gets ∇L(θ + ε) at θ.
        rho: ρ >= 0, how far, in the units of the weights (adaptive: a share of each); with 0 both
            gradients are the same.
        adaptive: whether the distance of each coordinate is measured in its own size, so that a
            weight of 0 stays; may be traced.

    Raises:
        TypeError, ValueError: ρ is no number, or below 0.
        ValueError: ``update`` without ``grad_fn`` or the parameters.

    Where ‖g‖ is 0, so is ε; optax's is NaN there.  Decay inside ``optimizer`` pulls at θ.  Same as
    ``optax.contrib.sam(optimizer, optax.chain(normalize(), optax.sgd(rho)), opaque_mode=True)``,
    whose ``grad_fn`` has the number of the ascent as a second argument.  Foret, Kleiner, Mobahi and
    Neyshabur (2021), "Sharpness-Aware Minimization for Efficiently Improving Generalization",
    algorithm 1 with p = 2; adaptive: Kwon, Kim, Park and Choi (2021), "ASAM", with T_w = |w|.

    >>> import jax
    >>> from jaxopt_course.optimizers import sgd
    >>> tx, w = sam(sgd(1.0), rho=0.5), jnp.array(2.0)
    >>> slope = jax.grad(lambda w: w**2)  # 4 at 2, 5 at 2.5
    >>> print(tx.update(slope(w), tx.init(w), w, grad_fn=slope)[0])
    -5.0
    """
    optimizer = optax.with_extra_args_support(optimizer)
    if isinstance(rho, int | float | np.number) and not rho >= 0:
        raise ValueError(f"sam: rho must be at least 0, not {rho}")

    def update(
        g: Tree,
        state: SAMState,
        params: Tree = None,
        *,
        grad_fn: Callable[[Tree], Tree] | None = None,
        **extra: Any,
    ) -> tuple[Tree, SAMState]:
        if grad_fn is None or params is None:
            raise ValueError(
                "sam takes a second gradient: update(g, state, params, grad_fn=...), with grad_fn "
                "from parameters to the gradient of the same batch; sweep and fit give it"
            )
        worse = apply_updates(params, ascent(g, params, rho, adaptive))
        u, after = optimizer.update(
            grad_fn(worse), state.inner_state, params, grad_fn=grad_fn, **extra
        )
        return u, SAMState(after)

    init = lambda params: SAMState(optimizer.init(params))
    return optax.GradientTransformationExtraArgs(init, update)


def ascent(g: Tree, params: Tree, rho: Scalar, adaptive: Flag) -> Tree:
    """ε, in the dtypes of the parameters.

    >>> print(ascent(jnp.array([3.0, 4.0]), jnp.array([1.0, 0.0]), 0.5, False))
    [0.3 0.4]
    >>> print(ascent(jnp.array([3.0, 4.0]), jnp.array([1.0, 0.0]), 0.5, True))
    [0.5 0. ]
    """
    size = lambda w: jnp.sqrt(abs_square(w)) if jnp.iscomplexobj(w) else jnp.abs(w)
    scaled = lambda times: leafwise(
        lambda w, g: either(adaptive, lambda: size(w) ** times * g, lambda: g), params, g
    )
    norm = global_norm(scaled(1))
    some = norm > 0
    far = number(rho) * jnp.where(some, 1 / jnp.where(some, norm, 1), 0)
    return cast_like(leafwise(lambda x: far * x, scaled(2)), params)
