"""Whose files a directory holds: what a study may replace there, and what it never touches.

A study's directory holds ``.study.json``, written before the study's first file, which lists the
names that are the study's.  Replaced or deleted is only what the format knows by name *and* that
list names: a manifest may come from a stranger, and a sweep that was killed has none.  Files that
somebody puts beside a study stay.
"""

from collections.abc import Iterable
from pathlib import Path

from jaxopt_course.records.files import (
    dump,
    is_file,
    make_folder,
    read_json,
    replace_bytes,
    require_folder,
)
from jaxopt_course.records.format import (
    CHECKPOINT,
    COMMIT,
    CONFIRMATION,
    FIGURES,
    MANIFEST,
    OWN,
    PAGE,
    PICTURES,
    STUDY,
    WEIGHTS,
)

LIST, FORMAT = ".study.json", "files of a jaxopt_course study"


def write_list(path: Path, names: Iterable[str]) -> None:
    """Say which names are the study's, before the first of its files is written."""
    content = dump({"format": FORMAT, "names": sorted(names)})
    replace_bytes(path / LIST, content)


def read_list(path: Path) -> set[str]:
    """The names in the list that the format knows.

    Raises:
        ValueError: the file is damaged, or somebody else's.
    """
    content = read_json(path / LIST)
    names = content.get("names") if isinstance(content, dict) else None
    if not isinstance(names, list) or content.get("format") != FORMAT:
        raise ValueError(f"{path / LIST} is damaged, or no study's: it lists no names")
    return {name for name in names if isinstance(name, str)} & OWN


def require(directory: Path, names: Iterable[str]) -> None:
    """Let the names be written or removed only where they are the study's own.

    Args:
        directory: of a study, held by this process.
        names: as "trials.csv" or "confirm/trials.csv".

    Raises:
        FileExistsError: a file of that name was there before the study.
        ValueError: a link is in the place of a folder.
    """
    own = read_list(directory)
    for name in names:
        folder, _, _ = name.rpartition("/")
        if folder:
            require_folder(directory, folder)
        if name not in own and is_file(directory / name):
            raise FileExistsError(
                f"{directory / name} was there before the study and is not its own; move it away"
            )


def require_no_strays(directory: Path, inside: str = "") -> None:
    """Refuse files of a study's names where no study is: whoever put them there, no study did.

    The list outlives its study: a sweep that failed has none yet, and who empties a directory by
    hand does not see dot files.

    Args:
        directory: with a list, held by this process, its files brought into order.
        inside: "confirm/" for the confirmation.

    Raises:
        FileExistsError: there are such files; they are named.
    """
    there = is_file(directory / inside / MANIFEST)
    foreign = there and _is_foreign(directory / inside / MANIFEST)
    if is_file(directory / inside / COMMIT) or (there and not foreign):
        return
    names = [f"{inside}{name}" for name in STUDY]
    if not inside:
        names += [PAGE, *(f"{CONFIRMATION}/{name}" for name in STUDY)]
        names += [f"{PICTURES}/{name}" for name in FIGURES]
    if strays := [name for name in names if is_file(directory / name)]:
        more = ", …" if len(strays) > 3 else ""
        raise FileExistsError(
            f"{directory} holds files that are no study's ({', '.join(strays[:3])}{more}), where "
            "a study would put its own; move them away, or choose another directory"
        )


def _is_foreign(manifest: Path) -> bool:
    """Whether it is another program's; a torn one of ours is no JSON."""
    try:
        content = read_json(manifest)
    except (FileNotFoundError, ValueError):
        return False
    return not (isinstance(content, dict) and "format_version" in content)


def folder(directory: Path, name: str) -> Path:
    """A folder of the study's (confirm, figures, checkpoint, weights), made if it is not there.

    Raises:
        FileExistsError: one was there before the study.
    """
    assert name in (CONFIRMATION, PICTURES, CHECKPOINT, WEIGHTS)
    if name == WEIGHTS:
        require(directory, [name])
        if name not in (own := read_list(directory)):  # of a version that did not know it
            write_list(directory, own | {name})
    path = require_folder(directory, name)
    make_folder(path)
    return path
