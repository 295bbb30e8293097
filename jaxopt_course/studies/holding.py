"""A study's directory, held while more is trained for it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxopt_course.records import checkpoints, claims, store


@contextlib.contextmanager
def held(directory: Path | None, manifest: dict[str, Any]) -> Iterator[None]:
    """Hold the directory of the study of this manifest, if it has one and it is still the study's.

    Raises:
        FileExistsError: a sweep that was cut short, or another study, is there.
    """
    if directory is None:
        yield
        return
    with claims.held(directory):
        if checkpoints.is_unfinished(directory):
            raise FileExistsError(
                f"{directory} holds a sweep that was cut short; go on with it first: "
                "Study.resume(directory)"
            )
        if store.identity(store.read(directory).manifest) != store.identity(manifest):
            raise FileExistsError(f"{directory} holds another study by now")
        yield
