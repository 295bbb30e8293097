"""``report.html``: one file with everything in it, to be opened anywhere, without a network."""

import importlib.util
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jaxopt_course.records import claims, files, ownership, store
from jaxopt_course.records.format import FIGURES, PAGE, PICTURES
from jaxopt_course.report import cards, configurations, figures, first, origin
from jaxopt_course.report.findings import Findings, read
from jaxopt_course.report.markup import text
from jaxopt_course.report.words import Words


def write_report(study: str | Path | Findings, *, png: bool = True, language: str = "en") -> Path:
    """Write ``report.html`` and, with ``png``, ``figures/*.png`` into a study's directory.

    The page loads nothing: plotly is inside it (about 5 MB). An older report is replaced.

    Args:
        study: its directory, of which ``confirm/`` is read too, if it is there; or what was read
            from it.
        png: whether to draw the PNG files as well.
        language: "en" or "es"; of what was read, its own.

    Returns:
        The path of ``report.html``.

    Raises:
        FileNotFoundError: the directory holds no study.
        ValueError: the study is of another format, its manifest contradicts its table, or the
            report does not speak the language.
        FileExistsError: a file of the page's name is there that is not the study's.
        BlockingIOError: another process works there.
    """
    if isinstance(study, Findings):
        path, findings = claims.where(study.directory), study
    else:
        path, findings = claims.where(study), None
        store.read(path)  # says so if there is no study, before a lock is left there
    with claims.held(path):
        findings = findings or read(path, language)
        pictures: list[Path] = []
        ownership.require(path, [PAGE, *(f"{PICTURES}/{name}" for name in FIGURES)])
        if png:
            pictures = figures.save(findings, ownership.folder(path, PICTURES))
        whole = page(findings, pictures)
        files.replace(path / PAGE, lambda file: file.write_text(whole, encoding="utf-8"))
    return path / PAGE


def page(findings: Findings, pictures: Sequence[Path] = ()) -> str:
    """The page's text; ``pictures`` are the PNG files it offers."""
    body = [
        first.screen(findings),
        configurations.winners(findings),
        cards.section(findings, [picture.name for picture in pictures]),
        configurations.everything(findings),
        origin.section(findings),
        "</main>",
        f"<script>{plotly_js()}</script>",
    ]
    return document(findings.words, first.asked(findings), "\n".join(body))


def document(words: Words, title: str, body: str) -> str:
    """A page around its body: its style and script, and what the script says."""
    said = {"copy": "Copy", "copied": "Copied", "selected": "Selected", "rows": "{n} of {all} rows"}
    marks = " ".join(
        f'data-say-{key}="{text(words.say(told, n="{n}", all="{all}"))}"'
        for key, told in said.items()
    )
    parts = [
        "<!doctype html>",
        f'<html lang="{words.language}" {marks}><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{text(title)}</title><style>{asset('page.css')}</style>",
        f"</head><body>{body}",
        f"<script>{asset('page.js')}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def plotly_js() -> str:
    """The script of plotly, from its package; of the Python in it nothing is needed."""
    package = importlib.util.find_spec("plotly")
    for place in (package and package.submodule_search_locations) or ():
        file = Path(place, "package_data", "plotly.min.js")
        if file.is_file():
            return file.read_text("utf-8")
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def asset(name: str) -> str:
    """A file of the page that stands beside this one: ``page.css`` or ``page.js``."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")
