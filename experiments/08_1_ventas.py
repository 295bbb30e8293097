# %% [markdown]
# # 8.1. Ejercicio de las ventas: SGD, RMSProp y Adam contra un suelo conocido
#
# El primer ejercicio de los apuntes da diez mil ventas por internet y tres optimizadores para una
# misma red, y pregunta tres cosas: quién converge antes, quién termina con menos error y quién
# entrena de manera más estable.
#
# Con datos reales nunca se sabe si el error que queda es culpa de la red o del azar. Por eso las
# ventas de esta lección se generan con una fórmula conocida más un ruido de tamaño conocido:
#
# $$y = f(\text{precio},\text{descuento},\text{visitas},\dots) + \sigma\,\varepsilon,
#   \qquad \varepsilon\sim\mathcal N(0,1)$$
#
# Ningún modelo puede bajar, en promedio, de un error cuadrático $\sigma^2$: ese es el suelo. Lo que
# una red pierde **por encima** de él es lo único que un optimizador puede mejorar.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import LinearRegression

import jaxopt_course as joc
from jaxopt_course.course import quick, show
from jaxopt_course.problems.generated import sales
from jaxopt_course.problems.tables import prepare

joc.use_cpu_cores()
COLORS = {"sgd": "#0072B2", "rmsprop": "#E69F00", "adam": "#009E73"}
NAMES = {"sgd": "SGD", "rmsprop": "RMSProp", "adam": "Adam"}
plt.rcParams["font.size"] = 11

# %% [markdown]
# ## Los datos
#
# Cada fila es un producto en un día, y el objetivo es el logaritmo de las unidades vendidas. La
# elasticidad del precio cambia con la categoría, y el descuento pesa más en fin de semana: efectos
# que actúan juntos y que un modelo lineal no ve. La fórmula entera está en la ayuda de `sales`.

# %%
made = sales()
print(made.table.head(4).to_string())
ready = prepare(made.table, made.target)
print(f"\n{len(made.table):,} ventas; {len(ready.features)} entradas: {', '.join(ready.features)}")

# %% [markdown]
# La tabla se parte en 60/20/20. Las columnas de texto se convierten en ceros y unos; los números,
# también el objetivo, se llevan a media 0 y desviación 1 con lo que se mide en el entrenamiento.
# En esas unidades, contestar siempre la media da un error de 1.
#
# Abajo, tres referencias sobre la parte de prueba: la regresión lineal, el modelo ideal (la fórmula
# sin el ruido) y su valor esperado, $\sigma^2$.

# %%
x_train, y_train = ready.parts["train"]
x_test, y_test = ready.parts["test"]
linear = np.mean((LinearRegression().fit(x_train, y_train).predict(x_test) - y_test) ** 2)
ideal_answer = (made.ideal[ready.rows["test"]] - ready.center) / ready.scale
ideal = np.mean((ideal_answer - y_test) ** 2)
floor = made.best()["squared_error"] / ready.scale**2
print(f"regresión lineal {linear:.4f}   modelo ideal {ideal:.4f}   σ² {floor:.4f}")
assert ideal < linear
assert abs(ideal / floor - 1) < 0.15  # 2,000 rows: within a few standard errors of σ²

# %% [markdown]
# ## Una comparación justa
#
# La misma red (dos capas ocultas de 64), los mismos pesos iniciales y los mismos lotes para los
# tres. Lo que **no** puede ser igual es la tasa de aprendizaje: una que es prudente para SGD es un
# disparate para Adam. Así que cada optimizador recibe el mismo presupuesto para buscar la suya
# (toda una rejilla, de la que gana la mejor en validación), y el ganador se entrena de nuevo con
# semillas que no participaron en la elección. Solo esos entrenamientos llevan intervalo.
#
# Es una sola llamada y un solo programa compilado; en Keras o PyTorch serían tres bucles anidados
# y un entrenamiento detrás de otro.

# %%
epochs = 4 if quick() else 15
fresh = 3 if quick() else 10
trials = joc.grid(
    optimizer=list(NAMES),
    learning_rate=np.geomspace(1e-4, 1, 5 if quick() else 9),
    seed=range(1 if quick() else 2),
)
study = joc.sweep("sales", trials, epochs=epochs, metric="valid_loss", progress=False)
confirmed = study.confirm(fresh, progress=False)
print(study)
print(confirmed)

# %%
NEAR = 1.5  # times the noise floor
winners = study.winners().set_index("optimizer")["learning_rate"].astype(float)
rows = []
for name, group in confirmed.trials.groupby("optimizer"):
    errors = group["test_loss"].to_numpy(float)
    half = stats.t.ppf(0.975, len(errors) - 1) * errors.std(ddof=1) / np.sqrt(len(errors))
    curves = confirmed.curves["valid_loss"].to_numpy()[confirmed.trials["optimizer"] == name]
    tail = curves[:, epochs // 2 :]
    near = curves <= NEAR * floor
    reached = np.where(near.any(axis=1), 1 + near.argmax(axis=1), np.nan)
    rows.append(
        {
            "optimizador": NAMES[name],
            "tasa": winners[name],
            "error": errors.mean(),
            "±": half,
            "sobre el ideal": errors.mean() / ideal - 1,
            f"épocas hasta {NEAR:g} σ²": np.median(reached),
            "sube y baja": np.mean(abs(np.diff(tail, axis=1))) / floor,
            "entre semillas": errors.std(ddof=1) / floor,
        }
    )
table = pd.DataFrame(rows).set_index("optimizador").sort_values("error")
print(table.to_string(float_format="%.4g"))

# %% [markdown]
# - **error** es el de prueba, con su intervalo del 95 %; **sobre el ideal**, lo que falta ganar.
# - **sube y baja** mide la estabilidad: el cambio medio de la validación de una época a la
#   siguiente en la segunda mitad, en unidades de $\sigma^2$.
# - **entre semillas** es la desviación del error final al cambiar de pesos iniciales y de lotes.
#
# Nadie baja del ideal, y los tres dejan atrás a la regresión lineal:

# %%
assert (table["error"] + table["±"] > ideal).all()
assert (table["error"] < linear).all()

# %% [markdown]
# ## Velocidad
#
# Cada banda va del peor al mejor de las semillas nuevas, y la línea es la mediana. El eje vertical
# es el error de validación dividido entre $\sigma^2$: 1 es el suelo.

# %%
fig, ax = plt.subplots(figsize=(7, 4))
for name, color in COLORS.items():
    curves = confirmed.curves["valid_loss"].to_numpy()[confirmed.trials["optimizer"] == name]
    epoch = np.arange(1, curves.shape[1] + 1)
    ax.fill_between(epoch, *np.quantile(curves / floor, [0, 1], axis=0), color=color, alpha=0.2)
    label = f"{NAMES[name]}, tasa {winners[name]:.2g}"
    ax.plot(epoch, np.median(curves / floor, axis=0), color=color, lw=2, label=label)
ax.axhline(1, color="black", ls="--", lw=1)
ax.annotate("suelo de ruido σ²", (epoch[-1], 1), (0, 4), textcoords="offset points", ha="right")
ax.set(xlabel="época", ylabel="error de validación / σ²", yscale="log")
ticks = [1, 1.5, 2, 3, 4]
ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
ax.minorticks_off()
ax.legend(frameon=False)
show(fig, "velocidad")

# %% [markdown]
# ## Error final, y lo que de verdad importa
#
# A la izquierda, el error de prueba con su intervalo. A la derecha, el mismo experimento antes de
# elegir: el error de validación según la tasa de aprendizaje.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), width_ratios=[1, 1.5])
for row, (name, color) in enumerate(COLORS.items()):
    values = table.loc[NAMES[name]]
    left.errorbar(values["error"], row, xerr=values["±"], fmt="o", color=color, capsize=4)
    group = study.configurations("valid_loss").query("optimizer == @name")
    group = group.sort_values("learning_rate")
    losses = group["valid_loss"].astype(float)
    right.plot(group["learning_rate"], losses, "o-", color=color, label=NAMES[name], ms=4)
left.axvline(ideal, color="black", ls="--", lw=1)
left.set_yticks(range(3), NAMES.values())
left.set(xlabel="error de prueba (ideal: - - -)", ylim=(-0.5, 2.5))
right.axhline(floor, color="black", ls="--", lw=1)
right.axhline(linear, color="gray", ls=":", lw=1)
right.annotate("regresión lineal", (9e-5, linear), (0, 3), textcoords="offset points",
               color="gray", fontsize=9)  # fmt: skip
right.set(xscale="log", yscale="log", ylim=(0.8 * floor, 3))
right.set(xlabel="tasa de aprendizaje", ylabel="error de validación")
right.legend(frameon=False, loc="upper center")
fig.tight_layout()
show(fig, "error_final")

# %% [markdown]
# La diferencia entre la mejor y la peor tasa de un mismo optimizador es mucho mayor que la que hay
# entre los tres optimizadores, cada uno con su tasa. Comparar dos métodos con la misma tasa, o con
# la tasa por defecto de cada uno, es comparar tasas. Abajo, las dos diferencias en cifras.

# %%
scores = study.configurations("valid_loss")
scores = scores.assign(valid_loss=scores["valid_loss"].astype(float).fillna(np.inf))
by_rate = scores.groupby("optimizer")["valid_loss"].agg(["min", "max"])
between_rates = (by_rate["max"] - by_rate["min"]).min()
between_optimizers = by_rate["min"].max() - by_rate["min"].min()
print(f"entre tasas, al menos {between_rates:.3f}; entre optimizadores {between_optimizers:.3f}")
assert between_rates > 2 * between_optimizers

# %% [markdown]
# ## Estabilidad: cuidado con el borde
#
# Una búsqueda con pocas semillas puede premiar una tasa que está al lado del abismo: salió bien
# por suerte, y con semillas nuevas sube y baja. Abajo, cuánto le falta a cada tasa elegida para
# llegar a la primera de la rejilla que arruina el entrenamiento (diverge, o acaba peor que la
# regresión lineal). Cuanto menor es ese margen, más anchas salen la banda y la barra de error.

# %%
for name in NAMES:
    mine = scores[(scores["optimizer"] == name) & (scores["learning_rate"] > winners[name])]
    ruined = mine[mine["valid_loss"] > linear]["learning_rate"].astype(float)
    margin = f"{ruined.min() / winners[name]:.3g} veces la elegida" if len(ruined) else "no hay"
    spread = table.loc[NAMES[name], "entre semillas"]
    print(f"{NAMES[name]:8s} primera tasa ruinosa: {margin}; entre semillas {spread:.3f} σ²")

# %%
first, last = table.iloc[0], table.iloc[-1]
apart = last["error"] - last["±"] > first["error"] + first["±"]
how = "no se tocan" if apart else "se cruzan: con estas semillas no hay vencedor"
print(f"los intervalos de {first.name} y {last.name} {how}")
