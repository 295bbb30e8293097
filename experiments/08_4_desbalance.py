# %% [markdown]
# # 8.4. Ejercicio del desbalance: una clase positiva del 5 %
#
# El cuarto ejercicio: solo cinco de cada cien pagos son fraude. ¿Qué se gana cambiando los datos
# (repetir los raros, descartar los comunes) o la pérdida (pesos de clase, focal)? ¿Y moviendo el
# umbral, que no cuesta nada? Se mide con precisión y exhaustividad, F1, AUC y exactitud balanceada.
#
# También estos datos se generan con una fórmula conocida, así que de cada pago se sabe la verdadera
# probabilidad de fraude $p(x)$. Ningún clasificador ordena mejor que ella: es el techo.
#
# **Al terminar sabrás** elegir una medida que no premie a quien dice siempre que no; comparar
# pesos, muestreo, pérdida focal y umbral contra el mejor clasificador posible.
#
# **Hace falta** la [parte 7.1](07_1_activaciones_y_perdidas.py).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics

import jaxopt_course as joc
from jaxopt_course.course import name_lines, quick, show, show_table
from jaxopt_course.problems.generated import fraud
from jaxopt_course.problems.metrics import auc
from jaxopt_course.problems.tables import prepare

joc.use_cpu_cores(1 if quick() else None)
COLORS = {
    "nada": "#0072B2",
    "pesos": "#E69F00",
    "focal": "#009E73",
    "sobremuestreo": "#D55E00",
    "sintético": "#56B4E9",
    "submuestreo": "#CC79A7",
}

# %%
made = fraud()
ready = prepare(made.table, made.target)
x, y = ready.parts["train"]
positives, negatives = int(y.sum()), int((1 - y).sum())
ratio = negatives / positives
print(f"entrenamiento: {positives} fraudes entre {len(y)}; {ratio:.1f} pagos limpios por fraude")

# %% [markdown]
# ## La trampa de la exactitud
#
# Contestar siempre «no es fraude» acierta casi siempre y no sirve para nada. El modelo ideal apenas
# lo supera en exactitud; en lo demás no se parecen.

# %%
y_test, ideal = ready.parts["test"][1], made.ideal[ready.rows["test"]]


def measure(y, p, threshold=0.5):
    """Las medidas de scikit-learn de unas probabilidades; dos no llevan umbral."""
    called = p >= threshold
    return {
        "exactitud": metrics.accuracy_score(y, called),
        "exactitud balanceada": metrics.balanced_accuracy_score(y, called),
        "precisión": metrics.precision_score(y, called, zero_division=0),
        "exhaustividad": metrics.recall_score(y, called),
        "F1": metrics.f1_score(y, called),
        "AUC": metrics.roc_auc_score(y, p),
        "precisión media": metrics.average_precision_score(y, p),
    }


reference = pd.DataFrame(
    {"siempre «no»": measure(y_test, np.zeros(len(y_test))), "ideal": measure(y_test, ideal)}
).T
show_table(reference.T)
assert reference.loc["siempre «no»", "exactitud"] > 0.9 and reference.loc["siempre «no»", "F1"] == 0

# %% [markdown]
# ## Los remedios
#
# La entropía cruzada binaria suma igual a todos los ejemplos, así que manda la clase común. Los
# **pesos de clase** $c_1=\frac{N}{2N_1}$, $c_0=\frac{N}{2N_0}$ igualan lo que aporta cada clase; la
# **pérdida focal** quita peso a lo que ya se clasifica bien:
#
# $$\begin{aligned}\mathcal L_{\text{pesos}}=-\big[&c_1\,y\ln\hat p\\
#   &+c_0\,(1-y)\ln(1-\hat p)\big],\end{aligned}\qquad
#   \mathcal L_{\text{focal}}=-(1-\hat p_y)^{\gamma}\ln\hat p_y$$
#
# con $\hat p_y$ la probabilidad que se da a la clase verdadera. El **sobremuestreo** repite fraudes
# al azar hasta que haya tantos como pagos limpios; el **submuestreo** descarta pagos limpios. El
# sobremuestreo **sintético** (SMOTE) no repite: inventa, entre un fraude y uno de sus cinco vecinos
# más próximos, otro en un punto al azar del segmento. Todo ello *solo* en la parte de
# entrenamiento: un fraude inventado a partir de uno de prueba sería hacer trampa.

# %%
GAMMA = 2.0


def cross_entropy(logits, y):
    """-ln p̂_y a partir del logit, sin desbordar."""
    return jax.nn.softplus(jnp.where(y == 1, -logits, logits))


def focal(logits, y):
    """La pérdida focal desde el logit; 1 - p̂_y es la sigmoide del logit de la otra clase."""
    wrong = jax.nn.sigmoid(jnp.where(y == 1, -logits, logits))
    return wrong**GAMMA * cross_entropy(logits, y)


def by_the_formula(z, y):
    """Las dos pérdidas como están escritas arriba, en NumPy."""
    p = 1 / (1 + np.exp(-z))
    right = np.where(y == 1, p, 1 - p)
    return -np.log(right), -((1 - right) ** GAMMA) * np.log(right)


some = np.linspace(-6, 6, 50), np.tile([0, 1], 25)
with jax.enable_x64(True):
    for ours, theirs in zip(by_the_formula(*some), (cross_entropy, focal), strict=True):
        np.testing.assert_allclose(theirs(*map(jnp.asarray, some)), ours, rtol=1e-12)

# %% [markdown]
# ## Seis redes en una
#
# Para comparar a igualdad de todo lo demás, las seis redes parten de los mismos pesos y dan el
# mismo número de pasos. Viven en un solo árbol de parámetros, con un eje más, y la pérdida es la
# **suma** de las de las seis: la derivada de una suma respecto de los pesos de una red solo ve el
# sumando de esa red, y Adam trabaja coordenada a coordenada, así que cada una entrena como si
# estuviera sola. Son una tarea cualquiera para la biblioteca, y un programa en lugar de seis.

# %%
rng = np.random.default_rng(0)
ones, zeros = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
rows_of_epoch = 2 * negatives  # de una época, en cada vista


def smote(positive, n, k=5):
    """SMOTE (Chawla y otros, 2002): n puntos entre un positivo y uno de sus k vecinos."""
    far = np.square(positive[:, None] - positive).sum(axis=-1)
    near = far.argsort(axis=1)[:, 1 : k + 1]  # el primero es él mismo
    draw = np.random.default_rng(2)
    one, other = draw.integers(len(positive), size=n), draw.integers(k, size=n)
    start, end = positive[one], positive[near[one, other]]
    return start + draw.random((n, 1)) * (end - start)


invented = smote(x[ones], negatives - positives).astype(x.dtype)
everything = np.concatenate([x, invented])  # las últimas filas son fraudes inventados
labels = np.concatenate([y, np.ones(len(invented), y.dtype)])
views = np.stack(
    [
        np.resize(rng.permutation(len(y)), rows_of_epoch),  # como vienen
        np.concatenate([zeros, rng.choice(ones, negatives)]),  # fraudes repetidos
        np.resize(
            np.concatenate([ones, rng.choice(zeros, positives, replace=False)]), rows_of_epoch
        ),
        np.concatenate([zeros, ones, np.arange(len(x), len(everything))]),  # fraudes inventados
    ],
    axis=1,
)  # (filas, 4)
VIEW = np.array([0, 0, 0, 1, 3, 2])  # cuál ve cada red, en el orden de COLORS
FEATURES, HIDDEN = x.shape[1], 32


def init(key):
    """Seis redes con los mismos pesos: hojas (6, ...)."""
    sizes = (FEATURES, HIDDEN, HIDDEN, 1)
    params = [
        {"w": jax.random.normal(k, (n, m)) / n**0.5, "b": jnp.zeros((1, m))}
        for k, n, m in zip(jax.random.split(key, 3), sizes[:-1], sizes[1:], strict=True)
    ]
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * len(COLORS)), params), {}


def network(params, x):
    """Una red: (B, FEATURES) -> logits (B,)."""
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    return (x @ params[-1]["w"] + params[-1]["b"])[:, 0]


all_logits = jax.vmap(network, in_axes=(0, 1), out_axes=1)  # (6, ...), (B, 6, FEATURES) -> (B, 6)


def losses(params, data):
    """(6,): la pérdida media de cada red en su vista."""
    y = data["y"][:, VIEW]
    logits = all_logits(params, data["x"][:, VIEW])
    each = cross_entropy(logits, y)
    balance = jnp.where(y == 1, len_y / (2 * positives), len_y / (2 * negatives))
    plain, _, _, over, made_up, under = each.T
    weighted, focused = (balance * each)[:, 1], focal(logits, y)[:, 2]
    return jnp.stack([plain, weighted, focused, over, made_up, under]).mean(1)


len_y = len(y)
parts = {"train": {"x": everything[views], "y": labels[views]}}
for part in ("valid", "test"):  # estas no se remuestrean nunca: todas las vistas son iguales
    inputs, targets = ready.parts[part]
    parts[part] = {"x": np.stack([inputs] * 4, axis=1), "y": np.stack([targets] * 4, axis=1)}


def evaluate(params, state, data):
    """La pérdida de las seis, y el área bajo la curva ROC de cada una."""
    logits = all_logits(params, data["x"][:, VIEW])
    areas = {f"auc_{name}": auc(logits[:, i], data["y"][:, 0]) for i, name in enumerate(COLORS)}
    return {"loss": losses(params, data).sum(), **areas}


task = joc.Task(
    name="fraud",
    init=init,
    loss=lambda params, state, batch, key: (losses(params, batch).sum(), (state, {})),
    evaluate=evaluate,
    metrics={"loss": "min", **{f"auc_{name}": "max" for name in COLORS}},
    **parts,
)

# %%
seeds = range(2 if quick() else 6)


def train(epochs, seeds):
    """Las seis redes, una vez por semilla: lo anotado, y sus pesos."""
    trials = joc.grid(optimizer="adam", learning_rate=2e-3, seed=seeds)
    study = joc.sweep(task, trials, epochs=epochs, batch_size=128, lanes=1, progress=False)
    return study, [study.state(trial).params for trial in study.trials["trial"]]


study, weights = train(10, seeds)
broken = study.trials["status"].ne("finished").sum()
print(f"{len(study.trials)} entrenamientos, {broken} divergen")

# %% [markdown]
# ## Los resultados
#
# El umbral se elige **en validación**, el que da el mayor F1, y se aplica en prueba. Lo demás se
# mide con el umbral de costumbre, un medio. Todo, con la media de las semillas y su intervalo del
# 95 %. (Las semillas cambian los pesos iniciales y los lotes, no los datos: el intervalo habla del
# entrenamiento, no de otra muestra de pagos.)


# %%
def probabilities(params, part):
    """(filas, 6): la probabilidad de fraude que da cada red."""
    logits = all_logits(params, jnp.asarray(parts[part]["x"][:, VIEW]))
    return np.asarray(jax.nn.sigmoid(logits), np.float64)


def best_threshold(y, p):
    """El umbral de mayor F1."""
    precision, recall, thresholds = metrics.precision_recall_curve(y, p)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return thresholds[np.argmax(f1[:-1])]


y_valid = ready.parts["valid"][1]
results = []
for seed, params in zip(seeds, weights, strict=True):
    valid, test = (probabilities(params, part) for part in ("valid", "test"))
    for i, name in enumerate(COLORS):
        threshold = best_threshold(y_valid, valid[:, i])
        moved = measure(y_test, test[:, i], threshold)
        results.append(
            {"remedio": name, "semilla": seed}
            | measure(y_test, test[:, i])
            | {"umbral": threshold, "F1 con umbral": moved["F1"]}
            | {"balanceada con umbral": moved["exactitud balanceada"]}
        )
results = pd.DataFrame(results)
mean = results.groupby("remedio", sort=False).mean().drop(columns="semilla")
half = results.groupby("remedio", sort=False).sem().drop(columns="semilla")
half = half * stats.t.ppf(0.975, len(seeds) - 1)
table = mean.map("{:.3f}".format) + " ± " + half.map("{:.3f}".format)
show_table(table.T)

# %% [markdown]
# Los seis comparten semilla, así que lo que gana o pierde cada remedio frente a no hacer nada se
# mide restando semilla a semilla. El asterisco dice que el intervalo no contiene el 0.

# %%
compared = ["AUC", "precisión media", "F1", "exactitud balanceada"]
compared += ["F1 con umbral", "balanceada con umbral"]
by_seed = results.set_index(["semilla", "remedio"])[compared].unstack("remedio")
rows = {}
for column in compared:
    gain = by_seed[column].drop(columns="nada").sub(by_seed[column]["nada"], axis=0)
    margin = stats.t.ppf(0.975, len(seeds) - 1) * gain.sem()
    star = np.where(gain.mean().abs() > margin, " *", "  ")
    rows[column] = gain.mean().map("{:+.3f}".format) + " ± " + margin.map("{:.3f}".format) + star
show_table(pd.DataFrame(rows).T[list(COLORS)[1:]])

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), width_ratios=[1.25, 1])
test = probabilities(weights[0], "test")
for i, (name, color) in enumerate(COLORS.items()):
    precision, recall, thresholds = metrics.precision_recall_curve(y_test, test[:, i])
    axes[0].plot(recall, precision, color=color, lw=1.3, label=name)
    at = np.searchsorted(thresholds, 0.5)
    axes[0].plot(recall[at], precision[at], "o", color=color, ms=8, mec="black")
precision, recall, _ = metrics.precision_recall_curve(y_test, ideal)
axes[0].plot(recall, precision, color="black", ls="--", lw=1.3, label="ideal")
axes[0].set(xlabel="exhaustividad (fraudes detectados)", ylabel="precisión (alarmas ciertas)")
axes[0].set(xlim=(0, 1), ylim=(0, 1.02))
axes[0].legend(frameon=False, loc="lower left")
for i, (name, color) in enumerate(COLORS.items()):
    for column, marker, face in (("F1", "o", "white"), ("F1 con umbral", "o", color)):
        axes[1].errorbar(mean.loc[name, column], i, xerr=half.loc[name, column], fmt=marker,
                         color=color, mfc=face, capsize=3)  # fmt: skip
ideal_f1 = measure(y_test, ideal, best_threshold(y_valid, made.ideal[ready.rows["valid"]]))["F1"]
axes[1].axvline(ideal_f1, color="black", ls="--", lw=1)
axes[1].set_yticks(range(len(COLORS)), COLORS)
axes[1].invert_yaxis()
axes[1].set(xlabel="F1:  ○ umbral ½   ● umbral elegido   - - ideal")
fig.tight_layout()
show(fig, "precision_exhaustividad")

# %% [markdown]
# Cinco de las curvas casi se tapan: los remedios **apenas ordenan mejor** los pagos. Lo que
# cambian es dónde cae el umbral ½ sobre la misma curva (los círculos): de muchas alarmas ciertas y
# pocos fraudes detectados, a lo contrario. Quien mueve el umbral elige el punto que quiera, sin
# volver a entrenar. La otra, la del submuestreo, queda por debajo.

# %%
compared = ["AUC", "exhaustividad", "F1", "F1 con umbral"]
spread = mean.max() - mean.min()
print("diferencia entre el mayor y el menor:")
show_table(spread[compared].rename("diferencia").to_frame())
assert spread["exhaustividad"] > 3 * spread["AUC"]
assert mean.loc["nada", "F1 con umbral"] > mean.loc["pesos", "F1"]
assert mean["precisión media"].idxmin() == "submuestreo"
assert (mean["AUC"] < reference.loc["ideal", "AUC"] + 0.01).all()
assert mean.loc["pesos", "exactitud balanceada"] > mean.loc["nada", "exactitud balanceada"]
assert mean.loc["pesos", "exactitud"] < reference.loc["siempre «no»", "exactitud"]

# %% [markdown]
# ¿Por qué pierde el submuestreo? Tiró casi todos los pagos limpios, y además, con el mismo número
# de pasos, vio muchas más veces los que guardó. El área bajo la curva ROC en validación, época a
# época, separa las dos cosas: lo que ya falta en su mejor época se debe a los datos que tiró; lo
# que cae después, a que los memoriza.

# %%
fig, ax = plt.subplots(figsize=(7, 3.6))
areas = {
    name: study.curves[f"valid_auc_{name}"].to_numpy() for name in COLORS
}  # (semillas, épocas)
for name, color in COLORS.items():
    epoch = np.arange(1, areas[name].shape[1] + 1)
    ax.fill_between(epoch, areas[name].min(0), areas[name].max(0), color=color, alpha=0.15)
    ax.plot(epoch, areas[name].mean(0), color=color, label=name)
ax.set(xlabel="época", ylabel="AUC de validación", ylim=(0.8, 0.96))
name_lines(ax)
show(fig, "auc_por_epoca")
course = {name: area.mean(axis=0) for name, area in areas.items()}
ends = {name: {"mejor época": c.max(), "última": c[-1]} for name, c in course.items()}
show_table(pd.DataFrame(ends).T)
rising = [name for name, c in course.items() if c.argmax() == len(c) - 1]
print("todavía subían al parar:", ", ".join(rising) or "ninguna")
kept, seen = 2 * positives, rows_of_epoch * len(epoch)
print(f"submuestreo: {kept} pagos de {len(y)}, cada uno visto unas {seen / kept:.0f} veces")
lost = {name: area.max(axis=1) - area[:, -1] for name, area in areas.items()}
assert lost["submuestreo"].mean() > lost["nada"].mean()
assert ends["submuestreo"]["mejor época"] > ends["nada"]["mejor época"] - 0.01

# %% [markdown]
# Las que nombra la última línea no habían terminado de subir: más épocas les darían algo más, y los
# asteriscos de la fila AUC, en la tabla de diferencias, cuentan también haber llegado antes.
# Aquí no se ha separado una cosa de la otra.
#
# En área bajo la curva, el submuestreo ordena en su mejor época tan bien como los demás; la caída
# viene después. La precisión media mira solo la cabeza de la lista, los pagos más sospechosos, y es
# más severa. Si se para en esa época, elegida en validación, esto es lo que queda en prueba:

# %%
stop = 1 + int(course["submuestreo"].argmax())
_, early = train(stop, seeds[:3])
under = list(COLORS).index("submuestreo")
precisions = [
    [metrics.average_precision_score(y_test, probabilities(p, "test")[:, under]) for p in params]
    for params in (early, weights)
]
print(f"precisión media del submuestreo: en la época {stop}, {np.mean(precisions[0]):.3f}; "
      f"en la {len(epoch)}, {np.mean(precisions[1]):.3f}; "
      f"sin remedio, {mean.loc['nada', 'precisión media']:.3f}")  # fmt: skip
assert np.mean(precisions[0]) > np.mean(precisions[1])

# %% [markdown]
# Una parte de lo perdido, pues, era memoria, y se arregla parando a tiempo. El resto, hasta la red
# sin remedio, es lo que enseñaban los pagos descartados.

# %% [markdown]
# ## Por qué: los pesos suman una constante
#
# Para un $x$ dado, la entropía cruzada con pesos es mínima en
#
# $$\hat p=\frac{c_1p}{c_1p+c_0(1-p)}\qquad\Longleftrightarrow\qquad
#   \operatorname{logit}\hat p=\operatorname{logit}p+\ln\frac{c_1}{c_0},\qquad
#   \frac{c_1}{c_0}=\frac{N_0}{N_1}$$
#
# La misma constante para todos los $x$: el orden no cambia. Igualar las clases repitiendo o
# descartando hace, en promedio, lo mismo. Como $p(x)$ se conoce, se puede ver:

# %%
logit = lambda p: np.log(p / (1 - p))
shift = np.log(ratio)
truth = logit(np.clip(made.ideal[ready.rows["test"]], 1e-9, 1 - 1e-9))
edges = np.quantile(truth, np.linspace(0, 1, 13))
bins = np.clip(np.digitize(truth, edges) - 1, 0, len(edges) - 2)
centers = np.array([np.median(truth[bins == b]) for b in range(len(edges) - 1)])
given = np.mean([logit(np.clip(probabilities(p, "test"), 1e-9, 1 - 1e-9)) for p in weights], axis=0)
fig, ax = plt.subplots(figsize=(7, 4.4))
for i, (name, color) in enumerate(COLORS.items()):
    medians = [np.median(given[bins == b, i]) for b in range(len(centers))]
    ax.plot(centers, medians, "o-", color=color, ms=4, label=name)
ax.axline((0, 0), slope=1, color="black", ls="--", lw=1)
ax.axline((0, shift), slope=1, color="black", ls=":", lw=1)
ax.set(xlabel="logit de la probabilidad verdadera", ylabel="logit de la red (mediana)")
ax.set(xlim=(centers[0] - 0.5, centers[-1] + 0.5), ylim=(centers[0] - 1, centers[-1] + shift + 1))
ax.legend(frameon=False)
show(fig, "calibracion")

# %% [markdown]
# La línea discontinua es una red calibrada; la de puntos, la misma más $\ln(N_0/N_1)$. La red sin
# remedio da probabilidades que se pueden creer; la de pesos exagera el fraude en lo que dice la
# fórmula; la focal aplasta las probabilidades hacia ½. Los tres muestreos no siguen ninguna
# paralela: vieron los mismos fraudes una y otra vez, los aprendieron de memoria y se confían; su
# recta es más empinada. Si se usan pesos y hacen falta probabilidades, basta con restar la
# constante.

# %%
moved = np.median(given[:, 1] - given[:, 0])
print(f"pesos frente a nada: {moved:.2f}; la fórmula dice {shift:.2f}")
assert abs(moved - shift) < 0.35 * shift
corrected = 1 / (1 + np.exp(-(given[:, 1] - shift)))
losses_of = {
    "nada": 1 / (1 + np.exp(-given[:, 0])),
    "pesos": 1 / (1 + np.exp(-given[:, 1])),
    "pesos, corregido": corrected,
    "ideal": ideal,
}
for name, p in losses_of.items():
    print(f"{name:17s} entropía cruzada en prueba {metrics.log_loss(y_test, p):.3f}")
assert metrics.log_loss(y_test, corrected) < metrics.log_loss(y_test, losses_of["pesos"])

# %% [markdown]
# ## En resumen
#
# - Con un 5 % de positivos la exactitud premia a quien dice siempre que no.
# - Los remedios apenas ordenan mejor: mueven el umbral, que se puede mover sin volver a entrenar.
# - Los pesos de clase suman una constante al logit, $\ln(N_0/N_1)$, que se puede restar.
# - El submuestreo pierde lo que enseñaban los pagos que tira.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice la exactitud de quien contesta siempre «no es fraude». ¿Y su F1?
# 2. Con una clase positiva del 1 % en vez del 5 %, ¿qué remedio empeora más?
# 3. Demuestra que multiplicar por $c$ el peso de los positivos suma $\ln c$ a $\ln(p/(1-p))$ en
#    el mejor modelo.
# 4. Haz el sobremuestreo sintético *antes* de partir los datos. ¿Por qué sale mejor la medida, y
#    por qué no hay que creerla?
#
# ## Para leer más
#
# - Chawla, Bowyer, Hall y Kegelmeyer (2002), «SMOTE: Synthetic Minority Over-sampling Technique».
# - Lin y otros (2017), «Focal Loss for Dense Object Detection».
# - Saito y Rehmsmeier (2015), «The Precision-Recall Plot Is More Informative than the ROC Plot».
