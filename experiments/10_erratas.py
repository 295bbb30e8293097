# %% [markdown]
# # 10. Erratas de los apuntes
#
# Toda fórmula de los apuntes puede ejecutarse, y ejecutarla es la forma más corta de saber si está
# bien escrita. Aquí cada errata es un experimento con tres números:
#
# - lo que da la fórmula **impresa**;
# - lo que da la fórmula **correcta**;
# - la **verdad**, que viene siempre de otra parte: la biblioteca, `jax.grad`, una solución cerrada.
#
# Se exige que la correcta coincida con la verdad hasta $10^{-12}$ y que la impresa se aparte de
# ella en más de un uno por ciento (o que no llegue a ejecutarse). De esos experimentos sale, al
# final, la tabla: nada en ella está escrito a mano salvo las fórmulas.
#
# Los lugares se dan como *apunte:línea*: 000 (notas de Keras), 001 (Richaud), 002 (CIF-8458), 003
# (Aprendizaje Automático) y 004 (Métodos Numéricos 2).

# %%
import itertools
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pandas as pd
from scipy.special import polygamma

import jaxopt_course as joc
from jaxopt_course.course import show

try:
    from jaxopt_course.course.formulas import html  # LaTeX becomes MathML
except ImportError:  # it comes with the extra "course"; without it formulas stay LaTeX
    html = None

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"

# %% [markdown]
# ## El banco de pruebas
#
# `erratum` ejecuta un experimento en cuanto se define, lo juzga y guarda una fila. Un experimento
# produce uno o más casos; en vez de un número, lo impreso puede dar una excepción.


# %%
class Case(NamedTuple):
    what: str  # what is measured, in Spanish
    printed: Any  # numbers, or the exception that the printed formula raises
    right: Any
    truth: Any  # as `right`, from another source


def close(a, b):
    """Equal to 1e-12, relative or absolute."""
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-12, atol=1e-12)


def distance(a, b):
    """The largest difference, relative to the largest number of b where that is not 0."""
    if isinstance(a, Exception) or np.shape(a) != np.shape(b):
        return np.inf
    size = np.max(np.abs(b))
    return float(np.max(np.abs(np.subtract(a, b))) / (size if size > 1e-12 else 1.0))


def attempt(action):
    """What the action gives, or the exception that it raises."""
    try:
        return action()
    except Exception as error:
        return error


# %%
ERRATA = []


def shown(x):
    if isinstance(x, Exception):
        return f"{type(x).__name__}: {str(x).partition(':')[0].partition('(')[0].strip()[:40]}"
    return "; ".join(f"{0.0 if abs(v) < 1e-12 else v:.4g}" for v in np.ravel(x))


def erratum(number, where, title, printed, right):
    """Run the experiment below, judge it, and keep a row of the table."""

    def register(experiment):
        cases = list(experiment())
        for what, given, corrected, truth in cases:
            assert close(corrected, truth), (number, what, corrected, truth)
            assert distance(given, truth) > 0.01, (number, what, given, truth)
            print(f"{number:4} {what}\n       impreso {shown(given)} | correcto {shown(corrected)}")
        ERRATA.append((number, where, title, printed, right, cases))
        return experiment

    return register


# %% [markdown]
# Las reglas de actualización se escriben en NumPy, en doble precisión, con la misma firma:
# `rule(w, memory, slope, t)`, donde `slope(w, t)` es el gradiente y `t` empieza en cero. La
# función `library` recorre el mismo camino con un optimizador de la biblioteca. El terreno común
# es un tazón cuadrático de tres curvaturas.


# %%
CURVATURE, CENTER = np.array([3.0, 1.0, 0.3]), np.array([1.0, -2.0, 0.5])
START, STEPS = np.array([0.5, -1.0, 2.0]), 60


def bowl(w, t):
    return CURVATURE * (w - CENTER)


def flat(w, t):
    return 0 * w


def ones(w, t):
    return 0 * w + 1.0


def run(rule, slope=bowl, start=START, memory=0.0, steps=STEPS, **numbers):
    """Parameters and memory after each step of a NumPy rule."""
    w, path, memories = start, [], []
    for t in range(steps):
        w, memory = rule(w, memory, slope, t, **numbers)
        path.append(w)
        memories.append(memory)
    return np.array(path), np.array(memories)


def exact(f, *numbers):
    """What a function in JAX gives, compiled and in float64."""
    with jax.enable_x64(True):
        return np.asarray(jax.jit(f)(*map(np.float64, numbers)))


def library(tx, slope=bowl, start=START, steps=STEPS):
    """The same path with an optimizer of the library, in float64."""

    def step(carry, t):
        w, state = carry
        u, state = tx.update(slope(w, t), state, w)
        w = joc.apply_updates(w, u)
        return (w, state), w

    return exact(lambda w: jax.lax.scan(step, (w, tx.init(w)), jnp.arange(steps))[1], start)


def first_steps(path, eta=1.0):
    """How far each step went down from 0, in units of η."""
    return -np.diff(np.concatenate([[0.0], path])) / eta


# %% [markdown]
# ## Momentum
#
# Las dos formas correctas, la clásica y la de Nesterov, que solo se distinguen por el punto donde
# se mira el gradiente:
#
# $$v_{t+1} = \gamma v_t + \eta\,\nabla E(w_t), \qquad w_{t+1} = w_t - v_{t+1}$$
#
# $$v_{t+1} = \gamma v_t + \eta\,\nabla E(w_t - \gamma v_t), \qquad w_{t+1} = w_t - v_{t+1}$$
#
# Las transparencias multiplican además el peso por $\gamma$. Ese factor es un decaimiento de pesos
# disfrazado: aun sin gradiente, la red olvida lo aprendido.


# %%
def momentum(w, v, slope, t, eta=0.01, gamma=0.9, factor=1.0):
    v = gamma * v + eta * slope(w, t)
    return factor * w - v, v


def nesterov(w, v, slope, t, eta=0.01, gamma=0.9, factor=1.0):
    v = gamma * v + eta * slope(w - gamma * v, t)
    return factor * w - v, v


assert close(run(momentum)[0], library(joc.momentum(0.01, 0.9)))
path, velocity = run(nesterov)  # the library keeps the points where the gradient is taken
assert close(path - 0.9 * velocity, library(joc.nesterov(0.01, 0.9)))


# %%
@erratum(
    "E1",
    "002:548 y 002:582",
    "momentum encoge los pesos",
    r"$w_{t+1} \leftarrow \gamma w_t - v_{t+1}$",
    r"$w_{t+1} \leftarrow w_t - v_{t+1}$",
)
def _():
    for rule, tx in ((momentum, joc.momentum(0.01, 0.9)), (nesterov, joc.nesterov(0.01, 0.9))):
        ends = [run(rule, flat, 1.0, steps=50, factor=f)[0][-1] for f in (0.9, 1.0)]
        yield Case(
            f"peso tras 50 pasos sin gradiente, desde 1 ({rule.__name__})",
            *ends,
            library(tx, flat, 1.0, 50)[-1],
        )
        ends = [run(rule, lambda w, t: w - 3, 0.0, steps=1500, factor=f)[0][-1] for f in (0.9, 1.0)]
        yield Case(f"dónde se detiene en ½(w−3)² ({rule.__name__})", *ends, 3.0)


# %% [markdown]
# El punto donde se detiene la forma impresa se puede despejar: $w = \eta c / (\eta +
# (1-\gamma)^2)$, que con $\eta = 0{,}01$ y $\gamma = 0{,}9$ es justo la mitad del camino.

# %%
stuck = ERRATA[-1][-1][1].printed
assert close(stuck, 0.01 * 3 / (0.01 + (1 - 0.9) ** 2))
THREE = (1.0, 2.0, 3.0)  # three gradients


def third_velocity():
    """v₃ = w₂ - w₃ of the library's momentum."""
    path = library(joc.momentum(0.1, 0.5), lambda w, t: jnp.asarray(THREE)[t], 0.0, 3)
    return path[1] - path[2]


# %%
@erratum(
    "E2",
    "002:564",
    "exponente en la tercera velocidad",
    r"$v_3 = \eta g_3 + \gamma\eta g_2 + \gamma\eta^2 g_1$",
    r"$v_3 = \eta g_3 + \gamma\eta g_2 + \gamma^2\eta g_1$",
)
def _():
    eta, gamma, (g1, g2, g3) = 0.1, 0.5, THREE
    yield Case(
        "velocidad v₃ con η=0,1, γ=0,5 y g=(1, 2, 3)",
        eta * g3 + gamma * eta * g2 + gamma * eta**2 * g1,
        eta * g3 + gamma * eta * g2 + gamma**2 * eta * g1,
        third_velocity(),
    )


# %%
@erratum(
    "E2b",
    "002:566",
    "exponente cambiado de signo en la suma",
    r"$v_t = \eta\sum_{j=1}^{t}\gamma^{\,j-t} g_j$",
    r"$v_t = \eta\sum_{j=1}^{t}\gamma^{\,t-j} g_j$",
)
def _():
    j, g = np.arange(1, 4), np.array(THREE)
    yield Case(
        "velocidad v₃ con los mismos datos",
        0.1 * np.sum(0.5 ** (j - 3.0) * g),
        0.1 * np.sum(0.5 ** (3.0 - j) * g),
        third_velocity(),
    )


# %% [markdown]
# ¿Suma o media? Con $v = \gamma v + \eta g$ los gradientes se **suman**: uno constante termina
# amplificado por $1/(1-\gamma)$. Solo la forma de 001,
#
# $$v_t = \beta v_{t-1} + (1-\beta)\,g_t, \qquad w_{t+1} = w_t - \eta v_t,$$
#
# es una media móvil. Y 001 la ilustra con `SGD(momentum=0.9)` de Keras y PyTorch, que es la suma:
# fórmula y código se llevan un factor diez.


# %%
def ema_momentum(w, v, slope, t, eta=0.01, beta=0.9):
    v = beta * v + (1 - beta) * slope(w, t)
    return w - eta * v, v


assert close(run(ema_momentum)[0], library(joc.ema_momentum(0.01, 0.9)))


# %%
@erratum(
    "E2c",
    "002:556",
    "una suma llamada media móvil",
    r"«media móvil exponencial»: $v_t = \gamma v_{t-1} + \eta g_t$",
    r"es una suma; la media: $v_t = \gamma v_{t-1} + (1-\gamma) g_t$, $w \leftarrow w - \eta v_t$",
)
def _():
    ends = [
        first_steps(run(rule, ones, 0.0, steps=400)[0], 0.01)[-1]
        for rule in (momentum, ema_momentum)
    ]
    truth = first_steps(library(joc.ema_momentum(0.01, 0.9), ones, 0.0, 400), 0.01)[-1]
    yield Case("«media» de gradientes que valen todos 1 (velocidad final / η)", *ends, truth)


# %%
@erratum(
    "E20",
    "001:394 frente a 001:453 y 001:509",
    "la fórmula de una media con el código de una suma",
    r"$v_t = \beta v_{t-1} + (1-\beta) g_t$ para `SGD(momentum=0.9)`",
    r"$v_t = \beta v_{t-1} + g_t$ (o la tasa multiplicada por $1-\beta$)",
)
def _():
    ends = [
        first_steps(run(rule, ones, 0.0, steps=400)[0], 0.01)[-1]
        for rule in (ema_momentum, momentum)
    ]
    for like in ("keras", "torch"):
        tx = joc.sgd(0.01, momentum=0.9, like=like)
        truth = first_steps(library(tx, ones, 0.0, 400), 0.01)[-1]
        yield Case(f"paso final / η con gradiente 1 (SGD de {like})", *ends, truth)


# %% [markdown]
# ## Adam
#
# La regla completa, con las dos correcciones de sesgo y $t = 1, 2, \dots$
#
# $$m_t = \beta_1 m_{t-1} + (1-\beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1-\beta_2) g_t^2$$
#
# $$w_t = w_{t-1} - \eta\,\frac{\hat m_t}{\sqrt{\hat v_t} + \varepsilon}, \qquad
# \hat m_t = \frac{m_t}{1-\beta_1^t}, \quad \hat v_t = \frac{v_t}{1-\beta_2^t}$$
#
# 003 corrige solo $v$; 002 corrige los dos, pero con una unidad de más en el exponente. Un
# gradiente constante delata ambas cosas: el Adam correcto da todos los pasos de tamaño $\eta$,
# desde el primero.


# %%
def corrected(x, beta, t):
    return x / (1 - beta**t)


def adam(w, memory, slope, t, eta=1e-3, b1=0.9, b2=0.999, eps=1e-8, first=corrected, later=0):
    g, t = slope(w, t), t + 1 + later
    m, v = (0 * w, 0 * w) if np.ndim(memory) == 0 else memory
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    return w - eta * first(m, b1, t) / (np.sqrt(corrected(v, b2, t)) + eps), np.array([m, v])


def uncorrected(x, beta, t):
    return x


assert close(run(adam)[0], library(joc.adam(1e-3)))


# %%
@erratum(
    "E3",
    "003:41",
    "Adam sin corregir el primer momento",
    r"$w \leftarrow w - \alpha\, m_t / (\sqrt{v_t/(1-\beta_2^t)} + \epsilon)$",
    r"$w \leftarrow w - \alpha\, \hat m_t / (\sqrt{\hat v_t} + \epsilon)$, con "
    r"$\hat m_t = m_t/(1-\beta_1^t)$",
)
def _():
    paths = [run(adam, ones, 0.0, steps=5, first=f)[0] for f in (uncorrected, corrected)]
    steps = [first_steps(p, 1e-3) for p in paths]
    truth = first_steps(library(joc.adam(1e-3), ones, 0.0, 5), 1e-3)
    yield Case("los cinco primeros pasos / η con gradiente 1", *steps, truth)


# %%
@erratum(
    "E4",
    "002:648 y 002:650",
    "exponente de más en las correcciones",
    r"$\hat V_t = V_t/(1-\beta_1^{t+1})$, $\hat S_t = S_t/(1-\beta_2^{t+1})$",
    r"$\hat V_t = V_t/(1-\beta_1^{t})$, $\hat S_t = S_t/(1-\beta_2^{t})$, con $t \geq 1$",
)
def _():
    steps = [first_steps(run(adam, ones, 0.0, steps=1, later=n)[0], 1e-3)[0] for n in (1, 0)]
    truth = first_steps(library(joc.adam(1e-3), ones, 0.0, 1), 1e-3)[0]
    yield Case("primer paso / η con gradiente 1", *steps, truth)


# %% [markdown]
# La fórmula de 002 solo sería correcta si $t$ empezara en cero y las memorias nulas fueran
# $V_{-1}$ y $S_{-1}$; pero su Adagrad parte de $S_0 = 0$, es decir, cuenta desde $t = 1$.
#
# Otra trampa de notación, en 003: $\nabla_w^2 \mathcal L$ se lee como la segunda derivada. Lo que
# Adam promedia es el cuadrado de la primera.

# %%
assert close(run(adam, later=1)[0], run(lambda w, m, g, t: adam(w, m, g, t + 1))[0])


# %%
@erratum(
    "E3b",
    "003:41 y 003:42",
    "segunda derivada por cuadrado de la primera",
    r"$v_t \leftarrow \beta_2 v_{t-1} + (1-\beta_2)\nabla_w^2\mathcal{L}$",
    r"$v_t \leftarrow \beta_2 v_{t-1} + (1-\beta_2)(\nabla_w\mathcal{L})^2$",
)
def _():
    f, tx = lambda w: 1.5 * w**2, joc.adam(1e-3)
    entered = lambda w: optax.tree.get(tx.update(jax.grad(f)(w), tx.init(w), w)[1], "nu") / 1e-3
    yield Case(
        "lo que entra en v₁, con ½·3·w² en w=2",
        exact(jax.hessian(f), 2.0),
        (3.0 * 2.0) ** 2,
        exact(entered, 2.0),
    )


# %% [markdown]
# ## Lo que dice «Keras» y lo que hace Keras
#
# Adagrad y RMSProp, con $\varepsilon$ dentro de la raíz como en los apuntes y en Keras:
#
# $$S_t = S_{t-1} + g_t^2 \quad\text{o}\quad S_t = \rho S_{t-1} + (1-\rho) g_t^2, \qquad
# w_{t+1} = w_t - \frac{\eta}{\sqrt{S_t + \varepsilon}}\, g_t$$
#
# Los apuntes citan valores por defecto «de Keras» que no son los de Keras 3. La verdad es aquí
# `like="keras"` o `like="torch"`: esas reglas repiten hasta $10^{-12}$ las trayectorias que
# hicieron los propios Keras y PyTorch (lección 11).


# %%
def adagrad(w, S, slope, t, eta=0.01, eps=1e-7, S0=0.0):
    g = slope(w, t)
    S = (S if t else S0) + g**2
    return w - eta * g / np.sqrt(S + eps), S


def rmsprop(w, S, slope, t, eta=1e-3, rho=0.9, eps=1e-7):
    g = slope(w, t)
    S = rho * S + (1 - rho) * g**2
    return w - eta * g / np.sqrt(S + eps), S


assert close(run(adagrad)[0], library(joc.adagrad(0.01, initial_accumulator_value=0.0)))
assert close(run(rmsprop)[0], library(joc.rmsprop(1e-3, decay=0.9, eps=1e-7)))


def small(g):
    """A constant gradient of size g."""
    return lambda w, t: 0 * w + g


# %%
@erratum(
    "E17",
    "002:616-619",
    "valores por defecto de Adagrad",
    r"«de Keras»: $\alpha = 0{,}01$, $S_0 = 0$",
    r"Keras 3: $\alpha = 0{,}001$, $S_0 = 0{,}1$",
)
def _():
    paths = [run(adagrad, ones, 0.0, steps=3, eta=e, S0=s)[0] for e, s in ((0.01, 0), (1e-3, 0.1))]
    truth = first_steps(library(joc.adagrad(like="keras"), ones, 0.0, 3))
    yield Case("los tres primeros pasos con gradiente 1", *map(first_steps, paths), truth)


# %%
@erratum(
    "E18",
    "002:634",
    "ε por defecto de RMSProp",
    r"«de Keras»: $\varepsilon = 10^{-6}$",
    r"Keras 3: $\varepsilon = 10^{-7}$",
)
def _():
    paths = [run(rmsprop, small(1e-3), 0.0, steps=1, eps=eps)[0] for eps in (1e-6, 1e-7)]
    truth = first_steps(library(joc.rmsprop(like="keras"), small(1e-3), 0.0, 1), 1e-3)
    yield Case("primer paso / η con gradiente 0,001", *(first_steps(p, 1e-3) for p in paths), truth)


# %% [markdown]
# Keras pone además el $\varepsilon$ de Adam sobre la raíz **sin corregir**, de modo que en el
# primer paso pesa $1/\sqrt{1-\beta_2}$ veces más:
#
# $$w_t = w_{t-1} - \eta\,\frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}\,
# \frac{m_t}{\sqrt{v_t}+\varepsilon}$$
#
# Y en RMSProp, 001 da la fórmula con $\varepsilon$ dentro de la raíz y, a su lado, código de
# PyTorch, que lo suma fuera. Nada de esto se nota con gradientes grandes; con gradientes pequeños
# cambia el paso entero.


# %%
def adam_of_keras(w, memory, slope, t, eta=1e-3, b1=0.9, b2=0.999, eps=1e-7):
    g, t = slope(w, t), t + 1
    m, v = (0 * w, 0 * w) if np.ndim(memory) == 0 else memory
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    rate = eta * np.sqrt(1 - b2**t) / (1 - b1**t)
    return w - rate * m / (np.sqrt(v) + eps), np.array([m, v])


def rmsprop_of_torch(w, S, slope, t, eta=1e-3, rho=0.9, eps=1e-8):
    g = slope(w, t)
    S = rho * S + (1 - rho) * g**2
    return w - eta * g / (np.sqrt(S) + eps), S


assert close(run(adam_of_keras)[0], library(joc.adam(like="keras")))
assert close(run(rmsprop_of_torch)[0], library(joc.rmsprop(1e-3, decay=0.9, like="torch")))


# %%
@erratum(
    "E19",
    "000:80-98",
    "el Adam de Keras no es el del artículo",
    r"Keras: $\hat m / (\sqrt{\hat v} + \varepsilon)$",
    r"Keras: $\frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}\, m/(\sqrt{v} + \varepsilon)$",
)
def _():
    g = small(1e-6)
    steps = [
        first_steps(run(rule, g, 0.0, steps=1, eps=1e-7)[0], 1e-3) for rule in (adam, adam_of_keras)
    ]
    truth = first_steps(library(joc.adam(like="keras"), g, 0.0, 1), 1e-3)
    yield Case("primer paso / η con gradiente 0,000001 y ε=1e-7", *steps, truth)


# %%
@erratum(
    "E21",
    "001:726-733 frente a 001:832",
    "ε dentro de la raíz, código con ε fuera",
    r"$\theta \leftarrow \theta - \eta\, g/\sqrt{s+\epsilon}$ para `torch.optim.RMSprop`",
    r"$\theta \leftarrow \theta - \eta\, g/(\sqrt{s}+\epsilon)$",
)
def _():
    g = small(1e-4)
    rules = (rmsprop, rmsprop_of_torch)
    steps = [first_steps(run(rule, g, 0.0, steps=1, eps=1e-8)[0], 1e-3) for rule in rules]
    truth = first_steps(library(joc.rmsprop(1e-3, decay=0.9, like="torch"), g, 0.0, 1), 1e-3)
    yield Case("primer paso / η con gradiente 0,0001 y ε=1e-8", *steps, truth)


# %% [markdown]
# Adadelta «no necesita tasa» en el artículo, donde vale uno. Keras la tiene y la pone en una
# milésima; PyTorch, en uno. Quien cambia de biblioteca sin mirar cambia el paso por mil.
#
# $$S_t = \rho S_{t-1} + (1-\rho) g_t^2, \quad
# u_t = \frac{\sqrt{X_{t-1}+\varepsilon}}{\sqrt{S_t+\varepsilon}}\, g_t, \quad
# X_t = \rho X_{t-1} + (1-\rho) u_t^2, \quad w_t = w_{t-1} - \eta u_t$$


# %%
def adadelta(w, memory, slope, t, eta=1.0, rho=0.95, eps=1e-7):
    g = slope(w, t)
    S, X = (0 * w, 0 * w) if np.ndim(memory) == 0 else memory
    S = rho * S + (1 - rho) * g**2
    u = np.sqrt(X + eps) / np.sqrt(S + eps) * g
    return w - eta * u, np.array([S, rho * X + (1 - rho) * u**2])


assert close(run(adadelta)[0], library(joc.adadelta(1.0, rho=0.95, eps=1e-7)))
assert close(run(adadelta, rho=0.9, eps=1e-6)[0], library(joc.adadelta(like="torch")))


# %%
@erratum(
    "E34",
    "000:125",
    "Adadelta sí tiene tasa",
    r"«no necesita tasa»: $\theta \leftarrow \theta - u_t$",
    r"Keras: $\theta \leftarrow \theta - \eta u_t$ con $\eta = 0{,}001$ (PyTorch: $\eta = 1$)",
)
def _():
    paths = [run(adadelta, ones, 0.0, steps=30, eta=eta)[0] for eta in (1.0, 1e-3)]
    truth = -1e6 * library(joc.adadelta(like="keras"), ones, 0.0, 30)[-1]
    yield Case(
        "millonésimas recorridas en 30 pasos, gradiente 1", *(-1e6 * p[-1] for p in paths), truth
    )


# %%
def drawn(ax, xs, printed, right, x, y, title):
    """The printed curve and the right one, in this lesson's colours."""
    ax.plot(xs, right, color=BLUE, lw=2.5, label="correcta")
    ax.plot(xs, printed, color=ORANGE, lw=2, ls="--", label="impresa")
    ax.set(xlabel=x, ylabel=y, title=title)


fig, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
t = np.arange(1, 301)
paths = [run(momentum, lambda w, t: w - 3, 0.0, steps=300, factor=f)[0] for f in (0.9, 1.0)]
drawn(axes[0, 0], t, *paths, "paso", "peso $w$", "E1. Momentum en ½(w−3)²")
axes[0, 0].axhline(3, color=GREY, lw=1)
axes[0, 0].annotate("óptimo", (300, 3), xytext=(0, 4), textcoords="offset points", ha="right")
t = np.arange(1, 41)
steps = [
    first_steps(run(adam, ones, 0.0, steps=40, **kind)[0], 1e-3)
    for kind in ({"first": uncorrected}, {}, {"later": 1})
]
drawn(axes[0, 1], t, *steps[:2], "paso", "tamaño del paso / $\\eta$", "E3, E4. Adam, gradiente 1")
axes[0, 1].lines[1].set_label("impresa en 003 (E3)")
axes[0, 1].plot(t, steps[2], color=GREEN, lw=2, ls=":", label="impresa en 002 (E4)")
axes[0, 1].set_ylim(0, 1.1)
sums = [first_steps(run(r, ones, 0.0, steps=40)[0], 0.01) for r in (momentum, ema_momentum)]
axes[1, 0].plot(t, sums[0], color=GREEN, lw=2.5, label="suma (002, Keras, PyTorch)")
axes[1, 0].plot(t, sums[1], color=GREY, lw=2.5, label="media (001)")
axes[1, 0].set(xlabel="paso", ylabel="velocidad / $\\eta$", title="E2c, E20. Gradiente 1")
sizes = np.geomspace(1e-8, 1e-2, 61)
last = [
    [first_steps(run(rule, small(g), 0.0, steps=1, eps=1e-7)[0], 1e-3)[0] for g in sizes]
    for rule in (adam, adam_of_keras)
]
drawn(axes[1, 1], sizes, *last, "gradiente", "primer paso / $\\eta$", "E19. Adam de Keras, ε=1e-7")
axes[1, 1].set_xscale("log")
for ax in axes.flat:
    ax.legend(fontsize=9)
show(fig, "metodos")

# %% [markdown]
# La línea azul es siempre la correcta. Arriba a la izquierda, el momentum impreso se detiene a
# medio camino; arriba a la derecha, sin corregir $m$ los primeros pasos de Adam son una décima
# parte, y con el exponente de más, tres cuartas. Abajo a la derecha, por debajo de $10^{-5}$ los
# dos Adam dejan de parecerse.
#
# ## Activaciones y softmax
#
# $$\tanh\varepsilon = \frac{1-e^{-2\varepsilon}}{1+e^{-2\varepsilon}}, \qquad
# \mathrm{softplus}(\varepsilon) = \ln(1+e^{\varepsilon}), \qquad
# \mathrm{softmax}(z)_s = \frac{e^{z_s}}{\sum_t e^{z_t}}$$
#
# La tanh impresa es $-\tanh$ y la softplus impresa está reflejada: las dos bajan donde deberían
# subir. Una red con ellas también aprende (los pesos siguientes cambian de signo), y por eso el
# error pasa inadvertido en el código; no en la derivada que se calcula a mano.


# %%
def tanh_printed(x):
    return (jnp.exp(-2 * x) - 1) / (jnp.exp(-2 * x) + 1)


def tanh_right(x):
    return (1 - jnp.exp(-2 * x)) / (1 + jnp.exp(-2 * x))


def softplus_printed(x):
    return jnp.log(1 + jnp.exp(-x))


def softplus_right(x):
    return jnp.log(1 + jnp.exp(x))


def with_slope(f, x):
    """The value at x and the slope at 0, in float64."""
    return exact(lambda x, zero: jnp.stack([f(x), jax.grad(f)(zero)]), x, 0.0)


# %%
@erratum(
    "E5",
    "002:241",
    "la tanh con el signo cambiado",
    r"$\sigma(\varepsilon) = \frac{e^{-2\varepsilon}-1}{e^{-2\varepsilon}+1}$",
    r"$\sigma(\varepsilon) = \frac{1-e^{-2\varepsilon}}{1+e^{-2\varepsilon}}$",
)
def _():
    values = (with_slope(f, 1.0) for f in (tanh_printed, tanh_right, jnp.tanh))
    yield Case("valor en 1 y pendiente en 0", *values)


# %%
@erratum(
    "E6",
    "002:267",
    "la softplus reflejada",
    r"$\sigma(\varepsilon) = \log(1+e^{-\varepsilon})$",
    r"$\sigma(\varepsilon) = \log(1+e^{\varepsilon})$",
)
def _():
    values = (with_slope(f, 2.0) for f in (softplus_printed, softplus_right, jax.nn.softplus))
    yield Case("valor en 2 y pendiente en 0", *values)


# %% [markdown]
# Normalizar salidas logísticas no es softmax. Softmax no cambia si a todos los $z$ se les suma lo
# mismo; la versión impresa sí, y además aplasta las diferencias: como cada logística está entre
# cero y uno, con entradas grandes todas las clases acaban empatadas.


# %%
def logistic_and_normalise(z):
    a = 1 / (1 + np.exp(-z))
    return a / a.sum()


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


def softmax_of_jax(z):
    return exact(jax.nn.softmax, z)


# %%
@erratum(
    "E7",
    "002:289-294",
    "logística normalizada por softmax",
    r"$a_s = \sigma(z_s)/\sum_t\sigma(z_t)$, con $\sigma$ logística",
    r"$a_s = e^{z_s}/\sum_t e^{z_t}$",
)
def _():
    for z in (np.array([1.0, 2.0, 3.0]), np.array([11.0, 12.0, 13.0])):
        outputs = (f(z) for f in (logistic_and_normalise, softmax, softmax_of_jax))
        yield Case(f"probabilidades de z={tuple(map(int, z))}", *outputs)


# %% [markdown]
# ## Verosimilitud y entropía cruzada
#
# De la distribución de Bernoulli a la pérdida, paso a paso y con los signos en su sitio:
#
# $$p(y\mid x) = f^{\,y}(1-f)^{1-y} \;\Rightarrow\;
# L(S) = \sum_m \left[y_m\ln f_m + (1-y_m)\ln(1-f_m)\right], \qquad E = -L(S)$$
#
# En las transparencias el producto es una suma, aparece un $1/M$ que no estaba, y se minimiza lo
# que había que maximizar.


# %%
def likelihood(p):
    return np.sum(np.log(np.where(LABELS == 1, p, 1 - p)))


LABELS = np.array([1, 1, 0])


# %%
@erratum(
    "E8",
    "002:311 y 002:313",
    "suma por producto en la Bernoulli",
    r"$p(y \mid x) = p^{\,y} + (1-p)^{1-y}$, clases $1$ y $-1$",
    r"$p(y \mid x) = p^{\,y}\,(1-p)^{1-y}$, clases $1$ y $0$",
)
def _():
    p, y = 0.3, np.array([1, 0])
    truth = exact(jax.scipy.stats.bernoulli.pmf, y, p)
    yield Case(
        "probabilidad de y=1 y de y=0 con p=0,3",
        p**y + (1 - p) ** (1 - y),
        p**y * (1 - p) ** (1 - y),
        truth,
    )


# %%
@erratum(
    "E9",
    "002:318",
    "un 1/M de más",
    r"$\ln\prod_m p(y_m \mid x_m) = \frac{1}{M}\sum_m (\dots)$",
    r"$\ln\prod_m p(y_m \mid x_m) = \sum_m (\dots)$",
)
def _():
    f, y = np.array([0.8, 0.6]), np.array([1, 0])
    terms = y * np.log(f) + (1 - y) * np.log(1 - f)
    yield Case("ln(0,8·0,4)", np.mean(terms), np.sum(terms), math.log(0.8 * 0.4))


# %%
@erratum(
    "E10",
    "002:322",
    "minimizar lo que hay que maximizar",
    r"$\max L(S) \equiv \min L(S)$",
    r"$\max L(S) \equiv \min\,(-L(S))$",
)
def _():
    grid = np.arange(1, 300) / 300
    values = [likelihood(p) for p in grid]
    yield Case(
        "p elegida para las etiquetas 1, 1, 0 (rejilla de 1/300 a 299/300)",
        grid[np.argmin(values)],
        grid[np.argmin(np.negative(values))],
        LABELS.mean(),
    )


# %% [markdown]
# Los menos perdidos de `(1 y)ln(1 f)` pueden ser daño de la extracción del PDF; leídos como
# producto cambian la pérdida. Más serio es usar la suma binaria con una salida softmax: el término
# $(1-y)\ln(1-\hat y)$ sobra, y el gradiente deja de ser el elegante $\hat y - y$.


# %%
@erratum(
    "E11",
    "002:324 y 002:330",
    "signos menos perdidos",
    r"$-[y\ln f + (1\,y)\ln(1\,f)]$",
    r"$-[y\ln f + (1-y)\ln(1-f)]$",
)
def _():
    f, y = 0.3, np.array([1.0, 0.0])
    truth = exact(optax.sigmoid_binary_cross_entropy, math.log(f / (1 - f)), y)
    yield Case(
        "pérdida de f=0,3 con y=1 y con y=0",
        -(y * np.log(f) + (1 * y) * np.log(1 * f)),
        -(y * np.log(f) + (1 - y) * np.log(1 - f)),
        truth,
    )


# %%
@erratum(
    "E12",
    "002:330",
    "entropía binaria sobre una softmax",
    r"$-\sum_{m,k}[y_{mk}\ln\hat y_{mk} + (1-y_{mk})\ln(1-\hat y_{mk})]$",
    r"$-\sum_{m,k} y_{mk}\ln\hat y_{mk}$",
)
def _():
    p, y = np.array([0.2, 0.5, 0.3]), np.array([0.0, 1.0, 0.0])
    z, right = np.log(p), optax.softmax_cross_entropy

    def printed(z, y):
        p = jax.nn.softmax(z)
        return -jnp.sum(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))

    losses = exact(printed, z, y), -np.sum(y * np.log(p)), exact(right, z, y)
    yield Case("pérdida de ŷ=(0,2, 0,5, 0,3), clase 2", *losses)
    slopes = exact(jax.grad(printed), z, y), p - y, exact(jax.grad(right), z, y)
    yield Case("gradiente respecto de los logits", *slopes)


# %%
@erratum(
    "E13",
    "002:394 y 002:398",
    "la derivada de la pérdida con el signo cambiado",
    r"$\frac{\partial E}{\partial a} = \frac{y-a}{a(1-a)}$",
    r"$\frac{\partial E}{\partial a} = \frac{a-y}{a(1-a)}$",
)
def _():
    a, y = np.array([0.2, 0.7]), np.array([1.0, 0.0])
    loss = lambda a: -jnp.sum(y * jnp.log(a) + (1 - y) * jnp.log(1 - a))
    slopes = (y - a) / (a * (1 - a)), (a - y) / (a * (1 - a)), exact(jax.grad(loss), a)
    yield Case("∂E/∂a en a=(0,2, 0,7), y=(1, 0)", *slopes)


# %% [markdown]
# Con el signo impreso no se desciende: se asciende, y la red se aleja de las etiquetas.
#
# Dos cuestiones más de 003. La penalización $\lambda\sum w^2$ tiene gradiente $2\lambda w$, de
# modo que equivale al `weight_decay` $2\lambda$ de PyTorch, y solo con SGD: en Adam el término
# acoplado se divide por $\sqrt{\hat v}$ y el de AdamW no. Y `BCELoss` recibe salidas $(N, 1)$; si
# las etiquetas son $(N)$ (003 no enseña su `train_loader`, pero es lo habitual), PyTorch se niega,
# y NumPy o JAX callan y calculan una tabla $N \times N$.


# %%
@erratum(
    "E31",
    "003:25-27",
    "L2 y weight decay no son el mismo λ",
    r"«weight decay (L2)»: $\lambda\sum w_i^2$ es `weight_decay=`$\lambda$",
    r"es `weight_decay=`$2\lambda$, solo en SGD; no en AdamW",
)
def _():
    lam = 0.05
    truth = exact(jax.grad(lambda w: lam * jnp.sum(w**2)), START)
    yield Case("gradiente de 0,05·Σw² en (0,5, −1, 2)", lam * START, 2 * lam * START, truth)

    penalised = lambda w, t: bowl(w, t) + 2 * lam * w
    w, states = START, [START]
    for _ in range(STEPS):
        w = w - 0.05 * penalised(w, 0)
        states.append(w)
    coupled = library(joc.sgd(0.05, weight_decay=2 * lam, like="torch"))
    assert close(states[1:], coupled)

    m, v, w = 0 * START, 0 * START, START  # AdamW, by hand
    for n in range(1, STEPS + 1):
        g, w = bowl(w, 0), w * (1 - 0.1 * 2 * lam)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - 0.1 * corrected(m, 0.9, n) / (np.sqrt(corrected(v, 0.999, n)) + 1e-8)
    apart = np.abs(w - run(adam, penalised, eta=0.1)[0][-1]).max()
    ours = [
        library(make(0.1, weight_decay=2 * lam, like="torch"))[-1] for make in (joc.adamw, joc.adam)
    ]
    yield Case(
        "distancia entre AdamW y Adam con L2 tras 60 pasos",
        0.0,
        apart,
        np.abs(ours[0] - ours[1]).max(),
    )


# %%
@erratum(
    "E30",
    "003:115 y 003:124",
    "salidas (N, 1) contra etiquetas (N)",
    r"`BCELoss()(outputs, labels)` con formas $(N, 1)$ y $(N)$",
    r"`BCELoss()(outputs, labels.unsqueeze(1))`",
)
def _():
    p, y = np.array([[0.9], [0.2], [0.7], [0.6]]), np.array([1.0, 0.0, 1.0, 0.0])
    loss = lambda y: np.mean(-(y * np.log(p) + (1 - y) * np.log(1 - p)))
    pairs = [-math.log(q if label else 1 - q) for q, label in zip(p.ravel(), y, strict=True)]
    yield Case(
        "pérdida media si se difunden las formas (PyTorch lanza ValueError)",
        loss(y),
        loss(y[:, None]),
        sum(pairs) / len(pairs),
    )


# %% [markdown]
# ## Hacia delante y hacia atrás
#
# Los apuntes definen $w_{st}^{(\ell)}$ como el peso que va del nodo $t$ de la capa $\ell$ al nodo
# $s$ de la $\ell+1$ (002:147). Con esa definición, y con $L$ capas numeradas desde la entrada,
#
# $$a^{(\ell+1)} = \sigma\!\left(W^{(\ell)} a^{(\ell)} + w_0^{(\ell)}\right), \quad
# \ell = 1, \dots, L-1$$
#
# $$\delta^{(\ell)} = \left(W^{(\ell)}\right)^{\!\top}\delta^{(\ell+1)} \odot \sigma'(z^{(\ell)})$$
#
# Lo impreso recorre una capa de más, transpone hacia delante donde no toca y no transpone hacia
# atrás donde toca. En redes rectangulares se nota enseguida, porque las formas no encajan; en una
# cuadrada sale un número, y es otro.


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def network(*sizes):
    """Weights w_st and biases of each layer, numbered from 1 as in the notes."""
    rng = np.random.default_rng(3)
    weights = {i: rng.normal(size=(m, n)) for i, (n, m) in enumerate(itertools.pairwise(sizes), 1)}
    return weights, {i: rng.normal(size=len(w)) for i, w in weights.items()}


def forward(x, weights, biases, until):
    """The notes' double sum, for ℓ = 1, ..., until."""
    a = x
    for ell in range(1, until + 1):
        w, b = weights[ell], biases[ell]
        a = [sigmoid(sum(w[s, t] * a[t] for t in range(len(a))) + b[s]) for s in range(len(b))]
    return np.array(a)


X3, (W, B) = np.array([0.3, -0.8, 0.5]), network(3, 4, 2)


def of_jax(x, weights, biases):
    for w, b in zip(weights.values(), biases.values(), strict=True):
        x = jax.nn.sigmoid(jnp.asarray(w) @ x + b)
    return x


# %%
@erratum(
    "E14",
    "002:164-167",
    "una capa de más en el recorrido",
    r"para $\ell = 1$ hasta $L$, $\sum_{t=1}^{S_t}$",
    r"para $\ell = 1$ hasta $L-1$, $\sum_{t=1}^{S_\ell}$",
)
def _():
    truth = exact(lambda x: of_jax(x, W, B), X3)
    printed = attempt(lambda: forward(X3, W, B, until=3))
    yield Case("salida de una red 3-4-2 (L=3)", printed, forward(X3, W, B, until=2), truth)


# %%
@erratum(
    "E15",
    "002:370",
    "transpuesta de más hacia delante",
    r"$a^{(\ell+1)} = \sigma(W^{(\ell)\top} a^{(\ell)} + w_0^{(\ell)})$",
    r"$a^{(\ell+1)} = \sigma(W^{(\ell)} a^{(\ell)} + w_0^{(\ell)})$",
)
def _():
    printed = attempt(lambda: sigmoid(W[1].T @ X3 + B[1]))
    yield Case("capa de 3 a 4 unidades", printed, sigmoid(W[1] @ X3 + B[1]), forward(X3, W, B, 1))
    w, b = network(3, 3)
    outputs = sigmoid(w[1].T @ X3 + b[1]), sigmoid(w[1] @ X3 + b[1])
    yield Case("capa de 3 a 3 unidades", *outputs, forward(X3, w, b, 1))


# %% [markdown]
# Para la retropropagación la verdad es `jax.grad`: la derivada respecto de los sesgos de la capa
# oculta **es** su $\delta$.


# %%
def deltas(weights, biases, y):
    """δ of the hidden layer of a three-layer network: two printed readings, and the right one."""
    hidden = forward(X3, weights, biases, 1)
    out = sigmoid(weights[2] @ hidden + biases[2])
    last, slope = (out - y) * out * (1 - out), hidden * (1 - hidden)
    literal = attempt(lambda: weights[3] @ last * slope)  # W^{ℓ+1} for ℓ = 2: there is none
    arriving = attempt(lambda: weights[2] @ last * slope)  # W numbered by the layer it arrives at
    return literal, arriving, weights[2].T @ last * slope


def delta_of_jax(weights, biases, y):
    loss = lambda b1: 0.5 * jnp.sum((of_jax(X3, weights, {1: b1, 2: biases[2]}) - y) ** 2)
    return exact(jax.grad(loss), biases[1])


# %%
@erratum(
    "E16",
    "002:429 y 002:431",
    "índices mezclados en la retropropagación",
    r"$\delta^{\ell} = W^{\ell+1}\delta^{\ell+1}\odot\sigma'(z^{\ell})$, "
    r"$\sum_k\delta_k^{\ell+1}w_{ik}^{\ell+1}\sigma'(z_j^\ell)$",
    r"$\delta^{\ell} = (W^{(\ell)})^{\top}\delta^{\ell+1}\odot\sigma'(z^{\ell})$, "
    r"$\sigma'(z_s^\ell)\sum_k w_{ks}^{(\ell)}\delta_k^{\ell+1}$",
)
def _():
    literal, arriving, right = deltas(W, B, np.array([1.0, 0.0]))
    truth = delta_of_jax(W, B, np.array([1.0, 0.0]))
    yield Case("δ oculta de una red 3-4-2, W^{ℓ+1} al pie de la letra", literal, right, truth)
    yield Case("la misma, si W^{ℓ+1} es la que llega a la capa ℓ+1", arriving, right, truth)
    w, b = network(3, 3, 3)
    _, arriving, right = deltas(w, b, np.array([1.0, 0.0, 0.0]))
    yield Case(
        "δ oculta de una red 3-3-3", arriving, right, delta_of_jax(w, b, np.array([1.0, 0, 0]))
    )


# %% [markdown]
# ## Lotes
#
# La regresión de 001: cinco puntos sobre la recta $y = x$. Su código en PyTorch da a la red
# salidas de forma $(5, 1)$ y etiquetas de forma $(5)$; la resta es una tabla $5 \times 5$ que
# compara cada predicción con **todas** las etiquetas. No hay error, no hay aviso que detenga el
# programa: la red aprende la media de $y$.


# %%
POINTS = np.arange(1.0, 6.0)[:, None]


def fit_line(y, eta=0.08, steps=2000):
    """Slope and bias by descent on the mean of (outputs - y)², whatever shape that has."""
    w = b = 0.0
    for _ in range(steps):
        error = (w * POINTS + b) - y
        slope = (2 * np.mean(error * POINTS), 2 * np.mean(error))
        w, b = w - eta * slope[0], b - eta * slope[1]
    return np.array([w, b])


# %%
@erratum(
    "E22",
    "001:95 y 001:199",
    "etiquetas sin su segunda dimensión",
    r"`y_train` de forma $(5)$ contra salidas $(5, 1)$",
    r"`y_train` de forma $(5, 1)$",
)
def _():
    design = np.hstack([POINTS, np.ones_like(POINTS)])
    truth = np.linalg.lstsq(design, POINTS[:, 0], rcond=None)[0]
    yield Case("pendiente y sesgo aprendidos", fit_line(POINTS[:, 0]), fit_line(POINTS), truth)


# %% [markdown]
# El código que 001 llama estocástico es, línea por línea, el mismo bucle de lote completo de la
# sección siguiente (y el de Keras, con cinco ejemplos y lotes de 32 por defecto, también). SGD
# recorre los ejemplos uno a uno:
#
# $$\theta \leftarrow \theta - \eta\,\nabla_\theta J(\theta; x^{(i)}, y^{(i)}), \quad
# i = 1, \dots, N$$


# %%
def one_epoch(batch, eta=0.01):
    """(w, b) after one epoch over the five points in their order, and the number of updates."""
    theta, updates = np.zeros(2), 0
    for i in range(0, len(POINTS), batch):
        x = POINTS[i : i + batch, 0]
        error = theta[0] * x + theta[1] - x
        theta = theta - eta * 2 * np.array([np.mean(error * x), np.mean(error)])
        updates += 1
    return theta, updates


def example_by_example(theta, t):
    x = jnp.asarray(POINTS)[t, 0]
    return 2 * (theta[0] * x + theta[1] - x) * jnp.stack([x, jnp.ones_like(x)])


# %%
@erratum(
    "E23",
    "001:98-106 y 001:202-210",
    "el bucle «estocástico» usa el lote completo",
    r"SGD: un paso por época con los cinco ejemplos",
    r"SGD: un paso por ejemplo, cinco por época",
)
def _():
    printed, right = one_epoch(5), one_epoch(1)
    yield Case("actualizaciones por época con 5 ejemplos", printed[1], right[1], len(POINTS))
    truth = library(joc.sgd(0.01), example_by_example, np.zeros(2), 5)[-1]
    yield Case("pendiente y sesgo tras una época", printed[0], right[0], truth)


# %% [markdown]
# El comentario de 001 sobre el lote completo tampoco es cierto, aunque su código sí lo usa, porque
# pasa `batch_size=len(X_train)`. Con pocos ejemplos el descuido no se nota: cualquier conjunto de
# hasta 32 cabe en un solo lote.


# %%
@erratum(
    "E24",
    "001:162",
    "el lote completo no se activa solo",
    r"«modo por lotes se activa automáticamente»",
    r"Keras usa `batch_size=32` si no se le dice otra cosa",
)
def _():
    parts = len(range(0, 100, 32))
    yield Case(
        "actualizaciones por época con 100 ejemplos, sin batch_size", 1, math.ceil(100 / 32), parts
    )


# %%
@erratum(
    "E25",
    "001:146 frente a 001:251",
    "sumar en un sitio y promediar en otro",
    r"lote completo: $\sum_i \nabla J_i$; mini-batch: $\frac{1}{n}\sum_i \nabla J_i$",
    r"$\frac{1}{n}\sum_i \nabla J_i$ en los dos",
)
def _():
    x, copies = POINTS[:, 0], np.tile(POINTS[:, 0], 10)
    slope = lambda x: (0.5 * x - x) * x  # of each example, at w = 1/2
    mean = jax.grad(lambda w, x: jnp.mean(0.5 * (w * x - x) ** 2))
    truth = exact(lambda w, copies, x: mean(w, copies) / mean(w, x), 0.5, copies, x)
    yield Case(
        "cuánto crece el gradiente al repetir los datos 10 veces",
        slope(copies).sum() / slope(x).sum(),
        slope(copies).mean() / slope(x).mean(),
        truth,
    )


# %%
@erratum(
    "E26",
    "001:243-249",
    "un ejemplo de más en el mini-batch",
    r"ejemplos $i, \dots, i+n$",
    r"ejemplos $i, \dots, i+n-1$",
)
def _():
    i, n, indices = 2, 4, np.arange(10)
    inclusive = indices[(i <= indices) & (indices <= i + n)]
    exclusive = indices[(i <= indices) & (indices < i + n)]
    yield Case(
        "ejemplos de un lote con n=4", len(inclusive), len(exclusive), len(indices[i : i + n])
    )


# %%
@erratum(
    "E27",
    "001:472-474",
    "la línea no se puede leer",
    r"`Normalize((0.5, 0.5, 0.5))]])`",
    r"`Normalize((0.5,), (0.5,))])`",
)
def _():
    head = "transform = transforms.Compose(\n    [transforms.ToTensor(),\n     transforms."
    printed, right = head + "Normalize((0.5, 0.5, 0.5))]])", head + "Normalize((0.5,), (0.5,))])"
    names = lambda text: len(compile(text, "001", "exec").co_names)
    truth = len({"transform", "transforms", "Compose", "ToTensor", "Normalize"})
    yield Case("nombres que usa el fragmento", attempt(lambda: names(printed)), names(right), truth)
    image = np.zeros((1, 28, 28))
    shapes = [
        ((image - mean) / mean).shape for mean in (np.full((3, 1, 1), 0.5), np.full((1, 1, 1), 0.5))
    ]
    yield Case("forma de un dígito normalizado (PyTorch lanza RuntimeError)", *shapes, image.shape)


# %% [markdown]
# ## Tasa, convergencia y palabras
#
# Una tasa demasiado alta no produce sobreajuste: produce divergencia. Sobreajustar es acertar de
# más en el entrenamiento; aquí es la propia pérdida de entrenamiento la que crece. En un tazón de
# curvatura $L$ el límite es $\eta = 2/L$, y $2(1+\beta)/L$ con momentum (lección 2).


# %%
def end_of(tx, steps=400):
    """Where an optimizer of the library arrives on ½w² from 1."""

    def step(carry, _):
        w, state = carry
        u, state = tx.update(w, state, w)
        return (joc.apply_updates(w, u), state), None

    w = jnp.ones(())
    return jax.lax.scan(step, (w, tx.init(w)), length=steps)[0][0]


# %%
@erratum(
    "E28",
    "001:425",
    "una tasa alta no sobreajusta, diverge",
    r"tasa alta $\Rightarrow$ «sobreajuste»",
    r"diverge si y solo si $\eta > 2(1+\beta)/L$",
)
def _():
    rates = np.linspace(0.15, 3.95, 20)  # η, for a bowl with L = 1
    for beta in (0.0, 0.9):
        ends = exact(jax.vmap(lambda eta, b=beta: end_of(joc.sgd(eta, momentum=b))), rates)
        yield Case(
            f"de 20 tasas entre 0,15/L y 3,95/L, cuántas hacen crecer la pérdida (β={beta:g})",
            0,
            int(np.sum(rates > 2 * (1 + beta))),
            int(np.sum(np.abs(ends) > 1)),
        )


# %%
@erratum(
    "E29",
    "001:220",
    "el lote completo no asegura el mínimo global",
    r"«convergencia hacia el mínimo global»",
    r"hacia un punto con $\nabla J = 0$; global solo si $J$ es convexa",
)
def _():
    f = lambda w: w**4 / 4 - w**2 / 2 + w / 5
    roots = np.sort(np.roots([1.0, 0.0, -1.0, 0.2]).real)  # minimum, maximum, minimum
    end = library(joc.sgd(0.05), lambda w, t: w**3 - w + 0.2, 1.5, 2000)[-1]
    yield Case(
        "pérdida final desde w=1,5 en w⁴/4 − w²/2 + w/5", f(roots).min(), f(roots[2]), f(end)
    )


# %%
@erratum(
    "E32",
    "004:33",
    "J es el costo, no el gradiente",
    r"«$J$ es el gradiente»: $\nabla J$ sería la segunda derivada",
    r"$J$ es la función de costo y $\nabla J$ su gradiente",
)
def _():
    eta, a, theta = 0.1, 3.0, 2.0  # cost ½ a θ²
    truth = library(joc.sgd(eta), lambda w, t: a * w, theta, 1)[0]
    yield Case(
        "θ tras un paso en ½·3·θ² desde 2, η=0,1", theta - eta * a, theta - eta * a * theta, truth
    )


# %% [markdown]
# «Hacer la tasa a cero» tampoco basta. Robbins y Monro piden dos cosas: $\sum\eta_s = \infty$,
# para poder llegar desde cualquier sitio, y $\sum\eta_s^2 < \infty$, para que el ruido se apague.
# La fórmula de las transparencias, $\eta_s = \eta_0/(1+s\,\eta_d)$, cumple ambas. Con $\eta_s =
# \eta_0/(1+s)^2$, que también va a cero, el descenso se queda a medio camino: sobre $\tfrac12 w^2$
# llega a $\prod_n (1-\eta_0/n^2) = \sin(\pi\sqrt{\eta_0})/(\pi\sqrt{\eta_0})$.


# %%
def inverse_time(s, eta0=0.5, eta_d=0.1):
    return eta0 / (1 + s * eta_d)


# %%
@erratum(
    "E33",
    "002:521",
    "una tasa que va a cero no basta",
    r"$\eta_s \to 0$",
    r"$\eta_s \to 0$ con $\sum\eta_s = \infty$ y $\sum\eta_s^2 < \infty$",
)
def _():
    s = np.arange(20_000.0)
    left = [np.prod(1 - eta) for eta in (0.5 / (1 + s) ** 2, inverse_time(s))]
    tx = joc.sgd(joc.inverse_time_decay(0.5, 0.1))
    yield Case(
        "lo que queda por recorrer en ½w² desde 1",
        *left,
        library(tx, lambda w, t: w, 1.0, 20_000)[-1],
    )


left_over = ERRATA[-1][-1][0].printed
x = np.sqrt(0.5)
assert abs(left_over - np.sin(np.pi * x) / (np.pi * x)) < 1e-4  # the product has 20,000 factors

s = np.arange(10**6)
sums = [np.sum(inverse_time(s, 1.0, 0.01) ** power) for power in (1, 2)]
bounds = 1e4 * polygamma(1, 100.0)  # Σ over all s of η²
print(f"η₀=1, η_d=0,01, un millón de pasos: Ση = {sums[0]:.1f} (crece), Ση² = {sums[1]:.2f}")
print(f"límite de Ση²: {bounds:.2f}")
assert sums[1] < bounds < sums[1] + 0.02

# %%
fig, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
xs = np.linspace(-3, 3, 121)
pair = [exact(f, xs) for f in (tanh_printed, tanh_right)]
drawn(axes[0, 0], xs, *pair, "$\\varepsilon$", "$\\sigma$", "E5. tanh")
pair = [exact(f, xs) for f in (softplus_printed, softplus_right)]
drawn(axes[0, 1], xs, *pair, "$\\varepsilon$", "$\\sigma$", "E6. softplus")
ends = {"impresa": fit_line(POINTS[:, 0]), "correcta": fit_line(POINTS)}
lines = [ends[name][0] * POINTS + ends[name][1] for name in ("impresa", "correcta")]
drawn(axes[1, 0], POINTS, *lines, "$x$", "$y$", "E22. La regresión de 001")
axes[1, 0].plot(POINTS, POINTS, "o", color=GREY, label="datos")
s = np.arange(1, 2001)
left = [np.cumprod(1 - eta) for eta in (0.5 / s**2.0, inverse_time(s - 1))]
drawn(axes[1, 1], s, *left, "paso", "distancia al óptimo", "E33. Dos tasas que van a cero")
axes[1, 1].set(xscale="log", yscale="log")
for ax in axes.flat:
    ax.legend(fontsize=9)
show(fig, "redes")

# %% [markdown]
# ## Tres que la lista no traía
#
# Al verificar las anteriores contra los apuntes aparecieron otras. En la CNN de 001 para MNIST la
# primera capa densa espera 9216 entradas; dos convoluciones 3×3 y dos reducciones a la mitad dejan
# muchas menos, y el programa se detiene. En ese mismo bucle, las líneas que informan cada cien
# lotes quedaron fuera del `for` interior y nunca imprimen nada. Y en 002 el gradiente de una
# función convexa «siempre apunta en la dirección del óptimo»: solo forma con ella un ángulo de
# menos de 90°.


# %%
@erratum(
    "N1",
    "001:493",
    "entradas de la capa densa de MNIST",
    r"`nn.Linear(9216, 128)`",
    r"`nn.Linear(1600, 128)` ($64 \cdot 5 \cdot 5$)",
)
def _():
    def features(image):
        for channels, out in ((1, 32), (32, 64)):
            image = jax.lax.conv(image, jnp.zeros((out, channels, 3, 3)), (1, 1), "VALID")
            image = jax.lax.reduce_window(
                image, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"
            )
        return image.ravel()

    side = 28
    for _ in range(2):
        side = (side - 2) // 2
    truth = jax.eval_shape(features, jnp.zeros((1, 1, 28, 28))).size
    yield Case("números por imagen que llegan a la capa densa", 9216, 64 * side**2, truth)


# %%
@erratum(
    "N2",
    "001:524-528",
    "el informe de la pérdida fuera del bucle",
    r"`if i % 100 == 99` tras el bucle de lotes",
    r"dentro del bucle de lotes",
)
def _():
    batches = math.ceil(60_000 / 64)
    printed = int((batches - 1) % 100 == 99)  # only the last i is looked at
    right = sum(i % 100 == 99 for i in range(batches))
    yield Case(
        "líneas por época con 60 000 imágenes en lotes de 64", printed, right, batches // 100
    )


# %%
@erratum(
    "N3",
    "002:463",
    "el gradiente convexo no apunta al óptimo",
    r"$-\nabla E$ apunta hacia $w^*$",
    r"$\langle -\nabla E,\, w^* - w\rangle \geq E(w) - E(w^*) \geq 0$",
)
def _():
    a, w = np.array([1.0, 100.0]), np.array([1.0, 1.0])  # ½ Σ a w², the optimum is 0
    cosine = lambda g: float(g @ w / np.linalg.norm(g) / np.linalg.norm(w))
    truth = cosine(exact(jax.grad(lambda w: 0.5 * jnp.sum(a * w**2)), w))
    assert (a * w) @ w >= 0.5 * np.sum(a * w**2)
    yield Case(
        "coseno entre −∇E y la dirección del óptimo, curvaturas 1 y 100", 1.0, cosine(a * w), truth
    )


# %% [markdown]
# ## La tabla
#
# Una fila por caso. Se guarda en Markdown y en HTML.


# %%
def order(row):
    """E2 before E2b before E3; what the list did not have comes last."""
    number = row[0]
    return number[0], int("".join(filter(str.isdigit, number))), number


def rows_of(number, where, title, printed, right, cases):
    """A row a case; what the rows of an erratum share stands in the first."""
    for i, case in enumerate(cases):
        names = ("n.º", "lugar", "errata", "impreso", "correcto")
        shared = dict(zip(names, (number, where, title, printed, right), strict=True))
        yield (shared if i == 0 else dict.fromkeys(names, "")) | {
            "se mide": case.what,
            "da lo impreso": shown(case.printed),
            "da lo correcto": shown(case.right),
        }


ERRATA.sort(key=order)
table = pd.DataFrame([row for found in ERRATA for row in rows_of(*found)])
numbers = [found[0] for found in ERRATA]
listed = [number for number in numbers if number.startswith("E")]
assert len(listed) == 37 and len(set(numbers)) == len(numbers)
print(f"{len(listed)} erratas de la lista y {len(numbers) - len(listed)} más; {len(table)} casos")

# %% [markdown]
# ¿Cuánto se equivoca cada una? La distancia relativa entre lo que da lo impreso y la verdad, en el
# peor de sus casos. A la derecha del todo, lo que ni siquiera se ejecuta o sale con otra forma.
# Las más peligrosas no son esas, que se delatan solas, sino las que devuelven un número creíble.

# %%
worst = {row[0]: max(distance(case.printed, case.truth) for case in row[5]) for row in ERRATA}
names = [f"{row[0]}. {row[2]}" for row in ERRATA]
sizes = np.array([worst[name.partition(".")[0]] for name in names])
runs = np.isfinite(sizes)
edge = 10 * sizes[runs].max()
print(f"{(~runs).sum()} no se ejecutan o cambian de forma; {runs.sum()} dan otro número")

fig, ax = plt.subplots(figsize=(8, 11), layout="constrained")
rows = np.arange(len(names))
ax.hlines(rows, sizes[runs].min() / 2, np.where(runs, sizes, edge), color="#DDDDDD", lw=1)
ax.plot(sizes[runs], rows[runs], "o", color=BLUE, label="da otro número")
ax.plot(np.full((~runs).sum(), edge), rows[~runs], "X", color=ORANGE, ms=9, label="no se ejecuta")
ax.set(xscale="log", xlabel="error relativo de lo impreso", ylim=(len(names), -1))
ax.set_yticks(rows, names, fontsize=9)
ax.legend(loc="upper right", fontsize=9)
show(fig, "cuanto")

# %%
folder = Path("runs") / "course" / "10_erratas"
folder.mkdir(parents=True, exist_ok=True)
rows = [table.columns, ["---"] * table.shape[1], *table.values.tolist()]
markdown = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
(folder / "erratas.md").write_text(markdown + "\n", encoding="utf-8")
head = """<!doctype html><html lang="es"><meta charset="utf-8"><title>Erratas de los apuntes</title>
<style>body {font: 15px sans-serif} td, th {vertical-align: top; padding: 4px 8px; text-align: left;
border-top: 1px solid #ddd} td:first-child {font-weight: bold}</style>
"""
page = html(markdown) if html else table.to_html(index=False)
(folder / "erratas.html").write_text(head + page, encoding="utf-8")
print(folder / "erratas.md", folder / "erratas.html", sep="\n")

if "ipykernel" in sys.modules:
    from IPython.display import Markdown, display

    display(Markdown(markdown))
