# %% [markdown]
# # 4. Adagrad, RMSProp y Adadelta: una tasa para cada parámetro
#
# Hasta aquí todos los pesos compartían la tasa $\eta$. Pero no todos reciben la misma señal: en un
# texto la palabra «gol» aparece en pocos documentos, y el peso que la lee casi nunca tiene
# gradiente. Los tres métodos de esta lección guardan, para cada coordenada, una memoria $S$ de los
# gradientes al cuadrado y dividen el paso por su raíz:
#
# | método | memoria | paso |
# | --- | --- | --- |
# | Adagrad | $S_t = S_{t-1} + g_t^2$, la suma de todo | $\eta\, g_t/\sqrt{S_t+\varepsilon}$ |
# | RMSProp | $S_t = \rho S_{t-1} + (1-\rho)\, g_t^2$, una media que olvida | el mismo |
# | Adadelta | la de RMSProp, y $X$, la de los pasos $u_t^2$ | $u_t$, abajo |
#
# $$u_t = g_t\,\frac{\sqrt{X_{t-1}+\varepsilon}}{\sqrt{S_t+\varepsilon}}, \qquad
#   X_t = \rho X_{t-1} + (1-\rho)\,u_t^2$$
#
# RMSProp no tiene artículo: Hinton lo propuso en una clase de un curso en línea, y de ahí lo
# tomaron todos. Se le puede añadir la velocidad de la lección 3, y así lo escriben los apuntes 000:
#
# $$v\leftarrow\mu v-\frac{\eta}{\sqrt{S+\varepsilon}}\,g, \qquad \theta\leftarrow\theta+v$$
#
# **Al terminar sabrás** decir qué guarda cada regla y qué olvida; elegir entre ellas según los
# datos sean dispersos o el terreno cambie; explicar qué gradientes son «pequeños» según dónde esté
# $\varepsilon$.
#
# **Hace falta** la [lección 3](03_momentum.py).

# %%
import inspect

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import jaxopt_course as joc
from jaxopt_course.course import check, quick, show, show_table
from jaxopt_course.course.claims import claim, decided
from jaxopt_course.course.verdicts import show_claims

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"

# %% [markdown]
# ## Las tres reglas, una vez cada una
#
# Cada función recibe los gradientes, uno por fila, y devuelve los pasos (lo que se suma a
# $\theta$). Los apuntes 002 ponen $S_0=0$ y $\varepsilon$ dentro de la raíz, y así están aquí; los
# 003, fuera, $g/(\sqrt S+\varepsilon)$.


# %%
def adagrad(gradients, eta, eps=1e-7, S0=0.0):
    S, steps = S0, []
    for g in gradients:
        S = S + g**2
        steps.append(-eta * g / np.sqrt(S + eps))
    return np.array(steps)


# %%
def rmsprop(gradients, eta, rho=0.9, eps=1e-7, inside=True, mu=0.0):
    S, v, steps = 0.0, 0.0, []
    for g in gradients:
        S = rho * S + (1 - rho) * g**2
        root = np.sqrt(S + eps) if inside else np.sqrt(S) + eps
        v = mu * v - eta * g / root
        steps.append(v)
    return np.array(steps)


# %%
def adadelta(gradients, eta=1.0, rho=0.95, eps=1e-6):
    S, X, steps = 0.0, 0.0, []
    for g in gradients:
        S = rho * S + (1 - rho) * g**2
        u = g * np.sqrt(X + eps) / np.sqrt(S + eps)
        X = rho * X + (1 - rho) * u**2
        steps.append(-eta * u)
    return np.array(steps)


# %% [markdown]
# La biblioteca, sobre los mismos gradientes y en float64, da los mismos pasos. Las columnas tienen
# escalas muy distintas a propósito: donde el gradiente es diminuto se ve qué hace $\varepsilon$.


# %%
def steps_of(tx, gradients):
    """Los pasos de un optimizador de la biblioteca con unos gradientes, en float64."""
    with jax.enable_x64(True):
        state = tx.init(jnp.zeros(np.shape(gradients)[1:]))
        update = lambda state, g: tx.update(g, state, jnp.zeros_like(g))[::-1]
        return np.asarray(jax.lax.scan(update, state, jnp.asarray(gradients))[1])


rng = np.random.default_rng(0)
gradients = rng.normal(size=(60, 5)) * [1, 1e-1, 1e-2, 1e-3, 1e-4]
pairs = {
    "adagrad": (adagrad(gradients, 0.01), joc.adagrad(0.01, initial_accumulator_value=0.0)),
    "rmsprop": (rmsprop(gradients, 0.01), joc.rmsprop(0.01, eps=1e-7)),
    "rmsprop, ε fuera": (
        rmsprop(gradients, 0.01, eps=1e-8, inside=False),
        joc.rmsprop(0.01, decay=0.9, like="torch"),
    ),
    "rmsprop con momentum": (
        rmsprop(gradients, 0.01, mu=0.9),
        joc.rmsprop(0.01, momentum=0.9, like="keras"),
    ),
    "adadelta": (adadelta(gradients), joc.adadelta(1.0, rho=0.95, eps=1e-6)),
}
for name, (ours, tx) in pairs.items():
    gap = np.abs(ours - steps_of(tx, gradients)).max()
    print(f"{name:20} NumPy y biblioteca difieren en {gap:.0e}")
    assert gap < 1e-12

# %% [markdown]
# ## Datos dispersos
#
# Una regresión lineal con atributos cada vez más raros: el primero está en todos los ejemplos, el
# último casi en ninguno. Los pesos verdaderos se conocen, así que se puede mirar cada peso por
# separado. Las cuatro reglas, cada una con todas sus tasas y varias semillas, entrenan en un solo
# programa: la tabla `trials` sustituye a los bucles anidados que harían falta en Keras o PyTorch.

# %%
FEATURES, NOISE = 20, 0.1
often = np.geomspace(1.0, 0.003, FEATURES)
examples = 5000
present = rng.random((examples, FEATURES)) < often
inputs = present * rng.normal(size=(examples, FEATURES))
truth = rng.choice([-1.0, 1.0], FEATURES)
targets = inputs @ truth + NOISE * rng.normal(size=examples)

task = joc.Task.from_flax(
    lambda rngs: joc.MLP(FEATURES, 1, rngs=rngs),
    inputs,
    targets[:, None],
    loss="squared_error",
    name="sparse",
)
rates = np.geomspace(1e-3, 100.0, 11 if quick() else 21)
names = ["sgd", "adagrad", "rmsprop", "adadelta"]
trials = pd.concat(
    [
        joc.grid(optimizer=["sgd", "rmsprop", "adadelta"], learning_rate=rates, seed=range(3)),
        joc.grid(
            optimizer=["adagrad"],
            learning_rate=rates,
            initial_accumulator_value=[0.0],  # S0, como en los apuntes
            seed=range(3),
        ),
    ]
)
study = joc.sweep(task, trials, epochs=3, batch_size=32, diverges_above=1e3, progress=False)
winners = study.winners("valid_loss")
shown = winners[["optimizer", "learning_rate", "valid_loss"]]
show_table(
    shown.set_axis(["optimizador", "mejor tasa", "error de validación"], axis=1), index=False
)
print(f"ruido que ningún modelo puede quitar: {NOISE**2:.4f}")

# %%
best = winners.set_index("optimizer")
errors, lost = {}, {}  # de cada semilla: en los pesos, y en validación sobre el ruido
for name in names:
    chosen = study.trials.query(
        "optimizer == @name and learning_rate == @best.learning_rate[@name]"
    )
    found = []  # los pesos de cada semilla
    for trial in chosen["trial"]:
        leaves = jax.tree.leaves(study.state(int(trial)).params)
        found += [leaf[:, 0] for leaf in leaves if leaf.ndim == 2]
    errors[name] = np.abs(np.array(found) - truth)
    lost[name] = chosen["valid_loss"].to_numpy(float) - NOISE**2
error = {name: gaps.mean(axis=0) for name, gaps in errors.items()}

# %%
colours = dict(zip(names, (RED, BLUE, GREEN, ORANGE), strict=True))
marks = dict(zip(names, "osD^", strict=True))
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
table = study.configurations("valid_loss")
for name in names:
    line = table[table["optimizer"] == name].sort_values("learning_rate")
    line = line[line["valid_loss"] < 30]  # las demás divergieron
    style = {"color": colours[name], "marker": marks[name], "markersize": 5, "label": name}
    left.loglog(line["learning_rate"].astype(float), line["valid_loss"], **style)
    right.loglog(often, error[name], **style)
left.axhline(NOISE**2, color="0.5", linestyle=":")
left.annotate("ruido de los datos", (rates[0], NOISE**2 / 1.1), va="top", color="0.4")
left.set(xlabel=r"tasa de aprendizaje $\eta$", ylabel="error cuadrático de validación")
left.set_ylim(bottom=NOISE**2 / 2)
right.set(xlabel="frecuencia del atributo", ylabel=r"$|w - w^*|$ al terminar")
right.invert_xaxis()
right.legend(frameon=False)
left.set_title("Tres épocas con cada tasa")
right.set_title("Los pesos, con la mejor tasa de cada regla")
show(fig, "dispersos")

rare = often < 0.02
by_rarity = {name: (np.median(gaps[~rare]), np.median(gaps[rare])) for name, gaps in error.items()}
by_rarity_shown = pd.DataFrame(by_rarity, ["atributos frecuentes", "raros"]).T
show_table(by_rarity_shown.rename_axis("|w − w*| mediano"), 2)
excess = best["valid_loss"].astype(float) - NOISE**2

# %% [markdown]
# A la izquierda, la curva de SGD se corta donde diverge. A la derecha está la razón de que pierda:
# SGD debe elegir una sola tasa, y la acota el atributo más frecuente (lección 2); con ella los
# pesos más raros se quedan a medio camino. Adagrad divide cada paso por la raíz de *su* suma, que
# en los raros es pequeña, y los aprende mucho mejor. Es la ventaja que le atribuyen los apuntes
# 000, «ideal para datos dispersos». No vale siempre: la [lección 13.3](13_3_gradientes_raros.py)
# mira los ejemplos de uno en uno, y allí es SGD quien aprende mejor los atributos raros. La
# diferencia está en cuánto empuja cada aparición: dentro de un lote de 32 el gradiente de un
# atributo raro se divide por 32, y a SGD no le dejan subir la tasa para compensarlo. El veredicto,
# uno solo, está al final.
#
# Ni con una tasa propia se aprende lo que casi no se ve: el último atributo aparece en muy pocos
# ejemplos, y ahí fallan las cuatro reglas.

# %%
print(f"ejemplos con el atributo más raro: {present[:, -1].sum()} de {examples}")
assert excess["adagrad"] < 0.5 * excess["sgd"]
assert by_rarity["adagrad"][1] < 0.5 * by_rarity["sgd"][1]
assert all(gaps[-1] > 5 * np.median(gaps[~rare]) for gaps in error.values())

in_rare = {name: np.log(np.median(gaps[:, rare], axis=1)) for name, gaps in errors.items()}
typical = {name: np.exp(np.log(values).mean()) for name, values in lost.items()}
claims = [
    claim("Adagrad", "000:120, 000:136", "ideal para datos dispersos",
          f"error sobre el ruido {typical['adagrad']:.1e} (SGD {typical['sgd']:.1e}, RMSProp "
          f"{typical['rmsprop']:.1e}); en los pesos raros {by_rarity['adagrad'][1]:.2f} (SGD "
          f"{by_rarity['sgd'][1]:.2f})",
          part="con lotes de 32",
          con_lotes_predice_mejor_que_SGD=decided(np.log(lost["sgd"]) - np.log(lost["adagrad"])),
          con_lotes_mejor_en_los_raros=decided(in_rare["sgd"] - in_rare["adagrad"]),
          con_lotes_predice_mejor_que_RMSProp=decided(
              np.log(lost["rmsprop"]) - np.log(lost["adagrad"]))),
]  # fmt: skip

# %% [markdown]
# ## Adagrad se apaga, RMSProp olvida
#
# **Con las manos:** <a href="manos_superficie.html">Adagrad, RMSProp y Adadelta en una
# superficie</a>, con sus memorias a la vista.
#
# Con un gradiente constante, $S_t=t\,g^2$ y el paso de Adagrad es exactamente $\eta/\sqrt t$: es la
# «desventaja» de la misma tabla, una tasa que se hace muy pequeña. RMSProp cambia la suma por una
# media móvil y su paso tiende a $\eta$. La diferencia se ve mejor cuando el terreno cambia: a mitad
# de camino el gradiente se hace cien veces menor.

# %%
STEPS, CHANGE = 600, 300
size = np.where(np.arange(STEPS) < CHANGE, 1.0, 0.01)[:, None]
of_adagrad = np.abs(steps_of(joc.adagrad(1.0, initial_accumulator_value=0.0), size))[:, 0]
of_rmsprop = np.abs(steps_of(joc.rmsprop(1.0, eps=1e-7), size))[:, 0]
t = np.arange(1, STEPS + 1)
np.testing.assert_allclose(of_adagrad[:CHANGE], 1 / np.sqrt(t[:CHANGE]), rtol=1e-6)
np.testing.assert_allclose(of_rmsprop[CHANGE - 1], 1.0, rtol=1e-6)
recovery = int(np.argmax(of_rmsprop[CHANGE:] > 0.9))

# %%
fig, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
ax.semilogy(t, of_adagrad, color=BLUE)
ax.semilogy(t, of_rmsprop, color=GREEN)
ax.annotate("RMSProp", (t[40], 1.25), color=GREEN)
ax.annotate(r"Adagrad, $\eta/\sqrt{t}$", (t[100], of_adagrad[100] * 1.4), color=BLUE)
ax.axvline(CHANGE, color="0.6", linestyle=":")
ax.annotate("el gradiente se hace\ncien veces menor", (CHANGE + 8, 2e-3), color="0.4")
ax.set(xlabel="actualizaciones", ylabel=r"tamaño del paso / $\eta$", ylim=(3e-4, 3))
show(fig, "memoria")
print(f"RMSProp recupera el 90 % de su paso en {recovery} actualizaciones")
print(f"Adagrad, al final: {of_adagrad[-1]:.1e} de su primer paso")
assert recovery < 150 and of_adagrad[-1] < 1e-3

# %% [markdown]
# La media móvil también arranca: con $S_0=0$ la primera memoria de RMSProp es solo $(1-\rho)g^2$, y
# el primer paso resulta $1/\sqrt{1-\rho}$ veces mayor que $\eta$. Corregir ese sesgo es una de las
# ideas de Adam (lección 5).

# %%
print(f"primer paso de RMSProp: {of_rmsprop[0]:.2f} veces la tasa")
np.testing.assert_allclose(of_rmsprop[0], 1 / np.sqrt(1 - 0.9), rtol=1e-5)

# %% [markdown]
# ## RMSProp con momentum, entrenado
#
# Los apuntes 000 recomiendan sumarle la velocidad de la lección 3, $\mu\approx0{,}9$: más rápido,
# más estable. Arriba se comprobó la fórmula; aquí entrena la red de los dígitos de 8 × 8, durante
# cuatro épocas, con tres $\mu$ y muchas tasas. Con la mitad de las semillas se elige la tasa de
# cada $\mu$, y la otra mitad dice qué se gana.

# %%
memories, decades = [0.0, 0.5, 0.9], 2 if quick() else 4  # tasas por década
half = 2 if quick() else 6  # semillas que eligen, y otras tantas que informan
rolling = joc.grid(
    optimizer=["rmsprop"],
    momentum=memories,
    learning_rate=np.geomspace(1e-5, 0.1, 4 * decades + 1),
    seed=range(2 * half),
)
rolled = joc.sweep("digits", rolling, epochs=4, batch_size=64, evaluate_every=68, progress=False)
scores = rolled.trials.astype({"valid_loss": float, "learning_rate": float}).pivot_table(
    index="learning_rate", columns=["momentum", "seed"], values="valid_loss", aggfunc="mean"
)
by_rate = {mu: scores[mu].mean(axis=1) for mu in memories}

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for (mu, losses), colour, mark in zip(by_rate.items(), (GREEN, ORANGE, BLUE), "Do^", strict=True):
    look = {"color": colour, "marker": mark, "markersize": 4, "label": f"μ = {mu:g}"}
    look["label"] = look["label"].replace(".", ",")
    left.loglog(losses.index, losses, **look)
    right.loglog(losses.index / (1 - mu), losses, **look)
left.set(xlabel=r"tasa de aprendizaje $\eta$", ylabel="entropía cruzada de validación")
left.set_title("La misma tasa no es el mismo paso")
right.set(xlabel=r"paso terminal, $\eta/(1-\mu)$")
right.set_title("Con el mismo paso casi se tapan")
left.set_yticks(ticks := [0.2, 0.5, 1, 2], [f"{tick:g}".replace(".", ",") for tick in ticks])
left.minorticks_off()
right.minorticks_off()
left.legend(frameon=False)
show(fig, "rmsprop_momentum")

# %% [markdown]
# Es la velocidad terminal de la lección 3: con $\mu=0{,}9$ cada paso acaba siendo diez veces mayor,
# y su curva es la de $\mu=0$ corrida una década. Casi todo lo que parece ganar con una misma tasa
# es eso. Lo que queda se mide con la mejor tasa de cada una y semillas nuevas:

# %%
slow = np.log(by_rate[0.9].to_numpy()[: 2 * decades])  # tasas que no rompen nada
alone = np.log(by_rate[0.0].to_numpy())
unlike = np.abs(slow - alone[: 2 * decades]).mean()
shifted = np.abs(slow - alone[decades : 3 * decades]).mean()
print(f"distancia (en logaritmo) con la misma tasa {unlike:.2f}, con el mismo paso {shifted:.2f}")
assert shifted < 0.3 * unlike

picked = {mu: scores[mu][range(half)].mean(axis=1).idxmin() for mu in memories}
fresh = {mu: scores.loc[picked[mu], mu][range(half, 2 * half)].to_numpy() for mu in memories}
print(f"sin momentum, tasa {picked[0.0]:.2g}: {fresh[0.0].mean():.3f}")
for mu in memories[1:]:
    gain = fresh[0.0] - fresh[mu]
    margin = stats.t.ppf(0.975, half - 1) * stats.sem(gain)
    said = "se separa" if abs(gain.mean()) > margin else "no se separa"
    print(
        f"μ = {mu:g}, tasa {picked[mu]:.2g}: ahorra {gain.mean():+.3f} ± {margin:.3f}; "
        f"{said} de no tenerlo"
    )
assert picked[0.9] < min(picked[0.0], picked[0.5])

# %% [markdown]
# ## ¿Dónde está $\varepsilon$ y cuánto vale?
#
# Parece un detalle contra la división por cero, pero decide qué gradientes son «pequeños». Dentro
# de la raíz, $g/\sqrt{S+\varepsilon}$, se compara con $g^2$; fuera, $g/(\sqrt S+\varepsilon)$, se
# compara con $|g|$. Los apuntes 001 escriben la primera y la ilustran con el código de PyTorch, que
# es la segunda (errata E21, en la [lección 10.2](10_2_formulas_y_bibliotecas.py)). Aquí cada
# variante recibe gradientes constantes de muchos tamaños.

# %%
sizes = np.geomspace(1e-10, 1, 61)
variants = {
    "apuntes 002: dentro, ε = 1e-6": (joc.rmsprop(1.0, eps=1e-6), RED),
    "Keras: dentro, ε = 1e-7": (joc.rmsprop(1.0, like="keras"), ORANGE),
    "PyTorch: fuera, ε = 1e-8": (joc.rmsprop(1.0, decay=0.9, like="torch"), BLUE),
}
half = {}
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for label, (tx, colour) in variants.items():
    last = np.abs(steps_of(tx, np.broadcast_to(sizes, (200, len(sizes)))))[-1]
    ax.semilogx(sizes, last, color=colour, label=label, linewidth=2)
    half[label] = np.interp(0.5, last, sizes)
    at, height, side = half[label] * 2.5, 0.52, "left"
    if "Keras" in label:
        at, height, side = half[label] / 4, 0.3, "right"
    ax.annotate(label.replace(": ", "\n").replace(", ", ",\n"), (at, height), ha=side, va="bottom")
ax.axhline(0.5, color="0.7", linestyle=":")
ax.set(xlabel="tamaño del gradiente", ylabel=r"tamaño del paso / $\eta$")
show(fig, "epsilon")
for label, gradient in half.items():
    print(f"{label:30} medio paso con |g| = {gradient:.1e}")
notes, keras, torch = half.values()
assert 1e-4 < keras < 1e-3 and 0.5e-8 < torch < 2e-8
assert 2.5 < notes / keras < 4  # √10: dentro de la raíz, un décimo de ε es un tercio del gradiente
assert keras / torch > 1e4

# %% [markdown]
# Dentro de la raíz importa $\sqrt\varepsilon$: con el valor de Keras, los gradientes de unas
# diezmilésimas ya dan pasos menguados; fuera importa $\varepsilon$ mismo, y con PyTorch hay que
# bajar a $10^{-8}$. Por eso copiar un $\varepsilon$ de un sitio a otro no da el mismo método.
#
# (Los valores que los apuntes 002 dan como de Keras ya no lo son: erratas E17 y E18, en la
# [lección 10.2](10_2_formulas_y_bibliotecas.py).)

# %% [markdown]
# ## Adadelta: las unidades, y la tasa que «no necesita»
#
# En SGD el paso $\eta g$ tiene las unidades de $1/\theta$ (si $J$ no tiene), no las de $\theta$; en
# RMSProp $g/\sqrt S$ no tiene ninguna. Zeiler multiplica por la raíz de la media de los *pasos* al
# cuadrado, que sí se mide en $\theta$, y ya no hace falta $\eta$. Los apuntes 000 lo resumen como
# «no necesita tasa inicial». Pero los pasos empiezan en cero, y para salir de ahí está
# $\varepsilon$: mientras $\varepsilon\ll g^2$, con un gradiente constante todos los pasos son
# proporcionales a $\sqrt\varepsilon$.

# %%
epsilons = np.geomspace(1e-12, 1e-2, 11)


def distance(eps, gradient, steps=100):
    """Lo que anda Adadelta con un gradiente constante; ε es un dato y vmap toma muchos."""
    tx = joc.adadelta(1.0, rho=0.95, eps=eps)
    zero = jnp.zeros(())
    update = lambda state, g: tx.update(g, state, zero)[::-1]
    return jnp.abs(jax.lax.scan(update, tx.init(zero), jnp.full(steps, gradient))[1].sum())


fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
moved = {}
for gradient, colour, marker in ((1.0, BLUE, "o"), (100.0, ORANGE, "x")):
    with jax.enable_x64(True):
        walks = jax.jit(jax.vmap(distance, (0, None)))(jnp.asarray(epsilons), gradient)
    moved[gradient] = np.asarray(walks)
    label = f"gradiente {gradient:g}"
    ax.loglog(epsilons, moved[gradient], marker, color=colour, label=label, markersize=8)
ax.loglog(epsilons, moved[100.0][0] * np.sqrt(epsilons / epsilons[0]), color="0.5", zorder=0)
ax.annotate(r"pendiente de $\sqrt{\varepsilon}$", (epsilons[6], moved[1.0][5]), color="0.4")
ax.set(xlabel=r"$\varepsilon$", ylabel="camino en 100 actualizaciones\n(unidades del parámetro)")
ax.legend(frameon=False)
show(fig, "adadelta")
np.testing.assert_allclose(moved[100.0][1:] / moved[100.0][:-1], np.sqrt(10), rtol=1e-3)
np.testing.assert_allclose(moved[1.0][:-2], moved[100.0][:-2], rtol=1e-2)

# %% [markdown]
# El tamaño del gradiente no importa, como promete; pero $\sqrt\varepsilon$ hace de tasa de
# aprendizaje, y en unidades de $\theta$. Además las bibliotecas sí multiplican por una tasa, y no
# coinciden en ella (errata E34, en la [lección 10.2](10_2_formulas_y_bibliotecas.py)): el mismo
# nombre, sin argumentos, da pasos muy distintos.

# %%
first = {}
for like in ("keras", "torch", "paper"):
    recipe = joc.convention("adadelta", like)
    first[like] = abs(steps_of(recipe(), np.ones((1, 1))).item())
    eta = inspect.signature(recipe).parameters["learning_rate"].default
    print(f"{like:6} tasa por defecto {eta:<6g} primer paso {first[like]:.1e}")
assert first["torch"] > 1000 * first["keras"]

at = study.configurations("valid_loss").query("optimizer == 'adadelta'")
rate = at["learning_rate"].astype(float).to_numpy()
loss = at["valid_loss"].to_numpy()
slow, paper = loss[np.isclose(rate, 1e-3)].item(), loss[np.isclose(rate, 1.0)].item()
variance = float(np.mean(targets**2))
print(f"en los datos dispersos: con la tasa de Keras {slow:.2f}, con la del artículo {paper:.2f},")
print(f"con la mejor {loss.min():.4f}; predecir siempre cero da {variance:.2f}")
assert slow > 0.9 * variance and loss.min() < 0.2 * paper

claims.append(
    claim("Adadelta", "000:125, 000:135", "no necesita una tasa inicial; simplifica su ajuste",
          f"error {slow:.2f} con la tasa de Keras, {paper:.2f} con la del artículo y "
          f"{loss.min():.2f} con la mejor",
          part="en datos dispersos",
          con_la_de_Keras_en_datos_dispersos=slow < 1.1 * loss.min(),
          con_la_del_artículo_en_datos_dispersos=paper < 1.1 * loss.min())
)  # fmt: skip

# %% [markdown]
# Con la tasa por defecto de Keras no se aprende nada en estas tres épocas; con la del artículo se
# aprende despacio, y la mejor del barrido es otra.
#
# ## Dos afirmaciones de los apuntes
#
# Lo que esta lección ha medido de ellas, con lo que sale en la [lección 13](13_5_la_red.py): cada
# una tiene un solo veredicto, que cuenta las preguntas de todas.

# %%
show_claims(claims)

# %% [markdown]
# **Resumen.** Adagrad suma y se apaga: bueno para datos dispersos y presupuestos cortos. RMSProp
# olvida y sigue: bueno cuando el terreno cambia, pero no se asienta (su paso no decrece con el
# gradiente). Adadelta traslada la elección de $\eta$ a $\varepsilon$.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice el paso número cien de Adagrad con un gradiente constante, en unidades de $\eta$. ¿Y el
#    de RMSProp?
# 2. Cambia el cambio de terreno (`size`): que el gradiente se haga cien veces *mayor*. ¿Quién lo
#    nota más?
# 3. Demuestra que multiplicar todos los gradientes por una constante positiva no cambia los pasos
#    de Adagrad si $\varepsilon=0$ y $S_0=0$.
# 4. Predice la mejor tasa de RMSProp con $\mu=0{,}99$ a partir de la de $\mu=0{,}9$, y añade ese
#    $\mu$ a la figura (`memories`).
#
# Y una función por corregir: el corrector dice en qué paso se equivoca y a qué error se parece.
# Cámbiala y vuelve a ejecutar la celda; las demás están en la [lección 14](14_tu_turno.py).


# %%
def mi_rmsprop(g, state, w, t, *, learning_rate, decay, eps):
    v = decay * state["v"] + (1 - decay) * g**2
    return w - learning_rate * g / (v + eps), {"v": v}  # falta una raíz


_ = check("rmsprop", mi_rmsprop)

# %% [markdown]
# ## Para leer más
#
# - Duchi, Hazan y Singer (2011), «Adaptive Subgradient Methods for Online Learning and Stochastic
#   Optimization».
# - Tieleman y Hinton (2012), «Lecture 6.5: RMSProp».
# - Zeiler (2012), «ADADELTA: An Adaptive Learning Rate Method».
