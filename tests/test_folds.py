"""Folds against tasks made of their rows by hand, with scikit-learn's splits as the oracle."""

import warnings

import jax
import numpy as np
import pandas as pd
import pytest
from long_form import only
from sklearn import model_selection

import jaxopt_course as joc
from jaxopt_course.problems.csv import prepared
from jaxopt_course.problems.datasets import split_indices
from jaxopt_course.problems.folded import Examples

RANDOM = np.random.default_rng(0)
X = (RANDOM.normal(size=(103, 3)) * [1, 10, 0.1] + [0, 5, 3]).astype(np.float32)
Y = (X[:, 0] + X[:, 1] / 10 > 0.5).astype(np.int32)
ROWS = split_indices(103, 0, Y)
POOL = np.concatenate([ROWS["train"], ROWS["valid"]])
QUICK = {"epochs": 3, "batch_size": 16, "lanes": 2, "progress": False}
SCORES = ["train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy"]


def network(rngs):
    return joc.MLP(3, 4, 2, rngs=rngs)


def task(**more):
    how = {"loss": "softmax_cross_entropy", "name": "own"} | more
    return joc.Task.from_flax(network, X, Y, **how)


def by_hand(train, valid, **more):
    """The plain task of these rows."""
    pairs = {"valid": (X[valid], Y[valid]), "test": (X[ROWS["test"]], Y[ROWS["test"]])}
    how = {"loss": "softmax_cross_entropy", "name": "hand"} | pairs | more
    return joc.Task.from_flax(network, X[train], Y[train], **how)


def kept(folded, fold, rows):
    return POOL[[row for row in rows if row not in folded.folds.left_out[fold]]]


TRIALS = joc.grid(optimizer="adam", learning_rate=[0.01, 0.1], fold=range(4), seed=range(2))


@pytest.fixture(scope="module")
def folded():
    return joc.folds(task(standardize=True), 4)


@pytest.fixture(scope="module")
def study(folded, tmp_path_factory):
    where = tmp_path_factory.mktemp("folds") / "s"
    return joc.sweep(folded, TRIALS, replicates=["fold"], directory=where, **QUICK)


def test_a_fold_is_the_plain_task_of_its_rows(folded, study):
    assert study.events[-1]["lowerings"] == 1
    splitter = model_selection.StratifiedKFold(4, shuffle=True, random_state=0)
    for fold, (train, valid) in enumerate(splitter.split(POOL, Y[POOL])):
        own = study.trials.query("fold == @fold").reset_index(drop=True)
        plain = by_hand(*(kept(folded, fold, r) for r in (train, valid)), standardize=True)
        assert plain.examples == folded.examples
        hand = joc.sweep(plain, TRIALS.query("fold == 0").drop(columns="fold"), **QUICK)
        for name in SCORES:
            np.testing.assert_allclose(own[name], hand.trials[name], rtol=2e-5, atol=2e-6)
        state, other = (
            one.replay(trial).state for one, trial in ((study, own["trial"][0]), (hand, 0))
        )
        for a, b in zip(np.asarray(state.params["layers"][0]["kernel"]),
                        np.asarray(other.params["layers"][0]["kernel"]), strict=True):  # fmt: skip
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_without_anything_fitted_the_bits_of_training_are_those_of_the_plain_task():
    own = joc.folds(task(), model_selection.KFold(4))
    assert {name: len(x) for name, x in own.shared["examples"][0].items()} == {"0": 103, "1": 103}
    trials = joc.grid(optimizer="sgd", learning_rate=[0.01], fold=range(4))
    study = joc.sweep(own, trials, replicates=["fold"], **QUICK)
    for fold, (train, valid) in enumerate(model_selection.KFold(4).split(POOL)):
        hand = by_hand(*(kept(own, fold, rows) for rows in (train, valid)))
        plain = joc.sweep(hand, trials.head(1).drop(columns="fold"), **QUICK)
        for name in SCORES:
            assert study.trials[name][fold] == pytest.approx(plain.trials[name][0], rel=1e-6)


def test_all_folds_have_one_size_and_say_what_is_left_out(folded):
    numbers = folded.folds
    assert (numbers.column, numbers.number) == ("fold", 4)
    train, valid = (getattr(folded, part)["row"] for part in ("train", "valid"))
    for fold in range(4):
        rows = [*train[:, fold], *valid[:, fold], *numbers.left_out[fold]]
        assert sorted(rows) == list(range(len(POOL)))
        assert (np.diff(train[:, fold]) > 0).all()
    assert set(folded.test["row"].ravel().tolist()) == set(range(len(POOL), 103))
    assert len(set(valid.ravel().tolist())) == valid.size  # folds do not overlap


def test_mean_and_spread_are_over_folds_and_seeds(study):
    ranked = study.configurations().set_index("learning_rate")
    by_rate = study.trials.groupby("learning_rate")["valid_accuracy"]
    assert ranked["valid_accuracy"].to_dict() == pytest.approx(by_rate.mean().to_dict())
    assert ranked["valid_accuracy_std"].to_dict() == pytest.approx(by_rate.std().to_dict())
    assert ranked["replicates"].tolist() == [8, 8] and ranked["seeds"].tolist() == [2, 2]


@pytest.mark.long
def test_folds_and_seeds_climb_together(folded):
    trials = joc.grid(
        optimizer="adam", learning_rate=[1e-4, 0.01, 0.1], fold=range(4), seed=range(2)
    )
    halving = joc.SuccessiveHalving(eta=3, min_steps=4)
    how = QUICK | {"epochs": 3, "evaluate_every": 4}
    study = joc.sweep(folded, trials, replicates=["fold"], scheduler=halving, **how)
    ends = study.trials.groupby("learning_rate")["status"].agg(set)
    assert sorted(map(sorted, ends)) == [["finished"], ["stopped"], ["stopped"]]
    first = study.curves["valid_accuracy"].to_numpy()[:, 0].reshape(3, 8).mean(axis=1)
    assert ends.index[first.argmax()] == ends.index[[one == {"finished"} for one in ends]][0]


@pytest.mark.long
def test_disk_resume_confirm_and_extend(folded, study, tmp_path):
    whole = joc.Study.load(study.directory)
    pd.testing.assert_frame_equal(whole.configurations(), study.configurations())
    assert whole.manifest["task"]["folds"]["left_out"] == [
        list(rows) for rows in folded.folds.left_out
    ]
    fresh = whole.confirm([5], task=folded, progress=False)
    assert fresh.trials["fold"].tolist() == [0, 1, 2, 3]
    more = joc.grid(optimizer="adam", learning_rate=[0.3], fold=range(4), seed=range(2))
    assert len(joc.Study.load(study.directory).extend(more, task=folded, progress=False)
               .configurations()) == 3  # fmt: skip
    with pytest.raises(ValueError, match="and the task has the folds 0 to 3"):
        joc.Study.load(study.directory).extend(
            joc.grid(optimizer="adam", learning_rate=[1.0], fold=range(5)), task=folded
        )
    with pytest.raises(ValueError, match="the data of the task 'own' are not those"):
        whole.replay(0, task=joc.folds(task(standardize=True), 4, seed=1))


@pytest.mark.long
def test_folds_as_static_columns_average_as_well(folded):
    trials = joc.grid(optimizer="adam", learning_rate=[0.01, 0.1], fold=range(2))
    own = joc.sweep(folded, trials, static=["fold"], replicates=["fold"], **QUICK)
    data = joc.sweep(folded, trials, replicates=["fold"], **QUICK)
    assert len(own.configurations()) == 2
    np.testing.assert_allclose(own.trials["valid_loss"], data.trials["valid_loss"], rtol=1e-5)


def test_repeated_folds():
    own = joc.folds(task(), 3, repeats=2)
    splitter = model_selection.RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    assert own.folds.number == 6
    for fold, (_, valid) in enumerate(splitter.split(POOL, Y[POOL])):
        assert set(own.valid["row"][:, fold].tolist()) <= set(valid.tolist())


def test_classes_rarer_than_folds_are_said():
    """No fold was stratified then, without a word, and some had none of the rare class."""
    labels = np.repeat([0, 1, 2], [50, 40, 4])
    data = {name: np.zeros((len(labels), 2), np.float32) for name in ("train", "test")}

    def make(loss):
        return joc.Task.from_flax(
            lambda rngs: joc.MLP(2, 3, rngs=rngs), data["train"], labels, loss=loss, name="rare",
            valid=(data["train"], labels), test=(data["test"], labels),
        )  # fmt: skip

    classes = make("softmax_cross_entropy")
    with pytest.warns(UserWarning, match=r"fewer rows than the 10 folds: 2 \(8\); so the folds"):
        joc.folds(classes, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        joc.folds(classes, 10, stratify=False)
        joc.folds(classes, 8)
        joc.folds(make(_zero), 10)  # a number, not a class


def _zero(outputs, targets):
    return outputs[:, 0] - targets


def test_groups_are_never_on_both_sides():
    groups = np.arange(len(POOL)) % 9
    for own in (
        joc.folds(task(), 3, groups=groups),
        joc.folds(task(), 3, groups=groups, stratify=False),
        joc.folds(task(), model_selection.LeaveOneGroupOut(), groups=groups),
    ):
        for fold in range(own.folds.number):
            sides = (set(groups[getattr(own, p)["row"][:, fold]]) for p in ("train", "valid"))
            assert not set.intersection(*sides)


TABLE = pd.DataFrame(
    {
        "size": RANDOM.normal(5, 3, 120),
        "age": np.where(np.arange(120) % 17 == 0, np.nan, RANDOM.normal(size=120)),
        "kind": RANDOM.choice(list("xyz"), 120),
        "rare": ["one"] + ["many"] * 119,
    }
)
TABLE["sold"] = np.where(TABLE["size"] + 3 * (TABLE["kind"] == "x") > 6, "yes", "no")
TABLE["price"] = 2 * TABLE["size"] + RANDOM.normal(size=120)


@pytest.mark.long
@pytest.mark.parametrize(
    "target, drop", only([("price", ["sold"])], [("sold", ["price"]), ("price", ["sold"])])
)
def test_a_table_is_fitted_on_the_rows_of_each_fold(target, drop, tmp_path):
    TABLE.to_csv(tmp_path / "shop.csv", index=False)
    own = joc.folds(joc.table_task(tmp_path / "shop.csv", target, drop=drop, hidden=(4,)), 4)
    ready = prepared.prepare(TABLE, target, drop=drop)
    pool = np.concatenate([ready.rows["train"], ready.rows["valid"]])
    examples, names = Examples(*own.shared["examples"]), list(ready.features)
    for fold in range(4):
        rows = {part: pool[getattr(own, part)["row"][:, fold]] for part in ("train", "valid")}
        hand = prepared.prepare(TABLE, target, drop=drop, rows=rows | {"test": ready.rows["test"]})
        names = list(dict.fromkeys([*names, *hand.features]))
        for part in ("train", "valid", "test"):
            inputs, targets = examples.take(getattr(own, part)["row"][:, fold], fold)
            np.testing.assert_allclose(targets, hand.parts[part][1], rtol=1e-4, atol=1e-5)
            by_name = dict(zip(hand.features, hand.parts[part][0].T, strict=True))
            for place, values in enumerate(np.asarray(inputs).T):
                wanted = by_name.get(names[place]) if place < len(names) else None
                wanted = np.zeros(len(values)) if wanted is None else wanted
                np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-4)
    trials = joc.grid(optimizer="adam", learning_rate=[0.01, 0.1], fold=range(4))
    study = joc.sweep(own, trials, replicates=["fold"], **QUICK)
    assert len(study.configurations()) == 2 and study.trials["valid_loss"].notna().all()


def test_a_fold_that_diverges_ranks_its_configuration_last(study):
    trials = study.trials.copy()
    best = study.best()["learning_rate"]
    row = trials.index[(trials["learning_rate"] == best) & (trials["fold"] == 2)][0]
    trials.loc[row, "status"] = "diverged"
    ranked = joc.Study(trials, study.curves, study.manifest).configurations()
    assert ranked["learning_rate"].iloc[-1] == best and np.isnan(ranked["valid_accuracy"].iloc[-1])


@pytest.mark.parametrize(
    "column, replicates, said",
    [
        ({"fold": range(6)}, ["fold"], "'fold' is 4 in row 4, and the task has the folds 0 to 3"),
        ({"fold": [0.5]}, ["fold"], "'fold' is 0.5 in row 0"),
        ({}, None, "in 4 folds, and no column 'fold' says which"),
        ({"fold": range(4)}, None, r"the luckiest fold would be best: replicates=\['fold'\]"),
        ({"fold": [0, None]}, ["fold"], "'fold' is empty in row 1"),
    ],
)
def test_wrong_folds_are_named_before_work_starts(folded, column, replicates, said):
    with pytest.raises(ValueError, match=said):
        trials = joc.grid(optimizer="adam", learning_rate=[0.1], **column)
        joc.sweep(folded, trials, replicates=replicates, **QUICK)


@pytest.mark.parametrize(
    "how, said",
    [
        ({"folds": 1}, "from 2 to the number of rows"),
        ({"folds": 4, "groups": [1, 2]}, "groups must hold one for each"),
        ({"folds": [([0, 1], [1, 2])]}, "trains on rows that it is validated on, as 1"),
        ({"folds": [([0], [100])]}, "rows beyond 0 to"),
        ({"folds": []}, "there is no fold"),
        ({"folds": 3, "column": "seed"}, "a name of its own"),
        ({"folds": model_selection.KFold(3), "repeats": 2}, "a splitter has its own"),
    ],
)
def test_what_makes_no_folds_is_named(how, said):
    with pytest.raises(ValueError, match=said):
        joc.folds(task(), **how)


def test_folds_of_folds_and_fit_are_refused(folded):
    with pytest.raises(ValueError, match="in folds already"):
        joc.folds(folded, 3)
    with pytest.raises(ValueError, match="say which: h="):
        joc.fit(folded, joc.adam(0.1), epochs=1)


def test_uneven_folds_are_cut_with_a_warning():
    groups = np.repeat([0, 1, 2], [40, 30, len(POOL) - 70])
    with pytest.warns(UserWarning, match="of a fold's rows are left out"):
        own = joc.folds(task(), model_selection.LeaveOneGroupOut(), groups=groups)
    assert own.examples["valid"] == len(POOL) - 70


@pytest.mark.long
def test_the_loss_of_the_task_may_read_columns_beside_the_fold():
    def smoothed(outputs, targets, h):
        hot = jax.nn.one_hot(targets, 2) * (1 - h["smoothing"]) + h["smoothing"] / 2
        return -(hot * jax.nn.log_softmax(outputs)).sum(-1)

    own = joc.folds(task(loss=smoothed, evaluate_loss="softmax_cross_entropy"), 3)
    trials = joc.grid(optimizer="adam", learning_rate=[0.1], smoothing=[0.0, 0.3], fold=range(3))
    study = joc.sweep(own, trials, replicates=["fold"], **QUICK)
    assert len(study.configurations()) == 2 and study.events[-1]["lowerings"] == 1


@pytest.mark.long
def test_a_sampler_is_told_the_mean_over_folds(folded):
    import optuna

    asked = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = {"optimizer": "adam", "learning_rate": joc.log_uniform(1e-3, 1.0)}
    search = joc.OptunaSearch(asked, space, lanes=2, seeds=[3], replicates={"fold": range(4)})
    how = {"epochs": 1, "batch_size": 16, "metric": "valid_loss", "progress": False}
    study = search.sweep(folded, 2, **how)
    ranked = study.configurations()
    assert ranked["replicates"].tolist() == [4, 4] and len(study.trials) == 8
    assert sorted(one.value for one in asked.trials) == ranked["valid_loss"].tolist()
    with pytest.raises(ValueError, match="the luckiest fold would be best"):
        joc.OptunaSearch(asked, space | {"fold": [0, 1]}, lanes=2).sweep(folded, 1, **how)
    with pytest.raises(ValueError, match="'fold' takes different whole numbers"):
        joc.OptunaSearch(asked, space, replicates={"fold": [0, 0]})


@pytest.mark.long
def test_a_sweep_of_folds_that_was_cut_short_goes_on(folded, study, tmp_path, monkeypatch):
    def dies(*args, **how):
        raise RuntimeError("the machine went down")

    with monkeypatch.context() as patch:
        patch.setattr("jaxopt_course.studies.session.train_bucket", dies)
        with pytest.raises(RuntimeError, match="went down"):
            joc.sweep(folded, TRIALS, replicates=["fold"], directory=tmp_path / "s", **QUICK)
    again = joc.Study.resume(tmp_path / "s", task=folded, progress=False)
    pd.testing.assert_frame_equal(again.configurations(), study.configurations())
    assert again.replicates == ["fold"]


def test_a_population_does_not_copy_weights_between_folds(folded):
    copying = joc.PBT(every=4, columns=["learning_rate"])
    with pytest.raises(ValueError, match="know what another is validated on"):
        joc.sweep(folded, TRIALS, replicates=["fold"], scheduler=copying, **QUICK)
