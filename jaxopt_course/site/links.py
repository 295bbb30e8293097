"""Links of the sources, which lead to files of the checkout, as links of the site."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = "https://github.com/jaxopt-course/jaxopt_course"
PUBLISHED = "gh-pages"  # the branch that holds the built site, notebooks included
COLAB = "https://colab.research.google.com/github/jaxopt-course/jaxopt_course/blob"
FENCE = re.compile(r"^(`{3,})[^\n`]*\n.*?^\1[ ]*$", re.M | re.S)
LINK = re.compile(
    r"(?P<code>`+[^`]*`+)"
    r"|(?P<picture>!?)\[(?P<words>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<to>[^)\s]+)\)"
)


@dataclass(frozen=True)
class Place:
    """Where a file of the checkout is on the site."""

    project: str  # "" of the English pages, "curso" of the Spanish ones
    document: str  # its source within the project, as guides/index.md

    @property
    def page(self) -> str:
        """From the root of the site."""
        name = re.sub(r"\.(md|ipynb)$", ".html", self.document)
        return f"{self.project}/{name}".lstrip("/")


def led(text: str, file: Path, root: Path, places: Mapping[Path, Place]) -> str:
    """The text with links to where the site has things, or else the repository.

    Args:
        text: Markdown; what stands in code is left alone.
        file: of the checkout that holds it.
        root: of the checkout.
        places: what of the checkout is on the site.
    """
    here = places[file]
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [_led(text[end : fence.start()], file, root, places, here), fence[0]]
        end = fence.end()
    return "".join([*parts, _led(text[end:], file, root, places, here)])


def _led(text: str, file: Path, root: Path, places: Mapping[Path, Place], here: Place) -> str:
    def link(found: re.Match[str]) -> str:
        if found["code"] or re.match(r"[a-z]+:|#", found["to"]):
            return found[0]
        to, _, anchor = found["to"].partition("#")
        there = Path(os.path.normpath(file.parent / to))
        if there.is_dir() and there / "README.md" in places:
            there = there / "README.md"
        if there not in places:
            return f"{found['picture']}[{found['words']}]({outside(there, root)})"
        place, after = places[there], f"#{anchor}" if anchor else ""
        if place.project == here.project:
            to = between(here.document, place.document) + after
            return f"{found['picture']}[{found['words']}]({to})"
        return f'<a href="{between(here.page, place.page)}{after}">{found["words"]}</a>'

    return LINK.sub(link, text)


def between(here: str, there: str) -> str:
    """The relative way from one file to another.

    >>> between("guides/kinds/vae.md", "guides/tasks.md")
    '../tasks.md'
    """
    return os.path.relpath(there, os.path.dirname(here) or ".")


def outside(file: Path, root: Path) -> str:
    """A file or folder of the checkout in the repository on the web."""
    kind = "tree" if file.is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{file.relative_to(root).as_posix()}"


def colab(name: str) -> str:
    """A notebook of the published site in Colab."""
    return f"{COLAB}/{PUBLISHED}/curso/{name}.ipynb"
