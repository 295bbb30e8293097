"""The trainings that every way does: five networks, data, what they start from, their batches.

A trial has one of four seeds, as in a table of learning rates x four seeds, and a rate of its own.
Weights and the order of the examples are those that ``joc.sweep`` gives the seed; they are made
once, before any clock starts, and every other way gets them from a file, for nothing.  A trial's
rate does not depend on how many trials there are, so that one reference serves all.

Optimizer: Adam (b1 0.9, b2 0.999, eps 1e-8), float32.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SEEDS = 4  # trials of the reference too
GATE_STEPS = 20  # the first steps, whose losses are compared
RTOL, RTOL_A_STEP, RTOL_MOST, ATOL = 1e-4, 5e-4, 1e-2, 1e-4  # rounding errors grow
VOCABULARY, CONTEXT, WIDTH, HEADS, BLOCKS = 64, 64, 64, 4, 2  # of the transformer


class Workload(NamedTuple):
    """A network, its batches and how long its trials are."""

    network: str  # name of the function that makes it in each library
    sizes: tuple[int, ...]  # of an MLP; an image's (height, width, channels)
    outputs: int  # 1: binary cross-entropy of a logit; else softmax cross-entropy
    batch: int
    epoch: int  # steps
    total: int  # trial-steps of a run, about
    longest: int  # epochs of a trial
    chunk: int  # trials of a chunk of vmap by hand, the quickest of 1, 2, 4, ..., 64

    def steps(self, trials: int) -> int:
        """Steps of a trial where there are so many."""
        epochs = round(self.total / trials / self.epoch)
        return self.epoch * min(self.longest, max(1, epochs))


WORKLOADS = {
    "logistic": Workload("mlp", (30, 1), 1, 64, 20, 400_000, 200, 4),
    "mlp": Workload("mlp", (20, 64, 64, 1), 1, 64, 39, 100_000, 100, 4),
    "cnn": Workload("cnn", (32, 32, 3), 10, 32, 8, 256, 4, 1),
    "transformer": Workload("transformer", (), VOCABULARY, 16, 8, 1_024, 16, 4),
    "control": Workload("mlp", (784, 1024, 1024, 10), 10, 64, 8, 512, 8, 1),
}
TITLES = {
    "logistic": "logistic regression, 30 numbers, batch 64",
    "mlp": "MLP 20-64-64-1, batch 64",
    "cnn": "the notes' CIFAR CNN, 122,570 weights, batch 32",
    "transformer": "character transformer, 2 layers of width 64, context 64, batch 16",
    "control": "MLP 784-1024-1024-10, 1.9M weights, batch 64",
}


class Case(NamedTuple):
    """What one process trains."""

    name: str
    workload: Workload
    trials: np.ndarray  # (n,), numbers of the trials
    steps: int
    inputs: np.ndarray
    targets: np.ndarray  # int32
    weights: dict[str, np.ndarray]  # by path, (SEEDS, ...)
    order: np.ndarray  # (SEEDS, steps, batch), int32: rows of each step
    reference: np.ndarray  # (SEEDS, steps): losses of trials 0, 1, 2, 3

    @property
    def rates(self) -> np.ndarray:
        """Learning rates (n,) in [1e-4, 1e-2]."""
        golden = 0.6180339887498949
        return (1e-4 * 100 ** (self.trials * golden % 1)).astype(np.float32)

    @property
    def seeds(self) -> np.ndarray:
        """(n,)."""
        return self.trials % SEEDS

    def start(self, seed: int) -> dict[str, np.ndarray]:
        """The weights of a seed."""
        return {path: leaf[seed] for path, leaf in self.weights.items()}

    def difference(self, curves: np.ndarray) -> str:
        """What is wrong with the curves (n, k) of all trials, k means of as many steps; or "".

        With k = steps they are the losses of each step, and the first ones are compared, since
        rounding errors grow from step to step; else the first of the means.
        """
        points = np.shape(curves)[1]
        first = min(points, max(1, GATE_STEPS * points // self.steps))
        wanted = self.reference.reshape(SEEDS, points, -1).mean(axis=2)[:, :first]
        ends = np.arange(1, first + 1) * (self.steps // points)
        allowed = np.minimum(RTOL + RTOL_A_STEP * ends, RTOL_MOST)
        for curve, number in zip(np.asarray(curves, np.float64), self.trials, strict=True):
            if number < SEEDS:
                off = np.abs(curve[:first] - wanted[number])
                if not (off <= allowed * np.abs(wanted[number]) + ATOL).all():
                    most = np.max(off / np.abs(wanted[number]))
                    return f"losses of trial {number} differ by {most:.1%}"
        return ""


def arrays(workload: Workload, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Made-up inputs and targets."""
    rng = np.random.default_rng(0)
    if workload.network == "transformer":  # each character follows from the one before, mostly
        text = np.zeros((rows, CONTEXT + 1), np.int32)
        text[:, 0] = rng.integers(VOCABULARY, size=rows)
        for i in range(CONTEXT):
            noise = rng.integers(4, size=rows)
            text[:, i + 1] = (5 * text[:, i] + 1 + noise) % VOCABULARY
        return text[:, :-1], text[:, 1:]
    shape = workload.sizes if workload.network == "cnn" else workload.sizes[:1]
    x = rng.normal(size=(rows, *shape)).astype(np.float32)
    scores = x.reshape(rows, -1) @ rng.normal(size=(x[0].size, workload.outputs))
    y = scores[:, 0] > 0 if workload.outputs == 1 else scores.argmax(axis=1)
    return x, y.astype(np.int32)


def module(workload: Workload, rngs: Any) -> Any:
    """The network as a user of the library writes it."""
    import jaxopt_course as joc

    if workload.network == "cnn":
        return joc.CNN(workload.sizes, (32, 64, 64), (64, workload.outputs), rngs=rngs)
    if workload.network == "transformer":
        from experiments.benchmarks.side_by_side.flax_transformer import Transformer

        return Transformer(rngs)
    return joc.MLP(*workload.sizes, rngs=rngs)


def make_task(name: str) -> Any:
    """The workload as a task; its validation part is one batch."""
    import jaxopt_course as joc

    workload = WORKLOADS[name]
    rows = workload.epoch * workload.batch
    x, y = arrays(workload, rows + 2 * workload.batch)
    cut = rows + workload.batch
    return joc.Task.from_flax(
        lambda rngs: module(workload, rngs),
        x[:rows],
        y[:rows],
        valid=(x[rows:cut], y[rows:cut]),
        test=(x[cut:], y[cut:]),
        loss=f"{'sigmoid_binary' if workload.outputs == 1 else 'softmax'}_cross_entropy",
        metrics={},
        name=name,
    )


def made(name: str, trials: Sequence[int], steps: int) -> Case:
    """The case of these trials, of so many steps; without a reference."""
    import jax

    from jaxopt_course.problems.order import shuffled

    workload, task = WORKLOADS[name], make_task(name)
    rows = workload.epoch * workload.batch
    positions = np.arange(rows, dtype=np.int32)
    epochs = np.arange(steps // workload.epoch, dtype=np.int32)
    of_epoch = jax.vmap(lambda seed, epoch: shuffled(seed, epoch, positions, rows), (None, 0))
    seeds = np.arange(SEEDS, dtype=np.uint32)
    order = np.asarray(jax.jit(jax.vmap(of_epoch, (0, None)))(seeds, epochs))
    starts = [task.init(jax.random.key(seed))[0] for seed in range(SEEDS)]
    weights = jax.tree.map(lambda *leaves: np.stack(leaves), *starts)
    leaves = jax.tree_util.tree_leaves_with_path(weights)
    return Case(
        name=name,
        workload=workload,
        trials=np.asarray(trials),
        steps=steps,
        inputs=np.asarray(task.train["inputs"]),
        targets=np.asarray(task.train["targets"]),
        weights={"/".join(str(part.key) for part in path): leaf for path, leaf in leaves},
        order=order.reshape(SEEDS, steps, workload.batch),
        reference=np.full((SEEDS, steps), np.nan),
    )


def write(name: str, folder: Path, steps: int) -> None:
    """What every way starts from, and our losses of each of so many steps, into a file."""
    import jaxopt_course as joc

    case = made(name, range(SEEDS), steps)
    trials = joc.grid(learning_rate=case.rates)
    trials["seed"] = case.seeds
    budget = {"steps": steps, "batch_size": case.workload.batch, "record_every": 1}
    study = joc.sweep(make_task(name), trials, "adam", **budget, progress=False)
    np.savez(
        folder / f"{name}.npz",
        inputs=case.inputs,
        targets=case.targets,
        order=case.order,
        reference=study.curves["train_loss"].values,
        **{f"weights:{path}": leaf for path, leaf in case.weights.items()},
    )


def read(name: str, folder: Path, trials: Sequence[int], steps: int) -> Case:
    """The case of these trials, of so many steps."""
    with np.load(folder / f"{name}.npz") as file:
        held = {key: file[key] for key in file.files}
    weights = {
        key.removeprefix("weights:"): leaf for key, leaf in held.items() if key.startswith("w")
    }
    return Case(
        name,
        WORKLOADS[name],
        np.asarray(trials),
        steps,
        held["inputs"],
        held["targets"],
        weights,
        held["order"][:, :steps],
        held["reference"][:, :steps],
    )
