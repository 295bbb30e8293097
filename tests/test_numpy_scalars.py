"""A scalar of NumPy is a number wherever one is asked for, and JSON and Ray get Python's."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course.clusters.ray import Ray
from jaxopt_course.conventions.keras_state import _is_off
from jaxopt_course.search.asked import _check_given
from jaxopt_course.search.space import make_space
from jaxopt_course.studies.seen import make_seen
from jaxopt_course.testing import check_transformation

HALF = np.float32(0.5)
REALS = (np.float32, np.float64, np.float16)
MADE = [
    *((kind, {"eta": real(3)}) for kind in (joc.SuccessiveHalving, joc.Hyperband, joc.ASHA)
      for real in (*REALS, np.int64)),
    *((joc.ASHA, {"min_steps": whole(4)}) for whole in (np.int32, np.uint8)),
    (joc.MedianStopping, {"every": np.int32(2), "min_configurations": np.int64(3)}),
    *((joc.Patience, {"evaluations": np.uint8(3), "min_delta": real(0.5)}) for real in REALS),
    (joc.PBT, {"every": np.int64(2), "columns": ["learning_rate"], "seed": np.uint8(1),
               "fraction": np.float32(0.25), "factors": [np.float32(0.5), np.int64(2)]}),
    (Ray, {"devices_per_node": np.int64(2), "silent_seconds": np.float32(0.5),
           "start_seconds": np.int32(9)}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given"), MADE, ids=lambda x: x.__name__ if isinstance(x, type) else str(x)
)
def test_settings_take_them_and_hold_plain_numbers(kind, given):
    made = vars(kind(**given))
    json.dumps(made)
    for name, value in given.items():
        assert made[name] == (value if isinstance(value, list) else value.item())


@pytest.mark.parametrize("odd", [np.bool_(True), np.array([3.0, 3.0]), np.complex64(3), "3"])
def test_what_is_no_number_is_refused_all_the_same(odd):
    for make in (joc.ASHA, lambda x: joc.Patience(min_delta=x), lambda x: Ray(silent_seconds=x)):
        with pytest.raises((TypeError, ValueError), match="must be a"):
            make(odd)


def test_a_sweep_s_time_limit_and_devices():
    limit = make_seen((), None, np.float32(2), True).time_limit
    assert type(limit) is float and limit == 2
    assert joc.use_cpu_cores(np.int64(jax.local_device_count("cpu"))) == jax.local_device_count()


def test_streams_and_windows():
    batches = [(np.ones((2, 3)), np.ones(2))] * 4
    assert joc.stream(batches, batches=np.int64(3), bytes_a_call=np.int32(99)).batches == 3
    plain = joc.windows(np.arange(200), 5, valid=0.25, test=0.5)
    cut = joc.windows(np.arange(200), np.int8(5), valid=np.float32(0.25), test=np.float16(0.5))
    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(getattr(cut, part)["start"], getattr(plain, part)["start"])
    with pytest.raises(ValueError, match="valid must be a share between 0 and 1"):
        joc.windows(np.arange(200), 5, valid=np.float32(2))


def test_a_default_of_one_s_own_optimizer_fills_a_cell():
    def rule(learning_rate, momentum=HALF):
        return optax.sgd(learning_rate, momentum)

    trials = pd.DataFrame({"learning_rate": [0.01, 0.01], "momentum": [0.9, None]})
    study = joc.sweep("line", trials, rule, steps=2, batch_size=5, progress=False)
    assert study.trials["momentum"].tolist() == [0.9, 0.5]


def test_a_dropout_rate_a_schedule_and_a_check():
    with pytest.raises(ValueError, match=r"a dropout rate must be in \[0, 1\]"):
        joc.dropout(jnp.ones(3), np.float32(2), jax.random.key(0))
    far = 2**24
    of = lambda begin: joc.exponential_decay(1.0, 2, 0.5, transition_begin=begin)
    assert float(of(np.int64(far))(far + 2)) == float(of(far)(far + 2)) == 0.5
    check_transformation(joc.sgd, {"learning_rate": np.float32(0.1)})
    assert _is_off(np.float32(0)) and not _is_off(np.int64(1))


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(1)])
def test_what_optuna_is_told_to_ask(value):
    space = make_space({"learning_rate": joc.uniform(0.1, 1.0)}, [0])
    _check_given("the trial", {"learning_rate": value}, space)


TABLE = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.01, 0.1], seed=range(2))


def lengths(whole, real):
    """Every number that a sweep takes."""
    return {
        "epochs": whole(3), "batch_size": whole(5), "record_every": whole(1),
        "evaluate_every": whole(1), "diverges_above": real(64), "diverges_after": whole(2),
        "lanes": whole(4), "keep": whole(1), "patience": whole(1), "time_limit": real(900),
        "part": (whole(0), whole(2)),
    }  # fmt: skip


@pytest.mark.long
def test_a_sweep_that_is_saved_is_that_of_python_s_numbers(tmp_path):
    sweep = lambda name, *kinds: joc.sweep(
        "line", TABLE, directory=tmp_path / name, progress=False, **lengths(*kinds)
    )
    plain, study = sweep("plain", int, float), sweep("scalars", np.uint8, np.float32)
    pd.testing.assert_frame_equal(study.trials, plain.trials)
    there, here = (joc.Study.load(one.directory).manifest for one in (study, plain))
    assert there == here


@pytest.mark.parametrize("name", lengths(int, float))
def test_a_switch_is_no_number_of_a_sweep(name, tmp_path):
    for odd in (np.True_, True):
        given = lengths(int, float) | {name: (odd, 2) if name == "part" else odd}
        with pytest.raises((TypeError, ValueError), match=f"{name.partition('_')[0]}.* must be"):
            joc.sweep("line", TABLE, directory=tmp_path / "study", progress=False, **given)
    assert not (tmp_path / "study").exists()


def spaces(whole, real):
    one = {"learning_rate": joc.log_uniform(real(0.25), real(1)), "momentum": real(0.5)}
    one["schedule_steps"] = joc.integers(whole(1), whole(4))
    seeds = {"seed": whole(1), "seeds": [whole(0), whole(2)]}
    yield joc.sobol(whole(3), **seeds, **one)
    yield joc.random(whole(3), **seeds, **one)
    yield joc.grid(learning_rate=real(0.5), optimizer="sgd", seed=whole(3))
    yield joc.defaults(whole(2), seeds=[whole(1)])


def test_search_spaces_are_those_of_python_s_numbers():
    for found, plain in zip(spaces(np.uint8, np.float32), spaces(int, float), strict=True):
        pd.testing.assert_frame_equal(found, plain)


@pytest.fixture(scope="module")
def study():
    return joc.sweep("line", TABLE, epochs=2, batch_size=5, progress=False)


@pytest.mark.long
def test_what_is_asked_of_a_study(study):
    def asked(whole, real):
        fresh = study.confirm(whole(3), progress=False)
        yield fresh.trials
        yield fresh.paired_differences(level=real(0.75), power=real(0.5))
        longer = study.train_on(whole(1), epochs=whole(3), keep=whole(1), progress=False)
        yield longer.trials
        yield pd.DataFrame(study.params(whole(1)))
        yield pd.DataFrame([study.replay(whole(1)).identical])
        yield study.seconds_per_step(calls=whole(2), at_most=real(0)).head(0)

    for found, plain in zip(asked(np.uint8, np.float32), asked(int, float), strict=True):
        pd.testing.assert_frame_equal(found, plain)


@pytest.mark.long
def test_weights_to_start_from_are_numbered(study):
    weights = {trial: study.params(trial) for trial in range(len(TABLE))}
    sweep = lambda start: joc.sweep(
        "line", TABLE, start=start, epochs=1, batch_size=5, progress=False
    )
    plain = sweep(weights)
    numbered = sweep({np.int64(trial): one for trial, one in weights.items()})
    pd.testing.assert_frame_equal(numbered.trials, plain.trials)


def test_a_decay_of_0_needs_no_parameters():
    """As of Python's 0, which is left out."""
    for zero in (0.0, np.float32(0), np.int64(0)):
        tx = joc.add_decayed_weights(zero)
        u, _ = tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
        np.testing.assert_array_equal(u, jnp.ones(2))


def test_schedule_free_with_a_decay_of_0_is_bitwise_that_of_python_s():
    def path(zero):
        tx = joc.schedule_free_adamw(0.1, weight_decay=zero)
        x = jnp.asarray([0.5, -1.0, 2.0])
        state = tx.init(x)
        for _ in range(5):
            u, state = jax.jit(tx.update)(3 * x, state, x)
            x = optax.apply_updates(x, u)
        return np.asarray(x).tobytes()

    assert path(np.float32(0)) == path(0.0)


@pytest.mark.long
def test_an_optuna_search_takes_them(study):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def search(whole, real):
        space = {"optimizer": ["sgd"], "learning_rate": joc.log_uniform(real(0.25), real(0.5))}
        asked = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        made = joc.OptunaSearch(asked, space, lanes=whole(2), seeds=[whole(1)], batch=whole(2))
        given = {"epochs": whole(1), "batch_size": whole(5), "progress": False}
        return made.sweep("line", whole(3), **given).trials

    pd.testing.assert_frame_equal(search(np.uint8, np.float32), search(int, float))
