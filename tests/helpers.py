"""Streams of gradients, small problems and the loops that run an optimizer through them."""

import dataclasses
import functools
import inspect
import time

import jax
import jax.numpy as jnp
import jaxlib.version
import numpy as np
import optax
from transcriptions import soap_twin, transcribed

import jaxopt_course.transforms as transforms
from jaxopt_course.base import Decay, apply_updates
from jaxopt_course.conventions import convention
from jaxopt_course.optimizers import OPTIMIZERS as RECIPES

# Of the compiler, as without tests/conftest.py.
DEFAULT_EFFORT: dict[str, int | bool] = {
    "xla_backend_optimization_level": 3,
    "xla_cpu_parallel_codegen_split_count": 32,
}
if jaxlib.version.__version_info__ < (0, 11):
    DEFAULT_EFFORT["xla_cpu_use_fusion_emitters"] = True
DECAYS = {"b1", "b2", "b3", "decay", "dampening", "rho", "momentum", "beta", "adam_b1", "adam_b2"}
SCALES = {"w": np.array([[1.0, 1e-2], [1e-4, 1e-6]]), "b": np.array([1e-8, 0.0])}


def stream(steps=500, seed=0):
    """Random gradients, each coordinate on a scale of its own (1 .. 1e-8, and one always 0)."""
    rng = np.random.default_rng(seed)
    return {k: rng.normal(size=(steps, *s.shape)) * s for k, s in SCALES.items()}


def start():
    """Parameters for :func:`stream` and :func:`quartic`."""
    return {"w": jnp.array([[0.5, -1.0], [2.0, 1.5]]), "b": jnp.array([-2.0, 1.0])}


def quartic(params):
    """½ Σ a (w - c)² + 0.0125 Σ w⁴, a between 0.1 and 3."""
    w = jnp.concatenate([params["w"].ravel(), params["b"]])
    a, c = jnp.linspace(0.1, 3.0, 6), jnp.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.0])
    return 0.5 * jnp.sum(a * (w - c) ** 2) + 0.0125 * jnp.sum(w**4)


def rollout(tx, gradients, params):
    """Feed a stream of gradients, parameters fixed: the updates, and the last state."""

    def step(state, g):
        u, state = tx.update(g, state, params)
        return state, u

    state, updates = jax.lax.scan(step, tx.init(params), gradients)
    return updates, state


def descend(tx, params, steps, loss=quartic):
    """Closed loop: the parameters after each step."""

    def step(carry, _):
        params, state = carry
        u, state = tx.update(jax.grad(loss)(params), state, params)
        params = apply_updates(params, u)
        return (params, state), params

    return jax.lax.scan(step, (params, tx.init(params)), length=steps)[1]


def stepwise(make, lanes=False):
    """:func:`rollout`, one program a step: it compiles in half the time of a scan.

    As in a scan, no kind of the state may change.

    Args:
        make: what is given, to a transformation.
        lanes: whether what is given has an axis of lanes; so have updates (before steps) and state.

    Returns:
        A function of gradients, parameters and what is given: the updates, and the last state.
    """
    init = lambda given, params: make(given).init(params)
    update = lambda given, g, state, params: make(given).update(g, state, params)
    if lanes:
        init = jax.vmap(init, in_axes=(0, None))
        update = jax.vmap(update, in_axes=(0, None, 0, None))
    update, kinds = jax.jit(update), lambda state: jax.tree.map(lambda x: (x.shape, x.dtype), state)

    def run(gradients, params, given=None):
        state, updates = init(given, params), []
        before, leaves = kinds(state), [np.asarray(x) for x in jax.tree.leaves(gradients)]
        for g in zip(*leaves, strict=True):
            g = jax.tree.unflatten(jax.tree.structure(gradients), g)
            u, state = update(given, g, state, params)
            updates.append(u)
        assert kinds(state) == before
        return jax.tree.map(lambda *u: np.stack(u, axis=int(lanes)), *updates), state

    return run


def processor_seconds(work):
    """What it gives, and its seconds of the processors, the fewer of twice: imports come once."""
    seconds = []
    for _ in range(2):
        start = time.process_time()
        given = work()
        seconds.append(time.process_time() - start)
    return given, min(seconds)


def counted(function):
    """``function`` under jit, and the kinds of arguments that it was traced for: one program each.

    The size of jit's cache would be what the programs of other tests have left in it.
    """
    kinds = set()

    def traced(*args):
        leaves, tree = jax.tree.flatten(args)
        kinds.add((tree, *map(jax.typeof, leaves)))
        return function(*args)

    return jax.jit(traced), kinds


def shifted(tx):
    """``tx`` on parameters that stay: it is told of some a gradient further on."""
    update = lambda g, s, p: tx.update(g, s, jax.tree.map(lambda x, d: x - d, p, g))
    return optax.GradientTransformation(tx.init, update)


def side_by_side(runs, gradients, params, loss=quartic):
    """:func:`rollout` and :func:`descend` of several in one scan, which compiles sooner than many.

    Args:
        runs: pairs of a transformation and whether its loop is closed; "moving" gives the stream
            to parameters that move.

    Returns:
        For each, the updates of the stream of gradients, or the parameters after each closed step.
    """
    slope = jax.grad(loss)

    def advance(tx, closed, params, state, g):
        u, state = tx.update(slope(params) if closed is True else g, state, params)
        moved = apply_updates(params, u) if closed else params
        return (moved, state), moved if closed else u

    def step(carries, g):
        both = zip(runs, carries, strict=True)
        after = [advance(*run, *carry, g) for run, carry in both]
        return [carry for carry, _ in after], [seen for _, seen in after]

    return jax.lax.scan(step, [(params, tx.init(params)) for tx, _ in runs], gradients)[1]


def deviation(ours, theirs):
    """The largest difference, relative to the largest size that the coordinate ever has."""
    worst = 0.0
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.isfinite(b).all()
        size = np.abs(b).max(axis=0)
        assert (a[:, size == 0] == 0).all()
        size = np.where(size == 0, 1, size)
        worst = max(worst, np.max(np.abs(a - b) / size))
    return worst


def defaults(recipe, kind):
    """The arguments of ``recipe`` whose default is a ``kind`` (float or bool)."""
    parameters = inspect.signature(recipe).parameters.values()
    return {p.name: p.default for p in parameters if type(p.default) is kind}


def as_arrays(numbers, dtype=np.float32):
    """Numbers as scalar arrays, decays as pairs, each rounded once from float64."""
    return {
        k: Decay(dtype(v), dtype(1 - v)) if k in DECAYS else dtype(v) for k, v in numbers.items()
    }


def assert_trees_close(ours, theirs, rtol=1e-6, atol=0.0):
    """Same structure, dtypes and shapes; values within the tolerance."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert jnp.shape(a) == jnp.shape(b) and jnp.result_type(a) == jnp.result_type(b)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def assert_trees_equal(ours, theirs):
    """Same structure, dtypes, shapes and bits (but for the sign of 0)."""
    assert_trees_close(ours, theirs, rtol=0)


# --- every transformation and recipe, and its optax twin ---


def optax_s(name):
    """optax's function of that name, of ``optax.contrib`` too; or None."""
    return getattr(optax, name, None) or getattr(optax.contrib, name, None)


@functools.wraps(optax.lookahead)
def optax_s_lookahead(*args, **kwargs):
    """optax's, whose parameters are the fast weights; the state is its own and the slow weights."""
    tx = optax.lookahead(*args, **kwargs)

    def init(params):
        return tx.init(optax.LookaheadParams.init_synced(params)), params

    def update(g, state, params):
        u, inside = tx.update(g, state[0], optax.LookaheadParams(fast=params, slow=state[1]))
        return u.fast, (inside, apply_updates(state[1], u.slow))

    return optax.GradientTransformation(init, update)


def _with_warm_ups(name):
    """AdEMAMix's as the paper writes them, as schedules for optax."""

    def twin(*args, b1=0.9, b3=0.9999, alpha=None, b3_warmup=0.0, alpha_warmup=0.0, **rest):
        make = optax_s(name)
        alpha = inspect.signature(make).parameters["alpha"].default if alpha is None else alpha

        def longer(s):
            share = jnp.minimum((s + 1) / b3_warmup, 1)
            first, last = np.log(b1), np.log(b3)
            return jnp.exp(first * last / ((1 - share) * last + share * first))

        growing = lambda s: alpha * jnp.minimum((s + 1) / alpha_warmup, 1)
        slow = longer if b3_warmup else b3
        return make(*args, b1=b1, b3=slow, alpha=growing if alpha_warmup else alpha, **rest)

    return twin


def _adafactor(
    learning_rate=None,
    min_dim_size_to_factor=128,
    decay_rate=0.8,
    decay_offset=0,
    multiply_by_parameter_scale=True,
    clipping_threshold=1.0,
    momentum=None,
    dtype_momentum=jnp.float32,
    weight_decay_rate=None,
    eps=1e-30,
    factored=True,
    weight_decay_mask=None,
):
    """optax's, link by link: there V's decay is a float32, whatever the parameters are."""
    pieces = [
        _factored(factored, decay_rate, decay_offset, min_dim_size_to_factor, eps),
        *([] if clipping_threshold is None else [optax.clip_by_block_rms(clipping_threshold)]),
        *(
            []
            if learning_rate is None
            else [optax.scale_by_learning_rate(learning_rate, flip_sign=False)]
        ),
        *([optax.scale_by_param_block_rms()] if multiply_by_parameter_scale else []),
        *([] if momentum is None else [optax.ema(momentum, False, dtype_momentum)]),
    ]
    if weight_decay_rate is not None:
        pieces.append(optax.add_decayed_weights(weight_decay_rate, weight_decay_mask))
    return optax.chain(*pieces, optax.scale(-1))


def _factored(*args, **kwargs):
    exact = lambda step, d: 1 - jnp.asarray(step + 1, float) ** -d
    return optax.scale_by_factored_rms(*args, decay_rate_fn=exact, **kwargs)


def _schedule_free(base):
    """optax's, each step weighed by its own rate: there it is the next one's (optax#1744)."""

    def twin(learning_rate, warmup_steps=None, b1=0.9, weight_lr_power=2.0, **rest):
        dtype = rest.pop("state_dtype", None)

        def rate(s):
            eta = learning_rate(s) if callable(learning_rate) else learning_rate
            return eta * jnp.minimum(s / np.float64(warmup_steps), 1) if warmup_steps else eta

        return optax.contrib.schedule_free(
            base(rate, **rest), lambda t: jnp.asarray(rate(t - 1)), b1, weight_lr_power, dtype
        )

    return twin


def _rms(rate, b2=0.999, eps=1e-8, weight_decay=0.0, mask=None):
    rms = optax.scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True)
    return optax.chain(rms, _descent(rate, weight_decay, mask))


def _descent(rate, weight_decay=0.0, mask=None):
    decay = optax.add_decayed_weights(weight_decay, mask)
    return optax.chain(decay, optax.scale_by_learning_rate(rate))


def _prodigy(around):
    """optax's, whose betas are a pair."""

    def twin(learning_rate=1.0, b1=0.9, b2=0.999, b3=None, **rest):
        tx = optax.contrib.prodigy(learning_rate, (b1, b2), b3, **rest)
        return around(tx, learning_rate)

    return twin


def _soap(learning_rate=0.003, weight_decay=0.01, mask=None, **rest):
    decay = optax.add_decayed_weights(weight_decay, mask)
    return optax.chain(soap_twin(**rest), decay, optax.scale_by_learning_rate(learning_rate))


TWINS = {
    "prodigy": _prodigy(lambda tx, eta: tx),
    "scale_by_prodigy": _prodigy(lambda tx, eta: optax.chain(tx, optax.scale(-1.0))),
    "scale_by_soap": soap_twin,
    "soap": _soap,
    "schedule_free_adamw": _schedule_free(_rms),
    "schedule_free_sgd": _schedule_free(_descent),
    "ademamix": _with_warm_ups("ademamix"),
    "scale_by_ademamix": _with_warm_ups("scale_by_ademamix"),
    "adafactor": _adafactor,
    "scale_by_factored_rms": _factored,
    "momentum": lambda learning_rate, momentum=0.9: optax.sgd(learning_rate, momentum),
    "nesterov": lambda learning_rate, momentum=0.9: optax.sgd(learning_rate, momentum, True),
    "ema_momentum": lambda learning_rate, decay=0.9: optax.chain(
        optax.ema(decay, debias=False), optax.scale_by_learning_rate(learning_rate)
    ),
    # without a rate optax does not flip the sign
    "scale_by_learning_rate": lambda learning_rate=1.0, **kw: optax.scale_by_learning_rate(
        learning_rate, **kw
    ),
}

SCHEDULE_FREE = {"learning_rate": 0.1, "warmup_steps": 12.0, "b1": 0.8, "weight_decay": 0.1}
SCHEDULE_FREE |= {"weight_lr_power": 2.0}
PRODIGY = {"learning_rate": 0.5, "b1": 0.9, "b2": 0.99, "b3": 0.9, "eps": 1e-3, "estim_lr0": 0.1}
PRODIGY |= {"estim_lr_coef": 1.0, "weight_decay": 0.1}
SOAP = {"b1": 0.9, "b2": 0.99, "b3": 0.8, "eps": 1e-3, "precondition_frequency": 4.0}
ADEMAMIX = {"b1": 0.9, "b2": 0.99, "b3": 0.95, "alpha": 5.0, "eps": 1e-3, "eps_root": 1e-3}
ADEMAMIX |= {"b3_warmup": 12.0, "alpha_warmup": 12.0}

# name -> numbers that matter (eps included), and switches that may be traced
PIECES = {
    "trace": ({"decay": 0.9}, ["nesterov"]),
    "dampened_trace": ({"decay": 0.9, "dampening": 0.5}, ["nesterov"]),
    "ema": ({"decay": 0.9}, ["debias"]),
    "scale_by_rss": ({"initial_accumulator_value": 0.1, "eps": 1e-3}, ["eps_in_sqrt"]),
    "scale_by_rms": (
        {"decay": 0.9, "eps": 1e-3, "initial_scale": 0.1},
        ["eps_in_sqrt", "bias_correction"],
    ),
    "scale_by_stddev": (
        {"decay": 0.9, "eps": 1e-3, "initial_scale": 0.1},
        ["eps_in_sqrt", "bias_correction", "centered"],
    ),
    "scale_by_adadelta": ({"rho": 0.9, "eps": 1e-3}, []),
    "scale_by_adam": (
        {"b1": 0.9, "b2": 0.99, "eps": 1e-3, "eps_root": 1e-3},
        ["nesterov", "eps_hat", "bias_correction_mu", "bias_correction_nu"],
    ),
    "scale_by_adamax": ({"b1": 0.9, "b2": 0.5, "eps": 1e-3}, ["eps_in_max"]),
    "scale_by_amsgrad": (
        {"b1": 0.9, "b2": 0.99, "eps": 1e-3, "eps_root": 1e-3},
        ["bias_correction_mu", "bias_correction_nu", "max_before_correction", "eps_hat"],
    ),
    "scale_by_nadam": ({"b1": 0.9, "b2": 0.99, "eps": 1e-3, "momentum_decay": 0.5}, []),
    "scale_by_radam": (
        {"b1": 0.9, "b2": 0.99, "eps": 0.1, "eps_root": 0.01, "threshold": 5.0},
        ["nesterov", "eps_hat"],
    ),
    "scale_by_lion": ({"b1": 0.9, "b2": 0.5}, []),
    "scale_by_ademamix": (ADEMAMIX, []),
    "scale_by_prodigy": (PRODIGY, ["safeguard_warmup", "bias_correction"]),
    "scale_by_soap": (SOAP, []),
    "clip": ({"max_delta": 0.5}, []),
    "clip_by_norm": ({"max_norm": 0.5}, []),
    "clip_by_global_norm": ({"max_norm": 0.5}, []),
    "add_decayed_weights": ({"weight_decay": 0.1}, []),
    "scale": ({"step_size": 0.3}, []),
    "scale_by_learning_rate": ({"learning_rate": 0.3}, ["flip_sign"]),
    "sgd": ({"learning_rate": 0.1, "momentum": 0.9}, ["nesterov"]),
    "momentum": ({"learning_rate": 0.1, "momentum": 0.9}, []),
    "ema_momentum": ({"learning_rate": 0.1, "decay": 0.9}, []),
    "nesterov": ({"learning_rate": 0.1, "momentum": 0.9}, []),
    "adagrad": ({"learning_rate": 0.1, "initial_accumulator_value": 0.1, "eps": 1e-3}, []),
    "rmsprop": (
        {"learning_rate": 0.1, "decay": 0.9, "eps": 1e-3, "initial_scale": 0.1, "momentum": 0.9},
        ["eps_in_sqrt", "centered", "nesterov", "bias_correction"],
    ),
    "adadelta": ({"learning_rate": 0.1, "rho": 0.9, "eps": 1e-3, "weight_decay": 0.1}, []),
    "adam": (
        {"learning_rate": 0.1, "b1": 0.9, "b2": 0.99, "eps": 1e-3, "eps_root": 1e-3},
        ["nesterov"],
    ),
    "adamw": (
        {
            "learning_rate": 0.1,
            "b1": 0.9,
            "b2": 0.99,
            "eps": 1e-3,
            "eps_root": 1e-3,
            "weight_decay": 0.1,
        },
        ["nesterov"],
    ),
    "adamax": ({"learning_rate": 0.1, "b1": 0.9, "b2": 0.5, "eps": 1e-3}, []),
    "amsgrad": (
        {"learning_rate": 0.1, "b1": 0.9, "b2": 0.99, "eps": 1e-3, "eps_root": 1e-3},
        ["bias_correction_mu", "bias_correction_nu"],
    ),
    "nadam": (
        {"learning_rate": 0.1, "b1": 0.9, "b2": 0.99, "eps": 1e-3, "eps_root": 1e-3},
        ["nesterov"],
    ),
    "radam": (
        {
            "learning_rate": 0.1,
            "b1": 0.9,
            "b2": 0.99,
            "eps": 0.1,
            "eps_root": 0.01,
            "threshold": 5.0,
        },
        ["nesterov"],
    ),
    "lion": ({"learning_rate": 0.1, "b1": 0.9, "b2": 0.5, "weight_decay": 0.1}, []),
    "ademamix": ({"learning_rate": 0.1, **ADEMAMIX, "weight_decay": 0.1}, []),
    "muon": (
        {
            "learning_rate": 0.1,
            "beta": 0.9,
            "eps": 0.1,
            "weight_decay": 0.1,
            "adam_b1": 0.9,
            "adam_b2": 0.99,
            "adam_eps_root": 1e-3,
            "adam_weight_decay": 0.1,
        },
        ["nesterov", "adaptive"],
    ),
    "scale_by_belief": ({"b1": 0.9, "b2": 0.99, "eps": 1e-3, "eps_root": 1e-3}, ["nesterov"]),
    "scale_by_adan": (
        {"b1": 0.9, "b2": 0.8, "b3": 0.99, "eps": 1e-3, "eps_root": 1e-3},
        ["bias_correction"],
    ),
    "scale_by_adopt": ({"b1": 0.9, "b2": 0.99, "eps": 0.5}, ["nesterov", "use_clipping"]),
    "scale_by_sign": ({}, []),
    "scale_by_trust_ratio": ({"min_norm": 5.0, "trust_coefficient": 0.5, "eps": 0.1}, []),
    "scale_by_factored_rms": ({"decay_rate": 0.8, "epsilon": 0.1}, ["eps_in_max"]),
    "clip_by_block_rms": ({"threshold": 0.5}, []),
    "scale_by_param_block_rms": ({"min_scale": 3.0}, []),
    "nadamw": (
        {
            "learning_rate": 0.1,
            "b1": 0.9,
            "b2": 0.99,
            "eps": 1e-3,
            "eps_root": 1e-3,
            "weight_decay": 0.1,
        },
        ["nesterov"],
    ),
    "signum": ({"learning_rate": 0.1, "beta": 0.9}, []),
    "adabelief": (
        {"learning_rate": 0.1, "b1": 0.9, "b2": 0.99, "eps": 1e-3, "eps_root": 1e-3},
        ["nesterov"],
    ),
    "adan": (
        {
            "learning_rate": 0.1,
            "b1": 0.9,
            "b2": 0.8,
            "b3": 0.99,
            "eps": 1e-3,
            "eps_root": 1e-3,
            "weight_decay": 0.1,
        },
        [],
    ),
    "adopt": (
        {"learning_rate": 0.1, "b1": 0.9, "b2": 0.99, "eps": 0.5},
        ["nesterov", "use_clipping"],
    ),
    "lamb": (
        {
            "learning_rate": 0.1,
            "b1": 0.9,
            "b2": 0.99,
            "eps": 1e-3,
            "eps_root": 1e-3,
            "weight_decay": 0.1,
        },
        [],
    ),
    "lars": (
        {
            "learning_rate": 0.1,
            "weight_decay": 0.1,
            "trust_coefficient": 0.5,
            "eps": 0.1,
            "momentum": 0.9,
        },
        ["nesterov"],
    ),
    "adafactor": (
        {"learning_rate": 0.1, "decay_rate": 0.8, "clipping_threshold": 0.5, "eps": 0.1},
        [],
    ),
    "schedule_free_adamw": ({**SCHEDULE_FREE, "b2": 0.99, "eps": 1e-3}, []),
    "schedule_free_sgd": (SCHEDULE_FREE, []),
    "prodigy": (PRODIGY, ["safeguard_warmup"]),
    "soap": ({"learning_rate": 0.1, **SOAP, "weight_decay": 0.1}, []),
}
# of three links and more
CHAINS = {"rmsprop", "adadelta", "adamw", "nadamw", "lion", "adan", "lamb", "lars", "adafactor"}
CHAINS |= {"muon", "signum", "ademamix", "schedule_free_adamw", "schedule_free_sgd", "soap"}
# with a number of the whole leaf
OF_LEAVES = {"scale_by_trust_ratio", "clip_by_block_rms", "lamb", "lars", "adafactor"}
OF_LEAVES |= {"clip_by_norm", "clip_by_global_norm"}
# of matrices alone: tests/test_muon.py
OF_MATRICES = {"matrix_axes", "orthogonalize", "scale_by_muon", "scale_by_shape"}


def our(name, kwargs):
    """The transformation or recipe ``name`` of this package."""
    return (RECIPES.get(name) or getattr(transforms, name))(**kwargs)


def their(name, kwargs):
    """Its optax twin; where optax has none, the formula of another framework in NumPy."""
    return transcribed(name, kwargs) or (TWINS.get(name) or optax_s(name))(**kwargs)


def kept(state, field):
    """What a state has under this name, in each of its groups."""
    return [value for _, value in optax.tree.get_all_with_path(state, field)]


def reuse(patch, *studies):
    """Programs that these studies compiled serve wherever a bucket of theirs is to be compiled."""
    programs = {
        tuple(made.bucket.static.items()): made
        for study in studies
        for made in study._session.programs.values()
    }
    patch.setattr(
        "jaxopt_course.studies.session.compile_bucket",
        lambda bucket, *_: dataclasses.replace(
            programs[tuple(bucket.static.items())], bucket=bucket
        ),
    )


OWED = {"weight_decay": 0.1, "alpha": 5.0, "b3_warmup": 3.0, "alpha_warmup": 3.0}  # no defaults


def of_convention(name, rate):
    """The recipe called "torch.adam" and the like, with what it asks for."""
    like, _, recipe = name.partition(".")
    make = convention(recipe, like)
    asked = [p.name for p in inspect.signature(make).parameters.values() if p.default is p.empty]
    return make(rate, **{key: OWED[key] for key in asked if key in OWED})
