"""Benchmarks compare the same trainings, say what is missing, and print whole tables."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_course as joc

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _from_the_checkout(monkeypatch):
    """``experiments`` is no part of the package, and by hand people add biases as they are."""
    monkeypatch.syspath_prepend(str(ROOT))
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Four trials of logistic regression: a folder with their file, and the case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from experiments.benchmarks.side_by_side import workloads

        folder = tmp_path_factory.mktemp("reference")
        workloads.write("logistic", folder, 20)
        return folder, workloads.read("logistic", folder, range(4), 20)


@pytest.mark.long
def test_ways_by_hand_train_what_we_train(reference):
    from experiments.benchmarks.side_by_side import by_hand

    _, case = reference
    for make in (by_hand.scan, by_hand.loop, by_hand.vmap):
        assert case.difference(make(case)()) == ""
    parts = case._replace(workload=case.workload._replace(chunk=2))
    np.testing.assert_allclose(by_hand.chunks(parts)(), case.reference, rtol=1e-4)


@pytest.mark.parametrize("points", [20, 4, 1])
def test_another_training_is_found(reference, points):
    _, case = reference
    curves = case.reference.reshape(4, points, -1).mean(axis=2)
    assert case.difference(curves) == ""
    assert "trial 2" in case.difference(curves * [[1.0], [1.0], [1.03], [1.0]])
    short = case._replace(steps=4, reference=case.reference[:, :4])  # fewer than are compared
    assert short.difference(short.reference) == ""
    others = case._replace(trials=np.array([9, 8, 7, 6]))
    assert others.difference(curves * 2) == ""  # only the first four are known


@pytest.mark.long
def test_a_race_compares_and_then_times(reference):
    from experiments.benchmarks.side_by_side import race

    folder, _ = reference
    with pytest.MonkeyPatch.context() as patch:
        short = race.WORKLOADS["logistic"]._replace(longest=1)
        patch.setitem(race.WORKLOADS, "logistic", short)
        patch.setenv("JAX_PLATFORMS", "cpu")
        options = {"repeats": 2, "limit": 100.0, "seconds": 100.0}
        *before, cell = race.race("logistic", 1, ["scan"], folder, **options)
        assert [len(one.walls) for one in before] == [0, 1]
        assert (cell.problem, cell.timed, cell.steps, len(cell.walls)) == ("", 1, 20, 2)
        assert cell.cold > min(cell.walls) > 0 and cell.peak > 2**20
        (folder / "logistic.npz").rename(folder / "control.npz")  # nothing there any more
        [cell] = race.race("logistic", 1, ["scan"], folder, **options)
    (folder / "control.npz").rename(folder / "logistic.npz")
    assert "No such file" in cell.problem and cell.cold is None and not cell.walls


def test_every_way_is_there_and_its_lines_are_counted():
    from experiments.benchmarks.side_by_side import ways

    for name, way in ways.WAYS.items():
        file, function = way.make.split(".")
        assert f"def {function}(" in (ways.HERE / f"{file}.py").read_text(encoding="utf-8"), name
        assert 3 < ways.lines(way) < 60, name
    assert min(ways.WAYS, key=lambda name: ways.lines(ways.WAYS[name])) == "ours"


def cell(workload, trials, way, rate, **facts):
    """A made-up one."""
    from experiments.benchmarks.side_by_side.race import Cell

    walls = tuple(8 * trials / (rate * factor) for factor in (1.0, 0.5, 2.0))
    timed = {
        "steps": 8,
        "timed": trials,
        "first": 3.0,
        "walls": walls,
        "cpus": walls,
        "peak": 2**30,
    }
    return Cell(workload, trials, way, **(timed | facts))


def test_the_table_keeps_cells_where_others_win(tmp_path):
    from experiments.benchmarks.side_by_side import table

    made = [
        cell("mlp", 256, "ours", 30_000.0),
        cell("mlp", 256, "fused", 40_000.0, timed=128),
        cell("mlp", 4, "ours", 20.0),
        cell("mlp", 4, "keras", 1.0, walls=(), problem="losses of trial 0 differ by 3.0%"),
    ]
    table.store(tmp_path / "cells", made)
    cells = table.load(tmp_path / "cells")
    assert list(cells.values()) == made
    text = table.markdown(table.in_order(cells))
    assert (
        "| joc.sweep | **20** (10 to 40) | **30,000** (15,000 to 60,000) | 3.0 s | 1,024 |" in text
    )
    assert "| ≈ 3.1 s |" in text and "| losses of trial 0 differ by 3.0% |  |" in text
    ours, pytorch, keras = (text.index(f"| {name}") for name in ("joc", "PyTorch, fused", "Keras"))
    assert ours < pytorch < keras  # "the same, …" stands under what it is the same as
    rows = table.frame(cells.values())
    assert rows["rate_least"].tolist()[:2] == [15_000, 10_000]
    told = table.verdicts(cells)
    assert told == [
        "mlp, N = 256: 1.50x PyTorch, fused, a process a core (wanted: 15x); "
        "1.50x by processors' time"
    ]
    table.figure(table.in_order(cells), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_what_is_not_installed_is_skipped_and_said(monkeypatch, tmp_path, capsys):
    from experiments.benchmarks import __main__ as command
    from experiments.benchmarks.side_by_side.ways import WAYS

    raced = []
    monkeypatch.setattr(command, "is_missing", lambda way: way.needs == "torch")
    monkeypatch.setattr(command, "write_reference", lambda *_: None)
    monkeypatch.setattr(command, "race", lambda *args, **_: raced.append(args[2]) or [])
    monkeypatch.setattr("sys.argv", ["", "--out", str(tmp_path), "--workloads", "mlp"])
    arguments = command.options()
    arguments.trials = [1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "write", lambda *_: None)
        command.main(arguments)
    said = capsys.readouterr().out
    assert "PyTorch, fused, a process a core: torch is not installed, skipped" in said
    assert raced == [[name for name in WAYS if WAYS[name].needs != "torch"]]


@pytest.mark.long
def test_the_gpu_script_in_small(monkeypatch, tmp_path, capsys):
    from experiments.benchmarks import gpu

    def here(part, folder, small, *_):
        gpu.part_of_bits(part, folder, small)
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    monkeypatch.setattr(gpu, "child", here)
    monkeypatch.setattr(gpu, "SETTINGS", dict([*gpu.SETTINGS.items()][:1]))
    [row] = gpu.bits(small=True)
    assert row["resume_same_bits"] and row["replay_same_bits"]
    rows = list(gpu.mlp(small=True))
    assert [row["way"] for row in rows[::2]] == ["one after another", "vmap by hand"]
    assert rows[1]["trials"] == 2 and rows[1]["compile_seconds"] > 0
    assert all(row["rate"] > 0 for row in rows)
    assert [row["way"] for row in gpu.steps(small=True)] == ["copy", "adam, 2 x 64"]
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    rows = gpu.main(["machine", "transfer"], 5.0, tmp_path, small=True)
    assert [row["section"] for row in rows] == ["machine", "transfer", "transfer"]
    assert "| cpu | cpu |" in (tmp_path / "gpu.md").read_text(encoding="utf-8")
    rows = gpu.main(["bits"], 0.0, tmp_path, small=True)
    assert rows == [{"section": "bits", "problem": "out of time"}]


def test_the_guard_fails_below_its_share_of_what_was_reached(monkeypatch):
    from experiments.benchmarks import guard

    held = {"throughput": 2.0, "a core": 1.0, "few": 1.0}
    assert guard.failing({"throughput": 1.8, "a core": 0.84, "few": 0.86}, held) == ["a core"]
    ways, answers = object(), [{**held, "few": 0.5}, {**held, "throughput": 1.0}]
    monkeypatch.setattr(guard, "pairs", lambda: ways)
    monkeypatch.setattr(guard, "reached", lambda: held)
    monkeypatch.setattr(guard.joc, "use_cpu_cores", lambda: None)
    monkeypatch.setattr(guard, "measure", lambda _: answers.pop(0))
    assert guard.main(recording=False) and not answers  # the better of both counts
    answers += [{**held, "few": 0.5}, {**held, "few": 0.7}]
    assert not guard.main(recording=False)


@pytest.mark.long
def test_no_trial_of_the_throughput_leaves_before_its_end(monkeypatch):
    monkeypatch.setattr(joc, "use_cpu_cores", lambda: None)
    from experiments.benchmarks import throughput as benchmark

    monkeypatch.setattr(benchmark, "RATES", benchmark.RATES[-16:])  # the highest
    monkeypatch.setattr(benchmark, "TRIALS", 16)
    steps = benchmark.EPOCHS * benchmark.EXAMPLES // benchmark.BATCH
    run, _ = benchmark.by_engine(benchmark.make_task(), steps)
    assert run() > 0  # raises where one left: its steps would be counted and not done


@pytest.mark.long
def test_the_profile_times_every_part_of_a_step(monkeypatch, capsys):
    monkeypatch.setattr(joc, "use_cpu_cores", lambda: None)  # by one of them as it is imported
    from experiments.benchmarks import profile, throughput

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4)).astype(np.float32), rng.integers(0, 2, 32)
    made = lambda rngs: joc.MLP(4, 1, rngs=rngs)
    task = joc.Task.from_flax(
        made, x, y, valid=(x, y), test=(x, y), loss="sigmoid_binary_cross_entropy", metrics={}
    )
    monkeypatch.setattr(throughput, "make_task", lambda examples: task)
    monkeypatch.setattr(profile, "EXAMPLES", 32)
    monkeypatch.setattr(profile, "BATCH", 8)
    parts = profile.main(quick=True)
    assert list(parts) == list(profile.PARTS) and sum(parts.values()) > 0
    said = capsys.readouterr().out
    assert all(part in said for part in profile.PARTS) and "GFLOP/s of" in said


def test_the_profile_knows_what_a_step_costs():
    from experiments.benchmarks import profile

    params = [(jnp.zeros(shape), jnp.zeros(shape[1])) for shape in profile.LAYERS]

    def loss(params, x):
        for w, b in params:
            x = x @ w + b
        return x.sum()

    lowered = jax.jit(jax.grad(loss)).lower(params, jnp.zeros((profile.BATCH, 20)))
    flop, moved = profile.cost()
    assert flop <= lowered.cost_analysis()["flops"] < 1.05 * flop  # biases and sums are not counted
    assert moved == 7 * sum(x.nbytes for x in jax.tree.leaves(params))
