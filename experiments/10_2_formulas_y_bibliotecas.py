# %% [markdown]
# # 10.2. Erratas entre la fórmula y la biblioteca
#
# Los apuntes ponen una fórmula y, al lado, una llamada a Keras o a PyTorch. Las dos cosas suelen
# ser correctas por separado; lo que falla es el «o sea» que las une. Las erratas de esta parte son
# de esa clase: fórmulas que no son las del código que las ilustra, y valores por defecto que la
# biblioteca no tiene.
#
# Cada una se somete a la misma prueba: se mide lo **impreso**, lo **correcto** y la **verdad**; la
# correcta tiene que coincidir con la verdad hasta $10^{-12}$ y la impresa no. La verdad es aquí
# `like="keras"` o `like="torch"`: reglas de la biblioteca que repiten hasta esa misma cifra las
# trayectorias que hicieron los propios Keras y PyTorch
# ([lección 11.1](11_1_las_mismas_reglas.py)).
#
# **Al terminar sabrás** decir qué fórmula hay detrás de una llamada a Keras o a PyTorch; en qué
# sitio pone cada una $\varepsilon$ y cuándo importa; por qué L2 y *weight decay* no llevan el mismo
# $\lambda$.
#
# **Hace falta** la [parte 10.1](10_1_momentum_y_adam.py), donde se explica cómo se juzga una
# errata, y las lecciones [4](04_adagrad_rmsprop_adadelta.py) y [5](05_adam.py).

# %%
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxopt_course as joc
from jaxopt_course.course import show
from jaxopt_course.course.claims import spanish
from jaxopt_course.course.errata import Errata
from jaxopt_course.course.walks import exact, walk

BLUE, ORANGE = "#0072B2", "#D55E00"
errata = Errata()

START, STEPS = np.array([0.5, -1.0, 2.0]), 60


def bowl(w, t):
    return np.array([3.0, 1.0, 0.3]) * (w - np.array([1.0, -2.0, 0.5]))


def constant(g):
    """Un gradiente que siempre es g."""
    return lambda w, t: 0 * w + g


def same(a, b):
    return np.allclose(a, b, rtol=1e-12, atol=1e-12)


def agree(rule, tx):
    """Si una regla de la pizarra da los pasos de un optimizador de la biblioteca."""
    return same(walk(rule, bowl, START, STEPS), walk(tx, bowl, START, STEPS))


def lengths(method, g, steps, eta=1.0):
    """Cuánto baja cada paso desde 0, en unidades de η, si el gradiente siempre es g."""
    return -np.diff(walk(method, constant(g), 0.0, steps), prepend=0.0) / eta


# %% [markdown]
# ## Media o suma
#
# Los apuntes 001 escriben el momentum como media móvil y lo ilustran con `SGD(momentum=0.9)` de
# Keras y de PyTorch, que es una suma: la fórmula y el código dan pasos que acaban siendo diez veces
# distintos.


# %%
def ema_momentum(w, v, slope, t, eta=0.01, beta=0.9):
    v = beta * v + (1 - beta) * slope(w, t)
    return w - eta * v, v


def momentum(w, v, slope, t, eta=0.01, beta=0.9):
    v = beta * v + slope(w, t)
    return w - eta * v, v


errata.judge(
    "E20",
    "001:394 frente a 001:453 y 001:509",
    "la fórmula de una media con el código de una suma",
    quote=r"$v_t = \beta v_{t-1} + (1 - \beta) \nabla_{\theta} J(\theta)$",
    printed=(
        r"$v_t = \beta v_{t-1} + (1-\beta) g_t$ para `SGD(momentum=0.9)`",
        dict.fromkeys(("keras", "torch"), ema_momentum),
    ),
    right=(
        r"$v_t = \beta v_{t-1} + g_t$ (o la tasa multiplicada por $1-\beta$)",
        dict.fromkeys(("keras", "torch"), momentum),
    ),
    truth={like: joc.sgd(0.01, momentum=0.9, like=like) for like in ("keras", "torch")},
    cases={
        f"último paso / η con gradiente 1 (SGD de {name})": lambda rules, like=like: lengths(
            rules[like], 1.0, 400, 0.01
        )[-1]
        for like, name in (("keras", "Keras"), ("torch", "PyTorch"))
    },
)
assert all(same(case.right / case.printed, 10) for case in errata["E20"].cases)

# %% [markdown]
# ## Los valores por defecto «de Keras»
#
# Adagrad y RMSProp llevan $\varepsilon$ dentro de la raíz, en los apuntes y en Keras:
#
# $$S_t = S_{t-1} + g_t^2 \qquad\text{o}\quad S_t = \rho S_{t-1} + (1-\rho) g_t^2, \qquad
# w_{t+1} = w_t - \frac{\eta}{\sqrt{S_t + \varepsilon}}\, g_t$$
#
# Los apuntes 002 dan sus valores por defecto. No los inventan: son los que tuvo Keras hace años. En
# Keras 3 ya no lo son, y quien deja los de hoy creyendo que son aquellos entrena con otra tasa.
# Adagrad, además, ya no empieza con la memoria vacía.


# %%
def adagrad(w, S, slope, t, eta=0.01, eps=1e-7, S0=0.0):
    g = slope(w, t)
    S = (S0 if t == 1 else S) + g**2
    return w - eta * g / np.sqrt(S + eps), S


def rmsprop(w, S, slope, t, eta=1e-3, rho=0.9, eps=1e-7):
    g = slope(w, t)
    S = rho * S + (1 - rho) * g**2
    return w - eta * g / np.sqrt(S + eps), S


assert agree(adagrad, joc.adagrad(0.01, initial_accumulator_value=0.0))
assert agree(rmsprop, joc.rmsprop(1e-3, decay=0.9, eps=1e-7))

errata.judge(
    "E17",
    "002:612-619",
    "valores por defecto de Adagrad",
    quote=r"Valores por defecto (de Keras): […] $\alpha = 0.01$",
    printed=(r"«de Keras»: $\alpha = 0{,}01$, con $S_0 = 0$", adagrad),
    right=(
        r"Keras 3: $\alpha = 0{,}001$, $S_0 = 0{,}1$",
        partial(adagrad, eta=1e-3, S0=0.1),
    ),
    truth=joc.adagrad(like="keras"),
    cases={"los tres primeros pasos con gradiente 1": lambda rule: lengths(rule, 1.0, 3)},
)
errata.judge(
    "E18",
    "002:634",
    "ε por defecto de RMSProp",
    quote=r"Valores por defecto (de Keras): […] $\varepsilon = 10^{-6}$",
    printed=(r"«de Keras»: $\varepsilon = 10^{-6}$", partial(rmsprop, eps=1e-6)),
    right=(r"Keras 3: $\varepsilon = 10^{-7}$", partial(rmsprop, eps=1e-7)),
    truth=joc.rmsprop(like="keras"),
    cases={
        "primer paso / η con gradiente 0,001": lambda rule: lengths(rule, 1e-3, 1, 1e-3),
    },
)

# %% [markdown]
# ## El sitio de $\varepsilon$
#
# La fórmula de Adam que los apuntes 000 ponen junto a `keras.optimizers.Adam` es la del artículo.
# Keras usa otra, que el artículo menciona como variante: suma $\varepsilon$ a la raíz **sin
# corregir**, de modo que en el primer paso pesa $1/\sqrt{1-\beta_2}$ veces más.
#
# $$w_t = w_{t-1} - \eta\,\frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}\,
# \frac{m_t}{\sqrt{v_t}+\varepsilon}$$
#
# De RMSProp, los apuntes 001 dan la fórmula con $\varepsilon$ dentro de la raíz y la ilustran con
# Keras, que la cumple, y con PyTorch, que lo suma fuera.


# %%
def adam(w, memory, slope, t, eta=1e-3, b1=0.9, b2=0.999, eps=1e-8):
    g = slope(w, t)
    m, v = memory or (0.0, 0.0)
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
    return w - eta * m_hat / (np.sqrt(v_hat) + eps), (m, v)


def adam_of_keras(w, memory, slope, t, eta=1e-3, b1=0.9, b2=0.999, eps=1e-7):
    g = slope(w, t)
    m, v = memory or (0.0, 0.0)
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    rate = eta * np.sqrt(1 - b2**t) / (1 - b1**t)
    return w - rate * m / (np.sqrt(v) + eps), (m, v)


def rmsprop_of_torch(w, S, slope, t, eta=1e-3, rho=0.9, eps=1e-8):
    g = slope(w, t)
    S = rho * S + (1 - rho) * g**2
    return w - eta * g / (np.sqrt(S) + eps), S


assert agree(adam, joc.adam(1e-3)) and agree(adam_of_keras, joc.adam(like="keras"))
assert agree(rmsprop_of_torch, joc.rmsprop(1e-3, decay=0.9, like="torch"))

errata.judge(
    "E19",
    "000:80-98",
    "el Adam de Keras no es el del artículo",
    quote=r"$W^{(nextStep)} = W - \frac{\eta}{\sqrt{\hat{v}} + \varepsilon} \times \hat{m}$",
    printed=(
        r"Keras: $\hat m / (\sqrt{\hat v} + \varepsilon)$",
        partial(adam, eps=1e-7),
    ),
    right=(
        r"Keras: $\frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}\, m/(\sqrt{v} + \varepsilon)$",
        adam_of_keras,
    ),
    truth=joc.adam(like="keras"),
    cases={
        "primer paso / η con gradiente 10⁻⁶ y ε = 10⁻⁷": lambda rule: lengths(rule, 1e-6, 1, 1e-3),
    },
)
errata.judge(
    "E21",
    "001:726-733 frente a 001:832",
    "ε dentro de la raíz, código con ε fuera",
    quote=r"$\theta = \theta - \frac{\eta}{\sqrt{s_{dw} + \epsilon}} \nabla_{\theta} J(\theta)$",
    printed=(
        r"$\theta \leftarrow \theta - \eta\, g/\sqrt{s+\epsilon}$ para `torch.optim.RMSprop`",
        partial(rmsprop, eps=1e-8),
    ),
    right=(
        r"$\theta \leftarrow \theta - \eta\, g/(\sqrt{s}+\epsilon)$",
        partial(rmsprop_of_torch, eps=1e-8),
    ),
    truth=joc.rmsprop(1e-3, decay=0.9, like="torch"),
    cases={
        "primer paso / η con gradiente 10⁻⁴ y ε = 10⁻⁸": lambda rule: lengths(rule, 1e-4, 1, 1e-3),
    },
)

# %% [markdown]
# ¿Cuándo importa? Con gradientes grandes, nada de esto se ve. Abajo, el primer paso de cada regla
# según lo grande que sea el gradiente, con el mismo $\varepsilon$ en las dos curvas de cada cuadro.

# %%
sizes = np.geomspace(1e-9, 1e-1, 81)
fig, axes = plt.subplots(2, 1, figsize=(6.5, 6.5), layout="constrained", sharex=True)
pairs = [
    ("E19. Adam en Keras, ε = 10⁻⁷", partial(adam, eps=1e-7), adam_of_keras),
    ("E21. RMSProp en PyTorch, ε = 10⁻⁸", partial(rmsprop, eps=1e-8), rmsprop_of_torch),
]
for ax, (title, printed, right) in zip(axes, pairs, strict=True):
    first = lambda rule: [lengths(rule, g, 1, 1e-3)[0] for g in sizes]
    ax.plot(sizes, first(right), color=BLUE, lw=2.5, label="correcta")
    ax.plot(sizes, first(printed), color=ORANGE, lw=2, ls="--", label="impresa")
    ax.set(xscale="log", ylabel="primer paso / $\\eta$", title=title)
    ax.legend()
axes[-1].set_xlabel("gradiente")
show(fig, "epsilon", "El primer paso según el tamaño del gradiente, con ε en uno y en otro sitio")

# %% [markdown]
# En los dos cuadros hay una franja ancha de gradientes con los que una regla ya avanza y la otra
# apenas se mueve. En las primeras capas de una red profunda los hay así de pequeños
# ([lección 7.3](07_3_gradientes_profundos.py)).

# %%
tenth = [
    [sizes[np.argmax(np.array(first(rule)) > 0.1)] for rule in pair[1:]] for pair in pairs
]  # el gradiente desde el que una regla da un paso de η/10
for (title, *_), (printed, right) in zip(pairs, tenth, strict=True):
    print(spanish(f"{title}: pasos de η/10 desde un gradiente de {right:.0e}; "), end="")
    print(spanish(f"con la fórmula impresa, desde {printed:.0e}"))
assert tenth[0][1] > 10 * tenth[0][0] and tenth[1][0] > 10 * tenth[1][1]

# %% [markdown]
# ## Adadelta y su tasa
#
# $$S_t = \rho S_{t-1} + (1-\rho) g_t^2, \qquad
# u_t = \frac{\sqrt{X_{t-1}+\varepsilon}}{\sqrt{S_t+\varepsilon}}\, g_t$$
#
# $$X_t = \rho X_{t-1} + (1-\rho) u_t^2, \qquad w_t = w_{t-1} - \eta u_t$$
#
# En el artículo no hay tasa, y es lo que los apuntes 000 anotan como su ventaja. Las bibliotecas sí
# la tienen: PyTorch la deja en uno, que es no tenerla; Keras 3 la pone en una milésima, y eso ya es
# otro método.


# %%
def adadelta(w, memory, slope, t, eta=1.0, rho=0.95, eps=1e-7):
    g = slope(w, t)
    S, X = memory or (0.0, 0.0)
    S = rho * S + (1 - rho) * g**2
    u = np.sqrt(X + eps) / np.sqrt(S + eps) * g
    return w - eta * u, (S, rho * X + (1 - rho) * u**2)


assert agree(adadelta, joc.adadelta(1.0, rho=0.95, eps=1e-7))
assert agree(partial(adadelta, rho=0.9, eps=1e-6), joc.adadelta(like="torch"))

errata.judge(
    "E34",
    "000:125",
    "el Adadelta de Keras sí tiene tasa",
    quote="No necesita tasa de aprendizaje inicial fija.",
    printed=(r"«no necesita tasa»: $\theta \leftarrow \theta - u_t$", adadelta),
    right=(
        r"Keras: $\theta \leftarrow \theta - \eta u_t$ con $\eta = 0{,}001$ (PyTorch: $\eta = 1$)",
        partial(adadelta, eta=1e-3),
    ),
    truth=joc.adadelta(like="keras"),
    cases={
        "milésimas recorridas en 30 pasos con gradiente 1": lambda rule: (
            1e3 * lengths(rule, 1.0, 30).sum()
        ),
    },
)
assert same(errata["E34"].cases[0].printed / errata["E34"].cases[0].right, 1000)

# %% [markdown]
# ## L2 y *weight decay*
#
# Los apuntes 003 presentan el *weight decay* como el término $\lambda\sum w^2$ que se suma a la
# pérdida. Su gradiente es $2\lambda w$, de modo que equivale al `weight_decay` $2\lambda$ de
# PyTorch, y solo con SGD. En Adam, el término acoplado se divide por $\sqrt{\hat v}$ como todo lo
# demás; AdamW lo aplica aparte y da otra trayectoria.


# %%
LAMBDA, FAST = 0.05, 0.1


def penalty(w):
    return LAMBDA * jnp.sum(w**2)


def penalised(w, t):
    return bowl(w, t) + 2 * LAMBDA * w


def sgd(w, memory, slope, t, eta=0.05):
    return w - eta * slope(w, t), memory


def adamw(w, memory, slope, t, eta=FAST, decay=2 * LAMBDA):
    return adam(w * (1 - eta * decay), memory, lambda _, t: slope(w, t), t, eta=eta)


def apart(methods):
    """A qué distancia quedan AdamW y Adam con L2 tras el último paso."""
    ends = [walk(method, slope, START, STEPS)[-1] for method, slope in methods]
    return np.abs(ends[0] - ends[1]).max()


coupled = joc.sgd(0.05, weight_decay=2 * LAMBDA, like="torch")
assert same(walk(sgd, penalised, START, STEPS), walk(coupled, bowl, START, STEPS))

decays = {"weight_decay": 2 * LAMBDA, "like": "torch"}
with_l2 = (partial(adam, eta=FAST), penalised)
errata.judge(
    "E31",
    "003:25-27",
    "L2 y weight decay no son el mismo λ",
    quote=r"el *weight decay* (L2) agrega un término $\lambda \sum w_i^2$ a la función de costo",
    printed=(
        r"«weight decay (L2)»: $\lambda\sum w_i^2$ es `weight_decay=`$\lambda$",
        {"gradient": lambda w: LAMBDA * w, "pair": (with_l2, with_l2)},
    ),
    right=(
        r"es `weight_decay=`$2\lambda$, solo en SGD; no en AdamW",
        {"gradient": lambda w: 2 * LAMBDA * w, "pair": ((adamw, bowl), with_l2)},
    ),
    truth={
        "gradient": jax.grad(penalty),
        "pair": ((joc.adamw(FAST, **decays), bowl), (joc.adam(FAST, **decays), bowl)),
    },
    cases={
        "gradiente de 0,05·Σw² en (0,5, −1, 2)": lambda its: exact(its["gradient"], START),
        "distancia entre AdamW y Adam con L2 tras 60 pasos": lambda its: apart(its["pair"]),
    },
)

# %% [markdown]
# ## La tabla
#
# Una fila por caso: lo que se midió y lo que dio cada fórmula.

# %%
errata.show()
show(errata.chart(), "cuanto", "Cuánto se equivoca cada errata, en el peor de sus casos")

# %% [markdown]
# La que más se aparta es la de la tasa de Adadelta: tres órdenes de magnitud por un valor que nadie
# escribió. El error de las demás va de la mitad del valor correcto a casi diez veces ese valor, y
# basta para que una comparación entre optimizadores, o entre bibliotecas, salga al revés.

# %%
worst = {one.number: max(case.apart for case in one.cases) for one in errata.found}
assert max(worst, key=worst.get) == "E34"
assert all(0.5 <= apart < 10 for number, apart in worst.items() if number != "E34"), worst

# %% [markdown]
# ## En resumen
#
# - El `momentum=0.9` de Keras y de PyTorch es una suma: con la misma tasa, pasos diez veces mayores
#   que los de la media móvil (E20).
# - «Los valores por defecto de Keras» son los de una versión; hay que decir cuál (E17, E18, E34).
# - Dónde está $\varepsilon$ solo se nota si el gradiente es de su tamaño, y entonces decide si la
#   red se mueve o no (E19, E21).
# - L2 con $\lambda\sum w^2$ es un `weight_decay` de $2\lambda$, y solo en SGD (E31).
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.2](15_2_soluciones.py).)
#
# 1. Predice cuánto mide el primer paso del Adam de Keras con un gradiente de $10^{-7}$, y
#    compruébalo.
# 2. Pon en E18 un gradiente de 1. ¿Se distinguen las dos fórmulas? ¿Con qué gradiente empiezan a
#    distinguirse en un uno por ciento?
# 3. Demuestra que el Adam de Keras es el del artículo con $\hat\varepsilon_t=
#    \varepsilon/\sqrt{1-\beta_2^t}$ en lugar de $\varepsilon$.
# 4. Demuestra que en SGD sin momentum encoger los pesos por $1-\eta\lambda$ es lo mismo que sumar
#    $\lambda w$ al gradiente. ¿Dónde falla la demostración con Adam?
#
# ## Para leer más
#
# - Tieleman y Hinton (2012), «Lecture 6.5: RMSProp», diapositivas de un curso en línea.
# - Zeiler (2012), «ADADELTA: An Adaptive Learning Rate Method».
# - Loshchilov y Hutter (2019), «Decoupled Weight Decay Regularization».
