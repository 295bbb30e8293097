"""The pages to try with one's hands: one file each, which asks for nothing and names every part."""

import json
import re
from pathlib import Path

import pytest

from jaxopt_course.course.lessons import number_of
from jaxopt_course.course.playgrounds import PAGES, page, write

EXPERIMENTS = Path(__file__).parent.parent / "experiments"


def test_every_page_is_written_whole(tmp_path):
    assert [file.name for file in write(tmp_path)] == list(PAGES)
    for name in PAGES:
        assert (tmp_path / name).read_text(encoding="utf-8") == page(name)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_no_network_and_no_other_file(name):
    text = page(name)
    assert not re.search(r"""https?:|\bfetch\(|\bimport\b|\bsrc=|url\(|XMLHttpRequest""", text)
    first, home, *led = re.findall(r'href="([^"]*)"', text)
    assert (first, home) == ("data:,", "index.html") and led
    for link in led:  # every lesson that it names
        assert (EXPERIMENTS / link).with_suffix(".py").is_file(), link
    words = re.sub(r"<script>.*</script>|<[^>]*>", "", text, flags=re.S)
    numbers = {".".join(map(str, number_of(Path(link).stem))) for link in led}
    named = re.findall(r"lecci(?:ón|ones)\s([\d.]+\d|\d)(?:\sa\s(\d+))?", words)
    assert {number for pair in named for number in pair if number} == numbers
    assert "$" not in re.sub(r"\$\{|\"\$&\$&\"", "", text)  # no field of a template is left
    assert f"<title>{PAGES[name][1]}</title>" in text and f"<h1>{PAGES[name][1]}</h1>" in text
    ids = re.findall(r'\bid="([\w-]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'find\("([\w-]+)"\)', text)) <= set(ids)
    assert json.dumps(text)  # one text, no stray surrogate


def test_lessons_that_have_no_page_are_named_without_a_link(tmp_path):
    write(tmp_path, {"02_tasa_de_aprendizaje"})
    there = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    led = [re.findall(r'href="(\d[^"]*)"', there[name]) for name in PAGES]
    assert led == [["02_tasa_de_aprendizaje.html"], ["02_tasa_de_aprendizaje.html"], []]
    assert "(lección 8.2)" in there["manos_lote.html"] and "lecciones 3 a 5" in " ".join(
        there["manos_superficie.html"].split()
    )
