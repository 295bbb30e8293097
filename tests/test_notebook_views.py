"""What a notebook shows of a study, a plan, a comparison, an audit, and of a sweep that runs."""

import html.parser
import os
from pathlib import Path

import jax.numpy as jnp
import optax
import pandas as pd
import pytest
import report_studies
from nbclient import NotebookClient

import jaxopt_course as joc
from jaxopt_course.conventions.compare import difference
from jaxopt_course.course import notebooks
from jaxopt_course.messages import html_table
from jaxopt_course.studies.plan import Plans
from jaxopt_course.sweeps.plan import Load, Loser, Plan

EVIL = "<img src=x onerror=alert(1)>\x1b"
PLAN = Plan("chunks", 8, 10, 1.0, 2.0, 1.0, 100, Load((4,), 10, 1), (), (Loser(EVIL, 1, "slow"),))
NOTEBOOK = """# %%
import jaxopt_course as joc
trials = joc.grid(optimizer=["sgd"], learning_rate=[0.01, 0.1], seed=range(2))
study = joc.sweep("line", trials, steps=20, batch_size=5)
# %%
study
"""


class Page(html.parser.HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.styles, self.text, self.open = set(), "", "", []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.open.append(tag)
        self.styles += "".join(value for name, value in attrs if name == "style")
        assert {name for name, _ in attrs} <= {"style"}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def views():
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        names = [EVIL, *(f"adam{i}" for i in range(12))]
        rows = [report_studies.trial(name, 0.1, s) for name in names for s in range(2)]
        study = joc.Study.load(report_studies.write(Path(folder) / "study", rows))
    found = difference("keras", "torch", optimizer="adam", steps=3)
    return {
        "study": (study, [EVIL, "26 finished", "validation accuracy (mean)", "… 3 more"]),
        "plan": (PLAN, [EVIL, "8 lane(s) a device"]),
        "plans": (Plans((EVIL,), (PLAN,)), [EVIL, "8 lane(s) a device"]),
        "explain": (found, ["eps", "weight decay", f"{found.own_defaults:.1e}", *found.rules]),
        "audit": (joc.audit(optax.sgd(0.5), {EVIL: jnp.zeros(3)}), [EVIL, "(total)"]),
    }


@pytest.fixture(scope="module")
def shown():
    return views()


@pytest.mark.parametrize("name", ["study", "plan", "plans", "explain", "audit"])
def test_all_is_said_and_escaped_and_has_no_colour_of_its_own(shown, name):
    thing, words = shown[name]
    page = Page(thing._repr_html_())
    said = " ".join(page.text.split())
    for word in words:
        assert " ".join(word.replace("\x1b", "\\x1b").split()) in said or word in page.text, word
    assert page.tags <= {"table", "thead", "tbody", "tr", "th", "td", "p", "pre"}
    assert "color:" not in page.styles and "background" not in page.styles
    assert len(thing._repr_html_()) < 20_000


def test_rows_that_differ_are_bold(shown):
    found, _ = shown["explain"]
    assert found._repr_html_().count("font-weight:bold") == 3 * sum(
        x != y for x, y in found.arguments.values()
    )


def test_an_empty_table_is_a_sentence():
    from jaxopt_course.inspection.places import Table

    table = Table(columns=["path"])
    table.attrs["empty"] = "nothing is wrong"
    assert Page(table._repr_html_()).text == "nothing is wrong"
    assert "<th" in html_table(["a"], []) and "<thead" not in html_table([], [["x"]])


def test_a_study_in_which_nothing_finished_is_shown(tmp_path):
    rows = [report_studies.trial(seed=s, status="diverged") for s in range(2)]
    lost = joc.Study.load(report_studies.write(tmp_path / "lost", rows))
    assert "2 diverged" in lost._repr_html_() and "–" in lost._repr_html_()
    assert isinstance(lost.winners(), pd.DataFrame)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook that a kernel has run."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "sweep.py").write_text(NOTEBOOK)
    lesson = notebooks.Lesson(folder / "sweep.py", notebooks.read(folder / "sweep.py"))
    client = NotebookClient(
        lesson.notebook,
        kernel_manager_class=notebooks.ThisPython,
        timeout=300,
        startup_timeout=180,
        resources={"metadata": {"path": str(folder)}},
    )
    paths = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    client.execute(env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)})
    return lesson


@pytest.mark.long
def test_progress_is_a_line_that_has_changed_in_place(executed):
    sweep, _ = executed.notebook.cells
    assert {output.output_type for output in sweep.outputs} == {"display_data"}  # no stream
    compiling, output = sweep.outputs  # one of each that counts
    assert "compiling" in compiling.data["text/plain"]
    assert output.data["text/plain"].startswith("line: 4/4 trials")
    assert output.data["text/html"] == f"<pre>{output.data['text/plain']}</pre>"


@pytest.mark.long
def test_a_study_is_a_table_there(executed):
    _, study = executed.notebook.cells
    (output,) = study.outputs
    assert "4 finished" in output.data["text/html"] and "<table" in output.data["text/html"]
    assert output.data["text/plain"] == "Study of 'line': 4 finished"


@pytest.mark.long
def test_the_pages_of_lessons_leave_progress_out(executed):
    notebooks.tidy(executed)
    assert [len(cell.outputs) for cell in executed.notebook.cells] == [0, 1]
