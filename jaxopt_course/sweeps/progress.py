"""One line that tells how far a sweep is; plain lines where the output is not a terminal.

In a notebook the line is an output of its cell that changes in place.
"""

import html
import sys
import time
from typing import Any, NamedTuple, TextIO

QUIET_SECONDS = 5.0  # between plain lines
CELL_SECONDS = 0.25  # between changes of a notebook's line
MARK = {"jaxopt_course": "progress"}  # of that output, for who renders notebooks


class Tally(NamedTuple):
    """How far a sweep is."""

    over: int  # trials finished or diverged
    total: int
    diverged: int
    trial_steps: int
    total_steps: int
    best: (
        str  # "accuracy 0.98 (adam)", of the best trial so far, no mean; empty while there is none
    )
    earlier_steps: int = 0  # trial-steps done before this process went on
    waited: float = 0.0  # the share of the time that a stream's batches were waited for


class ProgressLine:
    """Shows a :class:`Tally`; use as a context.

    Args:
        label: what runs.
        stream: where to; default standard error, so that results can be piped.
        show: whether to show anything at all.
    """

    def __init__(self, label: str, stream: TextIO | None = None, show: bool = True) -> None:
        if not isinstance(show, bool | int):
            raise TypeError(f"progress must be True or False, not {show!r:.60}")
        self._label, self._stream = label, stream or sys.stderr
        self._cell = show and stream is None and in_notebook()
        self._show, self._live = show, show and not self._cell and self._stream.isatty()
        self._start = self._last = time.perf_counter()
        self._display: Any = None

    def __enter__(self) -> "ProgressLine":
        if self._cell:
            self._display = CellLine()
        elif self._live:
            from rich.console import Console
            from rich.live import Live

            self._display = Live(console=Console(file=self._stream), refresh_per_second=8)
            self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.stop()

    def note(self, text: str) -> None:
        """Say what goes on before there is anything to count."""
        self._show_text(f"{self._label}: {text}")

    def is_due(self, last: bool = False) -> bool:
        """Whether an update would show anything: a plain line does every few seconds, and last."""
        quiet = CELL_SECONDS if self._cell else 0.0 if self._live else QUIET_SECONDS
        return self._show and (last or time.perf_counter() - self._last >= quiet)

    def update(self, tally: Tally, last: bool = False) -> None:
        """Show where the sweep is; a plain line at most every few seconds, and at the end."""
        if self.is_due(last):
            now = self._last = time.perf_counter()
            self._show_text(self._words(tally, now))

    def _show_text(self, text: str) -> None:
        if self._cell and self._display is not None:
            self._display.update(text)
        elif self._display is not None:
            from rich.text import Text

            self._display.update(Text(text, no_wrap=True, overflow="ellipsis"))
        elif self._show:
            print(text, file=self._stream, flush=True)

    def _words(self, tally: Tally, now: float) -> str:
        seconds = max(now - self._start, 1e-9)
        rate = max(tally.trial_steps - tally.earlier_steps, 0) / seconds
        # trials that ended early may have trained more than was left of them
        left = max(tally.total_steps - tally.trial_steps, 0) / rate if rate else float("inf")
        parts = [
            f"{self._label}: {tally.over}/{tally.total} trials",
            f"{rate:,.0f} trial-steps/s",
            f"best trial: {tally.best}" if tally.best else "no result yet",
            f"{tally.diverged} diverged",
        ]
        if tally.waited >= 0.01:
            parts.append(f"{tally.waited:.0%} waiting for batches")
        if tally.over < tally.total:
            parts.append(f"{clock(left)} left" if rate else "starting")
        else:
            parts.append(f"{clock(seconds)} in all")
        return " · ".join(parts)


class CellLine:
    """A line in the output of a notebook's cell."""

    def __init__(self) -> None:
        from IPython.display import display

        self._handle: Any = display(self._data(""), raw=True, metadata=MARK, display_id=True)

    def update(self, text: str) -> None:
        """Show this text in its place."""
        self._handle.update(self._data(text), raw=True, metadata=MARK)

    def stop(self) -> None:
        """It stays as it is."""

    def _data(self, text: str) -> dict[str, str]:
        return {"text/plain": text, "text/html": f"<pre>{html.escape(text)}</pre>"}


def in_notebook() -> bool:
    """Whether this is the process of a notebook, where outputs can change."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def clock(seconds: float) -> str:
    """Seconds as people say them: 7 s, 2 min 05 s, 3 h 10 min."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
