"""What was fitted on the train part, fitted anew on the rows of each fold."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_course.problems import datasets, trees
from jaxopt_course.problems.datasets import PARTS, Arrays
from jaxopt_course.problems.missing import Missing
from jaxopt_course.tree import Tree


def fitted_anew(
    task: Any,
    inputs: Any,
    targets: Any,
    valid: Arrays | None,
    test: Arrays | None,
    validations: Mapping[str, Arrays] | None,
    split_seed: int,
    stratify: bool,
    standardize: bool,
    missing: Missing | None,
) -> Any:
    """The task, that also knows how to scale and fill the data by the rows of a fold.

    The arguments are the task, which this room stands below, and those of its ``from_flax``.
    """
    uint8 = task.uint8

    def raw() -> dict[str, tuple[Tree, Tree]]:
        """The three parts as they were given."""
        plain = trees.arrays("targets", targets)
        whole = trees.arrays("inputs", inputs, trees.count(plain)), plain
        if valid is not None and test is not None:
            return {"train": whole, "valid": _pair(valid), "test": _pair(test)}
        numbers = np.arange(trees.count(plain) or 0)
        rows = datasets.divide((numbers, plain), None, None, split_seed, stratify, False)
        return {part: trees.take(whole, rows[part]["inputs"]) for part in PARTS}

    def refit(folds: Sequence[tuple[Any, Any]]) -> tuple[Any, list[dict[str, Tree]]]:
        parts, more = raw(), validations or {}
        join = lambda *leaves: np.concatenate(leaves)
        pool = jax.tree.map(join, parts["train"], parts["valid"])
        found = []
        for number, (train, own) in enumerate(folds):
            pairs = trees.take(pool, train), trees.take(pool, own), parts["test"]
            try:
                made = datasets.divide(*pairs, 0, False, standardize, uint8, missing, more)
            except ValueError as error:
                error.add_note(f"in fold {number}")
                raise
            _check_shapes(number, task.train, made["train"])
            further = {name: made.pop(f"validations[{name!r}]") for name in more}
            found.append(made | further)
        return task, found

    return dataclasses.replace(task, refit=refit)


def _pair(given: Arrays) -> tuple[Tree, Tree]:
    targets = trees.arrays("targets", given[1])
    return trees.arrays("inputs", given[0], trees.count(targets)), targets


def _check_shapes(number: int, train: Tree, own: Tree) -> None:
    like, found = jax.tree.leaves(train), jax.tree.leaves(own)
    for a, b in zip(like, found, strict=True):
        if a.shape[1:] != b.shape[1:]:
            raise ValueError(
                f"an example of fold {number} has shape {b.shape[1:]}, that of the task "
                f'{a.shape[1:]}: its rows have gaps in other features; take missing="mean"'
            )
