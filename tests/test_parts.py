"""A table in parts, each trained apart, is the table: the same programs, the same bits."""

import jax
import pandas as pd
import pytest
from sweep_to_kill import make_task

import jaxopt_course as joc

# dealt in two, neither part has both optimizers of each bucket; the second has no nesterov
TRIALS = pd.concat(
    [
        joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.01, 0.1], seed=range(2)),
        joc.grid(optimizer="nesterov", learning_rate=0.05, momentum=0.8, seed=range(2)),
    ],
    ignore_index=True,
)


def sweep(**settings):
    given = {"steps": 20, "batch_size": 3, "evaluate_every": 10, "lanes": 2, "progress": False}
    given |= {"devices": jax.devices()[:1]}
    return joc.sweep(make_task(), TRIALS, **(given | settings))


@pytest.fixture(scope="module")
def whole():
    return sweep(keep=1)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    path = tmp_path_factory.mktemp("parts")
    return [sweep(keep=1, part=(rank, 2), directory=path / str(rank)) for rank in range(2)]


def test_joined_parts_are_the_whole_bit_for_bit(whole, parts):
    joined = joc.join(parts[::-1])  # in any order
    pd.testing.assert_frame_equal(joined.trials, whole.trials)
    for name, curve in whole.curves.data_vars.items():
        assert curve.to_numpy().tobytes() == joined.curves[name].to_numpy().tobytes()
    assert joined.manifest["program_sha256"] == whole.manifest["program_sha256"]
    assert joined.manifest["trials_sha256"] == whole.manifest["trials_sha256"]
    assert joined.kept == whole.kept and "part" not in joined.manifest


def test_configurations_stay_together_and_the_manifest_says_which(parts):
    assert [len(one.trials) for one in parts] == [6, 4]
    assert parts[1].manifest["part"] == {"rank": 1, "of": 2, "rows": [2, 3, 6, 7]}
    assert parts[0].trials["trial"].tolist() == list(range(6))
    assert all(one.trials.groupby("learning_rate")["seed"].nunique().eq(2).all() for one in parts)


@pytest.mark.long
def test_a_part_is_resumed_and_replayed_as_any_study(parts, tmp_path):
    directory = tmp_path / "part"
    with pytest.raises(joc.SweepInterrupted):
        sweep(keep=1, part=(1, 2), directory=directory, on_reading=_interrupt)
    resumed = joc.Study.resume(directory, task=make_task(), devices=jax.devices()[:1])
    pd.testing.assert_frame_equal(resumed.trials, parts[1].trials)
    assert resumed.manifest["part"] == parts[1].manifest["part"]
    assert joc.Study.load(directory).replay(0, task=make_task()).identical
    with pytest.raises(ValueError, match=r"a part of a table cannot be extended: .* joc.join"):
        resumed.extend(TRIALS.iloc[:1])


def _interrupt(readings):
    raise KeyboardInterrupt


def test_what_is_no_part_is_refused():
    for odd in (3, (1,), (0.5, 2), "01", (True, 2)):
        with pytest.raises(TypeError, match=r"part must be \(rank, of\), as \(0, 4\)"):
            sweep(part=odd)
    for rank, of in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match=f"part {rank} of {of}: ranks go from 0"):
            sweep(part=(rank, of))
    with pytest.raises(ValueError, match="9 parts of a table of 5 configurations"):
        sweep(part=(0, 9))
    with pytest.raises(ValueError, match=r"ASHA compares all trials, and the parts .* patience="):
        sweep(part=(0, 2), scheduler=joc.ASHA())
    with pytest.raises(ValueError, match="SuccessiveHalving compares all trials"):
        sweep(part=(0, 2), scheduler=joc.SuccessiveHalving(), patience=3)


@pytest.mark.long
def test_patience_judges_each_alone_so_parts_take_it():
    whole = sweep(patience=1, steps=60)
    joined = joc.join([sweep(patience=1, steps=60, part=(rank, 2)) for rank in range(2)])
    pd.testing.assert_frame_equal(joined.trials, whole.trials)


@pytest.mark.long
def test_buckets_that_a_part_does_not_have_are_left_out():
    trials = joc.grid(optimizer="sgd", learning_rate=0.01, batch_size=[2, 3, 4])
    given = {"steps": 4, "static": ["batch_size"], "lanes": 2, "progress": False}
    given |= {"devices": jax.devices()[:1]}
    whole = joc.sweep(make_task(), trials, **given)
    parts = [joc.sweep(make_task(), trials, part=(rank, 2), **given) for rank in range(2)]
    assert [len(one.manifest["buckets"]) for one in parts] == [2, 1]
    pd.testing.assert_frame_equal(joc.join(parts).trials, whole.trials)
