"""Data sets of tfds, through Grain, as streams: trained and taken up again, bit for bit.

Needs ``pip install '.[grain]' tensorflow-datasets``; TensorFlow itself is not needed.
"""

import sys

import numpy as np
import pytest

import jaxopt_course as joc

pytestmark = pytest.mark.live
BATCH, STEPS = 16, 40


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A made-up data set on disk, written by tfds and read as arrays."""
    pytest.importorskip("array_record")
    tfds = pytest.importorskip("tensorflow_datasets")

    class Clouds(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "point": tfds.features.Tensor(shape=(3,), dtype=np.float32),
                "label": tfds.features.ClassLabel(num_classes=2),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {part: self._generate_examples(part) for part in ("train", "valid", "test")}

        def _generate_examples(self, part):
            rng = np.random.default_rng(len(part))
            for i, x in enumerate(rng.normal(size=(256, 3)).astype(np.float32)):
                yield i, {"point": x, "label": int(x[0] > 0)}

    folder = str(tmp_path_factory.mktemp("tfds"))
    builder = Clouds(data_dir=folder, file_format="array_record")
    builder.download_and_prepare()
    assert "tensorflow" not in sys.modules
    return builder.as_data_source()


def named(row):
    return {"inputs": row["point"], "targets": row["label"]}


def whole(part):
    rows = [named(part[i]) for i in range(len(part))]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def make_task(source):
    grain = pytest.importorskip("grain")
    rows = grain.MapDataset.source(source["train"]).map(named)
    return joc.Task.from_flax(
        lambda rngs: joc.MLP(3, 8, 2, rngs=rngs),
        joc.stream(rows.shuffle(seed=0).repeat().batch(BATCH)),
        loss="softmax_cross_entropy",
        valid=whole(source["valid"]),
        test=whole(source["test"]),
        name="clouds",
    )


def test_a_data_set_of_tfds_trains_and_goes_on(source, tmp_path, monkeypatch):
    trials = joc.grid(optimizer="adam", learning_rate=[1e-2, 1e-1])
    settings = {"steps": STEPS, "evaluate_every": 10, "progress": False}
    study = joc.sweep(make_task(source), trials, **settings)
    assert study.trials["valid_accuracy"].min() > 0.9
    assert study.events[-1]["stream"]["batches"] == STEPS

    def stop(readings):
        raise KeyboardInterrupt

    with pytest.raises(joc.SweepInterrupted):
        joc.sweep(make_task(source), trials, directory=tmp_path / "s", on_reading=stop, **settings)
    again = joc.Study.resume(tmp_path / "s", task=make_task(source), progress=False)
    assert again.curves.equals(study.curves)
    mine = study.replay(1).curves["valid_loss"].values
    np.testing.assert_array_equal(mine, study.curves["valid_loss"].sel(trial=[1]).values)


def test_its_batches_are_those_of_the_files(source):
    """The same rows, whoever reads them."""
    grain = pytest.importorskip("grain")
    batch = grain.MapDataset.source(source["train"]).map(named).batch(BATCH)[1]
    rows = [named(source["train"][i]) for i in range(BATCH, 2 * BATCH)]
    np.testing.assert_array_equal(batch["inputs"], np.stack([row["inputs"] for row in rows]))
    np.testing.assert_array_equal(batch["targets"], [row["targets"] for row in rows])
