"""What exports and sites leave behind where the disk is full, or whoever writes them is killed.

A study itself has ``test_failing_disk``, ``test_power_loss`` and ``test_life``.
"""

import errno
import json
import os
import re
import shutil
import time
from contextlib import contextmanager

import numpy as np
import pytest
import report_studies
from failing_disk import MAKES, MOVES, Refusals
from long_form import only

import jaxopt_course as joc
from jaxopt_course.records import claims
from jaxopt_course.records.programs import Programs

END = b"</html>\n"
EVERY = only([7], [7, 1])  # every so many moments; the long form tries all


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    rows = [report_studies.trial("adam", rate, s, 0.8) for rate in (0.1, 0.2) for s in range(2)]
    rows = [row | {"best_valid_loss": 0.4} for row in rows]
    return joc.Study.load(report_studies.write(tmp_path_factory.mktemp("written") / "mine", rows))


class Killed(BaseException):
    """Nothing can be done to files any more, as if the process were dead."""


class Killing(Refusals):
    """Kills at the n-th thing done to files, and at all after it."""

    def meet(self, kind, path):
        below = isinstance(path, int) or not os.path.relpath(path, self.directory).startswith("..")
        if kind in MAKES | MOVES | {"fsync"} and below:
            here, self.done = self.done, self.done + 1
            if self.number is not None and here >= self.number:
                raise Killed


@contextmanager
def killed(directory, number):
    """Whatever is done inside ends at this moment, or earlier of itself; how many there were."""
    killing = Killing(directory, 0, number, once=False)
    try:
        with killing.at_work():
            yield killing
    except Killed:
        pass


def written(folder):
    """The files of a course, but for the names of cells, which are drawn anew for each notebook."""
    found = {}
    for file in folder.iterdir():
        found[file.name] = re.sub(b"cell-id=\\w+", b"", file.read_bytes())
        if file.suffix == ".ipynb":
            cells = json.loads(found[file.name])["cells"]
            found[file.name] = [(cell["cell_type"], *cell["source"]) for cell in cells]
        elif file.name == "build.json":
            record = json.loads(found[file.name])["lessons"]
            found[file.name] = {k: {**one, "notebook": "a digest"} for k, one in record.items()}
    return found


# ---------------------------------------------------------------- the course


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    notebooks = pytest.importorskip("jaxopt_course.course.notebooks")
    from jaxopt_course.course import site

    def run(file, *, quick=False):
        return notebooks.Lesson(file, notebooks.read(file), seconds=1.0)

    monkeypatch.setattr(site, "run", run)
    folder = tmp_path / "lessons"
    folder.mkdir()
    for name in ("01_a", "02_b", "03_c"):
        (folder / f"{name}.py").write_text(f"# %% [markdown]\n# # {name} ñ\n", encoding="utf-8")
    return folder


def build(lessons, out):
    """Build the course, and say which notebooks were kept as somebody's."""
    from jaxopt_course.course import site

    said = []
    site.build(out, folder=lessons, say=said.append)
    return [line for line in said if "kept" in line]


@pytest.mark.filterwarnings("default")  # of the notebook's own tools
@pytest.mark.parametrize("every", only([37], [37, 3]))  # a moment takes a second: three builds
def test_a_course_that_was_killed_is_built_whole_the_next_time(lessons, tmp_path, every):
    old, whole = tmp_path / "old", tmp_path / "whole"
    assert build(lessons, old) == []
    (old / "02_b.ipynb").write_text("worked in")
    (lessons / "01_a.py").write_text("# %% [markdown]\n# # 01_a, otra\n", encoding="utf-8")
    with killed(whole, None) as killing:
        assert build(lessons, whole) == []
    assert killing.done > 60
    wanted = written(whole)
    assert any("otra" in str(cell) for cell in wanted["01_a.ipynb"])
    for moment in range(0, killing.done, every):
        out = tmp_path / f"new-{moment}"
        with killed(out, moment):
            build(lessons, out)
        assert build(lessons, out) == []
        assert written(out) == wanted
        out = shutil.copytree(old, tmp_path / f"old-{moment}")
        with killed(out, moment):
            build(lessons, out)
        (kept,) = build(lessons, out)
        assert "02_b.ipynb has changes of yours" in kept
        assert (out / "02_b.ipynb").read_text() == "worked in"
        (out / "02_b.ipynb").write_bytes((whole / "02_b.ipynb").read_bytes())
        assert written(out) == wanted


@pytest.mark.filterwarnings("default")
def test_a_full_disk_cuts_no_page_of_the_course(lessons, tmp_path):
    out = tmp_path / "site"
    build(lessons, out)
    before = written(out)
    (lessons / "01_a.py").write_text("# %% [markdown]\n# # 01_a, otra\n", encoding="utf-8")
    for number in range(0, 40, 3):
        with (
            Refusals(out, errno.ENOSPC, number, once=False).at_work(),
            pytest.raises(OSError, match=str(out)),
        ):
            build(lessons, out)
        for name, content in written(out).items():  # notebooks and records can be parsed
            assert content == before[name] or "01_a" in name or name in ("build.json", "index.html")
            assert name.endswith((".css", ".png", ".ipynb", ".json", ".py")) or content.endswith(
                END
            )
    assert build(lessons, out) == []


def test_half_a_lesson_that_was_kept_runs_again(lessons, tmp_path, monkeypatch):
    pytest.importorskip("nbformat")
    from jaxopt_course.site import executed

    runs = []

    def run(file, *, quick):
        runs.append(file.stem)
        return executed.Lesson(file, executed.read(file), seconds=1.0)

    monkeypatch.setattr(executed, "run", run)
    file, kept = lessons / "01_a.py", tmp_path / "kept"
    assert executed.executed(file, kept)[1] and not executed.executed(file, kept)[1]
    whole = (kept / "01_a.ipynb").read_bytes()
    for half in (whole[: len(whole) // 2], b"", b"[1]", "ñ".encode()[:1]):
        (kept / "01_a.ipynb").write_bytes(half)
        assert executed.executed(file, kept)[1]
        assert not executed.executed(file, kept)[1]
    assert runs == ["01_a"] * 5


def test_half_a_source_of_the_site_is_written_again(tmp_path):
    pytest.importorskip("sphinx")
    from jaxopt_course.site.sources import written as put

    file = tmp_path / "page.md"
    put(file, "año\n")
    file.write_bytes("añ".encode()[:2])  # cut within a letter
    put(file, "año\n")
    assert file.read_text(encoding="utf-8") == "año\n"


def test_sphinx_makes_all_again_after_a_build_that_did_not_end(tmp_path, monkeypatch):
    build = pytest.importorskip("jaxopt_course.site.build")
    commands, codes = [], iter([1, 0, 0])

    def run(command, **named):
        commands.append(command)
        if len(commands) == 2:
            raise KeyboardInterrupt
        return build.subprocess.CompletedProcess(command, next(codes), "", "a warning")

    monkeypatch.setattr(build.subprocess, "run", run)
    for error in (build.SphinxFailed, KeyboardInterrupt, None, None):
        if error is None:
            build.sphinx(tmp_path, tmp_path, "en")
        else:
            with pytest.raises(error):
                build.sphinx(tmp_path, tmp_path, "en")
    assert [{"-E", "-a"} <= {*command} for command in commands] == [False, True, True, False]


# ---------------------------------------------------------------- exports


def names_in(file):
    """The studies of a journal, and how many trials each has, as Optuna reads it."""
    optuna = pytest.importorskip("optuna")
    backend = optuna.storages.journal.JournalFileBackend(str(file))
    storage = optuna.storages.JournalStorage(backend)
    return {x.study_name: x.n_trials for x in optuna.get_all_study_summaries(storage)}


def full_after(monkeypatch, room):
    """Files that are appended to take so many bytes more, and then the disk is full."""
    import io

    plain = io.open

    def opened(file, mode="r", *args, **named):
        stream = plain(file, mode, *args, **named)
        if "a" in mode:
            write = stream.write

            def some(content):
                write(content[:room])
                stream.flush()
                if len(content) > room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            stream = Half(stream, some)
        return stream

    monkeypatch.setattr("io.open", opened)
    monkeypatch.setattr("builtins.open", opened)


class Half:
    def __init__(self, stream, write):
        self.stream, self.write = stream, write

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stream.close()


@pytest.mark.parametrize("room", [0, 20, 200, 900])
def test_a_full_disk_leaves_optuna_s_journal_as_it_was(study, tmp_path, monkeypatch, room):
    pytest.importorskip("optuna")
    file = tmp_path / "journal.log"
    study.to_optuna(file, "there")
    before = file.read_bytes()
    with monkeypatch.context() as patch:
        full_after(patch, room)
        with pytest.raises(OSError, match=rf"No space left on device: '{file}'"):
            study.to_optuna(file, "new")
    after = file.read_bytes()
    assert after.startswith(before) and after.endswith(b"\n")
    assert names_in(file) in ({"there": 2}, {"there": 2, "new": 0})
    assert len(study.to_optuna(file, "new").trials) == 2
    assert names_in(file) == {"there": 2, "new": 2}


def test_what_optuna_s_journal_is_told_is_on_the_disk_before_others_may_write(study, tmp_path):
    pytest.importorskip("optuna")
    file, flushed = tmp_path / "optuna.log", []
    sync = os.fsync

    def note(number):
        sync(number)
        if os.path.samestat(os.fstat(number), file.stat()):
            flushed.append((file.stat().st_size, len(os.listdir(tmp_path))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", note)
        study.to_optuna(file, "new")
    assert flushed[-1] == (file.stat().st_size, 2)  # all of it, and the lock beside it
    assert names_in(file) == {"new": 2}


def test_an_export_that_was_killed_goes_on_in_its_bare_study(study, tmp_path):
    optuna = pytest.importorskip("optuna")
    file = tmp_path / "journal.log"
    study.to_optuna(file, "there")
    journal = optuna.storages.journal.JournalFileBackend(str(file))
    storage = optuna.storages.JournalStorage(journal)
    for name, direction in (("bare", "maximize"), ("other", "minimize"), ("used", "maximize")):
        optuna.create_study(study_name=name, storage=storage, direction=direction)
    optuna.load_study(study_name="used", storage=storage).ask()
    assert study.manifest["direction"] == "max"
    assert len(study.to_optuna(file, "bare").trials) == 2
    for taken in ("other", "used", "bare", "there"):
        with pytest.raises(ValueError, match=f"holds a study '{taken}' already"):
            study.to_optuna(file, taken)
    assert names_in(file) == {"there": 2, "bare": 2, "other": 0, "used": 1}


@pytest.mark.parametrize("every", EVERY)
def test_a_board_is_whole_or_not_there(study, tmp_path, every):
    pytest.importorskip("tensorboardX")
    board = tmp_path / "deep" / "board"
    with Refusals(tmp_path, errno.ENOSPC, None, once=False).at_work() as disk:
        whole = {
            str(one.relative_to(board.parent)) for one in study.to_tensorboard(board).rglob("*")
        }
    assert len(whole) == 1 + 2 * 4 and disk.done > 12
    refused = 0
    for number in range(0, disk.done, every):
        there = tmp_path / f"{number}" / "board"
        with Refusals(tmp_path, errno.ENOSPC, number, once=True).at_work():
            try:
                study.to_tensorboard(there)
            except OSError as error:
                assert "No space left on device" in str(error)
                assert not there.parent.exists()
                refused += 1
            else:  # a flush that nothing needs
                assert len([*there.rglob("events.*")]) == 1 + 4
                shutil.rmtree(there)
        there.mkdir(parents=True, exist_ok=True)
        with Refusals(tmp_path, errno.EIO, number + 1, once=True).at_work():
            try:
                study.to_tensorboard(there)
            except OSError:
                assert list(there.iterdir()) == []
            else:
                assert len([*there.rglob("events.*")]) == 1 + 4
    assert refused * every > disk.done / 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("RESOURCE_EXHAUSTED: No space")])
def test_old_weights_of_orbax_stay_until_the_new_ones_are_there(tmp_path, monkeypatch, error):
    ocp = pytest.importorskip("orbax.checkpoint")
    from jaxopt_course.studies import weight_files

    target = tmp_path / "weights"
    old, new = {"w": np.arange(3.0)}, {"w": np.arange(4.0)}
    weight_files.write_weights(old, target, "orbax")
    plain = ocp.PyTreeCheckpointer.save

    def read():
        return weight_files.read_weights(target)["w"].tolist()

    def half(self, path, *args, **named):
        plain(self, path, *args, **named)
        assert read() == [0.0, 1.0, 2.0]  # while the new ones are written
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(ocp.PyTreeCheckpointer, "save", half)
        expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OSError
        with pytest.raises(expected, match=None if expected is KeyboardInterrupt else "weights"):
            weight_files.write_weights(new, target, "orbax")
    assert read() == [0.0, 1.0, 2.0] and os.listdir(tmp_path) == ["weights"]
    with monkeypatch.context() as patch, killed(tmp_path, None):  # between the two renames
        rename = os.rename
        calls = []

        def once(source, to, **named):
            calls.append(to)
            if len(calls) > 1 or os.fspath(to) == os.fspath(target):
                raise Killed
            rename(source, to, **named)

        patch.setattr(os, "rename", once)
        patch.setattr(ocp.PyTreeCheckpointer, "save", lambda self, path, *a, **k: path.mkdir())
        weight_files.write_weights(new, target, "orbax")
    assert not target.exists() and len(os.listdir(tmp_path)) == 2
    weight_files.check_target(target, None, overwrite=True)
    assert read() == [0.0, 1.0, 2.0] and os.listdir(tmp_path) == ["weights"]
    weight_files.write_weights(new, target, "orbax")
    assert read() == [0.0, 1.0, 2.0, 3.0] and os.listdir(tmp_path) == ["weights"]


# ---------------------------------------------------------------- what lies beside


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full here")
def test_half_an_example_is_in_nobody_s_way(tmp_path, monkeypatch, capsys):
    import io

    from jaxopt_course import cli

    plain, file = io.open, tmp_path / "mine.py"

    def full(path, mode="r", *args, **named):
        if mode == "x":
            plain(path, mode).close()
            return plain("/dev/full", "w", *args, **named)
        return plain(path, mode, *args, **named)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("io.open", full)
        cli.main(["init", str(file)])
    assert ended.value.code == 2 and not file.exists()
    assert f"{file}" in (said := capsys.readouterr().err) and "make room" in said
    cli.main(["init", str(file)])
    assert "task" in file.read_text()


def test_half_programs_of_the_killed_are_swept_up_and_fresh_ones_are_not(tmp_path, monkeypatch):
    kept = Programs(tmp_path)
    with monkeypatch.context() as patch, killed(tmp_path, None):

        def kill(*given):
            raise Killed

        patch.setattr(os, "replace", kill)
        patch.setattr(os, "unlink", kill)
        kept.write("a", b"program")
    (half,) = tmp_path.iterdir()
    kept.write("b", b"another")
    assert half.exists()  # another process may be at it
    os.utime(half, (time.time() - 4000,) * 2)
    mine = tmp_path / "tmpmine"
    mine.write_text("mine")
    os.utime(mine, (0, 0))
    kept.write("a", b"program")
    assert not half.exists() and mine.exists()
    assert kept.read("a") == b"program" and kept.read("b") == b"another"


def test_a_program_in_the_place_of_another_is_not_run(tmp_path):
    """Both are whole, and of one kind; only their names tell them apart."""
    kept = Programs(tmp_path)
    kept.write("one", b"program of one")
    (one,) = tmp_path.iterdir()
    kept.write("other", b"program of other")
    (other,) = {*tmp_path.iterdir()} - {one}
    shutil.copyfile(one, other)
    with pytest.warns(UserWarning, match="it is damaged, and removed"):
        assert kept.read("other") is None
    assert kept.read("one") == b"program of one" and not other.exists()


def test_a_directory_without_room_for_its_list_is_left_as_it_was(tmp_path):
    with (
        Refusals(tmp_path, errno.ENOSPC, 3, once=False).at_work(),
        pytest.raises(OSError, match="study"),
        claims.claimed(tmp_path / "runs" / "study"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_with_the_file(study, tmp_path, monkeypatch):
    """A write that meets one names none."""
    (tmp_path / "there.csv").write_text("old")

    def write(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.write_bytes", write)
    with pytest.raises(OSError, match=r"No space left on device: '.*there\.csv'"):
        study.to_csv(tmp_path / "there.csv", overwrite=True)
    with pytest.raises(OSError, match=r"No space left on device: '.*study\.json'"):
        study.save(tmp_path / "saved")
    assert (tmp_path / "there.csv").read_text() == "old"
