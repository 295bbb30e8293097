"""``--json``: one document on standard output, and nothing else there."""

import json
from types import SimpleNamespace
from typing import Any

import jax
import pandas as pd
import pytest
import report_studies

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.cli import dispatch
from jaxopt_course.cli.answer import FORMAT, Asked, strict, written
from jaxopt_course.cli.training import describe
from jaxopt_course.problems.catalog import TASK_DESCRIPTIONS

TINY = ["--optimizers", "sgd", "adam", "--epochs", "1", "--seeds", "2", "--confirm", "2"]
ONE = ["--optimizers", "sgd", "--epochs", "1", "--seeds", "1", "--confirm", "0"]
EVIL = 'sgd "</script>\x1b[2J'


def refused(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")


@pytest.fixture(scope="module")
def here():
    """For commands that run in this process, where JAX has started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
        yield


@pytest.fixture
def run(here, capsys):
    """Runs a command: its document, what was said beside it, its exit code."""

    def run(*args):
        code = 0
        try:
            cli.main([*map(str, args), "--json"])
        except SystemExit as end:
            code = end.code
        out, error = capsys.readouterr()
        assert out.endswith("\n") and out.count("\n") == 1
        document = json.loads(out, parse_constant=refused)
        assert (document["command"], document["format"]) == (args[0], FORMAT)
        return document, error, code

    return run


@pytest.fixture(scope="module")
def directory(here, tmp_path_factory):
    """A study that `compare` made, with its document beside it."""
    out = tmp_path_factory.mktemp("json") / "line"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out.parent)
        cli.main(["compare", "--task", "line", "--learning-rates", "2", "--out", str(out), *TINY])
    return out


def test_every_command_has_it():
    assert all(issubclass(command, Asked) for command in dispatch.RUN)


def test_a_study(run, directory):
    document, said, code = run("report", directory)
    study = joc.Study.load(directory)
    confirmed = joc.Study.load(directory / "confirm")
    assert code == 0 and document["verdict"] in " ".join(said.split())
    assert document["task"] == "line" and document["confirmed"] is True
    assert document["trials"] == study.trials["status"].value_counts().to_dict()
    assert [row["rank"] for row in document["ranking"]] == [1, 2]
    for row in document["ranking"]:
        winner = study.winners().set_index("optimizer").loc[row["optimizer"]]
        assert row["search"]["mean"] == winner[document["metric"]]
        assert row["settings"]["learning_rate"] == winner["learning_rate"]
        fresh = confirmed.trials[confirmed.trials["optimizer"] == row["optimizer"]]
        assert row["fresh"]["mean"] == pytest.approx(fresh[document["metric"]].mean(), rel=1e-12)
        low, high = row["fresh"]["low"], row["fresh"]["high"]
        assert high - low == pytest.approx(2 * row["fresh"]["half_width"])
    assert document["page"] == str(directory / "report.html")
    (pair,) = document["comparisons"]
    means = {row["optimizer"]: row["fresh"]["mean"] for row in document["ranking"]}
    assert pair["reference"] == document["ranking"][0]["optimizer"] and pair["n"] == 2
    apart = abs(means[pair["optimizer"]] - means[pair["reference"]])
    assert pair["tied"] or pair["difference"] == pytest.approx(apart, rel=1e-6)


def test_two_studies(run, directory):
    document, _, code = run("report", directory, directory)
    assert code == 0 and {row["optimizer"] for row in document["optimizers"]} == {"sgd", "adam"}
    assert all(row["difference"] == 0 for row in document["optimizers"])


@pytest.mark.long
def test_compare_sweep_and_resume_say_how_they_ended(run, directory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import jaxopt_course as joc\nprint('a line of the file')\ntask = joc.load_task('line')\n"
    )
    given = ["--set", "learning_rate=0.001", "--out", "own", *ONE]
    document, said, code = run("sweep", "mine.py", *given)
    assert (code, document["interrupted"]) == (0, False) and document["seconds"] > 0
    assert "a line of the file" in said and "trial-steps/s" in said
    limit = ["--task", "line", "--learning-rates", "1", "--time-limit", "1e-3", "--out", "cut"]
    document, said, code = run("compare", *limit, *ONE)
    assert (code, document["interrupted"]) == (130, True)
    assert document["trials"] == {"unfinished": 1} and "jaxopt-course resume" in said
    assert document["ranking"][0]["search"]["mean"] is None
    document, _, code = run("resume", directory)
    assert (code, document["interrupted"]) == (0, False) and document["confirmed"]


def test_replay_tells_every_curve(run, directory, monkeypatch):
    document, _, code = run("replay", directory, 1)
    assert (code, document["identical"], document["status"]) == (0, True, "finished")
    assert document["curves"]["valid_loss"] == {"readings": 1, "same": True, "deviation": 0.0}


def test_tasks_and_init(run, tmp_path, monkeypatch):
    document, said, _ = run("tasks")
    told = {task["name"]: task["description"] for task in document["tasks"]}
    assert told.items() >= TASK_DESCRIPTIONS.items() and "digits" in said
    monkeypatch.chdir(tmp_path)
    document, _, _ = run("init", "mine.py")
    assert document["file"] == "mine.py" and (tmp_path / "mine.py").is_file()


def test_an_error_is_a_document_too(run, tmp_path):
    document, said, code = run("report", tmp_path / "none")
    assert code == document["code"] == 2
    assert document["error"] in said


def test_a_fault_of_ours_is_a_document_too(run, directory, monkeypatch):
    def fail(*_):
        raise RuntimeError("a fault")

    monkeypatch.setitem(dispatch.RUN, dispatch.Report, fail)
    document, said, code = run("report", directory)
    assert (code, document["error"]) == (1, "RuntimeError: a fault") and "Traceback" in said


def test_names_with_markup_and_what_is_no_number(run, tmp_path):
    rows = [report_studies.trial(EVIL, rate, s) for rate in (0.1, 0.2) for s in range(2)]
    rows += [report_studies.trial("adam", 0.1, s, status="diverged") for s in range(2)]
    where = report_studies.write(tmp_path / "study", rows)
    document, _, _ = run("report", where)
    first, last = document["ranking"]
    assert first["optimizer"] == EVIL and document["confirmed"] is False
    assert first["fresh"] is None and first["search"]["seeds"] == 2
    assert last["search"] == {
        "mean": None, "std": None, "seeds": 2, "diverged": 2, "stopped": 0, "unfinished": 0
    }  # fmt: skip


def test_a_plan_is_an_entry_a_program():
    one = SimpleNamespace(describe=lambda: {"lanes": 8})
    two = SimpleNamespace(labels=("hidden=8", "hidden=16"), plans=(one, one))
    assert describe(one) == [{"of": "", "lanes": 8}]
    assert [entry["of"] for entry in describe(two)] == ["hidden=8", "hidden=16"]


def test_strict():
    told = strict({"a": float("inf"), 1: pd.NA, "b": (jax.numpy.float32(1).item(), True)})
    assert told == {"a": None, "1": None, "b": [1.0, True]}
    assert "\x1b" not in written("tasks", {"name": EVIL})
    assert json.loads(written("tasks", {"name": EVIL}))["name"] == EVIL


def test_without_it_nothing_changes(directory, capsys, here):
    cli.main(["report", str(directory)])
    assert "{" not in capsys.readouterr().out


def test_a_usage_error_leaves_standard_output_empty(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["tasks", "--json", "--no-such-option"])
    assert end.value.code == 2 and capsys.readouterr().out == ""
