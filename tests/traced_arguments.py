"""Two values of every argument of every public function, for tests/test_traceability.py.

A new function takes part by itself; a new argument must be given its values here, or its reason not
to be traced.
"""

import inspect

import optax
from helpers import optax_s, optax_s_lookahead

from jaxopt_course import schedules, transforms
from jaxopt_course.conventions import REGISTERED

# name of an argument -> values, the first of which it has while another argument is tried
VALUES = {
    "learning_rate": (0.1, 0.03),
    "step_size": (0.1, -0.3),
    "momentum": (0.9, 0.5),
    "decay": (0.9, 0.5),
    "dampening": (0.1, 0.5),
    "momentum_decay": (0.5, 0.004),
    "rho": (0.9, 0.5),
    "b1": (0.9, 0.5),
    "b2": (0.9, 0.7),
    "b3": (0.97, 0.7),
    "b3_warmup": (8.0, 3.0),
    "alpha_warmup": (8.0, 3.0),
    "xi": (1.0, 0.5),
    "sync_period": (2, 3),
    "slow_step_size": (0.5, 0.8),
    "reset_state": (False, True),
    "estim_lr0": (0.1, 0.2),
    "estim_lr_coef": (1.0, 0.5),
    "precondition_frequency": (2, 3),
    "weight_lr_power": (2.0, 0.5),
    "r": (0.0, 1.0),
    "eps": (1e-2, 1e-3),
    "eps_root": (1e-2, 1e-3),
    "initial_accumulator_value": (0.1, 0.5),
    "initial_scale": (0.1, 0.5),
    "weight_decay": (0.1, 0.3),
    "learning_rate_decay": (0.1, 0.5),
    "multiplier": (1.0, 0.5),
    "threshold": (5.0, 4.2),
    "max_delta": (0.5, 1.0),
    "max_norm": (0.5, 1.0),
    "clipnorm": (0.5, 4.0),
    "clipvalue": (0.1, 2.0),
    "global_clipnorm": (0.5, 4.0),
    # switches
    "nesterov": (False, True),
    "debias": (True, False),
    "centered": (False, True),
    "eps_in_sqrt": (True, False),
    "eps_in_max": (True, False),
    "eps_hat": (False, True),
    "bias_correction": (False, True),
    "bias_correction_mu": (True, False),
    "bias_correction_nu": (True, False),
    "max_before_correction": (False, True),
    "flip_sign": (True, False),
    "safeguard_warmup": (False, True),
    "downhill": (False, True),
    "maximize": (False, True),
    "amsgrad": (False, True),
    "decoupled_weight_decay": (False, True),
    "staircase": (False, True),
    "adaptive": (False, True),
    "use_clipping": (True, False),
    # by leaf
    "min_norm": (0.1, 5.0),
    "trust_coefficient": (0.1, 0.5),
    "epsilon": (1e-2, 1e-3),
    "eps2": (3.0, 4.0),
    "min_scale": (3.0, 4.0),
    "clipping_threshold": (0.5, 0.3),
    "weight_decay_rate": (0.1, 0.3),
    "decay_offset": (0, -3),
    "step_offset": (0, -3),
    # Muon
    "ns_coeffs": ((3.4445, -4.775, 2.0315), (3.0, -4.0, 2.0)),
    "ns_steps": (5, 3),
    "beta": (0.95, 0.5),
    "adam_b1": (0.9, 0.5),
    "adam_b2": (0.9, 0.7),
    "adam_eps": (1e-2, 1e-3),
    "adam_eps_root": (1e-2, 1e-3),
    "adam_weight_decay": (0.1, 0.3),
    "adam_learning_rate": (0.05, 0.02),
    "adam_lr_ratio": (0.5, 0.2),
    "consistent_rms": (0.2, 0.4),
    # schedules
    "value": (1.0, 0.5),
    "init_value": (1.0, 0.5),
    "peak_value": (2.0, 3.0),
    "end_value": (0.3, 0.2),
    "decay_rate": (0.5, 0.9),
    "power": (2.0, 1.0),
    "exponent": (1.0, 2.0),
    "alpha": (0.1, 0.2),
    "transition_steps": (5, 9),
    "transition_begin": (2, 4),
    "decay_steps": (12, 9),
    "warmup_steps": (3, 5),
    "warmup_share": (0.2, 0.4),
    "decay_share": (0.5, 0.3),
    "timescale": (4.0, 7.0),
    "cooldown_steps": (4, 6),
    "first_decay_steps": (3, 5),
    "t_mul": (2.0, 1.0),
    "m_mul": (0.5, 0.9),
    "pct_start": (0.3, 0.5),
    "pct_final": (0.85, 0.7),
    "div_factor": (25.0, 5.0),
    "final_div_factor": (100.0, 10.0),
    "index": (0, 1),
    "boundaries": ([3, 6], [2, 9]),
    "scales": ([0.5, 0.1], [0.2, 3.0]),
}

# arguments that are no number: why, and what stands there while another argument is tried
STRUCTURE = {
    "accumulator_dtype": ("a dtype", None),
    "mu_dtype": ("a dtype", None),
    "mask": ("which leaves: the structure of the state", None),
    "weight_decay_mask": ("which leaves: the structure of the state", None),
    "step_size_fn": ("a schedule, whose numbers are traced", lambda step: 0.5**step),
    "transformations": ("pieces, whose numbers are traced", [optax.scale(0.5), optax.trace(0.9)]),
    "schedules": (
        "schedules, whose numbers are traced",
        [lambda step: 1.0 + step, lambda step: 20.0 + step, lambda step: 40.0 + step],
    ),
    "boundaries_and_scales": ("a dictionary: traced, it is `boundaries` and `scales`", None),
    "like": ("the name of a convention", None),
    "patterns": ("pieces by path, whose numbers are traced", {"*": optax.scale(0.5)}),
    "inner": ("a piece, whose numbers are traced", optax.trace(0.5)),
    "optimizer": ("a piece, whose numbers are traced", optax.sgd(0.1)),
    "fast_optimizer": ("a piece, whose numbers are traced", optax.sgd(0.1, 0.5)),
    "base_optimizer": ("a piece, whose numbers are traced", optax.sgd(0.1)),
    "max_precondition_dim": ("an int: which axes have a basis", None),
    "state_dtype": ("a dtype", None),
    "default": ("a piece, whose numbers are traced", None),
    "before": ("a piece, whose numbers are traced", None),
    "ns_dtype": ("a dtype", None),
    "dtype_momentum": ("a dtype", None),
    "min_dim_size_to_factor": ("which leaves: the structure of the state", None),
    "factored": ("which leaves: the structure of the state", None),
    "last_axes": ("which leaves: the structure of the state", None),
    "multiply_by_parameter_scale": ("leaves out a piece", None),
    "trust_ratio_mask": ("which leaves: the structure of the state", None),
    "clip_value_fn": ("a function, whose numbers are traced", None),
    "decay_rate_fn": ("a function, whose numbers are traced", None),
    "preconditioning": ("which of four formulas", None),
    "weight_dimension_numbers": ("which axes: the shape of what is computed", None),
    "muon_weight_dimension_numbers": ("which leaves: the structure of the state", None),
    "exclude_layers": ("which leaves: the structure of the state", None),
    "exclude_embeddings": ("which leaves: the structure of the state", None),
}

# no transformation, and no schedule
HELPERS = {"matrix_axes"}

# the same for one function, whose argument has another meaning
OF_ONE = {"clip_by_block_rms.threshold": (0.5, 0.3)}
OF_ONE |= {f"{name}adopt.eps": (1.0, 2.0) for name in ("", "scale_by_", "paper.")}

OF_ONE |= {"torch.adafactor.eps": (1.0, 2.0), "scale_by_factored_rms.epsilon": (1.0, 2.0)}
OF_ONE |= {"inverse_sqrt_schedule.transition_steps": (12, 15)}
OF_ONE |= {"scale_by_muon.eps": (4.0, 6.0), "orthogonalize.eps": (4.0, 6.0)}

# numbers that are tried alone, and not given meanwhile
APART = {
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "exponential_decay.end_value",
    "torch.sgd.dampening",
}


def _public(module):
    return {
        name: value
        for name, value in vars(module).items()
        if callable(value)
        and not inspect.isclass(value)
        and not name.startswith("_")
        and value.__module__.startswith(module.__name__)
    }


FUNCTIONS = {**_public(transforms), **REGISTERED, **_public(schedules)}
FUNCTIONS = {name: made for name, made in FUNCTIONS.items() if name not in HELPERS}
SCHEDULES = set(_public(schedules))


def arguments(name):
    """The names of the arguments of ``name``."""
    parameters = inspect.signature(FUNCTIONS[name]).parameters.values()
    return [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]


def values(name, argument):
    """The two values of an argument of ``name``."""
    return OF_ONE.get(f"{name}.{argument}", VALUES[argument])


def apart(name, argument):
    """Whether the argument is not given while others are tried."""
    return argument in APART or f"{name}.{argument}" in APART


def meanwhile(name):
    """The numbers and switches of ``name`` while one of them is tried."""
    tried = [a for a in arguments(name) if a in VALUES and not apart(name, a)]
    return {argument: values(name, argument)[0] for argument in tried}


def structure(name):
    """What else ``name`` needs."""
    given = {a: STRUCTURE[a][1] for a in arguments(name) if a in STRUCTURE}
    return {argument: value for argument, value in given.items() if value is not None}


def _optax_piecewise(init_value=1.0, boundaries=(), scales=()):
    return optax.piecewise_constant_schedule(init_value, dict(zip(boundaries, scales, strict=True)))


def twin(name):
    """optax's function of that name, or None."""
    own = {"piecewise_constant_schedule": _optax_piecewise, "lookahead": optax_s_lookahead}
    return own.get(name) or optax_s(name)
