"""One compilation for all devices of a kind: the compiler's output, loaded on each of them.

A program that was compiled for one CPU or GPU is the same machine code on its neighbours; only the
device that it is assigned to differs.  ``jax.experimental.serialize_executable`` gives the output
of the compiler as bytes but loads them where they came from, so they are read here with another
device in the place of theirs.  What cannot be moved so (a callback to Python, what JAX's persistent
cache brought, a version of JAX that stores it otherwise) is compiled for each device.
"""

import contextlib
import hashlib
import io
import os
import pickle
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import jax
import jaxlib
import numpy as np
from jax.experimental import serialize_executable
from jaxlib import xla_client

from jaxopt_course.sweeps.mesh import Slice
from jaxopt_course.sweeps.recent import Recent


class Made(NamedTuple):
    """What the compiler made, or JAX's persistent cache brought."""

    executable: Any
    from_cache: bool


class Kept(Protocol):
    """Programs as bytes, of other processes too."""

    def read(self, key: str) -> bytes | None:
        """What was written under this key."""

    def write(self, key: str, content: bytes) -> None:
        """Keep it."""


def compile_all(
    lowering: Sequence[Callable[[Any], Any]],
    options: Sequence[dict[str, Any]],
    devices: Sequence[Any],
    kept: Kept | None = None,
    recent: Recent | None = None,
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """The executables of each program, one a device, and each program's text.

    The compiler runs in threads; tracing, which is not for threads, runs beside it in this one.

    Args:
        lowering: of each program, what lowers it for a device.
        options: of the compiler, for each program.
        devices: where.
        kept: what was compiled before, and where to keep what is compiled now.
        recent: the same, of this process and as it is.
    """
    first, *others = devices
    movable = not isinstance(first, Slice)  # a program of several devices is compiled for each
    pool = ThreadPoolExecutor(len(lowering) * len(devices))
    with _cache_hits() as hits:
        start = lambda one, how: pool.submit(_compiled, one, how, hits)
        try:
            packs: list[Any] = []
            texts, keys, names, known, made = [], [], [], [], []
            for lower, how in zip(lowering, options, strict=True):
                texts.append(text := (one := lower(first)).as_text())
                keys.append(key := _key(one, text, how, first) if kept or recent else None)
                names.append(name := _name(one, key, devices))
                known.append(was := recent.get(name) if recent and name else None)
                read = kept.read(key) if kept and key and not was else None
                packs.append(pack := _known(one, read))
                copy = moved(pack, first)
                if was:
                    made.append([_done(executable) for executable in was])
                else:
                    made.append([start(one, how) if copy is None else _done(copy)])
            for i, mine in enumerate(made):
                if known[i]:
                    continue
                if movable and packs[i] is None and (others or (kept and keys[i])):
                    packs[i] = packed(mine[0].result())
                    if kept and (key := keys[i]) and packs[i] is not None:
                        kept.write(key, packs[i][0])
                for device in others:
                    copy = moved(packs[i], device) if movable and _alike(device, first) else None
                    again = copy is None and start(lowering[i](device), options[i])
                    mine.append(again or _done(copy))
            executables = [tuple(one.result().executable for one in mine) for mine in made]
        finally:  # after Ctrl-C nobody waits for a compiler, which cannot be stopped
            pool.shutdown(wait=False, cancel_futures=True)
    for name, one in zip(names, executables, strict=True):
        if recent and name and all(map(_is_whole, one)):
            recent.put(name, one)
    return executables, texts


def _alike(device: Any, first: Any) -> bool:
    return device.client is first.client and device.device_kind == first.device_kind


def _key(lowered: Any, text: str, options: dict[str, Any], device: Any) -> str | None:
    """All that decides what the compiler makes, and of whom it is called, but for the machine.

    The text knows neither the arguments' names nor those that nobody reads, which are dropped: two
    tables may have one text and take their numbers from other columns.  None where that is unknown.
    """
    try:
        read = sorted(lowered._lowering.compile_args["kept_var_idx"])
    except (AttributeError, KeyError):  # private to jax: without it nothing is kept
        return None
    arguments = str(lowered.args_info)
    aside = ("cache", "log", "pgle", "dump")
    settings = {k: v for k, v in jax.config.values.items() if not any(word in k for word in aside)}
    flags = [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")]
    made_by = jax.__version__, jaxlib.__version__, device.client.platform_version, flags
    on = device.platform, device.device_kind, made_by
    of = text, arguments, read, sorted(options.items()), *on
    return repr((*of, sorted(settings.items())))


def _name(lowered: Any, key: str | None, devices: Sequence[Any]) -> Hashable | None:
    """What an executable of this process is known by: also what it takes and gives, and where."""
    if key is None:
        return None
    given = jax.tree.structure(lowered.args_info), lowered.out_tree
    places = [getattr(device, "mesh", device) for device in devices]
    name = hashlib.sha256(key.encode()).digest(), *given, *places
    try:
        hash(name)
    except TypeError:  # a node of a tree holds what has none
        return None
    return name


def _known(lowered: Any, content: bytes | None) -> Any:
    """What :func:`moved` takes; None where nothing is kept."""
    if content is None:
        return None
    return content, jax.tree.structure(lowered.args_info), lowered.out_tree


@contextlib.contextmanager
def _cache_hits() -> Iterator[set[int]]:
    """The threads whose last program JAX's persistent cache had; kept by JAX's own events."""
    threads: set[int] = set()

    def listen(event: str, **_: Any) -> None:
        if event.endswith("/cache_hits"):
            threads.add(threading.get_ident())

    jax.monitoring.register_event_listener(listen)
    try:
        yield threads
    finally:
        jax.monitoring.unregister_event_listener(listen)


def _compiled(lowered: Any, options: dict[str, Any], hits: set[int]) -> Made:
    hits.discard(threading.get_ident())
    executable = lowered.compile(options)
    return Made(executable, threading.get_ident() in hits)


def _done(executable: Any) -> "Future[Made]":
    future: Future[Made] = Future()
    future.set_result(Made(executable, from_cache=False))
    return future


def _is_whole(executable: Any) -> bool:
    """Whether its text says all that it is: of a callback it has an address in this process."""
    program = getattr(getattr(executable, "_executable", None), "_unloaded_executable", None)
    return program is not None and not (program.host_callbacks or program.keepalive)


def packed(made: Made) -> Any:
    """What :func:`moved` takes; None where the program cannot leave its device."""
    if made.from_cache:  # XLA does not write all of what it has read: functions would be missing
        return None
    try:
        if not _is_whole(made.executable):
            return None
        return serialize_executable.serialize(made.executable)
    except Exception:  # private to jax: without it every device compiles, no more
        return None


def moved(program: Any, device: Any) -> Any:
    """The executable on another device of the kind that it was compiled for; None if it fails."""
    if program is None:
        return None
    try:
        data, arguments, results = program
        unloaded, flat, no_kwargs = _Reader(io.BytesIO(data), device).load()
        executable = unloaded.load()
        if executable.xla_executable.local_devices() != [device]:
            return None
        given = arguments.unflatten(flat)
        return jax.stages.Compiled(executable, [], given, results, no_kwargs=no_kwargs)
    except Exception:  # as above
        return None


class _Reader(pickle.Unpickler):
    """Reads what ``serialize`` has written, with ``device`` in the place of the only one in it."""

    def __init__(self, file: io.BytesIO, device: Any) -> None:
        super().__init__(file)
        self.device = device

    def persistent_load(self, reference: Any) -> Any:
        kind = reference[0]
        if kind == "device":
            return self.device
        if kind == "client":
            return self.device.client
        if kind != "exec":
            raise pickle.UnpicklingError(kind)
        options = xla_client.CompileOptions()
        options.num_replicas = options.num_partitions = 1
        options.device_assignment = xla_client.DeviceAssignment.create(np.array([[self.device.id]]))
        place = xla_client.DeviceList((self.device,))
        return self.device.client.deserialize_executable(
            reference[1], executable_devices=place, compile_options=options
        )
