"""Ctrl-C, SIGTERM or a deadline ask a sweep to end at its next reading."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stop:
    """Whether a sweep is asked to end.

    Args:
        deadline: when it is, by ``time.perf_counter``; None for never.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.asked, self._deadline = threading.Event(), deadline

    def is_set(self) -> bool:
        """Somebody asked, or the time is over."""
        late = self._deadline is not None and time.perf_counter() >= self._deadline
        return late or self.asked.is_set()

    @contextmanager
    def catching(self) -> Iterator[None]:
        """A KeyboardInterrupt raised inside asks to end, once."""
        try:
            yield
        except KeyboardInterrupt:
            if self.asked.is_set():
                raise
            self.asked.set()


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt inside, as Ctrl-C does by itself.

    Where it is ignored, or handled by somebody, and outside the main thread, nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def interrupts(deadline: float | None = None) -> Iterator[Stop]:
    """What the first Ctrl-C or SIGTERM sets, so that no reading is cut in the middle.

    The second one raises KeyboardInterrupt.  The handlers of before are put back at the end.  A
    signal that was ignored stays ignored: a shell script starts its background jobs so, and a
    Ctrl-C is then meant for the script alone; so does a handler that is not Python's.  Outside the
    main thread, which is the only one that Python delivers signals to, the event is never set.
    """
    wanted = Stop(deadline)
    event = wanted.asked
    if threading.current_thread() is not threading.main_thread():
        yield wanted
        return

    def stop(*_: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {n: handler for n, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in ours:
        signal.signal(number, stop)
    try:
        yield wanted
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
