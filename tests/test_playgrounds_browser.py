"""The pages to try, in a browser: their numbers are the library's, and hands and keys move them.

Needs Debian's Chromium; the check of access needs axe-core too, see ``.ci/run browser``.
"""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_course as joc
from jaxopt_course.course.playgrounds import PAGES, write
from jaxopt_course.course.walks import follow
from jaxopt_course.problems.surfaces import SURFACES, bowl

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SURFACE, MAP, BATCH = PAGES
TOLERANCE = 1e-6
LANDSCAPES = SURFACES | {"turned_bowl": bowl(degrees=30)}
OPTIMIZERS = {  # by name: numbers unlike the defaults of both, and the library's own
    "sgd": ({"learning_rate": 0.003}, lambda n: joc.sgd(n["learning_rate"])),
    "momentum": (
        {"learning_rate": 0.002, "momentum": 0.8},
        lambda n: joc.momentum(n["learning_rate"], n["momentum"]),
    ),
    "ema_momentum": (
        {"learning_rate": 0.004, "momentum": 0.7},
        lambda n: joc.ema_momentum(n["learning_rate"], n["momentum"]),
    ),
    "nesterov": (
        {"learning_rate": 0.002, "momentum": 0.85},
        lambda n: joc.nesterov(n["learning_rate"], n["momentum"]),
    ),
    "adagrad": (
        {"learning_rate": 0.2, "eps": 1e-3},
        lambda n: joc.adagrad(n["learning_rate"], 0.0, eps=n["eps"]),
    ),
    "rmsprop": (
        {"learning_rate": 0.03, "rho": 0.95, "eps": 1e-2},
        lambda n: joc.rmsprop(n["learning_rate"], n["rho"], eps=n["eps"]),
    ),
    "adadelta": (
        {"learning_rate": 0.7, "rho": 0.9, "eps": 1e-3},
        lambda n: joc.adadelta(n["learning_rate"], rho=n["rho"], eps=n["eps"]),
    ),
    "adam": (
        {"learning_rate": 0.04, "b1": 0.8, "b2": 0.99, "eps": 1e-2},
        lambda n: joc.adam(n["learning_rate"], n["b1"], n["b2"], n["eps"]),
    ),
    "adamw": (
        {"learning_rate": 0.04, "b1": 0.8, "b2": 0.99, "eps": 1e-2, "weight_decay": 0.3},
        lambda n: joc.adamw(
            n["learning_rate"], n["b1"], n["b2"], n["eps"], weight_decay=n["weight_decay"]
        ),
    ),
    "adamax": (
        {"learning_rate": 0.04, "b1": 0.8, "b2": 0.99, "eps": 1e-2},
        lambda n: joc.adamax(n["learning_rate"], n["b1"], n["b2"], n["eps"]),
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("hands")
    write(made)
    return made


@pytest.fixture
def opened(chromium, folder):
    """Opens a page; in the end it must have said nothing to the console."""
    contexts, said = [], []

    def open_page(name, width=1280, scheme="light", motion="no-preference"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            reduced_motion=motion,
            offline=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(300_000)  # a busy machine may take long to load it
        page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((folder / name).as_uri())
        if name == MAP:
            page.wait_for_selector("body[data-ready='100']")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_every_optimizer_walks_as_the_librarys_on_every_surface(opened):
    page = opened(SURFACE)
    assert set(page.evaluate("Object.keys(OPTIMIZERS)")) == set(OPTIMIZERS)
    assert set(page.evaluate("Object.keys(SURFACES)")) == set(LANDSCAPES)
    steps = 40
    paths = page.evaluate(
        """([numbers, steps]) => Object.fromEntries(Object.keys(SURFACES).map((s) => [s,
             Object.fromEntries(Object.entries(numbers).map(([name, n]) => [name,
               walk(name, n, SURFACES[s].at, SURFACES[s].start, steps).map((one) => one.point)]))]))
        """,
        [{name: numbers for name, (numbers, _) in OPTIMIZERS.items()}, steps],
    )
    starts = np.array([surface.start for surface in LANDSCAPES.values()])
    slopes = [jax.grad(surface.function) for surface in LANDSCAPES.values()]

    def slope(points, t):
        return jnp.stack([f(point) for f, point in zip(slopes, points, strict=True)])

    for name, (numbers, make) in OPTIMIZERS.items():
        ours = follow(make(numbers), slope, starts, steps)  # all surfaces at once
        for k, surface in enumerate(LANDSCAPES):
            theirs = np.array(paths[surface][name])
            assert len(theirs) > 3 and np.isfinite(theirs).all()
            np.testing.assert_allclose(theirs[0], starts[k], atol=1e-12)
            close(ours[: len(theirs), k], theirs)


def test_the_gradient_descends_its_surface(opened):
    page = opened(SURFACE)
    for name, surface in LANDSCAPES.items():
        for point in ([0.3, -0.7], [-1.1, 1.9]):
            height, *slope = page.evaluate("([s, p]) => SURFACES[s].at(...p)", [name, point])
            with jax.enable_x64(True):
                value, gradient = jax.value_and_grad(surface.function)(jnp.array(point))
            close([height, *slope], [value, *gradient])


def test_the_formula_shows_the_numbers_of_the_step(opened):
    page = opened(SURFACE)
    for name, (numbers, _) in OPTIMIZERS.items():
        lines = page.evaluate(
            """([name, numbers]) => {
                 const one = { name, numbers };
                 one.path = walk(name, numbers, SURFACES.bowl.at, [-1.5, 0.6], 3);
                 return [worked(one, 3, 1), one.path[3].point[1]];
               }""",
            [name, numbers],
        )
        said, w = lines
        assert len(said) >= 1 and all(" ← " in line and " = " in shown for line, shown in said)
        last = said[-1][1].rsplit(" = ", 1)[1]
        assert last == page.evaluate("(x) => spanish(x, 4)", w)
        assert not any(symbol in shown for _, shown in said for symbol in ("NaN", "undefined"))


def test_hands_keys_and_sliders_move_it(opened):
    page = opened(SURFACE)
    said = page.locator("#said")
    first = said.inner_text()
    page.locator("#rewind").click()
    assert said.inner_text().startswith("Paso 0.")
    page.locator("#step").click()
    page.locator("#step").click()
    page.locator("#back").click()
    assert said.inner_text().startswith("Paso 1.")
    page.locator("#map").focus()
    before = page.evaluate("[...state.start]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    moved = np.subtract(page.evaluate("[...state.start]"), before)
    np.testing.assert_allclose(moved, [0.04, 0.4], atol=1e-9)
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + 3 * box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.up()
    np.testing.assert_allclose(page.evaluate("state.start"), [1, 1], atol=0.02)
    page.locator("input[id='3_learning_rate']").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("state.racers[3].numbers.learning_rate") > 0.05
    page.locator("select[aria-label='Optimizador 1']").select_option("adamax")
    page.locator("#surface").select_option("saddle")
    assert "Adamax: altura" in said.inner_text() != first
    page.locator("select[aria-label='Optimizador 1']").select_option("")
    assert "Adamax" not in said.inner_text()


@pytest.mark.parametrize("name", [SURFACE, BATCH])
def test_motion_stops_when_asked_and_is_none_where_it_is_not_wanted(opened, name):
    page = opened(name)
    page.locator("#rewind").click()
    page.locator("#play").click()
    page.wait_for_function("state.at > 3 && (state.speed = 1)")  # or the end comes before a click
    page.locator("#play").click()  # pause
    at = page.evaluate("state.at")
    page.wait_for_timeout(200)
    assert page.evaluate("state.at") == at and not page.evaluate("state.playing")
    still = opened(name, motion="reduce")
    still.locator("#rewind").click()
    assert still.locator("#play").inner_text() == "Ir al final"
    still.locator("#play").click()
    assert not still.evaluate("state.playing") and still.evaluate("state.at") > 100


def test_the_map_is_of_the_librarys_trainings(opened):
    page = opened(MAP)
    shown = np.array(page.evaluate("[...state.speed]"), float).reshape(200, 200)
    rates, memories = 4.4 / 200 * np.arange(1, 201), np.arange(200) / 200
    stable = np.isfinite(shown)
    measured = np.where(stable, rates, 0).max(axis=1)
    assert np.all(stable == (rates <= measured[:, None]))  # no holes
    theory = np.minimum(2 * (1 + memories), rates[-1])
    assert np.all(np.abs(measured - theory) <= 4.4 / 200 * (1 + 1e-9))
    curvature = np.array([1.0, 0.01])
    for row, column in ((0, 10), (90, 49), (133, 150), (180, 60), (199, 3)):
        tx = joc.momentum(rates[column], memories[row])
        path = follow(tx, lambda w, t: curvature * w, np.ones(2), 300)
        theirs = page.evaluate(
            "([eta, beta]) => training(eta, beta, 100).path", [rates[column], memories[row]]
        )
        close(path, theirs)
        costs = (curvature * path[:-1] ** 2).sum(axis=1) / 2
        first, second = costs[:150].mean(), costs[150:].mean()
        if second < first:
            wanted = np.log10(max(second, 1e-37) / (curvature.sum() / 2))
            np.testing.assert_allclose(shown[row, column], wanted, rtol=TOLERANCE)


def test_the_map_answers_hands_and_keys(opened):
    page = opened(MAP)
    said = page.locator("#said")
    page.locator("#map").focus()
    for key in ["Shift+ArrowRight"] * 15:
        page.keyboard.press(key)
    assert "diverge" in said.inner_text()
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5)
    assert "converge" in said.inner_text()
    best = page.evaluate("optimum()")
    close(best["eta"], 4 / 1.1**2)
    close(best["beta"], (0.9 / 1.1) ** 2)
    page.locator("#kappa").fill("0")  # the logarithm of κ
    page.wait_for_selector("body[data-ready='1']")
    assert page.evaluate("optimum()") == {"eta": 1, "beta": 0}


def test_batches_walk_as_the_librarys_sgd(opened):
    page = opened(BATCH)
    points = np.array(page.evaluate("DATA"))
    best = page.evaluate("BEST")
    close(best, np.polyfit(*points.T, 1))
    for size, rate in ((1, 0.05), (7, 0.1), (64, 0.2)):
        rows = page.evaluate("(size) => batches(size, 3, 4)", size)
        assert len(rows) == 4 * (64 // size)
        for epoch in np.array(rows).reshape(4, -1):
            assert len(set(epoch)) == len(epoch)  # no example twice in an epoch
        theirs = page.evaluate("([rate, rows]) => descend(rate, rows)", [rate, rows])
        batches = jnp.asarray(np.array(rows))

        def slope(theta, t, batches=batches):
            x, y = jnp.asarray(points)[batches[t - 1]].T
            error = 2 * (theta[0] * x + theta[1] - y)
            return jnp.stack([jnp.mean(error * x), jnp.mean(error)])

        close(follow(joc.sgd(rate), slope, theirs[0], len(rows)), theirs)


def test_the_noise_is_as_theory_says(opened):
    page = opened(BATCH)
    points, place = np.array(page.evaluate("DATA")), np.array([0.4, -1.0])
    error = 2 * (points[:, 0] * place[0] + place[1] - points[:, 1])
    pulls = np.column_stack([error * points[:, 0], error])
    for size in (1, 4, 16, 64):
        noise = page.evaluate("([p, size]) => noiseAt(p, size, 1)", [place.tolist(), size])
        close(noise["theory"], pulls.var(axis=0).sum() / size * (64 - size) / 63)
        np.testing.assert_allclose(noise["measured"], noise["theory"], rtol=0.35, atol=1e-12)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_it_fits_and_is_read_out(opened, name, width, scheme):
    page = opened(name, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right >"
        " innerWidth + 1).map(e => e.tagName)"
    )
    assert wide == []
    script = Path(os.environ.get("AXE_CORE", ""))
    if not script.is_file():
        pytest.skip("AXE_CORE names no axe.min.js: npm pack axe-core, as .ci/run browser does")
    page.add_script_tag(path=script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [v["id"] for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert serious == []
