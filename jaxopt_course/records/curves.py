"""What a file of curves holds, looked at before any of it is read."""

from pathlib import Path
from typing import Any


def check_curves(file: Path, manifest: dict[str, Any]) -> None:
    """Refuse a file that would take more memory than its bytes, or reads another file.

    Arrays are stored as they are, without compression, so that together they are no larger than
    the file; an array of HDF5 may also be one that was never written, or lie in another file.

    Raises:
        ValueError: an array that is not in the file, is larger than it, or not of the study.
    """
    import h5py

    budgets = [bucket["budget"] for bucket in manifest["buckets"]]
    readings = {
        axis: sum(-(-budget["steps"] // budget[every]) for budget in budgets)
        for axis, every in (("step", "record_every"), ("eval_step", "evaluate_every"))
    }
    most = max(1, manifest["trials"]) * max(1, *readings.values())
    total, room = 0, file.stat().st_size
    with h5py.File(file, "r") as content:
        for name in content:
            if not isinstance(content.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name!r} is a link")
            array = content[name]
            if not isinstance(array, h5py.Dataset):
                raise ValueError(f"{name!r} is no array")
            if array.is_virtual or array.external:
                raise ValueError(f"{name!r} lies in another file")
            if array.dtype.kind not in "fiu":
                raise ValueError(f"{name!r} holds no numbers")
            total += array.size * array.dtype.itemsize
            if array.size > most or total > room:
                raise ValueError(f"{name!r} is larger than the study")
