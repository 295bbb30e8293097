"""Which axes of a leaf are a matrix: (inputs, outputs), all other axes a stack of matrices.

    leaf                                     reduction axes    output axes    stack
    a layer's kernel (in, out)               0                 1
    a convolution's (height, width, in, out) 0, 1, 2           3
    heads side by side (heads, in, out)      1                 2              0

The names are those of ``optax.contrib.MuonDimensionNumbers``.  By default a leaf of two axes is a
matrix and no other is; :func:`matrix_axes` says otherwise, by path.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers

from jaxopt_course.base import Transform
from jaxopt_course.transforms.groups import Pattern, check_patterns, group_of_each
from jaxopt_course.transforms.masks import difference
from jaxopt_course.tree import Tree, check_fits, check_floating, named_leaves, path_name

MATRIX, REST = "muon", "adam"  # the two groups, as optax names them
WAY = "give MuonDimensionNumbers or None for each leaf or branch, or a function: matrix_axes({...})"
# of all leaves, of each, or a function of the parameters that says them; None is no matrix
MatrixAxes: TypeAlias = "MuonDimensionNumbers | Tree | Callable[[Tree], Tree] | None"


class Matrix(NamedTuple):
    """How a leaf is read as a stack of matrices."""

    order: tuple[int, ...]  # its axes: those of the stack, of the inputs, of the outputs
    stack: tuple[int, ...]  # sizes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def fan_in(self) -> int:
        """Rows of each matrix."""
        return math.prod(self.inputs)

    @property
    def fan_out(self) -> int:
        """Columns of each matrix."""
        return math.prod(self.outputs)

    def read(self, x: jax.Array) -> jax.Array:
        """The stack: (matrices, fan_in, fan_out)."""
        shape = (math.prod(self.stack), self.fan_in, self.fan_out)
        return x.transpose(self.order).reshape(shape)

    def write(self, stack: jax.Array) -> jax.Array:
        """The leaf that :meth:`read` was given."""
        back = sorted(range(len(self.order)), key=lambda axis: self.order[axis])
        return stack.reshape(self.stack + self.inputs + self.outputs).transpose(back)


def matrix_axes(patterns: Mapping[Pattern, Any]) -> Callable[[Tree], Tree]:
    """Which leaves are matrices, by path: pattern -> (reduction axes, output axes), or None.

    Leaves that no pattern matches are matrices if they have two axes.

    Args:
        patterns: as in ``partition_by_path``.  A pair of axes, or of tuples of axes, negative ones
            from the end; axes in neither are a stack of matrices, each by itself.  None: no
            matrix, as embeddings and the layer of the outputs commonly are not.

    Returns:
        A function of the parameters, for ``muon(muon_weight_dimension_numbers=...)`` here and in
        ``optax.contrib``.

    Raises:
        TypeError: no mapping of patterns to pairs of axes.
        ValueError: a leaf that two patterns match, or a pattern that matches none (with the paths).

    >>> import jax.numpy as jnp
    >>> axes = matrix_axes({"Conv_*/kernel": ((0, 1, 2), 3), "Embed_0/*": None})
    >>> params = {"Conv_0": {"kernel": jnp.ones((3, 3, 2, 4))}, "Embed_0": {"w": jnp.ones((5, 2))}}
    >>> axes(params)["Conv_0"]["kernel"]
    MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=3)
    >>> axes(params)["Embed_0"]["w"] is None
    True
    """
    check_patterns(patterns, "axes")
    given = {pattern: _dimension_numbers(pattern, axes) for pattern, axes in patterns.items()}

    def axes_of(params: Tree) -> Tree:
        found = group_of_each(params, given)
        leaves: Any = jax.tree.leaves(params)
        chosen = [
            _by_shape(leaf) if name is None else given[name]
            for leaf, name in zip(leaves, found, strict=True)
        ]
        return jax.tree.unflatten(jax.tree.structure(params), chosen)

    return axes_of


def _dimension_numbers(pattern: Any, axes: Any) -> MuonDimensionNumbers | None:
    if axes is None:
        return None
    many = lambda part: part if isinstance(part, tuple | list) else (part,)
    pair = many(axes) if len(many(axes)) == 2 else (None,)
    listed = [a for part in pair for a in many(part)]
    if not all(isinstance(a, int | np.integer) and not isinstance(a, bool) for a in listed):
        raise TypeError(
            f"{pattern!r}: (reduction axes, output axes) such as ((0, 1, 2), 3), or None, not "
            f"{axes!r}"
        )
    return MuonDimensionNumbers(*(tuple(a) if isinstance(a, list) else a for a in axes))


def _by_shape(leaf: Any) -> MuonDimensionNumbers | None:
    return MuonDimensionNumbers() if len(getattr(leaf, "shape", ())) == 2 else None


def matrices(tree: Tree, axes: MatrixAxes = None) -> list[Matrix | None]:
    """How each leaf is read, in the order of ``jax.tree.leaves``; None is no matrix.

    Args:
        tree: parameters or updates, perhaps with optax's ``MaskedNode`` for some leaves.
        axes: of all leaves, of each (a tree like the parameters, or a prefix of it), or a function
            of ``tree`` that says them; None takes leaves of two axes.

    Raises:
        TypeError: what is said of a leaf are no axes.
        ValueError: axes that a leaf has not, or one of them twice, or a tree of other leaves (path
            in the message).
    """
    if callable(axes) and not isinstance(axes, MuonDimensionNumbers):
        axes = axes(tree)
    if axes is None:
        axes = jax.tree.map(_by_shape, tree)
    is_axes = lambda x: x is None or isinstance(x, MuonDimensionNumbers)
    try:
        jax.tree.map(lambda _, __: None, axes, tree, is_leaf=is_axes)
    except (TypeError, ValueError) as error:
        said = difference(axes, tree, "the tree of axes", WAY, is_axes)
        raise ValueError(said) from error
    found: list[Matrix | None] = []
    paths = iter([path_name(keys) for keys, _ in named_leaves(tree)])

    def note(of_all: Any, leaves: Tree) -> None:
        for leaf in jax.tree.leaves(leaves):
            path = next(paths)
            if not is_axes(of_all):
                raise TypeError(
                    f"the axes of {path} are MuonDimensionNumbers or None, not {of_all!r:.60}"
                )
            found.append(None if of_all is None else _matrix(path, leaf.shape, of_all))

    jax.tree.map(note, axes, tree, is_leaf=is_axes)
    return found


def _matrix(path: str, shape: tuple[int, ...], axes: MuonDimensionNumbers) -> Matrix:
    many = lambda a: (a,) if isinstance(a, int | np.integer) else tuple(a)
    ins, outs = many(axes.reduction_axis), many(axes.output_axis)
    if not all(-len(shape) <= a < len(shape) for a in ins + outs):
        raise ValueError(
            f"{path or 'the parameter'} of shape {shape} is no matrix with the axes {ins} and "
            f"{outs}: say its axes with matrix_axes, or None to leave it to Adam"
        )
    ins, outs = (tuple(a % len(shape) for a in part) for part in (ins, outs))
    if len(set(ins + outs)) < len(ins + outs) or not ins or not outs:
        raise ValueError(
            f"{path or 'the parameter'} of shape {shape}: the reduction axes {ins} and the output "
            f"axes {outs} must be other ones, at least one of each"
        )
    stack = tuple(a for a in range(len(shape)) if a not in ins + outs)
    sizes = (tuple(shape[a] for a in part) for part in (stack, ins, outs))
    return Matrix(stack + ins + outs, *sizes)


def matrix_of_each(tree: Tree, axes: MatrixAxes) -> list[Matrix]:
    """How each leaf is read; all must be matrices."""
    found = matrices(tree, axes)
    for (keys, leaf), matrix in zip(named_leaves(tree), found, strict=True):
        if matrix is None:
            raise ValueError(
                f"{path_name(keys) or 'the parameter'} of shape {np.shape(leaf)} is no matrix: "
                "leave it to another transformation, as muon does, or say its axes with matrix_axes"
            )
    return found  # type: ignore[return-value]


def partition_matrices(
    matrix: Transform, rest: Transform, axes: MatrixAxes = None
) -> optax.GradientTransformationExtraArgs:
    """One transformation for the matrices, another for all other leaves.

    Args:
        matrix: for the leaves that ``axes`` calls matrices.
        rest: for the others; its memories are of them alone.
        axes: as in :func:`matrices`.

    Raises:
        ValueError: ``init`` of a tree none of whose leaves is a matrix (with the shapes).
    """

    def labels(tree: Tree) -> Tree:
        found = [REST if m is None else MATRIX for m in matrices(tree, axes)]
        return jax.tree.unflatten(jax.tree.structure(tree), found)

    parted = optax.partition({MATRIX: matrix, REST: rest}, labels)

    def init(params: Tree) -> Any:
        check_floating(params)
        leaves = named_leaves(params)
        # a tree without leaves is optax's way to ask for the state's structure
        if leaves and not any(matrices(params, axes)):
            shapes = [f"{path_name(keys) or 'θ'} {np.shape(x)}" for keys, x in leaves[:4]]
            more = f" and {len(leaves) - 4} more" if len(leaves) > 4 else ""
            raise ValueError(
                f"muon: no parameter is a matrix ({', '.join(shapes)}{more}); take adamw, or say "
                "which axes are one with muon_weight_dimension_numbers=matrix_axes({...})"
            )
        return parted.init(params)

    def update(g: Tree, state: Any, params: Tree = None, **extra: Any) -> tuple[Tree, Any]:
        if params is not None:
            check_fits(g, params)
        return parted.update(g, state, params, **extra)

    return optax.GradientTransformationExtraArgs(init, update)
