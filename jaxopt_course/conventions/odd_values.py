"""Arguments of the wrong kind, refused by name before they fail somewhere inside."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_course.describe import check_never_negative
from jaxopt_course.messages import unknown
from jaxopt_course.tree import Tree, paths

_DECAYS = {"momentum", "rho", "b1", "b2", "b3", "decay", "beta", "adam_b1", "adam_b2"}
_SCHEDULED = {"learning_rate", "weight_decay", "multiplier"}
_SCHEDULED |= {"adam_learning_rate", "adam_weight_decay"}
_PERHAPS = {"momentum", "consistent_rms"}  # none of it is a value of it
# whose kind is checked where it is used
_FREE = {"mask", "ns_coeffs", "ns_dtype", "muon_weight_dimension_numbers", "exclude_layers"}


def checked_arguments(signature: inspect.Signature, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a framework's recipe, switches as Python bools where they are known.

    Args:
        signature: a switch has a bool as its default; None is an argument's value only where it is
            its default, and as a momentum.
        given: by name.

    Raises:
        TypeError: no number (or schedule, where one is taken), or a switch that is no bool.
        ValueError: a decay outside [0, 1], an ε or λ below 0.

    >>> def recipe(learning_rate=0.1, nesterov=False): ...
    >>> checked_arguments(inspect.signature(recipe), {"nesterov": 1})
    {'nesterov': True}
    """
    checked = dict(given)
    check_never_negative(given)
    for name, value in given.items():
        default = signature.parameters[name].default
        if name in _FREE or (value is None and (default is None or name in _PERHAPS)):
            continue
        if isinstance(default, bool):
            if isinstance(value, str) or value is None:
                raise TypeError(odd(name, value, "True or False"))
            if isinstance(value, int | np.bool_):
                checked[name] = bool(value)
        elif value is None or isinstance(value, str | Mapping | list):
            right = "a number or a schedule" if name in _SCHEDULED else "a number"
            way = "" if default is inspect.Parameter.empty else f"; leave it out for {default}"
            raise TypeError(odd(name, value, right) + way)
        elif name in _DECAYS and _is_number(value) and not 0 <= value <= 1:
            raise ValueError(f"{name}={value}: the share that is kept is in [0, 1]")
    return checked


def refuse_odd_options(
    params: Tree,
    optimizer: Any,
    names: Any,
    transpose: Any,
    momentum: Any = None,
    frozen: Any = None,
) -> None:
    """What ``from_torch`` and ``from_keras`` have in common, and torch's own.

    Raises:
        TypeError: a value of another type than the argument takes; the message has the right ones.
        ValueError: ``params`` without leaves, ``transpose`` for an unknown leaf or with axes that
            are none.

    >>> refuse_odd_options({"w": 0.0}, "Adam", ["w"], {"w": ()}, 0.9, [])
    """
    leaves = paths(params)
    if not leaves:
        raise ValueError("params has no leaves: give the tree of the present parameters")
    if optimizer is not None and not isinstance(optimizer, str):
        raise TypeError(odd("optimizer", optimizer, "the name of the class, such as 'Adam'"))
    if names is not None and not _are_strings(names):
        raise TypeError(odd("names", names, f"a list of paths, such as {leaves[:1]}"))
    if isinstance(transpose, Mapping):
        for path, axes in transpose.items():
            if path not in leaves:
                raise ValueError(unknown("leaf in transpose=", path, leaves))
            _refuse_odd_axes(path, axes)
    elif not isinstance(transpose, bool | np.bool_):
        sizes = zip(leaves, map(np.ndim, jax.tree.leaves(params)), strict=True)
        leaf = next((path for path, axes in sizes if axes == 2), "dense/kernel")
        right = f"True (all matrices), False, or axes by path, such as {{{leaf!r}: (1, 0)}}"
        raise TypeError(odd("transpose", transpose, right))
    if momentum is not None and not _is_scalar(momentum):
        raise TypeError(odd("momentum", momentum, "a number"))
    if frozen is not None and not _are_strings(frozen):
        right = f"a list of paths or patterns, such as {leaves[:1]}, or [] for none"
        raise TypeError(odd("frozen", frozen, right))


def refuse_odd_rates(learning_rate: Any, groups: int | None = None) -> None:
    """Of both: None, one for all, or a list of one a param group.

    Raises:
        TypeError: no number and no schedule.
        ValueError: another number of rates than of groups.

    >>> refuse_odd_rates([0.1, lambda step: 0.1 / (1 + step)], groups=2)
    """
    if groups is not None and isinstance(learning_rate, list | tuple):
        if len(learning_rate) != groups:
            raise ValueError(
                f"learning_rate= has {len(learning_rate)} rates, torch {groups} param groups"
            )
        rates = learning_rate
    else:
        rates = [] if learning_rate is None else [learning_rate]
    for rate in rates:
        if not callable(rate) and not _is_scalar(rate):
            raise TypeError(odd("learning_rate", rate, "a number or a schedule"))


def refuse_odd_step(step: Any) -> None:
    """Of ``from_torch``.

    Raises:
        TypeError: not a whole number.
        ValueError: a negative one.
    """
    if step is None:
        return
    if isinstance(step, bool) or np.ndim(step) or np.asarray(step).dtype.kind not in "iu":
        raise TypeError(odd("step", step, "a whole number, the updates done"))
    if step < 0:
        raise ValueError(f"step={step}: the updates done are at least 0")


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
            raise TypeError(odd(name, value, right))
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer):
        raise TypeError(odd("steps", steps, "a whole number"))
    if steps < 1:
        raise ValueError(f"steps={steps}: at least 1 is needed to measure anything")


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.number)


def _is_scalar(x: Any) -> bool:
    return not isinstance(x, str | bool | Mapping) and x is not None and np.ndim(x) == 0


def odd(name: str, value: Any, right: str) -> str:
    """That an argument is something else than ``right``."""
    text = repr(value)
    text = text if len(text) <= 40 else f"{text[:37]}..."
    return f"{name}= is {right}; got {text} ({type(value).__name__})"


def _are_strings(names: Any) -> bool:
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    return listed and all(isinstance(name, str) for name in names)


def _refuse_odd_axes(path: str, axes: Any) -> None:
    whole = isinstance(axes, Sequence) and all(isinstance(axis, int | np.integer) for axis in axes)
    if not whole or isinstance(axes, str) or sorted(axes) != list(range(len(axes))):
        raise ValueError(
            f"transpose= of {path} is {axes!r}; it is an order of axes, such as (1, 0) of a matrix "
            "or (2, 3, 1, 0) of a kernel of torch's Conv2d"
        )
