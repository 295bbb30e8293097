"""The networks as functions of a flat dictionary of weights, as people write them in JAX."""

import jax
import jax.numpy as jnp
import optax

from experiments.benchmarks.side_by_side.workloads import BLOCKS, CONTEXT


def mlp(w, x):
    """Dense layers with ReLU."""
    depth = len(w) // 2
    for i in range(depth):
        x = x @ w[f"layers/{i}/kernel"] + w[f"layers/{i}/bias"]
        x = jax.nn.relu(x) if i < depth - 1 else x
    return x


def cnn(w, x):
    """XLA's convolution and pooling, which are what ``nnx.Conv`` and ``nnx.max_pool`` call."""
    for i in range(3):
        x = jax.lax.conv_general_dilated(
            x, w[f"convolutions/{i}/kernel"], (1, 1), "VALID", dimension_numbers=CHANNELS_LAST
        )
        x = jax.nn.relu(x + w[f"convolutions/{i}/bias"])
        if i < 2:
            window = (1, 2, 2, 1)
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ w["dense/0/kernel"] + w["dense/0/bias"])
    return x @ w["dense/1/kernel"] + w["dense/1/bias"]


CHANNELS_LAST = ("NHWC", "HWIO", "NHWC")


def transformer(w, x):
    """Pre-norm blocks with causal attention."""

    def linear(name, x, formula="btd,de->bte"):
        return jnp.einsum(formula, x, w[f"{name}/kernel"]) + w[f"{name}/bias"]

    def norm(name, x):
        mean = x.mean(-1, keepdims=True)
        scaled = (x - mean) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
        return scaled * w[f"{name}/scale"] + w[f"{name}/bias"]

    x = w["characters/embedding"][x] + w["places/embedding"]
    for i in range(BLOCKS):
        y = norm(f"blocks/{i}/norm1", x)
        of = [f"blocks/{i}/attention/{name}" for name in ("query", "key", "value", "out")]
        q, k, v = (linear(name, y, "btd,dhe->bthe") for name in of[:3])
        scores = jnp.einsum("bqhe,bkhe->bhqk", q, k) * (q.shape[-1] ** -0.5)
        seen = jnp.tril(jnp.ones((CONTEXT, CONTEXT), bool))
        y = jnp.einsum("bhqk,bkhe->bqhe", jax.nn.softmax(jnp.where(seen, scores, -1e30)), v)
        x = x + linear(of[3], y, "bthe,hed->btd")
        y = jax.nn.relu(linear(f"blocks/{i}/up", norm(f"blocks/{i}/norm2", x)))
        x = x + linear(f"blocks/{i}/down", y)
    return linear("head", norm("norm", x))


def loss_of(workload):
    """The mean loss as a function of weights, inputs and targets."""
    network = {"mlp": mlp, "cnn": cnn, "transformer": transformer}[workload.network]

    def loss(w, x, y):
        outputs = network(w, x)
        if workload.outputs == 1:
            return optax.sigmoid_binary_cross_entropy(outputs[:, 0], y).mean()
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()

    return loss
