"""Lessons 1 to 9 and 12 say what one will know, what is needed, what to try and what to read."""

import ast
import re
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
FRAMED = sorted([*EXPERIMENTS.glob("0*.py"), *EXPERIMENTS.glob("12_[123]_*.py")])
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
    scope = {}
    exec(f"import numpy as np\n{ast.unparse(function)}", scope)
    verdict = check(name, scope[f"mi_{name}"])
    assert not verdict.passed and verdict.mistakes
