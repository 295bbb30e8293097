"""A sampler of Optuna's proposes, the lanes train: what is told is what the table says."""

import json
import math
import os
import sys
import warnings

import jax
import numpy as np
import optuna
import pandas as pd
import pytest
from helpers import reuse
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from report_studies import courses, table
from report_studies import trial as row_of

import jaxopt_course as joc
from jaxopt_course.report.optuna import tell_all
from jaxopt_course.report.tables import configurations
from jaxopt_course.search.asked import check_study
from jaxopt_course.search.space import make_space
from jaxopt_course.studies.session import Session

SPACE = {
    "optimizer": ["ours", "adam"],
    "learning_rate": joc.log_uniform(1e-3, 1e20),  # up there plain descent diverges
    "divisor": joc.integers(1, 4),  # ours only
    "b1": [0.8, 0.9],  # adam only
    "b2": 0.99,
}
OWN = {"ours": lambda h: joc.sgd(h["learning_rate"] / h["divisor"])}
ONE = {"optimizer": "sgd", "learning_rate": joc.log_uniform(1e-3, 0.1)}
optuna.logging.set_verbosity(optuna.logging.WARNING)


def sampler():
    return TPESampler(seed=0, n_startup_trials=4)


def search(space, n_trials, optimizer=None, *, asks=None, direction="minimize", **settings):
    """The Optuna study and ours."""
    theirs = optuna.create_study(direction=direction, sampler=asks or sampler())
    own = {name: settings.pop(name) for name in ("seeds", "batch") if name in settings}
    settings = {"epochs": 4, "batch_size": 5, "metric": "valid_loss", "progress": False} | settings
    settings["devices"] = jax.devices()[:1]
    asking = joc.OptunaSearch(theirs, space, lanes=4, **own)
    return theirs, asking.sweep("line", n_trials, optimizer, **settings)


@pytest.fixture(scope="module")
def both():
    return search(SPACE, 14, OWN, seeds=[3, 1])


@pytest.fixture(scope="module")
def ones():
    return search(ONE, 6, batch=5)


@pytest.fixture
def compiled(ones, monkeypatch):
    """Spare tests that search ``ONE`` the compilation."""
    reuse(monkeypatch, ones[1])


class TestAskAndTell:
    def test_what_was_asked_is_what_was_trained(self, both):
        theirs, study = both
        assert len(theirs.trials) == 14 and len(study.trials) == 28
        for trial in theirs.trials:
            rows = study.trials.loc[trial.user_attrs["trials"]]
            assert rows["seed"].tolist() == trial.user_attrs["seeds"] == [3, 1]
            for name, value in trial.params.items():
                assert (rows[name] == value).all()

    def test_what_was_told_is_the_mean_over_the_seeds(self, both):
        theirs, study = both
        finished = 0
        for trial in theirs.trials:
            rows = trial.user_attrs["trials"]
            own, curves = study.trials.loc[rows], study.curves["valid_loss"][rows].values
            assert trial.state == TrialState.COMPLETE
            mean = curves.astype(float).mean(axis=0)
            known = {step + 1: x for step, x in enumerate(mean) if math.isfinite(x)}
            assert trial.intermediate_values == pytest.approx(known, rel=1e-12)
            if trial.user_attrs["status"] == "finished":
                finished += 1
                assert trial.value == pytest.approx(np.mean(own["valid_loss"]), rel=1e-6)
                assert trial.value == pytest.approx(mean[-1], rel=1e-6)
                assert trial.user_attrs["values"] == own["valid_loss"].tolist()
        assert 2 <= finished <= 12
        assert theirs.best_value == study.best()["valid_loss"]
        best = study.best()
        assert all(best[name] == value for name, value in theirs.best_params.items())

    def test_a_diverged_configuration_is_worse_than_every_other(self, both):
        theirs, study = both
        diverged = [t for t in theirs.trials if t.user_attrs["status"] == "diverged"]
        assert diverged
        for trial in diverged:
            rows = study.trials.loc[trial.user_attrs["trials"]]
            assert trial.value == math.inf
            assert trial.user_attrs["first_bad_step"] == rows["first_bad_step"].min()
            assert None in trial.user_attrs["values"]

    def test_the_sampler_is_asked_as_by_hand(self, both):
        """The same sampler in a loop of its own, told the values of the table, asks the same."""
        theirs, study = both
        by_hand = optuna.create_study(sampler=sampler())
        for start in range(0, 14, 2):  # four lanes seat two configurations with two seeds
            asked = []
            for _ in range(min(2, 14 - start)):
                trial = by_hand.ask()
                asked.append(trial)
                name = trial.suggest_categorical("optimizer", ["ours", "adam"])
                trial.suggest_float("learning_rate", 1e-3, 1e20, log=True)
                if name == "ours":
                    trial.suggest_int("divisor", 1, 4)
                else:
                    trial.suggest_categorical("b1", [0.8, 0.9])
            for trial in asked:
                rows = study.trials.iloc[2 * trial.number : 2 * trial.number + 2]
                worst = (rows["status"] == "diverged").any()
                by_hand.tell(trial, math.inf if worst else float(rows["valid_loss"].mean()))
        assert [t.params for t in theirs.trials] == [t.params for t in by_hand.trials]

    def test_one_program_trains_all_batches(self, both):
        _, study = both
        assert [event["lowerings"] for event in study.events] == [1] * 7
        assert study.trials["trial"].tolist() == list(range(28))
        assert study.trials["duplicate_of"].isna().all()
        assert study.curves["trial"].values.tolist() == list(range(28))

    def test_the_same_sampler_seed_gives_the_same_trials(self, ones, compiled):
        theirs, study = ones
        again, repeated = search(ONE, 6, batch=5)
        pd.testing.assert_frame_equal(repeated.trials, study.trials, check_exact=True)
        assert [t.values for t in again.trials] == [t.values for t in theirs.trials]

    def test_equals_a_sweep_of_the_same_table(self, ones):
        _, study = ones
        swept = joc.sweep(
            "line",
            study.trials[["optimizer", "learning_rate", "seed"]],
            epochs=4,
            batch_size=5,
            lanes=4,
            progress=False,
            devices=jax.devices()[:1],
        )
        np.testing.assert_array_equal(swept.trials["valid_loss"], study.trials["valid_loss"])
        assert swept.manifest["program_sha256"] == study.manifest["program_sha256"]

    def test_the_study_is_one_like_any_other(self, ones):
        _, study = ones
        assert study.replay(5).identical
        assert len(study.confirm(2, progress=False).trials) == 2

    def test_batches(self, both, ones, compiled):
        sizes = lambda study: [event["trial_steps"] / 4 for event in study.events]
        assert sizes(ones[1]) == [5, 1]
        assert sizes(search(ONE, 6)[1]) == [4, 2]  # the lanes
        assert sizes(search(ONE, 3, seeds=range(6))[1]) == [6, 6, 6]  # more seeds than lanes
        assert len(both[1].events) == 7

    def test_where_more_is_better(self):
        space = {"optimizer": "sgd", "learning_rate": [0.01, 1e30]}
        asks = optuna.samplers.GridSampler({"learning_rate": [0.01, 1e30]}, seed=0)
        theirs, study = search(
            space, 9, asks=asks, direction="maximize", metric="valid_r2", batch=2
        )
        assert len(theirs.trials) == 2  # a grid ends by itself
        assert theirs.best_params == {"learning_rate": 0.01}
        assert sorted(t.value for t in theirs.trials)[0] == -math.inf
        assert theirs.best_value == study.best()["valid_r2"]

    def test_what_is_asked_for_again_is_not_trained_again(self):
        theirs, study = search({"optimizer": ["sgd", "adam"], "learning_rate": 0.01}, 7)
        assert sorted(study.trials["optimizer"]) == ["adam", "sgd"]
        for name in ("sgd", "adam"):
            told = [t for t in theirs.trials if t.params["optimizer"] == name]
            assert len({t.value for t in told}) == 1
            assert all(t.intermediate_values == told[0].intermediate_values for t in told)
        assert theirs.user_attrs["constants"] == {"learning_rate": 0.01}

    def test_schedules_are_asked_for_what_they_take(self):
        space = ONE | {"schedule": ["constant", "cosine"], "schedule_alpha": joc.uniform(0, 0.5)}
        theirs, study = search(space, 6)
        for trial in theirs.trials:
            assert ("schedule_alpha" in trial.params) == (trial.params["schedule"] == "cosine")
        assert set(study.trials["schedule"]) == {"constant", "cosine"}


class TestStaticColumns:
    """The sampler chooses among their values; each combination is a program."""

    @pytest.mark.long
    def test_each_value_is_a_program_and_its_trials_are_those_of_a_sweep(self):
        space = ONE | {"batch_size": [2, 5]}
        theirs, study = search(space, 6, static=["batch_size"], batch_size=64, batch=3)
        assert {t.params["batch_size"] for t in theirs.trials} == {2, 5}
        assert study.manifest["static"] == ["batch_size"]
        assert [one["budget"]["batch_size"] for one in study.manifest["buckets"]] == [2, 5]
        for trial in theirs.trials:
            [row] = trial.user_attrs["trials"]
            assert study.trials["batch_size"][row] == trial.params["batch_size"]
            assert study.trials["valid_loss"][row] == trial.value
        one = study.trials[study.trials["batch_size"] == 2].head(1)
        alone = joc.sweep(
            "line", one[["optimizer", "learning_rate", "seed"]], epochs=4, batch_size=2, lanes=4,
            progress=False, devices=jax.devices()[:1],
        )  # fmt: skip
        assert alone.trials["valid_loss"][0] == one["valid_loss"].iloc[0]

    @pytest.mark.long
    @pytest.mark.filterwarnings("ignore:PartialFixedSampler is experimental")
    def test_what_was_never_asked_does_not_matter_afterwards(self, tmp_path, monkeypatch):
        """From disk: a value of a static column, and an optimizer, that no trial has."""
        space = ONE | {"optimizer": ["sgd", "adam"], "batch_size": [2, 5]}
        asks = optuna.samplers.PartialFixedSampler(
            {"optimizer": "adam", "batch_size": 2}, sampler()
        )
        _, study = search(space, 3, static=["batch_size"], asks=asks, directory=tmp_path,
                          batch_size=64)  # fmt: skip
        assert set(study.trials["optimizer"]) == {"adam"}
        reuse(monkeypatch, study)
        loaded = joc.Study.load(tmp_path)
        assert loaded.replay(1).identical
        settings = {"devices": jax.devices()[:1], "progress": False}
        assert len(loaded.confirm(1, **settings).trials) == 1
        more = loaded.trials[[*loaded.hyperparameters, "seed"]].assign(seed=5, batch_size=5)
        grown = loaded.extend(more, **settings)
        assert len(grown.trials) == 6 and grown.replay(5).identical
        again = joc.Study.load(tmp_path)
        assert again.replay(5).identical and len(again.extend(more, **settings).trials) == 6

    @pytest.mark.parametrize(
        "space, static, message",
        [
            (ONE, ["hidden"], "static=: unknown column 'hidden'"),
            (ONE, "learning_rate", r"static=\['learning_rate'\]"),
            (ONE, ["learning_rate"], r"must list them: learning_rate=\[…\], not a range"),
        ],
    )
    def test_what_cannot_be_static_is_said_in_words_of_the_space(self, space, static, message):
        with pytest.raises((TypeError, ValueError), match=message):
            search(space, 2, static=static)


class TestWhatGoesWrong:
    def test_a_crash_fails_the_trials_asked_for_and_keeps_the_others(
        self, compiled, monkeypatch, tmp_path
    ):
        train, calls = Session.train, []

        def crash(self, *args, **settings):
            calls.append(None)
            if len(calls) == 2:
                raise RuntimeError("no more memory")
            return train(self, *args, **settings)

        monkeypatch.setattr(Session, "train", crash)
        theirs = optuna.create_study(sampler=sampler())
        asking = joc.OptunaSearch(theirs, ONE, lanes=4)
        with pytest.raises(RuntimeError, match="no more memory"):
            asking.sweep("line", 8, epochs=4, batch_size=5, metric="valid_loss", progress=False,
                         directory=tmp_path, devices=jax.devices()[:1])  # fmt: skip
        states = [trial.state for trial in theirs.trials]
        assert states == [TrialState.COMPLETE] * 4 + [TrialState.FAIL] * 4
        kept = joc.Study.load(tmp_path)
        assert kept.trials["valid_loss"].tolist() == [t.value for t in theirs.trials[:4]]
        monkeypatch.undo()
        assert kept.replay(2).identical  # from disk, without the search

    def test_ctrl_c_while_the_sampler_thinks(self, compiled):
        class Slow(TPESampler):
            def sample_independent(self, study, trial, *args):
                if trial.number == 5:
                    raise KeyboardInterrupt
                return super().sample_independent(study, trial, *args)

        theirs = optuna.create_study(sampler=Slow(seed=0))
        asking = joc.OptunaSearch(theirs, ONE, lanes=4)
        with pytest.raises(joc.SweepInterrupted) as stopped:
            asking.sweep("line", 8, epochs=4, batch_size=5, metric="valid_loss", progress=False,
                         devices=jax.devices()[:1])  # fmt: skip
        assert len(stopped.value.study.trials) == 4
        states = [trial.state for trial in theirs.trials]
        assert states == [TrialState.COMPLETE] * 4 + [TrialState.FAIL] * 2

    @pytest.mark.parametrize(
        "space, error, message",
        [
            ({}, TypeError, "space must be a dictionary"),
            ({"seed": [1, 2]}, ValueError, "give seeds=range"),
            ({"optimizer": "sgd", "learning_rate": 0.1}, ValueError, "nothing to ask for"),
            (ONE | {"momentum": [None, 0.9]}, ValueError, "'momentum' has None among"),
            (ONE | {"momentum": []}, ValueError, "'momentum' has no values"),
            (ONE | {"momentum": ["high", 0.9]}, TypeError, "'momentum' must hold numbers"),
        ],
    )
    def test_spaces_that_make_no_sense(self, space, error, message):
        with pytest.raises(error, match=message):
            joc.OptunaSearch(optuna.create_study(), space)

    @pytest.mark.parametrize("name", ["lanes", "batch", "seeds"])
    def test_numbers_that_make_no_sense(self, name):
        for value in (0, -1, 1.5, True):
            with pytest.raises(ValueError, match=f"{name} must be"):
                joc.OptunaSearch(optuna.create_study(), ONE, **{name: value})

    def test_studies_that_do_not_fit(self):
        with pytest.raises(TypeError, match=r"make one with optuna\.create_study"):
            joc.OptunaSearch("study", ONE)
        with pytest.raises(ValueError, match="has 2 objectives"):
            joc.OptunaSearch(optuna.create_study(directions=["minimize"] * 2), ONE)

    @pytest.mark.parametrize(
        "space, settings, message",
        [
            (ONE, {"metric": "valid_r2"}, 'to minimize, but valid_r2 .*direction="maximize"'),
            (ONE, {"metric": "test_loss"}, "never used to choose"),
            (ONE, {"n_trials": 0}, "n_trials must be"),
            (ONE | {"b7": joc.uniform(0, 1)}, {}, "no optimizer of this table takes"),
            (ONE | {"optimizer": ["sgd", "adm"]}, {}, "did you mean 'adam'"),
        ],
    )
    def test_nothing_is_asked_before_all_is_checked(self, space, settings, message):
        theirs = optuna.create_study()
        settings = {"n_trials": 4, "epochs": 1, "batch_size": 5, "metric": "valid_loss"} | settings
        with pytest.raises(ValueError, match=message):
            joc.OptunaSearch(theirs, space).sweep("line", **settings)
        assert theirs.trials == []

    def test_a_pruner_that_nobody_asks_is_said(self, compiled):
        """Once it was ignored without a word."""
        for pruner in (optuna.pruners.ThresholdPruner(upper=0.0), optuna.pruners.MedianPruner(3)):
            theirs = optuna.create_study(pruner=pruner, sampler=sampler())
            with pytest.warns(UserWarning, match="Pruner stops nothing here.*scheduler="):
                check_study(theirs, make_space(ONE, [0]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for usual in (None, optuna.pruners.NopPruner()):
                check_study(optuna.create_study(pruner=usual), make_space(ONE, [0]))

    @pytest.mark.parametrize(
        "space, known, message",
        [
            ({"optimizer": ["sgd", "adam"]}, {"optimizer": ["sgd", "lion"]},
             "column 'optimizer': the Optuna study knows it as one of sgd, lion, the space as one "
             "of sgd, adam"),
            ({"learning_rate": joc.uniform(0.1, 1)}, {"learning_rate": [0.1, 0.2]},
             "column 'learning_rate': .* one of 0.1, 0.2, the space as FloatDistribution"),
        ],
    )  # fmt: skip
    def test_choices_that_change_are_refused_before_any_is_asked(self, space, known, message):
        """Optuna would refuse in the middle, without the column, and leave a trial as FAIL."""
        theirs = optuna.create_study(sampler=sampler())
        for column, choices in known.items():
            trial = theirs.ask()
            theirs.tell(trial, trial.suggest_categorical(column, choices) != choices[0])
        asking = joc.OptunaSearch(theirs, ONE | space)
        with pytest.raises(ValueError, match=message):
            asking.sweep("line", 2, epochs=1, metric="valid_loss")
        assert len(theirs.trials) == 1

    @pytest.mark.parametrize(
        "given, message",
        [
            ({"learnign_rate": 0.1}, "enqueued trial 0 has an unknown column 'learnign_rate'; did "
             "you mean 'learning_rate'"),
            ({"learning_rate": 5.0}, "has learning_rate=5.0, and the space has 0.001 to 0.1"),
            ({"learning_rate": "0.1"}, "has learning_rate='0.1', and the space"),
            ({"optimizer": "adam"}, "has optimizer='adam', and the space has only sgd"),
        ],
    )  # fmt: skip
    def test_what_is_enqueued_outside_the_space_is_refused(self, given, message):
        """Optuna would pass over it, and another trial be trained in its place."""
        theirs = optuna.create_study(sampler=sampler())
        theirs.enqueue_trial(given)
        asking = joc.OptunaSearch(theirs, ONE)
        with pytest.raises(ValueError, match=message):
            asking.sweep("line", 2, epochs=1, metric="valid_loss")
        [still] = theirs.trials
        assert still.state == TrialState.WAITING
        with pytest.warns(optuna.exceptions.ExperimentalWarning):
            fixed = optuna.samplers.PartialFixedSampler(given, sampler())
        with pytest.raises(ValueError, match="PartialFixedSampler has"):
            check_study(optuna.create_study(sampler=fixed), make_space(ONE, [0]))

    def test_what_is_enqueued_is_tried_first_and_what_it_leaves_open_is_drawn(self):
        theirs = optuna.create_study(sampler=sampler())
        space = ONE | {"momentum": [0.0, 0.5, 0.9]}
        theirs.enqueue_trial({"learning_rate": 0.025, "momentum": 0.5})
        theirs.enqueue_trial({"learning_rate": 0.0375})
        asking = joc.OptunaSearch(theirs, space)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = asking.sweep("line", 3, steps=2, batch_size=5, metric="valid_loss",
                                 progress=False, devices=jax.devices()[:1])  # fmt: skip
        assert study.trials["learning_rate"].tolist()[:2] == [0.025, 0.0375]
        assert study.trials["momentum"][0] == 0.5 and study.trials["momentum"][1] in (0.0, 0.5, 0.9)

    @pytest.mark.parametrize("name", ["epochs", "steps", "evaluate_every"])
    def test_budgets_are_no_columns(self, name):
        asking = joc.OptunaSearch(optuna.create_study(), ONE | {name: [2, 5]})
        with pytest.raises(ValueError, match=f"{name!r} is no column.* all trials of a study"):
            asking.sweep("line", 2, epochs=1, metric="valid_loss")

    def test_without_optuna_it_says_how_to_install_it(self, ones, monkeypatch, tmp_path):
        _, study = ones
        monkeypatch.setitem(sys.modules, "optuna", None)
        with pytest.raises(ImportError, match=r"pip install 'jaxopt-course\[optuna\]'"):
            joc.OptunaSearch(None, ONE)
        with pytest.raises(ImportError, match=r"pip install 'jaxopt-course\[optuna\]'"):
            study.to_optuna(tmp_path / "journal.log")


def reload(file, name):
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(file))))


@pytest.fixture(scope="module")
def halved():
    """Ours and a registered optimizer, two seeds; some diverge, most are stopped."""
    own = joc.grid(
        optimizer="sgd", learning_rate=[1e-3, 0.02, 1e30], nesterov=[True, False], seed=[0, 1]
    )
    adam = joc.grid(optimizer="adam", learning_rate=[1e-3, 0.1], b1=[0.5, 0.9], seed=[0, 1])
    return joc.sweep(
        "line",
        pd.concat([own, adam]),
        epochs=9,
        batch_size=5,
        lanes=4,
        progress=False,
        devices=jax.devices()[:1],
        scheduler=joc.SuccessiveHalving(),
        metric="valid_r2",
    )


class TestExport:
    def test_comes_back_as_the_table_has_it(self, halved, tmp_path):
        halved.to_optuna(tmp_path / "journal.log")
        theirs = reload(tmp_path / "journal.log", "line")
        assert theirs.direction.name == "MAXIMIZE"
        assert len(theirs.trials) == 10
        states = set()
        for trial in theirs.trials:
            rows = halved.trials.loc[trial.user_attrs["trials"]]
            states.add((rows["status"].iloc[0], trial.state.name))
            assert rows["seed"].tolist() == [0, 1]
            for name in ("optimizer", "learning_rate", "nesterov", "b1"):
                assert trial.params.get(name, pd.NA) is pd.NA or (
                    (rows[name] == trial.params[name]).all()
                )
                assert (name in trial.params) == rows[name].notna().all()
            mean = halved.curves["valid_r2"][rows.index].values.astype(float).mean(axis=0)
            steps = halved.curves["eval_step"].values
            curve = {int(t): x for t, x in zip(steps, mean, strict=True) if math.isfinite(x)}
            assert trial.intermediate_values == pytest.approx(curve, rel=1e-12)
            if trial.state == TrialState.PRUNED:
                assert trial.value == curve[max(curve)] and max(curve) < 9
        assert states == {("finished", "COMPLETE"), ("stopped", "PRUNED"), ("diverged", "COMPLETE")}
        assert theirs.best_value == halved.best()["valid_r2"]
        assert theirs.best_params["learning_rate"] == halved.best()["learning_rate"]
        worst = [t.value for t in theirs.trials if t.user_attrs["status"] == "diverged"]
        assert set(worst) == {-math.inf}

    def test_distributions_and_constants(self, halved, tmp_path):
        theirs = halved.to_optuna(tmp_path / "journal.log")
        kinds = {k: v for trial in theirs.trials for k, v in trial.distributions.items()}
        assert kinds["learning_rate"] == optuna.distributions.FloatDistribution(
            1e-3, 1e30, log=True
        )
        assert kinds["b1"] == optuna.distributions.FloatDistribution(0.5, 0.9)
        assert kinds["nesterov"].choices == (True, False)
        assert kinds["optimizer"].choices == ("sgd", "adam")
        constants = theirs.user_attrs["constants"]
        assert constants["b2"] == 0.999 and not set(constants) & set(kinds)
        assert theirs.user_attrs["metric"] == "valid_r2"

    def test_whole_numbers_and_each_seed_of_its_own(self, both, tmp_path):
        _, study = both
        theirs = study.to_optuna(tmp_path / "journal.log", "seeds", each_seed=True)
        assert len(theirs.trials) == len(study.trials)
        for trial, (_, row) in zip(theirs.trials, study.trials.iterrows(), strict=True):
            assert trial.params["seed"] == row["seed"]
            assert trial.value == (math.inf if pd.isna(row["valid_loss"]) else row["valid_loss"])
        kinds = {k: v for trial in theirs.trials for k, v in trial.distributions.items()}
        values = study.trials["divisor"].dropna()
        assert kinds["divisor"] == optuna.distributions.IntDistribution(values.min(), values.max())
        assert kinds["seed"] == optuna.distributions.IntDistribution(1, 3)

    def test_a_configuration_of_fewer_seeds_is_not_best(self):
        """One lucky seed beside two: it ranks after them, and Optuna must not put it first."""
        scores = [("sgd", 0, 0.99), ("adam", 0, 0.95), ("adam", 1, 0.9)]
        rows = [row_of(name, 0.1, seed, score) for name, seed, score in scores]
        trials, names = table(rows), ["optimizer", "learning_rate"]
        told = list(tell_all(trials, courses(trials), names, "valid_accuracy", "max"))
        assert [(one.state, one.value) for one in told] == [("PRUNED", 0.99), ("COMPLETE", 0.925)]
        ranked = configurations(trials, names, "valid_accuracy", "max")
        assert ranked["optimizer"].tolist() == ["adam", "sgd"]

    def test_says_the_same_as_the_search(self, both, tmp_path):
        """But for the bounds of the space, which the table does not know."""
        theirs, study = both
        exported = study.to_optuna(tmp_path / "journal.log")
        for told, wrote in zip(theirs.trials, exported.trials, strict=True):
            assert wrote.params == pytest.approx(told.params)
            for name in ("value", "state", "intermediate_values", "user_attrs"):
                assert getattr(wrote, name) == getattr(told, name)

    def test_samplers_go_on_from_there(self, ones, tmp_path):
        theirs = ones[1].to_optuna(tmp_path / "journal.log")
        trial = theirs.ask()
        assert 1e-3 <= trial.suggest_float("learning_rate", 1e-3, 0.1) <= 0.1
        theirs.tell(trial, 0.0)
        assert reload(tmp_path / "journal.log", "line").best_trial.number == 6

    def test_a_journal_holds_several_studies(self, ones, halved, tmp_path):
        file = tmp_path / "journal.log"
        ones[1].to_optuna(file, "first")
        halved.to_optuna(file, "second")
        with pytest.raises(ValueError, match="holds a study 'first' already"):
            halved.to_optuna(file, "first")
        assert [len(reload(file, name).trials) for name in ("first", "second")] == [6, 10]

    def test_the_directory_gives_the_name(self, ones, tmp_path):
        saved = ones[1].save(tmp_path / "tuned")
        saved.to_optuna(tmp_path / "journal.log")
        assert len(reload(tmp_path / "journal.log", "tuned").trials) == 6
        joc.Study.load(tmp_path / "tuned").to_optuna(tmp_path / "journal.log", "again")

    def test_a_full_disk_leaves_no_half_of_a_study(self, ones, tmp_path, monkeypatch):
        file = tmp_path / "journal.log"
        sync, calls = os.fsync, []

        def full(handle):
            calls.append(handle)
            if len(calls) == 2:  # of all but the study's name
                raise OSError(28, "No space left on device")
            sync(handle)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left"):
                ones[1].to_optuna(file, "first")
        assert optuna.get_all_study_names(JournalStorage(JournalFileBackend(str(file)))) == []
        assert len(ones[1].to_optuna(file, "first").trials) == 6

    def test_files_that_cannot_be(self, ones, tmp_path):
        study = ones[1]
        with pytest.raises(IsADirectoryError, match="is a directory; name a file"):
            study.to_optuna(tmp_path)
        with pytest.raises(FileNotFoundError, match="there is no directory"):
            study.to_optuna(tmp_path / "none" / "journal.log")
        other = tmp_path / "notes.txt"
        for text in ("mine\nand yours\n", json.dumps({"a": 1}) + "\n"):
            other.write_text(text)
            with pytest.raises(ValueError, match=r"notes.txt is no journal of Optuna's"):
                study.to_optuna(other)
            assert other.read_text() == text


@pytest.fixture(scope="module")
def patient():
    told = []
    space = ONE | {"learning_rate": joc.log_uniform(1e-3, 3.0)}
    more = {"patience": 1, "watch": ["gradient_norm"], "epochs": 12, "evaluate_every": 2}
    theirs, study = search(space, 6, batch=4, on_reading=told.extend, **more)
    return theirs, study, told


class TestWhatASweepTakes:
    """score, patience, watch, raw, on_reading, time_limit and diverges_after, as in ``sweep``."""

    def test_patience_stops_and_the_best_evaluation_is_told(self, patient):
        theirs, study, _ = patient
        assert study.manifest["score"] == "best" and study.manifest["metric"] == "best_valid_loss"
        assert set(study.trials["status"]) >= {"converged", "finished"}
        for trial, row in zip(theirs.trials, study.trials.itertuples(), strict=True):
            curve = study.curves["valid_loss"].sel(trial=row.trial).values
            assert trial.state == TrialState.COMPLETE
            assert trial.user_attrs["status"] == row.status
            if row.status != "diverged":
                assert trial.value == np.nanmin(curve) == row.valid_loss == row.best_valid_loss
        assert theirs.best_value == study.best()["best_valid_loss"]

    def test_it_is_the_sweep_of_its_table(self, patient):
        _, study, _ = patient
        table = study.trials[["optimizer", "learning_rate", "seed"]]
        swept = joc.sweep(
            "line", table, epochs=12, evaluate_every=2, batch_size=5, metric="valid_loss",
            patience=1, watch=["gradient_norm"], lanes=4, progress=False,
            devices=jax.devices()[:1],
        )  # fmt: skip
        assert swept.manifest["program_sha256"] == study.manifest["program_sha256"]
        assert swept.manifest["scheduler"] == study.manifest["scheduler"]
        both = [
            one.trials[["valid_loss", "status", "scored_step", "test_loss"]]
            for one in (swept, study)
        ]
        pd.testing.assert_frame_equal(*both, check_exact=True)
        assert study.replay(5).identical

    def test_what_is_watched_is_read_by_row(self, patient):
        _, study, told = patient
        assert {reading.trial for reading in told} == set(range(6))
        for reading in told:
            row = study.curves.sel(trial=reading.trial)
            for name, value in reading.metrics.items():
                steps = "step" if name.startswith("train_") else "eval_step"
                assert float(row[name].sel({steps: reading.step})) == pytest.approx(
                    value, nan_ok=True
                )
        assert "train_gradient_norm" in told[0].metrics

    def test_the_time_is_over_with_the_batch_that_is_trained_then(self, ones, compiled):
        began = []
        with pytest.raises(joc.SweepInterrupted) as stop:
            search(ONE, 50, batch=5, time_limit=1e-3, on_reading=began.append)
        study = stop.value.study
        assert len(study.trials) == 5 and study.events[-1]["time_limit"] == 1e-3

    def test_bad_losses_in_a_row(self):
        _, study = search(ONE, 1, batch=1, diverges_after=3, raw=False)
        assert study.manifest["budget"]["diverges_after"] == 3 and study.manifest["raw"] is False

    def test_score_alone(self):
        theirs, study = search(ONE, 2, score="best")
        assert [t.value for t in theirs.trials] == study.trials["best_valid_loss"].tolist()
        assert study.manifest["scheduler"] is None

    @pytest.mark.parametrize(
        "given, message",
        [
            ({"scheduler": joc.ASHA()}, r"does not take scheduler=.*patience="),
            ({"plan": None}, r"does not take plan=.*lanes="),
            ({"keep": 2}, r"does not take keep="),
            ({"start": {}}, r"does not take start="),
            ({"lanes": 2}, r"does not take lanes=: it is an argument of OptunaSearch"),
            ({"score": "median"}, 'score must be "last" or "best"'),
            ({"score": "last", "metric": "best_valid_loss"}, "contradicts"),
            ({"patience": 0}, "patience must be a number of evaluations"),
            ({"watch": ["loss"]}, "watch names 'loss'"),
            ({"time_limit": -1}, "time_limit must be a positive number"),
            ({"diverges_after": 0}, "diverges_after must be at least 1"),
        ],
    )
    def test_bad_input_is_named(self, given, message):
        with pytest.raises(ValueError, match=message):
            search(ONE, 2, **given)

    def test_an_argument_of_nobody_is_python_s_error(self):
        with pytest.raises(TypeError, match="unexpected keyword argument 'patiance'"):
            search(ONE, 2, patiance=3)
