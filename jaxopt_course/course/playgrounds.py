"""Pages to try with one's hands: plain JavaScript in one file each, without network.

A page is a piece of HTML, its script, and what all share: the updates of the optimizers and the
surfaces (``updates.js``), which the browser's tests hold to the library, and a style sheet.
"""

import re
from collections.abc import Container
from importlib.resources import files
from pathlib import Path
from string import Template

from jaxopt_course.records.files import replace_bytes

PAGES = {  # by its file on a site: its parts, and its title
    "manos_superficie.html": ("surface", "Hasta cuatro optimizadores en una superficie"),
    "manos_mapa.html": ("map", "Cuarenta mil entrenamientos bajo el ratón"),
    "manos_lote.html": ("batch", "Qué hacen el ruido y el tamaño del lote"),
}
LESSON = re.compile(r'<a href="(\d\d_\w+)\.html">(.*?)</a>')
PAGE = Template("""<!doctype html>
<html lang="es">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<nav aria-label="Curso"><a href="index.html">El curso</a></nav>
$body
<script>
$script
</script>
</body>
</html>
""")


def page(name: str, lessons: Container[str] | None = None) -> str:
    """A page, whole.

    Args:
        name: its file, one of :data:`PAGES`.
        lessons: by name, those that have a page beside it; all by default.  Others are no links.

    >>> "fetch(" in page("manos_superficie.html") or "http" in page("manos_superficie.html")
    False
    """
    part, title = PAGES[name]
    read = lambda file: (
        files("jaxopt_course.course").joinpath("hands", file).read_text(encoding="utf-8").rstrip()
    )
    led = lambda link: link[0] if lessons is None or link[1] in lessons else link[2]
    return PAGE.substitute(
        title=title,
        style=read("hands.css"),
        body=LESSON.sub(led, read(f"{part}.html")),
        script=f"{read('updates.js')}\n{read(f'{part}.js')}",
    )


def write(folder: str | Path, lessons: Container[str] | None = None) -> list[Path]:
    """Write every page into a folder, beside those of the lessons that link to them.

    Args:
        folder: of a site.
        lessons: by name, those that are there; all by default.
    """
    made = [Path(folder) / name for name in PAGES]
    for file in made:
        replace_bytes(file, page(file.name, lessons).encode())
    return made
