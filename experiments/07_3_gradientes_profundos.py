# %% [markdown]
# # 7.3. La red por dentro: gradientes que se desvanecen y que explotan
#
# Uno de los desafíos que nombran los apuntes: en una red profunda el gradiente que llega a las
# primeras capas puede ser casi nulo, y entonces no aprenden, o enorme, y entonces se rompen. Aquí
# se mide cuánto, según la profundidad, la activación y el tamaño de los pesos iniciales, y después
# se entrena para ver qué ocurre.
#
# **Al terminar sabrás** predecir si un gradiente se desvanece o explota según la ganancia; elegir
# la escala de los pesos iniciales de cada activación.
#
# **Hace falta** la [parte 7.2](07_2_retropropagacion.py).

# %%
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from flax import nnx
from sklearn.datasets import load_digits

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table

COLOURS = {
    "lineal": "black",
    "ReLU": "#D55E00",
    "tanh": "#009E73",
    "softplus": "#CC79A7",
    "sigmoide": "#0072B2",
}
SIGMA = {
    "lineal": lambda z: z,
    "ReLU": jax.nn.relu,
    "tanh": jnp.tanh,
    "softplus": jax.nn.softplus,
    "sigmoide": jax.nn.sigmoid,
}

# %% [markdown]
# ## Un producto de muchas capas
#
# La señal de error de una capa, $\delta^{(\ell)}=\partial E/\partial z^{(\ell)}$, viene de la
# siguiente (lección 7.2):
#
# $$\delta^{(\ell)}=\big(W^{(\ell)}\big)^{\!\top}\delta^{(\ell+1)}\odot\sigma'(z^{(\ell)})$$
#
# Es un producto: cada capa multiplica por $W^\top$ y por $\sigma'$. Con pesos al azar de varianza
# $g^2/S_\ell$, donde $g$ es la **ganancia**, una red lineal multiplica la norma de $\delta$ por
# $g$ en cada capa, en media cuadrática; una ReLU, que deja pasar la mitad, por $g/\sqrt2$. Con
# treinta capas eso es $g^{30}$ o $(g/\sqrt2)^{30}$.
#
# Para medirlo basta sumar a cada $z^{(\ell)}$ un desplazamiento que vale cero: la derivada respecto
# de él es $\delta^{(\ell)}$, y JAX da los de todas las capas a la vez. Son redes de 64 unidades por
# capa, al azar, sin entrenar.

# %%
DEPTH, WIDTH, EXAMPLES = 30, 64, 32
seeds = 2 if quick() else 6
rng = np.random.default_rng(0)
weights = rng.normal(size=(seeds, DEPTH, WIDTH, WIDTH)) / math.sqrt(WIDTH)
inputs, outer = rng.normal(size=(2, seeds, EXAMPLES, WIDTH))  # outer: δ de la salida


def deltas(name, gain, weights, inputs, outer, skip=0.0):
    """La media cuadrática de δ en cada capa de una red; con skip=1, con atajos."""

    def output(shifts):
        layer = lambda a, w_shift: (
            skip * a + SIGMA[name](gain * a @ w_shift[0] + w_shift[1]),
            None,
        )
        a, _ = jax.lax.scan(layer, inputs, (weights[:-1], shifts[:-1]))
        return gain * a @ weights[-1] + shifts[-1]

    _, pull_back = jax.vjp(output, jnp.zeros((DEPTH, EXAMPLES, WIDTH)))
    return (pull_back(outer)[0] ** 2).mean((1, 2))


@jax.jit
def every_size(gains, *networks):
    """De cada activación, (ganancias, capas): la raíz de la media sobre las redes."""
    of_networks = lambda name, gain: jax.lax.map(lambda one: deltas(name, gain, *one), networks)
    mean = lambda name: lambda gain: jnp.sqrt(of_networks(name, gain).mean(0))
    return {name: jax.lax.map(mean(name), gains) for name in SIGMA}


gains = np.sort(np.append(np.geomspace(0.5, 16, 7 if quick() else 13), [1, math.sqrt(2)]))
with jax.enable_x64(True):  # treinta capas de sigmoides no caben en float32
    sizes = jax.device_get(every_size(gains, weights, inputs, outer))
relative = {name: size / size[:, -1:] for name, size in sizes.items()}  # (ganancias, capas)

# %% [markdown]
# Con $g=1$, cuánto queda de $\delta$ después de 5, 10, 20 y 29 capas, y el factor medio por capa:

# %%
at = lambda name, gain: relative[name][np.argmin(abs(gains - gain))]
per_layer = lambda curve: (curve[..., 0] / curve[..., -1]) ** (1 / (DEPTH - 1))
rows = {
    (name, round(gain, 3)): {f"{n} capas": at(name, gain)[-1 - n] for n in (5, 10, 20, 29)}
    | {"por capa": per_layer(at(name, gain))}
    for name in SIGMA
    for gain in ([1, math.sqrt(2)] if name == "ReLU" else [1])
}
show_table(pd.DataFrame(rows).T.rename_axis(["activación", "g"]), 2)

for name, scale in [("lineal", 1), ("ReLU", 1 / math.sqrt(2))]:
    assert np.allclose(per_layer(relative[name]), gains * scale, rtol=0.06)
assert per_layer(at("sigmoide", 1)) < 1 / 4  # el techo de su derivada
assert at("sigmoide", 1)[0] < 1e-15 < 1e-3 < at("tanh", 1)[0] < at("lineal", 1)[0]

# %% [markdown]
# A la izquierda, $\delta$ capa a capa, con $g=1$ salvo donde se dice: las rectas en escala
# logarítmica son la prueba del producto. A la derecha, el factor por capa según la ganancia. Por
# encima de la línea el gradiente explota; por debajo se desvanece; solo cerca de ella se puede
# apilar muchas capas.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4))
layers = np.arange(2, DEPTH + 2)
for name, colour in COLOURS.items():
    axes[0].semilogy(layers, at(name, 1), color=colour, label=name)
    axes[1].loglog(gains, per_layer(relative[name]), color=colour, label=name)
axes[0].semilogy(layers, at("ReLU", math.sqrt(2)), "--", color=COLOURS["ReLU"])
axes[0].text(3, 6, r"ReLU, $g=\sqrt{2}$ (- -)", color=COLOURS["ReLU"])
axes[0].set(xlabel="capa $\\ell$ (la salida, a la derecha)", ylim=(None, 1e3))
axes[0].set(ylabel="tamaño de $\\delta^{(\\ell)}$ relativo a la salida")
axes[0].set_title("El error, de vuelta por treinta capas")
axes[1].axhline(1, color="gray", lw=0.8)
axes[1].set_xticks(marks := [0.5, 1, 2, 4, 8, 16], [f"{mark:g}" for mark in marks])
axes[1].set_yticks(marks := [0.1, 0.3, 1, 3, 10], [f"{mark:g}" for mark in marks])
axes[1].minorticks_off()
axes[1].set(xlabel="ganancia $g$", ylabel="factor por capa", title="¿Explota o se desvanece?")
axes[1].legend(frameon=False)
fig.tight_layout()
show(fig, "gradientes_por_capa")

# %% [markdown]
# ¿Con qué ganancia se conserva el tamaño? Se lee donde cada curva cruza la línea:

# %%
held = {
    name: np.exp(np.interp(0, np.log(per_layer(relative[name])), np.log(gains))) for name in SIGMA
}
print("ganancia que conserva δ:", ", ".join(f"{name} {gain:.2f}" for name, gain in held.items()))
assert abs(held["lineal"] - 1) < 0.05 and abs(held["ReLU"] / math.sqrt(2) - 1) < 0.05
assert 1 < held["tanh"] < 2 < 6 < held["sigmoide"]

# %% [markdown]
# La ganancia $\sqrt2$ de la ReLU es la inicialización de He. Con tanh y $g=1$ el gradiente se apaga
# despacio, y con $g=2$ ya explota, aunque la tanh esté acotada. La sigmoide pide una ganancia
# desmesurada, porque su pendiente nunca pasa de un cuarto, y con ella muchas neuronas trabajan
# saturadas: su pendiente es casi nula, y la media cuadrática la sostienen las pocas que quedan.

# %%
flat = {}
for gain in (1.0, held["sigmoide"]):
    a = inputs[0]
    for w in weights[0, :2]:
        a = 1 / (1 + np.exp(-gain * a @ w))
    flat[gain] = np.mean(a * (1 - a) < 0.1 * 1 / 4)
    print(
        f"g = {gain:.1f}: el {100 * flat[gain]:.0f} % de las neuronas tiene menos de un décimo "
        "de la pendiente mayor"
    )
assert flat[1.0] < 0.01 and flat[held["sigmoide"]] > 0.25

# %% [markdown]
# ## Y al entrenar
#
# Los dígitos de 8 × 8 con diez capas ocultas de 64 unidades, descenso de gradiente a secas, y para
# cada red la mejor de varias tasas. Una de ellas lleva *atajos*, de los que se habla debajo. La red
# cambia el programa y va en `static`; las tasas y las semillas entrenan a la vez.

# %%
NETS = {
    "ReLU, g = √2": ("ReLU", math.sqrt(2), 0),
    "ReLU, g = 1": ("ReLU", 1.0, 0),
    "sigmoide, g = 1": ("sigmoide", 1.0, 0),
    "sigmoide con atajos": ("sigmoide", 1.0, 1),
}
if quick():
    del NETS["ReLU, g = 1"]


# %%
class Deep(nnx.Module):
    """Diez capas ocultas de 64 unidades."""

    def __init__(self, activation, gain, skip, *, rngs):
        start = nnx.initializers.variance_scaling(gain**2, "fan_in", "normal")
        self.hidden = nnx.List(
            [nnx.Linear(64, 64, kernel_init=start, rngs=rngs) for _ in range(10)]
        )
        self.last = nnx.Linear(64, 10, rngs=rngs)
        self.activation, self.skip = activation, skip

    def __call__(self, x):
        for layer in self.hidden:
            x = self.skip * x + SIGMA[self.activation](layer(x))
        return self.last(x)


# %%
digits = joc.load_task("digits")
arrays = lambda part: (part["inputs"], part["targets"])


def digits_with(net):
    """Los dígitos para una de las redes."""
    return joc.Task.from_flax(
        lambda rngs: Deep(*NETS[net], rngs=rngs),
        *arrays(digits.train),
        valid=arrays(digits.valid),
        test=arrays(digits.test),
        loss="softmax_cross_entropy",
        name="digits",
    )


trials = joc.grid(
    net=list(NETS),
    optimizer="sgd",
    learning_rate=[0.05] if quick() else [0.02, 0.05, 0.1],
    seed=range(2),
)
study = joc.sweep(
    digits_with, trials, static=["net"], epochs=6 if quick() else 10, metric="valid_loss",
    progress=False,
)  # fmt: skip
best = study.configurations().groupby("net", sort=False).first()
best_of_each = best[["learning_rate", "valid_loss"]].set_axis(
    ["tasa", "pérdida de validación"], axis=1
)
show_table(best_of_each.rename_axis("red"))

# %%
fig, ax = plt.subplots(figsize=(7, 3.6))
curves = study.curves["train_loss"]
for name in NETS:
    style = {"ReLU, g = 1": ":", "sigmoide con atajos": "--"}.get(name, "-")
    mine = (curves["net"] == name) & (curves["learning_rate"] == best["learning_rate"][name])
    lines = curves.isel(trial=np.flatnonzero(mine))
    colour = COLOURS[NETS[name][0]]
    ax.fill_between(lines["step"], lines.min("trial"), lines.max("trial"), color=colour, alpha=0.15)
    ax.plot(lines["step"], lines.mean("trial"), style, color=colour, label=name)
ax.axhline(math.log(10), color="gray", lw=0.8, label="contestar al azar, ln 10")
ax.set(xlabel="paso", ylabel="entropía cruzada de entrenamiento", ylim=(0, 2.8))
ax.set_title("Diez capas ocultas, cada red con su mejor tasa")
ax.legend(frameon=False)
show(fig, "entrenar_diez_capas")

# %% [markdown]
# La banda va de la peor a la mejor semilla. La red de sigmoides no se mueve de la respuesta al
# azar: a sus primeras capas no les llega nada que las mueva. La ReLU con la ganancia de He aprende.

# %%
losses = best["valid_loss"].astype(float)
assert losses["sigmoide, g = 1"] > 0.95 * math.log(10)
assert losses["ReLU, g = √2"] < 0.5 * math.log(10)

# %% [markdown]
# ## Un atajo
#
# La cuarta red es la de sigmoides, con los mismos pesos iniciales y una suma más en cada capa:
#
# $$a^{(\ell+1)}=a^{(\ell)}+\sigma(z^{(\ell+1)})\qquad\Longrightarrow\qquad
#   \begin{aligned}\frac{\partial a^{(\ell+1)}}{\partial a^{(\ell)}}
#   &=I\\&+\operatorname{diag}\big(\sigma'(z^{(\ell+1)})\big)\,W^{(\ell)}\end{aligned}$$
#
# El producto de muchas matrices pequeñas se vuelve un producto de matrices cercanas a la identidad:
# el error tiene siempre un camino por el que volver entero. Es la idea de las redes residuales, y
# se mide como arriba.

# %%
with jax.enable_x64(True):
    sizes_with = {
        name: np.sqrt(np.mean([jax.jit(deltas, static_argnums=0)(name, 1.0, *one, 1.0)
                               for one in zip(weights, inputs, outer, strict=True)], axis=0))
        for name in ("tanh", "sigmoide")
    }  # fmt: skip
for name, size in sizes_with.items():
    # la última δ no pasa por ningún atajo: se cuenta desde la anterior
    kept, bare = size[0] / size[-2], relative[name][np.argmin(abs(gains - 1)), 0]
    print(f"{name}: a la primera capa llega {bare:.1e} del error; con atajos, {kept:.2f} veces")
    assert kept > 0.5 and kept > 100 * bare
moved = losses["sigmoide, g = 1"] - losses["sigmoide con atajos"]
assert moved > (0.1 if quick() else 1)  # con una sola tasa y pocas épocas apenas ha empezado

# %% [markdown]
# Con atajos la red de sigmoides, que no se movía, aprende (la línea discontinua de la figura, que
# empieza fuera de ella). El precio está en el otro lado: el error ya no se apaga, pero crece de
# capa en capa, y la salida, que suma las de todas, empieza lejos.
#
# Además rompen simetrías. Sin ellos, cambiar de orden las neuronas de una capa no cambia nada
# (parte 7.2); con ellos la neurona $i$ de una capa se suma a la $i$ de la siguiente, y ya no se
# puede reordenar una sola. Los apuntes citan ese efecto (Orhan y Pitkow, 2018).

# %%
W1, W2 = weights[0, :2]
order = rng.permutation(WIDTH)
for skip in (0, 1):
    two = lambda W1, W2, skip=skip: (
        lambda a: skip * a + np.tanh(a @ W2)
    )(skip * inputs[0] + np.tanh(inputs[0] @ W1))  # fmt: skip
    changed = np.abs(two(W1[:, order], W2[order]) - two(W1, W2)).max()
    print(
        f"{'con' if skip else 'sin'} atajos, reordenar una capa cambia la salida en {changed:.0e}"
    )
    assert (changed > 0.1) == bool(skip) and (changed < 1e-12) == (not skip)

# %% [markdown]
# ## Las escalas de las capas altas
#
# Los apuntes 000 dan otra razón para cuidar las capas: las superiores terminan teniendo entradas de
# escalas diferentes, y por eso ayuda el momentum. Lo primero se puede medir. Pasan los dígitos por
# diez capas ReLU sin entrenar, de ganancia $\sqrt2$, y de cada capa se mira cuánto varía cada
# neurona de un dígito a otro: la razón entre las que más (el percentil 90) y las que menos (el 10).

# %%
pixels = load_digits().data / 16
ratios = np.empty((9, 10))  # (semilla, capa)
for seed, draw in enumerate(map(np.random.default_rng, range(len(ratios)))):
    a = pixels - pixels.mean()
    for layer in range(10):
        fan = a.shape[1]
        a = np.maximum(0, a @ draw.normal(0, math.sqrt(2 / fan), (fan, 64)))
        varied = a.std(axis=0)
        ratios[seed, layer] = np.divide(*np.quantile(varied[varied > 0], [0.9, 0.1]))
middle = np.median(ratios, axis=0)
shown = pd.DataFrame({"razón, mediana de 9 redes": middle}, index=range(1, 11))
show_table(shown.loc[[1, 2, 5, 10]].rename_axis("capa"), 2)
assert middle[-1] > 3 * middle[0] > 9

# %% [markdown]
# Es cierto, y ya antes de entrenar: cada capa mezcla las escalas de la anterior y las separa más.
# Lo segundo es el tazón alargado de la [lección 3](03_momentum.py), donde la memoria cambia
# $\kappa$ por $\sqrt\kappa$; y el otro remedio de allí, igualar las entradas, es lo que hacen las
# redes que normalizan entre capa y capa (Ioffe y Szegedy, 2015).

# %% [markdown]
# ## En resumen
#
# - El gradiente de las primeras capas es un producto de muchos factores: se apaga o explota en
#   proporción geométrica.
# - La ganancia que lo conserva es 1 con capas lineales, $\sqrt2$ con ReLU, algo más de 1 con tanh;
#   con la sigmoide, ninguna sirve de verdad.
# - Una red a cuyas primeras capas no llega gradiente no se mueve de la respuesta al azar.
# - Un atajo deja pasar el error entero, y de paso rompe la simetría entre neuronas.
# - A cada capa, las escalas de lo que recibe la siguiente se separan más.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice el gradiente de la primera capa con veinte capas en vez de diez, a la misma ganancia.
# 2. Entrena la red de sigmoides con una ganancia de 10. ¿Aprende?
# 3. Demuestra que con ReLU y pesos de varianza $2/n$ el tamaño medio de las activaciones se
#    conserva.
#
# ## Para leer más
#
# - Glorot y Bengio (2010), «Understanding the difficulty of training deep feedforward neural
#   networks».
# - He, Zhang, Ren y Sun (2015), «Delving Deep into Rectifiers»; (2016), «Deep Residual Learning for
#   Image Recognition».
# - Ioffe y Szegedy (2015), «Batch Normalization».
# - Orhan y Pitkow (2018), «Skip Connections Eliminate Singularities».
