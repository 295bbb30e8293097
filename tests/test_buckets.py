"""Static columns: a program a bucket, and one study that no one can tell from a sweep of each."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from flax import nnx
from helpers import reuse

import jaxopt_course as joc
from jaxopt_course.records import checkpoints
from jaxopt_course.studies import joining, session
from jaxopt_course.studies.compiled import Trained, train_bucket
from jaxopt_course.tables.buckets import split
from jaxopt_course.tables.cells import content_id
from jaxopt_course.tables.columns import check_columns

X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
STATIC = ["batch_size", "activation"]
TRIALS = joc.grid(
    learning_rate=[0.01, 0.1], batch_size=[4, 9], activation=["relu", "tanh"], seed=range(2)
).query("batch_size == 4 or activation == 'tanh'")  # three buckets, their rows mixed
NEW = joc.grid(learning_rate=[0.01, 0.1], batch_size=9, activation="relu", seed=[0])
SETTINGS = {"epochs": 3, "lanes": 2, "progress": False}


def net(activation, hidden=2):
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(3, hidden, rngs=rngs)
            self.last = nnx.Linear(hidden, 1, rngs=rngs)

        def __call__(self, x):
            return self.last(getattr(nnx, activation)(self.first(x)))

    return joc.Task.from_flax(
        lambda rngs: Net(rngs), X, X[:, :1], loss="squared_error", name="first"
    )


def sweep(task=net, trials=TRIALS, optimizer="sgd", **settings):
    settings = SETTINGS | {"devices": jax.devices()[:1], "static": STATIC} | settings
    return joc.sweep(task, trials, optimizer, **settings)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return sweep(directory=tmp_path_factory.mktemp("runs") / "joint")


class TestBudgets:
    """18 training examples: 4 or 2 steps an epoch of batches of 4 or 9."""

    @pytest.mark.parametrize(
        "asked, steps",
        [
            ({"epochs": 3}, [12, 6]),
            ({"steps": 10}, [10, 10]),
            ({"epochs": 3, "equal": "steps", "batch_size": 6}, [9, 9]),
            ({"epochs": 3, "equal": "examples"}, [54 // 4, 54 // 9]),
            ({"steps": 9, "equal": "examples", "batch_size": 6}, [54 // 4, 54 // 9]),
            ({"steps": 9, "equal": "epochs", "batch_size": 6}, [12, 6]),
        ],
    )
    def test_what_is_held_equal(self, asked, steps):
        table = joc.grid(batch_size=[4, 9], learning_rate=[0.1])
        shown = joc.buckets(table, ["batch_size"], task=net("relu"), **asked)
        assert shown["steps"].tolist() == steps
        assert shown["examples"].tolist() == [4 * steps[0], 9 * steps[1]]

    def test_shown_without_a_task(self):
        shown = joc.buckets(TRIALS, STATIC)
        assert shown.values.tolist() == [[4, "relu", 4], [4, "tanh", 4], [9, "tanh", 4]]

    @pytest.mark.parametrize(
        "asked, message",
        [
            ({"steps": 10, "equal": "epochs", "batch_size": 6}, "no whole number of epochs"),
            ({"epochs": 3, "equal": "time"}, "unknown equal= 'time'"),
            ({"epochs": 3, "steps": 3}, "either epochs= or steps="),
        ],
    )
    def test_that_cannot_be_equal(self, asked, message):
        table = joc.grid(batch_size=[4, 9], learning_rate=[0.1])
        with pytest.raises(ValueError, match=message):
            joc.buckets(table, ["batch_size"], task=net("relu"), **asked)


class TestJoined:
    def test_one_lowering_a_bucket(self, study):
        assert study.events[0]["lowerings"] == 3 == len(study.manifest["buckets"])
        assert len({bucket["program_sha256"] for bucket in study.manifest["buckets"]}) == 3

    def test_the_table_is_that_of_the_user(self, study):
        asked = TRIALS.reset_index(drop=True)
        pd.testing.assert_frame_equal(study.trials[[*asked]], asked, check_dtype=False)
        assert study.trials["trial"].tolist() == list(range(12))
        assert study.hyperparameters == ["optimizer", "learning_rate", *STATIC]
        assert study.manifest["searched"] == ["learning_rate", *STATIC]
        for _, row in study.trials.iterrows():
            cells = {name: row[name] for name in study.hyperparameters}
            assert row["id"] == content_id(cells, int(row["seed"]))

    def test_trials_have_the_bits_of_a_sweep_of_their_bucket_alone(self, study):
        groups = TRIALS.reset_index(drop=True).groupby(STATIC)
        for size, activation in [(4, "relu"), (9, "tanh")]:
            rows = groups.get_group((size, activation))
            own = rows[["learning_rate", "seed"]]
            alone = sweep(net(activation), own, static=None, batch_size=size)
            mine = study.curves.isel(trial=own.index)
            for name, curve in alone.curves.data_vars.items():
                axis = curve.dims[1]
                there = mine[name].sel({axis: curve[axis]})
                np.testing.assert_array_equal(there.values, curve.values)
                assert mine[name].notnull().sum() == curve.size  # nothing at others' steps
            results = alone.trials.loc[:, "status":]
            joined = study.trials.loc[own.index, "status":].reset_index(drop=True)
            pd.testing.assert_frame_equal(joined, results, check_exact=True)

    @pytest.mark.long
    def test_trials_are_those_of_fit(self, study):
        for row in study.trials.iloc[[3, 5]].itertuples():
            alone = joc.fit(
                net(row.activation), joc.sgd(row.learning_rate), epochs=3,
                batch_size=row.batch_size, seed=row.seed,
            )  # fmt: skip
            assert row.test_loss == pytest.approx(alone.metrics["test_loss"], rel=1e-5)
            assert row.train_loss == pytest.approx(float(alone.curves["train_loss"][-1]), rel=1e-5)

    def test_comes_back_from_disk_and_is_replayed_there(self, study):
        loaded = joc.Study.load(study.directory)
        pd.testing.assert_frame_equal(loaded.trials, study.trials, check_exact=True)
        xr.testing.assert_identical(loaded.curves, study.curves)
        again = loaded.replay(4, task=net)
        assert again.identical and int(again.state.step) == 6
        with pytest.raises(ValueError, match=r"own task .*give it again"):
            loaded.replay(4)

    def test_replay_in_memory(self, study):
        assert [study.replay(trial).identical for trial in (0, 2, 11)] == [True] * 3

    def test_winners_are_confirmed_in_their_own_programs(self, study):
        confirmed = study.confirm([7, 8], progress=False)
        best = study.best()
        assert confirmed.trials[STATIC].drop_duplicates().values.tolist() == [[*best[STATIC]]]
        assert confirmed.trials["status"].tolist() == ["finished"] * 2

    def test_the_report_names_the_programs(self, study):
        page = study.report().read_text(encoding="utf-8")
        assert "3: one a combination of batch_size and activation" in page
        assert "training step (updates)" in page  # epochs differ in steps

    @pytest.mark.long
    def test_is_extended_bucket_by_bucket(self, study, tmp_path):
        """By seeds of buckets that are there, and by a bucket that is new."""
        before = study.curves.copy(deep=True)
        more = pd.concat([TRIALS.query("seed == 0").assign(seed=7), NEW], ignore_index=True)
        copy = study.save(tmp_path / "copy")
        grown = copy.extend(pd.concat([TRIALS, more], ignore_index=True), progress=False)
        assert len(grown.trials) == 12 + 6 + 2 and len(grown.manifest["buckets"]) == 4
        assert grown.trials["trial"].tolist() == list(range(20))
        for name, curve in before.data_vars.items():
            axis = curve.dims[1]
            old = grown.curves[name].isel(trial=range(12)).sel({axis: curve[axis]})
            assert old.values.tobytes() == curve.values.tobytes()
        alone = sweep(trials=more)
        mine = grown.trials.iloc[12:].reset_index(drop=True)
        joined = mine.merge(alone.trials, on="id", suffixes=("", "_alone"))
        assert len(joined) == len({*more.itertuples(index=False)})
        assert (joined["valid_loss"] == joined["valid_loss_alone"]).all()
        loaded = joc.Study.load(grown.directory)
        pd.testing.assert_frame_equal(loaded.trials, grown.trials)
        assert loaded.replay(19, task=net).identical

    @pytest.mark.long
    def test_two_extensions_of_one_study_are_two(self, study):
        """Each new bucket has the number that the other's has, and a program of its own."""
        small = dataclasses.replace(study, directory=None)
        first = small.extend(NEW, progress=False)
        other = NEW.assign(batch_size=6, activation="tanh")
        second = small.extend(other, progress=False)
        alone = sweep(trials=other)
        assert first.trials["id"].iloc[-1] != second.trials["id"].iloc[-1]
        mine = second.trials["valid_loss"].iloc[12:].tolist()
        assert mine == alone.trials["valid_loss"].tolist()

    @pytest.mark.long
    def test_a_new_bucket_that_was_not_reached_is_not_there(self, study, tmp_path, monkeypatch):
        """Ctrl-C between two buckets leaves a study that goes on."""
        copy = study.save(tmp_path / "copy")
        real = train_bucket

        def stopped(made, trials, *arguments, **named):
            part = real(made, trials, *arguments, **named)
            empty = part.trials.assign(status="unfinished")
            return part._replace(trials=empty, interrupted=True)

        monkeypatch.setattr(session, "train_bucket", stopped)
        with pytest.raises(joc.SweepInterrupted):
            copy.extend(NEW, progress=False)
        monkeypatch.undo()
        loaded = joc.Study.load(copy.directory)
        assert len(loaded.manifest["buckets"]) == 3 and len(loaded.trials) == 12
        given = {"task": net, "devices": jax.devices()[:1], "progress": False}
        assert len(loaded.extend(NEW, **given).trials) == 14

    @pytest.mark.long
    def test_a_new_bucket_that_lacks_an_optimizer_is_left_out(self, tmp_path, monkeypatch):
        """Its program could not be made again from its rows: nothing more could be trained."""
        own = {"static": ["batch_size"], "epochs": 2}
        trials = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.05], batch_size=[2])
        few = sweep("line", trials, None, directory=tmp_path / "few", **own)
        more = pd.concat([trials.assign(seed=1), trials.assign(batch_size=5)])

        def stopped(made, trials, *arguments, **named):
            part = train_bucket(made, trials, *arguments, **named)
            last = part.trials["optimizer"].eq("adam") & (made.bucket.static["batch_size"] == 5)
            status = part.trials["status"].mask(last, "unfinished")
            return part._replace(trials=part.trials.assign(status=status), interrupted=last.any())

        with monkeypatch.context() as patch, pytest.raises(joc.SweepInterrupted) as stop:
            patch.setattr(session, "train_bucket", stopped)
            few.extend(more, progress=False)
        assert stop.value.study.trials["batch_size"].tolist() == [2] * 4
        loaded, one = joc.Study.load(few.directory), {"devices": jax.devices()[:1]}
        assert loaded.replay(2).identical
        grown = loaded.extend(more, progress=False, **one)
        assert grown.trials["batch_size"].tolist() == [2] * 4 + [5] * 2
        alone = sweep("line", trials.assign(batch_size=5), None, **own)
        mine = grown.trials["valid_loss"].tolist()[4:]
        assert mine == alone.trials["valid_loss"].tolist()

    def test_an_extension_keeps_the_kinds_of_columns(self):
        """A float among whole numbers would change the programs and the names of the old trials."""
        own = lambda h: joc.sgd(h["learning_rate"] / h["k"])
        table = joc.grid(k=[1, 2], learning_rate=[0.1], batch_size=[5])
        old = sweep("line", table, own, static=["batch_size"])
        for size in (5, 4):  # of a bucket that is there, and of a new one
            new = joc.grid(k=[1.5], learning_rate=[0.1], batch_size=[size])
            with pytest.raises(ValueError, match="column 'k' holds Int64 in the study"):
                old.extend(new, progress=False)

    def test_a_new_bucket_of_a_study_that_did_not_keep_its_budget(self, study):
        """As those of the first format."""
        asked = dataclasses.replace(study._session, lengths=None)
        old = dataclasses.replace(study, directory=None, _session=asked)
        with pytest.raises(ValueError, match="no trials with batch_size=9, activation=relu, and"):
            old.extend(NEW, progress=False)

    def test_a_scheduler_compares_within_a_bucket(self, study):
        halving = joc.SuccessiveHalving(eta=2)
        session = study._session
        trials = session.table.trials
        joined = session.train(trials, "sweep", False, scheduler=halving).trials
        assert (joined["status"] == "stopped").sum() == 6
        for values, rows in trials.groupby(STATIC):
            (number,) = [i for i, b in enumerate(study.manifest["buckets"])
                         if tuple(b["static"].values()) == values]  # fmt: skip
            one = session.programs[number]
            own = one.bucket.columns.trials
            alone = train_bucket(one, own, "sweep", False, scheduler=halving).trials
            assert joined.loc[rows.index, "status"].tolist() == alone["status"].tolist()


def test_a_program_an_optimizer_leaves_the_table_as_it_is():
    """Ids, defaults, dtypes and their order are those of one program for all."""
    own = {"own": lambda h: joc.sgd(h["learning_rate"] / h["k"])}
    sgd = joc.grid(optimizer="sgd", learning_rate=[0.1, 0.2], seed=range(2))
    adam = joc.grid(optimizer="adam", learning_rate=[0.01], b1=[0.8, 0.9])
    mine = joc.grid(optimizer="own", learning_rate=[0.1], k=[1, 2])
    table = pd.concat([sgd, adam, mine, sgd.iloc[:1]], ignore_index=True)
    with pytest.warns(UserWarning, match="1 trials repeat .*row 8 says the same as row 0"):
        whole = check_columns(table, own)
    with pytest.warns(UserWarning, match="1 trials repeat .*row 8 says the same as row 0"):
        found = split("line", table, ["optimizer"], own, epochs=1, batch_size=5)
    pd.testing.assert_frame_equal(found.trials, whole.trials)
    assert found.hyperparameters == whole.hyperparameters
    assert [len(bucket.rows) for bucket in found.buckets] == [5, 2, 2]
    assert "k" not in found.buckets[0].columns.trials


LINES = joc.grid(optimizer="sgd", learning_rate=[0.01, 0.05], batch_size=[2, 5])  # 8 steps, 4


@pytest.fixture(scope="module")
def kept():
    return sweep("line", LINES, None, static=["batch_size"], epochs=4, keep=4)


class TestKept:
    """Evaluations of the two buckets stand at different steps, on one axis."""

    def assert_same_weights(self, study, trial, kept, other):
        assert int(study.state(trial).step) == int(kept.state(other).step)
        ours, theirs = study.params(trial), kept.params(other)
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), ours, theirs))

    def test_the_step_is_that_of_the_bucket(self, kept):
        sizes = dict(zip(kept.trials["trial"], kept.trials["batch_size"], strict=True))
        for entry in kept.manifest["weights"]["trials"]:
            assert entry["step"] == {2: 8, 5: 4}[sizes[entry["trial"]]]
        assert len(kept.kept) == 4

    def test_who_is_trained_again_is_trained_to_its_end(self, kept):
        """As those that turn out to be among the best when others are added."""
        forgotten = dataclasses.replace(kept, _kept={})
        grown = forgotten.extend(LINES.assign(learning_rate=1e-4), progress=False)
        assert len(grown.kept) == 4
        for trial in grown.kept:
            if trial < len(LINES):
                self.assert_same_weights(grown, trial, kept, trial)

    @pytest.mark.long
    def test_who_moves_up_after_ctrl_c_takes_his_weights_along(self, kept, monkeypatch):
        """Of the new ones the first was not over, and is left out."""
        few = sweep("line", LINES.iloc[:2], None, static=["batch_size"], epochs=4, keep=4)

        def stopped(made, trials, *arguments, **named):
            part = train_bucket(made, trials, *arguments, **named)
            first = part.trials["trial"].eq(2)
            status = part.trials["status"].where(~first, "unfinished")
            return part._replace(trials=part.trials.assign(status=status), interrupted=True)

        seeds = pd.concat([LINES.iloc[:1].assign(seed=seed) for seed in (5, 6, 7)])
        whole = few.extend(seeds, progress=False)
        monkeypatch.setattr(session, "train_bucket", stopped)
        with pytest.raises(joc.SweepInterrupted) as stop:
            few.extend(seeds, progress=False)
        part = stop.value.study
        assert part.trials["seed"].tolist() == [0, 0, 6, 7] and {2, 3} <= {*part.kept}
        for trial in (2, 3):
            self.assert_same_weights(part, trial, whole, trial + 1)


class TestCutShort:
    def test_goes_on_after_a_crash_as_if_nothing_had_been(self, study, tmp_path, monkeypatch):
        reuse(monkeypatch, study)

        def crash(made, *arguments, **named):
            if made.bucket is not first():
                raise RuntimeError("the second bucket")
            return train_bucket(made, *arguments, **named)

        first = lambda: begun.setdefault("bucket", None)
        begun = {}

        def begin(made, *arguments, **named):
            begun.setdefault("bucket", made.bucket)
            return crash(made, *arguments, **named)

        monkeypatch.setattr(session, "train_bucket", begin)
        with pytest.raises(RuntimeError, match="second bucket"):
            sweep(directory=tmp_path)
        trained = []
        monkeypatch.setattr(
            session, "train_bucket", lambda *a, **n: trained.append(1) or train_bucket(*a, **n)
        )
        again = joc.Study.resume(tmp_path, task=net, devices=jax.devices()[:1], progress=False)
        assert len(trained) == 2  # the first bucket was kept
        pd.testing.assert_frame_equal(again.trials, study.trials, check_exact=True)
        xr.testing.assert_identical(again.curves, study.curves)
        mine, theirs = ((x.directory / "manifest.json").read_text() for x in (again, study))
        assert mine == theirs
        assert not (tmp_path / "checkpoint").exists()

    @pytest.mark.parametrize("name", checkpoints.LEFT)
    def test_a_bucket_that_was_edited_is_trained_again(self, study, name, tmp_path):
        part = study_of_first_bucket(study)
        folder = tmp_path / "0000"
        folder.mkdir()
        (tmp_path / "question.json").write_text('{"sha256": "asked"}')
        left = checkpoints.Left(*part[:3], {0: b"a state"})
        checkpoints.keep(folder, left, "asked")
        kept = checkpoints.kept(folder)
        assert kept.kept == {0: b"a state"}
        pd.testing.assert_frame_equal(kept.trials, part.trials)
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.warns(UserWarning, match="was edited or is damaged; its trials are trained"):
            assert checkpoints.kept(folder) is None

    def test_what_a_bucket_left_answers_one_question_only(self, study, tmp_path):
        """Where the answers to another question could not be removed."""
        part = study_of_first_bucket(study)
        folder = tmp_path / "0000"
        folder.mkdir()
        (tmp_path / "question.json").write_text('{"sha256": "asked"}')
        checkpoints.keep(folder, checkpoints.Left(*part[:3]), "asked")
        (tmp_path / "question.json").write_text('{"sha256": "another"}')
        with pytest.warns(UserWarning, match="its trials are trained again"):
            assert checkpoints.kept(folder) is None

    def test_buckets_that_were_not_reached_are_unfinished(self, study):
        part = study_of_first_bucket(study)._replace(interrupted=True)
        whole = joining.join_trials(study._session.table.trials, [part])
        assert whole["status"].value_counts().to_dict() == {"unfinished": 8, "finished": 4}
        pd.testing.assert_series_equal(whole.dtypes, study.trials.dtypes)
        budgets = [bucket["budget"] for bucket in study.manifest["buckets"]]
        curves = joining.join_curves(whole, [part], budgets)
        assert curves.sizes == study.curves.sizes
        assert int(curves["valid_loss"].notnull().any("eval_step").sum()) == 4


def study_of_first_bucket(study) -> Trained:
    """What training it leaves."""
    one = study._session.programs[0]
    return train_bucket(one, one.bucket.columns.trials, "sweep", False)


def by_choice(h):
    rate = h["learning_rate"] * h["batch_size"]
    return joc.momentum(rate) if h["heavy"] else joc.sgd(rate)


class TestPlainValues:
    @pytest.mark.long
    def test_functions_of_the_row_find_them(self):
        table = joc.grid(heavy=[True], batch_size=2, learning_rate=0.05)
        study = sweep("line", table, by_choice, static=["heavy", "batch_size"])
        alone = joc.fit("line", joc.momentum(0.1), epochs=3, batch_size=2)
        found = study.trials["valid_loss"][0]
        assert found == pytest.approx(alone.metrics["valid_loss"], rel=1e-5)

    @pytest.mark.parametrize(
        "use",
        [
            lambda k, rate: joc.sgd(rate) if k > 1 else joc.adam(rate),
            lambda k, rate: joc.sgd(rate * jnp.zeros(k).size),
            lambda k, rate: joc.sgd(rate * len(range(k))),
            lambda k, rate: joc.sgd(rate * {1: 0.5, 2: 0.7}[k]),
        ],
        ids=["if", "shape", "range", "key"],
    )
    def test_a_traced_column_that_must_not_be_is_named(self, use):
        table = joc.grid(k=[1, 2], learning_rate=[0.1])
        with pytest.raises(TypeError, match=r"column 'k' is needed .*static=\['k'\]"):
            sweep("line", table, lambda h: use(h["k"], h["learning_rate"]), static=None,
                  batch_size=5)  # fmt: skip

    def test_other_mistakes_say_whose_they_are(self):
        def broken(h):
            raise LookupError("a mistake of its own")

        said = "the optimizer function 'broken' fails: LookupError: a mistake of its own"
        with pytest.raises(ValueError, match=said) as caught:
            sweep("line", joc.grid(learning_rate=[0.1]), broken, static=None, batch_size=5)
        assert isinstance(caught.value.__cause__, LookupError)


class TestRefused:
    @pytest.mark.parametrize(
        "static, message",
        [
            ("batch_size", r"static=\['batch_size'\]"),
            ([], "one column or more"),
            (["batch_sise"], "did you mean 'batch_size'"),
            (["seed"], "cannot be static"),
        ],
    )
    def test_names(self, static, message):
        with pytest.raises((TypeError, ValueError), match=message):
            sweep("line", static=static)

    @pytest.mark.parametrize(
        "change, message",
        [
            ({"task": "line"}, "nobody takes the static column 'activation'"),
            ({"task": lambda activation, width: 0}, "function of 'width', which is no column"),
            (
                {"task": "line", "static": ["batch_size"], "trials": TRIALS.assign(batch_size=5)},
                r"takes the column 'activation'.*static=\['activation'\]",
            ),
            ({"static": ["batch_size"]}, "function of 'activation', which is a column: add it"),
            ({"static": None}, "static="),
            (
                {
                    "task": lambda eps: "line",
                    "static": ["eps"],
                    "trials": joc.grid(optimizer="adam", eps=[1e-8, 10.0], learning_rate=[0.1]),
                    "optimizer": None,
                },
                "both the task and adam take the static column 'eps'",
            ),
            ({"static": None, "equal": "steps"}, "equal= is for static columns"),
            ({"trials": TRIALS.assign(batch_size=2.5)}, "'batch_size' must hold whole numbers"),
            ({"trials": TRIALS.assign(batch_size=19)}, "larger than the 18"),
            ({"trials": TRIALS.assign(activation=[pd.NA] + ["relu"] * 11)}, "empty in row 0"),
        ],
    )
    def test_before_anything_compiles(self, change, message, monkeypatch):
        monkeypatch.setattr(session, "compile_bucket", None)
        with pytest.raises((TypeError, ValueError), match=message):
            sweep(**change)

    def test_a_static_column_that_nobody_reads(self, monkeypatch):
        def trace(bucket, *_):
            bucket.columns.optimizer({"learning_rate": 0.1})
            return types.SimpleNamespace(program_sha256="")

        monkeypatch.setattr(session, "compile_bucket", trace)
        table = joc.grid(k=[1, 2], learning_rate=[0.1])
        with pytest.raises(ValueError, match="nobody reads the static column 'k'"):
            sweep("line", table, lambda h: joc.sgd(h["learning_rate"]), static=["k"], batch_size=5)

    def test_many_values_warn_with_the_time_they_take(self, monkeypatch):
        monkeypatch.setattr(session, "MANY", 1)
        programs = iter([types.SimpleNamespace(program_sha256="")])
        monkeypatch.setattr(session, "compile_bucket", lambda *_: next(programs))
        table = joc.grid(batch_size=[4, 5], optimizer="sgd", learning_rate=[0.1])
        said = r"'batch_size' has 2 .* 2 programs .* about \d+ s"
        with pytest.warns(UserWarning, match=said), pytest.raises(StopIteration):
            sweep("line", table, None, static=["batch_size"])


@pytest.mark.parametrize("name", ["epochs", "steps", "record_every", "diverges_above"])
def test_budgets_are_no_columns_at_the_first_step(name):
    """Once static= was advised, then a function, and then the table lied."""
    table = joc.grid(optimizer="sgd", learning_rate=0.1, **{name: [2, 5]})
    given = {"epochs": 3, "static": [name]}
    for task, more in (("line", {}), ("line", given), (lambda **_: "line", given)):
        with pytest.raises(ValueError, match=f"{name!r} is no column.*{name}=…"):
            sweep(task, table, None, **more)
    with pytest.raises(ValueError, match="no column"):
        joc.buckets(table, [name])


def test_a_batch_size_that_is_not_static_is_named():
    """A function of the row that reads it would not change the batches."""
    table = joc.grid(learning_rate=0.1, batch_size=[4, 9])
    for optimizer in ("sgd", lambda h: joc.sgd(h["learning_rate"] * h["batch_size"])):
        with pytest.raises(ValueError, match=r"static=\['batch_size'\]"):
            sweep("line", table, optimizer, epochs=1, static=None)


def test_columns_keep_the_order_of_the_table_and_an_optimizer_beside_it_is_first():
    table = joc.grid(learning_rate=[0.1], batch_size=[1, 5], optimizer="sgd")
    own = split("line", table, ["batch_size"], epochs=1, equal="epochs").hyperparameters
    assert own[:3] == ("learning_rate", "batch_size", "optimizer")
    beside = table.drop(columns="optimizer")
    given = split("line", beside, ["batch_size"], "sgd", epochs=1, equal="epochs").hyperparameters
    assert given[:3] == ("optimizer", "learning_rate", "batch_size")


def test_steps_of_processes_that_were_cut_short_are_counted_apart():
    """Those of buckets that were over, and of the one that went on: their time is not there."""
    numbers = {"seconds": 2.0, "compile_seconds": 1.0, "lowerings": 1, "calls": 1}
    numbers["occupancy"] = 1.0
    event = lambda steps, before: numbers | {"trial_steps": steps, "trial_steps_before": before}
    part = lambda steps, before, earlier: Trained(
        pd.DataFrame(), xr.Dataset(), event(steps, before), earlier=earlier
    )
    joined = joining.join_events([part(100, 7, True), part(10, 5, False), part(1, 0, False)])
    assert joined["trial_steps"] == 11 and joined["trial_steps_before"] == 112
    assert joining.join_events([part(100, 7, True), part(10, 5, False)])["seconds"] == 2.0
    known = joining.join_events([part(100, 7, True), part(50, 0, True)])  # it is only written anew
    assert known["trial_steps"] == 150 and known["trial_steps_before"] == 7
