"""Memories that are not one array a parameter: Adafactor's rows and columns, Muon's beside Adam's.

Adafactor   of a leaf of r rows and c columns R and C, of every other V itself
Muon        a momentum of each parameter, of those that Adam trains a velocity too
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from optax.contrib import MuonDimensionNumbers

from jaxopt_course.conventions.arrays import array, number, shape_of
from jaxopt_course.conventions.pairing import Axes
from jaxopt_course.conventions.ports import axes_of, gathered
from jaxopt_course.messages import unknown
from jaxopt_course.tree import Tree, paths

COEFFICIENTS = ("muon_a", "muon_b", "muon_c")  # Keras's, of Newton and Schulz
RMS_OF_ADAM = 0.2  # of torch's adjust_lr_fn="match_rms_adamw"


def factored(
    rows: Mapping[str, Any],
    cols: Mapping[str, Any],
    whole: Mapping[str, Any],
    params: Tree,
    transpose: Axes,
    whose: str,
) -> dict[str, Tree]:
    """R, C and V by the fields of our state, each leaf's in its own layout.

    Args:
        rows: leaf -> R, (..., r), of the framework's last two axes.
        cols: leaf -> C, (..., c).
        whole: leaf -> V, of leaves that are not factored.
        params: the tree of leaves.
        transpose: as in ``from_torch``.
        whose: the framework's name.

    Raises:
        ValueError: R and C do not fit each other or the leaf; ``transpose`` makes other axes the
            last two, along which nothing is remembered.

    >>> import numpy as np
    >>> w = {"w": np.zeros((3, 2))}
    >>> found = factored({"w": np.ones(2)}, {"w": np.arange(3.0)}, {}, w, True, "torch")
    >>> print(found["v_row"]["w"], found["v_col"]["w"])
    [0. 1. 2.] [1. 1.]
    """
    wide: list[dict[str, Any]] = [{}, {}]
    for path in rows:
        r = array(rows[path], f"{whose}'s rows for {path}")
        c = array(cols[path], f"{whose}'s columns for {path}")
        if not r.ndim or r.shape[:-1] != c.shape[:-1]:
            raise ValueError(f"{whose}'s rows {r.shape} and columns {c.shape} of {path} do not fit")
        shape = (*r.shape, c.shape[-1])
        wide[0][path] = np.broadcast_to(r[..., None], shape)
        wide[1][path] = np.broadcast_to(c[..., None, :], shape)
    over_rows, over_cols = (gathered(x, params, transpose, "variance", whose) for x in wide)
    rest = gathered(whole, params, transpose, "variance", whose)
    found: dict[str, list[Any]] = {"v_row": [], "v_col": [], "v": []}
    leaves = zip(paths(params), *map(jax.tree.leaves, (over_rows, over_cols, rest)), strict=True)
    for path, r, c, v in leaves:
        nothing = jnp.zeros(1)
        if path in rows:
            if _swapped(path, transpose, np.ndim(r), whose):
                r, c = c, r
            parts = r[..., 0], c[..., 0, :], nothing
        else:
            parts = nothing, nothing, v if path in whole else jnp.zeros_like(v)
        for name, part in zip(found, parts, strict=True):
            found[name].append(part)
    structure = jax.tree.structure(params)
    return {name: jax.tree.unflatten(structure, parts) for name, parts in found.items()}


def _swapped(path: str, transpose: Axes, rank: int, whose: str) -> bool:
    """Whether the last two axes change places."""
    last = tuple(axes_of(transpose, path, rank))[-2:]
    if sorted(last) != [rank - 2, rank - 1]:
        raise ValueError(
            f"transpose= of {path} puts other axes last, and {whose}'s Adafactor remembers means "
            "along its own last two: keep them last, or begin this leaf anew (frozen=[...])"
        )
    return last == (rank - 1, rank - 2)


def squeezed(entry: Mapping[str, Any], path: str) -> tuple[Any, Any]:
    """torch's row_var (..., r, 1) and col_var (..., 1, c), as R (..., r) and C (..., c).

    Raises:
        ValueError: they have other shapes.
    """
    r, c = (array(entry[n], f"torch's {n} for {path}") for n in ("row_var", "col_var"))
    if min(r.ndim, c.ndim) < 2 or r.shape[-1] != 1 or c.shape[-2] != 1:
        raise ValueError(f"torch's row_var {r.shape} and col_var {c.shape} of {path} do not fit")
    return r[..., 0], c[..., 0, :]


def whole_shape(entry: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shape of a parameter of which torch has rows and columns; None for any other."""
    if not {"row_var", "col_var"} <= set(entry):
        return None
    r, c = (shape_of(entry[name], f"torch's {name}") for name in ("row_var", "col_var"))
    return (*r[:-1], *c[-1:])


def torch_options(kind: str, group: Mapping[str, Any]) -> dict[str, Any]:
    """The options of torch's Muon and Adafactor that are not one number each, as our arguments.

    Raises:
        TypeError: no numbers where there should be.
        ValueError: an unknown ``adjust_lr_fn``.

    >>> torch_options("Adafactor", {"eps": (None, 0.5), "beta2_decay": -0.8})
    {'eps': None, 'eps2': 0.5, 'decay_rate': 0.8}
    """
    if kind == "Adafactor":
        first, second = _numbers(group, 2, "eps")
        decay = number(_given(group, "beta2_decay"), "torch's beta2_decay")
        return {"eps": first, "eps2": second, "decay_rate": -decay}
    if kind != "Muon":
        return {}
    given = group.get("adjust_lr_fn")
    adjust = "original" if given is None else given
    rms = {"original": None, "match_rms_adamw": RMS_OF_ADAM}
    if not isinstance(adjust, str) or adjust not in rms:
        raise ValueError(unknown("adjust_lr_fn of torch's Muon", str(adjust)[:40], rms))
    coefficients = _numbers(group, 3, "ns_coefficients")
    return {"ns_coeffs": tuple(coefficients), "consistent_rms": rms[adjust]}


def _given(group: Mapping[str, Any], name: str) -> Any:
    if name not in group:
        raise ValueError(f"a param group without {name!r}; it has {sorted(group)}")
    return group[name]


def _numbers(group: Mapping[str, Any], many: int, name: str) -> list[Any]:
    given = _given(group, name)
    if not isinstance(given, list | tuple) or len(given) != many:
        raise TypeError(f"torch's {name} are {many} numbers, not {given!r}"[:200])
    no_bound = name == "eps" and given[0] is None  # that of the dtype
    rest = [number(x, f"one of torch's {name}") for x in given[no_bound:]]
    return [None, *rest] if no_bound else rest


def torch_matrices(transpose: Axes) -> Callable[[Tree], Tree]:
    """Which axis of each leaf is torch's (outputs, inputs), for Muon's factor of the shape."""

    def axes(params: Tree) -> Tree:
        turned = [tuple(axes_of(transpose, path, 2)) == (1, 0) for path in paths(params)]
        own = [MuonDimensionNumbers() if yes else MuonDimensionNumbers(1, 0) for yes in turned]
        return jax.tree.unflatten(jax.tree.structure(params), own)

    return axes


def keras_muon(config: Mapping[str, Any], adams: Sequence[str]) -> dict[str, Any]:
    """The arguments of ``keras.muon`` that are not one number each.

    Args:
        config: of Keras's Muon.
        adams: paths of the leaves that Adam trains, as the memories tell.
    """

    def axes(params: Tree) -> Tree:
        own = [None if path in adams else MuonDimensionNumbers() for path in paths(params)]
        return jax.tree.unflatten(jax.tree.structure(params), own)

    found: dict[str, Any] = {"muon_weight_dimension_numbers": axes}
    if any(name in config for name in COEFFICIENTS):
        found["ns_coeffs"] = tuple(number(config.get(x), f"Keras's {x}") for x in COEFFICIENTS)
    for theirs, ours in (
        ("rms_rate", "consistent_rms"),
        ("adam_weight_decay", "adam_weight_decay"),
    ):
        given = config.get(theirs)
        found[ours] = None if given is None else number(given, f"Keras's {theirs}")
    return found


def keras_muon_memories(memory: Sequence[Any], ends: Sequence[str | None]) -> list[tuple[Any, Any]]:
    """(momentum, velocity or None) of each variable, in Keras's order.

    Args:
        memory: the arrays, momentum and, for Adam's variables, velocity behind it.
        ends: of their paths: "momentum" or "velocity"; None for arrays without a path.

    Raises:
        ValueError: arrays without paths, which do not tell; a velocity without a momentum.
    """
    if None in ends:
        raise ValueError(
            "Keras's Muon keeps a velocity of those variables only that Adam trains, and arrays do "
            "not tell which: give optimizer.variables, or (path, array) pairs"
        )
    found: list[tuple[Any, Any]] = []
    for x, end in zip(memory, ends, strict=True):
        if end == "momentum":
            found.append((x, None))
        elif not found or found[-1][1] is not None:
            raise ValueError("Keras's Muon: a velocity without the momentum of its variable")
        else:
            found[-1] = (found[-1][0], x)
    return found
