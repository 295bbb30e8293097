"""A study for TensorBoard: a directory of events a trial, with HParams; see its method of Study."""

import shutil
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxopt_course.exports.packages import a_directory, imported
from jaxopt_course.exports.runs import Run, Whole, results
from jaxopt_course.records.files import make_named, replace_bytes


def export(directory: str | Path, metric: str, whole: Whole, runs: list[Run]) -> Path:
    """Write the events; the directory, for ``tensorboard --logdir``.

    HParams lists the settings of each trial with ``result/<measure>``; the study's metric is first.

    Raises:
        FileExistsError: the directory holds something.
        NotADirectoryError: it is a file.
        OSError: the disk is full, or the like; what was written is removed again.
    """
    imported("tensorboardX", "tensorboardX")
    summary = imported("tensorboardX.summary", "tensorboardX")
    path = a_directory(directory)
    if path.is_dir() and any(path.iterdir()):
        raise FileExistsError(f"{path} is not empty, and nothing in it is replaced; name another")
    text = "\n".join(f"    {name}: {fact}" for name, fact in whole.facts.items())
    made = [one for one in (path, *path.parents) if not one.exists()]
    try:
        make_named(path, "events")
        _write(path, [(summary.text("study", text), None)])
        for run in runs:
            _write(path / run.name, _events(run, metric, summary))
    except BaseException:
        _remove(path, made)
        raise
    return path


def _events(run: Run, metric: str, summary: Any) -> Iterator[tuple[Any, int | None]]:
    """What is said of a trial, and at which step."""
    measures = results(_ordered(run.measures, metric))
    for one in summary.hparams(_kinds(run), dict.fromkeys(measures, 0.0)):
        yield one, None
    for step, values in run.curve:
        for name, value in values.items():
            yield summary.scalar(name, value), step
    for name, value in measures.items():
        yield summary.scalar(name, value), run.last_step


def _write(folder: Path, summaries: Iterable[tuple[Any, int | None]]) -> None:
    """A file of events, whole; not by a ``SummaryWriter``, whose thread keeps what it meets."""
    protocol = imported("tensorboardX.proto.event_pb2", "tensorboardX")
    checksum = imported("tensorboardX.record_writer", "tensorboardX").masked_crc32c
    now = time.time()
    events = [protocol.Event(wall_time=now, file_version="brain.Event:2")]
    events += [protocol.Event(wall_time=now, step=at or 0, summary=one) for one, at in summaries]
    records = []
    for event in events:  # TFRecord: length, its checksum, content, its checksum
        content = event.SerializeToString()
        length = struct.pack("<Q", len(content))
        sums = [struct.pack("<I", checksum(part)) for part in (length, content)]
        records += [length, sums[0], content, sums[1]]
    folder.mkdir(parents=True, exist_ok=True)
    name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}"
    replace_bytes(folder / name, b"".join(records))


def _remove(path: Path, made: list[Path]) -> None:
    """Half a board would be taken for one, and refused the next time."""
    with suppress(OSError):
        for one in path.iterdir():  # it was empty, or not there
            shutil.rmtree(one) if one.is_dir() else one.unlink()
    for one in made:
        with suppress(OSError):  # not made yet
            one.rmdir()


def _ordered(measures: dict[str, float], metric: str) -> dict[str, float]:
    return {name: measures[name] for name in sorted(measures, key=lambda name: name != metric)}


def _kinds(run: Run) -> dict[str, Any]:
    """Settings as HParams knows them: switches, numbers and text."""
    known = (bool, int, float, str)
    settings = {**run.settings, "trial": run.trial, "status": run.status}
    return {name: x if isinstance(x, known) else str(x) for name, x in settings.items()}
