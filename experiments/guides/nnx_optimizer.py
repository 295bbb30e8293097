"""nnx.Optimizer: a recipe for the kernels, another for the biases, the first layer frozen.

Shows that recipes and groups go into ``nnx.Optimizer`` as optax's do, what each parameter gets
(``audit``), the rate of the next update while it trains (``hyperparameters``), and a damaged memory
by name (``diagnose``).

    python experiments/guides/nnx_optimizer.py
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jaxopt_course as joc
from jaxopt_course.inspection import audit, diagnose, hyperparameters
from jaxopt_course.transforms.clipping import clip_by_global_norm
from jaxopt_course.transforms.groups import freeze, partition_by_path

STEPS = 30
X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True) ** 2


class Network(nnx.Module):
    def __init__(self, rngs):
        self.features = nnx.Linear(3, 16, rngs=rngs)
        self.hidden = nnx.Linear(16, 16, rngs=rngs)
        self.readout = nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        return self.readout(jax.nn.relu(self.hidden(jax.nn.relu(self.features(x)))))


def loss(model, x, y):
    return jnp.mean((model(x) - y) ** 2)


@nnx.jit
def step(model, optimizer, x, y):
    value, grads = nnx.value_and_grad(loss)(model, x, y)
    optimizer.update(model, grads)
    return value


def main():
    falling = joc.inverse_time_decay(init_value=3e-2, decay_rate=0.1)
    tx = partition_by_path(
        {
            "features/*": freeze(),
            "*/kernel_of_the_rest": joc.sgd(0.1),  # a typo, refused below
        },
        default=joc.adamw(falling, weight_decay=1e-3),
    )
    model = Network(nnx.Rngs(0))
    try:
        nnx.Optimizer(model, tx, wrt=nnx.Param)
    except ValueError as error:
        print(f"refused: {error}\n")
        assert "'*/kernel_of_the_rest' matches no leaf" in str(error)

    tx = partition_by_path(
        {
            "features/*": freeze(),
            "hidden/bias": joc.sgd(1e-2),
            "readout/bias": joc.sgd(1e-2, momentum=0.9),
        },
        default=joc.adamw(falling, weight_decay=1e-3),
        before=clip_by_global_norm(10.0),  # of the gradients that are not frozen
    )
    params = nnx.state(model, nnx.Param)
    print(audit(tx, params), "\n")

    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    before = nnx.to_pure_dict(params)
    losses = [float(step(model, optimizer, X, Y)) for _ in range(STEPS)]
    after = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    now = hyperparameters(tx, optimizer.opt_state)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    print(f"learning rate of update {STEPS}: {now['(default).learning_rate']:.5f}")

    assert losses[-1] < 0.5 * losses[0]
    np.testing.assert_array_equal(after["features"]["kernel"], before["features"]["kernel"])
    assert np.any(after["hidden"]["kernel"] != before["hidden"]["kernel"])
    np.testing.assert_allclose(now["(default).learning_rate"], 3e-2 / (1 + 0.1 * STEPS), rtol=1e-6)
    assert now["readout/bias.momentum"] == 0.9

    assert diagnose(optimizer.opt_state, nnx.state(model, nnx.Param)).empty
    unclipped = joc.adam(1e-3)
    optimizer = nnx.Optimizer(model, unclipped, wrt=nnx.Param)
    step(model, optimizer, 1e12 * X, Y)  # one batch in wrong units: gradients of 1e24
    damage = diagnose(optimizer.opt_state)
    print(f"\n{damage}")
    assert "hidden/kernel" in set(damage["path"])
    assert set(damage["field"]) == {"nu"}


if __name__ == "__main__":
    main()
