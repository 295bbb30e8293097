# %% [markdown]
# # 10.4. Erratas de capas y de formas
#
# Aquí las erratas tienen que ver con índices, transpuestas y dimensiones. Hay dos clases. Unas no
# llegan a ejecutarse, y se encuentran en un minuto. Otras encuentran una dimensión que casualmente
# encaja y devuelven un número: esas pueden pasar años sin que nadie las vea.
#
# Cada una se somete a la misma prueba: se mide lo **impreso**, lo **correcto** y la **verdad**
# (`jax.grad`, `jax.nn`, mínimos cuadrados, una cuenta hecha de otro modo). La correcta tiene que
# coincidir con la verdad hasta $10^{-12}$; la impresa tiene que apartarse más de un uno por ciento
# o detenerse justo con el error que se anuncia.
#
# **Al terminar sabrás** escribir las dos pasadas de una red con los índices en su sitio; desconfiar
# de una resta entre formas distintas; contar cuántos números llegan a la capa densa de una red para
# imágenes.
#
# **Hace falta** las partes [7.2](07_2_retropropagacion.py) y [10.1](10_1_momentum_y_adam.py).

# %%
import itertools
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from jaxopt_course.course import show
from jaxopt_course.course.errata import Errata, Measure
from jaxopt_course.course.walks import exact

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
errata = Errata()

# %% [markdown]
# ## Hacia delante
#
# Los apuntes definen $w_{st}^{(\ell)}$ como el peso que va del nodo $t$ de la capa $\ell$ al nodo
# $s$ de la $\ell+1$. Con esa definición, y con $L$ capas numeradas desde la entrada,
#
# $$a^{(\ell+1)} = \sigma\!\left(W^{(\ell)} a^{(\ell)} + w_0^{(\ell)}\right), \qquad
# \ell = 1, \dots, L-1$$
#
# Lo impreso recorre una capa de más, suma hasta $S_t$ donde $t$ es el propio índice de la suma, y
# en otra diapositiva transpone donde no toca.


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def network(*sizes):
    """Pesos w_st y sesgos de cada capa, contados desde 1 como en los apuntes."""
    rng = np.random.default_rng(3)
    weights = {i: rng.normal(size=(m, n)) for i, (n, m) in enumerate(itertools.pairwise(sizes), 1)}
    return weights, {i: rng.normal(size=len(w)) for i, w in weights.items()}


def forward(x, weights, biases, until):
    """La doble suma de los apuntes, para ℓ = 1, ..., until."""
    a = x
    for ell in range(1, until + 1):
        w, b = weights[ell], biases[ell]
        a = [sigmoid(sum(w[s, t] * a[t] for t in range(len(a))) + b[s]) for s in range(len(b))]
    return np.array(a)


def of_jax(x, weights, biases):
    for w, b in zip(weights.values(), biases.values(), strict=True):
        x = jax.nn.sigmoid(jnp.asarray(w) @ x + b)
    return x


X, LAYERS = np.array([0.3, -0.8, 0.5]), 3
W, B = network(3, 4, 2)

errata.judge(
    "E14",
    "002:164-167",
    "una capa de más en el recorrido",
    quote=r"for $\ell = 1$ to L do […] $a_s^{(\ell+1)} = \sigma (\sum_{t=1}^{S_t} "
    r"w_{st}^{(\ell)} a_t^{(\ell)} + w_{s0}^{(\ell)})$",
    printed=(
        r"para $\ell = 1$ hasta $L$, $\sum_{t=1}^{S_t}$",
        lambda x, w, b: forward(x, w, b, until=LAYERS),
    ),
    right=(
        r"para $\ell = 1$ hasta $L-1$, $\sum_{t=1}^{S_\ell}$",
        lambda x, w, b: forward(x, w, b, until=LAYERS - 1),
    ),
    truth=lambda x, w, b: exact(lambda x: of_jax(x, w, b), x),
    cases={"salida de una red 3-4-2, con L=3 (no hay capa de pesos 3)": lambda f: f(X, W, B)},
    fails=(KeyError,),
)

# %%
errata.judge(
    "E15",
    "002:370",
    "transpuesta de más hacia delante",
    quote=r"$a^{(\ell+1)} = \sigma(W^{(\ell)^{T}}a^{(\ell)} + w_0^{(\ell)})$",
    printed=(
        r"$a^{(\ell+1)} = \sigma(W^{(\ell)\top} a^{(\ell)} + w_0^{(\ell)})$",
        lambda x, w, b: sigmoid(w[1].T @ x + b[1]),
    ),
    right=(
        r"$a^{(\ell+1)} = \sigma(W^{(\ell)} a^{(\ell)} + w_0^{(\ell)})$",
        lambda x, w, b: sigmoid(w[1] @ x + b[1]),
    ),
    truth=lambda x, w, b: forward(x, w, b, until=1),
    cases={
        "capa de 3 a 4 unidades": lambda layer: layer(X, *network(3, 4)),
        "capa de 3 a 3 unidades": lambda layer: layer(X, *network(3, 3)),
    },
    fails=(ValueError,),  # el de NumPy, donde las formas no casan
)

# %% [markdown]
# ## Hacia atrás
#
# $$\delta^{(\ell)} = \left(W^{(\ell)}\right)^{\!\top}\delta^{(\ell+1)} \odot \sigma'(z^{(\ell)}),
# \qquad \delta_s^{(\ell)} = \sigma'(z_s^{(\ell)})\sum_k w_{ks}^{(\ell)}\delta_k^{(\ell+1)}$$
#
# Lo impreso no transpone donde toca, toma la matriz de la capa siguiente y llama al mismo nodo $s$,
# $i$ y $j$. Para ser justos se lee de dos maneras: al pie de la letra, y suponiendo que
# $W^{\ell+1}$ fuera la matriz que **llega** a la capa $\ell+1$. En una red rectangular ninguna de
# las dos encaja; en una cuadrada la segunda da un número, y es otro.
#
# La verdad es `jax.grad`: la derivada respecto de los sesgos de la capa oculta **es** su $\delta$.


# %%
def delta(w, b, y, matrix):
    """δ de la capa oculta de una red de tres capas, con la matriz dada en la suma."""
    hidden = forward(X, w, b, 1)
    out = sigmoid(w[2] @ hidden + b[2])
    last, slope = (out - y) * out * (1 - out), hidden * (1 - hidden)
    return matrix(w) @ last * slope


def literal(w, b, y):
    return delta(w, b, y, lambda w: w[3])  # W^{ℓ+1} con ℓ = 2


def arriving(w, b, y):
    return delta(w, b, y, lambda w: w[2])


def right_delta(w, b, y):
    return delta(w, b, y, lambda w: w[2].T)


def delta_of_jax(w, b, y):
    loss = lambda b1: 0.5 * jnp.sum((of_jax(X, w, {1: b1, 2: b[2]}) - y) ** 2)
    return exact(jax.grad(loss), b[1])


# %%
rectangular = lambda f: f(W, B, np.array([1.0, 0.0]))
square = lambda f: f(*network(3, 3, 3), np.array([1.0, 0.0, 0.0]))

# %%
errata.judge(
    "E16",
    "002:429 y 002:431",
    "índices mezclados en la retropropagación",
    quote=r"$\delta_s^{\ell} = \sum_k \delta_k^{\ell+1} w_{ik}^{\ell+1} \sigma'(z_j^{\ell})$",
    printed=(
        r"$\delta^{\ell} = W^{\ell+1}\delta^{\ell+1}\odot\sigma'(z^{\ell})$, "
        r"$\sum_k\delta_k^{\ell+1}w_{ik}^{\ell+1}\sigma'(z_j^\ell)$",
        literal,
    ),
    right=(
        r"$\delta^{\ell} = (W^{(\ell)})^{\top}\delta^{\ell+1}\odot\sigma'(z^{\ell})$, "
        r"$\sigma'(z_s^\ell)\sum_k w_{ks}^{(\ell)}\delta_k^{\ell+1}$",
        right_delta,
    ),
    truth=delta_of_jax,
    cases={
        "δ oculta de una red 3-4-2, al pie de la letra": rectangular,
        "la misma, con la matriz que llega a la capa ℓ+1": Measure(rectangular, printed=arriving),
        "δ oculta de una red 3-3-3, con esa matriz": Measure(square, printed=arriving),
    },
    fails=(KeyError, ValueError),
)

# %% [markdown]
# ## Una dimensión que falta
#
# La regresión de los apuntes 001: cinco puntos sobre la recta $y = x$. Su código en PyTorch da a la
# red salidas de forma $(5, 1)$ y etiquetas de forma $(5)$; la resta es una tabla $5 \times 5$ que
# compara cada predicción con **todas** las etiquetas. El programa no se detiene (PyTorch avisa, y
# sigue): la red aprende la media de $y$.


# %%
POINTS = np.arange(1.0, 6.0)[:, None]


def fit_line(y, eta=0.08, steps=2000):
    """Pendiente y sesgo por descenso en la media de (salidas - y)², tenga la forma que tenga."""
    w = b = 0.0
    for _ in range(steps):
        error = (w * POINTS + b) - y
        slope = (2 * np.mean(error * POINTS), 2 * np.mean(error))
        w, b = w - eta * slope[0], b - eta * slope[1]
    return np.array([w, b])


def least_squares(y):
    design = np.hstack([POINTS, np.ones_like(POINTS)])
    return np.linalg.lstsq(design, y[:, 0], rcond=None)[0]


errata.judge(
    "E22",
    "001:95 y 001:199",
    "etiquetas sin su segunda dimensión",
    quote="`y_train = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])`",
    printed=(
        r"`y_train` de forma $(5)$ contra salidas $(5, 1)$",
        lambda y: fit_line(y[:, 0]),
    ),
    right=(r"`y_train` de forma $(5, 1)$", fit_line),
    truth=least_squares,
    cases={"pendiente y sesgo aprendidos": lambda fit: fit(POINTS)},
)
assert np.allclose(errata["E22"].cases[0].printed, [0, POINTS.mean()], rtol=0, atol=1e-12)

# %%
fig, ax = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
for label, (w, b), style in (
    ("correcta", errata["E22"].cases[0].right, {"color": BLUE, "lw": 2.5}),
    ("impresa", errata["E22"].cases[0].printed, {"color": ORANGE, "lw": 2, "ls": "--"}),
):
    ax.plot(POINTS, w * POINTS + b, label=label, **style)
ax.plot(POINTS, POINTS, "o", color=GREY, label="datos")
ax.set(xlabel="$x$", ylabel="$y$", title="E22. La regresión de los apuntes 001")
ax.legend()
show(fig, "regresion", "La recta que se aprende con las etiquetas de forma (5, 1) y de forma (5)")

# %% [markdown]
# Lo mismo puede pasar con la red de los apuntes 003. Su `BCELoss` recibe salidas $(N, 1)$; si las
# etiquetas son $(N)$ (no enseñan su `train_loader`, pero es lo habitual), PyTorch se niega a
# seguir, y NumPy y JAX callan y promedian una tabla $N \times N$.


# %%
def binary(p, y):
    return np.mean(-(y * np.log(p) + (1 - y) * np.log(1 - p)))


def pair_by_pair(p, y):
    pairs = zip(p[:, 0].tolist(), y.tolist(), strict=True)
    return sum(-math.log(q if label else 1 - q) for q, label in pairs) / len(y)


FOUR = np.array([[0.9], [0.2], [0.7], [0.6]]), np.array([1.0, 0.0, 1.0, 0.0])
errata.judge(
    "E30",
    "003:115 y 003:124",
    "salidas (N, 1) contra etiquetas (N)",
    quote="`loss = criterion(outputs, labels)`",
    printed=(r"`BCELoss()(outputs, labels)` con formas $(N, 1)$ y $(N)$", binary),
    right=(
        r"`BCELoss()(outputs, labels.unsqueeze(1))`",
        lambda p, y: binary(p, y[:, None]),
    ),
    truth=pair_by_pair,
    cases={
        "pérdida media si las formas se extienden (PyTorch lanza ValueError)": lambda loss: loss(
            *FOUR
        )
    },
)

# %% [markdown]
# ## El programa de MNIST
#
# El fragmento de los apuntes 001 para MNIST en PyTorch tropieza dos veces. La normalización tiene
# un corchete que no cierra nada, y aun sin él da tres medias a una imagen de un solo canal. Y la
# primera capa densa espera 9216 entradas, que es lo que quedaría con una sola reducción a la mitad;
# su red hace dos. (Esta segunda no estaba en la lista de erratas que dio pie a la lección: lleva la
# letra N.)


# %%
HEAD = "transform = transforms.Compose(\n    [transforms.ToTensor(),\n     transforms."


def names_in(line):
    return len(compile(HEAD + line, "001", "exec").co_names)


def normalised(mean, image):
    return (image - np.reshape(mean, (-1, 1, 1))) / np.reshape(mean, (-1, 1, 1))


errata.judge(
    "E27",
    "001:472-474",
    "la línea no se puede leer",
    quote="`transforms.Normalize((0.5, 0.5, 0.5))]])`",
    printed=(
        r"`Normalize((0.5, 0.5, 0.5))]])`",
        {"line": "Normalize((0.5, 0.5, 0.5))]])", "mean": (0.5, 0.5, 0.5)},
    ),
    right=(
        r"`Normalize((0.5,), (0.5,))])`",
        {"line": "Normalize((0.5,), (0.5,))])", "mean": (0.5,)},
    ),
    cases={
        "nombres que usa el fragmento": Measure(
            lambda its: names_in(its["line"]),
            truth=len({"transform", "transforms", "Compose", "ToTensor", "Normalize"}),
        ),
        "forma de un dígito normalizado (PyTorch lanza RuntimeError)": Measure(
            lambda its: normalised(its["mean"], np.zeros((1, 28, 28))).shape, truth=(1, 28, 28)
        ),
    },
    fails=(SyntaxError,),
)


# %%
def features(image):
    """Lo que queda de una imagen tras dos convoluciones de 3 x 3 y dos mitades, en fila."""
    for channels, out in ((1, 32), (32, 64)):
        image = jax.lax.conv(image, jnp.zeros((out, channels, 3, 3)), (1, 1), "VALID")
        window = (1, 1, 2, 2)
        image = jax.lax.reduce_window(image, -jnp.inf, jax.lax.max, window, window, "VALID")
    return image.ravel()


def side_after(halvings, side=28):
    """A mano: una convolución de 3 x 3 le quita 2 al lado; la agrupación lo deja en la mitad."""
    return side if halvings == 0 else (side_after(halvings - 1, side) - 2) // 2


REACHING = jax.eval_shape(features, jnp.zeros((1, 1, 28, 28))).shape
errata.judge(
    "N1",
    "001:493",
    "entradas de la capa densa de MNIST",
    quote="`self.fc1 = nn.Linear(9216, 128)`",
    printed=(r"`nn.Linear(9216, 128)`", 9216),
    right=(r"`nn.Linear(1600, 128)` ($64 \cdot 5 \cdot 5$)", 64 * side_after(2) ** 2),
    truth=math.prod(REACHING),
    cases={
        "números por imagen que llegan a la capa densa": lambda width: width,
        "forma de lo que sale de ella": lambda width: (
            (np.zeros(REACHING) @ np.zeros((width, 128))).shape
        ),
    },
    fails=(ValueError,),
)
once_halved = ((28 - 2 - 2) // 2) ** 2 * 64
assert once_halved == 9216  # dos convoluciones, y solo entonces una mitad

# %% [markdown]
# ## La tabla
#
# Una fila por caso: lo que se midió y lo que dio cada fórmula.

# %%
errata.show()
show(errata.chart(), "cuanto", "Cuánto se equivoca cada errata; las que no se ejecutan, aparte")

# %% [markdown]
# Las que no se ejecutan se delatan solas. Las peligrosas son las dos de en medio, E22 y E30: una
# pérdida que baja, un programa que termina, y una red que ha aprendido otra cosa.

# %%
silent = [one.number for one in errata.found if all(np.isfinite(c.apart) for c in one.cases)]
assert silent == ["E22", "E30"]

# %% [markdown]
# ## En resumen
#
# - Con $w_{st}$ «de $t$ a $s$», hacia delante va $W$ y hacia atrás $W^\top$: si las capas son
#   cuadradas, confundirlas no da ningún error (E15, E16).
# - Salidas $(N,1)$ y etiquetas $(N)$ dan una tabla $N\times N$, y la red aprende la media (E22,
#   E30).
# - Las entradas de una capa densa se cuentan, no se copian (N1).
# - Probar con tamaños todos distintos convierte una errata silenciosa en un error que se ve.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.2](15_2_soluciones.py).)
#
# 1. Predice qué recta aprende el código de E22 si las etiquetas son $1,1,1,1,6$.
# 2. Cambia la red 3-3-3 de E16 por una 3-4-3. ¿Qué lectura deja de ejecutarse?
# 3. ¿Cuántas entradas tendría la capa densa de N1 con imágenes de $32\times32$ y tres canales?
# 4. Demuestra que minimizar $\frac1{N^2}\sum_{i,j}(\hat y_i-y_j)^2$ sobre las $\hat y_i$ lleva
#    todas a la media de $y$.
#
# ## Para leer más
#
# - Rumelhart, Hinton y Williams (1986), «Learning representations by back-propagating errors».
# - Nielsen (2015), *Neural Networks and Deep Learning*, capítulo 2.
# - Harris y otros (2020), «Array programming with NumPy», sobre cómo se extienden las formas.
