"""How a study was made, at the end of its page: command, environment, ranges, files."""

from jaxopt_course.messages import printable
from jaxopt_course.records.format import CONFIRMATION, STUDY
from jaxopt_course.report import ranges
from jaxopt_course.report.commands import in_words_of, to_copy
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import labels
from jaxopt_course.report.markup import Cell, Head, copyable, folded, listed, table, text
from jaxopt_course.report.words import mapping


def section(findings: Findings) -> str:
    """The command to copy; the environment, the ranges tried and the table, folded; the files."""
    w = findings.words
    command = printable(
        to_copy(str(findings.manifest.get("command") or ""))
    )  # to be pasted: it has one line
    parts = [f"<section><h2>{text(w.say('How it was made'))}</h2>"]
    if command:
        parts.append(copyable(command, w, w.say("Command")))
    environment = findings.environment.to_numpy().tolist()
    rows = [[Cell(w.say(name)), Cell(value)] for name, value in environment]
    title = w.say("Environment")
    parts.append(folded(title, table([Head(""), Head("")], rows, title, sorts=False)))
    short = labels(findings.optimizers, 48)
    tried = [
        [
            Cell(one.name), Cell(w.mark(one.low)), Cell(w.mark(one.high)), Cell(str(one.values)),
            Cell(", ".join(short[n] for n in one.optimizers)),
        ]
        for one in ranges.tried(findings)
    ]  # fmt: skip
    if tried:
        names = {"number": False, "lowest": True, "highest": True, "values": True, "of": False}
        heads = [Head(w.say(name), numeric) for name, numeric in names.items()]
        title = w.say("Ranges tried")
        parts.append(folded(title, table(heads, tried, title, sorts=False)))
    told = mapping(findings.manifest, "task").get("data")
    if isinstance(told, list) and told:
        parts.append(
            folded(
                w.say("The table"), listed([printable(in_words_of(command, line)) for line in told])
            )
        )
    names_of_files = [*STUDY, *(f"{CONFIRMATION}/{name}" for name in STUDY)]
    links = "".join(
        f'<li><a href="{name}">{name}</a></li>'
        for name in names_of_files
        if (findings.directory / name).is_file()
    )
    parts.append(f"<h3>{text(w.say('Data'))}</h3><ul>{links}</ul></section>")
    return "".join(parts)
