"""A sweep that goes on after a crash: what was asked, and for each bucket where it is.

    checkpoint/question.json        what was asked: task, budget, optimizer, program
    checkpoint/question.csv         the table of trials
    checkpoint/0000/0.state, 1.state    the two last snapshots of a bucket under way; the newer one
                                    that is whole counts
    checkpoint/0000/results.json, trials.csv, curves.nc     of a bucket that is over, what it left
    checkpoint/0000/kept.npz        and the states of its best configurations, where they stay

A ``.state`` file is a line of JSON with the SHA-256 of the rest, then arrays (see ``arrays``).  The
question has a checksum too, and each answer names the question that it answers: an answer to
another one than was asked would be worse than none.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.records import files, format_1, ownership
from jaxopt_course.records.arrays import pack, unpack
from jaxopt_course.records.curves import check_arrays
from jaxopt_course.records.format import (
    CHECKPOINT,
    CURVES,
    FORMAT_VERSION,
    MANIFEST,
    QUESTION,
    TRIALS,
    WENT_ON,
    check,
    check_task,
)
from jaxopt_course.records.store import read_table

if TYPE_CHECKING:
    import xarray as xr

TABLE = "question.csv"
GENERATIONS = ("0.state", "1.state")
RESULTS = "results.json"
KEPT = "kept.npz"  # by one whose best configurations' states stay
LEFT = (RESULTS, TRIALS, CURVES, KEPT)  # by a bucket that is over
NOTED = "noted_sha256"  # in the question, of what was noted beside it
NAMES = (QUESTION, TABLE, *GENERATIONS, *LEFT)


class Question(NamedTuple):
    """All that makes a sweep, but for the code that JSON cannot hold."""

    settings: dict[str, Any]  # a manifest without results
    trials: pd.DataFrame  # complete: trial, id, hyperparameters, seed, duplicate_of


class Left(NamedTuple):
    """What a bucket left."""

    trials: pd.DataFrame
    curves: "xr.Dataset"
    event: dict[str, Any]
    kept: Mapping[int, bytes] = {}  # by trial, the states of the best configurations


def is_unfinished(directory: Path) -> bool:
    """Whether a sweep runs here, or was cut short."""
    return files.is_file(directory / CHECKPOINT / QUESTION)


def ask(directory: Path, question: Question) -> None:
    """Write the question of a new sweep, and forget an earlier one's answers.

    Raises:
        OSError: the answers to an earlier question cannot be removed, or the disk is full.
    """
    forget(directory)
    folder = ownership.folder(directory, CHECKPOINT)
    table = question.trials.to_csv(index=False).encode()
    files.replace_bytes(folder / TABLE, table)
    content = question.settings | {
        "format_version": FORMAT_VERSION,
        "dtypes": {name: str(dtype) for name, dtype in question.trials.dtypes.items()},
        "table_sha256": hashlib.sha256(table).hexdigest(),
    }
    content["sha256"] = files.digest(content)
    files.replace_bytes(folder / QUESTION, files.dump(content))


def note(directory: Path, elsewhere: Sequence[Mapping[str, Any]]) -> None:
    """Write beside the question with what else its sweep went on; the answers stay what they are.

    Raises:
        OSError: the disk is full, or the like.
    """
    file = files.require_folder(directory, CHECKPOINT) / QUESTION
    noted = {WENT_ON: [*elsewhere]}
    content = files.read_json(file) | noted | {NOTED: files.digest(noted)}
    files.replace_bytes(file, files.dump(content))


def asked(directory: str | Path) -> Question:
    """Read the question that :func:`ask` wrote; nothing is written.

    Raises:
        FileNotFoundError: nothing to resume is there.
        ValueError: it is of an unknown format, damaged or edited.
    """
    path = files.where(directory)
    file = files.require_folder(path, CHECKPOINT) / QUESTION
    if not files.is_file(file):
        done = "; the study there is complete"
        if not files.is_file(path / MANIFEST):
            done = "; a sweep that was killed before it had compiled has nothing: start it again"
        raise FileNotFoundError(
            f"{path} holds no sweep to resume (no {CHECKPOINT}/{QUESTION}){done}"
        )
    content = files.read_json(file)
    version = content.get("format_version") if isinstance(content, dict) else None
    if version not in (FORMAT_VERSION, format_1.VERSION):
        raise ValueError(
            f"{file} is of format {version!r}; this version resumes format {FORMAT_VERSION}"
        )
    noted = {WENT_ON: content.pop(WENT_ON)} if WENT_ON in content else {}
    whole = not noted or content.pop(NOTED, None) == files.digest(noted)
    if content.pop("sha256", None) != files.digest(content) or not whole:
        raise ValueError(_no_longer(file))
    table = file.with_name(TABLE)
    if files.sha256(table) != content.pop("table_sha256", None):
        raise ValueError(_no_longer(table))
    if version == format_1.VERSION:
        content = format_1.lift(content, str(file))
    settings = check(content, str(file))
    check_task(settings, str(file))
    dtypes = settings.pop("dtypes")
    trials = files.read_part(table, lambda file: read_table(file, dtypes))
    return Question(settings | noted, trials)


def _no_longer(file: Path) -> str:
    return (
        f"{file} was edited or is damaged, so its trials would not be those that were begun; put "
        "it back as it was, or sweep anew (overwrite=True)"
    )


def forget(directory: Path) -> None:
    """Remove the checkpoint of a sweep that is over; first what marks it as unfinished.

    Only files that the format knows by name; a folder that holds more stays.

    Raises:
        OSError: a file cannot be removed.
        ValueError: a link is in the place of a folder.
    """
    ownership.require(directory, [CHECKPOINT])
    folder = files.require_folder(directory, CHECKPOINT)
    if not folder.is_dir():
        return
    (folder / QUESTION).unlink(missing_ok=True)
    files.sync(folder)
    for bucket in sorted(folder.iterdir()):
        if bucket.name.isdecimal() and files.require_folder(folder, bucket.name).is_dir():
            _empty(bucket, (*GENERATIONS, *LEFT))
    _empty(folder, (QUESTION, TABLE, *GENERATIONS))
    files.sync(directory)


def _empty(folder: Path, names: tuple[str, ...]) -> None:
    """Remove these files and what was half written of them; and the folder, if it is empty."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
        files.partial_of(folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # somebody's file is in it
        folder.rmdir()


def folder_of(directory: Path, number: int) -> Path:
    """Where a bucket keeps what it has; made if it does not exist."""
    folder = ownership.folder(directory, CHECKPOINT)
    own = files.require_folder(folder, f"{number:04d}")
    files.make_folder(own)
    return own


def question_of(folder: Path) -> str:
    """The checksum of the question that a bucket's folder belongs to."""
    content = files.read_json(folder.parent / QUESTION)
    return str(content["sha256"])


def _still(folder: Path, question: str) -> None:
    """Refuse to write where the directory was moved away and another sweep is now."""
    try:
        same = question_of(folder) == question
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise FileNotFoundError(f"{folder} is no longer that of this sweep")


def save(folder: Path, arrays: Mapping[str, np.ndarray], question: str) -> Path:
    """Write a snapshot of a bucket in the place of the older generation; the file.

    Args:
        folder: of the bucket.
        arrays: the snapshot.
        question: the checksum of the question that it answers, from :func:`question_of`.

    Raises:
        OSError: the disk is full, or the like, or the directory was moved away; the other
            generation stays as it was.
    """
    _still(folder, question)
    numbers = [_number(folder / name) for name in GENERATIONS]
    older = min(range(2), key=lambda i: numbers[i])
    payload = pack(arrays)
    header = {
        "format_version": FORMAT_VERSION,
        "number": max(numbers) + 1,
        "question": question,
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    target = folder / GENERATIONS[older]
    line = json.dumps(header).encode() + b"\n"

    def fill(file: Path) -> None:
        with file.open("wb") as stream:
            stream.write(line)
            stream.write(payload)

    files.replace(target, fill)
    return target


def newest(folder: Path) -> dict[str, np.ndarray] | None:
    """The newest snapshot of a bucket that is whole; None where there is none.

    A damaged one costs the time since the one before, and a warning.
    """
    candidates = [folder / name for name in GENERATIONS]
    for file in sorted(candidates, key=_number, reverse=True):
        arrays = _load(file, question_of(folder))
        if arrays is not None:
            return arrays
        if files.is_file(file):
            warnings.warn(
                f"{file} is damaged; the sweep goes on from the snapshot before it, or starts anew",
                stacklevel=3,
            )
            file.unlink()  # or the next snapshot would take the place of the whole one
    return None


def look(folder: Path) -> dict[str, np.ndarray] | None:
    """As :func:`newest`, for who reads while a sweep runs: nothing is removed, nothing said."""
    files_of = sorted((folder / name for name in GENERATIONS), key=_number, reverse=True)
    found = (_load(file, question_of(folder)) for file in files_of)
    return next((arrays for arrays in found if arrays is not None), None)


def _number(file: Path) -> int:
    """Which snapshot a file claims to be; -1 where there is none."""
    try:
        files.require_regular(file)
        with file.open("rb") as stream:
            return int(json.loads(stream.readline(1 << 16))["number"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return -1


def _load(file: Path, question: str) -> dict[str, np.ndarray] | None:
    """The arrays of a file, or None if it is missing, torn, or answers another question."""
    try:
        files.require_regular(file)
        line, _, payload = file.read_bytes().partition(b"\n")
        header = json.loads(line)
        known = header["format_version"] == FORMAT_VERSION and header["question"] == question
        if not known or hashlib.sha256(payload).hexdigest() != header["sha256"]:
            return None
        return unpack(payload)
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None


def keep(folder: Path, left: Left, question: str) -> None:
    """Keep what a bucket that is over has left, in the place of its snapshots.

    Args:
        folder: of the bucket.
        left: its results.
        question: as for :func:`save`.

    Raises:
        OSError: the disk is full, or the like; its snapshots stay.
    """
    _still(folder, question)
    contents = {
        TRIALS: left.trials.to_csv(index=False).encode(),
        CURVES: bytes(left.curves.to_netcdf(engine="h5netcdf")),
    }
    if left.kept:
        contents[KEPT] = pack({str(n): np.frombuffer(x, np.uint8) for n, x in left.kept.items()})
    for name, content in contents.items():
        files.replace_bytes(folder / name, content)
    seal = {
        "format_version": FORMAT_VERSION,
        "question": question,
        "sha256": {name: hashlib.sha256(x).hexdigest() for name, x in contents.items()},
        "dtypes": {name: str(dtype) for name, dtype in left.trials.dtypes.items()},
        "event": left.event,
    }
    seal["seal"] = files.digest(seal)
    files.replace_bytes(folder / RESULTS, files.dump(seal))
    for name in GENERATIONS:
        (folder / name).unlink(missing_ok=True)


def kept(folder: Path) -> Left | None:
    """What a bucket that is over has left, if it is whole and as it was written."""
    if not files.is_file(folder / RESULTS):
        return None
    try:
        seal = files.read_json(folder / RESULTS)
        whole = (
            seal.pop("seal") == files.digest(seal)
            and seal["question"] == question_of(folder)
            and {TRIALS, CURVES} <= {*seal["sha256"]} <= {TRIALS, CURVES, KEPT}
            and all(files.sha256(folder / n) == digest for n, digest in seal["sha256"].items())
        )
        if whole:
            trials = read_table(folder / TRIALS, seal["dtypes"])
            check_arrays(folder / CURVES, trials["trial"].tolist())
            import xarray as xr  # late: not needed before a study is there

            curves = xr.load_dataset(folder / CURVES, engine="h5netcdf")
            held = unpack((folder / KEPT).read_bytes()) if KEPT in seal["sha256"] else {}
            states = {int(n): x.tobytes() for n, x in held.items()}
            return Left(trials, curves, dict(seal["event"]), states)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        pass
    warnings.warn(f"{folder} was edited or is damaged; its trials are trained again", stacklevel=2)
    return None
