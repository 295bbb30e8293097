"""Data sets of openml.org, by scikit-learn's ``fetch_openml``: downloaded once, then cached.

The cache is scikit-learn's, ``~/scikit_learn_data`` or ``$SCIKIT_LEARN_DATA``.
"""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from jaxopt_course.messages import unknown
from jaxopt_course.problems.tasks import Task, load_task


class Source(NamedTuple):
    """Where a data set is."""

    data_id: int  # on openml.org
    shape: tuple[int, ...] | None  # of an image, channels first as stored; None for a table
    description: str


SOURCES: dict[str, Source] = {
    "mnist": Source(554, (1, 28, 28), "70,000 images of digits, 28x28; MLP 784-128-10"),
    "cifar10": Source(40927, (3, 32, 32), "60,000 colour photographs of 10 kinds, 32x32"),
    "bank_marketing": Source(1461, None, "45,211 calls of a bank; does the client subscribe?"),
    "online_shoppers": Source(46947, None, "12,330 visits to a shop; does the visitor buy?"),
    "credit_card_fraud": Source(1597, None, "284,807 card payments, 0.17% of them fraud"),
}
BANK_COLUMNS = (  # openml.org has V1 .. V16, in the order of the original
    *("age", "job", "marital", "education", "default", "balance", "housing", "loan", "contact"),
    *("day", "month", "duration", "campaign", "pdays", "previous", "poutcome"),
)


def fetch(name: str, data_home: str | Path | None = None) -> Any:
    """What ``fetch_openml`` returns for one of ``SOURCES``: arrays of images, or a frame.

    Raises:
        ValueError: an unknown name.
        ConnectionError: it is not in the cache, and openml.org cannot be reached or does not
            answer as it should.
    """
    from sklearn.datasets import fetch_openml, get_data_home

    source = _source(name)
    table = source.shape is None
    # scikit-learn asks pandas for categories, and breaks on those that pandas 3.1 reads as numbers.
    dtype = None if table else np.float32
    settings = {"parser": "pandas", "read_csv_kwargs": {"dtype": dtype}, "n_retries": 1}
    try:
        with warnings.catch_warnings():  # of retries; the error says it all
            warnings.filterwarnings("ignore", "(A network error occurred|Invalid cache)")
            return fetch_openml(
                data_id=source.data_id, data_home=data_home, as_frame=table, **settings
            )
    except (OSError, ValueError) as error:  # URLError and HTTPError among them
        raise ConnectionError(
            f"{name!r} is not in {get_data_home(data_home)} and could not be downloaded "
            f"(openml.org/d/{source.data_id}: {error}). Run this once where there is a network, "
            "or point $SCIKIT_LEARN_DATA to a folder that has it. The tasks that come with the "
            "library (jaxopt-course tasks) need no network."
        ) from error


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise ValueError(unknown("data set of openml.org", name, SOURCES))
    return SOURCES[name]


def images(name: str, data_home: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """``mnist`` as (70000, 28, 28, 1) or ``cifar10`` as (60000, 32, 32, 3), in [0, 1]; and labels.

    Pixels are float32, value / 255, channels last as ``nnx.Conv`` has them; labels are int32.

    Raises:
        ValueError: an unknown name, or a set that has no images.
        ConnectionError: see :func:`fetch`.
    """
    shape = _source(name).shape
    if shape is None:
        raise ValueError(f"{name!r} is a table, not a set of images")
    data = fetch(name, data_home)
    pixels = np.asarray(data.data, np.float32).reshape(-1, *shape) / 255
    return np.moveaxis(pixels, 1, -1), np.asarray(data.target).astype(np.int32)


def table(name: str, data_home: str | Path | None = None) -> tuple[pd.DataFrame, str]:
    """``bank_marketing``, ``online_shoppers`` or ``credit_card_fraud``, and its target's name.

    In ``bank_marketing``, ``duration`` is how long the call was, which nobody knows before it:
    leave it out to predict.

    Raises:
        ValueError: an unknown name, or a set of images.
        ConnectionError: see :func:`fetch`.
    """
    if _source(name).shape is not None:
        raise ValueError(f"{name!r} is a set of images, not a table")
    data = fetch(name, data_home)
    frame, target = data.frame, data.target_names[0]
    if name == "bank_marketing":
        old = frame.columns.drop(target)
        frame = frame.rename(columns=dict(zip(old, BANK_COLUMNS, strict=True)))
    for column in frame.columns[[not is_numeric_dtype(dtype) for dtype in frame.dtypes]]:
        frame[column] = frame[column].str.strip("'")  # as ARFF may quote a category
    return frame, target


def openml_task(name: str, data_home: str | Path | None = None) -> Task:
    """A data set of openml.org as a task, split 60/20/20 in equal shares of the classes.

    Tables get an MLP with two hidden layers of 64 units; ``mnist`` the notes' 784-128-10,
    ``cifar10`` a dense 3072-128-10, on flat images.

    Raises:
        ValueError: an unknown name.
        ConnectionError: see :func:`fetch`.
    """
    from jaxopt_course.problems.networks import MLP
    from jaxopt_course.problems.tables import table_task

    if _source(name).shape is None:
        frame, target = table(name, data_home)
        return table_task(frame, target, name=name, description=SOURCES[name].description)
    pixels, labels = images(name, data_home)
    flat = pixels.reshape(len(pixels), -1)
    return Task.from_flax(
        lambda rngs: MLP(flat.shape[1], 128, 10, rngs=rngs),
        flat,
        labels,
        loss="softmax_cross_entropy",
        name=name,
        description=SOURCES[name].description,
    )


def named_task(name: str) -> Task:
    """A task that comes with the library, or one of ``SOURCES``."""
    return openml_task(name) if name in SOURCES else load_task(name)
