"""The programs of a sweep are lowered for GPUs and TPUs too, where none is at hand."""

import jax
import numpy as np
import pytest

import jaxopt_course as joc
from jaxopt_course.sweeps import program


class Kept:
    """A jitted function that keeps what it was lowered for."""

    def __init__(self, jitted, kept):
        self.jitted, self.kept = jitted, kept

    def __getattr__(self, name):
        return getattr(self.jitted, name)

    def lower(self, *shapes):
        self.kept.append((self.jitted, shapes))
        return self.jitted.lower(*shapes)


@pytest.fixture
def lowered(monkeypatch):
    """What the engine lowers: jitted functions, with the shapes of their arguments."""
    kept, jit = [], jax.jit
    monkeypatch.setattr(program.jax, "jit", lambda *a, **k: Kept(jit(*a, **k), kept))
    return kept


def test_a_sweep_of_three_optimizers_is_lowered_for_cuda_and_tpu(lowered):
    rng = np.random.default_rng(0)
    images, labels = rng.random((40, 8, 8, 1), np.float32), rng.integers(3, size=40)
    task = joc.Task.from_flax(
        lambda rngs: joc.CNN((8, 8, 1), (2,), (4, 3), pools=1, rngs=rngs),
        images,
        labels,
        loss="softmax_cross_entropy",
        name="images",
    )
    trials = joc.grid(optimizer=["adam", "sgd", "lion"], learning_rate=[1e-3, 1e-2])
    joc.sweep(task, trials, steps=2, batch_size=8, progress=False, devices=jax.devices()[:1])
    ours = [(jitted, shapes) for jitted, shapes in lowered if len(shapes) > 2]
    assert len(ours) == 2  # the segment, and what seats trials in lanes
    for jitted, shapes in ours:
        bare = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), shapes)
        exported = jax.export.export(jitted, platforms=("cuda", "tpu"))(*bare)
        assert exported.platforms == ("cuda", "tpu")
        assert "callback" not in exported.mlir_module()  # nothing waits for the host
