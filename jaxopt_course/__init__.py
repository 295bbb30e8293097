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
