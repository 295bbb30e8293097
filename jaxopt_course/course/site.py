"""The course as a site: every lesson run as a notebook, and a page of what came out.

Jupytext reads a lesson, nbclient runs it, nbconvert renders its cells, markdown-it its prose and
latex2mathml its formulas; a page needs neither network nor scripts.  The first page is the course's
README, whose links to scripts lead to their pages.
"""

import base64
import platform
import re
from collections.abc import Callable, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from jaxopt_course.course import figures, formulas, index, playgrounds
from jaxopt_course.course.lessons import LESSONS as LESSONS
from jaxopt_course.course.lessons import choose, find
from jaxopt_course.course.notebooks import FOLDED, Lesson, dressed, minutes, run
from jaxopt_course.course.site_files import (
    claim,
    forget,
    keep_record,
    notebook_of,
    old_record,
    write,
    write_text,
)

HOME = "index.html"
README = "README.md"

FOLD = re.compile(  # the code of a cell with the tag, as nbconvert writes it
    rf'(celltag_{FOLDED}[^>]*>\s*)(<div class="input">.*?</pre></div>\s*</div>\s*</div>\s*</div>)',
    re.S,
)

PAGE = Template("""<!doctype html>
<html lang="es">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="stylesheet" href="course.css">
</head>
<body>
<nav aria-label="Lecciones">$before</nav>
<main>
$body
</main>
<nav aria-label="Lecciones, al final">$after</nav>
<footer>$foot</footer>
</body>
</html>
""")


def build(
    out: str | Path = "site",
    lessons: Sequence[int | str] = (),
    *,
    folder: str | Path | None = None,
    quick: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> list[Lesson]:
    """Run lessons and write their pages and the first page.

    Args:
        out: the directory of the site; pages of an earlier build that are not built now stay.
        lessons: by number (8 is 08_1, 08_2, ..., and "8.2" is 08_2); all by default.
        folder: where they are; by default ``experiments`` here, in the checkout of this package, or
            in what its wheel holds of it.
        quick: with fewer trials and steps.
        overwrite: whether pages may be written among files that are no site of the course.
        say: gets a line of progress a lesson.

    Returns:
        The lessons that ran; ``failure`` says in which cell one failed.

    Raises:
        FileNotFoundError: no lessons are there.
        FileExistsError: ``out`` holds other things, and ``overwrite`` is false.
        NotADirectoryError: ``out`` is a file.
        OSError: the disk is full, or the like; what was written before stays, each file whole.
        ValueError: there is no lesson of that number.
    """
    source = find(folder)
    every = sorted(source.glob(LESSONS))
    chosen = choose(every, lessons)
    path = claim(Path(out), overwrite)
    record = old_record(path)
    for gone in set(record) - {file.stem for file in every}:
        forget(path, gone, record.pop(gone))
    write_text(path / "course.css", style())
    linked = [file for file in every if file in chosen or file.stem in record]
    playgrounds.write(path, {file.stem for file in linked})
    ran = []
    for position, file in enumerate(chosen, 1):
        start = f"[{position}/{len(chosen)}] {file.stem}"
        before = notebook_of(record.get(file.stem, {}))
        try:
            lesson = run(file, quick=quick)
            now, first = entry(lesson, quick), picture(lesson.notebook)
            page = lesson_page(lesson, linked, quick)
        except (formulas.UnknownFormula, SyntaxError, UnicodeDecodeError) as error:
            lesson, page, first = Lesson(file, failure=str(error)), None, None
            now = entry(lesson, quick)
        kept, after = write(path, lesson, page, first, before, record)
        record[file.stem] = now | {"notebook": after}
        worked = f"; {file.stem}.ipynb has changes of yours: kept" if kept else ""
        say(f"{start}: {summary(lesson)}{worked}")
        ran.append(lesson)
        keep_record(path, record)
        write_text(path / HOME, home_page(source, every, path, record))
    return ran


def summary(lesson: Lesson) -> str:
    """A line on a lesson that ran."""
    if lesson.failure:
        where = f" in cell {lesson.cell} (line {lesson.line})" if lesson.cell else ""
        return f"failed{where}: {lesson.failure}"
    warned = [note for note in lesson.notes if "Warning" in note]
    more = f", warnings: {len(warned)}, first {warned[0]}" if warned else ""
    return f"{lesson.seconds:.1f} s, figures: {lesson.figures}{more}"


def where(one: dict[str, Any]) -> str:
    """How a page says that a lesson failed."""
    cell = f"celda {one['cell']}, línea {one['line']} del guion: " if one.get("cell") else ""
    return f"{cell}{escape(one['failure'])}"


def entry(lesson: Lesson, quick: bool) -> dict[str, Any]:
    """What the record keeps of a lesson."""
    return {
        "seconds": round(lesson.seconds, 1),
        "quick": quick,
        "failure": lesson.failure,
        "cell": lesson.cell,
        "line": lesson.line,
        "minutes": minutes(lesson) if lesson.notebook else None,
        "picture": bool(lesson.notebook and picture(lesson.notebook)),
    }


def picture(notebook: Any) -> bytes | None:
    """The first figure that its cells have shown, for the first page."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = (output.get("data", {}).get("image/png") for output in outputs)
    first = next(filter(None, shown), None)
    return base64.b64decode(first) if first else None


# --- pages ---


def style() -> str:
    """The style sheet, with the colours of code for light and for dark."""
    light, dark = (
        HtmlFormatter(style=name).get_style_defs(".highlight")
        for name in ("default", "github-dark")
    )
    own = files("jaxopt_course.course").joinpath("site.css").read_text(encoding="utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{own}"


def lesson_page(lesson: Lesson, every: list[Path], quick: bool) -> str:
    """A lesson as HTML, with links to those beside it in ``every``.

    Raises:
        UnknownFormula: a formula cannot be shown.
    """
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        filters={"markdown2html": formulas.html},
    )
    figures.numbered(dressed(lesson.notebook), lesson.name, figures.embedded)
    body, _ = exporter.from_notebook_node(lesson.notebook)
    body = FOLD.sub(r"\1<details class='code'><summary>Ver el código</summary>\2</details>", body)
    body = re.sub(r'<a href="(\d\d_\w+)\.py">', r'<a href="\1.html">', body)
    links = neighbours(lesson.file, every)
    failed = f'<p class="failed">Falló: {where(entry(lesson, quick))}</p>' if lesson.failure else ""
    files_of = " · ".join(
        f'<a href="{lesson.name}.{ending}" download>{words}</a>'
        for ending, words in (("ipynb", "cuaderno de Jupyter"), ("py", "guion de Python"))
    )
    tools = ", ".join(f"{name} {version(name)}" for name in ("jaxopt-course", "jax", "numpy"))
    how = "en modo rápido, " if quick else ""
    foot = (
        f"<p>Esta página se hizo {how}en {lesson.seconds:.0f} s con {tools} y Python "
        f"{platform.python_version()}.</p>"
    )
    return PAGE.substitute(
        title=escape(lesson.title),
        before=links,
        body=failed + contents(body, f"{minutes(lesson)} min de lectura · {files_of}"),
        after=links,
        foot=foot,
    )


def contents(body: str, line: str) -> str:
    """The body, after its title a line (time, files) and, if several, a list of its sections."""
    sections = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', body, re.S)
    line = f'<p class="minutes">{line}</p>'
    body = body.replace("</h1>", f"</h1>{line}", 1)
    if len(sections) < 3:
        return body
    items = "".join(f'<li><a href="#{name}">{words}</a></li>' for name, words in sections)
    listed = (
        f'<details class="contents"><summary>En esta lección</summary><ol>{items}</ol></details>'
    )
    return body.replace(line, f"{line}{listed}", 1)


def neighbours(file: Path, every: list[Path]) -> str:
    """Links to the lesson before, the first page, and the lesson after."""
    at = every.index(file)
    before, after = every[at - 1 : at] if at else [], every[at + 1 : at + 2]
    link = lambda to, words: f'<a href="{to}">{words}</a>'
    return " ".join(
        [
            *(link(f"{f.stem}.html", f"← {short(f)}") for f in before),
            link(HOME, "Todas las lecciones"),
            *(link(f"{f.stem}.html", f"{short(f)} →") for f in after),
        ]
    )


def short(file: Path) -> str:
    """The title of a lesson in the list of the first page; else its own, up to the colon."""
    readme = file.with_name(README)
    listed = readme.read_text(encoding="utf-8") if readme.exists() else ""
    found = re.search(rf"^\| \[([^\]]+)\]\({re.escape(file.name)}\)", listed, re.M)
    return escape(found[1] if found else Lesson(file).title.partition(":")[0])


def home_page(source: Path, every: list[Path], site: Path, record: dict[str, Any]) -> str:
    """The first page: the README of the course, its lessons as cards; or a list of the lessons."""
    readme = source / README
    listed = "\n".join(f"- [{Lesson(file).title}]({file.name})" for file in every)
    text = readme.read_text(encoding="utf-8") if readme.exists() else f"# Curso\n\n{listed}"
    failed = {name: where(one) for name, one in record.items() if one.get("failure")}

    def card(row: re.Match[str]) -> str:
        name = Path(row["file"]).stem
        one = record.get(name, {})
        page = f"{name}.html" if (site / f"{name}.html").exists() else None
        shown = f"{name}.png" if page and one.get("picture") else None
        return index.html(row, page, shown, one.get("minutes") if page else None)

    def led(match: re.Match[str]) -> str:
        page, words = re.sub(r"\.py$", ".html", match[1]), match[2]
        return f'<a href="{page}">{words}</a>' if (site / page).exists() else words

    body = re.sub(
        r'<a href="([\w/]+\.(?:py|md))">(.*?)</a>', led, formulas.html(index.carded(text, card))
    )
    notes = "".join(f"<li>{name}: {why}</li>" for name, why in failed.items())
    notice = f'<div class="failed"><p>Con errores:</p><ul>{notes}</ul></div>' if notes else ""
    missing = len(every) - len(record)
    foot = f"<p>Hay {len(record)} de {len(every)} lecciones construidas.</p>" if missing else ""
    return PAGE.substitute(
        title=escape(first_heading(text)), before="", body=notice + body, after="", foot=foot
    )


def first_heading(text: str) -> str:
    """The title of a text in Markdown."""
    found = re.search(r"^# (.+)$", text, re.M)
    return found[1] if found else "Curso"
