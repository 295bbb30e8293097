# %% [markdown]
# # 10.3. Erratas de activaciones y pérdidas
#
# Las diapositivas de los apuntes 002 recorren el camino que va de la neurona a la entropía cruzada.
# Casi todos los tropiezos son de signo: un menos de más, uno de menos, un producto que es una suma.
# Ninguno impide que el programa corra.
#
# Cada errata se somete a la misma prueba: se mide lo **impreso**, lo **correcto** y la **verdad**,
# que viene de otra parte (`jax.nn`, `jax.grad`, Optax, una cuenta directa). La correcta tiene que
# coincidir con la verdad hasta $10^{-12}$, y la impresa apartarse más de un uno por ciento.
#
# **Al terminar sabrás** pasar de la Bernoulli a la entropía cruzada sin perder un signo; decir qué
# pérdida corresponde a una salida softmax y cuál a varias sigmoides; comprobar una derivada con
# `jax.grad`.
#
# **Hace falta** las partes [7.1](07_1_activaciones_y_perdidas.py) y
# [10.1](10_1_momentum_y_adam.py).

# %%
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from jaxopt_course.course import show
from jaxopt_course.course.errata import Errata, Measure
from jaxopt_course.course.walks import exact

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
errata = Errata()

# %% [markdown]
# ## Activaciones
#
# $$\tanh\varepsilon = \frac{1-e^{-2\varepsilon}}{1+e^{-2\varepsilon}}, \qquad
# \mathrm{softplus}(\varepsilon) = \ln(1+e^{\varepsilon})$$
#
# La tanh impresa es $-\tanh$, y la softplus impresa está reflejada: las dos bajan donde deberían
# subir. Una red con ellas también aprende, porque los pesos siguientes cambian de signo, y por eso
# el error pasa inadvertido en el código. En una derivada calculada a mano, no.


# %%
def tanh_printed(x):
    return (jnp.exp(-2 * x) - 1) / (jnp.exp(-2 * x) + 1)


def tanh_right(x):
    return (1 - jnp.exp(-2 * x)) / (1 + jnp.exp(-2 * x))


def softplus_printed(x):
    return jnp.log(1 + jnp.exp(-x))


def softplus_right(x):
    return jnp.log(1 + jnp.exp(x))


def value_and_slope(f):
    """El valor en 2 y la pendiente en 0."""
    return exact(lambda x, zero: jnp.stack([f(x), jax.grad(f)(zero)]), 2.0, 0.0)


errata.judge(
    "E5",
    "002:241",
    "la tanh con el signo cambiado",
    quote=r"$\sigma(\varepsilon) = \frac{e^{-2\varepsilon} - 1}{e^{-2\varepsilon} + 1}$",
    printed=(
        r"$\sigma(\varepsilon) = \frac{e^{-2\varepsilon}-1}{e^{-2\varepsilon}+1}$",
        tanh_printed,
    ),
    right=(
        r"$\sigma(\varepsilon) = \frac{1-e^{-2\varepsilon}}{1+e^{-2\varepsilon}}$",
        tanh_right,
    ),
    truth=jnp.tanh,
    cases={"valor en 2 y pendiente en 0": value_and_slope},
)
errata.judge(
    "E6",
    "002:267",
    "la softplus reflejada",
    quote=r"$\sigma(\varepsilon) = \log(1 + e^{-\varepsilon})$",
    printed=(r"$\sigma(\varepsilon) = \log(1+e^{-\varepsilon})$", softplus_printed),
    right=(r"$\sigma(\varepsilon) = \log(1+e^{\varepsilon})$", softplus_right),
    truth=jax.nn.softplus,
    cases={"valor en 2 y pendiente en 0": value_and_slope},
)

# %%
fig, axes = plt.subplots(2, 1, figsize=(6, 6.5), layout="constrained")
xs = np.linspace(-3, 3, 121)
pairs = {"E5. tanh": (tanh_printed, tanh_right), "E6. softplus": (softplus_printed, softplus_right)}
for ax, (title, (printed, right)) in zip(axes, pairs.items(), strict=True):
    ax.plot(xs, exact(right, xs), color=BLUE, lw=2.5, label="correcta")
    ax.plot(xs, exact(printed, xs), color=ORANGE, lw=2, ls="--", label="impresa")
    ax.axvline(0, color=GREY, lw=0.8)
    ax.set(xlabel="$\\varepsilon$", ylabel="$\\sigma(\\varepsilon)$", title=title)
    ax.legend()
show(fig, "activaciones", "La tanh y la softplus: las correctas y las impresas")

# %% [markdown]
# ## Softmax
#
# $$\mathrm{softmax}(z)_s = \frac{e^{z_s}}{\sum_t e^{z_t}}$$
#
# Normalizar salidas logísticas no es lo mismo. Softmax no cambia si a todos los $z$ se les suma lo
# mismo; la versión impresa sí, y además aplasta las diferencias: como cada logística está entre
# cero y uno, con entradas grandes todas las clases acaban empatadas.


# %%
def normalised_logistic(z):
    a = 1 / (1 + np.exp(-z))
    return a / a.sum()


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


errata.judge(
    "E7",
    "002:289-294",
    "logística normalizada por softmax",
    quote="la función softmax, que es equivalente a aplicar la función logística y luego "
    "normalizar",
    printed=(r"$a_s = \sigma(z_s)/\sum_t\sigma(z_t)$, con $\sigma$ logística", normalised_logistic),
    right=(r"$a_s = e^{z_s}/\sum_t e^{z_t}$", softmax),
    truth=lambda z: exact(jax.nn.softmax, z),
    cases={
        "probabilidades de z=(1, 2, 3)": lambda f: f(np.array([1.0, 2.0, 3.0])),
        "probabilidades de z=(11, 12, 13)": lambda f: f(np.array([11.0, 12.0, 13.0])),
    },
)

# %% [markdown]
# ## De la verosimilitud a la pérdida
#
# De la distribución de Bernoulli a la entropía cruzada, paso a paso y con los signos en su sitio:
#
# $$p(y\mid x) = f^{\,y}(1-f)^{1-y}, \qquad
# \begin{aligned}\ell_m &= y_m\ln f_m\\ &+ (1-y_m)\ln(1-f_m),\end{aligned} \qquad
# L(S) = \sum_m \ell_m, \qquad E = -L(S)$$
#
# En las diapositivas el producto es una suma y las «probabilidades» pasan de uno; aparece un
# $1/M$ que no viene de ninguna parte, y se minimiza lo que había que maximizar.


# %%
def bernoulli_printed(y, p):
    return p**y + (1 - p) ** (1 - y)


def bernoulli_right(y, p):
    return p**y * (1 - p) ** (1 - y)


errata.judge(
    "E8",
    "002:311 y 002:313",
    "suma por producto en la Bernoulli",
    quote=r"$p(y\mid x) = p(y = 1\mid x)^{y} + p(y = -1\mid x)^{1-y}$",
    printed=(r"$p(y \mid x) = p^{\,y} + (1-p)^{1-y}$, clases $1$ y $-1$", bernoulli_printed),
    right=(r"$p(y \mid x) = p^{\,y}\,(1-p)^{1-y}$, clases $1$ y $0$", bernoulli_right),
    truth=lambda y, p: exact(jax.scipy.stats.bernoulli.pmf, y, p),
    cases={"probabilidad de y=1 y de y=0 con p=0,3": lambda f: f(np.array([1, 0]), 0.3)},
)
impossible, possible = errata["E8"].cases[0].printed, errata["E8"].cases[0].right
assert impossible.min() > 1 and np.isclose(possible.sum(), 1)


# %%
def terms(f, y):
    return y * np.log(f) + (1 - y) * np.log(1 - f)


TWO = np.array([0.8, 0.6]), np.array([1, 0])  # f(x) de dos ejemplos, y sus etiquetas
errata.judge(
    "E9",
    "002:318",
    "un 1/M de más",
    quote=r"$= \frac{1}{M} (\sum_{m} (y_{m} \ln f(x_{m}) + (1 - y_{m}) \ln(1 - f(x_{m}))))$",
    printed=(
        r"$\ln\prod_m p(y_m \mid x_m) = \frac{1}{M}\sum_m (\dots)$",
        lambda f, y: np.mean(terms(f, y)),
    ),
    right=(
        r"$\ln\prod_m p(y_m \mid x_m) = \sum_m (\dots)$",
        lambda f, y: np.sum(terms(f, y)),
    ),
    truth=lambda f, y: math.log(math.prod(np.where(y == 1, f, 1 - f))),
    cases={"ln(0,8·0,4)": lambda likelihood: likelihood(*TWO)},
)

# %% [markdown]
# Del $1/M$ no depende dónde está el mínimo, solo la escala de la pérdida y, con ella, la tasa de
# aprendizaje que conviene. Del signo sí depende: la red que minimiza $L(S)$ busca la peor respuesta
# posible.

# %%
LABELS = np.array([1, 1, 0])
GRID = np.arange(1, 300) / 300


def likelihood(p):
    return np.sum(terms(p, LABELS))


# %%
errata.judge(
    "E10",
    "002:322",
    "minimizar lo que hay que maximizar",
    quote="Maximizar L(S) es equivalente a minimizar L(S).",
    printed=(r"$\max L(S) \equiv \min L(S)$", likelihood),
    right=(r"$\max L(S) \equiv \min\,(-L(S))$", lambda p: -likelihood(p)),
    cases={
        "p que minimiza, con etiquetas 1, 1, 0 (de 1/300 a 299/300)": Measure(
            lambda loss: GRID[np.argmin([loss(p) for p in GRID])], truth=LABELS.mean()
        )
    },
)

# %% [markdown]
# En `(1 y)ln(1 f)` faltan dos signos menos. Puede ser daño de la extracción del PDF, lo mismo que
# el menos de E10: en la línea siguiente a esa, la pérdida lleva bien el suyo. Se anotan porque es
# lo que se lee, y leído como producto es otra pérdida.


# %%
def binary_printed(f, y):
    return -(y * np.log(f) + (1 * y) * np.log(1 * f))


def binary_right(f, y):
    return -(y * np.log(f) + (1 - y) * np.log(1 - f))


def of_optax(f, y):
    return exact(optax.sigmoid_binary_cross_entropy, np.log(f / (1 - f)), y)


errata.judge(
    "E11",
    "002:324 y 002:330",
    "signos menos perdidos",
    quote=r"$E(f) = -\sum_{m} (y_m \ln f(x_m) + (1 y_m) \ln(1 f(x_m)))$",
    printed=(r"$-[y\ln f + (1\,y)\ln(1\,f)]$", binary_printed),
    right=(r"$-[y\ln f + (1-y)\ln(1-f)]$", binary_right),
    truth=of_optax,
    cases={
        "pérdida de f=0,3 con y=1 y con y=0": lambda loss: loss(0.3, np.array([1.0, 0.0])),
    },
)

# %% [markdown]
# ## Varias clases
#
# Usar la suma binaria con una salida softmax es más serio: el término $(1-y)\ln(1-\hat y)$ sobra, y
# el gradiente respecto de los logits deja de ser el sencillo $\hat y - y$. (Con una sigmoide
# independiente por clase, en cambio, la suma impresa es la que corresponde.)


# %%
def both_terms(z, y):
    p = jax.nn.softmax(z)
    return -jnp.sum(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))


def one_term(z, y):
    return -jnp.sum(y * jnp.log(jax.nn.softmax(z)))


P, SECOND = np.array([0.2, 0.5, 0.3]), np.array([0.0, 1.0, 0.0])
errata.judge(
    "E12",
    "002:330",
    "entropía binaria sobre una softmax",
    quote=r"$E(f) = -\sum_{m} \sum_{k} (y_{mk} \ln \hat{y}_{mk} + (1 y_{mk}) \ln(1 \hat{y}_{mk}))$",
    printed=(
        r"$-\sum_{m,k}[y_{mk}\ln\hat y_{mk} + (1-y_{mk})\ln(1-\hat y_{mk})]$",
        both_terms,
    ),
    right=(r"$-\sum_{m,k} y_{mk}\ln\hat y_{mk}$", one_term),
    truth=optax.softmax_cross_entropy,
    cases={
        "pérdida de ŷ=(0,2; 0,5; 0,3), clase 2": lambda loss: exact(loss, np.log(P), SECOND),
        "gradiente respecto de los logits": lambda loss: exact(jax.grad(loss), np.log(P), SECOND),
    },
)
assert np.allclose(errata["E12"].cases[1].right, P - SECOND, rtol=0, atol=1e-12)

# %% [markdown]
# Y por último la derivada que abre la retropropagación. Con el signo impreso no se desciende, se
# asciende: cada paso aleja la salida de su etiqueta.


# %%
def total(a, y):
    return -jnp.sum(y * jnp.log(a) + (1 - y) * jnp.log(1 - a))


errata.judge(
    "E13",
    "002:394 y 002:398",
    "la derivada de la pérdida con el signo cambiado",
    quote=r"$\frac{\partial E}{\partial a_S^{(L)}} = \frac{(y_s - a_s^{(L)})}{a_s^{(L)}(1 - "
    r"a_s^{(L)})}$",
    printed=(
        r"$\frac{\partial E}{\partial a} = \frac{y-a}{a(1-a)}$",
        lambda a, y: (y - a) / (a * (1 - a)),
    ),
    right=(
        r"$\frac{\partial E}{\partial a} = \frac{a-y}{a(1-a)}$",
        lambda a, y: (a - y) / (a * (1 - a)),
    ),
    truth=lambda a, y: exact(jax.grad(total), a, y),
    cases={
        "∂E/∂a en a=(0,2; 0,7) con y=(1, 0)": lambda slope: slope(
            np.array([0.2, 0.7]), np.array([1.0, 0.0])
        )
    },
)

# %% [markdown]
# Visto en una sola neurona: una salida que empieza en 0,2, cuya etiqueta es 1, y cien pasos de
# descenso sobre $z$ con cada derivada, $\partial E/\partial z = \partial E/\partial a \cdot
# a(1-a)$.


# %%
def outputs(sign, eta=0.1, steps=100):
    """La salida de una neurona sigmoide mientras aprende la etiqueta 1."""
    z, path = math.log(0.2 / 0.8), []
    for _ in range(steps):
        a = 1 / (1 + math.exp(-z))
        path.append(a)
        z -= eta * sign * (a - 1)
    return np.array(path)


fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
ax.plot(outputs(1), color=BLUE, lw=2.5, label="correcta")
ax.plot(outputs(-1), color=ORANGE, lw=2, ls="--", label="impresa")
ax.axhline(1, color=GREY, lw=0.8)
ax.set(xlabel="paso", ylabel="salida $a$ (la etiqueta es 1)", title="E13. Con cada derivada")
ax.legend()
show(fig, "signo", "La salida de una neurona que aprende la etiqueta 1 con cada derivada (E13)")
assert outputs(1)[-1] > 0.8 and outputs(-1)[-1] < 0.01

# %% [markdown]
# ## La tabla
#
# Una fila por caso: lo que se midió y lo que dio cada fórmula.

# %%
errata.show()
show(errata.chart(), "cuanto", "Cuánto se equivoca cada errata, en el peor de sus casos")

# %% [markdown]
# Un error relativo de dos, como el de E5 y E13, es la marca de un signo cambiado: el número es el
# opuesto del que tenía que salir.

# %%
apart = {one.number: one.cases[0].apart for one in errata.found}
assert abs(apart["E5"] - 2) < 1e-12 and abs(apart["E13"] - 2) < 1e-12

# %% [markdown]
# ## En resumen
#
# - Casi todo lo que falla aquí es un signo, y el programa corre igual: hay que comprobar un número.
# - La softmax no cambia si a todos los $z$ se les suma lo mismo; una logística normalizada, sí
#   (E7).
# - Maximizar la verosimilitud es minimizar $-L(S)$. El $1/M$ no mueve el mínimo, pero sí la tasa
#   que conviene (E9, E10).
# - Con softmax se suma solo $y\ln\hat y$, y el gradiente respecto de los logits es $\hat y-y$
#   (E12).
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.2](15_2_soluciones.py).)
#
# 1. Predice qué probabilidades da la fórmula impresa de E7 con $z=(-3,0,3)$, y si el orden de las
#    clases se conserva.
# 2. Cambia las etiquetas de E10 por $1,0,0$. ¿Qué $p$ minimiza cada pérdida?
# 3. Demuestra que con $E=-\sum_k y_k\ln\hat y_k$ y softmax $\partial E/\partial z_k=\hat y_k-y_k$.
# 4. Demuestra que la tanh impresa es $-\tanh$, y di qué pesos hay que cambiar de signo para que una
#    red de una capa oculta calcule con ella lo mismo que con la correcta.
#
# ## Para leer más
#
# - Bridle (1990), «Probabilistic Interpretation of Feedforward Classification Network Outputs».
# - Bishop (2006), *Pattern Recognition and Machine Learning*, capítulo 5.
# - Goodfellow, Bengio y Courville (2016), *Deep Learning*, capítulo 6.
