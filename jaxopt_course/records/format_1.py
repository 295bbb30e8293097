"""Studies as the first format had them, lifted to today's; no other code knows it.

There a study without static columns had no buckets: its manifest's own entries were those of its
one program, and its snapshots lay in ``checkpoint/``.  With static columns each bucket kept a study
of its own in ``checkpoint/buckets/0000/``, and its snapshots in a ``checkpoint/`` in there.
"""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxopt_course.records import files
from jaxopt_course.records.format import (
    CHECKPOINT,
    CURVES,
    FORMAT_VERSION,
    MANIFEST,
    OF_BUCKET,
    TRIALS,
    join_sha256,
)

VERSION = 1
STATES = ("0.state", "1.state")
QUESTION, RESULTS = "question.json", "results.json"


def lift(content: dict[str, Any], of: str) -> dict[str, Any]:
    """A manifest or the settings of a question in today's format; a new dictionary.

    Args:
        content: of format 1.
        of: the file, for the message.

    Raises:
        ValueError: an entry is missing.
    """
    needed = set(OF_BUCKET) - {"static", "bucket_dtypes"}
    if missing := sorted((needed | {"dtypes", "trials", "trials_sha256"}) - set(content)):
        raise ValueError(f"{of} is damaged: it lacks {', '.join(missing)}")
    lifted = {**content, "format_version": FORMAT_VERSION}
    if "buckets" not in lifted:
        dtypes = {n: t for n, t in lifted["dtypes"].items() if n in lifted["hyperparameters"]}
        own = {name: lifted[name] for name in needed}
        lifted["static"] = []
        lifted["buckets"] = [
            {"static": {}}
            | own
            | {
                "bucket_dtypes": dtypes,
                "plan": lifted.pop("plan", None),
                "trials": lifted["trials"],
                "trials_sha256": lifted["trials_sha256"],
            }
        ]
        lifted["program_sha256"] = join_sha256([own["program_sha256"]])
    return lifted


def lift_checkpoint(directory: Path) -> None:
    """Put the files of a sweep that was cut short where today's format has them.

    For whoever holds the lock.  The question is rewritten last, so that it may be cut short too.
    """
    folder = files.require_folder(directory, CHECKPOINT)
    try:
        content = files.read_json(folder / QUESTION)
    except (FileNotFoundError, ValueError):
        return
    if not isinstance(content, dict) or content.get("format_version") != VERSION:
        return
    if content.pop("sha256", None) != files.digest(content):
        return  # edited, as its reader will say
    lifted = lift(content, str(folder / QUESTION))
    lifted["sha256"] = files.digest(lifted)
    old = [folder / "buckets" / f"{i:04d}" for i in range(len(lifted["buckets"]))]
    static = "buckets" in content
    for i, bucket in enumerate(old):
        new = files.require_folder(folder, f"{i:04d}")
        files.make_folder(new)
        for name in STATES:
            source = bucket / CHECKPOINT / name if static else folder / name
            _lift_state(source, new / name, lifted["sha256"])
        if static:
            _lift_results(bucket, new, lifted["sha256"])
    files.replace_bytes(folder / QUESTION, files.dump(lifted))
    if static:
        with suppress(OSError, ValueError):  # nothing of a stranger's is followed or removed
            for bucket in old:
                files.require_folder(folder / "buckets", bucket.name)
            files.require_folder(folder, "buckets")
            shutil.rmtree(folder / "buckets")


def _lift_state(source: Path, target: Path, question: str) -> None:
    """A snapshot with the header of today, if there is one."""
    try:
        files.require_regular(source)
        line, _, payload = source.read_bytes().partition(b"\n")
        header = json.loads(line)
        header |= {"format_version": FORMAT_VERSION, "question": question}
    except (FileNotFoundError, ValueError, TypeError):
        return
    whole = json.dumps(header).encode() + b"\n" + payload
    files.replace_bytes(target, whole)
    source.unlink()


def _lift_results(bucket: Path, target: Path, question: str) -> None:
    """What a bucket that is over has left, with the seal of today, if it is whole."""
    try:
        seal = files.read_json(bucket / "seal.json")
        digests = {name: files.sha256(bucket / name) for name in (MANIFEST, TRIALS, CURVES)}
        if seal != digests:
            return
        manifest = files.read_json(bucket / MANIFEST)
        events = (bucket / "events.jsonl").read_text(encoding="utf-8").splitlines()
        event = json.loads(events[-1])
    except (FileNotFoundError, ValueError, IndexError):
        return
    for name in (TRIALS, CURVES):
        os.replace(bucket / name, target / name)
    content = {
        "format_version": FORMAT_VERSION,
        "question": question,
        "sha256": {name: digests[name] for name in (TRIALS, CURVES)},
        "dtypes": manifest["dtypes"],
        "event": event,
    }
    content["seal"] = files.digest(content)
    files.replace_bytes(target / RESULTS, files.dump(content))
