"""The programs of a sweep are lowered for GPUs and TPUs too, where none is at hand."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxopt_course as joc
from jaxopt_course.sweeps import numerics, program


class Kept:
    """A jitted function that keeps what it was lowered for."""

    def __init__(self, jitted, kept):
        self.jitted, self.kept = jitted, kept

    def __getattr__(self, name):
        return getattr(self.jitted, name)

    def lower(self, *shapes):
        done = self.jitted.lower(*shapes)
        self.kept.append((self.jitted, shapes, done.as_text()))
        return done


@pytest.fixture
def lowered(monkeypatch):
    """What the engine lowers: jitted functions, the shapes of their arguments, the texts."""
    kept, jit = [], jax.jit
    monkeypatch.setattr(program.jax, "jit", lambda *a, **k: Kept(jit(*a, **k), kept))
    return kept


@pytest.mark.long
def test_a_sweep_of_three_optimizers_is_lowered_for_cuda_and_tpu(lowered, monkeypatch):
    monkeypatch.setattr(program, "precision", lambda _: numerics.precision("gpu"))
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
    ours = [one for one in lowered if len(one[1]) > 2]
    assert len(ours) == 2  # the segment, and what seats trials in lanes
    texts = [text for *_, text in ours]
    for jitted, shapes, _ in ours:
        bare = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), shapes)
        with jax.default_matmul_precision(numerics.precision("gpu")):
            exported = jax.export.export(jitted, platforms=("cuda", "tpu"))(*bare)
        assert exported.platforms == ("cuda", "tpu")
        assert "callback" not in exported.mlir_module()  # nothing waits for the host
    products = [line for text in texts for line in text.splitlines() if "dot_general" in line]
    assert products and all("HIGHEST" in line for line in products)


def test_float32_products_are_in_full_unless_jax_was_told_otherwise():
    assert numerics.precision("cpu") is None
    assert numerics.facts(jax.devices()[0]) == {"backend": "cpu", "device_kind": "cpu"}
    gpu = SimpleNamespace(platform="gpu", device_kind="NVIDIA H200")
    assert numerics.facts(gpu)["matmul_precision"] == "highest"
    with jax.default_matmul_precision("tensorfloat32"):
        assert numerics.precision("tpu") == numerics.precision("cpu") == "tensorfloat32"


def test_the_compiler_knows_what_it_is_told_of_gpus():
    lowered = jax.jit(lambda x: x + 1).lower(1.0)
    lowered.compile(numerics.GPU_REPEATS)
    with pytest.raises(jax.errors.JaxRuntimeError, match="No such compile option"):
        lowered.compile({"xla_gpu_no_such": True})
