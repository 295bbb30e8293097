"""Every recipe and transformation equals its twin in float64, over its options.

The twin is optax's; for what optax has not, the formula of another framework.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import transcriptions
from helpers import (
    DEFAULT_EFFORT,
    OF_MATRICES,
    RECIPES,
    TWINS,
    deviation,
    optax_s,
    our,
    quartic,
    rollout,
    side_by_side,
    start,
    stream,
    their,
)
from long_form import only
from transcriptions import TRANSCRIPTIONS, transcribed

import jaxopt_course.transforms as transforms
from jaxopt_course import optimizers
from jaxopt_course.base import chain
from jaxopt_course.transforms import scale_by_learning_rate

SCHEDULE = lambda s: 0.03 / (1 + 0.5 * s)
SLOWER = lambda s: 1 - 0.1 / (1 + 0.05 * s)  # of a decay
MASK = {"w": True, "b": False}
F64 = "float64"

# (name, arguments). The optax twin has the same name and arguments, but for the rows of TWINS; what
# optax has not is compared with another framework's formula in NumPy (tests/transcriptions.py).
# Short memories come with a large eps: without one such a loop ends in a chaotic dance around the
# minimum, where two correct programs part by rounding alone.
ROWS = [
    # momentum
    ("trace", {"decay": 0.9}),
    ("trace", {"decay": 0.9, "nesterov": True}),
    ("trace", {"decay": 0.0}),
    ("trace", {"decay": 0.99, "accumulator_dtype": F64}),
    ("dampened_trace", {"decay": 0.9, "dampening": 0.0}),
    ("dampened_trace", {"decay": 0.9, "dampening": 0.5}),
    ("dampened_trace", {"decay": 0.7, "dampening": 0.7, "nesterov": True}),
    ("ema", {"decay": 0.9}),
    ("ema", {"decay": 0.9, "debias": False}),
    ("ema", {"decay": 0.3, "accumulator_dtype": F64}),
    ("ema", {"decay": 0.0}),
    # second moments
    ("scale_by_rss", {}),
    ("scale_by_rss", {"initial_accumulator_value": 0.0, "eps": 1e-3}),
    ("scale_by_rss", {"initial_accumulator_value": 0.0, "eps": 1e-10, "eps_in_sqrt": False}),
    ("scale_by_rss", {"eps": 1e-3, "eps_in_sqrt": False}),
    ("scale_by_rms", {}),
    ("scale_by_rms", {"decay": 0.3, "eps": 1e-6, "initial_scale": 1.0}),
    ("scale_by_rms", {"eps_in_sqrt": False, "bias_correction": True}),
    ("scale_by_rms", {"decay": 0.99, "bias_correction": True}),
    ("scale_by_stddev", {}),
    ("scale_by_stddev", {"decay": 0.95, "eps": 0.1, "initial_scale": 1.0, "eps_in_sqrt": False}),
    ("scale_by_adadelta", {}),
    ("scale_by_adadelta", {"rho": 0.5, "eps": 1e-3}),
    # Adam
    ("scale_by_adam", {}),
    ("scale_by_adam", {"b1": 0.3, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3}),
    ("scale_by_adam", {"b1": 0.0, "mu_dtype": F64}),
    ("scale_by_adam", {"nesterov": True}),
    ("scale_by_adam", {"eps": 1e-7, "eps_hat": True}),
    ("scale_by_adam", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3, "eps_hat": True}),
    ("scale_by_adam", {"eps_hat": True, "nesterov": True}),
    ("scale_by_adam", {"bias_correction_mu": False}),
    ("scale_by_adam", {"bias_correction_nu": False}),
    ("scale_by_adam", {"bias_correction_mu": False, "bias_correction_nu": False, "eps": 0.1}),
    ("scale_by_adamax", {}),
    ("scale_by_adamax", {"b1": 0.5, "b2": 0.95, "eps": 0.1}),
    ("scale_by_adamax", {"eps": 1e-7, "eps_in_max": False}),
    ("scale_by_adamax", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "eps_in_max": False}),
    # variants
    ("scale_by_amsgrad", {}),
    ("scale_by_amsgrad", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3, "mu_dtype": F64}),
    ("scale_by_amsgrad", {"bias_correction_mu": False, "bias_correction_nu": False}),
    ("scale_by_amsgrad", {"bias_correction_mu": False}),
    ("scale_by_amsgrad", {"bias_correction_nu": False}),
    ("scale_by_amsgrad", {"max_before_correction": True}),
    ("scale_by_amsgrad", {"max_before_correction": True, "b2": 0.95, "eps": 0.1, "eps_root": 0.1}),
    ("scale_by_amsgrad", {"eps": 1e-7, "eps_hat": True}),
    ("scale_by_amsgrad", {"eps": 0.1, "eps_root": 0.1, "b2": 0.95, "eps_hat": True}),
    ("scale_by_nadam", {}),
    ("scale_by_nadam", {"eps": 1e-7, "momentum_decay": 1.0}),
    ("scale_by_nadam", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "momentum_decay": 0.0}),
    ("scale_by_radam", {}),
    ("scale_by_radam", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3}),
    ("scale_by_radam", {"nesterov": True}),
    ("scale_by_radam", {"threshold": 4.5}),
    ("scale_by_radam", {"b2": 0.5, "threshold": 9.0}),
    ("scale_by_radam", {"eps_hat": True}),
    ("scale_by_radam", {"b1": 0.5, "eps": 0.1, "eps_root": 0.1, "eps_hat": True}),
    ("scale_by_lion", {}),
    ("scale_by_lion", {"b1": 0.5, "b2": 0.9, "mu_dtype": F64}),
    ("scale_by_ademamix", {}),
    ("scale_by_ademamix", {"b3": SLOWER, "alpha": SCHEDULE}),
    ("scale_by_ademamix", {"b1": 0.5, "b2": 0.95, "b3": 0.8, "eps": 0.1, "eps_root": 1e-3}),
    ("scale_by_ademamix", {"b3": 0.999, "b3_warmup": 300.0, "alpha_warmup": 100.0, "eps": 1e-4}),
    ("scale_by_prodigy", {"estim_lr0": 1e-2}),
    ("scale_by_soap", {"eps": 1e-3}),
    ("scale_by_soap", {"b1": 0.5, "b2": 0.8, "precondition_frequency": 1, "eps": 0.1}),
    # clipping
    ("clip", {"max_delta": 0.01}),
    ("clip", {"max_delta": 100.0}),
    ("clip_by_norm", {"max_norm": 0.1}),
    ("clip_by_norm", {"max_norm": 100.0}),
    ("clip_by_global_norm", {"max_norm": 0.1}),
    ("clip_by_global_norm", {"max_norm": 100.0}),
    # decay and rates
    ("add_decayed_weights", {"weight_decay": 0.1}),
    ("add_decayed_weights", {"weight_decay": 0.1, "mask": MASK}),
    ("add_decayed_weights", {"weight_decay": SCHEDULE}),
    ("add_decayed_weights", {"weight_decay": 0.0}),
    ("scale", {"step_size": -0.3}),
    ("scale_by_schedule", {"step_size_fn": SCHEDULE}),
    ("scale_by_learning_rate", {"learning_rate": 0.3}),
    ("scale_by_learning_rate", {"learning_rate": SCHEDULE}),
    ("scale_by_learning_rate", {"learning_rate": 0.3, "flip_sign": False}),
    ("scale_by_learning_rate", {}),
    # recipes
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "accumulator_dtype": F64}),
    ("momentum", {}),
    ("momentum", {"momentum": 0.5}),
    ("nesterov", {}),
    ("ema_momentum", {}),
    ("adagrad", {}),
    ("adagrad", {"initial_accumulator_value": 0.0, "eps": 1e-3}),
    ("rmsprop", {}),
    ("rmsprop", {"decay": 0.99, "eps": 1e-6, "initial_scale": 1.0, "eps_in_sqrt": False}),
    ("rmsprop", {"momentum": 0.9}),
    ("rmsprop", {"momentum": 0.9, "nesterov": True, "bias_correction": True}),
    ("rmsprop", {"centered": True}),
    ("rmsprop", {"centered": True, "eps_in_sqrt": False, "eps": 0.1, "momentum": 0.5}),
    ("adadelta", {"learning_rate": 1.0}),
    ("adadelta", {"rho": 0.5, "eps": 1e-3, "weight_decay": 0.1, "weight_decay_mask": MASK}),
    ("adam", {}),
    ("adam", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3}),
    ("adam", {"nesterov": True, "mu_dtype": F64}),
    ("adamw", {}),
    ("adamw", {"weight_decay": 0.1, "mask": MASK, "nesterov": True}),
    ("adamw", {"weight_decay": SCHEDULE, "b1": 0.5}),
    ("adamax", {}),
    ("adamax", {"b1": 0.5, "b2": 0.95, "eps": 0.1}),
    ("amsgrad", {}),
    ("amsgrad", {"b1": 0.5, "eps": 0.1, "eps_root": 1e-3, "bias_correction_nu": False}),
    ("amsgrad", {"mu_dtype": F64, "bias_correction_mu": False}),
    ("nadam", {}),
    ("nadam", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3, "mu_dtype": F64}),
    ("nadam", {"nesterov": False}),
    ("radam", {}),
    ("radam", {"b1": 0.5, "eps": 0.1, "eps_root": 1e-3, "threshold": 6.0, "nesterov": True}),
    ("lion", {}),
    ("lion", {"b1": 0.5, "b2": 0.9, "mu_dtype": F64, "weight_decay": 0.1, "mask": MASK}),
    ("lion", {"weight_decay": SCHEDULE}),
    ("ademamix", {"weight_decay": 0.1, "mask": MASK, "mu_dtype": F64}),
    ("ademamix", {"b3": SLOWER, "b1": 0.5, "alpha": SCHEDULE}),
    ("prodigy", {"learning_rate": 1.0}),
    ("prodigy", {"b1": 0.5, "b3": 0.99, "estim_lr0": 1e-2, "eps": 0.1, "weight_decay": 0.1}),
    ("prodigy", {"safeguard_warmup": True, "estim_lr_coef": 0.5, "eps": 1e-3}),
    ("soap", {"weight_decay": 0.1, "mask": MASK, "eps": 1e-3}),
    ("soap", {"b1": 0.8, "b3": 0.9, "precondition_frequency": 3, "eps": 0.1}),
    ("schedule_free_adamw", {"warmup_steps": 40.0, "eps": 1e-3}),
    ("schedule_free_adamw", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "weight_decay": 0.1}),
    ("schedule_free_adamw", {"b1": 0.98, "weight_lr_power": 0.0, "state_dtype": F64}),
    ("schedule_free_adamw", {"weight_decay": 0.1, "mask": MASK, "eps": 1e-3}),
    ("schedule_free_sgd", {"warmup_steps": 40.0, "weight_decay": 0.1}),
    ("schedule_free_sgd", {"weight_decay": 0.1, "mask": MASK}),
    ("schedule_free_sgd", {"b1": 0.98, "weight_lr_power": 1.0}),
    ("ademamix", {"b3_warmup": 400.0, "alpha_warmup": 400.0, "eps": 1e-4}),
    ("scale_by_belief", {}),
    ("scale_by_belief", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3, "nesterov": True}),
    ("scale_by_adan", {"eps_root": 1e-8}),
    ("scale_by_adan", {"b1": 0.5, "b2": 0.7, "b3": 0.95, "eps": 0.1}),
    ("scale_by_adan", {"eps": 0.1, "bias_correction": False}),
    ("scale_by_adopt", {}),
    ("scale_by_adopt", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "nesterov": True, "mu_dtype": F64}),
    ("scale_by_adopt", {"eps": 0.1, "use_clipping": False}),
    ("scale_by_adopt", {"eps": 0.1, "clip_value_fn": lambda step: 0.5 + 0.01 * step}),
    ("scale_by_sign", {}),
    ("scale_by_trust_ratio", {}),
    ("scale_by_trust_ratio", {"min_norm": 0.1, "trust_coefficient": 0.5, "eps": 0.1}),
    ("scale_by_factored_rms", {}),
    ("scale_by_factored_rms", {"min_dim_size_to_factor": 2, "epsilon": 1e-3, "decay_rate": 0.5}),
    ("scale_by_factored_rms", {"factored": False, "min_dim_size_to_factor": 2}),
    ("scale_by_factored_rms", {"last_axes": True, "eps_in_max": True, "epsilon": 1e-3}),
    ("clip_by_block_rms", {"threshold": 0.1}),
    ("scale_by_param_block_rms", {}),
    ("nadamw", {}),
    ("nadamw", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "weight_decay": SCHEDULE, "mask": MASK}),
    ("signum", {}),
    ("signum", {"beta": 0.5, "accumulator_dtype": F64}),
    ("adabelief", {"eps": 1e-3}),
    ("adabelief", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "eps_root": 1e-3, "nesterov": True}),
    ("adan", {}),
    ("adan", {"b1": 0.5, "b2": 0.7, "b3": 0.95, "eps": 0.1, "weight_decay": 0.1, "mask": MASK}),
    ("adopt", {}),
    ("adopt", {"b1": 0.5, "b2": 0.95, "eps": 0.1, "nesterov": True, "mu_dtype": F64}),
    ("lamb", {}),
    ("lamb", {"b1": 0.5, "eps": 0.1, "eps_root": 1e-3, "weight_decay": 0.1, "mask": MASK}),
    ("lars", {}),
    (
        "lars",
        {
            "weight_decay": 0.1,
            "weight_decay_mask": MASK,
            "trust_coefficient": 0.1,
            "eps": 0.1,
            "trust_ratio_mask": MASK,
            "momentum": 0.5,
            "nesterov": True,
        },
    ),
    ("adafactor", {}),
    (
        "adafactor",
        {
            "min_dim_size_to_factor": 2,
            "decay_rate": 0.5,
            "multiply_by_parameter_scale": False,
            "clipping_threshold": 0.5,
            "momentum": 0.8,
            "dtype_momentum": F64,
            "weight_decay_rate": 0.01,
            "weight_decay_mask": MASK,
            "eps": 1e-3,
        },
    ),
    ("adafactor", {"factored": False, "clipping_threshold": None}),
    ("muon", {}),
    (
        "muon",
        {
            "beta": 0.5,
            "eps": 0.1,
            "weight_decay": 0.1,
            "nesterov": False,
            "adam_b1": 0.5,
            "adam_eps_root": 1e-3,
            "adam_weight_decay": 0.2,
            "adam_learning_rate": 0.01,
            "consistent_rms": 0.2,
        },
    ),
    ("muon", {"adaptive": True, "ns_steps": 3, "ns_coeffs": (3.0, -4.0, 2.0), "mu_dtype": F64}),
    ("muon", {"preconditioning": "aol", "weight_decay": 0.1, "weight_decay_mask": MASK}),
    ("muon", {"preconditioning": "schatten", "ns_coeffs": "dion"}),
    ("muon", {"preconditioning": "spectral"}),
]
# at a constant rate, steps of one length dance around their goal as soon as they have arrived
ARRIVING = {"muon", "scale_by_trust_ratio", "lamb", "scale_by_factored_rms", "adafactor"}
RATES = {"scale", "scale_by_schedule", "scale_by_learning_rate"}  # open loop only
ELSEWHERE = {  # optax has none of them in this form
    "cautious": "test_cautious.py",
    "schedule_free": "test_schedule_free.py",
    "lookahead": "test_lookahead_sam.py",
    "sam": "test_lookahead_sam.py",
    "switch": "test_switch.py",
    "freeze": "test_transforms_groups.py",
    "partition_by_path": "test_transforms_groups.py",
    **dict.fromkeys(OF_MATRICES, "test_muon.py"),
}


slope = jax.jit(jax.grad(quartic))


def public(module):
    return {
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and value.__module__.startswith(module.__name__)
    }


def test_every_public_name_has_a_row():
    names = public(transforms) | set(RECIPES)
    assert names - ELSEWHERE.keys() == {name for name, _ in ROWS}


def test_every_transcription_is_compared():
    for name, argument in TRANSCRIPTIONS:
        assert any(name == n and (argument is None or argument in kwargs) for n, kwargs in ROWS)


def test_optimizers_is_the_table_of_recipes():
    assert " ".join(RECIPES) == (
        "sgd momentum ema_momentum nesterov adagrad rmsprop adadelta adam adamw adamax "
        "amsgrad nadam radam lion ademamix muon nadamw signum "
        "adabelief adan adopt lamb lars adafactor prodigy schedule_free_adamw "
        "schedule_free_sgd soap"
    )
    assert {f.__name__ for f in RECIPES.values()} == set(RECIPES) == public(optimizers)


WARM_UPS = {"b3_warmup": 0.0, "alpha_warmup": 0.0}
MORE = {  # our arguments beyond optax's, all keyword-only
    "scale_by_rss": {"eps_in_sqrt": True},
    "scale_by_stddev": {"centered": True, "mu_dtype": None},
    "scale_by_adam": {"eps_hat": False, "bias_correction_mu": True, "bias_correction_nu": True},
    "scale_by_adamax": {"eps_in_max": True, "mu_dtype": None},
    "scale_by_amsgrad": {"max_before_correction": False, "eps_hat": False},
    "scale_by_radam": {"eps_hat": False, "mu_dtype": None},
    "scale_by_ademamix": WARM_UPS,
    "ademamix": WARM_UPS,
    "scale_by_adan": {"bias_correction": True},
    "schedule_free_adamw": {"mask": None},
    "schedule_free_sgd": {"mask": None},
    "scale_by_factored_rms": {"last_axes": False, "eps_in_max": False},
}
FEWER = {"scale_by_lion": {"mode", "smooth_beta"}}  # optax's softened signs: arguments of no recipe
OPTAX_HAS = (
    {name for name, _ in ROWS}
    - {n for n in TWINS if not optax_s(n)}
    - {n for n, a in TRANSCRIPTIONS if a is None}
    - {"scale_by_learning_rate", "prodigy"}  # no default there; betas that are a pair
)


@pytest.mark.parametrize("name", sorted(OPTAX_HAS))
def test_arguments_are_optax_s(name):
    """Names, order, kinds and defaults."""
    parameters = lambda f: inspect.signature(f).parameters.values()
    # a function of theirs is another one than ours
    default = lambda p: "a function" if inspect.isfunction(p.default) else p.default
    ours = [
        (p.name, p.kind, default(p))
        for p in parameters(RECIPES.get(name) or getattr(transforms, name))
    ]
    theirs = [(p.name, p.kind, default(p)) for p in parameters(optax_s(name))]
    theirs = [p for p in theirs if p[0] not in FEWER.get(name, ())]
    more = [(k, inspect.Parameter.KEYWORD_ONLY, v) for k, v in MORE.get(name, {}).items()]
    assert ours == theirs + more


# of each name the first row with the most arguments; a recipe's is that of what it is made of too
WITHIN = {f"scale_by_{name}" for name in (*RECIPES, "belief", "rms", "rss", "factored_rms", "sign")}
WITHIN |= {"scale_by_trust_ratio", "scale_by_param_block_rms", "add_decayed_weights", "trace"}
FULLEST = [
    max([row for row in ROWS if row[0] == name], key=lambda row: len(row[1]))
    for name, _ in ROWS
    if name not in WITHIN
]


@pytest.mark.parametrize(
    "name, kwargs",
    only(FULLEST, ROWS),
    ids=[f"{n}-{','.join(map(str, k)) or 'defaults'}" for n, k in ROWS],
)
def test_equals_its_twin(name, kwargs):
    """500 steps: a fixed stream of gradients; a closed loop at a constant and a falling rate."""
    rate = kwargs.get("learning_rate", 0.03)

    def runs(twin):
        """Of a stream, and of closed loops."""
        if name in RECIPES:
            one, two = (twin(name, {**kwargs, "learning_rate": r}) for r in (rate, SCHEDULE))
            still = (
                name.startswith(("prodigy", "schedule_free")) and "moving"
            )  # y is where x and z say
            return [(one, still), (one, True), (two, True)]
        one = twin(name, kwargs)
        rates = () if name in RATES else (0.03, SCHEDULE)
        loops = [chain(one, scale_by_learning_rate(rate)) for rate in rates]
        return [(one, False), *((tx, True) for tx in loops)]

    def written_out(tx):
        rates = (lambda s: 0.03, SCHEDULE)
        loops = [transcriptions.descend(tx, start(), 500, rate, slope) for rate in rates]
        return [transcriptions.rollout(tx, stream(), start()), *loops]

    with jax.enable_x64(True):
        # RMS at a constant rate dances around its goal: the same bits, or two loops part for good.
        dances = name in ("scale_by_rms", "scale_by_stddev", "rmsprop")
        effort = DEFAULT_EFFORT if dances else None
        twin = transcribed(name, kwargs)
        mine = runs(our)
        chosen = mine if twin else mine + runs(their)
        go = lambda: side_by_side(chosen, stream(), start())
        paths = jax.jit(go, compiler_options=effort)()
        theirs = written_out(twin) if twin else paths[len(mine) :]
        for i, (a, b) in enumerate(zip(paths[: len(mine)], theirs, strict=True)):
            if i == 1 and name in ARRIVING:
                a, b = (jax.tree.map(lambda x: x[:40], path) for path in (a, b))
            assert deviation(a, b) <= 1e-12


@pytest.mark.parametrize(
    "name, kwargs",
    [
        ("sgd", {"learning_rate": 0.03, "momentum": 0.9, "accumulator_dtype": "float32"}),
        ("adam", {"learning_rate": 0.03, "mu_dtype": "float32"}),
    ],
)
def test_narrow_memories_round_as_optax_s(name, kwargs):
    """A float32 memory of float64 gradients: stored rounded, handed on unrounded."""
    with jax.enable_x64(True):
        ours, theirs = (
            jax.jit(lambda twin=twin: rollout(twin(name, kwargs), stream(), start()))()
            for twin in (our, their)
        )
        key = "trace" if name == "sgd" else "mu"
        assert optax.tree.get(ours[1], key)["w"].dtype == jnp.float32
        # optax rounds b m to float32 too, before it adds the gradient
        assert 0 < deviation(ours[0], theirs[0]) < 5e-7


def test_flips_the_sign_without_a_rate():
    """optax 0.2.8 climbs: adadelta() there is adadelta(-1.0)."""
    ours = rollout(optimizers.adadelta(), stream(20), start())[0]
    theirs = rollout(optax.adadelta(), stream(20), start())[0]
    np.testing.assert_allclose(ours["w"], -theirs["w"], rtol=1e-5)
