"""The ways in which torch saves an optimizer's state: numbered, by names, flat."""

from collections.abc import Mapping
from typing import Any

from jaxopt_course.conventions.arrays import refuse_deep, shape_of
from jaxopt_course.conventions.newer_states import whole_shape
from jaxopt_course.conventions.odd_states import refuse_odd_state
from jaxopt_course.conventions.pairing import Theirs

_NO_MEMORY = {"step", "mu_product"}  # scalars, whatever the parameter's shape


def nested(state_dict: Any) -> Any:
    """A state dict with ``state`` and ``param_groups``; a flat one's keys are taken apart.

    ``torch.distributed.checkpoint`` writes flat ones, "state.fc.weight.exp_avg" and
    "param_groups.fc.weight.lr"; parameters with equal options are then one group.

    Raises:
        ValueError: it is nested without reason.

    >>> nested({"param_groups.fc.weight.lr": 0.1})
    {'state': {}, 'param_groups': [{'lr': 0.1, 'params': ['fc.weight']}]}
    """
    refuse_deep([state_dict], "state_dict")
    flat = isinstance(state_dict, Mapping) and "param_groups" not in state_dict
    parts = {key: str(key).split(".") for key in state_dict} if flat else {}
    kinds = {split[0] for split in parts.values() if len(split) > 2}
    if not kinds or not kinds <= {"state", "param_groups"}:
        return state_dict
    found: dict[str, dict[str, dict[str, Any]]] = {"state": {}, "param_groups": {}}
    for key, split in parts.items():
        if len(split) > 2:
            found[split[0]].setdefault(".".join(split[1:-1]), {})[split[-1]] = state_dict[key]
    groups: dict[str, dict[str, Any]] = {}
    for name, options in found["param_groups"].items():
        text = repr(sorted(options.items()))
        groups.setdefault(text, {**options, "params": []})["params"].append(name)
    return {"state": found["state"], "param_groups": list(groups.values())}


def one_of(state_dicts: Any) -> Any:
    """One state dict; of several optimizers of one model, as if they were groups of one.

    Raises:
        TypeError, ValueError: see ``refuse_odd_state``; a list without any; two of them have a
            parameter of one name.

    >>> both = [{"state": {}, "param_groups": [{"lr": x, "params": [0]}]} for x in (0.1, 0.2)]
    >>> one_of(both)["param_groups"]
    [{'lr': 0.1, 'params': [0]}, {'lr': 0.2, 'params': [1]}]
    """
    if not isinstance(state_dicts, list | tuple):
        state_dict = nested(state_dicts)
        refuse_odd_state(state_dict)
        return state_dict
    refuse_deep([state_dicts], "state_dict")
    if not state_dicts:
        raise ValueError("state_dict= is an empty list: give optimizer.state_dict() of each")
    found: dict[str, Any] = {"state": {}, "param_groups": []}
    for state_dict in map(one_of, state_dicts):
        known = {key for group in found["param_groups"] for key in group["params"]}
        own = [key for group in state_dict["param_groups"] for key in group["params"]]
        if twice := [key for key in own if isinstance(key, str) and key in known]:
            raise ValueError(f"two of the state dicts have a parameter {twice[0]!r}")
        offset = sum(isinstance(key, int) for key in known)
        moved = {key: key + offset if isinstance(key, int) else key for key in own}
        found["state"] |= {moved[key]: x for key, x in memories_of(state_dict).items()}
        found["param_groups"] += [
            {**group, "params": [moved[key] for key in group["params"]]}
            for group in state_dict["param_groups"]
        ]
    return found


def parameters_of(state_dict: Mapping[str, Any]) -> dict[Any, Theirs]:
    """What is known of each parameter, by its number or name, in torch's order.

    Raises:
        ValueError: a parameter stands in two groups.

    >>> import numpy as np
    >>> group = {"params": [0], "param_names": ["fc.weight"]}
    >>> parameters_of({"state": {0: {"exp_avg": np.ones((2, 3))}}, "param_groups": [group]})
    {0: Theirs(name='fc.weight', shape=(2, 3), group=0)}
    """
    memories = memories_of(state_dict)
    found: dict[Any, Theirs] = {}
    for number, group in enumerate(state_dict["param_groups"]):
        keys = group["params"]
        names = group.get("param_names", [key if isinstance(key, str) else None for key in keys])
        for key, name in zip(keys, names, strict=True):
            if key in found:
                raise ValueError(f"torch's parameter {key!r} stands in two places of param_groups")
            found[key] = Theirs(name, _shape(memories.get(key, {})), number)
    return found


def memories_of(state_dict: Mapping[str, Any]) -> dict[Any, Mapping[str, Any]]:
    """The memories of each parameter, by the number or name that the groups have for it.

    Raises:
        ValueError: memories of a parameter that no group has.
    """
    known = {key for group in state_dict["param_groups"] for key in group["params"]}
    found = {}
    for key, entry in state_dict["state"].items():
        plain = isinstance(key, str) and len(key) < 10 and key.isdecimal() and key not in known
        own = int(key) if plain else key
        if own not in known:
            raise ValueError(f"state has memories of {key!r}, which is in no param group")
        found[own] = entry
    return found


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...] | None:
    if (shape := whole_shape(entry)) is not None:
        return shape
    for name, x in entry.items():
        if name not in _NO_MEMORY and x is not None:
            return shape_of(x, f"torch's {name}")
    return None
