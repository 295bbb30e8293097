"""Hypothesis strategies: trees of every shape and dtype, and hyperparameters for every function."""

import inspect
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from helpers import OF_MATRICES
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from traced_arguments import FUNCTIONS, SCHEDULES, STRUCTURE

settings.register_profile(
    "course",
    derandomize=True,
    deadline=None,
    max_examples=10,
    database=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow],  # a machine that pauses is no fault of the draw
)
few = settings(settings.get_profile("course"))

DTYPES = ["float32", "bfloat16", "float16", "float64"]
SHAPES = [(), (3,), (2, 3), (0, 2)]


class Pair(NamedTuple):
    """A node that is neither dict nor list."""

    left: object
    right: object


def leaves(dtypes=tuple(DTYPES), shapes=tuple(SHAPES)):
    """A shape and a dtype."""
    build = lambda shape, dtype: jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))
    return st.builds(build, st.sampled_from(shapes), st.sampled_from(dtypes))


def trees(leaf):
    """Nested dicts, lists, tuples and NamedTuples of leaves and None; perhaps empty."""
    names = st.sampled_from(["kernel", "bias", "0", "a.b", "norm/scale"])
    return st.recursive(
        st.one_of(leaf, st.none()),
        lambda tree: st.one_of(
            st.dictionaries(names, tree, max_size=3),
            st.lists(tree, max_size=3),
            st.tuples(tree, tree),
            st.builds(Pair, tree, tree),
        ),
        max_leaves=5,
    )


def fill(tree, seed, largest=2.0):
    """Arrays in the place of the shapes, |x| between 0.01 and ``largest``."""
    rng = np.random.default_rng(seed)

    def array(leaf):
        sizes = rng.uniform(0.01, largest, leaf.shape) * rng.choice([-1.0, 1.0], leaf.shape)
        return jnp.asarray(sizes, leaf.dtype)

    return jax.tree.map(array, tree)


# --- hyperparameters ---

_decay = st.floats(0.0, 0.99)
_small = st.floats(1e-4, 1e-1)
NUMBERS = {
    "learning_rate": _small,
    "step_size": st.floats(-2.0, 2.0),
    "momentum": _decay,
    "decay": _decay,
    "dampening": _decay,
    "momentum_decay": _small,
    "rho": _decay,
    "b1": _decay,
    "b2": _decay,
    "b3": _decay,
    "warmup_steps": st.floats(0.0, 5.0),
    "weight_lr_power": st.floats(0.0, 3.0),
    "estim_lr0": st.floats(1e-3, 0.1),
    "estim_lr_coef": st.floats(0.5, 2.0),
    "precondition_frequency": st.integers(1, 4),
    "b3_warmup": st.floats(0.0, 5.0),
    "alpha": st.floats(0.0, 8.0),
    "alpha_warmup": st.floats(0.0, 5.0),
    "eps": _small,
    "eps_root": _small,
    "initial_accumulator_value": st.floats(0.0, 1.0),
    "initial_scale": st.floats(0.0, 1.0),
    "weight_decay": st.floats(0.0, 0.5),
    "threshold": st.floats(4.5, 6.0),
    "max_delta": st.floats(0.125, 2.0),
    "max_norm": st.floats(0.125, 2.0),
    "beta": _decay,
    "min_norm": st.floats(0.0, 1.0),
    "trust_coefficient": st.floats(0.01, 1.0),
    "decay_rate": st.floats(0.2, 1.0),
    "epsilon": _small,
    "step_offset": st.floats(-3.0, 0.0),
    "decay_offset": st.floats(-3.0, 0.0),
    "weight_decay_rate": st.floats(0.0, 0.5),
    "clipping_threshold": st.floats(0.5, 2.0),
    "min_scale": _small,
}
SWITCHES = {
    "nesterov",
    "debias",
    "centered",
    "eps_in_sqrt",
    "eps_in_max",
    "eps_hat",
    "bias_correction",
    "bias_correction_mu",
    "bias_correction_nu",
    "max_before_correction",
    "use_clipping",
    "flip_sign",
    "safeguard_warmup",
}
CENTERED = {"rmsprop", "scale_by_stddev"}  # at ρ = 0 the variance is rounding alone
OTHERS = {
    "cautious",  # a piece around another
    "schedule_free",  # as well
    "lookahead",
    "sam",
    "switch",
    "scale_by_schedule",
    "partition_by_path",
    "freeze",
}  # no numbers of their own
OTHERS |= {"muon", *OF_MATRICES}  # these trees seldom hold a matrix: tests/test_muon.py
NAMES = sorted(x for x in FUNCTIONS.keys() - SCHEDULES - OTHERS if "." not in x)


def arguments(name, only=None):
    """Numbers and switches for the transformation or recipe ``name``; ``only`` those named."""
    drawn = {}
    for argument in inspect.signature(FUNCTIONS[name]).parameters:
        if argument in STRUCTURE or (only is not None and argument not in only):
            continue
        if argument not in NUMBERS and argument not in SWITCHES:
            raise KeyError(f"{name}({argument}=...): give it a range in tests/random_trees.py")
        drawn[argument] = NUMBERS.get(argument, st.booleans())
        if (name, argument) == ("clip_by_block_rms", "threshold"):
            drawn[argument] = st.floats(0.125, 2.0)
        if argument == "b1" and name.startswith("schedule_free"):
            drawn[argument] = st.floats(0.1, 0.99)  # at 0 it keeps no mean
        if argument == "decay" and name in CENTERED:
            drawn[argument] = st.floats(0.1, 0.99)
    return st.fixed_dictionaries(drawn)
