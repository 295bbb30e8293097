"""Whatever happens to a sweep, it goes on and ends as the one that nothing happened to."""

import contextlib
import dataclasses
import errno
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
import sweep_to_kill
import xarray as xr
from helpers import reuse
from long_form import only

import jaxopt_course as joc
from jaxopt_course.records import arrays, checkpoints, claims, files, lock
from jaxopt_course.studies import made_with, resume, snapshots
from jaxopt_course.sweeps import engine

pytestmark = pytest.mark.usefixtures("optimized")

FOLDER = "checkpoint"
FIRST = f"{FOLDER}/0000"  # of the first bucket, which is all there are here


def assert_same_files(directory, other):
    """Byte for byte; of curves, whose files know when they were made, all values."""
    assert (directory / "trials.csv").read_bytes() == (other / "trials.csv").read_bytes()
    mine, theirs = (xr.load_dataset(d / "curves.nc") for d in (directory, other))
    for name in mine.variables:
        assert mine[name].values.tobytes() == theirs[name].values.tobytes()
    manifests = [json.loads((d / "manifest.json").read_text()) for d in (directory, other)]
    for manifest in manifests:
        del manifest["command"]  # each has its own directory
        # of the last process, if it made a call of a bucket
        assert manifest.pop("repeatable", True) is True
        assert manifest.pop("calls_compared", 1) in range(1, 1 + len(manifest["buckets"]))
    assert manifests[0] == manifests[1]
    assert not (directory / FOLDER).exists()
    assert not list(directory.glob(".*partial"))


# ---------------------------------------------------------------- kill -9


class Killer:
    """Starts sweeps in processes of their own, and kills them.  A dead one holds no lock."""

    def __init__(self, directory, cache):
        script = Path(sweep_to_kill.__file__)
        self.directory = directory
        self.command = [sys.executable, str(script), str(directory)]
        self.environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    @contextlib.contextmanager
    def start(self, case, devices):
        command = [*self.command, case, str(devices)]
        pipes = dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.PIPE)
        process = subprocess.Popen(command, env=self.environment, text=True, **pipes)
        with process:
            try:
                yield process
            finally:
                process.kill()

    def kill(self, case, devices, after, first):
        """Kill a sweep some seconds after its first checkpoint; False if it was faster."""
        with self.start(case, devices) as process:
            if process.stdout.readline() != "saved\n":
                assert process.wait() == 0, process.stderr.read()
            if first:  # two processes on one directory
                with pytest.raises(BlockingIOError) as error:
                    joc.Study.resume(self.directory)
                holder = f"process {process.pid} on {socket.gethostname()}"
                assert holder in str(error.value)
            process.stdin.close()  # it goes on
            time.sleep(after)
            process.kill()
            return process.wait() == -signal.SIGKILL


def assert_survives(case, kills, tmp_path, monkeypatch, seed, longest):
    """Kill a sweep again and again, let it finish, and compare with one that nobody killed.

    How many buckets had begun at each kill.
    """
    whole = sweep_to_kill.sweep(tmp_path / "whole", case, steps=sweep_to_kill.STEPS)
    assert set(whole.trials["status"]) >= {"diverged", "finished"}
    moments, begun = random.Random(seed), []
    killer = Killer(tmp_path / "killed", tmp_path / "cache")
    for _ in range(20 * kills):
        devices = 2 if len(begun) == 1 else 1
        if killer.kill(case, devices, moments.uniform(0, longest), first=not begun):
            over = (killer.directory / FOLDER).glob(f"[0-9]*/{checkpoints.RESULTS}")
            begun.append(1 + len([*over]))
        if len(begun) == kills:
            break
        if not (killer.directory / FOLDER).exists():
            shutil.rmtree(killer.directory)  # it was faster: once more
    assert len(begun) == kills
    reuse(monkeypatch, whole)
    study = go_on(killer.directory)
    assert_same_files(killer.directory, whole.directory)
    assert study.manifest["command"].endswith("killed " + case + " 1")  # the one that asked
    assert study.events[-1]["trial_steps"] < whole.events[-1]["trial_steps"]
    return begun


@pytest.mark.parametrize("kills", only([2], [2, 5]))
def test_kill_9(kills, tmp_path, monkeypatch):
    """With a scheduler, diverging trials, bfloat16, and now one device, now two."""
    assert_survives("quick", kills, tmp_path, monkeypatch, seed=0, longest=0.2)


@pytest.mark.soak
@pytest.mark.parametrize("case, kills", [("plain", 20), ("halving", 15), ("asha", 15)])
def test_kill_9_often(case, kills, tmp_path, monkeypatch):
    assert_survives(case, kills, tmp_path, monkeypatch, seed=1, longest=0.5)


@pytest.mark.soak
def test_kill_9_often_in_either_bucket(tmp_path, monkeypatch):
    begun = assert_survives("buckets", 25, tmp_path, monkeypatch, seed=2, longest=0.5)
    assert {1, 2} <= {*begun}


@pytest.mark.soak
def test_kill_9_often_while_a_study_is_confirmed(tmp_path, monkeypatch):
    """The study stays as it is, and beside it the confirmation of before, or the new one."""
    whole = sweep_to_kill.sweep(tmp_path / "whole", steps=sweep_to_kill.STEPS)
    old = whole.confirm([50], progress=False).trials
    before = shutil.copytree(whole.directory, tmp_path / "before")
    new = whole.confirm(sweep_to_kill.CONFIRMING, progress=False).trials
    directory = shutil.copytree(before, tmp_path / "killed")
    moments, killed, kills = random.Random(3), 0, 25
    killer = Killer(directory, tmp_path / "cache")
    for _ in range(20 * kills):
        devices = 2 if killed == 1 else 1
        killed += killer.kill("confirm", devices, moments.uniform(0, 0.4), first=False)
        found = joc.Study.load(directory / "confirm").trials
        pd.testing.assert_frame_equal(found, new if len(found) == len(new) else old)
        pd.testing.assert_frame_equal(joc.Study.load(directory).trials, whole.trials)
        if killed == kills:
            break
        if len(found) == len(new):  # it was faster: once more
            shutil.rmtree(directory)
            shutil.copytree(before, directory)
    assert killed == kills
    reuse(monkeypatch, whole)
    sweep_to_kill.confirm(directory)
    assert_same_files(directory / "confirm", whole.directory / "confirm")
    assert_same_files(directory, whole.directory)


# ---------------------------------------------------------------- in this process


class Crash(BaseException):
    """As if the process had died."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The sweep that nothing happened to."""
    return sweep_to_kill.sweep(tmp_path_factory.mktemp("whole") / "study")


@pytest.fixture(scope="module")
def cut_short(whole, tmp_path_factory):
    """The directory of one that died after its fortieth checkpoint, midway on any machine."""
    directory = tmp_path_factory.mktemp("cut") / "study"
    with pytest.MonkeyPatch.context() as patch:
        sweep_to_kill.save_always(patch)
        patch.setattr(engine, "SEGMENT_SECONDS", 1e-9)  # an interval a call, however fast they are
        save, saved = checkpoints.save, []

        def save_and_die(*arguments):
            saved.append(save(*arguments))
            if len(saved) == 40:
                raise Crash

        patch.setattr(checkpoints, "save", save_and_die)
        reuse(patch, whole)
        with pytest.raises(Crash):
            sweep_to_kill.sweep(directory)
    return directory


@pytest.fixture
def again(whole, cut_short, tmp_path, monkeypatch):
    """A copy of that directory, and ``go_on(...)``, which resumes it without compiling."""
    directory = shutil.copytree(cut_short, tmp_path / "again")
    reuse(monkeypatch, whole)
    return directory


def go_on(directory, task=None, **given):
    given |= {"task": task or sweep_to_kill.make_task(), "devices": jax.devices()[:1]}
    return joc.Study.resume(directory, progress=False, **given)


def asked(directory):
    """The checksum of the question."""
    return json.loads((directory / FOLDER / "question.json").read_text())["sha256"]


def states(directory):
    """The snapshots, the newest first."""
    files = [directory / FIRST / name for name in checkpoints.GENERATIONS]
    return sorted(files, key=checkpoints._number, reverse=True)


def test_goes_on_and_does_not_start_anew(again, whole):
    study = go_on(again)
    assert_same_files(again, whole.directory)
    assert 0 < study.events[-1]["trial_steps"] < 0.95 * whole.events[-1]["trial_steps"]
    assert study.events[-1]["trial_steps_before"] > 0 == whole.events[-1]["trial_steps_before"]
    assert joc.Study.resume(again).trials.equals(study.trials)  # complete: it is only loaded


def test_another_cpu_is_refused_or_goes_on_to_rounding(again, whole, monkeypatch):
    was = whole.manifest["platform"]["instructions"]
    with monkeypatch.context() as patch:
        patch.setattr(made_with, "instructions", lambda: "another CPU, features 0")
        with pytest.raises(ValueError, match=f"other instructions.*{re.escape(was)} -> another"):
            go_on(again)
        cut = shutil.copytree(again, again.with_name("cut"))
        saves = checkpoints.save
        sweep_to_kill.save_always(patch)
        patch.setattr(checkpoints, "save", lambda *_: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):  # it dies there too
            go_on(cut, exact=False)
        patch.setattr(checkpoints, "save", saves)
        there = go_on(again, exact=False)
    here = go_on(cut)  # and comes home: it was elsewhere all the same
    for study in (there, here, joc.Study.load(again)):
        pd.testing.assert_frame_equal(study.trials, whole.trials)  # the compiler is the same here
        assert study.manifest["platform"]["instructions"] == was
        assert study.manifest["program_sha256"] == whole.manifest["program_sha256"]
        [other] = study.manifest["went_on_with"]
        assert other["platform"]["instructions"] == "another CPU, features 0"
        assert study.manifest["repeatable"] is False
        assert not study.replay(0, task=sweep_to_kill.make_task()).exact
    assert whole.replay(0).exact


@pytest.mark.long
def test_who_diverges_after_a_rung_was_promoted_there(tmp_path, monkeypatch):
    """A resumed sweep knows that they diverged, and judges them by what was known at the rung."""
    sweep_to_kill.save_always(monkeypatch)
    task = sweep_to_kill.make_task(breaks_at=350)
    whole = sweep_to_kill.sweep(tmp_path / "whole", "halving", task=task)
    assert (whole.trials["first_bad_step"] >= 350).sum() >= 2
    save = checkpoints.save

    def save_and_die(folder, arrays, question):
        save(folder, arrays, question)
        if (arrays["first_bad"] >= 350).any():
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save_and_die)
        reuse(patch, whole)
        with pytest.raises(Crash):
            sweep_to_kill.sweep(tmp_path / "again", "halving", task=task)
    reuse(monkeypatch, whole)
    go_on(tmp_path / "again", task)
    assert_same_files(tmp_path / "again", whole.directory)


def damage(file, how, moments):
    content = bytearray(file.read_bytes())
    if how == "torn":
        file.write_bytes(content[: moments.randrange(1, len(content))])
    elif how == "flipped":
        content[moments.randrange(len(content))] ^= 1 << moments.randrange(8)
        file.write_bytes(content)
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "missing":
        file.unlink()
    elif how == "no header":
        file.write_bytes(b'["a list"]\n' + content)


DAMAGES = ["torn", "torn", "flipped", "flipped", "empty", "missing", "no header"]


@pytest.mark.filterwarnings("ignore:.*is damaged")
@pytest.mark.parametrize("seed, how", list(enumerate(DAMAGES)))
def test_the_older_snapshot_is_used_where_the_newest_is_damaged(again, whole, how, seed):
    newest, older = states(again)
    expected = checkpoints._load(older, asked(again))
    damage(newest, how, random.Random(seed))
    found = checkpoints.newest(again / FIRST)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[k], expected[k], equal_nan=True) for k in found)
    study = go_on(again)
    assert_same_files(again, whole.directory)
    assert study.events[-1]["trial_steps"] < 0.95 * whole.events[-1]["trial_steps"]


def test_every_bit_of_a_snapshot_counts(again):
    """Wherever a bit is flipped, no other numbers come out."""
    newest, older = states(again)
    older.unlink()
    content, right = newest.read_bytes(), checkpoints._load(newest, asked(again))
    moments = random.Random(0)
    for place in [*range(0, 200, 7), *(moments.randrange(len(content)) for _ in range(40))]:
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << moments.randrange(8)
        newest.write_bytes(spoilt)
        found = checkpoints._load(newest, asked(again))
        assert found is None or all(found[k].tobytes() == right[k].tobytes() for k in right)
        assert found is None or place < content.index(b"\n")  # the header may be spared


def assert_steps_of_one_go(trial_steps):
    """Every good trial was trained whole, and nothing beyond the 600 steps of a trial.

    How long the lane of a bad one goes on depends on the clock: until somebody reads of it.
    """
    rows = len(sweep_to_kill.table())
    good = rows - rows // len(sweep_to_kill.DIVERGING)
    assert 600 * good <= trial_steps <= 600 * rows


def test_anew_where_both_are_damaged(again, whole):
    for file in states(again):
        damage(file, "torn", random.Random(1))
    with pytest.warns(UserWarning, match="is damaged; the sweep goes on from the snapshot before"):
        study = go_on(again)
    assert_same_files(again, whole.directory)
    assert_steps_of_one_go(study.events[-1]["trial_steps"])  # anew, and not from the middle


def test_half_files_of_the_dead_are_swept_up_and_others_are_not(again, whole):
    for name in (f"{FIRST}/.0.state.partial", ".trials.csv.partial"):
        (again / name).write_text("half")
    (again / ".mine.partial").write_text("mine")
    go_on(again)
    assert (again / ".mine.partial").read_text() == "mine"
    (again / ".mine.partial").unlink()
    assert_same_files(again, whole.directory)


def test_dies_while_it_tidies_up(again, whole, monkeypatch):
    """When the results are saved, the mark of an unfinished sweep goes first."""
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_empty", lambda *_: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            go_on(again)
    assert all(file.exists() for file in states(again))
    study = go_on(again)  # it is complete, and only loaded
    assert len(study.events) == 1
    with claims.held(again):  # the next writer tidies up
        pass
    assert_same_files(again, whole.directory)


def test_dies_before_it_tidies_up(again, whole, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "forget", lambda _: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            go_on(again)
    go_on(again)
    assert_same_files(again, whole.directory)


def test_ctrl_c(whole, tmp_path, monkeypatch):
    directory, saved = tmp_path / "study", []
    with monkeypatch.context() as patch:
        sweep_to_kill.save_always(patch)
        save = checkpoints.save

        def save_and_interrupt(*arguments):
            saved.append(save(*arguments))
            if len(saved) == 5:
                signal.raise_signal(signal.SIGINT)

        patch.setattr(checkpoints, "save", save_and_interrupt)
        reuse(patch, whole)
        patch.setattr("jaxopt_course.studies.made_with.command", lambda: "the first command")
        with pytest.raises(joc.SweepInterrupted) as stop:
            sweep_to_kill.sweep(directory)
    part = stop.value.study
    assert "unfinished" in set(part.trials["status"])
    pd.testing.assert_frame_equal(joc.Study.load(directory).trials, part.trials)
    with pytest.raises(FileExistsError, match="cut short; go on with it"):
        sweep_to_kill.sweep(directory)
    with pytest.raises(FileExistsError, match="cut short; go on with it first"):
        part.extend(part.trials[[*part.hyperparameters, "seed"]].assign(seed=99))
    reuse(monkeypatch, whole)
    study = go_on(directory)
    assert_same_files(directory, whole.directory)
    assert study.manifest["command"] == "the first command"
    assert [event["event"] for event in study.events] == ["interrupted", "finished"]
    assert_steps_of_one_go(sum(event["trial_steps"] for event in study.events))
    assert joc.Study.load(directory).events == study.events


# ---------------------------------------------------------------- a full disk


@contextlib.contextmanager
def full(directory):
    """No more than a few bytes can be written: a small file system, or else a limit on files."""
    if os.path.ismount(directory):
        ballast = directory / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(512))
        os.truncate(ballast, max(0, ballast.stat().st_size - 4096))
        try:
            yield
        finally:
            ballast.unlink()
    else:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(params=["file system", "limit"])
def disk(request, tmp_path):
    """A file system of 256 KB where one can be mounted, else any directory."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(directory)]
    mounted = (
        request.param == "file system"
        and shutil.which("mount")
        and subprocess.run(mount, capture_output=True).returncode == 0
    )
    yield directory
    if mounted:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_full_disk(disk, whole, monkeypatch):
    """Training goes on with a warning; the older snapshot stays; the study stays in memory."""
    sweep_to_kill.save_always(monkeypatch)
    save, numbers = checkpoints.save, []

    def save_on_a_full_disk(*arguments):
        if len(numbers) < 5:
            numbers.append(checkpoints._number(save(*arguments)))
            return
        if not stack:
            stack.append(full(disk))
            stack[0].__enter__()
        save(*arguments)

    stack = []
    monkeypatch.setattr(checkpoints, "save", save_on_a_full_disk)
    reuse(monkeypatch, whole)
    try:
        with (
            pytest.warns(UserWarning, match=r"no checkpoint \(.*\); training goes on"),
            pytest.raises(OSError, match=r"^\[Errno \d+\] (No space left|File too large)") as error,
        ):
            sweep_to_kill.sweep(disk)
    finally:
        if stack:
            stack[0].__exit__(None, None, None)
    pd.testing.assert_frame_equal(error.value.study.trials, whole.trials)
    assert "nothing is lost" in error.value.__notes__[0]
    assert sorted(map(checkpoints._number, states(disk))) == numbers[-2:]
    assert not list(disk.glob("**/*.partial"))
    monkeypatch.setattr(checkpoints, "save", save)
    reuse(monkeypatch, whole)
    study = go_on(disk)  # with space again
    assert study.events[-1]["trial_steps"] < whole.events[-1]["trial_steps"]
    assert_same_files(disk, whole.directory)


def test_a_full_disk_leaves_the_study_that_is_there(whole, tmp_path):
    copy = whole.save(tmp_path / "copy")
    before = {file.name: file.read_bytes() for file in copy.directory.iterdir()}
    with pytest.raises(OSError) as error, full(tmp_path):
        copy.save(copy.directory, overwrite=True)
    assert error.value.study.trials.equals(copy.trials)
    assert {file.name: file.read_bytes() for file in copy.directory.iterdir()} == before


# ---------------------------------------------------------------- what is refused


def test_directories_with_nothing_to_resume(tmp_path, whole):
    with pytest.raises(FileNotFoundError, match="holds no sweep to resume"):
        joc.Study.resume(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no sweep to resume"):
        joc.Study.resume(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match="the study there is complete"):
        checkpoints.asked(whole.directory)


@pytest.mark.parametrize(
    "name, spoil, message",
    [
        ("question.json", lambda b: b[:-20], r"question.json is not readable JSON"),
        ("question.json", lambda b: b"\xff" + b, r"question.json is not readable JSON"),
        ("question.json", lambda b: b"[1]", r"question.json is of format None"),
        ("question.json", lambda b: b.replace(b'"format_version": 2', b'"format_version": 7'),
         r"question.json is of format 7; this version resumes format 2"),
        ("question.json", lambda b: b.replace(b'"lanes": 4', b'"lanes": 8'),
         r"question.json was edited or is damaged"),
        ("question.csv", lambda b: b.replace(b"0.1", b"0.2", 1),
         r"question.csv was edited or is damaged"),
        ("question.csv", None, r"question.csv is missing"),
    ],
)  # fmt: skip
def test_a_question_that_was_spoilt(again, name, spoil, message):
    file = again / FOLDER / name
    if spoil is None:
        file.unlink()
    else:
        file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        go_on(again)
    assert len(states(again)) == 2 and all(map(Path.exists, states(again)))  # nothing is lost


@pytest.mark.parametrize(
    "entry, value, message",
    [("metric", "valid_nothing", r"metric 'valid_nothing' is none of its task"),
     ("direction", "max", r"valid_loss has not the direction 'max'")],
)  # fmt: skip
def test_a_question_that_a_stranger_signed(again, entry, value, message):
    """Its checksum is right, so it is what it says that must be."""
    file = again / FOLDER / "question.json"
    content = json.loads(file.read_text())
    content.pop("sha256")
    content["metric"] = "valid_loss"
    content["direction"] = "min"
    content |= {entry: value}
    file.write_text(json.dumps(content | {"sha256": files.digest(content)}))
    with pytest.raises(ValueError, match=message):
        go_on(again)


def recall(manifest, trials, task=None, **settings):
    task = task or sweep_to_kill.make_task()
    return resume.recall(manifest, trials, task, devices=jax.devices()[:1], **settings)


def changed(whole, **values):
    """The manifest with other entries, also that of its one bucket."""
    [bucket] = whole.manifest["buckets"]
    own = {name: value for name, value in values.items() if name in bucket}
    return whole.manifest | values | {"buckets": [bucket | own]}


def test_what_changed_is_named_before_anything_compiles(whole, monkeypatch):
    compiled = "jaxopt_course.studies.session.compile_bucket"
    monkeypatch.setattr(compiled, lambda *_: pytest.fail("compiled"))
    manifest, trials = whole.manifest, whole.trials
    with pytest.raises(ValueError, match=r"own task \('own'\), which files cannot hold; give it"):
        resume.recall(manifest, trials)
    with pytest.raises(ValueError, match="the data of the task 'own' are not those of the study"):
        recall(manifest, trials, sweep_to_kill.make_task(scale=3.0))
    with pytest.raises(ValueError, match="the task is 'line', the study's is 'own'"):
        recall(manifest, trials, "line")
    with pytest.raises(ValueError, match="a row, a hyperparameter or a seed was edited"):
        recall(manifest, trials.assign(learning_rate=0.5))
    with pytest.raises(ValueError, match="a row, a hyperparameter or a seed was edited"):
        recall(manifest, trials.iloc[:-1])
    versions = manifest["versions"] | {"jaxlib": "0.0.1"}
    with pytest.raises(ValueError, match=r"other versions.*: jaxlib 0\.0\.1 -> "):
        recall(changed(whole, versions=versions), trials)
    platform = {"backend": "gpu", "device_kind": "H100"}
    with pytest.raises(ValueError, match=r"made on gpu \(H100\), and cpu:0 is cpu"):
        recall(changed(whole, platform=platform), trials)
    with pytest.raises(ValueError, match=r"own functions \(mine\), which files cannot hold"):
        recall(changed(whole, optimizers=["mine"]), trials)


def test_another_program_is_refused(whole, monkeypatch):
    """Another width, another dtype: what the program's text alone tells."""
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_: None)
    for manifest, task in [
        (changed(whole, lanes=8), None),
        (whole.manifest, sweep_to_kill.make_task(dtype=jnp.float32)),
    ]:
        with pytest.raises(ValueError, match="the program is not the one of the study"):
            recall(manifest, whole.trials, task).compile()


@pytest.mark.long
def test_another_start_is_refused(tmp_path):
    """What only ``init`` has, of parameters or of an optimizer's memory."""
    first = lambda value: {
        "mine": lambda h: optax.chain(
            optax.scale_by_rss(initial_accumulator_value=value), optax.scale(-h["learning_rate"])
        )
    }
    trials = joc.grid(optimizer="mine", learning_rate=[0.1])
    budget = {"steps": 2, "batch_size": 5, "progress": False, "devices": jax.devices()[:1]}
    study = joc.sweep("line", trials, first(0.1), directory=tmp_path / "study", **budget)
    loaded, more = joc.Study.load(study.directory), joc.grid(optimizer="mine", learning_rate=[0.2])
    with pytest.raises(ValueError, match="the program is not the one of the study"):
        loaded.extend(more, optimizer=first(5.0), devices=jax.devices()[:1], progress=False)
    assert len(joc.Study.load(study.directory).trials) == 1


def test_a_scheduler_of_ones_own_must_be_given_again():
    with pytest.raises(ValueError, match="own scheduler, Mine"):
        made_with.scheduler_of({"name": "Mine"})

    @dataclasses.dataclass(frozen=True)
    class Mine:
        share: float

    assert made_with.scheduler_of({"name": "Mine", "share": 0.5}, Mine(0.5)) == Mine(0.5)
    with pytest.raises(ValueError, match=r"scheduler is .*0\.25.*, that of the study .*0\.5"):
        made_with.scheduler_of({"name": "Mine", "share": 0.5}, Mine(0.25))


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with (
        pytest.warns(UserWarning, match="cannot be locked.*keep other processes away"),
        lock.locked(tmp_path),
    ):
        pass


# ---------------------------------------------------------------- snapshots


RUN = {"interrupted", "states", "compared", "differ", "not_compared", "read", "sittings"}


def test_all_of_a_snapshot_travels(again):
    """A field that a later version adds is saved too, or this test says so."""
    found = checkpoints.newest(again / FIRST)
    named = {name.split("/")[0] for name in found}
    known = {field.name for field in dataclasses.fields(engine.Results)}
    assert known - named == RUN | {"recorded", "nodes"}  # of a run; of others than this sweep
    back = snapshots.pack(snapshots.unpack(found, 18))
    assert all(back[name].tobytes() == found[name].tobytes() for name in found)


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "bool", "complex64"]
)
def test_every_dtype_travels(tmp_path, dtype):
    """Those that npz has no name for come back as their bytes."""
    leaf = np.asarray(jnp.array([[0, 1], [1, 0], [1, 1]]).astype(dtype))
    results = engine.Results(
        *(np.zeros((3, 2), np.float32), {"correct": np.ones((3, 2), np.float32)}),
        *({"loss": np.ones((3, 2), np.float32)}, {"loss": np.ones(3, np.float32)}),
        *(np.zeros(3, np.int32), np.zeros(3, bool)),
        *(np.zeros(3, np.int32), np.zeros(3, np.int32), np.zeros(3, bool)),
    )
    waiting = snapshots.Waiting(np.arange(3), np.zeros(3, np.int32), [leaf])
    content = arrays.pack(snapshots.pack(engine.Snapshot(results, waiting)))
    [back] = snapshots.unpack(arrays.unpack(content), 3).waiting.leaves
    assert back.view(leaf.dtype).tobytes() == leaf.tobytes()
    assert back.view(leaf.dtype).shape == leaf.shape
