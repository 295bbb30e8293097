"""The site's sources: what stands where, and what is an error."""

import base64
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.cli import site as command
from jaxopt_course.course import notebooks, playgrounds
from jaxopt_course.site import build, executed, lessons, links, reference, sources

ROOT = Path(__file__).parent.parent
EXPERIMENTS = ROOT / "experiments"
PICTURE = base64.b64encode(b"a picture").decode()
LESSON = """# %% [markdown]
# # 3. Momentum: la suma
#
# Con $\\beta$, [como antes](01_descenso_de_gradiente.py); [guía](guides/tasks.md).

# %%
x = 1
"""


def written(folder):
    return {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    out = tmp_path_factory.mktemp("en")
    sources.lay_out(ROOT, out)
    return out


# --- the reference ---


def test_every_public_name_is_described_and_on_a_page(english):
    reference.check()
    whole = "".join(page.read_text(encoding="utf-8") for page in (english / "api").glob("*.md"))
    named = re.findall(r"^\.\. (?:auto\w+|py:data):: jaxopt_course\.(\w+)$", whole, re.M)
    assert set(joc.__all__) <= set(named)
    assert len(named) == len(set(named))


def bad_module(monkeypatch):
    """A room with a public function and a class that say nothing."""
    module = ModuleType("jaxopt_course.silent")
    exec("def f(x): ...\nclass C:\n    'A.'\n    def m(self): ...\n", module.__dict__)
    monkeypatch.setitem(sys.modules, "jaxopt_course.silent", module)


def test_a_name_without_words_fails_the_build(monkeypatch):
    bad_module(monkeypatch)
    with pytest.raises(reference.Undocumented, match=r"without a docstring: f, C\.m$"):
        reference.check({"f": "silent", "C": "silent", "sgd": "conventions.recipes"})
    with pytest.raises(reference.Undocumented, match=r"silent\.f"):
        reference.expanded("{names} silent.f")


def test_a_name_on_no_page_fails_the_build(monkeypatch, tmp_path):
    names = {"trace": "transforms.momentum", "new": "nowhere"}
    assert reference.left_out(["{rooms} transforms"], names) == ["new"]
    with pytest.raises(reference.Undocumented, match="no public name lives in nowhere"):
        reference.lived_in(["nowhere"], {"trace": "transforms.momentum"})
    monkeypatch.setattr(reference, "homes", lambda: {**joc._MODULE_OF, "new": "devices_too"})
    with pytest.raises(reference.Undocumented, match=r"on no page .*: new; add their room"):
        sources.lay_out(ROOT, tmp_path)
    assert not written(tmp_path)


def test_a_public_table_is_described_above_it():
    assert "by the name that tables know" in reference.data(
        "jaxopt_course.optimizers", "OPTIMIZERS"
    )
    with pytest.raises(reference.Undocumented, match="MAY_NOT"):
        reference.data("jaxopt_course.optimizers", "MAY_NOT")


# --- pages ---


def test_every_page_is_in_the_navigation(english):
    pages = {name.removesuffix(".md") for name in written(english) if name.endswith(".md")}
    below = set()
    for name in pages:
        text = (english / f"{name}.md").read_text(encoding="utf-8")
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", text, re.S):
            entries = [line for line in tree.splitlines() if line and not line.startswith(":")]
            folder = Path(name).parent
            below |= {f"{folder / entry.removesuffix('.md')}" for entry in entries}
    assert below == pages - {"index"}


def test_links_lead_to_pages_the_course_or_the_repository(english):
    text = (english / "guides" / "index.md").read_text(encoding="utf-8")
    assert "[Tasks](tasks.md)" in text and "(kinds/index.md)" in text
    assert '<a href="../curso/index.html">one floor up</a>' in text
    assert "[nnx_optimizer.py](nnx_optimizer.md)" in text
    promises = (english / "guides" / "promises.md").read_text(encoding="utf-8")
    assert "(../tables/traceability.md)" in promises and "`tests/test_lanes.py::" in promises


@pytest.mark.parametrize(
    "text, led",
    [
        ("[b](b.md#two)", "[b](b.md#two)"),
        ("[`x`](../README.md)", '<a href="../curso/index.html">`x`</a>'),
        ("[t](../../tests/test_x.py)", f"[t]({links.REPOSITORY}/blob/main/tests/test_x.py)"),
        ("![p](../pictures/p.png)", "![p](../pictures/p.png)"),
        ("`[b](../README.md)`", "`[b](../README.md)`"),
        ("```\n[b](../README.md)\n```", "```\n[b](../README.md)\n```"),
        ("[w](https://a.b/c.md), [h](#here)", "[w](https://a.b/c.md), [h](#here)"),
    ],
)
def test_a_link_of_a_guide(text, led):
    root = Path("/checkout")
    guides = root / "experiments" / "guides"
    places = {
        guides / "a.md": links.Place("", "guides/a.md"),
        guides / "b.md": links.Place("", "guides/b.md"),
        root / "experiments" / "README.md": links.Place("curso", "index.md"),
        root / "experiments" / "pictures" / "p.png": links.Place("", "pictures/p.png"),
    }
    assert links.led(text, guides / "a.md", root, places) == led


def test_a_benchmark_says_its_question_command_and_table(english):
    text = (english / "benchmarks.md").read_text(encoding="utf-8")
    scripts = (EXPERIMENTS / "benchmarks").glob("*.py")
    asking = [s for s in scripts if re.search(r"^Run ", s.read_text(encoding="utf-8"), re.M)]
    assert text.count("\n### ") == len(asking) > 10
    assert "| date | commit |" in text and sources.BENCHMARKS not in text


def test_what_has_not_changed_is_not_written_again(english):
    before = {name: file.stat().st_mtime_ns for name, file in written(english).items()}
    (english / "guides" / "old.md").write_text("# Old\n", encoding="utf-8")
    sources.lay_out(ROOT, english)
    assert {name: file.stat().st_mtime_ns for name, file in written(english).items()} == before


# --- lessons ---


@pytest.fixture
def lesson(tmp_path):
    """A lesson that has run: it printed nothing and showed two figures."""
    file = EXPERIMENTS / "03_momentum.py"
    script = tmp_path / file.name
    script.write_text(LESSON, encoding="utf-8")
    made = notebooks.Lesson(file, notebooks.read(script))
    about = {"image/png": {"width": 40, "alt": 'dos "rectas"'}}
    output = nbformat.v4.new_output("display_data", {"image/png": PICTURE}, metadata=about)
    made.notebook.cells[1].outputs = [output, output]
    made.notebook.cells[1].source = "x = 1\n" * 30
    return made


def test_a_lesson_is_a_page_with_its_figures_beside_it(lesson, tmp_path):
    out, files = tmp_path / "es", tmp_path / "files"
    lessons.lay_out(ROOT, [lesson], sources.places_of(ROOT), out, files)
    page = nbformat.read(out / "03_momentum.ipynb", as_version=4)
    first, code = page.cells
    assert first.source.startswith('# 3. Momentum: la suma\n\n<p class="run">')
    assert links.colab("03_momentum") in first.source and "min de lectura" in first.source
    assert "[como antes](01_descenso_de_gradiente.ipynb)" in first.source
    assert '<a href="../guides/tasks.html">guía</a>' in first.source
    assert code.metadata["tags"] == ["hide-input"]
    assert code.outputs[0].data["text/html"] == (
        '<figure id="figura-3-1">'
        '<img class="figure" src="figuras/03_momentum_1.png" alt="dos &quot;rectas&quot;" '
        'width="40" loading="lazy">'
        "<figcaption><strong>Figura 3.1.</strong> dos &quot;rectas&quot;.</figcaption></figure>"
    )
    assert {*written(files)} == {
        "figuras/03_momentum_1.png",
        "figuras/03_momentum_2.png",
        "03_momentum.ipynb",
        "03_momentum.py",
        *playgrounds.PAGES,
    }
    home = (out / "index.md").read_text(encoding="utf-8")
    assert home.count('<article class="card">') == 1 and "| [3. Momentum]" not in home
    assert '<img src="figuras/03_momentum_1.png"' in home and "3. Momentum <03_momentum>" in home
    assert "| acumulador, *accumulator* | " in home


def test_the_notebook_to_take_away_installs_what_it_needs(monkeypatch):
    notebook = notebooks.runnable(EXPERIMENTS / "03_momentum.py")
    cell = notebook.cells[1]
    assert cell.cell_type == "code" and notebook.cells[0].cell_type == "markdown"
    asked = re.search(r"%pip install -q \"(.*)\"", cell.source)[1]
    assert re.fullmatch(r"jaxopt-course\[course\]==\d+\.\d+\.\d+", asked)
    for there in (True, False):
        said = []
        monkeypatch.setattr("importlib.util.find_spec", lambda name, there=there: there or None)
        exec(re.sub(r"%pip (.*)", r"pip('\1')", cell.source), {"pip": said.append})
        assert bool(said) is not there


def test_a_lesson_runs_again_only_where_something_has_changed(tmp_path, monkeypatch):
    ran = []

    def run(file, *, quick=False):
        ran.append(file)
        return notebooks.Lesson(file, notebooks.read(file), seconds=1.0)

    monkeypatch.setattr(executed, "run", run)
    monkeypatch.setattr(executed, "library", lambda: "one")
    file, kept = tmp_path / "01_a.py", tmp_path / "kept"
    file.write_text(LESSON, encoding="utf-8")
    for quick, runs in [(False, 1), (False, 1), (True, 2), (True, 2)]:
        made, _ = executed.executed(file, kept, quick=quick)
        assert len(ran) == runs and made.seconds == 1.0
    file.write_text(LESSON.replace("x = 1", "x = 2"), encoding="utf-8")
    assert executed.executed(file, kept, quick=True)[1]
    monkeypatch.setattr(executed, "library", lambda: "another")
    assert executed.executed(file, kept, quick=True)[1]
    assert not executed.executed(file, kept, quick=True)[1]


def test_a_lesson_that_failed_is_not_kept(tmp_path, monkeypatch):
    failing = lambda file, *, quick: notebooks.Lesson(file, notebooks.read(file), failure="no")
    monkeypatch.setattr(executed, "run", failing)
    monkeypatch.setattr(executed, "library", lambda: "one")
    file = tmp_path / "01_a.py"
    file.write_text(LESSON, encoding="utf-8")
    assert executed.executed(file, tmp_path / "kept")[0].failure == "no"
    assert not (tmp_path / "kept").exists()


def test_the_library_s_code_counts_and_its_words_do_not(tmp_path):
    def hashed(text, name="a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return executed.library.__wrapped__(tmp_path)

    first = hashed('def f():\n    """One."""\n    return 1\n')
    assert hashed('def f():\n    """Two."""  # three\n    return 1\n') == first
    assert hashed("x = 1", "cli/b.py") == first  # no figure comes from there
    assert hashed('def f():\n    """One."""\n    return 2\n') != first


# --- the command ---


def test_the_command_says_what_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "NEEDED", ("json", "no_such_sphinx"))
    with pytest.raises(SystemExit) as stop:
        cli.main(["site"])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "needs no_such_sphinx" in error and "'.[site]'" in error
    assert not any(tmp_path.iterdir())


def test_where_no_checkout_is_it_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="built in a checkout"):
        build.build(tmp_path / "out", root=tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_foreign_directory_is_not_touched_unasked(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        build.claimed(tmp_path, overwrite=False)
    build.claimed(tmp_path, overwrite=True)
    build.claimed(tmp_path, overwrite=False)  # it is ours now
    assert json.loads((tmp_path / build.MARK).read_text()) == {"site": "jaxopt-course"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["site.json", "sources/en/mine.md", "html/index.html"])
def test_a_folder_that_the_site_would_sweep_is_somebody_s(tmp_path, name, overwrite):
    """Many tools have a `site.json`; and of `sources` all that is no page of ours is removed."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text('{"site": "mine"}')
    with pytest.raises(FileExistsError, match=r"holds other files|is no site's"):
        build.claimed(tmp_path, overwrite)
    assert [f.read_text() for f in tmp_path.rglob("*") if f.is_file()] == ['{"site": "mine"}']


def test_a_site_is_written_through_no_link(tmp_path):
    out, mine = tmp_path / "out", tmp_path / "mine"
    mine.mkdir()
    build.claimed(out, overwrite=False)
    (out / "html").symlink_to(mine)
    with pytest.raises(FileExistsError, match=r"html is a link"):
        build.claimed(out, overwrite=False)


def test_what_sphinx_says_is_said_and_the_code_is_1(monkeypatch, capsys):
    def failing(*args, **kwargs):
        raise build.SphinxFailed("index.md:1: WARNING: odd\nguides.md:2: WARNING: odder")

    monkeypatch.setattr(build, "build", failing)
    monkeypatch.setattr(command, "NEEDED", ())
    with pytest.raises(SystemExit) as stop:
        cli.main(["site"])
    assert stop.value.code == 1
    assert capsys.readouterr().err.splitlines()[1] == "guides.md:2: WARNING: odder"
