"""The Spanish part of the site: the course's own first page, and a page a lesson that has run."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from jaxopt_course.course import figures, index, playgrounds
from jaxopt_course.course.notebooks import Lesson, dressed, minutes, runnable
from jaxopt_course.site.links import Place, colab, led
from jaxopt_course.site.sources import copied, place, swept, toctree, written

CHAPTERS = {  # of the navigation, by the number of their first lesson
    1: "Los optimizadores",
    7: "Las redes",
    8: "Los ejercicios de los apuntes",
    10: "Las erratas",
    11: "Otras bibliotecas",
    12: "Comparar de verdad",
    13: "Ventajas y desventajas",
    14: "Tu turno",
}


def lay_out(
    root: Path, lessons: list[Lesson], places: Mapping[Path, Place], out: Path, files: Path
) -> None:
    """Write the sources of the Spanish pages, and the files beside them.

    Args:
        root: of the checkout.
        lessons: that have run, or as they are written.
        places: what of the checkout is on the site.
        out: the folder of the sources.
        files: the folder of what goes to the site as it is: figures, notebooks, scripts.
    """
    kept, pictures = set(), {}
    for lesson in lessons:
        shown, found = with_figures(lesson.notebook, lesson.name)
        for name, picture in found.items():
            to = files / name
            place(to, picture)
            kept.add(to)
        pictures[lesson.file.name] = next(iter(found), None)
        for cell in shown.cells:
            if cell.cell_type == "markdown":
                cell.source = led(cell.source, lesson.file, root, places)
        shown.cells[0].source = headed(shown.cells[0].source, lesson)
        written(out / f"{lesson.name}.ipynb", nbformat.writes(shown))
        copied(lesson.file, files / lesson.file.name)
        written(files / f"{lesson.name}.ipynb", jupytext.writes(runnable(lesson.file), fmt="ipynb"))
        kept |= {files / lesson.file.name, files / f"{lesson.name}.ipynb"}
    kept |= set(playgrounds.write(files, {lesson.name for lesson in lessons}))
    readme = root / "experiments" / "README.md"
    written(out / "index.md", home(readme, root, places, lessons, pictures))
    swept(out, {out / "index.md", *(out / f"{lesson.name}.ipynb" for lesson in lessons)})
    swept(files, kept)


def with_figures(notebook: Any, name: str) -> tuple[Any, dict[str, bytes]]:
    """A notebook whose pictures are files beside its page, and these files.

    Long cells are folded.
    """
    shown, found = nbformat.from_dict(notebook), dict[str, bytes]()

    def place(count: int, ending: str, picture: bytes) -> str:
        file = f"figuras/{name}_{count}.{ending}"
        found[file] = picture
        return file

    for cell in shown.cells:
        cell.setdefault("id", "")
    return figures.numbered(dressed(shown), name, place), found


def headed(first: str, lesson: Lesson) -> str:
    """The first cell, with the ways to run the lesson under its title."""
    title, _, rest = first.partition("\n")
    links = [
        f'<a href="{colab(lesson.name)}">Abrir en Colab</a>',
        f'<a href="{lesson.name}.ipynb" download>cuaderno de Jupyter</a>',
        f'<a href="{lesson.name}.py" download>guion de Python</a>',
    ]
    time = f"{minutes(lesson)} min de lectura"
    line = f'<p class="run">{" · ".join([time, *links])}</p>'
    return f"{title}\n\n{line}\n\n{rest}"


# --- the first page ---


def home(
    readme: Path,
    root: Path,
    places: Mapping[Path, Place],
    lessons: Iterable[Lesson],
    pictures: Mapping[str, str | None],
) -> str:
    """The README of the course, its table of lessons as cards with pictures and minutes."""
    ran = {lesson.file.name: lesson for lesson in lessons}
    entries = []

    def card(row: re.Match[str]) -> str:
        if row["file"] not in ran:
            return ""
        entries.append((row["file"], row["title"]))
        lesson = ran[row["file"]]
        return index.html(row, f"{lesson.name}.html", pictures.get(row["file"]), minutes(lesson))

    text = index.carded(readme.read_text(encoding="utf-8"), card)
    return f"{led(text, readme, root, places)}\n\n{''.join(chapters(entries))}"


def chapters(entries: Iterable[tuple[str, str]]) -> list[str]:
    """The navigation: the lessons by chapter, with the titles of the first page."""
    by_chapter: dict[str, list[str]] = {}
    for file, title in entries:
        number = int(file[:2])
        chapter = next(CHAPTERS[n] for n in sorted(CHAPTERS, reverse=True) if n <= number)
        by_chapter.setdefault(chapter, []).append(f"{title} <{file.removesuffix('.py')}>")
    return [toctree(names, f":caption: {name}") for name, names in by_chapter.items()]
