# %% [markdown]
# # 8.3. Ejercicio de la regularización: dropout y L2, según el optimizador
#
# El tercer ejercicio añade *dropout* a las capas ocultas de la red anterior, mira entrenamiento y
# validación, y pregunta cómo se lleva la regularización con el optimizador. Se añade aquí también
# L2, que los apuntes definen al lado, porque es donde el optimizador importa de verdad.
#
# **Dropout.** Al entrenar, cada unidad oculta se apaga con probabilidad $p$ y las que quedan se
# agrandan para que la media no cambie; al evaluar no se apaga nada:
#
# $$\tilde h = \frac{z\odot h}{1-p},\qquad z_i\sim\text{Bernoulli}(1-p),
#   \qquad \mathbb E[\tilde h]=h$$
#
# **L2.** A la pérdida se le suma $\lambda\sum w_i^2$, cuyo gradiente es $2\lambda w$. Ese 2 viene
# de la definición de los apuntes; muchas bibliotecas escriben $\frac\lambda2\sum w_i^2$ y no lo
# tienen.
#
# **Al terminar sabrás** distinguir el riesgo que se baja del que se quería bajar; poner *dropout* y
# L2 sin confundir el factor 2; explicar por qué L2 no es lo mismo con cada optimizador.
#
# **Hace falta** la [lección 5](05_adam.py).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"

# %% [markdown]
# ## Riesgo empírico y riesgo verdadero
#
# Lo que se querría bajar es el **riesgo verdadero**, la pérdida media sobre todos los ejemplos
# posibles; lo que se baja es el **riesgo empírico**, la media sobre los $N$ que se tienen:
#
# $$R(\theta)=\mathbb E_{(x,y)}\,\ell(\theta;x,y),\qquad
#   \hat R_N(\theta)=\frac1N\sum_{i=1}^N\ell(\theta;x_i,y_i)$$
#
# Los apuntes 001 entrenan, sin comentarlo, el ejemplo más puro de la diferencia: una red 10-5-1 con
# Adam cuyas entradas y objetivos son números al azar, `torch.randn`, sin relación entre sí, y
# nuevos en cada paso. De $y\sim\mathcal N(0,1)$ independiente de $x$ no hay nada que aprender: con
# error cuadrático $R(\theta)=1+\mathbb E f_\theta(x)^2\ge1$, y lo mejor es contestar cero. Aquí
# entrena la misma red con $N$ ejemplos fijos, para varios $N$; en el último caso ninguno se repite,
# como en los apuntes. Los cuatro y sus semillas van en un programa: $N$ es un número más.

# %%
STEPS, AT_ONCE = (1500, 20) if quick() else (5000, 20)
counts = jnp.array([20, 100, 1000, STEPS * AT_ONCE])
tries = jnp.arange(3 if quick() else 8)


def answer(params, x):
    hidden = jax.nn.relu(x @ params["W1"] + params["b1"][None])
    return (hidden @ params["W2"] + params["b2"][None])[:, 0]


def risk(params, x, y):
    return jnp.mean((answer(params, x) - y) ** 2)


@jax.jit
def nothing_to_learn(counts, tries):
    """Los dos riesgos de cada N y semilla, cada cincuenta pasos: (N, semillas, 2, momentos)."""

    def train(n, seed):
        keys = jax.random.split(jax.random.key(seed), 6)
        x = jax.random.normal(keys[0], (STEPS * AT_ONCE, 10))
        y = jax.random.normal(keys[1], (STEPS * AT_ONCE,))
        x_new, y_new = jax.random.normal(keys[4], (5000, 10)), jax.random.normal(keys[5], (5000,))
        W1 = jax.random.normal(keys[2], (10, 5)) / 10**0.5
        W2 = jax.random.normal(keys[3], (5, 1)) / 5**0.5
        params = {"W1": W1, "b1": jnp.zeros(5), "W2": W2, "b2": jnp.zeros(1)}
        tx = joc.adam(0.01)

        def step(carry, t):
            params, state = carry
            rows = (t * AT_ONCE + jnp.arange(AT_ONCE)) % n
            value, g = jax.value_and_grad(risk)(params, x[rows], y[rows])
            u, state = tx.update(g, state, params)
            return (joc.apply_updates(params, u), state), value

        def look(carry, start):
            carry, values = jax.lax.scan(step, carry, start + jnp.arange(50))
            return carry, (values.mean(), risk(carry[0], x_new, y_new))

        return jnp.stack(jax.lax.scan(look, (params, tx.init(params)), jnp.arange(0, STEPS, 50))[1])

    return jax.vmap(lambda n: jax.vmap(lambda seed: train(n, seed))(tries))(counts)


risks = np.asarray(nothing_to_learn(counts, tries)).mean(axis=1)  # (N, 2, momentos)
last = pd.DataFrame(
    risks[..., -1], columns=["empírico", "verdadero"], index=pd.Index([*counts.tolist()], name="N")
)
show_table(last)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
when = np.arange(50, STEPS + 1, 50)
for i, colour, words in ((0, RED, "20 ejemplos"), (3, BLUE, "siempre nuevos")):
    left.plot(when, risks[i, 0], "-", color=colour, label=f"{words}: empírico")
    left.plot(when, risks[i, 1], "--", color=colour, label=f"{words}: verdadero")
left.set(xlabel="paso", ylabel="error cuadrático medio", title="Durante el entrenamiento")
right.semilogx(last.index, last["empírico"], "o-", color=GREEN, label="empírico")
right.semilogx(last.index, last["verdadero"], "s--", color=GREEN, label="verdadero")
right.set(xlabel="ejemplos distintos, $N$", title="Al terminar")
for ax in (left, right):
    ax.axhline(1, color="0.6", lw=1, ls=":")
    ax.legend(frameon=False, handlelength=1.2, loc="lower right", bbox_to_anchor=(1, 0.15))
left.set_ylim(0, 1.1 * last["verdadero"].max())
show(fig, "nada_que_aprender")

assert (last["verdadero"] > 0.97).all() and last["verdadero"].is_monotonic_decreasing
assert last["empírico"].is_monotonic_increasing and last["empírico"].iloc[0] < 0.3
assert abs(last["empírico"].iloc[-1] - 1) < 0.1 and abs(last["verdadero"].iloc[-1] - 1) < 0.1

# %% [markdown]
# Con ejemplos siempre nuevos, los de los apuntes, la pérdida se queda en 1 por muchos pasos que se
# den: no es que Adam falle, es que no hay nada que bajar. Con veinte ejemplos fijos el riesgo
# empírico baja casi a cero y el verdadero *sube*: la red ha aprendido el ruido de esos veinte. Es
# lo que avisan los apuntes 002: en redes grandes, el óptimo global sobre el conjunto de
# entrenamiento a menudo lleva al sobreajuste. Con los mismos datos y más ejemplos, las dos líneas
# se juntan. Entre una y otra está la **brecha**, y acortarla es lo que se le pide a la
# regularización.

# %% [markdown]
# ## Dónde se suma la L2: antes o después de Adam
#
# Con SGD da igual sumar $2\lambda w$ al gradiente o encoger el peso aparte:
# $w \leftarrow w-\eta(g+2\lambda w)$. Con Adam no. Si $2\lambda w$ entra en el gradiente, pasa por
# los promedios y **se divide por $\sqrt{\hat v}$** como todo lo demás:
#
# $$g'_t = g_t + 2\lambda w,\qquad w\leftarrow w-\eta\frac{\hat m_t}{\sqrt{\hat v_t}+\epsilon}$$
#
# $$m_t=\beta_1 m_{t-1}+(1-\beta_1)g'_t,\qquad v_t=\beta_2 v_{t-1}+(1-\beta_2)g'^2_t$$
#
# AdamW deja los promedios en paz y encoge el peso al final:
#
# $$w\leftarrow w-\eta\left(\frac{\hat m_t}{\sqrt{\hat v_t}+\epsilon}+2\lambda w\right)$$
#
# Las dos, en una sola función, y su comparación con la biblioteca:


# %%
def adam_with_l2(w, gradients, eta, lam, decoupled, b1=0.9, b2=0.999, eps=1e-8):
    """Las w de Adam con λ Σ w²: su gradiente sumado antes, o aparte como en AdamW."""
    m, v, path = np.zeros_like(w), np.zeros_like(w), [w]
    for t, g in enumerate(gradients, start=1):
        g = g if decoupled else g + 2 * lam * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        step = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        w = w - eta * (step + (2 * lam * w if decoupled else 0))
        path.append(w)
    return np.array(path)


def library(tx, w, gradients):
    """Las w de un optimizador de la biblioteca."""

    def step(carry, g):
        w, state = carry
        u, state = tx.update(g, state, w)
        return (w + u, state), w + u

    _, path = jax.lax.scan(step, (w, tx.init(w)), gradients)
    return np.concatenate([w[None], path])


def kernels(params):
    """La L2 es de los pesos, no de los sesgos: True en las matrices."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def with_l2(h, recipe):
    """Una receta cuyo gradiente lleva dentro el de λ Σ w²."""
    return joc.chain(joc.add_decayed_weights(2 * h["l2"], kernels), recipe(h["learning_rate"]))


def adamw(h):
    """Adam, y los pesos encogidos aparte."""
    return joc.adamw(h["learning_rate"], weight_decay=2 * h["l2"], mask=kernels)


OPTIMIZERS = {
    "sgd": lambda h: with_l2(h, joc.sgd),
    "rmsprop": lambda h: with_l2(h, joc.rmsprop),
    "adam": lambda h: with_l2(h, joc.adam),
    "adamw": adamw,
}
NAMES = {"sgd": "SGD", "rmsprop": "RMSProp", "adam": "Adam + L2", "adamw": "AdamW"}
if quick():
    del NAMES["rmsprop"]

# %%
rng = np.random.default_rng(0)
start, gradients = rng.normal(size=(4, 1)), rng.normal(size=(60, 4, 1))
row = {"learning_rate": 0.01, "l2": 0.3}
with jax.enable_x64(True):
    for name, decoupled in (("adam", False), ("adamw", True)):
        ours = adam_with_l2(start, gradients, 0.01, 0.3, decoupled)
        np.testing.assert_allclose(
            library(OPTIMIZERS[name](row), start, gradients), ours, rtol=1e-12, atol=1e-12
        )
    sgd = start
    for g in gradients:
        sgd = sgd - 0.01 * (g + 2 * 0.3 * sgd)
    theirs = library(OPTIMIZERS["sgd"](row), start, gradients)[-1]
    np.testing.assert_allclose(theirs, sgd, rtol=1e-12)

# %% [markdown]
# ¿Qué cambia? Tómense dos pesos iguales, y gradientes que son puro ruido de media cero, el segundo
# cien veces mayor. Nada los empuja salvo la L2, así que deberían encoger los dos lo mismo. Se
# promedian muchas repeticiones para quitar el ruido:

# %%
noise = rng.normal(size=(300, 2, 2000)) * np.array([0.1, 10.0])[:, None]
ones = np.ones((2, 2000))
for name, decoupled in (("Adam + L2", False), ("AdamW", True)):
    small, large = adam_with_l2(ones, noise, 0.003, 0.1, decoupled)[-1].mean(axis=1)
    print(f"{name}: con gradientes pequeños, de 1 a {small:.2f}; con grandes, a {large:.2f}")
    if decoupled:
        shrunk = (1 - 2 * 0.003 * 0.1) ** len(noise)
        np.testing.assert_allclose([small, large], shrunk, atol=0.02)
    else:
        assert small < 0.8 < 0.97 < large

# %% [markdown]
# Dentro de Adam, la L2 frena sobre todo los pesos de gradientes pequeños y casi no toca los de
# gradientes grandes: la división por $\sqrt{\hat v}$ deshace el freno justo donde más se mueve la
# red. AdamW encoge los dos por igual, $(1-2\eta\lambda)^t$.
#
# ## El experimento
#
# La red de los dígitos, 64-64-64-10, memoriza con facilidad si se le dan pocas imágenes: se entrena
# con 200 y se valida con todas las demás. Cada optimizador prueba varias tasas y varias $\lambda$,
# con y sin dropout. Con unas semillas se **elige** tasa y $\lambda$; con otras, que no han elegido
# nada, se **informa**. Todas van en el mismo barrido.
#
# El dropout es una columna más de la tabla: `joc.MLP` apaga sus unidades ocultas con la
# probabilidad de la columna `dropout`, un número como los demás, así que todo va en un solo
# programa. (La columna `l2` también la conoce la pérdida, pero aquí la leen los optimizadores, y
# quien la lee la tiene para sí.) En el lugar de la parte de prueba se ponen las mismas imágenes de
# entrenamiento: así se las mide al final sin dropout, como a las de validación.

# %%
images, labels = load_digits(return_X_y=True)
x, x_valid, y, y_valid = train_test_split(
    images / 16, labels, train_size=200, stratify=labels, random_state=0
)

digits = joc.Task.from_flax(
    lambda rngs: joc.MLP(64, 64, 64, 10, rngs=rngs),
    x,
    y,
    valid=(x_valid, y_valid),
    test=(x, y),  # se mide una vez, al final, sin dropout
    loss="softmax_cross_entropy",
    name="digits",
)

unit = joc.dropout(jnp.ones(100_000), 0.4, jax.random.key(0))
values = " y ".join(f"{value:.3g}" for value in np.unique(unit))
print(f"dropout 0.4 sobre unos: valores {values}, media {unit.mean():.3f}")
assert abs(unit.mean() - 1) < 0.02

# %%
P = 0.4
choosing, reporting = ([0], [1, 2]) if quick() else ([0, 1], range(2, 8))
few, fewer = (slice(1, 2), slice(0, 3, 2)) if quick() else (slice(None), slice(None))
spaces = [
    joc.grid(optimizer=name, learning_rate=rates[few], l2=l2[fewer], dropout=[0.0, P],
             seed=[*choosing, *reporting])
    for name, rates, l2 in [
        ("sgd", [0.1, 0.3], [0, 1e-4, 1e-3, 1e-2]),
        ("rmsprop", [0.001, 0.003], [0, 1e-4, 1e-3, 1e-2]),
        ("adam", [0.001, 0.003], [0, 1e-4, 1e-3, 1e-2]),
        ("adamw", [0.001, 0.003], [0, 1e-2, 1e-1, 1.0]),
    ]
    if name in NAMES
]  # fmt: skip
study = joc.sweep(
    digits,
    pd.concat(spaces, ignore_index=True),
    {name: OPTIMIZERS[name] for name in NAMES},
    epochs=40 if quick() else 60,
    batch_size=20,
    evaluate_every=100,
    progress=False,
)
broken = study.trials["status"].ne("finished").sum()
print(f"{len(study.trials)} entrenamientos, {broken} divergen")
assert len(study.manifest["buckets"]) == 1  # un programa para todos

# %%
trials = study.trials.astype({"l2": float, "dropout": float, "learning_rate": float, "seed": int})
trials = trials.rename(columns={"test_loss": "seen_loss", "test_accuracy": "seen_accuracy"})
trials["freno"] = np.select(
    [trials["l2"].eq(0) & trials["dropout"].eq(0), trials["dropout"].eq(0), trials["l2"].eq(0)],
    ["nada", "L2", "dropout"],
    "L2 + dropout",
)
cell, numbers = ["optimizer", "freno"], ["learning_rate", "l2"]
score = trials[trials["seed"].isin(choosing)].groupby([*cell, *numbers], as_index=False)
score = score["valid_loss"].mean()
chosen = score.loc[score.groupby(cell)["valid_loss"].idxmin(), [*cell, *numbers]]
reported = trials[trials["seed"].isin(reporting)].merge(chosen, on=[*cell, *numbers])

# %% [markdown]
# Entrenamiento y validación, con la media y el intervalo del 95 % sobre las semillas nuevas. La
# *brecha* es la pérdida de validación menos la de entrenamiento.

# %%
KINDS = {"nada": "gray", "L2": BLUE, "dropout": ORANGE, "L2 + dropout": GREEN}
MEASURES = {
    "seen_loss": "pérdida entr.",
    "valid_loss": "pérdida val.",
    "gap": "brecha",
    "seen_accuracy": "exactitud entr.",
    "valid_accuracy": "exactitud val.",
}
reported["gap"] = reported["valid_loss"] - reported["seen_loss"]


def half_width(values):
    """La mitad del intervalo del 95 % de la media."""
    return stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)


def ordered(table):
    """Las filas en el orden de la lección."""
    return table.reindex(list(NAMES), level=0).reindex(list(KINDS), level=1)


def with_interval(mean, half):
    """Como texto."""
    return mean.map("{:.3g}".format) + " ± " + half.map("{:.1g}".format)


groups = reported.astype(dict.fromkeys(MEASURES, float)).groupby(cell)[list(MEASURES)]
mean, half = ordered(groups.mean()), ordered(groups.agg(half_width))
table = with_interval(mean, half).rename(columns=MEASURES)
table[["tasa", "λ"]] = reported.groupby(cell)[["learning_rate", "l2"]].first()
table.index.names = ["optimizador", "freno"]
for columns in (table.columns[:3], table.columns[3:]):
    show_table(table[columns])

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
for i, name in enumerate(NAMES):
    for j, (kind, color) in enumerate(KINDS.items()):
        values, at = mean.loc[(name, kind)], i + (j - 1.5) * 0.18
        error = half.loc[(name, kind), "valid_accuracy"]
        left.errorbar(values["valid_accuracy"], at, xerr=error, fmt="o", color=color, capsize=3,
                      label=kind if i == 0 else None)  # fmt: skip
        ends = values[["seen_loss", "valid_loss"]]
        right.plot(ends, [at, at], "-", color=color, lw=1.5)
        right.plot(ends.iloc[0], at, "o", color=color, mfc="white")
        right.plot(ends.iloc[1], at, "o", color=color)
left.set_yticks(range(len(NAMES)), NAMES.values())
left.invert_yaxis()
left.set(xlabel="exactitud de validación (± intervalo)")
right.set(xlabel="pérdida: ○ entrenamiento, ● validación", xscale="log")
right.set_xticks(ticks := [0.01, 0.03, 0.1, 0.3], [f"{tick:g}" for tick in ticks])
right.minorticks_off()
fig.legend(*left.get_legend_handles_labels(), frameon=False, loc="upper center", ncols=4)
fig.tight_layout(rect=(0, 0, 1, 0.93))
show(fig, "con_y_sin", "Exactitud y pérdida con cada freno y sin ninguno")

# %% [markdown]
# A la derecha, cada segmento va de la pérdida de entrenamiento a la de validación; el eje es
# logarítmico, así que su largo dice cuántas veces mayor es la segunda.
#
# ¿Qué gana cada freno, y depende del optimizador? Con y sin él las semillas son las mismas, así que
# se resta semilla a semilla y se da el intervalo de la diferencia. La segunda tabla es la
# **interacción**: la ganancia de cada optimizador menos la de SGD. Donde el intervalo contiene el 0
# (sin asterisco) no se puede decir que el freno le sirva más o menos que a SGD.

# %%
index = ["optimizer", "seed"]
by_kind = reported.pivot(index=index, columns="freno", values="valid_loss").astype(float)
saved = -by_kind.drop(columns="nada").sub(by_kind["nada"], axis=0)[list(KINDS)[1:]]


def summary(differences):
    """Por optimizador: media de las semillas ± intervalo; asterisco si no contiene el 0."""
    groups = differences.groupby("optimizer")
    mean, half = groups.mean(), groups.agg(half_width)
    stars = (mean.abs() > half).replace({True: " *", False: "  "})
    text = mean.map("{:+.3f}".format) + " ± " + half.map("{:.3f}".format) + stars
    text = text.reindex([name for name in NAMES if name in text.index]).rename(NAMES)
    return text.rename_axis("optimizador")


print("ahorro en pérdida de validación:")
show_table(summary(saved))
of_sgd = saved.xs("sgd").reindex(saved.index, level="seed")
print("menos el de SGD:")
show_table(summary((saved - of_sgd).drop("sgd")))
of_l2 = saved.groupby("seed")["L2"].mean()
assert of_l2.mean() > (0 if quick() else half_width(of_l2))  # dos semillas no dan un intervalo

# %% [markdown]
# La L2 rebaja la pérdida de validación (el `assert` lo comprueba con la media de los
# optimizadores). Con dropout sí hay interacción: lo que a SGD le ayuda, a RMSProp lo empeora. En
# exactitud, abajo, en puntos porcentuales, todo eso es poco.

# %%
by_kind = 100 * reported.pivot(index=index, columns="freno", values="valid_accuracy").astype(float)
points = by_kind.drop(columns="nada").sub(by_kind["nada"], axis=0)[list(KINDS)[1:]]
print("puntos de exactitud ganados:")
show_table(summary(points))
assert points.groupby("optimizer").mean().abs().max(axis=None) < (4 if quick() else 2)
if not quick():  # que deja fuera a RMSProp
    interaction = saved["dropout"].xs("rmsprop") - saved["dropout"].xs("sgd")
    assert interaction.mean() < -half_width(interaction)

# %% [markdown]
# La tabla esconde una trampa: la tasa también se eligió, y no es la misma en todas las filas. Una
# tasa pequeña se queda a medio camino, que es otra forma de regularizar (parada temprana), y cuando
# nada más frena a la red la validación puede preferirla. Para ver el efecto **solo** del freno hay
# que comparar a igualdad de tasa, de pesos iniciales y de lotes: filas que difieren en una columna.

# %%
pairs = trials.pivot_table(
    index=["optimizer", "learning_rate"],
    columns="freno",
    values=["seen_loss", "valid_loss"],
    aggfunc="mean",
)
train_cost, valid_cost = pairs["seen_loss"], pairs["valid_loss"]
gap = valid_cost - train_cost
for words, costs in (("pérdida de entrenamiento", train_cost), ("brecha", gap)):
    print(f"{words}:")
    show_table(costs[list(KINDS)].rename_axis(["optimizador", "tasa"]))
assert (train_cost["dropout"] > train_cost["nada"]).mean() > 0.7
assert (gap["dropout"] < gap["nada"]).mean() > 0.7
assert (gap["L2"] < gap["nada"]).mean() > 0.7

# %% [markdown]
# (L2 es aquí la media sobre todas las $\lambda$ mayores que cero.) A igualdad de tasa, ambas
# **empeoran** el entrenamiento y acortan la brecha: eso es lo que hace regularizar. Que además
# mejore la exactitud es otra pregunta, y aquí la respuesta es: poco.

# %% [markdown]
# ## ¿Cuánta L2? Depende del optimizador
#
# La misma letra $\lambda$ no significa lo mismo en cada uno. Abajo, la pérdida de validación según
# $\lambda$, sin dropout, con la mejor tasa para cada punto; a la izquierda del todo, sin L2.

# %%
plain = trials[trials["dropout"].eq(0) & trials["seed"].isin(reporting)]
by_rate = plain.groupby(["optimizer", "l2", "learning_rate"])["valid_loss"].mean()
curves = by_rate.groupby(["optimizer", "l2"]).min()
fig, ax = plt.subplots(figsize=(7, 4))
for name, color in zip(NAMES, [BLUE, ORANGE, GREEN, RED], strict=False):
    curve = curves[name]
    ax.plot(np.maximum(curve.index, 1e-5), curve, "o-", color=color, label=NAMES[name])
ticks = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]
ax.set(xscale="log", xlabel="λ", ylabel="pérdida de validación")
ax.set_xticks(ticks, ["sin L2", *(f"$10^{{{power}}}$" for power in range(-4, 1))])
ax.legend()
show(fig, "lambda")

# %%
best = curves.groupby("optimizer").idxmin().map(lambda key: key[1])
print("\n".join(f"{NAMES[name]:10s} mejor λ {best[name]:g}" for name in NAMES))
assert best["adamw"] > best["adam"]

# %% [markdown]
# AdamW pide una $\lambda$ mucho mayor que Adam con L2. No es que regularice menos: su freno no se
# divide por $\sqrt{\hat v}$, que es pequeño, y en cambio va multiplicado por la tasa, que también
# lo es. Copiar una $\lambda$ de un optimizador a otro no es repetir el experimento.

# %% [markdown]
# ## En resumen
#
# - Lo que se baja es el riesgo empírico; lo que se quiere, el verdadero. Entre los dos, la brecha.
# - Regularizar empeora el entrenamiento y acorta la brecha; que mejore la exactitud hay que verlo.
# - La L2 dentro de Adam se divide por $\sqrt{\hat v}$; la de AdamW, no: sus $\lambda$ no se copian.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice qué $\lambda$ de L2 equivale a `weight_decay=0.1` de AdamW. ¿Hay alguna?
# 2. Pon *dropout* también en la entrada. ¿Mejora o estorba?
# 3. Demuestra que con SGD da igual sumar L2 a la pérdida o encoger los pesos aparte.
# 4. En la figura de lo que no se puede aprender, predice hacia dónde van los dos riesgos si los
#    veinte ejemplos pasan a ser cien.
#
# ## Para leer más
#
# - Srivastava y otros (2014), «Dropout: A Simple Way to Prevent Neural Networks from Overfitting».
# - Loshchilov y Hutter (2019), «Decoupled Weight Decay Regularization».
