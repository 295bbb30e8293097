"""Optimizers: each is one chain of named pieces.

Where optax has the recipe, names, positions and defaults of the arguments are optax's, so each is a
drop-in.  The formulas of the pieces, with their sources, stand in ``transforms/``.  Common to all:

    learning_rate: η > 0, a number, an array or a schedule; in units of θ over those of the update
        it multiplies (θ²/f for plain gradients of f, θ for the normalized updates of Adam's kin).
    decays (momentum, decay, rho, b1, b2): in [0, 1), no unit; also a
        :class:`~jaxopt_course.base.Decay`.
    eps: ε > 0, in units of the gradient outside a root, of its square inside.

Every number may be traced, and so may the switches (Python bools choose when the program is made).
``update`` returns a step with the structure, shapes and dtypes of the gradients; memories are kept
as the pieces say.  Errors are those of :mod:`jaxopt_course.base`.
"""

from collections.abc import Callable

from jaxopt_course.optimizers.adafactor import adafactor
from jaxopt_course.optimizers.adams import adam, adamax, adamw, amsgrad, nadam, nadamw, radam
from jaxopt_course.optimizers.kind import Optimizer
from jaxopt_course.optimizers.later_adams import adabelief, adan, adopt
from jaxopt_course.optimizers.layerwise import lamb, lars
from jaxopt_course.optimizers.mixtures import ademamix
from jaxopt_course.optimizers.momentums import (
    ema_momentum,
    lion,
    momentum,
    nesterov,
    sgd,
    signum,
)
from jaxopt_course.optimizers.muon import muon
from jaxopt_course.optimizers.rate_free import prodigy
from jaxopt_course.optimizers.rotated import soap
from jaxopt_course.optimizers.schedule_free import schedule_free_adamw, schedule_free_sgd
from jaxopt_course.optimizers.second_moments import adadelta, adagrad, rmsprop

__all__ = [
    "OPTIMIZERS",
    "Optimizer",
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "amsgrad",
    "ema_momentum",
    "lamb",
    "lars",
    "lion",
    "momentum",
    "muon",
    "nadam",
    "nadamw",
    "nesterov",
    "prodigy",
    "radam",
    "rmsprop",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "sgd",
    "signum",
    "soap",
]

#: Every recipe by the name that tables know, with optax's arguments: a plain dict.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": sgd,
    "momentum": momentum,
    "ema_momentum": ema_momentum,
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
    "lion": lion,
    "ademamix": ademamix,
    "muon": muon,
    "nadamw": nadamw,
    "signum": signum,
    "adabelief": adabelief,
    "adan": adan,
    "adopt": adopt,
    "lamb": lamb,
    "lars": lars,
    "adafactor": adafactor,
    "prodigy": prodigy,
    "schedule_free_adamw": schedule_free_adamw,
    "schedule_free_sgd": schedule_free_sgd,
    "soap": soap,
}
