"""What the compiler made of a program, as bytes: kept for other processes, and sent to them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from jaxopt_course.records import programs
from jaxopt_course.sweeps.loading import Kept
from jaxopt_course.sweeps.messages import Code
from jaxopt_course.sweeps.program import Program
from jaxopt_course.sweeps.remote_device import code_of


class Shared:
    """What the programs of a session's buckets were compiled to: equal ones are compiled once."""

    def __init__(self) -> None:
        self.programs: dict[str, bytes] = {}
        self.read, self.write = self.programs.get, self.programs.__setitem__


class Recorded:
    """Hears what is read and written of one program's two parts, "seat" and the segment.

    Args:
        kept: where that is.
    """

    def __init__(self, kept: Kept) -> None:
        self.kept, self.contents = kept, dict[str, bytes | None]()

    def read(self, key: str) -> bytes | None:
        """See ``Kept``."""
        self.contents[key] = content = self.kept.read(key)
        return content

    def write(self, key: str, content: bytes) -> None:
        """See ``Kept``."""
        self.contents[key] = content
        self.kept.write(key, content)

    def code(self, program: Program) -> Code | None:
        """The program for other processes; None where its bytes were not seen."""
        contents = list(self.contents.values())
        seat, segment = contents if len(contents) == 2 else (None, None)
        return None if seat is None or segment is None else code_of(program, seat, segment)


def kept_programs() -> programs.Programs | None:
    """Those in the directory of JAX's persistent cache, where whoever runs this process has one."""
    settings = jax.config.values
    used = settings["jax_enable_compilation_cache"]
    return programs.beside(settings["jax_compilation_cache_dir"]) if used else None


def to_send(compiling: Callable[[Recorded], Any]) -> tuple[Any, Code]:
    """What ``compiling`` makes of a program, and the program for other processes.

    Raises:
        ValueError: it cannot leave this one.
    """
    recorded = Recorded(kept_programs() or Shared())
    made = compiling(recorded)
    if (code := recorded.code(made.program)) is None:  # out of JAX's cache, whose bytes stay there
        with _no_cache():
            recorded = Recorded(Shared())
            made = compiling(recorded)
        code = recorded.code(made.program)
    if code is None:
        raise ValueError(
            "the program cannot leave its process, as one that calls back to Python "
            "(jax.pure_callback, jax.debug.print): cluster= needs one that does not"
        )
    return made, code


@contextlib.contextmanager
def _no_cache() -> Iterator[None]:
    """Let JAX compile what its persistent cache has."""
    name = "jax_enable_compilation_cache"
    before = jax.config.values[name]
    jax.config.update(name, False)
    compilation_cache.reset_cache()  # it looks only once
    try:
        yield
    finally:
        jax.config.update(name, before)
        compilation_cache.reset_cache()
