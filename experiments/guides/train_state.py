"""Linen's TrainState: a recipe, groups and a schedule; the same steps in a loop and in a scan.

Shows that ``apply_gradients`` takes the recipes as they are, that the state keeps its dtypes (so
``jax.lax.scan`` accepts it), and the hyperparameters of the next update at any time.

    python experiments/guides/train_state.py
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState

import jaxopt_course as joc
from jaxopt_course.inspection import audit, hyperparameters
from jaxopt_course.schedules import linear_schedule
from jaxopt_course.transforms.groups import partition_by_path

STEPS = 40
X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True) ** 2


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(jax.nn.relu(nn.Dense(16)(x)))


def train_step(state, _):
    def loss(params):
        return jnp.mean((state.apply_fn({"params": params}, X) - Y) ** 2)

    value, grads = jax.value_and_grad(loss)(state.params)
    rates = hyperparameters(state.tx, state.opt_state)  # of this update, inside jit
    return state.apply_gradients(grads=grads), (value, rates["*/kernel.learning_rate"])


def main():
    warm_up = linear_schedule(init_value=0.0, end_value=3e-2, transition_steps=10)
    tx = partition_by_path({"*/kernel": joc.adamw(warm_up), "*/bias": joc.adam(1e-2)})
    model = Network()
    params = model.init(jax.random.key(0), X)["params"]
    print(audit(tx, params), "\n")
    start = TrainState.create(apply_fn=model.apply, params=params, tx=tx)

    scanned, (losses, rates) = jax.jit(lambda s: jax.lax.scan(train_step, s, length=STEPS))(start)
    looped, step = start, jax.jit(train_step)
    for _ in range(STEPS):
        looped, _ = step(looped, None)

    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    print("learning rate of the kernels:", [f"{rate:.3f}" for rate in rates[:12:2]], "...")
    assert losses[-1] < 0.5 * losses[0]
    assert scanned.step == looped.step == STEPS
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, scanned.params, looped.params)
    close(rates, 3e-2 * np.minimum(np.arange(STEPS) / 10, 1))

    theirs = optax.partition(
        {"k": optax.adamw(optax.linear_schedule(0.0, 3e-2, 10)), "b": optax.adam(1e-2)},
        {name: {"kernel": "k", "bias": "b"} for name in params},
    )
    twin = TrainState.create(apply_fn=model.apply, params=params, tx=theirs)
    twin_step = jax.jit(
        lambda s: s.apply_gradients(
            grads=jax.grad(lambda p: jnp.mean((s.apply_fn({"params": p}, X) - Y) ** 2))(s.params)
        )
    )
    for _ in range(STEPS):
        twin = twin_step(twin)
    jax.tree.map(close, scanned.params, twin.params)
    print("the same parameters as with optax.partition, adamw and adam")


if __name__ == "__main__":
    main()
