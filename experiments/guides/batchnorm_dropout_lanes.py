"""BatchNorm and Dropout in lanes: each lane has its own rate, statistics and dropout key.

Four networks train in one ``vmap``; each equals the network that trains alone with the same rate
and keys.  The carry of a lane is (parameters, running statistics, optimizer state); nothing is
shared but the data.

    python experiments/guides/batchnorm_dropout_lanes.py
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_course as joc
from jaxopt_course.inspection import diagnose, hyperparameters

STEPS = 20
RATES = np.array([1e-3, 3e-3, 1e-2, 3e-2], np.float32)
SEEDS = np.arange(4)
X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True) ** 2


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(16, use_bias=False)(x)  # BatchNorm would take a bias out again
        x = jax.nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        x = nn.Dropout(0.2, deterministic=not train)(x)
        return nn.Dense(1)(x)


def train(rate, seed):
    """One lane: the losses, and everything it ends with."""
    model = Network()
    start_key, dropout_key = jax.random.split(jax.random.key(seed))
    variables = model.init(start_key, X, train=False)
    tx = joc.adam(joc.inverse_time_decay(rate, 0.05))

    def step(carry, key):
        params, statistics, state = carry

        def loss(params):
            y, new = model.apply(
                {"params": params, "batch_stats": statistics},
                X,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            return jnp.mean((y - Y) ** 2), new["batch_stats"]

        (value, statistics), grads = jax.value_and_grad(loss, has_aux=True)(params)
        rate_now = hyperparameters(tx, state)["learning_rate"]
        updates, state = tx.update(grads, state, params)
        return (joc.apply_updates(params, updates), statistics, state), (value, rate_now)

    carry = (variables["params"], variables["batch_stats"], tx.init(variables["params"]))
    return jax.lax.scan(step, carry, jax.random.split(dropout_key, STEPS))


def main():
    (params, statistics, state), (losses, rates) = jax.jit(jax.vmap(train))(RATES, SEEDS)
    for lane, rate in enumerate(RATES):
        print(f"lane {lane}: rate {rate:.0e}, loss {losses[lane, 0]:.3f} -> {losses[lane, -1]:.3f}")
    assert (losses[2:, -1] < losses[2:, 0]).all()
    expected = RATES[:, None] / (1 + 0.05 * np.arange(STEPS))
    np.testing.assert_allclose(rates, expected, rtol=1e-6)

    alone = jax.jit(train)
    for lane, (rate, seed) in enumerate(zip(RATES, SEEDS, strict=True)):
        (p, s, _), (value, _) = alone(rate, seed)
        mine = jax.tree.map(lambda x, lane=lane: x[lane], (params, statistics, losses))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), mine, (p, s, value)
        )
    print("each lane is the run alone")

    means = statistics["BatchNorm_0"]["mean"]
    assert means.shape == (4, 16)
    assert all(np.any(means[i] != means[j]) for i in range(4) for j in range(i))

    tx = joc.adam(joc.inverse_time_decay(RATES, 0.05))  # the lanes' transformation, from outside
    after = hyperparameters(tx, state)["learning_rate"]
    np.testing.assert_allclose(after, RATES / (1 + 0.05 * STEPS), rtol=1e-6)
    print(f"rates of update {STEPS}: {np.array2string(np.asarray(after), precision=5)}")
    assert diagnose(state, params).empty


if __name__ == "__main__":
    main()
