"""What README and the guide promise names the tests that hold it, and these are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "experiments" / "guides" / "promises.md").read_text(encoding="utf-8")
NAMED = re.compile(r"tests/test_\w+\.py(?:::\w+)*")
BEGINS = re.compile(r"^- \*\*(.+?)\.?\*\*", re.M)


def section(page, title):
    """What stands under a heading, to the next of the second level."""
    _, below = re.split(rf"^#+ {re.escape(title)}$", page, maxsplit=1, flags=re.M)
    return below.split("\n## ")[0]


def promises(text):
    """The bullets that begin in bold, by these words."""
    found = re.split(r"^- ", text.split("```")[0].split("\nEach with")[0], flags=re.M)[1:]
    return {BEGINS.match(f"- {one}")[1]: one for one in found}


OURS = promises(section(README, "What is promised"))
THEIRS = promises(section(GUIDE, "What is promised, and where it is tested"))
TESTS = sorted(set(NAMED.findall(GUIDE)))


def names_of(body, path=()):
    """Classes and functions of a file, as pytest names them."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield "::".join((*path, node.name))
            if isinstance(node, ast.ClassDef):
                yield from names_of(node.body, (*path, node.name))


def test_what_readme_promises_is_promised_in_the_guide():
    assert len(OURS) >= 4
    assert OURS.keys() <= THEIRS.keys()


@pytest.mark.parametrize("promise", THEIRS)
def test_a_promise_names_its_test(promise):
    """A function, not a file alone: a file of forty tests holds nothing in particular."""
    assert [test for test in NAMED.findall(THEIRS[promise]) if "::" in test]


@pytest.mark.parametrize("test", TESTS)
def test_a_test_that_is_named_is_there(test):
    file, *name = test.split("::")
    path = ROOT / file
    assert path.is_file()
    there = set(names_of(ast.parse(path.read_text(encoding="utf-8")).body))
    assert not name or "::".join(name) in there


def test_what_strangers_send_has_a_test_in_each_row():
    rows = re.findall(r"^\|.*\|$", section(GUIDE, "What comes from strangers"), re.M)[2:]
    assert len(rows) >= 8
    assert [row for row in rows if not any("::" in test for test in NAMED.findall(row))] == []


def test_a_name_that_is_gone_is_seen():
    """The test above can fail."""
    there = set(names_of(ast.parse("class A:\n    def test_x(self): ...\ndef test_y(): ...").body))
    assert there == {"A", "A::test_x", "test_y"}
    assert NAMED.findall("`tests/test_a.py::A::test_x`, and tests/test_b.py") == [
        "tests/test_a.py::A::test_x", "tests/test_b.py"
    ]  # fmt: skip
