# %% [markdown]
# # 13.6. Ventajas y desventajas: el decaimiento y el sobreajuste
#
# De AdamW dicen los apuntes que regulariza mejor y que hay que ajustar su decaimiento; de Adam, que
# es sensible a él y que puede sobreajustar. Son efectos pequeños, de los que una semilla con suerte
# convierte en titular, así que aquí hay más semillas que en las otras partes. El cuadro final se
# lee como en la 13.1.
#
# **Al terminar sabrás** elegir un decaimiento en validación y decir en prueba, con su intervalo, si
# sirvió; separar lo que sobreajusta un optimizador de lo que entrena.
#
# **Hace falta** las lecciones [5](05_adam.py) y [8.3](08_3_regularizacion.py), y la
# [parte 13.1](13_1_velocidad_y_escala.py).

# %%
import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import claim, decided, interval, spanish
from jaxopt_course.course.digits import noisy_digits
from jaxopt_course.course.verdicts import show_claims

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SEED = 0

# %% [markdown]
# ## El barrido
#
# Seiscientos dígitos con parte de las etiquetas cambiadas al azar, para que se pueda sobreajustar,
# y etiquetas limpias en validación y prueba. AdamW con su decaimiento aparte del gradiente; Adam
# con L2 dentro de él, donde acaba dividida por $\sqrt{\hat v}$ (lección 8.3). Unas semillas eligen
# tasa y decaimiento en validación; otras informan en prueba, y las diferencias son semilla a
# semilla.

# %%
digits = noisy_digits(lambda rngs: joc.MLP(64, 48, 10, rngs=rngs), train=600, valid=500, seed=SEED)


# %%
def measured(params, state, data):
    """Lo que mide la tarea, y la norma de los pesos."""
    squares = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
    return digits.evaluate(params, state, data) | {"norm": jnp.sqrt(squares)}


task = dataclasses.replace(digits, evaluate=measured, metrics=digits.metrics | {"norm": "min"})
CHOOSE, TELL = (range(1), range(1, 5)) if quick() else (range(4), range(4, 16))
RATES = np.geomspace(1e-3, 3e-2, 2 if quick() else 4)
STEPS, EVERY = (120, 24) if quick() else (480, 24)
DECAYS = [0.0, 0.1, 1.0, 10.0]
L2 = [0.001, 0.01, 0.1]
RECIPES = {
    "adamw": lambda h: joc.adamw(h["learning_rate"], weight_decay=h["strength"]),
    "adam": lambda h: joc.chain(
        joc.add_decayed_weights(h["strength"]), joc.adam(h["learning_rate"])
    ),
    "momentum": lambda h: joc.momentum(h["learning_rate"], h["strength"]),
}
seeds = [*CHOOSE, *TELL]
table = pd.concat(
    [
        joc.grid(optimizer="adamw", learning_rate=RATES, strength=DECAYS, seed=seeds),
        joc.grid(optimizer="adam", learning_rate=RATES, strength=L2, seed=seeds),
        joc.grid(optimizer="momentum", learning_rate=10 * RATES, strength=[0.0, 0.9], seed=seeds),
    ],
    ignore_index=True,
)
study = joc.sweep(
    task,
    table,
    RECIPES,
    steps=STEPS,
    batch_size=50,
    evaluate_every=EVERY,
    progress=False,
)
done = study.trials.astype({"learning_rate": float, "strength": float, "seed": int})
failed = done["status"].ne("finished")
done.loc[failed, ["valid_accuracy", "test_accuracy"]] = 0.1  # adivina
done["rise"] = done["valid_loss"] - done["best_valid_loss"]
print(spanish(f"{len(table):,} redes en un programa, {failed.sum()} divergen"))


def part(name, strength=None):
    """Las pruebas de un optimizador, con una fuerza o con todas."""
    mask = done["optimizer"].eq(name)
    return done[mask] if strength is None else done[mask & np.isclose(done["strength"], strength)]


def tuned(rows, by="valid_accuracy", lowest=False):
    """Las pruebas de las semillas que juzgan donde las que eligen son mejores."""
    keys = ["learning_rate", "strength"]
    scores = rows[rows["seed"].isin(CHOOSE)].groupby(keys)[by].mean()
    rate, strength = scores.idxmin() if lowest else scores.idxmax()
    mask = np.isclose(rows["learning_rate"], rate) & np.isclose(rows["strength"], strength)
    return rows[mask & rows["seed"].isin(TELL)].sort_values("seed")


# %% [markdown]
# ## El decaimiento
#
# Para cada decaimiento y cada $\lambda$, la mejor tasa en validación y el error en prueba con otras
# semillas.

# %%
without = tuned(part("adamw", 0.0))
decayed = tuned(part("adamw").query("strength > 0"))
coupled = {l2: tuned(part("adam", l2))["test_accuracy"].to_numpy(float) for l2 in L2}
apart = {d: tuned(part("adamw", d))["test_accuracy"].to_numpy(float) for d in DECAYS}
rate = without["learning_rate"].iloc[0]
at_rate = {
    d: part("adamw", d).query("seed in @TELL and learning_rate == @rate").sort_values("seed")
    for d in DECAYS
}
gain = decayed["test_accuracy"].to_numpy(float) - without["test_accuracy"].to_numpy(float)
mean, half = interval(100 * gain)
chosen = decayed["strength"].iloc[0]
print(spanish(f"decaimiento {chosen:g} menos ninguno: {mean:+.2f} ± {half:.2f} puntos en prueba"))

fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
panels = {"AdamW: decaimiento aparte": (apart, GREEN), "Adam: L2 dentro": (coupled, ORANGE)}
for ax, (title, (by_strength, colour)) in zip(axes, panels.items(), strict=True):
    for x, values in enumerate(by_strength.values()):
        middle, width = interval(100 * (1 - values))
        ax.errorbar(x, middle, width, fmt="o", color=colour, capsize=4)
    ax.set_xticks(range(len(by_strength)), [f"{strength:g}" for strength in by_strength])
    ax.set(yscale="log", title=title, xlim=(-0.5, len(by_strength) - 0.5))
ticks = [5, 6, 8, 10, 20, 40, 90]
axes[0].set_yticks(ticks, map(str, ticks))
axes[0].set_yticks([], minor=True)
axes[0].set(xlabel="decaimiento", ylabel="error de prueba (%), e intervalo")
axes[1].set_xlabel("λ")
show(fig, "decaimiento", "Error de prueba según el decaimiento de AdamW y según λ de L2 en Adam")

# %% [markdown]
# Hasta uno, casi nada cambia salvo el tamaño de los pesos; con diez el error se triplica. El
# decaimiento de AdamW se multiplica por la tasa, y por eso «uno» no es enorme.

# %%
norms = {d: at_rate[d]["valid_norm"].to_numpy(float) for d in DECAYS}
kept = {d: at_rate[d]["test_accuracy"].to_numpy(float) for d in DECAYS}
best_l2 = max(L2, key=lambda l2: coupled[l2].mean())
better = spanish(f"{mean:+.2f} ± {half:.2f} puntos")
claims = [
    claim("AdamW", "000:115, 000:134", "mejor regularización; los pesos no crecen demasiado",
          f"norma de los pesos, a la misma tasa: {norms[0.0].mean():.1f} sin decaimiento, "
          f"{norms[1.0].mean():.1f} con 1; en prueba, con decaimiento {chosen:g}, {better}",
          pesos=decided(norms[0.0] - norms[1.0]),
          exactitud=decided(gain)),
    claim("AdamW", "000:116", "hay que ajustar el decaimiento",
          "exactitud a la misma tasa: " + ", ".join(
              f"{values.mean():.2f} (decaimiento {d:g})" for d, values in kept.items()),
          mucho_estropea=decided(kept[0.0] - kept[10.0], 0.05),
          el_mejor_gana=decided(gain)),
    claim("Adam", "003:41", "sensible al weight decay",
          "exactitud con L2 dentro del gradiente: " + ", ".join(
              f"{coupled[l2].mean():.2f} (λ = {l2:g})" for l2 in L2),
          importa=decided(coupled[best_l2] - coupled[max(L2)], 0.05)),
]  # fmt: skip

# %% [markdown]
# ## El sobreajuste
#
# «Sobreajuste» es aquí lo que sube la pérdida en validación (etiquetas limpias) desde el mínimo que
# tuvo esa misma configuración. Cada optimizador lleva la tasa con que **entrena** mejor.

# %%
trained = {
    "SGD": tuned(part("momentum", 0.0), "train_loss", lowest=True),
    "momentum": tuned(part("momentum", 0.9), "train_loss", lowest=True),
    "Adam": tuned(part("adamw", 0.0), "train_loss", lowest=True),
}
rise = {name: rows["rise"].to_numpy(float) for name, rows in trained.items()}
rows = []
for name, values in rise.items():
    middle, width = interval(values)
    loss = trained[name]["train_loss"].mean()
    rows.append([name, spanish(f"{middle:.3f} ± {width:.3f}"), loss])
heads = ["optimizador", "sube la validación", "pérdida de entrenamiento"]
show_table(pd.DataFrame(rows, columns=heads), index=False)

curves = study.curves["valid_loss"].to_numpy()
fig, ax = plt.subplots(figsize=(7, 3.8))
for (name, rows), colour in zip(trained.items(), [BLUE, ORANGE, GREEN], strict=True):
    lines = curves[rows.index]
    at = (np.arange(lines.shape[1]) + 1) * EVERY
    ax.plot(at, lines.mean(0), color=colour, label=name, lw=1.8)
    ax.fill_between(at, lines.min(0), lines.max(0), color=colour, alpha=0.15)
ax.set(xlabel="paso", ylabel="pérdida de validación (media y extremos)")
ax.set_title("Cada uno con la tasa que mejor entrena")
ax.legend()
show(fig, "sobreajuste", "La pérdida de validación de cada uno, con la tasa con que mejor entrena")

# %% [markdown]
# Quien más baja la pérdida de entrenamiento es quien más sube después la de validación. La figura
# no dice que Adam sobreajuste por ser Adam: con la misma pérdida de entrenamiento habría que
# compararlos para decirlo.

# %%
claims.append(
    claim("Adam", "004:106", "posible sobreajuste",
          f"la pérdida de validación sube {rise['Adam'].mean():.2f} desde su mínimo (SGD "
          f"{rise['SGD'].mean():.2f}, momentum {rise['momentum'].mean():.2f})",
          sobreajusta=decided(rise["Adam"], 0.02),
          más_que_SGD=decided(rise["Adam"] - rise["SGD"]),
          más_que_momentum=decided(rise["Adam"] - rise["momentum"]))
)  # fmt: skip

# %% [markdown]
# ## El cuadro
#
# Un veredicto es una palabra; lo medido, un número con su intervalo. Donde el margen es de unas
# décimas de punto, otra partición de los datos puede cambiar la palabra: eso es lo que «depende»
# avisa, y de ello trata la lección 12.

# %%
show_claims(claims)

# %% [markdown]
# ## En resumen
#
# - El decaimiento encoge los pesos siempre; que mejore la prueba hay que medirlo, y la ganancia es
#   de décimas.
# - Un decaimiento diez veces mayor que el bueno estropea la red: hay que afinarlo.
# - Adam es el que más sobreajusta aquí, y también el que más entrena.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice a qué norma tienden los pesos de AdamW si el gradiente es cero, y cuántos pasos tarda
#    en bajar a la mitad con $\eta=0{,}003$ y decaimiento 1.
# 2. Entrena con las etiquetas limpias. ¿Sigue ganando algo el decaimiento?
# 3. Compara a los tres en el primer paso en que su pérdida de entrenamiento baja de 0,1. ¿Quién
#    tiene entonces peor validación?
# 4. Demuestra que en Adam con L2 y $\varepsilon=0$ un peso sin otro gradiente que $\lambda w$ se
#    mueve $\eta$ por paso, sea cual sea $\lambda$.
#
# ## Para leer más
#
# - Krogh y Hertz (1991), «A Simple Weight Decay Can Improve Generalization».
# - Zhang y otros (2017), «Understanding deep learning requires rethinking generalization».
# - Loshchilov y Hutter (2019), «Decoupled Weight Decay Regularization».
