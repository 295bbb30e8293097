"""The page in a browser, from its file: it answers, sorts, filters, copies, fits, and is read out.

Needs Debian's Chromium; the check of access needs axe-core too, see ``.ci/run browser``.
"""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers import processor_seconds
from report_studies import trial, write

from jaxopt_course.report import code, findings, write_report
from jaxopt_course.report.first import numbers

pytestmark = pytest.mark.browser

SIZE = 6e6  # of a page, at most
SCHEMES, WIDTHS, LANGUAGES = ("light", "dark"), (1280, 390), ("en", "es")
RATES, B1 = (0.001, 0.01, 0.1, 1.0), (0.5, 0.9)


def rows():
    """Adam and lion over two numbers, sgd over one; with the rate 1 sgd diverges."""
    made = []
    for place, name in enumerate(("sgd", "adam", "lion")):
        for rate in RATES:
            for b1 in (np.nan,) if name == "sgd" else B1:
                for seed in range(3):
                    off = abs(np.log10(rate) + 1) / 10 + (0.02 if b1 == 0.5 else 0)
                    status = "diverged" if name == "sgd" and rate == 1.0 else "finished"
                    score = 0.9 + 0.01 * place - off + 0.004 * seed
                    made.append(trial(name, rate, seed, score, status, 1 - score, b1=b1))
    return made


def fresh():
    return [
        row | {"seed": seed, "valid_accuracy": row["valid_accuracy"] + spread}
        for row in rows()
        if row["seed"] == 0 and row["learning_rate"] == 0.1 and row["b1"] != 0.5
        for seed, spread in zip(range(10, 14), (-0.01, 0.0, 0.01, 0.02), strict=True)
    ]


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    made = {}
    for language in LANGUAGES:
        made[language] = write(
            tmp_path_factory.mktemp("page") / language, rows(), fresh(), points=9
        )
        write_report(made[language], png=False, language=language)
    return made


@pytest.fixture
def opened(chromium, studies):
    """Opens a page; in the end it must have said nothing to the console."""
    contexts, said = [], []

    def open_page(language="en", width=1280, scheme="light", folds=False):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(300_000)  # a busy machine may take long to load it
        page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((studies[language] / "report.html").as_uri())
        page.wait_for_selector(".canvas .main-svg")
        if folds:
            page.evaluate(
                "document.querySelectorAll('details').forEach(d => {"
                " d.removeAttribute('name'); d.open = true; })"
            )
            page.wait_for_function(
                "[...document.querySelectorAll('.canvas')].every(c => c.querySelector('.main-svg'))"
            )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def click_and_hear(page, button, word):
    """What it says for a moment is noted in the page: who asks may come too late."""
    element = button.element_handle()
    note = "new MutationObserver(() => (b.said ??= b.textContent)).observe(b, {childList: true})"
    page.evaluate(f"b => {{ {note} }}", element)
    button.click()
    page.wait_for_function("b => b.said", arg=element)
    assert page.evaluate("b => b.said", element) == word


def column(page, table, place):
    return page.locator(f"table.{table} tbody tr:visible td:nth-child({place})").all_inner_texts()


def place_of(page, table, name):
    heads = page.locator(f"table.{table} thead th").all_inner_texts()
    return 1 + next(i for i, head in enumerate(heads) if head.split(" ↕")[0].strip(" ↕↑↓") == name)


def test_the_first_screen_answers(opened, studies):
    found = findings.read(studies["en"])
    page = opened()
    headline = page.locator(".headline")
    assert "lion" in headline.inner_text()
    for part in (".headline", ".card >> nth=0", ".card >> nth=1"):
        box = page.locator(part).bounding_box()
        assert box["y"] < 900, part  # seen without scrolling
    shown = page.locator(".card pre code").first.inner_text()
    assert shown == code.snippets("lion", numbers(found))[0].code


def test_every_figure_is_drawn_once_it_is_opened(opened):
    page = opened(folds=True)
    names = page.evaluate("[...document.querySelectorAll('.canvas')].map(c => c.id)")
    assert {"plot-winner_map", "plot-best_of_n", "plot-targets", "plot-shares", "plot-basin"} <= {
        *names
    }
    widths = "[...document.querySelectorAll('.canvas')].map(c => c.getBoundingClientRect().width)"
    assert min(page.evaluate(widths)) > 200


def test_copy_buttons_give_what_is_in_the_study(opened, studies):
    page = opened(folds=True)
    texts = page.locator(".command code").all_inner_texts()
    page.evaluate("document.body.append(document.createElement('textarea'))")
    for place, text in enumerate(texts):
        button = page.locator("[data-copy]").nth(place)
        click_and_hear(page, button, "Copied")
        area = page.locator("body > textarea")
        area.fill("")
        area.focus()
        page.keyboard.press("Control+V")
        assert area.input_value() == text
    found = findings.read(studies["en"])
    wanted = [s.code for s in code.snippets("lion", numbers(found)) if s.code]
    assert texts[: len(wanted)] == wanted
    assert found.manifest["command"] in texts


def test_tables_sort_by_mouse_and_keyboard(opened, studies):
    ranked = findings.read(studies["en"]).configurations
    page = opened(folds=True)
    place = place_of(page, "all", "validation accuracy")
    head = page.locator(f"table.all thead th:nth-child({place})")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    scores = ranked["valid_accuracy"].dropna().sort_values()
    got = [float(text) for text in column(page, "all", place) if text != "–"]
    assert got == pytest.approx(scores.tolist(), rel=1e-3)
    assert column(page, "all", place)[-1] == "–"  # who has no score stays last
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    got = [float(text) for text in column(page, "all", place) if text != "–"]
    assert got == pytest.approx(scores.tolist()[::-1], rel=1e-3)
    page.locator("table.all thead th:nth-child(2) button").focus()
    page.keyboard.press("Space")
    assert column(page, "all", 2) == sorted(ranked["optimizer"])
    assert head.get_attribute("aria-sort") is None


def test_every_control_is_reached_by_the_tab_key_and_shows_it(opened):
    """In the page's order, with a ring around it, and none holds the focus back."""
    for folds in (False, True):
        page = opened(folds=folds)
        wanted = page.evaluate(
            """() => [...document.querySelectorAll("a[href], button, summary, input, [tabindex]")]
              .filter((e) => e.tabIndex >= 0 && e.checkVisibility())
              .map((e, place) => (e.dataset.walked = String(place)))"""
        )
        walked = []
        for _ in wanted:
            page.keyboard.press("Tab")
            walked.append(
                page.evaluate(
                    """() => [document.activeElement.dataset.walked,
                      getComputedStyle(document.activeElement).outlineStyle]"""
                )
            )
        assert walked == [[place, "solid"] for place in wanted]
        assert len(wanted) > 20


def test_a_fold_opens_by_the_keyboard(opened):
    page = opened()
    fold = page.locator("details:not([open]) > summary").first.element_handle()
    fold.focus()
    for key, opened_now in (("Enter", True), ("Space", False)):
        page.keyboard.press(key)
        assert fold.evaluate("e => e.parentElement.open") is opened_now


def test_the_table_filters_by_words(opened, studies):
    ranked = findings.read(studies["en"]).configurations
    page = opened(folds=True)
    page.locator("[data-filter]").fill("adam 0.01")
    rates = {name: place_of(page, "all", name) for name in ("optimizer", "learning_rate")}
    assert {*column(page, "all", rates["optimizer"])} == {"adam"}
    mine = ranked[(ranked["optimizer"] == "adam") & (ranked["learning_rate"] == 0.01)]
    assert column(page, "all", rates["learning_rate"]).count("0.01") == len(mine)
    shown = len(column(page, "all", 1))
    assert page.locator("[data-count]").inner_text() == f"{shown} of {len(ranked)} rows"
    page.locator("[data-filter]").fill("")
    assert len(column(page, "all", 1)) == len(ranked)


def test_the_legend_shows_and_hides_in_all_figures(opened):
    page = opened(folds=True)
    hidden = (
        "[...document.querySelectorAll('.canvas')].flatMap(c => c.data).filter(t => t.meta === 0)"
        ".every(t => t.visible === false)"
    )
    button = page.locator("[data-optimizer='0']")
    assert not page.evaluate(hidden)
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "false" and page.evaluate(hidden)


def test_what_the_legend_hides_stays_hidden_in_what_is_opened_later(opened):
    page = opened()
    page.locator("[data-optimizer='0']").press("Enter")
    page.evaluate("document.querySelectorAll('details').forEach(d => (d.open = true))")
    page.wait_for_function("[...document.querySelectorAll('.canvas')].every(c => c.data)")
    traces = "[...document.querySelectorAll('.canvas')].flatMap(c => c.data)"
    assert page.evaluate(f"{traces}.filter(t => t.meta === 0).every(t => t.visible === false)")
    assert page.evaluate(f"{traces}.filter(t => t.meta === 1).every(t => t.visible !== false)")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{traces}.filter(t => t.meta === 0).every(t => t.visible === false)")
    assert page.locator("[data-optimizer='0']").get_attribute("aria-pressed") == "false"


def test_a_brush_along_an_axis_keeps_what_passes(opened):
    page = opened(folds=True)
    plot = page.locator("#plot-parallel")
    plot.scroll_into_view_if_needed()
    axis = plot.locator(".y-axis").nth(1).locator(".axis .domain, .axis-brush .background").first
    box = axis.bounding_box()
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 0.55 * box["height"])
    page.mouse.down()
    page.mouse.move(x, box["y"] + 0.75 * box["height"], steps=6)
    page.mouse.move(x, box["y"] + 0.95 * box["height"], steps=6)
    page.mouse.up()
    page.wait_for_function(
        "document.querySelector('#plot-parallel').data[0].dimensions.some(d => d.constraintrange)"
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways(opened, language, width):
    page = opened(language, width, folds=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_speaks_spanish(opened, studies):
    page = opened("es")
    assert page.evaluate("document.documentElement.lang") == "es"
    text = page.locator("body").inner_text()
    assert "¿Qué optimizador gana en digits?" in text and "Ganadores" in text
    assert (
        "exactitud de validación" in text and "validation" not in page.locator("main").inner_text()
    )
    cells = column(page, "winners", place_of(page, "winners", "learning_rate"))
    assert "0,1" in cells and not any("." in cell for cell in cells)
    button = page.locator("[data-copy]").first
    click_and_hear(page, button, "Copiado")


def test_dark_is_dark_and_print_is_light(opened):
    page = opened(scheme="dark")
    lightness = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
    assert max(page.evaluate(lightness)) < 60
    page.emulate_media(media="print")
    assert min(page.evaluate(lightness)) == 255
    assert not page.locator("[data-copy]").first.is_visible()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_serious(opened, scheme, width):
    script = Path(os.environ.get("AXE_CORE", ""))
    if not script.is_file():
        pytest.skip("AXE_CORE names no axe.min.js: npm pack axe-core, as .ci/run browser does")
    page = opened("es", width, scheme, folds=True)
    page.add_script_tag(path=script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = {
        fault["id"]: [node["html"][:200] for node in fault["nodes"][:3]]
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    }
    assert serious == {}


def test_ten_thousand_trials_are_thinned_and_it_is_said(chromium, tmp_path):
    """2,500 configurations: the table and the figures hold the best; the page stays small."""
    random = np.random.default_rng(0)
    rows = [
        trial(f"opt{i % 10}", rate, seed, 0.9 - off - i % 10 / 100 + seed / 1000, b1=b1)
        for i in range(2500)
        for rate, b1, off in [(10 ** random.uniform(-4, 1), *random.uniform(0.5, 0.9, 2))]
        for seed in range(4)
    ]
    seconds = {}
    for many in (2_500, 10_000):
        path = write(tmp_path / f"{many}", rows[:many], points=20)
        file, seconds[many] = processor_seconds(partial(write_report, path, png=False))
    assert seconds[10_000] < 4 * seconds[2_500], seconds  # no more than in proportion
    assert file.stat().st_size < SIZE
    page = chromium.new_page()
    page.set_default_timeout(300_000)
    page.goto(file.as_uri())
    assert "the best 1,000 of them" in page.locator(".everything summary").inner_text()
    assert page.locator("table.all tbody tr").count() == 1000
    assert "Only the best 2,000 configurations are drawn." in page.content()
    page.close()
