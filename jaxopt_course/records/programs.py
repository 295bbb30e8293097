"""What the compiler made, as files beside JAX's own in its persistent cache.

A file is a digest and the bytes that it is of, with the file's name, which says for what program,
versions and machine: a file that was copied over another one is damaged.  Whatever is wrong
with the directory is a warning: programs are then compiled.
"""

import hashlib
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# beginnings of features that arithmetic may use, on x86 and on ARM
COUNTS = (
    *("sse", "ssse", "pni", "avx", "fma", "f16c", "amx", "xop"),
    *("fp", "asimd", "sve", "sme", "bf16", "i8mm", "neon", "vfp"),
)
SUFFIX = "-program"
PARTIAL = f"{SUFFIX}.partial"  # how a file ends while it is written
LONGEST = 3600.0  # seconds that this takes at most
FORMAT = "2"  # of the files; those of another are not looked at
DIGEST = 32  # bytes, of SHA-256
BYTES = 1 << 28  # of all that is kept, 256 MiB; a program of a sweep is one or two of them
CPUINFO = Path("/proc/cpuinfo")


class Programs(NamedTuple):
    """Those of a directory."""

    directory: Path

    def read(self, key: str) -> bytes | None:
        """What :meth:`write` left under this key; None where that is nothing, or damaged."""
        file = self._file(key)
        try:
            content = file.read_bytes()
            if content[:DIGEST] == _digest(file, content[DIGEST:]):
                with suppress(OSError):  # another user's, or a disk that is not written to
                    os.utime(file)  # the least recently used go first
                return content[DIGEST:]
            file.unlink()
            why = "it is damaged, and removed"
        except FileNotFoundError:
            return None
        except OSError as error:
            why = str(error.strerror)
        warnings.warn(f"a compiled program was not read from {file}: {why}", stacklevel=2)
        return None

    def write(self, key: str, content: bytes) -> None:
        """Keep it; whoever reads it meets all of it or nothing."""
        file = self._file(key)
        try:
            self._sweep()
            handle, beside = tempfile.mkstemp(PARTIAL, dir=self.directory)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(_digest(file, content) + content)
                os.replace(beside, file)
            except BaseException:  # a full disk, or Ctrl-C: half a program helps nobody
                os.unlink(beside)
                raise
        except OSError as error:
            said = f"a compiled program was not kept in {self.directory}: {error.strerror}"
            warnings.warn(said, stacklevel=2)

    def _sweep(self) -> None:
        """Remove what processes that were killed have left half written."""
        for file in self.directory.glob(f"tmp*{PARTIAL}"):
            with suppress(OSError):  # another process may remove it, too
                if time.time() - file.lstat().st_mtime > LONGEST:
                    file.unlink()

    def _file(self, key: str) -> Path:
        """On another machine the same program is another file."""
        name = hashlib.sha256("\0".join((FORMAT, key, *machine())).encode()).hexdigest()
        return self.directory / f"{name}{SUFFIX}"


def _digest(file: Path, content: bytes) -> bytes:
    """What a file begins with."""
    return hashlib.sha256(file.name.encode() + content).digest()


def beside(cache: str | None) -> Programs | None:
    """Programs in the directory of JAX's cache; None where it has none, or none on this disk."""
    return Programs(Path(cache)) if cache and "://" not in cache else None


def machine() -> Sequence[str]:
    """What decides for which instructions the compiler writes: the CPU's model and its features.

    Where the system does not list them, the machine's name.
    """
    wanted = ("model name", "flags", "features", "cpu part", "isa")
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    found = [line for line in lines if line.partition(":")[0].strip().lower() in wanted]
    return platform.machine(), *(dict.fromkeys(found) or [platform.node()])


def instructions() -> str:
    """The CPU's model, and a digest of the instructions that arithmetic is compiled to.

    On its other features, which kernels name as they learn of them, no bit depends.  Where the
    system lists none, what Python knows of the processor.
    """
    known = [line.partition(":")[::2] for line in machine()[1:]]
    name = next((text.strip() for title, text in known if title.strip() == "model name"), "")
    words = sorted({word for _, text in known for word in text.split() if word.startswith(COUNTS)})
    digest = hashlib.sha256(" ".join((platform.machine(), *words)).encode()).hexdigest()[:12]
    return f"{name or platform.processor() or platform.machine()}, features {digest}"


def bound(directory: Path, most: int = BYTES) -> None:
    """Remove the files, of all versions, that were not used for longest, until few are left."""
    ages = []
    for file in directory.rglob("*"):
        with suppress(OSError):  # another process may remove it, too
            if file.is_file() and not file.is_symlink():
                stat = file.stat()
                ages.append((max(stat.st_mtime, stat.st_atime), stat.st_size, file))
    total = sum(size for _, size, _ in ages)
    for _, size, file in sorted(ages):
        if total <= most:
            return
        with suppress(OSError):
            file.unlink()
        total -= size
