"""Choose, understand and tune optimizers in JAX.

    import jaxopt_course as joc

    tx = joc.adam(1e-3)                                   # a drop-in for optax.adam
    trials = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-3, 1e-2], seed=range(4))
    study = joc.sweep("digits", trials, epochs=20)        # one compiled program
    study.best("valid_accuracy")

Nothing is imported, and no device touched, before a name is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from jaxopt_course.base import Decay as Decay
    from jaxopt_course.base import apply_updates as apply_updates
    from jaxopt_course.base import chain as chain
    from jaxopt_course.devices import use_cpu_cores as use_cpu_cores
    from jaxopt_course.optimizers import OPTIMIZERS as OPTIMIZERS
    from jaxopt_course.optimizers import adadelta as adadelta
    from jaxopt_course.optimizers import adagrad as adagrad
    from jaxopt_course.optimizers import adam as adam
    from jaxopt_course.optimizers import adamax as adamax
    from jaxopt_course.optimizers import adamw as adamw
    from jaxopt_course.optimizers import ema_momentum as ema_momentum
    from jaxopt_course.optimizers import momentum as momentum
    from jaxopt_course.optimizers import nesterov as nesterov
    from jaxopt_course.optimizers import rmsprop as rmsprop
    from jaxopt_course.optimizers import sgd as sgd
    from jaxopt_course.problems.networks import MLP as MLP
    from jaxopt_course.problems.tasks import TASKS as TASKS
    from jaxopt_course.problems.tasks import Task as Task
    from jaxopt_course.problems.tasks import load_task as load_task
    from jaxopt_course.schedules import constant_schedule as constant_schedule
    from jaxopt_course.schedules import inverse_time_decay as inverse_time_decay
    from jaxopt_course.study import Study as Study
    from jaxopt_course.study import SweepInterrupted as SweepInterrupted
    from jaxopt_course.study import sweep as sweep
    from jaxopt_course.sweeps.space import grid as grid
    from jaxopt_course.sweeps.space import integers as integers
    from jaxopt_course.sweeps.space import log_uniform as log_uniform
    from jaxopt_course.sweeps.space import random as random
    from jaxopt_course.sweeps.space import sobol as sobol
    from jaxopt_course.sweeps.space import uniform as uniform
    from jaxopt_course.train import fit as fit
    from jaxopt_course.transforms.adam import scale_by_adam as scale_by_adam
    from jaxopt_course.transforms.adam import scale_by_adamax as scale_by_adamax
    from jaxopt_course.transforms.decay import add_decayed_weights as add_decayed_weights
    from jaxopt_course.transforms.learning_rate import scale as scale
    from jaxopt_course.transforms.learning_rate import (
        scale_by_learning_rate as scale_by_learning_rate,
    )
    from jaxopt_course.transforms.learning_rate import scale_by_schedule as scale_by_schedule
    from jaxopt_course.transforms.momentum import ema as ema
    from jaxopt_course.transforms.momentum import trace as trace
    from jaxopt_course.transforms.second_moment import scale_by_adadelta as scale_by_adadelta
    from jaxopt_course.transforms.second_moment import scale_by_rms as scale_by_rms
    from jaxopt_course.transforms.second_moment import scale_by_rss as scale_by_rss
    from jaxopt_course.transforms.second_moment import scale_by_stddev as scale_by_stddev
    from jaxopt_course.transforms.switch import switch as switch

_HOMES = {
    "base": ("Decay", "apply_updates", "chain"),
    "devices": ("use_cpu_cores",),
    "optimizers": (
        "OPTIMIZERS",
        "adadelta",
        "adagrad",
        "adam",
        "adamax",
        "adamw",
        "ema_momentum",
        "momentum",
        "nesterov",
        "rmsprop",
        "sgd",
    ),
    "problems.tasks": ("TASKS", "Task", "load_task"),
    "problems.networks": ("MLP",),
    "schedules": ("constant_schedule", "inverse_time_decay"),
    "study": ("Study", "SweepInterrupted", "sweep"),
    "sweeps.space": ("grid", "integers", "log_uniform", "random", "sobol", "uniform"),
    "train": ("fit",),
    "transforms.adam": ("scale_by_adam", "scale_by_adamax"),
    "transforms.decay": ("add_decayed_weights",),
    "transforms.learning_rate": ("scale", "scale_by_learning_rate", "scale_by_schedule"),
    "transforms.momentum": ("ema", "trace"),
    "transforms.second_moment": (
        "scale_by_adadelta",
        "scale_by_rms",
        "scale_by_rss",
        "scale_by_stddev",
    ),
    "transforms.switch": ("switch",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
