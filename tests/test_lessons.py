"""Every lesson runs, in its quick mode, as a plain script; its assertions are the tests."""

import runpy
import sys
from pathlib import Path

import jax
import pytest
from long_form import only
from matplotlib.figure import Figure

from jaxopt_course.course import lesson

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
LESSONS = sorted(EXPERIMENTS.glob("[0-9][0-9]_*.py"))
# one that is written out, one that sweeps, one that is an exercise
QUICKEST = {"12_3_la_frontera", "14_tu_turno"}
SHORT = [file for file in LESSONS if file.stem in QUICKEST]

savefig = Figure.savefig


def save_small(figure, path, **how):
    """A figure with a tight box is drawn twice, in the size for readers: here once, small.

    Nor is room for its labels looked for, which draws it three times more.
    """
    figure.set_layout_engine("none")
    savefig(figure, path, **({"dpi": 30} if how.get("bbox_inches") == "tight" else how))


@pytest.mark.parametrize("file", only(SHORT, LESSONS), ids=lambda file: file.stem)
@pytest.mark.filterwarnings("default")
def test_lesson(file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(lesson.QUICK, "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(file)])
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])  # each compiles anew
    monkeypatch.setattr(Figure, "savefig", save_small)
    runpy.run_path(str(file), run_name="__main__")
    figures = list((tmp_path / "runs" / "course" / file.stem).glob("*.png"))
    assert figures and f"{file.stem}/" in capsys.readouterr().out
