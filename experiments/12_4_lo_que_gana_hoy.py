# %% [markdown]
# # 12.4. Lo que gana hoy: Muon, Schedule-Free, pesos promediados y decaimiento afinado
#
# Los apuntes acaban en AdamW y Adamax. En la comparación pública más parecida a las redes de este
# curso (arXiv 2604.15297: perceptrones sobre 17 tablas, 100 configuraciones de cada método y diez
# semillas) los cuatro primeros puestos son de Muon con pesos promediados, AdamW con pesos
# promediados, Muon y Schedule-Free. Aquí se repite la pregunta con una red de los apuntes y las
# reglas de la parte 12.1: una caja de búsqueda para cada uno, el mismo presupuesto, semillas nuevas
# para informar y diferencias por parejas. También se dice quién **no** gana.
#
# **Al terminar sabrás** qué hace Muon con una matriz; contra qué hay que comparar unos pesos
# promediados; corregir por haber hecho varias comparaciones a la vez.
#
# **Hace falta** la [parte 12.1](12_1_un_barrido_honesto.py) y la [lección 5](05_adam.py).

# %%
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import decided, interval, spanish
from jaxopt_course.course.digits import noisy_digits
from jaxopt_course.course.figures import proper

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"

# %% [markdown]
# ## Muon: todas las direcciones, igual de lejos
#
# Muon (Jordan et al., 2024) es momentum con un paso más. La memoria de una capa es una matriz,
# $M_t=\beta M_{t-1}+(1-\beta)G_t$; con sus valores singulares, $M_t=USV^\top$. Suele haber unos
# pocos grandes y muchos pequeños, y un paso a lo largo de $M_t$ avanza casi solo por los grandes.
# Muon da el paso
#
# $$ W_{t+1}=W_t-\eta\,\sqrt{\max(1,\tfrac{c}{r})}\;UV^\top, $$
#
# con $r$ entradas y $c$ salidas: todas las direcciones de la matriz avanzan lo mismo. Los valores
# singulares no se calculan. Unas pocas iteraciones de Newton y Schulz,
#
# $$ X\leftarrow aX+(bA+cA^2)X,\qquad A=XX^\top, $$
#
# con $a$, $b$ y $c$ elegidos para ir deprisa y no para acabar exactamente en uno, acercan todos a
# uno con solo productos de matrices. De lo que no es matriz (los sesgos) se encarga AdamW.

# %%
matrix = np.random.default_rng(0).normal(size=(64, 32)) * np.geomspace(1, 0.02, 32)
gradient = {"kernel": jnp.asarray(matrix, jnp.float32)}
muon = joc.muon(1.0, weight_decay=0.0)
step, _ = muon.update(gradient, muon.init(gradient), gradient)
before = np.linalg.svd(matrix, compute_uv=False)
after = np.linalg.svd(np.asarray(step["kernel"]), compute_uv=False)
print(f"cociente del valor singular mayor y el menor: {before[0] / before[-1]:.0f} antes,", end=" ")
print(spanish(f"{after[0] / after[-1]:.2f} después"))
assert before[0] / before[-1] > 30 and after[0] / after[-1] < 2

fig, ax = plt.subplots(figsize=(7, 3.4))
ax.plot(before / before[0], "o-", color=GREY, ms=4, label="gradiente (el mayor es 1)")
ax.plot(after / after[0], "o-", color=BLUE, ms=4, label="paso de Muon (el mayor es 1)")
ax.set(xlabel="dirección, de la más fuerte a la más débil", ylabel="valor singular", ylim=(0, 1.05))
ax.legend()
ax.set_title("El paso de Muon no distingue direcciones fuertes de débiles")
show(fig, "muon", "Los valores singulares de un gradiente y los del paso que da Muon con él")

# %% [markdown]
# ## Pesos que se promedian, y un horario que sobra
#
# Con una tasa constante los últimos pesos saltan alrededor de un buen sitio sin llegar a él. Hay
# dos remedios. Uno es bajar la tasa (lección 2), y para eso hay que saber de antemano cuántos pasos
# van a ser. El otro es evaluar una media de los pesos y no los últimos:
#
# * **media móvil** (EMA): $\bar w_t=\beta\bar w_{t-1}+(1-\beta)w_t$. El entrenamiento no cambia en
#   nada; cambia lo que se evalúa y se guarda.
# * **Schedule-Free** (Defazio et al., 2024): el gradiente se toma en $y_t=(1-\beta)z_t+\beta x_t$,
#   entre los pesos rápidos $z$ y su media $x$; se evalúa $x$. No hay horario que elegir.
#
# ## Decaimiento que se afina
#
# En AdamW (lección 5) el decaimiento vale $10^{-4}$ si nadie dice otra cosa, y a esa distancia de
# cero no hace nada: «AdamW sin afinar» es Adam. Aquí cada configuración lleva dos números, tasa y
# decaimiento, sacados de la caja de cada optimizador, que es una tabla:

# %%
NAMES = ["momentum", "adam", "adamw", "adamw+ema", "schedule_free_adamw", "muon"]
COSINE = "adamw con coseno"
TUNE = ["learning_rate", "weight_decay"]
space = joc.search_space(*NAMES)
copy = space[space["optimizer"] == "adamw"].assign(optimizer=COSINE)
space = pd.concat([space[space["name"].isin(TUNE)], copy[copy["name"].isin(TUNE)]])
boxes = space.pivot(index="optimizer", columns="name", values=["low", "high"])
boxes = boxes[[(end, name) for name in TUNE for end in ("low", "high")]]
heads = ["tasa, desde", "hasta", "decaimiento, desde", "hasta "]
show_table(boxes.set_axis(heads, axis=1).rename_axis("optimizador"), 2)

# %% [markdown]
# ## El barrido
#
# Seiscientos dígitos, un 15 % de ellos con la etiqueta al azar: aquí hay algo que regularizar. A
# los seis se añade «adamw con coseno», que baja la tasa hasta cero como es costumbre; sin él,
# ganarle a AdamW con tasa constante sería ganarle a un rival a medio vestir. Todos prueban los
# mismos puntos de una sucesión de Sobol, cada uno en su caja, y todos caben en un programa.

# %%
task = noisy_digits(
    lambda rngs: joc.MLP(64, 16 if quick() else 48, 10, rngs=rngs), train=600, valid=500
)
STEPS, EVERY = (96, 24) if quick() else (480, 24)
N, SEEDS, FRESH = (4, 2, 4) if quick() else (16, 4, 16)

# %% tags=["show-input"]
RECIPES = {
    "momentum": lambda h: joc.momentum(h["learning_rate"], 0.9),
    "adam": lambda h: joc.adam(h["learning_rate"]),
    "adamw": lambda h: joc.adamw(h["learning_rate"], weight_decay=h["weight_decay"]),
    COSINE: lambda h: joc.adamw(
        joc.cosine_decay_schedule(h["learning_rate"], STEPS), weight_decay=h["weight_decay"]
    ),
    "adamw+ema": lambda h: joc.chain(
        joc.adamw(h["learning_rate"], weight_decay=h["weight_decay"]), joc.ema_params(0.98)
    ),
    "schedule_free_adamw": lambda h: joc.schedule_free_adamw(
        h["learning_rate"], weight_decay=h["weight_decay"]
    ),
    "muon": lambda h: joc.muon(h["learning_rate"], weight_decay=h["weight_decay"]),
}

# %%
table = joc.sobol(N, seeds=range(SEEDS), tune=TUNE, space=space, optimizer=list(RECIPES))
study = joc.sweep(
    task, table, RECIPES, steps=STEPS, batch_size=50, evaluate_every=EVERY, progress=False
)
event = study.events[0]
print(spanish(f"{len(table):,} redes, {event['lowerings']} programa, {event['seconds']:.0f} s"))

# %% [markdown]
# La búsqueda elige; quien informa son semillas que no eligieron nada. La tabla lleva los dos
# números de cada ganador; donde no hay decaimiento la casilla está vacía. La columna «en el borde»
# avisa de quien ganó con el menor o el mayor valor que probó.

# %%
winners = study.winners().set_index("optimizer")
confirmed = study.confirm(FRESH, progress=False)
fresh = confirmed.trials.astype({"seed": int})
lost = fresh["status"].ne("finished")
measures = [c for c in fresh if c.startswith(("valid_accuracy", "test_accuracy"))]
fresh.loc[lost, measures] = 0.1  # un entrenamiento que diverge adivina: uno de cada diez dígitos
samples = {
    name: group.sort_values("seed")["test_accuracy"].to_numpy(float)
    for name, group in fresh.groupby("optimizer")
}
shown = winners.loc[list(RECIPES), TUNE].astype(float)
shown["búsqueda"] = winners["valid_accuracy"].astype(float)
shown["prueba"] = [samples[name].mean() for name in shown.index]
shown["en el borde"] = winners["at_edge"]
heads = ["tasa", "decaimiento", "validación", "prueba", "en el borde"]
shown = shown.sort_values("prueba", ascending=False).set_axis(heads, axis=1)
show_table(shown.rename_axis("optimizador"))

# %% [markdown]
# ## ¿Ganan?
#
# Se compara cada uno con `adam`, que es donde lo dejan los apuntes cuando nadie afina el
# decaimiento: la misma semilla para los dos, y el intervalo al 95 % de la **diferencia**. Son seis
# comparaciones a la vez, así que el umbral se reparte entre ellas (Holm, 1979: la menor de las
# probabilidades se multiplica por seis, la siguiente por cinco...). «Gana» exige las dos cosas,
# intervalo y Holm; «no se sabe» es una respuesta.


# %%
def holm(p):
    """Probabilidades corregidas por haber hecho varias preguntas."""
    p = np.asarray(p)
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(1, corrected)[np.argsort(order)]


BASE = "adam"
others = [name for name in RECIPES if name != BASE]
differences = {name: samples[name] - samples[BASE] for name in others}
chance = dict(
    zip(others, holm([stats.ttest_1samp(d, 0).pvalue for d in differences.values()]), strict=True)
)


def answer(name):
    """Lo que se puede decir de una diferencia."""
    sure = decided(differences[name])
    if sure is None or chance[name] > 0.05:
        return "no se sabe"
    return "gana" if sure else "pierde"


rows = []
for name in sorted(others, key=lambda name: -differences[name].mean()):
    mean, half = interval(100 * differences[name])
    points = spanish(f"{mean:+.2f} ± {half:.2f}")
    rows.append([name, points, spanish(f"{chance[name]:.3f}"), answer(name)])
heads = ["frente a Adam", "puntos en prueba", "p de Holm", "respuesta"]
show_table(pd.DataFrame(rows, columns=heads), index=False)

fig, ax = plt.subplots(figsize=(7, 3.6))
order = sorted(others, key=lambda name: differences[name].mean())
tones = {"gana": GREEN, "pierde": RED, "no se sabe": GREY}
for y, name in enumerate(order):
    mean, half = interval(100 * differences[name])
    ax.errorbar(mean, y, xerr=half, fmt="o", color=tones[answer(name)], capsize=4)
ax.axvline(0, color=GREY, lw=0.8)
ax.set_yticks(range(len(order)), order)
ax.set(xlabel=f"exactitud de prueba menos la de {BASE} (puntos), por parejas de semillas")
ax.set_title("Verde: gana; rojo: pierde; gris: estas semillas no lo dicen")
show(
    fig,
    "diferencias",
    "Exactitud de prueba menos la de Adam, por parejas, con su intervalo al 95 %",
)

# %% [markdown]
# ## ¿Es la media, o la tasa?
#
# La pregunta honesta sobre los pesos promediados es contra qué se comparan. De cada entrenamiento
# se midieron los pesos evaluados y los entrenados (`valid_accuracy_raw`): es el mismo
# entrenamiento, la pareja más limpia que hay. Cuánto salta cada curva de una medida a la siguiente
# se mira en la segunda mitad, cuando ya no sube; si además la media acaba más arriba, lo dice la
# diferencia. Junto a ella va lo que consigue el coseno sin promediar nada.

# %%
averaging = {"adamw+ema": BLUE, "schedule_free_adamw": ORANGE}
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), sharey=True, layout="constrained")
for ax, (name, colour) in zip(axes, averaging.items(), strict=True):
    mine = np.flatnonzero(fresh["optimizer"].eq(name) & ~lost)
    evaluated, trained = (
        confirmed.curves[which].to_numpy()[mine]
        for which in ("valid_accuracy", "valid_accuracy_raw")
    )
    gain = interval(100 * (evaluated[:, -1] - trained[:, -1]))
    half_way = evaluated.shape[1] // 2
    rough = [np.abs(np.diff(lines[:, half_way:])).mean() for lines in (evaluated, trained)]
    print(
        proper(f"{name}, media menos últimos pesos:"),
        spanish(
            f"{gain[0]:+.2f} ± {gain[1]:.2f} puntos; saltan {100 * rough[0]:.2f} y "
            f"{100 * rough[1]:.2f}"
        ),
    )
    at = (np.arange(evaluated.shape[1]) + 1) * EVERY
    ax.plot(at, trained.T, color=GREY, lw=0.5, alpha=0.6)
    ax.plot(at, evaluated.mean(0), color=colour, lw=2.2)
    ax.set(xlabel="paso", title=f"{name} (gris: los entrenados)")
    ax.set_ylim(0.5 if quick() else 0.8, 1)
axes[0].set_ylabel("exactitud de validación")
show(fig, "medias", "Exactitud de los pesos promediados y, en gris, de los entrenados")

for name in averaging:
    mean, half = interval(100 * (samples[name] - samples[COSINE]))
    pair = proper(f"{name} menos «{COSINE}»")
    print(f"{pair}:", spanish(f"{mean:+.2f} ± {half:.2f} puntos en prueba"))

# %% [markdown]
# ## El decaimiento, mirado entero
#
# Un ganador es un punto; la caja entera dice más. Para cada configuración de AdamW y de Muon, la
# media de sus semillas de búsqueda en el plano de tasa y decaimiento. Lo que hay que mirar: donde
# la tasa es muy pequeña o muy grande ningún decaimiento lo arregla, y un decaimiento excesivo
# estropea cualquier tasa. Con pocas configuraciones por caja, el número exacto del ganador es en
# parte suerte.

# %%
trials = study.trials.astype(dict.fromkeys(TUNE, float))
trials.loc[trials["status"].ne("finished"), "valid_accuracy"] = 0.1
means = trials.groupby(["optimizer", *TUNE])["valid_accuracy"].mean().reset_index()
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), sharey=True, layout="constrained")
for ax, name in zip(axes, ["adamw", "muon"], strict=True):
    one = means[means["optimizer"] == name]
    colours = ax.scatter(
        one["learning_rate"], one["weight_decay"], c=one["valid_accuracy"], s=90, vmin=0.5, vmax=1
    )
    best = one.loc[one["valid_accuracy"].idxmax()]
    ax.plot(best["learning_rate"], best["weight_decay"], "o", ms=14, mfc="none", mec=RED, mew=2)
    ax.set(xscale="log", yscale="log", xlabel="tasa de aprendizaje", title=name)
    near = (one["valid_accuracy"] > best["valid_accuracy"] - 0.01).sum()
    print(f"{proper(name)}: {near} de {len(one)} configuraciones a menos de un punto de la mejor")
    slow = one["learning_rate"] < one["learning_rate"].max() / 4000
    fast = one["learning_rate"] > 0.3
    heavy = one["weight_decay"] > 5
    assert (one["valid_accuracy"][slow | fast | heavy] < best["valid_accuracy"] - 0.03).all()
axes[0].set_ylabel("decaimiento")
fig.colorbar(colours, ax=axes, label="exactitud de validación")
show(
    fig, "decaimiento", "La caja de búsqueda de AdamW y la de Muon; en rojo, la mejor configuración"
)

# %% [markdown]
# ## El cuadro
#
# De cada uno, lo que estas semillas permiten decir. Las palabras las ponen las cuentas de arriba,
# no el texto: con otra red, otra tabla u otro presupuesto el cuadro puede ser otro.

# %%
for word in ("gana", "no se sabe", "pierde"):
    these = [name for name in others if answer(name) == word]
    print(f"{word} frente a Adam: {proper(', '.join(these)) if these else 'ninguno'}")
best, second = sorted(RECIPES, key=lambda name: -samples[name].mean())[:2]
mean, half = interval(100 * (samples[best] - samples[second]))
sure = "se separan" if mean > half else "no se separan"
order = proper(f"primero {best}, segundo {second}")
print(f"{order}:", spanish(f"{mean:.2f} ± {half:.2f} puntos; {sure}"))
spread = max(s.mean() for s in samples.values()) - min(s.mean() for s in samples.values())
print(spanish(f"del primero al último, {100 * spread:.2f} puntos"))

# %% [markdown]
# ## Con qué se queda uno
#
# 1. `jaxopt-course compare` hace esta comparación con los diez de los apuntes y los tres de aquí,
#    sobre cualquier tabla (`--csv`): con los datos de uno es donde hay que preguntar.
# 2. Afinar dos números, cada uno en su caja, cuesta tantos entrenamientos como afinar uno, pero no
#    es gratis: las mismas configuraciones, repartidas en un plano, caen más lejos unas de otras.
#    Con un decaimiento casi nulo AdamW es Adam; si arriba no le gana, no se probó su mejor punto.
# 3. Promediar los pesos no cuesta entrenamientos: cuesta una copia de los pesos. Pero hay que
#    compararlo con bajar la tasa, que tampoco cuesta.
# 4. Muon hace en cada paso quince productos de matrices por capa que los demás no hacen (tres por
#    iteración). Aquí se compara a igual número de pasos, donde eso no se ve.
# 5. Donde el intervalo de una diferencia contiene el cero, elegir el más simple no es conformarse:
#    es lo que dicen los datos.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice quién queda mejor parado si se dobla el número de pasos: el coseno o Schedule-Free.
# 2. Sube a `ema_params(0.998)`. ¿Qué pasa al principio de la curva, y qué al final?
# 3. Compara a igual número de segundos: mide un paso de Muon y uno de AdamW y ajusta `STEPS`.
# 4. Demuestra que $UV^\top$ es la matriz de valores singulares uno más parecida a $USV^\top$ en
#    norma de Frobenius.
#
# ## Para leer más
#
# - Holm (1979), «A Simple Sequentially Rejective Multiple Test Procedure».
# - Polyak y Juditsky (1992), «Acceleration of Stochastic Approximation by Averaging».
# - Defazio y otros (2024), «The Road Less Scheduled».
# - Jordan y otros (2024), «Muon: An optimizer for hidden layers in neural networks».
