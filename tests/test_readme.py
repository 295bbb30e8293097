"""What README shows is there: names, links, and the matrix that a test made."""

import re
from pathlib import Path

import jaxopt_course as joc

HERE = Path(__file__).parent
README = (HERE.parent / "README.md").read_text(encoding="utf-8")


def test_every_name_exists():
    names = set(re.findall(r"\bjoc\.(\w+)", README))
    assert names - set(joc.__all__) == set()
    assert len(names) > 20


def test_every_file_linked_or_named_in_the_house_exists():
    links = set(re.findall(r"\]\(([\w/.]+)\)", README))
    assert len(links) >= 3
    missing = [link for link in links if not (HERE.parent / link).exists()]
    assert missing == []


def test_the_matrix_is_the_published_one():
    shown = re.search(r"<!-- tests/tables/parity.md -->\n(.*?)<!-- end -->", README, re.S)
    table = (HERE / "tables" / "parity.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert shown is not None and len(rows) > 14
    assert [line for line in shown[1].splitlines() if line.startswith("|")] == rows
