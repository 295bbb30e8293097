"""Devices that are unlike the sweep's own: they compile themselves, and agree to rounding.

With ``jax.export``, whose bytes need flatbuffers: ``.ci/run cluster`` has it.
"""

import jax
import numpy as np
import pytest
from loopback import Threads
from sweep_to_kill import make_task
from test_cluster import SCHEDULERS, TRIALS, lossy, same, sweep

import jaxopt_course as joc
from jaxopt_course.cli.outcome import repeated
from jaxopt_course.studies.mixed import numbers_of
from jaxopt_course.sweeps import engine, remote

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Segments of one interval."""
    monkeypatch.setattr(remote, "SEGMENT_SECONDS", 1e-9)


def close(a, b):
    """Another compiler's options would be seen; bits need not be."""
    assert a.trials["status"].tolist() == b.trials["status"].tolist()
    for name, curve in b.curves.data_vars.items():
        np.testing.assert_allclose(a.curves[name], curve, rtol=1e-4, atol=1e-6)


def rows_of(manifest):
    return {entry["node"]: {*numbers_of(entry)} for entry in manifest["mixed"]}


@lossy
def test_they_agree_to_rounding_and_the_manifest_says_who_was_where(tmp_path):
    cluster = Threads(2, {(1, 6): "die"}, joins=(0.3,), silent_seconds=0.2, unlike={1, 2})
    settings = {"keep": 2} | SCHEDULERS["halving"]
    study, here = sweep(cluster, directory=tmp_path / "a", **settings), sweep(**settings)
    close(study, here)
    manifest = joc.Study.load(tmp_path / "a").manifest
    assert manifest["repeatable"] is False and "repeatable" not in here.manifest
    alike = {entry["node"]: entry["alike"] for entry in manifest["mixed"]}
    assert alike["thread 0"] is True and alike["thread 1"] is False
    assert set.union(*rows_of(manifest).values()) == {*range(len(TRIALS))}
    again = joc.Study.load(tmp_path / "a").replay(0, task=make_task())
    assert not again.exact and not again.different


def test_alike_ones_give_the_same_bits_also_where_unlike_ones_may_come():
    study = sweep(Threads(2, unlike=set()), keep=2)
    same(study, sweep(keep=2))
    assert "repeatable" not in study.manifest and len(study.manifest["mixed"]) == 2
    assert study.replay(1).exact


def test_who_was_where_outlives_a_sweep_that_is_cut_short(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(remote, "TELL_SECONDS", 0.0)

    def stop(readings):
        if any(one.step >= 60 for one in readings):
            raise KeyboardInterrupt

    with pytest.raises(joc.SweepInterrupted):
        sweep(Threads(1, unlike={0}), directory=tmp_path / "a", on_reading=stop)
    one = jax.devices()[:1]
    study = joc.Study.resume(tmp_path / "a", task=make_task(), devices=one, progress=False)
    assert study.manifest["repeatable"] is False
    was = rows_of(study.manifest)["thread 0"]
    assert was and was < {*range(len(TRIALS))}
    close(study, sweep())
    assert "other bits" not in repeated(study.manifest, study.events[-1])
    assert not study.replay(0).exact


def test_parts_that_are_joined_say_so_by_the_new_numbers():
    mixed = sweep(Threads(1, unlike={0}), part=(1, 2))
    whole = joc.join([sweep(part=(0, 2)), mixed])
    assert whole.manifest["repeatable"] is False
    ids = set(whole.trials["id"][sorted(rows_of(whole.manifest)["thread 0"])])
    assert ids == set(mixed.trials["id"]) < set(whole.trials["id"])
    close(whole, sweep())


def test_the_manifest_says_so_of_every_bucket():
    table = TRIALS[TRIALS["optimizer"] == "sgd"].assign(batch_size=3)
    table = table.iloc[:4].assign(batch_size=[3, 6, 3, 6])
    settings = {"steps": 40, "evaluate_every": 20, "lanes": 4, "progress": False}
    settings["static"] = ["batch_size"]
    study = joc.sweep(make_task(), table, cluster=Threads(1, unlike={0}), **settings)
    assert rows_of(study.manifest) == {"thread 0": {0, 1, 2, 3}}
    assert study.manifest["repeatable"] is False
