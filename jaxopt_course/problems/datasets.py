"""Data: the embedded sets as arrays, and the split of any set in three parts.

scikit-learn is imported by the function that needs it: its import takes as long as JAX's.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_course.problems import bundled, data_checks, trees
from jaxopt_course.problems import missing as gaps
from jaxopt_course.problems.csv.columns import TINY, UP
from jaxopt_course.tree import Tree

PARTS = ("train", "valid", "test")
Arrays = tuple[Any, Any]  # (inputs, targets), as NumPy understands them


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 images of handwritten digits: pixels / 16 as (1797, 64) in [0, 1], labels 0-9 (1797,).

    Source: ``sklearn.datasets.load_digits`` (the test part of UCI's optical digits, 1998).
    """
    images, labels = _embedded("digits")
    return (images / 16).astype(np.float32), labels.astype(np.int32)


def breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    """569 tumours: 30 measurements as (569, 30), not yet standardised; 1 = benign, 0 = malignant.

    The coding is scikit-learn's, so the positive class of F1 is benign (357 of 569).
    Source: ``sklearn.datasets.load_breast_cancer`` (UCI, Wisconsin diagnostic, 1995).
    """
    measures, labels = _embedded("breast_cancer")
    return measures.astype(np.float32), labels.astype(np.int32)


def wine() -> tuple[np.ndarray, np.ndarray]:
    """178 wines of 3 growers: 13 measurements as (178, 13), not yet standardised; labels 0-2.

    Source: ``sklearn.datasets.load_wine`` (UCI, 1991).
    """
    measures, labels = _embedded("wine")
    return measures.astype(np.float32), labels.astype(np.int32)


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """442 patients: 10 measurements as (442, 10), and the progress of the disease after a year.

    Measurements are in their own units; the progress, 25 to 346, is (442,).
    Source: ``sklearn.datasets.load_diabetes`` (Efron et al. 2004).
    """
    from sklearn.datasets import load_diabetes

    measures, progress = load_diabetes(return_X_y=True, scaled=False)
    return measures.astype(np.float32), progress.astype(np.float32)


def _embedded(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A set of scikit-learn's, as ``load_<name>(return_X_y=True)`` returns it."""
    if (found := bundled.rows(name)) is not None:
        return found
    import sklearn.datasets

    return getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)


def line() -> tuple[np.ndarray, np.ndarray]:
    """The notes' regression, x = y = 1 .. 5, both of shape (5, 1).

    The notes write y with shape (5,), against outputs of (5, 1): the loss then broadcasts to
    (5, 5) and training ends at w = 0, b = 3 (erratum E22).
    """
    x = np.arange(1, 6, dtype=np.float32)[:, None]
    return x, x.copy()


def split_indices(
    examples: int, seed: int, labels: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Indices of a 60/20/20 split by scikit-learn's ``train_test_split``, each in rising order.

    Args:
        examples: how many there are.
        seed: the task's split seed; a trial's seed has no part in it.
        labels: (examples,) class labels whose shares are kept in every part, or None.

    Raises:
        ValueError: no such seed; too few examples, in all or of one class, to give every part its
            share.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"split_seed must be a whole number from 0 to 2³² - 1, not {seed!r}")
    try:
        train, rest = _divided(examples, 0.4, seed, labels)
        place = _divided(len(rest), 0.5, seed, None if labels is None else labels[rest])
        valid, test = (rest[half] for half in place)
    except ValueError as error:
        said = f"cannot split {examples} examples in 60/20/20"
        if labels is None:
            raise ValueError(f"{said}: {error}") from error
        known, counts = np.unique(labels, return_counts=True)
        rare = [f"{c} has {n}" for c, n in zip(known, counts, strict=True) if n < 5][:10]
        raise ValueError(
            f"{said} with every class in each part: "
            f"{'class ' + ', '.join(rare) if rare else error} (stratify=False ignores classes)"
        ) from error
    return dict(zip(PARTS, map(np.sort, (train, valid, test)), strict=True))


def _divided(
    examples: int, held_out: float, seed: int, labels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of both parts, in the order of ``train_test_split``.

    Raises:
        ValueError: scikit-learn's, where there are too few.
    """
    if (found := bundled.divided(examples, held_out, seed, labels)) is not None:
        return found
    from sklearn.model_selection import train_test_split

    everything = np.arange(examples)
    return train_test_split(everything, test_size=held_out, random_state=seed, stratify=labels)


def standardize(*parts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every part as float32 (x - mean) / std by feature, with mean and std of the first part.

    A feature that is constant in the first part is only centred: its deviation may be a rounding
    error, by which another value elsewhere would become 1e15.  The squares of numbers such as
    1e-300 would be 0, so those are taken times 2**600.
    """
    first = parts[0]
    same = first.min(axis=0) == first.max(axis=0)
    tiny = abs(first).max(axis=0) < TINY
    mean = np.where(same, first[0], first.mean(axis=0, dtype=np.float64))
    std = first.std(axis=0, dtype=np.float64)
    if (tiny & ~same).any():
        std = np.where(tiny, np.ldexp(np.ldexp(first * tiny, UP).std(axis=0), -UP), std)
    std = np.where(same | (std == 0), 1.0, std)
    return tuple(((part - mean) / std).astype(np.float32) for part in parts)


def one_each(targets: Any) -> np.ndarray | None:
    """Targets that are one number an example, as an array; None where they are not."""
    labels = trees.arrays("data['targets']", targets)
    single = isinstance(labels, np.ndarray) and labels.shape[:1] == (labels.size,)
    return labels if single else None


def divide(
    whole: Arrays,
    valid: Arrays | None,
    test: Arrays | None,
    seed: int,
    stratify: bool,
    scale: bool,
    uint8: bool = False,
    missing: gaps.Missing | None = None,
    more: Mapping[str, Arrays] | None = None,
) -> dict[str, dict[str, Tree]]:
    """The three parts, each ``{"inputs": ..., "targets": ...}``: split from ``whole``, or as given.

    Values are checked before anything is split or scaled, so that an error names the user's row.
    ``more`` are further parts, which are checked, filled and scaled as the others.
    """
    gaps.check(missing)
    if valid is None and test is None:
        data = checked(whole, "data", uint8, scale, missing)
        examples = trees.count(data["targets"]) or 0
        labels = None
        if stratify:
            labels = jax.tree.leaves(data["targets"])[0].reshape(examples, -1).squeeze()
        rows = split_indices(examples, seed, labels)
        parts = {part: trees.take(data, rows[part]) for part in PARTS}
    elif valid is None or test is None:
        raise ValueError("give both valid and test, or neither")
    else:
        pairs = zip(PARTS, (whole, valid, test), strict=True)
        parts = {part: checked(pair, part, uint8, scale, missing) for part, pair in pairs}
    for name, pair in (more or {}).items():
        own = f"validations[{name!r}]"
        parts[own] = checked(pair, own, uint8, scale, missing)
    inputs = {name: part["inputs"] for name, part in parts.items()}
    for name in list(inputs)[1:]:  # a feature of one would be broadcast by what follows
        data_checks.alike(inputs["train"], inputs[name], f"{name}['inputs']", dtypes=False)
    if missing is not None:
        inputs = gaps.fill(inputs, missing, scale)
    elif scale:
        scaled = _standardized(list(inputs.values()))
        inputs = dict(zip(inputs, scaled, strict=True))
    for name, part in parts.items():
        part["inputs"] = inputs[name]
    return {part: data_checks.canonical(data, part, uint8) for part, data in parts.items()}


def _standardized(parts: list[Tree]) -> list[Tree]:
    """Inputs to mean 0 and deviation 1, leaf by leaf; whole numbers of a tree stay categories."""
    structure = jax.tree.structure(parts[0])
    named = zip(*map(jax.tree.leaves_with_path, parts), strict=True)
    columns = [
        standardize(*(leaf for _, leaf in place)) if trees.is_scaled(*place[0])
        else [leaf for _, leaf in place]
        for place in named
    ]  # fmt: skip
    return [jax.tree.unflatten(structure, leaves) for leaves in zip(*columns, strict=True)]


def checked(
    pair: Arrays,
    name: str,
    uint8: bool,
    scale: bool = False,
    missing: gaps.Missing | None = None,
) -> dict[str, Tree]:
    """A part ``{"inputs": ..., "targets": ...}``, not yet canonical; errors name what."""
    if isinstance(pair, Mapping) and {*pair} == {"inputs", "targets"}:  # as a batch of a stream
        pair = pair["inputs"], pair["targets"]
    if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
        given = f"{pair!r}" if isinstance(pair, (int, float)) else type(pair).__name__
        hint = (
            "; without valid= and test= the data are split, 60/20/20" if name in PARTS[1:] else ""
        )
        raise ValueError(f"{name} must be a pair (inputs, targets), not {given}{hint}")
    targets = trees.arrays(f"{name}['targets']", pair[1])
    inputs = trees.arrays(f"{name}['inputs']", pair[0], trees.count(targets))
    data = {"inputs": inputs, "targets": targets}
    full = data if missing is None else data | {"inputs": gaps.without_gaps(inputs)}
    try:
        for key, values in full.items():  # together, for their lengths; inputs may still be scaled
            data_checks.canonical(
                {key: values}, name, uint8, rounding=not (scale and key == "inputs")
            )
    except ValueError as error:
        if missing is None and "not finite" in str(error) and gaps.has_gaps(inputs):
            raise ValueError(f'{error}; missing="mean" or "indicator" fills gaps') from None
        raise
    data_checks.canonical(full, name, uint8, rounding=False)
    small = lambda x: x.astype(np.int32) if x.dtype == np.uint8 else x
    return data | {"targets": jax.tree.map(small, targets)}  # bytes are for images
