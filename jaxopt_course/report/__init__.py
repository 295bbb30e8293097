"""What was learned: reads a study from disk, never imports jax."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxopt_course.report.page import write_report as write_report
    from jaxopt_course.report.terminal import print_report as print_report

_HOMES = {"write_report": "page", "print_report": "terminal"}


def __getattr__(name: str) -> Any:  # a sweep takes a table from here, and no page
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
