"""The cases of robustness_cases.py in PyTorch and Keras, written to golden/robustness.json.

``pip install 'jaxopt-course[parity]'``, then ``python tests/robustness_frameworks.py``.
"""

import json
import math
import os
import warnings
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch

GOLDEN = Path(__file__).parent / "golden" / "robustness.json"
RATE = 0.1
TORCH = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def plain(x):
    return x.detach().to(torch.float64).tolist()


def differences(path):
    path = np.asarray(path, np.float64)
    with np.errstate(invalid="ignore"):
        return np.diff(path, axis=0, prepend=np.zeros_like(path[:1])).tolist()


def complaint(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}{', names the leaf' if 'kernel' in str(error) else ''}"


# --- PyTorch ---


def torch_moves(make, gradients, dtype="float32"):
    gradients = torch.tensor(gradients, dtype=TORCH[dtype])
    theta = torch.nn.Parameter(torch.zeros(gradients.shape[1:], dtype=TORCH[dtype]))
    optimizer, path = make([theta]), []
    for g in gradients:
        theta.grad = g.clone()
        optimizer.step()
        path.append(plain(theta))
    return differences(path)


def torch_adam(**kwargs):
    return lambda params: torch.optim.Adam(params, lr=RATE, **kwargs)


def torch_stagnation():
    theta = torch.nn.Parameter(torch.zeros(1, dtype=torch.bfloat16))
    optimizer = torch.optim.Adam([theta])
    for _ in range(5000):
        theta.grad = torch.ones(1, dtype=torch.bfloat16)
        optimizer.step()
    return float(optimizer.state[theta]["exp_avg_sq"][0])


def torch_precision():
    """From the difference of the parameters, which are put back to 0 before each step."""
    theta = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.Adam([theta], lr=1.0, betas=(0.9, 0.99999))
    worst = 0.0
    for _ in range(500):
        theta.grad = torch.tensor(0.3)
        with torch.no_grad():
            theta.zero_()
        optimizer.step()
        worst = max(worst, abs(-float(theta.detach()) * (1 + 1e-8 / 0.3) - 1))
    return worst


def torch_centered():
    g = torch.tensor(np.random.default_rng(0).uniform(0.1, 1000.0, size=600), dtype=torch.float32)
    theta = torch.nn.Parameter(torch.zeros(600))
    optimizer = torch.optim.RMSprop([theta], lr=1e-3, alpha=0.9, centered=True)
    for _ in range(1000):
        theta.grad = g.clone()
        optimizer.step()
    return float((~torch.isfinite(theta.detach())).float().mean())


def torch_shape():
    theta = torch.nn.Parameter(torch.zeros(3, 2))
    theta.grad = torch.ones(2)
    torch.optim.Adam([("kernel", theta)], lr=RATE).step()
    return f"broadcasts to {tuple(theta.shape)}"


def torch_missing():
    bias, kernel = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(3, 2))
    bias.grad = torch.ones(2)
    torch.optim.Adam([("bias", bias), ("kernel", kernel)], lr=RATE).step()
    return "skipped silently"


def torch_integers():
    theta = torch.tensor([3, 4])
    optimizer = torch.optim.SGD([("kernel", theta)], lr=RATE)
    for _ in range(2):
        theta.grad = torch.tensor([1, 1])
        optimizer.step()
    return f"[3, 4] becomes {theta.tolist()}"


def torch_clipped(g, dtype):
    theta = torch.nn.Parameter(torch.zeros(len(g), dtype=TORCH[dtype]))
    theta.grad = torch.tensor(g, dtype=TORCH[dtype])
    torch.nn.utils.clip_grad_norm_([theta], 1.0)
    return plain(theta.grad)


def torch_many_leaves():
    leaves = [torch.nn.Parameter(torch.zeros((), dtype=torch.bfloat16)) for _ in range(500)]
    for leaf in leaves:
        leaf.grad = torch.ones((), dtype=torch.bfloat16)
    torch.nn.utils.clip_grad_norm_(leaves, 1.0)
    return math.sqrt(sum(float(leaf.grad) ** 2 for leaf in leaves))


# --- Keras ---


def keras_moves(optimizer, gradients, dtype="float32"):
    keras.config.set_floatx(dtype)
    gradients = torch.tensor(gradients, dtype=TORCH[dtype])
    theta = keras.Variable(torch.zeros(gradients.shape[1:]), dtype=dtype, name="kernel")
    optimizer.build([theta])
    path = []
    for g in gradients:
        optimizer.apply([g], [theta])
        path.append(plain(theta.value))
    keras.config.set_floatx("float32")
    return differences(path)


def keras_adam(**kwargs):
    return keras.optimizers.Adam(RATE, **kwargs)


def keras_stagnation():
    keras.config.set_floatx("bfloat16")
    theta = keras.Variable(torch.zeros(1), dtype="bfloat16")
    optimizer = keras.optimizers.Adam()
    optimizer.build([theta])
    for _ in range(5000):
        optimizer.apply([torch.ones(1, dtype=torch.bfloat16)], [theta])
    keras.config.set_floatx("float32")
    return float(optimizer._velocities[0].value[0])


def keras_precision():
    """ε is negligible at this gradient in both places where it may stand."""
    theta = keras.Variable(torch.zeros(()))
    optimizer = keras.optimizers.Adam(1.0, beta_2=0.99999, epsilon=1e-30)
    optimizer.build([theta])
    worst = 0.0
    for _ in range(500):
        theta.assign(torch.zeros(()))
        optimizer.apply([torch.tensor(0.3)], [theta])
        worst = max(worst, abs(-float(theta.value.detach()) - 1))
    return worst


def keras_centered():
    g = torch.tensor(np.random.default_rng(0).uniform(0.1, 1000.0, size=600), dtype=torch.float32)
    theta = keras.Variable(torch.zeros(600))
    optimizer = keras.optimizers.RMSprop(1e-3, rho=0.9, centered=True)
    optimizer.build([theta])
    for _ in range(1000):
        optimizer.apply([g], [theta])
    return float((~torch.isfinite(theta.value.detach())).float().mean())


def keras_step(values, gradients, optimizer, dtype=None):
    variables = [
        keras.Variable(value, dtype=dtype, name=name)
        for name, value in zip(("kernel", "bias"), values, strict=False)
    ]
    optimizer.build(variables)
    optimizer.apply(gradients, variables)
    return variables


def keras_shape():
    theta = keras_step([torch.zeros(3, 2)], [torch.ones(2)], keras_adam())[0]
    return f"broadcasts to {tuple(theta.shape)}"


def keras_missing():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        keras_step([torch.zeros(3, 2), torch.zeros(2)], [None, torch.ones(2)], keras_adam())
    named = any("kernel" in str(w.message) for w in said)
    return "skipped" + (", a warning names the leaf" if named else " silently")


def keras_integers():
    sgd = keras.optimizers.SGD(RATE)
    theta = keras_step([torch.tensor([3, 4])], [torch.tensor([1, 1])], sgd, "int32")[0]
    sgd.apply([torch.tensor([1, 1])], [theta])
    return f"[3, 4] becomes {theta.value.tolist()}"


def keras_clipped(g, dtype):
    g = torch.tensor(g, dtype=TORCH[dtype])
    return plain(keras.optimizers.SGD(global_clipnorm=1.0)._clip_gradients([g])[0])


def keras_many_leaves():
    leaves = [torch.ones((), dtype=torch.bfloat16) for _ in range(500)]
    clipped = keras.optimizers.SGD(global_clipnorm=1.0)._clip_gradients(leaves)
    return math.sqrt(sum(float(leaf) ** 2 for leaf in clipped))


TORCH_RECIPES = [
    "SGD",
    "Adagrad",
    "RMSprop",
    "Adadelta",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "RAdam",
]
KERAS_RECIPES = [
    "SGD",
    "Adagrad",
    "RMSprop",
    "Adadelta",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "Lion",
]
SMALL = [[1e-4, 0.0]]


def torch_half(name):
    make = lambda params: getattr(torch.optim, name)(params, lr=RATE)
    return bool(np.isfinite(torch_moves(make, SMALL, "float16")).all())


def keras_half(name):
    optimizer = getattr(keras.optimizers, name)(learning_rate=RATE)
    return bool(np.isfinite(keras_moves(optimizer, SMALL, "float16")).all())


SPIKE = [[1e30]] + [[1.0]] * 50
MEASURES = {
    "torch": {
        "bf16 memory": torch_stagnation,
        "bf16 adam": lambda: torch_moves(torch_adam(), [[1.0]], "bfloat16")[0][0],
        "f16 recipes": lambda: [name for name in TORCH_RECIPES if not torch_half(name)],
        "f16 small": lambda: torch_moves(torch_adam(), [[1e-4, 0.0]], "float16")[0],
        "f16 large": lambda: torch_moves(torch_adam(), [[300.0]], "float16")[0][0],
        "1e30": lambda: [torch_moves(torch_adam(), SPIKE)[-1][0], ""],
        "precision": torch_precision,
        "centered": torch_centered,
        "eps 0": lambda: torch_moves(torch_adam(eps=0.0), [[0.0]])[0][0],
        "nan": lambda: torch_moves(torch_adam(), [[math.nan, 1.0], [1.0, 1.0]])[1],
        "inf": lambda: torch_moves(torch_adam(), [[math.inf, 1.0], [1.0, 1.0]])[1],
        "shape": lambda: complaint(torch_shape),
        "missing": lambda: complaint(torch_missing),
        "integers": lambda: complaint(torch_integers),
        "norm f16": lambda: torch_clipped([300.0, 300.0], "float16"),
        "norm bf16": torch_many_leaves,
        "norm 1e30": lambda: torch_clipped([1e30, 1e30], "float32"),
        "adadelta": lambda: torch_moves(torch.optim.Adadelta, [[1.0]])[0][0],
    },
    "keras": {
        "bf16 memory": keras_stagnation,
        "bf16 adam": lambda: keras_moves(keras_adam(), [[1.0]], "bfloat16")[0][0],
        "f16 recipes": lambda: [name for name in KERAS_RECIPES if not keras_half(name)],
        "f16 small": lambda: keras_moves(keras_adam(), [[1e-4, 0.0]], "float16")[0],
        "f16 large": lambda: keras_moves(keras_adam(), [[300.0]], "float16")[0][0],
        "1e30": lambda: [keras_moves(keras_adam(), SPIKE)[-1][0], ""],
        "precision": keras_precision,
        "centered": keras_centered,
        "eps 0": lambda: keras_moves(keras_adam(epsilon=0.0), [[0.0]])[0][0],
        "nan": lambda: keras_moves(keras_adam(), [[math.nan, 1.0], [1.0, 1.0]])[1],
        "inf": lambda: keras_moves(keras_adam(), [[math.inf, 1.0], [1.0, 1.0]])[1],
        "shape": lambda: complaint(keras_shape),
        "missing": lambda: complaint(keras_missing),
        "integers": lambda: complaint(keras_integers),
        "norm f16": lambda: keras_clipped([300.0, 300.0], "float16"),
        "norm bf16": keras_many_leaves,
        "norm 1e30": lambda: keras_clipped([1e30, 1e30], "float32"),
        "adadelta": lambda: keras_moves(keras.optimizers.Adadelta(), [[1.0]])[0][0],
    },
}


def measure():
    """Versions and measurements of both frameworks."""
    versions = {"torch": torch.__version__.split("+")[0], "keras": keras.__version__}
    return {
        name: {"version": versions[name], **{case: call() for case, call in calls.items()}}
        for name, calls in MEASURES.items()
    }


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    print(GOLDEN)
