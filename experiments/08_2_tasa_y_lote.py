# %% [markdown]
# # 8.2. Ejercicio de los hiperparámetros: tasa de aprendizaje y tamaño de lote
#
# El segundo ejercicio mueve dos números a la vez, la tasa $\eta$ y el tamaño de lote $B$, en una
# clasificación de imágenes sencillas, y pide el mejor equilibrio entre la rapidez del entrenamiento
# y la calidad del resultado. Las imágenes son los dígitos de 8 × 8 de scikit-learn, y la red,
# 64-64-64-10.
#
# Los dos números no son independientes. El gradiente de un lote es el verdadero más un ruido cuya
# varianza cae como $1/B$, y cada paso mueve los pesos $\eta$ veces eso. Mientras los pasos son
# pequeños, $k$ pasos con lotes de $B$ avanzan casi lo mismo que uno solo de tamaño $k\eta$ con un
# lote de $kB$:
#
# $$\theta - \eta\sum_{j=1}^{k}\nabla J_{\mathcal B_j} \qquad\approx\qquad
#   \theta - (k\eta)\,\nabla J_{\mathcal B_1\cup\dots\cup\mathcal B_k}$$
#
# De ahí la regla de escala lineal: a lote $k$ veces mayor, tasa $k$ veces mayor… hasta que la tasa
# choca con la estabilidad, que no depende del lote.
#
# **Al terminar sabrás** leer el mapa de tasa y tamaño de lote; decir cuándo vale la regla de escala
# lineal y cuándo deja de valer; decidir un equilibrio con cuentas, no con un reloj.
#
# **Hace falta** la [parte 8.1](08_1_ventas.py).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table

joc.use_cpu_cores(1 if quick() else None)
COLORS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"]

# %% [markdown]
# ## El mapa
#
# Todos ven los mismos datos el mismo número de épocas; un lote mayor da, por tanto, menos pasos. El
# tamaño de lote cambia la forma de los arreglos y por eso es una columna estática: cada valor es un
# programa, y dentro de él todas las tasas y semillas entrenan a la vez.

# %%
sizes = [16, 64] if quick() else [8, 32, 64, 128, 256, 512]
rates = 0.02 * 4.0 ** np.arange(5) if quick() else 0.01 * 2.0 ** np.arange(10)
epochs = 12 if quick() else 20
trials = joc.grid(
    batch_size=sizes, learning_rate=rates, seed=range(1 if quick() else 3), optimizer="sgd"
)
study = joc.sweep("digits", trials, epochs=epochs, static=["batch_size"], progress=False)
examples = study.manifest["task"]["examples"]["train"]
print(f"{len(study.trials)} entrenamientos con {examples} imágenes")

# %%
shape = (len(sizes), len(rates), -1)  # el orden de la rejilla: lotes, tasas, semillas


def final(metric):
    """(lotes, tasas): la media de las semillas; NaN donde alguna divergió."""
    values = study.trials[metric].astype(float).to_numpy().reshape(shape)
    finished = study.trials["status"].eq("finished").to_numpy().reshape(shape)
    return np.where(finished, values, np.nan).mean(axis=-1)


accuracy, loss = final("valid_accuracy"), final("valid_loss")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
kinds = [
    (accuracy, "exactitud de validación", "viridis", {"vmin": 0.5, "vmax": 1}),
    (np.log10(loss), "log₁₀ de la pérdida de validación", "viridis_r", {}),
]
for ax, (values, name, colors, limits) in zip(axes, kinds, strict=True):
    ax.set_facecolor("lightgray")
    image = ax.imshow(values, aspect="auto", origin="lower", cmap=colors, **limits)
    best_of_row = np.nanargmax(accuracy if values is accuracy else -values, axis=1)
    ax.plot(best_of_row, range(len(sizes)), "o-", color="#D55E00", mfc="white", ms=7)
    every = max(1, len(rates) // 4)
    ax.set_xticks(range(0, len(rates), every), [f"{rate:.2g}" for rate in rates[::every]])
    ax.set_yticks(range(len(sizes)), sizes)
    ax.set(xlabel="tasa de aprendizaje η")
    fig.colorbar(image, ax=ax, label=name)
axes[0].set_ylabel("tamaño de lote B")
fig.tight_layout()
show(fig, "mapa")

# %% [markdown]
# El círculo marca la mejor tasa de cada lote; lo que diverge sale en gris. Casi nada de lo oscuro
# de la derecha llegó a infinito, que sería más fácil de notar: la red se rompió y contesta poco
# mejor que al azar, sin aviso. A la izquierda del mapa, donde los pasos son pequeños, los colores
# van en diagonal, como dice la regla de escala: un lote mayor con la misma tasa se queda atrás. A
# la derecha el borde es casi vertical, porque la estabilidad depende de la curvatura y no del lote.
#
# Lo de la diagonal se puede medir. En la zona de pasos pequeños, cuánto cambia la pérdida
# (en logaritmo) al cuadruplicar el lote dejando la tasa, y al cuadruplicar los dos:

# %%
shift = round(np.log(4) / np.log(rates[1] / rates[0]))  # columnas hasta cuatro veces la tasa
small = rates[shift:] <= 0.17
log_loss = np.log(loss)
pairs = [(i, sizes.index(4 * size)) for i, size in enumerate(sizes) if 4 * size in sizes]
one, four = np.transpose(pairs)  # filas de un lote y del cuádruple
before = log_loss[one, : len(small)]
same_rate = np.abs(log_loss[four, : len(small)] - before)[:, small].mean()
both = np.abs(log_loss[four, shift:] - before)[:, small].mean()
print(f"cuatro veces el lote: {same_rate:.2f}; cuatro veces el lote y la tasa: {both:.2f}")
assert np.nanmax(accuracy[:, -1]) < 0.5 and both < 0.5 * same_rate

# %% [markdown]
# ¿Con qué pendiente crece la mejor tasa? La regla pide 1, es decir, proporcional a $B$. Para que la
# rejilla no decida por redondeo, se toma como «buena» la media geométrica de las tasas que quedan a
# menos de un punto de la mejor exactitud de su lote, y la pendiente se ajusta con los lotes que
# llegan a una exactitud de 0,93: a los demás les faltan épocas.

# %%
NEAR, GOAL = 0.01, 0.93
good = accuracy >= np.nanmax(accuracy, axis=1, keepdims=True) - NEAR
middle = np.array([np.exp(np.log(rates[row]).mean()) for row in good])
trained = np.nanmax(accuracy, axis=1) >= GOAL  # al lote mayor le faltan pasos
slope = np.polyfit(np.log(sizes)[trained], np.log(middle)[trained], 1)[0]
for size, rate in zip(sizes, middle, strict=True):
    print(f"B = {size:3d}: tasa buena {rate:.3g}")
print(f"la tasa crece como B elevado a {slope:.2f}, ajustado a {trained.sum()} lotes")
assert 0 <= slope < 0.9  # nunca tan deprisa como dice la regla: la estabilidad lo impide

# %% [markdown]
# Menos que 1, aunque con tan pocos puntos la segunda cifra no dice nada: la regla describe el lado
# izquierdo del mapa y deja de valer en cuanto la mejor tasa se apoya en el borde de la estabilidad.
# Sirve para no quedarse corto al agrandar el lote, no para multiplicar sin mirar.

# %% [markdown]
# ## Rapidez: tres relojes
#
# «Rápido» quiere decir cosas distintas según lo que falte.
#
# - **Épocas**: ejemplos procesados, es decir, energía y cómputo total.
# - **Pasos**: actualizaciones una detrás de otra. Es el reloj de quien tiene un acelerador tan
#   ancho que un lote de 512 tarda lo que uno de 8.
# - **Bytes** que hay que leer y escribir: los de un paso con ese lote, que cuenta el compilador,
#   por el número de pasos. En una máquina corriente son lo que más se parece al tiempo, y no
#   dependen, como un reloj, de lo ocupada que esté: por eso deciden ellos y no los segundos.
#
# La meta es una exactitud de validación fija, y de cada lote se toma la tasa que llega antes.

# %%
steps_per_epoch = [examples // size for size in sizes]  # cada lote se lee en sus propios pasos
task = joc.load_task("digits")
params, model_state = task.init(jax.random.key(0))


def bytes_of(size):
    """Lo que lee y escribe un paso de SGD con un lote de este tamaño."""
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf[:size]), task.train)
    loss = lambda params: task.loss(params, model_state, batch, jax.random.key(0))[0]
    step = lambda params: jax.tree.map(lambda w, g: w - 0.1 * g, params, jax.grad(loss)(params))
    return jax.jit(step).lower(params).compile().cost_analysis()["bytes accessed"]


per_step = np.array([bytes_of(size) for size in sizes])


def by_epoch(metric):
    """(lotes, tasas, semillas, épocas)."""
    grids = study.curves[metric]
    ends = [steps * np.arange(1, epochs + 1) for steps in steps_per_epoch]
    grids = [grids.sel(eval_step=steps).to_numpy() for steps in ends]
    return np.stack([grid.reshape(*shape, epochs)[i] for i, grid in enumerate(grids)])


curves = by_epoch("valid_accuracy")
there = np.nan_to_num(curves) >= GOAL
first = np.where(there.any(axis=-1), 1.0 + there.argmax(axis=-1), np.nan)
to_goal = first.mean(axis=-1)  # (lotes, tasas), en épocas; NaN donde una semilla no llega
rows = []
for size, moved, row, scores in zip(sizes, per_step, to_goal, accuracy, strict=True):
    if np.isnan(row).all():
        continue
    fastest = np.nanargmin(row)
    updates = row[fastest] * (examples // size)
    rows.append(
        {
            "lote": size,
            "tasa": rates[fastest],
            "épocas": row[fastest],
            "pasos": updates,
            "MB": updates * moved / 1e6,
            "exactitud final": scores[fastest],
            "la mejor": np.nanmax(scores),
        }
    )
speed = pd.DataFrame(rows).set_index("lote")
print(f"hasta una exactitud de {GOAL:g}:")
show_table(speed)
if late := [size for size in sizes if size not in speed.index]:
    print(f"en {epochs} épocas no llega ninguna tasa con lotes de {late}")

# %% [markdown]
# **Con las manos:** <a href="manos_lote.html">qué hacen el ruido y el tamaño del lote</a>.
#
# Los lotes pequeños llegan con menos épocas y con muchos más pasos. Es el compromiso entero en una
# línea: agrandar el lote ahorra pasos, pero no en proporción, y paga en épocas.

# %%
small, large = speed.iloc[0], speed.iloc[-1]
assert small["épocas"] <= large["épocas"] and small["pasos"] > large["pasos"]
ratio = speed.index[-1] / speed.index[0]
saved = small["pasos"] / large["pasos"]
print(f"un lote {ratio:.0f} veces mayor ahorra un factor {saved:.1f} de pasos")
assert 1 < saved < 1.5 * ratio

# %% [markdown]
# ## El mejor equilibrio
#
# La pérdida y la exactitud de validación durante el entrenamiento, cada lote con su mejor tasa (la
# banda va de la peor a la mejor semilla). En el tercer panel, con los mismos colores, cada punto es
# una combinación del mapa que llegó a la meta: a la izquierda está lo barato, arriba lo bueno.
# Interesa solo el borde superior izquierdo (el frente de Pareto): lo que nadie mejora en una cosa
# sin empeorar en la otra.

# %%
epoch_number = np.arange(1, epochs + 1)
fig, axes = plt.subplots(1, 3, figsize=(11, 3.6))
best_rate = np.nanargmax(accuracy, axis=1)
for ax, metric in zip(axes, ("valid_loss", "valid_accuracy"), strict=False):
    for i, (size, color) in enumerate(zip(sizes, COLORS, strict=False)):
        mine = by_epoch(metric)[i, best_rate[i]]  # (semillas, épocas)
        ax.fill_between(epoch_number, mine.min(axis=0), mine.max(axis=0), color=color, alpha=0.2)
        label = f"B = {size}, η = {rates[best_rate[i]]:.2g}"
        ax.plot(epoch_number, mine.mean(axis=0), color=color, label=label)
    ax.set(xlabel="época")
for i, color in zip(range(len(sizes)), COLORS, strict=False):
    done = ~np.isnan(to_goal[i])
    axes[2].plot(to_goal[i][done] * steps_per_epoch[i], accuracy[i][done], "o", color=color, ms=6)
axes[0].set(ylabel="pérdida de validación", yscale="log")
axes[0].set_yticks(ticks := [0.1, 0.3, 1, 3], [f"{tick:g}" for tick in ticks])
axes[0].minorticks_off()
axes[1].axhline(GOAL, color="gray", ls=":", lw=1)
axes[1].set(ylabel="exactitud de validación", ylim=(0.6, 1))
axes[2].set(xlabel=f"pasos hasta {GOAL:g}", ylabel="exactitud final", xscale="log")
updates, scores = (x[~np.isnan(to_goal)] for x in (to_goal * np.c_[steps_per_epoch], accuracy))
order = np.lexsort((-scores, updates))
front = order[scores[order] > np.maximum.accumulate(np.append(0, scores[order])[:-1])]
axes[2].plot(updates[front], scores[front], "--", color="gray", lw=1, zorder=0)
axes[2].annotate("frente", (updates[front[-1]], scores[front[-1]]), (8, -3),
                 textcoords="offset points", color="gray")  # fmt: skip
fig.tight_layout()
fig.legend(
    *axes[1].get_legend_handles_labels(), loc="upper center", ncols=4, bbox_to_anchor=(0.5, 0)
)
show(fig, "equilibrio")

# %% [markdown]
# Una forma honesta de decidir: entre las combinaciones cuya exactitud final está a menos de un
# punto de la mejor de todas, la que llega a la meta moviendo menos bytes. Es una decisión tomada
# con validación.

# %%
cost = to_goal * (np.array(steps_per_epoch) * per_step)[:, None]
allowed = accuracy >= np.nanmax(accuracy) - NEAR
balanced = np.unravel_index(np.nanargmin(np.where(allowed, cost, np.nan)), cost.shape)
exact = np.unravel_index(np.nanargmax(accuracy), accuracy.shape)
for name, (i, j) in {"la de mejor equilibrio": balanced, "la más exacta": exact}.items():
    print(
        f"{name}: B = {sizes[i]}, η = {rates[j]:.3g}; {accuracy[i, j]:.4f} en validación, "
        f"{to_goal[i, j]:.1f} épocas y {cost[i, j] / 1e6:.1f} MB hasta la meta"
    )

# %% [markdown]
# Como las eligió la suerte también, las dos se entrenan otra vez con semillas nuevas, y junto a
# ellas la mejor del lote más grande. Solo estos entrenamientos llevan intervalo (del 95 %), y solo
# ahora se mira la exactitud de prueba.

# %%
finalists = {"equilibrio": balanced, "más exacta": exact, "lote grande": (-1, best_rate[-1])}
again = joc.grid(batch_size=sizes, learning_rate=rates, seed=range(10, 13 if quick() else 16))
wanted = {(sizes[i], rates[j]) for i, j in finalists.values()}
again = again[
    [
        pair in wanted
        for pair in again[["batch_size", "learning_rate"]].itertuples(index=False, name=None)
    ]
]
fresh = joc.sweep(
    "digits",
    again.assign(optimizer="sgd"),
    epochs=epochs,
    static=["batch_size"],
    progress=False,
)


def interval(values):
    """La media de unas semillas y su intervalo del 95 %."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{np.mean(values):.3g} ± {half:.2g}"


rows = {}
for name, (i, j) in finalists.items():
    runs = fresh.trials.query("batch_size == @sizes[@i] and learning_rate == @rates[@j]")
    scores = fresh.curves["valid_accuracy"].sel(trial=runs["trial"].to_numpy())
    scores = scores.sel(eval_step=steps_per_epoch[i] * epoch_number).to_numpy() >= GOAL
    there = scores.any(axis=1)
    rows[name] = {
        "lote": sizes[i],
        "tasa": f"{rates[j]:.3g}",
        "llegan": f"{there.sum()} de {len(there)}",
        "épocas": interval(1.0 + scores.argmax(axis=1)) if there.all() else "-",
        "prueba, %": interval(100 * runs["test_accuracy"].astype(float)),
    }
show_table(pd.DataFrame(rows).T)
chosen = fresh.trials.query("batch_size == @sizes[@balanced[0]]")["test_accuracy"].astype(float)
assert allowed[balanced] and chosen.mean() > GOAL

# %% [markdown]
# ## «Entre 50 y 256»
#
# Los apuntes 002 dan la costumbre: los mini-lotes suelen tener entre 50 y 256 ejemplos, sin una
# regla clara. ¿Hay aquí algo que la sostenga? Para cada lote, con la mejor de sus tasas: cuánto le
# falta para la mejor exactitud de todas, y lo que cuesta llegar a la meta con cada reloj. En el
# último par de columnas, 1 es el más barato.

# %%
usual = [50 <= size <= 256 for size in sizes]
cheapest = pd.DataFrame(
    {
        "50 a 256": np.where(usual, "sí", "no"),
        "puntos bajo la mejor": 100 * (np.nanmax(accuracy) - np.nanmax(accuracy, axis=1)),
        "pasos": speed["pasos"].reindex(sizes).to_numpy(),
        "MB": speed["MB"].reindex(sizes).to_numpy(),
    },
    index=pd.Index(sizes, name="lote"),
)
for clock in ("pasos", "MB"):
    cheapest[clock] /= cheapest[clock].min()
show_table(cheapest.astype(object).where(cheapest.notna(), "no llega"))
first_by = {clock: cheapest[clock].idxmin() for clock in ("pasos", "MB")}
alike = cheapest["puntos bajo la mejor"] <= 100 * NEAR
print("a menos de un punto de la mejor exactitud:", ", ".join(map(str, alike.index[alike])))
for clock, size in first_by.items():
    where = "dentro" if 50 <= size <= 256 else "fuera"
    print(f"el más barato en {clock}: {size}, {where} de 50 a 256")
assert alike.iloc[0]  # el más pequeño, que está fuera de la costumbre, no es peor
assert first_by["pasos"] >= first_by["MB"]  # los pasos piden lotes mayores que los bytes

# %% [markdown]
# En exactitud la costumbre no tiene nada: el lote más pequeño, que queda fuera de ella, llega igual
# de alto. Es un término medio entre dos relojes, y como tal se sostiene. Los pasos piden el lote
# mayor que todavía llegue; los bytes, uno menor, y entre los vecinos hay poca diferencia. Quien no
# sabe cuál de los dos manda en su máquina no se equivoca mucho en medio, y eso es todo lo que dice
# la costumbre.

# %% [markdown]
# ## En resumen
#
# - A lote mayor, tasa mayor, pero no en proporción: la estabilidad le pone techo.
# - Un lote grande ahorra pasos y gasta épocas; cuál es mejor depende del reloj.
# - Entre 50 y 256 es un término medio entre relojes, y nada más: en exactitud no gana.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice qué lote llega antes a 0,93 si se cuentan pasos, y cuál si se cuentan épocas.
# 2. Cambia `GOAL` a 0,90. ¿Cambia la de mejor equilibrio?
# 3. Demuestra la aproximación del principio para una pérdida cuadrática y dos pasos, y di qué
#    término se desprecia.
#
# ## Para leer más
#
# - Goyal y otros (2017), «Accurate, Large Minibatch SGD».
# - Shallue y otros (2019), «Measuring the Effects of Data Parallelism on Neural Network Training».
# - McCandlish, Kaplan y Amodei (2018), «An Empirical Model of Large-Batch Training».
