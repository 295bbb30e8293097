"""``sweep FILE.py`` and ``init``: a task of one's own without a program around it."""

import shutil

import jax
import numpy as np
import pytest

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.cli import own_file
from jaxopt_course.cli.columns import table
from jaxopt_course.tables.space import grid

MINE = """
import numpy as np
import optax
import jaxopt_course as joc
from beside import WIDTH

x = np.random.default_rng(0).normal(size=(60, 3))

def task(hidden=WIDTH):
    return joc.Task.from_flax(
        lambda rngs: joc.MLP(3, hidden, 1, rngs=rngs), x, x[:, :1], loss="squared_error", name="own"
    )

line = task(2)
optimizer = {"clipped": lambda h: optax.chain(optax.clip(h["clip"]), optax.sgd(h["learning_rate"]))}
"""
SWEEP = ["--set", "learning_rate=log:1e-3:0.1:3", "--set", "clip=0.5,1", "--seeds", "2",
         "--epochs", "2", "--confirm", "2", "--batch-size", "12"]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def here():
    """JAX has started, with several devices: one of them, one compilation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
        first = jax.devices()[:1]
        patch.setattr(jax, "local_devices", lambda: first)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(MINE)
    (folder / "beside.py").write_text("WIDTH = 4\n")
    cli.main(["sweep", str(folder / "mine.py"), *SWEEP, "--out", str(folder / "study")])
    return folder


def said(capsys, *args, code=2):
    with pytest.raises(SystemExit) as stop:
        cli.main([str(arg) for arg in args])
    assert stop.value.code == code
    return " ".join(capsys.readouterr().err.split())


def test_a_file_is_swept_confirmed_and_reported(folder):
    study = joc.Study.load(folder / "study")
    assert len(study.trials) == 3 * 2 * 2 and set(study.trials["optimizer"]) == {"clipped"}
    np.testing.assert_allclose(study.trials["learning_rate"].unique(), [1e-3, 1e-2, 1e-1])
    assert joc.Study.load(folder / "study" / "confirm").manifest["seeds"] == [2, 3]
    assert (folder / "study" / "report.html").is_file()


@pytest.mark.long
def test_replay_and_resume_take_the_file_again(folder, tmp_path, capsys):
    cli.main(["replay", str(folder / "study"), "3", "--file", str(folder / "mine.py")])
    assert capsys.readouterr().out.count("the same bits") == 3
    words = said(capsys, "replay", folder / "study", 3)
    assert "--file FILE.py" in words and "task=…" not in words
    copy = tmp_path / "copy"
    shutil.copytree(folder / "study", copy, ignore=shutil.ignore_patterns("confirm"))
    cli.main(["resume", str(copy), "--confirm", "2", "--file", str(folder / "mine.py")])
    assert joc.Study.load(copy / "confirm").manifest["seeds"] == [2, 3]


@pytest.mark.long
def test_arguments_of_the_tasks_function_are_static(folder, tmp_path):
    out = tmp_path / "static"
    cli.main(
        ["sweep", str(folder / "mine.py"), "--set", "hidden=2,3", "--set", "clip=1.0",
         "--set", "learning_rate=0.1", "--seeds", "1", "--steps", "3", "--confirm", "0",
         "--out", str(out)]
    )  # fmt: skip
    study = joc.Study.load(out)
    assert study.manifest["static"] == ["hidden"] and study.trials["hidden"].tolist() == [2, 3]


@pytest.mark.parametrize(
    "args, words",
    [
        (["none.py"], "no file none.py; `jaxopt-course init none.py`"),
        (["mine.py:other", *SWEEP], "nothing called 'other'; it has task, line: add :NAME"),
        (["mine.py"], "--set learning_rate=log:1e-4:1:16, or a table `trials`"),
        (["mine.py", *SWEEP, "--steps", "3"], "either --epochs or --steps"),
        (["mine.py", *SWEEP, "--set", "clip=1"], "clip=... is given twice"),
        (["mine.py", *SWEEP, "--set", "norm=1"], "does not read the column 'norm'"),
        (["mine.py", *SWEEP, "--set", "momentum=big"], "--static momentum"),
        (["mine.py", *SWEEP, "--samples", "4"], "--samples draws from ranges"),
        (["mine.py", "--set", "learning_rate=log:1e-4:1"], "--samples N"),
        (["mine.py", *SWEEP, "--optimizers", "adamm"], "unknown optimizer 'adamm'"),
        (["broken.py", *SWEEP], "broken.py, line 2: ZeroDivisionError: division by zero"),
        (["halved.py", *SWEEP], "halved.py, line 1: "),
        (["empty.py", *SWEEP], "nothing called 'task'; it makes no jaxopt_course.Task"),
        (["ends.py", *SWEEP], "ends.py ends the program (sys.exit(3)) before there is a task"),
        (["number.py", *SWEEP], "must be a jaxopt_course.Task"),
        (["needs.py", *SWEEP], "a function of depth: give --set depth=VALUES"),
        (["mine.py:line", *SWEEP, "--set", "batch_size=8,9"], "leave --batch-size out"),
        (["mine.py:line", *SWEEP[:-1], "0"], "--batch-size must be at least 1, not 0"),
        (["tabled.py", "--seeds", "5"], "has a column seed: leave --seeds out"),
    ],
)
def test_what_makes_no_sense_is_said_in_the_commands_words(
    args, words, folder, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    (folder / "broken.py").write_text("x = 1\ny = x / 0\n")
    (folder / "halved.py").write_text("x = (1\n")
    (folder / "empty.py").write_text("x = 1\n")
    (folder / "number.py").write_text("task = 3\n")
    (folder / "ends.py").write_text("import sys\nsys.exit(3)\n")
    tabled = "trials = joc.grid(optimizer=['sgd'], learning_rate=[0.1], seed=[0, 1])\n"
    (folder / "tabled.py").write_text(MINE.replace("optimizer =", "other =") + tabled)
    (folder / "needs.py").write_text("def task(depth):\n    pass\n")
    assert words in said(capsys, "sweep", *args)
    assert not (folder / "runs").exists()


@pytest.mark.long
def test_the_example_of_init_runs_and_is_never_written_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.main(["init"])
    assert "jaxopt-course sweep my_task.py" in capsys.readouterr().out
    written = (tmp_path / "my_task.py").read_text()
    assert "is there already" in said(capsys, "init")
    assert (tmp_path / "my_task.py").read_text() == written
    for name in ("my-task.py", "task.txt", "no/where.py"):
        said(capsys, "init", name)
    cli.main(["sweep", "my_task.py", "--seeds", "1", "--epochs", "2", "--confirm", "0"])
    study = joc.Study.load("runs/my_task-1")
    assert len(study.trials) == 3 * 8
    own = own_file.read("my_task.py")
    assert own.task(hidden=3).name == "my_task"


@pytest.mark.parametrize(
    "text, values",
    [
        ("0.1", [0.1]),
        ("0.01, 1e-1", [0.01, 0.1]),
        ("1,2", [1, 2]),
        ("true,False", [True, False]),
        ("relu,tanh", ["relu", "tanh"]),
        ("log:1e-4:1:5", [1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        ("log:0.1:0.1:1", [0.1]),
        ("lin:-1:1:3", [-1.0, 0.0, 1.0]),
        ("int:1:10:4", [1, 4, 7, 10]),
        ("int:1:2:5", [1, 2]),
    ],
)
def test_values_of_a_setting(text, values):
    made = table([f"a={text}"], 2, None)
    assert made.equals(grid(a=values, seed=range(2)))


def test_ranges_without_a_number_are_drawn():
    settings = ["learning_rate=log:1e-4:1", "b1=lin:0:0.9", "width=int:2:8", "name=a,b"]
    made = table(settings, 2, 16)
    assert made.equals(
        joc.sobol(16, seeds=range(2), learning_rate=joc.log_uniform(1e-4, 1),
                  b1=joc.uniform(0, 0.9), width=joc.integers(2, 8), name=["a", "b"])
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "a", "=1", "a=", "a=1,,2", "a=log:0:1:3", "a=log:1:2:0", "a=log:1:2:2.5", "a=log:2:1:3",
     "a=lin:1:x:3", "a=lin:1:inf:3", "a=lin:1:2:3:4", "a=int:1.5:2:2", "a=geom:1:2:3",
     "seed=1,2"],
)  # fmt: skip
def test_settings_that_are_none(text):
    with pytest.raises(ValueError, match=r"--set|--seeds"):
        table([text], 1, None)


def test_completion_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--completion", "bash"])
    assert stop.value.code in (0, None)
    assert "jaxopt-course" in capsys.readouterr().out


def test_a_colon_of_a_path_is_no_name():
    assert own_file.split("a/b.py") == (own_file.Path("a/b.py"), "task")
    assert own_file.split("a:b/c.py:wide") == (own_file.Path("a:b/c.py"), "wide")
    assert own_file.split("a:b/c.py") == (own_file.Path("a:b/c.py"), "task")
