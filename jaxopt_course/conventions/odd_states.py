"""What a file says that it saved of an optimizer, refused by name where it cannot be that."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxopt_course.conventions.arrays import refuse_deep
from jaxopt_course.conventions.odd_values import odd
from jaxopt_course.tree import Tree, paths

DIGITS = 9  # of a parameter's number


def refuse_odd_state(state_dict: Any) -> None:
    """Of ``from_torch``.

    Raises:
        TypeError: not a state dict, or an entry of another kind than torch writes.
        ValueError: a dict without a state dict's keys.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(odd("state_dict", state_dict, "optimizer.state_dict()"))
    for key in ("param_groups", "state"):
        if key not in state_dict:
            raise ValueError(
                f"state_dict has no {key!r} but {sorted(map(str, state_dict))[:5]}: give the "
                f"optimizer's state_dict(), not {_instead(state_dict)}"
            )
    groups, memories = state_dict["param_groups"], state_dict["state"]
    if not isinstance(groups, list | tuple):
        raise TypeError(odd("state_dict['param_groups']", groups, "a list of param groups"))
    if not isinstance(memories, Mapping):
        raise TypeError(odd("state_dict['state']", memories, "a dict, memories by parameter"))
    for number, group in enumerate(groups):
        _refuse_odd_group(f"state_dict['param_groups'][{number}]", group)
    for key, entry in memories.items():
        name = f"state_dict['state'][{key!r}]"
        if not isinstance(entry, Mapping) or not _are_texts(entry):
            raise TypeError(odd(name, entry, "a dict, arrays by name"))


def _instead(state_dict: Mapping[Any, Any]) -> str:
    """What somebody gave in the place of an optimizer's state dict."""
    for key, x in state_dict.items():
        many = isinstance(x, list | tuple) and len(x) > 0  # a list of all, as Lightning has them
        first = x[0] if many else x
        if isinstance(first, Mapping) and "param_groups" in first:
            under = f"[{key!r}][0]" if many else f"{key!r}"
            return f"a whole checkpoint, in which it is under {under}"
    if "_last_lr" in state_dict or "last_epoch" in state_dict:
        return "its scheduler's: say the schedule with learning_rate="
    return "the model's or a whole checkpoint"


def _refuse_odd_group(name: str, group: Any) -> None:
    if not isinstance(group, Mapping) or not _are_texts(group):
        raise TypeError(odd(name, group, "a dict, options by name"))
    keys = group.get("params")
    if not isinstance(keys, list | tuple) or not all(
        isinstance(key, int | str) and not isinstance(key, bool) for key in keys
    ):
        raise TypeError(odd(f"{name}['params']", keys, "a list of numbers or names of parameters"))
    names = group.get("param_names", keys)
    if names is keys:
        return
    if not isinstance(names, list | tuple) or not _are_texts(names):
        raise TypeError(odd(f"{name}['param_names']", names, "a list of names"))
    if len(names) != len(keys):
        raise ValueError(f"{name} has {len(keys)} params and {len(names)} param_names")


def no_recipe(whose: str, kind: str, known: Iterable[str]) -> str:
    """That a framework's own class has no counterpart here.

    >>> no_recipe("torch", "ASGD", ["SGD", "Adam"]).partition(",")[0]
    "torch's ASGD has no recipe here"
    """
    return (
        f"{whose}'s {kind} has no recipe here, so that its state cannot be brought over: begin "
        f"anew from the present parameters with another, as like={whose.lower()!r} has them "
        f"({', '.join(known)})"
    )


def refuse_odd_config(config: Any, variables: Any, mask: Any, params: Tree) -> None:
    """Of ``from_keras``.

    Raises:
        TypeError: not a config, variables that are no list, or a mask that is no tree of bools.
        ValueError: a config without its rate, too few variables.
    """
    refuse_deep([config], "config")
    if not isinstance(config, Mapping) or not _are_texts(config):
        raise TypeError(odd("config", config, "optimizer.get_config()"))
    options = config.get("config") if "class_name" in config else config
    if isinstance(options, Mapping) and "inner_optimizer" in options:
        raise ValueError(
            "a LossScaleOptimizer wraps another optimizer: give the config and the variables of "
            "its inner_optimizer (its loss scale has no part in the updates)"
        )
    if not isinstance(options, Mapping) or "learning_rate" not in options:
        raise ValueError(
            f"config has no 'learning_rate' but {sorted(map(str, config))[:5]}: give the "
            "optimizer's get_config(), or keras.optimizers.serialize(optimizer)"
        )
    if not _are_texts(options):
        raise TypeError(odd("config['config']", options, "a dict, options by name"))
    if isinstance(variables, str | bytes | Mapping) or not hasattr(variables, "__len__"):
        raise TypeError(odd("variables", variables, "the list optimizer.variables"))
    refuse_deep([variables], "variables")
    if not len(variables):
        raise ValueError("variables is empty: give optimizer.variables, all of them, in order")
    if isinstance(mask, str | int | float):
        leaf = paths(params)[0]
        right = f"a tree of bools like params (leaves {leaf}, ...), or a function that makes one"
        raise TypeError(odd("mask", mask, right))


# how Keras calls the memory of each field; RMSprop calls v a velocity and its trace a momentum
_ROLES = {"nu_max": "velocity_hat", "sum_of_squares": "accumulator", "trace": "momentum"}
_ROLES |= {"mu": "momentum", "nu": "velocity", "z": "momentum", "v": "velocity"}
_ROLES |= {"e_g": "accumulated_grad", "e_x": "accumulated_delta_var"}
_OF_CLASS = {"Adamax": {"nu": "norm"}, "RMSprop": {"mu": "average_gradient"}}
_ROLE = re.compile(
    "_(velocity(?:_hat)?|momentum|norm|average_gradient|accumulat(?:or|ed_grad|ed_delta_var))"
    "(?:_[0-9]+)?$"
)


def refuse_other_order(
    kind: str, blocks: Sequence[Sequence[str]], called: Sequence[str | None], many: int
) -> None:
    """Of ``from_keras``: memories that by their paths are not those that stand there in Keras.

    Args:
        kind: Keras's class.
        blocks: our fields, as ``from_keras`` takes them one after the other.
        called: the path of each memory, None for an array without one.
        many: the number of parameters.

    Raises:
        ValueError: a memory of another kind, or of another parameter than those beside it.

    >>> refuse_other_order("Adam", [("mu", "nu")], ["adam/w_momentum", "adam/w_velocity"], 1)
    """
    fields = [(i, field) for block in blocks for i in range(many) for field in block]
    first: dict[int, str] = {}
    for (i, field), path in zip(fields, called, strict=True):
        found = _ROLE.search(path or "")
        if path is None or found is None:
            continue
        role, of = found[1], path[: found.start()]
        right = (_ROLES | _OF_CLASS.get(kind, {})).get(field, role)
        if role != right or first.setdefault(i, of) != of:
            raise ValueError(
                f"Keras's variables are in another order than Keras's {kind} has them: "
                f"{path!r} stands where the {right} of {first.get(i, f'parameter {i}')!r} does; "
                "give optimizer.variables as they are"
            )


def _are_texts(names: Iterable[Any]) -> bool:
    return all(isinstance(name, str) for name in names)
