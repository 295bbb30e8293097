"""The live page in a browser: a real sweep, killed midway, and gone on with."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sweep_to_kill

import jaxopt_course as joc

pytestmark = pytest.mark.browser
SCRIPT = Path(sweep_to_kill.__file__)

PATIENCE = 300_000  # milliseconds: the server reads for a twentieth of its time, at most
SHOWN = "() => !loading && shown === wanted"  # the newest is there, none on its way
HELD_MIDWAY = """() => {
  document.querySelector("iframe").dataset.read = "this";
  shown = "";
  load();
  hold.click();
}"""
REPLACED = """before => {
  const frames = [...document.querySelectorAll("iframe")];
  return frames.length === 1 && frames[0].getAttribute("src") !== before;
}"""


@pytest.fixture
def started(tmp_path):
    """Starts Python in a process of its own, which is gone in the end."""
    running = []
    paths = [str(SCRIPT.parent.parent), os.environ.get("PYTHONPATH", "")]

    def start(*args, **pipes):
        command = [sys.executable, *map(str, args)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        running.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def test_the_page_follows_a_sweep_that_dies_and_goes_on(started, tmp_path):
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    directory, said = tmp_path / "study", []
    pipe = subprocess.PIPE
    server = started("-m", "jaxopt_course.live", directory, "en", stdin=pipe, stderr=pipe)
    url = server.stderr.readline().removeprefix("watch: ").strip()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        status = page.get_by_role("status")
        expect(status).to_contain_text("waiting for the sweep", timeout=PATIENCE)
        sweep = started(SCRIPT, directory, "quick", 1, stdin=pipe, stdout=pipe)
        assert sweep.stdout.readline() == "saved\n"  # it waits now
        expect(status).to_contain_text("running", timeout=PATIENCE)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
        expect(status).to_contain_text("of 9 trials over · stopped", timeout=PATIENCE)
        report = page.frame_locator("iframe:not([hidden])")
        expect(report.locator(".headline, h1").first).to_be_visible(timeout=PATIENCE)
        page.wait_for_function(SHOWN)
        page.evaluate(HELD_MIDWAY)
        page.wait_for_function("() => !loading")  # a text would be an eval, which is forbidden
        assert page.locator("iframe").count() == page.locator("iframe[data-read]").count() == 1
        before = page.locator("iframe").get_attribute("src")
        task = sweep_to_kill.make_task()
        joc.Study.resume(directory, task=task, progress=False)
        expect(status).to_contain_text("9 of 9 trials over · finished", timeout=PATIENCE)
        assert page.locator("iframe").get_attribute("src") == before  # what is read stays
        page.get_by_role("button", name="Hold").click()
        page.wait_for_function(REPLACED, arg=before)
        expect(report.locator(".canvas .main-svg").first).to_be_attached(timeout=PATIENCE)
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(wide)
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/live-390-dark.png")
        assert said == []
        with page.expect_navigation():
            page.goto(url.partition("?")[0])
        assert "EventSource" in page.content()  # the cookie knows who was here
        page.context.clear_cookies()
        assert page.goto(url.partition("?")[0]).status == 403
        server.stdin.close()  # as where the sweep's process is gone
        server.wait(timeout=120)
        browser.close()
