"""What is broken, in words: where a foreign function fails, and where two trees differ."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.tree import Tree

MOST = 400  # characters of somebody else's error
ARRAYS = (jax.Array, np.ndarray, np.generic, bool, int, float, complex)


@contextmanager
def attempting(what: str, mend: str = "") -> Iterator[None]:
    """Errors inside say whose they are.

    Args:
        what: that is tried, as "update".
        mend: the way out, a sentence.

    Raises:
        AssertionError: for any error but this one itself.
    """
    try:
        yield
    except AssertionError:
        raise
    except jax.errors.UnexpectedTracerError as error:
        raise AssertionError(
            f"{what} uses an array that was traced elsewhere: it is kept outside the state, in a "
            "closure or an attribute; put it into the state"
        ) from error
    except jax.errors.JAXTypeError as error:
        raise AssertionError(
            f"{what} must be written with jax.numpy, as it runs in a compiled program; NumPy, "
            f"float() and an if on values cannot: {_said(error)}"
        ) from error
    except Exception as error:
        text = f"{what} fails with {type(error).__name__}: {_said(error)}"
        raise AssertionError(f"{text}; {mend}" if mend else text) from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:MOST]


def require(holds: Any, fault: str) -> None:
    """Raise AssertionError with ``fault``, also where Python runs without assertions."""
    if not holds:
        raise AssertionError(fault)


def path_of(path: Any) -> str:
    """``dense/kernel`` of a path of keys; of a single leaf ``(the whole)``."""
    return jax.tree_util.keystr(path, simple=True, separator="/") or "(the whole)"


def kinds(tree: Tree) -> dict[str, str]:
    """Leaf by leaf ``float32 (3, 2)``."""
    return {
        path_of(path): f"{jnp.result_type(leaf)} {np.shape(leaf)}"
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def require_alike(what: str, found: Tree, wanted: Tree, of: str, mend: str) -> None:
    """Leaves have the paths, shapes and dtypes that they should have.

    Args:
        what: the tree that is looked at, as "updates".
        found: it.
        wanted: a tree as it should be.
        of: what that one is, as "the gradient".
        mend: the way out, a sentence.

    Raises:
        AssertionError: they have not; the leaf is named.
    """
    leaves, wished = kinds(found), kinds(wanted)
    for path in wished.keys() - leaves.keys():
        require(False, f"{what} have no leaf {path}, which {of} has: {mend}")
    for path in leaves.keys() - wished.keys():
        require(False, f"{what} have a leaf {path}, which {of} has not: {mend}")
    for path, kind in wished.items():
        require(
            leaves[path] == kind, f"{what} at {path} are {leaves[path]}, and {of} {kind}: {mend}"
        )
    here, there = (str(jax.tree.structure(tree)) for tree in (found, wanted))
    require(
        here == there,
        f"{what} have the leaves of {of} in other containers ({here} and {there}): {mend}",
    )


def require_close(what: str, found: Tree, wanted: Tree, rtol: float, mend: str) -> None:
    """Numbers agree, each beside the largest of its leaf; where one is not finite, so is the other.

    Args:
        what: that is compared, as "updates in a lane and alone".
        found: one tree.
        wanted: the other, of the same structure.
        rtol: relative to the largest number of the leaf; 0 asks for the same bits.
        mend: the way out, a sentence.

    Raises:
        AssertionError: they do not; the leaf is named.
    """
    pairs = zip(jax.tree.leaves_with_path(wanted), jax.tree.leaves(found), strict=True)
    for (path, one), other in pairs:
        if not jnp.issubdtype(jnp.result_type(one), jnp.number):
            continue
        a, b = np.asarray(one, np.complex128), np.asarray(other, np.complex128)
        finite = np.isfinite(a) & np.isfinite(b)
        size = np.abs(a[finite]).max(initial=0.0)
        apart = np.abs(np.where(finite, a, 0) - np.where(finite, b, 0)).max(initial=0.0)
        same = (np.isfinite(a) == np.isfinite(b)).all() and apart <= rtol * size
        require(
            same,
            f"{what} differ at {path_of(path)}, by {apart:.3g} where the largest is {size:.3g}: "
            f"{mend}",
        )


def require_finite(what: str, tree: Tree, mend: str) -> None:
    """No number is NaN or infinite.

    Raises:
        AssertionError: one is; the leaf is named.
    """
    for path, leaf in jax.tree.leaves_with_path(tree):
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
            finite = np.isfinite(np.asarray(leaf, np.complex128)).all()
            require(finite, f"{what} at {path_of(path)} are not finite: {mend}")


def require_one_program(what: str, function: Any, *args: Any) -> None:
    """Traced anew, a function is the same program: studies on disk are known again by its text.

    Raises:
        AssertionError: it is another one.
    """
    texts = [jax.jit(lambda *given: function(*given)).lower(*args).as_text() for _ in range(2)]
    require(
        texts[0] == texts[1],
        f"{what} is another program when it is traced again: it draws random numbers, counts or "
        "reads a clock outside JAX; what changes from step to step belongs into the state, what is "
        "drawn comes from a key",
    )
