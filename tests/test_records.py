"""Whose file is it? What a study writes, replaces, follows and believes."""

import errno
import gc
import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import h5py
import jax
import numpy as np
import pandas as pd
import pytest
import report_studies
import written_studies
from helpers import reuse
from long_form import every, only

import jaxopt_course as joc
from jaxopt_course.records import arrays, checkpoints, claims, files, lock, store
from jaxopt_course.records.format import OWN, table_sha256

TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.01, 0.02], seed=range(2))


def sweep(directory, trials=TRIALS, **settings):
    settings = {"epochs": 2, "batch_size": 5, "progress": False} | settings
    return joc.sweep("line", trials, directory=directory, devices=jax.devices()[:1], **settings)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = sweep(tmp_path_factory.mktemp("runs") / "study")
    made.confirm(1, progress=False)
    return made


@pytest.fixture
def copy(study, tmp_path):
    return shutil.copytree(study.directory, tmp_path / "copy", symlinks=True)


def listing(directory):
    """Every file with its content."""
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in sorted(directory.rglob("*"))
        if file.is_file() and not file.is_symlink()
    }


# ---------------------------------------------------------------- directories of others

THEIRS = [
    *sorted(name for name in OWN if name not in ("checkpoint", ".commit")),
    "checkpoint/model.pt",
    "checkpoint/0000/0.state",
    "buckets/0000/x",
    "notes.txt",
    ".gitignore",
]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_directory_of_somebody_else_is_refused_and_left_as_it_is(tmp_path, overwrite):
    for name in THEIRS:
        directory = tmp_path / name.replace("/", "-")
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("mine")
        with pytest.raises(FileExistsError, match="holds files that are no study's") as error:
            sweep(directory, overwrite=overwrite)
        assert name.split("/")[0] in str(error.value)
        assert listing(directory) == {name: b"mine"}


@pytest.mark.parametrize("name", ["manifest.json", "checkpoint/question.json"])
def test_a_manifest_that_is_none_of_ours_makes_no_study(tmp_path, name):
    """Another program's, or one of ours that was cut up."""
    for content in ("{}", '{"format_version": 1}', '{"format_version": 2, "trials": 3}', "[]"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
        (tmp_path / "trials.csv").write_text("a,b\n")
        before = listing(tmp_path)
        with pytest.raises(FileExistsError, match="no study's"):
            sweep(tmp_path, overwrite=True)
        assert listing(tmp_path) == before


def test_overwriting_replaces_studies_and_nothing_that_lies_beside_them(copy, study):
    theirs = ["notes.txt", "figures/mine.png", "confirm/mine.csv", "checkpoint/model.pt"]
    for name in theirs:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("mine")
    study.save(copy, overwrite=True)
    assert all((copy / name).read_text() == "mine" for name in theirs)
    assert not (copy / "confirm" / "trials.csv").exists()  # of the study that is gone
    pd.testing.assert_frame_equal(joc.Study.load(copy).trials, study.trials)


@pytest.mark.parametrize("link", [False, True])
def test_figures_go_with_the_study_that_they_are_of(copy, study, tmp_path, link):
    """Not through a link: what it leads to is somebody's."""
    folder = copy / "figures"
    if link:
        (tmp_path / "pictures").mkdir()
        folder.symlink_to(tmp_path / "pictures")
    folder.mkdir(exist_ok=True)
    for name in ("curves.png", "sensitivity.png", "final.png"):
        (folder / name).write_text("of the old one")
    study.save(copy, overwrite=True)
    assert len([*folder.iterdir()]) == (3 if link else 0)


@pytest.mark.long
def test_a_study_without_its_list_is_known_by_what_it_holds(copy, study):
    """As older versions left them, and people who copy without dot files."""
    (copy / ".study.json").unlink()
    (copy / "report.html").write_text("mine")
    joc.Study.load(copy).confirm([9], devices=jax.devices()[:1], progress=False)
    with pytest.raises(FileExistsError, match=r"report\.html was there before the study"):
        joc.Study.load(copy).report()
    assert (copy / "report.html").read_text() == "mine"


def test_a_page_that_is_ours_is_known_by_its_headline(copy):
    joc.Study.load(copy).report()
    (copy / ".study.json").unlink()
    assert {"report.html", "figures/curves.png"} <= claims.verified_names(copy)
    page = (copy / "report.html").read_text("utf-8")
    (copy / "report.html").write_text(page.replace('class="headline"', 'class="title"'), "utf-8")
    assert "report.html" not in claims.verified_names(copy)


def test_a_pipe_in_the_place_of_a_page_is_not_waited_for(copy):
    (copy / ".study.json").unlink()
    os.mkfifo(copy / "report.html")
    assert "report.html" not in claims.verified_names(copy)


def test_where_a_sweep_failed_there_is_nothing_that_would_own_what_comes_later(tmp_path):
    """Dot files are not seen: the next sweep would have replaced what the user put there."""
    with pytest.raises(ValueError, match="fails: ZeroDivisionError"):
        sweep(tmp_path, TRIALS.drop(columns="optimizer")[:4], optimizer=lambda h: 1 / 0)
    assert listing(tmp_path) == {}


STRAYS = ["trials.csv", "report.html", "figures/curves.png", "confirm/trials.csv", "manifest.json"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", only(["trials.csv", "figures/curves.png"], STRAYS))
def test_what_lies_where_a_study_was_is_not_the_study_s(copy, study, name, overwrite):
    """Whoever empties a directory by hand leaves the list of its names."""
    for file in [*copy.iterdir()]:
        if not file.name.startswith("."):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("{}")
    before = listing(copy)
    with pytest.raises(FileExistsError, match=r"no study's|already holds a study"):
        study.save(copy, overwrite=overwrite)
    assert listing(copy) == before


def test_what_is_put_there_while_a_sweep_runs_is_not_the_study_s(tmp_path, monkeypatch):
    write = store.write
    put = lambda *rest: ((tmp_path / "trials.csv").write_text("mine"), write(*rest))
    monkeypatch.setattr(store, "write", put)
    with pytest.raises(FileExistsError, match=r"no study's \(trials\.csv\)") as error:
        sweep(tmp_path)
    assert (tmp_path / "trials.csv").read_text() == "mine"
    monkeypatch.setattr(store, "write", write)
    (tmp_path / "trials.csv").unlink()
    resumed = joc.Study.resume(tmp_path, progress=False, devices=jax.devices()[:1])
    assert resumed.trials.equals(error.value.study.trials)


@pytest.mark.parametrize("name", [".study.json", ".lock"])
def test_files_of_that_name_that_are_not_ours(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises((ValueError, FileExistsError), match=name):
        sweep(tmp_path, overwrite=True)
    assert listing(tmp_path) == {name: b"mine"}


# ---------------------------------------------------------------- links


def targets(tmp_path):
    """Something of the user's outside the study."""
    (tmp_path / "keep" / "folder").mkdir(parents=True)
    (tmp_path / "keep" / "file").write_text("mine")
    (tmp_path / "keep" / "folder" / "manifest.json").write_text("mine")
    (tmp_path / "keep" / "folder" / "curves.png").write_text("mine")
    return tmp_path / "keep"


LINKED = [*sorted(OWN), ".lock", ".study.json", ".commit", "figures", "confirm", "checkpoint"]


@pytest.mark.parametrize(
    "name", only(["manifest.json", "confirm/trials.csv", "weights", "checkpoint"], LINKED)
)
def test_no_link_leads_out_of_a_study(study, copy, tmp_path, name, monkeypatch):
    """Reading refuses it, writing refuses or replaces the link; what it points to stays."""
    reuse(monkeypatch, study)
    keep = targets(tmp_path)
    before = listing(keep)
    link = copy / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(keep / ("folder" if name in ("figures", "confirm", "checkpoint") else "file"))
    for act in (
        lambda: joc.Study.load(copy),
        lambda: joc.Study.load(copy).report(),
        lambda: joc.Study.load(copy).confirm([7], devices=jax.devices()[:1], progress=False),
        lambda: joc.Study.resume(copy, devices=jax.devices()[:1], progress=False),
        lambda: sweep(copy, overwrite=True),
    ):
        try:
            act()
        except (ValueError, OSError) as error:
            assert "Errno" not in str(error), error
        assert listing(keep) == before


@pytest.mark.parametrize("name", ["manifest.json", "trials.csv", "curves.nc"])
def test_what_is_no_regular_file_is_not_waited_for(copy, name):
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(ValueError, match=f"{name} is a pipe"):
        joc.Study.load(copy)


# ---------------------------------------------------------------- lists of strangers

COMMITS = [
    '["../keep/file", "a", "b"]',
    "[]",
    "{}",
    "3",
    "null",
    '["a"]',
    '{"sha256": {"../keep/file": "0"}}',
    '{"sha256": {"trials.csv": 1, "curves.nc": [], "manifest.json": null}}',
    '{"sha256": []}',
    "not json",
    "[" * 100_000,
]


@pytest.mark.parametrize("content", every(3, COMMITS), ids=range(len(COMMITS)))
def test_a_list_of_files_under_way_names_no_paths(copy, tmp_path, study, content, monkeypatch):
    reuse(monkeypatch, study)
    keep = targets(tmp_path)
    (copy / ".commit").write_text(content)
    before, mine = listing(keep), listing(copy)
    pd.testing.assert_frame_equal(joc.Study.load(copy).trials, study.trials)
    assert listing(copy) == mine  # reading writes nothing
    joc.Study.load(copy).confirm([7], devices=jax.devices()[:1], progress=False)
    assert listing(keep) == before


def test_a_list_of_names_reaches_no_further_than_the_format(copy, tmp_path, study):
    keep = targets(tmp_path)
    names = ["../keep/file", str(keep / "file"), "notes.txt", "checkpoint/model.pt", 3, None]
    content = json.loads((copy / ".study.json").read_text())
    content["names"] += names
    (copy / ".study.json").write_text(json.dumps(content))
    (copy / "notes.txt").write_text("mine")
    study.save(copy, overwrite=True)
    assert (copy / "notes.txt").read_text() == "mine"
    assert (keep / "file").read_text() == "mine"


# ---------------------------------------------------------------- what is believed


@pytest.mark.parametrize("text", ["TRUE", "true", "1", "True"])
def test_a_spreadsheets_booleans_are_what_they_were(tmp_path, text):
    """Once FALSE was read where TRUE was written."""
    file = tmp_path / "t.csv"
    file.write_text(f"nesterov\n{text}\nFalse\n")
    table = store.read_table(file, {"nesterov": "boolean"})
    assert table["nesterov"].tolist() == [True, False]
    file.write_text("nesterov\nyes\n")
    with pytest.raises(ValueError, match="'yes' is neither True nor False"):
        store.read_table(file, {"nesterov": "boolean"})


@pytest.mark.parametrize(
    "old, new", [(",0.01,", ",0.03,"), (",0,,", ",5,,"), ("sgd", "adam"), ("sgd", "sgd\x1b[2J")]
)
def test_a_table_that_was_edited_is_not_believed(copy, old, new):
    text = (copy / "trials.csv").read_text()
    assert old in text
    (copy / "trials.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"trials\.csv was edited"):
        joc.Study.load(copy)


@pytest.mark.long
def test_a_confirmation_of_another_study_is_not_shown(study, tmp_path):
    """As a power cut may leave it: a new study beside the old one's confirmation."""
    other = sweep(tmp_path / "other", TRIALS.assign(learning_rate=TRIALS["learning_rate"] * 2))
    shutil.copytree(study.directory / "confirm", tmp_path / "other" / "confirm")
    assert store.read_confirmation(other.directory, other.manifest) is None
    assert store.read_confirmation(study.directory, study.manifest) is not None


@pytest.mark.parametrize("size", [10**8, 10**15])
def test_curves_that_were_never_written_take_no_memory(copy, size):
    with h5py.File(copy / "curves.nc", "a") as file:
        del file["train_loss"]
        file.create_dataset("train_loss", shape=(8, size), dtype="f4", chunks=(1, 1 << 20),
                            compression="gzip")  # fmt: skip
    with pytest.raises(ValueError, match=r"curves\.nc is damaged: 'train_loss' is larger than"):
        joc.Study.load(copy)


@pytest.mark.parametrize("how", ["external", "link", "soft", "virtual", "group", "text"])
def test_curves_that_lie_elsewhere_are_not_read(copy, tmp_path, how):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x00" * 64)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros((8, 2), "f4")
    with h5py.File(copy / "curves.nc", "a") as file:
        del file["train_loss"]
        if how == "external":
            where = [(str(secret), 0, h5py.h5f.UNLIMITED)]
            file.create_dataset("train_loss", shape=(8, 2), dtype="f4", external=where)
        elif how == "link":
            file["train_loss"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
        elif how == "soft":
            file["train_loss"] = h5py.SoftLink("/valid_loss")
        elif how == "virtual":
            layout = h5py.VirtualLayout((8, 2), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (8, 2))
            file.create_virtual_dataset("train_loss", layout)
        elif how == "group":
            file.create_group("train_loss")
        else:
            file["train_loss"] = np.array([b"text"])
    with pytest.raises(ValueError, match=r"curves\.nc is damaged: 'train_loss'"):
        joc.Study.load(copy)


def shared(archive):
    """As many entries of the same bytes as there is room for."""
    end = archive.rindex(b"PK\x05\x06")
    start = int.from_bytes(archive[end + 16 : end + 20], "little")
    entry, many = archive[start:end], 20_000
    count = many.to_bytes(2, "little") * 2 + (len(entry) * many).to_bytes(4, "little")
    return archive[:start] + entry * many + archive[end : end + 8] + count + archive[end + 16 :]


def locked_up(archive):
    changed = bytearray(archive)
    changed[6] |= 1
    changed[archive.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def headed(text):
    """An entry whose header is this."""
    line = text.encode() + b"\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\0" + len(line).to_bytes(2, "little") + line)
    return stream.getvalue()


WHOLE = arrays.pack({"x": np.zeros(100_000)})
ODD_ARCHIVES = {
    "shared": shared(WHOLE),
    "locked": locked_up(WHOLE),
    "open bracket": headed("((("),
    "indented": headed("  x\n y"),
    "deep": headed("-" * 9000 + "1"),
}


@pytest.mark.parametrize("name", ODD_ARCHIVES)
def test_archives_that_are_none_of_ours_are_refused(name):
    with pytest.raises(ValueError, match=r"no arrays|larger than it can be|there twice"):
        arrays.unpack(ODD_ARCHIVES[name])


def test_arrays_are_no_larger_than_their_bytes():
    """A zip bomb, a header that lies, a pickle."""
    import io
    import zipfile

    good = {"x": np.arange(6.0).reshape(2, 3), "y": np.array(7)}
    back = arrays.unpack(arrays.pack(good))
    assert all(np.array_equal(back[name], good[name]) for name in good)
    bomb = io.BytesIO()
    np.savez_compressed(bomb, x=np.zeros(10**6))
    with pytest.raises(ValueError, match="larger than it can be"):
        arrays.unpack(bomb.getvalue())
    liar = io.BytesIO()
    with zipfile.ZipFile(liar, "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
        )
        archive.writestr("x.npy", header.getvalue())
    with pytest.raises(ValueError, match="an array of"):
        arrays.unpack(liar.getvalue())
    pickled = io.BytesIO()
    np.savez(pickled, x=np.array([{}], object))
    with pytest.raises(ValueError):
        arrays.unpack(pickled.getvalue())
    with pytest.raises(ValueError, match="no arrays"):
        arrays.unpack(b"nothing")


# ---------------------------------------------------------------- others at work


def test_a_directory_that_changed_hands_meanwhile_is_not_written_into(study, tmp_path, monkeypatch):
    """Renamed while a sweep runs, and another study is put in its place."""
    from helpers import reuse

    reuse(monkeypatch, study)
    directory = tmp_path / "study"
    train = joc.studies.session.Session.train

    def meanwhile(self, *arguments, **named):
        outcome = train(self, *arguments, **named)
        directory.rename(tmp_path / "moved")
        shutil.copytree(study.directory, directory)
        return outcome

    monkeypatch.setattr(joc.studies.session.Session, "train", meanwhile)
    with pytest.raises(FileExistsError, match="moved away while the sweep ran") as error:
        sweep(directory)
    pd.testing.assert_frame_equal(error.value.study.trials, study.trials)
    assert listing(directory) == listing(study.directory)
    pd.testing.assert_frame_equal(joc.Study.load(directory).trials, study.trials)


def test_a_directory_that_was_deleted_meanwhile_is_made_again(study, tmp_path, monkeypatch):
    from helpers import reuse

    reuse(monkeypatch, study)
    train = joc.studies.session.Session.train

    def meanwhile(self, *arguments, **named):
        outcome = train(self, *arguments, **named)
        shutil.rmtree(tmp_path / "study")
        return outcome

    monkeypatch.setattr(joc.studies.session.Session, "train", meanwhile)
    made = sweep(tmp_path / "study")
    pd.testing.assert_frame_equal(joc.Study.load(made.directory).trials, made.trials)


@pytest.mark.parametrize("number", ["EIO", "EBADF", "EACCES"])
def test_a_lock_that_fails_is_no_file_system_without_locks(tmp_path, monkeypatch, number):
    import errno

    def fail(*_):
        raise OSError(getattr(errno, number), "no")

    monkeypatch.setattr(lock.fcntl, "flock", fail)
    with pytest.raises(OSError, match="no"), lock.locked(tmp_path):
        pass


def test_leftovers_of_who_died_while_tidying_up_go_with_the_next_writer(copy):
    folder = copy / "checkpoint" / "0000"
    folder.mkdir(parents=True)
    for name in ("0.state", "results.json", ".1.state.partial"):
        (folder / name).write_text("left")
    (copy / "figures").mkdir()
    (copy / "figures" / ".curves.png.partial").write_text("half")
    with claims.held(copy):
        pass
    assert not (copy / "checkpoint").exists()
    assert not [*(copy / "figures").iterdir()]


def test_answers_that_cannot_be_removed_stop_the_next_question(copy, monkeypatch):
    """Or an old bucket's results would be taken for the new sweep's."""
    folder = copy / "checkpoint" / "0000"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text("{}")
    unlink = os.unlink

    def refuse(path, *rest, **named):
        if "0000" in os.fspath(path):
            raise PermissionError(13, "no", os.fspath(path))
        unlink(path, *rest, **named)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(PermissionError):
        sweep(copy, overwrite=True)


def test_files_are_on_the_disk_before_they_are_in_their_place(study, tmp_path, monkeypatch):
    """Every rename after the bytes were flushed, and the directory after the rename."""
    done = []
    real = {name: getattr(os, name) for name in ("fsync", "replace", "open")}
    names = {}

    def open_(path, *rest, **named):
        handle = real["open"](path, *rest, **named)
        names[handle] = str(path)
        return handle

    def fsync(handle):
        done.append(("fsync", os.readlink(f"/proc/self/fd/{handle}")))
        real["fsync"](handle)

    def replace(source, target):
        done.append(("replace", str(source)))
        real["replace"](source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "open", open_)
    directory = study.save(tmp_path / "saved").directory
    renamed = [i for i, (what, _) in enumerate(done) if what == "replace"]
    assert len(renamed) >= 5
    for i in renamed:
        assert ("fsync", done[i][1]) in done[:i], done[i]
        assert ("fsync", str(directory)) in done[i:], done[i]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_kept_in_a_cycle_harms_nobody(study, tmp_path, monkeypatch):
    """A view of a buffer in the error's frames ends Python 3.12 when it is collected."""
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    def full(self, content):
        raise OSError(28, "No space left on device")

    def fail():
        kept = []
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            for act in (
                lambda: study.save(tmp_path / "study"),
                lambda: checkpoints.keep(tmp_path, checkpoints.Left(study.trials, study.curves, {}),
                                         "asked"),
            ):  # fmt: skip
                try:
                    act()
                except OSError as error:
                    kept.append(error)  # in a cycle: the frame holds the list
        assert len(kept) == 2

    (tmp_path / "question.json").write_text('{"sha256": "asked"}')
    monkeypatch.setattr(checkpoints, "question_of", lambda _: "asked")
    fail()
    gc.collect()
    assert unraisable == []


def test_views_of_buffers_are_handed_to_nobody():
    """``to_netcdf`` and ``getbuffer`` give views; what is kept of them must be bytes."""
    package = Path(joc.__file__).parent
    for file in package.rglob("*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert ".getbuffer(" not in line, file
            assert ".to_netcdf(" not in line or "bytes(" in line, (file, line)


def test_format_1_is_known_to_one_file_only():
    package = Path(joc.__file__).parent
    for file in package.rglob("*.py"):
        if file.name == "format_1.py":
            continue
        text = file.read_text(encoding="utf-8")
        assert "buckets/" not in text and "seal.json" not in text, file


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "loop/x"])
def test_a_path_that_is_none_is_named(tmp_path, name):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    where = f"{tmp_path}/{name}"
    for use in (joc.Study.load, joc.Study.resume, sweep):
        with pytest.raises((FileNotFoundError, PermissionError, ValueError)) as error:
            use(where)
        said = str(error.value)
        assert name[:20].replace("\0", r"\x00") in said and "Errno" not in said


def test_as_many_events_are_read_as_a_study_may_have(copy):
    (copy / "events.jsonl").write_text('{"event": 1}\n' * (store.MOST_EVENTS + 5))
    assert len(store.read_events(copy)) == store.MOST_EVENTS
    os.truncate(copy / "events.jsonl", 1 << 34)  # holes, that take no room
    assert store.read_events(copy) == [] and joc.Study.load(copy)


def test_a_table_or_a_page_as_large_as_no_study_s_is_not_read(copy):
    with open(copy / "report.html", "ab") as page, open(copy / "trials.csv", "ab") as table:
        page.truncate(1 << 34)  # holes, that take no room
        assert "report.html" not in claims.verified_names(copy)
        table.truncate(1 << 34)
    with pytest.raises(ValueError, match=r"trials.csv is damaged: it is larger than"):
        joc.Study.load(copy)


def test_what_a_parser_says_of_a_file_is_no_order_to_a_terminal(copy):
    def parse(_):
        raise OSError("no date: days since \x1b[2J")

    with pytest.raises(ValueError, match=r"curves.nc is damaged: .*since \\x1b\[2J"):
        files.read_part(copy / "curves.nc", parse)


def rescaled(content):
    content["train_loss"].attrs["scale_factor"] = 2.0  # xarray would multiply


def in_a_compressed_piece(content):
    """Reading 32 numbers would unfold the whole piece."""
    values = content["valid_loss"][...]
    del content["valid_loss"]
    settings = {"maxshape": (None, None), "chunks": (8, 1 << 20), "compression": "gzip"}
    content.create_dataset("valid_loss", data=values, **settings)


def turned(content):
    values = content["train_loss"][...]
    del content["train_loss"]
    array = content.create_dataset("train_loss", data=values.T.copy())
    array.dims[0].attach_scale(content["step"])
    array.dims[1].attach_scale(content["trial"])


def put(axis, value):
    def change(content):
        content[axis][...] = value

    return change


ODD_CURVES = {
    "has the attribute 'scale_factor'": rescaled,
    "lies in pieces": in_a_compressed_piece,
    "'train_loss' is no curve": turned,
    "'x' is no curve": lambda content: content.create_dataset("x", data=np.zeros((2, 2, 2), "f4")),
    "lacks the axis 'eval_step'": lambda content: content.move("eval_step", "other"),
    "trials, not these 8 in their order": put("trial", [*range(7, -1, -1)]),
    "'eval_step' does not count": put("eval_step", 1),
    "'step' does not count": put("step", [0, 1]),
    "of \\(17,\\)": lambda content: content["step"].attrs.create("NAME", np.zeros(17)),
}


@pytest.mark.parametrize("why", ODD_CURVES)
def test_curves_that_are_no_study_s_are_refused_before_they_are_read(copy, why):
    with h5py.File(copy / "curves.nc", "r+") as content:
        ODD_CURVES[why](content)
    with pytest.raises(ValueError, match=rf"curves\.nc is damaged: .*{why}"):
        joc.Study.load(copy)


def test_rows_that_were_turned_round_are_refused(copy):
    """Their ids and numbers are those of the manifest; the curves would be others'."""
    trials = pd.read_csv(copy / "trials.csv", dtype="string", keep_default_na=False)
    trials.assign(trial=trials["trial"][::-1].to_numpy()).to_csv(copy / "trials.csv", index=False)
    with pytest.raises(ValueError, match=r"trials\.csv was edited: its trials are not 0 to 7"):
        joc.Study.load(copy)


# ---------------------------------------------------------------- snapshots


@pytest.fixture
def bucket(tmp_path):
    """A bucket's folder with three snapshots, of which the last two are there."""
    folder = tmp_path / "checkpoint" / "0000"
    folder.mkdir(parents=True)
    (folder.parent / "question.json").write_text('{"sha256": "asked"}')
    for number in range(3):
        checkpoints.save(folder, {"x": np.array([number])}, "asked")
    return folder


def test_of_two_whole_snapshots_the_newer_counts(bucket):
    assert checkpoints.newest(bucket)["x"] == 2
    (bucket / "0.state").unlink()  # the third
    assert checkpoints.newest(bucket)["x"] == 1


def test_a_damaged_snapshot_makes_room_for_the_next_and_the_whole_one_stays(bucket):
    newer = bucket / "0.state"
    newer.write_bytes(newer.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="0.state is damaged"):
        assert checkpoints.newest(bucket)["x"] == 1
    saved = checkpoints.save(bucket, {"x": np.array([3])}, "asked")
    assert saved == newer and checkpoints.newest(bucket)["x"] == 3
    saved.unlink()
    assert checkpoints.newest(bucket)["x"] == 1


def test_a_snapshot_whose_first_line_does_not_end_is_none(bucket):
    """Of a file of any size 64 KiB are read, no more, before it counts as the newest."""
    newer = bucket / "0.state"
    line, _, payload = newer.read_bytes().partition(b"\n")
    newer.write_bytes(line[:-1] + b" " * 100_000 + b"}\n" + payload)
    assert checkpoints.newest(bucket)["x"] == 1


def test_a_table_and_curves_of_fewer_trials_than_the_manifest_says_are_refused(tmp_path):
    """Both cut at one row fit each other: the manifest alone knows."""
    rows = [report_studies.trial(seed=seed) for seed in range(2)]
    directory = report_studies.write(tmp_path / "cut", rows, trials=3)
    with pytest.raises(ValueError, match=r"the manifest says 3 trials, trials\.csv has 2"):
        store.read(directory)


def test_the_hash_of_a_table_is_that_of_its_text():
    """Studies on disk carry it: it may not change."""
    trials = pd.DataFrame({"loss": [1.0], "seed": [3], "learning_rate": [0.5], "id": ["a"]}, [7])
    text = b"id,learning_rate,seed\na,0.5,3\n"
    assert table_sha256(trials, ["learning_rate"]) == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize("name", [3, None, ["x"]])
def test_a_name_that_is_no_text_is_damage(copy, name):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["searched"] = [*manifest["searched"], name]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="is damaged: a name that is no text"):
        joc.Study.load(copy)


@pytest.mark.parametrize("task", [{}, {"name": "wine"}, {"name": "wine", "metrics": {"loss": 1}}])
def test_a_task_without_what_a_study_says_of_it_is_damage(copy, task):
    """Loaded, it could not be shown, and had no best."""
    manifest = json.loads((copy / "manifest.json").read_text()) | {"task": task}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"task is damaged|is damaged: metrics"):
        joc.Study.load(copy)


@pytest.mark.parametrize("metric", ["x", "test_loss", "valid_y", ""])
def test_a_metric_that_the_task_does_not_have_is_damage(copy, metric):
    manifest = json.loads((copy / "manifest.json").read_text()) | {"metric": metric}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="is damaged: metric"):
        joc.Study.load(copy)


@pytest.mark.parametrize("name", ["steps", "batch_size", "record_every", "evaluate_every"])
def test_a_budget_of_nothing_is_damage(copy, name):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["buckets"][0]["budget"][name] = 0
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="is damaged: a budget of"):
        joc.Study.load(copy)


@pytest.mark.parametrize(
    "name, value",
    [
        ("continues", {"stretched": [1]}),
        ("mesh", {"a": 1}),
        ("mesh", {"axes": {"lanes": "x"}}),
        ("added_with", 3),
        ("added_with", [{"trials": [0]}]),
        ("measured_with", 3),
        ("measured_with", {"loss": [3]}),
        ("repeatable", "x"),
        ("buckets", ...),
    ],
)
def test_what_only_some_studies_say_is_checked_before_it_is_read(copy, name, value):
    """Loaded, they broke `replay` and `best` with errors of Python's."""
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest[name] = manifest["buckets"] * 2 if value is ... else value
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=rf"manifest\.json is damaged: {name} is"):
        joc.Study.load(copy)


def test_a_bound_of_the_loss_that_is_no_number_is_damage(copy):
    """A resume met it while it compiled, in words of NumPy's."""
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["buckets"][0]["budget"]["diverges_times"] = "x"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="is damaged: a budget of"):
        joc.Study.load(copy)


def test_a_question_is_read_as_it_was_asked(tmp_path):
    trials = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.1])
    known = sweep(None, trials).manifest
    written_studies.begin(tmp_path)
    checkpoints.ask(tmp_path, checkpoints.Question(known, trials))
    text = (tmp_path / "checkpoint" / "question.csv").read_text()
    assert text == "optimizer,learning_rate\nsgd,0.1\nadam,0.1\n"
    pd.testing.assert_frame_equal(checkpoints.asked(tmp_path).trials, trials)


def test_json_is_written_as_people_read_it():
    text = files.dump({"tarea": "dígitos", "lanes": [1]}).decode()
    assert text == '{\n  "tarea": "dígitos",\n  "lanes": [\n    1\n  ]\n}\n'


def test_why_a_path_leads_nowhere_is_said(tmp_path):
    why = os.strerror(errno.ENAMETOOLONG)
    with pytest.raises(PermissionError, match=f"leads nowhere: {why}$"):
        files.where(tmp_path / ("x" * 300))


def test_who_lost_its_lock_to_another_knows(tmp_path):
    """A deleted .lock lets a second process in; the first must not write any more."""
    with lock.locked(tmp_path):
        before = os.stat(tmp_path / lock.LOCK)
        assert lock.still_held(tmp_path, before)
        (tmp_path / lock.LOCK).unlink()
        assert not lock.still_held(tmp_path, before)
        with lock.locked(tmp_path):
            assert not lock.still_held(tmp_path, before)


@pytest.mark.parametrize(
    "entry",
    [
        {"static": ["nobody"]},
        {"part": [9, 3]},
        {"part": {"rank": 3, "of": 3, "rows": [0]}},
        {"part": {"rank": 0, "of": 2, "rows": ["0"]}},
    ],
    ids=["static", "a list", "a rank beyond", "rows of text"],
)
def test_entries_that_resuming_relies_on_are_checked(study, tmp_path, entry):
    study.save(tmp_path / "odd")
    file = tmp_path / "odd" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entry))
    [name] = entry
    with pytest.raises(ValueError, match=f"manifest.json is damaged: {name} is"):
        joc.Study.load(file.parent)


@pytest.mark.parametrize("name", [".commit", "confirm/manifest.json"])
def test_a_study_that_is_committed_is_not_said_to_be_unwritten(study, copy, monkeypatch, name):
    """Where what it replaces cannot be removed, a reader finds the new one all the same."""

    def refused(self, *given, unlink=Path.unlink, **named):
        if self == copy / name:
            raise PermissionError(errno.EACCES, "no", str(self))
        unlink(self, *given, **named)

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(PermissionError) as error:
        study.save(copy, overwrite=True)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(joc.Study.load(copy).trials, study.trials)
    (note,) = error.value.__notes__
    assert note.startswith(f"the study is whole in {copy}")
    with claims.held(copy):  # whatever works there next
        assert not (copy / ".commit").exists() and not (copy / "confirm/manifest.json").exists()
