"""Data sets of openml.org, by scikit-learn's ``fetch_openml``: downloaded once, then cached.

The cache is scikit-learn's, ``~/scikit_learn_data`` or ``$SCIKIT_LEARN_DATA``.  It holds each file
beside the description that openml.org gives of it, with its MD5: who can write there can change
both.  Where a checksum is known here (``Source.md5``), theirs must be the same.
"""

import gzip
import json
import math
import re
import warnings
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from jaxopt_course.messages import printable, unknown

LARGEST = 1 << 24  # bytes of a description


class Source(NamedTuple):
    """Where a data set is."""

    data_id: int  # on openml.org
    description: str
    shape: tuple[int, ...] | None = None  # of an image, channels first as stored; None for a table
    train: int = 0  # images before those of the official test part
    test: tuple[int, ...] = ()  # images of each class in the official test part
    md5: str | None = None  # of the ARFF file, where two sources agree on it


SOURCES: dict[str, Source] = {
    "mnist": Source(
        554,
        "70,000 images of digits, 28x28",
        (1, 28, 28),
        60_000,
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        "0298d579eb1b86163de7723944c7e495",
    ),
    "cifar10": Source(
        40927,
        "60,000 colour photographs of 10 kinds, 32x32",
        (3, 32, 32),
        50_000,
        (1000,) * 10,
    ),
    "bank_marketing": Source(1461, "45,211 calls of a bank; does the client subscribe?"),
    "online_shoppers": Source(46947, "12,330 visits to a shop; does the visitor buy?"),
    "credit_card_fraud": Source(1597, "284,807 card payments, 0.17% of them fraud"),
}
BANK_COLUMNS = (  # openml.org has V1 .. V16, in the order of the original
    *("age", "job", "marital", "education", "default", "balance", "housing", "loan", "contact"),
    *("day", "month", "duration", "campaign", "pdays", "previous", "poutcome"),
)


def fetch(name: str, data_home: str | Path | None = None) -> Any:
    """What ``fetch_openml`` returns for one of ``SOURCES``: arrays of images, or a frame.

    A file that was cut short or changed is downloaded again; if that does not help, or there is no
    network, the error says so.

    Raises:
        ValueError: an unknown name.
        ConnectionError: it is not in the cache, and openml.org cannot be reached or does not
            answer as it should.
    """
    from sklearn.datasets import fetch_openml, get_data_home

    source, home = _source(name), get_data_home(data_home)
    table = source.shape is None
    # scikit-learn asks pandas for categories, and breaks on those that pandas 3.1 reads as numbers.
    # Read whole, a column has one type; images are too large for that, and have one anyway.
    kwargs = {"dtype": None, "low_memory": False} if table else {"dtype": np.float32}
    where = f"openml.org/d/{source.data_id}"
    try:
        _check_cached(home, name)
        with warnings.catch_warnings():  # of retries; the error says it all
            warnings.filterwarnings("ignore", "(A network error occurred|Invalid cache)")
            data = fetch_openml(
                data_id=source.data_id,
                data_home=home,
                as_frame=table,
                parser="pandas",
                read_csv_kwargs=kwargs,
                n_retries=1,
            )
    except (OSError, EOFError, HTTPException, zlib.error) as error:  # URLError, cut-off answers
        why = re.sub(r"\[Errno -?\d+\] ", "", printable(error))
        raise ConnectionError(
            f"{name!r} is not in {home} and could not be downloaded "
            f"({where}: {why}). Run this once where there is a network, "
            "or point $SCIKIT_LEARN_DATA to a folder that has it. The tasks that come with the "
            "library (jaxopt-course tasks) need no network."
        ) from error
    except Exception as error:  # a wrong checksum, another form: as many errors as there are parts
        raise ConnectionError(
            f"{name!r} as {where} gives it cannot be used, also when downloaded anew: "
            f"{printable(error) or type(error).__name__}"
        ) from error
    _check_md5(name, data.details.get("md5_checksum"), str(home))
    if len(data.target_names) != 1:
        raise ConnectionError(
            f"{name!r} as {where} gives it has {len(data.target_names)} targets, not one"
        )
    return data


def _check_cached(home: str, name: str) -> None:
    """Look at a description in the cache before anything is done that it says.

    Raises:
        ConnectionError: it gives another checksum than is known, or a file out of the cache.
    """
    file = Path(home, "openml", "openml.org", "api/v1/json/data", f"{_source(name).data_id}.gz")
    try:
        if not file.is_file():
            return
        with gzip.open(file) as stream:
            about = json.loads(stream.read(LARGEST))["data_set_description"]
        url, md5 = str(about["url"]), about.get("md5_checksum")
    except (OSError, EOFError, ValueError, LookupError, TypeError, zlib.error, RecursionError):
        return  # scikit-learn will find that it is damaged, and download it again
    if ".." in url or not re.match(r"https?://([\w-]+\.)*openml\.org/", url):
        raise ConnectionError(f"{file} leads elsewhere ({printable(url)[:80]}): remove it")
    _check_md5(name, md5, str(file))


def _check_md5(name: str, md5: Any, where: str) -> None:
    known = _source(name).md5
    if known is not None and md5 != known:
        raise ConnectionError(
            f"{name!r} in {where} is another file than was published (MD5 "
            f"{printable(md5)[:40]}, not {known}): remove it, and download it again"
        )


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise ValueError(unknown("data set of openml.org", name, SOURCES))
    return SOURCES[name]


def pixels(name: str, data_home: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """``mnist`` as (70000, 28, 28, 1) or ``cifar10`` as (60000, 32, 32, 3), uint8; and labels.

    Channels are last, as ``nnx.Conv`` has them; labels are int32, 0 to 9.  The order is that of the
    set: the official training part (60,000 and 50,000 images), then the test part (10,000).

    Raises:
        ValueError: an unknown name, or a set that has no images.
        ConnectionError: see :func:`fetch`.
    """
    shape = _source(name).shape
    if shape is None:
        raise ValueError(f"{name!r} is a table, not a set of images")
    data = fetch(name, data_home)
    # Cast a part at a time: a float copy of CIFAR-10 would take another 740 MB.
    stored = data.data
    if stored.shape[1] != math.prod(shape):
        raise ConnectionError(
            f"{name!r} has {stored.shape[1]} pixels an image, not {math.prod(shape)}"
        )
    values = np.empty(stored.shape, np.uint8)
    for i in range(0, len(stored), 4096):
        part = stored[i : i + 4096]
        if not ((part >= 0) & (part <= 255) & (part == np.floor(part))).all():  # NaN fails too
            raise ConnectionError(f"{name!r} has pixels that are no whole numbers from 0 to 255")
        values[i : i + 4096] = part
    labels = np.asarray(data.target, np.float64)
    if not np.isin(labels, range(10)).all():
        raise ConnectionError(f"{name!r} has labels other than 0 to 9")
    last = np.ascontiguousarray(np.moveaxis(values.reshape(-1, *shape), 1, -1))
    return last, labels.astype(np.int32)


def images(name: str, data_home: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """:func:`pixels` as float32 in [0, 1], value / 255, four times as large; and labels."""
    values, labels = pixels(name, data_home)
    return values / np.float32(255), labels


def official_parts(
    name: str, data_home: str | Path | None = None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """:func:`pixels` in the official training and test part, each images and labels.

    How many images of each class the test part has shows whether the order is the official one.  If
    it is not, the parts are as large, and a warning says that they are others.

    Raises:
        ValueError: an unknown name, or a set that has no images.
        ConnectionError: see :func:`fetch`; or there are more or fewer images, or a class is missing
            in a part.
    """
    values, labels = pixels(name, data_home)
    train, wanted = _source(name).train, _source(name).test
    if len(labels) != train + sum(wanted):
        raise ConnectionError(
            f"{name!r} has {len(labels):,} images, not {train:,} of training and "
            f"{sum(wanted):,} of test"
        )
    counts = tuple(np.bincount(labels[train:], minlength=10).tolist())
    if counts != wanted:
        said = (
            f"{name!r} is not in the official order: after the first {train:,} images there should "
            f"be {wanted} of the classes 0 to 9, and there are {counts}"
        )
        if min(counts) == 0 or min(np.bincount(labels[:train], minlength=10)) == 0:
            raise ConnectionError(f"{said}: split jaxopt_course.problems.openml.pixels yourself")
        warnings.warn(f"{said}: results are not those of the official test part", stacklevel=3)
    return (values[:train], labels[:train]), (values[train:], labels[train:])


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
        if len(old) != len(BANK_COLUMNS):
            raise ConnectionError(
                f"{name!r} has {len(old)} columns beside its target, not {len(BANK_COLUMNS)}"
            )
        frame = frame.rename(columns=dict(zip(old, BANK_COLUMNS, strict=True)))
    for column in frame.columns[[not is_numeric_dtype(dtype) for dtype in frame.dtypes]]:
        # ARFF may quote a category; a column with gaps may hold TRUE and FALSE beside them
        frame[column] = frame[column].map(_unquoted, na_action="ignore")
    return frame, target


def _unquoted(value: Any) -> Any:
    return value.strip("'") if isinstance(value, str) else value
