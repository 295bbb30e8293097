"""The networks in PyTorch, as functions of a flat dictionary of tensors; also for torch.func."""

import numpy as np
import torch
from torch.nn import functional

from experiments.benchmarks.side_by_side.workloads import BLOCKS, HEADS


def mlp(w, x):
    """Dense layers with ReLU."""
    depth = len(w) // 2
    for i in range(depth):
        x = functional.linear(x, w[f"layers/{i}/kernel"], w[f"layers/{i}/bias"])
        x = functional.relu(x) if i < depth - 1 else x
    return x


def cnn(w, x):
    """The notes' three convolutions and two dense layers."""
    for i in range(3):
        name = f"convolutions/{i}"
        x = functional.relu(functional.conv2d(x, w[f"{name}/kernel"], w[f"{name}/bias"]))
        x = functional.max_pool2d(x, 2) if i < 2 else x
    x = functional.linear(x.flatten(1), w["dense/0/kernel"], w["dense/0/bias"])
    return functional.linear(functional.relu(x), w["dense/1/kernel"], w["dense/1/bias"])


def transformer(w, x):
    """Pre-norm blocks with PyTorch's own causal attention."""

    def linear(name, x):
        return functional.linear(x, w[f"{name}/kernel"], w[f"{name}/bias"])

    def norm(name, x):
        return functional.layer_norm(x, x.shape[-1:], w[f"{name}/scale"], w[f"{name}/bias"])

    x = functional.embedding(x, w["characters/embedding"]) + w["places/embedding"]
    for i in range(BLOCKS):
        y = norm(f"blocks/{i}/norm1", x)
        of = [f"blocks/{i}/attention/{name}" for name in ("query", "key", "value", "out")]
        q, k, v = (linear(name, y).unflatten(-1, (HEADS, -1)).transpose(-3, -2) for name in of[:3])
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + linear(of[3], y.transpose(-3, -2).flatten(-2))
        y = functional.relu(linear(f"blocks/{i}/up", norm(f"blocks/{i}/norm2", x)))
        x = x + linear(f"blocks/{i}/down", y)
    return linear("head", norm("norm", x))


def loss_of(workload):
    """The mean loss as a function of weights, inputs and targets."""
    network = {"mlp": mlp, "cnn": cnn, "transformer": transformer}[workload.network]

    def loss(w, x, y):
        outputs = network(w, x)
        if workload.outputs == 1:
            return functional.binary_cross_entropy_with_logits(outputs[:, 0], y)
        return functional.cross_entropy(outputs.flatten(0, -2), y.flatten())

    return loss


def tensors(case):
    """Weights (SEEDS, ...) laid out as PyTorch has them, inputs, targets, order."""
    weights = {}
    for path, leaf in case.weights.items():
        if "attention" in path and not path.endswith(("out/kernel", "out/bias")):
            leaf = leaf.reshape(*leaf.shape[: 1 + path.endswith("kernel")], -1)
        if path.endswith("out/kernel"):
            leaf = leaf.reshape(len(leaf), -1, leaf.shape[-1])
        if case.workload.network == "cnn" and path == "dense/0/kernel":  # channels come first
            channels = case.weights["convolutions/2/bias"].shape[1]
            side = round((leaf.shape[1] / channels) ** 0.5)
            leaf = leaf.reshape(len(leaf), side, side, channels, -1)
            leaf = leaf.transpose(0, 3, 1, 2, 4).reshape(len(leaf), side * side * channels, -1)
        if path.endswith("kernel"):
            leaf = leaf.transpose(0, 4, 3, 1, 2) if leaf.ndim == 5 else leaf.transpose(0, 2, 1)
        weights[path] = torch.from_numpy(np.ascontiguousarray(leaf))
    x, y = torch.from_numpy(case.inputs), torch.from_numpy(case.targets)
    x = x.permute(0, 3, 1, 2).contiguous() if case.workload.network == "cnn" else x
    y = y.float() if case.workload.outputs == 1 else y.long()
    return weights, x, y, torch.from_numpy(case.order.astype(np.int64))
