"""The commands, as their users run them: `compare` and what is killed in a process of their own."""

import ast
import dataclasses
import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import report_studies
import tyro
from long_form import every

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.cli import compare, own_table
from jaxopt_course.cli.training import next_free
from jaxopt_course.problems.downloads import DOWNLOADS, split_name
from jaxopt_course.records import store
from jaxopt_course.studies import made_with, session

TINY = ["--task", "line", "--optimizers", "sgd", "adam", "--learning-rates", "3", "--seeds", "2",
        "--epochs", "4", "--confirm", "2"]  # fmt: skip


def command(*args, cwd):
    code = "from jaxopt_course.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *args], cwd=cwd, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def here(monkeypatch):
    """For commands that run in this process, where JAX has started: one device, one compilation."""
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    return folder, command("compare", *TINY, "--verbose", cwd=folder)


def test_compare_trains_confirms_and_reports(ran):
    folder, done = ran
    assert done.returncode == 0, done.stderr
    study = joc.Study.load(folder / "runs" / "line-1")
    assert len(study.trials) == 2 * 3 * 2
    rates = study.trials["learning_rate"].drop_duplicates().tolist()
    assert rates == [1e-5, 0.01, 10.0]
    confirmed = joc.Study.load(folder / "runs" / "line-1" / "confirm")
    assert confirmed.manifest["seeds"] == [2, 3]
    page = (folder / "runs" / "line-1" / "report.html").read_text(encoding="utf-8")
    assert "adam" in page and "sgd" in page
    assert "adam" in done.stdout and "report.html" in done.stdout
    assert len(list((folder / "runs" / "line-1" / "figures").glob("*.png"))) >= 2


def test_progress_is_plain_lines_where_nobody_watches(ran):
    _, done = ran
    lines = [line for line in done.stderr.splitlines() if line.startswith("line: ")]
    assert "12/12 trials" in lines[-1]
    assert all(word in lines[-1] for word in ("trial-steps/s", "best", "diverged"))
    assert "\x1b" not in done.stderr


@pytest.mark.long
def test_several_batch_sizes_are_compared(tmp_path, monkeypatch, here, capsys):
    monkeypatch.chdir(tmp_path)
    cli.main(["compare", *TINY, "--batch-size", "1", "2", "--out", "two"])
    study = joc.Study.load("two")
    assert study.manifest["static"] == ["batch_size"]
    assert study.trials["batch_size"].value_counts().to_dict() == {1: 12, 2: 12}
    assert "batch_size=" in capsys.readouterr().out


@pytest.mark.long
def test_many_programs_are_asked_for_on_a_terminal(tmp_path, monkeypatch, here, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "MANY", 1)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    many = ["compare", *TINY, "--batch-size", "1", "2", "--out", "two"]
    with pytest.raises(SystemExit):
        cli.main(many)
    assert "2 programs are compiled" in (said := capsys.readouterr().err) and "--yes" in said
    assert not (tmp_path / "two" / "trials.csv").exists()
    with pytest.warns(UserWarning, match="2 programs are compiled"):
        cli.main([*many, "--yes"])
    assert len(joc.Study.load("two").trials) == 24


def test_verbose_counts_the_lowerings(ran):
    assert "12 trials in one program, lowered 1 time(s)" in ran[1].stderr


def test_all_cores_are_devices(ran):
    folder, _ = ran
    event = json.loads((folder / "runs" / "line-1" / "events.jsonl").read_text())
    assert len(event["devices"]) == len(os.sched_getaffinity(0))


def test_report_makes_the_page_again(ran, monkeypatch, here):
    monkeypatch.chdir(ran[0])
    page = Path("runs/line-1/report.html")
    page.unlink()
    cli.main(["report", "runs/line-1"])
    assert page.exists()


@pytest.mark.parametrize(
    "args, words",
    [
        (["compare", "--task", "digit"], "did you mean 'digits'"),
        (["compare", "--optimizers", "adm"], "did you mean 'adam'"),
        (["compare", "--metric", "valid_acc"], "did you mean 'valid_accuracy'"),
        (["compare", "--batch-size", "5000"], "larger than the 1078 training examples"),
        (["compare", "--batch-size", "0"], "--batch-size must be at least 1"),
        (["compare", "--epochs", "0"], "epochs must be at least 1"),
        (["compare", "--seeds", "0"], "--seeds must be at least 1"),
        (["compare", "--lanes", "0"], "lanes must be"),
        (["compare", "--patience", "0"], "--patience must be a number of evaluations, at least 1"),
        (["compare", "--score", "last", "--metric", "best_valid_loss"], "--score last contradicts"),
        (["compare", "--score", "best", "--metric", "train_loss"], "is of an evaluation"),
        (["sweep", "mine.py", "--patience", "-1"], "at least 1, not -1"),
        (["compare", "--learning-rate-min", "0"], "0 < --learning-rate-min"),
        (["compare", "--learning-rate-max", "1e-9"], "<= --learning-rate-max"),
        (["compare", "--optimizers", "adamW"], "did you mean 'adamw'"),
        (["compare", "--task"], "--task names none"),
        (["compare", "--confirm", "100001"], "--confirm must be a number from 0 to 100,000"),
        (["resume", "nowhere", "--confirm", "100001"], "--confirm must be a number from 0"),
        (["compare", "--eta", "4"], "--eta is of --scheduler halving"),
        (["compare", "--eta", "4", "--scheduler", "median"], "would change nothing of median"),
        (["compare", "--dropout", "0.5", "1"], "--dropout must be in [0, 1), not 1.0"),
        (["compare", "--label-smoothing", "nan"], "--label-smoothing must be in [0, 1], not nan"),
        (["compare", "--l2", "inf"], "--l2 must be in [0, inf), not inf"),
        (["compare", "--learning-rates", "99999999999"], "not so much memory"),
        (["compare", "--diverges-above", "-1"], "--diverges-above must be a positive number"),
        (["compare", "--learning-rates", "0"], "at least 1"),
        (["compare", "--scheduler", "halving", "--eta", "1"], "eta must be a number of at least 2"),
        (["compare", "--search", "grid", "--trials", "8"], "and --tune are for --search sobol"),
        (["compare", "--search", "sobol", "--learning-rates", "3"], "are for --search grid"),
        (["compare", "--search", "sobol", "--tune", "mu"], "no optimizer takes 'mu'"),
        (["compare", "--search", "sobol", "--tune", "b2"], "sgd has no box for any of b2"),
        (["compare", "--search", "sobol", "--trials", "0"], "--trials must be at least"),
        (["report", "nowhere"], "nowhere holds no study"),
        (["resume", "nowhere"], "nowhere holds no sweep to resume"),
        (["replay", "nowhere", "0"], "nowhere holds no study"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    args, words, tmp_path, monkeypatch, here, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(args)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert words in error and error.startswith("jaxopt-course: ") and error.count("\n") == 1
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    "args, words",
    [
        (["--metric", "valid_acc"], "did you mean 'valid_accuracy'"),
        (["--time-limit", "0"], "--time-limit must be a positive number"),
        (["--scheduler", "asha", "--eta", "1"], "--eta must be a number of at least 2"),
        (["--out", "mine"], "holds files that are no study's"),
    ],
)
def test_nothing_is_probed_for_a_plan_before_all_is_checked(
    args, words, tmp_path, monkeypatch, here, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("own")
    probed = []
    monkeypatch.setattr("jaxopt_course.studies.plan.plan", lambda *a, **k: probed.append(a))
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", "--task", "wine", "--optimizers", "sgd", "--plan", "auto", *args])
    assert stop.value.code == 2 and words in capsys.readouterr().err
    assert not probed and [p.name for p in tmp_path.rglob("*.*")] == ["notes.txt"]


def made(*args):
    """The table of a command, without training."""
    asked = tyro.cli(compare.Compare, args=args)
    return compare.configurations(asked, compare.optimizers(asked))({})


def test_by_default_thirteen_are_tuned_in_their_boxes():
    trials = made()
    named = trials.groupby("optimizer", sort=False)
    assert [*named.groups] == [*compare.COURSE, "muon", "schedule_free_adamw", "adamw+ema"]
    assert set(named.size()) == {compare.TRIALS * compare.SEEDS}
    decays = named["weight_decay"].nunique()
    assert set(decays.index[decays > 0]) == {
        "adadelta", "adamw", "muon", "schedule_free_adamw", "adamw+ema"}  # fmt: skip
    assert set(decays) == {0, compare.TRIALS}


def test_the_grid_of_learning_rates_is_asked_for_by_name_or_by_its_options():
    """What compare did by itself before: the same table, cell for cell."""
    grid = joc.grid(
        optimizer=compare.COURSE,
        learning_rate=[float(f"{x:.12g}") for x in np.geomspace(1e-5, 10, 16)],
        seed=range(4),
    )
    for args in ((), ("--learning-rates", "16"), ("--learning-rate-max", "10")):
        trials = made("--optimizers", "course", "--search", "grid", *args)
        assert trials.groupby("optimizer")["decay_biases"].count()["adamw"] == 64
        pd.testing.assert_frame_equal(trials.drop(columns="decay_biases"), grid)
    assert len(made("--optimizers", "sgd", "--learning-rate-min", "0.1")) == 16 * 4


@pytest.mark.long
def test_the_best_evaluation_counts_and_who_no_longer_improves_stops(
    tmp_path, monkeypatch, here, capsys
):
    """Both are what sweep(score=, patience=) makes of them."""
    monkeypatch.chdir(tmp_path)
    table = ["--task", "line", "--optimizers", "sgd", "--learning-rate-min", "0.1", "--seeds", "2"]
    rest = ["--learning-rates", "2", "--epochs", "8", "--confirm", "0"]
    chosen = ["--score", "best", "--patience", "2", "--scheduler", "halving", "--eta", "2"]
    cli.main(["compare", *table, *rest, *chosen, "--out", "best"])
    study = joc.Study.load("best")
    assert study.manifest["metric"] == "best_valid_loss" and study.manifest["score"] == "best"
    assert study.manifest["scheduler"]["patience"]["evaluations"] == 2
    scored = study.trials[study.trials["status"].isin(["finished", "converged"])]
    assert len(scored) and (scored["valid_loss"] == scored["best_valid_loss"]).all()


@pytest.mark.long
def test_each_optimizer_is_searched_in_its_own_box(tmp_path, monkeypatch, here, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["--search", "sobol", "--trials", "4", "--tune", "learning_rate", "weight_decay", "b2"]
    names = ["--optimizers", "sgd", "adamw"]
    rest = ["--seeds", "2", "--epochs", "2", "--confirm", "0", "--l2", "0", "0.1", "--out", "own"]
    cli.main(["compare", "--task", "line", *names, *asked, *rest])
    said = " ".join(capsys.readouterr().out.split())
    assert "weight_decay: adamw 0.001 … 10; not of sgd" in said
    assert "learning_rate: sgd 0.001 … 10; adamw 3e-5 … 1" in said
    assert "Tried: learning_rate" in said and "leaves out biases and norms: adamw" in said
    trials = joc.Study.load("own").trials
    assert trials.groupby("optimizer").size().tolist() == [4 * 2 * 2] * 2
    of = trials.set_index("optimizer")
    assert of.loc["sgd", "b2"].isna().all() and of.loc["sgd", "decay_biases"].isna().all()
    assert not of.loc["adamw", "decay_biases"].any() and of.loc["adamw", "b2"].nunique() == 4
    page = (tmp_path / "own" / "report.html").read_text(encoding="utf-8")
    assert "Ranges tried" in page


@pytest.mark.usefixtures("optimized_here")  # as the process that trained
def test_replay_finds_the_same_bits(ran, monkeypatch, here, capsys):
    monkeypatch.chdir(ran[0])
    cli.main(["replay", "runs/line-1", "3"])
    first, *curves = capsys.readouterr().out.splitlines()
    assert first == "trial 3 (optimizer sgd, learning_rate 0.01, seed 1): finished"
    assert len(curves) == 3 and all(line.endswith("the same bits") for line in curves)


@pytest.mark.long
@pytest.mark.usefixtures("optimized_here")
def test_replay_leaves_out_what_a_row_has_no_value_of(tmp_path, here, capsys):
    """As sgd beside adamw, whose weight decay was drawn: an empty cell is no number."""
    trials = pd.concat(
        [
            joc.grid(optimizer="sgd", learning_rate=0.01, seed=[0]),
            joc.grid(optimizer="adamw", learning_rate=0.01, weight_decay=0.1, seed=[0]),
        ],
        ignore_index=True,
    )
    length = {"epochs": 1, "batch_size": 5, "lanes": 1, "progress": False}
    joc.sweep("line", trials, directory=tmp_path / "own", **length)
    cli.main(["replay", str(tmp_path / "own"), "0"])
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "trial 0 (optimizer sgd, learning_rate 0.01, seed 0): finished"


def test_own_tables_are_asked_for_in_the_commands_own_words(ran, tmp_path, here, capsys):
    """Not by arguments of Python's."""
    study = joc.Study.load(ran[0] / "runs" / "line-1")
    task = study.manifest["task"] | {"name": "clients"}
    [bucket] = study.manifest["buckets"]
    buckets = [bucket | {"task": bucket["task"] | {"name": "clients"}}]
    mine = study.manifest | {"task": task, "buckets": buckets}
    dataclasses.replace(study, manifest=mine).save(tmp_path / "own")
    with pytest.raises(SystemExit):
        cli.main(["replay", str(tmp_path / "own"), "0"])
    error = capsys.readouterr().err
    assert "own task ('clients')" in error and "--csv FILE --target COLUMN" in error


@pytest.mark.long
def test_own_tables_are_asked_for_by_the_command_that_made_the_study(
    tmp_path, monkeypatch, here, capsys
):
    """Quoted for the shell, and nothing else of what a manifest calls its command."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{i % 7},{i % 3},{'ab'[i % 2]}\n" for i in range(60))
    (tmp_path / "my table.csv").write_text("x,a b,life exp (y)\n" + rows)
    made = ["compare", "--csv", "my table.csv", "--target", "life exp (y)", "--drop", "a b",
            "--optimizers", "sgd", "--learning-rates", "1", "--seeds", "1", "--epochs", "1",
            "--confirm", "0", "--out", "my study"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["jaxopt-course", *made])
    cli.main(made)
    with pytest.raises(SystemExit):
        cli.main(["replay", "my study", "0"])
    paste = capsys.readouterr().err.rpartition("made of: ")[2]
    assert shlex.split(paste) == ["jaxopt-course", "replay", "my study", "0", "--csv",
        "my table.csv", "--target", "life exp (y)", "--drop", "a b"]  # fmt: skip
    cli.main(shlex.split(paste)[1:])
    with pytest.raises(SystemExit):
        cli.main(["replay", "my study", "0", *shlex.split(paste)[4:8]])
    error = capsys.readouterr().err
    assert "not those of the study, which was made by: jaxopt-course compare --csv" in error
    assert own_table.table_words("x --csv 'a;b' --out / ; rm --drop=c") == [
        "--csv", "a;b", "--drop", "c"]  # fmt: skip
    assert own_table.table_words("compare --csv 'no end") == []


def test_ray_where_it_is_not_installed(tmp_path, monkeypatch, here, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", *TINY, "--ray", "auto"])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "--ray needs Ray: pip install 'jaxopt-course[ray]'" in error
    assert not list(tmp_path.rglob("*.*"))  # before anything is there


@pytest.mark.parametrize(
    "args, words",
    [
        (["compare", "--csv", "no/where.csv", "--target", "y"], "no/where.csv: no such file"),
        (["compare", "--csv", "t.csv", "--target", "y", "--out", "t.csv/x"], "t.csv"),
        (["compare", "--csv", ".", "--target", "y"], ".: is a directory; a file is wanted"),
        (["compare", "--csv", "x" * 300, "--target", "y"], "file name too long; choose a shorter"),
        (["report", "t.csv"], "t.csv"),
        (["replay", "t.csv", "0"], "t.csv"),
        (["resume", "t.csv"], "t.csv"),
    ],
)
def test_what_the_system_refuses_is_a_sentence(args, words, tmp_path, monkeypatch, here, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
    with pytest.raises(SystemExit) as stop:
        cli.main(args)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and "Errno" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_a_letter_shows_the_rest(tmp_path, monkeypatch, encoding):
    """Spanish has letters beyond ASCII, and a report has ±; what is trained was an error."""
    rows = [report_studies.trial("sgd", 0.1, seed, 0.8 + 0.01 * seed) for seed in range(2)]
    directory = report_studies.write(
        tmp_path / "run", rows, [report_studies.trial("sgd", 0.1, seed, 0.8) for seed in (5, 6)]
    )
    shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", shown)
    cli.main(["report", str(directory), "--lang", "es"])
    shown.flush()
    text = shown.buffer.getvalue().decode(encoding)
    assert ("b?squeda" if encoding == "ascii" else "búsqueda") in text and "sgd" in text


def test_a_full_disk_is_said_without_pythons_words(tmp_path, monkeypatch, here, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "out" / "trials.csv"))

    monkeypatch.setattr(store, "write", full)
    with pytest.raises(SystemExit):
        cli.main(["compare", *TINY, "--out", str(tmp_path / "the study")])
    error = capsys.readouterr().err.splitlines()[-1]
    assert "no space left on device; make room" in error and "exception" not in error
    assert f"jaxopt-course resume '{tmp_path / 'the study'}' goes on from there" in error


@pytest.mark.usefixtures("optimized_here")  # as the process that trained
def test_replay_of_other_curves_fails(ran, tmp_path, here, capsys):
    """A curve that was changed on disk is named."""
    study = joc.Study.load(ran[0] / "runs" / "line-1")
    curves = study.curves.copy(deep=True)
    curves["valid_loss"][0, 0] += 1
    dataclasses.replace(study, curves=curves).save(tmp_path / "changed")
    with pytest.raises(SystemExit) as stop:
        cli.main(["replay", str(tmp_path / "changed"), "0"])
    assert stop.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith("other")] == ["  valid_loss: 4 readings, other"]


@pytest.mark.long
def test_a_complete_study_is_resumed_by_showing_it(ran, here, capsys):
    cli.main(["resume", str(ran[0] / "runs" / "line-1")])
    assert "report.html" in capsys.readouterr().out


def test_what_goes_on_elsewhere_is_told_in_options(here, monkeypatch, capsys):
    told = []

    def refuse(*_, exact, **__):
        told.append(exact)
        raise made_with.OtherVersions(["instructions one CPU -> another"])

    monkeypatch.setattr(joc.Study, "resume", refuse)
    for options in ([], ["--to-rounding"]):
        with pytest.raises(SystemExit):
            cli.main(["resume", "there", *options])
        said = capsys.readouterr().err
        assert "other instructions" in said and "(--to-rounding)" in said and "exact" not in said
    assert told == [True, False]


@pytest.mark.long
@pytest.mark.usefixtures("optimized_here")  # as the process that trained
def test_what_was_killed_before_its_confirmation_is_confirmed(ran, tmp_path, here):
    copy = shutil.copytree(ran[0] / "runs" / "line-1", tmp_path / "copy")
    shutil.rmtree(copy / "confirm")
    cli.main(["resume", str(copy), "--confirm", "2"])
    again, there = (joc.Study.load(at / "confirm") for at in (copy, ran[0] / "runs" / "line-1"))
    pd.testing.assert_frame_equal(again.trials, there.trials)


def test_a_study_is_not_overwritten_unasked(ran, monkeypatch, here, capsys):
    folder, _ = ran
    before = (folder / "runs" / "line-1" / "trials.csv").read_bytes()
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", *TINY, "--out", "runs/line-1"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "already holds a study" in error and "--overwrite" in error
    assert (folder / "runs" / "line-1" / "trials.csv").read_bytes() == before


def test_the_next_free_number(tmp_path):
    assert next_free(tmp_path, "digits").name == "digits-1"
    for name in ("digits-1", "digits-7", "digits-x", "digits-7-old"):
        (tmp_path / name).mkdir()
    assert next_free(tmp_path, "digits").name == "digits-8"


@pytest.mark.long
@pytest.mark.parametrize("number", every(2, [signal.SIGINT, signal.SIGTERM]))
def test_ctrl_c_saves_what_is_over(number, tmp_path):
    code = """
import sys
from jaxopt_course.cli import main
from jaxopt_course.sweeps import progress

progress.QUIET_SECONDS, update = 0.0, progress.ProgressLine.update

def update_and_wait(line, tally, last=False):
    update(line, tally, last)
    if 0 < tally.over < tally.total and not heard and not last:
        print("some are over", file=sys.stderr, flush=True)
        heard.append(sys.stdin.readline())  # comes with the signal, or is cut short by it

heard, progress.ProgressLine.update = [], update_and_wait
main()
"""
    args = ["compare", "--optimizers", "sgd", "--seeds", "200", "--epochs", "5", "--confirm", "0"]
    args += ["--search", "grid", "--out", "out"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line == "some are over\n":  # it waits now
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "of 3200 trials over; saved in out" in errors
    trials = pd.read_csv(tmp_path / "out" / "trials.csv")
    assert set(trials["status"]) == {"finished", "unfinished"}
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["compare", "--help"], 1, ""),
        (["tasks", "--help"], 1, ""),
        (["tasks", "--help"], 1, "jaxopt-course: no space left on device"),
        (["tasks", "--json"], 2, "jaxopt-course: no space left on device; make room"),
    ],
)
def test_who_does_not_read_on_gets_no_traceback(args, code, said):
    if said:
        out = os.open("/dev/full", os.O_WRONLY)
    else:  # as head leaves it
        reader, out = os.pipe()
        os.close(reader)
    command = [sys.executable, "-m", "jaxopt_course", *args]
    process = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True)
    os.close(out)
    assert process.returncode == code and "Traceback" not in process.stderr
    assert said in process.stderr and "ignored" not in process.stderr


EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


@pytest.mark.parametrize(
    "args, words",
    [
        (["compare", "--csv", "t.csv"], "which column is to be predicted"),
        (["compare", "--csv", "t.csv", "--target", "x"], "unknown"),
        (["report", "hostile"], "valid_"),
        (["resume", f"no{EVIL}where"], "holds no sweep"),
    ],
)
def test_a_terminal_obeys_no_error(args, words, tmp_path, monkeypatch, here, capsys):
    """Names of columns, of files and of a stranger's study are text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(f"a{EVIL},b\n" + "1,2\n" * 30, encoding="utf-8")
    rows = [report_studies.trial(f"sgd{EVIL}", x) for x in (0.1, 0.2)]
    report_studies.write(tmp_path / "hostile", rows, metric=f"valid_{EVIL}")
    with pytest.raises(SystemExit) as stop:
        cli.main(args)
    captured = capsys.readouterr()
    assert stop.value.code == 2 and words in captured.err
    assert [c for c in captured.err + captured.out if not c.isprintable() and c != "\n"] == []


@pytest.mark.parametrize(
    "fault, args, code",
    every(2, [("ValueError", ["--verbose"], 1), ("ValueError", [], 2), ("RuntimeError", [], 1)]),
)
def test_a_terminal_obeys_no_traceback_and_no_warning(fault, args, code):
    """In a process of its own, for here pytest takes the warnings."""
    text = f"""
import warnings
from jaxopt_course.cli import dispatch
def failing(_):
    warnings.warn({EVIL!r} + "minded")
    raise {fault}({EVIL!r} + "broken")
dispatch.RUN[dispatch.Compare] = failing
dispatch.main(["compare", *{args}])
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == code
    assert "minded" in done.stderr and "broken" in done.stderr
    assert ("Traceback" in done.stderr) == (code == 1)
    assert [c for c in done.stderr if not c.isprintable() and c != "\n"] == []


def test_commands_print_in_one_place_only():
    folder = Path(cli.__file__).parent
    printing = {
        file.name
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert printing == {"say.py"}


def test_version_and_tasks(capsys):
    cli.main(["--version"])
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    version = tomllib.loads(text)["project"]["version"]
    assert capsys.readouterr().out == f"jaxopt-course {version}\n"
    cli.main(["tasks"])
    listed, _, hint = capsys.readouterr().out.partition("\n\n")
    assert {line.split()[0] for line in listed.splitlines()} == {
        *joc.TASKS,
        *DOWNLOADS,
        "mnist5000",
    }
    for name in re.findall(r"\w+_cnn-\w+", hint):
        assert split_name(name) is not None


@pytest.mark.parametrize("program, begin", [("/x/bin/jaxopt-course", ["jaxopt-course"]),
                                            ("/x/jaxopt_course/__main__.py",
                                             ["python", "-m", "jaxopt_course"])])  # fmt: skip
def test_the_command_of_a_page_can_be_pasted(monkeypatch, program, begin):
    words = [
        "compare",
        "--csv",
        "my table.csv",
        "--target",
        "life exp (years)",
        "--drop",
        "a'b",
        "$x",
    ]
    monkeypatch.setattr("sys.argv", [program, *words])
    assert shlex.split(made_with.command()) == [*begin, *words]
