"""A user's function is traced, never run: whose error it was, and what it returned, in words."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

MOST = 400  # characters of somebody else's error
BY_JAX = re.compile(r"^function \S+ at \S+ traced for \w+ ")  # which of our own lines traced it
CALLED = re.compile(r"\) (got|takes|missing) |returned a value of type")


@contextmanager
def traced(what: str, **arrays: Any) -> Iterator[None]:
    """Errors of a user's function say whose they are; it is traced, never run.

    Args:
        what: the function, as "metric 'f1'".
        **arrays: what it is called with, whose shapes are said.

    Raises:
        TypeError: NumPy, scikit-learn or an ``if`` asked for values, or another error of type.
        ValueError: any other error; one of this library's own stays what it is, and so does what
            ``jax_debug_nans`` finds.
    """
    try:
        yield
    except jax.errors.JAXTypeError as error:
        raise TypeError(
            f"{what} must be written with jax.numpy, as it runs inside the compiled sweep; NumPy, "
            f"scikit-learn and an if on values cannot: {_first_line(error)}"
        ) from error
    except FloatingPointError:  # jax_debug_nans runs it, to find the operation
        raise
    except Exception as error:
        if _is_ours(error) or getattr(error, "said", False):
            raise
        shown = [f"{name} {kind_of(x)}" for name, x in arrays.items()]
        given = f" for {' and '.join(shown)}" if shown else ""
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        words = BY_JAX.sub("", " ".join(str(error).split()))
        text = f"{what} fails{given}: {kind}{words[:MOST]}"
        made: Any = (TypeError if isinstance(error, TypeError) else ValueError)(text)
        made.said = True  # so that nobody says it again
        raise made from error


def _is_ours(error: BaseException) -> bool:
    """Whether a line of this library raised it, with a sentence; a call that failed is none."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    called = isinstance(error, TypeError) and CALLED.search(str(error))
    return name.startswith("jaxopt_course.") and not called


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def is_array(value: object) -> bool:
    """Whether it has a shape and a dtype."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def kind_of(value: Any) -> str:
    """What a function returned, as far as its tuples go: ``(float32 (), (dict, dict))``."""
    if is_array(value):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(kind_of, value))})"
    return type(value).__name__


FLAT = {"stop_gradient", "sign", "floor", "ceil", "round"}  # no slope wherever they have one


def reached(jaxpr: Any, moved: Sequence[bool]) -> list[bool]:
    """Of each result whether a gradient may lead from it to the arguments that are ``moved``.

    Nothing leads through whole numbers and truth values, as of an argmax or a comparison, nor
    through what is ``FLAT``.  What is not looked into, a loop or a rule of somebody's own, may.

    Args:
        jaxpr: of a function that was traced.
        moved: of each argument.
    """
    if jaxpr.effects:  # what is written somewhere is not followed
        return [True] * len(jaxpr.outvars)
    seen = {var for var, one in zip(jaxpr.invars, moved, strict=True) if one}
    leads = lambda atom: not hasattr(atom, "val") and atom in seen  # a literal has a value
    for one in jaxpr.eqns:
        given, name = [leads(atom) for atom in one.invars], one.primitive.name
        found = [any(given) and name not in FLAT] * len(one.outvars)
        if name in ("jit", "pjit"):
            found = reached(one.params["jaxpr"].jaxpr, given)
        for var, led in zip(one.outvars, found, strict=True):
            dtype = getattr(var.aval, "dtype", None)
            if led and dtype is not None and jnp.issubdtype(dtype, jnp.inexact):
                seen.add(var)
    return [leads(atom) for atom in jaxpr.outvars]
