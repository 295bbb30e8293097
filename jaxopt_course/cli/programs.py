"""Programs that commands compile are kept in the user's cache directory, for the next command."""

import hashlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jaxopt_course.cli.errors import of_system

DAMAGED = re.compile(r"Error reading persistent compilation cache entry for '([\w<>.-]+)'")


@contextmanager
def programs_kept(command: Any) -> Iterator[None]:
    """Let JAX keep what it compiles, while a command runs that has an option ``--no-cache``.

    A directory that JAX is told of otherwise (``JAX_COMPILATION_CACHE_DIR``) stays the one.  Where
    nothing can be written, that is a warning.
    """
    if not hasattr(command, "no_cache"):
        yield
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    now: dict[str, Any] = jax.config.values
    settings: dict[str, Any] = {}
    if command.no_cache:
        settings["jax_enable_compilation_cache"] = False
    elif now["jax_compilation_cache_dir"] is None and (directory := prepared()) is not None:
        settings["jax_compilation_cache_dir"] = str(directory)
        settings["jax_persistent_cache_min_compile_time_secs"] = 0.0  # little ones are many
    before = {name: now[name] for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it looks only once where it is
    try:
        with _mended(jax.config.values["jax_compilation_cache_dir"]):
            yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


def prepared() -> Path | None:
    """The directory for these versions and this machine, made and not too large; None if not."""
    import jax
    import jaxlib

    from jaxopt_course.records.programs import bound, machine

    of = hashlib.sha256("\0".join(machine()).encode()).hexdigest()[:16]
    try:
        root = user_cache() / "jaxopt-course" / "programs"
        directory = root / f"jax-{jax.__version__}-jaxlib-{jaxlib.__version__}-{of}"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
        if hasattr(os, "getuid"):  # what lies there is run
            stat = directory.stat()
            if stat.st_uid != os.getuid() or stat.st_mode & 0o022:
                raise PermissionError(f"others may write to {directory}")
        bound(root)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        why = of_system(error) if isinstance(error, OSError) else error
        said = f"compiled programs are not kept for the next command: {why}; --no-cache says so"
        warnings.warn(said, stacklevel=2)
        return None
    return directory


def user_cache() -> Path:
    """Where the system's conventions want what can be made again.

    Linux: ``$XDG_CACHE_HOME`` or ``~/.cache``; macOS: ``~/Library/Caches``; Windows:
    ``%LOCALAPPDATA%``.

    Raises:
        RuntimeError: there is no home directory.
    """
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    name, usual = "XDG_CACHE_HOME", Path(".cache")
    if sys.platform == "win32":
        name, usual = "LOCALAPPDATA", Path("AppData") / "Local"
    given = Path(os.environ.get(name, ""))
    return given if given.is_absolute() else Path.home() / usual


@contextmanager
def _mended(directory: str | None) -> Iterator[None]:
    """JAX warns of an entry that it cannot read and leaves it there: remove it, to be made anew."""
    shown = warnings.showwarning

    def show(message: Warning | str, *rest: Any, **named: Any) -> None:
        found = DAMAGED.match(str(message))
        if found and directory is not None:
            for file in Path(directory).glob(f"{found[1]}-*"):
                with suppress(OSError):  # another's, or in its place something that is no file
                    file.unlink()
        shown(message, *rest, **named)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown
