"""Ctrl-C and SIGTERM ask a sweep to end at its next reading."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets, so that no reading is cut in the middle.

    The second one raises KeyboardInterrupt.  The handlers of before are put back at the end.  A
    signal that was ignored stays ignored: a shell script starts its background jobs so, and a
    Ctrl-C is then meant for the script alone; so does a handler that is not Python's.  Outside the
    main thread, which is the only one that Python delivers signals to, the event is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
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
        yield event
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
