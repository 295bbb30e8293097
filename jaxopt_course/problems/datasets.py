"""Data: the embedded sets as arrays, and the split of any set in three parts.

scikit-learn is imported by the function that needs it: its import takes as long as JAX's.
"""

from typing import Any

import numpy as np

from jaxopt_course.problems import checks

PARTS = ("train", "valid", "test")
Arrays = tuple[Any, Any]  # (inputs, targets), as NumPy understands them


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 images of handwritten digits: pixels / 16 as (1797, 64) in [0, 1], labels 0-9 (1797,).

    Source: ``sklearn.datasets.load_digits`` (the test part of UCI's optical digits, 1998).
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels.astype(np.int32)


def breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    """569 tumours: 30 measurements as (569, 30), not yet standardised; 1 = benign, 0 = malignant.

    The coding is scikit-learn's, so the positive class of F1 is benign (357 of 569).
    Source: ``sklearn.datasets.load_breast_cancer`` (UCI, Wisconsin diagnostic, 1995).
    """
    from sklearn.datasets import load_breast_cancer

    measures, labels = load_breast_cancer(return_X_y=True)
    return measures.astype(np.float32), labels.astype(np.int32)


def wine() -> tuple[np.ndarray, np.ndarray]:
    """178 wines of 3 growers: 13 measurements as (178, 13), not yet standardised; labels 0-2.

    Source: ``sklearn.datasets.load_wine`` (UCI, 1991).
    """
    from sklearn.datasets import load_wine

    measures, labels = load_wine(return_X_y=True)
    return measures.astype(np.float32), labels.astype(np.int32)


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """442 patients: 10 measurements as (442, 10), and the progress of the disease after a year.

    Measurements are in their own units; the progress, 25 to 346, is (442,).
    Source: ``sklearn.datasets.load_diabetes`` (Efron et al. 2004).
    """
    from sklearn.datasets import load_diabetes

    measures, progress = load_diabetes(return_X_y=True, scaled=False)
    return measures.astype(np.float32), progress.astype(np.float32)


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
        ValueError: too few examples, in all or of one class, to give every part its share.
    """
    from sklearn.model_selection import train_test_split

    everything = np.arange(examples)
    try:
        train, rest = train_test_split(
            everything, test_size=0.4, random_state=seed, stratify=labels
        )
        valid, test = train_test_split(
            rest,
            test_size=0.5,
            random_state=seed,
            stratify=None if labels is None else labels[rest],
        )
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


def standardize(*parts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every part as float32 (x - mean) / std by feature, with mean and std of the first part.

    A feature that is constant in the first part is only centred.
    """
    mean = parts[0].mean(axis=0, dtype=np.float64)
    std = parts[0].std(axis=0, dtype=np.float64)
    std = np.where(std > 0, std, 1.0)
    return tuple(((part - mean) / std).astype(np.float32) for part in parts)


def divide(
    whole: Arrays,
    valid: Arrays | None,
    test: Arrays | None,
    seed: int,
    stratify: bool,
    scale: bool,
    uint8: bool = False,
) -> dict[str, dict[str, np.ndarray]]:
    """The three parts, each ``{"inputs": ..., "targets": ...}``: split from ``whole``, or as given.

    Values are checked before anything is split or scaled, so that an error names the user's row.
    """
    if valid is None and test is None:
        data = _checked(whole, "data", uint8, scale)
        examples = len(data["targets"])
        labels = data["targets"].reshape(examples, -1).squeeze() if stratify else None
        rows = split_indices(examples, seed, labels)
        parts = {part: {k: v[rows[part]] for k, v in data.items()} for part in PARTS}
    elif valid is None or test is None:
        raise ValueError("give both valid and test, or neither")
    else:
        pairs = zip(PARTS, (whole, valid, test), strict=True)
        parts = {part: _checked(pair, part, uint8, scale) for part, pair in pairs}
    if scale:
        scaled = standardize(*(parts[part]["inputs"] for part in PARTS))
        for part, inputs in zip(PARTS, scaled, strict=True):
            parts[part]["inputs"] = inputs
    return {part: checks.canonical(data, part, uint8) for part, data in parts.items()}


def _checked(pair: Arrays, name: str, uint8: bool, scale: bool) -> dict[str, np.ndarray]:
    inputs, targets = pair
    arrays = {"inputs": inputs, "targets": targets}
    data = {key: checks.dense(f"{name}['{key}']", values) for key, values in arrays.items()}
    for key, values in data.items():  # together, for their lengths; inputs may still be scaled
        checks.canonical({key: values}, name, uint8, rounding=not (scale and key == "inputs"))
    checks.canonical(data, name, uint8, rounding=False)
    if data["targets"].dtype == np.uint8:  # bytes are for images; labels are small anyway
        data["targets"] = data["targets"].astype(np.int32)
    return data
