"""The Python that the page offers takes the steps that the study took."""

import inspect
import itertools

import jax
import numpy as np
import optax
import pytest
from long_form import every

import jaxopt_course as joc
from jaxopt_course.report import arguments, code
from jaxopt_course.tables.recipes import RECIPES

STEPS = 4
ROWS = {  # what a row of a study has: all numbers of the recipe
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "ema_momentum": {"decay": 0.9},
    "adagrad": {"initial_accumulator_value": 0.1, "eps": 1e-7},
    "rmsprop": {"decay": 0.9, "eps": 1e-8, "initial_scale": 0.0},
    "adadelta": {"rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
    "adam": {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "eps_root": 0.0},
    "adamw": {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "eps_root": 0.0, "weight_decay": 0.1,
              "decay_biases": False},
    "adamax": {"b1": 0.9, "b2": 0.999, "eps": 1e-8},
    "amsgrad": {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "eps_root": 0.0},
    "nadam": {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "eps_root": 0.0},
    "nadamw": {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "eps_root": 0.0, "weight_decay": 0.1},
    "radam": {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "eps_root": 0.0, "threshold": 5.0},
    "lion": {"b1": 0.9, "b2": 0.99, "weight_decay": 0.1, "decay_biases": False},
    "signum": {"beta": 0.9},
    "adabelief": {"b1": 0.9, "b2": 0.999, "eps": 1e-16, "eps_root": 1e-16},
    "adan": {"b1": 0.98, "b2": 0.92, "b3": 0.99, "eps": 1e-8, "eps_root": 1e-8,
             "weight_decay": 0.1},
    "lamb": {"b1": 0.9, "b2": 0.999, "eps": 1e-6, "eps_root": 0.0, "weight_decay": 0.1},
    "lars": {"weight_decay": 0.1, "trust_coefficient": 0.001, "eps": 0.0, "momentum": 0.9,
             "decay_biases": False},
    "adafactor": {"decay_rate": 0.8, "clipping_threshold": 1.0, "eps": 1e-30},
    "ademamix": {"b1": 0.9, "b2": 0.999, "b3": 0.9999, "alpha": 5.0, "eps": 1e-8, "eps_root": 0.0,
                 "weight_decay": 0.1, "b3_warmup": 0.0, "alpha_warmup": 0.0},
    "adopt": {"b1": 0.9, "b2": 0.9999, "eps": 1e-6},
    "muon": {"beta": 0.95, "eps": 1e-8, "weight_decay": 0.1, "adam_b1": 0.9, "adam_b2": 0.999,
             "adam_eps_root": 0.0, "adam_weight_decay": 0.0, "decay_biases": False},
}  # fmt: skip
OURS_ALONE = {  # not optax's, or with another mask than it has
    "prodigy": {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "weight_decay": 0.1, "decay_biases": False},
    "schedule_free_adamw": {"b1": 0.9, "b2": 0.999, "weight_decay": 0.1, "decay_biases": False},
    "schedule_free_sgd": {"b1": 0.9},
    "soap": {"b1": 0.95, "b2": 0.95, "weight_decay": 0.01, "decay_biases": False},
}
KEPT = {"decay_biases"}
NO_COLUMNS = {  # masks, dtypes, functions, arrays: no cell of a table holds them
    "mask", "weight_decay_mask", "trust_ratio_mask", "accumulator_dtype", "mu_dtype",
    "state_dtype", "dtype_momentum", "clip_value_fn", "muon_weight_dimension_numbers",
    "exclude_layers", "ns_coeffs",
}  # fmt: skip


def row(name, **more):
    return {"learning_rate": 0.0372759372031, **(ROWS | OURS_ALONE)[name], **more}


def start():
    random = np.random.default_rng(0)
    return {
        "bias": random.normal(size=3).astype("f4"),
        "kernel": random.normal(size=(4, 3)).astype("f4"),
    }


def gradients(steps=STEPS):
    random = np.random.default_rng(1)
    return [
        {key: random.normal(size=leaf.shape).astype("f4") for key, leaf in start().items()}
        for _ in range(steps)
    ]


def made(text, **known):
    """What a snippet makes when it is run as it stands."""
    exec(text, known)
    return known.get("tx") or known["optimizer"]


def trained(tx, steps=STEPS):
    params = start()
    state = tx.init(params)
    for g in gradients(steps):
        updates, state = tx.update(g, state, params)
        params = optax.apply_updates(params, updates)
    return params


def studied(name, numbers, steps=STEPS):
    """Trained by the recipe as a study has it."""
    arguments = {key: x for key, x in numbers.items() if key not in KEPT}
    if numbers.get("decay_biases") is False:
        arguments[code.MASK_NAMES.get(name, "mask")] = lambda p: jax.tree.map(
            lambda leaf: leaf.ndim >= 2, p
        )
    return trained(RECIPES[name](**arguments), steps)


def snippet(name, framework, **more):
    (found,) = [s for s in code.snippets(name, row(name, **more)) if s.framework == framework]
    return found


WAYS = [("joc", n) for n in (ROWS | OURS_ALONE)] + [("optax", n) for n in ROWS]


@pytest.mark.parametrize("framework, name", every(3, WAYS))
def test_the_python_of_jax_trains_as_the_study_did(name, framework):
    got = trained(made(snippet(name, framework).code))
    want = studied(name, row(name))
    for key in want:
        np.testing.assert_allclose(got[key], want[key], rtol=1e-5, atol=1e-6, err_msg=name)


def test_every_recipe_has_its_python():
    plain = {name for name in RECIPES if "." not in name and "+" not in name}
    assert plain == code.OURS
    assert {*code.OPTAX} == {*ROWS} and {*ROWS, *OURS_ALONE} == code.OURS


def test_numbers_are_those_of_the_row_and_strangers_stand_in_a_comment():
    found = snippet("adam", "optax", batch_size=32, hidden=64, schedule="cosine")
    assert "learning_rate=0.0372759372031" in found.code
    assert found.code.splitlines()[-1] == "# and batch_size=32, hidden=64, schedule='cosine'"


def test_gradients_are_clipped_first():
    ways = {
        "joc": "joc.clip_by_global_norm(1.0)",
        "optax": "optax.clip_by_global_norm(1.0)",
        "keras": "global_clipnorm=1.0",
        "torch": "clip_grad_norm_(model.parameters(), 1.0)",
    }
    for framework, text in ways.items():
        assert text in snippet("adam", framework, clip_norm=1.0).code


def test_a_frameworks_own_rule_stays_its_own():
    numbers = {"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-7}
    ours, *others = code.snippets("keras.adam", numbers)
    assert "like='keras'" in ours.code
    trained(made(ours.code))
    assert [s.framework for s in others if s.code] == ["keras"]


@pytest.mark.parametrize("name", ["mine", "", "optax.mine", "jax.adam", "<b>adam</b>"])
def test_of_an_optimizer_of_ones_own_there_is_none(name):
    assert code.snippets(name, {"learning_rate": 0.1}) == []


def test_the_arguments_are_those_of_the_recipes():
    found = {
        name: {*inspect.signature(recipe).parameters} - NO_COLUMNS
        for name, recipe in RECIPES.items()
    }
    assert {name: {*text.split()} for name, text in arguments.ARGUMENTS.items()} == found
    assert arguments.taken("adamw+ema") == found["adamw"] and not arguments.taken("mine")


def test_what_another_optimizer_or_the_task_takes_is_no_argument():
    """As the weight of a term that is called beta, which Muon has and Adam has not."""
    for found in code.snippets("adam", row("adam", beta=4.0, ns_steps=3)):
        assert found.code.endswith("# and beta=4.0, ns_steps=3")
        assert "beta=" not in found.code.split("#")[0]
    clipped = {"learning_rate": 0.01, "clipnorm": 1.0}
    assert "clipnorm=1.0" in code.snippets("keras.adam", clipped)[0].code.split("#")[0]
    assert not any(found.code for found in code.snippets("keras.adam", clipped)[1:])


def test_no_name_of_a_column_leaves_its_line():
    evil = {"a\nimport os": 1.0}
    for found in code.snippets("adam", row("adam") | evil):
        assert "import os" in found.code.splitlines()[-1] and found.code.count("\n# and") == 1
    odd = {"learning rate": np.float64(0.1), "class": 2, 'a"b\n': "x"}
    assert eval(code.named(odd)) == odd


@pytest.mark.parametrize("framework, name", [("keras", "adadelta"), ("keras", "lamb")])
def test_a_decay_of_another_rule_is_not_brought(framework, name):
    """Keras's is decoupled: with this adadelta it would go 180 times as far."""
    assert "weight_decay" not in snippet(name, framework, weight_decay=0.0).code
    assert snippet(name, framework, weight_decay=0.0).code
    assert snippet(name, framework, weight_decay=1e-6).code == ""
    own = {"learning_rate": 0.01, "weight_decay": 1e-6}
    (theirs,) = [s for s in code.snippets(f"keras.{name}", own) if s.framework == "keras"]
    assert "weight_decay=1e-06" in theirs.code


LONG = 200  # steps, in which a decay or another rule would be seen
NUMBERS = {
    "adadelta": {"weight_decay": 0.05, "decay_biases": False},
    "rmsprop": {"momentum": 0.9},
    "nadamw": {"decay_biases": False},
}


def cases(framework, rules):
    """Each rule with the numbers of its row, and where there are others with these."""
    for name, more in itertools.product(rules, (False, True)):
        given = row(name, **(NUMBERS.get(name, {}) if more else {}))
        given |= {"weight_decay": 0.0} if (framework, name) == ("keras", "lamb") else {}
        (found,) = [s for s in code.snippets(name, given) if s.framework == framework]
        if found.code and (not more or name in NUMBERS):
            yield pytest.param(name, given, id=f"{name}-more" if more else name)


def agree(name, numbers, got):
    """Apart by at most 2 thousandths of the way that was gone."""
    want, begun = studied(name, numbers, LONG), start()
    apart = np.concatenate([(got[key] - want[key]).ravel() for key in want])
    way = np.concatenate([(want[key] - begun[key]).ravel() for key in want])
    assert np.linalg.norm(apart) < 2e-3 * np.linalg.norm(way)


@pytest.mark.live
@pytest.mark.parametrize("name, numbers", list(cases("torch", code.TORCH)))
def test_torch_takes_the_steps_of_the_study(name, numbers):
    import torch

    params = {key: torch.nn.Parameter(torch.tensor(leaf)) for key, leaf in start().items()}
    model = torch.nn.ParameterDict(params)
    (found,) = [s for s in code.snippets(name, numbers) if s.framework == "torch"]
    optimizer = made(found.code, model=model)
    for g in gradients(LONG):
        for key, parameter in model.items():
            parameter.grad = torch.tensor(g[key])
        optimizer.step()
    got = {key: parameter.detach().numpy() for key, parameter in model.items()}
    agree(name, numbers, got)


@pytest.mark.live
@pytest.mark.parametrize("name, numbers", list(cases("keras", code.KERAS)))
def test_keras_takes_the_steps_of_the_study(name, numbers):
    import keras

    (found,) = [s for s in code.snippets(name, numbers) if s.framework == "keras"]
    optimizer = made(found.code)
    variables = [keras.Variable(leaf, name=key) for key, leaf in start().items()]
    for g in gradients(LONG):
        optimizer.apply([keras.ops.convert_to_tensor(x) for x in g.values()], variables)
    agree(name, numbers, dict(zip(start(), map(np.asarray, variables), strict=True)))


@pytest.mark.parametrize("like, name", sorted(code.AS_OPTAX))
def test_the_same_rule_under_another_name_is_offered_to_all(like, name):
    """What is as optax has it, to 1e-12 over 50 steps, has the text of every framework."""
    numbers = {"learning_rate": 0.01} | ({} if name == "sgd" else {"b1": 0.8, "b2": 0.9})
    numbers |= {"weight_decay": 0.1} if name == "adamw" else {}
    with jax.enable_x64(True):
        paths = []
        for how in ({"like": like}, {}):
            tx = getattr(joc, name)(**numbers, **how)
            params = jax.tree.map(np.float64, start())
            state = tx.init(params)
            for g in gradients(50):
                updates, state = tx.update(jax.tree.map(np.float64, g), state, params)
                params = optax.apply_updates(params, updates)
            paths.append(params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), *paths)
    assert all(found.code for found in code.snippets(f"{like}.{name}", numbers))
    ours, plain = (code.snippets(x, numbers) for x in (f"{like}.{name}", name))
    assert [s.code for s in ours if s.framework not in ("joc", like)] == [
        s.code for s in plain if s.framework not in ("joc", like)
    ]
