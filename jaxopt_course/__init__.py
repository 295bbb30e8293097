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
    from jaxopt_course.clusters.ray import Ray as Ray
    from jaxopt_course.conventions.compare import explain as explain
    from jaxopt_course.conventions.keras_state import from_keras as from_keras
    from jaxopt_course.conventions.recipes import adabelief as adabelief
    from jaxopt_course.conventions.recipes import adadelta as adadelta
    from jaxopt_course.conventions.recipes import adafactor as adafactor
    from jaxopt_course.conventions.recipes import adagrad as adagrad
    from jaxopt_course.conventions.recipes import adam as adam
    from jaxopt_course.conventions.recipes import adamax as adamax
    from jaxopt_course.conventions.recipes import adamw as adamw
    from jaxopt_course.conventions.recipes import adan as adan
    from jaxopt_course.conventions.recipes import ademamix as ademamix
    from jaxopt_course.conventions.recipes import adopt as adopt
    from jaxopt_course.conventions.recipes import amsgrad as amsgrad
    from jaxopt_course.conventions.recipes import ema_momentum as ema_momentum
    from jaxopt_course.conventions.recipes import lamb as lamb
    from jaxopt_course.conventions.recipes import lars as lars
    from jaxopt_course.conventions.recipes import lion as lion
    from jaxopt_course.conventions.recipes import momentum as momentum
    from jaxopt_course.conventions.recipes import muon as muon
    from jaxopt_course.conventions.recipes import nadam as nadam
    from jaxopt_course.conventions.recipes import nadamw as nadamw
    from jaxopt_course.conventions.recipes import nesterov as nesterov
    from jaxopt_course.conventions.recipes import prodigy as prodigy
    from jaxopt_course.conventions.recipes import radam as radam
    from jaxopt_course.conventions.recipes import rmsprop as rmsprop
    from jaxopt_course.conventions.recipes import schedule_free_adamw as schedule_free_adamw
    from jaxopt_course.conventions.recipes import schedule_free_sgd as schedule_free_sgd
    from jaxopt_course.conventions.recipes import sgd as sgd
    from jaxopt_course.conventions.recipes import signum as signum
    from jaxopt_course.conventions.recipes import soap as soap
    from jaxopt_course.conventions.registry import CONVENTIONS as CONVENTIONS
    from jaxopt_course.conventions.registry import convention as convention
    from jaxopt_course.conventions.torch_schedules import (
        torch_onecycle_schedule as torch_onecycle_schedule,
    )
    from jaxopt_course.conventions.torch_state import from_torch as from_torch
    from jaxopt_course.describe import evaluated_at as evaluated_at
    from jaxopt_course.devices import use_cpu_cores as use_cpu_cores
    from jaxopt_course.inspection.damage import diagnose as diagnose
    from jaxopt_course.inspection.leaves import audit as audit
    from jaxopt_course.inspection.values import hyperparameters as hyperparameters
    from jaxopt_course.optimizers import OPTIMIZERS as OPTIMIZERS
    from jaxopt_course.problems.catalog import TASKS as TASKS
    from jaxopt_course.problems.catalog import load_task as load_task
    from jaxopt_course.problems.convolution import Conv as Conv
    from jaxopt_course.problems.convolution import convolve as convolve
    from jaxopt_course.problems.convolution import max_pool as max_pool
    from jaxopt_course.problems.downloads import image_task as image_task
    from jaxopt_course.problems.downloads import openml_task as openml_task
    from jaxopt_course.problems.folded import folds as folds
    from jaxopt_course.problems.image_networks import CNN as CNN
    from jaxopt_course.problems.image_networks import ImageMLP as ImageMLP
    from jaxopt_course.problems.networks import MLP as MLP
    from jaxopt_course.problems.regularization import dropout as dropout
    from jaxopt_course.problems.streams import stream as stream
    from jaxopt_course.problems.surfaces import SURFACES as SURFACES
    from jaxopt_course.problems.tables import table_task as table_task
    from jaxopt_course.problems.tasks import Task as Task
    from jaxopt_course.problems.windows import windows as windows
    from jaxopt_course.schedules import constant_schedule as constant_schedule
    from jaxopt_course.schedules import cosine_decay_schedule as cosine_decay_schedule
    from jaxopt_course.schedules import cosine_onecycle_schedule as cosine_onecycle_schedule
    from jaxopt_course.schedules import cosine_restarts_schedule as cosine_restarts_schedule
    from jaxopt_course.schedules import exponential_decay as exponential_decay
    from jaxopt_course.schedules import inverse_sqrt_schedule as inverse_sqrt_schedule
    from jaxopt_course.schedules import inverse_time_decay as inverse_time_decay
    from jaxopt_course.schedules import join_schedules as join_schedules
    from jaxopt_course.schedules import linear_onecycle_schedule as linear_onecycle_schedule
    from jaxopt_course.schedules import linear_schedule as linear_schedule
    from jaxopt_course.schedules import piecewise_constant_schedule as piecewise_constant_schedule
    from jaxopt_course.schedules import polynomial_cycles_schedule as polynomial_cycles_schedule
    from jaxopt_course.schedules import polynomial_schedule as polynomial_schedule
    from jaxopt_course.schedules import warmup_constant_schedule as warmup_constant_schedule
    from jaxopt_course.schedules import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
    from jaxopt_course.schedules import warmup_linear_decay_schedule as warmup_linear_decay_schedule
    from jaxopt_course.schedules import wsd_schedule as wsd_schedule
    from jaxopt_course.search.ask_tell import OptunaSearch as OptunaSearch
    from jaxopt_course.studies.comparing import compare as compare
    from jaxopt_course.studies.fit import fit as fit
    from jaxopt_course.studies.joined import join as join
    from jaxopt_course.studies.plan import plan as plan
    from jaxopt_course.studies.readings import Reading as Reading
    from jaxopt_course.studies.reestimated import reestimated as reestimated
    from jaxopt_course.studies.study import Study as Study
    from jaxopt_course.studies.study import SweepInterrupted as SweepInterrupted
    from jaxopt_course.studies.sweep import sweep as sweep
    from jaxopt_course.sweeps.patience import Patience as Patience
    from jaxopt_course.sweeps.schedulers import ASHA as ASHA
    from jaxopt_course.sweeps.schedulers import PBT as PBT
    from jaxopt_course.sweeps.schedulers import Hyperband as Hyperband
    from jaxopt_course.sweeps.schedulers import MedianStopping as MedianStopping
    from jaxopt_course.sweeps.schedulers import SuccessiveHalving as SuccessiveHalving
    from jaxopt_course.tables.boxes import search_space as search_space
    from jaxopt_course.tables.buckets import buckets as buckets
    from jaxopt_course.tables.defaults import defaults as defaults
    from jaxopt_course.tables.space import grid as grid
    from jaxopt_course.tables.space import integers as integers
    from jaxopt_course.tables.space import log_uniform as log_uniform
    from jaxopt_course.tables.space import random as random
    from jaxopt_course.tables.space import sobol as sobol
    from jaxopt_course.tables.space import uniform as uniform
    from jaxopt_course.transforms.adam import scale_by_adam as scale_by_adam
    from jaxopt_course.transforms.adam import scale_by_adamax as scale_by_adamax
    from jaxopt_course.transforms.adam_variants import scale_by_amsgrad as scale_by_amsgrad
    from jaxopt_course.transforms.adam_variants import scale_by_nadam as scale_by_nadam
    from jaxopt_course.transforms.adam_variants import scale_by_radam as scale_by_radam
    from jaxopt_course.transforms.adan import scale_by_adan as scale_by_adan
    from jaxopt_course.transforms.ademamix import scale_by_ademamix as scale_by_ademamix
    from jaxopt_course.transforms.adopt import scale_by_adopt as scale_by_adopt
    from jaxopt_course.transforms.averaging import ema_params as ema_params
    from jaxopt_course.transforms.averaging import swa_params as swa_params
    from jaxopt_course.transforms.belief import scale_by_belief as scale_by_belief
    from jaxopt_course.transforms.cautious import cautious as cautious
    from jaxopt_course.transforms.clipping import clip as clip
    from jaxopt_course.transforms.clipping import clip_by_global_norm as clip_by_global_norm
    from jaxopt_course.transforms.clipping import clip_by_norm as clip_by_norm
    from jaxopt_course.transforms.clipping import global_norm as global_norm
    from jaxopt_course.transforms.decay import add_decayed_weights as add_decayed_weights
    from jaxopt_course.transforms.evaluation import evaluation_params as evaluation_params
    from jaxopt_course.transforms.factored import clip_by_block_rms as clip_by_block_rms
    from jaxopt_course.transforms.factored import scale_by_factored_rms as scale_by_factored_rms
    from jaxopt_course.transforms.factored import (
        scale_by_param_block_rms as scale_by_param_block_rms,
    )
    from jaxopt_course.transforms.groups import freeze as freeze
    from jaxopt_course.transforms.groups import partition_by_path as partition_by_path
    from jaxopt_course.transforms.learning_rate import scale as scale
    from jaxopt_course.transforms.learning_rate import (
        scale_by_learning_rate as scale_by_learning_rate,
    )
    from jaxopt_course.transforms.learning_rate import scale_by_schedule as scale_by_schedule
    from jaxopt_course.transforms.lion import scale_by_lion as scale_by_lion
    from jaxopt_course.transforms.lookahead import lookahead as lookahead
    from jaxopt_course.transforms.matrices import matrix_axes as matrix_axes
    from jaxopt_course.transforms.momentum import dampened_trace as dampened_trace
    from jaxopt_course.transforms.momentum import ema as ema
    from jaxopt_course.transforms.momentum import trace as trace
    from jaxopt_course.transforms.muon import scale_by_muon as scale_by_muon
    from jaxopt_course.transforms.muon import scale_by_shape as scale_by_shape
    from jaxopt_course.transforms.orthogonal import orthogonalize as orthogonalize
    from jaxopt_course.transforms.plateau import reduce_on_plateau as reduce_on_plateau
    from jaxopt_course.transforms.prodigy import scale_by_prodigy as scale_by_prodigy
    from jaxopt_course.transforms.schedule_free import schedule_free as schedule_free
    from jaxopt_course.transforms.second_moment import scale_by_adadelta as scale_by_adadelta
    from jaxopt_course.transforms.second_moment import scale_by_rms as scale_by_rms
    from jaxopt_course.transforms.second_moment import scale_by_rss as scale_by_rss
    from jaxopt_course.transforms.second_moment import scale_by_stddev as scale_by_stddev
    from jaxopt_course.transforms.sharpness import sam as sam
    from jaxopt_course.transforms.signs import scale_by_sign as scale_by_sign
    from jaxopt_course.transforms.soap import scale_by_soap as scale_by_soap
    from jaxopt_course.transforms.switch import switch as switch
    from jaxopt_course.transforms.trust_ratio import scale_by_trust_ratio as scale_by_trust_ratio


_HOMES = {
    "base": ("Decay", "apply_updates", "chain"),
    "tables.boxes": ("search_space",),
    "tables.buckets": ("buckets",),
    "conventions.recipes": (
        "adabelief",
        "adadelta",
        "adafactor",
        "adagrad",
        "adam",
        "adamax",
        "adamw",
        "ademamix",
        "adan",
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
    ),
    "conventions.registry": ("CONVENTIONS", "convention"),
    "clusters.ray": ("Ray",),
    "describe": ("evaluated_at",),
    "devices": ("use_cpu_cores",),
    "optimizers": ("OPTIMIZERS",),
    "search.ask_tell": ("OptunaSearch",),
    "problems.catalog": ("TASKS", "load_task"),
    "problems.tasks": ("Task",),
    "problems.streams": ("stream",),
    "problems.windows": ("windows",),
    "problems.convolution": ("Conv", "convolve", "max_pool"),
    "problems.networks": ("MLP",),
    "problems.regularization": ("dropout",),
    "problems.downloads": ("image_task", "openml_task"),
    "problems.folded": ("folds",),
    "problems.image_networks": ("CNN", "ImageMLP"),
    "problems.surfaces": ("SURFACES",),
    "problems.tables": ("table_task",),
    "studies.comparing": ("compare",),
    "studies.joined": ("join",),
    "studies.plan": ("plan",),
    "studies.readings": ("Reading",),
    "schedules": (
        "constant_schedule",
        "cosine_decay_schedule",
        "cosine_onecycle_schedule",
        "cosine_restarts_schedule",
        "exponential_decay",
        "inverse_sqrt_schedule",
        "inverse_time_decay",
        "join_schedules",
        "linear_onecycle_schedule",
        "linear_schedule",
        "piecewise_constant_schedule",
        "polynomial_cycles_schedule",
        "polynomial_schedule",
        "warmup_constant_schedule",
        "warmup_cosine_decay_schedule",
        "warmup_linear_decay_schedule",
        "wsd_schedule",
    ),
    "studies.reestimated": ("reestimated",),
    "studies.study": ("Study", "SweepInterrupted"),
    "studies.sweep": ("sweep",),
    "sweeps.patience": ("Patience",),
    "sweeps.schedulers": ("ASHA", "PBT", "Hyperband", "MedianStopping", "SuccessiveHalving"),
    "tables.defaults": ("defaults",),
    "tables.space": ("grid", "integers", "log_uniform", "random", "sobol", "uniform"),
    "studies.fit": ("fit",),
    "transforms.adam": ("scale_by_adam", "scale_by_adamax"),
    "transforms.adan": ("scale_by_adan",),
    "transforms.adopt": ("scale_by_adopt",),
    "transforms.belief": ("scale_by_belief",),
    "transforms.factored": (
        "clip_by_block_rms",
        "scale_by_factored_rms",
        "scale_by_param_block_rms",
    ),
    "transforms.sharpness": ("sam",),
    "transforms.signs": ("scale_by_sign",),
    "transforms.trust_ratio": ("scale_by_trust_ratio",),
    "transforms.adam_variants": ("scale_by_amsgrad", "scale_by_nadam", "scale_by_radam"),
    "transforms.averaging": ("ema_params", "swa_params"),
    "transforms.ademamix": ("scale_by_ademamix",),
    "transforms.cautious": ("cautious",),
    "transforms.clipping": ("clip", "clip_by_global_norm", "clip_by_norm", "global_norm"),
    "transforms.decay": ("add_decayed_weights",),
    "transforms.evaluation": ("evaluation_params",),
    "transforms.learning_rate": ("scale", "scale_by_learning_rate", "scale_by_schedule"),
    "transforms.lion": ("scale_by_lion",),
    "transforms.lookahead": ("lookahead",),
    "transforms.matrices": ("matrix_axes",),
    "transforms.muon": ("scale_by_muon", "scale_by_shape"),
    "transforms.orthogonal": ("orthogonalize",),
    "transforms.momentum": ("dampened_trace", "ema", "trace"),
    "transforms.plateau": ("reduce_on_plateau",),
    "transforms.prodigy": ("scale_by_prodigy",),
    "transforms.soap": ("scale_by_soap",),
    "transforms.schedule_free": ("schedule_free",),
    "transforms.second_moment": (
        "scale_by_adadelta",
        "scale_by_rms",
        "scale_by_rss",
        "scale_by_stddev",
    ),
    "transforms.switch": ("switch",),
    "inspection.values": ("hyperparameters",),
    "inspection.leaves": ("audit",),
    "inspection.damage": ("diagnose",),
    "transforms.groups": ("freeze", "partition_by_path"),
    "conventions.compare": ("explain",),
    "conventions.torch_schedules": ("torch_onecycle_schedule",),
    "conventions.torch_state": ("from_torch",),
    "conventions.keras_state": ("from_keras",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
