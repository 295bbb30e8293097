"""What comes from strangers is read: it starts nothing, fetches nothing and unpickles nothing."""

import os
import subprocess
import sys

import jax
import pytest

import jaxopt_course as joc
from jaxopt_course.records import lock
from jaxopt_course.sweeps import memory

READ = """
import os, pickle, platform, sys
import matplotlib.font_manager
platform.processor()  # libraries ask the system for this and for its fonts, once
import jaxopt_course as joc
from jaxopt_course.records import safetensors

OF_CODE = ("pickle.find_class", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork",
           "socket.connect", "socket.getaddrinfo")
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(OF_CODE) else None)
pickle.loads(pickle.dumps(os.getcwd))
assert seen == ["pickle.find_class"], seen  # it would be seen
seen.clear()
study = joc.Study.load("study")
print(len(study.trials), sorted(study.params(study.kept[0])))
study.report()
safetensors.unpack(open(f"study/weights/{sorted(os.listdir('study/weights'))[0]}", "rb").read())
print(joc.table_task("table.csv", "y").examples)
assert seen == [], seen
"""


def test_reading_a_study_a_table_and_weights_runs_nothing(tmp_path):
    """In a process of its own: whoever listens to Python's audit never stops."""
    trials = joc.grid(optimizer="sgd", learning_rate=[0.01, 0.02], seed=[0])
    joc.sweep(
        "line", trials, steps=4, batch_size=5, keep=1, progress=False,
        directory=tmp_path / "study", devices=jax.devices()[:1],
    )  # fmt: skip
    (tmp_path / "table.csv").write_text(
        "x,y\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(40))
    )
    done = subprocess.run(
        [sys.executable, "-c", READ], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "{'train': 24, 'valid': 8, 'test': 8}" in done.stdout


# --- where the system is another one ---


def test_without_what_windows_lacks_a_directory_is_written_to(tmp_path, monkeypatch):
    """No lock there, no pread, no sysconf; a process is not asked whether it lives."""
    monkeypatch.setattr(lock, "fcntl", None)
    for name in ("pread", "pwrite", "sysconf"):
        monkeypatch.delattr(os, name)
    assert memory.available_bytes() == sys.maxsize
    trials = joc.grid(optimizer="sgd", learning_rate=[0.01], seed=[0])
    settings = {"steps": 2, "batch_size": 5, "progress": False, "devices": jax.devices()[:1]}
    joc.sweep("line", trials, directory=tmp_path / "study", **settings)
    assert len(joc.Study.load(tmp_path / "study").trials) == 1
    with lock.locked(tmp_path / "study"), lock.locked(tmp_path / "study"):
        assert f"process {os.getpid()} on " in lock.held_by(tmp_path / "study")


def test_on_windows_no_signal_is_sent(monkeypatch):
    monkeypatch.setattr(lock.os, "kill", lambda *_: pytest.fail("a signal was sent"))
    monkeypatch.setattr(lock.os, "name", "nt")
    alive = lock._lives(1)
    monkeypatch.undo()
    assert alive
