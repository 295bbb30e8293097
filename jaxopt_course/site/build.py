"""The whole site in one directory: lessons run where they must, then Sphinx, once a language.

``out/html`` has the pages, to be looked at or published, and the Spanish ones in its ``curso``;
``out/lessons`` the lessons that have run, so that the next build need not run them again;
``out/sources``, ``out/files`` and ``out/doctrees`` what Sphinx reads and remembers.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxopt_course.course.lessons import CHECKOUT, LESSONS, SCRIPTS, choose
from jaxopt_course.course.notebooks import Lesson
from jaxopt_course.records import files
from jaxopt_course.site import lessons as spanish
from jaxopt_course.site import reference, sources
from jaxopt_course.site.executed import executed, not_run

MARK, CONTENT = "site.json", {"site": "jaxopt-course"}  # marks a directory as one of ours
FOLDERS = ("html", "lessons", "sources", "files", "doctrees")
PARTS = {"en": "", "es": sources.COURSE}  # the language of a part, and its place on the site


class SphinxFailed(RuntimeError):
    """Sphinx has found something wrong; the message is what it said."""


@dataclass(frozen=True)
class Site:
    """What a build has made."""

    page: Path  # the first one
    lessons: list[Lesson]
    ran: int  # of the lessons, those that were not kept from before


def build(
    out: str | Path = "build/site",
    lessons: Sequence[int | str] = (),
    *,
    root: Path = CHECKOUT,
    quick: bool = False,
    unrun: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> Site:
    """Build the site of a checkout.

    Args:
        out: the directory; the pages are in its ``html``.
        lessons: by number, as for the course; all by default, others are not on the site.
        root: the checkout.
        quick: lessons with fewer trials and steps.
        unrun: lessons as they are written, without output and figures.
        overwrite: whether ``out`` may hold other things.
        say: gets a line of progress a lesson and a part.

    Raises:
        FileNotFoundError: there is no checkout with the site's sources.
        FileExistsError: ``out`` holds other things, and ``overwrite`` is false.
        ValueError: there is no lesson of that number.
        Undocumented: a public name has no docstring, or no page.
        SphinxFailed: Sphinx warned of something.
    """
    if not (root / sources.SOURCES / "conf.py").is_file():
        raise FileNotFoundError(
            f"no {sources.SOURCES} in {root}: guides and reference are built in a checkout of "
            "jaxopt-course; the lessons alone are built anywhere by `jaxopt-course course`"
        )
    every = sorted((root / SCRIPTS).glob(LESSONS))
    chosen = choose(every, lessons)
    reference.check()
    path = claimed(Path(out), overwrite)
    taken, ran = [], 0
    for position, file in enumerate(chosen, 1):
        if unrun:
            taken.append(not_run(file))
            continue
        lesson, now = executed(file, path / "lessons", quick=quick)
        how = f"failed: {lesson.failure}" if lesson.failure else f"{lesson.seconds:.1f} s"
        say(f"[{position}/{len(chosen)}] {file.stem}: {how if now else 'as before'}")
        taken.append(lesson)
        ran += now
    places = sources.places_of(root)
    gone = {file for file in every if file not in chosen}
    places = {file: place for file, place in places.items() if file not in gone}
    sources.lay_out(root, path / "sources" / "en")
    spanish.lay_out(root, taken, places, path / "sources" / "es", path / "files" / "es")
    for language in PARTS:
        sphinx(root, path, language)
        say(f"{language}: {pages(path, language)} pages")
    return Site(path / "html" / "index.html", taken, ran)


def claimed(path: Path, overwrite: bool) -> Path:
    """The directory, made where it is not there; never one with other things in it unasked."""
    path = files.where(path)
    files.make_named(path, "a site")
    ours = is_ours(path)
    half = files.partial_of(path / MARK).name  # of who was killed at the very beginning
    if {file.name for file in path.iterdir()} - {half} and not ours and not overwrite:
        raise FileExistsError(
            f"{path} holds other files; choose another directory, or allow the site to be written "
            "among them (overwrite=True, on the command line --overwrite)"
        )
    taken = [name for name in (MARK, *FOLDERS) if os.path.lexists(path / name)]
    if links := [name for name in taken if (path / name).is_symlink()]:
        raise FileExistsError(
            f"{path / links[0]} is a link, and the site is not written through it"
        )
    if taken and not ours:  # what lies in these folders, and is no page, is removed
        raise FileExistsError(
            f"{path / taken[0]} is no site's, and the site needs the name; choose another directory"
        )
    files.replace_bytes(path / MARK, json.dumps(CONTENT).encode())
    return path


def is_ours(path: Path) -> bool:
    """Whether a directory holds a site of ours: others have a ``site.json`` too."""
    try:
        return json.loads((path / MARK).read_text(encoding="utf-8")) == CONTENT
    except (OSError, ValueError):
        return False


def sphinx(root: Path, path: Path, language: str) -> None:
    """Build one part; whatever Sphinx warns of is an error.

    Where the last build was killed or warned, all pages are made again: Sphinx takes half a page
    for a page, and warns of one only when it reads it.
    """
    out = path / "html" / PARTS[language]
    extra = path / "files" / language
    extra.mkdir(parents=True, exist_ok=True)
    begun = path / "doctrees" / f"{language}.begun"
    anew = ("-E", "-a") if begun.exists() else ()
    files.make_folder(begun.parent)
    begun.touch()
    command = [
        *(sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-j", "auto"),
        *anew,
        *("-c", str(root / sources.SOURCES), "-d", str(path / "doctrees" / language)),
        *("-D", f"language={language}", "-D", f"html_extra_path={extra}", "-t", language),
        *(str(path / "sources" / language), str(out)),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SphinxFailed((done.stderr or done.stdout).strip())
    begun.unlink()


def pages(path: Path, language: str) -> int:
    """How many pages a part has."""
    inside = (path / "html" / PARTS[language]).rglob("*.html")
    other = path / "html" / sources.COURSE
    return sum(language == "es" or other not in page.parents for page in inside)
