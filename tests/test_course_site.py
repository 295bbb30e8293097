"""Lessons become pages: run, rendered, linked; what fails is named and leaves the rest."""

import builtins
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jupytext
import pytest

from jaxopt_course import cli
from jaxopt_course.course import formulas, notebooks, site, site_files
from jaxopt_course.course import lessons as places
from jaxopt_course.course.playgrounds import PAGES as PLAYGROUNDS

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
pytestmark = pytest.mark.filterwarnings("default")  # of the notebook's own tools

WHOLE = """# %% [markdown]
# # 1. Una lección
# La tasa es $\\eta$, y el paso
# $$w \\leftarrow w - \\eta\\,\\big(\\nabla J\\big)^\\top$$
# | a | b |
# | --- | --- |
# | 1 | $\\frac12$ |
#
# ## Primera
# ## Segunda
# ## Tercera

# %%
import sys
import warnings

import matplotlib.pyplot as plt

from jaxopt_course.course import quick, show

print("ñ < 3", quick())
print("progreso", file=sys.stderr)
warnings.warn("cuidado")

# %%
fig, ax = plt.subplots(figsize=(2, 1))
ax.set_title("Una recta")
show(fig, "recta")
"""
BROKEN = """# %% [markdown]
# # 2. Rota
# %%
x = 0
# %%
print("antes")
1 / x
# %%
print("después")
"""
DYING = """# %% [markdown]
# # 3. Muere
# %%
import os

os._exit(3)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons")
    (folder / "01_entera.py").write_text(WHOLE, encoding="utf-8")
    (folder / "02_rota.py").write_text(BROKEN, encoding="utf-8")
    (folder / "03_muere.py").write_text(DYING, encoding="utf-8")
    (folder / "README.md").write_text(
        "# Curso\n\n[uno](01_entera.py), [dos](02_rota.py), [cuatro](04_no_hay.py),\n"
        "[guías](guides/README.md)\n"
    )
    said = []
    out = tmp_path_factory.mktemp("out") / "site"
    ran = site.build(out, folder=folder, quick=True, say=said.append)
    return folder, out, ran, said


def test_a_lesson_is_run_and_rendered(built):
    page = (built[1] / "01_entera.html").read_text(encoding="utf-8")
    assert '<html lang="es">' in page and "<title>1. Una lección</title>" in page
    assert "ñ &lt; 3 True" in page  # in the quick mode
    assert page.count('<img alt="Una recta"') == 1 and "data:image/png;base64," in page
    assert "<strong>Figura 1.1.</strong> Una recta.</figcaption>" in page
    assert '<source media="(max-width: 40rem)" srcset="data:image/png;base64,' in page
    assert page.count("<em>Una recta</em>") == 0  # what a notebook has in its place
    assert page.count("<math") == 3 and "$" not in re.sub(r"data:[^\"]*", "", page)
    assert '<div class="wide"><table>' in page
    assert (
        '<a href="#segunda">Segunda</a>' in page and '<a href="02_rota.html">2. Rota →</a>' in page
    )


def test_a_page_needs_no_network(built):
    for page in built[1].glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert ("<script" in text) == (page.name in PLAYGROUNDS)
        assert not re.search(r'(src|href)="(https?:)?//', text)


def test_a_figure_is_twice_as_sharp_as_it_is_wide(built):
    page = (built[1] / "01_entera.html").read_text(encoding="utf-8")
    width = int(re.search(r'<img[^>]*\swidth="(\d+)"', page)[1])
    assert 150 < width < 250  # of 2 inches at 100 pixels; the file has 200 an inch


def test_progress_is_a_line_a_lesson_and_shows_warnings(built):
    first, second, third = built[3]
    assert re.fullmatch(
        r"\[1/3\] 01_entera: [\d.]+ s, figures: 1, warnings: 1, first .*UserWarning: cuidado", first
    )
    assert second == (
        "[2/3] 02_rota: failed in cell 3 (line 6): ZeroDivisionError: division by zero"
    )
    assert third.startswith("[3/3] 03_muere: failed in cell 2 (line 4): its process died")
    page = (built[1] / "01_entera.html").read_text(encoding="utf-8")
    assert page.count("progreso") == page.count("cuidado") == 1  # in the code, not under it


def test_what_is_printed_between_two_tables_stays_there(tmp_path):
    file = tmp_path / "01_a.py"
    show = "show_table(pd.DataFrame({'a': [0.5]}))"
    code = f"print('uno')\nprint('dos')\n{show}\nprint('tres')\n{show}\n"
    head = "import pandas as pd\nfrom jaxopt_course.course import show_table\n"
    file.write_text(f"# %% [markdown]\n# # 1\n\n# %%\n{head}{code}", encoding="utf-8")
    (_, cell) = notebooks.run(file).notebook.cells
    kinds = [output.get("text") or output.data["text/html"][:27] for output in cell.outputs]
    table = '<div class="wide numbers"><t'[:27]
    assert kinds == ["uno\ndos\n", table, "tres\n", table]


def test_a_failure_is_on_its_page_and_on_the_first(built):
    where = "celda 3, línea 6 del guion: ZeroDivisionError: division by zero"
    page = (built[1] / "02_rota.html").read_text(encoding="utf-8")
    home = (built[1] / "index.html").read_text(encoding="utf-8")
    assert where in page and "antes" in page and "después</pre>" not in page
    assert f"02_rota: {where}" in home


def test_the_first_page_links_to_pages_that_exist(built):
    home = (built[1] / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'href="(\w+\.html)"', home) == ["01_entera.html", "02_rota.html"]
    assert "cuatro" in home and "04_no_hay" not in home
    assert "guías" in home and ".md" not in home


def test_the_first_page_has_a_card_a_lesson_with_its_picture_and_minutes(built, tmp_path):
    table = "| Lección | De qué trata |\n| --- | --- |\n"
    rows = [
        f"| [{name}]({name}.py) | Sobre $\\eta$ |\n"
        for name in ("01_entera", "02_rota", "04_no_hay")
    ]
    (tmp_path / "README.md").write_text(f"# Curso\n\n{table}{''.join(rows)}\nFin\n", "utf-8")
    record = json.loads((built[1] / "build.json").read_text())["lessons"]
    home = site.home_page(tmp_path, [], built[1], record)
    whole, broken, missing = re.findall(r'<article class="card">(.*?)</article>', home, re.S)
    assert '<img src="01_entera.png" alt=""' in whole and '<p class="minutes">1 min</p>' in whole
    assert (built[1] / "01_entera.png").read_bytes().startswith(b"\x89PNG")
    assert '<a href="02_rota.html">02_rota</a>' in broken and "<img" not in broken
    assert "04_no_hay" in missing and "href" not in missing and "minutes" not in missing
    assert "<math" in missing and "Lección" not in home and "<table>" not in home


def test_script_and_notebook_can_be_taken(built):
    out = built[1]
    assert (out / "01_entera.py").read_text(encoding="utf-8") == WHOLE
    notebook = jupytext.read(out / "01_entera.ipynb")
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code", "code"]
    assert "%pip install" in notebook.cells[1].source
    assert notebook.cells[2].outputs == []


def fake_run(monkeypatch):
    """Runs nothing."""

    def run(file, *, quick=False):
        return notebooks.Lesson(file, notebooks.read(file), seconds=1.0)

    monkeypatch.setattr(site, "run", run)


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    fake_run(monkeypatch)
    folder = tmp_path / "lessons"
    folder.mkdir()
    for name in ("01_a", "02_b", "08_1_c", "08_2_d"):
        (folder / f"{name}.py").write_text(f"# %% [markdown]\n# # {name}\n", encoding="utf-8")
    return folder


def pages(out):
    """The pages of lessons and the first one; those to try stand beside them."""
    every = {page.name for page in out.glob("*.html")}
    assert set(PLAYGROUNDS) <= every
    return sorted(Path(name).stem for name in every - set(PLAYGROUNDS))


def test_lessons_by_number_and_pages_that_stay(lessons, tmp_path):
    out = tmp_path / "site"
    site.build(out, [8], folder=lessons, say=lambda line: None)
    assert pages(out) == ["08_1_c", "08_2_d", "index"]
    assert "02_b.html" not in (out / "08_1_c.html").read_text(encoding="utf-8")
    assert "Hay 2 de 4 lecciones" in (out / "index.html").read_text(encoding="utf-8")
    site.build(out, [1], folder=lessons, say=lambda line: None)
    assert pages(out) == ["01_a", "08_1_c", "08_2_d", "index"]
    (lessons / "08_2_d.py").unlink()
    site.build(out, [2], folder=lessons, say=lambda line: None)
    assert pages(out) == ["01_a", "02_b", "08_1_c", "index"]
    assert not (out / "08_2_d.ipynb").exists()


def test_a_foreign_directory_is_not_touched_unasked(lessons, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "index.html").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        site.build(out, folder=lessons)
    assert [path.name for path in out.iterdir()] == ["index.html"]
    (out / "other.txt").write_text("kept")
    site.build(out, folder=lessons, overwrite=True, say=lambda line: None)
    assert (out / "other.txt").read_text() == "kept" and "01_a" in pages(out)
    with pytest.raises(NotADirectoryError, match=r"other\.txt is a file"):
        site.build(out / "other.txt", folder=lessons)


def test_a_notebook_that_somebody_worked_in_is_kept(lessons, tmp_path):
    out, said = tmp_path / "site", []
    site.build(out, ["8"], folder=lessons, say=said.append)
    (out / "08_1_c.ipynb").write_text("worked in")
    fresh = (out / "08_2_d.ipynb").read_text()
    for _ in range(2):
        site.build(out, ["8"], folder=lessons, say=said.append)
        assert (out / "08_1_c.ipynb").read_text() == "worked in"
        assert "08_1_c.ipynb has changes of yours: kept" in said[-2] and "kept" not in said[-1]
    assert json.loads(fresh)["cells"][0]["source"]
    (out / "08_1_c.ipynb").unlink()
    site.build(out, ["8.1"], folder=lessons, say=said.append)
    assert json.loads((out / "08_1_c.ipynb").read_text())["cells"]
    (out / "08_2_d.ipynb").write_text("worked in")
    for gone in ("08_1_c", "08_2_d"):  # lessons that are no more
        (lessons / f"{gone}.py").unlink()
    site.build(out, ["1"], folder=lessons, say=said.append)
    assert not (out / "08_1_c.ipynb").exists()
    assert (out / "08_2_d.ipynb").read_text() == "worked in" and "08_2_d" not in pages(out)


def test_scripts_of_ones_own_are_not_run_as_lessons(tmp_path, monkeypatch):
    """A folder `experiments` with numbered scripts is not rare."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "01_train.py").write_text("import os\n")
    assert site.find(None).resolve() == EXPERIMENTS.resolve()
    (tmp_path / "experiments" / "01_train.py").write_text("# %% [markdown]\n# # 1\n")
    assert site.find(None) == Path("experiments")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As from a wheel: no checkout, but the lessons beside the package."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "site-packages" / "jaxopt_course"
    monkeypatch.setattr(places, "CHECKOUT", package.parent)
    monkeypatch.setattr(places, "SHIPPED", package / "course" / "shipped")
    shipped = {"experiments/01_a.py": "# %% [markdown]\n# # 1\n", "tests/golden/a.json": "{}"}
    for name, text in shipped.items():
        file = places.SHIPPED / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return package


def test_without_a_checkout_the_lessons_of_the_wheel_are_found(installed, tmp_path, monkeypatch):
    fake_run(monkeypatch)
    site.build(tmp_path / "site", ["1"], say=lambda line: None)
    assert pages(tmp_path / "site") == ["01_a", "index"]
    assert site.find(None) == installed / "course" / "shipped" / "experiments"
    assert places.measured("a.json").read_text() == "{}"
    other = installed.parent / "experiments"  # of another package: scripts, but no lessons
    other.mkdir()
    (other / "01_train.py").write_text("import os\n")
    assert site.find(None) == installed / "course" / "shipped" / "experiments"
    (other / "01_train.py").write_text("# %% [markdown]\n# # 1\n")  # a checkout goes first
    assert site.find(None) == other


def test_where_no_lessons_are_it_says_where_they_should_be(installed):
    for file in places.SHIPPED.rglob("*.*"):
        file.unlink()
    with pytest.raises(FileNotFoundError, match=r"shipped.experiments: every checkout and every"):
        site.find(None)
    with pytest.raises(FileNotFoundError, match=r"no a\.json in .*shipped"):
        places.measured("a.json")


def test_the_wheel_is_built_with_what_is_looked_for_in_it():
    settings = tomllib.loads((EXPERIMENTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    inside = places.SHIPPED.relative_to(places.CHECKOUT)
    assert {Path(to) for to in wheel["sources"].values()} == {
        inside / places.SCRIPTS,
        inside / places.MEASURED,
    }
    shipped = {
        file.relative_to(EXPERIMENTS.parent)
        for pattern in wheel["include"]
        for file in EXPERIMENTS.parent.glob(pattern.lstrip("/"))
    }
    scripts = {file.relative_to(EXPERIMENTS.parent) for file in COURSE}
    wanted = re.compile(r'measured\("([^"]+)"\)')
    read = {
        Path(places.MEASURED) / name
        for file in COURSE
        for name in wanted.findall(file.read_text(encoding="utf-8"))
    }
    assert scripts and read and scripts | read <= shipped
    assert set(wheel["sources"]) == {places.SCRIPTS, places.MEASURED}


def test_a_build_record_of_another_tool_is_no_permission(lessons, tmp_path):
    out = tmp_path / "project"
    out.mkdir()
    (out / "build.json").write_text('{"version": 1}')
    (out / "index.html").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        site.build(out, folder=lessons)
    assert (out / "index.html").read_text() == "mine"


@pytest.mark.parametrize(
    "asked, built",
    [
        (["8.2"], ["08_2_d"]),
        (["08_1", 1], ["01_a", "08_1_c"]),
        (["08_2_d"], ["08_2_d"]),
        (["8"], ["08_1_c", "08_2_d"]),
    ],
)
def test_lessons_as_they_are_called(lessons, asked, built):
    assert [file.stem for file in site.choose(sorted(lessons.glob("*.py")), asked)] == built


@pytest.mark.parametrize("asked", ["8.x", "8.3", "99", "-1", "ocho", "", "8.2.1"])
def test_a_lesson_that_is_not_there(lessons, asked):
    with pytest.raises(ValueError, match=r"there is no lesson .*\(there are 1, 2, 8\.1, 8\.2\)"):
        site.choose(sorted(lessons.glob("*.py")), [asked])


def test_a_formula_that_is_not_known_fails_its_lesson(lessons, tmp_path):
    (lessons / "01_a.py").write_text("# %% [markdown]\n# # 1\n# $\\foo$\n", encoding="utf-8")
    said = []
    ran = site.build(tmp_path / "site", folder=lessons, say=said.append)
    assert [lesson.failure is None for lesson in ran] == [False, True, True, True]
    assert said[0] == r"[1/4] 01_a: failed: formula '\\foo': \foo is unknown"
    assert pages(tmp_path / "site") == ["02_b", "08_1_c", "08_2_d", "index"]
    home = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "01_a.html" not in home and "01_a: formula" in home


@pytest.mark.parametrize(
    "latex, words",
    [(r"\foo", r"\foo is unknown"), (r"\frac{1", "mfrac has 1 of 2"), ("a & b", "outside a table")],
)
def test_wrong_formulas_are_errors(latex, words):
    with pytest.raises(formulas.UnknownFormula, match=re.escape(words)):
        formulas.mathml(latex)


@pytest.mark.parametrize(
    "latex, made",
    [
        (r"\lVert x\rVert", '<mo fence="false" stretchy="false">‖</mo><mi>x</mi>'),
        (r"\mathbb E x", "<mi>𝔼</mi><mi>x</mi>"),
        (r"\ln a", '<mi>ln</mi><mspace width="0.17em"/><mi>a</mi>'),
        (r"\ln(a)", '<mi>ln</mi><mo stretchy="false">(</mo>'),
        (r"\max_i a", "<msub><mo>max</mo><mi>i</mi></msub>"),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", "<mtable"),
        ("a < b", "<mo>&lt;</mo>"),
        (r"|g|", '<mo stretchy="false" lspace="0" rspace="0">|</mo><mi>g</mi>'),
        (r"2/\infty", '<mn>2</mn><mo lspace="0" rspace="0">/</mo><mi>∞</mi>'),
    ],
)
def test_what_is_mended_in_formulas(latex, made):
    assert made in formulas.mathml(latex)


def texts(file):
    if file.suffix == ".md":
        return [file.read_text(encoding="utf-8")]
    return [cell.source for cell in notebooks.read(file).cells if cell.cell_type == "markdown"]


COURSE = sorted(EXPERIMENTS.glob(site.LESSONS))


@pytest.mark.parametrize("file", [EXPERIMENTS / site.README, *COURSE], ids=lambda file: file.stem)
def test_every_formula_of_the_course_can_be_shown(file):
    for text in texts(file):
        for latex, block in formulas.formulas(text):
            assert formulas.mathml(latex, block)
        assert "$$" not in formulas.html(text)


def test_the_readme_leads_to_every_lesson_and_only_to_them():
    text = (EXPERIMENTS / site.README).read_text(encoding="utf-8")
    assert re.findall(r"\]\((\d\d_\w+\.py)\)", text) == [file.name for file in COURSE]


def test_the_example_of_the_readme_says_what_is_printed_there(capsys):
    text = (EXPERIMENTS / site.README).read_text(encoding="utf-8")
    code, printed = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", text, re.S).groups()
    exec(code, {})
    assert capsys.readouterr().out.endswith(printed)


# --- the command ---


def test_bad_input_is_one_sentence(lessons, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder, args, words in [
        (lessons, ["--lesson", "7"], "there is no lesson 7 (there are 1, 2, 8.1, 8.2)"),
        (
            tmp_path / "nowhere",
            [],
            f"no lessons (as 01_name.py) in {tmp_path / 'nowhere'}: every checkout",
        ),
    ]:
        monkeypatch.setattr(site, "find", lambda _, folder=folder, find=site.find: find(folder))
        with pytest.raises(SystemExit) as stop:
            cli.main(["course", *args])
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        error = capsys.readouterr().err
        assert stop.value.code == 2 and words in error and error.count("\n") == 1
    assert not (tmp_path / "site").exists()


def test_without_the_extra_the_command_says_what_to_install(monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("jaxopt_course.course.site"):
            raise ModuleNotFoundError("No module named 'jupytext'", name="jupytext")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SystemExit) as stop:
        cli.main(["course"])
    assert stop.value.code == 2
    assert "needs jupytext" in (error := capsys.readouterr().err)
    assert "pip install 'jaxopt-course[course]'" in error


@pytest.mark.long
def test_the_command_builds_and_fails_where_a_lesson_does(tmp_path):
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "02_rota.py").write_text(BROKEN, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "from jaxopt_course.cli import main; main()", "course", "--quick"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 1, done.stderr
    assert "[1/1] 02_rota: failed in cell 3 (line 6)" in done.stdout
    assert "site/index.html" in done.stdout and done.stderr == ""
    record = json.loads((tmp_path / "site" / "build.json").read_text())["lessons"]["02_rota"]
    assert record["quick"] and record["cell"] == 3 and record["line"] == 6


ANSWERING = ("14", "15")  # the exercise that closes the course, and the solutions
MEASURING = [file for file in COURSE if not file.stem.startswith(ANSWERING)]


@pytest.mark.parametrize("file", MEASURING, ids=lambda file: file.stem)
def test_a_lesson_says_what_it_teaches_needs_asks_and_rests_on(file):
    whole = "\n\n".join(texts(file))
    first, _, rest = whole.partition("\n\n## ")
    assert "**Al terminar sabrás** " in first and "**Hace falta** " in first
    practice, _, reading = rest.partition("## Para practicar")[2].partition("## Para leer más")
    asked = re.findall(r"^\d+\. ", practice, re.M)
    assert 3 <= len(asked) <= 5
    entries = re.findall(r"^- ((?:.|\n(?!- |\n))+)", reading, re.M)
    assert entries and all(re.search(r"\((1[89]|20)\d\d\)", entry) for entry in entries)


def test_pages_are_written_through_no_link(tmp_path):
    """A stranger's folder may hold a record of ours, and a link to a file of the user's."""
    (tmp_path / "mine").write_text("mine")
    out = tmp_path / "site"
    out.mkdir()
    (out / site_files.RECORD).write_text('{"lessons": {}}')
    (out / "index.html").symlink_to(tmp_path / "mine")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match=r"index\.html is a link"):
            site_files.claim(out, overwrite)
    assert (tmp_path / "mine").read_text() == "mine"
