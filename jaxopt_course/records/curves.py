"""What a file of curves holds, looked at before any of it is read.

A study's curves are arrays of numbers over (trial, step) or (trial, eval_step), and these three as
whole numbers; each lies in one piece, as it is, so that together they are no larger than the file.
All else that HDF5 and netCDF can say is refused: it would take more memory than its bytes, read
another file, or make other numbers of those that are there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

READINGS = {"step": "record_every", "eval_step": "evaluate_every"}  # axis -> of a budget
AXES = ("trial", *READINGS)
KNOWN = {  # attributes that netCDF needs; others scale numbers, or make dates of them
    *("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_FillValue"),
    *("_Netcdf4Coordinates", "_Netcdf4Dimid"),
}
MOST_ENTRIES = 16  # of an attribute but REFERENCE_LIST, which has one a curve


def check_curves(file: Path, manifest: dict[str, Any]) -> None:
    """Refuse a file that is not the curves of the study with this manifest.

    Raises:
        ValueError: an array that is not in the file, is larger than it, or not of the study.
    """
    budgets = [bucket["budget"] for bucket in manifest["buckets"]]
    readings = {
        axis: sum(-(-budget["steps"] // budget[every]) for budget in budgets)
        for axis, every in READINGS.items()
    }
    check_arrays(file, range(manifest["trials"]), max(1, *readings.values()))


def check_arrays(file: Path, trials: Sequence[int], most: int | None = None) -> None:
    """Refuse a file that is not curves of these trials.

    Args:
        file: of curves.
        trials: their numbers.
        most: readings that a trial has; default as many as the file has room for.

    Raises:
        ValueError: it says what is wrong.
    """
    import h5py

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
            if total > room or (most is not None and array.size > max(1, len(trials)) * most):
                raise ValueError(f"{name!r} is larger than the study")
            if array.chunks is not None:  # a chunk may be larger than the array, and compressed
                raise ValueError(f"{name!r} lies in pieces")
            _check_attributes(array, name)
        for axis in AXES:
            if axis not in content or content[axis].ndim != 1:
                raise ValueError(f"it lacks the axis {axis!r}")
        for name in set(content) - set(AXES):
            scales = [
                dimension[0].name if len(dimension) else "" for dimension in content[name].dims
            ]
            if scales not in [["/trial", f"/{axis}"] for axis in READINGS]:
                raise ValueError(f"{name!r} is no curve over trials and steps")
        numbers = {axis: content[axis][...] for axis in AXES}
    found = numbers["trial"].tolist()
    if found != list(trials):
        raise ValueError(f"it has {len(found)} trials, not these {len(trials)} in their order")
    for axis in READINGS:
        if (numbers[axis] < 1).any() or (numbers[axis][1:] <= numbers[axis][:-1]).any():
            raise ValueError(f"{axis!r} does not count steps upwards")


def _check_attributes(array: Any, name: str) -> None:
    """Let nothing pass that changes what the numbers mean, or that unfolds to more than it is."""
    for attribute in array.attrs:
        if attribute not in KNOWN:
            raise ValueError(f"{name!r} has the attribute {attribute[:60]!r}")
        entries = array.attrs.get_id(attribute).shape or ()
        if attribute != "REFERENCE_LIST" and max(entries, default=0) > MOST_ENTRIES:
            raise ValueError(f"{name!r} has an attribute {attribute!r} of {entries}")
