"""A disk that loses power: what may be left of what a program had done.

:class:`Disk` watches a directory while real code works in it: each flush, rename and removal, and
between them which files appeared or changed, by looking.  :meth:`Disk.states` then makes each
directory that may be found after the power has gone at any moment:

    names      What was done to a directory is on the disk once the directory is flushed.  Of what
               came later there may be, on an ordered disk, all up to some moment; on a weak one
               any of it.
    contents   A file is on the disk as it was when it was last flushed.  Since then it may have
               become empty, half of what it is, or what it is.

A rename is one act, also over a file that is there.  A flush knows the lines that asked for it, so
that the same acts can be looked at as if one of them had been forgotten.
"""

import functools
import itertools
import os
import random
import sys
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

WATCHED = ("fsync", "replace", "rename", "unlink", "remove", "rmdir", "mkdir")
FOLDER = "folder"
MOST = 6  # acts of which each choice is tried; of more so many choices are drawn
DRAWN = 64
Line = tuple[str, int]  # of a file of code


class State(NamedTuple):
    """What may be found."""

    moment: int  # after so many acts
    said: Any  # the last that the program had said by then, see :meth:`Disk.say`
    files: dict[str, bytes]  # by path below the directory; folders without a file are None

    @property
    def key(self) -> Hashable:
        """All but the moment."""
        return self.said, frozenset(self.files.items())

    def write(self, directory: Path) -> None:
        """Make it."""
        for path, content in self.files.items():
            target = directory / path
            if content is None:
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)


class Disk:
    """Watches a directory, as a context.

    Attributes:
        acts: (kind, what): "names" {path: identity of a file, FOLDER or None}, "content" (identity,
            bytes), "flushed" identity, "flushed names" path of the folder, "said" anything.
        asked: number of an act that is a flush -> the lines of code that were under way.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.acts: list[tuple[str, Any]] = []
        self.asked: dict[int, set[Line]] = {}
        self._names: dict[str, Any] = {}
        self._contents: dict[int, bytes] = {}
        self._known: dict[int, int] = {}  # a number of the file system -> an identity of ours
        self._fresh = itertools.count()
        self._real: dict[str, Callable[..., Any]] = {}
        self._begun = 0  # acts of before

    def __enter__(self) -> "Disk":
        self._look(flushed=True)
        self._begun = len(self.acts)
        for name in WATCHED:
            self._real[name] = getattr(os, name)
            setattr(os, name, self._watched(name))
        return self

    def __exit__(self, *_: Any) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)
        self._look()

    def say(self, anything: Any) -> None:
        """What the program has told the outer world: from here on it must hold."""
        self._look()
        self.acts.append(("said", anything))

    def _watched(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def act(*args: Any, **named: Any) -> Any:
            self._look()
            flushed = os.readlink(f"/proc/self/fd/{args[0]}") if name == "fsync" else None
            result = real(*args, **named)
            self._look()
            if flushed is not None and Path(flushed).is_relative_to(self.directory):
                path = str(Path(flushed).relative_to(self.directory))
                self.asked[len(self.acts)] = set(_lines())
                if Path(flushed).is_dir():
                    self.acts.append(("flushed names", path))
                else:
                    self.acts.append(("flushed", self._names[path]))
            return result

        return act

    def _look(self, flushed: bool = False) -> None:
        """Write down what is other than at the last look."""
        names: dict[str, Any] = {}
        seen = {}
        for folder, folders, files in os.walk(self.directory):
            for name in folders:
                names[str(Path(folder, name).relative_to(self.directory))] = FOLDER
            for name in files:
                path = Path(folder, name)
                number = path.stat().st_ino
                seen[number] = identity = self._known.get(number, None)
                if identity is None:
                    seen[number] = identity = next(self._fresh)
                    self._known[number] = identity
                names[str(path.relative_to(self.directory))] = identity
                content = path.read_bytes()
                if self._contents.get(identity) != content:
                    self._contents[identity] = content
                    self.acts.append(("content", (identity, content)))
                    if flushed:
                        self.acts.append(("flushed", identity))
        self._known = seen  # a number that nobody has may be given to another file
        changed = {path: names.get(path) for path in {*names, *self._names} - self._same(names)}
        if changed:
            self.acts.append(("names", changed))
        if flushed:
            folders = ["."] + [path for path, what in names.items() if what == FOLDER]
            self.acts += [("flushed names", path) for path in folders]
        self._names = names

    def _same(self, names: dict[str, Any]) -> set[str]:
        return {path for path, what in names.items() if self._names.get(path) == what}

    def states(self, weak: bool, forgotten: Line | None = None) -> Iterator[State]:
        """Each that differs in files or in what had been said, in the order of moments.

        Args:
            weak: whether the disk is, see above.
            forgotten: a line of code whose flushes were not done.
        """
        seen = set()
        for state in self._all(weak, forgotten):
            if (key := state.key) not in seen:
                seen.add(key)
                yield state

    def _all(self, weak: bool, forgotten: Line | None) -> Iterator[State]:
        said: Any = None
        pending: list[tuple[dict[str, Any], set[str]]] = []  # changes, folders not yet flushed
        durable: dict[str, Any] = {}
        safe: dict[int, bytes] = {}
        now: dict[int, bytes] = {}
        for moment, (kind, what) in enumerate(self.acts, 1):
            if forgotten in self.asked.get(moment - 1, ()):
                continue
            if kind == "said":
                said = what
            elif kind == "content":
                now[what[0]] = what[1]
            elif kind == "flushed":
                safe[what] = now[what]
            elif kind == "names":
                pending.append((what, {str(Path(path).parent) for path in what}))
            elif kind == "flushed names":
                for _, folders in pending:
                    folders.discard(what)
                flushed = [i for i, (_, folders) in enumerate(pending) if not folders]
                if weak:  # an act is on the disk as soon as its own folders are
                    for i in flushed:
                        durable |= pending[i][0]
                    pending = [act for i, act in enumerate(pending) if i not in flushed]
                elif flushed:
                    for changes, _ in pending[: flushed[-1] + 1]:
                        durable |= changes
                    pending = pending[flushed[-1] + 1 :]
            if moment < self._begun:
                continue
            for chosen in _choices(len(pending), weak, moment):
                names = dict(durable)
                for i in chosen:
                    names |= pending[i][0]
                for part in (0.0, 0.5, 1.0):
                    yield State(moment, said, _found(names, safe, now, part))


def _lines() -> Iterator[Line]:
    """Where the calls that are under way stand."""
    frame = sys._getframe(1)
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]


def _choices(count: int, weak: bool, seed: int) -> Iterator[tuple[int, ...]]:
    """Which of so many acts are on the disk, in their order."""
    everything = tuple(range(count))
    if not weak:
        yield from (everything[:end] for end in range(count + 1))
    elif count <= MOST:
        for size in range(count + 1):
            yield from itertools.combinations(everything, size)
    else:
        draw = random.Random(seed)
        yield from ((), everything)
        for _ in range(DRAWN):
            yield tuple(i for i in everything if draw.random() < 0.5)


def _found(
    names: dict[str, Any], safe: dict[int, bytes], now: dict[int, bytes], part: float
) -> dict[str, Any]:
    """Files by path, those that were not flushed with a part of their bytes."""
    found: dict[str, Any] = {}
    for path, what in names.items():
        if what is None or any(names.get(folder) != FOLDER for folder in _above(path)):
            continue
        if what == FOLDER:
            found[path] = None
        elif safe.get(what) == now[what]:
            found[path] = now[what]
        else:
            found[path] = _part(now[what], part) if part else safe.get(what, b"")
    return found


@functools.cache
def _above(path: str) -> list[str]:
    return [str(folder) for folder in Path(path).parents][:-1]


@functools.cache
def _part(content: bytes, part: float) -> bytes:
    return content[: round(part * len(content))]
