"""What is compared: recipe x framework x arguments, in their names and in ours.

Each cell is trained with a constant and a scheduled rate η_0 / (1 + s/2), and with given gradients
("open", each coordinate on a scale of its own) and those at the present parameters ("closed").
"""

from typing import NamedTuple

import numpy as np

STEPS = 30
SCALES = np.array([1.0, 1e-2, 1e-4, 1e-6, 1e-8, 0.0])
START = {
    "open": np.array([0.5, -1.0, 2.0, 1.5, -2.0, 1.0]) * np.where(SCALES == 0, 1, SCALES),
    "closed": np.array([0.5, -1.0, 2.0, 1.5, -2.0, 1.0]),
}
STREAM = np.random.default_rng(0).normal(size=(STEPS, 6)) * SCALES
RATES = ("constant", "scheduled")
LOOPS = ("open", "closed")
# an adaptive method at the exact minimum divides 0 by 0 and is chaotic; as in training, keep moving
NOISE = np.random.default_rng(1).normal(size=(220, 6))
SLOWING = 0.5  # η_d of the scheduled rate


def gradient(w):
    """Of ½ Σ a (w - c)² + 0.0125 Σ w⁴, by NumPy or JAX."""
    a, c = np.linspace(0.1, 3.0, 6), np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.0])
    a, c = a.astype(w.dtype), c.astype(w.dtype)
    return a * (w - c) + np.asarray(0.05, w.dtype) * w * w * w


def split(w):
    """Six numbers as two parameters: (..., 6) -> (..., 2, 2) and (..., 2)."""
    return {"w": w[..., :4].reshape(*w.shape[:-1], 2, 2), "b": w[..., 4:]}


class Cell(NamedTuple):
    like: str  # the framework
    recipe: str  # our name
    variant: str
    cls: str  # the framework's class
    theirs: dict  # its arguments
    ours: dict  # ours

    @property
    def name(self):
        return f"{self.like}.{self.recipe}.{self.variant}"


GIVEN = {"learning_rate": 0.02, "b1": 0.8, "b2": 0.95, "eps": 1e-3}
DECAY = {**GIVEN, "weight_decay": 0.1}
DECOUPLED = {**DECAY, "decoupled_weight_decay": True}
RMSPROP = {
    "defaults": {},
    "given": {"learning_rate": 0.02, "decay": 0.8, "eps": 1e-3},
    "momentum": {"momentum": 0.9},
    "centered": {"centered": True},
    "centered_momentum": {"centered": True, "momentum": 0.8, "eps": 1e-3},
    "decay": {"momentum": 0.8, "weight_decay": 0.1},
}
MOMENTUM = {"defaults": {}, "given": {"learning_rate": 0.02, "momentum": 0.7}}
PLAIN = {"defaults": {}, "given": GIVEN, "decay": DECAY}
CLIPPED = {
    "clipnorm": {"clipnorm": 0.5},
    "clipvalue": {"clipvalue": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.7},
}
ADAGRAD = {"learning_rate": 0.05, "initial_accumulator_value": 0.02, "eps": 1e-3}
ADAFACTOR = {
    "defaults": {},
    "given": {"learning_rate": 0.3, "decay_rate": 0.6, "eps2": 0.1, "clipping_threshold": 2.0},
    "decay": {"learning_rate": 0.05, "weight_decay": 0.3},
}
HEAVY, AHEAD = {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}

# recipe, the framework's class, arguments that make it the recipe, variants in our names
KERAS = [
    (
        "sgd",
        "SGD",
        {},
        {
            "defaults": {},
            "given": {"learning_rate": 0.02},
            "decay": {"learning_rate": 0.02, "weight_decay": 0.1},
            "decay_momentum": {"learning_rate": 0.02, "momentum": 0.8, "weight_decay": 0.1},
            "decay_nesterov": {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
            **CLIPPED,
        },
    ),
    ("momentum", "SGD", HEAVY, MOMENTUM),
    ("nesterov", "SGD", AHEAD, MOMENTUM),
    (
        "adagrad",
        "Adagrad",
        {},
        {
            "defaults": {},
            "given": ADAGRAD,
            "decay": {"learning_rate": 0.05, "weight_decay": 0.1},
        },
    ),
    ("rmsprop", "RMSprop", {}, RMSPROP),
    (
        "adadelta",
        "Adadelta",
        {},
        {
            "defaults": {},
            "given": {"learning_rate": 1.0, "rho": 0.8, "eps": 1e-3},
            "decay": {"learning_rate": 1.0, "weight_decay": 0.01},
        },
    ),
    ("adam", "Adam", {}, PLAIN | CLIPPED),
    ("adamw", "AdamW", {}, {"defaults": {}, "given": DECAY, "amsgrad": {**DECAY, "amsgrad": True}}),
    ("adamax", "Adamax", {}, PLAIN),
    ("amsgrad", "Adam", {"amsgrad": True}, PLAIN),
    ("nadam", "Nadam", {}, PLAIN),
    (
        "schedule_free_adamw",
        "ScheduleFreeAdamW",
        {},
        {
            **PLAIN,
            "warmup": {**DECAY, "warmup_steps": 7},
            "clipvalue": {"learning_rate": 0.02, "clipvalue": 0.3},
        },
    ),
    (
        "lion",
        "Lion",
        {},
        {
            "defaults": {},
            "given": {"learning_rate": 0.003, "b1": 0.8, "b2": 0.95},
            "decay": {"learning_rate": 0.003, "weight_decay": 0.1},
        },
    ),
    (
        "muon",
        "Muon",
        {},
        {
            "defaults": {},
            "given": {
                "learning_rate": 0.02,
                "beta": 0.8,
                "eps": 1e-3,
                "weight_decay": 0.3,
                "nesterov": False,
                "ns_steps": 3,
                "adam_b1": 0.8,
                "adam_b2": 0.95,
                "adam_weight_decay": 0.2,
                "adam_lr_ratio": 0.5,
            },
            "no_rms": {"consistent_rms": None, "clipnorm": 0.5},
            "rounded": {},
        },
    ),
    ("nadamw", "Nadam", {}, {"defaults": {}, "decay": DECAY}),
    ("lamb", "Lamb", {}, PLAIN | {"clipnorm": {"clipnorm": 0.5, "weight_decay": 0.2}}),
    ("adafactor", "Adafactor", {}, {**ADAFACTOR, "clipnorm": {"clipnorm": 0.5}, "rounded": {}}),
]
TORCH = [
    (
        "sgd",
        "SGD",
        {},
        {
            "defaults": {},
            "given": {"learning_rate": 0.02},
            "dampening": {"learning_rate": 0.02, "momentum": 0.9, "dampening": 0.9},
            "decay": {"learning_rate": 0.02, "weight_decay": 0.1},
            "decay_momentum": {"learning_rate": 0.02, "momentum": 0.8, "weight_decay": 0.1},
            "maximize": {"learning_rate": 1e-4, "weight_decay": 0.1, "maximize": True},
        },
    ),
    ("momentum", "SGD", HEAVY, MOMENTUM),
    ("nesterov", "SGD", AHEAD, MOMENTUM),
    (
        "adagrad",
        "Adagrad",
        {},
        {
            "defaults": {},
            "given": ADAGRAD,
            "decay": {"learning_rate": 0.05, "learning_rate_decay": 0.1, "weight_decay": 0.1},
        },
    ),
    ("rmsprop", "RMSprop", {}, RMSPROP),
    (
        "adadelta",
        "Adadelta",
        {},
        {
            "defaults": {},
            "given": {"learning_rate": 0.5, "rho": 0.8, "eps": 1e-3},
            "decay": {"learning_rate": 0.5, "weight_decay": 0.1},
        },
    ),
    (
        "adam",
        "Adam",
        {},
        {**PLAIN, "decoupled": DECOUPLED, "maximize": {"maximize": True}},
    ),
    ("adamw", "AdamW", {}, {"defaults": {}, "given": DECAY, "amsgrad": {**DECAY, "amsgrad": True}}),
    ("adamax", "Adamax", {}, PLAIN),
    ("amsgrad", "Adam", {"amsgrad": True}, {**PLAIN, "decoupled": DECOUPLED}),
    (
        "nadam",
        "NAdam",
        {},
        {**PLAIN, "decoupled": DECOUPLED, "psi": {**GIVEN, "momentum_decay": 0.1}},
    ),
    ("radam", "RAdam", {}, {**PLAIN, "decoupled": DECOUPLED}),
    (
        "muon",
        "Muon",
        {},
        {
            "defaults": {"ns_dtype": None},
            "given": {
                "learning_rate": 0.02,
                "beta": 0.8,
                "weight_decay": 0.3,
                "nesterov": False,
                "ns_steps": 3,
                "adam_weight_decay": 0.2,
                "ns_dtype": None,
            },
            "rms": {"learning_rate": 0.02, "consistent_rms": 0.2, "eps": 1e-3, "ns_dtype": None},
            "rounded": {},
        },
    ),
    (
        "nadamw",
        "NAdam",
        {"decoupled_weight_decay": True},
        {"defaults": {}, "decay": {**DECAY, "momentum_decay": 0.1}},
    ),
    (
        "adafactor",
        "Adafactor",
        {},
        {**ADAFACTOR, "maximize": {"learning_rate": 1e-4, "maximize": True, "eps": 1e-4}},
    ),
]
NAMES = {
    "keras": {"b1": "beta_1", "b2": "beta_2", "eps": "epsilon", "decay": "rho"}
    | {"beta": "momentum", "consistent_rms": "rms_rate"}
    | {"adam_b1": "adam_beta_1", "adam_b2": "adam_beta_2"}
    | {"decay_rate": "beta_2_decay", "eps2": "epsilon_2", "clipping_threshold": "clip_threshold"},
    "torch": {
        "learning_rate": "lr",
        "learning_rate_decay": "lr_decay",
        "b1": "betas",
        "b2": "betas",
        "decay": "alpha",
        "beta": "momentum",
        "decay_rate": "beta2_decay",
        "clipping_threshold": "d",
    },
}


def _cells(like, table):
    names = NAMES[like]
    for recipe, cls, fixed, variants in table:
        for variant, ours in variants.items():
            theirs = dict(fixed)
            for name, value in ours.items():
                both = (ours.get("b1"), ours.get("b2"))
                theirs[names.get(name, name)] = both if names.get(name) == "betas" else value
                if name == "decay_rate":
                    theirs[names[name]] = -value
            if cls == "Adafactor" and like == "torch":
                pair = theirs.pop("eps", None), theirs.pop("eps2", 1e-3)
                theirs["eps"] = pair
            yield Cell(like, recipe, variant, cls, theirs, ours)


CELLS = [*_cells("keras", KERAS), *_cells("torch", TORCH)]
