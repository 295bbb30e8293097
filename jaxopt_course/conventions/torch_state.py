"""From PyTorch: a ``torch.optim`` optimizer in the middle of its training, brought over.

torch itself is not needed: a state dict is nested dicts of tensors or arrays.  Not in it, so to be
said: the schedule of the rate (``learning_rate=``), for SGD the number of steps done (``step=``,
which matters to a schedule only), and which parameter is which (``names=``), for torch numbers
them in the order in which they were given, JAX sorts dicts.

Surprises: torch skips parameters without a gradient altogether, decay included, so a parameter
that has no state while others of its group have one is frozen here; an attached scheduler leaves
only its present rate behind, so it must be given again; Linear weights are the transpose of
Flax's kernels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import optax

from jaxopt_course.base import ScalarOrSchedule
from jaxopt_course.conventions import torch
from jaxopt_course.conventions.odd_values import (
    refuse_odd_options,
    refuse_odd_state,
    refuse_odd_step,
)
from jaxopt_course.conventions.ports import Axes, array, filled, gathered, grouped, ordered, paths
from jaxopt_course.messages import unknown
from jaxopt_course.tree import Tree

# class -> our recipe, their option -> our argument, their memory -> field of our state
_DECOUPLED = {"decoupled_weight_decay": "decoupled_weight_decay"}
_ADAM = {"amsgrad": "amsgrad", **_DECOUPLED}
_MOMENTS = {"exp_avg": "mu", "exp_avg_sq": "nu", "max_exp_avg_sq": "nu_max"}
_CLASSES: dict[str, tuple[Any, dict[str, str], dict[str, str]]] = {
    "SGD": (
        torch.sgd,
        {"momentum": "momentum", "dampening": "dampening", "nesterov": "nesterov"},
        {"momentum_buffer": "trace"},
    ),
    "Adagrad": (
        torch.adagrad,
        {
            "lr_decay": "learning_rate_decay",
            "eps": "eps",
            "initial_accumulator_value": "initial_accumulator_value",
        },
        {"sum": "sum_of_squares"},
    ),
    "RMSprop": (
        torch.rmsprop,
        {"alpha": "decay", "eps": "eps", "centered": "centered", "momentum": "momentum"},
        {"square_avg": "nu", "grad_avg": "mu", "momentum_buffer": "trace"},
    ),
    "Adadelta": (
        torch.adadelta,
        {"rho": "rho", "eps": "eps"},
        {"square_avg": "e_g", "acc_delta": "e_x"},
    ),
    "Adam": (torch.adam, _ADAM, _MOMENTS),
    "AdamW": (torch.adam, _ADAM, _MOMENTS),
    "Adamax": (torch.adamax, {}, {"exp_avg": "mu", "exp_inf": "nu"}),
    "NAdam": (
        torch.nadam,
        {"momentum_decay": "momentum_decay", **_DECOUPLED},
        {**_MOMENTS, "mu_product": "mu_product"},
    ),
    "RAdam": (torch.radam, _DECOUPLED, _MOMENTS),
}
_COMMON = {"lr", "weight_decay", "maximize", "params", "param_names", "betas", "eps"}
_SPEED = {"foreach", "fused", "differentiable", "capturable"}  # how, not what, is computed
_SCHEDULED = {"initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr"}


def from_torch(
    state_dict: Mapping[str, Any],
    params: Tree,
    *,
    optimizer: str | None = None,
    names: Sequence[str] | None = None,
    transpose: Axes = False,
    learning_rate: ScalarOrSchedule | None = None,
    step: int | None = None,
) -> tuple[optax.GradientTransformationExtraArgs, Any]:
    """A torch optimizer's hyperparameters and memory: ``(tx, state)``, to go on training with.

    Args:
        state_dict: of ``optimizer.state_dict()``.
        params: the present parameters, a tree of arrays.
        optimizer: torch's class, where the options do not tell (AdamW of torch < 2.6).
        names: the path of the leaf ("dense/kernel") of each torch parameter, in torch's order;
            by default the order of ``jax.tree.leaves(params)``.  Leaves not named are frozen.
        transpose: True transposes all matrices (torch's Linear weights are those of Flax,
            transposed); or path -> axes, such as ``{"conv/kernel": (2, 3, 1, 0)}``.
        learning_rate: η of all groups, in the place of the state dict's; a schedule is called with
            the number of updates done, those in torch included.
        step: updates done, where the state does not say (SGD, or nothing at all).

    Returns:
        tx: one chain, or ``optax.partition`` of one chain a param group.
        state: of ``tx``, in the dtypes that its ``init`` gives.

    Raises:
        TypeError: an argument of another kind than said above.
        ValueError: an unknown class or option, another number of parameters or another shape (leaf
            in the message), parameters of one group with different numbers of steps, or a rate
            that a scheduler has set and ``learning_rate`` does not replace.

    >>> group = {"lr": 0.5, "momentum": 0.5, "dampening": 0, "weight_decay": 0, "nesterov": False}
    >>> groups = [group | {"params": [0]}]
    >>> memory = {"state": {0: {"momentum_buffer": [4.0]}}, "param_groups": groups}
    >>> import jax.numpy as jnp
    >>> w = jnp.array([1.0])
    >>> tx, state = from_torch(memory, {"w": w})
    >>> print(tx.update({"w": w}, state)[0])  # 0.5 · (0.5 · 4 + 1)
    {'w': Array([-1.5], dtype=float32)}
    """
    refuse_odd_state(state_dict)
    refuse_odd_options(params, optimizer, names, transpose, learning_rate)
    refuse_odd_step(step)
    groups = state_dict["param_groups"]
    indices = [i for group in groups for i in group["params"]]
    leaves = dict(zip(indices, ordered(names, params, len(indices), "torch"), strict=True))
    memory = {int(i): entry for i, entry in state_dict["state"].items()}
    transforms: dict[str, Any] = {}
    labels, states = {}, {}
    for number, group in enumerate(groups):
        label = f"group {number}"
        kind = optimizer or _infer(group, memory)
        transforms[label] = _transform(kind, group, learning_rate)
        started = [i for i in group["params"] if memory.get(i)]
        for i in group["params"]:
            labels[leaves[i]] = label if i in started or not started else "frozen"
        states[label] = _memories(
            kind, memory, started, leaves, params, transpose, step, callable(learning_rate)
        )
    labels = {path: labels.get(path, "frozen") for path in paths(params)}
    if "frozen" in labels.values():
        transforms["frozen"] = optax.set_to_zero()
    tx = grouped(transforms, labels, params)
    state = tx.init(params)
    if len(transforms) == 1:
        return tx, filled(state, states["group 0"])
    inner = {k: filled(s, states.get(k, {})) for k, s in state.inner_states.items()}
    return tx, state._replace(inner_states=inner)


def _infer(group: Mapping[str, Any], memory: Mapping[int, Any]) -> str:
    """The class of a param group, by its options."""
    tells = {
        "dampening": "SGD",
        "lr_decay": "Adagrad",
        "alpha": "RMSprop",
        "rho": "Adadelta",
        "momentum_decay": "NAdam",
    }
    for option, kind in tells.items():
        if option in group and "t0" not in group:  # ASGD has an alpha too
            return kind
    if "amsgrad" in group:
        if "decoupled_weight_decay" in group or not float(array(group["weight_decay"])):
            return "Adam"
        raise ValueError("Adam or AdamW? the options do not tell; say optimizer='Adam' or 'AdamW'")
    moments = set(group) - _COMMON - _SPEED - _SCHEDULED
    if "betas" in group and moments <= {"decoupled_weight_decay"}:
        entries = [entry for i in group["params"] if (entry := memory.get(i))]
        if moments:
            return "RAdam"
        if entries and "exp_inf" in entries[0]:
            return "Adamax"
    raise ValueError(
        f"no optimizer known for the options {sorted(group)}; say optimizer=, one of "
        f"{', '.join(_CLASSES)}"
    )


def _transform(kind: str, group: Mapping[str, Any], learning_rate: Any) -> Any:
    if kind not in _CLASSES:
        raise ValueError(unknown("torch optimizer", kind, _CLASSES))
    recipe, options, _ = _CLASSES[kind]
    allowed = _COMMON | _SPEED | _SCHEDULED | set(options)
    strange = sorted(set(group) - allowed)
    if kind == "AdamW" and "decoupled_weight_decay" not in group:
        group = {**group, "decoupled_weight_decay": True}
    if strange:
        raise ValueError(f"torch's {kind} with the option {strange[0]!r} cannot be brought over")
    if learning_rate is None and (scheduled := sorted(set(group) & _SCHEDULED)):
        raise ValueError(
            f"a scheduler has set the rate ({scheduled[0]!r}): give the schedule, or a number, "
            "as learning_rate="
        )
    arguments = {ours: _value(group[option]) for option, ours in options.items() if option in group}
    if "momentum" in arguments and not arguments["momentum"]:
        arguments["momentum"] = None
    if "betas" in group:
        arguments["b1"], arguments["b2"] = map(_value, group["betas"])
        arguments["eps"] = _value(group["eps"])
    rate = _value(group["lr"]) if learning_rate is None else learning_rate
    return recipe(
        learning_rate=rate,
        weight_decay=_value(group["weight_decay"]),
        maximize=group.get("maximize", False),
        **arguments,
    )


def _value(x: Any) -> Any:
    return x if isinstance(x, bool) else array(x).item()


def _memories(
    kind: str,
    memory: Mapping[int, Mapping[str, Any]],
    started: Sequence[int],
    leaves: Mapping[int, str],
    params: Tree,
    transpose: Axes,
    step: int | None,
    scheduled: bool,
) -> dict[str, Any]:
    """Field -> scalar or tree."""
    steps = {leaves[i]: int(array(memory[i]["step"])) for i in started if "step" in memory[i]}
    if len(set(steps.values())) > 1:
        raise ValueError(f"parameters of one group did different numbers of steps: {steps}")
    done = next(iter(steps.values()), step)
    fields: dict[str, Any] = {}
    for theirs, field in _CLASSES[kind][2].items():
        found = {leaves[i]: memory[i][theirs] for i in started if memory[i].get(theirs) is not None}
        if found and field == "mu_product":
            fields[field] = array(next(iter(found.values())))
        elif found:
            fields[field] = gathered(found, params, transpose, theirs, "torch")
    if done is None and scheduled:
        raise ValueError("the state does not say how many updates are done: a schedule needs step=")
    if done is None:
        done = 1 if fields else 0  # SGD does not count; dampening asks for the first step only
    return {**fields, "count": done}
