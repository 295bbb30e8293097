"""A study in the tools that people have; the heavy ones are read back by their own packages.

What is marked ``exports`` runs in an environment of its own: ``.ci/run exports``.
"""

import dataclasses
import errno
import functools
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
import report_studies

import jaxopt_course as joc
from jaxopt_course.exports import runs, text

EVIL = "sgd </script>&_{x}"  # a name with markup of everybody's


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    trial = functools.partial(report_studies.trial, best_valid_loss=0.4)
    rows = [trial(name, 0.1, s, 0.8 + 0.01 * s) for name in ("adam", EVIL) for s in range(2)]
    rows += [trial("adam", 3.0, 0), trial("adam", 3.0, 1, status="diverged", first_bad_step=10)]
    rows += [trial("adam", 9.0, 0, status="stopped", stopped_step=20)]
    rows += [trial("adam", 0.1, 0, 0.8, duplicate_of=0)]
    fresh = [trial(name, 0.1, s, 0.8 + 0.01 * s) for name in ("adam", EVIL) for s in (5, 6)]
    directory = tmp_path_factory.mktemp("exports") / "first"
    return joc.Study.load(report_studies.write(directory, rows, fresh))


def curve_of(study, trial, name):
    """Steps and values that are numbers."""
    curve = study.curves[name].sel(trial=trial)
    curve = curve.dropna(curve.dims[0])
    return list(
        zip(curve[curve.dims[0]].to_numpy().tolist(), curve.to_numpy().tolist(), strict=True)
    )


class TestRuns:
    def test_every_trial_but_the_one_that_repeats_another(self, study):
        found = list(runs.runs(study.trials, study.curves, study.manifest))
        assert [run.trial for run in found] == [0, 1, 2, 3, 4, 5, 6]
        assert found[0].name == "trial-0000"
        assert found[0].settings == {"optimizer": "adam", "learning_rate": 0.1, "seed": 0}
        assert found[0].measures["valid_accuracy"] == 0.8
        assert "seed" not in found[0].measures

    def test_no_number_is_told_as_one(self, study):
        diverged = list(runs.runs(study.trials, study.curves, study.manifest))[5]
        assert diverged.status == "diverged"
        assert diverged.measures == {"first_bad_step": 10.0, "best_valid_loss": 0.4}
        assert [step for step, _ in diverged.curve] == [10]

    def test_curves_of_both_axes_meet_at_their_steps(self, study):
        run = next(runs.runs(study.trials, study.curves, study.manifest))
        for name in study.curves.data_vars:
            told = [(step, values[name]) for step, values in run.curve if name in values]
            assert told == curve_of(study, 0, name)

    def test_the_study_tells_its_best_configuration(self, study):
        whole = runs.whole(study.trials, study.configurations(), study.manifest)
        assert whole.best["learning_rate"] == study.best()["learning_rate"]
        assert whole.measures["valid_accuracy"] == study.best()["valid_accuracy"]
        assert whole.counts["diverged"] == 1

    def test_of_several_tasks_each_trial_keeps_its_own(self, study):
        """And none is the best, as scores of tasks are not compared."""
        manifest = study.manifest | {"static": ["task"]}
        whole = runs.whole(study.trials, study.configurations(), manifest)
        assert (whole.best, whole.measures) == ({}, {}) and whole.facts["task"] == "digits"
        run = next(runs.runs(study.trials, study.curves, study.manifest))
        told = runs.config("mine", whole, run._replace(settings=run.settings | {"task": "wine"}))
        assert told["task"] == "wine" and told["study"] == "mine" and told["status"] == "finished"
        assert told["learning_rate"] == 0.1 and told["program_sha256"] == "0" * 64

    def test_a_study_in_which_nothing_finished_has_no_best(self, tmp_path):
        rows = [report_studies.trial(seed=s, status="diverged") for s in range(2)]
        lost = joc.Study.load(report_studies.write(tmp_path / "lost", rows))
        whole = runs.whole(lost.trials, lost.configurations(), lost.manifest)
        assert (whole.best, whole.measures) == ({}, {})


class TestCsv:
    def test_trials_and_configurations_come_back(self, study, tmp_path):
        for name in ("trials", "configurations", "winners"):
            table = study.trials if name == "trials" else getattr(study, name)()
            there = pd.read_csv(study.to_csv(tmp_path / f"{name}.csv", name), dtype=str)
            assert list(there) == list(table) and len(there) == len(table)
            assert there["learning_rate"].map(float).tolist() == table["learning_rate"].tolist()

    def test_curves_are_a_row_a_reading(self, study, tmp_path):
        there = pd.read_csv(study.to_csv(tmp_path / "curves.csv", "curves"))
        own = there[(there["trial"] == 1) & (there["curve"] == "valid_accuracy")]
        assert list(zip(own["step"], np.float32(own["value"]), strict=True)) == curve_of(
            study, 1, "valid_accuracy"
        )
        assert there["value"].notna().all()

    def test_a_file_that_is_there_stays(self, study, tmp_path):
        file = tmp_path / "mine.csv"
        file.write_text("mine")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            study.to_csv(file)
        with pytest.raises(FileExistsError, match="overwrite=True"):
            study.to_latex(file)
        assert file.read_text() == "mine"
        study.to_csv(file, overwrite=True)
        assert file.read_text().startswith("trial,id")

    def test_a_full_disk_leaves_the_file_that_was_there(self, study, tmp_path, monkeypatch):
        file = tmp_path / "mine.csv"
        file.write_text("mine")

        def full(handle):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        for write in (study.to_csv, study.to_latex):
            with pytest.raises(OSError, match="No space left"):
                write(file, overwrite=True)
        assert file.read_text() == "mine" and [*tmp_path.iterdir()] == [file]

    def test_a_link_is_followed_where_it_may_be_replaced(self, study, tmp_path):
        (tmp_path / "there").symlink_to(tmp_path / "else.csv")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            study.to_csv(tmp_path / "there")
        study.to_csv(tmp_path / "there", overwrite=True)
        assert (tmp_path / "there").is_symlink()
        assert (tmp_path / "else.csv").read_text().startswith("trial,id")

    def test_bad_places_and_tables_are_named(self, study, tmp_path):
        with pytest.raises(IsADirectoryError, match="name a file in it"):
            study.to_csv(tmp_path)
        with pytest.raises(FileNotFoundError, match="there is no directory"):
            study.to_csv(tmp_path / "none" / "a.csv")
        with pytest.raises(ValueError, match="did you mean 'winners'"):
            study.to_csv(tmp_path / "a.csv", "winner")


class TestLatex:
    def test_the_table_that_compare_prints(self, study, tmp_path):
        from jaxopt_course.report import verdict
        from jaxopt_course.report.findings import read

        said = study.to_latex(tmp_path / "table.tex")
        assert (tmp_path / "table.tex").read_text(encoding="utf-8") == said
        assert all(rule in said for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
        header, rows = verdict.ranking_table(read(study.directory), edge="*")
        lines = [line for line in said.splitlines() if line.endswith(r"\\")]
        assert len(lines) == 1 + len(rows)
        cells = lines[2].removesuffix(r" \\").split(" & ")
        assert cells == [text.escape(cell) for cell in rows[1]]
        assert len(header) == len(cells)

    @pytest.mark.exports
    def test_latex_takes_it(self, tmp_path):
        """A name of every sign that LaTeX obeys; not tried where pdflatex is not installed."""
        if shutil.which("pdflatex") is None:
            pytest.skip("no pdflatex here: apt-get install texlive-latex-recommended")
        evil = "".join(text.SPECIAL) + "\\input{x}"
        rows = [report_studies.trial(name, 0.1, s) for name in ("adam", evil) for s in range(2)]
        study = joc.Study.load(report_studies.write(tmp_path / "s", rows))
        table = study.to_latex()
        assert text.escape(evil)[:20] in table
        lines = [r"\documentclass{article}", r"\usepackage{booktabs}", r"\begin{document}"]
        lines += [table, r"\end{document}"]
        (tmp_path / "t.tex").write_text("\n".join(lines), encoding="utf-8")
        done = subprocess.run(
            ["pdflatex", "-halt-on-error", "-no-shell-escape", "t.tex"],
            cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
        assert (tmp_path / "t.pdf").stat().st_size > 1000

    def test_nothing_of_a_name_is_obeyed(self):
        escaped = text.escape(EVIL + "\\input{x}$%#^~\n\x1b")
        for mark in "{}&_$%#":
            assert mark not in escaped.replace(f"\\{mark}", "").replace("{}", "")
        assert r"\textbackslash{}input\{x\}" in escaped and "\x1b" not in escaped

    def test_a_study_in_no_directory_is_told_to_be_saved(self, study):
        with pytest.raises(ValueError, match="save the study first"):
            dataclasses.replace(study, directory=None).to_latex()


def events(file):
    """The events of a file, by the format of TFRecord."""
    from tensorboardX.proto.event_pb2 import Event

    content, at = file.read_bytes(), 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield Event.FromString(content[at + 12 : at + 12 + length])
        at += 16 + length


class TestTensorboard:
    def test_scalars_and_hparams_of_every_trial(self, study, tmp_path):
        from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

        directory = study.to_tensorboard(tmp_path / "board")
        assert len([one for one in directory.iterdir() if one.is_dir()]) == 7
        (file,) = (directory / "trial-0002").iterdir()
        values = [(e.step, v) for e in events(file) for v in e.summary.value]
        for name in study.curves.data_vars:
            told = [(step, np.float32(v.simple_value)) for step, v in values if v.tag == name]
            assert told == curve_of(study, 2, name)
        ((_, score),) = [(s, v.simple_value) for s, v in values if v.tag == "result/valid_accuracy"]
        assert np.float32(score) == np.float32(study.trials["valid_accuracy"][2])
        (start,) = [v for _, v in values if v.tag == "_hparams_/session_start_info"]
        data = HParamsPluginData.FromString(start.metadata.plugin_data.content)
        given = data.session_start_info.hparams
        assert given["optimizer"].string_value == EVIL
        assert given["learning_rate"].number_value == 0.1

    def test_a_directory_with_something_in_it_is_refused(self, study, tmp_path):
        (tmp_path / "mine").write_text("mine")
        with pytest.raises(FileExistsError, match="not empty"):
            study.to_tensorboard(tmp_path)
        with pytest.raises(NotADirectoryError, match="name a directory"):
            study.to_tensorboard(tmp_path / "mine")
        assert [one.name for one in tmp_path.iterdir()] == ["mine"]

    def test_one_that_is_cut_off_leaves_nothing(self, study, tmp_path, monkeypatch):
        cut_off(monkeypatch)
        (tmp_path / "empty").mkdir()
        for place in (tmp_path / "empty", tmp_path / "new"):
            with pytest.raises(KeyboardInterrupt):
                study.to_tensorboard(place)
        assert [one.name for one in tmp_path.rglob("*")] == ["empty"]
        monkeypatch.undo()
        there = study.to_tensorboard(tmp_path / "empty")
        assert len([one for one in there.iterdir() if one.is_dir()]) == 7


def cut_off(monkeypatch):
    """Ctrl-C while the last trial is written."""

    class Curve(list):
        def __iter__(self):
            raise KeyboardInterrupt

    def cut(*given, whole=runs.runs):
        *first, last = whole(*given)
        return [*first, last._replace(curve=Curve(last.curve))]

    monkeypatch.setattr(runs, "runs", cut)


@pytest.mark.parametrize("odd", ["", " ", "a\nb", 3, b"x", [], {}, True], ids=repr)
@pytest.mark.parametrize("method", ["mlflow", "wandb", "trackio"])
def test_names_that_are_none_are_refused_before_anything_is_made(study, tmp_path, method, odd):
    given = [] if method == "trackio" else [tmp_path / "there"]
    group = "experiment" if method == "mlflow" else "project"
    for argument in ("name", group):
        with pytest.raises((TypeError, ValueError), match=f"^{argument} must be text"):
            getattr(study, f"to_{method}")(*given, **{argument: odd})
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("odd", [None, "", 3, b"x", [], "\0", True], ids=repr)
def test_places_that_are_none_are_refused(study, odd):
    from jaxopt_course.exports.mlflow import store_of

    for write, what in (
        (study.to_csv, "file"),
        (study.to_optuna, "journal_file"),
        (study.to_tensorboard, "directory"),
        (store_of, ""),
    ):
        with pytest.raises((TypeError, ValueError), match=f"{what or 'store'} must be a path"):
            write(odd)


@pytest.mark.parametrize(
    "name", ["x" * 250, "x" * 300, "loop", "loop/x", "proc", "~nobody at all/x"]
)
@pytest.mark.parametrize("method", ["to_csv", "to_latex", "to_optuna", "to_tensorboard"])
def test_places_that_take_nothing_are_a_sentence(study, tmp_path, monkeypatch, method, name):
    """A file is written under a longer name first: one that fits may still be too long."""
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    place = "/proc/none" if name == "proc" else name
    if method == "to_tensorboard" and len(name) == 250:  # a directory has no other name first
        return
    more = {"overwrite": True} if method in ("to_csv", "to_latex") else {}
    with pytest.raises(
        (PermissionError, FileNotFoundError), match=r"leads nowhere|cannot|there is"
    ):
        getattr(study, method)(place, **more)
    assert os.listdir() == ["loop"]


def test_an_address_makes_no_folder(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is an address"):
        study.to_tensorboard("s3://bucket/board")
    assert os.listdir() == []


@pytest.mark.parametrize("module", ["mlflow", "wandb", "trackio", "tensorboardX"])
def test_what_is_not_installed_is_named_with_its_command(study, tmp_path, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.chdir(tmp_path)
    given = [] if module == "trackio" else [tmp_path / "there"]
    with pytest.raises(ImportError, match=r"pip install 'jaxopt-course\[exports\]'"):
        getattr(study, f"to_{module.lower().removesuffix('x')}")(*given)
    assert list(tmp_path.iterdir()) == []


def test_what_trackio_loses_in_silence_is_an_error(study, monkeypatch):
    """On a full disk its writers fail, and the call returned the names of runs that were none."""
    runs_there, lines = {}, []

    class Storage:
        get_runs = staticmethod(lambda project: list(runs_there))
        get_logs = staticmethod(lambda project, run: runs_there[run][1:])  # one is lost
        delete_run = staticmethod(lambda project, run: runs_there.pop(run))

    class Tool:
        @staticmethod
        def init(project, *, name, **given):
            runs_there[name] = []
            return Tool

        @staticmethod
        def log(values, step):
            lines.append(step)
            runs_there[next(reversed(runs_there))].append(step)

        finish = staticmethod(lambda: None)

    monkeypatch.setitem(sys.modules, "trackio", Tool)
    monkeypatch.setattr("jaxopt_course.exports.trackio._storage", lambda: Storage)
    with pytest.raises(OSError, match="did not keep all of first/trial-0000: is its disk full"):
        study.to_trackio("a project")
    assert lines and not runs_there
    Storage.get_logs = staticmethod(lambda project, run: runs_there[run])
    assert study.to_trackio("a project") == list(runs_there)


def test_a_data_base_of_somebody_else_is_refused(study, tmp_path):
    from jaxopt_course.exports.mlflow import store_of

    with closing(sqlite3.connect(tmp_path / "mine.db")) as base, base:
        base.execute("create table mine (x)")
    (tmp_path / "text.db").write_text("no data base at all" * 100)
    with pytest.raises(ValueError, match=r"none of MLflow's"):
        store_of(tmp_path / "mine.db")
    with pytest.raises(ValueError, match=r"no data base of MLflow's"):
        store_of(tmp_path / "text.db")
    with pytest.raises(IsADirectoryError, match="name a file"):
        store_of(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        store_of(tmp_path / "none" / "mlflow.db")
    assert store_of("http://127.0.0.1:5000") == "http://127.0.0.1:5000"


def logged(content):
    """The records of a LevelDB log, which W&B's files are after seven bytes of their own."""
    at, parts = 7, []
    while at < len(content):
        if 32768 - at % 32768 < 7:  # no room for a header: the block ends in zeros
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        parts.append(content[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


@pytest.mark.exports
@pytest.mark.filterwarnings("ignore")  # of the tools, not ours
class TestReadBack:
    def test_mlflow(self, study, tmp_path, monkeypatch):
        from mlflow import MlflowClient

        monkeypatch.chdir(tmp_path)
        store = tmp_path / "mlflow.db"
        parent = study.to_mlflow(store)
        client = MlflowClient(f"sqlite:///{store}")
        experiment = client.get_experiment_by_name("digits").experiment_id
        nested = client.search_runs(
            [experiment], f"tags.mlflow.parentRunId = '{parent}'", max_results=100
        )
        assert len(nested) == 7
        by_name = {run.data.tags["mlflow.runName"]: run for run in nested}
        run = by_name["trial-0002"]
        assert run.data.params == {"optimizer": EVIL, "learning_rate": "0.1", "seed": "0"}
        assert run.info.status == "FINISHED"
        assert run.data.metrics["result/test_accuracy"] == study.trials["test_accuracy"][2]
        for name in study.curves.data_vars:
            told = client.get_metric_history(run.info.run_id, name)
            assert sorted((m.step, np.float32(m.value)) for m in told) == curve_of(study, 2, name)
        assert by_name["trial-0005"].info.status == "FAILED"
        assert by_name["trial-0006"].info.status == "KILLED"
        whole = client.get_run(parent)
        assert whole.data.metrics["result/valid_accuracy"] == study.best()["valid_accuracy"]
        assert whole.data.metrics["trials_diverged"] == 1
        assert whole.data.tags["jaxopt_course.program_sha256"] == "0" * 64
        with pytest.raises(ValueError, match="give another name"):
            study.to_mlflow(store)
        second = study.to_mlflow(store, 'second "study"; it\'s')
        assert client.get_run(second).data.tags["mlflow.runName"] == 'second "study"; it\'s'
        assert {one.name for one in tmp_path.iterdir()} <= {"mlflow.db"}  # nothing beside it
        client.update_run(second, status="RUNNING")  # as who was killed has left it
        with pytest.raises(ValueError, match="was cut short or is under way: delete its runs"):
            study.to_mlflow(store, 'second "study"; it\'s')

    @pytest.mark.parametrize("tool", ["mlflow", "wandb"])
    def test_one_that_is_cut_off_leaves_nothing_and_none_is_there_twice(
        self, study, tmp_path, monkeypatch, tool
    ):
        monkeypatch.chdir(tmp_path)
        for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR"):
            monkeypatch.setenv(name, str(tmp_path / name))
        given = {"mlflow": [tmp_path / "m.db"], "wandb": [tmp_path / "w"]}
        write = functools.partial(getattr(study, f"to_{tool}"), *given[tool])
        with monkeypatch.context() as context:
            cut_off(context)
            with pytest.raises(KeyboardInterrupt):
                write()
        assert not [*tmp_path.glob("w/wandb/offline-run-*")]
        made = write()
        assert tool == "mlflow" or len(made) == 7
        with pytest.raises((ValueError, FileExistsError), match="give another name"):
            write()
        if tool == "wandb":
            assert {*tmp_path.glob("w/wandb/offline-run-*")} == {*made}

    def test_mlflow_s_file_that_cannot_be_written_is_refused_at_once(self, study, tmp_path):
        """MLflow tries for minutes."""
        store = tmp_path / "m.db"
        with closing(sqlite3.connect(store)) as base:
            base.execute("create table runs (x)")
            base.execute("create table experiments (x)")
            base.execute("begin exclusive")  # another process writes, and does not end
            with pytest.raises((PermissionError, ValueError), match="locked"):
                study.to_mlflow(store)

    def test_mlflow_takes_any_name_of_a_column(self, tmp_path):
        from mlflow import MlflowClient

        odd = ["l2 <x> (€)", "a//b", "../c", "naïve", "plain"]
        rows = [report_studies.trial(**dict.fromkeys(odd, 0.5))]
        columns = ["optimizer", "learning_rate", *odd]
        home = report_studies.write(tmp_path / "odd", rows, hyperparameters=columns)
        store = tmp_path / "mlflow.db"
        parent = joc.Study.load(home).to_mlflow(store)
        params = MlflowClient(f"sqlite:///{store}").get_run(parent).data.params
        assert list(params.values()).count("0.5") == len(odd) and params["plain"] == "0.5"

    def test_wandb(self, study, tmp_path, monkeypatch):
        from wandb.proto.wandb_internal_pb2 import Record

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
        monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
        directories = study.to_wandb(tmp_path / "logs")
        assert len(directories) == 7
        (file,) = directories[2].glob("*.wandb")
        records = [Record.FromString(data) for data in logged(file.read_bytes())]
        (begun,) = [one.run for one in records if one.WhichOneof("record_type") == "run"]
        assert (begun.project, begun.run_group, begun.display_name) == (
            "digits",
            "first",
            "trial-0002",
        )
        config = {item.key: json.loads(item.value_json) for item in begun.config.update}
        assert config["optimizer"] == EVIL and config["learning_rate"] == 0.1
        told = {name: [] for name in study.curves.data_vars}
        for one in records:
            if one.WhichOneof("record_type") == "history":
                items = {
                    "/".join(i.nested_key) or i.key: json.loads(i.value_json)
                    for i in one.history.item
                }
                for name in told:
                    if name in items:
                        told[name].append((items["_step"], np.float32(items[name])))
        assert told == {name: curve_of(study, 2, name) for name in told}
        summary = {}
        for one in records:
            if one.WhichOneof("record_type") == "summary":
                summary |= {
                    "/".join(i.nested_key) or i.key: json.loads(i.value_json)
                    for i in one.summary.update
                }
        assert summary["result/test_accuracy"] == study.trials["test_accuracy"][2]
        assert summary["status"] == "finished"

    def test_trackio(self, study, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
        with monkeypatch.context() as context:
            cut_off(context)
            with pytest.raises(KeyboardInterrupt):
                study.to_trackio("a project")
        names = study.to_trackio("a project")
        assert names[2] == "first/trial-0002" and len(names) == 7
        (file,) = (tmp_path / "trackio").glob("*.db")
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as base:
            query = "select step, metrics from metrics where run_name = ? order by step"
            logs = [(step, json.loads(x)) for step, x in base.execute(query, (names[2],))]
            query = "select config from configs where run_name = ?"
            config = json.loads(base.execute(query, (names[2],)).fetchone()[0])
        assert config["optimizer"] == EVIL and config["learning_rate"] == 0.1
        for name in study.curves.data_vars:
            told = [(step, np.float32(x[name])) for step, x in logs if name in x]
            assert told == curve_of(study, 2, name)
        assert logs[-1][1]["result/test_accuracy"] == study.trials["test_accuracy"][2]
        with pytest.raises(ValueError, match="give another name"):
            study.to_trackio("a project")
        assert capsys.readouterr().out == ""

    def test_tensorboard(self, study, tmp_path):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams import plugin_data_pb2

        directory = study.to_tensorboard(tmp_path / "board")
        read = EventAccumulator(str(directory / "trial-0002"))
        read.Reload()
        for name in study.curves.data_vars:
            told = [(one.step, np.float32(one.value)) for one in read.Scalars(name)]
            assert told == curve_of(study, 2, name)
        content = read.PluginTagToContent("hparams")["_hparams_/session_start_info"]
        data = plugin_data_pb2.HParamsPluginData.FromString(content)
        assert data.session_start_info.hparams["optimizer"].string_value == EVIL
