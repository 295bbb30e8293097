"""From Keras: a ``keras.optimizers`` optimizer in the middle of its training, brought over.

Keras itself is not needed: a config is a dict, variables are arrays.  Not in either, so to be said:
variables excluded from weight decay (``mask=``) and, unless the variables' paths tell, which
variable is which (``names=``), for Keras lists them in the order of the layers, JAX sorts dicts.

Surprises: RMSprop's momentum buffer has the opposite sign of SGD's; ``get_config()`` does not name
its class, which Adamax, Nadam and Lamb share all options with (``keras.optimizers.serialize`` names
it).  On torch, Keras 3.15's ScheduleFreeAdamW takes its new z for the old one (one tensor, written
in place), so that from there on it is another method than on JAX, which is the one here.
"""

import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from jaxopt_course.base import ScalarOrSchedule
from jaxopt_course.conventions import keras
from jaxopt_course.conventions.arrays import number, shape_of, step_count
from jaxopt_course.conventions.keras_schedules import schedule_from_keras
from jaxopt_course.conventions.newer_states import factored, keras_muon, keras_muon_memories
from jaxopt_course.conventions.odd_states import no_recipe, refuse_odd_config, refuse_other_order
from jaxopt_course.conventions.odd_values import refuse_odd_options, refuse_odd_rates
from jaxopt_course.conventions.pairing import (
    Axes,
    Theirs,
    leaf_of_each,
    spelled,
    warn_of_left_out,
)
from jaxopt_course.conventions.ports import filled, gathered, grouped
from jaxopt_course.messages import unknown
from jaxopt_course.tree import Tree, paths

# class -> our recipe, their option -> our argument ("" for none of its own), the memories in their
# order: those in one tuple alternate from variable to variable
_MOMENTS = {"beta_1": "b1", "beta_2": "b2", "epsilon": "eps"}
_MUON_S = (  # see keras_muon
    *("muon_a", "muon_b", "muon_c", "exclude_layers", "exclude_embeddings", "rms_rate"),
    "adam_weight_decay",
)
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
    "Lamb": (keras.lamb, _MOMENTS, (("mu", "nu"),)),
    "ScheduleFreeAdamW": (
        keras.schedule_free_adamw,
        {**_MOMENTS, "warmup_steps": "warmup_steps"},
        (("z", "nu"),),
    ),
    "Adafactor": (
        keras.adafactor,
        {
            "beta_2_decay": "decay_rate",
            "epsilon_1": "eps",
            "epsilon_2": "eps2",
            "clip_threshold": "clipping_threshold",
            "relative_step": "",
        },
        (("v_row", "v_col", "v"),),
    ),
    "Muon": (
        keras.muon,
        {
            "adam_beta_1": "adam_b1",
            "adam_beta_2": "adam_b2",
            "epsilon": "eps",
            "adam_lr_ratio": "adam_lr_ratio",
            "momentum": "beta",
            "ns_steps": "ns_steps",
            "nesterov": "nesterov",
            **dict.fromkeys(_MUON_S, ""),
        },
        (),
    ),
    "Lion": (keras.lion, {"beta_1": "b1", "beta_2": "b2"}, (("mu",),)),
}
_COMMON = {"name", "learning_rate", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm"}
_UNUSED = {"ema_momentum", "ema_overwrite_frequency"}  # without use_ema
_MUST_BE_OFF = {  # and the way out
    "use_ema": "go on from a fresh optimizer, inside joc.ema_params for the mean of the weights",
    "loss_scale_factor": "leave it out of the config, it has no part in the updates",
    "gradient_accumulation_steps": "go on from a fresh optimizer, inside optax.MultiSteps",
}
_ELSEWHERE = ("Ftrl", "MultiOptimizer")  # without a recipe here


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
            frozen; a warning tells of those that Keras's paths leave out.
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
            shape (leaf in the message), memories that are not finite, or of one shape whose leaves
            nothing tells, averaging, accumulation or loss scaling.

    >>> import jax.numpy as jnp
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
        learning_rate = schedule_from_keras(rate) if scheduled else number(rate, "learning_rate")
    arrays = [v[1] if isinstance(v, tuple | list) and _is_pair(v) else v for v in variables]
    first = 1 if scheduled else 2  # after the count and the rate
    count = step_count(arrays[0], "Keras's first variable, the updates done,")
    memory, called = arrays[first:], _names(variables)[first:]
    absent = {
        "trace": not arguments.get("momentum"),
        "nu_max": not arguments.get("amsgrad"),
        "mu": kind == "RMSprop" and not arguments.get("centered"),
    }
    blocks = [block for block in layout if not absent.get(block[0], False)]
    fields: dict[str, Any] = {"count": count}
    if kind == "Muon":
        order, own = _muon(config, memory, variables[first:], names, params, transpose, arguments)
        if names is None:
            warn_of_left_out(order, params, "Keras")
        fields |= own
        return _brought(recipe(learning_rate=learning_rate, **arguments), order, params, fields)
    if kind == "ScheduleFreeAdamW":  # whose mean is the plain one
        fields |= {"step_count": count, "weight_sum": count}
    if kind == "Nadam" and memory:
        fields["mu_product"] = number(memory.pop(), "Nadam's last variable, the product of μ,")
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
    theirs = [Theirs(None, None)] * many
    if width:
        refuse_other_order(kind, blocks, _paths(variables)[first:][: len(memory)], many)
        # the last of each: Adafactor's rows and columns have no names of their own
        last = slice(len(blocks[0]) - 1, many * len(blocks[0]), len(blocks[0]))
        shapes = [shape_of(m, "a memory of Keras's") for m in memory[last]]
        theirs = [Theirs(*each) for each in zip(called[last], shapes, strict=True)]
    order = leaf_of_each(names, theirs, params, transpose, "Keras")
    if names is None:
        warn_of_left_out(order, params, "Keras")
    for block in blocks:
        part, memory = memory[: many * len(block)], memory[many * len(block) :]
        if kind == "Adafactor":
            fields |= _factored(order, part, params, transpose)
            continue
        for i, field in enumerate(block):
            found = dict(zip(order, part[i :: len(block)], strict=True))
            fields[field] = gathered(found, params, transpose, field, "Keras")
            if kind == "RMSprop" and field == "trace":
                fields[field] = jax.tree.map(operator.neg, fields[field])
    return _brought(recipe(learning_rate=learning_rate, **arguments), order, params, fields)


def _brought(
    tx: Any, order: Sequence[str], params: Tree, fields: Mapping[str, Any]
) -> tuple[optax.GradientTransformationExtraArgs, Any]:
    """The recipe for the leaves of ``order``, the others frozen, and its state."""
    labels = {path: "trained" if path in order else "frozen" for path in paths(params)}
    transforms = {"trained": tx}
    if "frozen" in labels.values():
        transforms["frozen"] = optax.set_to_zero()
    tx = grouped(transforms, labels, params)
    return tx, filled(tx.init(params), fields)


def _factored(
    order: Sequence[str], part: Sequence[Any], params: Tree, transpose: Axes
) -> dict[str, Any]:
    """Of Adafactor's R, C and V by variable; a vector has only V, and a matrix's is not kept."""
    triples = dict(zip(order, zip(part[::3], part[1::3], part[2::3], strict=True), strict=True))
    is_matrix = lambda triple: len(shape_of(triple[2], "a memory of Keras's")) > 1
    pick = lambda i, matrix: {k: x[i] for k, x in triples.items() if is_matrix(x) == matrix}
    return factored(pick(0, True), pick(1, True), pick(2, False), params, transpose, "Keras")


def _muon(
    config: Mapping[str, Any],
    memory: Sequence[Any],
    variables: Sequence[Any],
    names: Sequence[str] | None,
    params: Tree,
    transpose: Axes,
    arguments: dict[str, Any],
) -> tuple[list[str], dict[str, Any]]:
    """The leaf of each variable, and Muon's and Adam's memories; adds to ``arguments``."""
    if not memory:
        raise ValueError("Keras's Muon is not built yet: it has no memories")
    word = re.compile("(momentum|velocity)(_[0-9]+)?$")
    ends = [None if path is None else word.search(path) for path in _paths(variables)]
    pairs = keras_muon_memories(memory, [end and end[1] for end in ends])
    both = zip(_names(variables), ends, strict=True)
    called = [name for name, end in both if end and end[1] == "momentum"]
    shapes = [shape_of(m, "a momentum of Keras's") for m, _ in pairs]
    theirs = [Theirs(*each) for each in zip(called, shapes, strict=True)]
    order = leaf_of_each(names, theirs, params, transpose, "Keras")
    momenta = {leaf: m for leaf, (m, _) in zip(order, pairs, strict=True)}
    velocities = {leaf: v for leaf, (_, v) in zip(order, pairs, strict=True) if v is not None}
    arguments |= keras_muon(config, list(velocities))
    m = gathered(momenta, params, transpose, "momentum", "Keras")
    v = gathered(velocities, params, transpose, "velocity", "Keras")
    return order, {"trace": m, "mu": m, "nu": v}


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
        if given in _ELSEWHERE:
            raise ValueError(no_recipe("Keras", given, _CLASSES))
        if not isinstance(given, str) or given not in _CLASSES:
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


def _is_off(x: Any) -> bool:
    return x is None or (isinstance(x, bool | int | float | np.number) and x == 0)


def _arguments(kind: str, config: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    for name, way in _MUST_BE_OFF.items():
        if not _is_off(config.get(name)):
            raise ValueError(
                f"Keras's {name}={str(config[name])[:40]!r} cannot be brought over: {way}"
            )
    strange = sorted(set(config) - _COMMON - _UNUSED - set(_MUST_BE_OFF) - set(options))
    if strange:
        raise ValueError(f"Keras's {kind} with the option {strange[0]!r} cannot be brought over")
    own = {t: o for t, o in options.items() if o and t in config}
    arguments = {o: number(config[t], f"Keras's {t}") for t, o in own.items()}
    if "decay_rate" in arguments:  # an exponent below 0 there
        arguments["decay_rate"] = -arguments["decay_rate"]
    if "momentum" in arguments and not arguments["momentum"]:
        arguments["momentum"] = None
    for name in ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm"):
        given = config.get(name)
        arguments[name] = None if given is None else number(given, f"Keras's {name}")
    return arguments
