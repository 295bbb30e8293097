"""The progress line says how far a sweep is."""

import io

from jaxopt_course.sweeps import progress
from jaxopt_course.sweeps.progress import ProgressLine, Tally


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_now_and_then_and_at_the_end(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    stream = io.StringIO()
    with ProgressLine("x", stream) as line:
        line.note("compiling")
        for second in range(1, 12):
            now[0] = 100.0 + second
            line.update(Tally(second, 20, 1, second * 1000, 20_000, "accuracy 0.98 (adam)"))
        now[0] = 120.0
        line.update(Tally(20, 20, 1, 20_000, 20_000, "accuracy 0.99 (adam)"), last=True)
    rate = "1,000 trial-steps/s · best trial: accuracy"
    assert stream.getvalue().splitlines() == [
        "x: compiling",
        f"x: 5/20 trials · {rate} 0.98 (adam) · 1 diverged · 15 s left",
        f"x: 10/20 trials · {rate} 0.98 (adam) · 1 diverged · 10 s left",
        f"x: 20/20 trials · {rate} 0.99 (adam) · 1 diverged · 20 s in all",
    ]


def test_one_line_on_a_terminal():
    screen = Screen()
    with ProgressLine("digits", screen) as line:
        line.update(Tally(1, 20, 0, 10, 200, ""))
        line.update(Tally(20, 20, 0, 200, 200, "0.9"), last=True)
    assert "20/20 trials" in screen.getvalue()
    assert screen.getvalue().count("\n") <= 1


def test_silence():
    stream = io.StringIO()
    with ProgressLine("digits", stream, show=False) as line:
        line.update(Tally(1, 1, 0, 1, 1, "1"), last=True)
    assert stream.getvalue() == ""


def test_clock():
    assert [progress.clock(s) for s in (7, 125, 11_400)] == ["7 s", "2 min 05 s", "3 h 10 min"]
    assert [progress.clock(s) for s in (0.2, 59.4, 59.6, 3599.6)] == [
        "0 s", "59 s", "1 min 00 s", "1 h 00 min",
    ]  # fmt: skip


def test_never_less_than_nothing_is_left(monkeypatch):
    """More steps than were expected, or fewer than an earlier sitting had saved."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    screen = io.StringIO()
    with ProgressLine("x", screen) as line:
        for tally in (Tally(1, 2, 0, 201, 200, ""), Tally(1, 2, 0, 10, 200, "", 20)):
            now[0] += 10.0
            line.update(tally)
    more, fewer = screen.getvalue().splitlines()
    assert more.endswith(" 20 trial-steps/s · no result yet · 0 diverged · 0 s left")
    assert fewer.endswith(" 0 trial-steps/s · no result yet · 0 diverged · starting")
