"""The sets that come with scikit-learn, and its split, without the import of scikit-learn.

That takes a second, which a command that trains for ten need not wait.  Where something is not as
it is known here, the functions return None and scikit-learn itself is asked.
"""

import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

FILES: Mapping[str, tuple[str, int]] = MappingProxyType(  # name, lines of title
    {
        "digits": ("digits.csv.gz", 0),
        "breast_cancer": ("breast_cancer.csv", 1),
        "wine": ("wine_data.csv", 1),
    }
)


def rows(name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Inputs (n, k) float64 and labels (n,) int64 of a set; None where its file is elsewhere."""
    file, titles = FILES[name]
    package = importlib.util.find_spec("sklearn")  # looks where it is, imports nothing
    for place in (package and package.submodule_search_locations) or ():
        path = Path(place, "datasets", "data", file)
        if path.is_file():
            table = np.loadtxt(path, delimiter=",", skiprows=titles)
            return table[:, :-1], table[:, -1].astype(np.int64)
    return None


def divided(
    examples: int, held_out: float, seed: int, labels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """What ``train_test_split(range(examples), test_size=held_out, random_state=seed)`` returns.

    Args:
        examples: how many.
        held_out: the share that is not for training, rounded up.
        seed: of the permutations.
        labels: (examples,), whole numbers, of which each part has its share; or None.

    Returns:
        Indices of both parts, in scikit-learn's order; None where it would not take the input, or
        not all of it is known here.
    """
    size = math.ceil(held_out * examples)
    counts, random = (examples - size, size), np.random.RandomState(seed)
    if labels is None:
        order = random.permutation(examples)
        return (order[size:], order[:size]) if min(counts) > 0 else None
    if labels.shape != (examples,) or labels.dtype.kind not in "iub":
        return None
    _, classes, members = np.unique(labels, return_inverse=True, return_counts=True)
    if members.min() < 2 or min(counts) < len(members):
        return None
    shares = [_shares(members, counts[0], random)]
    shares.append(_shares(members - shares[0], counts[1], random))
    parts: tuple[list[int], list[int]] = ([], [])
    of_class = np.split(np.argsort(classes, kind="stable"), np.cumsum(members)[:-1])
    for mine, first, second in zip(of_class, *shares, strict=True):
        mine = mine[random.permutation(len(mine))]
        parts[0].extend(mine[:first])
        parts[1].extend(mine[first : first + second])
    return random.permutation(parts[0]), random.permutation(parts[1])


def _shares(members: np.ndarray, wanted: int, random: np.random.RandomState) -> np.ndarray:
    """How many of each class: in proportion, rounded so that there are ``wanted`` in all.

    Those whose remainder is largest are rounded up; who is, among equal ones, is drawn.
    """
    exact = members / members.sum() * wanted
    shares = np.floor(exact)
    remainders, missing = exact - shares, int(wanted - shares.sum())
    for value in np.unique(remainders)[::-1]:
        if missing <= 0:
            break
        (equal,) = np.nonzero(remainders == value)
        up = random.choice(equal, size=min(len(equal), missing), replace=False)
        shares[up] += 1
        missing -= len(up)
    return shares.astype(int)
