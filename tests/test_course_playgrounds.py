"""The pages to try with one's hands: one file each, which asks for nothing and names every part."""

import json
import re

import pytest

from jaxopt_course.course.playgrounds import PAGES, page, write


def test_every_page_is_written_whole(tmp_path):
    assert [file.name for file in write(tmp_path)] == list(PAGES)
    for name in PAGES:
        assert (tmp_path / name).read_text(encoding="utf-8") == page(name)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_no_network_and_no_other_file(name):
    text = page(name)
    assert not re.search(r"""https?:|\bfetch\(|\bimport\b|\bsrc=|url\(|XMLHttpRequest""", text)
    assert re.findall(r'href="([^"]*)"', text) == ["data:,", "index.html"]
    assert "$" not in re.sub(r"\$\{|\"\$&\$&\"", "", text)  # no field of a template is left
    assert f"<title>{PAGES[name][1]}</title>" in text and f"<h1>{PAGES[name][1]}</h1>" in text
    ids = re.findall(r'\bid="([\w-]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'find\("([\w-]+)"\)', text)) <= set(ids)
    assert json.dumps(text)  # one text, no stray surrogate
