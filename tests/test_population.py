"""A population copies as a loop written out does, whatever the timing, and every past is known."""

import copy
import json

import jax
import numpy as np
import optax
import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course.studies.climbing import climb_of
from jaxopt_course.studies.compiled import compile_bucket
from jaxopt_course.studies.results import assemble, scorer
from jaxopt_course.sweeps import engine
from jaxopt_course.sweeps.lanes import Data
from jaxopt_course.sweeps.population import perturbed
from jaxopt_course.tables.buckets import split
from jaxopt_course.tables.recipes import RECIPES
from jaxopt_course.tables.signatures import decays_of
from jaxopt_course.train import make_trial

TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=np.geomspace(1e-4, 0.1, 6).tolist())
TRIALS["seed"] = np.arange(12) % 3
TRIALS.loc[5, "learning_rate"] = 1e30  # diverges
LENGTH = {"steps": 70, "batch_size": 5, "evaluate_every": 5}
PBT = joc.PBT(every=20, columns=["learning_rate", "b1"], seed=3, fraction=0.34)
SAME = {"lanes": 4, "scheduler": PBT, "progress": False, "watch": ["learning_rate"], **LENGTH}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return joc.sweep("line", TRIALS, directory=tmp_path_factory.mktemp("pbt") / "one", **SAME)


def test_who_copies_whom_is_what_the_scores_say(study):
    """Decided again here, from the curves and the draws."""
    lineage, trials = study.lineage, study.trials
    expected = []
    for generation, step in enumerate((20, 40, 60), 1):
        for name in ("sgd", "adam"):
            mine = trials.index[trials["optimizer"] == name]
            bad = trials["first_bad_step"].fillna(10**9)
            mine = [t for t in mine if bad[t] > step]
            scores = study.curves["valid_loss"].sel(eval_step=step).to_numpy()
            ranked = sorted(mine, key=lambda t: (scores[t], t))
            few = max(1, int(0.34 * len(mine)))
            for row in sorted(ranked[-few:]):
                words = np.random.SeedSequence([3, generation, row]).generate_state(3)
                expected.append((row, step, ranked[:few][int(words[0]) % few]))
    moves = lineage[lineage["from_step"] > 0]
    found = moves[["trial", "from_step", "parent"]].to_numpy().tolist()
    assert sorted(map(tuple, found)) == sorted(expected) and len(found) >= 6


def test_numbers_are_the_parents_times_a_factor(study):
    lineage = study.lineage
    for _, move in lineage[lineage["from_step"] > 0].iterrows():
        theirs = lineage[lineage["trial"] == move["parent"]]
        theirs = theirs[theirs["from_step"] < move["from_step"]].iloc[-1]
        ratio = move["learning_rate"] / theirs["learning_rate"]
        assert any(np.isclose(ratio, factor, rtol=1e-12) for factor in (0.8, 1.2))
        if pd.notna(move["b1"]):
            ratio = (1 - move["b1"]) / (1 - theirs["b1"])
            assert any(np.isclose(ratio, factor, rtol=1e-9) for factor in (0.8, 1.2))
    last = lineage.groupby("trial").last()["learning_rate"]
    alive = study.trials["status"] == "finished"
    ours = study.trials.loc[alive, "train_learning_rate"].to_numpy()
    np.testing.assert_allclose(ours, last[alive].to_numpy(float), rtol=1e-6)  # means of 5 steps
    assert not alive[5] and "diverged" in set(study.trials["status"])


def test_a_member_trains_on_from_the_state_it_copied(study):
    """Against ``fit`` of optax with the numbers of the ancestry, for one that copied once."""
    lineage = study.lineage
    moves = lineage[lineage["from_step"] > 0]
    once = moves[~moves["trial"].duplicated(keep=False) & (moves["from_step"] == 20)]
    once = once[
        once["parent"].map(lambda p: lineage[lineage["trial"] == p]["from_step"].max()) == 0
    ]
    move = once.iloc[0]
    parent = study.trials.iloc[int(move["parent"])]
    task = joc.load_task("line")
    tx = {"sgd": optax.sgd, "adam": optax.adam}[parent["optimizer"]]

    data = Data(task.train, task.valid, task.test)
    trial = make_trial(task, lambda h: tx(**{k: x for k, x in h.items() if k != "seed"}), 5)
    numbers = lambda row: {k: float(row[k]) for k in ("learning_rate", "b1") if pd.notna(row[k])}
    state = trial.init(numbers(parent), np.uint32(parent["seed"]))
    step = jax.jit(trial.step)
    for s in range(70):
        row, seed = (
            (parent, parent["seed"]) if s < 20 else (move, TRIALS["seed"][int(move["trial"])])
        )
        state, *_ = step(numbers(row), state, np.uint32(seed), data)
    loss = trial.evaluate(numbers(row), state, data.valid, ())["loss"]
    np.testing.assert_allclose(study.trials["valid_loss"][move["trial"]], loss, rtol=1e-3)


@pytest.mark.long
def test_every_trial_replays_its_ancestors_bit_for_bit(study):
    again = joc.Study.load(study.directory)
    for trial in range(12):
        replay = study.replay(trial)
        assert replay.identical, (trial, replay.different)
    moved = int(study.lineage["trial"][study.lineage["from_step"] == 60].iloc[0])
    assert again.replay(moved).identical
    state = again.state(moved)
    assert int(state.step) == 70


@pytest.mark.long
def test_lanes_and_devices_change_nothing(study):
    for other in ({"lanes": 3}, {"devices": jax.devices()[:2]}):
        twin = joc.sweep("line", TRIALS, **SAME | other)
        pd.testing.assert_frame_equal(twin.lineage, study.lineage)
    assert twin.curves.identical(study.curves)  # of the same width


@pytest.mark.long
def test_comes_back_from_disk_and_is_not_extended(study):
    again = joc.Study.load(study.directory)
    pd.testing.assert_frame_equal(again.lineage, study.lineage)
    assert json.loads((study.directory / "manifest.json").read_text())["lineage"]
    with pytest.raises(ValueError, match="scheduler cannot be extended"):
        again.extend(TRIALS.assign(seed=9))
    with pytest.raises(ValueError, match="has no lineage"):
        _ = joc.sweep("line", TRIALS[:1], steps=4, batch_size=5, progress=False).lineage
    assert study.report().exists()


@pytest.mark.long
def test_confirm_trains_the_winners_schedule_of_numbers(study):
    best = study.trials[study.trials["optimizer"] == "adam"]["valid_loss"].idxmin()
    confirmed = joc.Study.load(study.directory).confirm([50, 51], progress=False)
    lineage, mine = study.lineage, confirmed.lineage
    assert set(confirmed.trials["seed"]) == {50, 51}
    expected, trial, before = [], best, 10**9
    while True:
        own = lineage[(lineage["trial"] == trial) & (lineage["from_step"] < before)].iloc[-1]
        expected.insert(0, (own["from_step"], own["learning_rate"]))
        if own["from_step"] == 0:
            break
        trial, before = own["parent"], own["from_step"]
    rows = confirmed.trials.index[confirmed.trials["optimizer"] == "adam"]
    for row in rows:
        steps = mine[mine["trial"] == row][["from_step", "learning_rate"]]
        assert [tuple(x) for x in steps.to_numpy().tolist()] == expected
        rates = confirmed.curves["train_learning_rate"].sel(trial=row)
        for step, rate in expected:
            assert float(rates.sel(step=step + 5)) == pytest.approx(rate, rel=1e-6)
    assert confirmed.replay(int(rows[0])).identical
    # nothing of a seed of the search is in it: the same numbers from a seed of one's own
    assert (
        confirmed.trials.loc[rows[0], "valid_loss"] != confirmed.trials.loc[rows[1], "valid_loss"]
    )


@pytest.mark.long
def test_a_sweep_goes_on_from_any_checkpoint(monkeypatch):
    """Also from one in the middle of a generation: the decisions are made again, not the copies."""
    monkeypatch.setattr(engine, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(engine, "SAVE_SHARE", 1e9)
    bucket = split("line", TRIALS, **LENGTH).buckets[0]
    made = compile_bucket(bucket, ("valid_loss", "min"), 4, jax.devices()[:1])
    rhythm, trials = made.program.rhythm, bucket.columns.trials

    def run(resume=None, save=None):
        climb, table = climb_of(bucket, rhythm, trials, PBT, None)
        results = engine.run(
            made.program, table, made.data, made.trial, climb=climb, resume=resume,
            score=scorer("valid_loss", "min", rhythm), on_checkpoint=save,
        )  # fmt: skip
        return climb.moves, assemble(trials, results, rhythm)[1]

    snapshots = []
    moves, curves = run(save=lambda snapshot: snapshots.append(copy.deepcopy(snapshot)))
    middle = [s for s in snapshots if len({*s.results.progress[s.results.first_bad < 0]}) > 1]
    assert len(middle) > 3 and max(s.results.progress.max() for s in middle) > 8
    for snapshot in snapshots:
        again, same = run(copy.deepcopy(snapshot))
        assert sorted(again) == sorted(moves) and same.identical(curves)


@pytest.mark.long
def test_static_columns_have_a_population_each():
    trials = joc.grid(batch_size=[5, 3], optimizer="sgd", learning_rate=[1e-4, 1e-3, 1e-2])
    study = joc.sweep("line", trials, static=["batch_size"], steps=20, evaluate_every=5, lanes=2,
                      scheduler=joc.PBT(10, ["learning_rate"]), progress=False)  # fmt: skip
    moves = study.lineage[study.lineage["from_step"] > 0]
    assert len(moves) == 2
    sizes = trials["batch_size"]
    assert (sizes[moves["trial"]].to_numpy() == sizes[moves["parent"]].to_numpy()).all()
    for trial in moves["trial"]:
        assert study.replay(int(trial)).identical


@pytest.mark.parametrize(
    "given, message",
    [
        ({"every": 0}, "every must be a whole number"),
        ({"columns": "learning_rate"}, "columns must name hyperparameters"),
        ({"columns": []}, "columns must name hyperparameters"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"fraction": 0.6}, "at most 0.5"),
        ({"factors": [0.0]}, "factors must be positive"),
        ({"columns": ["learning_rat"]}, "did you mean 'learning_rate'"),
        ({"columns": ["optimizer"]}, "changes numbers"),
        ({"every": 70}, "must be shorter than the budget"),
        ({"every": 5, "record_every": 10}, "a record would mix two generations"),
        ({"trials": TRIALS.iloc[:1]}, "nobody to copy"),
    ],
)
def test_populations_that_make_no_sense(given, message):
    own = {k: v for k, v in given.items() if k not in ("record_every", "trials")}
    with pytest.raises(ValueError, match=message):
        pbt = joc.PBT(**{"every": 20, "columns": ["learning_rate"]} | own)
        settings = {k: v for k, v in given.items() if k == "record_every"}
        trials = given.get("trials", TRIALS)
        joc.sweep("line", trials, scheduler=pbt, progress=False, **LENGTH, **settings)


def test_its_numbers_become_those_of_json():
    """Whatever they were: tuples, numpy's, whole ones."""
    one = joc.PBT(20, ("learning_rate",), np.int64(3), np.float64(0.25), (np.float64(0.5), 2))
    assert json.loads(json.dumps(vars(one))) == {
        "every": 20, "columns": ["learning_rate"], "seed": 3, "fraction": 0.25,
        "factors": [0.5, 2.0],
    }  # fmt: skip
    assert [type(one.seed), type(one.fraction), type(one.factors)] == [int, float, list]
    assert [type(factor) for factor in one.factors] == [float, float]


def test_numbers_near_others():
    assert perturbed("learning_rate", 0.5, 1.2) == 0.6
    assert perturbed("b1", 0.9, 0.8) == pytest.approx(0.92)
    assert perturbed("b1", 1.0, 1.2) == 1.0
    assert perturbed("b1", 0.1, 1.2) == 0.0  # 1 - 0.9 * 1.2 would be below 0
    assert perturbed("k", 3, 0.8) == 2 and perturbed("k", 1, 0.8) == 1
    assert perturbed("weight_decay", 0.0, 1.2) == 0.0


def test_no_decay_leaves_its_range():
    """Of every recipe, and of a mean of the weights; also where it is near 1."""
    names = set().union(*map(decays_of, RECIPES), {"ema_decay"})
    assert {"beta", "adam_b2", "dampening"} < names
    for name in names:
        assert perturbed(name, 0.95, 1.2) == pytest.approx(0.94), name
