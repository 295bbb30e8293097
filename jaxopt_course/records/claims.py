"""A directory taken for a new study, or held for work on the one that it holds."""

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from jaxopt_course.records import checkpoints, format_1, ownership, store, weights
from jaxopt_course.records.files import (
    MAX_JSON,
    is_file,
    make_folder,
    make_named,
    partial_of,
    require_regular,
    where,
)
from jaxopt_course.records.format import (
    CHECKPOINT,
    COMMIT,
    CONFIRMATION,
    EVENTS,
    FIGURES,
    LOCK,
    MANIFEST,
    OWN,
    PAGE,
    PICTURES,
    STUDY,
    WEIGHTS,
)
from jaxopt_course.records.lock import locked
from jaxopt_course.records.ownership import LIST

REPLACE = "or allow it to be replaced (overwrite=True)"


@contextlib.contextmanager
def claimed(directory: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Hold a directory for a new study, before any work starts; its path.

    Args:
        directory: where the study goes; made if it does not exist, and gone again where it was
            and work fails before there is anything to go on with.
        overwrite: whether a study that it already holds may be replaced; nothing else ever is.

    Raises:
        TypeError: ``overwrite`` is not True or False.
        FileExistsError: it already holds a study and ``overwrite`` is false; or it holds files and
            no study.
        NotADirectoryError: the path, or a part of it, is a file.
        PermissionError: nothing can be written there.
        BlockingIOError: another process works there.
    """
    path = look(directory, overwrite)
    missing = [one for one in (path, *path.parents) if not one.exists()]
    listed = is_file(path / LIST)
    make_named(path, "a study")
    with held(path):
        _refuse(path, overwrite)  # another process may have been quicker
        try:
            if not is_file(path / LIST):
                ownership.write_list(path, OWN)
            yield path
        except BaseException:
            if not listed:
                _leave_nothing(path, missing)
            raise


def look(directory: str | Path, overwrite: bool = False) -> Path:
    """Whether :func:`claimed` would refuse what lies there, with nothing made; the path.

    Raises:
        TypeError, FileExistsError: as :func:`claimed`.
    """
    path = where(directory)
    if not isinstance(overwrite, bool):  # "no" would be true
        raise TypeError(f"overwrite must be True or False, not {overwrite!r}")
    _refuse(path, overwrite)
    return path


def _leave_nothing(path: Path, made: list[Path]) -> None:
    """Remove list and lock where there is no study, and directories made for it, innermost first.

    Nobody sees dot files: what a user put there later would be taken for the study's.
    """
    if not {LOCK} <= {*os.listdir(path)} <= {LIST, LOCK}:
        return
    with contextlib.suppress(OSError):  # somebody else may have put something there
        for name in (LIST, LOCK):
            (path / name).unlink(missing_ok=True)
        for one in made:
            one.rmdir()


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold a directory, and bring what a process that was killed there left into order.

    Raises:
        BlockingIOError: another process works there; it is named.
        FileExistsError: ``.lock`` is something else than a study's lock.
    """
    with locked(directory):
        if not is_file(directory / LIST) and (verified := verified_names(directory)):
            taken = {name for name in OWN if is_file(directory / name)}
            ownership.write_list(directory, OWN - (taken - verified))
        if is_file(directory / LIST):
            store.complete(directory)
            format_1.lift_checkpoint(directory)
            store.sweep_weights(directory)
            if CHECKPOINT in ownership.read_list(directory):
                if not checkpoints.is_unfinished(directory):
                    checkpoints.forget(directory)  # somebody was killed while he did
                sweep_up(directory)
            ownership.require_no_strays(directory)
        yield


def take_again(path: Path) -> None:
    """Make a directory again that was deleted while a sweep ran; another's is not touched.

    Raises:
        FileExistsError: something else is there now.
    """
    if path.exists():
        raise FileExistsError(
            f"{path} was moved away while the sweep ran, and something else is there now; nothing "
            "is lost: the study is this exception's attribute .study; save it elsewhere"
        )
    make_folder(path)
    ownership.write_list(path, OWN)


def sweep_up(directory: Path) -> None:
    """Remove what a process that was killed left half written."""
    folders = [directory, directory / CONFIRMATION, directory / CHECKPOINT]
    folders += (directory / CHECKPOINT).glob("[0-9]*")
    names = (*STUDY, COMMIT, LIST, PAGE, *checkpoints.NAMES)
    for folder, own in [*((folder, names) for folder in folders), (directory / PICTURES, FIGURES)]:
        if folder.is_dir() and not folder.is_symlink():
            for name in own:
                partial_of(folder / name).unlink(missing_ok=True)


def _refuse(path: Path, overwrite: bool) -> None:
    """Refuse a directory with anything in it that is not a study's, or a study unless allowed."""
    if not path.is_dir():
        return
    begun = {LOCK, partial_of(path / LIST).name}  # by who was killed at the very beginning
    names = {*os.listdir(path)} - begun
    if is_file(path / LIST):
        ownership.read_list(path)
    elif names and not verified_names(path):
        some = ", ".join(sorted(names)[:3])
        raise FileExistsError(
            f"{path} holds files that are no study's ({some}{', …' if len(names) > 3 else ''}); "
            "choose a new or an empty directory"
        )
    if overwrite:
        return
    if checkpoints.is_unfinished(path):
        raise FileExistsError(
            f"{path} holds a sweep that was cut short; go on with it (Study.resume(directory), "
            f"jaxopt-course resume {shlex.quote(str(path))}), choose another directory, {REPLACE}"
        )
    if is_file(path / MANIFEST):
        raise FileExistsError(f"{path} already holds a study; choose another directory, {REPLACE}")


def verified_names(path: Path) -> set[str]:
    """Names of the files that prove to be a study's, in a directory without a list.

    Older versions wrote none, and whoever copies a study may leave dot files behind.
    """
    names: set[str] = set()
    with contextlib.suppress(FileNotFoundError, ValueError):
        manifest = store.read(path).manifest
        names |= set(STUDY) - {EVENTS}
        if weights.all_named(path, manifest):
            names.add(WEIGHTS)
    with contextlib.suppress(FileNotFoundError, ValueError):
        checkpoints.asked(path)
        names.add(CHECKPOINT)
    if not names:
        return names
    events = store.read_events(path)
    if events and all("event" in event for event in events):
        names.add(EVENTS)
    with contextlib.suppress(FileNotFoundError, ValueError):
        store.read(path / CONFIRMATION)
        names |= {f"{CONFIRMATION}/{name}" for name in STUDY}
    with contextlib.suppress(OSError, ValueError):
        require_regular(path / PAGE)  # nobody waits for a pipe
        if (path / PAGE).stat().st_size > MAX_JSON:
            return names
        page = (path / PAGE).read_text(encoding="utf-8", errors="replace")
        if '<p class="headline">' in page and "plotly" in page:
            names |= {PAGE, *(f"{PICTURES}/{name}" for name in FIGURES)}
    return names
