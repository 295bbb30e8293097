"""Which recipe of ours is a param group of a ``torch.optim`` optimizer, and with what numbers.

    class_of(groups, memory)            "Adam", by the options that the groups have
    transform_of("Adam", group, η)      our recipe with the group's numbers

Surprises: an attached scheduler leaves only its present rate behind, so it must be given again;
OneCycleLR and CyclicLR turn the momentum too, unless told ``cycle_momentum=False``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jaxopt_course.base import Scalar, ScalarOrSchedule, Transform
from jaxopt_course.conventions import torch
from jaxopt_course.conventions.arrays import number, shape_of
from jaxopt_course.conventions.newer_states import torch_matrices, torch_options
from jaxopt_course.conventions.odd_states import no_recipe
from jaxopt_course.conventions.pairing import Axes
from jaxopt_course.conventions.pieces import is_zero
from jaxopt_course.messages import unknown

Group = Mapping[str, Any]

# class -> our recipe, their option -> our argument, their memory -> field of our state
_DECOUPLED = {"decoupled_weight_decay": "decoupled_weight_decay"}
_ADAM = {"amsgrad": "amsgrad", **_DECOUPLED}
_MOMENTS = {"exp_avg": "mu", "exp_avg_sq": "nu", "max_exp_avg_sq": "nu_max"}
CLASSES: dict[str, tuple[Any, dict[str, str], dict[str, str]]] = {
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
    "Muon": (
        torch.muon,
        {"momentum": "beta", "nesterov": "nesterov", "eps": "eps", "ns_steps": "ns_steps"},
        {"momentum_buffer": "mu"},
    ),
    "Adafactor": (torch.adafactor, {"d": "clipping_threshold"}, {}),
}
_LISTED = {"Muon": {"ns_coefficients", "adjust_lr_fn"}, "Adafactor": {"eps", "beta2_decay"}}
_COMMON = {"lr", "weight_decay", "maximize", "params", "param_names", "betas", "eps"}
_SPEED = {"foreach", "fused", "differentiable", "capturable"}  # how, not what, is computed
_CYCLED = {"base_momentum", "max_momentum"}
_SCHEDULED = {"initial_lr", "max_lr", "min_lr", "swa_lr", *_CYCLED}


# an option that none but a class without a recipe here has
_ELSEWHERE = {"t0": "ASGD", "etas": "Rprop", "history_size": "LBFGS"}
# below 0 torch's own constructors refuse them
_AT_LEAST_0 = {"lr", "eps", "weight_decay", "lr_decay", "initial_accumulator_value"}
_AT_LEAST_0 |= {"momentum_decay", "momentum"}


def class_of(group: Group, memory: Iterable[Mapping[str, Any]]) -> str:
    """The class of a param group, by its options and by the memories that the optimizer has.

    Raises:
        ValueError: Adam or AdamW of torch < 2.6, or none that is known.

    >>> class_of({"lr": 0.1, "rho": 0.9, "eps": 1e-6, "weight_decay": 0}, [])
    'Adadelta'
    """
    tells = {
        "dampening": "SGD",
        "lr_decay": "Adagrad",
        "alpha": "RMSprop",
        "rho": "Adadelta",
        "momentum_decay": "NAdam",
        "ns_steps": "Muon",
        "beta2_decay": "Adafactor",
    }
    for told, kind in _ELSEWHERE.items():
        if told in group:
            raise ValueError(no_recipe("torch", kind, CLASSES))
    for told, kind in tells.items():
        if told in group:
            return kind
    if "amsgrad" in group:
        if "decoupled_weight_decay" in group or not option(group, "weight_decay"):
            return "Adam"
        raise ValueError("Adam or AdamW? the options do not tell; say optimizer='Adam' or 'AdamW'")
    moments = set(group) - _COMMON - _SPEED - _SCHEDULED
    if "betas" in group and moments <= {"decoupled_weight_decay"}:
        if moments:
            return "RAdam"
        if any("exp_inf" in entry for entry in memory):
            return "Adamax"
    raise ValueError(
        f"no optimizer known for the options {sorted(group)}; say optimizer=, one of "
        f"{', '.join(CLASSES)}"
    )


def refuse_unknown(kind: str) -> None:
    """Raise ValueError for a class that is no key of ``CLASSES``."""
    if kind in {*_ELSEWHERE.values(), "SparseAdam"}:
        raise ValueError(no_recipe("torch", kind, CLASSES))
    if kind not in CLASSES:
        raise ValueError(unknown("torch optimizer", kind, CLASSES))


def transform_of(
    kind: str,
    group: Group,
    learning_rate: ScalarOrSchedule | None,
    momentum: Scalar | None,
    transpose: Axes = False,
) -> Transform:
    """Our recipe with the numbers of a param group.

    Args:
        kind: a key of ``CLASSES``.
        group: of ``state_dict["param_groups"]``.
        learning_rate: η in the place of the group's, or None.
        momentum: μ, or β1, in the place of the group's, or None.
        transpose: which leaves lie as ours do; to Muon, inputs and outputs are not the same.

    Raises:
        ValueError: an unknown class or option, or a number that a scheduler turns and that is not
            replaced.

    >>> group = {"lr": 0.5, "rho": 0.5, "eps": 1.0, "weight_decay": 0}
    >>> tx = transform_of("Adadelta", group, None, None)
    >>> print(tx.update(4.0, tx.init(1.0))[0])  # 0.5 · 4 √1 / √(8 + 1)
    -0.6666667
    """
    refuse_unknown(kind)
    recipe, options, _ = CLASSES[kind]
    allowed = _COMMON | _SPEED | _SCHEDULED | set(options) | _LISTED.get(kind, set())
    strange = sorted(set(group) - allowed)
    if strange:
        raise ValueError(f"torch's {kind} with the option {strange[0]!r} cannot be brought over")
    _refuse_as_torch_does(group)
    _refuse_scheduled(group, learning_rate, momentum)
    if kind == "AdamW" and "decoupled_weight_decay" not in group:
        group = {**group, "decoupled_weight_decay": True}
    arguments = {ours: option(group, name) for name, ours in options.items() if name in group}
    if "betas" in group:
        arguments["b1"], arguments["b2"] = _betas(group["betas"])
        arguments["eps"] = option(group, "eps")
    arguments |= torch_options(kind, group)
    if kind == "Muon":
        arguments["muon_weight_dimension_numbers"] = torch_matrices(transpose)
    if momentum is not None:
        name = "b1" if "betas" in group else "beta" if kind == "Muon" else "momentum"
        if name not in arguments:
            raise ValueError(f"momentum={momentum}: torch's {kind} has none")
        arguments[name] = momentum
    if is_zero(arguments.get("momentum", 1)):
        arguments["momentum"] = None
        if "nesterov" in arguments:  # of a group's own; torch's constructor asks its defaults only
            arguments["nesterov"] = False
    if "maximize" in group:
        arguments["maximize"] = option(group, "maximize")
    return recipe(
        learning_rate=option(group, "lr") if learning_rate is None else learning_rate,
        weight_decay=option(group, "weight_decay"),
        **arguments,
    )


def _refuse_as_torch_does(group: Group) -> None:
    """What torch's own constructors refuse was written there by somebody else."""
    for name in sorted(_AT_LEAST_0 & set(group)):
        if not isinstance(group[name], list | tuple) and option(group, name) < 0:
            raise ValueError(
                f"a param group has {name}={option(group, name)}, and torch refuses one below 0: "
                "mend the state dict"
            )


def memories_kept(kind: str) -> set[str]:
    """The names of all that a class of torch may keep of a parameter.

    >>> sorted(memories_kept("SGD"))
    ['momentum_buffer', 'step']
    """
    factored = {"row_var", "col_var", "variance"} if kind == "Adafactor" else set()
    return {"step", *CLASSES[kind][2], *factored}


def _refuse_scheduled(group: Group, learning_rate: Any, momentum: Any) -> None:
    if momentum is None and (cycled := sorted(set(group) & _CYCLED)):
        raise ValueError(
            f"a scheduler turns the momentum ({cycled[0]!r}), which here is one number: train with "
            "OneCycleLR(..., cycle_momentum=False), or say with momentum= at which μ (β1 of Adam) "
            "it stays from now on"
        )
    if learning_rate is None and (scheduled := sorted(set(group) & _SCHEDULED)):
        raise ValueError(
            f"a scheduler has set the rate ({scheduled[0]!r}): give the schedule, or a number, "
            "as learning_rate="
        )


def remembers(kind: str, group: Group) -> bool:
    """Whether torch keeps a memory of each parameter that it trains: all do but plain SGD.

    >>> remembers("SGD", {"momentum": 0.0}), remembers("SGD", {"momentum": 0.9})
    (False, True)
    """
    return kind != "SGD" or ("momentum" in group and bool(option(group, "momentum")))


def keeps(group: Group, memory: str) -> bool:
    """Whether torch keeps a memory of that name under the group's options.

    >>> keeps({"amsgrad": False}, "max_exp_avg_sq"), keeps({"amsgrad": False}, "exp_avg_sq")
    (False, True)
    """
    asked = {"max_exp_avg_sq": "amsgrad", "grad_avg": "centered", "momentum_buffer": "momentum"}
    if memory not in asked:
        return True
    return asked[memory] in group and bool(option(group, asked[memory]))


def option(group: Group, name: str) -> Any:
    """An option as a Python number or switch; torch has tensors too.

    Raises:
        TypeError: it is no number.
        ValueError: the group has none of that name, or no finite one.

    >>> option({"lr": [0.5]}, "lr"), option({"nesterov": True}, "nesterov")
    (0.5, True)
    """
    if name not in group:
        raise ValueError(f"a param group without {name!r}; it has {sorted(group)}")
    return number(group[name], f"torch's {name}")


def _betas(betas: Any) -> tuple[Any, Any]:
    listed = betas if isinstance(betas, list | tuple) else ()
    if not listed and shape_of(betas, "torch's betas") == (2,):
        listed = list(betas)
    if len(listed) != 2:
        raise TypeError("torch's betas are two numbers")
    first, second = (number(b, "one of torch's betas") for b in listed)
    return first, second
