"""The files of a built course: each is whole or as it was, whenever a build is killed.

``build.json`` says that the directory is ours, and of each lesson the SHA-256 of the notebook that
was written, so that one in which somebody worked is known.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext

from jaxopt_course.course.notebooks import Lesson, runnable
from jaxopt_course.records import files

RECORD = "build.json"  # marks a directory as a site of ours, and says what its pages came from
WRITTEN = {".html", ".css", ".json", ".py", ".png", ".ipynb"}
WRITING = "writing"  # in the record: the notebook that is being written
MADE = (".html", ".py", ".png")  # of a lesson, beside its notebook


def write_text(file: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    files.replace_bytes(file, text.encode())


def claim(path: Path, overwrite: bool) -> Path:
    """The directory, made where it is not there; never one with other things in it unasked.

    It is marked at once: the first lesson takes minutes, and who is killed meanwhile begins again.
    """
    path = files.where(path)
    files.make_named(path, "a site")
    ours = is_ours(path)
    if {file.name for file in path.iterdir()} - {half(RECORD)} and not ours and not overwrite:
        raise FileExistsError(
            f"{path} holds other files; choose another directory, or allow pages to be written "
            "among them (overwrite=True, on the command line --overwrite)"
        )
    links = [file for file in path.iterdir() if file.is_symlink() and file.suffix in WRITTEN]
    if links:  # of whoever made the directory
        raise FileExistsError(f"{links[0]} is a link, and pages are not written through it")
    if ours:
        for file in path.glob(f".*{files.PARTIAL}"):  # of a build that was killed
            if Path(file.name.removesuffix(files.PARTIAL)).suffix in WRITTEN:
                file.unlink()
    else:
        keep_record(path, {})
    return path


def half(name: str) -> str:
    """What a file is called while it is written."""
    return files.partial_of(Path(name)).name


def is_ours(path: Path) -> bool:
    """Whether a directory is a site of the course: many tools leave a ``build.json``."""
    try:
        return isinstance(json.loads((path / RECORD).read_text(encoding="utf-8"))["lessons"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def old_record(path: Path) -> dict[str, Any]:
    """What an earlier build of this site recorded, by lesson."""
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))["lessons"]
        return {name: one for name, one in record.items() if re.fullmatch(r"\d\d_\w+", name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def keep_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write what is built so far."""
    write_text(path / RECORD, json.dumps({"lessons": record}, indent=1, ensure_ascii=False))


def notebook_of(entry: Mapping[str, Any]) -> set[str]:
    """The digests of a lesson's notebook as builds have written it; none where none did."""
    return {one for one in (entry.get("notebook"), entry.get(WRITING)) if one}


def write(
    path: Path,
    lesson: Lesson,
    page: str | None,
    picture: bytes | None,
    before: set[str],
    record: Mapping[str, Any],
) -> tuple[bool, str | None]:
    """The page of a lesson, its script, and the notebook to open and run; or none of an old one.

    A notebook that is no longer as it was written (its digest is none of ``before``) stays:
    somebody worked in it.  Returns whether it did, and the digest of what builds have written.
    """
    notebook = path / f"{lesson.name}.ipynb"
    there = digest(notebook)
    ours = there if there in before else next(iter(sorted(before)), None)
    if page is None:
        for ending in ("html", "png"):
            (path / f"{lesson.name}.{ending}").unlink(missing_ok=True)
        return False, ours
    text = jupytext.writes(runnable(lesson.file), fmt="ipynb").rstrip("\n") + "\n"
    new = hashlib.sha256(text.encode()).hexdigest()
    kept = bool(before) and there is not None and there not in before | {new}
    write_text(path / f"{lesson.name}.html", page)
    files.replace_bytes(path / lesson.file.name, lesson.file.read_bytes())
    if picture:
        files.replace_bytes(path / f"{lesson.name}.png", picture)
    if kept:
        return True, ours
    now = dict(record.get(lesson.name, {})) | {"notebook": ours, WRITING: new}
    keep_record(path, {**record, lesson.name: now})  # or who is killed here would have worked in it
    write_text(notebook, text)
    return False, new


def forget(path: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Remove what a lesson that is no more has left; not a notebook in which somebody worked."""
    ours = notebook_of(entry)
    worked = ours and digest(path / f"{name}.ipynb") not in ours
    for ending in MADE if worked else (*MADE, ".ipynb"):
        (path / f"{name}{ending}").unlink(missing_ok=True)


def digest(file: Path) -> str | None:
    """The SHA-256 of a file; none of what is not there."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None
