"""Every way to train the trials: where it is, what it needs, what a user writes for it."""

import ast
import importlib.util
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class Way(NamedTuple):
    """A function of a case that returns ``run() -> losses (n, k)``; see ``Case.difference``."""

    make: str  # "file.function" of this folder
    needs: str  # the package that must be installed
    title: str
    writes: tuple[str, ...]  # functions that a user writes, "file.function"; networks are left out
    processes: bool = False  # one a core, each with a share of the trials
    serial: bool = True  # one trial after another, so that a few tell the speed of many
    only: tuple[str, ...] = ()  # networks; default all


HAND = ("by_hand.step_of", "by_hand.train_of")
WAYS = {
    "ours": Way(
        "ours.sweep", "jaxopt_course", "joc.sweep", ("ours.user", "ours.table", "ours.budget"),
        serial=False,
    ),
    "scan": Way("by_hand.scan", "optax", "optax, jit(scan) a trial", (*HAND, "by_hand.scan")),
    "scan2": Way(
        "by_hand.scan", "optax", "the same, a process a core", (*HAND, "by_hand.scan"),
        processes=True,
    ),
    "step": Way(
        "by_hand.loop", "optax", "optax, jit(step) in a loop", ("by_hand.step_of", "by_hand.loop")
    ),
    "vmap": Way(
        "by_hand.vmap", "optax", "optax, jit(vmap(scan))", (*HAND, "by_hand.vmap"), serial=False
    ),
    "chunks": Way(
        "by_hand.chunks", "optax", "the same in chunks",
        (*HAND, "by_hand.vmap", "by_hand.chunks"), serial=False,
    ),
    "fused": Way(
        "pytorch.fused", "torch", "PyTorch, fused, a process a core",
        ("pytorch.fused", "pytorch.loop"), processes=True,
    ),
    "foreach": Way(
        "pytorch.foreach", "torch", "PyTorch, foreach, a process a core",
        ("pytorch.foreach", "pytorch.loop"), processes=True,
    ),
    "functorch": Way("pytorch.vmap", "torch", "torch.func.vmap", ("pytorch.vmap",), serial=False),
    "keras": Way("keras_fit.fit", "keras", "Keras fit, JAX backend", ("keras_fit.fit",)),
    "optuna": Way("tuners.optuna", "optuna", "Optuna", (*HAND, "tuners.optuna")),
    "ray": Way("tuners.ray", "ray", "Ray Tune", (*HAND, "tuners.ray")),
    "hyperoptax": Way(
        "tuners.hyperoptax", "hyperoptax", "hyperoptax", (*HAND, "tuners.hyperoptax"), serial=False
    ),
}  # fmt: skip


def is_missing(way: Way) -> bool:
    """Whether what it needs is not installed."""
    return importlib.util.find_spec(way.needs) is None


def lines(way: Way) -> int:
    """Lines of code that a user writes beside network and loss, without comments."""
    count = 0
    for name in way.writes:
        file, function = name.split(".")
        tree = ast.parse((HERE / f"{file}.py").read_text(encoding="utf-8"))
        [node] = [n for n in tree.body if getattr(n, "name", None) == function]
        docstrings = {
            n.body[0].lineno + i
            for n in ast.walk(node)
            if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(n)
            for i in range(n.body[0].end_lineno - n.body[0].lineno + 1)
        }
        used = {n.lineno for n in ast.walk(node) if hasattr(n, "lineno")}
        count += len(used - docstrings)
    return count
