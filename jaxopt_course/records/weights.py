"""Weights that a study keeps: a file a trial, in ``weights/``, in the format of safetensors.

    weights/000003-6ce14eb0a2d2f7b1.safetensors     of trial 3; then the head of its SHA-256

The manifest's entry "weights" names the files that count, and their hashes; they are written before
it, and what it does not name goes when the next process holds the directory.  A file's metadata has
"paths", JSON of where each array stands in the tree that it was part of: a key that is text or an
attribute as text, a place in a list or tuple as a number, another key of a dictionary as [key].
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxopt_course.records import files, ownership, safetensors
from jaxopt_course.records.format import WEIGHTS
from jaxopt_course.records.safetensors import SUFFIX, Tensors

NAME = re.compile(rf"[0-9]{{6,12}}-[0-9a-f]{{16}}{re.escape(SUFFIX)}\Z")


def name_of(trial: int, digest: str) -> str:
    """The file of a trial whose content has this SHA-256."""
    return f"{trial:06d}-{digest[:16]}{SUFFIX}"


def entry_of(trial: int, content: bytes) -> dict[str, Any]:
    """What the manifest says of a trial's file."""
    digest = hashlib.sha256(content).hexdigest()
    return {
        "trial": trial,
        "file": name_of(trial, digest),
        "sha256": digest,
        "bytes": len(content),
    }


def write(directory: Path, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write files that are not there yet, each whole or not at all.

    Args:
        directory: of the study, held by this process.
        contents: name and content of each.

    Raises:
        FileExistsError: a folder was there before the study that is not its own.
        OSError: the disk is full, or the like.
    """
    folder = None
    for name, content in contents:
        if folder is None:
            folder = ownership.folder(directory, WEIGHTS)
        there = folder / name
        with suppress(FileNotFoundError, ValueError):
            if files.sha256(there) == hashlib.sha256(content).hexdigest():
                continue
        files.replace_bytes(there, content)


def read(directory: Path, entry: Mapping[str, Any]) -> bytes:
    """The content of a trial's file, which is as it was written.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it is damaged or edited, or no regular file.
    """
    file = files.require_folder(directory, WEIGHTS) / entry["file"]
    if not files.is_file(file):
        raise FileNotFoundError(
            f"{file} is missing: the weights of trial {entry['trial']} were kept there; copy the "
            f"folder {WEIGHTS}/ with the study, or train the trial again: study.replay("
            f"{entry['trial']}).state"
        )
    files.require_regular(file)
    if file.stat().st_size != entry["bytes"]:
        raise ValueError(
            f"{file} is damaged: {file.stat().st_size:,} bytes, not {entry['bytes']:,}"
        )
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ValueError(f"{file} is damaged or was edited: its SHA-256 is not the manifest's")
    return content


def load(file: Path) -> Tensors:
    """The arrays of a file of safetensors, of whomever it is.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it is damaged, or no regular file; the message names it.
    """
    return files.read_part(file, lambda file: safetensors.unpack(file.read_bytes()))


def sweep(directory: Path, manifest: Any) -> None:
    """Remove what no manifest names, or what was half written; for whoever holds the directory."""
    folder = directory / WEIGHTS
    if WEIGHTS not in ownership.read_list(directory) or folder.is_symlink() or not folder.is_dir():
        return
    named = {entry["file"] for entry in entries(manifest)}
    for file in sorted(folder.iterdir()):
        whole = file.name.removeprefix(".").removesuffix(files.PARTIAL)
        if NAME.match(whole) and file.name not in named and not file.is_dir():
            file.unlink(missing_ok=True)
    with suppress(OSError):  # somebody's file is in it
        folder.rmdir()


def entries(manifest: Any) -> list[dict[str, Any]]:
    """What a manifest says of kept weights; nothing where it does not."""
    return list((manifest.get("weights") or {}).get("trials", ()))


def all_named(directory: Path, manifest: Any) -> bool:
    """Whether the folder holds nothing but files that the manifest names."""
    named = {entry["file"] for entry in entries(manifest)}
    folder = directory / WEIGHTS
    if not named or folder.is_symlink() or not folder.is_dir():
        return False
    return {file.name for file in folder.iterdir()} <= named


def check(content: Any, trials: int, of: str) -> None:
    """Refuse an entry "weights" on which readers cannot rely.

    Raises:
        ValueError: it is not as this version writes it.
    """
    try:
        for entry in content["trials"]:
            sizes = entry["trial"], entry["bytes"], entry["step"]
            fine = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in sizes)
            named = NAME.match(entry["file"]), re.fullmatch("[0-9a-f]{64}", entry["sha256"])
            if not fine or None in named or entry["trial"] >= trials:
                raise TypeError
    except (TypeError, KeyError):
        raise ValueError(f"{of} is damaged: weights {str(content)[:60]!r}") from None


def nested(tensors: Tensors, part: str) -> Any:
    """The arrays of a part ("params") as plain dictionaries and lists, as their paths say.

    Raises:
        ValueError: the paths are no tree.
    """
    try:
        paths = json.loads(tensors.metadata["paths"])
        found = [
            (path[1:], tensors.arrays[name]) for name, path in paths.items() if path[0] == part
        ]
        return _grown(found, 0)
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError, ValueError) as error:
        raise ValueError(f"its paths are no tree ({error})") from None


MAX_DEPTH = 100


def _grown(found: list[tuple[list[Any], Any]], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if any(not path for path, _ in found):
        if len(found) > 1:
            raise ValueError("an array where others are")
        return found[0][1]
    branches: dict[Any, list[tuple[list[Any], Any]]] = {}
    for path, array in found:
        key = path[0]
        if not isinstance(key, str | int | list) or isinstance(key, bool):
            raise TypeError(f"a key {key!r}")
        branches.setdefault(tuple(key) if isinstance(key, list) else key, []).append(
            (path[1:], array)
        )
    grown = {key: _grown(branch, depth + 1) for key, branch in branches.items()}
    places = [key for key in grown if isinstance(key, int)]
    if places and sorted(places) == list(range(len(grown))):
        return [grown[i] for i in range(len(grown))]
    return {key[0] if isinstance(key, tuple) else key: x for key, x in grown.items()}
