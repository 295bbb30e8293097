"""Schedules as columns of a table: checked, completed, and data of one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from long_form import every

import jaxopt_course as joc
from jaxopt_course.sweeps.program import Table
from jaxopt_course.tables import schedules as schedule_columns
from jaxopt_course.tables.columns import check_columns
from jaxopt_course.tables.schedule_makers import Share
from jaxopt_course.tables.schedules import SCHEDULES

QUIET = {"progress": False, "devices": jax.devices()[:1]}  # each device compiles anew


def table(**columns):
    return joc.grid(**{"optimizer": "adam", "learning_rate": 0.01} | columns)


@pytest.mark.parametrize(
    "trials, words",
    [
        (table(schedule="cosin"), "unknown schedule 'cosin'.*cosine"),
        (table(schedule_alpha=0.1), 'needs a column "schedule"'),
        (table(schedule="cosine", schedule_warmup_steps=3), "no schedule of this table takes"),
        (
            table(schedule=["cosine", "linear"], schedule_alpha=0.1),
            "row 1: the schedule 'linear' does not take 'schedule_alpha'",
        ),
        (table(schedule="exponential"), "row 0 .*'exponential'.* has no 'schedule_decay_rate'"),
        (table(schedule="constant", schedule_decay_steps=3), "no schedule of this table takes"),
        (
            table(schedule="cosine", schedule_decay_steps=[5, 0]),
            "row 1: 'schedule_decay_steps' must be positive, not 0",
        ),
        (
            table(schedule=["constant", "linear"]).assign(
                schedule_transition_steps=pd.array([None, -5])
            ),
            "row 1: 'schedule_transition_steps' must be positive, not -5",
        ),
        (
            table(schedule="warmup_cosine", schedule_decay_steps=10),
            r"row 0 .*'warmup_cosine'.*decay_steps=10.0 .* larger than warmup_steps=10.0",
        ),
        (
            table(schedule="exponential", schedule_decay_rate=[0.5, -0.5]),
            "row 1 .*'exponential'.: decay_rate must be at least 0, not -0.5",
        ),
        (
            table(schedule="wsd", schedule_decay_share=[0.5, 0.95]),
            "row 1 .*'wsd'.: warmup_share=0.1 and decay_share=0.95 are more than the whole",
        ),
        (
            table(schedule="keras.reduce_on_plateau", schedule_factor=[0.5, 2.0]),
            "row 1 .*'keras.reduce_on_plateau'.: factor must be above 0 and at most 1, not 2.0",
        ),
    ],
)
def test_what_is_refused(trials, words):
    with pytest.raises(ValueError, match=words):
        check_columns(trials, steps=100)


@pytest.mark.parametrize(
    "columns, words",
    [
        ({"schedule": [1, 2]}, "holds names of schedules, not 1"),
        ({"schedule": "cosine", "schedule_alpha": True}, "takes numbers, not True"),
        (
            {"schedule": "exponential", "schedule_decay_rate": 0.5, "schedule_staircase": 1.0},
            "takes True or False, not 1.0",
        ),
    ],
)
def test_kinds(columns, words):
    with pytest.raises(TypeError, match=words):
        check_columns(table(**columns), steps=100)


def test_a_schedule_is_not_for_own_functions():
    with pytest.raises(ValueError, match=r"a function of the row makes its own"):
        check_columns(joc.grid(learning_rate=0.1, schedule="cosine"), lambda h: joc.sgd(0.1))


def test_own_functions_read_schedule_numbers():
    mine = lambda h: joc.sgd(joc.cosine_decay_schedule(0.1, h["schedule_decay_steps"]))
    columns = check_columns(joc.grid(schedule_decay_steps=[5, 9]), mine)
    columns.optimizer({"schedule_decay_steps": 5})
    columns.check_read()


MINE = {"mine": lambda h: joc.sgd(joc.linear_schedule(0.1, 0.0, h["schedule_over"]))}


@pytest.mark.long
def test_own_functions_beside_schedules_by_name():
    """Their cells are theirs, whatever the schedules of the other rows read."""
    rows = [
        joc.grid(optimizer="sgd", learning_rate=0.1, schedule=["linear", "cosine"]),
        joc.grid(optimizer="mine", schedule_over=[5, 16]),
    ]
    study = joc.sweep(
        "line",
        pd.concat(rows),
        MINE,
        epochs=4,
        batch_size=5,
        progress=False,
        devices=jax.devices()[:1],
    )
    assert study.trials["schedule"].isna().tolist() == [False, False, True, True]
    assert study.trials["schedule_over"].isna().tolist() == [True, True, False, False]
    steps = study.manifest["budget"]["steps"]
    for i, rate in [
        (0, joc.linear_schedule(0.1, 0.0, steps)),
        (1, joc.cosine_decay_schedule(0.1, steps)),
        (2, joc.linear_schedule(0.1, 0.0, 5)),
        (3, joc.linear_schedule(0.1, 0.0, 16)),
    ]:
        alone = joc.fit("line", joc.sgd(rate), epochs=4, batch_size=5)
        loss = study.trials["valid_loss"][i]
        assert loss == pytest.approx(alone.metrics["valid_loss"], rel=1e-4)
    assert study.trials["valid_loss"].nunique() == 4


def test_own_functions_cannot_read_the_name():
    reads = lambda h: joc.sgd(0.1 * h["schedule"])
    rows = pd.concat([table(schedule=["linear", "cosine"]), joc.grid(optimizer="mine")])
    columns = check_columns(rows, {"mine": reads}, steps=9)
    numbers = jax.tree.map(lambda x: x[0], columns.arrays(columns.trials)["hyperparameters"])
    with pytest.raises(KeyError, match="is for registered recipes"):
        columns.optimizer(numbers | {"optimizer": 0})
    with pytest.raises(ValueError, match="a function of the row makes its own"):
        check_columns(joc.grid(optimizer=["mine", "sgd"], schedule="cosine"), MINE, steps=9)


def test_a_column_that_neither_schedule_nor_function_reads():
    rows = pd.concat([table(schedule="linear"), joc.grid(optimizer="mine", schedule_over=4)])
    columns = check_columns(rows, {"mine": lambda h: joc.sgd(0.1)}, steps=9)
    with pytest.raises(ValueError, match="does not read the column 'schedule_over'"):
        columns.check_read()


def test_a_study_of_one_step_has_no_warm_up():
    trials = check_columns(table(schedule="warmup_cosine"), steps=1).trials
    assert trials["schedule_warmup_steps"].tolist() == [0]
    assert trials["schedule_decay_steps"].tolist() == [1]


def test_defaults_are_written_in():
    """Horizons are those of the study; what was spelled out gives the same table and ids."""
    short = check_columns(table(schedule=["warmup_cosine", "constant"]), steps=200)
    row, other = short.trials.iloc[0], short.trials.iloc[1]
    assert row["schedule_warmup_steps"] == 20 and row["schedule_decay_steps"] == 200
    assert row["schedule_end_value"] == 0 and row["schedule_exponent"] == 1
    assert other[[c for c in short.trials if c.startswith("schedule_")]].isna().all()
    long = check_columns(
        pd.concat(
            [
                table(
                    schedule="warmup_cosine", schedule_warmup_steps=20, schedule_decay_steps=200,
                    schedule_exponent=1.0,
                ),
                table(),
            ]
        ),
        steps=200,
    )  # fmt: skip
    assert set(short.trials["id"]) == set(long.trials["id"])
    assert short.schedules == long.schedules == ("constant", "warmup_cosine")


def test_an_empty_schedule_is_constant():
    columns = check_columns(table(schedule=[pd.NA, "cosine"]), steps=10)
    assert columns.trials["schedule"].tolist() == ["constant", "cosine"]


@pytest.mark.parametrize("name", every(2, SCHEDULES))
def test_a_row_s_rate_is_the_schedule_of_its_numbers(name):
    """Among all schedules of the table, as traced lanes, against the schedule by itself."""
    extra = {"schedule_decay_rate": 0.5} if name == "exponential" else {}
    rows = [table(schedule=name, learning_rate=[0.1, 0.3], **extra)]
    rows += [table(schedule=other) for other in ("constant", "cosine", "step") if other != name]
    columns = check_columns(pd.concat(rows), steps=50)
    engine_table = Table(**columns.arrays(columns.trials))
    steps = jnp.arange(60)

    def rates(row):
        rate = schedule_columns.rate_of(row, columns.schedules, columns.hyperparameters)
        return jax.vmap(rate)(steps)

    lanes = jax.jit(jax.vmap(rates))(dict(engine_table.hyperparameters))
    for i in (0, 1):
        row = columns.trials.iloc[i]
        own = {
            c.removeprefix("schedule_"): float(row[c])
            for c in schedule_columns.arguments(name)
            if c in columns.trials and c != "schedule_staircase"
        }
        alone = [SCHEDULES[name](float(row["learning_rate"]), **own)(s) for s in range(60)]
        np.testing.assert_allclose(lanes[i], alone, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("anneal", ["cos", "linear"])
def test_torch_s_cycle_falls_as_its_name_says(anneal):
    name = {"cos": "torch.cosine_onecycle", "linear": "torch.linear_onecycle"}[anneal]
    mine = SCHEDULES[name](0.1, transition_steps=20)
    theirs = joc.torch_onecycle_schedule(20, 0.1, anneal_strategy=anneal)
    np.testing.assert_array_equal([mine(s) for s in range(20)], [theirs(s) for s in range(20)])
    early = mine(9)  # on the way down from step 5 to 19
    assert (early > 0.076) == (anneal == "cos")


def test_a_sweep_of_schedules_is_one_program_and_right():
    """Against fit with the schedule written out; recorded, chosen and confirmed like any other."""
    trials = joc.grid(
        optimizer=["sgd", "keras.momentum"],
        learning_rate=0.3,
        schedule=["constant", "linear"],
        schedule_transition_steps=pd.NA,
        seed=[3],
    ).drop(columns="schedule_transition_steps")
    study = joc.sweep("line", trials, epochs=3, batch_size=4, **QUIET)
    assert study.events[0]["lowerings"] == 1
    steps = study.manifest["budget"]["steps"]
    for _, row in study.trials.iterrows():
        falling = joc.linear_schedule(0.3, 0.0, steps)
        rate = falling if row["schedule"] == "linear" else 0.3
        like, _, name = row["optimizer"].rpartition(".")
        tx = joc.convention(name, like or "optax")
        tx = tx(rate, 0.9) if name == "momentum" else tx(rate)
        alone = joc.fit("line", tx, epochs=3, batch_size=4, seed=3)
        assert row["valid_loss"] == pytest.approx(alone.metrics["valid_loss"], rel=1e-4)
    assert set(study.curves["schedule"].values) == {"constant", "linear"}
    assert study.confirm(1, progress=False).trials["schedule"].notna().all()


def test_a_staircase_can_be_swept():
    trials = table(
        optimizer="sgd",
        schedule="exponential",
        schedule_decay_rate=0.5,
        schedule_transition_steps=4.0,
        schedule_staircase=[True, False],
    )
    study = joc.sweep("line", trials, epochs=20, batch_size=4, **QUIET)
    assert study.trials["train_loss"].nunique() == 2


@pytest.mark.long
def test_plateaus_of_three_kinds_beside_a_schedule():
    """A sweep of them is one program; each row is the recipe with the transformation behind it."""
    kinds = ["reduce_on_plateau", "torch.reduce_on_plateau", "keras.reduce_on_plateau"]
    rows = [
        table(
            optimizer=["adam", "keras.momentum"],
            learning_rate=0.2,
            schedule=kinds,
            schedule_factor=0.5,
            schedule_patience=1.0,
            schedule_accumulation_size=2.0,
            schedule_cooldown=2.0,
        ),
        table(learning_rate=0.2, schedule="linear"),
    ]
    study = joc.sweep(
        "line", pd.concat(rows), epochs=10, batch_size=4, watch=["learning_rate"], **QUIET
    )
    assert study.events[0]["lowerings"] == 1
    rates, cuts = study.curves["train_learning_rate"].to_numpy(), []
    for i, row in study.trials.iterrows():
        name = row["schedule"]
        if name == "linear":
            alone = joc.adam(joc.linear_schedule(0.2, 0.0, study.manifest["budget"]["steps"]))
        else:
            like = name.split(".")[0] if "." in name else "optax"
            cut = joc.reduce_on_plateau(0.5, 1, cooldown=2, accumulation_size=2, like=like)
            recipe = joc.convention("momentum", "keras")(0.2, 0.9)
            # where the memory keeps steps of the old rate, before it
            adam = row["optimizer"] == "adam"
            alone = joc.chain(joc.adam(0.2), cut) if adam else joc.chain(cut, recipe)
            cuts.append(rates[i][-1] < 0.15)
        found = joc.fit("line", alone, epochs=10, batch_size=4).metrics["valid_loss"]
        assert row["valid_loss"] == pytest.approx(found, rel=1e-4), (i, name)
    assert sum(cuts) >= 4 and len(cuts) == 6


def test_a_default_that_is_a_share_of_the_budget_is_steps_or_one_over_them():
    assert Share(0.5).at(10) == 5.0 and Share(0.5, inverse=True).at(10) == 1 / 5
    assert Share(0.04, least=1.0).at(10) == 1.0 and Share(0.26).at(10) == 3.0
