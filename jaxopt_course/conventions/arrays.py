"""Arrays and numbers of any framework, looked at before they are copied.

A file of a stranger's may hold anything: text where a number belongs, an array of one number that
says it has a billion, lists in lists without an end.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxopt_course.base import LAST_STEP, within_int32

DEEPEST = 40  # lists in lists in dicts; a state has 4 levels, and an array's lists a few more
LARGEST = float(np.finfo(np.float32).max)


def array(x: Any, what: str = "the array") -> np.ndarray:
    """A copy of a tensor of any framework as a NumPy array; bfloat16 widened to float32.

    A copy, because the framework goes on writing to its own memory, which JAX may share.

    Args:
        x: a tensor, an array, a variable of Keras, lists of numbers, a number.
        what: it is, for the message.

    Raises:
        TypeError: it is none of numbers.

    >>> array([1.0, 2.0])
    array([1., 2.])
    """
    try:
        found = _copy(x)
    except Exception as error:  # tensors fail in as many ways as there are frameworks
        raise TypeError(_no_numbers(x, what)) from error
    if found.dtype != bool and not jnp.issubdtype(found.dtype, np.number):
        raise TypeError(_no_numbers(x, what))
    return found


def _copy(x: Any) -> np.ndarray:
    x = _inner(x)  # whose value is a tensor of torch, where Keras stands on it
    if hasattr(x, "detach"):  # torch
        x = x.full_tensor() if hasattr(x, "full_tensor") else x  # DTensor: in pieces, on many
        x = x.detach().cpu()
        x = x.float() if "bfloat16" in str(x.dtype) else x
        return np.array(x.numpy())
    return np.array(x)


def _inner(x: Any) -> Any:
    return x.value if hasattr(x, "value") and hasattr(x, "path") else x  # a variable of Keras


def shape_of(x: Any, what: str = "the array") -> tuple[int, ...]:
    """The shape of :func:`array` of ``x``; a tensor's or an array's own, without a copy.

    So is that of arrays in lists: the first may claim to be of any size.

    >>> shape_of([[1.0, 2.0]]), shape_of([[np.ones(3)]])
    ((1, 2), (1, 1, 3))
    """
    first, around = _inner(x), []
    while isinstance(first, list | tuple) and first:
        around.append(len(first))
        first = _inner(first[0])
    shape = getattr(first, "shape", None)
    return array(x, what).shape if shape is None else (*around, *shape)


def number(x: Any, what: str) -> Any:
    """A finite number, or a switch, as Python has it; frameworks have tensors of one too.

    A whole number beyond int32 is a float.

    Raises:
        TypeError: it is no number.
        ValueError: it is infinite, NaN, or beyond float32.

    >>> number([0.5], "lr"), number(True, "nesterov")
    (0.5, True)
    """
    found = x
    if not isinstance(x, bool | int | float):
        shape = shape_of(x, what)
        if math.prod(shape) != 1:
            raise TypeError(f"{what} is a number, not an array of shape {shape}")
        found = array(x, what).item()
    if isinstance(found, complex):
        raise TypeError(f"{what} is a real number, not a complex one")
    if not abs(found) <= LARGEST:  # NaN is neither
        shown = found if isinstance(found, float) else "more digits than it has"
        raise ValueError(f"{what} is no number that float32 can hold: {shown}")
    # JAX takes Python's whole numbers for int32, also beside float32
    return within_int32(found)


def step_count(x: Any, what: str) -> int:
    """A number of steps.

    Raises:
        TypeError: it is no number.
        ValueError: it is not whole, negative, or beyond int32.

    >>> step_count(np.array([3.0]), "step")
    3
    """
    found = number(x, what)
    if isinstance(x, bool) or found != int(found) or not 0 <= found <= LAST_STEP:
        raise ValueError(f"{what} is a whole number from 0 to {LAST_STEP:,}, not {found}")
    return int(found)


def refuse_deep(content: Any, what: str) -> None:
    """Refuse lists and dicts in each other beyond all reason, before anything recurses in them.

    Raises:
        ValueError: it is nested more than ``DEEPEST`` deep, or contains itself.
    """
    level = [content]
    for _ in range(DEEPEST):
        inner = [x.values() if isinstance(x, Mapping) else x for x in level]
        nested = [y for x in inner for y in x if isinstance(y, Mapping | list | tuple)]
        level = list({id(y): y for y in nested}.values())
        if not level:
            return
    raise ValueError(f"{what} is nested more than {DEEPEST} levels deep")


def _no_numbers(x: Any, what: str) -> str:
    said = f"{x[:20]!r}{'…' if len(x) > 20 else ''}" if isinstance(x, str) else "a value"
    return f"{what} is no number and no array of numbers, but {said} ({type(x).__name__})"
