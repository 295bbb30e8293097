"""Several tasks in one study: scores within a task, ranks over tasks."""

import dataclasses
import json
import re

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.cli.answer import Answer
from jaxopt_course.live import present
from jaxopt_course.problems.alike import common_metrics, measured
from jaxopt_course.problems.catalog import matching
from jaxopt_course.records import store
from jaxopt_course.report import findings, standings, standings_page, tables
from jaxopt_course.report.task_statistics import critical_distance
from jaxopt_course.studies import compiled
from jaxopt_course.sweeps import loading

TABLE = joc.grid(optimizer=["sgd", "momentum"], learning_rate=[0.01, 0.1], seed=range(2))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several") / "study"
    return joc.compare(
        ["wine", "diabetes"], TABLE, epochs=2, lanes=4, directory=folder, progress=False,
        devices=jax.devices()[:1],
    )  # fmt: skip


def test_a_study_of_several_tasks_chooses_within_each(study):
    assert study.tasks == ["wine", "diabetes"] and len(study.trials) == 2 * len(TABLE)
    assert study.manifest["metric"] == "valid_score" and study.manifest["direction"] == "max"
    of_task = study.trials.groupby("task")
    pd.testing.assert_series_equal(
        study.trials["valid_score"],
        study.trials["valid_accuracy"].fillna(study.trials["valid_r2"]),
        check_names=False,
    )
    winners = study.winners()
    assert winners["task"].tolist() == ["wine"] * 2 + ["diabetes"] * 2
    assert winners["rank"].tolist() == [1, 2, 1, 2]
    for task, own in of_task:
        means = own.groupby(["optimizer", "learning_rate"])["valid_score"].mean()
        found = winners[winners["task"] == task].set_index("optimizer")["valid_score"]
        assert found.to_dict() == pytest.approx(means.groupby("optimizer").max().to_dict())
    best = study.best(by="task")
    assert best["task"].tolist() == study.tasks
    firsts = winners[winners["rank"] == 1]
    assert best["optimizer"].tolist() == firsts["optimizer"].tolist()
    configurations = study.configurations()
    assert configurations.groupby("task")["rank"].apply(list).tolist() == [[1, 2, 3, 4]] * 2


def test_scores_of_tasks_are_not_compared(study):
    with pytest.raises(ValueError, match=r'2 tasks, whose scores are not .* best\(by="task"\)'):
        study.best()
    with pytest.raises(ValueError, match='by= needs "task" too'):
        study.winners(by="optimizer")
    with pytest.raises(ValueError, match=r"over several tasks: joc\.compare"):
        dataclasses.replace(study, manifest=study.manifest | {"static": []}).standings()


@pytest.mark.long
def test_a_trial_is_the_same_as_in_a_study_of_its_task_alone(study):
    alone = joc.sweep("wine", TABLE, epochs=2, lanes=4, progress=False, devices=jax.devices()[:1])
    mine = study.curves["valid_loss"].to_numpy()[: len(TABLE), : alone.curves.sizes["eval_step"]]
    assert mine.tobytes() == alone.curves["valid_loss"].to_numpy().tobytes()


def test_steps_are_timed_task_by_task(study):
    """A row of an optimizer alone would not say of which task it is."""
    clock = dataclasses.replace(study, directory=None).seconds_per_step(calls=2)
    assert clock["task"].tolist() == ["wine"] * 2 + ["diabetes"] * 2
    assert {*map(tuple, clock[["task", "optimizer"]].to_numpy())} == {
        (task, optimizer) for task in study.tasks for optimizer in ("sgd", "momentum")
    }
    for _, own in clock.groupby("task"):
        assert own["relative"].iloc[0] == 1.0 and own["seconds_per_step"].is_monotonic_increasing
        np.testing.assert_allclose(
            own["relative"], own["seconds_per_step"] / own["seconds_per_step"].min()
        )


@pytest.mark.long
def test_it_is_confirmed_replayed_and_loaded_task_by_task(study):
    fresh = study.confirm(2, progress=False)
    assert len(fresh.trials) == 2 * 2 * 2 and set(fresh.trials["seed"]) == {2, 3}
    loaded = joc.Study.load(study.directory)
    assert loaded.tasks == study.tasks
    assert loaded.replay(len(TABLE) + 1).identical  # of diabetes, of the files alone
    found = standings.read(study.directory)
    assert found.confirmed and len(found.winners) == 4
    pd.testing.assert_frame_equal(found.optimizers, fresh.standings())
    page = study.report().read_text(encoding="utf-8")
    distance = critical_distance(2, 2)
    assert f"Mean ranks up to {distance:.2f} apart do not differ" in page
    assert "Which optimizer wins on 2 tasks?" in page and "diabetes" in page and "momentum" in page


def test_ranks_within_a_task_are_those_of_the_scores_beside_them(study):
    """The fresh seeds may turn the order that the search had."""
    record = store.read(study.directory)
    kept = [tables.same(record.trials, row, ["task", "optimizer", "learning_rate"])
            for _, row in study.winners().iterrows()]  # fmt: skip
    own = record.trials[np.logical_or.reduce(kept)]
    turned = own.assign(valid_score=-own["valid_score"])
    for trials, expected in ((own, [1, 2, 1, 2]), (turned, [2, 1, 2, 1])):
        found = standings.found(record, dataclasses.replace(record, trials=trials))
        assert found.winners["rank"].tolist() == expected
        table = found.winners.sort_values("valid_score", ascending=False)
        assert table.groupby("task")["rank"].apply(list).tolist() == [[1, 2], [1, 2]]
    same = dataclasses.replace(record, trials=own.assign(valid_score=0.5))
    equal = standings.found(record, same)
    assert equal.winners["rank"].tolist() == [1] * 4
    assert equal.optimizers["rank"].tolist() == [1, 1]
    said = standings.sentences(equal)[0]
    assert said == "momentum and sgd share the best mean rank, 1.50 of 2, over 2 tasks."


@pytest.mark.long
def test_the_page_of_several_tasks_speaks_spanish(study, capsys):
    found = standings.read(study.directory, "es")
    whole = standings_page.page(found)
    body = whole.split("<main>")[1].split("plotly")[0]
    assert '<html lang="es"' in whole and "¿Qué optimizador gana en 2 tareas?" in whole
    assert "puesto medio" in body and "Cada tarea" in body
    for word in ("rank", "task", "score", "first on", "Every", "deviation"):
        assert f">{word}" not in body
    cli.main(["report", str(study.directory), "--lang", "es"])
    said = " ".join(capsys.readouterr().out.split())
    assert "tiene el mejor puesto medio" in said or "comparten el mejor puesto medio" in said
    page = study.directory / "report.html"
    assert "2 tareas dicen poco" in page.read_text(encoding="utf-8")
    assert '<html lang="en"' in study.report().read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not in 'fr'"):
        study.report("fr")


def test_a_score_is_sorted_by_its_number(study):
    whole = standings_page.page(standings.read(study.directory))
    given = re.findall(r'data-value="([^"]+)">([^<]+)<', whole.split("Every task")[1])
    assert len(given) == 4
    for value, shown in given:
        assert float(shown.split(" (")[0]) == pytest.approx(float(value), rel=1e-3)


@pytest.mark.long
def test_nobody_takes_scores_of_several_tasks_for_those_of_one(study, monkeypatch):
    """Neither two studies side by side, nor a table for LaTeX, nor the live page."""
    with pytest.raises(ValueError, match="several tasks, whose scores are not compared"):
        findings.read(study.directory)
    with pytest.raises(ValueError, match="several tasks, whose scores are not compared"):
        study.to_latex()
    assert present.Watcher(study.directory).page() == standings_page.page(
        standings.read(study.directory)
    )
    record = store.read(study.directory)
    later = record.trials["task"].eq("diabetes")  # one task is over, the other has not begun
    begun = record.trials.assign(
        status=record.trials["status"].mask(later, "unfinished"),
        valid_score=record.trials["valid_score"].mask(later),
    )
    monkeypatch.setattr(present.checkpoints, "is_unfinished", lambda directory: True)
    monkeypatch.setattr(present, "_written", lambda _: None)  # the whole study is not there yet
    monkeypatch.setattr(present, "so_far", lambda _: dataclasses.replace(record, trials=begun))
    watcher = present.Watcher(study.directory)
    assert watcher.look()[1:3] == (len(TABLE), 2 * len(TABLE))
    assert "Which optimizer wins on 2 tasks?" in watcher.page()


def test_standings_are_mean_ranks_as_scipy_has_them():
    scores = np.random.default_rng(0).integers(0, 4, (7, 5)).astype(float)
    scores[2, 3] = np.nan
    rows = [
        {"task": f"t{i}", "optimizer": f"o{j}", "score": scores[i, j]}
        for i in range(7)
        for j in range(5)
    ]
    for direction, sign in (("min", 1), ("max", -1)):
        found = standings.standings(pd.DataFrame(rows), "score", direction)
        worst = np.where(np.isnan(scores), np.inf, sign * scores)
        expected = scipy.stats.rankdata(worst, axis=1).mean(0)
        order = np.argsort(expected, kind="stable")
        assert found["optimizer"].tolist() == [f"o{j}" for j in order]
        np.testing.assert_allclose(found["mean_rank"], expected[order], rtol=1e-12)
        firsts = (worst == worst.min(1, keepdims=True)).sum(0)
        assert found["firsts"].tolist() == firsts[order].tolist()
        assert found["unscored"].tolist() == np.isnan(scores).sum(0)[order].tolist()
    with pytest.raises(ValueError, match="o0 was tried on 6 of 7 tasks"):
        standings.standings(pd.DataFrame(rows[1:]), "score", "min")
    equal = pd.DataFrame(rows[:2]).assign(score=[0.7, np.float64(np.float32(0.7))])
    assert standings.standings(equal, "score", "max")["mean_rank"].tolist() == [1.5, 1.5]


def test_tasks_are_named_by_patterns_and_each_once(monkeypatch):
    assert matching(["wine", "w*", "di*"]) == ["wine", "digits", "diabetes"]
    assert "r:modeldata/attrition" in matching(["r:*"]) and "mnist_cnn" not in matching(["*"])
    assert matching(["mnist_cnn-500"]) == ["mnist_cnn-500"]
    with pytest.raises(ValueError, match=r"unknown task 'r:nowhere/\*'"):
        matching(["r:nowhere/*"])


def own_task(name, metrics):
    x = np.arange(40.0, dtype=np.float32)[:, None]
    measures = {n: (lambda outputs, targets: (outputs**2).mean(), way) for n, way in metrics}
    return joc.Task.from_flax(
        lambda rngs: joc.MLP(1, 1, rngs=rngs), x, x, loss="squared_error", metrics=measures,
        name=name,
    )  # fmt: skip


def test_tasks_measure_what_they_have_in_common():
    both = own_task("a", [("gain", "max"), ("cost", "min")])
    one = own_task("b", [("gain", "max")])
    other = own_task("c", [("cost", "min"), ("profit", "max")])
    none = own_task("d", [("cost", "min")])
    assert common_metrics([both, one]) == {"gain": "max", "loss": "min"}
    assert common_metrics([both, other]) == {"score": "max", "cost": "min", "loss": "min"}
    with pytest.raises(ValueError, match=r"'d' measures .* nothing of which more is better"):
        common_metrics([both, none])
    made = measured(other, common_metrics([both, other]))
    params, state = made.init(jax.random.key(0))
    found = made.evaluate(params, state, made.valid)
    assert made.metrics == {"score": "max", "cost": "min", "loss": "min"}
    assert float(found["score"]) == float(found["profit"])
    assert measured(one, one.metrics) is one


@pytest.mark.parametrize(
    ("tasks", "trials", "settings", "message"),
    [
        ([], TABLE, {}, "no task: give names"),
        ([3], TABLE, {}, "tasks are names or tasks, not 3"),
        (["wine", "wyne"], TABLE, {}, "unknown task 'wyne'; did you mean 'wine'"),
        (["wine"], TABLE.assign(task="digits"), {}, "unknown task in the column 'task' 'digits'"),
        (["wine", "diabetes"], TABLE, {"metric": "valid_accuracy"}, "unknown metric 'valid_accu"),
        (["wine"], [1], {}, "trials is a table"),
    ],
)
def test_bad_input_is_named(tasks, trials, settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        joc.compare(tasks, trials, epochs=1, progress=False, **settings)


@pytest.mark.long
def test_equal_shapes_share_a_program(no_jax_cache, monkeypatch):
    calls, compiled_by = [], loading._compiled
    monkeypatch.setattr(compiled, "kept_programs", lambda: None)  # no cache of JAX's
    monkeypatch.setattr(loading, "_compiled", lambda *a: calls.append(1) or compiled_by(*a))
    tasks = [own_task(name, [("gain", "max")]) for name in "ab"]
    study = joc.compare(
        tasks, TABLE[:2], steps=2, batch_size=4, lanes=2, progress=False, devices=jax.devices()[:1]
    )
    assert len({bucket["program_sha256"] for bucket in study.manifest["buckets"]}) == 1
    assert len(calls) == 2  # "seat" and the segment, once
    halves = np.split(study.trials["valid_loss"].to_numpy(float), 2)
    assert halves[0].tolist() == halves[1].tolist()  # the same data under two names


def test_a_score_of_its_own_counts_where_more_is_better():
    other = own_task("b", [("profit", "max")])
    for way, value in (("max", "score"), ("min", "gain")):
        own = own_task("a", [("gain", "max"), ("score", way)])
        own = dataclasses.replace(own, evaluate=lambda *_: {"loss": 1.0, "gain": 2.0, "score": 3.0})
        metrics = common_metrics([own, other])
        assert metrics == {"score": "max", "loss": "min"}
        found = measured(own, metrics).evaluate(None, None, None)
        assert found["score"] == {"score": 3.0, "gain": 2.0}[value]


@pytest.mark.parametrize("name", ["wine", "win*"])
def test_a_task_of_ones_own_that_is_called_as_another_is_refused(name):
    """In either order: the one that came second was left out without a word."""
    own = own_task("wine", [("gain", "max")])
    for tasks in ([own, name], [name, own]):
        with pytest.raises(ValueError, match="two tasks are called 'wine'"):
            joc.compare(tasks, TABLE, epochs=1, progress=False)


def test_two_tasks_of_one_name_are_refused():
    twins = [own_task("a", [("gain", "max")]) for _ in range(2)]
    with pytest.raises(ValueError, match="two tasks are called 'a'"):
        joc.compare(twins, TABLE, epochs=1, progress=False)


@pytest.mark.long
def test_the_command_takes_several_tasks(study, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    train = lambda *given: asked.append(given) or Answer(dict)
    monkeypatch.setattr("jaxopt_course.cli.compare.train", train)
    few = ["--optimizers", "sgd", "--search", "sobol", "--trials", "2", "--seeds", "1"]
    cli.main(["compare", "--task", "wi*", "diabetes", *few])
    [(_, task, name, trials, _, static, _)] = asked
    assert trials["task"].tolist() == ["wine"] * 2 + ["diabetes"] * 2 and static == ["task"]
    assert name == "2_tasks" and task("wine").name == "wine"
    assert list(task("wine").metrics) == ["score", "loss"]
    capsys.readouterr()
    cli.main(["report", str(study.directory)])
    said = capsys.readouterr().out
    assert "mean rank" in said and "scores of different tasks" in " ".join(said.split())
    cli.main(["report", str(study.directory), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["tasks"] == ["wine", "diabetes"] and len(told["winners"]) == 4
    assert {row["optimizer"] for row in told["standings"]} == {"sgd", "momentum"}
