"""Arguments that make no sense are refused before work, by their name, in words of ours."""

import importlib
import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from odd_input import refused

import jaxopt_course as joc
from jaxopt_course.problems import datasets
from jaxopt_course.sweeps import memory

TRIALS = joc.grid(optimizer=["sgd"], learning_rate=[0.01, 0.02], seed=range(2))
KINDS = (TypeError, ValueError)


def sweep(**settings):
    settings = {"task": "line", "trials": TRIALS, "epochs": 1, "batch_size": 5} | settings
    return joc.sweep(**settings, progress=False, devices=jax.devices()[:1])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return sweep(keep=1, directory=tmp_path_factory.mktemp("runs") / "study")


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"batch_size": None}, "batch_size must be a whole number, not None"),
        ({"diverges_after": 2**31}, r"diverges_after must be at most 2,147,483,647"),
        ({"metric": 3}, "metric must be a name, as 'valid_loss', not 3"),
        ({"metric": ""}, "unknown metric ''"),
        ({"metric": pd.NA}, "metric must be a name"),
        ({"score": pd.NA}, 'score must be "last" or "best"'),
        ({"watch": 3}, "watch must be a list of names"),
        ({"watch": np.array("gradient_norm")}, "watch must be a list of names"),
        ({"static": 3}, "static= takes a list of columns"),
        ({"static": np.array(3)}, "static= takes a list of columns"),
        ({"replicates": np.array(3)}, "replicates= takes a list of columns"),
        ({"directory": "runs", "overwrite": "no"}, "overwrite must be True or False, not 'no'"),
        ({"trials": TRIALS.assign(lanes=3)}, "'lanes' is no column.*lanes=…"),
        ({"trials": TRIALS.assign(diverges_after=3)}, "'diverges_after' is no column"),
        ({"trials": TRIALS.assign(ema_decay=1.0)}, "'ema_decay' has 1.0 in row 0"),
        ({"trials": TRIALS.assign(_study=1.0)}, "may not be called '_study'"),
    ],
    ids=str,
)
def test_of_a_sweep(settings, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KINDS, match=words):
        sweep(**settings)
    assert not [*tmp_path.iterdir()]


def test_a_column_that_nobody_reads_is_no_misspelt_eps():
    with pytest.raises(ValueError, match=r"unknown column 'lines' \(known"):
        sweep(trials=TRIALS.assign(lines=3, optimizer="adam"))


def test_more_curves_than_memory_are_refused_before_anything_trains(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000)
    with pytest.raises(ValueError, match=r"curves of 4 trials take 7\.9 KiB, with 500 records"):
        sweep(steps=500, epochs=None, record_every=1, evaluate_every=125)
    sweep(steps=100, epochs=None, record_every=1, evaluate_every=25)  # 1.6 kB and 128 bytes


@pytest.mark.parametrize("seeds", [[7.5], "3", ["a"], [None], np.array(2), [True], 10**9, {}, 0])
def test_seeds_that_are_none(study, seeds):
    """7.5 was seed 7 without a word."""
    with pytest.raises(ValueError, match="seeds must be a number from 1 to 100,000, or different"):
        study.confirm(seeds, progress=False)


@pytest.mark.parametrize("trial", [True, [1], None, {}, 1.5, 1.0, "1", pd.NA, 4])
@pytest.mark.parametrize("method", ["replay", "params", "state"])
def test_trials_that_are_none(study, method, trial):
    """True was trial 1."""
    with pytest.raises(ValueError, match=r"there is no trial .*; trials are 0 to 3"):
        getattr(study, method)(trial)


@pytest.mark.parametrize("trials", [None, 3, "sgd", [], {"seed": [9]}])
def test_a_table_that_is_none(study, trials):
    with pytest.raises(TypeError, match=r"trials must be a pandas\.DataFrame"):
        study.extend(trials, progress=False)


@pytest.mark.parametrize("exact", ["no", 0, None, np.array([1, 2]), pd.NA])
def test_whether_bits_must_be_the_same_is_yes_or_no(study, exact, tmp_path):
    """ "no" was yes."""
    more = joc.grid(optimizer="sgd", learning_rate=[0.3])
    kept = joc.Study.load(study.save(tmp_path / "kept").directory)
    for one in (study, kept):  # with its programs, and without
        with pytest.raises(TypeError, match="exact must be True or False, not "):
            one.extend(more, exact=exact, progress=False)


@pytest.mark.parametrize(
    "draw, words",
    [
        (
            lambda: joc.random(2, seed=-1, x=[1]),
            "seed must be a whole number of at least 0, not -1",
        ),
        (lambda: joc.sobol(2, seed=1.5, x=[1]), "seed must be a whole number of at least 0"),
        (lambda: joc.sobol(2, seed=np.array(2), x=[1]), "seed must be a whole number"),
        (
            lambda: joc.sobol(10**12, x=[1]),
            r"n must be .*\(100,000,000 at most\), not 1000000000000",
        ),
        (lambda: joc.uniform(None, 1), "uniform needs numbers, not None"),
        (lambda: joc.log_uniform([1], 2), r"log_uniform needs numbers, not \[1\]"),
        (lambda: joc.integers("a", 1), "integers needs whole numbers low <= high, not 'a', 1"),
        (lambda: joc.integers(0, float("inf")), "integers needs whole numbers"),
        (lambda: joc.integers(0, 10**400), "integers needs whole numbers"),
    ],
)
def test_of_a_draw(draw, words):
    with pytest.raises(KINDS, match=words):
        draw()


TABLE = pd.DataFrame({"a": range(50), "b": range(50), "ab": range(50), "y": ["u", "v"] * 25})


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"drop": 3}, "drop takes a list of names, not 3"),
        ({"drop": [["a"]]}, r"drop takes a list of names, and one is \['a'\]"),
        ({"dates": None}, "dates takes a list of names, not None"),
        ({"dates": [3]}, "unknown column 3"),
        ({"leave_out": 3}, "leave_out takes a list of names"),
        ({"target": ["y"]}, r"the target is the name of a column, not \['y'\]"),
        ({"hidden": "zz"}, "hidden takes widths of layers, whole numbers from 1 on, not 'zz'"),
        ({"hidden": [8, 0]}, "hidden takes widths"),
        ({"hidden": 8.0}, "hidden takes widths"),
    ],
    ids=str,
)
def test_of_a_table(settings, words):
    with pytest.raises(KINDS, match=words):
        joc.table_task(TABLE, **({"target": "y"} | settings))


def test_one_column_of_a_file_is_one(tmp_path):
    """`drop="ab"` left out a and b."""
    TABLE.to_csv(tmp_path / "own.csv", index=False)
    task = joc.table_task(tmp_path / "own.csv", "y", drop="ab")
    assert task.train["inputs"].shape[1] == 2


def test_the_name_of_a_task_is_text():
    with pytest.raises(TypeError, match=r"the name of a task is text, not \['wine'\]"):
        joc.load_task(["wine"])


@pytest.mark.parametrize("value", [None, 3, pd.NA, np.array(2.0), "x", [], [None]])
@pytest.mark.parametrize(
    "name, words",
    [("columns", "columns must name hyperparameters"), ("factors", "factors must be positive")],
)
def test_of_a_population(name, words, value):
    with pytest.raises(ValueError, match=words):
        joc.PBT(**({"every": 2, "columns": ["learning_rate"]} | {name: value}))


def test_a_scalar_of_jax_is_a_value():
    table = joc.grid(learning_rate=jnp.float32(0.5), seed=jnp.int32(3))
    assert table.to_dict("list") == {"learning_rate": [0.5], "seed": [3]}


# ---------------------------------------------------------------- data and functions of a task

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def make(inputs=X, targets=Y, **settings):
    settings = {"loss": "softmax_cross_entropy", "name": "own"} | settings
    return joc.Task.from_flax(nn.Dense(2), inputs, targets, **settings)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "3", None, 2**32])
def test_a_seed_of_the_split(seed, tmp_path):
    words = "split_seed must be a whole number from 0 to 2³² - 1"
    with pytest.raises(ValueError, match=words):
        make(split_seed=seed)
    file = tmp_path / "own.csv"
    pd.DataFrame(X).assign(y=X[:, 0]).to_csv(file, index=False)
    with pytest.raises(ValueError, match=words):
        joc.table_task(file, "y", split_seed=seed)


@pytest.mark.parametrize("error", [KeyError("inner"), ZeroDivisionError("by 0"), AssertionError()])
def test_an_error_inside_a_metric_or_loss_says_whose_it_is(error):
    def fails(outputs, targets):
        raise error

    with pytest.raises(ValueError, match=f"metric 'm' fails for outputs.*{type(error).__name__}"):
        make(metrics={"m": (fails, "max")})
    with pytest.raises(ValueError, match=f"the loss fails for outputs.*{type(error).__name__}"):
        make(loss=fails)


def test_what_a_loss_measures_must_be_numbers():
    words = "loss fails: TypeError: returned a value of type <class 'str'>.*'a'"
    with pytest.raises(TypeError, match=words):
        make(loss=lambda outputs, targets: (outputs[:, 0], {"a": "x"}))


def test_rows_of_pandas_in_another_order_are_not_paired():
    frame, series = pd.DataFrame(X), pd.Series(Y)
    shuffled = frame.sample(frac=1.0, random_state=0)
    with pytest.raises(ValueError, match=r"the same labels in another order, first in row 0 "):
        make(shuffled, series)
    part = frame[:5], series[:5]
    with pytest.raises(ValueError, match=r"first in row 1 "):
        make(frame, series, valid=part, test=(frame[:5], series[[0, 4, 2, 3, 1]]))
    parts = {"inputs": frame[:5], "targets": series[[0, 4, 2, 3, 1]]}
    with pytest.raises(ValueError, match=r"first in row 1 "):
        make(frame, series, valid=parts, test=part)
    for targets in (series.loc[shuffled.index], series.set_axis(range(100, 160)), Y, list(Y)):
        make(shuffled, targets)  # the same order, other rows, no labels


def test_a_constant_feature_is_centred_whatever_rounding_says():
    """Of 7 times 0.1 the mean is off by 1e-17, and the deviation was that, not 0."""
    train, valid = np.full((7, 2), 0.1), np.array([[0.1, 0.3]])
    train[:, 1] = 0.1 * 1e-300 * np.arange(7)
    first, other = datasets.standardize(train, valid * [1.0, 1e-300])
    np.testing.assert_array_equal(first[:, 0], 0.0)
    assert other[0, 0] == 0.0
    by_hand = (0.1 * np.arange(7) - 0.3) / (0.1 * np.arange(7)).std()
    np.testing.assert_allclose(first[:, 1], by_hand, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(other[0, 1], 0.0, atol=1e-6)
    (moved,) = datasets.standardize(np.full((7, 1), 0.1), np.full((1, 1), 0.3))[1:]
    np.testing.assert_allclose(moved, 0.2, rtol=1e-6)


ODD = {
    "None": None, "True": True, "text": "x", "empty": "", "bytes": b"x", "-1": -1, "0": 0,
    "0.5": 0.5, "NaN": float("nan"), "infinity": float("inf"), "2**63": 2**63, "a list": [],
    "[None]": [None], "a dict": {}, "a tuple": (), "an object": object(), "a type": int,
    "an array": np.array([1, 2]), "a table": pd.DataFrame(), "NA": pd.NA, "complex": 1j,
    "a function": lambda *a, **k: 1,
}  # fmt: skip


class Begun(BaseException):
    """What comes next is work."""


def begun(*_, **__):
    raise Begun


FIT = {"task": "line", "optimizer": joc.sgd(0.1), "steps": 2, "batch_size": 5}
FITS = {  # argument -> what of the odd things is taken
    "optimizer": set(),
    "seed": {"0"},
    "h": {"None", "a dict"},
    "raw": {"True"},
    "steps": set(),
    "epochs": {"None"},
    "batch_size": set(),
    "record_every": {"None", "2**63"},
    "evaluate_every": {"None", "2**63"},
}


@pytest.mark.parametrize("argument", FITS)
def test_odd_arguments_of_fit(argument, monkeypatch):
    monkeypatch.setattr(importlib.import_module("jaxopt_course.studies.fit"), "make_trial", begun)
    for what, odd in ODD.items():
        taken, error = False, None
        try:
            error = refused(lambda odd=odd: joc.fit(**FIT | {argument: odd}), kinds=KINDS)
        except Begun:
            taken = True
        assert taken == (what in FITS[argument]), what
        assert taken or error is not None, what


@pytest.mark.parametrize("argument", ["seed", "h", "raw", "optimizer"])
def test_an_odd_argument_of_fit_is_called_by_its_name(argument):
    with pytest.raises(KINDS, match=f"^{argument} must be "):
        joc.fit(**FIT | {argument: 0.5})
    with pytest.raises(TypeError, match="names and functions of a row are for sweep"):
        joc.fit(**FIT | {"optimizer": lambda h: joc.sgd(0.1)})
    with pytest.raises(TypeError, match=r"h takes numbers and text by name, not 'x': \[1\]"):
        joc.fit(**FIT | {"h": {"x": [1]}})


SEARCHES = {
    "optuna_study": set(),
    "space": set(),
    "lanes": {"None", "2**63"},
    "seeds": {"an array"},
    "replicates": {"None", "a dict"},
    "batch": {"None", "2**63"},
}


@pytest.mark.parametrize("argument", SEARCHES)
def test_odd_arguments_of_a_search(argument):
    optuna = pytest.importorskip("optuna")
    space = {"learning_rate": joc.log_uniform(1e-3, 1)}
    given = {"optuna_study": optuna.create_study(), "space": space}
    for what, odd in ODD.items():
        error = refused(lambda odd=odd: joc.OptunaSearch(**given | {argument: odd}), kinds=KINDS)
        assert (error is None) == (what in SEARCHES[argument]), what


@pytest.mark.parametrize(
    "make", [joc.ASHA, joc.Hyperband, joc.MedianStopping, joc.Patience, joc.PBT], ids=repr
)
def test_odd_arguments_of_schedulers(make):
    given = {"every": 2, "columns": ["learning_rate"]} if make is joc.PBT else {}
    for argument in inspect.signature(make).parameters:
        for odd in ODD.values():
            refused(lambda name=argument, x=odd: make(**given | {name: x}), kinds=KINDS)


@pytest.mark.parametrize(
    "argument, ask",
    [
        ("by", lambda study, odd: study.best(by=odd)),
        ("by", lambda study, odd: study.winners(by=odd)),
        ("raw", lambda study, odd: study.params(0, raw=odd)),
        ("report", lambda study, odd: study.report(odd)),
        ("progress", lambda study, odd: study.replay(0, progress=odd)),
    ],
)
def test_odd_arguments_of_what_a_study_is_asked(study, argument, ask):
    for odd in (0.5, 1j, object(), int, np.array([1, 2]), pd.NA, pd.DataFrame({"a": [1]})):
        error = refused(lambda x=odd: ask(study, x), kinds=KINDS)
        assert error is not None and argument in str(error), odd
