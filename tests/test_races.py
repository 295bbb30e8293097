"""Two who meet in one directory: a reader beside a writer, and a reader who may not write."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import report_studies
from long_form import put
from report_studies import trial
from test_records import listing
from written_studies import parsed_once

from jaxopt_course.records import files, store
from jaxopt_course.report.page import write_report


def record(score, kind="sweep", **manifest):
    manifest |= {"kind": kind, "told": score, "program_sha256": f"{score}".ljust(64, "0")}
    return report_studies.record([trial(seed=seed, score=score) for seed in range(2)], 4, manifest)


OLD, NEW = record(0.5), record(0.75)
CONFIRMED, FRESH = (
    record(one.manifest["told"], "confirmation", confirms=store.identity(one.manifest))
    for one in (OLD, NEW)
)
LOOKS = ("is_file", "read_json", "read_part", "require_folder", "require_regular", "sha256")


def read(directory):
    """What manifest and table of a study and of its confirmation say: each time the same."""
    found = store.read(directory)
    both = found, store.read_confirmation(directory, found.manifest)
    there = [one for one in both if one is not None]
    says = lambda one: (one.manifest["told"], one.trials["valid_accuracy"].iloc[0])
    return [number for one in there for number in says(one)]


def under_way(directory):
    """The new study is whole on the disk, and the old one's files are still in its place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "complete", lambda directory: None)
        store.write(directory, NEW)


def finish(directory):
    """What the writer does then: the new study's files in place, its events and confirmation."""
    store.complete(directory)
    store.write_events(directory, [{"event": "new"}])
    store.write(directory, FRESH, confirmation=True)


def replace(directory):
    store.write(directory, NEW)
    finish(directory)


def serve():
    """As a second process: a line for each thing to do with a directory."""
    for line in sys.stdin:
        what, directory = line.rstrip("\n").split(" ", 1)
        {"finish": finish, "replace": replace}[what](Path(directory))
        print("done", flush=True)


@contextlib.contextmanager
def second(process):
    """A function that does ``finish`` or ``replace``, in another thread or another process."""
    if not process:

        def work(what, directory):
            writer = threading.Thread(target=what, args=[directory])
            writer.start()
            writer.join()

        yield work
        return
    code = f"import sys; sys.path[:0] = {sys.path!r}; import test_races; test_races.serve()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as child:

        def work(what, directory):
            print(what.__name__, directory, file=child.stdin, flush=True)
            assert child.stdout.readline() == "done\n"

        yield work
        child.stdin.close()
    assert child.returncode == 0


@pytest.mark.parametrize("process", [False, put(True, False)], ids=["thread", "process"])
@pytest.mark.parametrize("begun", [put(False, False), put(True, True)])
def test_a_reader_takes_one_study_whole_whenever_a_writer_goes_on(
    tmp_path, begun, process, monkeypatch
):
    """Before each look of the reader at the disk, somebody else does all that it has to do.

    Once a reader deleted the new study's events and confirmation; then it met a manifest of the
    old study beside the new one's table.
    """
    looks, at, seen = 0, None, set()

    def watched(real):
        def look(*args):
            nonlocal looks
            if threading.current_thread() is threading.main_thread():
                looks += 1
                if looks == at:
                    work(finish if begun else replace, directory)
            return real(*args)

        return look

    old, new = tmp_path / "old", tmp_path / "new"
    report_studies.write(old, [trial()])
    store.write(old, OLD)
    store.write(old, CONFIRMED, confirmation=True)
    replace(shutil.copytree(old, new))
    if begun:
        under_way(old)
    for name in LOOKS:
        monkeypatch.setattr(files, name, watched(getattr(files, name)))
    with parsed_once(), second(process) as work:
        for turn in range(1, 1_000):
            directory = shutil.copytree(old, tmp_path / str(turn))
            looks, at = 0, turn
            found, at = read(directory), None
            if looks < turn:  # the reader was done before
                break
            assert found in (2 * [0.5], 4 * [0.5], 2 * [0.75], 4 * [0.75])
            seen.add(found[0])
            assert listing(directory) == listing(new)
    assert turn > 5 and 0.75 in seen and (begun or 0.5 in seen)


@contextlib.contextmanager
def as_nobody():
    """This process as a user who owns nothing; only root can become one."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared():
    """A folder that every user can reach, as pytest's own is not, and read: whatever the umask."""
    before = os.umask(0o022)
    try:
        with tempfile.TemporaryDirectory() as name:
            os.chmod(name, 0o755)
            yield Path(name)
    finally:
        os.umask(before)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_study_that_another_user_may_only_read(shared):
    """As on a read-only medium, also one that was left half replaced: read, and nothing else."""
    directory = report_studies.write(shared / "study", [trial()])
    store.write(directory, OLD)
    store.write(directory, CONFIRMED, confirmation=True)
    halfway = shutil.copytree(directory, shared / "halfway")
    under_way(halfway)
    before = listing(shared)
    store.read(directory)  # what is imported late, in folders that nobody else can reach
    with as_nobody():
        with pytest.raises(PermissionError):
            (directory / "probe").touch()
        assert read(directory) == 4 * [0.5]
        assert read(halfway) == 2 * [0.75]
        for one in (directory, halfway):
            with pytest.raises(PermissionError, match=str(one)) as error:
                write_report(one, png=False)
            assert "Errno" not in str(error.value)
    assert listing(shared) == before
    os.chmod(directory, 0o700)  # not even read: nobody says that there is nothing
    with as_nobody(), pytest.raises(PermissionError, match=str(directory)):
        read(directory)
