"""The first screen: what wins, with which numbers, how sure that is, and what next."""

import pandas as pd

from jaxopt_course.report import code, following, population, separation, verdict
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import labels
from jaxopt_course.report.markup import copyable, folded, listed, text
from jaxopt_course.report.words import mapping

FACTS = (
    "training, validation, test examples",
    "epochs a training",
    "steps a training",
    "trainings of the search",
    "optimizers",
    "fresh seeds",
)


def screen(findings: Findings) -> str:
    """The answer in a header: sentence, facts, code to copy and next steps, remarks."""
    w = findings.words
    question = asked(findings)
    return "\n".join(
        [
            f"<header><h1>{text(question)}</h1>",
            f'<p class="headline">{text(verdict.winner(findings))}</p>',
            _sure(findings),
            _facts(findings),
            "</header><main>",
            f'<div class="answers">{_numbers(findings)}{_next(findings)}</div>',
            _remarks(findings, w.say("What to mind")),
        ]
    )


def _sure(findings: Findings) -> str:
    said, answer = verdict.sureness(findings), separation.answer(findings)
    if not said:
        return ""
    title = text(f"{findings.words.say('How sure?')} {answer}".strip())
    return f'<p class="sure"><strong>{title}</strong> {text(said)}</p>'


def asked(findings: Findings) -> str:
    """The question that the page answers."""
    w = findings.words
    task = mapping(findings.manifest, "task").get("name") or w.say("this task")
    names = labels(findings.optimizers, 48)
    if len(findings.ranking) == 1:
        only = names[findings.ranking["optimizer"].iloc[0]]
        return w.say("Which setting of {optimizer} is best on {task}?", optimizer=only, task=task)
    return w.say("Which optimizer wins on {task}?", task=task)


def _facts(findings: Findings) -> str:
    """On what data, how much: a row of small facts."""
    w, manifest = findings.words, findings.manifest
    examples, budget = mapping(mapping(manifest, "task"), "examples"), mapping(manifest, "budget")
    sizes = examples.get("train"), examples.get("valid"), examples.get("test")
    known = [w.whole(n) for n in sizes if isinstance(n, int)]
    epochs, updates = (budget.get(name) for name in ("epochs", "steps"))
    seeds = int(findings.finals["seed"].nunique())
    values = [
        " · ".join(known) if len(known) == len(sizes) else "",
        w.whole(epochs) if isinstance(epochs, int) else "",
        w.whole(updates) if isinstance(updates, int) and epochs is None else "",
        w.whole(len(findings.trials)),
        w.whole(len(findings.ranking)),
        w.whole(seeds) if findings.confirmed else "",
    ]
    facts = {name: value for name, value in zip(FACTS, values, strict=True) if value}
    items = "".join(
        f"<div><dt>{text(w.say(name))}</dt><dd>{text(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f'<dl class="facts">{items}</dl>'


def numbers(findings: Findings) -> dict[str, object]:
    """All that the winner's row holds: hyperparameters with a value, the optimizer left out."""
    best = findings.ranking.iloc[0]
    return {
        name: best[name]
        for name in findings.hyperparameters
        if name != "optimizer" and not pd.isna(best[name])
    }


def _numbers(findings: Findings) -> str:
    w = findings.words
    name = str(findings.ranking["optimizer"].iloc[0])
    parts = [f'<section class="card"><h2>{text(w.say("The winner, to copy"))}</h2>']
    if pieces := population.schedule(findings):
        label = w.say("The winner's numbers")
        said = w.say("One training's: study.confirm trains the same schedule from fresh seeds.")
        note = f'<p class="note">{text(said)}</p>'
        return "".join(parts) + copyable(population.told(pieces), w, label) + f"{note}</section>"
    found = code.snippets(name, numbers(findings))
    lacking = []
    for snippet in found:
        title = code.FRAMEWORKS[snippet.framework]
        if not snippet.code:
            lacking.append(title)
            continue
        note = f"<p>{text(w.say(snippet.note))}</p>" if snippet.note else ""
        label = w.say("Python for {framework}", framework=title)
        shown = snippet.framework == "joc"
        body = copyable(snippet.code, w, label) + note
        parts.append(folded(title, body, shown=shown, group="framework"))
    if lacking:
        said = w.say("{framework}: no optimizer with this rule.", framework=w.listed(lacking))
        parts.append(f'<p class="note">{text(said)}</p>')
    if not found:
        label = w.say("The winner's numbers")
        parts.append(copyable(code.named(numbers(findings)), w, label))
    command = following.again(findings)
    if command:
        label = w.say("Train it alone, as a command")
        parts.append(folded(label, copyable(command, w, label), group="framework"))
    return "".join(parts) + "</section>"


def _next(findings: Findings) -> str:
    w = findings.words
    items = []
    for step in following.steps(findings):
        command = ""
        if step.command:
            command = copyable(step.command, w, w.say("Command"))
        items.append(f"<li>{text(step.said)}{command}</li>")
    title = text(w.say("What next"))
    return f'<section class="card"><h2>{title}</h2><ol class="next">{"".join(items)}</ol></section>'


def _remarks(findings: Findings, title: str) -> str:
    said = verdict.remarks(findings)
    if not said:
        return ""
    return f'<section class="mind"><h2>{text(title)}</h2>{listed(said, "remarks")}</section>'
