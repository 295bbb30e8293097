"""A study on disk: written whole or not at all, read without writing anything.

A study that replaces another is written beside it first, file by file.  Then ``.commit`` names the
SHA-256 of each; from there on the new study is the one in the directory: a reader takes the files
that fit, wherever they are, and the next writer puts them in place (:func:`complete`).  Names in
``.commit`` are names that the format knows, never paths.

No pickle, and no jax: ``report/`` reads these files on machines that have none.
"""

import io
import json
import os
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from jaxopt_course.records import files, format_1, ownership, weights
from jaxopt_course.records.curves import check_curves
from jaxopt_course.records.format import (
    CHECKPOINT,
    COMMIT,
    CONFIRMATION,
    CURVES,
    EVENTS,
    FIGURES,
    FORMAT_VERSION,
    MANIFEST,
    PAGE,
    PICTURES,
    QUESTION,
    STUDY,
    TRIALS,
    check,
    table_sha256,
)

if TYPE_CHECKING:
    import xarray as xr

MOST_EVENTS = 100_000  # lines that are read; a sweep has a few, and one more a resume
LONGEST_CELL = 10_000  # bytes of a table, on average
SEALED = (TRIALS, CURVES, MANIFEST)
BOOLEANS = {"true": True, "false": False, "1": True, "0": False}  # spreadsheets write TRUE


@dataclass(frozen=True)
class Record:
    """What a directory holds: the manifest, the table of trials and their curves."""

    manifest: dict[str, Any]
    trials: pd.DataFrame
    curves: "xr.Dataset"  # (trial, step) and (trial, eval_step), float32


def write(
    directory: Path,
    record: Record,
    confirmation: bool = False,
    kept: Iterable[tuple[str, bytes]] = (),
) -> None:
    """Write the files of a study, all or none of them.

    What was derived from the study that they replace goes with it: its confirmation, its page and
    its figures.

    Args:
        directory: of the study, held by this process.
        record: what is written.
        confirmation: whether it is that of the study, and goes into ``confirm/``.
        kept: the files of weights that the manifest names.

    Raises:
        OSError: the disk is full, or the like; a study that was there stays as it was.
        FileExistsError: a file is in the place that is not the study's.
    """
    inside = f"{CONFIRMATION}/" if confirmation else ""
    derived = [] if confirmation else [PAGE, *(f"{CONFIRMATION}/{name}" for name in STUDY)]
    ownership.require(directory, [*(f"{inside}{name}" for name in (*STUDY, COMMIT)), *derived])
    ownership.require_no_strays(directory, inside)
    manifest = record.manifest | {
        "format_version": FORMAT_VERSION,
        "dtypes": {name: str(dtype) for name, dtype in record.trials.dtypes.items()},
    }
    contents = {  # bytes of our own: a view of a buffer would live on in the error of a full disk
        TRIALS: record.trials.to_csv(index=False).encode(),
        CURVES: bytes(record.curves.to_netcdf(engine="h5netcdf")),
        MANIFEST: files.dump(manifest),
    }
    folder = ownership.folder(directory, CONFIRMATION) if confirmation else directory
    partials = {name: files.partial_of(folder / name) for name in contents}
    try:
        weights.write(directory, kept)
        digests = {}
        for name, content in contents.items():
            files.save_beside(folder / name, content)
            digests[name] = files.sha256(partials[name])
        files.sync(folder)
        commit = files.dump({"sha256": digests})
        files.replace_bytes(folder / COMMIT, commit)
    except BaseException:
        (folder / COMMIT).unlink(missing_ok=True)  # first: without the files it says nothing
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        with suppress(OSError, ValueError):
            sweep_weights(directory)
        raise
    complete(directory)


def complete(directory: Path) -> None:
    """Put in place what :func:`write` had finished writing; for whoever holds the lock."""
    own = ownership.read_list(directory)
    for inside in ("", f"{CONFIRMATION}/"):
        if inside and not files.require_folder(directory, CONFIRMATION).is_dir():
            continue
        folder = directory / inside
        found = pending(folder)
        if found is None or not own >= {f"{inside}{name}" for name in (*STUDY, COMMIT)}:
            continue
        if not inside:
            _remove(directory, _derived(directory), own)
        _remove(directory, [f"{inside}{EVENTS}"], own)
        for name, file in found.items():
            if file != folder / name:
                os.replace(file, folder / name)
        files.sync(folder)
        if not inside:
            weights.sweep(directory, _manifest(directory))
        (folder / COMMIT).unlink(missing_ok=True)
        files.sync(folder)


def _derived(directory: Path) -> list[str]:
    """What was made of the study that another one replaces."""
    names = [PAGE, *(f"{CONFIRMATION}/{name}" for name in (*STUDY, COMMIT))]
    pictures = directory / PICTURES
    if pictures.is_dir() and not pictures.is_symlink():
        names += [f"{PICTURES}/{name}" for name in FIGURES]
    return names


def _manifest(directory: Path) -> dict[str, Any]:
    """The manifest of the study that the directory holds, or an empty one."""
    try:
        content = files.read_json(directory / MANIFEST)
        return _checked(content, MANIFEST) if content["format_version"] == FORMAT_VERSION else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _checked(content: Any, of: str) -> dict[str, Any]:
    manifest = check(content, of)
    if manifest.get("weights") is not None:
        weights.check(manifest["weights"], manifest["trials"], of)
    return manifest


def sweep_weights(directory: Path) -> None:
    """Remove weights that a process that was killed left behind, for whoever holds the lock."""
    manifest = _manifest(directory)
    if manifest or not files.is_file(directory / MANIFEST):  # a damaged one names what it named
        weights.sweep(directory, manifest)


def _remove(directory: Path, names: Iterable[str], own: set[str]) -> None:
    """Remove files that are the study's, and put that on the disk."""
    for name in names:
        if name in own:
            (directory / name).unlink(missing_ok=True)
    for folder in {(directory / name).parent for name in names}:
        files.sync(folder)


def pending(folder: Path) -> dict[str, Path] | None:
    """The files of a study that is whole on the disk but not yet in its place; None without."""
    try:
        commit = files.read_json(folder / COMMIT)
    except (FileNotFoundError, ValueError):
        return None
    digests = commit.get("sha256") if isinstance(commit, dict) else None
    if not isinstance(digests, dict) or set(digests) != set(SEALED):
        return None
    found = {}
    for name in SEALED:
        for file in (files.partial_of(folder / name), folder / name):
            with suppress(FileNotFoundError, ValueError, OSError):
                if name not in found and files.sha256(file) == digests[name]:
                    found[name] = file
    return found if len(found) == len(SEALED) else None


def write_events(directory: Path, events: Iterable[dict[str, Any]]) -> None:
    """Write ``events.jsonl``, a line of JSON an event."""
    text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
    files.replace(directory / EVENTS, lambda file: file.write_text(text, encoding="utf-8"))


def read_events(directory: Path) -> list[dict[str, Any]]:
    """The events of a study; none where the file is missing, for results do not depend on it."""
    file = directory / EVENTS
    try:
        files.require_regular(file)
    except (FileNotFoundError, ValueError):
        return []
    if file.stat().st_size > files.MAX_JSON:
        return []
    events = []
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n", MOST_EVENTS)
    for line in lines[:MOST_EVENTS]:
        with suppress(ValueError, RecursionError):  # a torn line tells nothing, and is not needed
            if isinstance(event := json.loads(line), dict):
                events.append(event)
    return events


def earlier_events(directory: Path, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of the same study, cut short by Ctrl-C; none where the directory has another one."""
    try:
        there = read(directory).manifest
    except (FileNotFoundError, ValueError):
        return []
    return read_events(directory) if identity(there) == identity(manifest) else []


def read(directory: str | Path) -> Record:
    """Read the study that :func:`write` left in ``directory``; nothing is written.

    Raises:
        FileNotFoundError: the directory does not exist or holds no study.
        ValueError: the study is of a format that this version does not know, a file is damaged
            or edited, or the files do not belong together.
    """
    path = files.where(directory)
    return files.read_still([path / name for name in (COMMIT, *SEALED)], lambda: _read(path))


def _read(path: Path) -> Record:
    place = pending(path) or {name: path / name for name in SEALED}
    file = place[MANIFEST]
    if not files.is_file(file):
        why = f"no {MANIFEST} in it"
        if files.is_file(path / CHECKPOINT / QUESTION):
            why = (
                "a sweep runs there or was cut short: Study.resume(directory) or jaxopt-course "
                f"resume {shlex.quote(str(path))} goes on with it, jaxopt-course watch shows it"
            )
        raise FileNotFoundError(f"{path} holds no study ({why})")
    content = files.read_json(file)
    version = content.get("format_version") if isinstance(content, dict) else None
    if version == format_1.VERSION:
        content = format_1.lift(content, str(file))
    elif version != FORMAT_VERSION:
        raise ValueError(
            f"{path} is a study of format {version!r}; this version reads format {FORMAT_VERSION}"
        )
    manifest = _checked(content, str(file))
    table = lambda file: read_table(file, manifest["dtypes"])
    files.require_regular(place[TRIALS])
    most = (manifest["trials"] + 1) * (len(manifest["dtypes"]) + 1) * LONGEST_CELL
    if place[TRIALS].stat().st_size > most:
        raise ValueError(f"{place[TRIALS]} is damaged: it is larger than {most:,} bytes")
    trials, asked = files.read_part(place[TRIALS], table), manifest["trials"]
    if len(trials) != asked:
        raise ValueError(
            f"{path}: the manifest says {asked} trials, {TRIALS} has {len(trials)}; one is damaged"
        )
    files.read_part(place[CURVES], lambda file: check_curves(file, manifest))
    import xarray as xr  # late: not needed before a study is there

    curves = files.read_part(place[CURVES], lambda file: xr.load_dataset(file, engine="h5netcdf"))
    if missing := {"trial", "id", *manifest["hyperparameters"], "seed", "status"} - {*trials}:
        raise ValueError(f"{path / TRIALS} lacks the columns {sorted(missing)} of its manifest")
    if trials["trial"].tolist() != list(range(asked)):
        raise ValueError(f"{path / TRIALS} was edited: its trials are not 0 to {asked - 1}")
    if table_sha256(trials, manifest["hyperparameters"]) != manifest["trials_sha256"]:
        raise ValueError(
            f"{path / TRIALS} was edited: its hyperparameters or seeds are not those of {MANIFEST}"
        )
    return Record(manifest, trials, curves)


def read_confirmation(directory: Path, manifest: dict[str, Any]) -> Record | None:
    """The confirmation of the study with this manifest; None where there is none.

    Raises:
        ValueError: it is damaged.
    """
    if pending(directory) is not None or not has_confirmation(directory):
        return None
    try:
        record = read(directory / CONFIRMATION)
    except FileNotFoundError:  # unless a writer has just removed it
        if not has_confirmation(directory):
            return None
        raise
    of = record.manifest.get("confirms")  # older ones do not say
    return record if of in (None, identity(manifest)) else None


def has_confirmation(directory: Path) -> bool:
    """Whether winners were trained on fresh seeds before."""
    folder = files.require_folder(directory, CONFIRMATION)
    return files.is_file(folder / MANIFEST) or pending(folder) is not None


def identity(manifest: dict[str, Any]) -> dict[str, str]:
    """What makes a study this one and no other."""
    return {name: manifest[name] for name in ("trials_sha256", "program_sha256")}


def read_table(file: Path, dtypes: dict[str, str]) -> pd.DataFrame:
    """A table of CSV, in these dtypes; every bit of a number comes back.

    Raises:
        ValueError: a cell is not what its column holds.
    """
    content = file.read_bytes()  # by its content, not by its name: no gzip, no address
    table = pd.read_csv(io.BytesIO(content), dtype="string", keep_default_na=False, na_values=[""])
    if missing := set(dtypes) - set(table):
        raise ValueError(f"it lacks the columns {sorted(missing)}")
    return pd.DataFrame({name: _typed(table[name], dtype) for name, dtype in dtypes.items()})


def _typed(column: pd.Series, dtype: str) -> pd.Series:
    """A column of text as what it was; by Python's own parser, which gives back every bit."""
    parsers: dict[str, Callable[[str], Any]] = {"f": float, "i": int, "b": _boolean}
    if dtype not in DTYPES:
        raise ValueError(f"column {column.name!r} is of dtype {dtype!r}")
    parse = parsers.get(dtype[0].lower())
    if parse is None:
        return column.astype(dtype)
    empty = float("nan") if dtype[0] == "f" else None
    values = [empty if text is pd.NA else parse(text) for text in column]
    return pd.Series(values, column.index, dtype=dtype)


def _boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise ValueError(f"{text!r} is neither True nor False")
    return BOOLEANS[text.lower()]


DTYPES = {"string", "boolean", "bool", "str", "object"}
DTYPES |= {"Int64", "Float64", "Int32", "Float32", "int64", "int32", "float64", "float32"}
