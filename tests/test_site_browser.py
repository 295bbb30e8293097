"""The built site: no dead link, nothing from elsewhere; in Chromium no error, nothing too wide.

``SITE`` names the pages of a site that has been built (``build/site/html``); without it one is
built here, its lessons as they are written.  See ``.ci/run site``.
"""

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest

from jaxopt_course.course import notebooks, site
from jaxopt_course.course.formulas import boxed
from jaxopt_course.course.lesson import kind_of
from jaxopt_course.course.playgrounds import PAGES
from jaxopt_course.course.playgrounds import page as playground
from jaxopt_course.site.sources import COURSE

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
ROOT = Path(__file__).parent.parent
WORDS = Path(__file__).parent / "data" / "spanish_words.txt"
NO_PROSE = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>|\*[^*\n]+\*|\(\d{4}\), «[^»]*»",
    re.S,
)  # code, formulas, links, titles; what is in italics is English or a name
WIDTHS = (1280, 390)
TOO_WIDE = """
() => [...document.querySelectorAll('body *')].filter(element => {
  const box = element.getBoundingClientRect();
  if (!box.width || !box.height || box.right <= innerWidth + 1) return false;
  const seen = getComputedStyle(element);
  const aside = 'dialog, .bd-sidebar-primary, .bd-sidebar-secondary';  // come when asked for
  if (seen.visibility === 'hidden' || element.closest(aside)) return false;
  for (let above = element.parentElement; above; above = above.parentElement)
    if (getComputedStyle(above).overflowX !== 'visible') return false;
  return true;
}).map(element => element.outerHTML.slice(0, 120))
"""
CUT = """
() => [...document.querySelectorAll('.math.block, article table')].filter(
  element => element.scrollWidth > element.clientWidth + 1
).map(element => element.textContent.trim().slice(0, 80))
"""

SCROLLED = """
() => [...document.querySelectorAll('.output pre, .cell_output pre, .output_html, .wide')].filter(
  element => element.scrollWidth > element.clientWidth + 1
).map(element => element.textContent.trim().slice(0, 80))
"""
RUN = ("10.3", "13.7")  # formulas, tables and figures of all kinds, in seconds


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if "SITE" in os.environ:
        return Path(os.environ["SITE"]).resolve()
    from jaxopt_course.site.build import build

    return build(tmp_path_factory.mktemp("site") / "built", unrun=True).page.parent


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to."""

    def __init__(self, file):
        super().__init__()
        self.links, self.loads, self.names = [], [], set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, given):
        given = dict(given)
        self.names |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("script", "img", "source", "iframe") and given.get("src"):
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") not in ("canonical",):
            self.loads.append(given["href"])


@pytest.fixture(scope="module")
def pages(built):
    found = {
        file: Page(file) for file in sorted(built.rglob("*.html")) if "_static" not in file.parts
    }
    assert len(found) > 60
    return found


def dead(pages, built):
    """Links and parts that lead nowhere, as (page, link)."""
    wrong = []
    for file, page in pages.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            there = there / "index.html" if there.is_dir() else there
            name = unquote(parts.fragment)
            known = pages.get(there)
            if not there.is_file() or (name and known and name not in known.names):
                wrong.append((str(file.relative_to(built)), link))
    return wrong


def test_no_link_is_dead(pages, built):
    assert dead(pages, built) == []


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#x">b</a><a href="c.html">c</a><img src="d.png">'
    )
    (tmp_path / "b.html").write_text('<p id="y">')
    found = {file: Page(file) for file in tmp_path.glob("*.html")}
    assert [link for _, link in dead(found, tmp_path)] == ["b.html#x", "c.html", "d.png"]


def test_pages_load_nothing_from_elsewhere(pages):
    assert [load for page in pages.values() for load in page.loads if urlsplit(load).netloc] == []


def test_every_lesson_has_its_page_notebook_and_script(built):
    lessons = list((built / COURSE).glob("[0-9][0-9]_*.html"))
    assert len(lessons) > 30
    for page in lessons:
        formulas = "$" in (ROOT / "experiments" / f"{page.stem}.py").read_text(encoding="utf-8")
        assert ("<math" in page.read_text(encoding="utf-8")) == formulas, page.stem
        assert page.with_suffix(".py").is_file() and page.with_suffix(".ipynb").is_file()


def test_both_parts_can_be_searched(built):
    for part, language in (("", "en"), (COURSE, "es")):
        assert (built / part / "searchindex.js").stat().st_size > 10_000
        assert f'<html lang="{language}"' in (built / part / "search.html").read_text("utf-8")


def test_no_page_errs_or_is_wider_than_the_screen(chromium, pages, built):
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.set_default_timeout(300_000)
    said, wide, cut = [], [], []
    page.on("console", lambda m: said.append((page.url, m.text)) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append((page.url, str(error))))
    for file in pages:
        page.goto(file.as_uri(), wait_until="load")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            name = f"{file.relative_to(built)} at {width}"
            wide += [(name, what) for what in page.evaluate(TOO_WIDE)]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append((name, "the page"))
            if width == 1280 or COURSE in file.parent.parts:  # broad tables of guides may scroll
                cut += [(name, what) for what in page.evaluate(CUT)]
            if COURSE in file.parent.parts:  # what lessons print, where the site was built in full
                cut += [(name, what) for what in page.evaluate(SCROLLED)]
    context.close()
    assert (said, wide, cut) == ([], [], [])


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Pages of two lessons that have run, as Sphinx has them and as the course alone has them."""
    from jaxopt_course.course.lessons import LESSONS, choose
    from jaxopt_course.site import build, lessons, sources
    from jaxopt_course.site.executed import executed

    out = tmp_path_factory.mktemp("ran")
    every = sorted((ROOT / "experiments").glob(LESSONS))
    chosen = choose(every, RUN)
    taken = [executed(file, out / "lessons", quick=True)[0] for file in chosen]
    assert [lesson.failure for lesson in taken] == [None] * len(RUN)
    gone = {file for file in every if file not in chosen}
    places = {f: place for f, place in sources.places_of(ROOT).items() if f not in gone}
    lessons.lay_out(ROOT, taken, places, out / "sources" / "es", out / "files" / "es")
    build.sphinx(ROOT, out, "es")
    alone = out / "html" / "alone"
    alone.mkdir()
    (alone / "course.css").write_text(site.style(), encoding="utf-8")
    for lesson in taken:
        page = site.lesson_page(lesson, chosen, quick=True)
        (alone / f"{lesson.name}.html").write_text(page, encoding="utf-8")
    return [
        folder / f"{file.stem}.html" for folder in (out / "html" / COURSE, alone) for file in chosen
    ]


def opened(chromium, **how):
    """A page that a busy machine may take long to load."""
    page = chromium.new_page(**how)
    page.set_default_timeout(300_000)
    return page


def test_what_lessons_print_and_draw_fits_the_page(chromium, ran):
    page = opened(chromium)
    for file in ran:
        name = f"{file.parent.name}/{file.name}"
        page.goto(file.as_uri(), wait_until="load")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(TOO_WIDE) == [], (name, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            assert page.evaluate(CUT) == [], (name, width)
            assert page.evaluate(SCROLLED) == [], (name, width)
    page.close()


HEADS = ("paso", "optimizador", "entrenamiento", "configuraciones", "sube la validación", "κ")
CELLS = ("0,0123", "1\N{NARROW NO-BREAK SPACE}234", "0,123 ± 0,045", "Schedule-Free AdamW", "sí")


def tables():
    """Of two to five columns, of every head and cell, as lessons show them."""
    for columns in range(2, 6):
        for first in range(len(HEADS)):
            heads = [f"{HEADS[(first + k) % len(HEADS)]}" for k in range(columns)]
            rows = [
                [CELLS[(first + k + row) % len(CELLS)] for k in range(columns)] for row in range(3)
            ]
            frame = pd.DataFrame(rows, columns=heads)
            yield boxed(frame.to_html(index=False, border=0), kind_of(frame))


STYLES = {  # the page around what a cell shows, as the course alone has it and as Sphinx has it
    "alone": (
        '<html lang="es"><head><style>{css}</style></head><body><main>'
        '<div class="output_html rendered_html">{table}</div></main></body></html>'
    ),
    "sphinx": (
        '<html lang="es"><head><link rel="stylesheet" href="{theme}"><style>{css}</style></head>'
        '<body><article class="bd-article" style="margin: 16px"><div class="cell_output">{table}'
        "</div></article></body></html>"
    ),
}


def test_no_table_of_a_lesson_is_wider_than_a_phone(chromium, tmp_path):
    page = opened(chromium, viewport={"width": 390, "height": 900})
    own = {"alone": site.style(), "sphinx": (ROOT / "experiments/site/static/site.css").read_text()}
    for name, around in STYLES.items():
        file = tmp_path / f"{name}.html"
        shown = around.replace("{css}", own[name]).replace("{theme}", "")
        file.write_text(shown.replace("{table}", "\n".join(tables())), encoding="utf-8")
        page.goto(file.as_uri(), wait_until="load")
        assert page.evaluate("document.querySelectorAll('table').length") == 4 * len(HEADS)
        assert page.evaluate(SCROLLED) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") == 390, name
        few = page.locator(".numbers:not(.stacked) th")
        assert few.count() and few.first.is_visible()  # those that fit stay tables
    page.close()


def test_figures_are_numbered_and_have_a_form_for_phones(chromium, ran):
    page = opened(chromium)
    for file in ran:
        page.goto(file.as_uri(), wait_until="load")
        number = ".".join(str(int(part)) for part in file.name.split("_")[:2])
        captions = page.locator("figure > figcaption").all_inner_texts()
        assert [text.split(" ", 2)[1] for text in captions] == [
            f"{number}.{i}." for i in range(1, len(captions) + 1)
        ]
        assert captions and all(len(text) > 30 for text in captions)
        shown = {}
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            picture = page.locator("picture img").first
            picture.scroll_into_view_if_needed()
            shown[width] = picture.evaluate("async (i) => (await i.decode(), i.naturalWidth)")
            assert picture.evaluate("(i) => i.getBoundingClientRect().width") <= width
        assert shown[390] < 0.75 * shown[1280]
    page.close()


def test_pages_are_dark_where_the_reader_is_and_light_on_paper(chromium, ran):
    page = opened(chromium, color_scheme="dark")
    for file in ran:
        page.goto(file.as_uri(), wait_until="load")
        of_picture = "getComputedStyle(document.querySelector('img.figure')).filter"
        assert "invert" in page.evaluate(of_picture), file
        page.set_viewport_size({"width": 700, "height": 900})  # about what a sheet has
        page.emulate_media(media="print")
        assert page.evaluate(of_picture) == "none", file
        cut = page.evaluate(SCROLLED) + page.evaluate(CUT)
        assert cut == [], file
        page.emulate_media(media="screen")
    page.close()


def test_a_search_finds_a_name(chromium, built):
    page = opened(chromium)
    page.goto((built / "search.html").as_uri() + "?q=scale_by_adopt")
    page.wait_for_selector("#search-results a")
    assert "transforms" in page.locator("#search-results").inner_html()
    page.close()


def test_the_spanish_is_spelt_right():
    """Prose of the course, by hunspell; tests/data/spanish_words.txt has the words of the trade."""
    if shutil.which("hunspell") is None:
        pytest.skip("no hunspell here: apt-get install hunspell hunspell-es")
    prose = []
    experiments = ROOT / "experiments"
    for file in sorted(experiments.glob("[0-9][0-9]_*.py")):
        prose += [
            cell.source for cell in notebooks.read(file).cells if cell.cell_type == "markdown"
        ]
    prose.append((experiments / "README.md").read_text(encoding="utf-8"))
    hands = re.compile(r"<(script|style)>.*?</\1>|\b\w[ᵗ₁₂]?\b|\w\u0302", re.S)
    prose += [hands.sub("", playground(name)) for name in PAGES]
    text = NO_PROSE.sub(" ", "\n".join(prose))
    asked = ["hunspell", "-i", "utf-8", "-d", "es_ES", "-p", str(WORDS), "-l"]
    wrong = subprocess.run(asked, input=text, capture_output=True, text=True, check=True).stdout
    assert sorted(set(wrong.split())) == []
