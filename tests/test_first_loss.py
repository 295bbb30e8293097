"""A trial whose loss is 1e8 times its own first one has diverged; nothing else is changed by it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from long_form import put

import jaxopt_course as joc
from jaxopt_course.cli.compare import Compare
from jaxopt_course.studies.compiled import compile_bucket
from jaxopt_course.studies.resume import recall
from jaxopt_course.train import DIVERGES_TIMES, make_budget

INFINITE = float("inf")


def sweep(task="line", trials=None, **settings):
    if trials is None:
        trials = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.01, 1e15], seed=[0, 1])
    settings = {"epochs": 6, "batch_size": 5, "progress": False} | settings
    return joc.sweep(task, trials, devices=jax.devices()[:1], **settings)


@pytest.fixture(scope="module")
def studies():
    return {name: sweep(diverges_above=x) for name, x in (("usual", None), ("never", INFINITE))}


def growing(first, factor, name="growing"):
    """A loss first * factor^s at step s, whatever is trained."""

    def loss(params, state, batch, key):
        s = state["step"]
        value = first * jnp.float32(factor) ** s + 0.0 * params["w"]
        return value, ({"step": s + 1}, {})

    return joc.Task(
        name=name,
        init=lambda key: ({"w": jnp.zeros(())}, {"step": jnp.zeros(())}),
        loss=loss,
        evaluate=lambda params, state, data: {"loss": params["w"] * 0},
        train={"x": np.zeros(5)},
        valid={"x": np.zeros(5)},
        test={"x": np.zeros(5)},
        metrics={"loss": "min"},
    )


def test_a_rate_of_1e15_is_a_divergence(studies):
    """Adam was "finished" with a loss of 5e28, and could win by an accuracy of 0.875."""
    usual, never = (study.trials for study in studies.values())
    large = usual["learning_rate"] == 1e15
    assert (usual["status"][large] == "diverged").all()
    assert (usual["status"][~large] == "finished").all()
    assert (never["status"][large & (never["optimizer"] == "adam")] == "finished").all()


def test_healthy_trials_have_the_same_bits(studies):
    kept = studies["usual"].trials["status"] == "finished"
    for name in studies["usual"].curves.data_vars:
        usual, never = (studies[which].curves[name].to_numpy()[kept] for which in studies)
        assert usual.tobytes() == never.tobytes()


@pytest.mark.parametrize(
    "first, factor, first_bad",
    [
        (1.0, 10.0, 9),  # 1e9 is the first beyond 1e8
        put((5.0, 10.0, 9), False),
        (-5.0, 10.0, 9),
        put((0.0, 10.0, -1), False),
        (1e-6, 10.0, 15),  # counts as 1
        put((1.0, 2.0, -1), False),
    ],
)
def test_the_first_bad_step(first, factor, first_bad):
    study = sweep(growing(first, factor), joc.grid(optimizer="sgd", learning_rate=[0.1]), epochs=20)
    [row] = study.trials.to_dict("records")
    assert row["status"] == ("finished" if first_bad < 0 else "diverged")
    if first_bad >= 0:
        assert row["first_bad_step"] == first_bad


def test_budgets():
    assert make_budget(5, epochs=1, batch_size=5).diverges_times == DIVERGES_TIMES
    for given, above in ((10, 10.0), (INFINITE, None)):
        budget = make_budget(5, epochs=1, batch_size=5, diverges_above=given)
        assert (budget.diverges_above, budget.diverges_times) == (above, None)
    with pytest.raises(TypeError, match="diverges_above must be a number, not '10'"):
        make_budget(5, epochs=1, batch_size=5, diverges_above="10")
    with pytest.raises(ValueError, match="positive"):
        make_budget(5, epochs=1, batch_size=5, diverges_above=float("nan"))


@pytest.mark.long
def test_studies_on_disk_keep_theirs(studies, tmp_path):
    """Older manifests know no multiple: their program has no limit, also for what is added."""
    study = sweep(diverges_above=INFINITE, directory=tmp_path / "one",
                  trials=joc.grid(optimizer="sgd", learning_rate=[0.01], batch_size=[5]),
                  static=["batch_size"])  # fmt: skip
    file = tmp_path / "one" / "manifest.json"
    manifest = json.loads(file.read_text())
    for entry in manifest["buckets"]:
        assert entry["budget"].pop("diverges_times") is None
    manifest["budget"].pop("diverges_times")
    again = recall(manifest, study.trials)
    [bucket] = again.table.buckets
    assert bucket.budget.diverges_times is None
    made = compile_bucket(bucket, again.chosen, None, jax.devices()[:1])
    assert made.program.rhythm.by_first_loss is False
    assert made.program_sha256 == manifest["buckets"][0]["program_sha256"]
    assert again.lengths["diverges_above"] == INFINITE
    more = joc.grid(optimizer="sgd", learning_rate=[0.01], batch_size=[4])
    longer = study.extend(more, progress=False)
    assert [b["budget"]["diverges_times"] for b in longer.manifest["buckets"]] == [None, None]


def test_a_killed_sweep_goes_on_with_its_limits():
    """What was the first loss is part of a trial's state."""
    study = sweep(growing(1.0, 1.5), joc.grid(optimizer="sgd", learning_rate=[0.1], seed=[0, 1]),
                  steps=60, epochs=None, evaluate_every=1)  # fmt: skip
    assert (study.trials["first_bad_step"] == 46).all()  # 1.5^46 = 1.26e8
    with pytest.warns(UserWarning, match="there is one configuration"):
        half = sweep(growing(1.0, 1.5), joc.grid(optimizer="sgd", learning_rate=[0.1], seed=[0, 1]),
                     steps=60, epochs=None, evaluate_every=1,
                     scheduler=joc.SuccessiveHalving(min_steps=5))  # fmt: skip
    assert (half.trials["first_bad_step"].dropna() == 46).all()


def test_the_command_has_the_option():
    assert Compare(diverges_above=10.0).diverges_above == 10.0
    assert Compare().diverges_above is None
