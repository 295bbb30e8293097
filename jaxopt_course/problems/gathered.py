"""What ``Task.from_flax`` is given to learn from: arrays, windows of tokens or a stream."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxopt_course.problems import data_checks, datasets, trees
from jaxopt_course.problems.datasets import PARTS, Arrays
from jaxopt_course.problems.losses import Loss
from jaxopt_course.problems.missing import Missing
from jaxopt_course.problems.streams import Stream
from jaxopt_course.problems.windows import Windows
from jaxopt_course.tree import Tree

Functions = tuple[Callable[..., Any], Callable[..., Any]]  # (loss, evaluate)


class Gathered(NamedTuple):
    """Data for a task, and what is between them and a module."""

    parts: dict[str, Any]  # train, valid, test
    validations: dict[str, Tree]
    example: Tree  # inputs of one example
    targets: list[Any]  # all that a loss may see, to be checked
    shared: Tree  # of the task
    offered: Tree  # of it, what the module, loss and metrics may ask for
    split_seed: int | None
    around: Callable[[Callable[..., Any], Callable[..., Any]], Functions]  # functions of the parts
    by_windows: bool = False
    more_metrics: Mapping[str, str] = {}  # that ``around`` measures
    stratify: bool = False  # whether the parts have equal shares of the classes


def gather(
    inputs: Any,
    targets: Any,
    rule: Loss,
    *,
    valid: Arrays | None,
    test: Arrays | None,
    split_seed: int,
    stratify: bool | None,
    standardize: bool,
    evaluate_chunk: int,
    uint8: bool,
    shared: Tree,
    validations: Mapping[str, Arrays] | None,
    missing: Missing | None,
) -> Gathered:
    """Check, split, fill and scale; the arguments are those of ``Task.from_flax``."""
    shared = data_checks.shared(shared)
    if isinstance(inputs, Stream):
        idle = {
            "targets": targets, "stratify": stratify, "standardize": standardize or None,
            "missing": missing,
        }  # fmt: skip
        if given := [name for name, value in idle.items() if value is not None]:
            raise ValueError(f"a stream's batches are taken as they are: leave {given} out")
        return _of_stream(inputs, valid, test, validations or {}, uint8, shared)
    if isinstance(inputs, Windows):
        idle = {
            "targets": targets, "valid": valid, "test": test, "stratify": stratify,
            "standardize": standardize or None, "missing": missing, "validations": validations,
        }  # fmt: skip
        if given := [name for name, value in idle.items() if value is not None]:
            raise ValueError(
                f"joc.windows(...) says what the targets and the parts are: leave {given} out"
            )
        return _of_windows(inputs, shared, evaluate_chunk, rule)
    if targets is None:
        raise TypeError("targets are missing; where they are the inputs, give those again")
    for pair in ((inputs, targets), valid, test, *(validations or {}).values()):
        data_checks.same_rows(pair)
    if stratify is None:
        labels = datasets.one_each(targets)
        integers = labels is not None and np.issubdtype(labels.dtype, np.integer)
        stratify = labels is not None and (rule.classification or (rule.own and integers))
    whole, more = (inputs, targets), validations or {}
    parts = datasets.divide(
        whole, valid, test, split_seed, stratify, standardize, uint8, missing, more
    )
    further = {name: parts.pop(f"validations[{name!r}]") for name in more}
    return Gathered(
        parts,
        further,
        trees.take(parts["train"]["inputs"], slice(1)),
        [data["targets"] for data in (*parts.values(), *further.values())],
        shared,
        shared,
        split_seed if valid is None else None,
        lambda loss, evaluate: (loss, evaluate),
        stratify=stratify,
    )


def _of_stream(
    stream: Stream,
    valid: Arrays | None,
    test: Arrays | None,
    validations: Mapping[str, Arrays],
    uint8: bool,
    shared: Tree,
) -> Gathered:
    if valid is None or test is None:
        raise ValueError("a stream cannot be split: give valid=(inputs, targets) and test=")
    stream = stream.as_pairs()
    parts = {"valid": datasets.checked(valid, "valid", uint8)}
    parts["test"] = datasets.checked(test, "test", uint8)
    further = {
        name: datasets.checked(pair, f"validations[{name!r}]", uint8)
        for name, pair in validations.items()
    }
    known = [data["targets"] for data in (stream.first, *parts.values(), *further.values())]
    return Gathered(
        {"train": stream, **parts},
        further,
        trees.take(stream.first["inputs"], slice(1)),
        known,
        shared,
        shared,
        None,
        lambda loss, evaluate: (loss, evaluate),
    )


def _of_windows(windows: Windows, shared: Tree, chunk: int, rule: Loss) -> Gathered:
    tokens = windows.shared["tokens"]
    return Gathered(
        {part: getattr(windows, part) for part in PARTS},
        {},
        windows.example(),
        [tokens],
        {"tokens": tokens, "own": shared},
        shared,
        None,
        lambda loss, evaluate: windows.around(loss, evaluate, chunk, rule.classification),
        by_windows=True,
        more_metrics={"perplexity": "min"} if rule.classification else {},
    )
