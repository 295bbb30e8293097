"""What the report draws with is imported while the compiler works, when a core is idle."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

DRAWING = (
    "scipy.special",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "rich.table",
    "jaxopt_course.report.page",
    "jaxopt_course.report.terminal",
)
LOWERED = "/jaxpr_to_mlir_module_duration"  # JAX's event: one more program goes to the compiler


@contextmanager
def imported_ahead(modules: Sequence[str] = DRAWING, program: str = "segment") -> Iterator[None]:
    """Import modules in a thread once the program of that name is traced.

    Before that Python itself is at work, and would only be held up.  Where JAX does not tell, they
    are imported by whoever needs them.
    """
    import jax

    started: list[threading.Thread] = []

    def load() -> None:
        with suppress(Exception):  # who needs them will say so
            for name in modules:
                import_module(name)

    def listen(event: str, duration_secs: float, **about: Any) -> None:
        if event.endswith(LOWERED) and program in about.get("fun_name", "") and not started:
            started.append(threading.Thread(target=load, daemon=True))
            started[0].start()

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
