# %% [markdown]
# # 8.1. Ejercicio de las ventas: SGD, RMSProp y Adam contra un suelo conocido
#
# El primer ejercicio de los apuntes da 10 000 ventas por internet y tres optimizadores para una
# misma red, y pregunta tres cosas: quién converge antes, quién termina con menos error y quién
# entrena de manera más estable.
#
# Con datos reales nunca se sabe si el error que queda es culpa de la red o del azar. Por eso las
# ventas de esta lección se generan con una fórmula conocida más un ruido de tamaño conocido:
#
# $$\begin{aligned}y = f(&\text{precio},\text{descuento},\\
#   &\text{visitas},\dots) + \sigma\,\varepsilon,\end{aligned}
#   \qquad \varepsilon\sim\mathcal N(0,1)$$
#
# Ningún modelo puede bajar, en promedio, de un error cuadrático $\sigma^2$: ese es el suelo. Lo que
# una red pierde **por encima** de él es lo único que un optimizador puede mejorar.
#
# **Al terminar sabrás** comparar optimizadores por lo que pierden sobre un suelo conocido;
# emparejar por semillas y leer el intervalo de una diferencia.
#
# **Hace falta** las lecciones [1](01_descenso_de_gradiente.py) a [5](05_adam.py).

# %%
import itertools
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import LinearRegression

import jaxopt_course as joc
from jaxopt_course.course import name_lines, quick, show, show_table
from jaxopt_course.problems.generated import sales
from jaxopt_course.problems.tables import prepare

joc.use_cpu_cores(1 if quick() else None)
COLORS = {"sgd": "#0072B2", "rmsprop": "#E69F00", "adam": "#009E73"}
NAMES = {"sgd": "SGD", "rmsprop": "RMSProp", "adam": "Adam"}
SPANISH = {  # los datos llevan nombres ingleses
    **{"category": "categoría", "channel": "canal", "price": "precio", "discount": "descuento"},
    **{"visits": "visitas", "rating": "nota", "day": "día", "weekend": "fin de semana"},
    **{"books": "libros", "clothes": "ropa", "electronics": "electrónica", "home": "hogar"},
    **{"marketplace": "mercado", "log_units": "log unidades"},
}

# %% [markdown]
# ## Los datos
#
# Cada fila es un producto en un día, y el objetivo es el logaritmo de las unidades vendidas. La
# elasticidad del precio cambia con la categoría, y el descuento pesa más en fin de semana: efectos
# que actúan juntos y que un modelo lineal no ve. La fórmula entera está en la ayuda de `sales`.

# %%
made = sales()
show_table(made.table.head(4).rename(columns=SPANISH).replace(SPANISH), index=False)
ready = prepare(made.table, made.target)
count = f"{len(made.table):_}".replace("_", "\u202f")
print(f"{count} ventas; {len(ready.features)} entradas:")
inputs = [
    "\u00a0=\u00a0".join(SPANISH.get(word, word) for word in f.split("=")) for f in ready.features
]
print(textwrap.fill(", ".join(inputs), 90))

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
rows = len(y_test)  # la media de tantos cuadrados de N(0, σ²) tiene este error típico:
assert abs(ideal / floor - 1) < 4 * np.sqrt(2 / rows)

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
    seed=range(1 if quick() else 3),
)
study = joc.sweep("sales", trials, epochs=epochs, metric="valid_loss", progress=False)
confirmed = study.confirm(fresh, progress=False)
broken = study.trials["status"].ne("finished").sum()
print(f"{len(study.trials)} entrenamientos, {broken} divergen; {len(confirmed.trials)} más, nuevos")

# %% [markdown]
# De cada entrenamiento nuevo se anotan tres medidas, una por pregunta:
#
# - **velocidad**: la primera época cuyo error de validación baja de $1{,}5\,\sigma^2$;
# - **error**: el de prueba, al final;
# - **vaivén**: el cambio medio de la validación de una época a la siguiente en la segunda mitad,
#   en unidades de $\sigma^2$.
#
# Debajo, la media sobre las semillas con su intervalo del 95 % ($t$ de Student).

# %%
NEAR = 1.5  # veces el suelo de ruido
MEASURES = {"velocidad": "época", "error": "error de prueba", "vaivén": "σ²"}


def half_width(values, level=0.95):
    """La mitad del intervalo de la media."""
    return stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)


winners = study.winners().set_index("optimizer")["learning_rate"].astype(float)
curves = confirmed.curves["valid_loss"].to_numpy()  # (entrenamientos, épocas)
near = curves <= NEAR * floor
each = confirmed.trials[["optimizer", "seed"]].assign(
    velocidad=np.where(near.any(axis=1), 1.0 + near.argmax(axis=1), np.inf),
    error=confirmed.trials["test_loss"].astype(float),
    vaivén=np.abs(np.diff(curves[:, epochs // 2 :], axis=1)).mean(axis=1) / floor,
)
groups = each.groupby("optimizer")[list(MEASURES)]
mean, half = groups.mean(), groups.agg(half_width)
shown = mean.map("{:.3g}".format) + " ± " + half.map("{:.2g}".format)
shown["tasa"] = winners.map("{:.2g}".format)
shown["sobre el ideal"] = (mean["error"] / ideal - 1).mul(100).map("{:+.0f} %".format)
show_table(shown.rename(NAMES).rename_axis("optimizador"))

# %% [markdown]
# Nadie baja del ideal, y los tres dejan atrás a la regresión lineal:

# %%
assert (mean["error"] + half["error"] > ideal).all()
assert (mean["error"] + half["error"] < linear).all()

# %% [markdown]
# ## Velocidad
#
# Cada banda va del peor al mejor de las semillas nuevas, y la línea es la mediana. El eje vertical
# es el error de validación dividido entre $\sigma^2$: 1 es el suelo.

# %%
fig, ax = plt.subplots(figsize=(7, 4))
for name, color in COLORS.items():
    mine = curves[confirmed.trials["optimizer"] == name] / floor
    epoch = np.arange(1, epochs + 1)
    ax.fill_between(epoch, mine.min(axis=0), mine.max(axis=0), color=color, alpha=0.2)
    label = f"{NAMES[name]}, tasa {winners[name]:.2g}"
    ax.plot(epoch, np.median(mine, axis=0), color=color, lw=2, label=label)
ax.axhline(1, color="black", ls="--", lw=1)
ax.annotate("suelo de ruido σ²", (epoch[-1], 1), (0, 4), textcoords="offset points", ha="right")
ax.set(xlabel="época", ylabel="error de validación / σ²", yscale="log")
ticks = [1, 1.5, 2, 3, 4]
ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
ax.minorticks_off()
name_lines(ax)
show(fig, "velocidad")

# %% [markdown]
# ## Error final, y lo que más pesa
#
# A la izquierda, el error de prueba con su intervalo. A la derecha, el mismo experimento antes de
# elegir: el error de validación según la tasa de aprendizaje.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), width_ratios=[1, 1.5])
for row, (name, color) in enumerate(COLORS.items()):
    at = {"xerr": half.loc[name, "error"], "fmt": "o", "color": color, "capsize": 4}
    left.errorbar(mean.loc[name, "error"], row, **at)
    group = study.configurations("valid_loss").query("optimizer == @name")
    group = group.sort_values("learning_rate")
    losses = group["valid_loss"].astype(float)
    right.plot(group["learning_rate"], losses, "o-", color=color, label=NAMES[name], ms=4)
left.axvline(ideal, color="black", ls="--", lw=1)
left.set_yticks(range(3), NAMES.values())
left.set(xlabel="error de prueba (ideal: - - -)", ylim=(-0.5, 2.5))
right.axhline(floor, color="black", ls="--", lw=1)
right.axhline(linear, color="gray", ls=":", lw=1)
behind = {"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 1}
right.annotate("regresión lineal", (9e-5, linear), (0, 3), textcoords="offset points",
               color="#555555", bbox=behind)  # fmt: skip
right.set(xscale="log", yscale="log", ylim=(0.8 * floor, 3))
right.set(xlabel="tasa de aprendizaje", ylabel="error de validación")
right.legend(frameon=False, loc="upper center")
fig.tight_layout()
show(fig, "error_final")

# %% [markdown]
# ## ¿Quién gana?
#
# Mirar si los intervalos de la izquierda se tocan **no** sirve para decidirlo. Los tres
# entrenamientos de una misma semilla comparten los pesos iniciales y los lotes, así que lo que
# procede es restarlos semilla a semilla y dar el intervalo de la *diferencia*. Cada medida se
# compara tres veces; para que las tres valgan juntas con un 95 %, cada intervalo se hace con un
# tercio del riesgo (corrección de Bonferroni). El asterisco dice que el intervalo no contiene el 0.

# %%
duels = list(itertools.combinations(mean["error"].sort_values().index, 2))
rows, apart = {}, []
for measure in MEASURES:
    by_seed = each.pivot(index="seed", columns="optimizer", values=measure)
    for better, worse in duels:
        difference = by_seed[worse] - by_seed[better]
        margin = half_width(difference, level=1 - 0.05 / len(duels))
        sure = "*" if abs(difference.mean()) > margin else " "
        text = f"{difference.mean():+.2g} ± {margin:.2g} {sure}"
        pair = f"{NAMES[worse]} menos {NAMES[better]}"
        rows.setdefault(pair, {})[measure] = text
        apart += [f"{measure}, {pair}"] if sure == "*" else []
show_table(pd.DataFrame(rows).T)
compared = len(duels) * len(MEASURES)
print(f"de {compared} comparaciones, {len(apart)} separadas" + (": " if apart else ""), end="")
print("; ".join(apart) or ": con estas semillas no gana nadie")

# %% [markdown]
# La última línea es la respuesta a «¿quién gana?». Donde no hay asterisco no se ha visto
# diferencia, que no es haber visto que no la hay. Con asterisco o sin él, son pequeñas. ¿Y la tasa,
# cuánto pesa? Abajo, para cada optimizador, lo que va de su mejor a su peor tasa (sin contar las
# que divergen, que serían infinito), y lo que separa a los tres con la suya. Comparar dos métodos
# con la misma tasa, o con la tasa por defecto de cada uno, es comparar tasas.

# %%
scores = study.configurations("valid_loss").astype({"valid_loss": float, "learning_rate": float})
by_rate = scores.groupby("optimizer")["valid_loss"].agg(["min", "max"])
between_rates = by_rate["max"] - by_rate["min"]
between_optimizers = np.ptp(mean["error"])
print("entre tasas:", ", ".join(f"{NAMES[name]} {by:.2f}" for name, by in between_rates.items()))
print(f"entre optimizadores: {between_optimizers:.3f}")
assert between_rates.min() > 5 * between_optimizers

# %% [markdown]
# ## Estabilidad: cuidado con el borde
#
# Una búsqueda con pocas semillas puede premiar una tasa que está al lado del abismo: salió bien
# por suerte, y con semillas nuevas sube y baja. Abajo, cuánto le falta a cada tasa elegida para
# llegar a la primera de la rejilla que arruina el entrenamiento (diverge, o acaba peor que la
# regresión lineal), junto al vaivén y a la desviación del error final entre semillas.

# %%
spread = each.groupby("optimizer")["error"].std() / floor
margins = {}
for name in NAMES:
    mine = scores[(scores["optimizer"] == name) & (scores["learning_rate"] > winners[name])]
    ruined = mine.loc[~(mine["valid_loss"] < linear), "learning_rate"]
    margins[name] = ruined.min() / winners[name] if len(ruined) else np.inf
    print(
        f"{NAMES[name]:8s} primera tasa ruinosa: {margins[name]:.3g} veces la elegida; "
        f"vaivén {mean.loc[name, 'vaivén']:.3f} σ², entre semillas {spread[name]:.3f} σ²"
    )

# %% [markdown]
# El de menor margen es también el que más vaivén tiene.

# %%
if not quick():  # que elige con una sola semilla
    assert min(margins, key=margins.get) == mean["vaivén"].idxmax()

# %% [markdown]
# ## En resumen
#
# - Con un suelo conocido se sabe cuánto error es de la red y cuánto del azar.
# - A cada optimizador, su tasa y el mismo presupuesto para buscarla; informan otras semillas.
# - Se comparan las diferencias semilla a semilla, no si dos intervalos se tocan.
# - Aquí la tasa pesa varias veces más que el optimizador.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Duplica el ruido $\sigma$. ¿Qué le pasa al suelo y qué a lo que se pierde sobre él?
# 2. Repite con una sola semilla, y luego con otra. ¿Cambia el ganador?
# 3. Demuestra que ningún modelo baja, en promedio, de $\sigma^2$.
#
# ## Para leer más
#
# - Goodfellow, Bengio y Courville (2016), «Deep Learning», capítulo 8.
# - Bouthillier y otros (2021), «Accounting for Variance in Machine Learning Benchmarks».
