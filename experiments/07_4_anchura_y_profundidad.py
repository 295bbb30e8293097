# %% [markdown]
# # 7.4. La red por dentro: anchura y profundidad
#
# ¿Cuántas neuronas y cuántas capas hacen falta? Primero lo que promete el teorema de aproximación
# universal y lo que el entrenamiento cumple; después, la receta de siempre: elegir con validación.
#
# **Al terminar sabrás** decir qué promete el teorema de aproximación universal y qué no; elegir
# anchura y profundidad con validación, y mirar la prueba una vez; dar un ejemplo en que apilar
# capas ahorra neuronas, y otro en que no sirve.
#
# **Hace falta** la [parte 7.3](07_3_gradientes_profundos.py).

# %%
import itertools
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx
from scipy import stats

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY = "#CC79A7", "#56B4E9"

# %% [markdown]
# ## Aproximación universal: existe, pero hay que encontrarla
#
# Una capa oculta basta para acercarse cuanto se quiera a cualquier función continua en un conjunto
# cerrado y acotado (Cybenko, 1989, para sigmoides; Hornik, 1991, para toda activación continua,
# acotada y no constante; después se extendió a las no acotadas, como ReLU y softplus).
#
# Lo que *no* sirve son las capas lineales: la composición de varias es otra matriz.

# %%
rng = np.random.default_rng(0)
W1, W2, W3 = (rng.normal(size=shape) for shape in [(20, 5), (20, 20), (4, 20)])
x = rng.normal(size=(8, 5))
layer_by_layer, one_matrix = ((x @ W1.T) @ W2.T) @ W3.T, x @ (W3 @ W2 @ W1).T
print(f"tres capas lineales y una matriz: {np.abs(layer_by_layer - one_matrix).max():.1e}")
assert np.allclose(layer_by_layer, one_matrix, rtol=0, atol=1e-11)

# %% [markdown]
# Con ReLU la red se puede incluso *escribir*: si $x_0<\dots<x_n$ son nodos a distancia $h$ y $s_i$
# las pendientes entre ellos,
#
# $$\begin{aligned}f_n(x)&=f(x_0)\\
#   &+\sum_{i=0}^{n-1}(s_i-s_{i-1})\,\mathrm{ReLU}(x-x_i),\end{aligned}\qquad s_{-1}=0$$
#
# es la interpolación por trozos: $n$ neuronas, y un error de a lo sumo $\tfrac{h^2}8\max|f''|$.

# %%
wave = lambda x: np.sin(3 * np.pi * x)
CURVATURE = (3 * np.pi) ** 2  # el mayor |f''|


def written(n, x):
    """Una red de n ReLU de pesos escritos a mano, en los puntos x."""
    nodes = np.linspace(-1, 1, n + 1)
    jumps = np.diff(np.diff(wave(nodes)) / np.diff(nodes), prepend=0.0)
    return wave(nodes[0]) + np.maximum(0, x[:, None] - nodes[:-1]) @ jumps


dense = np.linspace(-1, 1, 4001)
nodes = np.linspace(-1, 1, 14)
assert np.allclose(written(13, dense), np.interp(dense, nodes, wave(nodes)), rtol=0, atol=1e-12)

units = np.unique(np.geomspace(4, 256, 19).round().astype(int))
errors = np.array([np.abs(written(n, dense) - wave(dense)).max() for n in units])
assert (errors <= (2 / units) ** 2 / 8 * CURVATURE + 1e-12).all()
falls = np.polyfit(np.log(units[-10:]), np.log(errors[-10:]), 1)[0]
print(f"el error de la red escrita cae como n elevado a {falls:.2f}")
assert abs(falls + 2) < 0.1

# %% [markdown]
# ¿Y si los pesos se *entrenan*? En Keras o PyTorch haría falta un modelo, y un entrenamiento, por
# cada anchura. Aquí se usa un truco para que todas vayan en un solo programa: la red tiene siempre
# 64 neuronas, y cada una lleva una **compuerta**, un número que multiplica su salida. Con la
# compuerta en cero, la neurona ni aporta ni recibe gradiente: es como si no estuviera. Las $n$
# abiertas valen $\sqrt{64/n}$, para que la señal empiece con el tamaño que tendría en una red de
# esa anchura.
#
# `with_gates` trata las compuertas como parámetros con una regla propia, que en el primer paso las
# lleva a su valor y después no las mueve; los demás parámetros son de Adam. Así $n$ es una columna
# más de la tabla de entrenamientos.

# %%
WIDEST = 64


class Gated(nnx.Module):
    """Capas ocultas de las que solo cuentan las neuronas con la compuerta abierta."""

    def __init__(self, inputs, depth, outputs, activation, *, rngs, **start):
        pairs = itertools.pairwise([inputs, *[WIDEST] * depth])
        self.hidden = nnx.List([nnx.Linear(n, m, rngs=rngs, **start) for n, m in pairs])
        self.last = nnx.Linear(WIDEST, outputs, rngs=rngs)
        self.gate = nnx.Param(jnp.ones(WIDEST))
        self.activation = activation

    def __call__(self, x):
        for layer in self.hidden:
            x = self.gate[...][None] * self.activation(layer(x))
        return self.last(x)


def with_gates(h):
    """Adam para los pesos; las h["hidden"] primeras compuertas se abren de una vez y se quedan."""
    wanted = jnp.where(jnp.arange(WIDEST) < h["hidden"], jnp.sqrt(WIDEST / h["hidden"]), 0.0)
    update = lambda _, state, params: (jax.tree.map(lambda gate: wanted - gate, params), state)
    gates = optax.GradientTransformation(lambda params: optax.EmptyState(), update)
    return joc.partition_by_path({"gate": gates}, default=joc.adam(h["learning_rate"]))


wide = nnx.initializers.normal(3.0)
points, between = np.linspace(-1, 1, 64)[:, None], dense[::8, None]
curve = joc.Task.from_flax(
    lambda rngs: Gated(1, 1, 1, jnp.tanh, kernel_init=wide, bias_init=wide, rngs=rngs),
    *(points, wave(points)),
    valid=(points, wave(points)),
    test=(between, wave(between)),
    loss="squared_error",
    name="wave",
)
trials = joc.grid(
    hidden=[2, 4, 8, 16, 32, 64],
    learning_rate=[0.01, 0.03],
    seed=range(2 if quick() else 6),
)
study = joc.sweep(
    curve,
    trials,
    with_gates,
    steps=500 if quick() else 3000,
    batch_size=64,
    evaluate_every=500,
    progress=False,
)
trained = np.sqrt(study.trials.groupby("hidden")["test_loss"].agg(["min", "median"]))
rms_of = lambda n: math.sqrt(((written(n, dense) - wave(dense)) ** 2).mean())
show_table(trained.set_axis(["mejor", "mediana"], axis=1).rename_axis("neuronas"), 2)
assert trained["min"].loc[64] < 0.5 * trained["min"].loc[4]

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8))
axes[0].plot(dense, wave(dense), color="black", lw=3, alpha=0.3, label="la función")
for n, colour in ((7, ORANGE), (14, GREEN), (28, BLUE)):
    axes[0].plot(dense, written(n, dense), color=colour, label=f"{n} ReLU")
axes[0].set(xlabel="$x$", ylabel="salida", ylim=(-1.2, 1.9), title="Redes escritas a mano")
axes[0].legend(ncols=2)
axes[1].loglog(units, [rms_of(n) for n in units], color="black", label="ReLU escrita")
axes[1].loglog(trained.index, trained["min"], "o-", color=BLUE, label="tanh entrenada, la mejor")
axes[1].loglog(trained.index, trained["median"], "s--", color=SKY, label="entrenada, mediana")
axes[1].set_xticks(marks := 4 ** np.arange(1, 5), marks)
axes[1].minorticks_off()
axes[1].set(xlabel="neuronas ocultas", ylabel="raíz del error cuadrático medio")
axes[1].set_title("Error frente a neuronas")
axes[1].legend()
fig.tight_layout()
show(fig, "aproximacion_universal")

# %% [markdown]
# Con pocas neuronas la entrenada gana con holgura a la escrita, porque las coloca donde hacen
# falta. Pero entre 8 y 64 mejora mucho menos que la escrita, cuyo error se sigue dividiendo entre
# $n^2$: el teorema dice que los pesos existen, no que el descenso los encuentre.

# %%
gain = {"escrita": rms_of(8) / rms_of(64), "entrenada": trained["min"][8] / trained["min"][64]}
print(f"con 8 neuronas: escrita {rms_of(8):.4f}, entrenada {trained['min'][8]:.4f}")
print("de 8 a 64 el error se divide por:", ", ".join(f"{by:.1f} la {k}" for k, by in gain.items()))
assert trained["min"][8] < rms_of(8) / 3 and gain["escrita"] > 3 * gain["entrenada"]

# %% [markdown]
# ## Donde la profundidad paga: el diente de sierra
#
# ¿Para qué apilar, si una capa basta? Los apuntes 002 contestan que una red profunda *reutiliza* lo
# que calcula y es más compacta. Hay una función en que eso es un teorema. Dos ReLU dibujan una
# tienda, $T(x)=2\,\mathrm{ReLU}(x)-4\,\mathrm{ReLU}(x-\tfrac12)$ en $[0,1]$, y aplicarla $k$ veces
# pliega el intervalo otras tantas: $2k$ neuronas, $2^k$ tramos rectos. Una sola capa añade a lo
# sumo un quiebro por neurona, así que para los mismos tramos necesita $2^k-1$.


# %%
def pieces(y):
    """Cuántos tramos rectos tiene una función de la que y son los valores, a pasos iguales."""
    bends = np.abs(np.diff(y, 2)) > 1e-9 * np.abs(y).max()
    return 1 + int((bends & ~np.append(False, bends[:-1])).sum())


def tents(x, layers):
    """Una red de ``layers`` capas de dos ReLU, de pesos escritos a mano."""
    for _ in range(layers):
        x = 2 * np.maximum(0, x) - 4 * np.maximum(0, x - 0.5)
    return x


fine = np.linspace(0, 1, 2**14 + 1)
folds = np.arange(1, 11)
counted = np.array([pieces(tents(fine, k)) for k in folds])
print("tramos con 1, 2, ..., 10 capas de dos neuronas:", ", ".join(map(str, counted)))
assert (counted == 2**folds).all()

knots = np.linspace(0, 1, 2**6 + 1)  # la misma función de seis capas, en una sola
jumps = np.diff(np.diff(tents(knots, 6)) / np.diff(knots), prepend=0.0)
shallow = np.maximum(0, fine[:, None] - knots[:-1]) @ jumps
assert np.allclose(shallow, tents(fine, 6), rtol=0, atol=1e-9)
print(f"el diente de 6 capas: {2 * 6} neuronas, o {np.count_nonzero(jumps)} en una capa")

# %% [markdown]
# Pero tener sitio para $2^k$ tramos no es usarlos. Se cuentan los de redes al azar con 64 ReLU (He,
# parte 7.3), repartidas en una, dos, cuatro u ocho capas:


# %%
def random_net(x, layers, draw):
    """Una red ReLU de una entrada y 64 neuronas en total, con pesos al azar."""
    width, a = 64 // layers, x[:, None]
    for _ in range(layers):
        n = a.shape[1]
        a = np.maximum(0, a @ draw.normal(size=(n, width)) * np.sqrt(2 / n)
                       + 0.5 * draw.normal(size=width))  # fmt: skip
    return a @ draw.normal(size=width)


wide_x, draw = np.linspace(-4, 4, 20_001), np.random.default_rng(5)
tries = range(10 if quick() else 40)
at_random = {
    layers: np.mean([pieces(random_net(wide_x, layers, draw)) for _ in tries])
    for layers in (1, 2, 4, 8)
}
words = ", ".join(f"{n:.0f} con {k}" for k, n in at_random.items())
print(f"tramos de una red al azar, según sus capas: {words}")
assert max(at_random.values()) <= 65  # el tope de una capa; ocho capas de ocho podrían tener miles

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for k, colour, style in ((1, RED, "-"), (2, ORANGE, "--"), (4, BLUE, "-")):
    words = f"{k} {'capa' if k == 1 else 'capas'}"
    left.plot(fine, tents(fine, k), style, color=colour, label=words)
left.set(xlabel="$x$", ylabel="salida", ylim=(0, 1.45), title="Dos ReLU por capa")
left.legend(frameon=False, ncols=3, loc="upper center")
right.semilogy(2 * folds, counted, "o-", color=BLUE, label="profunda, dos por capa")
right.semilogy(2 * folds, 2 * folds + 1, "s-", color=RED, label="una capa, el máximo")
right.set_xticks(range(2, 21, 2))
right.set(xlabel="neuronas", ylabel="tramos rectos", title="Lo que cabe")
right.legend(frameon=False)
show(fig, "diente_de_sierra")

# %% [markdown]
# Al azar, más capas no dan más tramos, y el entrenamiento parte de ahí. La profundidad paga donde
# la función está hecha de repetir algo; no por existir. En los dígitos de abajo, por ejemplo, no.
#
# ## ¿Cuántas neuronas, cuántas capas?
#
# La anchura y la profundidad no se aprenden con el gradiente; son hiperparámetros, y se eligen con
# validación. La anchura sigue siendo una columna de números. La profundidad cambia el programa: va
# en `static`, y cada valor compila el suyo, en la misma tabla. Los datos son los dígitos de 8 × 8
# con pocas imágenes de entrenamiento, para que se note el sobreajuste.

# %%
digits = joc.load_task("digits")
few = {"inputs": digits.train["inputs"][:300], "targets": digits.train["targets"][:300]}


def deep(depth):
    """Los dígitos con ``depth`` capas ocultas."""
    part = lambda p: (p["inputs"], p["targets"])
    return joc.Task.from_flax(
        lambda rngs: Gated(64, depth, 10, jax.nn.relu, rngs=rngs),
        *part(few),
        valid=part(digits.valid),
        test=part(digits.test),
        loss="softmax_cross_entropy",
        name="few digits",
    )


trials = joc.grid(
    depth=[1, 2] if quick() else [1, 2, 3],
    hidden=[3, 64] if quick() else [3, 5, 8, 16, 32, 64],
    learning_rate=[0.003, 0.01],
    seed=range(4 if quick() else 6),
)
study = joc.sweep(
    deep,
    trials,
    with_gates,
    static=["depth"],
    steps=300,
    batch_size=30,
    record_every=10,  # una época
    evaluate_every=300,
    metric="valid_loss",
    progress=False,
)
table = study.configurations("valid_loss")
first = table[["depth", "hidden", "learning_rate", "valid_loss"]].head(8)
show_table(
    first.set_axis(["capas", "neuronas", "tasa", "pérdida de validación"], axis=1), index=False
)

# %% [markdown]
# A la izquierda, cada punto es una semilla. Las redes estrechas acaban en sitios muy distintos; al
# ensanchar, la nube se encoge y baja: los mínimos a los que se llega se parecen cada vez más entre
# sí (es la figura de Choromanska y otros, 2015, que traen los apuntes). Al final la pérdida de
# entrenamiento sigue bajando cuando la de prueba ya no lo hace.

# %%
LOSSES = ["train_loss", "valid_loss", "test_loss"]
runs = study.trials.astype(dict.fromkeys(LOSSES, float))
one_layer = runs[(runs["depth"] == 1) & (runs["learning_rate"] == 0.003)]
same_rate = runs[runs["learning_rate"] == 0.003].groupby(["depth", "hidden"])[LOSSES].mean()

fig, axes = plt.subplots(1, 2, figsize=(9.5, 4))
colours = [RED, ORANGE, PURPLE, GREEN, SKY, BLUE]
for (hidden, rows), colour in zip(one_layer.groupby("hidden"), colours, strict=False):
    axes[0].loglog(rows["train_loss"], rows["test_loss"], "o", color=colour, label=str(hidden))
axes[0].set(xlabel="pérdida de entrenamiento", ylabel="pérdida de prueba")
axes[0].set_yticks(marks := [0.3, 0.5, 1, 1.5], [f"{mark:g}" for mark in marks])
axes[0].set_title("Una capa oculta: cada punto, una semilla")
axes[0].legend(title="neuronas")
for (depth, rows), colour in zip(same_rate.groupby("depth"), (BLUE, GREEN, RED), strict=False):
    rows = rows.droplevel("depth")
    axes[1].loglog(rows["train_loss"], ":", color=colour)
    axes[1].loglog(rows["valid_loss"], "o-", color=colour, label=f"{depth}")
axes[1].set(xlabel="neuronas por capa", ylabel="pérdida")
axes[1].set_xticks(widths := same_rate.index.unique("hidden"), widths)
for ax in axes:
    ax.minorticks_off()
axes[1].set_title("Validación (línea) y entrenamiento (puntos)")
axes[1].legend(title="capas ocultas")
fig.tight_layout()
show(fig, "anchura_y_profundidad")

spread = one_layer.groupby("hidden")[["train_loss", "test_loss"]].std()
print("desviación entre semillas, una capa:")
show_table(spread.rename_axis("neuronas").set_axis(["entrenamiento", "prueba"], axis=1), 2)
assert (spread.loc[3] > 4 * spread.loc[64]).all()

# %% [markdown]
# ¿Y la profundidad? Con 64 neuronas por capa y la misma tasa para todas, 0,003, semilla a semilla:
# las que comparten semilla comparten los lotes. El intervalo es del 95 %.

# %%
of_64 = same_rate.xs(64, level="hidden").rename_axis("capas")
show_table(of_64.set_axis(["entrenamiento", "validación", "prueba"], axis=1))
paired = runs[(runs["hidden"] == 64) & (runs["learning_rate"] == 0.003)]
paired = paired.pivot(index="seed", columns="depth", values=LOSSES[:2])
one_more = {}
for loss, words in zip(LOSSES, ("entrenamiento", "validación"), strict=False):
    change = paired[loss][2] - paired[loss][1]
    margin = stats.t.ppf(0.975, len(change) - 1) * stats.sem(change)
    one_more[loss] = change.mean(), margin
    said = "no se separa de cero"
    if abs(change.mean()) > margin:
        said = "empeora" if change.mean() > 0 else "mejora"
    print(f"una capa más, {words}: {change.mean():+.3f} ± {margin:.3f}, {said}")
assert sum(one_more["train_loss"]) < 0  # memoriza mejor los trescientos dígitos
assert sum(one_more["valid_loss"]) > 0  # y fuera de ellos no se nota que mejore

# %% [markdown]
# Elegida con la validación, la ganadora se vuelve a entrenar con semillas nuevas, y solo entonces
# se mira la prueba: la búsqueda eligió también la suerte. El intervalo es del 95 %.

# %%
chosen = study.best("valid_loss")
scores = study.confirm(4, progress=False).trials["test_accuracy"].astype(float)
half = stats.t.ppf(0.975, len(scores) - 1) * stats.sem(scores)
print(
    f"capas ocultas: {chosen['depth']:.0f}, de {chosen['hidden']:.0f} neuronas, con tasa "
    f"{chosen['learning_rate']:g}; exactitud de prueba {scores.mean():.3f} ± {half:.3f}"
)
narrow = runs.loc[runs["hidden"] == 3, "test_accuracy"].astype(float)
assert narrow.max() < scores.mean() - half

# %% [markdown]
# ## En resumen
#
# - El teorema dice que los pesos existen; el entrenamiento no los encuentra siempre.
# - La profundidad paga donde la función está hecha de repetir algo, como el diente de sierra; en
#   los dígitos, no.
# - Al ensanchar, las semillas acaban cada vez más cerca unas de otras.
# - Anchura y profundidad se eligen con validación; la prueba se mira una vez, con semillas nuevas.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice si una red el doble de ancha reduce a la mitad el error de aproximación. Mídelo.
# 2. Elige la red con la exactitud de prueba en lugar de la de validación. ¿Cuánto mejora el número,
#    y por qué no hay que creerlo?
# 3. Construye a mano una red de tres ReLU que dibuje un triángulo.
# 4. Predice cuántos tramos rectos tienen diez capas de la tienda. ¿Y una capa de veinte neuronas?
#
# ## Para leer más
#
# - Cybenko (1989), «Approximation by Superpositions of a Sigmoidal Function».
# - Hornik (1991), «Approximation Capabilities of Multilayer Feedforward Networks».
# - Telgarsky (2016), «Benefits of Depth in Neural Networks».
# - Hanin y Rolnick (2019), «Complexity of Linear Regions in Deep Networks».
