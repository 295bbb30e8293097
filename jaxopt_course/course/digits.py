"""The small task of many lessons: the digits of scikit-learn, as they are or with wrong labels."""

from typing import Any

import numpy as np

from jaxopt_course.problems.tasks import Task


def digits(module: Any) -> Task:
    """The 1,797 digits of 8 × 8, in 0 ... 1, split 60/20/20 as :meth:`Task.from_flax` does.

    Args:
        module: the network, as ``Task.from_flax`` takes it.
    """
    images, labels = pixels()
    return Task.from_flax(module, images, labels, loss="softmax_cross_entropy", name="dígitos")


def noisy_digits(module: Any, train: int, valid: int | None = None, *, seed: int = 0) -> Task:
    """Few digits of which 15 % have a label drawn at random, so that networks can overfit.

    The labels of the other parts are right.

    Args:
        module: the network, as ``Task.from_flax`` takes it.
        train: how many digits to train on.
        valid: how many to choose by, the rest being the test; by default all that are left,
            which then are the test too.
        seed: of which digits, which labels are drawn, and what they become.

    Raises:
        ValueError: a part has no digits.

    >>> from flax import nnx
    >>> noisy_digits(lambda rngs: nnx.Linear(64, 10, rngs=rngs), 600, 400)
    Task('dígitos ruidosos', examples={'train': 600, 'valid': 400, 'test': 797}, \
metrics={'accuracy': 'max', 'loss': 'min'})
    """
    images, labels = pixels()
    rest = len(labels) - train
    if train < 1 or not (rest > 0 if valid is None else 0 < valid < rest):
        raise ValueError(
            f"train={train}, valid={valid}: each part needs an example, and there are {len(labels)}"
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    fit, check, final = np.split(order, [train, len(order) if valid is None else train + valid])
    final = check if valid is None else final
    noisy = labels[fit].copy()
    wrong = np.random.default_rng(seed + 1).random(train) < 0.15
    noisy[wrong] = np.random.default_rng(seed + 2).integers(0, 10, wrong.sum())
    return Task.from_flax(
        module,
        images[fit],
        noisy,
        valid=(images[check], labels[check]),
        test=(images[final], labels[final]),
        loss="softmax_cross_entropy",
        name="dígitos ruidosos",
    )


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 64) in float32, and labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels
