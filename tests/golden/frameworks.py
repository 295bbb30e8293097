"""The real frameworks, run on the cells of ``cells.py`` (needs ``pip install '.[parity]'``)."""

import contextlib
import inspect
import os
from unittest import mock

import numpy as np
from golden.cells import NOISE, SLOWING, START, STEPS, STREAM, gradient

TAKEN_OVER = 20  # steps before the state is taken over
GO_ON = (1, 2, 50, 100, 200)  # steps after it at which the parameters are stored
KERAS_SCHEDULES = {
    "inverse_time": lambda s: s.InverseTimeDecay(0.05, 10, 0.5),
    "inverse_time_stairs": lambda s: s.InverseTimeDecay(0.05, 10, 0.5, staircase=True),
    "exponential": lambda s: s.ExponentialDecay(0.05, 50, 0.5),
    "exponential_stairs": lambda s: s.ExponentialDecay(0.05, 15, 0.7, staircase=True),
    "cosine": lambda s: s.CosineDecay(0.05, 100, alpha=0.1),
    "cosine_warmup": lambda s: s.CosineDecay(
        0.001, 100, alpha=0.1, warmup_target=0.05, warmup_steps=40
    ),
    "piecewise": lambda s: s.PiecewiseConstantDecay([5, 21, 60], [0.05, 0.03, 0.02, 0.001]),
    "polynomial": lambda s: s.PolynomialDecay(0.05, 150, 0.001, power=2.0),
}


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
        self.cell, self.dtype = cell, getattr(torch, dtype)
        torch.set_default_dtype(self.dtype)  # NAdam keeps mu_product in the default dtype
        self.torch = torch
        # torch's Muon reads a matrix as (outputs, inputs), the transpose of a kernel
        self.turned = cell.cls == "Muon"
        self.params = [torch.tensor(x, dtype=self.dtype, requires_grad=True) for x in self.parts(w)]
        if self.turned:  # and refuses vectors
            own = {k: x for k, x in cell.theirs.items() if not k.startswith("adam_")}
            own.pop("ns_dtype", None)
            if own.pop("consistent_rms", None):
                own["adjust_lr_fn"] = "match_rms_adamw"
            rest = {k[5:]: x for k, x in cell.theirs.items() if k.startswith("adam_")}
            self.opts = [torch.optim.Muon(self.params[:1], **own)]
            self.opts += [torch.optim.AdamW(self.params[1:], **{**rest, "lr": own.get("lr", 1e-3)})]
        else:
            self.opts = [getattr(torch.optim, cell.cls)(self.params, **cell.theirs)]
        self.opt = self.opts[0]
        self.rate = float(self.opt.defaults["lr"])
        self.slow = []
        if rate == "scheduled":
            slowing = lambda s: 1 / (1 + SLOWING * s)
            self.slow = [torch.optim.lr_scheduler.LambdaLR(opt, slowing) for opt in self.opts]

    def rounding(self):
        """torch's own rounding inside Muon to bfloat16, or its own code without it."""
        if not self.turned or self.cell.variant == "rounded":
            return contextlib.nullcontext()
        return mock.patch.object(self.torch.Tensor, "bfloat16", self.torch.Tensor.clone)

    def parts(self, w):
        """Six numbers as torch holds them."""
        matrix = w[:4].reshape(2, 2)
        return matrix.T if self.turned else matrix, w[4:]

    @property
    def w(self):
        matrix, vector = (p.detach().numpy() for p in self.params)
        return np.concatenate([(matrix.T if self.turned else matrix).ravel(), vector])

    def step(self, g=None):
        w = self.w
        g = gradient(w) if g is None else g.astype(w.dtype)
        for p, x in zip(self.params, self.parts(g), strict=True):
            p.grad = self.torch.tensor(x, dtype=self.dtype)
        with self.rounding():
            for each in (*self.opts, *self.slow):
                each.step()

    def state(self):
        dicts = [opt.state_dict() for opt in self.opts]
        return dicts if self.turned else dicts[0]  # Muon's, and of the AdamW beside it


class Keras:
    def __init__(self, cell, rate, w, dtype):
        os.environ.setdefault("KERAS_BACKEND", "jax")
        import jax

        jax.config.update("jax_enable_x64", True)
        import keras

        keras.config.set_floatx(dtype)
        self.keras, self.cell, self.dtype = keras, cell, dtype
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
        with self.rounding():
            self.opt.apply(grads, self.params)

    def rounding(self):
        """Keras's own float32 of norms and means, or its own code without it."""
        if self.cell.cls not in ("Muon", "Adafactor") or self.cell.variant == "rounded":
            return contextlib.nullcontext()
        from jax import numpy as jnp

        tensor, ops = self.keras.ops.convert_to_tensor, "keras.src.ops."
        unrounded = contextlib.ExitStack()
        for name, made in (("norm", jnp.linalg.norm), ("mean", jnp.mean)):
            wide = lambda x, made=made, **axes: made(tensor(x), **axes)
            unrounded.enter_context(mock.patch(ops + name, wide))
        return unrounded

    def state(self):
        return self.opt.get_config(), [(v.path, np.asarray(v.value)) for v in self.opt.variables]


def plain(x):
    """Tensors and arrays as lists, for JSON, where each float64 keeps its digits."""
    if isinstance(x, dict):
        return {str(key): plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [plain(value) for value in x]
    if hasattr(x, "tolist"):
        return x.tolist()
    return x


def ports(known=None):
    """In the middle of a training: the optimizer's state and the parameters, then and later.

    Those that are ``known`` are kept.
    """
    from golden.cells import CELLS

    known, found = known or {}, {}
    ported = [cell for cell in CELLS if "clip" not in cell.name]
    trainers = {cell.name: start(cell) for cell in ported}
    cell = next(c for c in CELLS if c.name == "keras.sgd.decay_momentum")
    for name, schedule in KERAS_SCHEDULES.items():
        trainers[f"keras.schedule.{name}"] = start(cell, schedule)
    for name, trainer in trainers.items():
        if name in known:
            found[name] = known[name]
            continue
        for t in range(TAKEN_OVER):
            trainer.step(gradient(trainer.w) + NOISE[t])
        found[name] = {
            "cls": type(trainer.opt).__name__,
            "state": plain(trainer.state()),
            "params": plain(trainer.w),
            "later": [],
        }
        for t in range(1, max(GO_ON) + 1):
            trainer.step(gradient(trainer.w) + NOISE[TAKEN_OVER + t - 1])
            if t in GO_ON:
                found[name]["later"].append(plain(trainer.w))
    return found
