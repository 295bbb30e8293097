"""Weights in files of others: safetensors and orbax."""

import errno
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_course.records import claims, files, safetensors, weights
from jaxopt_course.records.safetensors import SUFFIX
from jaxopt_course.studies.states import named, on_host

MARKS = ("_CHECKPOINT_METADATA", "_METADATA")  # of a directory that orbax wrote
FORMATS = ("safetensors", "orbax")


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file of safetensors or a checkpoint of orbax, by name.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is neither, or damaged.
        ImportError: orbax is not installed.
    """
    file = claims.where(path)
    if not file.exists():
        raise FileNotFoundError(f"start=: {file} is not there")
    if file.is_dir():
        leaves, _ = named(_read_orbax(file))
        return {name: np.asarray(x) for name, x in leaves.items() if x is not None}
    return weights.load(file).arrays


def _read_orbax(folder: Path) -> Any:
    inside = folder / "default"  # a step of a CheckpointManager
    folder = folder if any((folder / mark).exists() for mark in MARKS[1:]) else inside
    if not any((folder / mark).exists() for mark in MARKS):
        raise ValueError(
            f"{folder.parent if folder == inside else folder} is no checkpoint of orbax; give the "
            f"folder of one step, or a file of safetensors (…{SUFFIX})"
        )
    ocp = _orbax()
    reader = ocp.PyTreeCheckpointer()
    try:
        shapes = reader.metadata(folder)
        shapes = getattr(shapes, "item_metadata", shapes)
        shapes = getattr(shapes, "tree", shapes)
        plain = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes)
        return reader.restore(folder, args=ocp.args.PyTreeRestore(restore_args=plain))
    except (ValueError, KeyError, OSError, TypeError) as error:
        raise ValueError(f"{folder} is damaged, or no checkpoint of arrays: {error}") from error


def _orbax() -> Any:
    try:
        import orbax.checkpoint as ocp
    except ImportError as error:
        raise ImportError(
            "orbax is not installed: pip install orbax-checkpoint; or use a file of safetensors "
            f"(…{SUFFIX}), which needs no package"
        ) from error
    return ocp


def check_target(path: str | Path, form: str | None, overwrite: bool) -> tuple[Path, str]:
    """Where weights go and in which format; nothing is replaced without being asked.

    Raises:
        FileExistsError: something is there, and ``overwrite`` is false; or it is no weights.
        FileNotFoundError: the folder does not exist.
        ValueError: an unknown format.
    """
    target = claims.where(path)
    form = form or ("safetensors" if target.suffix == SUFFIX else "orbax")
    if form not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {form!r}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to write {target.name} into")
    _settle(target)
    if not files.is_file(target):
        return target, form
    if not overwrite:
        raise FileExistsError(f"{target} is there already; choose another path, or overwrite=True")
    orbax = target.is_dir() and any((target / mark).exists() for mark in MARKS)
    if (form == "orbax") != orbax or (form != "orbax" and not target.is_file()):
        raise FileExistsError(f"{target} is there and holds no weights of {form}; move it away")
    return target, form


def write_weights(tree: Any, target: Path, form: str) -> None:
    """Write weights, whole or not at all; what :func:`check_target` has let pass is replaced."""
    if form == "safetensors":
        leaves, _ = named(tree)
        arrays = {name: on_host(leaf) for name, leaf in leaves.items()}
        files.replace_bytes(target, safetensors.pack(arrays, {"format": "flax"}))
        return
    ocp = _orbax()
    arrays = jax.tree.map(on_host, tree)
    new, _, old = _beside(target)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sharding, which arrays of the host have not
            ocp.PyTreeCheckpointer().save(new, arrays, force=True)
        if target.exists():  # orbax itself would remove it before it writes
            os.rename(target, old)
        os.rename(new, target)
    except ValueError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
    finally:
        _settle(target)


def _beside(target: Path) -> tuple[Path, Path, Path]:
    """Where a checkpoint is while it is written, by us and by orbax; and the old one meanwhile."""
    new = target.with_name(f".{target.name}.jaxopt_course{files.PARTIAL}")
    return new, new.with_name(f"{new.name}.orbax-checkpoint-tmp"), new.with_suffix(".before")


def _settle(target: Path) -> None:
    """Put back the old checkpoint where no new one took its place, and remove what is left."""
    *half, old = _beside(target)
    if old.is_dir() and not files.is_file(target):
        os.rename(old, target)
    for folder in (*half, old):
        shutil.rmtree(folder, ignore_errors=True)
