"""Schedulers in real sweeps: who goes on, what is left of the others, what is said of them."""

import copy
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from published_schedulers import asha, halve, median
from report_studies import trial, write

import jaxopt_course as joc
from jaxopt_course.report import verdict
from jaxopt_course.report.findings import read
from jaxopt_course.report.terminal import print_report
from jaxopt_course.studies import session
from jaxopt_course.studies.results import scorer
from jaxopt_course.sweeps import engine
from jaxopt_course.sweeps.climb import Climb
from jaxopt_course.sweeps.idle import idle
from jaxopt_course.sweeps.program import Table


def make_task():
    """Least squares with three weights; seeds set the start and stand among the parameters."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(21, 3)).astype(np.float32)
    data = {"x": x, "y": x @ np.array([1.0, -2.0, 0.5], np.float32)}

    def init(key):
        seed = jax.random.key_data(key)[-1].astype(jnp.float32)
        return {"w": jax.random.normal(key, (3,)), "seed": seed}, {}

    def error(params, data):
        return jnp.mean((data["x"] @ params["w"] - data["y"]) ** 2)

    return joc.Task(
        name="least squares", train=data, valid=data, test=data, split_seed=None, init=init,
        loss=lambda params, state, batch, key: (error(params, batch), (state, {})),
        evaluate=lambda params, state, data: {"loss": error(params, data)},
        metrics={"loss": "min"},
    )  # fmt: skip


def poisoned(h):
    """SGD by which the weights of seed 1 turn NaN after ``poison`` steps."""

    def update(updates, count, params):
        fine = (count < h["poison"]) | (params["seed"] != 1)
        rate = jnp.where(fine, -h["learning_rate"], jnp.nan)
        return jax.tree.map(lambda g: rate * g, updates), count + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)


TRIALS = joc.grid(learning_rate=np.geomspace(1e-3, 0.2, 9), seed=range(2))
TRIALS["poison"] = 99
# a seed of the best two goes bad: before the first rung, and between two later ones
TRIALS.loc[14:15, "poison"], TRIALS.loc[16:17, "poison"] = 1, 13
ROWS = len(TRIALS)
EVERY = 3  # steps an interval; 9 intervals


def sweep(scheduler=None, devices=1, lanes=5, **more):
    more = {"evaluate_every": EVERY} | more
    return joc.sweep(
        make_task(), TRIALS, poisoned, steps=27, batch_size=7, lanes=lanes,
        devices=jax.devices()[:devices], progress=False, scheduler=scheduler, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def full():
    return sweep()


@pytest.fixture(scope="module")
def halved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("rungs") / "halved"
    return sweep(HALVING, directory=directory)


def lengths(study):
    return np.isfinite(study.curves["valid_loss"].values).sum(axis=1)


def mean_curves(full):
    """(configurations, intervals), infinite from where a seed has diverged."""
    curves = full.curves["valid_loss"].values.astype(float).reshape(9, 2, 9)
    return np.where(np.isfinite(curves), curves, np.inf).mean(axis=1)


def expected_of(scheduler, full):
    curves, rungs = mean_curves(full), [1, 3, 9]
    judge = scheduler.judge(9, 9, EVERY)
    match scheduler:
        case joc.SuccessiveHalving():
            reached = halve(curves, range(9), [2, 4, 8, 9], 2)
        case joc.ASHA():
            reached = asha(curves, judge.order, rungs, 3)
        case joc.MedianStopping():
            reached = median(curves, judge.order, list(range(1, 10)), 2)
        case joc.Hyperband():
            reached = {}
            for i, first in enumerate(rungs):
                members = [c for c in range(9) if judge.first[c] == first]
                reached |= halve(curves, members, rungs[i:], 3)
    return np.repeat([reached[c] for c in range(9)], 2)


HALVING = joc.SuccessiveHalving(2, min_steps=6)


@pytest.mark.parametrize(
    "scheduler", [HALVING, joc.ASHA(), joc.Hyperband(), joc.MedianStopping(3, 3, 2)]
)
def test_promoted_trials_are_those_of_the_full_grid_and_stopped_ones_their_beginnings(
    scheduler, full, halved
):
    study = halved if scheduler is HALVING else sweep(scheduler)
    until = expected_of(scheduler, full)
    assert 0 < (until < 9).sum() < ROWS
    diverged = lengths(full) < until  # what the full grid sees later, nobody sees here
    status = np.select([diverged, until == 9], ["diverged", "finished"], "stopped")
    assert study.trials["status"].tolist() == status.tolist()
    np.testing.assert_array_equal(lengths(study), np.minimum(until, lengths(full)))
    for name in full.curves:
        for mine, theirs, end in zip(
            study.curves[name].values, full.curves[name].values, until, strict=True
        ):
            assert mine[:end].tobytes() == theirs[:end].tobytes()
            assert np.isnan(mine[end:]).all()
    finished = status == "finished"
    assert study.trials[finished].equals(full.trials[finished])
    assert study.trials.loc[status == "stopped", ["valid_loss", "test_loss"]].isna().all(axis=None)
    where = pd.Series(EVERY * until, dtype="Int64").mask(status != "stopped")
    assert study.trials["stopped_step"].equals(where.rename("stopped_step"))
    assert study.events[0]["lowerings"] == 1 and 0 < study.events[0]["occupancy"] <= 1
    assert study.events[0]["trial_steps"] <= EVERY * until.sum()


@pytest.mark.parametrize("devices, lanes", [(2, 5), (1, 2)])
def test_decisions_depend_neither_on_devices_nor_on_lanes(devices, lanes, halved):
    other = sweep(HALVING, devices, lanes)
    assert other.trials["status"].equals(halved.trials["status"])
    np.testing.assert_array_equal(lengths(other), lengths(halved))
    if lanes == 5:
        assert other.trials.equals(halved.trials) and other.curves.equals(halved.curves)
    else:
        np.testing.assert_allclose(other.curves["valid_loss"], halved.curves["valid_loss"], 1e-5)


@pytest.mark.parametrize("scheduler", [HALVING, joc.ASHA(), joc.MedianStopping(3, 3, 2)])
def test_a_sweep_cut_short_decides_as_one_that_was_not(scheduler, full, monkeypatch):
    """A checkpoint after every reading, and a run from each: between two rungs a seed is lost."""
    monkeypatch.setattr(engine, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(engine, "SAVE_SHARE", math.inf)
    [session] = full._session.programs.values()
    columns = session.bucket.columns
    table = Table(**columns.arrays(columns.trials))

    def run(**settings):
        return engine.run(
            session.program, table, session.data, session.trial,
            climb=Climb(9, np.repeat(np.arange(9), 2), scheduler.judge(9, 9, EVERY)),
            score=scorer(*session.chosen, session.program.rhythm), **settings,
        )  # fmt: skip

    whole, snapshots = run(), []
    run(on_checkpoint=lambda snapshot: snapshots.append(copy.deepcopy(snapshot)))
    assert len(snapshots) > 3
    for snapshot in snapshots:
        results = run(resume=snapshot)
        for name in ("until", "stopped", "finished", "first_bad"):
            np.testing.assert_array_equal(getattr(results, name), getattr(whole, name), name)
        fine = whole.first_bad < 0  # how long a lane goes on after that is a matter of timing
        assert results.valid["loss"][fine].tobytes() == whole.valid["loss"][fine].tobytes()
        np.testing.assert_array_equal(results.progress[fine], whole.progress[fine])


class TestStoppedTrialsInTheStudy:
    def test_are_never_best(self, halved):
        """The second of the seeds that reach rung 8 first goes on; nobody else has a score."""
        ranked = halved.configurations()
        assert ranked["valid_loss"].notna().sum() == 1
        best = halved.trials[halved.trials["learning_rate"] == halved.best()["learning_rate"]]
        assert (best["status"] == "finished").all()
        for name in ("train_loss", "best_valid_loss"):
            assert halved.best(name)["learning_rate"] == halved.best()["learning_rate"]

    def test_come_back_from_disk(self, halved):
        again = joc.Study.load(halved.directory)
        assert again.trials.equals(halved.trials)
        assert again.manifest["scheduler"] == {
            "name": "SuccessiveHalving",
            "eta": 2,
            "min_steps": 6,
        }
        assert "stopped" in repr(again)

    def test_are_called_stopped(self, halved, capsys):
        """Not diverged, not unfinished: in the table, in the page and in the terminal."""
        counts = halved.configurations()[["seeds", "diverged", "stopped", "unfinished"]]
        assert counts.sum().tolist() == [18, 2, 14, 0]
        print_report(halved.directory)
        page = " ".join(halved.report().read_text(encoding="utf-8").split())
        for said in (page, " ".join(capsys.readouterr().out.split())):
            assert "14 of 18 trials were stopped early by SuccessiveHalving" in said
            assert "2 of 18 trials diverged" in said
            assert "did not finish" not in said
        assert "SuccessiveHalving, eta 2, min_steps 6" in page

    def test_an_optimizer_whose_trials_were_all_stopped_is_said_to_be(self, tmp_path):
        rows = [trial("adam"), trial("sgd", status="stopped"), trial("sgd", 0.2, status="stopped")]
        findings = read(write(tmp_path / "study", rows))
        table = verdict.ranking_table(findings)[1]
        assert [row[1:4:2] for row in table] == [["adam", "0.9"], ["sgd", "– (1 of 1 stopped)"]]
        assert "adam" in verdict.headline(findings)
        said = " ".join(verdict.remarks(findings))
        assert "2 of 3 trials were stopped early by the scheduler" in said

    def test_stopped_configurations_rank_by_how_far_they_came(self, tmp_path):
        rows = [
            trial("sgd", rate, status="stopped", stopped_step=step, best_valid_loss=loss)
            for rate, step, loss in [(0.1, 9, 0.1), (0.2, 27, 0.4), (0.3, 27, 0.3)]
        ]
        rows += [trial("adam", stopped_step=None, best_valid_loss=0.2)]
        findings = read(write(tmp_path / "study", rows))
        ranked = findings.configurations
        assert ranked["learning_rate"].tolist() == [0.1, 0.3, 0.2, 0.1]
        assert ranked["stopped_step"].tolist()[1:] == [27, 27, 9]
        table = verdict.ranking_table(findings)[1]
        assert table[1][1:4] == ["sgd", "0.3", "– (stopped at step 27)"]


@pytest.mark.parametrize("odd", ["asha", joc.ASHA, 3])
def test_what_is_no_scheduler_is_named(odd):
    with pytest.raises(TypeError, match=r"scheduler must be one such as joc.ASHA\(\), not"):
        joc.sweep("line", joc.grid(learning_rate=0.1), "sgd", epochs=1, batch_size=5, scheduler=odd)


def somebody_is_stopped(scheduler, configurations, intervals):
    """Whether one is, where nobody ever improves and each is worse than those before it."""
    judge = scheduler.judge(configurations, intervals, EVERY)
    place = {who: place for place, who in enumerate(judge.order)}
    waiting, stopped = list(enumerate(judge.first)), set()
    while waiting:
        who, rung = waiting.pop(0)
        news = judge.hear(who, rung, np.full(rung, 1.0 + place[who]))
        stopped |= {one for one, target in news.items() if target == 0}
        waiting += [(one, target) for one, target in news.items() if target]
    return bool(stopped)


RUNGS = [None, 1, 3, 7, 24, 25, 27]  # 25 steps are rounded up to the 27 of the last evaluation
WHO_STOPS = [
    *(kind(eta, steps) for kind in (joc.SuccessiveHalving, joc.ASHA, joc.Hyperband)
      for eta in (2, 3, 4.5) for steps in RUNGS),
    *(joc.MedianStopping(steps, every, least) for steps in RUNGS for every in (None, 4)
      for least in (1, 5)),
    *(joc.Patience(evaluations) for evaluations in (1, 5, 7, 8, 9, 20)),
]  # fmt: skip


@pytest.mark.parametrize("configurations", [1, 2, 3, 5, 6, 12])
def test_who_can_stop_nobody_is_known_before(configurations):
    """Against the judges themselves: told are those that stop nobody in the worst of curves."""
    for scheduler in WHO_STOPS:
        told = idle(scheduler, configurations, 9, EVERY)
        assert bool(told) != somebody_is_stopped(scheduler, configurations, 9), (scheduler, told)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"scheduler": joc.SuccessiveHalving(3, min_steps=27)}, "Halving can .* last step, 27: gi"),
        ({"scheduler": joc.ASHA(3, min_steps=25)}, "ASHA can stop nobody: its first rung is the"),
        ({"scheduler": joc.ASHA(10)}, "ASHA can stop nobody: 1/10 of 9 evaluations is less"),
        ({"scheduler": joc.Hyperband(3, 27)}, "Hyperband can stop nobody: its first rung"),
        ({"scheduler": joc.MedianStopping(3, 3, 9)}, "there are 9 configurations, and the first 9"),
        ({"patience": 8}, "Patience can stop nobody: the last of 9 evaluations is the first that"),
        ({"scheduler": joc.ASHA(), "patience": 8}, "Patience can stop nobody"),
        ({"scheduler": joc.ASHA(), "evaluate_every": 14}, "1/3 of 2 evaluations is less than one"),
        ({"scheduler": joc.ASHA(), "evaluate_every": 27}, "trials are evaluated once, at their e"),
    ],
)
def test_a_sweep_says_before_it_works_that_nobody_can_be_stopped(settings, message, monkeypatch):
    monkeypatch.setattr(session, "compile_bucket", None)  # called, it would be another error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=message):
            sweep(**settings)


def test_one_configuration_a_program_is_said_and_work_goes_on():
    table = joc.grid(learning_rate=[0.1], seed=range(2))
    table = pd.concat([table.assign(batch_size=b) for b in (4, 5)], ignore_index=True)
    settings = {"steps": 4, "evaluate_every": 2, "static": ["batch_size"], "progress": False}
    with pytest.warns(UserWarning, match="Halving can stop nobody: there is one configuration"):
        study = joc.sweep("line", table, "sgd", scheduler=joc.SuccessiveHalving(), **settings)
    assert (study.trials["status"] == "finished").all()
