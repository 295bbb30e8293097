"""Lessons that have run, kept: one runs again where its script, the library or jax has changed."""

import ast
import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat

from jaxopt_course.course.notebooks import Lesson, read, run
from jaxopt_course.records.files import replace_bytes

PACKAGE = Path(__file__).parents[1]
WITHOUT = ("cli", "exports", "live", "site")  # rooms that no figure of a lesson comes from
VERSIONS = ("jax", "jaxlib", "numpy", "matplotlib", "pandas", "optax", "flax")
OURS = "jaxopt_course"  # in the notebook's metadata


def executed(file: Path, kept: Path, *, quick: bool = False) -> tuple[Lesson, bool]:
    """A lesson with what its cells gave, and whether it ran now.

    Args:
        file: the script.
        kept: the folder of what ran before; only lessons that did not fail are kept.
        quick: in the quick mode of checks.
    """
    now = key(file, quick)
    notebook = kept / f"{file.stem}.ipynb"
    before = _before(notebook)
    if before is not None and before.metadata.get(OURS, {}).get("key") == now:
        return Lesson(file, before, seconds=before.metadata[OURS]["seconds"]), False
    lesson = run(file, quick=quick)
    if lesson.failure is None:
        kept.mkdir(parents=True, exist_ok=True)
        lesson.notebook.metadata[OURS] = {"key": now, "seconds": round(lesson.seconds, 1)}
        replace_bytes(notebook, nbformat.writes(lesson.notebook).encode())
    return lesson, True


def _before(notebook: Path) -> Any:
    """A notebook that was kept; None where there is none, or half of one."""
    try:
        return nbformat.read(notebook, as_version=4)
    except (OSError, ValueError, KeyError, AttributeError, nbformat.ValidationError):
        return None


def not_run(file: Path) -> Lesson:
    """A lesson as it is written, without what its cells give."""
    return Lesson(file, read(file))


def key(file: Path, quick: bool) -> str:
    """A hash of all that what a lesson prints depends on."""
    made = hashlib.sha256(file.read_bytes())
    made.update(f"{quick} {library()} {[version(name) for name in VERSIONS]}".encode())
    return made.hexdigest()


@cache
def library(package: Path = PACKAGE) -> str:
    """A hash of the library's code; comments and docstrings, in whatever words, do not count."""
    made = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        place = file.relative_to(package)
        if place.parts[0] not in WITHOUT:
            made.update(f"{place} {code(file.read_text(encoding='utf-8'))}".encode())
    return made.hexdigest()


def code(source: str) -> str:
    r"""A module without comments and docstrings.

    >>> code('"A."\nx = 1  # one') == code('"B."\nx = 1'), code("x = 1") == code("x = 2")
    (True, False)
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case ast.Module(body=body) | ast.ClassDef(body=body) | ast.FunctionDef(body=body):
                match body:
                    case [ast.Expr(value=ast.Constant(value=str())), *_]:
                        body[0] = ast.Pass()
    return ast.dump(tree)
