"""Lessons 1 to 9 and 12 say what one will know, what is needed, what to try and what to read."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from jaxopt_course.course.notebooks import folded, read

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
FRAMED = sorted([*EXPERIMENTS.glob("0*.py"), *EXPERIMENTS.glob("12_[123]_*.py")])
LESSONS = sorted(EXPERIMENTS.glob("[01][0-9]_*.py"))
ENGLISH = re.compile(  # words of every other English sentence, and of no Spanish one
    r"\b(the|of|and|is|are|with|from|that|this|which|not|by|where|each|what|its|at|how|every|after"
    r"|has|than|then|does|were|was|be|only|both|when|to|for|an|it|on)\b",
    re.IGNORECASE,
)
CORRECTED = {"01": "sgd", "03": "momentum", "04": "rmsprop", "05": "adam"}


def prose(text):
    """The comments, without their marks."""
    return "\n".join(re.findall(r"^# ?(.*)$", text, re.M))


@pytest.mark.parametrize("file", FRAMED, ids=lambda file: file.stem)
def test_a_lesson_has_a_frame(file):
    text = prose(file.read_text(encoding="utf-8"))
    assert len(FRAMED) >= 18
    head = text[: text.index("%%", 3)]
    assert "**Al terminar sabrás** " in head and "**Hace falta** " in head
    practice = text[text.index("## Para practicar") : text.index("## Para leer más")]
    assert len(re.findall(r"^\d\. ", practice, re.M)) >= 3
    reading = text[text.index("## Para leer más") :]
    works = re.split(r"^- ", reading, flags=re.M)[1:]
    assert len(works) >= 2 and all(re.search(r"\((19|20)\d\d\)", work) for work in works)


def words_in_code(source):
    """Comments and docstrings."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    nodes = ast.walk(ast.parse(source))
    named = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return comments + [words for node in named if (words := ast.get_docstring(node))]


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_what_code_says_of_itself_is_spanish(file):
    said = [
        w
        for cell in read(file).cells
        if cell.cell_type == "code"
        for w in words_in_code(cell.source)
    ]
    assert [words for words in said if ENGLISH.search(words)] == []


def test_english_is_seen():
    said = words_in_code('x = 1  # where it ends\n\ndef f():\n    """The path."""\n')
    assert all(map(ENGLISH.search, said)) and len(said) == 2


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_code_in_sight_is_at_most_twice_the_prose(file):
    lines = {"markdown": 0, "code": 0}
    for cell in read(file).cells:
        if cell.cell_type == "markdown" or not folded(cell):
            lines[cell.cell_type] += sum(bool(line.strip()) for line in cell.source.splitlines())
    assert lines["code"] <= 2 * lines["markdown"]


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.glob("[01]*.py")), ids=lambda file: file.stem)
def test_links_between_lessons_lead_somewhere(file):
    text = file.read_text(encoding="utf-8")
    for to in re.findall(r"\]\((\w+\.py)\)", text):
        assert (EXPERIMENTS / to).exists(), to


@pytest.mark.parametrize(("number", "name"), CORRECTED.items())
def test_the_function_to_mend_is_wrong_and_is_told_why(number, name):
    from jaxopt_course.course import check

    (file,) = EXPERIMENTS.glob(f"{number}_*.py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (function,) = (n for n in tree.body if getattr(n, "name", "") == f"mi_{name}")
    last = [cell for cell in read(file).cells if cell.cell_type == "code"][-1]
    assert f"def mi_{name}(" in last.source and f'check("{name}", mi_{name})' in last.source
    assert not folded(last)
    scope = {}
    exec(f"import numpy as np\n{ast.unparse(function)}", scope)
    verdict = check(name, scope[f"mi_{name}"])
    assert not verdict.passed and verdict.mistakes
