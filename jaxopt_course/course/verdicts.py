"""Verdicts as lessons show them: the table of a lesson, a quotation, and all of them.

``python -m jaxopt_course.course.verdicts runs/course`` puts what lessons measured into the
register, ``claims.json``; the lessons must have been run in full, as scripts.
"""

import ast
import hashlib
import io
import json
import re
import sys
import tokenize
from collections.abc import Sequence
from pathlib import Path

from jaxopt_course.course.claims import REGISTER, Claim, entry, find, recorded, verdict, whole
from jaxopt_course.course.lesson import FIGURES, quick
from jaxopt_course.course.lessons import number_of
from jaxopt_course.course.places import named
from jaxopt_course.records.files import replace_bytes

TABLE, MEASURED = "veredictos.md", "afirmaciones.json"
EVERYTHING = "13_7_todas_las_afirmaciones"
HEAD = "| optimizador | afirmación | veredicto | lo medido |\n|---|---|---|---|\n"


def link(lesson: str) -> str:
    """A lesson by its number, as a link to its file, which a site makes one to its page.

    >>> link("13_1_velocidad_y_escala")
    '[13.1](13_1_velocidad_y_escala.py)'
    """
    return f"[{'.'.join(map(str, number_of(lesson)))}]({lesson}.py)"


def told(parts: Sequence[Claim]) -> str:
    """What was measured, part by part; those of other lessons with a link."""
    return "; ".join(
        f"{one.reason}, en {link(one.lesson)}" if one.lesson else one.reason for one in parts
    )


def elsewhere(one: Claim) -> list[Claim]:
    """The parts of a claim that other lessons measured."""
    return [part for part in whole().get(one.key, []) if part.part != one.part]


def row(parts: Sequence[Claim]) -> str:
    """A claim in Markdown."""
    first = parts[0]
    return (
        f"| {first.about} | {first.words} ({named(first.where)}) | **{verdict(parts)}** "
        f"| {told(parts)} |"
    )


def table(claims: Sequence[Claim]) -> str:
    """The claims in Markdown, those of an optimizer together, each with its other parts."""
    order = list(dict.fromkeys(one.about for one in claims))
    rows = sorted(claims, key=lambda one: order.index(one.about))
    return HEAD + "\n".join(row([one, *elsewhere(one)]) for one in rows)


def show_claims(claims: Sequence[Claim]) -> None:
    """Show the table in a notebook; in a script print it, and save it beside the figures."""
    markdown(table(claims))
    if "ipykernel" not in sys.modules:
        folder = FIGURES / Path(sys.argv[0]).stem
        folder.mkdir(parents=True, exist_ok=True)
        replace_bytes(folder / TABLE, f"{table(claims)}\n".encode())
        data = {"quick": quick(), "claims": [entry(one) for one in claims]}
        replace_bytes(folder / MEASURED, json.dumps(data, ensure_ascii=False).encode())


def cite(about: str, word: str) -> None:
    """Show the one verdict of a claim of the notes, with its figures and where they come from.

    Args:
        about: the optimizer.
        word: in the claim and in no other about it.

    Raises:
        ValueError: none says it, or several do.
    """
    parts = find(about, word)
    markdown(
        f"> **{about}, «{parts[0].words}»** ({named(parts[0].where)}): **{verdict(parts)}**. "
        f"{told(parts)}. [Todas las afirmaciones]({EVERYTHING}.py)."
    )


def show_all() -> None:
    """Show every claim of the notes."""
    markdown(HEAD + "\n".join(map(row, whole().values())))


def markdown(text: str) -> None:
    """Show Markdown in a notebook, its links leading to pages; print it in a script."""
    if "ipykernel" in sys.modules:
        from IPython.display import HTML, display

        from jaxopt_course.course.formulas import html

        display(HTML(foldable(html(text.replace(".py)", ".html)")))))
    else:
        print(text)


def foldable(page: str) -> str:
    """HTML in whose cards, on a phone, what was measured is folded.

    >>> foldable('<td data-head="lo medido">1,2 veces</td>')
    '<td><details class="folds"><summary>lo medido</summary>1,2 veces</details></td>'
    """
    return re.sub(
        r'<td data-head="(lo medido)">(.*?)</td>',
        r'<td><details class="folds"><summary>\1</summary>\2</details></td>',
        page,
        flags=re.S,
    )


def code_of(lesson: Path) -> str:
    """A digest of the code of a lesson; its comments, docstrings and prose do not count."""
    text = lesson.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            words = node.body[0]
            first, last = words.lineno - 1, words.end_lineno or words.lineno
            lines[first:last] = [""] * (last - first)
    code = "\n".join(line.rstrip() for line in lines if line.strip())
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def record(folder: Path, lessons: Path, register: Path) -> None:
    """Put what lessons measured into the register; those that were not run stay as they are.

    Args:
        folder: where scripts leave their figures.
        lessons: the folder of the lessons.
        register: the file.

    Raises:
        ValueError: a lesson was run in its quick mode.
    """
    known = json.loads(register.read_text(encoding="utf-8")) if register.exists() else {}
    for file in sorted(folder.glob(f"*/{MEASURED}")):
        lesson, data = file.parent.name, json.loads(file.read_text(encoding="utf-8"))
        if data["quick"]:
            raise ValueError(f"{lesson} was run in its quick mode; run it in full")
        known[lesson] = {
            "code": code_of(lessons / f"{lesson}.py"),
            "claims": data["claims"],
        }
    known = {name: known[name] for name in sorted(known) if (lessons / f"{name}.py").exists()}
    text = json.dumps(known, ensure_ascii=False, indent=1)
    replace_bytes(register, f"{text}\n".encode())
    recorded.cache_clear()


if __name__ == "__main__":
    from jaxopt_course.course.lessons import find as lessons_folder

    record(Path(sys.argv[1]), lessons_folder(None), Path(__file__).with_name(REGISTER))
