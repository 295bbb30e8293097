"""Arguments of the wrong kind, refused by name before they fail somewhere inside."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_course.conventions.ports import paths
from jaxopt_course.messages import unknown
from jaxopt_course.tree import Tree


def refuse_odd_options(
    params: Tree, optimizer: Any, names: Any, transpose: Any, learning_rate: Any
) -> None:
    """What ``from_torch`` and ``from_keras`` have in common.

    Raises:
        TypeError: a value of another type than the argument takes; the message has the right ones.
        ValueError: ``params`` without leaves, ``transpose`` for an unknown leaf or with axes that
            are none.

    >>> refuse_odd_options({"w": 0.0}, "Adam", ["w"], {"w": ()}, 0.1)
    """
    leaves = paths(params)
    if not leaves:
        raise ValueError("params has no leaves: give the tree of the present parameters")
    if optimizer is not None and not isinstance(optimizer, str):
        raise TypeError(_odd("optimizer", optimizer, "the name of the class, such as 'Adam'"))
    if names is not None and not _are_strings(names):
        raise TypeError(_odd("names", names, f"a list of paths, such as {leaves[:1]}"))
    if isinstance(transpose, Mapping):
        for path, axes in transpose.items():
            if path not in leaves:
                raise ValueError(unknown("leaf in transpose=", path, leaves))
            _refuse_odd_axes(path, axes)
    elif not isinstance(transpose, bool | np.bool_):
        sizes = zip(leaves, map(np.ndim, jax.tree.leaves(params)), strict=True)
        leaf = next((path for path, axes in sizes if axes == 2), "dense/kernel")
        right = f"True (all matrices), False, or axes by path, such as {{{leaf!r}: (1, 0)}}"
        raise TypeError(_odd("transpose", transpose, right))
    is_rate = callable(learning_rate) or np.ndim(learning_rate) == 0  # None has no axis
    if isinstance(learning_rate, str | bool | Mapping) or not is_rate:
        raise TypeError(_odd("learning_rate", learning_rate, "a number or a schedule"))


def refuse_odd_state(state_dict: Any) -> None:
    """Of ``from_torch``.

    Raises:
        TypeError: not a state dict.
        ValueError: a dict without a state dict's keys.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(_odd("state_dict", state_dict, "optimizer.state_dict()"))
    for key in ("param_groups", "state"):
        if key not in state_dict:
            raise ValueError(
                f"state_dict has no {key!r} but {sorted(map(str, state_dict))[:5]}: give the "
                "optimizer's state_dict(), not the model's or a whole checkpoint"
            )


def refuse_odd_step(step: Any) -> None:
    """Of ``from_torch``.

    Raises:
        TypeError: not a whole number.
        ValueError: a negative one.
    """
    if step is None:
        return
    if isinstance(step, bool) or np.ndim(step) or np.asarray(step).dtype.kind not in "iu":
        raise TypeError(_odd("step", step, "a whole number, the updates done"))
    if step < 0:
        raise ValueError(f"step={step}: the updates done are at least 0")


def refuse_odd_config(config: Any, variables: Any, mask: Any, params: Tree) -> None:
    """Of ``from_keras``.

    Raises:
        TypeError: not a config, variables that are no list, or a mask that is no tree of bools.
        ValueError: a config without its rate, too few variables.
    """
    if not isinstance(config, Mapping):
        raise TypeError(_odd("config", config, "optimizer.get_config()"))
    options = config.get("config") if "class_name" in config else config
    if not isinstance(options, Mapping) or "learning_rate" not in options:
        raise ValueError(
            f"config has no 'learning_rate' but {sorted(map(str, config))[:5]}: give the "
            "optimizer's get_config(), or keras.optimizers.serialize(optimizer)"
        )
    if isinstance(variables, str | Mapping) or not hasattr(variables, "__len__"):
        raise TypeError(_odd("variables", variables, "the list optimizer.variables"))
    if not len(variables):
        raise ValueError("variables is empty: give optimizer.variables, all of them, in order")
    if isinstance(mask, str | int | float):
        leaf = paths(params)[0]
        right = f"a tree of bools like params (leaves {leaf}, ...), or a function that makes one"
        raise TypeError(_odd("mask", mask, right))


def refuse_odd_comparison(a: Any, b: Any, optimizer: Any, steps: Any) -> None:
    """Of ``explain``.

    Raises:
        TypeError: names that are no strings, steps that are no whole number.
        ValueError: fewer than one step.
    """
    for name, value, right in (
        ("a", a, "a framework, such as 'keras'"),
        ("b", b, "a framework, such as 'torch'"),
        ("optimizer", optimizer, "a recipe, such as 'adam'"),
    ):
        if not isinstance(value, str):
            raise TypeError(_odd(name, value, right))
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer):
        raise TypeError(_odd("steps", steps, "a whole number"))
    if steps < 1:
        raise ValueError(f"steps={steps}: at least 1 is needed to measure anything")


def _odd(name: str, value: Any, right: str) -> str:
    text = repr(value)
    text = text if len(text) <= 40 else f"{text[:37]}..."
    return f"{name}= is {right}; got {text} ({type(value).__name__})"


def _are_strings(names: Any) -> bool:
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    return listed and all(isinstance(name, str) for name in names)


def _refuse_odd_axes(path: str, axes: Any) -> None:
    whole = isinstance(axes, Sequence) and all(isinstance(axis, int) for axis in axes)
    if not whole or isinstance(axes, str) or sorted(axes) != list(range(len(axes))):
        raise ValueError(
            f"transpose= of {path} is {axes!r}; it is an order of axes, such as (1, 0) of a matrix "
            "or (2, 3, 1, 0) of a kernel of torch's Conv2d"
        )
