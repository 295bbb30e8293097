# %% [markdown]
# # 7.2. La red por dentro: hacia delante y hacia atrás
#
# De dónde sale el gradiente que recibe un optimizador. La pasada hacia delante y la
# retropropagación se escriben a mano, en NumPy, para una red de $L$ capas; se comparan con
# `jax.grad`; y con ellas se entrena la red de los apuntes, que resulta ser, peso a peso, la misma
# que entrenan Flax y `joc.sgd`.
#
# **Al terminar sabrás** calcular a mano el gradiente de una red pequeña; seguir las formas de cada
# matriz hacia delante y hacia atrás; explicar por qué muchas redes distintas son la misma función.
#
# **Hace falta** la [parte 7.1](07_1_activaciones_y_perdidas.py) y productos de matrices.

# %%
import itertools
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pandas as pd
from scipy.special import expit, softmax

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.problems.generated import bank

BLUE, GREEN, RED = "#0072B2", "#009E73", "#D55E00"
rng = np.random.default_rng(0)

# %% [markdown]
# ## Las fórmulas
#
# Las capas se numeran de $1$ (la entrada) a $L$ (la salida); $w^{(\ell)}_{st}$ lleva del nodo $t$
# de la capa $\ell$ al nodo $s$ de la $\ell+1$, así que $W^{(\ell)}$ tiene forma $S_{\ell+1}\times
# S_\ell$. Para $\ell=1,\dots,L-1$:
#
# $$a^{(1)}=x,\qquad z^{(\ell+1)}=W^{(\ell)}a^{(\ell)}+w_0^{(\ell)},\qquad
# a^{(\ell+1)}=\sigma(z^{(\ell+1)})$$
#
# La retropropagación es la regla de la cadena leída desde el final. Con $\delta^{(\ell)}=\partial
# E/\partial z^{(\ell)}$, cuánto cambiaría el error si cambiara lo que suma cada nodo,
#
# $$\delta^{(\ell)}=\big(W^{(\ell)}\big)^{\!\top}\delta^{(\ell+1)}\odot\sigma'(z^{(\ell)}),\qquad
# \frac{\partial E}{\partial W^{(\ell)}}=\delta^{(\ell+1)}\,\big(a^{(\ell)}\big)^{\!\top},\qquad
# \frac{\partial E}{\partial w_0^{(\ell)}}=\delta^{(\ell+1)}$$
#
# y en la salida ocurre algo que conviene recordar: para las tres parejas lineal + MSE (con su ½),
# sigmoide + BCE y softmax + CE, el arranque es *el mismo*, $\delta^{(L)}=a-y$.
#
# En el código cada fila de `x` es un ejemplo: $Wa+w_0$ se escribe `a @ W.T + w0`, y el producto
# $\delta a^\top$, sumado sobre los ejemplos, `delta.T @ a`.

# %% [markdown]
# ## El dibujo
#
# Una red 4-5-3-2: cada círculo es un nodo, cada línea un peso, y cada columna de líneas una matriz
# $W^{(\ell)}$. La señal va de izquierda a derecha; $\delta$, el error, de derecha a izquierda por
# las mismas líneas. Las anchas son los pesos que llegan al primer nodo de la capa 3, una *fila* de
# $W^{(2)}$: con ellos y el sesgo se hace su suma.

# %%
drawn_sizes = [4, 5, 3, 2]
at = [[(2 * k, row - (n - 1) / 2) for row in range(n)] for k, n in enumerate(drawn_sizes)]
fig, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
drawn = 0
for k, (before, after) in enumerate(itertools.pairwise(at)):
    for (x0, y0), (s, (x1, y1)) in itertools.product(before, enumerate(after)):
        row_of_w = k == 1 and s == len(after) - 1  # el nodo de arriba, que es el primero
        ax.plot([x0, x1], [y0, y1], color=BLUE if row_of_w else "0.7", lw=2.5 if row_of_w else 0.8,
                zorder=1)  # fmt: skip
        drawn += 1
    ax.text(2 * k + 1, -2.75, f"$W^{{({k + 1})}}$: {len(after)} × {len(before)}", ha="center")
for k, nodes in enumerate(at):
    ax.scatter(*zip(*nodes, strict=True), s=420, color="white", edgecolor="black", zorder=2)
    name = {0: "entrada", len(at) - 1: "salida"}.get(k, "oculta")
    ax.text(2 * k, 2.55, f"capa {k + 1}, {name}\n$a^{{({k + 1})}}$", ha="center", va="bottom")
arrow = {"arrowstyle": "->", "lw": 1.5}
for (begin, end), y, colour, words in (
    ((0, 6), -3.3, GREEN, "hacia delante: $z$, $a$"), ((6, 0), -3.8, RED, "hacia atrás: $\\delta$"),
):  # fmt: skip
    ax.annotate("", (end, y), (begin, y), arrowprops=arrow | {"color": colour})
    ax.text(6.15, y, words, va="center")
ax.set(xlim=(-0.6, 8.2), ylim=(-4.1, 3.5))
ax.axis("off")
show(fig, "la_red", "La red 4-5-3-2: nodos, pesos y el camino de la señal y del error")
shapes = [(m, n) for n, m in itertools.pairwise(drawn_sizes)]
numbers = sum(m * n + m for m, n in shapes)
print(f"líneas: {drawn}; con los sesgos, {numbers} parámetros")
assert drawn == sum(m * n for m, n in shapes) and numbers == drawn + sum(drawn_sizes[1:])

# %%
SIGMA = {  # nombre: (función, derivada, la misma en JAX); las fórmulas, en 7.1
    "lineal": (lambda z: z, np.ones_like, lambda z: z),
    "sigmoide": (expit, lambda z: expit(z) * (1 - expit(z)), jax.nn.sigmoid),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2, jnp.tanh),
    "ReLU": (lambda z: np.maximum(0, z), lambda z: (z > 0).astype(float), jax.nn.relu),
    "softplus": (lambda z: np.logaddexp(0, z), expit, jax.nn.softplus),
}
LOSSES = {  # nombre: (lo que hace la salida, el error de una salida)
    "MSE": (lambda z: z, lambda a, y: 0.5 * (a - y) ** 2),
    "BCE": (expit, lambda a, y: -(y * np.log(a) + (1 - y) * np.log(1 - a))),
    "CE": (lambda z: softmax(z, axis=-1), lambda a, y: -y * np.log(a)),
}


def forward(weights, x, activation):
    """Todas las z y las a, desde la capa 1; la última a se deja a la pérdida."""
    function = SIGMA[activation][0]
    z, a = [None], [x]
    for layer, (w, w0) in enumerate(weights, start=1):
        z.append(a[-1] @ w.T + w0)
        a.append(function(z[-1]) if layer < len(weights) else z[-1])
    return z, a


def backward(weights, z, a, delta, activation):
    """Los gradientes de W y w0 de cada capa, a partir de la δ de la salida."""
    slope, gradients = SIGMA[activation][1], []
    for layer in reversed(range(len(weights))):
        gradients.append((delta.T @ a[layer], delta.sum(0)))
        if layer > 0:
            delta = delta @ weights[layer][0] * slope(z[layer])
    return gradients[::-1]


def loss_and_gradients(weights, x, y, activation, loss):
    """E, la media sobre los ejemplos de x, y sus gradientes."""
    output, error = LOSSES[loss]
    z, a = forward(weights, x, activation)
    answer = output(z[-1])
    gradients = backward(weights, z, a, (answer - y) / len(x), activation)
    return error(answer, y).sum(-1).mean(), gradients


# %% [markdown]
# El juez es `jax.grad`, que deriva la misma pérdida escrita aparte en JAX. Se prueban todas las
# activaciones y pérdidas, con de dos a seis capas.


# %%
def new_weights(sizes, seed):
    draw = np.random.default_rng(seed).normal
    pairs = itertools.pairwise(sizes)
    return [(draw(size=(m, n)) / math.sqrt(n), 0.1 * draw(size=m)) for n, m in pairs]


def loss_in_jax(weights, x, y, activation, loss):
    a = x
    for w, w0 in weights[:-1]:
        a = SIGMA[activation][2](a @ w.T + w0[None])
    a = a @ weights[-1][0].T + weights[-1][1][None]
    each = {
        "MSE": lambda: optax.losses.l2_loss(a, y),
        "BCE": lambda: optax.losses.sigmoid_binary_cross_entropy(a, y),
        "CE": lambda: -y * jax.nn.log_softmax(a),
    }[loss]()
    return each.sum(-1).mean()


LAYERS = [2, 3, 4, 6]
cases = list(itertools.product(LAYERS, SIGMA, LOSSES))[:: 11 if quick() else 1]
assert {case[i] for case in cases for i in range(3)} == {*LAYERS, *SIGMA, *LOSSES}
x, y = rng.normal(size=(8, 5)), np.eye(4)[rng.integers(0, 4, 8)]
networks = [new_weights([5, *[6] * (layers - 2), 4], seed=layers) for layers, _, _ in cases]


@jax.jit
def judge(networks):
    one = jax.value_and_grad(loss_in_jax)
    return [one(w, x, y, *case[1:]) for w, case in zip(networks, cases, strict=True)]


ours = [loss_and_gradients(w, x, y, *case[1:]) for w, case in zip(networks, cases, strict=True)]
with jax.enable_x64(True):
    theirs = jax.device_get(judge(networks))
largest_gap = lambda a, b: max(
    jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), a, b))
)
worst = largest_gap(ours, theirs)
print(f"{len(cases)} redes: la mayor diferencia con jax.grad es {worst:.1e}")
assert worst < 1e-12

# %% [markdown]
# Los apuntes 002 imprimen aquí cuatro erratas: un signo (E13), una capa de más (E14) y dos
# transpuestas (E15, E16). Las formas cambiadas no encajan… salvo que todas las capas midan lo
# mismo, y entonces no avisa nadie. Se ejecutan en las lecciones
# [10.3](10_3_activaciones_y_perdidas.py) y [10.4](10_4_capas_y_formas.py).


# %%
def update(weights, gradients, rate):
    """La actualización de los apuntes, de cada W y w0."""
    return jax.tree.map(lambda w, g: w - rate * g, weights, gradients)


# %% [markdown]
# ## La red de los apuntes, desde cero y en Flax
#
# La red bancaria de los apuntes, dos capas ocultas de 64 ReLU y una sigmoide, con los datos de
# tumores que trae scikit-learn (30 medidas). La misma inicialización y los mismos mini-lotes en dos
# programas: el nuestro, unas líneas de NumPy con
#
# $$W^{(\ell)}\leftarrow W^{(\ell)}-\eta\,\frac{\partial E}{\partial W^{(\ell)}},\qquad
# w_0^{(\ell)}\leftarrow w_0^{(\ell)}-\eta\,\frac{\partial E}{\partial w_0^{(\ell)}}$$
#
# y `joc.MLP` de Flax con `joc.sgd`, todo en doble precisión.


# %%
def from_flax(params):
    """Flax guarda las matrices como (entradas, salidas); los apuntes, al revés."""
    layers = jax.device_get(params)["layers"]
    return [(layers[i]["kernel"].T, layers[i]["bias"]) for i in sorted(layers)]


task = joc.load_task("breast_cancer")
data = {name: part.astype(float) for name, part in task.train.items()}
steps, rate, batch_size = 100 if quick() else 400, 0.1, 32
batches = [
    np.random.default_rng(step).choice(len(data["inputs"]), batch_size, replace=False)
    for step in range(steps)
]
with jax.enable_x64(True):
    drawn, model_state = jax.jit(task.init)(jax.random.key(0))
    start = jax.tree.map(lambda leaf: np.asarray(leaf, float), drawn)
shapes = (" × ".join(map(str, w.shape)) for w, _ in from_flax(start))
print("formas de W en los apuntes:", ", ".join(shapes))

# %% [markdown]
# A mano, en NumPy:

# %%
weights, by_hand = from_flax(start), []
for rows in batches:
    x, y = data["inputs"][rows], data["targets"][rows, None]
    loss, gradients = loss_and_gradients(weights, x, y, "ReLU", "BCE")
    weights = update(weights, gradients, rate)
    by_hand.append((loss, weights))

# %% [markdown]
# Y en Flax; `task.loss` es la pérdida de la red como función de sus parámetros:

# %%
tx = joc.sgd(rate)


@jax.jit
def flax_step(carry, batch):
    params, state = carry
    loss = lambda params: task.loss(params, model_state, batch, jax.random.key(0))[0]
    value, gradients = jax.value_and_grad(loss)(params)
    updates, state = tx.update(gradients, state, params)
    return (joc.apply_updates(params, updates), state), value


in_flax = []
with jax.enable_x64(True):
    carry = start, tx.init(start)
    for rows in batches:
        carry, loss = flax_step(carry, {name: part[rows] for name, part in data.items()})
        in_flax.append((float(loss), from_flax(carry[0])))
apart = largest_gap(by_hand, in_flax)
print(f"{steps} pasos: pérdidas y pesos difieren a lo sumo en {apart:.1e}")
assert apart < 1e-12

# %%
curves = {"NumPy, a mano": by_hand, "Flax y joc.sgd": in_flax}
fig, ax = plt.subplots(figsize=(7, 3.6))
for (name, path), style in zip(
    curves.items(),
    [{"color": BLUE, "lw": 4, "alpha": 0.4}, {"color": "black", "lw": 1}],
    strict=True,
):
    ax.plot(range(1, steps + 1), [loss for loss, _ in path], **style, label=name)
ax.set(xlabel="paso", ylabel="entropía cruzada del mini-lote", ylim=(0, None))
ax.set_title("La misma red dos veces: las curvas se tapan")
ax.legend(frameon=False)
show(fig, "numpy_y_flax")
losses = [loss for loss, _ in by_hand]
assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:5])

# %% [markdown]
# ## El banco de los apuntes
#
# Los apuntes 003 entrenan esa red para saber qué clientes contratarán un producto. Sus datos no
# vienen con ellos, y otros parecidos, `bank_marketing`, hay que descargarlos. Hace sus veces una
# tabla *inventada*, la tarea `"bank"`: diez mil clientes con veinte entradas y una fórmula
# conocida, de modo que se sabe hasta dónde se puede llegar. La receta es la de los apuntes: 64-64,
# Adam, mini-lotes de 32, y en cada época exactitud, F1 y AUC de validación.

# %%
epochs = 4 if quick() else 15
recipe = joc.fit("bank", joc.adam(1e-3), epochs=epochs, batch_size=32).curves
ceiling = bank().best()  # lo que daría la probabilidad verdadera
table = recipe[["valid_accuracy", "valid_f1", "valid_auc", "valid_loss"]].to_dataframe()
table.insert(0, "train_loss", recipe["train_loss"].to_numpy())
table.index = pd.RangeIndex(1, epochs + 1, name="época")
columns = ["pérdida de entrenamiento", "exactitud", "F1", "AUC", "pérdida de validación"]
show_table(table.iloc[[0, 1, epochs // 2, -1]].set_axis(columns, axis=1))
names = {"accuracy": "exactitud", "f1": "F1", "auc": "AUC", "loss": "pérdida"}
print("techo:", ", ".join(f"{words} {ceiling[name]:.3f}" for name, words in names.items()))

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
left.plot(table.index, table["train_loss"], color=BLUE, label="entrenamiento")
left.plot(table.index, table["valid_loss"], "o-", color=RED, ms=4, label="validación")
left.axhline(ceiling["loss"], color="black", ls="--", lw=1, label="la verdadera probabilidad")
left.set(xlabel="época", ylabel="entropía cruzada")
left.legend(frameon=False)
right.plot(table.index, table["valid_auc"], "o-", color=RED, ms=4, label="AUC")
right.plot(table.index, table["valid_f1"], "s-", color=GREEN, ms=4, label="F1, umbral ½")
right.axhline(ceiling["auc"], color="black", ls="--", lw=1)
right.set(xlabel="época", ylabel="en validación", ylim=(0, 1))
right.legend(frameon=False, loc="lower right")
show(fig, "banco", "La pérdida, y AUC y F1 de validación, época a época; a trazos, el techo")

# %% [markdown]
# En pocas épocas el AUC se acerca a su techo, la línea discontinua. Después la pérdida de
# entrenamiento baja de lo que permite la verdadera probabilidad: eso ya no es aprender sobre los
# clientes, es aprenderse a *estos*; la validación no la sigue. Cómo se evita se ve en la
# [parte 8.3](08_3_regularizacion.py), y qué hacer con el umbral, en la [8.4](08_4_desbalance.py).

# %%
assert ceiling["auc"] - 0.06 < table["valid_auc"].max() < ceiling["auc"] + 0.03
assert table["valid_loss"].min() > 0.97 * ceiling["loss"]
if not quick():
    assert table["train_loss"].iloc[-1] < ceiling["loss"]
    assert table["valid_loss"].iloc[-1] > table["valid_loss"].min()

# %% [markdown]
# ## Muchas redes, una función
#
# Cambiar de orden las neuronas ocultas (filas de $W^{(\ell)}$ y de $w_0^{(\ell)}$, y columnas de
# $W^{(\ell+1)}$, a la vez) no cambia nada de lo que la red calcula. Los apuntes lo llaman problema
# de identificabilidad. Dos capas de 64 dan $(64!)^2$ copias de cada red.


# %%
def permuted(weights, seed):
    """La misma red con las neuronas de cada capa oculta en otro orden."""
    draw, order = np.random.default_rng(seed), slice(None)
    result = []
    for w, w0 in weights[:-1]:
        new = draw.permutation(len(w))
        result.append((w[new][:, order], w0[new]))
        order = new
    w, w0 = weights[-1]
    return [*result, (w[:, order], w0)]


inputs, targets = data["inputs"], data["targets"][:, None]
logits = lambda weights, activation="ReLU": forward(weights, inputs, activation)[1][-1]
twin = permuted(weights, seed=1)
same = np.abs(logits(weights) - logits(twin)).max()
distance = math.sqrt(sum(((m - n) ** 2).sum() for m, n in zip(
    jax.tree.leaves(weights), jax.tree.leaves(twin), strict=True)))  # fmt: skip
copies = 2 * math.lgamma(64 + 1) / math.log(10)
print(f"salidas distintas en {same:.1e}; pesos a distancia {distance:.1f}; 1e{copies:.0f} copias")
assert same < 1e-12 < 1 < distance

# %% [markdown]
# Con tanh hay todavía más: como es impar, cada neurona puede cambiar de signo, ella y los pesos que
# salen de ella. Con ReLU no, pero se la puede agrandar, $\text{ReLU}(cz)=c\,\text{ReLU}(z)$ si
# $c>0$, y encoger en la misma proporción los pesos que salen: ahí las copias son infinitas.

# %%
(w1, b1), (w2, b2), last = weights
signs, scales = rng.choice([-1.0, 1.0], 64), rng.uniform(0.5, 2, 64)
flip = lambda c: [(w1 * c[:, None], b1 * c), (w2 / c, b2), last]
for name, c in [("tanh", signs), ("ReLU", scales), ("ReLU", signs)]:
    change = np.abs(logits(flip(c), name) - logits(weights, name)).max()
    print(f"{name}: {'signos' if c is signs else 'escalas'} cambian la salida en {change:.1e}")
    assert (change < 1e-12) == (name == "tanh" or c is scales)

# %% [markdown]
# De ahí se sigue que la pérdida no es convexa. Si lo fuera, la red a mitad de camino entre dos
# redes igual de buenas sería al menos tan buena como ellas. No lo es:

# %%
between = np.linspace(0, 1, 11 if quick() else 41)
error = lambda weights: LOSSES["BCE"][1](expit(logits(weights)), targets).mean()
fig, ax = plt.subplots(figsize=(7, 3.6))
for seed, colour in zip((1, 2, 3), (BLUE, GREEN, RED), strict=True):
    other = permuted(weights, seed)
    mix = lambda t, other=other: jax.tree.map(lambda m, n: (1 - t) * m + t * n, weights, other)
    path = [error(mix(t)) for t in between]
    ax.plot(between, path, color=colour, label=f"permutación {seed}")
    assert abs(path[0] - path[-1]) < 1e-12 and max(path) > 1.2 * path[0]
ax.set(xlabel="posición en el segmento (0: la red, 1: la misma, permutada)")
ax.set(ylabel="entropía cruzada", ylim=(0, None))
ax.set_title("Dos redes iguales y lo que hay entre ellas")
ax.legend(frameon=False)
show(fig, "permutaciones")

# %% [markdown]
# ## En resumen
#
# - La retropropagación es la regla de la cadena leída desde la salida: $W^\top\delta$, y el
#   producto con $\sigma'$.
# - Con las tres parejas de salida y pérdida empieza igual, $\delta^{(L)}=a-y$.
# - A mano, en Flax y con `jax.grad` sale el mismo número, hasta la duodécima cifra.
# - Cada red tiene muchísimas copias que calculan lo mismo; por eso la pérdida no es convexa.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice cuántos números tiene el gradiente de una red 5-6-4 con sesgos. Cuéntalos.
# 2. Cambia la activación a tanh en la red de los tumores. ¿Siguen coincidiendo NumPy y Flax?
# 3. Demuestra que permutar las unidades de una capa oculta, con sus pesos de entrada y de salida,
#    no cambia la función.
#
# ## Para leer más
#
# - Rumelhart, Hinton y Williams (1986), «Learning representations by back-propagating errors».
# - Orhan y Pitkow (2018), «Skip Connections Eliminate Singularities».
