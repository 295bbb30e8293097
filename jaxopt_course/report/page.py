"""``report.html``: one file with everything in it, to be opened anywhere, without a network."""

import html
import importlib.util
import json
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jaxopt_course.messages import printable
from jaxopt_course.records import claims, files, ownership, store
from jaxopt_course.records.format import CONFIRMATION, FIGURES, PAGE, PICTURES, STUDY
from jaxopt_course.report import figures, figures_html, ranges, verdict, words
from jaxopt_course.report.findings import Findings, read
from jaxopt_course.report.looks import labels, looks

SHOWN = 50  # configurations in the table of all


def write_report(study: str | Path | Findings, *, png: bool = True) -> Path:
    """Write ``report.html`` and, with ``png``, ``figures/*.png`` into a study's directory.

    The page loads nothing: plotly is inside it (about 5 MB). An older report is replaced.

    Args:
        study: its directory, of which ``confirm/`` is read too, if it is there; or what was read
            from it.
        png: whether to draw the PNG files as well.

    Returns:
        The path of ``report.html``.

    Raises:
        FileNotFoundError: the directory holds no study.
        ValueError: the study is of another format, or its manifest contradicts its table.
        FileExistsError: a file of the page's name is there that is not the study's.
        BlockingIOError: another process works there.
    """
    if isinstance(study, Findings):
        path, findings = claims.where(study.directory), study
    else:
        path, findings = claims.where(study), None
        store.read(path)  # says so if there is no study, before a lock is left there
    with claims.held(path):
        findings = findings or read(path)
        pictures: list[Path] = []
        ownership.require(path, [PAGE, *(f"{PICTURES}/{name}" for name in FIGURES)])
        if png:
            pictures = figures.save(findings, ownership.folder(path, PICTURES))
        text = page(findings, pictures)
        files.replace(path / PAGE, lambda file: file.write_text(text, encoding="utf-8"))
    return path / PAGE


def page(findings: Findings, pictures: Sequence[Path] = ()) -> str:
    """The page's text; ``pictures`` are the PNG files it offers."""
    task = words.mapping(findings.manifest, "task").get("name") or "this task"
    names = findings.ranking["optimizer"].tolist()
    question = f"Which optimizer wins on {task}?"
    if len(names) == 1:
        question = f"Which setting of {words.short(names[0], 48)} is best on {task}?"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{_text(question)}</title><style>{asset('page.css')}</style></head><body>",
        f"<header><h1>{_text(question)}</h1>",
        f'<p class="headline">{_text(verdict.headline(findings))}</p>',
        _list(verdict.remarks(findings), "remarks"),
        "</header><main>",
        _winners(findings),
        _figures(findings, [picture.name for picture in pictures]),
        _configurations(findings),
        _origin(findings),
        "</main>",
        f"<script>{plotly_js()}</script><script>{asset('page.js')}</script></body></html>",
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


def _winners(findings: Findings) -> str:
    columns, rows = verdict.ranking_table(findings)
    header = [(column.name, column.numeric) for column in columns]
    note = "Each optimizer with the best of its configurations"
    if findings.confirmed:
        seeds = words.counted(int(findings.finals["seed"].nunique()), "fresh seed")
        note += (
            f", re-trained on {seeds}: mean ± half width of the 95% t-interval. Ranked by the "
            "validation metric on the fresh seeds; the test data chose nothing."
        )
    else:
        note += ", ranked by the search itself; without fresh seeds nothing has an interval."
    return f"<section><h2>Winners</h2><p>{_text(note)}</p>{_table(header, rows, 'cards')}</section>"


def _figures(findings: Findings, pictures: Sequence[str]) -> str:
    """The legend, and a card a figure: the plot's JSON, a caption, a link to its PNG."""
    parts = [f"<section><h2>Figures</h2>{_legend(findings)}"]
    curves = figures_html.curves(findings)
    noun = words.replicate(findings.manifest)
    seeds = f"fresh {noun}s" if findings.confirmed else f"{noun}s of the search"
    if curves:
        plots = "".join(_plot(name, words.title(name), plot) for name, plot in curves.items())
        caption = (
            f"Course of training of the winners. A line is the mean over the {seeds}, its band "
            f"their lowest and highest; both stop where the first {noun} diverges. Look at how "
            "fast a line falls, and whether validation turns back while training goes on."
        )
        parts.append(_figure("curves", f'<div class="plots">{plots}</div>', caption, pictures))
    lr = figures_html.sensitivity(findings)
    if lr:
        caption = (
            f"Result against the learning rate, each point the mean over the {noun}s of the search "
            "with the band from lowest to highest, the other hyperparameters at their best for "
            "that rate; the outlined mark is the best. Look at the width of the plateau: a wide "
            "one forgives a bad guess."
        )
        if "yaxis2" in lr["layout"]:
            caption += f" Below, a cross marks a rate at which a {noun} diverged."
        parts.append(_figure("sensitivity", _plot("sensitivity", "", lr), caption, pictures))
    dots = figures_html.final(findings)
    if dots:
        caption = f"Final test metric of the winners over the {seeds}: faint dots are {noun}s, " + (
            "the mark is their mean with its 95% t-interval. Look at which intervals overlap: "
            f"those optimizers are not told apart. A hollow mark lost {noun}s to divergence."
            if findings.confirmed
            else f"the mark is their mean. These {noun}s also chose the winners: no interval is "
            "due."
        )
        parts.append(_figure("final", _plot("final", "", dots), caption, pictures))
    return "".join(parts) + "</section>"


def _configurations(findings: Findings) -> str:
    table = findings.configurations
    metric = findings.metric
    counts = ["seeds", "diverged", "unfinished"]
    if table["stopped"].any():
        counts.insert(2, "stopped")
    if table[f"{findings.metric}_undefined"].any():
        counts.append(f"{findings.metric}_undefined")
    header = [("rank", True)] + [(name, name != "optimizer") for name in findings.hyperparameters]
    said = {"seeds": f"{words.replicate(findings.manifest)}s"}
    header += [(said.get(name, name.removeprefix(f"{metric}_")), True) for name in counts]
    header += [(words.title(metric), True), ("standard deviation", True)]
    columns = ["rank", *findings.hyperparameters, *counts, metric, f"{metric}_std"]
    rows = [[words.number(cell) for cell in row] for row in table[columns].head(SHOWN).values]
    more = f", the best {SHOWN} of them" if len(table) > SHOWN else ""
    return (
        f"<section><details><summary>All {words.counted(len(table), 'configuration')}{more}"
        f"</summary>{_table(header, rows)}</details></section>"
    )


def _origin(findings: Findings) -> str:
    command = printable(findings.manifest.get("command") or "")  # to be pasted: it has one line
    parts = ["<section><h2>How it was made</h2>"]
    if command:
        parts.append(
            f'<div class="command"><pre><code>{_text(command)}</code></pre>'
            '<button type="button" data-copy>Copy</button></div>'
        )
    rows = findings.environment.to_numpy().tolist()
    parts.append(
        f"<details><summary>Environment</summary>{_table([('', False), ('', False)], rows)}"
        "</details>"
    )
    short = labels(findings.optimizers, 48)
    tried = [
        (one.name, one.low, one.high, str(one.values), ", ".join(short[n] for n in one.optimizers))
        for one in ranges.tried(findings)
    ]
    if tried:
        sides = [("number", False), ("lowest", True), ("highest", True), ("values", True)]
        parts.append(
            "<details><summary>Ranges tried</summary>"
            f"{_table([*sides, ('of', False)], tried)}</details>"
        )
    told = findings.manifest.get("task", {}).get("data")
    if isinstance(told, list) and told:
        items = "".join(f"<li>{_text(printable(line))}</li>" for line in told)
        parts.append(f"<details><summary>The table</summary><ul>{items}</ul></details>")
    names = [*STUDY, *(f"{CONFIRMATION}/{name}" for name in STUDY)]
    links = "".join(
        f'<li><a href="{name}">{name}</a></li>'
        for name in names
        if (findings.directory / name).is_file()
    )
    parts.append(f"<h3>Data</h3><ul>{links}</ul></section>")
    return "".join(parts)


def _legend(findings: Findings) -> str:
    """A button an optimizer, best first, that shows and hides it in all figures."""
    styles, short = looks(findings.optimizers), labels(findings.optimizers)
    buttons = []
    for name in findings.ranking["optimizer"]:
        style, number = styles[name], findings.optimizers.index(name)
        dash = style.plotly_dash.replace("px", "") if style.plotly_dash != "solid" else "none"
        buttons.append(
            f'<button type="button" aria-pressed="true" data-optimizer="{number}" '
            f'title="{_text(name)}"><svg width="30" height="8" aria-hidden="true">'
            f'<line x1="0" y1="4" x2="30" y2="4" stroke="{style.colour}" stroke-width="3" '
            f'style="stroke:color-mix(in srgb,{style.colour} var(--pure),white)" '
            f'stroke-dasharray="{dash}"/></svg>{_text(short[name])}</button>'
        )
    return (
        f'<div class="legend" role="group" aria-label="Optimizers shown">{"".join(buttons)}</div>'
    )


def _plot(name: str, heading: str, plot: dict[str, Any]) -> str:
    data = json.dumps(plot, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    head = f"<h3>{_text(heading[:1].upper() + heading[1:])}</h3>" if heading else ""
    return (
        f'<div class="plot">{head}<div id="plot-{_text(name)}" class="canvas"></div>'
        f'<script type="application/json" data-for="plot-{_text(name)}">{data}</script></div>'
    )


def _figure(name: str, body: str, caption: str, pictures: Sequence[str]) -> str:
    png = f"{name}.png"
    link = f' <a href="figures/{png}">PNG</a>' if png in pictures else ""
    return f"<figure>{body}<figcaption>{_text(caption)}{link}</figcaption></figure>"


def _table(
    header: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]], kind: str = ""
) -> str:
    sides = ["number" if numeric else "" for _, numeric in header]
    head = "".join(
        f'<th scope="col" class="{side}">{_text(name)}</th>'
        for (name, _), side in zip(header, sides, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{side}" data-label="{_text(name)}">{_cell(cell)}</td>'
            for cell, (name, _), side in zip(row, header, sides, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    head = f"<thead><tr>{head}</tr></thead>" if any(name for name, _ in header) else ""
    return f'<div class="wide"><table class="{kind}">{head}<tbody>{body}</tbody></table></div>'


def _list(sentences: Sequence[str], kind: str) -> str:
    items = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
    return f'<ul class="{kind}">{items}</ul>' if items else ""


def _cell(text: str) -> str:
    return _text(text).replace(" ± ", "\u00a0±\u00a0")


def _text(text: Any) -> str:
    return html.escape(printable(text, keep="\n"))
