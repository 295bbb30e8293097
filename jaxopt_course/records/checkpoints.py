"""A sweep that goes on after a crash: its question, its lock, and two generations of where it was.

    checkpoint/question.json     what was asked: task, budget, optimizer, program; see ``Question``
    checkpoint/question.csv      the table of trials
    checkpoint/0.state, 1.state  the two last snapshots; the newer one that is whole counts
    .lock                        held (by the operating system) by the process that works here

A ``.state`` file is a line of JSON with the SHA-256 of the rest, then arrays as ``.npz``.  It is
written beside its place, flushed to the disk and renamed, and so is whole or not there; npz and
JSON need nothing but NumPy, and no pickle.  States are stored by trial, not by lane, so that other
devices can go on with them.  The question has checksums too: an answer to another one than was
asked would be worse than none.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.records import store
from jaxopt_course.sweeps.snapshot import Results, Snapshot, Waiting

try:
    import fcntl
except ImportError:  # Windows: no lock, all else works
    fcntl = None  # type: ignore[assignment]

FORMAT_VERSION = 1
FOLDER, QUESTION, TABLE, LOCK = "checkpoint", "question.json", "question.csv", ".lock"
GENERATIONS = ("0.state", "1.state")


class Question(NamedTuple):
    """All that makes a sweep, but for the code that JSON cannot hold."""

    settings: dict[str, Any]  # task, budget, metric, lanes, scheduler; hashes of data and program
    trials: pd.DataFrame  # complete: trial, id, hyperparameters, seed, duplicate_of


def ask(directory: Path, question: Question) -> None:
    """Write the question of a new sweep, and forget an earlier one's answers."""
    folder = directory / FOLDER
    folder.mkdir(exist_ok=True)
    for name in (QUESTION, *GENERATIONS):
        (folder / name).unlink(missing_ok=True)
    table = question.trials.to_csv(index=False).encode()
    store.replace(folder / TABLE, lambda file: file.write_bytes(table))
    content = question.settings | {
        "format_version": FORMAT_VERSION,
        "dtypes": {name: str(dtype) for name, dtype in question.trials.dtypes.items()},
        "table_sha256": hashlib.sha256(table).hexdigest(),
    }
    content["sha256"] = _digest(content)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    store.replace(folder / QUESTION, lambda file: file.write_text(text, encoding="utf-8"))


def asked(directory: str | Path) -> Question:
    """Read the question that :func:`ask` wrote.

    Raises:
        FileNotFoundError: nothing to resume is there.
        ValueError: it is of an unknown format, damaged or edited.
    """
    path = Path(directory).expanduser().resolve()
    file = path / FOLDER / QUESTION
    if not file.is_file():
        done = "; the study there is complete"
        if not (path / store.MANIFEST).is_file():
            done = "; a sweep that was killed before it had compiled has nothing: start it again"
        raise FileNotFoundError(f"{path} holds no sweep to resume (no {FOLDER}/{QUESTION}){done}")
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not readable JSON: {error}") from None
    version = settings.get("format_version") if isinstance(settings, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{file} is of format {version!r}; this version resumes format {FORMAT_VERSION}"
        )
    table = file.with_name(TABLE)
    if settings.pop("sha256", None) != _digest(settings):
        raise ValueError(_no_longer(file))
    if store.read_part(table, _sha256) != settings.pop("table_sha256"):
        raise ValueError(_no_longer(table))
    dtypes = settings.pop("dtypes")
    return Question(settings, store.read_part(table, lambda file: store.read_table(file, dtypes)))


def _no_longer(file: Path) -> str:
    return (
        f"{file} was edited or is damaged, so its trials would not be those that were begun; put "
        "it back as it was, or sweep anew (overwrite=True, on the command line --overwrite)"
    )


def _digest(content: dict[str, Any]) -> str:
    """SHA-256, in hex, of what is JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def forget(directory: Path) -> None:
    """Remove the checkpoint of a sweep that is complete; first what marks it as unfinished."""
    folder = directory / FOLDER
    (folder / QUESTION).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def save(directory: Path, snapshot: Snapshot) -> Path:
    """Write a snapshot in the place of the older generation; the file.

    Raises:
        OSError: the disk is full, or the like; the other generation stays as it was.
    """
    numbers = [_number(directory / FOLDER / name) for name in GENERATIONS]
    older = min(range(2), key=lambda i: numbers[i])
    arrays = _pack(snapshot)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    payload = buffer.getbuffer()
    header = {
        "format_version": FORMAT_VERSION,
        "number": max(numbers) + 1,
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    target = directory / FOLDER / GENERATIONS[older]
    line = json.dumps(header).encode() + b"\n"

    def write(file: Path) -> None:
        with file.open("wb") as stream:
            stream.write(line)
            stream.write(payload)

    store.replace(target, write)
    return target


def newest(directory: Path) -> Snapshot | None:
    """The newest snapshot that is whole; None where there is none.

    A damaged one costs the time since the one before, and a warning.
    """
    files = [directory / FOLDER / name for name in GENERATIONS]
    for file in sorted(files, key=_number, reverse=True):
        arrays = _load(file)
        if arrays is not None:
            return _unpack(arrays)
        if file.exists():
            warnings.warn(
                f"{file} is damaged; the sweep goes on from the snapshot before it, or starts anew",
                stacklevel=3,
            )
            file.unlink()  # or the next snapshot would take the place of the whole one
    return None


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock.  It falls with the process, so that a dead one holds nothing.

    Raises:
        BlockingIOError: another process works there; it is named.
    """
    file = directory / LOCK
    with file.open("a+", encoding="utf-8") as stream:
        if fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                raise BlockingIOError(
                    f"{directory} is in use by another process ({holder}); wait for it, or choose "
                    "another directory"
                ) from None
            except OSError as error:  # some network file systems have no locks
                warnings.warn(
                    f"{directory} cannot be locked ({error}); keep other processes away from it",
                    stacklevel=3,
                )
        store.sweep_up(directory, (store.MANIFEST, store.TRIALS, store.CURVES, store.EVENTS))
        store.sweep_up(directory / FOLDER, (QUESTION, TABLE, *GENERATIONS))
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)  # the file stays: another process may just have opened it


def _number(file: Path) -> int:
    """Which snapshot a file claims to be; -1 where there is none."""
    try:
        with file.open("rb") as stream:
            return int(json.loads(stream.readline(1 << 16))["number"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1


def _load(file: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file, or None if it is missing or torn."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    line, _, payload = content.partition(b"\n")
    try:
        header = json.loads(line)
        known = header["format_version"] == FORMAT_VERSION
        if not known or hashlib.sha256(payload).hexdigest() != header["sha256"]:
            return None
    except (ValueError, KeyError, TypeError):
        return None
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:  # whole, so it must load
        return dict(arrays)


COUNTS = ("trial_steps", "calls", "lane_intervals", "trial_intervals")
TABLES = ("valid", "test")


def _pack(snapshot: Snapshot) -> dict[str, np.ndarray]:
    results, waiting = snapshot
    arrays = {"rows": waiting.rows, "waited": waiting.progress}
    for part in fields(Results):
        value = getattr(results, part.name)
        if part.name in TABLES:
            arrays |= {f"{part.name}/{name}": x for name, x in value.items()}
        elif part.name in COUNTS or isinstance(value, np.ndarray):
            arrays[part.name] = np.asarray(value)
    # bfloat16 and its kin have no name in npz: their bytes travel, and the dtype is in the program
    arrays |= {
        f"leaf/{i}": x if x.dtype.isbuiltin == 1 else x.view(np.uint8)
        for i, x in enumerate(waiting.leaves)
    }
    return arrays


def _unpack(arrays: dict[str, np.ndarray]) -> Snapshot:
    own: dict[str, Any] = {}
    for part in fields(Results):
        if part.name in TABLES:
            own[part.name] = {
                name.removeprefix(f"{part.name}/"): x
                for name, x in arrays.items()
                if name.startswith(f"{part.name}/")
            }
        elif part.name in COUNTS:
            own[part.name] = int(arrays[part.name])
        elif part.name in arrays:
            own[part.name] = arrays[part.name]
    leaves = [arrays[f"leaf/{i}"] for i in range(sum(n.startswith("leaf/") for n in arrays))]
    return Snapshot(Results(**own), Waiting(arrays["rows"], arrays["waited"], leaves))
