"""Learners' functions are run beside the library, and their mistakes are named."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from long_form import every, put

from jaxopt_course.course import check, exercise
from jaxopt_course.course.mistakes import RECIPES, known_mistakes
from jaxopt_course.course.paths import deviation, library_path, run
from jaxopt_course.course.recipe import update_of

EACH = pytest.mark.parametrize("name", RECIPES)


# --- right solutions, as learners write them ---


def sgd(g, state, w, t, *, learning_rate):
    return w - learning_rate * g, state


def momentum(g, state, w, t, *, learning_rate, momentum):
    v = momentum * state["m"] - g  # the other sign, the same path
    return w + learning_rate * v, {"m": v}


def ema_momentum(g, state, w, t, *, learning_rate, decay):
    state["m"] += (1 - decay) * (g - state["m"])  # in place
    w -= learning_rate * state["m"]
    return w, state


def nesterov(g, state, w, t, *, learning_rate, momentum):
    m = momentum * state["m"] + g
    return w - learning_rate * g - learning_rate * momentum * m, {"m": m}


def adagrad(g, state, w, t, *, learning_rate, eps):
    total = state["S"] + g**2
    return w - learning_rate * g * (total + eps) ** -0.5, {"S": total}


def rmsprop(g, state, w, t, **h):
    v = h["decay"] * state["v"] + (1 - h["decay"]) * jnp.square(g)
    return w - h["learning_rate"] * g / jnp.sqrt(v + h["eps"]), {"v": v}


def adadelta(g, state, w, t, *, learning_rate, rho, eps):
    mean = lambda old, new: rho * old + (1 - rho) * new
    v = mean(state["v"], g**2)
    u = np.sqrt((state["x"] + eps) / (v + eps)) * g
    return w - learning_rate * u, {"x": mean(state["x"], u**2), "v": v}


@jax.jit
def adam(g, state, w, t, *, learning_rate, b1, b2, eps):
    m = b1 * state["m"] + (1 - b1) * g
    v = b2 * state["v"] + (1 - b2) * g**2
    m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
    return w - learning_rate * m_hat / (jnp.sqrt(v_hat) + eps), {"m": m, "v": v}


def adamw(g, state, w, t, *, weight_decay, learning_rate, **h):
    pulled = (1 - learning_rate * weight_decay) * w  # as PyTorch writes it
    return adam(g, state, pulled, t, learning_rate=learning_rate, **h)


def adamax(g, state, w, t, *, learning_rate, b1, b2, eps):
    m = b1 * state["m"] + (1 - b1) * g
    v = np.maximum(b2 * state["v"], np.abs(g) + eps)
    return w - learning_rate / (1 - b1**t) * m / v, {"m": m, "v": v}


# --- wrong ones: (function, names of its mistakes) ---


def adam_by(
    hats=True,
    eps_in=False,
    decay=lambda w: 0.0,
    ahead=0,
    sign=-1,
    swap=False,
    correct=lambda b, t: 1 - b**t,
):
    def update(g, state, w, t, *, learning_rate, b1, b2, eps, weight_decay=0.0):
        if swap:
            b1, b2 = b2, b1
        m, v = b1 * state["m"] + (1 - b1) * g, b2 * state["v"] + (1 - b2) * g**2
        n = t + ahead
        c1, c2 = (correct(b1, n), correct(b2, n)) if hats else (1, 1)
        size = np.sqrt(v / c2 + eps) if eps_in else np.sqrt(v / c2) + eps
        step = m / c1 / size + weight_decay * decay(w)
        return w + sign * learning_rate * step, {"m": m, "v": v}

    return update


def coupled(factor):
    def update(g, state, w, t, *, weight_decay, **h):
        return adam(g + factor * weight_decay * w, state, w, t, **h)

    return update


def adamax_without_eps(g, state, w, t, *, learning_rate, b1, b2, eps):
    return adamax(g, state, w, t, learning_rate=learning_rate, b1=b1, b2=b2, eps=0.0)


def adamax_by_adam(g, state, w, t, *, learning_rate, b1, b2, eps):
    m = b1 * state["m"] + (1 - b1) * g
    v = np.maximum(b2 * state["v"], np.abs(g) + eps)
    return w - learning_rate * (m / (1 - b1**t)) / (v / (1 - b2**t)), {"m": m, "v": v}


def rmsprop_by(entry=lambda g, rho: (1 - rho) * g**2, size=lambda v, e: np.sqrt(v + e), sign=-1):
    def update(g, state, w, t, *, learning_rate, decay, eps):
        v = decay * state["v"] + entry(g, decay)
        return w + sign * learning_rate * g / size(v, eps), {"v": v}

    return update


def adagrad_by(size, keep=True):
    def update(g, state, w, t, *, learning_rate, eps):
        total = state["S"] + g**2
        return w - learning_rate * g / size(total, eps), {"S": total} if keep else state

    return update


def adadelta_by(above=lambda x, e: np.sqrt(x + e), scale=1.0, rho=None):
    def update(g, state, w, t, *, learning_rate, eps, rho=rho, **unused):
        rho = unused.get("fixed", rho)
        v = rho * state["v"] + (1 - rho) * g**2
        u = scale * g * above(state["x"], eps) / np.sqrt(v + eps)
        x = rho * state["x"] + (1 - rho) * u**2
        return w - learning_rate * u, {"v": v, "x": x}

    return update


def memory_by(entry, step, name):
    def update(g, state, w, t, *, learning_rate, **h):
        m = h[name] * state["m"] + entry(g, h[name])
        return w - learning_rate * step(g, m, h[name]), {"m": m}

    return update


def stored(memory):
    """RMSProp with another line of its memory."""

    def update(g, state, w, t, *, learning_rate, decay, eps):
        v = memory(state["v"], g, w, t, decay)
        return w - learning_rate * g / np.sqrt(v + eps), {"v": v}

    return update


def adadelta_of_the_new_x(g, state, w, t, *, learning_rate, rho, eps):
    v = rho * state["v"] + (1 - rho) * g**2
    u = np.sqrt((state["x"] + eps) / (v + eps)) * g
    x = rho * state["x"] + (1 - rho) * u**2
    return w - learning_rate * np.sqrt((x + eps) / (v + eps)) * g, {"v": v, "x": x}


def adamax_of(memory):
    """Adamax with another line of v."""

    def update(g, state, w, t, *, learning_rate, b1, b2, eps):
        m = b1 * state["m"] + (1 - b1) * g
        v = memory(state["v"], g, b2, eps)
        return w - learning_rate * m / (1 - b1**t) / v, {"m": m, "v": v}

    return update


def adam_of(entry):
    """Adam with something else in v."""

    def update(g, state, w, t, *, learning_rate, b1, b2, eps):
        m = b1 * state["m"] + (1 - b1) * g
        v = b2 * state["v"] + (1 - b2) * entry(g, m)
        size = np.sqrt(v / (1 - b2**t)) + eps
        return w - learning_rate * m / (1 - b1**t) / size, {"m": m, "v": v}

    return update


WRONG = [
    ("sgd", lambda g, state, w, t, *, learning_rate: (w + learning_rate * g, state), ["sign"]),
    ("sgd", lambda g, state, w, t, *, learning_rate: (w - g, state), ["no_rate"]),
    ("sgd", lambda g, s, w, t, *, learning_rate: (w - 2 * learning_rate * g, s), ["twice"]),
    ("sgd", lambda g, s, w, t, *, learning_rate: (w - 0.01 * g, s), ["fixed_learning_rate"]),
    (
        "momentum",
        memory_by(lambda g, b: (1 - b) * g, lambda g, m, b: m, "momentum"),
        ["m_is_a_mean"],
    ),
    (
        "momentum",
        memory_by(lambda g, b: g, lambda g, m, b: g + b * m, "momentum"),
        ["nesterov"],
    ),
    (
        "momentum",  # erratum E1 of the notes
        lambda g, state, w, t, *, learning_rate, momentum: (
            momentum * w - momentum * state["m"] - learning_rate * g,
            {"m": momentum * state["m"] + learning_rate * g},
        ),
        ["parameters_shrink"],
    ),
    ("ema_momentum", memory_by(lambda g, b: g, lambda g, m, b: m, "decay"), ["m_is_a_sum"]),
    (
        "ema_momentum",
        lambda g, state, w, t, *, learning_rate, decay: (
            w - learning_rate * (decay * g + (1 - decay) * state["m"]),
            {"m": decay * g + (1 - decay) * state["m"]},
        ),
        ["m_weights_swapped"],
    ),
    ("nesterov", memory_by(lambda g, b: g, lambda g, m, b: m, "momentum"), ["heavy_ball"]),
    (
        "nesterov",
        memory_by(lambda g, b: g, lambda g, m, b: g + m, "momentum"),
        ["look_ahead_undamped"],
    ),
    ("adagrad", adagrad_by(lambda S, e: np.sqrt(S) + e), ["eps_outside"]),
    ("adagrad", adagrad_by(lambda S, e: S + e), ["no_root"]),
    ("adagrad", adagrad_by(lambda S, e: np.sqrt(S + e), keep=False), ["forgets_S"]),
    ("rmsprop", rmsprop_by(size=lambda v, e: np.sqrt(v) + e), ["eps_outside"]),
    ("rmsprop", rmsprop_by(entry=lambda g, rho: g**2), ["v_is_a_sum"]),
    ("rmsprop", rmsprop_by(size=lambda v, e: np.sqrt(v + 1e-8)), ["fixed_eps"]),
    (
        "rmsprop",
        rmsprop_by(size=lambda v, e: np.sqrt(v) + e, sign=1),
        ["eps_outside", "sign"],
    ),
    ("adadelta", adadelta_by(above=lambda x, e: 1.0), ["rmsprop"]),
    ("adadelta", adadelta_by(above=lambda x, e: np.sqrt(x)), ["no_eps_above"]),
    ("adam", adam_by(hats=False), ["uncorrected"]),
    ("adam", adam_by(ahead=1), ["exponent_ahead"]),
    ("adam", adam_by(ahead=-1), ["exponent_behind"]),
    ("adam", adam_by(eps_in=True), ["eps_inside"]),
    ("adam", adam_by(swap=True), ["decays_swapped"]),
    ("adam", adam_by(hats=False, sign=1), ["uncorrected", "sign"]),
    ("adamw", adam_by(decay=lambda w: 2 * w), ["decay_twice"]),
    ("adamw", coupled(1), ["decay_coupled"]),
    ("adamw", coupled(2), ["decay_coupled_twice"]),
    # one memory, two rates; a sum where the step is g; b1 as a constant, at its value here
    (
        "momentum",
        lambda g, s, w, t, *, learning_rate, momentum: (
            w - learning_rate * (momentum * s["m"] + learning_rate * g),
            {"m": momentum * s["m"] + learning_rate * g},
        ),
        ["rate_twice"],
    ),
    ("momentum", memory_by(lambda g, b: g, lambda g, m, b: g, "momentum"), ["forgets_m"]),
    ("nesterov", memory_by(lambda g, b: g, lambda g, m, b: g, "momentum"), ["no_memory"]),
    ("rmsprop", rmsprop_by(entry=lambda g, rho: ((1 - rho) * g) ** 2), ["v_factor_squared"]),
    (
        "rmsprop",
        lambda g, s, w, t, *, learning_rate, decay, eps: (
            w - learning_rate * g / np.sqrt(decay * s["v"] + (1 - decay) * g**2) + eps,
            {"v": decay * s["v"] + (1 - decay) * g**2},
        ),
        ["eps_added_to_w"],
    ),
    ("adadelta", lambda g, s, w, t, *, learning_rate, **h: (w, s), ["no_eps_above"]),
    ("adam", lambda g, s, w, t, **h: adam(g, s, w, t, **h | {"b1": 0.8}), ["fixed_b1"]),
    ("adam", lambda g, s, w, t, **h: (w, adam(g, s, w, t, **h)[1]), ["unchanged"]),
    ("adam", adam_by(correct=lambda b, t: 1 - b * t), ["v_product"]),
    ("adam", adam_by(correct=lambda b, t: 1 - b), ["no_exponent"]),
    ("sgd", lambda g, s, w, t, *, learning_rate: (w - learning_rate**2 * g, s), ["rate_twice"]),
    ("rmsprop", lambda g, s, w, t, **h: rmsprop(g, {"v": 0 * g}, w, t, **h), ["forgets_v"]),
    (
        "rmsprop",
        lambda g, s, w, t, *, learning_rate, eps, **h: (
            w - learning_rate * g / np.sqrt(g**2 + eps),
            {"v": g**2},
        ),
        ["v_without_past"],
    ),
    ("adamax", adamax_without_eps, ["no_eps"]),
    (
        "rmsprop",
        lambda g, s, w, t, *, learning_rate, decay, eps: (
            w - learning_rate * g * np.sqrt(decay * s["v"] + (1 - decay) * g**2 + eps),
            {"v": decay * s["v"] + (1 - decay) * g**2},
        ),
        ["root_multiplied"],
    ),
    ("rmsprop", stored(lambda v, g, w, t, rho: rho * v + 1 - rho * g**2), ["v_parentheses"]),
    (
        "rmsprop",
        stored(lambda v, g, w, t, rho: (rho * v + (1 - rho) * g**2) / (1 - rho**t)),
        ["corrected_kept"],
    ),
    (
        "rmsprop",
        stored(lambda v, g, w, t, rho: rho * v + (1 - rho) * np.mean(g**2)),
        ["v_averaged"],
    ),
    (
        "rmsprop",
        stored(lambda v, g, w, t, rho: rho * v + (1 - rho) * np.square(w)),
        ["v_of_parameters"],
    ),
    ("adadelta", adadelta_of_the_new_x, ["new_x"]),
    (
        "adamax",
        adamax_of(lambda v, g, b2, e: b2 * v + (1 - b2) * (abs(g) + e)),
        ["v_is_a_mean_of_both"],
    ),
    ("adam", adam_of(lambda g, m: (g - m) ** 2), ["belief"]),
    ("adamax", adamax_by_adam, ["v_corrected"]),
]


@EACH
def test_a_right_solution_passes(name, capsys):
    assert check(name, globals()[name])
    assert f"✓ {name}: 20 pasos y 3 hojas" in capsys.readouterr().out


@EACH
def test_the_lines_of_the_blackboard_are_the_library(name):
    path = run(RECIPES[name], update_of(RECIPES[name]))[0]
    assert deviation(path, library_path(name)) < 1e-12


@pytest.mark.parametrize(
    "name", [*every(2, [name for name in RECIPES if name != "adamw"]), put("adamw", False)]
)
def test_every_known_mistake_is_told_from_all_others(name):
    recipe = RECIPES[name]
    for mistake in known_mistakes(recipe):
        verdict = check(name, update_of(recipe, mistake), quiet=True)
        assert not verdict and verdict.mistakes == (mistake.name,), verdict.message
        assert mistake.words.split()[0] in verdict.message


@pytest.mark.parametrize("name, update, mistakes", WRONG)
def test_wrong_solutions_are_diagnosed(name, update, mistakes):
    verdict = check(name, update, quiet=True)
    assert not verdict and list(verdict.mistakes) == mistakes, verdict.message
    assert verdict.step >= 1 and f"paso {verdict.step}, hoja «{verdict.leaf}»" in str(verdict)


def test_there_are_two_wrong_solutions_of_each():
    for name in RECIPES:
        assert sum(row[0] == name for row in WRONG) >= 2


@EACH
def test_a_skeleton_is_told_to_be_one_without_the_answer(name):
    verdict = check(name, lambda g, state, w, t, **h: (w, state), quiet=True)
    assert not verdict and "todavía no hace nada" in verdict.message
    assert "learning_rate" not in verdict.message and "hace lo mismo" not in verdict.message
    still = check(name, lambda g, state, w, t, **h: (w, {m: x + 1 for m, x in state.items()}),
                  quiet=True)  # fmt: skip
    assert ("todavía" in still.message) == (not RECIPES[name].memories)


def test_the_first_wrong_step_and_leaf():
    """Right until the third step, and there wrong in the second leaf only."""

    def update(g, state, w, t, *, learning_rate):
        w = w - learning_rate * g
        return (w + 1e-6 if t == 3 and w.shape == (3,) else w), state

    verdict = check("sgd", update, quiet=True)
    assert (verdict.step, verdict.leaf, verdict.mistakes) == (3, "b", ())
    assert "ninguno de los errores conocidos" in verdict.message


def test_float32_passes_and_is_diagnosed():
    half = lambda update: (
        lambda g, s, w, t, **h: (lambda pair: (pair[0].astype(np.float32), pair[1]))(
            update(g, s, w, t, **h)
        )
    )
    assert check("adam", half(adam), quiet=True)
    assert check("adam", half(adam_by(eps_in=True)), quiet=True).mistakes == ("eps_inside",)


def test_a_float32_on_the_way_is_no_mistake():
    """In a memory it shows; in the gradient it does not, and is told from a wrong formula."""

    def rounded(g, state, w, t, **h):
        w, state = rmsprop(g, state, w, t, **h)
        return w, {"v": np.float32(state["v"])}

    assert check("rmsprop", rounded, quiet=True)
    hidden = lambda g, state, w, t, **h: rmsprop(np.float32(g), state, w, t, **h)
    verdict = check("rmsprop", hidden, quiet=True)
    assert not verdict and "la fórmula está bien" in " ".join(verdict.message.split())
    assert "errores conocidos" not in verdict.message and verdict.mistakes == ()
    theirs, right = re.search(r"sale\s+(\S+) y\s+debería salir (\S+)\.", verdict.message).groups()
    assert theirs != right


def test_constants_at_the_values_of_the_exercise_do_not_pass():
    own = RECIPES["adam"].numbers
    verdict = check("adam", lambda g, s, w, t, **h: adam(g, s, w, t, **own), quiet=True)
    assert not verdict and verdict.leaf == "b" and "escrito como constante" in verdict.message


def test_clipped_gradients_do_not_pass():
    clipped = lambda g, s, w, t, **h: sgd(np.clip(g, -5, 5), s, w, t, **h)
    assert check("sgd", clipped, quiet=True).step == 9


def test_where_all_is_nan_nothing_is_certain():
    """Many things make NaN of all; no two mistakes are accused, and one not without a doubt."""

    def negative(g, state, w, t, *, learning_rate, b1, b2, eps):
        m, v = b1 * state["m"] + (1 - b1) * g, b2 * state["v"] + (1 - b2) * g**2
        return w - learning_rate * m / np.sqrt(-v), {"m": m, "v": v}

    verdict = check("adam", negative, quiet=True)
    assert len(verdict.mistakes) < 2 and "raíz de un" in verdict.message
    behind = check("adam", adam_by(ahead=-1), quiet=True)
    assert "también puede ser otra división" in behind.message


def test_clues_say_which_memory_is_right():
    def update(g, state, w, t, *, learning_rate, b1, b2, eps):
        m, v = b1 * state["m"] + (1 - b1) * g, b2 * state["v"] + g
        return w - learning_rate * np.log(m) / v, {"m": m, "v": v}

    verdict = check("adam", update, quiet=True)
    assert "La memoria m está bien" in verdict.message
    assert "La memoria v no está bien" in verdict.message and "NaN" in verdict.message


def raises(g, state, w, t, *, learning_rate, decay, eps):
    return w, state["s"]


def unassigned(g):
    v = v + g  # noqa: F821
    return v


UNFIT = {
    "«return w, state»": lambda g, state, w, t, **h: None,
    "devuelve 3 valores": lambda g, state, w, t, **h: (w, state, t),
    "devuelve uno solo": lambda g, state, w, t, **h: w,
    "están cambiados": lambda g, state, w, t, **h: (state, w),
    "diccionario state, y es ndarray": lambda g, state, w, t, **h: (w, state["v"]),
    "tiene 'm', y debe tener 'v'": lambda g, state, w, t, **h: (w, {"m": w}),
    "tiene 'v', 'm', y debe tener 'v'": lambda g, state, w, t, **h: (w, {"v": w, "m": w}),
    "state['v'] debe tener la forma": lambda g, state, w, t, **h: (w, {"v": g.sum()}),
    "w debe tener la forma": lambda g, state, w, t, **h: (w[0], state),
    "w debe ser una matriz de números": lambda g, state, w, t, **h: ("w", state),
    "KeyError: 's'": raises,
    "def my_update(g, state, w, t, *, learning_rate, decay, eps):": lambda g, w: (w, {}),
    "sin paréntesis": 3,
    "no se cambia por partes": lambda g, state, w, t, **h: jnp.asarray(w).__setitem__(0, 1),
    "usa las de NumPy (np.sqrt)": lambda g, state, w, t, **h: (w - math.sqrt(g), state),
    "se escribe con dos asteriscos, g**2": lambda g, state, w, t, **h: (w - g ^ 2, state),
    "es np.maximum(a, b), no max(a, b)": lambda g, state, w, t, **h: (max(g, w), state),
    "se leen con corchetes, state['nombre']": lambda g, state, w, t, **h: (w, state.v),
    "quita jit": jax.jit(lambda g, state, w, t, **h: (w, state) if t == 1 else w),
    "están en otro orden, (w, g, state, t)": lambda w, g, state, t, **h: (w - g, state),
    "Los hiperparámetros se llaman learning_rate, decay, eps": lambda g, s, w, t, **h: h["lr"],
    "empieza con v = state['v']": lambda g, state, w, t, **h: unassigned(g),
    "terminar con return, sin yield": lambda g, state, w, t, **h: (yield w, state),
    "No devuelve nada": lambda g, state, w, t, **h: ...,
    "está vacío, y debe tener 'v'": lambda g, state, w, t, **h: (w, {}),
    "w es de tipo float16": lambda g, state, w, t, **h: (np.float16(w), state),
    "números reales, y es de tipo complex128": lambda g, state, w, t, **h: (w + 0j, state),
    "Se leen con corchetes, state['nombre']": lambda g, state, w, t, **h: (
        h["eps"] * next(iter(state)),
        state,
    ),
    "Las memorias se leen con corchetes": lambda g, state, w, t, **h: (
        g * next(iter(state)),
        state,
    ),
    "vale NumPy y JAX": lambda g, state, w, t, **h: (__import__("no_such_module"), state),
    "Los argumentos se llaman": lambda g, state, w, t, **h: (W, state),  # noqa: F821
}


@pytest.mark.parametrize("words", UNFIT)
def test_what_cannot_be_run_is_said_in_words(words, capsys):
    verdict = check("rmsprop", UNFIT[words])
    message = " ".join(capsys.readouterr().out.split())
    assert not verdict and words in message and "✗ rmsprop: no se puede comprobar" in message


def test_a_verdict_is_short_where_a_notebook_shows_it():
    verdict = check("momentum", lambda g, s, w, t, **h: (w + 1, s), quiet=True)
    assert repr(verdict) == "Verdict('momentum', False)" and "\n" in str(verdict)


def test_two_mistakes_are_told_only_where_the_memories_agree():
    """The same path as of m_is_a_sum and forgets_m, but m is right."""

    def update(g, state, w, t, *, learning_rate, b1, b2, eps):
        _, s = adam(g, state, w, t, learning_rate=learning_rate, b1=b1, b2=b2, eps=eps)
        size = np.sqrt(s["v"] / (1 - b2**t)) + eps
        return w - 3 * learning_rate * g / (1 - b1**t) / size, s

    assert len(check("adam", update, quiet=True).mistakes) < 2


def test_a_step_that_is_a_multiple_is_said():
    verdict = check("sgd", lambda g, s, w, t, *, learning_rate: (w - 3 * learning_rate * g, s))
    assert "3 veces el correcto" in verdict.message and "línea que renueva w" in verdict.message


def test_the_line_that_raised_is_shown():
    verdict = check("rmsprop", raises, quiet=True)
    assert 'return w, state["s"]' in verdict.message and isinstance(verdict.error, KeyError)
    assert (verdict.step, verdict.leaf) == (1, "W")
    assert "Las memorias de state son: 'v'" in verdict.message


@pytest.mark.parametrize("name", ["Adam", " ADAM ", "adam"])
def test_an_exercise_may_have_its_proper_name(name, capsys):
    assert check(name, adam)
    assert "✓ adam: " in capsys.readouterr().out
    exercise(name)
    assert "Ejercicio «adam»" in capsys.readouterr().out


def lettered(name, letters):
    """The right update, its memories by other letters in and out."""
    right = update_of(RECIPES[name])
    there = dict(zip(RECIPES[name].memories, letters, strict=True))

    def update(g, state, w, t, **numbers):
        w, made = right(g, {ours: state[there[ours]] for ours in there}, w, t, **numbers)
        return w, {there[ours]: memory for ours, memory in made.items()}

    return update


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("momentum", "v"),
        ("ema_momentum", "v"),
        ("nesterov", "v"),
        ("adagrad", "v"),
        ("rmsprop", "S"),
        ("adadelta", "SX"),
        ("adadelta", "Sx"),
        ("adamax", "mu"),
    ],
)
def test_memories_may_have_the_letters_of_the_lessons(name, letters):
    verdict = check(name, lettered(name, letters), quiet=True)
    assert verdict, verdict.message


def test_a_letter_of_no_lesson_is_refused_by_name():
    verdict = check("adamax", lettered("adamax", "mz"), quiet=True)
    assert isinstance(verdict.error, KeyError)
    assert "Las memorias de state son: 'm', 'v'" in " ".join(verdict.message.split())


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (lambda g, state, w, t, *, lr, decay, eps: (w, state), "llamas lr a lo que aquí es learn"),
        (lambda g, state, w, t, *, lr, rho, eps: (w, state), "falta learning_rate, decay y sobra"),
        (lambda g, w: (w, {}), "falta state, t, learning_rate, decay, eps"),
        (lambda g, state, w, t, decay, eps: (w, state), "falta learning_rate."),
    ],
)
def test_arguments_are_called_what_they_are_called(update, words):
    verdict = check("rmsprop", update, quiet=True)
    message = " ".join(verdict.message.split())
    assert words in message and "missing" not in message and "argument:" not in message


def test_an_unknown_exercise_is_named():
    with pytest.raises(ValueError, match="¿querías decir «adam»"):
        check("adm", sgd)
    with pytest.raises(ValueError, match="¿querías decir «rmsprop»"):
        exercise("RMSPropp")
    with pytest.raises(ValueError, match="el primer argumento es el nombre"):
        check(sgd, "sgd")


@EACH
def test_the_statement_shows_the_signature(name, capsys):
    exercise(name)
    statement = capsys.readouterr().out
    assert "learning_rate" in statement and f'check("{name}", my_update)' in statement
    assert all(f"'{memory}'" in statement for memory in RECIPES[name].memories)
