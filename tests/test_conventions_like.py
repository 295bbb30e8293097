"""like=: one recipe, four conventions; every number of each may be traced."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from long_form import covering, only

from jaxopt_course import optimizers
from jaxopt_course.conventions import CONVENTIONS, REGISTERED, convention, explain, recipes
from jaxopt_course.conventions.compare import (
    _CURVATURE,
    _START,
    DECAYS,
    RULES,
    _pair,
    difference,
)
from jaxopt_course.conventions.odd_values import checked_arguments
from jaxopt_course.conventions.spanish import spanish
from jaxopt_course.optimizers import OPTIMIZERS

PARAMS = {"w": jnp.array([0.5, -1.0, 2.0]), "matrix": jnp.array([[1.0, -0.5]])}
WHOLE = {"ns_steps", "min_dim_size_to_factor", "max_precondition_dim"}  # half of one is none
COUNTED = {"precondition_frequency"}  # whole, and half of it is another
REQUIRED = {"learning_rate": 0.01, "weight_decay": 0.1, "alpha": 5.0}
REQUIRED |= {"b3_warmup": 3.0, "alpha_warmup": 3.0}


def two_steps(tx):
    g = {"w": jnp.array([1.0, -0.3, 0.01]), "matrix": jnp.array([[0.5, 0.1]])}
    state = tx.init(PARAMS)
    for _ in range(2):
        u, state = tx.update(g, state, PARAMS)
    return jnp.concatenate([u["w"], u["matrix"].ravel()])


def numbers(recipe):
    parameters = inspect.signature(recipe).parameters.values()
    found = {
        p.name: p.default
        for p in parameters
        if type(p.default) in (int, float) and p.name not in WHOLE
    }
    return found | {
        p.name: REQUIRED[p.name] for p in parameters if p.default is p.empty and p.name in REQUIRED
    }


COVERING = covering({name: {*numbers(recipe)} for name, recipe in REGISTERED.items()})


DEAR = {"muon", "soap", "radam", "rmsprop", "lars"}  # test_traceability.py has their numbers


@pytest.mark.parametrize("name", only([n for n in COVERING if n not in DEAR], REGISTERED))
def test_every_number_of_every_recipe_may_be_a_column(name):
    recipe, given = REGISTERED[name], numbers(REGISTERED[name])
    need = {
        k: REQUIRED[k]
        for k in given
        if inspect.signature(recipe).parameters[k].default is inspect.Parameter.empty
    }
    for argument, value in given.items():
        other = 0.5 * value + 0.1
        lanes = jnp.array([value, np.floor(other) if argument in COUNTED else other])
        many = jax.vmap(lambda x, k=argument: two_steps(recipe(**{**need, k: x})))(lanes)
        for x, lane in zip(lanes, many, strict=True):
            one = two_steps(recipe(**{**need, argument: float(x)}))
            np.testing.assert_allclose(lane, one, rtol=2e-5, atol=1e-9, err_msg=argument)


@pytest.mark.parametrize("like", CONVENTIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_like_is_the_convention_or_says_who_has_it(name, like):
    recipe = getattr(recipes, name)
    if name not in CONVENTIONS[like]:
        with pytest.raises(ValueError, match=f"{like} has no {name}; it is in: optax"):
            recipe(0.1, like=like)
        return
    parameters = inspect.signature(convention(name, like)).parameters.values()
    extra = {p.name: REQUIRED[p.name] for p in parameters if p.default is p.empty}
    extra.pop("learning_rate", None)
    mine, theirs = recipe(0.1, like=like, **extra), convention(name, like)(0.1, **extra)
    np.testing.assert_array_equal(two_steps(mine), two_steps(theirs))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_like_it_is_the_recipe_itself(name):
    recipe, plain = getattr(recipes, name), getattr(optimizers, name)
    np.testing.assert_array_equal(two_steps(recipe(0.1)), two_steps(plain(0.1)))
    own = list(inspect.signature(plain).parameters)
    assert list(inspect.signature(recipe).parameters) == [*own, "like"]
    assert recipe.__name__ == name and ">>> " in recipe.__doc__ and "like=" in recipe.__doc__


def test_unknown_names_are_named():
    with pytest.raises(ValueError, match="did you mean 'keras'"):
        convention("adam", "kears")
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        convention("adm", "keras")


ENGLISH = re.compile(
    r"\b(the|rate|of|in|on|from|two|what|not|axes|here|then|memory|root|where|used|after|first|so|"
    r"far|with|for|rest|near|always|inside|outside|corrected|uncorrected|none|and|every|elsewhere|"
    r"coupled|decoupled|ratio|own|its|all|numbers|steps|small|largest|rule|weight|argument)\b"
)


def test_no_english_is_left_of_what_explain_can_say():
    said = [*DECAYS.values(), *(rule for rules in RULES.values() for rule in rules.values())]
    assert {
        words: ENGLISH.findall(spanish(words)) for words in said if ENGLISH.search(spanish(words))
    } == {}
    assert all(ENGLISH.search(words) for words in DECAYS.values())


def test_explain_speaks_spanish(capsys):
    found = explain("keras", "torch", optimizer="rmsprop", steps=2, lang="es")
    printed, html = capsys.readouterr().out, found._repr_html_()
    english = found._replace(lang="en")
    names = "|".join(found.arguments)
    for shown, other in ((printed, str(english)), (html, english._repr_html_())):
        assert ENGLISH.findall(re.sub(rf"\b({names})\b|style=.*?>", "", shown)) == []
        assert "la mayor |Δθ| en 2 pasos" in shown and f"{found.own_defaults:.1e}" in shown
        assert "largest |Δθ| in 2 steps" in other
    numbers = [line.split()[-1] for line in printed.splitlines()[-3:]]
    assert [line.split()[-1] for line in str(english).splitlines()[-3:]] == numbers
    starts = {
        line.index(number) for line, number in zip(printed.splitlines()[-3:], numbers, strict=True)
    }
    assert len(starts) == 1


def test_explain_knows_two_languages():
    with pytest.raises(ValueError, match="lang='fr': the languages are 'en' and 'es'"):
        explain("keras", "torch", optimizer="adam", lang="fr")


def test_explain_prints_what_differs_and_by_how_much(capsys):
    found = explain("keras", "torch", optimizer="adam", steps=20)
    text = capsys.readouterr().out
    assert text == f"{found}\n" and "√(1-β2^t)" in text and "decoupled" in text
    assert found.arguments["eps"] == (1e-7, 1e-8)
    assert 1e-7 < found.equal_numbers < 1e-3
    assert explain("keras", "torch", optimizer="momentum", steps=20).equal_numbers < 1e-12
    assert explain("keras", "torch", optimizer="momentum", steps=20).scheduled > 0.01


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["keras"], "torch", "adam", 9), TypeError, "a= is a framework, such as 'keras'; got"),
        (("keras", None, "adam", 9), TypeError, "b= is a framework"),
        (("keras", "torch", jnp.sin, 9), TypeError, "optimizer= is a recipe, such as 'adam'"),
        (
            ("keras", "torch", "adam", 9.5),
            TypeError,
            r"steps= is a whole number; got 9.5 \(float\)",
        ),
        (("keras", "torch", "adam", 0), ValueError, "steps=0: at least 1"),
        (("keras", "tensorflow", "adam", 9), ValueError, "unknown convention 'tensorflow'"),
    ],
)
def test_explain_refuses_odd_values_by_name(arguments, error, message):
    a, b, optimizer, steps = arguments
    with pytest.raises(error, match=message):
        explain(a, b, optimizer=optimizer, steps=steps)
    with pytest.raises(ValueError, match="unknown convention"):
        convention("adam", ["keras"])


@pytest.mark.parametrize("name", sorted(REGISTERED))
def test_help_explains_every_argument(name):
    text = inspect.getdoc(REGISTERED[name])
    for argument in inspect.signature(REGISTERED[name]).parameters:
        assert f"    {argument}: " in text, f"{name}: {argument}"
    assert ">>> " in text and "Args:" in text


# --- what attackers found: arguments at the edge, and of the wrong kind ---


def first_step(tx, g):
    g = jnp.asarray(g)
    return tx.update(g, tx.init(g), g)[0]


@pytest.mark.parametrize("bound", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_a_bound_that_is_not_positive_bounds_nothing(bound):
    """As in Keras 3.15, measured: SGD(1.0, clipnorm=-1.0) moves (3, 4) by (-3, -4)."""
    sgd, g = convention("sgd", "keras"), jnp.array([3.0, 4.0])
    for off in (0, 0.0, -1.0, np.float32(0), np.float64(-1), jnp.array(0.0), jnp.array(-1.0)):
        np.testing.assert_array_equal(first_step(sgd(1.0, **{bound: off}), g), -g)
    step = lambda c: first_step(sgd(1.0, **{bound: c}), g)
    lanes = jax.jit(jax.vmap(step))(jnp.array([0.0, -1.0, 2.5]))
    np.testing.assert_array_equal(lanes[:2], [-g, -g])
    np.testing.assert_allclose(lanes[2], step(2.5), rtol=1e-6)
    assert (step(2.5) > -g).any()
    assert np.isfinite(jax.grad(lambda c: step(c).sum())(0.0))


@pytest.mark.parametrize("name", ["lamb", "adafactor", "schedule_free_adamw"])
def test_keras_s_decay_that_comes_first_is_one_rule(name):
    """θ ← (1 - η λ) θ, and then the step without a decay from there, whatever else is handed on."""
    make, rates = convention(name, "keras"), {"learning_rate": 0.1, "weight_decay": 0.5}
    decayed, plain = make(**rates), make(0.1)
    params, g = jnp.array([2.0, -1.0]), jnp.array([0.3, 0.7])
    u, state = decayed.update(g, decayed.init(params), params, value=1.0)
    nearer = 0.95 * params
    step, _ = plain.update(g, plain.init(params), nearer)
    np.testing.assert_allclose(params + u, nearer + step, rtol=1e-6)
    assert type(state[1]).__name__ == "DecayedFirstState"
    with pytest.raises(ValueError, match="a weight decay needs the parameters"):
        decayed.update(g, decayed.init(params))


@pytest.mark.parametrize("on", [True, np.bool_(True), 1, jnp.array(True)])
def test_every_true_is_true(on):
    sgd = convention("sgd", "torch")
    with pytest.raises(ValueError, match="nesterov needs a momentum and no dampening"):
        sgd(1.0, nesterov=on)
    with pytest.raises(ValueError, match="nesterov needs a momentum and no dampening"):
        sgd(1.0, 0.9, dampening=0.5, nesterov=on)
    np.testing.assert_array_equal(first_step(sgd(1.0, 0.5, nesterov=on), 4.0), -6.0)
    np.testing.assert_array_equal(first_step(sgd(1.0, maximize=on), 4.0), 4.0)


@pytest.mark.parametrize(
    ("name", "like", "arguments", "error", "message"),
    [
        ("sgd", "torch", {"nesterov": "no"}, TypeError, "nesterov= is True or False; got 'no'"),
        ("sgd", "torch", {"maximize": "no"}, TypeError, "maximize= is True or False"),
        ("adam", "torch", {"amsgrad": None}, TypeError, "amsgrad= is True or False; got None"),
        ("rmsprop", "keras", {"centered": "yes"}, TypeError, "centered= is True or False"),
        ("adam", "keras", {"learning_rate": None}, TypeError, "learning_rate= .*leave it out for"),
        ("adam", "paper", {"learning_rate": "0.1"}, TypeError, "learning_rate= .*; got '0.1'"),
        ("sgd", "paper", {"learning_rate": None}, TypeError, "learning_rate= is a number or a"),
        ("adam", "torch", {"eps": "1e-8"}, TypeError, "eps= is a number; got '1e-8'"),
        ("adam", "torch", {"weight_decay": None}, TypeError, "weight_decay= .*leave it out for 0"),
        ("adam", "torch", {"b1": -0.1}, ValueError, "b1=-0.1: the share that is kept is in"),
        ("adam", "keras", {"b2": np.float32(1.5)}, ValueError, "b2=1.5"),
        ("rmsprop", "paper", {"decay": float("nan")}, ValueError, "decay=nan"),
        ("nesterov", "keras", {"momentum": 2}, ValueError, "momentum=2"),
    ],
)
def test_arguments_of_the_wrong_kind_are_named(name, like, arguments, error, message):
    with pytest.raises(error, match=message):
        convention(name, like)(**arguments)


def test_a_sum_may_keep_all_and_a_dampening_may_be_negative():
    """As torch's: m ← 1 m + 1.5 g."""
    tx = convention("sgd", "torch")(1.0, 1.0, dampening=-0.5)
    g = jnp.array(4.0)
    _, state = tx.update(g, tx.init(g), g)
    assert tx.update(g, state, g)[0] == -(4 + 1.5 * 4)
    assert convention("momentum", "keras")(1.0, momentum=None).init(g) is not None


def test_without_a_convention_the_number_is_named_too():
    def step(tx):
        return first_step(tx, 1.0)

    for value in ("0.1", None, 1j, [0.1]):
        with pytest.raises(TypeError, match="a hyperparameter must be a number, not"):
            step(optimizers.adam(0.1, eps=value))
    for b1 in (-0.1, 1.5, np.float64(2), float("nan")):
        with pytest.raises(ValueError, match=r"a decay .* must be in \[0, 1\], not"):
            step(optimizers.adam(0.1, b1=b1))
        with pytest.raises(ValueError, match=r"a decay .* must be in \[0, 1\], not"):
            step(optimizers.sgd(0.1, momentum=b1))
    with pytest.raises(TypeError, match="a switch must be True or False, not 'yes'"):
        step(optimizers.sgd(0.1, momentum=0.9, nesterov="yes"))
    assert step(optimizers.sgd(1.0, momentum=1.0)) == -1


def three_steps(tx, jitted):
    update = jax.jit(tx.update) if jitted else tx.update
    params, state = PARAMS, tx.init(PARAMS)
    for _ in range(3):
        g = {"w": jnp.array([0.3, -2.0, 1e-6]), "matrix": jnp.array([[0.5, 0.1]])}
        u, state = update(g, state, params)
        params = jax.tree.map(jnp.add, params, u)
    return params["w"]


INJECTED = ["torch.adagrad", "keras.adamax", "paper.adamax", "keras.momentum", "torch.nesterov"]
INJECTED += ["optax.adopt"]  # whose bound is a function, of which optax makes a number


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("name", INJECTED)
def test_a_convention_keeps_its_defaults_inside_inject_hyperparams(name, jitted):
    like, name = name.split(".")
    recipe = getattr(recipes, name)
    right = three_steps(recipe(0.1, like=like), jitted=False)
    injected = optax.inject_hyperparams(recipe)(0.1, like=like)
    np.testing.assert_allclose(three_steps(injected, jitted), right, rtol=2e-6)
    injected = optax.inject_hyperparams(convention(name, like))(0.1)
    np.testing.assert_allclose(three_steps(injected, jitted), right, rtol=2e-6)


def test_the_arguments_that_like_binds_are_the_framework_s():
    bound = inspect.signature(recipes.adam).bind(0.1, like="torch")
    bound.apply_defaults()
    assert bound.arguments["maximize"] is False and "mu_dtype" not in bound.arguments
    assert "mu_dtype" in inspect.signature(recipes.adam).parameters
    with pytest.raises(TypeError, match="mu_dtype"):
        inspect.signature(recipes.adam).bind(0.1, like="torch", mu_dtype=None)


# torch 2.13 in float64 from (2, -1), η = 0.1 (Adadelta: 1), λ = 0.5, climbing
CLIMBED = {
    "adam": (0.1, [2.0, -1.0999999996], [1.9146258171021433, -1.1191092518515395]),
    "adagrad": (0.1, [2.0, -1.099999999996], [1.9573462344397452, -1.000057396485637]),
    "radam": (0.1, [2.0, -1.25], [1.9095940959409594, -1.2698339483394834]),
    "adadelta": (1.0, [2.0, -1.0031622751303493], [1.9994117390893487, -0.9984924800539994]),
}


@pytest.mark.parametrize("name", CLIMBED)
def test_climbing_in_torch_turns_the_gradient_and_not_the_decay(name):
    rate, first, last = CLIMBED[name]
    with jax.enable_x64(True):
        w = jnp.array([2.0, -1.0])
        tx = convention(name, "torch")(rate, maximize=True, weight_decay=0.5)
        state, path = tx.init(w), []
        for g in ([1.0, -3.0], [-0.5, 0.25], [2.0, 2.0]):
            u, state = tx.update(jnp.array(g), state, w)
            w = w + u
            path.append(w)
        np.testing.assert_allclose([path[0], path[2]], [first, last], rtol=1e-13)


def test_two_rules_that_are_one_are_said_once():
    assert _pair("rule", ("a", "b"), ("x", "x")) == ["rule: the same, x"]
    assert _pair("rule", ("a", "b"), ("x", "y")) == ["rule:", "  a      x", "  b      y"]


def test_an_argument_that_is_free_hides_no_other():
    def recipe(learning_rate=0.1, mask=None, nesterov=False): ...

    of = inspect.signature(recipe)
    assert checked_arguments(of, {"mask": None, "nesterov": 1})["nesterov"] is True
    with pytest.raises(TypeError, match="nesterov= is True or False"):
        checked_arguments(of, {"mask": None, "nesterov": "yes"})


def test_own_defaults_are_each_one_s_own_and_all_arguments_are_there():
    """One step of plain descent, θ - η c θ on each axis: the gap is that of the rates."""
    found = difference("keras", "torch", optimizer="sgd", steps=1)
    keras, torch = (inspect.signature(convention("sgd", like)).parameters for like in found[1])
    rates = [one["learning_rate"].default for one in (keras, torch)]
    assert rates == [0.01, 0.001]
    gap = np.abs((rates[0] - rates[1]) * _CURVATURE * _START).max()
    assert found.own_defaults == pytest.approx(gap, rel=1e-12)
    assert found.arguments["learning_rate"] == (0.01, 0.001)
    assert found.arguments["dampening"] == ("—", torch["dampening"].default)
    assert found.arguments["clipnorm"] == (keras["clipnorm"].default, "—")


@pytest.mark.parametrize("like", ["keras", "torch", "paper"])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 3)])
def test_a_matrix_of_nothing_leaves_no_nan_in_adafactor(like, shape):
    """A mean over no rows is 0 / 0: NaN in the memory, an error under jax_debug_nans."""
    w = {"w": jnp.ones((2, 3))}
    tx, with_nothing = recipes.adafactor(0.1, like=like), {**w, "of nothing": jnp.zeros(shape)}
    alone, _ = tx.update(w, tx.init(w), w)
    with jax.debug_nans(True):
        u, state = tx.update(with_nothing, tx.init(with_nothing), with_nothing)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    np.testing.assert_array_equal(u["w"], alone["w"])
    assert u["of nothing"].shape == shape
