"""A study on disk: three files that are a function of the study alone, and one of its wall times.

    manifest.json   what was asked and with what: task, budget, columns and dtypes, seeds, lanes,
                    versions, command, hashes
    trials.csv      a row a trial: hyperparameters, seed, status, metrics
    curves.nc       arrays of numbers over (trial, step) and (trial, eval_step), NaN after its end
    events.jsonl    when and where it ran: wall times, devices, hosts
    .commit         while the three are put in place: which files are whole on the disk

No pickle, and no jax: ``report/`` reads these files on machines that have none.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

FORMAT_VERSION = 1
MANIFEST, TRIALS, CURVES, EVENTS = "manifest.json", "trials.csv", "curves.nc", "events.jsonl"
UNFINISHED = "checkpoint/question.json"  # while a sweep runs, and after it was cut short
CONFIRMATION, PAGE = "confirm", "report.html"  # beside them, derived from them
PARTIAL = ".partial"  # how a file ends while it is written
COMMIT = ".commit"  # lists the partial files of a study that is whole on the disk


@dataclass(frozen=True)
class Record:
    """What a directory holds: the manifest, the table of trials and their curves."""

    manifest: dict[str, Any]
    trials: pd.DataFrame
    curves: xr.Dataset  # (trial, step) and (trial, eval_step), float32


def claim(directory: str | Path, overwrite: bool = False) -> Path:
    """Make ``directory`` ready for a study, before any work starts.

    Args:
        directory: where the study goes; made if it does not exist.
        overwrite: whether a study that it already holds may be replaced. Files that are not the
            study's own are never touched.

    Raises:
        FileExistsError: it already holds a study and ``overwrite`` is false.
        NotADirectoryError: the path, or a part of it, is a file.
        PermissionError: nothing can be written there.
    """
    path = Path(directory).expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        parts = [part for part in (path, *path.parents) if part.is_file()]
        raise NotADirectoryError(
            f"{parts[0] if parts else path} is a file, not a directory for a study"
        ) from None
    except OSError as error:
        raise PermissionError(f"cannot make the directory {path}: {error.strerror}") from None
    if (path / UNFINISHED).exists() and not overwrite:
        raise FileExistsError(
            f"{path} holds a sweep that was cut short; go on with it (Study.resume(directory), "
            "jaxopt-course resume), choose another directory, or allow it to be replaced "
            "(overwrite=True, on the command line --overwrite)"
        )
    if (path / MANIFEST).exists() and not overwrite:
        raise FileExistsError(
            f"{path} already holds a study; choose another directory, or allow it to be replaced "
            "(overwrite=True, on the command line --overwrite)"
        )
    try:
        with tempfile.NamedTemporaryFile(dir=path):
            pass
    except OSError as error:
        raise PermissionError(f"cannot write into {path}: {error.strerror}") from None
    return path


def write(directory: Path, record: Record) -> None:
    """Write the three files, each whole or not at all; the manifest last, as the seal.

    A study that they replace stays until all three are on the disk; whoever then finds the list of
    them that a crash has left puts them in place (:func:`complete`).  What was derived from the old
    one goes with it: its confirmation and its page.

    Raises:
        OSError: the disk is full, or the like; a study that was there stays as it was.
    """
    manifest = record.manifest | {
        "format_version": FORMAT_VERSION,
        "dtypes": {name: str(dtype) for name, dtype in record.trials.dtypes.items()},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    curves = record.curves.to_netcdf(engine="h5netcdf")  # HDF5 has its own ways on a full disk
    parts: dict[str, Callable[[Path], Any]] = {
        TRIALS: lambda file: record.trials.to_csv(file, index=False),
        CURVES: lambda file: file.write_bytes(curves),
        MANIFEST: lambda file: file.write_text(text, encoding="utf-8"),
    }
    with ExitStack() as stack:
        ready = [stack.enter_context(_beside(directory / name, parts[name])) for name in parts]
        _sync(directory)
        listed = json.dumps([partial.name for partial in ready])
        replace(directory / COMMIT, lambda file: file.write_text(listed, encoding="utf-8"))
        complete(directory)


def complete(directory: Path) -> None:
    """Put the files of a study in place that :func:`write` had finished writing."""
    try:
        names = json.loads((directory / COMMIT).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return
    for name in (MANIFEST, TRIALS, CURVES, EVENTS, PAGE):
        (directory / CONFIRMATION / name).unlink(missing_ok=True)
    for name in (EVENTS, PAGE):
        (directory / name).unlink(missing_ok=True)
    for partial, name in zip(names, (TRIALS, CURVES, MANIFEST), strict=True):
        with suppress(FileNotFoundError):  # it is in place
            os.replace(directory / partial, directory / name)
    _sync(directory)
    (directory / COMMIT).unlink(missing_ok=True)


def write_events(directory: Path, events: Iterable[dict[str, Any]]) -> None:
    """Write ``events.jsonl``, a line of JSON an event."""
    text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
    replace(directory / EVENTS, lambda file: file.write_text(text, encoding="utf-8"))


def read_events(directory: Path) -> list[dict[str, Any]]:
    """The events of a study; none where the file is missing, for results do not depend on it."""
    file = directory / EVENTS
    if not file.is_file():
        return []
    events = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(json.JSONDecodeError):  # a torn line tells nothing, and nothing needs it
            events.append(json.loads(line))
    return events


def read(directory: str | Path) -> Record:
    """Read the study that :func:`write` left in ``directory``.

    Raises:
        FileNotFoundError: the directory does not exist or holds no study.
        ValueError: the study is of a format that this version does not know, a file is damaged,
            or the files do not belong together.
    """
    path = Path(directory).expanduser().resolve()
    complete(path)
    if not (path / MANIFEST).is_file():
        raise FileNotFoundError(f"{path} holds no study (no {MANIFEST} in it)")
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path / MANIFEST} is not readable JSON: {error}") from None
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} is a study of format {version!r}; this version reads format {FORMAT_VERSION}"
        )
    if missing := {"dtypes", "hyperparameters", "metric", "task", "trials"} - set(manifest):
        raise ValueError(f"{path / MANIFEST} is damaged: it lacks {', '.join(sorted(missing))}")
    trials = read_part(path / TRIALS, lambda file: read_table(file, manifest["dtypes"]))
    curves = read_part(path / CURVES, lambda file: xr.load_dataset(file, engine="h5netcdf"))
    asked = manifest["trials"]
    if not len(trials) == curves.sizes.get("trial") == asked:
        raise ValueError(
            f"{path}: the manifest says {asked} trials, {TRIALS} has {len(trials)} and {CURVES} "
            f"{curves.sizes.get('trial')}; a file is damaged or of another study"
        )
    return Record(manifest, trials, curves)


def read_part(file: Path, load: Callable[[Path], Any]) -> Any:
    """Load a file; whatever is wrong with it, say which file it is."""
    try:
        return load(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{file} is missing") from None
    except Exception as error:  # a damaged file fails in as many ways as there are parsers
        raise ValueError(f"{file} is damaged: {error}") from error


def read_table(file: Path, dtypes: dict[str, str]) -> pd.DataFrame:
    """A table of CSV, in these dtypes; every bit of a number comes back."""
    table = pd.read_csv(file, dtype="string", keep_default_na=False, na_values=[""])
    return pd.DataFrame({name: _typed(table[name], dtype) for name, dtype in dtypes.items()})


def _typed(column: pd.Series, dtype: str) -> pd.Series:
    """A column of text as what it was; by Python's own parser, which gives back every bit."""
    parsers: dict[str, Callable[[str], Any]] = {"f": float, "i": int, "b": "True".__eq__}
    parse = parsers.get(dtype[0].lower())
    if parse is None:
        return column.astype(dtype)
    empty = float("nan") if dtype[0] == "f" else None
    values = [empty if text is pd.NA else parse(text) for text in column]
    return pd.Series(values, column.index, dtype=dtype)


def replace(target: Path, save: Callable[[Path], Any]) -> None:
    """Save beside ``target``, flush to the disk and rename: whoever reads it meets a whole file."""
    with _beside(target, save) as partial:
        os.replace(partial, target)
        _sync(target.parent)


@contextmanager
def _beside(target: Path, save: Callable[[Path], Any]) -> Iterator[Path]:
    """A file beside ``target``, saved and on the disk; removed in the end if it is still there."""
    partial = target.with_name(f".{target.name}.{os.getpid()}{PARTIAL}")
    try:
        save(partial)
        with partial.open("r+b") as stream:  # Windows flushes what can be written only
            os.fsync(stream.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    """Put renames on the disk, where a directory can be synced."""
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep_up(directory: Path, names: Iterable[str]) -> None:
    """Remove what a process that was killed left half written of the files ``names``."""
    complete(directory)
    for name in names:
        for partial in directory.glob(f".{name}.*{PARTIAL}"):
            partial.unlink(missing_ok=True)
