# %% [markdown]
# # 12.1. Un barrido honesto: presupuesto, rango y suerte
#
# «Adam es mejor que SGD» no es una frase completa. Falta decir con qué presupuesto se afinó cada
# uno, en qué rango, con cuántas semillas y quién eligió al ganador. Aquí se mide cuánto cambia la
# respuesta cuando se descuida cada una de esas cosas. La parte 12.2 pregunta si un optimizador más
# general puede perder, la 12.3 qué forma tiene la frontera entre converger y explotar, y la 12.4
# quién gana entre los optimizadores de hoy.
#
# **Al terminar sabrás** decir con qué presupuesto, rango y semillas se hizo una comparación;
# descontar la maldición del ganador.
#
# **Hace falta** la [parte 8.1](08_1_ventas.py).

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import jaxopt_course as joc
from jaxopt_course.course import name_lines, quick, show, show_table
from jaxopt_course.course.claims import decided, interval, spanish
from jaxopt_course.course.digits import digits

joc.use_cpu_cores(1 if quick() else None)
NAMES = ["sgd", "momentum", "adam"]
COLOURS = dict(zip(NAMES, ["#0072B2", "#E69F00", "#009E73"], strict=True))
GREY = "#777777"

# %% [markdown]
# ## Un solo barrido para muchas preguntas
#
# La red es pequeña (dígitos de 8 × 8, una capa oculta) y se entrena cientos de veces. Todos los
# ensayos dan el mismo número de pasos con el mismo tamaño de lote: **ese** es el presupuesto de un
# entrenamiento. El de una búsqueda es el número de configuraciones que se permite probar.
#
# Los tres optimizadores prueban las mismas tasas, en un rango ancho, y dos de ellos, además, varias
# memorias. En Keras o PyTorch esto sería un doble bucle que entrena una red tras otra; aquí la
# tabla entera es un programa.

# %%
task = digits(lambda rngs: joc.MLP(64, 16 if quick() else 32, 10, rngs=rngs))

STEPS = 60 if quick() else 240
SEEDS = range(3 if quick() else 5)
RATES = np.geomspace(1e-5, 10, 13 if quick() else 25)
MEMORIES = [0.0, 0.9] if quick() else [0.0, 0.5, 0.9, 0.97]

# %%
table = pd.concat(
    [
        joc.grid(optimizer="sgd", learning_rate=RATES, seed=SEEDS),
        joc.grid(optimizer="momentum", learning_rate=RATES, momentum=MEMORIES, seed=SEEDS),
        joc.grid(optimizer="adam", learning_rate=RATES, b1=MEMORIES, seed=SEEDS),
    ]
)
study = joc.sweep(task, table, steps=STEPS, evaluate_every=STEPS // 4, progress=False)
event = study.events[0]
print(
    spanish(
        f"{len(table):,} entrenamientos en {event['seconds']:.1f} s "
        f"({event['trial_steps_per_second']:,.0f} pasos/s), {event['lowerings']} programa"
    )
)

# %%
KEYS = ["optimizer", "learning_rate", "momentum", "b1"]
trials = study.trials.astype({"learning_rate": float})
failed = trials["status"].ne("finished")
trials.loc[failed, "valid_accuracy"] = 0.0  # una semilla que diverge estropea su configuración
wide = trials.pivot_table(index=KEYS, columns="seed", values="valid_accuracy", dropna=False)
wide = wide.dropna(how="all")  # una configuración por fila, una semilla por columna
means = wide.mean(axis=1)
summary = means.groupby("optimizer").agg(["count", "mean", "max"])
heads = ["configuraciones", "exactitud media", "la mejor"]
show_table(summary.set_axis(heads, axis=1).rename_axis("optimizador"))

# %% [markdown]
# ## El rango decide quién gana
#
# Un experimento frecuente: se toma el rango de tasas donde Adam tiene su mejor valor bien dentro,
# y se le da el mismo a todos. Parece justo —igual número de ensayos, igual rango— y no lo es: la
# unidad de $\eta$ es otra en cada optimizador. La señal de alarma es que el mejor valor esté **en
# el borde** de lo probado: entonces no se ha encontrado el mejor, solo el último.
# `study.winners()` lo dice en la columna `at_edge`.

# %%
usual = trials[
    trials["optimizer"].eq("sgd")
    | trials["momentum"].eq(0.9).fillna(False).astype(bool)
    | trials["b1"].eq(0.9).fillna(False).astype(bool)
]
curves = usual.groupby(["optimizer", "learning_rate"])["valid_accuracy"].mean()
NARROW = (0.9e-4, 0.11 if quick() else 0.033)
inside = {name: curves[name].loc[slice(*NARROW)] for name in NAMES}
ranges = pd.DataFrame(
    {
        "rango corto": {name: s.max() for name, s in inside.items()},
        "en el borde": {
            name: s.idxmax() in (s.index[0], s.index[-1]) for name, s in inside.items()
        },
        "rango ancho": {name: curves[name].max() for name in NAMES},
    }
)
show_table(ranges.rename_axis("optimizador"))
results = ranges[["rango corto", "rango ancho"]].astype(float)
gaps = results.loc["adam"] - results.loc["sgd"]
print(
    spanish(
        f"ventaja de Adam sobre SGD: {gaps['rango corto']:.3f} en el rango corto, "
        f"{gaps['rango ancho']:.3f} en el ancho"
    )
)
edges = ranges["en el borde"]
assert edges["sgd"] and edges["momentum"] and not edges["adam"]  # buscó demasiado poco
assert gaps["rango corto"] > 0.05 and gaps["rango ancho"] < gaps["rango corto"] / 3

# %%
fig, ax = plt.subplots(figsize=(7, 4))
ax.axvspan(*NARROW, color="#dddddd", label="rango corto, «el de Adam»")
for name in NAMES:
    ax.plot(curves[name], "o-", color=COLOURS[name], ms=4, label=name)
ax.set(xscale="log", xlabel="tasa de aprendizaje", ylabel="exactitud de validación")
ax.set_title("El mismo rango para todos no es el mismo trato")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4)
show(fig, "rango", "Exactitud según la tasa; en gris, el rango en que Adam tiene su mejor valor")

# %% [markdown]
# En el rango corto SGD y momentum tienen su mejor valor en el borde: se acabó antes que ellos. En
# el ancho la ventaja de Adam sobre SGD no llega a la tercera parte.

# %% [markdown]
# ## El presupuesto también decide
#
# Con más hiperparámetros hay más que afinar. Si se prueban $n$ configuraciones sacadas al azar, la
# mejor que se espera encontrar es (Dodge et al., 2019)
#
# $$ \begin{aligned}&E\big[\max(v_1,\dots,v_n)\big]\\&\;=\sum_{i=1}^{N} v_{(i)}
#    \left[\left(\tfrac{i}{N}\right)^{n}-\left(\tfrac{i-1}{N}\right)^{n}\right],\end{aligned} $$
#
# con $v_{(1)}\le\dots\le v_{(N)}$ los resultados de las $N$ configuraciones medidas. Así un
# barrido contesta para **todos** los presupuestos a la vez. Lo que hay que mirar: las distancias
# entre las curvas dependen de $n$, y las líneas finas dicen cuántas configuraciones hacen falta
# para llegar a un mismo error. Un resultado sin su presupuesto es un punto suelto de una de estas
# curvas; y cada curva es de **un** espacio de búsqueda: con otro rango de tasas sería otra.


# %%
def expected_best(values, n):
    """E[máximo de n extracciones con reposición] de los valores medidos."""
    v = np.sort(np.asarray(values, float))
    i = np.arange(1, len(v) + 1)
    return np.sum(v * ((i / len(v)) ** n - ((i - 1) / len(v)) ** n))


by_optimizer = {name: means[name].to_numpy() for name in NAMES}
budgets = np.unique(np.geomspace(1, 100, 30).round().astype(int))
expected = {name: [expected_best(by_optimizer[name], n) for n in budgets] for name in NAMES}
draws = np.random.default_rng(0).choice(by_optimizer["adam"], (20_000, 5)).max(1)
error = 4 * draws.std() / len(draws) ** 0.5
assert abs(draws.mean() - expected_best(by_optimizer["adam"], 5)) < error  # la fórmula acierta

enough = 1 - 1.05 * (1 - min(expected[name][-1] for name in NAMES))  # lo que todos pueden alcanzar
needed = {name: int(budgets[np.argmax(np.array(expected[name]) >= enough)]) for name in NAMES}
columns = {"configuraciones": {name: len(by_optimizer[name]) for name in NAMES}}
columns[f"probadas para un error de {1 - enough:.3f}".replace(".", ",")] = needed
show_table(pd.DataFrame(columns).rename_axis("optimizador"))
fig, ax = plt.subplots(figsize=(7, 4))
for k, name in enumerate(NAMES):
    label = f"{name} ({len(by_optimizer[name])} configuraciones)"
    ax.plot(budgets, 1 - np.array(expected[name]), color=COLOURS[name], lw=2, label=label)
    ax.axvline(needed[name], color=COLOURS[name], lw=1.2, ls=(4 * k, (4, 8)))  # dos pueden ser uno
ax.set(xscale="log", yscale="log")
ax.set(xlabel="configuraciones probadas, n", ylabel="menor error de validación esperado")
ax.set_title("Resultado esperado según el presupuesto de búsqueda")
ticks = [0.02, 0.03, 0.05, 0.1, 0.2, 0.4, 0.8]
ax.set_yticks(ticks, [spanish(f"{tick:.0%}") for tick in ticks])
ax.set_yticks([], minor=True)
name_lines(ax)
show(
    fig, "presupuesto", "Menor error de validación que se espera encontrar, según lo que se prueba"
)

# %% [markdown]
# La curva más baja a la izquierda es la de quien acierta con pocas pruebas en **este** rango; con
# otro podría no serlo.
#
# ## La maldición del ganador
#
# El ganador de una búsqueda se elige por ser bueno **y** por tener suerte. `study.confirm(n)`
# vuelve a entrenar al ganador de cada optimizador con semillas nuevas en el mismo programa ya
# compilado. Con esas repeticiones se puede medir la maldición sin teoría: se ponen a competir $n$
# participantes *idénticos* (la misma configuración, distinta semilla) y se anuncia el mejor
# resultado. Si el ruido es normal, la ventaja inventada crece como el máximo de $n$ normales:
# despacio, pero sin techo. Donde lo medido queda por debajo de la línea de puntos, la cola larga
# está del otro lado: unas pocas semillas que salen mal, y una asimetría negativa.

# %%
confirmed = study.confirm(32 if quick() else 96, progress=False)
fresh = confirmed.trials
fresh["valid_accuracy"] = fresh["valid_accuracy"].where(fresh["status"].eq("finished"), 0.1)
samples = {  # un entrenamiento que diverge adivina: uno de cada diez dígitos
    name: group["valid_accuracy"].to_numpy(float) for name, group in fresh.groupby("optimizer")
}
contestants = np.array([1, 2, 4, 8, 16, 32])


def normal_maximum(n):
    """E[máximo de n normales típicas], por cuadratura de la función cuantil."""
    u = (np.arange(20_000) + 0.5) / 20_000
    return np.mean(stats.norm.ppf(u ** (1 / n)))


rows = []
fig, ax = plt.subplots(figsize=(7, 4))
for name in NAMES:
    gain = np.array([expected_best(samples[name], n) for n in contestants]) - samples[name].mean()
    ax.plot(contestants, 100 * gain, "o-", color=COLOURS[name], label=f"{name}, medido")
    theory = samples[name].std() * np.array([normal_maximum(n) for n in contestants])
    ax.plot(contestants, 100 * theory, ":", color=COLOURS[name])
    skew = stats.skew(samples[name])
    rows.append([name, 100 * gain[-1], 100 * theory[-1], skew])
    assert gain[-1] > 0.002  # de la nada, y visible en una tabla de resultados
    assert abs(skew) < 0.5 or (gain[-1] < theory[-1]) == (skew < 0)
ax.plot([], [], ":", color=GREY, label="máximo de n normales")
ax.set(xscale="log", xlabel="participantes idénticos, n", ylabel="ventaja inventada (puntos de %)")
ax.set_xticks(contestants, contestants)
ax.set_title("El mejor de n iguales siempre parece mejor")
ax.legend()
show(fig, "maldicion", "Cuánto mejor parece el mejor de n entrenamientos iguales que su media")
heads = ["optimizador", f"ventaja del mejor de {contestants[-1]}", "si fuera normal", "asimetría"]
show_table(pd.DataFrame(rows, columns=heads), 2, index=False)

# %% [markdown]
# En la búsqueda de verdad ocurre lo mismo: se elige la mejor configuración mirando **una** semilla
# y se compara con lo que da la misma configuración en las otras. La diferencia es lo que un
# artículo con una sola semilla habría publicado de más. Se hace con cada semilla por turno.

# %%
promises = []
for name in NAMES:
    accuracy = wide.loc[name].to_numpy(float)
    for seed in range(len(SEEDS)):
        winner = accuracy[:, seed].argmax()
        others = np.delete(accuracy[winner], seed).mean()
        promises.append((name, accuracy[winner, seed], others))
promises = pd.DataFrame(promises, columns=["optimizador", "prometido", "en otras semillas"])
promises["maldición (puntos)"] = 100 * (promises["prometido"] - promises["en otras semillas"])
show_table(promises.groupby("optimizador").mean(), 4)
curse = promises["maldición (puntos)"].mean()
print(spanish(f"en promedio se promete de más: {curse:.2f} puntos"))
assert curse > 0

# %% [markdown]
# Y con las semillas frescas se puede decir quién gana, o que no se sabe: el intervalo de confianza
# al 95 % de cada ganador, y el de las diferencias **por parejas** (la misma semilla para los dos,
# es decir, los mismos pesos iniciales y el mismo orden de los datos). El emparejado es más corto en
# la medida en que una semilla buena lo es para los dos; hay que mirarlo, no suponerlo.
#
# ¿Dice la verdad un intervalo de cinco semillas? Las repeticiones se reparten en grupos de cinco y
# se cuenta cuántos de sus intervalos contienen la media de todas: deberían ser casi el 95 %.

# %%
covered, rows = [], []
for name in NAMES:
    groups = [samples[name][i : i + 5] for i in range(0, len(samples[name]) - 4, 5)]
    fives = [interval(group) for group in groups]
    mean, half = interval(samples[name])
    covered += [abs(middle - mean) <= width for middle, width in fives]
    typical = np.mean([width for _, width in fives])
    rows.append([name, mean, f"± {half:.4f}", f"± {typical:.4f}"])
heads = ["optimizador", "exactitud", "con todas las semillas", "con cinco"]
show_table(pd.DataFrame(rows, columns=heads).replace(r"\.", ",", regex=True), 4, index=False)
print(spanish(f"los intervalos de 5 semillas contienen la media el {np.mean(covered):.0%}"))
assert np.mean(covered) > 0.8
difference = interval(samples["adam"] - samples["sgd"])
apart = (interval(samples["adam"])[1] ** 2 + interval(samples["sgd"])[1] ** 2) ** 0.5
answer = {True: "gana Adam", False: "gana SGD", None: "no se sabe"}
print(spanish(f"Adam menos SGD: {difference[0]:+.4f} ± {difference[1]:.4f};"), end=" ")
print(spanish(f"sin emparejar, ± {apart:.4f}"))
print(answer[decided(samples["adam"] - samples["sgd"])])

# %% [markdown]
# ## Repartir el presupuesto: mitades sucesivas
#
# Lo honesto no tiene por qué ser lo más caro. En las mitades sucesivas (Jamieson y Talwalkar,
# 2016) todas las configuraciones empiezan, y en cada peldaño solo sigue la mejor fracción
# $1/\eta_{\text{SH}}$. La regla es la misma para todos y está escrita antes de mirar. Se busca en
# el espacio de Adam.

# %%
adam_rows = table[table["optimizer"].eq("adam")][["learning_rate", "b1", "seed"]]
halving = joc.sweep(
    task,
    adam_rows,
    "adam",
    steps=STEPS,
    evaluate_every=STEPS // 4,
    scheduler=joc.SuccessiveHalving(eta=2, min_steps=STEPS // 4),
    progress=False,
)
spent = halving.events[0]["trial_steps"] / (len(adam_rows) * STEPS)
full_best = means["adam"].max()
halving_best = float(halving.best()["valid_accuracy"])
print(spanish(f"gastado: {spent:.0%} de los pasos; {halving_best:.4f} frente a "), end="")
print(spanish(f"{full_best:.4f} sin cortar"))
assert spent < 0.7 and halving_best > full_best - 0.03

# %% [markdown]
# ## Lista de control
#
# 1. El mismo número de pasos y de configuraciones para todos, dicho de antemano.
# 2. Un rango por optimizador, no el mismo para todos; si el mejor está en el borde, ampliar y
#    repetir.
# 3. Varias semillas al elegir, y **otras** al informar, con intervalo; por parejas si se puede.
# 4. Una semilla que explota cuenta: descartarla premia la inestabilidad.
# 5. Elegir con validación; mirar la prueba una vez.
# 6. Decir el presupuesto junto al resultado: con otro, el orden puede ser otro.
# 7. Antes de concluir que un método general pierde con uno particular, mirar qué no se afinó.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice cuánto sube el mejor de 32 entrenamientos iguales sobre su media, en desviaciones
#    típicas.
# 2. Elige con dos semillas y con ocho. ¿Cuánto encoge la sorpresa al informar?
# 3. Busca una comparación publicada y comprueba cuáles de los siete puntos de la lista dice.
#
# ## Para leer más
#
# - Sivaprasad y otros (2020), «Optimizer Benchmarking Needs to Account for Hyperparameter Tuning».
# - Dodge y otros (2019), «Show Your Work».
# - Li y otros (2017), «Hyperband».
