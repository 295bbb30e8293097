"""The live page: what it reads, who may open it, and that the sweep never notices."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import report_studies
import sweep_to_kill
from starlette.testclient import TestClient

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.live import present, serving
from jaxopt_course.live.present import Watcher
from jaxopt_course.live.server import app, new_token
from jaxopt_course.records import checkpoints, lock, store
from jaxopt_course.studies.so_far import so_far

TOKEN = "a-token"
EVIL = "sgd <script>alert(1)</script>"


def files_of(directory):
    """All that a reader could have changed: names, contents and times."""
    return {
        str(file.relative_to(directory)): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in directory.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep, what was read beside it after each checkpoint, and a copy of it cut short."""
    folder = tmp_path_factory.mktemp("live")
    seen, cut = [], folder / "cut"
    with pytest.MonkeyPatch.context() as patch:
        sweep_to_kill.save_always(patch)
        save = checkpoints.save

        def save_and_look(*arguments):
            save(*arguments)
            before = files_of(folder / "study")
            watcher = Watcher(folder / "study")
            seen.append((watcher.look(), so_far(folder / "study")))
            assert files_of(folder / "study") == before
            if len(seen) == 5:  # midway, also where they are so fast that there is no ninth
                shutil.copytree(folder / "study", cut)

        patch.setattr(checkpoints, "save", save_and_look)
        study = sweep_to_kill.sweep(folder / "study")
    lock_file = cut / ".lock"
    assert lock_file.read_text().startswith(f"process {os.getpid()} on ")
    lock_file.write_text(f"process 4194304999 on {socket.gethostname()}\n")  # gone
    return study, seen, cut


class TestWhatIsRead:
    def test_what_is_over_has_the_numbers_of_the_study(self, swept):
        study, seen, _ = swept
        assert len(seen) > 5
        for now, record in seen:
            assert now.state == "running" and now.trouble == ""
            over = record.trials["status"].ne("unfinished").to_numpy()
            assert (now.over, now.total) == (over.sum(), len(study.trials))
            assert record.trials[over].equals(study.trials[over])
            for name, curve in record.curves.data_vars.items():
                known = np.isfinite(curve.to_numpy())
                assert np.array_equal(curve.to_numpy()[known], study.curves[name].to_numpy()[known])
        progress = [int(np.isfinite(record.curves["train_loss"]).sum()) for _, record in seen]
        assert progress == sorted(progress) and progress[0] < progress[-1]
        assert len({now.version for now, _ in seen}) == len(seen)

    def test_the_page_is_that_of_a_report(self, swept):
        _, _, cut = swept
        before = files_of(cut)
        watcher = Watcher(cut)
        now = watcher.look()
        assert now.state == "stopped" and 0 <= now.over < now.total
        assert '<p class="headline">' in watcher.page() and "did not finish" in watcher.page()
        assert files_of(cut) == before

    def test_a_complete_study_and_its_confirmation(self, swept, tmp_path):
        study, _, _ = swept
        watcher = Watcher(study.directory)
        assert watcher.look().state == "finished"
        assert watcher.look().over == watcher.look().total == len(study.trials)
        assert "Not confirmed" in watcher.page()

    def test_a_damaged_checkpoint_costs_a_moment_and_stays(self, swept, tmp_path):
        _, _, cut = swept
        directory = shutil.copytree(cut, tmp_path / "damaged")
        newest = max((directory / "checkpoint" / "0000").glob("*.state"), key=checkpoints._number)
        content = newest.read_bytes()
        newest.write_bytes(content[:-20])  # half there
        watcher = Watcher(directory, seconds=0.0)
        earlier = watcher.look()
        assert earlier.total and newest.stat().st_size == len(content) - 20
        question = directory / "checkpoint" / "question.json"
        known = question.read_bytes()
        question.write_bytes(known[:100])
        watcher._next = 0.0
        assert "question.json" in watcher.look().trouble
        assert watcher.look().version == earlier.version and watcher.page()  # what was read stays
        question.write_bytes(known)
        newest.write_bytes(content)
        watcher._next = 0.0
        assert watcher.look().trouble == "" and watcher.look().version != earlier.version

    def test_nothing_is_there_yet(self, tmp_path):
        watcher = Watcher(tmp_path / "none")
        assert watcher.look() == present.Present() and watcher.page() == ""
        assert not present.is_study(tmp_path)

    def test_it_reads_a_twentieth_of_the_time_at_most(self, tmp_path, monkeypatch):
        now = [100.0]
        for clock in ("monotonic", "thread_time"):
            monkeypatch.setattr(present.time, clock, lambda: now[0])
        watcher, looks = Watcher(tmp_path), []

        def slow():
            looks.append(now[0])
            now[0] += 2.0

        watcher._look = slow
        for _ in range(100):
            watcher.look()
            now[0] += 1.0
        assert np.diff(looks).min() >= 40.0

    def test_who_works_there_is_asked_without_the_lock(self, tmp_path):
        assert lock.held_by(tmp_path) == ""
        with lock.locked(tmp_path):
            assert lock.held_by(tmp_path).startswith(f"process {os.getpid()} on ")
        assert lock.held_by(tmp_path) == ""
        for said in ("process 1 on elsewhere", "anything", "process 0 on x", "process -1 on x"):
            (tmp_path / ".lock").write_text(said)
            assert lock.held_by(tmp_path) == (said if said.endswith("elsewhere") else "")


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    rows = [report_studies.trial(EVIL, rate, s) for rate in (0.1, 0.2) for s in range(2)]
    return report_studies.write(tmp_path_factory.mktemp("evil") / "study", rows)


@pytest.fixture
def client(evil):
    ends = threading.Event()
    ends.set()
    made = TestClient(app(Watcher(evil), TOKEN, ends.is_set), base_url="http://127.0.0.1:8000")
    made.ends = ends
    return made


class TestServer:
    def test_who_has_the_token_may_read(self, client, evil):
        frame = client.get("/", params={"token": TOKEN})
        assert frame.status_code == 200 and "EventSource" in frame.text
        cookie = frame.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie
        report = client.get("/page")  # by the cookie
        assert '<p class="headline">' in report.text
        assert "<script>alert(1)" not in report.text and "&lt;script&gt;alert(1)" in report.text
        assert client.get("/trials.csv").content == (evil / "trials.csv").read_bytes()
        for answer in (frame, report):
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]

    @pytest.mark.parametrize("path", ["/", "/page", "/events", "/trials.csv", "/none"])
    @pytest.mark.parametrize("token", [None, "", "another", TOKEN + "x", "\u00e9"])
    def test_who_has_not_is_refused(self, client, path, token):
        answer = client.get(path, params={} if token is None else {"token": token})
        assert answer.status_code == 403 and "token" in answer.text
        assert "set-cookie" not in answer.headers

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1]:80"])
    def test_another_host_is_refused(self, client, host):
        answer = client.get("/", params={"token": TOKEN}, headers={"Host": host})
        assert answer.status_code == 400

    def test_only_the_files_of_a_study_are_served(self, client, evil, tmp_path):
        query = {"token": TOKEN}
        (evil / "mine.txt").write_text("mine")
        for path in ("/mine.txt", "/.lock", "/../x", "/%2e%2e/x", "/checkpoint/question.json"):
            assert client.get(path, params=query).status_code == 404
        (tmp_path / "secret").write_text("secret")
        (evil / "events.jsonl").unlink(missing_ok=True)
        (evil / "events.jsonl").symlink_to(tmp_path / "secret")
        assert client.get("/events.jsonl", params=query).status_code == 404

    def test_it_cannot_be_written_to(self, client):
        for method in (client.post, client.put, client.delete):
            assert method("/", params={"token": TOKEN}).status_code == 405

    def test_events_tell_where_the_sweep_is_and_that_they_end(self, client, monkeypatch):
        monkeypatch.setattr("jaxopt_course.live.server.TICK", 0.01)
        client.ends.clear()
        look, looks = Watcher.look, []

        def look_and_end(watcher):
            looks.append(look(watcher))
            if len(looks) == 5:
                client.ends.set()
            return looks[-1]

        monkeypatch.setattr(Watcher, "look", look_and_end)
        with client.stream("GET", "/events", params={"token": TOKEN}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = list(answer.iter_lines())
        events = [line for line in lines if line.startswith("event:")]
        assert events == ["event: present", "event: end"]  # one, as nothing changed
        now = json.loads(lines[1].removeprefix("data: "))
        assert (now["state"], now["over"], now["total"]) == ("finished", 4, 4)
        assert len(looks) == 5

    def test_it_speaks_spanish(self, evil):
        made = TestClient(app(Watcher(evil, "es"), TOKEN), base_url="http://localhost:8000")
        assert '<html lang="es">' in made.get("/", params={"token": TOKEN}).text
        assert '<html lang="es"' in made.get("/page").text

    def test_tokens_are_not_guessed(self):
        assert len({new_token() for _ in range(100)}) == 100 and len(new_token()) >= 43


class TestCommand:
    def test_a_port_in_use_is_named_with_the_way_out(self, evil, capsys):
        with serving.bound() as taken:
            port = str(taken.getsockname()[1])
            with pytest.raises(SystemExit) as end:
                cli.main(["watch", str(evil), "--port", port])
        assert end.value.code == 2
        assert f"another program uses port {port}; give another --port" in capsys.readouterr().err
        with pytest.raises(ValueError, match="between 1 and 65535"):
            serving.bound(70_000)

    def test_a_directory_without_a_study_is_refused(self, tmp_path, capsys):
        with pytest.raises(SystemExit) as end:
            cli.main(["watch", str(tmp_path)])
        assert end.value.code == 2 and "holds no study and no sweep" in capsys.readouterr().err

    @pytest.mark.parametrize("command", [["watch", "x"], ["compare", "--live"]])
    def test_a_missing_package_is_named(self, command, monkeypatch, capsys, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        with pytest.raises(SystemExit) as end:
            cli.main(command)
        assert end.value.code == 2
        assert "pip install 'jaxopt-course[live]'" in capsys.readouterr().err

    def test_it_says_its_address_in_json_before_it_serves(self, evil, monkeypatch, capsys):
        served = []
        monkeypatch.setattr(
            serving, "serve", lambda *given: served.append(given) or given[1].close()
        )
        cli.main(["watch", str(evil), "--json"])
        out, said = capsys.readouterr()
        document = json.loads(out)
        assert served[0][0] == evil.resolve()
        assert document["url"] == f"http://127.0.0.1:{document['port']}/?token={served[0][2]}"
        assert document["url"] in said

    def test_compare_opens_it_beside_the_sweep(self, monkeypatch, tmp_path):
        import contextlib

        from jaxopt_course.cli import training

        opened = []

        @contextlib.contextmanager
        def beside(*given):
            opened.append(given)
            yield

        monkeypatch.setattr(serving, "beside", beside)
        monkeypatch.setattr(training, "_train", lambda *given: given[-1])
        arguments = training.Training(live=True, out=tmp_path, lang="es")
        assert training.train(arguments, None, "x", None, None, None, {}) == tmp_path
        assert opened == [(tmp_path, True, "es")]


@pytest.mark.long
def test_a_sweep_is_killed_and_its_page_goes_on_and_the_other_way_round(tmp_path):
    """Real processes: a server beside a sweep; the sweep dies, then the server, nobody minds."""
    directory = tmp_path / "study"
    script = Path(sweep_to_kill.__file__)
    root = str(script.parent.parent)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    }
    sweep = subprocess.Popen(
        [sys.executable, str(script), str(directory), "quick", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert sweep.stdout.readline() == "saved\n"  # it waits now
    server = subprocess.Popen(
        [sys.executable, "-m", "jaxopt_course.live", str(directory)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,
    )
    try:
        url = server.stderr.readline().removeprefix("watch: ").strip()
        events = urllib.request.urlopen(url.replace("/?", "/events?"), timeout=120)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
        states = []
        for line in events:
            if line.startswith(b"data: "):
                states.append(json.loads(line[6:]))
                assert states[-1]["state"] != "finished"
                if states[-1]["state"] == "stopped" and states[-1]["version"]:
                    break
        page = urllib.request.urlopen(url.replace("/?", "/page?"), timeout=60).read()
        assert b'<p class="headline">' in page
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(url.partition("?")[0], timeout=60)
        before = files_of(directory)
        server.kill()
        server.wait()
        assert files_of(directory) == before
    finally:
        for process in (sweep, server):
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
    assert checkpoints.is_unfinished(directory)
    task = sweep_to_kill.make_task()
    study = joc.Study.resume(directory, task=task, progress=False)
    assert set(study.trials["status"]) <= {"finished", "diverged", "stopped"}
    assert store.read(directory).manifest["trials"] == len(study.trials)


def test_the_server_beside_a_sweep_ends_with_it(tmp_path):
    with serving.beside(tmp_path) as process:
        time.sleep(0.1)
        assert process.poll() is None
        begun = time.monotonic()
    assert process.returncode is not None and time.monotonic() - begun < 60
    with serving.beside(tmp_path, wanted=False) as nothing:
        assert nothing is None
