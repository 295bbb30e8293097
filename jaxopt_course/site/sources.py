"""The English part of the site as Sphinx reads it: guides, reference, benchmarks, changelog."""

import ast
import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from jaxopt_course.course.lessons import LESSONS, SCRIPTS
from jaxopt_course.records.files import replace_bytes
from jaxopt_course.site.links import Place, led
from jaxopt_course.site.reference import Undocumented, expanded, left_out

SOURCES = "experiments/site"
COURSE = "curso"
WRITTEN = ("changelog.md", "contributing.md")  # of experiments/, pages as they are
BENCHMARKS = "{benchmarks}"
ROWS = 60  # of a benchmark's CSV file that are shown


def places_of(root: Path) -> dict[Path, Place]:
    """What of a checkout is on the site, and where."""
    experiments = root / SCRIPTS
    places = {experiments / name: Place("", name) for name in WRITTEN}
    for file in sorted((experiments / "guides").rglob("*")):
        if file.suffix in (".md", ".py") and "__pycache__" not in file.parts:
            page = file.relative_to(experiments).with_suffix(".md")
            places[file] = Place("", f"{page}".replace("README.md", "index.md"))
    for file in sorted((experiments / "pictures").glob("*.png")):
        places[file] = Place("", f"pictures/{file.name}")
    for file in sorted((root / "tests" / "tables").glob("*.md")):
        places[file] = Place("", f"tables/{file.name}")
    for file in sorted((experiments / "benchmarks").rglob("*.md")):
        places[file] = Place("", f"{file.relative_to(experiments)}")
    for file in sorted((root / SOURCES).rglob("*.md")):
        if file.name != "README.md":
            places[file] = Place("", f"{file.relative_to(root / SOURCES)}")
    for file in sorted(experiments.glob(LESSONS)):
        places[file] = Place(COURSE, f"{file.stem}.ipynb")
    places[experiments / "README.md"] = Place(COURSE, "index.md")
    return places


def lay_out(root: Path, out: Path) -> None:
    """Write the English sources; what is already there and the same is left as it is.

    Raises:
        Undocumented: a public name has no docstring, or no page.
    """
    places = places_of(root)
    mine = {file: place for file, place in places.items() if not place.project}
    texts = [file.read_text(encoding="utf-8") for file in sorted((root / SOURCES).rglob("*.md"))]
    if nowhere := left_out(texts):
        raise Undocumented(
            f"public names on no page of {SOURCES}/api: {', '.join(nowhere)}; add their room to one"
        )
    for file, place in mine.items():
        to = out / place.document
        if file.suffix == ".png":
            copied(file, to)
            continue
        text = page_of(file) if file.suffix == ".py" else file.read_text(encoding="utf-8")
        text = expanded(led(titled(text, file), file, root, places))
        if BENCHMARKS in text:
            text = text.replace(BENCHMARKS, benchmarks(root / SCRIPTS / "benchmarks"))
        if file.name == "README.md":
            text = f"{text}\n{toctree(below(file, text, places))}"
        written(to, text)
    swept(out, {out / place.document for place in mine.values()})


def below(index: Path, text: str, places: Mapping[Path, Place]) -> list[str]:
    """The pages of an index's folder, in the order in which its text names them."""
    folder = Path(places[index].document).parent
    names = [
        Path(place.document).relative_to(folder).as_posix()
        for file, place in places.items()
        if file != index
        and index.parent in (file.parent, file.parent.parent if file.name == "README.md" else None)
    ]
    named = {name: text.find(f"]({name})") for name in names}
    return sorted(names, key=lambda name: (named[name] < 0, named[name], name))


def toctree(names: Iterable[str], *options: str) -> str:
    """The pages below one, shown in the navigation and not in its text."""
    return "\n".join(["```{toctree}", ":hidden:", *options, "", *names, "```", ""])


def titled(text: str, file: Path) -> str:
    """The text, under the name of its file where it has no title."""
    title = file.stem.replace("_", " ").capitalize()
    return text if re.search(r"^# ", text, re.M) else f"# {title}\n\n{text}"


def page_of(script: Path) -> str:
    """A script as a page: its first line as the title, its words, its code."""
    source = script.read_text(encoding="utf-8")
    words = ast.get_docstring(ast.parse(source)) or script.stem
    title, _, about = words.partition("\n")
    code = source.partition('"""')[2].partition('"""')[2].strip()
    about = about.replace("``", "`")
    return f"# {title.rstrip('.')}\n{about}\n\n```python\n{code}\n```\n"


def benchmarks(folder: Path) -> str:
    """A section a benchmark: what it asks, how it is run, and the tables that it has left."""
    made = []
    for file in sorted(folder.glob("*.py")):
        words = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        title, _, about = words.partition("\n")
        if "Run " in about:  # others are their parts
            name = "the whole table" if file.stem == "__main__" else file.stem.replace("_", " ")
            made.append(f"### {name.capitalize()}\n\n{title}\n\n```text\n{about.strip()}\n```\n")
            made += [table(result) for result in sorted(folder.glob(f"{file.stem}.csv"))]
    return "\n".join(made)


def table(file: Path) -> str:
    """A CSV file as a table of Markdown."""
    with open(file, newline="", encoding="utf-8") as lines:
        head, *rows = list(csv.reader(lines))
    row = lambda cells: f"| {' | '.join(cells)} |"
    shown = [row(head), row(["---"] * len(head)), *map(row, rows[:ROWS])]
    more = f"\n\n{len(rows) - ROWS} more rows in the file." if len(rows) > ROWS else ""
    return "\n".join(shown) + more + "\n"


# --- files ---


def written(file: Path, text: str) -> None:
    """Write a file unless it is so already: Sphinx reads again what is newer."""
    place(file, text.encode())


def copied(file: Path, to: Path) -> None:
    """Copy a file unless it is there already."""
    place(to, file.read_bytes())


def place(file: Path, content: bytes) -> None:
    """Write a file whole unless it is so already."""
    if not file.exists() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(file, content)


def swept(folder: Path, kept: set[Path]) -> None:
    """Remove pages whose sources are no more."""
    for file in folder.rglob("*"):
        if file.is_file() and file not in kept:
            file.unlink()
