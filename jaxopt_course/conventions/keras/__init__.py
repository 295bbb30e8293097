"""Keras 3.15's optimizers: its update rules and its defaults, under our argument names.

How its rules differ from optax's (measured):

    learning rate    inside the momentum buffer of SGD and RMSprop: the buffer holds steps
    ε of Adam        "hat": η √(1-β2^t)/(1-β1^t) m / (√v + ε), so 32 ε in the paper's place at t = 1
    ε of RMSprop     in the root; of Adamax added to the maximum where it is used
    AMSGrad          maximum of the uncorrected v
    Nadam            μ_t = β1 (1 - ½ 0.96^t), without the paper's 1/250 in the exponent
    weight_decay     decoupled, of the old θ, times the rate, for every optimizer: Adam with it is
                     AdamW, and it never enters a momentum buffer
    clipping         of the gradient, before all else; ``clipnorm`` is for each variable apart

Surprises: ``SGD(1)`` raises in Keras (rates must be floats); ``Adam(weight_decay=λ)`` is AdamW;
below float32 Adam does not move at all there (its powers of β2 round to 1), here it does.
"""

from collections.abc import Callable

from jaxopt_course.conventions.keras.adams import adam, adamax, adamw, amsgrad, nadam, nadamw
from jaxopt_course.conventions.keras.by_leaf import adafactor, lamb
from jaxopt_course.conventions.keras.momentums import lion, momentum, nesterov, sgd
from jaxopt_course.conventions.keras.muon import muon
from jaxopt_course.conventions.keras.schedule_free import schedule_free_adamw
from jaxopt_course.conventions.keras.second_moments import adadelta, adagrad, rmsprop
from jaxopt_course.optimizers import Optimizer

__all__ = [
    "RECIPES",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "amsgrad",
    "lamb",
    "lion",
    "momentum",
    "muon",
    "nadam",
    "nadamw",
    "nesterov",
    "rmsprop",
    "schedule_free_adamw",
    "sgd",
]

RECIPES: dict[str, Callable[..., Optimizer]] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adadelta": adadelta,
    "adam": adam,
    "adamw": adamw,
    "adamax": adamax,
    "amsgrad": amsgrad,
    "nadam": nadam,
    "lion": lion,
    "muon": muon,
    "nadamw": nadamw,
    "lamb": lamb,
    "adafactor": adafactor,
    "schedule_free_adamw": schedule_free_adamw,
}
