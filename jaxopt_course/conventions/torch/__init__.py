"""PyTorch 2.13's optimizers: its update rules and its defaults, under our argument names.

How its rules differ from optax's (measured):

    momentum         dampened: m ← μ m + (1-τ) g, but the first m is g; the rate stays outside
    ε of RMSprop     outside the root, and its momentum has the rate outside too
    ε of Adagrad     outside the root, S_0 = 0; with ``lr_decay`` the rate falls as η / (1 + d s)
    ε of RAdam       on the uncorrected v ("hat"), unlike that of its Adam
    AMSGrad          maximum of the uncorrected v, corrected after
    NAdam            β1 grows: μ_t = β1 (1 - ½ 0.96^{ψ t}), ψ = ``momentum_decay``
    weight_decay     coupled, g + λ θ, in every optimizer but AdamW; decoupled on demand
    complex θ        real and imaginary parts are two coordinates, elsewhere |g|² is one

Surprises: the default rate of SGD is 0.001, that of RMSprop, Adagrad 0.01; NAdam keeps the product
of its μ in torch's default dtype, so a float64 model is only good to 1e-10 unless
``torch.set_default_dtype(torch.float64)``; ``maximize`` turns g round before the coupled decay is
added, so the decay still pulls to 0.
"""

from collections.abc import Callable

from jaxopt_course.conventions.torch.adafactor import adafactor
from jaxopt_course.conventions.torch.adams import adam, adamax, adamw, amsgrad, nadam, nadamw, radam
from jaxopt_course.conventions.torch.momentums import momentum, nesterov, sgd
from jaxopt_course.conventions.torch.muon import muon
from jaxopt_course.conventions.torch.second_moments import adadelta, adagrad, rmsprop
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
    "momentum",
    "muon",
    "nadam",
    "nadamw",
    "nesterov",
    "radam",
    "rmsprop",
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
    "radam": radam,
    "muon": muon,
    "nadamw": nadamw,
    "adafactor": adafactor,
}
