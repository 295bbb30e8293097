"""From Keras: a ``keras.optimizers`` optimizer in the middle of its training, brought over.

Keras itself is not needed: a config is a dict, variables are arrays.  Not in either, so to be said:
variables excluded from weight decay (``mask=``) and, unless the variables' paths tell, which
variable is which (``names=``), for Keras lists them in the order of the layers, JAX sorts dicts.

Surprises: RMSprop's momentum buffer has the opposite sign of SGD's; ``get_config()`` does not name
its class, which Adamax, Nadam and Lamb share all options with (``keras.optimizers.serialize`` names
it); a boundary b of PiecewiseConstantDecay still belongs to the rate before it;
CosineDecay takes the cosine in float32 whatever the floatx (6e-8 of the rate), copied here.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_course.base import ScalarOrSchedule, Schedule, number
from jaxopt_course.conventions import keras
from jaxopt_course.conventions.odd_values import (
    refuse_odd_config,
    refuse_odd_options,
    refuse_odd_rates,
)
from jaxopt_course.conventions.pairing import Axes, Theirs, leaf_of_each, spelled
from jaxopt_course.conventions.ports import array, filled, gathered, grouped
from jaxopt_course.messages import unknown
from jaxopt_course.schedules import (
    exponential_decay,
    inverse_time_decay,
    polynomial_schedule,
)
from jaxopt_course.schedules.ranges import reached
from jaxopt_course.tree import Tree, paths

# class -> our recipe, their option -> our argument, the memories in their order: those in one
# tuple alternate from variable to variable
_MOMENTS = {"beta_1": "b1", "beta_2": "b2", "epsilon": "eps"}
_CLASSES: dict[str, tuple[Any, dict[str, str], tuple[tuple[str, ...], ...]]] = {
    "SGD": (keras.sgd, {"momentum": "momentum", "nesterov": "nesterov"}, (("trace",),)),
    "Adagrad": (
        keras.adagrad,
        {"initial_accumulator_value": "initial_accumulator_value", "epsilon": "eps"},
        (("sum_of_squares",),),
    ),
    "RMSprop": (
        keras.rmsprop,
        {"rho": "decay", "momentum": "momentum", "epsilon": "eps", "centered": "centered"},
        (("nu",), ("trace",), ("mu",)),
    ),
    "Adadelta": (keras.adadelta, {"rho": "rho", "epsilon": "eps"}, (("e_g", "e_x"),)),
    "Adam": (keras.adam, {**_MOMENTS, "amsgrad": "amsgrad"}, (("mu", "nu"), ("nu_max",))),
    "AdamW": (keras.adam, {**_MOMENTS, "amsgrad": "amsgrad"}, (("mu", "nu"), ("nu_max",))),
    "Adamax": (keras.adamax, _MOMENTS, (("mu", "nu"),)),
    "Nadam": (keras.nadam, _MOMENTS, (("mu", "nu"),)),
    "Lion": (keras.lion, {"beta_1": "b1", "beta_2": "b2"}, (("mu",),)),
}
_COMMON = {"name", "learning_rate", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm"}
_UNUSED = {"ema_momentum", "ema_overwrite_frequency"}  # without use_ema
_MUST_BE_OFF = ("use_ema", "loss_scale_factor", "gradient_accumulation_steps")


def from_keras(
    config: Mapping[str, Any],
    variables: Sequence[Any],
    params: Tree,
    *,
    optimizer: str | None = None,
    names: Sequence[str] | None = None,
    transpose: Axes = False,
    learning_rate: ScalarOrSchedule | None = None,
    mask: Any = None,
) -> tuple[optax.GradientTransformationExtraArgs, Any]:
    """A Keras optimizer's hyperparameters and memory: ``(tx, state)``, to go on training with.

    Args:
        config: of ``optimizer.get_config()``, or ``keras.optimizers.serialize(optimizer)``, which
            says the class too.
        variables: ``optimizer.variables``, or their arrays in that order, or (path, array) pairs.
        params: the present parameters, a tree of arrays.
        optimizer: Keras's class, where the options do not tell (Adamax, Nadam).
        names: the path of the leaf ("dense/kernel") of each trainable variable, in Keras's order.
            By default those that the variables' paths name, where all name one; else the order of
            ``jax.tree.leaves(params)``, where another one would not fit.  Leaves not named are
            frozen.
        transpose: as in ``from_torch``; Keras's kernels are laid out as Flax's.
        learning_rate: η, in the place of the config's; a schedule is called with the number of
            updates done, those in Keras included.
        mask: which leaves decay; a tree of bools or a function that makes one.

    Returns:
        tx: one chain, or ``optax.partition`` of it and the frozen leaves.
        state: of ``tx``, in the dtypes that its ``init`` gives.

    Raises:
        TypeError: an argument of another kind than said above.
        ValueError: an unknown class, option or schedule, another number of variables or another
            shape (leaf in the message), memories of one shape whose leaves nothing tells,
            averaging, accumulation or loss scaling.

    >>> config = {"learning_rate": 0.5, "momentum": 0.5, "nesterov": False}
    >>> w = jnp.array([1.0])
    >>> tx, state = from_keras(config, [1, 0.5, [-2.0]], {"w": w})
    >>> print(tx.update({"w": w}, state)[0])  # 0.5 · (-2) - 0.5
    {'w': Array([-1.5], dtype=float32)}
    """
    refuse_odd_config(config, variables, mask, params)
    if isinstance(transpose, Mapping):
        transpose = dict(zip(spelled(list(transpose), params), transpose.values(), strict=True))
    refuse_odd_options(params, optimizer, names, transpose)
    refuse_odd_rates(learning_rate)
    kind, config = _class(optimizer, config, variables)
    recipe, options, layout = _CLASSES[kind]
    arguments = _arguments(kind, config, options)
    if mask is not None:
        arguments["mask"] = mask
    scheduled = isinstance(config["learning_rate"], Mapping)
    if learning_rate is None:
        rate = config["learning_rate"]
        learning_rate = schedule_from_keras(rate) if scheduled else float(rate)
    arrays = [array(v[1] if isinstance(v, tuple | list) and _is_pair(v) else v) for v in variables]
    first = 1 if scheduled else 2  # after the count and the rate
    count, memory, called = int(arrays[0]), arrays[first:], _names(variables)[first:]
    absent = {
        "trace": not arguments.get("momentum"),
        "nu_max": not arguments.get("amsgrad"),
        "mu": kind == "RMSprop" and not arguments["centered"],
    }
    blocks = [block for block in layout if not absent.get(block[0], False)]
    fields: dict[str, Any] = {"count": count}
    if kind == "Nadam":
        fields["mu_product"] = memory.pop()
    width = sum(map(len, blocks))
    if not width and memory:
        raise ValueError(f"Keras's {kind} has {len(memory)} variables, but no memory is expected")
    many = len(memory) // width if width else len(names or paths(params))
    if width and len(memory) % width:
        raise ValueError(
            f"Keras's {kind} has {len(memory)} memories, {width} a parameter are expected"
        )
    if width and not memory:
        raise ValueError(f"Keras's {kind} is not built yet: it has no memories")
    each = len(blocks[0]) if blocks else 1
    theirs = [
        Theirs(called[i * each], memory[i * each].shape) if width else Theirs(None, None)
        for i in range(many)
    ]
    order = leaf_of_each(names, theirs, params, transpose, "Keras")
    for block in blocks:
        part, memory = memory[: many * len(block)], memory[many * len(block) :]
        for i, field in enumerate(block):
            found = dict(zip(order, part[i :: len(block)], strict=True))
            if kind == "RMSprop" and field == "trace":
                found = {path: -x for path, x in found.items()}
            fields[field] = gathered(found, params, transpose, field, "Keras")
    tx = recipe(learning_rate=learning_rate, **arguments)
    labels = {path: "trained" if path in order else "frozen" for path in paths(params)}
    transforms = {"trained": tx}
    if "frozen" in labels.values():
        transforms["frozen"] = optax.set_to_zero()
    tx = grouped(transforms, labels, params)
    return tx, filled(tx.init(params), fields)


def _is_pair(x: Sequence[Any]) -> bool:
    return len(x) == 2 and isinstance(x[0], str)


def _paths(variables: Sequence[Any]) -> list[str | None]:
    """The paths of variables of Keras, or of (path, array) pairs; None for arrays."""
    pairs = [v[0] if isinstance(v, tuple | list) and _is_pair(v) else None for v in variables]
    own = [getattr(v, "path", None) for v in variables]
    return [a if a is not None else b for a, b in zip(pairs, own, strict=True)]


def _names(variables: Sequence[Any]) -> list[str | None]:
    """The parameters' paths, "/" written "_": "dense_kernel" of "adam/dense_kernel_velocity"."""
    memory = "momentum|velocity(_hat)?|average_gradient|accumulat(or|ed_grad|ed_delta_var)|norm"
    bare = lambda path: re.sub(f"_({memory})(_[0-9]+)?$", "", path.partition("/")[2] or path)
    return [None if path is None else bare(path) for path in _paths(variables)]


def _class(
    given: str | None, config: Mapping[str, Any], variables: Sequence[Any]
) -> tuple[str, Mapping[str, Any]]:
    """The class of a config, by its name or its options, and the options."""
    if "class_name" in config:
        given, config = given or config["class_name"], config["config"]
    if given is not None:
        if given not in _CLASSES:
            raise ValueError(unknown("Keras optimizer", given, _CLASSES))
        return given, config
    own = set(config) - _COMMON - _UNUSED - set(_MUST_BE_OFF)
    fits = [kind for kind, (_, options, _) in _CLASSES.items() if own == set(options)]
    if "Adam" in fits:  # AdamW is the same
        return "Adam", config
    if len(fits) == 1:
        return fits[0], config
    called = [path for path in _paths(variables) if path is not None]
    if "Adamax" in fits and any(path.endswith("_norm") for path in called):
        return "Adamax", config
    raise ValueError(
        f"no single optimizer known for the options {sorted(own)}; say optimizer=, one of "
        f"{', '.join(_CLASSES)}, or give keras.optimizers.serialize(optimizer)"
    )


def _arguments(kind: str, config: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    for name in _MUST_BE_OFF:
        if config.get(name):
            raise ValueError(f"Keras's {name}={config[name]} cannot be brought over")
    strange = sorted(set(config) - _COMMON - _UNUSED - set(_MUST_BE_OFF) - set(options))
    if strange:
        raise ValueError(f"Keras's {kind} with the option {strange[0]!r} cannot be brought over")
    arguments = {ours: config[theirs] for theirs, ours in options.items() if theirs in config}
    if "momentum" in arguments and not arguments["momentum"]:
        arguments["momentum"] = None
    arguments["weight_decay"] = config.get("weight_decay")
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        arguments[name] = config.get(name)
    return arguments


def schedule_from_keras(config: Mapping[str, Any]) -> Schedule:
    """A schedule of ours from ``keras.optimizers.schedules.serialize(schedule)``.

    Args:
        config: its class and options.

    Returns:
        A schedule: step (), int32 -> rate ().

    Raises:
        ValueError: CosineDecayRestarts, a cycling PolynomialDecay, or an unknown class.

    >>> options = {"initial_learning_rate": 1.0, "decay_steps": 2, "decay_rate": 1.0}
    >>> print(schedule_from_keras({"class_name": "InverseTimeDecay", "config": options})(2))
    0.5
    """
    kind, c = config["class_name"], config["config"]
    if kind not in _SCHEDULES:
        raise ValueError(unknown("Keras schedule", kind, _SCHEDULES))
    return _SCHEDULES[kind](c)


def _inverse_time(c: Mapping[str, Any]) -> Schedule:
    steps = c["decay_steps"]
    if c.get("staircase"):
        falling = inverse_time_decay(c["initial_learning_rate"], c["decay_rate"])
        return lambda step: falling(step // steps)
    return inverse_time_decay(c["initial_learning_rate"], c["decay_rate"] / steps)


def _exponential(c: Mapping[str, Any]) -> Schedule:
    start, steps, staircase = (
        c["initial_learning_rate"],
        c["decay_steps"],
        c.get("staircase", False),
    )
    if c["decay_rate"] == 0:  # Keras's 0^0 is 1, and then there is no rate; ours would hold it
        first = steps if staircase else 1
        return lambda step: jnp.where(step < first, number(start), 0)
    return exponential_decay(start, steps, c["decay_rate"], staircase=staircase)


def _cosine(c: Mapping[str, Any]) -> Schedule:
    start, steps, share = c["initial_learning_rate"], c["decay_steps"], c.get("alpha", 0.0)
    warms = c.get("warmup_target") is not None  # then from the target, also after a warm-up of 0
    warm, peak = (c.get("warmup_steps", 0), c["warmup_target"]) if warms else (0, start)

    def schedule(step: Any) -> jax.Array:
        top, low = number(peak), number(start)
        s = jnp.asarray(step, top.dtype)
        # Keras's cosine is float32, whatever its floatx; so is all after it: after a warm-up in one
        # compiled branch, where × and + round once, else operation by operation
        rounded = lambda x: x.astype(jnp.float32).astype(top.dtype)
        angle = math.pi * (jnp.clip(s - warm, 0, steps) / steps)
        cosine = jnp.cos(angle.astype(jnp.float32))
        if warms:
            fall = top * ((1 - share) * (0.5 * (1 + cosine)) + share)
        else:
            wave = 0.5 * rounded(1 + cosine.astype(top.dtype))
            level = rounded(rounded(rounded(number(1 - share)) * wave) + rounded(number(share)))
            fall = rounded(rounded(top) * level)
        return jnp.where(s < warm, low + (top - low) * s / max(warm, 1), fall)

    return schedule


def _polynomial(c: Mapping[str, Any]) -> Schedule:
    if c.get("cycle"):
        raise ValueError("Keras's PolynomialDecay with cycle=True cannot be brought over")
    start, end = c["initial_learning_rate"], c["end_learning_rate"]
    return polynomial_schedule(start, end, c["power"], c["decay_steps"])


def _piecewise(c: Mapping[str, Any]) -> Schedule:
    def schedule(step: Any) -> jax.Array:
        values = jnp.stack([number(value) for value in c["values"]])
        passed = [reached(step, math.floor(b) + 1) for b in c["boundaries"]]
        return values[sum(map(jnp.int32, passed))]

    return schedule


_SCHEDULES = {
    "InverseTimeDecay": _inverse_time,
    "ExponentialDecay": _exponential,
    "CosineDecay": _cosine,
    "PolynomialDecay": _polynomial,
    "PiecewiseConstantDecay": _piecewise,
}
