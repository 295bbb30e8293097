"""The real frameworks, run on the cells of ``cells.py`` (needs ``pip install '.[parity]'``)."""

import inspect
import os

import numpy as np
from golden.cells import SLOWING, START, STEPS, STREAM, gradient

PORT_STEPS = 200  # after the state was taken over
SNAPSHOT = 10  # one of so many is stored


def start(cell, rate="constant", loop="closed", dtype="float64"):
    """A :class:`Keras` or :class:`Torch` run of a cell, before its first step."""
    kind = {"keras": Keras, "torch": Torch}[cell.like]
    return kind(cell, rate, START[loop], dtype)


def run(cell, rate, loop, dtype):
    """The parameters after each step, (30, 6), and η_0."""
    trainer = start(cell, rate, loop, dtype)
    path = []
    for t in range(STEPS):
        trainer.step(STREAM[t] if loop == "open" else None)
        path.append(trainer.w)
    return np.array(path), trainer.rate


class Torch:
    def __init__(self, cell, rate, w, dtype):
        import torch

        torch.set_num_threads(1)
        self.dtype = getattr(torch, dtype)
        torch.set_default_dtype(self.dtype)  # NAdam keeps mu_product in the default dtype
        self.torch = torch
        self.params = [
            torch.tensor(x, dtype=self.dtype, requires_grad=True)
            for x in (w[:4].reshape(2, 2), w[4:])
        ]
        self.opt = getattr(torch.optim, cell.cls)(self.params, **cell.theirs)
        self.rate = float(self.opt.defaults["lr"])
        self.slow = None
        if rate == "scheduled":
            self.slow = torch.optim.lr_scheduler.LambdaLR(self.opt, lambda s: 1 / (1 + SLOWING * s))

    @property
    def w(self):
        return np.concatenate([p.detach().numpy().ravel() for p in self.params])

    def step(self, g=None):
        w = self.w
        g = gradient(w) if g is None else g.astype(w.dtype)
        for p, x in zip(self.params, (g[:4].reshape(2, 2), g[4:]), strict=True):
            p.grad = self.torch.tensor(x, dtype=self.dtype)
        self.opt.step()
        if self.slow is not None:
            self.slow.step()

    def state(self):
        return self.opt.state_dict()


class Keras:
    def __init__(self, cell, rate, w, dtype):
        os.environ.setdefault("KERAS_BACKEND", "jax")
        import jax

        jax.config.update("jax_enable_x64", True)
        import keras

        keras.config.set_floatx(dtype)
        self.keras, self.dtype = keras, dtype
        self.params = [
            keras.Variable(x.astype(dtype), dtype=dtype, name=name)
            for x, name in ((w[:4].reshape(2, 2), "w"), (w[4:], "b"))
        ]
        kind = getattr(keras.optimizers, cell.cls)
        theirs = dict(cell.theirs)
        default = inspect.signature(kind).parameters["learning_rate"].default
        self.rate = theirs.get("learning_rate", default)
        if rate == "scheduled":
            theirs["learning_rate"] = keras.optimizers.schedules.InverseTimeDecay(
                self.rate, 1, SLOWING
            )
        elif rate != "constant":
            theirs["learning_rate"] = rate(keras.optimizers.schedules)
        self.opt = kind(**theirs)
        self.opt.build(self.params)

    @property
    def w(self):
        return np.concatenate([np.asarray(p.value).ravel() for p in self.params])

    def step(self, g=None):
        w = self.w
        g = gradient(w) if g is None else g.astype(w.dtype)
        grads = [
            self.keras.ops.convert_to_tensor(x, dtype=self.dtype)
            for x in (g[:4].reshape(2, 2), g[4:])
        ]
        self.opt.apply(grads, self.params)

    def state(self):
        return self.opt.get_config(), [(v.path, np.asarray(v.value)) for v in self.opt.variables]
